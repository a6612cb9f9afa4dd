/* shared_store: two collectors on one store, of which one is stopped or killed at any of its
 * calls while the other goes on, and a device that goes from one to the other.  Included by one
 * test file each. */
#ifndef TESTS_SUPPORT_SHARED_STORE_H
#define TESTS_SUPPORT_SHARED_STORE_H

#include "collector/opened.h"
#include "collector/share.h"
#include "collector/verify.h"
#include "common/log.h"
#include "tests/support/collector_bench.h"

enum {
	PLACES = 16,
	/* Not at each call, to be quick: what is between is much the same. */
	STOP_STEP = 2,
	KILL_STEP = 3,
	PATIENCE_MS = 15000,
};

static struct bench a, b;

/* ---- one is stopped while the other goes on ---- */

static struct {
	struct bench *whom;   /* is stopped, or dies */
	int calls, at;        /* before its at-th call; -1: never */
	void (*meanwhile)(void);
	bool dies, dead;
} stop;

/* true: the process is dead, the call has no effect. */
static inline bool is_dead(struct sys *s)
{
	if ((struct bench *)s != stop.whom) {
		return false;
	}
	if (!stop.dead && stop.calls++ == stop.at) {
		stop.dead = stop.dies;
		if (stop.meanwhile != NULL) {
			stop.meanwhile();
		}
	}
	return stop.dead;
}

#define REAL(s) (((struct fault_sys *)(s))->real)
#define CALL(s, call) (is_dead(s) ? UV_ECANCELED : REAL(s)->ops->call)

static const char *unreadable; /* to b: files with that in their path */

static inline int on_open(struct sys *s, const char *path, int flags, unsigned mode)
{
	if ((struct bench *)s == &b && unreadable != NULL &&
	    strstr(path, unreadable) != NULL) {
		return UV_EIO;
	}
	return CALL(s, open(REAL(s), path, flags, mode));
}

static uint64_t slow_ms; /* each read takes b so long, and its loop goes on meanwhile */

static inline int64_t on_pread(struct sys *s, int fd, void *p, size_t n, uint64_t at)
{
	if ((struct bench *)s == &b && slow_ms > 0) {
		bench_run(&b, slow_ms);
	}
	return CALL(s, pread(REAL(s), fd, p, n, at));
}

static inline int64_t on_pwrite(struct sys *s, int fd, const void *p, size_t n,
			 uint64_t at)
{
	return CALL(s, pwrite(REAL(s), fd, p, n, at));
}

static const struct bench *sick; /* its syncs fail */

/* Nobody cuts the power here: see tests/sim. */
static inline int on_sync(struct sys *s, int fd)
{
	(void)fd;
	return is_dead(s) ? UV_ECANCELED : (struct bench *)s == sick ? UV_EIO : 0;
}

static inline int on_sync_dir(struct sys *s, const char *path)
{
	struct sys_stat st;

	return CALL(s, stat(REAL(s), path, &st));
}

static inline int on_truncate(struct sys *s, int fd, uint64_t size)
{
	return CALL(s, ftruncate(REAL(s), fd, size));
}

static inline int on_stat(struct sys *s, const char *path, struct sys_stat *st)
{
	return CALL(s, stat(REAL(s), path, st));
}

static inline int on_rename(struct sys *s, const char *from, const char *to)
{
	return CALL(s, rename(REAL(s), from, to));
}

static inline int on_unlink(struct sys *s, const char *path)
{
	return CALL(s, unlink(REAL(s), path));
}

static inline int on_mkdir(struct sys *s, const char *path, unsigned mode)
{
	return CALL(s, mkdir(REAL(s), path, mode));
}

static int unlisted; /* so often a folder seems to have nothing in it */

static inline int on_list(struct sys *s, const char *dir, sys_list_cb cb, void *arg)
{
	if (unlisted > 0) {
		unlisted--;
		return 0;
	}
	return CALL(s, list(REAL(s), dir, cb, arg));
}

static inline int64_t on_mono_ns(struct sys *s)
{
	return (int64_t)((struct bench *)s)->now_ms * 1000000;
}

/* The jobs of b: so many are done, and no more. */
static size_t jobs = SIZE_MAX;
static struct sys_work *held[4];
static size_t n_held;

static inline int on_work(struct sys *s, struct sys_work *w)
{
	if ((struct bench *)s == &b && jobs == 0) {
		assert_true(n_held < 4);
		held[n_held++] = w;
		return 0;
	}
	jobs -= (struct bench *)s == &b && jobs != SIZE_MAX;
	return bench_work(s, w);
}

/* n jobs more, that which waits among them. */
static inline void do_jobs(size_t n)
{
	size_t waiting = n_held;

	n_held = 0;
	jobs = n;
	for (size_t i = 0; i < waiting; i++) {
		assert_int_equal(on_work(&b.fs.sys, held[i]), 0);
	}
}

static inline void watch(struct bench *x)
{
	x->fs.ops.work_submit = on_work;
	x->fs.ops.mono_ns = on_mono_ns;
	x->fs.ops.open = on_open;
	x->fs.ops.pread = on_pread;
	x->fs.ops.pwrite = on_pwrite;
	x->fs.ops.fdatasync = on_sync;
	x->fs.ops.sync_dir = on_sync_dir;
	x->fs.ops.ftruncate = on_truncate;
	x->fs.ops.stat = on_stat;
	x->fs.ops.rename = on_rename;
	x->fs.ops.unlink = on_unlink;
	x->fs.ops.mkdir = on_mkdir;
	x->fs.ops.list = on_list;
}

static inline void stop_at(struct bench *x, int at, bool dies, void (*meanwhile)(void))
{
	stop.whom = x;
	stop.calls = 0;
	stop.at = at;
	stop.dies = dies;
	stop.dead = false;
	stop.meanwhile = meanwhile;
}

/* ---- a store, two collectors ---- */

static inline void join_as(struct bench *x, const char *member)
{
	static char names[2][8];
	char why[512] = "";
	char *name = x == &a ? names[0] : names[1];

	snprintf(name, sizeof names[0], "%s", member);
	x->options.member = name;
	assert_int_equal(share_join(x->fs.real, x->options.store_dir, member,
				    why),
			 0);
}

static inline int set_up(void **state)
{
	(void)state;
	memset(&stop, 0, sizeof stop);
	sick = NULL;
	unreadable = NULL;
	unlisted = 0;
	slow_ms = 0;
	jobs = SIZE_MAX;
	n_held = 0;
	bench_init(&a);
	bench_init(&b);
	b.options.store_dir = a.options.store_dir = malloc(128);
	assert_non_null(a.options.store_dir);
	snprintf(a.options.store_dir, 128, "%s/store", a.dir);
	watch(&a);
	watch(&b);
	return 0;
}

static inline void start_both(void)
{
	join_as(&a, "a");
	join_as(&b, "b");
	assert_int_equal(bench_start(&a), 0);
	assert_int_equal(bench_start(&b), 0);
}

static inline int tear_down(void **state)
{
	(void)state;
	stop.whom = NULL;
	bench_fini(&b);
	bench_fini(&a);
	free(a.options.store_dir);
	return 0;
}

/* ---- a device that goes from one to the other ---- */

struct talk {
	struct bench *with;
	struct bench_link *link;
	struct bench_segment segment;
	struct seal_key key;
	uint64_t w;     /* as it was welcomed */
	uint64_t acked; /* heard so far */
	bool open;
};

static uint64_t number; /* of the device's segments */

/* With stream s. */
static inline void say_hello(struct talk *t)
{
	struct hello h = {.version_min = 1, .version_max = 1,
			  .software = SLICE_LIT("bench 1")};
	struct msg_stream asked = {0};
	struct buf list, out;

	h.machine[0] = 'm';
	asked.id.b[0] = 's';
	buf_init(&list, 1024);
	buf_init(&out, 4096);
	assert_int_equal(msg_add_stream(&list, &asked), 0);
	h.streams = buf_slice(&list);
	assert_int_equal(hello_encode(&h, &out), 0);
	bench_say(t->link, MSG_HELLO, buf_slice(&out));
	buf_fini(&list);
	buf_fini(&out);
}

static inline bool hear_welcome(struct talk *t)
{
	struct said *m = bench_hear(t->link, MSG_WELCOME);
	struct msg_stream got = {0};
	struct welcome w;

	if (m == NULL) {
		return false;
	}
	assert_int_equal(welcome_decode(&w, said_payload(m)), 0);
	assert_int_equal(msg_streams_next(&w.streams, &got), 1);
	t->w = got.received;
	t->acked = got.durable;
	t->key = w.keys[0];
	t->open = true;
	free(m);
	return true;
}

/* Whether it was welcomed within so many ms. */
static inline bool dial_as(struct talk *t, struct bench *with, const char *device,
		    uint64_t ms)
{
	memset(t, 0, sizeof *t);
	t->with = with;
	t->link = bench_connect(with, device);
	if (t->link == NULL) {
		return false;
	}
	say_hello(t);
	bench_run(with, ms);
	return hear_welcome(t);
}

static inline bool dial(struct talk *t, struct bench *with)
{
	return dial_as(t, with, "gw", 100);
}

/* Also from one that has begun to take the device, and does no more. */
static inline bool dial_patiently(struct talk *t, struct bench *with)
{
	return dial_as(t, with, "gw", PATIENCE_MS);
}

static inline void hear_acks(struct talk *t)
{
	struct said *m;

	while ((m = bench_hear(t->link, MSG_ACK)) != NULL) {
		struct msg_stream got;
		struct ack ack;

		assert_int_equal(ack_decode(&ack, said_payload(m)), 0);
		while (msg_streams_next(&ack.streams, &got) == 1) {
			t->acked = got.durable > t->acked ? got.durable
							  : t->acked;
		}
		free(m);
	}
}

/* [t->w, until) in batches of ten, each in the page cache before the next. */
static inline void send_until(struct talk *t, uint64_t until)
{
	size_t n = 0;

	bench_segment_new(t->with, &t->segment, t->link, &t->key, LANE_FILE,
			  ++number);
	bench_announce(t->link, &t->segment, -1,
		       sealer_hash(t->segment.sealer));
	for (uint64_t at = t->w; at < until; at += 10) {
		bench_seal(&t->segment, 's', at, at + 10, 0);
		bench_send_batch(t->link, &t->segment, n++);
		if (at == t->w) {
			bench_run(t->with, 50);
		}
	}
	bench_run(t->with, 50);
	hear_acks(t);
}

/* Whom it talked to was killed. */
static inline void forget(struct talk *t)
{
	if (t->segment.sealer != NULL) {
		bench_segment_free(&t->segment);
	}
	*t = (struct talk){0};
}

static inline void hang_up(struct talk *t)
{
	if (t->link != NULL && !t->link->gone) {
		t->link->closing = true;
	}
	forget(t);
}

/* It comes, is welcomed with w, sends until that is stored, and goes. */
static inline void visit(struct bench *with, uint64_t w, uint64_t until)
{
	struct talk t;

	assert_true(dial(&t, with));
	assert_int_equal(t.w, w);
	assert_int_equal(t.acked, w);
	send_until(&t, until);
	assert_int_equal(t.acked, until);
	hang_up(&t);
}

static inline int error_of(struct talk *t, char text[static 256])
{
	struct said *m = bench_hear(t->link, MSG_ERROR);
	struct error_msg e = {0};

	text[0] = '\0';
	if (m != NULL) {
		assert_int_equal(error_msg_decode(&e, said_payload(m)), 0);
		snprintf(text, 256, "%.*s", SLICE_ARG(e.text));
		free(m);
	}
	return e.code;
}

/* ---- what is held, as search and verify read it ---- */

static unsigned times[PLACES];

static inline void hold_segment(struct store *s, const char *dir,
			 const struct segment_name *name)
{
	static struct opened o;

	if (opened_open(&o, s->sys, dir, name, s->keys, s->n_keys) != 0) {
		return;
	}
	while (opened_next(&o) == 1) {
		struct records records;
		struct record r;

		if (o.e.kind != ENTRY_BATCH) {
			continue;
		}
		records_init(&records, &o);
		while (records_next(&records, &r) == 1) {
			assert_in_range(r.start / 10, 0, PLACES - 1);
			times[r.start / 10]++;
		}
	}
	opened_close(&o);
}

static inline int hold_device(void *arg, const char *name, bool is_dir)
{
	struct store *s = arg;
	struct segment_list l;
	struct device d = {0};
	char dir[STORE_PATH];
	int fd;

	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	hash32_hex(d.hex, &d.id);
	fd = share_pin(s, &d, dir);
	assert_true(fd >= 0);
	assert_int_equal(segment_list_read(&l, s->sys, dir), 0);
	for (size_t i = 0; i < l.n; i++) {
		hold_segment(s, dir, &l.v[i]);
	}
	segment_list_fini(&l);
	share_unpin(s, fd);
	return 0;
}

static inline void on_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	if (f->kind != VERIFY_NOTE) {
		print_error("%s: %s: %s\n", verify_kind_name(f->kind), f->file,
			    f->text);
	}
}

/* Each place below w is there once, and nothing else.  Given to the caller: the store, for
 * reading. */
static inline void assert_places(struct store *s, uint64_t w)
{
	char why[512], devices[160];

	memset(times, 0, sizeof times);
	assert_int_equal(store_open_read(s, sys_plain(), a.options.store_dir,
					 why),
			 0);
	snprintf(devices, sizeof devices, "%s/devices", a.options.store_dir);
	assert_int_equal(sys_list(sys_plain(), devices, hold_device, s), 0);
	for (uint64_t i = 0; i < PLACES; i++) {
		if (times[i] != (i < w / 10 ? 1U : 0U)) {
			print_error("place %u: %u times, the call is %d\n",
				    (unsigned)i * 10, times[i], stop.at);
		}
		assert_int_equal(times[i], i < w / 10 ? 1 : 0);
	}
}

/* And the store is sound. */
static inline void assert_held_once(uint64_t w)
{
	struct verify_totals totals;
	struct store s;

	assert_places(&s, w);
	assert_int_equal(verify_store(&s, on_finding, NULL, &totals), 0);
	assert_int_equal(totals.wrong, 0);
	store_fini(&s, true);
}

/* ---- at its calls in turn ---- */

static bool reached; /* by what is done meanwhile: there was such a call */

/* There is no such call, and there are more than `least`; otherwise the next turn gets a
 * store of its own. */
static inline bool was_last(int at, int least)
{
	tear_down(NULL);
	set_up(NULL);
	start_both();
	if (!reached) {
		assert_true(at > least);
	}
	return !reached;
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
