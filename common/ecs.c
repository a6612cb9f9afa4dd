#include "common/ecs.h"

enum { DEPTH_MAX = 4, DATA_NAME = 64, DATA_VALUE = 1024, DATA_NAMES = 32,
       DATA_ELEMENTS = 8 };

/* Turns "a.b.c" into objects inside one another.  Fields must come grouped by
 * their prefix, as EVENT_FIELDS are; the objects that the next field does not
 * share are closed. */
struct nest {
	struct json *j;
	struct slice open[DEPTH_MAX];
	size_t depth;
};

static void close_to(struct nest *n, size_t depth)
{
	while (n->depth > depth) {
		json_object_end(n->j);
		n->depth--;
	}
}

/* Opens what leads to name; returns its last part, which is the tail of a
 * constant and so a C string. */
static const char *enter(struct nest *n, const char *name)
{
	struct slice rest = slice_str(name);
	size_t depth = 0, dot;
	bool shared = true;

	while ((dot = slice_find(rest, SLICE_LIT("."))) != SIZE_MAX &&
	       depth < DEPTH_MAX) {
		struct slice part = slice_head(rest, dot);
		char key[32];

		rest = slice_skip(rest, dot + 1);
		shared = shared && depth < n->depth &&
			 slice_eq(part, n->open[depth]);
		if (!shared) {
			close_to(n, depth);
			dot = dot < sizeof key ? dot : sizeof key - 1;
			memcpy(key, part.p, dot);
			key[dot] = '\0';
			json_object(n->j, key);
			n->open[n->depth++] = part;
		}
		depth++;
	}
	close_to(n, depth);
	return rest.p;
}

static void text(struct nest *n, const char *name, struct slice value)
{
	const char *key = enter(n, name);

	json_string(n->j, key, value);
}

static void number(struct nest *n, const char *name, struct slice value)
{
	uint64_t v;
	const char *key;

	if (slice_to_u64(value, INT64_MAX, &v)) {
		key = enter(n, name);
		json_u64(n->j, key, v);
	}
}

static bool is_number(enum event_field id)
{
	return id == FIELD_SOURCE_PORT || id == FIELD_DESTINATION_PORT ||
	       id == FIELD_HTTP_STATUS || id == FIELD_FILE_SIZE || id == FIELD_SOURCE_AS_NUMBER;
}

/* "52.5200": digits with at most a sign in front and a point among them. */
static bool is_decimal(struct slice s)
{
	size_t sign = s.n > 0 && s.p[0] == '-', dot = slice_chr(s, '.');
	struct slice whole = slice_skip(slice_head(s, dot), sign);
	struct slice rest = dot == SIZE_MAX ? SLICE_LIT("0") : slice_skip(s, dot + 1);

	return whole.n > 0 && slice_digits(whole) == whole.n && rest.n > 0 &&
	       slice_digits(rest) == rest.n;
}

/* ECS, "geo_point": a text is one as well, but the object is what everybody maps. */
static void location(struct nest *n, const char *name, struct slice value)
{
	size_t comma = slice_chr(value, ',');
	struct slice latitude = slice_head(value, comma);
	struct slice longitude = comma == SIZE_MAX ? SLICE_NONE : slice_skip(value, comma + 1);

	if (is_decimal(latitude) && is_decimal(longitude)) {
		json_object(n->j, enter(n, name));
		json_raw(n->j, "lat", latitude);
		json_raw(n->j, "lon", longitude);
		json_object_end(n->j);
	}
}

static void event_fields(struct nest *n, const struct event *e,
			 enum event_field from, enum event_field to)
{
	for (unsigned id = from; id < to; id++) {
		const char *name = event_field_name((enum event_field)id);

		if (!event_has(e, (enum event_field)id)) {
			continue;
		}
		if (id == FIELD_SOURCE_LOCATION) {
			location(n, name, e->f[id]);
		} else if (is_number((enum event_field)id)) {
			number(n, name, e->f[id]);
		} else {
			text(n, name, e->f[id]);
		}
	}
}

/* ---- RFC 5424's structured data ---- */

/* Up to c, which is skipped; whole rest and false when there is none. */
static bool until(struct slice *s, char c, struct slice *out)
{
	const char *p = s->n == 0 ? NULL : memchr(s->p, c, s->n);

	if (p == NULL) {
		return false;
	}
	*out = slice(s->p, (size_t)(p - s->p));
	*s = slice_skip(*s, out->n + 1);
	return true;
}

static bool key_of(struct slice s, char out[static DATA_NAME])
{
	if (s.n == 0 || s.n >= DATA_NAME) {
		return false;
	}
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

/* The value in quotes, without its escapes. */
static bool take_value(struct slice *s, char out[static DATA_VALUE], size_t *n)
{
	*n = 0;
	while (s->n > 0 && s->p[0] != '"') {
		if (s->p[0] == '\\' && s->n > 1 &&
		    (s->p[1] == '"' || s->p[1] == '\\' || s->p[1] == ']')) {
			*s = slice_skip(*s, 1);
		}
		if (*n < DATA_VALUE) {
			out[(*n)++] = s->p[0];
		}
		*s = slice_skip(*s, 1);
	}
	if (s->n == 0) {
		return false;
	}
	*s = slice_skip(*s, 1);
	return true;
}

/* "[id name="value" ...]": at most so many elements and names, since each is an object's
 * member. */
static void structured_data(struct json *j, struct slice s)
{
	char key[DATA_NAME], value[DATA_VALUE];
	struct slice part;
	size_t n;

	for (int elements = 0; elements < DATA_ELEMENTS && s.n > 1 && s.p[0] == '['; elements++) {
		size_t end = 1;

		while (end < s.n && s.p[end] != ' ' && s.p[end] != ']') {
			end++;
		}
		if (end == s.n || !key_of(slice(s.p + 1, end - 1), key)) {
			return;
		}
		s = slice_skip(s, end);
		json_object(j, key);
		for (int i = 0; i < DATA_NAMES && s.n > 0 && s.p[0] == ' '; i++) {
			s = slice_skip(s, 1);
			if (!until(&s, '=', &part) || !key_of(part, key) || s.n == 0 ||
			    s.p[0] != '"') {
				break;
			}
			s = slice_skip(s, 1);
			if (!take_value(&s, value, &n)) {
				break;
			}
			json_string(j, key, slice(value, n));
		}
		json_object_end(j);
		if (s.n == 0 || s.p[0] != ']') {
			return;
		}
		s = slice_skip(s, 1);
	}
}

static const char *const severities[] = {"Emergency", "Alert", "Critical", "Error",
					 "Warning", "Notice", "Informational", "Debug"};
static const char *const facilities[] = {
	"kernel", "user-level", "mail", "system", "security/authorization", "syslogd",
	"line printer", "network news", "UUCP", "clock", "security/authorization", "FTP",
	"NTP", "log audit", "log alert", "clock", "local0", "local1", "local2", "local3",
	"local4", "local5", "local6", "local7"};

/* ECS 8, "Log fields"; the names are RFC 5424's. */
static void syslog_fields(struct nest *n, const struct header *h)
{
	const char *key;
	unsigned facility = (unsigned)h->priority / 8, severity = (unsigned)h->priority % 8;

	if (h->priority >= 0 && h->format != HEADER_NONE && facility < 24) {
		key = enter(n, "log.syslog.priority");
		json_i64(n->j, key, h->priority);
		key = enter(n, "log.syslog.facility.code");
		json_u64(n->j, key, facility);
		text(n, "log.syslog.facility.name", slice_str(facilities[facility]));
		key = enter(n, "log.syslog.severity.code");
		json_u64(n->j, key, severity);
		text(n, "log.syslog.severity.name", slice_str(severities[severity]));
	}
	if (h->msgid.n > 0) {
		text(n, "log.syslog.msgid", h->msgid);
	}
	if (h->structured.n > 0) {
		key = enter(n, "log.syslog.structured_data");
		json_object(n->j, key);
		structured_data(n->j, h->structured);
		json_object_end(n->j);
	}
}

void ecs_write(struct json *j, const struct record *r)
{
	struct nest n = {.j = j};
	const struct header *h = &r->header;
	const struct event *e = &r->event;

	if (record_time_ns(r) != TIME_NONE) {
		json_time(j, "@timestamp", record_time_ns(r));
	}
	json_string(j, "message", h->message.p != NULL ? h->message : r->line);
	syslog_fields(&n, h);
	if (h->host.n > 0) {
		text(&n, "host.hostname", h->host);
	}
	event_fields(&n, e, FIELD_EVENT_KIND, FIELD_USER_NAME);
	if (e->outcome != OUTCOME_NONE) {
		text(&n, "event.outcome", slice_str(outcome_name(e->outcome)));
	}
	event_fields(&n, e, FIELD_USER_NAME, FIELD_PROCESS_COMMAND_LINE);
	if (e->attempts != 1 && e->outcome != OUTCOME_NONE) {
		const char *key = enter(&n, "auth.attempts");

		json_u64(j, key, e->attempts);
	}
	if (h->program.n > 0) {
		text(&n, "process.name", h->program);
	}
	if (h->pid.n > 0) {
		number(&n, "process.pid", h->pid);
	}
	event_fields(&n, e, FIELD_PROCESS_COMMAND_LINE, FIELD_NR);
	close_to(&n, 0);
}
