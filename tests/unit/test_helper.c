/* The parts of the helper that need no process: its messages, and which programs
 * it trusts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "hooks/protocol.h"
#include "common/trust.h"

/* ---- messages ---- */

static struct protocol_exec some_exec(void)
{
	struct protocol_exec e = {.id = 0x01020304, .hook = 3, .input = SLICE_LIT("{}\n")};

	e.value[VARIABLE_ID] = SLICE_LIT("abc");
	e.value[VARIABLE_USER] = SLICE_LIT("root");
	return e;
}

static void a_table_comes_back_as_it_was(void **state)
{
	char *command[] = {(char[]){"/bin/echo"}, (char[]){"a b"}, NULL};
	struct hook_options hooks[] = {
		{.name = (char[]){"file"}, .type = HOOK_FILE},
		{.name = (char[]){"run"}, .type = HOOK_EXEC, .timeout_ms = 5000,
		 .concurrency = 4, .command = {command, 2}},
	};
	struct hooks_options options = {hooks, 2};
	struct protocol_table t;
	struct buf b;

	(void)state;
	buf_init(&b, PROTOCOL_MESSAGE_MAX);
	assert_int_equal(protocol_table_encode(&b, "nightjar", true, &options), 0);
	assert_int_equal(protocol_table_decode(&t, buf_slice(&b)), 0);
	assert_string_equal(t.user, "nightjar");
	assert_true(t.sandbox);
	assert_int_equal(t.options.n_hooks, 1);
	assert_string_equal(t.options.hooks[0].name, "run");
	assert_int_equal(t.options.hooks[0].timeout_ms, 5000);
	assert_int_equal(t.options.hooks[0].concurrency, 4);
	assert_int_equal(t.options.hooks[0].command.n, 2);
	assert_string_equal(t.options.hooks[0].command.v[1], "a b");
	assert_null(t.options.hooks[0].command.v[2]);
	protocol_table_free(&t);
	/* No shorter and no longer message is one. */
	for (size_t n = 0; n < b.n; n++) {
		assert_int_equal(protocol_table_decode(&t, slice(b.p, n)), ERR_MALFORMED);
	}
	assert_int_equal(buf_add_u8(&b, 0), 0);
	assert_int_equal(protocol_table_decode(&t, buf_slice(&b)), ERR_MALFORMED);
	buf_fini(&b);
}

static void a_request_comes_back_as_it_was(void **state)
{
	struct protocol_exec e = some_exec(), out;
	struct buf b;

	(void)state;
	buf_init(&b, PROTOCOL_MESSAGE_MAX);
	assert_int_equal(protocol_exec_encode(&b, &e), 0);
	assert_int_equal(protocol_exec_decode(&out, buf_slice(&b)), 0);
	assert_int_equal(out.id, e.id);
	assert_int_equal(out.hook, 3);
	assert_true(slice_eq(out.input, e.input));
	for (size_t i = 0; i < VARIABLE_NR; i++) {
		assert_true(slice_eq(out.value[i], e.value[i]));
	}
	for (size_t n = 0; n < b.n; n++) {
		assert_int_equal(protocol_exec_decode(&out, slice(b.p, n)), ERR_MALFORMED);
	}
	buf_fini(&b);
}

static int decode_with_user(struct slice user)
{
	struct protocol_exec e = some_exec(), out;
	struct buf b;
	int rc;

	buf_init(&b, PROTOCOL_MESSAGE_MAX);
	e.value[VARIABLE_USER] = user;
	assert_int_equal(protocol_exec_encode(&b, &e), 0);
	rc = protocol_exec_decode(&out, buf_slice(&b));
	buf_fini(&b);
	return rc;
}

static void the_helper_takes_no_value_with_control_bytes_or_of_any_length(void **state)
{
	static char longest[PROTOCOL_VALUE_MAX + 1];

	(void)state;
	memset(longest, 'x', sizeof longest);
	assert_int_equal(decode_with_user(SLICE_LIT("")), 0);
	assert_int_equal(decode_with_user(SLICE_LIT("é")), 0);
	assert_int_equal(decode_with_user(slice(longest, PROTOCOL_VALUE_MAX)), 0);
	assert_int_equal(decode_with_user(slice(longest, sizeof longest)), ERR_MALFORMED);
	assert_int_equal(decode_with_user(SLICE_LIT("a\0b")), ERR_MALFORMED);
	assert_int_equal(decode_with_user(SLICE_LIT("a\nLD_PRELOAD=x")), ERR_MALFORMED);
	assert_int_equal(decode_with_user(SLICE_LIT("a\x7f")), ERR_MALFORMED);
}

static void the_largest_request_fits_into_a_message(void **state)
{
	static char large[PROTOCOL_INPUT_MAX + 1];
	struct protocol_exec e = some_exec(), out;
	struct buf b;

	(void)state;
	memset(large, 'x', sizeof large);
	for (size_t i = 0; i < VARIABLE_NR; i++) {
		e.value[i] = slice(large, PROTOCOL_VALUE_MAX);
	}
	e.input = slice(large, PROTOCOL_INPUT_MAX);
	buf_init(&b, PROTOCOL_MESSAGE_MAX);
	assert_int_equal(protocol_exec_encode(&b, &e), 0);
	assert_int_equal(protocol_exec_decode(&out, buf_slice(&b)), 0);
	buf_clear(&b);
	e.input = slice(large, sizeof large);
	assert_int_equal(protocol_exec_encode(&b, &e), 0);
	assert_int_equal(protocol_exec_decode(&out, buf_slice(&b)), ERR_MALFORMED);
	buf_fini(&b);
}

static void answers_come_back_as_they_were(void **state)
{
	struct protocol_done d = {7, HOW_TIMEOUT, 15, 1234}, out;
	struct slice text;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(protocol_done_encode(&b, &d), 0);
	assert_int_equal(protocol_done_decode(&out, buf_slice(&b)), 0);
	assert_int_equal(out.id, 7);
	assert_int_equal(out.how, HOW_TIMEOUT);
	assert_int_equal(out.status, 15);
	assert_int_equal(out.duration_ms, 1234);
	b.p[5] = HOW_FAILED + 1;
	assert_int_equal(protocol_done_decode(&out, buf_slice(&b)), ERR_MALFORMED);
	assert_int_equal(worker_ready_decode(&text, buf_slice(&b)), ERR_MALFORMED);
	buf_clear(&b);
	assert_int_equal(worker_ready_encode(&b, SLICE_LIT("why")), 0);
	assert_int_equal(worker_ready_decode(&text, buf_slice(&b)), 0);
	assert_true(slice_eq(text, SLICE_LIT("why")));
	buf_fini(&b);
}

/* ---- trust ---- */

struct tree {
	char dir[PATH_MAX];
	char path[PATH_MAX];
	char resolved[PATH_MAX];
	char why[TRUST_WHY];
};

static int setup(void **state)
{
	struct tree *t = calloc(1, sizeof *t);

	assert_non_null(t);
	snprintf(t->dir, sizeof t->dir, "/tmp/test-helper-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;
	char command[64];

	snprintf(command, sizeof command, "rm -rf '%.40s'", t->dir);
	assert_int_equal(system(command), 0);
	free(t);
	return 0;
}

static const char *at(struct tree *t, const char *name)
{
	snprintf(t->path, sizeof t->path, "%.64s/%.256s", t->dir, name);
	return t->path;
}

static void make_program(struct tree *t, const char *name)
{
	FILE *f = fopen(at(t, name), "w");

	assert_non_null(f);
	fclose(f);
	assert_int_equal(chmod(t->path, 0755), 0);
}

static int judge(struct tree *t, const char *name)
{
	return trust_program(at(t, name), geteuid(), t->resolved, t->why);
}

static void links_are_followed_as_the_kernel_does(void **state)
{
	struct tree *t = *state;
	char real[PATH_MAX];

	assert_int_equal(mkdir(at(t, "bin"), 0755), 0);
	assert_int_equal(mkdir(at(t, "opt"), 0755), 0);
	make_program(t, "opt/tool-1.0");
	assert_int_equal(symlink("tool-1.0", at(t, "opt/tool")), 0);
	assert_int_equal(symlink("../opt//./tool", at(t, "bin/tool")), 0);
	assert_int_equal(symlink(t->dir, at(t, "self")), 0);
	assert_int_equal(judge(t, "self/bin/../bin/tool"), 0);
	assert_non_null(realpath(at(t, "bin/tool"), real));
	assert_string_equal(t->resolved, real);
	assert_int_equal(trust_program("/bin/sh", geteuid(), t->resolved, t->why), 0);
	assert_non_null(realpath("/bin/sh", real));
	assert_string_equal(t->resolved, real);
}

static void a_link_in_a_folder_of_others_is_refused(void **state)
{
	struct tree *t = *state;

	make_program(t, "tool");
	assert_int_equal(mkdir(at(t, "open"), 0755), 0);
	assert_int_equal(symlink("../tool", at(t, "open/tool")), 0);
	assert_int_equal(judge(t, "open/tool"), 0);
	/* The program is as good as before; the way to it is not. */
	assert_int_equal(chmod(at(t, "open"), 0777), 0);
	assert_int_equal(judge(t, "open/tool"), UV_EACCES);
	assert_int_equal(chmod(at(t, "open"), 01777), 0);
	assert_int_equal(judge(t, "open/tool"), 0);
}

static void a_circle_of_links_ends(void **state)
{
	struct tree *t = *state;

	assert_int_equal(symlink("b", at(t, "a")), 0);
	assert_int_equal(symlink("a", at(t, "b")), 0);
	assert_int_equal(judge(t, "a"), UV_ELOOP);
}

static void what_belongs_to_somebody_else_is_refused(void **state)
{
	struct tree *t = *state;

	if (geteuid() != 0) {
		skip(); /* Only root can give files away. */
	}
	make_program(t, "tool");
	assert_int_equal(chown(at(t, "tool"), 12345, 12345), 0);
	assert_int_equal(judge(t, "tool"), UV_EACCES);
	assert_non_null(strstr(t->why, "belongs to another user"));
	assert_int_equal(trust_program(at(t, "tool"), 12345, t->resolved, t->why), 0);
	assert_int_equal(chown(at(t, "tool"), 0, 0), 0);
	assert_int_equal(lchown(at(t, "."), 12345, 0), 0);
	assert_int_equal(judge(t, "tool"), UV_EACCES);
	assert_int_equal(lchown(at(t, "."), 0, 0), 0);
	assert_int_equal(symlink("tool", at(t, "link")), 0);
	assert_int_equal(lchown(at(t, "link"), 12345, 0), 0);
	assert_int_equal(judge(t, "link"), UV_EACCES);
}

static void what_is_no_program_is_refused(void **state)
{
	struct tree *t = *state;
	char longest[PATH_MAX + 8];

	make_program(t, "tool");
	assert_int_equal(judge(t, "tool/more"), UV_ENOTDIR);
	assert_int_equal(judge(t, "tool/.."), UV_EACCES);
	assert_int_equal(judge(t, "none"), UV_ENOENT);
	assert_int_equal(judge(t, "."), UV_EACCES);
	assert_int_equal(chmod(at(t, "tool"), 0644), 0);
	assert_int_equal(judge(t, "tool"), UV_EACCES);
	assert_non_null(strstr(t->why, "chmod +x"));
	memset(longest, '/', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(trust_program(longest, 0, t->resolved, t->why), UV_EINVAL);
	assert_int_equal(trust_program("", 0, t->resolved, t->why), UV_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_comes_back_as_it_was),
		cmocka_unit_test(a_request_comes_back_as_it_was),
		cmocka_unit_test(the_helper_takes_no_value_with_control_bytes_or_of_any_length),
		cmocka_unit_test(the_largest_request_fits_into_a_message),
		cmocka_unit_test(answers_come_back_as_they_were),
		cmocka_unit_test_setup_teardown(links_are_followed_as_the_kernel_does, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_link_in_a_folder_of_others_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_circle_of_links_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(what_belongs_to_somebody_else_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_no_program_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests_name("helper", tests, NULL, NULL);
}
