#include "detectors/field.h"

/* Sigma's names (taxonomy appendix, and the SigmaHQ Linux rules), and the few of
 * ECS that are not in the event. */
static const struct {
	const char *name;
	unsigned id;
} names[] = {
	{"event.outcome", RULE_FIELD_OUTCOME},
	{"process.name", RULE_FIELD_PROGRAM},
	{"process.pid", RULE_FIELD_PID},
	{"host.hostname", RULE_FIELD_HOST},
	{"host.name", RULE_FIELD_HOST},
	{"message", RULE_FIELD_MESSAGE},
	{"event.original", RULE_FIELD_LINE},
	{"User", FIELD_USER_NAME},
	{"SubjectUserName", FIELD_USER_NAME},
	{"TargetUserName", FIELD_USER_TARGET_NAME},
	{"ComputerName", RULE_FIELD_HOST},
	{"Computer", RULE_FIELD_HOST},
	{"CommandLine", FIELD_PROCESS_COMMAND_LINE},
	{"Image", FIELD_PROCESS_EXECUTABLE},
	{"CurrentDirectory", FIELD_PROCESS_WORKING_DIRECTORY},
	{"TargetFilename", FIELD_FILE_PATH},
	{"SourceIp", FIELD_SOURCE_IP},
	{"SourcePort", FIELD_SOURCE_PORT},
	{"DestinationIp", FIELD_DESTINATION_IP},
	{"DestinationPort", FIELD_DESTINATION_PORT},
	{"src_ip", FIELD_SOURCE_IP},
	{"src_port", FIELD_SOURCE_PORT},
	{"dst_ip", FIELD_DESTINATION_IP},
	{"dst_port", FIELD_DESTINATION_PORT},
	{"c-ip", FIELD_SOURCE_IP},
	{"c-uri", FIELD_URL_PATH},
	{"c-uri-stem", FIELD_URL_PATH},
	{"c-useragent", FIELD_USER_AGENT},
	{"cs-method", FIELD_HTTP_METHOD},
	{"cs-username", FIELD_USER_NAME},
	{"sc-status", FIELD_HTTP_STATUS},
	{"Hostname", RULE_FIELD_HOST},
	/* Sysmon's fields, which no log line here carries. */
	{"ParentImage", RULE_FIELD_NEVER},
	{"ParentCommandLine", RULE_FIELD_NEVER},
	{"ParentUser", RULE_FIELD_NEVER},
	{"LogonId", RULE_FIELD_NEVER},
	{"Initiated", RULE_FIELD_NEVER},
	{"DestinationHostname", RULE_FIELD_NEVER},
	{"Hashes", RULE_FIELD_NEVER},
	{"OriginalFileName", RULE_FIELD_NEVER},
};
enum { NAMES = sizeof names / sizeof names[0] };

static const char *const own[] = {"event.outcome", "process.name",
				  "process.pid", "host.hostname", "message",
				  "event.original", "(never)"};

int rule_field_find(struct slice name)
{
	for (unsigned i = 0; i < FIELD_NR; i++) {
		if (slice_eq_nocase(name, slice_str(event_field_name(
						  (enum event_field)i)))) {
			return (int)i;
		}
	}
	for (unsigned i = 0; i < NAMES; i++) {
		if (slice_eq_nocase(name, slice_str(names[i].name))) {
			return (int)names[i].id;
		}
	}
	return -1;
}

const char *rule_field_name(unsigned id)
{
	return id < FIELD_NR ? event_field_name((enum event_field)id)
			     : own[id - FIELD_NR];
}

/* How many letters differ at the end of the longest common beginning, plus the
 * difference in length: crude, and enough for a typing error. */
static size_t unlike(struct slice a, struct slice b)
{
	size_t head = 0, tail = 0, least = a.n < b.n ? a.n : b.n;

	while (head < least &&
	       slice_eq_nocase(slice(a.p + head, 1), slice(b.p + head, 1))) {
		head++;
	}
	while (tail < least - head &&
	       slice_eq_nocase(slice(a.p + a.n - 1 - tail, 1),
			       slice(b.p + b.n - 1 - tail, 1))) {
		tail++;
	}
	return (a.n > b.n ? a.n : b.n) - head - tail;
}

const char *rule_field_suggest(struct slice name)
{
	const char *best = NULL;
	size_t best_unlike = 3;

	for (unsigned i = 0; i < FIELD_NR + NAMES; i++) {
		const char *s = i < FIELD_NR
					? event_field_name((enum event_field)i)
					: names[i - FIELD_NR].name;
		size_t u = unlike(name, slice_str(s));

		if (u < best_unlike) {
			best_unlike = u;
			best = s;
		}
	}
	return best;
}
