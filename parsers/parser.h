/* parser: what a line means.
 *
 * parser_line() reads the header (stamp, host, program, pid) and, for programs
 * that it knows, the event.  It is pure: the result depends on the lines given
 * so far, their order, their times of reading and the zone, and on nothing
 * else, so that agent and collector derive the same from the same stream.
 * Give it redacted lines: it keeps users and addresses of the last connections.
 *
 * One parser per stream; one thread at a time.  Nothing is allocated after
 * parser_new().
 *
 * Which programs, which fields, which actions, and what it costs: docs/parsing.md.
 */
#ifndef PARSERS_PARSER_H
#define PARSERS_PARSER_H

#include "common/buf.h"
#include "common/record.h"

struct parser; /* opaque, on the heap, about 20 KiB */
struct shares;
struct zone;

/* zone is for stamps that name none; kept (it must outlive the parser); NULL
 * means UTC.  UV_ENOMEM. */
int parser_new(struct parser **out, const struct zone *zone);
/* path: of the stream, as its opening record says.  Of streams whose senders somebody
 * vouches for (a journal, a unix socket) the lines of daemons count from now on only
 * when such a daemon can have written them (docs/parsing.md, "Who wrote it"). */
void parser_sender(struct parser *p, struct slice path);
/* Counts in shares (kept; share.h) what parser_count() is told, as this source's: the
 * path of a file, a socket's or a journal's name. */
void parser_shares(struct parser *p, struct shares *shares, struct slice source);
/* NULL allowed. */
void parser_free(struct parser *p);

/* Reads one line (without its newline; any bytes, any length).  Never fails: a
 * line without a known header is all message with TIME_NONE, one that no family
 * knows has an empty event.
 *
 * observed_ns is the Unix time of reading.  A stamp without a year is taken to
 * be in the latest year that puts it at most 26 hours after that.
 *
 * h and e are overwritten.  Their slices point into the line, into constant
 * text, or into the parser, where they live until its next call. */
void parser_line(struct parser *p, struct slice line, int64_t observed_ns,
		 struct header *h, struct event *e);

/* Takes the line that parser_line() has just read, with what it gave, into the shares;
 * not a second time if it is read again.  Nothing without parser_shares(). */
void parser_count(struct parser *p, const struct record *r);

/* The family that was asked about the last line, by its file's name ("sshd"); whether it
 * knew the line, the event says.  NULL: none, since it is not believed who wrote it. */
const char *parser_family(const struct parser *p);

/* What the parser remembers of earlier lines, for a restart in the middle of a
 * stream: appended to out.  UV_ENOMEM, ERR_TOO_LARGE. */
int parser_save(const struct parser *p, struct buf *out);
/* Takes up what parser_save() gave.  ERR_MALFORMED or ERR_VERSION: the parser
 * remembers nothing, and can be used all the same. */
int parser_load(struct parser *p, struct slice saved);

#endif
