/* internal: what world.c, disk.c and net.c of the simulation share. */
#ifndef TESTS_SIM_INTERNAL_H
#define TESTS_SIM_INTERNAL_H

#include "tests/sim/world.h"

struct event_ {
	struct event_ *next;
	int64_t at_ns;
	struct node *node;
	uint64_t life; /* of the node when it was planned */
	void (*fn)(void *arg);
	void *arg;
	void (*drop)(void *arg); /* when it does not happen; may be NULL */
};

struct sys_timer {
	struct sys_timer *next;
	struct node *node;
	sys_timer_cb cb;
	void *arg;
	uint64_t set; /* which timer_set() counts; 0: stopped */
};

struct inode;
struct name_;
struct sim_link;

enum { SIM_FDS = 512, SIM_SKEWS = 16, SIM_LIVES = 512 };

struct node {
	struct sys sys; /* first: calls cast back */
	struct sys_ops ops;
	struct node *next;
	struct world *w;
	const char *name;
	void (*died)(void *arg, struct node *n);
	void *arg;
	bool alive, dying, power_cut, frozen;
	uint64_t life, calls, kill_at;
	int64_t stopped_until_ns; /* SIGSTOP, SIGCONT */
	int64_t slow_ns; /* its jobs take from half of that up to it */
	int64_t skew_ns; /* its wall clock is off by so much */
	struct {
		int64_t until_ns, skew_ns;
	} skews[SIM_SKEWS]; /* before that */
	size_t n_skews;
	struct {
		int64_t from_ns, until_ns;
	} lives[SIM_LIVES]; /* of its processes that have ended: the latest */
	size_t n_lives;
	int64_t alive_since_ns;
	bool isolated;   /* nothing reaches it, nothing leaves it */
	struct sys_timer *timers;

	struct node *disk;        /* whose it uses: its own, or another's */
	void (*between)(void *arg); /* before each call: others on the machine */
	void *between_arg;
	bool disk_full;           /* no write grows a file */
	uint64_t syncs, fail_sync; /* the fail_sync-th ends with EIO */
	uint64_t disk_faults;      /* calls that such a fault has failed */
	struct name_ *names;
	struct inode *inodes;
	uint64_t next_ino;
	struct inode *fds[SIM_FDS];
	const struct link_cbs *(*accept)(void *arg, struct link *l,
					 const struct link_peer *peer);
	void *accept_arg;
};

struct world {
	uint64_t seed;
	int64_t now_ns;
	struct event_ *events;
	struct node *nodes;
	struct sim_link *links;
	struct sim_net *nets;
	uint64_t sets;
	uint64_t n_events;
	uint64_t trace; /* hash of everything that has happened */
	struct network network;
	void (*watch)(void *arg, struct node *from, uint8_t type,
		      struct slice payload);
	void *watch_arg;
};

/* Mixes a number into the trace. */
static inline void sim_trace(struct world *w, uint64_t v)
{
	w->trace = (w->trace ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	w->trace ^= w->trace >> 29;
}

static inline struct node *sim_node_of(struct sys *s)
{
	return (struct node *)s;
}

void *sim_alloc(size_t n);
void world_at(struct world *w, struct node *n, int64_t at_ns,
	      void (*fn)(void *arg), void *arg, void (*drop)(void *arg));
/* One I/O call of the node: false when it is dead, or dies here. */
bool sim_call(struct node *n);

void sim_disk_ops(struct sys_ops *ops);
void sim_disk_crash(struct node *n, bool power_cut);
void sim_disk_free(struct node *n);
void sim_net_node_died(struct node *n);
void sim_net_free(struct world *w);

#endif
