/* doas, polkit and pkexec.
 *
 * Source: opendoas 6.8.2 doas.c; polkit 122 src/polkitbackend/
 * polkitbackendinteractiveauthority.c and src/programs/pkexec.c.
 */
#include "parsers/family.h"

/* doas tells no pid: the line of PAM and its own are joined by who asks. */
static bool doas_failure(struct context *c, struct slice user)
{
	SAY(c, "authentication", "start", "doas");
	set_user(c, user);
	ctx_slot(c, SLOTS_DOAS);
	ctx_slot_id(c, SLOTS_DOAS, user);
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

/* " as USER from /DIR", or "from (failed)": the command and the folder are the asker's to
 * choose, so where that stands in the line twice nobody knows which is doas' own: how often. */
static unsigned take_target(struct slice m, struct slice *command, struct slice *as,
			    struct slice *folder)
{
	struct slice rest = m, word;
	unsigned found = 0;

	for (size_t at; (at = slice_find(rest, SLICE_LIT(" as "))) != SIZE_MAX;) {
		struct slice behind = slice_skip(rest, at + 4);
		size_t here = m.n - rest.n + at;

		rest = behind;
		if (take_word(&behind, &word) && TAKE(&behind, "from ") &&
		    (HAS(behind, "/") || IS(behind, "(failed)"))) {
			*command = slice_head(m, here);
			*as = word;
			*folder = behind;
			found++;
		}
	}
	return found;
}

/* "USER ran command COMMAND as USER from DIR", "command not permitted for USER:
 * COMMAND", "failed auth for USER"; built without PAM, "tty required for USER" */
static bool doas(struct context *c, struct slice m)
{
	struct slice user, command, as, folder;
	unsigned found;

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
		return doas_failure(c, m);
	}
	if (TAKE(&m, "tty required for ")) {
		SET(c, EVENT_REASON, "tty required");
		return doas_failure(c, m);
	}
	if (!take_before(&m, SLICE_LIT(" ran command "), &user) ||
	    memchr(user.p, ' ', user.n) != NULL) {
		return false;
	}
	found = take_target(m, &command, &as, &folder);
	if (found == 0) {
		return false;
	}
	SAY(c, "process", "start", "doas");
	set_user(c, user);
	if (found == 1) {
		event_set(c->e, FIELD_USER_EFFECTIVE_NAME, as);
		event_set(c->e, FIELD_PROCESS_COMMAND_LINE, command);
		event_set(c->e, FIELD_PROCESS_WORKING_DIRECTORY, folder);
	} else {
		event_set(c->e, FIELD_PROCESS_COMMAND_LINE, m);
	}
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

	if (IS(program, "doas")) {
		return pam_message(c, SLOTS_DOAS) || doas(c, c->m);
	}
	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	return IS(program, "pkexec") ? pkexec(c, c->m) : polkit(c, c->m);
}
