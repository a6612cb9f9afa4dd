/* doc: YAML text as nodes that know where they stand, for configurations and
 * rules.
 *
 * Takes the plain part of YAML 1.1: documents of mappings, lists and scalars, as
 * deep and as large as the caller allows.  Anchors, aliases, tags and duplicate
 * keys are refused, so that a small file can't become a large structure and
 * nothing is overridden unseen.
 *
 * Pure but for malloc(); any thread.  Everything hangs on struct doc and is
 * freed with it.
 */
#ifndef COMMON_DOC_H
#define COMMON_DOC_H

#include "common/slice.h"

enum { DOC_DEPTH_MAX = 16, DOC_WHY = 256 };

struct doc_limits {
	unsigned depth; /* DOC_DEPTH_MAX at most */
	size_t nodes;   /* in one document */
};

enum doc_kind { DOC_SCALAR, DOC_LIST, DOC_MAP };

struct doc_mark {
	unsigned line, column; /* from 1 */
};

struct doc_node {
	enum doc_kind kind;
	bool quoted;              /* scalar: in quotes or a block, so never null */
	struct doc_mark mark;     /* of the value ... */
	struct doc_mark key_mark; /* ... and of its key, in a mapping */
	struct slice key;         /* in a mapping; may hold anything */
	struct slice text;        /* scalar; may hold anything */
	struct doc_node *first;   /* children, in the order of the file */
	struct doc_node *next;    /* sibling */
	struct doc_node *all;     /* the document's own */
};

struct doc {
	struct doc_node *root; /* NULL: nothing but comments */
	struct doc_node *all;
	size_t n;
};

struct doc_error {
	struct doc_mark mark;
	char text[DOC_WHY];
};

/* Reads text that is one document.  On an error d is empty: UV_ENOMEM, or
 * ERR_MALFORMED and *err says what and where. */
int doc_read(struct doc *d, struct slice text, struct doc_limits limits,
	     struct doc_error *err);
/* Safe on a zeroed struct and to call twice. */
void doc_fini(struct doc *d);

/* root is borrowed for the call.  Non-zero ends the walk and is returned. */
typedef int (*doc_cb)(void *arg, const struct doc_node *root);

/* Reads a stream of documents and calls cb for each that is not empty.
 * UV_ENOMEM; ERR_MALFORMED: *err says what and where, and the documents before it
 * have been handed over. */
int doc_each(struct slice text, struct doc_limits limits, doc_cb cb, void *arg,
	     struct doc_error *err);

/* The child of a mapping, or NULL (also when n is NULL or no mapping). */
const struct doc_node *doc_find(const struct doc_node *n, const char *key);
const struct doc_node *doc_find_slice(const struct doc_node *n,
				      struct slice key);
/* A plain scalar that is empty, ~ or null. */
bool doc_is_null(const struct doc_node *n);

#endif
