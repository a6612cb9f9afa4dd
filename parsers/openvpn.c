/* openvpn servers.
 *
 * Source: OpenVPN 2.6.14 src/openvpn/ssl.c, ssl_verify.c (verify_user_pass,
 * verify_cert), multi.c (multi_prefix), socket.c (print_link_socket_actual).
 *
 * "[NAME/]ADDRESS:PORT TEXT": NAME is a certificate's or a user's.
 */
#include "parsers/family.h"

static bool set_peer(struct context *c, struct slice s)
{
	struct slice port;

	if (TAKE_END(&s, "]")) {
		/* "[AF_INET]192.0.2.1:1194" was cut at its bracket. */
		return false;
	}
	TAKE(&s, "tcp4-server:");
	TAKE(&s, "udp4:");
	if (!take_last(&s, ':', &port)) {
		return false;
	}
	set_source(c, s);
	set_port(c, port);
	return event_has(c->e, FIELD_SOURCE_IP);
}

/* "TLS: Username/Password authentication {succeeded|deferred} for username 'U' [...]" */
static bool password(struct context *c, struct slice m)
{
	struct slice rest = m, user;

	if (!TAKE(&rest, "succeeded for username '") &&
	    !TAKE(&rest, "deferred for username '")) {
		return false;
	}
	if (!take_before_last(&rest, SLICE_LIT("'"), &user)) {
		return false;
	}
	SAY(c, "authentication", "start", "vpn_login");
	SET(c, AUTH_METHOD, "password");
	set_user(c, user);
	if (HAS(m, "succeeded")) {
		say_success(c);
	} else {
		c->e->outcome = OUTCOME_UNKNOWN;
	}
	return true;
}

static bool text(struct context *c, struct slice m)
{
	struct slice name, rest = m;

	if (TAKE(&m, "TLS: Username/Password authentication ")) {
		return password(c, m);
	}
	if (HAS(m, "TLS Auth Error: Auth Username/Password verification failed")) {
		SAY(c, "authentication", "start", "vpn_login");
		SET(c, AUTH_METHOD, "password");
		say_failure(c, COUNT_DAEMON, 1);
		return true;
	}
	if (HAS(m, "VERIFY ERROR: ")) {
		SAY(c, "authentication", "start", "vpn_login");
		SET(c, AUTH_METHOD, "certificate");
		event_set(c->e, FIELD_EVENT_REASON, m);
		say_failure(c, COUNT_DAEMON, 1);
		return true;
	}
	if (HAS(m, "TLS Error: TLS handshake failed") ||
	    HAS(m, "TLS Error: TLS key negotiation failed")) {
		SAY(c, "network", "end", "vpn_handshake");
		c->e->outcome = OUTCOME_FAILURE;
		return true;
	}
	if (TAKE(&rest, "[") && take_before(&rest, SLICE_LIT("] Peer Connection "
							    "Initiated with "),
					    &name)) {
		SAY(c, "authentication", "start", "vpn_login");
		SET(c, AUTH_METHOD, "certificate");
		set_user(c, name);
		TAKE(&rest, "[AF_INET]");
		TAKE(&rest, "[AF_INET6]");
		set_peer(c, rest);
		say_success(c);
		return true;
	}
	return false;
}

bool family_openvpn(struct context *c)
{
	struct slice m = c->m, peer, name;

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (take_word(&m, &peer)) {
		struct slice address = peer;

		if (take_before_last(&address, SLICE_LIT("/"), &name)) {
			peer = address;
		} else {
			name = SLICE_NONE;
		}
		if (set_peer(c, peer)) {
			if (!text(c, m)) {
				return false;
			}
			if (name.n > 0 && !event_has(c->e, FIELD_USER_NAME)) {
				set_user(c, name);
			}
			return true;
		}
		event_reset(c->e);
	}
	return text(c, c->m);
}
