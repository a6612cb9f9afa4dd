/* What detectors/ remembers from record to record must change nothing: the verdicts
 * on classes of records, and the hashes of group values. */
#include "tests/support/rulekit.h"

enum { RECORDS = 3000, TITLES = 256 };

static const char rules[] =
	"title: a\nid: a\nlogsource:\n  category: authentication\ndetection:\n"
	"  s:\n    event.outcome: failure\n  n:\n    event.action: [sudo, su]\n"
	"  condition: s and not n\n"
	"---\n"
	"title: b\nid: b\nlogsource:\n  product: linux\ndetection:\n"
	"  s:\n    event.action: ssh_login\n    user.name: root\n  condition: s\n"
	"---\n"
	"title: c\nid: c\nlogsource:\n  product: linux\ndetection:\n"
	"  s:\n    process.name: sshd\n    source.address|exists: true\n"
	"  condition: s\n"
	"---\n"
	"title: d\nid: d\nlogsource:\n  product: linux\ndetection:\n"
	"  s:\n    event.type|startswith: st\n  n:\n    user.name: null\n"
	"  condition: s and not n\n"
	"---\n"
	"title: e\nid: e\nlogsource:\n  product: linux\ndetection:\n"
	"  k:\n    - overflow\n    - segfault\n  condition: k\n"
	"---\n"
	"title: f\nid: f\nlogsource:\n  product: linux\ndetection:\n"
	"  s:\n    process.name: su\n    message|contains: overflow\n"
	"    user.name|re: ^an+a$\n  condition: s\n"
	"---\n"
	"title: g\nid: g\nlogsource:\n  product: linux\ndetection:\n"
	"  s:\n    event.category: Authentication\n    process.pid|exists: true\n"
	"  condition: s\n";

static void note(void *arg, const struct finding *f)
{
	strcat(arg, f->rule_title);
}

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Texts stand in one place for all records, as in a buffer that is read into
 * again: what is remembered must not trust a pointer. */
struct texts {
	char program[40], action[40], category[40], type[40];
};

static struct slice pick(char *room, const char *const *words, size_t n,
			 uint64_t *seed)
{
	strcpy(room, words[next(seed) % n]);
	return slice_str(room);
}

#define PICK(room, ...)                                                        \
	pick(room, (const char *const[]){__VA_ARGS__},                         \
	     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), seed)

static struct record some_record(struct texts *t, uint64_t *seed)
{
	struct record r = {.observed_ns = SEC(10)};

	r.header.time_ns = SEC(0);
	r.header.program = PICK(t->program, "sshd", "su", "sudo", "sshD", "",
				"a-program-with-a-name-of-some-length");
	r.line = r.header.message =
		slice_str(next(seed) % 4 == 0 ? "a stack overflow" : "a line");
	if (next(seed) % 3 == 0) {
		r.header.pid = slice_str("12");
	}
	if (next(seed) % 8 != 0) {
		event_set(&r.event, FIELD_EVENT_ACTION,
			  PICK(t->action, "ssh_login", "sudo", "su", "sh"));
		event_set(&r.event, FIELD_EVENT_CATEGORY,
			  PICK(t->category, "authentication", "session", "iam"));
	}
	if (next(seed) % 8 != 0) {
		event_set(&r.event, FIELD_EVENT_TYPE,
			  PICK(t->type, "start", "stop", "end", ""));
	}
	if (next(seed) % 2 == 0) {
		event_set(&r.event, FIELD_USER_NAME,
			  slice_str(next(seed) % 2 == 0 ? "root" : "anna"));
	}
	if (next(seed) % 2 == 0) {
		event_set(&r.event, FIELD_SOURCE_IP, slice_str("192.0.2.7"));
	}
	r.event.outcome = (enum outcome)(next(seed) % 4);
	r.event.attempts = 1;
	return r;
}

static void a_record_is_judged_as_if_it_were_the_first(void **state)
{
	const char *given = getenv("TEST_SEED");
	uint64_t seed = given == NULL ? UINT64_C(0x76657264)
				      : strtoull(given, NULL, 0) | 1;
	struct detect *d = rulekit_detect(rules, NULL, NULL);
	unsigned found = 0;
	struct texts texts;

	(void)state;
	print_message("TEST_SEED=%#llx\n", (unsigned long long)seed);
	for (int i = 0; i < RECORDS; i++) {
		struct record r = some_record(&texts, &seed);
		struct detect *fresh = rulekit_detect(rules, NULL, NULL);
		char a[TITLES] = "", b[TITLES] = "";

		detect_record(d, &r, note, a);
		detect_record(fresh, &r, note, b);
		assert_string_equal(a, b);
		found += a[0] != '\0';
		detect_free(fresh);
	}
	assert_in_range(found, RECORDS / 10, RECORDS - RECORDS / 10);
	detect_free(d);
}

static void a_correlation_without_group_by_is_one_group(void **state)
{
	static const char yaml[] =
		"title: base\nid: base\nname: base\nlogsource:\n"
		"  category: authentication\ndetection:\n"
		"  s:\n    event.outcome: failure\n  condition: s\n"
		"---\n"
		"title: all\nid: all\ncorrelation:\n  type: event_count\n"
		"  rules: [base]\n  timespan: 1h\n  condition:\n    gte: 500\n"
		"---\n"
		"title: one\nid: one\ncorrelation:\n  type: event_count\n"
		"  rules: [base]\n  group-by: [source.address]\n  timespan: 1h\n"
		"  condition:\n    gte: 2\n";
	struct detect *d = rulekit_detect(yaml, NULL, NULL);
	char told[TITLES] = "", ip[32];

	(void)state;
	for (int i = 0; i < 500; i++) {
		struct record r;

		assert_string_equal(told, "");
		snprintf(ip, sizeof ip, "10.0.%d.%d", i / 250, i % 250);
		r = rulekit_login(SEC(i), OUTCOME_FAILURE, "root", ip);
		detect_record(d, &r, note, told);
	}
	assert_string_equal(told, "all");
	detect_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_judged_as_if_it_were_the_first),
		cmocka_unit_test(a_correlation_without_group_by_is_one_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
