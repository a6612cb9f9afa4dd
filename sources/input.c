#include "sources/input.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/kept.h"

struct input {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tty_t tty;
		uv_idle_t idle; /* a file: read when nothing else is to do */
	} uv;
	uv_loop_t *loop;
	bool is_file;
	int fd; /* of a file */
	struct sys *sys;
	uint64_t file_offset;
	struct kept kept;
	bool live; /* the handle has to be closed */
	bool reading, ended, closing;
};

static void read_on(struct input *in);

static void stop_reading(struct input *in)
{
	if (!in->reading) {
		return;
	}
	in->reading = false;
	if (in->is_file) {
		uv_idle_stop(&in->uv.idle);
	} else {
		uv_read_stop(&in->uv.stream);
	}
}

static void took(struct input *in, size_t n)
{
	size_t room;

	kept_took(&in->kept, n);
	kept_room(&in->kept, &room);
	if (room == 0) {
		stop_reading(in); /* Until there is room downstream. */
	}
}

static void ended(struct input *in, int status)
{
	stop_reading(in);
	in->ended = true;
	if (status != 0 && status != UV_EOF) {
		log_warn("cannot read standard input any further",
			 "error=\"%s\"", err_str(status));
	}
	kept_flush(&in->kept);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	struct input *in = h->data;
	size_t room;
	char *p = kept_room(&in->kept, &room);

	(void)hint;
	*out = uv_buf_init(p, (unsigned)room);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct input *in = s->data;

	(void)buf;
	if (n < 0) {
		ended(in, (int)n);
	} else {
		took(in, (size_t)n);
	}
}

static void on_idle(uv_idle_t *idle)
{
	struct input *in = idle->data;
	size_t room;
	char *p = kept_room(&in->kept, &room);
	int64_t n = sys_pread(in->sys, in->fd, p, room, in->file_offset);

	if (n <= 0) {
		ended(in, (int)n);
		return;
	}
	in->file_offset += (uint64_t)n;
	took(in, (size_t)n);
}

static void read_on(struct input *in)
{
	size_t room;

	kept_room(&in->kept, &room);
	if (in->reading || in->ended || in->closing || room == 0) {
		return;
	}
	in->reading = true;
	if (in->is_file) {
		uv_idle_start(&in->uv.idle, on_idle);
	} else {
		uv_read_start(&in->uv.stream, on_alloc, on_read);
	}
}

static int open_handle(struct input *in, int fd)
{
	int rc;

	switch (uv_guess_handle(fd)) {
	case UV_NAMED_PIPE:
		rc = uv_pipe_init(in->loop, &in->uv.pipe, 0);
		in->live = rc == 0;
		return rc != 0 ? rc : uv_pipe_open(&in->uv.pipe, fd);
	case UV_TTY:
		rc = uv_tty_init(in->loop, &in->uv.tty, fd, 0);
		break;
	case UV_FILE:
		in->is_file = true;
		in->fd = fd;
		rc = uv_idle_init(in->loop, &in->uv.idle);
		break;
	default:
		return UV_EINVAL;
	}
	in->live = rc == 0;
	return rc;
}

static void on_closed(uv_handle_t *h)
{
	struct input *in = h->data;

	if (in->fd >= 0) {
		sys_close(in->sys, in->fd);
	}
	kept_fini(&in->kept);
	free(in);
}

int input_open(struct input **out, uv_loop_t *loop, struct sys *sys, int fd,
	       const struct sources_options *options,
	       const unsigned char secret[static STREAM_SECRET],
	       const struct tail_callbacks *cb, void *arg)
{
	static char label[] = "standard input", program[] = "", zone[] = "local";
	static const struct sources_about about = {label, program, zone};
	struct input *in = calloc(1, sizeof *in);
	int rc;

	*out = NULL;
	if (in == NULL) {
		return UV_ENOMEM;
	}
	in->loop = loop;
	in->sys = sys;
	in->fd = -1;
	rc = kept_init(&in->kept, sys, options, secret, &about, "-", cb, arg);
	if (rc != 0) {
		free(in);
		return rc;
	}
	rc = open_handle(in, fd);
	in->uv.handle.data = in;
	if (rc != 0 && in->live) {
		in->closing = true;
		uv_close(&in->uv.handle, on_closed);
		return rc;
	}
	if (rc != 0) {
		kept_fini(&in->kept);
		free(in);
		return rc;
	}
	kept_open(&in->kept);
	read_on(in);
	*out = in;
	return 0;
}

void input_resume(struct input *in)
{
	if (in->closing) {
		return;
	}
	if (in->ended) {
		kept_flush(&in->kept);
	} else {
		kept_resume(&in->kept);
	}
	read_on(in);
}

void input_close(struct input *in)
{
	if (in == NULL || in->closing) {
		return;
	}
	stop_reading(in);
	kept_close(&in->kept);
	in->closing = true;
	uv_close(&in->uv.handle, on_closed);
}
