/* PAM's modules that say no, yes or something else in words of their own.  Sources as in
 * pam.c; pam_wheel.c, pam_userdb.c, pam_limits.c, pam_rhosts.c of Linux-PAM 1.5.2; samba 4.17
 * nsswitch/pam_winbind.c; nss-pam-ldapd 0.9 pam/pam.c and google-authenticator's PAM module by
 * their forms.
 */
#include "parsers/pam.h"

/* A refusal that names its user; the daemon's or pam_unix's line counts it. */
static bool refused(struct context *c, struct slice user, struct slice reason,
		    const struct pam_service *s, unsigned slots_family)
{
	pam_authentication(c, s);
	event_set(c->e, FIELD_EVENT_REASON, reason);
	set_user(c, user);
	pam_find_slot(c, slots_family, user);
	pam_another_user(c, slots_family, user);
	say_failure(c, COUNT_FLOOR, 1);
	pam_fill_in(c);
	return true;
}

/* Modules that say no in words of their own. */
static bool refusals(struct context *c, struct slice m, const struct pam_service *s,
		     unsigned slots_family)
{
	struct slice user, rest, code;

	if (TAKE(&m, "Consecutive login failures for user ")) {
		if (!TAKE_END(&m, " account temporarily locked")) {
			return false;
		}
		SAY(c, "iam", "change", "account_locked");
		set_user(c, m);
		c->e->outcome = OUTCOME_FAILURE;
		pam_find_slot(c, slots_family, m);
		pam_fill_in(c);
		return true;
	}
	if (TAKE(&m, "access denied for user `")) {
		rest = m;
		if (!TAKE_END(&rest, "'") ||
		    !take_before_last(&rest, SLICE_LIT("' from `"), &user)) {
			return false;
		}
		set_source(c, rest);
		return refused(c, user, SLICE_LIT("access denied"), s,
			       slots_family);
	}
	if (TAKE(&m, "Refused user ")) {
		return take_before_last(&m, SLICE_LIT(" for service "), &user) &&
		       refused(c, user, SLICE_LIT("listed"), s, slots_family);
	}
	if (TAKE(&m, "received for user ") || TAKE(&m, "Access denied for user ")) {
		rest = m;
		/* sssd: "received for user NAME: N (TEXT)" */
		return take_before_last(&rest, SLICE_LIT(" ("), &code) &&
		       take_before_last(&code, SLICE_LIT(": "), &user) &&
		       TAKE_END(&rest, ")") &&
		       refused(c, user, rest, s, slots_family);
	}
	if (TAKE(&m, "user ")) {
		/* pam_tally2: "user NAME (UID) tally N, deny N" */
		rest = m;
		if (!take_before_last(&rest, SLICE_LIT(" tally "), &user) ||
		    !take_last(&user, ' ', &code)) {
			return false;
		}
		return refused(c, user, SLICE_LIT("too many failures"), s,
			       slots_family);
	}
	if (TAKE(&m, "account ")) {
		/* pam_unix: "account NAME has expired (account expired)" */
		return take_before_last(&m, SLICE_LIT(" has expired ("), &user) &&
		       refused(c, user, SLICE_LIT("account expired"), s,
			       slots_family);
	}
	return false;
}

/* What modules say of one user, between fixed words. */
static const struct named {
	struct slice head, tail; /* his name between them */
	enum { REFUSED, PASSED, UNKNOWN, TOLD } verdict;
} named[] = {
	/* pam_unix, pam_time, pam_access: an expired password is changed on the spot. */
	{TEXT("bad username ["), TEXT("]"), REFUSED},
	{TEXT("could not identify user (from getpwnam("), TEXT("))"), REFUSED},
	{TEXT("account "), TEXT(" has password changed in future"), TOLD},
	{TEXT("expired password for user "), TEXT(" (root enforced)"), TOLD},
	{TEXT("expired password for user "), TEXT(" (password aged)"), TOLD},
	{TEXT("check pass; user ("), TEXT(") unknown"), UNKNOWN},
	/* pam_wheel: of the one who asks the first name, of root the second. */
	{TEXT("Access denied to 'root' for '"), TEXT("'"), REFUSED},
	{TEXT("Access granted to 'root' for '"), TEXT("'"), PASSED},
	/* pam_userdb, pam_winbind, which quote in two ways */
	{TEXT("user `"), TEXT("' denied access (incorrect password)"), REFUSED},
	{TEXT("user '"), TEXT("' denied access (incorrect password or invalid membership)"),
	 REFUSED},
	{TEXT("user `"), TEXT("' granted access"), PASSED},
	{TEXT("user '"), TEXT("' granted access"), PASSED},
	{TEXT("user `"), TEXT("' not found"), REFUSED},
	{TEXT("user '"), TEXT("' not found"), REFUSED},
	{TEXT("user '"), TEXT("' OK"), PASSED},
	/* pam_ldap of nslcd, pam_google_authenticator */
	{TEXT("Authentication failure; user="), TEXT(""), REFUSED},
	{TEXT("Invalid verification code for "), TEXT(""), REFUSED},
	{TEXT("Accepted google_authenticator for "), TEXT(""), PASSED},
};

static bool named_user(struct context *c, struct slice m, const struct pam_service *s,
		       unsigned slots_family)
{
	for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
		const struct named *n = &named[i];
		struct slice user = slice_skip(m, n->head.n);

		if (!slice_starts(m, n->head) ||
		    !scan_take_end(&user, n->tail.p, n->tail.n)) {
			continue;
		}
		if (n->verdict == REFUSED) {
			return refused(c, user, slice_trim(n->head), s, slots_family);
		}
		pam_authentication(c, s);
		SET(c, EVENT_TYPE, "info");
		set_user(c, user);
		c->e->outcome = n->verdict == PASSED    ? OUTCOME_SUCCESS
				: n->verdict == UNKNOWN ? OUTCOME_FAILURE
							: OUTCOME_UNKNOWN;
		return true;
	}
	return false;
}

/* "access denied: tty 'TTY' is not secure !" of pam_securetty, "Too many logins (max 3) for
 * USER" of pam_limits, "denied access to USER@HOST as USER" of pam_rhosts. */
static bool place_refused(struct context *c, struct slice m, const struct pam_service *s,
			  unsigned slots_family)
{
	struct slice digits, user = SLICE_NONE, host;

	if (TAKE(&m, "access denied: tty '")) {
		if (!TAKE_END(&m, "' is not secure !")) {
			return false;
		}
		event_set(c->e, FIELD_AUTH_TTY, m);
	} else if (TAKE(&m, "Too many logins (max ")) {
		if (!take_digits(&m, &digits) || !TAKE(&m, ") for ")) {
			return false;
		}
		user = m;
	} else if (!TAKE(&m, "denied access to ") ||
		   !take_before_last(&m, SLICE_LIT(" as "), &host) ||
		   !take_last(&host, '@', &user)) {
		return false;
	} else {
		set_source(c, user);
		user = m;
	}
	refused(c, user, SLICE_LIT("access denied"), s, slots_family);
	if (user.n == 0) {
		event_unset(c->e, FIELD_USER_NAME);
	}
	return true;
}

/* The rest, which makes no attempt of its own. */
static bool remarks(struct context *c, struct slice m, const struct pam_service *s,
		    unsigned slots_family)
{
	struct slice head;

	if (IS(m, "check pass; user unknown")) {
		/* The failure with its address is the next line. */
		pam_authentication(c, s);
		SET(c, EVENT_TYPE, "info");
		SET(c, EVENT_REASON, "user unknown");
		pam_find_slot(c, slots_family, SLICE_NONE);
		c->e->outcome = OUTCOME_FAILURE;
		pam_another(c, slots_family);
		if (c->slot != NULL) {
			slot_give(c->slot, c->e);
		}
		return true;
	}
	if (TAKE(&m, "requirement ")) {
		if (!take_before_last(&m, SLICE_LIT(" met by user \""), &head) ||
		    !TAKE_END(&m, "\"")) {
			return false;
		}
		pam_authentication(c, s);
		SET(c, EVENT_TYPE, "info");
		set_user(c, m);
		return true;
	}
	if (TAKE(&m, "auth could not identify password for [")) {
		if (!TAKE_END(&m, "]")) {
			return false;
		}
		pam_authentication(c, s);
		SET(c, EVENT_TYPE, "info");
		SET(c, EVENT_REASON, "no password given");
		set_user(c, m);
		c->e->outcome = OUTCOME_UNKNOWN;
		return true;
	}
	if (TAKE(&m, "user \"")) { /* to change the password of */
		if (!TAKE_END(&m, "\" does not exist in /etc/passwd")) {
			return false;
		}
		pam_authentication(c, s);
		SET(c, EVENT_TYPE, "info");
		SET(c, EVENT_REASON, "user unknown");
		set_user(c, m);
		c->e->outcome = OUTCOME_FAILURE;
		return true;
	}
	if (IS(m, "conversation failed")) {
		pam_authentication(c, s);
		SET(c, EVENT_TYPE, "info");
		c->e->outcome = OUTCOME_UNKNOWN;
		return true;
	}
	return false;
}

bool pam_module_line(struct context *c, struct slice m, const struct pam_service *s,
		     unsigned slots_family)
{
	return refusals(c, m, s, slots_family) || remarks(c, m, s, slots_family) ||
	       named_user(c, m, s, slots_family) || place_refused(c, m, s, slots_family);
}
