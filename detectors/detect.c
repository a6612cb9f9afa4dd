#include "detectors/detect.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/limits.h"
#include "detectors/engine.h"
#include "detectors/field.h"

enum {
	LATENESS_MS = 5 * 60 * 1000,
	AHEAD_MS = 10 * 60 * 1000,
	GROUPS = 65536,
	SEEN = 131072,
	EPISODES = 4096,
	RING_BYTES = 256 * 1024,
	FILE_MAX = 4 * 1024 * 1024, /* of one rule file */
	FILES_MAX = 10000,
};

/* ---- life ---- */

static int copy_disabled(struct detect *d, const struct detectors_options *o)
{
	for (size_t i = 0; o != NULL && i < o->disabled.n; i++) {
		int rc = strlist_add(&d->disabled, slice_str(o->disabled.v[i]));

		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

static uint32_t number_or(uint64_t v, uint32_t standard)
{
	if (v == 0) {
		return standard;
	}
	return v < (1u << 30) ? (uint32_t)v : 1u << 30;
}

static void set_options(struct detect *d, const struct detectors_options *o)
{
	static const struct detectors_options none;
	uint64_t max_ms = UINT64_C(3650) * 86400000;

	d->lateness_ms = o == NULL ? LATENESS_MS
			 : (int64_t)(o->lateness_ms < max_ms ? o->lateness_ms
							     : max_ms);
	o = o == NULL ? &none : o;
	d->ahead_ns = (o->ahead_ms == 0 ? AHEAD_MS
		       : (int64_t)(o->ahead_ms < max_ms ? o->ahead_ms : max_ms)) *
		      1000000;
	windows_init(&d->windows, number_or(o->groups_max, GROUPS), EPISODES);
	seen_init(&d->seen, number_or(o->first_seen_max, SEEN));
}

int detect_new(struct detect **out, const struct detectors_options *options,
	       const uint8_t key[static 16])
{
	struct detect *d = calloc(1, sizeof *d);
	int rc;

	*out = NULL;
	if (d == NULL) {
		return UV_ENOMEM;
	}
	ruleset_init(&d->set);
	set_options(d, options);
	memcpy(d->key, key, sizeof d->key);
	d->newest_ms = d->swept_ms = TIME_NONE;
	d->ring_bytes = RING_BYTES;
	rc = copy_disabled(d, options);
	if (rc == 0) {
		rc = match_ctx_init(&d->ctx);
	}
	ring_init(&d->ring, d->ring_bytes);
	if (rc != 0) {
		detect_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

void detect_free(struct detect *d)
{
	if (d == NULL) {
		return;
	}
	ruleset_fini(&d->set);
	match_ctx_fini(&d->ctx);
	windows_fini(&d->windows);
	seen_fini(&d->seen);
	ring_fini(&d->ring);
	strlist_fini(&d->disabled);
	free(d->matched);
	free(d);
}

/* ---- loading ---- */

struct loading {
	struct ruleset *set;
	struct complain complain;
	int taken;
};

static int on_document(void *arg, const struct doc_node *root)
{
	struct loading *l = arg;
	int rc = rule_read(l->set, root, &l->complain);

	l->taken += rc == 0;
	return rc == UV_ENOMEM ? rc : 0;
}

int detect_load_bytes(struct detect *d, const char *name, struct slice yaml,
		      detect_error_cb on_error, void *arg)
{
	struct loading l = {&d->set, {name, on_error, arg}, 0};
	struct doc_error err;
	int rc;

	if (d->compiled) {
		return UV_EBUSY;
	}
	rc = doc_each(yaml, rule_limits, on_document, &l, &err);
	if (rc == ERR_MALFORMED) {
		complain(&l.complain, err.mark, "%s", err.text);
		rc = 0;
	}
	return rc == 0 ? l.taken : rc;
}

static int read_file(struct sys *sys, const char *path, struct buf *out)
{
	struct sys_stat st;
	int fd = sys_open(sys, path, O_RDONLY, 0), rc;

	if (fd < 0) {
		return fd;
	}
	rc = sys->ops->fstat(sys, fd, &st);
	if (rc == 0 && st.size > FILE_MAX) {
		rc = ERR_TOO_LARGE;
	}
	if (rc == 0) {
		rc = buf_reserve(out, (size_t)st.size + 1);
	}
	if (rc == 0 && out->p != NULL) {
		rc = sys_pread_all(sys, fd, out->p, (size_t)st.size, 0);
		out->n = rc == 0 ? (size_t)st.size : 0;
	}
	sys_close(sys, fd);
	return rc;
}

static int on_entry(void *arg, const char *name, bool is_dir)
{
	struct slice s = slice_str(name);

	if (is_dir || s.n == 0 || name[0] == '.' ||
	    (!slice_ends(s, SLICE_LIT(".yml")) &&
	     !slice_ends(s, SLICE_LIT(".yaml")))) {
		return 0;
	}
	return strlist_add(arg, s);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int load_file(struct detect *d, struct sys *sys, const char *path,
		     detect_error_cb on_error, void *arg)
{
	struct complain c = {path, on_error, arg};
	struct buf text;
	int rc;

	buf_init(&text, FILE_MAX + 1);
	rc = read_file(sys, path, &text);
	if (rc == 0) {
		rc = detect_load_bytes(d, path, buf_slice(&text), on_error, arg);
	} else {
		complain(&c, (struct doc_mark){0, 0}, "can't be read: %s",
			 err_str(rc));
		rc = rc == UV_ENOMEM ? rc : 0;
	}
	buf_fini(&text);
	return rc;
}

int detect_load_dir(struct detect *d, struct sys *sys, const char *dir,
		    detect_error_cb on_error, void *arg)
{
	struct strlist names = {NULL, 0};
	struct buf path;
	int rc, taken = 0;

	buf_init(&path, 8192);
	rc = sys->ops->list(sys, dir, on_entry, &names);
	if (rc == 0 && names.n > FILES_MAX) {
		rc = ERR_LIMIT;
	}
	if (names.n > 1) {
		qsort(names.v, names.n, sizeof *names.v, by_name);
	}
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		buf_clear(&path);
		rc = buf_printf(&path, "%s/%s", dir, names.v[i]);
		if (rc == 0) {
			rc = buf_add_u8(&path, 0);
		}
		if (rc == 0) {
			rc = load_file(d, sys, path.p, on_error, arg);
		}
		if (rc > 0) {
			taken += rc;
			rc = 0;
		}
	}
	buf_fini(&path);
	strlist_fini(&names);
	return rc == 0 ? taken : rc;
}

int detect_load_defaults(struct detect *d, detect_error_cb on_error, void *arg)
{
	int taken = 0;

	for (size_t i = 0; i < detect_n_packs; i++) {
		int rc = detect_load_bytes(d, detect_packs[i].name,
					   detect_packs[i].yaml, on_error, arg);

		if (rc < 0) {
			return rc;
		}
		taken += rc;
	}
	return taken;
}

int detect_compile(struct detect *d, detect_error_cb on_error, void *arg)
{
	struct complain c = {"", on_error, arg};
	int rc;

	if (d->compiled) {
		return UV_EBUSY;
	}
	d->matched = calloc(d->set.n + 1, sizeof *d->matched);
	if (d->matched == NULL) {
		return UV_ENOMEM;
	}
	rc = engine_compile(d, &c);
	if (rc < 0) {
		return rc;
	}
	d->compiled = true;
	d->stats.rules = (uint32_t)rc;
	return rc;
}

void detect_matched(const struct detect *d, const struct record *r, detect_matched_cb cb,
		    void *arg)
{
	for (size_t i = 0; i < d->n_matched; i++) {
		const struct rule *rule = d->matched[i];

		cb(arg, rule->id, rule->title, NULL, true);
		for (const struct listener *l = rule->listeners; l != NULL; l = l->next) {
			cb(arg, l->rule->id, l->rule->title, rule->title,
			   !l->rule->weigh_attempts || r->event.attempts > 0);
		}
	}
}

void detect_stats(const struct detect *d, struct detect_stats *out)
{
	*out = d->stats;
	out->evicted = d->windows.evicted;
	out->forgotten = d->seen.forgotten;
	out->re_limits = d->ctx.re_limits;
	out->groups = d->windows.n;
	out->seen = d->seen.n;
	out->episodes = d->windows.n_episodes;
	out->watermark_ns = d->newest_ms == TIME_NONE
				    ? TIME_NONE
				    : engine_watermark(d) * 1000000;
}
