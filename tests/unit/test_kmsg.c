/* Unit tests of sources/kmsg.h and sources/kmsg_record.h: a kernel's ring made of text,
 * and the real one where it can be opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"
#include "sources/kmsg.h"
#include "sources/kmsg_record.h"
#include "tests/support/fault_sys.h"

enum { RING = 4096, TEXT = 64 * 1024 };

/* ---- a ring ---- */

struct ring {
	struct sys sys; /* first */
	struct sys_ops ops;
	struct sys *real;
	uint64_t first, end; /* sequence numbers that it holds: [first, end) */
	uint64_t next;       /* of the reader */
	char say[32];        /* what its records say */
	int fail_at, error;  /* the n-th read from now on; -1: none */
	bool bad;            /* the next record is not of the form */
	unsigned rewound;
};

static int64_t ring_pread(struct sys *s, int fd, void *buf, size_t n, uint64_t offset)
{
	struct ring *r = (struct ring *)s;

	(void)fd;
	(void)offset;
	if (r->fail_at >= 0 && r->fail_at-- == 0) {
		return r->error;
	}
	if (r->next < r->first) {
		r->next = r->first;
		return UV_EPIPE;
	}
	if (r->next == r->end) {
		return UV_EAGAIN;
	}
	r->next++;
	if (r->bad) {
		r->bad = false;
		return snprintf(buf, n, "nonsense\n");
	}
	return snprintf(buf, n, "6,%llu,%llu,-;%s %llu\n",
			(unsigned long long)r->next - 1,
			(unsigned long long)(r->next - 1) * 1000, r->say,
			(unsigned long long)r->next - 1);
}

static int ring_close(struct sys *s, int fd)
{
	(void)s;
	(void)fd;
	return 0;
}

static int rewind_ring(void *arg, int fd)
{
	struct ring *r = *(struct ring **)arg; /* the first member of a world */

	(void)fd;
	r->next = r->first;
	r->rewound++;
	return 0;
}

#define REAL(s) (((struct ring *)(s))->real)

static int64_t ring_wall(struct sys *s)
{
	(void)s;
	return INT64_C(1795361866) * 1000000000;
}

static int64_t ring_mono(struct sys *s)
{
	(void)s;
	return INT64_C(1000) * 1000000000;
}

static int ring_random(struct sys *s, void *out, size_t n)
{
	return sys_random(REAL(s), out, n);
}

static int ring_timer_new(struct sys *s, struct sys_timer **out, sys_timer_cb cb, void *arg)
{
	return sys_timer_new(REAL(s), out, cb, arg);
}

static void ring_timer_set(struct sys *s, struct sys_timer *t, uint64_t ms)
{
	sys_timer_set(REAL(s), t, ms > 5 ? 5 : ms);
}

static void ring_timer_stop(struct sys *s, struct sys_timer *t)
{
	sys_timer_stop(REAL(s), t);
}

static void ring_timer_free(struct sys *s, struct sys_timer *t)
{
	sys_timer_free(REAL(s), t);
}

/* ---- who takes the lines ---- */

struct world {
	struct ring *ring; /* first: rewind_ring() */
	uv_loop_t loop;
	struct sys_uv uv;
	struct source *source;
	struct sources_about about;
	unsigned char secret[STREAM_SECRET];
	uint8_t boot[16];
	char text[TEXT];     /* "n:text;" or "gap a-b;" */
	size_t room;
	uint64_t position, h;
	struct stream_id id;
	bool fork;
	int opened, closed, gaps_told;
	struct stream_state saved;
	bool has_saved;
};

__attribute__((format(printf, 2, 3))) static void add(struct world *w, const char *fmt, ...)
{
	size_t n = strlen(w->text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(w->text + n, sizeof w->text - n, fmt, args);
	va_end(args);
}

static void on_opened(void *arg, struct stream *s)
{
	struct world *w = arg;

	assert_true(s->has_id);
	assert_false(s->kept);
	w->opened++;
	w->id = s->st.id;
	w->fork = s->st.fork;
	w->position = s->position;
}

static int on_entry(void *arg, struct stream *s, const struct line *line, uint64_t h)
{
	struct world *w = arg;
	struct slice text = line->text;

	if (w->room == 0) {
		return ERR_AGAIN;
	}
	w->room--;
	assert_int_equal(s->position, line->start);
	assert_int_equal(line->start, w->position);
	assert_int_equal(line->end, line->start + 1);
	w->position = line->end;
	w->h = h;
	text = slice_skip(text, slice_find(text, SLICE_LIT("kernel: ")) + 8);
	if (strlen(w->text) < TEXT - 64) {
		add(w, "%llu:%.*s;", (unsigned long long)line->start, SLICE_ARG(text));
	}
	return 0;
}

static int on_lost(void *arg, struct stream *s, uint64_t from, uint64_t to,
		   struct slice reason)
{
	struct world *w = arg;

	if (w->room == 0) {
		return ERR_AGAIN;
	}
	assert_true(reason.n > 0);
	assert_int_equal(from, w->position);
	assert_int_equal(from, s->position);
	w->position = to;
	add(w, "gap %llu-%llu;", (unsigned long long)from, (unsigned long long)to);
	return 0;
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	(void)s;
	(void)why;
	((struct world *)arg)->closed++;
}

static void on_gap(void *arg, const struct stream_state *st, uint64_t from,
		   const char *reason)
{
	struct world *w = arg;

	assert_non_null(reason);
	assert_int_equal(from, st->acked);
	w->gaps_told++;
}

static const struct tail_callbacks callbacks = {
	.opened = on_opened, .entry = on_entry, .lost = on_lost,
	.closed = on_closed, .gap = on_gap};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct ring *r = calloc(1, sizeof *r);

	assert_non_null(w);
	assert_non_null(r);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	sys_uv_init(&w->uv, &w->loop);
	r->real = &w->uv.sys;
	r->ops = *w->uv.sys.ops;
	r->ops.pread = ring_pread;
	r->ops.close = ring_close;
	r->ops.wall_ns = ring_wall;
	r->ops.mono_ns = ring_mono;
	r->ops.random = ring_random;
	r->ops.timer_new = ring_timer_new;
	r->ops.timer_set = ring_timer_set;
	r->ops.timer_stop = ring_timer_stop;
	r->ops.timer_free = ring_timer_free;
	r->sys.ops = &r->ops;
	r->fail_at = -1;
	strcpy(r->say, "record");
	w->ring = r;
	w->room = SIZE_MAX;
	memset(w->secret, 7, sizeof w->secret);
	memset(w->boot, 3, sizeof w->boot);
	log_set_level(LOG_LEVEL_ERROR);
	*state = w;
	return 0;
}

static int remember(void *arg, const struct stream_state *st)
{
	struct world *w = arg;

	stream_state_fini(&w->saved);
	w->has_saved = stream_state_copy(&w->saved, st) == 0;
	return w->has_saved ? 0 : UV_ENOMEM;
}

/* A process ends: what it remembers is saved. */
static void stop(struct world *w)
{
	w->source->ops->stop(w->source);
	assert_int_equal(w->source->ops->states(w->source, remember, w), 0);
	w->source->ops->free(w->source);
	w->source = NULL;
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(w->closed, w->opened);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	if (w->source != NULL) {
		stop(w);
	}
	assert_int_equal(uv_loop_close(&w->loop), 0);
	stream_state_fini(&w->saved);
	free(w->ring);
	free(w);
	return 0;
}

static int make(struct world *w)
{
	struct kmsg_params p = {.sys = &w->ring->sys, .fd = 99, .rewind = rewind_ring,
				.host = "gw", .secret = w->secret, .cb = &callbacks,
				.arg = w};

	memcpy(p.boot, w->boot, sizeof p.boot);
	return kmsg_new(&w->source, &p);
}

static void run(struct world *w)
{
	for (int i = 0; i < 40; i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

/* A process begins, with what was saved. */
static void start(struct world *w)
{
	w->text[0] = '\0';
	w->ring->next = w->ring->first;
	assert_int_equal(make(w), 0);
	if (w->has_saved) {
		assert_int_equal(w->source->ops->restore(w->source, &w->saved, 1), 0);
	}
	assert_int_equal(w->source->ops->start(w->source), 0);
	run(w);
}

static void ack(struct world *w)
{
	assert_int_equal(w->source->ops->watermark(w->source, &w->id, w->position, w->h), 0);
	assert_int_equal(w->source->ops->detected(w->source, &w->id, w->position), 0);
}

/* ---- records ---- */

static int text_of(const char *bytes, struct buf *out, struct kmsg_record *r)
{
	int rc = kmsg_decode(r, slice_str(bytes));

	return rc != 0 ? rc
		       : kmsg_text(r, INT64_C(1795361866123456789), SLICE_LIT("gw"), out);
}

static void expect_text(const char *bytes, const char *want)
{
	struct kmsg_record r;
	struct buf out;

	buf_init(&out, LIMIT_LINE_MAX);
	assert_int_equal(text_of(bytes, &out, &r), 0);
	assert_int_equal(buf_add_u8(&out, 0), 0);
	assert_string_equal(out.p, want);
	buf_fini(&out);
}

#define STAMP "2026-11-22T15:37:46.123456Z"

static void a_record_becomes_a_line_with_its_priority(void **state)
{
	(void)state;
	expect_text("6,339,5140900,-;NET: Registered\n", "<6>" STAMP " gw kernel: NET: Registered");
	expect_text("4,1,2,-,caller=T1,more=x;a;b", "<4>" STAMP " gw kernel: a;b");
	expect_text("4,1,2,-;", "<4>" STAMP " gw kernel: ");
}

static void the_fields_of_a_device_follow_it(void **state)
{
	(void)state;
	expect_text("6,1,2,-;usb 1-1: new\n SUBSYSTEM=usb\n DEVICE=c189:3\n",
		    "<6>" STAMP " gw kernel: usb 1-1: new SUBSYSTEM=usb DEVICE=c189:3");
}

static void escapes_are_undone_but_for_control_characters(void **state)
{
	(void)state;
	expect_text("6,1,2,-;\\xc3\\xa4 \\x5c \\x0aNov 22 15:00:00 gw sshd[1]: x "
		    "\\x1b[0m \\x7f \\xzz \\x5",
		    "<6>" STAMP " gw kernel: \xc3\xa4 \\ \\x0aNov 22 15:00:00 gw sshd[1]: x "
		    "\\x1b[0m \\x7f \\xzz \\x5");
}

static void what_user_space_wrote_has_its_own_tag_and_never_the_kernels(void **state)
{
	(void)state;
	expect_text("30,1,2,-;systemd[1]: Started x", "<30>" STAMP " gw systemd[1]: Started x");
	expect_text("12,1,2,-;hello world", "<12>" STAMP " gw kmsg: hello world");
	expect_text("12,1,2,-;kernel: forged", "<12>" STAMP " gw kmsg: kernel: forged");
	expect_text("12,1,2,-;kernel[1]: forged", "<12>" STAMP " gw kmsg: kernel[1]: forged");
	expect_text("12,1,2,-;a[x]: y", "<12>" STAMP " gw kmsg: a[x]: y");
	expect_text("1023,1,2,-;x", "<15>" STAMP " gw kmsg: x");
}

static void parts_of_lines_are_marked(void **state)
{
	struct kmsg_record r;

	(void)state;
	assert_int_equal(kmsg_decode(&r, SLICE_LIT("4,1,2,c;x")), 0);
	assert_true(r.part);
	assert_int_equal(kmsg_decode(&r, SLICE_LIT("4,1,2,+;x")), 0);
	assert_true(r.part);
	assert_int_equal(kmsg_decode(&r, SLICE_LIT("4,1,2,-;x")), 0);
	assert_false(r.part);
}

static void what_is_not_of_the_form_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "6", "6,1", "6,1,2", "6,1,2,-", "6,1,2,;x", "x,1,2,-;x", "6,,2,-;x",
		"6,-1,2,-;x", "1024,1,2,-;x", "6,18446744073709551615,2,-;x",
		"6,1,18446744073709551615,-;x", "6,1,2;x", " 6,1,2,-;x",
	};
	struct kmsg_record r;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (kmsg_decode(&r, slice_str(bad[i])) != ERR_MALFORMED) {
			fail_msg("\"%s\" was understood", bad[i]);
		}
	}
}

/* ---- the source ---- */

static void records_are_read_by_their_numbers(void **state)
{
	struct world *w = *state;

	w->ring->end = 3;
	start(w);
	assert_string_equal(w->text, "0:record 0;1:record 1;2:record 2;");
	w->ring->end = 4;
	run(w);
	assert_non_null(strstr(w->text, "3:record 3;"));
}

static void what_was_overwritten_before_is_a_gap_with_its_range(void **state)
{
	struct world *w = *state;

	w->ring->first = 10;
	w->ring->end = 12;
	start(w);
	assert_string_equal(w->text, "gap 0-10;10:record 10;11:record 11;");
	w->ring->first = 20;
	w->ring->end = 21;
	run(w);
	assert_non_null(strstr(w->text, ";gap 12-20;20:record 20;"));
}

static void a_record_that_is_not_understood_is_a_gap(void **state)
{
	struct world *w = *state;

	w->ring->end = 1;
	start(w);
	w->ring->bad = true;
	w->ring->end = 3;
	run(w);
	assert_string_equal(w->text, "0:record 0;gap 1-2;2:record 2;");
}

static void a_new_process_goes_on_where_the_last_was_acknowledged(void **state)
{
	struct world *w = *state;
	struct stream_id id;

	w->ring->end = 3;
	start(w);
	ack(w);
	id = w->id;
	w->ring->end = 4;
	run(w); /* Read, and not acknowledged. */
	stop(w);
	w->ring->end = 5;
	start(w);
	assert_string_equal(w->text, "3:record 3;4:record 4;");
	assert_true(stream_id_eq(&id, &w->id));
	assert_false(w->fork);
}

static void the_watermark_may_come_from_the_collector_alone(void **state)
{
	struct world *w = *state;

	w->ring->end = 3;
	start(w);
	ack(w);
	stop(w);
	free(w->saved.path); /* As a collector tells it. */
	w->saved.path = NULL;
	w->ring->end = 4;
	start(w);
	assert_string_equal(w->text, "3:record 3;");
}

static void a_watermark_that_is_overwritten_is_a_gap_from_there(void **state)
{
	struct world *w = *state;

	w->ring->end = 3;
	start(w);
	ack(w);
	stop(w);
	w->ring->first = 50;
	w->ring->end = 51;
	start(w);
	assert_string_equal(w->text, "gap 3-50;50:record 50;");
	assert_false(w->fork);
}

static void another_boot_is_another_stream_and_what_was_read_is_told(void **state)
{
	struct world *w = *state;
	struct stream_id id;

	w->ring->end = 3;
	start(w);
	ack(w);
	id = w->id;
	w->ring->end = 5;
	run(w);
	stop(w);
	w->boot[0] = 9;
	w->ring->end = 1;
	start(w);
	assert_string_equal(w->text, "0:record 0;");
	assert_false(stream_id_eq(&id, &w->id));
	assert_int_equal(w->gaps_told, 1);
}

static void another_past_of_the_same_boot_is_a_fork(void **state)
{
	struct world *w = *state;
	struct stream_id id;

	w->ring->end = 5;
	start(w);
	ack(w);
	id = w->id;
	stop(w);
	strcpy(w->ring->say, "other"); /* A snapshot went another way. */
	w->ring->end = 7;
	start(w);
	assert_true(w->fork);
	assert_false(stream_id_eq(&id, &w->id));
	assert_int_equal(strncmp(w->text, "0:other 0;", 10), 0);
	assert_non_null(strstr(w->text, "6:other 6;"));
	/* And the next process stays with it. */
	id = w->id;
	ack(w);
	stop(w);
	w->ring->end = 8;
	start(w);
	assert_true(stream_id_eq(&id, &w->id));
	assert_string_equal(w->text, "7:other 7;");
}

static void a_ring_shorter_than_what_is_acknowledged_is_a_fork(void **state)
{
	struct world *w = *state;

	w->ring->end = 5;
	start(w);
	ack(w);
	stop(w);
	w->ring->end = 3;
	start(w);
	assert_true(w->fork);
	assert_string_equal(w->text, "0:record 0;1:record 1;2:record 2;");
}

static void reading_stops_without_room_and_loses_nothing(void **state)
{
	struct world *w = *state;

	w->ring->end = 3;
	w->room = 1;
	start(w);
	assert_string_equal(w->text, "0:record 0;");
	w->ring->end = 6;
	w->room = 2;
	w->source->ops->resume(w->source);
	run(w);
	assert_string_equal(w->text, "0:record 0;1:record 1;2:record 2;");
	/* What the kernel has overwritten meanwhile is told. */
	w->ring->first = 5;
	w->room = SIZE_MAX;
	w->source->ops->resume(w->source);
	run(w);
	assert_string_equal(w->text, "0:record 0;1:record 1;2:record 2;3:record 3;gap 4-5;"
				     "5:record 5;");
}

static void it_goes_back_when_the_collector_has_less(void **state)
{
	struct world *w = *state;
	uint64_t h = 0;

	w->ring->end = 2;
	start(w);
	h = w->h;
	w->ring->end = 5;
	run(w);
	ack(w);
	w->text[0] = '\0';
	assert_int_equal(w->source->ops->rollback(w->source, &w->id, 2, &h), 0);
	run(w);
	assert_string_equal(w->text, "2:record 2;3:record 3;4:record 4;");
	assert_int_equal(w->ring->rewound, 1);
	/* Without a proof: the highest place that is known. */
	w->text[0] = '\0';
	ack(w);
	assert_int_equal(w->source->ops->rollback(w->source, &w->id, 1, NULL), 0);
	run(w);
	assert_int_equal(strncmp(w->text, "0:record 0;1:record 1;", 22), 0);
}

static void many_records_do_not_hold_up_the_loop(void **state)
{
	struct world *w = *state;

	w->ring->end = 5000;
	assert_int_equal(make(w), 0);
	assert_int_equal(w->source->ops->start(w->source), 0);
	uv_run(&w->loop, UV_RUN_ONCE);
	assert_true(w->position > 0 && w->position < 600);
	for (int i = 0; i < 200 && w->position < 5000; i++) {
		uv_run(&w->loop, UV_RUN_ONCE);
	}
	assert_int_equal(w->position, 5000);
}

static void no_log(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void an_error_is_waited_out(void **state)
{
	static const int errors[] = {UV_EIO, UV_EPIPE, UV_EINVAL, UV_ENOMEM};
	struct world *w = *state;

	log_set_sink(no_log, NULL);
	w->ring->end = 6;
	for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
		for (int n = 0; n < 8; n++) {
			w->ring->fail_at = n;
			w->ring->error = errors[e];
			w->position = 0;
			start(w);
			assert_string_equal(w->text, "0:record 0;1:record 1;2:record 2;"
						     "3:record 3;4:record 4;5:record 5;");
			w->source->ops->stop(w->source);
			w->source->ops->free(w->source);
			w->source = NULL;
			uv_run(&w->loop, UV_RUN_DEFAULT);
		}
	}
	log_set_sink(NULL, NULL);
}

static int no_timer(struct sys *s, struct sys_timer **out, sys_timer_cb cb, void *arg)
{
	(void)s;
	(void)cb;
	(void)arg;
	*out = NULL;
	return UV_ENOMEM;
}

static void without_memory_nothing_is_left(void **state)
{
	struct world *w = *state;

	w->ring->ops.timer_new = no_timer;
	assert_int_equal(make(w), UV_ENOMEM);
	assert_null(w->source);
}

/* ---- the real one ---- */

static void the_real_log_is_read_without_a_hole(void **state)
{
	struct world *w = *state;
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct kmsg_params p = {.loop = &w->loop, .sys = &w->uv.sys, .fd = fd, .host = "gw",
				.secret = w->secret, .cb = &callbacks, .arg = w};
	char mark[64];
	uint64_t before;
	int out;

	if (fd < 0) {
		print_message("skipped: /dev/kmsg cannot be opened here\n");
		skip();
	}
	assert_int_equal(kmsg_new(&w->source, &p), 0);
	assert_int_equal(w->source->ops->start(w->source), 0);
	run(w);
	assert_int_equal(w->opened, 1);
	assert_true(w->position > 0);
	before = w->position;
	/* Back to the oldest, by the real lseek. */
	w->h = 1;
	assert_int_equal(w->source->ops->rollback(w->source, &w->id, 0, NULL), 0);
	run(w);
	assert_true(w->position >= before);
	w->text[0] = '\0';
	out = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (out >= 0) {
		snprintf(mark, sizeof mark, "nightjar-test %ld\n", (long)getpid());
		/* Without a newline the kernel would wait for the rest of the line. */
		assert_int_equal(write(out, mark, strlen(mark)), strlen(mark));
		mark[strlen(mark) - 1] = '\0';
		close(out);
		run(w);
		if (strstr(w->text, mark) == NULL) {
			fail_msg("not found in \"%.300s\"", w->text);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_becomes_a_line_with_its_priority),
		cmocka_unit_test(the_fields_of_a_device_follow_it),
		cmocka_unit_test(escapes_are_undone_but_for_control_characters),
		cmocka_unit_test(what_user_space_wrote_has_its_own_tag_and_never_the_kernels),
		cmocka_unit_test(parts_of_lines_are_marked),
		cmocka_unit_test(what_is_not_of_the_form_is_refused),
		TEST(records_are_read_by_their_numbers),
		TEST(what_was_overwritten_before_is_a_gap_with_its_range),
		TEST(a_record_that_is_not_understood_is_a_gap),
		TEST(a_new_process_goes_on_where_the_last_was_acknowledged),
		TEST(the_watermark_may_come_from_the_collector_alone),
		TEST(a_watermark_that_is_overwritten_is_a_gap_from_there),
		TEST(another_boot_is_another_stream_and_what_was_read_is_told),
		TEST(another_past_of_the_same_boot_is_a_fork),
		TEST(a_ring_shorter_than_what_is_acknowledged_is_a_fork),
		TEST(reading_stops_without_room_and_loses_nothing),
		TEST(it_goes_back_when_the_collector_has_less),
		TEST(many_records_do_not_hold_up_the_loop),
		TEST(an_error_is_waited_out),
		TEST(without_memory_nothing_is_left),
		TEST(the_real_log_is_read_without_a_hole),
	};

	return cmocka_run_group_tests_name("kmsg", tests, NULL, NULL);
}
