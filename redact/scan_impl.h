/* scan_impl: what scan.c and scan_deal.c have in common; nobody else includes it. */
#ifndef REDACT_SCAN_IMPL_H
#define REDACT_SCAN_IMPL_H

#include <string.h>

#include "redact/scan.h"

struct pattern {
	uint8_t n;
	uint8_t window; /* offset of the window */
	uint8_t bucket;
	bool fold;
	bool planned;   /* window and bucket are given */
	bool sep;       /* the last byte is a separator, not the literal's */
	uint16_t literal;
	char text[SCAN_MAX + 1];
	scan_guard guard;
};

static inline char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool is_alpha(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

/* The bytes of each class but SCAN_PRINT. */
static const char *const scan_class_bytes[8] = {
	[1] = "=:\"'\\>]%(",
	[2] = "0123456789abcdefABCDEF",
	[3] = "0123456789",
	[4] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-+/",
	[5] = "=:?\"' -",
	[7] = "pPuUawcAXsk",
};

/* Does byte c stand for pattern byte t? */
static inline bool scan_accepts(char t, bool fold, char c)
{
	if (t == SCAN_PRINT[0]) {
		return c >= ' ' && c <= '~';
	}
	if (t > 0 && t < 8) {
		return c != '\0' && strchr(scan_class_bytes[(unsigned char)t], c) != NULL;
	}
	return t == c || (fold && is_alpha(t) && lower(t) == lower(c));
}

/* Windows and buckets for what has none; nearly always all were planned.  UV_ENOMEM.
 * scan_deal.c */
int scan_deal(struct pattern *patterns, size_t n);

#endif
