#include "common/err.h"
#include "common/ip.h"
#include "common/log.h"
#include "detectors/engine.h"

/* The level of an alert by whom or what it is about: entries of `nightjar: severity` in a rule,
 * and documents with `asset`, which hold for all rules or those that they name.
 *
 * The first entry that holds changes the level: the rule's own stand first, then documents in
 * the order of their loading.  It is judged by the line where an alert is about one line; else
 * by the values of the group alone, since which line made it true depends on the order in
 * which lines came. */

enum { STEPS_MAX = 4, REASON_MAX = 200, ENTRIES_MAX = 32 };

/* ---- reading ---- */

static bool read_step(struct asset *a, const struct doc_node *n, int sign,
		      const struct complain *c)
{
	uint64_t steps;

	if (n->kind != DOC_SCALAR || !slice_to_u64(n->text, STEPS_MAX, &steps) || steps == 0) {
		complain(c, n->mark, "%.*s is a number of levels, from 1 to %d", (int)n->key.n,
			 n->key.p, STEPS_MAX);
		return false;
	}
	a->step = (int8_t)(sign * (int)steps);
	return true;
}

static bool read_change(struct asset *a, const struct doc_node *n, const struct complain *c)
{
	const struct doc_node *level = doc_find(n, "level"), *raise = doc_find(n, "raise");
	const struct doc_node *lower = doc_find(n, "lower");

	if ((level != NULL) + (raise != NULL) + (lower != NULL) != 1) {
		complain(c, n->mark, "one of level, raise and lower must stand here");
		return false;
	}
	a->level = -1;
	if (level != NULL) {
		a->level = (int8_t)(level->kind == DOC_SCALAR ? severity_parse(level->text) : -1);
		if (a->level < 0) {
			complain(c, level->mark, "level is one of informational, low, medium, "
				 "high, critical");
		}
		return a->level >= 0;
	}
	return raise != NULL ? read_step(a, raise, 1, c) : read_step(a, lower, -1, c);
}

/* Texts, or one, onto the list. */
static int read_texts(struct ruleset *set, struct filter_name **out, const struct doc_node *n,
		      const struct complain *c)
{
	const struct doc_node *v = n->kind == DOC_LIST ? n->first : n;

	if (v == NULL || n->kind == DOC_MAP) {
		complain(c, n->mark, "%.*s is a text or a list of texts", (int)n->key.n, n->key.p);
		return ERR_MALFORMED;
	}
	for (; v != NULL; v = n->kind == DOC_LIST ? v->next : NULL) {
		struct filter_name *name;
		const char *copy;

		if (v->kind != DOC_SCALAR || v->text.n == 0) {
			complain(c, v->mark, "a text must stand here");
			return ERR_MALFORMED;
		}
		name = arena_take(&set->arena, sizeof *name);
		copy = arena_text(&set->arena, v->text);
		if (name == NULL || copy == NULL) {
			return UV_ENOMEM;
		}
		*name = (struct filter_name){slice(copy, v->text.n), v->mark, *out};
		*out = name;
	}
	return 0;
}

static int read_reason(struct ruleset *set, struct asset *a, const struct doc_node *n,
		       const char *otherwise, const struct complain *c)
{
	struct slice text = n == NULL ? slice_str(otherwise) : slice_trim(n->text);

	if (n != NULL && (n->kind != DOC_SCALAR || text.n == 0 || text.n > REASON_MAX ||
			  memchr(text.p, '\0', text.n) != NULL)) {
		complain(c, n->mark, "%.*s must be a text of at most %d bytes", (int)n->key.n,
			 n->key.p, REASON_MAX);
		return ERR_MALFORMED;
	}
	a->reason = arena_text(&set->arena, text);
	return a->reason == NULL ? UV_ENOMEM : 0;
}

static const char *const keys[] = {"when", "device", "level", "raise", "lower", "reason",
				   "rules", NULL};

static int read_one(struct ruleset *set, struct asset **out, const struct doc_node *n,
		    const struct complain *c)
{
	const struct doc_node *when = doc_find(n, "when"), *device = doc_find(n, "device");
	struct asset *a;
	int rc = 0;

	if (n->kind == DOC_MAP && !rule_known_keys(n, keys, c)) {
		return ERR_MALFORMED;
	}
	if (when == NULL && device == NULL) {
		complain(c, n->mark, "an asset has when (fields and values), device (tags) or "
			 "both; and level, raise or lower");
		return ERR_MALFORMED;
	}
	a = arena_take(&set->arena, sizeof *a);
	if (a == NULL) {
		return UV_ENOMEM;
	}
	a->mark = n->mark;
	if (when != NULL) {
		rc = condition_of_selection(set, &a->when, when, c);
	}
	if (rc == 0) {
		/* From here on the expressions are freed with the set. */
		a->all = set->assets_all;
		set->assets_all = a;
		rc = read_change(a, n, c) ? 0 : ERR_MALFORMED;
	}
	if (rc == 0 && device != NULL) {
		rc = read_texts(set, &a->device, device, c);
	}
	*out = a;
	return rc;
}

/* Of a correlation and the like only the group is known. */
static bool in_group(const struct rule *r, unsigned field)
{
	for (unsigned i = 0; i < r->n_group; i++) {
		if (r->group[i] == field ||
		    (r->group[i] == FIELD_SOURCE_ADDRESS && field == FIELD_SOURCE_IP)) {
			return true;
		}
	}
	return r->type == CORRELATION_NONE && !rule_watches(r);
}

static bool check_fields(const struct rule *r, const struct asset *a, const struct doc_node *n,
			 const struct complain *c)
{
	for (uint32_t i = 0; i < a->when.n_matches; i++) {
		unsigned field = a->when.matches[i].field;

		if (!in_group(r, field)) {
			complain(c, n->mark, "of this rule only what it is grouped by is known, "
				 "and %s is not", rule_field_name(field));
			return false;
		}
	}
	return true;
}

int severity_read(struct ruleset *set, struct rule *r, const struct doc_node *n,
		  const struct complain *c)
{
	struct asset **tail = &r->assets;
	unsigned count = 0;

	if (n->kind != DOC_LIST || n->first == NULL) {
		complain(c, n->mark, "severity is a list of cases: when, and level, raise or "
			 "lower");
		return ERR_MALFORMED;
	}
	for (const struct doc_node *v = n->first; v != NULL; v = v->next) {
		const struct doc_node *rules = doc_find(v, "rules");
		struct asset *a;
		int rc = read_one(set, &a, v, c);

		rc = rc == 0 ? read_reason(set, a, doc_find(v, "reason"), "as the rule says", c)
			     : rc;
		if (rc != 0) {
			return rc;
		}
		if (rules != NULL || ++count > ENTRIES_MAX) {
			complain(c, rules != NULL ? rules->key_mark : v->mark, "%s",
				 rules != NULL ? "rules is for assets of all rules"
					       : "that many cases are too many");
			return ERR_MALFORMED;
		}
		if (!check_fields(r, a, v, c)) {
			return ERR_MALFORMED;
		}
		*tail = a;
		tail = &a->next;
	}
	return 0;
}

int asset_read(struct ruleset *set, const struct doc_node *root, const struct complain *c)
{
	const struct doc_node *n = doc_find(root, "asset"), *title = doc_find(root, "title");
	const struct doc_node *rules = doc_find(n, "rules"), *reason = doc_find(n, "reason");
	struct asset *a;
	int rc;

	if (title == NULL) {
		complain(c, root->mark, "the asset has no title");
		return ERR_MALFORMED;
	}
	rc = read_one(set, &a, n, c);
	if (rc == 0) {
		rc = read_reason(set, a, reason != NULL ? reason : title, "", c);
	}
	if (rc == 0 && rules != NULL) {
		rc = read_texts(set, &a->rules, rules, c);
	}
	if (rc != 0) {
		return rc;
	}
	a->file = arena_text(&set->arena, slice_str(c->file));
	if (a->file == NULL) {
		return UV_ENOMEM;
	}
	*set->assets_tail = a;
	set->assets_tail = &a->next;
	return 0;
}

/* ---- before the first line ---- */

/* No tag of the device is among those of the asset. */
static bool elsewhere(const struct detect *d, const struct asset *a)
{
	for (const struct filter_name *n = a->device; n != NULL; n = n->next) {
		for (size_t i = 0; i < d->tags.n; i++) {
			if (slice_eq(n->text, slice_str(d->tags.v[i]))) {
				return false;
			}
		}
	}
	return a->device != NULL;
}

void assets_compile(struct detect *d, const struct complain *c)
{
	struct complain at = *c;

	for (struct asset *a = d->set.assets_all; a != NULL; a = a->all) {
		a->off = elsewhere(d, a);
		at.file = a->file;
		for (const struct filter_name *n = a->rules; n != NULL; n = n->next) {
			bool found = false;

			for (const struct rule *r = d->set.first; r != NULL; r = r->next) {
				found = found || rule_is_named(r, n->text);
			}
			if (!found) {
				complain(&at, n->mark, "no rule has the name or id \"%s\", so that "
					 "this asset does not change its level", n->text.p);
			}
		}
	}
}

/* ---- judging ---- */

/* A record that says what the group says, and nothing else. */
static void record_of_group(const struct finding *f, struct record *out)
{
	struct ip ip;

	*out = (struct record){.observed_ns = f->last_ns};
	out->header.time_ns = TIME_NONE;
	for (size_t i = 0; i < f->n_group; i++) {
		struct slice value = f->group[i].value;
		int field = rule_field_find(f->group[i].name);

		if (field == RULE_FIELD_PROGRAM) {
			out->header.program = value;
		} else if (field == RULE_FIELD_HOST) {
			out->header.host = value;
		} else if (field >= 0 && field < FIELD_NR) {
			event_set(&out->event, (enum event_field)field, value);
		}
		if (field == FIELD_SOURCE_ADDRESS && ip_parse(value, &ip)) {
			event_set(&out->event, FIELD_SOURCE_IP, value);
		}
	}
}

static bool concerns(const struct asset *a, const struct rule *r)
{
	const struct filter_name *n = a->rules;

	while (n != NULL && !rule_is_named(r, n->text)) {
		n = n->next;
	}
	return !a->off && (a->rules == NULL || n != NULL);
}

static bool holds(struct detect *d, const struct asset *a, const struct record *r)
{
	return a->when.n_nodes == 0 || condition_all(&a->when, &a->when.root, 1, &d->ctx, r);
}

static enum severity changed(const struct asset *a, enum severity from)
{
	int to = a->level >= 0 ? a->level : (int)from + a->step;

	return to < 0 ? SEVERITY_INFORMATIONAL
	       : to > SEVERITY_CRITICAL ? SEVERITY_CRITICAL : (enum severity)to;
}

static const struct asset *first_that_holds(struct detect *d, const struct asset *a,
					    const struct rule *r, const struct record *record)
{
	while (a != NULL && (!concerns(a, r) || !holds(d, a, record))) {
		a = a->next;
	}
	return a;
}

void engine_severity(struct detect *d, const struct rule *r, struct finding *f)
{
	const struct asset *a;
	struct record group;
	const struct record *record = f->record;

	if (f->about != 0 && f->state == FINDING_END) {
		f->severity_was = r->severity; /* as it was told */
		return;
	}
	f->severity = f->severity_was = r->severity;
	if (r->assets == NULL && d->set.assets == NULL) {
		return;
	}
	if (!f->single) {
		record_of_group(f, &group);
		record = &group;
	}
	a = first_that_holds(d, r->assets, r, record);
	a = a != NULL ? a : first_that_holds(d, d->set.assets, r, record);
	if (a != NULL && changed(a, r->severity) != r->severity) {
		f->severity = changed(a, r->severity);
		f->severity_reason = a->reason;
	}
}
