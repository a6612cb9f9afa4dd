/* deliver: what becomes of a batch once it is durable: records go to the output
 * file, alerts to whoever wants them and into the catalogue.
 *
 * Batches are taken in the order of their arrival number, opened, trimmed by
 * their envelope, and given out; a cursor on disk says up to which arrival that
 * has happened, and how long the output file was then, so that after a crash the
 * file is cut back to that length and goes on from there: each record once.  An
 * output file that was moved away is begun anew; what had been written to it since
 * the last cursor may then come twice.  Alerts may come twice after a crash.
 *
 * Threads   The loop thread; opening, writing and syncing run in one sys_work.
 * Memory    The queue of batches (DELIVER_QUEUE at most; beyond that they are
 *           found again on disk), and options.decoders_max openers.
 */
#ifndef COLLECTOR_DELIVER_H
#define COLLECTOR_DELIVER_H

#include "collector/collector.h"

struct deliver;

/* The arrival up to which everything was given out by the collector whose own files are in
 * dir, as it was saved; UINT64_MAX: that is damaged, and it goes on from its latest.  UV_E*,
 * never UV_ENOENT: then nothing was.  Any thread. */
int deliver_given_out(struct sys *sys, const char *dir, uint64_t *arrival);
/* Blocks: reads the cursor and cuts the output file back.  UV_E*, UV_ENOMEM; why:
 * 512 bytes. */
int deliver_new(struct deliver **out, struct collector *c,
		char why[static 512]);
void deliver_free(struct deliver *d);
/* Batches up to store.durable_arrival may be given out. */
void deliver_kick(struct deliver *d);
/* A batch was appended to g (not yet durable); new_stream: it is the first of
 * one. */
void deliver_note(struct deliver *d, const struct segment *g,
		  uint64_t arrival, bool new_stream);
/* A device has come from another member of a shared store, or is found so at a start: what
 * it owes (device.owed_from) is given out too. */
void deliver_taken(struct deliver *d, struct device *device);
/* Another member has it: what was noted of it is that one's to give out. */
void deliver_lost(struct deliver *d, struct device *device);
/* What was noted is void: a sync has failed. */
void deliver_forget(struct deliver *d);
bool deliver_busy(const struct deliver *d);
/* Batches that wait to be given out. */
size_t deliver_waiting(const struct deliver *d);
/* The catalogue is being written with all that was handed on by now; and has been. */
void deliver_listing(struct deliver *d);
void deliver_listed(struct deliver *d);
/* Writes the cursor at the end of a clean stop. */
void deliver_flush(struct deliver *d);

#endif
