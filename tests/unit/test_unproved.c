/* What is asked of files before anything of their streams is sent, and what the answers
 * mean.  The tail is this file's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/unproved.h"
#include "common/err.h"

static struct stream_id id_of(uint8_t n)
{
	struct stream_id id = {{n}};

	return id;
}

static struct {
	int rc;
	unsigned asked;
	uint64_t position;
} fake;

/* In place of sources/verify.c's. */
int tail_verify(struct tail *t, const struct stream_id *id, uint64_t position,
		uint64_t h)
{
	(void)t;
	(void)id;
	(void)h;
	fake.asked++;
	fake.position = position;
	return fake.rc;
}

static void add(struct unproved *u, uint8_t n, uint64_t position)
{
	struct msg_stream w = {.id = id_of(n), .received = position, .h_received = 7};

	assert_int_equal(unproved_add(u, &w), 0);
}

static void answer(struct unproved *u, uint8_t n, uint64_t position, int what)
{
	struct stream_id id = id_of(n);

	unproved_answer(u, &id, position, what);
}

static bool has(const struct unproved *u, uint8_t n)
{
	struct stream_id id = id_of(n);

	return unproved_has(u, &id);
}

static int next(struct unproved *u, bool patient, struct stream_id *wrong)
{
	return unproved_next(u, NULL, patient, wrong);
}

static void what_is_equal_is_done_with_and_what_differs_is_told_once(void **state)
{
	struct unproved u = {0};
	struct stream_id wrong, two = id_of(2);

	(void)state;
	memset(&fake, 0, sizeof fake);
	add(&u, 1, 100);
	add(&u, 2, 200);
	assert_int_equal(next(&u, true, &wrong), 0);
	assert_int_equal(fake.asked, 2);
	assert_int_equal(next(&u, false, &wrong), 0);
	assert_int_equal(fake.asked, 2); /* Once; and it is waited for. */
	answer(&u, 1, 100, 1);
	answer(&u, 2, 199, 1); /* Of another question. */
	assert_false(has(&u, 1));
	assert_true(has(&u, 2));
	answer(&u, 2, 200, 0);
	assert_int_equal(next(&u, true, &wrong), 1);
	assert_true(stream_id_eq(&wrong, &two));
	assert_int_equal(next(&u, true, &wrong), 0);
	assert_int_equal(u.n, 0);
	unproved_fini(&u);
}

static void what_may_yet_be_found_is_asked_again_for_a_while(void **state)
{
	struct unproved u = {0};
	struct stream_id wrong;

	(void)state;
	memset(&fake, 0, sizeof fake);
	add(&u, 1, 100);
	fake.rc = ERR_AGAIN;
	assert_int_equal(next(&u, true, &wrong), 0);
	assert_int_equal(next(&u, true, &wrong), 0);
	assert_int_equal(fake.asked, 2);
	assert_true(has(&u, 1));
	/* Found; then it went away while it was read. */
	fake.rc = 0;
	assert_int_equal(next(&u, true, &wrong), 0);
	answer(&u, 1, 100, ERR_AGAIN);
	assert_true(has(&u, 1));
	fake.rc = ERR_AGAIN;
	assert_int_equal(next(&u, false, &wrong), 0);
	assert_false(has(&u, 1));
	unproved_fini(&u);
}

static void what_is_not_there_shows_nothing(void **state)
{
	struct unproved u = {0};
	struct stream_id wrong;

	(void)state;
	memset(&fake, 0, sizeof fake);
	add(&u, 1, 100);
	add(&u, 2, 200);
	fake.rc = UV_ENOENT;
	assert_int_equal(next(&u, true, &wrong), 0);
	assert_int_equal(u.n, 2); /* A copy may be found yet. */
	assert_int_equal(next(&u, false, &wrong), 0);
	assert_int_equal(u.n, 0);
	add(&u, 3, 300);
	fake.rc = 0;
	assert_int_equal(next(&u, true, &wrong), 0);
	answer(&u, 3, 300, UV_EIO);
	assert_true(has(&u, 3));
	fake.asked = 0;
	assert_int_equal(next(&u, false, &wrong), 0);
	assert_int_equal(u.n, 0);
	assert_int_equal(fake.asked, 0);
	unproved_fini(&u);
}

static void too_many_questions_wait_their_turn(void **state)
{
	struct unproved u = {0};
	struct stream_id wrong;

	(void)state;
	memset(&fake, 0, sizeof fake);
	for (uint8_t i = 0; i < 40; i++) {
		add(&u, i, 1000);
	}
	fake.rc = ERR_LIMIT;
	assert_int_equal(next(&u, false, &wrong), 0);
	assert_int_equal(u.n, 40);
	unproved_fini(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_is_equal_is_done_with_and_what_differs_is_told_once),
		cmocka_unit_test(what_may_yet_be_found_is_asked_again_for_a_while),
		cmocka_unit_test(what_is_not_there_shows_nothing),
		cmocka_unit_test(too_many_questions_wait_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
