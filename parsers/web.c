/* nginx and Apache: failed basic and digest authentication, and refusals in access logs.
 *
 * Source: nginx 1.22.1 src/http/modules/ngx_http_auth_basic_module.c,
 * ngx_http_core_module.c (access forbidden), src/http/ngx_http_request.c
 * (ngx_http_log_error: ", client: ADDRESS, server: .., request: "..", host: "..",
 * referrer: ".."" behind the text), src/core/ngx_log.c, ngx_syslog.c; Apache 2.4.68
 * modules/aaa/mod_auth_basic.c, mod_auth_digest.c, mod_authz_core.c, mod_access_compat.c,
 * server/log.c (do_errorlog_default) and 2.2's log.c; both servers' "combined" format
 * (mod_log_config.c, ngx_http_log_module.c: quotes and control characters are escaped);
 * HAProxy's configuration manual, 8.2.3 ("HTTP log format");
 * nginx' src/mail/ngx_mail_auth_http_module.c; ModSecurity 2 apache2/apache2_util.c.
 *
 * The user, the path, the referrer and the agent are the client's.  A user of basic
 * authentication holds no colon (RFC 7617, 2), so in an error log the *first* ": " or
 * ", client: " behind it is the server's; what the client sent of its request comes later.
 * In an access log the address comes first and holds no blank.
 */
#include "parsers/family.h"

static void failure(struct context *c, struct slice user, const char *reason)
{
	SAY(c, "authentication", "start", "web_login");
	if (!event_has(c->e, FIELD_AUTH_METHOD)) {
		SET(c, AUTH_METHOD, "basic");
	}
	event_set(c->e, FIELD_EVENT_REASON, slice_str(reason));
	set_user(c, user);
	say_failure(c, COUNT_DAEMON, 1);
}

static void denied(struct context *c)
{
	SAY(c, "web", "denied", "http_forbidden");
	c->e->outcome = OUTCOME_FAILURE;
}

/* "user "U": password mismatch", "user "U" was not found in "FILE"" */
static bool nginx_user(struct context *c, struct slice text)
{
	struct slice user;

	if (TAKE_END(&text, "\": password mismatch")) {
		failure(c, text, "password mismatch");
		return true;
	}
	if (take_before_last(&text, SLICE_LIT("\" was not found in \""), &user)) {
		failure(c, user, "unknown user");
		return true;
	}
	return false;
}

/* "[error] 123#123: *1 TEXT, client: ADDRESS, server: ..., request: ..." */
static bool nginx_error(struct context *c, struct slice m)
{
	struct slice level, text, address;

	if (!TAKE(&m, "[") || !take_until(&m, ']', &level) ||
	    !take_before(&m, SLICE_LIT(": *"), &text) ||
	    !take_until(&m, ' ', &text) ||
	    !take_before(&m, SLICE_LIT(", client: "), &text)) {
		return false;
	}
	if (TAKE(&text, "user \"")) {
		if (!nginx_user(c, text)) {
			return false;
		}
	} else if (HAS(text, "client login failed: \"")) {
		/* The mail proxy: what its authentication server said. */
		SAY(c, "authentication", "start", "mail_login");
		SET(c, AUTH_METHOD, "password");
		say_failure(c, COUNT_DAEMON, 1);
	} else if (IS(text, "access forbidden by rule") ||
		   (HAS(text, "directory index of \"") &&
		    ENDS(text, "\" is forbidden"))) {
		denied(c);
	} else if (IS(text, "no user/password was provided for basic "
			    "authentication")) {
		SAY(c, "web", "denied", "http_unauthorized");
	} else {
		return false;
	}
	if (!take_until(&m, ',', &address)) {
		address = m;
	}
	set_source(c, address);
	return true;
}

/* "ADDRESS:PORT", before 2.4 without a port.  The port is the last number also of an
 * address with colons: nobody runs 2.2 with IPv6 any more. */
static void set_client(struct context *c, struct slice client)
{
	struct slice port, host = client;

	if (take_last(&host, ':', &port) && slice_digits(port) == port.n) {
		set_source(c, host);
		set_port(c, port);
		if (event_has(c->e, FIELD_SOURCE_IP)) {
			return;
		}
		event_unset(c->e, FIELD_SOURCE_PORT);
		event_unset(c->e, FIELD_SOURCE_ADDRESS);
	}
	set_source(c, client);
}

/* "user U: authentication failure for "URI": Password Mismatch", "user U not found: URI",
 * "user U: authorization failure for "URI": " */
static bool apache_basic(struct context *c, struct slice m)
{
	struct slice user;

	if (!take_before(&m, SLICE_LIT(": "), &user)) {
		return false;
	}
	if (HAS(m, "authentication failure for \"")) {
		failure(c, user, "password mismatch");
	} else if (HAS(m, "password mismatch: ")) {
		SET(c, AUTH_METHOD, "digest");
		failure(c, user, "password mismatch");
	} else if (HAS(m, "authorization failure for \"")) {
		set_user(c, user); /* He is who he says he is. */
		denied(c);
	} else if (TAKE_END(&user, " not found")) {
		failure(c, user, "unknown user");
	} else {
		return false;
	}
	return true;
}

/* "user `U' in realm `R' {not found|denied by provider}: URI": of digest, whose user may
 * hold a colon. */
static bool apache_digest(struct context *c, struct slice m)
{
	struct slice user;

	if (!take_before(&m, SLICE_LIT("' in realm `"), &user)) {
		return false;
	}
	SET(c, AUTH_METHOD, "digest");
	failure(c, user, "unknown user");
	return true;
}

/* ModSecurity 2: "[client A] ModSecurity: Warning. ... [msg "WHAT"] [data "..."] ..".  What of
 * the request is quoted stands behind the rule's own words. */
static bool mod_security(struct context *c, struct slice m)
{
	struct slice word;

	if (TAKE(&m, "[client ") && (!take_until(&m, ']', &word) || !TAKE(&m, " "))) {
		return false;
	}
	if (!HAS(m, "ModSecurity: ")) {
		return false;
	}
	SAY(c, "intrusion_detection", "denied", "http_waf");
	if (take_before(&m, SLICE_LIT(" [msg \""), &word) && take_until(&m, '"', &word)) {
		event_set(c->e, FIELD_EVENT_REASON, word);
	}
	return true;
}

static bool apache_text(struct context *c, struct slice m)
{
	if (mod_security(c, m)) {
		return true;
	}
	if (TAKE(&m, "user `")) {
		return apache_digest(c, m);
	}
	if (TAKE(&m, "user ")) {
		return apache_basic(c, m);
	}
	if (HAS(m, "client denied by server configuration: ")) {
		denied(c);
		return true;
	}
	if (HAS(m, "client used wrong authentication scheme")) {
		SAY(c, "web", "denied", "http_unauthorized");
		return true;
	}
	return false;
}

/* "[MODULE:error] [pid N...] [client ADDRESS:PORT] AH01617: TEXT[, referer: ..]" */
static bool apache_error(struct context *c, struct slice m)
{
	struct slice word, client = SLICE_NONE;

	while (client.n == 0 && TAKE(&m, "[")) {
		if (!take_until(&m, ']', &word)) {
			return false;
		}
		if (TAKE(&word, "client ")) {
			client = word;
		}
		TAKE(&m, " ");
	}
	if (client.n == 0) {
		return false;
	}
	if (HAS(m, "AH") && (!take_before(&m, SLICE_LIT(": "), &word) || word.n != 7)) {
		return false;
	}
	set_client(c, client);
	return apache_text(c, m);
}

/* "[VHOST[:PORT] ]ADDRESS IDENT USER": a user may hold blanks. */
static bool access_client(struct context *c, struct slice m)
{
	struct slice address, ident, host, port, word, rest;
	struct ip ip;

	if (!take_until(&m, ' ', &address)) {
		return false;
	}
	set_source(c, address);
	rest = m;
	host = address;
	if (!event_has(c->e, FIELD_SOURCE_IP) && take_last(&host, ':', &port) &&
	    slice_digits(port) == port.n) {
		/* Apache's "vhost_combined" */
		if (!take_until(&m, ' ', &address)) {
			return false;
		}
		set_source(c, address);
	} else if (!event_has(c->e, FIELD_SOURCE_IP) && take_until(&rest, ' ', &word) &&
		   ip_parse(word, &ip)) {
		/* "VHOST ADDRESS IDENT USER": the ident of a client's own daemon is never asked
		 * for any more, and no user stands here. */
		event_unset(c->e, FIELD_SOURCE_ADDRESS);
		set_source(c, word);
		m = rest;
	}
	if (!take_until(&m, ' ', &ident)) {
		return false;
	}
	if (!IS(m, "-") && !IS(m, "\"\"") && m.n > 0) {
		set_user(c, m);
	}
	return true;
}

static void set_request(struct context *c, struct slice request)
{
	struct slice method, path;

	if (!take_word(&request, &method)) {
		return;
	}
	event_set(c->e, FIELD_HTTP_METHOD, method);
	if (take_word(&request, &path)) {
		event_set(c->e, FIELD_URL_PATH, path);
	}
}

enum { CLF_STAMP = 26 }; /* "22/Nov/2026:15:37:46 +0100" */

/* 'CLIENT [STAMP] "METHOD PATH HTTP/1.1" STATUS BYTES "REF" "AGENT"'.  A quote in a user
 * or a request is escaped, so the first one is the log's. */
static bool access_line(struct context *c, struct slice m)
{
	struct slice client, request, status, agent;

	if (!take_before(&m, SLICE_LIT("] \""), &client) || client.n < CLF_STAMP + 2 ||
	    client.p[client.n - CLF_STAMP - 1] != '[' ||
	    client.p[client.n - CLF_STAMP - 2] != ' ' ||
	    !take_before(&m, SLICE_LIT("\" "), &request) || !take_word(&m, &status) ||
	    status.n != 3 || slice_digits(status) != 3 ||
	    !access_client(c, slice_head(client, client.n - CLF_STAMP - 2))) {
		return false;
	}
	SAY(c, "web", "access", "http_request");
	event_set(c->e, FIELD_HTTP_STATUS, status);
	set_request(c, request);
	if (TAKE_END(&m, "\"") && take_last(&m, '"', &agent)) {
		event_set(c->e, FIELD_USER_AGENT, agent);
	}
	if (IS(status, "401") && event_has(c->e, FIELD_USER_NAME)) {
		failure(c, c->e->f[FIELD_USER_NAME], "unauthorized");
	} else if (IS(status, "401") || IS(status, "403")) {
		SET(c, EVENT_TYPE, "denied");
	}
	return true;
}

/* HAProxy's "option httplog": 'CLIENT:PORT [STAMP] FRONTEND BACKEND/SERVER TIMES STATUS BYTES -
 * - ---- CONNECTIONS QUEUES {captured} "REQUEST"'.  What is captured of the headers may hold
 * anything; the request, which has no quotes, is the last. */
static bool haproxy_line(struct context *c, struct slice m)
{
	struct slice client, stamp, port, word, status, request;

	if (!take_until(&m, ' ', &client) || !TAKE(&m, "[") || !take_until(&m, ']', &stamp) ||
	    !take_last(&client, ':', &port) || !TAKE(&m, " ") || !take_word(&m, &word) ||
	    !take_word(&m, &word) || !take_word(&m, &word) || !take_word(&m, &status) ||
	    status.n != 3 || slice_digits(status) != 3 || !TAKE_END(&m, "\"") ||
	    !take_last(&m, '"', &request)) {
		return false;
	}
	set_source(c, client);
	if (!event_has(c->e, FIELD_SOURCE_IP)) {
		return false;
	}
	set_port(c, port);
	SAY(c, "web", "access", "http_request");
	event_set(c->e, FIELD_HTTP_STATUS, status);
	set_request(c, request);
	return true;
}

/* nginx writes its own stamp also to syslog. */
static struct slice without_stamp(struct slice m)
{
	return m.n > 20 && m.p[4] == '/' && m.p[7] == '/' && m.p[10] == ' ' &&
			       m.p[13] == ':' && m.p[19] == ' '
		       ? slice_skip(m, 20)
		       : m;
}

bool family_web(struct context *c)
{
	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (nginx_error(c, without_stamp(c->m))) {
		return true;
	}
	event_reset(c->e);
	if (apache_error(c, c->m)) {
		return true;
	}
	event_reset(c->e);
	if (access_line(c, c->m)) {
		return true;
	}
	event_reset(c->e);
	return IS(c->h->program, "haproxy") && haproxy_line(c, c->m);
}
