/* Whose lines are these?  What little is known of a stream when its reader is killed, and
 * what a file has to hold to be taken for its rest, for something new, or for neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/log.h"
#include "tests/support/tail_sink.h"

#define LOG "/var/log/app.log"

static char glob[] = LOG;

struct bench {
	struct world w;
	struct sink k;
	char *paths[1];
	struct sources_file file;
	struct sources_options options;
};

static void quiet(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void bench_init(struct bench *b)
{
	memset(b, 0, sizeof *b);
	if (getenv("TAIL_TEST_LOG") == NULL) {
		log_set_sink(quiet, NULL);
	}
	world_init(&b->w, 11);
	b->paths[0] = glob;
	b->file.paths = (struct strlist){b->paths, 1};
	b->options = (struct sources_options){
		.files = &b->file, .n_files = 1, .line_max = 16384,
		.poll_interval_ms = 1000, .last_line_timeout_ms = 3000,
	};
	sink_init(&b->k, &b->w, &b->options);
	b->k.hello = true;
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

static void later(struct bench *b)
{
	b->w.now_ns += 1000000000;
}

static unsigned count(struct bench *b, const char *text)
{
	bool flagged;

	return sink_count(&b->k, text, &flagged);
}

/* One line of the file is read and stored; then the reader is killed. */
static void killed_after_a_line(struct bench *b, const char *line)
{
	bench_init(b);
	sink_start(&b->k);
	world_append(&b->w, LOG, line);
	settle(b, 2000);
	sink_crash(&b->k);
	later(b);
}

static void a_copy_known_by_its_first_line_is_read_on(void **state)
{
	struct bench b;

	(void)state;
	killed_after_a_line(&b, "07:00 one\n");
	world_append(&b.w, LOG, "07:01 two\n");
	world_copy(&b.w, LOG, LOG ".1");
	world_truncate(&b.w, LOG);
	later(&b);
	world_append(&b.w, LOG, "07:02 three\n");
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:00 one"), 1);
	assert_int_equal(count(&b, "07:01 two"), 1);
	assert_int_equal(count(&b, "07:02 three"), 1);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void a_first_line_that_two_files_share_is_no_proof(void **state)
{
	struct bench b;

	(void)state;
	killed_after_a_line(&b, "# banner\n");
	world_append(&b.w, LOG, "07:01 two\n");
	world_copy(&b.w, LOG, LOG ".2");
	world_truncate(&b.w, LOG);
	later(&b);
	world_append(&b.w, LOG, "# banner\n07:02 three\n");
	world_copy(&b.w, LOG, LOG ".1");
	world_truncate(&b.w, LOG);
	later(&b);
	world_append(&b.w, LOG, "07:03 four\n");
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(count(&b, "# banner"), 3);
	assert_int_equal(count(&b, "07:01 two"), 1);
	assert_int_equal(count(&b, "07:02 three"), 1);
	assert_int_equal(count(&b, "07:03 four"), 1);
	assert_int_equal(b.k.forks, 2);
	bench_fini(&b);
}

static void a_copy_from_before_is_no_rest(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	world_append(&b.w, LOG, "07:00 one\n");
	settle(&b, 2000);
	world_copy(&b.w, LOG, LOG ".bak");
	later(&b);
	b.k.room = 0;
	world_append(&b.w, LOG, "07:01 two\n");
	world_run(&b.w, 2000);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	b.k.room = SIZE_MAX;
	later(&b);
	world_truncate(&b.w, LOG);
	world_append(&b.w, LOG, "07:02 three\n");
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:00 one"), 1);
	assert_int_equal(count(&b, "07:01 two"), 0);
	assert_int_equal(count(&b, "07:02 three"), 1);
	assert_int_equal(b.k.gaps, 1);
	bench_fini(&b);
}

static void what_came_and_went_unseen_repeats_nothing(void **state)
{
	struct bench b;

	(void)state;
	killed_after_a_line(&b, "07:00 one, and it is longer than all of the next file\n");
	for (int i = 0; i < 2; i++) {
		world_rename(&b.w, LOG, i == 0 ? LOG ".2" : LOG ".1");
		world_append(&b.w, LOG, i == 0 ? "07:01 two\n" : "07:02 three\n");
		later(&b);
	}
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:01 two"), 1);
	assert_int_equal(count(&b, "07:02 three"), 1);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

/* Two rotations between two looks, behind a clock that was set back: the file in the
 * middle is younger than the first one, and bears an older time. */
static void a_clock_that_is_set_back_hides_no_file(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	b.w.watching = false;
	sink_start(&b.k);
	world_append(&b.w, LOG, "07:00 one, and it is longer than all of the next file\n");
	settle(&b, 3000);
	b.w.wall_ahead_ns = -3600000000000;
	world_rename(&b.w, LOG, LOG ".2");
	world_append(&b.w, LOG, "06:01 two\n");
	later(&b);
	world_rename(&b.w, LOG, LOG ".1");
	world_append(&b.w, LOG, "06:01 three\n");
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:00 one, and it is longer than all of the next file"), 1);
	assert_int_equal(count(&b, "06:01 two"), 1);
	assert_int_equal(count(&b, "06:01 three"), 1);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static const int64_t hour_ns = 3600000000000;

/* A line is read, the reader ends, and the clock is set back. */
static void set_back_after_a_line(struct bench *b, int64_t begun_before_ns)
{
	bench_init(b);
	b->k.begun_ns = world_wall_ns(&b->w) - begun_before_ns;
	sink_start(&b->k);
	world_append(&b->w, LOG, "07:00 one, and it is longer than all of the next file\n");
	settle(b, 3000);
	sink_checkpoint(&b->k);
	sink_crash(&b->k);
	b->w.wall_ahead_ns = -hour_ns;
	later(b);
}

static void a_clock_that_is_set_back_before_the_start_hides_no_file(void **state)
{
	struct bench b;

	(void)state;
	for (int64_t begun = 0; begun < 2; begun++) {
		set_back_after_a_line(&b, begun * 24 * hour_ns);
		world_append(&b.w, LOG ".3", "from long before\n");
		world_name_of(&b.w, LOG ".3")->inode->mtime_ns = b.k.begun_ns - 24 * hour_ns;
		world_rename(&b.w, LOG, LOG ".2");
		world_append(&b.w, LOG, "06:01 two\n");
		later(&b);
		world_rename(&b.w, LOG, LOG ".1");
		world_append(&b.w, LOG, "06:01 three\n");
		sink_start(&b.k);
		settle(&b, 5000);
		assert_int_equal(count(&b, "07:00 one, and it is longer than all of "
					   "the next file"), 1);
		assert_int_equal(count(&b, "06:01 two"), 1);
		assert_int_equal(count(&b, "06:01 three"), 1);
		/* Older than whoever looked first, as far as the clock can tell. */
		assert_int_equal(count(&b, "from long before"), begun == 0);
		assert_int_equal(b.k.forks, 0);
		assert_int_equal(b.k.gaps, 0);
		bench_fini(&b);
	}
}

/* Whoever may write to a log may give its file any time.  What was rotated long ago, and is
 * known to nobody any more, is not read for that; what is new is. */
static void a_log_from_the_future_does_not_set_the_clock_back(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	b.k.begun_ns = world_wall_ns(&b.w) - 24 * hour_ns;
	sink_start(&b.k);
	world_append(&b.w, LOG, "07:00 one, and it is longer than all of the next file\n");
	world_name_of(&b.w, LOG)->inode->mtime_ns = world_wall_ns(&b.w) + 1000 * hour_ns;
	settle(&b, 3000);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	world_append(&b.w, LOG ".3", "forgotten\n");
	world_name_of(&b.w, LOG ".3")->inode->mtime_ns = world_wall_ns(&b.w) - hour_ns;
	later(&b);
	world_rename(&b.w, LOG, LOG ".2");
	world_append(&b.w, LOG, "07:01 two\n");
	later(&b);
	world_rename(&b.w, LOG, LOG ".1");
	world_append(&b.w, LOG, "07:01 three\n");
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:00 one, and it is longer than all of the next file"), 1);
	assert_int_equal(count(&b, "07:01 two"), 1);
	assert_int_equal(count(&b, "07:01 three"), 1);
	assert_int_equal(count(&b, "forgotten"), 0);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

/* The copy is all that there is of the log by then, and no table knows it. */
static void a_lost_table_and_a_clock_set_back_lose_no_copied_log(void **state)
{
	struct bench b;

	(void)state;
	set_back_after_a_line(&b, 0);
	world_append(&b.w, LOG, "06:01 two\n");
	world_copy(&b.w, LOG, LOG ".1");
	world_truncate(&b.w, LOG);
	later(&b);
	world_append(&b.w, LOG, "06:01 three\n");
	buf_clear(&b.k.table);
	b.k.hello = false;
	b.k.look_back_ns = b.k.begun_ns;
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(count(&b, "06:01 two"), 1);
	assert_int_equal(count(&b, "06:01 three"), 1);
	bench_fini(&b);
}

static struct sys_ops racing_ops;

/* Just before the copy is opened, the log is rotated once more. */
static int open_behind_a_rotation(struct sys *s, const char *path, int flags,
				  unsigned mode)
{
	struct world *w = world_of(s);

	if (strcmp(path, LOG ".1") == 0 && world_name(w, LOG ".2") == NULL) {
		world_rename(w, LOG ".1", LOG ".2");
		world_copy(w, LOG, LOG ".1");
		world_truncate(w, LOG);
		world_append(w, LOG, "07:03 four\n");
	}
	return world_op_open(s, path, flags, mode);
}

static void a_rest_that_moves_on_while_it_is_looked_for_is_no_gap(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	for (int i = 0; i < 100; i++) {
		char line[64];

		snprintf(line, sizeof line, "06:%02d a line of the night\n", i);
		world_append(&b.w, LOG, line);
	}
	settle(&b, 2000);
	sink_crash(&b.k);
	later(&b);
	world_append(&b.w, LOG, "07:01 two\n");
	world_copy(&b.w, LOG, LOG ".1");
	world_truncate(&b.w, LOG);
	world_append(&b.w, LOG, "07:02 three\n");
	later(&b);
	racing_ops = *b.w.sys.ops;
	racing_ops.open = open_behind_a_rotation;
	b.w.sys.ops = &racing_ops;
	sink_start(&b.k);
	settle(&b, 5000);
	assert_non_null(world_name(&b.w, LOG ".2"));
	assert_int_equal(count(&b, "07:01 two"), 1);
	assert_int_equal(count(&b, "07:02 three"), 1);
	assert_int_equal(count(&b, "07:03 four"), 1);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void an_unseen_file_that_begins_like_a_stream_is_flagged(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	world_append(&b.w, LOG, "# banner\n07:00 one\n");
	settle(&b, 2000);
	sink_crash(&b.k);
	later(&b);
	world_rename(&b.w, LOG, LOG ".2");
	world_append(&b.w, LOG, "# banner\n");
	world_rename(&b.w, LOG, LOG ".1");
	world_append(&b.w, LOG, "07:02 three\n");
	later(&b);
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(count(&b, "# banner"), 2);
	assert_int_equal(count(&b, "07:00 one"), 1);
	assert_int_equal(b.k.forks, 1);
	bench_fini(&b);
}

/* A file is read to its end and renamed; its reader is killed `ms` later, and the file
 * deleted.  late: what is written last, seen and not read. */
static void deleted_after(struct bench *b, int64_t ms, const char *late)
{
	bench_init(b);
	sink_start(&b->k);
	world_append(&b->w, LOG, "07:00 one\n");
	settle(b, 2000);
	world_rename(&b->w, LOG, LOG ".1");
	world_append(&b->w, LOG, "07:01 two\n");
	settle(b, ms);
	if (late[0] != '\0') {
		b->k.room = 0;
		world_append(&b->w, LOG ".1", late);
		world_run(&b->w, 5000);
	}
	sink_checkpoint(&b->k);
	sink_crash(&b->k);
	b->k.room = SIZE_MAX;
	later(b);
	world_unlink(&b->w, LOG ".1");
	sink_start(&b->k);
	settle(b, 5000);
	assert_int_equal(count(b, "07:00 one"), 1);
	assert_int_equal(count(b, "07:01 two"), 1);
}

static void what_was_rotated_read_and_quiet_may_be_deleted(void **state)
{
	struct stream_state *states;
	struct bench b;
	size_t n, done = 0;

	(void)state;
	deleted_after(&b, 5000, "");
	assert_int_equal(b.k.gaps, 0);
	assert_int_equal(tail_states(b.k.tail, &states, &n), 0);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		done += stream_state_done(&states[i]);
	}
	assert_int_equal(done, 1); /* The next start does not look for it. */
	stream_states_free(states, n);
	bench_fini(&b);
}

static void what_was_rotated_a_moment_ago_may_have_grown(void **state)
{
	struct bench b;

	(void)state;
	deleted_after(&b, 1500, "");
	assert_int_equal(b.k.gaps, 1);
	bench_fini(&b);
}

static void what_grew_and_was_not_read_is_missed(void **state)
{
	struct bench b;

	(void)state;
	deleted_after(&b, 5000, "07:02 late\n");
	assert_int_equal(b.k.gaps, 1);
	bench_fini(&b);
}

static void the_rests_of_many_streams_are_found_in_one_listing(void **state)
{
	struct tail_stats stats;
	struct bench b;
	char name[64], line[64];

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	for (int i = 0; i < 40; i++) {
		snprintf(line, sizeof line, "07:%02d and so on\n", i);
		world_append(&b.w, LOG, line);
		settle(&b, 2000);
		snprintf(name, sizeof name, LOG "-%d", 20261100 + i);
		world_rename(&b.w, LOG, name);
	}
	world_append(&b.w, LOG, "08:00 the last\n");
	settle(&b, 2000);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, LOG "-%d", 20261100 + i);
		snprintf(line, sizeof line, "08:%02d late\n", i);
		world_append(&b.w, name, line);
	}
	later(&b);
	b.w.lists = 0;
	sink_start(&b.k);
	world_run(&b.w, 100);
	assert_in_range(b.w.lists, 1, 4);
	tail_stats(b.k.tail, &stats);
	assert_int_equal(stats.searching, 0);
	sink_ack_all(&b.k);
	for (int i = 0; i < 40; i++) {
		snprintf(line, sizeof line, "08:%02d late", i);
		assert_int_equal(count(&b, line), 1);
	}
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void what_is_looked_for_is_counted(void **state)
{
	struct tail_stats stats;
	struct bench b;

	(void)state;
	killed_after_a_line(&b, "07:00 one\n");
	world_rename(&b.w, LOG, LOG ".1");
	world_append(&b.w, LOG ".1", "07:01 two\n");
	sink_start(&b.k);
	tail_stats(b.k.tail, &stats);
	assert_true(stats.searching > 0);
	settle(&b, 2000);
	tail_stats(b.k.tail, &stats);
	assert_int_equal(stats.searching, 0);
	assert_int_equal(count(&b, "07:01 two"), 1);
	bench_fini(&b);
}

static void a_copy_is_judged_when_it_is_made(void **state)
{
	static const char first[] = "07:00 one, of which half was copied at first\n";
	struct bench b;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	world_append(&b.w, LOG, first);
	world_append(&b.w, LOG, "07:01 two\n");
	settle(&b, 4000);
	world_write(&b.w, LOG ".1", first, 20);
	settle(&b, 1500);
	world_write(&b.w, LOG ".1", first + 20, sizeof first - 1 - 20);
	world_append(&b.w, LOG ".1", "07:01 two\n");
	world_truncate(&b.w, LOG);
	world_append(&b.w, LOG, "07:02 three\n");
	settle(&b, 8000);
	assert_int_equal(count(&b, "07:00 one, of which half was copied at first"), 1);
	assert_int_equal(count(&b, "07:01 two"), 1);
	assert_int_equal(count(&b, "07:02 three"), 1);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

/* Begun and rotated between two looks, and not begun again. */
static void a_log_without_a_file_of_its_name_is_read(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	world_run(&b.w, 3100);
	world_append(&b.w, LOG, "07:00 one\n");
	world_rename(&b.w, LOG, LOG ".1");
	settle(&b, 3000);
	assert_int_equal(count(&b, "07:00 one"), 1);
	sink_crash(&b.k);
	later(&b);
	world_append(&b.w, LOG, "07:01 two\n");
	sink_start(&b.k);
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:00 one"), 1);
	assert_int_equal(count(&b, "07:01 two"), 1);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

static void rotate_once(void *arg)
{
	struct bench *b = arg;

	b->k.meanwhile = NULL;
	world_copy(&b->w, LOG, LOG ".1");
	world_truncate(&b->w, LOG);
	world_append(&b->w, LOG, "07:02 other lines, and more of them than there were\n");
	world_append(&b->w, LOG, "07:03 three\n");
}

/* Between the proof that the stream goes on in its file and the first read from there. */
static void a_file_cut_before_the_first_read_is_another(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	world_append(&b.w, LOG, "07:00 one\n");
	world_run(&b.w, 2000);
	sink_checkpoint(&b.k);
	sink_crash(&b.k); /* Nothing is acknowledged: it begins again at 0. */
	later(&b);
	world_append(&b.w, LOG, "07:01 two\n");
	b.k.meanwhile = rotate_once;
	b.k.meanwhile_arg = &b;
	sink_start(&b.k);
	settle(&b, 8000);
	/* By what its reader wrote down, the next one knows the copy and the file. */
	sink_crash(&b.k);
	later(&b);
	sink_start(&b.k);
	settle(&b, 8000);
	assert_int_equal(count(&b, "07:00 one"), 1);
	assert_int_equal(count(&b, "07:01 two"), 1);
	assert_int_equal(count(&b, "07:02 other lines, and more of them than there were"), 1);
	assert_int_equal(count(&b, "07:03 three"), 1);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

/* What is there of it by then ends behind a place where H is known, but is too little to
 * prove anything. */
static void a_copy_with_a_known_place_is_judged_when_it_is_made(void **state)
{
	static const char first[] = "07:00 one\n";
	static const char second[] = "07:01 two, which is copied in part\n";
	struct bench b;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	world_append(&b.w, LOG, first);
	settle(&b, 2000);
	world_append(&b.w, LOG, "07:00 more\n");
	settle(&b, 2000);
	world_append(&b.w, LOG, second);
	settle(&b, 4000);
	world_write(&b.w, LOG ".1", first, sizeof first - 1);
	world_append(&b.w, LOG ".1", "07:00 more\n");
	world_write(&b.w, LOG ".1", second, 20);
	settle(&b, 1500);
	world_write(&b.w, LOG ".1", second + 20, sizeof second - 1 - 20);
	world_truncate(&b.w, LOG);
	world_append(&b.w, LOG, "07:02 three\n");
	settle(&b, 8000);
	assert_int_equal(count(&b, "07:00 one"), 1);
	assert_int_equal(count(&b, "07:00 more"), 1);
	assert_int_equal(count(&b, "07:01 two, which is copied in part"), 1);
	assert_int_equal(count(&b, "07:02 three"), 1);
	assert_int_equal(b.k.forks, 0);
	assert_int_equal(b.k.gaps, 0);
	bench_fini(&b);
}

/* ---- a machine that was put back to a backup ---- */

/* As the agent does: what the collector has first, if it was met; then the table of the
 * backup. */
static void start_from(struct bench *b, const struct buf *table, bool met)
{
	struct stream_state *states;
	size_t n;

	assert_int_equal(tail_new(&b->k.tail, &b->w.sys, &b->options, sink_secret,
				  &sink_callbacks, &b->k), 0);
	for (size_t i = 0; met && i < b->k.n_streams; i++) {
		const struct sink_stream *ss = &b->k.streams[i];
		struct stream_state st = {.id = ss->id, .acked = ss->w,
					  .position = ss->w, .detect = ss->w,
					  .h = ss->h};

		assert_int_equal(tail_restore(b->k.tail, &st, 1), 0);
	}
	if (!met) {
		tail_alone(b->k.tail);
	}
	assert_int_equal(stream_table_decode(buf_slice(table), &states, &n), 0);
	assert_int_equal(tail_restore(b->k.tail, states, n), 0);
	stream_states_free(states, n);
	assert_int_equal(tail_start(b->k.tail), 0);
}

/* The backup has a line of the log; then two more are stored, in the past that is gone;
 * and then the file goes on otherwise. */
static void put_back(struct bench *b, struct buf *table, const char *lines)
{
	bench_init(b);
	buf_init(table, 1024 * 1024);
	sink_start(&b->k);
	world_append(&b->w, LOG, "07:00 one\n");
	settle(b, 2000);
	assert_int_equal(buf_add_slice(table, buf_slice(&b->k.table)), 0);
	world_append(&b->w, LOG, "07:01 two\n07:02 three\n");
	settle(b, 2000);
	sink_crash(&b->k);
	world_unlink(&b->w, LOG);
	later(b);
	world_append(&b->w, LOG, lines);
}

static void another_past_that_begins_alike_is_flagged(void **state)
{
	struct bench b;
	struct buf table;

	(void)state;
	put_back(&b, &table, "07:00 one\n07:03 other\n07:04 more\n07:05 more\n");
	start_from(&b, &table, true);
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:00 one"), 2);
	assert_int_equal(count(&b, "07:03 other"), 1);
	assert_int_equal(count(&b, "07:04 more"), 1);
	assert_int_equal(b.k.forks, 1);
	buf_fini(&table);
	bench_fini(&b);
}

/* Put back, it read on without its collector, and was killed: what its own table tells of
 * that is no proof of what the collector has. */
static void what_was_read_alone_is_not_taken_for_the_other_past(void **state)
{
	struct bench b;
	struct buf table;

	(void)state;
	bench_init(&b);
	buf_init(&table, 1024 * 1024);
	sink_start(&b.k);
	world_append(&b.w, LOG, "07:00 one\n07:01 two\n");
	settle(&b, 2000);
	assert_int_equal(buf_add_slice(&table, buf_slice(&b.k.table)), 0);
	world_append(&b.w, LOG, "07:02 three, and it is longer than what comes\n");
	settle(&b, 2000);
	sink_crash(&b.k);
	world_unlink(&b.w, LOG);
	later(&b);
	world_append(&b.w, LOG, "07:00 one\n07:01 two\n07:03 other\n");
	start_from(&b, &table, false);
	world_run(&b.w, 2000);
	sink_checkpoint(&b.k);
	sink_crash(&b.k);
	later(&b);
	start_from(&b, &b.k.table, true);
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:03 other"), 1);
	assert_int_equal(b.k.forks, 1);
	buf_fini(&table);
	bench_fini(&b);
}

static void what_begins_otherwise_is_not_flagged(void **state)
{
	struct bench b;
	struct buf table;

	(void)state;
	put_back(&b, &table, "07:03 other\n07:04 more\n07:05 more\n07:06 more\n");
	start_from(&b, &table, true);
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:03 other"), 1);
	assert_int_equal(b.k.forks, 0);
	buf_fini(&table);
	bench_fini(&b);
}

static void a_stream_that_no_table_knew_makes_a_fork(void **state)
{
	struct bench b;
	struct buf table;

	(void)state;
	put_back(&b, &table, "07:00 one\n07:03 other\n07:04 more\n07:05 more\n");
	buf_clear(&table);
	assert_int_equal(stream_table_encode(NULL, 0, &table), 0);
	start_from(&b, &table, true);
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:00 one"), 2);
	assert_int_equal(b.k.forks, 1);
	buf_fini(&table);
	bench_fini(&b);
}

static void alone_what_is_not_known_is_flagged(void **state)
{
	struct bench b;
	struct buf table;

	(void)state;
	put_back(&b, &table, "07:03 other\n07:04 more\n");
	start_from(&b, &table, false);
	settle(&b, 5000);
	assert_int_equal(b.k.forks, 1);
	/* What comes later is nobody's but its own. */
	world_rename(&b.w, LOG, LOG ".1");
	world_append(&b.w, LOG, "07:07 new\n");
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:07 new"), 1);
	assert_int_equal(b.k.forks, 1);
	buf_fini(&table);
	bench_fini(&b);
}

static void a_closed_file_is_opened_to_be_verified(void **state)
{
	struct bench b;
	struct stream_id id;
	const struct sink_row *last;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	world_append(&b.w, LOG, "07:00 one\n");
	world_append(&b.w, LOG, "07:01 two\n");
	settle(&b, 2000);
	id = b.k.stored[0].id;
	world_rename(&b.w, LOG, LOG ".1");
	world_append(&b.w, LOG, "07:02 three\n");
	for (int i = 0; i < 400; i++) {
		settle(&b, 2000);
	}
	assert_int_equal(b.k.closed, 1);
	last = &b.k.stored[1];
	assert_int_equal(tail_verify(b.k.tail, &id, last->end, last->h), 0);
	world_run(&b.w, 10);
	assert_int_equal(b.k.verified, 1);
	assert_int_equal(b.k.answer, 1);
	assert_int_equal(tail_verify(b.k.tail, &id, b.k.stored[0].end, last->h), 0);
	world_run(&b.w, 10);
	assert_int_equal(b.k.answer, 0);
	b.k.answer = 1;
	assert_int_equal(tail_verify(b.k.tail, &id, last->end + 1, last->h), 0);
	world_run(&b.w, 10);
	assert_int_equal(b.k.answer, 0); /* It is shorter. */
	/* Rewritten, it shows nothing; gone, neither. */
	world_truncate(&b.w, LOG ".1");
	world_append(&b.w, LOG ".1", "07:00 abc\n07:01 def\n");
	assert_int_equal(tail_verify(b.k.tail, &id, b.k.stored[0].end,
				     b.k.stored[0].h), 0);
	world_run(&b.w, 10);
	assert_int_equal(b.k.answer, UV_ENOENT);
	world_unlink(&b.w, LOG ".1");
	assert_int_equal(tail_verify(b.k.tail, &id, last->end, last->h), UV_ENOENT);
	assert_int_equal(b.k.verified, 4);
	bench_fini(&b);
}

static void a_closed_file_that_can_not_be_opened_now_is_asked_again(void **state)
{
	struct bench b;
	struct stream_id id;
	unsigned open_fds, refused = 0;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	world_append(&b.w, LOG, "07:00 one\n");
	settle(&b, 2000);
	id = b.k.stored[0].id;
	world_rename(&b.w, LOG, LOG ".1");
	for (int i = 0; i < 400; i++) {
		settle(&b, 2000);
	}
	open_fds = b.w.open_fds;
	for (uint64_t n = 1; n < 8; n++) {
		unsigned before = b.k.verified;
		int rc;

		b.w.fail_at = b.w.calls + n;
		rc = tail_verify(b.k.tail, &id, b.k.stored[0].end, b.k.stored[0].h);
		refused += rc != 0;
		assert_true(rc == 0 || rc == ERR_AGAIN || rc == UV_ENOENT);
		assert_true(rc != UV_ENOENT || b.w.calls >= b.w.fail_at);
		world_run(&b.w, 10);
		b.w.fail_at = 0;
		assert_int_equal(b.k.verified, before + (rc == 0));
		assert_int_equal(b.w.open_fds, open_fds);
	}
	assert_true(refused > 0);
	bench_fini(&b);
}

static void a_log_that_grows_all_the_time_is_read(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	sink_start(&b.k);
	world_run(&b.w, 3100);
	world_append(&b.w, LOG, "# header\n");
	settle(&b, 2000);
	for (int i = 0; i < 40; i++) {
		world_append(&b.w, LOG, "first file, a long line that comes again and again\n");
	}
	settle(&b, 5000);
	world_rename(&b.w, LOG, LOG ".2");
	world_append(&b.w, LOG, "# header\n07:01 two\n");
	world_rename(&b.w, LOG, LOG ".1");
	world_append(&b.w, LOG, "# header\n07:02 three\n");
	for (int i = 0; i < 60; i++) {
		world_append(&b.w, LOG ".1", "x\n");
		settle(&b, 1000);
	}
	assert_int_equal(count(&b, "07:01 two"), 1);
	bench_fini(&b);
}

/* Of names that are not there. */
static void what_only_looks_rotated_is_nobodys_business(void **state)
{
	static char numbered[] = "/var/log/worker-[0-9]", logs[] = "/var/log/*.log";
	char *paths[] = {numbered, logs};
	struct bench b;

	(void)state;
	bench_init(&b);
	b.file.paths = (struct strlist){paths, 2};
	sink_start(&b.k);
	world_append(&b.w, LOG, "07:00 a log\n");
	world_run(&b.w, 3100);
	world_append(&b.w, "/var/log/notes.log.orig", "07:01 a backup\n");
	world_append(&b.w, "/var/log/notes.log.bak", "07:01 another\n");
	world_append(&b.w, "/var/log/worker-1.1", "07:02 of a name that ends in a number\n");
	settle(&b, 5000);
	assert_int_equal(count(&b, "07:00 a log"), 1);
	assert_int_equal(count(&b, "07:01 a backup"), 0);
	assert_int_equal(count(&b, "07:01 another"), 0);
	assert_int_equal(count(&b, "07:02 of a name that ends in a number"), 1);
	bench_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_that_grows_all_the_time_is_read),
		cmocka_unit_test(what_only_looks_rotated_is_nobodys_business),
		cmocka_unit_test(another_past_that_begins_alike_is_flagged),
		cmocka_unit_test(
			what_was_read_alone_is_not_taken_for_the_other_past),
		cmocka_unit_test(what_begins_otherwise_is_not_flagged),
		cmocka_unit_test(a_stream_that_no_table_knew_makes_a_fork),
		cmocka_unit_test(alone_what_is_not_known_is_flagged),
		cmocka_unit_test(a_closed_file_is_opened_to_be_verified),
		cmocka_unit_test(
			a_closed_file_that_can_not_be_opened_now_is_asked_again),
		cmocka_unit_test(a_copy_is_judged_when_it_is_made),
		cmocka_unit_test(a_log_without_a_file_of_its_name_is_read),
		cmocka_unit_test(a_file_cut_before_the_first_read_is_another),
		cmocka_unit_test(a_copy_with_a_known_place_is_judged_when_it_is_made),
		cmocka_unit_test(a_copy_known_by_its_first_line_is_read_on),
		cmocka_unit_test(a_first_line_that_two_files_share_is_no_proof),
		cmocka_unit_test(a_copy_from_before_is_no_rest),
		cmocka_unit_test(what_came_and_went_unseen_repeats_nothing),
		cmocka_unit_test(a_clock_that_is_set_back_hides_no_file),
		cmocka_unit_test(
			a_clock_that_is_set_back_before_the_start_hides_no_file),
		cmocka_unit_test(
			a_log_from_the_future_does_not_set_the_clock_back),
		cmocka_unit_test(
			a_lost_table_and_a_clock_set_back_lose_no_copied_log),
		cmocka_unit_test(
			a_rest_that_moves_on_while_it_is_looked_for_is_no_gap),
		cmocka_unit_test(
			an_unseen_file_that_begins_like_a_stream_is_flagged),
		cmocka_unit_test(what_was_rotated_read_and_quiet_may_be_deleted),
		cmocka_unit_test(what_was_rotated_a_moment_ago_may_have_grown),
		cmocka_unit_test(
			the_rests_of_many_streams_are_found_in_one_listing),
		cmocka_unit_test(what_grew_and_was_not_read_is_missed),
		cmocka_unit_test(what_is_looked_for_is_counted),
	};

	log_set_level(getenv("TAIL_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
