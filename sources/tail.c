#include "sources/tail.h"

#include <stdlib.h>
#include <xxhash.h>

#include "common/err.h"
#include "common/limits.h"
#include "sources/tail_impl.h"

enum { NS_PER_MS = 1000000, POLL_DEFAULT_MS = 1000, TIMEOUT_DEFAULT_MS = 5000 };

uint64_t tail_bytes_hash(const char *p, size_t n)
{
	return XXH3_64bits(p, n);
}

uint64_t tail_path_hash(const char *path)
{
	return tail_bytes_hash(path, strlen(path));
}

/* ---- the order of work ---- */

void tail_wake(struct tail *t)
{
	if (t->started && !t->stopped) {
		sys_timer_set(t->sys, t->work, 0);
	}
}

/* Milliseconds until the next scan may run: 0 is now. */
static uint64_t scan_due_ms(const struct tail *t)
{
	int64_t since = (sys_mono_ns(t->sys) - t->last_scan_ns) / NS_PER_MS;

	return !t->scanned || since >= TAIL_SCAN_GAP_MS
		       ? 0
		       : (uint64_t)(TAIL_SCAN_GAP_MS - since);
}

void tail_want_scan(struct tail *t)
{
	uint64_t due = scan_due_ms(t);

	t->scan_wanted = true;
	if (due == 0) {
		tail_wake(t);
	} else if (t->started && !t->stopped) {
		sys_timer_set(t->sys, t->soon, due);
	}
}

static bool runnable(const struct file *f)
{
	return f->ready && !f->full && !f->paused &&
	       (f->state == FILE_NEW || f->state == FILE_READING);
}

/* Reads a little of each file that has something, in turn. */
static void follow_some(struct tail *t)
{
	int steps = TAIL_STEPS;

	for (size_t i = t->n_files; i > 0 && steps > 0; i--) {
		struct file *f = t->files[t->next_file++ % t->n_files];

		if (f->check_name) {
			f->check_name = false;
			scan_check_name(f);
			if (f->gone) {
				tail_want_scan(t);
			}
		}
		if (runnable(f)) {
			follow_step(f);
			steps--;
		}
	}
}

static bool any_runnable(const struct tail *t)
{
	for (size_t i = 0; i < t->n_files; i++) {
		if (runnable(t->files[i])) {
			return true;
		}
	}
	return false;
}

static void on_work(void *arg)
{
	struct tail *t = arg;
	bool more = false;

	if (t->stopped) {
		return;
	}
	if ((t->scan_wanted || !t->scanned) && scan_due_ms(t) == 0) {
		scan_run(t);
	}
	follow_some(t);
	for (int i = 0; i < TAIL_STEPS; i++) {
		more = identify_step(t);
	}
	more |= search_step(t);
	if (more || any_runnable(t)) {
		tail_wake(t);
	} else if (t->starved && room_may_be(t)) {
		t->scan_wanted = true; /* The others' turn. */
	}
	if (t->scan_wanted) {
		tail_want_scan(t);
	}
}

static void on_soon(void *arg)
{
	on_work(arg);
}

static void on_poll(void *arg)
{
	struct tail *t = arg;

	if (t->stopped) {
		return;
	}
	scan_run(t);
	for (size_t i = t->n_files; i > 0; i--) {
		follow_poll(t->files[i - 1]);
	}
	search_poll(t);
	sys_timer_set(t->sys, t->poll, t->poll_ms);
	tail_wake(t);
}

/* ---- life ---- */

static bool globs_valid(const struct sources_options *o)
{
	for (size_t i = 0; i < o->n_files; i++) {
		for (size_t j = 0; j < o->files[i].paths.n; j++) {
			if (!names_glob_valid(o->files[i].paths.v[j])) {
				return false;
			}
		}
	}
	return true;
}

static void settings(struct tail *t, const struct sources_options *o)
{
	uint64_t line_max = o->line_max != 0 ? o->line_max : LIMIT_LINE_DEFAULT;

	t->line_max = (uint32_t)(line_max < LIMIT_LINE_MAX ? line_max
							   : LIMIT_LINE_MAX);
	t->poll_ms = o->poll_interval_ms != 0 ? o->poll_interval_ms
					      : POLL_DEFAULT_MS;
	t->timeout_ms = o->last_line_timeout_ms != 0 ? o->last_line_timeout_ms
						     : TIMEOUT_DEFAULT_MS;
	t->max_open = o->max_open != 0 ? (size_t)o->max_open : TAIL_MAX_OPEN;
	t->max_known = STREAM_TABLE_MAX;
	t->max_skipped = TAIL_MAX_SKIPPED;
	t->folder_skipped = TAIL_FOLDER_SKIPPED;
	t->buf_room = (t->line_max < LIMIT_CHUNK ? (size_t)LIMIT_CHUNK
						 : (size_t)t->line_max + 1) +
		      TAIL_BACK;
}

static int allocate(struct tail *t)
{
	int rc;

	t->buf = malloc(t->buf_room);
	t->known = calloc(STREAM_TABLE_MAX, sizeof t->known[0]);
	t->job = calloc(1, sizeof *t->job);
	if (t->buf == NULL || t->known == NULL || t->job == NULL) {
		return UV_ENOMEM;
	}
	rc = forget_init(t);
	rc = rc != 0 ? rc : prefix_init(&t->job->prefix);
	rc = rc != 0 ? rc : prefix_init(&t->job->snapshot);
	rc = rc != 0 ? rc : sys_timer_new(t->sys, &t->work, on_work, t);
	rc = rc != 0 ? rc : sys_timer_new(t->sys, &t->poll, on_poll, t);
	return rc != 0 ? rc : sys_timer_new(t->sys, &t->soon, on_soon, t);
}

int tail_new(struct tail **out, struct sys *sys,
	     const struct sources_options *options,
	     const unsigned char secret[static STREAM_SECRET],
	     const struct tail_callbacks *cb, void *arg)
{
	struct tail *t;
	int rc;

	*out = NULL;
	if (!globs_valid(options)) {
		return UV_EINVAL;
	}
	t = calloc(1, sizeof *t);
	if (t == NULL) {
		return UV_ENOMEM;
	}
	t->sys = sys;
	t->options = options;
	t->cb = *cb;
	t->arg = arg;
	memcpy(t->secret, secret, STREAM_SECRET);
	t->clock_wall_ns = sys_wall_ns(sys);
	t->clock_mono_ns = sys_mono_ns(sys);
	t->set_back_ns = INT64_MAX;
	settings(t, options);
	rc = allocate(t);
	if (rc != 0) {
		tail_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

/* After a rewind or a restart, reading may stand below what W and D tell. */
static void raise_position(struct stream_state *st)
{
	if (st->position < st->acked) {
		st->position = st->acked;
	}
	if (st->position < st->detect) {
		st->position = st->detect;
	}
}

/* Two ends' knowledge of one stream. */
static int merge(struct tail *t, struct known *k, const struct stream_state *st)
{
	bool place = k->st.path == NULL && st->path != NULL;

	k->news = false;
	if (place) {
		k->st.path = strdup(st->path);
		if (k->st.path == NULL) {
			return UV_ENOMEM;
		}
		known_place(t, k, st->dev, st->ino);
		forget_class(t, k);
		k->st.start = st->start;
		k->st.detect = st->detect;
		k->st.size = st->size;
		k->st.mtime_ns = k->good_mtime_ns = st->mtime_ns;
		k->st.born_ns = st->born_ns;
		k->st.finished = st->finished;
		k->st.gap_told = st->gap_told;
		k->st.top = st->top;
		k->st.first = st->first;
		k->st.fork = st->fork;
		k->st.away_ns = st->away_ns;
		k->told = (struct stream_rung){st->acked, st->h};
		for (uint32_t i = 0; i < st->n_rungs; i++) {
			stream_state_add_rung(&k->st, st->rungs[i].position,
					      st->rungs[i].h);
		}
	}
	if (st->acked > k->st.acked) {
		stream_state_acked(&k->st, st->acked, st->h);
	} else if (place && st->acked > 0 && st->acked == k->st.acked && st->h != k->st.h) {
		/* The collector has another past's bytes there.  Ours may have been in a
		 * spool alone: nothing is sure to be stored. */
		k->beyond = k->ahead = true;
		k->told = (struct stream_rung){0, 0};
	} else {
		k->ahead |= place && k->st.acked > st->acked;
		k->beyond |= place && k->st.acked > st->acked &&
			     k->st.acked > st->top.position;
		stream_state_add_rung(&k->st, st->acked, st->h);
	}
	k->st.position = k->st.position > st->position ? k->st.position
						       : st->position;
	raise_position(&k->st);
	return 0;
}

int tail_restore(struct tail *t, const struct stream_state *states, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct known *k = known_find(t, &states[i].id);
		/* Its file was seen then: its folder at the look before that. */
		int64_t looked_ns = states[i].seen_ns > 0
			? states[i].seen_ns - (int64_t)t->poll_ms * NS_PER_MS : 0;
		int rc;

		if (states[i].path != NULL && looked_ns > t->looks_since_ns) {
			t->looks_since_ns = looked_ns;
		}
		if (k != NULL) {
			rc = merge(t, k, &states[i]);
			if (rc != 0) {
				return rc;
			}
			continue;
		}
		k = calloc(1, sizeof *k);
		if (k == NULL) {
			return UV_ENOMEM;
		}
		rc = stream_state_copy(&k->st, &states[i]);
		if (rc != 0) {
			known_free(k);
			return rc;
		}
		k->good_mtime_ns = scan_good_mtime(t, &k->st);
		k->news = k->st.path == NULL;
		raise_position(&k->st);
		known_put(t, k);
	}
	return 0;
}

void tail_look_back(struct tail *t, int64_t since_ns)
{
	t->looks_since_ns = since_ns;
	t->table_lost = true;
}

void tail_begun(struct tail *t, int64_t begun_ns)
{
	t->begun_ns = begun_ns;
}

void tail_alone(struct tail *t)
{
	t->alone = true;
}

int tail_start(struct tail *t)
{
	t->started = true;
	t->first_start = t->n_known == 0 && !t->table_lost;
	scan_note_set_back(t);
	if (t->looks_since_ns == 0) {
		/* Not since the first scan: what came before that may be rotated by then,
		 * while the agent waits for what its collector knows. */
		t->looks_since_ns = t->clock_wall_ns;
	}
	search_add_known(t);
	sys_timer_set(t->sys, t->poll, t->poll_ms);
	tail_wake(t);
	return 0;
}

void tail_stop(struct tail *t)
{
	t->stopped = true;
	sys_timer_stop(t->sys, t->work);
	sys_timer_stop(t->sys, t->poll);
	sys_timer_stop(t->sys, t->soon);
}

void tail_free(struct tail *t)
{
	if (t == NULL) {
		return;
	}
	t->stopped = true;
	sys_timer_free(t->sys, t->work);
	sys_timer_free(t->sys, t->poll);
	sys_timer_free(t->sys, t->soon);
	scan_stop(t);
	search_free(t);
	while (t->n_files > 0) {
		file_free(t->files[t->n_files - 1]);
	}
	folders_free(t);
	identify_free(t);
	for (size_t i = 0; i < t->n_known; i++) {
		known_free(t->known[i]);
	}
	forget_fini(t);
	free(t->known);
	free(t->files);
	free(t->buf);
	explicit_bzero(t->secret, sizeof t->secret);
	free(t);
}

/* ---- what the other stages say ---- */

int tail_watermark(struct tail *t, const struct stream_id *id,
		   uint64_t position, uint64_t h)
{
	struct file *f = file_of(t, id);
	struct known *k = f != NULL ? f->resume : known_find(t, id);

	if (f != NULL && f->s != NULL) {
		/* Above the position: handed on before a rewind. */
		if (position > f->s->position &&
		    position > f->s->st.top.position) {
			return ERR_ABOVE;
		}
		stream_state_acked(&f->s->st, position, h);
		return 0;
	}
	if (k == NULL) {
		return UV_ENOENT;
	}
	if (position > k->st.position && position > k->st.top.position) {
		if (k->live || f != NULL) {
			return ERR_ABOVE;
		}
		k->st.position = position;
	}
	stream_state_acked(&k->st, position, h);
	return 0;
}

int tail_detected(struct tail *t, const struct stream_id *id,
		  uint64_t position)
{
	struct file *f = file_of(t, id);
	struct known *k = f != NULL ? f->resume : known_find(t, id);
	struct stream_state *st = f != NULL && f->s != NULL ? &f->s->st
				  : k != NULL		    ? &k->st
							    : NULL;

	if (st == NULL) {
		return UV_ENOENT;
	}
	if (position > st->detect) {
		st->detect = position;
	}
	if (k != NULL) {
		raise_position(st);
	}
	return 0;
}

void tail_resume(struct tail *t)
{
	for (size_t i = 0; i < t->n_files; i++) {
		if (t->files[i]->full) {
			t->files[i]->full = false;
			t->files[i]->ready = true;
		}
	}
	tail_wake(t);
}

/* ---- what the tail says ---- */

static int state_of_file(const struct file *f, struct stream_state *out)
{
	int rc;

	if (f->resume != NULL) {
		rc = stream_state_copy(out, &f->resume->st);
		raise_position(out);
		return rc;
	}
	rc = stream_state_copy(out, &f->s->st);
	if (rc == 0) {
		out->position = f->s->position;
		stream_note_top(out, f->s);
		raise_position(out);
		out->size = f->size;
		out->mtime_ns = f->mtime_ns;
		/* Not now: a process that stood still has not looked since. */
		out->seen_ns = f->tail->clock_wall_ns;
	}
	return rc;
}

/* Incarnations of this name from since_ns on were not dealt with yet: whoever starts
 * from these states has to look for them again. */
static void look_from(struct stream_state *states, size_t n, const char *path,
		      int64_t since_ns)
{
	bool named = false;

	for (size_t i = 0; i < n; i++) {
		if (states[i].path != NULL &&
		    strcmp(states[i].path, path) == 0) {
			named = true;
			if (since_ns < states[i].mtime_ns) {
				states[i].mtime_ns = since_ns;
			}
		}
	}
	/* No stream has the name yet: then everything was looked at so long ago. */
	for (size_t i = 0; i < n && !named; i++) {
		if (since_ns < states[i].seen_ns) {
			states[i].seen_ns = since_ns;
		}
	}
}

/* What is looked for since then.  That the clock was set back can't be seen from the new
 * states any more; a time in them (1970 counts as none) has to say it. */
static int64_t looked_for_since(const struct tail *t, int64_t since_ns)
{
	const int64_t day_ns = INT64_C(86400000) * NS_PER_MS;

	if (t->set_back_ns < since_ns) {
		since_ns = t->set_back_ns > day_ns ? t->set_back_ns : day_ns;
	}
	return since_ns;
}

static void note_unseen(const struct tail *t, struct stream_state *states,
			size_t n)
{
	for (size_t i = 0; i < t->n_looks; i++) {
		look_from(states, n, t->looks[i].path,
			  looked_for_since(t, t->looks[i].since_ns));
	}
	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *f = t->files[i];

		if (f->family != NULL &&
		    (f->s == NULL ? f->unseen : !f->s->has_id)) {
			look_from(states, n, f->family, f->mtime_ns);
		} else if (f->in_glob && f->gone && f->resume == NULL &&
			   (f->s == NULL || !f->s->has_id)) {
			/* Renamed before anything was handed on: nothing else tells
			 * of it, and later files of its name may be known. */
			look_from(states, n, f->path, f->good_mtime_ns);
		}
	}
}

int tail_states(struct tail *t, struct stream_state **out, size_t *n)
{
	size_t room = t->n_files + t->n_known;
	struct stream_state *states;
	int rc = 0;

	*out = NULL;
	*n = 0;
	if (room > STREAM_TABLE_MAX) {
		room = STREAM_TABLE_MAX;
		known_sort(t);
	}
	states = calloc(room + 1, sizeof *states);
	if (states == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; rc == 0 && i < t->n_files && *n < room; i++) {
		const struct file *f = t->files[i];

		if (f->resume != NULL || (f->s != NULL && f->s->has_id)) {
			rc = state_of_file(f, &states[*n]);
			*n += rc == 0;
		}
	}
	for (size_t i = 0; rc == 0 && i < t->n_known && *n < room; i++) {
		rc = stream_state_copy(&states[*n], &t->known[i]->st);
		raise_position(&states[*n]);
		*n += rc == 0;
	}
	if (rc != 0) {
		stream_states_free(states, *n);
		*n = 0;
		return rc;
	}
	note_unseen(t, states, *n);
	*out = states;
	return 0;
}

void tail_stats(const struct tail *t, struct tail_stats *out)
{
	*out = t->stats;
	out->open = t->n_open;
	out->remembered = t->n_known;
	out->searching = search_count(t);
	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *f = t->files[i];
		uint64_t position = f->s != NULL ? f->s->position : 0;

		if (f->fd >= 0 && f->size > position) {
			out->lagging_bytes += f->size - position;
		}
	}
}
