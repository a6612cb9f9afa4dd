/* The n-th allocation fails, for every n: the loader says so and leaks nothing
 * (the sanitizer build sees a leak).  malloc() and its kin are wrapped by the linker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/err.h"
#include "config/config.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned long countdown; /* 0: none fails */

static int fails(void)
{
	return countdown > 0 && --countdown == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

static const char text[] =
	"collector: a.example\n"
	"sources: {files: [{paths: [/a, /b], label: x}, {paths: [/c]}]}\n"
	"hooks: [{name: a, type: exec, command: [/bin/true, x]}]\n"
	"redact: {keys: [k]}\n";

static void no_memory_at_any_point_is_an_error_and_no_leak(void **state)
{
	static struct config_errors errs;
	struct agent_config *c = NULL;
	unsigned long n = 0;
	int rc;

	(void)state;
	do {
		countdown = ++n;
		rc = config_parse_agent("a", slice_str(text), &c, &errs);
		if (rc != 0) {
			countdown = 0;
			assert_int_equal(rc, UV_ENOMEM);
			assert_null(c);
			assert_int_equal(errs.n, 1);
			assert_string_equal(errs.text[0],
					    "a: cannot be read: not enough memory");
		}
	} while (rc != 0);
	/* The last round needed fewer allocations than it was allowed. */
	assert_true(countdown > 0);
	assert_true(n > 50);
	countdown = 0;
	agent_config_free(c);
}

static void printing_without_memory_is_an_error(void **state)
{
	struct buf out;
	unsigned long n = 0;
	int rc;

	(void)state;
	do {
		buf_init(&out, 1 << 20);
		countdown = ++n;
		rc = config_print_yaml(CONFIG_AGENT, false, &out);
		if (rc == 0) {
			rc = config_print_json(CONFIG_COLLECTOR, &out);
		}
		if (rc == 0) {
			rc = config_print_markdown(&out);
		}
		if (rc == 0) {
			rc = config_print_mdoc(&out);
		}
		if (rc != 0) {
			countdown = 0;
			assert_int_equal(rc, UV_ENOMEM);
		}
		buf_fini(&out);
	} while (rc != 0);
	countdown = 0;
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_memory_at_any_point_is_an_error_and_no_leak),
		cmocka_unit_test(printing_without_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
