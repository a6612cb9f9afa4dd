#include "tests/sim/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/internal.h"

enum { MS = 1000000 };
static const int64_t hour = INT64_C(3600000000000);

struct happening {
	struct rig *r;
	enum event_kind kind;
};

static struct host *host(struct rig *r)
{
	return &r->hosts[r->host];
}

static struct host *primary(struct rig *r)
{
	return &r->hosts[0];
}

static void use_host(struct rig *r, unsigned n)
{
	struct host *h = &r->hosts[n];

	if (r->host == n) {
		return;
	}
	r->host = n;
	r->rolled_back = true;
	for (int i = 0; i < RIG_DEVICES; i++) {
		net_redirect(r->devices[i].net, h->node);
	}
	world_cut_links(r->w, false);
	h->away = false;
	rig_start_host(h);
}

static void back_up(struct device *d)
{
	disk_backup_free(d->logs);
	disk_backup_free(d->state);
	d->logs = disk_back_up(d->node, "/log");
	d->state = disk_back_up(d->node, "/state");
	writer_save(&d->writer, &d->written);
}

/* The machine is put back to the backup, from outside, as one does. */
static void restore_device(struct device *d)
{
	if (d->logs != NULL) {
		d->restore = true;
		d->rig->rolled_back = true;
		rig_kill(d->node, true);
	}
}

static void clone_device(struct rig *r)
{
	struct device *from = &r->devices[0], *to = &r->devices[1];

	if (from->logs == NULL || to->used) {
		return;
	}
	disk_restore(to->node, "/log", from->logs);
	disk_restore(to->node, "/state", from->state);
	from->logs = from->state = NULL;
	r->rolled_back = r->moved = r->cloned = true;
	to->used = true;
	/* A copied disk keeps its machine id; a careful copy has a new one. */
	to->machine[0] = (uint8_t)(1 + world_rnd(r->w, 2));
	to->writer.files = from->writer.files;
	to->writer.pace_ms = from->writer.pace_ms;
	to->writer.number = 500;
	to->writer.left = 30;
	to->writer.enabled = true;
	if (from->writer.packing.on) {
		writer_compress(&to->writer, ~r->seed);
	}
	writer_restore(&to->writer, &from->written, true);
	writer_start(&to->writer, MS);
	rig_start_device(to);
}

static void jump(struct rig *r, struct node *n)
{
	static const int64_t most[] = {1, 24, 24 * 365};
	int64_t range = most[world_rnd(r->w, 3)] * hour;

	node_set_clock(n, (int64_t)world_rnd(r->w, 2 * (uint64_t)range) - range);
}

static void flip_device(struct rig *r)
{
	static const char *const suffixes[] = {"detect", ".spool", "streams"};
	struct device *d = &r->devices[0];

	/* As if its disk had done it while the machine was off. */
	rig_kill(d->node, true);
	r->rolled_back |=
		disk_flip(d->node, "/state",
			  suffixes[world_rnd(r->w, 3)]);
}

static void happen_to_host(struct rig *r, struct host *h, enum event_kind kind)
{
	switch (kind) {
	case COLLECTOR_GOES:
		h->away = true;
		rig_kill(h->node, false);
		break;
	case COLLECTOR_COMES:
		h->away = false;
		rig_start_host(h);
		break;
	case COLLECTOR_DIES:
	case COLLECTOR_LOSES_POWER:
		rig_kill(h->node, kind == COLLECTOR_LOSES_POWER);
		break;
	case COLLECTOR_RESTARTS:
		rig_stop_host(h);
		break;
	case COLLECTOR_BACKUP:
		disk_backup_free(h->backup);
		h->backup = disk_back_up(h->node, "/store");
		break;
	case COLLECTOR_RESTORED:
		h->restore = true;
		rig_kill(h->node, false);
		break;
	case COLLECTOR_BIT_FLIPS:
		h->flip = true;
		rig_kill(h->node, true);
		break;
	case COLLECTOR_DISK_FULL:
	case COLLECTOR_DISK_FREE:
		disk_set_full(h->node, kind == COLLECTOR_DISK_FULL);
		break;
	case COLLECTOR_SYNC_FAILS:
		disk_fail_sync(h->node, 1 + world_rnd(r->w, 3));
		break;
	case COLLECTOR_CLOCK_JUMPS:
		jump(r, h->node);
		break;
	default:
		break;
	}
}

static void happen_to_device(struct rig *r, struct device *d,
			     enum event_kind kind)
{
	switch (kind) {
	case AGENT_STOPS:
		rig_pause_device(d);
		break;
	case AGENT_COMES:
		d->away = false;
		rig_start_device(d);
		break;
	case AGENT_DIES:
	case AGENT_LOSES_POWER:
		rig_kill(d->node, kind == AGENT_LOSES_POWER);
		break;
	case AGENT_DISK_FULL:
	case AGENT_DISK_FREE:
		disk_set_full(d->node, kind == AGENT_DISK_FULL);
		break;
	case AGENT_SYNC_FAILS:
		disk_fail_sync(d->node, 1 + world_rnd(r->w, 3));
		break;
	case AGENT_BIT_FLIPS:
		flip_device(r);
		break;
	case AGENT_CLOCK_JUMPS:
		jump(r, d->node);
		break;
	case AGENT_BACKUP:
		back_up(d);
		break;
	case AGENT_RESTORED:
		restore_device(d);
		break;
	case AGENT_CLONED:
		clone_device(r);
		break;
	default:
		break;
	}
}

static void happen_to_network(struct rig *r, enum event_kind kind)
{
	switch (kind) {
	case LINKS_RESET:
	case LINKS_HALF_OPEN:
		world_cut_links(r->w, kind == LINKS_HALF_OPEN);
		break;
	case PARTED:
	case JOINED:
		node_isolate(host(r)->node, kind == PARTED);
		break;
	case OTHER_STORE:
		use_host(r, 1);
		break;
	case FIRST_STORE:
		use_host(r, 0);
		break;
	default:
		break;
	}
}

static void happen(void *arg)
{
	struct happening h = *(struct happening *)arg;

	free(arg);
	if (rig_verbose) {
		printf("%.3f event %d\n", (double)world_now_ns(h.r->w) / 1e9,
		       (int)h.kind);
	}
	h.r->happened |= UINT64_C(1) << h.kind;
	happen_to_host(h.r, primary(h.r), h.kind);
	happen_to_device(h.r, &h.r->devices[0], h.kind);
	happen_to_network(h.r, h.kind);
}

static void plan(struct rig *r, uint64_t at_ms, enum event_kind kind)
{
	struct happening *h = malloc(sizeof *h);

	if (h == NULL) {
		abort();
	}
	*h = (struct happening){r, kind};
	world_at(r->w, NULL, (int64_t)at_ms * MS, happen, h, free);
}

void faults_plan(struct rig *r, const struct event_plan *e)
{
	for (; e != NULL && e->kind != EVENTS_END; e++) {
		/* Not to the millisecond: another seed, another moment. */
		plan(r, e->at_ms + world_rnd(r->w, 300), e->kind);
	}
}

/* ---- drawn ---- */

struct drawn {
	enum event_kind kind, end; /* EVENTS_END: it has none */
	unsigned weight;
};

/* What happens to everybody: nothing may be lost, doubled or told as lost. */
static const struct drawn usual[] = {
	{COLLECTOR_GOES, COLLECTOR_COMES, 6},
	{COLLECTOR_DIES, EVENTS_END, 4},
	{COLLECTOR_LOSES_POWER, EVENTS_END, 4},
	{COLLECTOR_RESTARTS, EVENTS_END, 4},
	{COLLECTOR_DISK_FULL, COLLECTOR_DISK_FREE, 3},
	{COLLECTOR_SYNC_FAILS, EVENTS_END, 3},
	{COLLECTOR_CLOCK_JUMPS, EVENTS_END, 2},
	{AGENT_STOPS, AGENT_COMES, 5},
	{AGENT_DIES, EVENTS_END, 4},
	{AGENT_LOSES_POWER, EVENTS_END, 4},
	{AGENT_DISK_FULL, AGENT_DISK_FREE, 3},
	{AGENT_SYNC_FAILS, EVENTS_END, 3},
	{AGENT_CLOCK_JUMPS, EVENTS_END, 2},
	{LINKS_RESET, EVENTS_END, 5},
	{LINKS_HALF_OPEN, EVENTS_END, 4},
	{PARTED, JOINED, 5},
};

/* What takes away what was promised: at most one kind in a run. */
static const struct drawn grave[] = {
	{COLLECTOR_BACKUP, COLLECTOR_RESTORED, 3},
	{COLLECTOR_RESTORED, EVENTS_END, 2},
	{COLLECTOR_BIT_FLIPS, EVENTS_END, 3},
	{AGENT_BACKUP, AGENT_RESTORED, 3},
	{AGENT_BACKUP, AGENT_CLONED, 3},
	{AGENT_BIT_FLIPS, EVENTS_END, 3},
	{OTHER_STORE, FIRST_STORE, 3},
};

static const struct drawn *draw(struct rig *r, const struct drawn *v, size_t n)
{
	unsigned total = 0, at;

	for (size_t i = 0; i < n; i++) {
		total += v[i].weight;
	}
	at = (unsigned)world_rnd(r->w, total);
	while (at >= v->weight) {
		at -= v->weight;
		v++;
	}
	return v;
}

static void plan_drawn(struct rig *r, const struct drawn *d, uint64_t until_ms)
{
	uint64_t at = 500 + world_rnd(r->w, until_ms);
	uint64_t most = world_rnd(r->w, 3) == 0 ? 40000 : 8000;

	plan(r, at, d->kind);
	if (d->end != EVENTS_END) {
		plan(r, at + 100 + world_rnd(r->w, most), d->end);
	}
}

static void draw_writer(struct rig *r, struct writer *w)
{
	static const unsigned paces[] = {20, 120, 120, 400, 1500};
	static const unsigned rotations[] = {0, 13, 30, 30, 45};

	w->files = 1 + (unsigned)world_rnd(r->w, TRUTH_FILES);
	w->left = 30 + (unsigned)world_rnd(r->w, 70);
	w->pace_ms = paces[world_rnd(r->w, 5)];
	w->rotate_every = rotations[world_rnd(r->w, 5)];
	w->long_lines = world_rnd(r->w, 4) == 0;
	w->same_first_line = world_rnd(r->w, 4) == 0;
	w->enabled = true;
}

static void draw_network(struct rig *r)
{
	static const int64_t delays[] = {0, 0, 0, 50, 800};
	struct network n = {.delay_ns = delays[world_rnd(r->w, 5)] * MS};

	if (world_rnd(r->w, 4) == 0) {
		n.reset_ppm = (unsigned)world_rnd(r->w, 100000);
	}
	world_set_network(r->w, &n);
}

const char *faults_draw_yaml(uint64_t seed)
{
	static const char *const texts[] = {
		NULL,
		NULL,
		"shipping:\n  segment_silence: 1s\n  segment_age: 3s\n",
		"  max: 1MiB\nshipping:\n  segment_max: 64KiB\n"
		"  batch_max: 4KiB\n  memory_max: 1MiB\n",
	};

	return texts[seed / 7 % 4];
}

unsigned faults_draw(struct rig *r)
{
	struct writer *w = &r->devices[0].writer;
	uint64_t until_ms, n = world_rnd(r->w, 7);

	draw_writer(r, w);
	draw_network(r);
	until_ms = 1000 + (uint64_t)w->left * w->pace_ms / 2;
	r->restart_ms = world_rnd(r->w, 3) == 0 ? 5000 : 400;
	r->power = world_rnd(r->w, 2) == 0;
	r->kill_devices = world_rnd(r->w, 3) == 0;
	r->kill_hosts = world_rnd(r->w, 3) == 0;
	for (uint64_t i = 0; i < n; i++) {
		plan_drawn(r, draw(r, usual, sizeof usual / sizeof *usual),
			   until_ms);
	}
	if (world_rnd(r->w, 3) == 0) {
		plan_drawn(r, draw(r, grave, sizeof grave / sizeof *grave),
			   until_ms);
	}
	return (unsigned)until_ms;
}

void faults_end(struct rig *r)
{
	static const struct network good = {0};

	rig_calm(r);
	world_set_network(r->w, &good);
	for (int i = 0; i < RIG_STORES; i++) {
		struct host *h = &r->hosts[i];

		node_isolate(h->node, false);
		disk_set_full(h->node, false);
		disk_fail_sync(h->node, UINT64_MAX / 2);
		if (i == (int)r->host) {
			h->away = false;
			rig_start_host(h);
		}
	}
	for (int i = 0; i < RIG_DEVICES; i++) {
		struct device *d = &r->devices[i];

		disk_set_full(d->node, false);
		disk_fail_sync(d->node, UINT64_MAX / 2);
		d->away = false;
		rig_start_device(d);
	}
}
