#include "agent/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/change.h"
#include "common/err.h"
#include "common/ip.h"
#include "common/log.h"

/* ---- the sandbox was closed for other files ---- */

static bool below(const char *folder, const char *path)
{
	size_t n = strlen(folder);

	return strncmp(folder, path, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/' || (n > 0 && folder[n - 1] == '/'));
}

static bool may(const struct sandbox_paths *allowed, const char *path, unsigned access)
{
	for (size_t i = 0; allowed != NULL && i < allowed->n; i++) {
		if ((allowed->list[i].access & access) != 0 &&
		    below(allowed->list[i].path, path)) {
			return true;
		}
	}
	return allowed == NULL;
}

static bool may_read(const struct sandbox_paths *allowed, const char *path)
{
	return may(allowed, path, SANDBOX_READ | SANDBOX_WRITE);
}

static void note_files(const struct reload *r, struct config_errors *notes)
{
	const struct sources_options *o = &r->config->sources;
	char text[CONFIG_ERROR_BYTES];

	for (size_t i = 0; i < o->n_files; i++) {
		for (size_t k = 0; k < o->files[i].paths.n; k++) {
			const char *path = o->files[i].paths.v[k];

			if (may_read(r->allowed, path)) {
				continue;
			}
			snprintf(text, sizeof text, "sources.files: %.300s lies outside of what "
				 "the sandbox was closed for; it is read after a restart",
				 path);
			config_errors_add(notes, text);
		}
	}
}

static void note_referred(const struct reload *r, const char *key, const struct strlist *paths,
			  struct config_errors *notes)
{
	char text[CONFIG_ERROR_BYTES];

	for (size_t i = 0; i < paths->n; i++) {
		if (!may_read(r->allowed, paths->v[i])) {
			snprintf(text, sizeof text, "%s: %.300s lies outside of what the sandbox "
				 "was closed for; it is read after a restart", key, paths->v[i]);
			config_errors_add(notes, text);
		}
	}
}

static void note_watched(const struct reload *r, struct config_errors *notes)
{
	const struct sources_watch *w = &r->config->sources.watch;
	char text[CONFIG_ERROR_BYTES];

	for (size_t i = 0; w->enabled && i < w->paths.n; i++) {
		const char *path = w->paths.v[i];
		bool plain = strpbrk(path, "*?[") == NULL;

		if (may_read(r->allowed, path) || may(r->allowed, path, SANDBOX_LIST)) {
			continue;
		}
		snprintf(text, sizeof text, "watch.paths: %.300s lies outside of what the "
			 "sandbox was closed for; %s a restart", path,
			 plain ? "its changes are told without a hash until"
			       : "its files are watched after");
		config_errors_add(notes, text);
	}
}

/* ---- what is done ---- */

/* What check_agent() says of options of which only one has changed places. */
static int check_together(const struct agent_config *c, struct config_errors *errs)
{
	const struct shipper_options *s = &c->shipper;
	bool good = true;

	if (s->memory_max < 2 * s->batch_max) {
		config_errors_add(errs, "shipping.memory_max must hold two batches of "
				  "shipping.batch_max, which changes at a restart: restart "
				  "instead");
		good = false;
	}
	if (s->spool_max < s->segment_max) {
		config_errors_add(errs, "spool.max must hold a segment of "
				  "shipping.segment_max, which changes at a restart: restart "
				  "instead");
		good = false;
	}
	return good ? 0 : ERR_CONFIG;
}

struct work {
	const struct reload *r;
	struct agent_config *next;
	struct config_answer answer;
	struct hooks_change *hooks;
	struct agent_change *change;
	char why[HOOKS_WHY];
	bool keep_collectors; /* the collectors stay as they are until a restart */
};

/* So that the exchange of the rest leaves them where they were. */
static void keep_collectors(struct work *w)
{
	struct hostlist *now = &w->r->config->shipper.collectors,
			*next = &w->next->shipper.collectors, was = *now;

	if (w->keep_collectors) {
		*now = *next;
		*next = was;
	}
}

static void note_hook(void *arg, const char *text)
{
	struct work *w = arg;

	config_errors_add(&w->answer.notes, text);
}

static bool may_write(void *arg, const char *path)
{
	const struct work *w = arg;

	return may(w->r->allowed, path, SANDBOX_WRITE);
}

static int prepare(struct work *w)
{
	const struct hooks_ask ask = {may_write, note_hook, w};
	char text[CONFIG_ERROR_BYTES];
	int rc = hooks_prepare(&w->hooks, w->r->hooks, &w->next->hooks, &ask, w->why);

	if (rc != 0) {
		snprintf(text, sizeof text, "hooks: %.400s", w->why);
		config_errors_add(&w->answer.errs, text);
		return rc;
	}
	return agent_change_prepare(&w->change, w->r->agent, w->next, &w->answer);
}

static bool looks_up_names(const struct hostlist *hosts)
{
	struct ip unused;

	for (size_t i = 0; i < hosts->n; i++) {
		if (!ip_parse(slice_str(hosts->v[i].name), &unused)) {
			return true;
		}
	}
	return false;
}

/* Whether the collectors change at a restart only, and why. */
static bool collectors_wait(struct work *w)
{
	const struct reload *r = w->r;
	const struct hostlist *now = &r->config->shipper.collectors,
			      *next = &w->next->shipper.collectors;

	if ((now->n == 0) != (next->n == 0)) {
		/* Without any there is no identity, no spool and no connection. */
		return true;
	}
	if (!looks_up_names(now) && looks_up_names(next) &&
	    !may_read(r->allowed, "/etc/resolv.conf")) {
		config_errors_add(&w->answer.notes,
				  "collector: an agent that was started with addresses alone "
				  "can't look up names, since the sandbox left it nothing to "
				  "do so with");
		return true;
	}
	return false;
}

static int exchange(struct work *w)
{
	const struct reload *r = w->r;
	int rc;

	w->keep_collectors = collectors_wait(w);
	keep_collectors(w);
	agent_config_swap_live(r->config, w->next);
	rc = check_together(r->config, &w->answer.errs);
	rc = rc != 0 ? rc : agent_reload(r->agent, &w->answer.errs);
	if (rc != 0) {
		agent_config_swap_live(r->config, w->next);
		keep_collectors(w);
		if (w->answer.errs.n == 0) {
			config_errors_add(&w->answer.errs, err_str(rc));
		}
	}
	return rc;
}

/* Those of which more is said than that they have changed. */
static bool is_counted(const char *key)
{
	return strcmp(key, "hooks") == 0 || strcmp(key, "sources.commands") == 0 ||
	       strcmp(key, "sources.syslog") == 0;
}

/* After the exchange: next is what was before. */
static void tell_changed(struct work *w)
{
	struct config_errors *keys = calloc(1, sizeof *keys);
	char text[CONFIG_ERROR_BYTES];

	if (keys == NULL) {
		return;
	}
	agent_config_changed(w->next, w->r->config, keys);
	for (size_t i = 0; i < keys->n; i++) {
		if (!is_counted(keys->text[i])) {
			snprintf(text, sizeof text, "%.200s: changed", keys->text[i]);
			config_errors_add(&w->answer.taken, text);
		}
	}
	w->answer.taken.more += keys->more;
	free(keys);
}

static void take_hooks(struct work *w)
{
	struct config_errors *taken = &w->answer.taken;
	struct hooks_taken t;
	char text[CONFIG_ERROR_BYTES];

	hooks_take(w->hooks, &t);
	config_answer_counts(taken, "hooks", t.kept, t.changed, t.added, t.gone);
	if (t.undelivered > 0) {
		snprintf(text, sizeof text, "hooks: %zu alerts that waited for hooks that are "
			 "gone are not delivered", t.undelivered);
		config_errors_add(&w->answer.notes, text);
	}
}

static int take(struct work *w)
{
	const struct reload *r = w->r;
	int rc = config_load_agent(r->path, &w->next, &w->answer.errs);

	if (rc != 0) {
		return rc;
	}
	agent_config_pinned(r->config, w->next, &w->answer.restart);
	rc = prepare(w);
	rc = rc != 0 ? rc : exchange(w);
	if (rc != 0) {
		hooks_drop(w->hooks);
		agent_change_drop(w->change);
		return rc;
	}
	if (w->keep_collectors) {
		config_errors_add(&w->answer.restart, "collector");
	}
	tell_changed(w);
	take_hooks(w);
	agent_change_take(w->change, &w->next->shipper.collectors, &w->answer);
	log_set_level(r->config->daemon.log_level);
	note_files(r, &w->answer.notes);
	note_watched(r, &w->answer.notes);
	note_referred(r, "detectors.lists", &r->config->detectors.lists, &w->answer.notes);
	note_referred(r, "detectors.geoip", &r->config->detectors.geoip, &w->answer.notes);
	return 0;
}

int reload_agent(const struct reload *r, struct json *j)
{
	struct work *w = calloc(1, sizeof *w);
	int rc;

	if (w == NULL) {
		return UV_ENOMEM;
	}
	w->r = r;
	rc = take(w);
	config_answer(j, rc == 0, r->path, &w->answer);
	agent_config_free(w->next); /* What was in use until now, if it was taken. */
	free(w);
	return rc == UV_ENOMEM ? ERR_CONFIG : rc;
}
