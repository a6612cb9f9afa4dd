/* field: the names that rules use and the parts of a record that they mean.
 *
 * Names of the Elastic Common Schema (as common/event.h has them) and of Sigma's
 * Linux taxonomy mean the same fields; docs/rules.md has the table.  Pure.
 */
#ifndef DETECTORS_FIELD_H
#define DETECTORS_FIELD_H

#include "common/record.h"

/* Behind enum event_field: what is in a record but not in its event. */
enum rule_field {
	RULE_FIELD_OUTCOME = FIELD_NR, /* event.outcome */
	RULE_FIELD_PROGRAM,            /* process.name */
	RULE_FIELD_PID,                /* process.pid */
	RULE_FIELD_HOST,               /* host.hostname */
	RULE_FIELD_MESSAGE,            /* message: behind the header */
	RULE_FIELD_LINE,               /* the whole line: keywords */
	RULE_FIELD_NEVER, /* Sigma knows it, no line that is read has it */
	RULE_FIELD_NR,
};

/* The field of a name (enum event_field or enum rule_field), or -1.  Names
 * compare without case. */
int rule_field_find(struct slice name);
/* The ECS name of a field, as findings show it. */
const char *rule_field_name(unsigned id);
/* The known name that looks most like this one, or NULL. */
const char *rule_field_suggest(struct slice name);

/* true and *out when the record has the field.  source.address falls back on
 * source.ip, as ECS wants both filled. */
static inline bool rule_field_get(const struct record *r, unsigned id,
				  struct slice *out)
{
	const struct event *e = &r->event;

	if (id < FIELD_NR) {
		if (event_has(e, (enum event_field)id)) {
			*out = e->f[id];
			return true;
		}
		if (id == FIELD_SOURCE_ADDRESS && event_has(e, FIELD_SOURCE_IP)) {
			*out = e->f[FIELD_SOURCE_IP];
			return true;
		}
		return false;
	}
	switch (id) {
	case RULE_FIELD_OUTCOME:
		*out = slice_str(outcome_name(e->outcome));
		return e->outcome != OUTCOME_NONE;
	case RULE_FIELD_PROGRAM:
		*out = r->header.program;
		return out->n > 0;
	case RULE_FIELD_PID:
		*out = r->header.pid;
		return out->n > 0;
	case RULE_FIELD_HOST:
		*out = r->header.host;
		return out->n > 0;
	case RULE_FIELD_MESSAGE:
		*out = r->header.message.p != NULL ? r->header.message : r->line;
		return true;
	case RULE_FIELD_LINE:
		*out = r->line;
		return true;
	default:
		return false;
	}
}

#endif
