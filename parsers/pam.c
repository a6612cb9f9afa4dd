/* PAM's own lines, whatever the program.
 *
 * Source: Linux-PAM 1.5.2 modules/pam_unix/support.c (_unix_verify_password,
 * _cleanup_failures), pam_unix_sess.c, pam_unix_acct.c, passverify.c, pam_unix_auth.c;
 * pam_faillock.c, pam_access.c, pam_listfile.c, pam_succeed_if.c, pam_securetty.c,
 * pam_time.c; libpam/pam_syslog.c for "module(service:type): "; Linux-PAM before
 * 0.99 for "program(pam_unix)[pid]: " and "(pam_unix) "; pam_tally2.c of 1.3.1;
 * sssd src/sss_client/pam_sss.c (logger() calls).
 *
 * "authentication failure; logname=.. uid=.. euid=.. tty=.. ruser=.. rhost=.. user=.."
 * The attacker may choose ruser (FTP daemons put the user's name there), user, and,
 * where a daemon looks up names, rhost, though no blank gets into that.
 */
#include "parsers/pam.h"

struct origin {
	struct slice ruser, rhost, user;
	bool has_user;
};

/* "RHOST[ ][ user=USER]" at the start of s; false: there is something else behind RHOST. */
static bool take_rhost(struct slice s, struct origin *o)
{
	take_word(&s, &o->rhost);
	skip_blanks(&s);
	o->has_user = TAKE(&s, "user=");
	o->user = s;
	return o->has_user || s.n == 0;
}

/* Whether a daemon would write this: one name twice; no user, as PAM does not know him; or, of
 * a daemon that has no ruser, anything. */
static bool likely(const struct origin *o)
{
	return !o->has_user || o->ruser.n == 0 || slice_eq(o->user, o->ruser);
}

/* s starts behind " ruser=".  A name that holds " rhost=" makes several readings; where not
 * just one of them is likely, none is told.  local: ruser is an account of this host, which
 * holds no such thing, so that the first is the daemon's. */
static void split_origin(struct slice s, bool local, struct origin *o)
{
	static const struct slice key = TEXT(" rhost=");
	size_t at = slice_find(s, key);
	struct origin one = {.ruser = SLICE_NONE};
	unsigned readings = 0;

	*o = one;
	if (at == SIZE_MAX) {
		return;
	}
	o->ruser = slice_head(s, at);
	take_rhost(slice_skip(s, at + key.n), o);
	if (local || slice_find(slice_skip(s, at + 1), key) == SIZE_MAX) {
		return;
	}
	for (size_t next = at; at != SIZE_MAX; at = next) {
		struct origin other = {.ruser = slice_head(s, at)};

		if (take_rhost(slice_skip(s, at + key.n), &other) && likely(&other)) {
			one = other;
			readings++;
		}
		next = slice_find(slice_skip(s, at + 1), key);
		next = next == SIZE_MAX ? next : next + at + 1;
	}
	*o = readings == 1 ? one : (struct origin){.ruser = SLICE_NONE};
}

#define SERVICE(name, action, own) {TEXT(name), TEXT(action), own}

static const struct pam_service services[] = {
	SERVICE("sshd", "ssh_login", true),
	SERVICE("sudo", "sudo", true),
	SERVICE("sudo-i", "sudo", true),
	SERVICE("su", "su", true),
	SERVICE("su-l", "su", true),
	SERVICE("runuser", "su", true),
	SERVICE("runuser-l", "su", true),
	SERVICE("cron", "cron_session", true),
	SERVICE("crond", "cron_session", true),
	SERVICE("atd", "cron_session", true),
	SERVICE("systemd-user", "user_manager", true),
	SERVICE("login", "login", false), /* shadow tells of root only */
	SERVICE("remote", "login", false),
	SERVICE("doas", "doas", true),
	SERVICE("polkit-1", "polkit", true),
	SERVICE("dropbear", "ssh_login", true),
	SERVICE("vsftpd", "ftp_login", false),
	SERVICE("proftpd", "ftp_login", false),
	SERVICE("pure-ftpd", "ftp_login", false),
	SERVICE("ftp", "ftp_login", false),
	SERVICE("dovecot", "mail_login", true),
	SERVICE("smtp", "mail_login", true),
	SERVICE("imap", "mail_login", true),
	SERVICE("pop3", "mail_login", true),
	SERVICE("passwd", "password_change", true),
	SERVICE("chpasswd", "password_change", true),
	SERVICE("cockpit", "web_login", false),
	SERVICE("webmin", "web_login", true),
	SERVICE("usermin", "web_login", true),
	SERVICE("openvpn", "vpn_login", true),
};

static const struct pam_service other_service =
	SERVICE("", "login", false);

static const struct pam_service *find_service(struct slice name)
{
	for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
		if (slice_eq_short(services[i].name, name)) {
			return &services[i];
		}
	}
	return &other_service;
}

static bool is(const struct pam_service *s, const char *action)
{
	return slice_eq(s->action, slice_str(action));
}

void pam_authentication(struct context *c, const struct pam_service *s)
{
	SAY(c, "authentication", "start", "");
	event_set(c->e, FIELD_EVENT_ACTION, s->action);
}

/* sudo logs without a pid as a rule: then its lines are joined by user. */
void pam_find_slot(struct context *c, unsigned slots_family, struct slice user)
{
	if (c->h->pid.n > 0) {
		ctx_slot(c, slots_family);
	} else if ((slots_family == SLOTS_SUDO || slots_family == SLOTS_SU ||
		    slots_family == SLOTS_DOAS) &&
		   user.n > 0) {
		ctx_slot_id(c, slots_family, user);
	}
}

/* The address that an earlier line of the process gave for PAM's host name. */
void pam_fill_in(struct context *c)
{
	struct event e;
	bool named = event_has(c->e, FIELD_SOURCE_ADDRESS);

	if (c->slot == NULL) {
		return;
	}
	slot_keep(c->slot, c->e);
	if (named) {
		event_reset(&e);
		slot_give(c->slot, &e);
		if (event_has(&e, FIELD_SOURCE_IP)) {
			event_set(c->e, FIELD_SOURCE_IP,
				  e.f[FIELD_SOURCE_IP]);
		}
	}
	slot_give(c->slot, c->e);
}

/* A process that goes on for other users (openvpn's plugin, dovecot's worker) has told of one
 * attempt and now tells of another: whose that was says nothing of this one. */
void pam_another(struct context *c, unsigned slots_family)
{
	struct slot *s = c->slot;

	if (s != NULL && slots_family == SLOTS_OTHER &&
	    (s->count[COUNT_PAM] > 0 || s->count[COUNT_PAM_OTHER] > 0)) {
		s->user_n = s->address_n = s->port_n = 0;
		s->address_is_ip = false;
	}
}

void pam_another_user(struct context *c, unsigned slots_family, struct slice user)
{
	if (c->slot != NULL && (user.n == 0 || c->slot->user_n != user.n ||
				memcmp(c->slot->user, user.p, user.n) != 0)) {
		pam_another(c, slots_family);
	}
}

/* pam_set_item(3): PAM_RUSER is "the requesting user name: local name for a locally requesting
 * user or a remote user name for a remote requesting user".  Nobody proves the remote one (rsh),
 * and of an anonymous FTP login it is an e-mail address (pam_ftp.c): there the user is whom the
 * login is for.  A program that an ordinary user has started (uid, which is getuid(), is not
 * root's) and that asks for another's password is as su: ruser wants to be user. */
static bool by_local_user(struct slice head, const struct origin *o)
{
	struct slice uid = scan_pair(head, SLICE_LIT("uid="));

	return o->ruser.n > 0 && o->rhost.n == 0 && uid.n > 0 && !IS(uid, "0") &&
	       !slice_eq(o->ruser, slice_trim(o->user));
}

/* "authentication failure; ..." (n = 1) and "n more authentication failures; ..." */
static bool failures(struct context *c, struct slice m, uint32_t n, bool more,
		     bool unix_module, const struct pam_service *s,
		     unsigned slots_family)
{
	struct slice head = SLICE_NONE, tty;
	struct origin o;

	if (TAKE(&m, "logname= uid=0 euid=0 tty=ssh ruser= rhost=")) {
		/* What sshd's always begin with: the same, at once. */
		tty = SLICE_LIT("ssh");
		o.ruser = SLICE_NONE;
		take_rhost(m, &o);
	} else if (take_before(&m, SLICE_LIT(" ruser="), &head)) {
		split_origin(m, is(s, "su") || is(s, "sudo"), &o);
		tty = scan_pair(head, SLICE_LIT("tty="));
	} else {
		return false;
	}
	pam_authentication(c, s);
	SET(c, EVENT_REASON, "authentication failure");
	if (tty.n > 0) {
		event_set(c->e, FIELD_AUTH_TTY, tty);
	}
	pam_find_slot(c, slots_family, o.ruser.n > 0 ? o.ruser : o.user);
	if (is(s, "login")) {
		ctx_slot_place(c, slots_family, o.rhost.n > 0 ? o.rhost : tty);
	}
	if (c->slot != NULL && !more && (c->slot->flags & SLOT_ENDED) != 0) {
		slot_again(c->slot);
	}
	if (!more && unix_module) {
		pam_another(c, slots_family);
	}
	if (is(s, "su") || is(s, "sudo")) {
		/* ruser asks to become user. */
		if (o.ruser.n > 0) {
			set_user(c, o.ruser);
		}
		if (o.has_user && is(s, "su")) {
			event_set(c->e, FIELD_USER_EFFECTIVE_NAME, o.user);
		} else if (o.has_user && o.ruser.n == 0) {
			set_user(c, o.user);
		}
	} else if (o.has_user && by_local_user(head, &o)) {
		set_user(c, o.ruser);
		event_set(c->e, FIELD_USER_EFFECTIVE_NAME, slice_trim(o.user));
	} else if (o.has_user) {
		set_user(c, slice_trim(o.user));
	} else if (o.ruser.n > 0) {
		set_user(c, o.ruser);
	}
	set_source(c, o.rhost);
	say_failure(c, unix_module ? COUNT_PAM : COUNT_PAM_OTHER, n);
	if (!is(s, "login") || c->h->pid.n > 0) {
		pam_fill_in(c);
	}
	return true;
}

/* Cuts the last "(uid=" and all behind it off. */
static struct slice without_uid(struct slice name)
{
	struct slice t = name, digits;

	if (TAKE_END(&t, ")") && take_last_digits(&t, &digits) &&
	    TAKE_END(&t, "(uid=")) {
		return t;
	}
	return slice_head(name, slice_rfind(name, SLICE_LIT("(uid=")));
}

/* "session opened for user NAME[(uid=N)] by [NAME](uid=N)" */
static bool opened(struct context *c, struct slice m, const struct pam_service *s,
		   unsigned slots_family)
{
	struct slice user = m, by = m;

	if (TAKE_END(&user, " by (uid=0)")) {
		by = SLICE_NONE; /* nobody: nearly always so */
	} else if (take_before_last(&by, SLICE_LIT(" by "), &user)) {
		if (!ENDS(by, ")")) {
			return false; /* The line was cut. */
		}
		by = without_uid(by);
	} else if (ENDS(m, " by")) {
		return false;
	} else {
		user = m;
		by = SLICE_NONE;
	}
	if (ENDS(user, ")")) { /* since 1.5 the number stands behind the name */
		user = without_uid(user);
	}
	SAY(c, "session", "start", "session_opened");
	c->e->outcome = OUTCOME_SUCCESS;
	if (by.n > 0 && (is(s, "su") || is(s, "sudo"))) {
		set_user(c, by);
		event_set(c->e, FIELD_USER_EFFECTIVE_NAME, user);
	} else {
		set_user(c, user);
	}
	pam_find_slot(c, slots_family, user);
	pam_another_user(c, slots_family, user);
	if (c->slot != NULL) {
		slot_give(c->slot, c->e);
	}
	if (!s->own_line) {
		/* No other line tells of this login. */
		SET(c, EVENT_CATEGORY, "authentication");
		event_set(c->e, FIELD_EVENT_ACTION, s->action);
		say_success(c);
	}
	return true;
}

static bool closed(struct context *c, struct slice user, unsigned slots_family)
{
	SAY(c, "session", "end", "session_closed");
	set_user(c, user);
	pam_find_slot(c, slots_family, user);
	pam_another_user(c, slots_family, user);
	if (c->slot != NULL) {
		slot_give(c->slot, c->e);
	}
	return true;
}

/* "authentication success; logname=.. user=NAME", of pam_sss: who it is, and that more is to
 * come.  The line that counts is the daemon's or the session's. */
static bool passed(struct context *c, struct slice m, const struct pam_service *s)
{
	struct slice head;
	struct origin o;

	if (!take_before(&m, SLICE_LIT(" ruser="), &head)) {
		return false;
	}
	split_origin(m, is(s, "su") || is(s, "sudo"), &o);
	if (!o.has_user) {
		return false;
	}
	pam_authentication(c, s);
	SET(c, EVENT_TYPE, "info");
	set_user(c, o.user);
	set_source(c, o.rhost);
	c->e->outcome = OUTCOME_SUCCESS;
	return true;
}

static bool module_message(struct context *c, struct slice m, bool unix_module,
			   const struct pam_service *s, unsigned slots_family)
{
	struct slice digits;
	uint64_t n;

	if (TAKE(&m, "authentication failure; ")) {
		return failures(c, m, 1, false, unix_module, s, slots_family);
	}
	if (TAKE(&m, "authentication success; ")) {
		return passed(c, m, s);
	}
	if (TAKE(&m, "session opened for user ")) {
		return opened(c, m, s, slots_family);
	}
	if (TAKE(&m, "session closed for user ")) {
		return closed(c, m, slots_family);
	}
	if (TAKE(&m, "password changed for ")) {
		SAY(c, "iam", "change", "password_changed");
		event_set(c->e, FIELD_USER_TARGET_NAME, m);
		c->e->outcome = OUTCOME_SUCCESS;
		return true;
	}
	if (m.n > 0 && is_digit(m.p[0]) && take_digits(&m, &digits) &&
	    slice_to_u64(digits, 10000, &n) &&
	    (TAKE(&m, " more authentication failures; ") ||
	     TAKE(&m, " more authentication failure; "))) {
		return failures(c, m, (uint32_t)n, true, unix_module, s,
				slots_family);
	}
	return pam_module_line(c, m, s, slots_family);
}

bool pam_message(struct context *c, unsigned slots_family)
{
	struct slice m = c->m, module, service = c->h->program;

	if (m.n < 8) {
		return false;
	}
	if (m.p[0] == 'p' && TAKE(&m, "pam_")) {
		/* "pam_unix(sshd:auth): " */
		struct slice inner;

		if (!take_until(&m, '(', &module) || module.n > 32 ||
		    !take_until(&m, ')', &inner) || !TAKE(&m, ": ") ||
		    !take_until(&inner, ':', &service)) {
			return false;
		}
	} else if (m.p[0] == 'P' && HAS(m, "PAM ") && is_digit(m.p[4])) {
		/* "PAM 2 more authentication failures; ..." */
		m = slice_skip(m, 4);
		module = SLICE_LIT("unix");
	} else if (m.p[0] == '(' && TAKE(&m, "(pam_")) {
		if (!take_until(&m, ')', &module) || module.n > 32 ||
		    !TAKE(&m, " ")) {
			return false;
		}
	} else if (HAS(c->more->module, "pam_")) {
		module = slice_skip(c->more->module, 4);
	} else if (HAS(m, "authentication failure; logname=")) {
		module = SLICE_LIT("unix"); /* vsftpd on some systems */
	} else {
		return false;
	}
	if (!module_message(c, m, IS(module, "unix"), find_service(service),
			    slots_family)) {
		return false;
	}
	event_set(c->e, FIELD_AUTH_SERVICE, service);
	return true;
}

bool family_pam(struct context *c)
{
	return pam_message(c, SLOTS_OTHER);
}

struct slice scan_pair(struct slice s, struct slice key)
{
	struct slice value;

	for (;;) {
		size_t at = slice_find(s, key);

		if (at == SIZE_MAX) {
			return SLICE_NONE;
		}
		if (at == 0 || s.p[at - 1] == ' ') {
			s = slice_skip(s, at + key.n);
			return take_word(&s, &value) ? value : SLICE_NONE;
		}
		/* A blank is the only byte that a key can follow. */
		s = slice_skip(s, at);
		if (!take_until(&s, ' ', &value)) {
			return SLICE_NONE;
		}
	}
}
