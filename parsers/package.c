/* What was installed, changed and taken away: dpkg's log, apt's history, opkg.
 *
 * Source: dpkg 1.21.23 lib/dpkg/log.c (log_message), src/main/help.c (log_action),
 * src/main/configure.c (conffile), lib/dpkg/dbmodify.c (status), "2026-11-22 15:37:46 install
 * NAME:ARCH OLD NEW"; apt 2.6.1 apt-pkg/deb/dpkgpm.cc (OpenLog, CloseLog, WriteHistoryTag),
 * "Install: NAME:ARCH (VERSION[, automatic]), ..", lines without a stamp; opkg 0.6
 * libopkg/opkg_install.c, opkg_remove.c, opkg_configure.c for the texts that it prints and
 * that are passed on to a log.
 *
 * Names and versions are those of a repository, and hold no blank.
 */
#include "parsers/family.h"

struct act {
	struct slice word, type, action;
};

static const struct act dpkg_acts[] = {
	{TEXT("install"), TEXT("installation"), TEXT("package_installed")},
	{TEXT("upgrade"), TEXT("change"), TEXT("package_upgraded")},
	{TEXT("remove"), TEXT("deletion"), TEXT("package_removed")},
	{TEXT("purge"), TEXT("deletion"), TEXT("package_purged")},
	{TEXT("disappear"), TEXT("deletion"), TEXT("package_removed")},
	{TEXT("configure"), TEXT("info"), TEXT("package_configured")},
	{TEXT("trigproc"), TEXT("info"), TEXT("package_configured")},
};

static bool say(struct context *c, const struct act *a, struct slice name,
		struct slice version)
{
	SET(c, EVENT_CATEGORY, "package");
	event_set(c->e, FIELD_EVENT_TYPE, a->type);
	event_set(c->e, FIELD_EVENT_ACTION, a->action);
	event_set(c->e, FIELD_PACKAGE_NAME, name);
	if (version.n > 0 && !IS(version, "<none>")) {
		event_set(c->e, FIELD_PACKAGE_VERSION, version);
	}
	return name.n > 0;
}

/* "ACTION NAME INSTALLED AVAILABLE": of what goes, the version that was. */
static bool dpkg_action(struct context *c, struct slice word, struct slice m)
{
	struct slice name, old, new;

	if (!take_word(&m, &name) || !take_word(&m, &old)) {
		return false;
	}
	take_word(&m, &new);
	for (size_t i = 0; i < sizeof dpkg_acts / sizeof *dpkg_acts; i++) {
		const struct act *a = &dpkg_acts[i];

		if (slice_eq(a->word, word)) {
			return say(c, a, name, i < 2 ? new : old);
		}
	}
	return false;
}

/* The words behind dpkg's stamp. */
static bool is_dpkg(struct slice m)
{
	struct slice word;

	if (!take_word(&m, &word) || m.n == 0) {
		return false;
	}
	for (size_t i = 0; i < sizeof dpkg_acts / sizeof *dpkg_acts; i++) {
		if (slice_eq(dpkg_acts[i].word, word)) {
			return true;
		}
	}
	return IS(word, "startup") || IS(word, "status") || IS(word, "conffile");
}

void package_header(struct slice stamp, struct slice rest, struct header *h,
		    struct header_more *more)
{
	if (stamp.n > 20 && stamp.p[10] == ' ' && stamp.p[19] == ' ' && is_dpkg(rest)) {
		h->format = HEADER_OTHER;
		h->host = SLICE_NONE;
		h->message = rest;
		more->package = true;
	}
}

static bool dpkg(struct context *c, struct slice m)
{
	struct slice word, name, version;

	if (!take_word(&m, &word)) {
		return false;
	}
	if (IS(word, "startup")) {
		SAY(c, "package", "start", "package_manager_started");
		return HAS(m, "archives ") || HAS(m, "packages ");
	}
	if (IS(word, "status")) {
		SAY(c, "package", "info", "package_status");
		if (!take_word(&m, &word) || !take_word(&m, &name) ||
		    !take_word(&m, &version)) {
			return false;
		}
		event_set(c->e, FIELD_EVENT_REASON, word);
		event_set(c->e, FIELD_PACKAGE_NAME, name);
		event_set(c->e, FIELD_PACKAGE_VERSION, version);
		return true;
	}
	if (IS(word, "conffile")) {
		SAY(c, "package", "change", "package_conffile");
		if (TAKE_END(&m, " keep")) {
			SET(c, EVENT_TYPE, "info");
		} else if (!TAKE_END(&m, " install")) {
			return false;
		}
		event_set(c->e, FIELD_FILE_PATH, m);
		return true;
	}
	return dpkg_action(c, word, m);
}

/* ---- apt ---- */

static const struct act apt_acts[] = {
	{TEXT("Install: "), TEXT("installation"), TEXT("apt_installed")},
	{TEXT("Reinstall: "), TEXT("installation"), TEXT("apt_installed")},
	{TEXT("Upgrade: "), TEXT("change"), TEXT("apt_upgraded")},
	{TEXT("Downgrade: "), TEXT("change"), TEXT("apt_downgraded")},
	{TEXT("Remove: "), TEXT("deletion"), TEXT("apt_removed")},
	{TEXT("Purge: "), TEXT("deletion"), TEXT("apt_removed")},
};

/* "NAME:ARCH (VERSION), .." */
static bool is_list(struct slice m)
{
	struct slice name, rest = m;

	return take_before(&rest, SLICE_LIT(" ("), &name) &&
	       slice_chr(name, ':') != SIZE_MAX &&
	       slice_chr(name, ' ') == SIZE_MAX && ENDS(m, ")");
}

/* "2026-11-22  15:37:46" */
static bool is_stamp(struct slice m)
{
	return m.n == 20 && m.p[4] == '-' && m.p[7] == '-' && m.p[10] == ' ' &&
	       m.p[11] == ' ' && m.p[14] == ':';
}

static bool apt_history(struct context *c, struct slice m)
{
	struct slice user, uid;

	if (TAKE(&m, "Start-Date: ")) {
		SAY(c, "package", "start", "apt_started");
		return is_stamp(m);
	}
	if (TAKE(&m, "End-Date: ")) {
		SAY(c, "package", "end", "apt_ended");
		return is_stamp(m);
	}
	if (TAKE(&m, "Commandline: ")) {
		SAY(c, "package", "start", "apt_command");
		event_set(c->e, FIELD_PROCESS_COMMAND_LINE, m);
		return m.n > 0;
	}
	if (TAKE(&m, "Requested-By: ")) {
		SAY(c, "package", "info", "apt_requested");
		if (!TAKE_END(&m, ")") || !take_last_digits(&m, &uid) ||
		    !TAKE_END(&m, " (")) {
			return false;
		}
		user = m;
		set_user(c, user);
		event_set(c->e, FIELD_USER_ID, uid);
		return true;
	}
	for (size_t i = 0; i < sizeof apt_acts / sizeof *apt_acts; i++) {
		if (slice_starts(m, apt_acts[i].word)) {
			m = slice_skip(m, apt_acts[i].word.n);
			return is_list(m) && say(c, &apt_acts[i], m, SLICE_NONE);
		}
	}
	return false;
}

/* ---- opkg ---- */

static bool opkg(struct context *c, struct slice m)
{
	static const struct act acts[] = {
		{TEXT("Installing "), TEXT("installation"), TEXT("package_installed")},
		{TEXT("Upgrading "), TEXT("change"), TEXT("package_upgraded")},
		{TEXT("Downgrading "), TEXT("change"), TEXT("package_upgraded")},
		{TEXT("Removing package "), TEXT("deletion"), TEXT("package_removed")},
		{TEXT("Configuring "), TEXT("info"), TEXT("package_configured")},
	};
	struct slice name, version = SLICE_NONE, head;

	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		if (!slice_starts(m, acts[i].word)) {
			continue;
		}
		m = slice_skip(m, acts[i].word.n);
		if (!take_word(&m, &name)) {
			return false;
		}
		TAKE_END(&name, ".");
		if (TAKE(&m, "(")) {
			take_until(&m, ')', &version);
		} else if (take_before_last(&m, SLICE_LIT(" to "), &head)) {
			TAKE_END(&m, "...");
			version = m;
		}
		return say(c, &acts[i], name, version);
	}
	return false;
}

bool family_package(struct context *c)
{
	if (IS(c->h->program, "opkg")) {
		return opkg(c, c->m);
	}
	if (c->more->package) {
		return dpkg(c, c->m);
	}
	if (apt_history(c, c->m)) {
		return true;
	}
	event_reset(c->e);
	return pam_message(c, SLOTS_OTHER);
}
