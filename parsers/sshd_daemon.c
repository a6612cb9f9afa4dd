/* sshd: its own life, and sessions that are open.  Sources as in sshd.c; session.c,
 * serverloop.c, packet.c.
 */
#include "parsers/sshd.h"

static bool pending(const struct context *c)
{
	return c->slot != NULL && (c->slot->flags & SLOT_PENDING) != 0;
}

/* Transport trouble: the end of an attempt that was under way. */
static bool lost(struct context *c)
{
	SAY(c, "network", "end", "ssh_connection_lost");
	event_set(c->e, FIELD_EVENT_REASON, c->m);
	if (pending(c) && c->slot->address_n > 0) {
		SET(c, EVENT_CATEGORY, "authentication");
		SET(c, EVENT_ACTION, "ssh_login");
		slot_give(c->slot, c->e);
		say_failure(c, COUNT_FLOOR, 1);
	}
	return true;
}

static bool session_line(struct context *c, struct slice m)
{
	struct slice user, kind;

	/* "Starting session: command on pts/0 for USER from ADDRESS port N id 0" */
	if (TAKE(&m, "Starting session: ") || TAKE(&m, "Close session: ")) {
		struct ssh_origin o;

		if (take_before_last(&m, SLICE_LIT(" id "), &kind)) {
			m = kind;
		}
		if (!ssh_take_from(m, &o)) {
			return false;
		}
		SAY(c, "session", "info", "ssh_session");
		m = o.user;
		if (TAKE(&m, "user ") ||
		    take_before(&m, SLICE_LIT(" for "), &kind)) {
			set_user(c, m);
		}
		ssh_set_origin(c, &o);
		return true;
	}
	/* "subsystem request for sftp by user NAME[ failed, ...]" */
	if (TAKE(&m, "subsystem request for ") && take_word(&m, &kind) &&
	    TAKE(&m, "by user ")) {
		struct slice rest = m;

		SAY(c, "session", "info", "ssh_subsystem");
		if (take_before_last(&rest, SLICE_LIT(" failed, "), &user)) {
			c->e->outcome = OUTCOME_FAILURE;
			m = user;
		}
		set_user(c, m);
		return true;
	}
	return false;
}

bool ssh_daemon_line(struct context *c, struct slice m)
{
	if (session_line(c, m)) {
		return true;
	}
	if (HAS(m, "Server listening on ")) {
		SAY(c, "process", "start", "ssh_listening");
		return true;
	}
	if (HAS(m, "Received signal ") || HAS(m, "Exiting on signal ")) {
		SAY(c, "process", "end", "ssh_stopped");
		return true;
	}
	if (HAS(m, "Received SIGHUP")) {
		SAY(c, "process", "change", "ssh_reloaded");
		return true;
	}
	if (HAS(m, "no matching ") || HAS(m, "no hostkey alg")) { /* before 7.0 */
		SAY(c, "network", "denied", "ssh_negotiation");
		event_set(c->e, FIELD_EVENT_REASON, m);
		return true;
	}
	if (HAS(m, "Transferred: sent ")) {
		SAY(c, "session", "info", "ssh_session");
		return true;
	}
	if (HAS(m, "kex_protocol_error: ") || HAS(m, "kex protocol error: ") ||
	    HAS(m, "dispatch_protocol_error: ") || HAS(m, "Corrupted MAC on input") ||
	    HAS(m, "Bad packet length ") || HAS(m, "Packet corrupt") ||
	    HAS(m, "padding error: ") ||
	    HAS(m, "Could not write ident string to ") ||
	    HAS(m, "warning: can't get client address: ")) {
		SAY(c, "network", "info", "ssh_protocol_error");
		return true;
	}
	if (HAS(m, "Read error from remote host ") ||
	    HAS(m, "Read from socket failed: ") || HAS(m, "Write failed: ") ||
	    HAS(m, "kex_exchange_identification: ") ||
	    HAS(m, "ssh_exchange_identification: ")) {
		return lost(c);
	}
	if (HAS(m, "PAM service(") || HAS(m, "User child is on pid ")) {
		SAY(c, "session", "info", "ssh_session");
		return true;
	}
	if (HAS(m, "beginning MaxStartups throttling") ||
	    HAS(m, "exited MaxStartups throttling")) {
		SAY(c, "network", "info", "ssh_throttling");
		return true;
	}
	return false;
}
