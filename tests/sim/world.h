/* world: a machine room in one process: a virtual clock, nodes (an agent, a
 * collector), each with a disk of its own, and links between them, all from one
 * seed, so that a failing run can be run again to the letter.
 *
 * A node runs real code against a struct sys (common/sys.h) and struct link
 * (wire/link.h) of this world.  Killing it at an I/O call means: that call and
 * every later one of the node fail without any effect, and when the code has
 * returned to the world, its memory is given back by its own *_free(), which is
 * promised to touch nothing.
 *
 * Disk      Files are bytes in memory in two states: as seen, and as synced.
 *           A killed process keeps the first, a power cut falls back to the
 *           second (names: to the last sync of their folder, or, by a coin, not);
 *           what was appended since may be there, torn at any byte, or zeroes.
 *           What a failed sync was to write counts as written from then on and is
 *           not, unless it is written again.
 * Network   Messages of a link arrive in order after a delay; those of another
 *           link of the same two nodes may overtake them.  A link is reset (at one
 *           end at once, at the other when what is under way has arrived), or is
 *           half open: neither end hears anything, for minutes.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "common/sys.h"
#include "wire/link.h"

struct world;
struct node;

struct world *world_new(uint64_t seed);
void world_free(struct world *w);

/* A number from the seed, below n. */
uint64_t world_rnd(struct world *w, uint64_t n);
int64_t world_now_ns(const struct world *w);

/* Calls fn(arg) after ns.  Belongs to the node (NULL: to the world): dies with
 * it. */
void world_after(struct world *w, struct node *n, int64_t ns,
		 void (*fn)(void *arg), void *arg);

/* A hash of every call, message and moment until now: two runs of one seed agree. */
uint64_t world_trace(const struct world *w);

/* It has had so many events that something turns in a circle; no more happen. */
bool world_is_restless(const struct world *w);

/* Runs events until `until_ns` or until there are none.  When a node died in an event,
 * on_death (see node_new) is called right after it. */
void world_run(struct world *w, int64_t until_ns);

/* ---- nodes ---- */

/* died: free the node's objects; restart as you like (node_revive() first). */
struct node *node_new(struct world *w, const char *name,
		      void (*died)(void *arg, struct node *n), void *arg);
struct sys *node_sys(struct node *n);
const char *node_name(const struct node *n);
bool node_alive(const struct node *n);
/* It was killed in this event; died() is about to be called. */
bool node_dying(const struct node *n);
/* How many I/O calls (files, sends, jobs) the node has made. */
uint64_t node_calls(const struct node *n);
/* The node dies at its call number `call` (counted as node_calls()). */
void node_kill_at(struct node *n, uint64_t call, bool power_cut);
/* Dies now. */
void node_kill(struct node *n, bool power_cut);
void node_revive(struct node *n);
/* It does nothing until then (SIGSTOP, SIGCONT), and then all that it missed. */
void node_stop(struct node *n, int64_t until_ns);
/* Each of its jobs (a sync, a device to be read) takes from half of that up to it; 0: as
 * long as ever. */
void node_set_slow(struct node *n, int64_t ns);
/* Its wall clock is off by so much from now on. */
void node_set_clock(struct node *n, int64_t skew_ns);
/* What its wall clock has shown at a moment of the world's. */
int64_t node_clock_at(const struct node *n, int64_t at_ns);
/* The latest time that a process of it can have seen on its clock by then; INT64_MIN: it
 * had none. */
int64_t node_clock_highest(const struct node *n, int64_t until_ns);
/* One of its processes was alive for at least ns on end in [from_ns, until_ns): the
 * first such, from *at_ns on. */
bool node_lived_through(const struct node *n, int64_t from_ns, int64_t until_ns, int64_t ns,
			int64_t *at_ns);
/* Whether its wall clock has shown a time in [wall_ns, wall_ns + 1 ms) at some moment of
 * [from_ns, to_ns) of the world's own. */
bool node_clock_showed(const struct node *n, int64_t wall_ns, int64_t from_ns,
		       int64_t to_ns);
/* While it is frozen its disk can be read from outside, whatever state it is in. */
void node_freeze(struct node *n, bool frozen);
/* Called when nothing of a node's is under way any more (clean stop). */
void node_retire(struct node *n);

/* Two processes on one disk: before either has used it.  A power cut must take both. */
void node_share_disk(struct node *n, struct node *with);

/* ---- its disk, as somebody else on the machine uses it ---- */

/* These do not count as calls of the node and always work. */
void disk_append(struct node *n, const char *path, const void *p, size_t len);
void disk_rename(struct node *n, const char *from, const char *to);
bool disk_has(struct node *n, const char *path);
/* Copies the file (as cp does) and then empties it (copy-truncate): so far that `part` of
 * 256 of it is there, or (256) to the end. */
void disk_copy_truncate(struct node *n, const char *path, const char *copy, unsigned part);
/* What `gzip path` has written to `packed` by then: `part` of 256 of it, or (256) all, and
 * then it has the file's time and the file is gone. */
void disk_gzip(struct node *n, const char *path, const char *packed, unsigned part);
void disk_mkdir(struct node *n, const char *path);
/* From now on fn(arg) is called before each of the node's I/O calls, as if the node were
 * stopped there for a moment: it may use the disk. */
void node_set_between(struct node *n, void (*fn)(void *arg), void *arg);
/* While it is full every write that would make a file longer fails (ENOSPC). */
void disk_set_full(struct node *n, bool full);
/* The k-th fdatasync() from now on ends with EIO. */
void disk_fail_sync(struct node *n, uint64_t k);
/* How many calls such faults have failed so far. */
uint64_t disk_faults(const struct node *n);
/* One bit of one file below dir turns, on the disk as well; false: there is none.
 * suffix: only files whose name ends so; NULL: any. */
bool disk_flip(struct node *n, const char *dir, const char *suffix);

/* What is below dir, as seen now: to be put back later.  disk_restore() takes away
 * what came since, with the memory of the backup; NULL: everything goes.  Not while
 * the node is alive. */
struct disk_backup;
struct disk_backup *disk_back_up(struct node *n, const char *dir);
void disk_restore(struct node *n, const char *dir, struct disk_backup *b);
bool disk_backup_has(const struct disk_backup *b, const char *path);
void disk_backup_free(struct disk_backup *b);

/* ---- the network ---- */

/* What an agent dials through; every dial reaches `to` while it is alive and
 * accepts. */
struct net *node_net(struct node *from, struct node *to,
		     const struct link_peer *from_peer,
		     const struct link_peer *to_peer);
/* From now on the same dials reach another node. */
void net_redirect(struct net *n, struct node *to);
/* What takes links at this node, or NULL for nobody. */
void node_listen(struct node *n,
		 const struct link_cbs *(*accept)(void *arg, struct link *l,
						  const struct link_peer *peer),
		 void *arg);

struct network {
	int64_t delay_ns;      /* at most; 0: 3 ms */
	unsigned reset_ppm;    /* messages of a million that reset their link */
};
void world_set_network(struct world *w, const struct network *n);
/* Ends every link between nodes now: reset, or half open. */
void world_cut_links(struct world *w, bool half_open);
/* A partition: what is sent to or by the node waits, and connecting takes for ever. */
void node_isolate(struct node *n, bool isolated);
/* Called for every message when it is sent. */
void world_watch(struct world *w,
		 void (*fn)(void *arg, struct node *from, uint8_t type,
			    struct slice payload),
		 void *arg);

#endif
