/* checkpoint: what an agent writes down for its next start, sealed with the
 * device's secret (wire/local.h).
 *
 *   DIR/streams  which streams there are, how far each is acknowledged (W, H,
 *                ladder), and what the shipper must know; small, written when a
 *                stream begins or ends and about once per MiB acknowledged
 *   DIR/detect   windows and first-seen tables with the cursor D of each stream;
 *                written at a clean stop and rarely otherwise (flash)
 *
 * A file that does not open any more (another secret, damage) is renamed to
 * *.damaged and the agent starts without it: lines are then read again, and the
 * collector takes only what it lacks.
 *
 * Threads   save: inside a sys_work (it syncs); load: start-up.
 */
#ifndef AGENT_CHECKPOINT_H
#define AGENT_CHECKPOINT_H

#include "common/buf.h"
#include "common/sys.h"
#include "sources/stream.h"
#include "wire/local.h"

enum { CHECKPOINT_MAX = 300 * 1024 * 1024 };

/* Writes name with these bytes, all or nothing.  Errors of the calls. */
int checkpoint_save(struct sys *sys, const char *dir, const char *name,
		    const struct device_secret *secret, struct slice plain);

/* The same of bytes that are used up by it: they are sealed where they stand. */
int checkpoint_save_buf(struct sys *sys, const char *dir, const char *name,
			const struct device_secret *secret, struct buf *plain);

/* Reads name into plain; empty when there is none or it was set aside.  Only
 * UV_ENOMEM is an error. */
int checkpoint_load(struct sys *sys, const char *dir, const char *name,
		    const struct device_secret *secret, struct buf *plain);

/* The two parts of `streams`. */
int checkpoint_streams_encode(const struct stream_state *states, size_t n,
			      struct slice shipper, struct buf *out);
/* states: for stream_states_free(); shipper borrows from bytes. */
int checkpoint_streams_decode(struct slice bytes, struct stream_state **states,
			      size_t *n, struct slice *shipper);

#endif
