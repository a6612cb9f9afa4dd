/* Access logs that are JSON, and Gin's.
 *
 * Source: Traefik's manual ("Access Logs", JSON fields); Caddy's manual ("How Logging Works",
 * http.log.access); Kubernetes' manual ("Auditing", audit.k8s.io/v1); gin logger.go
 * (defaultLogFormatter).
 *
 * Of Kubernetes' sourceIPs all but the last are what the client's X-Forwarded-For says; Gin
 * believes that header of anybody unless it is told otherwise, so that its address is not taken.
 * Traefik's ClientHost is that header where a request has one (accesslog/logger.go; by default
 * the entry point removes a stranger's): it is taken where ClientAddr, the peer's, says the same.
 */
#include "parsers/family.h"
#include "parsers/members.h"

struct access {
	const char *name;
	const char *when[2]; /* a member and what it begins with */
	const char *address, *method, *path, *status, *agent;
};

enum { TRAEFIK }; /* of logs */

static const struct access logs[] = {
	{"traefik", {"RequestMethod", ""}, "ClientHost", "RequestMethod", "RequestPath",
	 "DownstreamStatus", "request_User-Agent"},
	{"caddy", {"msg", "handled request\n"}, "request/remote_ip", "request/method",
	 "request/uri", "status", "request/headers/User-Agent"},
	{"nginx", {"request_uri", "/"}, "remote_addr", "request_method", "request_uri", "status",
	 "http_user_agent"},
	{"kubernetes", {"apiVersion", "audit.k8s.io/v1\n"}, "sourceIPs", "verb", "requestURI",
	 "responseStatus/code", "userAgent"},
};

/* The first text of an array: behind its bracket, as members_get() gives it. */
static struct slice first_of(struct slice value)
{
	struct slice text;

	return TAKE(&value, "\"") && take_until(&value, '"', &text) &&
			       slice_chr(text, '\\') == SIZE_MAX
		       ? text
		       : value;
}

/* The last text of an array, behind whose bracket value begins; nothing if that is not all.
 * Anything else is itself. */
static struct slice last_of(struct slice value)
{
	struct slice text;

	if (!HAS(value, "\"")) {
		return value;
	}
	while (TAKE(&value, "\"") && take_until(&value, '"', &text) &&
	       slice_chr(text, '\\') == SIZE_MAX) {
		skip_blanks(&value);
		if (TAKE(&value, "]")) {
			return text;
		}
		if (!TAKE(&value, ",")) {
			break;
		}
		skip_blanks(&value);
	}
	return SLICE_NONE;
}

static void set_text(struct context *c, enum event_field field, const struct members *m,
		     const char *path)
{
	struct slice value;

	if (members_get(m, path, &value)) {
		event_set(c->e, field, first_of(value));
	}
}

/* ClientAddr is "HOST:PORT" or "[HOST]:PORT". */
static bool is_peer(const struct members *m, struct slice host)
{
	struct slice peer, port;

	if (!members_get(m, "ClientAddr", &peer) || !take_last(&peer, ':', &port)) {
		return false;
	}
	return slice_eq(peer, host) ||
	       (TAKE(&peer, "[") && TAKE_END(&peer, "]") && slice_eq(peer, host));
}

bool app_access(struct context *c, const struct members *m)
{
	for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
		const struct access *a = &logs[i];
		struct slice value;

		if (!members_is(m, a->when[0], a->when[1]) ||
		    !members_get(m, a->address, &value)) {
			continue;
		}
		SAY(c, "web", "access", "http_request");
		if (i != TRAEFIK || is_peer(m, value)) {
			set_source(c, last_of(value));
		}
		set_text(c, FIELD_HTTP_METHOD, m, a->method);
		/* Go's writers have "\u0026" for "&". */
		if (members_head(m, a->path, &value)) {
			event_set(c->e, FIELD_URL_PATH, value);
		}
		set_text(c, FIELD_HTTP_STATUS, m, a->status);
		set_text(c, FIELD_USER_AGENT, m, a->agent);
		if (IS(slice_str(a->name), "kubernetes")) {
			SAY(c, "api", "access", "k8s_request");
			set_text(c, FIELD_USER_NAME, m, "user/username");
		}
		c->app = slice_str(a->name);
		return true;
	}
	return false;
}

/* "[GIN] 2022/02/07 - 10:49:33 | 401 |     505.317µs |       10.1.2.3 | POST     "/client"" */
bool app_gin(struct context *c, struct slice m)
{
	struct slice word, status, method;

	if (!TAKE(&m, "[GIN] ") || !take_until(&m, '|', &word) ||
	    !take_until(&m, '|', &status) || !take_until(&m, '|', &word) ||
	    !take_until(&m, '|', &word) || !TAKE(&m, " ") || !take_word(&m, &method)) {
		return false;
	}
	skip_blanks(&m);
	if (!TAKE(&m, "\"") || !TAKE_END(&m, "\"")) {
		return false;
	}
	SAY(c, "web", "access", "http_request");
	event_set(c->e, FIELD_HTTP_METHOD, method);
	event_set(c->e, FIELD_URL_PATH, m);
	event_set(c->e, FIELD_HTTP_STATUS, slice_trim(status));
	c->app = SLICE_LIT("gin");
	return true;
}
