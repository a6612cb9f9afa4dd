/* share_example: one line that stands for many that were not understood, without what
 * in them is somebody's choice.  Internal to parsers/; pure.
 *
 * Which parts of an unknown wording an attacker chose, nothing tells.  So of such lines
 * those words are kept that all had in common, numbers are 0, and the rest is a star:
 * also every word that is not letters only and no header's, and all of them while there
 * is one line.
 */
#ifndef PARSERS_SHARE_EXAMPLE_H
#define PARSERS_SHARE_EXAMPLE_H

#include <stdint.h>

#include "common/slice.h"
#include "parsers/share.h"

struct share_example {
	uint64_t differs; /* bit n: word n */
	uint8_t n;        /* bytes of text, 0: none */
	uint8_t votes;    /* lines of this form were seen so many more times than others */
	uint8_t seen;     /* other lines of its form */
	char text[SHARE_EXAMPLE - 1];
};

/* Another line that was not understood; one of a form that is rarer is passed over. */
void share_example_add(struct share_example *x, struct slice line);
/* As text for people. */
void share_example_write(const struct share_example *x, char out[static SHARE_EXAMPLE]);
/* How the line begins, as a number other than 0: its first two words without numbers. */
uint32_t share_example_begins(struct slice line);
/* Does a word of it look like an IP address? */
bool share_example_address(struct slice line);

#endif
