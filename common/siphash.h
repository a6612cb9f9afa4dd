/* siphash: SipHash-2-4 with 64-bit output (Aumasson and Bernstein, "SipHash: a
 * fast short-input PRF", 2012), for every table whose keys come from outside.
 *
 * The key is 16 bytes of kernel randomness, made when the table is.  Pure. */
#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint8_t key[static 16], const void *p, size_t n);

#endif
