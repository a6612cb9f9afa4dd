#include "sources/journal.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/log.h"
#include "sources/journal_impl.h"

enum {
	SOON_MS = 20,        /* entries come together */
	SCAN_S = 10,         /* without being told that there is something new */
	SCAN_AGAIN_MS = 500, /* when told */
	TURN_MS = 20,        /* then others on the loop have theirs */
	AGAIN_MS = 1,        /* between two turns */
};
static const int64_t second_ns = INT64_C(1000000000);

/* ---- chains ---- */

static void chain_free(struct chain *c)
{
	chain_close_file(c);
	stream_fini(&c->stream);
	free(c->dir);
	free(c);
}

int chain_fork(struct chain *c)
{
	struct journal *j = c->journal;
	struct stream_state *st = &c->stream.st;
	struct stream_id id;
	int rc = sys_random(j->sys, &id, sizeof id);

	if (rc != 0) {
		return rc;
	}
	chain_leave(c, TAIL_FORKED);
	st->id = id;
	st->acked = st->h = st->detect = st->position = st->start = 0;
	st->n_rungs = 0;
	st->top = (struct stream_rung){0, 0};
	st->fork = true;
	c->stream.position = 0;
	c->placed = false;
	return ERR_AGAIN;
}

static struct chain *find_chain(struct journal *j, const struct journal_file *f)
{
	for (struct chain *c = j->chains; c != NULL; c = c->next) {
		if (chain_has(c, f)) {
			return c;
		}
	}
	return NULL;
}

static int new_chain(struct journal *j, const struct journal_file *f)
{
	struct chain *c = calloc(1, sizeof *c);
	int rc;

	if (c == NULL) {
		return UV_ENOMEM;
	}
	rc = stream_init(&c->stream, j->secret, (uint32_t)j->options->line_max);
	if (rc != 0) {
		free(c);
		return rc;
	}
	c->journal = j;
	c->fd = -1;
	c->dir = strndup(f->path, f->dir_n);
	memcpy(c->family, f->family, sizeof c->family);
	memcpy(c->seqnum_id, f->header.seqnum_id, sizeof c->seqnum_id);
	c->stream.has_id = true;
	c->stream.about = &j->settings->about;
	c->stream.st.born_ns = sys_wall_ns(j->sys);
	rc = c->dir == NULL ? UV_ENOMEM : chain_name(c);
	if (rc != 0) {
		chain_free(c);
		return rc;
	}
	chain_recall(c);
	c->next = j->chains;
	j->chains = c;
	j->n_chains++;
	return 0;
}

static struct chain *chain_of(struct journal *j, const struct stream_id *id)
{
	for (struct chain *c = j->chains; c != NULL; c = c->next) {
		if (stream_id_eq(&c->stream.st.id, id)) {
			return c;
		}
	}
	return NULL;
}

/* ---- folders ---- */

static void on_change(void *arg, const char *name)
{
	struct journal *j = arg;
	bool reading = false;

	for (struct chain *c = j->chains; c != NULL && name != NULL; c = c->next) {
		const char *base = c->path == NULL ? NULL : strrchr(c->path, '/');

		reading = reading || (base != NULL && strcmp(base + 1, name) == 0);
	}
	/* What is read now was written to, and other names are news. */
	j->scan_wanted = j->scan_wanted || !reading;
	if (j->started && !j->stopped) {
		sys_timer_set(j->sys, j->soon, SOON_MS);
	}
}

static void watch(struct journal *j, const char *dir, size_t n)
{
	struct dir_watch *w = &j->watches[j->n_watches];

	for (size_t i = 0; i < j->n_watches; i++) {
		if (strlen(j->watches[i].dir) == n &&
		    memcmp(j->watches[i].dir, dir, n) == 0) {
			return;
		}
	}
	if (j->n_watches == JOURNAL_WATCHES) {
		return; /* Then it is looked at from time to time. */
	}
	w->dir = strndup(dir, n);
	if (w->dir == NULL) {
		return;
	}
	if (sys_watch_new(j->sys, &w->w, w->dir, on_change, j) != 0) {
		free(w->dir); /* Not there yet, or no more watches. */
		return;
	}
	j->n_watches++;
}

static bool is_chosen(const struct journal *j, const struct journal_file *f)
{
	const struct strlist *names = &j->settings->names;

	for (size_t i = 0; i < names->n; i++) {
		if (fnmatch(names->v[i], f->family, 0) == 0) {
			return true;
		}
	}
	return names->n == 0;
}

/* Each file that can't be read is named once. */
static void name_broken(struct journal *j, const struct journal_files *before)
{
	for (size_t i = 0; i < j->files.n; i++) {
		const struct journal_file *f = &j->files.v[i];
		bool known = f->error == 0;

		for (size_t k = 0; k < before->n && !known; k++) {
			known = strcmp(before->v[k].path, f->path) == 0 &&
				before->v[k].error == f->error;
		}
		if (!known) {
			log_warn("a journal file can't be read; others are", "path=%s error=\"%s\"",
				 f->path, err_str(f->error));
		}
	}
}

static int scan(struct journal *j)
{
	const struct strlist *dirs = &j->settings->directories;
	struct journal_files before = j->files;
	int64_t now_ns = sys_mono_ns(j->sys);
	int rc = 0;

	j->files = (struct journal_files){0};
	for (size_t i = 0; i < dirs->n && rc == 0; i++) {
		watch(j, dirs->v[i], strlen(dirs->v[i]));
		rc = journal_files_list(&j->files, j->sys, dirs->v[i]);
	}
	if (rc != 0) {
		journal_files_fini(&j->files);
		j->files = before;
		return rc;
	}
	journal_files_sort(&j->files);
	name_broken(j, &before);
	journal_files_fini(&before);
	j->scan_wanted = false;
	j->scanned_ns = now_ns;
	for (size_t i = 0; i < j->files.n; i++) {
		const struct journal_file *f = &j->files.v[i];

		watch(j, f->path, f->dir_n);
		if (f->error == 0 && f->header.entries > 0 && is_chosen(j, f) &&
		    j->n_chains < JOURNAL_CHAINS && find_chain(j, f) == NULL) {
			rc = new_chain(j, f);
		}
	}
	for (struct chain *c = j->chains; c != NULL; c = c->next) {
		chain_scanned(c, now_ns);
	}
	return rc;
}

/* ---- work ---- */

/* A step of each chain, as far as there is time; true: there is more at once. */
static bool take_turns(struct journal *j, int64_t end_ns)
{
	bool more = false;

	for (size_t i = 0; i < j->n_chains; i++) {
		struct chain *c = j->turn == NULL ? j->chains : j->turn;

		j->turn = c->next;
		more = chain_step(c) || more;
		if (sys_mono_ns(j->sys) >= end_ns) {
			return more || i + 1 < j->n_chains;
		}
	}
	return more;
}

static bool scan_is_due(const struct journal *j, int64_t now_ns)
{
	int64_t since_ns = now_ns - j->scanned_ns;

	return j->scanned_ns == 0 ||
	       (j->accounter == NULL &&
		((j->scan_wanted && since_ns > SCAN_AGAIN_MS * INT64_C(1000000)) ||
		 since_ns > SCAN_S * second_ns));
}

static void work(struct journal *j)
{
	int64_t now_ns = sys_mono_ns(j->sys);

	if (scan_is_due(j, now_ns)) {
		int rc = scan(j);

		if (rc != 0) {
			log_warn("cannot look for journal files; trying again",
				 "error=\"%s\"", err_str(rc));
		}
	}
	if (take_turns(j, now_ns + TURN_MS * INT64_C(1000000))) {
		sys_timer_set(j->sys, j->soon, AGAIN_MS);
	}
}

static void on_soon(void *arg)
{
	work(arg);
}

static void on_poll(void *arg)
{
	struct journal *j = arg;
	int64_t now_ns = sys_mono_ns(j->sys);

	work(j);
	for (struct chain *c = j->chains; c != NULL; c = c->next) {
		chain_tick(c, now_ns);
		if (c->accounting) {
			sys_timer_set(j->sys, j->soon, AGAIN_MS);
		}
	}
	sys_timer_set(j->sys, j->poll, j->options->poll_interval_ms);
}

/* ---- the source ---- */

static int journal_start(struct source *source)
{
	struct journal *j = (struct journal *)source;

	if (j->started) {
		return 0;
	}
	j->started = true;
	j->first_start = j->n_restored == 0 && j->n_known == 0;
	sys_timer_set(j->sys, j->soon, AGAIN_MS);
	sys_timer_set(j->sys, j->poll, j->options->poll_interval_ms);
	return 0;
}

static void journal_resume(struct source *source)
{
	struct journal *j = (struct journal *)source;

	if (j->started && !j->stopped) {
		sys_timer_set(j->sys, j->soon, AGAIN_MS);
	}
}

static void journal_stop(struct source *source)
{
	struct journal *j = (struct journal *)source;

	if (j->stopped) {
		return;
	}
	j->stopped = true;
	sys_timer_stop(j->sys, j->soon);
	sys_timer_stop(j->sys, j->poll);
	for (struct chain *c = j->chains; c != NULL; c = c->next) {
		chain_leave(c, TAIL_EVICTED);
	}
}

static void journal_free(struct source *source)
{
	struct journal *j = (struct journal *)source;

	sys_timer_free(j->sys, j->soon);
	sys_timer_free(j->sys, j->poll);
	for (size_t i = 0; i < j->n_watches; i++) {
		sys_watch_free(j->sys, j->watches[i].w);
		free(j->watches[i].dir);
	}
	while (j->chains != NULL) {
		struct chain *c = j->chains;

		j->chains = c->next;
		chain_free(c);
	}
	stream_states_free(j->restored, j->n_restored);
	free(j->known);
	journal_files_fini(&j->files);
	buf_wipe(&j->text);
	explicit_bzero(j->secret, sizeof j->secret);
	free(j);
}

static int journal_watermark(struct source *source, const struct stream_id *id,
			     uint64_t position, uint64_t h)
{
	struct chain *c = chain_of((struct journal *)source, id);

	if (c == NULL) {
		return UV_ENOENT;
	}
	if (position > c->stream.st.position) {
		return ERR_ABOVE;
	}
	stream_state_acked(&c->stream.st, position, h);
	return 0;
}

static int journal_detected(struct source *source, const struct stream_id *id,
			    uint64_t position)
{
	struct chain *c = chain_of((struct journal *)source, id);

	if (c == NULL) {
		return UV_ENOENT;
	}
	if (position > c->stream.st.detect) {
		c->stream.st.detect = position;
	}
	return 0;
}

/* The entries from there on are read again; those that were vacuumed are a gap. */
static int journal_rollback(struct source *source, const struct stream_id *id,
			    uint64_t position, const uint64_t *h)
{
	struct journal *j = (struct journal *)source;
	struct chain *c = chain_of(j, id);

	if (c == NULL) {
		return UV_ENOENT;
	}
	chain_leave(c, TAIL_EVICTED);
	if (position < c->stream.st.acked) {
		c->stream.st.acked = position;
		c->stream.st.h = h == NULL ? 0 : *h;
		while (c->stream.st.n_rungs > 0 &&
		       c->stream.st.rungs[c->stream.st.n_rungs - 1].position >= position) {
			c->stream.st.n_rungs--;
		}
	}
	c->stream.st.top = (struct stream_rung){0, 0};
	c->stream.position = c->stream.st.position = position;
	c->placed = false;
	journal_resume(source);
	return 0;
}

static int journal_fork(struct source *source, const struct stream_id *id)
{
	struct chain *c = chain_of((struct journal *)source, id);

	if (c == NULL) {
		return UV_ENOENT;
	}
	chain_fork(c);
	journal_resume(source);
	return 0;
}

static void journal_status(const struct source *source, struct json *out)
{
	const struct journal *j = (const struct journal *)source;
	uint64_t behind = 0;

	for (const struct chain *c = j->chains; c != NULL; c = c->next) {
		const struct stream *s = &c->stream;

		behind += s->st.size > chain_at(c) ? s->st.size - chain_at(c) : 0;
	}
	json_u64(out, "streams", j->n_chains);
	json_u64(out, "files", j->files.n);
	json_u64(out, "entries", j->entries);
	json_u64(out, "left_out", j->left_out);
	json_u64(out, "behind", behind);
	json_u64(out, "gaps", j->gaps);
	json_u64(out, "lost", j->lost);
	json_u64(out, "damaged", j->damaged);
}

static const struct source_ops ops = {
	.name = "journal",
	.start = journal_start,
	.resume = journal_resume,
	.stop = journal_stop,
	.free = journal_free,
	.status = journal_status,
	.restore = journal_restore,
	.watermark = journal_watermark,
	.detected = journal_detected,
	.rollback = journal_rollback,
	.fork = journal_fork,
	.states = journal_states,
};

int journal_new(struct source **out, struct sys *sys, const struct journal_calls *calls,
		const struct sources_options *options,
		const struct sources_journal *settings,
		const unsigned char secret[static STREAM_SECRET],
		const struct tail_callbacks *cb, void *arg)
{
	struct journal *j = calls == NULL ? NULL : calloc(1, sizeof *j);
	int rc;

	*out = NULL;
	if (calls == NULL) {
		return UV_ENOTSUP;
	}
	if (j == NULL) {
		return UV_ENOMEM;
	}
	j->source.ops = &ops;
	j->sys = sys;
	j->calls = calls;
	j->options = options;
	j->settings = settings;
	j->cb = cb;
	j->arg = arg;
	memcpy(j->secret, secret, sizeof j->secret);
	/* Each byte may be escaped before it is cut. */
	buf_init(&j->text, 5 * (size_t)LIMIT_LINE_MAX);
	rc = sys_timer_new(sys, &j->soon, on_soon, j);
	if (rc == 0) {
		rc = sys_timer_new(sys, &j->poll, on_poll, j);
	}
	if (rc != 0) {
		journal_free(&j->source);
		return rc;
	}
	*out = &j->source;
	return 0;
}
