#include "tests/sim/judge.h"

#include "tests/sim/excuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/sim/check.h"

/* One record of a store, kept until it can be looked at in its stream's order. */
struct item {
	struct stream_id stream;
	uint64_t arrival, start, end;
	int64_t read_ns; /* on its machine's clock */
	size_t seq;
	uint32_t flags;
	size_t text, n; /* in the heap of texts */
};

struct court {
	struct rig *rig;
	const struct host *host;
	struct verdict *v; /* NULL: only to remember, as this: */
	uint8_t held;
	unsigned foreign; /* segments that nobody can open here */
	struct item *items;
	size_t n, room;
	struct buf texts;
};

static void on_record(void *arg, const struct seen_record *seen)
{
	struct court *c = arg;
	const struct record *r = seen->r;

	if (c->n == c->room) {
		c->room = c->room == 0 ? 512 : c->room * 2;
		c->items = realloc(c->items, c->room * sizeof *c->items);
		if (c->items == NULL) {
			abort();
		}
	}
	c->items[c->n] = (struct item){r->stream, seen->arrival, r->start,
				       r->end, r->observed_ns, c->n, r->flags,
				       c->texts.n, r->line.n};
	c->n++;
	if (buf_add_slice(&c->texts, r->line) != 0) {
		abort();
	}
	if (rig_verbose && c->v != NULL) {
		printf("%02x%02x %llu [%llu,%llu) flags %x: %.*s\n",
		       r->stream.b[0], r->stream.b[1],
		       (unsigned long long)seen->arrival,
		       (unsigned long long)r->start,
		       (unsigned long long)r->end, r->flags,
		       (int)(r->line.n < 130 ? r->line.n : 130),
		       r->line.p == NULL ? "" : r->line.p);
	}
}

static int by_stream(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = memcmp(&x->stream, &y->stream, sizeof x->stream);

	if (order != 0) {
		return order;
	}
	if (x->arrival != y->arrival) {
		return x->arrival < y->arrival ? -1 : 1;
	}
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* ---- which log a stream is ---- */

static struct known *known(struct rig *r, const struct stream_id *id)
{
	for (size_t i = 0; i < r->n_known; i++) {
		if (memcmp(&r->known[i].id, id, sizeof *id) == 0) {
			return &r->known[i];
		}
	}
	if (r->n_known == RIG_STREAMS) {
		fprintf(stderr, "simulation: too many streams\n");
		abort();
	}
	r->known[r->n_known] = (struct known){.id = *id, .contents = UINT64_MAX};
	return &r->known[r->n_known++];
}

/* Only the rest of one line is ever cut away. */
static bool may_be_cut(const struct content *c, const struct item *i)
{
	size_t n = (size_t)(i->end - i->start);

	return n > 0 && i->start > 0 && c->p[i->start - 1] != '\n' &&
	       memchr(c->p + i->start, '\n', n - 1) == NULL;
}

/* Two halves of lines that a machine put back has joined may read like a secret
 * ("password :26"): what stands around the mask is what was written. */
static bool is_masked(const char *line, size_t n, const char *text, size_t n_text)
{
	static const char mask[] = "*redacted-";
	const char *from = memmem(text, n_text, mask, sizeof mask - 1), *to;
	size_t before, after;

	if (from == NULL) {
		return false;
	}
	before = (size_t)(from - text);
	to = memchr(from + 1, '*', n_text - before - 1);
	if (to == NULL) {
		return false;
	}
	after = (size_t)(text + n_text - to) - 1;
	return before + after < n && memcmp(line, text, before) == 0 &&
	       memcmp(line + n - after, to + 1, after) == 0;
}

/* The record says what the content has at its place. */
static bool is_of(const struct content *c, const struct item *i,
		  const char *text)
{
	size_t n = (size_t)(i->end - i->start);

	if (i->end > c->n) {
		return false;
	}
	if ((i->flags & RECORD_SKIP) != 0) {
		return may_be_cut(c, i);
	}
	if ((i->flags & (RECORD_CUT | RECORD_NO_NEWLINE)) == 0) {
		if (n == 0 || c->p[i->end - 1] != '\n') {
			return false;
		}
		n--;
	}
	if ((i->flags & RECORD_REDACTED) != 0) {
		return is_masked(c->p + i->start, n, text, i->n);
	}
	return i->n <= n && (i->n == n || (i->flags & RECORD_CUT) != 0) &&
	       memcmp(c->p + i->start, text, i->n) == 0;
}

static uint64_t narrow(const struct truth *t, uint64_t contents,
		       const struct item *i, const char *text)
{
	uint64_t left = 0;

	for (size_t c = 0; c < t->n; c++) {
		if ((contents >> c & 1) != 0 &&
		    is_of(&t->contents[c], i, text)) {
			left |= UINT64_C(1) << c;
		}
	}
	return left;
}

/* ---- one stream ---- */

static bool is_about_lines(const struct item *i)
{
	return (i->flags & (RECORD_OPEN | RECORD_CLOSE | RECORD_ALERT |
			    RECORD_GAP_OPEN)) == 0;
}

static void wrong(struct court *c, const struct item *i, const char *what)
{
	if (c->v != NULL) {
		if (c->v->wrong++ == 0) {
			snprintf(c->v->what, sizeof c->v->what,
				 "%s: %02x%02x [%llu,%llu)", what,
				 i->stream.b[0], i->stream.b[1],
				 (unsigned long long)i->start,
				 (unsigned long long)i->end);
		}
	}
}

/* A fork's gap: what is before it is in another stream. */
static bool is_fork_gap(const struct court *c, const struct item *i)
{
	return (i->flags & RECORD_GAP) != 0 && i->n == 4 &&
	       memcmp(c->texts.p + i->text, "fork", 4) == 0;
}

static bool is_ambiguous(const struct known *k)
{
	return k->contents != UINT64_MAX && (k->contents & (k->contents - 1)) != 0;
}

static void keep_for_later(struct court *c, const struct item *i)
{
	struct rig *r = c->rig;

	if ((i->flags & RECORD_GAP) == 0 && r->n_late < RIG_STREAMS) {
		r->late[r->n_late++] =
			(struct late){i->stream, i->start, i->end, c->held};
	}
}

/* ---- which of several logs that begin alike ---- */

/* The log was there when the first bytes of the stream were read. */
static bool was_there(const struct rig *r, const struct known *k, int content)
{
	const struct content *c = &r->truth.contents[content];
	bool seen = false;

	for (int i = 0; i < RIG_DEVICES; i++) {
		seen |= r->devices[i].used &&
			node_clock_showed(r->devices[i].node, k->read_ns, c->born_ns,
					  k->end <= c->shared ? INT64_MAX
							      : c->destroyed_ns);
	}
	return seen;
}

enum { FITS_NOT, FITS_HELD, FITS_REPEATED, FITS_DEAD, FITS_MISSING };

/* Who else has its bytes: nobody, though somebody has to; nobody; a stream that says that
 * it may repeat others; another one. */
static int fits(struct rig *r, const struct known *k, int content)
{
	struct truth *t = &r->truth;
	int worst = FITS_MISSING;

	if ((k->contents >> content & 1) == 0 || !was_there(r, k, content)) {
		return FITS_NOT;
	}
	for (uint64_t at = k->start; at < k->end && at < t->contents[content].n; at++) {
		const struct mark *m = truth_mark(t, content, (size_t)at);
		int fit = m->data > 0	? FITS_HELD
			  : m->fork > 0 ? FITS_REPEATED
			  : m->dead	? FITS_DEAD
					: FITS_MISSING;

		worst = fit < worst ? fit : worst;
	}
	return worst;
}

/* Logs of one name begin alike, and of the stream there is no more than that: it is of one
 * that was there when it was read.  If there are several, their bytes are the same: it is
 * of one that no other stream holds, so that as many streams are wanted as there are
 * logs. */
static void settle(struct rig *r, struct known *k)
{
	int chosen = -1, best = FITS_NOT;

	for (int c = 0; c < (int)r->truth.n; c++) {
		int fit = fits(r, k, c);

		if (fit > best) {
			best = fit;
			chosen = c;
		}
	}
	if (chosen >= 0) {
		k->contents = UINT64_C(1) << chosen;
	}
}

/* What was kept, now that more of the stream is known. */
static void mark_late(struct court *c, const struct known *k)
{
	struct truth *t = &c->rig->truth;
	int content = 0;

	if (k->contents == 0 || k->contents == UINT64_MAX || is_ambiguous(k)) {
		return;
	}
	while ((k->contents >> content & 1) == 0) {
		content++;
	}
	for (size_t i = 0; i < c->rig->n_late; i++) {
		const struct late *l = &c->rig->late[i];

		for (uint64_t at = l->start;
		     memcmp(&l->id, &k->id, sizeof l->id) == 0 && at < l->end &&
		     at < t->contents[content].n;
		     at++) {
			truth_mark(t, content, (size_t)at)->held |= l->held;
		}
	}
}

static void mark(struct court *c, const struct known *k, const struct item *i,
		 uint64_t from)
{
	struct truth *t = &c->rig->truth;
	bool open = (i->flags & RECORD_GAP_OPEN) != 0;
	int content = 0;

	if (k->contents == 0 || k->contents == UINT64_MAX) {
		return; /* A gap of a log that nobody has ever seen. */
	}
	if (c->v == NULL && !open && is_ambiguous(k)) {
		keep_for_later(c, i);
		return;
	}
	while ((k->contents >> content & 1) == 0) {
		content++;
	}
	for (uint64_t at = from;
	     (open || at < i->end) && at < t->contents[content].n; at++) {
		struct mark *m = truth_mark(t, content, (size_t)at);

		if (open) {
			m->missed = 1;
		} else if (c->v == NULL) {
			m->held |= (i->flags & RECORD_GAP) == 0 ? c->held : 0;
			m->trimmed |= is_fork_gap(c, i);
		} else if (is_fork_gap(c, i)) {
			m->trimmed = 1;
		} else if ((i->flags & RECORD_GAP) != 0) {
			m->gap = (uint8_t)(m->gap + (m->gap < 100));
		} else if (k->fork) {
			m->fork = (uint8_t)(m->fork + (m->fork < 100));
		} else {
			m->data = (uint8_t)(m->data + (m->data < 100));
		}
	}
}

/* Which contents these records can be, and whether they may be a second copy. */
static void identify(struct court *c, struct known *k, const struct item *v,
		     size_t n)
{
	uint64_t named = UINT64_MAX;

	for (size_t i = 0; i < n; i++) {
		uint64_t left;

		k->fork = k->fork || (v[i].flags & RECORD_FORK) != 0;
		if ((v[i].flags & RECORD_OPEN) != 0) {
			named = truth_of_path(&c->rig->truth,
					      c->texts.p + v[i].text, v[i].n);
		}
		if (!is_about_lines(&v[i]) || (v[i].flags & RECORD_GAP) != 0 ||
		    v[i].start == v[i].end) {
			continue;
		}
		left = narrow(&c->rig->truth, k->contents, &v[i],
			      c->texts.p + v[i].text);
		if (left == 0) {
			wrong(c, &v[i], "a record is not what was written");
		} else {
			k->contents = left;
		}
		if (!k->read || v[i].start == 0) {
			k->read = true;
			k->read_ns = v[i].read_ns;
		}
		k->start = k->end == 0 || v[i].start < k->start ? v[i].start : k->start;
		k->end = v[i].end > k->end ? v[i].end : k->end;
	}
	if (k->contents != UINT64_MAX) {
		/* Logs may begin alike: of so few bytes only the name tells. */
		k->contents &= named;
		if (k->contents == 0) {
			wrong(c, &v[0], "no such log ever had this name");
		}
	}
}

/* What is missing there was in a segment that is damaged, or alerts in one that is
 * sealed for another store. */
static bool may_be_missing(const struct court *c, const struct known *k,
			   uint64_t from, uint64_t to)
{
	int content = 0;

	if (k->contents == 0 || k->contents == UINT64_MAX) {
		return c->foreign > 0 || c->rig->damaged;
	}
	while ((k->contents >> content & 1) == 0) {
		content++;
	}
	while (from < to && from < c->rig->truth.contents[content].n &&
	       (truth_mark(&c->rig->truth, content, (size_t)from)->held &
		HELD_ELSEWHERE) != 0) {
		from++;
	}
	return from >= to;
}

/* Returns W: where the stream ends. */
static uint64_t hear_stream(struct court *c, const struct item *v, size_t n)
{
	struct known *k = known(c->rig, &v->stream);
	uint64_t w = 0;

	mark_late(c, k);
	for (size_t i = 0; i < n; i++) {
		const struct item *r = &v[i];
		uint64_t from = r->start > w ? r->start : w;
		bool is_gap = (r->flags & RECORD_GAP) != 0;

		if (c->v != NULL && (r->flags & RECORD_ALERT) != 0) {
			c->v->alerts++;
		}
		if ((r->flags & RECORD_GAP_OPEN) != 0) {
			mark(c, k, r, from);
		}
		if ((r->flags & RECORD_ALERT) == 0 && !is_about_lines(r)) {
			continue;
		}
		if (r->start > w && !may_be_missing(c, k, w, r->start)) {
			wrong(c, r, "lines are left out before");
		} else if (r->start < w && !is_gap &&
			   ((r->flags & RECORD_EXTENDS) == 0 || r->end <= w)) {
			wrong(c, r, "out of order, or twice in its stream");
		}
		if ((r->flags & RECORD_ALERT) == 0) {
			mark(c, k, r, from);
		}
		w = r->end > w ? r->end : w;
	}
	return w;
}

/* What the host had told to be durable is there. */
static void keeps_word(struct court *c, const struct item *of, uint64_t w)
{
	for (size_t i = 0; c->v != NULL && i < c->host->n_promises; i++) {
		const struct promise *p = &c->host->promises[i];

		if (memcmp(&p->id, &of->stream, sizeof p->id) == 0 &&
		    w < p->durable &&
		    !may_be_missing(c, known(c->rig, &p->id), w, p->durable)) {
			wrong(c, of, "an acknowledged line is gone");
		}
	}
}

static size_t end_of_stream(const struct court *c, size_t i)
{
	size_t n = 1;

	while (i + n < c->n && memcmp(&c->items[i].stream, &c->items[i + n].stream,
				      sizeof c->items[i].stream) == 0) {
		n++;
	}
	return n;
}

/* First those that can be of one log only; what they leave is for the others. */
static void hear_some(struct court *c, bool ambiguous)
{
	size_t n;

	for (size_t i = 0; i < c->n; i += n) {
		struct known *k = known(c->rig, &c->items[i].stream);

		n = end_of_stream(c, i);
		if (k->ambiguous != ambiguous) {
			continue;
		}
		if (ambiguous && c->v != NULL) {
			settle(c->rig, k);
		}
		keeps_word(c, &c->items[i], hear_stream(c, &c->items[i], n));
	}
}

/* What another store has had, and this one has nothing of. */
static void settle_others(struct court *c)
{
	for (size_t i = 0; i < c->rig->n_known; i++) {
		struct known *k = &c->rig->known[i];

		if (is_ambiguous(k)) {
			settle(c->rig, k);
			mark_late(c, k);
		}
	}
}

static void hear(struct court *c)
{
	size_t n;

	if (c->n > 1) {
		qsort(c->items, c->n, sizeof *c->items, by_stream);
	}
	for (size_t i = 0; i < c->n; i += n) {
		struct known *k = known(c->rig, &c->items[i].stream);

		n = end_of_stream(c, i);
		identify(c, k, &c->items[i], n);
		k->ambiguous = is_ambiguous(k);
	}
	hear_some(c, false);
	hear_some(c, true);
	if (c->v != NULL) {
		settle_others(c);
	}
}

static int walk(struct court *c, struct host *h, bool lenient)
{
	int rc;

	buf_init(&c->texts, 64 * 1024 * 1024);
	rc = check_store(node_sys(h->node), "/store", lenient, on_record, c,
			 &c->foreign);
	hear(c);
	buf_fini(&c->texts);
	free(c->items);
	return rc;
}

/* ---- the sentence ---- */

/* line: the length of the log's first line.  shared_line: likewise, where all logs
 * begin with the same one; else 0. */
static void weigh(struct verdict *v, const struct mark *m, int content,
		  size_t at, size_t line, size_t shared_line)
{
	unsigned copies = m->data + m->fork;
	bool shared = m->trimmed && at < shared_line;
	bool excused = m->held || m->dead || shared;
	bool bad = false;

	if (m->data > 1) {
		v->doubled++;
		bad = true;
	} else if (copies == 0 && m->gap == 0) {
		bool told = m->missed && m->held != 0;

		bad = !m->dead && (m->held & HELD_ELSEWHERE) == 0 && !shared &&
		      !told;
		v->lost += bad;
		v->told += told;
		v->trimmed += shared;
		v->elsewhere += (m->held & HELD_ELSEWHERE) != 0;
	} else if ((m->gap > 0 && (m->data > 0 || !excused)) || m->gap > 1) {
		v->gaps++;
		bad = true;
	} else {
		v->told += m->gap;
		v->repeated += copies + m->gap > 1;
		v->repeated_later += copies + m->gap > 1 && at >= line;
	}
	if (bad && v->content < 0) {
		v->content = content;
		v->first = at;
	}
}

static size_t first_line(const struct content *x)
{
	const char *newline = x->n == 0 ? NULL : memchr(x->p, '\n', x->n);

	return newline == NULL ? x->n : (size_t)(newline - x->p) + 1;
}

void judge(struct rig *r, struct host *h, struct verdict *out)
{
	struct court c = {.rig = r, .host = h, .v = out};
	struct truth *t = &r->truth;
	size_t shared = r->devices[0].writer.same_first_line ? TRUTH_FIRST : 0;

	*out = (struct verdict){.content = -1};
	/* Where a bit has turned a segment may be damaged, if there was no room to set
	 * that aside: what it held is what may be missing, and nothing else. */
	out->rc = walk(&c, h, r->damaged);
	for (size_t i = 0; i < t->n; i++) {
		const struct content *x = &t->contents[i];
		size_t line = first_line(x);
		unsigned lost = out->lost;
		size_t first = out->first;
		int content = out->content;
		bool any = false;

		for (size_t at = x->shared; at < x->n; at++) {
			weigh(out, &x->marks[at], (int)i, at, line, shared);
			any |= x->marks[at].data > 0 || x->marks[at].fork > 0;
		}
		if (!any && out->lost > lost && excuse_unseen(x)) {
			out->unseen += out->lost - lost;
			out->lost = lost;
			out->first = first;
			out->content = content;
		}
	}
}

void judge_remember(struct rig *r, struct host *h, uint8_t held)
{
	struct court c = {.rig = r, .host = h, .held = held};

	node_freeze(h->node, true);
	walk(&c, h, true);
	node_freeze(h->node, false);
}

bool verdict_is_good(const struct verdict *v, bool cloned)
{
	return v->rc == 0 && v->lost == 0 && (v->doubled == 0 || cloned) &&
	       v->gaps == 0 && v->wrong == 0;
}

bool verdict_is_mixed(const struct verdict *v)
{
	return v->rc == 0 && (v->lost > 0 || v->wrong > 0);
}
