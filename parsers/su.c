/* su.
 *
 * Source: util-linux 2.38.1 login-utils/su-common.c (log_syslog); shadow 4.13
 * src/su.c (su_failure, check_perms_nopam) and Debian's patch to it ("Successful su
 * for", "FAILED su for"); FreeBSD usr.bin/su/su.c ("BAD SU", "X to Y on TTY");
 * coreutils before 8.18.
 */
#include "parsers/family.h"

/* util-linux' su names its pid only after PAM has logged: the two lines of an attempt have
 * no more in common than who asked.  False: they have the pid. */
static bool by_asker(struct context *c, struct slice by)
{
	if (c->slot != NULL && c->slot->counted > 0) {
		return false;
	}
	c->slot = NULL;
	ctx_slot_id(c, SLOTS_SU, by);
	return true;
}

static bool attempt(struct context *c, struct slice by, struct slice to,
		    struct slice tty, bool success)
{
	SAY(c, "authentication", "start", "su");
	set_user(c, by);
	event_set(c->e, FIELD_USER_EFFECTIVE_NAME, to);
	if (tty.n > 0) {
		event_set(c->e, FIELD_AUTH_TTY, tty);
	}
	if (!success && by_asker(c, by)) {
		say_failure(c, COUNT_DAEMON, 1);
	} else if (!success) {
		say_failure(c, COUNT_DAEMON, 1);
		c->slot->count[COUNT_DAEMON] = 1; /* one call, one try */
	} else if (c->slot != NULL && (c->slot->flags & SLOT_SUCCESS) != 0) {
		c->e->outcome = OUTCOME_SUCCESS; /* said before */
	} else {
		say_success(c);
	}
	return true;
}

/* "(to NEW) OLD on TTY" */
static bool util_linux(struct context *c, struct slice m, bool success)
{
	struct slice to, by;

	return TAKE(&m, "(to ") && take_before(&m, SLICE_LIT(") "), &to) &&
	       take_before_last(&m, SLICE_LIT(" on "), &by) &&
	       attempt(c, by, to, m, success);
}

/* "for NEW by OLD" */
static bool debian(struct context *c, struct slice m, bool success)
{
	struct slice to;

	return take_before_last(&m, SLICE_LIT(" by "), &to) &&
	       attempt(c, m, to, SLICE_NONE, success);
}

/* "TTY OLD:NEW" or, by some versions, "TTY OLD-NEW" */
static bool shadow(struct context *c, struct slice m, bool success)
{
	struct slice tty, by;

	return take_word(&m, &tty) &&
	       (take_until(&m, ':', &by) || take_until(&m, '-', &by)) &&
	       attempt(c, by, m, tty, success);
}

/* "OLD to NEW on TTY" */
static bool bsd(struct context *c, struct slice m, bool success)
{
	struct slice by, to;

	return take_before(&m, SLICE_LIT(" to "), &by) &&
	       take_before_last(&m, SLICE_LIT(" on "), &to) &&
	       memchr(by.p, ' ', by.n) == NULL &&
	       attempt(c, by, to, m, success);
}

bool family_su(struct context *c)
{
	struct slice m = c->m, by, tty;

	if (pam_message(c, SLOTS_SU)) {
		return true;
	}
	ctx_slot(c, SLOTS_SU);
	if (HAS(m, "(to ")) {
		return util_linux(c, m, true);
	}
	if (TAKE(&m, "FAILED SU ") || TAKE(&m, "FAILED RUNUSER ")) {
		return util_linux(c, m, false);
	}
	if (TAKE(&m, "Successful su for ")) {
		return debian(c, m, true);
	}
	if (TAKE(&m, "FAILED su for ")) {
		return debian(c, m, false);
	}
	if (TAKE(&m, "+ ")) {
		return shadow(c, m, true);
	}
	if (TAKE(&m, "- ")) {
		return shadow(c, m, false);
	}
	if (TAKE(&m, "BAD SU ")) {
		return bsd(c, m, false);
	}
	if (TAKE(&m, "failed: ")) {
		return take_word(&m, &tty) && TAKE(&m, "changing from ") &&
		       take_before(&m, SLICE_LIT(" to "), &by) &&
		       attempt(c, by, m, tty, false);
	}
	if (TAKE(&m, "SU by ")) {
		/* shadow without PAM: "SU by USER to restricted account USER" */
		return take_before(&m, SLICE_LIT(" to restricted account "), &by) &&
		       attempt(c, by, m, SLICE_NONE, false);
	}
	if (TAKE(&m, "pam_authenticate: ") || TAKE(&m, "pam_acct_mgmt: ")) {
		/* The same failure once more, without the names. */
		SAY(c, "authentication", "info", "su");
		event_set(c->e, FIELD_EVENT_REASON, m);
		say_failure(c, COUNT_FLOOR, 1);
		return true;
	}
	return bsd(c, m, true);
}
