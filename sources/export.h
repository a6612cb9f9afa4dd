/* export: `journalctl -o export` as lines.
 *
 * A record is a line for each field, NAME=VALUE, or for a value that is no plain text
 * NAME, a newline, its length as 64 bits little endian, the bytes, a newline; an empty line
 * ends it.  Source: systemd's docs/JOURNAL_EXPORT_FORMATS, src/shared/journal-importer.c
 * and src/shared/logs-show.c (output_export) of 252.
 *
 * A record becomes the line that the journal's own entry becomes (journal_text.h).
 *
 * A damaged file costs what is damaged, and each place of it is told.  Where a record's own end
 * is not there, or a length can't be right (nobody's, or no newline behind so many bytes), the
 * record ends, and reading goes on at the next line that begins with "__CURSOR=", as each record
 * does; a length that showed to be wrong only at its end is gone back for, up to EXPORT_BACK bytes.
 * What is told of a line with such a beginning inside of a damaged binary value is the value's.
 *
 * Pure.  Memory: what is kept of one record, whatever lengths it claims, and 2 * EXPORT_BACK.
 */
#ifndef SOURCES_EXPORT_H
#define SOURCES_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/strlist.h"

struct export;

enum { EXPORT_BACK = 1024 * 1024 };

enum export_damage {
	EXPORT_TORN,   /* a record has no end: the file's, or another record's begin, is at `to` */
	EXPORT_LENGTH, /* a value's length is wrong: [from, to) was not read */
	EXPORT_JUNK,   /* the line [from, to) is no field */
	EXPORT_CRLF,   /* told once: a line ends in CR LF; they are read as LF */
};

/* from, to: offsets in the file.  Called from export_next() and export_end(). */
typedef void (*export_damage_cb)(void *arg, enum export_damage what, uint64_t from, uint64_t to);

/* line_max: of a line in bytes, LIMIT_LINE_MIN or more.  cb may be NULL; it and arg are kept.
 * UV_ENOMEM. */
int export_new(struct export **out, size_t line_max, export_damage_cb cb, void *arg);
void export_free(struct export *x);

/* Whether a file that begins so is one. */
bool export_starts(struct slice head);

/* Takes from the front of *in.  1: a record has ended, and *line, until the next call, is it
 * (*cut: not all of its message fits); 0: *in is used up; UV_ENOMEM. */
int export_next(struct export *x, struct slice *in, struct slice *line, bool *cut);
/* At the end of the file, until it gives no 1: as export_next(), for a record without its empty
 * line, and for those in a value whose length is wrong.  A field that is not whole is left out. */
int export_end(struct export *x, struct slice *line, bool *cut);

#endif
