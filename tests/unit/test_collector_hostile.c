/* Unit tests of the collector against a device with a good certificate and bad
 * manners: what it may cost the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/store.h"
#include "tests/support/collector_bench.h"

static struct bench bench;
static unsigned segment_opens, open_now, open_most;

static bool is_segment(const char *path)
{
	return strstr(path, "/devices/") != NULL;
}

static int counted_open(struct sys *s, const char *path, int flags,
			unsigned mode)
{
	int fd = FAULT_REAL(s)->ops->open(FAULT_REAL(s), path, flags, mode);

	segment_opens += is_segment(path);
	if (fd >= 0) {
		open_now++;
		open_most = open_now > open_most ? open_now : open_most;
	}
	return fd;
}

static int counted_close(struct sys *s, int fd)
{
	open_now--;
	return FAULT_REAL(s)->ops->close(FAULT_REAL(s), fd);
}

static int set_up(void **state)
{
	static char output[96];

	bench_init(&bench);
	snprintf(output, sizeof output, "%s/out.json", bench.dir);
	bench.options.output_file = output;
	bench.fs.ops.open = counted_open;
	bench.fs.ops.close = counted_close;
	segment_opens = open_now = open_most = 0;
	assert_int_equal(bench_start(&bench), 0);
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	bench_fini(*state);
	return 0;
}

static struct seal_key hello(struct bench_link *l)
{
	struct welcome w;
	struct said *m;

	bench_hello(l, 'm');
	m = bench_hear(l, MSG_WELCOME);
	assert_int_equal(welcome_decode(&w, said_payload(m)), 0);
	free(m);
	return w.keys[0];
}

/* The position up to which anything was acknowledged. */
static uint64_t acked(struct bench_link *l)
{
	struct said *m;
	uint64_t most = 0;

	while ((m = bench_hear(l, MSG_ACK)) != NULL) {
		struct msg_stream got;
		struct ack a;

		assert_int_equal(ack_decode(&a, said_payload(m)), 0);
		while (msg_streams_next(&a.streams, &got) == 1) {
			most = got.durable > most ? got.durable : most;
		}
		free(m);
	}
	return most;
}

static void a_crowd_of_tiny_segments_waits_for_the_sync(void **state)
{
	enum { SEGMENTS = 300 };
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l);

	for (uint64_t i = 0; i < SEGMENTS; i++) {
		struct bench_segment g;

		bench_segment_new(b, &g, l, &key, LANE_FILE, 1 + i);
		bench_announce(l, &g, -1, sealer_hash(g.sealer));
		bench_seal(&g, 's', i * 10, i * 10 + 10, 0);
		bench_send_batch(l, &g, 0);
		bench_segment_free(&g);
	}
	assert_true(l->paused);
	assert_in_range(open_most, DEVICE_DIRTY_MAX, DEVICE_DIRTY_MAX + 10);
	bench_run(b, 2000);
	assert_false(l->paused);
	assert_int_equal(acked(l), SEGMENTS * 10);
}

static void a_stolen_identity_does_not_flood_the_hooks(void **state)
{
	struct bench *b = *state;

	hello(bench_connect(b, "gw"));
	for (int i = 0; i < 50; i++) {
		struct bench_link *thief = bench_connect(b, "gw");

		bench_hello(thief, 'x');
		assert_true(thief->closing);
		bench_run(b, 10);
	}
	assert_int_equal(b->alerts, 10);
}

/* As many as docs/wire.md allows, and some that are known and not named. */
static void a_hello_may_name_as_many_streams_as_a_list_has(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l);
	struct hello h = {.version_min = 1, .version_max = 1,
			  .machine = {'m'}, .software = SLICE_LIT("bench")};
	struct bench_segment g;
	struct welcome w;
	struct msg_stream m = {0};
	struct buf list, out;
	struct said *said;
	size_t n = 0;

	bench_segment_new(b, &g, l, &key, LANE_FILE, 1);
	bench_announce(l, &g, -1, sealer_hash(g.sealer));
	bench_seal(&g, 's', 0, 10, 0);
	bench_send_batch(l, &g, 0);
	bench_run(b, 100);
	buf_init(&list, LIMIT_FRAME);
	buf_init(&out, LIMIT_FRAME);
	for (unsigned i = 0; i < LIMIT_HELLO_STREAMS; i++) {
		m.id.b[1] = (uint8_t)(i >> 8);
		m.id.b[2] = (uint8_t)i;
		assert_int_equal(msg_add_stream(&list, &m), 0);
	}
	h.streams = buf_slice(&list);
	assert_int_equal(hello_encode(&h, &out), 0);
	l = bench_connect(b, "gw");
	bench_say(l, MSG_HELLO, buf_slice(&out));
	said = bench_hear(l, MSG_WELCOME);
	assert_int_equal(welcome_decode(&w, said_payload(said)), 0);
	while (msg_streams_next(&w.streams, &m) == 1) {
		n++;
	}
	assert_int_equal(n, LIMIT_HELLO_STREAMS);
	free(said);
	buf_fini(&list);
	buf_fini(&out);
	bench_segment_free(&g);
}

static void batches_behind_one_that_does_not_open_cost_no_look(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l);
	struct bench_segment g;

	bench_segment_new(b, &g, l, &key, LANE_FILE, 1);
	bench_announce(l, &g, -1, sealer_hash(g.sealer));
	for (uint64_t i = 0; i < 32; i++) {
		bench_seal(&g, 's', i * 10, i * 10 + 10, 0);
		if (i == 1) {
			g.batches[i].p[g.batches[i].n - 1] ^= 1;
		}
		bench_send_batch(l, &g, i);
	}
	segment_opens = 0;
	bench_run(b, 5000);
	assert_int_equal(acked(l), 320);
	assert_in_range(segment_opens, 1, 3);
	bench_segment_free(&g);
}

static void bodies_of_nonsense_do_not_have_their_segment_read_again(
	void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l);
	struct bench_segment g;

	bench_segment_new(b, &g, l, &key, LANE_FILE, 1);
	bench_announce(l, &g, -1, sealer_hash(g.sealer));
	for (uint64_t i = 0; i < 32; i++) {
		struct batch_head h = {.first_ms = 1, .last_ms = 2,
				       .n_streams = 1};

		h.streams[0] = (struct batch_stream){
			.start = i * 10, .end = i * 10 + 10, .count = 1};
		buf_init(&g.batches[i], 4096);
		assert_int_equal(sealer_seal(g.sealer, &h,
					     SLICE_LIT("no section at all"),
					     &g.batches[i]),
				 0);
		g.n = i + 1;
		bench_send_batch(l, &g, i);
	}
	segment_opens = 0;
	bench_run(b, 5000);
	assert_int_equal(acked(l), 320);
	assert_in_range(segment_opens, 1, 3);
	bench_segment_free(&g);
}

/* A few hundred sealed bytes can hold a quarter of a million empty alerts. */
static void a_batch_of_countless_alerts_hands_on_some(void **state)
{
	enum { RECORDS = 100000, TOLD = 4096 };
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l);
	struct bench_segment g;
	struct batch_head h = {.first_ms = 1, .last_ms = 2, .n_streams = 1};
	struct body_section section;
	struct buf body;

	bench_segment_new(b, &g, l, &key, LANE_ALERT, 1);
	bench_announce(l, &g, -1, sealer_hash(g.sealer));
	body_section_init(&section, 1 << 20);
	body_section_reset(&section, 0);
	buf_init(&body, 1 << 20);
	for (uint64_t i = 0; i < RECORDS; i++) {
		struct record r = {.start = i, .end = i + 1,
				   .flags = RECORD_ALERT, .line = SLICE_NONE,
				   .observed_ns = 1000000,
				   .header = {.time_ns = TIME_NONE}};

		r.stream.b[0] = 's';
		assert_int_equal(body_add(&section, &r, false), 0);
	}
	assert_int_equal(body_section_write(&section, &body), 0);
	h.streams[0] = (struct batch_stream){.end = RECORDS, .count = RECORDS};
	h.streams[0].id.b[0] = 's';
	buf_init(&g.batches[0], 1 << 20);
	assert_int_equal(sealer_seal(g.sealer, &h, buf_slice(&body),
				     &g.batches[0]), 0);
	g.n = 1;
	assert_in_range(g.batches[0].n, 1, 1000);
	bench_send_batch(l, &g, 0);
	bench_seal(&g, 's', RECORDS, RECORDS + 10, RECORD_ALERT);
	bench_send_batch(l, &g, 1);
	bench_run(b, 5000);
	assert_int_equal(b->alerts, TOLD + 1); /* The next batch's comes. */
	bench_segment_free(&g);
	body_section_fini(&section);
	buf_fini(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(a_crowd_of_tiny_segments_waits_for_the_sync),
		T(a_stolen_identity_does_not_flood_the_hooks),
		T(a_hello_may_name_as_many_streams_as_a_list_has),
		T(batches_behind_one_that_does_not_open_cost_no_look),
		T(a_batch_of_countless_alerts_hands_on_some),
		T(bodies_of_nonsense_do_not_have_their_segment_read_again),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
