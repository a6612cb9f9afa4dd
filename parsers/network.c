/* dnsmasq's leases and hostapd's stations.
 *
 * Source: dnsmasq 2.90 src/rfc2131.c (log_packet), src/rfc3315.c (log6_packet),
 * src/log.c; hostapd 2.10 hostapd/main.c (hostapd_logger_cb), src/ap/sta_info.c
 * (ap_sta_set_authorized), wpa_auth.c, wpa_auth_glue.c, ieee802_11.c, ieee802_1x.c,
 * src/common/wpa_ctrl.h (AP-STA-..), src/eap_server/eap_server.c; Teltonika's patch of
 * dnsmasq ("Leased ..", rutos.c).
 *
 * A DHCP client's own name comes last, and no blank gets into it; what a station says of
 * itself (an identity, an SSID) stands between quotes at the end.
 */
#include "parsers/family.h"

/* "DHCPACK(br-lan) 192.0.2.5 00:11:22:33:44:55 name", also with a transaction's number in
 * front of it; IPv6: "DHCPREPLY(br-lan) 2001:db8::5 00:01:00:01:.. name" */
static bool lease(struct context *c, struct slice m)
{
	static const struct {
		struct slice head, type, action;
	} kinds[] = {
		{TEXT("DHCPACK("), TEXT("start"), TEXT("dhcp_lease")},
		{TEXT("DHCPREPLY("), TEXT("start"), TEXT("dhcp_lease")},
		{TEXT("DHCPRELEASE("), TEXT("end"), TEXT("dhcp_released")},
		{TEXT("DHCPDECLINE("), TEXT("denied"), TEXT("dhcp_refused")},
		{TEXT("DHCPNAK("), TEXT("denied"), TEXT("dhcp_refused")},
		{TEXT("DHCP"), TEXT("info"), TEXT("dhcp_message")},
	};
	struct slice digits, interface, address, mac, rest = m;

	if (take_digits(&rest, &digits) && TAKE(&rest, " ")) {
		m = rest;
	}
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (!slice_starts(m, kinds[i].head)) {
			continue;
		}
		if (!take_until(&m, ')', &interface) || !TAKE(&m, " ")) {
			return false;
		}
		SAY(c, "network", "", "");
		event_set(c->e, FIELD_EVENT_TYPE, kinds[i].type);
		event_set(c->e, FIELD_EVENT_ACTION, kinds[i].action);
		if (!take_word(&m, &address)) {
			return false;
		}
		if (mac_like(address)) { /* no address yet */
			event_set(c->e, FIELD_SOURCE_MAC, address);
			return true;
		}
		set_source(c, address);
		if (take_word(&m, &mac) && mac_like(mac)) {
			event_set(c->e, FIELD_SOURCE_MAC, mac);
		}
		return event_has(c->e, FIELD_SOURCE_IP);
	}
	return false;
}

bool family_dnsmasq(struct context *c)
{
	if (lease(c, c->m)) {
		return true;
	}
	event_reset(c->e);
	return rutos_event(c, c->m);
}

/* ---- hostapd ---- */

struct word {
	struct slice text;
	struct slice category, type, action;
	enum outcome outcome;
	bool attempt;
};

#define WORD(text, category, type, action, outcome, attempt) \
	{TEXT(text), TEXT(category), TEXT(type), TEXT(action), outcome, attempt}

/* Behind "wlan0: ", in front of a station's address. */
static const struct word events[] = {
	WORD("AP-STA-CONNECTED ", "session", "start", "wifi_connected", OUTCOME_NONE, false),
	WORD("AP-STA-DISCONNECTED ", "session", "end", "wifi_disconnected", OUTCOME_NONE,
	     false),
	WORD("AP-STA-POSSIBLE-PSK-MISMATCH ", "authentication", "start", "wifi_login",
	     OUTCOME_FAILURE, true),
	WORD("CTRL-EVENT-EAP-FAILURE ", "authentication", "start", "wifi_login",
	     OUTCOME_FAILURE, true),
	WORD("CTRL-EVENT-EAP-SUCCESS ", "authentication", "info", "wifi_login",
	     OUTCOME_SUCCESS, false),
};

/* Behind "wlan0: STA 00:11:22:33:44:55 ". */
static const struct word stations[] = {
	WORD("WPA: pairwise key handshake completed (", "authentication", "start",
	     "wifi_login", OUTCOME_SUCCESS, true),
	WORD("WPA: group key handshake completed (", "session", "info", "wifi_station",
	     OUTCOME_NONE, false),
	WORD("WPA: invalid MIC in msg 2/4 of 4-Way Handshake", "authentication", "info",
	     "wifi_login", OUTCOME_FAILURE, false),
	WORD("IEEE 802.1X: authenticated - EAP type: ", "authentication", "info",
	     "wifi_login", OUTCOME_SUCCESS, false),
	WORD("IEEE 802.11: associated (", "session", "info", "wifi_station", OUTCOME_NONE,
	     false),
	WORD("IEEE 802.11: authenticated", "session", "info", "wifi_station", OUTCOME_NONE,
	     false),
	WORD("IEEE 802.11: disassociated", "session", "info", "wifi_station", OUTCOME_NONE,
	     false),
	WORD("IEEE 802.11: deauthenticated", "session", "info", "wifi_station",
	     OUTCOME_NONE, false),
	WORD("RADIUS: starting accounting session ", "session", "info", "wifi_station",
	     OUTCOME_NONE, false),
	WORD("RADIUS: stopped accounting session ", "session", "info", "wifi_station",
	     OUTCOME_NONE, false),
};

static const struct word *find_word(const struct word *words, size_t n, struct slice m)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_starts(m, words[i].text)) {
			return &words[i];
		}
	}
	return NULL;
}

static bool say_word(struct context *c, const struct word *w, struct slice mac)
{
	if (w == NULL || !mac_like(mac)) {
		return false;
	}
	event_set(c->e, FIELD_EVENT_CATEGORY, w->category);
	event_set(c->e, FIELD_EVENT_TYPE, w->type);
	event_set(c->e, FIELD_EVENT_ACTION, w->action);
	event_set(c->e, FIELD_SOURCE_MAC, mac);
	c->e->outcome = w->outcome;
	if (w->attempt && w->outcome == OUTCOME_SUCCESS) {
		say_success(c);
	} else if (w->attempt) {
		say_failure(c, COUNT_DAEMON, 1);
	}
	return true;
}

/* "wlan0: STA MAC TEXT", "wlan0: AP-STA-.. MAC[ ..]"; without an interface too. */
bool family_hostapd(struct context *c)
{
	struct slice m = c->m, rest = m, interface, mac;

	if (take_before(&rest, SLICE_LIT(": "), &interface) &&
	    memchr(interface.p, ' ', interface.n) == NULL) {
		m = rest;
	}
	if (TAKE(&m, "STA ")) {
		return take_word(&m, &mac) &&
		       say_word(c, find_word(stations, sizeof stations / sizeof *stations, m),
				mac);
	} else {
		const struct word *w = find_word(events, sizeof events / sizeof *events, m);

		m = slice_skip(m, w == NULL ? 0 : w->text.n);
		return take_word(&m, &mac) && say_word(c, w, mac);
	}
}
