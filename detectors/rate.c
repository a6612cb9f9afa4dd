#include <stdio.h>

#include "common/limits.h"
#include "detectors/baseline.h"

/* nightjar.rate, exactly.
 *
 * Time is cut into whole hours (UTC).  Each hour of a group, from that of its first event on,
 * has a count, which is 0 where nothing came.  A group has 1, 24 or 168 averages (cells): of
 * all hours, of each hour of the day or of each hour of the week, by the device's clock.  An
 * hour is judged by the average of its cell as it is when all hours before it are over:
 *
 *   above   told when count >= minimum and count > factor * average
 *   below   told when average >= minimum and count < average / factor; at the hour's end
 *
 * unless the group is still learning, or the cell is without any hour.  Then the hour goes
 * into the average: a plain one of the first hours, and then an exponentially weighted moving
 * average (Roberts, "Control Chart Tests Based on Geometric Moving Averages", 1959; one for
 * each place in the cycle as in Brutlag, "Aberrant Behavior Detection in Time Series for
 * Network Monitoring", LISA 2000) whose weight is one part in as many cycles as `forget` has.
 * What is told as above goes in as the most that would not have been told, so that an attack
 * does not become usual in an hour.  The first hour, of which only a part was seen, does not
 * go in.  A group that was silent for `forget` begins anew.
 *
 * Above is told as soon as the count is reached and the hours before are over.  An hour is
 * over when the watermark is at its end, so that the order in which lines come changes nothing.
 *
 * In the episode: boundary_ms is the group's first hour, first_ms the one that is looked at
 * (all before it are over), last_ms the last event in what is over, frozen: it was told,
 * told: with which count, base: the least that is told.  The group keeps two events for
 * each hour that is not over and has any: its count, and its last event.
 */

#define HOUR_MS INT64_C(3600000)
#define RATE_NEVER (RATE_MOST + UINT64_C(1))

enum { COUNT, LAST }; /* stages of the two */

static int64_t hour_of(int64_t ms)
{
	int64_t into = ms % HOUR_MS;

	return ms - (into < 0 ? into + HOUR_MS : into);
}

/* ---- averages ---- */

static uint64_t *cell_of(const struct detect *d, const struct episode *e, int64_t hour_ms)
{
	unsigned hour = engine_minute_of_week(d, hour_ms) / 60;

	return &e->learned->cells[hour % e->learned->n];
}

static void learn(const struct rate *rate, uint64_t *cell, uint64_t count)
{
	int64_t window = rate->forget_ms / (rate->cells * HOUR_MS);
	int64_t n = (int64_t)(*cell & 0xffff), average = (int64_t)(*cell >> 16);

	n = n < window ? n + 1 : window;
	average += ((int64_t)(count << 16) - average) / n;
	*cell = (uint64_t)average << 16 | (uint64_t)n;
}

/* The least count that is told as above; UINT64_MAX: none is. */
static uint64_t least_above(const struct rate *rate, uint64_t cell)
{
	uint64_t most = (cell >> 16) * (uint64_t)rate->above / 1000 >> 16;

	if (rate->above == 0) {
		return UINT64_MAX;
	}
	return most + 1 > rate->minimum ? most + 1 : rate->minimum;
}

/* The least count that is not told as below. */
static uint64_t least_usual(const struct rate *rate, uint64_t cell)
{
	uint64_t average = cell >> 16, down = (uint64_t)rate->below << 16;

	if (down == 0 || average < rate->minimum << 16) {
		return 0;
	}
	return (average * 1000 + down - 1) / down;
}

/* Whether the hour that is looked at has something that it can be compared with. */
static bool has_learned(const struct episode *e, uint64_t cell)
{
	return (cell & 0xffff) > 0 && e->first_ms - e->boundary_ms >= e->rule->rate.learning_ms;
}

/* The least count of the hour that is looked at that is told. */
static uint64_t least_now(const struct detect *d, const struct episode *e)
{
	uint64_t cell = *cell_of(d, e, e->first_ms), least = least_above(&e->rule->rate, cell);

	return has_learned(e, cell) && least < RATE_NEVER ? least : RATE_NEVER;
}

/* ---- telling ---- */

static void tell(struct detect *d, struct episode *e, enum finding_state state, bool open,
		 uint64_t count, int64_t last_ms)
{
	static const char *const when[] = {[1] = "an hour", [24] = "in this hour of the day",
					   [168] = "in this hour of the week"};
	const struct group *g = windows_find(&d->windows, e->hash);
	uint64_t cell = *cell_of(d, e, e->first_ms);
	uint64_t tenths = ((cell >> 16) * 10 + (1u << 15)) >> 16;
	struct slice values[EPISODE_TEXTS];
	char usual[FINDING_NOTE];
	struct telling t = {.rule = e->rule, .state = state, .open = open,
			    .since_ms = e->first_ms, .first_ms = e->first_ms,
			    .last_ms = last_ms, .count = count, .values = values,
			    .usual = usual,
			    .evidence = g != NULL && count > 0 ? g->evidence : 0};

	episode_texts(e, values);
	snprintf(usual, sizeof usual, "%llu.%llu %s", (unsigned long long)(tenths / 10),
		 (unsigned long long)(tenths % 10), when[e->rule->rate.cells]);
	engine_tell_as(d, &t);
	e->told = count;
	e->frozen = open;
}

/* ---- the hours that are not over ---- */

/* Where the hour's two events are, or would be. */
static size_t place_of(struct group *g, int64_t hour_ms)
{
	return group_bound(g, STAMP(hour_ms, COUNT));
}

static bool is_there(struct group *g, size_t at, int64_t hour_ms)
{
	return at < g->n && group_stamp(g, at) == STAMP(hour_ms, COUNT);
}

static int64_t *value_at(struct group *g, size_t at)
{
	return &group_cells(g)[at * 2 + 1];
}

/* Returns what the hour's count is now. */
static uint64_t add(struct detect *d, struct group *g, int64_t hour_ms, int64_t t_ms,
		    uint64_t weight)
{
	size_t at = place_of(g, hour_ms);
	int64_t *count, *last;

	if (!is_there(g, at, hour_ms)) {
		/* Evidence is of the newest hour. */
		g->evidence = at == g->n ? 0 : g->evidence;
		group_insert(&d->windows, g, STAMP(hour_ms, COUNT), 0, 1);
		group_insert(&d->windows, g, STAMP(hour_ms, LAST), t_ms, 1);
		at = place_of(g, hour_ms);
	}
	/* With very many hours open the oldest went, perhaps this one. */
	if (!is_there(g, at, hour_ms) || at + 1 >= g->n) {
		return 0;
	}
	count = value_at(g, at);
	last = value_at(g, at + 1);
	*count = (uint64_t)*count + weight < RATE_MOST ? *count + (int64_t)weight : RATE_MOST;
	*last = t_ms > *last ? t_ms : *last;
	return (uint64_t)*count;
}

/* The count of the hour that is looked at. */
static uint64_t count_now(struct group *g, const struct episode *e, int64_t *last_ms)
{
	if (!is_there(g, 0, e->first_ms)) {
		*last_ms = e->last_ms;
		return 0;
	}
	*last_ms = *value_at(g, 1);
	return (uint64_t)*value_at(g, 0);
}

/* All hours before it are over: whether it has reached what is told. */
static void judge(struct detect *d, struct group *g, struct episode *e)
{
	int64_t last_ms;
	uint64_t count = count_now(g, e, &last_ms);

	if (e->frozen) {
		if (count >= e->told * 2) {
			tell(d, e, FINDING_UPDATE, true, count, last_ms);
		}
	} else if (count >= e->base) {
		tell(d, e, FINDING_NEW, true, count, last_ms);
	}
}

/* The hour is over.  below: what did not come is to be told. */
static void finish_hour(struct detect *d, struct group *g, struct episode *e, bool below)
{
	const struct rate *rate = &e->rule->rate;
	uint64_t *cell = cell_of(d, e, e->first_ms);
	int64_t last_ms;
	uint64_t count = count_now(g, e, &last_ms), used = count;

	if (e->frozen) {
		tell(d, e, FINDING_END, false, count, last_ms);
		used = least_above(rate, *cell) - 1;
	} else if (below && has_learned(e, *cell) && count < least_usual(rate, *cell)) {
		tell(d, e, FINDING_NEW, false, count, e->first_ms + HOUR_MS);
	}
	if (e->first_ms > e->boundary_ms) {
		learn(rate, cell, used);
	}
	if (count > 0) {
		e->last_ms = last_ms;
		group_cut(&d->windows, g, 0, 2);
	}
	e->first_ms += HOUR_MS;
	e->base = least_now(d, e);
}

/* ---- groups ---- */

static void begin(struct episode *e, int64_t hour_ms, int64_t last_ms)
{
	e->since_ms = e->first_ms = e->boundary_ms = hour_ms;
	e->last_ms = last_ms;
	e->base = RATE_NEVER;
	e->frozen = false;
}

static void set_deadline(struct detect *d, struct episode *e)
{
	episode_defer(&d->windows, e, e->first_ms + HOUR_MS);
}

struct episode *rate_watch(struct detect *d, const struct rule *r, struct group *g,
			   const struct slice *values)
{
	struct episode *e = engine_watch(d, r, g, values);

	if (e != NULL) {
		begin(e, hour_of(d->t_ms), d->t_ms);
		set_deadline(d, e);
	}
	return e;
}

void rate_event(struct detect *d, const struct rule *r)
{
	uint64_t weight = r->weigh_attempts ? d->record->event.attempts : 1;
	int64_t hour = hour_of(d->t_ms);
	uint64_t count, hash;
	struct group *g;
	struct episode *e;

	if (weight == 0 || !engine_hash_fields(d, r->salt, r->group, r->n_group, &hash)) {
		return;
	}
	e = engine_watched(d, r, hash, &g);
	if (e == NULL) {
		return;
	}
	g->width = 2;
	if (hour < e->first_ms && e->first_ms == e->boundary_ms) {
		/* Nothing is over yet: the group begins earlier. */
		begin(e, hour, d->t_ms);
		set_deadline(d, e);
	}
	if (hour < e->first_ms) {
		return;
	}
	e->touched_ms = d->t_ms > e->touched_ms ? d->t_ms : e->touched_ms;
	count = add(d, g, hour, d->t_ms, weight);
	/* The lines that lead to an alert, if this is going to be one. */
	if (!e->frozen && r->rate.above > 0 &&
	    count + LIMIT_EVIDENCE_LINES >= r->rate.minimum) {
		engine_evidence(d, &g->evidence);
	}
	judge(d, g, e);
}

/* Nothing came for so long that what was learned says nothing any more. */
static bool is_over(const struct episode *e)
{
	return e->first_ms - e->last_ms > e->rule->rate.forget_ms;
}

void rate_due(struct detect *d, struct episode *e, int64_t now_ms, bool finished)
{
	struct group *g = windows_find(&d->windows, e->hash);

	while (g != NULL && e->first_ms + HOUR_MS <= now_ms && (!finished || g->n > 0)) {
		finish_hour(d, g, e, !finished);
		if (is_over(e) && g->n > 0) {
			memset(e->learned->cells, 0, e->learned->n * sizeof e->learned->cells[0]);
			begin(e, STAMP_MS(group_stamp(g, 0)), *value_at(g, 1));
		} else if (is_over(e)) {
			break;
		}
		judge(d, g, e);
	}
	if (g == NULL || finished || is_over(e)) {
		episode_remove(&d->windows, e);
	} else {
		set_deadline(d, e);
	}
}

void rate_drop(struct detect *d, struct episode *e)
{
	struct group *g = windows_find(&d->windows, e->hash);
	int64_t last_ms;
	uint64_t count;

	if (g != NULL) {
		count = count_now(g, e, &last_ms);
		if (e->frozen) {
			tell(d, e, FINDING_END, false, count, last_ms);
		}
		group_cut(&d->windows, g, 0, g->n);
	}
	episode_remove(&d->windows, e);
}

/* ---- state ---- */

bool rate_fits(const struct detect *d, const struct episode *e)
{
	struct group *g = windows_find(&d->windows, e->hash);
	int64_t longest = e->rule->rate.forget_ms + HOUR_MS, before = e->first_ms;

	if (g == NULL || g->n % 2 != 0 || (g->n > 0 && g->width != 2) ||
	    hour_of(e->first_ms) != e->first_ms || hour_of(e->boundary_ms) != e->boundary_ms ||
	    e->boundary_ms > e->first_ms || e->first_ms - e->last_ms > longest ||
	    e->last_ms >= e->first_ms + HOUR_MS || (e->frozen && e->told == 0) || e->base == 0) {
		return false;
	}
	for (size_t i = 0; i < g->n; i += 2) {
		int64_t hour = STAMP_MS(group_stamp(g, i)), count = *value_at(g, i);

		if (group_stamp(g, i) != STAMP(hour, COUNT) || hour < before ||
		    group_stamp(g, i + 1) != STAMP(hour, LAST) || hour_of(hour) != hour ||
		    count < 1 || count > RATE_MOST || hour_of(*value_at(g, i + 1)) != hour) {
			return false;
		}
		before = hour + HOUR_MS;
	}
	return true;
}
