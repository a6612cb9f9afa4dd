/* nginx and Apache: failed basic authentication, and refusals in access logs.
 *
 * From knowledge of the format; these sources are where it is to be checked:
 * nginx src/http/modules/ngx_http_auth_basic_module.c and src/core/ngx_log.c,
 * ngx_http_core_module.c (access forbidden); Apache 2.4 modules/aaa/mod_auth_basic.c,
 * mod_authz_core.c, server/log.c; both servers' "combined" log format.
 *
 * The user, the path and the agent are the client's. In an access log the address comes
 * first and holds no blank; in an error log of nginx it stands behind ", client: " of the
 * server's own text, which comes before what the client sent.
 */
#include "parsers/family.h"

static void failure(struct context *c, struct slice user, const char *reason)
{
	SAY(c, "authentication", "start", "web_login");
	SET(c, AUTH_METHOD, "basic");
	event_set(c->e, FIELD_EVENT_REASON, slice_str(reason));
	set_user(c, user);
	say_failure(c, COUNT_DAEMON, 1);
}

/* "[error] 123#123: *1 TEXT, client: ADDRESS, server: ..., request: ..." */
static bool nginx_error(struct context *c, struct slice m)
{
	struct slice level, text, user, address;

	if (!TAKE(&m, "[") || !take_until(&m, ']', &level) ||
	    !take_before(&m, SLICE_LIT(": *"), &text) ||
	    !take_until(&m, ' ', &text)) {
		return false;
	}
	/* The user's name comes before the client's address. */
	text = m;
	if (TAKE(&text, "user \"")) {
		bool mismatch = take_before_last(
			&text, SLICE_LIT("\": password mismatch, client: "),
			&user);

		if (!mismatch &&
		    !take_before_last(&text, SLICE_LIT("\" was not found in \""),
				      &user)) {
			return false;
		}
		failure(c, user, mismatch ? "password mismatch"
					  : "unknown user");
		if (!mismatch && !take_before(&text, SLICE_LIT("\", client: "),
					      &address)) {
			return false;
		}
	} else if (TAKE(&text, "access forbidden by rule, client: ")) {
		SAY(c, "web", "denied", "http_forbidden");
		c->e->outcome = OUTCOME_FAILURE;
	} else if (TAKE(&text, "no user/password was provided for basic "
			       "authentication, client: ")) {
		SAY(c, "web", "denied", "http_unauthorized");
	} else {
		return false;
	}
	if (!take_until(&text, ',', &address)) {
		address = text;
	}
	set_source(c, address);
	return true;
}

/* "[MODULE:error] [pid N...] [client ADDRESS:PORT] AH01617: user U: TEXT" */
static bool apache_error(struct context *c, struct slice m)
{
	struct slice word, client = SLICE_NONE, user, port;

	while (TAKE(&m, "[")) {
		if (!take_until(&m, ']', &word)) {
			return false;
		}
		if (TAKE(&word, "client ")) {
			client = word;
		}
		TAKE(&m, " ");
	}
	if (HAS(m, "AH") && take_before(&m, SLICE_LIT(": "), &word) &&
	    word.n != 7) {
		return false;
	}
	if (client.n == 0 || !TAKE(&m, "user ")) {
		return false;
	}
	if (take_before_last(&m, SLICE_LIT(": authentication failure for \""),
			     &user)) {
		failure(c, user, "password mismatch");
	} else if (take_before_last(&m, SLICE_LIT(" not found: "), &user)) {
		failure(c, user, "unknown user");
	} else {
		return false;
	}
	/* Since 2.4 the port stands behind the address. */
	if (take_last(&client, ':', &port)) {
		set_source(c, client);
		set_port(c, port);
		if (!event_has(c->e, FIELD_SOURCE_IP)) {
			event_unset(c->e, FIELD_SOURCE_PORT);
			client.n += 1 + port.n;
			set_source(c, client);
		}
	} else {
		set_source(c, client);
	}
	return true;
}

/* 'ADDRESS IDENT USER [STAMP] "METHOD PATH HTTP/1.1" STATUS BYTES "REF" "AGENT"' */
static bool access_line(struct context *c, struct slice m)
{
	struct slice address, ident, user, request, method, path, status, agent;

	if (!take_until(&m, ' ', &address) || !take_until(&m, ' ', &ident) ||
	    !take_before(&m, SLICE_LIT(" ["), &user) ||
	    !take_before(&m, SLICE_LIT("] \""), &request)) {
		return false;
	}
	/* Quotes in a request are escaped by both servers. */
	if (!take_before(&m, SLICE_LIT("\" "), &request) ||
	    !take_word(&m, &status) || status.n != 3) {
		return false;
	}
	SAY(c, "web", "access", "http_request");
	set_source(c, address);
	event_set(c->e, FIELD_HTTP_STATUS, status);
	if (take_word(&request, &method)) {
		event_set(c->e, FIELD_HTTP_METHOD, method);
		if (take_word(&request, &path)) {
			event_set(c->e, FIELD_URL_PATH, path);
		}
	}
	if (TAKE_END(&m, "\"") && take_last(&m, '"', &agent)) {
		event_set(c->e, FIELD_USER_AGENT, agent);
	}
	if (!IS(user, "-") && user.n > 0) {
		set_user(c, user);
	}
	if (IS(status, "401") && event_has(c->e, FIELD_USER_NAME)) {
		failure(c, user, "unauthorized");
	} else if (IS(status, "401") || IS(status, "403")) {
		SET(c, EVENT_TYPE, "denied");
	}
	return true;
}

bool family_web(struct context *c)
{
	if (pam_message(c, SLOTS_OTHER)) {
		return true;
	}
	if (nginx_error(c, c->m)) {
		return true;
	}
	event_reset(c->e);
	if (apache_error(c, c->m)) {
		return true;
	}
	event_reset(c->e);
	return access_line(c, c->m);
}
