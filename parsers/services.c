/* Other daemons that log who could not log in, each by a few forms: a table, and what reads a
 * line by it.
 *
 * Sources: cyrus-sasl 2.1.28 saslauthd/saslauthd-main.c (do_auth); cyrus-imapd 3.6.1
 * imap/imapd.c and pop3d.c (badlogin, login); OpenSMTPD 6.8.0 smtpd/smtp_session.c; sendmail
 * 8.17 sendmail/srvrsmtp.c (LOG_AUTH_FAIL_USER); exim 4.96 src/smtp_in.c (host_and_ident);
 * lighttpd 1.4.69 src/mod_auth.c; PostgreSQL 15 src/backend/libpq/auth.c.  By the forms of
 * their lines, without their sources: MariaDB, courier's imapd and pop3d, Proxmox VE,
 * phpMyAdmin, Roundcube, Asterisk, xrdp-sesman.  Not samba and Gitea, whose lines repeat what
 * the client says behind the address.
 *
 * A form is compared whole, from the first byte to the last.  Its user may hold anything and
 * is as long as what follows allows: so what stands behind it is the daemon's own, and the
 * last of several places counts.  A text in front of an address, and one behind a user, is
 * barred from what would let a name pose as the rest of another form.  All other fields hold
 * no blank.
 */
#include "parsers/family.h"

enum daemon { SASLAUTHD, SMTPD, EXIM, LIGHTTPD, PHPMYADMIN, ROUNDCUBE, ASTERISK, XRDP, CYRUS,
	COURIER, SENDMAIL, MARIADB, POSTGRES, PROXMOX };

/* %u user   %a address   %p port   %n digits   %w a word   %t text, as short as can be
 * %s the daemon's stamp: "[INFO ] ", "2026-11-22 15:37:46 5 [Warning] ", "NOTICE[7]: ", ""
 * %h like %t, without "]:"   %l without ":  "   %q without "'"
 * %i like %w: the connection's id, which joins its lines
 * %r "[HOST ][ADDRESS][ (may be forged)]" */
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
	{TEXT("cyrus/imap"), CYRUS}, {TEXT("cyrus/imaps"), CYRUS}, {TEXT("cyrus/pop3"), CYRUS},
	{TEXT("cyrus/pop3s"), CYRUS}, {TEXT("imap"), CYRUS}, {TEXT("imaps"), CYRUS},
	{TEXT("pop3"), CYRUS}, {TEXT("pop3s"), CYRUS}, {TEXT("imapd"), COURIER},
	{TEXT("imapd-ssl"), COURIER}, {TEXT("pop3d"), COURIER}, {TEXT("pop3d-ssl"), COURIER},
	{TEXT("imaplogin"), COURIER}, {TEXT("pop3login"), COURIER}, {TEXT("sendmail"), SENDMAIL},
	{TEXT("sm-mta"), SENDMAIL}, {TEXT("mysqld"), MARIADB}, {TEXT("mariadbd"), MARIADB},
	{TEXT("mariadb"), MARIADB}, {TEXT("postgres"), POSTGRES}, {TEXT("postgresql"), POSTGRES},
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
	FORM(ASTERISK,
	     "%schan_sip.c:%n in handle_request_register: "
	     "Registration from '%u' failed for '%a:%p' - %q",
	     "voip_login", "digest", FAILURE),
	FORM(ASTERISK,
	     "%schan_sip.c:%n in handle_request_register: "
	     "Registration from '%u' failed for '%a' - %q",
	     "voip_login", "digest", FAILURE),
	FORM(ASTERISK,
	     "%schan_sip.c:%n handle_request_register: "
	     "Registration from '%u' failed for '%a:%p' - %q",
	     "voip_login", "digest", FAILURE),
	FORM(ASTERISK,
	     "%schan_sip.c:%n handle_request_register: "
	     "Registration from '%u' failed for '%a' - %q",
	     "voip_login", "digest", FAILURE),
	FORM(XRDP, "%sAUTHFAIL: user=%u ip=%a time=%n", "desktop_login", "password",
	     FAILURE),
};

struct found {
	struct slice user, address, port, id;
	unsigned steps; /* of the line, for all its forms together */
};

/* Lines that are made to fit nearly, in many ways, are given up. */
enum { STEPS_MAX = 30000 };

static bool fits(struct slice form, struct slice m, struct found *f);

/* The field is m's first n bytes, and the rest of the form fits what is behind them. */
static bool rest_fits(struct slice form, struct slice m, size_t n, struct found *f)
{
	return fits(slice_skip(form, 2), slice_skip(m, n), f);
}

/* No field follows this one: then its length is told by m's, and otherwise at least 0. */
static size_t shortest(struct slice form, struct slice m)
{
	size_t tail = form.n - 2;

	return memchr(form.p + 2, '%', tail) == NULL && m.n > tail ? m.n - tail : 0;
}

/* The user: all that the rest leaves. */
static bool user_fits(struct slice form, struct slice m, struct found *f)
{
	for (size_t n = m.n + 1, least = shortest(form, m); n-- > least;) {
		if (rest_fits(form, m, n, f)) {
			f->user = slice_head(m, n);
			return true;
		}
	}
	return false;
}

/* What a text of this kind can't hold. */
static struct slice barred(char kind)
{
	switch (kind) {
	case 'h':
		return SLICE_LIT("]:");
	case 'l':
		return SLICE_LIT(":  ");
	case 'q':
		return SLICE_LIT("'");
	default:
		return SLICE_NONE;
	}
}

static bool text_fits(struct slice form, struct slice m, struct found *f)
{
	struct slice bar = barred(form.p[1]);
	size_t at = bar.n == 0 ? SIZE_MAX : slice_find(m, bar);
	size_t most = at == SIZE_MAX ? m.n : at + bar.n - 1;

	for (size_t n = shortest(form, m); n <= most; n++) {
		if (rest_fits(form, m, n, f)) {
			return true;
		}
	}
	return false;
}

/* The first word of a stamp and the blanks behind it: one that begins with a digit, or is in
 * brackets.  0: none. */
static size_t stamp_word(struct slice s)
{
	size_t n = 0, close;

	if (s.n > 0 && is_digit(s.p[0])) {
		n = slice_chr(s, ' ');
	} else {
		while (n < s.n && s.p[n] >= 'A' && s.p[n] <= 'Z') {
			n++;
		}
		if (n == s.n || (s.p[n] != '[' && s.p[n] != '<')) {
			return 0;
		}
		while (n < s.n && (s.p[n] == '[' || s.p[n] == '<')) {
			close = slice_chr(slice_skip(s, n), s.p[n] == '[' ? ']' : '>');
			if (close == SIZE_MAX) {
				return 0;
			}
			n += close + 1;
		}
		n += n < s.n && s.p[n] == ':';
	}
	if (n >= s.n || s.p[n] != ' ') {
		return 0;
	}
	while (n < s.n && s.p[n] == ' ') {
		n++;
	}
	return n;
}

static bool stamp_fits(struct slice form, struct slice m, struct found *f)
{
	size_t n = 0, word;

	while ((word = stamp_word(slice_skip(m, n))) > 0) {
		n += word;
	}
	return rest_fits(form, m, n, f);
}

/* "[HOST ][ADDRESS][ (may be forged)]" at m's beginning. */
static bool relay_fits(struct slice form, struct slice m, struct found *f)
{
	struct slice rest = m, host, address;

	if (!HAS(rest, "[") && (!take_word(&rest, &host) || !HAS(rest, "["))) {
		return false;
	}
	if (!TAKE(&rest, "[") || !take_until(&rest, ']', &address)) {
		return false;
	}
	TAKE(&rest, " (may be forged)");
	TAKE(&address, "IPv6:"); /* sendmail */
	if (!rest_fits(form, m, (size_t)(rest.p - m.p), f)) {
		return false;
	}
	f->address = address;
	return true;
}

/* A word as long as can be: up to a blank, a quote or a bracket. */
static bool word_fits(struct slice form, struct slice m, struct found *f)
{
	char kind = form.p[1];
	size_t n = 0;

	while (n < m.n && m.p[n] != ' ' && m.p[n] != ']' && m.p[n] != '\'' && m.p[n] != '"' &&
	       ((kind != 'p' && kind != 'n') || is_digit(m.p[n]))) {
		n++;
	}
	/* "192.0.2.1:4711", "plain: ..": as much of it as the rest leaves. */
	do {
		if (!rest_fits(form, m, n, f)) {
			continue;
		}
		if (kind == 'a') {
			f->address = slice_head(m, n);
		} else if (kind == 'p') {
			f->port = slice_head(m, n);
		} else if (kind == 'i') {
			f->id = slice_head(m, n);
		}
		return kind == 'w' || n > 0;
	} while (n-- > 0);
	return false;
}

static bool fits(struct slice form, struct slice m, struct found *f)
{
	const char *field = form.n == 0 ? NULL : memchr(form.p, '%', form.n);
	size_t n = field == NULL ? form.n : (size_t)(field - form.p);

	if (++f->steps > STEPS_MAX || m.n < n || memcmp(m.p, form.p, n) != 0) {
		return false;
	}
	form = slice_skip(form, n);
	m = slice_skip(m, n);
	if (form.n == 0) {
		return m.n == 0;
	}
	switch (form.p[1]) {
	case 'u':
		return user_fits(form, m, f);
	case 's':
		return stamp_fits(form, m, f);
	case 't':
	case 'h':
	case 'l':
	case 'q':
		return text_fits(form, m, f);
	case 'r':
		return relay_fits(form, m, f);
	default:
		return word_fits(form, m, f);
	}
}

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

static bool say(struct context *c, const struct form *form, const struct found *f)
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

/* Trying a form costs as much as the line is long, for each field: longer ones are nobody's. */
enum { LINE_MAX_BYTES = 1024 };

bool family_services(struct context *c)
{
	enum daemon daemon;
	unsigned steps = 0;

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (c->m.n > LINE_MAX_BYTES || !find_daemon(c->h->program, &daemon)) {
		return false;
	}
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct found f = {.steps = steps};

		if (forms[i].daemon == daemon && fits(forms[i].form, c->m, &f)) {
			return say(c, &forms[i], &f);
		}
		steps = f.steps;
	}
	return false;
}
