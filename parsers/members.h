/* members: the values of a line that is JSON, or logfmt's name=value.  Internal to parsers/;
 * pure.
 *
 * Nothing is decoded, as in header_json.c: a value with a backslash in it is not there.  Of
 * two with the same name the first counts.
 */
#ifndef PARSERS_MEMBERS_H
#define PARSERS_MEMBERS_H

#include <stdbool.h>

#include "common/slice.h"

struct members {
	struct slice text; /* JSON: behind its first bracket */
	bool json;
};

/* A line that could be one: an object, or one that begins with a name and "=", also behind
 * "CONTAINER | ". */
bool members_of(struct slice line, struct members *m);
/* The text of a string without its quotes, of a number, of a word; of an object (array) from
 * behind its bracket on.  path: "name", in JSON also "outer/inner".  False: not there. */
bool members_get(const struct members *m, const char *path, struct slice *value);
/* The same up to its first backslash: of what may be cut, as a path. */
bool members_head(const struct members *m, const char *path, struct slice *value);
/* It is there, and begins with text (is text, if that ends with a newline). */
bool members_is(const struct members *m, const char *path, const char *text);

#endif
