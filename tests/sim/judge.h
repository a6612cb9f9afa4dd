/* judge: compares what stores hold with what was written (truth.h).
 *
 * Of every byte of every log there is, in the store that the devices were connected
 * with in the end,
 *
 *   one record (in a stream that claims to be the only one), and no gap;
 *   or records in streams that say of themselves that they may repeat others;
 *   or one gap record, or "the rest was not found", and then another store has it, or
 *   this one had it when it was put back, or the bytes were destroyed unread; a stream
 *   that says that it may repeat others may have them all the same;
 *   or a fork's word that another stream has it, where two logs have one and the same
 *   first line;
 *   or nothing, and then another store has it, or this one had it when it was damaged.
 *
 * The records of a stream stand in the order in which they were written and leave
 * nothing out, and each has the bytes of one and the same log at its place. */
#ifndef TESTS_SIM_JUDGE_H
#define TESTS_SIM_JUDGE_H

#include "tests/sim/rig.h"

struct verdict {
	int rc;            /* of reading the store */
	unsigned lost;     /* bytes, each of these */
	unsigned unseen;   /* likewise, in logs that a stated limit covers (excuse.h) */
	unsigned doubled;
	unsigned gaps;     /* told as lost although nothing was */
	unsigned wrong;    /* records: not what was written, out of order, a hole */
	unsigned repeated; /* bytes that are there once more, flagged ... */
	unsigned repeated_later; /* ... of these, beyond their log's first line */
	unsigned told;     /* bytes told as lost, rightly */
	unsigned trimmed;  /* bytes of a first line that another log has as well */
	unsigned elsewhere; /* bytes that only another store has */
	unsigned alerts;   /* records */
	size_t first;      /* offset of the first bad byte in its content */
	int content;
	char what[128];    /* is wrong with the first such record */
};

/* Who has held a byte (bits of mark.held). */
enum { HELD_BEFORE = 1, /* this store, until it was put back: must be told */
       HELD_ELSEWHERE = 2, /* another store, or this one before a bit of it turned */
};

/* The store is about to be lost, or not to be used any more: what it holds may be
 * missing from now on. */
void judge_remember(struct rig *r, struct host *h, uint8_t held);
void judge(struct rig *r, struct host *h, struct verdict *out);
/* cloned: a machine was copied and both go on: then a line may be doubled without a flag
 * (docs/delivery.md, limits). */
bool verdict_is_good(const struct verdict *v, bool cloned);
/* Two machines have gone on with one stream, and it has lines of both: what the one
 * had at a place of the other's is lost (likewise). */
bool verdict_is_mixed(const struct verdict *v);

#endif
