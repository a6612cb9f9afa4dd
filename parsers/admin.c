/* Web interfaces for administrators: cockpit, webmin and usermin.
 *
 * Source: cockpit 287 src/session/session.c, session-utils.c (warnx), src/ws/cockpitauth.c
 * (cockpit_auth_login_finish); PAM's lines of its service "cockpit" are in pam.c, and tell
 * of its logins.  webmin 2.1 miniserv.pl (handle_request, handle_login, and the main loop
 * for blocked hosts), syslog() under the name of its PAM service.
 *
 * webmin logs a name before it looks what is in it: blanks and " from " too.  The host comes
 * last, and holds no blank.
 */
#include "parsers/family.h"

/* "WORDS login as USER from HOST" */
static bool webmin_login(struct context *c, struct slice m, const char *reason)
{
	struct slice user;

	SAY(c, "authentication", "start", "web_login");
	if (!take_before_last(&m, SLICE_LIT(" from "), &user)) {
		return false;
	}
	set_user(c, user);
	set_source(c, m);
	if (reason == NULL) {
		say_success(c);
		return true;
	}
	event_set(c->e, FIELD_EVENT_REASON, slice_str(reason));
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

/* "Host HOST blocked after N failed logins for user USER", "User USER blocked after N
 * failed logins" */
static bool webmin_alert(struct context *c, struct slice m)
{
	struct slice host, digits;

	SAY(c, "authentication", "denied", "web_blocked");
	if (TAKE(&m, "User ")) {
		if (!TAKE_END(&m, " failed logins") || !take_last_digits(&m, &digits) ||
		    !TAKE_END(&m, " blocked after ")) {
			return false;
		}
		set_user(c, m);
		return true;
	}
	if (!TAKE(&m, "Host ") || !take_word(&m, &host) || !TAKE(&m, "blocked after ") ||
	    !take_digits(&m, &digits) || !TAKE(&m, " failed logins for user ")) {
		return false;
	}
	set_source(c, host);
	set_user(c, m);
	return true;
}

bool family_webmin(struct context *c)
{
	struct slice m = c->m, user;

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (TAKE(&m, "Successful login as ")) {
		return webmin_login(c, m, NULL);
	}
	if (TAKE(&m, "Invalid login as ")) {
		return webmin_login(c, m, "wrong password");
	}
	if (TAKE(&m, "Non-existent login as ")) {
		return webmin_login(c, m, "unknown user");
	}
	if (TAKE(&m, "Expired login as ")) {
		return webmin_login(c, m, "password expired");
	}
	if (TAKE(&m, "Logout by ")) {
		SAY(c, "session", "end", "session_closed");
		if (!take_before_last(&m, SLICE_LIT(" from "), &user)) {
			return false;
		}
		set_user(c, user);
		set_source(c, m);
		return true;
	}
	if (TAKE(&m, "Security alert: ")) {
		return webmin_alert(c, m);
	}
	if (IS(m, "Webmin starting") || IS(m, "Usermin starting") ||
	    ENDS(m, " reloaded configuration")) {
		SAY(c, "process", "start", "web_started");
		return true;
	}
	return false;
}

/* "user account access failed: 7 NAME: TEXT": PAM's line counted it. */
static bool cockpit_refusal(struct context *c, struct slice m)
{
	struct slice user, code;

	SAY(c, "authentication", "info", "web_login");
	c->e->outcome = OUTCOME_FAILURE;
	if (TAKE(&m, "user account access failed: ")) {
		if (!take_digits(&m, &code) || !TAKE(&m, " ")) {
			return false;
		}
	} else if (!TAKE(&m, "user account or password has expired: ")) {
		return false;
	}
	if (!take_before_last(&m, SLICE_LIT(": "), &user)) {
		return false;
	}
	set_user(c, user);
	event_set(c->e, FIELD_EVENT_REASON, m);
	return true;
}

bool family_cockpit(struct context *c)
{
	struct slice m = c->m, id;

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	TAKE(&m, "cockpit-session: ");
	if (TAKE(&m, "User ") && take_before_last(&m, SLICE_LIT(" logged into session "), &id)) {
		SAY(c, "session", "start", "session_opened");
		set_user(c, id);
		c->e->outcome = OUTCOME_SUCCESS;
		return true;
	}
	if (HAS(m, "Request dropped; too many startup connections: ")) {
		SAY(c, "network", "denied", "web_dropped");
		return true;
	}
	return cockpit_refusal(c, m);
}
