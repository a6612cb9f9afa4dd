/* doas, polkit and pkexec.
 *
 * Source: opendoas 6.8.2 doas.c; polkit 122 src/polkitbackend/
 * polkitbackendinteractiveauthority.c and src/programs/pkexec.c.
 */
#include "parsers/family.h"

/* "USER ran command COMMAND as USER from DIR", "command not permitted for USER:
 * COMMAND" */
static bool doas(struct context *c, struct slice m)
{
	struct slice user, command, as;

	if (TAKE(&m, "command not permitted for ")) {
		if (!take_before(&m, SLICE_LIT(": "), &user)) {
			return false;
		}
		SAY(c, "authentication", "start", "doas");
		SET(c, EVENT_REASON, "command not permitted");
		set_user(c, user);
		event_set(c->e, FIELD_PROCESS_COMMAND_LINE, m);
		say_failure(c, COUNT_FLOOR, 1);
		return true;
	}
	if (TAKE(&m, "failed auth for ") || TAKE(&m, "failed password for ")) {
		SAY(c, "authentication", "start", "doas");
		set_user(c, m);
		say_failure(c, COUNT_DAEMON, 1);
		return true;
	}
	if (!take_before(&m, SLICE_LIT(" ran command "), &user) ||
	    memchr(user.p, ' ', user.n) != NULL ||
	    !take_before_last(&m, SLICE_LIT(" from "), &command)) {
		return false;
	}
	event_set(c->e, FIELD_PROCESS_WORKING_DIRECTORY, m);
	if (!take_before_last(&command, SLICE_LIT(" as "), &as)) {
		return false;
	}
	SAY(c, "process", "start", "doas");
	set_user(c, user);
	event_set(c->e, FIELD_USER_EFFECTIVE_NAME, command);
	event_set(c->e, FIELD_PROCESS_COMMAND_LINE, as);
	say_success(c);
	return true;
}

/* "unix-user:NAME" */
static struct slice identity(struct slice s)
{
	TAKE(&s, "unix-user:");
	return s;
}

/* "Operator of SCOPE successfully authenticated as ID to gain ...", "Operator of SCOPE
 * FAILED to authenticate to gain authorization for action A for PID [CMD] (owned by ID)" */
static bool polkit(struct context *c, struct slice m)
{
	struct slice scope, who, owner = m, head;
	bool success;

	if (HAS(m, "Registered Authentication Agent for ") ||
	    HAS(m, "Unregistered Authentication Agent for ")) {
		SAY(c, "session", "info", "polkit_agent");
		return true;
	}
	if (!TAKE(&m, "Operator of ")) {
		return false;
	}
	SAY(c, "authentication", "start", "polkit");
	if (TAKE_END(&owner, ")") &&
	    take_before_last(&owner, SLICE_LIT(" (owned by "), &head)) {
		set_user(c, identity(owner));
	}
	success = take_before(&m, SLICE_LIT(" successfully authenticated as "),
			      &scope);
	if (success) {
		if (!take_before(&m, SLICE_LIT(" to gain "), &who)) {
			return false;
		}
		event_set(c->e, FIELD_USER_EFFECTIVE_NAME, identity(who));
		say_success(c);
		return true;
	}
	if (!take_before(&m, SLICE_LIT(" FAILED to authenticate to gain "),
			 &scope)) {
		return false;
	}
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

/* "USER: TEXT [USER=U] [TTY=T] [CWD=D] [COMMAND=C]" */
static bool pkexec(struct context *c, struct slice m)
{
	struct slice user, reason, as, place;

	if (!take_before(&m, SLICE_LIT(": "), &user) ||
	    memchr(user.p, ' ', user.n) != NULL ||
	    !take_before(&m, SLICE_LIT(" [USER="), &reason) ||
	    !take_until(&m, ']', &as) ||
	    !take_before(&m, SLICE_LIT(" [COMMAND="), &place) ||
	    !TAKE_END(&m, "]")) {
		return false;
	}
	event_set(c->e, FIELD_PROCESS_COMMAND_LINE, m);
	set_user(c, user);
	event_set(c->e, FIELD_USER_EFFECTIVE_NAME, as);
	if (IS(reason, "Executing command")) {
		SAY(c, "process", "start", "pkexec");
		say_success(c);
	} else {
		SAY(c, "authentication", "start", "pkexec");
		event_set(c->e, FIELD_EVENT_REASON, reason);
		say_failure(c, COUNT_FLOOR, 1);
	}
	return true;
}

bool family_desktop(struct context *c)
{
	struct slice program = c->h->program;

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (IS(program, "doas")) {
		return doas(c, c->m);
	}
	return IS(program, "pkexec") ? pkexec(c, c->m) : polkit(c, c->m);
}
