#include "agent/health.h"

#include <stdio.h>

#include "common/log.h"

struct rule {
	const char *id, *title, *description;
	enum severity severity;
};

static const struct rule rules[HEALTH_NR] = {
	[HEALTH_COMMAND_ENDED] = {
		"ada6dbf7-badd-47aa-8097-b38cd7427d65",
		"A command whose output is read has ended",
		"A program of sources.commands ended although it should run all the time. It "
		"is started again after a pause; what it would have said until then is not "
		"known.",
		SEVERITY_MEDIUM},
	[HEALTH_COMMAND_LOST] = {
		"899c9929-3bb3-43a9-93ad-be8fc210ef11",
		"Commands are not read any more",
		"The process that runs the programs of sources.commands has ended. Their "
		"lines are missing until the agent is restarted.",
		SEVERITY_HIGH},
	[HEALTH_NOT_READ] = {
		"084f25b3-7031-4c4b-bad9-ac706c6076ad",
		"A configured source is not read",
		"The agent could not open a source that its configuration names; what it would "
		"have told is not seen until the agent is restarted.",
		SEVERITY_HIGH},
	[HEALTH_BLIND] = {
		"6f2b5e93-15f6-4add-b996-edcd620c7fd7",
		"Not all that is configured is seen",
		"More files match a pattern than the agent follows or watches at once, or a "
		"compressed one holds far more than its size lets expect. What is known already "
		"is seen; of what is new some is not, until there are fewer. Whoever may make "
		"files there may have done it on purpose.",
		SEVERITY_HIGH},
	[HEALTH_NOT_UNDERSTOOD] = {
		"3b1f60f5-6c3e-4f43-9d0b-8f0b6b6d2f3a",
		"Lines of a program are not understood any more",
		"A program's lines meant something, and now fewer of them do: it may have been "
		"updated, or the log daemon writes another header. Its logins and changes are "
		"not seen until Nightjar knows the new form; nightjar explain shows what it "
		"makes of a line. The lines themselves are kept.",
		SEVERITY_HIGH},
	[HEALTH_KEY_READABLE] = {
		"d3b8f4c2-5a41-4f0e-9c57-2a6e8b1d7f90",
		"The key of the pseudonyms can be read by everybody",
		"The configuration holds redact.pseudonym_key and lets others read it. Whoever has "
		"the key can try names until one gives a pseudonym that he has seen. Take the "
		"permission away (chmod 0640), and take another key if somebody may have looked.",
		SEVERITY_MEDIUM},
	[HEALTH_REFERENCE] = {
		"c5fe0914-b284-4de8-af66-ec7a7631bb23",
		"A list or database of the rules can't be used",
		"A file of detectors.lists or detectors.geoip is missing or damaged. What was read "
		"of it before stays in use; if there is nothing, the rules that ask for it wait and "
		"tell nothing. All else goes on.",
		SEVERITY_MEDIUM},
};

static void tell(struct pipeline *p, struct sys *sys, enum health what,
		 struct slice subject, const struct slice *evidence, size_t n)
{
	static const char *const tags[] = {NULL};
	const struct rule *r = &rules[what];
	const struct finding_field group = {SLICE_LIT("nightjar.subject"), subject};
	int64_t now = sys_wall_ns(sys);
	const struct finding f = {
		.state = FINDING_NEW,
		.rule_id = r->id,
		.rule_title = r->title,
		.rule_description = r->description,
		.tags = tags,
		.severity = r->severity,
		.group = &group,
		.n_group = 1,
		.first_ns = now,
		.last_ns = now,
		.since_ns = now,
		.count = 1,
		.evidence = evidence,
		.n_evidence = n,
	};

	pipeline_finding(p, &f);
}

void health_tell(struct pipeline *p, struct sys *sys, enum health what,
		 struct slice subject, struct slice detail)
{
	tell(p, sys, what, subject, &detail, detail.n > 0);
}

void health_key(struct pipeline *p, struct sys *sys, const char *path, const char *key)
{
	struct sys_stat st;
	char detail[64];

	if (path == NULL || key == NULL || key[0] == '\0' || sys_stat(sys, path, &st) != 0 ||
	    (st.mode & 0007) == 0) {
		return;
	}
	snprintf(detail, sizeof detail, "mode %04o lets others read the key",
		 (unsigned)st.mode & 07777);
	log_warn("everybody can read the key of the pseudonyms; use chmod 0640 or stricter",
		 "path=%s mode=%04o", path, (unsigned)st.mode & 07777);
	health_tell(p, sys, HEALTH_KEY_READABLE, slice_str(path), slice_str(detail));
}

void health_fall(struct pipeline *p, struct sys *sys, const struct share_fall *f)
{
	char subject[SHARE_NAME + sizeof f->source + 8], text[SHARE_TEXT];
	struct slice evidence[2];

	snprintf(subject, sizeof subject, "%s in %s", f->program, f->source);
	share_fall_text(f, text);
	evidence[0] = slice_str(text);
	evidence[1] = slice_str(f->example);
	log_warn("lines of a program are not understood any more", "program=%s before=%u.%u%% "
		 "after=%u.%u%% of=%u", f->program, f->before / 10, f->before % 10,
		 f->after / 10, f->after % 10, (unsigned)f->of);
	tell(p, sys, HEALTH_NOT_UNDERSTOOD, slice_str(subject), evidence, 2);
}
