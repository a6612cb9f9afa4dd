#include "tests/sim/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/sim/judge.h"

enum { LINES = 90, MS = 1000000 };
static const int64_t second = INT64_C(1000000000);

static void cut_links(void *arg)
{
	world_cut_links(arg, false);
}

static void plan_scenario(struct rig *r, const struct plan *p)
{
	const struct scenario *sc = p->scenario;
	struct writer *w = &r->devices[0].writer;

	w->files = sc->files > 1 ? sc->files : 1;
	w->left = LINES;
	w->pace_ms = sc->pace_ms > 0 ? sc->pace_ms : 120;
	w->rotate_every = 30;
	w->long_lines = sc->long_lines;
	w->enabled = true;
	r->kill_devices = r->kill_hosts = r->power = p->kills;
	world_after(r->w, NULL, 4 * second, cut_links, r->w);
	faults_plan(r, sc->events);
	if (p->kill_node != 0) {
		node_kill_at(p->kill_node == 1 ? r->devices[0].node
					       : r->hosts[0].node,
			     p->kill_call, p->power_cut);
	}
}

/* One agent ends in peace, alone. */
static void stop_device(struct rig *r, struct device *d, int64_t wait_ns)
{
	d->away = false;
	rig_start_device(d);
	world_run(r->w, world_now_ns(r->w) + wait_ns);
	for (int k = 0; k < 10 && !d->stopped && !world_is_restless(r->w);
	     k++) {
		if (d->agent == NULL) {
			d->away = false; /* Killed while it stopped. */
			rig_start_device(d);
			world_run(r->w, world_now_ns(r->w) + 200 * second);
		}
		rig_stop_device(d);
		world_run(r->w, world_now_ns(r->w) + 20 * second);
	}
}

/* A clone is let in only when the other one has gone. */
static void stop_devices(struct rig *r, int64_t wait_ns)
{
	for (int i = 1; i < RIG_DEVICES && r->devices[1].used; i++) {
		rig_pause_device(&r->devices[i]);
		world_run(r->w, world_now_ns(r->w) + 30 * second);
	}
	for (int i = 0; i < RIG_DEVICES; i++) {
		if (r->devices[i].used) {
			stop_device(r, &r->devices[i], wait_ns);
		}
	}
}

static void drive(struct rig *r, const struct plan *p)
{
	unsigned until_ms = p->scenario != NULL ? p->scenario->until_ms : 0;

	rig_start_host(&r->hosts[0]);
	rig_start_device(&r->devices[0]);
	if (p->scenario != NULL) {
		plan_scenario(r, p);
	} else {
		until_ms = faults_draw(r);
	}
	if (p->compress) {
		writer_compress(&r->devices[0].writer, p->seed);
	}
	if (p->between) {
		writer_act_between(&r->devices[0].writer, p->seed);
	}
	rig_arm(r);
	writer_start(&r->devices[0].writer, second);
	world_run(r->w, (int64_t)until_ms * MS);
	while (rig_is_writing(r) && !world_is_restless(r->w)) {
		world_run(r->w, world_now_ns(r->w) + second);
	}
	if (p->scenario == NULL) {
		world_run(r->w, world_now_ns(r->w) + 20 * second);
		faults_end(r);
	} else if (p->scenario->events != NULL) {
		world_run(r->w, world_now_ns(r->w) + 100 * second);
	}
	/* A rotated file is kept open a while; a lost connection takes its time. */
	stop_devices(r, 200 * second);
}

/* The same line may stand there twice, flagged, only for a reason.  A single line proves
 * nothing to an agent that was started anew: the log's first one may. */
static bool may_repeat(const struct rig *r, const struct verdict *v)
{
	const struct device *d = &r->devices[0];

	return r->rolled_back || disk_faults(d->node) > 0 ||
	       (d->starts > 1 && v->repeated_later == 0) ||
	       (r->agent_deaths > 0 && d->alone > 0);
}

static bool all_stopped(const struct rig *r)
{
	for (int i = 0; i < RIG_DEVICES; i++) {
		if (r->devices[i].used && !r->devices[i].stopped) {
			return false;
		}
	}
	return true;
}

static void print_again(const struct plan *p)
{
	printf("  again with: sim --seed %llu", (unsigned long long)p->seed);
	if (p->scenario != NULL) {
		printf(" --scenario %s", p->scenario->name);
	}
	if (p->kills) {
		printf(" --kills");
	}
	if (p->compress) {
		printf(" --compress");
	}
	if (p->between) {
		printf(" --between");
	}
	if (p->kill_node != 0) {
		printf(" --kill-node %d --kill-call %llu%s", p->kill_node,
		       (unsigned long long)p->kill_call,
		       p->power_cut ? " --power" : "");
	}
	printf("\n");
}

static bool sentence(struct rig *r, const struct plan *p,
		     const struct verdict *v)
{
	const struct scenario *sc = p->scenario;
	uint64_t calls = node_calls(r->devices[0].node);
	bool ok = (verdict_is_good(v, r->cloned) ||
		   (r->cloned && verdict_is_mixed(v))) &&
		  r->refused == 0 &&
		  r->broken_promises == 0 && all_stopped(r) &&
		  (v->repeated == 0 || may_repeat(r, v)) &&
		  (v->told == 0 || r->rolled_back);

	if (sc != NULL) {
		ok = ok && (v->alerts > 0 || !sc->detectors) &&
		     (sc->calls_max == 0 || calls <= sc->calls_max);
	}
	if (!ok) {
		printf("FAILED (%s): bytes lost %u, doubled %u, told as lost and "
		       "not %u, repeated and flagged %u, rightly told %u; first "
		       "at %zu of log %d; records wrong %u, alerts %u; refused to "
		       "start %u, promises broken %u, stopped %d, calls %llu, "
		       "events %llx, store: %s%s%s\n",
		       sc != NULL ? sc->name : "drawn", v->lost, v->doubled,
		       v->gaps, v->repeated, v->told, v->first, v->content,
		       v->wrong, v->alerts, r->refused, r->broken_promises,
		       all_stopped(r), (unsigned long long)calls,
		       (unsigned long long)r->happened, err_str(v->rc),
		       v->what[0] == '\0' ? "" : "; ", v->what);
		print_again(p);
	}
	return ok;
}

void run_one(const struct plan *p, struct run_outcome *out)
{
	struct rig *r = malloc(sizeof *r);
	struct verdict v;

	if (r == NULL) {
		exit(2);
	}
	rig_init(r, p->seed,
		 p->scenario != NULL ? p->scenario->yaml
				     : faults_draw_yaml(p->seed),
		 p->scenario != NULL ? p->scenario->detectors
				     : p->seed % 16 == 5);
	drive(r, p);
	*out = (struct run_outcome){.calls = {node_calls(r->devices[0].node),
					  node_calls(r->hosts[0].node)},
				.trace = world_trace(r->w),
				.deaths = r->deaths,
				.excused = r->rolled_back};
	rig_end(r);
	for (unsigned i = 0; i < RIG_STORES; i++) {
		if (i != r->host) {
			judge_remember(r, &r->hosts[i], HELD_ELSEWHERE);
		}
	}
	judge(r, &r->hosts[r->host], &v);
	out->ok = sentence(r, p, &v);
	out->repeated = v.repeated;
	out->told = v.told;
	out->doubled = r->cloned ? v.doubled : 0;
	out->mixed = r->cloned && verdict_is_mixed(&v);
	out->limited = v.unseen > 0;
	rig_fini(r);
	free(r);
}
