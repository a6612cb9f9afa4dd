/* auditd: what user space says about logins, accounts, services and sudo; and which record
 * of the kernel is whose (audit_kernel.c).
 *
 * Source: linux-audit 3.0.9 lib/msg_typetab.h, lib/libaudit.h and linux/audit.h (types by
 * name and number), lib/audit_logging.c (audit_log_user_message, audit_log_acct_message,
 * audit_log_user_command, audit_value_needs_encoding), src/auditd-event.c (node=, the
 * enriched format); Linux-PAM 1.5.2 libpam/pam_audit.c; OpenSSH 9.2p1 audit-linux.c;
 * shadow 4.13 lib/audit_help.c; sudo 1.9.13 plugins/sudoers/linux_audit.c; systemd 252
 * src/core/audit.c and src/journal/journald-audit.c ("USER_LOGIN pid=..").
 *
 * "[node=N ]type=T msg=audit(TIME:SERIAL): pid=.. uid=.. auid=.. ses=.. msg='op=..
 * acct="U" exe="/usr/sbin/sshd" hostname=H addr=A terminal=T res=failed'".  A value that
 * holds a blank, a quote or a control character is in hexadecimal without quotes, so that
 * no value can pose as a field.
 *
 * What counts: USER_LOGIN, and the session that PAM opens for somebody from another host,
 * since sshd writes USER_LOGIN for a terminal only (loginrec.c).  The records of one pid are
 * one login: for a user whom it does not know sshd writes "(invalid user)" twice before it
 * tries anything (auth.c getpwnamallow, auth2.c input_userauth_request), and again for each
 * try, which PAM's USER_AUTH tells too.
 */
#include "parsers/audit.h"

enum { SEPARATOR = 0x1d };

struct slice audit_field(struct slice m, struct slice key, bool *quoted)
{
	struct slice v = SLICE_NONE;

	*quoted = false;
	for (size_t from = 0;;) {
		size_t at = slice_find(slice_skip(m, from), key);
		struct slice rest;

		if (at == SIZE_MAX) {
			return v;
		}
		at += from;
		from = at + 1;
		if (at > 0 && m.p[at - 1] != ' ' && m.p[at - 1] != '\'' &&
		    m.p[at - 1] != '(') {
			continue;
		}
		rest = slice_skip(m, at + key.n);
		*quoted = TAKE(&rest, "\"");
		if (*quoted) {
			return take_until(&rest, '"', &v) ? v : SLICE_NONE;
		}
		take_word(&rest, &v);
		/* What closes the message; older ones wrote "(hostname=?, addr=?, ..)". */
		while (v.n > 0 && (v.p[v.n - 1] == '\'' || v.p[v.n - 1] == ')' ||
				   v.p[v.n - 1] == ',')) {
			v.n--;
		}
		return v;
	}
}

static int hex(char c)
{
	if (is_digit(c)) {
		return c - '0';
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct slice audit_decode(struct context *c, struct slice v, char nul)
{
	char *to = c->scratch + c->scratch_n;
	size_t room = CONTEXT_SCRATCH - c->scratch_n, n = v.n / 2;

	if (v.n == 0 || v.n % 2 != 0) {
		return v;
	}
	for (size_t i = 0; i < v.n; i++) {
		if (hex(v.p[i]) < 0) {
			return v;
		}
	}
	n = n < room ? n : room;
	for (size_t i = 0; i < n; i++) {
		char b = (char)(hex(v.p[i * 2]) << 4 | hex(v.p[i * 2 + 1]));

		to[i] = b == '\0' ? nul : b;
	}
	c->scratch_n += n;
	return slice(to, n);
}

struct slice audit_text(struct context *c, struct slice fields, struct slice key)
{
	bool quoted;
	struct slice v = audit_field(fields, key, &quoted);

	return quoted ? v : audit_decode(c, v, ' ');
}

bool audit_known(struct slice v)
{
	/* auditd that finds no name for 22497 writes "unknown(22497)". */
	return v.n > 0 && !IS(v, "?") && !IS(v, "(null)") && !IS(v, "unset") &&
	       !IS(v, "(none)") && !IS(v, "4294967295") && !HAS(v, "unknown(");
}

/* ---- what user space says ---- */

/* What sshd and login write in the place of a name that they do not know. */
static bool is_nobody(struct slice v)
{
	return IS(v, "(unknown)") || IS(v, "(unknown user)") || IS(v, "(invalid user)") ||
	       IS(v, "UNKNOWN");
}

/* acct="NAME", or id=N and, enriched, ID="NAME". */
static void set_account(struct context *c, const struct audit_fields *f)
{
	bool quoted;
	struct slice v = audit_text(c, f->raw, SLICE_LIT("acct="));

	if (audit_known(v) && !is_nobody(v)) {
		set_user(c, v);
		return;
	}
	v = audit_field(f->raw, SLICE_LIT("id="), &quoted);
	if (audit_known(v)) {
		event_set(c->e, FIELD_USER_ID, v);
		v = audit_text(c, f->names, SLICE_LIT("ID="));
		if (audit_known(v)) {
			set_user(c, v);
		}
	}
}

static void set_place(struct context *c, const struct audit_fields *f)
{
	bool quoted;
	struct slice v = audit_text(c, f->raw, SLICE_LIT("exe="));

	if (audit_known(v)) {
		event_set(c->e, FIELD_PROCESS_EXECUTABLE, v);
	}
	v = audit_field(f->raw, SLICE_LIT("addr="), &quoted);
	if (!audit_known(v)) {
		v = audit_field(f->raw, SLICE_LIT("hostname="), &quoted);
	}
	if (audit_known(v)) {
		set_source(c, v);
	}
	v = audit_field(f->raw, SLICE_LIT("terminal="), &quoted);
	if (audit_known(v)) {
		event_set(c->e, FIELD_AUTH_TTY, v);
	}
}

/* res=success, res=failed, of pam_tally "res=1", of older ones "result=Success". */
static bool set_result(struct context *c, const struct audit_fields *f)
{
	bool quoted;
	struct slice v = audit_field(f->raw, SLICE_LIT("res="), &quoted);

	if (v.n == 0) {
		v = audit_field(f->raw, SLICE_LIT("result="), &quoted);
	}
	if (IS(v, "success") || IS(v, "1") || HAS(v, "Success")) {
		c->e->outcome = OUTCOME_SUCCESS;
		return true;
	}
	c->e->outcome = OUTCOME_FAILURE;
	return IS(v, "failed") || IS(v, "0") || HAS(v, "Authentication");
}

static bool user_message(struct context *c, const struct audit_fields *f)
{
	set_account(c, f);
	set_place(c, f);
	return set_result(c, f);
}

/* The login that a process is about: the kernel itself writes its pid in front. */
static void find_login(struct context *c, const struct audit_fields *f)
{
	struct slice m = f->raw, pid;

	if (TAKE(&m, "pid=") && take_digits(&m, &pid)) {
		ctx_slot_id(c, SLOTS_LOGIN, pid);
	} else if (TAKE(&m, "user pid=") && take_digits(&m, &pid)) {
		ctx_slot_id(c, SLOTS_LOGIN, pid);
	}
}

/* A login that another record of the process may have told. */
static void succeeded(struct context *c)
{
	if (c->slot != NULL && (c->slot->flags & SLOT_SUCCESS) != 0) {
		c->e->attempts = 0;
	} else {
		say_success(c);
	}
}

static bool login_message(struct context *c, const struct audit_fields *f)
{
	if (!user_message(c, f)) {
		return false;
	}
	find_login(c, f);
	if (c->e->outcome == OUTCOME_SUCCESS) {
		succeeded(c);
	} else {
		bool invalid = IS(audit_text(c, f->raw, SLICE_LIT("acct=")),
				  "(invalid user)");

		say_failure(c, invalid ? COUNT_FLOOR : COUNT_DAEMON, 1);
		if (c->slot != NULL) {
			slot_give(c->slot, c->e);
		}
	}
	return true;
}

/* PAM's answer, which the USER_LOGIN behind it counts. */
static bool auth_message(struct context *c, const struct audit_fields *f)
{
	if (!user_message(c, f)) {
		return false;
	}
	if (event_has(c->e, FIELD_SOURCE_IP)) {
		find_login(c, f);
		if (c->slot != NULL && c->e->outcome == OUTCOME_FAILURE &&
		    c->slot->count[COUNT_PAM] < UINT16_MAX) {
			c->slot->count[COUNT_PAM]++;
		}
		if (c->slot != NULL) {
			slot_keep(c->slot, c->e);
		}
	}
	return true;
}

static bool session_message(struct context *c, const struct audit_fields *f)
{
	if (!user_message(c, f)) {
		return false;
	}
	if (c->e->outcome == OUTCOME_SUCCESS && event_has(c->e, FIELD_SOURCE_IP) &&
	    slice_find(f->raw, SLICE_LIT("op=PAM:session_open ")) != SIZE_MAX) {
		find_login(c, f);
		SET(c, EVENT_CATEGORY, "authentication");
		SET(c, EVENT_ACTION, "login");
		succeeded(c);
	}
	return true;
}

/* The account is what is worked on. */
static bool account_message(struct context *c, const struct audit_fields *f)
{
	if (!user_message(c, f)) {
		return false;
	}
	if (event_has(c->e, FIELD_USER_NAME)) {
		event_set(c->e, FIELD_USER_TARGET_NAME, c->e->f[FIELD_USER_NAME]);
		event_unset(c->e, FIELD_USER_NAME);
	}
	return true;
}

/* cwd="D" cmd=HEX: sudo's. */
static bool command_message(struct context *c, const struct audit_fields *f)
{
	struct slice v = audit_text(c, f->names, SLICE_LIT("AUID="));

	if (audit_known(v)) {
		set_user(c, v);
	}
	v = audit_text(c, f->raw, SLICE_LIT("cwd="));
	if (audit_known(v)) {
		event_set(c->e, FIELD_PROCESS_WORKING_DIRECTORY, v);
	}
	v = audit_text(c, f->raw, SLICE_LIT("cmd="));
	event_set(c->e, FIELD_PROCESS_COMMAND_LINE, v);
	set_place(c, f);
	return v.n > 0 && set_result(c, f);
}

/* unit=ssh comm="systemd" */
static bool service_message(struct context *c, const struct audit_fields *f)
{
	struct slice v = audit_text(c, f->raw, SLICE_LIT("unit="));

	if (v.n > 0) {
		event_set(c->e, FIELD_EVENT_REASON, v);
	}
	return set_result(c, f);
}

/* Records of which only the type counts. */
static bool any_message(struct context *c, const struct audit_fields *f)
{
	bool quoted;
	struct slice v = audit_text(c, f->names, SLICE_LIT("AUID="));

	if (!audit_known(v)) {
		v = audit_field(f->raw, SLICE_LIT("auid="), &quoted);
	}
	if (audit_known(v)) {
		set_user(c, v);
	}
	return true;
}

struct kind {
	struct slice type, number;
	struct slice category, event_type, action;
	bool (*read)(struct context *c, const struct audit_fields *f);
};

#define KIND(type, number, category, event_type, action, read) \
	{TEXT(type), TEXT(number), TEXT(category), TEXT(event_type), TEXT(action), read}

static const struct kind kinds[] = {
	KIND("SYSCALL", "1300", "process", "info", "syscall", audit_syscall),
	KIND("EXECVE", "1309", "process", "start", "process_started", audit_execve),
	KIND("PATH", "1302", "file", "access", "file_access", audit_path),
	KIND("CWD", "1307", "process", "info", "audit_context", audit_context),
	KIND("PROCTITLE", "1327", "process", "info", "process_title", audit_proctitle),
	KIND("EOE", "1320", "process", "info", "audit_context", audit_context),
	KIND("SOCKADDR", "1306", "process", "info", "audit_context", audit_context),
	KIND("OBJ_PID", "1318", "process", "info", "audit_context", audit_context),
	KIND("FD_PAIR", "1317", "process", "info", "audit_context", audit_context),
	KIND("BPRM_FCAPS", "1321", "process", "info", "audit_context", audit_context),
	KIND("CAPSET", "1322", "process", "info", "audit_context", audit_context),
	KIND("MMAP", "1323", "process", "info", "audit_context", audit_context),
	KIND("OPENAT2", "1337", "process", "info", "audit_context", audit_context),
	KIND("SOCKETCALL", "1304", "process", "info", "audit_context", audit_context),
	KIND("USER_LOGIN", "1112", "authentication", "start", "login", login_message),
	KIND("USER_AUTH", "1100", "authentication", "info", "pam_authentication",
	     auth_message),
	KIND("USER_ACCT", "1101", "authentication", "info", "pam_account", user_message),
	KIND("USER_ERR", "1109", "authentication", "info", "pam_error", user_message),
	KIND("GRP_AUTH", "1126", "authentication", "info", "pam_authentication",
	     user_message),
	KIND("USER_START", "1105", "session", "start", "session_opened", session_message),
	KIND("USER_END", "1106", "session", "end", "session_closed", user_message),
	KIND("CRED_ACQ", "1103", "session", "info", "credentials", user_message),
	KIND("CRED_DISP", "1104", "session", "info", "credentials", user_message),
	KIND("CRED_REFR", "1110", "session", "info", "credentials", user_message),
	KIND("USER", "1005", "process", "info", "audit_message", any_message),
	KIND("USER_LOGOUT", "1113", "session", "end", "logout", user_message),
	KIND("LOGIN", "1006", "session", "info", "login_uid", any_message),
	KIND("USER_CMD", "1123", "process", "start", "audit_command", command_message),
	KIND("USER_CHAUTHTOK", "1108", "iam", "change", "password_changed",
	     account_message),
	KIND("ADD_USER", "1114", "iam", "creation", "user_added", account_message),
	KIND("DEL_USER", "1115", "iam", "deletion", "user_deleted", account_message),
	KIND("ADD_GROUP", "1116", "iam", "creation", "group_added", account_message),
	KIND("DEL_GROUP", "1117", "iam", "deletion", "group_deleted", account_message),
	KIND("ACCT_LOCK", "1135", "iam", "change", "account_locked", account_message),
	KIND("ACCT_UNLOCK", "1136", "iam", "change", "account_unlocked", account_message),
	KIND("USER_MGMT", "1102", "iam", "change", "user_changed", account_message),
	KIND("GRP_MGMT", "1132", "iam", "change", "group_changed", account_message),
	KIND("GRP_CHAUTHTOK", "1133", "iam", "change", "group_changed", account_message),
	KIND("CHGRP_ID", "1119", "iam", "info", "group_id_used", user_message),
	KIND("CHUSER_ID", "1125", "iam", "info", "user_id_used", user_message),
	KIND("USER_ROLE_CHANGE", "2300", "session", "info", "selinux_role", user_message),
	KIND("ANOM_LOGIN_FAILURES", "2100", "authentication", "info", "too_many_failures",
	     user_message),
	KIND("RESP_ACCT_LOCK", "2207", "iam", "change", "account_locked", account_message),
	KIND("RESP_ACCT_LOCK_TIMED", "2205", "iam", "change", "account_locked",
	     account_message),
	KIND("CRYPTO_KEY_USER", "2404", "session", "info", "crypto", any_message),
	KIND("CRYPTO_SESSION", "2407", "session", "info", "crypto", any_message),
	KIND("CRYPTO_LOGIN", "2402", "session", "info", "crypto", any_message),
	KIND("SERVICE_START", "1130", "process", "start", "service_started",
	     service_message),
	KIND("SERVICE_STOP", "1131", "process", "end", "service_stopped", service_message),
	KIND("SYSTEM_BOOT", "1127", "host", "start", "startup", any_message),
	KIND("SYSTEM_SHUTDOWN", "1128", "host", "end", "power_off", any_message),
	KIND("SYSTEM_RUNLEVEL", "1129", "host", "info", "runlevel", any_message),
	KIND("SOFTWARE_UPDATE", "1138", "package", "change", "software_update",
	     any_message),
	KIND("TTY", "1319", "process", "info", "tty_input", any_message),
	KIND("USER_TTY", "1124", "process", "info", "tty_input", any_message),
	KIND("USYS_CONFIG", "1111", "configuration", "change", "system_configuration",
	     any_message),
	KIND("DAEMON_START", "1200", "process", "start", "audit_started", any_message),
	KIND("DAEMON_END", "1201", "process", "end", "audit_stopped", any_message),
	KIND("DAEMON_ABORT", "1202", "process", "end", "audit_stopped", any_message),
	KIND("DAEMON_CONFIG", "1203", "configuration", "change", "audit_configuration",
	     any_message),
	KIND("DAEMON_ROTATE", "1205", "process", "info", "audit_rotated", any_message),
	KIND("CONFIG_CHANGE", "1305", "configuration", "change", "audit_configuration",
	     any_message),
	KIND("FEATURE_CHANGE", "1328", "configuration", "change", "audit_configuration",
	     any_message),
	KIND("NETFILTER_CFG", "1325", "configuration", "change", "firewall_changed",
	     any_message),
	KIND("KERN_MODULE", "1330", "driver", "start", "kernel_module", any_message),
	KIND("BPF", "1334", "process", "info", "bpf", any_message),
	KIND("SECCOMP", "1326", "process", "denied", "seccomp", any_message),
	KIND("ANOM_ABEND", "1701", "process", "end", "process_crashed", any_message),
	KIND("ANOM_PROMISCUOUS", "1700", "network", "change", "promiscuous_mode",
	     any_message),
	KIND("AVC", "1400", "process", "denied", "access_denied", audit_denial),
	KIND("USER_AVC", "1107", "process", "denied", "access_denied", audit_denial),
	KIND("MAC_POLICY_LOAD", "1403", "configuration", "change", "mac_policy",
	     any_message),
	KIND("MAC_STATUS", "1404", "configuration", "change", "mac_policy", any_message),
	KIND("MAC_CONFIG_CHANGE", "1405", "configuration", "change", "mac_policy",
	     any_message),
};

static const struct kind *find_kind(struct slice type)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (slice_eq_short(kinds[i].type, type) ||
		    slice_eq_short(kinds[i].number, type)) {
			return &kinds[i];
		}
	}
	return NULL;
}

bool audit_record(struct context *c, struct slice type, struct slice serial,
		  struct slice fields)
{
	const struct kind *k = find_kind(type);
	size_t at = slice_chr(fields, SEPARATOR);
	struct audit_fields f = {.raw = slice_head(fields, at), .serial = serial};

	if (k == NULL) {
		return false;
	}
	if (at != SIZE_MAX) {
		f.names = slice_skip(fields, at + 1);
	}
	event_set(c->e, FIELD_EVENT_CATEGORY, k->category);
	event_set(c->e, FIELD_EVENT_TYPE, k->event_type);
	event_set(c->e, FIELD_EVENT_ACTION, k->action);
	return k->read(c, &f);
}

/* "[msg=]audit(TIME:SERIAL): " */
static bool take_stamp(struct slice *m, struct slice *serial)
{
	struct slice time;

	TAKE(m, "msg=");
	return TAKE(m, "audit(") && take_until(m, ':', &time) && take_digits(m, serial) &&
	       TAKE(m, ")") && (TAKE(m, ": ") || TAKE(m, " ") || IS(*m, ":"));
}

bool family_audit(struct context *c)
{
	struct slice m = c->m, type, node, serial;

	if (TAKE(&m, "node=") && !take_until(&m, ' ', &node)) {
		return false;
	}
	TAKE(&m, "audit: "); /* the kernel's own, when no auditd runs */
	return TAKE(&m, "type=") && take_until(&m, ' ', &type) && take_stamp(&m, &serial) &&
	       audit_record(c, type, serial, m);
}
