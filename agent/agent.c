#include "agent/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/checkpoint.h"
#include "agent/health.h"
#include "common/err.h"
#include "common/log.h"

enum {
	TICK_MS = 1000,
	START_WAIT_MS = 3000,
	STOP_WAIT_MS = 5000,
	SAVE_ACKED_BYTES = 1024 * 1024,
	IDLE_S = 5,
};

static void final_save(void *arg);

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
	bool detect = agent_detect_save_due(a, now_ns);

	if (a->stopping) {
		return;
	}
	if (a->reading) {
		advance_when_idle(a, now_ns);
		agent_fork_disproved(a);
	}
	refresh_tick(a->refresh, a->config->detectors.refresh_ms);
	if (a->reading && !a->save.busy &&
	    (a->streams_dirty || a->acked_bytes >= SAVE_ACKED_BYTES ||
	     detect || agent_take_source_state(a, false))) {
		agent_save(a, detect);
	}
	sys_timer_set(a->sys, a->tick, TICK_MS);
}

/* ---- streams coming and going are worth a checkpoint ---- */

static void tail_opened(void *arg, struct stream *s)
{
	struct agent *a = arg;

	if (s->st.acked == 0 && s->position == s->st.start) {
		agent_hold_until_named(a);
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

static void source_blind(void *arg, struct slice subject, struct slice detail)
{
	struct agent *a = arg;

	health_tell(a->pipeline, a->sys, HEALTH_BLIND, subject, detail);
}

static void tail_verified(void *arg, const struct stream_id *id,
			  uint64_t position, int answer)
{
	struct agent *a = arg;

	unproved_answer(&a->unproved, id, position, answer);
	if (answer >= 0) {
		sys_timer_set(a->sys, a->tick, 0);
	}
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
		if (a->restored[i].path != NULL) {
			a->table_lost_ns = 0;
		}
		a->restored[i].detect = agent_detected(a, &a->restored[i].id,
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
		.cbs = &agent_shipper_callbacks,
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
	rc = rc != 0 ? rc : refresh_new(&a->refresh, a->sys, a->pipeline);
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
		agent_begin_reading(a);
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

/* Whoever made the secret has looked at logs since then. */
static int64_t secret_time(struct sys *sys, const char *dir)
{
	char path[4096];
	struct sys_stat st;

	return snprintf(path, sizeof path, "%s/secret", dir) < (int)sizeof path &&
			       sys_stat(sys, path, &st) == 0
		       ? st.mtime_ns
		       : 0;
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
	a->config_path = params->config_path;
	a->net = params->net;
	a->sign = params->sign;
	a->dialing = params->dialing;
	a->loop = params->loop;
	a->arg = params->arg;
	a->tail_cbs = (struct tail_callbacks){tail_opened, tail_chunk,
					      tail_closed, tail_gap,
					      tail_verified, source_entry,
					      source_lost, source_blind};
	buf_init(&a->save.streams_bytes, STATE_MAX);
	buf_init(&a->save.detect_bytes, CHECKPOINT_MAX);
	buf_init(&a->save.source_bytes, STATE_MAX);
	a->begun_ns = a->table_lost_ns = secret_time(a->sys, dir);
	rc = device_secret_load(&a->secret, a->sys, dir);
	if (rc != 0) {
		log_error("cannot read or make the device's secret",
			  "path=%s/secret error=\"%s\" advice=\"%s\"", dir, err_str(rc),
			  err_advice(rc));
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
	refresh_free(a->refresh);
	pipeline_free(a->pipeline);
	stream_states_free(a->restored, a->n_restored);
	raised_fini(&a->raised);
	unproved_fini(&a->unproved);
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
	agent_take_watermark(a, end);
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

void agent_begin_reading(struct agent *a)
{
	int rc = 0;

	if (a->reading || a->stopping) {
		return;
	}
	for (size_t i = 0; i < a->n_restored && rc == 0; i++) {
		rc = agent_restore_stream(a, &a->restored[i]);
	}
	if (rc == 0 && a->shipper != NULL) {
		shipper_spool_ends(a->shipper, take_spool_end, a);
	}
	tail_begun(a->tail, a->begun_ns);
	if (rc == 0 && a->table_lost_ns != 0) {
		tail_look_back(a->tail, a->table_lost_ns);
	}
	if (rc == 0 && a->shipper != NULL && !a->met &&
	    (a->table_lost_ns != 0 || a->n_restored > 0)) {
		tail_alone(a->tail);
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
	health_key(a->pipeline, a->sys, a->config_path, a->config->redact.pseudonym_key);
	refresh_load(a->refresh);
	if (a->shipper == NULL) {
		agent_begin_reading(a);
		return 0;
	}
	sys_timer_set(a->sys, a->start_wait, START_WAIT_MS);
	shipper_start(a->shipper);
	return 0;
}

/* ---- stopping ---- */

void agent_finish_stop(struct agent *a)
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
	agent_take_source_state(a, true);
	if (agent_save(a, agent_may_save_detect(a)) != 0) {
		agent_finish_stop(a);
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
	if (a->holding && !a->save.busy && agent_save(a, false) != 0) {
		agent_release_if_named(a);
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
		refresh_load(a->refresh);
		refresh_soon(a->refresh);
		health_key(a->pipeline, a->sys, a->config_path,
			   a->config->redact.pseudonym_key);
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
	/* Until then nobody has looked at how much there is. */
	json_bool(j, "reading", a->reading);
	if (a->reading) {
		json_u64(j, "lag_bytes", ts.lagging_bytes);
	} else {
		json_null(j, "lag_bytes");
	}
	json_u64(j, "searching", ts.searching);
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
