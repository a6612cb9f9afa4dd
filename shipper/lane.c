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
 * Failure modes: no memory, a compressor or cipher that fails, a spool that
 * can't be written (full, failed sync).  After any of them the segment gets no
 * more batches, and the same records are sealed again into a new one after
 * RETRY_MS: nothing is ever appended behind a failed write.
 */
enum {
	RETRY_MS = 1000,
	ALERT_DELAY_MS = 5,
	RECORD_OVERHEAD = 32, /* the most that a record's table entry takes */
	SLOT_KEEP = 16 * 1024, /* a slot's buffer above this is freed */
	HEAD_EVERY_S = 10,
};

static void on_delay(void *arg);
static void on_retry(void *arg);
static void submit(struct lane_state *ln);

int lane_init(struct lane_state *ln, struct shipper *sh, enum lane lane)
{
	int rc;

	ln->sh = sh;
	ln->lane = lane;
	ln->closed_index = -1;
	buf_init(&ln->job.body, LIMIT_BATCH_DECODED + 64 * 1024);
	buf_init(&ln->job.out, LIMIT_BATCH_SEALED);
	for (size_t i = 0; i < LIMIT_BATCH_STREAMS; i++) {
		body_section_init(&ln->slots[i].section, LIMIT_BATCH_DECODED);
	}
	rc = sys_timer_new(sh->sys, &ln->delay, on_delay, ln);
	if (rc == 0) {
		rc = sys_timer_new(sh->sys, &ln->retry, on_retry, ln);
	}
	return rc;
}

void lane_fini(struct lane_state *ln)
{
	seg_free_all(ln);
	for (size_t i = 0; i < LIMIT_BATCH_STREAMS; i++) {
		body_section_fini(&ln->slots[i].section);
	}
	buf_fini(&ln->job.body);
	buf_fini(&ln->job.out);
	sys_timer_free(ln->sh->sys, ln->delay);
	sys_timer_free(ln->sh->sys, ln->retry);
}

/* Lines that can't be read again go to the disk before anything else. */
static bool goes_to_file(const struct lane_state *ln)
{
	return ln->lane != LANE_FILE || ln->sh->spooling;
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

static struct slot *new_slot(struct lane_state *ln, const struct record *r)
{
	struct slot *s = &ln->slots[ln->n_slots];

	s->id = r->stream;
	body_section_reset(&s->section, r->start);
	ln->last_slot = ln->n_slots++;
	return s;
}

/* ---- giving up the newest, by policy ---- */

static struct lost *find_lost(struct lane_state *ln,
			      const struct stream_id *id)
{
	for (size_t i = 0; i < ln->n_lost; i++) {
		if (memcmp(&ln->lost[i].id, id, sizeof *id) == 0) {
			return &ln->lost[i];
		}
	}
	return NULL;
}

/* The spool is full and the policy is to give up what comes in now: counted,
 * and owed as a gap record.  false: it is not for the policy to decide. */
static bool give_up(struct lane_state *ln, const struct record *r)
{
	const struct shipper *sh = ln->sh;
	struct lost *lost = find_lost(ln, &r->stream);

	if (ln->lane != LANE_KEPT ||
	    sh->options->spool_policy != SPOOL_DROP_NEWEST ||
	    sh->spool_bytes + ln->filling <= sh->options->spool_max) {
		return false;
	}
	if (lost == NULL) {
		if (ln->n_lost == LOST_STREAMS) {
			return false;
		}
		lost = &ln->lost[ln->n_lost++];
		*lost = (struct lost){r->stream, r->start, r->start, 0};
	}
	lost->end = r->end;
	lost->count++;
	ln->dropped++;
	return true;
}

/* The gap record that a stream owes, before its next record. */
static int add_owed_gap(struct lane_state *ln, struct slot *s)
{
	struct lost *lost = find_lost(ln, &s->id);
	char text[64];
	struct record r;
	int rc;

	if (lost == NULL) {
		return 0;
	}
	r = (struct record){.stream = s->id,
			    .start = lost->start,
			    .end = lost->end,
			    .flags = RECORD_GAP,
			    .observed_ns = sys_wall_ns(ln->sh->sys),
			    .header.time_ns = TIME_NONE};
	r.line = slice(text, (size_t)snprintf(
				     text, sizeof text,
				     "spool-full drop-newest lines=%llu",
				     (unsigned long long)lost->count));
	rc = body_add(&s->section, &r, false);
	if (rc == 0) {
		*lost = ln->lost[--ln->n_lost];
		ln->filling += r.line.n + RECORD_OVERHEAD;
		ln->sh->gaps++;
	}
	return rc;
}

static void arm_delay(struct lane_state *ln)
{
	uint64_t ms = ln->lane == LANE_ALERT ? ALERT_DELAY_MS
					     : ln->sh->options->batch_delay_ms;

	if (!ln->delay_armed) {
		sys_timer_set(ln->sh->sys, ln->delay, ms);
		ln->delay_armed = true;
	}
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

int lane_reserve(struct lane_state *ln, const struct stream_id *id, size_t n)
{
	size_t need = n + RECORD_OVERHEAD;

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

int lane_add(struct lane_state *ln, const struct record *r, bool with_time)
{
	struct slot *s;
	int rc = lane_reserve(ln, &r->stream, r->line.n);

	if (rc != 0) {
		return rc == ERR_AGAIN && give_up(ln, r) ? 0 : rc;
	}
	s = find_slot(ln, &r->stream);
	if (s == NULL) {
		s = new_slot(ln, r);
	}
	rc = add_owed_gap(ln, s);
	if (rc == 0) {
		rc = body_add(&s->section, r, with_time);
	}
	if (rc != 0) {
		return rc;
	}
	ln->filling += r->line.n + RECORD_OVERHEAD;
	ln->records++;
	arm_delay(ln);
	return 0;
}

static void on_delay(void *arg)
{
	struct lane_state *ln = arg;

	ln->delay_armed = false;
	if (lane_close_batch(ln) != 0) {
		arm_delay(ln); /* The job under way will make room. */
	}
}

/* ---- closing a batch ---- */

static bool drop_oldest(struct lane_state *ln)
{
	struct seg *s = ln->first;

	if (ln->sh->options->spool_policy != SPOOL_DROP_OLDEST ||
	    ln->lane != LANE_KEPT || s == NULL || s->file.path == NULL ||
	    !s->closed || ln->gap_before != NULL ||
	    s->n_streams > LIMIT_BATCH_STREAMS) {
		return false;
	}
	ln->gap_before = s;
	ln->drop_gapped = true;
	return true;
}

/* Room for one more batch where it would go? */
static bool has_room(struct lane_state *ln)
{
	struct shipper *sh = ln->sh;

	if (goes_to_file(ln)) {
		if (sh->spool_bytes + ln->filling <= sh->options->spool_max) {
			return true;
		}
		return drop_oldest(ln);
	}
	return sh->memory + LIMIT_BATCH_DECODED / 8 <= sh->options->memory_max;
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
		rc = body_section_write(s, &job->body);
	}
	job->head.first_ms = first / 1000000;
	job->head.last_ms = last / 1000000;
	return rc;
}

static void empty_slots(struct lane_state *ln)
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
	empty_slots(ln);
	if (ln->delay_armed) {
		sys_timer_stop(ln->sh->sys, ln->delay);
		ln->delay_armed = false;
	}
	job->pending = true;
	job->is_gap = false;
	job->seg = NULL;
	submit(ln);
	return 0;
}

/* ---- the job ---- */

static bool fits(const struct lane_state *ln, const struct seg *s)
{
	const struct shipper *sh = ln->sh;
	uint64_t max = sh->options->segment_max;

	if (sh->segment_decoded_max > 0 && sh->segment_decoded_max < max) {
		max = sh->segment_decoded_max;
	}
	/* A segment is whole in its file or not in a file at all. */
	return !s->closed &&
	       (s->n == 0 || (s->file.path != NULL) == goes_to_file(ln)) &&
	       (s->n == 0 || s->decoded + ln->job.body.n <= max) &&
	       s->n < LIMIT_SEGMENT_BATCHES &&
	       s->n_streams + ln->job.head.n_streams <= LIMIT_SEGMENT_STREAMS;
}

static int make_sealer(struct seg *s)
{
	struct shipper *sh = s->lane->sh;
	uint8_t window = (uint8_t)sh->options->window_log;
	struct sealer_params params = {
		.lane = s->lane->lane,
		.number = s->info.number,
		.device = sh->device,
		.created_ms = sys_wall_ns(sh->sys) / 1000000,
		.window_log = sh->window_log != 0 && sh->window_log < window
				      ? sh->window_log
				      : window,
		.level = (int)sh->options->level,
		.head_every_s = HEAD_EVERY_S,
		.recipients = sh->keys,
		.n_recipients = sh->n_keys,
	};
	int rc = sealer_new(&s->sealer, sh->sys, &params);

	if (rc != 0) {
		return rc;
	}
	s->info = *sealer_info(s->sealer);
	s->hash0 = sealer_hash(s->sealer);
	return seg_set_header(s, sealer_header(s->sealer));
}

/* On a worker thread. */
static int run_seal(struct job *job)
{
	struct seg *s = job->seg;
	struct sys *sys = s->lane->sh->sys;
	struct slice batch;
	int rc = s->sealer == NULL ? make_sealer(s) : 0;

	buf_clear(&job->out);
	if (rc == 0) {
		rc = sealer_seal(s->sealer, &job->head, buf_slice(&job->body),
				 &job->out);
	}
	if (rc != 0 || !job->to_file) {
		return rc;
	}
	if (s->file.path == NULL) {
		rc = spool_file_create(&s->file, sys,
				       s->lane->sh->options->spool_dir,
				       s->order, &s->info,
				       slice(s->header, s->header_len));
	}
	batch = buf_slice(&job->out);
	return rc != 0 ? rc
		       : spool_file_append(&s->file, sys,
					   s->lane->sh->options->spool_dir,
					   &batch, 1, &job->place);
}

/* On a worker thread: a whole segment from memory to its file. */
static int run_spool(struct job *job)
{
	struct seg *s = job->seg;
	struct sys *sys = s->lane->sh->sys;
	const char *dir = s->lane->sh->options->spool_dir;
	struct slice *batches = calloc(s->n, sizeof *batches);
	struct spool_place *places = calloc(s->n, sizeof *places);
	int rc = UV_ENOMEM;

	if (batches != NULL && places != NULL) {
		for (uint32_t i = 0; i < s->n; i++) {
			batches[i] = slice(s->batches[i].bytes,
					   s->batches[i].len);
		}
		rc = spool_file_create(&s->file, sys, dir, s->order, &s->info,
				       slice(s->header, s->header_len));
	}
	if (rc == 0) {
		rc = spool_file_append(&s->file, sys, dir, batches, s->n,
				       places);
		if (rc != 0) {
			spool_file_remove(&s->file, sys);
		}
	}
	for (uint32_t i = 0; i < s->n && rc == 0; i++) {
		s->batches[i].place = places[i];
	}
	free(batches);
	free(places);
	return rc;
}

static void on_run(struct sys_work *w)
{
	struct job *job = w->arg;

	job->rc = job->kind == JOB_SEAL ? run_seal(job) : run_spool(job);
}

static void job_failed(struct lane_state *ln, const char *what)
{
	struct job *job = &ln->job;
	struct seg *s = job->seg;

	log_warn(what, "lane=%s error=\"%s\" spool=%s retry_ms=%d",
		 lane_name(ln->lane), err_str(job->rc),
		 ln->sh->options->spool_dir, RETRY_MS);
	sys_timer_set(ln->sh->sys, ln->retry, RETRY_MS);
	if (job->kind == JOB_SPOOL) {
		return;
	}
	/* Its compressor has moved on, or its file may be torn. */
	s->closed = true;
	sealer_free(s->sealer);
	s->sealer = NULL;
	if (s->n == 0) {
		s->file.size = 0; /* Never counted. */
		lane_drop_seg(ln, s);
	}
	job->seg = NULL;
}

static void gap_done(struct lane_state *ln)
{
	struct seg *old = ln->gap_before;

	ln->job.is_gap = false;
	ln->gap_before = NULL;
	ln->job.seg->closed = true;
	sealer_free(ln->job.seg->sealer);
	ln->job.seg->sealer = NULL;
	ln->sh->gaps++;
	if (ln->drop_gapped) {
		ln->drop_gapped = false;
		lane_drop_seg(ln, old);
	}
}

static void seal_done(struct lane_state *ln)
{
	struct job *job = &ln->job;
	struct seg *s = job->seg;
	uint64_t counted = job->to_file ? s->file.size : 0;

	if (job->rc == 0) {
		job->rc = seg_take_batch(s, job);
	}
	if (job->rc != 0) {
		job_failed(ln, "cannot seal or spool a batch; the same lines "
			       "will be sealed again");
		return;
	}
	if (job->to_file) {
		/* What this append added, its header included. */
		ln->sh->spool_bytes +=
			s->n == 1 ? counted
				  : counted - (job->place.offset - 4);
	}
	job->pending = false;
	ln->sh->batches++;
	if (job->is_gap) {
		gap_done(ln);
	}
}

static void spool_done(struct lane_state *ln)
{
	struct job *job = &ln->job;
	struct seg *s = job->seg;

	if (job->rc != 0) {
		job_failed(ln, "cannot spool a segment; it stays in memory, "
			       "reading pauses when that is full");
		return;
	}
	for (uint32_t i = 0; i < s->n; i++) {
		free(s->batches[i].bytes);
		s->batches[i].bytes = NULL;
	}
	ln->sh->memory -= s->memory;
	s->memory = 0;
	ln->sh->spool_bytes += s->file.size;
	if (s->acked == (int64_t)s->n - 1) {
		lane_drop_seg(ln, s);
	}
}

static void on_done(struct sys_work *w)
{
	struct lane_state *ln = ((struct job *)w->arg)->seg->lane;
	struct shipper *sh = ln->sh;

	ln->job.busy = false;
	if (ln->job.kind == JOB_SEAL) {
		seal_done(ln);
	} else {
		spool_done(ln);
	}
	if (ln->abandon != NULL) {
		lane_abandon_from(ln, ln->abandon, &ln->nak);
	}
	if (ln->gap_before != NULL && !ln->job.pending) {
		submit(ln);
	}
	lane_spool_next(ln);
	client_pump(sh->client);
	shipper_room_now(sh);
	shipper_check_stop(sh);
}

static void start(struct lane_state *ln, enum job_kind kind)
{
	struct job *job = &ln->job;

	job->kind = kind;
	job->work.run = on_run;
	job->work.done = on_done;
	job->work.arg = job;
	job->busy = true;
	job->rc = sys_work_submit(ln->sh->sys, &job->work);
	if (job->rc != 0) {
		job->busy = false;
		job_failed(ln, "cannot start a worker thread's job");
	}
}

/* The body of a gap: one record for each range. */
static int fill_gap(struct lane_state *ln, struct job *job)
{
	const struct seg *s = ln->gap_before;
	const struct seg_stream *ranges = ln->drop_gapped ? s->streams
							  : &ln->gap;
	size_t n = ln->drop_gapped ? s->n_streams : 1;
	int64_t now_ns = sys_wall_ns(ln->sh->sys);
	struct body_section section;
	int rc = 0;

	job->head = (struct batch_head){.n_streams = n,
					.first_ms = now_ns / 1000000,
					.last_ms = now_ns / 1000000};
	buf_clear(&job->body);
	body_section_init(&section, 4096);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct record r = {
			.stream = ranges[i].id,
			.start = ranges[i].start,
			.end = ranges[i].end,
			.flags = RECORD_GAP,
			.line = ln->drop_gapped
					? SLICE_LIT("spool-full drop-oldest")
					: SLICE_LIT("store-rollback"),
			.observed_ns = now_ns,
			.header.time_ns = TIME_NONE,
		};

		job->head.streams[i] = (struct batch_stream){
			r.stream, r.start, r.end, 1, ranges[i].h};
		body_section_reset(&section, r.start);
		rc = body_add(&section, &r, false);
		if (rc == 0) {
			rc = body_section_write(&section, &job->body);
		}
	}
	body_section_fini(&section);
	return rc;
}

/* The segment that the next batch goes into. */
static struct seg *choose_seg(struct lane_state *ln)
{
	if (ln->job.is_gap) {
		return seg_begin_before(ln, ln->gap_before);
	}
	if (ln->last != NULL && !ln->last->closed && !fits(ln, ln->last)) {
		lane_close_segment(ln);
	}
	return ln->last != NULL && !ln->last->closed ? ln->last
						     : seg_begin(ln);
}

/* Starts what waits: the pending batch, or the gap that is owed. */
static void submit(struct lane_state *ln)
{
	struct job *job = &ln->job;

	if (!job->pending && ln->gap_before != NULL) {
		if (fill_gap(ln, job) != 0) {
			return; /* No memory; lane_tick() comes back. */
		}
		job->is_gap = true;
		job->pending = true;
	}
	job->to_file = job->is_gap || goes_to_file(ln);
	job->seg = choose_seg(ln);
	if (job->seg == NULL) {
		sys_timer_set(ln->sh->sys, ln->retry, RETRY_MS);
		return;
	}
	start(ln, JOB_SEAL);
}

static void on_retry(void *arg)
{
	struct lane_state *ln = arg;

	if (ln->job.busy) {
		return;
	}
	if (ln->job.pending || ln->gap_before != NULL) {
		submit(ln);
	} else {
		lane_spool_next(ln);
	}
}

void lane_gap_before(struct lane_state *ln, struct seg *seg,
		     const struct seg_stream *range)
{
	if (ln->gap_before != NULL) {
		return; /* One at a time; the collector will ask again. */
	}
	ln->gap_before = seg;
	ln->gap = *range;
	ln->drop_gapped = false;
	if (!ln->job.busy && !ln->job.pending) {
		submit(ln);
	}
}

/* ---- segments in time ---- */

void lane_close_segment(struct lane_state *ln)
{
	struct seg *s = ln->last;

	if (s == NULL || s->closed) {
		return;
	}
	s->closed = true;
	sealer_free(s->sealer);
	s->sealer = NULL;
	ln->closed_index = (int64_t)s->n - 1;
	ln->closed_hash = *seg_hash(s, ln->closed_index);
	client_closed(ln->sh->client, s);
	if (s->acked == (int64_t)s->n - 1) {
		lane_drop_seg(ln, s);
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
	if (ln->gap_before != NULL) {
		submit(ln);
		return;
	}
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
		body_section_fini(&ln->slots[0].section);
		body_section_init(&ln->slots[0].section, LIMIT_BATCH_DECODED);
	}
	lane_spool_next(ln);
}

void lane_spool_next(struct lane_state *ln)
{
	struct seg *s;

	if (!ln->sh->spooling || ln->job.busy || ln->job.pending) {
		return;
	}
	for (s = ln->first; s != NULL; s = s->next) {
		if (s->file.path == NULL && s->n > 0 &&
		    s->acked < (int64_t)s->n - 1) {
			break;
		}
	}
	if (s == NULL) {
		return;
	}
	if (!s->closed) {
		lane_close_segment(ln);
	}
	ln->job.seg = s;
	start(ln, JOB_SPOOL);
}

int lane_acked(struct lane_state *ln, struct seg *seg, int64_t index,
	       const struct hash32 *hash)
{
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
	if (seg->closed && seg->acked == (int64_t)seg->n - 1 &&
	    ln->gap_before != seg && ln->abandon != seg &&
	    !(ln->job.busy && ln->job.seg == seg)) {
		lane_drop_seg(ln, seg);
	}
	return 0;
}

/* Asks for a stream's records again from `start` on, unless that was done for
 * an earlier position already. */
static void rewind_once(struct lane_state *ln, struct buf *seen,
			const struct stream_id *id, uint64_t start)
{
	struct shipper *sh = ln->sh;
	struct msg_stream w = {.id = *id, .received = start, .durable = start};

	for (size_t at = 0; at < seen->n; at += sizeof *id) {
		if (memcmp(seen->p + at, id, sizeof *id) == 0) {
			return;
		}
	}
	if (buf_add(seen, id, sizeof *id) == 0) {
		sh->cbs->rewind(sh->arg, &w);
	}
}

static void abandon(struct lane_state *ln, struct seg *seg, struct buf *seen)
{
	struct job *job = &ln->job;

	while (seg != NULL) {
		struct seg *next = seg->next;

		for (size_t i = 0; i < seg->n_streams; i++) {
			rewind_once(ln, seen, &seg->streams[i].id,
				    seg->streams[i].start);
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
		rewind_once(ln, seen, &job->head.streams[i].id,
			    job->head.streams[i].start);
	}
	for (size_t i = 0; i < ln->n_slots; i++) {
		rewind_once(ln, seen, &ln->slots[i].id,
			    ln->slots[i].section.start);
	}
	job->pending = false;
	job->is_gap = false;
	empty_slots(ln);
}

void lane_abandon_from(struct lane_state *ln, struct seg *seg,
		       const struct msg_stream *nak)
{
	struct buf seen;

	if (ln->job.busy) {
		/* The job's own segment may be among them: when it is done. */
		ln->abandon = seg;
		ln->nak = *nak;
		return;
	}
	buf_init(&seen, (size_t)LIMIT_HELLO_STREAMS * sizeof nak->id);
	ln->abandon = NULL;
	rewind_once(ln, &seen, &nak->id, nak->received);
	abandon(ln, seg, &seen);
	buf_fini(&seen);
}

/* ---- questions ---- */

bool lane_settled(const struct lane_state *ln)
{
	return ln->filling == 0 && !ln->job.busy && !ln->job.pending &&
	       ln->gap_before == NULL;
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
		if (s->file.path == NULL && s->acked < (int64_t)s->n - 1) {
			return false;
		}
	}
	return lane_settled(ln);
}
