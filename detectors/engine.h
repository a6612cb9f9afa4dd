/* engine: the inside of struct detect, shared by the files that implement it.
 *
 * detect.c loads rules; resolve.c and compile.c make them ready; judge.c takes
 * records in and hands findings out; keyed.c hashes; correlate.c brings events to the correlations,
 * which count.c and temporal.c judge; order.c keeps those that must wait for their
 * turn; fresh.c finds what is new, and what a late line shows not to be;
 * silence.c and rate.c watch for what does not come, or too often; travel.c measures
 * distances; state.c saves.
 */
#ifndef DETECTORS_ENGINE_H
#define DETECTORS_ENGINE_H

#include "common/siphash.h"
#include "detectors/field.h"
#include "detectors/fresh.h"
#include "detectors/literals.h"
#include "detectors/measure.h"
#include "detectors/order.h"
#include "detectors/refer.h"
#include "detectors/ring.h"
#include "detectors/rule.h"
#include "detectors/seen.h"
#include "detectors/verdict.h"
#include "detectors/window.h"

/* rules[first ... first + n - 1] of the dispatch. */
struct dispatch_list {
	uint32_t first, n;
};

/* Rules that are worth trying on a record with this value in this field. */
struct bucket {
	struct slice value; /* lower case */
	struct dispatch_list list;
	uint8_t field;      /* or UINT8_MAX: the slot is free */
};

struct dispatch {
	struct bucket *buckets; /* open addressing; built once, never grows */
	uint32_t n_buckets;     /* power of two, or 0 */
	uint64_t sieve[3];      /* which values may have a bucket; by field */
	uint64_t field_mask;    /* fields that have a list of their own */
	struct dispatch_list by_field[FIELD_NR], always;
	struct rule **rules;
	struct literals *literals; /* in lines; NULL: no rule has any */
	struct literals *commands; /* in commands and their programs; likewise */
	struct literals *urls; /* in paths and clients' names of requests; likewise */
};

enum { ASKS_MAX = 12, KEPT_LOG = 9, KEPT_BYTES = 55 };

struct ask {
	const struct listener *listener;
	uint64_t hash;              /* of the group */
	const struct slice *values; /* of the group; NULL: what the record has */
};

/* Events of a correlation at one time. */
struct emission {
	int64_t t_ms;
	uint64_t weight; /* all together */
	uint64_t lines;
	bool own; /* it is the record at hand */
};

struct detect {
	int64_t lateness_ms, ahead_ns;
	struct strlist disabled, tags; /* owned copies */
	uint8_t key[16];
	struct placeholders placeholders;
	struct ruleset set;
	struct rule **correlations; /* by level */
	uint32_t n_correlations;
	struct dispatch dispatch;
	struct rule **matched; /* room for every plain rule */
	bool compiled;
	struct match_ctx ctx;
	struct windows windows;
	struct seen seen;
	struct freshes fresh;
	struct order order;
	struct measure measure;
	struct ring ring;
	size_t ring_bytes;
	uint32_t learned_max; /* groups that learn what is usual */
	int64_t newest_ms; /* greatest event time believed, or TIME_NONE */
	int64_t swept_ms;  /* of it when memory was last given back, or TIME_NONE */
	struct detect_stats stats;

	struct verdict verdicts[VERDICTS];

	/* Hashes of values without a rule's salt: many correlations and lines share them. */
	struct kept {
		uint64_t hash;
		uint8_t n_and_one; /* length + 1, hashed in front of the bytes; 0: free */
		char bytes[KEPT_BYTES];
	} kept[1 << KEPT_LOG];

	/* During one call. */
	detect_cb cb;
	void *arg;
	const struct record *record; /* NULL in detect_advance() */
	int64_t t_ms;                /* its event time */
	uint64_t line_at;            /* of its line in the ring, or RING_NOWHERE */
	size_t n_matched;
	/* What it is news of while those who count it are told; 0: of nothing. */
	uint64_t fresh_value, fresh_line;
	/* What rules have asked of the record, by field. */
	struct asked {
		uint64_t record; /* stats.records when it was looked up */
		uint64_t hash;
		struct slice value;
		bool there;
	} asked[RULE_FIELD_NR];
	/* What the first n_asked of the matched rules will ask of which groups:
	 * hashed ahead, so that the memory is on its way. */
	struct ask asks[ASKS_MAX];
	uint8_t asks_of[ASKS_MAX + 1]; /* of matched rule i: how many, all told */
	size_t n_asked;
	/* Events of correlations that others name, to be handed on. */
	struct emission *emissions;
	size_t n_emissions, room_emissions;
};

/* Of the ASCII-lowered value; no key, since only rules are in the table. */
static inline uint32_t dispatch_hash(struct slice value, unsigned field)
{
	const uint32_t low = UINT32_C(0x20202020);
	uint32_t a = 0, b = 0;

	/* Beginning and end tell names apart; what is equal here is compared. */
	if (value.n >= 4) {
		memcpy(&a, value.p, 4);
		memcpy(&b, value.p + value.n - 4, 4);
	} else {
		for (size_t i = 0; i < value.n; i++) {
			a = a << 8 | (uint8_t)value.p[i];
		}
	}
	return (uint32_t)((((uint64_t)(a | low) << 32 | (b | low)) + value.n + field * 131u) *
				  UINT64_C(0x9e3779b97f4a7c15) >>
			  32);
}

/* Length and first letter sort out most of what has no bucket. */
static inline uint64_t dispatch_bit(struct slice value)
{
	return UINT64_C(1) << ((value.n * 5 + ((uint8_t)value.p[0] | 0x20u)) & 63);
}

static inline unsigned dispatch_sieve(unsigned field)
{
	return field == RULE_FIELD_PROGRAM ? 0 : field == FIELD_EVENT_ACTION ? 1 : 2;
}

/* The fields by whose values rules are dispatched; the first is no event's. */
enum { DISPATCH_KEYS = 3 };
static const uint8_t dispatch_keys[DISPATCH_KEYS] = {
	RULE_FIELD_PROGRAM, FIELD_EVENT_ACTION, FIELD_EVENT_CATEGORY};

static inline struct slice dispatch_value(const struct record *r,
					  unsigned field)
{
	return field == RULE_FIELD_PROGRAM
		       ? rule_program(r)
		       : event_get(&r->event, (enum event_field)field);
}

/* The rules to be tried on a record with this value in this field. */
static inline struct dispatch_list dispatch_find(const struct dispatch *dp,
						 struct slice value,
						 unsigned field)
{
	const struct bucket *b;
	uint32_t i;

	if (value.n == 0 ||
	    (dp->sieve[dispatch_sieve(field)] & dispatch_bit(value)) == 0) {
		return (struct dispatch_list){0, 0};
	}
	i = dispatch_hash(value, field) & (dp->n_buckets - 1);
	for (b = &dp->buckets[i]; b->field != UINT8_MAX; b = &dp->buckets[i]) {
		if (b->field == field && b->value.n == value.n &&
		    (slice_eq(b->value, value) ||
		     slice_eq_nocase(b->value, value))) {
			return b->list;
		}
		i = (i + 1) & (dp->n_buckets - 1);
	}
	return (struct dispatch_list){0, 0};
}

/* filter.c: joins the filters' conditions to those of the rules that they name, and
 * complains of those that name none.  0 or UV_ENOMEM. */
int filters_apply(struct detect *d, const struct complain *c);
/* asset.c: what assets are about this device; the level of a finding, and why. */
void assets_compile(struct detect *d, const struct complain *c);
void engine_severity(struct detect *d, const struct rule *r, struct finding *f);
/* resolve.c: who names whom, who alerts, salts.  UV_ENOMEM. */
int engine_resolve(struct detect *d, const struct complain *c);
/* compile.c: fills `correlations`, `dispatch`, each rule's listeners and salt.
 * Returns the number of active rules. */
int engine_compile(struct detect *d, const struct complain *c);

/* What the record at hand has in the field. */
static inline bool engine_field(const struct detect *d, unsigned field, struct slice *out)
{
	return field == RULE_FIELD_HOUR ? match_hour(&d->ctx, d->record, out)
	       : rule_field_is_place(field)
		       ? rule_field_place(d->ctx.refer, d->record, field, out)
		       : rule_field_get(d->record, field, out);
}
/* The values of the fields in it; false when one is missing. */
bool engine_values(const struct detect *d, const uint8_t *fields, size_t n, struct slice *out);
/* Keyed hash of salt and values; never 0. */
uint64_t engine_hash(struct detect *d, uint64_t salt, const struct slice *values, size_t n);
/* The next step of such a hash: splitmix64's finalizer. */
static inline uint64_t engine_mix(uint64_t h, uint64_t value_hash)
{
	h ^= value_hash;
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}
/* keyed.c: what the record at hand has in the field. */
const struct asked *engine_look(struct detect *d, unsigned field);
static inline const struct asked *engine_asked(struct detect *d, unsigned field)
{
	const struct asked *a = &d->asked[field];

	return a->record == d->stats.records ? a : engine_look(d, field);
}
/* engine_hash() of what the record has in the fields, for the salt that engine_mix(salt, 0)
 * made `salted` of.  false: one is missing. */
static inline bool engine_hash_on(struct detect *d, uint64_t salted, const uint8_t *fields,
				  size_t n, uint64_t *hash)
{
	uint64_t h = salted;

	for (size_t i = 0; i < n; i++) {
		const struct asked *a = engine_asked(d, fields[i]);

		if (!a->there) {
			return false;
		}
		h = engine_mix(h, a->hash);
	}
	*hash = h == 0 ? 1 : h;
	return true;
}
static inline bool engine_hash_fields(struct detect *d, uint64_t salt, const uint8_t *fields,
				      size_t n, uint64_t *hash)
{
	return engine_hash_on(d, engine_mix(salt, 0), fields, n, hash);
}
static inline int64_t engine_watermark(const struct detect *d)
{
	return d->newest_ms == TIME_NONE ? TIME_NONE
					 : d->newest_ms - d->lateness_ms;
}

/* Has the record's line in the ring: d->line_at. */
void engine_store_line(struct detect *d);
/* Links it into a chain. */
void engine_evidence(struct detect *d, uint64_t *chain);
/* A new episode of the group, with the lines that led to it. */
struct episode *engine_begin(struct detect *d, const struct rule *r,
			     struct group *g, const struct slice *values);
/* Hands the state of an episode to the caller. */
void engine_tell(struct detect *d, struct episode *e, enum finding_state state,
		 const struct record *record);
/* An alert that no episode describes: there are too many, or what is told is a part of what
 * one watches. */
struct telling {
	const struct rule *rule;
	enum finding_state state;
	bool open;
	int64_t since_ms, first_ms, last_ms;
	uint64_t count;
	uint64_t evidence; /* chain in the ring */
	const struct slice *values;
	const char *usual; /* what it stands against, or NULL */
};
void engine_tell_as(struct detect *d, const struct telling *t);
/* The same, of a finding that lacks only what the rule says, its lists, its places and its
 * level. */
void engine_hand_out(struct detect *d, const struct rule *r, struct finding *f);

/* One event at d->t_ms of what a correlation names. */
struct occurrence {
	const struct rule *rule; /* the correlation */
	struct group *group;
	const struct ask *ask;      /* by which the group was found */
	uint64_t weight;            /* how many it counts */
	int64_t value;              /* of condition.field: a number or a hash */
	unsigned stage;             /* which of the named rules */
	bool more; /* others of the same time follow: not to be judged yet */
};

/* Counts it.  What it makes true is told, and put on d->emissions for those who
 * name the correlation; no episode or group may be pointed to afterwards. */
void count_event(struct detect *d, const struct occurrence *o);
void temporal_event(struct detect *d, const struct occurrence *o);

/* correlate.c */
/* Which group a listener's event belongs to; false: a value is missing. */
static inline bool engine_ask(struct detect *d, const struct listener *l, struct ask *out)
{
	const struct rule *r = l->rule;

	out->listener = l;
	out->values = NULL;
	return engine_hash_on(d, r->salted, r->refs[l->stage].group, r->n_group, &out->hash);
}
/* The values of the group: out, which is filled, or others. */
const struct slice *engine_group(struct detect *d, const struct ask *a,
				 struct slice out[static RULE_GROUP_BY]);
/* The listener's event at hand. */
void engine_correlate(struct detect *d, const struct ask *a);
/* An event whose turn it is. */
void engine_count(struct detect *d, const struct ask *a, uint64_t weight,
		  int64_t value, bool more);
/* All who name the rule. */
void engine_tell_listeners(struct detect *d, const struct rule *r);
/* Events of correlation r, for those who name it. */
void engine_emit(struct detect *d, const struct rule *r, struct emission e);
/* A line that repeats what another counted weighs nothing. */
static inline bool engine_listens(const struct detect *d, const struct listener *l)
{
	return !l->rule->weigh_attempts || d->record->event.attempts > 0;
}

/* The newest time of the group, the event at hand included; and of its episodes
 * (TIME_NONE: there is none). */
int64_t group_newest(const struct detect *d, struct group *g);
int64_t group_newest_end(const struct detect *d, struct group *g);
/* No event can come any more that is older: ends and freezes episodes. */
void group_settle(struct detect *d, const struct rule *r, struct group *g,
		  int64_t settled_ms);

/* Ends the episode: told, out of the tables, its stamps gone. */
void episode_end(struct detect *d, struct episode *e);
/* An event came: silence counts from here. */
void episode_touch(const struct detect *d, struct episode *e);
/* The watermark at which the episode is silent. */
int64_t episode_deadline(const struct episode *e);
/* Tells an update when the count has doubled since the last, or the beginning has
 * moved. */
void episode_update(struct detect *d, struct episode *e);
/* A late line showed it to be part of an earlier one: ends with the count 0. */
void episode_join(struct detect *d, struct episode *e);

/* temporal.c: the condition holds at t, of an event that was not told so yet; it stands
 * since start. */
void episode_complete(struct detect *d, const struct occurrence *o, int64_t t, int64_t start);
/* A late event may make the combination tighter that an episode began with. */
void episode_tighten(struct detect *d, struct group *g, int64_t t, int64_t start);

/* travel.c: a line of a rule with nightjar.travel. */
void travel_event(struct detect *d, const struct rule *r);

/* ---- rules that watch their groups ---- */

#define PAUSE_NEVER (INT64_C(1) << 49) /* later than any watermark but that of a finished log */
#define PAUSE_MOST INT64_C(400000000000)
#define RATE_MOST (1 << 28) /* events that are counted in an hour */

/* watch.c: the line at hand matches such a rule; the deadline of an episode has come
 * (finished: the log is at its end); the first line of all has come. */
void watch_event(struct detect *d, const struct rule *r);
void watch_due(struct detect *d, struct episode *e, int64_t now_ms, bool finished);
void watch_begin(struct detect *d);
/* Whether what was restored is what such an episode can be. */
bool watch_fits(const struct detect *d, const struct episode *e);
/* The group of the line at hand, whose hash this is, and the episode that watches it.  NULL:
 * no memory. */
struct episode *engine_watched(struct detect *d, const struct rule *r, uint64_t hash,
			       struct group **g);
/* An episode that watches the group from d->t_ms on. */
struct episode *engine_watch(struct detect *d, const struct rule *r, struct group *g,
			     const struct slice *values);

/* silence.c and rate.c: the same for one kind; drop: has no room any more. */
struct episode *silence_watch(struct detect *d, const struct rule *r, struct group *g,
			      const struct slice *values);
void silence_event(struct detect *d, const struct rule *r);
void silence_due(struct detect *d, struct episode *e, int64_t now_ms, bool finished);
void silence_drop(struct detect *d, struct episode *e);
struct episode *rate_watch(struct detect *d, const struct rule *r, struct group *g,
			   const struct slice *values);
void rate_event(struct detect *d, const struct rule *r);
void rate_due(struct detect *d, struct episode *e, int64_t now_ms, bool finished);
void rate_drop(struct detect *d, struct episode *e);
bool rate_fits(const struct detect *d, const struct episode *e);

/* Minutes since Monday, 00:00, by the device's clock on the wall. */
unsigned engine_minute_of_week(const struct detect *d, int64_t ms);
/* schedule.c: whether the rule holds at d->t_ms. */
bool schedule_holds(const struct detect *d, const struct rule *r);

#define STAMP(t_ms, stage) ((t_ms) * (1 << STAGE_BITS) + (int64_t)(stage) * 2)
#define STAMP_DONE 1 /* temporal: the condition holds at this event, and was told */
#define STAMP_MS(stamp) ((stamp) >> STAGE_BITS)
#define STAMP_STAGE(stamp) ((unsigned)((stamp) >> 1 & 7))

#endif
