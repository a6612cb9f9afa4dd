/* sandbox: after set-up a process keeps only the files and system calls that its
 * work needs: no_new_privs, landlock (kernel 5.13 and later), seccomp.
 *
 * Once, from main(), after everything that needs more is open and before the
 * first thread of libuv's pool starts.  What a kernel lacks is left out and said
 * in the log; what fails although the kernel has it is an error.
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

enum sandbox_role { SANDBOX_AGENT, SANDBOX_COLLECTOR, SANDBOX_HELPER };

enum sandbox_access {
	SANDBOX_READ = 1 << 0,  /* a file, or everything below a folder */
	SANDBOX_WRITE = 1 << 1, /* and write, create, rename, remove there */
	SANDBOX_EXEC = 1 << 2,  /* and run (helper only) */
	SANDBOX_LIST = 1 << 3,  /* alone: the names below a folder, no contents */
};

struct sandbox_path {
	const char *path; /* one that does not exist is passed over */
	unsigned access;
};

/* A list of them, with its text.  Large: on the heap. */
enum { SANDBOX_PATHS = 256, SANDBOX_PATH_TEXT = 4096 };
struct sandbox_paths {
	struct sandbox_path list[SANDBOX_PATHS];
	char text[SANDBOX_PATHS][SANDBOX_PATH_TEXT];
	size_t n;
};

/* More than fit are left out: what is not allowed is refused. */
void sandbox_allow(struct sandbox_paths *p, const char *path, unsigned access);
/* The folder that holds path. */
void sandbox_allow_folder_of(struct sandbox_paths *p, const char *path,
			     unsigned access);
/* What every program reads: libraries, zones, /dev/null. */
void sandbox_allow_system(struct sandbox_paths *p);
/* What it takes to look up names: of /etc some files, and the folder of the file that
 * resolv.conf is, which is all of /etc unless it is a link (as systemd-resolved and
 * NetworkManager make it). */
void sandbox_allow_resolver(struct sandbox_paths *p);

enum { SANDBOX_WHY = 256 };

/* 0, or UV_E* and why.  SANDBOX_HELPER is for a process that runs programs: they
 * inherit the sandbox, so that it has no paths (no landlock) and a list of calls that
 * are refused in place of one of those that are allowed. */
int sandbox_enter(enum sandbox_role role, const struct sandbox_path *paths,
		  size_t n, char why[static SANDBOX_WHY]);

/* As the option `sandbox` says: enters with what list() allows, or (off) says that there
 * is none.  *allowed: the list, to be freed by the caller; NULL without a sandbox. */
int sandbox_close(enum sandbox_role role, bool on,
		  void (*list)(struct sandbox_paths *p, const void *arg), const void *arg,
		  struct sandbox_paths **allowed, char why[static SANDBOX_WHY]);

#endif
