/* Unit tests of sources/watch.h and sources/watch_table.h: real files in a folder of
 * their own. */
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

#include "common/log.h"
#include "sources/watch.h"
#include "tests/support/fault_sys.h"

enum { TEXT = 1024 * 1024, PATIENCE_MS = 10000, NOBODY = 65534 };

struct world {
	uv_loop_t loop;
	struct sys_uv sys;
	struct fault_sys fault;
	struct sources_options options;
	struct strlist more;
	struct source *source;
	unsigned char secret[STREAM_SECRET];
	char dir[64];
	char text[TEXT]; /* lines from their word on, each with a newline */
	size_t room;
	unsigned refused; /* chunks, for want of it */
	uint64_t position;
	struct stream_id id;
	int opened, closed, blind, deleted;
	struct buf saved;
};

/* ---- who takes the lines ---- */

static void on_opened(void *arg, struct stream *s)
{
	struct world *w = arg;

	assert_true(s->kept);
	w->opened++;
	w->id = s->st.id;
}

static size_t on_chunk(void *arg, struct stream *s, struct slice data, unsigned flags)
{
	struct world *w = arg;
	struct slice rest = data, text;
	struct line line;
	size_t n;

	(void)flags;
	w->refused += w->room == 0;
	while (w->room > 0 && lines_next(&s->lines, &rest, false, &line)) {
		w->room--;
		w->position = line.end;
		n = slice_find(line.text, SLICE_LIT(" gw nightjar-watch: "));
		assert_true(n != SIZE_MAX);
		assert_true(slice_starts(line.text, SLICE_LIT("<85>20")));
		text = slice_skip(line.text, n + 20);
		w->deleted += slice_starts(text, SLICE_LIT("deleted "));
		n = strlen(w->text);
		snprintf(w->text + n, TEXT - n, "%.*s\n", SLICE_ARG(text));
	}
	return data.n - rest.n;
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	(void)s;
	(void)why;
	((struct world *)arg)->closed++;
}

static void on_blind(void *arg, struct slice subject, struct slice detail)
{
	assert_true(subject.n > 0 && subject.p[0] == '/');
	assert_true(detail.n > 0);
	((struct world *)arg)->blind++;
}

static const struct tail_callbacks callbacks = {
	.opened = on_opened, .chunk = on_chunk, .closed = on_closed, .blind = on_blind};

static char *in_dir(const struct world *w, const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", w->dir, name);
	return p;
}

static void put(const struct world *w, const char *name, const char *text)
{
	FILE *f = fopen(in_dir(w, name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	sys_uv_init(&w->sys, &w->loop);
	fault_sys_init(&w->fault, -1, 0);
	w->fault.real = &w->sys.sys;
	snprintf(w->dir, sizeof w->dir, "/tmp/test-watch-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->options.line_max = 65536;
	w->options.last_line_timeout_ms = 1000;
	w->options.watch.enabled = true;
	w->options.watch.poll_ms = 30;
	w->options.watch.hash_ms = 100000;
	w->options.watch.hash_max = 65536 * 4;
	assert_int_equal(strlist_add(&w->options.watch.paths, slice_str(in_dir(w, "*"))), 0);
	w->room = SIZE_MAX;
	buf_init(&w->saved, 1 << 20);
	log_set_level(LOG_LEVEL_ERROR);
	*state = w;
	return 0;
}

static void run(struct world *w, int ms)
{
	for (int i = 0; i < ms; i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static int make(struct world *w)
{
	struct watch_params p = {.sys = &w->fault.sys, .options = &w->options,
				 .more = &w->more, .host = "gw", .secret = w->secret,
				 .cb = &callbacks, .arg = w};

	return watch_new(&w->source, &p);
}

static void start(struct world *w)
{
	w->text[0] = '\0';
	assert_int_equal(make(w), 0);
	if (w->saved.n > 0) {
		assert_int_equal(w->source->ops->load(w->source, buf_slice(&w->saved)), 0);
	}
	assert_int_equal(w->source->ops->start(w->source), 0);
	run(w, 80);
}

static void stop(struct world *w)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	w->source->ops->stop(w->source);
	if (w->source->ops->save(w->source, &out, true) == 1) {
		buf_fini(&w->saved);
		w->saved = out;
	} else {
		buf_fini(&out);
	}
	w->source->ops->free(w->source);
	w->source = NULL;
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(w->closed, w->opened);
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char command[96];

	if (w->source != NULL) {
		stop(w);
	}
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	strlist_fini(&w->options.watch.paths);
	strlist_fini(&w->options.watch.exclude);
	strlist_fini(&w->more);
	buf_fini(&w->saved);
	snprintf(command, sizeof command, "rm -rf '%.60s'", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static void wait_for(struct world *w, const char *part)
{
	for (int i = 0; i < PATIENCE_MS && strstr(w->text, part) == NULL; i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	if (strstr(w->text, part) == NULL) {
		fail_msg("waited too long for \"%s\" in \"%.800s\"", part, w->text);
	}
}

/* Of printf 'one' | sha256sum, and of 'two'. */
#define ONE "sha256=7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define TWO "sha256=3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"

/* ---- tests ---- */

static void what_is_there_at_first_is_no_news(void **state)
{
	struct world *w = *state;

	put(w, "a", "one");
	start(w);
	assert_string_equal(w->text, "");
}

static void a_change_is_told_with_before_and_after(void **state)
{
	struct world *w = *state;
	char want[160];

	put(w, "a", "one");
	assert_int_equal(chmod(in_dir(w, "a"), 0600), 0);
	start(w);
	put(w, "a", "two");
	wait_for(w, "modified");
	snprintf(want, sizeof want, "modified path=\"%s/a\" uid=%u gid=%u mode=0600 size=3 mtime=",
		 w->dir, getuid(), getgid());
	assert_int_equal(strncmp(w->text, want, strlen(want)), 0);
	wait_for(w, TWO " was uid=");
	wait_for(w, ONE "\n");
	assert_null(strstr(w->text, "two"));
}

/* Who may write in one watched folder must not blind the watch on all others. */
static void changes_without_end_do_not_put_the_look_off(void **state)
{
	struct world *w = *state;

	w->options.watch.poll_ms = 1000000;
	put(w, "a", "one");
	put(w, "b", "one");
	start(w);
	put(w, "b", "two");
	for (int i = 0; i < PATIENCE_MS / 5 && strstr(w->text, "/b\"") == NULL; i++) {
		put(w, "a", i % 2 == 0 ? "one" : "two");
		run(w, 5);
	}
	assert_non_null(strstr(w->text, "modified"));
	assert_non_null(strstr(w->text, "/b\""));
}

static void made_and_deleted_files_are_told(void **state)
{
	struct world *w = *state;

	start(w);
	put(w, "new", "one");
	wait_for(w, "created path=");
	assert_null(strstr(w->text, " was "));
	assert_int_equal(unlink(in_dir(w, "new")), 0);
	wait_for(w, "deleted path=");
	wait_for(w, "new\" was uid=");
}

static void one_that_was_renamed_over_is_told(void **state)
{
	struct world *w = *state;

	put(w, "a", "one");
	assert_int_equal(mkdir(in_dir(w, ".hidden"), 0755), 0);
	put(w, ".hidden/a", "one");
	start(w);
	assert_int_equal(rename(in_dir(w, ".hidden/a"), in_dir(w, "a")), 0);
	wait_for(w, "replaced path=");
	assert_null(strstr(w->text, "modified"));
}

static void owner_and_mode_are_told(void **state)
{
	struct world *w = *state;

	put(w, "a", "one");
	assert_int_equal(chmod(in_dir(w, "a"), 0600), 0);
	start(w);
	assert_int_equal(chmod(in_dir(w, "a"), 04755), 0);
	wait_for(w, "permission path=");
	wait_for(w, " mode=4755 ");
	wait_for(w, " mode=0600 ");
}

static void content_that_changed_behind_its_time_is_found_by_its_hash(void **state)
{
	struct world *w = *state;
	struct stat st;
	struct timespec times[2];

	put(w, "a", "one");
	w->options.watch.hash_ms = 50;
	start(w);
	assert_int_equal(stat(in_dir(w, "a"), &st), 0);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	put(w, "a", "two");
	assert_int_equal(utimensat(AT_FDCWD, in_dir(w, "a"), times, 0), 0);
	wait_for(w, "modified path=");
	wait_for(w, TWO);
}

static void a_change_while_nobody_looked_is_told_by_the_next_process(void **state)
{
	struct world *w = *state;

	put(w, "a", "one");
	put(w, "b", "one");
	start(w);
	stop(w);
	assert_true(w->saved.n > 0);
	put(w, "a", "two");
	assert_int_equal(unlink(in_dir(w, "b")), 0);
	put(w, "c", "one");
	start(w);
	wait_for(w, "modified path=");
	wait_for(w, "deleted path=");
	wait_for(w, "created path=");
	stop(w);
	start(w);
	run(w, 60);
	assert_string_equal(w->text, "");
}

static void state_is_saved_only_when_the_line_is_safe(void **state)
{
	struct world *w = *state;
	struct buf out;

	buf_init(&out, 1 << 20);
	put(w, "a", "one");
	start(w);
	assert_int_equal(w->source->ops->save(w->source, &out, false), 1);
	put(w, "a", "two");
	wait_for(w, "modified");
	buf_clear(&out);
	assert_int_equal(w->source->ops->save(w->source, &out, false), 0);
	assert_int_equal(w->source->ops->watermark(w->source, &w->id, w->position, 0), 0);
	assert_int_equal(w->source->ops->save(w->source, &out, false), 1);
	assert_int_equal(w->source->ops->save(w->source, &out, false), 0);
	buf_fini(&out);
}

static void without_room_a_change_waits_and_is_told_later(void **state)
{
	struct world *w = *state;
	struct buf out;
	char name[32];

	w->options.line_max = 256; /* The buffer is a chunk all the same. */
	start(w);
	w->room = 0;
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "f%04d", i);
		put(w, name, "x");
	}
	for (int i = 0; i < PATIENCE_MS && w->refused == 0; i++) {
		run(w, 1);
	}
	assert_true(w->refused > 0);
	buf_init(&out, 1 << 20);
	assert_int_equal(w->source->ops->save(w->source, &out, true), 0);
	w->room = SIZE_MAX;
	for (int i = 0; i < PATIENCE_MS && strlen(w->text) <= TEXT / 2; i++) {
		w->source->ops->resume(w->source);
		run(w, 1);
		if (strstr(w->text, "f0000") != NULL) {
			break;
		}
	}
	buf_fini(&out);
	assert_true(strstr(w->text, "f0000") != NULL);
}

static void a_file_larger_than_the_limit_is_not_read(void **state)
{
	struct world *w = *state;

	put(w, "a", "one");
	start(w);
	assert_int_equal(truncate(in_dir(w, "a"), 65536 * 5), 0);
	wait_for(w, "size=327680 ");
	wait_for(w, "sha256=too-large");
}

static void a_large_file_is_hashed_in_slices(void **state)
{
	struct world *w = *state;

	w->options.watch.hash_max = 64 << 20;
	put(w, "a", "one");
	start(w);
	assert_int_equal(truncate(in_dir(w, "a"), 8 << 20), 0);
	/* printf one >a; truncate -s 8M a; sha256sum a */
	wait_for(w, "size=8388608 ");
	wait_for(w, "sha256=");
	assert_null(strstr(w->text, "too-large"));
}

static void what_cannot_be_read_is_watched_by_its_stat(void **state)
{
	struct world *w = *state;

	put(w, "a", "one");
	assert_int_equal(chmod(in_dir(w, "a"), 0200), 0);
	/* Root reads everything: for once it is somebody else. */
	if (getuid() == 0) {
		assert_int_equal(chown(in_dir(w, "a"), NOBODY, NOBODY), 0);
		assert_int_equal(chown(in_dir(w, ""), NOBODY, NOBODY), 0);
		assert_int_equal(seteuid(NOBODY), 0);
	}
	start(w);
	assert_int_equal(truncate(in_dir(w, "a"), 10), 0);
	wait_for(w, "sha256=unreadable");
	if (getuid() == 0) {
		assert_int_equal(seteuid(0), 0);
	}
}

static void a_new_pattern_brings_no_news(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkdir(in_dir(w, "sub"), 0755), 0);
	put(w, "sub/x", "one");
	put(w, "a", "one");
	start(w);
	stop(w);
	assert_int_equal(strlist_add(&w->more, slice_str(in_dir(w, "sub/*"))), 0);
	start(w);
	run(w, 60);
	assert_string_equal(w->text, "");
	put(w, "sub/y", "one");
	wait_for(w, "sub/y");
}

static void a_pattern_that_matched_nothing_yet_is_known_to_the_next_process(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkdir(in_dir(w, "sub"), 0755), 0);
	put(w, "a", "one");
	start(w);
	stop(w);
	assert_int_equal(strlist_add(&w->more, slice_str(in_dir(w, "sub/*"))), 0);
	start(w);
	stop(w);
	put(w, "sub/new", "one");
	start(w);
	wait_for(w, "created path=");
	wait_for(w, "sub/new\" uid=");
}

static void wait_for_blindness(struct world *w, int times)
{
	for (int i = 0; i < PATIENCE_MS && w->blind < times; i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	assert_int_equal(w->blind, times);
}

static void put_many(const struct world *w, int n)
{
	char name[32];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof name, "many%05d", i);
		put(w, name, "");
	}
}

static void many_names_of_one_pattern_leave_room_for_the_others(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkdir(in_dir(w, "sub"), 0755), 0);
	assert_int_equal(strlist_add(&w->more, slice_str(in_dir(w, "sub/*"))), 0);
	put_many(w, WATCH_FILES_MAX + 100);
	start(w);
	wait_for_blindness(w, 1);
	put(w, "sub/x", "one");
	wait_for(w, "sub/x\" uid=");
	put(w, "sub/x", "two");
	wait_for(w, TWO);
	assert_int_equal(w->deleted, 0);
}

static void a_file_for_which_there_is_no_room_is_not_gone(void **state)
{
	struct world *w = *state;

	put(w, "a", "one");
	put(w, "z", "one");
	start(w);
	put_many(w, WATCH_FILES_MAX + 100);
	wait_for_blindness(w, 1);
	run(w, 200);
	put(w, "z", "two");
	/* The text has no room for as many; the hash has a line of its own. */
	w->text[0] = '\0';
	wait_for(w, TWO);
	assert_int_equal(w->deleted, 0);
	assert_int_equal(w->blind, 1);
	assert_int_equal(unlink(in_dir(w, "a")), 0);
	w->text[0] = '\0';
	wait_for(w, "deleted path=");
	assert_int_equal(w->deleted, 1);
}

static unsigned long scans(const struct world *w)
{
	struct buf b;
	struct json j;
	unsigned long n;

	buf_init(&b, 4096);
	j = json_begin(&b);
	json_object(&j, NULL);
	w->source->ops->status(w->source, &j);
	json_object_end(&j);
	assert_int_equal(json_end(&j), 0);
	assert_int_equal(buf_add_u8(&b, 0), 0);
	n = strtoul(strstr(b.p, "\"scans\":") + 8, NULL, 10);
	buf_fini(&b);
	return n;
}

static void wait_scans(struct world *w, unsigned long n)
{
	for (int i = 0; i < PATIENCE_MS && scans(w) < n; i++) {
		run(w, 1);
	}
	assert_true(scans(w) >= n);
}

static void other_patterns_take_effect_while_it_watches(void **state)
{
	struct world *w = *state;
	struct sources_options next = w->options;
	struct watch_settings *s;

	assert_int_equal(mkdir(in_dir(w, "other"), 0700), 0);
	put(w, "a", "one");
	put(w, "other/b", "one");
	start(w);
	wait_scans(w, 1);
	next.watch.paths = (struct strlist){NULL, 0};
	assert_int_equal(strlist_add(&next.watch.paths, slice_str(in_dir(w, "other/*"))), 0);
	assert_int_equal(watch_prepare(&s, w->source, &next), 0);
	watch_drop(s); /* Nothing has happened. */
	put(w, "a", "two, longer");
	wait_for(w, "modified path=");
	assert_int_equal(watch_prepare(&s, w->source, &next), 0);
	watch_take(s, w->source);
	strlist_fini(&next.watch.paths); /* Nobody looks at it any more. */
	w->text[0] = '\0';
	wait_scans(w, scans(w) + 2);
	put(w, "a", "three, longest");
	put(w, "other/b", "two, longer");
	wait_for(w, "/other/b");
	wait_scans(w, scans(w) + 2);
	assert_null(strstr(w->text, "created"));
	assert_null(strstr(w->text, "deleted"));
	assert_null(strstr(w->text, "/a\""));
}

static void excluded_files_are_left_alone(void **state)
{
	struct world *w = *state;

	assert_int_equal(strlist_add(&w->options.watch.exclude, slice_str(in_dir(w, "*.swp"))),
			 0);
	start(w);
	put(w, "a.swp", "x");
	put(w, "b", "x");
	wait_for(w, "/b\"");
	assert_null(strstr(w->text, "swp"));
}

static void a_name_cannot_forge_a_field_or_a_line(void **state)
{
	struct world *w = *state;

	start(w);
	put(w, "a\" uid=0 x=\"\nb\\", "x");
	wait_for(w, "a\\x22 uid=0 x=\\x22\\x0ab\\x5c\" uid=");
}

/* Each call fails once: no change is made up, and none is lost. */
static void every_failing_call_neither_loses_nor_invents(void **state)
{
	static const int errors[] = {UV_EIO, UV_EACCES, UV_ENOMEM};
	struct world *w = *state;

	put(w, "a", "one");
	put(w, "b", "one");
	start(w);
	for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
		for (int n = 0; n < 12; n++) {
			w->text[0] = '\0';
			w->fault.error = errors[e];
			w->fault.fired = false;
			w->fault.countdown = n;
			put(w, "a", n % 2 == 0 ? "two" : "one");
			wait_for(w, "a\" uid=");
			run(w, 5);
			assert_null(strstr(w->text, "deleted"));
			assert_null(strstr(w->text, "created"));
			assert_null(strstr(w->text, "/b\""));
		}
		w->fault.countdown = -1;
		run(w, 100);
	}
}

static void every_failing_call_while_it_is_made_leaves_nothing(void **state)
{
	struct world *w = *state;
	int rc = -1;

	for (int n = 0; rc != 0 && n < 20; n++) {
		w->fault.fired = false;
		w->fault.countdown = n;
		w->fault.error = UV_EIO;
		rc = make(w);
		assert_true(rc == 0 ? !w->fault.fired : rc == UV_EIO);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	w->fault.countdown = -1;
	assert_int_equal(rc, 0);
	w->source->ops->free(w->source);
	w->source = NULL;
}

static void a_table_comes_back_as_it_was(void **state)
{
	struct watch_table t = {0}, out;
	struct strlist patterns = {0}, back;
	char a[] = "/a", b[] = "/b";
	struct watched w = {.path = b, .st = {1, 2, 3, -4, 0100644, 6, 7, 0},
			    .hash = WATCH_HASHED, .sha256 = {9}};
	struct buf bytes;

	(void)state;
	buf_init(&bytes, 4096);
	assert_int_equal(strlist_add(&patterns, SLICE_LIT("/*")), 0);
	assert_int_equal(watch_table_put(&t, &w), 0);
	w.path = a;
	w.hash = WATCH_TOO_LARGE;
	assert_int_equal(watch_table_put(&t, &w), 0);
	assert_string_equal(t.v[0].path, "/a");
	assert_int_equal(watch_table_encode(&t, &patterns, &bytes), 0);
	assert_int_equal(watch_table_decode(&out, &back, buf_slice(&bytes)), 0);
	assert_int_equal(out.n, 2);
	assert_int_equal(out.v[1].st.mtime_ns, -4);
	assert_int_equal(out.v[1].sha256[0], 9);
	assert_int_equal(watch_compare(&t.v[1], &out.v[1]), WATCH_SAME);
	assert_string_equal(back.v[0], "/*");
	watch_table_fini(&out);
	strlist_fini(&back);
	for (size_t n = 0; n < bytes.n; n++) {
		assert_int_not_equal(watch_table_decode(&out, &back, slice(bytes.p, n)), 0);
	}
	watch_table_fini(&t);
	strlist_fini(&patterns);
	buf_fini(&bytes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_there_at_first_is_no_news),
		TEST(a_change_is_told_with_before_and_after),
		TEST(changes_without_end_do_not_put_the_look_off),
		TEST(made_and_deleted_files_are_told),
		TEST(one_that_was_renamed_over_is_told),
		TEST(owner_and_mode_are_told),
		TEST(content_that_changed_behind_its_time_is_found_by_its_hash),
		TEST(a_change_while_nobody_looked_is_told_by_the_next_process),
		TEST(state_is_saved_only_when_the_line_is_safe),
		TEST(without_room_a_change_waits_and_is_told_later),
		TEST(a_file_larger_than_the_limit_is_not_read),
		TEST(a_large_file_is_hashed_in_slices),
		TEST(what_cannot_be_read_is_watched_by_its_stat),
		TEST(a_new_pattern_brings_no_news),
		TEST(a_pattern_that_matched_nothing_yet_is_known_to_the_next_process),
		TEST(many_names_of_one_pattern_leave_room_for_the_others),
		TEST(a_file_for_which_there_is_no_room_is_not_gone),
		TEST(other_patterns_take_effect_while_it_watches),
		TEST(excluded_files_are_left_alone),
		TEST(a_name_cannot_forge_a_field_or_a_line),
		TEST(every_failing_call_neither_loses_nor_invents),
		TEST(every_failing_call_while_it_is_made_leaves_nothing),
		cmocka_unit_test(a_table_comes_back_as_it_was),
	};

	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
