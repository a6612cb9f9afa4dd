/* Unit tests of common/links.h: real files in a folder of their own.  Whose a link is
 * can only be changed by root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/links.h"

enum { MALLORY = 12345, ALICE = 23456 };

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/test-links-XXXXXX");
	assert_non_null(mkdtemp(dir));
	put("file", "it");
	assert_int_equal(mkdir(in_dir("folder"), 0755), 0);
	put("folder/file", "below");
	return 0;
}

static int tear_down(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof command, "rm -rf '%.60s'", dir);
	assert_int_equal(system(command), 0);
	return 0;
}

static void link_to(const char *text, const char *name, uid_t owner)
{
	assert_int_equal(symlink(text, in_dir(name)), 0);
	if (owner != geteuid()) {
		assert_int_equal(lchown(in_dir(name), owner, (gid_t)-1), 0);
	}
}

static void expect_text(const char *name, const char *text)
{
	char got[64] = "";
	int fd = links_open(in_dir(name), O_RDONLY | O_NONBLOCK);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof got - 1), strlen(text));
	assert_string_equal(got, text);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void expect_error(const char *name, int error)
{
	assert_int_equal(links_open(in_dir(name), O_RDONLY | O_NONBLOCK), error);
}

static void what_is_no_link_is_opened(void **state)
{
	(void)state;
	expect_text("file", "it");
	expect_text("folder/file", "below");
	expect_text("folder/../folder/.//file", "below");
	expect_error("none", UV_ENOENT);
	expect_error("none/file", UV_ENOENT);
	expect_error("file/file", UV_ENOTDIR);
	expect_error("folder", UV_EINVAL);
	assert_int_equal(links_open("file", O_RDONLY), UV_EINVAL);
	assert_int_equal(links_open("/", O_RDONLY), UV_EINVAL);
	assert_int_equal(links_open("/dev/null", O_RDONLY), UV_EINVAL);
}

static void links_of_our_own_lead_anywhere(void **state)
{
	char name[32], before[32];

	(void)state;
	link_to("file", "near", geteuid());
	link_to(in_dir("folder"), "far", geteuid());
	link_to("far/../near", "winding", geteuid());
	expect_text("near", "it");
	expect_text("far/file", "below");
	expect_text("winding", "it");
	link_to("loop", "loop", geteuid());
	expect_error("loop", UV_ELOOP);
	link_to("file", "chain00", geteuid());
	for (int i = 1; i < 45; i++) {
		snprintf(name, sizeof name, "chain%02d", i);
		snprintf(before, sizeof before, "chain%02d", i - 1);
		link_to(before, name, geteuid());
	}
	expect_text("chain39", "it");
	expect_error("chain40", UV_ELOOP);
}

/* Each link doubles the way: what counts is how many there are in all. */
static void a_bush_of_links_has_an_end(void **state)
{
	char name[32], text[64];

	(void)state;
	link_to("folder", "bush00", geteuid());
	for (int i = 1; i < 30; i++) {
		snprintf(name, sizeof name, "bush%02d", i);
		snprintf(text, sizeof text, "bush%02d/../bush%02d", i - 1, i - 1);
		link_to(text, name, geteuid());
	}
	expect_text("bush03/file", "below");
	expect_error("bush29/file", UV_ELOOP);
}

static bool can_give_away(void)
{
	if (geteuid() != 0) {
		print_message("skipped: only root can give files away\n");
		return false;
	}
	return true;
}

static void a_link_of_somebody_else_leads_to_his_own_files_alone(void **state)
{
	(void)state;
	if (!can_give_away()) {
		skip();
	}
	link_to("file", "stolen", MALLORY);
	expect_error("stolen", UV_EPERM);
	assert_int_equal(chown(in_dir("file"), ALICE, (gid_t)-1), 0);
	expect_error("stolen", UV_EPERM);
	assert_int_equal(chown(in_dir("file"), MALLORY, (gid_t)-1), 0);
	expect_text("stolen", "it");
	link_to("file", "by_root", 0);
	expect_text("by_root", "it");
}

static void it_does_so_on_the_way_too(void **state)
{
	(void)state;
	if (!can_give_away()) {
		skip();
	}
	link_to("folder", "way", MALLORY);
	expect_error("way/file", UV_EPERM);
	/* A good link to a bad one, and the other way. */
	link_to("way/file", "good", 0);
	expect_error("good", UV_EPERM);
	assert_int_equal(unlink(in_dir("way")), 0);
	link_to("folder", "way", 0);
	expect_text("good", "below");
	link_to("good", "bad", MALLORY);
	expect_error("bad", UV_EPERM);
	/* His folder, and in it a link of his to what is not. */
	assert_int_equal(mkdir(in_dir("his"), 0755), 0);
	assert_int_equal(chown(in_dir("his"), MALLORY, (gid_t)-1), 0);
	link_to("his", "to_his", MALLORY);
	link_to("../file", "his/file", MALLORY);
	expect_error("to_his/file", UV_EPERM);
}

static void a_process_follows_what_it_may_have_made_itself(void **state)
{
	(void)state;
	if (!can_give_away()) {
		skip();
	}
	assert_int_equal(chmod(dir, 0755), 0);
	link_to("file", "mine", MALLORY);
	assert_int_equal(seteuid(MALLORY), 0);
	expect_text("mine", "it");
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(seteuid(ALICE), 0);
	expect_error("mine", UV_EPERM);
	assert_int_equal(seteuid(0), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_link_is_opened),
		TEST(links_of_our_own_lead_anywhere),
		TEST(a_bush_of_links_has_an_end),
		TEST(a_link_of_somebody_else_leads_to_his_own_files_alone),
		TEST(it_does_so_on_the_way_too),
		TEST(a_process_follows_what_it_may_have_made_itself),
	};

	return cmocka_run_group_tests_name("links", tests, NULL, NULL);
}
