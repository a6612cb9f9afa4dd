#include "collector/take.h"

#include <stdlib.h>
#include <string.h>

#include "collector/deliver.h"
#include "collector/scan_log.h"
#include "collector/session.h"
#include "collector/share.h"
#include "collector/take_folder.h"
#include "common/err.h"
#include "common/log.h"
#include "common/timefmt.h"

/* A run takes up to TAKE_ITEMS devices, in one sys_work after the other:
 *
 *   FENCING --all--> READING --the logs of all members--> SETTLING --device by device-->
 *
 * A device that is ready after its SETTLING is welcomed at once.  One that another member is
 * taking goes back to the queue and is looked at again each second.
 *
 * Failure modes: a device of which something can't be read is told to come back; one whose
 * session has gone before its turn is left where it is; a run that the collector's stop, or
 * its death, breaks off leaves folders that are being taken, which anyone may take who sees
 * that nobody gets on with it (take_beat.h).
 */
enum take_step { TAKE_FENCING, TAKE_READING, TAKE_SETTLING };

enum {
	TAKE_ITEMS = BEAT_DEVICES, /* the logs are read once for all of them */
	TICK_MS = 1000,
	WAIT_EVERY = 5,  /* ticks: agents give up after 20 s without a word */
	STUCK_S = 60,    /* a run that has got no further is not vouched for */
	STUCK_RETRY_MS = 1000,
};

struct waiting {
	struct device *device;
	bool later; /* after the next tick */
};

struct take {
	struct collector *c;
	struct sys_work work;
	bool busy;
	enum take_step step;
	size_t at;  /* which item is being settled */
	int log_rc;
	struct waiting *queue;
	size_t n, room;
	struct take_item items[TAKE_ITEMS];
	size_t n_items;
	struct store scratch; /* what the run finds */
	struct scan_report report;
	struct beats beats; /* the run's */

	struct sys_timer *timer;
	bool unheard;     /* sessions have to be told of a run that could not begin */
	unsigned ticks;
	uint64_t count;   /* of what is written for the others */
	uint64_t steps;   /* as it was at the last tick */
	int64_t moved_ns; /* when the run got further last */
	uint64_t taken, lost;
};

/* ---- the run's work ---- */

static void scratch_init(struct store *scratch, const struct store *s)
{
	*scratch = (struct store){.sys = s->sys, .only_known = true,
				  .log_fd = -1};
	memcpy(scratch->dir, s->dir, sizeof scratch->dir);
	memcpy(scratch->own, s->own, sizeof scratch->own);
	memcpy(scratch->member, s->member, sizeof scratch->member);
	memcpy(scratch->id, s->id, sizeof scratch->id);
	memcpy(scratch->hash_key, s->hash_key, sizeof scratch->hash_key);
	buf_init(&scratch->log_pending, 1024 * 1024);
}

static void on_run(struct sys_work *w)
{
	struct take *t = w->arg;

	switch (t->step) {
	case TAKE_FENCING:
		for (size_t i = 0; i < t->n_items; i++) {
			struct take_item *it = &t->items[i];

			it->rc = it->rc != 0 ? it->rc
					     : take_fence(&t->scratch, it,
							  &t->beats);
			t->report.steps++;
		}
		break;
	case TAKE_READING:
		t->log_rc = scan_log_read_others(&t->scratch,
						&t->report);
		break;
	case TAKE_SETTLING:
		t->items[t->at].rc = take_settle(&t->scratch, &t->items[t->at],
						 &t->report);
		break;
	}
}

/* ---- what the job has found becomes the store's ---- */

static int take_streams(struct device *d, const struct device *from)
{
	for (size_t i = 0; i < from->n_streams; i++) {
		const struct stream *f = &from->streams[i];
		struct stream *st = device_stream(d, &f->id);

		if (st == NULL) {
			return UV_ENOMEM;
		}
		if (f->durable >= st->durable) {
			st->received = st->durable = f->durable;
			st->h_received = st->h_durable = f->h_durable;
		}
		st->touched = f->touched > st->touched ? f->touched
						       : st->touched;
	}
	return 0;
}

static int take_heads(struct store *s, struct device *d,
		      const struct device *from)
{
	int rc = 0;

	for (int lane = 0; lane < LANE_NR && rc == 0; lane++) {
		const struct signed_head *h = &from->heads[lane];

		if (h->bytes != NULL) {
			rc = device_set_head(d, &h->head,
					     slice(h->bytes, h->n));
			rc = rc == 0 ? store_log(s, ENTRY_LOG_HEAD,
						 slice(h->bytes, h->n))
				     : rc;
		}
	}
	return rc;
}

static int merge(struct take *t, struct take_item *it)
{
	struct store *s = &t->c->store;
	struct device *d = it->device, *from = it->scratch;
	int rc = take_streams(d, from);

	if (rc == 0) {
		rc = take_heads(s, d, from);
	}
	if (rc != 0) {
		return rc;
	}
	d->segments = from->segments;
	d->n_segments = from->n_segments;
	from->segments = NULL;
	from->n_segments = 0;
	for (struct segment *g = d->segments; g != NULL; g = g->next) {
		g->device = d;
	}
	if (t->scratch.arrival > s->arrival) {
		s->arrival = t->scratch.arrival;
	}
	d->owed_from = from->owed_from;
	d->owed_until = from->owed_until;
	d->ours = d->dir_made = d->catalogue_dirty = true;
	deliver_taken(t->c->deliver, d);
	return 0;
}

/* ---- that it goes on: for the other members, and for those who wait ---- */

static void beat(struct take *t)
{
	struct hash32 devices[TAKE_ITEMS];
	size_t n = 0;

	for (size_t i = 0; i < t->n_items; i++) {
		if (!t->items[i].done) {
			devices[n++] = t->items[i].device->id;
		}
	}
	/* Without it others take them out of our hands, which costs time and no more. */
	if (beat_write(t->c->sys, t->c->store.own, t->count++, devices, n) != 0) {
		beat_clear(t->c->sys, t->c->store.own);
	}
}

static bool is_stuck(struct take *t)
{
	int64_t now_ns = sys_mono_ns(t->c->sys);
	uint64_t steps = t->report.steps;

	if (steps != t->steps) {
		t->steps = steps;
		t->moved_ns = now_ns;
	}
	return t->busy && now_ns - t->moved_ns > STUCK_S * NS_PER_S;
}

/* An agent that hears nothing asks the next collector. */
static void tell_to_wait(struct collector *c)
{
	struct buf nothing;

	buf_init(&nothing, 0);
	for (struct session *s = c->sessions; s != NULL; s = s->next) {
		if (s->state == SESSION_HELLO && s->device != NULL &&
		    s->device->taking) {
			session_send(s, MSG_WAIT, &nothing);
		}
	}
	buf_fini(&nothing);
}

/* Nothing can be said of when it will be ready: the device asks the next collector now. */
static void tell_to_leave(struct collector *c)
{
	for (struct session *s = c->sessions; s != NULL; s = s->next) {
		if (s->state == SESSION_HELLO && s->device != NULL &&
		    s->device->taking) {
			session_end(s, MSG_ERROR_BUSY, STUCK_RETRY_MS,
				    "taking devices over does not get on here");
		}
	}
}

static void take_kick(struct take *t);

static void on_tick(void *arg)
{
	struct take *t = arg;

	if (t->c->stopping) {
		return;
	}
	for (size_t i = 0; i < t->n; i++) {
		t->queue[i].later = false;
	}
	if (is_stuck(t)) {
		tell_to_leave(t->c);
	} else {
		if (t->busy) {
			beat(t);
		}
		if (++t->ticks % WAIT_EVERY == 0) {
			tell_to_wait(t->c);
		}
	}
	if (t->unheard) {
		t->unheard = false;
		collector_retry_hellos(t->c);
	}
	take_kick(t);
	if (t->busy || t->n > 0) {
		sys_timer_set(t->c->sys, t->timer, TICK_MS);
	}
}

/* ---- a run ---- */

/* It is ready, or that failed, or it has to wait for another member. */
static void finish(struct take *t, struct take_item *it)
{
	struct device *d = it->device;

	it->done = true;
	if (it->rc == ERR_AGAIN && !t->c->stopping) {
		/* There is room: it came from there. */
		t->queue[t->n++] = (struct waiting){d, true};
		return;
	}
	it->rc = it->rc == 0 ? merge(t, it) : it->rc;
	d->taking = false;
	d->take_rc = it->rc;
	if (it->rc == 0 && it->from[0] != '\0') {
		t->taken++;
		log_info("a device comes from another collector of this store",
			 "device=%s from=%s", d->name, it->from);
	} else if (it->rc != 0) {
		log_error("a device can't be taken over from another collector of "
			  "this store",
			  "device=%s from=%s error=\"%s\"", d->name, it->from,
			  err_str(it->rc));
	}
}

static void finish_with(struct take *t, int rc)
{
	for (size_t i = 0; i < t->n_items; i++) {
		struct take_item *it = &t->items[i];

		it->rc = it->rc == 0 ? rc : it->rc;
		if (!it->done && it->rc != 0) {
			finish(t, it);
		}
	}
}

static void end_run(struct take *t)
{
	t->busy = false;
	t->n_items = 0;
	store_fini(&t->scratch, true);
	beat_clear(t->c->sys, t->c->store.own);
	if (t->c->stopping) {
		collector_wake(t->c);
	}
}

static void on_done(struct sys_work *w);

/* The next step.  Without one, or when it can't be begun, the run has ended. */
static void go_on(struct take *t)
{
	int rc;

	while (t->at < t->n_items && t->items[t->at].done) {
		t->at++;
	}
	if (t->at == t->n_items || t->c->stopping) {
		finish_with(t, UV_ECANCELED);
		end_run(t);
		return;
	}
	t->work = (struct sys_work){.run = on_run, .done = on_done, .arg = t};
	rc = sys_work_submit(t->c->sys, &t->work);
	if (rc != 0) {
		finish_with(t, rc);
		end_run(t);
		t->unheard = true;
		sys_timer_set(t->c->sys, t->timer, TICK_MS);
	}
}

static void on_done(struct sys_work *w)
{
	struct take *t = w->arg;

	t->moved_ns = sys_mono_ns(t->c->sys);
	switch (t->step) {
	case TAKE_FENCING:
		finish_with(t, 0);
		t->step = TAKE_READING;
		break;
	case TAKE_READING:
		finish_with(t, t->log_rc);
		t->step = TAKE_SETTLING;
		break;
	case TAKE_SETTLING:
		finish(t, &t->items[t->at]);
		break;
	}
	go_on(t);
	if (!t->c->stopping) {
		collector_retry_hellos(t->c);
		take_kick(t);
	}
}

/* The job's own, with what is needed to check its heads. */
static int scratch_device(struct take *t, struct take_item *it)
{
	struct slice spki = it->device->spki;
	char *copy = malloc(spki.n + 1);

	it->scratch = copy == NULL
			      ? NULL
			      : store_device(&t->scratch, &it->device->id);
	if (it->scratch == NULL) {
		free(copy);
		return UV_ENOMEM;
	}
	memcpy(copy, spki.p, spki.n);
	it->scratch->spki = slice(copy, spki.n);
	return 0;
}

/* Nobody waits any more for a device whose session has gone: it stays where it is. */
static void mark_asked(struct take *t)
{
	for (size_t i = 0; i < t->n; i++) {
		t->queue[i].device->asked = false;
	}
	for (struct session *s = t->c->sessions; s != NULL; s = s->next) {
		if (s->state == SESSION_HELLO && s->device != NULL) {
			s->device->asked = true;
		}
	}
}

static void choose(struct take *t)
{
	size_t kept = 0;

	mark_asked(t);
	for (size_t i = 0; i < t->n; i++) {
		struct waiting *q = &t->queue[i];

		if (!q->device->asked) {
			q->device->taking = false;
		} else if (q->later || t->n_items == TAKE_ITEMS) {
			t->queue[kept++] = *q;
		} else {
			t->items[t->n_items++] =
				(struct take_item){.device = q->device};
		}
	}
	t->n = kept;
}

static void take_kick(struct take *t)
{
	if (t->busy || t->n == 0 || t->c->stopping) {
		return;
	}
	choose(t);
	if (t->n_items == 0) {
		return;
	}
	scratch_init(&t->scratch, &t->c->store);
	t->report = (struct scan_report){0};
	for (size_t i = 0; i < t->n_items; i++) {
		t->items[i].rc = scratch_device(t, &t->items[i]);
	}
	t->busy = true;
	t->step = TAKE_FENCING;
	t->at = 0;
	t->steps = 0;
	t->moved_ns = sys_mono_ns(t->c->sys);
	beat(t); /* Before the first folder bears our name. */
	go_on(t);
}

/* ---- who asks ---- */

static int want(struct take *t, struct device *d)
{
	int rc;

	/* Room also for those that come back to the queue. */
	if (t->n + TAKE_ITEMS >= t->room) {
		size_t room = t->room * 2 + 2 * TAKE_ITEMS;
		void *v = realloc(t->queue, room * sizeof t->queue[0]);

		if (v == NULL) {
			return UV_ENOMEM;
		}
		t->queue = v;
		t->room = room;
	}
	t->queue[t->n++] = (struct waiting){d, false};
	d->taking = true;
	if (t->n == 1 && !t->busy) {
		sys_timer_set(t->c->sys, t->timer, TICK_MS);
	}
	take_kick(t);
	rc = d->taking ? ERR_AGAIN : d->take_rc;
	d->take_rc = d->taking ? d->take_rc : 0;
	return rc;
}

int take_device(struct take *t, struct device *d)
{
	int owns = d->ours ? share_owns(&t->c->store, d) : 0, rc;

	if (d->taking) {
		return ERR_AGAIN;
	}
	if (owns != 0) {
		return owns < 0 ? owns : 0;
	}
	if (d->take_rc != 0) {
		rc = d->take_rc;
		d->take_rc = 0;
		return rc;
	}
	if (d->ours) {
		if (t->c->commit.state != COMMIT_IDLE) {
			return ERR_AGAIN; /* Asked again after it. */
		}
		take_lose(t, d);
	}
	return want(t, d);
}

void take_lose(struct take *t, struct device *d)
{
	struct collector *c = t->c;

	log_info("another collector of this store has this device now",
		 "device=%s id=%.16s", d->name, d->hex);
	t->lost++;
	if (d->session != NULL) {
		session_end(d->session, MSG_ERROR_BUSY, 1000,
			    "another collector of this store has this device "
			    "now");
	}
	deliver_lost(c->deliver, d);
	store_lose_device(&c->store, d);
}

bool take_busy(const struct take *t)
{
	return t != NULL && t->busy;
}

int take_new(struct take **out, struct collector *c)
{
	struct take *t = calloc(1, sizeof *t);
	int rc = t == NULL ? UV_ENOMEM
			   : sys_timer_new(c->sys, &t->timer, on_tick, t);

	if (rc != 0) {
		free(t);
		return rc;
	}
	t->c = c;
	/* So that nobody takes what is said now for what was said by the one before. */
	sys_random(c->sys, &t->count, sizeof t->count);
	beat_clear(c->sys, c->store.own);
	*out = t;
	return 0;
}

void take_free(struct take *t)
{
	if (t != NULL) {
		if (t->busy) {
			/* Only after a simulated crash: not its files. */
			store_fini(&t->scratch, false);
		}
		sys_timer_free(t->c->sys, t->timer);
		free(t->queue);
		free(t);
	}
}
