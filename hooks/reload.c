/* A changed list of hooks:
 *
 *	hooks_prepare()   all that can fail: memory, and what the helper thinks of the programs
 *	hooks_take()      nothing can: queues and programs that run move over, by name
 *
 * Every hook is made anew, so that none is half of the old list and half of the new.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "hooks/hook.h"

struct hooks_change {
	struct hooks *hooks;
	struct hook **list; /* with room for those that leave */
	size_t n;
	bool proposed; /* to the helper, which agreed */
};

static struct hook *find(const struct hooks *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++) {
		if (!h->list[i]->leaving && strcmp(h->list[i]->options->name, name) == 0) {
			return h->list[i];
		}
	}
	return NULL;
}

static bool same_command(const struct strlist *a, const struct strlist *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; i < a->n && same; i++) {
		same = strcmp(a->v[i], b->v[i]) == 0;
	}
	return same;
}

static bool same_options(const struct hook_options *a, const struct hook_options *b)
{
	return a->type == b->type && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->path, b->path) == 0 && same_command(&a->command, &b->command) &&
	       a->timeout_ms == b->timeout_ms && a->concurrency == b->concurrency &&
	       a->min_severity == b->min_severity;
}

/* ---- what can fail ---- */

/* Whether a running daemon can use it. */
static bool usable(const struct hooks *h, const struct hook_options *o,
		   const struct hooks_ask *ask)
{
	char text[512];

	if (o->type == HOOK_FILE && !ask->may_write(ask->arg, o->path)) {
		snprintf(text, sizeof text,
			 "hooks: %.64s: %.256s lies outside of what the sandbox was closed "
			 "for; it is taken up by a restart", o->name, o->path);
		ask->note(ask->arg, text);
		return false;
	}
	if (o->type == HOOK_EXEC && !exec_possible(h)) {
		snprintf(text, sizeof text,
			 "hooks: %.64s: %s; it is taken up by a restart", o->name,
			 h->helper_dead
				 ? "the process that runs programs has ended"
				 : "there was no exec hook at the start, so that no process "
				   "runs programs and none can be started from inside the "
				   "sandbox");
		ask->note(ask->arg, text);
		return false;
	}
	return true;
}

/* One that can't be used stays as it was, if it was. */
static int add(struct hooks_change *c, const struct hook_options *o,
	       const struct hooks_ask *ask)
{
	const struct hook *old = find(c->hooks, o->name);
	int rc;

	if (!usable(c->hooks, o, ask)) {
		/* A program can't stay that the helper's table will not have. */
		if (old == NULL ||
		    (old->options->type == HOOK_EXEC && exec_possible(c->hooks))) {
			return 0;
		}
		o = old->options;
	}
	rc = hook_new(&c->list[c->n], c->hooks, o);
	c->n += rc == 0;
	return rc;
}

static void number(struct hooks_change *c)
{
	uint8_t n_exec = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (c->list[i]->options->type == HOOK_EXEC) {
			c->list[i]->index = n_exec++;
		}
	}
}

/* Has any program changed? */
static bool needs_helper(const struct hooks_change *c)
{
	const struct hooks *h = c->hooks;
	size_t old = 0, k = 0;

	for (size_t i = 0; i < h->n; i++) {
		old += !h->list[i]->leaving && h->list[i]->options->type == HOOK_EXEC;
	}
	for (size_t i = 0; i < c->n; i++) {
		const struct hook *now = c->list[i], *before;

		if (now->options->type != HOOK_EXEC) {
			continue;
		}
		k++;
		before = find(h, now->options->name);
		if (before == NULL || before->index != now->index ||
		    !same_options(before->options, now->options)) {
			return true;
		}
	}
	return k != old;
}

static void explain(int rc, char why[static HOOKS_WHY])
{
	if (why[0] == '\0') {
		snprintf(why, HOOKS_WHY, "%s",
			 rc == UV_EAGAIN ? "the process that runs programs is busy; try again"
			 : rc == ERR_TOO_LARGE
				 ? "the commands are too long; put them into a script"
				 : err_str(rc));
	}
}

int hooks_prepare(struct hooks_change **out, struct hooks *h,
		  const struct hooks_options *next, const struct hooks_ask *ask,
		  char why[static HOOKS_WHY])
{
	struct hooks_change *c = calloc(1, sizeof *c);
	int rc = c == NULL ? UV_ENOMEM : 0;

	*out = NULL;
	why[0] = '\0';
	if (rc == 0) {
		c->hooks = h;
		c->list = calloc(next->n_hooks + h->n + 1, sizeof(struct hook *));
		rc = c->list == NULL ? UV_ENOMEM : 0;
	}
	for (size_t i = 0; rc == 0 && i < next->n_hooks; i++) {
		rc = add(c, &next->hooks[i], ask);
	}
	if (rc == 0) {
		number(c);
		c->proposed = exec_possible(h) && needs_helper(c);
		rc = c->proposed ? exec_propose(h, next, why) : 0;
	}
	if (rc != 0) {
		explain(rc, why);
		hooks_drop(c);
		return rc;
	}
	*out = c;
	return 0;
}

void hooks_drop(struct hooks_change *c)
{
	if (c == NULL) {
		return;
	}
	for (size_t i = 0; c->list != NULL && i < c->n; i++) {
		hook_free(c->list[i]);
	}
	free(c->list);
	free(c);
}

/* ---- what can't ---- */

static void move_queue(struct hook *to, struct hook *from)
{
	if (from->first != NULL) {
		to->first = from->first;
		to->last = from->last;
	}
	to->n_waiting = from->n_waiting;
	to->bytes_waiting = from->bytes_waiting;
	from->first = NULL;
	from->last = &from->first;
	from->n_waiting = from->bytes_waiting = 0;
}

/* What runs is counted where the helper counts it: under the same name. */
static void move_flights(struct hook *to, struct hook *from)
{
	struct hooks *h = from->hooks;

	for (size_t i = 0; i < PROTOCOL_JOBS; i++) {
		if (h->flights[i].hook == from) {
			h->flights[i].hook = to;
		}
	}
	to->running = from->running;
	from->running = 0;
}

static void move_file(struct hook *to, struct hook *from)
{
	struct sys_timer *timer = to->file.timer;

	if (to->options->type != HOOK_FILE || from->options->type != HOOK_FILE ||
	    strcmp(to->options->path, from->options->path) != 0) {
		return;
	}
	to->file = from->file;
	to->file.timer = timer;
	from->file.fd = -1;
	if (to->file.failing) {
		sys_timer_set(to->hooks->sys, timer, to->file.retry_ms);
	}
}

static void move(struct hook *to, struct hook *from)
{
	move_queue(to, from);
	move_flights(to, from);
	move_file(to, from);
	to->delivered = from->delivered;
	to->failed = from->failed;
	to->dropped = from->dropped;
}

/* Nobody will ask for its alerts any more: what waits is given up and told. */
static void leave(struct hook *k, struct hooks_taken *t)
{
	if (k->options->type == HOOK_FILE && k->first != NULL) {
		k->file.failing = false;
		file_pump(k); /* Once more. */
	}
	t->gone++;
	t->undelivered += k->n_waiting;
	if (k->n_waiting > 0) {
		log_error("a hook was taken out of the configuration while alerts waited for it",
			  "hook=%s undelivered=%zu", k->options->name, k->n_waiting);
	}
	while (k->first != NULL) {
		hook_pop(k);
	}
	k->leaving = true;
}

static void count(struct hooks_taken *t, const struct hook *now, const struct hook *before)
{
	if (before == NULL) {
		t->added++;
	} else if (same_options(now->options, before->options)) {
		t->kept++;
	} else {
		t->changed++;
	}
}

void hooks_take(struct hooks_change *c, struct hooks_taken *t)
{
	struct hooks *h = c->hooks;
	bool proposed = c->proposed;
	size_t n = c->n;

	*t = (struct hooks_taken){0};
	for (size_t i = 0; i < n; i++) {
		struct hook *old = find(h, c->list[i]->options->name);

		count(t, c->list[i], old);
		if (old != NULL) {
			move(c->list[i], old);
			old->leaving = true; /* An empty shell: gone below. */
		}
	}
	for (size_t i = 0; i < h->n; i++) {
		if (!h->list[i]->leaving) {
			leave(h->list[i], t);
		}
		c->list[c->n++] = h->list[i];
	}
	free(h->list);
	h->list = c->list;
	h->n = c->n;
	free(c);
	hooks_sweep(h);
	if (proposed) {
		exec_take(h);
	}
	for (size_t i = 0; i < h->n; i++) {
		if (h->list[i]->options->type == HOOK_FILE) {
			file_pump(h->list[i]);
		}
	}
	exec_pump(h);
}
