#include "sources/backlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/err.h"
#include "common/limits.h"

enum { KEEP_ROOM = 64 * 1024, REASON_TEXT = 96 };

/* In front of each text in the queue. */
struct item {
	uint32_t n;      /* bytes of text; a loss has none */
	uint16_t flags;  /* enum record_flag */
	uint16_t reason; /* of a loss */
	uint64_t lost;   /* 0: a message */
};

static const char *const reasons[LOST_REASONS] = {
	[LOST_FULL] = "buffer-full",
	[LOST_RATE] = "rate-limit",
	[LOST_KERNEL] = "receive-buffer-full",
};

static int make_stream(struct backlog *b, struct sys *sys,
		       const struct sources_about *about, const char *name,
		       uint32_t line_max)
{
	struct stream *s = &b->stream;
	int rc = stream_init(s, b->secret, line_max);

	if (rc != 0) {
		return rc;
	}
	rc = sys_random(sys, &s->st.id, sizeof s->st.id);
	s->st.path = strdup(name);
	s->st.born_ns = sys_wall_ns(sys);
	s->has_id = true;
	s->kept = true;
	s->about = about;
	if (rc == 0 && s->st.path == NULL) {
		rc = UV_ENOMEM;
	}
	if (rc != 0) {
		stream_fini(s);
	}
	return rc;
}

int backlog_open(struct backlog *b, struct sys *sys,
		 const unsigned char secret[static STREAM_SECRET],
		 const struct sources_about *about, const char *name,
		 uint32_t line_max, const struct tail_callbacks *cb, void *arg,
		 struct backlog_share *share)
{
	int rc;

	*b = (struct backlog){.cb = cb, .arg = arg, .share = share};
	memcpy(b->secret, secret, sizeof b->secret);
	memcpy(&b->h, secret, sizeof b->h);
	buf_init(&b->queue, share->max + sizeof(struct item) + LIMIT_LINE_MAX);
	rc = make_stream(b, sys, about, name, line_max);
	if (rc == 0) {
		cb->opened(arg, &b->stream);
	}
	return rc;
}

void backlog_fini(struct backlog *b)
{
	b->share->used -= b->queue.n - b->at;
	stream_fini(&b->stream);
	buf_wipe(&b->queue);
	explicit_bzero(b->secret, sizeof b->secret);
}

static struct item item_at(const struct backlog *b, size_t at)
{
	struct item i;

	memcpy(&i, b->queue.p + at, sizeof i);
	return i;
}

/* The first item has gone on; secrets may be in it. */
static void take_first(struct backlog *b, const struct item *i)
{
	size_t n = sizeof *i + i->n;
	bool last = b->last == b->at;

	explicit_bzero(b->queue.p + b->at, n);
	b->at += n;
	b->share->used -= n;
	if (last) {
		b->last = b->queue.n;
	}
	if (b->at == b->queue.n) {
		b->at = b->last = 0;
		buf_clear(&b->queue);
		if (b->queue.room > KEEP_ROOM) {
			buf_fini(&b->queue);
		}
	} else if (b->at > KEEP_ROOM && b->at > b->queue.n / 2) {
		buf_consume(&b->queue, b->at);
		b->last -= b->at;
		b->at = 0;
	}
}

/* ---- in ---- */

/* At most max bytes; *cut becomes true when that is not all of it. */
static int add_text(struct buf *out, struct slice s, size_t max, bool *cut)
{
	size_t end = out->n + max;
	int rc = 0;

	while (s.n > 0 && rc == 0) {
		size_t n = 0, most = end - out->n;

		if (most < 4) { /* What an escape takes. */
			*cut = true;
			break;
		}
		if (s.n > most) {
			*cut = true;
			s = slice_head(s, most);
		}

		while (n < s.n && s.p[n] != '\n' && s.p[n] != '\0') {
			n++;
		}
		rc = buf_add(out, s.p, n);
		if (rc == 0 && n < s.n) {
			rc = buf_add_slice(out, s.p[n] == '\n'
							? SLICE_LIT("#012")
							: SLICE_LIT("#000"));
			n++;
		}
		s = slice_skip(s, n);
	}
	return rc;
}

static int add_item(struct backlog *b, struct item *i, struct slice text)
{
	size_t before = b->queue.n;
	bool cut = false;
	int rc = buf_add(&b->queue, i, sizeof *i);

	if (rc == 0) {
		rc = add_text(&b->queue, text, b->stream.lines.line_max, &cut);
	}
	if (rc != 0) {
		b->queue.n = before;
		return rc;
	}
	i->n = (uint32_t)(b->queue.n - before - sizeof *i);
	i->flags = cut ? RECORD_CUT : i->flags;
	memcpy(b->queue.p + before, i, sizeof *i);
	b->last = before;
	b->share->used += b->queue.n - before;
	return 0;
}

void backlog_lose(struct backlog *b, uint64_t n, enum backlog_reason reason)
{
	struct item i = {.lost = n, .reason = (uint16_t)reason};

	if (n == 0) {
		return;
	}
	b->share->lost[reason] += n;
	if (b->last < b->queue.n) {
		struct item last = item_at(b, b->last);

		if (last.lost > 0 && last.reason == reason) {
			last.lost += n;
			memcpy(b->queue.p + b->last, &last, sizeof last);
			return;
		}
	}
	/* A loss may pass the limit, by the few bytes that it takes. */
	if (add_item(b, &i, SLICE_NONE) != 0) {
		b->lost_first += n;
	}
}

static bool has_room(const struct backlog *b, size_t n)
{
	return b->share->used + n <= b->share->max;
}

static void drop_oldest(struct backlog *b, size_t n)
{
	while (!has_room(b, n) && b->at < b->queue.n) {
		struct item i = item_at(b, b->at);

		if (i.lost == 0) {
			b->share->lost[LOST_FULL]++;
		}
		b->lost_first += i.lost > 0 ? i.lost : 1;
		take_first(b, &i);
	}
}

void backlog_add(struct backlog *b, struct slice message, bool cut,
		 enum sources_overflow policy)
{
	struct item i = {.flags = cut ? RECORD_CUT : 0};
	size_t n = sizeof i + message.n;

	if (policy == SOURCES_DROP_OLDEST) {
		drop_oldest(b, n);
	}
	if (!has_room(b, n) || add_item(b, &i, message) != 0) {
		backlog_lose(b, 1, LOST_FULL);
	}
}

/* ---- out ---- */

static bool hand_on_lost(struct backlog *b, uint64_t n, const char *reason)
{
	struct stream *s = &b->stream;
	char text[REASON_TEXT];
	int length = snprintf(text, sizeof text, "socket %s lines=%" PRIu64, reason, n);

	if (b->cb->lost(b->arg, s, s->position, s->position + n,
			slice(text, (size_t)length)) != 0) {
		return false;
	}
	s->position += n;
	return true;
}

static bool hand_on_message(struct backlog *b, const struct item *i)
{
	struct stream *s = &b->stream;
	struct line line = {
		.start = s->position,
		.end = s->position + 1,
		.flags = i->flags,
		.text = slice(b->queue.p + b->at + sizeof *i, i->n),
	};
	uint64_t h = XXH3_64bits_withSeed(line.text.p, line.text.n, b->h);

	if (b->cb->entry(b->arg, s, &line, h) != 0) {
		return false;
	}
	s->position++;
	b->h = h;
	return true;
}

bool backlog_offer(struct backlog *b, bool all)
{
	if (b->lost_first > 0) {
		if (!hand_on_lost(b, b->lost_first, reasons[LOST_FULL])) {
			return false;
		}
		b->lost_first = 0;
	}
	while (b->at < b->queue.n) {
		struct item i = item_at(b, b->at);

		if (i.lost > 0 && !all && b->at == b->last) {
			return true;
		}
		if (i.lost > 0 ? !hand_on_lost(b, i.lost, reasons[i.reason])
			       : !hand_on_message(b, &i)) {
			return false;
		}
		take_first(b, &i);
	}
	return true;
}

uint64_t backlog_close(struct backlog *b)
{
	uint64_t left = 0;

	if (!backlog_offer(b, true)) {
		left = b->lost_first;
		for (size_t at = b->at; at < b->queue.n;) {
			struct item i = item_at(b, at);

			left += i.lost > 0 ? i.lost : 1;
			at += sizeof i + i.n;
		}
	}
	b->cb->closed(b->arg, &b->stream, TAIL_ROTATED);
	return left;
}
