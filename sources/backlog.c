#include "sources/backlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/err.h"
#include "sources/kept.h"

enum { BLOCK_MIN = 4 * 1024, BLOCK_MAX = 64 * 1024, ESCAPE = 4, REASON_TEXT = 96 };

/* In front of each text. */
struct item {
	uint64_t lost;   /* 0: a message */
	uint32_t n;      /* bytes of text; a loss has none */
	uint32_t before; /* bytes of the item before it in the block; 0: it is the first */
	uint16_t flags;  /* enum record_flag */
	uint16_t reason; /* of a loss */
	uint32_t unused;
};

/* Whole items, one behind the other. */
struct block {
	struct block *prev, *next;
	size_t at, n, room; /* they stand in [at, n) */
	size_t last;        /* where the last one begins, when at < n */
	char p[];
};

static const char *const reasons[LOST_REASONS] = {
	[LOST_FULL] = "buffer-full",
	[LOST_RATE] = "rate-limit",
	[LOST_KERNEL] = "receive-buffer-full",
};

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
	rc = kept_stream(&b->stream, sys, b->secret, about, name, line_max);
	if (rc != 0) {
		return rc;
	}
	b->next = share->first;
	if (b->next != NULL) {
		b->next->prev = b;
	}
	share->first = b;
	cb->opened(arg, &b->stream);
	return 0;
}

void backlog_fini(struct backlog *b)
{
	struct backlog_share *s = b->share;

	s->used -= b->waiting;
	s->holders -= b->waiting > 0;
	*(b->prev == NULL ? &s->first : &b->prev->next) = b->next;
	if (b->next != NULL) {
		b->next->prev = b->prev;
	}
	while (b->head != NULL) {
		struct block *k = b->head;

		b->head = k->next;
		explicit_bzero(k->p, k->n);
		free(k);
	}
	stream_fini(&b->stream);
	explicit_bzero(b->secret, sizeof b->secret);
}

/* ---- items ---- */

static struct item item_at(const struct block *k, size_t at)
{
	struct item i;

	memcpy(&i, k->p + at, sizeof i);
	return i;
}

static bool is_empty(const struct backlog *b)
{
	return b->waiting == 0;
}

static void count(struct backlog *b, size_t before)
{
	b->share->used += b->waiting - before;
	b->share->holders += (size_t)(b->waiting > 0) - (size_t)(before > 0);
}

static void drop_block(struct backlog *b, struct block *k)
{
	*(k->prev == NULL ? &b->head : &k->prev->next) = k->next;
	*(k->next == NULL ? &b->tail : &k->next->prev) = k->prev;
	free(k);
}

/* A block that became empty: a small one is kept for the next message. */
static void settle_block(struct backlog *b, struct block *k)
{
	if (k->at < k->n) {
		return;
	}
	k->at = k->n = 0;
	if (k->prev != NULL || k->next != NULL || k->room > BLOCK_MIN) {
		drop_block(b, k);
	}
}

/* With room for n more bytes; NULL: no memory.  The more waits, the larger the next
 * one. */
static struct block *block_for(struct backlog *b, size_t n)
{
	struct block *k = b->tail;
	size_t room = b->waiting < BLOCK_MIN   ? BLOCK_MIN
		      : b->waiting > BLOCK_MAX ? BLOCK_MAX
					       : b->waiting;

	if (k != NULL && k->room - k->n >= n) {
		return k;
	}
	room = room < n ? n : room;
	k = malloc(sizeof *k + room);
	if (k == NULL) {
		return NULL;
	}
	if (is_empty(b) && b->tail != NULL) {
		drop_block(b, b->tail); /* That which was kept. */
	}
	*k = (struct block){.prev = b->tail, .room = room};
	*(k->prev == NULL ? &b->head : &k->prev->next) = k;
	b->tail = k;
	return k;
}

/* Its text is to be written to what is returned; NULL: no memory. */
static char *push(struct backlog *b, struct item *i)
{
	size_t n = sizeof *i + i->n, before = b->waiting;
	struct block *k = block_for(b, n);
	char *p;

	if (k == NULL) {
		return NULL;
	}
	i->before = k->at < k->n ? (uint32_t)(k->n - k->last) : 0;
	p = k->p + k->n;
	memcpy(p, i, sizeof *i);
	k->last = k->n;
	k->n += n;
	b->waiting += n;
	count(b, before);
	return p + sizeof *i;
}

/* The first item has gone on; secrets may be in it. */
static void take_first(struct backlog *b, const struct item *i)
{
	struct block *k = b->head;
	size_t n = sizeof *i + i->n, before = b->waiting;

	explicit_bzero(k->p + k->at, n);
	k->at += n;
	b->waiting -= n;
	count(b, before);
	settle_block(b, k);
}

static struct item last_item(const struct backlog *b)
{
	return item_at(b->tail, b->tail->last);
}

static struct item take_last(struct backlog *b)
{
	struct block *k = b->tail;
	struct item i = last_item(b);
	size_t n = sizeof i + i.n, before = b->waiting;

	explicit_bzero(k->p + k->last, n);
	k->n = k->last;
	k->last -= k->at < k->n ? i.before : 0;
	b->waiting -= n;
	count(b, before);
	settle_block(b, k);
	return i;
}

/* ---- in ---- */

/* How long it is with its escapes; what is beyond max is cut off s. */
static size_t escaped(struct slice *s, size_t max, bool *cut)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		size_t more = s->p[i] == '\n' || s->p[i] == '\0' ? ESCAPE : 1;

		if (n + more > max) {
			s->n = i;
			*cut = true;
			break;
		}
		n += more;
	}
	return n;
}

static void escape(char *out, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' || s.p[i] == '\0') {
			memcpy(out, s.p[i] == '\n' ? "#012" : "#000", ESCAPE);
			out += ESCAPE;
		} else {
			*out++ = s.p[i];
		}
	}
}

static void add_loss(struct backlog *b, uint64_t n, enum backlog_reason reason)
{
	struct backlog_share *s = b->share;
	struct item i = {.lost = n, .reason = (uint16_t)reason};
	struct item last = is_empty(b) ? (struct item){0} : last_item(b);

	/* A loss may pass the limit, by the few bytes that it takes; two of them
	 * one behind the other don't. */
	if (last.lost > 0 &&
	    (last.reason == reason || s->used + sizeof i > s->max)) {
		last.lost += n;
		memcpy(b->tail->p + b->tail->last, &last, sizeof last);
	} else if (push(b, &i) == NULL) {
		b->lost_first += n;
	}
}

void backlog_lose(struct backlog *b, uint64_t n, enum backlog_reason reason)
{
	if (n > 0) {
		b->share->lost[reason] += n;
		add_loss(b, n, reason);
	}
}

static void drop_oldest(struct backlog *b)
{
	struct item i = item_at(b->head, b->head->at);

	b->share->lost[LOST_FULL] += i.lost == 0;
	b->lost_first += i.lost > 0 ? i.lost : 1;
	take_first(b, &i);
}

static void drop_newest(struct backlog *b)
{
	uint64_t n = 0;
	bool message = false;

	while (!message && !is_empty(b)) {
		struct item i = take_last(b);

		message = i.lost == 0;
		b->share->lost[LOST_FULL] += message;
		n += message ? 1 : i.lost;
	}
	if (is_empty(b)) {
		b->lost_first += n;
	} else {
		add_loss(b, n, LOST_FULL);
	}
}

static struct backlog *largest(struct backlog *own)
{
	struct backlog *most = own;

	for (struct backlog *b = own->share->first; b != NULL; b = b->next) {
		most = b->waiting > most->waiting ? b : most;
	}
	return most;
}

/* Room for n bytes, which others give when they hold more than their share.  False:
 * there is none. */
static bool make_room(struct backlog *b, size_t n, enum sources_overflow policy)
{
	struct backlog_share *s = b->share;

	if (n > s->max) {
		return false;
	}
	while (s->used + n > s->max) {
		size_t holders = s->holders + (b->waiting == 0);
		bool modest = b->waiting == 0 || b->waiting + n <= s->max / holders;
		/* If that is so, the largest is another one. */
		struct backlog *from = modest ? largest(b) : b;

		if (policy == SOURCES_DROP_OLDEST) {
			drop_oldest(from);
		} else if (from != b) {
			drop_newest(from);
		} else {
			return false;
		}
	}
	return true;
}

void backlog_add(struct backlog *b, struct slice message, bool cut,
		 enum sources_overflow policy)
{
	struct item i = {0};
	char *p = NULL;

	i.n = (uint32_t)escaped(&message, b->stream.lines.line_max, &cut);
	i.flags = cut ? RECORD_CUT : 0;
	if (make_room(b, sizeof i + i.n, policy)) {
		p = push(b, &i);
	}
	if (p == NULL) {
		backlog_lose(b, 1, LOST_FULL);
		return;
	}
	escape(p, message);
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
		.text = slice(b->head->p + b->head->at + sizeof *i, i->n),
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
	while (!is_empty(b)) {
		struct item i = item_at(b->head, b->head->at);

		if (i.lost > 0 && !all && b->head == b->tail &&
		    b->head->at == b->head->last) {
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
	enum tail_close why = TAIL_ROTATED;
	uint64_t messages = 0;

	if (!backlog_offer(b, true)) {
		while (!is_empty(b)) {
			struct item i = item_at(b->head, b->head->at);

			messages += i.lost == 0;
			b->lost_first += i.lost > 0 ? i.lost : 1;
			take_first(b, &i);
		}
		b->share->lost[LOST_FULL] += messages;
		why = backlog_offer(b, true) ? TAIL_ROTATED : TAIL_CUT_OFF;
	}
	b->cb->closed(b->arg, &b->stream, why);
	return messages;
}
