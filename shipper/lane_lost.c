#include "shipper/lane.h"

#include <stdio.h>

/* What a lane gives up by policy or lacks for another reason, until a gap record in a
 * batch of its own stream says so.  (Gaps in segments of their own: lane_job.c.) */
enum { GAP_TEXT = 64 };

struct lost *lane_find_lost(struct lane_state *ln, const struct stream_id *id)
{
	for (size_t i = 0; i < ln->n_lost; i++) {
		if (memcmp(&ln->lost[i].id, id, sizeof *id) == 0) {
			return &ln->lost[i];
		}
	}
	return NULL;
}

/* The spool is full and the policy is to give up what comes in now. */
bool lane_gives_up(struct lane_state *ln, const struct stream_id *id)
{
	return queue_policy(ln->queue) == SPOOL_DROP_NEWEST &&
	       lane_goes_to_file(ln) &&
	       !lane_fits_spool(ln, ln->filling) &&
	       (ln->n_lost < LOST_STREAMS || lane_find_lost(ln, id) != NULL);
}

/* Counted, and owed as a gap record. */
void lane_give_up(struct lane_state *ln, const struct record *r)
{
	struct lost *lost = lane_find_lost(ln, &r->stream);

	if (lost == NULL) {
		lost = &ln->lost[ln->n_lost++];
		*lost = (struct lost){r->stream, r->start, r->start, 0,
				      "spool-full drop-newest"};
	}
	lost->end = r->end;
	lost->count++;
	ln->dropped++;
}

/* The gap record that a stream owes, before its next record at `next`. */
int lane_add_lost(struct lane_state *ln, struct slot *s, uint64_t next)
{
	struct lost *lost = lane_find_lost(ln, &s->id);
	char text[GAP_TEXT];
	struct record r;
	int rc;

	if (lost == NULL) {
		return 0;
	}
	if (next <= lost->start) {
		*lost = ln->lost[--ln->n_lost]; /* It has been found after all. */
		return 0;
	}
	r = (struct record){.stream = s->id,
			    .start = lost->start,
			    .end = next,
			    .flags = RECORD_GAP,
			    .observed_ns = sys_wall_ns(ln->sh->sys),
			    .header.time_ns = TIME_NONE};
	r.line = slice_str(lost->reason);
	if (lost->count > 0) {
		r.line = slice(text, (size_t)snprintf(
					     text, sizeof text, "%s lines=%llu",
					     lost->reason,
					     (unsigned long long)lost->count));
	}
	rc = body_add(&s->section, &r, false);
	if (rc == 0) {
		*lost = ln->lost[--ln->n_lost];
		ln->filling += r.line.n + LANE_RECORD_OVERHEAD;
		ln->sh->gaps++;
	}
	return rc;
}

/* The gap over what another store holds, before the stream's first record here. */
static int add_held_gap(struct lane_state *ln, struct slot *s,
			const struct record *next)
{
	struct held *held = &ln->sh->elsewhere;
	const struct lost *lost = lane_find_lost(ln, &s->id);
	uint64_t start, end = lost != NULL ? lost->start : next->start;
	struct record r;
	int rc;

	/* Behind records that are in the batch already it has no place: they will
	 * be refused, and all come again. */
	if (s->section.count > 0 ||
	    held_owed(held, &s->id, end, &start) == 0) {
		return 0;
	}
	r = (struct record){.stream = s->id,
			    .start = start,
			    .end = end,
			    .flags = RECORD_GAP,
			    .line = slice_str(held->reason),
			    .observed_ns = sys_wall_ns(ln->sh->sys),
			    .header.time_ns = TIME_NONE};
	rc = body_add(&s->section, &r, false);
	if (rc == 0) {
		held_told(held, &s->id);
		ln->filling += r.line.n + LANE_RECORD_OVERHEAD;
		ln->sh->gaps++;
	}
	return rc;
}

int lane_add_gaps(struct lane_state *ln, struct slot *s,
		  const struct record *next)
{
	int rc = add_held_gap(ln, s, next);

	return rc == 0 ? lane_add_lost(ln, s, next->start) : rc;
}

/* Lines that can't be read again were given up, and nobody was told yet. */
bool lane_owes_lost(const struct lane_state *ln)
{
	for (size_t i = 0; i < ln->n_lost; i++) {
		if (ln->lane == LANE_KEPT && ln->sh->n_keys > 0 &&
		    ln->lost[i].end > ln->lost[i].start) {
			return true;
		}
	}
	return false;
}
