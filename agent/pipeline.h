/* pipeline: the one place where the stages of the agent meet.
 *
 *   tail --chunk--> lines --> redact --> parse --> ship
 *                                             '--> detect --> alert --> hook, ship
 *
 * Every line is redacted before anything else looks at it.  A line below the
 * stream's acknowledged watermark W goes to the detectors only, one below the
 * detectors' cursor D to the shipper only.
 *
 * Threads   The loop thread only.
 * Memory    About 20 KiB for each open stream (its parser), one line buffer, and
 *           at most PIPELINE_ALERTS alerts that wait for room in their lane.
 */
#ifndef AGENT_PIPELINE_H
#define AGENT_PIPELINE_H

#include "alerts/alerts.h"
#include "common/json.h"
#include "config/config.h"
#include "detectors/detect.h"
#include "parsers/zone.h"
#include "redact/redact.h"
#include "shipper/shipper.h"
#include "sources/input.h"
#include "sources/source.h"
#include "sources/tail.h"

/* Alerts that wait for room: at so many reading pauses; more than the second are
 * dropped and counted. */
enum { PIPELINE_PAUSE = 64, PIPELINE_ALERTS = 8192 };

struct pipeline;

struct pipeline_params {
	struct sys *sys;                    /* kept */
	const struct agent_config *config;  /* kept */
	const char *device;                 /* name, in alerts; kept */
	uint8_t key[16];                    /* of the hash tables */
	const unsigned char *stream_secret; /* STREAM_SECRET bytes; kept */
	/* An alert leaves for the hooks; borrowed for the call. */
	void (*on_alert)(void *arg, const struct alert *a);
	void *arg;
};

/* Loads zones, redaction rules and packs; what is wrong with a pack is logged
 * and left out.  UV_ENOMEM, UV_ENOENT (a zone) and the like, logged. */
int pipeline_new(struct pipeline **out, const struct pipeline_params *params);
void pipeline_free(struct pipeline *p);

/* The collector keeps another store than before: each stream says again whence it
 * comes, with its next line. */
void pipeline_moved(struct pipeline *p);

/* Where records go; NULL (the default): nowhere, and the position moves with the
 * reading.  tail: whose callbacks these are. */
void pipeline_connect(struct pipeline *p, struct tail *tail,
		      struct shipper *shipper);

/* To be given to tail_new() with the pipeline as arg. */
extern const struct tail_callbacks pipeline_tail_callbacks;

/* Standard input, whose callbacks these are as well; NULL: no more. */
void pipeline_set_input(struct pipeline *p, struct input *input);

/* The other sources, whose callbacks these are too; list is kept. */
void pipeline_set_sources(struct pipeline *p, struct source *const *list, size_t n);
/* What is remembered of all streams, the tail's and the other sources': as
 * tail_states(). */
int pipeline_states(struct pipeline *p, struct stream_state **out, size_t *n);

/* H at the end of what was added last for this stream. */
uint64_t pipeline_hash_at(struct pipeline *p, const struct stream_id *id,
			  uint64_t position);
/* The collector holds the stream up to w->durable.  Returns how many bytes of it that
 * is more than before. */
uint64_t pipeline_acked(struct pipeline *p, const struct msg_stream *w);
/* The stream's records are wanted from w->received on again; proved: w->h_received
 * is H there.  UV_ENOENT: they can't be had. */
int pipeline_rewind(struct pipeline *p, const struct msg_stream *w,
		    bool proved);
/* There is room again. */
void pipeline_resume(struct pipeline *p);

/* Without a shipper: moves every stream's watermark to where it was judged.  Now and
 * then, and before state is saved. */
void pipeline_settle(struct pipeline *p);

/* What is found outside of the lines: becomes an alert like any other. */
void pipeline_finding(struct pipeline *p, const struct finding *f);
/* A line that goes into no stream, without its secrets; until the next call. */
struct slice pipeline_mask(struct pipeline *p, struct slice line);

/* Windows end although no line says so; now and then, with the wall clock. */
void pipeline_advance(struct pipeline *p, int64_t now_ns);

/* The configuration has changed under its address: redaction, rules and alerts are made
 * anew, and take over what the old ones know.  On an error everything is as it was, and
 * errs says why: ERR_CONFIG, UV_E*. */
int pipeline_reload(struct pipeline *p, struct config_errors *errs);

struct refer;
/* What its rules refer to, for refresh.h: another one after a reload; NULL: there are none. */
struct refer *pipeline_refer(const struct pipeline *p);

/* State of detectors and alerts, with the cursor D of every stream. */
int pipeline_save(struct pipeline *p, struct buf *out);
/* Before the first line. */
int pipeline_restore(struct pipeline *p, struct slice saved);
/* D of a stream as it was restored; 0 when unknown. */
uint64_t pipeline_restored_detect(const struct pipeline *p,
				  const struct stream_id *id);

/* Members for `nightjar status`. */
void pipeline_status(const struct pipeline *p, struct json *j);
/* Lines handed on so far, of all streams. */
uint64_t pipeline_lines(const struct pipeline *p);

#endif
