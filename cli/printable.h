/* printable: text of attackers' choosing on a terminal.
 *
 * Printable ASCII stays, and where the terminal has UTF-8 the letters of Latin scripts (U+00A1 to
 * U+024F): each is one column wide, and none turns the direction of text or is another script's
 * twin of an ASCII letter.  Everything else becomes \xNN (a byte) or \u{NNNN} (a character).
 * So one character of the result is one column.  Pure.
 */
#ifndef CLI_PRINTABLE_H
#define CLI_PRINTABLE_H

#include <stdbool.h>

#include "common/buf.h"

/* Errors as buf_add()'s. */
int printable_add(struct buf *out, struct slice text, bool ascii);

/* Columns of what printable_add() has written. */
size_t printable_width(struct slice printable);
/* At most `width` (> 0) columns of it: of a longer one the middle is left out and marked. */
int printable_shorten(struct buf *out, struct slice printable, size_t width, bool ascii);

/* The locale's characters are UTF-8, by the variables that setlocale(3) reads. */
bool printable_is_utf8(void);

#endif
