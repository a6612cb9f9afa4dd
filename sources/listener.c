/* The sockets of sources/syslog.h: datagrams, connections and their bytes. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/syslog_impl.h"

enum { ACCEPTS_MAX = 16, STOP_CALLS = 256, CONTROL_ROOM = 128 };

union from {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage room;
};

static bool is_stream(const struct listener *l)
{
	return l->options->type == SYSLOG_TCP || l->options->type == SYSLOG_UNIX_STREAM;
}

static struct peer_key key_of_address(const union from *a)
{
	struct peer_key key = {.kind = PEER_ADDRESS};

	if (a->any.sa_family == AF_INET) {
		memset(key.ip.b + 10, 0xff, 2);
		memcpy(key.ip.b + 12, &a->in.sin_addr, 4);
	} else if (a->any.sa_family == AF_INET6) {
		memcpy(key.ip.b, &a->in6.sin6_addr, 16);
	} else {
		key.kind = PEER_OTHERS;
	}
	return key;
}

/* ---- datagrams ---- */

struct datagrams {
	struct mmsghdr v[DATAGRAMS];
	struct iovec iov[DATAGRAMS];
	union from from[DATAGRAMS];
	_Alignas(struct cmsghdr) char control[DATAGRAMS][CONTROL_ROOM];
};

static void prepare(struct datagrams *d, struct syslog *s)
{
	for (size_t i = 0; i < DATAGRAMS; i++) {
		d->iov[i] = (struct iovec){s->buf + i * s->message_max, s->message_max};
		d->v[i].msg_hdr = (struct msghdr){
			.msg_name = &d->from[i], .msg_namelen = sizeof d->from[i],
			.msg_iov = &d->iov[i], .msg_iovlen = 1,
			.msg_control = d->control[i],
			.msg_controllen = sizeof d->control[i],
		};
	}
}

/* Whose it is; *lost: how many the kernel says it has dropped so far. */
static struct peer_key key_of(const struct listener *l, struct msghdr *m,
			      const union from *from, uint32_t *lost)
{
	struct peer_key key = {.kind = PEER_OTHERS};

	if (l->options->type == SYSLOG_UDP) {
		key = key_of_address(from);
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		struct ucred cred;

		if (c->cmsg_level != SOL_SOCKET) {
			continue;
		}
		if (c->cmsg_type == SCM_CREDENTIALS &&
		    c->cmsg_len >= CMSG_LEN(sizeof cred)) {
			memcpy(&cred, CMSG_DATA(c), sizeof cred);
			key = (struct peer_key){.kind = PEER_USER, .uid = cred.uid};
		} else if (c->cmsg_type == SO_RXQ_OVFL &&
			   c->cmsg_len >= CMSG_LEN(sizeof *lost)) {
			memcpy(lost, CMSG_DATA(c), sizeof *lost);
		} else if (c->cmsg_type == SCM_RIGHTS) {
			/* Descriptors that nobody asked for. */
			size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

			for (size_t i = 0; i < n; i++) {
				int fd;

				memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
				close(fd);
			}
		}
	}
	return key;
}

static void take_datagram(struct listener *l, struct mmsghdr *m,
			  const union from *from)
{
	size_t n = m->msg_len < l->syslog->message_max ? m->msg_len
						       : l->syslog->message_max;
	char *p = m->msg_hdr.msg_iov->iov_base;
	uint32_t lost = l->kernel_lost;
	struct peer_key key = key_of(l, &m->msg_hdr, from, &lost);
	struct peer *peer = peer_get(l, &key);

	if (lost != l->kernel_lost && peer != NULL) {
		/* Whose they were nobody knows. */
		backlog_lose(&peer->backlog, lost - l->kernel_lost, LOST_KERNEL);
		l->kernel_lost = lost;
	}
	peer_message(l, peer, slice(p, n),
		     (m->msg_hdr.msg_flags & MSG_TRUNC) != 0 ? 1 : 0);
	explicit_bzero(p, n);
}

/* Returns whether there may be more. */
static bool read_datagrams(struct listener *l)
{
	struct syslog *s = l->syslog;
	struct datagrams d;
	int n;

	prepare(&d, s);
	n = s->calls->recvmmsg(l->fd, d.v, DATAGRAMS,
			       MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR) {
			log_warn("cannot receive from a syslog socket",
				 "error=\"%s\"", err_str(-errno));
		}
		return false;
	}
	for (int i = 0; i < n; i++) {
		take_datagram(l, &d.v[i], &d.from[i]);
	}
	return n == DATAGRAMS;
}

/* ---- connections ---- */

static void on_conn_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	struct syslog *s = c->listener->syslog;

	c->listener->handles--;
	close(c->fd);
	framing_fini(&c->framing);
	free(c);
	syslog_unref(s);
}

static void end_conn(struct conn *c)
{
	struct listener *l = c->listener;
	struct conn **link = &l->conns;

	while (*link != c) {
		link = &(*link)->next;
	}
	*link = c->next;
	l->n_conns--;
	if (c->peer != NULL) {
		c->peer->connections--;
	}
	uv_close((uv_handle_t *)&c->poll, on_conn_closed);
}

static void take_bytes(struct conn *c, struct slice data)
{
	struct listener *l = c->listener;
	struct slice message;
	uint64_t cut;
	int rc;

	while ((rc = framing_next(&c->framing, &data, &message, &cut)) == 1) {
		peer_message(l, c->peer, message, cut);
	}
	if (rc < 0 && c->peer != NULL) {
		backlog_lose(&c->peer->backlog, 1, LOST_FULL); /* No memory for it. */
	}
}

/* What was under way when the connection ended. */
static void take_rest(struct conn *c)
{
	struct slice message;
	uint64_t cut;

	if (framing_end(&c->framing, &message, &cut)) {
		peer_message(c->listener, c->peer, message, cut);
	}
}

/* 1: more may be there; 0: nothing now; -1: it has ended. */
static int read_conn(struct conn *c)
{
	struct syslog *s = c->listener->syslog;
	ssize_t n = s->calls->recv(c->fd, s->buf, STREAM_READ, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return 0;
	}
	if (n <= 0) {
		take_rest(c);
		return -1;
	}
	c->last_ns = sys_mono_ns(s->sys);
	take_bytes(c, slice(s->buf, (size_t)n));
	explicit_bzero(s->buf, (size_t)n);
	return n == STREAM_READ;
}

static void on_conn(uv_poll_t *poll, int status, int events)
{
	struct conn *c = poll->data;
	struct listener *l = c->listener;
	int more = 1;

	(void)status; /* What is wrong, recv() says. */
	(void)events;
	for (int i = 0; i < CALLS_MAX && more > 0; i++) {
		more = read_conn(c);
	}
	if (more < 0) {
		end_conn(c);
	}
	peers_offer(l, false);
}

static struct peer_key key_of_conn(const struct listener *l, int fd,
				   const union from *from)
{
	struct peer_key key = {.kind = PEER_OTHERS};
	struct ucred cred;
	socklen_t n = sizeof cred;

	if (l->options->type == SYSLOG_TCP) {
		return key_of_address(from);
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0) {
		key = (struct peer_key){.kind = PEER_USER, .uid = cred.uid};
	}
	return key;
}

static void refuse(struct listener *l, int fd)
{
	close(fd);
	l->refused++;
}

static void add_conn(struct listener *l, int fd, const union from *from)
{
	struct syslog *s = l->syslog;
	struct peer_key key = key_of_conn(l, fd, from);
	struct conn *c = l->n_conns < l->options->connections ? calloc(1, sizeof *c)
							      : NULL;
	const int one = 1;

	if (c == NULL || uv_poll_init(s->loop, &c->poll, fd) != 0) {
		free(c);
		refuse(l, fd);
		return;
	}
	s->refs++;
	l->handles++;
	c->poll.data = c;
	c->listener = l;
	c->fd = fd;
	c->last_ns = sys_mono_ns(s->sys);
	framing_init(&c->framing, (size_t)s->options->line_max);
	c->peer = peer_get(l, &key);
	if (c->peer != NULL) {
		c->peer->connections++;
	}
	c->next = l->conns;
	l->conns = c;
	l->n_conns++;
	if (l->options->type == SYSLOG_TCP) {
		/* A peer that lost its power says no good-bye. */
		s->calls->setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	}
	if (uv_poll_start(&c->poll, UV_READABLE, on_conn) != 0) {
		end_conn(c);
		l->refused++;
	}
}

static void accept_some(struct listener *l)
{
	struct syslog *s = l->syslog;

	for (int i = 0; i < ACCEPTS_MAX; i++) {
		union from from = {.any = {0}};
		socklen_t n = sizeof from;
		int fd = s->calls->accept4(l->fd, &from.any, &n,
					   SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			add_conn(l, fd, &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS) {
			log_warn("cannot accept a syslog connection; trying again",
				 "error=\"%s\"", err_str(-errno));
			uv_poll_stop(&l->poll);
			l->paused = true;
		}
		return;
	}
}

/* ---- the socket itself ---- */

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;

	(void)status;
	(void)events;
	if (is_stream(l)) {
		accept_some(l);
		return;
	}
	for (int i = 0; i < CALLS_MAX && read_datagrams(l); i++) {
	}
	peers_offer(l, false);
}

static void on_listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	close(l->fd);
	l->fd = -1;
	l->handles--;
	syslog_unref(l->syslog);
}

int listener_start(struct listener *l)
{
	int rc = uv_poll_init(l->syslog->loop, &l->poll, l->fd);

	if (rc != 0) {
		return rc;
	}
	l->live = true;
	l->poll.data = l;
	l->syslog->refs++;
	l->handles++;
	return uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void end_silent(struct listener *l)
{
	int64_t now_ns = sys_mono_ns(l->syslog->sys);
	int64_t limit_ns = (int64_t)l->options->idle_timeout_ms * 1000000;
	struct conn *next;

	for (struct conn *c = l->conns; c != NULL; c = next) {
		next = c->next;
		if (limit_ns > 0 && now_ns - c->last_ns > limit_ns) {
			take_rest(c);
			end_conn(c);
		}
	}
}

void listener_tick(struct listener *l)
{
	end_silent(l);
	if (l->paused && uv_poll_start(&l->poll, UV_READABLE, on_readable) == 0) {
		l->paused = false;
	}
	if (l->refused > l->refused_told) {
		log_warn("syslog connections were refused: sources.syslog connections "
			 "is reached, or memory is",
			 "refused=%" PRIu64 " open=%zu", l->refused - l->refused_told,
			 l->n_conns);
		l->refused_told = l->refused;
	}
}

void listener_close(struct listener *l)
{
	while (l->conns != NULL) {
		end_conn(l->conns);
	}
	l->paused = false;
	if (l->live) {
		l->live = false;
		uv_close((uv_handle_t *)&l->poll, on_listener_closed);
	} else if (l->fd >= 0 && l->poll.data == NULL) {
		close(l->fd);
		l->fd = -1;
	}
}

void listener_stop(struct listener *l)
{
	struct conn *next;

	if (l->live && is_stream(l)) {
		accept_some(l);
	}
	for (int i = 0; l->live && !is_stream(l) && i < STOP_CALLS && read_datagrams(l);
	     i++) {
	}
	for (struct conn *c = l->conns; c != NULL; c = next) {
		int more = 1;

		next = c->next;
		for (int i = 0; i < STOP_CALLS && more > 0; i++) {
			more = read_conn(c);
		}
		if (more >= 0) {
			take_rest(c);
		}
	}
	listener_close(l);
	peers_offer(l, true);
}
