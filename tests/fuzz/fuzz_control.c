/* A request on the control socket, from anyone who may connect: it gets one line of
 * JSON or none, and the daemon goes on. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/control.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int echo(void *arg, struct slice args, struct buf *reply)
{
	struct json j = json_begin(reply);

	(void)arg;
	json_object(&j, NULL);
	json_string(&j, "arguments", args);
	json_object_end(&j);
	return json_end(&j);
}

static const struct control_handler handlers[] = {{"status", echo}, {NULL, NULL}};

/* Sends all of it at once, as a client that then waits. */
static int ask(const char *path, const uint8_t *data, size_t size)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
		abort();
	}
	if (size > 0 && send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		size = 0;
	}
	shutdown(fd, SHUT_WR);
	return fd;
}

/* One line, and it is all that comes. */
static void check(int fd)
{
	char reply[4096];
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, reply + n, sizeof reply - n)) > 0) {
		n += (size_t)got;
	}
	if (n > 0 && (reply[0] != '{' || memchr(reply, '\n', n) != reply + n - 1)) {
		abort();
	}
	close(fd);
}

static void on_closed(void *arg)
{
	*(int *)arg = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char folder[] = "/tmp/nightjar-fuzz.XXXXXX", path[64];
	struct control *c;
	uv_loop_t loop;
	int fd, closed = 0;

	if (size > 4 * CONTROL_REQUEST || mkdtemp(folder) == NULL) {
		return 0;
	}
	snprintf(path, sizeof path, "%s/control", folder);
	if (uv_loop_init(&loop) != 0 || control_open(&c, &loop, path, handlers, NULL) != 0) {
		abort();
	}
	fd = ask(path, data, size);
	for (int i = 0; i < 6; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	control_close(c, on_closed, &closed);
	while (!closed) {
		uv_run(&loop, UV_RUN_ONCE);
	}
	uv_run(&loop, UV_RUN_NOWAIT);
	if (uv_loop_close(&loop) != 0) {
		abort();
	}
	check(fd);
	rmdir(folder);
	return 0;
}
