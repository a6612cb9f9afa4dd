#include <stdio.h>

#include "detectors/engine.h"

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

	return r->rate.cells > 0 ? "rate" : r->silence_ms > 0 ? "silence" : kinds[r->type];
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
	if (r->off || r->type != CORRELATION_NONE || r->never != NULL) {
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

		tried(d, r, &text);
		out.tried = buf_add_u8(&text, 0) == 0 ? text.p : "";
		cb(arg, &out);
	}
	buf_fini(&text);
}
