#include "detectors/field.h"

#include "common/timefmt.h"
#include "detectors/refer.h"

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
	{"source.network", RULE_FIELD_NETWORK},
	{"event.hour", RULE_FIELD_HOUR},
	{"source.geo.country_iso_code", RULE_FIELD_COUNTRY},
	{"source.geo.location", RULE_FIELD_LOCATION},
	{"source.as.number", RULE_FIELD_AS_NUMBER},
	{"source.as.organization.name", RULE_FIELD_AS_ORGANIZATION},
	{"event.original", RULE_FIELD_LINE},
	{"@timestamp", RULE_FIELD_TIME},
	{"event.created", RULE_FIELD_TIME},
	{"host.ip", RULE_FIELD_NEVER},
	/* Taxonomy, "Process Creation Events", and what Sysmon's other events have. */
	{"UtcTime", RULE_FIELD_TIME},
	{"User", FIELD_USER_NAME},
	{"CommandLine", FIELD_PROCESS_COMMAND_LINE},
	{"Image", RULE_FIELD_IMAGE},
	{"CurrentDirectory", FIELD_PROCESS_WORKING_DIRECTORY},
	{"ProcessId", RULE_FIELD_PID},
	{"TargetFilename", FIELD_FILE_PATH},
	{"SourceIp", FIELD_SOURCE_IP},
	{"SourcePort", FIELD_SOURCE_PORT},
	{"DestinationIp", FIELD_DESTINATION_IP},
	{"DestinationPort", FIELD_DESTINATION_PORT},
	{"Protocol", FIELD_NETWORK_PROTOCOL},
	{"sha256", FIELD_FILE_SHA256},
	{"Filename", FIELD_FILE_PATH},
	{"Signature", RULE_FIELD_NEVER},
	{"ComputerName", RULE_FIELD_HOST},
	{"Computer", RULE_FIELD_HOST},
	{"Hostname", RULE_FIELD_HOST},
	{"SubjectUserName", FIELD_USER_NAME},
	{"TargetUserName", FIELD_USER_TARGET_NAME},
	/* Taxonomy, "firewall", "webserver", "proxy". */
	{"src_ip", FIELD_SOURCE_IP},
	{"src_port", FIELD_SOURCE_PORT},
	{"dst_ip", FIELD_DESTINATION_IP},
	{"dst_port", FIELD_DESTINATION_PORT},
	{"username", FIELD_USER_NAME},
	{"date", RULE_FIELD_TIME},
	{"c-ip", FIELD_SOURCE_IP},
	{"c-uri", FIELD_URL_PATH},
	{"c-uri-stem", FIELD_URL_PATH},
	{"cs-uri-stem", FIELD_URL_PATH},
	{"c-useragent", FIELD_USER_AGENT},
	{"cs-user-agent", FIELD_USER_AGENT},
	{"cs-method", FIELD_HTTP_METHOD},
	{"cs-username", FIELD_USER_NAME},
	{"sc-status", FIELD_HTTP_STATUS},
	{"s-computername", RULE_FIELD_HOST},
	/* What the taxonomy has and no log line that is read here carries. */
	{"ParentImage", RULE_FIELD_NEVER},
	{"ParentCommandLine", RULE_FIELD_NEVER},
	{"ParentUser", RULE_FIELD_NEVER},
	{"ParentProcessGuid", RULE_FIELD_NEVER},
	{"ParentProcessId", RULE_FIELD_NEVER},
	{"ProcessGuid", RULE_FIELD_NEVER},
	{"FileVersion", RULE_FIELD_NEVER},
	{"Description", RULE_FIELD_NEVER},
	{"Product", RULE_FIELD_NEVER},
	{"Company", RULE_FIELD_NEVER},
	{"LogonGuid", RULE_FIELD_NEVER},
	{"LogonId", RULE_FIELD_NEVER},
	{"TerminalSessionId", RULE_FIELD_NEVER},
	{"IntegrityLevel", RULE_FIELD_NEVER},
	{"imphash", RULE_FIELD_NEVER},
	{"md5", RULE_FIELD_NEVER},
	{"sha1", RULE_FIELD_NEVER},
	{"Hashes", RULE_FIELD_NEVER},
	{"OriginalFileName", RULE_FIELD_NEVER},
	{"Initiated", RULE_FIELD_NEVER},
	{"SourceHostname", RULE_FIELD_NEVER},
	{"DestinationHostname", RULE_FIELD_NEVER},
	{"c-uri-extension", RULE_FIELD_NEVER},
	{"c-uri-query", RULE_FIELD_NEVER},
	{"cs-uri-query", RULE_FIELD_NEVER},
	{"cs-bytes", RULE_FIELD_NEVER},
	{"sc-bytes", RULE_FIELD_NEVER},
	{"cs-cookie", RULE_FIELD_NEVER},
	{"cs-host", RULE_FIELD_NEVER},
	{"cs-referrer", RULE_FIELD_NEVER},
	{"cs-referer", RULE_FIELD_NEVER},
	{"cs-version", RULE_FIELD_NEVER},
	{"r-dns", RULE_FIELD_NEVER},
	{"s-sitename", RULE_FIELD_NEVER},
	{"s-ip", RULE_FIELD_NEVER},
	{"s-port", RULE_FIELD_NEVER},
	{"time-taken", RULE_FIELD_NEVER},
	{"time", RULE_FIELD_NEVER},
	{"process.parent.executable", RULE_FIELD_NEVER},
	{"process.parent.command_line", RULE_FIELD_NEVER},
	{"process.parent.name", RULE_FIELD_NEVER},
	{"process.hash.sha256", RULE_FIELD_NEVER},
	{"event.duration", RULE_FIELD_NEVER},
	{"network.type", RULE_FIELD_NEVER},
	{"network.transport", RULE_FIELD_NEVER},
	{"network.community_id", RULE_FIELD_NEVER},
	{"source.bytes", RULE_FIELD_NEVER},
	{"destination.bytes", RULE_FIELD_NEVER},
	{"dns.question.name", RULE_FIELD_NEVER},
	{"dns.question.type", RULE_FIELD_NEVER},
	{"dns.answers.data", RULE_FIELD_NEVER},
};
enum { NAMES = sizeof names / sizeof names[0] };

static const char *const own[] = {"event.outcome", "process.name",
				  "process.pid", "host.hostname", "message",
				  "event.original", "process.executable",
				  "source.network", "event.hour", "@timestamp",
				  "source.geo.country_iso_code", "source.geo.location",
				  "source.as.number", "source.as.organization.name",
				  "(never)"};

int rule_field_find(struct slice name)
{
	int audit;

	/* First, since of these an event only has what an alert shows of a place. */
	for (unsigned i = 0; i < NAMES; i++) {
		if (slice_eq_nocase(name, slice_str(names[i].name))) {
			return (int)names[i].id;
		}
	}
	for (unsigned i = 0; i < FIELD_NR; i++) {
		if (slice_eq_nocase(name, slice_str(event_field_name(
						  (enum event_field)i)))) {
			return (int)i;
		}
	}
	audit = audit_find(name);
	return audit < 0 ? -1 : RULE_FIELD_AUDIT + audit;
}

const char *rule_field_spelled(struct slice name)
{
	for (unsigned i = 0; i < NAMES; i++) {
		if (slice_eq_nocase(name, slice_str(names[i].name))) {
			return names[i].name;
		}
	}
	return "";
}

bool rule_field_is_read(unsigned id)
{
	return id != FIELD_EVENT_KIND && id != FIELD_EVENT_PROVIDER && id != RULE_FIELD_NEVER;
}

const char *rule_field_name(unsigned id)
{
	if (id >= RULE_FIELD_AUDIT) {
		return audit_name(id - RULE_FIELD_AUDIT);
	}
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

/* The first four of eight groups.  A "::" stands for the groups that are missing; what
 * lies before it is all when it reaches so far. */
static bool first_groups(struct slice text, struct slice *out)
{
	unsigned after = 0, before = 0;
	size_t gap = slice_find(text, SLICE_LIT("::"));

	for (size_t i = gap == SIZE_MAX ? text.n : gap + 2; i < text.n; i++) {
		after += i == gap + 2 || text.p[i - 1] == ':';
	}
	for (size_t i = 0; i < text.n; i++) {
		if (i == gap) {
			before = 8 - after;
			if (before >= 4) {
				*out = slice(text.p, gap + 2);
				return true;
			}
			i++;
		} else if (text.p[i] == ':' && ++before == 4) {
			*out = slice(text.p, i);
			return true;
		}
	}
	return false;
}

/* One network has several texts, by what follows it in the address: 2001:db8:1:: and
 * 2001:db8:1:0.  Without the zeros and colons at their ends they are the same. */
static void cut_zeros(struct slice *s)
{
	struct slice whole = *s;

	while (s->n > 0 && (s->p[s->n - 1] == ':' ||
			    (s->p[s->n - 1] == '0' && (s->n == 1 || s->p[s->n - 2] == ':')))) {
		s->n--;
	}
	if (s->n == 0) {
		*s = whole;
	}
}

bool rule_field_network(const struct event *e, struct slice *out)
{
	struct slice text = event_get(e, FIELD_SOURCE_IP);
	size_t dot = slice_rchr(text, '.');

	if (dot != SIZE_MAX) {
		*out = slice_head(text, dot);
		return true;
	}
	if (!first_groups(text, out)) {
		return false;
	}
	cut_zeros(out);
	return true;
}

bool rule_field_hour(const struct record *r, int32_t offset_s, struct slice *out)
{
	static const char hours[] = "000102030405060708091011121314151617181920212223";
	const int64_t one = 3600 * NS_PER_S;
	int64_t stamp = record_time_ns(r);
	int64_t ns = stamp == TIME_NONE ? 0 : stamp + offset_s * NS_PER_S;
	int64_t hour = (ns / one - (ns % one < 0 ? 1 : 0)) % 24;

	*out = slice(hours + 2 * (hour < 0 ? hour + 24 : hour), 2);
	return stamp != TIME_NONE;
}

unsigned rule_field_parts(unsigned id)
{
	return id == RULE_FIELD_COUNTRY    ? GEO_COUNTRY
	       : id == RULE_FIELD_LOCATION ? GEO_PLACE
	       : rule_field_is_place(id)   ? GEO_AS
					   : 0;
}

bool rule_field_place(struct refer *refer, const struct record *r, unsigned id,
		      struct slice *out)
{
	const struct geo_place *p = refer_place(refer, &r->event);

	if (p == NULL || (p->has & rule_field_parts(id)) == 0) {
		return false;
	}
	*out = slice_str(id == RULE_FIELD_COUNTRY     ? p->country
			 : id == RULE_FIELD_LOCATION  ? p->location
			 : id == RULE_FIELD_AS_NUMBER ? p->number
						      : p->organization);
	return out->n > 0;
}
