#include "agent/health.h"

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
};

void health_tell(struct pipeline *p, struct sys *sys, enum health what,
		 struct slice subject, struct slice detail)
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
		.evidence = &detail,
		.n_evidence = detail.n > 0,
	};

	pipeline_finding(p, &f);
}
