#include "detectors/placeholder.h"

#include "common/err.h"
#include "common/log.h"
#include "detectors/rule.h"

enum { TEXT_MAX = MATCH_VALUE_MAX, DEPTH_MAX = 8 };

void placeholders_fini(struct placeholders *p)
{
	arena_fini(&p->arena);
	p->first = NULL;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool name_is_good(struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (!is_name(name.p[i])) {
			return false;
		}
	}
	return name.n > 0;
}

static int keep(struct placeholders *p, struct placeholder *h, const struct doc_node *n,
		const struct complain *c)
{
	struct placeholder_value *v, **tail = &h->values;
	const char *copy;

	if (n->kind != DOC_SCALAR || doc_is_null(n) || n->text.n > TEXT_MAX) {
		complain(c, n->mark, "the values of a placeholder are texts of at most %d bytes",
			 TEXT_MAX);
		return ERR_MALFORMED;
	}
	v = arena_take(&p->arena, sizeof *v);
	copy = arena_text(&p->arena, n->text);
	if (v == NULL || copy == NULL) {
		return UV_ENOMEM;
	}
	v->text = slice(copy, n->text.n);
	while (*tail != NULL) {
		tail = &(*tail)->next;
	}
	*tail = v;
	return 0;
}

static int read_one(struct placeholders *p, const struct doc_node *n, const struct complain *c)
{
	const struct doc_node *v = n->kind == DOC_LIST ? n->first : n;
	struct placeholder *h;
	const char *copy;
	int rc = 0;

	if (!name_is_good(n->key) || n->kind == DOC_MAP || v == NULL) {
		complain(c, n->key_mark, "a placeholder is a word with a value or a list of "
			 "values, such as \"Servers: [web1, 'db*']\"");
		return ERR_MALFORMED;
	}
	h = arena_take(&p->arena, sizeof *h);
	copy = arena_text(&p->arena, n->key);
	if (h == NULL || copy == NULL) {
		return UV_ENOMEM;
	}
	h->name = slice(copy, n->key.n);
	for (; rc == 0 && v != NULL; v = n->kind == DOC_LIST ? v->next : NULL) {
		rc = keep(p, h, v, c);
	}
	if (rc == 0) {
		h->next = p->first;
		p->first = h;
	}
	return rc;
}

int placeholders_read(struct placeholders *p, const struct doc_node *root,
		      const struct complain *c)
{
	int rc = 0;

	if (root->kind != DOC_MAP) {
		complain(c, root->mark, "placeholders are a mapping of names to values");
		return ERR_MALFORMED;
	}
	for (const struct doc_node *n = root->first; rc == 0 && n != NULL; n = n->next) {
		rc = read_one(p, n, c);
	}
	return rc;
}

static const struct placeholder *find(const struct placeholders *p, struct slice name)
{
	const struct placeholder *h = p->first;

	while (h != NULL && !slice_eq(h->name, name)) {
		h = h->next;
	}
	return h;
}

bool placeholders_has(const struct placeholders *p, struct slice name)
{
	return find(p, name) != NULL;
}

bool placeholder_alone(struct slice text, struct slice *name)
{
	if (text.n < 3 || text.p[0] != '%' || text.p[text.n - 1] != '%') {
		return false;
	}
	*name = slice(text.p + 1, text.n - 2);
	return name_is_good(*name);
}

/* ---- expansion ---- */

struct expanding {
	const struct placeholders *p;
	const struct complain *complain;
	const struct doc_node *n;
	placeholder_cb text;
	void *arg;
	char done[TEXT_MAX]; /* what stands in front of `rest` */
};

/* The next "%name%" in s that no backslash escapes; false: there is none. */
static bool next_name(struct slice s, size_t *at, struct slice *name)
{
	for (size_t i = 0; i < s.n; i++) {
		size_t end = i + 1;

		if (s.p[i] == '\\' && i + 1 < s.n) {
			i++;
			continue;
		}
		if (s.p[i] != '%') {
			continue;
		}
		while (end < s.n && is_name(s.p[end])) {
			end++;
		}
		if (end < s.n && end > i + 1 && s.p[end] == '%') {
			*at = i;
			*name = slice(s.p + i + 1, end - i - 1);
			return true;
		}
	}
	return false;
}

/* Puts a literal part behind what is done; "\%" becomes a plain "%".  false: too long. */
static bool put_part(struct expanding *x, size_t *n, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool escape = s.p[i] == '\\' && i + 1 < s.n;

		if (escape && s.p[i + 1] == '%') {
			continue;
		}
		if (sizeof x->done - *n < 2) {
			return false;
		}
		x->done[(*n)++] = s.p[i];
		if (escape) {
			x->done[(*n)++] = s.p[++i];
		}
	}
	return true;
}

static int too_long(const struct expanding *x)
{
	complain(x->complain, x->n->mark, "with its placeholders the value is longer than %d "
		 "bytes", TEXT_MAX);
	return -1;
}

static int expand(struct expanding *x, size_t n, struct slice rest, unsigned depth)
{
	const struct placeholder *h;
	struct slice name;
	char shown[80];
	size_t at;
	int rc = 0;

	if (!next_name(rest, &at, &name)) {
		return put_part(x, &n, rest) ? x->text(x->arg, slice(x->done, n)) : too_long(x);
	}
	h = find(x->p, name);
	if (depth == DEPTH_MAX) {
		complain(x->complain, x->n->mark, "more than %d placeholders in one value",
			 DEPTH_MAX);
		return -1;
	}
	if (h == NULL) {
		complain(x->complain, x->n->mark, "nothing says what the placeholder %s stands "
			 "for: name it and its values in the file of the option "
			 "detectors.placeholders, or a list in detectors.lists",
			 log_quote(shown, sizeof shown, slice(name.p - 1, name.n + 2)));
		return -1;
	}
	if (!put_part(x, &n, slice_head(rest, at))) {
		return too_long(x);
	}
	for (const struct placeholder_value *v = h->values; rc == 0 && v != NULL; v = v->next) {
		if (v->text.n > sizeof x->done - n) {
			return too_long(x);
		}
		memcpy(x->done + n, v->text.p, v->text.n);
		rc = expand(x, n + v->text.n, slice_skip(rest, at + name.n + 2), depth + 1);
	}
	return rc;
}

int placeholders_expand(const struct placeholders *p, const struct complain *c,
			const struct doc_node *n, placeholder_cb text, void *arg)
{
	struct expanding x = {.p = p, .complain = c, .n = n, .text = text, .arg = arg};

	return expand(&x, 0, n->text, 0);
}
