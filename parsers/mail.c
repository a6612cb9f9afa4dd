/* dovecot's logins and postfix' SASL.
 *
 * Source: dovecot 2.3.19 src/login-common/client-common.c (client_get_log_str,
 * client_get_extra_disconnect_reason, client_disconnect), client-common-auth.c,
 * login-settings.c (login_log_format_elements), src/auth/auth-request.c
 * (get_log_identifier, auth_request_get_log_prefix) and passdb-pam.c, and 2.0 to 2.2 for
 * "Disconnected (auth failed, ...)"; postfix 3.7.11 src/smtpd/smtpd_sasl_glue.c, smtpd.c
 * (helo and mail lines, log of the end) and smtpd_peer.c (namaddr), earlier ones without
 * ", sasl_username=" behind a failure.
 *
 * dovecot writes "user=<NAME>, method=M, rip=A" with the client's name in it, cleaned of
 * control characters only.  What stands behind the address is the server's, so the last
 * ", rip=" counts, and the name ends at the last ">, method=" or ">, rip=" before it.
 * postfix writes the client's address first; the user comes last.
 */
#include "parsers/family.h"

/* "user=<NAME>, method=PLAIN, rip=ADDRESS, lip=.." */
static bool set_login(struct context *c, struct slice m)
{
	struct slice head, address, rest, method = SLICE_NONE;

	if (!take_before_last(&m, SLICE_LIT(", rip="), &head)) {
		return false;
	}
	if (!take_until(&m, ',', &address)) {
		address = m;
	}
	set_source(c, address);
	if (!take_before(&head, SLICE_LIT("user=<"), &rest)) {
		return true;
	}
	rest = head;
	if (take_before_last(&rest, SLICE_LIT(">, method="), &head)) {
		method = rest;
	} else if (!TAKE_END(&head, ">")) {
		return true;
	}
	if (method.n > 0) {
		event_set(c->e, FIELD_AUTH_METHOD,
			  slice_head(method, slice_chr(method, ',')));
	}
	if (head.n > 0) {
		set_user(c, head);
	}
	return true;
}

/* Why a connection ended without a login, as dovecot puts it into brackets. */
static const struct {
	struct slice text;
	bool failure; /* something was tried and refused */
} ends[] = {
	{TEXT("(auth failed, "), true},
	{TEXT("(authorization failed, "), true},
	{TEXT("(user disabled)"), true},
	{TEXT("(password expired)"), true},
	{TEXT("(login disabled)"), true},
	{TEXT("(tried to use disallowed plaintext auth)"), true},
	{TEXT("(client sent an invalid cert)"), true},
	{TEXT("(proxy dest auth failed)"), true},
	{TEXT("(no auth attempts"), false},
	{TEXT("(disconnected "), false},
	{TEXT("(client didn't "), false},
	{TEXT("(aborted authentication)"), false},
	{TEXT("(cert required, "), false},
	{TEXT("(tried to use unsupported auth mechanism)"), false},
	{TEXT("(sent invalid base64 in response)"), false},
	{TEXT("(auth service reported temporary failure)"), false},
	{TEXT("(auth process communication failure)"), false},
	{TEXT("(internal failure, "), false},
};

/* How many attempts the bracket tells of; false: it is none of the above.  m begins at
 * the bracket. */
static bool read_end(struct slice m, struct slice *reason, uint64_t *attempts)
{
	struct slice digits;

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		struct slice t = m;

		if (!slice_starts(t, ends[i].text)) {
			continue;
		}
		*reason = slice_head(slice_skip(m, 1), slice_chr(m, ')') - 1);
		*attempts = ends[i].failure ? 1 : 0;
		t = slice_skip(t, ends[i].text.n);
		if (*attempts > 0 && take_digits(&t, &digits) && HAS(t, " attempts in ") &&
		    !slice_to_u64(digits, 1000, attempts)) {
			*attempts = 1000;
		}
		return true;
	}
	return false;
}

/* "Disconnected[: REASON] (BRACKET): user=<..>, .." and the same without the first word:
 * the reason is dovecot's own, so the first bracket is too. */
static bool dovecot_end(struct context *c, struct slice m)
{
	size_t user = slice_find(m, SLICE_LIT(": user=<"));
	struct slice head = slice_head(m, user), reason;
	size_t at = slice_find(head, SLICE_LIT("("));
	uint64_t n;

	if (user == SIZE_MAX || !set_login(c, m)) {
		return false;
	}
	if (at != SIZE_MAX && read_end(slice_skip(m, at), &reason, &n)) {
		event_set(c->e, FIELD_EVENT_REASON, reason);
		if (n > 0) {
			/* The line at the end is the only one that always comes. */
			SAY(c, "authentication", "start", "mail_login");
			say_failure(c, COUNT_DAEMON, (uint32_t)n);
			return true;
		}
	} else if (!HAS(m, "Disconnected") && !HAS(m, "Aborted login") &&
		   !HAS(m, "Maximum number of connections") &&
		   !HAS(m, "Connection closed")) {
		return false;
	}
	SAY(c, "network", "end", "mail_disconnect");
	return true;
}

static bool dovecot_login(struct context *c, struct slice m)
{
	if (TAKE(&m, "Login: ")) {
		SAY(c, "authentication", "start", "mail_login");
		if (!set_login(c, m)) {
			return false;
		}
		say_success(c);
		return true;
	}
	if (TAKE(&m, "Login failed: ")) {
		/* With auth_verbose; the line at the end counts it. */
		SAY(c, "authentication", "info", "mail_login");
		c->e->outcome = OUTCOME_FAILURE;
		event_set(c->e, FIELD_EVENT_REASON,
			  slice_head(m, slice_find(m, SLICE_LIT(": user=<"))));
		return set_login(c, m);
	}
	return dovecot_end(c, m);
}

static const struct slice auth_failures[] = {
	TEXT("pam_authenticate() failed: "),
	TEXT("pam_acct_mgmt() failed: "),
	TEXT("unknown user"),
	TEXT("User unknown"),
	TEXT("Password mismatch"),
	TEXT("password mismatch"),
	TEXT("User found from deny passdb"),
	TEXT("No password returned (and no nopassword)"),
	TEXT("Login attempt with empty password"),
	TEXT("Attempted login with password having illegal chars"),
	TEXT("Login failed (status="),
	TEXT("oauth2 failed: "),
	TEXT("Username+password combination too long "),
	TEXT("Invalid username"),
	TEXT("Empty username"),
	TEXT("allow_nets check failed: "),
	TEXT("Authentication failure due to policy server refusal"),
};

static bool auth_failure(struct slice m)
{
	for (size_t i = 0; i < sizeof auth_failures / sizeof *auth_failures; i++) {
		if (slice_starts(m, auth_failures[i])) {
			return true;
		}
	}
	return false;
}

/* "USER,ADDRESS[,master][,<SESSION>]", in front of "): " */
static bool auth_who(struct context *c, struct slice who)
{
	struct slice user, session;

	if (TAKE_END(&who, ">") && take_before_last(&who, SLICE_LIT(",<"), &session)) {
		who = session;
	}
	TAKE_END(&who, ",master");
	if (!take_before_last(&who, SLICE_LIT(","), &user)) {
		return false;
	}
	set_source(c, who);
	if (!event_has(c->e, FIELD_SOURCE_IP)) {
		return false;
	}
	if (!IS(user, "?")) {
		set_user(c, user);
	}
	return true;
}

/* "pam(USER,ADDRESS[,<SESSION>]): TEXT" and the like: what auth says of a failure that
 * the login process counts.  The user may hold "): " too, so it is the last of them that
 * an address and a session stand before and a known text behind. */
static bool dovecot_auth(struct context *c, struct slice m)
{
	struct slice backend;
	size_t end = m.n;

	TAKE(&m, "Info: ");
	end = m.n;
	if (!take_until(&m, '(', &backend) || backend.n > 16 ||
	    memchr(backend.p, ' ', backend.n) != NULL) {
		return false;
	}
	for (end = m.n; end > 0;) {
		size_t at = slice_rfind(slice_head(m, end), SLICE_LIT("): "));
		struct slice text;

		if (at == SIZE_MAX) {
			return false;
		}
		text = slice_skip(m, at + 3);
		end = at + 2;
		if (auth_failure(text) && auth_who(c, slice_head(m, at))) {
			SAY(c, "authentication", "info", "mail_login");
			event_set(c->e, FIELD_EVENT_REASON, text);
			c->e->outcome = OUTCOME_FAILURE;
			return true;
		}
	}
	return false;
}

static bool dovecot(struct context *c, struct slice m)
{
	struct slice process;

	/* "imap-login: ", "auth-worker(123): " */
	if (!take_before(&m, SLICE_LIT(": "), &process)) {
		return false;
	}
	if (ENDS(process, "-login")) {
		TAKE(&m, "Info: ");
		return dovecot_login(c, m);
	}
	if (HAS(process, "auth")) {
		return dovecot_auth(c, m);
	}
	return false;
}

/* "NAME[ADDRESS]" or, with smtpd_client_port_logging, "NAME[ADDRESS]:PORT"; a name is
 * one that DNS has, and holds no bracket. */
static bool take_client(struct context *c, struct slice *m)
{
	struct slice name, address, port;

	if (!take_until(m, '[', &name) || !take_until(m, ']', &address) ||
	    memchr(name.p, ' ', name.n) != NULL) {
		return false;
	}
	set_source(c, address);
	if (m->n > 1 && m->p[0] == ':' && is_digit(m->p[1])) {
		*m = slice_skip(*m, 1);
		take_digits(m, &port);
		set_port(c, port);
	}
	return true;
}

/* "CLIENT: SASL METHOD authentication failed: TEXT[, sasl_username=U]", behind
 * "warning: ".  The text is the server's answer; the user comes behind it. */
static bool postfix_failed(struct context *c, struct slice m)
{
	struct slice method, text;

	if (!take_client(c, &m) || !TAKE(&m, ": SASL ") || !take_word(&m, &method)) {
		return false;
	}
	SAY(c, "authentication", "start", "mail_login");
	event_set(c->e, FIELD_AUTH_METHOD, method);
	if (IS(m, "authentication aborted")) {
		SET(c, EVENT_TYPE, "info"); /* The client changed its mind. */
		return true;
	}
	if (!TAKE(&m, "authentication failed")) {
		return false;
	}
	if (take_before(&m, SLICE_LIT(", sasl_username="), &text) &&
	    !IS(m, "(unavailable)")) {
		set_user(c, m);
	}
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

/* "sasl_method=M, sasl_username=U[, sasl_sender=S][, orig_queue_id=Q][, orig_client=C]".
 * The user has got in, and may have a comma in its name. */
static bool postfix_accepted(struct context *c, struct slice m)
{
	static const struct slice tails[] = {TEXT(", orig_client="),
					     TEXT(", orig_queue_id="),
					     TEXT(", sasl_sender=")};
	struct slice method;

	if (!TAKE(&m, "sasl_method=") || !take_until(&m, ',', &method) ||
	    !TAKE(&m, " sasl_username=")) {
		return false;
	}
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		m = slice_head(m, slice_rfind(m, tails[i]));
	}
	SAY(c, "authentication", "start", "mail_login");
	event_set(c->e, FIELD_AUTH_METHOD, method);
	set_user(c, m);
	say_success(c);
	return true;
}

/* "ID: reject: COMMAND from CLIENT: TEXT", "ID: milter-reject: ..", and what clients do who
 * speak no SMTP; ID is NOQUEUE as a rule. */
static bool postfix_refused(struct context *c, struct slice m)
{
	struct slice id, rest = m;

	SAY(c, "email", "denied", "mail_rejected");
	if (TAKE(&m, "improper command pipelining after ") || TAKE(&m, "SSL_accept error ")) {
		m = slice(m.p - 1, m.n + 1);
	} else if (!take_before(&rest, SLICE_LIT(": "), &id) ||
		   memchr(id.p, ' ', id.n) != NULL ||
		   (!TAKE(&rest, "reject: ") && !TAKE(&rest, "milter-reject: "))) {
		return false;
	} else {
		m = rest;
	}
	return take_before(&m, SLICE_LIT(" from "), &id) && take_client(c, &m);
}

/* What smtpd says of its connections. */
static bool postfix_connection(struct context *c, struct slice m)
{
	struct slice head;

	if (TAKE(&m, "connect from ")) {
		SAY(c, "network", "start", "mail_connection");
		return take_client(c, &m) && m.n == 0;
	}
	if (TAKE(&m, "disconnect from ")) {
		SAY(c, "network", "end", "mail_disconnect");
		return take_client(c, &m);
	}
	if ((HAS(m, "lost connection after ") || HAS(m, "timeout after ") ||
	     HAS(m, "too many errors after ")) &&
	    take_before_last(&m, SLICE_LIT(" from "), &head)) {
		SAY(c, "network", "end", "mail_disconnect");
		event_set(c->e, FIELD_EVENT_REASON, head);
		return take_client(c, &m) && m.n == 0;
	}
	return postfix_refused(c, m);
}

static bool postfix(struct context *c, struct slice m)
{
	struct slice id;

	if (TAKE(&m, "warning: ")) {
		c->slot = NULL; /* one smtpd serves many clients */
		return postfix_failed(c, m);
	}
	if (postfix_connection(c, m)) {
		return true;
	}
	event_reset(c->e);
	/* "ID: client=CLIENT[, sasl_method=..]" */
	if (!take_until(&m, ':', &id) || memchr(id.p, ' ', id.n) != NULL ||
	    !TAKE(&m, " client=") || !take_client(c, &m)) {
		return false;
	}
	if (TAKE(&m, ", ")) {
		return postfix_accepted(c, m);
	}
	SAY(c, "email", "info", "mail_received");
	return m.n == 0;
}

bool family_mail(struct context *c)
{
	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (HAS(c->h->program, "postfix")) {
		return postfix(c, c->m);
	}
	return dovecot(c, c->m);
}
