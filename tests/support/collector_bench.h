/* collector_bench: a collector on a real directory, with timers and works run by
 * hand, a file call that fails on demand, and devices that speak through links
 * of our own.  Included by one test file each; errors of the bench abort. */
#ifndef TESTS_SUPPORT_COLLECTOR_BENCH_H
#define TESTS_SUPPORT_COLLECTOR_BENCH_H

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/core.h"
#include "tests/support/fault_sys.h"
#include "wire/body.h"
#include "wire/msg.h"

struct sys_timer {
	struct sys_timer *next;
	sys_timer_cb cb;
	void *arg;
	bool set;
	uint64_t at_ms;
};

struct said {
	struct said *next;
	uint8_t type;
	size_t n;
	char p[];
};

struct bench;

struct bench_link {
	struct link link; /* first */
	struct bench_link *next;
	struct bench *b;
	const struct link_cbs *cbs;
	struct said *said; /* by the collector, oldest first */
	bool closing, gone, paused;
	char spki[32];
	struct link_peer peer;
};

struct bench {
	struct fault_sys fs; /* first: its .sys is the collector's */
	uint64_t now_ms;
	struct sys_timer *timers;
	struct sys_work *works[16];
	size_t n_works;
	struct bench_link *links;
	char dir[64];
	struct collector_options options;
	struct collector *c;
	bool stopped;
	unsigned alerts;
	char last_alert[4096];
};

/* ---- the system ---- */

static inline int bench_timer_new(struct sys *s, struct sys_timer **out,
				  sys_timer_cb cb, void *arg)
{
	struct bench *b = (struct bench *)s;
	struct sys_timer *t = calloc(1, sizeof *t);

	assert(t != NULL);
	t->cb = cb;
	t->arg = arg;
	t->next = b->timers;
	b->timers = t;
	*out = t;
	return 0;
}

static inline void bench_timer_set(struct sys *s, struct sys_timer *t,
				   uint64_t ms)
{
	t->set = true;
	t->at_ms = ((struct bench *)s)->now_ms + ms;
}

static inline void bench_timer_stop(struct sys *s, struct sys_timer *t)
{
	(void)s;
	t->set = false;
}

static inline void bench_timer_free(struct sys *s, struct sys_timer *t)
{
	struct sys_timer **at = &((struct bench *)s)->timers;

	while (*at != t) {
		at = &(*at)->next;
	}
	*at = t->next;
	free(t);
}

static inline int bench_work(struct sys *s, struct sys_work *w)
{
	struct bench *b = (struct bench *)s;

	assert(b->n_works < 16);
	b->works[b->n_works++] = w;
	return 0;
}

/* One work, or one timer that is due within ms.  false: nothing to do. */
static inline bool bench_step(struct bench *b, uint64_t ms)
{
	struct sys_timer *due = NULL;

	if (b->n_works > 0) {
		struct sys_work *w = b->works[0];

		memmove(&b->works[0], &b->works[1],
			--b->n_works * sizeof(struct sys_work *));
		w->run(w);
		w->done(w);
		return true;
	}
	for (struct sys_timer *t = b->timers; t != NULL; t = t->next) {
		if (t->set && (due == NULL || t->at_ms < due->at_ms)) {
			due = t;
		}
	}
	if (due == NULL || due->at_ms > ms) {
		return false;
	}
	b->now_ms = due->at_ms > b->now_ms ? due->at_ms : b->now_ms;
	due->set = false;
	due->cb(due->arg);
	return true;
}

static inline void bench_close_links(struct bench *b)
{
	for (struct bench_link *l = b->links; l != NULL; l = l->next) {
		if (l->closing && !l->gone) {
			l->gone = true;
			l->cbs->on_close(l->link.arg, &l->link, 0, "");
		}
	}
}

/* Lets ms of time pass. */
static inline void bench_run(struct bench *b, uint64_t ms)
{
	uint64_t until = b->now_ms + ms;

	do {
		bench_close_links(b);
	} while (bench_step(b, until));
	bench_close_links(b);
	b->now_ms = until;
}

/* Nothing is done for a sync: no test cuts the power (tests/sim does), and what is killed
 * finds all that it wrote.  These for any sys; a bench's own can fail. */
static inline int bench_fdatasync(struct sys *s, int fd)
{
	(void)s;
	(void)fd;
	return 0;
}

static inline int bench_sync_dir(struct sys *s, const char *path)
{
	(void)s;
	(void)path;
	return 0;
}

static inline int bench_own_fdatasync(struct sys *s, int fd)
{
	return fault_sys_now(s) ? ((struct bench *)s)->fs.error
				: bench_fdatasync(s, fd);
}

static inline int bench_own_sync_dir(struct sys *s, const char *path)
{
	return fault_sys_now(s) ? ((struct bench *)s)->fs.error
				: bench_sync_dir(s, path);
}

/* ---- the collector ---- */

static inline void bench_on_alert(void *arg, const char *device,
				  struct slice json)
{
	struct bench *b = arg;

	(void)device;
	b->alerts++;
	snprintf(b->last_alert, sizeof b->last_alert, "%.*s", SLICE_ARG(json));
}

static inline int bench_start(struct bench *b)
{
	char why[COLLECTOR_WHY] = "";
	struct collector_params p = {
		.sys = &b->fs.sys,
		.options = &b->options,
		.on_alert = bench_on_alert,
		.arg = b,
	};
	int rc = collector_new(&b->c, &p, why);

	assert((rc == 0) == (why[0] == '\0'));
	return rc;
}

static inline void bench_init(struct bench *b)
{
	static char store[80];

	memset(b, 0, sizeof *b);
	fault_sys_init(&b->fs, -1, UV_EIO);
	b->fs.ops.timer_new = bench_timer_new;
	b->fs.ops.timer_set = bench_timer_set;
	b->fs.ops.timer_stop = bench_timer_stop;
	b->fs.ops.timer_free = bench_timer_free;
	b->fs.ops.work_submit = bench_work;
	b->fs.ops.fdatasync = bench_own_fdatasync;
	b->fs.ops.sync_dir = bench_own_sync_dir;
	strcpy(b->dir, "collector_bench.XXXXXX");
	assert(mkdtemp(b->dir) != NULL);
	snprintf(store, sizeof store, "%s/store", b->dir);
	b->options.store_dir = store;
	b->options.sync_interval_ms = 20;
	b->options.decoders_max = 4;
	b->options.window_log = 17;
	b->options.segment_max = 4 * 1024 * 1024;
	b->options.max_devices = 100;
}

/* As if the process were killed: what it wrote stays. */
static inline void bench_kill(struct bench *b)
{
	b->n_works = 0;
	for (struct bench_link *l = b->links; l != NULL; l = l->next) {
		l->gone = true;
	}
	collector_free(b->c);
	b->c = NULL;
}

static inline void bench_on_stopped(void *arg)
{
	((struct bench *)arg)->stopped = true;
}

static inline void bench_stop(struct bench *b)
{
	b->stopped = false;
	collector_stop(b->c, bench_on_stopped, b);
	bench_run(b, 5000);
	assert(b->stopped);
	collector_free(b->c);
	b->c = NULL;
}

static inline int bench_remove(const char *path, const struct stat *st, int type,
			       struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void bench_fini(struct bench *b)
{
	if (b->c != NULL) {
		bench_kill(b);
	}
	while (b->links != NULL) {
		struct bench_link *l = b->links;

		b->links = l->next;
		while (l->said != NULL) {
			struct said *m = l->said;

			l->said = m->next;
			free(m);
		}
		free(l);
	}
	assert(b->timers == NULL);
	assert(nftw(b->dir, bench_remove, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* ---- links ---- */

static inline int bench_send(struct link *link, uint8_t type,
			     const struct slice *parts, size_t n)
{
	struct bench_link *l = (struct bench_link *)link;
	struct said **at = &l->said, *m;
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		len += parts[i].n;
	}
	m = calloc(1, sizeof *m + len + 1);
	assert(m != NULL);
	m->type = type;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n > 0) {
			memcpy(m->p + m->n, parts[i].p, parts[i].n);
		}
		m->n += parts[i].n;
	}
	while (*at != NULL) {
		at = &(*at)->next;
	}
	*at = m;
	return 0;
}

static inline size_t bench_queued(const struct link *l)
{
	(void)l;
	return 0;
}

static inline void bench_pause(struct link *l, bool pause)
{
	((struct bench_link *)l)->paused = pause;
}

static inline void bench_close(struct link *l)
{
	((struct bench_link *)l)->closing = true;
}

static const struct link_ops bench_link_ops = {
	.send = bench_send,
	.queued = bench_queued,
	.pause = bench_pause,
	.close = bench_close,
};

/* A device connects: its key is made from its name.  NULL: refused. */
static inline struct bench_link *bench_connect(struct bench *b,
					       const char *name)
{
	struct bench_link *l = calloc(1, sizeof *l);
	struct slice key;

	assert(l != NULL);
	snprintf(l->spki, sizeof l->spki, "key of %s", name);
	key = slice_str(l->spki);
	l->link.ops = &bench_link_ops;
	l->b = b;
	l->peer = (struct link_peer){.spki = key, .name = name,
				     .address = "192.0.2.1:1"};
	assert(hash32_of(&l->peer.key_hash, &key, 1) == 0);
	l->cbs = collector_accept(b->c, &l->link, &l->peer);
	if (l->cbs == NULL) {
		free(l);
		return NULL;
	}
	l->next = b->links;
	b->links = l;
	return l;
}

/* The device says something. */
static inline void bench_say(struct bench_link *l, uint8_t type,
			     struct slice payload)
{
	assert(l != NULL && l->cbs != NULL && l->cbs->on_message != NULL);
	if (!l->closing && !l->gone) {
		l->cbs->on_message(l->link.arg, &l->link, type, payload);
	}
}

/* The oldest message of that type, taken out; the caller frees.  NULL: none. */
static inline struct said *bench_hear(struct bench_link *l, uint8_t type)
{
	struct said **at = &l->said, *m;

	while (*at != NULL && (*at)->type != type) {
		at = &(*at)->next;
	}
	m = *at;
	if (m != NULL) {
		*at = m->next;
	}
	return m;
}

static inline struct slice said_payload(const struct said *m)
{
	assert(m != NULL);
	return slice(m->p, m->n);
}

static inline void bench_hello(struct bench_link *l, char machine)
{
	struct hello h = {.version_min = 1, .version_max = 1,
			  .software = SLICE_LIT("bench 1")};
	struct buf out;

	h.machine[0] = (uint8_t)machine;
	buf_init(&out, 4096);
	assert(hello_encode(&h, &out) == 0);
	bench_say(l, MSG_HELLO, buf_slice(&out));
	buf_fini(&out);
}

/* ---- what a device sends ---- */

struct bench_segment {
	struct sealer *sealer;
	enum lane lane;
	struct buf batches[32];
	size_t n;
};

static inline void bench_segment_new(struct bench *b, struct bench_segment *g,
				     const struct bench_link *l,
				     const struct seal_key *key,
				     enum lane lane, uint64_t number)
{
	struct sealer_params p;

	assert(l != NULL);
	p = (struct sealer_params){
		.lane = lane, .number = number, .device = l->peer.key_hash,
		.created_ms = 1, .window_log = 15, .level = 1,
		.head_every_s = 10, .recipients = key, .n_recipients = 1,
	};

	memset(g, 0, sizeof *g);
	g->lane = lane;
	assert(sealer_new(&g->sealer, b->fs.real, &p) == 0);
}

static inline void bench_segment_free(struct bench_segment *g)
{
	sealer_free(g->sealer);
	for (size_t i = 0; i < g->n; i++) {
		buf_fini(&g->batches[i]);
	}
}

/* Seals one record per 10 raw bytes of [start, end): "line at <start>". */
static inline void bench_seal(struct bench_segment *g, char stream,
			      uint64_t start, uint64_t end, uint32_t flags)
{
	struct body_section section;
	struct batch_head head = {.first_ms = 1, .last_ms = 2, .n_streams = 1};
	struct buf body;

	body_section_init(&section, 1 << 20);
	buf_init(&body, 1 << 20);
	body_section_reset(&section, start);
	for (uint64_t at = start; at < end;) {
		uint64_t stop = at - at % 10 + 10;
		char line[32];
		struct record r = {
			.start = at, .end = stop < end ? stop : end,
			.flags = flags, .observed_ns = 1000000,
			.header = {.time_ns = TIME_NONE},
		};

		r.stream.b[0] = (uint8_t)stream;
		snprintf(line, sizeof line, "line at %llu",
			 (unsigned long long)at);
		r.line = slice_str(line);
		assert(body_add(&section, &r, false) == 0);
		at = r.end;
	}
	head.streams[0].id.b[0] = (uint8_t)stream;
	head.streams[0].start = start;
	head.streams[0].end = end;
	head.streams[0].count = section.count;
	head.streams[0].h = 1000 + end;
	assert(body_section_write(&section, &body) == 0);
	assert(g->n < 32);
	buf_init(&g->batches[g->n], 1 << 20);
	assert(sealer_seal(g->sealer, &head, buf_slice(&body),
			   &g->batches[g->n]) == 0);
	g->n++;
	buf_fini(&body);
	body_section_fini(&section);
}

/* after -1 with the hash of the header, or any other pair. */
static inline void bench_announce(struct bench_link *l,
				  const struct bench_segment *g, int64_t after,
				  struct hash32 hash)
{
	struct segment_msg m = {.lane = g->lane, .after = after, .hash = hash,
				.header = sealer_header(g->sealer)};
	struct buf out;

	buf_init(&out, 8192);
	assert(segment_msg_encode(&m, &out) == 0);
	bench_say(l, MSG_SEGMENT, buf_slice(&out));
	buf_fini(&out);
}

static inline void bench_send_batch(struct bench_link *l,
				    const struct bench_segment *g, size_t i)
{
	uint8_t lane = (uint8_t)g->lane;
	struct buf out;

	buf_init(&out, LIMIT_FRAME);
	assert(buf_add_u8(&out, lane) == 0);
	assert(buf_add_slice(&out, buf_slice(&g->batches[i])) == 0);
	bench_say(l, MSG_SEALED, buf_slice(&out));
	buf_fini(&out);
}

#endif
