#include "sources/input.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/log.h"

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
	const struct tail_callbacks *cb;
	void *arg;
	struct stream stream;
	unsigned char secret[STREAM_SECRET];
	char *buf;
	size_t n, room;
	bool live; /* the handle has to be closed */
	bool reading, ended, closing;
	uint64_t timeout_ms;
	struct sys_timer *timeout; /* for a last line without its newline */
};

static void read_on(struct input *in);

/* Hands on what is there; keeps what was not taken. */
static void offer(struct input *in, bool final)
{
	struct slice data = slice(in->buf, in->n);
	size_t ready = final ? in->n : lines_ready(&in->stream.lines, data);
	size_t taken;
	bool skipping = in->stream.lines.record_start != in->stream.position;

	if (ready == 0 && !(final && skipping)) {
		return;
	}
	data.n = ready;
	stream_begin_chunk(&in->stream, data);
	taken = in->cb->chunk(in->arg, &in->stream, data,
			      final ? TAIL_FINAL : 0);
	stream_end_chunk(&in->stream, taken);
	in->n -= taken;
	memmove(in->buf, in->buf + taken, in->n);
	/* Secrets among it: redacted is only what was made of it. */
	explicit_bzero(in->buf + in->n, taken);
}

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

/* What waits for its newline has waited long enough. */
static void on_timeout(void *arg)
{
	struct input *in = arg;

	if (!in->closing) {
		offer(in, true);
	}
}

static void took(struct input *in, size_t n)
{
	in->n += n;
	offer(in, false);
	if (in->n > 0) {
		sys_timer_set(in->sys, in->timeout, in->timeout_ms);
	} else {
		sys_timer_stop(in->sys, in->timeout);
	}
	if (in->n == in->room) {
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
	offer(in, true);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	struct input *in = h->data;

	(void)hint;
	*out = uv_buf_init(in->buf + in->n, (unsigned)(in->room - in->n));
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
	int64_t n = sys_pread(in->sys, in->fd, in->buf + in->n,
			      in->room - in->n, in->file_offset);

	if (n <= 0) {
		ended(in, (int)n);
		return;
	}
	in->file_offset += (uint64_t)n;
	took(in, (size_t)n);
}

static void read_on(struct input *in)
{
	if (in->reading || in->ended || in->closing || in->n == in->room) {
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
		return uv_tty_init(in->loop, &in->uv.tty, fd, 0);
	case UV_FILE:
		in->is_file = true;
		in->fd = fd;
		return uv_idle_init(in->loop, &in->uv.idle);
	default:
		return UV_EINVAL;
	}
}

static int make_id(struct input *in)
{
	static char label[] = "standard input", program[] = "", zone[] = "local";
	static const struct sources_about about = {label, program, zone};
	int rc = sys_random(in->sys, &in->stream.st.id,
			    sizeof in->stream.st.id);

	in->stream.has_id = rc == 0;
	in->stream.about = &about;
	in->stream.kept = true;
	in->stream.st.born_ns = sys_wall_ns(in->sys);
	in->stream.st.path = strdup("-");
	return rc != 0 ? rc : in->stream.st.path == NULL ? UV_ENOMEM : 0;
}

static void on_closed(uv_handle_t *h)
{
	struct input *in = h->data;

	if (in->fd >= 0) {
		sys_close(in->sys, in->fd);
	}
	stream_fini(&in->stream);
	explicit_bzero(in->secret, sizeof in->secret);
	free(in->buf);
	free(in);
}

int input_open(struct input **out, uv_loop_t *loop, struct sys *sys, int fd,
	       const struct sources_options *options,
	       const unsigned char secret[static STREAM_SECRET],
	       const struct tail_callbacks *cb, void *arg)
{
	uint32_t line_max = (uint32_t)options->line_max;
	struct input *in = calloc(1, sizeof *in);
	int rc;

	*out = NULL;
	if (in == NULL) {
		return UV_ENOMEM;
	}
	in->loop = loop;
	in->timeout_ms = options->last_line_timeout_ms;
	in->sys = sys;
	in->fd = -1;
	in->cb = cb;
	in->arg = arg;
	in->room = line_max + 4096 > LIMIT_CHUNK ? line_max + 4096
						 : LIMIT_CHUNK;
	in->buf = malloc(in->room);
	memcpy(in->secret, secret, sizeof in->secret);
	if (in->buf == NULL) {
		rc = UV_ENOMEM;
		goto err_free;
	}
	rc = stream_init(&in->stream, in->secret, line_max);
	if (rc != 0) {
		goto err_free;
	}
	rc = make_id(in);
	if (rc == 0) {
		rc = open_handle(in, fd);
	}
	if (rc == 0) {
		in->live = true;
		rc = sys_timer_new(sys, &in->timeout, on_timeout, in);
	}
	if (rc != 0 && in->live) {
		in->uv.handle.data = in;
		in->closing = true;
		uv_close(&in->uv.handle, on_closed);
		return rc;
	}
	if (rc != 0) {
		goto err_stream;
	}
	in->uv.handle.data = in;
	cb->opened(arg, &in->stream);
	read_on(in);
	*out = in;
	return 0;

err_stream:
	stream_fini(&in->stream);
err_free:
	free(in->buf);
	free(in);
	return rc;
}

void input_resume(struct input *in)
{
	if (in->closing) {
		return;
	}
	offer(in, in->ended);
	read_on(in);
}

void input_close(struct input *in)
{
	if (in == NULL || in->closing) {
		return;
	}
	stop_reading(in);
	offer(in, true);
	sys_timer_free(in->sys, in->timeout);
	in->timeout = NULL;
	in->closing = true;
	in->cb->closed(in->arg, &in->stream, TAIL_ROTATED);
	uv_close(&in->uv.handle, on_closed);
}
