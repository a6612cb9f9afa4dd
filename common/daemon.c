#include "common/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"
#include "common/slice.h"

enum { FIRST_LISTEN_FD = 3, LISTEN_FDS_MAX = 64, WRONG_USE = 2 };

/* Neither traceable nor dumpable by others; but the sanitizer's search for leaks
 * traces its own process at the end. */
static void hide(void)
{
#if !defined(__SANITIZE_ADDRESS__)
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int daemon_args(struct daemon_args *out, const char *name, const char *usage,
		int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'n'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:nVh", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			out->config_path = optarg;
			break;
		case 'n':
			out->check_only = true;
			break;
		case 'V':
			printf("%s %s\n", name, NIGHTJAR_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return WRONG_USE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument \"%s\"\n", name,
			argv[optind]);
		return WRONG_USE;
	}
	return -1;
}

void daemon_harden(void)
{
	static const struct rlimit none = {0, 0};
	int fd;

	umask(077);
	setrlimit(RLIMIT_CORE, &none);
	hide();
	signal(SIGPIPE, SIG_IGN);
	do {
		fd = open("/dev/null", O_RDWR | O_NOCTTY);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2) {
		close(fd);
	}
}

/* *pw is the account of that name, until the next look. */
static int find_user(const char *user, const struct passwd **pw,
		     char why[static DAEMON_WHY])
{
	errno = 0;
	*pw = getpwnam(user);
	if (*pw != NULL) {
		return 0;
	}
	snprintf(why, DAEMON_WHY,
		 "there is no user %.64s to become; make it (systemd-"
		 "sysusers, or useradd -r %.64s) or set `user`",
		 user, user);
	return errno != 0 ? -errno : UV_ENOENT;
}

static int make_parents(const char *path)
{
	char parent[4096];
	size_t n = strlen(path);

	if (n >= sizeof parent) {
		return UV_ENAMETOOLONG;
	}
	for (size_t i = 1; i < n; i++) {
		if (path[i] != '/') {
			continue;
		}
		memcpy(parent, path, i);
		parent[i] = '\0';
		if (mkdir(parent, 0755) == 0) {
			/* Others have to get through to what is theirs; the
			 * umask of this process is stricter. */
			if (chmod(parent, 0755) != 0) {
				return -errno;
			}
		} else if (errno != EEXIST) {
			return -errno;
		}
	}
	return 0;
}

int daemon_folder(const char *path, const char *user, unsigned mode,
		  char why[static DAEMON_WHY])
{
	const struct passwd *pw = NULL;
	int rc;

	/* Before anything is made that would then be nobody's. */
	if (geteuid() == 0 && (rc = find_user(user, &pw, why)) != 0) {
		return rc;
	}
	rc = make_parents(path);
	if (rc == 0 && mkdir(path, (mode_t)mode) == 0) {
		if (chmod(path, (mode_t)mode) != 0 ||
		    (pw != NULL && lchown(path, pw->pw_uid, pw->pw_gid) != 0)) {
			rc = -errno;
		}
	} else if (rc == 0 && errno != EEXIST) {
		rc = -errno;
	}
	if (rc != 0) {
		snprintf(why, DAEMON_WHY,
			 "cannot make the folder %.100s: %s; %s (user %.32s)",
			 path, err_str(rc), err_advice(rc), user);
	}
	return rc;
}

static int set_caps(uint32_t permitted)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = permitted, .permitted = permitted}};

	return syscall(SYS_capset, &head, data) == 0 ? 0 : -errno;
}

static int become(const struct passwd *pw, bool keep_read)
{
	if (keep_read && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
		return -errno;
	}
	if (initgroups(pw->pw_name, pw->pw_gid) != 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0) {
		return -errno;
	}
	/* Changing ids has made us dumpable by our own user again. */
	hide();
	return set_caps(keep_read ? 1u << CAP_DAC_READ_SEARCH : 0);
}

int daemon_drop(const char *user, bool keep_read, char why[static DAEMON_WHY])
{
	const struct passwd *pw;
	int rc;

	if (geteuid() != 0) {
		return 0;
	}
	rc = find_user(user, &pw, why);
	if (rc != 0) {
		return rc;
	}
	if (pw->pw_uid == 0) {
		snprintf(why, DAEMON_WHY,
			 "`user` must not be root; name an account of its own");
		return UV_EPERM;
	}
	rc = become(pw, keep_read);
	if (rc == 0 && (setuid(0) == 0 || getuid() != pw->pw_uid ||
			geteuid() != pw->pw_uid || getgid() != pw->pw_gid)) {
		rc = UV_EPERM;
	}
	if (rc != 0) {
		snprintf(why, DAEMON_WHY, "cannot become the user %.64s: %s",
			 user, err_str(rc));
	}
	return rc;
}

static uint64_t env_number(const char *name)
{
	uint64_t v;

	return slice_to_u64(slice_str(getenv(name)), UINT64_MAX, &v) ? v : 0;
}

int daemon_listen_fds(void)
{
	uint64_t n = env_number("LISTEN_FDS");
	bool ours = env_number("LISTEN_PID") == (uint64_t)getpid();

	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	if (!ours || n > LISTEN_FDS_MAX) {
		return 0;
	}
	for (int i = 0; i < (int)n; i++) {
		fcntl(FIRST_LISTEN_FD + i, F_SETFD, FD_CLOEXEC);
	}
	return (int)n;
}

/* Connected once, so that it works from inside the sandbox.  -1: nobody to
 * tell. */
static int notify_socket(void)
{
	static int fd = -2;
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t n;

	if (fd != -2) {
		return fd;
	}
	fd = -1;
	n = path == NULL ? 0 : strlen(path);
	if (n < 2 || n >= sizeof addr.sun_path ||
	    (path[0] != '/' && path[0] != '@')) {
		return -1;
	}
	memcpy(addr.sun_path, path, n);
	if (path[0] == '@') {
		addr.sun_path[0] = '\0';
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    connect(fd, (struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) !=
		    0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void daemon_notify(const char *state)
{
	int fd = notify_socket();

	if (fd >= 0) {
		/* A manager that is gone is not our concern. */
		(void)!send(fd, state, strlen(state),
			    MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

uint64_t daemon_watchdog_ms(void)
{
	uint64_t pid = env_number("WATCHDOG_PID");

	if (pid != 0 && pid != (uint64_t)getpid()) {
		return 0;
	}
	return env_number("WATCHDOG_USEC") / 2000;
}
