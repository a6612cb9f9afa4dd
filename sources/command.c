#include "sources/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/about.h"
#include "sources/command_impl.h"

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

void commands_check_end(struct commands *s)
{
	if (s->freeing && s->closing == 0) {
		free_all(s);
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
		command_step(c);
	}
}

static void ask(struct command *c)
{
	int rc = commands_tell(c->set, RUNNER_RUN, c->index);

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
		command_end_output(c);
		command_step(c);
	} else if (c->state == ENDED) {
		sys_timer_set(c->set->sys, c->timer, END_WAIT_MS);
	}
}

/* ENDED, and everything that it wrote was taken: the next run may begin.  Not
 * earlier, or the first line of the next would continue the last of this one. */
void command_step(struct command *c)
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
	command_step(c);
}

/* ---- what the runner has done ---- */

void command_started(struct command *c, int out, int err)
{
	int rc;

	c->state = RUNNING;
	c->started_ns = sys_mono_ns(c->set->sys);
	c->runs++;
	rc = command_open_output(c, out, err);
	if (rc != 0) {
		/* It finds its pipe closed, and is started again later. */
		log_error("cannot read a command's output", "command=\"%s\" error=\"%s\"",
			  c->name, err_str(rc));
		commands_tell(c->set, RUNNER_STOP, c->index);
	}
}

void command_ended(struct command *c, const struct runner_message *m)
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
	command_step(c);
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
			command_step(c);
		} else {
			kept_resume(&c->kept);
			command_read_on(c);
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
			commands_tell(s, RUNNER_STOP, c->index);
		}
		sys_timer_stop(s->sys, c->timer);
		command_drain(c);
		command_close_output(c);
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
	commands_check_end(s);
}

static void op_free(struct source *source)
{
	struct commands *s = of(source);

	s->stopping = s->freeing = true;
	sys_timer_stop(s->sys, s->sweep);
	for (size_t i = 0; i < s->n; i++) {
		sys_timer_stop(s->sys, s->v[i]->timer);
		command_close_output(s->v[i]);
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
	command_close_output(c);
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
