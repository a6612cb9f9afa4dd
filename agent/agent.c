#include "agent/agent.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/checkpoint.h"
#include "agent/raised.h"
#include "agent/open.h"
#include "common/err.h"
#include "common/log.h"
#include "wire/local.h"

enum {
	TICK_MS = 1000,
	START_WAIT_MS = 3000,
	STOP_WAIT_MS = 5000,
	SAVE_ACKED_BYTES = 1024 * 1024,
	FIRST_DETECT_SAVE_S = 30,
	DETECT_SAVE_S = 3600,
	IDLE_S = 5,
	SAVE_RETRY_MS = 100, /* while streams wait for it */
	HOLD_MAX_S = 10,
	STATE_MAX = 16 * 1024 * 1024,
};
static const int64_t second = INT64_C(1000000000);

/* One save at a time, on a worker thread. */
struct save {
	struct sys_work work;
	bool busy;
	bool streams, detect; /* what is being written */
	struct buf streams_bytes, detect_bytes;
	/* Of a source, until it is written. */
	const char *source_name;
	struct buf source_bytes;
	int rc;
};

struct agent {
	struct sys *sys;
	const struct agent_config *config;
	struct net *net;
	int (*sign)(void *arg, const struct head *h, struct buf *out);
	void (*dialing)(void *arg);
	void *arg;
	struct device_secret secret;
	unsigned char stream_secret[STREAM_HASH_SECRET];

	struct pipeline *pipeline;
	struct tail *tail;
	uv_loop_t *loop;
	struct input *input; /* standard input; NULL: not read */
	struct open_sources open; /* the others */
	struct shipper *shipper;
	struct tail_callbacks tail_cbs;

	struct stream_state *restored; /* until reading begins */
	size_t n_restored;
	struct raised raised; /* streams read on behind the spool */
	bool reading;
	struct sys_timer *tick, *start_wait, *save_wait;

	struct save save;
	bool streams_dirty;
	/* A stream began that no saved table names yet: until then nothing of it is
	 * sent (shipper_hold()). */
	bool unnamed;
	bool holding;
	bool hold_given_up; /* until a save succeeds */
	int64_t held_ns; /* since when */
	unsigned unsaved; /* saves that failed, in a row */
	uint64_t acked_bytes; /* since the last save */
	uint64_t saved_lines;
	int64_t started_ns, detect_saved_ns;
	uint64_t idle_lines; /* handed on when that last changed ... */
	int64_t idle_ns;     /* ... at this monotonic time */

	bool stopping, final_saved;
	void (*stop_cb)(void *arg);
	void *stop_arg;
};

static void begin_reading(struct agent *a);
static void final_save(void *arg);

/* ---- what the shipper asks ---- */

static uint64_t cb_hash_at(void *arg, const struct stream_id *id,
			   uint64_t position)
{
	struct agent *a = arg;

	return pipeline_hash_at(a->pipeline, id, position);
}

static void cb_acked(void *arg, const struct msg_stream *w)
{
	struct agent *a = arg;

	raised_said(&a->raised, w);
	a->acked_bytes += pipeline_acked(a->pipeline, w);
}

/* Do both ends speak of the same bytes?  Only remembered places are compared:
 * the file itself may have been truncated since, and that would look the same. */
static bool contradicts(const struct stream_state *st,
			const struct msg_stream *w)
{
	if (st->acked == w->durable) {
		return st->h != w->h_durable;
	}
	for (uint32_t i = 0; i < st->n_rungs; i++) {
		if (st->rungs[i].position == w->durable) {
			return st->rungs[i].h != w->h_durable;
		}
	}
	return false;
}

static void fork_stream(struct agent *a, const struct stream_id *id)
{
	for (size_t i = 0; i < a->open.n; i++) {
		const struct source_ops *ops = a->open.list[i]->ops;

		if (ops->fork != NULL && ops->fork(a->open.list[i], id) == 0) {
			return;
		}
	}
	tail_fork(a->tail, id, 0);
}

/* What was known of a stream, to whoever may have it; what has no place may be
 * anybody's. */
static int restore(struct agent *a, const struct stream_state *st)
{
	int rc = source_is_file(st) ? tail_restore(a->tail, st, 1) : 0;

	for (size_t i = 0; i < a->open.n && rc == 0; i++) {
		const struct source_ops *ops = a->open.list[i]->ops;

		if (ops->restore != NULL) {
			rc = ops->restore(a->open.list[i], st, 1);
		}
	}
	return rc;
}

/* What the collector says of a stream that is known here.  It may hold less than it
 * had acknowledged (a restored or a new store): then W goes back.  It may hold
 * other bytes under this name (a restored disk, a cloned device): then nothing of it
 * can be trusted to continue. */
static void compare(struct agent *a, struct stream_state *st,
		    const struct msg_stream *w)
{
	if (w->received < st->acked &&
	    w->received < shipper_lowest(a->shipper, &w->id)) {
		log_warn("the collector holds less of a log file than it had "
			 "acknowledged; going back",
			 "path=%s acknowledged=%llu held=%llu",
			 st->path == NULL ? "" : st->path,
			 (unsigned long long)st->acked,
			 (unsigned long long)w->received);
		if (a->reading) {
			pipeline_rewind(a->pipeline, w, true);
		} else {
			stream_state_lower(st, w->received, &w->h_received);
		}
	} else if (a->reading && w->durable > 0 && contradicts(st, w)) {
		log_warn("the collector's copy of a log file differs from "
			 "ours; the file is read again as a stream of its own",
			 "path=%s position=%llu",
			 st->path == NULL ? "" : st->path,
			 (unsigned long long)w->durable);
		fork_stream(a, &w->id);
	}
}

static int by_id(const void *x, const void *y)
{
	return memcmp(&((const struct stream_state *)x)->id,
		      &((const struct stream_state *)y)->id,
		      sizeof(struct stream_id));
}

/* Until here nobody waits for the detectors. */
static uint64_t detected(const struct agent *a, const struct stream_id *id,
			 uint64_t otherwise)
{
	return a->config->detectors.enabled
		       ? pipeline_restored_detect(a->pipeline, id)
		       : otherwise;
}

/* Before reading begins a watermark says where. */
static void take_watermark(struct agent *a, const struct msg_stream *w)
{
	struct stream_state st = {
		.id = w->id,
		.acked = w->durable,
		.h = w->h_durable,
		.position = w->durable,
		.detect = detected(a, &w->id, w->durable),
		.seen_ns = sys_wall_ns(a->sys),
		.born_ns = sys_wall_ns(a->sys),
	};

	/* What is not durable yet proves as well whose the file is. */
	if (w->received > w->durable) {
		st.top = (struct stream_rung){w->received, w->h_received};
	}
	if (!a->reading && w->received > 0 && restore(a, &st) != 0) {
		log_warn("no memory to remember one of the collector's streams");
	}
}

/* A stream is named on disk before it is sent (hold_until_named()).  One of which
 * nothing is acknowledged, nothing is held here, and the only collector there is knows
 * nothing was never sent, or what was sent of it will not be taken any more: this
 * session fences the one that sent it. */
static void expect_unsent(struct agent *a)
{
	bool only = a->config->shipper.collectors.n == 1;

	for (size_t i = 0; i < a->n_restored; i++) {
		struct stream_state *st = &a->restored[i];

		st->unsent = only && st->acked == st->start &&
			     shipper_lowest(a->shipper, &st->id) == UINT64_MAX;
	}
}

static void cb_welcome(void *arg, struct slice streams)
{
	struct agent *a = arg;
	struct stream_state *states = a->restored, *st, key;
	size_t n = a->n_restored;
	struct msg_stream w;

	if (a->reading && pipeline_states(a->pipeline, &states, &n) != 0) {
		return; /* No memory; the next welcome asks again. */
	}
	if (n > 0) {
		qsort(states, n, sizeof *states, by_id);
	}
	if (!a->reading) {
		expect_unsent(a);
	}
	while (msg_streams_next(&streams, &w) == 1) {
		raised_said(&a->raised, &w);
		key.id = w.id;
		st = n == 0 ? NULL
			    : bsearch(&key, states, n, sizeof *states, by_id);
		if (st != NULL) {
			compare(a, st, &w);
			st->unsent = st->unsent && w.received == 0;
		}
		take_watermark(a, &w);
	}
	if (a->reading) {
		stream_states_free(states, n);
	}
	begin_reading(a);
}

static int cb_rewind(void *arg, const struct msg_stream *w, bool proved)
{
	struct agent *a = arg;

	return pipeline_rewind(a->pipeline, w, proved);
}

static int add_states(struct buf *list, const struct stream_state *states,
		      size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct msg_stream w = {states[i].id, states[i].acked,
				       states[i].acked, states[i].h,
				       states[i].h};

		/* Finished ones too: the collector may have lost them. */
		rc = msg_add_stream(list, &w);
	}
	return rc;
}

static int cb_list_streams(void *arg, struct buf *list)
{
	struct agent *a = arg;
	struct stream_state *states;
	size_t n;
	int rc;

	if (!a->reading) {
		return add_states(list, a->restored, a->n_restored);
	}
	rc = pipeline_states(a->pipeline, &states, &n);
	if (rc == 0) {
		raised_lower(&a->raised, states, n);
		rc = add_states(list, states, n);
		stream_states_free(states, n);
	}
	return rc;
}

static void cb_room(void *arg)
{
	struct agent *a = arg;

	if (a->reading) {
		pipeline_resume(a->pipeline);
	}
}

static int cb_sign(void *arg, const struct head *h, struct buf *out)
{
	struct agent *a = arg;

	return a->sign(a->arg, h, out);
}

static void cb_moved(void *arg)
{
	struct agent *a = arg;

	pipeline_moved(a->pipeline);
}

static void cb_dialing(void *arg)
{
	struct agent *a = arg;

	if (a->dialing != NULL) {
		a->dialing(a->arg);
	}
}

static void cb_changed(void *arg)
{
	struct agent *a = arg;

	a->streams_dirty = true;
}

static const struct shipper_cbs shipper_callbacks = {
	.hash_at = cb_hash_at,
	.acked = cb_acked,
	.welcome = cb_welcome,
	.rewind = cb_rewind,
	.list_streams = cb_list_streams,
	.room = cb_room,
	.sign = cb_sign,
	.moved = cb_moved,
	.dialing = cb_dialing,
	.changed = cb_changed,
};

/* ---- saving ---- */

static void run_save(struct sys_work *w)
{
	struct agent *a = w->arg;
	struct save *s = &a->save;
	const char *dir = a->config->daemon.state_dir;

	s->rc = 0;
	if (s->streams) {
		s->rc = checkpoint_save(a->sys, dir, "streams", &a->secret,
					buf_slice(&s->streams_bytes));
	}
	if (s->detect && s->rc == 0) {
		s->rc = checkpoint_save_buf(a->sys, dir, "detect", &a->secret,
					    &s->detect_bytes);
	}
	if (s->source_name != NULL && s->rc == 0) {
		s->rc = checkpoint_save(a->sys, dir, s->source_name, &a->secret,
					buf_slice(&s->source_bytes));
	}
}

static void finish_stop(struct agent *a);
static int start_save(struct agent *a, bool detect);

/* What is sent before the table on disk names its stream can't be recognised after a
 * crash, if the file is too short to prove what it is by content alone: its lines
 * would come twice. */
static void hold_until_named(struct agent *a)
{
	a->unnamed = true;
	a->streams_dirty = true;
	/* After the chunk, which makes it provable. */
	sys_timer_set(a->sys, a->tick, 0);
	if (a->shipper != NULL && !a->holding && !a->hold_given_up) {
		a->holding = true;
		a->held_ns = sys_mono_ns(a->sys);
		shipper_hold(a->shipper, true);
	}
}

/* A save has ended.  A folder that can't be written for long must not keep the logs
 * from the collector: they would say why. */
static void release_if_named(struct agent *a)
{
	bool late = a->unsaved > 0 && sys_mono_ns(a->sys) - a->held_ns >
					      HOLD_MAX_S * second;

	if (!a->holding || (a->unnamed && !late && !a->stopping)) {
		return;
	}
	if (a->unnamed && late) {
		a->hold_given_up = true;
		log_warn("new log files are sent although the state can't be "
			 "saved: after a crash, lines of them may be stored "
			 "twice",
			 "path=%s", a->config->daemon.state_dir);
	}
	a->holding = false;
	shipper_hold(a->shipper, false);
}

static void save_done(struct sys_work *w)
{
	struct agent *a = w->arg;
	struct save *s = &a->save;

	s->busy = false;
	if (s->rc != 0 && (a->unsaved & (a->unsaved + 1)) == 0) {
		/* The first failure and then every doubling. */
		log_warn("cannot save state; after a crash more lines would be "
			 "read again",
			 "path=%s error=\"%s\"", a->config->daemon.state_dir,
			 err_str(s->rc));
	}
	a->unsaved = s->rc != 0 ? a->unsaved + 1 : 0;
	a->streams_dirty = a->streams_dirty || (s->rc != 0 && !a->stopping);
	a->unnamed = a->unnamed || (s->streams && s->rc != 0);
	if (s->rc == 0) {
		s->source_name = NULL;
		buf_fini(&s->source_bytes);
	}
	a->hold_given_up = a->hold_given_up && s->rc != 0;
	buf_fini(&s->streams_bytes);
	buf_wipe(&s->detect_bytes);
	release_if_named(a);
	if (a->holding) {
		sys_timer_set(a->sys, a->tick, s->rc != 0 ? SAVE_RETRY_MS : 0);
	}
	if (a->stopping && a->final_saved) {
		finish_stop(a);
	}
}

static int encode_streams(struct agent *a, struct buf *out)
{
	struct stream_state *states;
	struct buf shipping;
	size_t n;
	int rc;

	pipeline_settle(a->pipeline);
	rc = pipeline_states(a->pipeline, &states, &n);
	if (rc != 0) {
		return rc;
	}
	raised_lower(&a->raised, states, n);
	buf_init(&shipping, STATE_MAX);
	if (a->shipper != NULL) {
		rc = shipper_save(a->shipper, &shipping);
	}
	if (rc == 0) {
		rc = checkpoint_streams_encode(states, n, buf_slice(&shipping),
					       out);
	}
	buf_fini(&shipping);
	stream_states_free(states, n);
	return rc;
}

/* Whether a source has something to save; at most one at a time is written. */
static bool take_source_state(struct agent *a, bool last)
{
	struct save *s = &a->save;

	for (size_t i = 0; i < a->open.n && s->source_name == NULL; i++) {
		const struct source_ops *ops = a->open.list[i]->ops;

		if (ops->save != NULL &&
		    ops->save(a->open.list[i], &s->source_bytes, last) == 1) {
			s->source_name = ops->name;
		} else {
			buf_clear(&s->source_bytes);
		}
	}
	return s->source_name != NULL;
}

static int start_save(struct agent *a, bool detect)
{
	struct save *s = &a->save;
	int rc = 0;

	s->streams = a->reading;
	s->detect = detect && a->reading;
	if (s->streams) {
		rc = encode_streams(a, &s->streams_bytes);
	}
	if (rc == 0 && s->detect) {
		rc = pipeline_save(a->pipeline, &s->detect_bytes);
	}
	if (rc == 0) {
		s->work.run = run_save;
		s->work.done = save_done;
		s->work.arg = a;
		rc = sys_work_submit(a->sys, &s->work);
	}
	if (rc != 0) {
		log_warn("cannot save state now", "error=\"%s\"", err_str(rc));
		buf_fini(&s->streams_bytes);
		buf_wipe(&s->detect_bytes);
		return rc;
	}
	s->busy = true;
	a->streams_dirty = false;
	a->unnamed = false;
	a->acked_bytes = 0;
	a->saved_lines = pipeline_lines(a->pipeline);
	if (detect) {
		a->detect_saved_ns = sys_mono_ns(a->sys);
	}
	return 0;
}

/* Detectors are saved with their cursors: an alert that they have raised must be on
 * disk by then, since nothing would raise it again. */
static bool may_save_detect(const struct agent *a)
{
	return a->shipper == NULL || shipper_settled(a->shipper, QUEUE_ALERT);
}

static bool detect_save_due(const struct agent *a, int64_t now_ns)
{
	int64_t every = a->detect_saved_ns == 0 ? FIRST_DETECT_SAVE_S
						: DETECT_SAVE_S;
	int64_t since = a->detect_saved_ns == 0 ? a->started_ns
						: a->detect_saved_ns;

	return now_ns - since > every * second && may_save_detect(a) &&
	       pipeline_lines(a->pipeline) != a->saved_lines;
}

/* Event time follows the lines.  Only when there is nothing left to read does the
 * clock on the wall say how late it is: a backlog of old lines is not late. */
static void advance_when_idle(struct agent *a, int64_t now_ns)
{
	uint64_t lines = pipeline_lines(a->pipeline);
	struct tail_stats ts;

	tail_stats(a->tail, &ts);
	if (lines != a->idle_lines || ts.lagging_bytes > 0) {
		a->idle_lines = lines;
		a->idle_ns = now_ns;
	} else if (now_ns - a->idle_ns > IDLE_S * second) {
		pipeline_advance(a->pipeline, sys_wall_ns(a->sys));
	}
}

static void on_tick(void *arg)
{
	struct agent *a = arg;
	int64_t now_ns = sys_mono_ns(a->sys);
	bool detect = detect_save_due(a, now_ns);

	if (a->stopping) {
		return;
	}
	if (a->reading) {
		advance_when_idle(a, now_ns);
	}
	if (a->reading && !a->save.busy &&
	    (a->streams_dirty || a->acked_bytes >= SAVE_ACKED_BYTES ||
	     detect || take_source_state(a, false))) {
		start_save(a, detect);
	}
	sys_timer_set(a->sys, a->tick, TICK_MS);
}

/* ---- streams coming and going are worth a checkpoint ---- */

static void tail_opened(void *arg, struct stream *s)
{
	struct agent *a = arg;

	if (s->st.acked == 0 && s->position == s->st.start) {
		hold_until_named(a);
	}
	a->streams_dirty = true;
	pipeline_tail_callbacks.opened(a->pipeline, s);
}

static size_t tail_chunk(void *arg, struct stream *s, struct slice data,
			 unsigned flags)
{
	struct agent *a = arg;

	return pipeline_tail_callbacks.chunk(a->pipeline, s, data, flags);
}

static void tail_closed(void *arg, struct stream *s, enum tail_close why)
{
	struct agent *a = arg;

	a->streams_dirty = true;
	pipeline_tail_callbacks.closed(a->pipeline, s, why);
}

static int source_entry(void *arg, struct stream *s, const struct line *line,
			uint64_t h)
{
	struct agent *a = arg;

	return pipeline_tail_callbacks.entry(a->pipeline, s, line, h);
}

static int source_lost(void *arg, struct stream *s, uint64_t from, uint64_t to,
		       struct slice reason)
{
	struct agent *a = arg;

	return pipeline_tail_callbacks.lost(a->pipeline, s, from, to, reason);
}

static void tail_gap(void *arg, const struct stream_state *st, uint64_t from,
		     const char *reason)
{
	struct agent *a = arg;

	pipeline_tail_callbacks.gap(a->pipeline, st, from, reason);
}

static void no_questions(void *arg, const struct stream_id *id,
			 uint64_t position, int answer)
{
	(void)arg;
	(void)id;
	(void)position;
	(void)answer; /* tail_verify() is not used. */
}

/* ---- life ---- */

static int load_state(struct agent *a, struct buf *shipping)
{
	const char *dir = a->config->daemon.state_dir;
	struct slice saved = SLICE_NONE;
	struct buf bytes;
	int rc;

	buf_init(&bytes, CHECKPOINT_MAX);
	rc = checkpoint_load(a->sys, dir, "streams", &a->secret, &bytes);
	if (rc == 0 && checkpoint_streams_decode(buf_slice(&bytes),
						 &a->restored, &a->n_restored,
						 &saved) != 0) {
		log_error("the saved stream table has an unknown form and is "
			  "not used; lines are read again and the collector "
			  "takes what it lacks",
			  "path=%s/streams", dir);
		saved = SLICE_NONE;
	}
	if (rc == 0) {
		rc = buf_add_slice(shipping, saved);
	}
	if (rc == 0) {
		rc = checkpoint_load(a->sys, dir, "detect", &a->secret, &bytes);
	}
	if (rc == 0 && bytes.n > 0 &&
	    pipeline_restore(a->pipeline, buf_slice(&bytes)) != 0) {
		log_warn("the saved state of the detectors has another form and "
			 "is not used; lines are read again for them",
			 "path=%s/detect", dir);
	}
	buf_wipe(&bytes);
	for (size_t i = 0; i < a->n_restored; i++) {
		a->restored[i].detect = detected(a, &a->restored[i].id,
						 a->restored[i].acked);
	}
	return rc;
}

static int make_shipper(struct agent *a, const struct agent_params *params,
			struct slice saved)
{
	struct shipper_params sp = {
		.sys = a->sys,
		.net = a->net,
		.options = &a->config->shipper,
		.cbs = &shipper_callbacks,
		.arg = a,
		.device = params->device_hash,
		.software = "nightjar-agent " NIGHTJAR_VERSION,
		.saved = saved,
	};
	int rc;

	memcpy(sp.boot, params->boot, sizeof sp.boot);
	memcpy(sp.machine, params->machine, sizeof sp.machine);
	rc = sys_random(a->sys, sp.instance, sizeof sp.instance);
	return rc != 0 ? rc : shipper_new(&a->shipper, &sp);
}

/* What they saved themselves. */
static int load_sources(struct agent *a)
{
	struct buf bytes;
	int rc = 0;

	buf_init(&bytes, CHECKPOINT_MAX);
	for (size_t i = 0; i < a->open.n && rc == 0; i++) {
		const struct source_ops *ops = a->open.list[i]->ops;

		if (ops->load == NULL) {
			continue;
		}
		rc = checkpoint_load(a->sys, a->config->daemon.state_dir, ops->name,
				     &a->secret, &bytes);
		if (rc == 0 && bytes.n > 0 &&
		    ops->load(a->open.list[i], buf_slice(&bytes)) != 0) {
			log_warn("what a source saved has another form and is not used",
				 "path=%s/%s", a->config->daemon.state_dir, ops->name);
		}
		buf_clear(&bytes);
	}
	buf_wipe(&bytes);
	return rc;
}

static int make_stages(struct agent *a, const struct agent_params *params)
{
	struct pipeline_params pp = {
		.sys = a->sys,
		.config = a->config,
		.device = params->device,
		.stream_secret = a->stream_secret,
		.on_alert = params->on_alert,
		.arg = params->arg,
	};
	struct buf saved;
	int rc = sys_random(a->sys, pp.key, sizeof pp.key);

	if (rc == 0) {
		rc = pipeline_new(&a->pipeline, &pp);
	}
	if (rc != 0) {
		return rc;
	}
	buf_init(&saved, STATE_MAX);
	rc = load_state(a, &saved);
	if (rc == 0 && a->net != NULL) {
		rc = make_shipper(a, params, buf_slice(&saved));
	}
	buf_fini(&saved);
	if (rc == 0) {
		rc = tail_new(&a->tail, a->sys, &a->config->sources,
			      a->stream_secret, &a->tail_cbs, a);
	}
	if (rc == 0 && a->loop != NULL) {
		rc = open_sources(&a->open, a->loop, a->sys, a->config,
				  a->stream_secret, params->before, a->pipeline,
				  &a->tail_cbs, a);
		rc = rc != 0 ? rc : load_sources(a);
	}
	return rc;
}

static void on_start_wait(void *arg)
{
	struct agent *a = arg;

	if (!a->reading && !a->stopping) {
		log_info("no answer from the collector yet; reading begins at "
			 "what is known here");
		begin_reading(a);
	}
}

/* What is found in the state folder is built upon; who wrote it may have been killed
 * before its name was synced. */
static void sync_names(struct sys *sys, const char *dir)
{
	int rc = sys_sync_dir(sys, dir);

	if (rc != 0) {
		log_warn("cannot sync the state folder",
			 "path=%s error=\"%s\"", dir, err_str(rc));
	}
}

int agent_new(struct agent **out, const struct agent_params *params)
{
	struct agent *a = calloc(1, sizeof *a);
	const char *dir = params->config->daemon.state_dir;
	int rc;

	*out = NULL;
	if (a == NULL) {
		return UV_ENOMEM;
	}
	a->sys = params->sys;
	a->config = params->config;
	a->net = params->net;
	a->sign = params->sign;
	a->dialing = params->dialing;
	a->loop = params->loop;
	a->arg = params->arg;
	a->tail_cbs = (struct tail_callbacks){tail_opened, tail_chunk,
					      tail_closed, tail_gap,
					      no_questions, source_entry,
					      source_lost};
	buf_init(&a->save.streams_bytes, STATE_MAX);
	buf_init(&a->save.detect_bytes, CHECKPOINT_MAX);
	buf_init(&a->save.source_bytes, STATE_MAX);
	rc = device_secret_load(&a->secret, a->sys, dir);
	if (rc != 0) {
		log_error("cannot read or make the device's secret; the state "
			  "folder must belong to this user, mode 0700",
			  "path=%s/secret error=\"%s\"", dir, err_str(rc));
		goto err;
	}
	sync_names(a->sys, dir);
	rc = device_secret_stream_hash(&a->secret, a->stream_secret);
	if (rc == 0) {
		rc = sys_timer_new(a->sys, &a->tick, on_tick, a);
	}
	if (rc == 0) {
		rc = sys_timer_new(a->sys, &a->start_wait, on_start_wait, a);
	}
	if (rc == 0) {
		rc = sys_timer_new(a->sys, &a->save_wait, final_save, a);
	}
	if (rc == 0) {
		rc = make_stages(a, params);
	}
	if (rc != 0) {
		log_error("cannot start", "error=\"%s\"", err_str(rc));
		goto err;
	}
	pipeline_connect(a->pipeline, a->tail, a->shipper);
	pipeline_set_sources(a->pipeline, a->open.list, a->open.n);
	*out = a;
	return 0;

err:
	agent_free(a);
	return rc;
}

void agent_free(struct agent *a)
{
	if (a == NULL) {
		return;
	}
	for (size_t i = 0; i < a->open.n; i++) {
		a->open.list[i]->ops->free(a->open.list[i]);
	}
	tail_free(a->tail);
	shipper_free(a->shipper);
	pipeline_free(a->pipeline);
	stream_states_free(a->restored, a->n_restored);
	raised_fini(&a->raised);
	sys_timer_free(a->sys, a->tick);
	sys_timer_free(a->sys, a->start_wait);
	sys_timer_free(a->sys, a->save_wait);
	buf_fini(&a->save.streams_bytes);
	buf_wipe(&a->save.detect_bytes);
	buf_fini(&a->save.source_bytes);
	explicit_bzero(&a->secret, sizeof a->secret);
	explicit_bzero(a->stream_secret, sizeof a->stream_secret);
	free(a);
}

static void take_spool_end(void *arg, const struct msg_stream *end)
{
	struct agent *a = arg;

	if (raised_add(&a->raised, end, a->restored, a->n_restored) != 0) {
		log_warn("no memory to remember what of the spool is not "
			 "acknowledged");
	}
	take_watermark(a, end);
}

static void open_input(struct agent *a)
{
	int rc;

	if (!a->config->sources.read_stdin || a->loop == NULL) {
		return;
	}
	rc = input_open(&a->input, a->loop, a->sys, STDIN_FILENO,
			&a->config->sources, a->stream_secret, &a->tail_cbs, a);
	if (rc != 0) {
		log_error("cannot read standard input; give it a pipe, a file "
			  "or a terminal, or set sources.stdin: false",
			  "error=\"%s\"", err_str(rc));
	}
	pipeline_set_input(a->pipeline, a->input);
}

/* One that fails has said so, and the others are read. */
static void start_sources(struct agent *a)
{
	for (size_t i = 0; i < a->open.n; i++) {
		a->open.list[i]->ops->start(a->open.list[i]);
	}
}

static void begin_reading(struct agent *a)
{
	int rc = 0;

	if (a->reading || a->stopping) {
		return;
	}
	for (size_t i = 0; i < a->n_restored && rc == 0; i++) {
		rc = restore(a, &a->restored[i]);
	}
	if (rc == 0 && a->shipper != NULL) {
		shipper_spool_ends(a->shipper, take_spool_end, a);
	}
	if (rc == 0) {
		rc = tail_start(a->tail);
	}
	if (rc != 0) {
		log_error("cannot begin to read; trying again",
			  "error=\"%s\"", err_str(rc));
		sys_timer_set(a->sys, a->start_wait, START_WAIT_MS);
		return;
	}
	a->reading = true;
	open_input(a);
	start_sources(a);
	stream_states_free(a->restored, a->n_restored);
	a->restored = NULL;
	a->n_restored = 0;
}

int agent_start(struct agent *a)
{
	a->started_ns = sys_mono_ns(a->sys);
	sys_timer_set(a->sys, a->tick, TICK_MS);
	if (a->shipper == NULL) {
		begin_reading(a);
		return 0;
	}
	sys_timer_set(a->sys, a->start_wait, START_WAIT_MS);
	shipper_start(a->shipper);
	return 0;
}

/* ---- stopping ---- */

static void finish_stop(struct agent *a)
{
	void (*cb)(void *arg) = a->stop_cb;

	a->stop_cb = NULL;
	if (cb != NULL) {
		cb(a->stop_arg);
	}
}

/* Also the timer's callback, for a save that was under way. */
static void final_save(void *arg)
{
	struct agent *a = arg;

	if (a->save.busy) {
		sys_timer_set(a->sys, a->save_wait, 10);
		return;
	}
	a->final_saved = true;
	take_source_state(a, true);
	if (start_save(a, may_save_detect(a)) != 0) {
		finish_stop(a);
	}
}

static void on_shipper_stopped(void *arg)
{
	final_save(arg);
}

void agent_stop(struct agent *a, void (*cb)(void *arg), void *arg)
{
	a->stopping = true;
	a->stop_cb = cb;
	a->stop_arg = arg;
	sys_timer_stop(a->sys, a->start_wait);
	tail_stop(a->tail);
	for (size_t i = 0; i < a->open.n; i++) {
		a->open.list[i]->ops->stop(a->open.list[i]);
	}
	pipeline_set_input(a->pipeline, NULL);
	input_close(a->input);
	a->input = NULL;
	if (a->holding && !a->save.busy && start_save(a, false) != 0) {
		release_if_named(a);
	}
	if (a->shipper != NULL) {
		shipper_stop(a->shipper, STOP_WAIT_MS, on_shipper_stopped, a);
	} else {
		final_save(a);
	}
}

void agent_renew(struct agent *a)
{
	if (a->shipper != NULL) {
		shipper_renew(a->shipper);
	}
}

uint64_t agent_lines(const struct agent *a)
{
	return pipeline_lines(a->pipeline);
}

int agent_reload(struct agent *a, struct config_errors *errs)
{
	int rc = pipeline_reload(a->pipeline, errs);

	if (rc == 0 && !a->stopping) {
		tail_reload(a->tail);
	}
	return rc;
}

void agent_status(const struct agent *a, struct json *j)
{
	struct tail_stats ts;

	tail_stats(a->tail, &ts);
	json_object(j, "sources");
	json_u64(j, "open", ts.open);
	json_u64(j, "remembered", ts.remembered);
	json_u64(j, "bytes", ts.bytes);
	json_u64(j, "lag_bytes", ts.lagging_bytes);
	json_u64(j, "gaps", ts.gaps);
	json_u64(j, "forks", ts.forks);
	json_u64(j, "errors", ts.errors);
	for (size_t i = 0; i < a->open.n; i++) {
		json_object(j, a->open.list[i]->ops->name);
		a->open.list[i]->ops->status(a->open.list[i], j);
		json_object_end(j);
	}
	json_object_end(j);
	json_object(j, "pipeline");
	pipeline_status(a->pipeline, j);
	json_object_end(j);
	if (a->shipper != NULL) {
		json_object(j, "shipping");
		shipper_status(a->shipper, j);
		json_object_end(j);
	}
}
