/* core: the collector without its network, its database and its process: links
 * come in, batches are stored once, acknowledgements go out.
 *
 *   link (wire/link.h) -> session.c -> store.c -> group commit -> acknowledgement
 *                                                      |
 *                                                      v
 *                                             deliver.c: output file, alerts
 *
 * Everything from outside comes through struct sys and struct link, so that
 * tests/sim drives it on a virtual clock; the catalogue comes as a table of
 * functions (collector/catalogue.h), or not at all.  The rules are those of
 * docs/wire.md, "What the collector promises"; the files are in docs/store.md.
 *
 * Threads   The loop thread only.  Syncing, opening batches and the catalogue
 *           happen in sys_work, of which two are under way at most.
 * Blocking  collector_new() opens, checks and, where needed, rebuilds the store.
 *           Nothing else waits for a disk: appends go to the page cache.
 */
#ifndef COLLECTOR_CORE_H
#define COLLECTOR_CORE_H

#include "collector/catalogue.h"
#include "collector/options.h"
#include "common/json.h"
#include "common/sys.h"
#include "wire/link.h"

struct collector; /* opaque */

struct collector_params {
	struct sys *sys;                         /* kept */
	/* Kept.  Of them the core reads store_dir, sync_interval_ms, decoders_max,
	 * output_file, window_log and segment_max. */
	const struct collector_options *options;
	struct catalogue *catalogue;             /* kept; NULL: none */
	/* Stores, and leaves giving out (output, alerts) to the next that has the store
	 * open: nothing is lost by that, the cursor stays where it is. */
	bool only_store;
	/* An alert has arrived and is durable: device is the name in its
	 * certificate, json the alert as the agent wrote it; both borrowed.  At
	 * least once: the same alert may come again after a crash, under the same
	 * id.  May be NULL. */
	void (*on_alert)(void *arg, const char *device, struct slice json);
	void *arg;
};

enum { COLLECTOR_WHY = 512 };

/* Opens the store at options->store_dir, making it and its first sealing key
 * when it is empty.  A torn tail is cut, damage is set aside and logged, a
 * catalogue that is lost or ahead is rebuilt: none of them is an error.  On an
 * error (UV_E* of a file call, UV_ENOMEM, ERR_DAMAGED for a store id or sealing
 * key that can't be read, ERR_CRYPTO) *out is NULL and why says what, where and
 * what to do. */
int collector_new(struct collector **out, const struct collector_params *p,
		  char why[static COLLECTOR_WHY]);

/* A peer has proved itself: the callbacks for its link (l->arg is set), or NULL
 * to refuse it (stopping, or no memory).  peer is borrowed for the call, but its
 * spki, name and address as long as the link lives.  For a listener's accept
 * callback and for the simulation's. */
const struct link_cbs *collector_accept(struct collector *c, struct link *l,
					const struct link_peer *peer);

typedef void (*collector_stop_cb)(void *arg);
/* Clean stop: takes nothing new, syncs what was received, acknowledges it, writes
 * the watermarks, closes every link and every file, then calls cb once.  After it
 * only collector_free() may be called. */
void collector_stop(struct collector *c, collector_stop_cb cb, void *arg);

/* Gives the memory back and touches neither files nor links: after
 * collector_stop()'s callback, or, in the simulation, in place of a crash; then
 * none of its timers, works and link callbacks may run any more (descriptors,
 * timers, works and links belong to the crashed world).  NULL allowed. */
void collector_free(struct collector *c);

/* Members of a JSON object that the caller has opened: store, devices,
 * connections, lines of the store's life, what waits to be synced, alerts, and
 * what is wrong ("storage": "ok", "full" or "failing"). */
void collector_status(struct collector *c, struct json *j);

#endif
