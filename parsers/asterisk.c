/* Asterisk: who could not, and who could, log in, through syslog and in its own files.
 *
 * Source: asterisk 22.10.1 main/logger.c (format_log_default, format_log_plain),
 * res/res_security_log.c, main/security_events.c, res/res_pjsip/pjsip_distributor.c
 * (log_failed_request), main/manager.c (authenticate, action_login).  Of chan_sip, which it has
 * no more, by the form of its lines.
 *
 * A caller chooses his account's name, and the Call-ID, which may hold anything but a line's
 * end: so what stands between these is believed where it stands in the line once, and
 * otherwise nobody is named.
 */
#include "parsers/family.h"

/* "[DATE] " of a file, "LEVEL[7]", "[C-00000001]" inside of a call, ": " or, by the default format
 * for files, " "; then "FILE" and, but for that format, ":LINE in FUNCTION" (syslog) or
 * ":LINE FUNCTION".  Behind the ": " that ends it stands the message. */
static bool take_head(struct slice *m, struct slice *file)
{
	struct slice word;

	if (TAKE(m, "[") && (!take_until(m, ']', &word) || !take_char(m, ' '))) {
		return false;
	}
	if (!take_until(m, '[', &word) || (!IS(word, "NOTICE") && !IS(word, "SECURITY")) ||
	    !take_digits(m, &word) || !take_char(m, ']')) {
		return false;
	}
	if (TAKE(m, "[C-") && !take_until(m, ']', &word)) {
		return false;
	}
	TAKE(m, ":");
	if (!take_char(m, ' ') || !take_until(m, ':', file)) {
		return false;
	}
	if (take_char(m, ' ')) {
		return true;
	}
	if (!take_digits(m, &word) || !take_char(m, ' ')) {
		return false;
	}
	TAKE(m, "in ");
	return take_until(m, ':', &word) && memchr(word.p, ' ', word.n) == NULL &&
	       take_char(m, ' ');
}

/* Cuts m at a text that stands in it once. */
static bool take_once(struct slice *m, struct slice text, struct slice *before)
{
	struct slice rest = *m, first;

	if (!take_before(&rest, text, &first) || slice_find(rest, text) != SIZE_MAX) {
		return false;
	}
	*before = first;
	*m = rest;
	return true;
}

/* "192.0.2.1:5060", "[2001:db8::1]:5060", an address alone; what is none names nobody. */
static void set_client(struct context *c, struct slice client)
{
	struct slice address = client, port;

	if (take_last(&address, ':', &port) && slice_digits(port) == port.n &&
	    (ENDS(address, "]") || slice_chr(address, ':') == SIZE_MAX)) {
		if (TAKE(&address, "[")) {
			TAKE_END(&address, "]");
		}
		set_source(c, address);
		set_port(c, port);
		return;
	}
	set_source(c, client);
}

static void say_start(struct context *c, struct slice method)
{
	SAY(c, "authentication", "start", "voip_login");
	if (method.n > 0) {
		event_set(c->e, FIELD_AUTH_METHOD, method);
	}
}

/* The security log and NOTICE tell of one attempt: the Call-ID joins them. */
static void find_attempt(struct context *c, struct slice call)
{
	enum { ENOUGH = 10000 }; /* a telephone keeps its Call-ID, and a slot's counts end */

	if (call.n == 0) {
		return;
	}
	ctx_slot_id(c, SLOTS_ASTERISK, call);
	if (c->slot->counted >= ENOUGH) {
		slot_again(c->slot);
	}
}

/* "100" <sip:100@192.0.2.254>: 100.  What is not of that form is told whole. */
static struct slice sip_user(struct slice uri)
{
	struct slice rest = uri, user;
	size_t at = slice_rfind(uri, SLICE_LIT("<sip"));

	if (at == SIZE_MAX || !TAKE_END(&rest, ">")) {
		return uri;
	}
	rest = slice_skip(rest, at + 4);
	TAKE(&rest, "s");
	return TAKE(&rest, ":") && take_before_last(&rest, SLICE_LIT("@"), &user) ? user : uri;
}

/* chan_sip: "Registration from 'URI' failed for 'A:P' - REASON" */
static bool registration(struct context *c, struct slice m)
{
	struct slice user, client;

	if (!take_before_last(&m, SLICE_LIT("' failed for '"), &user) ||
	    !take_until(&m, '\'', &client) || !TAKE(&m, " - ") ||
	    slice_chr(m, '\'') != SIZE_MAX) {
		return false;
	}
	say_start(c, SLICE_LIT("digest"));
	set_user(c, user);
	set_client(c, client);
	event_set(c->e, FIELD_EVENT_REASON, m);
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

/* Of a line that was cut off nobody can tell whose words its last ones are. */
static bool is_whole(struct slice m)
{
	return ENDS(m, ") - No matching endpoint found") || ENDS(m, ") - Failed to authenticate") ||
	       ENDS(m, ") - Error to authenticate") || ENDS(m, " ms");
}

/* chan_pjsip: "Request 'METHOD' from 'URI' failed for 'A:P' (callid: ID) - REASON", where an
 * unknown caller makes two: no such endpoint, and, once he is challenged, a wrong password. */
static bool request(struct context *c, struct slice m)
{
	struct slice method, uri, client, call = SLICE_NONE;
	enum count kind = COUNT_DAEMON;

	if (!take_until(&m, '\'', &method) || !TAKE(&m, " from '") ||
	    slice_find(m, SLICE_LIT("' failed for '")) == SIZE_MAX) {
		return false;
	}
	say_start(c, SLICE_LIT("digest"));
	if (is_whole(m) && take_once(&m, SLICE_LIT("' failed for '"), &uri) &&
	    take_before(&m, SLICE_LIT("' (callid: "), &client)) {
		set_user(c, sip_user(uri));
		set_client(c, client);
		if (take_before_last(&m, SLICE_LIT(") - "), &call)) {
			event_set(c->e, FIELD_EVENT_REASON, m);
		}
	}
	if (HAS(m, "No matching endpoint found")) {
		kind = COUNT_PAM_OTHER;
	}
	find_attempt(c, call);
	say_failure(c, kind, 1);
	return true;
}

/* "A failed to authenticate as 'USER'" and its like, of the manager interface. */
static bool manager(struct context *c, struct slice m)
{
	struct slice client, user = m;

	if (!take_word(&user, &client) || !TAKE_END(&user, "'") ||
	    !(TAKE(&user, "failed to authenticate as '") ||
	      TAKE(&user, "tried to authenticate with nonexistent user '") ||
	      TAKE(&user, "failed to pass IP ACL as '"))) {
		return false;
	}
	say_start(c, SLICE_LIT("password"));
	set_user(c, user);
	set_source(c, client);
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

/* Behind "LocalAddress=\"..\",": "RemoteAddress=\"IPV4/UDP/192.0.2.1/4711\"" */
static bool take_remote(struct slice *m, struct slice *client, struct slice *port)
{
	struct slice word;

	return take_until(m, '"', &word) && TAKE(m, ",RemoteAddress=\"") &&
	       take_until(m, '"', client) && take_until(client, '/', &word) &&
	       take_until(client, '/', &word) && take_last(client, '/', port);
}

/* "SecurityEvent="InvalidPassword",..,AccountID="100",SessionID="..",LocalAddress="..",
 * RemoteAddress="..",.."; of other events nobody is told to have failed. */
static bool security(struct context *c, struct slice m)
{
	struct slice what, user, call, client, port, before;
	bool success;

	if (!TAKE(&m, "SecurityEvent=\"") || !take_until(&m, '"', &what)) {
		return false;
	}
	success = IS(what, "SuccessfulAuth");
	if (!success && !IS(what, "InvalidAccountID") && !IS(what, "InvalidPassword") &&
	    !IS(what, "ChallengeResponseFailed") && !IS(what, "FailedACL")) {
		return false;
	}
	say_start(c, SLICE_LIT("password"));
	call = SLICE_NONE;
	if (take_once(&m, SLICE_LIT("\",LocalAddress=\""), &before) &&
	    take_remote(&m, &client, &port)) {
		set_source(c, client);
		set_port(c, port);
		if (take_once(&before, SLICE_LIT(",AccountID=\""), &user) &&
		    take_until(&before, '"', &user) && TAKE(&before, ",SessionID=\"")) {
			set_user(c, user);
			call = before;
		}
	}
	if (success) {
		say_success(c);
		return true;
	}
	event_set(c->e, FIELD_EVENT_REASON, what);
	find_attempt(c, call);
	say_failure(c, IS(what, "InvalidAccountID") ? COUNT_PAM : COUNT_SUMMARY, 1);
	return true;
}

bool asterisk_line(struct context *c, struct slice m)
{
	struct slice file;

	if (!take_head(&m, &file)) {
		return false;
	}
	if (IS(file, "res_security_log.c")) {
		return security(c, m);
	}
	if (IS(file, "chan_sip.c")) {
		return TAKE(&m, "Registration from '") && registration(c, m);
	}
	if (IS(file, "res_pjsip/pjsip_distributor.c")) {
		return TAKE(&m, "Request '") && request(c, m);
	}
	return IS(file, "manager.c") && manager(c, m);
}
