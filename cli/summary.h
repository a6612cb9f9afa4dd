/* summary: who attacked whom, how often, when, and how it ended, from records as they come.
 *
 * An attempt is what a record's event counts (event.attempts): its outcome says whether it
 * failed.  Who attempted it is the source's address, or name, or hardware address; on the
 * machine itself, whoever asked to be another (su, sudo).  Sums are exact.  Rows are exact as
 * long as there are at most SUMMARY_ROWS of a kind (see tally.h), and take 30 MiB at most.
 *
 * Pure but for memory; one thread.
 */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include "cli/axis.h"
#include "cli/distinct.h"
#include "cli/tally.h"
#include "common/finding.h"

enum {
	SUMMARY_ROWS = 8192,    /* sources, and as many targets */
	SUMMARY_SOURCE = 254,   /* bytes of a host's name */
	SUMMARY_USERS = 8,      /* of a source, by name; of programs and hosts 4 */
	SUMMARY_PLACES = 4,
	SUMMARY_DISTINCT = 64,  /* told apart exactly: users of a source, sources of a target */
	SUMMARY_ALL = 4096,     /* ... and of all */
	SUMMARY_NAME = 50,      /* bytes kept of a name */
	SUMMARY_RULES = 256,
};

/* A name and how many attempts it was in.  If there are more names than places, count is too
 * high, by `over` at most. */
struct summary_name {
	uint32_t hash;
	uint32_t count, over;
	uint8_t n;
	char text[SUMMARY_NAME];
};

static inline struct slice summary_name(const struct summary_name *v)
{
	return slice(v->text, v->n);
}

enum summary_kind { SUMMARY_IP, SUMMARY_ADDRESS, SUMMARY_MAC, SUMMARY_LOCAL };

struct summary_source {
	struct tally_row row; /* keep: it succeeded after it had failed */
	enum summary_kind kind;
	uint8_t n;
	char text[SUMMARY_SOURCE]; /* of SUMMARY_LOCAL: who asked, or empty */
	struct summary_name users[SUMMARY_USERS];
	struct summary_name programs[SUMMARY_PLACES], hosts[SUMMARY_PLACES];
	uint32_t user_hashes[SUMMARY_DISTINCT], n_users;
	uint32_t pieces[AXIS_PIECES]; /* failures */
	int64_t first_failed_ns, last_succeeded_ns; /* or TIME_NONE */
	struct summary_name last_user; /* that succeeded */
	/* The first success after a failure: when, as whom, and after how many. */
	int64_t in_ns;
	struct summary_name in_user;
	uint64_t in_after;
};

struct summary_target {
	struct tally_row row;
	struct summary_name user, program, host;
	uint32_t source_hashes[SUMMARY_DISTINCT], n_sources;
};

struct summary_rule {
	char id[40], title[96];
	enum severity severity;
	uint64_t alerts, events;
	int64_t first_ns, last_ns;
};

struct summary {
	uint64_t failed, succeeded;
	int64_t first_ns, last_ns; /* of attempts, or TIME_NONE */
	uint64_t unplaced;         /* failures without a piece of the axis */
	struct axis axis;
	uint32_t pieces[AXIS_PIECES]; /* failures */
	struct tally sources, targets;
	uint32_t sources_seen[SUMMARY_ALL], n_sources; /* those that failed at least once */
	uint32_t users_seen[SUMMARY_ALL], n_users;     /* that were tried in vain */
	uint32_t hosts_seen[SUMMARY_ALL], n_hosts;
	uint32_t targets_seen[SUMMARY_ALL], n_targets;
	struct summary_rule rules[SUMMARY_RULES];
	size_t n_rules;
	uint64_t alerts, other_alerts; /* all; those of rules beyond the room */
};

/* UV_ENOMEM. */
int summary_new(struct summary **out);
/* NULL allowed. */
void summary_free(struct summary *s);

/* A record that was judged.  timed: its stamp is believed. */
void summary_record(struct summary *s, const struct record *r, bool timed);
/* An alert that is raised, and the final count and times of one. */
void summary_alert(struct summary *s, const struct finding *f);
void summary_alert_end(struct summary *s, const struct finding *f);

/* "failed", "succeeded", or "success_after_failures". */
const char *summary_result(const struct summary_source *s);

static inline struct distinct summary_users(struct summary_source *s)
{
	return (struct distinct){s->user_hashes, &s->n_users, SUMMARY_DISTINCT};
}

static inline struct distinct summary_target_sources(struct summary_target *t)
{
	return (struct distinct){t->source_hashes, &t->n_sources, SUMMARY_DISTINCT};
}

#endif
