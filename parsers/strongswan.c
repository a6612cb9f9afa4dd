/* strongSwan's charon.
 *
 * Source: strongSwan 5.9.8 src/libcharon/bus/listeners/sys_logger.c ("07[IKE] <name|3> "),
 * processing/jobs/process_message_job.c ("received packet: from .."),
 * sa/ikev2/tasks/ike_auth.c, ike_init.c, ike_delete.c,
 * sa/ikev2/authenticators/{psk,pubkey,eap}_authenticator.c, sa/ikev1/phase1.c,
 * sa/ikev1/tasks/{xauth,main_mode,aggressive_mode,isakmp_delete}.c,
 * plugins/eap_mschapv2/eap_mschapv2.c.
 *
 * A thread reads one packet, tells where it is from and then what came of it: so an
 * address belongs to the lines of the same thread up to the next packet.  An identity is
 * the client's: the daemon's own words are in front of it and behind it.  A login counts
 * when the IKE_SA is established.
 */
#include "parsers/family.h"

static void set_packet(struct context *c, struct slice from)
{
	struct slice port;

	if (TAKE_END(&from, "]") && take_last(&from, '[', &port)) {
		set_source(c, from);
		set_port(c, port);
	} else {
		set_source(c, from);
	}
}

/* "received packet: from ADDRESS[PORT] to ADDRESS[PORT] (N bytes)" */
static bool received(struct context *c, struct slice m)
{
	struct slice from;

	SAY(c, "network", "info", "vpn_packet");
	if (!take_word(&m, &from) || !HAS(m, "to ")) {
		return false;
	}
	set_packet(c, from);
	if (c->slot != NULL) {
		slot_again(c->slot);
		c->slot->user_n = c->slot->address_n = c->slot->port_n = 0;
		slot_keep(c->slot, c->e);
	}
	return true;
}

static bool failure(struct context *c, struct slice user, const char *method,
		    uint32_t attempts)
{
	SAY(c, "authentication", "start", "vpn_login");
	event_set(c->e, FIELD_AUTH_METHOD, slice_str(method));
	if (user.n > 0 && !IS(user, "(null)") && !IS(user, "%any")) {
		set_user(c, user);
	}
	if (c->slot != NULL) {
		slot_give(c->slot, c->e);
	}
	c->e->outcome = OUTCOME_FAILURE;
	c->e->attempts = attempts * c->times;
	return true;
}

/* "'ME' - 'OTHER'", of IKEv1 "'ME'[ADDRESS] - 'OTHER'[ADDRESS]" */
static bool no_secret(struct context *c, struct slice m)
{
	struct slice me, address;

	if (TAKE_END(&m, "]")) {
		if (!take_last(&m, '[', &address)) {
			return false;
		}
		set_source(c, address);
	}
	return take_before(&m, SLICE_LIT(" - '"), &me) && TAKE_END(&m, "'") &&
	       failure(c, m, "psk", 1);
}

/* "N shared key[s] for 'ME' - 'OTHER', but MAC mismatched" */
static bool wrong_secret(struct context *c, struct slice m)
{
	struct slice digits, me;

	return take_digits(&m, &digits) &&
	       (TAKE(&m, " shared keys for '") || TAKE(&m, " shared key for '")) &&
	       TAKE_END(&m, "', but MAC mismatched") &&
	       take_before(&m, SLICE_LIT("' - '"), &me) && failure(c, m, "psk", 1);
}

/* "EAP method EAP_MD5 failed for peer ID" */
static bool eap(struct context *c, struct slice m)
{
	struct slice method, user;

	if (!take_word(&m, &method)) {
		return false;
	}
	if (TAKE(&m, "failed for peer ")) {
		user = m;
		/* MS-CHAPv2 told of each try. */
		return failure(c, user, "eap", IS(method, "EAP_MSCHAPV2") ? 0 : 1);
	}
	SAY(c, "authentication", "info", "vpn_login");
	c->e->outcome = OUTCOME_SUCCESS;
	return HAS(m, "succeeded");
}

/* "'ID' {failed[: TEXT]|successful}" */
static bool xauth(struct context *c, struct slice m)
{
	struct slice user, rest = m;

	if (TAKE_END(&rest, "' successful")) {
		SAY(c, "authentication", "info", "vpn_login");
		set_user(c, rest);
		c->e->outcome = OUTCOME_SUCCESS;
		return !ENDS(rest, "' (myself)");
	}
	return take_before_last(&m, SLICE_LIT("' failed"), &user) &&
	       failure(c, user, "xauth", 1);
}

/* "NAME[N] established between ME[ID]...ADDRESS[ID]", "NAME[N] between .." */
static bool sa(struct context *c, struct slice m, bool begins)
{
	struct slice head, me, address;

	if (!(begins ? take_before(&m, SLICE_LIT("] established between "), &head)
		     : take_before(&m, SLICE_LIT("] between "), &head)) ||
	    !take_before(&m, SLICE_LIT("]..."), &me) || !take_until(&m, '[', &address) ||
	    !TAKE_END(&m, "]")) {
		return false;
	}
	SAY(c, "authentication", "start", "vpn_login");
	set_user(c, m);
	set_source(c, address);
	if (begins) {
		c->slot = NULL; /* a thread is no connection */
		say_success(c);
	} else {
		SET(c, EVENT_CATEGORY, "session");
		SET(c, EVENT_TYPE, "end");
		SET(c, EVENT_ACTION, "vpn_session");
	}
	return true;
}

/* "authentication of 'ID' with METHOD successful" (not "(myself)"), "{RADIUS|PAM} authentication
 * of 'ID' {failed|successful}", "XAuth pam_authenticate for 'U' failed: TEXT", "EAP-MS-CHAPv2
 * succeeded: 'TEXT'": on the way to what counts. */
static bool on_the_way(struct context *c, struct slice m)
{
	struct slice user, rest;
	bool failed;

	SAY(c, "authentication", "info", "vpn_login");
	if (TAKE(&m, "XAuth pam_authenticate for '") || TAKE(&m, "XAuth pam_acct_mgmt for '")) {
		return take_before_last(&m, SLICE_LIT("' failed: "), &user) &&
		       failure(c, user, "xauth", 0);
	}
	if (TAKE(&m, "authentication of '")) {
		c->e->outcome = OUTCOME_SUCCESS;
		rest = m;
		if (!take_before_last(&rest, SLICE_LIT("' with "), &user) ||
		    !ENDS(rest, " successful")) {
			return false;
		}
		set_user(c, user);
		return true;
	}
	if (!TAKE(&m, "RADIUS authentication of '") && !TAKE(&m, "PAM authentication of '")) {
		return false;
	}
	failed = TAKE_END(&m, "' failed");
	if (!failed && !TAKE_END(&m, "' successful")) {
		return false;
	}
	if (failed) {
		return failure(c, m, "eap", 0);
	}
	set_user(c, m);
	c->e->outcome = OUTCOME_SUCCESS;
	return true;
}

/* What ends a negotiation before anybody said who he is. */
static bool refused(struct context *c, struct slice m)
{
	static const struct slice words[] = {
		TEXT("no matching peer config found"),
		TEXT("no acceptable proposal found"),
		TEXT("received proposals unacceptable"),
		TEXT("received proposals inacceptable"),
		TEXT("no IKE config found for "),
		TEXT("no proposal found"),
		TEXT("authorization hook forbids IKE_SA"),
		TEXT("authorization forbids IKE_SA"),
		TEXT("peer certificate invalid ("),
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_starts(m, words[i])) {
			SAY(c, "network", "denied", "vpn_handshake");
			event_set(c->e, FIELD_EVENT_REASON, m);
			c->e->outcome = OUTCOME_FAILURE;
			if (c->slot != NULL) {
				slot_give(c->slot, c->e);
			}
			return true;
		}
	}
	return false;
}

static bool text(struct context *c, struct slice m)
{
	struct slice who, rest;

	if (TAKE(&m, "received packet: from ")) {
		return received(c, m);
	}
	if (TAKE(&m, "tried ")) {
		return wrong_secret(c, m);
	}
	if (TAKE(&m, "no shared key found for ")) {
		return no_secret(c, m);
	}
	if (TAKE(&m, "EAP method ")) {
		return eap(c, m);
	}
	if (HAS(m, "EAP-MS-CHAPv2 verification failed, retry (") ||
	    IS(m, "EAP-MD5 verification failed")) {
		/* Of MD5 the line of the method counts. */
		return failure(c, SLICE_NONE, "eap", HAS(m, "EAP-MD5") ? 0 : 1);
	}
	if (TAKE(&m, "no XAuth secret found for '")) {
		return take_before(&m, SLICE_LIT("' - '"), &who) && TAKE_END(&m, "'") &&
		       failure(c, m, "xauth", 0);
	}
	if (TAKE(&m, "XAuth authentication of '")) {
		return xauth(c, m);
	}
	if (HAS(m, "no trusted ")) {
		return take_before(&m, SLICE_LIT(" public key found for '"), &who) &&
		       TAKE_END(&m, "'") && failure(c, m, "certificate", 1);
	}
	if (TAKE(&m, "IKE_SA ")) {
		return sa(c, m, true);
	}
	if (TAKE(&m, "deleting IKE_SA ")) {
		return sa(c, m, false);
	}
	rest = m;
	if (take_word(&rest, &who) && HAS(rest, "is initiating a")) {
		SAY(c, "network", "start", "vpn_handshake");
		set_source(c, who);
		return event_has(c->e, FIELD_SOURCE_IP);
	}
	if (refused(c, m)) {
		return true;
	}
	event_reset(c->e);
	return on_the_way(c, m);
}

/* "07[IKE] [<NAME|3> ]TEXT" */
bool family_strongswan(struct context *c)
{
	struct slice m = c->m, thread, group, name;
	char id[] = "charon 00";

	if (!take_digits(&m, &thread) || !TAKE(&m, "[") || !take_until(&m, ']', &group) ||
	    !TAKE(&m, " ")) {
		return false;
	}
	if (TAKE(&m, "<") && (!take_until(&m, '>', &name) || !TAKE(&m, " "))) {
		return false;
	}
	if (thread.n == 2) {
		memcpy(id + 7, thread.p, 2);
		ctx_slot_id(c, SLOTS_OTHER, slice(id, 9));
	}
	return text(c, m);
}
