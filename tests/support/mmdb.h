/* mmdb: small databases in the MaxMind DB format 2.0, for tests, written from its
 * specification (https://maxmind.github.io/MaxMind-DB/): a search tree of IPv6 with records
 * of 24 bits and IPv4 below ::/96, a data section without pointers, metadata. */
#ifndef TESTS_SUPPORT_MMDB_H
#define TESTS_SUPPORT_MMDB_H

#include "common/buf.h"

struct mmdb_entry {
	const char *net;     /* "192.0.2.0/24", "2001:db8::/32"; apart from each other */
	const char *country; /* NULL: none */
	bool located;
	double latitude, longitude;
	uint16_t radius_km;  /* 0: none */
	uint32_t number;     /* 0: none */
	const char *organization; /* NULL: none */
};

enum { MMDB_NODES = 4096 };

/* Appends a database of this type ("GeoLite2-City").  false: the entries are wrong or too
 * many. */
bool mmdb_write(struct buf *out, const char *type, const struct mmdb_entry *entries, size_t n);

#endif
