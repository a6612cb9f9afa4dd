/* protocol: the messages between a daemon and its helper, as bytes (helper.h).
 *
 * Encoders append to a buf: UV_ENOMEM, ERR_TOO_LARGE.  Decoders borrow from the message,
 * check every length and return ERR_MALFORMED.  Pure.
 */
#ifndef HOOKS_PROTOCOL_H
#define HOOKS_PROTOCOL_H

#include "common/buf.h"
#include "common/reader.h"
#include "hooks/options.h"

enum {
	PROTOCOL_MESSAGE_MAX = 96 * 1024,
	PROTOCOL_HOOKS = 64,
	PROTOCOL_ARGS = 64,
	PROTOCOL_ARG_MAX = 4096,
	PROTOCOL_ENV = 16,
	PROTOCOL_ENV_MAX = 1024,
};

enum protocol_type { PROTOCOL_TABLE = 1, PROTOCOL_READY, PROTOCOL_EXEC, PROTOCOL_DONE };

/* The first byte, or 0. */
uint8_t protocol_type(struct slice message);

/* Only the hooks of type exec, in order: the n-th of them has index n. */
int protocol_table_encode(struct buf *out, const struct hooks_options *options);
/* Builds options of exec hooks only, to be freed with protocol_table_free();
 * UV_ENOMEM. */
int protocol_table_decode(struct hooks_options *out, struct slice message);
void protocol_table_free(struct hooks_options *options);

/* text: why not, or empty. */
int protocol_ready_encode(struct buf *out, struct slice text);
int protocol_ready_decode(struct slice *text, struct slice message);

struct protocol_exec {
	uint32_t id;
	uint8_t hook;
	size_t n_env;
	struct slice env[PROTOCOL_ENV]; /* "NIGHTJAR_X=value" without NUL */
	struct slice input;
};
int protocol_exec_encode(struct buf *out, const struct protocol_exec *e);
int protocol_exec_decode(struct protocol_exec *e, struct slice message);

enum protocol_how {
	HOW_EXITED,   /* status: the exit status */
	HOW_SIGNALED, /* status: the signal */
	HOW_TIMEOUT,  /* status: the signal that ended it */
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
