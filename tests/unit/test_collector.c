/* Unit tests of collector/core.h: devices speak, files are written, things fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/segment_reader.h"
#include "tests/support/collector_bench.h"

static struct bench bench;

static int set_up(void **state)
{
	bench_init(&bench);
	assert_int_equal(bench_start(&bench), 0);
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	bench_fini(*state);
	return 0;
}

/* ---- words ---- */

static struct seal_key hello(struct bench_link *l, char machine)
{
	struct welcome w;
	struct said *m;

	bench_hello(l, machine);
	m = bench_hear(l, MSG_WELCOME);
	assert_non_null(m);
	assert_int_equal(welcome_decode(&w, said_payload(m)), 0);
	assert_int_equal(w.n_keys, 1);
	free(m);
	return w.keys[0];
}

/* What hello with stream `s` is answered: W_received and W_durable. */
static struct msg_stream ask(struct bench_link *l, char s)
{
	struct hello h = {.version_min = 1, .version_max = 1,
			  .software = SLICE_LIT("bench 1")};
	struct msg_stream asked = {0}, got = {0};
	struct welcome w;
	struct buf list, out;
	struct said *m;

	h.machine[0] = 'm';
	asked.id.b[0] = (uint8_t)s;
	buf_init(&list, 1024);
	buf_init(&out, 4096);
	assert_int_equal(msg_add_stream(&list, &asked), 0);
	h.streams = buf_slice(&list);
	assert_int_equal(hello_encode(&h, &out), 0);
	bench_say(l, MSG_HELLO, buf_slice(&out));
	m = bench_hear(l, MSG_WELCOME);
	assert_non_null(m);
	assert_int_equal(welcome_decode(&w, said_payload(m)), 0);
	assert_int_equal(msg_streams_next(&w.streams, &got), 1);
	buf_fini(&list);
	buf_fini(&out);
	free(m);
	return got;
}

static uint64_t acked(struct bench_link *l, char s)
{
	struct said *m;
	uint64_t w = 0;

	while ((m = bench_hear(l, MSG_ACK)) != NULL) {
		struct msg_stream got;
		struct ack a;

		assert_int_equal(ack_decode(&a, said_payload(m)), 0);
		while (msg_streams_next(&a.streams, &got) == 1) {
			if (got.id.b[0] == (uint8_t)s) {
				assert_true(got.durable >= w);
				w = got.durable;
			}
		}
		free(m);
	}
	return w;
}

static int error_code(struct bench_link *l)
{
	struct said *m = bench_hear(l, MSG_ERROR);
	struct error_msg e;

	if (m == NULL) {
		return 0;
	}
	assert_int_equal(error_msg_decode(&e, said_payload(m)), 0);
	free(m);
	return e.code;
}

static bool naked(struct bench_link *l, uint64_t *w)
{
	struct said *m = bench_hear(l, MSG_NAK);
	struct nak n;

	if (m == NULL) {
		return false;
	}
	assert_int_equal(nak_decode(&n, said_payload(m)), 0);
	*w = n.stream.received;
	free(m);
	return true;
}

/* A whole conversation: hello, a segment, its batches [0,10), [10,20), ... */
static void send_ranges(struct bench_link *l, struct bench_segment *g,
			struct seal_key key, size_t n)
{
	bench_segment_new(&bench, g, l, &key, LANE_FILE, 1);
	bench_announce(l, g, -1, sealer_hash(g->sealer));
	for (size_t i = 0; i < n; i++) {
		bench_seal(g, 's', i * 10, i * 10 + 10, 0);
		bench_send_batch(l, g, i);
	}
}

/* ---- tests ---- */

static void a_batch_is_acknowledged_after_its_sync(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_segment g;

	send_ranges(l, &g, hello(l, 'm'), 3);
	assert_int_equal(acked(l, 's'), 0); /* Received, not durable. */
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), 30);
	bench_segment_free(&g);
}

static void nothing_is_lost_or_doubled_over_a_kill(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_segment g;

	send_ranges(l, &g, hello(l, 'm'), 3);
	bench_run(b, 100);
	bench_kill(b);
	assert_int_equal(bench_start(b), 0);
	l = bench_connect(b, "gw");
	assert_int_equal(ask(l, 's').received, 30);
	bench_segment_free(&g);
}

static void a_clean_stop_acknowledges_and_remembers(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_segment g;
	struct msg_stream w;

	send_ranges(l, &g, hello(l, 'm'), 2);
	bench_stop(b);
	assert_int_equal(acked(l, 's'), 20);
	assert_int_equal(bench_start(b), 0);
	w = ask(bench_connect(b, "gw"), 's');
	assert_int_equal(w.received, 20);
	assert_int_equal(w.durable, 20);
	assert_int_equal(w.h_durable, 1020);
	bench_segment_free(&g);
}

static void a_batch_above_the_watermark_is_refused(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l, 'm');
	struct bench_segment g;
	uint64_t w = 1;

	bench_segment_new(b, &g, l, &key, LANE_FILE, 1);
	bench_announce(l, &g, -1, sealer_hash(g.sealer));
	bench_seal(&g, 's', 0, 10, 0);
	bench_seal(&g, 's', 20, 30, 0);
	bench_seal(&g, 's', 30, 40, 0);
	bench_send_batch(l, &g, 0);
	bench_send_batch(l, &g, 1);
	assert_true(naked(l, &w));
	assert_int_equal(w, 10);
	bench_send_batch(l, &g, 2); /* Discarded in silence. */
	assert_false(naked(l, &w));
	assert_int_equal(error_code(l), 0);
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), 10);
	bench_segment_free(&g);
}

static void what_overlaps_is_trimmed_and_what_is_old_still_acknowledged(
	void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l, 'm');
	struct bench_segment g, h;

	send_ranges(l, &g, key, 2);
	bench_segment_new(b, &h, l, &key, LANE_FILE, 2);
	bench_announce(l, &h, -1, sealer_hash(h.sealer));
	bench_seal(&h, 's', 0, 10, 0);  /* Wholly old. */
	bench_seal(&h, 's', 10, 40, 0); /* Half old. */
	bench_send_batch(l, &h, 0);
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), 20);
	bench_send_batch(l, &h, 1);
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), 40);
	bench_segment_free(&g);
	bench_segment_free(&h);
}

static void a_segment_goes_on_after_reconnecting(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_segment g;
	struct hash32 after;

	send_ranges(l, &g, hello(l, 'm'), 2);
	after = sealer_hash(g.sealer);
	bench_run(b, 100);
	for (int restart = 0; restart < 2; restart++) {
		if (restart) {
			bench_kill(b);
			assert_int_equal(bench_start(b), 0);
		} else {
			l->closing = true;
			bench_run(b, 10);
		}
		l = bench_connect(b, "gw");
		hello(l, 'm');
		bench_announce(l, &g, (int64_t)g.n - 1, after);
		bench_seal(&g, 's', g.n * 10, g.n * 10 + 10, 0);
		after = sealer_hash(g.sealer);
		bench_send_batch(l, &g, g.n - 1);
		bench_run(b, 100);
		assert_int_equal(acked(l, 's'), g.n * 10);
	}
	bench_segment_free(&g);
}

static void batches_sent_again_are_compared_and_acknowledged(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l, 'm');
	struct bench_segment g, other;
	struct hash32 start;

	bench_segment_new(b, &g, l, &key, LANE_FILE, 1);
	start = sealer_hash(g.sealer);
	bench_announce(l, &g, -1, start);
	for (size_t i = 0; i < 3; i++) {
		bench_seal(&g, 's', i * 10, i * 10 + 10, 0);
		bench_send_batch(l, &g, i);
	}
	bench_run(b, 100);
	acked(l, 's');
	bench_announce(l, &g, -1, start);
	bench_send_batch(l, &g, 0);
	bench_send_batch(l, &g, 1);
	bench_send_batch(l, &g, 2);
	bench_seal(&g, 's', 30, 40, 0);
	bench_send_batch(l, &g, 3);
	bench_run(b, 100);
	assert_int_equal(error_code(l), 0);
	assert_int_equal(acked(l, 's'), 40);
	/* Another content under the same index. */
	bench_segment_new(b, &other, l, &key, LANE_FILE, 9);
	bench_seal(&other, 's', 0, 10, 0);
	bench_announce(l, &g, -1, start);
	bench_send_batch(l, &other, 0);
	assert_int_equal(error_code(l), MSG_ERROR_CONFLICT);
	bench_segment_free(&g);
	bench_segment_free(&other);
}

static void a_resume_that_contradicts_the_store_is_refused(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_segment g;
	struct hash32 wrong = {{1}};

	send_ranges(l, &g, hello(l, 'm'), 2);
	bench_announce(l, &g, 1, wrong);
	assert_int_equal(error_code(l), MSG_ERROR_CONFLICT);
	bench_run(b, 100);
	l = bench_connect(b, "gw");
	hello(l, 'm');
	bench_announce(l, &g, 7, sealer_hash(g.sealer));
	assert_int_equal(error_code(l), MSG_ERROR_PROTOCOL);
	assert_int_equal(b->alerts, 1);
	bench_segment_free(&g);
}

static void a_newer_session_fences_the_older(void **state)
{
	struct bench *b = *state;
	struct bench_link *old = bench_connect(b, "gw"), *l;
	struct bench_segment g;

	send_ranges(old, &g, hello(old, 'm'), 1);
	l = bench_connect(b, "gw");
	assert_int_equal(ask(l, 's').received, 10);
	assert_int_equal(error_code(old), MSG_ERROR_FENCED);
	bench_seal(&g, 's', 10, 20, 0);
	old->closing = false; /* What was on its way all the same. */
	bench_send_batch(old, &g, 1);
	old->closing = true;
	bench_run(b, 100);
	/* The new one hears what the old one is owed. */
	assert_int_equal(acked(l, 's'), 10);
	bench_segment_free(&g);
}

static void a_second_machine_is_refused_with_an_alert(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw"), *clone;

	hello(l, 'm');
	clone = bench_connect(b, "gw");
	bench_hello(clone, 'x');
	assert_null(bench_hear(clone, MSG_WELCOME));
	assert_int_equal(error_code(clone), MSG_ERROR_CLONED);
	assert_int_equal(error_code(l), 0);
	assert_int_equal(b->alerts, 1);
	assert_non_null(strstr(b->last_alert, "cloned-identity"));
	bench_run(b, 100);
}

static void anothers_segment_is_refused(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_link *thief = bench_connect(b, "thief");
	struct bench_segment g;

	send_ranges(l, &g, hello(l, 'm'), 1);
	hello(thief, 't');
	bench_announce(thief, &g, -1, sealer_hash(g.sealer));
	assert_int_equal(error_code(thief), MSG_ERROR_PROTOCOL);
	bench_run(b, 100);
	bench_segment_free(&g);
}

static void nonsense_ends_the_session_and_nothing_else(void **state)
{
	struct bench *b = *state;

	for (unsigned type = 0; type < 13; type++) {
		for (int greeted = 0; greeted < 2; greeted++) {
			struct bench_link *l = bench_connect(b, "gw");

			if (greeted) {
				hello(l, 'm');
			}
			bench_say(l, (uint8_t)type,
				  SLICE_LIT("\xff\xff\xff\xff nonsense"));
			if (type == MSG_ERROR || (greeted && (type == MSG_PING ||
							      type == MSG_BYE))) {
				assert_int_equal(error_code(l), greeted ? 0 : 1);
				l->closing = true;
			} else {
				/* 0xff is a version from the future. */
				assert_int_equal(error_code(l),
						 type == MSG_HELLO && !greeted
							 ? MSG_ERROR_VERSION
							 : MSG_ERROR_PROTOCOL);
			}
			assert_true(l->closing);
			bench_run(b, 100);
		}
	}
}

static void a_failed_sync_is_taken_back_and_goes_on_in_a_new_file(
	void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_segment g;
	struct msg_stream w;
	struct hash32 after_one;

	send_ranges(l, &g, hello(l, 'm'), 1);
	after_one = sealer_hash(g.sealer);
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), 10);
	bench_seal(&g, 's', 10, 20, 0);
	bench_send_batch(l, &g, 1);
	b->fs.countdown = 0; /* The next file call is the sync. */
	b->fs.fired = false;
	bench_run(b, 500);
	assert_true(b->fs.fired);
	assert_int_equal(acked(l, 's'), 0);
	assert_int_equal(error_code(l), MSG_ERROR_STORAGE);
	assert_null(bench_connect(b, "gw")); /* Not before it is repaired. */
	bench_run(b, 5000);
	for (int restart = 0; restart < 2; restart++) {
		l = bench_connect(b, "gw");
		assert_non_null(l);
		w = ask(l, 's');
		assert_int_equal(w.received, restart ? 30 : 10);
		if (!restart) {
			/* It resumes behind what is durable. */
			bench_announce(l, &g, 0, after_one);
			bench_send_batch(l, &g, 1);
			bench_seal(&g, 's', 20, 30, 0);
			bench_send_batch(l, &g, 2);
			bench_run(b, 100);
			assert_int_equal(error_code(l), 0);
			assert_int_equal(acked(l, 's'), 30);
			bench_kill(b);
			assert_int_equal(bench_start(b), 0);
		}
	}
	bench_segment_free(&g);
}

static void a_full_disk_pauses_and_recovers_by_itself(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_segment g;

	send_ranges(l, &g, hello(l, 'm'), 1);
	bench_run(b, 100);
	b->fs.countdown = 0;
	b->fs.fired = false;
	b->fs.error = UV_ENOSPC;
	bench_seal(&g, 's', 10, 20, 0);
	bench_seal(&g, 's', 20, 30, 0);
	bench_send_batch(l, &g, 1);
	assert_true(l->paused);
	bench_send_batch(l, &g, 2); /* Was on its way already. */
	bench_run(b, 3000);
	assert_false(l->paused);
	assert_int_equal(error_code(l), 0);
	assert_int_equal(acked(l, 's'), 30);
	bench_segment_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(a_batch_is_acknowledged_after_its_sync),
		T(nothing_is_lost_or_doubled_over_a_kill),
		T(a_clean_stop_acknowledges_and_remembers),
		T(a_batch_above_the_watermark_is_refused),
		T(what_overlaps_is_trimmed_and_what_is_old_still_acknowledged),
		T(a_segment_goes_on_after_reconnecting),
		T(batches_sent_again_are_compared_and_acknowledged),
		T(a_resume_that_contradicts_the_store_is_refused),
		T(a_newer_session_fences_the_older),
		T(a_second_machine_is_refused_with_an_alert),
		T(anothers_segment_is_refused),
		T(nonsense_ends_the_session_and_nothing_else),
		T(a_failed_sync_is_taken_back_and_goes_on_in_a_new_file),
		T(a_full_disk_pauses_and_recovers_by_itself),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
