/* Unit tests of sources/guard.h: real mappings of real files that are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sources/guard.h"

enum { PAGES = 3 };

struct mapping {
	int fd;
	size_t page;
	const volatile char *p;
};

static struct mapping map(void)
{
	char path[] = "/tmp/test_guard.XXXXXX";
	struct mapping m = {.fd = mkstemp(path), .page = (size_t)sysconf(_SC_PAGESIZE)};

	assert_true(m.fd >= 0);
	unlink(path);
	for (size_t i = 0; i < PAGES * m.page; i++) {
		assert_int_equal(write(m.fd, "x", 1), 1);
	}
	m.p = mmap(NULL, PAGES * m.page, PROT_READ, MAP_SHARED, m.fd, 0);
	assert_true((const void *)(uintptr_t)m.p != MAP_FAILED);
	return m;
}

static void unmap(struct mapping *m)
{
	munmap((void *)(uintptr_t)m->p, PAGES * m->page);
	close(m->fd);
}

static void what_is_there_is_read(void **state)
{
	struct mapping m = map();

	(void)state;
	assert_int_equal(guard_install(), 0);
	guard_enter();
	assert_int_equal(m.p[PAGES * m.page - 1], 'x');
	assert_false(guard_leave());
	unmap(&m);
}

static void a_file_that_was_cut_reads_as_zeros_and_that_is_told(void **state)
{
	struct mapping m = map();

	(void)state;
	assert_int_equal(guard_install(), 0);
	assert_int_equal(ftruncate(m.fd, (off_t)m.page), 0);
	guard_enter();
	assert_int_equal(m.p[m.page - 1], 'x');
	assert_int_equal(m.p[m.page], 0);
	assert_int_equal(m.p[PAGES * m.page - 1], 0);
	assert_true(guard_leave());
	guard_enter();
	assert_int_equal(m.p[0], 'x');
	assert_false(guard_leave());
	unmap(&m);
}

/* A mistake of our own must not be hidden. */
static void outside_it_is_what_it_was(void **state)
{
	struct mapping m = map();
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(ftruncate(m.fd, 0), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGBUS, SIG_DFL); /* cmocka's */
		if (guard_install() != 0) {
			_exit(3);
		}
		_exit(m.p[0] == 'x' ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	unmap(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_is_read),
		cmocka_unit_test(a_file_that_was_cut_reads_as_zeros_and_that_is_told),
		cmocka_unit_test(outside_it_is_what_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
