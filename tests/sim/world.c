#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/sim/internal.h"

/* A hundred times what a busy run has. */
enum { EVENTS_MAX = 3000000 };

/* Things that can't fail in a simulation: no memory ends it. */
void *sim_alloc(size_t n)
{
	void *p = calloc(1, n);

	if (p == NULL) {
		abort();
	}
	return p;
}

uint64_t world_rnd(struct world *w, uint64_t n)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = w->seed += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return n == 0 ? z : z % n;
}

int64_t world_now_ns(const struct world *w)
{
	return w->now_ns;
}

struct world *world_new(uint64_t seed)
{
	struct world *w = sim_alloc(sizeof *w);

	w->seed = seed;
	w->now_ns = 1000000000;
	return w;
}

uint64_t world_trace(const struct world *w)
{
	return w->trace;
}

/* ---- events: a sorted list; there are few at any time ---- */

void world_at(struct world *w, struct node *n, int64_t at_ns,
	      void (*fn)(void *arg), void *arg, void (*drop)(void *arg))
{
	struct event_ *e = sim_alloc(sizeof *e);
	struct event_ **link = &w->events;

	e->at_ns = at_ns;
	e->node = n;
	e->life = n == NULL ? 0 : n->life;
	e->fn = fn;
	e->arg = arg;
	e->drop = drop;
	while (*link != NULL && (*link)->at_ns <= at_ns) {
		link = &(*link)->next;
	}
	e->next = *link;
	*link = e;
}

void world_after(struct world *w, struct node *n, int64_t ns,
		 void (*fn)(void *arg), void *arg)
{
	world_at(w, n, w->now_ns + ns, fn, arg, NULL);
}

static bool still_wanted(const struct event_ *e)
{
	return e->node == NULL ||
	       (e->node->alive && !e->node->dying && e->life == e->node->life);
}

/* Its process has ended. */
static void end_life(struct node *n)
{
	if (n->alive) {
		if (n->n_lives == SIM_LIVES) {
			memmove(&n->lives[0], &n->lives[1],
				(SIM_LIVES - 1) * sizeof n->lives[0]);
			n->n_lives--;
		}
		n->lives[n->n_lives].from_ns = n->alive_since_ns;
		n->lives[n->n_lives++].until_ns = n->w->now_ns;
	}
	n->alive = false;
	n->life++;
}

static void bury(struct world *w)
{
	for (struct node *n = w->nodes; n != NULL; n = n->next) {
		if (n->dying) {
			n->dying = false;
			end_life(n);
			sim_net_node_died(n);
			sim_disk_crash(n, n->power_cut);
			n->died(n->arg, n);
		}
	}
}

bool world_is_restless(const struct world *w)
{
	return w->n_events >= EVENTS_MAX;
}

void node_stop(struct node *n, int64_t until_ns)
{
	n->stopped_until_ns = until_ns;
}

/* What is for a stopped process waits, in its order. */
static bool has_to_wait(struct world *w, struct event_ *e)
{
	struct event_ **link = &w->events;

	if (e->node == NULL || e->node->stopped_until_ns <= e->at_ns) {
		return false;
	}
	e->at_ns = e->node->stopped_until_ns;
	while (*link != NULL && (*link)->at_ns <= e->at_ns) {
		link = &(*link)->next;
	}
	e->next = *link;
	*link = e;
	return true;
}

void world_run(struct world *w, int64_t until_ns)
{
	while (w->events != NULL && w->events->at_ns <= until_ns &&
	       w->n_events++ < EVENTS_MAX) {
		struct event_ *e = w->events;

		w->events = e->next;
		w->now_ns = e->at_ns;
		if (has_to_wait(w, e)) {
			continue;
		}
		if (still_wanted(e)) {
			e->fn(e->arg);
		} else if (e->drop != NULL) {
			e->drop(e->arg);
		}
		free(e);
		bury(w);
	}
	if (w->now_ns < until_ns) {
		w->now_ns = until_ns;
	}
}

void world_free(struct world *w)
{
	while (w->events != NULL) {
		struct event_ *e = w->events;

		w->events = e->next;
		if (e->drop != NULL) {
			e->drop(e->arg);
		}
		free(e);
	}
	sim_net_free(w);
	while (w->nodes != NULL) {
		struct node *n = w->nodes;

		w->nodes = n->next;
		while (n->timers != NULL) {
			struct sys_timer *t = n->timers;

			n->timers = t->next;
			free(t);
		}
		sim_disk_free(n);
		free(n);
	}
	free(w);
}

/* ---- nodes ---- */

void node_set_between(struct node *n, void (*fn)(void *arg), void *arg)
{
	n->between = fn;
	n->between_arg = arg;
}

bool sim_call(struct node *n)
{
	if (n->frozen) {
		return true;
	}
	if (!n->alive || n->dying) {
		return false;
	}
	n->calls++;
	sim_trace(n->w, n->calls ^ (uint64_t)n->w->now_ns << 8 ^
				(uint64_t)(unsigned char)n->name[0]);
	if (n->kill_at != 0 && n->calls >= n->kill_at) {
		n->kill_at = 0;
		n->dying = true;
		return false;
	}
	if (n->between != NULL) {
		n->between(n->between_arg);
	}
	return true;
}

/* 2026-11-22T15:00:00Z, and then the world's own time. */
static const int64_t EPOCH_NS = INT64_C(1795359600) * 1000000000;

static int64_t op_wall_ns(struct sys *s)
{
	struct node *n = sim_node_of(s);

	return n->w->now_ns + n->skew_ns + EPOCH_NS;
}

static int64_t op_mono_ns(struct sys *s)
{
	return sim_node_of(s)->w->now_ns;
}

static int op_random(struct sys *s, void *out, size_t n)
{
	unsigned char *p = out;

	while (n > 0) {
		uint64_t v = world_rnd(sim_node_of(s)->w, 0);
		size_t k = n < sizeof v ? n : sizeof v;

		memcpy(p, &v, k);
		p += k;
		n -= k;
	}
	return 0;
}

static int op_timer_new(struct sys *s, struct sys_timer **out,
			sys_timer_cb cb, void *arg)
{
	struct node *n = sim_node_of(s);
	struct sys_timer *t = sim_alloc(sizeof *t);

	t->cb = cb;
	t->arg = arg;
	t->node = n;
	t->next = n->timers;
	n->timers = t;
	*out = t;
	return 0;
}

struct firing {
	struct sys_timer *timer;
	struct node *node;
	uint64_t set;
};

static void fire(void *arg)
{
	struct firing f = *(struct firing *)arg;

	free(arg);
	for (struct sys_timer *t = f.node->timers; t != NULL; t = t->next) {
		if (t == f.timer && t->set == f.set) {
			t->set = 0;
			t->cb(t->arg);
			return;
		}
	}
}

static void op_timer_set(struct sys *s, struct sys_timer *t, uint64_t ms)
{
	struct node *n = sim_node_of(s);
	struct firing *f = sim_alloc(sizeof *f);

	t->set = ++n->w->sets;
	*f = (struct firing){t, n, t->set};
	world_at(n->w, n, n->w->now_ns + (int64_t)ms * 1000000, fire, f, free);
}

static void op_timer_stop(struct sys *s, struct sys_timer *t)
{
	(void)s;
	t->set = 0;
}

static void op_timer_free(struct sys *s, struct sys_timer *t)
{
	struct sys_timer **link = &sim_node_of(s)->timers;

	while (*link != t) {
		link = &(*link)->next;
	}
	*link = t->next;
	free(t);
}

/* A job's two halves: on "another thread" now, and its end later; the node may
 * die before, between and inside. */
struct job_ {
	struct sys_work *work;
	struct node *node;
	uint64_t life;
};

static void end_job(void *arg)
{
	struct job_ *j = arg;
	struct sys_work *work = j->work;

	free(j);
	work->done(work);
}

static void run_job(void *arg)
{
	struct job_ *j = arg;

	j->work->run(j->work);
	if (j->node->dying) {
		free(j);
		return;
	}
	world_at(j->node->w, j->node,
		 j->node->w->now_ns +
			 (int64_t)world_rnd(j->node->w, 300000),
		 end_job, j, free);
}

static int op_work_submit(struct sys *s, struct sys_work *work)
{
	struct node *n = sim_node_of(s);
	struct job_ *j;
	int64_t at_ns;

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	j = sim_alloc(sizeof *j);
	j->work = work;
	j->node = n;
	at_ns = n->w->now_ns + (int64_t)world_rnd(n->w, 1000000);
	if (n->slow_ns > 0) {
		at_ns += n->slow_ns / 2 +
			 (int64_t)world_rnd(n->w, (uint64_t)n->slow_ns / 2);
	}
	world_at(n->w, n, at_ns, run_job, j, free);
	return 0;
}

static int op_watch_new(struct sys *s, struct sys_watch **out,
			const char *dir, sys_watch_cb cb, void *arg)
{
	(void)s;
	(void)dir;
	(void)cb;
	(void)arg;
	*out = NULL;
	return UV_ENOSYS; /* As on a file system without notifications. */
}

static void op_watch_free(struct sys *s, struct sys_watch *w)
{
	(void)s;
	(void)w;
}

struct node *node_new(struct world *w, const char *name,
		      void (*died)(void *arg, struct node *n), void *arg)
{
	struct node *n = sim_alloc(sizeof *n);

	n->ops = (struct sys_ops){
		.wall_ns = op_wall_ns,
		.mono_ns = op_mono_ns,
		.random = op_random,
		.timer_new = op_timer_new,
		.timer_set = op_timer_set,
		.timer_stop = op_timer_stop,
		.timer_free = op_timer_free,
		.work_submit = op_work_submit,
		.watch_new = op_watch_new,
		.watch_free = op_watch_free,
	};
	sim_disk_ops(&n->ops);
	n->sys.ops = &n->ops;
	n->w = w;
	n->name = name;
	n->died = died;
	n->arg = arg;
	n->alive = true;
	n->disk = n;
	n->next = w->nodes;
	w->nodes = n;
	return n;
}

struct sys *node_sys(struct node *n)
{
	return &n->sys;
}

const char *node_name(const struct node *n)
{
	return n->name;
}

bool node_alive(const struct node *n)
{
	return n->alive;
}

bool node_dying(const struct node *n)
{
	return n->dying;
}

uint64_t node_calls(const struct node *n)
{
	return n->calls;
}

void node_kill_at(struct node *n, uint64_t call, bool power_cut)
{
	n->kill_at = call;
	n->power_cut = power_cut;
}

void node_kill(struct node *n, bool power_cut)
{
	n->dying = true;
	n->power_cut = power_cut;
}

void node_revive(struct node *n)
{
	if (!n->alive) {
		n->alive_since_ns = n->w->now_ns; /* The first process is there from 0 on. */
	}
	n->alive = true;
	n->life++;
}

void node_freeze(struct node *n, bool frozen)
{
	n->frozen = frozen;
}

void node_set_slow(struct node *n, int64_t ns)
{
	n->slow_ns = ns;
}

void node_set_clock(struct node *n, int64_t skew_ns)
{
	if (n->n_skews == SIM_SKEWS) {
		fprintf(stderr, "simulation: the clock jumps too often\n");
		abort();
	}
	n->skews[n->n_skews].until_ns = n->w->now_ns;
	n->skews[n->n_skews++].skew_ns = n->skew_ns;
	n->skew_ns = skew_ns;
}

/* Its life number i, the present one last; false: there is none. */
static bool life_at(const struct node *n, size_t i, int64_t *from_ns, int64_t *until_ns)
{
	if (i < n->n_lives) {
		*from_ns = n->lives[i].from_ns;
		*until_ns = n->lives[i].until_ns;
		return true;
	}
	*from_ns = n->alive_since_ns;
	*until_ns = INT64_MAX;
	return i == n->n_lives && n->alive;
}

bool node_lived_through(const struct node *n, int64_t from_ns, int64_t until_ns, int64_t ns,
			int64_t *at_ns)
{
	int64_t from, until;

	for (size_t i = 0; life_at(n, i, &from, &until); i++) {
		from = from > from_ns ? from : from_ns;
		until = until < until_ns ? until : until_ns;
		if (until > from && until - from >= ns) {
			*at_ns = from;
			return true;
		}
	}
	return false;
}

/* What was added to its wall clock then. */
static int64_t skew_at(const struct node *n, int64_t at_ns)
{
	size_t i = 0;

	while (i < n->n_skews && n->skews[i].until_ns <= at_ns) {
		i++;
	}
	return i < n->n_skews ? n->skews[i].skew_ns : n->skew_ns;
}

int64_t node_clock_at(const struct node *n, int64_t at_ns)
{
	return at_ns + skew_at(n, at_ns) + EPOCH_NS;
}

int64_t node_clock_highest(const struct node *n, int64_t until_ns)
{
	int64_t highest = INT64_MIN, from, until;

	for (size_t i = 0; life_at(n, i, &from, &until) && from <= until_ns; i++) {
		until = until < until_ns ? until : until_ns;
		for (size_t k = 0; k <= n->n_skews; k++) {
			int64_t ends = k < n->n_skews ? n->skews[k].until_ns : INT64_MAX;
			int64_t begins = k > 0 ? n->skews[k - 1].until_ns : 0;
			int64_t last = (ends < until ? ends : until) - 1;

			if (last >= begins && last >= from &&
			    node_clock_at(n, last) > highest) {
				highest = node_clock_at(n, last);
			}
		}
	}
	return highest;
}

bool node_clock_showed(const struct node *n, int64_t wall_ns, int64_t from_ns,
		       int64_t to_ns)
{
	const int64_t ms = 1000000;

	for (size_t i = 0; i <= n->n_skews; i++) {
		bool last = i == n->n_skews;
		int64_t skew = last ? n->skew_ns : n->skews[i].skew_ns;
		int64_t until = last ? INT64_MAX : n->skews[i].until_ns;
		int64_t since = i == 0 ? 0 : n->skews[i - 1].until_ns;
		int64_t at = wall_ns - EPOCH_NS - skew;

		since = since > from_ns ? since : from_ns;
		until = until < to_ns ? until : to_ns;
		if (at + ms > since && at < until) {
			return true;
		}
	}
	return false;
}

void node_retire(struct node *n)
{
	end_life(n);
	sim_net_node_died(n);
}
