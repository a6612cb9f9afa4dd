/* slots: what a parser remembers of the last connections of a stream, so that
 * the lines of one attempt count once and a later line knows the user and the
 * address of an earlier one.  Internal to parsers/.
 *
 * A slot belongs to (host, program family, pid).  There is a fixed number of
 * them; the one unused for longest makes room, and one older than FORGET_S
 * is taken as new, since pids come again.
 *
 * Attempts.  One attempt shows up in several lines: PAM's, the daemon's, a
 * closing one.  Each kind of line counts for itself, and what has been tried so
 * far is the largest consistent total; a line stands for the attempts by which
 * it raises that total.
 */
#ifndef PARSERS_SLOTS_H
#define PARSERS_SLOTS_H

#include <stdint.h>

#include "common/buf.h"
#include "common/event.h"

enum {
	SLOT_SETS = 16,
	SLOT_WAYS = 4,
	SLOT_FORGET_S = 900,
	SLOT_USER = 64,
	SLOT_ADDRESS = 64,
	SLOT_PORT = 6,
};

/* Which kind of line tells of an attempt. */
enum count {
	COUNT_FLOOR,     /* there was at least one ("Invalid user ...") */
	COUNT_PAM,       /* pam_unix: authentication failure */
	COUNT_PAM_OTHER, /* another PAM module said so */
	COUNT_DAEMON,    /* the daemon: a password failed */
	COUNT_KBD_ERROR, /* sshd: error: PAM: ... */
	COUNT_KBD,       /* sshd: Failed keyboard-interactive */
	COUNT_SUMMARY,   /* "3 incorrect password attempts": all so far */
	COUNT_NR
};

enum slot_flag {
	SLOT_SUCCESS = 1 << 0,  /* this connection has logged in */
	SLOT_PENDING = 1 << 1,  /* tried, and no line has told the end yet */
	SLOT_REPORTED = 1 << 2, /* a failure of it was reported */
	SLOT_ENDED = 1 << 3,    /* the next first failure is a new attempt */
};

struct slot {
	int64_t seen_s;   /* time of the last line */
	uint16_t count[COUNT_NR];
	uint16_t counted; /* attempts reported so far */
	uint8_t flags;
	uint8_t user_n, address_n, port_n;
	bool address_is_ip; /* as ip_parse() has it */
	char user[SLOT_USER]; /* what is behind user_n bytes is old, and so below */
	char address[SLOT_ADDRESS];
	char port[SLOT_PORT];
};

struct slots {
	uint32_t tick;
	/* Of each slot its key, 0: free, and when it was used; apart, so that those of
	 * a set stand side by side. */
	uint64_t key[SLOT_SETS * SLOT_WAYS];
	uint32_t used[SLOT_SETS * SLOT_WAYS];
	struct slot slot[SLOT_SETS * SLOT_WAYS];
};

/* The key of a connection, in two steps, since few hosts have many; the second is
 * never 0. */
uint64_t slot_host(struct slice host, unsigned family);
uint64_t slot_key(uint64_t host, struct slice id);

/* The slot of this key, an empty one if it is new; never NULL. */
struct slot *slots_get(struct slots *s, uint64_t key, int64_t now_s);

/* Takes note of n more attempts told by this kind of line; returns by how many
 * the total rises.  slot NULL: n. */
uint32_t slot_count(struct slot *slot, enum count kind, uint32_t n);

/* Forgets the counts, for another attempt under the same key. */
void slot_again(struct slot *slot);

/* Keeps user, address and port of the event, as far as it has them. */
void slot_keep(struct slot *slot, const struct event *e);
/* Gives what the event lacks of user, address and port. */
void slot_give(const struct slot *slot, struct event *e);

int slots_save(const struct slots *s, struct buf *out);
int slots_load(struct slots *s, struct slice saved);

#endif
