/* print: the table as a configuration file and as JSON. */
#include <stdio.h>
#include <string.h>

#include "common/doc.h"
#include "common/err.h"
#include "common/json.h"
#include "config/config.h"
#include "config/facts.h"
#include "config/table.h"

enum { WIDTH = 80, INDENT = 2 };

/* The first error sticks. */
struct printer {
	struct buf *out;
	int rc;
	unsigned base;  /* blanks before everything */
	bool commented; /* values stand behind a # after base */
};

static const struct schema *schema_of(enum config_kind kind)
{
	return kind == CONFIG_AGENT ? &agent_schema : &collector_schema;
}

/* base blanks, a # if that is to be out of force, then deeper blanks. */
static void margin(struct printer *p, unsigned deeper, bool out)
{
	if (p->rc == 0) {
		p->rc = buf_printf(p->out, "%*s%s%*s", (int)p->base, "",
				   out ? "#" : "", (int)deeper, "");
	}
}

static void text(struct printer *p, struct slice s)
{
	if (p->rc == 0) {
		p->rc = buf_add_slice(p->out, s);
	}
}

static void words(struct printer *p, const char *s)
{
	text(p, slice_str(s));
}

/* One comment line after another, broken at blanks. */
static void comment(struct printer *p, unsigned deeper, struct slice s)
{
	size_t room = WIDTH - p->base - deeper - 4;

	while (s.n > 0) {
		struct slice part = slice_head(s, room);
		size_t at = s.n;

		if (s.n > room) {
			at = slice_rfind(part, SLICE_LIT(" "));
			/* A word longer than the line stands on one of its own. */
			at = at != SIZE_MAX ? at : slice_find(s, SLICE_LIT(" "));
			at = at != SIZE_MAX ? at : s.n;
		}
		margin(p, deeper, p->commented && deeper > 0);
		words(p, "# ");
		text(p, slice_head(s, at));
		words(p, "\n");
		s = slice_skip(s, at + 1);
	}
}

static void explain(struct printer *p, unsigned deeper, const struct option *o,
		    bool example)
{
	struct buf all;
	int rc;

	buf_init(&all, 4096);
	rc = buf_printf(&all, "%s", o->help);
	if (rc == 0 && (o->type == OPTION_WORD || o->type == OPTION_NUMBER ||
			o->type == OPTION_SIZE || o->type == OPTION_DURATION)) {
		rc = buf_printf(&all, " ");
		rc = rc == 0 ? option_range(o, &all) : rc;
	}
	if (rc == 0 && example && o->example != NULL) {
		rc = buf_printf(&all, " Example: %s", o->example);
	}
	if (p->rc == 0) {
		p->rc = rc;
	}
	comment(p, deeper, buf_slice(&all));
	buf_fini(&all);
}

/* A list of plain words or a plain word, as the defaults in the table are. */
static void node_text(struct printer *p, const struct doc_node *n)
{
	if (n->kind == DOC_SCALAR) {
		text(p, n->text);
		return;
	}
	words(p, "[");
	for (const struct doc_node *i = n->first; i != NULL; i = i->next) {
		text(p, i->text);
		words(p, i->next != NULL ? ", " : "");
	}
	words(p, "]");
}

/* The options of one entry of a list.  given: the default's entry, or NULL for
 * an example. */
static void print_item(struct printer *p, unsigned deeper, const struct schema *s,
		       const struct doc_node *given)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct option *o = &s->options[i];
		const struct doc_node *n = NULL;

		if (given != NULL) {
			n = doc_find_slice(given, slice_str(o->key));
		}
		explain(p, deeper + INDENT, o, false);
		margin(p, deeper, p->commented);
		words(p, i == 0 ? "- " : "  ");
		words(p, o->key);
		words(p, ": ");
		if (n != NULL) {
			node_text(p, n);
		} else if (o->initial == NULL ||
			   (given == NULL && o->example != NULL)) {
			words(p, o->example);
		} else {
			words(p, o->initial);
		}
		words(p, "\n");
	}
}

/* A list without entries is followed by an example that is out of force. */
static void print_items(struct printer *p, const struct option *o)
{
	struct doc t;
	struct doc_error err;
	bool commented = p->commented;

	if (p->rc != 0) {
		return;
	}
	p->rc = doc_read(&t, slice_str(o->initial), config_limits, &err);
	if (p->rc != 0) {
		return;
	}
	margin(p, 0, p->commented);
	words(p, option_name(o));
	if (t.root->first == NULL) {
		words(p, ": []\n");
		p->commented = true;
		margin(p, 0, true);
		words(p, option_name(o));
	}
	words(p, ":\n");
	print_item(p, INDENT, o->items, t.root->first);
	p->commented = commented;
	doc_fini(&t);
}

static void print_option(struct printer *p, const struct option *o)
{
	explain(p, 0, o, !p->commented);
	if (o->type == OPTION_ITEMS) {
		print_items(p, o);
		return;
	}
	margin(p, 0, p->commented);
	words(p, option_name(o));
	words(p, ": ");
	words(p, p->commented && o->example != NULL ? o->example : o->initial);
	words(p, "\n");
}

static void print_section_head(struct printer *p, const struct schema *s,
			       struct slice name)
{
	for (const struct section *i = s->sections; i->name != NULL; i++) {
		if (slice_eq(name, slice_str(i->name))) {
			p->base = 0;
			comment(p, 0, slice_str(i->help));
			text(p, name);
			words(p, ":\n");
		}
	}
}

int config_print_yaml(enum config_kind kind, bool template, struct buf *out)
{
	const struct schema *s = schema_of(kind);
	struct printer p = {out, 0, 0, template};
	struct slice section = SLICE_NONE;

	p.rc = buf_printf(out, "# Nightjar's %s. %s\n# nightjar check -c FILE checks "
			  "this file, nightjar.yaml(5) tells more.\n", s->name,
			  template ? "Remove the # where you change a default."
				   : "Every option with its default.");
	for (size_t i = 0; i < s->n; i++) {
		const struct option *o = &s->options[i];
		struct slice own = slice(o->key, option_section(o));

		words(&p, "\n");
		if (!slice_eq(own, section)) {
			section = own;
			print_section_head(&p, s, section);
		}
		p.base = section.n > 0 ? INDENT : 0;
		print_option(&p, o);
	}
	return p.rc;
}

/* ---- JSON ---- */

/* The default as JSON: text where it is written as text, so that units stay. */
static void json_node(struct json *j, const char *key, const struct option *o,
		      const struct doc_node *n)
{
	switch (n->kind) {
	case DOC_LIST:
		json_array(j, key);
		for (const struct doc_node *i = n->first; i != NULL; i = i->next) {
			json_node(j, NULL, o, i);
		}
		json_array_end(j);
		break;
	case DOC_MAP:
		json_object(j, key);
		for (const struct doc_node *i = n->first; i != NULL; i = i->next) {
			/* Its keys are those of the table: they end with NUL. */
			json_node(j, i->key.p, o, i);
		}
		json_object_end(j);
		break;
	case DOC_SCALAR:
		if (o->type == OPTION_BOOL || o->type == OPTION_NUMBER) {
			json_raw(j, key, n->text);
		} else {
			json_string(j, key, n->text);
		}
		break;
	}
}

static int json_default(struct json *j, const struct option *o)
{
	struct doc t;
	struct doc_error err;
	int rc;

	if (o->initial == NULL) {
		return 0;
	}
	rc = doc_read(&t, slice_str(o->initial), config_limits, &err);
	if (rc == 0) {
		json_node(j, "default", o, t.root);
		doc_fini(&t);
	}
	return rc;
}

static void json_range(struct json *j, const struct option *o)
{
	char least[VALUE_TEXT], most[VALUE_TEXT];

	if (o->type == OPTION_NUMBER) {
		json_u64(j, "minimum", o->min);
		json_u64(j, "maximum", o->max);
	} else if (o->type == OPTION_SIZE || o->type == OPTION_DURATION) {
		option_amount(least, o->type, o->min);
		option_amount(most, o->type, o->max);
		json_cstr(j, "minimum", least);
		json_cstr(j, "maximum", most);
	} else if (o->type == OPTION_WORD) {
		json_array(j, "choices");
		for (size_t i = 0; o->words[i] != NULL; i++) {
			json_cstr(j, NULL, o->words[i]);
		}
		json_array_end(j);
	}
}

static int json_options(struct json *j, const struct schema *s);

static int json_option(struct json *j, const struct option *o)
{
	int rc;

	json_object(j, NULL);
	json_cstr(j, "key", o->key);
	json_cstr(j, "type", option_type_name(o));
	json_bool(j, "required", o->initial == NULL);
	rc = json_default(j, o);
	json_range(j, o);
	json_bool(j, "reload", o->reload == RELOAD_LIVE);
	json_cstr(j, "help", o->help);
	if (rc == 0 && o->items != NULL) {
		json_array(j, "options");
		rc = json_options(j, o->items);
		json_array_end(j);
	}
	json_object_end(j);
	return rc;
}

static int json_options(struct json *j, const struct schema *s)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->n; i++) {
		rc = json_option(j, &s->options[i]);
	}
	return rc;
}

int config_print_json(enum config_kind kind, struct buf *out)
{
	struct json j = json_begin(out);
	int rc;

	json_array(&j, NULL);
	rc = json_options(&j, schema_of(kind));
	json_array_end(&j);
	return rc != 0 ? rc : json_end(&j);
}
