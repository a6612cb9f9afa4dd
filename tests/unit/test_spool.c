/* Unit tests of shipper/spool.h: real segments in real files, cut and flipped at
 * every byte, and every file call made to fail in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "shipper/spool.h"
#include "tests/support/fault_sys.h"
#include "wire/body.h"
#include "wire/crypto.h"

enum {
	BATCHES = 4,
	LINES = 10, /* raw bytes that each of them stands for */
	TAIL = 12,  /* behind a batch in its file */
};

struct fixture {
	char dir[64];
	struct seal_secret key;
	struct sealer *sealer;
	struct buf batch[BATCHES];
	struct slice slices[BATCHES];
	struct spool_place places[BATCHES];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct sealer_params p = {.lane = LANE_FILE,
				  .number = 7,
				  .window_log = 17,
				  .level = 2,
				  .n_recipients = 1};

	assert_non_null(f);
	assert_int_equal(crypto_init(), 0);
	strcpy(f->dir, "/tmp/test_spool.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(seal_secret_new(&f->key, sys_plain()), 0);
	p.recipients = &f->key.pub;
	assert_int_equal(sealer_new(&f->sealer, sys_plain(), &p), 0);
	for (int i = 0; i < BATCHES; i++) {
		struct batch_head head = {.n_streams = 1};

		head.streams[0].start = (uint64_t)i * 10;
		head.streams[0].end = (uint64_t)i * 10 + 10;
		head.streams[0].count = 1;
		buf_init(&f->batch[i], 4096);
		assert_int_equal(sealer_seal(f->sealer, &head,
					     SLICE_LIT("nine byte"),
					     &f->batch[i]),
				 0);
		f->slices[i] = buf_slice(&f->batch[i]);
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	for (int i = 0; i < BATCHES; i++) {
		buf_fini(&f->batch[i]);
	}
	sealer_free(f->sealer);
	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static int make(struct fixture *f, struct sys *sys, struct spool_file *file)
{
	int rc = spool_file_create(file, sys, f->dir, 7, QUEUE_FILE_OLDEST,
				   sealer_info(f->sealer),
				   sealer_header(f->sealer));

	return rc != 0 ? rc
		       : spool_file_append(file, sys, f->dir, f->slices,
					   BATCHES, f->places);
}

/* What a recovery came upon. */
struct found {
	int segments, batches, ends;
	uint64_t size;
	uint64_t last_end;
	int losses;
	bool unfinished, open_end;
	uint64_t from, to; /* of the one stream there is */
};

static int on_segment(void *arg, const struct spool_found *s)
{
	struct found *found = arg;

	assert_int_equal(s->info->number, 7);
	assert_int_equal(s->order, 7);
	assert_int_equal(s->queue, QUEUE_FILE_OLDEST);
	found->segments++;
	return 0;
}

static int on_batch(void *arg, struct spool_place place,
		    const struct batch_head *head)
{
	struct found *found = arg;

	assert_true(place.len > 0);
	assert_int_equal(head->index, found->batches);
	found->batches++;
	found->last_end = head->streams[0].end;
	return 0;
}

static int on_end(void *arg, uint64_t size, size_t n)
{
	struct found *found = arg;

	assert_int_equal(n, found->batches);
	found->ends++;
	found->size = size;
	return 0;
}

static int on_loss(void *arg, const struct spool_loss *l)
{
	struct found *found = arg;

	assert_int_equal(l->n_whole, found->batches);
	assert_int_equal(l->queue, QUEUE_FILE_OLDEST);
	assert_true(l->n_ranges <= 1);
	found->losses++;
	found->unfinished = l->unfinished;
	found->open_end = l->open_end;
	if (l->n_ranges == 1) {
		found->from = l->ranges[0].start;
		found->to = l->ranges[0].end;
	}
	return 0;
}

static int recover(struct fixture *f, struct sys *sys, struct found *found)
{
	static const struct spool_visitor visitor = {on_segment, on_batch,
						     on_end, on_loss};

	*found = (struct found){0};
	return spool_recover(sys, f->dir, &visitor, found);
}

static void what_was_appended_comes_back(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found;
	struct buf out;

	buf_init(&out, LIMIT_BATCH_SEALED + 64);
	assert_int_equal(make(f, sys_plain(), &file), 0);
	for (int i = 0; i < BATCHES; i++) {
		assert_int_equal(spool_file_read(&file, sys_plain(),
						 f->places[i], &out),
				 0);
		assert_true(slice_eq(buf_slice(&out), f->slices[i]));
	}
	assert_int_equal(recover(f, sys_plain(), &found), 0);
	assert_int_equal(found.segments, 1);
	assert_int_equal(found.batches, BATCHES);
	assert_int_equal(found.size, file.size);
	spool_file_remove(&file, sys_plain());
	assert_int_equal(recover(f, sys_plain(), &found), 0);
	assert_int_equal(found.segments, 0);
	buf_fini(&out);
}

static char *read_all(const char *path, size_t *n)
{
	char *p;

	assert_int_equal(sys_read_file(sys_plain(), path, 1 << 20, &p, n), 0);
	return p;
}

static void put(const char *path, const char *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

/* How many batches are whole in the first n bytes. */
static int whole(const struct fixture *f, size_t n)
{
	int count = 0;

	while (count < BATCHES &&
	       f->places[count].offset + f->places[count].len + TAIL <= n) {
		count++;
	}
	return count;
}

/* What the file still tells of what it has lost is exact. */
static void assert_loss_is_exact(const struct found *found, uint64_t end)
{
	assert_int_equal(found->losses, 1);
	assert_int_equal(found->from, (uint64_t)found->batches * LINES);
	assert_int_equal(found->to, end);
}

static void a_file_cut_anywhere_keeps_what_is_whole(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found, again;
	char *path, *p;
	int told = 0;
	size_t n;

	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(make(f, sys_plain(), &file), 0);
	path = strdup(file.path);
	p = read_all(path, &n);
	assert_int_equal(n, file.size);
	spool_file_close(&file, sys_plain());
	for (size_t at = 0; at <= n; at++) {
		put(path, p, at);
		assert_int_equal(recover(f, sys_plain(), &found), 0);
		assert_int_equal(found.batches, whole(f, at));
		if (found.losses > 0) {
			assert_loss_is_exact(&found, (uint64_t)(found.batches + 1) *
							     LINES);
			assert_true(found.unfinished);
			assert_false(found.open_end);
			told++;
		}
		/* And a second start finds the same. */
		assert_int_equal(recover(f, sys_plain(), &again), 0);
		assert_int_equal(again.batches, found.batches);
		assert_int_equal(again.losses, found.losses);
	}
	/* Wherever the head of the frame that was cut is whole. */
	for (int i = 0; i < BATCHES; i++) {
		told -= (int)f->places[i].len + TAIL;
	}
	assert_int_equal(told, 0);
	free(p);
	free(path);
}

/* As a file system leaves it that had room for the bytes and not the bytes. */
static void a_tail_of_zeroes_anywhere_keeps_what_is_whole(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found, again;
	char *path, *p;
	size_t n;

	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(make(f, sys_plain(), &file), 0);
	path = strdup(file.path);
	p = read_all(path, &n);
	spool_file_close(&file, sys_plain());
	for (size_t at = n; at-- > 0;) {
		p[at] = 0;
		put(path, p, n);
		assert_int_equal(recover(f, sys_plain(), &found), 0);
		assert_true(found.batches >= whole(f, at));
		/* Zeroes may be what stood there. */
		assert_true(found.batches <= whole(f, at) + 1);
		assert_int_equal(recover(f, sys_plain(), &again), 0);
		assert_int_equal(again.batches, found.batches);
		assert_int_equal(again.losses, found.losses);
		if (found.losses > 0 && !found.open_end) {
			assert_loss_is_exact(&found, found.to);
		}
	}
	free(p);
	free(path);
}

static void a_flip_anywhere_costs_what_it_hits_and_says_so(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found;
	char *path, *p;
	int spared = 0;
	size_t n;

	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(make(f, sys_plain(), &file), 0);
	path = strdup(file.path);
	p = read_all(path, &n);
	spool_file_close(&file, sys_plain());
	for (size_t at = 0; at < n; at++) {
		p[at] ^= 0x10;
		put(path, p, n);
		p[at] ^= 0x10;
		assert_int_equal(recover(f, sys_plain(), &found), 0);
		assert_true(found.batches >= whole(f, at));
		if (found.batches < BATCHES) {
			assert_loss_is_exact(&found, (uint64_t)BATCHES * LINES);
			assert_false(found.unfinished);
			assert_false(found.open_end);
		} else {
			/* It hit the magic, a header's copy or a frame's head. */
			assert_int_equal(found.losses, 0);
			spared++;
		}
	}
	assert_true(spared > 0);
	free(p);
	free(path);
}

/* A hole of zeros, of any length at any place: what follows it says how much is gone. */
static void a_hole_is_measured_by_what_stands_behind_it(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found;
	char *path, *p, *q;
	size_t n;

	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(make(f, sys_plain(), &file), 0);
	path = strdup(file.path);
	p = read_all(path, &n);
	q = malloc(n);
	assert_non_null(q);
	spool_file_close(&file, sys_plain());
	for (size_t at = 0; at < n; at += 13) {
		for (size_t len = 1; len <= n - at; len += 17) {
			bool at_end = at + len == n;

			memcpy(q, p, n);
			memset(q + at, 0, len);
			put(path, q, n);
			assert_int_equal(recover(f, sys_plain(), &found), 0);
			assert_true(found.batches >= whole(f, at) || at < 300);
			if (found.losses == 0) {
				/* Nothing is, or what looks like a write that was
				 * never finished. */
				assert_true(found.batches == BATCHES || at_end ||
					    len > n - f->places[BATCHES - 1].offset);
			} else if (!found.open_end && !found.unfinished) {
				assert_int_equal(found.to, BATCHES * LINES);
			}
			unlink(path);
		}
	}
	free(q);
	free(p);
	free(path);
}

static void a_read_tells_damage(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct buf out;
	int fd;

	buf_init(&out, LIMIT_BATCH_SEALED + 64);
	assert_int_equal(make(f, sys_plain(), &file), 0);
	fd = open(file.path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)f->places[1].offset + 3), 1);
	close(fd);
	assert_int_equal(
		spool_file_read(&file, sys_plain(), f->places[0], &out), 0);
	assert_int_equal(
		spool_file_read(&file, sys_plain(), f->places[1], &out),
		ERR_DAMAGED);
	spool_file_close(&file, sys_plain());
	buf_fini(&out);
}

/* Whatever call fails while writing, recovery afterwards finds all or nothing of
 * what the caller was told. */
static void every_call_may_fail(void **state)
{
	struct fixture *f = *state;

	log_set_level(LOG_LEVEL_ERROR);
	for (int n = 0;; n++) {
		struct spool_file file;
		struct fault_sys sys;
		struct found found;
		int rc;

		fault_sys_init(&sys, n, UV_EIO);
		rc = make(f, &sys.sys, &file);
		assert_int_equal(rc, sys.fired ? UV_EIO : 0);
		spool_file_close(&file, sys_plain());
		assert_int_equal(recover(f, sys_plain(), &found), 0);
		if (!sys.fired) {
			assert_int_equal(found.batches, BATCHES);
			assert_int_equal(n, 8); /* open, 5 writes, 2 syncs */
			break;
		}
		/* After a failed append nothing is promised and nothing must
		 * be left that a later start would take for whole. */
		assert_true(found.batches == 0 || rc != 0);
		tear_down(state);
		set_up(state);
		f = *state;
	}
}

static void recovery_survives_every_failing_call(void **state)
{
	struct fixture *f = *state;

	log_set_level((enum log_level)(LOG_LEVEL_ERROR - 1));
	for (int n = 0;; n++) {
		struct spool_file file;
		struct fault_sys sys;
		struct found found;
		char *path;
		int rc;

		assert_int_equal(make(f, sys_plain(), &file), 0);
		path = strdup(file.path);
		assert_int_equal(truncate(path, (off_t)file.size - 3), 0);
		spool_file_close(&file, sys_plain());
		fault_sys_init(&sys, n, UV_EIO);
		rc = recover(f, &sys.sys, &found);
		/* A start fails only when the folder can't be listed ... */
		assert_int_equal(rc, sys.fired && n == 0 ? UV_EIO : 0);
		/* ... and nothing that was whole is lost, however it ended. */
		assert_int_equal(recover(f, sys_plain(), &found), 0);
		assert_int_equal(found.batches, BATCHES - 1);
		unlink(path);
		free(path);
		if (!sys.fired) {
			break;
		}
	}
	log_set_level(LOG_LEVEL_INFO);
}

static size_t size_of(const char *path)
{
	struct sys_stat st;

	assert_int_equal(sys_stat(sys_plain(), path, &st), 0);
	return (size_t)st.size;
}

/* Every kill may leave a torn end: were each kept, they would fill the disk.  Damage
 * stays as it is until somebody has told it. */
static void a_torn_end_is_cut_and_damage_is_kept(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found;
	char *path, *p;
	size_t n, end;

	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(make(f, sys_plain(), &file), 0);
	path = strdup(file.path);
	p = read_all(path, &n);
	spool_file_close(&file, sys_plain());
	end = (size_t)f->places[1].offset + f->places[1].len + TAIL;
	put(path, p, end + 9);
	assert_int_equal(recover(f, sys_plain(), &found), 0);
	assert_int_equal(found.batches, 2);
	assert_int_equal(found.losses, 0);
	assert_int_equal(size_of(path), end);
	p[f->places[2].offset + 5] ^= 1;
	put(path, p, n);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(recover(f, sys_plain(), &found), 0);
		assert_int_equal(found.batches, 2);
		assert_int_equal(found.losses, 1);
		assert_int_equal(size_of(path), n);
	}
	free(p);
	free(path);
}

static int count_aside(void *arg, const char *name, bool is_dir)
{
	(void)is_dir;
	*(int *)arg += slice_ends(slice_str(name), SLICE_LIT(".damaged"));
	return 0;
}

static void a_damaged_file_is_kept_aside_and_few_of_them(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found;
	char path[128];
	int n = 0;

	log_set_level((enum log_level)(LOG_LEVEL_ERROR - 1));
	assert_int_equal(make(f, sys_plain(), &file), 0);
	file.damaged = true;
	spool_file_remove(&file, sys_plain());
	assert_int_equal(sys_list(sys_plain(), f->dir, count_aside, &n), 0);
	assert_int_equal(n, 1);
	for (int i = 0; i < 2 * SPOOL_DAMAGED; i++) {
		snprintf(path, sizeof path, "%s/%020d-kept-x.spool.damaged",
			 f->dir, 100 + i);
		put(path, "x", 1);
	}
	assert_int_equal(recover(f, sys_plain(), &found), 0);
	n = 0;
	assert_int_equal(sys_list(sys_plain(), f->dir, count_aside, &n), 0);
	assert_int_equal(n, SPOOL_DAMAGED);
	assert_int_equal(access(path, F_OK), 0); /* The newest. */
	log_set_level(LOG_LEVEL_INFO);
}

/* A batch does not say which one it is: one that is missing must not be taken for the
 * next. */
static void a_missing_batch_is_not_passed_over(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found;
	char *path, *p;
	size_t n, from, to;

	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(make(f, sys_plain(), &file), 0);
	path = strdup(file.path);
	p = read_all(path, &n);
	spool_file_close(&file, sys_plain());
	from = (size_t)f->places[0].offset + f->places[0].len + TAIL;
	to = (size_t)f->places[1].offset + f->places[1].len + TAIL;
	memmove(p + from, p + to, n - to);
	put(path, p, n - (to - from));
	assert_int_equal(recover(f, sys_plain(), &found), 0);
	assert_int_equal(found.batches, 1);
	assert_int_equal(found.losses, 1);
	assert_int_equal(found.to, BATCHES * LINES);
	assert_true(found.open_end); /* Of streams that nobody names. */
	free(p);
	free(path);
}

static void looking_changes_nothing(void **state)
{
	static const struct spool_visitor visitor = {on_segment, on_batch,
						     on_end, on_loss};
	struct fixture *f = *state;
	struct spool_file file;
	struct found found = {0};
	char *path, *p;
	size_t n;

	log_set_level((enum log_level)(LOG_LEVEL_ERROR - 1));
	assert_int_equal(make(f, sys_plain(), &file), 0);
	path = strdup(file.path);
	p = read_all(path, &n);
	spool_file_close(&file, sys_plain());
	for (size_t at = 0; at < n; at += 7) {
		struct fault_sys sys;

		put(path, p, at);
		fault_sys_init(&sys, -1, 0);
		sys.ops.ftruncate = NULL;
		sys.ops.unlink = NULL;
		sys.ops.rename = NULL;
		sys.ops.pwrite = NULL;
		found = (struct found){0};
		assert_int_equal(spool_look(&sys.sys, f->dir, &visitor, &found),
				 0);
		assert_int_equal(size_of(path), at);
	}
	log_set_level(LOG_LEVEL_INFO);
	free(p);
	free(path);
}

/* ---- what else may lie there ---- */

/* Notes how much is read at once; from a read on, all fail. */
struct reading {
	struct fault_sys f; /* first */
	size_t most;
	int left; /* reads before that one; -1: none */
	bool failed;
};

static int64_t noted_pread(struct sys *s, int fd, void *buf, size_t n, uint64_t offset)
{
	struct reading *r = (struct reading *)s;

	r->most = n > r->most ? n : r->most;
	if (r->left == 0) {
		r->failed = true;
		return UV_EIO;
	}
	r->left -= r->left > 0;
	return sys_pread(sys_plain(), fd, buf, n, offset);
}

static void reading_init(struct reading *r, int left)
{
	fault_sys_init(&r->f, -1, 0);
	r->f.ops.pread = noted_pread;
	r->most = 0;
	r->failed = false;
	r->left = left;
}

/* A segment's file with a hole of so many zeros in a batch, or at its end. */
static char *make_hole(struct fixture *f, int in, off_t hole)
{
	struct spool_file file;
	char *path, *p;
	size_t n, at;
	int fd;

	assert_int_equal(make(f, sys_plain(), &file), 0);
	path = strdup(file.path);
	spool_file_close(&file, sys_plain());
	p = read_all(path, &n);
	at = in == BATCHES ? n : (size_t)f->places[in].offset + 5;
	put(path, p, at);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, p + at, n - at, (off_t)at + hole), n - at);
	assert_int_equal(ftruncate(fd, (off_t)n + hole), 0);
	close(fd);
	free(p);
	return path;
}

enum { HOLE = 9 * 1024 * 1024 + 5 };

static void a_large_file_is_read_in_parts(void **state)
{
	struct fixture *f = *state;
	struct reading r;
	struct found found;
	char *path = make_hole(f, 2, HOLE);

	log_set_level((enum log_level)(LOG_LEVEL_ERROR - 1));
	reading_init(&r, -1);
	assert_int_equal(recover(f, &r.f.sys, &found), 0);
	assert_int_equal(found.batches, 2);
	assert_int_equal(found.losses, 1);
	assert_int_equal(found.from, 2 * LINES);
	assert_int_equal(found.to, BATCHES * LINES);
	assert_true(r.most > 0 && r.most <= 2 * 1024 * 1024);
	unlink(path);
	free(path);

	path = make_hole(f, BATCHES, HOLE);
	reading_init(&r, -1);
	assert_int_equal(recover(f, &r.f.sys, &found), 0);
	assert_int_equal(found.batches, BATCHES);
	assert_int_equal(found.losses, 0); /* The beginning of nothing. */
	assert_int_equal(size_of(path), found.size);
	assert_true(r.most <= 2 * 1024 * 1024);
	log_set_level(LOG_LEVEL_INFO);
	free(path);
}

/* From whichever read on nothing can be read any more: the file stays for the next
 * start, which finds all of it, or what can't be read is told as lost. */
static void what_can_not_be_read_is_never_passed_over_in_silence(void **state)
{
	struct fixture *f = *state;
	char *path = make_hole(f, 2, HOLE);

	log_set_level((enum log_level)(LOG_LEVEL_ERROR - 1));
	for (int n = 0;; n++) {
		struct reading r;
		struct found found;

		reading_init(&r, n);
		assert_int_equal(recover(f, &r.f.sys, &found), 0);
		if (!r.failed) {
			break;
		}
		assert_true(found.segments == 0 || (found.losses == 1 && found.open_end));
		assert_int_equal(recover(f, sys_plain(), &found), 0);
		assert_int_equal(found.batches, 2);
		assert_true(n < 1000);
	}
	log_set_level(LOG_LEVEL_INFO);
	free(path);
}

static void what_is_no_file_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct found found;
	char path[256], elsewhere[256], *real = make_hole(f, BATCHES, 0);
	struct stat st;

	log_set_level((enum log_level)(LOG_LEVEL_ERROR - 1));
	snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", f->dir);
	assert_int_equal(rename(real, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, real), 0);
	snprintf(path, sizeof path, "%s/00000000000000000001-kept-%032d.spool", f->dir, 1);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(20); /* Or it waits for a writer for ever. */
	assert_int_equal(recover(f, sys_plain(), &found), 0);
	alarm(0);
	assert_int_equal(found.segments, 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	log_set_level(LOG_LEVEL_INFO);
	free(real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_appended_comes_back,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_file_cut_anywhere_keeps_what_is_whole, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_tail_of_zeroes_anywhere_keeps_what_is_whole, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_flip_anywhere_costs_what_it_hits_and_says_so, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_hole_is_measured_by_what_stands_behind_it, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_damaged_file_is_kept_aside_and_few_of_them, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_missing_batch_is_not_passed_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(looking_changes_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_read_tells_damage, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(every_call_may_fail, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			recovery_survives_every_failing_call, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_torn_end_is_cut_and_damage_is_kept, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_large_file_is_read_in_parts,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_can_not_be_read_is_never_passed_over_in_silence,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_left_alone,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
