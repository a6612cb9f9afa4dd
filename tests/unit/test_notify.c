/* File systems that do not tell of changes (sources/fstype.h), and what a server does to
 * a file that is open (sources/follow.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "common/log.h"
#include "common/sys_uv.h"
#include "sources/fstype.h"
#include "tests/support/tail_sink.h"

enum { NFS = 0x6969, EXT4 = 0xef53, OVERLAY = 0x794c7630 };

struct bench {
	struct world w; /* first */
	struct sys_ops ops;
	uint64_t type;   /* of the file system */
	int type_error;
	int asked;
	const struct world_inode *stale;
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

static int op_fs_type(struct sys *s, const char *path, uint64_t *out)
{
	struct bench *b = (struct bench *)s;

	assert_string_equal(path, "/var/log");
	b->asked++;
	*out = b->type;
	return b->type_error;
}

static int op_fstat(struct sys *s, int fd, struct sys_stat *out)
{
	struct bench *b = (struct bench *)s;

	return b->stale != NULL && b->w.fds[fd] == b->stale ? -ESTALE
							    : world_op_fstat(s, fd, out);
}

static int set_up(void **state)
{
	static char glob[] = "/var/log/*.log";
	struct bench *b = calloc(1, sizeof *b);

	assert_non_null(b);
	if (getenv("TAIL_TEST_LOG") == NULL) {
		log_set_sink(quiet, NULL);
	}
	world_init(&b->w, 7);
	b->ops = world_ops;
	b->ops.fs_type = op_fs_type;
	b->ops.fstat = op_fstat;
	b->w.sys.ops = &b->ops;
	b->type = EXT4;
	b->paths[0] = glob;
	b->file.paths = (struct strlist){b->paths, 1};
	b->options = (struct sources_options){
		.files = &b->file, .n_files = 1, .line_max = 16384,
		.poll_interval_ms = 1000, .last_line_timeout_ms = 3000,
	};
	sink_init(&b->k, &b->w, &b->options);
	world_append(&b->w, "/var/log/app.log", "first\n");
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

static unsigned watches(const struct bench *b)
{
	unsigned n = 0;

	for (int i = 0; i < WORLD_WATCHES; i++) {
		n += b->w.watches[i].used;
	}
	return n;
}

static unsigned after(struct bench *b, int64_t ms, const char *text)
{
	bool flagged;

	world_run(&b->w, ms);
	sink_ack_all(&b->k);
	return sink_count(&b->k, text, &flagged);
}

static void a_local_file_system_is_believed(void **state)
{
	struct bench *b = *state;

	sink_start(&b->k);
	assert_int_equal(after(b, 5, "first"), 1);
	assert_int_equal(watches(b), 1);
	world_append(&b->w, "/var/log/app.log", "second\n");
	assert_int_equal(after(b, 5, "second"), 1);
	assert_int_equal(after(b, 5000, "first"), 1);
	assert_int_equal(b->asked, 1);
}

static void one_that_changes_elsewhere_is_polled(void **state)
{
	struct bench *b = *state;

	b->type = NFS;
	sink_start(&b->k);
	assert_int_equal(after(b, 5, "first"), 1);
	assert_int_equal(watches(b), 0);
	world_append(&b->w, "/var/log/app.log", "second\n");
	world_append(&b->w, "/var/log/new.log", "third\n");
	assert_int_equal(after(b, 5, "second"), 0);
	assert_int_equal(after(b, 1100, "second"), 1);
	assert_int_equal(after(b, 5, "third"), 1);
	after(b, 10000, "first");
	assert_int_equal(b->asked, 1); /* And said once. */
}

static void the_option_has_the_last_word(void **state)
{
	struct bench *b = *state;

	b->type = NFS;
	b->options.notify = SOURCES_NOTIFY_ALWAYS;
	sink_start(&b->k);
	assert_int_equal(after(b, 5, "first"), 1);
	assert_int_equal(watches(b), 1);
	sink_crash(&b->k);
	b->type = EXT4;
	b->options.notify = SOURCES_NOTIFY_NEVER;
	sink_start(&b->k);
	after(b, 3000, "first");
	assert_int_equal(watches(b), 0);
	assert_int_equal(b->asked, 0);
}

static void what_cannot_be_asked_is_believed(void **state)
{
	struct bench *b = *state;

	b->type = NFS;
	b->type_error = UV_EACCES;
	sink_start(&b->k);
	assert_int_equal(after(b, 5, "first"), 1);
	assert_int_equal(watches(b), 1);
}

static void the_kinds_are_told_by_their_numbers(void **state)
{
	static const uint32_t remote[] = {0x6969, 0xff534d42, 0xfe534d42, 0x517b,
					  0x65735546, 0x01021997, 0x00c36400};
	static const uint32_t local[] = {0xef53, 0x58465342, 0x9123683e, 0x01021994,
					 0x858458f6, 0x5941ff53, OVERLAY, 0};
	uint64_t type;

	(void)state;
	for (size_t i = 0; i < sizeof remote / sizeof *remote; i++) {
		assert_non_null(fstype_silent(remote[i]));
	}
	for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
		assert_null(fstype_silent(local[i]));
	}
	assert_int_equal(sys_fs_type(sys_plain(), "/proc", &type), 0);
	assert_int_equal(type, 0x9fa0);
	assert_int_equal(sys_fs_type(sys_plain(), "/none/at/all", &type), UV_ENOENT);
}

/* Deleted by another machine: the descriptor gives ESTALE for good, and the name is
 * another file's. */
static void a_stale_descriptor_is_given_up(void **state)
{
	struct bench *b = *state;
	struct world_inode *in = world_name_of(&b->w, "/var/log/app.log")->inode;

	b->type = NFS;
	sink_start(&b->k);
	assert_int_equal(after(b, 1500, "first"), 1);
	world_unlink(&b->w, "/var/log/app.log");
	b->stale = in;
	world_append(&b->w, "/var/log/app.log", "of another file\n");
	assert_int_equal(after(b, 5000, "of another file"), 1);
	assert_int_equal(b->w.open_fds, 1);
	assert_int_equal(after(b, 5, "first"), 1);
	assert_int_equal(b->k.forks, 0);
}

/* The server forgot the handle, and has the file: nothing comes twice, and it goes on. */
static void a_file_that_is_there_after_all_is_read_on(void **state)
{
	struct bench *b = *state;

	b->type = NFS;
	sink_start(&b->k);
	assert_int_equal(after(b, 1500, "first"), 1);
	b->stale = world_name_of(&b->w, "/var/log/app.log")->inode;
	world_run(&b->w, 1100);
	b->stale = NULL;
	world_append(&b->w, "/var/log/app.log", "second\n");
	assert_int_equal(after(b, 5000, "second"), 1);
	assert_int_equal(after(b, 5, "first"), 1);
	assert_int_equal(b->k.forks, 0);
	assert_int_equal(b->k.gaps, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_local_file_system_is_believed),
		TEST(one_that_changes_elsewhere_is_polled),
		TEST(the_option_has_the_last_word),
		TEST(what_cannot_be_asked_is_believed),
		TEST(the_kinds_are_told_by_their_numbers),
		TEST(a_stale_descriptor_is_given_up),
		TEST(a_file_that_is_there_after_all_is_read_on),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
