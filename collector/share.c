#include "collector/share.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "collector/options.h"
#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"

/* DEVICE/owed: magic (8), from (8), until (8), XXH64 of these (8). */
enum { OWED_FILE = 8 + 8 + 8 + 8, PIN_TRIES = 64 };
static const char owed_magic[8] = "NJOWE\r\n\032";

static int complain(char why[static 512], int rc, const char *path,
		    const char *what)
{
	snprintf(why, 512, "%.256s: %.160s (%.80s)", path, what, err_str(rc));
	return rc;
}

/* Lower-case letters, digits and hyphens: it becomes a folder's name. */
static bool is_name(const char *member)
{
	size_t n = strlen(member);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)member[i];

		if (!(islower(c) || isdigit(c) || (c == '-' && i > 0)) ||
		    c > 127) {
			return false;
		}
	}
	return n > 0 && n <= MEMBER_NAME_MAX;
}

/* ---- joining ---- */

struct names {
	char (*v)[HEX32 + 8];
	size_t n, room;
	int rc;
};

static int on_device_name(void *arg, const char *name, bool is_dir)
{
	struct names *l = arg;

	if (!is_dir || strlen(name) >= sizeof l->v[0]) {
		return 0;
	}
	if (l->n == l->room) {
		size_t room = l->room * 2 + 64;
		void *v = realloc(l->v, room * sizeof l->v[0]);

		if (v == NULL) {
			return UV_ENOMEM;
		}
		l->v = v;
		l->room = room;
	}
	snprintf(l->v[l->n++], sizeof l->v[0], "%s", name);
	return 0;
}

static int on_subfolder(void *arg, const char *name, bool is_dir)
{
	char *owner = arg;

	if (is_dir && strlen(name) < OWNER_ROOM) {
		snprintf(owner, OWNER_ROOM, "%s", name);
		return 1;
	}
	return 0;
}

/* devices/X becomes devices/X.join/MEMBER, and that devices/X.  Killed between the two, it
 * is finished by the next that joins. */
static int share_device(struct sys *sys, const char *devices, const char *name,
			const char *member)
{
	char from[2 * STORE_PATH], join[2 * STORE_PATH + 8],
		to[2 * STORE_PATH + 64], owner[OWNER_ROOM];
	struct hash32 id;
	const char *dot = strchr(name, '.');
	int rc = 0;

	if (dot != NULL && strcmp(dot, ".join") == 0) {
		snprintf(join, sizeof join, "%s/%s", devices, name);
		snprintf(from, sizeof from, "%s/%.*s", devices,
			 (int)(dot - name), name);
	} else if (hash32_unhex(&id, name)) {
		snprintf(from, sizeof from, "%s/%s", devices, name);
		snprintf(join, sizeof join, "%s.join", from);
		snprintf(to, sizeof to, "%s/%s", join, member);
		rc = sys_list(sys, from, on_subfolder, owner);
		if (rc != 0) {
			return rc < 0 ? rc : 0; /* Is shared already. */
		}
		rc = sys_mkdir(sys, join, 0700);
		rc = rc == UV_EEXIST ? 0 : rc;
		rc = rc == 0 ? sys_rename(sys, from, to) : rc;
		rc = rc == 0 ? sys_sync_dir(sys, join) : rc;
	} else {
		return 0;
	}
	if (rc == 0 && sys_list(sys, join, on_subfolder, owner) == 1) {
		rc = sys_rename(sys, join, from);
	}
	return rc;
}

static int share_devices(struct sys *sys, const char *dir, const char *member,
			 char why[static 512])
{
	char devices[STORE_PATH];
	struct names l = {0};
	int rc;

	snprintf(devices, sizeof devices, "%.*s/devices", STORE_PATH - 32, dir);
	rc = sys_list(sys, devices, on_device_name, &l);
	for (size_t i = 0; i < l.n && rc == 0; i++) {
		rc = share_device(sys, devices, l.v[i], member);
	}
	free(l.v);
	if (rc == 0) {
		rc = sys_sync_dir(sys, devices);
	}
	return rc == 0 ? 0
		       : complain(why, rc, devices,
				  "the devices' folders can't be given to this "
				  "member");
}

/* What the collector had that had the store for itself. */
static int share_files(struct sys *sys, const char *dir, const char *own,
		       char why[static 512])
{
	static const char *const files[] = {
		"catalogue.db-wal", "catalogue.db-shm", "catalogue.db",
		"deliver.cursor", "watermarks.log"};
	char from[2 * STORE_PATH], to[2 * STORE_PATH];

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		int rc;

		snprintf(from, sizeof from, "%s/%s", dir, files[i]);
		snprintf(to, sizeof to, "%s/%s", own, files[i]);
		rc = sys_rename(sys, from, to);
		if (rc != 0 && rc != UV_ENOENT) {
			return complain(why, rc, from, "can't be moved");
		}
	}
	return 0;
}

int share_join(struct sys *sys, const char *dir, const char *member,
	       char why[static 512])
{
	char own[STORE_PATH], path[STORE_PATH];
	static const char *const below[] = {"", "/devices", "/members"};
	int rc = 0;

	if (!is_name(member)) {
		return complain(why, UV_EINVAL, member,
				"store.member: a name is of lower-case letters, "
				"digits and hyphens, at most 31");
	}
	if (strlen(dir) > STORE_PATH / 2) {
		return complain(why, UV_ENAMETOOLONG, dir, "is too long");
	}
	for (size_t i = 0; i < 3 && rc == 0; i++) {
		snprintf(path, sizeof path, "%.256s%s", dir, below[i]);
		rc = sys_mkdir(sys, path, 0700);
		rc = rc == UV_EEXIST ? 0 : rc;
	}
	share_own_dir(own, dir, member);
	if (rc == 0) {
		rc = sys_mkdir(sys, own, 0700);
		rc = rc == UV_EEXIST ? 0 : rc;
	}
	if (rc != 0) {
		return complain(why, rc, own, "cannot make this directory");
	}
	rc = share_devices(sys, dir, member, why);
	if (rc == 0) {
		rc = share_files(sys, dir, own, why);
	}
	if (rc != 0) {
		return rc;
	}
	rc = sys_sync_dir(sys, own);
	rc = rc == 0 ? sys_sync_dir(sys, path) : rc;
	rc = rc == 0 ? sys_sync_dir(sys, dir) : rc;
	return rc == 0 ? 0 : complain(why, rc, own, "cannot be synced");
}

void share_own_dir(char out[static STORE_PATH], const char *dir,
		   const char *member)
{
	if (member == NULL || member[0] == '\0') {
		snprintf(out, STORE_PATH, "%.*s", STORE_PATH - 1, dir);
	} else {
		snprintf(out, STORE_PATH, "%.*s/members/%.31s",
			 STORE_PATH - 64, dir, member);
	}
}

int share_open(struct store *s, const char *member, char why[static 512])
{
	char path[STORE_PATH];
	struct sys_stat st;
	bool shared;

	snprintf(path, sizeof path, "%.*s/members", STORE_PATH - 32, s->dir);
	shared = sys_stat(s->sys, path, &st) == 0;
	if (member == NULL || member[0] == '\0') {
		return shared ? complain(why, UV_EINVAL, s->dir,
					 "several collectors share this store: "
					 "give this one a name of its own "
					 "(store.member)")
			      : 0;
	}
	if (!shared) {
		return complain(why, UV_EINVAL, s->dir,
				"is not a shared store: share_join() first");
	}
	snprintf(s->member, sizeof s->member, "%.31s", member);
	share_own_dir(s->own, s->dir, member);
	return 0;
}

/* ---- whose a device is ---- */

int share_find_owner(const struct store *s, const struct device *d,
		     char owner[static OWNER_ROOM])
{
	struct device folder = *d;
	char path[STORE_PATH];
	int rc;

	folder.owner[0] = owner[0] = '\0';
	store_device_dir(s, &folder, path);
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

	if (!is_dir || !is_name(name)) {
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

static void owed_path(char out[static STORE_PATH], const char *dir)
{
	snprintf(out, STORE_PATH, "%.*s/owed", STORE_PATH - 16, dir);
}

int share_owed_read(struct sys *sys, const char *dir, uint64_t *from,
		    uint64_t *until)
{
	char path[STORE_PATH], *text;
	struct reader r;
	size_t n;
	int rc;

	owed_path(path, dir);
	rc = sys_read_file(sys, path, OWED_FILE, &text, &n);
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

int share_owed_write(struct sys *sys, const char *dir, uint64_t from,
		     uint64_t until)
{
	char path[STORE_PATH];
	struct buf b;
	int rc;

	owed_path(path, dir);
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

int share_owed_clear(struct sys *sys, const char *dir)
{
	char path[STORE_PATH];

	owed_path(path, dir);
	return sys_unlink(sys, path);
}
