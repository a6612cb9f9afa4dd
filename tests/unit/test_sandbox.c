/* Unit tests of common/sandbox.h: each in a process of its own, since there is no
 * way back out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "common/sandbox.h"

enum { GOOD = 42, NO_LANDLOCK = 77 };

static char folder[64];
/* Asked outside: inside, the call itself is filtered. */
static bool landlock;

static int set_up(void **state)
{
	(void)state;
	landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1;
	snprintf(folder, sizeof folder, "/tmp/test_sandbox.XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/inside", folder);
	unlink(path);
	return rmdir(folder);
}


/* Runs body in a sandboxed child; returns its wait status. */
static int in_sandbox(int (*body)(void))
{
	struct sandbox_path paths[] = {{folder, SANDBOX_WRITE},
				       {"/nonexistent", SANDBOX_READ}};
	char why[SANDBOX_WHY];
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (sandbox_enter(SANDBOX_AGENT, paths, 2, why) != 0) {
			fprintf(stderr, "%s\n", why);
			_exit(1);
		}
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int use_files(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/inside", folder);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1) {
		return 1;
	}
	close(fd);
	if (!landlock) {
		return NO_LANDLOCK;
	}
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES) {
		return 2;
	}
	return GOOD;
}

static void only_the_named_files_can_be_reached(void **state)
{
	int status = in_sandbox(use_files);

	(void)state;
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_LANDLOCK) {
		puts("skipped: the kernel has no landlock");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), GOOD);
}

static bool refused(const char *path)
{
	return open(path, O_RDONLY) < 0 && errno == EACCES;
}

/* What a daemon reads that looks up no names; `resolver`: one that does. */
static int in_system_sandbox(bool resolver)
{
	struct sandbox_paths *p = calloc(1, sizeof *p);
	char why[SANDBOX_WHY], real[PATH_MAX] = "";

	if (p == NULL) {
		return 1;
	}
	sandbox_allow_system(p);
	if (resolver) {
		sandbox_allow_resolver(p);
	}
	if (realpath("/etc/resolv.conf", real) == NULL && errno != ENOENT) {
		return 2;
	}
	if (sandbox_enter(SANDBOX_AGENT, p->list, p->n, why) != 0) {
		return 3;
	}
	if (!landlock) {
		return NO_LANDLOCK;
	}
	if (open("/usr", O_RDONLY) < 0 || open("/dev/null", O_RDONLY) < 0) {
		return 4;
	}
	/* Not every system has /etc/hosts. */
	if (!resolver && (!refused("/etc/passwd") || open("/etc/hosts", O_RDONLY) >= 0 ||
			  !refused("/etc") || !refused("/run"))) {
		return 5;
	}
	if (resolver && open("/etc/hosts", O_RDONLY) < 0 && errno != ENOENT) {
		return 6;
	}
	/* All of /etc only where the resolver's own file is in it. */
	if (resolver && real[0] != '\0' && open(real, O_RDONLY) < 0) {
		return 7;
	}
	if (resolver && strncmp(real, "/etc/", 5) != 0 && !refused("/etc/passwd")) {
		return 8;
	}
	return GOOD;
}

static void expect_in_child(bool resolver)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		_exit(in_system_sandbox(resolver));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_LANDLOCK) {
		puts("skipped: the kernel has no landlock");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), GOOD);
}

static void of_etc_no_more_can_be_read_than_is_needed(void **state)
{
	(void)state;
	expect_in_child(false);
}

static void who_looks_up_names_can_read_how(void **state)
{
	(void)state;
	expect_in_child(true);
}

static int run_a_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

static void no_program_can_be_run(void **state)
{
	int status = in_sandbox(run_a_program);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int try_unknown(void)
{
	errno = 0;
	if (syscall(100000) != -1 || errno != ENOSYS) {
		return 1;
	}
	/* What libuv tries on a loop's first use. */
	return syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == ENOSYS
		       ? GOOD
		       : 1;
}

static void unknown_calls_are_refused_softly(void **state)
{
	int status = in_sandbox(try_unknown);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), GOOD);
}

static void work(uv_work_t *w)
{
	*(int *)w->data = GOOD;
}

static void work_done(uv_work_t *w, int status)
{
	(void)w;
	(void)status;
}

static int use_threads(void)
{
	uv_loop_t loop;
	uv_work_t w;
	int result = 0;

	w.data = &result;
	if (uv_loop_init(&loop) != 0 ||
	    uv_queue_work(&loop, &w, work, work_done) != 0) {
		return 1;
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	return result;
}

static void worker_threads_still_start(void **state)
{
	int status = in_sandbox(use_threads);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			only_the_named_files_can_be_reached, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			of_etc_no_more_can_be_read_than_is_needed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_looks_up_names_can_read_how,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_program_can_be_run, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			unknown_calls_are_refused_softly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(worker_threads_still_start,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
