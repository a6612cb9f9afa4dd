/* rig: the machines of a run and the daemons on them: devices with an agent and a
 * writer of log lines, hosts with a collector.  It starts what died, and keeps count
 * of what a run may be excused for. */
#ifndef TESTS_SIM_RIG_H
#define TESTS_SIM_RIG_H

#include "agent/agent.h"
#include "collector/core.h"
#include "config/config.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { RIG_DEVICES = 2, RIG_STORES = 2, RIG_STREAMS = 512, RIG_DEATHS = 60 };

/* Of every device of a simulation: they are clones of each other. */
#define SIM_DEVICE_KEY "stands for a public key"
struct hash32 sim_device_hash(void);
const struct link_peer *sim_device_peer(void);
const struct link_peer *sim_collector_peer(void);
/* heads.c */
int sim_head_sign(const struct head *h, struct slice key, struct buf *out);

struct rig;

struct device {
	struct rig *rig;
	struct node *node;
	struct net *net;
	struct agent *agent;
	struct writer writer;
	uint8_t machine[32];
	bool used, away, stopping, stopped;
	struct disk_backup *logs, *state; /* of one moment */
	struct writer_backup written;
	bool restore;
	unsigned alone; /* starts without a collector in reach */
	unsigned starts;
};

/* What a collector has acknowledged of a stream. */
struct promise {
	struct stream_id id;
	uint64_t durable;
};

struct host {
	struct rig *rig;
	struct node *node;
	struct collector *collector;
	struct collector_options options;
	bool away, stopping;
	struct disk_backup *backup;
	bool restore; /* starts from the backup; without one: wiped */
	bool flip;    /* a bit turns before it starts */
	struct promise promises[RIG_STREAMS];
	size_t n_promises;
	bool lapsed;  /* it has lost its disk: promises are void */
};

/* A stream that some store has held bytes of: which contents these may be. */
struct known {
	struct stream_id id;
	uint64_t contents; /* a bit for each */
	bool fork;
	bool read;         /* bytes of it, at: */
	int64_t read_ns;   /* on the clock of the machine that read the first ones */
	uint64_t start, end; /* of those that are known */
	bool ambiguous;    /* before the judge has settled which content it is */
};

/* A store has held this of a stream, and which content that is can't be told yet: it
 * was the first line alone, which logs may share. */
struct late {
	struct stream_id id;
	uint64_t start, end;
	uint8_t held;
};

struct rig {
	uint64_t seed;
	struct world *w;
	struct device devices[RIG_DEVICES];
	struct host hosts[RIG_STORES];
	unsigned host; /* that devices reach */
	bool shared;   /* the hosts have one store, on one disk */
	/* Each message, when it is sent; may be NULL. */
	void (*on_said)(struct rig *r, const struct node *from, uint8_t type);
	struct agent_config *config;
	struct truth truth;
	struct known known[RIG_STREAMS];
	size_t n_known;
	struct late late[RIG_STREAMS];
	size_t n_late;

	bool kill_devices, kill_hosts; /* again and again, while lines are written */
	bool power;                    /* sometimes by their power */
	unsigned restart_ms;           /* at most, after a death */

	uint64_t happened; /* a bit for each kind of event */
	unsigned deaths, agent_deaths, refused, broken_promises;
	bool met;         /* something was acknowledged */
	bool rolled_back; /* a store, a device was put back, copied or damaged */
	bool damaged;     /* a bit of a store has turned */
	bool moved;       /* a device was put back, or copied */
	bool cloned;      /* and the copy and the original both go on */
};

/* yaml: added to the agent's configuration; may be NULL. */
void rig_init(struct rig *r, uint64_t seed, const char *yaml, bool detectors);
void rig_fini(struct rig *r);

void rig_start_device(struct device *d);
/* As soon as the world runs on. */
void rig_start_host(struct host *h);
void rig_kill(struct node *n, bool power);
/* The agent ends cleanly and stays away until rig_start_device(). */
void rig_pause_device(struct device *d);
/* Likewise, for good: d->stopped. */
void rig_stop_device(struct device *d);
void rig_stop_host(struct host *h);
bool rig_is_writing(const struct rig *r);
/* The first device and the first host die at some call, if they are to. */
void rig_arm(struct rig *r);
/* Of all devices and hosts: no call makes them die any more. */
void rig_calm(struct rig *r);
/* Everything is off, disks can be read. */
void rig_end(struct rig *r);
extern bool rig_verbose;
/* Of the run under way, for what is printed; NULL: none. */
extern const struct world *rig_world;

#endif
