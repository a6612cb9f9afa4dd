#include <stdio.h>

#include "detectors/engine.h"
#include "detectors/implied.h"

/* What a rule's loading came to, for people. */

static const char *kind_of(const struct rule *r)
{
	static const char *const kinds[] = {
		[CORRELATION_NONE] = "rule",
		[CORRELATION_EVENT_COUNT] = "event_count",
		[CORRELATION_VALUE_COUNT] = "value_count",
		[CORRELATION_VALUE_SUM] = "value_sum",
		[CORRELATION_VALUE_AVG] = "value_avg",
		[CORRELATION_VALUE_PERCENTILE] = "value_percentile",
		[CORRELATION_TEMPORAL] = "temporal",
		[CORRELATION_TEMPORAL_ORDERED] = "temporal_ordered",
	};

	return r->travel.on	      ? "travel"
	       : r->rate.cells > 0    ? "rate"
	       : r->silence_ms > 0    ? "silence"
				      : kinds[r->type];
}

/* The first value of the dispatch that leads to the rule, and "..." when there are
 * more. */
static bool tried_by_value(const struct dispatch *dp, const struct rule *r, struct buf *out)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < dp->n_buckets; i++) {
		const struct bucket *b = &dp->buckets[i];

		for (uint32_t k = 0; b->field != UINT8_MAX && k < b->list.n; k++) {
			if (dp->rules[b->list.first + k] == r && n++ < 3) {
				(void)buf_printf(out, "%s%s %.*s", n == 1 ? "" : ", ",
						 rule_field_name(b->field), (int)b->value.n,
						 b->value.p);
			}
		}
	}
	if (n > 3) {
		(void)buf_printf(out, ", ...");
	}
	return n > 0;
}

static void tried(const struct detect *d, const struct rule *r, struct buf *out)
{
	const char *words = r->by_literal ? " that hold one of its words" : "";

	buf_clear(out);
	if (r->off || r->type != CORRELATION_NONE || r->never != NULL || r->aside) {
		return;
	}
	if (tried_by_value(&d->dispatch, r, out)) {
		(void)buf_printf(out, "%s", words);
	} else if (r->by_literal && (r->needs >> FIELD_PROCESS_COMMAND_LINE & 1) != 0) {
		(void)buf_printf(out, "commands%s", words);
	} else if (r->needs != 0) {
		(void)buf_printf(out, "lines with %s%s",
				 rule_field_name(63u - (unsigned)__builtin_clzll(r->needs)),
				 words);
	} else {
		(void)buf_printf(out, r->by_literal ? "lines%s" : "every line", words);
	}
}

static unsigned parts_of(const uint8_t *fields, size_t n)
{
	unsigned parts = 0;

	for (size_t i = 0; i < n; i++) {
		parts |= rule_field_parts(fields[i]);
	}
	return parts;
}

/* What it can't be true without, and is not there.  A correlation waits when all that it
 * counts does, or what it counts by. */
static const char *waits_for(const struct detect *d, const struct rule *r)
{
	unsigned parts = refer_parts(d->ctx.refer), wanted = 0;
	const char *what = implied_waits(&r->condition, parts), *of_refs = NULL;

	if (r->first_seen.on) {
		wanted = parts_of(r->first_seen.fields, r->first_seen.n_fields) |
			 parts_of(r->first_seen.per, r->first_seen.n_per);
	}
	wanted |= r->travel.on ? GEO_PLACE : 0;
	wanted |= rule_watches(r) ? parts_of(r->group, r->n_group) : 0;
	for (unsigned i = 0; i < r->n_refs; i++) {
		wanted |= parts_of(r->refs[i].group, r->n_group) |
			  parts_of(r->refs[i].value, r->n_value);
		if (r->refs[i].rule != NULL && (i == 0 || of_refs != NULL)) {
			of_refs = waits_for(d, r->refs[i].rule);
		}
	}
	what = what != NULL ? what : implied_database(wanted & ~parts);
	return what != NULL ? what : of_refs;
}

void detect_rules(const struct detect *d, detect_rule_cb cb, void *arg)
{
	struct buf text;

	buf_init(&text, 4096);
	for (const struct rule *r = d->set.first; r != NULL; r = r->next) {
		struct detect_rule out = {
			.id = r->id, .title = r->title, .file = r->file, .line = r->mark.line,
			.severity = r->severity, .kind = kind_of(r), .active = !r->off,
			.alerts = r->alerts,
			.never = r->never,
		};

		out.waits = r->off || r->never != NULL ? NULL : waits_for(d, r);
		tried(d, r, &text);
		out.tried = buf_add_u8(&text, 0) == 0 ? text.p : "";
		cb(arg, &out);
	}
	buf_fini(&text);
}
