#include "tests/sim/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "collector/core.h"
#include "common/err.h"
#include "common/log.h"
#include "config/config.h"
#include "tests/sim/check.h"
#include "tests/sim/world.h"
#include "wire/crypto.h"

enum { LINES = 90, MS = 1000000, LINE_ROOM = 4096, PORT = 2000, DEATHS_MAX = 40, FILES = 3,
       FORKS_MAX = 256 };
static const int64_t second = INT64_C(1000000000);

struct run {
	struct plan plan;
	struct world *w;
	struct node *an, *cn;
	struct agent *agent;
	struct collector *collector;
	struct agent_config *ac;
	struct collector_options co;
	struct net *net;
	unsigned written, deaths;
	bool partial, stopping, stopped;
	bool agent_away, collector_away; /* not to be started when they died */
	struct disk_backup *backup;
	bool restore; /* the collector starts from the backup */
	unsigned seen[LINES];   /* copies in streams that claim to be the only one */
	unsigned forked[LINES]; /* copies in streams flagged fork */
	struct stream_id forks[FORKS_MAX];
	size_t n_forks;
	unsigned unknown, gaps, refused, alerts;
	size_t partial_file;
	char tail[LINE_ROOM];
};

bool run_verbose;
unsigned run_repeated;

static const char agent_yaml[] =
	"identity:\n  certificate: /id/cert\n  key: /id/key\n"
	"  authority: /id/ca\n"
	"collector: collector.example:7514\n"
	"state: /state\n"
	"sources:\n  line_max: 1KiB\n"
	"  files:\n    - paths: [/log/*.log]\n      from: beginning\n"
	"detectors:\n  enabled: %s\n"
	"spool:\n  directory: /state/spool\n%s";

static const struct scenario plain = {.name = "plain"};

static const struct scenario *scenario_of(const struct run *r)
{
	return r->plan.scenario != NULL ? r->plan.scenario : &plain;
}

/* ---- the two daemons ---- */

static int no_signature(void *arg, const struct head *h, struct buf *out)
{
	(void)arg;
	(void)h;
	(void)out;
	return ERR_CRYPTO; /* Heads are tried elsewhere; here they'd be slow. */
}

static void ignore_alert(void *arg, const struct alert *a)
{
	(void)arg;
	(void)a;
}

#define DEVICE_KEY "stands for a public key"

static struct hash32 device_hash(void)
{
	struct slice key = SLICE_LIT(DEVICE_KEY);
	struct hash32 h;

	if (hash32_of(&h, &key, 1) != 0) {
		abort();
	}
	return h;
}

static void start_agent(void *arg)
{
	struct run *r = arg;
	struct agent_params p = {
		.sys = node_sys(r->an),
		.config = r->ac,
		.net = r->net,
		.device = "device",
		.sign = no_signature,
		.on_alert = ignore_alert,
		.machine = {1},
	};

	if (r->agent != NULL || r->agent_away) {
		return;
	}
	node_revive(r->an);
	p.device_hash = device_hash();
	if (agent_new(&r->agent, &p) != 0) {
		r->agent = NULL;
		if (!node_dying(r->an)) {
			r->refused++; /* It did not die: it gave up. */
			node_kill(r->an, false);
		}
		return;
	}
	agent_start(r->agent);
}

static void start_collector(void *arg)
{
	struct run *r = arg;
	struct collector_params p = {
		.sys = node_sys(r->cn),
		.options = &r->co,
	};
	char why[COLLECTOR_WHY];

	if (r->collector != NULL || r->collector_away) {
		return;
	}
	if (r->restore) {
		disk_restore(r->cn, "/store", r->backup);
		r->restore = false;
		r->backup = NULL;
	}
	node_revive(r->cn);
	if (collector_new(&r->collector, &p, why) != 0) {
		r->collector = NULL;
		if (!node_dying(r->cn)) {
			r->refused++;
			node_kill(r->cn, false);
		}
	}
}

static const struct link_cbs *accept_link(void *arg, struct link *l,
					  const struct link_peer *peer)
{
	struct run *r = arg;

	return r->collector == NULL ? NULL
				    : collector_accept(r->collector, l, peer);
}

static void on_stopped(void *arg)
{
	struct run *r = arg;

	r->stopped = true;
}

static void stop_agent(void *arg)
{
	struct run *r = arg;

	r->stopping = true;
	if (r->agent != NULL) {
		agent_stop(r->agent, on_stopped, r);
	}
}

static void died(void *arg, struct node *n)
{
	struct run *r = arg;
	int64_t pause = 50 * MS + (int64_t)world_rnd(r->w, 400) * MS;

	if (run_verbose) {
		printf("%.3f %s died at call %llu\n",
		       (double)world_now_ns(r->w) / 1e9, node_name(n),
		       (unsigned long long)node_calls(n));
	}
	r->deaths++;
	if (n == r->an) {
		agent_free(r->agent);
		r->agent = NULL;
		if (r->stopping) {
			r->stopping = false;
		}
		world_after(r->w, NULL, pause, start_agent, r);
	} else {
		collector_free(r->collector);
		r->collector = NULL;
		world_after(r->w, NULL, pause, start_collector, r);
	}
	if (r->plan.kill_node == 3 && r->written < LINES &&
	    scenario_of(r)->events == NULL && r->deaths < DEATHS_MAX) {
		node_kill_at(n, node_calls(n) + 1 + world_rnd(r->w, 400),
			     world_rnd(r->w, 3) == 0);
	}
}

/* ---- the writer ---- */

static const char *file_name(size_t i)
{
	static const char *const names[FILES] = {
		"/log/auth.log", "/log/mail.log", "/log/web.log"};

	return names[i];
}

static void rotate(struct run *r, const char *path)
{
	char one[64], two[64], three[64];

	snprintf(one, sizeof one, "%s.1", path);
	snprintf(two, sizeof two, "%s.2", path);
	snprintf(three, sizeof three, "%s.3", path);
	disk_rename(r->an, two, three);
	disk_rename(r->an, one, two);
	if (world_rnd(r->w, 2) == 0) {
		disk_rename(r->an, path, one);
	} else {
		disk_copy_truncate(r->an, path, one);
	}
}

/* The port is the number: in front of what a cap may cut away. */
static int make_line(char out[static LINE_ROOM], unsigned number, bool is_long)
{
	int n = snprintf(out, LINE_ROOM,
			 "Nov 22 15:%02u:%02u host sshd[%u]: Failed password "
			 "for root from 192.0.2.7 port %u ssh2",
			 number / 60, number % 60, 1000 + number,
			 PORT + number);

	if (is_long) {
		memset(out + n, 'x', 3000);
		n += 3000;
	}
	out[n] = '\n';
	out[n + 1] = '\0';
	return n + 1;
}

static void write_line(void *arg)
{
	struct run *r = arg;
	const struct scenario *sc = scenario_of(r);
	uint64_t pace = sc->pace_ms > 0 ? sc->pace_ms : 120;
	size_t file = sc->files > 1 ? (size_t)world_rnd(r->w, sc->files) : 0;
	char line[LINE_ROOM];
	int n;

	if (r->partial) {
		disk_append(r->an, file_name(r->partial_file), r->tail,
			    strlen(r->tail));
		r->partial = false;
	} else {
		if (r->written % 30 == 29) {
			rotate(r, file_name(file));
		}
		n = make_line(line, r->written,
			      sc->long_lines && r->written % 7 == 3);
		r->written++;
		if (world_rnd(r->w, 8) == 0) {
			size_t cut = 1 + world_rnd(r->w, (uint64_t)n - 2);

			strcpy(r->tail, line + cut);
			r->partial = true;
			r->partial_file = file;
			n = (int)cut;
		}
		disk_append(r->an, file_name(file), line, (size_t)n);
	}
	if (r->written < LINES || r->partial) {
		world_after(r->w, NULL,
			    (int64_t)(1 + world_rnd(r->w, pace)) * MS,
			    write_line, r);
	}
}

static void cut_links(void *arg)
{
	struct run *r = arg;

	world_cut_links(r->w);
}

/* ---- what a scenario has happen ---- */

struct happening {
	struct run *r;
	enum event_kind kind;
};

static void on_paused(void *arg)
{
	struct run *r = arg;

	agent_free(r->agent);
	r->agent = NULL;
	node_retire(r->an);
}

static void kill_now(struct node *n, bool power)
{
	if (node_alive(n) && !node_dying(n)) {
		node_kill(n, power);
	}
}

static void happen(void *arg)
{
	struct happening h = *(struct happening *)arg;
	struct run *r = h.r;

	free(arg);
	switch (h.kind) {
	case COLLECTOR_GOES:
		r->collector_away = true;
		kill_now(r->cn, false);
		break;
	case COLLECTOR_COMES:
		r->collector_away = false;
		world_after(r->w, NULL, MS, start_collector, r);
		break;
	case COLLECTOR_BACKUP:
		r->backup = disk_back_up(r->cn, "/store");
		break;
	case COLLECTOR_RESTORED: /* Without a backup: wiped. */
		r->restore = true;
		kill_now(r->cn, false);
		break;
	case AGENT_STOPS:
		r->agent_away = true;
		if (r->agent != NULL) {
			agent_stop(r->agent, on_paused, r);
		}
		break;
	case AGENT_DIES:
		kill_now(r->an, false);
		break;
	case AGENT_LOSES_POWER:
		kill_now(r->an, true);
		break;
	case AGENT_COMES:
		r->agent_away = false;
		world_after(r->w, NULL, MS, start_agent, r);
		break;
	case AGENT_DISK_FULL:
	case AGENT_DISK_FREE:
		disk_set_full(r->an, h.kind == AGENT_DISK_FULL);
		break;
	case COLLECTOR_DISK_FULL:
	case COLLECTOR_DISK_FREE:
		disk_set_full(r->cn, h.kind == COLLECTOR_DISK_FULL);
		break;
	case AGENT_SYNC_FAILS:
		disk_fail_sync(r->an, 1 + world_rnd(r->w, 3));
		break;
	case COLLECTOR_SYNC_FAILS:
		disk_fail_sync(r->cn, 1 + world_rnd(r->w, 3));
		break;
	case EVENTS_END:
		break;
	}
}

static void plan_events(struct run *r)
{
	const struct event_plan *e = scenario_of(r)->events;

	for (; e != NULL && e->kind != EVENTS_END; e++) {
		struct happening *h = malloc(sizeof *h);

		if (h == NULL) {
			exit(2);
		}
		*h = (struct happening){r, e->kind};
		/* Not to the millisecond: another seed, another moment. */
		world_after(r->w, NULL,
			    (int64_t)e->at_ms * MS +
				    (int64_t)world_rnd(r->w, 300) * MS,
			    happen, h);
	}
}

/* ---- the check ---- */

static bool number_of(struct slice line, uint64_t *number)
{
	size_t at = slice_rfind(line, SLICE_LIT("port "));
	size_t n = 0;

	if (at == SIZE_MAX) {
		return false;
	}
	line = slice_skip(line, at + 5);
	while (n < line.n && line.p[n] >= '0' && line.p[n] <= '9') {
		n++;
	}
	if (!slice_to_u64(slice_head(line, n), PORT + LINES - 1, number) ||
	    *number < PORT) {
		return false;
	}
	*number -= PORT;
	return true;
}

/* A first walk over the store: which streams say of themselves that they may
 * repeat another's lines (delivery.md, rule 4). */
static void on_opening(void *arg, const struct record *rec)
{
	struct run *r = arg;

	if ((rec->flags & RECORD_FORK) != 0 && r->n_forks < FORKS_MAX) {
		r->forks[r->n_forks++] = rec->stream;
	}
}

static bool is_fork(const struct run *r, const struct stream_id *id)
{
	for (size_t i = 0; i < r->n_forks; i++) {
		if (memcmp(&r->forks[i], id, sizeof *id) == 0) {
			return true;
		}
	}
	return false;
}

static void on_record(void *arg, const struct record *rec)
{
	struct run *r = arg;
	uint64_t number;

	if (run_verbose) {
		printf("%02x%02x [%llu,%llu) flags %x: %.*s\n",
		       rec->stream.b[0], rec->stream.b[1],
		       (unsigned long long)rec->start,
		       (unsigned long long)rec->end, rec->flags,
		       (int)(rec->line.n < 150 ? rec->line.n : 150),
		       rec->line.p == NULL ? "" : rec->line.p);
	}
	if ((rec->flags & (RECORD_GAP | RECORD_GAP_OPEN)) != 0) {
		/* A fork says where its lines before it are: elsewhere. */
		r->gaps += !slice_eq(rec->line, SLICE_LIT("fork"));
		return;
	}
	r->alerts += (rec->flags & RECORD_ALERT) != 0;
	if ((rec->flags & (RECORD_OPEN | RECORD_CLOSE | RECORD_SKIP |
			   RECORD_ALERT)) != 0) {
		return;
	}
	if (!number_of(rec->line, &number)) {
		r->unknown++;
		return;
	}
	if (is_fork(r, &rec->stream)) {
		r->forked[number]++;
	} else {
		r->seen[number]++;
	}
}

static bool check(struct run *r)
{
	unsigned lost = 0, doubled = 0, repeated = 0, first_bad = LINES;
	int rc;

	rc = check_store(node_sys(r->cn), "/store", on_opening, r);
	if (rc == 0) {
		rc = check_store(node_sys(r->cn), "/store", on_record, r);
	}
	for (unsigned i = 0; i < LINES; i++) {
		bool gone = r->seen[i] == 0 && r->forked[i] == 0;

		lost += gone;
		doubled += r->seen[i] > 1;
		repeated += r->seen[i] + r->forked[i] > 1;
		if ((gone || r->seen[i] > 1) && first_bad == LINES) {
			first_bad = i;
		}
	}
	run_repeated += repeated > 0 && doubled == 0;
	/* Where a store went back, what was told as a gap may be gone. */
	if (scenario_of(r)->may_gap && r->gaps > 0) {
		lost = 0;
	}
	if (rc == 0 && lost == 0 && doubled == 0 && r->unknown == 0 &&
	    (r->gaps == 0 || scenario_of(r)->may_gap) && r->refused == 0 &&
	    (r->alerts > 0 || !scenario_of(r)->detectors) && r->stopped &&
	    (scenario_of(r)->calls_max == 0 ||
	     node_calls(r->an) <= scenario_of(r)->calls_max)) {
		return true;
	}
	printf("FAILED (%s): calls %llu, lost %u, doubled %u, first line %u, unknown %u, gaps "
	       "%u, alerts %u, refused to start %u, stopped %d, store: %s\n",
	       scenario_of(r)->name, (unsigned long long)node_calls(r->an),
	       lost, doubled, first_bad, r->unknown, r->gaps, r->alerts, r->refused,
	       r->stopped, err_str(rc));
	printf("  again with: sim --seed %llu --scenario %s --kill-node %d "
	       "--kill-call %llu%s\n",
	       (unsigned long long)r->plan.seed, scenario_of(r)->name,
	       r->plan.kill_node,
	       (unsigned long long)r->plan.kill_call,
	       r->plan.power_cut ? " --power" : "");
	return false;
}

/* ---- one run ---- */

static void set_up(struct run *r)
{
	static struct link_peer agent_peer, collector_peer;
	struct config_errors errs = {0};
	char yaml[2048];

	agent_peer.key_hash = device_hash();
	agent_peer.name = "device";
	agent_peer.address = "192.0.2.1:1";
	agent_peer.spki = SLICE_LIT(DEVICE_KEY);
	collector_peer = agent_peer;
	collector_peer.name = "collector.example";
	r->w = world_new(r->plan.seed);
	r->an = node_new(r->w, "agent", died, r);
	r->cn = node_new(r->w, "collector", died, r);
	disk_mkdir(r->an, "/log");
	disk_mkdir(r->an, "/state");
	r->net = node_net(r->an, r->cn, &agent_peer, &collector_peer);
	node_listen(r->cn, accept_link, r);
	snprintf(yaml, sizeof yaml, agent_yaml,
		 scenario_of(r)->detectors ? "true" : "false",
		 scenario_of(r)->yaml != NULL ? scenario_of(r)->yaml : "");
	if (config_parse_agent("sim", slice_str(yaml), &r->ac, &errs) != 0) {
		fprintf(stderr, "%s\n", errs.text[0]);
		exit(2);
	}
	r->co = (struct collector_options){
		.store_dir = (char *)(uintptr_t) "/store",
		.sync_interval_ms = 20,
		.output_file = (char *)(uintptr_t) "",
		.window_log = 17,
		.segment_max = 1024 * 1024,
		.decoders_max = 4,
	};
}

/* Runs until the writer is done and the agent has stopped in peace. */
static void drive(struct run *r)
{
	start_collector(r);
	start_agent(r);
	world_after(r->w, NULL, second, write_line, r);
	world_after(r->w, NULL, 4 * second, cut_links, r);
	plan_events(r);
	if (r->plan.kill_node == 1 || r->plan.kill_node == 3) {
		node_kill_at(r->an, r->plan.kill_node == 3
					    ? 1 + world_rnd(r->w, 400)
					    : r->plan.kill_call,
			     r->plan.power_cut);
	}
	if (r->plan.kill_node == 2 || r->plan.kill_node == 3) {
		node_kill_at(r->cn, r->plan.kill_node == 3
					    ? 1 + world_rnd(r->w, 400)
					    : r->plan.kill_call,
			     r->plan.power_cut);
	}
	while (r->written < LINES || r->partial) {
		world_run(r->w, world_now_ns(r->w) + second);
	}
	world_run(r->w, (int64_t)scenario_of(r)->until_ms * MS);
	/* A rotated file is kept open a while; a lost connection takes its time. */
	world_run(r->w, world_now_ns(r->w) +
				(scenario_of(r)->events != NULL ? 300 : 40) *
					second);
	for (int i = 0; i < 10 && !r->stopped; i++) {
		if (!r->stopping && r->agent != NULL) {
			stop_agent(r);
		}
		world_run(r->w, world_now_ns(r->w) + 20 * second);
	}
}

bool run_one(struct plan plan, uint64_t calls[2])
{
	struct run *r = calloc(1, sizeof *r);
	bool ok;

	if (r == NULL) {
		exit(2);
	}
	r->plan = plan;
	set_up(r);
	drive(r);
	calls[0] = node_calls(r->an);
	calls[1] = node_calls(r->cn);
	agent_free(r->agent);
	r->agent = NULL;
	node_retire(r->an);
	if (r->collector != NULL) {
		collector_free(r->collector);
		r->collector = NULL;
	}
	node_retire(r->cn);
	node_revive(r->cn);
	node_kill_at(r->cn, 0, false);
	ok = check(r);
	agent_config_free(r->ac);
	world_free(r->w);
	free(r);
	return ok;
}
