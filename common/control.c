/* A connection's life:
 *
 *   READING --newline, or end of input--> WRITING --all written--> CLOSING
 *      |                                     |
 *      +------ error, timeout, too long -----+--> CLOSING
 *
 * A client is two handles (pipe and timer); it is gone when both are closed, and
 * the control is gone when the listening pipe and all clients are.
 */
#include "common/control.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"
#include "common/json.h"
#include "common/log.h"

enum client_state { READING, WRITING, CLOSING };

struct client {
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_write_t write;
	struct control *control;
	struct client *next;
	enum client_state state;
	unsigned open_handles;
	size_t n_request;
	char request[CONTROL_REQUEST];
	struct buf reply;
};

struct control {
	uv_loop_t *loop;
	uv_pipe_t pipe;
	const struct control_handler *handlers;
	void *arg;
	struct client *clients;
	unsigned n_clients;
	bool closing;
	bool listener_closed;
	void (*done)(void *arg);
	void *done_arg;
	char *path;
};

/* ---- the end ---- */

static void maybe_free(struct control *c)
{
	void (*done)(void *) = c->done;
	void *arg = c->done_arg;

	if (!c->closing || !c->listener_closed || c->n_clients > 0) {
		return;
	}
	free(c->path);
	free(c);
	if (done != NULL) {
		done(arg);
	}
}

static void unlink_client(struct control *c, struct client *gone)
{
	struct client **at = &c->clients;

	while (*at != gone) {
		at = &(*at)->next;
	}
	*at = gone->next;
	c->n_clients--;
}

static void on_client_closed(uv_handle_t *h)
{
	struct client *cl = h->data;
	struct control *c = cl->control;

	if (--cl->open_handles > 0) {
		return;
	}
	unlink_client(c, cl);
	buf_fini(&cl->reply);
	free(cl);
	maybe_free(c);
}

static void client_close(struct client *cl)
{
	if (cl->state == CLOSING) {
		return;
	}
	cl->state = CLOSING;
	uv_close((uv_handle_t *)&cl->pipe, on_client_closed);
	uv_close((uv_handle_t *)&cl->timer, on_client_closed);
}

/* ---- request and reply ---- */

static void reply_error(struct control *c, struct buf *reply, const char *why)
{
	struct json j;

	buf_clear(reply);
	j = json_begin(reply);
	json_object(&j, NULL);
	json_cstr(&j, "error", why);
	json_array(&j, "known");
	for (const struct control_handler *h = c->handlers; h->name != NULL; h++) {
		json_cstr(&j, NULL, h->name);
	}
	json_array_end(&j);
	json_object_end(&j);
}

static void handle(struct control *c, struct slice request, struct buf *reply)
{
	size_t blank = slice_find(request, SLICE_LIT(" "));
	struct slice name = slice_head(request, blank);
	struct slice args = SLICE_NONE;
	int rc;

	if (blank != SIZE_MAX) {
		args = slice_trim(slice_skip(request, blank));
	}
	for (const struct control_handler *h = c->handlers; h->name != NULL; h++) {
		if (!slice_eq(name, slice_str(h->name))) {
			continue;
		}
		rc = h->run(c->arg, args, reply);
		if (rc != 0) {
			reply_error(c, reply, err_str(rc));
		}
		return;
	}
	reply_error(c, reply, "no such request");
}

static void on_written(uv_write_t *w, int status)
{
	(void)status;
	client_close(w->data);
}

static void answer(struct client *cl)
{
	struct slice line = slice(cl->request, cl->n_request);
	uv_buf_t out;

	if (line.n > 0 && line.p[line.n - 1] == '\r') {
		line.n--;
	}
	uv_read_stop((uv_stream_t *)&cl->pipe);
	cl->state = WRITING;
	handle(cl->control, line, &cl->reply);
	/* The newline has room of its own: the limit leaves one byte. */
	cl->reply.limit++;
	if (buf_add_u8(&cl->reply, '\n') != 0) {
		client_close(cl);
		return;
	}
	out = uv_buf_init(cl->reply.p, (unsigned)cl->reply.n);
	cl->write.data = cl;
	if (uv_write(&cl->write, (uv_stream_t *)&cl->pipe, &out, 1, on_written) != 0) {
		client_close(cl);
	}
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
	struct client *cl = h->data;

	(void)hint;
	/* No room left means a request that is too long: libuv then reports
	 * UV_ENOBUFS, and the connection ends. */
	*b = uv_buf_init(cl->request + cl->n_request,
			 (unsigned)(sizeof cl->request - cl->n_request));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct client *cl = s->data;
	const char *newline;

	(void)b;
	if (n == UV_EOF && cl->n_request > 0) {
		answer(cl);
		return;
	}
	if (n < 0) {
		client_close(cl);
		return;
	}
	cl->n_request += (size_t)n;
	newline = memchr(cl->request, '\n', cl->n_request);
	if (newline != NULL) {
		cl->n_request = (size_t)(newline - cl->request);
		answer(cl);
	}
}

static void on_timeout(uv_timer_t *t)
{
	client_close(t->data);
}

/* ---- accepting ---- */

static void on_connection(uv_stream_t *s, int status)
{
	struct control *c = s->data;
	struct client *cl;

	if (status != 0) {
		log_warn("cannot accept on the control socket", "error=\"%s\"",
			 err_str(status));
		return;
	}
	cl = calloc(1, sizeof *cl);
	if (cl == NULL) {
		/* libuv offers it again with the next connection. */
		return;
	}
	cl->control = c;
	/* Initialising a pipe or a timer allocates nothing and can't fail. */
	uv_pipe_init(c->loop, &cl->pipe, 0);
	uv_timer_init(c->loop, &cl->timer);
	cl->pipe.data = cl->timer.data = cl;
	cl->open_handles = 2;
	buf_init(&cl->reply, CONTROL_REPLY);
	cl->next = c->clients;
	c->clients = cl;
	c->n_clients++;
	if (uv_accept(s, (uv_stream_t *)&cl->pipe) != 0 ||
	    c->n_clients > CONTROL_CLIENTS ||
	    uv_read_start((uv_stream_t *)&cl->pipe, on_alloc, on_read) != 0) {
		client_close(cl);
		return;
	}
	uv_timer_start(&cl->timer, on_timeout, CONTROL_TIMEOUT_MS, 0);
}

/* ---- opening and closing ---- */

static int make_address(struct sockaddr_un *a, const char *path)
{
	size_t n = strlen(path);

	if (n >= sizeof a->sun_path) {
		return UV_ENAMETOOLONG;
	}
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, path, n + 1);
	return 0;
}

static int close_errno(int fd)
{
	int rc = -errno;

	close(fd);
	return rc;
}

static int dial(const struct sockaddr_un *a, int flags)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0) {
		return -errno;
	}
	if (connect(fd, (const struct sockaddr *)a, sizeof *a) != 0) {
		return close_errno(fd);
	}
	return fd;
}

/* Removes what a dead process left; anything else stays. */
static int remove_stale(const struct sockaddr_un *a)
{
	struct stat st;
	int fd;

	if (lstat(a->sun_path, &st) != 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (!S_ISSOCK(st.st_mode)) {
		return UV_EADDRINUSE;
	}
	fd = dial(a, SOCK_NONBLOCK);
	if (fd >= 0 || fd != UV_ECONNREFUSED) {
		if (fd >= 0) {
			close(fd);
		}
		/* UV_EAGAIN: its backlog is full, so somebody listens. */
		return fd >= 0 || fd == UV_EAGAIN ? UV_EADDRINUSE : fd;
	}
	return unlink(a->sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* A bound socket that was never wider open than 0660, or an error. */
static int bind_socket(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		return -errno;
	}
	/* On Linux the new file takes its mode from the descriptor and the
	 * umask; chmod() then undoes what the umask took. */
	if (fchmod(fd, 0660) != 0 ||
	    bind(fd, (const struct sockaddr *)a, sizeof *a) != 0) {
		return close_errno(fd);
	}
	if (chmod(a->sun_path, 0660) != 0) {
		int rc = close_errno(fd);

		unlink(a->sun_path);
		return rc;
	}
	return fd;
}

static void on_listener_closed(uv_handle_t *h)
{
	struct control *c = h->data;

	c->listener_closed = true;
	maybe_free(c);
}

/* Takes over fd and path. */
static int listen_on(struct control *c, int fd)
{
	int rc;

	uv_pipe_init(c->loop, &c->pipe, 0);
	c->pipe.data = c;
	rc = uv_pipe_open(&c->pipe, fd);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	return uv_listen((uv_stream_t *)&c->pipe, CONTROL_CLIENTS, on_connection);
}

int control_open(struct control **out, uv_loop_t *loop, const char *path,
		 const struct control_handler *handlers, void *arg)
{
	struct sockaddr_un address;
	struct control *c;
	int fd, rc;

	*out = NULL;
	rc = make_address(&address, path);
	if (rc != 0) {
		return rc;
	}
	c = calloc(1, sizeof *c);
	if (c == NULL) {
		return UV_ENOMEM;
	}
	c->loop = loop;
	c->handlers = handlers;
	c->arg = arg;
	c->path = strdup(path);
	if (c->path == NULL) {
		rc = UV_ENOMEM;
		goto err_free;
	}
	rc = remove_stale(&address);
	if (rc != 0) {
		goto err_free;
	}
	fd = bind_socket(&address);
	if (fd < 0) {
		rc = fd;
		goto err_free;
	}
	rc = listen_on(c, fd);
	if (rc != 0) {
		/* Hardly possible; the handle is the loop's until it has run. */
		control_close(c, NULL, NULL);
		return rc;
	}
	*out = c;
	return 0;
err_free:
	free(c->path);
	free(c);
	return rc;
}

void control_close(struct control *c, void (*done)(void *arg), void *arg)
{
	if (c == NULL) {
		return;
	}
	assert(!c->closing);
	c->closing = true;
	c->done = done;
	c->done_arg = arg;
	/* May fail in a sandbox: the next start then finds it stale. */
	unlink(c->path);
	uv_close((uv_handle_t *)&c->pipe, on_listener_closed);
	for (struct client *cl = c->clients; cl != NULL; cl = cl->next) {
		client_close(cl);
	}
}

/* ---- the asking side ---- */

static int send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR) {
			return errno == EAGAIN ? UV_ETIMEDOUT : -errno;
		}
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		}
	}
	return 0;
}

static int receive_all(int fd, struct buf *reply)
{
	char part[4096];
	ssize_t n;
	int rc;

	for (;;) {
		n = recv(fd, part, sizeof part, 0);
		if (n == 0) {
			return 0;
		}
		if (n < 0 && errno != EINTR) {
			return errno == EAGAIN ? UV_ETIMEDOUT : -errno;
		}
		rc = n > 0 ? buf_add(reply, part, (size_t)n) : 0;
		if (rc != 0) {
			return rc;
		}
	}
}

int control_ask(const char *path, const char *request, struct buf *reply)
{
	const struct timeval limit = {.tv_sec = 2 * CONTROL_TIMEOUT_MS / 1000};
	struct sockaddr_un address;
	size_t before = reply->n;
	int fd, rc;

	rc = make_address(&address, path);
	if (rc != 0) {
		return rc;
	}
	fd = dial(&address, 0);
	if (fd < 0) {
		return fd;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	rc = send_all(fd, request, strlen(request));
	if (rc == 0) {
		rc = send_all(fd, "\n", 1);
	}
	if (rc == 0 || rc == UV_EPIPE) {
		rc = receive_all(fd, reply);
	}
	close(fd);
	if (rc == UV_ECONNRESET || (rc == 0 && reply->n == before)) {
		return ERR_CLOSED;
	}
	if (rc == 0 && reply->p[reply->n - 1] == '\n') {
		reply->n--;
	}
	return rc;
}
