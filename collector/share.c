#include "collector/share.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"

/* DEVICE/owed: magic (8), from (8), until (8), XXH64 of these (8). */
enum { OWED_FILE = 8 + 8 + 8 + 8, PIN_TRIES = 64 };
static const char owed_magic[8] = "NJOWE\r\n\032";

int share_open(struct store *s, const char *member, char why[static 512])
{
	struct sys_stat st;

	if (member == NULL || member[0] == '\0') {
		return 0;
	}
	share_own_dir(s->own, s->dir, member);
	if (sys_stat(s->sys, s->own, &st) != 0) {
		snprintf(why, 512, "%.400s: is no member's folder: share_join() "
				   "first",
			 s->own);
		return UV_EINVAL;
	}
	snprintf(s->member, sizeof s->member, "%.31s", member);
	return 0;
}

/* ---- whose a device is ---- */

static int on_subfolder(void *arg, const char *name, bool is_dir)
{
	char *owner = arg;

	if (is_dir && strlen(name) < OWNER_ROOM) {
		snprintf(owner, OWNER_ROOM, "%s", name);
		return 1;
	}
	return 0;
}

void share_folder(const struct store *s, const struct device *d,
		  const char *owner, char out[static STORE_PATH])
{
	struct device as = {0}; /* Of d, which may be the loop's, what never changes. */

	memcpy(as.hex, d->hex, sizeof as.hex);
	snprintf(as.owner, sizeof as.owner, "%s", owner);
	store_device_dir(s, &as, out);
}

int share_find_owner(const struct store *s, const struct device *d,
		     char owner[static OWNER_ROOM])
{
	char path[STORE_PATH];
	int rc;

	owner[0] = '\0';
	share_folder(s, d, "", path);
	rc = sys_list(s->sys, path, on_subfolder, owner);
	return rc < 0 ? rc : 0;
}

int share_owns(const struct store *s, const struct device *d)
{
	char path[STORE_PATH];
	struct sys_stat st;
	int rc;

	store_device_dir(s, d, path);
	rc = sys_stat(s->sys, path, &st);
	return rc == 0 ? 1 : rc == UV_ENOENT ? 0 : rc;
}

/* Its folder was seen without a subfolder in it: that was being renamed, or the store is
 * not shared. */
static bool is_between(const struct store *s, const struct device *d)
{
	char path[STORE_PATH];
	struct sys_stat st;

	snprintf(path, sizeof path, "%.*s/members", STORE_PATH - 32, s->dir);
	return d->owner[0] == '\0' && sys_stat(s->sys, path, &st) == 0;
}

int share_pin(const struct store *s, struct device *d,
	      char dir[static STORE_PATH])
{
	char link[32];
	struct sys_stat st;
	int fd = UV_ENOENT;

	for (int i = 0; i < PIN_TRIES && fd == UV_ENOENT; i++) {
		int rc = share_find_owner(s, d, d->owner);

		if (rc != 0) {
			return rc;
		}
		if (i + 1 < PIN_TRIES && is_between(s, d)) {
			continue;
		}
		store_device_dir(s, d, dir);
		fd = sys_open(s->sys, dir, O_RDONLY | O_DIRECTORY, 0);
	}
	if (fd >= 0) {
		snprintf(link, sizeof link, "/proc/self/fd/%d/.", fd);
		if (sys_stat(s->sys, link, &st) == 0) {
			snprintf(dir, STORE_PATH, "/proc/self/fd/%d", fd);
		}
	}
	return fd;
}

void share_unpin(const struct store *s, int fd)
{
	if (fd >= 0) {
		sys_close(s->sys, fd);
	}
}

struct members {
	const struct store *s;
	int (*cb)(void *arg, const char *name, const char *dir);
	void *arg;
};

static int on_member(void *arg, const char *name, bool is_dir)
{
	struct members *m = arg;
	char dir[STORE_PATH];

	if (!is_dir || !share_is_name(name)) {
		return 0;
	}
	share_own_dir(dir, m->s->dir, name);
	return m->cb(m->arg, name, dir);
}

int share_members(const struct store *s,
		  int (*cb)(void *arg, const char *name, const char *dir),
		  void *arg)
{
	struct members m = {s, cb, arg};
	char path[STORE_PATH];
	int rc;

	snprintf(path, sizeof path, "%.*s/members", STORE_PATH - 32, s->dir);
	rc = sys_list(s->sys, path, on_member, &m);
	return rc == UV_ENOENT ? 0 : rc;
}

/* ---- what is owed ---- */

/* member "": the owner's. */
static void owed_path(char out[static STORE_PATH], const char *dir,
		      const char *member)
{
	snprintf(out, STORE_PATH, "%.*s/owed%s%.31s", STORE_PATH - 48, dir,
		 member[0] == '\0' ? "" : ".", member);
}

static int owed_read(struct sys *sys, const char *path, uint64_t *from,
		     uint64_t *until)
{
	struct reader r;
	char *text;
	size_t n;
	int rc = sys_read_file(sys, path, OWED_FILE, &text, &n);

	if (rc != 0) {
		return rc == ERR_TOO_LARGE ? ERR_DAMAGED : rc;
	}
	r = reader(slice(text, n));
	reader_bytes(&r, sizeof owed_magic);
	*from = reader_u64(&r);
	*until = reader_u64(&r);
	if (reader_u64(&r) != XXH64(text, n >= 8 ? n - 8 : 0, 0) ||
	    !reader_done(&r) ||
	    memcmp(text, owed_magic, sizeof owed_magic) != 0) {
		rc = ERR_DAMAGED;
	}
	free(text);
	return rc;
}

static int owed_write(struct sys *sys, const char *dir, const char *path,
		      uint64_t from, uint64_t until)
{
	struct buf b;
	int rc;

	buf_init(&b, OWED_FILE);
	rc = buf_reserve(&b, OWED_FILE);
	if (rc == 0) {
		buf_add(&b, owed_magic, sizeof owed_magic);
		buf_add_u64(&b, from);
		buf_add_u64(&b, until);
		buf_add_u64(&b, XXH64(b.p, b.n, 0));
		rc = sys_replace(sys, dir, path, b.p, b.n, 0600);
	}
	buf_fini(&b);
	return rc;
}

int share_owed_read(struct sys *sys, const char *dir, uint64_t *from,
		    uint64_t *until)
{
	char path[STORE_PATH];

	owed_path(path, dir, "");
	return owed_read(sys, path, from, until);
}

int share_owed_write(struct sys *sys, const char *dir, uint64_t from,
		     uint64_t until)
{
	char path[STORE_PATH];

	owed_path(path, dir, "");
	return owed_write(sys, dir, path, from, until);
}

int share_owed_clear(struct sys *sys, const char *dir)
{
	char path[STORE_PATH];

	owed_path(path, dir, "");
	return sys_unlink(sys, path);
}

int share_claim_read(struct sys *sys, const char *dir, const char *member,
		     uint64_t *from)
{
	char path[STORE_PATH];
	uint64_t until;

	owed_path(path, dir, member);
	return owed_read(sys, path, from, &until);
}

int share_claim_write(struct sys *sys, const char *dir, const char *member,
		      uint64_t from)
{
	char path[STORE_PATH];

	owed_path(path, dir, member);
	return owed_write(sys, dir, path, from, UINT64_MAX);
}

int share_claim_clear(struct sys *sys, const char *dir, const char *member)
{
	char path[STORE_PATH];

	owed_path(path, dir, member);
	return sys_unlink(sys, path);
}
