/* A finding becomes an alert: identity, cooldown, the JSON object, state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "alerts/alerts.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/timefmt.h"

static const uint8_t key[16] = "0123456789abcdef";
static const char *const tags[] = {"attack.credential_access", "attack.t1110.001",
				   NULL};

struct got {
	unsigned n;
	struct alert last;
	char *json;
};

static void on_alert(void *arg, const struct alert *a)
{
	struct got *g = arg;

	g->n++;
	g->last = *a;
	free(g->json);
	g->json = malloc(a->json.n + 1);
	memcpy(g->json, a->json.p, a->json.n);
	g->json[a->json.n] = '\0';
}

static struct finding_field group[] = {{{"source.address", 14}, {"192.0.2.7", 9}}};
static struct record record;

static struct finding sample(int64_t at_s)
{
	struct finding f = {
		.state = FINDING_NEW,
		.rule_id = "d1567c73", .rule_title = "Many failed logins",
		.rule_description = "Five or more.", .tags = tags,
		.severity = SEVERITY_HIGH,
		.group = group, .n_group = 1,
		.first_ns = at_s * NS_PER_S, .last_ns = (at_s + 4) * NS_PER_S,
		.since_ns = at_s * NS_PER_S, .count = 5, .open = true,
		.record = &record,
	};

	record = (struct record){.line = SLICE_LIT("the fifth line")};
	record.header.priority = -1;
	record.header.message = record.line;
	event_set(&record.event, FIELD_USER_NAME, SLICE_LIT("root"));
	return f;
}

static struct alerts *new_alerts(const struct alerts_options *o)
{
	struct alerts *a;

	assert_int_equal(alerts_new(&a, o, SLICE_LIT("gate"), key), 0);
	return a;
}

static void give(struct alerts *a, struct finding f, struct got *g)
{
	assert_int_equal(alerts_finding(a, &f, on_alert, g), 0);
}

static const char *text_at(json_t *root, const char *a, const char *b)
{
	return json_string_value(json_object_get(json_object_get(root, a), b));
}

static void the_object_speaks_ecs(void **state)
{
	const struct slice lines[] = {SLICE_LIT("one"), SLICE_LIT("two")};
	struct alerts *a = new_alerts(NULL);
	struct finding f = sample(100);
	struct got g = {0};
	json_t *j, *alert, *evidence;

	(void)state;
	f.evidence = lines;
	f.n_evidence = 2;
	give(a, f, &g);
	j = json_loads(g.json, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "@timestamp")),
			    "1970-01-01T00:01:44Z");
	assert_string_equal(text_at(j, "event", "kind"), "alert");
	assert_string_equal(text_at(j, "rule", "id"), "d1567c73");
	assert_string_equal(text_at(j, "rule", "name"), "Many failed logins");
	assert_string_equal(text_at(j, "source", "ip"), "192.0.2.7");
	assert_string_equal(text_at(j, "user", "name"), "root");
	assert_string_equal(json_string_value(json_array_get(json_object_get(
		json_object_get(json_object_get(j, "threat"), "technique"), "id"),
		0)), "T1110.001");
	alert = json_object_get(j, "alert");
	assert_string_equal(text_at(j, "alert", "id"), g.last.id);
	assert_string_equal(text_at(j, "alert", "status"), "firing");
	assert_string_equal(text_at(j, "alert", "severity"), "high");
	assert_string_equal(text_at(j, "alert", "device"), "gate");
	assert_int_equal(json_integer_value(json_object_get(alert, "count")), 5);
	evidence = json_object_get(alert, "evidence");
	assert_int_equal(json_array_size(evidence), 3);
	assert_string_equal(json_string_value(json_array_get(evidence, 2)),
			    "the fifth line");
	json_decref(j);
	free(g.json);
	alerts_free(a);
}

static void evidence_is_told_once(void **state)
{
	const struct slice lines[] = {SLICE_LIT("one"), SLICE_LIT("two")};
	static const enum finding_state later[] = {FINDING_UPDATE, FINDING_END};
	static const struct finding_place masked = {{{5}}, 77};
	struct alerts *a = new_alerts(NULL);
	struct finding f = sample(100);
	struct got g = {0};

	(void)state;
	f.evidence = lines;
	f.n_evidence = 2;
	f.masked = &masked;
	f.n_masked = 1;
	give(a, f, &g);
	assert_non_null(strstr(g.json, "\"evidence\":[\"one\",\"two\","));
	assert_non_null(strstr(g.json, "\"masked\":[{\"stream\":\"05000000000000000000000000000000"
				       "\",\"start\":77}]"));
	assert_non_null(strstr(g.json, "\"description\":"));
	for (size_t i = 0; i < 2; i++) {
		f.state = later[i];
		f.record = i == 0 ? &record : NULL;
		give(a, f, &g);
		assert_int_equal(g.n, i + 2);
		assert_null(strstr(g.json, "\"evidence\":"));
		assert_null(strstr(g.json, "\"description\":"));
		assert_non_null(strstr(g.json, i == 0 ? "\"message\":\"the fifth line\""
						      : "\"message\":\"two\""));
	}
	free(g.json);
	alerts_free(a);
}

static void the_same_finding_has_the_same_identity_everywhere(void **state)
{
	struct finding f = sample(100), later = sample(101), other = sample(100);
	struct finding_field twin[] = {{SLICE_LIT("source.address"),
					SLICE_LIT("192.0.2.8")}};
	char one[ALERT_ID_TEXT], two[ALERT_ID_TEXT];

	(void)state;
	alert_identity(&f, one);
	/* A value that must never change: receivers deduplicate by it. */
	assert_string_equal(one, "c267fb47c11101e1ac4eda37920380ae");
	f.count = 50;
	f.state = FINDING_UPDATE;
	f.first_ns -= NS_PER_S; /* a late line */
	alert_identity(&f, two);
	assert_string_equal(one, two);
	alert_identity(&later, two);
	assert_string_not_equal(one, two);
	other.group = twin;
	alert_identity(&other, two);
	assert_string_not_equal(one, two);
}

static void two_lines_in_one_second_are_two_alerts(void **state)
{
	struct finding f = sample(100);
	char one[ALERT_ID_TEXT], two[ALERT_ID_TEXT];

	(void)state;
	f.single = true;
	alert_identity(&f, one);
	record.line = SLICE_LIT("another line");
	alert_identity(&f, two);
	assert_string_not_equal(one, two);
}

static void a_cooldown_hides_and_counts(void **state)
{
	struct alerts *a = new_alerts(NULL);
	struct finding f = sample(100), end;
	struct alerts_stats st;
	struct got g = {0};

	(void)state;
	f.cooldown_ns = 600 * (uint64_t)NS_PER_S;
	give(a, f, &g);
	assert_int_equal(g.n, 1);
	end = f;
	end.state = FINDING_END;
	end.record = NULL;
	give(a, end, &g);
	assert_int_equal(g.n, 2); /* its own end is told */
	for (int i = 1; i <= 3; i++) {
		struct finding again = sample(100 + i * 100);

		again.cooldown_ns = f.cooldown_ns;
		give(a, again, &g);
		again.state = FINDING_UPDATE;
		give(a, again, &g);
	}
	assert_int_equal(g.n, 2);
	f = sample(100 + 600);
	f.cooldown_ns = 600 * (uint64_t)NS_PER_S;
	give(a, f, &g);
	assert_int_equal(g.n, 3);
	assert_int_equal(g.last.suppressed, 3);
	alerts_stats(a, &st);
	assert_int_equal(st.emitted, 3);
	assert_int_equal(st.suppressed, 6);
	free(g.json);
	alerts_free(a);
}

static void the_least_severity_and_the_default_cooldown_are_the_users(void **state)
{
	struct alerts_options o = {.min_severity = SEVERITY_CRITICAL};
	struct alerts *a = new_alerts(&o);
	struct got g = {0};

	(void)state;
	give(a, sample(100), &g);
	assert_int_equal(g.n, 0);
	alerts_free(a);

	o = (struct alerts_options){.cooldown_ms = 1000000};
	a = new_alerts(&o);
	give(a, sample(100), &g);
	give(a, sample(200), &g);
	assert_int_equal(g.n, 1);
	free(g.json);
	alerts_free(a);
}

static void cooldowns_outlive_a_restart(void **state)
{
	struct alerts *a = new_alerts(NULL), *b = new_alerts(NULL);
	struct finding f = sample(100);
	struct got g = {0};
	struct buf saved;

	(void)state;
	f.cooldown_ns = 600 * (uint64_t)NS_PER_S;
	give(a, f, &g);
	buf_init(&saved, 1 << 20);
	assert_int_equal(alerts_save(a, &saved), 0);
	assert_int_equal(alerts_restore(b, buf_slice(&saved)), 0);
	f = sample(200);
	f.cooldown_ns = 600 * (uint64_t)NS_PER_S;
	give(b, f, &g);
	assert_int_equal(g.n, 1);
	for (size_t cut = 0; cut < saved.n; cut++) {
		assert_int_equal(alerts_restore(b, slice(saved.p, cut)),
				 ERR_MALFORMED);
	}
	give(b, f, &g);
	assert_int_equal(g.n, 2); /* empty after the damage */
	saved.p[0] = 9;
	assert_int_equal(alerts_restore(b, buf_slice(&saved)), ERR_VERSION);
	buf_fini(&saved);
	free(g.json);
	alerts_free(a);
	alerts_free(b);
}

static void an_object_of_hostile_lines_keeps_its_limit_and_is_json(void **state)
{
	static char hostile[LIMIT_LINE_MAX];
	struct slice lines[LIMIT_EVIDENCE_LINES];
	struct alerts *a = new_alerts(NULL);
	struct finding f = sample(100);
	struct got g = {0};
	json_t *j;

	(void)state;
	for (size_t i = 0; i < sizeof hostile; i++) {
		hostile[i] = i % 7 == 0 ? '\xff' : (char)(i % 32);
	}
	for (size_t i = 0; i < LIMIT_EVIDENCE_LINES; i++) {
		lines[i] = slice(hostile, sizeof hostile);
	}
	f.evidence = lines;
	f.n_evidence = LIMIT_EVIDENCE_LINES;
	record.line = record.header.message = slice(hostile, sizeof hostile);
	for (unsigned id = FIELD_USER_NAME; id < FIELD_NR; id++) {
		event_set(&record.event, (enum event_field)id,
			  slice(hostile, sizeof hostile));
	}
	give(a, f, &g);
	assert_int_equal(g.n, 1);
	assert_true(g.last.json.n <= LIMIT_ALERT_JSON);
	j = json_loads(g.json, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	assert_non_null(j);
	json_decref(j);
	free(g.json);
	alerts_free(a);
}

static void a_full_table_forgets_the_oldest_cooldown(void **state)
{
	struct alerts_options o = {.tracked_max = 64};
	struct alerts *a = new_alerts(&o);
	struct alerts_stats st;
	struct got g = {0};

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct finding f = sample(100 + i);
		char ip[16];

		snprintf(ip, sizeof ip, "10.0.%d.%d", i / 256, i % 256);
		group[0].value = slice_str(ip);
		f.cooldown_ns = 600 * (uint64_t)NS_PER_S;
		give(a, f, &g);
	}
	group[0].value = SLICE_LIT("192.0.2.7");
	alerts_stats(a, &st);
	assert_int_equal(g.n, 5000);
	assert_true(st.cooldowns <= 48);
	free(g.json);
	alerts_free(a);
}

static void it_says_what_was_usual_and_why_its_level_is_another(void **state)
{
	struct alerts_options o = {.min_severity = SEVERITY_HIGH};
	struct alerts *a = new_alerts(&o);
	struct finding f = sample(100);
	struct got g = {0};
	json_t *j;

	(void)state;
	f.usual = "3.2 an hour";
	f.severity_was = SEVERITY_LOW;
	f.severity_reason = "The lab";
	give(a, f, &g); /* the changed level is what counts */
	j = json_loads(g.json, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	assert_string_equal(text_at(j, "alert", "usual"), "3.2 an hour");
	assert_string_equal(text_at(j, "alert", "severity"), "high");
	assert_string_equal(text_at(j, "alert", "severity_was"), "low");
	assert_string_equal(text_at(j, "alert", "severity_reason"), "The lab");
	json_decref(j);
	free(g.json);
	alerts_free(a);
}

static void it_names_the_lists_that_its_line_is_in(void **state)
{
	static const struct finding_list lists[] = {{"bad_hosts", "feed X", 0}, {"own", "", 1}};
	struct alerts *a = new_alerts(NULL);

	(void)state;
	/* With techniques and without. */
	for (int tagged = 0; tagged <= 1; tagged++) {
		struct finding f = sample(100 + 10000 * tagged);
		struct got g = {0};
		json_t *j, *found;

		f.tags = tagged != 0 ? tags : NULL;
		f.lists = lists;
		f.n_lists = 2;
		give(a, f, &g);
		j = json_loads(g.json, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(j);
		found = json_object_get(json_object_get(j, "threat"), "enrichments");
		assert_int_equal(json_array_size(found), 2);
		found = json_array_get(found, 0);
		assert_string_equal(text_at(found, "feed", "name"), "bad_hosts");
		assert_string_equal(text_at(found, "feed", "reference"), "feed X");
		assert_string_equal(text_at(found, "indicator", "modified_at"),
				    "1970-01-01T00:00:00Z");
		assert_int_equal(json_object_get(json_object_get(j, "threat"), "technique") != NULL,
				 tagged);
		json_decref(j);
		free(g.json);
	}
	alerts_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_object_speaks_ecs),
		cmocka_unit_test(evidence_is_told_once),
		cmocka_unit_test(the_same_finding_has_the_same_identity_everywhere),
		cmocka_unit_test(two_lines_in_one_second_are_two_alerts),
		cmocka_unit_test(a_cooldown_hides_and_counts),
		cmocka_unit_test(the_least_severity_and_the_default_cooldown_are_the_users),
		cmocka_unit_test(cooldowns_outlive_a_restart),
		cmocka_unit_test(an_object_of_hostile_lines_keeps_its_limit_and_is_json),
		cmocka_unit_test(a_full_table_forgets_the_oldest_cooldown),
		cmocka_unit_test(it_says_what_was_usual_and_why_its_level_is_another),
		cmocka_unit_test(it_names_the_lists_that_its_line_is_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
