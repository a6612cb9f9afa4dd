/* login and getty, on consoles and over telnet.
 *
 * Source: util-linux 2.38.1 login-utils/login.c (log_syslog, loginpam_auth); shadow
 * 4.13 src/login.c; busybox loginutils/login.c; lib/rlogin of BSD for
 * "LOGIN FAILURE".
 */
#include "parsers/family.h"

static void strip_quotes(struct slice *s)
{
	if (s->n >= 2 && ((s->p[0] == '\'' && s->p[s->n - 1] == '\'') ||
			  (s->p[0] == '`' && s->p[s->n - 1] == '\''))) {
		*s = slice(s->p + 1, s->n - 2);
	}
}

/* " on 'TTY'[ from 'HOST']" */
static void set_place(struct context *c, struct slice m)
{
	struct slice tty;

	if (TAKE(&m, " on '") && take_until(&m, '\'', &tty)) {
		event_set(c->e, FIELD_AUTH_TTY, tty);
	}
	if (TAKE(&m, " from ")) {
		strip_quotes(&m);
		set_source(c, m);
	}
}

/* PAM's line of the session has told already, where PAM is used. */
static void success(struct context *c)
{
	if (c->slot != NULL && (c->slot->flags & SLOT_SUCCESS) != 0) {
		c->e->outcome = OUTCOME_SUCCESS;
		c->e->attempts = 0;
	} else {
		say_success(c);
	}
}

static bool failure(struct context *c, struct slice user)
{
	SAY(c, "authentication", "start", "login");
	if (!IS(user, "(unknown)") && !IS(user, "UNKNOWN")) {
		set_user(c, user);
	}
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

/* util-linux: "N FROM HOST FOR USER, TEXT"; shadow: "(N) on 'TTY'[ from 'HOST'] FOR
 * 'USER', TEXT".  The user is the attacker's, the text behind the last comma PAM's. */
static bool failed_login(struct context *c, struct slice m)
{
	struct slice digits, where, user;

	if (TAKE(&m, "SESSION")) {
		/* The sum line of a session whose failures were told. */
		if (!TAKE(&m, " FROM ") ||
		    !take_before(&m, SLICE_LIT(" FOR "), &where) ||
		    !take_before_last(&m, SLICE_LIT(", "), &user)) {
			return false;
		}
		ctx_slot_place(c, SLOTS_OTHER, where);
		set_source(c, where);
		failure(c, user);
		event_set(c->e, FIELD_EVENT_REASON, m);
		return true;
	}
	TAKE(&m, "(");
	if (!take_digits(&m, &digits)) {
		return false;
	}
	TAKE(&m, ")");
	if (!take_before(&m, SLICE_LIT(" FOR "), &where)) {
		return false;
	}
	if (!take_before_last(&m, SLICE_LIT(", "), &user)) {
		user = m;
		m = SLICE_NONE;
	}
	if (TAKE(&where, " FROM ")) {
		ctx_slot_place(c, SLOTS_OTHER, where);
		set_source(c, where);
	} else if (TAKE(&user, "'") || TAKE(&user, "`")) {
		set_place(c, where);
		if (!TAKE_END(&user, "'")) {
			return false; /* The line was cut. */
		}
	} else {
		return false;
	}
	if (m.n > 0) {
		event_set(c->e, FIELD_EVENT_REASON, m);
	}
	return failure(c, user);
}

/* "ON TTY[ BY USER][ FROM HOST]" */
static bool logged_in(struct context *c, struct slice m, bool root)
{
	struct slice tty, host, user = SLICE_LIT("root");

	if (!take_word(&m, &tty)) {
		return false;
	}
	SAY(c, "authentication", "start", "login");
	event_set(c->e, FIELD_AUTH_TTY, tty);
	if (!root) {
		if (!TAKE(&m, "BY ") || m.n == 0) {
			return false;
		}
		host = m;
		user = m;
		if (take_before_last(&host, SLICE_LIT(" FROM "), &user)) {
			set_source(c, host);
		} else {
			user = m;
		}
	} else if (TAKE(&m, "FROM ")) {
		set_source(c, m);
	}
	set_user(c, user);
	success(c);
	return true;
}

/* "'USER' on 'TTY'[ from 'HOST']" */
static bool quoted_user(struct context *c, struct slice m)
{
	struct slice user;

	if (!TAKE(&m, "'") || !take_until(&m, '\'', &user)) {
		return false;
	}
	set_place(c, m);
	return failure(c, user);
}

/* shadow without PAM: one user in quotes, and where he is. */
static bool refused(struct context *c, struct slice m)
{
	static const struct slice heads[] = {
		TEXT("no shadow password for "),
		TEXT("exceeded failure limit for "),
		TEXT("invalid login time for "),
	};

	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct slice rest = slice_skip(m, heads[i].n);

		if (slice_starts(m, heads[i])) {
			event_set(c->e, FIELD_EVENT_REASON, slice_trim(heads[i]));
			return quoted_user(c, rest);
		}
	}
	if (TAKE(&m, "LOGIN '")) {
		struct slice user = m;

		SET(c, EVENT_REASON, "refused");
		return take_before(&m, SLICE_LIT("' REFUSED "), &user) && failure(c, user);
	}
	if (TAKE(&m, "ILLEGAL ROOT LOGIN ")) {
		SET(c, EVENT_REASON, "refused");
		set_place(c, slice(m.p - 1, m.n + 1));
		return failure(c, SLICE_LIT("root"));
	}
	return false;
}

/* "[N ]LOGIN FAILURE[S] {FROM HOST|ON TTY}[, USER]"; "login on TTY as USER" */
static bool bsd(struct context *c, struct slice m)
{
	struct slice digits, place, user;
	uint64_t n = 1;

	if (TAKE(&m, "login on ")) {
		if (!take_word(&m, &place) || !TAKE(&m, "as ")) {
			return false;
		}
		SAY(c, "authentication", "start", "login");
		event_set(c->e, FIELD_AUTH_TTY, place);
		set_user(c, m);
		success(c);
		return true;
	}
	if (take_digits(&m, &digits) && (!slice_to_u64(digits, 1000, &n) || !TAKE(&m, " "))) {
		return false;
	}
	if (!TAKE(&m, "LOGIN FAILURE")) {
		return false;
	}
	TAKE(&m, "S");
	place = m;
	if (take_before(&place, SLICE_LIT(", "), &m)) {
		user = place;
		set_user(c, user);
	}
	if (TAKE(&m, " FROM ")) {
		set_source(c, m);
	} else if (TAKE(&m, " ON ")) {
		event_set(c->e, FIELD_AUTH_TTY, m);
	} else {
		return false;
	}
	SAY(c, "authentication", "start", "login");
	say_failure(c, COUNT_DAEMON, (uint32_t)n);
	return true;
}

bool family_login(struct context *c)
{
	struct slice m = c->m, user;

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	ctx_slot(c, SLOTS_OTHER);
	if (TAKE(&m, "FAILED LOGIN ")) {
		return failed_login(c, m);
	}
	if (TAKE(&m, "TOO MANY LOGIN TRIES ")) {
		SET(c, EVENT_REASON, "too many login tries");
		if (!failed_login(c, m)) {
			return false;
		}
		SET(c, EVENT_REASON, "too many login tries");
		return true;
	}
	if (TAKE(&m, "ROOT LOGIN ON ") || TAKE(&m, "ROOT LOGIN (root) ON ")) {
		return logged_in(c, m, true);
	}
	if (TAKE(&m, "LOGIN ON ") || TAKE(&m, "DIALUP AT ")) {
		return logged_in(c, m, false);
	}
	if (TAKE(&m, "invalid password for ")) {
		return quoted_user(c, m);
	}
	if (TAKE(&m, "ROOT LOGIN ") || TAKE(&m, "root login")) {
		/* shadow, busybox */
		SAY(c, "authentication", "start", "login");
		if (HAS(m, "on '")) {
			m = slice(m.p - 1, m.n + 1);
		}
		if (m.n > 0 && m.p[0] != ' ') {
			return false;
		}
		set_place(c, m);
		set_user(c, SLICE_LIT("root"));
		success(c);
		return true;
	}
	if (HAS(m, "'") && take_before_last(&m, SLICE_LIT("' logged in"), &user) &&
	    TAKE(&user, "'")) {
		SAY(c, "authentication", "start", "login");
		set_place(c, m);
		set_user(c, user);
		success(c);
		return true;
	}
	return refused(c, m) || bsd(c, c->m);
}
