/* sparkline: numbers as a line of little bars, one character each.
 *
 * Bars are as high as their share of the greatest; what is not 0 is seen.  Eighths of a block
 * in UTF-8; in ASCII characters that get darker.  Pure.
 */
#ifndef CLI_SPARKLINE_H
#define CLI_SPARKLINE_H

#include <stdbool.h>

#include "common/buf.h"

/* Adds up neighbours, equally many each time (the last may be fewer), so that at most
 * `columns` (> 0) are left; returns how many are. */
size_t sparkline_fit(uint64_t *out, size_t columns, const uint32_t *counts, size_t n);
/* Errors as buf_add()'s. */
int sparkline_add(struct buf *out, const uint64_t *v, size_t n, bool ascii);

#endif
