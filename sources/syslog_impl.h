/* syslog_impl: what syslog.c (peers, life) and listener.c (sockets) share; private. */
#ifndef SOURCES_SYSLOG_IMPL_H
#define SOURCES_SYSLOG_IMPL_H

#include "common/ip.h"
#include "sources/backlog.h"
#include "sources/framing.h"
#include "sources/syslog.h"

enum {
	TICK_MS = 1000,
	DATAGRAMS = 16,           /* received by one call ... */
	CALLS_MAX = 16,           /* ... and so many calls before others get a turn */
	DATAGRAM_MAX = 64 * 1024,
	STREAM_READ = 64 * 1024,
	PEER_SILENT_S = 60,       /* then its place may be given to another */
	PEER_NAME = 320,
};
static const int64_t second_ns = INT64_C(1000000000);

struct peer_key {
	enum { PEER_USER, PEER_ADDRESS, PEER_OTHERS } kind;
	uint32_t uid;
	struct ip ip;
};

struct peer {
	struct peer_key key;
	struct backlog backlog;
	struct bucket bucket;
	int64_t last_ns;      /* of its last message, monotonic */
	unsigned connections;
};

struct conn {
	uv_poll_t poll; /* first */
	struct conn *next;
	struct listener *listener;
	struct peer *peer;
	int fd;
	struct framing framing;
	int64_t last_ns; /* of its last byte */
};

struct listener {
	uv_poll_t poll;
	struct syslog *syslog;
	struct sources_syslog own;            /* a copy, so that a reload may come */
	const struct sources_syslog *options; /* that */
	int fd;
	bool live;    /* poll has to be closed */
	bool leaving; /* not configured any more; gone when what waits is taken */
	size_t handles; /* that are not closed yet */
	bool paused;  /* no descriptor is left: until the next tick */
	struct peer **peers;
	size_t n_peers, room_peers;
	struct backlog_share share;
	struct conn *conns;
	size_t n_conns;
	uint64_t refused, refused_told;
	uint64_t untold;      /* messages lost, with no stream to say so */
	uint32_t kernel_lost; /* SO_RXQ_OVFL, when it was last seen */
};

struct syslog {
	struct source source; /* first */
	uv_loop_t *loop;
	struct sys *sys;
	const struct socket_calls *calls;
	const struct sources_options *options;
	const struct tail_callbacks *cb;
	void *arg;
	unsigned char secret[STREAM_SECRET];
	struct listener **listeners;
	size_t n;
	bool started;
	struct sys_timer *tick;
	char *buf;
	size_t buf_room, message_max;
	bool stopped;
	unsigned refs; /* itself, and handles that are not closed yet */
	uint64_t messages, bytes, cut;
	/* Of listeners that are gone. */
	uint64_t gone_lost[LOST_REASONS], gone_refused;
};

/* syslog.c */
/* The peer of this name, or the one that stands for the others; NULL: no memory. */
struct peer *peer_get(struct listener *l, const struct peer_key *key);
/* A message of a peer (NULL: it has none). */
void peer_message(struct listener *l, struct peer *p, struct slice message,
		  uint64_t cut);
/* Hands on what waits, of all peers. */
void peers_offer(struct listener *l, bool all);
void syslog_unref(struct syslog *s);
/* The n-th peer has ended. */
void peer_end(struct listener *l, size_t at);
/* With a copy of the options; fd is taken over, also on an error.  UV_ENOMEM. */
int listener_new(struct listener **out, struct syslog *s, const struct sources_syslog *o,
		 int fd);
/* Its handles are closed, or never were.  With its peers, calling nothing; NULL allowed. */
void listener_free(struct listener *l);
/* Of those that leave: peers of which nothing waits, then the listener. */
void syslog_sweep(struct syslog *s);

/* listener.c */
int listener_start(struct listener *l);
/* Connections that are silent, and what waited for a descriptor. */
void listener_tick(struct listener *l);
/* Takes what the kernel has already and closes. */
void listener_stop(struct listener *l);
/* Closes. */
void listener_close(struct listener *l);

#endif
