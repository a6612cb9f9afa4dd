#include "tests/sim/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/share_join.h"
#include "common/err.h"
#include "tests/sim/internal.h"
#include "tests/sim/judge.h"
#include "wire/msg.h"

enum { MS = 1000000 };
bool rig_verbose;
const struct world *rig_world;

static const char agent_yaml[] =
	"identity:\n  certificate: /id/cert\n  key: /id/key\n"
	"  authority: /id/ca\n"
	"collector: collector.example:7514\n"
	"state: /state\n"
	"sources:\n  line_max: 1KiB\n"
	"  files:\n    - paths: [/log/*.log]\n      from: beginning\n"
	"detectors:\n  enabled: %s\n"
	"spool:\n  directory: /state/spool\n%s";

/* ---- identities ---- */

struct hash32 sim_device_hash(void)
{
	struct slice key = SLICE_LIT(SIM_DEVICE_KEY);
	struct hash32 h;

	if (hash32_of(&h, &key, 1) != 0) {
		abort();
	}
	return h;
}

static struct link_peer peer(const char *name)
{
	return (struct link_peer){.key_hash = sim_device_hash(),
				  .name = name,
				  .address = "192.0.2.1:1",
				  .spki = SLICE_LIT(SIM_DEVICE_KEY)};
}

const struct link_peer *sim_device_peer(void)
{
	static struct link_peer p;

	p = peer("device");
	return &p;
}

const struct link_peer *sim_collector_peer(void)
{
	static struct link_peer p;

	p = peer("collector.example");
	return &p;
}

static int sign(void *arg, const struct head *h, struct buf *out)
{
	(void)arg;
	return sim_head_sign(h, SLICE_LIT(SIM_DEVICE_KEY), out);
}

static void ignore_alert(void *arg, const struct alert *a)
{
	(void)arg;
	(void)a;
}

/* ---- promises: what is acknowledged survives ---- */

static void promise(struct host *h, const struct msg_stream *w)
{
	size_t i = 0;

	while (i < h->n_promises &&
	       memcmp(&h->promises[i].id, &w->id, sizeof w->id) != 0) {
		i++;
	}
	if (i == RIG_STREAMS) {
		return;
	}
	if (i == h->n_promises) {
		h->promises[h->n_promises++] = (struct promise){w->id, 0};
	}
	if (w->durable > h->promises[i].durable) {
		h->promises[i].durable = w->durable;
	}
}

static void hold_to_promise(struct host *h, const struct msg_stream *w)
{
	for (size_t i = 0; i < h->n_promises; i++) {
		struct promise *p = &h->promises[i];

		if (memcmp(&p->id, &w->id, sizeof w->id) == 0 &&
		    w->received < p->durable) {
			printf("an acknowledged line is gone: %llu < %llu\n",
			       (unsigned long long)w->received,
			       (unsigned long long)p->durable);
			h->rig->broken_promises++;
			p->durable = w->received;
		}
	}
}

static void tell(const struct rig *r, const char *what, const struct msg_stream *w)
{
	if (rig_verbose) {
		printf("%.3f %s %02x%02x received %llu durable %llu\n",
		       (double)world_now_ns(r->w) / 1e9, what, w->id.b[0],
		       w->id.b[1], (unsigned long long)w->received,
		       (unsigned long long)w->durable);
	}
}

/* Every message that is sent: the collectors' words are remembered. */
static void on_said(void *arg, struct node *from, uint8_t type,
		    struct slice payload)
{
	struct rig *r = arg;
	struct host *h = NULL;
	struct welcome welcome;
	struct msg_stream w;
	struct ack ack;

	if (r->on_said != NULL) {
		r->on_said(r, from, type);
	}
	for (int i = 0; i < RIG_STORES; i++) {
		h = r->hosts[i].node == from ? &r->hosts[i] : h;
	}
	if (h != NULL && r->shared) {
		h = &r->hosts[0]; /* What one has promised binds both. */
	}
	if (h == NULL) {
		return;
	}
	if (type == MSG_ACK && ack_decode(&ack, payload) == 0) {
		r->met = true;
		while (msg_streams_next(&ack.streams, &w) == 1) {
			tell(r, "ack", &w);
			promise(h, &w);
		}
	} else if (type == MSG_WELCOME &&
		   welcome_decode(&welcome, payload) == 0) {
		while (msg_streams_next(&welcome.streams, &w) == 1) {
			tell(r, "welcome", &w);
			hold_to_promise(h, &w);
		}
	}
}

/* ---- devices ---- */

static void put_back(struct device *d)
{
	d->restore = false;
	d->rig->moved = true;
	disk_restore(d->node, "/log", d->logs);
	disk_restore(d->node, "/state", d->state);
	d->logs = d->state = NULL;
	writer_restore(&d->writer, &d->written, false);
}

/* No collector answers: what is known here has to do. */
static void look_around(void *arg)
{
	struct device *d = arg;
	const struct host *h = &d->rig->hosts[d->rig->host];

	d->alone += h->collector == NULL || h->node->isolated;
}

void rig_start_device(struct device *d)
{
	struct agent_params p = {
		.sys = node_sys(d->node),
		.config = d->rig->config,
		.net = d->net,
		.device = "device",
		.sign = sign,
		.on_alert = ignore_alert,
		.device_hash = sim_device_hash(),
	};
	uint64_t faults;

	if (d->agent != NULL || d->away || !d->used) {
		return;
	}
	if (d->restore) {
		put_back(d);
	}
	faults = disk_faults(d->node);
	node_revive(d->node);
	memcpy(p.machine, d->machine, sizeof p.machine);
	if (agent_new(&d->agent, &p) != 0) {
		d->agent = NULL;
		if (!node_dying(d->node)) {
			/* It did not die: it gave up. */
			d->rig->refused += disk_faults(d->node) == faults;
			node_kill(d->node, false);
		}
		return;
	}
	agent_start(d->agent);
	d->starts++;
	look_around(d);
	world_after(d->rig->w, d->node, 3000 * (int64_t)MS, look_around, d);
}

static void start_device(void *arg)
{
	rig_start_device(arg);
}

static void on_paused(void *arg)
{
	struct device *d = arg;

	agent_free(d->agent);
	d->agent = NULL;
	d->stopping = false;
	node_retire(d->node);
	if (!d->away) {
		world_after(d->rig->w, NULL, MS, start_device, d);
	}
}

static void on_stopped(void *arg)
{
	struct device *d = arg;

	on_paused(d);
	d->stopped = true;
}

void rig_pause_device(struct device *d)
{
	d->away = true;
	if (d->agent != NULL && !d->stopping) {
		d->stopping = true;
		agent_stop(d->agent, on_paused, d);
	}
}

void rig_stop_device(struct device *d)
{
	if (d->agent != NULL && !d->stopping) {
		d->away = true;
		d->stopping = true;
		agent_stop(d->agent, on_stopped, d);
	}
}

/* ---- hosts ---- */

static void lapse(struct host *h, uint8_t held)
{
	/* What it held is what may be missing from now on. */
	judge_remember(h->rig, h, held);
	h->n_promises = 0;
	h->lapsed = true;
	h->rig->rolled_back = true;
}

static void start_host(void *arg)
{
	struct host *h = arg;
	struct collector_params p = {.sys = node_sys(h->node),
				     .options = &h->options};
	uint64_t faults = disk_faults(h->node);
	char why[COLLECTOR_WHY];

	if (h->collector != NULL || h->away) {
		return;
	}
	if (h->restore) {
		/* A backup of nothing: it comes back as another store. */
		lapse(h, disk_backup_has(h->backup, "/store/store.id")
				 ? HELD_BEFORE
				 : HELD_ELSEWHERE);
		disk_restore(h->node, "/store", h->backup);
		h->restore = false;
		h->backup = NULL;
	}
	if (h->flip) {
		lapse(h, HELD_ELSEWHERE);
		h->rig->damaged = true;
		disk_flip(h->node, "/store/devices", NULL);
		h->flip = false;
	}
	h->stopping = false;
	node_revive(h->node);
	if ((h->options.member != NULL &&
	     share_join(p.sys, h->options.store_dir, h->options.member,
			why) != 0) ||
	    collector_new(&h->collector, &p, why) != 0) {
		h->collector = NULL;
		if (!node_dying(h->node)) {
			if (disk_faults(h->node) == faults) {
				printf("a collector gave up: %s\n", why);
				h->rig->refused++;
			}
			node_kill(h->node, false);
		}
	}
}

void rig_start_host(struct host *h)
{
	world_after(h->rig->w, NULL, MS, start_host, h);
}

static void on_host_stopped(void *arg)
{
	struct host *h = arg;

	collector_free(h->collector);
	h->collector = NULL;
	node_retire(h->node);
	rig_start_host(h);
}

void rig_stop_host(struct host *h)
{
	if (h->collector != NULL && !h->stopping && node_alive(h->node) &&
	    !node_dying(h->node)) {
		h->stopping = true;
		collector_stop(h->collector, on_host_stopped, h);
	}
}

static const struct link_cbs *accept_link(void *arg, struct link *l,
					  const struct link_peer *from)
{
	struct host *h = arg;

	return h->collector == NULL ? NULL
				    : collector_accept(h->collector, l, from);
}

/* ---- death ---- */

bool rig_is_writing(const struct rig *r)
{
	for (int i = 0; i < RIG_DEVICES; i++) {
		if (!writer_is_done(&r->devices[i].writer)) {
			return true;
		}
	}
	return false;
}

static void kill_again(struct rig *r, struct node *n, bool wanted)
{
	if (wanted && rig_is_writing(r) && r->deaths < RIG_DEATHS) {
		node_kill_at(n, node_calls(n) + 1 + world_rnd(r->w, 400),
			     r->power && world_rnd(r->w, 3) == 0);
	}
}

void rig_arm(struct rig *r)
{
	kill_again(r, r->devices[0].node, r->kill_devices);
	kill_again(r, r->hosts[0].node, r->kill_hosts);
}

static void died(void *arg, struct node *n)
{
	struct rig *r = arg;
	int64_t pause = 50 * MS + (int64_t)world_rnd(r->w, r->restart_ms) * MS;

	if (rig_verbose) {
		printf("%.3f %s died at call %llu\n",
		       (double)world_now_ns(r->w) / 1e9, node_name(n),
		       (unsigned long long)node_calls(n));
	}
	r->deaths++;
	for (int i = 0; i < RIG_DEVICES; i++) {
		struct device *d = &r->devices[i];

		if (d->node == n) {
			r->agent_deaths++;
			agent_free(d->agent);
			d->agent = NULL;
			d->stopping = false;
			world_after(r->w, NULL, pause, start_device, d);
			kill_again(r, n, r->kill_devices);
		}
	}
	for (int i = 0; i < RIG_STORES; i++) {
		struct host *h = &r->hosts[i];

		if (h->node == n) {
			collector_free(h->collector);
			h->collector = NULL;
			world_after(r->w, NULL, pause, start_host, h);
			kill_again(r, n, r->kill_hosts);
		}
	}
}

void rig_kill(struct node *n, bool power)
{
	if (node_alive(n) && !node_dying(n)) {
		node_kill(n, power);
	}
}

void rig_calm(struct rig *r)
{
	r->kill_devices = r->kill_hosts = false;
	for (int i = 0; i < RIG_DEVICES; i++) {
		node_kill_at(r->devices[i].node, 0, false);
	}
	for (int i = 0; i < RIG_STORES; i++) {
		node_kill_at(r->hosts[i].node, 0, false);
	}
}

/* ---- life ---- */

static void init_device(struct rig *r, int i)
{
	struct device *d = &r->devices[i];

	d->rig = r;
	d->used = i == 0;
	d->machine[0] = 1;
	d->node = node_new(r->w, i == 0 ? "agent" : "clone", died, r);
	d->net = node_net(d->node, r->hosts[0].node, sim_device_peer(),
			  sim_collector_peer());
	disk_mkdir(d->node, "/log");
	disk_mkdir(d->node, "/state");
	d->writer = (struct writer){.truth = &r->truth, .node = d->node,
				    .w = r->w, .met = &r->met,
				    .content = {-1, -1, -1}};
}

static void init_host(struct rig *r, int i)
{
	struct host *h = &r->hosts[i];

	h->rig = r;
	h->away = i > 0;
	h->node = node_new(r->w, i == 0 ? "collector" : "second", died, r);
	h->options = (struct collector_options){
		.store_dir = (char *)(uintptr_t) "/store",
		.sync_interval_ms = 20,
		.output_file = (char *)(uintptr_t) "",
		.window_log = 17,
		.segment_max = 1024 * 1024,
		.decoders_max = 4,
	};
	node_listen(h->node, accept_link, h);
}

void rig_init(struct rig *r, uint64_t seed, const char *yaml, bool detectors)
{
	struct config_errors errs = {0};
	char text[2048];

	*r = (struct rig){.seed = seed, .restart_ms = 400};
	r->w = world_new(seed);
	rig_world = r->w;
	for (int i = 0; i < RIG_STORES; i++) {
		init_host(r, i);
	}
	for (int i = 0; i < RIG_DEVICES; i++) {
		init_device(r, i);
	}
	world_watch(r->w, on_said, r);
	snprintf(text, sizeof text, agent_yaml, detectors ? "true" : "false",
		 yaml != NULL ? yaml : "");
	if (config_parse_agent("sim", slice_str(text), &r->config, &errs) != 0) {
		fprintf(stderr, "%s\n", errs.text[0]);
		exit(2);
	}
}

void rig_end(struct rig *r)
{
	rig_calm(r);
	for (int i = 0; i < RIG_DEVICES; i++) {
		agent_free(r->devices[i].agent);
		r->devices[i].agent = NULL;
		node_retire(r->devices[i].node);
	}
	for (int i = 0; i < RIG_STORES; i++) {
		struct host *h = &r->hosts[i];

		collector_free(h->collector);
		h->collector = NULL;
		node_retire(h->node);
		node_revive(h->node);
	}
}

void rig_fini(struct rig *r)
{
	for (int i = 0; i < RIG_DEVICES; i++) {
		disk_backup_free(r->devices[i].logs);
		disk_backup_free(r->devices[i].state);
	}
	for (int i = 0; i < RIG_STORES; i++) {
		disk_backup_free(r->hosts[i].backup);
	}
	agent_config_free(r->config);
	truth_free(&r->truth);
	rig_world = NULL;
	world_free(r->w);
}
