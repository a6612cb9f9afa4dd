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

enum { BATCHES = 4 };

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
	int rc = spool_file_create(file, sys, f->dir, 7,
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
};

static int on_segment(void *arg, const struct spool_found *s)
{
	struct found *found = arg;

	assert_int_equal(s->info->number, 7);
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

static int recover(struct fixture *f, struct sys *sys, struct found *found)
{
	static const struct spool_visitor visitor = {on_segment, on_batch,
						     on_end};

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
	       f->places[count].offset + f->places[count].len + 8 <= n) {
		count++;
	}
	return count;
}

static void a_file_cut_anywhere_keeps_what_is_whole(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found;
	char *path, *p;
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
		/* And a second start finds the same, undamaged. */
		assert_int_equal(recover(f, sys_plain(), &found), 0);
		assert_int_equal(found.batches, whole(f, at));
	}
	free(p);
	free(path);
}

static void a_flipped_bit_costs_nothing_before_it(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found;
	char *path, *p;
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
		assert_true(found.batches < BATCHES);
	}
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

	log_set_level(LOG_LEVEL_ERROR - 1);
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

static int count_aside(void *arg, const char *name, bool is_dir)
{
	(void)is_dir;
	*(int *)arg += slice_ends(slice_str(name), SLICE_LIT(".damaged"));
	return 0;
}

static int aside(const struct fixture *f)
{
	int n = 0;

	assert_int_equal(sys_list(sys_plain(), f->dir, count_aside, &n), 0);
	return n;
}

/* Every kill may leave a torn end: were each kept, they would fill the disk. */
static void a_torn_end_is_cut_and_only_damage_is_kept(void **state)
{
	struct fixture *f = *state;
	struct spool_file file;
	struct found found;
	char *path, *p;
	size_t n;

	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(make(f, sys_plain(), &file), 0);
	path = strdup(file.path);
	p = read_all(path, &n);
	spool_file_close(&file, sys_plain());
	for (size_t at = 0; at < n; at += 7) {
		put(path, p, at);
		assert_int_equal(recover(f, sys_plain(), &found), 0);
		assert_int_equal(aside(f), 0);
	}
	p[f->places[2].offset + 5] ^= 1;
	put(path, p, n);
	assert_int_equal(recover(f, sys_plain(), &found), 0);
	assert_int_equal(found.batches, 2);
	assert_int_equal(aside(f), 1);
	free(p);
	free(path);
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
			a_flipped_bit_costs_nothing_before_it, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_read_tells_damage, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(every_call_may_fail, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			recovery_survives_every_failing_call, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_torn_end_is_cut_and_only_damage_is_kept, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
