/* What the shipper asks of the agent, and what a collector's watermarks mean for the
 * streams that are known here. */
#include "agent/internal.h"

#include <stdlib.h>

#include "common/log.h"

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
	if (!unproved_has(&a->unproved, &w->id)) {
		a->acked_bytes += pipeline_acked(a->pipeline, w);
	}
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
int agent_restore_stream(struct agent *a, const struct stream_state *st)
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

static int by_id(const void *x, const void *y)
{
	return memcmp(&((const struct stream_state *)x)->id,
		      &((const struct stream_state *)y)->id,
		      sizeof(struct stream_id));
}

/* Until here nobody waits for the detectors. */
uint64_t agent_detected(const struct agent *a, const struct stream_id *id,
			 uint64_t otherwise)
{
	return a->config->detectors.enabled
		       ? pipeline_restored_detect(a->pipeline, id)
		       : otherwise;
}

/* Before reading begins a watermark says where. */
void agent_take_watermark(struct agent *a, const struct msg_stream *w)
{
	struct stream_state st = {
		.id = w->id,
		.acked = w->durable,
		.h = w->h_durable,
		.position = w->durable,
		.detect = agent_detected(a, &w->id, w->durable),
		.seen_ns = sys_wall_ns(a->sys),
		.born_ns = sys_wall_ns(a->sys),
	};

	/* What is not durable yet proves as well whose the file is. */
	if (w->received > w->durable) {
		st.top = (struct stream_rung){w->received, w->h_received};
	}
	/* A stream of a former process, taken for a file's without a name, would be one that
	 * every file may be. */
	if (!a->reading && w->received > 0 && !stream_is_once(a->stream_secret, &w->id) &&
	    agent_restore_stream(a, &st) != 0) {
		log_warn("no memory to remember one of the collector's streams");
	}
}

/* A stream is named on disk before it is sent (agent_hold_until_named()).  One of which
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

/* Whether W may be of other bytes than what is here: what was read without knowing it,
 * by this process or by one before, whose lines wait in the spool.  Where the collector has
 * a batch of ours that leads to W it is of ours. */
static bool is_doubtful(struct agent *a, const struct stream_state *st,
			const struct msg_stream *w)
{
	if (a->met || !source_is_file(st) || w->received == 0) {
		return false;
	}
	if (a->reading) {
		/* (What the spool holds counts as acknowledged there.) */
		return w->received > st->acked ||
		       (w->received > shipper_lowest(a->shipper, &w->id) &&
			!shipper_is_proved(a->shipper, &w->id, w->received));
	}
	return shipper_lowest(a->shipper, &w->id) != UINT64_MAX &&
	       (w->received > st->acked || contradicts(st, w)) &&
	       !shipper_is_proved(a->shipper, &w->id, w->received);
}

/* What the collector says of a stream that is known here.  It may hold less than it
 * had acknowledged (a restored or a new store): then W goes back.  It may hold
 * other bytes under this name (a restored disk, a cloned device): then nothing of it
 * can be trusted to continue; if the file is yet to be asked, what the spool holds of it
 * is given up with it (agent_fork_disproved()). */
static void compare(struct agent *a, struct stream_state *st,
		    const struct msg_stream *w)
{
	if (st->acked == st->start && w->received < st->start) {
		return; /* Nothing of it was acknowledged: what is below is another's. */
	}
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
	} else if (a->reading && w->durable > 0 && contradicts(st, w) &&
		   !is_doubtful(a, st, w)) {
		log_warn("the collector's copy of a log file differs from "
			 "ours; the file is read again as a stream of its own",
			 "path=%s position=%llu",
			 st->path == NULL ? "" : st->path,
			 (unsigned long long)w->durable);
		fork_stream(a, &w->id);
	}
}

/* The first welcome: true, if what it says of the stream has to be proved first. */
static bool expect_proof(struct agent *a, const struct stream_state *st,
			 const struct msg_stream *w)
{
	if (!is_doubtful(a, st, w)) {
		return false;
	}
	if (unproved_add(&a->unproved, w) != 0) {
		log_warn("no memory to remember which log file has to be compared "
			 "with what the collector has of it",
			 "path=%s", st->path == NULL ? "" : st->path);
		return false;
	}
	sys_timer_set(a->sys, a->tick, 0);
	return true;
}

/* An acknowledgement that was lost with its connection: what was durable then is in no
 * later one, while the segment's own lets go of the lines.  Were a store put back behind it,
 * nobody would know that lines are wanted again. */
static void take_word(struct agent *a, const struct stream_state *st,
		      const struct msg_stream *w)
{
	if (a->reading && w->durable > st->acked && w->durable <= st->position &&
	    shipper_is_proved(a->shipper, &w->id, w->durable)) {
		a->acked_bytes += pipeline_acked(a->pipeline, w);
	}
}

void agent_fork_disproved(struct agent *a)
{
	struct stream_id id;

	while (unproved_next(&a->unproved, a->tail, agent_may_prove(a), &id) == 1) {
		log_warn("the collector has other lines than a log file; the file is "
			 "read again as a stream of its own");
		tail_fork(a->tail, &id, 0);
		shipper_abandon(a->shipper, &id);
	}
	agent_hold(a);
}

static void cb_welcome(void *arg, struct slice streams)
{
	struct agent *a = arg;
	struct stream_state *states = a->restored, *st, key;
	size_t n = a->n_restored;
	struct msg_stream w;
	bool doubtful;

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
		doubtful = false;
		if (st != NULL) {
			compare(a, st, &w);
			doubtful = expect_proof(a, st, &w);
			st->unsent = st->unsent && w.received == 0;
		}
		if (st != NULL && !doubtful) {
			take_word(a, st, &w);
		}
		if (!doubtful) {
			agent_take_watermark(a, &w);
		}
	}
	if (a->reading) {
		stream_states_free(states, n);
	}
	a->met = true;
	a->proving_ns = sys_mono_ns(a->sys);
	agent_hold(a);
	agent_begin_reading(a);
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

const struct shipper_cbs agent_shipper_callbacks = {
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
