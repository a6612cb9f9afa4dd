#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "shipper/lane.h"

/* The one job that a lane may have under way.
 *
 * Failure modes: no memory, a compressor or cipher that fails, a spool that
 * can't be written (full, failed sync).  After any of them the segment gets no
 * more batches, and the same records are sealed again into a new one after
 * RETRY_MS: nothing is ever appended behind a failed write.
 */
enum { RETRY_MS = 1000, HEAD_EVERY_S = 10, ALERT_WINDOW_LOG = 17 };

static size_t body_size(const struct job *job)
{
	size_t n = job->body.n;

	for (size_t i = 0; i < job->n_texts; i++) {
		n += job->texts[i].n;
	}
	return n;
}

static bool fits(const struct lane_state *ln, const struct seg *s)
{
	const struct shipper *sh = ln->sh;
	uint64_t max = sh->options->segment_max;

	if (sh->segment_decoded_max > 0 && sh->segment_decoded_max < max) {
		max = sh->segment_decoded_max;
	}
	/* A segment is whole in its file or not in a file at all. */
	return !s->closed &&
	       (s->n == 0 || (s->file.path != NULL) == lane_goes_to_file(ln)) &&
	       (s->n == 0 || s->decoded + body_size(&ln->job) <= max) &&
	       s->n < LIMIT_SEGMENT_BATCHES &&
	       s->n_streams + ln->job.head.n_streams <= LIMIT_SEGMENT_STREAMS;
}

/* As far as the compressor looks back.  Alerts resemble those just before them: a
 * long memory of them is not worth its room. */
static uint8_t window_of(const struct lane_state *ln)
{
	const struct shipper *sh = ln->sh;
	uint8_t window = (uint8_t)sh->options->window_log;

	if (ln->lane == LANE_ALERT && window > ALERT_WINDOW_LOG) {
		window = ALERT_WINDOW_LOG;
	}
	return sh->window_log != 0 && sh->window_log < window ? sh->window_log
							      : window;
}

static int make_sealer(struct seg *s)
{
	struct shipper *sh = s->lane->sh;
	struct sealer_params params = {
		.lane = s->lane->lane,
		.number = s->info.number,
		.device = sh->device,
		.created_ms = sys_wall_ns(sh->sys) / 1000000,
		.window_log = window_of(s->lane),
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

/* Compresses and seals the batch from where it stands. */
static int seal(struct job *job)
{
	struct slice parts[2 * LIMIT_BATCH_STREAMS + 1];
	size_t n = 0, at = 0;

	for (size_t i = 0; i < job->n_texts; i++) {
		parts[n++] = slice(job->body.p + at, job->heads[i] - at);
		parts[n++] = buf_slice(&job->texts[i]);
		at = job->heads[i];
	}
	if (at < job->body.n) {
		parts[n++] = slice(job->body.p + at, job->body.n - at);
	}
	return sealer_seal_parts(job->seg->sealer, &job->head, parts, n,
				 &job->out);
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
		rc = seal(job);
	}
	if (rc != 0 || !job->to_file) {
		return rc;
	}
	if (s->file.path == NULL) {
		rc = spool_file_create(&s->file, sys,
				       s->lane->sh->options->spool_dir,
				       s->order, s->lane->queue, &s->info,
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
		rc = spool_file_create(&s->file, sys, dir, s->order,
				       s->lane->queue, &s->info,
				       slice(s->header, s->header_len));
	}
	if (rc == 0) {
		rc = spool_file_append(&s->file, sys, dir, batches, s->n,
				       places);
		if (rc != 0) {
			spool_file_remove(&s->file, sys);
		}
		spool_file_rest(&s->file, sys);
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

static void spool_oldest(struct lane_state *ln);

static void job_failed(struct lane_state *ln, const char *what)
{
	struct job *job = &ln->job;
	struct seg *s = job->seg;

	/* The first failure and then every doubling is worth a line. */
	if ((ln->failures & (ln->failures + 1)) == 0) {
		log_warn(what, "lane=%s error=\"%s\" spool=%s tries=%u",
			 queue_name(ln->queue), err_str(job->rc),
			 ln->sh->options->spool_dir, ln->failures + 1);
	}
	ln->failures++;
	sys_timer_set(ln->sh->sys, ln->retry, RETRY_MS);
	job->seg = NULL;
	if (job->kind == JOB_SPOOL) {
		return;
	}
	/* Its compressor has moved on, or its file may be torn. */
	if (s->n == 0) {
		lane_drop_seg(ln, s);
	} else {
		lane_close_segment(ln);
	}
}

/* A gap that a new gap in place of seg takes in. */
static bool is_part_of(const struct seg *s, const struct seg *seg)
{
	for (size_t i = 0; s->is_gap && i < s->n_streams; i++) {
		size_t k = 0;

		while (k < seg->n_streams &&
		       memcmp(&seg->streams[k].id, &s->streams[i].id,
			      sizeof s->streams[i].id) != 0) {
			k++;
		}
		if (k == seg->n_streams) {
			return false;
		}
	}
	return s->is_gap;
}

static void gap_done(struct lane_state *ln)
{
	struct seg *old = ln->gap_before, *gap = ln->job.seg;

	ln->job.is_gap = false;
	gap->is_gap = true;
	gap->closed = true;
	sealer_free(gap->sealer);
	gap->sealer = NULL;
	if (gap->file.path != NULL) {
		spool_file_rest(&gap->file, ln->sh->sys);
	}
	ln->sh->gaps++;
	if (ln->job.is_owed) {
		lane_owed_done(ln, gap->file.path != NULL);
		return;
	}
	ln->gap_before = NULL;
	if (!ln->drop_gapped) {
		return;
	}
	ln->drop_gapped = false;
	for (struct seg *s = ln->first, *next; s != gap; s = next) {
		next = s->next;
		if (is_part_of(s, old)) {
			lane_drop_seg(ln, s); /* The new gap covers it. */
		}
	}
	ln->dropped += old->records;
	lane_drop_seg(ln, old);
}

/* What stands in its file counts, once. */
static void count_file(struct seg *s)
{
	struct shipper *sh = s->lane->sh;

	if (s->file.path != NULL) {
		sh->spool_bytes += s->file.size - s->counted;
		s->counted = s->file.size;
	}
}

static void seal_done(struct lane_state *ln)
{
	struct job *job = &ln->job;
	struct seg *s = job->seg;

	if (job->rc == 0) {
		job->rc = seg_take_batch(s, job);
	}
	if (job->rc != 0) {
		job_failed(ln, "cannot seal or spool a batch; the same lines "
			       "will be sealed again");
		return;
	}
	count_file(s);
	ln->failures = 0;
	job->pending = false;
	lane_shrink_texts(job);
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
	count_file(s);
	ln->failures = 0;
	lane_drop_delivered(ln, s);
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
		lane_abandon_from(ln, ln->abandon,
				  ln->has_nak ? &ln->nak : NULL);
	}
	if (ln->close_wanted) {
		ln->close_wanted = false;
		lane_close_segment(ln);
	}
	if (lane_has_gap(ln) && !ln->job.pending && ln->failures == 0) {
		lane_submit(ln);
	}
	lane_spool_next(ln);
	client_pump(sh->client);
	shipper_room_now(sh);
	shipper_check_stop(sh);
}

static void start(struct lane_state *ln, enum job_kind kind)
{
	struct job *job = &ln->job;
	int rc;

	job->kind = kind;
	job->work.run = on_run;
	job->work.done = on_done;
	job->work.arg = job;
	job->busy = true;
	/* job->rc is the worker's from here on: it may have ended already. */
	rc = sys_work_submit(ln->sh->sys, &job->work);
	if (rc != 0) {
		job->rc = rc;
		job->busy = false;
		job_failed(ln, "cannot start a worker thread's job");
	}
}

/* Where the range that replaces seg begins for this stream: a gap that stands
 * before it is taken in. */
static uint64_t gap_start(struct lane_state *ln, const struct seg *seg,
			  const struct seg_stream *range)
{
	uint64_t start = range->start;

	for (const struct seg *s = ln->first; s != seg; s = s->next) {
		for (size_t i = 0; is_part_of(s, seg) && i < s->n_streams;
		     i++) {
			if (memcmp(&s->streams[i].id, &range->id,
				   sizeof range->id) == 0 &&
			    s->streams[i].start < start) {
				start = s->streams[i].start;
			}
		}
	}
	return start;
}

/* One range as a record in a section of its own; open: and perhaps more behind it. */
static int add_gap(struct job *job, size_t i, const struct record *r, bool open,
		   uint64_t h, struct body_section *section)
{
	struct record more = *r;
	int rc = 0;

	more.start = r->end;
	more.flags = RECORD_GAP_OPEN;
	job->head.streams[i] = (struct batch_stream){
		.id = r->stream, .start = r->start, .end = r->end, .h = h};
	body_section_reset(section, r->start);
	if (r->end > r->start || !open) {
		rc = body_add(section, r, false);
	}
	if (rc == 0 && open) {
		rc = body_add(section, &more, false);
	}
	job->head.streams[i].count = section->count;
	return rc == 0 ? body_section_write(section, &job->body) : rc;
}

/* What the gap is about: what the spool has lost, the whole of a segment, or a range. */
static size_t gap_ranges(const struct lane_state *ln,
			 const struct seg_stream **out)
{
	if (ln->job.is_owed) {
		*out = ln->owed->ranges;
		return ln->owed->n < LIMIT_BATCH_STREAMS ? ln->owed->n
							 : LIMIT_BATCH_STREAMS;
	}
	*out = ln->drop_gapped ? ln->gap_before->streams : &ln->gap;
	return ln->drop_gapped ? ln->gap_before->n_streams : 1;
}

/* The body of a gap: one record for each range. */
static int fill_gap(struct lane_state *ln, struct job *job)
{
	const struct seg_stream *ranges;
	bool owed = job->is_owed;
	size_t n = gap_ranges(ln, &ranges);
	int64_t now_ns = sys_wall_ns(ln->sh->sys);
	struct body_section section;
	int rc = 0;

	job->head = (struct batch_head){.n_streams = n,
					.first_ms = now_ns / 1000000,
					.last_ms = now_ns / 1000000};
	buf_clear(&job->body);
	job->n_texts = 0;
	body_section_init(&section, 4096);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct record r = {
			.stream = ranges[i].id,
			.start = !owed && ln->drop_gapped
					 ? gap_start(ln, ln->gap_before,
						     &ranges[i])
					 : ranges[i].start,
			.end = ranges[i].end,
			.flags = RECORD_GAP,
			.line = slice_str(owed ? ln->owed->reason
					       : ln->gap_reason),
			.observed_ns = now_ns,
			.header.time_ns = TIME_NONE,
		};

		rc = add_gap(job, i, &r, owed && ranges[i].open, ranges[i].h,
			     &section);
	}
	body_section_fini(&section);
	return rc;
}

/* Right behind what the damaged file still holds. */
static struct seg *begin_owed(struct lane_state *ln)
{
	struct seg *after = ln->first;

	while (after != NULL && after->order <= ln->owed->order) {
		after = after->next;
	}
	return seg_begin_before(ln, after, ln->owed->order + 1);
}

/* The segment that the next batch goes into. */
static struct seg *choose_seg(struct lane_state *ln)
{
	if (ln->job.is_gap && ln->job.is_owed) {
		return begin_owed(ln);
	}
	if (ln->job.is_gap) {
		return seg_begin_before(ln, ln->gap_before,
					ln->gap_before->order - 1);
	}
	if (ln->last != NULL && !ln->last->closed && !fits(ln, ln->last)) {
		lane_close_segment(ln);
	}
	return ln->last != NULL && !ln->last->closed ? ln->last
						     : seg_begin(ln);
}

void lane_submit(struct lane_state *ln)
{
	struct job *job = &ln->job;

	if (!job->pending && lane_has_gap(ln)) {
		job->is_owed = ln->gap_before == NULL;
		if (fill_gap(ln, job) != 0) {
			return; /* No memory; lane_tick() comes back. */
		}
		job->is_gap = true;
		job->pending = true;
	}
	job->to_file = job->is_gap || lane_goes_to_file(ln);
	if (job->is_gap && job->is_owed && ln->failures > 0) {
		job->to_file = false; /* A full disk: it still has the damage. */
	}
	job->seg = choose_seg(ln);
	if (job->seg == NULL) {
		sys_timer_set(ln->sh->sys, ln->retry, RETRY_MS);
		return;
	}
	start(ln, JOB_SEAL);
}

void lane_retry(void *arg)
{
	struct lane_state *ln = arg;

	if (ln->job.busy) {
		return;
	}
	if (ln->job.pending || lane_has_gap(ln)) {
		lane_submit(ln);
	} else {
		spool_oldest(ln);
	}
}

/* Starts to write the oldest segment that is only in memory. */
static void spool_oldest(struct lane_state *ln)
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
	if (s == NULL || !lane_fits_spool(ln, s->memory)) {
		return;
	}
	if (!s->closed) {
		lane_close_segment(ln);
	}
	ln->job.seg = s;
	start(ln, JOB_SPOOL);
}

void lane_spool_next(struct lane_state *ln)
{
	if (ln->failures == 0) {
		spool_oldest(ln); /* Else lane_retry() will. */
	}
}
