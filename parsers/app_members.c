/* Applications whose lines are members, JSON or logfmt: who could not log in, and what an
 * intrusion detection system saw.  Access logs of that form: app_access.c.
 *
 * Sources: MongoDB's manual ("Log Messages", 4.4 and later); Nextcloud
 * lib/private/User/Session.php and its log's members; Authelia internal/handlers; Grafana
 * pkg/services/contexthandler and authn/clients/password.go; Miniflux
 * internal/ui/login_check.go; Navidrome server/auth.go and its request logger; SFTPGo
 * docs/logs.md; Teleport lib/events (user.login); authentik stages/identification,
 * events/models.py; Suricata's manual ("Eve JSON Output").
 *
 * A writer of JSON or logfmt puts quotes around what a client chose, so that no name can pose
 * as a member.  The address is another matter: Authelia, Grafana, Miniflux and Navidrome
 * write the one that a header of the request says (X-Forwarded-For, X-Real-IP, also where no
 * proxy is in front), so theirs is not taken, lest anybody have another's address banned.
 */
#include "parsers/family.h"
#include "parsers/members.h"

struct source {
	const char *name;
	/* Members and what they begin with (are, with a newline at the end); NULL: no more. */
	const char *when[3][2];
	const char *action;
	const char *user, *address; /* paths; NULL: none that is believed */
	bool port;                  /* the address has one behind it */
	bool success;
};

static const struct source sources[] = {
	{"mongod", {{"msg", "Authentication failed\n"}, {"c", "ACCESS\n"}}, "database_login",
	 "attr/principalName", "attr/remote", true, false},
	{"nextcloud", {{"message", "Login failed: "}, {"reqId", ""}}, "web_login", NULL,
	 "remoteAddr", false, false},
	{"authelia", {{"msg", "Unsuccessful "}, {"path", "/api/"}, {"method", "POST\n"}},
	 "web_login", NULL, NULL, false, false},
	{"grafana", {{"msg", "Invalid username or password\n"}, {"logger", "context\n"}},
	 "web_login", NULL, NULL, false, false},
	{"grafana", {{"msg", "Unauthorized\n"}, {"logger", "context\n"},
		     {"error", "[password-auth.failed]"}}, "web_login", NULL, NULL, false, false},
	{"miniflux", {{"msg", "Incorrect username or password\n"},
		      {"authentication_failed", "true\n"}}, "web_login", "username", NULL, false,
	 false},
	{"navidrome", {{"msg", "HTTP: POST http"}, {"httpStatus", "401\n"}}, "web_login", NULL,
	 NULL, false, false},
	{"sftpgo", {{"sender", "connection_failed\n"}, {"login_type", ""}}, "ftp_login",
	 "username", "client_ip", false, false},
	{"teleport", {{"event", "user.login\n"}, {"success", "false\n"}}, "ssh_login", "user",
	 "addr.remote", true, false},
	{"teleport", {{"event", "user.login\n"}, {"success", "true\n"}}, "ssh_login", "user",
	 "addr.remote", true, true},
	{"authentik", {{"event", "invalid_login\n"}, {"logger", "authentik."}}, "web_login",
	 "identifier", "client_ip", false, false},
	{"authentik", {{"action", "login_failed\n"}, {"logger", "authentik."}}, "web_login",
	 NULL, "client_ip", false, false},
};

/* Only JSON has an address, since name=value stands in other texts too; and only a line that is
 * nothing but an object tells of a login, since behind a stamp may stand what a client sent. */
static bool applies(const struct context *c, const struct source *s, const struct members *m)
{
	bool whole = c->more->object.n > 0 || c->h->format == HEADER_NONE;

	if ((s->address != NULL && !m->json) || (s->success && !whole)) {
		return false;
	}
	for (size_t i = 0; i < 3 && s->when[i][0] != NULL; i++) {
		if (!members_is(m, s->when[i][0], s->when[i][1])) {
			return false;
		}
	}
	return true;
}

static void say_login(struct context *c, const struct source *s, const struct members *m)
{
	struct slice value, port;

	SAY(c, "authentication", "start", "");
	event_set(c->e, FIELD_EVENT_ACTION, slice_str(s->action));
	if (s->user != NULL && members_get(m, s->user, &value)) {
		set_user(c, value);
	}
	if (s->address != NULL && members_get(m, s->address, &value)) {
		if (s->port && take_last(&value, ':', &port)) {
			set_source(c, value);
			set_port(c, port);
		} else {
			set_source(c, value);
		}
	}
	if (s->success) {
		say_success(c);
	} else {
		say_failure(c, COUNT_DAEMON, 1);
	}
	c->app = slice_str(s->name);
}

static bool suricata(struct context *c, const struct members *m)
{
	struct slice value;

	if (!members_is(m, "event_type", "alert\n") || !members_get(m, "src_ip", &value)) {
		return false;
	}
	SAY(c, "intrusion_detection", "info", "ids_alert");
	set_source(c, value);
	if (members_get(m, "src_port", &value)) {
		set_port(c, value);
	}
	if (members_get(m, "dest_ip", &value)) {
		event_set(c->e, FIELD_DESTINATION_IP, value);
	}
	if (members_get(m, "dest_port", &value)) {
		event_set(c->e, FIELD_DESTINATION_PORT, value);
	}
	if (members_get(m, "alert/signature", &value)) {
		event_set(c->e, FIELD_EVENT_REASON, value);
	}
	c->app = SLICE_LIT("suricata");
	return true;
}

bool app_members(struct context *c, struct slice line)
{
	struct members m;

	if (!members_of(line, &m)) {
		return false;
	}
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		if (applies(c, &sources[i], &m)) {
			say_login(c, &sources[i], &m);
			return true;
		}
	}
	return m.json && (suricata(c, &m) || app_access(c, &m));
}
