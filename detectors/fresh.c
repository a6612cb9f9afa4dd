#include "detectors/fresh.h"

#include <stdlib.h>

#include "detectors/engine.h"

/* Times are whole seconds where a learning period or `forget` is measured, so that they are
 * the same whether or not the line is still remembered; which of two lines came first is a
 * matter of milliseconds, and of one millisecond, of their hashes. */

static const uint8_t who[] = {FIELD_USER_NAME, FIELD_USER_TARGET_NAME, FIELD_SOURCE_ADDRESS};

static uint32_t seconds(int64_t ms)
{
	int64_t s = ms / 1000;

	return s <= 0 ? 1 : s >= UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

/* A line that is this much later than another does not belong to its run. */
static int64_t forget_s(const struct detect *d, const struct rule *r)
{
	int64_t ms = r->first_seen.forget_ms;

	/* Two lines that can change places are of one run. */
	ms = ms > d->lateness_ms ? ms : d->lateness_ms + 999;
	return ms / 1000 > 1 ? ms / 1000 : 1;
}

void freshes_fini(struct freshes *f)
{
	for (uint32_t i = 0; i < f->n; i++) {
		free(f->v[i].texts);
	}
	free(f->v);
	free(f->groups);
	*f = (struct freshes){.v = NULL};
}

/* ---- the tables ---- */

static void remove_value(struct freshes *f, struct fresh *e)
{
	free(e->texts);
	*e = f->v[--f->n];
}

void freshes_sweep(struct detect *d)
{
	struct freshes *f = &d->fresh;
	int64_t now = engine_watermark(d);

	for (uint32_t i = f->n; i-- > 0;) {
		if (f->v[i].t_ms < now) {
			remove_value(f, &f->v[i]);
		}
	}
	for (uint32_t i = f->n_groups; i-- > 0;) {
		if (f->groups[i].t_ms < now) {
			f->groups[i] = f->groups[--f->n_groups];
		}
	}
	if (f->n == 0 && f->n_groups == 0) {
		uint64_t forgotten = f->forgotten;

		freshes_fini(f);
		f->forgotten = forgotten;
	}
}

static struct fresh *find(const struct freshes *f, uint64_t value)
{
	for (uint32_t i = 0; i < f->n; i++) {
		if (f->v[i].value == value) {
			return &f->v[i];
		}
	}
	return NULL;
}

/* The run of the value that a line at hand may change, or NULL. */
static struct fresh *find_open(const struct detect *d, uint64_t value)
{
	struct fresh *e = find(&d->fresh, value);

	return e != NULL && e->t_ms >= engine_watermark(d) ? e : NULL;
}

static struct fresh_group *find_group(const struct freshes *f, uint64_t group)
{
	for (uint32_t i = 0; i < f->n_groups; i++) {
		if (f->groups[i].group == group) {
			return &f->groups[i];
		}
	}
	return NULL;
}

static bool enlarge(void **v, uint32_t *room, size_t size)
{
	uint32_t n = *room == 0 ? 16 : *room * 2;
	void *p = realloc(*v, n * size);

	if (p != NULL) {
		*v = p;
		*room = n;
	}
	return p != NULL;
}

static bool make_room(struct detect *d)
{
	struct freshes *f = &d->fresh;
	struct fresh *least;

	if (f->n == FRESH_MAX) {
		freshes_sweep(d);
	}
	if (f->n == FRESH_MAX) {
		least = f->v;
		for (uint32_t i = 1; i < f->n; i++) {
			least = f->v[i].t_ms < least->t_ms ? &f->v[i] : least;
		}
		remove_value(f, least);
		f->forgotten++;
	}
	return f->n < f->room || enlarge((void **)&f->v, &f->room, sizeof *f->v);
}

struct fresh *fresh_place(struct detect *d, uint64_t value)
{
	struct fresh *e = find(&d->fresh, value);

	if (e == NULL && !make_room(d)) {
		return NULL;
	}
	if (e == NULL) {
		e = &d->fresh.v[d->fresh.n++];
	} else {
		free(e->texts);
	}
	*e = (struct fresh){.value = value};
	return e;
}

void fresh_keep_group(struct detect *d, struct fresh_group run)
{
	struct freshes *f = &d->fresh;
	struct fresh_group *g = find_group(f, run.group);

	if (g == NULL && f->n_groups == FRESH_MAX) {
		freshes_sweep(d);
	}
	if (g == NULL && f->n_groups == FRESH_MAX) {
		f->groups[0] = f->groups[--f->n_groups];
		f->forgotten++;
	}
	if (g == NULL && (f->n_groups < f->room_groups ||
			  enlarge((void **)&f->groups, &f->room_groups, sizeof *f->groups))) {
		g = &f->groups[f->n_groups++];
	}
	if (g != NULL) {
		*g = run;
	}
}

/* ---- telling ---- */

size_t fresh_group_fields(const struct rule *r, const uint8_t **fields)
{
	*fields = r->n_group > 0 ? r->group : who;
	return r->n_group > 0 ? r->n_group : sizeof who;
}

/* The values of the group that the line at hand has, as a fresh keeps them.  NULL: no
 * memory. */
static char *pack_group(const struct detect *d, const struct rule *r, uint8_t *shown,
			uint32_t *n_out)
{
	const uint8_t *fields;
	size_t n = fresh_group_fields(r, &fields), at = 0;
	struct slice v;
	char *p = malloc(RULE_GROUP_BY * (sizeof(uint16_t) + GROUP_VALUE_MAX));

	*shown = 0;
	for (size_t i = 0; p != NULL && i < n; i++) {
		if (engine_field(d, fields[i], &v)) {
			uint16_t len = (uint16_t)(v.n < GROUP_VALUE_MAX ? v.n : GROUP_VALUE_MAX);

			memcpy(p + at, &len, sizeof len);
			if (len > 0) {
				memcpy(p + at + sizeof len, v.p, len);
			}
			at += sizeof len + len;
			*shown = (uint8_t)(*shown | 1u << i);
		}
	}
	*n_out = (uint32_t)at;
	if (p != NULL && at > 0) {
		char *less = realloc(p, at);

		p = less != NULL ? less : p;
	}
	return p;
}

static size_t unpack_group(const struct fresh *e, struct finding_field out[static RULE_GROUP_BY])
{
	const uint8_t *fields;
	size_t n = fresh_group_fields(e->rule, &fields), k = 0, at = 0;

	for (size_t i = 0; i < n; i++) {
		uint16_t len;

		if ((e->shown >> i & 1) != 0) {
			memcpy(&len, e->texts + at, sizeof len);
			out[k].name = slice_str(rule_field_name(fields[i]));
			out[k++].value = slice(e->texts + at + sizeof len, len);
			at += sizeof len + len;
		}
	}
	return k;
}

/* own: it is about the line at hand. */
static void tell(struct detect *d, struct fresh *e, enum finding_state state, bool own)
{
	struct slice evidence[LIMIT_EVIDENCE_LINES];
	struct finding_place masked[LIMIT_EVIDENCE_LINES];
	struct finding_field group[RULE_GROUP_BY];
	struct finding f = {
		.state = state,
		.group = group,
		.first_ns = e->t_ms * 1000000,
		.last_ns = e->t_ms * 1000000,
		.since_ns = e->since_ms * 1000000,
		.about = e->about,
		.single = own,
		.severity = (enum severity)e->severity,
		.count = state == FINDING_END ? 0 : 1,
		.record = own ? d->record : NULL,
		.evidence = evidence,
		.masked = masked,
	};

	if (!e->rule->alerts) {
		return;
	}
	f.n_group = unpack_group(e, group);
	if (state == FINDING_NEW) {
		f.n_evidence = ring_lines(&d->ring, e->evidence,
					  own ? d->line_at : RING_NOWHERE, evidence);
		f.n_masked = ring_places(&d->ring, e->evidence, masked);
	}
	engine_hand_out(d, e->rule, &f);
	e->severity = (uint8_t)f.severity;
}

static void untell(struct detect *d, struct fresh *e)
{
	if (e->news) {
		e->news = false;
		tell(d, e, FINDING_END, false);
	}
}

static bool has_learned(const struct detect *d, const struct fresh *e)
{
	const struct seen_slot *g = seen_find(&d->seen, e->group);

	int64_t least = e->rule->first_seen.learning_ms / 1000;

	return least == 0 ||
	       (g != NULL && (int64_t)seconds(e->t_ms) - g->first_s >= least);
}

/* Tells what is to be told of it now. */
static void judge(struct detect *d, struct fresh *e, bool own)
{
	bool news = has_learned(d, e);

	if (!news) {
		untell(d, e);
	} else if (!e->news) {
		e->news = true;
		e->about = e->line;
		e->since_ms = e->t_ms;
		tell(d, e, FINDING_NEW, own);
	}
}

/* ---- one line ---- */

/* The group's learning began earlier than was thought: what was new meanwhile is told. */
static void judge_group(struct detect *d, uint64_t group)
{
	for (uint32_t i = 0; i < d->fresh.n; i++) {
		struct fresh *e = &d->fresh.v[i];

		if (e->group == group && e->t_ms >= engine_watermark(d)) {
			judge(d, e, false);
		}
	}
}

/* false: no memory. */
static bool group_event(struct detect *d, const struct rule *r, uint64_t group)
{
	struct seen_slot *s = seen_add(&d->seen, group);
	uint32_t now = seconds(d->t_ms);
	bool late = d->t_ms < engine_watermark(d), earlier = false;
	struct fresh_group *before;

	if (s == NULL) {
		return false;
	}
	if (s->last_s == 0 || (int64_t)now - s->last_s > forget_s(d, r)) {
		if (s->last_s != 0 && !late) {
			fresh_keep_group(d, (struct fresh_group){group, d->t_ms, s->first_s,
							   s->last_s});
		}
		s->first_s = now;
	} else if (now < s->first_s && !late) {
		before = find_group(&d->fresh, group);
		earlier = true;
		if (before != NULL && (int64_t)now - before->was_last_s <= forget_s(d, r)) {
			s->first_s = before->was_first_s;
			*before = d->fresh.groups[--d->fresh.n_groups];
		} else {
			s->first_s = now;
			if (before != NULL) {
				before->t_ms = d->t_ms;
			}
		}
	}
	s->last_s = now > s->last_s ? now : s->last_s;
	if (earlier) {
		judge_group(d, group);
	}
	return true;
}

/* Those who name the rule have the line wait until it is certain. */
static void hand_to_listeners(struct detect *d, const struct rule *r, uint64_t value,
			      uint64_t line)
{
	d->fresh_value = value;
	d->fresh_line = line;
	engine_tell_listeners(d, r);
	d->fresh_value = d->fresh_line = 0;
}

/* The line at hand is the first of the run. */
static void take_line(struct detect *d, struct fresh *e, uint64_t line)
{
	e->t_ms = d->t_ms;
	e->line = line;
	e->evidence = RING_NOWHERE;
	engine_evidence(d, &e->evidence);
}

static void begin_run(struct detect *d, const struct fresh *begun, uint64_t line)
{
	bool late = d->t_ms < engine_watermark(d);
	struct fresh *e = late ? NULL : fresh_place(d, begun->value), alone = *begun;

	/* What is later than the lateness is told as it comes, and for good; so is what
	 * there is no memory for. */
	if (e == NULL) {
		e = &alone;
	} else {
		*e = *begun;
	}
	e->texts = pack_group(d, e->rule, &e->shown, &e->texts_n);
	if (e->texts == NULL) {
		e->shown = 0;
	}
	take_line(d, e, line);
	judge(d, e, true);
	if (e != &alone) {
		hand_to_listeners(d, e->rule, e->value, line);
		return;
	}
	if (e->news) {
		hand_to_listeners(d, e->rule, 0, 0);
	}
	free(e->texts);
}

/* The line at hand is earlier than the first of the run. */
static void move_run(struct detect *d, struct fresh *e, uint64_t line)
{
	uint32_t n;
	uint8_t shown;
	char *texts = pack_group(d, e->rule, &shown, &n);
	bool same = texts != NULL && shown == e->shown && n == e->texts_n &&
		    (n == 0 || memcmp(texts, e->texts, n) == 0);

	if (!same) {
		untell(d, e);
		free(e->texts);
		e->texts = texts;
		e->texts_n = texts == NULL ? 0 : n;
		e->shown = texts == NULL ? 0 : shown;
	} else {
		free(texts);
	}
	take_line(d, e, line);
	if (e->news && has_learned(d, e)) {
		tell(d, e, FINDING_UPDATE, true);
	} else {
		judge(d, e, true);
	}
	hand_to_listeners(d, e->rule, e->value, line);
}

static uint64_t line_id(const struct record *r)
{
	/* No secret in it: it is a part of the alert's identity. */
	static const uint8_t key[16] = "nightjar fresh ";
	uint64_t h = siphash(key, r->line.n == 0 ? "" : r->line.p, r->line.n);

	return h == 0 ? 1 : h;
}

static void value_event(struct detect *d, const struct rule *r, uint64_t group, uint64_t value)
{
	struct seen_slot *s = seen_add(&d->seen, value);
	uint32_t now = seconds(d->t_ms);
	uint64_t line;
	struct fresh *e;

	if (s == NULL) {
		return;
	}
	if (s->last_s == 0 || (int64_t)now - s->last_s > forget_s(d, r)) {
		const struct fresh begun = {.rule = r, .group = group, .value = value,
					    .before_s = s->last_s};

		s->first_s = s->last_s = now;
		begin_run(d, &begun, line_id(d->record));
		return;
	}
	/* Nearly always it is known. */
	if (now <= s->first_s && d->t_ms >= engine_watermark(d) &&
	    (e = find_open(d, value)) != NULL && d->t_ms <= e->t_ms) {
		line = line_id(d->record);
		s->first_s = now;
		if (e->before_s != 0 && (int64_t)now - e->before_s <= forget_s(d, r)) {
			s->first_s = e->before_s;
			untell(d, e);
			remove_value(&d->fresh, e);
		} else if (d->t_ms < e->t_ms || line < e->line) {
			move_run(d, e, line);
		}
	}
	s->last_s = now > s->last_s ? now : s->last_s;
}

void fresh_event(struct detect *d, const struct rule *r)
{
	const struct first_seen *f = &r->first_seen;
	uint64_t group, value;

	if (!engine_hash_fields(d, r->salt, f->per, f->n_per, &group) ||
	    !engine_hash_fields(d, ~group, f->fields, f->n_fields, &value)) {
		return;
	}
	seen_prefetch(&d->seen, group);
	seen_prefetch(&d->seen, value);
	if (group_event(d, r, group)) {
		value_event(d, r, group, value);
	}
}

bool fresh_stands(const struct detect *d, const struct waiting *w)
{
	const struct fresh *e;

	if (w->fresh_value == 0) {
		return true;
	}
	e = find(&d->fresh, w->fresh_value);
	return e != NULL && e->news && e->t_ms == w->t_ms && e->line == w->fresh_line;
}
