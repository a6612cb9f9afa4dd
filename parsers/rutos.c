/* What RutOS, the OpenWrt of Teltonika's routers, puts into its log of events: leases,
 * fail-over, mobile data and its limits, SMS, SIM cards, restarts.
 *
 * Source: Teltonika's RutOS GPL SDK 07.20: the senders and marks of its web interface's
 * event types (vuci event_type.lua), the patches of dnsmasq, mwan3, libuci and dropbear
 * there; the manual's page on SMS utilities for the commands.  The texts of its closed
 * programs are known by their marks alone, so these are looked for inside the text, and
 * only under the sender that they belong to.
 *
 * The name of a DHCP client and the text of an SMS are somebody else's; the marks stand in
 * front of them.
 */
#include "parsers/family.h"

struct mark {
	struct slice sender; /* the program's name */
	struct slice mark;   /* empty: any text */
	struct slice category, type, action;
};

#define MARK(sender, mark, category, type, action) \
	{TEXT(sender), TEXT(mark), TEXT(category), TEXT(type), TEXT(action)}

static const struct mark marks[] = {
	MARK("Reboot", "", "host", "end", "reboot"),
	MARK("Startup", "unexpected shutdown", "host", "start", "unexpected_shutdown"),
	MARK("Startup", "", "host", "start", "startup"),
	MARK("WiFi", "disconnected", "network", "end", "wifi_disconnected"),
	MARK("WiFi", "connected", "network", "start", "wifi_connected"),
	MARK("Mobile", "disconnected", "network", "end", "mobile_data_disconnected"),
	MARK("Mobile", "data connected", "network", "start", "mobile_data_connected"),
	MARK("Mobile", "data limit", "network", "info", "data_limit_reached"),
	MARK("quota", "limit", "network", "info", "data_limit_reached"),
	MARK("SIM", "to SIM ", "network", "change", "sim_switched"),
	MARK("Signal", "dropped below ", "network", "info", "signal_low"),
	MARK("Switch", "", "network", "info", "port_link"),
	MARK("Topology", "", "network", "change", "topology_changed"),
	MARK("GPS", "geofence", "host", "info", "geofence"),
	MARK("Fota", "", "package", "info", "firmware"),
	MARK("FOTA", "", "package", "info", "firmware"),
};

static bool marked(struct context *c, struct slice m)
{
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		const struct mark *k = &marks[i];

		if (slice_eq(k->sender, c->h->program) &&
		    (k->mark.n == 0 || slice_find(m, k->mark) != SIZE_MAX)) {
			event_set(c->e, FIELD_EVENT_CATEGORY, k->category);
			event_set(c->e, FIELD_EVENT_TYPE, k->type);
			event_set(c->e, FIELD_EVENT_ACTION, k->action);
			event_set(c->e, FIELD_EVENT_REASON, m);
			return true;
		}
	}
	return false;
}

/* "Leased ADDRESS IP address for client MAC - NAME in {LAN|WiFi}" */
static bool leased(struct context *c, struct slice m)
{
	struct slice address, mac;

	if (!take_word(&m, &address) || !TAKE(&m, "IP address for client ") ||
	    !take_word(&m, &mac) || !mac_like(mac)) {
		return false;
	}
	SAY(c, "network", "start", "dhcp_lease");
	set_source(c, address);
	event_set(c->e, FIELD_SOURCE_MAC, mac);
	return true;
}

/* "SMS received from NUMBER[: TEXT]": who sends commands is the number. */
static bool sms(struct context *c, struct slice m)
{
	size_t n = 0;

	if (!TAKE(&m, "received from ") && !TAKE(&m, "SMS received from ") &&
	    !TAKE(&m, "SMS command received from ")) {
		return false;
	}
	while (n < m.n && (is_digit(m.p[n]) || (n == 0 && m.p[n] == '+'))) {
		n++;
	}
	if (n < 2 || n > 20) {
		return false;
	}
	SAY(c, "network", "access", "sms_received");
	set_user(c, slice_head(m, n));
	return true;
}

bool rutos_event(struct context *c, struct slice m)
{
	if (TAKE(&m, "Leased ")) {
		return leased(c, m);
	}
	if (HAS(m, "Switched to main WAN (") || HAS(m, "Switched to backup WAN (") ||
	    (HAS(m, "WAN (") &&
	     slice_find(m, SLICE_LIT(") is down, switched to backup WAN (")) != SIZE_MAX)) {
		SAY(c, "network", "change", "wan_switched");
		event_set(c->e, FIELD_EVENT_REASON, m);
		return true;
	}
	if (IS(c->h->program, "SMS") || IS(c->h->program, "sms_utils") ||
	    IS(c->h->program, "smsutils")) {
		return sms(c, m);
	}
	return marked(c, m);
}
