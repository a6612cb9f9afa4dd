/* run: one run of the simulation: machines, a writer of numbered lines, and whatever
 * happens to them, from one seed; in the end every byte that was written is
 * accounted for (judge.h). */
#ifndef TESTS_SIM_RUN_H
#define TESTS_SIM_RUN_H

#include "tests/sim/faults.h"

struct plan {
	uint64_t seed;
	const struct scenario *scenario; /* NULL: everything is drawn */
	bool kills;          /* random ones, again and again; with a scenario */
	int kill_node;       /* 0 none, 1 agent, 2 collector: at this call */
	uint64_t kill_call;
	bool power_cut;
	bool compress;       /* rotated logs are compressed */
	bool between;        /* others act between two calls of the agent */
};

struct run_outcome {
	bool ok;
	uint64_t calls[2];   /* of the agent, of the collector */
	uint64_t trace;      /* two runs of one plan have the same */
	unsigned deaths;
	unsigned repeated;   /* bytes that are there once more, flagged */
	unsigned told;       /* bytes told as lost, rightly */
	unsigned doubled;    /* bytes twice, not flagged, by a copied machine */
	bool limited;        /* lost lines, and docs/delivery.md says why */
	bool mixed;          /* lines of two copies of a machine in one stream */
	bool excused;        /* something was put back, copied or damaged */
};

/* Prints what is wrong and the command that repeats it. */
void run_one(const struct plan *p, struct run_outcome *out);

/* scenarios.c: the named one, or the i-th; NULL: none. */
const struct scenario *scenario_named(const char *name);
const struct scenario *scenario_at(unsigned i);
/* Lines, and nothing else. */
extern const struct scenario scenario_plain;

#endif
