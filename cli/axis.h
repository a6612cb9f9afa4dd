/* axis: time, cut into at most AXIS_PIECES pieces of one length, whatever comes.
 *
 * When a time does not fit, pieces grow: from a second over minutes, hours and days to years,
 * each length a multiple of the one before, so that counts move into longer pieces whole and
 * stay exact.  Many arrays of counts may stand on one axis; whoever places a time moves them
 * all when the axis says so, at most some thousand times however the times come.
 *
 * One stamp of a clock that was never set must not make a log of one night a dot in fifty
 * years: what is more than AXIS_FAR_S away from all that was placed has no piece.  If such
 * times become more than the others, the axis begins anew there, and the others have none.
 *
 * Pure; one thread.
 */
#ifndef CLI_AXIS_H
#define CLI_AXIS_H

#include <stdbool.h>
#include <stdint.h>

enum { AXIS_PIECES = 256, AXIS_FAR_S = 400 * 86400 };

struct axis {
	unsigned level; /* of the lengths */
	int64_t from;   /* piece 0 is the from'th of its length since 1970 */
	int64_t lo, hi; /* first and last piece that has something, counted likewise */
	uint64_t inside, away; /* times with a piece, and without one */
};

/* How counts move: piece i becomes (from + i) / factor - to. */
struct axis_move {
	bool wanted;
	bool clear; /* all counts are away now */
	int64_t from, factor, to;
};

/* The piece of a Unix time (a zeroed struct axis is an empty one), after the move that
 * *move says, or -1: it has none. */
int axis_place(struct axis *a, int64_t ns, struct axis_move *move);
void axis_move_counts(const struct axis_move *m, uint32_t counts[static AXIS_PIECES]);

/* Seconds of a piece. */
int64_t axis_length_s(const struct axis *a);
/* Unix time of the first piece that has something, and of the end of the last one. */
int64_t axis_first_s(const struct axis *a);
int64_t axis_end_s(const struct axis *a);
/* How many pieces those are, 0 for an empty axis, and where in an array of counts they begin. */
unsigned axis_used(const struct axis *a);
unsigned axis_skip(const struct axis *a);

#endif
