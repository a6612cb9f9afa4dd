#include "tests/support/reference_watch.h"

#include <stdlib.h>

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

static void found(struct ref_result *out, int key, int64_t first, int64_t last, int64_t count)
{
	if (out->n == out->room) {
		out->room = out->room == 0 ? 64 : out->room * 2;
		out->v = realloc(out->v, out->room * sizeof *out->v);
	}
	out->v[out->n++] = (struct ref_alert){0, {key, REF_NONE}, first, last, (uint64_t)count};
}

static int64_t floor_to(int64_t ms, int64_t unit)
{
	return ms - ms % unit; /* no time here is before 1970 */
}

/* ---- rate ---- */

static int cell_of(const struct ref_rate *r, int64_t hour)
{
	int64_t s = hour / 1000, at;

	s += r->offset == NULL ? 0 : r->offset(NULL, s);
	at = s / 3600;
	if (r->cells == 24) {
		return (int)(at % 24);
	}
	/* 1970-01-05 was a Monday. */
	return r->cells == 1 ? 0 : (int)((at - 4 * 24 + 168) % 168);
}

/* In 65536ths, what is smaller cut off. */
struct average {
	int64_t of, hours;
};

static bool is_above(const struct ref_rate *r, const struct average *a, int64_t count)
{
	return r->above > 0 && count >= r->minimum && count * 65536 * 1000 > a->of * r->above;
}

static bool is_below(const struct ref_rate *r, const struct average *a, int64_t count)
{
	return r->below > 0 && a->of >= r->minimum * 65536 &&
	       count * 65536 * r->below < a->of * 1000;
}

static void learn(const struct ref_rate *r, struct average *a, int64_t count)
{
	int64_t window = r->forget_ms / (r->cells * HOUR);

	a->hours = a->hours + 1 < window ? a->hours + 1 : window;
	a->of += (count * 65536 - a->of) / a->hours;
}

/* From the group's first event on, until it is forgotten.  Returns the number of events. */
static size_t rate_life(const struct ref_rate *r, int key, const struct ref_event *e, size_t n,
			int64_t seen_ms, struct ref_result *out)
{
	struct average averages[168] = {{0, 0}};
	int64_t begin = floor_to(e[0].ms, HOUR), last = e[0].ms;
	size_t i = 0;

	for (int64_t h = begin; i < n || h + HOUR <= seen_ms; h += HOUR) {
		struct average *a = &averages[cell_of(r, h)];
		bool judged = a->hours > 0 && h - begin >= r->learning_ms;
		int64_t count = 0;

		for (; i < n && e[i].ms < h + HOUR; i++) {
			count += e[i].weight;
			last = e[i].ms;
		}
		if (judged && is_above(r, a, count)) {
			found(out, key, h, last, count);
			while (is_above(r, a, count)) {
				count--;
			}
		} else if (judged && h + HOUR <= seen_ms && is_below(r, a, count)) {
			found(out, key, h, h + HOUR, count);
		}
		if (h > begin) {
			learn(r, a, count);
		}
		if (h + HOUR - last > r->forget_ms) {
			break;
		}
	}
	return i;
}

void reference_rate(const struct ref_rate *r, int key, const struct ref_event *e, size_t n,
		    int64_t seen_ms, struct ref_result *out)
{
	for (size_t i = 0; i < n;) {
		i += rate_life(r, key, e + i, n - i, seen_ms, out);
	}
}

/* ---- silence ---- */

/* Pause i is that before event i; told: how long it may be. */
static int64_t allowed(const struct ref_silence *r, const struct ref_event *e,
		       const int64_t *pauses, size_t begin, size_t i)
{
	int64_t today = floor_to(e[i].ms, DAY), longest[64], n = 0, limit;
	int64_t rank;

	if (r->given_ms > 0) {
		return r->given_ms;
	}
	for (int64_t day = today - r->forget_days * DAY; day < today; day += DAY) {
		int64_t most = 0;

		for (size_t k = begin + 1; k <= i; k++) {
			if (floor_to(e[k].ms, DAY) == day && pauses[k] > most) {
				most = pauses[k];
			}
		}
		if (most > 0) {
			longest[n++] = most;
		}
	}
	if (n < 3 || today - e[begin].ms < r->learning_ms) {
		return INT64_MAX;
	}
	/* The smallest that at least so many percent do not exceed. */
	limit = INT64_MAX;
	for (int64_t x = 0; x < n; x++) {
		rank = 0;
		for (int64_t y = 0; y < n; y++) {
			rank += longest[y] <= longest[x];
		}
		if (rank * 100 >= n * r->percentile && longest[x] < limit) {
			limit = longest[x];
		}
	}
	if (limit * 2 > r->most_ms) {
		return INT64_MAX;
	}
	limit = limit * r->factor / 1000;
	limit = limit < r->least_ms ? r->least_ms : limit;
	return limit > r->most_ms ? r->most_ms : limit;
}

void reference_silence(const struct ref_silence *r, int key, const struct ref_event *e,
		       size_t n, int64_t seen_ms, struct ref_result *out)
{
	int64_t *pauses = calloc(n + 1, sizeof *pauses);
	size_t begin = 0;

	for (size_t i = 0; i < n; i++) {
		int64_t limit = allowed(r, e, pauses, begin, i);
		int64_t next = i + 1 < n ? e[i + 1].ms : INT64_MAX, pause = next - e[i].ms;
		bool forgotten = r->given_ms == 0 && pause > r->forget_days * DAY;

		if (pause == 0) {
			pauses[i + 1] = pauses[i]; /* lines of the same time are one */
			begin += begin == i;
			continue;
		}
		if (pause > limit && (i + 1 < n || e[i].ms + limit < seen_ms)) {
			found(out, key, e[i].ms,
			      forgotten || i + 1 == n ? e[i].ms + limit : next, 1);
		}
		if (forgotten) {
			begin = i + 1;
			continue;
		}
		pauses[i + 1] = pause < limit ? pause : limit;
		if (r->given_ms == 0 && pauses[i + 1] < r->least_ms * 1000 / r->factor) {
			pauses[i + 1] = r->least_ms * 1000 / r->factor;
		}
	}
	free(pauses);
}
