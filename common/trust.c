#include "common/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"

enum { LINKS_MAX = 40 }; /* as the kernel's */

struct walk {
	char *done; /* resolved so far, PATH_MAX; "" is the root */
	size_t n;
	char rest[PATH_MAX]; /* what is still to be followed */
	uid_t owner;
	unsigned links;
	char *why; /* TRUST_WHY */
};

static const char *name_of(const struct walk *w)
{
	return w->n == 0 ? "/" : w->done;
}

static int refuse(struct walk *w, int rc, const char *what)
{
	snprintf(w->why, TRUST_WHY, "%.300s %s", name_of(w), what);
	return rc;
}

static bool others_write(const struct stat *st)
{
	if (!S_ISDIR(st->st_mode)) {
		return (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
	}
	/* In a sticky folder nobody can replace what belongs to another. */
	if ((st->st_mode & S_ISVTX) != 0) {
		return false;
	}
	return (st->st_mode & S_IWOTH) != 0 ||
	       ((st->st_mode & S_IWGRP) != 0 && st->st_gid != 0);
}

static int look(struct walk *w, struct stat *st)
{
	if (lstat(name_of(w), st) != 0) {
		int rc = -errno;

		snprintf(w->why, TRUST_WHY, "%.300s: %s", name_of(w), err_str(rc));
		return rc;
	}
	if (st->st_uid != 0 && st->st_uid != w->owner) {
		return refuse(w, UV_EACCES,
			      "belongs to another user; only what root or the user that "
			      "starts the service owns is trusted (chown root)");
	}
	/* A link's own mode means nothing. */
	if (!S_ISLNK(st->st_mode) && others_write(st)) {
		return refuse(w, UV_EACCES, "can be written by others (chmod go-w)");
	}
	return 0;
}

static void pop(struct walk *w)
{
	char *slash = strrchr(w->done, '/');

	w->n = slash == NULL ? 0 : (size_t)(slash - w->done);
	w->done[w->n] = '\0';
}

/* Moves the next name from rest to done.  "." and ".." are dealt with here: what is
 * done holds no link, so that ".." is one name less.  false: nothing is left. */
static int take(struct walk *w, bool *taken)
{
	size_t from = strspn(w->rest, "/"), len = strcspn(w->rest + from, "/");
	const char *name = w->rest + from;
	size_t left = strlen(name + len);
	int rc = 0;

	*taken = len > 0;
	if (len == 2 && memcmp(name, "..", 2) == 0) {
		pop(w);
	} else if (len > 0 && !(len == 1 && name[0] == '.')) {
		if (w->n + 1 + len >= PATH_MAX) {
			rc = refuse(w, UV_ENAMETOOLONG, "leads to a path that is too long");
		} else {
			w->done[w->n] = '/';
			memcpy(w->done + w->n + 1, name, len);
			w->n += 1 + len;
			w->done[w->n] = '\0';
		}
	}
	memmove(w->rest, name + len, left + 1);
	return rc;
}

static int follow(struct walk *w)
{
	char target[PATH_MAX];
	ssize_t n = readlink(w->done, target, sizeof target);
	size_t left = strlen(w->rest);

	if (n < 0) {
		return refuse(w, -errno, "cannot be followed");
	}
	if (++w->links > LINKS_MAX) {
		return refuse(w, UV_ELOOP, "is one symbolic link too many");
	}
	if ((size_t)n + left >= sizeof w->rest) {
		return refuse(w, UV_ENAMETOOLONG, "leads to a path that is too long");
	}
	/* What is left is empty or begins with a slash. */
	memmove(w->rest + n, w->rest, left + 1);
	memcpy(w->rest, target, (size_t)n);
	if (n > 0 && target[0] == '/') {
		w->n = 0;
		w->done[0] = '\0';
	} else {
		pop(w);
	}
	return 0;
}

int trust_file(const char *path, uid_t owner, char resolved[static PATH_MAX],
	       char why[static TRUST_WHY])
{
	struct walk w = {.done = resolved, .owner = owner, .why = why};
	struct stat st;
	bool more = true;
	int rc;

	why[0] = resolved[0] = '\0';
	if (path[0] != '/' || strlen(path) >= sizeof w.rest) {
		snprintf(why, TRUST_WHY, "%.300s is not an absolute path", path);
		return UV_EINVAL;
	}
	memcpy(w.rest, path, strlen(path) + 1);
	rc = look(&w, &st);
	while (rc == 0 && more) {
		rc = take(&w, &more);
		rc = rc != 0 || !more ? rc : look(&w, &st);
		if (rc == 0 && S_ISLNK(st.st_mode)) {
			rc = follow(&w);
		}
	}
	if (rc != 0) {
		return rc;
	}
	return S_ISREG(st.st_mode) ? 0 : refuse(&w, UV_EACCES, "is not a regular file");
}

int trust_program(const char *path, uid_t owner, char resolved[static PATH_MAX],
		  char why[static TRUST_WHY])
{
	int rc = trust_file(path, owner, resolved, why);

	if (rc == 0 && faccessat(AT_FDCWD, resolved, X_OK, AT_EACCESS) != 0) {
		snprintf(why, TRUST_WHY,
			 "%.300s cannot be executed by the user of the service (chmod +x)",
			 resolved);
		rc = UV_EACCES;
	}
	return rc;
}
