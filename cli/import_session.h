/* import_session: a device's session with a collector in the same process, for segments that
 * were carried by hand.  What it says and hears are the messages of docs/wire.md, so that the
 * collector takes what is new, trims what it has and refuses what has a hole before it, just as
 * it does for the device itself.
 *
 * Blocks: runs the collector's loop until the answer is there.  One session at a time.
 */
#ifndef CLI_IMPORT_SESSION_H
#define CLI_IMPORT_SESSION_H

#include <uv.h>

#include "collector/core.h"
#include "wire/voucher.h"

struct import_session {
	struct link link; /* first */
	uv_loop_t *loop;  /* kept */
	uv_timer_t patience;
	const struct link_cbs *cbs;
	struct link_peer peer;
	struct voucher_device device;
	bool open, paused, closing;
	bool welcome, nak, impatient;
	uint16_t error;   /* 0: none */
	uint64_t watermark; /* with nak: what the store has */
	struct segment_id segment; /* that is being sent */
	int64_t durable;  /* its last batch that is acknowledged, -1: none */
	char text[256];   /* of the collector's error */
};

enum { IMPORT_PATIENCE_MS = 60000 };

/* Says hello and waits for the welcome.  0; ERR_CLOSED: refused, s->text tells; UV_ETIMEDOUT:
 * no answer.  On an error nothing but the close may follow. */
int import_session_open(struct import_session *s, uv_loop_t *loop,
			struct collector *c, const struct voucher_device *device);
/* Announces a segment, from its first batch on.  UV_ENOMEM. */
int import_session_segment(struct import_session *s, enum lane lane,
			   const struct segment_id *id, struct slice header,
			   const struct hash32 *hash);
/* Sends a batch of it, when the collector reads.  ERR_ABOVE: refused, something before it is
 * missing (s->watermark); ERR_CLOSED, UV_ETIMEDOUT. */
int import_session_batch(struct import_session *s, enum lane lane,
			 struct slice batch);
/* Until the batch with this index is acknowledged.  The same errors. */
int import_session_durable(struct import_session *s, int64_t index);
/* Says goodbye; a session that is over already may be closed too. */
void import_session_close(struct import_session *s);

#endif
