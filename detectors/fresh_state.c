#include <stdlib.h>

#include "common/err.h"
#include "common/reader.h"
#include "detectors/engine.h"

/* What is new and not certain yet, in the saved state:
 *
 *   varint n, each: u64 salt of the rule, u64 value, u64 group, u64 line, u64 about, time,
 *             since, u32 before, u8 news, u8 shown, u8 severity, varint evidence, blob of
 *             the texts
 *   varint n, of the runs of groups, each: u64 group, time, u32 first and u32 last of the
 *             run before
 *   varint n, of the events that wait, each: varint number, u64 value, u64 line */

static int save_value(const struct fresh *e, struct buf *out)
{
	const uint64_t ids[] = {e->rule->salt, e->value, e->group, e->line, e->about};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < sizeof ids / sizeof *ids; i++) {
		rc = buf_add_u64(out, ids[i]);
	}
	rc = rc == 0 ? buf_add_varint(out, zigzag(e->t_ms)) : rc;
	rc = rc == 0 ? buf_add_varint(out, zigzag(e->since_ms)) : rc;
	rc = rc == 0 ? buf_add_u32(out, e->before_s) : rc;
	rc = rc == 0 ? buf_add_u8(out, e->news) : rc;
	rc = rc == 0 ? buf_add_u8(out, e->shown) : rc;
	rc = rc == 0 ? buf_add_u8(out, e->severity) : rc;
	rc = rc == 0 ? buf_add_varint(out, e->evidence) : rc;
	rc = rc == 0 ? buf_add_varint(out, e->texts_n) : rc;
	return rc == 0 ? buf_add_slice(out, slice(e->texts, e->texts_n)) : rc;
}

static int save_group(const struct fresh_group *g, struct buf *out)
{
	int rc = buf_add_u64(out, g->group);

	rc = rc == 0 ? buf_add_varint(out, zigzag(g->t_ms)) : rc;
	rc = rc == 0 ? buf_add_u32(out, g->was_first_s) : rc;
	return rc == 0 ? buf_add_u32(out, g->was_last_s) : rc;
}

static int save_waiting(const struct order *o, struct buf *out)
{
	uint32_t n = 0;
	int rc;

	for (uint32_t i = 0; i < o->n; i++) {
		n += o->v[i].fresh_value != 0;
	}
	rc = buf_add_varint(out, n);
	for (uint32_t i = 0; rc == 0 && i < o->n; i++) {
		const struct waiting *w = &o->v[i];

		if (w->fresh_value != 0) {
			rc = buf_add_varint(out, w->seq);
			rc = rc == 0 ? buf_add_u64(out, w->fresh_value) : rc;
			rc = rc == 0 ? buf_add_u64(out, w->fresh_line) : rc;
		}
	}
	return rc;
}

int freshes_save(const struct detect *d, struct buf *out)
{
	const struct freshes *f = &d->fresh;
	int rc = buf_add_varint(out, f->n);

	for (uint32_t i = 0; rc == 0 && i < f->n; i++) {
		rc = save_value(&f->v[i], out);
	}
	rc = rc == 0 ? buf_add_varint(out, f->n_groups) : rc;
	for (uint32_t i = 0; rc == 0 && i < f->n_groups; i++) {
		rc = save_group(&f->groups[i], out);
	}
	return rc == 0 ? save_waiting(&d->order, out) : rc;
}

/* ---- restoring ---- */

/* The time of an event: what is told of it is in nanoseconds. */
static int64_t get_time(struct reader *r)
{
	int64_t v = unzigzag(reader_varint(r));

	if (v > INT64_C(8000000000000) || v < -INT64_C(8000000000000)) {
		r->failed = true;
		return 0;
	}
	return v;
}

static const struct rule *rule_of(const struct detect *d, uint64_t salt)
{
	const struct rule *r = d->set.first;

	while (r != NULL && (!r->first_seen.on || r->off || r->salt != salt)) {
		r = r->next;
	}
	return r;
}

/* As many texts as are shown, of fields that there are, and no more bytes. */
static bool texts_fit(const struct fresh *e, struct slice texts)
{
	const uint8_t *fields;
	size_t at = 0, n = fresh_group_fields(e->rule, &fields);

	for (size_t i = 0; i < n; i++) {
		uint16_t len;

		if ((e->shown >> i & 1) == 0) {
			continue;
		}
		if (texts.n - at < sizeof len) {
			return false;
		}
		memcpy(&len, texts.p + at, sizeof len);
		at += sizeof len;
		if (len > GROUP_VALUE_MAX || texts.n - at < len) {
			return false;
		}
		at += len;
	}
	return at == texts.n && e->shown >> n == 0;
}

static int keep_value(struct detect *d, const struct fresh *e, struct slice texts)
{
	char *copy = malloc(texts.n + 1);
	struct fresh *to = copy == NULL ? NULL : fresh_place(d, e->value);

	if (to == NULL) {
		free(copy);
		return UV_ENOMEM;
	}
	memcpy(copy, texts.p, texts.n);
	*to = *e;
	to->texts = copy;
	to->texts_n = (uint32_t)texts.n;
	return 0;
}

static int restore_value(struct detect *d, struct reader *r)
{
	struct fresh e = {.rule = rule_of(d, reader_u64(r))};
	struct slice texts;

	e.value = reader_u64(r);
	e.group = reader_u64(r);
	e.line = reader_u64(r);
	e.about = reader_u64(r);
	e.t_ms = get_time(r);
	e.since_ms = get_time(r);
	e.before_s = reader_u32(r);
	e.news = reader_u8(r) != 0;
	e.shown = reader_u8(r);
	e.severity = reader_u8(r);
	e.evidence = reader_varint(r);
	texts = reader_blob(r, RULE_GROUP_BY * (GROUP_VALUE_MAX + sizeof(uint16_t)));
	if (!reader_ok(r) || e.value == 0 || e.group == 0 || e.severity > SEVERITY_CRITICAL) {
		return ERR_MALFORMED;
	}
	/* Of a rule that is another now, nothing is taken back. */
	return e.rule == NULL || !texts_fit(&e, texts) ? 0 : keep_value(d, &e, texts);
}

static int restore_group(struct detect *d, struct reader *r)
{
	struct fresh_group g = {.group = reader_u64(r)};

	g.t_ms = get_time(r);
	g.was_first_s = reader_u32(r);
	g.was_last_s = reader_u32(r);
	if (!reader_ok(r) || g.group == 0 || g.was_first_s > g.was_last_s) {
		return ERR_MALFORMED;
	}
	fresh_keep_group(d, g);
	return 0;
}

/* They were saved in the order in which they are there again: from `at` on. */
static int restore_waiting(struct detect *d, struct reader *r, uint32_t *at)
{
	uint64_t seq = reader_varint(r), value = reader_u64(r), line = reader_u64(r);
	uint32_t i = *at;

	while (i < d->order.n && d->order.v[i].seq != seq) {
		i++;
	}
	if (i < d->order.n) {
		d->order.v[i].fresh_value = value;
		d->order.v[i].fresh_line = line;
		*at = i + 1;
	}
	return reader_ok(r) ? 0 : ERR_MALFORMED;
}

int freshes_restore(struct detect *d, struct slice section)
{
	struct reader r = reader(section);
	uint64_t n = reader_varint_max(&r, FRESH_MAX);
	uint32_t at = 0;
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		rc = restore_value(d, &r);
	}
	n = reader_varint_max(&r, FRESH_MAX);
	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		rc = restore_group(d, &r);
	}
	n = reader_varint_max(&r, ORDER_MAX);
	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		rc = restore_waiting(d, &r, &at);
	}
	return rc == 0 && !reader_done(&r) ? ERR_MALFORMED : rc;
}
