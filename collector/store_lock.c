#include "collector/store_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "collector/share_join.h"
#include "common/err.h"
#include "common/sys_uv.h"

static int lock(int *fd, const char *path, int how, const char *else_say,
		char why[static STORE_LOCK_WHY])
{
	int rc = 0;

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0) {
		rc = -errno;
		snprintf(why, STORE_LOCK_WHY, "%.140s: %.40s%s", path, err_str(rc),
			 rc == UV_EACCES ? ": the folder must belong to the "
					   "collector's user"
					 : "");
		return rc;
	}
	do {
		rc = flock(*fd, how) == 0 ? 0 : -errno;
	} while (rc == -EINTR);
	if (rc != 0) {
		snprintf(why, STORE_LOCK_WHY, "%.120s: %.120s", path, else_say);
	}
	return rc;
}

static int lock_shared(struct store_lock *l, const char *dir,
		       const char *member, char why[static STORE_LOCK_WHY])
{
	char path[PATH_MAX], text[512] = "";
	int rc;

	snprintf(path, sizeof path, "%s/join.lock", dir);
	rc = lock(&l->joining, path, LOCK_EX, "can't be locked", why);
	if (rc != 0) {
		return rc;
	}
	snprintf(path, sizeof path, "%s/lock", dir);
	rc = lock(&l->store, path, LOCK_SH | LOCK_NB,
		  "a collector has this store for itself; store.member must be "
		  "set in both",
		  why);
	if (rc != 0) {
		return rc;
	}
	rc = share_join(sys_plain(), dir, member, text);
	if (rc != 0) {
		snprintf(why, STORE_LOCK_WHY, "%.250s", text);
		return rc;
	}
	snprintf(path, sizeof path, "%s/members/%s/lock", dir, member);
	return lock(&l->member, path, LOCK_EX | LOCK_NB,
		    "another collector runs under this name; each needs a "
		    "store.member of its own",
		    why);
}

int store_lock_take(struct store_lock *l, const char *dir, const char *member,
		    char why[static STORE_LOCK_WHY])
{
	char path[PATH_MAX];

	*l = STORE_LOCK_NONE;
	if (member != NULL && member[0] != '\0') {
		return lock_shared(l, dir, member, why);
	}
	snprintf(path, sizeof path, "%s/members", dir);
	if (access(path, F_OK) == 0) {
		snprintf(why, STORE_LOCK_WHY,
			 "%.120s: several collectors share this store; give this "
			 "one a name of its own (store.member)",
			 dir);
		return UV_EINVAL;
	}
	snprintf(path, sizeof path, "%s/lock", dir);
	return lock(&l->store, path, LOCK_EX | LOCK_NB,
		    "another collector has this store open", why);
}

static void drop(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	}
}

void store_lock_opened(struct store_lock *l)
{
	drop(&l->joining);
}

void store_lock_drop(struct store_lock *l)
{
	drop(&l->joining);
	drop(&l->member);
	drop(&l->store);
}
