/* pipeline_impl: what the parts of the pipeline share; nobody else includes it.
 *
 *   pipeline.c        the whole, and its streams
 *   pipeline_lines.c  the way of a line
 *   pipeline_alerts.c what becomes of a finding
 *   pipeline_make.c   what the configuration is made into, and made anew by a reload
 *   names.c           pseudonyms instead of names
 *   pipeline_state.c  what is remembered of streams, and what is saved
 */
#ifndef AGENT_PIPELINE_IMPL_H
#define AGENT_PIPELINE_IMPL_H

#include <xxhash.h>

#include "agent/pipeline.h"
#include "parsers/parser.h"
#include "parsers/share.h"
#include "redact/pseudonym.h"

enum {
	LINE_ROOM = LIMIT_LINE_MAX * 2,
	SAVE_VERSION = 3, /* 1: without the alerts that wait; 2: without shares */
	GAPS_MAX = 64,
	REASON_MAX = 256,
	RESERVE_MAX = LIMIT_BATCH_DECODED / 2 - 64, /* what a batch can hold */
	CURSORS_MAX = STREAM_TABLE_MAX,
	DETECT_STATE_MAX = 256 * 1024 * 1024,
	SHARES_STATE_MAX = 1024 * 1024,
};

/* One stream as the pipeline sees it.  Outlives the tail's struct until the
 * collector has what was added, since a batch that closes later asks for H. */
struct ps {
	struct ps *next;
	struct stream *s; /* NULL once the tail has closed it */
	struct stream_id id;
	enum queue queue;
	bool has_id;
	bool told;        /* its opening record was added */
	bool tell_again;  /* the collector keeps another store since then */
	bool begins_late; /* new, and not at 0: what is before is a gap */
	struct parser *parser;
	struct parser *reader; /* of lines with their names; NULL: not needed yet */
	struct redact_state redact;
	uint64_t ship_from, detect_from; /* W and D when it was opened */
	uint64_t end;     /* of the last record added */
	uint64_t h;       /* H there, if it is known */
	bool h_known;
	uint64_t acked;
};

/* Opened once for each name. */
struct named_zone {
	char *name; /* owned */
	struct zone *zone;
};

struct cursor {
	struct stream_id id;
	uint64_t detect;
};

struct waiting_alert {
	char *json;
	size_t n;
	int64_t time_ns;
};

/* "The rest was not found", until the shipper has room for it. */
struct waiting_gap {
	struct stream_id id;
	uint64_t from;
	const char *reason;
};

/* What is made of the configuration, and made anew by a reload. */
struct made {
	struct redact *redact;
	struct redact_names names;
	struct refer *refer;   /* what rules refer to; NULL: likewise */
	struct detect *detect; /* NULL: switched off */
	struct alerts *alerts;
};

struct pipeline {
	struct sys *sys;
	const struct agent_config *config;
	struct tail *tail;
	struct input *input; /* NULL: none */
	struct source *const *sources;
	size_t n_sources;
	struct shipper *shipper;
	void (*on_alert)(void *arg, const struct alert *a);
	void *arg;

	uint8_t key[16];    /* of the hash tables */
	const char *device;
	struct made made;
	struct shares *shares;    /* how much of each program is understood */
	struct named_zone *zones; /* of all sources */
	size_t n_zones;
	struct buf scratch, renamed;
	struct ps *streams, *last;

	/* The lane of alerts is a stream of its own, new in every process:
	 * stream_id_once(). */
	struct stream_id alert_stream;
	uint64_t alert_position;
	XXH3_state_t *alert_hash;
	unsigned char *secret_copy;
	struct waiting_alert *waiting;
	size_t n_waiting, waiting_room;
	struct waiting_gap gaps[GAPS_MAX];
	size_t n_gaps;

	struct cursor *cursors; /* restored */
	size_t n_cursors;

	uint64_t lines, bytes, redacted, cut, understood, alerts_count,
		alerts_lost;
};

/* pipeline_make.c */
int pipeline_open_zones(struct pipeline *p);
const struct zone *pipeline_zone(const struct pipeline *p, const char *name);
/* errs NULL: rules that can't be used are logged and left out.  Otherwise they are an
 * error (ERR_CONFIG) and named there. */
int pipeline_make(struct pipeline *p, struct made *m, struct config_errors *errs);
void pipeline_unmake(struct made *m);

/* names.c */
/* UV_EINVAL. */
int pipeline_make_names(const struct pipeline *p, struct made *m);
/* r->line with pseudonyms, valid until the next call.  UV_ENOMEM: the line waits. */
int pipeline_rename(struct pipeline *p, struct ps *ps, struct record *r);

/* pipeline_alerts.c */
/* Gives the alert lane what waits for it.  false: no room yet. */
bool pipeline_flush_alerts(struct pipeline *p);
/* Callbacks of alerts and detectors; arg: the pipeline. */
void pipeline_on_alert(void *arg, const struct alert *a);
void pipeline_on_finding(void *arg, const struct finding *f);
/* UV_ENOMEM. */
int pipeline_keep_alert(struct pipeline *p, struct slice json, int64_t time_ns);

/* pipeline.c */
/* What is configured of a stream's source. */
const struct zone *pipeline_zone_of(const struct pipeline *p, const struct stream *s);
const char *pipeline_program_of(const struct pipeline *p, const struct stream *s);
const char *pipeline_label_of(const struct pipeline *p, const struct stream *s);
/* Whether its lines say who sent them, and only what that proves counts. */
bool pipeline_proves_senders(const struct stream *s);
/* Callbacks of sources; arg: the pipeline. */
void pipeline_stream_opened(void *arg, struct stream *s);
void pipeline_stream_closed(void *arg, struct stream *s, enum tail_close why);
/* A parser for a stream's lines.  UV_ENOMEM. */
int pipeline_new_parser(struct pipeline *p, const struct stream *s, struct parser **out);

#endif
