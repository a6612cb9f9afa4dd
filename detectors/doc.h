/* doc: a stream of YAML documents as nodes that know where they stand.
 *
 * Takes the plain part of YAML 1.1 that a Sigma rule needs: mappings, lists and
 * scalars.  Anchors, aliases, tags and duplicate keys are refused, so that a
 * small file can't become a large structure and nothing is overridden unseen.
 * A nested document costs at most DOC_DEPTH levels of recursion.
 *
 * Pure but for malloc(); any thread.
 */
#ifndef DETECTORS_DOC_H
#define DETECTORS_DOC_H

#include "common/slice.h"

enum { DOC_DEPTH = 16, DOC_NODES = 20000, DOC_WHY = 200 };

enum doc_kind { DOC_SCALAR, DOC_LIST, DOC_MAP };

struct doc_mark {
	unsigned line, column; /* from 1 */
};

struct doc_node {
	enum doc_kind kind;
	bool quoted;            /* scalar: in quotes or a block */
	struct doc_mark mark;   /* of the value ... */
	struct doc_mark key_mark; /* ... and of its key, in a mapping */
	struct slice key;       /* in a mapping */
	struct slice text;      /* scalar */
	struct doc_node *first; /* children, in the order of the file */
	struct doc_node *next;  /* sibling */
	struct doc_node *all;   /* doc.c's own: everything allocated */
};

struct doc_error {
	struct doc_mark mark;
	char text[DOC_WHY];
};

/* root is borrowed for the call.  Non-zero ends the walk and is returned. */
typedef int (*doc_cb)(void *arg, const struct doc_node *root);

/* Calls cb for each document that is not empty.  UV_ENOMEM; ERR_MALFORMED: *err
 * says what and where, and the documents before it have been handed over. */
int doc_parse(struct slice text, doc_cb cb, void *arg, struct doc_error *err);

/* The child of a mapping, or NULL (also when n is NULL or no mapping). */
const struct doc_node *doc_find(const struct doc_node *n, const char *key);
/* A plain scalar that is empty, ~ or null. */
bool doc_is_null(const struct doc_node *n);

#endif
