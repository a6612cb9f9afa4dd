#include "common/err.h"
#include "common/log.h"
#include "shipper/lane.h"

/* Segments that are given up, and records that are wanted again. */

/* Lines that should be added again and can't. */
static void note_lost(struct lane_state *ln, const struct stream_id *id,
		      uint64_t start, uint64_t end)
{
	struct lost *lost = lane_find_lost(ln, id);

	log_warn("lines that the collector does not hold can't be read again; "
		 "it is told",
		 "lane=%s position=%llu", lane_name(ln->lane),
		 (unsigned long long)start);
	if (lost == NULL && ln->n_lost < LOST_STREAMS) {
		lost = &ln->lost[ln->n_lost++];
		*lost = (struct lost){*id, start, end, 0, "store-rollback"};
	} else if (lost != NULL) {
		lost->start = start < lost->start ? start : lost->start;
		lost->end = end > lost->end ? end : lost->end;
	}
}

/* Likewise what stood behind them: nothing else would tell of it if no line follows, and
 * a gap that ends too early leaves a hole before the line that does. */
static void lose_more(struct lane_state *ln, const struct stream_id *id, uint64_t end)
{
	struct lost *lost = lane_find_lost(ln, id);

	if (lost != NULL && end > lost->end) {
		lost->end = end;
	}
}

/* Asks for a stream's records again from w->received on, unless that was done for
 * an earlier position already. */
static void rewind_once(struct lane_state *ln, struct buf *seen,
			const struct msg_stream *w, uint64_t end, bool proved)
{
	struct shipper *sh = ln->sh;
	struct msg_stream from = *w;

	proved = held_clamp(&sh->elsewhere, &from) || proved;
	for (size_t at = 0; at < seen->n; at += sizeof w->id) {
		if (memcmp(seen->p + at, &w->id, sizeof w->id) == 0) {
			lose_more(ln, &w->id, end);
			return;
		}
	}
	if (buf_add(seen, &w->id, sizeof w->id) == 0 &&
	    sh->cbs->rewind(sh->arg, &from, proved) != 0) {
		note_lost(ln, &w->id, from.received, end);
	}
}

static void rewind_to(struct lane_state *ln, struct buf *seen,
		      const struct stream_id *id, uint64_t start, uint64_t end)
{
	struct msg_stream w = {.id = *id, .received = start, .durable = start};

	rewind_once(ln, seen, &w, end, false);
}

static void abandon(struct lane_state *ln, struct seg *seg, struct buf *seen)
{
	struct job *job = &ln->job;

	while (seg != NULL) {
		struct seg *next = seg->next;

		for (size_t i = 0; i < seg->n_streams; i++) {
			rewind_to(ln, seen, &seg->streams[i].id,
				  seg->streams[i].start,
				  seg->streams[i].end);
		}
		client_abandoned(ln->sh->client, seg);
		if (ln->gap_before == seg) {
			ln->gap_before = NULL;
			ln->drop_gapped = false;
		}
		lane_drop_seg(ln, seg);
		seg = next;
	}
	/* What was being sealed and what was filling come again as well. */
	for (size_t i = 0; job->pending && i < job->head.n_streams; i++) {
		rewind_to(ln, seen, &job->head.streams[i].id,
			  job->head.streams[i].start,
			  job->head.streams[i].end);
	}
	for (size_t i = 0; i < ln->n_slots; i++) {
		rewind_to(ln, seen, &ln->slots[i].id,
			  ln->slots[i].section.start,
			  ln->slots[i].section.end);
	}
	job->pending = false;
	job->is_gap = false;
	lane_empty_slots(ln);
}

/* Whether b stands behind a in the queue, or is a. */
static bool is_behind(const struct seg *a, const struct seg *b)
{
	while (a != NULL && a != b) {
		a = a->next;
	}
	return a != NULL;
}

void lane_abandon_from(struct lane_state *ln, struct seg *seg,
		       const struct msg_stream *nak)
{
	struct buf seen;

	if (ln->job.busy) {
		/* The job's own segment may be among them: when it is done. */
		if (ln->abandon == NULL || !is_behind(ln->abandon, seg)) {
			ln->abandon = seg;
			ln->has_nak = nak != NULL;
			ln->nak = nak != NULL ? *nak : (struct msg_stream){0};
		}
		return;
	}
	buf_init(&seen, (size_t)LIMIT_HELLO_STREAMS * sizeof nak->id);
	ln->abandon = NULL;
	if (nak != NULL) {
		rewind_once(ln, &seen, nak, nak->received, true);
	}
	abandon(ln, seg, &seen);
	buf_fini(&seen);
}

uint64_t lane_lowest(const struct lane_state *ln, const struct stream_id *id)
{
	uint64_t lowest = UINT64_MAX;
	const struct job *job = &ln->job;

	for (const struct seg *s = ln->first; s != NULL; s = s->next) {
		for (size_t i = 0; i < s->n_streams; i++) {
			if (memcmp(&s->streams[i].id, id, sizeof *id) == 0 &&
			    s->streams[i].start < lowest) {
				lowest = s->streams[i].start;
			}
		}
	}
	for (size_t i = 0; job->pending && i < job->head.n_streams; i++) {
		if (memcmp(&job->head.streams[i].id, id, sizeof *id) == 0 &&
		    job->head.streams[i].start < lowest) {
			lowest = job->head.streams[i].start;
		}
	}
	for (size_t i = 0; i < ln->n_slots; i++) {
		if (memcmp(&ln->slots[i].id, id, sizeof *id) == 0 &&
		    ln->slots[i].section.start < lowest) {
			lowest = ln->slots[i].section.start;
		}
	}
	return lowest;
}
