/* facts: what a line of the table says, in words; for print.c and document.c. */
#ifndef CONFIG_FACTS_H
#define CONFIG_FACTS_H

#include "common/buf.h"
#include "config/table.h"
#include "config/value.h"

/* "size", "list of paths" ... */
const char *option_type_name(const struct option *o);
/* "From 256B to 256KiB.", "One of pause, drop-oldest, drop-newest.", or nothing.
 * Appends; UV_ENOMEM, ERR_TOO_LARGE. */
int option_range(const struct option *o, struct buf *out);
/* A number, size or duration as it would be written. */
void option_amount(char out[static VALUE_TEXT], enum option_type type, uint64_t v);

#endif
