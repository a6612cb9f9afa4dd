#include <stdio.h>

#include "common/limits.h"
#include "detectors/baseline.h"

/* nightjar.silence, exactly.
 *
 * Let the lines that a rule matches in a group stand in the order of their times.  Where one
 * is followed by the next more than `silence` later, or by none, that is an alert: it begins
 * (first, and its identity) at the line before, and ends (last) at the next.  It is told when
 * no line can come any more that would have broken the silence.
 *
 * Each group has an episode from its first line on, whose deadline is the earliest at which
 * something is to be told; `frozen` is: the silence was told.  first_ms is the last line that
 * is settled; behind it the group keeps the lines that came, but for those between two that
 * are closer together than the silence.  A finished log does not say that nothing comes any
 * more: what is silent at its end is not told.
 *
 * Where the silence is learned, of each day (UTC) in which pauses ended the longest is
 * remembered (block maxima: Gumbel, "Statistics of Extremes", 1958).  What is usual on a day
 * is a percentile (nearest rank) of those of the days before it, `forget` of them; a line is
 * missed when the pause after it is longer than factor times that, not less than `least` and
 * not more than `most`.  Nothing is missed while the group is learning, while there are fewer
 * than three days with pauses, and where what is usual is longer than half of `most`.  Pauses that
 * make no difference (factor times them is below `least`) count as the longest of that kind,
 * so that lines between two that are as close need not be kept.  A pause that was told goes
 * in as the longest that would not have been told.  Lines are settled when the watermark has
 * passed them.  A group that was silent for `forget` begins anew.
 */

#define DAY_MS INT64_C(86400000)

enum { DAYS_LEAST = 3 };

static int64_t next_of(struct group *g)
{
	return g->n == 0 ? PAUSE_NEVER : STAMP_MS(group_stamp(g, 0));
}

/* ---- what is usual ---- */

static bool learns(const struct episode *e)
{
	return e->learned != NULL;
}

static int64_t day_of(int64_t ms)
{
	return ms / DAY_MS - (ms % DAY_MS < 0);
}

/* The longest pause that makes no difference. */
static int64_t shortest(const struct usual_pause *u)
{
	return u->least_ms * 1000 / u->factor;
}

static uint64_t *cell_of(struct baseline *b, int64_t day)
{
	int64_t at = day % b->n;

	return &b->cells[at < 0 ? at + b->n : at];
}

static int64_t limit_of(const struct usual_pause *u, const struct baseline *b)
{
	uint64_t sorted[UINT8_MAX + 1];
	uint32_t n = 0, rank;
	int64_t limit;

	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t at = n;

		if (b->cells[i] == 0) {
			continue;
		}
		for (; at > 0 && sorted[at - 1] > b->cells[i]; at--) {
			sorted[at] = sorted[at - 1];
		}
		sorted[at] = b->cells[i];
		n++;
	}
	rank = (n * u->percentile + 99) / 100;
	if (n < DAYS_LEAST || sorted[rank - 1] * 2 > (uint64_t)u->most_ms) {
		return PAUSE_NEVER;
	}
	limit = (int64_t)sorted[rank - 1] * u->factor / 1000;
	limit = limit > u->least_ms ? limit : u->least_ms;
	return limit < u->most_ms ? limit : u->most_ms;
}

/* A line is settled that stands at this time, so long after the one before. */
static void learn(struct episode *e, int64_t t_ms, int64_t pause_ms)
{
	const struct usual_pause *u = &e->rule->usual_pause;
	struct baseline *b = e->learned;
	int64_t day = day_of(t_ms);
	uint64_t pause, *cell;

	if (day != b->day) {
		int64_t from = day - b->day < b->n ? b->day + 1 : day - b->n + 1;

		for (int64_t i = from; i <= day; i++) {
			*cell_of(b, i) = 0;
		}
		b->day = day;
		b->limit_ms = day * DAY_MS - e->boundary_ms < u->learning_ms
				      ? PAUSE_NEVER : limit_of(u, b);
	}
	pause = (uint64_t)(pause_ms > shortest(u) ? pause_ms : shortest(u));
	cell = cell_of(b, day);
	*cell = pause > *cell ? pause : *cell;
}

static void begin(struct episode *e, int64_t t_ms)
{
	e->since_ms = e->first_ms = e->last_ms = e->boundary_ms = t_ms;
	e->frozen = false;
	if (learns(e)) {
		struct baseline *b = e->learned;

		memset(b->cells, 0, b->n * sizeof b->cells[0]);
		b->day = day_of(t_ms);
		b->limit_ms = PAUSE_NEVER;
	}
}

/* Of the pause after the last settled line. */
static int64_t after(const struct episode *e)
{
	return learns(e) ? e->learned->limit_ms : e->rule->silence_ms;
}

/* When a group that learns is forgotten. */
static int64_t over(const struct episode *e)
{
	return e->first_ms + e->rule->usual_pause.days * DAY_MS;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void set_deadline(struct detect *d, struct group *g, struct episode *e)
{
	int64_t at = e->frozen ? next_of(g) : e->first_ms + after(e) + 1;

	/* The line that is settled next may change what is usual. */
	at = learns(e) ? earlier(earlier(at, next_of(g)), over(e) + 1) : at;
	if (at != e->deadline_ms) {
		episode_defer(&d->windows, e, at);
	}
}

struct episode *silence_watch(struct detect *d, const struct rule *r, struct group *g,
			      const struct slice *values)
{
	struct episode *e = engine_watch(d, r, g, values);

	g->width = 1;
	if (e != NULL) {
		begin(e, d->t_ms);
		set_deadline(d, g, e);
	}
	return e;
}

/* Event i is not needed: those beside it are close enough. */
static bool needless(struct group *g, const struct episode *e, size_t i)
{
	int64_t before = i > 0 ? STAMP_MS(group_stamp(g, i - 1)) : e->first_ms, next;

	if ((i == 0 && e->frozen) || i + 1 >= g->n) {
		return false;
	}
	next = STAMP_MS(group_stamp(g, i + 1));
	if (learns(e)) {
		return next - before <= shortest(&e->rule->usual_pause) &&
		       day_of(before) == day_of(next);
	}
	return next - before <= e->rule->silence_ms;
}

/* Nearly always a line comes at the end, and makes needless the one that was the newest: it
 * takes its place. */
static bool replaces_newest(struct group *g, const struct episode *e, int64_t t_ms)
{
	const struct usual_pause *u = &e->rule->usual_pause;
	size_t n = g->n;
	int64_t before;

	if (n == 0 || (n == 1 && e->frozen) || STAMP_MS(group_stamp(g, n - 1)) > t_ms) {
		return false;
	}
	before = n > 1 ? STAMP_MS(group_stamp(g, n - 2)) : e->first_ms;
	if (learns(e)) {
		return t_ms - before <= shortest(u) && day_of(before) == day_of(t_ms);
	}
	return t_ms - before <= e->rule->silence_ms;
}

void silence_event(struct detect *d, const struct rule *r)
{
	int64_t t = d->t_ms;
	uint64_t hash;
	struct group *g;
	struct episode *e;
	size_t at;

	if (!engine_hash_fields(d, r->salt, r->group, r->n_group, &hash)) {
		return;
	}
	e = engine_watched(d, r, hash, &g);
	if (e == NULL) {
		return;
	}
	e->touched_ms = t > e->touched_ms ? t : e->touched_ms;
	if (t < e->first_ms && e->boundary_ms == e->first_ms && !e->frozen) {
		/* Nothing is settled yet: the group begins earlier. */
		int64_t later = e->first_ms;

		begin(e, t);
		t = later;
		set_deadline(d, g, e);
	}
	if (t <= e->first_ms) {
		return;
	}
	if (replaces_newest(g, e, t)) {
		group_cells(g)[g->n - 1u] = STAMP(t, 0);
		set_deadline(d, g, e);
		return;
	}
	at = group_insert(&d->windows, g, STAMP(t, 0), 0, 1);
	if (needless(g, e, at)) {
		group_cut(&d->windows, g, at, at + 1);
	} else if (at > 0 && needless(g, e, at - 1)) {
		group_cut(&d->windows, g, at - 1, at);
	}
	if (e->frozen || learns(e)) {
		set_deadline(d, g, e);
	}
}

/* "2d 3h", "3h 10m", "10m 5s". */
static void put_usual(char out[static FINDING_NOTE], int64_t ms)
{
	static const struct {
		int64_t ms;
		char unit[2];
	} units[] = {{DAY_MS, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
	unsigned i = 0;

	while (i < 2 && ms < units[i].ms) {
		i++;
	}
	snprintf(out, FINDING_NOTE, "hardly ever silent for %lld%s %lld%s",
		 (long long)(ms / units[i].ms), units[i].unit,
		 (long long)(ms % units[i].ms / units[i + 1].ms), units[i + 1].unit);
}

static void tell(struct detect *d, struct episode *e, enum finding_state state,
		 int64_t last_ms)
{
	struct slice values[EPISODE_TEXTS];
	char usual[FINDING_NOTE];
	struct telling t = {.rule = e->rule, .state = state, .open = state == FINDING_NEW,
			    .since_ms = e->first_ms, .first_ms = e->first_ms,
			    .last_ms = last_ms, .count = 1, .values = values};

	episode_texts(e, values);
	if (learns(e)) {
		put_usual(usual, after(e));
		t.usual = usual;
	}
	e->last_ms = last_ms;
	e->frozen = t.open;
	engine_tell_as(d, &t);
}

/* The next line is the last that is settled now; told: the silence before it was. */
static void settle(struct detect *d, struct group *g, struct episode *e, bool told)
{
	int64_t next = next_of(g), pause = next - e->first_ms;

	/* Lines of the same time are one.  A pause that was told must not make the next one
	 * usual. */
	if (learns(e) && pause > 0) {
		learn(e, next, told ? after(e) : pause);
	}
	e->first_ms = e->last_ms = next;
	group_cut(&d->windows, g, 0, 1);
}

/* So long that what was learned says nothing any more: it begins anew with the next line.
 * false: there is none. */
static bool forget(struct detect *d, struct group *g, struct episode *e)
{
	int64_t next = next_of(g);

	if (e->frozen) {
		tell(d, e, FINDING_END, e->last_ms);
	}
	if (next == PAUSE_NEVER) {
		return false;
	}
	begin(e, next);
	group_cut(&d->windows, g, 0, 1);
	return true;
}

/* One step; false: there is nothing to do now. */
static bool step(struct detect *d, struct group *g, struct episode *e, int64_t now_ms,
		 bool finished)
{
	int64_t next = next_of(g), pause = next - e->first_ms;
	bool known = next != PAUSE_NEVER || !finished; /* a log's end says nothing */

	if (!e->frozen && (next == PAUSE_NEVER || pause > after(e)) && known &&
	    e->first_ms + after(e) < now_ms) {
		tell(d, e, FINDING_NEW, e->first_ms + after(e));
		return true;
	}
	if (learns(e) && known && over(e) < earlier(now_ms, next)) {
		return forget(d, g, e);
	}
	if (next == PAUSE_NEVER || (next > now_ms && (e->frozen || learns(e))) ||
	    (!e->frozen && pause > after(e))) {
		return false;
	}
	if (e->frozen) {
		tell(d, e, FINDING_END, next);
		settle(d, g, e, true);
	} else {
		settle(d, g, e, false);
	}
	return true;
}

void silence_due(struct detect *d, struct episode *e, int64_t now_ms, bool finished)
{
	struct group *g = windows_find(&d->windows, e->hash);

	while (g != NULL && step(d, g, e, now_ms, finished)) {
	}
	if (finished && e->frozen) {
		tell(d, e, FINDING_END, e->last_ms);
	}
	if (g == NULL || finished || (learns(e) && over(e) < now_ms && g->n == 0)) {
		episode_remove(&d->windows, e);
	} else {
		set_deadline(d, g, e);
	}
}

void silence_drop(struct detect *d, struct episode *e)
{
	struct group *g = windows_find(&d->windows, e->hash);

	if (e->frozen) {
		tell(d, e, FINDING_END, e->last_ms);
	}
	if (g != NULL) {
		group_cut(&d->windows, g, 0, g->n);
	}
	episode_remove(&d->windows, e);
}
