#include "config/read.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hostlist.h"
#include "common/strlist.h"
#include "config/facts.h"
#include "config/suggest.h"
#include "config/value.h"

enum { SHOWN = 80 };

void reading_error(struct reading *r, struct doc_mark at, const char *fmt, ...)
{
	struct config_errors *e = r->errs;
	char *text;
	int n;
	va_list ap;

	if (e->n == CONFIG_ERRORS_MAX) {
		e->more++;
		return;
	}
	text = e->text[e->n++];
	n = snprintf(text, CONFIG_ERROR_BYTES, "%.200s:%u:%u: ", r->name, at.line,
		     at.column);
	va_start(ap, fmt);
	vsnprintf(text + n, CONFIG_ERROR_BYTES - (size_t)n, fmt, ap);
	va_end(ap);
}

static void bad_value(struct reading *r, const struct option *o,
		      const struct doc_node *n, const char *why)
{
	char shown[SHOWN];

	reading_error(r, n->mark, "%s%s: %s: %s", r->prefix, o->key,
		      log_quote(shown, sizeof shown, n->text), why);
}

static void *at(void *settings, size_t offset)
{
	return (char *)settings + offset;
}

/* ---- one value ---- */

static void read_amount(struct reading *r, const struct option *o,
			const struct doc_node *n, uint64_t *out)
{
	char least[VALUE_TEXT], most[VALUE_TEXT];
	const char *why;
	uint64_t v;
	bool good;

	if (o->type == OPTION_SIZE) {
		good = value_size(n->text, &v, &why);
	} else if (o->type == OPTION_DURATION) {
		good = value_duration(n->text, &v, &why);
	} else {
		good = value_number(n->text, &v, &why);
	}
	if (!good) {
		bad_value(r, o, n, why);
	} else if (v < o->min || v > o->max) {
		char shown[SHOWN];

		option_amount(least, o->type, o->min);
		option_amount(most, o->type, o->max);
		reading_error(r, n->mark, "%s%s: %s is out of range: from %s to %s",
			      r->prefix, o->key, log_quote(shown, sizeof shown, n->text),
			      least, most);
	} else {
		*out = v;
	}
}

static void set_string(struct reading *r, char **out, struct slice s)
{
	char *copy = malloc(s.n + 1);

	if (copy == NULL) {
		r->rc = UV_ENOMEM;
		return;
	}
	if (s.n > 0) {
		memcpy(copy, s.p, s.n);
	}
	copy[s.n] = '\0';
	free(*out);
	*out = copy;
}

static void read_string(struct reading *r, const struct option *o,
			const struct doc_node *n, char **out)
{
	const char *why;
	bool good;

	if (n->text.n < o->min) {
		reading_error(r, n->mark, "%s%s: must not be empty", r->prefix, o->key);
		return;
	}
	if (n->text.n > o->max) {
		reading_error(r, n->mark, "%s%s: %zu bytes long; at most %" PRIu64
			      " are possible", r->prefix, o->key, n->text.n, o->max);
		return;
	}
	if (o->type == OPTION_PATH && n->text.n > 0) {
		good = value_path(n->text, &why);
	} else {
		good = value_text(n->text, &why);
	}
	if (good) {
		set_string(r, out, n->text);
	} else {
		bad_value(r, o, n, why);
	}
}

static void read_word(struct reading *r, const struct option *o,
		      const struct doc_node *n, unsigned *out)
{
	char all[128] = "", shown[SHOWN];
	size_t used = 0;

	for (unsigned i = 0; o->words[i] != NULL; i++) {
		if (slice_eq(n->text, slice_str(o->words[i]))) {
			*out = i;
			return;
		}
		used += (size_t)snprintf(all + used, sizeof all - used, "%s%s",
					 i == 0 ? "" : ", ", o->words[i]);
		assert(used < sizeof all);
	}
	reading_error(r, n->mark, "%s%s: %s: write one of %s", r->prefix, o->key,
		      log_quote(shown, sizeof shown, n->text), all);
}

static void read_host(struct reading *r, const struct option *o,
		      const struct doc_node *n, void *settings)
{
	uint16_t port = CONFIG_PORT;
	struct slice host = SLICE_NONE;
	const char *why;

	/* "" is the default of `collector:`: there is none. */
	if ((n->text.n > 0 || o->type == OPTION_ADDRESS) &&
	    !value_host_port(n->text, o->type == OPTION_ADDRESS, &host, &port,
			     &why)) {
		bad_value(r, o, n, why);
		return;
	}
	set_string(r, at(settings, o->offset), host);
	*(uint16_t *)at(settings, o->port) = port;
}

static void read_span(struct reading *r, const struct option *o,
		      const struct doc_node *n, struct day_span *out)
{
	const char *why;

	if (!value_span(n->text, out, &why)) {
		bad_value(r, o, n, why);
	}
}

/* One host of a list. */
static void add_host(struct reading *r, const struct option *o,
		     const struct doc_node *n, unsigned rank,
		     struct hostlist *out)
{
	struct slice host = SLICE_NONE;
	uint16_t port = CONFIG_PORT;
	const char *why;

	if (n->kind != DOC_SCALAR || doc_is_null(n)) {
		reading_error(r, n->mark, "%s%s: a host belongs here, or in a list of "
			      "equal ones", r->prefix, o->key);
		return;
	}
	if (!value_host_port(n->text, false, &host, &port, &why)) {
		bad_value(r, o, n, why);
		return;
	}
	for (size_t i = 0; i < out->n; i++) {
		if (out->v[i].port == port &&
		    slice_eq(slice_str(out->v[i].name), host)) {
			bad_value(r, o, n, "stands there twice");
			return;
		}
	}
	if (out->n == o->max) {
		reading_error(r, n->mark, "%s%s: at most %" PRIu64 " are possible",
			      r->prefix, o->key, o->max);
	} else if (hostlist_add(out, host, port, rank) != 0) {
		r->rc = UV_ENOMEM;
	}
}

/* One host; or a list in the order of preference, in which a list stands for equal
 * ones; "" and [] for none. */
static void read_hosts(struct reading *r, const struct option *o,
		       const struct doc_node *n, struct hostlist *out)
{
	unsigned rank = 0;

	if (n->kind == DOC_SCALAR && n->text.n > 0) {
		add_host(r, o, n, 0, out);
	}
	for (const struct doc_node *i = n->first;
	     n->kind == DOC_LIST && i != NULL; i = i->next) {
		if (i->kind != DOC_LIST) {
			add_host(r, o, i, rank, out);
		}
		for (const struct doc_node *k = i->first;
		     i->kind == DOC_LIST && k != NULL; k = k->next) {
			add_host(r, o, k, rank, out);
		}
		rank++;
	}
}

static void read_bool(struct reading *r, const struct option *o,
		      const struct doc_node *n, bool *out)
{
	const char *why;

	if (!value_bool(n->text, out, &why)) {
		bad_value(r, o, n, why);
	}
}

static void read_scalar(struct reading *r, const struct option *o,
			const struct doc_node *n, void *settings)
{
	void *out = at(settings, o->offset);

	switch (o->type) {
	case OPTION_BOOL:
		read_bool(r, o, n, out);
		break;
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		read_amount(r, o, n, out);
		break;
	case OPTION_TEXT:
	case OPTION_PATH:
		read_string(r, o, n, out);
		break;
	case OPTION_WORD:
		read_word(r, o, n, out);
		break;
	case OPTION_HOST:
	case OPTION_ADDRESS:
		read_host(r, o, n, settings);
		break;
	case OPTION_SPAN:
		read_span(r, o, n, out);
		break;
	case OPTION_HOSTS:
	case OPTION_TEXTS:
	case OPTION_PATHS:
	case OPTION_ITEMS:
		break; /* read_hosts()'s and read_list()'s */
	}
}

/* ---- lists ---- */

static void read_list_string(struct reading *r, const struct option *o,
			     const struct doc_node *n, struct strlist *out)
{
	const char *why;
	bool good;

	if (n->kind != DOC_SCALAR || doc_is_null(n)) {
		reading_error(r, n->mark, "%s%s: each entry is a single value",
			      r->prefix, o->key);
		return;
	}
	good = o->type == OPTION_PATHS ? value_path(n->text, &why)
				       : value_text(n->text, &why);
	if (!good) {
		bad_value(r, o, n, why);
	} else if (strlist_add(out, n->text) != 0) {
		r->rc = UV_ENOMEM;
	}
}

static void read_items(struct reading *r, const struct option *o,
		       const struct doc_node *list, size_t n, void *settings)
{
	const struct schema *s = o->items;
	char *items = n == 0 ? NULL : calloc(n, s->size);
	char prefix[KEY_MAX_SHOWN];
	size_t *count = at(settings, o->port);

	if (n > 0 && items == NULL) {
		r->rc = UV_ENOMEM;
		return;
	}
	/* Hung up first, so that settings_fini() frees a half-read one as well. */
	memcpy(at(settings, o->offset), &items, sizeof items);
	*count = n;
	snprintf(prefix, sizeof prefix, "%s: ", o->key);
	r->prefix = prefix;
	for (const struct doc_node *i = list->first; i != NULL; i = i->next) {
		if (i->kind != DOC_MAP) {
			reading_error(r, i->mark, "%seach entry is a mapping that "
				      "begins with \"- %s: ...\"", prefix,
				      s->options[0].key);
		} else {
			settings_read(r, s, i, items);
		}
		items += s->size;
	}
	r->prefix = "";
}

static void read_list(struct reading *r, const struct option *o,
		      const struct doc_node *list, void *settings)
{
	size_t n = 0;

	for (const struct doc_node *i = list->first; i != NULL; i = i->next) {
		n++;
	}
	if (n < o->min) {
		reading_error(r, list->mark, "%s%s: at least one entry is needed",
			      r->prefix, o->key);
		return;
	}
	if (n > o->max) {
		reading_error(r, list->mark, "%s%s: %zu entries; at most %" PRIu64
			      " are possible", r->prefix, o->key, n, o->max);
		return;
	}
	if (o->type == OPTION_ITEMS) {
		read_items(r, o, list, n, settings);
		return;
	}
	for (const struct doc_node *i = list->first; i != NULL; i = i->next) {
		read_list_string(r, o, i, at(settings, o->offset));
	}
}

static bool is_list(const struct option *o)
{
	return o->type == OPTION_TEXTS || o->type == OPTION_PATHS ||
	       o->type == OPTION_ITEMS;
}

static void read_option(struct reading *r, const struct option *o,
			const struct doc_node *n, void *settings)
{
	if (doc_is_null(n)) {
		reading_error(r, n->key_mark, "%s%s: no value; write one, or remove "
			      "the line for the default", r->prefix, o->key);
	} else if (o->type == OPTION_HOSTS && n->kind != DOC_MAP) {
		read_hosts(r, o, n, at(settings, o->offset));
	} else if (is_list(o) && n->kind != DOC_LIST) {
		reading_error(r, n->mark, "%s%s: a list belongs here: entries in "
			      "[...] or on lines that begin with \"- \"", r->prefix, o->key);
	} else if (!is_list(o) && n->kind != DOC_SCALAR) {
		reading_error(r, n->mark, "%s%s: a single value belongs here, not a %s",
			      r->prefix, o->key, n->kind == DOC_LIST ? "list" : "mapping");
	} else if (is_list(o)) {
		read_list(r, o, n, settings);
	} else {
		read_scalar(r, o, n, settings);
	}
}

/* ---- mappings ---- */

static const struct option *find_option(const struct schema *s,
					struct slice section, struct slice name)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct option *o = &s->options[i];

		if (slice_eq(section, slice(o->key, option_section(o))) &&
		    slice_eq(name, slice_str(option_name(o)))) {
			return o;
		}
	}
	return NULL;
}

static bool is_section(const struct schema *s, struct slice name)
{
	const struct section *i = s->sections;

	while (i != NULL && i->name != NULL) {
		if (slice_eq(name, slice_str(i->name))) {
			return true;
		}
		i++;
	}
	return false;
}

/* People put both programs' options into one file. */
static const struct schema *other_schema(const struct schema *s)
{
	return s == &agent_schema ? &collector_schema : &agent_schema;
}

static bool is_top_key(const struct schema *s, struct slice name)
{
	return is_section(s, name) || find_option(s, SLICE_NONE, name) != NULL;
}

static void unknown_key(struct reading *r, const struct schema *s,
			struct slice section, const struct doc_node *n)
{
	char shown[KEY_MAX_SHOWN + 4], best[SUGGEST_TEXT];
	const char *where = section.n > 0 ? " in " : "";
	bool top = s == &agent_schema || s == &collector_schema;

	log_quote(shown, sizeof shown, n->key);
	if (top && section.n == 0 && is_top_key(other_schema(s), n->key)) {
		reading_error(r, n->key_mark, "%s is an option of the %s, not of the %s",
			      shown, other_schema(s)->name, s->name);
	} else if (suggest_key(best, s, section, n->key)) {
		reading_error(r, n->key_mark,
			      "%sunknown key %s%s%.*s, did you mean \"%s\"?",
			      r->prefix, shown, where, SLICE_ARG(section), best);
	} else {
		reading_error(r, n->key_mark,
			      "%sunknown key %s%s%.*s; nightjar config %s lists "
			      "what there is",
			      r->prefix, shown, where, SLICE_ARG(section),
			      s == &collector_schema ? "collector" : "agent");
	}
}

static void read_section(struct reading *r, const struct schema *s,
			 struct slice section, const struct doc_node *map,
			 void *settings)
{
	for (const struct doc_node *n = map->first; n != NULL; n = n->next) {
		const struct option *o = find_option(s, section, n->key);

		if (o != NULL) {
			read_option(r, o, n, settings);
		} else if (section.n > 0 || !is_section(s, n->key)) {
			unknown_key(r, s, section, n);
		} else if (n->kind == DOC_MAP) {
			read_section(r, s, n->key, n, settings);
		} else if (!doc_is_null(n)) {
			/* A section with everything in it commented out is fine. */
			reading_error(r, n->mark, "%.*s: its options belong on lines of "
				      "their own below it, indented",
				      SLICE_ARG(n->key));
		}
	}
}

static const struct doc_node *find_given(const struct doc_node *root,
				     const struct option *o)
{
	size_t section = option_section(o);
	const struct doc_node *map = root;

	if (map != NULL && map->kind == DOC_MAP && section > 0) {
		map = doc_find_slice(map, slice(o->key, section));
	}
	if (map == NULL || map->kind != DOC_MAP) {
		return NULL;
	}
	return doc_find_slice(map, slice_str(option_name(o)));
}

struct doc_mark settings_mark(const struct doc_node *root, const char *key)
{
	const struct doc_node *n = find_given(root, &(struct option){.key = key});

	return n == NULL ? (struct doc_mark){1, 1} : n->mark;
}

/* The default is read by the same way as the file. */
static void read_default(struct reading *r, const struct option *o, void *settings)
{
	struct doc t;
	struct doc_error err;

	if (doc_read(&t, slice_str(o->initial), config_limits, &err) != 0) {
		/* The table's texts are well-formed: a unit test reads them all. */
		r->rc = UV_ENOMEM;
		return;
	}
	read_option(r, o, t.root, settings);
	doc_fini(&t);
}

void settings_read(struct reading *r, const struct schema *s,
		   const struct doc_node *root, void *settings)
{
	size_t before = r->errs->n + r->errs->more;

	if (root != NULL && root->kind != DOC_MAP) {
		reading_error(r, root->mark, "the file must be a mapping: lines of the "
			      "form \"key: value\"");
		return;
	}
	for (size_t i = 0; i < s->n; i++) {
		const struct option *o = &s->options[i];

		if (find_given(root, o) != NULL) {
			continue;
		}
		if (o->initial != NULL) {
			read_default(r, o, settings);
		} else {
			/* Only an item can lack something: its map is there. */
			assert(root != NULL);
			reading_error(r, root->mark, "%sthe key \"%s\" is missing",
				      r->prefix, o->key);
		}
	}
	if (root != NULL) {
		read_section(r, s, SLICE_NONE, root, settings);
	}
	if (s->check != NULL && r->rc == 0 && r->errs->n + r->errs->more == before) {
		s->check(r, settings, root);
	}
}

static void free_items(const struct option *o, void *settings)
{
	size_t n = *(size_t *)at(settings, o->port);
	char *items;

	memcpy(&items, at(settings, o->offset), sizeof items);
	for (size_t i = 0; i < n; i++) {
		settings_fini(o->items, items + i * o->items->size);
	}
	free(items);
}

void settings_fini(const struct schema *s, void *settings)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct option *o = &s->options[i];

		switch (o->type) {
		case OPTION_TEXT:
		case OPTION_PATH:
		case OPTION_HOST:
		case OPTION_ADDRESS:
			free(*(char **)at(settings, o->offset));
			break;
		case OPTION_HOSTS:
			hostlist_fini(at(settings, o->offset));
			break;
		case OPTION_TEXTS:
		case OPTION_PATHS:
			strlist_fini(at(settings, o->offset));
			break;
		case OPTION_ITEMS:
			free_items(o, settings);
			break;
		default:
			break;
		}
	}
}
