/* Applications that people run at home or in an office and that log who could not log in.
 * They write files of their own, whose lines name no program and begin in as many ways as
 * there are logging libraries: what stands behind a stamp is compared (header_more.body).
 *
 * Sources: Gitea routers/web/auth/auth.go, models/user (ErrUserNotExist); Jellyfin
 * Jellyfin.Server.Implementations/Users/UserManager.cs; Radarr, Sonarr, Prowlarr, Lidarr
 * AuthenticationService.cs; Uptime Kuma and Dockge (log.warn("auth")); Overseerr and
 * Jellyseerr server/routes/auth.ts; Bitwarden's event log (User_FailedLogIn); Ombi
 * TokenController.cs; qBittorrent src/webui/api/authcontroller.cpp; Odoo
 * addons/base/models/res_users.py; Redmine account_controller.rb; OpenLiteSpeed's WebAdmin
 * (emailFailedLogin); FreeSWITCH sofia_reg.c; Home Assistant components/http/ban.py;
 * Keycloak JBossLoggingEventListenerProvider.java; Samba auth/auth_log.c.  By the forms of their
 * lines, without their sources: Vaultwarden, Immich, SABnzbd, Technitium, Proxmox Backup Server,
 * webmin's log of actions, MikroTik.  Asterisk's are read by asterisk.c.
 *
 * Left out are those that write an address which the client may send (X-Forwarded-For):
 * Calibre-Web, Paperless, Guacamole.  Two of that kind are told of without the address:
 * Vaultwarden believes X-Real-IP of anybody (its IP_HEADER, unless that is set to "none"), and
 * Redmine logs Rails' remote_ip, which takes X-Forwarded-For and Client-IP.
 */
#include "parsers/family.h"
#include "parsers/form.h"

struct app {
	struct slice form; /* form.h */
	struct slice mark; /* a piece of it that is quickly looked for */
	struct slice name; /* who writes it, where the line does not say */
	struct slice action;
};

#define WEB(name, mark, form) {TEXT(form), TEXT(mark), TEXT(name), TEXT("web_login")}
#define VOIP(name, mark, form) {TEXT(form), TEXT(mark), TEXT(name), TEXT("voip_login")}

static const struct app apps[] = {
	WEB("vaultwarden", "Username or password is ",
	    "%sUsername or password is incorrect. Try again. IP: %w. Username: %u."),
	WEB("vaultwarden", "Invalid TOTP code",
	    "%sInvalid TOTP code! Server time: %w %w UTC IP: %w"),
	WEB("vaultwarden", "Invalid admin token", "%sInvalid admin token. IP: %w"),
	WEB("bitwarden", "[WRN] Failed login", "[WRN] Failed login attempt. %a"),
	WEB("bitwarden", "[WRN] Failed login", "%w [WRN] Failed login attempt. %a"),
	WEB("bitwarden", "[WRN] Failed login", "[WRN] Failed login attempt, 2FA invalid. %a"),
	WEB("bitwarden", "[WRN] Failed login", "%w [WRN] Failed login attempt, 2FA invalid. %a"),
	WEB("jellyfin", "has been denied (IP",
	    "%sAuthentication request for %u has been denied (IP: %a)."),
	WEB("jellyfin", "has been denied (IP",
	    "%sJellyfin.Server.Implementations.Users.UserManager: "
	    "Authentication request for \"%u\" has been denied (IP: \"%a\")."),
	WEB("servarr", "Auth-Failure ip", "%sAuth: Auth-Failure ip %a username '%u'"),
	WEB("uptime-kuma", "Incorrect username or",
	    "[AUTH] WARN: Incorrect username or password for user %u. IP=%a"),
	WEB("seerr", "Failed sign-in",
	    "[warn][API]: Failed sign-in attempt using invalid %w password "
	    "{\"ip\":\"%a\",\"email\":\"%u\"}"),
	WEB("seerr", "Failed sign-in",
	    "[warn][API]: Failed sign-in attempt using invalid %w password "
	    "{\"ip\":\"%a\",\"email\":\"%u\",\"userId\":%w}"),
	WEB("ombi", "attempt by IP", "[Warning] Failed login attempt by IP: %a"),
	WEB("ombi", "attempt by IP", "%w [Warning] Failed login attempt by IP: %a"),
	WEB("qbittorrent", "WebAPI login",
	    "(W) %w - WebAPI login failure. Reason: invalid credentials, "
	    "attempt count: %n, IP: %a, username: %u"),
	WEB("odoo", "res_users: Login",
	    "%n INFO %w odoo.addons.base.models.res_users: "
	    "Login failed for db:%w login:%u from %a"),
	WEB("redmine", "-- : Failed",
	    "W, [%w #%n]  WARN -- : Failed login for '%u' from %w at %w %w UTC"),
	WEB("openlitespeed", "[WebAdmin Console] F",
	    "[%w] [%w] [%w] [STDERR] [WebAdmin Console] Failed Login Attempt - username:%u ip:%a url:%w"),
	WEB("openlitespeed", "[WebAdmin Console] F",
	    "[%w] [%w] [STDERR] [WebAdmin Console] Failed Login Attempt - username:%u ip:%a url:%w"),
	WEB("immich", "WARN [AuthService]",
	    "[Nest] %n  - %w %w %wM    WARN [AuthService] "
	    "Failed login attempt for user %u from ip address %a"),
	WEB("home-assistant", "http.ban]",
	    "WARNING (%w) [homeassistant.components.http.ban] "
	    "Login attempt or request with invalid authentication from %w (%a). %t"),
	WEB("keycloak", "LOGIN_ERROR",
	    "WARN  [org.%w] (%w) type=LOGIN_ERROR, realmId=%w, clientId=%w, userId=%w, "
	    "ipAddress=%a, error=%t"),
	WEB("keycloak", "LOGIN_ERROR",
	    "WARN  [org.%w] (%w) type=\"LOGIN_ERROR\", realmId=\"%w\", realmName=\"%w\", "
	    "clientId=\"%w\", userId=\"%w\", ipAddress=\"%a\", error=%t"),
	WEB("sabnzbd", "Unsuccessful login",
	    "::WARNING::[%w] Unsuccessful login attempt from %a [%t]"),
	WEB("sabnzbd", "Unsuccessful login",
	    "::WARNING::[%w] Unsuccessful login attempt from %a (X-Forwarded-For: %t"),
	WEB("technitium", "DnsWebServiceException",
	    "[%w %w %w] [%a:%p] DnsServerCore.DnsWebServiceException: "
	    "Invalid username or password for user: %u"),
	WEB("proxmox-backup", "authentication failure; rhost",
	    ": authentication failure; rhost=[%a]:%p user=%u msg=%t"),
	WEB("webmin", "global miniserv.pl",
	    "%w [%w %w] %u %w %a global miniserv.pl \"failed\" \"-\" \"%w\""),
	WEB("mailu", "WARNING in limiter",
	    "%sWARNING in limiter: Authentication attempt from %a has been rate-limited."),
	WEB("stirling-pdf", "CustomAuthenticationFailureHandler",
	    "ERROR %w [%w] Failed login attempt from IP: %a"),
	WEB("stirling-pdf", "CustomAuthenticationFailureHandler",
	    "ERROR %w [%w] Failed login attempt from IP: [%a]"),
	WEB("routeros", "login failure for",
	    "system,error,critical login failure for user %u from %a via %w"),
	VOIP("freeswitch", "SIP auth failure",
	     "[WARNING] sofia_reg.c:%n SIP auth failure (%w) on sofia profile '%w' "
	     "for [%u@%w] from ip %a"),
	VOIP("freeswitch", "SIP auth failure",
	     "%w [WARNING] sofia_reg.c:%n SIP auth failure (%w) on sofia profile '%w' "
	     "for [%u@%w] from ip %a"),
	VOIP("freeswitch", "find user [",
	     "[WARNING] sofia_reg.c:%n Can't find user [%u@%w] from %a"),
	VOIP("freeswitch", "find user [",
	     "%w [WARNING] sofia_reg.c:%n Can't find user [%u@%w] from %a"),
};

static void say_start(struct context *c, struct slice action, struct slice name)
{
	SAY(c, "authentication", "start", "");
	event_set(c->e, FIELD_EVENT_ACTION, action);
	SET(c, AUTH_METHOD, "password");
	c->app = name;
}

static bool by_form(struct context *c, struct slice m, struct form_found *f)
{
	for (size_t i = 0; i < sizeof apps / sizeof *apps; i++) {
		if (slice_find(m, apps[i].mark) == SIZE_MAX || !form_fits(apps[i].form, m, f)) {
			continue;
		}
		say_start(c, apps[i].action, apps[i].name);
		if (f->user.n > 0) {
			set_user(c, f->user);
		}
		set_source(c, f->address);
		if (f->port.n > 0 && event_has(c->e, FIELD_SOURCE_IP)) {
			set_port(c, f->port);
		}
		say_failure(c, COUNT_DAEMON, 1);
		return true;
	}
	return false;
}

/* Cuts m at a text that stands in it once: twice means that somebody chose to be called so. */
static bool take_once(struct slice *m, struct slice text, struct slice *before)
{
	struct slice rest = *m, first;

	if (!take_before(&rest, text, &first) || slice_find(rest, text) != SIZE_MAX) {
		return false;
	}
	*before = first;
	*m = rest;
	return true;
}

/* Gitea, Forgejo: "...ers/web/auth/auth.go:200:SignInPost() [W] Failed authentication attempt
 * for U from A:P: user does not exist [uid: 0, name: U, keyid: 0]".  U is the client's. */
static bool gitea(struct context *c, struct slice m)
{
	struct slice where, level, user, client, port;

	if (!take_before(&m, SLICE_LIT("() ["), &where) || slice_chr(where, ' ') != SIZE_MAX ||
	    slice_find(where, SLICE_LIT("auth.go:")) == SIZE_MAX ||
	    !take_until(&m, ']', &level)) {
		return false;
	}
	/* "[645e123e] ": the request's, where it is logged */
	if (HAS(m, " [") && !take_until(&m, ']', &level)) {
		return false;
	}
	if (!TAKE(&m, " Failed authentication attempt for ")) {
		return false;
	}
	say_start(c, SLICE_LIT("web_login"), SLICE_LIT("gitea"));
	if (ENDS(m, "]") && take_once(&m, SLICE_LIT(" from "), &user) &&
	    take_before(&m, SLICE_LIT(": user does not exist ["), &client) &&
	    take_last(&client, ':', &port)) {
		set_user(c, user);
		set_source(c, client);
		set_port(c, port);
	}
	say_failure(c, COUNT_DAEMON, 1);
	return true;
}

/* "ipv4:192.0.2.1:4711", "ipv6:2001:db8::1:4711" */
static void set_samba_client(struct context *c, struct slice client)
{
	struct slice port;

	if ((TAKE(&client, "ipv4:") || TAKE(&client, "ipv6:")) &&
	    take_last(&client, ':', &port)) {
		set_source(c, client);
		set_port(c, port);
	}
}

/* "Auth: [SMB2,(null)] user [D]\[U] at [TIME] with [NTLMv2] status [NT_STATUS_X] workstation
 * [W] remote host [R] mapped to [D]\[U]. local host [L]".  D, U and W are the client's,
 * brackets and all. */
static bool samba(struct context *c, struct slice m)
{
	struct slice service, domain, user, status, workstation, client, mapped;

	if (!TAKE(&m, "Auth: [") || !take_before(&m, SLICE_LIT("] user ["), &service)) {
		return false;
	}
	say_start(c, SLICE_LIT("share_login"), SLICE_LIT("samba"));
	if (!take_once(&m, SLICE_LIT("] at ["), &user) ||
	    !take_before(&m, SLICE_LIT("] status ["), &status) ||
	    !take_until(&m, ']', &status) ||
	    !take_once(&m, SLICE_LIT("] remote host ["), &workstation) ||
	    !take_until(&m, ']', &client) ||
	    !take_once(&m, SLICE_LIT("]. local host ["), &mapped)) {
		say_failure(c, COUNT_DAEMON, 1); /* Nobody has such a name to log in with. */
		return true;
	}
	if (take_once(&user, SLICE_LIT("]\\["), &domain)) {
		set_user(c, user);
	}
	set_samba_client(c, client);
	if (IS(status, "NT_STATUS_OK")) {
		say_success(c);
	} else {
		say_failure(c, COUNT_DAEMON, 1);
	}
	return true;
}

/* Asterisk's own files: the line says itself whose it is. */
static bool asterisk(struct context *c, struct slice m)
{
	if (!asterisk_line(c, m)) {
		return false;
	}
	c->app = SLICE_LIT("asterisk");
	return true;
}

/* What none of the lines above is without: most lines of applications are left here. */
static bool likely(struct slice m)
{
	static const struct slice words[] = {TEXT("ogin"), TEXT("uth"), TEXT("sername"),
					     TEXT("sign-in"),
					     TEXT("find user ["), TEXT("admin token"), TEXT("TOTP"),
					     TEXT("LOGIN_ERROR"), TEXT("Access denied"),
					     TEXT("miniserv.pl")};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_find(m, words[i]) != SIZE_MAX) {
			return true;
		}
	}
	return false;
}

static bool by_text(struct context *c, struct slice m, struct form_found *f)
{
	return by_form(c, m, f) || gitea(c, m) || samba(c, m) || services_bare(c, m);
}

bool family_apps(struct context *c)
{
	struct slice body = c->more->body.n > 0 ? c->more->body : c->m;
	struct form_found f = {.steps = 0};

	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (c->more->object.n > 0 && app_members(c, c->more->object)) {
		return true;
	}
	event_reset(c->e);
	if (app_members(c, body) || app_gin(c, body) || filter_routeros(c, c->m)) {
		return true;
	}
	event_reset(c->e);
	if (asterisk(c, body) || (body.p != c->m.p && asterisk(c, c->m))) {
		return true;
	}
	event_reset(c->e);
	if (body.n > FORM_LINE_MAX || !likely(body)) {
		return false;
	}
	return by_text(c, body, &f) || (body.p != c->m.p && by_text(c, c->m, &f));
}
