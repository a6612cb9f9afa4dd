#include "agent/reload.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/names.h"

static void add(struct config_errors *e, const char *text)
{
	if (e->n < CONFIG_ERRORS_MAX) {
		snprintf(e->text[e->n++], CONFIG_ERROR_BYTES, "%.*s",
			 CONFIG_ERROR_BYTES - 1, text);
	} else {
		e->more++;
	}
}

/* ---- the sandbox was closed for other files ---- */

static bool below(const char *folder, const char *path)
{
	size_t n = strlen(folder);

	return strncmp(folder, path, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/' || (n > 0 && folder[n - 1] == '/'));
}

static bool may_read(const struct sandbox_paths *allowed, const char *path)
{
	for (size_t i = 0; i < allowed->n; i++) {
		if ((allowed->list[i].access & (SANDBOX_READ | SANDBOX_WRITE)) != 0 &&
		    below(allowed->list[i].path, path)) {
			return true;
		}
	}
	return false;
}

static void note_files(const struct reload *r, struct config_errors *notes)
{
	const struct sources_options *o = &r->config->sources;
	char text[CONFIG_ERROR_BYTES];

	for (size_t i = 0; r->allowed != NULL && i < o->n_files; i++) {
		for (size_t k = 0; k < o->files[i].paths.n; k++) {
			const char *path = o->files[i].paths.v[k];

			if (may_read(r->allowed, path)) {
				continue;
			}
			snprintf(text, sizeof text, "sources.files: %.300s lies outside of what "
				 "the sandbox was closed for; it is read after a restart",
				 path);
			add(notes, text);
		}
	}
}

/* ---- what is done ---- */

/* What check_agent() says of options of which only one has changed places. */
static int check_together(const struct agent_config *c, struct config_errors *errs)
{
	const struct shipper_options *s = &c->shipper;
	bool good = true;

	if (s->memory_max < 2 * s->batch_max) {
		add(errs, "shipping.memory_max must hold two batches of shipping.batch_max, "
			  "which changes at a restart: restart instead");
		good = false;
	}
	if (s->spool_max < s->segment_max) {
		add(errs, "spool.max must hold a segment of shipping.segment_max, which "
			  "changes at a restart: restart instead");
		good = false;
	}
	return good ? 0 : ERR_CONFIG;
}

static int swap_in(const struct reload *r, struct agent_config *next,
		   struct config_errors *errs)
{
	int rc;

	agent_config_swap_live(r->config, next);
	rc = check_together(r->config, errs);
	rc = rc != 0 ? rc : agent_reload(r->agent, errs);
	if (rc != 0) {
		agent_config_swap_live(r->config, next);
		if (errs->n == 0) {
			add(errs, err_str(rc));
		}
	}
	return rc;
}

struct answer {
	struct config_errors errs, restart, notes;
};

static int take(const struct reload *r, struct answer *a)
{
	struct agent_config *next;
	int rc = config_load_agent(r->path, &next, &a->errs);

	if (rc != 0) {
		return rc;
	}
	agent_config_pinned(r->config, next, &a->restart);
	rc = swap_in(r, next, &a->errs);
	agent_config_free(next); /* What was in use until now, if it was taken. */
	if (rc != 0) {
		return rc;
	}
	log_set_level(r->config->daemon.log_level);
	note_files(r, &a->notes);
	return 0;
}

int reload_agent(const struct reload *r, struct json *j)
{
	struct answer *a = calloc(1, sizeof *a);
	int rc = a == NULL ? UV_ENOMEM : take(r, a);

	if (a != NULL) {
		config_answer(j, rc == 0, r->path, &a->errs, &a->restart, &a->notes);
	}
	free(a);
	return rc;
}
