#include "detectors/doc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "common/err.h"
#include "common/log.h"

/* An open list or mapping. */
struct level {
	struct doc_node *node;
	struct doc_node **tail; /* where its next child goes */
	struct doc_node *key;   /* mapping: read, its value is still to come */
};

struct builder {
	struct doc_error *err;
	doc_cb cb;
	void *arg;
	struct doc_node *root;
	struct doc_node *all;
	size_t n;
	struct level level[DOC_DEPTH];
	unsigned depth;
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

static void document_free(struct builder *b)
{
	while (b->all != NULL) {
		struct doc_node *n = b->all;

		b->all = n->all;
		free(n);
	}
	b->root = NULL;
	b->n = 0;
	b->depth = 0;
}

/* One block for the node and its text. */
static int node_new(struct builder *b, struct doc_node **out,
		    enum doc_kind kind, struct slice text, struct doc_mark at)
{
	struct doc_node *n;
	char *copy;

	if (b->n >= DOC_NODES) {
		return refuse(b, at, "more than %d values in one document",
			      DOC_NODES);
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
	n->all = b->all;
	b->all = n;
	b->n++;
	*out = n;
	return 0;
}

static int take_key(struct builder *b, struct level *l, struct doc_node *n)
{
	char shown[64];

	if (n->kind != DOC_SCALAR) {
		return refuse(b, n->mark, "a key must be a word, not a list or a mapping");
	}
	for (const struct doc_node *c = l->node->first; c != NULL; c = c->next) {
		if (slice_eq(c->key, n->text)) {
			return refuse(b, n->mark,
				      "key %s stands here a second time; the "
				      "first is in line %u: keep one of them",
				      log_quote(shown, sizeof shown, n->text),
				      c->key_mark.line);
		}
	}
	l->key = n;
	return 0;
}

/* Hangs n where it belongs. */
static int attach(struct builder *b, struct doc_node *n)
{
	struct level *l;

	if (b->depth == 0) {
		b->root = n;
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
		return refuse(b, at, "anchors (&) are not supported: write the "
				     "value out, or put it in quotes");
	}
	if (tag != NULL) {
		return refuse(b, at, "tags (!) are not supported: remove it, or "
				     "put the value in quotes");
	}
	return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *e,
		     struct doc_mark at)
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
	if (b->depth == DOC_DEPTH) {
		return refuse(b, at, "nested more than %d levels deep", DOC_DEPTH);
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

static int on_document(struct builder *b)
{
	int rc = 0;

	if (b->root != NULL && !doc_is_null(b->root)) {
		rc = b->cb(b->arg, b->root);
	}
	document_free(b);
	return rc;
}

static int on_event(struct builder *b, const yaml_event_t *e)
{
	struct doc_mark at = mark_of(&e->start_mark);

	switch (e->type) {
	case YAML_ALIAS_EVENT:
		return refuse(b, at, "aliases (*) are not supported: a value that "
				     "begins with * needs quotes");
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
		return on_document(b);
	case YAML_STREAM_END_EVENT:
		b->done = true;
		return 0;
	default:
		return 0;
	}
}

static int syntax_error(struct builder *b, const yaml_parser_t *p)
{
	const char *problem = p->problem == NULL ? "not valid YAML" : p->problem;

	if (p->error == YAML_MEMORY_ERROR) {
		return UV_ENOMEM;
	}
	if (p->error == YAML_READER_ERROR) {
		return refuse(b, mark_of(&p->mark),
			      "%s at byte %zu: save the file as plain UTF-8 text",
			      problem, p->problem_offset);
	}
	if (strstr(problem, "cannot start any token") != NULL) {
		return refuse(b, mark_of(&p->problem_mark),
			      "%s: indent with blanks, not tabs, and put values "
			      "that begin with @, ` or %% in quotes", problem);
	}
	return refuse(b, mark_of(&p->problem_mark), "%s", problem);
}

int doc_parse(struct slice text, doc_cb cb, void *arg, struct doc_error *err)
{
	struct builder b = {.err = err, .cb = cb, .arg = arg};
	yaml_parser_t parser;
	yaml_event_t event;
	int rc = 0;

	if (!yaml_parser_initialize(&parser)) {
		return UV_ENOMEM;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.p,
				     text.n);
	while (rc == 0 && !b.done) {
		if (!yaml_parser_parse(&parser, &event)) {
			rc = syntax_error(&b, &parser);
			break;
		}
		rc = on_event(&b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	document_free(&b);
	return rc;
}

const struct doc_node *doc_find(const struct doc_node *n, const char *key)
{
	if (n == NULL || n->kind != DOC_MAP) {
		return NULL;
	}
	for (n = n->first; n != NULL; n = n->next) {
		if (slice_eq(n->key, slice_str(key))) {
			return n;
		}
	}
	return NULL;
}

bool doc_is_null(const struct doc_node *n)
{
	return n->kind == DOC_SCALAR && !n->quoted &&
	       (n->text.n == 0 || slice_eq(n->text, SLICE_LIT("~")) ||
		slice_eq(n->text, SLICE_LIT("null")));
}
