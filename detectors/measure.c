#include "detectors/measure.h"

#include <stdlib.h>
#include <string.h>

#include "detectors/rule.h"
#include "detectors/window.h"

enum { SLOTS = CELLS_MAX, EVENTS = CELLS_MAX / 2 };

void measure_fini(struct measure *m)
{
	free(m->slots);
	free(m->sorted);
	*m = (struct measure){.n = 0};
}

static bool needs_slots(const struct rule *r)
{
	return r->type == CORRELATION_VALUE_COUNT ||
	       (r->type == CORRELATION_VALUE_PERCENTILE && r->percentile == 0);
}

bool measure_begin(struct measure *m, const struct rule *r)
{
	m->n = m->distinct = 0;
	m->sum = 0;
	if (needs_slots(r)) {
		if (m->slots == NULL || ++m->round == 0) {
			free(m->slots);
			m->slots = calloc(SLOTS, sizeof *m->slots);
			m->round = 1;
		}
		return m->slots != NULL;
	}
	if (r->type == CORRELATION_VALUE_PERCENTILE && m->sorted == NULL) {
		m->sorted = malloc(EVENTS * sizeof *m->sorted);
		return m->sorted != NULL;
	}
	return true;
}

/* A place for the value, which is a keyed hash.  There are never more values than
 * half the slots: a group keeps no more events. */
static struct measure_slot *slot_of(struct measure *m, int64_t value)
{
	uint32_t i = (uint32_t)value & (SLOTS - 1);

	while (m->slots[i].round == m->round && m->slots[i].value != value) {
		i = (i + 1) & (SLOTS - 1);
	}
	if (m->slots[i].round != m->round) {
		m->slots[i] = (struct measure_slot){value, 0, m->round};
	}
	return &m->slots[i];
}

/* A saved state may say anything. */
static int64_t number(int64_t value)
{
	return value >= 0 && value <= MEASURE_MOST ? value : 0;
}

void measure_add(struct measure *m, const struct rule *r, int64_t value, size_t n)
{
	m->n += n;
	if (needs_slots(r)) {
		struct measure_slot *s = slot_of(m, value);

		m->distinct += s->count == 0;
		s->count += (uint32_t)n;
	} else if (r->type != CORRELATION_EVENT_COUNT) {
		m->sum += number(value) * (int64_t)n;
	}
}

void measure_remove(struct measure *m, const struct rule *r, int64_t value, size_t n)
{
	m->n -= n;
	if (needs_slots(r)) {
		struct measure_slot *s = slot_of(m, value);

		s->count -= (uint32_t)n;
		m->distinct -= s->count == 0;
	} else if (r->type != CORRELATION_EVENT_COUNT) {
		m->sum -= number(value) * (int64_t)n;
	}
}

/* x of n against the range: x / n, without dividing. */
static bool in_range(const struct count_range *g, int64_t x, int64_t n)
{
	int64_t least = g->min * n;

	if (x < least || (g->above && x == least)) {
		return false;
	}
	if (g->max != INT64_MAX &&
	    (x > g->max * n || (g->below && x == g->max * n))) {
		return false;
	}
	return !g->excepts || x != g->not * n;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* The nearest rank: the smallest value that percentile% of all do not exceed. */
static int64_t ranked(struct measure *m, const struct rule *r, const int64_t *events)
{
	size_t rank = (size_t)((m->n * r->percentile + 99) / 100);

	for (size_t i = 0; i < m->n; i++) {
		m->sorted[i] = events[i * 2 + 1];
	}
	qsort(m->sorted, m->n, sizeof *m->sorted, by_value);
	return m->sorted[rank == 0 ? 0 : rank - 1];
}

bool measure_holds(struct measure *m, const struct rule *r, int64_t value,
		   const int64_t *events)
{
	if (m->n == 0) {
		return false;
	}
	switch (r->type) {
	case CORRELATION_VALUE_COUNT:
		return in_range(&r->range, (int64_t)m->distinct, 1);
	case CORRELATION_VALUE_SUM:
		return in_range(&r->range, m->sum, 1);
	case CORRELATION_VALUE_AVG:
		return in_range(&r->range, m->sum, (int64_t)m->n);
	case CORRELATION_VALUE_PERCENTILE:
		if (r->percentile > 0) {
			return in_range(&r->range, ranked(m, r, events), 1);
		}
		return in_range(&r->range, INT64_C(100000) * slot_of(m, value)->count,
				(int64_t)m->n);
	default:
		return in_range(&r->range, (int64_t)m->n, 1);
	}
}

bool measure_number(struct slice s, int64_t *out)
{
	int64_t whole = 0, part = 0, unit = 1000;
	size_t i = 0;

	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
		whole = whole > MEASURE_MOST / 1000 ? whole
						     : whole * 10 + (s.p[i] - '0');
	}
	if (i == 0 || (i < s.n && (s.p[i] != '.' || i + 1 == s.n))) {
		return false;
	}
	for (i++; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9') {
			return false;
		}
		unit /= 10;
		part += (s.p[i] - '0') * unit;
	}
	*out = whole >= MEASURE_MOST / 1000 ? MEASURE_MOST : whole * 1000 + part;
	return true;
}
