/* systemd-logind.
 *
 * Source: systemd 252 src/login/logind-session.c (session_start, session_stop,
 * session_finalize, the idle timer), logind-seat.c, logind-button.c, logind-action.c
 * (message_table, action_table), logind-dbus.c (bus_manager_log_shutdown, nologin);
 * since 253 logind-session.c for the names in quotes.
 *
 * A name is that of an account that exists; a shutdown's reason in brackets is an
 * administrator's.
 */
#include "parsers/family.h"

/* "New session 3 of user NAME." and, since 253, "New session '3' of user 'NAME' with
 * class 'user' and type 'tty'." */
static bool new_session(struct context *c, struct slice m)
{
	struct slice id;

	if (!take_before(&m, SLICE_LIT(" of user "), &id)) {
		return false;
	}
	SAY(c, "session", "start", "session_opened");
	if (TAKE(&m, "'")) {
		if (!take_until(&m, '\'', &id)) {
			return false;
		}
		m = id;
	} else if (!TAKE_END(&m, ".")) {
		return false;
	}
	set_user(c, m);
	c->e->outcome = OUTCOME_SUCCESS;
	return true;
}

/* "Session "3" of user "NAME" is idle, stopping.", "Session 3 logged out. ..." */
static bool session(struct context *c, struct slice m)
{
	struct slice id;

	SAY(c, "session", "end", "session_closed");
	if (TAKE(&m, "\"")) {
		if (!TAKE_END(&m, "\" is idle, stopping.") ||
		    !take_before(&m, SLICE_LIT("\" of user \""), &id)) {
			return false;
		}
		set_user(c, m);
		return true;
	}
	return ENDS(m, " logged out. Waiting for processes to exit.");
}

static const struct {
	struct slice head, action, type;
} words[] = {
	{TEXT("New seat "), TEXT("seat"), TEXT("info")},
	{TEXT("Removed seat "), TEXT("seat"), TEXT("info")},
	{TEXT("Watching system buttons on "), TEXT("seat"), TEXT("info")},
	{TEXT("Lid "), TEXT("seat"), TEXT("info")},
	{TEXT("System docked."), TEXT("seat"), TEXT("info")},
	{TEXT("System undocked."), TEXT("seat"), TEXT("info")},
	{TEXT("Power key pressed"), TEXT("power_off"), TEXT("end")},
	{TEXT("Powering Off"), TEXT("power_off"), TEXT("end")},
	{TEXT("Powering off..."), TEXT("power_off"), TEXT("end")},
	{TEXT("Halting..."), TEXT("power_off"), TEXT("end")},
	{TEXT("System is powering down"), TEXT("power_off"), TEXT("end")},
	{TEXT("System is halting"), TEXT("power_off"), TEXT("end")},
	{TEXT("System is shutting down"), TEXT("power_off"), TEXT("end")},
	{TEXT("The system will power off"), TEXT("power_off"), TEXT("end")},
	{TEXT("Reboot key pressed"), TEXT("reboot"), TEXT("end")},
	{TEXT("Rebooting"), TEXT("reboot"), TEXT("end")},
	{TEXT("System is rebooting"), TEXT("reboot"), TEXT("end")},
	{TEXT("The system will reboot"), TEXT("reboot"), TEXT("end")},
	{TEXT("System is performing factory reset"), TEXT("factory_reset"), TEXT("end")},
	{TEXT("Performing factory reset..."), TEXT("factory_reset"), TEXT("end")},
	{TEXT("System shutdown has been cancelled"), TEXT("shutdown_cancelled"), TEXT("info")},
	{TEXT("Creating /run/nologin, blocking further logins..."), TEXT("logins_blocked"),
	 TEXT("change")},
	{TEXT("Suspend key pressed"), TEXT("suspend"), TEXT("change")},
	{TEXT("Suspending"), TEXT("suspend"), TEXT("change")},
	{TEXT("Hibernate key pressed"), TEXT("suspend"), TEXT("change")},
	{TEXT("Hibernating"), TEXT("suspend"), TEXT("change")},
	{TEXT("Operation '"), TEXT("suspend"), TEXT("change")},
	{TEXT("Locking sessions..."), TEXT("sessions_locked"), TEXT("info")},
};

static bool host_line(struct context *c, struct slice m)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_starts(m, words[i].head)) {
			SET(c, EVENT_CATEGORY, "host");
			event_set(c->e, FIELD_EVENT_TYPE, words[i].type);
			event_set(c->e, FIELD_EVENT_ACTION, words[i].action);
			return true;
		}
	}
	return false;
}

bool family_logind(struct context *c)
{
	struct slice m = c->m;

	if (TAKE(&m, "New session ")) {
		return new_session(c, m);
	}
	if (TAKE(&m, "Removed session ")) {
		SAY(c, "session", "end", "session_closed");
		return true;
	}
	if (TAKE(&m, "Session ")) {
		return session(c, m);
	}
	return host_line(c, m);
}
