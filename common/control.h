/* control: a socket on which a running daemon answers questions about itself.
 *
 * A Unix stream socket, mode 0660.  A client sends one line, "NAME" or "NAME
 * ARGUMENTS"; it gets one JSON document and a newline, then the connection ends.
 * Who may ask is decided by the socket's owner, group and folder.
 *
 * Bounded: CONTROL_CLIENTS at one time (more are closed at once), a request of
 * CONTROL_REQUEST bytes, a reply of CONTROL_REPLY bytes, CONTROL_TIMEOUT_MS from
 * accepting to the last byte.  Nothing a client does costs the daemon more.
 *
 * Threads   The loop thread only; control_ask() any.
 * Blocking  control_open() makes a few file system calls; control_ask() blocks.
 * SIGPIPE   must be ignored by the process.
 */
#ifndef COMMON_CONTROL_H
#define COMMON_CONTROL_H

#include <uv.h>

#include "common/buf.h"

enum {
	CONTROL_CLIENTS = 8,
	CONTROL_REQUEST = 256,
	CONTROL_REPLY = 1024 * 1024,
	CONTROL_TIMEOUT_MS = 5000,
};

struct control; /* opaque */

/* Appends one JSON document.  args: what stands behind the name, borrowed.  An
 * error is answered with {"error": ...} in place of what was written. */
typedef int (*control_cb)(void *arg, struct slice args, struct buf *reply);

struct control_handler {
	const char *name;
	control_cb run;
};

/* handlers (ends with a NULL name) and arg are kept.  A socket that a dead
 * process left behind is replaced; UV_EADDRINUSE: a live one listens there, or
 * path is no socket.  UV_ENAMETOOLONG, UV_ENOMEM, or the error of a call. */
int control_open(struct control **out, uv_loop_t *loop, const char *path,
		 const struct control_handler *handlers, void *arg);
/* Removes the socket, ends every connection and frees c once the loop has run;
 * done (may be NULL) is called then.  No handler runs any more.  NULL allowed:
 * nothing happens. */
void control_close(struct control *c, void (*done)(void *arg), void *arg);

/* A client: sends the request and appends the reply without its newline.
 * UV_ENOENT, UV_ECONNREFUSED: nobody there; UV_EACCES; UV_ETIMEDOUT; ERR_CLOSED:
 * no answer came; ERR_TOO_LARGE, UV_ENOMEM. */
int control_ask(const char *path, const char *request, struct buf *reply);

#endif
