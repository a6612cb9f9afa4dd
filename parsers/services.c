/* Other daemons that log who could not log in, each by a few forms: a table, and what reads a
 * line by it.
 *
 * Sources: cyrus-sasl 2.1.28 saslauthd/saslauthd-main.c (do_auth); cyrus-imapd 3.6.1
 * imap/imapd.c and pop3d.c (badlogin, login); OpenSMTPD 6.8.0 smtpd/smtp_session.c; sendmail
 * 8.17 sendmail/srvrsmtp.c (LOG_AUTH_FAIL_USER); exim 4.96 src/smtp_in.c (host_and_ident);
 * lighttpd 1.4.69 src/mod_auth.c; PostgreSQL 15 src/backend/libpq/auth.c; xrdp 0.9 and 0.10
 * sesman/scp_v0.c, sesman/scp_process.c, sesman/sesexec/login_info.c.  By the forms of their
 * lines, without their sources: MariaDB, courier's imapd and pop3d, Proxmox VE, phpMyAdmin,
 * Roundcube.  Asterisk's lines are read by asterisk.c.  Not samba and Gitea, whose lines repeat
 * what the client says behind the address.
 */
#include "parsers/family.h"
#include "parsers/form.h"

enum daemon { SASLAUTHD, SMTPD, EXIM, LIGHTTPD, PHPMYADMIN, ROUNDCUBE, ASTERISK, XRDP, CYRUS,
	COURIER, SENDMAIL, MARIADB, POSTGRES, PROXMOX };

struct form {
	enum daemon daemon;
	struct slice form;
	struct slice action;
	struct slice method;
	enum { SUCCESS, FAILURE, TOLD } what; /* TOLD: another line counts it */
};

#define FORM(daemon, form, action, method, what) \
	{daemon, TEXT(form), TEXT(action), TEXT(method), what}

static const struct {
	struct slice name;
	enum daemon daemon;
} programs[] = {
	{TEXT("saslauthd"), SASLAUTHD}, {TEXT("smtpd"), SMTPD}, {TEXT("exim"), EXIM},
	{TEXT("exim4"), EXIM}, {TEXT("lighttpd"), LIGHTTPD}, {TEXT("phpMyAdmin"), PHPMYADMIN},
	{TEXT("roundcube"), ROUNDCUBE}, {TEXT("asterisk"), ASTERISK}, {TEXT("xrdp-sesman"), XRDP},
	{TEXT("xrdp-sesexec"), XRDP},
	{TEXT("cyrus/imap"), CYRUS}, {TEXT("cyrus/imaps"), CYRUS}, {TEXT("cyrus/pop3"), CYRUS},
	{TEXT("cyrus/pop3s"), CYRUS}, {TEXT("imap"), CYRUS}, {TEXT("imaps"), CYRUS},
	{TEXT("pop3"), CYRUS}, {TEXT("pop3s"), CYRUS}, {TEXT("imapd"), COURIER},
	{TEXT("imapd-ssl"), COURIER}, {TEXT("pop3d"), COURIER}, {TEXT("pop3d-ssl"), COURIER},
	{TEXT("imaplogin"), COURIER}, {TEXT("pop3login"), COURIER}, {TEXT("sendmail"), SENDMAIL},
	{TEXT("sm-mta"), SENDMAIL}, {TEXT("mysqld"), MARIADB}, {TEXT("mariadbd"), MARIADB},
	{TEXT("mariadb"), MARIADB}, {TEXT("mysql"), MARIADB},
	{TEXT("postgres"), POSTGRES}, {TEXT("postgresql"), POSTGRES},
	{TEXT("pvedaemon"), PROXMOX}, {TEXT("pveproxy"), PROXMOX},
};

static const struct form forms[] = {
	FORM(SASLAUTHD,
	     "do_auth         : auth failure: "
	     "[user=%u] [service=%w] [realm=%w] [mech=%w] [reason=%t]",
	     "mail_login", "password", FAILURE),
	FORM(SASLAUTHD,
	     "                : auth failure: "
	     "[user=%u] [service=%w] [realm=%w] [mech=%w] [reason=%t]",
	     "mail_login", "password", FAILURE),
	FORM(CYRUS, "badlogin: %r plaintext (%u) invalid user", "mail_login", "plaintext", FAILURE),
	FORM(CYRUS, "badlogin: %r plaintext (%u) [%t]", "mail_login", "plaintext", FAILURE),
	FORM(CYRUS, "badlogin: %r plaintext %u SASL(-13): authentication failure: %t", "mail_login",
	     "plaintext", FAILURE),
	FORM(CYRUS, "badlogin: %r %w (%u) [%t]", "mail_login", "", FAILURE),
	FORM(CYRUS, "badlogin: %r %w [SASL(-13): authentication failure: %t]", "mail_login", "",
	     FAILURE),
	FORM(CYRUS, "badlogin: %r anonymous login refused", "mail_login", "anonymous", FAILURE),
	FORM(CYRUS, "login: %r %u %w User logged in%t", "mail_login", "", SUCCESS),
	FORM(COURIER, "LOGIN FAILED, user=%u, ip=[%a]", "mail_login", "password", FAILURE),
	FORM(COURIER, "LOGIN FAILED, user=%u, ip=[%a], port=[%p]", "mail_login", "password",
	     FAILURE),
	FORM(COURIER, "LOGIN FAILED, method=%w, ip=[%a]", "mail_login", "", FAILURE),
	FORM(COURIER, "LOGIN, user=%u, ip=[%a], protocol=%w", "mail_login", "password", SUCCESS),
	FORM(COURIER, "LOGIN, user=%u, ip=[%a], port=[%p], protocol=%w", "mail_login", "password",
	     SUCCESS),
	FORM(SMTPD, "%i smtp connected address=%a host=%t", "mail_connection", "", TOLD),
	FORM(SMTPD, "%i smtp connected address=[%a] host=%t", "mail_connection", "", TOLD),
	FORM(SMTPD, "%i smtp authentication user=%u result=permfail", "mail_login", "password",
	     FAILURE),
	FORM(SMTPD, "%i smtp authentication user=%u result=ok", "mail_login", "password", SUCCESS),
	FORM(SENDMAIL, "%w: AUTH failure (%w): %t, user=%u, relay=%r", "mail_login", "", FAILURE),
	FORM(SENDMAIL, "%w: AUTH failure (%w): %t, relay=%r", "mail_login", "", FAILURE),
	FORM(SENDMAIL, "AUTH=server, relay=%r, authid=%u, mech=%w, bits=%n", "mail_login", "",
	     SUCCESS),
	FORM(EXIM, "%s%w authenticator failed for %h[%a]: %t(set_id=%u)", "mail_login", "",
	     FAILURE),
	FORM(EXIM, "%s%w authenticator failed for %h[%a]:%p: %t(set_id=%u)", "mail_login", "",
	     FAILURE),
	FORM(EXIM, "%s%w authenticator failed for %h[%a]: 535 Incorrect authentication data",
	     "mail_login", "", FAILURE),
	FORM(EXIM, "%s%w authenticator failed for %h[%a]:%p: 535 Incorrect authentication data",
	     "mail_login", "", FAILURE),
	FORM(LIGHTTPD, "(mod_auth.c.%n) password doesn't match for %t username: %u IP: %a",
	     "web_login", "basic", FAILURE),
	FORM(LIGHTTPD, "(mod_auth.c.%n) digest: auth failed for %u: wrong password, IP: %a",
	     "web_login", "digest", FAILURE),
	FORM(MARIADB, "%sAccess denied for user '%u'@'%a' (using password: %w)", "database_login",
	     "password", FAILURE),
	/* Its prefix may hold the user too, in front of the address: that is not believed. */
	FORM(POSTGRES, "%lFATAL:  %w authentication failed for user \"%u\"", "database_login", "",
	     FAILURE),
	FORM(POSTGRES, "%lFATAL:  no pg_hba.conf entry for host \"%w\", user \"%u\", database \"%t",
	     "database_login", "", FAILURE),
	FORM(PROXMOX, "authentication failure; rhost=%a user=%u msg=%t", "web_login", "password",
	     FAILURE),
	FORM(PROXMOX, "<%w> successful auth for user '%u'", "web_login", "password", SUCCESS),
	FORM(PHPMYADMIN, "user denied: %u (%w) from %a", "web_login", "password", FAILURE),
	FORM(PHPMYADMIN, "user authenticated: %u from %a", "web_login", "password", SUCCESS),
	FORM(ROUNDCUBE, "%sFailed login for %u from %a in session %w (error: %n)", "mail_login",
	     "password", FAILURE),
	FORM(ROUNDCUBE, "%sSuccessful login for %u (ID: %n) from %a in session %w", "mail_login",
	     "password", SUCCESS),
	FORM(XRDP, "%sAUTHFAIL: user=%u ip=%a time=%n", "desktop_login", "password",
	     FAILURE),
	FORM(XRDP, "%sAUTHFAIL: user=%u ip=%a:%p - socket: %n time=%n", "desktop_login", "password",
	     FAILURE),
	/* Of a gateway, or from 0.10 on: the address stands in another process' line. */
	FORM(XRDP, "%sAccess permitted for user: %u", "desktop_login", "password", SUCCESS),
	FORM(XRDP, "%s++ created session (access granted): username %u, ip %a", "desktop_login",
	     "password", SUCCESS),
	FORM(XRDP, "%s++ created session (access granted): username %u, ip %a:%p - socket: %n",
	     "desktop_login", "password", SUCCESS),
	FORM(XRDP, "%s++ reconnected session: username %u, display :%n.0, session_pid %n, ip %a",
	     "desktop_login", "password", SUCCESS),
	FORM(XRDP,
	     "%s++ reconnected session: username %u, display :%n.0, session_pid %n, "
	     "ip %a:%p - socket: %n",
	     "desktop_login", "password", SUCCESS),
};

static bool find_daemon(struct slice name, enum daemon *daemon)
{
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		if (programs[i].name.n == name.n && slice_eq_short(programs[i].name, name)) {
			*daemon = programs[i].daemon;
			return true;
		}
	}
	return false;
}

bool services_known(struct slice program)
{
	enum daemon daemon;

	return find_daemon(program, &daemon);
}

/* Of daemons that ask PAM in the same process PAM's line and theirs are one attempt. */
static void find_attempt(struct context *c, enum daemon daemon)
{
	enum { ENOUGH = 10000 }; /* a process may go on for ever, and a slot's counts end */

	if (daemon != SASLAUTHD && daemon != PROXMOX && daemon != XRDP) {
		return;
	}
	ctx_slot(c, SLOTS_OTHER);
	if (c->slot != NULL && c->slot->counted >= ENOUGH) {
		slot_again(c->slot);
	}
}

static bool say(struct context *c, const struct form *form, const struct form_found *f)
{
	SAY(c, "authentication", "start", "");
	event_set(c->e, FIELD_EVENT_ACTION, form->action);
	if (form->method.n > 0) {
		event_set(c->e, FIELD_AUTH_METHOD, form->method);
	}
	if (f->user.n > 0) {
		set_user(c, f->user);
	}
	set_source(c, f->address);
	if (f->port.n > 0 && event_has(c->e, FIELD_SOURCE_IP)) {
		set_port(c, f->port);
	}
	if (f->id.n > 0) {
		ctx_slot_id(c, SLOTS_OTHER, f->id);
		slot_give(c->slot, c->e);
		slot_keep(c->slot, c->e);
	}
	if (form->what == SUCCESS) {
		say_success(c);
	} else if (form->what == FAILURE) {
		find_attempt(c, form->daemon);
		say_failure(c, COUNT_DAEMON, 1);
	} else {
		SET(c, EVENT_CATEGORY, "network");
	}
	return true;
}

static bool by_form(struct context *c, enum daemon daemon, struct slice m)
{
	struct form_found f = {.steps = 0};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (forms[i].daemon == daemon && form_fits(forms[i].form, m, &f)) {
			return say(c, &forms[i], &f);
		}
	}
	return false;
}

bool family_services(struct context *c)
{
	enum daemon daemon;

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (!find_daemon(c->h->program, &daemon)) {
		return false;
	}
	if (daemon == ASTERISK) {
		return asterisk_line(c, c->m);
	}
	return c->m.n <= FORM_LINE_MAX && by_form(c, daemon, c->m);
}

bool services_bare(struct context *c, struct slice m)
{
	if (slice_find(m, SLICE_LIT(" authenticator failed for ")) != SIZE_MAX &&
	    by_form(c, EXIM, m)) {
		c->app = SLICE_LIT("exim");
		return true;
	}
	if (slice_find(m, SLICE_LIT("Access denied for user '")) != SIZE_MAX &&
	    by_form(c, MARIADB, m)) {
		c->app = SLICE_LIT("mariadb");
		return true;
	}
	return false;
}
