#include "detectors/detect.h"

#include "common/limits.h"
#include "detectors/engine.h"
#include "detectors/field.h"

enum { SWEEP_MS = 60 * 1000 };

/* ---- groups and telling ---- */

bool engine_values(const struct detect *d, const uint8_t *fields, size_t n, struct slice *out)
{
	for (size_t i = 0; i < n; i++) {
		if (!engine_field(d, fields[i], &out[i])) {
			return false;
		}
	}
	return true;
}

/* Where the line stands, if something in it was masked; a replay knows no stream. */
static bool masked_place(const struct record *r, struct finding_place *out)
{
	static const struct stream_id none;

	*out = (struct finding_place){r->stream, r->start};
	return (r->flags & RECORD_REDACTED) != 0 &&
	       memcmp(&r->stream, &none, sizeof none) != 0;
}

void engine_store_line(struct detect *d)
{
	if (d->line_at == RING_NOWHERE && d->record != NULL) {
		struct finding_place where;

		d->line_at = ring_add_line(&d->ring, d->record->line,
					   masked_place(d->record, &where) ? &where : NULL);
	}
}

void engine_evidence(struct detect *d, uint64_t *chain)
{
	engine_store_line(d);
	*chain = ring_link(&d->ring, *chain, d->line_at);
}

/* What is known of where the line comes from, for the reader of the alert. */
static void add_place(struct detect *d, struct event *e)
{
	const struct geo_place *p = refer_place(d->ctx.refer, e);

	if (p == NULL) {
		return;
	}
	if ((p->has & GEO_COUNTRY) != 0) {
		event_set(e, FIELD_SOURCE_COUNTRY, slice_str(p->country));
	}
	if ((p->has & GEO_PLACE) != 0) {
		event_set(e, FIELD_SOURCE_LOCATION, slice_str(p->location));
	}
	if ((p->has & GEO_AS) != 0) {
		event_set(e, FIELD_SOURCE_AS_NUMBER, slice_str(p->number));
	}
	if ((p->has & GEO_AS) != 0 && p->organization[0] != '\0') {
		event_set(e, FIELD_SOURCE_AS_ORGANIZATION, slice_str(p->organization));
	}
}

static size_t add_list(const struct match *m, struct finding_list *lists, size_t n)
{
	const struct roster_about *a = refer_list_about(m->u.list);

	for (size_t i = 0; i < n; i++) {
		if (lists[i].name == refer_list_name(m->u.list)) {
			return n;
		}
	}
	lists[n] = (struct finding_list){refer_list_name(m->u.list), a->source, a->changed_ns};
	return n + 1;
}

/* The lists that the rule, or those that it counts, ask for and that the record is in. */
static size_t lists_of(struct detect *d, const struct rule *r, struct finding_list *lists,
		       size_t n)
{
	for (uint32_t i = 0; i < r->condition.n_matches && n < FINDING_LISTS; i++) {
		const struct match *m = &r->condition.matches[i];

		if (m->op == MATCH_LIST && match_record(m, &d->ctx, d->record)) {
			n = add_list(m, lists, n);
		}
	}
	for (unsigned i = 0; i < r->n_refs && n < FINDING_LISTS; i++) {
		n = lists_of(d, r->refs[i].rule, lists, n);
	}
	return n;
}

void engine_hand_out(struct detect *d, const struct rule *r, struct finding *f)
{
	struct finding_list lists[FINDING_LISTS];
	struct record placed;

	if (d->ctx.refer != NULL && f->record != NULL) {
		placed = *f->record;
		add_place(d, &placed.event);
		f->record = &placed;
		f->lists = lists;
		f->n_lists = lists_of(d, r, lists, 0);
	}
	f->rule_id = r->id;
	f->rule_title = r->title;
	f->rule_description = r->description;
	f->tags = r->tags;
	engine_severity(d, r, f);
	f->cooldown_ns = r->cooldown_ns;
	if (f->state == FINDING_NEW) {
		d->stats.findings++;
	} else {
		d->stats.updates++;
	}
	d->cb(d->arg, f);
}

static size_t name_group(const struct rule *r, const struct slice *values,
			 size_t n, struct finding_field *out)
{
	for (size_t i = 0; i < n; i++) {
		out[i].name = r->group_names[i];
		out[i].value = values[i];
	}
	return n;
}

struct episode *engine_begin(struct detect *d, const struct rule *r,
			     struct group *g, const struct slice *values)
{
	struct slice lines[LIMIT_EVIDENCE_LINES];
	size_t n = ring_lines(&d->ring, g->evidence, RING_NOWHERE, lines);
	struct episode *e = episode_add(&d->windows, g, values, r->n_group, lines, n);

	if (e != NULL) {
		e->rule = r;
	}
	return e;
}

void engine_tell(struct detect *d, struct episode *e, enum finding_state state,
		 const struct record *record)
{
	struct slice texts[EPISODE_TEXTS];
	struct finding_place masked[LIMIT_EVIDENCE_LINES];
	struct finding_field group[RULE_GROUP_BY];
	const struct group *of;
	size_t n = episode_texts(e, texts);
	struct finding f = {
		.state = state,
		.group = group,
		.first_ns = e->first_ms * 1000000,
		.last_ns = e->last_ms * 1000000,
		.since_ns = e->since_ms * 1000000,
		.count = e->base + e->after,
		.open = state != FINDING_END,
		.record = record,
		.evidence = texts + e->n_values,
		.n_evidence = n - e->n_values,
		.masked = masked,
	};

	e->told = f.count;
	e->told_first_ms = e->first_ms;
	if (!e->rule->alerts) {
		return;
	}
	f.n_group = name_group(e->rule, texts, e->n_values, group);
	/* The line that began the episode is the last that it keeps. */
	if (state == FINDING_NEW && f.n_evidence > 0 && record != NULL &&
	    d->line_at != RING_NOWHERE) {
		f.n_evidence--;
	}
	of = state == FINDING_NEW ? windows_find(&d->windows, e->hash) : NULL;
	if (of != NULL) {
		f.n_masked = ring_places(&d->ring, of->evidence, masked);
	}
	engine_hand_out(d, e->rule, &f);
}

void engine_tell_as(struct detect *d, const struct telling *t)
{
	struct slice evidence[LIMIT_EVIDENCE_LINES];
	struct finding_place masked[LIMIT_EVIDENCE_LINES];
	struct finding_field group[RULE_GROUP_BY];
	struct finding f = {
		.state = t->state,
		.group = group,
		.first_ns = t->first_ms * 1000000,
		.last_ns = t->last_ms * 1000000,
		.since_ns = t->since_ms * 1000000,
		.usual = t->usual,
		.count = t->count,
		.open = t->open,
		.record = t->state == FINDING_END ? NULL : d->record,
		.evidence = evidence,
		.masked = masked,
	};

	if (!t->rule->alerts) {
		return;
	}
	f.n_group = name_group(t->rule, t->values, t->rule->n_group, group);
	f.n_evidence = ring_lines(&d->ring, t->evidence,
				  f.record != NULL ? d->line_at : RING_NOWHERE, evidence);
	f.n_masked = ring_places(&d->ring, t->evidence, masked);
	engine_hand_out(d, t->rule, &f);
}

/* A plain rule tells about one line.  Its group, unless the rule says otherwise,
 * is who did it: so much of user, target and address as the line has. */
static void tell_line(struct detect *d, const struct rule *r)
{
	static const uint8_t who[] = {FIELD_USER_NAME, FIELD_USER_TARGET_NAME,
				      FIELD_SOURCE_ADDRESS};
	const uint8_t *fields = r->n_group > 0 ? r->group : who;
	size_t n = r->n_group > 0 ? r->n_group : sizeof who;
	struct finding_field group[RULE_GROUP_BY];
	int64_t t_ns = d->t_ms * 1000000;
	struct finding_place masked;
	struct finding f = {
		.state = FINDING_NEW,
		.group = group,
		.first_ns = t_ns,
		.last_ns = t_ns,
		.since_ns = t_ns,
		.single = true,
		.count = 1,
		.record = d->record,
		.masked = &masked,
		.n_masked = masked_place(d->record, &masked),
	};

	for (size_t i = 0; i < n; i++) {
		if (engine_field(d, fields[i], &group[f.n_group].value)) {
			group[f.n_group++].name =
				slice_str(rule_field_name(fields[i]));
		}
	}
	engine_hand_out(d, r, &f);
}

/* ---- one record ---- */

/* Hashes ahead what the matched rules will ask for, as far as there is room; of those that
 * nothing else decides. */
static void ask_ahead(struct detect *d)
{
	size_t n = 0, i;

	for (i = 0; i < d->n_matched && i < ASKS_MAX; i++) {
		const struct rule *r = d->matched[i];
		const struct listener *l = r->counted_only ? r->listeners : NULL;

		for (; l != NULL && n < ASKS_MAX; l = l->next) {
			if (engine_listens(d, l) && engine_ask(d, l, &d->asks[n])) {
				windows_prefetch(&d->windows, d->asks[n].hash);
				n++;
			}
		}
		if (l != NULL) {
			break;
		}
		d->asks_of[i] = (uint8_t)n;
	}
	d->n_asked = i;
	for (size_t k = 0; k < n; k++) {
		windows_prefetch_group(&d->windows, d->asks[k].hash);
	}
	for (size_t k = 0; k < n; k++) {
		windows_prefetch_stamps(&d->windows, d->asks[k].hash);
	}
}

/* The listeners of matched rule i. */
static void tell_matched(struct detect *d, size_t i)
{
	if (i >= d->n_asked) {
		engine_tell_listeners(d, d->matched[i]);
		return;
	}
	for (size_t k = i == 0 ? 0 : d->asks_of[i - 1]; k < d->asks_of[i]; k++) {
		engine_correlate(d, &d->asks[k]);
	}
}

/* In the order of loading; there are few. */
static void matched(struct detect *d, struct rule *r)
{
	size_t at;

	for (at = d->n_matched++;
	     at > 0 && d->matched[at - 1]->index > r->index; at--) {
		d->matched[at] = d->matched[at - 1];
	}
	d->matched[at] = r;
}

static void try_rule(struct detect *d, struct rule *r)
{
	const struct event *e = &d->record->event;

	if ((e->has & r->needs) == r->needs &&
	    (r->outcomes >> e->outcome & 1) != 0 &&
	    (!r->by_literal || r->hit == d->stats.records) &&
	    condition_all(&r->condition, r->rest, r->n_rest, &d->ctx,
			  d->record)) {
		matched(d, r);
	}
}

static inline void try_rules(struct detect *d, struct dispatch_list list)
{
	for (uint32_t i = 0; i < list.n; i++) {
		try_rule(d, d->dispatch.rules[list.first + i]);
	}
}

/* A word of the rule stands in the line. */
static void on_literal(void *arg, void *owner)
{
	struct detect *d = arg;
	struct rule *r = owner;

	if (r->hit != d->stats.records) {
		r->hit = d->stats.records;
		if (!r->dispatched) {
			try_rule(d, r);
		}
	}
}

/* What the verdict has left open. */
static bool holds_here(struct detect *d, const struct rule *r)
{
	return (!r->by_literal || r->hit == d->stats.records) &&
	       condition_all(&r->condition, r->rest + r->n_decided,
			     (size_t)r->n_rest - r->n_decided, &d->ctx, d->record);
}

static void follow(struct detect *d, struct verdict *v)
{
	uint32_t holds = ~v->open & ((UINT32_C(1) << v->n) - 1);

	if (v->by_reason != 0) {
		holds |= verdict_by_reason(d, v, d->record);
	}
	for (uint32_t left = v->open & ~v->by_reason; left != 0; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);

		holds |= (uint32_t)holds_here(d, v->rules[i]) << i;
	}
	if (d->n_matched == 0) {
		for (; holds != 0; holds &= holds - 1) {
			d->matched[d->n_matched++] = v->rules[__builtin_ctz(holds)];
		}
	}
	for (; holds != 0; holds &= holds - 1) {
		matched(d, v->rules[__builtin_ctz(holds)]);
	}
}

/* By what the line holds, then by its class, or else by exact values and by the
 * fields that are there. */
static void match_plain(struct detect *d, const struct record *r)
{
	const struct dispatch *dp = &d->dispatch;
	uint64_t fields = r->event.has & dp->field_mask;
	struct verdict *v;

	d->n_matched = 0;
	match_begin(&d->ctx, r);
	if (dp->literals != NULL && d->ctx.path.n > 0) {
		literals_scan(dp->literals, d->ctx.path, on_literal, d);
	}
	if (dp->literals != NULL) {
		literals_scan(dp->literals, r->line, on_literal, d);
	}
	if (dp->commands != NULL && event_has(&r->event, FIELD_PROCESS_COMMAND_LINE)) {
		literals_scan(dp->commands, r->event.f[FIELD_PROCESS_COMMAND_LINE], on_literal,
			      d);
		literals_scan(dp->commands, event_get(&r->event, FIELD_PROCESS_EXECUTABLE),
			      on_literal, d);
	}
	if (dp->urls != NULL && event_has(&r->event, FIELD_URL_PATH)) {
		literals_scan(dp->urls, r->event.f[FIELD_URL_PATH], on_literal, d);
		literals_scan(dp->urls, d->ctx.path, on_literal, d);
	}
	if (dp->urls != NULL && event_has(&r->event, FIELD_USER_AGENT)) {
		literals_scan(dp->urls, r->event.f[FIELD_USER_AGENT], on_literal, d);
	}
	v = verdict_can(r) ? verdict_of(d, d->verdicts, r) : NULL;
	if (v != NULL) {
		follow(d, v);
		return;
	}
	try_rules(d, dispatch_find(dp, rule_program(r), RULE_FIELD_PROGRAM));
	/* What was not understood has no more than that. */
	for (unsigned i = 1; r->event.has != 0 && i < DISPATCH_KEYS; i++) {
		try_rules(d, dispatch_find(dp, dispatch_value(r, dispatch_keys[i]),
					   dispatch_keys[i]));
	}
	for (; fields != 0; fields &= fields - 1) {
		try_rules(d, dp->by_field[__builtin_ctzll(fields)]);
	}
	try_rules(d, dp->always);
}

static void end_silent(struct detect *d, bool finished)
{
	int64_t now = engine_watermark(d);
	struct episode *e;

	while ((e = episode_first(&d->windows)) != NULL && e->deadline_ms <= now) {
		int64_t really = episode_deadline(e);

		if (rule_watches(e->rule)) {
			watch_due(d, e, now, finished);
		} else if (really > now) {
			episode_defer(&d->windows, e, really);
		} else {
			episode_end(d, e);
		}
	}
}

/* The time that counts: the stamp's, unless it is too far ahead of the reading
 * to be believed; then the newest that was. */
static int64_t event_time(struct detect *d, const struct record *r)
{
	int64_t t = record_time_ns(r), ms;

	if (t == TIME_NONE) {
		return d->newest_ms == TIME_NONE ? 0 : d->newest_ms;
	}
	if (r->observed_ns != TIME_NONE && t > r->observed_ns &&
	    (t - d->ahead_ns > r->observed_ns)) {
		d->stats.future++;
		return d->newest_ms != TIME_NONE ? d->newest_ms
						 : r->observed_ns / 1000000;
	}
	ms = t / 1000000;
	return ms - (t < ms * 1000000);
}

static const uint32_t not_a_line = RECORD_SKIP | RECORD_GAP | RECORD_GAP_OPEN |
				   RECORD_OPEN | RECORD_CLOSE | RECORD_ALERT;

void detect_record(struct detect *d, const struct record *r, detect_cb cb,
		   void *arg)
{
	if ((r->flags & not_a_line) != 0 || !d->compiled) {
		return;
	}
	d->stats.records++;
	d->cb = cb;
	d->arg = arg;
	d->t_ms = event_time(d, r);
	if (d->newest_ms == TIME_NONE || d->t_ms > d->newest_ms) {
		bool first = d->newest_ms == TIME_NONE;

		d->newest_ms = d->t_ms;
		d->record = NULL;
		if (first) {
			watch_begin(d);
		}
		order_release(d, engine_watermark(d));
		if (d->windows.n_episodes > 0) {
			end_silent(d, false);
		}
	} else if (d->t_ms < engine_watermark(d)) {
		d->stats.late++;
	}
	d->record = r;
	d->line_at = RING_NOWHERE;
	match_plain(d, r);
	if (d->n_matched > 0) {
		ask_ahead(d);
	}
	for (size_t i = 0; i < d->n_matched; i++) {
		const struct rule *rule = d->matched[i];

		if (rule->counted_only) {
			tell_matched(d, i);
			continue;
		}
		if (rule->schedule.n > 0 && !schedule_holds(d, rule)) {
			continue;
		}
		if (rule->first_seen.on) {
			fresh_event(d, rule);
			continue;
		}
		if (rule_watches(rule)) {
			watch_event(d, rule);
			continue;
		}
		if (rule->travel.on) {
			travel_event(d, rule);
			continue;
		}
		if (rule->alerts) {
			tell_line(d, rule);
		}
		engine_tell_listeners(d, rule);
	}
	d->record = NULL;
}

/* In silence: what is over goes with its memory, and the lines that no group points
 * to any more. */
static void give_back(struct detect *d)
{
	if (d->swept_ms != TIME_NONE && d->newest_ms - d->swept_ms < SWEEP_MS) {
		return;
	}
	d->swept_ms = d->newest_ms;
	windows_sweep(&d->windows, engine_watermark(d));
	windows_fit(&d->windows);
	freshes_sweep(d);
	if (d->windows.n == 0 && d->fresh.n == 0) {
		ring_clear(&d->ring);
	}
}

void detect_advance(struct detect *d, int64_t now_ns, detect_cb cb, void *arg)
{
	int64_t now_ms = now_ns == INT64_MAX ? INT64_MAX / 4 : now_ns / 1000000;
	int64_t newest = d->newest_ms;

	if (newest == TIME_NONE || now_ms <= newest) {
		return;
	}
	d->cb = cb;
	d->arg = arg;
	d->record = NULL;
	if (now_ns == INT64_MAX) {
		order_release(d, INT64_MAX);
	}
	d->newest_ms = now_ms;
	order_release(d, engine_watermark(d));
	end_silent(d, now_ns == INT64_MAX);
	if (now_ns == INT64_MAX) {
		d->newest_ms = newest;
	} else {
		give_back(d);
	}
}
