/* sim_shared: two collectors on one store and one disk, and an agent that goes to and fro
 * between them, on a virtual clock, from a seed.
 *
 *   sim_shared [--seed N] [--runs N] [--verbose]
 *
 * While lines are written the agent is sent to the other collector, again and again; the link
 * that it had is reset or half open; a collector is stopped at any step or cut off, so that what
 * was sent to it arrives long after the other has taken the device over; it dies at one of its
 * next calls, or
 * both lose their power; a sync fails, perhaps just before the other takes the device over; the
 * disk is full for a while.  In some runs every job takes longer than an agent waits for an
 * answer, to the very end, and the agent asks the collectors in turn.  In the end each byte is
 * in the store once (judge.h), nothing is told as lost, and what either has acknowledged was
 * in every welcome after it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "tests/sim/judge.h"
#include "wire/msg.h"

enum {
	MS = 1000000,
	WRITE_MS = 60000,
	SLOW_MS = 50000, /* a job, at most; at least half of that, which is longer than an
			  * agent waits */
};
static const int64_t second = 1000 * (int64_t)MS;

struct run {
	struct rig r; /* first */
	bool slow;
	unsigned moves, deaths, cuts;
};

static struct host *here(struct run *x)
{
	return &x->r.hosts[x->r.host];
}

static uint64_t rnd(struct run *x, uint64_t n)
{
	return world_rnd(x->r.w, n);
}

/* ---- what happens ---- */

static void on_back(void *arg)
{
	struct host *h = arg;

	node_isolate(h->node, false);
}

/* Its links stay, and what is under way to it arrives when it is back. */
static void cut_off(struct run *x, struct host *h)
{
	node_isolate(h->node, true);
	world_after(x->r.w, NULL, (int64_t)(1 + rnd(x, 20000)) * MS, on_back, h);
}

static void stop(struct run *x, struct host *h)
{
	node_stop(h->node, world_now_ns(x->r.w) +
				   (int64_t)rnd(x, rnd(x, 2) == 0 ? 1000 : 20000) * MS);
}

static void send_to(struct run *x, unsigned host)
{
	x->r.host = host;
	net_redirect(x->r.devices[0].net, here(x)->node);
}

/* An agent that was not welcomed asks the next. */
static void on_said(struct rig *r, const struct node *from, uint8_t type)
{
	struct run *x = (struct run *)r;

	if (type == MSG_HELLO) {
		send_to(x, !r->host);
	} else if (type == MSG_WELCOME) {
		send_to(x, from == r->hosts[1].node);
	}
}

static void move(struct run *x)
{
	struct host *left = here(x);

	x->moves++;
	switch (rnd(x, 4)) {
	case 0:
		cut_off(x, left);
		break;
	case 1:
		break;
	default:
		stop(x, left);
		break;
	}
	send_to(x, !x->r.host);
	world_cut_links(x->r.w, rnd(x, 8) == 0);
}

static void die(struct run *x, struct host *h)
{
	if (node_alive(h->node)) {
		x->deaths++;
		node_kill_at(h->node, node_calls(h->node) + rnd(x, 300), false);
	}
}

static void cut_power(struct run *x)
{
	x->cuts++;
	for (int i = 0; i < RIG_STORES; i++) {
		struct node *n = x->r.hosts[i].node;

		/* Nor is either to die by its power alone later on. */
		node_kill_at(n, 0, false);
		if (node_alive(n)) {
			node_kill(n, true);
		}
	}
}

static void on_room(void *arg)
{
	disk_set_full(((struct host *)arg)->node, false);
}

static void on_event(void *arg)
{
	struct run *x = arg;
	struct rig *r = &x->r;
	struct host *any = &r->hosts[rnd(x, RIG_STORES)];

	switch (rnd(x, 16)) {
	case 0:
	case 1:
		die(x, any);
		break;
	case 2:
		die(x, any);
		move(x);
		break;
	case 3:
		cut_power(x);
		break;
	case 4:
		disk_fail_sync(any->node, 1 + rnd(x, 3));
		if (rnd(x, 2) == 0) {
			move(x);
		}
		break;
	case 5:
		disk_set_full(any->node, true);
		world_after(r->w, NULL, (int64_t)rnd(x, 3000) * MS, on_room, any);
		break;
	case 6:
		cut_off(x, any);
		break;
	case 7:
		rig_stop_host(any);
		break;
	case 8:
		stop(x, any);
		break;
	default:
		move(x);
		break;
	}
	if (world_now_ns(r->w) < WRITE_MS * (int64_t)MS) {
		world_after(r->w, NULL, (int64_t)rnd(x, 4000) * MS, on_event, x);
	}
}

/* ---- a run ---- */

static void set_up(struct run *x, uint64_t seed)
{
	static char names[RIG_STORES][2] = {"a", "b"};
	struct network network = {.delay_ns = (int64_t)(1 + seed % 200) * MS};
	struct rig *r = &x->r;

	rig_init(r, seed,
		 "shipping: {batch_delay: 20ms, reconnect_min: 100ms, "
		 "reconnect_max: 1s, reconnect_spread: 100ms}\n",
		 false);
	r->shared = true;
	node_share_disk(r->hosts[1].node, r->hosts[0].node);
	for (int i = 0; i < RIG_STORES; i++) {
		r->hosts[i].options.member = names[i];
		r->hosts[i].away = false;
		rig_start_host(&r->hosts[i]);
	}
	world_set_network(r->w, &network);
	x->slow = seed % 4 == 3;
	if (x->slow) {
		r->on_said = on_said;
		for (int i = 0; i < RIG_STORES; i++) {
			node_set_slow(r->hosts[i].node, SLOW_MS * (int64_t)MS);
		}
	}
}

static void set_writer(struct run *x)
{
	struct writer *w = &x->r.devices[0].writer;

	w->enabled = true;
	w->files = 1 + (unsigned)rnd(x, 2);
	w->left = 500 + (unsigned)rnd(x, 1000);
	w->pace_ms = 2 * WRITE_MS / w->left;
	w->rotate_every = rnd(x, 2) == 0 ? 0 : 30 + (unsigned)rnd(x, 100);
	w->long_lines = rnd(x, 4) == 0;
}

static void calm(struct run *x)
{
	struct rig *r = &x->r;

	rig_calm(r);
	for (int i = 0; i < RIG_STORES; i++) {
		node_isolate(r->hosts[i].node, false);
		disk_fail_sync(r->hosts[i].node, UINT64_MAX / 2);
		disk_set_full(r->hosts[i].node, false);
		rig_start_host(&r->hosts[i]);
	}
}

/* The same line may stand there twice, flagged, for no reason at all here. */
static bool sentence(const struct run *x, const struct verdict *v)
{
	const struct rig *r = &x->r;
	bool ok = verdict_is_good(v, false) && v->repeated == 0 &&
		  v->told == 0 && r->refused == 0 && r->broken_promises == 0 &&
		  r->met && r->devices[0].stopped;

	if (!ok) {
		printf("FAILED: bytes lost %u, doubled %u, told as lost %u and %u, "
		       "repeated %u; first at %zu of log %d; records wrong %u; "
		       "refused to start %u, promises broken %u, stopped %d, "
		       "store: %s%s%s\n  again with: sim_shared --seed %llu "
		       "--verbose\n",
		       v->lost, v->doubled, v->gaps, v->told, v->repeated,
		       v->first, v->content, v->wrong, r->refused,
		       r->broken_promises, r->devices[0].stopped,
		       err_str(v->rc), v->what[0] == '\0' ? "" : "; ", v->what,
		       (unsigned long long)r->seed);
	}
	return ok;
}

static bool run_one(uint64_t seed, unsigned *moves, unsigned *deaths)
{
	struct run *x = calloc(1, sizeof *x);
	struct rig *r;
	struct verdict v;
	bool ok;

	if (x == NULL) {
		exit(2);
	}
	r = &x->r;
	set_up(x, seed);
	set_writer(x);
	rig_start_device(&r->devices[0]);
	writer_start(&r->devices[0].writer, second);
	world_after(r->w, NULL, 2 * second, on_event, x);
	world_run(r->w, WRITE_MS * (int64_t)MS);
	while (rig_is_writing(r) && !world_is_restless(r->w)) {
		world_run(r->w, world_now_ns(r->w) + second);
	}
	world_run(r->w, world_now_ns(r->w) + 30 * second);
	calm(x);
	world_run(r->w, world_now_ns(r->w) + (x->slow ? 1000 : 200) * second);
	rig_stop_device(&r->devices[0]);
	world_run(r->w, world_now_ns(r->w) + 300 * second);
	*moves += x->moves;
	*deaths += x->deaths + x->cuts;
	rig_end(r);
	judge(r, &r->hosts[0], &v);
	ok = sentence(x, &v);
	rig_fini(r);
	free(x);
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"runs", required_argument, NULL, 'r'},
		{"verbose", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0}};
	uint64_t seed = 1, runs = 1, failed = 0;
	unsigned moves = 0, deaths = 0;
	bool verbose = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			runs = strtoull(optarg, NULL, 10);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	log_set_level(LOG_LEVEL_INFO);
	rig_verbose = verbose;
	if (!verbose && freopen("/dev/null", "w", stderr) == NULL) {
		return 2;
	}
	for (uint64_t i = 0; i < runs; i++) {
		failed += !run_one(seed + i, &moves, &deaths);
	}
	printf("seeds %llu to %llu: %llu runs, %llu failed; %u times to the other "
	       "collector, %u deaths and power cuts of collectors\n",
	       (unsigned long long)seed, (unsigned long long)(seed + runs - 1),
	       (unsigned long long)runs, (unsigned long long)failed, moves,
	       deaths);
	return failed == 0 ? 0 : 1;
}
