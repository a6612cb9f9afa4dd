#include "sources/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/about.h"
#include "sources/command_impl.h"

static const int64_t minute = INT64_C(60000000000);

static void step(struct command *c);

/* ---- the end of everything ---- */

static void free_all(struct commands *s)
{
	for (size_t i = 0; i < s->n; i++) {
		command_free(s->v[i]);
	}
	free(s->v);
	sys_timer_free(s->sys, s->sweep);
	if (s->fd >= 0) {
		close(s->fd);
	}
	free(s);
}

static void check_end(struct commands *s)
{
	if (s->freeing && s->closing == 0) {
		free_all(s);
	}
}

static void on_pipe_closed(uv_handle_t *h)
{
	struct pipe *p = (struct pipe *)h;
	struct commands *s = p->set;

	free(p);
	s->closing--;
	check_end(s);
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

static void read_on(struct command *c)
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

static void end_out(struct command *c)
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
		end_out(c);
		step(c);
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

/* ---- its life ---- */

static uint64_t jittered(struct commands *s, uint64_t ms)
{
	uint32_t r = 0;

	/* Without randomness all of a fleet wait as long: no reason to fail. */
	if (sys_random(s->sys, &r, sizeof r) != 0) {
		return ms;
	}
	return ms - (uint64_t)((double)(ms / 2) * ((double)r / UINT32_MAX));
}

static void tell_end(struct command *c, enum command_how how, int status,
		     uint64_t again_ms)
{
	struct command_end end = {c->name, how, status, again_ms};

	c->set->cb.ended(c->set->cb.arg, &end);
}

/* How long until the next start.  ran: it had been started. */
static void choose_pause(struct command *c, bool ran)
{
	const struct sources_command *o = c->options;
	int64_t ran_ms = (sys_mono_ns(c->set->sys) - c->started_ns) / 1000000;

	if (ran && ran_ms >= (int64_t)o->restart_max_ms) {
		c->delay_ms = o->restart_min_ms;
	}
	c->wait_ms = jittered(c->set, c->delay_ms);
	c->delay_ms = c->delay_ms > o->restart_max_ms / 2 ? o->restart_max_ms
							  : c->delay_ms * 2;
}

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

static int send_message(struct commands *s, enum runner_type type, uint8_t index)
{
	struct runner_message m = {type, index, 0};
	char bytes[RUNNER_MESSAGE];
	struct buf b = {bytes, 0, sizeof bytes, sizeof bytes};
	/* What is sent behind it is meant by the new table. */
	int rc = commands_send_take(s);

	rc = rc != 0 ? rc : runner_message_encode(&b, &m);
	return rc != 0 ? rc : commands_send(s, buf_slice(&b));
}

void commands_bury(struct commands *s, int rc)
{
	if (s->lost) {
		return;
	}
	s->lost = true;
	uv_poll_stop(&s->poll);
	log_error("the process that runs command sources has ended; restart the agent",
		  "error=\"%s\"", err_str(rc));
	for (size_t i = 0; i < s->n; i++) {
		struct command *c = s->v[i];

		c->state = LOST; /* What is in its pipe is still read. */
		sys_timer_stop(s->sys, c->timer);
		if (!c->leaving) {
			tell_end(c, COMMAND_LOST, rc, 0);
		}
		step(c);
	}
}

static void ask(struct command *c)
{
	int rc = send_message(c->set, RUNNER_RUN, c->index);

	if (rc == UV_EAGAIN) {
		sys_timer_set(c->set->sys, c->timer, c->options->restart_min_ms);
	} else if (rc != 0) {
		commands_bury(c->set, rc);
	} else {
		c->state = ASKED;
	}
}

/* PAUSE: it is time.  ENDED: somebody else still holds its output open. */
static void on_timer(void *arg)
{
	struct command *c = arg;

	if (c->state == PAUSE) {
		ask(c);
	} else if (c->state == ENDED && c->reading) {
		end_out(c);
		step(c);
	} else if (c->state == ENDED) {
		sys_timer_set(c->set->sys, c->timer, END_WAIT_MS);
	}
}

/* ENDED, and everything that it wrote was taken: the next run may begin.  Not
 * earlier, or the first line of the next would continue the last of this one. */
static void step(struct command *c)
{
	if (c->out != NULL || c->kept.n > 0) {
		return;
	}
	if (c->leaving && (c->state == ENDED || c->state == PAUSE || c->state == LOST)) {
		sys_timer_set(c->set->sys, c->set->sweep, 0);
	} else if (c->state == ENDED) {
		c->state = PAUSE;
		sys_timer_set(c->set->sys, c->timer, c->wait_ms);
	}
}

/* Not from inside a command's own callbacks. */
static void on_sweep(void *arg)
{
	struct commands *s = arg;

	for (size_t i = s->n; i > 0 && !s->stopping; i--) {
		struct command *c = s->v[i - 1];

		if (!c->leaving || c->out != NULL || c->kept.n > 0 || c->state == ASKED ||
		    c->state == RUNNING) {
			continue;
		}
		if (c->opened) {
			kept_close(&c->kept);
		}
		command_free(c);
		s->n--;
		memmove(s->v + i - 1, s->v + i, (s->n - (i - 1)) * sizeof(struct command *));
	}
}

void command_begin(struct command *c)
{
	kept_open(&c->kept);
	c->opened = true;
	sys_timer_set(c->set->sys, c->timer, 0);
}

void command_leave(struct command *c)
{
	c->leaving = true;
	/* Else the runner says when it has ended, and the place is free. */
	c->placed = c->state == ASKED || c->state == RUNNING;
	if (c->state == PAUSE || c->state == LOST) {
		sys_timer_stop(c->set->sys, c->timer);
		kept_flush(&c->kept);
	}
	step(c);
}

/* ---- what the runner says ---- */

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

static void on_started(struct command *c, int out, int err)
{
	int rc;

	c->state = RUNNING;
	c->started_ns = sys_mono_ns(c->set->sys);
	c->runs++;
	close_pipe(&c->err);
	c->n_said = 0;
	rc = open_pipe(c, &c->out, out);
	if (rc == 0) {
		read_on(c);
		rc = open_pipe(c, &c->err, err);
	} else {
		close(err);
	}
	if (rc == 0) {
		uv_read_start((uv_stream_t *)&c->err->uv, on_err_alloc, on_err);
	} else {
		/* It finds its pipe closed, and is started again later. */
		log_error("cannot read a command's output", "command=\"%s\" error=\"%s\"",
			  c->name, err_str(rc));
		send_message(c->set, RUNNER_STOP, c->index);
	}
}

static void on_ended(struct command *c, const struct runner_message *m)
{
	bool ran = m->type != RUNNER_FAILED;
	int status = (int)(m->status & 0xffff);

	choose_pause(c, ran);
	c->state = ENDED;
	sys_timer_set(c->set->sys, c->timer, END_WAIT_MS);
	if (c->leaving) {
		c->placed = false; /* As it was meant to. */
	} else {
		tell_end(c,
			 !ran ? COMMAND_FAILED
			 : m->type == RUNNER_SIGNALED ? COMMAND_SIGNALED
						      : COMMAND_EXITED,
			 ran ? status : -status, c->wait_ms);
	}
	step(c);
}

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
		on_started(c, fds[0], fds[1]);
		return 0;
	}
	if (rc == 0 && m.type > RUNNER_STARTED) {
		on_ended(c, &m);
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

/* ---- as a source ---- */

static struct commands *of(struct source *s)
{
	return (struct commands *)s;
}

static int op_start(struct source *source)
{
	struct commands *s = of(source);

	commands_listen(s);
	s->started = true;
	for (size_t i = 0; i < s->n; i++) {
		command_begin(s->v[i]);
	}
	return 0;
}

static void op_resume(struct source *source)
{
	struct commands *s = of(source);

	for (size_t i = 0; i < s->n; i++) {
		struct command *c = s->v[i];

		if (c->out == NULL) {
			kept_flush(&c->kept);
			step(c);
		} else {
			kept_resume(&c->kept);
			read_on(c);
		}
	}
}

/* What it has written already would be lost with the pipe. */
static void drain(struct command *c)
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

static void op_stop(struct source *source)
{
	struct commands *s = of(source);

	s->stopping = true;
	for (size_t i = 0; i < s->n; i++) {
		struct command *c = s->v[i];

		if (c->placed && !c->leaving) {
			send_message(s, RUNNER_STOP, c->index);
		}
		sys_timer_stop(s->sys, c->timer);
		stop_reading(c);
		drain(c);
		close_pipe(&c->out);
		close_pipe(&c->err);
		if (c->opened) {
			kept_close(&c->kept);
			c->opened = false;
		}
	}
}

static void on_poll_closed(uv_handle_t *h)
{
	struct commands *s = h->data;

	s->closing--;
	check_end(s);
}

static void op_free(struct source *source)
{
	struct commands *s = of(source);

	s->stopping = s->freeing = true;
	sys_timer_stop(s->sys, s->sweep);
	for (size_t i = 0; i < s->n; i++) {
		sys_timer_stop(s->sys, s->v[i]->timer);
		close_pipe(&s->v[i]->out);
		close_pipe(&s->v[i]->err);
	}
	s->closing++;
	uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

static void op_status(const struct source *source, struct json *j)
{
	static const char *const states[] = {"pausing", "starting", "running", "ended",
					     "lost"};
	const struct commands *s = (const struct commands *)source;

	for (size_t i = 0; i < s->n; i++) {
		const struct command *c = s->v[i];

		json_object(j, c->name);
		json_cstr(j, "state", c->leaving ? "leaving" : states[c->state]);
		json_u64(j, "bytes", c->kept.stream.position);
		json_u64(j, "runs", c->runs);
		json_u64(j, "lines_of_errors", c->lines_said);
		json_object_end(j);
	}
}

static const struct source_ops command_ops = {
	.name = "commands",
	.start = op_start,
	.resume = op_resume,
	.stop = op_stop,
	.free = op_free,
	.status = op_status,
};

/* "label: /sbin/logread -f", as far as there is room. */
static void name_it(struct command *c)
{
	const struct strlist *argv = &c->options->command;
	size_t n = 0;

	if (c->options->about.label[0] != '\0') {
		n = (size_t)snprintf(c->name, NAME_BYTES, "%s:", c->options->about.label);
	}
	for (size_t i = 0; i < argv->n && n < NAME_BYTES; i++) {
		n += (size_t)snprintf(c->name + n, NAME_BYTES - n, "%s%s",
				      n > 0 ? " " : "", argv->v[i]);
	}
}

static int copy_options(struct sources_command *out, const struct sources_command *o)
{
	int rc = sources_about_copy(&out->about, &o->about);

	out->restart_min_ms = o->restart_min_ms;
	out->restart_max_ms = o->restart_max_ms;
	for (size_t i = 0; i < o->command.n && rc == 0; i++) {
		rc = strlist_add(&out->command, slice_str(o->command.v[i]));
	}
	return rc;
}

int command_new(struct command **out, struct commands *s, const struct sources_command *o,
		const struct sources_options *options,
		const unsigned char secret[static STREAM_SECRET])
{
	struct command *c = calloc(1, sizeof *c);
	char path[NAME_BYTES + 8];
	int rc;

	*out = NULL;
	if (c == NULL) {
		return UV_ENOMEM;
	}
	c->set = s;
	c->options = &c->own;
	rc = copy_options(&c->own, o);
	rc = rc != 0 ? rc : sys_timer_new(s->sys, &c->timer, on_timer, c);
	if (rc == 0) {
		c->delay_ms = c->options->restart_min_ms;
		name_it(c);
		snprintf(path, sizeof path, "command:%s", c->options->command.v[0]);
		rc = kept_init(&c->kept, s->sys, options, secret, &c->options->about, path,
			       s->cb.tail, s->cb.tail_arg);
	}
	if (rc != 0) {
		command_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void command_free(struct command *c)
{
	if (c == NULL) {
		return;
	}
	close_pipe(&c->out);
	close_pipe(&c->err);
	sys_timer_free(c->set->sys, c->timer);
	if (c->kept.buf != NULL) {
		kept_fini(&c->kept);
	}
	explicit_bzero(c->said, SAID_BYTES);
	sources_about_fini(&c->own.about);
	strlist_fini(&c->own.command);
	free(c);
}

int commands_new(struct source **out, uv_loop_t *loop, struct sys *sys, int fd,
		 const struct sources_options *options,
		 const unsigned char secret[static STREAM_SECRET],
		 const struct command_callbacks *cb)
{
	struct commands *s = calloc(1, sizeof *s);
	int rc = UV_ENOMEM;

	*out = NULL;
	if (s == NULL) {
		close(fd);
		return rc;
	}
	*s = (struct commands){.source.ops = &command_ops, .sys = sys, .loop = loop,
			       .fd = fd, .cb = *cb};
	s->v = calloc(options->n_commands + 1, sizeof(struct command *));
	rc = s->v == NULL ? UV_ENOMEM : sys_timer_new(sys, &s->sweep, on_sweep, s);
	while (rc == 0 && s->n < options->n_commands) {
		rc = command_new(&s->v[s->n], s, &options->commands[s->n], options, secret);
		if (rc == 0) {
			s->v[s->n]->index = (uint8_t)s->n;
			s->v[s->n++]->placed = true;
		}
	}
	rc = rc != 0 ? rc : uv_poll_init(loop, &s->poll, fd);
	if (rc != 0) {
		free_all(s);
		return rc;
	}
	s->poll.data = s;
	*out = &s->source;
	return 0;
}
