/* What commands write: their output, which becomes lines, and what they say on standard
 * error.  Pipes are on the heap, since the next run begins while the last one's close. */
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "sources/command_impl.h"

static const int64_t minute = INT64_C(60000000000);

static void on_pipe_closed(uv_handle_t *h)
{
	struct pipe *p = (struct pipe *)h;
	struct commands *s = p->set;

	free(p);
	s->closing--;
	commands_check_end(s);
}

static void close_pipe(struct pipe **p)
{
	if (*p != NULL) {
		(*p)->set->closing++;
		uv_close((uv_handle_t *)&(*p)->uv, on_pipe_closed);
		*p = NULL;
	}
}

/* ---- its output ---- */

static void on_out(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	struct command *c = h->data;
	size_t room;
	char *p = kept_room(&c->kept, &room);

	(void)hint;
	*out = uv_buf_init(p, (unsigned)room);
}

void command_read_on(struct command *c)
{
	size_t room;

	kept_room(&c->kept, &room);
	if (c->out != NULL && !c->reading && room > 0) {
		c->reading = true;
		uv_read_start((uv_stream_t *)&c->out->uv, on_alloc, on_out);
	}
}

static void stop_reading(struct command *c)
{
	if (c->reading) {
		c->reading = false;
		uv_read_stop((uv_stream_t *)&c->out->uv);
	}
}

void command_end_output(struct command *c)
{
	stop_reading(c);
	close_pipe(&c->out);
	kept_flush(&c->kept);
}

static void on_out(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct command *c = stream->data;
	size_t room;

	(void)buf;
	if (n < 0) {
		command_end_output(c);
		command_step(c);
		return;
	}
	kept_took(&c->kept, (size_t)n);
	kept_room(&c->kept, &room);
	if (room == 0) {
		stop_reading(c); /* Until there is room downstream. */
	}
}

/* ---- its errors ---- */

static void say(struct command *c, struct slice line)
{
	int64_t now = sys_mono_ns(c->set->sys);

	if (now - c->said_since_ns > minute) {
		c->said_since_ns = now;
		c->said_lines = 0;
	}
	c->lines_said++;
	if (c->said_lines == SAID_MAX) {
		c->said_dropped++;
		return;
	}
	c->said_lines++;
	c->set->cb.said(c->set->cb.arg, c->name, line, c->said_dropped);
	c->said_dropped = 0;
}

static void take_said(struct command *c, char byte)
{
	if (byte == '\n' || c->n_said == SAID_BYTES) {
		if (!c->said_cut && c->n_said > 0) {
			say(c, slice(c->said, c->n_said));
		}
		c->said_cut = byte != '\n';
		c->n_said = 0;
	} else if (!c->said_cut) {
		c->said[c->n_said++] = byte;
	}
}

static void on_err_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	struct command *c = h->data;

	(void)hint;
	*out = uv_buf_init(c->set->err_bytes, sizeof c->set->err_bytes);
}

static void on_err(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct command *c = stream->data;

	for (ssize_t i = 0; i < n; i++) {
		take_said(c, buf->base[i]);
	}
	if (n > 0) {
		explicit_bzero(buf->base, (size_t)n);
	}
	if (n < 0) {
		take_said(c, '\n');
		close_pipe(&c->err);
	}
}

/* ---- both ---- */

/* fd is taken over. */
static int open_pipe(struct command *c, struct pipe **out, int fd)
{
	struct pipe *p = calloc(1, sizeof *p);
	int rc = UV_ENOMEM;

	if (p == NULL) {
		goto err_close;
	}
	p->set = c->set;
	rc = uv_pipe_init(c->set->loop, &p->uv, 0);
	if (rc != 0) {
		free(p);
		goto err_close;
	}
	p->uv.data = c;
	*out = p;
	rc = uv_pipe_open(&p->uv, fd);
	if (rc != 0) {
		close_pipe(out);
		goto err_close;
	}
	return 0;

err_close:
	close(fd);
	return rc;
}

int command_open_output(struct command *c, int out, int err)
{
	int rc;

	close_pipe(&c->err);
	c->n_said = 0;
	rc = open_pipe(c, &c->out, out);
	if (rc == 0) {
		command_read_on(c);
		rc = open_pipe(c, &c->err, err);
	} else {
		close(err);
	}
	if (rc == 0) {
		uv_read_start((uv_stream_t *)&c->err->uv, on_err_alloc, on_err);
	}
	return rc;
}

/* What it has written already would be lost with the pipe. */
void command_drain(struct command *c)
{
	size_t left = DRAIN_MAX, room;
	ssize_t n = 1;

	while (c->out != NULL && n > 0 && left > 0) {
		char *p = kept_room(&c->kept, &room);
		uv_os_fd_t fd;

		n = 0;
		if (room > 0 && uv_fileno((uv_handle_t *)&c->out->uv, &fd) == 0) {
			n = read(fd, p, room < left ? room : left);
		}
		if (n > 0) {
			left -= (size_t)n;
			kept_took(&c->kept, (size_t)n);
		}
	}
}

void command_close_output(struct command *c)
{
	stop_reading(c);
	close_pipe(&c->out);
	close_pipe(&c->err);
}
