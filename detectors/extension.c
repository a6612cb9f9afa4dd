#include "common/err.h"
#include "detectors/field.h"
#include "detectors/rule.h"

/* The section `nightjar`: what Sigma lacks (docs/rules.md). */

bool rule_span(const struct doc_node *n, int64_t *ms, const struct complain *c)
{
	if (n == NULL) {
		return true;
	}
	if (n->kind == DOC_SCALAR && slice_eq(n->text, SLICE_LIT("0"))) {
		*ms = 0;
		return true;
	}
	if (n->kind == DOC_SCALAR && rule_timespan(n->text, ms)) {
		return true;
	}
	complain(c, n->mark, "a time must be a whole number and s, m, h or d, as "
		 "in 7d");
	return false;
}

static bool read_first_seen(struct rule *r, const struct doc_node *n,
			    const struct complain *c)
{
	static const char *const keys[] = {"field", "per", "learning", "forget",
					   NULL};
	struct first_seen *f = &r->first_seen;
	const struct doc_node *field = doc_find(n, "field");
	const struct doc_node *per = doc_find(n, "per");
	int got;

	if (r->type != CORRELATION_NONE) {
		complain(c, n->key_mark, "first_seen belongs to a detection, not to "
			 "a correlation");
		return false;
	}
	if (!rule_known_keys(n, keys, c)) {
		return false;
	}
	if (field == NULL) {
		complain(c, n->mark, "first_seen needs a field");
		return false;
	}
	got = rule_fields(field, f->fields, c);
	if (got <= 0) {
		return false;
	}
	f->n_fields = (uint8_t)got;
	got = per == NULL ? 0 : rule_fields(per, f->per, c);
	if (got < 0) {
		return false;
	}
	f->n_per = (uint8_t)got;
	f->learning_ms = INT64_C(7) * 86400000;
	f->forget_ms = INT64_C(90) * 86400000;
	f->on = true;
	return rule_span(doc_find(n, "learning"), &f->learning_ms, c) &&
	       rule_span(doc_find(n, "forget"), &f->forget_ms, c);
}

static bool read_weight(struct rule *r, const struct doc_node *n,
			const struct complain *c)
{
	if ((r->type != CORRELATION_EVENT_COUNT && r->rate.cells == 0) ||
	    n->kind != DOC_SCALAR || !slice_eq(n->text, SLICE_LIT("attempts"))) {
		complain(c, n->mark, "weight is \"attempts\", and only for "
			 "event_count and rate");
		return false;
	}
	r->weigh_attempts = true;
	return true;
}

static bool read_plain_group(struct rule *r, const struct doc_node *n,
			     const struct complain *c)
{
	int got;

	if (r->type != CORRELATION_NONE) {
		complain(c, n->key_mark, "a correlation has its group-by in its own "
			 "section");
		return false;
	}
	got = rule_fields(n, r->group, c);
	r->n_group = got < 0 ? 0 : (uint8_t)got;
	return got > 0;
}

static bool read_number(const struct doc_node *n, uint64_t most, uint32_t *out,
			const struct complain *c)
{
	uint64_t v;

	if (n == NULL) {
		return true;
	}
	if (n->kind != DOC_SCALAR || !slice_to_u64(n->text, most, &v) || v == 0) {
		complain(c, n->mark, "a whole number from 1 to %llu must stand here",
			 (unsigned long long)most);
		return false;
	}
	*out = (uint32_t)v;
	return true;
}

static bool read_travel(struct rule *r, const struct doc_node *n, const struct complain *c)
{
	static const char *const keys[] = {"per", "speed", "distance", NULL};
	enum { SPEED = 1000, DISTANCE = 500, FASTEST = 100000, HALF_ROUND = 20016 };
	const struct doc_node *per = doc_find(n, "per");
	struct travel *t = &r->travel;
	int got;

	if (r->type != CORRELATION_NONE || r->first_seen.on || rule_watches(r) ||
	    r->n_group > 0) {
		complain(c, n->key_mark, "travel belongs to a detection without first_seen, "
			 "silence, rate and group-by; its group is per");
		return false;
	}
	if (!rule_known_keys(n, keys, c)) {
		return false;
	}
	*t = (struct travel){true, SPEED, DISTANCE};
	r->group[0] = FIELD_USER_NAME;
	got = per == NULL ? 1 : rule_fields(per, r->group, c);
	if (got <= 0 || !read_number(doc_find(n, "speed"), FASTEST, &t->speed_kmh, c) ||
	    !read_number(doc_find(n, "distance"), HALF_ROUND, &t->distance_km, c)) {
		return false;
	}
	r->n_group = (uint8_t)got;
	for (unsigned i = 0; i < r->n_group; i++) {
		r->group_names[i] = slice_str(rule_field_name(r->group[i]));
	}
	/* From any place to any other: what is older can't make anything impossible. */
	r->timespan_ms = INT64_C(3600000) * HALF_ROUND / t->speed_kmh + 1;
	return true;
}

/* ---- schedule ---- */

/* "08:30", up to 24:00, in minutes. */
static bool read_clock(struct slice s, unsigned *minutes)
{
	uint64_t h, m;

	if (s.n != 5 || s.p[2] != ':' || !slice_to_u64(slice_head(s, 2), 24, &h) ||
	    !slice_to_u64(slice_skip(s, 3), 59, &m) || h * 60 + m > 1440) {
		return false;
	}
	*minutes = (unsigned)(h * 60 + m);
	return true;
}

static bool read_hours(struct schedule *s, const struct doc_node *n, const struct complain *c)
{
	const struct doc_node *v = n->kind == DOC_LIST ? n->first : n;

	for (; v != NULL; v = n->kind == DOC_LIST ? v->next : NULL) {
		unsigned from, to;

		if (v->kind != DOC_SCALAR || v->text.n != 11 || v->text.p[5] != '-' ||
		    !read_clock(slice_head(v->text, 5), &from) ||
		    !read_clock(slice_skip(v->text, 6), &to) || from == to ||
		    s->n == SCHEDULE_SPANS) {
			complain(c, v->mark, "hours are up to %d times, as in 08:00-18:30 or "
				 "22:00-06:00", SCHEDULE_SPANS);
			return false;
		}
		s->spans[s->n].from = (uint16_t)from;
		s->spans[s->n++].to = (uint16_t)to;
	}
	return s->n > 0;
}

static bool read_days(struct schedule *s, const struct doc_node *n, const struct complain *c)
{
	static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	const struct doc_node *v = n->kind == DOC_LIST ? n->first : n;

	s->days = 0;
	for (; v != NULL; v = n->kind == DOC_LIST ? v->next : NULL) {
		unsigned i = 0;

		while (i < 7 && !slice_eq(v->text, slice_str(names[i]))) {
			i++;
		}
		if (v->kind != DOC_SCALAR || i == 7) {
			complain(c, v->mark, "days are mon, tue, wed, thu, fri, sat, sun");
			return false;
		}
		s->days = (uint8_t)(s->days | 1u << i);
	}
	return s->days != 0;
}

/* "+02:00", or "local". */
static bool read_offset(struct schedule *s, const struct doc_node *n, const struct complain *c)
{
	unsigned minutes;

	if (n->kind == DOC_SCALAR && slice_eq(n->text, SLICE_LIT("local"))) {
		return true;
	}
	if (n->kind != DOC_SCALAR || n->text.n != 6 ||
	    (n->text.p[0] != '+' && n->text.p[0] != '-') ||
	    !read_clock(slice_skip(n->text, 1), &minutes)) {
		complain(c, n->mark, "zone is local, or an offset as in +02:00");
		return false;
	}
	s->fixed = true;
	s->offset_s = (n->text.p[0] == '-' ? -60 : 60) * (int32_t)minutes;
	return true;
}

static bool read_schedule(struct rule *r, const struct doc_node *n, const struct complain *c)
{
	static const char *const keys[] = {"hours", "days", "outside", "zone", NULL};
	struct schedule *s = &r->schedule;
	const struct doc_node *hours = doc_find(n, "hours"), *days = doc_find(n, "days");
	const struct doc_node *outside = doc_find(n, "outside"), *zone = doc_find(n, "zone");

	if (r->type != CORRELATION_NONE) {
		complain(c, n->key_mark, "schedule belongs to a detection: to what a "
			 "correlation counts");
		return false;
	}
	if (!rule_known_keys(n, keys, c)) {
		return false;
	}
	if (hours == NULL && days == NULL) {
		complain(c, n->mark, "a schedule has hours, days or both");
		return false;
	}
	s->days = 0x7f;
	s->outside = outside != NULL && slice_eq(outside->text, SLICE_LIT("true"));
	if (outside != NULL && !s->outside &&
	    !slice_eq(outside->text, SLICE_LIT("false"))) {
		complain(c, outside->mark, "outside is true or false");
		return false;
	}
	if ((hours != NULL && !read_hours(s, hours, c)) ||
	    (days != NULL && !read_days(s, days, c)) ||
	    (zone != NULL && !read_offset(s, zone, c))) {
		return false;
	}
	if (hours == NULL) {
		s->spans[0].to = 1440;
		s->n = 1;
	}
	return true;
}

int extension_read(struct ruleset *set, struct rule *r,
		   const struct doc_node *n, const struct complain *c)
{
	static const char *const keys[] = {"first_seen", "cooldown", "weight",
					   "group-by", "silence", "schedule", "rate", "severity",
					   "travel",
					   "examples", "reason", NULL};
	const struct doc_node *first = doc_find(n, "first_seen");
	const struct doc_node *weight = doc_find(n, "weight");
	const struct doc_node *group = doc_find(n, "group-by");
	const struct doc_node *silence = doc_find(n, "silence");
	const struct doc_node *rate = doc_find(n, "rate");
	const struct doc_node *schedule = doc_find(n, "schedule");
	const struct doc_node *severity = doc_find(n, "severity");
	const struct doc_node *travel = doc_find(n, "travel");
	int64_t cooldown_ms = 0;

	if (!rule_known_keys(n, keys, c) ||
	    !rule_span(doc_find(n, "cooldown"), &cooldown_ms, c) ||
	    (first != NULL && !read_first_seen(r, first, c)) ||
	    (group != NULL && !read_plain_group(r, group, c)) ||
	    (silence != NULL && !silence_read(r, silence, c)) ||
	    (rate != NULL && !rate_read(r, rate, c)) ||
	    (weight != NULL && !read_weight(r, weight, c)) ||
	    (schedule != NULL && !read_schedule(r, schedule, c)) ||
	    (travel != NULL && !read_travel(r, travel, c))) {
		return ERR_MALFORMED;
	}
	r->cooldown_ns = (uint64_t)cooldown_ms * 1000000;
	return severity == NULL ? 0 : severity_read(set, r, severity, c);
}
