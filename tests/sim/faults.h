/* faults: what happens to a rig besides lines being written: at planned moments
 * (scenarios.c), or drawn from the seed. */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include "tests/sim/rig.h"

enum event_kind {
	EVENTS_END,
	COLLECTOR_GOES, COLLECTOR_COMES,
	COLLECTOR_DIES, COLLECTOR_LOSES_POWER,
	COLLECTOR_RESTARTS, /* cleanly */
	COLLECTOR_BACKUP, COLLECTOR_RESTORED, /* without a backup: wiped */
	COLLECTOR_DISK_FULL, COLLECTOR_DISK_FREE, COLLECTOR_SYNC_FAILS,
	COLLECTOR_BIT_FLIPS, /* while it is off, for a moment */
	COLLECTOR_CLOCK_JUMPS,
	AGENT_STOPS, AGENT_COMES, AGENT_DIES, AGENT_LOSES_POWER,
	AGENT_DISK_FULL, AGENT_DISK_FREE, AGENT_SYNC_FAILS,
	AGENT_BIT_FLIPS,    /* in its state or its spool, likewise */
	AGENT_CLOCK_JUMPS,
	AGENT_BACKUP, AGENT_RESTORED, /* the machine, logs and all */
	AGENT_CLONED,       /* a second machine goes on from the backup */
	LINKS_RESET, LINKS_HALF_OPEN,
	PARTED, JOINED,     /* the network between them */
	OTHER_STORE, FIRST_STORE, /* the collector's name leads to another one */
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
	uint64_t calls_max;  /* I/O calls of the agent; 0: no limit */
	const struct event_plan *events; /* to EVENTS_END; NULL: none */
};

/* Plans the events, each up to 300 ms late. */
void faults_plan(struct rig *r, const struct event_plan *events);
/* Everything from the seed: how lines are written, what fails and when.  Returns
 * until when, in ms. */
unsigned faults_draw(struct rig *r);
/* Additions to the agent's configuration, from the seed; may be NULL. */
const char *faults_draw_yaml(uint64_t seed);
/* Whatever is broken works again, whoever is away comes back. */
void faults_end(struct rig *r);

#endif
