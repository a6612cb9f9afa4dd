#include "common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"

/* ---- the list of paths ---- */

void sandbox_allow(struct sandbox_paths *p, const char *path, unsigned access)
{
	if (p->n < SANDBOX_PATHS && strlen(path) < SANDBOX_PATH_TEXT) {
		memcpy(p->text[p->n], path, strlen(path) + 1);
		p->list[p->n] =
			(struct sandbox_path){p->text[p->n], access};
		p->n++;
	}
}

void sandbox_allow_folder_of(struct sandbox_paths *p, const char *path,
			     unsigned access)
{
	char copy[SANDBOX_PATH_TEXT];

	if (strlen(path) < sizeof copy) {
		memcpy(copy, path, strlen(path) + 1);
		sandbox_allow(p, dirname(copy), access);
	}
}

void sandbox_allow_system(struct sandbox_paths *p)
{
	static const char *const system[] = {
		"/usr", "/lib", "/lib64", "/dev/null", "/dev/urandom",
		/* Not all of /etc: with the right to pass over permissions (CAP_DAC_READ_SEARCH)
		 * that is every secret of the machine. */
		"/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/machine-id"};

	for (size_t i = 0; i < sizeof system / sizeof *system; i++) {
		sandbox_allow(p, system[i], SANDBOX_READ);
	}
}

void sandbox_allow_resolver(struct sandbox_paths *p)
{
	static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts",
					    "/etc/host.conf", "/etc/nsswitch.conf",
					    "/etc/gai.conf", "/etc/services"};
	char real[PATH_MAX];

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		sandbox_allow(p, files[i], SANDBOX_READ);
	}
	/* It is replaced by another file of its name when the network changes. */
	if (realpath(files[0], real) != NULL) {
		sandbox_allow_folder_of(p, real, SANDBOX_READ);
	}
}

/* ---- landlock: which files (Documentation/userspace-api/landlock.rst) ---- */

enum {
	FILE_READ = LANDLOCK_ACCESS_FS_READ_FILE,
	FOLDER_READ = LANDLOCK_ACCESS_FS_READ_DIR,
	FILE_WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE,
	FOLDER_WRITE = LANDLOCK_ACCESS_FS_REMOVE_DIR |
		       LANDLOCK_ACCESS_FS_REMOVE_FILE |
		       LANDLOCK_ACCESS_FS_MAKE_REG |
		       LANDLOCK_ACCESS_FS_MAKE_DIR |
		       LANDLOCK_ACCESS_FS_MAKE_SOCK,
	/* Since ABI 2 and 3; older headers don't name the second. */
	ACCESS_REFER = 1 << 13,
	ACCESS_TRUNCATE = 1 << 14,
	EVERYTHING_V1 = (1 << 13) - 1,
};

static int landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
			    LANDLOCK_CREATE_RULESET_VERSION);
}

static uint64_t handled_by(int abi)
{
	uint64_t handled = EVERYTHING_V1;

	if (abi >= 2) {
		handled |= ACCESS_REFER;
	}
	if (abi >= 3) {
		handled |= ACCESS_TRUNCATE;
	}
	return handled;
}

static uint64_t rights(unsigned access, bool is_dir)
{
	uint64_t r = FILE_READ;

	if (access == SANDBOX_LIST) {
		/* A rule that allows nothing is refused. */
		return is_dir ? FOLDER_READ : FILE_READ;
	}
	if (is_dir) {
		r |= FOLDER_READ;
	}
	if ((access & SANDBOX_WRITE) != 0) {
		r |= FILE_WRITE | ACCESS_TRUNCATE;
		if (is_dir) {
			r |= FOLDER_WRITE | ACCESS_REFER;
		}
	}
	if ((access & SANDBOX_EXEC) != 0) {
		r |= LANDLOCK_ACCESS_FS_EXECUTE;
	}
	return r;
}

static int allow_path(int ruleset, const struct sandbox_path *p,
		      uint64_t handled)
{
	struct landlock_path_beneath_attr attr = {0};
	struct stat st;
	int rc = 0;

	attr.parent_fd = open(p->path, O_PATH | O_CLOEXEC);
	if (attr.parent_fd < 0) {
		/* Not there, or not ours to see: nothing to allow. */
		return errno == ENOENT || errno == EACCES || errno == ENOTDIR
			       ? 0
			       : -errno;
	}
	if (fstat(attr.parent_fd, &st) != 0) {
		rc = -errno;
	} else {
		attr.allowed_access =
			rights(p->access, S_ISDIR(st.st_mode)) & handled;
		if (syscall(SYS_landlock_add_rule, ruleset,
			    LANDLOCK_RULE_PATH_BENEATH, &attr, 0) != 0) {
			rc = -errno;
		}
	}
	close(attr.parent_fd);
	return rc;
}

static int restrict_files(const struct sandbox_path *paths, size_t n,
			  char why[static SANDBOX_WHY])
{
	int abi = landlock_abi(), ruleset, rc = 0;
	struct landlock_ruleset_attr attr = {0};

	if (abi < 1) {
		log_warn("this kernel has no landlock; files are protected by "
			 "their permissions alone",
			 "error=\"%s\"", err_str(-errno));
		return 0;
	}
	attr.handled_access_fs = handled_by(abi);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr,
			       0);
	if (ruleset < 0) {
		rc = -errno;
		snprintf(why, SANDBOX_WHY, "landlock: %s", err_str(rc));
		return rc;
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = allow_path(ruleset, &paths[i], attr.handled_access_fs);
		if (rc != 0) {
			snprintf(why, SANDBOX_WHY, "landlock: %.160s: %s",
				 paths[i].path, err_str(rc));
		}
	}
	if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
		rc = -errno;
		snprintf(why, SANDBOX_WHY, "landlock: %s", err_str(rc));
	}
	close(ruleset);
	return rc;
}

/* ---- seccomp: which calls ---- */

#define CALL(name) SCMP_SYS(name)

static const int memory_and_threads[] = {
	CALL(brk), CALL(mmap), CALL(mmap2), CALL(munmap), CALL(mremap),
	CALL(mprotect), CALL(madvise), CALL(membarrier), CALL(futex),
	CALL(futex_time64), CALL(clone), CALL(clone3), CALL(set_robust_list),
	CALL(get_robust_list), CALL(rseq), CALL(set_tid_address),
	CALL(sched_yield), CALL(sched_getaffinity), CALL(arch_prctl),
	CALL(exit), CALL(exit_group), CALL(restart_syscall),
};

static const int time_and_signals[] = {
	CALL(clock_gettime), CALL(clock_gettime64), CALL(clock_getres),
	CALL(clock_nanosleep), CALL(clock_nanosleep_time64), CALL(nanosleep),
	CALL(gettimeofday), CALL(time), CALL(rt_sigaction),
	CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(sigreturn),
	CALL(sigaltstack), CALL(rt_sigtimedwait), CALL(tgkill),
};

static const int loop[] = {
	CALL(epoll_create1), CALL(epoll_create), CALL(epoll_ctl),
	CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(poll),
	CALL(ppoll), CALL(ppoll_time64), CALL(select), CALL(pselect6),
	CALL(eventfd2), CALL(eventfd), CALL(pipe2), CALL(pipe),
	CALL(inotify_init1), CALL(inotify_add_watch), CALL(inotify_rm_watch),
	CALL(dup), CALL(dup2), CALL(dup3), CALL(fcntl), CALL(fcntl64),
	CALL(ioctl),
};

static const int files[] = {
	CALL(read), CALL(readv), CALL(pread64), CALL(preadv), CALL(write),
	CALL(writev), CALL(pwrite64), CALL(pwritev), CALL(open), CALL(openat),
	CALL(close), CALL(lseek), CALL(_llseek), CALL(fstat), CALL(fstat64),
	CALL(stat), CALL(stat64), CALL(lstat), CALL(lstat64),
	CALL(newfstatat), CALL(fstatat64), CALL(statx), CALL(statfs),
	CALL(statfs64), CALL(fstatfs), CALL(fstatfs64), CALL(access),
	CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(readlinkat),
	CALL(getdents64), CALL(getcwd), CALL(fsync), CALL(fdatasync),
	CALL(ftruncate), CALL(ftruncate64), CALL(fallocate), CALL(rename),
	CALL(renameat), CALL(renameat2), CALL(unlink), CALL(unlinkat),
	CALL(mkdir), CALL(mkdirat), CALL(rmdir), CALL(chmod), CALL(fchmod),
	CALL(fchmodat), CALL(fchown), CALL(utimensat), CALL(flock),
	CALL(umask), CALL(fadvise64), CALL(memfd_create),
};

static const int sockets[] = {
	CALL(socket), CALL(socketpair), CALL(connect), CALL(bind),
	CALL(accept), CALL(accept4), CALL(shutdown), CALL(sendto),
	CALL(sendmsg), CALL(sendmmsg), CALL(recvfrom), CALL(recvmsg),
	CALL(recvmmsg), CALL(getsockname), CALL(getpeername),
	CALL(getsockopt), CALL(setsockopt), CALL(listen), CALL(send),
	CALL(recv),
};

static const int facts[] = {
	CALL(getpid), CALL(getppid), CALL(gettid), CALL(getuid),
	CALL(geteuid), CALL(getgid), CALL(getegid), CALL(getuid32),
	CALL(geteuid32), CALL(getgid32), CALL(getegid32), CALL(getresuid),
	CALL(getresgid), CALL(getgroups), CALL(uname), CALL(sysinfo),
	CALL(getrusage), CALL(getrlimit), CALL(ugetrlimit), CALL(prlimit64),
	CALL(getrandom), CALL(prctl), CALL(capget), CALL(getpgrp),
	CALL(getcpu), CALL(times),
};

#if defined(__SANITIZE_ADDRESS__)
static const int sanitizer[] = {CALL(ptrace), CALL(wait4), CALL(kill),
				CALL(sched_getparam), CALL(personality)};
#else

/* Never, and whoever tries is ended: no part of this program has a use for
 * them.  What is in neither list gets ENOSYS, since a newer C library tries newer
 * calls first and expects to be told; so does libuv since 1.45 with io_uring, which
 * would go past this filter. */
static const int deadly[] = {
	CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev),
	CALL(mount), CALL(umount2), CALL(pivot_root), CALL(chroot),
	CALL(unshare), CALL(setns), CALL(bpf), CALL(perf_event_open),
	CALL(init_module), CALL(finit_module), CALL(delete_module),
	CALL(kexec_load), CALL(kexec_file_load), CALL(reboot),
	CALL(keyctl), CALL(add_key), CALL(request_key), CALL(swapon),
	CALL(swapoff), CALL(open_by_handle_at), CALL(userfaultfd),
	CALL(setuid), CALL(setgid), CALL(setreuid), CALL(setregid),
	CALL(setresuid), CALL(setresgid), CALL(setgroups), CALL(capset),
	CALL(personality), CALL(settimeofday), CALL(clock_settime),
	CALL(adjtimex),
};
#endif

static int add(scmp_filter_ctx ctx, uint32_t action, const int *calls,
	       size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		/* Calls that this architecture lacks have negative numbers. */
		rc = seccomp_rule_add(ctx, action, calls[i], 0);
		if (rc == -EEXIST) {
			rc = 0;
		}
	}
	return rc;
}

/* The helper runs programs of which nobody knows what they need; what they surely
 * don't need is refused (EPERM, since a program may well try), and new name spaces
 * with it.  clone3's flags can't be seen from here: it does not exist (ENOSYS), and
 * the C library takes clone. */
static const int refused[] = {
#if !defined(__SANITIZE_ADDRESS__)
	CALL(ptrace), /* How the sanitizer searches for leaks. */
#endif
	CALL(process_vm_readv), CALL(process_vm_writev),
	CALL(mount), CALL(umount2), CALL(pivot_root), CALL(chroot),
	CALL(unshare), CALL(setns), CALL(bpf), CALL(perf_event_open),
	CALL(init_module), CALL(finit_module), CALL(delete_module),
	CALL(kexec_load), CALL(kexec_file_load), CALL(reboot),
	CALL(keyctl), CALL(add_key), CALL(request_key), CALL(swapon),
	CALL(swapoff), CALL(open_by_handle_at), CALL(userfaultfd),
	CALL(settimeofday), CALL(clock_settime), CALL(adjtimex),
	CALL(io_uring_setup), CALL(fsopen), CALL(move_mount), CALL(open_tree),
};

static int fill_for_programs(scmp_filter_ctx ctx)
{
	static const unsigned long spaces[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET,
					       CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS,
					       CLONE_NEWCGROUP};
	int rc = add(ctx, SCMP_ACT_ERRNO(EPERM), refused,
		     sizeof refused / sizeof *refused);

	for (size_t i = 0; i < sizeof spaces / sizeof *spaces && rc == 0; i++) {
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), CALL(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
	}
	return rc != 0 ? rc
		       : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);
}

#define ADD(list) add(ctx, SCMP_ACT_ALLOW, list, sizeof(list) / sizeof *(list))

static int fill(scmp_filter_ctx ctx)
{
	static const int no_programs[] = {CALL(execve), CALL(execveat)};
	int rc = ADD(memory_and_threads);

	rc = rc != 0 ? rc : ADD(time_and_signals);
	rc = rc != 0 ? rc : ADD(loop);
	rc = rc != 0 ? rc : ADD(files);
	rc = rc != 0 ? rc : ADD(sockets);
	rc = rc != 0 ? rc : ADD(facts);
#if defined(__SANITIZE_ADDRESS__)
	rc = rc != 0 ? rc : ADD(sanitizer);
#else
	if (rc == 0) {
		rc = add(ctx, SCMP_ACT_KILL_PROCESS, deadly,
			 sizeof deadly / sizeof *deadly);
	}
#endif
	if (rc != 0) {
		return rc;
	}
	return add(ctx, SCMP_ACT_KILL_PROCESS, no_programs,
		   sizeof no_programs / sizeof *no_programs);
}

static int restrict_calls(enum sandbox_role role,
			  char why[static SANDBOX_WHY])
{
	bool programs = role == SANDBOX_HELPER;
	scmp_filter_ctx ctx =
		seccomp_init(programs ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS));
	int rc = UV_ENOMEM;

	if (ctx != NULL) {
		rc = programs ? fill_for_programs(ctx) : fill(ctx);
	}
	if (rc == 0) {
		rc = seccomp_load(ctx);
	}
	if (rc == -EINVAL && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) {
		log_warn("this kernel has no seccomp; system calls are not "
			 "filtered");
		rc = 0;
	}
	if (rc != 0) {
		snprintf(why, SANDBOX_WHY, "seccomp: %s", err_str(rc));
	}
	seccomp_release(ctx);
	return rc;
}

int sandbox_enter(enum sandbox_role role, const struct sandbox_path *paths,
		  size_t n, char why[static SANDBOX_WHY])
{
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		rc = -errno;
		snprintf(why, SANDBOX_WHY, "no_new_privs: %s", err_str(rc));
		return rc;
	}
	rc = role == SANDBOX_HELPER ? 0 : restrict_files(paths, n, why);
	return rc != 0 ? rc : restrict_calls(role, why);
}

int sandbox_close(enum sandbox_role role, bool on,
		  void (*list)(struct sandbox_paths *p, const void *arg), const void *arg,
		  struct sandbox_paths **allowed, char why[static SANDBOX_WHY])
{
	struct sandbox_paths *p;

	*allowed = NULL;
	if (!on) {
		log_warn("the sandbox is switched off (sandbox: false)");
		return 0;
	}
	p = calloc(1, sizeof *p);
	if (p == NULL) {
		snprintf(why, SANDBOX_WHY, "out of memory");
		return UV_ENOMEM;
	}
	list(p, arg);
	*allowed = p;
	return sandbox_enter(role, p->list, p->n, why);
}
