/* form: a wording written as text with places in it, and what stands there in a line.
 * Internal to parsers/; pure.
 *
 * A form is compared whole, from the first byte to the last:
 *
 * %u user   %a address   %p port   %n digits   %w a word   %t text, as short as can be
 * %s the daemon's stamp: "[INFO ] ", "2026-11-22 15:37:46 5 [Warning] ", "NOTICE[7]: ", ""
 * %h like %t, without "]:"   %l without ":  "   %q without "'"
 * %i like %w: the connection's id, which joins its lines
 * %r "[HOST ][ADDRESS][ (may be forged)]"
 *
 * The user may hold anything and is as long as what follows allows: so what stands behind
 * it is the daemon's own, and the last of several places counts.  A text in front of an
 * address, and one behind a user, is barred from what would let a name pose as the rest of
 * another form.  All other fields hold no blank.
 */
#ifndef PARSERS_FORM_H
#define PARSERS_FORM_H

#include <stdbool.h>

#include "common/slice.h"

struct form_found {
	struct slice user, address, port, id;
	unsigned steps; /* taken by all that was tried with it: set 0 before the first */
};

/* Trying a form costs as much as the line is long, for each field: longer ones are nobody's. */
enum { FORM_LINE_MAX = 1024 };

/* m is of that form.  Everything but the steps is overwritten, also where it is not. */
bool form_fits(struct slice form, struct slice m, struct form_found *f);

#endif
