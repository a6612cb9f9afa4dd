/* vsftpd, proftpd, pure-ftpd, wu-ftpd and BSD's ftpd.
 *
 * Source: vsftpd 3.0.5 logging.c (vsf_log_do_log_vsftpd_format), in its own file ("Mon
 * Oct 24 11:32:53 2016 [pid 1] [USER] FAIL LOGIN: ...") or through syslog, and prelogin.c,
 * postlogin.c for what it is called with, Fedora's patches for refusals; proftpd 1.3.8
 * modules/mod_auth.c and src/log.c, "HOST (NAME[ADDRESS]): " of 1.2 and "... - " since;
 * pure-ftpd 1.0.53 src/ftpd.c (logfile, dopass, douser) and src/messages_en.h.
 * From knowledge of the format: wu-ftpd 2.6
 * src/ftpd.c, krb5's gssftpd.
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

/* `ADDRESS"` and, told in *rest, what stands behind it. */
static bool take_client(struct context *c, struct slice m, struct slice *rest)
{
	struct slice address;

	if (!take_until(&m, '"', &address)) {
		return false;
	}
	set_source(c, address);
	*rest = m;
	return true;
}

/* "FTP command" and "FTP response" end in a text that the client can choose, so behind
 * one of them it can write what looks like the end of another line; and a name can hold
 * one of them.  Where both readings are possible the address is not told. */
static bool may_be_protocol(struct slice user)
{
	return slice_find(user, SLICE_LIT("FTP command: Client \"")) != SIZE_MAX ||
	       slice_find(user, SLICE_LIT("FTP response: Client \"")) != SIZE_MAX;
}

/* Whose password is logged too; nobody else's line has one. */
static bool is_anonymous(struct slice m)
{
	return slice_eq_nocase(slice_head(m, 5), SLICE_LIT("ftp] ")) ||
	       slice_eq_nocase(slice_head(m, 11), SLICE_LIT("anonymous] "));
}

/* Why a login is refused before a password is asked for: a distribution's words, which
 * stand behind the address. */
static void take_refusal(struct context *c, struct slice *m)
{
	if (TAKE_END(m, ", \"User is not in the allow user list.\"")) {
		SET(c, EVENT_REASON, "User is not in the allow user list.");
	} else if (TAKE_END(m, ", \"User is in the deny user list.\"")) {
		SET(c, EVENT_REASON, "User is in the deny user list.");
	}
}

/* "USER] {OK|FAIL} LOGIN: Client "ADDRESS"[, anon password "TEXT"][, "REFUSAL"]": a login's
 * line ends with the address otherwise. */
static bool vsftpd_login(struct context *c, struct slice m)
{
	static const struct slice fail = TEXT("] FAIL LOGIN: Client \""),
				  ok = TEXT("] OK LOGIN: Client \""),
				  anonymous = TEXT("\", anon password \"");
	struct slice user, address, whole;
	size_t at_fail, at_ok, at;
	bool success;

	take_refusal(c, &m);
	address = whole = m;
	if (!TAKE_END(&address, "\"")) {
		return false;
	}
	at = is_anonymous(m) ? slice_find(m, anonymous) : SIZE_MAX;
	if (at != SIZE_MAX) {
		SET(c, AUTH_METHOD, "anonymous");
		address = whole = slice_head(m, at);
	}
	at_fail = slice_rfind(whole, fail);
	at_ok = slice_rfind(whole, ok);
	success = at_fail == SIZE_MAX || (at_ok != SIZE_MAX && at_ok > at_fail);
	at = success ? at_ok : at_fail;
	if (at == SIZE_MAX) {
		return false;
	}
	user = slice_head(whole, at);
	address = slice_skip(address, at + (success ? ok.n : fail.n));
	if (slice_chr(address, '"') != SIZE_MAX) {
		return false;
	}
	if (!may_be_protocol(user)) {
		set_source(c, address);
	}
	set_user(c, user);
	ctx_slot(c, SLOTS_OTHER);
	return attempt(c, success, COUNT_DAEMON);
}

/* "[USER] FTP response: Client "ADDRESS", "530 ..."" */
static bool vsftpd_response(struct context *c, struct slice m)
{
	struct slice text;

	if (!take_client(c, m, &text) || !TAKE(&text, ", \"")) {
		return false;
	}
	if (HAS(text, "530 ") && event_has(c->e, FIELD_USER_NAME)) {
		event_set(c->e, FIELD_EVENT_REASON, slice_head(text, text.n - 1));
		ctx_slot(c, SLOTS_OTHER);
		return attempt(c, false, COUNT_FLOOR);
	}
	SAY(c, "network", "info", "ftp_response");
	return true;
}

/* "{OK|FAIL} {DOWNLOAD|UPLOAD|...}: Client "ADDRESS", "PATH"[, ...]" */
static bool vsftpd_transfer(struct context *c, struct slice m)
{
	static const struct {
		struct slice word, type;
	} kinds[] = {
		{TEXT("DOWNLOAD: Client \""), TEXT("access")},
		{TEXT("UPLOAD: Client \""), TEXT("creation")},
		{TEXT("MKDIR: Client \""), TEXT("creation")},
		{TEXT("DELETE: Client \""), TEXT("deletion")},
		{TEXT("RENAME: Client \""), TEXT("change")},
		{TEXT("RMDIR: Client \""), TEXT("deletion")},
		{TEXT("CHMOD: Client \""), TEXT("change")},
	};
	bool ok = TAKE(&m, "OK ");
	struct slice path;

	if (!ok && !TAKE(&m, "FAIL ")) {
		return false;
	}
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (!slice_starts(m, kinds[i].word)) {
			continue;
		}
		SAY(c, "file", "", "ftp_transfer");
		event_set(c->e, FIELD_EVENT_TYPE, kinds[i].type);
		c->e->outcome = ok ? OUTCOME_SUCCESS : OUTCOME_FAILURE;
		if (!take_client(c, slice_skip(m, kinds[i].word.n), &path)) {
			return false;
		}
		if (TAKE(&path, ", \"")) {
			event_set(c->e, FIELD_FILE_PATH,
				  slice_head(path, slice_chr(path, '"')));
		}
		return true;
	}
	return false;
}

static bool vsftpd(struct context *c, struct slice m)
{
	struct slice digits, user, rest;

	if (TAKE(&m, "[pid ") &&
	    (!take_digits(&m, &digits) || !TAKE(&m, "] "))) {
		return false;
	}
	if (TAKE(&m, "CONNECT: Client \"")) {
		SAY(c, "network", "start", "ftp_connection");
		return take_client(c, m, &rest);
	}
	if (TAKE(&m, "FTP response: Client \"") || TAKE(&m, "FTP command: Client \"")) {
		return vsftpd_response(c, m);
	}
	if (!TAKE(&m, "[")) {
		return false;
	}
	if (vsftpd_login(c, m)) {
		return true;
	}
	event_reset(c->e);
	if (!take_until(&m, ']', &user) || !TAKE(&m, " ")) {
		return false;
	}
	set_user(c, user);
	if (TAKE(&m, "FTP response: Client \"")) {
		return vsftpd_response(c, m);
	}
	if (TAKE(&m, "FTP command: Client \"")) {
		SAY(c, "network", "info", "ftp_response");
		return take_client(c, m, &rest);
	}
	return vsftpd_transfer(c, m);
}

/* ---- proftpd ---- */

/* "NAME: no such user found from HOST [ADDRESS] to ADDRESS:PORT" */
static bool no_such_user(struct slice m, struct slice *user)
{
	struct slice port;

	return take_last_digits(&m, &port) && TAKE_END(&m, ":") &&
	       take_before_last(&m, SLICE_LIT(": no such user found from "), user);
}

static bool proftpd_user(struct context *c, struct slice m, bool anonymous)
{
	struct slice user, rest = m;
	bool success = false;

	/* mod_sftp has no dot. */
	if (TAKE_END(&m, ": Login successful.") || TAKE_END(&m, ": Login successful")) {
		user = m;
		success = true;
	} else if (no_such_user(m, &user)) {
		SET(c, EVENT_REASON, "no such user found");
	} else if (take_before_last(&rest, SLICE_LIT(" (Login failed): "), &user)) {
		TAKE_END(&rest, ".");
		event_set(c->e, FIELD_EVENT_REASON, rest);
	} else if (take_before_last(&rest, SLICE_LIT(": user is not a UserAlias from "),
				    &user)) {
		SET(c, EVENT_REASON, "user is no alias");
	} else if (TAKE_END(&m, ": Limit access denies login") ||
		   TAKE_END(&m, ": Limit configuration denies login") ||
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
/* What opens and ends a connection, without a word about who. */
static bool proftpd_connection(struct context *c, struct slice m)
{
	static const struct {
		struct slice head, type;
	} words[] = {
		{TEXT("FTP session opened"), TEXT("start")},
		{TEXT("SSH2 session opened"), TEXT("start")},
		{TEXT("FTP session closed"), TEXT("end")},
		{TEXT("SSH2 session closed"), TEXT("end")},
		{TEXT("FTP session timed out"), TEXT("end")},
		{TEXT("FTP login timed out"), TEXT("end")},
		{TEXT("Login timeout exceeded"), TEXT("end")},
		{TEXT("Client session idle timeout"), TEXT("end")},
		{TEXT("Connection refused (Max"), TEXT("denied")},
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_starts(m, words[i].head)) {
			SAY(c, "network", "", "ftp_connection");
			event_set(c->e, FIELD_EVENT_TYPE, words[i].type);
			return true;
		}
	}
	return false;
}

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
	return proftpd_connection(c, m);
}

/* ---- pure-ftpd ---- */

/* "Can't login as [USER]: account disabled[ (uid < N)]" */
static bool pure_disabled(struct context *c, struct slice m)
{
	struct slice user;

	if (!take_before_last(&m, SLICE_LIT("]: account disabled"), &user)) {
		return false;
	}
	set_user(c, user);
	SET(c, EVENT_REASON, "account disabled");
	ctx_slot(c, SLOTS_OTHER);
	return attempt(c, false, COUNT_DAEMON);
}

static bool pure_failed(struct context *c, struct slice m)
{
	if (TAKE(&m, "Authentication failed for user [")) {
		if (!TAKE_END(&m, "]")) {
			return false;
		}
		set_user(c, m);
		ctx_slot(c, SLOTS_OTHER);
		return attempt(c, false, COUNT_DAEMON);
	}
	if (IS(m, "Too many authentication failures")) {
		/* It stands in the place of the last failure's own line. */
		SET(c, EVENT_REASON, "too many authentication failures");
		ctx_slot(c, SLOTS_OTHER);
		return attempt(c, false, COUNT_DAEMON);
	}
	return TAKE(&m, "Can't login as [") && pure_disabled(c, m);
}

/* "({?|USER}@HOST) [LEVEL] TEXT": before a login there is a "?" for the user. */
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
	if (pure_failed(c, m)) {
		return true;
	}
	if (TAKE_END(&m, " is now logged in")) {
		set_user(c, m);
		ctx_slot(c, SLOTS_OTHER);
		return attempt(c, true, COUNT_DAEMON);
	}
	if (IS(m, "Anonymous user logged in") ||
	    IS(m, "Anonymous user logged in the virtual FTP")) {
		SET(c, AUTH_METHOD, "anonymous");
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
	} else if (slice_chr(m, '[') == SIZE_MAX && take_word(&m, &name)) {
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
	if (TAKE(&m, "FTP LOGIN REFUSED ")) {
		/* "[(REASON) ]FROM HOST, USER" */
		if (!take_before(&m, SLICE_LIT("FROM "), &host) ||
		    !take_before(&m, SLICE_LIT(", "), &host)) {
			return false;
		}
		set_host(c, host);
		set_user(c, m);
		return attempt(c, false, COUNT_DAEMON);
	}
	if (TAKE(&m, "ANONYMOUS FTP LOGIN FROM ")) {
		SET(c, AUTH_METHOD, "anonymous");
		if (!take_before(&m, SLICE_LIT(", "), &host)) {
			return false;
		}
		set_host(c, host);
		return attempt(c, true, COUNT_DAEMON);
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
