/* cron and crontab: "(USER) WHAT (DETAIL)".
 *
 * Source: Debian's cron 3.0pl1 misc.c (log_it), do_command.c, crontab.c, database.c;
 * cronie 1.6 src/misc.c and security.c; busybox miscutils/crond.c ("USER root pid 1 cmd
 * ..").  The detail of CMD is the job's own command.
 */
#include "parsers/family.h"

struct what {
	struct slice word;
	struct slice category, type, action;
};

#define WHAT(word, category, type, action) \
	{TEXT(word), TEXT(category), TEXT(type), TEXT(action)}

static const struct what whats[] = {
	WHAT("CMD", "process", "start", "cron_job"),
	WHAT("CMDEND", "process", "end", "cron_job"),
	WHAT("CMDOUT", "process", "info", "cron_job"),
	WHAT("EXTENDED CMD", "process", "start", "cron_job"),
	WHAT("END", "process", "end", "cron_job"),
	WHAT("MAIL", "process", "info", "cron_mail"),
	WHAT("INFO", "process", "info", "cron_info"),
	WHAT("STARTUP", "process", "start", "cron_started"),
	WHAT("RELOAD", "configuration", "change", "crontab_reloaded"),
	WHAT("LIST", "configuration", "access", "crontab_listed"),
	WHAT("BEGIN EDIT", "configuration", "access", "crontab_edit_begun"),
	WHAT("END EDIT", "configuration", "info", "crontab_edit_ended"),
	WHAT("REPLACE", "configuration", "change", "crontab_replaced"),
	WHAT("DELETE", "configuration", "deletion", "crontab_deleted"),
	WHAT("AUTH", "configuration", "denied", "crontab_denied"),
	WHAT("ORPHAN", "configuration", "error", "crontab_orphan"),
	WHAT("WRONG FILE OWNER", "configuration", "error", "crontab_refused"),
	WHAT("error", "process", "error", "cron_error"),
	WHAT("ERROR", "process", "error", "cron_error"),
	WHAT("PAM ERROR", "process", "error", "cron_error"),
	WHAT("FAILED to open PAM security session", "process", "error", "cron_error"),
};

static bool busybox(struct context *c, struct slice m)
{
	struct slice user, digits;

	if (!TAKE(&m, "USER ") || !take_word(&m, &user) || !TAKE(&m, "pid ") ||
	    !take_digits(&m, &digits) || !TAKE(&m, " cmd ")) {
		return false;
	}
	SAY(c, "process", "start", "cron_job");
	set_user(c, user);
	event_set(c->e, FIELD_PROCESS_COMMAND_LINE, m);
	return true;
}

bool family_cron(struct context *c)
{
	struct slice m = c->m, user, word, detail;

	if (pam_message(c, SLOTS_OTHER) || busybox(c, m)) {
		return true;
	}
	if (!TAKE(&m, "(") || !take_before(&m, SLICE_LIT(") "), &user) ||
	    !take_before(&m, SLICE_LIT(" ("), &word) || !TAKE_END(&m, ")")) {
		return false;
	}
	detail = m;
	for (size_t i = 0; i < sizeof whats / sizeof *whats; i++) {
		const struct what *w = &whats[i];

		if (!slice_eq(w->word, word)) {
			continue;
		}
		event_set(c->e, FIELD_EVENT_CATEGORY, w->category);
		event_set(c->e, FIELD_EVENT_TYPE, w->type);
		event_set(c->e, FIELD_EVENT_ACTION, w->action);
		if (slice_eq(w->action, SLICE_LIT("cron_job"))) {
			event_set(c->e, FIELD_PROCESS_COMMAND_LINE, detail);
		} else if (slice_eq(w->category, SLICE_LIT("configuration"))) {
			event_set(c->e, FIELD_USER_TARGET_NAME, detail);
		}
		if (!IS(user, "CRON") && !IS(user, "*system*")) {
			set_user(c, user);
		}
		if (IS(word, "AUTH")) {
			c->e->outcome = OUTCOME_FAILURE;
		}
		return true;
	}
	return false;
}
