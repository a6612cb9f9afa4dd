/* auditd's records: what has blanks, quotes or control characters is in hex there, and
 * so are whole command lines.  What the rules find in the text is masked in the hex. */
#include "redact/verify.h"

enum { DECODED_MAX = 8 * 1024, ARGS_MAX = 256, FOUND_MAX = 32, HEX_LEAST = 4 };

/* One argument of an EXECVE record, or all of a command line. */
struct argument {
	size_t from, to; /* in the line, without its quotes */
	size_t at, end;  /* in the decoded text */
	bool hex;
};

struct decoded {
	char text[DECODED_MAX];
	size_t n;
	struct argument args[ARGS_MAX];
	size_t n_args;
};

/* A NUL parts the arguments of a proctitle: it becomes a blank. */
static char decoded_byte(const struct work *w, size_t i)
{
	char c = (char)(hex_value(w->p[i]) << 4 | hex_value(w->p[i + 1]));

	return (unsigned char)c < ' ' ? ' ' : c;
}

/* Adds the value at `from`; behind it, or SIZE_MAX when there is no room. */
static size_t decode(const struct work *w, size_t from, struct decoded *d)
{
	struct argument *a = &d->args[d->n_args];
	bool quoted = work_at(w, from) == '"';
	size_t to, n;

	from += quoted;
	to = from;
	while (to < w->n && (quoted ? w->p[to] != '"' : is_class(w->p[to], C_HEX))) {
		to++;
	}
	n = quoted ? to - from : (to - from) / 2;
	if (d->n_args == ARGS_MAX || n > sizeof d->text - d->n - 1) {
		return SIZE_MAX;
	}
	*a = (struct argument){from, to, d->n, d->n + n, !quoted};
	for (size_t i = 0; i < n; i++) {
		d->text[d->n++] = quoted ? w->p[from + i] : decoded_byte(w, from + 2 * i);
	}
	d->text[d->n++] = ' ';
	d->n_args++;
	return to + quoted;
}

/* Of hex the whole argument: half of one is no hex any more. */
static void mask_found(struct work *w, const struct decoded *d, const struct span *s)
{
	for (size_t i = 0; i < d->n_args; i++) {
		const struct argument *a = &d->args[i];
		size_t from = s->from > a->at ? s->from : a->at;
		size_t to = s->to < a->end ? s->to : a->end;

		if (from < to) {
			work_mask(w, s->rule, a->hex ? a->from : a->from + from - a->at,
				  a->hex ? a->to : a->from + to - a->at);
		}
	}
}

static void judge(struct work *w, struct decoded *d)
{
	struct span found[FOUND_MAX];
	size_t n;

	n = work_find(w, slice(d->text, d->n), found, FOUND_MAX);
	for (size_t i = 0; i < n; i++) {
		mask_found(w, d, &found[i]);
	}
	explicit_bzero(d->text, d->n);
}

/* a0="mysql" a1=2D7068756E746572 a2[0]=... */
static size_t next_argument(const struct work *w, size_t i)
{
	while (i < w->n) {
		size_t k = i;

		while (k < w->n && is_blank(w->p[k])) {
			k++;
		}
		i = k;
		while (i < w->n && !is_blank(w->p[i])) {
			i++;
		}
		if (work_at(w, k) == 'a' && is_class(work_at(w, k + 1), C_DIGIT)) {
			k = run_end(w, k + 1, C_DIGIT);
			if (work_at(w, k) == '[') {
				k = run_end(w, k + 1, C_DIGIT);
				k += work_at(w, k) == ']';
			}
			if (work_at(w, k) == '=') {
				return k + 1;
			}
		}
	}
	return SIZE_MAX;
}

void verify_execve(struct work *w, const struct literal *l, size_t at, size_t end)
{
	struct decoded d;
	size_t i = end;
	bool hex = false;

	(void)l;
	d.n = 0;
	d.n_args = 0;
	if (!work_spend(w, at, w->n - at)) {
		return;
	}
	while ((i = next_argument(w, i)) != SIZE_MAX) {
		i = decode(w, i, &d);
		if (i == SIZE_MAX) {
			/* More than can be looked at as one: in doubt. */
			i = d.n_args > 0 ? d.args[d.n_args - 1].to : end;
			w->rest = i < w->rest ? i : w->rest;
			break;
		}
		hex |= d.args[d.n_args - 1].hex;
	}
	if (hex) {
		judge(w, &d);
	}
}

/* proctitle=2F62696E2F7368002D63..., cmd=..., data=...: a command line in one. */
void verify_hex(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t from = end, to;
	struct decoded d;

	while (l->text[from - at - 1] < ' ' && from > at) {
		from--;
	}
	to = run_end(w, from, C_HEX);
	d.n = 0;
	d.n_args = 0;
	if (to - from < HEX_LEAST || (to - from) % 2 != 0 || is_class(work_at(w, to), C_WORD) ||
	    !work_spend(w, at, to - from)) {
		return;
	}
	if (decode(w, from, &d) == SIZE_MAX) {
		work_mask(w, RULE_LIMIT, from, to);
		return;
	}
	judge(w, &d);
}
