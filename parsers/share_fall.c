#include "parsers/share_impl.h"

enum {
	RUN = 24,                /* unreadable lines in a row that are a source's fall */
	BITS = 20 << 16,         /* the bound, in bits of 16.16 */
	BITS_SWARMS = 43 << 16,  /* where more than one line in SWARMS was never understood */
	SWARMS = 20,
	HALVE = 16384,           /* what is older counts half */
};

uint32_t share_understood(const struct share *e)
{
	return e->good + e->stood + e->head.good;
}

bool share_established(struct share *e)
{
	if (!e->established) {
		e->established = share_understood(e) >= ESTABLISHED;
	}
	return e->established;
}

/* log2(x) in 16.16, for x > 0: the fraction's bits come from squaring. */
static uint32_t lg(uint32_t x)
{
	unsigned whole = 31u - (unsigned)__builtin_clz(x);
	uint64_t m = (uint64_t)x << (31 - whole); /* [1, 2) in 1.31 */
	uint32_t fraction = 0;

	for (int i = 0; i < 16; i++) {
		m = m * m >> 31;
		fraction <<= 1;
		if (m >> 32 != 0) {
			m >>= 1;
			fraction |= 1;
		}
	}
	return (uint32_t)whole << 16 | fraction;
}

/* How much likelier k bad ones of n are at their own share than at b of t. */
static int64_t ratio(uint32_t k, uint32_t n, uint32_t b, uint32_t t)
{
	int64_t bits = (int64_t)k * ((int64_t)lg(k) - lg(n) + lg(t) - lg(b));

	/* Fewer than before are no fall. */
	if ((uint64_t)k * t <= (uint64_t)n * b) {
		return 0;
	}
	if (n > k) {
		bits += (int64_t)(n - k) *
			((int64_t)lg(n - k) - lg(n) + lg(t) - lg(t - b));
	}
	return bits;
}

static unsigned tenths(uint64_t part, uint64_t of)
{
	return of == 0 ? 0 : (unsigned)((part * 1000 + of / 2) / of);
}

/* The window of the last k lines not understood: true when the share fell in it. */
static bool fell(const struct share *e, unsigned k, struct share_fall *f)
{
	uint32_t n = k, good = e->good, bad = e->bad, b, t;

	if (k > e->n_gap) {
		return false;
	}
	for (unsigned i = 0; i < e->n_gap; i++) {
		uint32_t gap = e->gap[(e->oldest + i) % GAPS];

		if (i + k <= e->n_gap) {
			good += gap;
			bad += i + k < e->n_gap;
		} else {
			n += gap;
		}
	}
	if (good < ESTABLISHED) {
		return false;
	}
	b = bad + 1 + (good + bad) / 256;
	t = good + bad + 20;
	if (ratio(k, n, b, t) < (b > t / SWARMS ? BITS_SWARMS : BITS)) {
		return false;
	}
	f->before = tenths(good, (uint64_t)good + bad + e->usual);
	f->after = tenths(n - k, n);
	f->of = n;
	return true;
}

/* The oldest of the gaps becomes part of what was before. */
static void age(struct share *e)
{
	e->good += e->gap[e->oldest];
	e->stood -= e->gap[e->oldest];
	e->bad++;
	for (unsigned i = 0; i <= NOISE; i++) {
		if (i == NOISE) {
			e->noise[e->next_noise++ % NOISE] = e->begins[e->oldest];
		} else if (e->noise[i] == e->begins[e->oldest]) {
			break;
		}
	}
	e->oldest = (uint8_t)((e->oldest + 1) % GAPS);
	e->n_gap--;
	if (e->good + e->bad >= HALVE) {
		e->good /= 2;
		e->bad /= 2;
		e->usual /= 2;
	}
}

static bool is_noise(const struct share *e, uint32_t begins)
{
	for (unsigned i = 0; i < NOISE; i++) {
		if (e->noise[i] == begins) {
			return true;
		}
	}
	return false;
}

/* What was well understood for long after a few odd lines makes those old. */
static void note(struct share *e, uint32_t begins)
{
	unsigned at;

	if (e->n_gap == GAPS) {
		age(e);
	}
	while (e->n_gap > 0 && e->head.good >= 4096) {
		age(e);
	}
	at = (e->oldest + e->n_gap) % GAPS;
	if (e->head.good > UINT16_MAX) {
		e->good += e->head.good - UINT16_MAX;
		e->head.good = UINT16_MAX;
	}
	e->gap[at] = (uint16_t)e->head.good;
	e->stood += e->head.good;
	e->begins[at] = begins;
	e->n_gap++;
	e->head.good = 0;
}

static void begin_anew(struct share *e)
{
	e->head.good = e->good = e->bad = e->usual = e->run = 0;
	e->n_gap = e->oldest = 0;
	e->stood = 0;
	e->established = false;
	memset(e->noise, 0, sizeof e->noise);
	e->example.n = 0;
	e->name_new[0] = '\0';
}

/* Of a source whose headers can't be read: the program that it had most of. */
static const struct share *main_program(struct shares *s, unsigned source)
{
	const struct share *most = NULL;

	for (unsigned i = 0; i < s->n_entries; i++) {
		struct share *e = &s->entries[i];

		if (e->source == source && e->name_n > 0 && share_established(e) &&
		    (most == NULL || share_understood(e) > share_understood(most))) {
			most = e;
		}
	}
	return most;
}

static void tell(struct shares *s, struct share *e, struct share_fall *f)
{
	const struct share *about = e->name_n > 0 ? e : main_program(s, e->source);

	if (about != NULL && s->n_falls < FALLS) {
		memcpy(f->program, about->name, sizeof f->program);
		f->program[about->name_n] = '\0';
		memcpy(f->name_new, e->name_new, sizeof f->name_new);
		memcpy(f->source, s->sources[e->source].path, sizeof f->source);
		share_example_write(&e->example, f->example);
		s->falls[s->n_falls++] = *f;
	}
	/* When no header of a source is read, nothing of it is. */
	for (unsigned i = 0; i < s->n_entries; i++) {
		struct share *one = &s->entries[i];

		if (one == e || (e->name_n == 0 && one->source == e->source)) {
			begin_anew(one);
		}
	}
}

/* One process that says many things in a second says them of one thing. */
static bool same_moment(struct share *e, const struct share_line *l)
{
	int64_t s = l->h->time_ns / 1000000000;
	uint64_t pid = slot_key(1, l->h->pid);
	bool same = e->bad_s == s && e->bad_pid == pid;

	if (l->h->time_ns == TIME_NONE || l->h->pid.n == 0) {
		return false;
	}
	e->bad_s = s;
	e->bad_pid = pid;
	return same;
}

static void look_for_fall(struct shares *s, struct share *e, enum share_why why,
			  unsigned least)
{
	struct share_fall f = {.why = why};

	for (unsigned k = least; k <= GAPS; k *= 2) {
		if (fell(e, k, &f)) {
			tell(s, e, &f);
			return;
		}
	}
}

void share_bad(struct shares *s, struct share *e, const struct share_line *l,
	       enum share_why why, unsigned least)
{
	struct slice text = why == SHARE_WORDING ? l->h->message : l->line;
	uint32_t begins = share_example_begins(text);

	if (why == SHARE_WORDING && is_noise(e, begins)) {
		e->usual++;
		return;
	}
	if (same_moment(e, l)) {
		return;
	}
	note(e, begins);
	share_example_add(&e->example, text);
	look_for_fall(s, e, why, least);
}

/* A line without a header that anything is known of. */
void share_unread(struct shares *s, struct share *e, const struct share_line *l)
{
	struct share_fall f = {.why = SHARE_HEADER, .of = RUN};
	uint64_t heard = 0;

	for (unsigned i = 0; i < s->n_entries; i++) {
		const struct share *one = &s->entries[i];

		/* It is enough that this is another sum when a line was read. */
		if (one->source == e->source) {
			heard += one->head.good + one->good + one->usual + one->n_gap;
		}
	}
	e->run = heard == e->heard ? e->run + 1 : 1;
	e->heard = heard;
	share_example_add(&e->example, l->line);
	if (e->run < RUN || main_program(s, e->source) == NULL) {
		return;
	}
	f.before = tenths(share_understood(e), (uint64_t)share_understood(e) + e->bad);
	/* The source's own counts only lines that are not a known program's. */
	f.before = share_understood(e) == 0 ? 1000 : f.before;
	tell(s, e, &f);
}
