/* sockets: opens what sources/syslog.h reads, while there are still rights for it.
 *
 * A unix socket's path is taken over from one that nobody listens at any more; a path
 * that is no socket, or at which somebody listens, is left alone and is an error.  A
 * socket that the service manager passed (sd_listen_fds(3)) and that has the type and
 * address of a configured one is used in its place.
 *
 * Called from main(), before threads; blocks.
 */
#ifndef SOURCES_SOCKETS_H
#define SOURCES_SOCKETS_H

#include <sys/socket.h>

#include "sources/options.h"

enum { SOCKETS_MAX = 32, SOCKETS_WHY = 256, SOCKETS_PASSED_FIRST = 3 };

/* The calls that can fail, so that tests can make them. */
struct socket_calls {
	int (*socket)(int domain, int type, int protocol);
	int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t n);
	int (*bind)(int fd, const struct sockaddr *a, socklen_t n);
	int (*listen)(int fd, int backlog);
	int (*chown)(const char *path, uid_t uid, gid_t gid);
	int (*accept4)(int fd, struct sockaddr *a, socklen_t *n, int flags);
	int (*recvmmsg)(int fd, struct mmsghdr *v, unsigned n, int flags,
			struct timespec *timeout);
	ssize_t (*recv)(int fd, void *buf, size_t n, int flags);
};
/* The system's. */
extern const struct socket_calls socket_calls;

struct sockets {
	int fd[SOCKETS_MAX]; /* one for each of options->syslog; -1: none */
	size_t n;
};

/* passed: how many descriptors the service manager passed (daemon_listen_fds()).
 * 0, or UV_E* and why (what, where, the remedy); then nothing is left open. */
int sockets_open(struct sockets *out, const struct socket_calls *calls,
		 const struct sources_options *options, int passed,
		 char why[static SOCKETS_WHY]);
/* One more, while the agent runs: with the rights that it has left.  The descriptor, or
 * UV_E* and why. */
int sockets_open_one(const struct socket_calls *calls, const struct sources_syslog *o,
		     char why[static SOCKETS_WHY]);
/* The kernel's buffer of one that is open, as far as we may. */
void sockets_set_buffer(const struct socket_calls *calls, int fd, uint64_t bytes);
/* Those that nobody has taken over. */
void sockets_close(struct sockets *s);

/* "0660": permissions in octal.  "user", "user:group" or ":group", of this machine;
 * (uid_t)-1: left as it is. */
bool sockets_mode(const char *text, mode_t *out);
bool sockets_owner(const char *text, uid_t *uid, gid_t *gid);

#endif
