/* dovecot's logins and postfix' SASL.
 *
 * From knowledge of the format; these sources are where it is to be checked:
 * dovecot 2.3 src/login-common/client-common.c (get_login_vars,
 * client_get_extra_disconnect_reason), src/auth/auth-request.c (get_log_prefix) and
 * passdb-pam.c; postfix 3.7 src/smtpd/smtpd_sasl_glue.c and smtpd.c.
 *
 * dovecot writes "user=<NAME>" with the client's name in it; the address follows it as
 * "rip=", so the last one counts.
 */
#include "parsers/family.h"

/* ", rip=" and what follows up to the next comma */
static bool set_rip(struct context *c, struct slice m)
{
	struct slice head, address;

	if (!take_before_last(&m, SLICE_LIT(", rip="), &head)) {
		return false;
	}
	if (!take_until(&m, ',', &address)) {
		address = m;
	}
	set_source(c, address);
	return true;
}

/* "user=<NAME>, method=PLAIN, rip=.., lip=.." */
static bool set_login(struct context *c, struct slice m)
{
	struct slice user, method, rest;

	if (!set_rip(c, m)) {
		return false;
	}
	rest = m;
	if (take_before(&rest, SLICE_LIT("user=<"), &user) &&
	    take_before_last(&rest, SLICE_LIT(">"), &user)) {
		/* A session id may follow in <> as well: the name ends where
		 * the method or the address begins. */
		size_t end = slice_find(user, SLICE_LIT(">, method="));

		if (end == SIZE_MAX) {
			end = slice_find(user, SLICE_LIT(">, rip="));
		}
		set_user(c, slice_head(user, end));
	}
	if (take_before_last(&m, SLICE_LIT(">, method="), &rest)) {
		if (take_until(&m, ',', &method)) {
			event_set(c->e, FIELD_AUTH_METHOD, method);
		}
	}
	return true;
}

/* "(auth failed, N attempts in S secs): " */
static bool take_attempts(struct slice *m, uint64_t *n)
{
	struct slice t = *m, digits, head;

	if (!take_before(&t, SLICE_LIT("(auth failed, "), &head) ||
	    !take_digits(&t, &digits) || !slice_to_u64(digits, 1000, n) ||
	    !take_before(&t, SLICE_LIT("): "), &head)) {
		return false;
	}
	*m = t;
	return true;
}

static bool dovecot_login(struct context *c, struct slice m)
{
	uint64_t n;

	SAY(c, "authentication", "start", "mail_login");
	if (TAKE(&m, "Login: ")) {
		if (!set_login(c, m)) {
			return false;
		}
		say_success(c);
		return true;
	}
	if (!HAS(m, "Disconnected") && !HAS(m, "Aborted login") &&
	    !HAS(m, "Maximum number of connections")) {
		return false;
	}
	if (take_attempts(&m, &n)) {
		/* The line at the end is the only one that always comes. */
		if (!set_login(c, m)) {
			return false;
		}
		say_failure(c, COUNT_DAEMON, (uint32_t)n);
		return true;
	}
	SAY(c, "network", "end", "mail_disconnect");
	return set_rip(c, m);
}

/* "pam(USER,ADDRESS[,<SESSION>]): TEXT" and the like: what auth says of a failure that
 * the login process counts. */
static bool dovecot_auth(struct context *c, struct slice m)
{
	struct slice backend, who, user, address;

	TAKE(&m, "Info: ");
	if (!take_until(&m, '(', &backend) || backend.n > 16 ||
	    memchr(backend.p, ' ', backend.n) != NULL ||
	    !take_before(&m, SLICE_LIT("): "), &who)) {
		return false;
	}
	if (!HAS(m, "pam_authenticate() failed") && !HAS(m, "unknown user") &&
	    !HAS(m, "Password mismatch") && !HAS(m, "password mismatch")) {
		return false;
	}
	SAY(c, "authentication", "info", "mail_login");
	event_set(c->e, FIELD_EVENT_REASON, m);
	c->e->outcome = OUTCOME_FAILURE;
	if (TAKE_END(&who, ">")) { /* a session id */
		who = slice_head(who, slice_rfind(who, SLICE_LIT(",<")));
	}
	if (take_before_last(&who, SLICE_LIT(","), &user)) {
		address = who;
		set_user(c, user);
		set_source(c, address);
	}
	return true;
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

/* "warning: NAME[ADDRESS]: SASL METHOD authentication failed: TEXT[, sasl_username=U]" */
static bool postfix_failed(struct context *c, struct slice m)
{
	struct slice name, address, method, text;

	if (!take_until(&m, '[', &name) || !take_until(&m, ']', &address) ||
	    !TAKE(&m, ": SASL ") || !take_word(&m, &method) ||
	    !TAKE(&m, "authentication failed")) {
		return false;
	}
	SAY(c, "authentication", "start", "mail_login");
	event_set(c->e, FIELD_AUTH_METHOD, method);
	set_source(c, address);
	if (take_before_last(&m, SLICE_LIT(", sasl_username="), &text)) {
		set_user(c, m);
	}
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

static bool postfix(struct context *c, struct slice m)
{
	struct slice id, name, address, method, user;

	if (TAKE(&m, "warning: ")) {
		c->slot = NULL; /* one smtpd serves many clients */
		return postfix_failed(c, m);
	}
	/* "ID: client=NAME[ADDRESS], sasl_method=M, sasl_username=U" */
	if (!take_before(&m, SLICE_LIT(": client="), &id) ||
	    !take_until(&m, '[', &name) || !take_until(&m, ']', &address) ||
	    !TAKE(&m, ", sasl_method=") || !take_until(&m, ',', &method) ||
	    !TAKE(&m, " sasl_username=")) {
		return false;
	}
	if (!take_until(&m, ',', &user)) {
		user = m;
	}
	SAY(c, "authentication", "start", "mail_login");
	event_set(c->e, FIELD_AUTH_METHOD, method);
	set_source(c, address);
	set_user(c, user);
	say_success(c);
	return true;
}

bool family_mail(struct context *c)
{
	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (HAS(c->h->program, "postfix/")) {
		return postfix(c, c->m);
	}
	return dovecot(c, c->m);
}
