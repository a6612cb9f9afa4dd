#include "agent/open.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/health.h"
#include "common/err.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "sources/command.h"
#include "sources/kmsg.h"
#include "sources/names.h"
#include "sources/journal.h"
#include "sources/syslog.h"
#include "sources/watch.h"

/* ---- commands ---- */

static void on_command_ended(void *arg, const struct command_end *end)
{
	struct open_sources *o = arg;
	char detail[200], quoted[300];
	int n = 0;

	switch (end->how) {
	case COMMAND_EXITED:
		n = snprintf(detail, sizeof detail, "ended with exit status %d",
			     end->status);
		break;
	case COMMAND_SIGNALED:
		n = snprintf(detail, sizeof detail, "was ended by signal %d", end->status);
		break;
	case COMMAND_FAILED:
		n = snprintf(detail, sizeof detail, "cannot be started: %s",
			     err_str(end->status));
		break;
	case COMMAND_LOST:
		n = snprintf(detail, sizeof detail, "the process that runs it is gone");
		break;
	}
	log_warn("a command whose output is read has ended",
		 "command=%s how=\"%s\" again_ms=%llu",
		 log_quote(quoted, sizeof quoted, slice_str(end->name)), detail,
		 (unsigned long long)end->again_ms);
	health_tell(o->pipeline, o->sys,
		    end->how == COMMAND_LOST ? HEALTH_COMMAND_LOST
					     : HEALTH_COMMAND_ENDED,
		    slice_str(end->name), slice(detail, (size_t)n));
}

static void on_command_said(void *arg, const char *name, struct slice line,
			    uint64_t dropped)
{
	struct open_sources *o = arg;
	char quoted[300], text[600];

	log_warn("a command whose output is read says on standard error",
		 "command=%s text=%s dropped=%llu",
		 log_quote(quoted, sizeof quoted, slice_str(name)),
		 log_quote(text, sizeof text, pipeline_mask(o->pipeline, line)),
		 (unsigned long long)dropped);
}

static int open_commands(struct open_sources *o, uv_loop_t *loop,
			 const struct agent_config *config, const unsigned char *secret,
			 int fd, struct command_callbacks *cb)
{
	int rc;

	if (fd < 0) {
		return 0;
	}
	rc = commands_new(&o->list[o->n], loop, o->sys, fd, &config->sources, secret, cb);
	o->n += rc == 0;
	return rc;
}

/* ---- the kernel's log ---- */

static void open_log(struct open_before *before, const struct agent_config *config)
{
	if (!config->sources.read_kernel) {
		return;
	}
	before->kernel = sys_open(sys_plain(), "/dev/kmsg", O_RDONLY | O_NONBLOCK, 0);
	if (before->kernel < 0) {
		log_error("cannot read the kernel's log: start the agent as root, or with "
			  "CAP_SYSLOG, or set sources.kernel: false",
			  "path=/dev/kmsg error=\"%s\"", err_str(before->kernel));
	}
}

/* A path that as a pattern stands for itself. */
static bool is_plain(const char *path, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strchr("*?[\\", path[i]) != NULL) {
			return false;
		}
	}
	return n > 0 && path[0] == '/';
}

/* Who changes this program decides what is seen. */
static void name_own(struct open_before *before, const char *config_path)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path);

	if (n > 0 && (size_t)n < sizeof path && is_plain(path, (size_t)n)) {
		strlist_add(&before->own, slice(path, (size_t)n));
	}
	if (realpath(config_path, path) != NULL && is_plain(path, strlen(path))) {
		strlist_add(&before->own, slice_str(path));
	}
}

void open_early(struct open_before *before, const struct agent_config *config,
		const char *config_path)
{
	open_log(before, config);
	if (config->sources.watch.enabled) {
		name_own(before, config_path);
	}
}

static void host_name(char host[static UV_MAXHOSTNAMESIZE])
{
	size_t room = UV_MAXHOSTNAMESIZE;

	if (uv_os_gethostname(host, &room) != 0) {
		snprintf(host, UV_MAXHOSTNAMESIZE, "localhost");
	}
}

static int open_kernel(struct open_sources *o, uv_loop_t *loop,
		       const struct agent_config *config, const unsigned char *secret,
		       const struct open_before *before, const struct tail_callbacks *cb,
		       void *arg)
{
	char host[UV_MAXHOSTNAMESIZE];
	struct kmsg_params params = {
		.loop = loop, .sys = o->sys, .fd = before->kernel, .host = host,
		.secret = secret, .cb = cb, .arg = arg,
	};
	int rc;

	if (!config->sources.read_kernel) {
		return 0;
	}
	if (before->kernel < 0) {
		health_tell(o->pipeline, o->sys, HEALTH_NOT_READ, SLICE_LIT("/dev/kmsg"),
			    slice_str(err_str(before->kernel)));
		return 0;
	}
	memcpy(params.boot, before->boot, sizeof params.boot);
	host_name(host);
	rc = kmsg_new(&o->list[o->n], &params);
	o->n += rc == 0;
	return rc;
}

/* ---- watched files ---- */

static int open_watch(struct open_sources *o, const struct agent_config *config,
		      const unsigned char *secret, const struct open_before *before,
		      const struct tail_callbacks *cb, void *arg)
{
	char host[UV_MAXHOSTNAMESIZE];
	struct watch_params params = {
		.sys = o->sys, .options = &config->sources, .more = &before->own,
		.host = host, .secret = secret, .cb = cb, .arg = arg,
	};
	int rc;

	if (!config->sources.watch.enabled) {
		return 0;
	}
	host_name(host);
	rc = watch_new(&o->list[o->n], &params);
	o->n += rc == 0;
	return rc;
}

/* ---- all ---- */

struct source *open_find(const struct open_sources *o, const char *name)
{
	for (size_t i = 0; i < o->n; i++) {
		if (strcmp(o->list[i]->ops->name, name) == 0) {
			return o->list[i];
		}
	}
	return NULL;
}

int open_syslog(const struct open_sources *o, struct source **out, uv_loop_t *loop,
		const struct agent_config *config, const unsigned char *secret,
		const struct tail_callbacks *cb, void *arg)
{
	struct sockets none = {.n = 0};

	if (o->n == SOURCES_MAX) {
		return ERR_FULL;
	}
	return syslog_new(out, loop, o->sys, &none, &socket_calls, &config->sources, secret,
			  cb, arg);
}

int open_sources(struct open_sources *o, uv_loop_t *loop, struct sys *sys,
		 const struct agent_config *config, const unsigned char *secret,
		 struct open_before before, struct pipeline *pipeline,
		 const struct tail_callbacks *cb, void *arg)
{
	struct command_callbacks commands = {cb, arg, on_command_ended, on_command_said, o};
	int rc;

	o->pipeline = pipeline;
	o->sys = sys;
	rc = open_commands(o, loop, config, secret, before.runner, &commands);
	if (rc == 0 && before.sockets != NULL && before.sockets->n > 0) {
		rc = syslog_new(&o->list[o->n], loop, sys, before.sockets, &socket_calls,
				&config->sources, secret, cb, arg);
		o->n += rc == 0;
	}
	if (rc == 0 && config->sources.n_journals > 0 && journal_calls() == NULL) {
		log_error("this build can't read the journal: take sources.journal out, or "
			  "build with libsystemd (meson option journal)");
		return UV_ENOTSUP;
	}
	for (size_t i = 0; i < config->sources.n_journals && rc == 0; i++) {
		rc = journal_new(&o->list[o->n], sys, journal_calls(), &config->sources,
				 &config->sources.journals[i], secret, cb, arg);
		o->n += rc == 0;
	}
	rc = rc != 0 ? rc : open_kernel(o, loop, config, secret, &before, cb, arg);
	return rc != 0 ? rc : open_watch(o, config, secret, &before, cb, arg);
}
