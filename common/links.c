#include "common/links.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"

enum { LINKS_MAX = 40 }; /* as the kernel's */

/* What a path leads to: an entry of a folder, and no link. */
struct place {
	int dir; /* O_PATH; ours */
	char name[NAME_MAX + 1];
	struct stat st;
	unsigned links; /* that were followed */
};

static int walk(struct place *p, const char *path);

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The entry is a link, open as fd: p becomes what it leads to. */
static int follow(struct place *p, int fd)
{
	uid_t owner = p->st.st_uid;
	char text[PATH_MAX];
	ssize_t n;
	int rc;

	if (++p->links > LINKS_MAX) {
		return UV_ELOOP;
	}
	n = readlinkat(fd, "", text, sizeof text);
	if (n < 0 || (size_t)n >= sizeof text) {
		return n < 0 ? -errno : UV_ENAMETOOLONG;
	}
	text[n] = '\0';
	rc = walk(p, text);
	return rc != 0 || owner == 0 || owner == geteuid() || owner == p->st.st_uid
		       ? rc
		       : UV_EPERM;
}

/* The entry of p->dir with the first n bytes of name as its name. */
static int look(struct place *p, const char *name, size_t n)
{
	int fd, rc = 0;

	if (n > NAME_MAX) {
		return UV_ENAMETOOLONG;
	}
	memcpy(p->name, name, n);
	p->name[n] = '\0';
	fd = openat(p->dir, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	if (fstat(fd, &p->st) != 0) {
		rc = -errno;
	} else if (S_ISLNK(p->st.st_mode)) {
		rc = follow(p, fd);
	}
	close(fd);
	return rc;
}

/* Opens the entry that was looked at, and no other that has its name now. */
static int open_entry(const struct place *p, int flags)
{
	struct stat st;
	int rc, fd = openat(p->dir, p->name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		return errno == ELOOP ? UV_ENOENT : -errno;
	}
	rc = fstat(fd, &st) != 0 ? -errno : same_file(&st, &p->st) ? 0 : UV_ENOENT;
	if (rc != 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int enter(struct place *p)
{
	int fd = open_entry(p, O_PATH | O_DIRECTORY);

	if (fd < 0) {
		return fd;
	}
	close(p->dir);
	p->dir = fd;
	return 0;
}

static int from_root(struct place *p)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	if (p->dir >= 0) {
		close(p->dir);
	}
	p->dir = fd;
	return 0;
}

/* From p->dir, or from the root. */
static int walk(struct place *p, const char *path)
{
	bool first = true;
	int rc = path[0] == '/' ? from_root(p) : 0;

	while (rc == 0) {
		size_t n;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 0) {
			/* "/", or nothing at all; a slash at the end asks for a folder. */
			return first ? look(p, ".", 1) : 0;
		}
		rc = first ? 0 : enter(p);
		rc = rc != 0 ? rc : look(p, path, n);
		path += n;
		first = false;
	}
	return rc;
}

int links_open(const char *path, int flags)
{
	struct place p = {.dir = -1};
	int rc = path[0] == '/' ? walk(&p, path) : UV_EINVAL;

	if (rc == 0) {
		rc = S_ISREG(p.st.st_mode) ? open_entry(&p, flags) : UV_EINVAL;
	}
	if (p.dir >= 0) {
		close(p.dir);
	}
	return rc;
}
