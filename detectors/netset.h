/* netset: a set of networks, IPv4 and IPv6, small enough for a million of them.
 *
 * Sorted arrays of disjoint networks: 5 bytes for one of IPv4, 9 for one of IPv6 up to a
 * /64, 17 for a longer one.  Networks either lie inside one another or apart, so that what
 * lies inside another is left out, two halves become one, and one binary search for the last
 * network that does not begin behind the address decides.
 *
 * Life      Zeroed, netset_add() as often as needed, netset_close() once, then
 *           netset_has() from any thread.
 */
#ifndef DETECTORS_NETSET_H
#define DETECTORS_NETSET_H

#include "common/ip.h"

enum netset_part { NETSET_V4, NETSET_V6, NETSET_V6_LONG, NETSET_PARTS };

struct netset {
	struct netset_nets {
		uint8_t *p; /* big-endian beginning, then the length in bits; n of them */
		size_t n, room;
	} parts[NETSET_PARTS];
};

/* UV_ENOMEM. */
int netset_add(struct netset *s, const struct ip_net *net);
void netset_close(struct netset *s);
/* Safe on a zeroed struct and to call twice. */
void netset_fini(struct netset *s);

/* Whether every address of IPv4, or of IPv6, is in it; ::/0 has those of both. */
bool netset_has_all(const struct netset *s, bool v4);
bool netset_has(const struct netset *s, const struct ip *a);
size_t netset_bytes(const struct netset *s);

#endif
