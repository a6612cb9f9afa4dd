/* rule: what a Sigma rule or correlation is once it is read.
 *
 * Built by load.c from one YAML document, joined by compile.c, and then never
 * changed but for the mark of the literal scan.  Everything hangs on the arena of
 * the struct ruleset, except compiled expressions, which ruleset_fini() frees.
 */
#ifndef DETECTORS_RULE_H
#define DETECTORS_RULE_H

#include "common/doc.h"
#include "common/finding.h"
#include "detectors/arena.h"
#include "detectors/detect.h"
#include "detectors/match.h"
#include "detectors/placeholder.h"

static const struct doc_limits rule_limits = {.depth = 16, .nodes = 20000};

enum {
	RULE_NODES = 8192,      /* in one rule's condition */
	RULE_DEPTH = 32,        /* of brackets in a condition */
	RULE_SELECTIONS = 128,
	RULE_GROUP_BY = 4,
	RULE_REFS = 8,          /* rules that a correlation names */
	RULE_TAGS = 32,
	RULESET_MAX = 8192,
	SCHEDULE_SPANS = 8,
};

enum node_op { NODE_AND, NODE_OR, NODE_NOT, NODE_MATCH };

/* A condition as a graph: selections are shared by all who name them. */
struct node {
	uint8_t op;
	uint16_t n;     /* children (NODE_MATCH: unused) */
	uint32_t first; /* kids[first ...]; NODE_MATCH: index of the match */
};

struct condition {
	struct node *nodes;
	uint16_t *kids;
	struct match *matches;
	uint32_t n_nodes, n_kids, n_matches;
	uint16_t root;
};

/* What `logsource` says; what it does not say is empty. */
struct logsource {
	struct slice product, category, service;
};

/* nightjar.first_seen: fire only for what this group has not shown before. */
struct first_seen {
	bool on;
	uint8_t fields[RULE_GROUP_BY];
	uint8_t n_fields;
	uint8_t per[RULE_GROUP_BY];
	uint8_t n_per;
	int64_t learning_ms;
	int64_t forget_ms;
};

/* nightjar.travel: fire when two lines of a group come from places too far apart. */
struct travel {
	bool on;
	uint32_t speed_kmh;
	uint32_t distance_km;
};

/* nightjar.schedule: the hours of the week in which a rule holds. */
struct schedule {
	uint8_t n;       /* 0: always */
	uint8_t days;    /* bit 0: Monday */
	bool outside;    /* it holds at all other times */
	bool fixed;      /* by offset_s, not by the device's zone */
	int32_t offset_s;
	struct {
		uint16_t from, to; /* minutes of the day; to is not part of it */
	} spans[SCHEDULE_SPANS];
};

/* nightjar.rate: tells of an hour with many more events than usual, or many fewer.  Factors
 * are in thousandths; 0: not asked for. */
struct rate {
	uint8_t cells; /* averages of a group: 1, 24 or 168; 0: no such rule */
	int64_t above, below;
	uint64_t minimum;
	int64_t learning_ms, forget_ms;
};

/* nightjar.silence whose length is learned. */
struct usual_pause {
	uint8_t days; /* whose longest pauses are remembered; 0: the length is given */
	uint8_t percentile;
	int64_t factor; /* thousandths */
	int64_t least_ms, most_ms, learning_ms;
};

enum correlation_type {
	CORRELATION_NONE, /* a plain rule */
	CORRELATION_EVENT_COUNT,
	CORRELATION_VALUE_COUNT,
	CORRELATION_VALUE_SUM,
	CORRELATION_VALUE_AVG,
	CORRELATION_VALUE_PERCENTILE,
	CORRELATION_TEMPORAL,
	CORRELATION_TEMPORAL_ORDERED,
};

/* What a count (of value_sum, value_avg and value_percentile: in thousandths) must
 * be: all that are set. */
struct count_range {
	int64_t min, max; /* INT64_MAX: no upper bound */
	bool above;       /* more than min, not min itself */
	bool below;       /* less than max */
	bool excepts;     /* and not `not` */
	int64_t not;
};

struct reference {
	struct slice name; /* id or name, as the rule has it */
	struct doc_mark mark;
	struct rule *rule; /* after compile */
	uint8_t group[RULE_GROUP_BY]; /* field of each group-by in its events */
	uint8_t value[RULE_GROUP_BY]; /* field of each value in its events */
};

/* One who wants to hear when a rule matches. */
struct listener {
	struct rule *rule;
	uint8_t stage;
	struct listener *next;
};

struct rule {
	const char *id, *name, *title, *description;
	const char *const *tags; /* NULL-terminated */
	enum severity severity;
	uint64_t cooldown_ns;
	const char *file;
	struct doc_mark mark;
	uint32_t index;  /* in the ruleset, the order of loading */
	bool alerts;     /* calls back by itself */
	bool off;        /* refused at compile */
	bool generate;   /* correlation: the rules it names alert as well */

	/* Plain rules. */
	struct condition condition;
	struct logsource source;
	bool aside;        /* it asks for places, and no database is named: never tried */
	const char *never; /* the field that no line has and that it needs, or NULL */
	uint64_t needs;    /* event fields without which it can't be true */
	uint8_t outcomes;  /* bit x: it may be true with enum outcome x */
	/* The condition as far as needs, outcomes and the dispatch leave it open;
	 * NULL: they say it all.  The first n_decided depend on the record's class alone
	 * (verdict.h). */
	const uint16_t *rest;
	uint16_t n_rest, n_decided;
	/* It can only be true for a line that holds one of some words; the scan for
	 * them sets hit to the number of the record. */
	bool by_literal;
	bool by_reason; /* what the class leaves open asks for event.reason alone */
	bool counted_only; /* it has listeners, and nothing else is to be done */
	bool dispatched; /* in a bucket or list; else only the scan finds it */
	uint64_t hit;
	struct first_seen first_seen;
	struct schedule schedule;
	struct travel travel;
	/* nightjar.silence: tells when nothing matches for so long, or at most so long when
	 * it is learned; 0: no. */
	int64_t silence_ms;
	struct usual_pause usual_pause;
	struct rate rate;
	uint8_t group[RULE_GROUP_BY]; /* fields shown and counted by */
	struct slice group_names[RULE_GROUP_BY];
	uint8_t n_group;

	/* Correlations. */
	enum correlation_type type;
	struct reference refs[RULE_REFS];
	uint8_t n_refs;
	int64_t timespan_ms;
	struct count_range range;
	bool weigh_attempts; /* an event counts event.attempts times */
	/* More events may make it false again: it judges events in the order of
	 * their times, when no earlier one can come any more. */
	bool waits;
	bool quick;          /* count_quickly() may do */
	uint8_t n_value;     /* fields of condition.field */
	uint8_t percentile;  /* nearest rank; 0: the share of the event's value */
	uint8_t level;       /* 0: plain; else above all that it names */

	uint64_t salt; /* hashes what the counting depends on: keys of windows */
	uint64_t salted; /* engine_mix(salt, 0) */
	struct asset *assets; /* nightjar.severity, in its order */
	struct listener *listeners;
	struct rule *next;
};

/* Whether it watches its groups, instead of telling of lines. */
static inline bool rule_watches(const struct rule *r)
{
	return r->silence_ms > 0 || r->rate.cells > 0;
}

struct filter_name {
	struct slice text; /* NUL behind it */
	struct doc_mark mark;
	struct filter_name *next;
};

/* Changes the level of alerts about some machines, users, addresses (asset.c). */
struct asset {
	struct condition when;      /* without nodes: always */
	struct filter_name *device; /* one of these tags; NULL: any device */
	struct filter_name *rules;  /* NULL: all */
	int8_t level;               /* enum severity, or -1: by so many steps */
	int8_t step;
	bool off;                   /* not about this device */
	const char *reason, *file;
	struct doc_mark mark;
	struct asset *next;         /* of the rule, or of all documents */
	struct asset *all;          /* in struct ruleset */
};

/* A document that narrows rules of other documents. */
struct filter {
	struct condition condition;
	struct logsource source;
	struct filter_name *names; /* of the rules */
	const char *file;
	struct filter *next;
};

struct ruleset {
	struct arena arena;
	struct rule *first, **tail;
	struct filter *filters, **filters_tail;
	struct asset *assets, **assets_tail; /* of documents */
	struct asset *assets_all;            /* and of rules, also refused ones */
	const struct placeholders *placeholders;
	const struct refer *refer; /* whose lists "%Name%" may be; or NULL */
	uint32_t n;
};

/* placeholders is borrowed as long as rules are read. */
void ruleset_init(struct ruleset *s, const struct placeholders *placeholders);
void ruleset_fini(struct ruleset *s);

/* Whoever loads hears of mistakes in this way. */
struct complain {
	const char *file;
	detect_error_cb cb;
	void *arg;
};
void complain(const struct complain *c, struct doc_mark at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Builders of one condition; load.c and condition.c. */
struct building {
	struct ruleset *set;
	const struct complain *complain;
	bool is_filter;
	struct condition c; /* with room for RULE_NODES, RULE_NODES * 2 kids ... */
	struct {
		struct slice name;
		uint16_t node;
	} selections[RULE_SELECTIONS];
	unsigned n_selections;
};

/* -1 and complains at mark when the rule has grown too large. */
int building_match(struct building *b, const struct match *m,
		   struct doc_mark at);
int building_join(struct building *b, enum node_op op, const uint16_t *kids,
		  size_t n, struct doc_mark at);

/* Reads Sigma's condition language (2.1, "Condition") in text, which stands at
 * mark.  Returns a node, or -1 after complaining. */
int condition_parse(struct building *b, struct slice text, struct doc_mark mark);

/* Reads a selection (2.1, "Search-Identifier").  Returns a node or -1. */
int selection_read(struct building *b, const struct doc_node *n);
/* Reads `logsource` into a node that narrows the condition; -1 after
 * complaining, -2 when it narrows nothing. */
int logsource_read(struct building *b, const struct doc_node *n);

/* Copies the names in `logsource`; ERR_MALFORMED after complaining; UV_ENOMEM. */
int logsource_names(struct ruleset *set, struct logsource *out, const struct doc_node *n,
		    const struct complain *complain);

/* Reads selections and their condition, and narrows that by the logsource `source` (NULL: by
 * none), into *out on the arena.  ERR_MALFORMED after complaining; UV_ENOMEM. */
int condition_read(struct ruleset *set, struct condition *out, const struct doc_node *detection,
		   const struct doc_node *source, const struct complain *complain);
/* The same for one selection. */
int condition_of_selection(struct ruleset *set, struct condition *out, const struct doc_node *n,
			   const struct complain *complain);
void condition_fini(struct condition *c);

/* Checks the fields that describe a rule; false after complaining. */
bool meta_check(const struct doc_node *root, const struct complain *complain);

/* Adds the filter of one document; same returns as rule_read(). */
int filter_read(struct ruleset *set, const struct doc_node *root,
		const struct complain *complain);

/* asset.c: adds the asset of one document; nightjar.severity of a rule.  Same returns. */
int asset_read(struct ruleset *set, const struct doc_node *root,
	       const struct complain *complain);
int severity_read(struct ruleset *set, struct rule *r, const struct doc_node *n,
		  const struct complain *complain);

/* Whether this is the rule's id or its name. */
static inline bool rule_is_named(const struct rule *r, struct slice name)
{
	return slice_eq(name, slice_str(r->id)) ||
	       (r->name[0] != '\0' && slice_eq(name, slice_str(r->name)));
}

/* Adds the rule or filter of one document.  0; ERR_MALFORMED after complaining;
 * UV_ENOMEM. */
int rule_read(struct ruleset *set, const struct doc_node *root,
	      const struct complain *complain);

/* Reads the correlation and the nightjar sections; same returns. */
int correlation_read(struct ruleset *set, struct rule *r,
		     const struct doc_node *n, const struct complain *complain);
int extension_read(struct ruleset *set, struct rule *r,
		   const struct doc_node *n, const struct complain *complain);

/* watching.c: nightjar.silence and nightjar.rate; false after complaining. */
bool silence_read(struct rule *r, const struct doc_node *n, const struct complain *c);
bool rate_read(struct rule *r, const struct doc_node *n, const struct complain *c);
/* "7d", or "0"; NULL leaves *ms as it is.  false after complaining. */
bool rule_span(const struct doc_node *n, int64_t *ms, const struct complain *c);

/* Complains of keys of the mapping that are not in the list. */
bool rule_known_keys(const struct doc_node *n, const char *const *keys,
		     const struct complain *complain);

/* "90m": a whole number and s, m, h or d.  false: anything else, or longer than
 * ten years. */
bool rule_timespan(struct slice s, int64_t *ms);

/* A list of field names, or one. -1 after complaining, else how many. */
int rule_fields(const struct doc_node *n, uint8_t out[static RULE_GROUP_BY],
		const struct complain *complain);

/* Whether the record makes all of these nodes true. */
bool condition_all(const struct condition *c, const uint16_t *nodes, size_t n,
		   struct match_ctx *ctx, const struct record *r);

#endif
