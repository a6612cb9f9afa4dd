/* sim: one agent and one collector in one process on virtual time.
 *
 *   sim [--seed N] [--runs N] [--kill agent|collector] [--every N] [--verbose]
 *
 * Without --kill: runs from seed N on, with random kills and power cuts.  With it:
 * the node is killed at every I/O call in turn (every N-th), once as a process
 * and once with its power, and comes back.  Meanwhile a writer appends numbered
 * lines, now and then in two pieces, and rotates the file by rename and by
 * copy-truncate.  In the end the store must hold each line exactly once, in order
 * within its stream.  A failure prints the command that repeats it. */
#include <getopt.h>
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

enum { LINES = 90, MS = 1000000, LINE_ROOM = 160, DEATHS_MAX = 40 };
static const int64_t second = INT64_C(1000000000);

struct plan {
	uint64_t seed;
	int kill_node;       /* 0 none, 1 agent, 2 collector, 3 random */
	uint64_t kill_call;
	bool power_cut;
};

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
	unsigned seen[LINES];
	unsigned unknown, gaps, disorder, refused;
	struct stream_id last_stream;
	char tail[LINE_ROOM];
};

static bool verbose;

static const char agent_yaml[] =
	"identity:\n  certificate: /id/cert\n  key: /id/key\n"
	"  authority: /id/ca\n"
	"collector: collector.example:7514\n"
	"state: /state\n"
	"sources:\n  files:\n    - paths: [/log/auth.log]\n      from: beginning\n"
	"detectors:\n  enabled: false\n"
	"spool:\n  directory: /state/spool\n";

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

	if (verbose) {
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
	    r->deaths < DEATHS_MAX) {
		node_kill_at(n, node_calls(n) + 1 + world_rnd(r->w, 400),
			     world_rnd(r->w, 3) == 0);
	}
}

/* ---- the writer ---- */

static void rotate(struct run *r)
{
	disk_rename(r->an, "/log/auth.log.2", "/log/auth.log.3");
	disk_rename(r->an, "/log/auth.log.1", "/log/auth.log.2");
	if (world_rnd(r->w, 2) == 0) {
		disk_rename(r->an, "/log/auth.log", "/log/auth.log.1");
	} else {
		disk_copy_truncate(r->an, "/log/auth.log", "/log/auth.log.1");
	}
}

static void write_line(void *arg)
{
	struct run *r = arg;
	char line[LINE_ROOM];
	int n;

	if (r->partial) {
		disk_append(r->an, "/log/auth.log", r->tail, strlen(r->tail));
		r->partial = false;
	} else {
		if (r->written % 30 == 29) {
			rotate(r);
		}
		n = snprintf(line, sizeof line,
			     "Nov 22 15:00:%02u host sshd[%u]: Failed password "
			     "for root from 192.0.2.%u port %u ssh2 #%u\n",
			     r->written % 60, 1000 + r->written,
			     1 + r->written % 200, 1024 + r->written,
			     r->written);
		r->written++;
		if (world_rnd(r->w, 8) == 0) {
			size_t cut = 1 + world_rnd(r->w, (uint64_t)n - 2);

			strcpy(r->tail, line + cut);
			r->partial = true;
			n = (int)cut;
		}
		disk_append(r->an, "/log/auth.log", line, (size_t)n);
	}
	if (r->written < LINES || r->partial) {
		world_after(r->w, NULL, (int64_t)(1 + world_rnd(r->w, 120)) * MS,
			    write_line, r);
	}
}

static void cut_links(void *arg)
{
	struct run *r = arg;

	world_cut_links(r->w);
}

/* ---- the check ---- */

static void on_record(void *arg, const struct record *rec)
{
	struct run *r = arg;
	size_t at = slice_rfind(rec->line, SLICE_LIT("#"));
	uint64_t number;

	if ((rec->flags & (RECORD_GAP | RECORD_GAP_OPEN)) != 0) {
		/* A fork says where its lines before it are: elsewhere. */
		r->gaps += !slice_eq(rec->line, SLICE_LIT("fork"));
		return;
	}
	if ((rec->flags & (RECORD_OPEN | RECORD_CLOSE | RECORD_SKIP |
			   RECORD_ALERT)) != 0) {
		return;
	}
	if (verbose) {
		printf("%02x%02x [%llu,%llu) flags %x: %.*s\n",
		       rec->stream.b[0], rec->stream.b[1],
		       (unsigned long long)rec->start,
		       (unsigned long long)rec->end, rec->flags,
		       SLICE_ARG(rec->line));
	}
	if (at == SIZE_MAX ||
	    !slice_to_u64(slice_skip(rec->line, at + 1), LINES - 1, &number)) {
		r->unknown++;
		return;
	}
	r->seen[number]++;
}

static bool check(struct run *r)
{
	unsigned lost = 0, doubled = 0, first_bad = LINES;
	int rc;

	rc = check_store(node_sys(r->cn), "/store", on_record, r);
	for (unsigned i = 0; i < LINES; i++) {
		lost += r->seen[i] == 0;
		doubled += r->seen[i] > 1;
		if (r->seen[i] != 1 && first_bad == LINES) {
			first_bad = i;
		}
	}
	if (rc == 0 && lost == 0 && doubled == 0 && r->unknown == 0 &&
	    r->gaps == 0 && r->refused == 0 && r->stopped) {
		return true;
	}
	printf("FAILED: lost %u, doubled %u, first line %u, unknown %u, gaps "
	       "%u, refused to start %u, stopped %d, store: %s\n",
	       lost, doubled, first_bad, r->unknown, r->gaps, r->refused,
	       r->stopped, err_str(rc));
	printf("  again with: sim --seed %llu --kill-node %d --kill-call %llu%s\n",
	       (unsigned long long)r->plan.seed, r->plan.kill_node,
	       (unsigned long long)r->plan.kill_call,
	       r->plan.power_cut ? " --power" : "");
	return false;
}

/* ---- one run ---- */

static void set_up(struct run *r)
{
	static struct link_peer agent_peer, collector_peer;
	struct config_errors errs = {0};

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
	if (config_parse_agent("sim", slice_str(agent_yaml), &r->ac, &errs) !=
	    0) {
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
	/* A rotated file is kept open a while; a lost connection takes its time. */
	world_run(r->w, world_now_ns(r->w) + 40 * second);
	for (int i = 0; i < 10 && !r->stopped; i++) {
		if (!r->stopping && r->agent != NULL) {
			stop_agent(r);
		}
		world_run(r->w, world_now_ns(r->w) + 20 * second);
	}
}

static bool run_one(struct plan plan, uint64_t calls[2])
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

/* Kills the node at every call from `from` on that a run without kills makes. */
static unsigned kill_everywhere(uint64_t seed, int node, uint64_t every)
{
	uint64_t calls[2], ignored[2];
	unsigned failed = 0, runs = 0;

	if (!run_one((struct plan){.seed = seed}, calls)) {
		return 1;
	}
	for (uint64_t at = 1; at <= calls[node - 1]; at += every) {
		for (int power = 0; power < 2; power++) {
			struct plan p = {seed, node, at, power != 0};

			runs++;
			failed += !run_one(p, ignored);
		}
	}
	printf("seed %llu: %s killed at %llu of its %llu I/O calls, by signal "
	       "and by power: %u runs, %u failed\n",
	       (unsigned long long)seed, node == 1 ? "agent" : "collector",
	       (unsigned long long)(calls[node - 1] + every - 1) / every,
	       (unsigned long long)calls[node - 1], runs, failed);
	return failed;
}

static unsigned random_runs(uint64_t seed, uint64_t runs)
{
	uint64_t calls[2];
	unsigned failed = 0;

	for (uint64_t i = 0; i < runs; i++) {
		failed += !run_one((struct plan){.seed = seed + i,
						 .kill_node = 3},
				   calls);
	}
	printf("seeds %llu to %llu with random kills: %llu runs, %u failed\n",
	       (unsigned long long)seed,
	       (unsigned long long)(seed + runs - 1),
	       (unsigned long long)runs, failed);
	return failed;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"runs", required_argument, NULL, 'r'},
		{"kill", required_argument, NULL, 'k'},
		{"every", required_argument, NULL, 'e'},
		{"kill-node", required_argument, NULL, 'n'},
		{"kill-call", required_argument, NULL, 'c'},
		{"power", no_argument, NULL, 'p'},
		{"verbose", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	struct plan one = {.seed = 1};
	uint64_t runs = 1, every = 1, calls[2];
	const char *kill_name = NULL;
	bool replay = false;
	unsigned failed;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			one.seed = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			runs = strtoull(optarg, NULL, 10);
			break;
		case 'k':
			kill_name = optarg;
			break;
		case 'e':
			every = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			one.kill_node = (int)strtol(optarg, NULL, 10);
			replay = true;
			break;
		case 'c':
			one.kill_call = strtoull(optarg, NULL, 10);
			break;
		case 'p':
			one.power_cut = true;
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (!verbose) {
		log_set_level(LOG_LEVEL_ERROR);
	}
	if (crypto_init() != 0) {
		return 2;
	}
	if (replay) {
		failed = !run_one(one, calls);
	} else if (kill_name != NULL) {
		failed = kill_everywhere(one.seed,
					 strcmp(kill_name, "agent") == 0 ? 1 : 2,
					 every == 0 ? 1 : every);
	} else {
		failed = random_runs(one.seed, runs);
	}
	return failed == 0 ? 0 : 1;
}
