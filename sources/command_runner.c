/* What the agent and the process that runs commands say to each other. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "sources/command_impl.h"

/* ---- to the runner ---- */

int commands_send(struct commands *s, struct slice message)
{
	if (send(s->fd, message.p, message.n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
		return 0;
	}
	return errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? UV_EAGAIN : -errno;
}

int commands_send_take(struct commands *s)
{
	const struct worker_change c = {.type = WORKER_TAKE, .number = s->to_take};
	char bytes[RUNNER_MESSAGE];
	struct buf b = {bytes, 0, sizeof bytes, sizeof bytes};
	int rc = 0;

	if (s->to_take != 0) {
		rc = worker_change_encode(&b, &c);
		rc = rc != 0 ? rc : commands_send(s, buf_slice(&b));
		s->to_take = rc == 0 ? 0 : s->to_take;
	}
	return rc;
}

int commands_tell(struct commands *s, enum runner_type type, uint8_t index)
{
	struct runner_message m = {type, index, 0};
	char bytes[RUNNER_MESSAGE];
	struct buf b = {bytes, 0, sizeof bytes, sizeof bytes};
	/* What is sent behind it is meant by the new table. */
	int rc = commands_send_take(s);

	rc = rc != 0 ? rc : runner_message_encode(&b, &m);
	return rc != 0 ? rc : commands_send(s, buf_slice(&b));
}

/* ---- from it ---- */

/* The two descriptors of a packet, or -1 and -1. */
static void take_descriptors(struct msghdr *h, int fds[static 2])
{
	fds[0] = fds[1] = -1;
	for (struct cmsghdr *m = CMSG_FIRSTHDR(h); m != NULL; m = CMSG_NXTHDR(h, m)) {
		if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS &&
		    m->cmsg_len == CMSG_LEN(2 * sizeof(int))) {
			memcpy(fds, CMSG_DATA(m), 2 * sizeof(int));
		}
	}
}

static struct command *at_place(const struct commands *s, uint8_t place)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i]->placed && s->v[i]->index == place) {
			return s->v[i];
		}
	}
	return NULL;
}

static void take_verdict(struct commands *s, const struct worker_change *c)
{
	s->judged = c->number;
	snprintf(s->verdict, sizeof s->verdict, "%.*s", SLICE_ARG(c->text));
}

int commands_receive(struct commands *s)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(2 * sizeof(int))];
	char bytes[WORKER_TEXT_MAX + 16];
	struct iovec iov = {bytes, sizeof bytes};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
			   .msg_controllen = sizeof room};
	ssize_t n = recvmsg(s->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct worker_change change;
	struct runner_message m;
	struct command *c;
	int fds[2], rc;

	if (n < 0) {
		return errno == EINTR ? 0 : -errno;
	}
	if (n == 0) {
		return ERR_CLOSED;
	}
	take_descriptors(&h, fds);
	if (fds[0] < 0 && worker_change_decode(&change, slice(bytes, (size_t)n)) == 0 &&
	    change.type == WORKER_JUDGED) {
		take_verdict(s, &change);
		return 0;
	}
	rc = runner_message_decode(&m, slice(bytes, (size_t)n));
	c = rc == 0 ? at_place(s, m.command) : NULL;
	if (rc == 0 && (c == NULL || (m.type == RUNNER_STARTED) != (fds[0] >= 0))) {
		rc = ERR_PROTOCOL;
	}
	if (rc == 0 && m.type == RUNNER_STARTED && c->state == ASKED) {
		command_started(c, fds[0], fds[1]);
		return 0;
	}
	if (rc == 0 && m.type > RUNNER_STARTED) {
		command_ended(c, &m);
		return 0;
	}
	if (fds[0] >= 0) {
		close(fds[0]);
		close(fds[1]);
	}
	return rc != 0 ? rc : ERR_PROTOCOL;
}

static void on_runner(uv_poll_t *poll, int status, int events)
{
	struct commands *s = poll->data;
	int rc = status != 0 ? ERR_CLOSED : 0; /* All that libuv says is "bad descriptor". */

	while (rc == 0 && (events & UV_READABLE) != 0 && !s->stopping) {
		rc = commands_receive(s);
	}
	if (rc == 0 || rc == UV_EAGAIN) {
		rc = commands_send_take(s);
	}
	if (rc != 0 && rc != UV_EAGAIN) {
		commands_bury(s, rc);
	} else if (!s->stopping) {
		commands_listen(s);
	}
}

void commands_listen(struct commands *s)
{
	uv_poll_start(&s->poll, UV_READABLE | (s->to_take != 0 ? UV_WRITABLE : 0),
		      on_runner);
}

