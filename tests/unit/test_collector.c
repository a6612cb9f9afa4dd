/* Unit tests of collector/core.h: devices speak, files are written, things fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <sys/stat.h>

#include "collector/opened.h"
#include "collector/verify.h"
#include "common/log.h"
#include "common/timefmt.h"
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
	struct bench_link *silent = bench_connect(b, "gw");
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
	bench_hello(silent, 'm'); /* Nor if the link was there before. */
	assert_int_equal(error_code(silent), MSG_ERROR_STORAGE);
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

/* A segment that a hello does not name is complete, and its watermarks go to the
 * log: not those that the failed sync takes back. */
static void the_log_does_not_claim_what_a_failed_sync_took_back(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_segment g;

	send_ranges(l, &g, hello(l, 'm'), 1);
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), 10);
	bench_seal(&g, 's', 10, 20, 0);
	bench_send_batch(l, &g, 1);
	hello(bench_connect(b, "gw"), 'm');
	b->fs.countdown = 0;
	b->fs.fired = false;
	bench_run(b, 5000);
	assert_true(b->fs.fired);
	bench_kill(b);
	assert_int_equal(bench_start(b), 0);
	assert_int_equal(ask(bench_connect(b, "gw"), 's').received, 10);
	bench_segment_free(&g);
}

static long log_size(const struct bench *b)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof path, "%s/store/watermarks.log", b->dir);
	assert_int_equal(stat(path, &st), 0);
	return (long)st.st_size;
}

/* Each of them began before most of the streams were touched: a device with many
 * of both must not make the log, and every commit, large. */
static void streams_are_logged_once_however_many_segments_end(void **state)
{
	enum { SEGMENTS = 20, STREAMS = 10, ENTRY = 120 };
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l, 'm');
	struct bench_segment g[SEGMENTS];
	long size;

	for (int i = 0; i < SEGMENTS; i++) {
		bench_segment_new(b, &g[i], l, &key, LANE_FILE, 1 + (uint64_t)i);
		bench_announce(l, &g[i], -1, sealer_hash(g[i].sealer));
		bench_seal(&g[i], (char)i, 0, 10, 0);
		bench_send_batch(l, &g[i], 0);
	}
	for (int i = 0; i < SEGMENTS; i++) {
		bench_announce(l, &g[i], 0, sealer_hash(g[i].sealer));
		for (int k = 1; k < STREAMS; k++) {
			bench_seal(&g[i], (char)(i + k * SEGMENTS), 0, 10, 0);
			bench_send_batch(l, &g[i], (size_t)k);
		}
	}
	bench_run(b, 100);
	for (int i = 0; i < 5; i++) {
		l = bench_connect(b, "gw");
		hello(l, 'm');
		bench_run(b, 100);
		size = log_size(b);
		assert_in_range(size, SEGMENTS * STREAMS * 60,
				SEGMENTS * STREAMS * ENTRY);
		/* It goes on after all, and is complete again. */
		bench_announce(l, &g[0], STREAMS - 1, sealer_hash(g[0].sealer));
	}
	for (int i = 0; i < SEGMENTS; i++) {
		bench_segment_free(&g[i]);
	}
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

/* ---- what the store holds, read as search does ---- */

enum { PLACES = 64 };

struct held {
	unsigned times[PLACES]; /* of the record that starts at 10 * i */
	unsigned records;
};

static void open_segment(struct store *s, const char *dir,
			 const struct segment_name *name, struct held *h)
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
			assert_int_equal(r.start % 10, 0);
			assert_in_range(r.start / 10, 0, PLACES - 1);
			h->times[r.start / 10]++;
			h->records++;
		}
	}
	opened_close(&o);
}

/* Of all its files, where a missing one differs from an empty one. */
static struct hash32 hash_segment(const char *dir, const struct segment_name *name)
{
	struct segment_name part = *name;
	struct hash32 hash = {0};

	for (part.part = 0; part.part <= name->part; part.part++) {
		struct slice parts[3] = {slice(hash.b, sizeof hash.b), SLICE_LIT("none"),
					 SLICE_NONE};
		char path[STORE_PATH], *p = NULL;
		size_t n;
		int rc;

		segment_path(path, dir, &part);
		rc = sys_read_file(sys_plain(), path, 1 << 20, &p, &n);
		assert_true(rc == 0 || rc == UV_ENOENT);
		if (rc == 0) {
			parts[1] = slice_str(path);
			parts[2] = slice(p, n);
		}
		assert_int_equal(hash32_of(&hash, parts, 3), 0);
		free(p);
	}
	return hash;
}

enum { OPENED_BEFORE = 1024 };

/* Opening costs most of the time: what the same bytes held before, they hold. */
static void hold_segment(struct store *s, const char *dir,
			 const struct segment_name *name, struct held *h)
{
	static struct {
		struct hash32 hash;
		struct held held;
	} before[OPENED_BEFORE];
	struct hash32 hash = hash_segment(dir, name);
	size_t at = (hash.b[0] | (size_t)hash.b[1] << 8) % OPENED_BEFORE;

	if (!hash32_eq(&before[at].hash, &hash)) {
		before[at].hash = hash;
		memset(&before[at].held, 0, sizeof before[at].held);
		open_segment(s, dir, name, &before[at].held);
	}
	for (size_t i = 0; i < PLACES; i++) {
		h->times[i] += before[at].held.times[i];
	}
	h->records += before[at].held.records;
}

static int hold_device(void *arg, const char *name, bool is_dir)
{
	void **args = arg;
	struct store *s = args[0];
	struct segment_list l;
	char dir[STORE_PATH];

	(void)is_dir;
	snprintf(dir, sizeof dir, "%.200s/devices/%.64s", s->dir, name);
	assert_int_equal(segment_list_read(&l, s->sys, dir), 0);
	for (size_t i = 0; i < l.n; i++) {
		hold_segment(s, dir, &l.v[i], args[1]);
	}
	segment_list_fini(&l);
	return 0;
}

static struct held what_is_held(struct bench *b)
{
	struct held h = {0};
	struct store s;
	char why[512], devices[128];
	void *args[2] = {&s, &h};

	assert_int_equal(store_open_read(&s, sys_plain(),
					 b->options.store_dir, why),
			 0);
	snprintf(devices, sizeof devices, "%s/devices", b->options.store_dir);
	assert_int_equal(sys_list(sys_plain(), devices, hold_device, args), 0);
	store_fini(&s, true);
	return h;
}

/* Everything below w is there once, and nothing twice. */
static void assert_held_once(struct bench *b, uint64_t w)
{
	struct held h = what_is_held(b);

	for (uint64_t i = 0; i < PLACES; i++) {
		assert_in_range(h.times[i], i < w / 10 ? 1 : 0, 1);
	}
}

static void on_finding(void *arg, const struct verify_finding *f)
{
	char *all = arg;

	if (f->kind != VERIFY_NOTE) {
		snprintf(all + strlen(all), 1024 - strlen(all), "%s: %s: %s\n",
			 verify_kind_name(f->kind), f->file, f->text);
	}
}

/* What verify says is wrong, one line each. */
static const char *verified(struct bench *b)
{
	static char all[1024];
	struct verify_totals totals;
	struct store s;
	char why[512];

	all[0] = '\0';
	assert_int_equal(store_open_read(&s, sys_plain(),
					 b->options.store_dir, why),
			 0);
	assert_int_equal(verify_store(&s, on_finding, all, &totals), 0);
	assert_int_equal(totals.wrong > 0, all[0] != '\0');
	store_fini(&s, true);
	return all;
}

/* ---- a disk that fails ---- */

/* Sends [0,10) ... in two segments, whatever happens, then lets things settle.
 * Returns what was acknowledged. */
static uint64_t talk(struct bench *b, struct bench_segment *g,
		     struct bench_segment *h)
{
	struct bench_link *l = bench_connect(b, "gw");
	struct welcome w;
	struct said *m;
	uint64_t got = 0, more;

	if (l == NULL) {
		return 0;
	}
	bench_hello(l, 'm');
	m = bench_hear(l, MSG_WELCOME);
	if (m == NULL) {
		bench_run(b, 60000);
		return 0;
	}
	assert_int_equal(welcome_decode(&w, said_payload(m)), 0);
	free(m);
	bench_segment_new(b, g, l, &w.keys[0], LANE_FILE, 1);
	bench_segment_new(b, h, l, &w.keys[0], LANE_FILE, 2);
	bench_announce(l, g, -1, sealer_hash(g->sealer));
	for (size_t i = 0; i < 3; i++) {
		bench_seal(g, 's', i * 10, i * 10 + 10, 0);
		bench_send_batch(l, g, i);
		bench_run(b, i == 1 ? 0 : 50);
	}
	bench_announce(l, h, -1, sealer_hash(h->sealer));
	bench_seal(h, 's', 20, 40, 0);
	bench_send_batch(l, h, 0);
	bench_run(b, 50);
	more = acked(l, 's');
	got = more > got ? more : got;
	l->closing = true;
	bench_run(b, 60000);
	more = acked(l, 's');
	return more > got ? more : got;
}

static void run_with_failing_call(int n, int error, bool *fired)
{
	struct bench *b = &bench;
	struct bench_segment g = {0}, h = {0};
	uint64_t w = 0;

	bench_init(b);
	b->fs.countdown = n;
	b->fs.error = error;
	if (bench_start(b) == 0) {
		w = talk(b, &g, &h);
		if (b->c != NULL) {
			bench_kill(b);
		}
	}
	*fired = b->fs.fired;
	b->fs.countdown = -1;
	assert_int_equal(bench_start(b), 0);
	/* Acknowledged is durable, and there once. */
	assert_in_range(ask(bench_connect(b, "gw"), 's').received, w, 40);
	bench_kill(b);
	assert_held_once(b, w);
	assert_string_equal(verified(b), "");
	bench_segment_free(&g);
	bench_segment_free(&h);
	bench_fini(b);
}

static void every_call_may_fail(void **state)
{
	static const int errors[] = {UV_EIO, UV_ENOSPC};

	(void)state;
	for (size_t e = 0; e < 2; e++) {
		bool fired = true;

		for (int n = 0; fired; n++) {
			run_with_failing_call(n, errors[e], &fired);
			assert_true(n < 2000);
		}
	}
}

/* Of a segment that is complete: its watermark is on the way into the log as well. */
static void run_killed_in_a_repair(int failing, int then, bool *fired)
{
	struct bench *b = &bench;
	struct bench_segment g;
	struct bench_link *l;
	uint64_t w;

	bench_init(b);
	assert_int_equal(bench_start(b), 0);
	l = bench_connect(b, "gw");
	send_ranges(l, &g, hello(l, 'm'), 1);
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), 10);
	bench_seal(&g, 's', 10, 20, 0);
	bench_send_batch(l, &g, 1);
	hello(bench_connect(b, "gw"), 'm');
	b->fs.countdown = failing;
	bench_run(b, 100);
	*fired = b->fs.fired;
	b->fs.fired = false;
	b->fs.countdown = then;
	bench_run(b, 1000);
	bench_kill(b);
	b->fs.countdown = -1;
	assert_int_equal(bench_start(b), 0);
	w = ask(bench_connect(b, "gw"), 's').received;
	assert_in_range(w, 10, 20);
	bench_kill(b);
	assert_held_once(b, w);
	assert_string_equal(verified(b), "");
	bench_segment_free(&g);
	bench_fini(b);
}

static void a_kill_in_a_repair_leaves_what_the_log_says(void **state)
{
	bool fired = true;

	(void)state;
	for (int failing = 0; fired; failing++) {
		for (int then = -1; then < 12; then++) {
			run_killed_in_a_repair(failing, then, &fired);
		}
		assert_true(failing < 100);
	}
}

/* ---- damage ---- */

struct kept_file {
	char path[256];
	char *p;
	size_t n;
};

static struct kept_file kept[32];
static size_t n_kept;

static int keep_one(const char *path, const struct stat *st, int type,
		    struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_F) {
		struct kept_file *k = &kept[n_kept++];

		assert_true(n_kept <= 32);
		snprintf(k->path, sizeof k->path, "%s", path);
		assert_int_equal(sys_read_file(sys_plain(), path, 1 << 20,
					       &k->p, &k->n),
				 0);
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_F ? unlink(path) : 0;
}

static void write_file(const char *path, const char *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void put_back(struct bench *b)
{
	assert_int_equal(nftw(b->options.store_dir, remove_one, 8, FTW_PHYS), 0);
	for (size_t i = 0; i < n_kept; i++) {
		write_file(kept[i].path, kept[i].p, kept[i].n);
	}
}

/* A store with two segments, of which the second begins below W. */
static void make_small_store(struct bench *b)
{
	struct bench_segment g = {0}, h = {0};

	bench_init(b);
	assert_int_equal(bench_start(b), 0);
	assert_int_equal(talk(b, &g, &h), 40);
	bench_stop(b);
	bench_segment_free(&g);
	bench_segment_free(&h);
	n_kept = 0;
	assert_int_equal(nftw(b->options.store_dir, keep_one, 8, FTW_PHYS), 0);
}

/* Which record stands in front of which offset of which file. */
static struct {
	char path[STORE_PATH];
	uint64_t end;
	size_t place;
} places[PLACES];
static size_t n_places;

static void note_segment(struct store *s, const char *dir,
			 const struct segment_name *name)
{
	static struct opened o;

	assert_int_equal(opened_open(&o, s->sys, dir, name, s->keys, s->n_keys),
			 0);
	while (opened_next(&o) == 1) {
		struct records records;
		struct record r;

		if (o.e.kind != ENTRY_BATCH) {
			continue;
		}
		records_init(&records, &o);
		while (records_next(&records, &r) == 1) {
			segment_path(places[n_places].path, dir, name);
			places[n_places].end = o.e.next;
			places[n_places++].place = r.start / 10;
		}
	}
	opened_close(&o);
}

static int note_device(void *arg, const char *name, bool is_dir)
{
	struct store *s = arg;
	struct segment_list l;
	char dir[STORE_PATH];

	(void)is_dir;
	snprintf(dir, sizeof dir, "%.100s/devices/%.64s", s->dir, name);
	assert_int_equal(segment_list_read(&l, s->sys, dir), 0);
	for (size_t i = 0; i < l.n; i++) {
		note_segment(s, dir, &l.v[i]);
	}
	segment_list_fini(&l);
	return 0;
}

static void note_places(struct bench *b)
{
	struct store s;
	char why[512], devices[128];

	n_places = 0;
	assert_int_equal(store_open_read(&s, sys_plain(),
					 b->options.store_dir, why),
			 0);
	snprintf(devices, sizeof devices, "%s/devices", b->options.store_dir);
	assert_int_equal(sys_list(sys_plain(), devices, note_device, &s), 0);
	assert_int_equal(n_places, 4);
	store_fini(&s, true);
}

static void no_log(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

/* The segments that bring what is missing, by where they begin; sealed once for a store, which
 * has the same key after each damage. */
static struct rest {
	bool made;
	struct bench_segment g;
	struct hash32 begun;
} rests[PLACES];

static struct rest *rest_from(struct bench *b, const struct bench_link *l,
			      const struct seal_key *key, uint64_t w)
{
	struct rest *r = &rests[w / 10];

	assert_int_equal(w % 10, 0);
	if (!r->made) {
		r->made = true;
		bench_segment_new(b, &r->g, l, key, LANE_FILE, 3);
		r->begun = sealer_hash(r->g.sealer);
		bench_seal(&r->g, 's', w, 60, 0);
	}
	return r;
}

static void forget_rests(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		if (rests[i].made) {
			bench_segment_free(&rests[i].g);
		}
	}
	memset(rests, 0, sizeof rests);
}

/* So that the same damage makes the same files. */
static int64_t no_time(struct sys *s)
{
	(void)s;
	return 1700000000 * NS_PER_S;
}

/* Starts over the damage, sends what is wanted again, and looks. */
static void start_and_complete(struct bench *b)
{
	struct rest *r;
	struct bench_link *l;
	struct msg_stream w;
	struct seal_key key;

	assert_int_equal(bench_start(b), 0);
	l = bench_connect(b, "gw");
	assert(l != NULL);
	w = ask(l, 's');
	assert_in_range(w.received, 0, 40);
	l->closing = true;
	bench_run(b, 10);
	l = bench_connect(b, "gw");
	key = hello(l, 'm');
	r = rest_from(b, l, &key, w.received);
	bench_announce(l, &r->g, -1, r->begun);
	bench_send_batch(l, &r->g, 0);
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), 60);
	bench_kill(b);
}

enum { CUT = -1, TORN = -2 }; /* ends there, or is zeroes from there; else a bit flips */

static void damaged_at(struct bench *b, const struct kept_file *k, size_t at,
		       int how)
{
	struct held h;
	char *copy = malloc(k->n);

	assert(copy != NULL);
	put_back(b);
	memcpy(copy, k->p, k->n);
	if (how == CUT) {
		write_file(k->path, copy, at);
	} else {
		if (how == TORN) {
			memset(copy + at, 0, k->n - at);
		} else {
			copy[at] = (char)(copy[at] ^ 1 << how);
		}
		write_file(k->path, copy, k->n);
	}
	free(copy);
	start_and_complete(b);
	h = what_is_held(b);
	for (size_t i = 0; i < PLACES; i++) {
		assert_in_range(h.times[i], i == 4 || i == 5 ? 1 : 0, 1);
	}
	for (size_t i = 0; i < n_places; i++) {
		if (strcmp(places[i].path, k->path) != 0 ||
		    places[i].end <= at) {
			assert_int_equal(h.times[places[i].place], 1);
		}
	}
}

/* Every byte of every segment file and of the watermark log. */
static void damage_at_every_offset_keeps_what_is_before(void **state)
{
	struct bench *b = &bench;

	(void)state;
	make_small_store(b);
	note_places(b);
	b->fs.ops.wall_ns = no_time;
	log_set_sink(no_log, NULL);
	for (size_t i = 0; i < n_kept; i++) {
		const struct kept_file *k = &kept[i];

		if (strstr(k->path, ".seg") == NULL &&
		    strstr(k->path, "watermarks.log") == NULL) {
			continue;
		}
		for (size_t at = 0; at < k->n; at++) {
			damaged_at(b, k, at, CUT);
			damaged_at(b, k, at, TORN);
			damaged_at(b, k, at, (int)(at % 8));
		}
	}
	log_set_sink(NULL, NULL);
	for (size_t i = 0; i < n_kept; i++) {
		free(kept[i].p);
	}
	forget_rests();
	bench_fini(b);
}

/* Its sync has failed at the batch `failing` of a first segment, which then goes on in a
 * part that holds nothing: the device began another one. */
static void make_store_with_a_replaced_end(struct bench *b, size_t failing)
{
	struct bench_segment g, h;
	struct bench_link *l;
	struct seal_key key;
	struct msg_stream w;

	bench_init(b);
	assert_int_equal(bench_start(b), 0);
	l = bench_connect(b, "gw");
	send_ranges(l, &g, hello(l, 'm'), failing);
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), failing * 10);
	bench_seal(&g, 's', failing * 10, failing * 10 + 10, 0);
	bench_send_batch(l, &g, failing);
	b->fs.countdown = 0; /* The next file call is the sync. */
	bench_run(b, 5000);
	assert_true(b->fs.fired);
	l = bench_connect(b, "gw");
	assert(l != NULL);
	w = ask(l, 's');
	assert_int_equal(w.received, failing * 10);
	l->closing = true;
	bench_run(b, 10);
	l = bench_connect(b, "gw");
	assert(l != NULL);
	key = hello(l, 'm');
	bench_segment_new(b, &h, l, &key, LANE_FILE, 2);
	bench_announce(l, &h, -1, sealer_hash(h.sealer));
	bench_seal(&h, 's', w.received, 40, 0);
	bench_send_batch(l, &h, 0);
	bench_run(b, 100);
	assert_int_equal(acked(l, 's'), 40);
	bench_stop(b);
	bench_segment_free(&g);
	bench_segment_free(&h);
	n_kept = n_places = 0;
	assert_int_equal(nftw(b->options.store_dir, keep_one, 8, FTW_PHYS), 0);
}

static void damage_every_byte_of_a_part(struct bench *b, const struct kept_file *k)
{
	for (size_t at = 0; at < k->n; at++) {
		damaged_at(b, k, at, at % 9 == 0   ? CUT
				     : at % 9 == 1 ? TORN
						   : (int)(at % 8));
		assert_held_once(b, 60);
	}
}

static void damage_to_a_part_does_not_bring_back_what_it_replaces(void **state)
{
	struct bench *b = &bench;
	size_t parts = 0;

	(void)state;
	log_set_sink(no_log, NULL);
	for (size_t failing = 0; failing < 2; failing++) {
		make_store_with_a_replaced_end(b, failing);
		assert_string_equal(verified(b), "");
		b->fs.ops.wall_ns = no_time;
		for (size_t i = 0; i < n_kept; i++) {
			if (strstr(kept[i].path, ".1.seg") != NULL) {
				parts++;
				damage_every_byte_of_a_part(b, &kept[i]);
			}
		}
		for (size_t i = 0; i < n_kept; i++) {
			free(kept[i].p);
		}
		forget_rests();
		bench_fini(b);
	}
	log_set_sink(NULL, NULL);
	assert_int_equal(parts, 2);
}

/* A bit that flips in a sealed body is found by verify, and nothing else is. */
static void verify_names_what_is_wrong(void **state)
{
	struct bench *b = &bench;

	(void)state;
	make_small_store(b);
	assert_string_equal(verified(b), "");
	for (size_t i = 0; i < n_kept; i++) {
		const struct kept_file *k = &kept[i];
		char *copy;

		if (strstr(k->path, ".seg") == NULL) {
			continue;
		}
		for (size_t at = 0; at < k->n; at += 7) {
			copy = malloc(k->n);
			assert(copy != NULL);
			memcpy(copy, k->p, k->n);
			copy[at] = (char)(copy[at] ^ 0x10);
			write_file(k->path, copy, k->n);
			assert_string_not_equal(verified(b), "");
			free(copy);
		}
		/* A file that is gone is a hole. */
		unlink(k->path);
		assert_non_null(strstr(verified(b), "hole"));
		write_file(k->path, k->p, k->n);
		assert_string_equal(verified(b), "");
	}
	for (size_t i = 0; i < n_kept; i++) {
		free(kept[i].p);
	}
	bench_fini(b);
}

/* ---- outputs ---- */

static size_t lines_of(const char *path)
{
	char *p;
	size_t n, lines = 0;

	if (sys_read_file(sys_plain(), path, 1 << 20, &p, &n) != 0) {
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		lines += p[i] == '\n';
	}
	free(p);
	return lines;
}

static void the_output_has_each_record_once_over_a_kill(void **state)
{
	struct bench *b = &bench;
	struct bench_segment g = {0}, h = {0};
	static char path[sizeof bench.dir + 16];

	(void)state;
	bench_init(b);
	snprintf(path, sizeof path, "%s/out.json", b->dir);
	b->options.output_file = path;
	assert_int_equal(bench_start(b), 0);
	assert_int_equal(talk(b, &g, &h), 40);
	assert_int_equal(lines_of(path), 4);
	for (int i = 0; i < 3; i++) {
		bench_kill(b);
		assert_int_equal(bench_start(b), 0);
		bench_run(b, 5000);
		assert_int_equal(lines_of(path), 4);
	}
	bench_segment_free(&g);
	bench_segment_free(&h);
	bench_fini(b);
}

static void an_alert_reaches_the_hooks_once_it_is_durable(void **state)
{
	struct bench *b = *state;
	struct bench_link *l = bench_connect(b, "gw");
	struct seal_key key = hello(l, 'm');
	struct bench_segment g;

	bench_segment_new(b, &g, l, &key, LANE_ALERT, 1);
	bench_announce(l, &g, -1, sealer_hash(g.sealer));
	bench_seal(&g, 'a', 0, 10, RECORD_ALERT);
	bench_send_batch(l, &g, 0);
	assert_int_equal(b->alerts, 0);
	bench_run(b, 100);
	assert_int_equal(b->alerts, 1);
	assert_string_equal(b->last_alert, "line at 0");
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
		T(the_log_does_not_claim_what_a_failed_sync_took_back),
		T(streams_are_logged_once_however_many_segments_end),
		T(a_full_disk_pauses_and_recovers_by_itself),
		T(an_alert_reaches_the_hooks_once_it_is_durable),
		cmocka_unit_test(the_output_has_each_record_once_over_a_kill),
		cmocka_unit_test(every_call_may_fail),
		cmocka_unit_test(a_kill_in_a_repair_leaves_what_the_log_says),
		cmocka_unit_test(verify_names_what_is_wrong),
		cmocka_unit_test(damage_at_every_offset_keeps_what_is_before),
		cmocka_unit_test(damage_to_a_part_does_not_bring_back_what_it_replaces),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
