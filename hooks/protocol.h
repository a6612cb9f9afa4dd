/* protocol: the messages between a daemon and its helper, as bytes (helper.h).
 *
 * One message a packet; the first byte is its type, numbers are big-endian or
 * varints (common/buf.h), texts have their length in front.  Encoders append to a
 * buf: UV_ENOMEM, ERR_TOO_LARGE.  Decoders borrow from the message, check every
 * length and return ERR_MALFORMED for what does not fit exactly.  Pure.
 */
#ifndef HOOKS_PROTOCOL_H
#define HOOKS_PROTOCOL_H

#include "common/buf.h"
#include "common/limits.h"
#include "common/worker.h"
#include "hooks/options.h"

enum {
	PROTOCOL_MESSAGE_MAX = WORKER_MESSAGE_MAX,
	PROTOCOL_HOOKS = 64,
	PROTOCOL_ARGS = 64,
	PROTOCOL_ARG_MAX = 4096,
	PROTOCOL_VALUE_MAX = 512,   /* of a variable */
	/* An alert's newline, and the name of its device written anew. */
	PROTOCOL_INPUT_MAX = LIMIT_ALERT_JSON + 1024,
	PROTOCOL_JOBS = 64,         /* programs running at one time, of all hooks */
};

enum protocol_type { PROTOCOL_TABLE = 1, PROTOCOL_EXEC = WORKER_READY + 1, PROTOCOL_DONE };

/* The variables that a program gets, in the order in which they stand here. */
#define HOOK_VARIABLES(X)                                                    \
	X(ID) X(RULE) X(RULE_ID) X(SEVERITY) X(STATE) X(COUNT) X(FIRST)      \
	X(LAST) X(DEVICE) X(SOURCE_IP) X(USER)

enum hook_variable {
#define X(name) VARIABLE_##name,
	HOOK_VARIABLES(X)
#undef X
	VARIABLE_NR
};

/* "NIGHTJAR_ID" for VARIABLE_ID. */
const char *hook_variable_name(enum hook_variable v);

/* What the helper knows of the configuration. */
struct protocol_table {
	char user[65];                 /* to become, when started as root */
	bool sandbox;
	struct hooks_options options;  /* the hooks of type exec only */
};

/* Takes only the hooks of type exec, in order: the n-th of them has index n. */
int protocol_table_encode(struct buf *out, const char *user, bool sandbox,
			  const struct hooks_options *options);
/* To be freed with protocol_table_free(); UV_ENOMEM. */
int protocol_table_decode(struct protocol_table *out, struct slice message);
void protocol_table_free(struct protocol_table *t);

struct protocol_exec {
	uint32_t id;
	uint8_t hook;
	struct slice value[VARIABLE_NR]; /* empty: not set; no control bytes */
	struct slice input;
};
int protocol_exec_encode(struct buf *out, const struct protocol_exec *e);
int protocol_exec_decode(struct protocol_exec *e, struct slice message);

enum protocol_how {
	HOW_EXITED,   /* status: the exit status */
	HOW_SIGNALED, /* status: the signal */
	HOW_TIMEOUT,  /* status: the signal that ended it, or 0 */
	HOW_FAILED,   /* not started; status: errno */
};

struct protocol_done {
	uint32_t id;
	uint8_t how;
	uint32_t status;
	uint32_t duration_ms;
};
int protocol_done_encode(struct buf *out, const struct protocol_done *d);
int protocol_done_decode(struct protocol_done *d, struct slice message);

#endif
