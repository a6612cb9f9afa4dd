/* sudo.
 *
 * Source: sudo 1.9.13 lib/eventlog/eventlog.c (new_logline), plugins/sudoers/logging.c
 * (log_denial, log_auth_failure, log_parse_error), sudoers.c; 1.8's logging.c for
 * "(command continued)".
 *
 * "    USER : [REASON ; ][HOST=.. ; ]TTY=.. ; PWD=.. ; USER=.. ; COMMAND=.."
 * Who calls sudo chooses the directory and the command, and neither is quoted
 * against " ; ".  Fields are taken from the left up to COMMAND=, so a false field
 * needs a directory of that name; nothing in the command counts.
 */
#include "parsers/family.h"

static void set_field(struct context *c, struct slice key, struct slice value)
{
	if (IS(key, "TTY")) {
		event_set(c->e, FIELD_AUTH_TTY, value);
	} else if (IS(key, "PWD") || IS(key, "CWD")) {
		event_set(c->e, FIELD_PROCESS_WORKING_DIRECTORY, value);
	} else if (IS(key, "USER")) {
		event_set(c->e, FIELD_USER_EFFECTIVE_NAME, value);
	} else if (IS(key, "GROUP")) {
		event_set(c->e, FIELD_GROUP_NAME, value);
	}
}

static bool upper(struct slice key)
{
	for (size_t i = 0; i < key.n; i++) {
		if (key.p[i] < 'A' || key.p[i] > 'Z') {
			return false;
		}
	}
	return key.n > 0;
}

/* "KEY=value ; KEY=value ; COMMAND=rest".  False: not of that form. */
static bool take_fields(struct context *c, struct slice m)
{
	while (m.n > 0) {
		struct slice field, key;

		if (TAKE(&m, "COMMAND=")) {
			event_set(c->e, FIELD_PROCESS_COMMAND_LINE, m);
			return true;
		}
		if (!take_before(&m, SLICE_LIT(" ; "), &field)) {
			field = m;
			m = SLICE_NONE;
		}
		if (!take_until(&field, '=', &key) || !upper(key)) {
			return false;
		}
		set_field(c, key, field);
	}
	return true;
}

static const struct slice refusals[] = {
	TEXT("user NOT in sudoers"),
	TEXT("user NOT authorized on host"),
	TEXT("command not allowed"),
	TEXT("a password is required"),
	TEXT("authentication failure"),
	TEXT("a terminal is required to read the password"),
	TEXT("sorry, you must have a tty to run sudo"),
	TEXT("no tty"),
	TEXT("unknown user"),
	TEXT("account validation failure, is your account locked?"),
	TEXT("Account or password is expired, reset your password and try again"),
	TEXT("Account expired or PAM config lacks an \"account\" section"),
	TEXT("Password expired, contact your system administrator"),
	TEXT("PAM account management error: "),
	TEXT("PAM authentication error: "),
	TEXT("unable to change expired password: "),
	TEXT("your account has expired"),
	TEXT("user not allowed to "),
	TEXT("you are not permitted to use the "),
	TEXT("sorry, you are not allowed "),
	TEXT("invalid shell for user "),
	TEXT("command in current directory"),
	TEXT("approval failed"),
	TEXT("unknown uid "),
	TEXT("unknown group "),
	TEXT("unknown login class "),
};

/* What is wrong with the machine rather than with who calls. */
static const struct slice warnings[] = {
	TEXT("unable to "),
	TEXT("problem with defaults entries"),
	TEXT("parse error in "),
	TEXT("no valid sudoers sources found"),
	TEXT("ignoring time stamp from the future"),
	TEXT("time stamp too far in the future"),
	TEXT("command too long"),
};

static bool one_of(const struct slice *heads, size_t n, struct slice reason)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_starts(reason, heads[i])) {
			return true;
		}
	}
	return false;
}

static void find_slot(struct context *c, struct slice user)
{
	if (c->h->pid.n > 0) {
		ctx_slot(c, SLOTS_SUDO);
	} else {
		ctx_slot_id(c, SLOTS_SUDO, user);
	}
}

/* "3 incorrect password attempts" is the sum of what PAM said one by one. */
static bool incorrect(struct context *c, struct slice reason)
{
	struct slice digits;
	uint64_t n;

	if (!take_digits(&reason, &digits) ||
	    !slice_to_u64(digits, 1000, &n) ||
	    (!IS(reason, " incorrect password attempts") &&
	     !IS(reason, " incorrect password attempt"))) {
		return false;
	}
	say_failure(c, COUNT_SUMMARY, (uint32_t)n);
	if (c->slot != NULL) {
		c->slot->flags |= SLOT_ENDED;
	}
	return true;
}

static bool command(struct context *c, struct slice user, struct slice m)
{
	struct slice rest = m, reason, key;

	SAY(c, "process", "start", "sudo");
	set_user(c, user);
	if (TAKE(&m, "(command continued) ")) {
		SET(c, EVENT_TYPE, "info");
		event_set(c->e, FIELD_PROCESS_COMMAND_LINE, m);
		return true;
	}
	reason = m;
	if (take_until(&reason, '=', &key) && upper(key)) {
		if (!take_fields(c, m)) {
			return false;
		}
		find_slot(c, user);
		say_success(c);
		return true;
	}
	if (!take_before(&rest, SLICE_LIT(" ; "), &reason)) {
		reason = m;
		rest = SLICE_NONE;
	}
	if (!take_fields(c, rest)) {
		return false;
	}
	SET(c, EVENT_CATEGORY, "authentication");
	event_set(c->e, FIELD_EVENT_REASON, reason);
	find_slot(c, user);
	if (incorrect(c, reason)) {
		return true;
	}
	if (!one_of(refusals, sizeof refusals / sizeof *refusals, reason)) {
		SET(c, EVENT_CATEGORY, "process");
		SET(c, EVENT_TYPE, "error");
		return one_of(warnings, sizeof warnings / sizeof *warnings, reason);
	}
	say_failure(c, COUNT_FLOOR, 1);
	if (c->slot != NULL) {
		c->slot->flags |= SLOT_ENDED;
	}
	return true;
}

bool family_sudo(struct context *c)
{
	struct slice m = c->m, user;

	if (pam_message(c, SLOTS_SUDO)) {
		return true;
	}
	skip_blanks(&m);
	/* A login name holds no blank; what has one in front of the colon is a
	 * message of another kind. */
	if (!take_before(&m, SLICE_LIT(" : "), &user) || user.n == 0 ||
	    memchr(user.p, ' ', user.n) != NULL) {
		return false;
	}
	return command(c, user, m);
}
