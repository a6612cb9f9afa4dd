/* dropbear.
 *
 * Source: dropbear 2022.83 svr-auth.c, svr-authpasswd.c, svr-authpubkey.c, svr-authpam.c,
 * svr-session.c (svr_dropbear_exit, svr_dropbear_log), svr-main.c, svr-chansession.c;
 * 2019.78 and before for "Exit before auth (user 'root', 10 fails): ..." without the
 * address and lower-case beginnings (0.4x); Teltonika's patch ("for USER on SSH from
 * ADDRESS:PORT", no quotes).
 *
 * The name of a user that does not exist is never logged; the others exist, so that
 * only their quotes matter.
 */
#include "parsers/family.h"

/* "192.0.2.1:5543", "::ffff:192.0.2.1:60495", "[2001:db8::1]:22" */
static bool set_endpoint(struct context *c, struct slice s)
{
	struct slice port;

	if (!take_last(&s, ':', &port) || slice_digits(port) != port.n) {
		return false;
	}
	set_source(c, s);
	set_port(c, port);
	return event_has(c->e, FIELD_SOURCE_IP) ||
	       event_has(c->e, FIELD_SOURCE_ADDRESS);
}

/* "'USER'" or, patched, "USER on SSH" */
static struct slice user_of(struct slice s)
{
	TAKE_END(&s, " on SSH");
	if (s.n >= 2 && s.p[0] == '\'' && s.p[s.n - 1] == '\'') {
		s = slice(s.p + 1, s.n - 2);
	}
	return s;
}

/* "USER[ with TYPE key FINGERPRINT] from ENDPOINT[, extra auth required]" */
static bool attempt(struct context *c, struct slice m, const char *method,
		    bool success)
{
	struct slice who, user, key, type;
	bool partial = TAKE_END(&m, ", extra auth required");

	if (!take_before_last(&m, SLICE_LIT(" from "), &who) ||
	    !set_endpoint(c, m)) {
		return false;
	}
	SAY(c, "authentication", "start", "ssh_login");
	event_set(c->e, FIELD_AUTH_METHOD, slice_str(method));
	key = who;
	if (take_before_last(&key, SLICE_LIT("' with "), &user)) {
		who = slice(who.p, user.n + 1);
		if (!TAKE(&key, "key ") && take_word(&key, &type)) {
			event_set(c->e, FIELD_KEY_TYPE, type);
			TAKE(&key, "key ");
		}
		event_set(c->e, FIELD_KEY_FINGERPRINT, key);
	}
	set_user(c, user_of(who));
	if (partial) {
		say_pending(c);
	} else if (success) {
		say_success(c);
	} else {
		say_failure(c, COUNT_DAEMON, 1);
	}
	if (c->slot != NULL) {
		slot_keep(c->slot, c->e);
	}
	return true;
}

/* "Login attempt for nonexistent user[ from ENDPOINT]" */
static bool nonexistent(struct context *c, struct slice m)
{
	SAY(c, "authentication", "start", "ssh_login");
	SET(c, EVENT_REASON, "invalid user");
	if (TAKE(&m, " from ")) {
		if (!set_endpoint(c, m)) {
			return false;
		}
	} else if (c->slot != NULL) {
		slot_give(c->slot, c->e); /* "Child connection from" told it */
	}
	say_failure(c, COUNT_DAEMON, 1);
	if (c->slot != NULL) {
		slot_keep(c->slot, c->e);
	}
	return true;
}

/* "(user 'NAME', N fails)" in front of ": " */
static bool take_fails(struct slice *m, struct slice *user, uint64_t *n)
{
	struct slice t = *m, digits;

	if (!TAKE(&t, "(user '") || !take_before(&t, SLICE_LIT("', "), user) ||
	    !take_digits(&t, &digits) || !slice_to_u64(digits, 1000, n) ||
	    !TAKE(&t, " fails)")) {
		return false;
	}
	*m = t;
	return true;
}

/* "[ from <ENDPOINT>]: [(user 'NAME', N fails): ]REASON", before 2020 "[ (user ..)]:
 * REASON[ from ENDPOINT]" */
static bool exit_before_auth(struct context *c, struct slice m)
{
	struct slice endpoint = SLICE_NONE, user = SLICE_NONE, name = SLICE_NONE;
	struct slice rest;
	uint64_t fails = 0;
	bool tries;

	if (TAKE(&m, " from <") && !take_until(&m, '>', &endpoint)) {
		return false;
	}
	if (TAKE(&m, " ")) {
		if (!take_fails(&m, &user, &fails) || !TAKE(&m, ": ")) {
			return false;
		}
	} else if (!TAKE(&m, ": ")) {
		return false;
	} else if (take_fails(&m, &user, &fails) && !TAKE(&m, ": ")) {
		return false;
	}
	rest = m;
	if (endpoint.p == NULL &&
	    take_before_last(&rest, SLICE_LIT(" from "), &name)) {
		endpoint = rest;
		m = name;
	}
	if (endpoint.p != NULL) {
		set_endpoint(c, endpoint);
	}
	event_set(c->e, FIELD_EVENT_REASON, m);
	tries = HAS(m, "Max auth tries reached");
	if (user.p != NULL) {
		set_user(c, user);
	}
	if (c->slot != NULL) {
		slot_give(c->slot, c->e);
	}
	if (tries || fails > 0) {
		SAY(c, "authentication", "end", "ssh_login");
		say_failure(c, COUNT_SUMMARY, fails > 0 ? (uint32_t)fails : 1);
	} else if (user.p != NULL) {
		/* It named a user and left without failing. */
		SAY(c, "authentication", "end", "ssh_login");
		say_failure(c, COUNT_FLOOR, 1);
	} else {
		SAY(c, "network", "end", "ssh_disconnect");
	}
	return true;
}

static bool exit_line(struct context *c, struct slice m)
{
	struct slice user, endpoint;

	if (TAKE(&m, "before auth")) {
		return exit_before_auth(c, m);
	}
	if (!TAKE(&m, "(") || !take_until(&m, ')', &user)) {
		return false;
	}
	SAY(c, "session", "end", "ssh_session");
	set_user(c, user);
	if (TAKE(&m, " from <") && take_until(&m, '>', &endpoint)) {
		set_endpoint(c, endpoint);
	}
	if (TAKE(&m, ": ")) {
		event_set(c->e, FIELD_EVENT_REASON, m);
	}
	return true;
}

/* A login refused for what the account is: its name stands in quotes. */
static bool account_refused(struct context *c, struct slice m,
			    struct slice tail)
{
	struct slice user = m;

	if (!slice_ends(user, tail)) {
		return false;
	}
	user.n -= tail.n;
	SAY(c, "authentication", "start", "ssh_login");
	if (tail.n > 0) {
		event_set(c->e, FIELD_EVENT_REASON, slice_skip(tail, 1));
	}
	set_user(c, user_of(user));
	if (c->slot != NULL) {
		slot_give(c->slot, c->e);
	}
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

/* The daemon itself, not a connection. */
static bool daemon_line(struct context *c, struct slice m)
{
	if (IS(m, "Not backgrounding") || IS(m, "Running in background")) {
		SAY(c, "process", "start", "ssh_listening");
		return true;
	}
	if (HAS(m, "Early exit: Terminated by signal")) {
		SAY(c, "process", "end", "ssh_stopped");
		return true;
	}
	return false;
}

/* "Logins are restricted to the group G but user 'U' is not a member" */
static bool not_a_member(struct context *c, struct slice m)
{
	struct slice group;

	return take_before(&m, SLICE_LIT(" but user "), &group) &&
	       account_refused(c, m, SLICE_LIT(" is not a member"));
}

static bool account_line(struct context *c, struct slice m)
{
	if (TAKE(&m, "Logins are restricted to the group ")) {
		return not_a_member(c, m);
	}
	if (TAKE(&m, "Login attempt with wrong user ")) {
		return account_refused(c, m, SLICE_NONE);
	}
	if (TAKE(&m, "User account ")) {
		return account_refused(c, m, SLICE_LIT(" is locked"));
	}
	if (TAKE(&m, "User ")) {
		struct slice user, command = m;

		if (take_before(&command, SLICE_LIT(" executing '"), &user)) {
			SAY(c, "process", "start", "ssh_session_command");
			set_user(c, user);
			TAKE_END(&command, "'");
			event_set(c->e, FIELD_PROCESS_COMMAND_LINE, command);
			return true;
		}
		return account_refused(c, m,
				       SLICE_LIT(" has blank password, rejected")) ||
		       account_refused(c, m,
				       SLICE_LIT(" has invalid shell, rejected"));
	}
	return false;
}

/* "[825] Jul 10 23:53:52 " when it logs to standard error. */
static void skip_own_stamp(struct slice *m)
{
	struct slice t = *m, digits;

	if (TAKE(&t, "[") && take_digits(&t, &digits) && TAKE(&t, "] ") &&
	    t.n > 16 && t.p[15] == ' ' && t.p[9] == ':' && t.p[12] == ':') {
		*m = slice_skip(t, 16);
	}
}

static bool first_letter_any_case(struct slice *m, char c, struct slice rest)
{
	struct slice t = *m;

	if (t.n == 0 || (t.p[0] | 0x20) != c ||
	    !slice_starts(slice_skip(t, 1), rest)) {
		return false;
	}
	*m = slice_skip(t, 1 + rest.n);
	return true;
}

bool family_dropbear(struct context *c)
{
	struct slice m = c->m;

	if (pam_message(c, SLOTS_DROPBEAR)) {
		return true;
	}
	ctx_slot(c, SLOTS_DROPBEAR);
	skip_own_stamp(&m);
	if (first_letter_any_case(&m, 'b',
				  SLICE_LIT("ad password attempt for ")) ||
	    TAKE(&m, "Bad PAM password attempt for ") ||
	    TAKE(&m, "Too-long password attempt for ")) {
		return attempt(c, m, "password", false);
	}
	if (first_letter_any_case(&m, 'p',
				  SLICE_LIT("assword auth succeeded for ")) ||
	    TAKE(&m, "PAM password auth succeeded for ") ||
	    TAKE(&m, "Auth succeeded with blank password for ")) {
		return attempt(c, m, "password", true);
	}
	if (first_letter_any_case(&m, 'p',
				  SLICE_LIT("ubkey auth succeeded for "))) {
		return attempt(c, m, "publickey", true);
	}
	if (TAKE(&m, "Pubkey auth bad signature for ")) {
		return attempt(c, m, "publickey", false);
	}
	if (first_letter_any_case(&m, 'l', SLICE_LIT("ogin attempt for "
						     "nonexistent user"))) {
		return nonexistent(c, m);
	}
	if (first_letter_any_case(&m, 'e', SLICE_LIT("xit "))) {
		return exit_line(c, m);
	}
	if (TAKE(&m, "Child connection from ") ||
	    TAKE(&m, "Early exit from <")) {
		SAY(c, "network", "start", "ssh_connection");
		if (c->slot != NULL && HAS(c->m, "Child")) {
			slot_again(c->slot);
			c->slot->user_n = c->slot->address_n = 0;
		}
		m = slice_head(m, slice_find(m, SLICE_LIT(">")));
		if (!set_endpoint(c, m)) {
			return false;
		}
		if (c->slot != NULL) {
			slot_keep(c->slot, c->e);
		}
		return true;
	}
	if (IS(m, "root login rejected")) {
		SAY(c, "authentication", "start", "ssh_login");
		SET(c, EVENT_REASON, "root login rejected");
		set_user(c, SLICE_LIT("root"));
		if (c->slot != NULL) {
			slot_give(c->slot, c->e);
		}
		say_failure(c, COUNT_DAEMON, 1);
		return true;
	}
	return account_line(c, m) || daemon_line(c, m);
}
