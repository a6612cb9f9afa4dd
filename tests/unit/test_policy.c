/* Three sources that can't be read again, each with a policy of its own, and a spool
 * that is too small for them: every byte that was taken is in the spool once, as a line
 * or in a gap record, and no source loses anything by another's policy.  And when a
 * batch is closed, on a clock that the test turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "shipper/shipper.h"
#include "shipper/spool.h"
#include "wire/body.h"
#include "wire/crypto.h"

struct sys_timer {
	sys_timer_cb cb;
	void *arg;
	int64_t due_ns; /* INT64_MAX: not set */
};

enum { TIMERS = 32 };
enum { STREAMS = 3, SPOOL_MAX = 256 * 1024, LINE = 400, ATTEMPTS = 4000 };

struct fixture {
	char dir[64];
	uv_loop_t loop;
	struct sys_uv sys;
	struct sys_ops ops;
	struct sys_timer timers[TIMERS];
	int64_t now_ns;
	bool closed; /* a batch */
	struct net net;
	struct seal_secret key;
	struct shipper_options options;
	struct shipper *shipper;
	bool stopped;
	bool called; /* there is room */
	bool gone; /* what is wanted again can't be read again */

	struct stream_id id[STREAMS];
	uint64_t end[STREAMS];    /* of what was taken */
	uint64_t found[STREAMS];  /* so far, while the spool is read */
	uint64_t lost[STREAMS], lines[STREAMS];
	unsigned refused[STREAMS];
	uint64_t spool_bytes;

	struct opener *opener; /* of the file that is being read */
	char *bytes;
};

static enum queue queue_at(int i)
{
	return queue_of(LANE_KEPT, (enum spool_policy)i);
}

/* ---- a clock that the test turns ---- */

static struct fixture *fixture_of(struct sys *s)
{
	return (struct fixture *)((char *)s - offsetof(struct fixture, sys.sys));
}

static int64_t mono_ns(struct sys *s)
{
	return fixture_of(s)->now_ns;
}

static int timer_new(struct sys *s, struct sys_timer **out, sys_timer_cb cb,
		     void *arg)
{
	struct sys_timer *t = fixture_of(s)->timers;

	while (t->cb != NULL) {
		t++;
		assert_true(t < fixture_of(s)->timers + TIMERS);
	}
	*t = (struct sys_timer){cb, arg, INT64_MAX};
	*out = t;
	return 0;
}

static void timer_set(struct sys *s, struct sys_timer *t, uint64_t ms)
{
	t->due_ns = fixture_of(s)->now_ns + (int64_t)ms * 1000000;
}

static void timer_stop(struct sys *s, struct sys_timer *t)
{
	(void)s;
	t->due_ns = INT64_MAX;
}

static void timer_free(struct sys *s, struct sys_timer *t)
{
	timer_stop(s, t);
	t->cb = NULL;
}

static void turn_clock(struct fixture *f)
{
	f->now_ns += 1000000;
	for (size_t i = 0; i < TIMERS; i++) {
		struct sys_timer *t = &f->timers[i];

		if (t->cb != NULL && t->due_ns <= f->now_ns) {
			t->due_ns = INT64_MAX;
			t->cb(t->arg);
		}
	}
}

/* ---- what a shipper asks ---- */

static uint64_t hash_at(void *arg, const struct stream_id *id, uint64_t position)
{
	struct fixture *f = arg;

	(void)id;
	f->closed = true;
	return position;
}

static void on_msg_stream(void *arg, const struct msg_stream *w)
{
	(void)arg;
	(void)w;
}

static void on_welcome(void *arg, struct slice streams)
{
	(void)arg;
	(void)streams;
}

static int no_rewind(void *arg, const struct msg_stream *w, bool proved)
{
	(void)arg;
	(void)w;
	(void)proved;
	return UV_ENOENT;
}

static int list_streams(void *arg, struct buf *list)
{
	(void)arg;
	(void)list;
	return 0;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void on_room(void *arg)
{
	((struct fixture *)arg)->called = true;
}

static int sign(void *arg, const struct head *h, struct buf *out)
{
	(void)arg;
	(void)h;
	(void)out;
	return 0;
}

static const struct shipper_cbs cbs = {
	.hash_at = hash_at,
	.acked = on_msg_stream,
	.welcome = on_welcome,
	.rewind = no_rewind,
	.list_streams = list_streams,
	.room = on_room,
	.sign = sign,
	.changed = nothing,
};

static int no_dial(struct net *n, const char *host, uint16_t port,
		   const struct link_cbs *link_cbs, void *arg, struct link **out)
{
	(void)n;
	(void)host;
	(void)port;
	(void)link_cbs;
	(void)arg;
	(void)out;
	return UV_ENETUNREACH;
}

/* ---- life ---- */

/* As shipper_save() writes it: a key to seal to, and nothing else. */
static void saved_state(const struct fixture *f, struct buf *out)
{
	static const char zeros[16];

	assert_int_equal(buf_add_u8(out, 2), 0);
	assert_int_equal(buf_add_u8(out, 1), 0);
	assert_int_equal(buf_add(out, f->key.pub.public_key, 32), 0);
	assert_int_equal(buf_add(out, f->key.pub.id, 8), 0);
	assert_int_equal(buf_add_u8(out, 0), 0);
	assert_int_equal(buf_add(out, zeros, 16), 0);
	for (int i = 0; i < QUEUE_NR; i++) {
		assert_int_equal(buf_add_u64(out, 0), 0);
	}
	assert_int_equal(buf_add_varint(out, 0), 0); /* head */
	assert_int_equal(buf_add_u8(out, 0), 0);     /* another store */
	assert_int_equal(buf_add(out, zeros, 16), 0);
	assert_int_equal(buf_add_varint(out, 0), 0);
	assert_int_equal(buf_add_u32(out, 0), 0);
	assert_int_equal(buf_add_u64(out, 0), 0);
}

static void make_shipper(struct fixture *f)
{
	static const struct net_ops ops = {.dial = no_dial};
	struct shipper_params params = {
		.sys = &f->sys.sys,
		.net = &f->net,
		.options = &f->options,
		.cbs = &cbs,
		.arg = f,
		.software = "test",
	};
	struct buf saved;

	buf_init(&saved, 4096);
	saved_state(f, &saved);
	params.saved = buf_slice(&saved);
	f->net.ops = &ops;
	assert_int_equal(shipper_new(&f->shipper, &params), 0);
	buf_fini(&saved);
	shipper_start(f->shipper);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	log_set_level(LOG_LEVEL_ERROR);
	strcpy(f->dir, "/tmp/test_policy.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(crypto_init(), 0);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	sys_uv_init(&f->sys, &f->loop);
	f->ops = *f->sys.sys.ops;
	f->ops.mono_ns = mono_ns;
	f->ops.timer_new = timer_new;
	f->ops.timer_set = timer_set;
	f->ops.timer_stop = timer_stop;
	f->ops.timer_free = timer_free;
	f->sys.sys.ops = &f->ops;
	assert_int_equal(seal_secret_new(&f->key, sys_plain()), 0);
	f->options = (struct shipper_options){
		.spool_dir = f->dir,
		.spool_max = SPOOL_MAX,
		.memory_max = 4 << 20,
		.batch_delay_ms = 5,
		.batch_max = 8192,
		.segment_max = 24 * 1024,
		.segment_age_ms = 60000,
		.segment_silence_ms = 60000,
		.window_log = 15,
		.level = 1,
		.reconnect_min_ms = 1000,
		.reconnect_max_ms = 1000,
	};
	assert_int_equal(hostlist_add(&f->options.collectors,
				      SLICE_LIT("nobody"), 1, 0),
			 0);
	for (int i = 0; i < STREAMS; i++) {
		f->id[i].b[0] = (uint8_t)(i + 1);
	}
	make_shipper(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	shipper_free(f->shipper);
	while (uv_loop_close(&f->loop) == UV_EBUSY) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	hostlist_fini(&f->options.collectors);
	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void on_stopped(void *arg)
{
	((struct fixture *)arg)->stopped = true;
}

/* ---- giving lines ---- */

/* false: there was no room. */
static bool give_to(struct fixture *f, int i, enum queue queue)
{
	char text[LINE];
	struct record r = {
		.stream = f->id[i],
		.start = f->end[i],
		.end = f->end[i] + LINE + 1,
		.line = slice(text, sizeof text),
		.observed_ns = 1,
		.header.time_ns = TIME_NONE,
	};

	for (size_t k = 0; k < sizeof text; k++) {
		text[k] = (char)('!' + rand() % 90);
	}
	if (shipper_reserve(f->shipper, queue, &r.stream, LINE) != 0 ||
	    shipper_add(f->shipper, queue, &r, false) != 0) {
		f->refused[i]++;
		return false;
	}
	f->end[i] = r.end;
	return true;
}

static bool give(struct fixture *f, int i)
{
	return give_to(f, i, queue_at(i));
}

static void run_for(struct fixture *f, int turns)
{
	for (int i = 0; i < turns; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		uv_sleep(1);
		turn_clock(f);
	}
}

/* ---- reading the spool ---- */

static int on_segment(void *arg, const struct spool_found *s)
{
	struct fixture *f = arg;
	size_t n;

	opener_free(f->opener);
	free(f->bytes);
	assert_int_equal(opener_new(&f->opener, s->header, &f->key, 1), 0);
	assert_int_equal(sys_read_file(sys_plain(), s->path, UINT32_MAX,
				       &f->bytes, &n),
			 0);
	f->spool_bytes += n;
	return 0;
}

/* Each record goes on where the one before has ended. */
static void take_record(struct fixture *f, const struct record *r)
{
	int i = r->stream.b[0] - 1;

	assert_in_range(i, 0, STREAMS - 1);
	assert_int_equal(r->start, f->found[i]);
	f->found[i] = r->end;
	if ((r->flags & RECORD_GAP) != 0) {
		f->lost[i] += r->end - r->start;
		assert_true(slice_starts(
			r->line, f->gone ? SLICE_LIT("store-rollback")
				 : i == SPOOL_DROP_OLDEST
					 ? SLICE_LIT("spool-full drop-oldest")
					 : SLICE_LIT("spool-full drop-newest")));
	} else {
		f->lines[i]++;
		assert_int_equal(r->line.n, LINE);
	}
}

static int on_batch(void *arg, struct spool_place place,
		    const struct batch_head *h)
{
	struct fixture *f = arg;
	struct batch_head head;
	struct body_reader reader;
	struct record r;
	struct buf body, line;
	int rc;

	(void)h;
	buf_init(&body, LIMIT_BATCH_DECODED + 65536);
	buf_init(&line, BODY_LINE_MAX);
	assert_int_equal(opener_open(f->opener,
				     slice(f->bytes + place.offset, place.len),
				     &head, &body),
			 0);
	body_reader_init(&reader, &head, buf_slice(&body), &line);
	while ((rc = body_next(&reader, &r)) == 1) {
		take_record(f, &r);
	}
	assert_int_equal(rc, 0);
	buf_fini(&body);
	buf_fini(&line);
	return 0;
}

static int on_end(void *arg, uint64_t size, size_t n)
{
	(void)arg;
	(void)size;
	assert_true(n > 0);
	return 0;
}

static int no_loss(void *arg, const struct spool_loss *loss)
{
	(void)arg;
	(void)loss;
	fail_msg("the spool is damaged");
	return 0;
}

static void read_spool(struct fixture *f)
{
	static const struct spool_visitor visitor = {on_segment, on_batch, on_end,
						     no_loss};

	f->spool_bytes = 0;
	assert_int_equal(spool_look(sys_plain(), f->dir, &visitor, f), 0);
	opener_free(f->opener);
	free(f->bytes);
	f->opener = NULL;
	f->bytes = NULL;
}

static void each_source_has_its_own_way_and_nothing_is_unaccounted(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)uv_hrtime();

	print_message("seed %u\n", seed);
	srand(seed);
	for (int n = 0; n < ATTEMPTS; n++) {
		give(f, rand() % STREAMS);
		if (n % 8 == 0) {
			run_for(f, 1);
		}
	}
	run_for(f, 700); /* Beyond a tick. */
	shipper_stop(f->shipper, 0, on_stopped, f);
	for (int i = 0; i < 20000 && !f->stopped; i++) {
		run_for(f, 1);
	}
	assert_true(f->stopped);
	read_spool(f);
	for (int i = 0; i < STREAMS; i++) {
		assert_int_equal(f->found[i], f->end[i]);
		assert_int_equal(f->lost[i] + f->lines[i] * (LINE + 1),
				 f->end[i]);
	}
	/* Who waits loses nothing, and is refused; the others are not. */
	assert_int_equal(f->lost[SPOOL_PAUSE], 0);
	assert_true(f->refused[SPOOL_PAUSE] > 100);
	assert_true(f->lines[SPOOL_PAUSE] > 50);
	assert_true(f->lost[SPOOL_DROP_OLDEST] > 0);
	assert_true(f->lost[SPOOL_DROP_NEWEST] > 0);
	/* A stop may go beyond by one batch of each queue. */
	assert_true(f->spool_bytes < SPOOL_MAX + STREAMS * 10240);
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 20000 && !shipper_settled(f->shipper, queue_at(0));
	     i++) {
		run_for(f, 1);
	}
}

/* Until the batch that is filling is closed, and what then follows is over.  Returns how
 * many milliseconds it stayed open. */
static int until_closed(struct fixture *f)
{
	int64_t since_ns = f->now_ns, ms;

	for (f->closed = false; !f->closed;) {
		turn_clock(f);
		assert_true(f->now_ns - since_ns < 3000000000);
	}
	ms = (f->now_ns - since_ns) / 1000000;
	settle(f);
	return (int)ms;
}

static void give_many(struct fixture *f, int n)
{
	for (int i = 0; i < n; i++) {
		assert_true(give(f, 0));
	}
}

static void a_line_waits_its_delay_and_the_end_of_a_burst_does_not(void **state)
{
	struct fixture *f = *state;

	f->options.batch_max = 256 * 1024;
	f->options.batch_delay_ms = 1600;
	give_many(f, 1);
	assert_int_equal(until_closed(f), 1600);
	give_many(f, 100); /* 40 KiB */
	assert_int_equal(until_closed(f), 1600);
	give_many(f, 200); /* 80 KiB */
	assert_int_equal(until_closed(f), 200);
}

/* Lines that never pause for long wait their delay and no longer. */
static void a_burst_that_goes_on_goes_when_it_is_due(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;

	f->options.batch_max = 256 * 1024;
	f->options.batch_delay_ms = 1600;
	give_many(f, 170);
	for (f->closed = false; !f->closed; n++) {
		if (n % 90 == 0) {
			give_many(f, 1);
		}
		turn_clock(f);
	}
	settle(f);
	assert_int_equal(n, 1600);
}

/* Of several segments that are given up all lines are told as lost, also when nothing
 * follows; and what follows is taken. */
static void lines_that_are_gone_are_told_and_the_next_are_taken(void **state)
{
	struct fixture *f = *state;
	uint64_t gone;

	f->gone = true;
	for (int i = 0; i < 400; i++) {
		for (int k = 0; k < 2000 && !give_to(f, 0, QUEUE_FILE); k++) {
			run_for(f, 1);
		}
	}
	run_for(f, 50);
	gone = f->end[0];
	shipper_abandon(f->shipper, &f->id[0]);
	run_for(f, 1100); /* Beyond a tick. */
	for (int i = 0; i < 100; i++) {
		bool taken = false;

		for (int k = 0; k < 1500 && !taken; k++) {
			taken = give_to(f, 0, QUEUE_FILE);
			run_for(f, taken ? 0 : 1);
		}
		assert_true(taken);
	}
	shipper_stop(f->shipper, 0, on_stopped, f);
	for (int i = 0; i < 20000 && !f->stopped; i++) {
		run_for(f, 1);
	}
	read_spool(f);
	assert_int_equal(f->lost[0], gone);
	assert_int_equal(f->found[0], f->end[0]);
}

/* Nobody should leave a hole; but a lane that took it for "no room" would wait for ever. */
static void a_hole_stops_no_lane(void **state)
{
	struct fixture *f = *state;
	bool taken = false;

	give_many(f, 3);
	f->end[0] += 7;
	f->called = true;
	for (int k = 0; k < 3000 && !taken; k++) {
		if (f->called) {
			f->called = false;
			taken = give(f, 0);
		}
		run_for(f, taken ? 0 : 1);
	}
	assert_true(taken);
	shipper_flush(f->shipper, queue_at(0));
	settle(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			each_source_has_its_own_way_and_nothing_is_unaccounted,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_line_waits_its_delay_and_the_end_of_a_burst_does_not,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_burst_that_goes_on_goes_when_it_is_due, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			lines_that_are_gone_are_told_and_the_next_are_taken, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_hole_stops_no_lane, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
