/* Who gets a descriptor, and a place in the table, when somebody makes more files than
 * there are (sources/room.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/log.h"
#include "sources/tail_impl.h"
#include "tests/support/tail_sink.h"
#include "tests/support/world_compress.h"

enum { FEW = 4, MANY = 40 };

static char glob_a[] = "/srv/a/*", glob_b[] = "/srv/b/*", glob_c[] = "/srv/c/*";

struct bench {
	struct world w; /* first */
	struct sys_ops ops;
	unsigned opens;
	struct sink k;
	char *paths[3];
	struct sources_file file;
	struct sources_options options;
};

static void quiet(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static int counted_open(struct sys *s, const char *path, int flags, unsigned mode)
{
	((struct bench *)s)->opens++;
	return world_op_open(s, path, flags, mode);
}

static unsigned logged;

static void counting(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
	logged++;
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	assert_non_null(b);
	if (getenv("TAIL_TEST_LOG") == NULL) {
		log_set_sink(quiet, NULL);
	}
	world_init(&b->w, 7);
	b->ops = world_ops;
	b->ops.open = counted_open;
	b->w.sys.ops = &b->ops;
	b->paths[0] = glob_a;
	b->paths[1] = glob_b;
	b->file.paths = (struct strlist){b->paths, 2};
	b->options = (struct sources_options){
		.files = &b->file, .n_files = 1, .line_max = 16384, .max_open = FEW,
		.poll_interval_ms = 1000, .last_line_timeout_ms = 3000,
	};
	sink_init(&b->k, &b->w, &b->options);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	sink_fini(&b->k);
	world_fini(&b->w);
	log_set_sink(NULL, NULL);
	free(b);
	return 0;
}

static void pass(struct bench *b, int64_t ms)
{
	world_run(&b->w, ms);
	sink_ack_all(&b->k);
}

static void settle(struct bench *b, int64_t ms)
{
	pass(b, ms);
	assert_true(b->w.open_fds <= FEW);
}

static const char *numbered(const char *format, int i)
{
	static char path[4][64];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%.40s%02d", format, i);
	return p;
}

static unsigned count(struct bench *b, const char *text)
{
	bool flagged;

	return sink_count(&b->k, text, &flagged);
}

static void empty_files_keep_no_descriptor_from_others(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < MANY; i++) {
		world_create(&b->w, numbered("/srv/a/empty", i), 0);
	}
	sink_start(&b->k);
	settle(b, 3000);
	world_append(&b->w, "/srv/a/log", "in a\n");
	world_append(&b->w, "/srv/b/log", "in b\n");
	settle(b, 3000);
	assert_int_equal(count(b, "in a"), 1);
	assert_int_equal(count(b, "in b"), 1);
	b->opens = 0;
	settle(b, 5000);
	assert_int_equal(b->opens, 0); /* They are not opened in turn for nothing. */
	for (int i = 0; i < MANY; i++) {
		world_append(&b->w, numbered("/srv/a/empty", i), numbered("line ", i));
		world_append(&b->w, numbered("/srv/a/empty", i), "\n");
	}
	for (int i = 0; i < 30; i++) {
		settle(b, 1000);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(count(b, numbered("line ", i)), 1);
	}
	assert_int_equal(b->k.blind, 0);
}

static void empty_files_that_were_moved_away_keep_none_either(void **state)
{
	struct bench *b = *state;
	char away[64];

	sink_start(&b->k);
	for (int i = 0; i < MANY; i++) {
		world_create(&b->w, numbered("/srv/a/empty", i), 0);
		settle(b, 1500);
		snprintf(away, sizeof away, "%s", numbered("/srv/away/", i));
		world_rename(&b->w, numbered("/srv/a/empty", i), away);
		settle(b, 1500);
	}
	world_append(&b->w, "/srv/b/log", "in b\n");
	settle(b, 3000);
	assert_int_equal(count(b, "in b"), 1);
}

/* Each of them grows all the time, and none ends its line. */
static void never_rest(struct bench *b, int from, int to)
{
	for (int i = from; i < to; i++) {
		world_append(&b->w, numbered("/srv/a/busy", i), "x");
	}
}

static void files_that_never_rest_leave_room_for_another_folder(void **state)
{
	struct bench *b = *state;

	sink_start(&b->k);
	for (int i = 0; i < 10; i++) {
		never_rest(b, 0, MANY);
		settle(b, 500);
	}
	world_append(&b->w, "/srv/b/log", "one in b\n");
	for (int i = 0; i < 6; i++) {
		never_rest(b, 0, MANY);
		settle(b, 500);
	}
	assert_int_equal(count(b, "one in b"), 1);
	world_append(&b->w, "/srv/b/log", "two in b\n");
	for (int i = 0; i < 6; i++) {
		never_rest(b, 0, MANY);
		settle(b, 500);
	}
	assert_int_equal(count(b, "two in b"), 1);
}

static void files_of_one_folder_take_turns(void **state)
{
	struct bench *b = *state;
	char text[600];

	sink_start(&b->k);
	for (int i = 0; i < 10; i++) {
		never_rest(b, 0, 12);
		settle(b, 500);
	}
	world_append(&b->w, "/srv/a/log", "in a\n");
	for (int i = 0; i < 200; i++) {
		never_rest(b, 0, 12);
		settle(b, 500);
	}
	assert_int_equal(count(b, "in a"), 1);
	/* They have waited for long: that is told, once, and not again after. */
	assert_int_equal(b->k.blind, 1);
	for (int i = 0; i < 12; i++) {
		world_append(&b->w, numbered("/srv/a/busy", i), "\n");
	}
	for (int i = 0; i < 200; i++) {
		settle(b, 500);
	}
	memset(text, 'x', 210);
	text[210] = '\0';
	assert_int_equal(count(b, text), 12);
	assert_int_equal(b->k.gaps, 0);
	assert_int_equal(b->k.forks, 0);
	assert_int_equal(b->k.blind, 1);
}

static void a_file_that_is_read_on_after_its_turn_loses_and_doubles_nothing(void **state)
{
	struct bench *b = *state;

	sink_start(&b->k);
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 12; i++) {
			world_append(&b->w, numbered("/srv/a/busy", i),
				     numbered(" begun\nround ", round));
		}
		settle(b, 1000);
	}
	for (int i = 0; i < 100; i++) {
		settle(b, 1000);
	}
	for (int round = 0; round + 1 < 60; round++) {
		char text[64];

		snprintf(text, sizeof text, "%s begun", numbered("round ", round));
		assert_int_equal(count(b, text), 12);
	}
	assert_int_equal(count(b, "round 59"), 12);
	assert_int_equal(b->k.gaps, 0);
}

static void put_damaged(struct bench *b, int i, int64_t mtime_ns)
{
	char path[64];

	snprintf(path, sizeof path, "%s.gz", numbered("/srv/a/junk", i));
	world_append(&b->w, path, "\x1f\x8b\x08 no gzip");
	world_name_of(&b->w, path)->inode->mtime_ns = mtime_ns;
}

static void skipped_files_take_no_place_from_others(void **state)
{
	struct bench *b = *state;
	int64_t old = b->w.now_ns - 3600 * INT64_C(1000000000);

	for (int i = 0; i < MANY; i++) {
		put_damaged(b, i, old + i);
	}
	sink_start(&b->k);
	b->k.tail->folder_skipped = 8;
	for (int i = 0; i < 20; i++) {
		settle(b, 1000);
	}
	assert_int_equal(b->k.tail->n_skipped, 8);
	assert_int_equal(b->k.blind, 1);
	b->opens = 0;
	for (int i = 0; i < 20; i++) {
		settle(b, 1000);
	}
	assert_int_equal(b->opens, 0); /* They are not looked at for ever. */
	world_append(&b->w, "/srv/a/log", "plain\n");
	world_append(&b->w, "/srv/a/old", "packed\n");
	world_compress(&b->w, "/srv/a/old", CONTENT_GZIP, NULL, NULL);
	for (int i = 0; i < 20; i++) {
		settle(b, 1000);
	}
	assert_int_equal(count(b, "plain"), 1);
	assert_int_equal(count(b, "packed"), 1);
	assert_int_equal(b->k.blind, 1);
}

static void skipped_files_of_all_folders_have_a_bound_too(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < MANY; i++) {
		put_damaged(b, i, b->w.now_ns - i);
	}
	sink_start(&b->k);
	b->k.tail->max_skipped = 6;
	settle(b, 5000);
	assert_int_equal(b->k.tail->n_skipped, 6);
	world_append(&b->w, "/srv/b/junk.gz", "\x1f\x8b\x08 no gzip");
	settle(b, 5000);
	assert_int_equal(b->k.tail->n_skipped, 6);
	assert_non_null(file_find(b->k.tail, 1,
				  world_name_of(&b->w, "/srv/b/junk.gz")->inode->ino));
}

static void names_that_cannot_be_read_do_not_flood_the_log(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 400; i++) {
		char path[64];

		snprintf(path, sizeof path, "/srv/a/secret%03d", i);
		world_append(&b->w, path, "x\n");
		world_name_of(&b->w, path)->inode->mode = S_IFREG;
	}
	logged = 0;
	log_set_sink(counting, NULL);
	sink_start(&b->k);
	for (int i = 0; i < 60; i++) {
		settle(b, 1000);
	}
	assert_in_range(logged, TAIL_MAX_TROUBLES, TAIL_MAX_TROUBLES + 10);
}

static size_t open_in(struct bench *b, const char *path)
{
	return folder_of(b->k.tail, path)->n_open;
}

/* ---- whose streams are remembered (remember.c) ---- */

enum { KNOWN = 24, QUIET = 5 };

static size_t known_in(const struct bench *b, const char *folder)
{
	const struct tail *t = b->k.tail;
	size_t n = 0;

	for (size_t i = 0; i < t->n_known; i++) {
		n += t->known[i]->st.path != NULL &&
		     strncmp(t->known[i]->st.path, folder, strlen(folder)) == 0;
	}
	return n;
}

static void a_folder_of_many_files_does_not_push_out_what_is_known_of_another(void **state)
{
	struct bench *b = *state;
	char line[64];

	sink_start(&b->k);
	b->k.tail->max_known = KNOWN;
	b->k.forgets = true;
	for (int i = 0; i < QUIET; i++) {
		snprintf(line, sizeof line, "quiet %d\n", i);
		world_append(&b->w, numbered("/srv/b/quiet", i), line);
	}
	for (int i = 0; i < 5; i++) {
		settle(b, 1000);
	}
	/* What is forgotten of them is read again: a new stream each time. */
	for (int i = 0; i < 2 * KNOWN; i++) {
		snprintf(line, sizeof line, "many %d\n", i);
		world_append(&b->w, numbered("/srv/a/many", i), line);
		settle(b, 100);
	}
	assert_true(b->k.tail->n_known <= KNOWN);
	/* One or another of them may be open. */
	assert_true(known_in(b, "/srv/b/") + open_in(b, "/srv/b/") >= QUIET);
	for (int i = 0; i < QUIET; i++) {
		world_append(&b->w, numbered("/srv/b/quiet", i), "more\n");
		settle(b, 1000);
	}
	assert_int_equal(count(b, "more"), QUIET);
	for (int i = 0; i < QUIET; i++) {
		snprintf(line, sizeof line, "quiet %d", i);
		assert_int_equal(count(b, line), 1);
	}
}

static void of_more_than_can_be_saved_each_folder_keeps_some(void **state)
{
	struct bench *b = *state;
	struct tail *t;

	sink_start(&b->k);
	for (int i = 0; i < QUIET; i++) {
		world_append(&b->w, numbered("/srv/b/quiet", i), "quiet\n");
		settle(b, 300);
	}
	for (int i = 0; i < MANY; i++) {
		world_append(&b->w, numbered("/srv/a/many", i), numbered("many ", i));
		world_append(&b->w, numbered("/srv/a/many", i), "\n");
		settle(b, 300);
	}
	t = b->k.tail;
	known_sort(t);
	assert_true(t->n_known > 3 * QUIET);
	t->n_known = 3 * QUIET; /* As if there was no room for the others. */
	assert_true(known_in(b, "/srv/b/") + open_in(b, "/srv/b/") >= QUIET);
	t->n_known = MANY + QUIET - t->n_open;
}

static char glob_w[] = "/srv/*/log";

static void folders_that_a_wildcard_matches_do_not_push_out_another_pattern_s(void **state)
{
	struct bench *b = *state;
	char path[64];

	b->paths[1] = glob_w;
	sink_start(&b->k);
	b->k.tail->max_known = KNOWN;
	b->k.forgets = true;
	for (int i = 0; i < QUIET; i++) {
		world_append(&b->w, numbered("/srv/a/quiet", i), "quiet\n");
		settle(b, 1000);
	}
	for (int i = 0; i < 2 * KNOWN; i++) {
		snprintf(path, sizeof path, "%s/log", numbered("/srv/w", i));
		world_append(&b->w, path, numbered("many ", i));
		world_append(&b->w, path, "\n");
		settle(b, 400);
	}
	assert_true(b->k.tail->n_known <= KNOWN);
	assert_true(known_in(b, "/srv/a/") + open_in(b, "/srv/a/") >= QUIET);
	for (int i = 0; i < QUIET; i++) {
		world_append(&b->w, numbered("/srv/a/quiet", i), "more\n");
		settle(b, 1000);
	}
	assert_int_equal(count(b, "more"), QUIET);
	assert_int_equal(count(b, "quiet"), QUIET);
}

/* ---- more files than are remembered (forget.c) ---- */

enum { HOUR_MS = 3600000, SECONDS = 90 };

static void a_second_each(struct bench *b, int n)
{
	for (int i = 0; i < n; i++) {
		settle(b, 1000);
	}
}

static void put_many(struct bench *b, int from, int to)
{
	char line[64];

	for (int i = from; i < to; i++) {
		snprintf(line, sizeof line, "many %02d\n", i);
		world_append(&b->w, numbered("/srv/a/many", i), line);
		settle(b, 300);
	}
}

static unsigned most_of_many(struct bench *b, int n, unsigned *all)
{
	unsigned most = 0;

	*all = 0;
	for (int i = 0; i < n; i++) {
		unsigned c = count(b, numbered("many ", i));

		*all += c;
		most = c > most ? c : most;
	}
	return most;
}

static void of_more_files_than_are_remembered_some_wait_and_none_comes_twice(void **state)
{
	struct bench *b = *state;
	unsigned opens, all;

	sink_start(&b->k);
	b->k.tail->max_known = KNOWN;
	put_many(b, 0, MANY);
	a_second_each(b, SECONDS);
	opens = b->opens;
	a_second_each(b, SECONDS);
	assert_int_equal(most_of_many(b, MANY, &all), 1);
	assert_int_equal(all, KNOWN);
	assert_true(b->opens - opens <= KNOWN);
	assert_int_equal(b->k.blind, 1);
	/* Where some are deleted, others are read. */
	for (int i = 0; i < MANY - KNOWN; i++) {
		world_unlink(&b->w, numbered("/srv/a/many", i));
	}
	a_second_each(b, SECONDS);
	assert_int_equal(most_of_many(b, MANY, &all), 1);
	assert_int_equal(all, MANY);
	assert_int_equal(b->k.forks, 0);
	assert_int_equal(b->k.blind, 1);
}

static void what_was_not_written_to_for_long_is_forgotten_for_a_new_file(void **state)
{
	struct bench *b = *state;
	unsigned opens, all;

	sink_start(&b->k);
	b->k.tail->max_known = KNOWN;
	put_many(b, 0, KNOWN);
	a_second_each(b, 10);
	settle(b, HOUR_MS);
	put_many(b, KNOWN, KNOWN + QUIET);
	a_second_each(b, SECONDS);
	opens = b->opens;
	a_second_each(b, SECONDS);
	assert_int_equal(most_of_many(b, KNOWN + QUIET, &all), 1);
	assert_int_equal(all, KNOWN + QUIET);
	assert_true(b->opens - opens <= KNOWN);
	assert_int_equal(b->k.forks, 0);
	/* One that was forgotten comes again when it is written to: flagged. */
	world_append(&b->w, numbered("/srv/a/many", 0), "more of it\n");
	a_second_each(b, 10);
	assert_int_equal(count(b, "more of it"), 1);
	assert_int_equal(count(b, "many 00"), 2);
	assert_int_equal(b->k.forks, 1);
}

/* ---- a compressed file that holds too much ---- */

static void put_bomb(struct bench *b, const char *path)
{
	const size_t n = (size_t)CONTENT_FREE + 32 * 1024 * 1024;
	char *zeros = calloc(1, n);
	unsigned char *packed = malloc(compress_bound(n / 64));
	size_t n_packed;

	assert_non_null(zeros);
	assert_non_null(packed);
	memset(zeros, '\n', n);
	n_packed = ZSTD_compress(packed, compress_bound(n / 64), zeros, n, 1);
	assert_false(ZSTD_isError(n_packed));
	if (world_name(&b->w, path) != NULL) {
		world_unlink(&b->w, path);
	}
	world_write(&b->w, path, packed, n_packed);
	free(zeros);
	free(packed);
}

static void a_question_does_not_wait_for_ever_while_files_are_unpacked(void **state)
{
	struct bench *b = *state;
	const struct sink_row *row;
	struct tail *t;
	unsigned steps = 0;

	sink_start(&b->k);
	world_append(&b->w, "/srv/b/log", "in b\n");
	settle(b, 3000);
	t = b->k.tail;
	row = &b->k.stored[0];
	put_bomb(b, "/srv/a/large.zst");
	scan_run(t);
	packed_begin(t->files[t->n_files - 1]);
	assert_true(identify_step(t));
	assert_int_equal(tail_verify(t, &row->id, row->end, row->h), 0);
	for (int i = 0; i < 8; i++) {
		assert_true(identify_step(t));
	}
	/* Files go first; but not for ever. */
	assert_int_equal(b->k.verified, 0);
	t->verify[0].asked_ns -= INT64_C(11000000000);
	while (b->k.verified == 0 && steps < 8) {
		steps++;
		assert_true(identify_step(t));
	}
	assert_int_equal(b->k.verified, 1);
	assert_int_equal(b->k.answer, 1);
	/* It goes on all the while. */
	assert_int_equal(t->files[t->n_files - 1]->state, FILE_UNPACKING);
	assert_true(t->files[t->n_files - 1]->size > 0);
}

static void a_bomb_is_told_once_and_not_decoded_again_and_again(void **state)
{
	struct bench *b = *state;

	sink_start(&b->k);
	put_bomb(b, "/srv/a/bomb.zst");
	world_append(&b->w, "/srv/a/log", "in a\n");
	for (int i = 0; i < 5; i++) {
		settle(b, 1000);
	}
	assert_int_equal(b->k.blind, 1);
	assert_int_equal(count(b, "in a"), 1);
	assert_int_equal(b->k.n_stored, 1);
	b->opens = 0;
	for (int i = 0; i < 20; i++) {
		world_append(&b->w, "/srv/a/bomb.zst", "x");
		settle(b, 1000);
	}
	assert_int_equal(b->opens, 0);
	settle(b, TAIL_ASIDE_MS);
	world_append(&b->w, "/srv/a/bomb.zst", "x");
	settle(b, 3000);
	assert_true(b->opens > 0);
	assert_int_equal(b->k.blind, 1);
	assert_int_equal(b->k.n_stored, 1);
}

/* A search for rotated logs finds it, not a glob. */
static void a_bomb_beside_a_glob_is_decoded_once(void **state)
{
	static char alone[] = "/srv/a/log";
	struct bench *b = *state;

	b->paths[0] = alone;
	b->file.paths.n = 1;
	sink_start(&b->k);
	world_append(&b->w, "/srv/a/log", "one\n");
	settle(b, 3000);
	put_bomb(b, "/srv/a/log.2.zst");
	world_rename(&b->w, "/srv/a/log", "/srv/a/log.1");
	world_append(&b->w, "/srv/a/log", "two\n");
	settle(b, 5000);
	assert_int_equal(b->k.blind, 1);
	b->opens = 0;
	for (int i = 0; i < 20; i++) {
		world_append(&b->w, "/srv/a/log.2.zst", "x");
		settle(b, 1000);
	}
	assert_int_equal(b->opens, 0);
	assert_int_equal(count(b, "one"), 1);
	assert_int_equal(count(b, "two"), 1);
	assert_int_equal(b->k.n_stored, 2);
}

/* ---- who has to give way (rather() of room.c) ---- */

static void grow(struct bench *b, const char *format, int from, int to)
{
	for (int i = from; i < to; i++) {
		world_append(&b->w, numbered(format, i), "x");
	}
}

static bool is_open(struct bench *b, const char *path)
{
	struct file *f = file_find(b->k.tail, 1, world_name_of(&b->w, path)->inode->ino);

	return f != NULL && f->fd >= 0;
}

static void a_file_without_a_name_gives_way_last(void **state)
{
	struct bench *b = *state;

	sink_start(&b->k);
	/* The one that goes is the oldest of the largest folder. */
	for (int i = 0; i < FEW; i++) {
		grow(b, "/srv/a/busy", i, i + 1);
		settle(b, 200);
	}
	world_rename(&b->w, numbered("/srv/a/busy", 0), "/srv/away/gone");
	grow(b, "/srv/a/busy", 1, FEW);
	settle(b, 1100);
	world_append(&b->w, "/srv/away/gone", "y");
	grow(b, "/srv/a/busy", 1, FEW);
	world_append(&b->w, "/srv/b/log", "in b\n");
	settle(b, 600);
	assert_int_equal(count(b, "in b"), 1);
	assert_true(is_open(b, "/srv/away/gone"));
	world_append(&b->w, "/srv/away/gone", " rest\n");
	settle(b, 1500);
	assert_int_equal(count(b, "xy rest"), 1);
}

static void the_folder_that_has_most_gives_way_and_in_it_the_one_read_for_longest(void **state)
{
	struct bench *b = *state;

	b->options.max_open = 8;
	b->paths[2] = glob_c;
	b->file.paths.n = 3;
	sink_start(&b->k);
	for (int i = 0; i < 3; i++) {
		grow(b, "/srv/b/busy", i, i + 1);
		pass(b, 200);
	}
	/* Not in the order of their names. */
	for (int i = 4; i >= 0; i--) {
		grow(b, "/srv/a/busy", i, i + 1);
		pass(b, 200);
	}
	assert_int_equal(open_in(b, "/srv/a/"), 5);
	assert_int_equal(open_in(b, "/srv/b/"), 3);
	grow(b, "/srv/a/busy", 0, 5);
	grow(b, "/srv/b/busy", 0, 3);
	world_append(&b->w, "/srv/c/log", "in c\n");
	pass(b, 600);
	assert_int_equal(count(b, "in c"), 1);
	assert_int_equal(open_in(b, "/srv/c/"), 1);
	assert_int_equal(open_in(b, "/srv/a/"), 4);
	assert_int_equal(open_in(b, "/srv/b/"), 3);
	assert_false(is_open(b, numbered("/srv/a/busy", 4)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(empty_files_keep_no_descriptor_from_others),
		TEST(empty_files_that_were_moved_away_keep_none_either),
		TEST(files_that_never_rest_leave_room_for_another_folder),
		TEST(files_of_one_folder_take_turns),
		TEST(a_file_that_is_read_on_after_its_turn_loses_and_doubles_nothing),
		TEST(skipped_files_take_no_place_from_others),
		TEST(skipped_files_of_all_folders_have_a_bound_too),
		TEST(names_that_cannot_be_read_do_not_flood_the_log),
		TEST(a_folder_of_many_files_does_not_push_out_what_is_known_of_another),
		TEST(of_more_than_can_be_saved_each_folder_keeps_some),
		TEST(folders_that_a_wildcard_matches_do_not_push_out_another_pattern_s),
		TEST(of_more_files_than_are_remembered_some_wait_and_none_comes_twice),
		TEST(what_was_not_written_to_for_long_is_forgotten_for_a_new_file),
		TEST(a_question_does_not_wait_for_ever_while_files_are_unpacked),
		TEST(a_bomb_is_told_once_and_not_decoded_again_and_again),
		TEST(a_bomb_beside_a_glob_is_decoded_once),
		TEST(a_file_without_a_name_gives_way_last),
		TEST(the_folder_that_has_most_gives_way_and_in_it_the_one_read_for_longest),
	};

	return cmocka_run_group_tests_name("tail_room", tests, NULL, NULL);
}
