/* finding: what a detector saw, before it is made fit for people.
 *
 * Handed from detectors/ to alerts/ by a call; every slice is borrowed for that
 * call.  A finding is identified by (rule id, group, since_ns): the same lines
 * give the same identity, live or in replay.
 */
#ifndef COMMON_FINDING_H
#define COMMON_FINDING_H

#include "common/record.h"

enum severity { SEVERITY_INFORMATIONAL, SEVERITY_LOW, SEVERITY_MEDIUM,
		SEVERITY_HIGH, SEVERITY_CRITICAL };

enum finding_state {
	FINDING_NEW,    /* the rule's condition became true */
	FINDING_UPDATE, /* more of the same, under the same identity */
	FINDING_END,    /* it fell silent: the final count, under the same
			 * identity; record is NULL.  A count of 0: a late line
			 * showed it to be part of an earlier one, which counts it */
};

struct finding_field {
	struct slice name;  /* ECS name or alias, e.g. "source.ip" */
	struct slice value;
};

/* Where a line stands in which something was masked: it is in the machine's own log as it
 * was. */
struct finding_place {
	struct stream_id stream;
	uint64_t start;
};

enum { FINDING_NOTE = 96 }; /* bytes of a note, with its NUL */

/* A list of the user's that the line stands in. */
struct finding_list {
	const char *name;
	const char *source;  /* where its file says that it comes from; "": it does not */
	int64_t changed_ns;  /* when the file was last changed */
};

enum { FINDING_LISTS = 4 };

struct finding {
	enum finding_state state;
	const char *rule_id;      /* Sigma id (UUID text) */
	const char *rule_title;
	const char *rule_description;
	const char *const *tags;  /* "attack.t1110.001" ..., NULL-terminated */
	enum severity severity;
	enum severity severity_was;  /* the rule's */
	const char *severity_reason; /* why it is another, or NULL */
	uint64_t cooldown_ns;     /* by event time; 0: none */
	const struct finding_field *group; /* group-by values, in the rule's order */
	size_t n_group;
	int64_t first_ns, last_ns; /* event time of first and last line counted */
	int64_t since_ns;          /* first_ns as it was when the finding was
				    * new: a late line may move first_ns, but
				    * never the identity */
	bool open;                 /* updates and an end will follow */
	bool single;               /* about one line: the line is part of what
				    * identifies it */
	uint64_t about;            /* not 0: of what is new for its rule.  Which line was
				    * told first: a part of what identifies it.  The
				    * end with the count 0: a late line showed that
				    * it was not new */
	const char *usual;         /* what was usual, of a rule that learns that; or NULL */
	uint64_t count;            /* attempts (events) counted so far */
	const struct record *record; /* the line that made it true, or NULL */
	/* Earlier lines kept as evidence, oldest first (redacted text). */
	const struct slice *evidence;
	size_t n_evidence;
	/* Of these and of the record, when the finding is new; oldest first. */
	const struct finding_place *masked;
	size_t n_masked;
	/* Those that the rule asks for and that the record is in. */
	const struct finding_list *lists;
	size_t n_lists;
};

/* "informational" ... "critical" (Sigma's levels). */
const char *severity_name(enum severity s);
/* Or -1. */
int severity_parse(struct slice name);

#endif
