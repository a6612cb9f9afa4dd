/* The level of alerts by whom or what they are about: nightjar.severity, and assets. */
#include "tests/support/rulekit.h"

struct told {
	unsigned n;
	enum severity severity, was;
	char reason[100];
};

static void on_told(void *arg, const struct finding *f)
{
	struct told *t = arg;

	t->n++;
	t->severity = f->severity;
	t->was = f->severity_was;
	snprintf(t->reason, sizeof t->reason, "%s",
		 f->severity_reason == NULL ? "" : f->severity_reason);
}

#define PLAIN(more) "title: p\nid: p\nname: plain\nlogsource: {category: authentication}\n" \
	"detection: {s: {event.outcome: failure}, condition: s}\nlevel: medium\n" more
#define COUNT(more) PLAIN("") "---\ntitle: c\nid: c\ncorrelation: {type: event_count, " \
	"rules: plain, timespan: 1m, group-by: source.address, condition: {gte: 2}}\n" \
	"level: medium\n" more

/* The last alert after failures of this user from there. */
static struct told tell(struct detect *d, unsigned times, const char *user, const char *ip)
{
	struct told t = {0};

	for (unsigned i = 0; i < times; i++) {
		struct record r = rulekit_login(SEC(i), OUTCOME_FAILURE, user, ip);

		r.header.host = SLICE_LIT("gate");
		detect_record(d, &r, on_told, &t);
	}
	return t;
}

static struct told tell_once(const char *yaml, const char *user, const char *ip)
{
	struct detect *d = rulekit_detect(yaml, NULL, NULL);
	struct told t = tell(d, 1, user, ip);

	assert_int_equal(t.n, 1);
	detect_free(d);
	return t;
}

static void a_rule_raises_and_lowers_by_what_the_line_says(void **unused)
{
	static const char yaml[] = PLAIN(
		"nightjar:\n  severity:\n"
		"    - {when: {user.name: [root, admin]}, level: critical, reason: may do all}\n"
		"    - {when: {source.ip|cidr: 10.0.0.0/8}, lower: 1, reason: inside}\n"
		"    - {when: {user.name|startswith: ad}, raise: 4}\n");
	struct told t;

	(void)unused;
	t = tell_once(yaml, "root", "10.1.2.3"); /* the first that holds */
	assert_int_equal(t.severity, SEVERITY_CRITICAL);
	assert_int_equal(t.was, SEVERITY_MEDIUM);
	assert_string_equal(t.reason, "may do all");
	t = tell_once(yaml, "anna", "10.1.2.3");
	assert_int_equal(t.severity, SEVERITY_LOW);
	assert_string_equal(t.reason, "inside");
	t = tell_once(yaml, "ada", "192.0.2.1"); /* not beyond critical */
	assert_int_equal(t.severity, SEVERITY_CRITICAL);
	assert_string_equal(t.reason, "as the rule says");
	t = tell_once(yaml, "anna", "192.0.2.1");
	assert_int_equal(t.severity, SEVERITY_MEDIUM);
	assert_string_equal(t.reason, "");
}

static void an_asset_holds_for_all_rules_and_after_the_rules_own(void **unused)
{
	static const char asset[] =
		"---\ntitle: The lab\nasset:\n  when: {host.hostname: 'g*'}\n  lower: 4\n"
		"---\ntitle: Never seen\nasset: {when: {host.hostname: gate}, raise: 1}\n";
	char yaml[2048];
	struct told t;

	(void)unused;
	snprintf(yaml, sizeof yaml, "%s%s", PLAIN(""), asset);
	t = tell_once(yaml, "anna", "192.0.2.1");
	assert_int_equal(t.severity, SEVERITY_INFORMATIONAL);
	assert_string_equal(t.reason, "The lab");
	snprintf(yaml, sizeof yaml, "%s%s",
		 PLAIN("nightjar: {severity: [{when: {user.name: root}, raise: 1}]}\n"), asset);
	t = tell_once(yaml, "root", "192.0.2.1");
	assert_int_equal(t.severity, SEVERITY_HIGH);
	t = tell_once(yaml, "anna", "192.0.2.1");
	assert_int_equal(t.severity, SEVERITY_INFORMATIONAL);
}

static void an_asset_can_name_its_rules(void **unused)
{
	struct told t = tell_once(
		PLAIN("---\ntitle: b\nid: b\nlogsource: {product: linux}\n"
		      "detection: {s: {event.outcome: nothing}, condition: s}\n"
		      "---\ntitle: a\nasset: {when: {user.name: root}, level: low, rules: b}\n"
		      "---\ntitle: z\nasset: {when: {user.name: root}, level: high, "
		      "rules: [b, plain]}\n"), "root", "192.0.2.1");

	(void)unused;
	assert_int_equal(t.severity, SEVERITY_HIGH);
	assert_string_equal(t.reason, "z");
}

static void a_device_is_known_by_its_tags(void **unused)
{
	static const char yaml[] = PLAIN(
		"---\ntitle: Nobody cares\nasset: {device: [lab, test], level: low}\n");
	char *tags[] = {(char[]){"kiosk"}, (char[]){"lab"}};
	struct detectors_options o = {.tags = {tags, 2}};
	struct detect *d = rulekit_detect(yaml, &o, NULL);
	struct told t = tell(d, 1, "anna", "192.0.2.1");

	(void)unused;
	assert_int_equal(t.severity, SEVERITY_LOW);
	assert_string_equal(t.reason, "Nobody cares");
	detect_free(d);
	t = tell_once(yaml, "anna", "192.0.2.1");
	assert_int_equal(t.severity, SEVERITY_MEDIUM);
}

static void of_a_correlation_only_its_group_counts(void **unused)
{
	static const char yaml[] = COUNT(
		"---\ntitle: root is tried\nasset: {when: {user.name: root}, level: critical}\n"
		"---\ntitle: inside\nasset: {when: {source.ip|cidr: '10.0.0.0/8'}, raise: 1}\n");
	struct detect *d = rulekit_detect(yaml, NULL, NULL);
	struct told t = tell(d, 2, "root", "10.0.0.1");

	(void)unused;
	assert_int_equal(t.n, 1);
	assert_int_equal(t.severity, SEVERITY_HIGH);
	assert_string_equal(t.reason, "inside");
	/* Each that is told of it later has the same level. */
	t = (struct told){0};
	detect_advance(d, INT64_MAX, on_told, &t);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.severity, SEVERITY_HIGH);
	detect_free(d);
}

static void lists_come_from_the_file_of_placeholders(void **unused)
{
	struct detect *d;
	struct told t;

	(void)unused;
	assert_int_equal(detect_new(&d, NULL, rulekit_key), 0);
	assert_int_equal(detect_placeholders_bytes(d, "p.yml", SLICE_LIT("Admins: [anna, bert]\n"),
						   rulekit_error, NULL), 0);
	assert_int_equal(detect_load_bytes(d, "test.yml", slice_str(PLAIN(
		"nightjar: {severity: [{when: {user.name|expand: '%Admins%'}, level: high}]}\n")),
					   rulekit_error, NULL), 1);
	assert_int_equal(detect_compile(d, rulekit_error, NULL), 1);
	t = tell(d, 1, "bert", "192.0.2.1");
	assert_int_equal(t.severity, SEVERITY_HIGH);
	detect_free(d);
}

static const struct {
	const char *yaml, *says;
} wrongs[] = {
	{PLAIN("nightjar:\n  severity: high\n"), "8:13: severity is a list of cases"},
	{PLAIN("nightjar:\n  severity:\n    - level: high\n"), "9:7: an asset has when"},
	{PLAIN("nightjar:\n  severity:\n    - when: {User: x}\n"), "9:7: one of level, raise"},
	{PLAIN("nightjar:\n  severity:\n    - {when: {User: x}, raise: 1, lower: 1}\n"),
	 "9:7: one of level, raise"},
	{PLAIN("nightjar:\n  severity:\n    - {when: {User: x}, raise: 5}\n"),
	 "9:32: raise is a number of levels"},
	{PLAIN("nightjar:\n  severity:\n    - {when: {User: x}, level: severe}\n"),
	 "9:32: level is one of"},
	{PLAIN("nightjar:\n  severity:\n    - {when: {Usr: x}, raise: 1}\n"),
	 "9:15: field \"Usr\" is not known"},
	{PLAIN("nightjar:\n  severity:\n    - {when: {User|re: '('}, raise: 1}\n"),
	 "9:24: the expression is not valid"},
	{PLAIN("nightjar:\n  severity:\n    - {when: {User: x}, raise: 1, reason: ''}\n"),
	 "9:43: reason must be a text"},
	{PLAIN("nightjar:\n  severity:\n    - {when: {User: x}, raise: 1, rules: a}\n"),
	 "9:35: rules is for assets"},
	{PLAIN("nightjar:\n  severity:\n    - {device: [], raise: 1}\n"),
	 "9:16: device is a text or a list"},
	{COUNT("nightjar:\n  severity:\n    - {when: {User: x}, raise: 1}\n"),
	 "14:7: of this rule only what it is grouped by is known, and user.name is not"},
	{PLAIN("---\nasset: {device: a, raise: 1}\n"), "8:1: the asset has no title"},
	{PLAIN("---\ntitle: t\nasset: {device: a, raise: 1, what: 2}\n"),
	 "9:30: unknown key \"what\""},
	{PLAIN("---\ntitle: t\nasset: {device: a, raise: 1, rules: nobody}\n"),
	 "9:37: no rule has the name or id \"nobody\""},
};

static void a_mistake_is_named_with_its_place(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		struct complaints c = {0, ""};
		char first[400] = "";
		struct detect *d;

		assert_int_equal(detect_new(&d, NULL, rulekit_key), 0);
		assert_true(detect_load_bytes(d, "bad.yml", slice_str(wrongs[i].yaml),
					      rulekit_error, &c) >= 0);
		memcpy(first, c.last, sizeof first);
		assert_true(detect_compile(d, rulekit_error, &c) >= 0);
		if (strncmp(first[0] != '\0' ? first : c.last, wrongs[i].says,
			    strlen(wrongs[i].says)) != 0) {
			fail_msg("\"%s\", not \"%s\"", first[0] != '\0' ? first : c.last,
				 wrongs[i].says);
		}
		detect_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_raises_and_lowers_by_what_the_line_says),
		cmocka_unit_test(an_asset_holds_for_all_rules_and_after_the_rules_own),
		cmocka_unit_test(an_asset_can_name_its_rules),
		cmocka_unit_test(a_device_is_known_by_its_tags),
		cmocka_unit_test(of_a_correlation_only_its_group_counts),
		cmocka_unit_test(lists_come_from_the_file_of_placeholders),
		cmocka_unit_test(a_mistake_is_named_with_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
