/* What the packet filters of pfSense, OPNsense and RouterOS log.
 *
 * Source: Netgate's manual ("Raw Filter Log Format", the grammar); MikroTik's manual
 * ("Log", "Filter": the log-prefix stands in front of the chain).
 *
 * filterlog's fields are numbers, addresses and names of interfaces: nothing of a sender's.
 */
#include "parsers/family.h"

/* Skips n fields; false: there are not so many. */
static bool skip_fields(struct slice *m, unsigned n)
{
	struct slice field;

	for (; n > 0; n--) {
		if (!take_until(m, ',', &field)) {
			return false;
		}
	}
	return true;
}

static void verdict(struct context *c, bool denied, bool allowed)
{
	if (denied) {
		SAY(c, "network", "denied", "firewall_denied");
	} else if (allowed) {
		SAY(c, "network", "allowed", "firewall_allowed");
	} else {
		SAY(c, "network", "info", "firewall_packet");
	}
}

/* "tcp,44,10.0.2.2,10.0.2.15,59576,22,0,S,.." (IPv4), where IPv6 has "tcp,6,44,..". */
bool family_filter(struct context *c)
{
	struct slice m = c->m, action, direction, version, proto, source, target, port;
	bool four;

	if (!skip_fields(&m, 6) || !take_until(&m, ',', &action) ||
	    !take_until(&m, ',', &direction) || !take_until(&m, ',', &version)) {
		return false;
	}
	four = IS(version, "4");
	if ((!four && !IS(version, "6")) || !skip_fields(&m, four ? 7 : 3) ||
	    !take_until(&m, ',', &proto) || !skip_fields(&m, four ? 1 : 2) ||
	    !take_until(&m, ',', &source) || !take_until(&m, ',', &target)) {
		return false;
	}
	verdict(c, IS(action, "block") || IS(action, "reject"), IS(action, "pass"));
	set_source(c, source);
	event_set(c->e, FIELD_DESTINATION_IP, target);
	event_set(c->e, FIELD_NETWORK_PROTOCOL, proto);
	if ((IS(proto, "tcp") || IS(proto, "udp") || IS(proto, "TCP") || IS(proto, "UDP")) &&
	    take_until(&m, ',', &port)) {
		set_port(c, port);
		if (take_until(&m, ',', &port)) {
			event_set(c->e, FIELD_DESTINATION_PORT, port);
		}
	}
	return true;
}

static bool has(struct slice s, struct slice word)
{
	return slice_find(s, word) != SIZE_MAX;
}

/* "firewall,info PREFIX input: in:ether1 out:(unknown 0), connection-state:new src-mac ..,
 * proto TCP (SYN), 192.0.2.1:4711->198.51.100.1:23, len 40" */
bool filter_routeros(struct context *c, struct slice m)
{
	struct slice prefix, proto, word, source, target, port;

	if (!TAKE(&m, "firewall,info ") || !take_before(&m, SLICE_LIT(": in:"), &prefix) ||
	    !take_before(&m, SLICE_LIT(", proto "), &word) ||
	    !take_before(&m, SLICE_LIT("->"), &proto) || !take_until(&m, ',', &target) ||
	    !take_last(&proto, ' ', &source)) {
		return false;
	}
	verdict(c, has(prefix, SLICE_LIT("drop")) || has(prefix, SLICE_LIT("reject")) ||
			   has(prefix, SLICE_LIT("DROP")),
		has(prefix, SLICE_LIT("accept")));
	if (take_word(&proto, &word)) {
		TAKE_END(&word, ",");
		event_set(c->e, FIELD_NETWORK_PROTOCOL, word);
	}
	if (take_last(&source, ':', &port)) {
		set_source(c, source);
		set_port(c, port);
	} else {
		set_source(c, source);
	}
	if (take_last(&target, ':', &port)) {
		event_set(c->e, FIELD_DESTINATION_PORT, port);
	}
	event_set(c->e, FIELD_DESTINATION_IP, target);
	c->app = SLICE_LIT("routeros");
	return true;
}
