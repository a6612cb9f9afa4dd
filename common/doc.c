#include "common/doc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/err.h"
#include "common/log.h"

enum { SHOWN = 68 }; /* of a key, in a message */

/* An open list or mapping. */
struct level {
	struct doc_node *node;
	struct doc_node **tail; /* where its next child goes */
	struct doc_node *key;   /* mapping: read, its value is still to come */
};

struct builder {
	struct doc *doc;
	struct doc_limits limits;
	struct doc_error *err;
	doc_cb cb; /* NULL: there may be one document only */
	void *arg;
	struct level level[DOC_DEPTH_MAX];
	unsigned depth;
	unsigned documents;
	bool done;
};

static struct doc_mark mark_of(const yaml_mark_t *m)
{
	return (struct doc_mark){(unsigned)m->line + 1, (unsigned)m->column + 1};
}

__attribute__((format(printf, 3, 4)))
static int refuse(struct builder *b, struct doc_mark at, const char *fmt, ...)
{
	va_list ap;

	b->err->mark = at;
	va_start(ap, fmt);
	vsnprintf(b->err->text, sizeof b->err->text, fmt, ap);
	va_end(ap);
	return ERR_MALFORMED;
}

/* One block for the node and its text. */
static int node_new(struct builder *b, struct doc_node **out, enum doc_kind kind,
		    struct slice text, struct doc_mark at)
{
	struct doc_node *n;
	char *copy;

	if (b->doc->n >= b->limits.nodes) {
		return refuse(b, at, "more than %zu values in one document",
			      b->limits.nodes);
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
	n->all = b->doc->all;
	b->doc->all = n;
	b->doc->n++;
	*out = n;
	return 0;
}

static int take_key(struct builder *b, struct level *l, struct doc_node *n)
{
	char shown[SHOWN];
	const struct doc_node *old;

	if (n->kind != DOC_SCALAR) {
		return refuse(b, n->mark, "a key must be a word, not a list or a mapping");
	}
	old = doc_find_slice(l->node, n->text);
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
static int attach(struct builder *b, struct doc_node *n)
{
	struct level *l;

	if (b->depth == 0) {
		b->doc->root = n;
		return 0;
	}
	l = &b->level[b->depth - 1];
	if (l->node->kind == DOC_MAP) {
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
			 const yaml_char_t *tag, struct doc_mark at)
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

static int on_scalar(struct builder *b, const yaml_event_t *e, struct doc_mark at)
{
	struct slice text = slice(e->data.scalar.value, e->data.scalar.length);
	struct doc_node *n = NULL;
	int rc;

	rc = refuse_extras(b, e->data.scalar.anchor, e->data.scalar.tag, at);
	if (rc == 0) {
		rc = node_new(b, &n, DOC_SCALAR, text, at);
	}
	if (n != NULL) {
		n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		rc = attach(b, n);
	}
	return rc;
}

static int on_open(struct builder *b, enum doc_kind kind,
		   const yaml_char_t *anchor, const yaml_char_t *tag,
		   struct doc_mark at)
{
	struct doc_node *n = NULL;
	int rc;

	rc = refuse_extras(b, anchor, tag, at);
	if (rc != 0) {
		return rc;
	}
	if (b->depth == b->limits.depth) {
		return refuse(b, at, "nested more than %u levels deep",
			      b->limits.depth);
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

/* One of several documents is whole. */
static int hand_over(struct builder *b)
{
	int rc = 0;

	if (b->doc->root != NULL && !doc_is_null(b->doc->root)) {
		rc = b->cb(b->arg, b->doc->root);
	}
	doc_fini(b->doc);
	return rc;
}

static int on_event(struct builder *b, const yaml_event_t *e)
{
	struct doc_mark at = mark_of(&e->start_mark);

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->documents++ > 0 && b->cb == NULL) {
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
		return on_open(b, DOC_LIST, e->data.sequence_start.anchor,
			       e->data.sequence_start.tag, at);
	case YAML_MAPPING_START_EVENT:
		return on_open(b, DOC_MAP, e->data.mapping_start.anchor,
			       e->data.mapping_start.tag, at);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		return b->cb == NULL ? 0 : hand_over(b);
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
		struct doc_mark at = mark_of(&p->mark);

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

static int parse(struct builder *b, struct slice text)
{
	yaml_parser_t parser;
	yaml_event_t event;
	int rc = 0;

	if (!yaml_parser_initialize(&parser)) {
		return UV_ENOMEM;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&parser, (const unsigned char *)(text.n == 0 ? "" : text.p), text.n);
	while (rc == 0 && !b->done) {
		if (!yaml_parser_parse(&parser, &event)) {
			rc = syntax_error(b, &parser);
			break;
		}
		rc = on_event(b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return rc;
}

int doc_read(struct doc *d, struct slice text, struct doc_limits limits,
	     struct doc_error *err)
{
	struct builder b = {.doc = d, .limits = limits, .err = err};
	int rc;

	*d = (struct doc){NULL, NULL, 0};
	rc = parse(&b, text);
	if (rc != 0) {
		doc_fini(d);
	}
	return rc;
}

int doc_each(struct slice text, struct doc_limits limits, doc_cb cb, void *arg,
	     struct doc_error *err)
{
	struct doc d = {NULL, NULL, 0};
	struct builder b = {
		.doc = &d, .limits = limits, .err = err, .cb = cb, .arg = arg};
	int rc = parse(&b, text);

	doc_fini(&d);
	return rc;
}

void doc_fini(struct doc *d)
{
	while (d->all != NULL) {
		struct doc_node *n = d->all;

		d->all = n->all;
		free(n);
	}
	*d = (struct doc){NULL, NULL, 0};
}

const struct doc_node *doc_find_slice(const struct doc_node *n,
				      struct slice key)
{
	if (n == NULL || n->kind != DOC_MAP) {
		return NULL;
	}
	for (n = n->first; n != NULL; n = n->next) {
		if (slice_eq(n->key, key)) {
			return n;
		}
	}
	return NULL;
}

const struct doc_node *doc_find(const struct doc_node *n, const char *key)
{
	return doc_find_slice(n, slice_str(key));
}

bool doc_is_null(const struct doc_node *n)
{
	return n->kind == DOC_SCALAR && !n->quoted &&
	       (n->text.n == 0 || slice_eq(n->text, SLICE_LIT("~")) ||
		slice_eq(n->text, SLICE_LIT("null")));
}
