#include "shipper/lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"

/* A batch on its way into a segment:
 *
 *   filling --lane_close_batch()--> pending --submit--> busy --done--> in its segment
 *                                      ^                  |
 *                                      '---- retry -------'  (into a new segment)
 *
 * The job itself is in lane_job.c.
 */
enum {
	ALERT_DELAY_MS = 5,
	QUIET_PARTS = 16,  /* of the delay: so long without a line is a pause */
	LARGE = 64 * 1024, /* bytes of a batch that a pause may end */
	SLOT_KEEP = 16 * 1024, /* a slot's buffer above this is freed */
	GAP_TEXT = 64,
};

static void on_delay(void *arg);

int lane_init(struct lane_state *ln, struct shipper *sh, enum queue queue)
{
	int rc;

	ln->sh = sh;
	ln->queue = queue;
	ln->lane = queue_lane(queue);
	ln->closed_index = -1;
	buf_init(&ln->job.body, LIMIT_BATCH_DECODED + 64 * 1024);
	buf_init(&ln->job.out, LIMIT_BATCH_SEALED);
	for (size_t i = 0; i < LIMIT_BATCH_STREAMS; i++) {
		body_section_init(&ln->slots[i].section, LIMIT_BATCH_DECODED);
		buf_init(&ln->job.texts[i], LIMIT_BATCH_DECODED);
	}
	rc = sys_timer_new(sh->sys, &ln->delay, on_delay, ln);
	if (rc == 0) {
		rc = sys_timer_new(sh->sys, &ln->retry, lane_retry, ln);
	}
	return rc;
}

void lane_fini(struct lane_state *ln)
{
	seg_free_all(ln);
	while (ln->owed != NULL) {
		struct owed_gap *o = ln->owed;

		ln->owed = o->next;
		owed_free(o);
	}
	for (size_t i = 0; i < LIMIT_BATCH_STREAMS; i++) {
		body_section_fini(&ln->slots[i].section);
		buf_fini(&ln->job.texts[i]);
	}
	buf_fini(&ln->job.body);
	buf_fini(&ln->job.out);
	sys_timer_free(ln->sh->sys, ln->delay);
	sys_timer_free(ln->sh->sys, ln->retry);
}

bool lane_goes_to_file(const struct lane_state *ln)
{
	return ln->lane != LANE_FILE || ln->sh->spooling;
}

/* What the lanes may fill the spool to: lines that can be read again leave room
 * for those that can't, and these leave some for alerts. */
static uint64_t spool_share(const struct lane_state *ln)
{
	uint64_t max = ln->sh->options->spool_max;

	return ln->lane == LANE_FILE   ? max - max / 4
	       : ln->lane == LANE_KEPT ? max - max / 16
				       : max;
}

bool lane_fits_spool(const struct lane_state *ln, uint64_t n)
{
	uint64_t share = spool_share(ln);

	return ln->sh->spool_bytes <= share &&
	       n <= share - ln->sh->spool_bytes;
}

/* ---- filling ---- */

static struct slot *find_slot(struct lane_state *ln,
			      const struct stream_id *id)
{
	for (size_t i = 0; i < ln->n_slots; i++) {
		size_t at = (ln->last_slot + i) % ln->n_slots;

		if (memcmp(&ln->slots[at].id, id, sizeof *id) == 0) {
			ln->last_slot = at;
			return &ln->slots[at];
		}
	}
	return NULL;
}

static struct slot *new_slot(struct lane_state *ln,
			     const struct stream_id *id, uint64_t start)
{
	struct slot *s = &ln->slots[ln->n_slots];

	s->id = *id;
	body_section_reset(&s->section, start);
	ln->last_slot = ln->n_slots++;
	return s;
}

static uint64_t delay_ms(const struct lane_state *ln)
{
	return ln->lane == LANE_ALERT ? ALERT_DELAY_MS
				      : ln->sh->options->batch_delay_ms;
}

static void arm_delay(struct lane_state *ln)
{
	if (!ln->delay_armed) {
		sys_timer_set(ln->sh->sys, ln->delay, delay_ms(ln));
		ln->delay_armed = true;
		ln->pause_awaited = false;
		ln->due_ns = sys_mono_ns(ln->sh->sys) +
			     (int64_t)delay_ms(ln) * 1000000;
	}
}

/* Until the next look whether lines still come, or until the delay is over. */
static void await_pause(struct lane_state *ln)
{
	int64_t left_ns = ln->due_ns - sys_mono_ns(ln->sh->sys);
	uint64_t left = left_ns > 0 ? (uint64_t)left_ns / 1000000 : 0;
	uint64_t part = delay_ms(ln) / QUIET_PARTS;
	uint64_t ms = part < left ? part : left;

	ln->pause_awaited = true;
	ln->filled_before = ln->filling;
	sys_timer_set(ln->sh->sys, ln->delay, ms > 0 ? ms : 1);
}

static int add_again(struct lane_state *ln)
{
	ln->wanted = true;
	return ERR_AGAIN;
}

/* How much a filling batch may hold. */
static size_t batch_limit(const struct lane_state *ln)
{
	uint64_t max = ln->sh->options->batch_max;

	return max < LIMIT_BATCH_DECODED / 2 ? (size_t)max
					     : LIMIT_BATCH_DECODED / 2;
}

static int make_room(struct lane_state *ln, const struct stream_id *id,
		     size_t n)
{
	size_t need = n + LANE_RECORD_OVERHEAD;

	if (need > LIMIT_BATCH_DECODED / 2) {
		return UV_EINVAL;
	}
	if (ln->sh->n_keys == 0) {
		return add_again(ln); /* Nobody to seal to yet. */
	}
	if ((ln->filling > 0 && ln->filling + need > batch_limit(ln)) ||
	    (ln->n_slots == LIMIT_BATCH_STREAMS && find_slot(ln, id) == NULL)) {
		return lane_close_batch(ln) == 0 ? 0 : add_again(ln);
	}
	return 0;
}

/* Whoever is told so keeps the record and waits.  It would wait for ever if nobody called
 * it again, and in silence if nobody said why. */
static int refuse(struct lane_state *ln, const struct stream_id *id, uint64_t position, int rc)
{
	if (rc != 0 && rc != ERR_AGAIN) {
		ln->wanted = true;
		if ((ln->refused & (ln->refused + 1)) == 0) {
			log_error("a line can't be added to what is shipped; its source "
				  "waits and it is tried again",
				  "lane=%s stream=%02x%02x position=%llu tries=%u error=\"%s\"",
				  queue_name(ln->queue), id->b[0], id->b[1],
				  (unsigned long long)position, ln->refused + 1, err_str(rc));
		}
		ln->refused++;
	}
	return rc;
}

int lane_reserve(struct lane_state *ln, const struct stream_id *id, size_t n)
{
	int rc = make_room(ln, id, n);

	return rc == ERR_AGAIN && lane_gives_up(ln, id) ? 0 : refuse(ln, id, 0, rc);
}

/* It goes on where the section ends, or a gap that is owed reaches from there to it.
 * Otherwise the stream was rewound, or something is missing, which the collector will say
 * of a batch that begins with it. */
static bool continues(struct lane_state *ln, const struct slot *s, const struct record *r)
{
	return s->section.count == 0 || r->start == s->section.end ||
	       (r->start > s->section.end && lane_find_lost(ln, &s->id) != NULL);
}

static int add(struct lane_state *ln, const struct record *r, bool with_time)
{
	struct slot *s;
	size_t before;
	int rc = make_room(ln, &r->stream, r->line.n);

	if (rc == ERR_AGAIN && lane_gives_up(ln, &r->stream)) {
		lane_give_up(ln, r);
		return 0;
	}
	if (rc != 0) {
		return rc;
	}
	s = find_slot(ln, &r->stream);
	if (s != NULL && !continues(ln, s, r)) {
		if (lane_close_batch(ln) != 0) {
			return add_again(ln);
		}
		s = NULL;
	}
	if (s == NULL) {
		s = new_slot(ln, &r->stream, r->start);
	}
	rc = lane_add_gaps(ln, s, r);
	before = body_section_size(&s->section);
	if (rc == 0) {
		rc = body_add(&s->section, r, with_time);
	}
	if (rc != 0) {
		return rc;
	}
	ln->filling += body_section_size(&s->section) - before;
	ln->records++;
	arm_delay(ln);
	if (!ln->pause_awaited && ln->filling >= LARGE) {
		/* A line waits so that it need not travel alone; in this company
		 * it gains little by that.  So the end of a burst goes at once. */
		await_pause(ln);
	}
	return 0;
}

int lane_add(struct lane_state *ln, const struct record *r, bool with_time)
{
	int rc = add(ln, r, with_time);

	ln->refused = rc == 0 ? 0 : ln->refused;
	return refuse(ln, &r->stream, r->start, rc);
}

void lane_report_lost(struct lane_state *ln)
{
	for (size_t i = ln->n_lost; i > 0; i--) {
		const struct lost *lost = &ln->lost[i - 1];
		struct slot *s;

		if (lost->end <= lost->start) {
			continue; /* Its next record tells where it ends. */
		}
		if (make_room(ln, &lost->id, GAP_TEXT) != 0) {
			return;
		}
		s = find_slot(ln, &lost->id);
		if (s == NULL) {
			s = new_slot(ln, &lost->id, lost->start);
		}
		if (lane_add_lost(ln, s, lost->end) != 0) {
			return;
		}
		arm_delay(ln);
	}
}

static void on_delay(void *arg)
{
	struct lane_state *ln = arg;

	if (ln->pause_awaited && ln->filling != ln->filled_before &&
	    sys_mono_ns(ln->sh->sys) < ln->due_ns) {
		await_pause(ln);
		return;
	}
	ln->delay_armed = false;
	if (lane_close_batch(ln) != 0) {
		arm_delay(ln); /* The job under way will make room. */
	}
}

/* ---- closing a batch ---- */

/* By policy the oldest whole segment goes, and a gap takes its place; with it the
 * gaps before it, so that they do not pile up. */
static void drop_oldest(struct lane_state *ln)
{
	struct seg *s = ln->first;

	if (queue_policy(ln->queue) != SPOOL_DROP_OLDEST) {
		return;
	}
	while (s != NULL && s->is_gap) {
		s = s->next;
	}
	if (s != NULL && s->closed && s->file.path != NULL &&
	    s->n_streams <= LIMIT_BATCH_STREAMS) {
		lane_replace(ln, s, "spool-full drop-oldest");
	} else if (s != NULL && s == ln->last && s->n > 0) {
		/* All of it is one open segment: it ends here. */
		lane_close_segment(ln);
	}
}

/* Room for one more batch where it would go? */
static bool has_room(struct lane_state *ln)
{
	struct shipper *sh = ln->sh;

	if (lane_goes_to_file(ln)) {
		/* What was taken before a stop is written even so: it is one
		 * batch at most, and nothing else keeps it. */
		if (lane_fits_spool(ln, ln->filling) ||
		    (sh->stopping && ln->lane != LANE_FILE)) {
			return true;
		}
		drop_oldest(ln);
		return false;
	}
	return sh->memory + LIMIT_BATCH_DECODED / 8 <= sh->options->memory_max;
}

/* The texts are handed over as they stand; the slots get what the last job had. */
static void swap_texts(struct lane_state *ln, struct job *job)
{
	job->n_texts = ln->n_slots;
	for (size_t i = 0; i < ln->n_slots; i++) {
		struct buf text = ln->slots[i].section.text;

		ln->slots[i].section.text = job->texts[i];
		job->texts[i] = text;
	}
}

void lane_shrink_texts(struct job *job)
{
	for (size_t i = 1; i < job->n_texts; i++) {
		if (job->texts[i].room > SLOT_KEEP) {
			buf_fini(&job->texts[i]);
		}
	}
	job->n_texts = 0;
}

static int fill_head(struct lane_state *ln, struct job *job)
{
	struct shipper *sh = ln->sh;
	int64_t first = INT64_MAX, last = INT64_MIN;
	int rc = 0;

	job->head = (struct batch_head){.n_streams = ln->n_slots};
	buf_clear(&job->body);
	for (size_t i = 0; i < ln->n_slots && rc == 0; i++) {
		const struct body_section *s = &ln->slots[i].section;

		job->head.streams[i] = (struct batch_stream){
			ln->slots[i].id, s->start, s->end, s->count,
			sh->cbs->hash_at(sh->arg, &ln->slots[i].id, s->end)};
		first = s->first_ns < first ? s->first_ns : first;
		last = s->last_ns > last ? s->last_ns : last;
		sh->raw_bytes += s->end - s->start;
		rc = body_section_write_head(s, &job->body);
		job->heads[i] = job->body.n;
	}
	job->head.first_ms = first / 1000000;
	job->head.last_ms = last / 1000000;
	return rc;
}

void lane_empty_slots(struct lane_state *ln)
{
	for (size_t i = 0; i < ln->n_slots; i++) {
		struct body_section *s = &ln->slots[i].section;

		if (i > 0 && s->text.room > SLOT_KEEP) {
			body_section_fini(s);
			body_section_init(s, LIMIT_BATCH_DECODED);
		}
	}
	ln->n_slots = 0;
	ln->last_slot = 0;
	ln->filling = 0;
}

int lane_close_batch(struct lane_state *ln)
{
	struct job *job = &ln->job;
	int rc;

	if (ln->filling == 0) {
		return 0;
	}
	if (job->busy || job->pending || ln->gap_before != NULL ||
	    !has_room(ln)) {
		return ERR_AGAIN;
	}
	rc = fill_head(ln, job);
	if (rc != 0) {
		return rc;
	}
	swap_texts(ln, job);
	lane_empty_slots(ln);
	if (ln->delay_armed) {
		sys_timer_stop(ln->sh->sys, ln->delay);
		ln->delay_armed = false;
	}
	job->pending = true;
	job->is_gap = false;
	job->seg = NULL;
	lane_submit(ln);
	return 0;
}

void lane_gap_before(struct lane_state *ln, struct seg *seg,
		     const struct seg_stream *range, const char *reason)
{
	if (ln->gap_before != NULL) {
		return; /* One at a time; the collector will ask again. */
	}
	ln->gap_before = seg;
	ln->gap_reason = reason;
	ln->gap = *range;
	ln->drop_gapped = false;
	if (!ln->job.busy && !ln->job.pending && ln->failures == 0) {
		lane_submit(ln);
	}
}

void lane_replace(struct lane_state *ln, struct seg *seg, const char *reason)
{
	if (ln->gap_before != NULL) {
		return;
	}
	ln->gap_before = seg;
	ln->gap_reason = reason;
	ln->drop_gapped = true;
	if (!ln->job.busy && !ln->job.pending && ln->failures == 0) {
		lane_submit(ln);
	}
}

/* ---- segments in time ---- */

void lane_close_segment(struct lane_state *ln)
{
	struct seg *s = ln->last;

	if (s == NULL || s->closed || s->n == 0) {
		return;
	}
	s->closed = true;
	sealer_free(s->sealer);
	s->sealer = NULL;
	if (s->file.path != NULL) {
		spool_file_rest(&s->file, ln->sh->sys);
	}
	ln->closed_index = (int64_t)s->n - 1;
	ln->closed_hash = *seg_hash(s, ln->closed_index);
	client_closed(ln->sh->client, s);
	lane_drop_delivered(ln, s);
}

void lane_renew_segment(struct lane_state *ln)
{
	if (ln->job.busy) {
		ln->close_wanted = true;
	} else {
		lane_close_segment(ln);
	}
}

void lane_drop_delivered(struct lane_state *ln, struct seg *seg)
{
	if (seg->closed && seg->acked == (int64_t)seg->n - 1 &&
	    ln->gap_before != seg && ln->abandon != seg &&
	    !(ln->job.busy && ln->job.seg == seg) && !lane_owes(ln, seg)) {
		lane_drop_seg(ln, seg);
	}
}

static bool is_silent(const struct lane_state *ln, const struct seg *s,
		      int64_t now_ns)
{
	const struct shipper_options *o = ln->sh->options;

	return now_ns - s->opened_ns >
		       (int64_t)o->segment_age_ms * 1000000 ||
	       now_ns - s->added_ns >
		       (int64_t)o->segment_silence_ms * 1000000;
}

void lane_tick(struct lane_state *ln, int64_t now_ns)
{
	struct seg *s = ln->last;

	if (ln->job.busy || ln->job.pending) {
		return;
	}
	if (lane_has_gap(ln)) {
		if (ln->failures == 0) {
			lane_submit(ln);
		}
		return;
	}
	lane_report_lost(ln);
	if (s != NULL && !s->closed && s->n > 0 &&
	    (is_silent(ln, s, now_ns) ||
	     (s->acked == (int64_t)s->n - 1 &&
	      ln->sh->memory > ln->sh->options->memory_max / 2))) {
		lane_close_segment(ln);
	}
	if (ln->filling == 0 && ln->first == NULL) {
		/* Silence: give the large buffers back. */
		buf_fini(&ln->job.body);
		buf_fini(&ln->job.out);
		buf_fini(&ln->job.texts[0]);
		body_section_fini(&ln->slots[0].section);
		body_section_init(&ln->slots[0].section, LIMIT_BATCH_DECODED);
	}
	lane_spool_next(ln);
}

int lane_acked(struct lane_state *ln, struct seg *seg, int64_t index,
	       const struct hash32 *hash)
{
	if (seg->recovered && index >= (int64_t)seg->n) {
		/* It was written to the spool without its end.  What is left of
		 * it is what the collector has: that was compared. */
		index = (int64_t)seg->n - 1;
		hash = seg_hash(seg, index);
	}
	if (index < -1 || index >= (int64_t)seg->n ||
	    !hash32_eq(hash, seg_hash(seg, index))) {
		return ERR_CONFLICT;
	}
	if (index > seg->acked) {
		seg->acked = index;
	}
	if (index > seg->sent) {
		seg->sent = index;
	}
	lane_drop_delivered(ln, seg);
	return 0;
}

/* ---- questions ---- */

bool lane_settled(const struct lane_state *ln)
{
	return ln->filling == 0 && !lane_owes_lost(ln) && !ln->job.busy &&
	       !ln->job.pending && ln->gap_before == NULL;
}

bool lane_delivered(const struct lane_state *ln)
{
	for (const struct seg *s = ln->first; s != NULL; s = s->next) {
		if (s->acked < (int64_t)s->n - 1) {
			return false;
		}
	}
	return lane_settled(ln);
}

bool lane_spooled(const struct lane_state *ln)
{
	for (const struct seg *s = ln->first; s != NULL; s = s->next) {
		if (s->file.path == NULL && s->acked < (int64_t)s->n - 1 &&
		    lane_fits_spool(ln, s->memory)) {
			return false;
		}
	}
	if (ln->lane == LANE_FILE && !ln->job.busy && !ln->job.pending &&
	    !lane_fits_spool(ln, ln->filling)) {
		return true; /* The lines stay in their files. */
	}
	return lane_settled(ln);
}
