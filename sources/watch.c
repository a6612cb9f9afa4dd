#include "sources/watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/limits.h"
#include "sources/kept.h"
#include "sources/names.h"
#include "sources/watch_folders.h"
#include "sources/watch_scan.h"

enum {
	SETTLE_MS = 200, /* after a notification */
	HOST_BYTES = 256,
};

/* What to watch, and how often; a scan reads it on its worker. */
struct watch_settings {
	struct strlist patterns;
	struct sources_watch own; /* a copy, but for paths */
};

struct watch {
	struct source source; /* first */
	struct sys *sys;
	struct watch_settings now;
	struct watch_settings *next; /* from the next scan on; NULL: as now */
	struct strlist more;         /* patterns beside the configuration's */
	struct strlist old_patterns; /* that the known files were found by */
	char host[HOST_BYTES];
	struct kept kept;
	bool opened, started, stopped, freeing;
	struct sys_timer *timer;
	struct watch_table known;
	bool has_base;   /* known was saved, or scanned once */
	bool blocked;    /* a change waits for room */
	bool again;      /* a notification came during a scan */
	bool dirty;      /* known differs from what is saved */
	bool full_told;  /* not all is watched, and that was told */
	uint64_t acked;
	int64_t hashed_ns; /* when all were hashed */
	struct watch_folders folders;
	struct sys_work work;
	bool busy;       /* the scan is a worker's */
	struct watch_scan scan;
	struct tail_callbacks cb;
	void *arg;
	struct buf text;
	uint64_t scans, changes;
};

static void settings_fini(struct watch_settings *s)
{
	strlist_fini(&s->patterns);
	strlist_fini(&s->own.exclude);
}

/* ---- what it found, on the loop ---- */

/* Hands the change on; false: there is no room. */
static bool tell(struct watch *w, enum watch_change change, const struct watched *was,
		 const struct watched *is)
{
	size_t room;
	char *p = kept_room(&w->kept, &room);

	if (watch_text(change, was, is, sys_wall_ns(w->sys), slice_str(w->host),
		       &w->text) != 0 ||
	    w->text.n > room) {
		return false;
	}
	memcpy(p, w->text.p, w->text.n);
	kept_took(&w->kept, w->text.n);
	w->changes++;
	return true;
}

/* Between a file as it was known and as it is.  false: not now. */
static bool take_change(struct watch *w, const char *path, const struct watched *was,
			const struct watched *is)
{
	enum watch_change change = watch_compare(was, is);
	size_t at;

	if (change == WATCH_SAME) {
		/* Readable now, and not before, or the other way. */
		return was == NULL || is == NULL || was->hash == is->hash ||
		       watch_table_put(&w->known, is) == 0;
	}
	/* What nobody watched before is no news, nor is what nobody watches now. */
	if (w->has_base && names_in_list(&w->now.patterns, path) &&
	    !names_in_list(&w->now.own.exclude, path) &&
	    (was != NULL || names_in_list(&w->old_patterns, path)) &&
	    !tell(w, change, was, is)) {
		return false;
	}
	w->dirty = true;
	if (is != NULL) {
		return watch_table_put(&w->known, is) == 0;
	}
	if (watch_table_find(&w->known, path, &at)) {
		watch_table_remove(&w->known, at);
	}
	return true;
}

/* Both tables are in order, and known changes under our hands. */
static bool take_changes(struct watch *w)
{
	const struct watch_table *found = &w->scan.found;
	size_t k = 0, f = 0;

	while (k < w->known.n || f < found->n) {
		const struct watched *was = k < w->known.n ? &w->known.v[k] : NULL;
		const struct watched *is = f < found->n ? &found->v[f] : NULL;
		int order = was == NULL ? 1 : is == NULL ? -1 : strcmp(was->path, is->path);

		const char *path = order <= 0 ? w->known.v[k].path : found->v[f].path;

		if (!take_change(w, path, order <= 0 ? was : NULL,
				 order >= 0 ? is : NULL)) {
			return false;
		}
		k += order >= 0;
		f += order >= 0;
	}
	return true;
}

static void on_notice(void *arg, const char *name)
{
	struct watch *w = arg;

	(void)name;
	if (w->again) {
		return; /* Its time is set: changes without end must not put it off. */
	}
	w->again = true;
	if (!w->busy && !w->stopped && !w->blocked) {
		sys_timer_set(w->sys, w->timer, SETTLE_MS);
	}
}

static bool same_patterns(const struct strlist *a, const struct strlist *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++) {
		same = strcmp(a->v[i], b->v[i]) == 0;
	}
	return same;
}

/* From now on what is new in them is news, also to the next process. */
static int take_patterns(struct watch *w)
{
	int rc = 0;

	if (w->has_base && same_patterns(&w->now.patterns, &w->old_patterns)) {
		return 0;
	}
	w->dirty = true;
	strlist_fini(&w->old_patterns);
	for (size_t i = 0; i < w->now.patterns.n && rc == 0; i++) {
		rc = strlist_add(&w->old_patterns, slice_str(w->now.patterns.v[i]));
	}
	return rc;
}

/* Says once that not all is watched, and again after all was. */
static void tell_full(struct watch *w, const struct watch_scan *s)
{
	static const char detail[] = "more files match than are watched; of what is new, "
				     "some is not looked at";
	char quoted[WATCH_PATH_MAX];
	struct slice pattern;

	if (s->left_out < 0 || w->full_told) {
		w->full_told = s->left_out >= 0;
		return;
	}
	w->full_told = true;
	pattern = slice_str(w->now.patterns.v[s->left_out]);
	log_warn("more files match a pattern of watch than are watched; those that are "
		 "known stay, others are not looked at",
		 "pattern=%s watched=%zu", log_quote(quoted, sizeof quoted, pattern),
		 s->found.n);
	if (w->cb.blind != NULL) {
		w->cb.blind(w->arg, pattern, slice_str(detail));
	}
}

static void end_scan(struct watch *w)
{
	struct watch_scan *s = &w->scan;
	uint64_t before = w->changes;

	w->scans++;
	if (s->rc != 0) {
		log_warn("cannot look at the watched files now", "error=\"%s\"",
			 err_str(s->rc));
	} else if (take_changes(w)) {
		if (!w->has_base) {
			log_info("the watched files are taken as they are",
				 "files=%zu", w->known.n);
		}
		w->has_base = take_patterns(w) == 0;
		if (s->all) {
			w->hashed_ns = sys_mono_ns(w->sys);
		}
	} else {
		w->blocked = true;
	}
	if (s->rc == 0) {
		tell_full(w, s);
	}
	watch_folders_set(&w->folders, &s->folders, w->changes != before);
	watch_scan_clear(s);
	/* What came while it ran may have been missed by it. */
	sys_timer_set(w->sys, w->timer,
		      w->again ? SETTLE_MS : w->now.own.poll_ms);
}

static void release(struct watch *w);

static void abandon(struct watch *w)
{
	watch_scan_clear(&w->scan);
	if (w->freeing) {
		release(w);
	}
}

static void on_scanned(struct sys_work *work)
{
	struct watch *w = work->arg;

	w->busy = false;
	if (w->stopped) {
		abandon(w);
	} else if (w->scan.rc == 0 && w->scan.phase != WATCH_END) {
		w->busy = sys_work_submit(w->sys, work) == 0;
		if (!w->busy) {
			w->scan.rc = UV_ENOMEM;
			end_scan(w);
		}
	} else {
		end_scan(w);
	}
}

static int copy_known(struct watch *w)
{
	int rc = 0;

	for (size_t i = 0; i < w->known.n && rc == 0; i++) {
		rc = watch_table_put(&w->scan.old, &w->known.v[i]);
	}
	return rc;
}

static void run_scan(struct sys_work *work)
{
	watch_scan_run(&((struct watch *)work->arg)->scan);
}

static void take_settings(struct watch *w)
{
	struct watch_settings before = w->now;

	if (w->next != NULL) {
		w->now = *w->next;
		*w->next = before;
		watch_drop(w->next);
		w->next = NULL;
	}
}

static void begin_scan(void *arg)
{
	struct watch *w = arg;
	struct watch_scan *s = &w->scan;
	int64_t hash_ns;

	if (w->busy || w->stopped || w->blocked) {
		return;
	}
	take_settings(w);
	hash_ns = (int64_t)w->now.own.hash_ms * 1000000;
	w->again = false;
	s->all = w->hashed_ns == 0 || sys_mono_ns(w->sys) - w->hashed_ns >= hash_ns;
	s->rc = copy_known(w);
	w->work.run = run_scan;
	w->work.done = on_scanned;
	w->work.arg = w;
	w->busy = s->rc == 0 && sys_work_submit(w->sys, &w->work) == 0;
	if (!w->busy) {
		watch_scan_clear(s);
		sys_timer_set(w->sys, w->timer, w->now.own.poll_ms);
	}
}

/* ---- as a source ---- */

static struct watch *of(struct source *s)
{
	return (struct watch *)s;
}

static int op_start(struct source *s)
{
	struct watch *w = of(s);

	kept_open(&w->kept);
	w->opened = w->started = true;
	sys_timer_set(w->sys, w->timer, 0);
	return 0;
}

static void op_resume(struct source *s)
{
	struct watch *w = of(s);

	kept_resume(&w->kept);
	if (w->blocked && w->kept.n == 0) {
		w->blocked = false;
		sys_timer_set(w->sys, w->timer, 0);
	}
}

static void op_stop(struct source *s)
{
	struct watch *w = of(s);

	w->stopped = true;
	sys_timer_stop(w->sys, w->timer);
	watch_folders_fini(&w->folders);
	if (w->opened) {
		w->opened = false;
		kept_close(&w->kept);
	}
}

static void release(struct watch *w)
{
	watch_table_fini(&w->known);
	settings_fini(&w->now);
	watch_drop(w->next);
	strlist_fini(&w->more);
	strlist_fini(&w->old_patterns);
	if (w->kept.buf != NULL) {
		kept_fini(&w->kept);
	}
	buf_fini(&w->text);
	watch_scan_fini(&w->scan);
	sys_timer_free(w->sys, w->timer);
	free(w);
}

static void op_free(struct source *s)
{
	struct watch *w = of(s);

	w->stopped = w->freeing = true;
	watch_folders_fini(&w->folders);
	if (!w->busy) {
		abandon(w);
	}
}

static void op_status(const struct source *s, struct json *j)
{
	const struct watch *w = (const struct watch *)s;

	json_u64(j, "files", w->known.n);
	json_u64(j, "folders_notifying", w->folders.n);
	json_u64(j, "scans", w->scans);
	json_u64(j, "changes", w->changes);
}

static int op_watermark(struct source *s, const struct stream_id *id, uint64_t position,
			uint64_t h)
{
	struct watch *w = of(s);

	(void)h;
	if (!stream_id_eq(id, &w->kept.stream.st.id)) {
		return UV_ENOENT;
	}
	w->acked = position > w->acked ? position : w->acked;
	return 0;
}

/* What is known may be forgotten to have been told only once it is safe: acknowledged,
 * or (at a clean stop) delivered or spooled with everything else. */
static int op_save(struct source *s, struct buf *out, bool last)
{
	struct watch *w = of(s);
	bool safe = w->kept.n == 0 && w->acked >= w->kept.stream.position;
	int rc;

	if (!w->dirty || !w->has_base || (!safe && !(last && w->kept.n == 0))) {
		return 0;
	}
	rc = watch_table_encode(&w->known, &w->old_patterns, out);
	w->dirty = rc != 0;
	return rc != 0 ? rc : 1;
}

static int op_load(struct source *s, struct slice saved)
{
	struct watch *w = of(s);
	int rc = watch_table_decode(&w->known, &w->old_patterns, saved);

	w->has_base = rc == 0;
	return rc;
}

static const struct source_ops watch_ops = {
	.name = "watch",
	.start = op_start,
	.resume = op_resume,
	.stop = op_stop,
	.free = op_free,
	.status = op_status,
	.watermark = op_watermark,
	.save = op_save,
	.load = op_load,
};

static int add_patterns(struct strlist *to, const struct strlist *l)
{
	int rc = 0;

	for (size_t i = 0; l != NULL && i < l->n && rc == 0; i++) {
		if (to->n < WATCH_PATTERNS_MAX && names_glob_valid(l->v[i])) {
			rc = strlist_add(to, slice_str(l->v[i]));
		}
	}
	return rc;
}

static int settings_init(struct watch_settings *s, const struct sources_watch *o,
			 const struct strlist *more)
{
	int rc;

	*s = (struct watch_settings){.own = {.enabled = o->enabled, .poll_ms = o->poll_ms,
					     .hash_ms = o->hash_ms,
					     .hash_max = o->hash_max}};
	rc = add_patterns(&s->patterns, &o->paths);
	rc = rc != 0 ? rc : add_patterns(&s->patterns, more);
	for (size_t i = 0; i < o->exclude.n && rc == 0; i++) {
		rc = strlist_add(&s->own.exclude, slice_str(o->exclude.v[i]));
	}
	return rc;
}

int watch_prepare(struct watch_settings **out, struct source *source,
		  const struct sources_options *options)
{
	struct watch_settings *s = calloc(1, sizeof *s);

	*out = NULL;
	if (s == NULL) {
		return UV_ENOMEM;
	}
	if (settings_init(s, &options->watch, &of(source)->more) != 0) {
		watch_drop(s);
		return UV_ENOMEM;
	}
	*out = s;
	return 0;
}

void watch_take(struct watch_settings *s, struct source *source)
{
	struct watch *w = of(source);

	watch_drop(w->next);
	w->next = s;
	w->again = true; /* As soon as the scan that runs has ended. */
	if (w->started && !w->stopped && !w->busy && !w->blocked) {
		sys_timer_set(w->sys, w->timer, 0);
	}
}

void watch_drop(struct watch_settings *s)
{
	if (s != NULL) {
		settings_fini(s);
		free(s);
	}
}

int watch_new(struct source **out, const struct watch_params *params)
{
	static char label[] = "watched files", program[] = "", zone[] = "UTC";
	static const struct sources_about about = {.label = label, .program = program,
						   .zone = zone};
	struct watch *w = calloc(1, sizeof *w);
	int rc;

	*out = NULL;
	if (w == NULL) {
		return UV_ENOMEM;
	}
	w->source.ops = &watch_ops;
	w->sys = params->sys;
	watch_folders_init(&w->folders, w->sys, params->options->notify, on_notice, w);
	w->cb = *params->cb;
	w->arg = params->arg;
	snprintf(w->host, sizeof w->host, "%s", params->host);
	buf_init(&w->text, 64 * 1024);
	rc = watch_scan_init(&w->scan, w->sys, &w->now.own, &w->now.patterns);
	rc = rc != 0 ? rc : add_patterns(&w->more, params->more);
	rc = rc != 0 ? rc : settings_init(&w->now, &params->options->watch, &w->more);
	rc = rc != 0 ? rc : sys_timer_new(w->sys, &w->timer, begin_scan, w);
	rc = rc != 0 ? rc
		     : kept_init(&w->kept, w->sys, params->options, params->secret, &about,
				 "watch:", params->cb, params->arg);
	if (rc != 0) {
		release(w);
		return rc;
	}
	*out = &w->source;
	return 0;
}
