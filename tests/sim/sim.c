/* sim: agents and collectors in one process on virtual time.
 *
 *   sim --seed N --runs N [--jobs N] [--progress FILE]
 *   sim --seed N --scenario NAME [--runs N] [--kills]
 *   sim --scenarios [--seed N] [--runs N] [--kills]
 *   sim --kill agent|collector [--seed N] [--every N] [--scenario NAME]
 *   sim --seeds FILE
 *   any of them with --compress, --between, --verbose
 *
 * The first draws everything from each seed: how lines are written and rotated, what
 * fails and when.  With --progress it goes on where an earlier one with the same file
 * has ended, and tells the sum of all.  Now and then a seed is run twice: both must be
 * the same to the last call.  With --compress rotated logs are compressed besides, as
 * logrotate does it; with --between lines are written and logs rotated between any two I/O
 * calls of the agent as well, and a copy takes its time: both drawn from streams of their
 * own.  The others have planned events (scenarios.c), with
 * random kills or without; with --kill a node is killed at every I/O call in turn
 * (every N-th), once as a process and once with its power.  --seeds runs those that
 * once failed.
 *
 * In the end every byte that was written must be accounted for (judge.h).  A failure
 * prints the command that repeats it.  Exits with 1 if there was one. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/sim/range.h"
#include "tests/sim/run.h"
#include "wire/crypto.h"

struct settings {
	struct plan plan;
	uint64_t runs, every;
	unsigned jobs;
	const char *progress, *seeds, *kill;
	bool all, one;
};

/* Kills the node at every call that a run without kills makes. */
static unsigned kill_everywhere(const struct settings *s)
{
	int node = strcmp(s->kill, "agent") == 0 ? 1 : 2;
	struct plan base = s->plan;
	struct run_outcome o, ignored;
	unsigned failed = 0, runs = 0;

	base.scenario = base.scenario == NULL ? &scenario_plain : base.scenario;
	run_one(&base, &o);
	if (!o.ok) {
		return 1;
	}
	for (uint64_t at = 1; at <= o.calls[node - 1]; at += s->every) {
		for (int power = 0; power < 2; power++) {
			struct plan p = base;

			p.kill_node = node;
			p.kill_call = at;
			p.power_cut = power != 0;
			run_one(&p, &ignored);
			runs++;
			failed += !ignored.ok;
		}
	}
	printf("seed %llu: %s killed at %llu of its %llu I/O calls, by signal "
	       "and by power: %u runs, %u failed\n",
	       (unsigned long long)base.seed, s->kill,
	       (unsigned long long)((o.calls[node - 1] + s->every - 1) /
				    s->every),
	       (unsigned long long)o.calls[node - 1], runs, failed);
	return failed;
}

static unsigned scenario_runs(const struct settings *s,
			      const struct scenario *sc)
{
	unsigned failed = 0, repeated = 0;

	for (uint64_t k = 0; k < s->runs; k++) {
		struct plan p = s->plan;
		struct run_outcome o;

		p.seed += k;
		p.scenario = sc;
		run_one(&p, &o);
		failed += !o.ok;
		repeated += o.repeated > 0;
	}
	printf("%-32s %llu runs, %u failed; in %u a line stands there twice, "
	       "flagged\n",
	       sc->name, (unsigned long long)s->runs, failed, repeated);
	return failed;
}

static unsigned all_scenarios(const struct settings *s)
{
	unsigned failed = scenario_runs(s, &scenario_plain);

	for (unsigned i = 0; scenario_at(i) != NULL; i++) {
		failed += scenario_runs(s, scenario_at(i));
	}
	return failed;
}

/* ---- arguments ---- */

static const struct option options[] = {
	{"seed", required_argument, NULL, 's'},
	{"runs", required_argument, NULL, 'r'},
	{"jobs", required_argument, NULL, 'j'},
	{"progress", required_argument, NULL, 'P'},
	{"seeds", required_argument, NULL, 'f'},
	{"kill", required_argument, NULL, 'k'},
	{"every", required_argument, NULL, 'e'},
	{"kills", no_argument, NULL, 'K'},
	{"compress", no_argument, NULL, 'z'},
	{"between", no_argument, NULL, 'b'},
	{"kill-node", required_argument, NULL, 'n'},
	{"kill-call", required_argument, NULL, 'c'},
	{"power", no_argument, NULL, 'p'},
	{"scenario", required_argument, NULL, 'S'},
	{"scenarios", no_argument, NULL, 'A'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int usage(FILE *to, int status)
{
	fputs("sim --seed N --runs N [--jobs N] [--progress FILE]\n"
	      "sim --seed N --scenario NAME [--runs N] [--kills]\n"
	      "sim --scenarios [--seed N] [--runs N] [--kills]\n"
	      "sim --kill agent|collector [--seed N] [--every N] [--scenario NAME]\n"
	      "sim --seeds FILE\n"
	      "any with --compress, --between, --verbose\n",
	      to);
	return status;
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

/* false: bad. */
static bool take_option(struct settings *s, int c)
{
	switch (c) {
	case 's':
		s->plan.seed = number(optarg);
		return true;
	case 'r':
		s->runs = number(optarg);
		return true;
	case 'j':
		s->jobs = (unsigned)number(optarg);
		return s->jobs > 0 && s->jobs <= 64;
	case 'P':
		s->progress = optarg;
		return true;
	case 'f':
		s->seeds = optarg;
		return true;
	case 'k':
		s->kill = optarg;
		return strcmp(optarg, "agent") == 0 ||
		       strcmp(optarg, "collector") == 0;
	case 'e':
		s->every = number(optarg);
		return s->every > 0;
	case 'K':
		s->plan.kills = true;
		return true;
	case 'z':
		s->plan.compress = true;
		return true;
	case 'b':
		s->plan.between = true;
		return true;
	case 'n':
		s->plan.kill_node = (int)number(optarg);
		return s->plan.kill_node == 1 || s->plan.kill_node == 2;
	case 'c':
		s->plan.kill_call = number(optarg);
		return true;
	case 'p':
		s->plan.power_cut = true;
		return true;
	case 'S':
		s->plan.scenario = scenario_named(optarg);
		return s->plan.scenario != NULL;
	case 'A':
		s->all = true;
		return true;
	case 'v':
		rig_verbose = true;
		return true;
	default:
		return false;
	}
}

static unsigned run(const struct settings *s)
{
	if (s->seeds != NULL) {
		return range_file(s->seeds);
	}
	if (s->all) {
		return all_scenarios(s);
	}
	if (s->kill != NULL) {
		return kill_everywhere(s);
	}
	if (s->plan.scenario != NULL) {
		return scenario_runs(s, s->plan.scenario);
	}
	return range_run(&s->plan, s->runs, s->jobs, s->progress);
}

/* What the two of them log is for one run that somebody looks at. */
static void on_log(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	if (rig_verbose && rig_world != NULL) {
		printf("%.3f %.*s\n", (double)world_now_ns(rig_world) / 1e9,
		       SLICE_ARG(line));
	}
}

int main(int argc, char **argv)
{
	struct settings s = {
		.plan.seed = 1, .runs = 1, .every = 1, .jobs = 1};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			return usage(stdout, 0);
		}
		if (!take_option(&s, c)) {
			return usage(stderr, 2);
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_set_level(rig_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	log_set_sink(on_log, NULL);
	if (crypto_init() != 0) {
		return 2;
	}
	return run(&s) == 0 ? 0 : 1;
}
