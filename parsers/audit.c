/* auditd: what user space says about logins, accounts and sudo.
 *
 * From knowledge of the format; these sources are where it is to be checked:
 * linux-audit 3.0.9 lib/msg_typetab.h and auparse; Linux-PAM 1.5.2
 * libpam/pam_audit.c; OpenSSH 9.2p1 audit-linux.c; shadow 4.13 lib/audit_help.c; sudo
 * 1.9.13 plugins/sudoers/linux_audit.c; audit-userspace's "enriched" format.
 *
 * "[node=N ]type=T msg=audit(TIME:SERIAL): pid=.. uid=.. auid=.. ses=.. msg='op=..
 * acct="U" exe="/usr/sbin/sshd" hostname=H addr=A terminal=T res=failed'".  A value that
 * holds a blank, a quote or a control character is in hexadecimal without quotes, so that
 * no value can pose as a field.  sshd's own lines are elsewhere: here a login counts at
 * USER_LOGIN, and only there.
 */
#include "parsers/family.h"

/* key="value", key=value; empty when there is none. */
static struct slice field(struct slice m, struct slice key, bool *quoted)
{
	struct slice v = SLICE_NONE;

	*quoted = false;
	for (size_t i = 0; i + key.n <= m.n; i++) {
		char before = i == 0 ? ' ' : m.p[i - 1];
		struct slice rest;

		if ((before != ' ' && before != '\'') ||
		    memcmp(m.p + i, key.p, key.n) != 0) {
			continue;
		}
		rest = slice_skip(m, i + key.n);
		*quoted = TAKE(&rest, "\"");
		if (*quoted) {
			return take_until(&rest, '"', &v) ? v : SLICE_NONE;
		}
		take_word(&rest, &v);
		if (v.n > 0 && (v.p[v.n - 1] == '\'' || v.p[v.n - 1] == ')')) {
			v.n--;
		}
		return v;
	}
	return v;
}

static int hex(char c)
{
	if (is_digit(c)) {
		return c - '0';
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The value behind hexadecimal digits, kept in the parser until its next line; itself
 * if it is none or too long. */
static struct slice decoded(struct context *c, struct slice v, bool quoted)
{
	size_t n = v.n / 2;

	if (quoted || v.n == 0 || v.n % 2 != 0 || n > CONTEXT_SCRATCH) {
		return v;
	}
	for (size_t i = 0; i < n; i++) {
		int high = hex(v.p[i * 2]), low = hex(v.p[i * 2 + 1]);

		if (high < 0 || low < 0) {
			return v;
		}
		c->scratch[i] = (char)(high << 4 | low);
	}
	return slice(c->scratch, n);
}

static bool known(struct slice v)
{
	return v.n > 0 && !IS(v, "?") && !IS(v, "(null)") && !IS(v, "unset");
}

static bool set_common(struct context *c, struct slice m)
{
	bool quoted;
	struct slice acct = field(m, SLICE_LIT("acct="), &quoted), v;

	acct = decoded(c, acct, quoted);
	if (known(acct) && !IS(acct, "(unknown)") &&
	    !IS(acct, "(invalid user)")) {
		set_user(c, acct);
	}
	v = field(m, SLICE_LIT("exe="), &quoted);
	if (known(v)) {
		event_set(c->e, FIELD_PROCESS_EXECUTABLE, v);
	}
	v = field(m, SLICE_LIT("addr="), &quoted);
	if (!known(v)) {
		v = field(m, SLICE_LIT("hostname="), &quoted);
	}
	if (known(v)) {
		set_source(c, v);
	}
	v = field(m, SLICE_LIT("terminal="), &quoted);
	if (known(v)) {
		event_set(c->e, FIELD_AUTH_TTY, v);
	}
	v = field(m, SLICE_LIT("res="), &quoted);
	if (v.n == 0) {
		v = field(m, SLICE_LIT("result="), &quoted);
	}
	if (IS(v, "success") || IS(v, "1") || HAS(v, "Success")) {
		c->e->outcome = OUTCOME_SUCCESS;
		return true;
	}
	c->e->outcome = OUTCOME_FAILURE;
	return IS(v, "failed") || IS(v, "0") || HAS(v, "Authentication");
}

struct kind {
	struct slice type;
	struct slice category, event_type, action;
	bool attempt, about_account;
};

#define KIND(type, category, event_type, action, attempt, account)          \
	{TEXT(type), TEXT(category), TEXT(event_type), TEXT(action), attempt, \
	 account}

static const struct kind kinds[] = {
	KIND("USER_LOGIN", "authentication", "start", "login", true, false),
	KIND("USER_AUTH", "authentication", "info", "pam_authentication", false,
	     false),
	KIND("USER_ACCT", "authentication", "info", "pam_account", false, false),
	KIND("USER_ERR", "authentication", "info", "pam_error", false, false),
	KIND("USER_START", "session", "start", "session_opened", false, false),
	KIND("USER_END", "session", "end", "session_closed", false, false),
	KIND("CRED_ACQ", "session", "info", "credentials", false, false),
	KIND("CRED_DISP", "session", "info", "credentials", false, false),
	KIND("CRED_REFR", "session", "info", "credentials", false, false),
	KIND("USER_LOGOUT", "session", "end", "logout", false, false),
	KIND("USER_CHAUTHTOK", "iam", "change", "password_changed", false, true),
	KIND("ADD_USER", "iam", "creation", "user_added", false, true),
	KIND("DEL_USER", "iam", "deletion", "user_deleted", false, true),
	KIND("ADD_GROUP", "iam", "creation", "group_added", false, true),
	KIND("DEL_GROUP", "iam", "deletion", "group_deleted", false, true),
	KIND("ACCT_LOCK", "iam", "change", "account_locked", false, true),
	KIND("ACCT_UNLOCK", "iam", "change", "account_unlocked", false, true),
	KIND("GRP_MGMT", "iam", "change", "group_changed", false, true),
	KIND("USER_MGMT", "iam", "change", "user_changed", false, true),
};

static void read_kind(struct context *c, const struct kind *k)
{
	event_set(c->e, FIELD_EVENT_CATEGORY, k->category);
	event_set(c->e, FIELD_EVENT_TYPE, k->event_type);
	event_set(c->e, FIELD_EVENT_ACTION, k->action);
	if (k->attempt) {
		c->e->attempts = c->times;
	}
	if (k->about_account && event_has(c->e, FIELD_USER_NAME)) {
		event_set(c->e, FIELD_USER_TARGET_NAME,
			  c->e->f[FIELD_USER_NAME]);
		event_unset(c->e, FIELD_USER_NAME);
	}
}

bool family_audit(struct context *c)
{
	struct slice m = c->m, type, node;

	if (TAKE(&m, "node=") && !take_until(&m, ' ', &node)) {
		return false;
	}
	if (!TAKE(&m, "type=") || !take_until(&m, ' ', &type)) {
		return false;
	}
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (slice_eq(kinds[i].type, type)) {
			if (!set_common(c, m)) {
				return false;
			}
			read_kind(c, &kinds[i]);
			return true;
		}
	}
	return false;
}
