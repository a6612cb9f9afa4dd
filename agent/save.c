/* What is written for the next start, and what waits for it. */
#include "agent/internal.h"

#include "agent/checkpoint.h"
#include "common/err.h"
#include "common/log.h"

enum {
	SAVE_RETRY_MS = 100, /* while streams wait for it */
	FIRST_DETECT_SAVE_S = 30,
	DETECT_SAVE_S = 3600,
	HOLD_MAX_S = 10,
};

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

void agent_hold(struct agent *a)
{
	if (a->shipper != NULL) {
		shipper_hold(a->shipper, a->holding || a->unproved.n > 0);
	}
}

bool agent_may_prove(const struct agent *a)
{
	return sys_mono_ns(a->sys) - a->proving_ns < HOLD_MAX_S * second;
}

/* What is sent before the table on disk names its stream can't be recognised after a
 * crash, if the file is too short to prove what it is by content alone: its lines
 * would come twice. */
void agent_hold_until_named(struct agent *a)
{
	a->unnamed = true;
	a->streams_dirty = true;
	/* After the chunk, which makes it provable. */
	sys_timer_set(a->sys, a->tick, 0);
	if (a->shipper != NULL && !a->holding && !a->hold_given_up) {
		a->holding = true;
		a->held_ns = sys_mono_ns(a->sys);
		agent_hold(a);
	}
}

/* A save has ended.  A folder that can't be written for long must not keep the logs
 * from the collector: they would say why. */
void agent_release_if_named(struct agent *a)
{
	bool late = a->unsaved > 0 && sys_mono_ns(a->sys) - a->held_ns >
					      HOLD_MAX_S * second;

	/* A stop is no reason: what is not sent is still in its file. */
	if (!a->holding || (a->unnamed && !late)) {
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
	agent_hold(a);
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
	agent_release_if_named(a);
	if (a->holding) {
		sys_timer_set(a->sys, a->tick, s->rc != 0 ? SAVE_RETRY_MS : 0);
	}
	if (a->stopping && a->final_saved) {
		agent_finish_stop(a);
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
bool agent_take_source_state(struct agent *a, bool last)
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

int agent_save(struct agent *a, bool detect)
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
bool agent_may_save_detect(const struct agent *a)
{
	return a->shipper == NULL || shipper_settled(a->shipper, QUEUE_ALERT);
}

bool agent_detect_save_due(const struct agent *a, int64_t now_ns)
{
	int64_t every = a->detect_saved_ns == 0 ? FIRST_DETECT_SAVE_S
						: DETECT_SAVE_S;
	int64_t since = a->detect_saved_ns == 0 ? a->started_ns
						: a->detect_saved_ns;

	return now_ns - since > every * second && agent_may_save_detect(a) &&
	       pipeline_lines(a->pipeline) != a->saved_lines;
}
