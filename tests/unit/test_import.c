/* Unit tests of cli/import_files.h and of what `nightjar spool export` writes for it: real files, a
 * real collector on a loop, each failing call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/import_files.h"
#include "cli/import_paths.h"
#include "collector/verify.h"
#include "common/log.h"
#include "tests/support/collector_bench.h"
#include "tests/support/identities.h"
#include "wire/voucher.h"

enum { SEGMENTS = 3, BATCHES = 4 };

static struct identities t;
static struct identity *us, *gw;
static char work[64];
static FILE *quiet;

int cli_fail(const char *command, const char *fmt, ...)
{
	(void)command;
	(void)fmt;
	return CLI_FAILED;
}

__attribute__((format(printf, 1, 2)))
static void shell(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

/* Nobody cuts the power here: a sync can fail, and does nothing else. */
static int on_sync(struct sys *s, int fd)
{
	(void)fd;
	return fault_sys_now(s) ? ((struct fault_sys *)s)->error : 0;
}

static int on_sync_dir(struct sys *s, const char *path)
{
	(void)path;
	return fault_sys_now(s) ? ((struct fault_sys *)s)->error : 0;
}

/* The n-th call fails; -1: none. */
static struct sys *failing(struct fault_sys *fs, int n, int error)
{
	fault_sys_init(fs, n, error);
	fs->ops.fdatasync = on_sync;
	fs->ops.sync_dir = on_sync_dir;
	return &fs->sys;
}

static const char *in_work(const char *name)
{
	static char paths[4][128];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", work, name);
	return path;
}

/* ---- a collector, for as long as something is imported ---- */

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

/* n entries, with file calls of sys; v may be NULL: the store is merely made. */
static struct import_totals import(struct sys *sys, const struct spool_entry **v, size_t n)
{
	struct import_totals totals = {0};
	struct collector_options options = {
		.sync_interval_ms = 1, .decoders_max = 4, .window_log = 17,
		.segment_max = 4 * 1024 * 1024, .max_devices = 10};
	char why[COLLECTOR_WHY], store[128];
	struct import im = {.sys = sys, .us = us, .out = quiet, .err = quiet};
	struct collector_params p = {.options = &options, .only_store = true};
	struct sys_uv real;
	struct sys_ops ops;
	uv_loop_t loop;
	bool stopped = false;

	snprintf(store, sizeof store, "%s", in_work("store"));
	options.store_dir = store;
	assert_int_equal(uv_loop_init(&loop), 0);
	sys_uv_init(&real, &loop);
	ops = *real.sys.ops;
	ops.fdatasync = bench_fdatasync; /* Nobody cuts the power here. */
	ops.sync_dir = bench_sync_dir;
	real.sys.ops = &ops;
	p.sys = &real.sys;
	im.loop = &loop;
	assert_int_equal(collector_new(&im.collector, &p, why), 0);
	if (v != NULL) {
		assert_int_equal(import_entries(&im, v, n, &totals), 0);
	}
	collector_stop(im.collector, on_stopped, &stopped);
	while (!stopped) {
		uv_run(&loop, UV_RUN_ONCE);
	}
	collector_free(im.collector);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return totals;
}

/* ---- what is carried ---- */

/* [(number - 1) * 40, number * 40) of a stream, in four batches. */
static void spool_segment(uint64_t number, const struct seal_key *key)
{
	struct bench b = {.fs = {.real = sys_plain()}};
	struct bench_link l = {.peer = {.key_hash = identity_hash(gw)}};
	struct spool_file f = spool_file_none();
	struct fault_sys fs;
	struct sys *sys = failing(&fs, -1, 0);
	struct spool_place places[BATCHES];
	struct slice batches[BATCHES];
	struct bench_segment g;

	bench_segment_new(&b, &g, &l, key, LANE_KEPT, number);
	for (uint64_t i = 0; i < BATCHES; i++) {
		uint64_t start = (number - 1) * 40 + i * 10;

		bench_seal(&g, 's', start, start + 10, 0);
		batches[i] = buf_slice(&g.batches[i]);
	}
	assert_int_equal(spool_file_create(&f, sys, in_work("spool"),
					   number * 16, QUEUE_KEPT,
					   sealer_info(g.sealer),
					   sealer_header(g.sealer)),
			 0);
	assert_int_equal(spool_file_append(&f, sys, in_work("spool"),
					   batches, BATCHES, places),
			 0);
	spool_file_close(&f, sys_plain());
	bench_segment_free(&g);
}

static struct spool_entries entries(const char *folder)
{
	struct spool_entries l;

	assert_int_equal(spool_entries_read(&l, sys_plain(), in_work(folder),
					    spool_look),
			 0);
	return l;
}

static int export(struct sys *sys, const char *to)
{
	struct spool_entries l = entries("spool");
	int rc = spool_export_to(sys, &l, in_work(to), gw);

	spool_entries_fini(&l);
	return rc;
}

/* The folder's files, from the first on. */
static struct import_totals import_folder(struct sys *sys, const char *folder)
{
	struct spool_entries l = entries(folder);
	const struct spool_entry *v[SEGMENTS];
	struct import_totals totals;

	assert_true(l.n <= SEGMENTS);
	for (size_t i = 0; i < l.n; i++) {
		v[l.n - 1 - i] = &l.v[i]; /* Not in their order. */
	}
	totals = import(sys, v, l.n);
	spool_entries_fini(&l);
	return totals;
}

static int set_up(void **state)
{
	struct fault_sys fs;
	struct store s;
	char why[512];

	(void)state;
	strcpy(work, "test_import.XXXXXX");
	assert_non_null(mkdtemp(work));
	identities_open(&t);
	us = identities_collector(&t, "localhost");
	gw = identities_device(&t, "gw");
	quiet = fopen("/dev/null", "w");
	assert_non_null(quiet);
	import(sys_plain(), NULL, 0);
	assert_int_equal(store_open_read(&s, sys_plain(), in_work("store"), why), 0);
	shell("mkdir %s/spool", work);
	for (uint64_t number = 1; number <= SEGMENTS; number++) {
		spool_segment(number, &s.keys[0].pub);
	}
	store_fini(&s, true);
	assert_int_equal(export(failing(&fs, -1, 0), "stick"), CLI_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	identity_free(gw);
	identity_free(us);
	identities_close(&t);
	fclose(quiet);
	shell("rm -rf %s", work);
	return 0;
}

/* ---- what became of it ---- */

static void on_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	if (f->kind != VERIFY_NOTE) {
		print_error("%s: %s: %s\n", verify_kind_name(f->kind), f->file,
			    f->text);
	}
}

static uint64_t records_held(void)
{
	struct verify_totals totals;
	struct store s;
	char why[512];

	assert_int_equal(store_open_read(&s, sys_plain(), in_work("store"), why), 0);
	assert_int_equal(verify_store(&s, on_finding, NULL, &totals), 0);
	assert_int_equal(totals.wrong, 0);
	store_fini(&s, true);
	return totals.records;
}

static void what_was_exported_is_stored_once_however_often_it_comes(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct import_totals totals = import_folder(sys_plain(), "stick");

		assert_int_equal(totals.files, SEGMENTS);
		assert_int_equal(totals.whole, SEGMENTS);
		assert_int_equal(totals.batches, SEGMENTS * BATCHES);
		assert_int_equal(records_held(), SEGMENTS * BATCHES);
	}
}

static void what_lacks_what_was_before_it_waits(void **state)
{
	struct import_totals totals;

	(void)state;
	shell("mkdir %s/late && cp %s/stick/*48-* %s/late", work, work, work);
	totals = import_folder(sys_plain(), "late");
	assert_int_equal(totals.files, 1);
	assert_int_equal(totals.whole, 0);
	assert_int_equal(records_held(), 0);
	assert_int_equal(import_folder(sys_plain(), "stick").whole, SEGMENTS);
	assert_int_equal(records_held(), SEGMENTS * BATCHES);
}

static void nothing_is_taken_on_another_devices_word(void **state)
{
	struct identity *other = identities_device(&t, "other"), *own = gw;

	(void)state;
	/* Its key signs for a segment that is not its own. */
	gw = other;
	export(sys_plain(), "forged");
	gw = own;
	assert_int_equal(import_folder(sys_plain(), "forged").whole, 0);
	/* The right word, of another segment. */
	shell("cd %s/forged && cp ../stick/*.voucher . && "
	      "set -- *.voucher && mv $1 x && mv $2 $1 && mv $3 $2 && mv x $3",
	      work);
	assert_int_equal(import_folder(sys_plain(), "forged").whole, 0);
	assert_int_equal(records_held(), 0);
	identity_free(other);
}

/* The third batch is not the one that the device has signed. */
static void a_batch_that_was_not_signed_is_not_taken(void **state)
{
	struct spool_entries l = entries("stick");
	char path[SPOOL_PATH], *bytes;
	struct hash32 hashes[BATCHES + 1];
	struct voucher v;
	struct buf b;
	size_t n;

	(void)state;
	snprintf(path, sizeof path, "%s" SPOOL_VOUCHER, l.v[0].path);
	assert_int_equal(sys_read_file(sys_plain(), path, VOUCHER_MAX, &bytes, &n), 0);
	assert_int_equal(voucher_decode(&v, slice(bytes, n)), 0);
	assert_int_equal(v.n_hashes, BATCHES + 1);
	for (size_t i = 0; i <= BATCHES; i++) {
		hashes[i] = voucher_hash(&v, i);
	}
	hashes[3].b[5] ^= 1;
	buf_init(&b, VOUCHER_MAX);
	assert_int_equal(voucher_sign(&b, &v.segment, 0, hashes, BATCHES + 1, gw), 0);
	assert_int_equal(sys_replace(sys_plain(), in_work("stick"), path, b.p, b.n, 0600),
			 0);
	assert_int_equal(import_folder(sys_plain(), "stick").whole, 0);
	assert_int_equal(records_held(), 2);
	buf_fini(&b);
	free(bytes);
	spool_entries_fini(&l);
}

/* Cut ever later, at every 61st byte: what is whole is taken, and nothing but that. */
static void cut_anywhere_its_front_is_taken(void **state)
{
	uint64_t held = 0;
	size_t size;

	(void)state;
	shell("mkdir %s/cut && cp %s/stick/*16-*.voucher %s/cut", work, work, work);
	{
		struct spool_entries l = entries("stick");

		size = l.v[0].size;
		spool_entries_fini(&l);
	}
	for (size_t n = 0;; n = n + 61 < size ? n + 61 : size) {
		struct import_totals totals;
		uint64_t now;

		shell("f=$(ls %s/stick/*16-*.spool) && "
		      "head -c %zu $f > %s/cut/${f##*/}",
		      work, n, work);
		totals = import_folder(sys_plain(), "cut");
		assert_int_equal(totals.whole, n == size ? 1 : 0);
		now = records_held();
		assert_true(now >= held && now <= BATCHES);
		held = now;
		if (n == size) {
			break;
		}
	}
	assert_int_equal(held, BATCHES);
	assert_int_equal(import_folder(sys_plain(), "stick").whole, SEGMENTS);
	assert_int_equal(records_held(), SEGMENTS * BATCHES);
}

static void a_failing_call_costs_no_more_than_another_try(void **state)
{
	struct fault_sys fs;

	(void)state;
	shell("cp -r %s/store %s/empty", work, work);
	for (int n = 0;; n++) {
		struct import_totals totals;

		totals = import_folder(failing(&fs, n, UV_EIO), "stick");
		if (!fs.fired) {
			assert_int_equal(totals.whole, SEGMENTS);
			assert_true(n > 20);
			return;
		}
		assert_true(totals.whole < SEGMENTS);
		assert_true(records_held() <= SEGMENTS * BATCHES);
		assert_int_equal(import_folder(sys_plain(), "stick").whole,
				 SEGMENTS);
		assert_int_equal(records_held(), SEGMENTS * BATCHES);
		shell("rm -rf %s/store && cp -r %s/empty %s/store", work, work, work);
	}
}

/* What import says of the folder, and how much it lacks. */
static size_t missing_of(struct sys *sys, const char *path, char **said, size_t *whole)
{
	char copy[128], *paths[] = {copy};
	struct import_paths c = {0};
	size_t n, missing;
	FILE *err = open_memstream(said, &n);
	int rc;

	snprintf(copy, sizeof copy, "%s", path);
	assert_non_null(err);
	rc = import_paths_choose(&c, sys, paths, 1, "carrier", err);
	fclose(err);
	*whole = 0;
	for (size_t i = 0; i < c.n; i++) {
		*whole += !c.v[i]->lost && c.v[i]->n_batches == BATCHES;
	}
	missing = rc == 0 ? c.missing : SIZE_MAX;
	import_paths_fini(&c);
	return missing;
}

static void a_file_that_can_not_be_read_is_missing(void **state)
{
	struct fault_sys fs;
	size_t whole;
	char *said;

	(void)state;
	for (int n = 0;; n++) {
		size_t missing = missing_of(failing(&fs, n, n % 2 ? UV_EIO : UV_EACCES),
					    in_work("stick"), &said, &whole);

		assert_true(missing > 0 || whole == SEGMENTS);
		assert_int_equal(missing > 0, said[0] != '\0');
		if (missing > 0) {
			assert_non_null(strstr(said, "stick"));
		}
		free(said);
		if (!fs.fired) {
			assert_int_equal(missing, 0);
			assert_true(n > 2 * SEGMENTS);
			return;
		}
	}
}

static void whoever_may_not_read_a_file_is_told_what_to_do(void **state)
{
	struct fault_sys fs;
	bool file = false;
	size_t whole;
	char *said, want[256];

	(void)state;
	snprintf(want, sizeof want, "`chown -R carrier %s`", in_work("stick"));
	for (int n = 0;; n++) {
		size_t missing = missing_of(failing(&fs, n, UV_EACCES), in_work("stick"),
					    &said, &whole);

		if (missing == 1 && whole == SEGMENTS - 1) {
			assert_non_null(strstr(said, want));
			file = true;
		}
		free(said);
		if (!fs.fired) {
			break;
		}
	}
	assert_true(file);
	shell("cp -r %s/stick %s/links && cd %s/links && f=$(ls *16-*.spool) && "
	      "mv $f elsewhere && ln -s elsewhere $f",
	      work, work, work);
	assert_int_equal(missing_of(sys_plain(), in_work("links"), &said, &whole), 1);
	assert_int_equal(whole, SEGMENTS - 1);
	assert_non_null(strstr(said, "bring the file itself"));
	free(said);
}

static void an_export_that_fails_says_so_and_can_be_begun_again(void **state)
{
	struct fault_sys fs;

	(void)state;
	for (int n = 0;; n++) {
		if (export(failing(&fs, n, UV_ENOSPC), "again") == CLI_OK) {
			assert_true(!fs.fired && n > 30);
			break;
		}
		assert_true(fs.fired);
		shell("rm -rf %s/again", work);
	}
	assert_int_equal(import_folder(sys_plain(), "again").whole, SEGMENTS);
	assert_int_equal(records_held(), SEGMENTS * BATCHES);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(what_was_exported_is_stored_once_however_often_it_comes),
		T(what_lacks_what_was_before_it_waits),
		T(nothing_is_taken_on_another_devices_word),
		T(a_batch_that_was_not_signed_is_not_taken),
		T(cut_anywhere_its_front_is_taken),
		T(a_failing_call_costs_no_more_than_another_try),
		T(a_file_that_can_not_be_read_is_missing),
		T(whoever_may_not_read_a_file_is_told_what_to_do),
		T(an_export_that_fails_says_so_and_can_be_begun_again),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
