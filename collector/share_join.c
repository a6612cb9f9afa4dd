#include "collector/share_join.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/format.h"
#include "collector/options.h"
#include "collector/segment_reader.h"
#include "common/err.h"

enum { OWNER_TEXT = 64 };

static int complain(char why[static 512], int rc, const char *path,
		    const char *what)
{
	snprintf(why, 512, "%.256s: %.160s (%.80s)", path, what, err_str(rc));
	return rc;
}

/* Lower-case letters, digits and hyphens: it becomes a folder's name. */
bool share_is_name(const char *member)
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

void share_own_dir(char *out, const char *dir, const char *member)
{
	if (member == NULL || member[0] == '\0') {
		snprintf(out, STORE_PATH, "%.*s", STORE_PATH - 1, dir);
	} else {
		snprintf(out, STORE_PATH, "%.*s/members/%.31s",
			 STORE_PATH - 64, dir, member);
	}
}

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

	if (is_dir && strlen(name) < OWNER_TEXT) {
		snprintf(owner, OWNER_TEXT, "%s", name);
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
		to[2 * STORE_PATH + 64], owner[OWNER_TEXT];
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

	if (!share_is_name(member)) {
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
