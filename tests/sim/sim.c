/* sim: one agent and one collector in one process on virtual time.
 *
 *   sim [--seed N] [--runs N] [--scenario NAME] [--kill agent|collector]
 *       [--every N] [--verbose]
 *   sim --scenarios [--seed N] [--runs N]
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

#include "common/log.h"
#include "tests/sim/run.h"
#include "wire/crypto.h"

/* Kills the node at every call from `from` on that a run without kills makes. */
static unsigned kill_everywhere(struct plan base, int node, uint64_t every)
{
	uint64_t calls[2], ignored[2];
	unsigned failed = 0, runs = 0;

	if (!run_one(base, calls)) {
		return 1;
	}
	for (uint64_t at = 1; at <= calls[node - 1]; at += every) {
		for (int power = 0; power < 2; power++) {
			struct plan p = {base.seed, node, at, power != 0,
					 base.scenario};

			runs++;
			failed += !run_one(p, ignored);
		}
	}
	printf("seed %llu: %s killed at %llu of its %llu I/O calls, by signal "
	       "and by power: %u runs, %u failed\n",
	       (unsigned long long)base.seed, node == 1 ? "agent" : "collector",
	       (unsigned long long)(calls[node - 1] + every - 1) / every,
	       (unsigned long long)calls[node - 1], runs, failed);
	return failed;
}

static unsigned random_runs(struct plan base, uint64_t runs)
{
	uint64_t seed = base.seed;
	uint64_t calls[2];
	unsigned failed = 0;

	for (uint64_t i = 0; i < runs; i++) {
		failed += !run_one((struct plan){.seed = seed + i,
						 .kill_node = 3,
						 .scenario = base.scenario},
				   calls);
	}
	printf("seeds %llu to %llu with random kills: %llu runs, %u failed; in %u a "
	       "line came twice and was flagged\n",
	       (unsigned long long)seed,
	       (unsigned long long)(seed + runs - 1),
	       (unsigned long long)runs, failed, run_repeated);
	return failed;
}

/* Every scenario, from this seed on. */
static unsigned all_scenarios(uint64_t seed, uint64_t runs)
{
	uint64_t calls[2];
	unsigned failed = 0;

	for (unsigned i = 0; scenario_at(i) != NULL; i++) {
		unsigned bad = 0;

		for (uint64_t k = 0; k < runs; k++) {
			bad += !run_one((struct plan){.seed = seed + k,
						      .scenario =
							      scenario_at(i)},
					calls);
		}
		printf("%-32s %llu runs, %u failed\n", scenario_at(i)->name,
		       (unsigned long long)runs, bad);
		failed += bad;
	}
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
		{"scenario", required_argument, NULL, 'S'},
		{"scenarios", no_argument, NULL, 'A'},
		{"verbose", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	struct plan one = {.seed = 1};
	uint64_t runs = 1, every = 1, calls[2];
	const char *kill_name = NULL;
	bool replay = false, all = false;
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
		case 'S':
			one.scenario = scenario_named(optarg);
			if (one.scenario == NULL &&
			    strcmp(optarg, "plain") != 0) {
				fprintf(stderr, "no such scenario\n");
				return 2;
			}
			break;
		case 'A':
			all = true;
			break;
		case 'v':
			run_verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (run_verbose) {
		log_set_level(LOG_LEVEL_DEBUG);
	} else {
		log_set_level(LOG_LEVEL_ERROR);
	}
	if (crypto_init() != 0) {
		return 2;
	}
	if (all) {
		failed = all_scenarios(one.seed, runs);
	} else if (replay) {
		failed = !run_one(one, calls);
	} else if (kill_name != NULL) {
		failed = kill_everywhere(one,
					 strcmp(kill_name, "agent") == 0 ? 1 : 2,
					 every == 0 ? 1 : every);
	} else {
		failed = random_runs(one, runs);
	}
	return failed == 0 ? 0 : 1;
}
