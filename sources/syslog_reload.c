/* Another list of sockets:
 *
 *	syslog_prepare()   all that can fail: memory, and opening those that are new
 *	syslog_take()      nothing can: a socket that stays keeps its descriptor, peers and
 *	                   connections; one that is gone is read to its end and closed, and
 *	                   what waits of it is still handed on
 *
 * A peer's stream says once what it is (label, program, zone, policy).  Where that changes,
 * the peers of before become those of a listener that leaves, and new streams begin.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/about.h"
#include "sources/syslog_impl.h"

/* What one entry of the new list becomes. */
struct entry {
	struct listener *kept;  /* goes on; NULL: fresh begins */
	struct listener *fresh; /* of a kept one: whose settings it gets */
};

struct syslog_change {
	struct syslog *syslog;
	struct entry *entries;
	size_t n;
	struct listener **listeners; /* with room for all */
};

static bool is_unix(const struct sources_syslog *o)
{
	return o->type == SYSLOG_UNIX || o->type == SYSLOG_UNIX_STREAM;
}

static bool same_socket(const struct sources_syslog *a, const struct sources_syslog *b)
{
	return a->type == b->type &&
	       (is_unix(a) ? strcmp(a->path, b->path) == 0
			   : strcmp(a->address, b->address) == 0 && a->port == b->port);
}

static bool same_settings(const struct sources_syslog *a, const struct sources_syslog *b)
{
	return sources_about_eq(&a->about, &b->about) && a->rate == b->rate &&
	       a->burst == b->burst && a->peers == b->peers &&
	       a->connections == b->connections &&
	       a->idle_timeout_ms == b->idle_timeout_ms && a->buffer == b->buffer &&
	       a->receive_buffer == b->receive_buffer && a->overflow == b->overflow;
}

static struct listener *find(const struct syslog *s, const struct sources_syslog *o)
{
	for (size_t i = 0; i < s->n; i++) {
		if (!s->listeners[i]->leaving && same_socket(s->listeners[i]->options, o)) {
			return s->listeners[i];
		}
	}
	return NULL;
}

/* One of ours, of another type or address, has the path or the port: it is open until the
 * change is taken. */
static bool in_our_own_way(const struct syslog *s, const struct sources_syslog *o)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct sources_syslog *ours = s->listeners[i]->options;

		if (is_unix(o) ? is_unix(ours) && strcmp(ours->path, o->path) == 0
			       : ours->type == o->type && ours->port == o->port) {
			return true;
		}
	}
	return false;
}

/* Rights that are given up, and calls that the sandbox does not know. */
static bool wants_rights(int rc)
{
	return rc == UV_EACCES || rc == UV_EPERM || rc == UV_ENOSYS || rc == UV_EROFS;
}

static int open_fresh(struct syslog_change *c, const struct sources_syslog *o,
		      const struct syslog_ask *ask, char why[static SOCKETS_WHY])
{
	char text[SOCKETS_WHY + 128];
	struct entry *e = &c->entries[c->n];
	/* Nobody gives a path away who is not root. */
	int fd = is_unix(o) && o->owner[0] != '\0'
			 ? UV_EPERM
			 : sockets_open_one(c->syslog->calls, o, why);

	if (fd < 0 && (wants_rights(fd) || (fd == UV_EADDRINUSE &&
					    in_our_own_way(c->syslog, o)))) {
		snprintf(text, sizeof text, "sources.syslog: %s%.120s %s (%s); it is opened "
			 "by a restart",
			 is_unix(o) ? "" : o->type == SYSLOG_UDP ? "udp " : "tcp ",
			 is_unix(o) ? o->path : o->address,
			 wants_rights(fd) ? "needs rights that the running agent has given up"
					  : "is where the socket before is still open",
			 err_str(fd));
		ask->note(ask->arg, text);
		why[0] = '\0';
		return 0;
	}
	if (fd < 0) {
		return fd;
	}
	fd = listener_new(&e->fresh, c->syslog, o, fd);
	c->n += fd == 0;
	return fd;
}

static void note_owner(const struct listener *l, const struct sources_syslog *o,
		       const struct syslog_ask *ask)
{
	char text[512];

	if (is_unix(o) && (strcmp(l->options->mode, o->mode) != 0 ||
			   strcmp(l->options->owner, o->owner) != 0)) {
		snprintf(text, sizeof text, "sources.syslog: %.120s: mode and owner of a "
			 "socket that is open are changed by a restart", o->path);
		ask->note(ask->arg, text);
	}
}

static int add(struct syslog_change *c, const struct sources_syslog *o,
	       const struct syslog_ask *ask, char why[static SOCKETS_WHY])
{
	struct entry *e = &c->entries[c->n];
	int rc;

	e->kept = find(c->syslog, o);
	if (e->kept == NULL) {
		return open_fresh(c, o, ask, why);
	}
	note_owner(e->kept, o, ask);
	rc = listener_new(&e->fresh, c->syslog, o, -1);
	if (rc == 0 && e->fresh->room_peers < e->kept->n_peers + 2) {
		/* Those that are there stay, and root and the others have a place. */
		free(e->fresh->peers);
		e->fresh->room_peers = e->kept->n_peers + 2;
		e->fresh->peers = calloc(e->fresh->room_peers, sizeof(struct peer *));
		rc = e->fresh->peers == NULL ? UV_ENOMEM : 0;
	}
	c->n++; /* Also on an error: what was made is freed. */
	return rc;
}

int syslog_prepare(struct syslog_change **out, struct source *source,
		   const struct sources_options *options, const struct syslog_ask *ask,
		   char why[static SOCKETS_WHY])
{
	struct syslog *s = (struct syslog *)source;
	struct syslog_change *c = calloc(1, sizeof *c);
	int rc = c == NULL ? UV_ENOMEM : 0;

	*out = NULL;
	why[0] = '\0';
	if (rc == 0) {
		c->syslog = s;
		c->entries = calloc(options->n_syslog + 1, sizeof *c->entries);
		/* A kept one may leave a shell of old peers behind. */
		c->listeners = calloc(s->n + options->n_syslog + 1,
				      sizeof(struct listener *));
		rc = c->entries == NULL || c->listeners == NULL ? UV_ENOMEM : 0;
	}
	for (size_t i = 0; rc == 0 && i < options->n_syslog; i++) {
		rc = add(c, &options->syslog[i], ask, why);
	}
	if (rc != 0) {
		if (why[0] == '\0') {
			snprintf(why, SOCKETS_WHY, "%s", err_str(rc));
		}
		syslog_drop(c);
		return rc;
	}
	*out = c;
	return 0;
}

void syslog_drop(struct syslog_change *c)
{
	if (c == NULL) {
		return;
	}
	for (size_t i = 0; c->entries != NULL && i < c->n; i++) {
		if (c->entries[i].kept == NULL && c->entries[i].fresh != NULL &&
		    is_unix(c->entries[i].fresh->options)) {
			/* Nobody listens there after all. */
			remove(c->entries[i].fresh->options->path);
		}
		listener_free(c->entries[i].fresh);
	}
	free(c->entries);
	free(c->listeners);
	free(c);
}

/* ---- what can't fail ---- */

static void swap_peers(struct listener *a, struct listener *b)
{
	struct peer **peers = a->peers;
	size_t n = a->n_peers, room = a->room_peers;

	a->peers = b->peers;
	a->n_peers = b->n_peers;
	a->room_peers = b->room_peers;
	b->peers = peers;
	b->n_peers = n;
	b->room_peers = room;
}

/* The connections speak in new streams from now on. */
static void move_connections(struct listener *l)
{
	for (struct conn *c = l->conns; c != NULL; c = c->next) {
		if (c->peer == NULL) {
			continue;
		}
		c->peer->connections--;
		c->peer = peer_get(l, &c->peer->key);
		if (c->peer != NULL) {
			c->peer->connections++;
		}
	}
}

/* fresh has the new settings; it becomes the shell in which the old peers leave. */
static void retire_peers(struct listener *l, struct listener *fresh)
{
	const struct sources_syslog own = l->own;
	char *mode = fresh->own.mode, *owner = fresh->own.owner;

	l->own = fresh->own;
	fresh->own = own;
	l->own.mode = own.mode; /* As it was opened. */
	l->own.owner = own.owner;
	fresh->own.mode = mode;
	fresh->own.owner = owner;
	swap_peers(l, fresh);
	fresh->leaving = true;
	fresh->share.used = l->share.used;
	fresh->share.holders = l->share.holders;
	fresh->share.first = l->share.first;
	l->share.used = l->share.holders = 0;
	l->share.first = NULL;
	for (size_t i = 0; i < fresh->n_peers; i++) {
		fresh->peers[i]->backlog.share = &fresh->share;
		fresh->peers[i]->backlog.stream.about = &fresh->own.about;
	}
	move_connections(l);
}

/* The streams go on, and what they say of themselves with them. */
static void change_settings(struct listener *l, struct listener *fresh)
{
	const struct sources_about about = l->own.about;

	l->own.about = fresh->own.about;
	fresh->own.about = about;
	swap_peers(l, fresh); /* For the room. */
	memcpy(l->peers, fresh->peers, fresh->n_peers * sizeof(struct peer *));
	l->n_peers = fresh->n_peers;
	fresh->n_peers = 0;
	l->own.rate = fresh->own.rate;
	l->own.burst = fresh->own.burst;
	l->own.peers = fresh->own.peers;
	l->own.connections = fresh->own.connections;
	l->own.idle_timeout_ms = fresh->own.idle_timeout_ms;
	l->own.buffer = fresh->own.buffer;
	l->own.receive_buffer = fresh->own.receive_buffer;
	l->own.overflow = fresh->own.overflow;
}

/* What is left of fresh is for the list, or freed and NULL. */
static struct listener *renew(struct syslog *s, struct listener *l, struct listener *fresh,
			      struct sources_taken *t)
{
	bool kernel = l->own.receive_buffer != fresh->own.receive_buffer;

	t->kept += same_settings(&l->own, &fresh->own);
	t->changed += !same_settings(&l->own, &fresh->own);
	l->share.max = (size_t)fresh->own.buffer;
	if (sources_about_eq(&l->own.about, &fresh->own.about)) {
		change_settings(l, fresh);
		listener_free(fresh);
		fresh = NULL;
	} else {
		retire_peers(l, fresh);
	}
	if (kernel && l->fd >= 0) {
		sockets_set_buffer(s->calls, l->fd, l->own.receive_buffer);
	}
	return fresh;
}

static bool stays(const struct syslog_change *c, const struct listener *l)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->entries[i].kept == l || c->entries[i].fresh == l) {
			return true;
		}
	}
	return false;
}

static void begin(struct listener *l)
{
	int rc = l->syslog->started ? listener_start(l) : 0;

	if (rc != 0) {
		log_error("cannot read a syslog socket", "error=\"%s\"", err_str(rc));
	}
}

void syslog_take(struct syslog_change *c, struct sources_taken *t)
{
	struct syslog *s = c->syslog;
	size_t old = s->n;

	*t = (struct sources_taken){0};
	memcpy(c->listeners, s->listeners, old * sizeof(struct listener *));
	for (size_t i = 0; i < old; i++) {
		if (!c->listeners[i]->leaving && !stays(c, c->listeners[i])) {
			t->gone++;
			listener_stop(c->listeners[i]);
			c->listeners[i]->leaving = true;
		}
	}
	for (size_t i = 0; i < c->n; i++) {
		struct entry *e = &c->entries[i];

		if (e->kept != NULL) {
			e->fresh = renew(s, e->kept, e->fresh, t);
		} else {
			t->added++;
			begin(e->fresh);
		}
		if (e->fresh != NULL) {
			c->listeners[s->n++] = e->fresh;
		}
	}
	free(s->listeners);
	s->listeners = c->listeners;
	syslog_sweep(s);
	free(c->entries);
	free(c);
}
