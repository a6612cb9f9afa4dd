/* sshd: what it says of keys, certificates and trusted hosts before an attempt is over.
 *
 * Source: OpenSSH 9.2p1 auth2-pubkey.c (the signature's flags, check_principals_line),
 * auth2-pubkeyfile.c (auth_authorise_keyopts, auth_check_authkey_line), auth2-hostbased.c,
 * auth-rhosts.c, auth.c (auth_key_is_revoked), sshkey.c (sshkey_cert_check_authority), and
 * 5.x to 7.x where these lines began otherwise.
 *
 * These come from lines of configuration, key files and keys that fit; of names only those of
 * existing users are in them, but for the first.
 */
#include "parsers/sshd.h"

static void keep(struct context *c)
{
	if (c->slot != NULL) {
		slot_keep(c->slot, c->e);
	}
}

/* The attempt's end is another line; who fails is known. */
static bool refused_so_far(struct context *c, struct slice method)
{
	SAY(c, "authentication", "info", "ssh_login");
	event_set(c->e, FIELD_AUTH_METHOD, method);
	event_set(c->e, FIELD_EVENT_REASON, c->m);
	say_pending(c);
	c->e->outcome = OUTCOME_FAILURE;
	if (c->slot != NULL) {
		slot_give(c->slot, c->e);
	}
	return true;
}

/* "public key TYPE FINGERPRINT signature for [invalid user ]USER from ADDRESS port N rejected:
 * user presence (authenticator touch) requirement not met" */
static bool signature_rejected(struct context *c, struct slice m)
{
	struct ssh_origin o;
	struct slice head;

	if (!TAKE_END(&m, " requirement not met") ||
	    !take_before_last(&m, SLICE_LIT(" rejected: user "), &head) ||
	    !take_before(&head, SLICE_LIT(" signature for "), &m) ||
	    !ssh_take_from(head, &o)) {
		return false;
	}
	TAKE(&o.user, "invalid user ");
	set_user(c, o.user);
	ssh_set_origin(c, &o);
	refused_so_far(c, SLICE_LIT("publickey"));
	keep(c);
	return true;
}

/* "USER with correct key but not from a permitted host (host=H, ip=A[, required=PATTERNS])[.]",
 * "USER with valid certificate but not from a permitted source address (A)." */
static bool wrong_host(struct context *c, struct slice m)
{
	struct slice user, rest;

	TAKE_END(&m, ".");
	if (!TAKE_END(&m, ")") || !take_before(&m, SLICE_LIT(" with "), &user)) {
		return false;
	}
	if (!TAKE(&m, "valid certificate but not from a permitted source address (")) {
		if (!TAKE(&m, "correct key but not from a permitted host (host=") ||
		    !take_before_last(&m, SLICE_LIT(", ip="), &rest)) {
			return false;
		}
		if (take_before(&m, SLICE_LIT(", required="), &rest)) {
			m = rest;
		}
	}
	SAY(c, "authentication", "start", "ssh_login");
	SET(c, AUTH_METHOD, "publickey");
	SET(c, EVENT_REASON, "not from a permitted host");
	set_user(c, user);
	set_source(c, m);
	say_failure(c, COUNT_FLOOR, 1);
	keep(c);
	return true;
}

bool ssh_key_found(struct context *c)
{
	SAY(c, "authentication", "info", "ssh_login");
	SET(c, AUTH_METHOD, "publickey");
	event_set(c->e, FIELD_EVENT_REASON, c->m);
	if (c->slot != NULL) {
		slot_give(c->slot, c->e);
	}
	return true;
}

/* How lines begin that refuse a key, in the order of where they come from. */
static const struct slice refusals[] = {
	TEXT("userauth_pubkey: "),
	TEXT("Certificate invalid: "),
	TEXT("Certificate lacks principal list"),
	TEXT("Certificate does not contain an authorized principal"),
	TEXT("Refused Certificate ID "),
	TEXT("Refusing RSA key because "),
	TEXT("Authentication refused: "),
	TEXT("Authentication refused for "),
	TEXT("Authentication key "),
	TEXT("WARNING: revoked key for "),
	TEXT("WARNING: authentication attempt with revoked "),
};

bool ssh_key_line(struct context *c, struct slice m)
{
	struct slice where, rest = m;

	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		if (slice_starts(m, refusals[i])) {
			return refused_so_far(c, SLICE_LIT("publickey"));
		}
	}
	if (HAS(m, "userauth_hostbased: ") || HAS(m, "userauth_hostbased mismatch: ") ||
	    HAS(m, "Rhosts authentication refused for ")) {
		return refused_so_far(c, SLICE_LIT("hostbased"));
	}
	if (TAKE(&rest, "public key ")) {
		return signature_rejected(c, rest);
	}
	/* Since 7.6 with the place of the option in front: "FILE:LINE: ". */
	if (!HAS(m, "Authentication tried for ") &&
	    (!take_word(&rest, &where) || !ENDS(where, ":"))) {
		return false;
	}
	return TAKE(&rest, "Authentication tried for ") && wrong_host(c, rest);
}
