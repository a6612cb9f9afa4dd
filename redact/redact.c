#include "redact/redact.h"

#include <stdlib.h>

#include "common/err.h"
#include "redact/scan.h"
#include "redact/verify.h"

_Static_assert((int)RULE_NR <= (int)REDACT_RULES_MAX, "counts has room for every rule");

enum { ROUNDS_MAX = 4, FOREIGN_MAX = 8, KEY_LINES_MAX = 1000, NAME_MAX_BYTES = 32 };

struct redact {
	bool enabled;
	uint32_t off;
	struct scan *scan;
	struct literal *literals;
	size_t n_literals;
	char **made;            /* texts of literals from the configuration */
	size_t n_made;
	struct strlist except;
};

static const struct {
	const char *name, *help, *example, *counter;
} rules[RULE_NR] = {
#define X(id, name, help, example, counter) {name, help, example, counter},
	REDACT_RULES(X)
#undef X
};

unsigned redact_rules(void)
{
	return RULE_NR;
}

const char *redact_rule_name(unsigned i)
{
	return rules[i].name;
}

const char *redact_rule_help(unsigned i)
{
	return rules[i].help;
}

const char *redact_rule_example(unsigned i)
{
	return rules[i].example;
}

const char *redact_rule_counter_example(unsigned i)
{
	return rules[i].counter;
}

/* ---- compiling ---- */

static int turn_off(struct redact *r, const struct strlist *names)
{
	for (size_t i = 0; i < names->n; i++) {
		unsigned k = 0;

		while (k < RULE_NR && strcmp(names->v[i], rules[k].name) != 0) {
			k++;
		}
		/* "limit" can't be turned off: it is what failing closed is. */
		if (k == RULE_NR || k == RULE_LIMIT) {
			return UV_EINVAL;
		}
		r->off |= UINT32_C(1) << k;
	}
	return 0;
}

/* text and what follows it become a literal of the configuration's. */
static int add_literal(struct redact *r, const char *text, const char *behind,
		       struct literal l)
{
	size_t n = strlen(text), m = strlen(behind);
	char *copy;

	if (n < 3 || n > NAME_MAX_BYTES) {
		return UV_EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		if (text[i] <= ' ' || text[i] > '~') {
			return UV_EINVAL;
		}
	}
	copy = malloc(n + m + 1);
	if (copy == NULL) {
		return UV_ENOMEM;
	}
	memcpy(copy, text, n);
	memcpy(copy + n, behind, m + 1);
	r->made[r->n_made++] = copy;
	l.text = copy;
	r->literals[r->n_literals++] = l;
	return 0;
}

static int add_literals(struct redact *r, const struct redact_options *options)
{
	size_t fixed = 0, own = options->keys.n + options->tokens.n;
	int rc = 0;

	while (rule_literals[fixed].text != NULL) {
		fixed++;
	}
	r->literals = calloc(fixed + own, sizeof *r->literals);
	r->made = calloc(own + 1, sizeof *r->made);
	if (r->literals == NULL || r->made == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < fixed; i++) {
		if ((r->off >> rule_literals[i].rule & 1) == 0) {
			r->literals[r->n_literals++] = rule_literals[i];
		}
	}
	for (size_t i = 0; i < options->keys.n && rc == 0; i++) {
		rc = add_literal(r, options->keys.v[i], SCAN_SEP,
				 (struct literal){NULL, true, RULE_USER, verify_pair,
						  &rule_user_key});
	}
	for (size_t i = 0; i < options->tokens.n && rc == 0; i++) {
		rc = add_literal(r, options->tokens.v[i], SCAN_WORD,
				 (struct literal){NULL, false, RULE_USER, verify_token,
						  &rule_user_token});
	}
	return rc;
}

static const struct scan_plan *rule_plan_find(const char *text)
{
	for (const struct scan_plan *p = rule_plan; p->text != NULL; p++) {
		if (strcmp(p->text, text) == 0) {
			return p;
		}
	}
	return NULL;
}

static int compile(struct redact *r)
{
	struct scan_literal *l = calloc(r->n_literals + 1, sizeof *l);
	int rc;

	if (l == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < r->n_literals; i++) {
		l[i] = (struct scan_literal){r->literals[i].text, r->literals[i].fold,
					     rule_guard(&r->literals[i]),
					     rule_plan_find(r->literals[i].text)};
	}
	rc = scan_new(&r->scan, l, r->n_literals);
	free(l);
	return rc;
}

int redact_new(struct redact **out, const struct redact_options *options)
{
	struct redact *r = calloc(1, sizeof *r);
	int rc;

	*out = NULL;
	if (r == NULL) {
		return UV_ENOMEM;
	}
	r->enabled = options->enabled;
	rc = turn_off(r, &options->off);
	for (size_t i = 0; i < options->except.n && rc == 0; i++) {
		rc = strlist_add(&r->except, slice_str(options->except.v[i]));
	}
	if (rc == 0) {
		rc = add_literals(r, options);
	}
	if (rc == 0) {
		rc = compile(r);
	}
	if (rc != 0) {
		redact_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void redact_free(struct redact *r)
{
	if (r == NULL) {
		return;
	}
	scan_free(r->scan);
	for (size_t i = 0; i < r->n_made; i++) {
		free(r->made[i]);
	}
	free(r->made);
	free(r->literals);
	strlist_fini(&r->except);
	free(r);
}

size_t redact_scan(const struct redact *r, const char *p, size_t from, size_t n)
{
	return r->enabled ? scan_next(r->scan, p, from, n) : n;
}

/* ---- one line ---- */

/* The spans stay as they are: 8 KiB that nobody reads before they are set. */
static void work_init(struct work *w, const struct redact *r, struct slice text)
{
	w->p = text.p;
	w->n = text.n;
	w->except = &r->except;
	w->off = r->off;
	w->budget = 64 * 1024 + 32 * text.n;
	w->rest = SIZE_MAX;
	w->redact = r;
	w->depth = 0;
	w->n_spans = 0;
}

static void find_literals(const struct redact *r, struct work *w)
{
	struct scan_hit hits[SCAN_HITS];

	for (size_t at = 0; at < w->rest; at++) {
		size_t n;

		at = scan_next(r->scan, w->p, at, w->n);
		if (at >= w->n) {
			return;
		}
		n = scan_hits(r->scan, w->p, at, w->n, hits);
		for (size_t i = 0; i < n; i++) {
			const struct literal *l = &r->literals[hits[i].literal];

			l->verify(w, l, hits[i].at, hits[i].end);
		}
	}
}

size_t work_find(struct work *w, struct slice text, struct span *out, size_t max)
{
	struct work inner;
	size_t n;

	if (w->depth > 0) {
		return 0;
	}
	work_init(&inner, w->redact, text);
	inner.depth = 1;
	inner.budget = w->budget;
	find_literals(w->redact, &inner);
	w->budget = inner.budget;
	n = inner.n_spans < max ? inner.n_spans : max;
	memcpy(out, inner.spans, n * sizeof *out);
	if (inner.n_spans > n || inner.rest < text.n) {
		/* All of it, then. */
		out[0] = (struct span){0, text.n, RULE_LIMIT, false};
		return 1;
	}
	return n;
}

/* Follows private key blocks from line to line.  What opens a block is looked for in
 * the line as it came and in what is left of it, what closes it only in the
 * latter: so that a second redaction is never inside a block when the first was
 * not. */
static void key_block(struct redact_state *state, struct slice line, struct slice left,
		      bool of_key)
{
	if (state->in_key) {
		state->key_lines++;
		state->foreign = of_key ? 0 : (uint8_t)(state->foreign + 1);
		if (pem_closes(left) || state->foreign > FOREIGN_MAX ||
		    state->key_lines >= KEY_LINES_MAX) {
			state->in_key = false;
		}
	}
	if (slice_find(line, SLICE_LIT("PRIVATE KEY")) != SIZE_MAX &&
	    (pem_opens(line) || pem_opens(left))) {
		state->in_key = true;
		state->key_lines = 0;
		state->foreign = 0;
	}
}

static int by_place(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->from != y->from) {
		return x->from < y->from ? -1 : 1;
	}
	return x->to > y->to ? -1 : x->to < y->to;
}

/* Sorts, joins what overlaps, and adds the rest of the line where a limit was
 * reached. */
static size_t join_spans(struct work *w)
{
	size_t n = 0;

	qsort(w->spans, w->n_spans, sizeof w->spans[0], by_place);
	for (size_t i = 0; i < w->n_spans; i++) {
		struct span s = w->spans[i];

		if (n > 0 && s.from < w->spans[n - 1].to) {
			if (s.to > w->spans[n - 1].to) {
				w->spans[n - 1].to = s.to;
			}
			continue;
		}
		w->spans[n++] = s;
	}
	if (w->rest < w->n) {
		while (n > 0 && w->spans[n - 1].to > w->rest) {
			n--;
			w->rest = w->spans[n].from < w->rest ? w->spans[n].from : w->rest;
		}
		n = n < SPANS_MAX ? n : SPANS_MAX - 1;
		w->rest = n > 0 && w->spans[n - 1].to > w->rest ? w->spans[n - 1].to : w->rest;
		if (mask_at(slice(w->p + w->rest, w->n - w->rest)) != w->n - w->rest) {
			w->spans[n++] = (struct span){w->rest, w->n, RULE_LIMIT, false};
		}
	}
	w->n_spans = n;
	return n;
}

static int write_masked(const struct work *w, struct buf *out)
{
	size_t done = 0, before = out->n;
	int rc = 0;

	buf_clear(out);
	for (size_t i = 0; i < w->n_spans && rc == 0; i++) {
		const struct span *s = &w->spans[i];
		const char *quote = s->quote ? "\"" : "";

		rc = buf_add(out, w->p + done, s->from - done);
		if (rc == 0) {
			rc = buf_printf(out, "%s*redacted-%s*%s", quote,
					rules[s->rule].name, quote);
		}
		done = s->to;
	}
	rc = rc != 0 ? rc : buf_add(out, w->p + done, w->n - done);
	if (before > out->n) {
		/* What an earlier round left here was not yet clean. */
		explicit_bzero(out->p + out->n, before - out->n);
	}
	return rc;
}

static void account(struct redact_state *state, const struct work *w, bool first,
		    redact_explain_cb cb, void *arg)
{
	for (size_t i = 0; i < w->n_spans; i++) {
		const struct span *s = &w->spans[i];

		state->counts[s->rule]++;
		if (cb != NULL && first) {
			cb(arg, s->rule, s->from, slice(w->p + s->from, s->to - s->from));
		}
	}
}

/* All of it, where nothing better can be had. */
static void mask_all(struct redact_state *state, struct buf *scratch, struct slice *out)
{
	buf_clear(scratch);
	state->counts[RULE_LIMIT]++;
	*out = SLICE_LIT("*redacted-limit*");
}

/* Masks until nothing more is found, so that redacting twice changes nothing.
 * Nearly always the second round finds nothing. */
static int rounds(const struct redact *r, struct redact_state *state,
		  struct slice line, struct buf bufs[2], redact_explain_cb cb,
		  void *arg, struct slice *out)
{
	struct slice text = line;
	bool of_key = false;

	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		struct work w;
		int rc;

		work_init(&w, r, text);
		if (state->in_key) {
			bool is_key = pem_line(&w);

			of_key = round == 0 ? is_key : of_key;
		}
		find_literals(r, &w);
		if (join_spans(&w) == 0) {
			key_block(state, line, text, of_key);
			*out = text;
			return 0;
		}
		account(state, &w, round == 0, cb, arg);
		rc = write_masked(&w, &bufs[round & 1]);
		if (rc != 0) {
			return rc;
		}
		text = buf_slice(&bufs[round & 1]);
	}
	return ERR_LIMIT;
}

bool redact_line_explain(const struct redact *r, struct redact_state *state,
			 struct slice line, struct buf *scratch, struct slice *out,
			 redact_explain_cb cb, void *arg)
{
	struct buf bufs[2];
	int rc = ERR_LIMIT;

	*out = line;
	if (!r->enabled) {
		return false;
	}
	/* The second is for the rounds in between. */
	buf_init(&bufs[1], scratch->limit);
	bufs[0] = *scratch;
	buf_clear(&bufs[0]);
	if (line.n <= REDACT_LINE_MAX) {
		rc = rounds(r, state, line, bufs, cb, arg, out);
	}
	if (rc == 0 && bufs[1].n > 0 && out->p == bufs[1].p) {
		rc = buf_reserve(&bufs[0], bufs[1].n);
		if (rc == 0) {
			explicit_bzero(bufs[0].p, bufs[0].room);
			bufs[0].n = 0;
			rc = buf_add_slice(&bufs[0], *out);
			*out = buf_slice(&bufs[0]);
		}
	}
	buf_wipe(&bufs[1]);
	*scratch = bufs[0];
	if (rc != 0) {
		mask_all(state, scratch, out);
		key_block(state, line, *out, false);
	}
	if (out->p == line.p && rc == 0) {
		return false;
	}
	state->lines++;
	return true;
}

bool redact_line(const struct redact *r, struct redact_state *state,
		 struct slice line, struct buf *scratch, struct slice *out)
{
	return redact_line_explain(r, state, line, scratch, out, NULL, NULL);
}

bool redact_chunk_hit(struct redact_chunk *c, struct redact_state *state,
		      struct slice line, struct buf *scratch, struct slice *out)
{
	size_t end = (size_t)(line.p - c->p) + line.n;
	bool masked = redact_line(c->r, state, line, scratch, out);

	if (c->next < end) {
		c->next = redact_scan(c->r, c->p, end, c->n);
	}
	return masked;
}
