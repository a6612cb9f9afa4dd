#include "shipper/shipper.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"
#include "shipper/lane.h"

enum {
	TICK_MS = 500,
	SAVE_VERSION = 2,
	ACKED_HEAD_MAX = 4096,
};
/* What a stop waits beyond its deadline for the spool to be written. */
static const int64_t STOP_GRACE_NS = INT64_C(10000000000);

/* ---- what survives a restart ----
 * version (8 bit), number of keys (8 bit), keys, whether a store is known (8 bit), its
 * id, last number of each queue (64 bit), the acknowledged head (blob), what another
 * store holds (held.h), the day (32 bit) and what was sent in it (64 bit).  If the store
 * has given other keys before: their number (8 bit), their ids. */

int shipper_save(const struct shipper *s, struct buf *out)
{
	int rc = buf_add_u8(out, SAVE_VERSION);

	if (rc == 0) {
		rc = buf_add_u8(out, (uint8_t)s->n_keys);
	}
	for (size_t i = 0; i < s->n_keys && rc == 0; i++) {
		rc = buf_add(out, s->keys[i].public_key,
			     sizeof s->keys[i].public_key);
		if (rc == 0) {
			rc = buf_add(out, s->keys[i].id, sizeof s->keys[i].id);
		}
	}
	if (rc == 0) {
		rc = buf_add_u8(out, s->has_store);
	}
	if (rc == 0) {
		rc = buf_add(out, s->store_id, sizeof s->store_id);
	}
	for (int i = 0; i < QUEUE_NR && rc == 0; i++) {
		rc = buf_add_u64(out, s->lanes[i].last_number);
	}
	if (rc == 0) {
		rc = buf_add_varint(out, s->acked_head.n);
	}
	if (rc == 0) {
		rc = buf_add_slice(out, buf_slice(&s->acked_head));
	}
	if (rc == 0) {
		rc = held_save(&s->elsewhere, out);
	}
	if (rc == 0) {
		rc = buf_add_u32(out, s->pace.day);
	}
	if (rc == 0) {
		rc = buf_add_u64(out, s->pace.spent);
	}
	if (rc == 0 && s->n_former > 0) {
		rc = buf_add_u8(out, (uint8_t)s->n_former);
		rc = rc != 0 ? rc
			     : buf_add(out, s->former, s->n_former * sizeof s->former[0]);
	}
	return rc;
}

static void restore_former(struct shipper *s, struct reader *r)
{
	size_t n = reader_left(r) > 0 ? reader_u8(r) : 0;

	if (n <= LIMIT_RECIPIENTS) {
		reader_copy(r, s->former, n * sizeof s->former[0]);
		s->n_former = n;
	}
}

static int restore(struct shipper *s, struct slice saved)
{
	struct reader r = reader(saved);
	struct slice head;
	int rc;

	if (saved.n == 0) {
		return 0;
	}
	if (reader_u8(&r) != SAVE_VERSION) {
		return ERR_VERSION;
	}
	s->n_keys = reader_u8(&r);
	if (s->n_keys > LIMIT_RECIPIENTS) {
		s->n_keys = 0;
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < s->n_keys; i++) {
		reader_copy(&r, s->keys[i].public_key,
			    sizeof s->keys[i].public_key);
		reader_copy(&r, s->keys[i].id, sizeof s->keys[i].id);
	}
	s->has_store = reader_u8(&r) != 0;
	reader_copy(&r, s->store_id, sizeof s->store_id);
	for (int i = 0; i < QUEUE_NR; i++) {
		uint64_t number = reader_u64(&r);

		if (number > s->lanes[i].last_number) {
			s->lanes[i].last_number = number;
		}
	}
	head = reader_blob(&r, ACKED_HEAD_MAX);
	rc = held_restore(&s->elsewhere, &r);
	if (rc != 0) {
		return rc;
	}
	s->pace.day = reader_u32(&r);
	s->pace.spent = reader_u64(&r);
	restore_former(s, &r);
	if (!reader_done(&r)) {
		s->n_keys = s->n_former = 0;
		held_fini(&s->elsewhere);
		return ERR_MALFORMED;
	}
	return buf_add_slice(&s->acked_head, head);
}

/* ---- recovery of the spool ---- */

struct recovery {
	struct shipper *sh;
	struct seg *seg;
};

static int on_segment(void *arg, const struct spool_found *found)
{
	struct recovery *rec = arg;
	struct shipper *sh = rec->sh;

	rec->seg = lane_adopt(&sh->lanes[found->queue], found);
	return rec->seg == NULL ? UV_ENOMEM : 0;
}

static int on_batch(void *arg, struct spool_place place,
		    const struct batch_head *head)
{
	struct recovery *rec = arg;

	return seg_adopt_batch(rec->seg, place, head);
}

static int on_end(void *arg, uint64_t size, size_t n_batches)
{
	struct recovery *rec = arg;
	struct seg *s = rec->seg;

	if (n_batches == 0) {
		/* The walk removes the file itself. */
		free(s->file.path);
		s->file = spool_file_none();
		lane_drop_seg(s->lane, s);
		return 0;
	}
	s->file.size = size;
	s->counted = size;
	rec->sh->spool_bytes += size;
	return 0;
}

static int on_loss(void *arg, const struct spool_loss *loss)
{
	struct recovery *rec = arg;

	if (loss->n_whole > 0) {
		rec->seg->file.damaged = !loss->unfinished;
	}
	rec->sh->spool_losses++;
	return lane_owe(&rec->sh->lanes[loss->queue], loss);
}

static int recover(struct shipper *s)
{
	static const struct spool_visitor visitor = {on_segment, on_batch,
						     on_end, on_loss};
	struct recovery rec = {s, NULL};
	const char *dir = s->options->spool_dir;
	int rc = sys_mkdir(s->sys, dir, 0700);

	if (rc != 0 && rc != UV_EEXIST) {
		log_error(rc == UV_EACCES || rc == UV_EPERM
				  ? "cannot make the spool's folder; give its parent to "
				    "this user or set another spool.dir"
			  : rc == UV_ENOENT
				  ? "cannot make the spool's folder; its parent is missing"
				  : "cannot make the spool's folder",
			  "path=%s error=\"%s\"", dir, err_str(rc));
		return rc;
	}
	rc = spool_recover(s->sys, dir, &visitor, &rec);
	for (int i = 0; i < QUEUE_NR && rc == 0; i++) {
		lane_clip_owed(&s->lanes[i]);
	}
	if (rc == 0 && s->spool_bytes > 0) {
		log_info("found lines in the spool that wait for the collector",
			 "bytes=%llu", (unsigned long long)s->spool_bytes);
	}
	return rc;
}

/* ---- life ---- */

static void on_tick(void *arg)
{
	struct shipper *s = arg;
	int64_t now_ns = sys_mono_ns(s->sys);

	client_tick(s->client, now_ns);
	for (int i = 0; i < QUEUE_NR; i++) {
		lane_tick(&s->lanes[i], now_ns);
	}
	client_pump(s->client);
	shipper_room_now(s);
	sys_timer_set(s->sys, s->tick, TICK_MS);
	shipper_check_stop(s); /* May end in shipper_free(). */
}

int shipper_new(struct shipper **out, const struct shipper_params *params)
{
	struct shipper *s = calloc(1, sizeof *s);
	int rc;

	*out = NULL;
	if (s == NULL) {
		return UV_ENOMEM;
	}
	s->sys = params->sys;
	s->net = params->net;
	s->options = params->options;
	s->pace.options = params->options;
	s->cbs = params->cbs;
	s->arg = params->arg;
	s->device = params->device;
	s->software = params->software;
	memcpy(s->instance, params->instance, sizeof s->instance);
	memcpy(s->boot, params->boot, sizeof s->boot);
	memcpy(s->machine, params->machine, sizeof s->machine);
	buf_init(&s->acked_head, ACKED_HEAD_MAX);
	rc = sys_timer_new(s->sys, &s->tick, on_tick, s);
	for (int i = 0; i < QUEUE_NR && rc == 0; i++) {
		rc = lane_init(&s->lanes[i], s, (enum queue)i);
	}
	if (rc == 0) {
		rc = client_new(&s->client, s);
	}
	if (rc == 0) {
		rc = recover(s);
	}
	if (rc == 0) {
		rc = restore(s, params->saved);
		if (rc == ERR_VERSION || rc == ERR_MALFORMED) {
			/* The welcome brings keys, the clock makes numbers. */
			log_warn("the saved state of shipping can't be used",
				 "error=\"%s\"", err_str(rc));
			rc = 0;
		}
	}
	if (rc != 0) {
		shipper_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void shipper_free(struct shipper *s)
{
	if (s == NULL) {
		return;
	}
	for (int i = 0; i < QUEUE_NR; i++) {
		if (s->lanes[i].sh != NULL) {
			lane_fini(&s->lanes[i]);
		}
	}
	client_free(s->client);
	sys_timer_free(s->sys, s->tick);
	buf_fini(&s->acked_head);
	held_fini(&s->elsewhere);
	free(s);
}

void shipper_start(struct shipper *s)
{
	sys_timer_set(s->sys, s->tick, TICK_MS);
	client_start(s->client);
}

void shipper_spool_ends(const struct shipper *s,
			void (*cb)(void *arg, const struct msg_stream *end),
			void *arg)
{
	for (int i = 0; i < QUEUE_NR; i++) {
		for (const struct seg *seg = s->lanes[i].first; seg != NULL;
		     seg = seg->next) {
			for (size_t k = 0; k < seg->n_streams; k++) {
				const struct seg_stream *t = &seg->streams[k];
				struct msg_stream end = {
					t->id, t->end, t->end, t->h, t->h};

				cb(arg, &end);
			}
		}
	}
}

uint64_t shipper_lowest(const struct shipper *s, const struct stream_id *id)
{
	uint64_t lowest = UINT64_MAX;

	for (int i = 0; i < QUEUE_NR; i++) {
		uint64_t p = lane_lowest(&s->lanes[i], id);

		lowest = p < lowest ? p : lowest;
	}
	return lowest;
}

static bool leads_to(const struct seg *s, const struct stream_id *id,
		     uint64_t position)
{
	for (size_t i = 0; s->sent >= 0 && i < s->n_streams; i++) {
		if (memcmp(&s->streams[i].id, id, sizeof *id) == 0 &&
		    s->streams[i].start < position &&
		    s->streams[i].end >= position) {
			return true;
		}
	}
	return false;
}

bool shipper_is_proved(const struct shipper *s, const struct stream_id *id,
		       uint64_t position)
{
	for (int i = 0; i < QUEUE_NR; i++) {
		for (const struct seg *g = s->lanes[i].first; g != NULL;
		     g = g->next) {
			if (leads_to(g, id, position)) {
				return true;
			}
		}
	}
	return false;
}

static bool has_stream(const struct seg *s, const struct stream_id *id)
{
	for (size_t i = 0; i < s->n_streams; i++) {
		if (memcmp(&s->streams[i].id, id, sizeof *id) == 0) {
			return true;
		}
	}
	return false;
}

void shipper_abandon(struct shipper *s, const struct stream_id *id)
{
	for (int i = 0; i < QUEUE_NR; i++) {
		struct lane_state *ln = &s->lanes[i];
		struct seg *g = ln->first;

		if (ln->lane != LANE_FILE || lane_lowest(ln, id) == UINT64_MAX) {
			continue;
		}
		while (g != NULL && g->next != NULL && !has_stream(g, id)) {
			g = g->next; /* At worst it is in what is being filled. */
		}
		lane_abandon_from(ln, g, NULL);
	}
}

bool shipper_settled(const struct shipper *s, enum queue queue)
{
	return lane_settled(&s->lanes[queue]);
}

/* ---- records ---- */

int shipper_add(struct shipper *s, enum queue queue, const struct record *r,
		bool with_time)
{
	return lane_add(&s->lanes[queue], r, with_time);
}

int shipper_reserve(struct shipper *s, enum queue queue,
		    const struct stream_id *id, size_t n)
{
	return lane_reserve(&s->lanes[queue], id, n);
}

void shipper_flush(struct shipper *s, enum queue queue)
{
	lane_close_batch(&s->lanes[queue]);
}

void shipper_room_now(struct shipper *sh)
{
	bool wanted = false;

	for (int i = 0; i < QUEUE_NR; i++) {
		struct lane_state *ln = &sh->lanes[i];

		if (ln->wanted && sh->n_keys > 0 && !ln->job.busy &&
		    !ln->job.pending) {
			ln->wanted = false;
			wanted = true;
		}
	}
	if (wanted && !sh->stopping) {
		sh->cbs->room(sh->arg);
	}
}

void shipper_hold(struct shipper *s, bool held)
{
	bool released = s->held && !held;

	s->held = held;
	if (released) {
		client_pump(s->client);
	}
}

/* ---- stopping ---- */

/* What is not delivered goes to the spool, as far as it has room. */
static void spool_the_rest(struct shipper *s)
{
	s->spooling = true;
	for (int i = 0; i < QUEUE_NR; i++) {
		lane_spool_next(&s->lanes[i]);
	}
}

void shipper_check_stop(struct shipper *s)
{
	bool delivered = true, spooled = true, busy = false, late;
	int64_t now_ns = sys_mono_ns(s->sys);
	void (*cb)(void *arg) = s->stop_cb;

	if (!s->stopping || cb == NULL) {
		return;
	}
	for (int i = 0; i < QUEUE_NR; i++) {
		lane_report_lost(&s->lanes[i]);
		lane_close_batch(&s->lanes[i]);
		delivered = delivered && lane_delivered(&s->lanes[i]);
		spooled = spooled && lane_spooled(&s->lanes[i]);
	}
	late = now_ns >= s->stop_deadline_ns + STOP_GRACE_NS;
	if (!delivered && !s->spooling &&
	    (!client_is_welcome(s->client) || now_ns >= s->stop_deadline_ns)) {
		spool_the_rest(s);
		return;
	}
	if (!delivered && !(s->spooling && spooled) && !late) {
		return;
	}
	client_stop(s->client);
	for (int i = 0; i < QUEUE_NR; i++) {
		busy = busy || lane_busy(&s->lanes[i]);
	}
	/* Whoever is told may free everything: not under a job's feet. */
	if (!busy && client_is_stopped(s->client)) {
		s->stop_cb = NULL;
		cb(s->stop_arg);
	}
}

void shipper_stop(struct shipper *s, uint64_t wait_ms, void (*cb)(void *arg),
		  void *arg)
{
	if (s->stopping) {
		return; /* Under way already: its callback will come. */
	}
	s->stopping = true;
	s->stop_cb = cb;
	s->stop_arg = arg;
	s->stop_deadline_ns =
		sys_mono_ns(s->sys) + (int64_t)wait_ms * 1000000;
	sys_timer_set(s->sys, s->tick, 0);
}

/* ---- telling ---- */

bool shipper_connected(const struct shipper *s)
{
	return client_is_welcome(s->client);
}

static uint64_t files_open(const struct shipper *s)
{
	uint64_t n = 0;

	for (int i = 0; i < QUEUE_NR; i++) {
		const struct lane_state *ln = &s->lanes[i];

		for (const struct seg *seg = ln->first; seg != NULL;
		     seg = seg->next) {
			/* A job's file is the job's to look at; it has one. */
			n += (lane_busy(ln) && ln->job.seg == seg) ||
			     seg->file.fd >= 0;
		}
	}
	return n;
}

void shipper_renew(struct shipper *s)
{
	client_renew(s->client);
}

void shipper_collectors(struct shipper *s, const struct hostlist *before)
{
	client_reload(s->client, before);
}

void shipper_status(struct shipper *s, struct json *j)
{
	json_object(j, "connection");
	client_status(s->client, j);
	json_object_end(j);
	json_object(j, "lanes");
	for (int i = 0; i < QUEUE_NR; i++) {
		const struct lane_state *ln = &s->lanes[i];
		uint64_t unacked = 0, segments = 0;

		for (const struct seg *seg = ln->first; seg != NULL;
		     seg = seg->next) {
			segments++;
			unacked += (uint64_t)((int64_t)seg->n - 1 - seg->acked);
		}
		json_object(j, queue_name((enum queue)i));
		json_u64(j, "records", ln->records);
		json_u64(j, "dropped", ln->dropped);
		json_u64(j, "segments", segments);
		json_u64(j, "unacknowledged_batches", unacked);
		json_object_end(j);
	}
	json_object_end(j);
	json_u64(j, "raw_bytes", s->raw_bytes);
	json_u64(j, "wire_bytes", s->wire_bytes);
	json_u64(j, "batches", s->batches);
	json_u64(j, "acknowledgements", s->acks);
	json_time(j, "last_acknowledgement",
		  s->acked_ns == 0 ? TIME_NONE : s->acked_ns);
	json_u64(j, "gaps", s->gaps);
	json_u64(j, "memory_bytes", s->memory);
	json_u64(j, "memory_max_bytes", s->options->memory_max);
	json_u64(j, "spool_bytes", s->spool_bytes);
	json_u64(j, "spool_max_bytes", s->options->spool_max);
	json_u64(j, "spool_files_open", files_open(s));
	json_u64(j, "spool_losses", s->spool_losses);
	json_bool(j, "spooling", s->spooling);
}
