/* What the kernel says of packets, of WireGuard and, when no auditd runs, of its audit.
 *
 * Source: Linux 6.12 net/netfilter/nf_log_syslog.c (nf_log_dump_packet_common,
 * dump_ipv4_packet, dump_ipv6_packet, dump_arp_packet) for what iptables, nftables, UFW,
 * firewalld and OpenWrt's firewall log; drivers/net/wireguard/receive.c, send.c, timers.c,
 * peer.c (with dynamic debugging on); net/core/dev.c (promiscuous mode); kernel/audit.c.
 *
 * "[   12.345678] PREFIX IN=eth0 OUT= MAC=.. SRC=A DST=A LEN=.. PROTO=TCP SPT=n DPT=n ..".
 * The prefix is the administrator's, and says whether the packet was dropped; the rest is
 * the kernel's own, and holds no text of the sender's.
 */
#include "parsers/family.h"

/* Words of a prefix, in any case. */
static bool says(struct slice prefix, const char *word)
{
	struct slice w = slice_str(word);

	for (size_t i = 0; i + w.n <= prefix.n; i++) {
		if (slice_eq_nocase(slice(prefix.p + i, w.n), w)) {
			return true;
		}
	}
	return false;
}

static void verdict(struct context *c, struct slice prefix)
{
	if (says(prefix, "drop") || says(prefix, "block") || says(prefix, "reject") ||
	    says(prefix, "den") || says(prefix, "invalid")) {
		SAY(c, "network", "denied", "firewall_denied");
	} else if (says(prefix, "accept") || says(prefix, "allow") ||
		   says(prefix, "permit")) {
		SAY(c, "network", "allowed", "firewall_allowed");
	} else {
		SAY(c, "network", "info", "firewall_packet");
	}
	prefix = slice_trim(prefix);
	if (prefix.n > 0) {
		event_set(c->e, FIELD_EVENT_REASON, prefix);
	}
}

/* "MAC=" holds where to, where from and the protocol, 14 bytes. */
static void set_mac(struct context *c, struct slice v)
{
	if (v.n >= 35 && mac_like(slice(v.p + 18, 17))) {
		event_set(c->e, FIELD_SOURCE_MAC, slice(v.p + 18, 17));
	}
}

/* One "KEY=value". */
static void set_pair(struct context *c, struct slice word)
{
	struct slice key;

	if (!take_until(&word, '=', &key) || word.n == 0) {
		return;
	}
	if (IS(key, "SRC") || IS(key, "IPSRC")) {
		set_source(c, word);
	} else if (IS(key, "DST") || IS(key, "IPDST")) {
		event_set(c->e, FIELD_DESTINATION_IP, word);
	} else if (IS(key, "SPT")) {
		set_port(c, word);
	} else if (IS(key, "DPT")) {
		event_set(c->e, FIELD_DESTINATION_PORT, word);
	} else if (IS(key, "PROTO")) {
		event_set(c->e, FIELD_NETWORK_PROTOCOL, word);
	} else if (IS(key, "MAC")) {
		set_mac(c, word);
	}
}

/* "OUT=.. SRC=.." up to the packet that an ICMP error holds, which is another's. */
static bool set_pairs(struct context *c, struct slice m)
{
	struct slice word;

	while (m.n > 0 && m.p[0] != '[') {
		if (take_word(&m, &word)) {
			set_pair(c, word);
		}
	}
	return event_has(c->e, FIELD_SOURCE_IP);
}

enum { PACKET_MIN = 48 }; /* "IN= OUT=lo SRC=1.1.1.1 DST=1.1.1.1 LEN=28 TOS=0x00 ..." */

/* "IN=eth0 OUT= ..." behind any prefix */
static bool packet(struct context *c, struct slice m)
{
	static const struct slice in = TEXT("IN=");
	struct slice rest, word;
	size_t at = m.n < PACKET_MIN ? SIZE_MAX : slice_find(m, in);

	/* "PHYSIN=" stands behind it, if at all. */
	if (at == SIZE_MAX) {
		return false;
	}
	rest = slice_skip(m, at + in.n);
	if (!take_until(&rest, ' ', &word) || !HAS(rest, "OUT=")) {
		return false;
	}
	verdict(c, slice_head(m, at));
	return set_pairs(c, rest);
}

/* "192.0.2.1:51820", "[2001:db8::1]:51820" */
static void set_endpoint(struct context *c, struct slice s)
{
	struct slice port;

	if (take_last(&s, ':', &port)) {
		set_source(c, s);
		set_port(c, port);
	}
}

static const struct {
	struct slice head;
	struct slice action;
	enum outcome outcome;
	bool attempt;
} wireguards[] = {
	{TEXT("Receiving handshake initiation from peer "), TEXT("vpn_handshake"),
	 OUTCOME_SUCCESS, false},
	{TEXT("Receiving handshake response from peer "), TEXT("vpn_handshake"),
	 OUTCOME_SUCCESS, false},
	{TEXT("Invalid handshake initiation from "), TEXT("vpn_login"), OUTCOME_FAILURE, true},
	{TEXT("Invalid handshake response from "), TEXT("vpn_login"), OUTCOME_FAILURE, true},
	{TEXT("Invalid MAC of handshake, dropping packet from "), TEXT("vpn_handshake"),
	 OUTCOME_FAILURE, false},
	{TEXT("Sending handshake "), TEXT("vpn_handshake"), OUTCOME_NONE, false},
	{TEXT("Receiving cookie response from "), TEXT("vpn_handshake"), OUTCOME_NONE, false},
	{TEXT("Receiving keepalive packet from peer "), TEXT("vpn_session"), OUTCOME_NONE,
	 false},
	{TEXT("Sending keepalive packet to peer "), TEXT("vpn_session"), OUTCOME_NONE, false},
	{TEXT("Handshake for peer "), TEXT("vpn_handshake"), OUTCOME_FAILURE, false},
	{TEXT("Retrying handshake with peer "), TEXT("vpn_handshake"), OUTCOME_NONE, false},
	{TEXT("Packet has unallowed src IP ("), TEXT("vpn_session"), OUTCOME_NONE, false},
	{TEXT("Keypair "), TEXT("vpn_session"), OUTCOME_NONE, false},
	{TEXT("Peer "), TEXT("vpn_session"), OUTCOME_NONE, false},
	{TEXT("Interface created"), TEXT("vpn_session"), OUTCOME_NONE, false},
	{TEXT("Interface destroyed"), TEXT("vpn_session"), OUTCOME_NONE, false},
};

/* "wg0: TEXT[ from peer N (ENDPOINT)]": a packet that a known key signed comes from that
 * peer; one with another key is an attempt. */
static bool wireguard(struct context *c, struct slice m)
{
	struct slice interface, endpoint, head;

	if (!take_before(&m, SLICE_LIT(": "), &interface) ||
	    memchr(interface.p, ' ', interface.n) != NULL) {
		return false;
	}
	for (size_t i = 0; i < sizeof wireguards / sizeof *wireguards; i++) {
		if (!slice_starts(m, wireguards[i].head)) {
			continue;
		}
		SAY(c, "network", "info", "");
		event_set(c->e, FIELD_EVENT_ACTION, wireguards[i].action);
		c->e->outcome = wireguards[i].outcome;
		endpoint = slice_skip(m, wireguards[i].head.n);
		head = slice_head(m, slice_find(m, SLICE_LIT(" did not complete after ")));
		if (take_before_last(&head, SLICE_LIT(" ("), &interface) &&
		    take_until(&head, ')', &interface)) {
			endpoint = interface;
		}
		set_endpoint(c, endpoint);
		if (wireguards[i].attempt) {
			SET(c, EVENT_CATEGORY, "authentication");
			SET(c, EVENT_TYPE, "start");
			SET(c, AUTH_METHOD, "publickey");
			say_failure(c, COUNT_DAEMON, 1);
		}
		return true;
	}
	return false;
}

bool family_kernel(struct context *c)
{
	struct slice m = c->m, rest, word;

	/* "[   12.345678] ", if the log daemon has not taken it. */
	rest = m;
	if (TAKE(&rest, "[") && take_until(&rest, ']', &word) && word.n > 0 &&
	    is_digit(word.p[word.n - 1]) && TAKE(&rest, " ")) {
		m = rest;
	}
	if (HAS(m, "audit: type=")) {
		c->m = m;
		return family_audit(c);
	}
	if (TAKE(&m, "wireguard: ")) {
		return wireguard(c, m);
	}
	if (ENDS(m, " entered promiscuous mode") || ENDS(m, " left promiscuous mode")) {
		SAY(c, "network", "change", "promiscuous_mode");
		return true;
	}
	return packet(c, m);
}
