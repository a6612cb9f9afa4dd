#include <stdio.h>

#include "common/err.h"
#include "common/log.h"
#include "detectors/field.h"
#include "detectors/refer.h"
#include "detectors/rule.h"

enum { KEY_SHOWN = 80 };

/* A key of a selection: the field and what its modifiers ask for. */
struct key {
	int field;
	struct match_how how;
	bool all, exists, neq, expand, null_allowed;
	const char *never; /* of a field that no line has: its name */
	struct doc_mark mark;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- values ---- */

/* The matches that one value has become. */
struct value {
	struct building *b;
	const struct key *key;
	const struct doc_node *n;
	uint16_t kids[VALUE_TEXTS];
	size_t count;
};

static int on_match(void *arg, const struct match *m)
{
	struct value *v = arg;
	struct match named = *m;
	int node;

	if (v->count == COUNT(v->kids)) {
		match_fini(&named);
		complain(v->b->complain, v->n->mark, "this value stands for more than %d, by its "
			 "modifiers or placeholders", VALUE_TEXTS);
		return -1;
	}
	named.never = v->key->never;
	node = building_match(v->b, &named, v->n->mark);
	if (node < 0) {
		match_fini(&named);
		return -1;
	}
	v->kids[v->count++] = (uint16_t)node;
	return 0;
}

static int on_text(void *arg, struct slice text)
{
	struct value *v = arg;
	char why[MATCH_WHY] = "";
	int rc = match_compile((unsigned)v->key->field, &v->b->set->arena, text, &v->key->how,
			       on_match, v, why);

	if (rc == ERR_MALFORMED || rc == UV_ENOMEM) {
		complain(v->b->complain, v->n->mark, "%s", rc == UV_ENOMEM ? err_str(rc) : why);
	}
	return rc < 0 ? -1 : 0;
}

static int read_presence(struct building *b, const struct doc_node *n, const struct key *k)
{
	struct match m = {.op = MATCH_EXISTS, .field = (uint8_t)k->field, .never = k->never};

	m.u.number = slice_eq_nocase(n->text, SLICE_LIT("true"));
	if (!m.u.number && !slice_eq_nocase(n->text, SLICE_LIT("false"))) {
		complain(b->complain, n->mark, "exists takes true or false");
		return -1;
	}
	return building_match(b, &m, n->mark);
}

static int read_null(struct building *b, const struct doc_node *n, const struct key *k)
{
	struct match m = {.op = MATCH_NULL, .field = (uint8_t)k->field};

	if (!k->null_allowed) {
		complain(b->complain, n->mark, "null can't stand in a list or behind a modifier; "
			 "an empty text is \'\', and a selection of its own takes null");
		return -1;
	}
	return building_match(b, &m, n->mark);
}

/* A placeholder that stands for a list of the user's (roster.h): not its values, which may
 * be a million, but the list itself.  NULL: it is none. */
static const struct refer_list *list_of(const struct building *b, const struct key *k,
					const struct doc_node *n)
{
	struct slice name;

	return k->expand && placeholder_alone(n->text, &name) &&
			       !placeholders_has(b->set->placeholders, name)
		       ? refer_list(b->set->refer, name) : NULL;
}

static int read_list(struct building *b, const struct doc_node *n, const struct key *k,
		     const struct refer_list *l)
{
	const struct match_how *h = &k->how;
	struct match m = {.op = MATCH_LIST, .field = (uint8_t)k->field, .never = k->never};

	if (h->n_steps > 0 || h->re || h->number != 0 || h->part != 0 || h->cased) {
		complain(b->complain, n->mark, "a list is compared as a whole: with expand go "
			 "only cidr, all and neq");
		return -1;
	}
	m.u.list = l;
	return building_match(b, &m, n->mark);
}

static int read_value(struct building *b, const struct doc_node *n,
		      const struct key *k)
{
	struct value v = {.b = b, .key = k, .n = n};
	const struct refer_list *list;
	int rc;

	if (n->kind != DOC_SCALAR) {
		complain(b->complain, n->mark, "a text or a number must stand here");
		return -1;
	}
	if (k->exists) {
		return read_presence(b, n, k);
	}
	if (doc_is_null(n)) {
		return read_null(b, n, k);
	}
	list = list_of(b, k, n);
	if (list != NULL) {
		return read_list(b, n, k, list);
	}
	rc = k->expand ? placeholders_expand(b->set->placeholders, b->complain, n, on_text, &v)
		       : on_text(&v, n->text);
	if (rc != 0) {
		return -1;
	}
	return building_join(b, NODE_OR, v.kids, v.count, n->mark);
}

/* ---- modifiers ---- */

static const struct {
	const char *name;
	size_t flag; /* offset of a bool in struct key */
} plain_modifiers[] = {
	{"cased", offsetof(struct key, how.cased)},
	{"re", offsetof(struct key, how.re)},
	{"i", offsetof(struct key, how.re_i)},
	{"m", offsetof(struct key, how.re_m)},
	{"s", offsetof(struct key, how.re_s)},
	{"cidr", offsetof(struct key, how.cidr)},
	{"fieldref", offsetof(struct key, how.fieldref)},
	{"all", offsetof(struct key, all)},
	{"exists", offsetof(struct key, exists)},
	{"neq", offsetof(struct key, neq)},
	{"expand", offsetof(struct key, expand)},
};
static const struct {
	const char *name;
	uint8_t step;
} step_modifiers[] = {
	{"contains", STEP_CONTAINS}, {"startswith", STEP_STARTSWITH},
	{"endswith", STEP_ENDSWITH}, {"windash", STEP_WINDASH},
	{"wide", STEP_UTF16LE}, {"utf16le", STEP_UTF16LE}, {"utf16be", STEP_UTF16BE},
	{"utf16", STEP_UTF16}, {"base64", STEP_BASE64},
	{"base64offset", STEP_BASE64OFFSET},
};
static const struct {
	const char *name;
	uint8_t op, part;
} number_modifiers[] = {
	{"lt", MATCH_LT, 0}, {"lte", MATCH_LTE, 0}, {"gt", MATCH_GT, 0},
	{"gte", MATCH_GTE, 0}, {"minute", 0, PART_MINUTE}, {"hour", 0, PART_HOUR},
	{"day", 0, PART_DAY}, {"week", 0, PART_WEEK}, {"month", 0, PART_MONTH},
	{"year", 0, PART_YEAR},
};

/* NULL: taken; else what is wrong with it. */
static const char *take_step(struct key *k, uint8_t step)
{
	if (k->how.n_steps == VALUE_STEPS) {
		return "these are too many modifiers";
	}
	k->how.steps[k->how.n_steps++] = step;
	return NULL;
}

static const char *take_number(struct key *k, uint8_t op, uint8_t part)
{
	if ((op != 0 && k->how.number != 0) || (part != 0 && k->how.part != 0)) {
		return "these modifiers exclude each other";
	}
	k->how.number = op != 0 ? op : k->how.number;
	k->how.part = part != 0 ? part : k->how.part;
	return NULL;
}

static const char *take_modifier(struct key *k, struct slice name)
{
	for (size_t i = 0; i < COUNT(plain_modifiers); i++) {
		if (slice_eq(name, slice_str(plain_modifiers[i].name))) {
			bool *flag = (bool *)((char *)k + plain_modifiers[i].flag);

			if (flag == &k->expand && k->how.n_steps > 0 &&
			    k->how.steps[k->how.n_steps - 1] > STEP_ENDSWITH) {
				return "expand must stand in front of what encodes";
			}
			*flag = true;
			return NULL;
		}
	}
	for (size_t i = 0; i < COUNT(step_modifiers); i++) {
		if (slice_eq(name, slice_str(step_modifiers[i].name))) {
			return take_step(k, step_modifiers[i].step);
		}
	}
	for (size_t i = 0; i < COUNT(number_modifiers); i++) {
		if (slice_eq(name, slice_str(number_modifiers[i].name))) {
			return take_number(k, number_modifiers[i].op, number_modifiers[i].part);
		}
	}
	return "";
}

/* Modifiers that say two things at once. */
static const char *contradiction(const struct key *k)
{
	const struct match_how *h = &k->how;
	bool number = h->number != 0 || h->part != 0;
	int kinds = h->re + h->cidr + h->fieldref + number + k->exists;

	if (kinds > 1 || (kinds == 1 && h->n_steps > 0 && !h->fieldref)) {
		return "these modifiers exclude each other";
	}
	if (h->fieldref && (h->n_steps > 1 || (h->n_steps == 1 && h->steps[0] > STEP_ENDSWITH))) {
		return "fieldref goes with one of contains, startswith, endswith";
	}
	if (k->expand && (h->fieldref || k->exists)) {
		return "expand is for values, and these modifiers take none";
	}
	if ((h->re_i || h->re_m || h->re_s) && !h->re) {
		return "i, m and s belong behind re";
	}
	if (h->cased && (h->re || h->cidr || number || k->exists)) {
		return "cased only makes sense for texts";
	}
	return NULL;
}

static bool read_modifiers(struct building *b, struct slice rest, struct key *k)
{
	struct doc_mark at = k->mark;
	char shown[KEY_SHOWN];
	const char *wrong;

	while (rest.n > 0) {
		size_t bar = slice_find(rest, SLICE_LIT("|"));
		struct slice name = slice_head(rest, bar);

		wrong = take_modifier(k, name);
		if (wrong != NULL && wrong[0] != '\0') {
			complain(b->complain, at, "%s", wrong);
			return false;
		}
		if (wrong != NULL) {
			complain(b->complain, at, "%s is no modifier that Sigma knows",
				 log_quote(shown, sizeof shown, name));
			return false;
		}
		rest = bar == SIZE_MAX ? SLICE_NONE : slice_skip(rest, bar + 1);
	}
	wrong = contradiction(k);
	if (wrong != NULL) {
		complain(b->complain, at, "%s", wrong);
		return false;
	}
	return true;
}

/* Keywords stand anywhere in the line, unless a modifier says where. */
static void anywhere(struct key *k)
{
	for (unsigned i = 0; i < k->how.n_steps; i++) {
		if (k->how.steps[i] <= STEP_ENDSWITH) {
			return;
		}
	}
	if (!k->how.re && k->how.n_steps < VALUE_STEPS) {
		k->how.steps[k->how.n_steps++] = STEP_CONTAINS;
	}
}

static bool read_key(struct building *b, const struct doc_node *n, struct key *k)
{
	size_t bar = slice_find(n->key, SLICE_LIT("|"));
	struct slice name = slice_head(n->key, bar);
	char shown[KEY_SHOWN];
	const char *like;

	*k = (struct key){.mark = n->key_mark};
	if (bar != SIZE_MAX && !read_modifiers(b, slice_skip(n->key, bar + 1), k)) {
		return false;
	}
	if (name.n == 0) {
		/* Keywords with a modifier: '|all'. */
		k->field = RULE_FIELD_LINE;
		anywhere(k);
		return true;
	}
	k->field = rule_field_find(name);
	if (k->field == RULE_FIELD_NEVER) {
		k->never = rule_field_spelled(name);
	}
	if (k->field >= 0) {
		return true;
	}
	like = rule_field_suggest(name);
	complain(b->complain, n->key_mark, "field %s is not known%s%s%s",
		 log_quote(shown, sizeof shown, name),
		 like == NULL ? "" : "; did you mean \"",
		 like == NULL ? "" : like, like == NULL ? "" : "\"?");
	return false;
}

/* The values of one key, joined by or (all: by and). */
static int read_values(struct building *b, const struct doc_node *n,
		       struct key *k)
{
	uint16_t kids[RULE_NODES / 8];
	size_t count = 0;
	int node;

	if (n->kind == DOC_SCALAR) {
		if (k->all) {
			complain(b->complain, n->key_mark, "all needs a list of "
				 "values");
			return -1;
		}
		k->null_allowed = k->how.n_steps == 0 && !k->how.re && !k->how.cidr &&
				  !k->how.fieldref && k->how.number == 0 && k->how.part == 0 &&
				  k->field != RULE_FIELD_LINE;
		return read_value(b, n, k);
	}
	if (n->kind != DOC_LIST || n->first == NULL) {
		complain(b->complain, n->mark, "a value or a list of values must "
			 "stand here");
		return -1;
	}
	for (const struct doc_node *v = n->first; v != NULL; v = v->next) {
		if (count == COUNT(kids)) {
			complain(b->complain, v->mark, "more than %zu values",
				 COUNT(kids));
			return -1;
		}
		node = read_value(b, v, k);
		if (node < 0) {
			return -1;
		}
		kids[count++] = (uint16_t)node;
	}
	return building_join(b, k->all ? NODE_AND : NODE_OR, kids, count, n->mark);
}

/* neq: the field is there and none of the values. */
static int except(struct building *b, const struct key *k, int node,
		  struct doc_mark at)
{
	struct match there = {.op = MATCH_EXISTS, .field = (uint8_t)k->field,
			      .never = k->never, .u.number = 1};
	uint16_t kids[2] = {(uint16_t)node};
	int not = building_join(b, NODE_NOT, kids, 1, at);
	int exists = building_match(b, &there, at);

	if (not < 0 || exists < 0) {
		return -1;
	}
	kids[0] = (uint16_t)exists;
	kids[1] = (uint16_t)not;
	return building_join(b, NODE_AND, kids, 2, at);
}

static int read_pair(struct building *b, const struct doc_node *n)
{
	struct key k;
	int node;

	if (!read_key(b, n, &k)) {
		return -1;
	}
	node = read_values(b, n, &k);
	return node >= 0 && k.neq ? except(b, &k, node, n->key_mark) : node;
}

static int read_keyword(struct building *b, const struct doc_node *n)
{
	struct key k = {.field = RULE_FIELD_LINE, .mark = n->mark};

	anywhere(&k);
	return read_value(b, n, &k);
}

int selection_read(struct building *b, const struct doc_node *n)
{
	uint16_t kids[RULE_NODES / 8];
	enum node_op op = n->kind == DOC_MAP ? NODE_AND : NODE_OR;
	size_t count = 0;

	if (n->kind == DOC_SCALAR) {
		return read_keyword(b, n);
	}
	for (const struct doc_node *c = n->first; c != NULL; c = c->next) {
		int node = op == NODE_AND ? read_pair(b, c) : selection_read(b, c);

		if (node < 0) {
			return -1;
		}
		if (count == COUNT(kids)) {
			complain(b->complain, c->mark, "more than %zu entries",
				 COUNT(kids));
			return -1;
		}
		kids[count++] = (uint16_t)node;
	}
	if (count == 0) {
		complain(b->complain, n->mark, "the selection is empty");
		return -1;
	}
	return building_join(b, op, kids, count, n->mark);
}
