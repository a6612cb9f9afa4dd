/* vsftpd, proftpd, pure-ftpd, wu-ftpd and BSD's ftpd.
 *
 * ProFTPD was read; the others are from knowledge of the format, to be checked in:
 * vsftpd 3.0 logging.c (vsf_log_do_log_vsftpd_format), in its own file ("Mon Oct
 * 24 11:32:53 2016 [pid 1] [USER] FAIL LOGIN: ...") or through syslog; proftpd 1.3.8
 * modules/mod_auth.c and src/log.c, "HOST (NAME[ADDRESS]): " of 1.2 and "... - " since;
 * pure-ftpd src/messages_en.h and ftpd.c (logfile); wu-ftpd 2.6 src/ftpd.c; krb5's
 * gssftpd.
 *
 * A client names any user it likes; the daemons put no quotes around it.
 */
#include "parsers/family.h"

static bool attempt(struct context *c, bool success, enum count kind)
{
	SAY(c, "authentication", "start", "ftp_login");
	if (success) {
		say_success(c);
	} else {
		say_failure(c, kind, 1);
	}
	return true;
}

/* ---- vsftpd ---- */

/* "ADDRESS"[, ...] behind `Client "` */
static bool set_client(struct context *c, struct slice m)
{
	struct slice address;

	if (!take_until(&m, '"', &address)) {
		return false;
	}
	set_source(c, address);
	return true;
}

/* "[USER] FAIL LOGIN: Client "ADDRESS"[, "TEXT"]"; the user of a failure is the
 * attacker's, so the last of these words are the daemon's. */
static bool vsftpd_failed(struct context *c, struct slice m)
{
	struct slice user;

	if (!take_before_last(&m, SLICE_LIT("] FAIL LOGIN: Client \""), &user) ||
	    !set_client(c, m)) {
		return false;
	}
	set_user(c, user);
	ctx_slot(c, SLOTS_OTHER);
	return attempt(c, false, COUNT_DAEMON);
}

static bool vsftpd(struct context *c, struct slice m)
{
	struct slice digits, user, text;

	if (TAKE(&m, "[pid ") &&
	    (!take_digits(&m, &digits) || !TAKE(&m, "] "))) {
		return false;
	}
	if (TAKE(&m, "CONNECT: Client \"")) {
		SAY(c, "network", "start", "ftp_connection");
		return set_client(c, m);
	}
	if (!TAKE(&m, "[")) {
		return false;
	}
	if (vsftpd_failed(c, m)) {
		return true;
	}
	if (!take_until(&m, ']', &user) || !TAKE(&m, " ")) {
		return false;
	}
	set_user(c, user);
	if (TAKE(&m, "OK LOGIN: Client \"")) {
		return set_client(c, m) && attempt(c, true, COUNT_DAEMON);
	}
	/* `FTP response: Client "ADDRESS", "530 ..."` */
	if (TAKE(&m, "FTP response: Client \"")) {
		text = m;
		if (!set_client(c, m) ||
		    !take_before(&text, SLICE_LIT("\", \""), &user)) {
			return false;
		}
		if (HAS(text, "530 ")) {
			event_set(c->e, FIELD_EVENT_REASON,
				  slice_head(text, text.n - 1));
			ctx_slot(c, SLOTS_OTHER);
			return attempt(c, false, COUNT_FLOOR);
		}
		SAY(c, "network", "info", "ftp_response");
		return true;
	}
	return false;
}

/* ---- proftpd ---- */

static bool proftpd_user(struct context *c, struct slice m, bool anonymous)
{
	struct slice user, rest = m;
	bool success = false;

	if (TAKE_END(&m, ": Login successful.")) {
		user = m;
		success = true;
	} else if (take_before_last(&rest, SLICE_LIT(" (Login failed): "),
				    &user)) {
		TAKE_END(&rest, ".");
		event_set(c->e, FIELD_EVENT_REASON, rest);
	} else if (take_before_last(&rest, SLICE_LIT(": no such user found from "),
				    &user)) {
		SET(c, EVENT_REASON, "no such user found");
	} else if (TAKE_END(&m, ": Limit access denies login") ||
		   TAKE_END(&m, ": AnonRejectPasswords denies login")) {
		user = m;
		SET(c, EVENT_REASON, "denied");
	} else {
		return false;
	}
	if (anonymous) {
		SET(c, AUTH_METHOD, "anonymous");
	}
	set_user(c, user);
	return attempt(c, success, COUNT_DAEMON);
}

/* "HOST (NAME[ADDRESS]){: | - }TEXT" */
static bool proftpd(struct context *c, struct slice m)
{
	struct slice host, name, address, user;

	if (!take_word(&m, &host) || !TAKE(&m, "(") ||
	    !take_until(&m, '[', &name) || !take_until(&m, ']', &address) ||
	    !TAKE(&m, ")") || (!TAKE(&m, ": ") && !TAKE(&m, " - "))) {
		return false;
	}
	set_source(c, address);
	m = slice_trim(m);
	ctx_slot(c, SLOTS_OTHER);
	if (TAKE(&m, "USER ")) {
		return proftpd_user(c, m, false);
	}
	if (TAKE(&m, "ANON ")) {
		return proftpd_user(c, m, true);
	}
	if (TAKE(&m, "SECURITY VIOLATION: ")) {
		SET(c, EVENT_REASON, "root login attempted");
		if (!take_word(&m, &user)) {
			return false;
		}
		set_user(c, user);
		return attempt(c, false, COUNT_FLOOR);
	}
	if (HAS(m, "Maximum login attempts (")) {
		SET(c, EVENT_REASON, "maximum login attempts exceeded");
		return attempt(c, false, COUNT_FLOOR);
	}
	if (TAKE(&m, "Refusing empty password from user '")) {
		TAKE_END(&m, "'");
		set_user(c, m);
		return attempt(c, false, COUNT_DAEMON);
	}
	if (HAS(m, "FTP session opened")) {
		SAY(c, "network", "start", "ftp_connection");
		return true;
	}
	if (HAS(m, "FTP session closed")) {
		SAY(c, "network", "end", "ftp_connection");
		return true;
	}
	return false;
}

/* ---- pure-ftpd ---- */

/* "(USER@HOST) [LEVEL] TEXT" */
static bool pure_ftpd(struct context *c, struct slice m)
{
	struct slice who, level, user;

	if (!TAKE(&m, "(") || !take_before(&m, SLICE_LIT(") ["), &who) ||
	    !take_until(&m, ']', &level) || !TAKE(&m, " ")) {
		return false;
	}
	user = who;
	if (take_last(&who, '@', &level)) {
		user = who;
		set_source(c, level);
	}
	if (!IS(user, "?")) {
		set_user(c, user);
	}
	if (TAKE(&m, "Authentication failed for user [")) {
		if (!TAKE_END(&m, "]")) {
			return false;
		}
		set_user(c, m);
		ctx_slot(c, SLOTS_OTHER);
		return attempt(c, false, COUNT_DAEMON);
	}
	if (TAKE_END(&m, " is now logged in")) {
		set_user(c, m);
		return attempt(c, true, COUNT_DAEMON);
	}
	if (HAS(m, "New connection from ")) {
		SAY(c, "network", "start", "ftp_connection");
		return true;
	}
	if (HAS(m, "Logout.")) {
		SAY(c, "session", "end", "session_closed");
		return true;
	}
	return false;
}

/* ---- others ---- */

/* "NAME [ADDRESS]", "ADDRESS (NAME)", "NAME" */
static void set_host(struct context *c, struct slice m)
{
	struct slice name, address;

	if (TAKE_END(&m, "]") && take_last(&m, '[', &address)) {
		set_source(c, address);
	} else if (take_word(&m, &name)) {
		set_source(c, name);
	}
}

static bool bsd_ftpd(struct context *c, struct slice m)
{
	struct slice host;

	if (TAKE(&m, "failed login from ") ||
	    TAKE(&m, "repeated login failures from ")) {
		set_host(c, m);
		ctx_slot(c, SLOTS_OTHER);
		return attempt(c, false,
			       HAS(c->m, "repeated") ? COUNT_FLOOR
						     : COUNT_DAEMON);
	}
	if (TAKE(&m, "FTP LOGIN FAILED FROM ")) {
		if (!take_before(&m, SLICE_LIT(", "), &host)) {
			return false;
		}
		set_host(c, host);
		set_user(c, m);
		return attempt(c, false, COUNT_DAEMON);
	}
	if (TAKE(&m, "FTP LOGIN FROM ")) {
		if (!take_before(&m, SLICE_LIT(" as "), &host) &&
		    !take_before(&m, SLICE_LIT(", "), &host)) {
			return false;
		}
		set_host(c, host);
		set_user(c, m);
		return attempt(c, true, COUNT_DAEMON);
	}
	return false;
}

bool family_ftp(struct context *c)
{
	struct slice program = c->h->program;

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (IS(program, "proftpd")) {
		return proftpd(c, c->m);
	}
	if (IS(program, "pure-ftpd")) {
		return pure_ftpd(c, c->m);
	}
	if (IS(program, "vsftpd") || program.n == 0) {
		return vsftpd(c, c->m);
	}
	return bsd_ftpd(c, c->m);
}
