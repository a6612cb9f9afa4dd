#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/support/tail_sink.h"
#include "tests/support/world_compress.h"

static char glob_log[] = "/var/log/app.log";
static char glob_all[] = "/var/log/app.log*";
static char glob_logs[] = "/var/log/*.log";

struct bench {
	struct world w;
	struct sink k;
	char *paths[2];
	struct sources_file file;
	struct sources_options options;
};

static void quiet(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void bench_init(struct bench *b, char *glob)
{
	memset(b, 0, sizeof *b);
	if (getenv("TAIL_TEST_LOG") == NULL) {
		log_set_sink(quiet, NULL);
	}
	world_init(&b->w, 7);
	b->paths[0] = glob;
	b->file.paths = (struct strlist){b->paths, 1};
	b->options = (struct sources_options){
		.files = &b->file, .n_files = 1, .line_max = 16384,
		.poll_interval_ms = 1000, .last_line_timeout_ms = 3000,
	};
	sink_init(&b->k, &b->w, &b->options);
}

static void bench_fini(struct bench *b)
{
	sink_fini(&b->k);
	world_fini(&b->w);
	log_set_sink(NULL, NULL);
}

static void settle(struct bench *b, int64_t ms)
{
	world_run(&b->w, ms);
	sink_ack_all(&b->k);
}

/* Lines `from` to `to`, each of about 100 bytes. */
static void write_lines(struct bench *b, const char *path, int from, int to)
{
	char line[160];

	for (int i = from; i < to; i++) {
		snprintf(line, sizeof line, "line %06d %0*d\n", i,
			 60 + i * 7 % 61, i);
		world_append(&b->w, path, line);
	}
}

static unsigned count(struct bench *b, const char *text)
{
	bool flagged;

	return sink_count(&b->k, text, &flagged);
}

/* Each of the lines once; or twice, if that is allowed and flagged. */
static void expect_lines_or(struct bench *b, int from, int to, bool doubles)
{
	char line[160];
	bool flagged, all = true;
	size_t total = 0;

	for (int i = from; i < to; i++) {
		unsigned n;

		snprintf(line, sizeof line, "line %06d %0*d", i,
			 60 + i * 7 % 61, i);
		n = sink_count(&b->k, line, &flagged);
		total += n;
		if (n == 0 || (n > 1 && !(doubles && flagged))) {
			print_error("line %d stored %u times\n", i, n);
			all = false;
		}
	}
	assert_true(all);
	assert_int_equal(b->k.n_stored, total);
}

static void expect_lines(struct bench *b, int from, int to)
{
	expect_lines_or(b, from, to, false);
}

static void what_is_appended_arrives_once(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	write_lines(&b, "/var/log/app.log", 0, 10);
	sink_start(&b.k);
	settle(&b, 10);
	expect_lines(&b, 0, 10);
	write_lines(&b, "/var/log/app.log", 10, 5000);
	settle(&b, 10);
	expect_lines(&b, 0, 5000);
	assert_int_equal(b.k.opened, 1);
	bench_fini(&b);
}

static void without_watches_the_poll_finds_everything(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	b.w.watching = false;
	sink_start(&b.k);
	settle(&b, 10);
	write_lines(&b, "/var/log/app.log", 0, 10);
	settle(&b, 1500);
	expect_lines(&b, 0, 10);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	write_lines(&b, "/var/log/app.log.1", 10, 12);
	write_lines(&b, "/var/log/app.log", 12, 20);
	settle(&b, 2500);
	expect_lines(&b, 0, 20);
	bench_fini(&b);
}

static void a_renamed_file_is_read_to_its_end(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 10);
	settle(&b, 10);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	write_lines(&b, "/var/log/app.log", 10, 20);
	settle(&b, 5000);
	/* The daemon has not reopened yet. */
	write_lines(&b, "/var/log/app.log.1", 20, 30);
	settle(&b, 5000);
	expect_lines(&b, 0, 30);
	assert_int_equal(b.k.closed, 0);
	settle(&b, 700000);
	assert_int_equal(b.k.closed, 1);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void a_chain_of_renames_while_down_is_followed(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 10);
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	write_lines(&b, "/var/log/app.log", 10, 20);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	world_rename(&b.w, "/var/log/app.log.1", "/var/log/app.log.2");
	write_lines(&b, "/var/log/app.log", 20, 30);
	sink_start(&b.k);
	settle(&b, 3000);
	expect_lines(&b, 0, 30);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void a_copied_and_truncated_file_loses_nothing(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 50);
	settle(&b, 10);
	/* Unread when the copy is made. */
	write_lines(&b, "/var/log/app.log", 50, 60);
	world_copy(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	world_truncate(&b.w, "/var/log/app.log");
	write_lines(&b, "/var/log/app.log", 60, 62);
	settle(&b, 3000);
	expect_lines(&b, 0, 62);
	assert_int_equal(b.k.truncated, 1);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void a_truncated_file_that_has_regrown_is_seen(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 20);
	settle(&b, 10);
	world_truncate(&b.w, "/var/log/app.log");
	write_lines(&b, "/var/log/app.log", 20, 100);
	settle(&b, 3000);
	expect_lines(&b, 0, 100);
	assert_int_equal(b.k.truncated, 1);
	assert_int_equal(b.k.gaps, 1);
	bench_fini(&b);
}

static void a_replacement_of_the_same_size_is_seen(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	world_append(&b.w, "/var/log/app.log", "aaaa\nbbbb\n");
	settle(&b, 10);
	world_truncate(&b.w, "/var/log/app.log");
	world_append(&b.w, "/var/log/app.log", "cccc\ndddd\n");
	settle(&b, 3000);
	assert_int_equal(count(&b, "aaaa"), 1);
	assert_int_equal(count(&b, "cccc"), 1);
	assert_int_equal(count(&b, "dddd"), 1);
	assert_int_equal(b.k.n_stored, 4);
	bench_fini(&b);
}

static void a_copy_made_while_down_is_read_on(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 50);
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	write_lines(&b, "/var/log/app.log", 50, 60);
	world_copy(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	world_truncate(&b.w, "/var/log/app.log");
	write_lines(&b, "/var/log/app.log", 60, 200);
	sink_start(&b.k);
	settle(&b, 3000);
	expect_lines(&b, 0, 200);
	assert_int_equal(b.k.gaps, 0);
	assert_int_equal(b.k.forks, 0);
	bench_fini(&b);
}

/* Read half, rotated and compressed while down, read on from the right byte. */
static void compressed_while_down(enum content_kind kind, bool in_glob, bool copy)
{
	struct bench b;

	bench_init(&b, in_glob ? glob_all : glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 50);
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	write_lines(&b, "/var/log/app.log", 50, 4000);
	if (copy) {
		world_copy(&b.w, "/var/log/app.log", "/var/log/app.log.1");
		world_truncate(&b.w, "/var/log/app.log");
	} else {
		world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	}
	world_compress(&b.w, "/var/log/app.log.1", kind, NULL, NULL);
	write_lines(&b, "/var/log/app.log", 4000, 4100);
	sink_start(&b.k);
	settle(&b, 10000);
	expect_lines(&b, 0, 4100);
	assert_int_equal(b.k.gaps, 0);
	assert_int_equal(b.k.forks, 0);
	/* It is closed when it was read, and not read again. */
	settle(&b, 5000);
	assert_int_equal(b.w.open_fds, 1);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	sink_start(&b.k);
	settle(&b, 5000);
	expect_lines(&b, 0, 4100);
	bench_fini(&b);
}

static void what_was_compressed_while_down_is_read_on(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) {
		compressed_while_down(compress_kind((uint64_t)i % 3),
				      i / 3 % 2 != 0, i / 6 != 0);
	}
}

static void a_compressed_file_counts_when_its_trailer_is_there(void **state)
{
	struct bench b;
	struct world_inode *in;
	size_t whole;

	(void)state;
	bench_init(&b, glob_all);
	write_lines(&b, "/var/log/app.log.1", 0, 300);
	world_compress(&b.w, "/var/log/app.log.1", CONTENT_GZIP, NULL, NULL);
	in = world_name_of(&b.w, "/var/log/app.log.1.gz")->inode;
	whole = in->n;
	in->n -= 3;
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(b.k.n_stored, 0);
	in->n = whole;
	in->mtime_ns = b.w.now_ns;
	settle(&b, 5000);
	expect_lines(&b, 0, 300);
	bench_fini(&b);
}

static void a_damaged_compressed_copy_is_a_gap(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 50);
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	write_lines(&b, "/var/log/app.log", 50, 100);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	world_compress(&b.w, "/var/log/app.log.1", CONTENT_GZIP, NULL, NULL);
	world_name_of(&b.w, "/var/log/app.log.1.gz")->inode->data[200] ^= 1;
	write_lines(&b, "/var/log/app.log", 100, 110);
	sink_start(&b.k);
	settle(&b, 120000);
	assert_int_equal(b.k.gaps, 1);
	assert_int_equal(b.k.n_stored, 60);
	assert_string_equal(b.k.gap_reason,
			    "rotated and compressed before it was read to its "
			    "end");
	bench_fini(&b);
}

static void a_second_name_for_a_file_doubles_nothing(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_all);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 20);
	settle(&b, 10);
	world_link(&b.w, "/var/log/app.log", "/var/log/app.log.same");
	write_lines(&b, "/var/log/app.log", 20, 40);
	settle(&b, 3000);
	world_unlink(&b.w, "/var/log/app.log");
	write_lines(&b, "/var/log/app.log.same", 40, 60);
	settle(&b, 3000);
	expect_lines(&b, 0, 60);
	assert_int_equal(b.k.opened, 1);
	assert_int_equal(b.k.forks, 0);
	bench_fini(&b);
}

static void a_file_restored_from_backup_repeats_nothing(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 50);
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	/* The same bytes in another inode, and then more of them. */
	world_copy(&b.w, "/var/log/app.log", "/tmp/backup");
	world_unlink(&b.w, "/var/log/app.log");
	world_rename(&b.w, "/tmp/backup", "/var/log/app.log");
	write_lines(&b, "/var/log/app.log", 50, 60);
	sink_start(&b.k);
	settle(&b, 3000);
	expect_lines(&b, 0, 60);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void a_copy_of_a_file_that_was_cut_and_refilled_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	b.w.watching = false;
	sink_start(&b.k);
	settle(&b, 10);
	/* Two bytes were seen, and the next incarnation begins with the same. */
	world_append(&b.w, "/var/log/app.log", "li");
	settle(&b, 1500);
	world_append(&b.w, "/var/log/app.log", "ne A\n");
	world_copy(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	world_truncate(&b.w, "/var/log/app.log");
	world_append(&b.w, "/var/log/app.log", "line B of the next\n");
	settle(&b, 5000);
	assert_int_equal(count(&b, "line A"), 1);
	assert_int_equal(count(&b, "line B of the next"), 1);
	assert_int_equal(b.k.n_stored, 2);
	bench_fini(&b);
}

static void a_short_copy_made_while_down_goes_on(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 3);
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	write_lines(&b, "/var/log/app.log", 3, 5);
	world_copy(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	world_truncate(&b.w, "/var/log/app.log");
	write_lines(&b, "/var/log/app.log", 5, 9);
	sink_start(&b.k);
	settle(&b, 3000);
	expect_lines(&b, 0, 9);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void a_log_that_is_rotated_before_anybody_saw_it_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	b.w.watching = false;
	sink_start(&b.k);
	settle(&b, 10);
	write_lines(&b, "/var/log/app.log", 0, 3);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	settle(&b, 1500); /* There is no file of the name at this look. */
	write_lines(&b, "/var/log/app.log", 3, 5);
	settle(&b, 2500);
	expect_lines(&b, 0, 5);
	bench_fini(&b);
}

/* When the first process ended it had not looked at the folder for a while. */
static void a_log_that_came_and_went_between_the_last_look_and_the_end_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_logs);
	b.w.watching = false;
	sink_start(&b.k);
	write_lines(&b, "/var/log/other.log", 0, 3);
	settle(&b, 1500);
	write_lines(&b, "/var/log/app.log", 3, 6);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	settle(&b, 200);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	write_lines(&b, "/var/log/app.log", 6, 9);
	sink_start(&b.k);
	settle(&b, 3000);
	assert_int_equal(b.k.n_stored, 9);
	bench_fini(&b);
}

/* A line of `n` bytes that begins with `text` and does not end yet. */
static void write_overlong(struct bench *b, const char *text, size_t n)
{
	char *line = malloc(n + 1);

	assert_non_null(line);
	memset(line, 'x', n);
	line[n] = '\0';
	memcpy(line, text, strlen(text));
	world_append(&b->w, "/var/log/app.log", line);
	free(line);
}

static void another_overlong_line_with_the_same_end_is_another_file(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	b.w.watching = false;
	sink_start(&b.k);
	settle(&b, 10);
	write_overlong(&b, "the first ", 20000);
	settle(&b, 1500);
	world_truncate(&b.w, "/var/log/app.log");
	write_overlong(&b, "the second ", 20010);
	world_append(&b.w, "/var/log/app.log", "\n");
	settle(&b, 1500);
	assert_int_equal(b.k.truncated, 1);
	bench_fini(&b);
}

/* Both lines are whole, and as long: only how they begin tells them apart. */
static void a_line_of_the_same_length_and_end_is_another_file(void **state)
{
	static const size_t sizes[] = {200, 20000};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct bench b;

		bench_init(&b, glob_log);
		b.w.watching = false;
		sink_start(&b.k);
		settle(&b, 10);
		write_overlong(&b, "the first ", sizes[i]);
		world_append(&b.w, "/var/log/app.log", "\n");
		settle(&b, 1500);
		world_truncate(&b.w, "/var/log/app.log");
		write_overlong(&b, "the other ", sizes[i]);
		world_append(&b.w, "/var/log/app.log", "\nmore\n");
		settle(&b, 1500);
		assert_int_equal(b.k.truncated, 1);
		bench_fini(&b);
	}
}

static void a_stale_copy_in_the_glob_is_skipped(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_all);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 50);
	settle(&b, 10);
	world_copy(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	settle(&b, 10000);
	expect_lines(&b, 0, 50);
	write_lines(&b, "/var/log/app.log", 50, 60);
	settle(&b, 10000);
	expect_lines(&b, 0, 60);
	/* Now the original goes, with lines that only a new copy has. */
	write_lines(&b, "/var/log/app.log", 60, 70);
	world_copy(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	world_truncate(&b.w, "/var/log/app.log");
	write_lines(&b, "/var/log/app.log", 70, 75);
	settle(&b, 20000);
	expect_lines(&b, 0, 75);
	assert_int_equal(b.k.forks, 0);
	bench_fini(&b);
}

static void a_rename_inside_the_glob_reads_nothing_twice(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_all);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 50);
	settle(&b, 10);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	write_lines(&b, "/var/log/app.log", 50, 60);
	settle(&b, 3000);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	world_rename(&b.w, "/var/log/app.log.1", "/var/log/app.log.2");
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	write_lines(&b, "/var/log/app.log", 60, 70);
	sink_start(&b.k);
	settle(&b, 10000);
	expect_lines(&b, 0, 70);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void a_file_deleted_unread_is_a_gap(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 10);
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	world_unlink(&b.w, "/var/log/app.log");
	write_lines(&b, "/var/log/other", 0, 1);
	sink_start(&b.k);
	settle(&b, 30000);
	assert_int_equal(b.k.gaps, 1);
	/* Told once, also after another start. */
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	sink_start(&b.k);
	settle(&b, 30000);
	assert_int_equal(b.k.gaps, 1);
	bench_fini(&b);
}

static void a_file_deleted_while_open_is_read_to_its_end(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 10);
	settle(&b, 10);
	write_lines(&b, "/var/log/app.log", 10, 20);
	world_unlink(&b.w, "/var/log/app.log");
	settle(&b, 10000);
	expect_lines(&b, 0, 20);
	assert_int_equal(b.k.closed, 0); /* Not before it was acknowledged. */
	settle(&b, 1000);
	assert_int_equal(b.k.closed, 1);
	assert_int_equal(b.w.open_fds, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void a_reused_inode_is_another_stream(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	world_create(&b.w, "/var/log/app.log", 77);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 10);
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	world_unlink(&b.w, "/var/log/app.log");
	world_create(&b.w, "/var/log/app.log", 77);
	write_lines(&b, "/var/log/app.log", 10, 40);
	sink_start(&b.k);
	settle(&b, 3000);
	expect_lines(&b, 0, 40);
	assert_int_equal(b.k.opened, 2);
	assert_int_equal(b.k.gaps, 1);
	bench_fini(&b);
}

static void identical_first_lines_are_no_identity(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	world_append(&b.w, "/var/log/app.log", "# the banner\n");
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	world_append(&b.w, "/var/log/app.log.1", "one\n");
	world_append(&b.w, "/var/log/app.log", "# the banner\ntwo\n");
	sink_start(&b.k);
	settle(&b, 3000);
	assert_int_equal(count(&b, "# the banner"), 2);
	assert_int_equal(count(&b, "one"), 1);
	assert_int_equal(count(&b, "two"), 1);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void an_empty_file_has_no_stream(void **state)
{
	struct bench b;
	struct stream_state *states;
	size_t n;

	(void)state;
	bench_init(&b, glob_log);
	world_create(&b.w, "/var/log/app.log", 0);
	sink_start(&b.k);
	settle(&b, 10000);
	assert_int_equal(b.k.opened, 0);
	assert_int_equal(tail_states(b.k.tail, &states, &n), 0);
	assert_int_equal(n, 0);
	stream_states_free(states, n);
	bench_fini(&b);
}

static void a_last_line_without_newline_is_taken_at_the_timeout(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	world_append(&b.w, "/var/log/app.log", "half");
	settle(&b, 1000);
	assert_int_equal(b.k.n_stored, 0);
	assert_int_equal(b.k.opened, 0);
	settle(&b, 5000);
	assert_int_equal(b.k.n_stored, 1);
	assert_string_equal(b.k.stored[0].text, "half");
	assert_int_equal(b.k.stored[0].flags, RECORD_NO_NEWLINE);
	world_append(&b.w, "/var/log/app.log", " a line\nnext\n");
	settle(&b, 10);
	assert_int_equal(b.k.n_stored, 3);
	assert_string_equal(b.k.stored[1].text, " a line");
	assert_int_equal(b.k.stored[1].flags, RECORD_CONTINUATION);
	assert_int_equal(b.k.stored[2].flags, 0);
	bench_fini(&b);
}

static void nul_and_invalid_utf8_pass(void **state)
{
	static const char bytes[] = "a\0b\xff\xfe\n\0\n";
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	world_write(&b.w, "/var/log/app.log", bytes, sizeof bytes - 1);
	settle(&b, 10);
	assert_int_equal(b.k.n_stored, 2);
	assert_int_equal(b.k.stored[0].n, 5);
	assert_memory_equal(b.k.stored[0].text, bytes, 5);
	assert_int_equal(b.k.stored[1].n, 1);
	bench_fini(&b);
}

static void megabytes_without_newline_are_skipped(void **state)
{
	enum { N = 5 * 1024 * 1024 + 12345 };
	struct bench b;
	char *x = malloc(N);

	(void)state;
	memset(x, 'x', N);
	bench_init(&b, glob_log);
	sink_start(&b.k);
	world_write(&b.w, "/var/log/app.log", x, N);
	settle(&b, 100);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	sink_start(&b.k);
	world_append(&b.w, "/var/log/app.log", "y\nafter\n");
	settle(&b, 100);
	assert_int_equal(b.k.stored[0].flags, RECORD_CUT);
	assert_int_equal(b.k.stored[0].n, 16384);
	for (size_t i = 1; i + 1 < b.k.n_stored; i++) {
		assert_int_equal(b.k.stored[i].flags, RECORD_SKIP);
	}
	assert_int_equal(b.k.stored[b.k.n_stored - 2].end, N + 2);
	assert_string_equal(b.k.stored[b.k.n_stored - 1].text, "after");
	assert_int_equal(b.k.n_stored, 7);
	free(x);
	bench_fini(&b);
}

static void a_full_pipeline_stops_reading_until_it_resumes(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	b.k.room = 7;
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 100);
	world_run(&b.w, 10000);
	assert_int_equal(b.k.n_pending, 7);
	for (int i = 0; i < 40; i++) {
		sink_ack(&b.k, 3);
		world_run(&b.w, 1);
	}
	sink_ack_all(&b.k);
	expect_lines(&b, 0, 100);
	bench_fini(&b);
}

static void reading_from_the_end_leaves_out_what_was_there(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	b.file.from = SOURCES_FROM_END;
	world_append(&b.w, "/var/log/app.log", "old\nolder\nhal");
	sink_start(&b.k);
	settle(&b, 10);
	world_append(&b.w, "/var/log/app.log", "f\nnew\n");
	settle(&b, 10);
	assert_int_equal(b.k.n_stored, 2);
	assert_string_equal(b.k.stored[0].text, "half");
	assert_int_equal(b.k.stored[0].start, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	world_append(&b.w, "/var/log/app.log", "newer\n");
	sink_start(&b.k);
	settle(&b, 10);
	assert_int_equal(b.k.n_stored, 3);
	assert_string_equal(b.k.stored[2].text, "newer");
	bench_fini(&b);
}

/* At the end of a file that is empty nothing was there. */
static void reading_an_empty_file_from_the_end_takes_its_first_lines(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_logs);
	b.file.from = SOURCES_FROM_END;
	world_append(&b.w, "/var/log/app.log", "");
	world_append(&b.w, "/var/log/old.log", "old\n");
	sink_start(&b.k);
	settle(&b, 10);
	world_append(&b.w, "/var/log/app.log", "first\nsecond\n");
	settle(&b, 10);
	assert_int_equal(b.k.n_stored, 2);
	assert_int_equal(count(&b, "first"), 1);
	assert_int_equal(count(&b, "second"), 1);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	world_append(&b.w, "/var/log/app.log", "third\n");
	sink_start(&b.k);
	settle(&b, 10);
	assert_int_equal(b.k.n_stored, 3);
	assert_int_equal(count(&b, "third"), 1);
	bench_fini(&b);
}

/* The end is where it was when the agent first looked, however long its turn takes. */
static void what_comes_while_a_file_waits_for_its_turn_is_not_left_out(void **state)
{
	enum { FILES = 100 };
	struct bench b;
	char path[64], line[64];

	(void)state;
	bench_init(&b, glob_logs);
	b.file.from = SOURCES_FROM_END;
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "/var/log/%d.log", i);
		world_append(&b.w, path, "old\n");
	}
	sink_start(&b.k);
	world_turn(&b.w, b.w.now_ns);
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "/var/log/%d.log", i);
		snprintf(line, sizeof line, "new %d\n", i);
		world_append(&b.w, path, line);
	}
	settle(&b, 1500);
	assert_int_equal(b.k.n_stored, FILES);
	assert_int_equal(count(&b, "old"), 0);
	bench_fini(&b);
}

static void a_file_rolled_back_is_a_fork_from_the_last_proven_place(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 30);
	settle(&b, 10);
	write_lines(&b, "/var/log/app.log", 30, 40);
	settle(&b, 10);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	/* A restored snapshot: the same file as it was, then other lines. */
	world_truncate(&b.w, "/var/log/app.log");
	write_lines(&b, "/var/log/app.log", 0, 30);
	write_lines(&b, "/var/log/app.log", 50, 70);
	sink_start(&b.k);
	settle(&b, 3000);
	assert_int_equal(b.k.forks, 1);
	assert_int_equal(b.k.n_stored, 60);
	bench_fini(&b);
}

static void a_rewind_reads_again_from_the_watermark(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 30);
	world_run(&b.w, 10);
	sink_ack(&b.k, 11);
	sink_drop_pending(&b.k);
	tail_rewind_all(b.k.tail);
	write_lines(&b, "/var/log/app.log", 30, 40);
	settle(&b, 100);
	expect_lines(&b, 0, 40);
	assert_int_equal(b.k.opened, 2);
	bench_fini(&b);
}

static void detectors_may_be_behind_the_watermark(void **state)
{
	struct bench b;
	struct stream_state *states;
	size_t n;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 30);
	settle(&b, 10);
	assert_int_equal(tail_states(b.k.tail, &states, &n), 0);
	states[0].detect = b.k.stored[9].end;
	buf_clear(&b.k.table);
	assert_int_equal(stream_table_encode(states, n, &b.k.table), 0);
	stream_states_free(states, n);
	sink_crash(&b.k);
	sink_start(&b.k);
	world_run(&b.w, 10);
	assert_int_equal(b.k.n_pending, 20);
	assert_int_equal(b.k.pending[0].start, b.k.stored[9].end);
	sink_ack_all(&b.k);
	expect_lines(&b, 0, 30);
	bench_fini(&b);
}

static void a_place_can_be_verified_and_forked(void **state)
{
	struct bench b;
	struct stream_id id;

	(void)state;
	bench_init(&b, glob_log);
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 30);
	settle(&b, 10);
	id = b.k.stored[0].id;
	assert_int_equal(tail_verify(b.k.tail, &id, b.k.stored[4].end,
				     b.k.stored[4].h), 0);
	world_run(&b.w, 10);
	assert_int_equal(b.k.verified, 1);
	assert_int_equal(b.k.answer, 1);
	assert_int_equal(tail_verify(b.k.tail, &id, b.k.stored[5].end,
				     b.k.stored[4].h), 0);
	world_run(&b.w, 10);
	assert_int_equal(b.k.answer, 0);
	b.k.answer = 1;
	assert_int_equal(tail_verify(b.k.tail, &id, UINT64_MAX, 0), 0);
	world_run(&b.w, 10);
	assert_int_equal(b.k.answer, 0); /* The file is shorter. */
	assert_int_equal(tail_fork(b.k.tail, &id, b.k.stored[4].end), 0);
	settle(&b, 10);
	assert_int_equal(b.k.forks, 1);
	assert_int_equal(b.k.n_stored, 55);
	bench_fini(&b);
}

static void too_many_files_take_turns(void **state)
{
	struct bench b;
	char path[64];

	(void)state;
	bench_init(&b, glob_all);
	b.options.max_open = 4;
	sink_start(&b.k);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 12; i++) {
			snprintf(path, sizeof path, "/var/log/app.log-x%02d", i);
			write_lines(&b, path, (round * 12 + i) * 20,
				    (round * 12 + i + 1) * 20);
		}
		for (int i = 0; i < 40; i++) {
			settle(&b, 1000);
			assert_true(b.w.open_fds <= 4);
		}
	}
	expect_lines(&b, 0, 720);
	bench_fini(&b);
}

static void what_may_not_be_read_is_read_when_it_may(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	write_lines(&b, "/var/log/app.log", 0, 5);
	world_name_of(&b.w, "/var/log/app.log")->inode->mode = S_IFREG;
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(b.k.n_stored, 0);
	world_name_of(&b.w, "/var/log/app.log")->inode->mode = S_IFREG | 0400;
	settle(&b, 1500);
	expect_lines(&b, 0, 5);
	bench_fini(&b);
}

static void a_short_read_is_no_end(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, glob_log);
	b.w.short_read = 777;
	sink_start(&b.k);
	write_lines(&b, "/var/log/app.log", 0, 50);
	settle(&b, 30000);
	expect_lines(&b, 0, 50);
	bench_fini(&b);
}

/* A fixed story, with the n-th call of the system failing. */
static bool story_with_failure(uint64_t n)
{
	struct bench b;
	bool failed;
	int rc;

	bench_init(&b, glob_log);
	b.w.fail_at = n;
	write_lines(&b, "/var/log/app.log", 0, 20);
	rc = sink_try_start(&b.k);
	if (rc != 0) {
		b.w.fail_at = 0;
		sink_start(&b.k);
	}
	settle(&b, 1500);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.1");
	write_lines(&b, "/var/log/app.log.1", 20, 25);
	write_lines(&b, "/var/log/app.log", 25, 60);
	settle(&b, 1500);
	write_lines(&b, "/var/log/app.log", 60, 65);
	world_copy(&b.w, "/var/log/app.log", "/var/log/app.log.2");
	world_truncate(&b.w, "/var/log/app.log");
	write_lines(&b, "/var/log/app.log", 65, 90);
	settle(&b, 1500);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	write_lines(&b, "/var/log/app.log", 90, 95);
	world_rename(&b.w, "/var/log/app.log", "/var/log/app.log.3");
	write_lines(&b, "/var/log/app.log", 95, 100);
	rc = sink_try_start(&b.k);
	if (rc != 0) {
		b.w.fail_at = 0;
		sink_start(&b.k);
	}
	settle(&b, 10000);
	expect_lines(&b, 0, 100);
	failed = n != 0 && b.w.calls >= n;
	bench_fini(&b);
	return failed;
}

static void each_failing_call_in_turn_costs_no_line(void **state)
{
	uint64_t n = 1;

	(void)state;
	story_with_failure(0);
	while (story_with_failure(n)) {
		n++;
	}
	assert_true(n > 60);
}

/* ---- a writer, rotations and crashes at random ---- */

struct chaos {
	struct bench b;
	int written, rotations;
	bool copies; /* rotate by copy-truncate too */
};

static uint64_t roll(struct chaos *c, uint64_t n)
{
	return world_rand(&c->b.w) % n;
}

static void chaos_rotate(struct chaos *c)
{
	char to[64];

	if (world_name(&c->b.w, "/var/log/app.log") == NULL) {
		return;
	}
	snprintf(to, sizeof to, "/var/log/app.log.%d", ++c->rotations);
	if (c->copies && roll(c, 2) == 0) {
		world_copy(&c->b.w, "/var/log/app.log", to);
		world_truncate(&c->b.w, "/var/log/app.log");
	} else {
		world_rename(&c->b.w, "/var/log/app.log", to);
		if (roll(c, 2) == 0) {
			world_create(&c->b.w, "/var/log/app.log", 0);
		}
	}
}

static void chaos_write(struct chaos *c)
{
	int n = (int)roll(c, 40);

	write_lines(&c->b, "/var/log/app.log", c->written, c->written + n);
	c->written += n;
}

static void chaos_step(struct chaos *c)
{
	switch (roll(c, 12)) {
	case 0: case 1: case 2: case 3:
		chaos_write(c);
		break;
	case 4: case 5:
		world_run(&c->b.w, (int64_t)roll(c, 300));
		break;
	case 6:
		world_run(&c->b.w, (int64_t)roll(c, 5000));
		break;
	case 7: case 8:
		sink_ack(&c->b.k, roll(c, 60));
		break;
	case 9:
		chaos_rotate(c);
		break;
	case 10:
		sink_checkpoint(&c->b.k);
		break;
	default:
		if (roll(c, 2) == 0) {
			tail_rewind_all(c->b.k.tail);
			sink_drop_pending(&c->b.k);
			break;
		}
		sink_crash(&c->b.k);
		for (uint64_t i = roll(c, 3); i > 0; i--) {
			chaos_write(c);
			if (roll(c, 2) == 0) {
				chaos_rotate(c);
			}
		}
		c->b.k.room = roll(c, 2) == 0 ? SIZE_MAX : 10 + roll(c, 50);
		sink_start(&c->b.k);
	}
}

static void chaos_run(uint64_t seed, bool copies, bool hello, char *glob)
{
	struct chaos *c = calloc(1, sizeof *c);

	c->copies = copies;
	bench_init(&c->b, glob);
	c->b.k.hello = hello;
	world_init(&c->b.w, seed);
	c->b.w.watching = seed % 3 != 0;
	c->b.w.short_read = seed % 5 == 0 ? 1000 : 0;
	/* A name whose first file nobody ever saw is nobody's business. */
	chaos_write(c);
	write_lines(&c->b, "/var/log/app.log", c->written, c->written + 1);
	c->written++;
	sink_start(&c->b.k);
	world_run(&c->b.w, 2000);
	for (int i = 0; i < 150; i++) {
		chaos_step(c);
	}
	c->b.k.room = SIZE_MAX;
	/* Somebody writes to the name again some day. */
	write_lines(&c->b, "/var/log/app.log", c->written, c->written + 1);
	c->written++;
	for (int i = 0; i < 60; i++) {
		settle(&c->b, 1000);
	}
	expect_lines_or(&c->b, 0, c->written, !hello);
	bench_fini(&c->b);
	free(c);
}

static void chaos_seeds(bool copies, bool hello, char *glob, uint64_t n)
{
	const char *only = getenv("TAIL_SEED");
	uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;

	for (uint64_t seed = first; seed < first + (only != NULL ? 1 : n);
	     seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		chaos_run(seed, copies, hello, glob);
	}
}

static void renames_and_crashes_at_random_store_each_line_once(void **state)
{
	(void)state;
	chaos_seeds(false, true, glob_log, 60);
}

static void copies_and_crashes_at_random_store_each_line_once(void **state)
{
	(void)state;
	chaos_seeds(true, true, glob_log, 60);
}

static void rotated_names_in_the_glob_store_each_line_once(void **state)
{
	(void)state;
	chaos_seeds(false, true, glob_all, 60);
}

static void without_the_collector_only_forks_repeat_lines(void **state)
{
	(void)state;
	chaos_seeds(true, false, glob_log, 60);
}

static void copies_in_the_glob_lose_no_line(void **state)
{
	(void)state;
	chaos_seeds(true, false, glob_all, 60);
}

int main(void)
{
	log_set_level(getenv("TAIL_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_appended_arrives_once),
		cmocka_unit_test(without_watches_the_poll_finds_everything),
		cmocka_unit_test(a_renamed_file_is_read_to_its_end),
		cmocka_unit_test(a_chain_of_renames_while_down_is_followed),
		cmocka_unit_test(a_copied_and_truncated_file_loses_nothing),
		cmocka_unit_test(a_truncated_file_that_has_regrown_is_seen),
		cmocka_unit_test(a_replacement_of_the_same_size_is_seen),
		cmocka_unit_test(a_copy_made_while_down_is_read_on),
		cmocka_unit_test(what_was_compressed_while_down_is_read_on),
		cmocka_unit_test(
			a_compressed_file_counts_when_its_trailer_is_there),
		cmocka_unit_test(a_damaged_compressed_copy_is_a_gap),
		cmocka_unit_test(a_second_name_for_a_file_doubles_nothing),
		cmocka_unit_test(a_file_restored_from_backup_repeats_nothing),
		cmocka_unit_test(
			a_copy_of_a_file_that_was_cut_and_refilled_is_found),
		cmocka_unit_test(a_short_copy_made_while_down_goes_on),
		cmocka_unit_test(a_log_that_is_rotated_before_anybody_saw_it_is_found),
		cmocka_unit_test(
			a_log_that_came_and_went_between_the_last_look_and_the_end_is_found),
		cmocka_unit_test(another_overlong_line_with_the_same_end_is_another_file),
		cmocka_unit_test(a_line_of_the_same_length_and_end_is_another_file),
		cmocka_unit_test(a_stale_copy_in_the_glob_is_skipped),
		cmocka_unit_test(a_rename_inside_the_glob_reads_nothing_twice),
		cmocka_unit_test(a_file_deleted_unread_is_a_gap),
		cmocka_unit_test(a_file_deleted_while_open_is_read_to_its_end),
		cmocka_unit_test(a_reused_inode_is_another_stream),
		cmocka_unit_test(identical_first_lines_are_no_identity),
		cmocka_unit_test(an_empty_file_has_no_stream),
		cmocka_unit_test(
			a_last_line_without_newline_is_taken_at_the_timeout),
		cmocka_unit_test(nul_and_invalid_utf8_pass),
		cmocka_unit_test(megabytes_without_newline_are_skipped),
		cmocka_unit_test(
			a_full_pipeline_stops_reading_until_it_resumes),
		cmocka_unit_test(
			reading_from_the_end_leaves_out_what_was_there),
		cmocka_unit_test(
			reading_an_empty_file_from_the_end_takes_its_first_lines),
		cmocka_unit_test(
			what_comes_while_a_file_waits_for_its_turn_is_not_left_out),
		cmocka_unit_test(
			a_file_rolled_back_is_a_fork_from_the_last_proven_place),
		cmocka_unit_test(a_rewind_reads_again_from_the_watermark),
		cmocka_unit_test(detectors_may_be_behind_the_watermark),
		cmocka_unit_test(a_place_can_be_verified_and_forked),
		cmocka_unit_test(too_many_files_take_turns),
		cmocka_unit_test(what_may_not_be_read_is_read_when_it_may),
		cmocka_unit_test(a_short_read_is_no_end),
		cmocka_unit_test(each_failing_call_in_turn_costs_no_line),
		cmocka_unit_test(
			renames_and_crashes_at_random_store_each_line_once),
		cmocka_unit_test(
			copies_and_crashes_at_random_store_each_line_once),
		cmocka_unit_test(
			rotated_names_in_the_glob_store_each_line_once),
		cmocka_unit_test(
			without_the_collector_only_forks_repeat_lines),
		cmocka_unit_test(
			copies_in_the_glob_lose_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
