/* systemd-logind.
 *
 * From knowledge of the format; these sources are where it is to be checked:
 * systemd 252 src/login/logind-session.c (session_start, session_stop),
 * logind-dbus.c, logind-button.c, logind-seat.c.
 */
#include "parsers/family.h"

bool family_logind(struct context *c)
{
	struct slice m = c->m, id;

	/* "New session 3 of user NAME." and, since 253, "New session '3' of user
	 * 'NAME' with class 'user' and type 'tty'." */
	if (TAKE(&m, "New session ")) {
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
	if (TAKE(&m, "Removed session ")) {
		SAY(c, "session", "end", "session_closed");
		return true;
	}
	if (TAKE(&m, "Session ") && (ENDS(m, " logged out. Waiting for "
					      "processes to exit."))) {
		SAY(c, "session", "end", "session_closed");
		return true;
	}
	m = c->m;
	if (HAS(m, "Power key pressed") || HAS(m, "Powering Off") ||
	    HAS(m, "System is powering down") ||
	    HAS(m, "The system will power off")) {
		SAY(c, "host", "end", "power_off");
		return true;
	}
	if (HAS(m, "System is rebooting") ||
	    HAS(m, "The system will reboot")) {
		SAY(c, "host", "end", "reboot");
		return true;
	}
	if (HAS(m, "New seat ") || HAS(m, "Watching system buttons on ")) {
		SAY(c, "host", "info", "seat");
		return true;
	}
	return false;
}
