/* nightjar-agent: from the command line to a confined process.
 *
 * main() is the order of things: read the configuration, start the helper, open what
 * needs rights, give up the rights, close the sandbox, run.  Privilege only
 * ever falls. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/allow.h"
#include "agent/machine.h"
#include "agent/reload.h"
#include "agent/workers.h"
#include "common/control.h"
#include "common/daemon.h"
#include "common/err.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "common/sys_uv.h"
#include "hooks/helper.h"
#include "hooks/hooks.h"
#include "sources/runner.h"
#include "sources/sockets.h"
#include "wire/identity.h"
#include "wire/net_tls.h"
#include "wire/renewal.h"

enum { HOOKS_GRACE_MS = 3000, TRIM_EVERY_MS = 5000 };

struct program {
	struct daemon_args args;
	char config_path[PATH_MAX]; /* absolute */
	struct agent_config *config;
	struct sandbox_paths *allowed; /* NULL: no sandbox */

	uv_loop_t loop;
	struct sys_uv sys;
	struct service service;
	struct identity *identity; /* NULL without a collector */
	struct renewal renewal;
	int lock_fd; /* the spool's, held for life; -1: none */
	struct net_tls *net;
	struct agent *agent;
	struct hooks *hooks;
	struct control *control;
	struct sockets sockets; /* until the agent has them */
	int helper_fd;
	pid_t helper_pid, runner_pid;
	struct open_before before;
	uv_timer_t trimming;
	uint64_t lines, silent_ms; /* handed on, and since when no more */
	bool trimmed;
	char device[LIMIT_DEVICE_NAME + 1];
};

static const char usage[] =
	"Usage: nightjar-agent [-c FILE] [-n]\n"
	"\n"
	"Reads this machine's logs, takes the secrets out of them, raises alerts\n"
	"and ships every line once to a collector.  Runs in the foreground; a\n"
	"service manager starts it (nightjar-agent.service).\n"
	"\n"
	"  -c, --config FILE  the configuration (" CONFIG_AGENT_PATH ")\n"
	"  -n, --check        check the configuration and end\n"
	"  -V, --version      print the version\n"
	"  -h, --help         print this\n"
	"\n"
	"Signals: TERM and INT stop it cleanly: what was read is delivered or\n"
	"spooled first.  `nightjar status` asks a running one how it is.\n"
	"Exit status: 0 stopped cleanly, 1 failed, 2 used wrongly.\n";

/* ---- command line and configuration ---- */

static int load_config(struct program *p)
{
	struct config_errors errs = {0};
	int rc = config_load_agent(p->args.config_path, &p->config, &errs);

	config_errors_print(&errs);
	return rc;
}

/* ---- what needs rights ---- */

static int make_folders(const struct agent_config *c,
			char why[static DAEMON_WHY])
{
	char run[PATH_MAX];
	int rc = daemon_folder(c->daemon.state_dir, c->daemon.user, 0700, why);

	if (rc == 0 && c->has_collector) {
		rc = daemon_folder(c->shipper.spool_dir, c->daemon.user, 0700,
				   why);
	}
	if (rc == 0 && c->daemon.control[0] != '\0') {
		snprintf(run, sizeof run, "%s", c->daemon.control);
		rc = daemon_folder(dirname(run), c->daemon.user, 0755, why);
	}
	return rc;
}

static int load_identity(struct program *p)
{
	const struct shipper_options *o = &p->config->shipper;
	char why[IDENTITY_WHY], unused[IDENTITY_WHY];
	int rc;

	if (!p->config->has_collector) {
		if (gethostname(p->device, sizeof p->device) != 0) {
			snprintf(p->device, sizeof p->device, "localhost");
		}
		p->device[sizeof p->device - 1] = '\0';
		return 0;
	}
	rc = identity_load(&p->identity, o->certificate, o->key, o->authority,
			   sys_wall_ns(sys_plain()) / 1000000, why);
	if (rc == ERR_CERTIFICATE &&
	    identity_load(&p->identity, o->certificate, o->key, o->authority, 0,
			  unused) == 0) {
		/* Over, or the clock is not set yet: the collector will refuse
		 * it, and until then this machine is still watched. */
		log_reason(LOG_LEVEL_ERROR,
			   "the collector will not take this device's lines; they are "
			   "watched and kept. Restart once it is put right",
			   why);
		rc = 0;
	}
	if (rc != 0) {
		log_reason(LOG_LEVEL_ERROR, "cannot use this device's identity", why);
		return rc;
	}
	snprintf(p->device, sizeof p->device, "%s",
		 identity_name(p->identity));
	renewal_init(&p->renewal, sys_plain(), o->certificate, o->key,
		     o->authority);
	tzset(); /* Before the sandbox closes. */
	return 0;
}

/* One agent for one spool.  The lock ends with the process. */
static int lock_spool(struct program *p, char why[static DAEMON_WHY])
{
	char path[PATH_MAX];
	int rc = 0;

	if (!p->config->has_collector) {
		return 0;
	}
	snprintf(path, sizeof path, "%s/lock", p->config->shipper.spool_dir);
	p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (p->lock_fd < 0) {
		rc = -errno;
		snprintf(why, DAEMON_WHY, "cannot lock the spool, %.120s: %s; %s", path,
			 err_str(rc), err_advice(rc));
	} else if (flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		rc = -errno;
		snprintf(why, DAEMON_WHY, "%.160s: another agent uses this spool",
			 path);
	}
	return rc;
}

/* ---- a renewed certificate ---- */

/* true: from now on connections are made with another one. */
static bool take_renewed(struct program *p)
{
	struct identity *fresh;
	char why[IDENTITY_WHY];
	int rc = p->identity == NULL || p->net == NULL
			 ? 0
			 : renewal_check(&p->renewal, p->identity, &fresh, why);

	if (rc <= 0) {
		if (rc < 0) {
			log_reason(LOG_LEVEL_ERROR,
				   "the identity has changed and can't be used; the one "
				   "before stays",
				   why);
		}
		return false;
	}
	rc = net_tls_set_identity(p->net, fresh);
	if (rc != 0) {
		log_error("cannot take up the renewed certificate",
			  "error=\"%s\"", err_str(rc));
		identity_free(fresh);
		return false;
	}
	identity_free(p->identity);
	p->identity = fresh;
	log_info("took up the renewed certificate", "name=%s",
		 identity_name(fresh));
	return true;
}

static void on_dialing(void *arg)
{
	take_renewed(arg);
}

static void on_renewing(void *arg)
{
	struct program *p = arg;

	if (take_renewed(p)) {
		agent_renew(p->agent);
	}
}

/* ---- the sandbox ---- */

static void list_paths(struct sandbox_paths *paths, const void *arg)
{
	const struct program *p = arg;

	allow_all(paths, p->config, p->config_path, &p->before.own);
}

/* ---- running ---- */

static int sign(void *arg, const struct head *h, struct buf *out)
{
	struct program *p = arg;

	return head_sign(h, p->identity, out);
}

static void on_alert(void *arg, const struct alert *a)
{
	struct program *p = arg;

	if (p->hooks != NULL) {
		hooks_alert(p->hooks, a);
	}
}

static int on_status(void *arg, struct slice args, struct buf *reply)
{
	struct program *p = arg;
	struct json j = json_begin(reply);

	(void)args;
	json_object(&j, NULL);
	service_status(&p->service, "nightjar-agent", &j);
	json_cstr(&j, "device", p->device);
	if (p->identity != NULL) {
		json_time(&j, "certificate_ends",
			  identity_not_after_ms(p->identity) * 1000000);
	}
	agent_status(p->agent, &j);
	hooks_status(p->hooks, &j);
	json_object_end(&j);
	return json_end(&j);
}

static int reload(struct program *p, struct buf *reply)
{
	const struct reload r = {p->config_path, p->config, p->agent, p->hooks, p->allowed};
	struct json j = json_begin(reply);
	int rc;

	if (p->service.stopping) {
		return ERR_CLOSED;
	}
	daemon_notify("RELOADING=1");
	rc = reload_agent(&r, &j);
	daemon_notify("READY=1");
	if (rc == UV_ENOMEM) {
		return rc;
	}
	return json_end(&j);
}

static int on_reload(void *arg, struct slice args, struct buf *reply)
{
	(void)args;
	return reload(arg, reply);
}

static const struct control_handler handlers[] = {
	{"status", on_status},
	{"reload", on_reload},
	{NULL, NULL},
};

static void on_hooks_closed(void *arg)
{
	struct program *p = arg;

	p->hooks = NULL;
	if (p->net != NULL) {
		net_tls_free(p->net);
		p->net = NULL;
	}
	service_close(&p->service);
	uv_close((uv_handle_t *)&p->trimming, NULL);
}

static void on_agent_stopped(void *arg)
{
	struct program *p = arg;
	struct hooks *hooks = p->hooks;

	log_info("stopped; everything that was read is delivered or spooled");
	control_close(p->control, NULL, NULL);
	p->control = NULL;
	agent_free(p->agent);
	p->agent = NULL;
	p->hooks = NULL;
	hooks_close(hooks, HOOKS_GRACE_MS, on_hooks_closed, p);
}

static void on_hangup(void *arg)
{
	struct buf reply;

	buf_init(&reply, CONTROL_REPLY);
	reload(arg, &reply); /* It has said everything. */
	buf_fini(&reply);
}

static void on_stop(void *arg)
{
	struct program *p = arg;

	agent_stop(p->agent, on_agent_stopped, p);
}

/* In silence, once: what lies free between what is used goes back to the system. */
static void on_trimming(uv_timer_t *timer)
{
	struct program *p = timer->data;
	uint64_t lines = agent_lines(p->agent), now_ms = uv_now(&p->loop);

	if (lines != p->lines) {
		p->lines = lines;
		p->silent_ms = now_ms;
		p->trimmed = false;
		return;
	}
	/* By then the last segment has ended. */
	if (!p->trimmed && now_ms - p->silent_ms >
				   p->config->shipper.segment_silence_ms + TRIM_EVERY_MS) {
		p->trimmed = true;
#ifdef __GLIBC__
		malloc_trim(0);
#endif
	}
}

static void begin_service(struct program *p)
{
	static const struct service_cbs cbs = {on_stop, on_hangup, on_renewing};

	service_start(&p->service, &p->loop, p->config->shipper.renew_check_ms, &cbs, p);
	uv_timer_init(&p->loop, &p->trimming);
	p->trimming.data = p;
	uv_timer_start(&p->trimming, on_trimming, TRIM_EVERY_MS, TRIM_EVERY_MS);
}

static int start_agent(struct program *p, const uint8_t boot[static 16],
		       const struct hash32 *machine)
{
	struct agent_params params = {
		.sys = &p->sys.sys,
		.config = p->config,
		.net = p->net == NULL ? NULL : net_tls_net(p->net),
		.device = p->device,
		.config_path = p->config_path,
		.sign = sign,
		.dialing = on_dialing,
		.on_alert = on_alert,
		.arg = p,
		.loop = &p->loop,
		.before = p->before,
	};
	int rc;

	if (p->identity != NULL) {
		params.device_hash = identity_hash(p->identity);
	}
	memcpy(params.boot, boot, sizeof params.boot);
	memcpy(params.machine, machine->b, sizeof params.machine);
	rc = agent_new(&p->agent, &params);
	return rc != 0 ? rc : agent_start(p->agent);
}

/* While it has rights: folders, sockets, and the processes that run programs. */
static int open_with_rights(struct program *p, char why[static HELPER_WHY])
{
	const struct agent_config *c = p->config;
	int passed = daemon_listen_fds();
	int rc = make_folders(c, why);

	if (rc == 0) {
		rc = sockets_open(&p->sockets, &socket_calls, &c->sources, passed, why);
	}
	if (rc == 0) {
		rc = helper_start(&c->hooks, p->config_path, c->daemon.user,
				  c->daemon.sandbox, &p->helper_pid, &p->helper_fd, why);
	}
	if (rc == 0) {
		rc = runner_start(&c->sources, p->config_path, c->daemon.user,
				  c->daemon.sandbox, &p->runner_pid, &p->before.runner,
				  why);
	}
	return rc;
}

/* The last that needs rights, and then they are gone. */
static int give_up_rights(struct program *p, const uint8_t boot[static 16],
			  char why[static HELPER_WHY])
{
	const struct agent_config *c = p->config;
	int rc;

	daemon_notify("STATUS=starting");
	memcpy(p->before.boot, boot, sizeof p->before.boot);
	open_early(&p->before, c, p->args.config_path);
	rc = daemon_drop(c->daemon.user, true, why);
	rc = rc != 0 ? rc : lock_spool(p, why);
	return rc != 0 ? rc
		       : sandbox_close(SANDBOX_AGENT, c->daemon.sandbox, list_paths, p,
				       &p->allowed, why);
}

/* Says itself what is wrong. */
static int open_control(struct program *p)
{
	const struct daemon_options *o = &p->config->daemon;
	int rc = 0;

	if (o->control[0] != '\0') {
		rc = control_open(&p->control, &p->loop, o->control, handlers, p);
	}
	if (rc != 0) {
		log_error("cannot open the control socket",
			  "path=%s user=%s error=\"%s\" advice=\"%s\"", o->control,
			  o->user, err_str(rc),
			  rc == UV_EADDRINUSE ? "another agent is running"
					      : err_advice(rc));
	}
	return rc;
}

static int open_links(struct program *p, struct hash32 *machine, struct slice id)
{
	int rc = 0;

	if (p->identity != NULL) {
		rc = hash32_of(machine, &id, 1);
		rc = rc != 0 ? rc : net_tls_new(&p->net, &p->loop, p->identity);
	}
	return rc != 0 ? rc
		       : hooks_new(&p->hooks, &p->loop, &p->sys.sys, &p->config->hooks,
				   p->helper_fd);
}

static int run(struct program *p)
{
	char why[HELPER_WHY] = "";
	uint8_t boot[16], machine_id[16];
	struct hash32 machine = {{0}};
	int rc;

	machine_read_id("/proc/sys/kernel/random/boot_id", boot);
	machine_read_id("/etc/machine-id", machine_id);
	log_set_level(p->config->daemon.log_level);
	rc = open_with_rights(p, why);
	if (rc == 0) {
		rc = load_identity(p);
		if (rc != 0) {
			return rc;
		}
		rc = give_up_rights(p, boot, why);
	}
	if (rc == 0) {
		rc = uv_loop_init(&p->loop);
	}
	if (rc != 0) {
		log_reason(LOG_LEVEL_ERROR, "cannot start", why[0] != '\0' ? why : err_str(rc));
		return rc;
	}
	sys_uv_init(&p->sys, &p->loop);
	service_begin(&p->service);
	rc = open_links(p, &machine, slice(machine_id, sizeof machine_id));
	if (rc == 0) {
		rc = open_control(p);
		if (rc != 0) {
			return rc;
		}
		rc = start_agent(p, boot, &machine);
	}
	if (rc != 0) {
		log_error("cannot start", "error=\"%s\"", err_str(rc));
		return rc;
	}
	begin_service(p);
	log_info("started", "version=%s device=%s config=%s",
		 NIGHTJAR_VERSION, p->device, p->args.config_path);
	daemon_notify("READY=1\nSTATUS=reading");
	uv_run(&p->loop, UV_RUN_DEFAULT);
	return 0;
}

/* What is freed goes back to the system: large buffers come from mmap at a fixed
 * threshold (by default it grows with the first of them that is freed), and the
 * worker threads share one arena with the loop.  Buffers that come and go with every
 * batch stay, until on_trimming(). */
static void keep_memory_small(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
	mallopt(M_ARENA_MAX, 1);
#endif
}

int main(int argc, char **argv)
{
	struct program *p;
	int rc;

	if (argc == 3 && strcmp(argv[1], "--helper") == 0) {
		return helper_main(WORKER_FD,
				   &(struct worker_config){argv[2], workers_hooks});
	}
	if (argc == 3 && strcmp(argv[1], RUNNER_FLAG) == 0) {
		return runner_main(WORKER_FD,
				   &(struct worker_config){argv[2], workers_commands});
	}
	keep_memory_small();
	p = calloc(1, sizeof *p);
	if (p == NULL) {
		return EXIT_FAILURE;
	}
	p->helper_fd = p->lock_fd = -1;
	p->before = OPEN_NOTHING;
	p->before.sockets = &p->sockets;
	p->args.config_path = CONFIG_AGENT_PATH;
	rc = daemon_args(&p->args, "nightjar-agent", usage, argc, argv);
	if (rc >= 0) {
		free(p);
		return rc;
	}
	if (load_config(p) != 0) {
		free(p);
		return EXIT_FAILURE;
	}
	if (realpath(p->args.config_path, p->config_path) == NULL) {
		snprintf(p->config_path, sizeof p->config_path, "%s", p->args.config_path);
	}
	if (p->args.check_only) {
		printf("%s: configuration OK\n", p->args.config_path);
		rc = 0;
	} else {
		daemon_harden();
		rc = run(p);
	}
	sockets_close(&p->sockets);
	strlist_fini(&p->before.own);
	free(p->allowed);
	identity_free(p->identity);
	agent_config_free(p->config);
	free(p);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
