/* Sigma 2.1, section by section: what a rule means and what is refused. */
#include "tests/support/rulekit.h"

static void count_findings(void *arg, const struct finding *f)
{
	(void)f;
	++*(unsigned *)arg;
}

static unsigned fires(struct detect *d, const struct record *r)
{
	unsigned n = 0;

	detect_record(d, r, count_findings, &n);
	return n;
}

/* A rule with this detection. */
static struct detect *rule(const char *detection)
{
	char yaml[4096];

	snprintf(yaml, sizeof yaml,
		 "title: t\nid: i\nlogsource:\n  product: linux\ndetection:\n%s",
		 detection);
	return rulekit_detect(yaml, NULL, NULL);
}

/* Whether a rule matches a record whose user.name (NULL: none) and line are
 * these. */
static bool matches(const char *detection, const char *user, const char *line)
{
	struct detect *d = rule(detection);
	struct record r = rulekit_login(SEC(0), OUTCOME_FAILURE, user, "192.0.2.7");
	unsigned n;

	if (line != NULL) {
		r.line = r.header.message = slice_str(line);
	}
	event_set(&r.event, FIELD_SOURCE_PORT, slice_str("40022"));
	n = fires(d, &r);
	assert_true(n <= 1);
	detect_free(d);
	return n == 1;
}

#define USER(modifiers, value) \
	"  s:\n    user.name" modifiers ": " value "\n  condition: s\n"

struct modifier_case {
	const char *section;
	const char *detection;
	const char *user;
	bool matches;
};

static const struct modifier_case modifier_cases[] = {
	/* Rules, "General": case-insensitive strings. */
	{"general", USER("", "Root"), "rOOT", true},
	{"general", USER("", "root"), "root2", false},
	{"general", USER("", "5"), "5", true},
	/* Rules, "String Wildcard" */
	{"wildcard", USER("", "'ro*'"), "root", true},
	{"wildcard", USER("", "'*OT'"), "root", true},
	{"wildcard", USER("", "'*oo*'"), "root", true},
	{"wildcard", USER("", "'r?ot'"), "root", true},
	{"wildcard", USER("", "'r?ot'"), "roots", false},
	{"wildcard", USER("", "'r?ot'"), "rot", false},
	{"wildcard", USER("", "'r?ot'"), "r\xc3\xb6ot", true},
	{"wildcard", USER("", "'a*b*c'"), "a-b-b-c", true},
	{"wildcard", USER("", "'a*b*c'"), "a-b-b-cd", false},
	{"wildcard", USER("", "'*'"), "", true},
	/* Rules, "Escape Character" */
	{"escape", USER("", "'a\\*b'"), "a*b", true},
	{"escape", USER("", "'a\\*b'"), "axb", false},
	{"escape", USER("", "'a\\?'"), "a?", true},
	{"escape", USER("", "'a\\\\*'"), "a\\anything", true},
	{"escape", USER("", "'a\\\\\\*'"), "a\\*", true},
	{"escape", USER("", "'a\\\\\\*'"), "a\\x", false},
	{"escape", USER("", "'a\\b'"), "a\\b", true},
	{"escape", USER("", "'a\\\\b'"), "a\\b", true},
	{"escape", USER("", "'a\\\\\\\\b'"), "a\\\\b", true},
	/* Rules, "Lists": values are joined by or. */
	{"lists", USER("", "[a, root, b]"), "root", true},
	{"lists", USER("", "[a, b]"), "root", false},
	/* Rules, "Special Field Values" */
	{"special", USER("", "''"), "", true},
	{"special", USER("", "''"), "x", false},
	{"special", USER("", "''"), NULL, false},
	{"special", USER("", "null"), NULL, true},
	{"special", USER("", "null"), "", false},
	/* Modifiers, "Generic Modifiers" */
	{"contains", USER("|contains", "OO"), "root", true},
	{"contains", USER("|contains", "oot"), "ro", false},
	{"contains", USER("|contains", "'o*t'"), "xroot2", true},
	{"startswith", USER("|startswith", "ro"), "ROot", true},
	{"startswith", USER("|startswith", "oo"), "root", false},
	{"endswith", USER("|endswith", "OT"), "root", true},
	{"endswith", USER("|endswith", "oo"), "root", false},
	{"all", USER("|contains|all", "[ro, ot]"), "root", true},
	{"all", USER("|contains|all", "[ro, x]"), "root", false},
	{"exists", USER("|exists", "true"), "", true},
	{"exists", USER("|exists", "true"), NULL, false},
	{"exists", USER("|exists", "false"), NULL, true},
	{"exists", USER("|exists", "false"), "root", false},
	{"cased", USER("|cased", "Root"), "Root", true},
	{"cased", USER("|cased", "Root"), "root", false},
	{"cased", USER("|contains|cased", "OO"), "root", false},
	{"cased", USER("|startswith|cased", "R?o"), "RXot", true},
	{"neq", USER("|neq", "root"), "anna", true},
	{"neq", USER("|neq", "root"), "root", false},
	{"neq", USER("|neq", "root"), NULL, false},
	/* Modifiers, "Regular Expression": searched, cased by default. */
	{"re", USER("|re", "'^r.+t$'"), "root", true},
	{"re", USER("|re", "'o{2}'"), "root", true},
	{"re", USER("|re", "'ROOT'"), "root", false},
	{"re", USER("|re|i", "'ROOT'"), "root", true},
	{"re", USER("|re", "'^b'"), "a\nb", false},
	{"re", USER("|re|m", "'^b'"), "a\nb", true},
	{"re", USER("|re", "'a.b'"), "a\nb", false},
	{"re", USER("|re|s", "'a.b'"), "a\nb", true},
	{"re", USER("|re", "'(a)(b)(c)'"), "abc", true},
	{"re", USER("|re", "'x'"), "", false},
	/* Modifiers, "Numeric Modifiers" */
	{"number", USER("|gt", "4"), "5", true},
	{"number", USER("|gt", "5"), "5", false},
	{"number", USER("|gte", "5"), "5", true},
	{"number", USER("|lt", "6"), "5", true},
	{"number", USER("|lt", "5"), "5", false},
	{"number", USER("|lte", "5"), "5", true},
	{"number", USER("|lt", "-1"), "-2", true},
	{"number", USER("|gt", "1"), "two", false},
	/* Modifiers, "IP Modifiers" */
	{"cidr", "  s:\n    source.ip|cidr: 192.0.2.0/24\n  condition: s\n", "x", true},
	{"cidr", "  s:\n    source.ip|cidr: 192.0.3.0/24\n  condition: s\n", "x", false},
	{"cidr", "  s:\n    source.ip|cidr: ['2001:db8::/32', 192.0.0.0/16]\n"
		 "  condition: s\n", "x", true},
	/* Modifiers, "Specific Modifiers" */
	{"fieldref", "  s:\n    user.name|fieldref: source.ip\n  condition: s\n",
	 "192.0.2.7", true},
	{"fieldref", "  s:\n    user.name|fieldref: source.ip\n  condition: s\n",
	 "192.0.2.8", false},
	{"fieldref", "  s:\n    user.name|fieldref|neq: source.ip\n  condition: s\n",
	 "192.0.2.8", true},
	/* Taxonomy: Sigma's names mean the same fields. */
	{"taxonomy", "  s:\n    User: root\n    src_ip: 192.0.2.7\n"
		     "    SourcePort: 40022\n  condition: s\n", "root", true},
	/* ECS: source.address is the address when there is no name. */
	{"taxonomy", "  s:\n    source.address: 192.0.2.7\n  condition: s\n", "x", true},
	/* No line here has it: never, and null always. */
	{"taxonomy", "  s:\n    ParentImage|endswith: sh\n  condition: s\n", "x", false},
	{"taxonomy", "  s:\n    ParentImage: null\n  condition: s\n", "x", true},
};

static void every_modifier_means_what_its_section_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof modifier_cases / sizeof *modifier_cases; i++) {
		const struct modifier_case *c = &modifier_cases[i];

		if (matches(c->detection, c->user, NULL) != c->matches) {
			fail_msg("%s: user \"%s\" %s\n%s", c->section,
				 c->user == NULL ? "(none)" : c->user,
				 c->matches ? "must match" : "must not match",
				 c->detection);
		}
	}
}

/* Rules, "Lists" and "Keywords search" */
static void keywords_are_searched_in_the_whole_line(void **state)
{
	const char *any = "  k:\n    - 'EVILSERVICE'\n    - 'svchost.exe -n evil'\n"
			  "  condition: k\n";
	const char *all = "  k:\n    '|all':\n      - one\n      - two\n"
			  "  condition: k\n";

	(void)state;
	assert_true(matches(any, NULL, "x evilservice y"));
	assert_true(matches(any, NULL, "SVCHOST.exe -n evil"));
	assert_false(matches(any, NULL, "svchost.exe"));
	assert_true(matches(all, NULL, "two and one"));
	assert_false(matches(all, NULL, "one"));
	assert_true(matches("  k:\n    '|re': 'a.c$'\n  condition: k\n", NULL, "xabc"));
	assert_true(matches("  k: word\n  condition: k\n", NULL, "a WORD b"));
	assert_true(matches("  k:\n    - 'a*c'\n  condition: k\n", NULL, "xxabbcxx"));
}

/* Rules, "Lists" (of maps) and "Maps" */
static void maps_are_joined_by_and_and_lists_of_maps_by_or(void **state)
{
	const char *map = "  s:\n    user.name: root\n    source.ip: 192.0.2.7\n"
			  "  condition: s\n";
	const char *list = "  s:\n    - user.name: x\n      source.ip: 192.0.2.7\n"
			   "    - user.name: root\n  condition: s\n";

	(void)state;
	assert_true(matches(map, "root", NULL));
	assert_false(matches(map, "x", NULL));
	assert_true(matches(list, "x", NULL));
	assert_true(matches(list, "root", NULL));
	assert_false(matches(list, "y", NULL));
}

/* Rules, "Condition": a, b and c are whether the user's name holds the letter. */
static bool condition(const char *text, const char *user)
{
	char detection[1024];

	snprintf(detection, sizeof detection,
		 "  sel_a:\n    user.name|contains: a\n"
		 "  sel_b:\n    user.name|contains: b\n"
		 "  _c:\n    user.name|contains: c\n"
		 "  condition: %s\n", text);
	return matches(detection, user, NULL);
}

static void conditions_bind_as_the_specification_says(void **state)
{
	(void)state;
	assert_true(condition("sel_a and sel_b", "ab"));
	assert_false(condition("sel_a and sel_b", "a"));
	assert_true(condition("sel_a or sel_b", "b"));
	assert_true(condition("not sel_a", "b"));
	assert_false(condition("not sel_a", "a"));
	assert_true(condition("not not sel_a", "a"));
	/* or binds least, then and, then not */
	assert_true(condition("sel_a or sel_b and _c", "a"));
	assert_false(condition("(sel_a or sel_b) and _c", "a"));
	assert_true(condition("not sel_a and sel_b", "b"));
	assert_false(condition("not (sel_a or sel_b)", "b"));
	assert_true(condition("sel_a AND NOT sel_b", "a"));
	/* x of */
	assert_true(condition("1 of sel_*", "b"));
	assert_false(condition("1 of sel_*", "c"));
	assert_true(condition("all of sel_*", "ab"));
	assert_false(condition("all of sel_*", "a"));
	assert_true(condition("1 of *_b", "b"));
	/* "them" leaves out what begins with an underscore */
	assert_false(condition("1 of them", "c"));
	assert_true(condition("all of them", "ab"));
	assert_true(condition("sel_a and not 1 of _*", "ab"));
	assert_false(condition("sel_a and not 1 of _*", "ac"));
	/* a list is joined by or */
	assert_true(condition("[sel_a, sel_b]", "b"));
	assert_false(condition("[sel_a, sel_b]", "c"));
}

/* Rules, "LogSource" */
static void a_service_stands_for_its_programs(void **state)
{
	struct record r = rulekit_login(SEC(0), OUTCOME_FAILURE, "a", NULL);
	struct detect *d = rulekit_detect(
		"title: t\nlogsource:\n  product: linux\n  service: sshd\n"
		"detection:\n  s:\n    user.name: a\n  condition: s\n---\n"
		"title: u\nlogsource:\n  service: vsftpd\n"
		"detection:\n  s:\n    user.name: a\n  condition: s\n---\n"
		"title: v\nlogsource:\n  category: authentication\n"
		"detection:\n  s:\n    user.name: a\n  condition: s\n",
		NULL, NULL);

	(void)state;
	assert_int_equal(fires(d, &r), 2);
	r.header.program = slice_str("sshd-session");
	assert_int_equal(fires(d, &r), 2);
	r.header.program = slice_str("SSHD");
	assert_int_equal(fires(d, &r), 2);
	r.header.program = slice_str("vsftpd");
	assert_int_equal(fires(d, &r), 2);
	r.header.program = slice_str("sshdx");
	assert_int_equal(fires(d, &r), 1);
	detect_free(d);
}

static void on_order(void *arg, const struct finding *f)
{
	strcat(arg, f->rule_title);
}

static void every_rule_that_matches_fires_in_the_order_of_loading(void **state)
{
	struct record r = rulekit_login(SEC(0), OUTCOME_FAILURE, "a", NULL);
	char order[16] = "";
	struct detect *d = rulekit_detect(
		"title: A\nlogsource: {product: linux}\n"
		"detection: {s: {user.name: a}, condition: s}\n---\n"
		"title: B\nlogsource: {product: linux}\n"
		"detection: {s: [some], condition: s}\n---\n"
		"title: C\nlogsource: {service: sshd}\n"
		"detection: {s: {event.outcome: failure}, condition: s}\n---\n"
		"title: D\nlogsource: {product: linux}\n"
		"detection: {s: {event.action: ssh_login}, condition: s}\n",
		NULL, NULL);

	(void)state;
	detect_record(d, &r, on_order, order);
	assert_string_equal(order, "ABCD");
	detect_free(d);
}

struct wrong {
	const char *yaml;
	const char *says; /* "line:column: " and the beginning of the text */
};

#define HEAD "title: t\nlogsource:\n  product: linux\ndetection:\n"

static const struct wrong wrongs[] = {
	{"id: x\n", "1:1: the rule has no title"},
	{"- a\n", "1:1: a rule is a mapping"},
	{"title: t\n", "1:1: the rule needs either"},
	{"title: t\ndetection:\n  s: x\n  condition: s\n",
	 "1:1: the rule has no logsource"},
	{HEAD "  s:\n    user.nmae: x\n  condition: s\n",
	 "6:5: field \"user.nmae\" is not known; did you mean \"user.name\"?"},
	{HEAD "  s:\n    user.name|contain: x\n  condition: s\n",
	 "6:5: \"contain\" is no modifier"},
	{HEAD "  s:\n    user.name|re: '('\n  condition: s\n",
	 "6:19: the expression is not valid"},
	{HEAD "  s:\n    source.ip|cidr: 10.0.0.0/33\n  condition: s\n",
	 "6:21: not a network"},
	{HEAD "  s:\n    source.port|gt: many\n  condition: s\n",
	 "6:21: a number must"},
	{HEAD "  s:\n    user.name|exists: maybe\n  condition: s\n",
	 "6:23: exists takes true or false"},
	{HEAD "  s:\n    user.name|contains|all: x\n  condition: s\n",
	 "6:5: all needs a list"},
	{HEAD "  s:\n    user.name|re|cidr: x\n  condition: s\n",
	 "6:5: these modifiers exclude each other"},
	{HEAD "  s:\n    user.name: [a, null]\n  condition: s\n",
	 "6:20: null can't stand in a list"},
	{HEAD "  s:\n    user.name: {}\n  condition: s\n",
	 "6:16: a value or a list"},
	{HEAD "  s: []\n  condition: s\n", "5:6: the selection is empty"},
	{HEAD "  s: x\n  condition: s and q\n",
	 "6:20: the condition names \"q\""},
	{HEAD "  s: x\n  condition: s and\n", "6:19: the condition ends"},
	{HEAD "  s: x\n  condition: (s\n", "6:16: \")\" is missing"},
	{HEAD "  s: x\n  condition: s s\n", "6:16: \"s\" is not expected"},
	{HEAD "  s: x\n  condition: 2 of s*\n", "6:14: Sigma knows \"1 of\""},
	{HEAD "  s: x\n  condition: 1 of z*\n", "6:19: no selection is named"},
	{HEAD "  s: x\n  condition: 's | count() > 5'\n",
	 "6:17: \"|\" is not expected"},
	{HEAD "  s: x\n  timeframe: 5m\n  condition: s\n",
	 "6:3: timeframe is obsolete"},
	{HEAD "  s: x\n", "5:3: detection must have"},
	{HEAD "  s: x\n  s: y\n  condition: s\n", "6:3: key \"s\" stands here"},
	{HEAD "  s: *x\n  condition: s\n", "5:6: aliases (*)"},
	{HEAD "  s: x\n  condition: s\nlevel: severe\n", "7:8: level is one of"},
	{HEAD "  s: x\n  condition: s\nnightjar:\n  colddown: 5m\n",
	 "8:3: unknown key \"colddown\""},
	{HEAD "  s: x\n  condition: s\nnightjar:\n  cooldown: 5\n",
	 "8:13: a time must be"},
	{HEAD "  s: x\n  condition: s\nnightjar:\n  first_seen:\n    per: User\n",
	 "9:5: first_seen needs a field"},
#define WATCH(text) HEAD "  s: x\n  condition: s\nnightjar:\n" text
	{WATCH("  silence: 0\n"), "8:12: silence must be longer"},
	{WATCH("  silence:\n    factor: 1\n"), "9:13: factor must be a number above 1"},
	{WATCH("  silence:\n    factor: 1000.5\n"), "9:13: factor must be a number above 1"},
	{WATCH("  silence:\n    percentile: 101\n"), "9:17: percentile must be a whole number"},
	{WATCH("  silence:\n    least: 30s\n"), "9:12: least must be from 1m"},
	{WATCH("  silence:\n    least: 2h\n    most: 1h\n"), "10:11: least must not be longer"},
	{WATCH("  silence:\n    most: 9d\n    forget: 8d\n"), "9:11: least must not be"},
	{WATCH("  silence:\n    learning: 29d\n"), "9:15: learning must be from 0m to 28d"},
	{WATCH("  silence:\n    forget: 65d\n"), "9:13: forget must be from 1440m to 64d"},
	{WATCH("  silence:\n    longest: 65d\n"), "9:5: unknown key \"longest\""},
	{WATCH("  rate:\n    above: 3\n"), "9:5: rate needs a minimum, and above"},
	{WATCH("  rate:\n    minimum: 3\n"), "9:5: rate needs a minimum, and above"},
	{WATCH("  rate:\n    above: 0.5\n    minimum: 3\n"), "9:12: above must be a number"},
	{WATCH("  rate:\n    above: x\n    minimum: 3\n"), "9:12: above must be a number"},
	{WATCH("  rate:\n    below: 2\n    minimum: 0\n"), "10:14: minimum must be a whole"},
	{WATCH("  rate:\n    below: 2\n    minimum: 3\n    baseline: month\n"),
	 "11:15: baseline is hour"},
	{WATCH("  rate:\n    below: 2\n    minimum: 3\n    baseline: week\n    learning: 6d\n"),
	 "12:15: learning must be from 10080m"},
	{WATCH("  rate:\n    below: 2\n    minimum: 3\n    forget: 367d\n"),
	 "11:13: forget must be from 60m to 366d"},
	{WATCH("  rate:\n    below: 2\n    minimum: 3\n  silence: 5m\n"),
	 "8:3: rate belongs to a detection without"},
	{WATCH("  first_seen:\n    field: User\n  silence: 5m\n"),
	 "10:3: silence belongs to a detection without"},
	{WATCH("  weight: attempts\n"), "8:11: weight is \"attempts\", and only for"},
	{"title: t\nlogsource:\n  product: windows\ndetection:\n  s: x\n"
	 "  condition: s\n", "3:12: logs of product \"windows\""},
	{"title: t\ncorrelation:\n  type: event_count\n", "3:3: rules must name"},
	{"title: t\ncorrelation:\n  type: value_sum\n  rules: x\n  timespan: 5m\n"
	 "  condition:\n    gte: 5\n", "7:5: the condition needs a field"},
	{"title: t\ncorrelation:\n  type: value_avg\n  rules: x\n  timespan: 5m\n"
	 "  condition:\n    field: [source.port, source.ip]\n    gte: 5\n",
	 "7:26: field takes one field"},
	{"title: t\ncorrelation:\n  type: temporal\n  rules: x\n  timespan: 5m\n"
	 "  condition:\n    gte: 2\n", "7:5: no window with an event in it fulfils this"},
	{"title: t\ncorrelation:\n  type: event_count\n  rules: x\n  timespan: 5m\n"
	 "  condition:\n    field: User\n", "7:5: the condition compares nothing"},
	{"title: t\ncorrelation:\n  type: event_count\n  rules: x\n  timespan: 5m\n"
	 "  condition:\n    field: User\n    gte: 2\n",
	 "7:5: field is for the value_ correlations"},
	{"title: t\ncorrelation:\n  type: often\n  rules: x\n",
	 "3:9: \"often\" is no correlation type"},
	{"title: t\ncorrelation:\n  type: event_count\n  rules: x\n  timespan: 5\n",
	 "5:13: timespan must be"},
	{"title: t\ncorrelation:\n  type: event_count\n  rules: x\n  timespan: 5m\n",
	 "3:3: the correlation needs a condition"},
	{"title: t\ncorrelation:\n  type: event_count\n  rules: x\n  timespan: 5m\n"
	 "  condition:\n    gt: 5\n    lt: 4\n", "7:5: no window"},
	{"title: t\ncorrelation:\n  type: event_count\n  rules: nobody\n"
	 "  timespan: 5m\n  condition:\n    gte: 5\n",
	 "4:10: no rule has the name or id \"nobody\""},
	{"title: t\nname: a\ncorrelation:\n  type: event_count\n  rules: a\n"
	 "  timespan: 5m\n  condition:\n    gte: 5\n",
	 "1:1: the correlation depends on itself"},
};

static void a_mistake_is_named_with_its_place_and_the_rest_loads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		struct complaints c = {0, ""};
		struct detect_stats st;
		struct detect *d;

		assert_int_equal(detect_new(&d, NULL, rulekit_key), 0);
		assert_true(detect_load_bytes(d, "bad.yml", slice_str(wrongs[i].yaml),
					      rulekit_error, &c) >= 0);
		assert_int_equal(detect_load_bytes(
			d, "good.yml", slice_str("id: good\n" HEAD "  s: x\n  condition: s\n"),
			rulekit_error, NULL), 1);
		assert_int_equal(detect_compile(d, rulekit_error, &c), 1);
		detect_stats(d, &st);
		assert_int_equal(st.rules, 1);
		if (c.n == 0 || strncmp(c.last, wrongs[i].says,
					strlen(wrongs[i].says)) != 0) {
			fail_msg("\"%s\" and not \"%s\" for\n%s", c.last,
				 wrongs[i].says, wrongs[i].yaml);
		}
		detect_free(d);
	}
}

static void a_later_file_replaces_a_rule_and_options_disable_one(void **state)
{
	const char *old = "title: old\nid: x\nlogsource: {product: linux}\n"
			  "detection: {s: {user.name: a}, condition: s}\n";
	const char *new = "title: new\nid: x\nlogsource: {product: linux}\n"
			  "detection: {s: {user.name: b}, condition: s}\n";
	struct record a = rulekit_login(SEC(0), OUTCOME_NONE, "a", NULL);
	struct record b = rulekit_login(SEC(0), OUTCOME_NONE, "b", NULL);
	struct detectors_options o = {.enabled = true};
	struct detect *d;

	(void)state;
	assert_int_equal(detect_new(&d, NULL, rulekit_key), 0);
	detect_load_bytes(d, "1.yml", slice_str(old), rulekit_error, NULL);
	detect_load_bytes(d, "2.yml", slice_str(new), rulekit_error, NULL);
	assert_int_equal(detect_compile(d, rulekit_error, NULL), 1);
	assert_int_equal(fires(d, &a), 0);
	assert_int_equal(fires(d, &b), 1);
	assert_int_equal(detect_load_bytes(d, "3.yml", slice_str(old), NULL, NULL),
			 UV_EBUSY);
	detect_free(d);

	assert_int_equal(strlist_add(&o.disabled, slice_str("x")), 0);
	d = rulekit_detect(old, &o, NULL);
	assert_int_equal(fires(d, &a), 0);
	detect_free(d);
	strlist_fini(&o.disabled);
}

static void an_expression_at_its_limit_does_not_match_and_is_counted(void **state)
{
	struct detect *d = rule("  s:\n    '|re': '(a+)+$'\n  condition: s\n");
	struct record r = rulekit_login(SEC(0), OUTCOME_NONE, "x", NULL);
	struct detect_stats st;

	(void)state;
	r.line = slice_str("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
	assert_int_equal(fires(d, &r), 0);
	detect_stats(d, &st);
	assert_int_equal(st.re_limits, 1);
	detect_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_modifier_means_what_its_section_says),
		cmocka_unit_test(keywords_are_searched_in_the_whole_line),
		cmocka_unit_test(maps_are_joined_by_and_and_lists_of_maps_by_or),
		cmocka_unit_test(conditions_bind_as_the_specification_says),
		cmocka_unit_test(a_service_stands_for_its_programs),
		cmocka_unit_test(every_rule_that_matches_fires_in_the_order_of_loading),
		cmocka_unit_test(a_mistake_is_named_with_its_place_and_the_rest_loads),
		cmocka_unit_test(a_later_file_replaces_a_rule_and_options_disable_one),
		cmocka_unit_test(an_expression_at_its_limit_does_not_match_and_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
