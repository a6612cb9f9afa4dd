/* export: `journalctl -o export` as lines.
 *
 * A record is a line for each field, NAME=VALUE, or for a value that is no plain text
 * NAME, a newline, its length as 64 bits little endian, the bytes, a newline; an empty line
 * ends it.  Source: systemd's docs/JOURNAL_EXPORT_FORMATS, src/shared/journal-importer.c
 * and src/shared/logs-show.c (output_export) of 252.
 *
 * A record becomes the line that the journal's own entry becomes (journal_text.h).  What is
 * no field is passed over up to the next newline, so a damaged file costs what is damaged.
 *
 * Pure.  Memory: what is kept of one record, whatever lengths it claims.
 */
#ifndef SOURCES_EXPORT_H
#define SOURCES_EXPORT_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/strlist.h"

struct export;

/* line_max: of a line in bytes, LIMIT_LINE_MIN or more.  UV_ENOMEM. */
int export_new(struct export **out, size_t line_max);
void export_free(struct export *x);

/* Whether a file that begins so is one. */
bool export_starts(struct slice head);

/* Takes from the front of *in.  1: a record has ended, and *line, until the next call, is it
 * (*cut: not all of its message fits); 0: *in is used up; UV_ENOMEM. */
int export_next(struct export *x, struct slice *in, struct slice *line, bool *cut);
/* At the end of the file: as export_next(), for a record without its empty line.  A field that
 * is not whole is left out. */
int export_end(struct export *x, struct slice *line, bool *cut);

#endif
