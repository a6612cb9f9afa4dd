/* ip: IPv4 and IPv6 addresses as 16 bytes, and their text.
 *
 * IPv4 is kept in its mapped form ::ffff:a.b.c.d, so that 1.2.3.4 and
 * ::ffff:1.2.3.4 are one address.  Pure; any thread.
 */
#ifndef COMMON_IP_H
#define COMMON_IP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

struct ip {
	uint8_t b[16];
};

/* The whole slice is an address: dotted quad (each part 0-255, at most three
 * digits) or RFC 4291 text; a zone ("%eth0") and brackets are allowed and
 * dropped.  Anything else: false. */
bool ip_parse(struct slice s, struct ip *out);
/* The whole slice is a dotted quad: what ip_parse() takes without a colon, zone or
 * bracket; at the cost of a few compares. */
bool ip_is_quad(struct slice s);
bool ip_is_v4(const struct ip *a);

enum { IP_TEXT = 46 };
/* RFC 5952 text, NUL-terminated; returns its length. */
int ip_format(char out[static IP_TEXT], const struct ip *a);

struct ip_net {
	struct ip base;
	uint8_t bits; /* of 128 */
};

/* "10.0.0.0/8", "2001:db8::/32", or an address alone. */
bool ip_net_parse(struct slice s, struct ip_net *out);
bool ip_in_net(const struct ip *a, const struct ip_net *net);

#endif
