/* event: what a record means, in fields named as ECS names them.
 *
 * A field's value is a slice into the (redacted) line or into constant text; it
 * lives as long as the line does.  `has` says which fields are set, so that an
 * event is made ready for the next line by one store.
 *
 * Source of the names: Elastic Common Schema 8 field reference; the few that
 * ECS lacks are marked "ours".
 */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* X(enumerator, ECS name).  Order is not part of any format. */
#define EVENT_FIELDS(X)                                       \
	X(EVENT_KIND, "event.kind")   /* set in alerts only */ \
	X(EVENT_CATEGORY, "event.category")                   \
	X(EVENT_TYPE, "event.type")                           \
	X(EVENT_ACTION, "event.action")                       \
	X(EVENT_REASON, "event.reason")                       \
	X(EVENT_PROVIDER, "event.provider")                   \
	X(USER_NAME, "user.name")                             \
	X(USER_ID, "user.id")                                 \
	X(USER_EFFECTIVE_NAME, "user.effective.name")         \
	X(USER_TARGET_NAME, "user.target.name")               \
	X(GROUP_NAME, "group.name")                           \
	X(SOURCE_IP, "source.ip")                             \
	X(SOURCE_ADDRESS, "source.address")                   \
	X(SOURCE_PORT, "source.port")                         \
	X(SOURCE_MAC, "source.mac")                           \
	X(SOURCE_COUNTRY, "source.geo.country_iso_code") /* these four in alerts only */ \
	X(SOURCE_LOCATION, "source.geo.location") /* "LATITUDE,LONGITUDE" */ \
	X(SOURCE_AS_NUMBER, "source.as.number")               \
	X(SOURCE_AS_ORGANIZATION, "source.as.organization.name") \
	X(DESTINATION_IP, "destination.ip")                   \
	X(DESTINATION_PORT, "destination.port")               \
	X(NETWORK_PROTOCOL, "network.protocol")               \
	X(AUTH_METHOD, "auth.method")           /* ours */    \
	X(AUTH_SERVICE, "auth.service")         /* ours: PAM's */ \
	X(AUTH_TTY, "auth.tty")                 /* ours */    \
	X(KEY_FINGERPRINT, "auth.key.fingerprint") /* ours */ \
	X(KEY_TYPE, "auth.key.type")            /* ours */    \
	X(PROCESS_COMMAND_LINE, "process.command_line")       \
	X(PROCESS_EXECUTABLE, "process.executable")           \
	X(PROCESS_WORKING_DIRECTORY, "process.working_directory") \
	X(PROCESS_USER_ID, "process.user.id")                 \
	X(FILE_PATH, "file.path")                             \
	X(FILE_UID, "file.uid")                               \
	X(FILE_GID, "file.gid")                               \
	X(FILE_MODE, "file.mode")                             \
	X(FILE_SIZE, "file.size")                             \
	X(FILE_MTIME, "file.mtime")                           \
	X(FILE_SHA256, "file.hash.sha256")                    \
	X(PACKAGE_NAME, "package.name")                       \
	X(PACKAGE_VERSION, "package.version")                 \
	X(URL_PATH, "url.path")                               \
	X(HTTP_METHOD, "http.request.method")                 \
	X(HTTP_STATUS, "http.response.status_code")           \
	X(USER_AGENT, "user_agent.original")

enum event_field {
#define X(id, name) FIELD_##id,
	EVENT_FIELDS(X)
#undef X
	FIELD_NR
};
_Static_assert(FIELD_NR <= 64, "event.has is one word");

enum outcome {
	OUTCOME_NONE,    /* the line is not about an attempt */
	OUTCOME_SUCCESS,
	OUTCOME_FAILURE,
	OUTCOME_UNKNOWN, /* an attempt whose end the line does not tell */
};

struct event {
	uint64_t has;          /* bit FIELD_x: f[FIELD_x] is set */
	enum outcome outcome;
	uint32_t attempts;     /* how many attempts the line stands for (0 for
				* a line that repeats what another counted) */
	bool constant;         /* category, type and action point to constant
				* text: who finds one there again need not read it */
	struct slice f[FIELD_NR];
};

/* Makes the event empty. */
static inline void event_reset(struct event *e)
{
	e->has = 0;
	e->outcome = OUTCOME_NONE;
	e->attempts = 0;
	e->constant = false;
}

static inline void event_set(struct event *e, enum event_field id,
			     struct slice value)
{
	e->f[id] = value;
	e->has |= UINT64_C(1) << id;
}

static inline void event_unset(struct event *e, enum event_field id)
{
	e->has &= ~(UINT64_C(1) << id);
}

static inline bool event_has(const struct event *e, enum event_field id)
{
	return (e->has >> id & 1) != 0;
}

/* The value, or an empty slice with NULL pointer. */
static inline struct slice event_get(const struct event *e,
				     enum event_field id)
{
	return event_has(e, id) ? e->f[id] : SLICE_NONE;
}

/* Understood: a parser of its program's family recognised the line. */
static inline bool event_understood(const struct event *e)
{
	return event_has(e, FIELD_EVENT_ACTION);
}

/* "user.name" for FIELD_USER_NAME. */
const char *event_field_name(enum event_field id);
/* The field of an ECS name, or -1. */
int event_field_find(struct slice name);
/* "success", "failure", "unknown", or "" for none. */
const char *outcome_name(enum outcome o);

#endif
