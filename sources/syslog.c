#include "sources/syslog.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "common/ip.h"
#include "common/log.h"
#include "sources/about.h"
#include "sources/syslog_impl.h"

bool bucket_take(struct bucket *b, int64_t now_ns, uint64_t rate, uint64_t burst)
{
	const int64_t one = 1000000;
	int64_t full = (int64_t)burst * one, ms;

	if (rate == 0) {
		return true;
	}
	if (b->last_ns == 0) {
		b->tokens_u = full;
		b->last_ns = now_ns;
	}
	/* In whole milliseconds, so that no fraction is lost; an hour fills any. */
	ms = (now_ns - b->last_ns) / 1000000;
	b->last_ns += ms * 1000000;
	ms = ms < 3600000 ? ms : 3600000;
	b->tokens_u += ms * (int64_t)rate * (one / 1000);
	b->tokens_u = b->tokens_u < full ? b->tokens_u : full;
	if (b->shut && b->tokens_u < full / 4) {
		return false;
	}
	b->shut = b->tokens_u < one;
	if (b->shut) {
		return false;
	}
	b->tokens_u -= one;
	return true;
}

/* ---- peers ---- */

static void name_peer(const struct listener *l, const struct peer_key *key,
		      char name[static PEER_NAME])
{
	const struct sources_syslog *o = l->options;
	bool is_unix = o->type == SYSLOG_UNIX || o->type == SYSLOG_UNIX_STREAM;
	char socket[PEER_NAME / 2], ip[IP_TEXT];

	if (is_unix) {
		snprintf(socket, sizeof socket, "unix:%s", o->path);
	} else {
		snprintf(socket, sizeof socket, "%s:%s:%u",
			 o->type == SYSLOG_UDP ? "udp" : "tcp", o->address, o->port);
	}
	switch (key->kind) {
	case PEER_USER:
		snprintf(name, PEER_NAME, "%s uid=%u", socket, key->uid);
		break;
	case PEER_ADDRESS:
		ip_format(ip, &key->ip);
		snprintf(name, PEER_NAME, "%s peer=%s", socket, ip);
		break;
	case PEER_OTHERS:
		snprintf(name, PEER_NAME, "%s peer=others", socket);
		break;
	}
}

static bool same_peer(const struct peer_key *a, const struct peer_key *b)
{
	return a->kind == b->kind &&
	       (a->kind == PEER_OTHERS ||
		(a->kind == PEER_USER ? a->uid == b->uid
				      : memcmp(&a->ip, &b->ip, sizeof a->ip) == 0));
}

void peer_end(struct listener *l, size_t at)
{
	struct peer *p = l->peers[at];
	uint64_t left = backlog_close(&p->backlog);

	if (left > 0) {
		log_warn("syslog messages are lost: nothing took them before the end",
			 "peer=\"%s\" messages=%" PRIu64, p->backlog.stream.st.path, left);
	}
	backlog_fini(&p->backlog);
	free(p);
	l->peers[at] = l->peers[--l->n_peers];
}

static struct peer *new_peer(struct listener *l, const struct peer_key *key)
{
	struct syslog *s = l->syslog;
	struct peer *p = calloc(1, sizeof *p);
	char name[PEER_NAME];

	if (p == NULL) {
		return NULL;
	}
	name_peer(l, key, name);
	p->key = *key;
	p->last_ns = sys_mono_ns(s->sys);
	if (backlog_open(&p->backlog, s->sys, s->secret, &l->options->about, name,
			 (uint32_t)s->options->line_max, s->cb, s->arg, &l->share) != 0) {
		free(p);
		return NULL;
	}
	l->peers[l->n_peers++] = p;
	return p;
}

/* Whose lines count as any daemon's (parsers/trust.h): he is never one of the others,
 * however many speak. */
static bool is_root(const struct peer_key *key)
{
	return key->kind == PEER_USER && key->uid == 0;
}

static size_t places_taken(const struct listener *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_peers; i++) {
		const struct peer_key *key = &l->peers[i]->key;

		n += key->kind != PEER_OTHERS && !is_root(key);
	}
	return n;
}

/* Whoever has been silent for longest makes room, if for long enough and if all that it
 * had sent was taken. */
static bool make_room(struct listener *l)
{
	int64_t now_ns = sys_mono_ns(l->syslog->sys);
	size_t oldest = SIZE_MAX;

	for (size_t i = 0; i < l->n_peers; i++) {
		struct peer *p = l->peers[i];

		if (p->connections == 0 && p->key.kind != PEER_OTHERS &&
		    !is_root(&p->key) &&
		    now_ns - p->last_ns > PEER_SILENT_S * second_ns &&
		    backlog_offer(&p->backlog, true) &&
		    (oldest == SIZE_MAX || p->last_ns < l->peers[oldest]->last_ns)) {
			oldest = i;
		}
	}
	if (oldest == SIZE_MAX) {
		return false;
	}
	peer_end(l, oldest);
	return true;
}

struct peer *peer_get(struct listener *l, const struct peer_key *key)
{
	static const struct peer_key others = {.kind = PEER_OTHERS};

	for (size_t i = 0; i < l->n_peers; i++) {
		if (same_peer(&l->peers[i]->key, key)) {
			return l->peers[i];
		}
	}
	if (key->kind != PEER_OTHERS && !is_root(key) &&
	    places_taken(l) >= l->options->peers && !make_room(l)) {
		return peer_get(l, &others);
	}
	return new_peer(l, key);
}

void peer_message(struct listener *l, struct peer *p, struct slice message,
		  uint64_t cut)
{
	const struct sources_syslog *o = l->options;

	while (message.n > 0 && (message.p[message.n - 1] == '\n' ||
				 message.p[message.n - 1] == '\r' ||
				 message.p[message.n - 1] == '\0')) {
		message.n--;
	}
	if (message.n == 0) {
		return;
	}
	l->syslog->messages++;
	l->syslog->bytes += message.n;
	l->syslog->cut += cut > 0;
	if (p == NULL) {
		l->share.lost[LOST_FULL]++; /* No memory even for its stream. */
		l->untold++;
		return;
	}
	p->last_ns = sys_mono_ns(l->syslog->sys);
	if (!bucket_take(&p->bucket, p->last_ns, o->rate, o->burst)) {
		backlog_lose(&p->backlog, 1, LOST_RATE);
		return;
	}
	backlog_add(&p->backlog, message, cut > 0, o->overflow);
}

void peers_offer(struct listener *l, bool all)
{
	for (size_t i = 0; i < l->n_peers; i++) {
		backlog_offer(&l->peers[i]->backlog, all);
	}
}

/* ---- life ---- */

static void on_tick(void *arg)
{
	struct syslog *s = arg;

	for (size_t i = 0; i < s->n; i++) {
		struct listener *l = s->listeners[i];

		listener_tick(l);
		peers_offer(l, true);
		if (l->untold > 0) {
			log_error("syslog messages are lost: no memory for another "
				  "peer's stream", "messages=%" PRIu64, l->untold);
			l->untold = 0;
		}
	}
	syslog_sweep(s);
	sys_timer_set(s->sys, s->tick, TICK_MS);
}

static int syslog_start(struct source *source)
{
	struct syslog *s = (struct syslog *)source;
	int rc = 0;

	if (s->stopped) {
		return 0;
	}
	s->started = true;
	for (size_t i = 0; i < s->n && rc == 0; i++) {
		rc = listener_start(s->listeners[i]);
	}
	if (rc != 0) {
		log_error("cannot read the syslog sockets", "error=\"%s\"", err_str(rc));
		return rc;
	}
	sys_timer_set(s->sys, s->tick, TICK_MS);
	return 0;
}

static void syslog_resume(struct source *source)
{
	struct syslog *s = (struct syslog *)source;

	for (size_t i = 0; i < s->n && !s->stopped; i++) {
		peers_offer(s->listeners[i], false);
	}
}

static void syslog_stop(struct source *source)
{
	struct syslog *s = (struct syslog *)source;

	if (s->stopped) {
		return;
	}
	s->stopped = true;
	sys_timer_stop(s->sys, s->tick);
	for (size_t i = 0; i < s->n; i++) {
		struct listener *l = s->listeners[i];

		listener_stop(l);
		while (l->n_peers > 0) {
			peer_end(l, l->n_peers - 1);
		}
	}
}

void syslog_unref(struct syslog *s)
{
	if (--s->refs > 0) {
		return;
	}
	if (s->buf != NULL) {
		explicit_bzero(s->buf, s->buf_room);
	}
	for (size_t i = 0; i < s->n; i++) {
		listener_free(s->listeners[i]);
	}
	explicit_bzero(s->secret, sizeof s->secret);
	free(s->listeners);
	free(s->buf);
	free(s);
}

static void drop_peers(struct listener *l)
{
	while (l->n_peers > 0) {
		struct peer *p = l->peers[--l->n_peers];

		backlog_fini(&p->backlog);
		free(p);
	}
}

void listener_free(struct listener *l)
{
	if (l == NULL) {
		return;
	}
	if (l->fd >= 0) {
		close(l->fd);
	}
	drop_peers(l);
	free(l->peers);
	sources_syslog_fini(&l->own);
	free(l);
}

int listener_new(struct listener **out, struct syslog *s, const struct sources_syslog *o,
		 int fd)
{
	struct listener *l = calloc(1, sizeof *l);
	int rc;

	*out = NULL;
	if (l == NULL) {
		if (fd >= 0) {
			close(fd);
		}
		return UV_ENOMEM;
	}
	l->syslog = s;
	l->fd = fd;
	l->options = &l->own;
	/* And one each for root and for the others. */
	l->room_peers = (size_t)o->peers + 2;
	l->peers = calloc(l->room_peers, sizeof(struct peer *));
	l->share.max = (size_t)o->buffer;
	rc = sources_syslog_copy(&l->own, o);
	if (rc != 0 || l->peers == NULL) {
		listener_free(l);
		return UV_ENOMEM;
	}
	*out = l;
	return 0;
}

static void forget(struct syslog *s, size_t at)
{
	struct listener *l = s->listeners[at];

	for (size_t i = 0; i < LOST_REASONS; i++) {
		s->gone_lost[i] += l->share.lost[i];
	}
	s->gone_refused += l->refused;
	listener_free(l);
	s->n--;
	memmove(s->listeners + at, s->listeners + at + 1,
		(s->n - at) * sizeof(struct listener *));
}

void syslog_sweep(struct syslog *s)
{
	for (size_t i = s->n; i > 0; i--) {
		struct listener *l = s->listeners[i - 1];

		for (size_t k = l->n_peers; l->leaving && k > 0; k--) {
			if (backlog_offer(&l->peers[k - 1]->backlog, true)) {
				peer_end(l, k - 1);
			}
		}
		if (l->leaving && l->n_peers == 0 && l->handles == 0) {
			forget(s, i - 1);
		}
	}
}

static void syslog_free(struct source *source)
{
	struct syslog *s = (struct syslog *)source;

	s->stopped = true;
	sys_timer_free(s->sys, s->tick);
	s->tick = NULL;
	for (size_t i = 0; i < s->n; i++) {
		struct listener *l = s->listeners[i];

		listener_close(l);
		drop_peers(l);
	}
	syslog_unref(s);
}

static void syslog_status(const struct source *source, struct json *j)
{
	const struct syslog *s = (const struct syslog *)source;
	uint64_t peers = 0, connections = 0, waiting = 0, lost[LOST_REASONS],
		 refused = s->gone_refused, sockets = 0;

	memcpy(lost, s->gone_lost, sizeof lost);
	for (size_t i = 0; i < s->n; i++) {
		const struct listener *l = s->listeners[i];

		sockets += !l->leaving;
		peers += l->n_peers;
		connections += l->n_conns;
		refused += l->refused;
		waiting += l->share.used;
		for (size_t k = 0; k < LOST_REASONS; k++) {
			lost[k] += l->share.lost[k];
		}
	}
	json_u64(j, "sockets", sockets);
	json_u64(j, "peers", peers);
	json_u64(j, "connections", connections);
	json_u64(j, "connections_refused", refused);
	json_u64(j, "messages", s->messages);
	json_u64(j, "bytes", s->bytes);
	json_u64(j, "cut", s->cut);
	json_u64(j, "waiting_bytes", waiting);
	json_u64(j, "lost_no_room", lost[LOST_FULL]);
	json_u64(j, "lost_rate_limit", lost[LOST_RATE]);
	json_u64(j, "lost_receive_buffer", lost[LOST_KERNEL]);
}

static const struct source_ops ops = {
	.name = "syslog",
	.start = syslog_start,
	.resume = syslog_resume,
	.stop = syslog_stop,
	.free = syslog_free,
	.status = syslog_status,
};

static int make_listeners(struct syslog *s, struct sockets *sockets)
{
	int rc = 0;

	s->listeners = calloc(sockets->n + 1, sizeof(struct listener *));
	if (s->listeners == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; rc == 0 && i < sockets->n; i++) {
		rc = listener_new(&s->listeners[i], s, &s->options->syslog[i],
				  sockets->fd[i]);
		sockets->fd[i] = -1;
		s->n += rc == 0;
	}
	return rc;
}

int syslog_new(struct source **out, uv_loop_t *loop, struct sys *sys,
	       struct sockets *sockets, const struct socket_calls *calls,
	       const struct sources_options *options,
	       const unsigned char secret[static STREAM_SECRET],
	       const struct tail_callbacks *cb, void *arg)
{
	struct syslog *s = calloc(1, sizeof *s);
	int rc;

	*out = NULL;
	if (s == NULL) {
		return UV_ENOMEM;
	}
	*s = (struct syslog){.source.ops = &ops, .loop = loop, .sys = sys,
			     .calls = calls, .options = options, .cb = cb,
			     .arg = arg, .refs = 1};
	memcpy(s->secret, secret, sizeof s->secret);
	s->message_max = options->line_max < DATAGRAM_MAX ? (size_t)options->line_max
							  : DATAGRAM_MAX;
	s->buf_room = s->message_max * DATAGRAMS > STREAM_READ
			      ? s->message_max * DATAGRAMS
			      : STREAM_READ;
	s->buf = malloc(s->buf_room);
	rc = s->buf == NULL ? UV_ENOMEM : make_listeners(s, sockets);
	if (rc == 0) {
		rc = sys_timer_new(sys, &s->tick, on_tick, s);
	}
	if (rc != 0) {
		syslog_free(&s->source);
		return rc;
	}
	*out = &s->source;
	return 0;
}
