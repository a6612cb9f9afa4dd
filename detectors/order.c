#include "detectors/order.h"

#include <stdlib.h>
#include <string.h>

#include "detectors/engine.h"

void order_fini(struct order *o)
{
	for (uint32_t i = 0; i < o->n; i++) {
		free(o->v[i].texts);
	}
	free(o->v);
	*o = (struct order){.v = NULL};
}

/* By time; of one time, what others are made of goes first, and events of one group
 * stand together. */
static bool before(const struct waiting *a, const struct waiting *b)
{
	const struct rule *x = a->listener->rule, *y = b->listener->rule;

	if (a->t_ms != b->t_ms) {
		return a->t_ms < b->t_ms;
	}
	if (x->level != y->level) {
		return x->level < y->level;
	}
	if (x->index != y->index) {
		return x->index < y->index;
	}
	return a->hash != b->hash ? a->hash < b->hash : a->seq < b->seq;
}

static void sift_up(struct order *o, uint32_t i)
{
	while (i > 0 && before(&o->v[i], &o->v[(i - 1) / 2])) {
		struct waiting w = o->v[i];

		o->v[i] = o->v[(i - 1) / 2];
		o->v[(i - 1) / 2] = w;
		i = (i - 1) / 2;
	}
}

static struct waiting take_first(struct order *o)
{
	struct waiting first = o->v[0], w = o->v[--o->n];
	uint32_t i = 0, kid;

	for (; (kid = i * 2 + 1) < o->n; i = kid) {
		if (kid + 1 < o->n && before(&o->v[kid + 1], &o->v[kid])) {
			kid++;
		}
		if (!before(&o->v[kid], &w)) {
			break;
		}
		o->v[i] = o->v[kid];
	}
	o->v[i] = w;
	o->bytes -= first.texts_n;
	if (o->n == 0) {
		free(o->v);
		o->v = NULL;
		o->room = 0;
	}
	return first;
}

bool order_put(struct order *o, const struct waiting *w)
{
	if (o->n == o->room) {
		uint32_t room = o->room == 0 ? 64 : o->room * 2;
		struct waiting *v = realloc(o->v, room * sizeof *v);

		if (v == NULL) {
			return false;
		}
		o->v = v;
		o->room = room;
	}
	o->v[o->n] = *w;
	o->bytes += w->texts_n;
	sift_up(o, o->n++);
	return true;
}

static size_t unpack(const struct waiting *w, struct slice *out)
{
	const char *p = w->texts, *end = p + w->texts_n;
	size_t n = 0;

	while (p < end && n < RULE_GROUP_BY) {
		uint16_t len;

		memcpy(&len, p, sizeof len);
		out[n++] = slice(p + sizeof len, len);
		p += sizeof len + len;
	}
	return n;
}

bool order_texts(struct slice texts)
{
	size_t at = 0;

	while (at + sizeof(uint16_t) <= texts.n) {
		uint16_t len;

		memcpy(&len, texts.p + at, sizeof len);
		at += sizeof len + len;
	}
	return at == texts.n;
}

/* Of that time, what turned out to be no news goes. */
static void drop_fallen(struct detect *d, int64_t t_ms)
{
	struct order *o = &d->order;

	while (o->n > 0 && o->v[0].t_ms == t_ms && !fresh_stands(d, &o->v[0])) {
		free(take_first(o).texts);
	}
}

static void release_first(struct detect *d)
{
	struct order *o = &d->order;
	struct waiting w = take_first(o);
	const struct waiting *next;
	bool more;
	const struct record *record = d->record;
	int64_t t = d->t_ms, newest = d->newest_ms;
	uint64_t line_at = d->line_at, fresh_value = d->fresh_value;
	struct slice values[RULE_GROUP_BY] = {{NULL, 0}};
	struct ask a = {w.listener, w.hash, values};

	drop_fallen(d, w.t_ms);
	next = o->n == 0 ? NULL : &o->v[0];
	more = next != NULL && next->t_ms == w.t_ms && next->hash == w.hash &&
	       next->listener->rule == w.listener->rule;
	unpack(&w, values);
	d->record = NULL;
	d->t_ms = w.t_ms;
	d->line_at = w.line_at;
	/* Step by step, however far the watermark has come in one. */
	if (!w.late && w.t_ms + d->lateness_ms < newest) {
		d->newest_ms = w.t_ms + d->lateness_ms;
	}
	d->fresh_value = 0;
	if (fresh_stands(d, &w)) {
		engine_count(d, &a, w.weight, w.value, more);
	}
	d->fresh_value = fresh_value;
	d->record = record;
	d->t_ms = t;
	d->line_at = line_at;
	d->newest_ms = newest;
	free(w.texts);
}

void order_release(struct detect *d, int64_t until_ms)
{
	while (d->order.n > 0 && d->order.v[0].t_ms < until_ms) {
		release_first(d);
	}
}

static char *pack(struct detect *d, const struct ask *a, uint32_t *n_out)
{
	const struct rule *r = a->listener->rule;
	struct slice room[RULE_GROUP_BY];
	const struct slice *values = engine_group(d, a, room);
	size_t n = 0;
	char *p;

	for (unsigned i = 0; i < r->n_group; i++) {
		n += sizeof(uint16_t) + (values[i].n < GROUP_VALUE_MAX ? values[i].n
								       : GROUP_VALUE_MAX);
	}
	p = malloc(n + 1);
	*n_out = (uint32_t)n;
	n = 0;
	for (unsigned i = 0; p != NULL && i < r->n_group; i++) {
		struct slice s = slice_head(values[i], values[i].n < GROUP_VALUE_MAX
							       ? values[i].n : GROUP_VALUE_MAX);
		uint16_t len = (uint16_t)s.n;

		memcpy(p + n, &len, sizeof len);
		if (len > 0) {
			memcpy(p + n + sizeof len, s.p, len);
		}
		n += sizeof len + len;
	}
	return p;
}

void order_add(struct detect *d, const struct ask *a, uint64_t weight, int64_t value)
{
	struct order *o = &d->order;
	struct waiting w = {.t_ms = d->t_ms, .seq = o->seq++, .listener = a->listener,
			    .hash = a->hash, .weight = weight, .value = value,
			    .late = d->t_ms < engine_watermark(d),
			    .fresh_value = d->fresh_value, .fresh_line = d->fresh_line};

	engine_store_line(d);
	w.line_at = d->line_at;
	w.texts = pack(d, a, &w.texts_n);
	if (w.texts == NULL || !order_put(o, &w)) {
		free(w.texts);
		return;
	}
	while (o->n > ORDER_MAX || o->bytes > ORDER_BYTES) {
		d->windows.evicted++;
		release_first(d);
	}
}
