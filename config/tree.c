#include "config/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/err.h"
#include "common/log.h"

/* An open list or mapping. */
struct level {
	struct node *node;
	struct node **tail; /* where its next child goes */
	struct node *key;   /* mapping: read, its value is still to come */
};

struct builder {
	struct tree *tree;
	struct tree_error *err;
	struct level level[TREE_DEPTH];
	unsigned depth;
	unsigned documents;
	bool done;
};

static struct mark mark_of(const yaml_mark_t *m)
{
	return (struct mark){(unsigned)m->line + 1, (unsigned)m->column + 1};
}

__attribute__((format(printf, 3, 4)))
static int refuse(struct builder *b, struct mark at, const char *fmt, ...)
{
	va_list ap;

	b->err->mark = at;
	va_start(ap, fmt);
	vsnprintf(b->err->text, sizeof b->err->text, fmt, ap);
	va_end(ap);
	return ERR_MALFORMED;
}

/* One block for the node and its text. */
static int node_new(struct builder *b, struct node **out, enum node_kind kind,
		    struct slice text, struct mark at)
{
	struct node *n;
	char *copy;

	if (b->tree->n >= TREE_NODES) {
		return refuse(b, at, "more than %d values in one file", TREE_NODES);
	}
	n = calloc(1, sizeof *n + text.n + 1);
	if (n == NULL) {
		return UV_ENOMEM;
	}
	copy = (char *)(n + 1);
	if (text.n > 0) {
		memcpy(copy, text.p, text.n);
	}
	n->kind = kind;
	n->mark = at;
	n->text = slice(copy, text.n);
	n->all = b->tree->all;
	b->tree->all = n;
	b->tree->n++;
	*out = n;
	return 0;
}

static int take_key(struct builder *b, struct level *l, struct node *n)
{
	char shown[TREE_KEY_MAX + 4];
	const struct node *old;

	if (n->kind != NODE_SCALAR) {
		return refuse(b, n->mark, "a key must be a word, not a list or a mapping");
	}
	old = node_find(l->node, n->text);
	if (old != NULL) {
		return refuse(b, n->mark,
			      "key %s stands here a second time; the first is "
			      "in line %u: keep one of them",
			      log_quote(shown, sizeof shown, n->text),
			      old->key_mark.line);
	}
	l->key = n;
	return 0;
}

/* Hangs n where it belongs. */
static int attach(struct builder *b, struct node *n)
{
	struct level *l;

	if (b->depth == 0) {
		b->tree->root = n;
		return 0;
	}
	l = &b->level[b->depth - 1];
	if (l->node->kind == NODE_MAP) {
		if (l->key == NULL) {
			return take_key(b, l, n);
		}
		n->key = l->key->text;
		n->key_mark = l->key->mark;
		l->key = NULL;
	}
	*l->tail = n;
	l->tail = &n->next;
	return 0;
}

static int refuse_extras(struct builder *b, const yaml_char_t *anchor,
			 const yaml_char_t *tag, struct mark at)
{
	if (anchor != NULL) {
		return refuse(b, at, "anchors (&) are not supported: write the value "
				     "out, or put it in quotes");
	}
	if (tag != NULL) {
		return refuse(b, at, "tags (!) are not supported: remove it, or put "
				     "the value in quotes");
	}
	return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *e, struct mark at)
{
	struct slice text = slice(e->data.scalar.value, e->data.scalar.length);
	struct node *n = NULL;
	int rc;

	rc = refuse_extras(b, e->data.scalar.anchor, e->data.scalar.tag, at);
	if (rc == 0) {
		rc = node_new(b, &n, NODE_SCALAR, text, at);
	}
	if (n != NULL) {
		n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		rc = attach(b, n);
	}
	return rc;
}

static int on_open(struct builder *b, enum node_kind kind,
		   const yaml_char_t *anchor, const yaml_char_t *tag,
		   struct mark at)
{
	struct node *n = NULL;
	int rc;

	rc = refuse_extras(b, anchor, tag, at);
	if (rc != 0) {
		return rc;
	}
	if (b->depth == TREE_DEPTH) {
		return refuse(b, at, "nested more than %d levels deep", TREE_DEPTH);
	}
	rc = node_new(b, &n, kind, SLICE_NONE, at);
	if (rc == 0) {
		rc = attach(b, n);
	}
	if (rc == 0) {
		b->level[b->depth++] = (struct level){n, &n->first, NULL};
	}
	return rc;
}

static int on_event(struct builder *b, const yaml_event_t *e)
{
	struct mark at = mark_of(&e->start_mark);

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->documents++ > 0) {
			return refuse(b, at, "a second document begins here: a "
					     "configuration is one document");
		}
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(b, at, "aliases (*) are not supported: write the value "
				     "out; a value that begins with * needs quotes");
	case YAML_SCALAR_EVENT:
		return on_scalar(b, e, at);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(b, NODE_LIST, e->data.sequence_start.anchor,
			       e->data.sequence_start.tag, at);
	case YAML_MAPPING_START_EVENT:
		return on_open(b, NODE_MAP, e->data.mapping_start.anchor,
			       e->data.mapping_start.tag, at);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	case YAML_STREAM_END_EVENT:
		b->done = true;
		return 0;
	default:
		return 0;
	}
}

/* libyaml's own words, and what people usually did. */
static int syntax_error(struct builder *b, const yaml_parser_t *p)
{
	const char *problem = p->problem == NULL ? "not valid YAML" : p->problem;
	const char *hint = "";

	if (p->error == YAML_MEMORY_ERROR) {
		return UV_ENOMEM;
	}
	if (p->error == YAML_READER_ERROR) {
		struct mark at = mark_of(&p->mark);

		return refuse(b, at, "%s at byte %zu: save the file as plain UTF-8 text",
			      problem, p->problem_offset);
	}
	if (strstr(problem, "cannot start any token") != NULL) {
		hint = ": indent with blanks, not tabs, and put values that begin "
		       "with @, ` or % in quotes";
	} else if (strstr(problem, "alphabetic or numeric character") != NULL) {
		hint = ": a value that begins with * or & needs quotes";
	} else if (strstr(problem, "mapping values are not allowed") != NULL) {
		hint = ": check the indentation, and put values with a colon and a "
		       "blank in quotes";
	} else if (strstr(problem, "did not find expected key") != NULL ||
		   strstr(problem, "could not find expected ':'") != NULL) {
		hint = ": each line is \"key: value\", and keys of one section are "
		       "indented alike";
	}
	return refuse(b, mark_of(&p->problem_mark), "%s%s", problem, hint);
}

int tree_parse(struct tree *t, struct slice text, struct tree_error *err)
{
	struct builder b = {.tree = t, .err = err};
	yaml_parser_t parser;
	yaml_event_t event;
	int rc = 0;

	*t = (struct tree){NULL, NULL, 0};
	if (!yaml_parser_initialize(&parser)) {
		return UV_ENOMEM;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&parser, (const unsigned char *)(text.n == 0 ? "" : text.p), text.n);
	while (rc == 0 && !b.done) {
		if (!yaml_parser_parse(&parser, &event)) {
			rc = syntax_error(&b, &parser);
			break;
		}
		rc = on_event(&b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (rc != 0) {
		tree_fini(t);
	}
	return rc;
}

void tree_fini(struct tree *t)
{
	while (t->all != NULL) {
		struct node *n = t->all;

		t->all = n->all;
		free(n);
	}
	*t = (struct tree){NULL, NULL, 0};
}

const struct node *node_find(const struct node *map, struct slice key)
{
	for (const struct node *n = map->first; n != NULL; n = n->next) {
		if (slice_eq(n->key, key)) {
			return n;
		}
	}
	return NULL;
}

bool node_is_null(const struct node *n)
{
	return n->kind == NODE_SCALAR && !n->quoted &&
	       (n->text.n == 0 || slice_eq(n->text, SLICE_LIT("~")) ||
		slice_eq(n->text, SLICE_LIT("null")));
}
