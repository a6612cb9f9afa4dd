/* fresh: values that first_seen rules found to be new, while a late line may still show that
 * they are not, or that another line was the first.
 *
 * Lines of one value (and of one group) make runs: each follows another within `forget`,
 * which is at least the lateness.  Only the first line of a run can be news, and only when
 * the run of its group has lasted for the learning period.  So of each run that began
 * within the lateness its first line is remembered here, and how long ago the run before
 * it ended: a late line can only move a beginning to an earlier time or join two runs.
 * When the watermark has passed the first line, nothing can change it any more.
 *
 * Memory    Some 120 bytes and the group's values (256 bytes each at most) a value, at most
 *           FRESH_MAX, and as many runs of groups.  When there are more, the one that
 *           will be certain first stays as it was told, and that is counted as forgotten.
 * Not thread-safe.
 */
#ifndef DETECTORS_FRESH_H
#define DETECTORS_FRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/finding.h"
#include "common/slice.h"

enum { FRESH_MAX = 1024 };

struct detect;
struct rule;
struct waiting;

/* A run of a value that may still change. */
struct fresh {
	const struct rule *rule;
	uint64_t value, group; /* in the table of what was seen (seen.h) */
	int64_t t_ms;          /* of its first line */
	uint64_t line;         /* which one that is, of those at that time: a hash of it */
	uint32_t before_s;     /* when the run before it ended; 0: there is none */
	bool news;             /* told, unless the rule does not alert */
	uint8_t shown;         /* bit i: the line has the i-th field of the group */
	uint8_t severity;      /* as told last */
	uint64_t about;        /* what it was first told of: the hash of the line ... */
	int64_t since_ms;      /* and its time */
	uint64_t evidence;     /* chain in the ring */
	char *texts;           /* the group's values, each with a length in front */
	uint32_t texts_n;
};

/* A run of a group that began where another was over. */
struct fresh_group {
	uint64_t group;
	int64_t t_ms;
	uint32_t was_first_s, was_last_s;
};

struct freshes {
	struct fresh *v;
	struct fresh_group *groups;
	uint32_t n, room, n_groups, room_groups;
	uint64_t forgotten;
};

void freshes_fini(struct freshes *f);
/* The record at hand, of a rule with first_seen: tells what it makes new, or another, and
 * brings it to those who name the rule. */
void fresh_event(struct detect *d, const struct rule *r);
/* Whether an event that waited is news, now that nothing can change it any more. */
bool fresh_stands(const struct detect *d, const struct waiting *w);
/* Forgets what is certain. */
void freshes_sweep(struct detect *d);

/* The value's entry, emptied, or a new one; NULL: no memory. */
struct fresh *fresh_place(struct detect *d, uint64_t value);
void fresh_keep_group(struct detect *d, struct fresh_group run);
/* The fields of the group that the rule's alerts show; how many. */
size_t fresh_group_fields(const struct rule *r, const uint8_t **fields);

/* fresh_state.c: the section of the saved state, which has the events that wait for it as well.  0,
 * UV_ENOMEM; restoring also ERR_MALFORMED. */
int freshes_save(const struct detect *d, struct buf *out);
int freshes_restore(struct detect *d, struct slice section);

#endif
