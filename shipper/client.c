#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "shipper/client_impl.h"

/* A session with the collector:
 *
 *   WAITING --timer--> DIALING --open--> GREETING --welcome--> WELCOME
 *      ^                  |                 |                     |
 *      |                  '-----------------+---- we end it ------'
 *      |                                    |        v
 *      '-------------- closed --------------+----- ENDING
 *                                                (STOPPED when stopping)
 *
 * Failure modes: no route, a refused or wrong certificate (with TLS 1.3 seen
 * only at the first read: we count ourselves connected at the welcome, not
 * before), a silent peer, an error message, a broken protocol.  All of them end
 * in on_close(), and the next try waits for a jittered, doubling pause.
 */
enum {
	GREETING_TIMEOUT_S = 20,
	SILENCE_TIMEOUT_S = 60,      /* something owed and no word */
	OFFLINE_GRACE_S = 5,         /* then what is unacknowledged is spooled */
	STEADY_S = 10,               /* a session so long was a success */
};
static const int64_t second = INT64_C(1000000000);

static void on_timer(void *arg);

int client_new(struct client **out, struct shipper *sh)
{
	struct client *c = calloc(1, sizeof *c);
	int rc;

	*out = NULL;
	if (c == NULL) {
		return UV_ENOMEM;
	}
	rc = sys_timer_new(sh->sys, &c->timer, on_timer, c);
	if (rc == 0) {
		rc = collectors_init(&c->collectors, sh->sys, sh->options);
	}
	if (rc != 0) {
		sys_timer_free(sh->sys, c->timer);
		free(c);
		return rc;
	}
	c->sh = sh;
	buf_init(&c->scratch, LIMIT_FRAME);
	buf_init(&c->told, LIMIT_FRAME);
	c->lost_ns = sys_mono_ns(sh->sys);
	*out = c;
	return 0;
}

void client_free(struct client *c)
{
	if (c == NULL) {
		return;
	}
	sys_timer_free(c->sh->sys, c->timer);
	buf_fini(&c->scratch);
	buf_fini(&c->told);
	collectors_fini(&c->collectors);
	free(c);
}

bool client_is_welcome(const struct client *c)
{
	return c->state == WELCOME;
}

bool client_is_stopped(const struct client *c)
{
	return c->state == STOPPED;
}

void client_enter(struct client *c, enum state state)
{
	c->state = state;
	c->state_ns = sys_mono_ns(c->sh->sys);
}

/* The session is over for us: nothing is taken from its link any more. */
void client_end_session(struct client *c)
{
	int64_t now_ns = sys_mono_ns(c->sh->sys);

	if (c->state == ENDING || c->link == NULL) {
		return;
	}
	if (c->state == WELCOME) {
		c->lost_ns = now_ns;
		c->steady = now_ns - c->state_ns > STEADY_S * second;
	}
	client_enter(c, ENDING);
	link_close(c->link);
}

const struct hostport *client_host(const struct client *c)
{
	return collectors_now(&c->collectors);
}

/* ---- connecting ---- */

static enum collectors_pause pause_kind(const struct client *c, bool lost)
{
	return c->patient   ? PAUSE_LONG
	       : c->leaving ? PAUSE_SHORT
	       : lost	    ? PAUSE_LOST
			    : PAUSE_FAILED;
}

/* lost: a session that had lasted has ended. */
static void wait_and_dial(struct client *c, bool lost)
{
	enum collectors_pause why = pause_kind(c, lost);

	client_enter(c, WAITING);
	if (lost && !c->leaving) {
		collectors_lost(&c->collectors);
	} else if (!c->leaving) {
		collectors_failed(&c->collectors);
	}
	c->failures++;
	sys_timer_set(c->sh->sys, c->timer,
		      collectors_pause_ms(&c->collectors, why,
					  c->retry_after_ms));
	c->retry_after_ms = 0;
	c->leaving = false;
}

/* The oldest of each queue: what the collector has of a later one it finds when that
 * one is sent. */
static int list_segments(struct shipper *sh, struct buf *list)
{
	size_t all = 0;
	int rc = 0;

	for (int i = 0; i < QUEUE_NR; i++) {
		size_t most = all + LIMIT_HELLO_SEGMENTS / LANE_NR;

		for (struct seg *s = sh->lanes[i].first;
		     s != NULL && rc == 0 && all < most &&
		     all < LIMIT_HELLO_SEGMENTS;
		     s = s->next) {
			struct msg_segment m = {.id = s->info.id,
						.index = (int64_t)s->n - 1};

			if (s->n > 0) {
				m.hash = *seg_hash(s, m.index);
				rc = msg_add_segment(list, &m);
				all++;
			}
		}
	}
	return rc;
}

static void send_hello(struct client *c)
{
	struct shipper *sh = c->sh;
	struct hello h = {
		.version_min = PROTOCOL_VERSION_MIN,
		.version_max = PROTOCOL_VERSION,
		.time_ms = sys_wall_ns(sh->sys) / 1000000,
		.software = slice_str(sh->software),
		.acked_head = buf_slice(&sh->acked_head),
	};
	struct buf segments, streams, out;
	int rc = 0;

	buf_init(&segments, LIMIT_FRAME / 4);
	buf_init(&streams, LIMIT_FRAME / 2);
	buf_init(&out, LIMIT_FRAME);
	memcpy(h.instance, sh->instance, sizeof h.instance);
	memcpy(h.boot, sh->boot, sizeof h.boot);
	memcpy(h.machine, sh->machine, sizeof h.machine);
	if (sh->has_store) {
		h.store_id = slice(sh->store_id, sizeof sh->store_id);
	}
	rc = list_segments(sh, &segments);
	if (rc == 0) {
		rc = sh->cbs->list_streams(sh->arg, &streams);
	}
	buf_clear(&c->told);
	if (rc == 0) {
		rc = buf_add_slice(&c->told, buf_slice(&streams));
	}
	h.segments = buf_slice(&segments);
	h.streams = buf_slice(&streams);
	if (rc == 0) {
		rc = hello_encode(&h, &out);
	}
	if (rc == 0) {
		rc = client_send(c, MSG_HELLO, buf_slice(&out));
	}
	if (rc != 0) {
		log_warn("cannot greet the collector", "error=\"%s\"",
			 err_str(rc));
		client_end_session(c);
	}
	buf_fini(&segments);
	buf_fini(&streams);
	buf_fini(&out);
}

static void on_open(void *arg, struct link *l, const struct link_peer *peer)
{
	struct client *c = arg;

	(void)l;
	log_debug("connected, greeting", "collector=%s address=%s",
		  peer->name, peer->address);
	if (c->state == DIALING) {
		struct sys *sys = c->sh->sys;

		pace_connected(&c->sh->pace, sys_mono_ns(sys), sys_wall_ns(sys));
		client_enter(c, GREETING);
		send_hello(c);
	}
}

static void on_close(void *arg, struct link *l, int status, const char *why)
{
	struct client *c = arg;
	struct shipper *sh = c->sh;
	bool was_welcome = c->state == WELCOME, lost;
	const struct hostport *host = client_host(c);
	char quoted[600];

	(void)l;
	if (was_welcome) {
		c->lost_ns = sys_mono_ns(sh->sys);
		c->steady = c->lost_ns - c->state_ns > STEADY_S * second;
	}
	c->link = NULL;
	lost = c->steady;
	if (c->steady) {
		/* Whoever is sent away again and again, right after a welcome,
		 * comes back ever more slowly. */
		c->failures = 0;
		c->steady = false;
	}
	if (status != 0) {
		snprintf(c->last_error, sizeof c->last_error, "%s", why);
	}
	if (sh->stopping) {
		client_enter(c, STOPPED);
		shipper_check_stop(sh);
		return;
	}
	wait_and_dial(c, lost);
	/* The first failure and then every doubling is worth a line. */
	if (status != 0 && (c->failures & (c->failures - 1)) == 0) {
		log_warn(was_welcome ? "the connection to the collector ended"
				     : "cannot reach the collector; lines are "
				       "kept and it is tried again",
			 "collector=%s port=%u tries=%u reason=%s",
			 host->name, host->port, c->failures,
			 log_quote(quoted, sizeof quoted, slice_str(why)));
	}
}

static void on_drain(void *arg, struct link *l)
{
	(void)l;
	client_pump(arg);
}

static const struct link_cbs callbacks = {
	.on_open = on_open,
	.on_message = client_message,
	.on_drain = on_drain,
	.on_close = on_close,
};

static void on_timer(void *arg)
{
	struct client *c = arg;
	const struct hostport *host = client_host(c);
	int rc;

	if (c->state != WAITING || c->sh->stopping) {
		return;
	}
	client_enter(c, DIALING);
	if (c->sh->cbs->dialing != NULL) {
		c->sh->cbs->dialing(c->sh->arg);
	}
	rc = net_dial(c->sh->net, host->name, host->port, &callbacks, c,
		      &c->link);
	if (rc != 0) {
		c->link = NULL;
		snprintf(c->last_error, sizeof c->last_error, "%s",
			 err_str(rc));
		log_warn("cannot start to connect to the collector",
			 "collector=%s port=%u error=\"%s\"", host->name,
			 host->port, err_str(rc));
		wait_and_dial(c, false);
	}
}

void client_start(struct client *c)
{
	client_enter(c, WAITING);
	sys_timer_set(c->sh->sys, c->timer, 0);
}

/* ---- coming and going ---- */

void client_renew(struct client *c)
{
	if (c->state == WELCOME && !c->sh->stopping) {
		c->leaving = true;
		client_send(c, MSG_BYE, SLICE_NONE);
		client_end_session(c);
	}
}

void client_reload(struct client *c, const struct hostlist *before)
{
	bool named = collectors_reload(&c->collectors, before);

	if (named && c->state == WELCOME) {
		client_at_home(c); /* Others may be preferred now. */
	}
	if (named || c->state == STOPPED || c->sh->stopping) {
		return;
	}
	log_info("the collector is not configured any more; going to another", "to=%s",
		 client_host(c)->name);
	if (c->state == WAITING) {
		sys_timer_set(c->sh->sys, c->timer,
			      collectors_pause_ms(&c->collectors, PAUSE_SHORT, 0));
		return;
	}
	c->leaving = true;
	if (c->state == WELCOME) {
		client_send(c, MSG_BYE, SLICE_NONE);
	}
	client_end_session(c);
}

/* Back to a preferred collector, when this one was good for long enough. */
static void consider_returning(struct client *c, int64_t now_ns)
{
	if (c->stay_ns == 0 || now_ns - c->state_ns < c->stay_ns) {
		return;
	}
	log_info("trying the preferred collector again", "from=%s",
		 client_host(c)->name);
	collectors_return(&c->collectors);
	client_renew(c);
}

void client_at_home(struct client *c)
{
	uint64_t after_ms = c->sh->options->return_after_ms;
	uint32_t r = 0;

	c->stay_ns = 0;
	c->collectors.rounds = 0;
	c->collectors.again = false;
	if (after_ms > 0 && !collectors_at_best(&c->collectors)) {
		/* Not all of a fleet at once. */
		sys_random(c->sh->sys, &r, sizeof r);
		c->stay_ns = (int64_t)(after_ms + after_ms / 4 * (r % 1024) / 1024) *
			     1000000;
	}
}

/* ---- time ---- */

static bool owed(const struct client *c)
{
	for (int i = 0; i < QUEUE_NR; i++) {
		for (const struct seg *s = c->sh->lanes[i].first; s != NULL;
		     s = s->next) {
			if (s->sent > s->acked) {
				return true;
			}
		}
	}
	return false;
}

void client_tick(struct client *c, int64_t now_ns)
{
	struct shipper *sh = c->sh;

	if (c->state == WELCOME) {
		client_heads(c, now_ns);
		consider_returning(c, now_ns);
		if (owed(c) &&
		    now_ns - c->heard_ns > SILENCE_TIMEOUT_S * second) {
			log_warn("the collector is silent although it owes "
				 "acknowledgements; connecting anew");
			client_end_session(c);
		}
		return;
	}
	if ((c->state == DIALING || c->state == GREETING) &&
	    now_ns - c->state_ns > GREETING_TIMEOUT_S * second &&
	    now_ns - c->heard_ns > GREETING_TIMEOUT_S * second) {
		log_warn("the collector does not answer; connecting anew",
			 "seconds=%d", GREETING_TIMEOUT_S);
		client_end_session(c);
	}
	if (!sh->spooling && sh->n_keys > 0 &&
	    (now_ns - c->lost_ns > OFFLINE_GRACE_S * second ||
	     sh->memory > sh->options->memory_max / 2)) {
		log_info("the collector is away; lines go to the spool",
			 "spool=%s", sh->options->spool_dir);
		sh->spooling = true;
	}
}

void client_stop(struct client *c)
{
	if (c->state == STOPPED) {
		return;
	}
	if (c->link == NULL) {
		sys_timer_stop(c->sh->sys, c->timer);
		client_enter(c, STOPPED);
		return;
	}
	if (c->state == WELCOME) {
		client_send(c, MSG_BYE, SLICE_NONE);
	}
	client_end_session(c);
}

static void pace_status(struct client *c, struct json *j)
{
	struct shipper *sh = c->sh;
	int64_t wall_ns = sys_wall_ns(sh->sys);

	json_object(j, "pace");
	json_u64(j, "bytes_a_second_at_most", pace_rate(&sh->pace, wall_ns));
	json_u64(j, "budget_day_bytes", sh->options->budget_day);
	json_u64(j, "sent_today_bytes", pace_today(&sh->pace, wall_ns));
	json_cstr(j, "waiting_for", pace_wait_name(sh->pace.wait));
	json_object_end(j);
}

void client_status(struct client *c, struct json *j)
{
	static const char *const names[] = {"waiting", "connecting",
					    "greeting", "connected", "ending",
					    "stopped"};

	json_cstr(j, "state", names[c->state]);
	json_cstr(j, "collector", client_host(c)->name);
	json_u64(j, "port", client_host(c)->port);
	json_u64(j, "collectors", c->collectors.n);
	json_bool(j, "preferred", collectors_at_best(&c->collectors));
	json_u64(j, "connects", c->connects);
	json_u64(j, "failures", c->failures);
	json_cstr(j, "last_error", c->last_error);
	pace_status(c, j);
}
