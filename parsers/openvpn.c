/* openvpn servers.
 *
 * Source: OpenVPN 2.6.14 src/openvpn/ssl.c (key_method_2_read, session_move_active),
 * ssl_verify.c (verify_user_pass, verify_cert), crypto.c, tls_crypt.c, multi.c
 * (multi_prefix), push.c (send_control_channel_string), socket.c
 * (link_socket_set_outgoing_addr, print_link_socket_actual), plugins/auth-pam/auth-pam.c.
 *
 * "[NAME/]ADDRESS:PORT TEXT": NAME is a certificate's or a user's.  The lines of one
 * ADDRESS:PORT are one connection.  "Peer Connection Initiated" says that keys are
 * agreed on and comes after a wrong password too, so it is a login only of a connection
 * that was asked for a certificate alone.
 *
 * With plugin auth-pam another process, one for all clients, writes PAM's lines (the user,
 * the address, no port).  Attempts are therefore counted by address, for both together.
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
	if (c->slot != NULL) {
		slot_keep(c->slot, c->e);
	}
	if (HAS(m, "succeeded")) {
		say_success(c);
	} else {
		say_pending(c);
	}
	return true;
}

/* Counts a failure for its address, once for PAM's line and the server's. */
static void count(struct context *c, enum count kind)
{
	enum { ENOUGH = 10000 }; /* an address may go on for ever, and a slot's counts end */

	if (c->slot != NULL) {
		c->slot->flags |= SLOT_REPORTED;
		c->slot->flags &= (uint8_t)~(SLOT_SUCCESS | SLOT_PENDING);
		c->slot = NULL;
	}
	if (event_has(c->e, FIELD_SOURCE_IP)) {
		ctx_slot_id(c, SLOTS_OPENVPN, c->e->f[FIELD_SOURCE_IP]);
		if (c->slot->counted >= ENOUGH) {
			slot_again(c->slot);
		}
	}
	say_failure(c, kind, 1);
	if (kind == COUNT_PAM && c->slot == NULL) {
		c->e->attempts = 0; /* the server's line counts it, with its address */
	}
}

static bool failed(struct context *c, const char *method, struct slice reason,
		   enum count kind)
{
	SAY(c, "authentication", "start", "vpn_login");
	event_set(c->e, FIELD_AUTH_METHOD, slice_str(method));
	if (reason.n > 0) {
		event_set(c->e, FIELD_EVENT_REASON, reason);
	}
	count(c, kind);
	return true;
}

/* Behind "TLS Auth Error: " and "TLS Error: ". */
static bool auth_error(struct context *c, struct slice m)
{
	if (HAS(m, "Auth Username/Password verification failed")) {
		return failed(c, "password", SLICE_NONE, COUNT_DAEMON);
	}
	if (HAS(m, "peer provided a blank username") || HAS(m, "--username-as-common name")) {
		/* The line above follows. */
		SAY(c, "authentication", "info", "vpn_login");
		event_set(c->e, FIELD_EVENT_REASON, m);
		c->e->outcome = OUTCOME_UNKNOWN;
		return true;
	}
	return (HAS(m, "Auth Username/Password was not provided") ||
		HAS(m, "Username (") || HAS(m, "username attempted to change") ||
		HAS(m, "TLS object CN") ||
		HAS(m, "--client-config-dir authentication failed")) &&
	       failed(c, "password", m, COUNT_DAEMON);
}

/* "[NAME] Peer Connection Initiated with [AF_INET]ADDRESS:PORT" */
static bool initiated(struct context *c, struct slice name, struct slice peer)
{
	unsigned flags = c->slot != NULL ? c->slot->flags : 0;

	TAKE(&peer, "[AF_INET]");
	TAKE(&peer, "[AF_INET6]");
	set_peer(c, peer);
	if (c->slot == NULL && event_has(c->e, FIELD_SOURCE_IP)) {
		/* Without the prefix: a client, or a server of one peer. */
		ctx_slot_id(c, SLOTS_OPENVPN, peer);
		flags = c->slot->flags;
	}
	if (name.n == 0 || (flags & (SLOT_SUCCESS | SLOT_REPORTED | SLOT_PENDING)) != 0) {
		SAY(c, "network", "info", "vpn_connection");
		c->e->outcome = OUTCOME_UNKNOWN;
		return true;
	}
	SAY(c, "authentication", "start", "vpn_login");
	SET(c, AUTH_METHOD, "certificate");
	set_user(c, name);
	say_success(c);
	return true;
}

/* "SENT CONTROL [NAME]: 'PUSH_REPLY,..'": what was deferred has come to its end. */
static bool answered(struct context *c, struct slice m)
{
	struct slice name;

	if (c->slot == NULL || (c->slot->flags & SLOT_PENDING) == 0 ||
	    !take_before(&m, SLICE_LIT("]: '"), &name)) {
		return false;
	}
	SAY(c, "authentication", "start", "vpn_login");
	SET(c, AUTH_METHOD, "password");
	slot_give(c->slot, c->e);
	if (HAS(m, "PUSH_REPLY")) {
		say_success(c);
		return true;
	}
	if (HAS(m, "AUTH_FAILED")) {
		count(c, COUNT_DAEMON);
		return true;
	}
	return false;
}

/* One line of these comes of a certificate that is refused. */
static bool verify_error(struct slice m)
{
	return TAKE(&m, "VERIFY ") &&
	       (HAS(m, "ERROR: ") || HAS(m, "KU ERROR") || HAS(m, "EKU ERROR") ||
		HAS(m, "X509NAME ERROR: ") || HAS(m, "SCRIPT ERROR: ") ||
		HAS(m, "PLUGIN ERROR: ") || HAS(m, "CRL: "));
}

/* "TLS Error: TLS handshake failed", "TLS Error: cannot locate HMAC in incoming packet from
 * [AF_INET]ADDRESS:PORT": nobody that could be told from a port scan. */
static bool handshake_error(struct context *c, struct slice m)
{
	static const struct slice texts[] = {
		TEXT("TLS Error: TLS handshake failed"),
		TEXT("TLS Error: TLS key negotiation failed"),
		TEXT("TLS Error: cannot locate HMAC in incoming packet from "),
		TEXT("TLS Error: incoming packet authentication failed from "),
		TEXT("TLS Error: tls-crypt unwrapping failed from "),
		TEXT("tls-crypt unwrap error: "),
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (!slice_starts(m, texts[i])) {
			continue;
		}
		SAY(c, "network", "end", "vpn_handshake");
		c->e->outcome = OUTCOME_FAILURE;
		m = slice_skip(m, texts[i].n);
		if (TAKE(&m, "[AF_INET]") || TAKE(&m, "[AF_INET6]")) {
			set_peer(c, m);
		}
		return true;
	}
	return false;
}

/* "[PLUGIN ]AUTH-PAM: BACKGROUND: user 'U' failed to authenticate: TEXT": the attempt itself
 * is told by "TLS Auth Error". */
static bool pam_plugin(struct context *c, struct slice m)
{
	struct slice user;

	TAKE(&m, "PLUGIN ");
	if (!TAKE(&m, "AUTH-PAM: BACKGROUND: user '") ||
	    !take_before_last(&m, SLICE_LIT("' failed to authenticate: "), &user)) {
		return false;
	}
	SAY(c, "authentication", "info", "vpn_login");
	SET(c, AUTH_METHOD, "password");
	event_set(c->e, FIELD_EVENT_REASON, m);
	set_user(c, user);
	c->e->outcome = OUTCOME_FAILURE;
	return true;
}

static bool text(struct context *c, struct slice m)
{
	struct slice name, rest = m;

	if (TAKE(&m, "TLS: Username/Password authentication ")) {
		return password(c, m);
	}
	if (TAKE(&m, "SENT CONTROL [")) {
		return answered(c, m);
	}
	if (verify_error(m)) {
		return failed(c, "certificate", m, COUNT_DAEMON);
	}
	if (handshake_error(c, m) || pam_plugin(c, m)) {
		return true;
	}
	if (TAKE(&m, "TLS Auth Error: ") || TAKE(&m, "TLS Error: ")) {
		return auth_error(c, m);
	}
	if (TAKE(&m, "Peer Connection Initiated with ")) {
		return initiated(c, SLICE_NONE, m);
	}
	return TAKE(&rest, "[") &&
	       take_before(&rest, SLICE_LIT("] Peer Connection Initiated with "), &name) &&
	       initiated(c, name, rest);
}

bool family_openvpn(struct context *c)
{
	struct slice m = c->m, peer, name;

	if (pam_message(c, SLOTS_OTHER)) {
		if (c->e->outcome == OUTCOME_FAILURE && c->e->attempts > 0) {
			c->slot = NULL;
			count(c, COUNT_PAM);
		}
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
			ctx_slot_id(c, SLOTS_OPENVPN, peer);
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
