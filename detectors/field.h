/* field: the names that rules use and the parts of a record that they mean.
 *
 * Names of the Elastic Common Schema (as common/event.h has them) and of Sigma's
 * Linux taxonomy mean the same fields; docs/rules.md has the table.  Pure.
 */
#ifndef DETECTORS_FIELD_H
#define DETECTORS_FIELD_H

#include "common/record.h"
#include "detectors/audit.h"

/* Behind enum event_field: what is in a record but not in its event. */
enum rule_field {
	RULE_FIELD_OUTCOME = FIELD_NR, /* event.outcome */
	RULE_FIELD_PROGRAM,            /* process.name */
	RULE_FIELD_PID,                /* process.pid */
	RULE_FIELD_HOST,               /* host.hostname */
	RULE_FIELD_MESSAGE,            /* message: behind the header */
	RULE_FIELD_LINE,               /* the whole line: keywords */
	RULE_FIELD_IMAGE,              /* process.executable, or the command's path */
	RULE_FIELD_NETWORK,            /* source.network: its /24 or /64 */
	RULE_FIELD_HOUR,               /* event.hour: 00 ... 23 */
	RULE_FIELD_TIME,               /* @timestamp; only match_record() has it */
	/* Of source.ip, from databases; rule_field_place() has them. */
	RULE_FIELD_COUNTRY,
	RULE_FIELD_LOCATION,
	RULE_FIELD_AS_NUMBER,
	RULE_FIELD_AS_ORGANIZATION,
	RULE_FIELD_NEVER, /* Sigma knows it, no line that is read has it */
	RULE_FIELD_AUDIT, /* the first of auditd's own, detectors/audit.h */
	RULE_FIELD_NR = RULE_FIELD_AUDIT + AUDIT_FIELDS,
};
_Static_assert(RULE_FIELD_NR <= UINT8_MAX, "rules keep a field in a byte");

/* The field of a name (enum event_field or enum rule_field), or -1.  Names
 * compare without case. */
int rule_field_find(struct slice name);
/* The name as the table has it, of one that rule_field_find() knows. */
const char *rule_field_spelled(struct slice name);
/* The ECS name of a field, as findings show it. */
const char *rule_field_name(unsigned id);
/* The known name that looks most like this one, or NULL. */
const char *rule_field_suggest(struct slice name);

/* Whether it is looked up in a database of places, and what such must tell for it: enum
 * geo_part, or 0. */
static inline bool rule_field_is_place(unsigned id)
{
	return id >= RULE_FIELD_COUNTRY && id <= RULE_FIELD_AS_ORGANIZATION;
}
unsigned rule_field_parts(unsigned id);
struct refer;
/* refer may be NULL.  The text lives until another address is looked up. */
bool rule_field_place(struct refer *refer, const struct record *r, unsigned id,
		      struct slice *out);

/* Whether any parser gives the event's field; another never is there. */
bool rule_field_is_read(unsigned id);

static inline struct slice rule_message(const struct record *r)
{
	return r->header.message.p != NULL ? r->header.message : r->line;
}

/* The program that wrote the line; auditd's own files do not name it, and what the kernel
 * tells for it is the program "audit". */
static inline struct slice rule_program(const struct record *r)
{
	struct slice program = r->header.program;

	if (program.n == 0 && r->header.format == HEADER_OTHER && audit_is(r->line)) {
		return SLICE_LIT("auditd");
	}
	/* Where no auditd runs, the kernel's log has its records. */
	if (slice_eq_short(program, SLICE_LIT("kernel")) &&
	    slice_starts(r->header.message, SLICE_LIT("audit: type="))) {
		return SLICE_LIT("audit");
	}
	return program;
}

/* The executable, where the line tells it; else the command, when it has a path. */
static inline bool rule_field_image(const struct event *e, struct slice *out)
{
	if (event_has(e, FIELD_PROCESS_EXECUTABLE)) {
		*out = e->f[FIELD_PROCESS_EXECUTABLE];
		return true;
	}
	*out = event_get(e, FIELD_PROCESS_COMMAND_LINE);
	*out = slice_head(*out, slice_chr(*out, ' '));
	return out->n > 0 && out->p[0] == '/';
}

/* The text of source.ip that names its network. */
bool rule_field_network(const struct event *e, struct slice *out);
/* The hour on a clock that is so far east of Greenwich. */
bool rule_field_hour(const struct record *r, int32_t offset_s, struct slice *out);

/* true and *out when the record has the field.  source.address falls back on
 * source.ip, as ECS wants both filled.  event.hour is that of UTC here: only the engine knows
 * the device's zone. */
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
		*out = rule_program(r);
		return out->n > 0;
	case RULE_FIELD_PID:
		*out = r->header.pid;
		return out->n > 0;
	case RULE_FIELD_HOST:
		*out = r->header.host;
		return out->n > 0;
	case RULE_FIELD_MESSAGE:
		*out = rule_message(r);
		return true;
	case RULE_FIELD_LINE:
		*out = r->line;
		return true;
	case RULE_FIELD_IMAGE:
		return rule_field_image(e, out);
	case RULE_FIELD_NETWORK:
		return rule_field_network(e, out);
	case RULE_FIELD_HOUR:
		return rule_field_hour(r, 0, out);
	default:
		return id >= RULE_FIELD_AUDIT && audit_get(rule_message(r), id - RULE_FIELD_AUDIT,
							   NULL, out);
	}
}

#endif
