#include "common/ecs.h"

enum { DEPTH_MAX = 4 };

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
	       id == FIELD_HTTP_STATUS || id == FIELD_FILE_SIZE;
}

static void event_fields(struct nest *n, const struct event *e,
			 enum event_field from, enum event_field to)
{
	for (unsigned id = from; id < to; id++) {
		const char *name = event_field_name((enum event_field)id);

		if (!event_has(e, (enum event_field)id)) {
			continue;
		}
		if (is_number((enum event_field)id)) {
			number(n, name, e->f[id]);
		} else {
			text(n, name, e->f[id]);
		}
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
	if (h->priority >= 0 && h->format != HEADER_NONE) {
		const char *key = enter(&n, "log.syslog.priority");

		json_i64(j, key, h->priority);
	}
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
