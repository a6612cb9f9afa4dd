#include "sources/kmsg.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/err.h"
#include "common/log.h"
#include "common/limits.h"
#include "sources/kmsg_record.h"

enum {
	STEPS = 256,      /* records in a loop turn */
	POLL_MS = 250,    /* without notification */
	RETRY_MS = 5000,  /* after an error */
	PATH_BYTES = 48,
	HOST_BYTES = 256,
};

struct kmsg {
	struct source source; /* first */
	struct sys *sys;
	int fd;
	int (*rewind)(void *arg, int fd);
	uint8_t boot[16];
	char path[PATH_BYTES]; /* "kmsg:" and the boot */
	char host[HOST_BYTES];
	unsigned char secret[STREAM_SECRET];
	const struct tail_callbacks *cb;
	void *arg;
	struct sys_timer *timer;
	uv_poll_t poll;
	bool has_poll, polling;

	struct stream stream;
	bool opened;        /* opened() was called */
	bool started, paused, stopped, failing;
	bool judged;        /* whether the ring continues the stream: yes */
	bool end_seen;      /* the ring was read to its end once */
	uint64_t seen;      /* behind the last record that was read since rewinding */

	char bytes[KMSG_RECORD_MAX];
	bool waiting;       /* bytes hold a record that is not dealt with */
	struct kmsg_record record; /* of bytes */
	struct buf text;
	uint64_t records, gaps, lost, malformed;
};

static void step(struct kmsg *k);
static void watch(struct kmsg *k, bool on);

/* ---- identity ---- */

static void stream_id_of(const struct kmsg *k, struct stream_id *id)
{
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits_withSecret(k->path, strlen(k->path),
							     k->secret, STREAM_SECRET));
	memcpy(id->b, c.digest, sizeof id->b);
}

/* H behind the record. */
static uint64_t hash_behind(const struct kmsg *k, const struct kmsg_record *r)
{
	struct {
		uint8_t boot[16];
		uint64_t sequence, time_us, message;
	} known = {.sequence = r->sequence, .time_us = r->time_us};

	memcpy(known.boot, k->boot, sizeof known.boot);
	known.message = XXH3_64bits_withSecret(r->message.p, r->message.n, k->secret,
					       STREAM_SECRET);
	return XXH3_64bits_withSecret(&known, sizeof known, k->secret, STREAM_SECRET);
}

/* The stream is not open. */
static void find_start(struct kmsg *k)
{
	const struct stream_state *st = &k->stream.st;

	k->stream.position = st->acked < st->detect ? st->acked : st->detect;
}

/* ---- reading ---- */

static void look_later(struct kmsg *k, uint64_t ms)
{
	sys_timer_set(k->sys, k->timer, ms);
}

static void go_back(struct kmsg *k)
{
	int rc = k->rewind != NULL ? k->rewind(k->arg, k->fd)
		 : lseek(k->fd, 0, SEEK_SET) == 0 ? 0
						  : UV_EIO;

	if (rc != 0) {
		log_error("cannot read the kernel's log again from its start",
			  "error=\"%s\"", err_str(rc));
	}
	k->waiting = k->paused = k->judged = k->end_seen = false;
	k->seen = 0;
	find_start(k);
	look_later(k, 0);
}

static void close_stream(struct kmsg *k, enum tail_close why)
{
	if (k->opened) {
		k->opened = false;
		k->cb->closed(k->arg, &k->stream, why);
	}
}

static void start_state(struct kmsg *k)
{
	struct stream_state *st = &k->stream.st;

	st->born_ns = st->seen_ns = sys_wall_ns(k->sys);
	st->acked = st->detect = st->position = 0;
	st->h = 0;
	st->n_rungs = 0;
	st->top = (struct stream_rung){0, 0};
	k->stream.position = 0;
}

/* What is in the ring is not what the stream was made of. */
static void fork_off(struct kmsg *k)
{
	struct stream_id id;

	log_warn("the kernel's log is not the one that was known of this boot; it is read "
		 "again as a stream of its own", "position=%llu",
		 (unsigned long long)k->stream.st.acked);
	close_stream(k, TAIL_FORKED);
	if (sys_random(k->sys, &id, sizeof id) == 0) {
		k->stream.st.id = id;
	} else {
		k->stream.st.id.b[0] ^= 1; /* As good as a name can be then. */
	}
	start_state(k);
	k->stream.st.fork = true;
	go_back(k);
}

/* 0: there is one in k->record.  UV_EAGAIN: not now. */
static int read_record(struct kmsg *k)
{
	int64_t n = sys_pread(k->sys, k->fd, k->bytes, sizeof k->bytes, 0);

	if (n == UV_EPIPE) {
		return 1; /* Overwritten behind our back; the next number tells how much. */
	}
	if (n == 0) {
		return UV_EAGAIN; /* A file in its place. */
	}
	if (n < 0) {
		return (int)n;
	}
	if (kmsg_decode(&k->record, slice(k->bytes, (size_t)n)) != 0) {
		k->malformed++; /* Its number is missing, and so it will be a gap. */
		return 1;
	}
	k->waiting = true;
	k->seen = k->record.sequence + 1;
	return 0;
}

static int64_t time_of(struct kmsg *k)
{
	int64_t now = sys_wall_ns(k->sys);
	int64_t ns = now - sys_mono_ns(k->sys) + (int64_t)k->record.time_us * 1000;

	return ns < now ? ns : now;
}

static void open_stream(struct kmsg *k)
{
	struct stream *s = &k->stream;

	if (!k->opened) {
		s->st.position = s->position;
		k->cb->opened(k->arg, s);
		k->opened = true;
	}
}

static int hand_over_gap(struct kmsg *k, uint64_t to)
{
	struct stream *s = &k->stream;
	int rc = k->cb->lost(k->arg, s, s->position, to,
			     SLICE_LIT("overwritten in the kernel before it was read"));

	if (rc == 0) {
		k->gaps++;
		k->lost += to - s->position;
		s->position = s->st.position = to;
	}
	return rc;
}

static int hand_over(struct kmsg *k)
{
	const struct kmsg_record *r = &k->record;
	struct line line = {.start = r->sequence, .end = r->sequence + 1};
	struct stream *s = &k->stream;
	int rc = 0;

	open_stream(k);
	if (r->sequence > s->position) {
		rc = hand_over_gap(k, r->sequence);
	}
	rc = rc != 0 ? rc : kmsg_text(r, time_of(k), slice_str(k->host), &k->text);
	if (rc != 0) {
		return rc;
	}
	line.text = buf_slice(&k->text);
	line.flags = r->part ? RECORD_CONTINUATION : 0;
	rc = k->cb->entry(k->arg, s, &line, hash_behind(k, r));
	if (rc == 0) {
		s->position = s->st.position = line.end;
		k->records++;
	}
	return rc;
}

/* The record before the watermark, when it is still there, proves the stream. */
static bool disproved(const struct kmsg *k)
{
	const struct stream_state *st = &k->stream.st;

	return st->acked > 0 && st->h != 0 && k->record.sequence == st->acked - 1 &&
	       hash_behind(k, &k->record) != st->h;
}

/* false: no more for now. */
static bool next_record(struct kmsg *k)
{
	int rc = k->waiting ? 0 : read_record(k);

	if (rc > 0) {
		return true;
	}
	if (rc == UV_EAGAIN && !k->end_seen) {
		k->end_seen = true;
		if (k->seen < k->stream.st.acked) {
			fork_off(k); /* Shorter than what is acknowledged. */
			return false;
		}
	}
	if (rc != 0) {
		if (rc != UV_EAGAIN && !k->failing) {
			log_error("cannot read the kernel's log; trying again",
				  "error=\"%s\"", err_str(rc));
		}
		k->failing = rc != UV_EAGAIN;
		return false;
	}
	k->failing = false;
	if (!k->judged && disproved(k)) {
		fork_off(k);
		return false;
	}
	k->judged = k->judged || k->record.sequence >= k->stream.st.acked;
	if (k->record.sequence >= k->stream.position) {
		rc = hand_over(k);
	}
	k->paused = rc != 0;
	k->waiting = rc != 0;
	return rc == 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct kmsg *k = poll->data;

	(void)events;
	if (status != 0) {
		watch(k, false); /* libuv has stopped it. */
	}
	step(k);
}

static void watch(struct kmsg *k, bool on)
{
	if (k->has_poll && on != k->polling) {
		k->polling = on && uv_poll_start(&k->poll, UV_READABLE, on_poll) == 0;
		if (!on) {
			uv_poll_stop(&k->poll);
		}
	}
}

static void step(struct kmsg *k)
{
	unsigned n = 0;

	if (!k->started || k->stopped) {
		return;
	}
	while (n < STEPS && next_record(k)) {
		n++;
	}
	/* A record that waits would be announced again and again. */
	watch(k, !k->paused && !k->failing);
	if (n == STEPS) {
		/* Not 0: libuv runs such a timer in the same turn. */
		look_later(k, 1);
	} else if (k->failing || k->paused) {
		look_later(k, RETRY_MS);
	} else if (!k->polling) {
		look_later(k, POLL_MS);
	}
}

static void on_timer(void *arg)
{
	step(arg);
}

/* ---- as a source ---- */

static struct kmsg *of(struct source *s)
{
	return (struct kmsg *)s;
}

static int op_start(struct source *s)
{
	struct kmsg *k = of(s);

	k->started = true;
	find_start(k);
	look_later(k, 0);
	return 0;
}

static void op_resume(struct source *s)
{
	struct kmsg *k = of(s);

	if (k->paused) {
		k->paused = false;
		look_later(k, 0);
	}
}

static void op_stop(struct source *s)
{
	struct kmsg *k = of(s);

	k->stopped = true;
	sys_timer_stop(k->sys, k->timer);
	watch(k, false);
	/* Not its end: the next process goes on, or tells that it can't. */
	close_stream(k, TAIL_EVICTED);
}

static void release(struct kmsg *k)
{
	stream_fini(&k->stream);
	buf_wipe(&k->text);
	sys_close(k->sys, k->fd);
	explicit_bzero(k->secret, sizeof k->secret);
	explicit_bzero(k->bytes, sizeof k->bytes);
	free(k);
}

static void on_closed(uv_handle_t *h)
{
	release(h->data);
}

static void op_free(struct source *s)
{
	struct kmsg *k = of(s);

	k->stopped = true;
	sys_timer_free(k->sys, k->timer);
	if (k->has_poll) {
		uv_close((uv_handle_t *)&k->poll, on_closed);
	} else {
		release(k);
	}
}

static void op_status(const struct source *s, struct json *j)
{
	const struct kmsg *k = (const struct kmsg *)s;

	json_u64(j, "position", k->stream.position);
	json_u64(j, "records", k->records);
	json_u64(j, "gaps", k->gaps);
	json_u64(j, "lost", k->lost);
	json_u64(j, "malformed", k->malformed);
}

/* Another boot's log is gone with it. */
static void end_of_another(struct kmsg *k, const struct stream_state *st)
{
	if (st->position > st->acked && !st->gap_told) {
		k->cb->gap(k->arg, st, st->acked,
			   "the machine was restarted before it was delivered");
	}
}

static int restore_one(struct kmsg *k, const struct stream_state *known)
{
	struct stream_state *st = &k->stream.st;
	bool same = stream_id_eq(&known->id, &st->id);
	bool here = known->path != NULL && strcmp(known->path, k->path) == 0;

	if (!same && !here) {
		if (known->path != NULL && strncmp(known->path, "kmsg:", 5) == 0) {
			end_of_another(k, known);
		}
		return 0;
	}
	/* Of two with a place the fork is the later one. */
	if (!same && st->acked > 0 && !known->fork) {
		return 0;
	}
	if (same && known->acked < st->acked) {
		return 0;
	}
	st->id = known->id;
	st->acked = known->acked;
	st->h = known->h;
	st->detect = known->detect;
	st->position = known->position;
	st->fork = known->fork || (same && st->fork);
	st->n_rungs = known->n_rungs;
	memcpy(st->rungs, known->rungs, sizeof st->rungs);
	return 0;
}

static int op_restore(struct source *s, const struct stream_state *states, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = restore_one(of(s), &states[i]);
	}
	return rc;
}

static bool mine(const struct kmsg *k, const struct stream_id *id)
{
	return stream_id_eq(id, &k->stream.st.id);
}

static int op_watermark(struct source *s, const struct stream_id *id, uint64_t position,
			uint64_t h)
{
	struct kmsg *k = of(s);

	if (!mine(k, id)) {
		return UV_ENOENT;
	}
	if (position > k->stream.position) {
		return ERR_ABOVE;
	}
	stream_state_acked(&k->stream.st, position, h);
	return 0;
}

static int op_detected(struct source *s, const struct stream_id *id, uint64_t position)
{
	struct kmsg *k = of(s);

	if (!mine(k, id)) {
		return UV_ENOENT;
	}
	if (position > k->stream.st.detect) {
		k->stream.st.detect = position;
	}
	return 0;
}

static int op_rollback(struct source *s, const struct stream_id *id, uint64_t position,
		       const uint64_t *h)
{
	struct kmsg *k = of(s);

	if (!mine(k, id)) {
		return UV_ENOENT;
	}
	if (stream_state_lower(&k->stream.st, position, h) != 0) {
		/* Nothing below is known: from the start, of which all is. */
		k->stream.st.acked = 0;
		k->stream.st.h = 0;
		k->stream.st.n_rungs = 0;
	}
	close_stream(k, TAIL_EVICTED);
	go_back(k);
	return 0;
}

static int op_fork(struct source *s, const struct stream_id *id)
{
	struct kmsg *k = of(s);

	if (!mine(k, id)) {
		return UV_ENOENT;
	}
	fork_off(k);
	return 0;
}

static int op_states(struct source *s,
		     int (*add)(void *arg, const struct stream_state *st), void *arg)
{
	struct kmsg *k = of(s);
	struct stream_state *st = &k->stream.st;

	/* Before its first record there is nothing to remember. */
	st->seen_ns = sys_wall_ns(k->sys);
	return st->position == 0 && st->acked == 0 ? 0 : add(arg, st);
}

static const struct source_ops kmsg_ops = {
	.name = "kernel",
	.start = op_start,
	.resume = op_resume,
	.stop = op_stop,
	.free = op_free,
	.status = op_status,
	.restore = op_restore,
	.watermark = op_watermark,
	.detected = op_detected,
	.rollback = op_rollback,
	.fork = op_fork,
	.states = op_states,
};

static int init_stream(struct kmsg *k)
{
	static char label[] = "kernel log", program[] = "kernel", zone[] = "UTC";
	static const struct sources_about about = {.label = label, .program = program,
						   .zone = zone};
	struct stream *s = &k->stream;
	int n = snprintf(k->path, sizeof k->path, "kmsg:");

	for (size_t i = 0; i < sizeof k->boot; i++) {
		n += snprintf(k->path + n, sizeof k->path - (size_t)n, "%02x",
			      k->boot[i]);
	}
	s->st.path = strdup(k->path);
	if (s->st.path == NULL) {
		return UV_ENOMEM;
	}
	s->has_id = true;
	s->about = &about;
	stream_id_of(k, &s->st.id);
	start_state(k);
	return 0;
}

int kmsg_new(struct source **out, const struct kmsg_params *params)
{
	struct kmsg *k = calloc(1, sizeof *k);
	int rc;

	*out = NULL;
	if (k == NULL) {
		sys_close(params->sys, params->fd);
		return UV_ENOMEM;
	}
	k->source.ops = &kmsg_ops;
	k->sys = params->sys;
	k->fd = params->fd;
	k->rewind = params->rewind;
	k->cb = params->cb;
	k->arg = params->arg;
	memcpy(k->boot, params->boot, sizeof k->boot);
	memcpy(k->secret, params->secret, sizeof k->secret);
	snprintf(k->host, sizeof k->host, "%s", params->host);
	buf_init(&k->text, LIMIT_LINE_MAX);
	rc = stream_init(&k->stream, k->secret, 1);
	rc = rc != 0 ? rc : init_stream(k);
	rc = rc != 0 ? rc : sys_timer_new(k->sys, &k->timer, on_timer, k);
	if (rc != 0) {
		release(k);
		return rc;
	}
	/* Not every kernel can wait for it; then it is looked at now and then. */
	if (params->loop != NULL &&
	    uv_poll_init(params->loop, &k->poll, k->fd) == 0) {
		k->poll.data = k;
		k->has_poll = true;
	}
	*out = &k->source;
	return 0;
}
