/* A summary as one JSON object: docs/rules.md, "What a log tells". */
#include <stdlib.h>

#include "cli/summary_show.h"
#include "common/err.h"
#include "common/json.h"
#include "common/timefmt.h"

/* A number that is exact or an estimate. */
static void put_distinct(struct json *j, const char *key, const struct distinct *d)
{
	bool exact;
	uint64_t n = distinct_count(d, &exact);

	json_object(j, key);
	json_u64(j, "count", n);
	json_bool(j, "exact", exact);
	json_object_end(j);
}

static void put_all(struct json *j, const char *key, uint32_t *seen, uint32_t *n)
{
	struct distinct d = {seen, n, SUMMARY_ALL};

	put_distinct(j, key, &d);
}

static void put_pieces(struct json *j, const char *key, const struct axis *a,
		       const uint32_t *pieces)
{
	unsigned skip = axis_skip(a), used = axis_used(a);

	json_array(j, key);
	for (unsigned i = 0; i < used; i++) {
		json_u64(j, NULL, pieces[skip + i]);
	}
	json_array_end(j);
}

static void put_names(struct json *j, const char *key, const struct summary_name *v, size_t max)
{
	json_array(j, key);
	for (size_t i = 0; i < max && v[i].count > 0; i++) {
		json_object(j, NULL);
		json_string(j, "name", summary_name(&v[i]));
		json_u64(j, "failed", v[i].count - v[i].over);
		json_bool(j, "exact", v[i].over == 0);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_source(struct json *j, const struct summary_source *v)
{
	static const char *const keys[] = {
		[SUMMARY_IP] = "ip", [SUMMARY_ADDRESS] = "address", [SUMMARY_MAC] = "mac",
		[SUMMARY_LOCAL] = "local_user",
	};

	json_object(j, "source");
	json_string(j, keys[v->kind], slice(v->text, v->n));
	json_object_end(j);
}

static void put_counts(struct json *j, const struct tally_row *row)
{
	json_u64(j, "failed", row->failed);
	json_u64(j, "succeeded", row->succeeded);
	json_time(j, "first", row->first_ns);
	json_time(j, "last", row->last_ns);
}

static void put_attacker(struct json *j, struct summary *s, struct summary_source *v)
{
	struct distinct users = summary_users(v);

	json_object(j, NULL);
	put_source(j, v);
	put_counts(j, &v->row);
	json_cstr(j, "result", summary_result(v));
	if (v->row.keep) {
		json_object(j, "success_after_failures");
		json_time(j, "time", v->in_ns);
		json_string(j, "user", summary_name(&v->in_user));
		json_u64(j, "failed_before", v->in_after);
		json_object_end(j);
	}
	put_distinct(j, "users_total", &users);
	put_names(j, "users", v->users, SUMMARY_USERS);
	put_names(j, "programs", v->programs, SUMMARY_PLACES);
	put_names(j, "hosts", v->hosts, SUMMARY_PLACES);
	put_pieces(j, "timeline", &s->axis, v->pieces);
	json_object_end(j);
}

static void put_target(struct json *j, struct summary_target *v)
{
	struct distinct sources = summary_target_sources(v);

	json_object(j, NULL);
	json_string(j, "user", summary_name(&v->user));
	json_string(j, "program", summary_name(&v->program));
	json_string(j, "host", summary_name(&v->host));
	put_counts(j, &v->row);
	put_distinct(j, "sources", &sources);
	json_object_end(j);
}

static void put_alerts(struct json *j, const struct summary *s)
{
	json_object(j, "alerts");
	json_u64(j, "total", s->alerts);
	json_u64(j, "of_other_rules", s->other_alerts);
	json_array(j, "rules");
	for (size_t i = 0; i < s->n_rules; i++) {
		const struct summary_rule *r = &s->rules[i];

		json_object(j, NULL);
		json_cstr(j, "id", r->id);
		json_cstr(j, "title", r->title);
		json_cstr(j, "level", severity_name(r->severity));
		json_u64(j, "alerts", r->alerts);
		json_u64(j, "events", r->events);
		json_time(j, "first", r->first_ns);
		json_time(j, "last", r->last_ns);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void put_read(struct json *j, const struct summary_read *r)
{
	json_object(j, "read");
	json_u64(j, "files", r->files);
	json_u64(j, "lines", r->lines);
	json_u64(j, "bytes", r->bytes);
	json_u64(j, "understood", r->understood);
	json_u64(j, "redacted", r->redacted);
	json_u64(j, "late", r->late);
	json_u64(j, "future", r->future);
	json_u64(j, "groups_given_up", r->evicted);
	json_u64(j, "values_forgotten", r->forgotten);
	json_u64(j, "expressions_at_limit", r->re_limits);
	json_u64(j, "rules", r->rules);
	json_object_end(j);
}

static void put_attempts(struct json *j, struct summary *s)
{
	json_object(j, "attempts");
	json_u64(j, "failed", s->failed);
	json_u64(j, "succeeded", s->succeeded);
	json_time(j, "first", s->first_ns);
	json_time(j, "last", s->last_ns);
	put_all(j, "sources", s->sources_seen, &s->n_sources);
	put_all(j, "users", s->users_seen, &s->n_users);
	put_all(j, "hosts", s->hosts_seen, &s->n_hosts);
	put_all(j, "targets", s->targets_seen, &s->n_targets);
	json_object_end(j);
	json_object(j, "timeline");
	json_time(j, "from", axis_used(&s->axis) == 0 ? TIME_NONE
						      : axis_first_s(&s->axis) * NS_PER_S);
	json_u64(j, "step_s", (uint64_t)axis_length_s(&s->axis));
	put_pieces(j, "failed", &s->axis, s->pieces);
	json_u64(j, "failed_elsewhere", s->unplaced);
	json_object_end(j);
	json_object(j, "too_low_by_at_most");
	json_u64(j, "attackers", s->sources.error);
	json_u64(j, "targets", s->targets.error);
	json_object_end(j);
}

int summary_json(struct summary *s, const struct summary_read *read, size_t top, struct buf *out)
{
	struct json j = json_begin(out);
	void **rows = calloc(top, sizeof *rows);
	int n = rows == NULL ? UV_ENOMEM : 0;

	json_object(&j, NULL);
	put_read(&j, read);
	put_attempts(&j, s);
	json_array(&j, "got_in");
	n = n == 0 ? tally_kept(&s->sources, top, rows) : n;
	for (int i = 0; i < n; i++) {
		put_attacker(&j, s, rows[i]);
	}
	json_array_end(&j);
	json_array(&j, "attackers");
	n = n >= 0 ? tally_top(&s->sources, top, rows) : n;
	for (int i = 0; i < n; i++) {
		put_attacker(&j, s, rows[i]);
	}
	json_array_end(&j);
	json_array(&j, "targets");
	n = n >= 0 ? tally_top(&s->targets, top, rows) : n;
	for (int i = 0; i < n; i++) {
		put_target(&j, rows[i]);
	}
	json_array_end(&j);
	put_alerts(&j, s);
	json_object_end(&j);
	free(rows);
	return n < 0 ? n : json_end(&j);
}
