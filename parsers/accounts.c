/* useradd, usermod, userdel, groupadd, groupmod, groupdel, gpasswd, passwd, chpasswd,
 * chage, chfn, chsh: accounts are made, changed and taken away.
 *
 * Source: shadow 4.13 src/{useradd,usermod,userdel,groupadd,groupmod,groupdel,gpasswd,
 * passwd,chpasswd,chage,chfn,chsh,newusers}.c and 4.0 to 4.17 for the same texts;
 * busybox loginutils/{adduser,passwd}.c.
 *
 * Who may run these is root; names are checked by the programs before they log.
 */
#include "parsers/family.h"

static void target(struct context *c, struct slice name)
{
	event_set(c->e, FIELD_USER_TARGET_NAME, name);
	c->e->outcome = OUTCOME_SUCCESS;
}

static void group(struct context *c, struct slice name)
{
	event_set(c->e, FIELD_GROUP_NAME, name);
	c->e->outcome = OUTCOME_SUCCESS;
}

/* "name=NAME, UID=N, GID=N, home=.., shell=.." or "name=NAME, GID=N" */
static struct slice take_name(struct slice m, struct slice *rest)
{
	struct slice name = m;

	if (!take_before(&m, SLICE_LIT(", "), &name)) {
		name = m;
		m = SLICE_NONE;
	}
	*rest = m;
	return name;
}

static bool new_user(struct context *c, struct slice m)
{
	struct slice rest, uid;

	SAY(c, "iam", "creation", "user_added");
	target(c, take_name(m, &rest));
	if (TAKE(&rest, "UID=") && take_digits(&rest, &uid)) {
		event_set(c->e, FIELD_USER_ID, uid);
	}
	return true;
}

static bool new_group(struct context *c, struct slice m, bool again)
{
	struct slice rest;

	SAY(c, "iam", "creation", "group_added");
	if (again) {
		/* One line for each file that the group goes into. */
		SET(c, EVENT_TYPE, "info");
	}
	group(c, take_name(m, &rest));
	return true;
}

/* "'X'" at the start of m */
static bool take_quoted(struct slice *m, struct slice *out)
{
	struct slice t = *m;

	if ((!TAKE(&t, "'") && !TAKE(&t, "`")) || !take_until(&t, '\'', out)) {
		return false;
	}
	*m = t;
	return true;
}

/* "add 'U' to group 'G'", "delete 'U' from group 'G'", with "shadow " */
static bool membership(struct context *c, struct slice m, bool add)
{
	struct slice user, name;

	if (!take_quoted(&m, &user) ||
	    !(add ? TAKE(&m, " to ") : TAKE(&m, " from "))) {
		return false;
	}
	SAY(c, "iam", "change", "group_member_added");
	if (!add) {
		SET(c, EVENT_ACTION, "group_member_removed");
	}
	if (TAKE(&m, "shadow ")) {
		SET(c, EVENT_TYPE, "info"); /* the same, for /etc/gshadow */
	}
	if (!TAKE(&m, "group ") || !take_quoted(&m, &name)) {
		return false;
	}
	target(c, user);
	group(c, name);
	return true;
}

/* "U {added|removed} by A {to|from} group G[ ...]": gpasswd */
static bool gpasswd_member(struct context *c, struct slice m)
{
	struct slice user, word, by;

	if (!take_word(&m, &user) || !take_word(&m, &word) ||
	    (!IS(word, "added") && !IS(word, "removed")) || !TAKE(&m, "by ") ||
	    !take_word(&m, &by) || (!TAKE(&m, "to ") && !TAKE(&m, "from ")) ||
	    !TAKE(&m, "group ")) {
		return false;
	}
	SAY(c, "iam", "change", "group_member_added");
	if (IS(word, "removed")) {
		SET(c, EVENT_ACTION, "group_member_removed");
	}
	set_user(c, by);
	target(c, user);
	take_word(&m, &word);
	group(c, word);
	return true;
}

/* "user 'U' WHAT from .. to ..", "user name 'U' to 'V'", "user 'U' password" */
static bool change_user(struct context *c, struct slice m)
{
	struct slice user, to;

	SAY(c, "iam", "change", "user_changed");
	if (TAKE(&m, "user name ")) {
		if (!take_quoted(&m, &user) || !TAKE(&m, " to ") ||
		    !take_quoted(&m, &to)) {
			return false;
		}
		SET(c, EVENT_ACTION, "user_renamed");
		set_user(c, user);
		target(c, to);
		return true;
	}
	if (!TAKE(&m, "user ") || !take_quoted(&m, &user)) {
		return false;
	}
	if (IS(m, " password")) {
		SET(c, EVENT_ACTION, "password_changed");
	}
	target(c, user);
	event_set(c->e, FIELD_EVENT_REASON, slice_trim(m));
	return true;
}

/* "'U' changed by 'A'", of busybox without the quotes */
static bool password_for(struct context *c, struct slice m)
{
	struct slice user, by;

	if (take_quoted(&m, &user)) {
		if (!TAKE(&m, " changed by ") || !take_quoted(&m, &by)) {
			return false;
		}
	} else if (!take_word(&m, &user) || !TAKE(&m, "changed by ") ||
		   !take_word(&m, &by) || m.n > 0) {
		return false;
	}
	SAY(c, "iam", "change", "password_changed");
	set_user(c, by);
	target(c, user);
	return true;
}

struct simple {
	struct slice head, tail; /* around the name */
	struct slice type, action;
	enum { NAME_USER, NAME_GROUP } kind;
	enum outcome outcome;
};

#define SIMPLE(head, tail, type, action, kind, outcome) \
	{TEXT(head), TEXT(tail), TEXT(type), TEXT(action), kind, outcome}

static const struct simple simple[] = {
	SIMPLE("delete user '", "'", "deletion", "user_deleted", NAME_USER,
	       OUTCOME_SUCCESS),
	SIMPLE("group '", "' removed", "deletion", "group_deleted", NAME_GROUP,
	       OUTCOME_SUCCESS),
	SIMPLE("lock user '", "' password", "change", "account_locked",
	       NAME_USER, OUTCOME_SUCCESS),
	SIMPLE("unlock user '", "' password", "change", "account_unlocked",
	       NAME_USER, OUTCOME_SUCCESS),
	SIMPLE("password locked for '", "'", "change", "account_locked",
	       NAME_USER, OUTCOME_SUCCESS),
	SIMPLE("changed password expiry for ", "", "change",
	       "password_expiry_changed", NAME_USER, OUTCOME_SUCCESS),
	SIMPLE("changed user '", "' information", "change", "user_changed",
	       NAME_USER, OUTCOME_SUCCESS),
	SIMPLE("changed user `", "' information", "change", "user_changed",
	       NAME_USER, OUTCOME_SUCCESS),
	SIMPLE("incorrect password for ", "", "info", "password_change",
	       NAME_USER, OUTCOME_FAILURE),
	SIMPLE("can't change shell for '", "'", "info", "shell_changed",
	       NAME_USER, OUTCOME_FAILURE),
	SIMPLE("failed adding user '", "', data deleted", "info", "user_added",
	       NAME_USER, OUTCOME_FAILURE),
};

static bool simple_line(struct context *c, struct slice m)
{
	for (size_t i = 0; i < sizeof simple / sizeof *simple; i++) {
		const struct simple *s = &simple[i];
		struct slice name = m;

		if (!slice_starts(m, s->head)) {
			continue;
		}
		name = slice_skip(m, s->head.n);
		if (!slice_ends(name, s->tail)) {
			continue;
		}
		name.n -= s->tail.n;
		SET(c, EVENT_CATEGORY, "iam");
		event_set(c->e, FIELD_EVENT_TYPE, s->type);
		event_set(c->e, FIELD_EVENT_ACTION, s->action);
		event_set(c->e, s->kind == NAME_GROUP ? FIELD_GROUP_NAME
						      : FIELD_USER_TARGET_NAME,
			  name);
		c->e->outcome = s->outcome;
		return true;
	}
	return false;
}

/* "changed user 'U' shell to 'S'", "failed adding user 'U', exit code: N",
 * "group 'G' removed from FILE" */
static bool longer_line(struct context *c, struct slice m)
{
	struct slice name;

	if (TAKE(&m, "changed user ") && take_quoted(&m, &name) &&
	    TAKE(&m, " shell to ")) {
		SAY(c, "iam", "change", "shell_changed");
		target(c, name);
		return true;
	}
	if (TAKE(&m, "failed adding user ") && take_quoted(&m, &name)) {
		SAY(c, "iam", "info", "user_added");
		target(c, name);
		c->e->outcome = OUTCOME_FAILURE;
		return true;
	}
	if (TAKE(&m, "group ") && take_quoted(&m, &name) &&
	    TAKE(&m, " removed from ")) {
		SAY(c, "iam", "info", "group_deleted");
		group(c, name);
		return true;
	}
	if ((TAKE(&m, "removed group ") || TAKE(&m, "removed shadow group ")) &&
	    take_quoted(&m, &name)) {
		SAY(c, "iam", "deletion", "group_deleted");
		group(c, name);
		return true;
	}
	return false;
}

/* groupmod: "group changed in FILE (group NAME/GID, new name: N)"; gpasswd: "members of group G
 * set by A to U,U", "administrators of ..", "password of group G {changed|removed} by A". */
static bool group_line(struct context *c, struct slice m)
{
	struct slice name, file, by;

	SAY(c, "iam", "change", "group_changed");
	if (TAKE(&m, "group changed in ")) {
		if (!take_before(&m, SLICE_LIT(" (group "), &file) ||
		    !take_until(&m, '/', &name) || !ENDS(m, ")")) {
			return false;
		}
		event_set(c->e, FIELD_EVENT_REASON, m);
		group(c, name);
		return true;
	}
	if (!TAKE(&m, "members of group ") && !TAKE(&m, "administrators of group ") &&
	    !TAKE(&m, "password of group ")) {
		return false;
	}
	if (!take_word(&m, &name) ||
	    (!TAKE(&m, "set by ") && !TAKE(&m, "changed by ") && !TAKE(&m, "removed by ")) ||
	    !take_word(&m, &by)) {
		return false;
	}
	set_user(c, by);
	group(c, name);
	return true;
}

bool family_accounts(struct context *c)
{
	struct slice m = c->m, file;

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	TAKE_END(&m, "\n");
	if (TAKE(&m, "new user: name=")) {
		return new_user(c, m);
	}
	if (TAKE(&m, "new group: name=")) {
		return new_group(c, m, false);
	}
	if (TAKE(&m, "group added to ")) {
		return take_before(&m, SLICE_LIT(": name="), &file) &&
		       new_group(c, m, true);
	}
	if (TAKE(&m, "add ")) {
		return membership(c, m, true);
	}
	if (HAS(m, "delete '")) {
		return TAKE(&m, "delete ") && membership(c, m, false);
	}
	if (TAKE(&m, "change ")) {
		return change_user(c, m);
	}
	if (TAKE(&m, "password for ")) {
		return password_for(c, m);
	}
	if (TAKE(&m, "user ")) {
		return gpasswd_member(c, m);
	}
	if (simple_line(c, m) || longer_line(c, m)) {
		return true;
	}
	event_reset(c->e);
	return group_line(c, m);
}
