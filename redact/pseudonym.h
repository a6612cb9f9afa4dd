/* pseudonym: names that can be compared but not read.
 *
 * On demand the names in chosen fields of an event (user.name and its relatives) are
 * replaced in the line by *redacted-name-0123456789abcdef*: the same for the same name
 * under the same key, so that counting, first-seen and search go on working, and nothing
 * for whoever lacks the key.  The number is SipHash-2-4 of the name; names that could be
 * guessed can be tried only by who has the key.
 *
 * Which names are in a line is told by a parser that read it as it was; what is shipped
 * and judged is then parsed from the line that comes out.  Replaced is each field's own
 * place, the name behind /home/ and in auditd's hex, and every other place behind the
 * header where it stands as a whole word.  Not so words of the daemons' own sentences,
 * keys, addresses and the like: a user called "from" must not take the line apart.
 *
 * Fails closed: without memory all of the line is masked, where a budget is spent the rest
 * of it, and all behind the header where a name may stand in a form that is not found.
 *
 * Pure.  A struct redact_names does not change once made.
 */
#ifndef REDACT_PSEUDONYM_H
#define REDACT_PSEUDONYM_H

#include "common/buf.h"
#include "common/event.h"
#include "common/record.h"
#include "redact/options.h"

enum { PSEUDONYM_KEY = 16, PSEUDONYM_TEXT = 33 };

struct redact_names {
	uint64_t fields; /* bit FIELD_x; 0: nothing is replaced */
	uint8_t key[PSEUDONYM_KEY];
	const struct strlist *except; /* borrowed: these stay */
};

/* own: the key where the options name none.  options->except must outlive it.
 * UV_EINVAL: a field that is not one of names, or a key that is not 32 hex digits. */
int redact_names_init(struct redact_names *names, const struct redact_options *options,
		      const uint8_t own[static PSEUDONYM_KEY]);
/* The field may be listed in redact.pseudonyms. */
bool redact_names_field(const char *name);
/* 32 hex digits. */
bool redact_names_key(const char *text);

/* What stands for a name; NUL-terminated, returns its length. */
size_t redact_pseudonym(char out[static PSEUDONYM_TEXT], const uint8_t key[static PSEUDONYM_KEY],
			struct slice name);

/* Replaces the names of the event e, which was read from line with the header h.  true:
 * something was replaced, and *out points into scratch (cleared first); without memory
 * *out is a mask for all of the line.  false: *out is line. */
bool redact_names_line(const struct redact_names *names, struct slice line,
		       const struct header *h, const struct event *e, struct buf *scratch,
		       struct slice *out);

#endif
