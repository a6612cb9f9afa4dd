/* run: one agent, one collector, one writer of numbered lines, and whatever happens
 * to them, from one seed; in the end each line must be in the store once. */
#ifndef TESTS_SIM_RUN_H
#define TESTS_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>

enum event_kind {
	EVENTS_END,
	COLLECTOR_GOES, COLLECTOR_COMES,
	COLLECTOR_BACKUP, COLLECTOR_RESTORED, /* without a backup: wiped */
	AGENT_STOPS, AGENT_COMES, AGENT_DIES, AGENT_LOSES_POWER,
	AGENT_DISK_FULL, AGENT_DISK_FREE, AGENT_SYNC_FAILS,
	COLLECTOR_DISK_FULL, COLLECTOR_DISK_FREE, COLLECTOR_SYNC_FAILS,
};

struct event_plan {
	unsigned at_ms; /* from the start of the world */
	enum event_kind kind;
};

struct scenario {
	const char *name;
	const char *yaml;    /* added to the agent's configuration; may be NULL */
	unsigned files;      /* 0, 1: one */
	unsigned pace_ms;    /* at most so long between two lines; 0: 120 */
	unsigned until_ms;   /* goes on at least so long */
	bool long_lines, detectors;
	bool may_gap;        /* gaps may be reported */
	uint64_t calls_max;  /* I/O calls of the agent; 0: no limit */
	const struct event_plan *events; /* to EVENTS_END; NULL: none */
};

struct plan {
	uint64_t seed;
	int kill_node;       /* 0 none, 1 agent, 2 collector, 3 random */
	uint64_t kill_call;
	bool power_cut;
	const struct scenario *scenario; /* NULL: none */
};

extern bool run_verbose;
/* Runs in which a line came twice, flagged: the second copy in a stream that says
 * that it may repeat another. */
extern unsigned run_repeated;

/* calls: how many I/O calls agent and collector have made.  false: something is
 * wrong, and was printed with the command that repeats it. */
bool run_one(struct plan plan, uint64_t calls[2]);

/* scenarios.c: the named one, or the i-th; NULL: none. */
const struct scenario *scenario_named(const char *name);
const struct scenario *scenario_at(unsigned i);

#endif
