#include "agent/change.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/internal.h"
#include "common/err.h"
#include "sources/command.h"
#include "sources/syslog.h"
#include "sources/watch.h"

struct agent_change {
	struct agent *agent;
	struct config_errors *notes;
	struct commands_change *commands;
	struct syslog_change *syslog;
	struct source *made; /* of sockets, when there was none; NULL: there was */
	struct watch_settings *watch;
};

static void note(void *arg, const char *text)
{
	const struct agent_change *c = arg;

	config_errors_add(c->notes, text);
}

static int refuse(struct config_answer *answer, const char *key, const char *why, int rc)
{
	char text[CONFIG_ERROR_BYTES];

	snprintf(text, sizeof text, "%s%s%.400s", key, key[0] != '\0' ? ": " : "", why);
	config_errors_add(&answer->errs, text);
	return rc;
}

/* ---- what can fail ---- */

static int prepare_commands(struct agent_change *c, const struct sources_options *next,
			    struct config_answer *answer)
{
	struct agent *a = c->agent;
	struct source *s = open_find(&a->open, "commands");
	char why[COMMANDS_WHY];
	int rc;

	if (s == NULL) {
		if (next->n_commands > 0) {
			note(c, "sources.commands: there was no command at the start, so that "
				"no process runs commands and none can be started from inside "
				"the sandbox; they are taken up by a restart");
		}
		return 0;
	}
	rc = commands_prepare(&c->commands, s, next, a->stream_secret, why);
	if (rc == ERR_CLOSED) {
		note(c, "sources.commands: the process that runs commands has ended; they are "
			"taken up by a restart");
		return 0;
	}
	return rc == 0 ? 0 : refuse(answer, "sources.commands", why, rc);
}

static int prepare_syslog(struct agent_change *c, const struct sources_options *next,
			  struct config_answer *answer)
{
	struct agent *a = c->agent;
	struct source *s = open_find(&a->open, "syslog");
	const struct syslog_ask ask = {note, c};
	char why[SOCKETS_WHY];
	int rc = 0;

	if (s == NULL && next->n_syslog > 0) {
		rc = open_syslog(&a->open, &c->made, a->loop, a->config, a->stream_secret,
				 &a->tail_cbs, a);
		if (rc != 0) {
			return refuse(answer, "sources.syslog", err_str(rc), rc);
		}
		s = c->made;
	}
	rc = s == NULL ? 0 : syslog_prepare(&c->syslog, s, next, &ask, why);
	return rc == 0 ? 0 : refuse(answer, "", why, rc);
}

static int prepare_watch(struct agent_change *c, const struct sources_options *next,
			 struct config_answer *answer)
{
	struct source *s = open_find(&c->agent->open, "watch");
	int rc = s == NULL ? 0 : watch_prepare(&c->watch, s, next);

	return rc == 0 ? 0 : refuse(answer, "watch", err_str(rc), rc);
}

int agent_change_prepare(struct agent_change **out, struct agent *a,
			 const struct agent_config *next, struct config_answer *answer)
{
	struct agent_change *c = calloc(1, sizeof *c);
	int rc;

	*out = NULL;
	if (c == NULL) {
		return UV_ENOMEM;
	}
	c->agent = a;
	c->notes = &answer->notes;
	rc = prepare_commands(c, &next->sources, answer);
	rc = rc != 0 ? rc : prepare_syslog(c, &next->sources, answer);
	rc = rc != 0 ? rc : prepare_watch(c, &next->sources, answer);
	if (rc != 0) {
		agent_change_drop(c);
		return rc;
	}
	*out = c;
	return 0;
}

void agent_change_drop(struct agent_change *c)
{
	if (c == NULL) {
		return;
	}
	commands_drop(c->commands);
	syslog_drop(c->syslog);
	watch_drop(c->watch);
	if (c->made != NULL) {
		c->made->ops->free(c->made);
	}
	free(c);
}

/* ---- what can't ---- */

static void count(struct config_answer *answer, const char *key,
		  const struct sources_taken *t)
{
	config_answer_counts(&answer->taken, key, t->kept, t->changed, t->added, t->gone);
}

static void take_syslog(struct agent_change *c, struct config_answer *answer)
{
	struct agent *a = c->agent;
	struct sources_taken t;

	if (c->made != NULL) {
		a->open.list[a->open.n++] = c->made;
		pipeline_set_sources(a->pipeline, a->open.list, a->open.n);
		if (a->reading) {
			c->made->ops->start(c->made);
		}
	}
	syslog_take(c->syslog, &t);
	count(answer, "sources.syslog", &t);
}

void agent_change_take(struct agent_change *c, const struct hostlist *before,
		       struct config_answer *answer)
{
	struct agent *a = c->agent;
	struct sources_taken t;

	if (c->commands != NULL) {
		commands_take(c->commands, &t);
		count(answer, "sources.commands", &t);
	}
	if (c->syslog != NULL) {
		take_syslog(c, answer);
	}
	if (c->watch != NULL) {
		watch_take(c->watch, open_find(&a->open, "watch"));
	}
	if (a->shipper != NULL && !hostlist_eq(before, &a->config->shipper.collectors)) {
		shipper_collectors(a->shipper, before);
	}
	free(c);
}
