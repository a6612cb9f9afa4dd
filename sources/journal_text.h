/* journal_text: an entry of the journal as a line of RFC 5424.
 *
 *   <PRI>1 STAMP HOST PROGRAM PID MSGID [journal@32473 FIELD="value" ...] MESSAGE
 *
 * The header is what journalctl shows (man journalctl, systemd.journal-fields(7), systemd
 * 252): SYSLOG_IDENTIFIER or _COMM, _PID or SYSLOG_PID, _HOSTNAME, MESSAGE_ID, the
 * source's time or the journal's.  Newlines and NULs become #012 and #000.  Of the fields
 * _UID, for which journald vouches, is always there and always the first; behind it stands
 * _TRANSPORT if it is "audit".  A time that is not known is "-".
 *
 * Pure but for the calls that read fields.
 */
#ifndef SOURCES_JOURNAL_TEXT_H
#define SOURCES_JOURNAL_TEXT_H

#include "common/buf.h"
#include "common/strlist.h"
#include "sources/journal.h"

enum { JOURNAL_FIELD_MAX = 1024 }; /* bytes of a field's value that are kept */

/* Into out, which is emptied first, at most its limit.  *cut: not all of MESSAGE fits.
 * UV_ENOMEM, or an error of field() (but that a field is not there). */
int journal_text(struct buf *out, const struct journal_calls *calls,
		 struct journal_reader *r, const struct journal_entry *e,
		 const struct strlist *fields, size_t line_max, bool *cut);

#endif
