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
	BASELINES = 1024,
	FILE_MAX = 4 * 1024 * 1024, /* of one rule file */
	FILES_MAX = 10000,
	FOLDERS_DEEP = 8,
};

/* ---- life ---- */

static int copy_texts(struct strlist *to, const struct strlist *from)
{
	for (size_t i = 0; i < from->n; i++) {
		int rc = strlist_add(to, slice_str(from->v[i]));

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
	d->learned_max = number_or(o->baselines_max, BASELINES);
	d->learned_max = d->learned_max < EPISODES / 2 ? d->learned_max : EPISODES / 2;
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
	ruleset_init(&d->set, &d->placeholders);
	set_options(d, options);
	memcpy(d->key, key, sizeof d->key);
	d->newest_ms = d->swept_ms = TIME_NONE;
	d->ring_bytes = RING_BYTES;
	rc = options == NULL ? 0 : copy_texts(&d->disabled, &options->disabled);
	rc = rc == 0 && options != NULL ? copy_texts(&d->tags, &options->tags) : rc;
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

void detect_set_refer(struct detect *d, struct refer *refer)
{
	d->ctx.refer = refer;
	d->set.refer = refer;
}

void detect_set_zone(struct detect *d, int32_t (*offset)(const void *zone, int64_t unix_s),
		     const void *zone)
{
	d->ctx.zone_offset = offset;
	d->ctx.zone = zone;
}

void detect_free(struct detect *d)
{
	if (d == NULL) {
		return;
	}
	ruleset_fini(&d->set);
	placeholders_fini(&d->placeholders);
	match_ctx_fini(&d->ctx);
	windows_fini(&d->windows);
	seen_fini(&d->seen);
	freshes_fini(&d->fresh);
	order_fini(&d->order);
	measure_fini(&d->measure);
	ring_fini(&d->ring);
	free(d->emissions);
	strlist_fini(&d->disabled);
	strlist_fini(&d->tags);
	free(d->matched);
	free(d);
}

/* ---- loading ---- */

struct loading {
	struct ruleset *set;
	struct complain complain;
	int taken;
	struct placeholders *placeholders;
};

static int on_document(void *arg, const struct doc_node *root)
{
	struct loading *l = arg;
	int rc = rule_read(l->set, root, &l->complain);

	l->taken += rc == 0;
	return rc == UV_ENOMEM ? rc : 0;
}

static int each_document(struct loading *l, struct slice yaml, doc_cb cb)
{
	struct doc_error err;
	int rc = doc_each(yaml, rule_limits, cb, l, &err);

	if (rc == ERR_MALFORMED) {
		complain(&l->complain, err.mark, "%s", err.text);
		rc = 0;
	}
	return rc == 0 ? l->taken : rc;
}

int detect_load_bytes(struct detect *d, const char *name, struct slice yaml,
		      detect_error_cb on_error, void *arg)
{
	struct loading l = {.set = &d->set, .complain = {name, on_error, arg}};

	return d->compiled ? UV_EBUSY : each_document(&l, yaml, on_document);
}

static int on_placeholders(void *arg, const struct doc_node *root)
{
	struct loading *l = arg;
	int rc = placeholders_read(l->placeholders, root, &l->complain);

	return rc == UV_ENOMEM ? rc : 0;
}

int detect_placeholders_bytes(struct detect *d, const char *name, struct slice yaml,
			      detect_error_cb on_error, void *arg)
{
	struct loading l = {.complain = {name, on_error, arg}, .placeholders = &d->placeholders};

	return d->compiled ? UV_EBUSY : each_document(&l, yaml, on_placeholders);
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

/* Hands what is in the file to take(); a file that can't be read is a mistake like others. */
static int take_file(struct detect *d, struct sys *sys, const char *path,
		     const struct complain *c,
		     int (*take)(struct detect *, const char *, struct slice, detect_error_cb,
				 void *))
{
	struct buf text;
	int rc;

	buf_init(&text, FILE_MAX + 1);
	rc = read_file(sys, path, &text);
	if (rc == 0) {
		rc = take(d, path, buf_slice(&text), c->cb, c->arg);
	} else {
		complain(c, (struct doc_mark){0, 0}, "can't be read: %s",
			 err_str(rc));
		rc = rc == UV_ENOMEM ? rc : 0;
	}
	buf_fini(&text);
	return rc;
}

int detect_load_file(struct detect *d, struct sys *sys, const char *path,
		     detect_error_cb on_error, void *arg)
{
	const struct complain c = {path, on_error, arg};

	return take_file(d, sys, path, &c, detect_load_bytes);
}

int detect_placeholders_file(struct detect *d, struct sys *sys, const char *path,
			     detect_error_cb on_error, void *arg)
{
	const struct complain c = {path, on_error, arg};

	return take_file(d, sys, path, &c, detect_placeholders_bytes);
}

/* ---- folders ---- */

struct folder {
	struct strlist files, folders;
};

static int on_entry(void *arg, const char *name, bool is_dir)
{
	struct folder *f = arg;
	struct slice s = slice_str(name);

	if (s.n == 0 || name[0] == '.') {
		return 0;
	}
	if (is_dir) {
		return strlist_add(&f->folders, s);
	}
	if (!slice_ends(s, SLICE_LIT(".yml")) && !slice_ends(s, SLICE_LIT(".yaml"))) {
		return 0;
	}
	return strlist_add(&f->files, s);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(struct strlist *names)
{
	if (names->n > 1) {
		qsort(names->v, names->n, sizeof *names->v, by_name);
	}
}

struct walk {
	struct detect *d;
	struct sys *sys;
	detect_error_cb on_error;
	void *arg;
	int taken;
	size_t files;
};

static int walk_dir(struct walk *w, const char *dir, unsigned depth);

static int walk_names(struct walk *w, const char *dir, const struct strlist *names,
		      bool folders, unsigned depth)
{
	struct buf path;
	int rc = 0;

	buf_init(&path, 8192);
	for (size_t i = 0; rc == 0 && i < names->n; i++) {
		buf_clear(&path);
		rc = buf_printf(&path, "%s/%s", dir, names->v[i]);
		rc = rc == 0 ? buf_add_u8(&path, 0) : rc;
		if (rc == 0 && folders) {
			const struct complain c = {path.p, w->on_error, w->arg};

			rc = walk_dir(w, path.p, depth + 1);
			if (rc < 0 && rc != UV_ENOMEM && rc != ERR_LIMIT) {
				complain(&c, (struct doc_mark){0, 0}, "can't be listed: %s",
					 err_str(rc));
				rc = 0;
			}
		} else if (rc == 0) {
			rc = detect_load_file(w->d, w->sys, path.p, w->on_error, w->arg);
			w->taken += rc > 0 ? rc : 0;
			rc = rc > 0 ? 0 : rc;
		}
	}
	buf_fini(&path);
	return rc;
}

static int walk_dir(struct walk *w, const char *dir, unsigned depth)
{
	struct folder f = {{NULL, 0}, {NULL, 0}};
	int rc = w->sys->ops->list(w->sys, dir, on_entry, &f);

	w->files += f.files.n;
	if (rc == 0 && (w->files > FILES_MAX || depth >= FOLDERS_DEEP)) {
		rc = ERR_LIMIT;
	}
	sort_names(&f.files);
	sort_names(&f.folders);
	rc = rc == 0 ? walk_names(w, dir, &f.files, false, depth) : rc;
	rc = rc == 0 ? walk_names(w, dir, &f.folders, true, depth) : rc;
	strlist_fini(&f.files);
	strlist_fini(&f.folders);
	return rc;
}

int detect_load_dir(struct detect *d, struct sys *sys, const char *dir,
		    detect_error_cb on_error, void *arg)
{
	struct walk w = {d, sys, on_error, arg, 0, 0};
	int rc = walk_dir(&w, dir, 0);

	return rc == 0 ? w.taken : rc;
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
	out->forgotten = d->seen.forgotten + d->fresh.forgotten;
	out->re_limits = d->ctx.re_limits;
	out->groups = d->windows.n;
	out->seen = d->seen.n;
	out->episodes = d->windows.n_episodes;
	out->baselines = d->windows.n_learned;
	out->watermark_ns = d->newest_ms == TIME_NONE
				    ? TIME_NONE
				    : engine_watermark(d) * 1000000;
}
