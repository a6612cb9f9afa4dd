/* The journal at random: entries are written, files rotated, vacuumed and cut by a loss of
 * power, the machine and the collector's store are put back, the reader is killed between
 * reading and saving.  In the end each entry that is or was there long enough is stored at a
 * collector once, or told as vacuumed; or flagged copies, if the journal had another past.
 *
 *   JOURNAL_SEEDS=1-300   the range (the default: 1-120)
 *   JOURNAL_SEED=N        one seed, and what happens */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "sources/journal.h"
#include "sources/journal_file.h"

enum {
	NUMBERS = 2048,
	FILES = 64,
	STREAMS = 64,
	STEPS = 60,
	VERSIONS = 16, /* pasts */
	TIMERS = 8,
	MS = 1000000,
	GAP = -1, BEFORE = -2, /* in place of a version */
};

struct sys_timer {
	sys_timer_cb cb;
	void *arg;
	int64_t due_ns; /* INT64_MAX: not set */
};

/* Entries [head, tail], or none: tail < head. */
struct file {
	char name[32], id;
	bool archived;
	uint64_t head, tail;
};

/* What is on the disk. */
struct machine {
	struct file files[FILES]; /* oldest first; the last one is written */
	size_t n;
	int version[NUMBERS]; /* of each entry */
	uint64_t next, synced; /* numbers: to be given, and on the disk below */
	struct stream_state table[STREAMS]; /* saved */
	size_t n_table;
};

struct stored {
	struct stream_id id;
	bool fork;
	uint64_t w, h;
	int version[NUMBERS]; /* 0: none */
	uint64_t hash[NUMBERS + 1]; /* H at each end */
};

struct collector {
	struct stored v[STREAMS];
	size_t n;
};

struct fixture {
	uv_loop_t loop;
	struct sys_uv sys;
	struct sys_ops ops;
	struct sys_timer timers[TIMERS];
	int64_t now_ns;
	uint64_t random;
	struct sources_journal settings;
	struct sources_options options;
	unsigned char secret[STREAM_SECRET];
	struct source *source;
	char dir[64], *dirs[1];
	char ids; /* of files, the last one */
	size_t room;
	struct machine m, backup;
	bool has_backup;
	struct collector c, copy;
	bool has_copy;
	int versions; /* of the past, the present one last */
	bool vacuumed[NUMBERS][VERSIONS];
	bool refused; /* something: its stream goes back to W */
	struct stream_id refused_id;
	unsigned refusals;
	const char *wrong;
	bool verbose;
};

static struct fixture *fixture_of(struct sys *s)
{
	return (struct fixture *)((char *)s - offsetof(struct fixture, sys.sys));
}

static uint64_t rnd(struct fixture *f, uint64_t n)
{
	uint64_t x = f->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) % n;
}

static void say(const struct fixture *f, const char *what, uint64_t a, uint64_t b)
{
	if (f->verbose) {
		print_message("%.3f %s %u %u\n", (double)f->now_ns / 1e9, what, (unsigned)a,
			      (unsigned)b);
	}
}

static void wrong(struct fixture *f, const char *what, uint64_t number)
{
	say(f, what, number, 0);
	f->wrong = f->wrong == NULL ? what : f->wrong;
}

/* ---- time ---- */

static int64_t mono_ns(struct sys *s)
{
	return fixture_of(s)->now_ns;
}

static int timer_new(struct sys *s, struct sys_timer **out, sys_timer_cb cb, void *arg)
{
	struct sys_timer *t = fixture_of(s)->timers;

	while (t->cb != NULL) {
		t++;
		assert_true(t < fixture_of(s)->timers + TIMERS);
	}
	*t = (struct sys_timer){cb, arg, INT64_MAX};
	*out = t;
	return 0;
}

static void timer_set(struct sys *s, struct sys_timer *t, uint64_t ms)
{
	t->due_ns = fixture_of(s)->now_ns + (int64_t)ms * MS;
}

static void timer_stop(struct sys *s, struct sys_timer *t)
{
	(void)s;
	t->due_ns = INT64_MAX;
}

static void timer_free(struct sys *s, struct sys_timer *t)
{
	timer_stop(s, t);
	t->cb = NULL;
}

static int no_watch(struct sys *s, struct sys_watch **out, const char *path,
		    sys_watch_cb cb, void *arg)
{
	(void)s;
	(void)out;
	(void)path;
	(void)cb;
	(void)arg;
	return UV_ENOSYS;
}

/* Whatever is due by then, in its order. */
static void pass(struct fixture *f, int64_t ms)
{
	int64_t end_ns = f->now_ns + ms * MS;

	for (;;) {
		struct sys_timer *first = NULL;

		for (size_t i = 0; i < TIMERS; i++) {
			struct sys_timer *t = &f->timers[i];

			if (t->cb != NULL && t->due_ns <= end_ns &&
			    (first == NULL || t->due_ns < first->due_ns)) {
				first = t;
			}
		}
		if (first == NULL) {
			f->now_ns = end_ns;
			return;
		}
		/* Each call takes a little time, so that none comes again for ever. */
		f->now_ns = first->due_ns > f->now_ns ? first->due_ns : f->now_ns;
		f->now_ns += MS / 10;
		first->due_ns = INT64_MAX;
		first->cb(first->arg);
	}
}

/* ---- files ---- */

static void put64(char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof v);
}

static void path_of(const struct fixture *f, const struct file *file, char out[static 160])
{
	snprintf(out, 160, "%s/%s", f->dir, file->name);
}

/* A header, and behind it number and version of each entry. */
static void write_into(const struct fixture *f, const struct file *file, FILE *out)
{
	char header[JOURNAL_HEADER] = "LPKSHHRH";
	uint64_t n = file->tail + 1 - file->head;

	header[16] = file->archived ? JOURNAL_ARCHIVED : JOURNAL_ONLINE;
	memset(header + 24, file->id, 16);
	memset(header + 72, 'A', 16);
	put64(header + 152, n);
	put64(header + 160, n > 0 ? file->tail : 0);
	put64(header + 168, n > 0 ? file->head : 0);
	assert_non_null(out);
	fwrite(header, 1, sizeof header, out);
	for (uint64_t i = file->head; i <= file->tail; i++) {
		uint64_t entry[2] = {i, (uint64_t)f->m.version[i]};

		fwrite(entry, 1, sizeof entry, out);
	}
	fclose(out);
}

/* Another file of that name. */
static void write_file(const struct fixture *f, const struct file *file)
{
	char path[160], temporary[200];

	path_of(f, file, path);
	snprintf(temporary, sizeof temporary, "%s.new", path);
	write_into(f, file, fopen(temporary, "w"));
	assert_int_equal(rename(temporary, path), 0);
}

/* The same file, which has more. */
static void grow_file(const struct fixture *f, const struct file *file)
{
	char path[160];

	path_of(f, file, path);
	write_into(f, file, fopen(path, "r+"));
}

static int remove_one(void *arg, const char *name, bool is_dir)
{
	struct fixture *f = arg;
	char path[400];

	(void)is_dir;
	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	unlink(path);
	return 0;
}

static void write_all(struct fixture *f)
{
	sys_list(sys_plain(), f->dir, remove_one, f);
	for (size_t i = 0; i < f->m.n; i++) {
		write_file(f, &f->m.files[i]);
	}
}

struct journal_reader {
	int fd;
	uint64_t at, entry[2];
	char cursor[64], text[64];
};

static int fake_open(struct journal_reader **out, int fd)
{
	*out = calloc(1, sizeof **out);
	assert_non_null(*out);
	(*out)->fd = fd;
	return 0;
}

static void fake_close(struct journal_reader *r)
{
	free(r);
}

static bool read_at(struct journal_reader *r)
{
	off_t at = (off_t)(JOURNAL_HEADER + r->at * sizeof r->entry);

	return pread(r->fd, r->entry, sizeof r->entry, at) == (ssize_t)sizeof r->entry;
}

static int fake_seek(struct journal_reader *r, const uint8_t id[static 16], uint64_t number)
{
	(void)id;
	for (r->at = 0; read_at(r) && r->entry[0] < number;) {
		r->at++;
	}
	return 0;
}

static int fake_next(struct journal_reader *r)
{
	if (!read_at(r)) {
		return 0;
	}
	r->at++;
	return 1;
}

static int fake_entry(struct journal_reader *r, struct journal_entry *out)
{
	int n = snprintf(r->cursor, sizeof r->cursor, "%llu %llu",
			 (unsigned long long)r->entry[0], (unsigned long long)r->entry[1]);

	*out = (struct journal_entry){r->entry[0], 1000000, slice(r->cursor, (size_t)n)};
	return 0;
}

static int fake_field(struct journal_reader *r, const char *name, struct slice *value)
{
	if (strcmp(name, "MESSAGE") != 0) {
		return UV_ENOENT;
	}
	snprintf(r->text, sizeof r->text, "v%llu", (unsigned long long)r->entry[1]);
	*value = slice_str(r->text);
	return 0;
}

static const struct journal_calls fake = {
	fake_open, fake_close, fake_seek, fake_next, fake_entry, fake_field,
};

/* ---- the collector ---- */

static struct stored *stored_of(struct fixture *f, const struct stream *s)
{
	struct stored *t;

	for (size_t i = 0; i < f->c.n; i++) {
		if (stream_id_eq(&f->c.v[i].id, &s->st.id)) {
			return &f->c.v[i];
		}
	}
	assert_true(f->c.n < STREAMS);
	t = &f->c.v[f->c.n++];
	memset(t, 0, sizeof *t);
	t->id = s->st.id;
	t->fork = s->st.fork;
	return t;
}

static void on_opened(void *arg, struct stream *s)
{
	struct fixture *f = arg;
	struct stored *t = stored_of(f, s);

	say(f, s->st.fork ? "fork from" : "opened at", s->st.start, s->position);
	if (t->w == 0 && s->position == s->st.start && s->st.acked <= s->st.start) {
		for (uint64_t i = 0; i < s->st.start; i++) {
			t->version[i] = BEFORE;
		}
		t->w = s->st.start;
	}
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	(void)arg;
	(void)s;
	(void)why;
}

/* As rule 1 of docs/delivery.md has it. */
static void take(struct fixture *f, struct stored *t, uint64_t start, uint64_t end,
		 int version, uint64_t h)
{
	if (start > t->w || f->refused) {
		f->refused = true; /* Until it goes back; so is all behind it. */
		f->refused_id = t->id;
		return;
	}
	for (uint64_t i = start; i < end; i++) {
		if (i >= t->w) {
			t->version[i] = version;
		} else if (version > 0 && t->version[i] > 0 && t->version[i] != version) {
			wrong(f, "another entry stands there, and this one is trimmed", i);
		}
	}
	if (end > t->w) {
		t->w = end;
		t->h = h;
		t->hash[end] = h;
	}
}

static int on_entry(void *arg, struct stream *s, const struct line *line, uint64_t h)
{
	struct fixture *f = arg;
	size_t at = slice_rfind(line->text, SLICE_LIT(" v"));

	assert_int_equal(line->start, s->position);
	assert_true(line->end > line->start && line->end <= NUMBERS && at < line->text.n);
	if (f->room == 0) {
		return ERR_AGAIN;
	}
	f->room--;
	if (line->end != line->start + 1 && line->end != 2) { /* The first is number 1. */
		say(f, "a line from and to", line->start, line->end);
		wrong(f, "numbers are passed over before", line->end - 1);
	}
	take(f, stored_of(f, s), line->start, line->end, atoi(line->text.p + at + 2), h);
	return 0;
}

static int on_lost(void *arg, struct stream *s, uint64_t from, uint64_t to,
		   struct slice reason)
{
	struct fixture *f = arg;

	(void)reason;
	if (f->room == 0) {
		return ERR_AGAIN;
	}
	say(f, "told as lost", from, to);
	if (to > from) {
		take(f, stored_of(f, s), from, to, GAP, 0);
	}
	return 0;
}

static const struct tail_callbacks callbacks = {
	.opened = on_opened,
	.closed = on_closed,
	.entry = on_entry,
	.lost = on_lost,
};

/* ---- the reader ---- */

static void start(struct fixture *f)
{
	assert_int_equal(journal_new(&f->source, &f->sys.sys, &fake, &f->options,
				     &f->settings, f->secret, &callbacks, f),
			 0);
	for (size_t i = 0; i < f->m.n_table; i++) {
		struct stream_state *st = &f->m.table[i];
		uint64_t w = 0, h = 0;

		for (size_t k = 0; k < f->c.n; k++) {
			if (stream_id_eq(&f->c.v[k].id, &st->id)) {
				w = f->c.v[k].w;
				h = f->c.v[k].h;
			}
		}
		if (w < st->acked) {
			stream_state_lower(st, w, &h); /* As agent/shipping.c does. */
		}
	}
	assert_int_equal(f->source->ops->restore(f->source, f->m.table, f->m.n_table), 0);
	/* The welcome. */
	for (size_t i = 0; i < f->c.n; i++) {
		const struct stored *t = &f->c.v[i];
		struct stream_state st = {.id = t->id, .acked = t->w, .detect = t->w,
					  .h = t->h};

		assert_int_equal(f->source->ops->restore(f->source, &st, 1), 0);
	}
	assert_int_equal(f->source->ops->start(f->source), 0);
	f->refused = false;
}

static void kill_reader(struct fixture *f)
{
	f->source->ops->free(f->source);
	f->source = NULL;
}

static int keep(void *arg, const struct stream_state *st)
{
	struct machine *m = arg;

	assert_true(m->n_table < STREAMS);
	return stream_state_copy(&m->table[m->n_table++], st);
}

static void drop_table(struct machine *m)
{
	while (m->n_table > 0) {
		stream_state_fini(&m->table[--m->n_table]);
	}
}

static void save(struct fixture *f)
{
	drop_table(&f->m);
	assert_int_equal(f->source->ops->states(f->source, keep, &f->m), 0);
}

/* What the collector says of each stream, and what it wants again. */
static void hear(struct fixture *f)
{
	const struct source_ops *ops = f->source->ops;

	for (size_t i = 0; i < f->c.n; i++) {
		const struct stored *t = &f->c.v[i];

		if (f->refused && stream_id_eq(&t->id, &f->refused_id)) {
			f->refused = false;
			if (++f->refusals > 300) {
				wrong(f, "it does not go back to", t->w);
			}
			say(f, "back to", t->w, 0);
			assert_int_equal(ops->rollback(f->source, &t->id, t->w, &t->h), 0);
		} else {
			ops->watermark(f->source, &t->id, t->w, t->h);
			ops->detected(f->source, &t->id, t->w);
		}
	}
	ops->resume(f->source);
}

/* ---- what happens ---- */

static struct file *active(struct fixture *f)
{
	return &f->m.files[f->m.n - 1];
}

static void new_file(struct fixture *f)
{
	assert_true(f->m.n < FILES);
	f->m.files[f->m.n++] = (struct file){
		.name = "system.journal", .id = f->ids, .head = f->m.next, .tail = f->m.next - 1};
	f->ids++;
	write_file(f, active(f));
}

static void append(struct fixture *f, uint64_t n)
{
	for (uint64_t i = 0; i < n && f->m.next < NUMBERS - 1; i++) {
		f->m.version[f->m.next] = f->versions;
		active(f)->tail = f->m.next++;
	}
	grow_file(f, active(f));
	say(f, "written up to", active(f)->tail, (uint64_t)f->versions);
}

static void rotate(struct fixture *f)
{
	struct file *a = active(f);
	char old[160], now[160];

	if (f->m.n + 1 >= FILES || a->tail < a->head) {
		return;
	}
	path_of(f, a, old);
	snprintf(a->name, sizeof a->name, "system@%d.journal", a->id);
	path_of(f, a, now);
	a->archived = true;
	assert_int_equal(rename(old, now), 0);
	write_file(f, a);
	f->m.synced = f->m.next;
	say(f, "rotated at", f->m.next, 0);
	new_file(f);
}

static void vacuum(struct fixture *f)
{
	const struct file *oldest = &f->m.files[0];
	char path[160];

	if (f->m.n < 2) {
		return;
	}
	say(f, "vacuumed", oldest->head, oldest->tail);
	for (uint64_t i = oldest->head; i <= oldest->tail; i++) {
		f->vacuumed[i][f->m.version[i]] = true;
	}
	path_of(f, oldest, path);
	unlink(path);
	memmove(&f->m.files[0], &f->m.files[1], --f->m.n * sizeof f->m.files[0]);
}

static bool another_past(struct fixture *f)
{
	f->versions++;
	return f->versions < VERSIONS;
}

/* What was not synced is gone, and its numbers are given again. */
static void lose_power(struct fixture *f)
{
	struct file *a = active(f);

	if (f->versions + 1 >= VERSIONS || !another_past(f)) {
		return;
	}
	kill_reader(f);
	f->m.synced = f->m.synced > a->head ? f->m.synced : a->head;
	f->m.next = f->m.synced;
	a->tail = f->m.next - 1;
	write_file(f, a);
	say(f, "cut at", f->m.next, 0);
	start(f);
}

static void copy_machine(struct machine *to, const struct machine *from)
{
	drop_table(to);
	*to = *from;
	to->n_table = 0;
	for (size_t i = 0; i < from->n_table; i++) {
		assert_int_equal(keep(to, &from->table[i]), 0);
	}
}

static void put_back(struct fixture *f)
{
	if (!f->has_backup || f->versions + 1 >= VERSIONS || !another_past(f)) {
		return;
	}
	kill_reader(f);
	copy_machine(&f->m, &f->backup);
	memset(f->vacuumed, 0, sizeof f->vacuumed);
	write_all(f);
	say(f, "put back to", f->m.next, 0);
	start(f);
}

static void put_store_back(struct fixture *f)
{
	/* Of a stream that the journal has left for another past nobody sends again. */
	if (!f->has_copy || f->versions > 1) {
		return;
	}
	/* Streams stay known, with less. */
	for (size_t i = 0; i < f->c.n; i++) {
		struct stored *t = &f->c.v[i];

		if (i < f->copy.n) {
			*t = f->copy.v[i];
		} else {
			memset(t->version, 0, sizeof t->version);
			t->w = t->h = 0;
		}
		say(f, "store back to", t->w, 0);
		/* The next welcome says so. */
		f->source->ops->rollback(f->source, &t->id, t->w, &t->h);
	}
	f->refused = false;
}

static void happen(struct fixture *f)
{
	switch (rnd(f, 16)) {
	case 0: case 1: case 2: case 3:
		append(f, 1 + rnd(f, 6));
		break;
	case 4:
		rotate(f);
		break;
	case 5:
		vacuum(f);
		break;
	case 6:
		save(f);
		break;
	case 7:
		say(f, "killed", 0, 0);
		kill_reader(f);
		start(f);
		break;
	case 8:
		f->room = rnd(f, 3) == 0 ? rnd(f, 4) : SIZE_MAX;
		break;
	case 9:
		f->m.synced = f->m.next;
		break;
	case 10:
		if (rnd(f, 3) == 0) {
			lose_power(f);
		}
		break;
	case 11:
		if (rnd(f, 2) == 0) {
			copy_machine(&f->backup, &f->m);
			f->has_backup = true;
		}
		break;
	case 12:
		if (rnd(f, 3) == 0) {
			put_back(f);
		}
		break;
	case 13:
		if (rnd(f, 2) == 0) {
			f->copy = f->c;
			f->has_copy = true;
		}
		break;
	case 14:
		if (rnd(f, 3) == 0) {
			put_store_back(f);
		}
		break;
	default:
		pass(f, (int64_t)rnd(f, 6000));
	}
	pass(f, (int64_t)rnd(f, 300));
	hear(f);
}

/* ---- the check ---- */

static void check_entry(struct fixture *f, uint64_t i, int version, bool gone)
{
	unsigned whole = 0, flagged = 0, told = 0;

	for (size_t k = 0; k < f->c.n; k++) {
		const struct stored *t = &f->c.v[k];

		whole += t->version[i] == version && !t->fork;
		flagged += t->version[i] == version && t->fork;
		told += t->version[i] == GAP || (t->version[i] == BEFORE && !t->fork);
	}
	if (whole > 1) {
		wrong(f, "stored twice", i);
	} else if (whole + flagged == 0 && !((gone || f->versions > 1) && told > 0)) {
		wrong(f, "lost", i);
	} else if (!gone && f->versions == 1 && told > 0) {
		wrong(f, "told as lost, and there", i);
	} else if (f->versions == 1 && flagged > 0) {
		wrong(f, "flagged for nothing", i);
	}
}

static void check(struct fixture *f)
{
	bool there[NUMBERS] = {false};

	for (size_t k = 0; k < f->m.n; k++) {
		for (uint64_t i = f->m.files[k].head; i <= f->m.files[k].tail; i++) {
			there[i] = true;
			check_entry(f, i, f->m.version[i], false);
		}
	}
	for (uint64_t i = 0; i < NUMBERS; i++) {
		/* Of another past nobody knows what was vacuumed before it was proved. */
		for (int v = 0; v < VERSIONS && f->versions == 1; v++) {
			if (f->vacuumed[i][v] && !there[i]) {
				check_entry(f, i, v, true);
			}
		}
	}
}

static void run(uint64_t seed, bool verbose)
{
	static char nothing[] = "", utc[] = "UTC";
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->verbose = verbose;
	f->random = seed;
	f->now_ns = INT64_C(1000) * 1000 * MS;
	f->room = SIZE_MAX;
	f->versions = 1;
	f->ids = 'A';
	assert_int_equal(uv_loop_init(&f->loop), 0);
	sys_uv_init(&f->sys, &f->loop);
	f->ops = *f->sys.sys.ops;
	f->ops.mono_ns = mono_ns;
	f->ops.timer_new = timer_new;
	f->ops.timer_set = timer_set;
	f->ops.timer_stop = timer_stop;
	f->ops.timer_free = timer_free;
	f->ops.watch_new = no_watch;
	f->sys.sys.ops = &f->ops;
	strcpy(f->dir, "/tmp/test_journal_m.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dirs[0] = f->dir;
	f->settings.directories = (struct strlist){f->dirs, 1};
	f->settings.about = (struct sources_about){.label = nothing, .program = nothing,
						   .zone = utc};
	f->options.journals = &f->settings;
	f->options.n_journals = 1;
	f->options.line_max = 300;
	f->options.poll_interval_ms = 1000;
	memset(f->secret, 7, sizeof f->secret);
	f->m.next = f->m.synced = 1;
	new_file(f);
	start(f);
	for (int i = 0; i < STEPS; i++) {
		happen(f);
	}
	f->room = SIZE_MAX;
	append(f, 1); /* What is missing before it shows. */
	for (int i = 0; i < 100; i++) {
		pass(f, 1000);
		hear(f);
	}
	check(f);
	kill_reader(f);
	drop_table(&f->m);
	drop_table(&f->backup);
	sys_list(sys_plain(), f->dir, remove_one, f);
	rmdir(f->dir);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	if (f->wrong != NULL) {
		print_error("seed %llu: %s; again with JOURNAL_SEED=%llu\n",
			    (unsigned long long)seed, f->wrong, (unsigned long long)seed);
	}
	assert_null(f->wrong);
	free(f);
}

static void whatever_happens_to_a_journal_no_entry_is_missed(void **state)
{
	const char *one = getenv("JOURNAL_SEED"), *range = getenv("JOURNAL_SEEDS");
	unsigned long long from = 1, to = 120;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	if (one != NULL) {
		run(strtoull(one, NULL, 10), true);
		return;
	}
	if (range != NULL) {
		assert_int_equal(sscanf(range, "%llu-%llu", &from, &to), 2);
	}
	for (; from <= to; from++) {
		run(from, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_happens_to_a_journal_no_entry_is_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
