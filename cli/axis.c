#include "cli/axis.h"

#include <string.h>

#include "common/timefmt.h"

/* The last one makes 2,500 years of 256 pieces: more than Unix nanoseconds have. */
static const int64_t lengths_s[] = {
	1, 2, 10, 30, 60, 120, 600, 1800, 3600, 7200, 21600, 43200, 86400,
	7 * 86400, 28 * 86400, 364 * 86400, 3640 * 86400,
};

static int64_t divided(int64_t v, int64_t by)
{
	return v / by - (v % by < 0);
}

static bool is_far(const struct axis *a, int64_t s)
{
	return s < axis_first_s(a) - AXIS_FAR_S || s >= axis_end_s(a) + AXIS_FAR_S;
}

static int begin(struct axis *a, int64_t s)
{
	a->level = 0;
	a->from = a->lo = a->hi = s;
	return 0;
}

int axis_place(struct axis *a, int64_t ns, struct axis_move *move)
{
	int64_t s = divided(ns, NS_PER_S), piece, lo, hi, factor = 1;

	*move = (struct axis_move){.wanted = false};
	if (a->inside == 0) {
		a->inside = 1;
		return begin(a, s);
	}
	if (is_far(a, s)) {
		uint64_t inside = a->inside;

		if (++a->away <= inside) {
			return -1;
		}
		a->inside = a->away;
		a->away = inside;
		*move = (struct axis_move){.wanted = true, .clear = true};
		return begin(a, s);
	}
	a->inside++;
	piece = divided(s, lengths_s[a->level]);
	lo = piece < a->lo ? piece : a->lo;
	hi = piece > a->hi ? piece : a->hi;
	while (hi - lo >= AXIS_PIECES) {
		int64_t by = lengths_s[a->level + 1] / lengths_s[a->level];

		a->level++;
		factor *= by;
		piece = divided(piece, by);
		lo = divided(lo, by);
		hi = divided(hi, by);
	}
	if (factor > 1 || lo < a->from || hi >= a->from + AXIS_PIECES) {
		/* The room that is left goes to the side on which it grows. */
		int64_t to = piece == lo && lo != hi ? hi - AXIS_PIECES + 1 : lo;

		*move = (struct axis_move){true, false, a->from, factor, to};
		a->from = to;
	}
	a->lo = lo;
	a->hi = hi;
	return (int)(piece - a->from);
}

void axis_move_counts(const struct axis_move *m, uint32_t counts[static AXIS_PIECES])
{
	uint32_t old[AXIS_PIECES];

	memcpy(old, counts, sizeof old);
	memset(counts, 0, sizeof old);
	for (int i = 0; i < AXIS_PIECES && !m->clear; i++) {
		if (old[i] > 0) {
			counts[divided(m->from + i, m->factor) - m->to] += old[i];
		}
	}
}

int64_t axis_length_s(const struct axis *a)
{
	return lengths_s[a->level];
}

int64_t axis_first_s(const struct axis *a)
{
	return a->lo * lengths_s[a->level];
}

int64_t axis_end_s(const struct axis *a)
{
	return (a->hi + 1) * lengths_s[a->level];
}

unsigned axis_used(const struct axis *a)
{
	return a->inside == 0 ? 0 : (unsigned)(a->hi - a->lo + 1);
}

unsigned axis_skip(const struct axis *a)
{
	return (unsigned)(a->lo - a->from);
}
