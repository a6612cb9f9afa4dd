/* Unit tests of collector/share.h and take.h: two collectors on one store, either stopped or
 * killed at any of its calls while the other goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "collector/collector.h"
#include "collector/opened.h"
#include "collector/share.h"
#include "collector/store_lock.h"
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
static bool is_dead(struct sys *s)
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

static int on_open(struct sys *s, const char *path, int flags, unsigned mode)
{
	if ((struct bench *)s == &b && unreadable != NULL &&
	    strstr(path, unreadable) != NULL) {
		return UV_EIO;
	}
	return CALL(s, open(REAL(s), path, flags, mode));
}

static uint64_t slow_ms; /* each read takes b so long, and its loop goes on meanwhile */

static int64_t on_pread(struct sys *s, int fd, void *p, size_t n, uint64_t at)
{
	if ((struct bench *)s == &b && slow_ms > 0) {
		bench_run(&b, slow_ms);
	}
	return CALL(s, pread(REAL(s), fd, p, n, at));
}

static int64_t on_pwrite(struct sys *s, int fd, const void *p, size_t n,
			 uint64_t at)
{
	return CALL(s, pwrite(REAL(s), fd, p, n, at));
}

static const struct bench *sick; /* its syncs fail */

/* Nobody cuts the power here: see tests/sim. */
static int on_sync(struct sys *s, int fd)
{
	(void)fd;
	return is_dead(s) ? UV_ECANCELED : (struct bench *)s == sick ? UV_EIO : 0;
}

static int on_sync_dir(struct sys *s, const char *path)
{
	struct sys_stat st;

	return CALL(s, stat(REAL(s), path, &st));
}

static int on_truncate(struct sys *s, int fd, uint64_t size)
{
	return CALL(s, ftruncate(REAL(s), fd, size));
}

static int on_stat(struct sys *s, const char *path, struct sys_stat *st)
{
	return CALL(s, stat(REAL(s), path, st));
}

static int on_rename(struct sys *s, const char *from, const char *to)
{
	return CALL(s, rename(REAL(s), from, to));
}

static int on_unlink(struct sys *s, const char *path)
{
	return CALL(s, unlink(REAL(s), path));
}

static int on_mkdir(struct sys *s, const char *path, unsigned mode)
{
	return CALL(s, mkdir(REAL(s), path, mode));
}

static int unlisted; /* so often a folder seems to have nothing in it */

static int on_list(struct sys *s, const char *dir, sys_list_cb cb, void *arg)
{
	if (unlisted > 0) {
		unlisted--;
		return 0;
	}
	return CALL(s, list(REAL(s), dir, cb, arg));
}

static int64_t on_mono_ns(struct sys *s)
{
	return (int64_t)((struct bench *)s)->now_ms * 1000000;
}

/* The jobs of b: so many are done, and no more. */
static size_t jobs = SIZE_MAX;
static struct sys_work *held[4];
static size_t n_held;

static int on_work(struct sys *s, struct sys_work *w)
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
static void do_jobs(size_t n)
{
	size_t waiting = n_held;

	n_held = 0;
	jobs = n;
	for (size_t i = 0; i < waiting; i++) {
		assert_int_equal(on_work(&b.fs.sys, held[i]), 0);
	}
}

static void watch(struct bench *x)
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

static void stop_at(struct bench *x, int at, bool dies, void (*meanwhile)(void))
{
	stop.whom = x;
	stop.calls = 0;
	stop.at = at;
	stop.dies = dies;
	stop.dead = false;
	stop.meanwhile = meanwhile;
}

/* ---- a store, two collectors ---- */

static void join_as(struct bench *x, const char *member)
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

static int set_up(void **state)
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

static void start_both(void)
{
	join_as(&a, "a");
	join_as(&b, "b");
	assert_int_equal(bench_start(&a), 0);
	assert_int_equal(bench_start(&b), 0);
}

static int tear_down(void **state)
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
static void say_hello(struct talk *t)
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

static bool hear_welcome(struct talk *t)
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
static bool dial_as(struct talk *t, struct bench *with, const char *device,
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

static bool dial(struct talk *t, struct bench *with)
{
	return dial_as(t, with, "gw", 100);
}

/* Also from one that has begun to take the device, and does no more. */
static bool dial_patiently(struct talk *t, struct bench *with)
{
	return dial_as(t, with, "gw", PATIENCE_MS);
}

static void hear_acks(struct talk *t)
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
static void send_until(struct talk *t, uint64_t until)
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
static void forget(struct talk *t)
{
	if (t->segment.sealer != NULL) {
		bench_segment_free(&t->segment);
	}
	*t = (struct talk){0};
}

static void hang_up(struct talk *t)
{
	if (t->link != NULL && !t->link->gone) {
		t->link->closing = true;
	}
	forget(t);
}

/* It comes, is welcomed with w, sends until that is stored, and goes. */
static void visit(struct bench *with, uint64_t w, uint64_t until)
{
	struct talk t;

	assert_true(dial(&t, with));
	assert_int_equal(t.w, w);
	assert_int_equal(t.acked, w);
	send_until(&t, until);
	assert_int_equal(t.acked, until);
	hang_up(&t);
}

static int error_of(struct talk *t, char text[static 256])
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

static void hold_segment(struct store *s, const char *dir,
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

static int hold_device(void *arg, const char *name, bool is_dir)
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

static void on_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	if (f->kind != VERIFY_NOTE) {
		print_error("%s: %s: %s\n", verify_kind_name(f->kind), f->file,
			    f->text);
	}
}

/* Each place below w is there once, and nothing else.  Given to the caller: the store, for
 * reading. */
static void assert_places(struct store *s, uint64_t w)
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
static void assert_held_once(uint64_t w)
{
	struct verify_totals totals;
	struct store s;

	assert_places(&s, w);
	assert_int_equal(verify_store(&s, on_finding, NULL, &totals), 0);
	assert_int_equal(totals.wrong, 0);
	store_fini(&s, true);
}

/* ---- tests ---- */

static void a_device_goes_over_and_back_with_its_watermark(void **state)
{
	(void)state;
	start_both();
	visit(&a, 0, 30);
	visit(&b, 30, 60);
	visit(&a, 60, 80);
	assert_held_once(80);
}

static void both_know_after_a_restart_what_they_have(void **state)
{
	struct talk t;

	(void)state;
	start_both();
	visit(&a, 0, 30);
	visit(&b, 30, 50);
	bench_kill(&a);
	bench_stop(&b);
	assert_int_equal(bench_start(&a), 0);
	assert_int_equal(bench_start(&b), 0);
	assert_true(dial(&t, &b));
	assert_int_equal(t.w, 50);
	hang_up(&t);
	assert_true(dial(&t, &a));
	assert_int_equal(t.w, 50);
	hang_up(&t);
	assert_held_once(50);
}

static void who_lost_a_device_says_so_and_acknowledges_nothing(void **state)
{
	struct talk t, u;
	char text[256];

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	send_until(&t, 20);
	assert_true(dial(&u, &b));
	/* The first one's session is half open: it is still sent something. */
	bench_seal(&t.segment, 's', 20, 30, 0);
	bench_send_batch(t.link, &t.segment, 2);
	bench_run(&a, 100);
	hear_acks(&t);
	assert_int_equal(t.acked, 20);
	assert_int_equal(error_of(&t, text), MSG_ERROR_BUSY);
	assert_string_equal(text,
			    "another collector of this store has this device now");
	send_until(&u, 50);
	assert_int_equal(u.acked, 50);
	hang_up(&t);
	hang_up(&u);
	assert_held_once(50);
}

static void a_device_that_goes_during_a_repair_does_not_stop_it(void **state)
{
	struct talk t, u;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	sick = &a;
	send_until(&t, 30);
	assert_int_equal(t.acked, 0);
	assert_true(dial(&u, &b));
	send_until(&u, 50);
	assert_int_equal(u.acked, 50);
	hang_up(&t);
	hang_up(&u);
	sick = NULL;
	bench_run(&a, 60000);
	visit(&a, 50, 70);
	assert_held_once(70);
}

static unsigned damaged_part;

/* Turns a bit in the head of such a file of a segment. */
static int on_part(void *arg, const char *name, bool is_dir)
{
	const char *dir = arg;
	struct segment_name n;
	char path[STORE_PATH], byte;
	int fd;

	if (is_dir || !segment_name_parse(&n, name) || n.part != damaged_part) {
		return 0;
	}
	segment_path(path, dir, &n);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 40), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 40), 1);
	close(fd);
	return 1;
}

static int damage_parts(void *arg, const char *name, bool is_dir)
{
	struct store *s = arg;
	struct device d = {0};
	char dir[STORE_PATH];

	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	hash32_hex(d.hex, &d.id);
	memcpy(d.owner, "a", 2);
	store_device_dir(s, &d, dir);
	return sys_list(s->sys, dir, on_part, dir);
}

/* All of it is there once, although a bit turns in the head of that part. */
static void assert_whole_without(unsigned part, uint64_t w)
{
	struct talk t;
	struct store s = {.sys = sys_plain()};
	char devices[160];

	damaged_part = part;
	snprintf(s.dir, sizeof s.dir, "%s", a.options.store_dir);
	memcpy(s.member, "a", 2);
	snprintf(devices, sizeof devices, "%s/devices", a.options.store_dir);
	assert_int_equal(sys_list(sys_plain(), devices, damage_parts, &s), 1);
	assert_true(dial(&t, &b));
	assert_int_equal(t.w, w);
	hang_up(&t);
	assert_places(&s, w);
	store_fini(&s, true);
}

/* What could not be synced comes again in another segment, and then the file that voids it
 * is damaged. */
static void what_a_failed_sync_left_does_not_count_again(void **state)
{
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	sick = &a;
	send_until(&t, 30);
	assert_int_equal(t.acked, 0);
	hang_up(&t);
	sick = NULL;
	bench_run(&a, 60000);
	visit(&a, 0, 50);
	assert_whole_without(1, 50);
}

/* The head that closes the segment, as the device would have sent it. */
static void close_segments(struct store *s)
{
	for (size_t i = 0; i < s->room_devices; i++) {
		struct device *d = s->devices[i];
		struct segment *g = d != NULL ? d->segments : NULL;

		for (; g != NULL; g = g->next) {
			struct head h = {.segment = g->name.id, .index = g->index,
					 .hash = g->hash, .state = HEAD_CLOSED};

			assert_int_equal(store_head(s, d, g, &h, SLICE_LIT("signed")), 0);
			assert_true(g->ended);
		}
	}
}

/* Batch 1 of the segment, the first of which is stored, while nothing can be synced. */
static void send_in_vain(struct talk *t, struct bench_segment *g, struct hash32 after,
			 bool closes)
{
	sick = &a;
	bench_announce(t->link, g, 0, after);
	bench_send_batch(t->link, g, 1);
	if (closes) {
		close_segments(&a.c->store);
	}
	bench_run(&a, 50);
	hear_acks(t);
	assert_int_equal(t->acked, 10);
	hang_up(t);
	sick = NULL;
	bench_run(&a, 60000);
}

/* A file in which a closing head stands is left as it is; the one after it has none. */
static void what_a_second_failed_sync_left_does_not_count_either(void **state)
{
	struct bench_segment g;
	struct hash32 after;
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	bench_segment_new(&a, &g, t.link, &t.key, LANE_FILE, ++number);
	bench_announce(t.link, &g, -1, sealer_hash(g.sealer));
	bench_seal(&g, 's', 0, 10, 0);
	after = sealer_hash(g.sealer);
	bench_seal(&g, 's', 10, 20, 0);
	bench_send_batch(t.link, &g, 0);
	bench_run(&a, 50);
	hear_acks(&t);
	assert_int_equal(t.acked, 10);
	send_in_vain(&t, &g, after, true);
	assert_true(dial(&t, &a));
	assert_int_equal(t.w, 10);
	send_in_vain(&t, &g, after, false);
	bench_segment_free(&g);
	visit(&a, 10, 50);
	assert_whole_without(2, 50);
}

static void a_store_becomes_shared_with_all_that_it_holds(void **state)
{
	struct store_lock lock;
	char why[512];

	(void)state;
	assert_int_equal(bench_start(&a), 0);
	visit(&a, 0, 30);
	bench_stop(&a);
	start_both();
	visit(&b, 30, 50);
	assert_held_once(50);
	/* And nobody has it for itself any more. */
	assert_int_equal(store_lock_take(&lock, a.options.store_dir, "", why),
			 UV_EINVAL);
	assert_non_null(strstr(why, "store.member"));
	bench_kill(&a);
	a.options.member = (char *)(uintptr_t) "c";
	assert_int_equal(bench_start(&a), UV_EINVAL);
	assert_int_equal(share_join(a.fs.real, a.options.store_dir, "A/../b",
				    why),
			 UV_EINVAL);
}

static void names_and_stores_are_locked(void **state)
{
	struct store_lock one, two;
	const char *dir = a.options.store_dir;
	char why[STORE_LOCK_WHY];

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(store_lock_take(&one, dir, "", why), 0);
	assert_int_equal(store_lock_take(&two, dir, NULL, why), UV_EAGAIN);
	store_lock_drop(&two);
	assert_int_equal(store_lock_take(&two, dir, "b", why), UV_EAGAIN);
	assert_non_null(strstr(why, "for itself"));
	store_lock_drop(&two);
	store_lock_drop(&one);
	assert_int_equal(store_lock_take(&one, dir, "a", why), 0);
	store_lock_opened(&one);
	assert_int_equal(store_lock_take(&two, dir, "a", why), UV_EAGAIN);
	store_lock_drop(&two);
	assert_int_equal(store_lock_take(&two, dir, "b", why), 0);
	store_lock_drop(&two);
	store_lock_drop(&one);
}

/* ---- a take-over that lasts ---- */

static unsigned waits(struct talk *t)
{
	struct said *m;
	unsigned n = 0;

	while ((m = bench_hear(t->link, MSG_WAIT)) != NULL) {
		assert_int_equal(m->n, 0);
		free(m);
		n++;
	}
	return n;
}

/* Whose the folder of the only device is. */
static int on_owner(void *arg, const char *name, bool is_dir)
{
	struct store *s = arg;
	struct device d = {0};

	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	hash32_hex(d.hex, &d.id);
	assert_int_equal(share_find_owner(s, &d, s->member), 0);
	return 1;
}

static void assert_owner(const char *owner)
{
	struct store s = {.sys = sys_plain()};
	char devices[160];

	snprintf(s.dir, sizeof s.dir, "%s", a.options.store_dir);
	snprintf(devices, sizeof devices, "%s/devices", a.options.store_dir);
	assert_int_equal(sys_list(sys_plain(), devices, on_owner, &s), 1);
	assert_string_equal(s.member, owner);
}

/* Both clocks, as long as a lasting job of b's takes. */
static void let_pass(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 1000) {
		bench_run(&b, 1000);
		bench_run(&a, 1000);
	}
}

static void begin_with_a(void)
{

	start_both();
	visit(&a, 0, 30);
	let_pass(3000); /* No job of b's is under way. */
}

static void who_waits_for_a_take_over_is_told_so_until_it_ends(void **state)
{
	struct talk t;

	(void)state;
	begin_with_a();
	jobs = 0;
	assert_false(dial(&t, &b));
	for (int i = 0; i < 3; i++) {
		let_pass(10000);
		assert_int_equal(waits(&t), 2);
		do_jobs(i < 2 ? 1 : SIZE_MAX);
	}
	bench_run(&b, 100);
	assert_true(hear_welcome(&t));
	assert_int_equal(t.w, 30);
	send_until(&t, 50);
	assert_int_equal(t.acked, 50);
	let_pass(10000);
	assert_int_equal(waits(&t), 0);
	hang_up(&t);
	assert_held_once(50);
}

static void what_another_is_taking_is_left_to_it_until_it_is_done(void **state)
{
	struct talk t, u;

	(void)state;
	begin_with_a();
	jobs = 1;
	assert_false(dial(&t, &b));
	hang_up(&t);
	assert_owner("b.taking");
	assert_false(dial(&u, &a));
	let_pass(30000);
	assert_owner("b.taking");
	assert_in_range(waits(&u), 5, 6);
	do_jobs(SIZE_MAX);
	bench_run(&b, 100);
	assert_owner("b");
	/* And then it is who asks's. */
	bench_run(&a, 2000);
	assert_owner("a");
	assert_true(hear_welcome(&u));
	assert_int_equal(u.w, 30);
	hang_up(&u);
	assert_held_once(30);
}

static void a_run_that_is_stuck_is_not_waited_for(void **state)
{
	struct talk t, u;
	char text[256];

	(void)state;
	begin_with_a();
	jobs = 1;
	assert_false(dial(&t, &b));
	assert_false(dial(&u, &a));
	let_pass(60000);
	assert_owner("b.taking");
	let_pass(20000);
	assert_in_range(waits(&t), 11, 13);
	/* Nor does who asked stay there. */
	assert_int_equal(error_of(&t, text), MSG_ERROR_BUSY);
	assert_true(t.link->gone);
	assert_true(hear_welcome(&u));
	assert_owner("a");
	do_jobs(SIZE_MAX);
	bench_run(&b, 100);
	hang_up(&t);
	hang_up(&u);
	assert_held_once(30);
}

static void who_reads_slowly_is_not_stuck(void **state)
{
	struct talk t;
	char text[256];
	uint64_t began_ms;

	(void)state;
	begin_with_a();
	jobs = 1;
	assert_false(dial(&t, &b));
	do_jobs(1);
	slow_ms = 25000;
	began_ms = b.now_ms;
	bench_step(&b, b.now_ms); /* The logs are read. */
	slow_ms = 0;
	assert_in_range(b.now_ms - began_ms, 75000, 200000);
	assert_int_equal(waits(&t), (b.now_ms - began_ms) / 5000);
	do_jobs(SIZE_MAX);
	bench_run(&b, 100);
	assert_int_equal(error_of(&t, text), 0);
	assert_true(hear_welcome(&t));
	hang_up(&t);
	assert_held_once(30);
}

static void each_device_is_welcomed_as_soon_as_it_is_ready(void **state)
{
	static const char *const names[] = {"gw", "gw2", "gw3"};
	struct talk t[3];

	(void)state;
	start_both();
	for (int i = 0; i < 3; i++) {
		assert_true(dial_as(&t[i], &a, names[i], 100));
		hang_up(&t[i]);
	}
	let_pass(3000);
	jobs = 1; /* Which fences the first alone; the others make the next run. */
	for (int i = 0; i < 3; i++) {
		assert_false(dial_as(&t[i], &b, names[i], 100));
	}
	do_jobs(2);
	bench_run(&b, 10);
	assert_true(hear_welcome(&t[0]));
	do_jobs(3);
	bench_run(&b, 10);
	assert_true(hear_welcome(&t[1]));
	assert_false(hear_welcome(&t[2]));
	do_jobs(SIZE_MAX);
	bench_run(&b, 10);
	assert_true(hear_welcome(&t[2]));
	for (int i = 0; i < 3; i++) {
		hang_up(&t[i]);
	}
}

static void a_device_that_went_away_before_its_turn_stays_where_it_is(void **state)
{
	struct talk t, u;

	(void)state;
	begin_with_a();
	assert_true(dial_as(&u, &a, "gw2", 100));
	hang_up(&u);
	let_pass(3000);
	jobs = 0;
	assert_false(dial_as(&u, &b, "gw2", 100)); /* Is being taken. */
	assert_false(dial(&t, &b));                /* Waits behind it. */
	hang_up(&t);
	bench_run(&b, 100);
	do_jobs(SIZE_MAX);
	bench_run(&b, 5000);
	assert_true(hear_welcome(&u));
	hang_up(&u);
	/* Still a's: it is welcomed there at once, and nobody was asked to. */
	unreadable = "/devices";
	assert_true(dial(&t, &a));
	assert_int_equal(t.w, 30);
	hang_up(&t);
}

/* ---- at its calls in turn ---- */

static struct talk there; /* with the one that goes on */
static bool reached;

/* There is no such call, and there are more than `least`; otherwise the next turn gets a
 * store of its own. */
static bool was_last(int at, int least)
{
	tear_down(NULL);
	set_up(NULL);
	start_both();
	if (!reached) {
		assert_true(at > least);
	}
	return !reached;
}

static void b_takes_over(void)
{
	reached = true;
	if (dial(&there, &b)) {
		send_until(&there, 60);
	}
}

/* Whatever has happened, the device gets all of it stored once, with either. */
static void finish(struct talk *t, uint64_t acked)
{
	stop.whom = NULL;
	hang_up(t);
	bench_run(&a, 3000);
	bench_run(&b, 3000);
	for (int i = 0; i < 2; i++) {
		assert_true(dial(t, i == 0 ? &a : &b));
		assert_true(t->w >= acked);
		if (t->w < 80) {
			send_until(t, 80);
		}
		assert_int_equal(t->acked, 80);
		acked = 80;
		hang_up(t);
	}
	assert_held_once(80);
}

static void stopped_at_any_call_it_doubles_nothing(void **state)
{
	(void)state;
	start_both();
	for (int at = 0;; at += STOP_STEP) {
		struct talk t = {0};
		uint64_t acked;

		reached = false;
		there = (struct talk){0};
		stop_at(&a, at, false, b_takes_over);
		if (dial(&t, &a)) {
			send_until(&t, 40);
		}
		stop.whom = NULL;
		bench_run(&b, 100);
		acked = t.acked > there.acked ? t.acked : there.acked;
		hang_up(&there);
		finish(&t, acked);
		if (was_last(at, 40)) {
			return;
		}
	}
}

static void killed_at_any_call_it_loses_nothing(void **state)
{
	(void)state;
	start_both();
	for (int at = 0;; at += KILL_STEP) {
		struct talk t = {0};
		uint64_t acked;

		reached = false;
		there = (struct talk){0};
		stop_at(&a, at, true, b_takes_over);
		if (dial(&t, &a)) {
			send_until(&t, 40);
		}
		stop.whom = NULL;
		acked = t.acked > there.acked ? t.acked : there.acked;
		bench_kill(&a);
		assert_int_equal(bench_start(&a), 0);
		hang_up(&there);
		forget(&t);
		finish(&t, acked);
		if (was_last(at, 40)) {
			return;
		}
	}
}

static void a_goes_on(void)
{
	reached = true;
	if (dial_patiently(&there, &a)) {
		send_until(&there, 60);
	}
}

/* The one that takes over is stopped, or dies, half-way. */
static void taking_over(bool dies)
{
	for (int at = 0;; at += dies ? KILL_STEP : STOP_STEP) {
		struct talk t = {0}, first = {0};
		uint64_t acked;

		assert_true(dial(&first, &a));
		send_until(&first, 30);
		/* In flight at the one, while the other is asked. */
		bench_seal(&first.segment, 's', 30, 40, 0);
		bench_send_batch(first.link, &first.segment, 3);
		reached = false;
		there = (struct talk){0};
		stop_at(&b, at, dies, a_goes_on);
		if (dial(&t, &b)) {
			send_until(&t, 70);
		}
		stop.whom = NULL;
		hear_acks(&first);
		acked = t.acked > there.acked ? t.acked : there.acked;
		acked = first.acked > acked ? first.acked : acked;
		if (dies) {
			bench_kill(&b);
			assert_int_equal(bench_start(&b), 0);
			forget(&t);
		}
		hang_up(&first);
		hang_up(&there);
		finish(&t, acked);
		if (was_last(at, 40)) {
			return;
		}
	}
}

static void taking_over_can_be_stopped_at_any_call(void **state)
{
	(void)state;
	start_both();
	taking_over(false);
}

static void taking_over_can_be_killed_at_any_call(void **state)
{
	(void)state;
	start_both();
	taking_over(true);
}

/* ---- alerts ---- */

static void alert(struct talk *t, uint64_t from)
{
	bench_segment_new(t->with, &t->segment, t->link, &t->key, LANE_ALERT, 1);
	bench_announce(t->link, &t->segment, -1,
		       sealer_hash(t->segment.sealer));
	bench_seal(&t->segment, 's', from, from + 10, RECORD_ALERT);
	bench_send_batch(t->link, &t->segment, 0);
}

static void an_alert_that_the_dead_one_kept_to_itself_is_given_out(void **state)
{
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	alert(&t, 0);
	/* Killed between the sync and the hooks. */
	for (int i = 0; i < 20 && a.c != NULL; i++) {
		bench_step(&a, a.now_ms + 20);
		hear_acks(&t);
		if (t.acked == 10) {
			bench_segment_free(&t.segment);
			bench_kill(&a);
		}
	}
	assert_null(a.c);
	assert_int_equal(a.alerts, 0);
	memset(&t, 0, sizeof t);
	assert_true(dial(&t, &b));
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 1);
	assert_string_equal(b.last_alert, "line at 0");
	hang_up(&t);
	/* Not again. */
	bench_kill(&b);
	assert_int_equal(bench_start(&b), 0);
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 1);
	assert_int_equal(bench_start(&a), 0);
	assert_true(dial(&t, &a));
	bench_run(&a, 3000);
	assert_int_equal(a.alerts, 0);
	hang_up(&t);
}

static void a_lives_on(void)
{
	reached = true;
	bench_run(&a, 3000);
}

/* Until the alert is acknowledged, and has not been given out. */
static void store_alert(struct talk *t)
{
	assert_true(dial(t, &a));
	alert(t, 0);
	for (int i = 0; i < 20 && t->acked < 10; i++) {
		bench_step(&a, a.now_ms + 20);
		hear_acks(t);
	}
	assert_int_equal(t->acked, 10);
	assert_int_equal(a.alerts, 0);
}

/* It finds that what it has noted is another's, and its cursor goes on. */
static void an_alert_is_given_out_though_the_loser_lives_on(void **state)
{
	(void)state;
	start_both();
	for (int at = 0;; at++) {
		struct talk t, u;

		store_alert(&t);
		reached = false;
		stop_at(&b, at, false, a_lives_on);
		assert_true(dial(&u, &b));
		stop.whom = NULL;
		bench_run(&a, 3000);
		bench_run(&b, 3000);
		if (a.alerts + b.alerts == 0) {
			print_error("the call is %d\n", at);
		}
		assert_in_range(a.alerts + b.alerts, 1, 2);
		hang_up(&t);
		hang_up(&u);
		if (was_last(at, 20)) {
			return;
		}
	}
}

/* Whoever finds a device left half-way knows what was given out. */
static void a_taker_that_dies_makes_nothing_come_again(void **state)
{
	(void)state;
	start_both();
	for (int at = 0;; at++) {
		struct talk t;

		store_alert(&t);
		bench_run(&a, 3000);
		assert_int_equal(a.alerts, 1);
		hang_up(&t);
		reached = false;
		stop_at(&b, at, true, a_lives_on);
		dial(&t, &b);
		stop.whom = NULL;
		forget(&t);
		bench_kill(&b);
		assert_true(dial_patiently(&t, &a));
		assert_int_equal(t.w, 10);
		bench_run(&a, 3000);
		if (a.alerts != 1) {
			print_error("the call is %d\n", at);
		}
		assert_int_equal(a.alerts, 1);
		hang_up(&t);
		if (was_last(at, 20)) {
			return;
		}
	}
}

/* More than are looked for at one time. */
static void all_that_is_owed_is_given_out_once(void **state)
{
	enum { ALERTS = 9000 };
	struct talk t;
	char path[192];

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	alert(&t, 0);
	for (uint64_t i = 1; i < ALERTS; i++) {
		buf_fini(&t.segment.batches[0]);
		t.segment.n = 0;
		bench_seal(&t.segment, 's', i * 10, i * 10 + 10, RECORD_ALERT);
		bench_send_batch(t.link, &t.segment, 0);
		if (i % 64 == 0) {
			bench_run(&a, 20);
		}
	}
	bench_run(&a, 3000);
	hear_acks(&t);
	assert_int_equal(t.acked, ALERTS * 10);
	bench_segment_free(&t.segment);
	bench_kill(&a);
	snprintf(path, sizeof path, "%s/members/a/deliver.cursor",
		 a.options.store_dir);
	assert_int_equal(sys_unlink(sys_plain(), path), 0);
	assert_true(dial(&t, &b));
	bench_run(&b, 60000);
	assert_int_equal(b.alerts, ALERTS);
	hang_up(&t);
}

static void what_can_not_be_read_of_another_is_not_passed_over(void **state)
{
	static const char *const files[] = {"/a/deliver.cursor", "/owed",
					    "/a/watermarks.log"};
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	send_until(&t, 30);
	bench_run(&a, 3000);
	hang_up(&t);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		unreadable = files[i];
		assert_false(dial(&t, &b));
		hang_up(&t);
	}
	unreadable = NULL;
	assert_true(dial(&t, &b));
	assert_int_equal(t.w, 30);
	hang_up(&t);
	assert_held_once(30);
}

static int pin_device(void *arg, const char *name, bool is_dir)
{
	struct device d = {0};
	char dir[STORE_PATH];
	int fd;

	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	hash32_hex(d.hex, &d.id);
	unlisted = 3;
	fd = share_pin(arg, &d, dir);
	assert_true(fd >= 0);
	assert_string_equal(d.owner, "a");
	share_unpin(arg, fd);
	return 1;
}

static void a_device_that_is_just_renamed_is_not_read_as_empty(void **state)
{
	struct store s;
	struct talk t;
	char why[512], devices[160];

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	hang_up(&t);
	snprintf(devices, sizeof devices, "%s/devices", a.options.store_dir);
	assert_int_equal(store_open_read(&s, &b.fs.sys, a.options.store_dir, why),
			 0);
	assert_int_equal(sys_list(sys_plain(), devices, pin_device, &s), 1);
	store_fini(&s, true);
}

static void what_was_given_out_does_not_come_again(void **state)
{
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	alert(&t, 0);
	bench_run(&a, 3000);
	assert_int_equal(a.alerts, 1);
	hang_up(&t);
	assert_true(dial(&t, &b));
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 0);
	alert(&t, 10);
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 1);
	hang_up(&t);
	bench_stop(&b);
	assert_int_equal(bench_start(&b), 0);
	bench_run(&b, 3000);
	assert_int_equal(b.alerts, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_device_goes_over_and_back_with_its_watermark),
		T(both_know_after_a_restart_what_they_have),
		T(who_lost_a_device_says_so_and_acknowledges_nothing),
		T(a_device_that_goes_during_a_repair_does_not_stop_it),
		T(what_a_failed_sync_left_does_not_count_again),
		T(what_a_second_failed_sync_left_does_not_count_either),
		T(a_store_becomes_shared_with_all_that_it_holds),
		T(names_and_stores_are_locked),
		T(who_waits_for_a_take_over_is_told_so_until_it_ends),
		T(what_another_is_taking_is_left_to_it_until_it_is_done),
		T(a_run_that_is_stuck_is_not_waited_for),
		T(who_reads_slowly_is_not_stuck),
		T(each_device_is_welcomed_as_soon_as_it_is_ready),
		T(a_device_that_went_away_before_its_turn_stays_where_it_is),
		T(stopped_at_any_call_it_doubles_nothing),
		T(killed_at_any_call_it_loses_nothing),
		T(taking_over_can_be_stopped_at_any_call),
		T(taking_over_can_be_killed_at_any_call),
		T(an_alert_that_the_dead_one_kept_to_itself_is_given_out),
		T(an_alert_is_given_out_though_the_loser_lives_on),
		T(a_taker_that_dies_makes_nothing_come_again),
		T(all_that_is_owed_is_given_out_once),
		T(what_can_not_be_read_of_another_is_not_passed_over),
		T(a_device_that_is_just_renamed_is_not_read_as_empty),
		T(what_was_given_out_does_not_come_again),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
