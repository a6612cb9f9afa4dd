/* Another list of commands:
 *
 *	commands_prepare()   all that can fail: memory, and what the runner thinks of it
 *	commands_take()      nothing can: what stays runs on in its place, the new begin,
 *	                     the others end and are read to their end
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "sources/about.h"
#include "sources/command_impl.h"

enum { VERDICT_MS = 5000 };

/* What one entry of the new list becomes. */
struct entry {
	struct command *kept; /* goes on; NULL: fresh begins */
	struct command *fresh;
	uint64_t restart_min_ms, restart_max_ms;
	uint8_t place;
};

struct commands_change {
	struct commands *set;
	struct entry *entries;
	size_t n, n_fresh;
	struct command **v; /* with room for all that were and all that are new */
	bool proposed;
};

static bool same(const struct sources_command *a, const struct sources_command *b)
{
	bool eq = a->command.n == b->command.n && sources_about_eq(&a->about, &b->about);

	for (size_t i = 0; eq && i < a->command.n; i++) {
		eq = strcmp(a->command.v[i], b->command.v[i]) == 0;
	}
	return eq;
}

static bool is_kept(const struct commands_change *c, const struct command *old)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->entries[i].kept == old) {
			return true;
		}
	}
	return false;
}

/* Two that are equal stand for two that were. */
static struct command *find(const struct commands_change *c, const struct sources_command *o)
{
	for (size_t i = 0; i < c->set->n; i++) {
		struct command *old = c->set->v[i];

		if (!old->leaving && !is_kept(c, old) && same(old->options, o)) {
			return old;
		}
	}
	return NULL;
}

/* Of those that are, and of those that end. */
static bool place_is_free(const struct commands_change *c, uint8_t place)
{
	for (size_t i = 0; i < c->set->n; i++) {
		if (c->set->v[i]->placed && c->set->v[i]->index == place) {
			return false;
		}
	}
	for (size_t i = 0; i < c->n; i++) {
		if (c->entries[i].place == place) {
			return false;
		}
	}
	return true;
}

static int find_place(const struct commands_change *c, uint8_t *out)
{
	for (uint8_t at = 0; at < RUNNER_PLACES; at++) {
		if (place_is_free(c, at)) {
			*out = at;
			return 0;
		}
	}
	return ERR_FULL;
}

static int add(struct commands_change *c, const struct sources_command *o,
	       const struct sources_options *options,
	       const unsigned char secret[static STREAM_SECRET])
{
	struct entry e = {.kept = find(c, o), .restart_min_ms = o->restart_min_ms,
			  .restart_max_ms = o->restart_max_ms};
	int rc = 0;

	if (e.kept != NULL) {
		e.place = e.kept->index;
	} else {
		rc = find_place(c, &e.place);
		rc = rc != 0 ? rc : command_new(&e.fresh, c->set, o, options, secret);
		c->n_fresh += rc == 0;
	}
	if (rc == 0) {
		c->entries[c->n++] = e;
	}
	return rc;
}

static bool any_gone(const struct commands_change *c)
{
	for (size_t i = 0; i < c->set->n; i++) {
		if (!c->set->v[i]->leaving && !is_kept(c, c->set->v[i])) {
			return true;
		}
	}
	return false;
}

/* ---- asking the runner ---- */

static int send_proposal(struct commands_change *c, const struct sources_options *options)
{
	uint8_t places[RUNNER_COMMANDS];
	struct worker_change w = {.type = WORKER_PROPOSE, .number = ++c->set->proposed,
				  .more = slice(places, c->n)};
	struct buf table, message;
	int rc;

	for (size_t i = 0; i < c->n; i++) {
		places[i] = c->entries[i].place;
	}
	buf_init(&table, WORKER_MESSAGE_MAX);
	buf_init(&message, WORKER_MESSAGE_MAX);
	rc = runner_table_encode(&table, "", false, options);
	w.table = buf_slice(&table);
	rc = rc != 0 ? rc : worker_change_encode(&message, &w);
	rc = rc != 0 ? rc : commands_send(c->set, buf_slice(&message));
	buf_fini(&message);
	buf_fini(&table);
	return rc;
}

/* Commands that start and end meanwhile are taken as ever. */
static int await_verdict(struct commands *s)
{
	int64_t end_ns = sys_mono_ns(s->sys) + VERDICT_MS * INT64_C(1000000);

	while (s->judged != s->proposed) {
		int64_t left_ns = end_ns - sys_mono_ns(s->sys);
		struct pollfd p = {.fd = s->fd, .events = POLLIN};
		int rc;

		if (left_ns <= 0) {
			return ERR_TIMEOUT;
		}
		poll(&p, 1, (int)(left_ns / 1000000) + 1);
		rc = commands_receive(s);
		if (rc != 0 && rc != UV_EAGAIN) {
			commands_bury(s, rc);
			return ERR_CLOSED;
		}
	}
	return 0;
}

static int propose(struct commands_change *c, const struct sources_options *options,
		   char why[static COMMANDS_WHY])
{
	struct commands *s = c->set;
	/* The TAKE of the last time goes before what is proposed now. */
	int rc = s->lost ? ERR_CLOSED : commands_send_take(s);

	rc = rc != 0 ? rc : send_proposal(c, options);
	rc = rc != 0 ? rc : await_verdict(s);
	if (rc == 0 && s->verdict[0] != '\0') {
		snprintf(why, COMMANDS_WHY, "%.*s", COMMANDS_WHY - 1, s->verdict);
		return UV_EACCES;
	}
	c->proposed = rc == 0;
	return rc;
}

static void explain(int rc, char why[static COMMANDS_WHY])
{
	const char *text = rc == ERR_CLOSED	 ? "the process that runs commands has ended"
			   : rc == ERR_FULL	 ? "commands of earlier reloads have not ended "
						   "yet; try again"
			   : rc == UV_EAGAIN	 ? "the process that runs commands is busy; try "
						   "again"
			   : rc == ERR_TOO_LARGE ? "they are too long; put them into a script"
						 : err_str(rc);

	if (why[0] == '\0') {
		snprintf(why, COMMANDS_WHY, "%s", text);
	}
}

int commands_prepare(struct commands_change **out, struct source *source,
		     const struct sources_options *options,
		     const unsigned char secret[static STREAM_SECRET],
		     char why[static COMMANDS_WHY])
{
	struct commands *s = (struct commands *)source;
	struct commands_change *c = calloc(1, sizeof *c);
	int rc = c == NULL ? UV_ENOMEM : 0;

	*out = NULL;
	why[0] = '\0';
	if (rc == 0) {
		c->set = s;
		c->entries = calloc(options->n_commands + 1, sizeof *c->entries);
		c->v = calloc(s->n + options->n_commands + 1, sizeof(struct command *));
		rc = c->entries == NULL || c->v == NULL ? UV_ENOMEM : 0;
	}
	for (size_t i = 0; rc == 0 && i < options->n_commands; i++) {
		rc = add(c, &options->commands[i], options, secret);
	}
	if (rc == 0 && (c->n_fresh > 0 || any_gone(c))) {
		rc = propose(c, options, why);
	}
	if (rc != 0) {
		explain(rc, why);
		commands_drop(c);
		return rc;
	}
	*out = c;
	return 0;
}

void commands_drop(struct commands_change *c)
{
	if (c == NULL) {
		return;
	}
	for (size_t i = 0; i < c->n; i++) {
		command_free(c->entries[i].fresh);
	}
	free(c->entries);
	free(c->v);
	free(c);
}

/* ---- what can't fail ---- */

static void settle(struct commands_change *c, struct entry *e, struct sources_taken *t)
{
	struct command *k = e->kept;

	if (k == NULL) {
		t->added++;
		e->fresh->index = e->place;
		e->fresh->placed = true;
		c->v[c->set->n++] = e->fresh;
		return;
	}
	if (k->own.restart_min_ms == e->restart_min_ms &&
	    k->own.restart_max_ms == e->restart_max_ms) {
		t->kept++;
		return;
	}
	t->changed++;
	k->own.restart_min_ms = e->restart_min_ms;
	k->own.restart_max_ms = e->restart_max_ms;
	k->delay_ms = e->restart_min_ms;
}

void commands_take(struct commands_change *c, struct sources_taken *t)
{
	struct commands *s = c->set;
	size_t old = s->n;

	*t = (struct sources_taken){0};
	memcpy(c->v, s->v, old * sizeof(struct command *));
	for (size_t i = 0; i < c->n; i++) {
		settle(c, &c->entries[i], t);
	}
	free(s->v);
	s->v = c->v;
	s->to_take = c->proposed ? s->proposed : 0;
	for (size_t i = 0; i < old; i++) {
		if (!s->v[i]->leaving && !is_kept(c, s->v[i])) {
			t->gone++;
			command_leave(s->v[i]);
		}
	}
	for (size_t i = old; s->started && i < s->n; i++) {
		command_begin(s->v[i]);
	}
	if (!s->lost) {
		commands_send_take(s); /* Or when there is room. */
		commands_listen(s);
	}
	free(c->entries);
	free(c);
}
