/* Unit tests of sources/backlog.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/record.h"
#include "common/sys_uv.h"
#include "sources/backlog.h"

enum { PEERS = 4, LINE_MAX_BYTES = 64 * 1024 };

/* What came out of one backlog. */
struct taken {
	uint64_t messages, lost;
	int closed;
	enum tail_close why;
	char reason[96];
};

struct fixture {
	struct backlog_share share;
	struct backlog b[PEERS];
	struct taken out[PEERS];
	uint64_t in[PEERS];   /* messages and losses so far */
	size_t room;          /* messages taken before we are full */
	size_t room_for_loss; /* and losses */
	unsigned char secret[STREAM_SECRET];
	struct sources_about about;
};

static struct taken *out_of(struct fixture *f, struct stream *s)
{
	size_t i = 0;

	while (i + 1 < PEERS && &f->b[i].stream != s) {
		i++;
	}
	assert_ptr_equal(&f->b[i].stream, s);
	return &f->out[i];
}

static void on_opened(void *arg, struct stream *s)
{
	(void)arg;
	(void)s;
}

/* A message begins with its number, which is its position. */
static int on_entry(void *arg, struct stream *s, const struct line *line, uint64_t h)
{
	struct fixture *f = arg;
	struct taken *t = out_of(f, s);

	(void)h;
	if (f->room == 0) {
		return ERR_AGAIN;
	}
	f->room--;
	assert_int_equal(line->start, t->messages + t->lost);
	assert_int_equal(strtoull(line->text.p, NULL, 10), line->start);
	t->messages++;
	return 0;
}

static int on_lost(void *arg, struct stream *s, uint64_t from, uint64_t to,
		   struct slice reason)
{
	struct fixture *f = arg;
	struct taken *t = out_of(f, s);

	if (f->room_for_loss == 0) {
		return ERR_AGAIN;
	}
	f->room_for_loss--;
	assert_int_equal(from, t->messages + t->lost);
	t->lost += to - from;
	snprintf(t->reason, sizeof t->reason, "%.*s", SLICE_ARG(reason));
	return 0;
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	struct taken *t = out_of(arg, s);

	t->closed++;
	t->why = why;
}

static const struct tail_callbacks callbacks = {
	.opened = on_opened, .closed = on_closed, .entry = on_entry, .lost = on_lost};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->share.max = 100 * 1000;
	f->room = f->room_for_loss = SIZE_MAX;
	for (size_t i = 0; i < PEERS; i++) {
		assert_int_equal(backlog_open(&f->b[i], sys_plain(), f->secret, &f->about,
					      "peer", LINE_MAX_BYTES, &callbacks, f, &f->share),
				 0);
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < PEERS; i++) {
		backlog_fini(&f->b[i]);
	}
	assert_int_equal(f->share.used, 0);
	assert_int_equal(f->share.holders, 0);
	assert_null(f->share.first);
	free(f);
	return 0;
}

static void add(struct fixture *f, size_t peer, size_t n, enum sources_overflow policy)
{
	static char text[LINE_MAX_BYTES];
	int head = snprintf(text, sizeof text, "%" PRIu64 " ", f->in[peer]);

	assert_true(n < sizeof text && (size_t)head < sizeof text);
	memset(text + head, 'x', sizeof text - (size_t)head);
	f->in[peer]++;
	backlog_add(&f->b[peer], slice(text, n > (size_t)head ? n : (size_t)head), false, policy);
}

static void all_is_accounted_for(struct fixture *f)
{
	f->room = f->room_for_loss = SIZE_MAX;
	for (size_t i = 0; i < PEERS; i++) {
		assert_true(backlog_offer(&f->b[i], true));
		assert_int_equal(f->out[i].messages + f->out[i].lost, f->in[i]);
	}
	assert_int_equal(f->share.used, 0);
}

/* ---- the limit ---- */

static void all_of_the_limit_can_be_used_however_the_queue_has_moved(void **state)
{
	struct fixture *f = *state;
	size_t fit;

	f->share.max = 4 * 1024 * 1024;
	fit = f->share.max / 1100;
	f->room = 0;
	for (size_t i = 0; i < fit; i++) {
		add(f, 0, 1000, SOURCES_DROP_NEWEST);
	}
	for (int turn = 0; turn < 5; turn++) {
		f->room = fit / 3;
		assert_false(backlog_offer(&f->b[0], false));
		for (size_t i = 0; i < fit / 3; i++) {
			add(f, 0, 1000, SOURCES_DROP_NEWEST);
		}
		assert_int_equal(f->share.lost[LOST_FULL], 0);
	}
	all_is_accounted_for(f);
	assert_int_equal(f->out[0].lost, 0);
}

static void flood(struct fixture *f, enum sources_overflow policy)
{
	f->room = f->room_for_loss = 0;
	for (int i = 0; i < 500; i++) {
		add(f, 0, 1000, policy);
	}
	assert_true(f->share.used > f->share.max - 1100);
	/* Those that come later have as much, each, and nothing of theirs is dropped. */
	for (int i = 0; i < 30; i++) {
		add(f, 1, 1000, policy);
		add(f, 2, 1000, policy);
	}
	assert_true(f->share.used <= f->share.max + 100);
	all_is_accounted_for(f);
	assert_int_equal(f->out[1].lost, 0);
	assert_int_equal(f->out[2].lost, 0);
	assert_int_equal(f->out[1].messages, 30);
	assert_int_equal(f->out[0].lost, f->share.lost[LOST_FULL]);
	assert_true(f->out[0].lost >= 460);
}

static void a_peer_that_floods_loses_its_own_newest(void **state)
{
	struct fixture *f = *state;

	flood(f, SOURCES_DROP_NEWEST);
	assert_non_null(strstr(f->out[0].reason, "socket buffer-full lines="));
}

static void a_peer_that_floods_loses_its_own_oldest(void **state)
{
	flood(*state, SOURCES_DROP_OLDEST);
}

static void a_message_larger_than_a_share_is_taken_from_who_has_nothing_waiting(void **state)
{
	struct fixture *f = *state;

	f->room = 0;
	for (int i = 0; i < 200; i++) {
		add(f, 0, 1000, SOURCES_DROP_NEWEST);
	}
	add(f, 1, 60000, SOURCES_DROP_NEWEST);
	all_is_accounted_for(f);
	assert_int_equal(f->out[1].messages, 1);
}

static void a_message_larger_than_the_limit_is_lost_alone(void **state)
{
	struct fixture *f = *state;

	f->share.max = 5000;
	f->room = 0;
	add(f, 0, 1000, SOURCES_DROP_OLDEST);
	add(f, 0, 6000, SOURCES_DROP_OLDEST);
	all_is_accounted_for(f);
	assert_int_equal(f->out[0].messages, 1);
	assert_int_equal(f->out[0].lost, 1);
}

static void losses_of_all_kinds_do_not_grow_without_end(void **state)
{
	struct fixture *f = *state;

	f->room = f->room_for_loss = 0;
	for (int i = 0; i < 100000; i++) {
		f->in[0]++;
		backlog_lose(&f->b[0], 1, i % 2 == 0 ? LOST_RATE : LOST_FULL);
	}
	assert_true(f->share.used <= f->share.max);
	all_is_accounted_for(f);
}

/* ---- the end ---- */

static void what_nothing_takes_at_the_end_is_told_as_lost(void **state)
{
	struct fixture *f = *state;

	f->room = 2;
	for (int i = 0; i < 10; i++) {
		add(f, 0, 100, SOURCES_DROP_NEWEST);
	}
	assert_int_equal(backlog_close(&f->b[0]), 8);
	assert_int_equal(f->out[0].messages, 2);
	assert_string_equal(f->out[0].reason, "socket buffer-full lines=8");
	assert_int_equal(f->out[0].why, TAIL_ROTATED);
	assert_int_equal(f->share.lost[LOST_FULL], 8);
}

static void or_the_stream_has_no_clean_end(void **state)
{
	struct fixture *f = *state;

	f->room = f->room_for_loss = 0;
	add(f, 0, 100, SOURCES_DROP_NEWEST);
	assert_int_equal(backlog_close(&f->b[0]), 1);
	assert_int_equal(f->out[0].closed, 1);
	assert_int_equal(f->out[0].why, TAIL_CUT_OFF);
}

/* ---- anything ---- */

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void run_seed(struct fixture *f, uint64_t seed)
{
	uint64_t x = seed * 2654435761u + 1;
	enum sources_overflow policy = seed % 2 == 0 ? SOURCES_DROP_NEWEST
						     : SOURCES_DROP_OLDEST;

	f->share.max = 4096 + next_random(&x) % 200000;
	for (int i = 0; i < 2000; i++) {
		size_t peer = next_random(&x) % PEERS;
		uint64_t what = next_random(&x) % 100, n = next_random(&x);

		f->room = f->room_for_loss = 0;
		if (what < 80) {
			add(f, peer, n % (n % 50 == 0 ? 60000 : 700), policy);
		} else if (what < 90) {
			f->in[peer] += 1 + n % 3;
			backlog_lose(&f->b[peer], 1 + n % 3,
				     what < 85 ? LOST_RATE : LOST_KERNEL);
		} else {
			f->room = n % 40;
			f->room_for_loss = n % 7;
			backlog_offer(&f->b[peer], n % 2 == 0);
		}
		/* Each message is larger than the loss that may stand for it. */
		if (f->share.used > 2 * f->share.max) {
			fail_msg("seed %" PRIu64 ": %zu of %zu bytes", seed, f->share.used,
				 f->share.max);
		}
	}
	all_is_accounted_for(f);
}

static void whatever_comes_each_message_is_given_or_told_at_its_place(void **state)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		void *f;

		print_message("%" PRIu64 "%s", seed, seed < 200 ? " " : "\n");
		tear_down(state);
		set_up(&f);
		*state = f;
		run_seed(f, seed);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_of_the_limit_can_be_used_however_the_queue_has_moved),
		T(a_peer_that_floods_loses_its_own_newest),
		T(a_peer_that_floods_loses_its_own_oldest),
		T(a_message_larger_than_a_share_is_taken_from_who_has_nothing_waiting),
		T(a_message_larger_than_the_limit_is_lost_alone),
		T(losses_of_all_kinds_do_not_grow_without_end),
		T(what_nothing_takes_at_the_end_is_told_as_lost),
		T(or_the_stream_has_no_clean_end),
		T(whatever_comes_each_message_is_given_or_told_at_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
