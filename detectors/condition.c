#include <stdio.h>

#include "common/log.h"
#include "detectors/rule.h"

/* Recursive descent over
 *
 *     or   = and { "or" and }
 *     and  = not { "and" not }
 *     not  = "not" not | "(" or ")" | ("1" | "all") "of" pattern | name
 *
 * which is the order of binding that the specification gives. */
struct parser {
	struct building *b;
	struct slice text;
	size_t at;
	struct doc_mark mark;
	unsigned depth;
	struct slice word; /* the next token; empty at the end */
};

static int parse_or(struct parser *p);

static struct doc_mark here(const struct parser *p)
{
	struct doc_mark m = p->mark;

	m.column += (unsigned)(p->word.n == 0 ? p->text.n
					      : (size_t)(p->word.p - p->text.p));
	return m;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void next(struct parser *p)
{
	size_t i = p->at, from;

	while (i < p->text.n && blank(p->text.p[i])) {
		i++;
	}
	from = i;
	if (i < p->text.n && (p->text.p[i] == '(' || p->text.p[i] == ')')) {
		i++;
	} else {
		while (i < p->text.n && !blank(p->text.p[i]) &&
		       p->text.p[i] != '(' && p->text.p[i] != ')') {
			i++;
		}
	}
	p->word = slice(p->text.p + from, i - from);
	p->at = i;
}

static bool is(const struct parser *p, const char *word)
{
	return slice_eq_nocase(p->word, slice_str(word));
}

/* "*" stands for any number of characters, anywhere in the pattern. */
static bool name_matches(struct slice name, struct slice pattern)
{
	size_t i = 0, t = 0, back_i = 0, back_t = SIZE_MAX;

	while (i < name.n) {
		if (t < pattern.n && pattern.p[t] == '*') {
			back_t = ++t;
			back_i = i;
		} else if (t < pattern.n && pattern.p[t] == name.p[i]) {
			i++;
			t++;
		} else if (back_t != SIZE_MAX) {
			i = ++back_i;
			t = back_t;
		} else {
			return false;
		}
	}
	while (t < pattern.n && pattern.p[t] == '*') {
		t++;
	}
	return t == pattern.n;
}

static int parse_of(struct parser *p, enum node_op op)
{
	uint16_t kids[RULE_SELECTIONS];
	struct doc_mark at;
	char shown[64];
	bool them;
	size_t n = 0;

	next(p);
	if (!is(p, "of")) {
		complain(p->b->complain, here(p), "\"of\" must follow, as in "
			 "\"1 of selection*\"");
		return -1;
	}
	next(p);
	at = here(p);
	if (p->word.n == 0) {
		complain(p->b->complain, at, "\"of\" needs \"them\" or a pattern "
			 "such as selection*");
		return -1;
	}
	them = is(p, "them");
	for (unsigned i = 0; i < p->b->n_selections; i++) {
		struct slice name = p->b->selections[i].name;

		if (them ? name.n > 0 && name.p[0] != '_'
			 : name_matches(name, p->word)) {
			kids[n++] = p->b->selections[i].node;
		}
	}
	if (n == 0) {
		complain(p->b->complain, at, "no selection is named like %s",
			 log_quote(shown, sizeof shown, p->word));
		return -1;
	}
	next(p);
	return building_join(p->b, op, kids, n, at);
}

static int parse_name(struct parser *p)
{
	char shown[64];

	for (unsigned i = 0; i < p->b->n_selections; i++) {
		if (slice_eq(p->b->selections[i].name, p->word)) {
			next(p);
			return p->b->selections[i].node;
		}
	}
	if (p->word.n > 0 && slice_digits(p->word) == p->word.n) {
		complain(p->b->complain, here(p), "Sigma knows \"1 of\" and \"all of\", and no "
			 "other number");
	} else if (p->word.n > 0 && p->word.p[0] == '|') {
		complain(p->b->complain, here(p), "aggregations behind \"|\" are "
			 "obsolete in Sigma: write a correlation rule");
	} else {
		complain(p->b->complain, here(p), "the condition names %s, and "
			 "there is no such selection in this rule",
			 log_quote(shown, sizeof shown, p->word));
	}
	return -1;
}

static int parse_bracket(struct parser *p)
{
	int node;

	next(p);
	node = parse_or(p);
	if (node < 0) {
		return -1;
	}
	if (!is(p, ")")) {
		complain(p->b->complain, here(p), "\")\" is missing");
		return -1;
	}
	next(p);
	return node;
}

static int parse_not(struct parser *p)
{
	struct doc_mark at = here(p);
	uint16_t kid;
	int node;

	if (p->word.n == 0) {
		complain(p->b->complain, at, "the condition ends where a selection "
			 "must stand");
		return -1;
	}
	if (p->depth >= RULE_DEPTH) {
		complain(p->b->complain, at, "more than %d levels of brackets and "
			 "\"not\"", RULE_DEPTH);
		return -1;
	}
	p->depth++;
	if (is(p, "not")) {
		next(p);
		node = parse_not(p);
		kid = (uint16_t)node;
		node = node < 0 ? -1 : building_join(p->b, NODE_NOT, &kid, 1, at);
	} else if (is(p, "(")) {
		node = parse_bracket(p);
	} else if (is(p, "1") || is(p, "any")) {
		node = parse_of(p, NODE_OR);
	} else if (is(p, "all")) {
		node = parse_of(p, NODE_AND);
	} else {
		node = parse_name(p);
	}
	p->depth--;
	return node;
}

/* One level of a binary operator: `lower { word lower }`. */
static int parse_chain(struct parser *p, const char *word, enum node_op op,
		       int (*lower)(struct parser *))
{
	uint16_t kids[RULE_SELECTIONS];
	struct doc_mark at = here(p);
	size_t n = 0;

	for (;;) {
		int node = lower(p);

		if (node < 0) {
			return -1;
		}
		if (n == RULE_SELECTIONS) {
			complain(p->b->complain, at, "more than %d terms are joined "
				 "here", RULE_SELECTIONS);
			return -1;
		}
		kids[n++] = (uint16_t)node;
		if (!is(p, word)) {
			break;
		}
		next(p);
	}
	return n == 1 ? kids[0] : building_join(p->b, op, kids, n, at);
}

static int parse_and(struct parser *p)
{
	return parse_chain(p, "and", NODE_AND, parse_not);
}

static int parse_or(struct parser *p)
{
	return parse_chain(p, "or", NODE_OR, parse_and);
}

int condition_parse(struct building *b, struct slice text, struct doc_mark mark)
{
	struct parser p = {.b = b, .text = text, .mark = mark};
	char shown[64];
	int node;

	next(&p);
	node = parse_or(&p);
	if (node >= 0 && p.word.n > 0) {
		complain(b->complain, here(&p), "%s is not expected here: join "
			 "selections with \"and\" or \"or\"",
			 log_quote(shown, sizeof shown, p.word));
		return -1;
	}
	return node;
}

static bool node_true(const struct condition *c, unsigned at,
		      struct match_ctx *ctx, const struct record *r);

/* Most of a list are texts of other lengths. */
static inline bool one_true(const struct condition *c, unsigned at,
			    struct match_ctx *ctx, const struct record *r)
{
	const struct node *n = &c->nodes[at];

	if (n->op != NODE_MATCH) {
		return node_true(c, at, ctx, r);
	}
	return !match_differs(&c->matches[n->first], r) &&
	       match_record(&c->matches[n->first], ctx, r);
}

static bool node_true(const struct condition *c, unsigned at,
		      struct match_ctx *ctx, const struct record *r)
{
	const struct node *n = &c->nodes[at];

	switch (n->op) {
	case NODE_MATCH:
		return match_record(&c->matches[n->first], ctx, r);
	case NODE_NOT:
		return !node_true(c, c->kids[n->first], ctx, r);
	case NODE_AND:
		for (unsigned i = 0; i < n->n; i++) {
			if (!one_true(c, c->kids[n->first + i], ctx, r)) {
				return false;
			}
		}
		return true;
	default:
		for (unsigned i = 0; i < n->n; i++) {
			if (one_true(c, c->kids[n->first + i], ctx, r)) {
				return true;
			}
		}
		return false;
	}
}

bool condition_all(const struct condition *c, const uint16_t *nodes, size_t n,
		   struct match_ctx *ctx, const struct record *r)
{
	for (size_t i = 0; i < n; i++) {
		const struct node *node = &c->nodes[nodes[i]];
		bool want = node->op != NODE_NOT;

		if (one_true(c, want ? nodes[i] : c->kids[node->first], ctx, r) != want) {
			return false;
		}
	}
	return true;
}
