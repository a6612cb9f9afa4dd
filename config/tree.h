/* tree: a YAML text as nodes that know where they stand.
 *
 * Takes the plain part of YAML 1.1 that a configuration needs: one document of
 * mappings, lists and scalars, at most TREE_DEPTH deep and TREE_NODES large.
 * Anchors, aliases, tags and duplicate keys are refused, so that a small file
 * can't become a large structure and nothing is overridden unseen.
 *
 * Pure but for malloc(); any thread.  Everything hangs on struct tree and is
 * freed with it.
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/slice.h"

enum { TREE_DEPTH = 6, TREE_NODES = 8192, TREE_KEY_MAX = 64 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct mark {
	unsigned line, column; /* from 1 */
};

struct node {
	enum node_kind kind;
	bool quoted;         /* scalar: in quotes or a block, so never null */
	struct mark mark;    /* of the value ... */
	struct mark key_mark; /* ... and of its key, in a mapping */
	struct slice key;    /* in a mapping; may hold anything */
	struct slice text;   /* scalar; may hold anything */
	struct node *first;  /* children, in the order of the file */
	struct node *next;   /* sibling */
	struct node *all;    /* the tree's own */
};

struct tree {
	struct node *root; /* NULL: nothing but comments */
	struct node *all;
	size_t n;
};

enum { TREE_WHY = 256 };
struct tree_error {
	struct mark mark;
	char text[TREE_WHY];
};

/* On an error the tree is empty: UV_ENOMEM, or ERR_MALFORMED and *err says what
 * and where. */
int tree_parse(struct tree *t, struct slice text, struct tree_error *err);
/* Safe on a zeroed struct and to call twice. */
void tree_fini(struct tree *t);

/* The child of a mapping, or NULL. */
const struct node *node_find(const struct node *map, struct slice key);
/* A plain scalar that is empty, ~ or null. */
bool node_is_null(const struct node *n);

#endif
