#include "collector/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "hooks/helper.h"

struct work {
	const struct collector_reload *r;
	struct collector_config *next;
	struct identity *fresh;
	struct hooks_change *hooks;
	struct config_answer answer;
	char why[HOOKS_WHY];
};

struct net_tls_limits collector_limits(const struct collector_options *o)
{
	return (struct net_tls_limits){
		.max_links = (unsigned)o->max_devices,
		.max_handshakes = (unsigned)o->max_handshakes,
		.max_per_address = (unsigned)o->max_per_address,
		.handshake_timeout_ms = o->handshake_timeout_ms,
		.idle_timeout_ms = o->idle_timeout_ms,
	};
}

int collector_hooks_table(const char *path, struct buf *out, char why[static WORKER_WHY])
{
	struct config_errors *errs = calloc(1, sizeof *errs);
	struct collector_config *c = NULL;
	int rc = errs == NULL ? UV_ENOMEM : config_load_collector(path, &c, errs);

	if (errs != NULL && rc != 0 && errs->n > 0) {
		snprintf(why, WORKER_WHY, "%s", errs->text[0]);
	}
	rc = rc != 0 ? rc : helper_table(&c->hooks, out);
	collector_config_free(c);
	free(errs);
	return rc;
}

/* ---- what can fail ---- */

static int refuse(struct work *w, const char *key, const char *why, int rc)
{
	char text[CONFIG_ERROR_BYTES];

	snprintf(text, sizeof text, "%s: %.400s", key, why);
	config_errors_add(&w->answer.errs, text);
	return rc;
}

static bool may_write(void *arg, const char *path)
{
	const struct sandbox_paths *allowed = ((struct work *)arg)->r->allowed;

	for (size_t i = 0; allowed != NULL && i < allowed->n; i++) {
		const char *folder = allowed->list[i].path;
		size_t n = strlen(folder);

		if ((allowed->list[i].access & SANDBOX_WRITE) != 0 &&
		    strncmp(folder, path, n) == 0 && (path[n] == '/' || path[n] == '\0')) {
			return true;
		}
	}
	return allowed == NULL;
}

static void note(void *arg, const char *text)
{
	config_errors_add(&((struct work *)arg)->answer.notes, text);
}

/* The links that there are keep the identity they began with. */
static int load_identity(struct work *w)
{
	const struct collector_options *o = &w->r->config->collector;
	char why[IDENTITY_WHY];
	int rc = identity_load(&w->fresh, o->certificate, o->key, o->authority,
			       sys_wall_ns(sys_plain()) / 1000000, why);

	return rc == 0 ? 0 : refuse(w, "identity", why, rc);
}

static int prepare(struct work *w)
{
	const struct hooks_ask ask = {may_write, note, w};
	int rc = load_identity(w);

	if (rc == 0) {
		rc = hooks_prepare(&w->hooks, w->r->hooks, &w->next->hooks, &ask, w->why);
		rc = rc == 0 ? 0 : refuse(w, "hooks", w->why, rc);
	}
	if (rc == 0) {
		rc = net_tls_set_identity(w->r->net, w->fresh);
		rc = rc == 0 ? 0 : refuse(w, "identity", err_str(rc), rc);
	}
	return rc;
}

/* ---- what can't ---- */

static void take_identity(struct work *w)
{
	struct identity *old = *w->r->identity;
	struct hash32 was = identity_hash(old), is = identity_hash(w->fresh);

	if (memcmp(&was, &is, sizeof was) != 0 ||
	    identity_not_after_ms(old) != identity_not_after_ms(w->fresh)) {
		config_errors_add(&w->answer.taken, "identity: the renewed certificate");
	}
	*w->r->identity = w->fresh;
	w->fresh = NULL;
	identity_free(old);
}

static void take_hooks(struct work *w)
{
	struct hooks_taken t;
	char text[CONFIG_ERROR_BYTES];

	hooks_take(w->hooks, &t);
	w->hooks = NULL;
	config_answer_counts(&w->answer.taken, "hooks", t.kept, t.changed, t.added, t.gone);
	if (t.undelivered > 0) {
		snprintf(text, sizeof text, "hooks: %zu alerts that waited for hooks that are "
			 "gone are not delivered", t.undelivered);
		config_errors_add(&w->answer.notes, text);
	}
}

/* Before the exchange. */
static void tell_changed(struct work *w)
{
	struct config_errors *keys = calloc(1, sizeof *keys);
	char text[CONFIG_ERROR_BYTES];

	if (keys == NULL) {
		return;
	}
	collector_config_changed(w->r->config, w->next, keys);
	for (size_t i = 0; i < keys->n; i++) {
		if (strcmp(keys->text[i], "hooks") != 0) {
			snprintf(text, sizeof text, "%.200s: changed", keys->text[i]);
			config_errors_add(&w->answer.taken, text);
		}
	}
	free(keys);
}

static int take(struct work *w)
{
	const struct collector_reload *r = w->r;
	struct net_tls_limits limits;
	int rc = config_load_collector(r->path, &w->next, &w->answer.errs);

	if (rc != 0) {
		return rc;
	}
	collector_config_pinned(r->config, w->next, &w->answer.restart);
	rc = prepare(w);
	if (rc != 0) {
		return rc;
	}
	tell_changed(w);
	collector_config_swap_live(r->config, w->next);
	take_identity(w);
	take_hooks(w);
	limits = collector_limits(&r->config->collector);
	net_tls_listener_set_limits(r->listener, &limits);
	log_set_level(r->config->daemon.log_level);
	return 0;
}

int collector_reload(const struct collector_reload *r, struct json *j)
{
	struct work *w = calloc(1, sizeof *w);
	int rc;

	if (w == NULL) {
		return UV_ENOMEM;
	}
	w->r = r;
	rc = take(w);
	config_answer(j, rc == 0, r->path, &w->answer);
	hooks_drop(w->hooks);
	identity_free(w->fresh);
	collector_config_free(w->next);
	free(w);
	return rc == UV_ENOMEM ? ERR_CONFIG : rc;
}
