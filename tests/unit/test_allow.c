/* Unit tests of agent/allow.h: what a confined agent can still read of a folder in which
 * it watches some files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/allow.h"

enum { GOOD = 42, NO_LANDLOCK = 77 };

struct fixture {
	char dir[64];
	struct agent_config *config;
	struct sandbox_paths *allowed;
};

static const char *path_of(const struct fixture *f, const char *name)
{
	static char path[4][160];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", f->dir, name);
	return p;
}

static void put(const struct fixture *f, const char *name)
{
	int fd = open(path_of(f, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "text\n", 5), 5);
	close(fd);
}

static int set_up(void **state)
{
	static const char *const names[] = {"etc/passwd", "etc/shadow", "etc/key",
					    "etc/later", "all/one", "all/two"};
	struct fixture *f = calloc(1, sizeof *f);
	const struct strlist none = {0};
	struct config_errors errs;
	char yaml[1024];
	int n;

	assert_non_null(f);
	strcpy(f->dir, "/var/tmp/test_allow.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(mkdir(path_of(f, "etc"), 0700), 0);
	assert_int_equal(mkdir(path_of(f, "etc/ssl"), 0700), 0);
	assert_int_equal(mkdir(path_of(f, "all"), 0700), 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		put(f, names[i]);
	}
	put(f, "etc/ssl/key");
	n = snprintf(yaml, sizeof yaml,
		     "state: %s/state\ncontrol: %s/run/control\nsources:\n  files: [{paths: [%s/logs/*.log]}]\nwatch:\n"
		     "  paths: [%s/etc/passwd, %s/etc/shadow, %s/etc/ssl, %s/etc/absent, %s/all/*]\n",
		     f->dir, f->dir, f->dir, f->dir, f->dir, f->dir, f->dir, f->dir);
	if (config_parse_agent("test", slice(yaml, (size_t)n), &f->config, &errs) != 0) {
		fail_msg("%s", errs.text[0]);
	}
	f->allowed = calloc(1, sizeof *f->allowed);
	assert_non_null(f->allowed);
	allow_all(f->allowed, f->config, path_of(f, "conf/agent.yaml"), &none);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	agent_config_free(f->config);
	free(f->allowed);
	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* 0: nothing is said of this very path. */
static unsigned access_to(const struct fixture *f, const char *name)
{
	unsigned access = 0;

	for (size_t i = 0; i < f->allowed->n; i++) {
		if (strcmp(f->allowed->list[i].path, path_of(f, name)) == 0) {
			access |= f->allowed->list[i].access;
		}
	}
	return access;
}

static void a_watched_file_is_allowed_by_its_name_and_its_folder_listed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(access_to(f, "etc"), SANDBOX_LIST);
	assert_int_equal(access_to(f, "etc/passwd"), SANDBOX_READ);
	assert_int_equal(access_to(f, "etc/shadow"), SANDBOX_READ);
	/* A folder is watched for what stat says. */
	assert_int_equal(access_to(f, "etc/ssl"), 0);
	assert_int_equal(access_to(f, "etc/absent"), 0);
}

static void of_a_pattern_that_ends_in_a_wildcard_the_folder_is(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(access_to(f, "all") & SANDBOX_READ, SANDBOX_READ);
}

static bool readable(const struct fixture *f, const char *name)
{
	int fd = open(path_of(f, name), O_RDONLY);

	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

static bool listed(const struct fixture *f, const char *name, const char *entry)
{
	DIR *d = opendir(path_of(f, name));
	const struct dirent *e;
	bool found = false;

	while (d != NULL && (e = readdir(d)) != NULL) {
		found |= strcmp(e->d_name, entry) == 0;
	}
	if (d != NULL) {
		closedir(d);
	}
	return found;
}

/* In a child, whose rights are then gone.  A line number, or GOOD. */
static int confined(const struct fixture *f, int ready, int go)
{
#define HOLDS(what)              \
	do {                     \
		if (!(what)) {   \
			return __LINE__ & 0x1f; \
		}                \
	} while (0)
	char why[SANDBOX_WHY], byte = 0;
	struct stat was, is;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0,
		    LANDLOCK_CREATE_RULESET_VERSION) < 1) {
		return NO_LANDLOCK;
	}
	HOLDS(stat(path_of(f, "etc/passwd"), &was) == 0);
	HOLDS(sandbox_enter(SANDBOX_AGENT, f->allowed->list, f->allowed->n, why) == 0);
	HOLDS(readable(f, "etc/passwd") && readable(f, "etc/shadow"));
	HOLDS(!readable(f, "etc/key") && errno == EACCES);
	HOLDS(!readable(f, "etc/ssl/key") && errno == EACCES);
	HOLDS(readable(f, "all/one") && readable(f, "all/two"));
	HOLDS(listed(f, "etc", "key"));
	/* The other process puts etc/later in the place of etc/passwd. */
	HOLDS(write(ready, &byte, 1) == 1 && read(go, &byte, 1) == 1);
	HOLDS(stat(path_of(f, "etc/passwd"), &is) == 0 && is.st_ino != was.st_ino);
	HOLDS(!readable(f, "etc/passwd") && errno == EACCES);
	HOLDS(!listed(f, "etc", "later"));
	return GOOD;
#undef HOLDS
}

static void what_replaces_a_watched_file_is_seen_and_not_read(void **state)
{
	struct fixture *f = *state;
	int ready[2], go[2], status;
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ready[0]);
		close(go[1]);
		_exit(confined(f, ready[1], go[0]));
	}
	close(ready[1]);
	close(go[0]);
	if (read(ready[0], &byte, 1) == 1) {
		assert_int_equal(rename(path_of(f, "etc/later"), path_of(f, "etc/passwd")), 0);
		assert_int_equal(write(go[1], &byte, 1), 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ready[0]);
	close(go[1]);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_LANDLOCK) {
		puts("skipped: the kernel has no landlock");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), GOOD);
}

int main(void)
{
#define ITEM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ITEM(a_watched_file_is_allowed_by_its_name_and_its_folder_listed),
		ITEM(of_a_pattern_that_ends_in_a_wildcard_the_folder_is),
		ITEM(what_replaces_a_watched_file_is_seen_and_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
