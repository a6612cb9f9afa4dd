#include "sources/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"

enum { LISTEN_BACKLOG = 128, NAME_MAX_BYTES = 64 };

static int real_bind(int fd, const struct sockaddr *a, socklen_t n)
{
	return bind(fd, a, n);
}

static int real_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
	return accept4(fd, a, n, flags);
}

const struct socket_calls socket_calls = {
	.socket = socket,
	.setsockopt = setsockopt,
	.bind = real_bind,
	.listen = listen,
	.chown = lchown,
	.accept4 = real_accept4,
	.recvmmsg = recvmmsg,
	.recv = recv,
};

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage room;
};

static bool is_unix(const struct sources_syslog *o)
{
	return o->type == SYSLOG_UNIX || o->type == SYSLOG_UNIX_STREAM;
}

static int type_of(const struct sources_syslog *o)
{
	return o->type == SYSLOG_UNIX || o->type == SYSLOG_UDP ? SOCK_DGRAM
							       : SOCK_STREAM;
}

bool sockets_mode(const char *text, mode_t *out)
{
	unsigned mode = 0;

	if (text[0] == '\0' || strlen(text) > 4) {
		return false;
	}
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (text[i] < '0' || text[i] > '7') {
			return false;
		}
		mode = mode * 8 + (unsigned)(text[i] - '0');
	}
	*out = mode;
	return mode <= 0777;
}

bool sockets_owner(const char *text, uid_t *uid, gid_t *gid)
{
	const char *colon = strchr(text, ':');
	size_t n = colon == NULL ? strlen(text) : (size_t)(colon - text);
	char user[NAME_MAX_BYTES];
	const struct passwd *pw;
	const struct group *gr;

	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (n >= sizeof user) {
		return false;
	}
	memcpy(user, text, n);
	user[n] = '\0';
	if (n > 0) {
		pw = getpwnam(user);
		if (pw == NULL) {
			return false;
		}
		*uid = pw->pw_uid;
	}
	if (colon != NULL && colon[1] != '\0') {
		gr = getgrnam(colon + 1);
		if (gr == NULL) {
			return false;
		}
		*gid = gr->gr_gid;
	}
	return true;
}

static int address_of(const struct sources_syslog *o, union address *a, socklen_t *n)
{
	memset(a, 0, sizeof *a);
	if (is_unix(o)) {
		if (strlen(o->path) >= sizeof a->un.sun_path) {
			return UV_ENAMETOOLONG;
		}
		a->un.sun_family = AF_UNIX;
		memcpy(a->un.sun_path, o->path, strlen(o->path) + 1);
		*n = sizeof a->un;
	} else if (inet_pton(AF_INET, o->address, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(o->port);
		*n = sizeof a->in;
	} else if (inet_pton(AF_INET6, o->address, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons(o->port);
		*n = sizeof a->in6;
	} else {
		return UV_EINVAL;
	}
	return 0;
}

/* ---- from the service manager ---- */

static bool same_address(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family) {
		return false;
	}
	switch (a->any.sa_family) {
	case AF_UNIX:
		return strcmp(a->un.sun_path, b->un.sun_path) == 0;
	case AF_INET:
		return a->in.sin_port == b->in.sin_port &&
		       a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	case AF_INET6:
		return a->in6.sin6_port == b->in6.sin6_port &&
		       memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
	default:
		return false;
	}
}

static int find_passed(const struct sources_syslog *o, const union address *want,
		       int passed)
{
	for (int fd = SOCKETS_PASSED_FIRST; fd < SOCKETS_PASSED_FIRST + passed; fd++) {
		union address a = {.any = {0}};
		socklen_t n = sizeof a, size = sizeof(int);
		int type = 0;

		if (getsockname(fd, &a.any, &n) == 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
		    type == type_of(o) && same_address(&a, want)) {
			return fd;
		}
	}
	return -1;
}

/* ---- our own ---- */

/* Somebody's socket that nobody reads any more is in the way. */
static int take_path(const struct sources_syslog *o, const union address *a,
		     socklen_t n)
{
	struct stat st;
	int fd, rc;

	if (lstat(o->path, &st) != 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (!S_ISSOCK(st.st_mode)) {
		return UV_ENOTSOCK;
	}
	fd = socket(AF_UNIX, type_of(o) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	rc = connect(fd, &a->any, n) == 0 ? UV_EADDRINUSE : -errno;
	close(fd);
	/* EPROTOTYPE: of the other type, and somebody has it open.  EAGAIN: somebody
	 * listens, and does not accept. */
	if (rc != UV_ECONNREFUSED) {
		return rc == -EPROTOTYPE || rc == UV_EAGAIN ? UV_EADDRINUSE : rc;
	}
	return unlink(o->path) == 0 ? 0 : -errno;
}

static int bind_path(const struct socket_calls *c, const struct sources_syslog *o,
		     int fd, const union address *a, socklen_t n)
{
	mode_t mode = 0666, before;
	uid_t uid;
	gid_t gid;
	int rc = take_path(o, a, n);

	if (rc != 0) {
		return rc;
	}
	if (!sockets_mode(o->mode, &mode) || !sockets_owner(o->owner, &uid, &gid)) {
		return UV_EINVAL;
	}
	before = umask(~mode & 0777);
	rc = c->bind(fd, &a->any, n) == 0 ? 0 : -errno;
	umask(before);
	if (rc == 0 && (uid != (uid_t)-1 || gid != (gid_t)-1) &&
	    c->chown(o->path, uid, gid) != 0) {
		rc = -errno;
		unlink(o->path);
	}
	return rc;
}

/* Larger than net.core.rmem_max needs CAP_NET_ADMIN; without it, what one gets. */
void sockets_set_buffer(const struct socket_calls *c, int fd, uint64_t bytes)
{
	int n = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;

	if (c->setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &n, sizeof n) != 0) {
		c->setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof n);
	}
}

/* What the kernel is to tell of each message: who sent it, and how many it dropped. */
static int ask_for_notes(const struct socket_calls *c, const struct sources_syslog *o,
			 int fd)
{
	const int one = 1;

	if (o->type == SYSLOG_UNIX) {
		return c->setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
	}
	if (o->type == SYSLOG_UDP) {
		return c->setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one);
	}
	return 0;
}

static int set_options(const struct socket_calls *c, const struct sources_syslog *o,
		       int fd)
{
	const int one = 1;

	sockets_set_buffer(c, fd, o->receive_buffer);
	if (o->type == SYSLOG_TCP) {
		return c->setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	}
	return ask_for_notes(c, o, fd);
}

static int open_own(const struct socket_calls *c, const struct sources_syslog *o,
		    const union address *a, socklen_t n)
{
	const int one = 1;
	int fd = c->socket(a->any.sa_family,
			   type_of(o) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0;

	if (fd < 0) {
		return -errno;
	}
	if (a->any.sa_family == AF_INET6 &&
	    c->setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) {
		rc = -errno;
	}
	if (rc == 0 && set_options(c, o, fd) != 0) {
		rc = -errno;
	}
	if (rc == 0 && is_unix(o)) {
		rc = bind_path(c, o, fd, a, n);
	} else if (rc == 0 && c->bind(fd, &a->any, n) != 0) {
		rc = -errno;
	}
	if (rc == 0 && type_of(o) == SOCK_STREAM && c->listen(fd, LISTEN_BACKLOG) != 0) {
		rc = -errno;
	}
	if (rc != 0) {
		close(fd);
	}
	return rc != 0 ? rc : fd;
}

/* One that was passed.  What waits in it from before we asked has no notes. */
static int adopt(const struct socket_calls *c, const struct sources_syslog *o, int fd)
{
	sockets_set_buffer(c, fd, o->receive_buffer);
	return ask_for_notes(c, o, fd) == 0 ? fd : -errno;
}

static void explain(const struct sources_syslog *o, int rc, char why[static SOCKETS_WHY])
{
	const char *remedy =
		rc == UV_ENOTSOCK ? "something else has this name; remove it or choose "
				    "another"
		: rc == UV_EADDRINUSE
			? "another program listens there; stop it or choose another"
		: rc == UV_EACCES || rc == UV_EPERM
			? "not permitted; start as root, or let the service manager pass "
			  "the socket"
		: rc == UV_ENOENT ? "its folder does not exist"
				  : err_str(rc);

	if (is_unix(o)) {
		snprintf(why, SOCKETS_WHY, "sources.syslog: cannot open %.100s: %s", o->path,
			 remedy);
	} else {
		snprintf(why, SOCKETS_WHY, "sources.syslog: cannot open %s port %u of %.64s: %s",
			 o->type == SYSLOG_UDP ? "udp" : "tcp", o->port, o->address, remedy);
	}
}

int sockets_open(struct sockets *out, const struct socket_calls *calls,
		 const struct sources_options *options, int passed,
		 char why[static SOCKETS_WHY])
{
	*out = (struct sockets){.n = options->n_syslog};
	for (size_t i = 0; i < SOCKETS_MAX; i++) {
		out->fd[i] = -1;
	}
	for (size_t i = 0; i < options->n_syslog && i < SOCKETS_MAX; i++) {
		const struct sources_syslog *o = &options->syslog[i];
		union address a;
		socklen_t n = 0;
		int rc = address_of(o, &a, &n), fd;

		if (rc == 0) {
			fd = find_passed(o, &a, passed);
			rc = fd >= 0 ? adopt(calls, o, fd) : open_own(calls, o, &a, n);
		}
		if (rc < 0) {
			explain(o, rc, why);
			sockets_close(out);
			return rc;
		}
		out->fd[i] = rc;
	}
	return 0;
}

int sockets_open_one(const struct socket_calls *calls, const struct sources_syslog *o,
		     char why[static SOCKETS_WHY])
{
	union address a;
	socklen_t n = 0;
	int rc = address_of(o, &a, &n);

	rc = rc == 0 ? open_own(calls, o, &a, n) : rc;
	if (rc < 0) {
		explain(o, rc, why);
	}
	return rc;
}

void sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < s->n && i < SOCKETS_MAX; i++) {
		if (s->fd[i] >= 0) {
			close(s->fd[i]);
		}
		s->fd[i] = -1;
	}
}
