/* replay_impl: what replay.c (the command) and replay_read.c (files become records) share;
 * private. */
#ifndef CLI_REPLAY_IMPL_H
#define CLI_REPLAY_IMPL_H

#include "alerts/alerts.h"
#include "cli/summary_show.h"
#include "common/limits.h"
#include "detectors/detect.h"
#include "parsers/parser.h"
#include "parsers/share.h"
#include "parsers/zone.h"
#include "redact/redact.h"

enum {
	REPLAY_CHUNK = LIMIT_CHUNK,
	REPLAY_ROOM = REPLAY_CHUNK + LIMIT_LINE_DEFAULT, /* a chunk behind an unfinished line */
	PACKS_MAX = 64,
	TOLD_RULES = 64, /* rules with a line of their own at the end */
};

struct settings {
	const char *packs[PACKS_MAX];
	unsigned n_packs;
	const char *placeholders; /* or NULL */
	struct strlist lists, geoip;
	const char *zone;
	int year;       /* 0: none given */
	int64_t now_ns; /* TIME_NONE: each file's time of change */
	size_t top; /* rows of each table of the summary */
	bool rules_only, updates, summary, ascii, json;
};

struct told {
	char title[96];
	uint64_t alerts;
};

struct replay {
	struct settings s;
	struct zone *zone;
	struct redact *redact;
	struct shares *shares;
	struct redact_state redacting;
	struct refer *refer;
	struct detect *detect;
	struct alerts *alerts;
	struct summary *summary; /* NULL: none is wanted */
	struct parser *parser; /* of the file being read */
	struct record r;
	struct buf scratch;
	char *p;               /* REPLAY_ROOM bytes */
	int64_t wall_ns;       /* at the start */
	int64_t ahead_ns;      /* a stamp further ahead of that is not believed */
	int64_t read_as_ns;    /* stamps without a year are at most this late */
	uint64_t files, lines, bytes, understood, redacted, found;
	uint64_t shown;        /* bytes when progress was last shown */
	bool terminal, rules_wrong;
	int rc;                /* first error of writing or of memory */
	struct told told[TOLD_RULES];
	unsigned n_told;
};

struct source {
	const char *path;
	int64_t first_ns; /* its first stamp, or INT64_MIN */
};

/* detect_cb; arg: the struct replay. */
void replay_finding(void *arg, const struct finding *f);

/* Reads and judges n files in the order of their first stamps; what can't be read is said.
 * Returns whether there was such a file; r->rc: writing failed, or memory. */
bool replay_files(struct replay *r, struct source *s, size_t n);

#endif
