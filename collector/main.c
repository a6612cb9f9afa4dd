/* nightjar-collector: from the command line to a confined process.
 *
 * main() is the order of things: read the configuration, start the helper, bind
 * and load keys, give up the rights, close the sandbox, open the store, run.
 * Privilege only ever falls. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/core.h"
#include "collector/reload.h"
#include "collector/share.h"
#include "collector/sqlite.h"
#include "collector/store_lock.h"
#include "common/control.h"
#include "common/daemon.h"
#include "common/err.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "common/sys_uv.h"
#include "config/config.h"
#include "hooks/helper.h"
#include "hooks/hooks.h"
#include "wire/identity.h"
#include "wire/net_tls.h"
#include "wire/renewal.h"

enum {
	HOOKS_GRACE_MS = 3000,
	LISTEN_FD = 3, /* the first that a service manager passes */
	BACKLOG = 512,
};

struct program {
	struct daemon_args args;
	char config_path[PATH_MAX]; /* absolute */
	struct collector_config *config;
	struct sandbox_paths *allowed; /* NULL: no sandbox */

	uv_loop_t loop;
	struct sys_uv sys;
	struct service service;
	struct identity *identity;
	struct renewal renewal;
	struct net_tls *net;
	struct net_tls_listener *listener;
	struct catalogue *catalogue;
	struct collector *collector;
	struct hooks *hooks;
	struct control *control;
	int listen_fd, helper_fd;
	struct store_lock lock;
	pid_t helper_pid;
};

static const char usage[] =
	"Usage: nightjar-collector [-c FILE] [-n]\n"
	"\n"
	"Takes what agents ship, stores it once, acknowledges it and hands alerts\n"
	"to its hooks.  Runs in the foreground; a service manager starts it\n"
	"(nightjar-collector.service).\n"
	"\n"
	"  -c, --config FILE  the configuration (" CONFIG_COLLECTOR_PATH ")\n"
	"  -n, --check        check the configuration and end\n"
	"  -V, --version      print the version\n"
	"  -h, --help         print this\n"
	"\n"
	"Signals: TERM and INT stop it cleanly: what was received is synced and\n"
	"acknowledged first.  HUP reads the configuration and the certificate anew\n"
	"(docs/reload.md).  `nightjar status` asks a running one how it is.\n"
	"Exit status: 0 stopped cleanly, 1 failed, 2 used wrongly.\n";

/* ---- command line and configuration ---- */

static int load_config(struct program *p)
{
	struct config_errors errs = {0};
	int rc = config_load_collector(p->args.config_path, &p->config, &errs);

	config_errors_print(&errs);
	return rc;
}

/* ---- what needs rights ---- */

static int make_folders(const struct collector_config *c,
			char why[static DAEMON_WHY])
{
	char run[PATH_MAX];
	int rc = daemon_folder(c->daemon.state_dir, c->daemon.user, 0700, why);

	if (rc == 0) {
		rc = daemon_folder(c->collector.store_dir, c->daemon.user, 0700,
				   why);
	}
	if (rc == 0 && c->daemon.control[0] != '\0') {
		snprintf(run, sizeof run, "%s", c->daemon.control);
		rc = daemon_folder(dirname(run), c->daemon.user, 0755, why);
	}
	return rc;
}

static int load_identity(const struct collector_options *o,
			 struct identity **out)
{
	char why[IDENTITY_WHY];
	int rc = identity_load(out, o->certificate, o->key, o->authority,
			       sys_wall_ns(sys_plain()) / 1000000, why);

	if (rc != 0) {
		log_reason(LOG_LEVEL_ERROR, "cannot use this collector's identity", why);
	}
	return rc;
}

/* The address as the kernel takes it; its size, or 0. */
static socklen_t socket_address(const struct collector_options *o,
				struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (uv_ip4_addr(o->listen_address, o->listen_port,
			(struct sockaddr_in *)(void *)out) == 0) {
		return sizeof(struct sockaddr_in);
	}
	if (uv_ip6_addr(o->listen_address, o->listen_port,
			(struct sockaddr_in6 *)(void *)out) == 0) {
		return sizeof(struct sockaddr_in6);
	}
	return 0;
}

/* What to do when an address can't be had. */
static const char *remedy(int rc)
{
	return rc == UV_EADDRINUSE
		       ? ": another program, or another collector, listens there (ss -ltnp "
			 "names it); stop it or set `listen`"
	       : rc == UV_EADDRNOTAVAIL
		       ? ": it is no address of this machine; set `listen`"
	       : rc == UV_EACCES || rc == UV_EPERM
		       ? ": a port below 1024 is for root; start as root, have the service "
			 "manager pass the socket, or set `listen`"
		       : "";
}

/* Bound while there may still be the right to a port below 1024. */
static int bind_socket(struct program *p, char why[static DAEMON_WHY])
{
	const struct collector_options *o = &p->config->collector;
	struct sockaddr_storage address;
	socklen_t n = socket_address(o, &address);
	int one = 1, rc = 0;

	if (daemon_listen_fds() > 0) {
		p->listen_fd = LISTEN_FD;
		return 0;
	}
	if (n == 0) {
		snprintf(why, DAEMON_WHY, "listen: \"%.64s\" is no IP address",
			 o->listen_address);
		return UV_EINVAL;
	}
	p->listen_fd = socket(address.ss_family,
			      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->listen_fd < 0 ||
	    setsockopt(p->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one,
		       sizeof one) != 0 ||
	    bind(p->listen_fd, (struct sockaddr *)&address, n) != 0 ||
	    listen(p->listen_fd, BACKLOG) != 0) {
		rc = -errno;
		snprintf(why, DAEMON_WHY,
			 "cannot listen on %.64s port %u: %s%s", o->listen_address,
			 o->listen_port, err_str(rc), remedy(rc));
	}
	return rc;
}

/* ---- the sandbox ---- */

static void list_paths(struct sandbox_paths *p, const void *arg)
{
	const struct program *program = arg;
	const struct collector_config *c = program->config;
	const struct collector_options *o = &c->collector;

	sandbox_allow_system(p);
	/* They may be renewed, by another file of the same name. */
	sandbox_allow_folder_of(p, o->certificate, SANDBOX_READ);
	sandbox_allow_folder_of(p, o->key, SANDBOX_READ);
	sandbox_allow_folder_of(p, o->authority, SANDBOX_READ);
	sandbox_allow(p, c->daemon.state_dir, SANDBOX_WRITE);
	sandbox_allow(p, o->store_dir, SANDBOX_WRITE);
	if (o->output_file[0] != '\0') {
		sandbox_allow_folder_of(p, o->output_file, SANDBOX_WRITE);
	}
	for (size_t i = 0; i < c->hooks.n_hooks; i++) {
		if (c->hooks.hooks[i].type == HOOK_FILE) {
			sandbox_allow_folder_of(p, c->hooks.hooks[i].path,
					SANDBOX_WRITE);
		}
	}
	if (c->daemon.control[0] != '\0') {
		sandbox_allow_folder_of(p, c->daemon.control, SANDBOX_WRITE);
	}
	sandbox_allow_folder_of(p, program->config_path, SANDBOX_READ); /* For a reload. */
}

/* ---- running ---- */

static void on_alert(void *arg, const char *device, struct slice json)
{
	struct program *p = arg;

	if (p->hooks != NULL) {
		hooks_alert_json(p->hooks, slice_str(device), json);
	}
}

static const struct link_cbs *on_accept(void *arg, struct link *l,
					const struct link_peer *peer)
{
	struct program *p = arg;

	return collector_accept(p->collector, l, peer);
}

static int on_status(void *arg, struct slice args, struct buf *reply)
{
	struct program *p = arg;
	struct json j = json_begin(reply);

	(void)args;
	json_object(&j, NULL);
	service_status(&p->service, "nightjar-collector", &j);
	json_u64(&j, "port", net_tls_listener_port(p->listener));
	json_time(&j, "certificate_ends",
		  identity_not_after_ms(p->identity) * 1000000);
	collector_status(p->collector, &j);
	hooks_status(p->hooks, &j);
	json_object_end(&j);
	return json_end(&j);
}

static int reload(struct program *p, struct buf *reply);

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
	net_tls_free(p->net);
	p->net = NULL;
	service_close(&p->service);
}

static void on_stopped(void *arg)
{
	struct program *p = arg;

	log_info("stopped; everything that was received is synced");
	control_close(p->control, NULL, NULL);
	p->control = NULL;
	collector_free(p->collector);
	p->collector = NULL;
	sqlite_catalogue_close(p->catalogue);
	p->catalogue = NULL;
	hooks_close(p->hooks, HOOKS_GRACE_MS, on_hooks_closed, p);
}

static void on_stop(void *arg)
{
	struct program *p = arg;

	net_tls_listener_close(p->listener);
	p->listener = NULL;
	collector_stop(p->collector, on_stopped, p);
}

/* The links that there are keep the identity they began with. */
static void take_identity(struct program *p, struct identity *fresh)
{
	int rc = net_tls_set_identity(p->net, fresh);

	if (rc != 0) {
		log_error("keeping the certificate that is in use",
			  "error=\"%s\"", err_str(rc));
		identity_free(fresh);
		return;
	}
	identity_free(p->identity);
	p->identity = fresh;
	log_info("took up the renewed certificate", "name=%s",
		 identity_name(fresh));
}

static int reload(struct program *p, struct buf *reply)
{
	const struct collector_reload r = {p->config_path, p->config,	p->hooks, p->net,
					   p->listener,	   &p->identity, p->allowed};
	struct json j = json_begin(reply);
	int rc;

	if (p->service.stopping) {
		return ERR_CLOSED;
	}
	daemon_notify("RELOADING=1");
	rc = collector_reload(&r, &j);
	daemon_notify("READY=1");
	return rc == UV_ENOMEM ? rc : json_end(&j);
}

static void on_renewing(void *arg)
{
	struct program *p = arg;
	struct identity *fresh;
	char why[IDENTITY_WHY];
	int rc = renewal_check(&p->renewal, NULL, &fresh, why);

	if (rc < 0) {
		log_reason(LOG_LEVEL_ERROR,
			   "the identity has changed and can't be used; the one "
			   "before stays",
			   why);
	} else if (rc > 0) {
		take_identity(p, fresh);
	}
}

static void on_hangup(void *arg)
{
	struct buf unused;

	buf_init(&unused, CONTROL_REPLY);
	reload(arg, &unused); /* It has said everything in the log. */
	buf_fini(&unused);
}

static int open_collector(struct program *p, char why[static COLLECTOR_WHY])
{
	struct collector_params params = {
		.sys = &p->sys.sys,
		.options = &p->config->collector,
		.on_alert = on_alert,
		.arg = p,
	};
	char own[STORE_PATH];
	int rc;

	share_own_dir(own, params.options->store_dir, params.options->member);
	if (sqlite_catalogue_open(&p->catalogue, own, why) != 0) {
		/* Searching is slower without it; storing is not. */
		log_reason(LOG_LEVEL_ERROR, "going on without a catalogue", why);
		why[0] = '\0';
	}
	params.catalogue = p->catalogue;
	daemon_notify("STATUS=reading the store");
	rc = collector_new(&p->collector, &params, why);
	store_lock_opened(&p->lock);
	return rc;
}

static int start_listening(struct program *p, char why[static COLLECTOR_WHY])
{
	const struct collector_options *o = &p->config->collector;
	const struct net_tls_limits limits = collector_limits(o);
	int rc = net_tls_new(&p->net, &p->loop, p->identity);

	if (rc == 0) {
		rc = net_tls_listen(&p->listener, p->net, o->listen_address,
				    o->listen_port, p->listen_fd, &limits,
				    on_accept, p);
	}
	if (rc != 0) {
		snprintf(why, COLLECTOR_WHY, "cannot listen: %s", err_str(rc));
	}
	return rc;
}

static int open_control(struct program *p, char why[static COLLECTOR_WHY])
{
	const char *path = p->config->daemon.control;
	int rc;

	if (path[0] == '\0') {
		return 0;
	}
	rc = control_open(&p->control, &p->loop, path, handlers, p);
	if (rc != 0) {
		snprintf(why, COLLECTOR_WHY,
			 "cannot open the control socket %.150s (%s): %s",
			 path, err_str(rc),
			 rc == UV_EADDRINUSE
				 ? "another collector is running"
				 : err_advice(rc));
	}
	return rc;
}

/* Everything that needs rights, then none any more. */
static int confine(struct program *p, char why[static HELPER_WHY])
{
	const struct collector_config *c = p->config;
	int rc = make_folders(c, why);

	if (rc == 0) {
		rc = bind_socket(p, why);
	}
	if (rc == 0) {
		rc = helper_start(&c->hooks, p->config_path, c->daemon.user,
				  c->daemon.sandbox, &p->helper_pid, &p->helper_fd, why);
	}
	if (rc == 0) {
		rc = load_identity(&c->collector, &p->identity);
		renewal_init(&p->renewal, sys_plain(), c->collector.certificate,
			     c->collector.key, c->collector.authority);
	}
	if (rc == 0) {
		daemon_notify("STATUS=starting");
		rc = daemon_drop(c->daemon.user, false, why);
	}
	if (rc == 0) {
		rc = store_lock_take(&p->lock, c->collector.store_dir,
				     c->collector.member, why);
	}
	return rc != 0 ? rc
		       : sandbox_close(SANDBOX_COLLECTOR, c->daemon.sandbox, list_paths, p,
				       &p->allowed, why);
}

static int start(struct program *p, char why[static COLLECTOR_WHY])
{
	int rc = uv_loop_init(&p->loop);

	if (rc != 0) {
		return rc;
	}
	sys_uv_init(&p->sys, &p->loop);
	service_begin(&p->service);
	rc = hooks_new(&p->hooks, &p->loop, &p->sys.sys, &p->config->hooks,
		       p->helper_fd);
	if (rc == 0) {
		rc = open_collector(p, why);
	}
	if (rc == 0) {
		rc = start_listening(p, why);
	}
	return rc == 0 ? open_control(p, why) : rc;
}

static int run(struct program *p)
{
	static const struct service_cbs cbs = {on_stop, on_hangup, on_renewing};
	char why[HELPER_WHY] = "";
	int rc;

	log_set_level(p->config->daemon.log_level);
	rc = confine(p, why);
	if (rc == 0) {
		rc = start(p, why);
	}
	if (rc != 0) {
		log_reason(LOG_LEVEL_ERROR, "cannot start", why[0] != '\0' ? why : err_str(rc));
		return rc;
	}
	service_start(&p->service, &p->loop, p->config->collector.renew_check_ms, &cbs, p);
	log_info("started", "version=%s name=%s port=%u config=%s",
		 NIGHTJAR_VERSION, identity_name(p->identity),
		 net_tls_listener_port(p->listener), p->args.config_path);
	daemon_notify("READY=1\nSTATUS=taking what agents ship");
	uv_run(&p->loop, UV_RUN_DEFAULT);
	return 0;
}

int main(int argc, char **argv)
{
	struct program *p;
	int rc;

	if (argc == 3 && strcmp(argv[1], "--helper") == 0) {
		return helper_main(WORKER_FD, &(struct worker_config){
						      argv[2], collector_hooks_table});
	}
	p = calloc(1, sizeof *p);
	if (p == NULL) {
		return EXIT_FAILURE;
	}
	p->helper_fd = p->listen_fd = -1;
	p->lock = STORE_LOCK_NONE;
	p->args.config_path = CONFIG_COLLECTOR_PATH;
	rc = daemon_args(&p->args, "nightjar-collector", usage, argc, argv);
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
	identity_free(p->identity);
	collector_config_free(p->config);
	free(p->allowed);
	free(p);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
