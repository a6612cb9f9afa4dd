#include <stdio.h>

#include "common/err.h"
#include "common/log.h"
#include "detectors/field.h"
#include "detectors/rule.h"

enum { KEY_SHOWN = 80 };

/* A key of a selection: the field and what its modifiers ask for. */
struct key {
	int field;
	struct match_how how;
	bool all, exists, neq, null_allowed;
	int number; /* MATCH_LT ..., or -1 */
};

static int read_value(struct building *b, const struct doc_node *n,
		      const struct key *k)
{
	struct match m = {.field = (uint8_t)k->field};
	char why[MATCH_WHY];
	bool minus = n->text.n > 0 && n->text.p[0] == '-';
	uint64_t v;
	int rc;

	if (n->kind != DOC_SCALAR) {
		complain(b->complain, n->mark, "a text or a number must stand here");
		return -1;
	}
	if (k->exists) {
		m.op = MATCH_EXISTS;
		m.u.number = slice_eq_nocase(n->text, SLICE_LIT("true"));
		if (!m.u.number && !slice_eq_nocase(n->text, SLICE_LIT("false"))) {
			complain(b->complain, n->mark, "exists takes true or false");
			return -1;
		}
		return building_match(b, &m, n->mark);
	}
	if (k->number >= 0) {
		m.op = (uint8_t)k->number;
		if (!slice_to_u64(slice_skip(n->text, minus), INT64_MAX, &v)) {
			complain(b->complain, n->mark, "a whole number must stand "
				 "here");
			return -1;
		}
		m.u.number = minus ? -(int64_t)v : (int64_t)v;
		return building_match(b, &m, n->mark);
	}
	if (doc_is_null(n)) {
		if (!k->null_allowed) {
			complain(b->complain, n->mark, "null can't stand in a list "
				 "or behind a modifier; an empty text is ''");
			return -1;
		}
		m.op = MATCH_NULL;
		return building_match(b, &m, n->mark);
	}
	rc = match_compile(&m, &b->set->arena, n->text, &k->how, why);
	if (rc != 0) {
		complain(b->complain, n->mark, "%s",
			 rc == UV_ENOMEM ? err_str(rc) : why);
		return -1;
	}
	rc = building_match(b, &m, n->mark);
	if (rc < 0) {
		match_fini(&m);
	}
	return rc;
}

static const struct {
	const char *name;
	size_t flag; /* offset of a bool in struct key */
} plain_modifiers[] = {
	{"contains", offsetof(struct key, how.contains)},
	{"startswith", offsetof(struct key, how.startswith)},
	{"endswith", offsetof(struct key, how.endswith)},
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
};
static const struct {
	const char *name;
	int op;
} number_modifiers[] = {
	{"lt", MATCH_LT}, {"lte", MATCH_LTE}, {"gt", MATCH_GT}, {"gte", MATCH_GTE},
};
static const char *const later_modifiers[] = {
	"base64", "base64offset", "wide", "utf16", "utf16le", "utf16be",
	"windash", "expand", "minute", "hour", "day", "week", "month", "year",
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 1: taken, 0: Sigma has it and this engine does not, -1: nobody has. */
static int take_modifier(struct key *k, struct slice name)
{
	for (size_t i = 0; i < COUNT(plain_modifiers); i++) {
		if (slice_eq(name, slice_str(plain_modifiers[i].name))) {
			*(bool *)((char *)k + plain_modifiers[i].flag) = true;
			return 1;
		}
	}
	for (size_t i = 0; i < COUNT(number_modifiers); i++) {
		if (slice_eq(name, slice_str(number_modifiers[i].name))) {
			k->number = number_modifiers[i].op;
			return 1;
		}
	}
	for (size_t i = 0; i < COUNT(later_modifiers); i++) {
		if (slice_eq(name, slice_str(later_modifiers[i]))) {
			return 0;
		}
	}
	return -1;
}

/* Modifiers that say two things at once. */
static const char *contradiction(const struct key *k)
{
	const struct match_how *h = &k->how;
	bool text = h->contains || h->startswith || h->endswith;
	int kinds = h->re + h->cidr + h->fieldref + (k->number >= 0) + k->exists;

	if (kinds + text > 1) {
		return "these modifiers exclude each other";
	}
	if ((h->re_i || h->re_m || h->re_s) && !h->re) {
		return "i, m and s belong behind re";
	}
	if (h->cased && (h->re || h->cidr || k->number >= 0 || k->exists)) {
		return "cased only makes sense for texts";
	}
	return NULL;
}

static bool read_modifiers(struct building *b, struct slice rest, struct key *k,
			   struct doc_mark at)
{
	char shown[KEY_SHOWN];
	const char *wrong;

	while (rest.n > 0) {
		size_t bar = slice_find(rest, SLICE_LIT("|"));
		struct slice name = slice_head(rest, bar);
		int got = take_modifier(k, name);

		if (got <= 0) {
			complain(b->complain, at, got == 0
				 ? "modifier %s is not supported yet"
				 : "%s is no modifier that Sigma knows",
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

static bool read_key(struct building *b, const struct doc_node *n, struct key *k)
{
	size_t bar = slice_find(n->key, SLICE_LIT("|"));
	struct slice name = slice_head(n->key, bar);
	char shown[KEY_SHOWN];
	const char *like;

	*k = (struct key){.number = -1};
	if (bar != SIZE_MAX &&
	    !read_modifiers(b, slice_skip(n->key, bar + 1), k, n->key_mark)) {
		return false;
	}
	if (name.n == 0) {
		/* Keywords with a modifier: '|all'. */
		k->field = RULE_FIELD_LINE;
		k->how.contains = !k->how.re;
		return true;
	}
	k->field = rule_field_find(name);
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
		k->null_allowed = !k->how.contains && !k->how.startswith &&
				  !k->how.endswith && !k->how.re;
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
			      .u.number = 1};
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
	struct key k = {.field = RULE_FIELD_LINE, .number = -1,
			.how.contains = true};

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
