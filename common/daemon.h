/* daemon: what a service does around its work: gives up rights, and talks to the
 * service manager.
 *
 * Called once each from main(), before threads, in the order in which they stand
 * here.  No libsystemd: both protocols are a few lines (sd_notify(3),
 * sd_listen_fds(3), systemd 252).
 */
#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

enum { DAEMON_WHY = 256 };

struct daemon_args {
	const char *config_path; /* in: the default; out: what was asked for */
	bool check_only;
};

/* The command line of a daemon: -c FILE, -n, -V, -h.  -1: go on; otherwise the
 * status to exit with, everything having been said (0 after help and version, 2
 * after a wrong use). */
int daemon_args(struct daemon_args *out, const char *name, const char *usage,
		int argc, char **argv);

/* umask 077, no core files, not traceable or dumpable by others, SIGPIPE
 * ignored, descriptors 0 to 2 open. */
void daemon_harden(void);

/* Makes sure that the folder is there and private (mode, for example 0700); started as
 * root, a new one is given to `user`.  Its parent must exist, or be /run or /var/lib
 * deep: parents are made with mode 0755. */
int daemon_folder(const char *path, const char *user, unsigned mode,
		  char why[static DAEMON_WHY]);

/* Started as root: becomes `user` for good (groups, gid, uid; verified that the
 * way back is shut).  keep_read: keeps CAP_DAC_READ_SEARCH alone.  Not root: does
 * nothing.  why: what is wrong and the remedy, in one line. */
int daemon_drop(const char *user, bool keep_read, char why[static DAEMON_WHY]);

/* How many descriptors the service manager passed (from number 3 on); they are
 * made close-on-exec and the variables are removed from the environment. */
int daemon_listen_fds(void);

/* Sends e.g. "READY=1" or "STOPPING=1" to NOTIFY_SOCKET, when there is one.  The
 * socket is opened at the first call: make it before the sandbox closes. */
void daemon_notify(const char *state);

/* How often the watchdog wants to hear of us (half of WATCHDOG_USEC), in
 * milliseconds; 0: there is none. */
uint64_t daemon_watchdog_ms(void);

#endif
