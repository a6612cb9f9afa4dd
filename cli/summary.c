#include "cli/summary.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/siphash.h"

/* What is kept of very many hangs on the key: the same logs shall give the same summary
 * everywhere.  Who finds two names of one hash has his attempts counted together. */
static const uint8_t same_key[16] = "nightjar summary";

int summary_new(struct summary **out)
{
	struct summary *s = calloc(1, sizeof *s);
	int rc = s == NULL ? UV_ENOMEM : 0;

	*out = s;
	if (rc == 0) {
		s->first_ns = s->last_ns = TIME_NONE;
		rc = tally_init(&s->sources, SUMMARY_ROWS, sizeof(struct summary_source));
	}
	rc = rc != 0 ? rc
		     : tally_init(&s->targets, SUMMARY_ROWS, sizeof(struct summary_target));
	if (rc != 0) {
		summary_free(s);
		*out = NULL;
	}
	return rc;
}

void summary_free(struct summary *s)
{
	if (s == NULL) {
		return;
	}
	tally_fini(&s->sources);
	tally_fini(&s->targets);
	free(s);
}

/* ---- names ---- */

static uint64_t hash_of(struct slice text)
{
	return siphash(same_key, text.n > 0 ? text.p : "", text.n);
}

static struct summary_name name_of(struct slice text)
{
	struct summary_name v = {.hash = (uint32_t)hash_of(text)};

	v.n = (uint8_t)(text.n < sizeof v.text ? text.n : sizeof v.text);
	memcpy(v.text, text.n > 0 ? text.p : "", v.n);
	return v;
}

static uint32_t sum_of(uint32_t a, uint64_t b)
{
	return b < UINT32_MAX - a ? a + (uint32_t)b : UINT32_MAX;
}

/* Counts a name in v[0, max); the least of a full one makes room, and the new one may have
 * been there as often before (A. Metwally et al., "Efficient Computation of Frequent and Top-k
 * Elements in Data Streams", 2005). */
static void count_name(struct summary_name *v, size_t max, const struct summary_name *name,
		       uint64_t times)
{
	size_t least = 0;

	for (size_t i = 0; i < max; i++) {
		if (v[i].count == 0 || v[i].hash == name->hash) {
			least = i;
			break;
		}
		least = v[i].count < v[least].count ? i : least;
	}
	if (v[least].count == 0 || v[least].hash != name->hash) {
		uint32_t before = v[least].count;

		v[least] = *name;
		v[least].count = v[least].over = before;
	}
	v[least].count = sum_of(v[least].count, times);
}

/* ---- who and whom ---- */

/* What is known of an attempt. */
struct attempt {
	enum summary_kind kind;
	struct slice source, user, program, host;
	uint64_t failed, succeeded;
	int64_t ns; /* or TIME_NONE */
};

static void find_source(struct attempt *a, const struct event *e)
{
	a->user = event_get(e, FIELD_USER_NAME);
	if (event_has(e, FIELD_SOURCE_IP)) {
		a->kind = SUMMARY_IP;
		a->source = event_get(e, FIELD_SOURCE_IP);
	} else if (event_has(e, FIELD_SOURCE_ADDRESS)) {
		a->kind = SUMMARY_ADDRESS;
		a->source = event_get(e, FIELD_SOURCE_ADDRESS);
	} else if (event_has(e, FIELD_SOURCE_MAC)) {
		a->kind = SUMMARY_MAC;
		a->source = event_get(e, FIELD_SOURCE_MAC);
	} else {
		a->kind = SUMMARY_LOCAL;
		a->source = SLICE_NONE;
		if (event_has(e, FIELD_USER_EFFECTIVE_NAME)) {
			a->source = a->user;
			a->user = event_get(e, FIELD_USER_EFFECTIVE_NAME);
		}
	}
}

static uint64_t source_hash(const struct attempt *a)
{
	return hash_of(a->source) ^ (uint64_t)a->kind;
}

static struct summary_source *source_row(struct summary *s, const struct attempt *a,
					 uint64_t hash)
{
	bool is_new;
	struct summary_source *v = tally_row(&s->sources, hash, &is_new);

	if (is_new) {
		v->kind = a->kind;
		v->n = (uint8_t)(a->source.n < sizeof v->text ? a->source.n : sizeof v->text);
		memcpy(v->text, v->n > 0 ? a->source.p : "", v->n);
		v->first_failed_ns = v->last_succeeded_ns = TIME_NONE;
	}
	return v;
}

/* Did it succeed after it had failed?  Of one time, what is read first was first. */
static void consider_success(struct summary_source *v, const struct attempt *a,
			     const struct summary_name *user)
{
	bool known = a->ns != TIME_NONE;

	if (a->succeeded > 0) {
		bool before = v->first_failed_ns != TIME_NONE && known &&
			      a->ns < v->first_failed_ns;

		if (!v->row.keep && v->row.failed > 0 && !before) {
			v->row.keep = true;
			v->in_ns = a->ns;
			v->in_user = *user;
			v->in_after = v->row.failed;
		}
		if (v->last_succeeded_ns == TIME_NONE || (known && a->ns > v->last_succeeded_ns)) {
			v->last_succeeded_ns = a->ns;
			v->last_user = *user;
		}
	} else if (!v->row.keep && known && v->last_succeeded_ns != TIME_NONE &&
		   a->ns < v->last_succeeded_ns) {
		v->row.keep = true;
		v->in_ns = v->last_succeeded_ns;
		v->in_user = v->last_user;
		v->in_after = v->row.failed + a->failed;
	}
	if (a->failed > 0 && known &&
	    (v->first_failed_ns == TIME_NONE || a->ns < v->first_failed_ns)) {
		v->first_failed_ns = a->ns;
	}
}

static void count_target(struct summary *s, const struct attempt *a,
			 const struct summary_name *user, uint32_t source)
{
	/* Hashes of the parts, so that no byte can move from one to the next. */
	uint64_t parts[] = {hash_of(a->user), hash_of(a->program), hash_of(a->host)};
	uint64_t hash = hash_of(slice(parts, sizeof parts));
	bool is_new;
	struct summary_target *t = tally_row(&s->targets, hash, &is_new);
	struct distinct sources = summary_target_sources(t);
	struct distinct targets = {s->targets_seen, &s->n_targets, SUMMARY_ALL};

	if (is_new) {
		t->user = *user;
		t->program = name_of(a->program);
		t->host = name_of(a->host);
	}
	tally_count(&t->row, a->failed, a->succeeded, a->ns);
	if (a->failed > 0) {
		distinct_add(&sources, source);
		distinct_add(&targets, (uint32_t)hash);
	}
}

/* ---- when ---- */

static void move_all(struct summary *s, const struct axis_move *m)
{
	axis_move_counts(m, s->pieces);
	for (size_t i = 0; i < s->sources.n; i++) {
		struct summary_source *v = tally_at(&s->sources, i);

		axis_move_counts(m, v->pieces);
	}
}

static void place(struct summary *s, struct summary_source *v, const struct attempt *a)
{
	struct axis_move move;
	int piece = a->ns == TIME_NONE ? -1 : axis_place(&s->axis, a->ns, &move);

	if (piece < 0) {
		s->unplaced += a->failed;
		return;
	}
	if (move.wanted) {
		for (size_t i = 0; move.clear && i < AXIS_PIECES; i++) {
			s->unplaced += s->pieces[i];
		}
		move_all(s, &move);
	}
	s->pieces[piece] = sum_of(s->pieces[piece], a->failed);
	v->pieces[piece] = sum_of(v->pieces[piece], a->failed);
}

static void widen(int64_t *first_ns, int64_t *last_ns, int64_t ns)
{
	if (ns == TIME_NONE) {
		return;
	}
	*first_ns = *first_ns == TIME_NONE || ns < *first_ns ? ns : *first_ns;
	*last_ns = *last_ns == TIME_NONE || ns > *last_ns ? ns : *last_ns;
}

/* ---- all ---- */

static void count_all(struct summary *s, const struct attempt *a, uint32_t source)
{
	struct distinct sources = {s->sources_seen, &s->n_sources, SUMMARY_ALL};
	struct distinct users = {s->users_seen, &s->n_users, SUMMARY_ALL};
	struct distinct hosts = {s->hosts_seen, &s->n_hosts, SUMMARY_ALL};

	s->failed += a->failed;
	s->succeeded += a->succeeded;
	widen(&s->first_ns, &s->last_ns, a->ns);
	if (a->failed > 0) {
		distinct_add(&sources, source);
		if (a->user.n > 0) {
			distinct_add(&users, (uint32_t)hash_of(a->user));
		}
		if (a->host.n > 0) {
			distinct_add(&hosts, (uint32_t)hash_of(a->host));
		}
	}
}

static void count_source(struct summary *s, const struct attempt *a,
			 const struct summary_name *user, uint64_t hash)
{
	struct summary_source *v = source_row(s, a, hash);
	struct distinct users = summary_users(v);
	struct summary_name program = name_of(a->program), host = name_of(a->host);

	consider_success(v, a, user);
	tally_count(&v->row, a->failed, a->succeeded, a->ns);
	if (a->failed == 0) {
		return; /* whom it attacked, where and when: by what failed */
	}
	if (a->user.n > 0) {
		count_name(v->users, SUMMARY_USERS, user, a->failed);
		distinct_add(&users, user->hash);
	}
	if (a->program.n > 0) {
		count_name(v->programs, SUMMARY_PLACES, &program, a->failed);
	}
	if (a->host.n > 0) {
		count_name(v->hosts, SUMMARY_PLACES, &host, a->failed);
	}
	place(s, v, a);
}

void summary_record(struct summary *s, const struct record *r, bool timed)
{
	const struct event *e = &r->event;
	struct attempt a = {
		.program = r->header.program,
		.host = r->header.host,
		.failed = e->outcome == OUTCOME_FAILURE ? e->attempts : 0,
		.succeeded = e->outcome == OUTCOME_SUCCESS ? e->attempts : 0,
		.ns = timed ? r->header.time_ns : TIME_NONE,
	};
	struct summary_name user;
	uint64_t hash;

	if (a.failed + a.succeeded == 0) {
		return;
	}
	find_source(&a, e);
	user = name_of(a.user);
	hash = source_hash(&a);
	count_all(s, &a, (uint32_t)(hash >> 32));
	count_source(s, &a, &user, hash);
	count_target(s, &a, &user, (uint32_t)(hash >> 32));
}

const char *summary_result(const struct summary_source *s)
{
	return s->row.keep ? "success_after_failures"
			   : s->row.succeeded > 0 ? "succeeded" : "failed";
}

/* ---- alerts ---- */

static struct summary_rule *rule_of(struct summary *s, const struct finding *f)
{
	struct summary_rule *r = s->rules;

	for (; r < s->rules + s->n_rules; r++) {
		if (strncmp(r->id, f->rule_id, sizeof r->id - 1) == 0) {
			return r;
		}
	}
	if (s->n_rules == SUMMARY_RULES) {
		return NULL;
	}
	s->n_rules++;
	*r = (struct summary_rule){.severity = f->severity, .first_ns = TIME_NONE,
				   .last_ns = TIME_NONE};
	snprintf(r->id, sizeof r->id, "%s", f->rule_id);
	snprintf(r->title, sizeof r->title, "%s", f->rule_title);
	return r;
}

void summary_alert(struct summary *s, const struct finding *f)
{
	struct summary_rule *r = rule_of(s, f);

	s->alerts++;
	if (r != NULL) {
		r->alerts++;
	} else {
		s->other_alerts++;
	}
}

void summary_alert_end(struct summary *s, const struct finding *f)
{
	struct summary_rule *r = rule_of(s, f);

	if (r != NULL) {
		r->events += f->count;
		widen(&r->first_ns, &r->last_ns, f->first_ns);
		widen(&r->first_ns, &r->last_ns, f->last_ns);
	}
}
