/* runner_protocol: the messages between the agent and the process that runs its
 * command sources, as bytes (sources/runner.h).
 *
 * One message a packet; the first byte is its type (common/worker.h has READY), numbers
 * are big-endian or varints, texts have their length in front.  Encoders append to a
 * buf: UV_ENOMEM, ERR_TOO_LARGE.  Decoders check every length and return
 * ERR_MALFORMED for what does not fit exactly.  Pure.
 */
#ifndef SOURCES_RUNNER_PROTOCOL_H
#define SOURCES_RUNNER_PROTOCOL_H

#include "common/buf.h"
#include "common/worker.h"
#include "sources/options.h"

/* A command keeps its place for as long as it is configured; there are more of them than
 * commands, since what is taken out of the configuration holds its place until it ends. */
enum { RUNNER_COMMANDS = 64, RUNNER_PLACES = 128, RUNNER_ARGS = 64, RUNNER_ARG_MAX = 4096,
       RUNNER_MESSAGE = 16 /* the longest but the table */ };

/* What the process knows of the configuration. */
struct runner_table {
	char user[65]; /* to become, when started as root */
	bool sandbox;
	struct strlist *commands; /* argv of each */
	size_t n;
};

int runner_table_encode(struct buf *out, const char *user, bool sandbox,
			const struct sources_options *options);
/* For runner_table_free(); also UV_ENOMEM. */
int runner_table_decode(struct runner_table *out, struct slice message);
void runner_table_free(struct runner_table *t);

enum runner_type {
	RUNNER_RUN = WORKER_READY + 1, /* agent: start the command */
	RUNNER_STOP,    /* agent: end it */
	RUNNER_STARTED, /* with two descriptors: its output, its errors */
	RUNNER_EXITED,  /* status: the exit status */
	RUNNER_SIGNALED, /* status: the signal */
	RUNNER_FAILED,  /* not started; status: errno */
};

struct runner_message {
	enum runner_type type;
	uint8_t command; /* its place: at first, which of the table */
	uint32_t status;
};
int runner_message_encode(struct buf *out, const struct runner_message *m);
int runner_message_decode(struct runner_message *m, struct slice message);

#endif
