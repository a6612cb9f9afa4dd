/* The web interfaces of routers: LuCI and uhttpd of OpenWrt, RutOS, pfSense and OPNsense;
 * and what RutOS tells of its configuration.
 *
 * Source: OpenWrt luci modules/luci-base/luasrc/dispatcher.lua (session_setup) and
 * ucode/dispatcher.uc (session_setup; "[info] " in front since 23.05); Teltonika's RutOS
 * GPL SDK 07.20 (vuci event types, dropbear and libuci patches).  From knowledge of the
 * format: pfSense etc/inc/auth.inc and OPNsense etc/inc/authgui.inc ("Web GUI
 * authentication error").
 *
 * The path and the user are the client's; the address comes last.
 */
#include "parsers/family.h"

static struct slice unquoted(struct slice user)
{
	if (user.n >= 2 && user.p[0] == '\'' && user.p[user.n - 1] == '\'') {
		return slice(user.p + 1, user.n - 2);
	}
	return user;
}

static bool login(struct context *c, struct slice user, struct slice address,
		  bool success)
{
	struct slice port;

	SAY(c, "authentication", "start", "web_login");
	TAKE_END(&user, " on HTTPS");
	TAKE_END(&user, " on HTTP");
	TAKE_END(&user, " on SSH");
	set_user(c, user);
	TAKE_END(&address, ".");
	set_source(c, address);
	if (!event_has(c->e, FIELD_SOURCE_IP)) {
		event_unset(c->e, FIELD_SOURCE_ADDRESS);
		if (take_last(&address, ':', &port)) {
			set_source(c, address);
			set_port(c, port);
		} else {
			set_source(c, address);
		}
	}
	if (success) {
		say_success(c);
	} else {
		ctx_slot(c, SLOTS_OTHER);
		/* uhttpd serves everybody from one process. */
		c->slot = NULL;
		say_failure(c, COUNT_DAEMON, 1);
	}
	return true;
}

/* "{accepted|failed} login on /PATH for USER from ADDRESS": the path is what the
 * client asked for, and so is the user. */
static bool luci(struct context *c, struct slice m)
{
	struct slice path, user;
	bool success = TAKE(&m, "accepted login on /");

	if (!success && !TAKE(&m, "failed login on /")) {
		return false;
	}
	return take_before(&m, SLICE_LIT(" for "), &path) &&
	       take_before_last(&m, SLICE_LIT(" from "), &user) &&
	       login(c, user, m, success);
}

static bool rutos(struct context *c, struct slice m)
{
	struct slice user;

	if (TAKE(&m, "Invalid password attempt for ") ||
	    TAKE(&m, "Bad password attempt for ")) {
		return take_before_last(&m, SLICE_LIT(" from "), &user) &&
		       login(c, unquoted(user), m, false);
	}
	if (TAKE(&m, "Password auth succeeded for ")) {
		return take_before_last(&m, SLICE_LIT(" from "), &user) &&
		       login(c, unquoted(user), m, true);
	}
	user = m;
	if (take_before_last(&m, SLICE_LIT(" successfully authenticated on HTTP"),
			     &user)) {
		TAKE(&m, "S");
		TAKE(&user, "User ");
		/* Who is in has a name without blanks; one with blanks is somebody's text. */
		return memchr(user.p, ' ', user.n) == NULL && TAKE(&m, " from ") &&
		       login(c, unquoted(user), m, true);
	}
	return false;
}

/* "User "U" changed NAME configuration", "NAME configuration has been changed" */
static bool configuration(struct context *c, struct slice m)
{
	struct slice user;

	SAY(c, "configuration", "change", "configuration_changed");
	if (TAKE(&m, "User \"")) {
		if (!take_before_last(&m, SLICE_LIT("\" changed "), &user) ||
		    !TAKE_END(&m, " configuration")) {
			return false;
		}
		set_user(c, user);
	} else if (!TAKE_END(&m, " configuration has been changed") ||
		   memchr(m.p, ' ', m.n) != NULL) {
		return false;
	}
	event_set(c->e, FIELD_FILE_PATH, m);
	return true;
}

/* "/FILE: Web GUI authentication error for 'USER' from ADDRESS",
 * "/FILE: webConfigurator authentication error for user 'USER' from: ADDRESS",
 * "/FILE: Successful login for user 'USER' from: ADDRESS" */
static bool firewall_gui(struct context *c, struct slice m)
{
	struct slice file, user;
	bool success = false;

	if (!TAKE(&m, "/") || !take_before(&m, SLICE_LIT(": "), &file)) {
		return false;
	}
	if (TAKE(&m, "Successful login for user ")) {
		success = true;
	} else if (!TAKE(&m, "Web GUI authentication error for ") &&
		   !TAKE(&m, "webConfigurator authentication error for user ")) {
		return false;
	}
	if (!take_before_last(&m, SLICE_LIT(" from"), &user)) {
		return false;
	}
	TAKE(&m, ":");
	/* "ADDRESS (Local Database)" */
	return TAKE(&m, " ") && take_word(&m, &file) &&
	       login(c, unquoted(user), file, success);
}

/* "USER_LOGIN pid=.. msg='..'": journald writes the kernel's records under the name
 * "audit", which is OPNsense' too. */
static bool journald_audit(struct context *c, struct slice m)
{
	struct slice type;

	return IS(c->h->program, "audit") && take_until(&m, ' ', &type) &&
	       audit_record(c, type, SLICE_NONE, m);
}

bool family_router(struct context *c)
{
	struct slice m = c->m;

	TAKE(&m, "[info] ");
	TAKE(&m, "luci: ");
	if (pam_message(c, SLOTS_OTHER) || luci(c, m) || rutos(c, m) ||
	    firewall_gui(c, m) || configuration(c, m)) {
		return true;
	}
	event_reset(c->e);
	return rutos_event(c, m) || journald_audit(c, m);
}
