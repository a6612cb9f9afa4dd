#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "shipper/lane.h"

/* Losses that recovery has found in the spool, until a gap record tells them.
 *
 * A damaged file stays as it is until then: a process that dies before finds the
 * same again.  Lines that were sealed twice (a write had failed) may be whole in a later
 * file, and a gap would hide them: so what a later segment holds is taken out.
 */

void owed_free(struct owed_gap *o)
{
	if (o != NULL) {
		free(o->ranges);
		free(o->path);
		free(o);
	}
}

static int add_range(struct owed_gap *o, const struct stream_id *id,
		     uint64_t start, uint64_t end)
{
	struct seg_stream *p;

	for (size_t i = 0; i < o->n; i++) {
		if (memcmp(&o->ranges[i].id, id, sizeof *id) == 0) {
			return 0;
		}
	}
	p = realloc(o->ranges, (o->n + 1) * sizeof *p);
	if (p == NULL) {
		return UV_ENOMEM;
	}
	o->ranges = p;
	o->ranges[o->n++] = (struct seg_stream){.id = *id, .start = start, .end = end};
	return 0;
}

/* Streams of the segment's whole part, which may go on in what can't be read. */
static int add_open_ends(struct lane_state *ln, struct owed_gap *o)
{
	int rc = 0;

	for (const struct seg *s = ln->first; s != NULL; s = s->next) {
		for (size_t i = 0;
		     s->order == o->order && i < s->n_streams && rc == 0; i++) {
			rc = add_range(o, &s->streams[i].id, s->streams[i].end,
				       s->streams[i].end);
		}
	}
	return rc;
}

int lane_owe(struct lane_state *ln, const struct spool_loss *loss)
{
	struct owed_gap **link = &ln->owed;
	struct owed_gap *o = calloc(1, sizeof *o);
	int rc = 0;

	if (o == NULL) {
		return UV_ENOMEM;
	}
	o->order = loss->order;
	o->reason = loss->unfinished ? "spool-unfinished" : "spool-damaged";
	o->open_end = loss->open_end;
	for (size_t i = 0; i < loss->n_ranges && rc == 0; i++) {
		rc = add_range(o, &loss->ranges[i].id, loss->ranges[i].start,
			       loss->ranges[i].end);
	}
	if (rc == 0 && loss->n_whole == 0) {
		o->path = strdup(loss->path);
		rc = o->path == NULL ? UV_ENOMEM : 0;
	} else if (rc == 0 && loss->open_end) {
		rc = add_open_ends(ln, o);
	}
	if (rc != 0) {
		owed_free(o);
		return rc;
	}
	while (*link != NULL) {
		link = &(*link)->next; /* Found in the order of the files. */
	}
	*link = o;
	return 0;
}

/* What is whole in the segments before and behind bounds the range.  false: nothing
 * of it is lost. */
static bool clip(const struct lane_state *ln, const struct owed_gap *o,
		 struct seg_stream *r)
{
	uint64_t before = 0, behind = UINT64_MAX;

	for (const struct seg *s = ln->first; s != NULL; s = s->next) {
		for (size_t i = 0; i < s->n_streams; i++) {
			const struct seg_stream *t = &s->streams[i];

			if (memcmp(&t->id, &r->id, sizeof t->id) != 0) {
				continue;
			}
			if (s->order <= o->order) {
				before = t->end > before ? t->end : before;
			} else {
				behind = t->start < behind ? t->start : behind;
			}
		}
	}
	if (before > 0) {
		r->start = before;
	}
	if (behind < r->end || (o->open_end && behind != UINT64_MAX)) {
		r->end = behind;
	}
	r->open = o->open_end && behind == UINT64_MAX && r->end >= r->start;
	return r->end > r->start || r->open;
}

/* The file is of no more use but as evidence. */
static void settle(struct lane_state *ln, struct owed_gap *o)
{
	if (o->path != NULL) {
		spool_set_aside(ln->sh->sys, o->path);
	}
}

void lane_clip_owed(struct lane_state *ln)
{
	struct owed_gap **link = &ln->owed;

	while (*link != NULL) {
		struct owed_gap *o = *link;
		size_t n = 0;

		for (size_t i = 0; i < o->n; i++) {
			if (clip(ln, o, &o->ranges[i])) {
				o->ranges[n++] = o->ranges[i];
			}
		}
		o->n = n;
		ln->damaged = ln->damaged || o->open_end;
		/* Lines of files are read again, or the nak tells what is
		 * missing. */
		if (n > 0 && ln->lane != LANE_FILE) {
			link = &o->next;
			continue;
		}
		settle(ln, o);
		*link = o->next;
		owed_free(o);
	}
}

bool lane_owes(const struct lane_state *ln, const struct seg *seg)
{
	for (const struct owed_gap *o = ln->owed; o != NULL; o = o->next) {
		if (o->order == seg->order) {
			return true;
		}
	}
	return false;
}

void lane_owed_done(struct lane_state *ln, bool in_file)
{
	struct owed_gap *o = ln->owed;
	size_t n = o->n < LIMIT_BATCH_STREAMS ? o->n : LIMIT_BATCH_STREAMS;

	o->n -= n;
	memmove(o->ranges, o->ranges + n, o->n * sizeof *o->ranges);
	if (o->n > 0) {
		return; /* The rest goes into another batch. */
	}
	if (in_file) {
		settle(ln, o);
	}
	ln->owed = o->next;
	for (struct seg *s = ln->first, *next; s != NULL; s = next) {
		next = s->next;
		if (s->order == o->order && in_file) {
			lane_drop_delivered(ln, s);
		}
	}
	owed_free(o);
}
