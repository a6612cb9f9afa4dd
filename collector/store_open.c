#include "collector/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/err.h"
#include "common/reader.h"
#include "common/timefmt.h"

/* keys/<id>.key: magic (8), created_ms (8), secret (32), XXH64 of these (8). */
enum { KEY_FILE = 8 + 8 + 32 + 8 };
static const char key_magic[8] = "NJKEY\r\n\032";

enum { ID_TEXT = 2 * STORE_ID + 1 }; /* hexadecimal and a newline */

static int complain(char why[static 512], int rc, const char *path,
		    const char *what)
{
	snprintf(why, 512, "%.256s: %.160s (%.80s)", path, what, err_str(rc));
	return rc;
}

static int make_dir(struct store *s, const char *path, char why[static 512])
{
	int rc = sys_mkdir(s->sys, path, 0700);

	if (rc != 0 && rc != UV_EEXIST) {
		return complain(why, rc, path,
				"cannot make this directory; is its parent "
				"there and writable for the collector?");
	}
	return 0;
}

/* ---- identity ---- */

static void id_text(char out[static ID_TEXT + 1], const uint8_t id[STORE_ID])
{
	for (size_t i = 0; i < STORE_ID; i++) {
		snprintf(out + 2 * i, 3, "%02x", id[i]);
	}
	out[ID_TEXT - 1] = '\n';
	out[ID_TEXT] = '\0';
}

static bool id_parse(uint8_t id[STORE_ID], struct slice text)
{
	char again[ID_TEXT + 1];

	for (size_t i = 0; i < STORE_ID && text.n == ID_TEXT; i++) {
		unsigned v;

		if (sscanf(text.p + 2 * i, "%2x", &v) != 1) {
			return false;
		}
		id[i] = (uint8_t)v;
	}
	id_text(again, id);
	return slice_eq(text, slice(again, ID_TEXT));
}

/* The watermark log names its store too. */
static int id_from_log(struct store *s)
{
	struct entry_reader r;
	struct entry e;
	char path[STORE_PATH + 16];
	int fd, rc;

	snprintf(path, sizeof path, "%s/watermarks.log", s->dir);
	fd = sys_open(s->sys, path, O_RDONLY, 0);
	if (fd < 0) {
		return fd;
	}
	entry_reader_init(&r, s->sys, fd, FILE_MAGIC);
	rc = entry_reader_next(&r, &e);
	if (rc == 1) {
		rc = log_file_take(s->id, e.payload);
	} else if (rc == 0) {
		rc = UV_ENOENT;
	}
	entry_reader_fini(&r);
	sys_close(s->sys, fd);
	return rc;
}

static int write_id(struct store *s, const char *path, char why[static 512])
{
	char text[ID_TEXT + 1];
	int rc;

	id_text(text, s->id);
	rc = sys_replace(s->sys, s->dir, path, text, ID_TEXT, 0600);
	return rc == 0 ? 0 : complain(why, rc, path, "cannot be written");
}

static int on_any(void *arg, const char *name, bool is_dir)
{
	(void)arg;
	(void)name;
	return is_dir;
}

static int make_id(struct store *s, const char *path, char why[static 512])
{
	char devices[STORE_PATH + 16];
	int rc = id_from_log(s);

	snprintf(devices, sizeof devices, "%s/devices", s->dir);
	if (rc != 0 && sys_list(s->sys, devices, on_any, NULL) == 1) {
		return complain(why, ERR_DAMAGED, path,
				"is gone while the store has devices: restore "
				"it from a backup");
	}
	if (rc != 0) {
		rc = sys_random(s->sys, s->id, STORE_ID);
		s->made = true;
	}
	return rc != 0 ? rc : write_id(s, path, why);
}

static int load_id(struct store *s, bool make, char why[static 512])
{
	char path[STORE_PATH + 16], *text;
	size_t n;
	int rc;

	snprintf(path, sizeof path, "%s/store.id", s->dir);
	rc = sys_read_file(s->sys, path, 256, &text, &n);
	if (rc == UV_ENOENT && make) {
		return make_id(s, path, why);
	}
	if (rc != 0) {
		return complain(why, rc, path,
				rc == UV_EACCES
					? "cannot be read: ask as root, or as the "
					  "collector's user"
					: "cannot be read; is this a collector's "
					  "store?");
	}
	if (!id_parse(s->id, slice(text, n))) {
		rc = complain(why, ERR_DAMAGED, path,
			      "is not 32 hexadecimal digits: restore it from a "
			      "backup");
	}
	free(text);
	return rc;
}

/* ---- sealing keys ---- */

struct key_age {
	int64_t created_ms[STORE_KEYS_MAX];
};

struct key_list {
	struct store *s;
	struct key_age age;
	char *why;
};

static int read_key(struct key_list *l, const char *path, const char *name)
{
	struct store *s = l->s;
	struct seal_secret *k = &s->keys[s->n_keys];
	char *text, again[24];
	struct reader r;
	size_t n;
	int64_t created_ms;
	uint64_t sum;
	int rc = sys_read_file(s->sys, path, KEY_FILE, &text, &n);

	if (rc != 0) {
		return complain(l->why, rc, path, "cannot be read");
	}
	r = reader(slice(text, n));
	reader_bytes(&r, sizeof key_magic);
	created_ms = (int64_t)reader_u64(&r);
	reader_copy(&r, k->secret, sizeof k->secret);
	sum = reader_u64(&r);
	rc = ERR_DAMAGED;
	if (reader_done(&r) && memcmp(text, key_magic, sizeof key_magic) == 0 &&
	    sum == XXH64(text, KEY_FILE - 8, 0)) {
		rc = seal_secret_derive(k);
	}
	explicit_bzero(text, n);
	free(text);
	for (size_t i = 0; i < sizeof k->pub.id && rc == 0; i++) {
		snprintf(again + 2 * i, 3, "%02x", k->pub.id[i]);
	}
	if (rc != 0 || strncmp(again, name, 16) != 0) {
		return complain(l->why, rc != 0 ? rc : ERR_DAMAGED, path,
				"is not the sealing key that its name says: "
				"restore it from a backup");
	}
	l->age.created_ms[s->n_keys++] = created_ms;
	return 0;
}

static int on_key(void *arg, const char *name, bool is_dir)
{
	struct key_list *l = arg;
	struct sys_stat st;
	char path[STORE_PATH + 64];

	if (is_dir || strlen(name) != 20 || strcmp(name + 16, ".key") != 0) {
		return 0;
	}
	snprintf(path, sizeof path, "%s/keys/%s", l->s->dir, name);
	if (l->s->n_keys == STORE_KEYS_MAX) {
		return complain(l->why, ERR_LIMIT, path, "is one key too many");
	}
	if (sys_stat(l->s->sys, path, &st) == 0 && (st.mode & 077) != 0) {
		return complain(l->why, UV_EPERM, path,
				"can be read by others; chmod 600, and think "
				"about who has read it");
	}
	return read_key(l, path, name);
}

static int make_key(struct store *s, char why[static 512])
{
	struct buf b;
	char dir[STORE_PATH + 8], path[STORE_PATH + 64], hex[24];
	int rc = seal_secret_new(&s->keys[0], s->sys);

	if (rc != 0) {
		return complain(why, rc, s->dir, "cannot make a sealing key");
	}
	for (size_t i = 0; i < sizeof s->keys[0].pub.id; i++) {
		snprintf(hex + 2 * i, 3, "%02x", s->keys[0].pub.id[i]);
	}
	snprintf(dir, sizeof dir, "%s/keys", s->dir);
	snprintf(path, sizeof path, "%s/%s.key", dir, hex);
	buf_init(&b, KEY_FILE);
	rc = buf_reserve(&b, KEY_FILE);
	if (rc == 0) {
		/* There is room: none of these can fail. */
		buf_add(&b, key_magic, sizeof key_magic);
		buf_add_u64(&b, (uint64_t)(sys_wall_ns(s->sys) / NS_PER_MS));
		buf_add(&b, s->keys[0].secret, sizeof s->keys[0].secret);
		buf_add_u64(&b, XXH64(b.p, b.n, 0));
		rc = sys_replace(s->sys, dir, path, b.p, b.n, 0600);
	}
	buf_wipe(&b);
	s->n_keys = rc == 0;
	return rc == 0 ? 0 : complain(why, rc, path, "cannot be written");
}

static void newest_key_first(struct store *s, const struct key_age *age)
{
	size_t newest = 0;
	struct seal_secret k;

	for (size_t i = 1; i < s->n_keys; i++) {
		if (age->created_ms[i] > age->created_ms[newest]) {
			newest = i;
		}
	}
	k = s->keys[0];
	s->keys[0] = s->keys[newest];
	s->keys[newest] = k;
	explicit_bzero(&k, sizeof k);
}

static int load_keys(struct store *s, bool make, char why[static 512])
{
	struct key_list l = {.s = s, .why = why};
	char dir[STORE_PATH + 8];
	int rc;

	snprintf(dir, sizeof dir, "%s/keys", s->dir);
	why[0] = '\0';
	rc = sys_list(s->sys, dir, on_key, &l);
	if (rc != 0) {
		return why[0] != '\0' ? rc
				      : complain(why, rc, dir,
						 "cannot be listed");
	}
	if (s->n_keys == 0) {
		return make ? make_key(s, why)
			    : complain(why, UV_ENOENT, dir,
				       "has no sealing key: nothing can be "
				       "opened");
	}
	newest_key_first(s, &l.age);
	return 0;
}

/* ---- open, close ---- */

static int init(struct store *s, struct sys *sys, const char *dir,
		char why[static 512])
{
	memset(s, 0, sizeof *s);
	s->sys = sys;
	s->log_fd = -1;
	buf_init(&s->log_pending, 64 * 1024 * 1024);
	if (strlen(dir) + HEX32 + OWNER_ROOM + SEGMENT_NAME + 32 >
	    sizeof s->dir) {
		return complain(why, UV_ENAMETOOLONG, dir, "is too long");
	}
	snprintf(s->dir, sizeof s->dir, "%s", dir);
	snprintf(s->own, sizeof s->own, "%s", dir);
	return sys_random(sys, s->hash_key, sizeof s->hash_key);
}

int store_open(struct store *s, struct sys *sys, const char *dir,
	       char why[static 512])
{
	static const char *const below[] = {"", "/keys", "/devices"};
	char path[STORE_PATH + 16];
	int rc = init(s, sys, dir, why);

	for (size_t i = 0; i < 3 && rc == 0; i++) {
		snprintf(path, sizeof path, "%s%s", s->dir, below[i]);
		rc = make_dir(s, path, why);
	}
	if (rc == 0) {
		rc = load_keys(s, true, why);
	}
	if (rc == 0) {
		rc = load_id(s, true, why);
	}
	/* Who made them may have been killed before their names were synced; without
	 * them nothing that is sealed from here on could be opened. */
	for (size_t i = 0; i < 2 && rc == 0; i++) {
		snprintf(path, sizeof path, "%s%s", s->dir, below[i]);
		rc = sys_sync_dir(s->sys, path);
		if (rc != 0) {
			complain(why, rc, path, "cannot be synced");
		}
	}
	if (rc != 0) {
		store_fini(s, true);
	}
	return rc;
}

int store_open_read(struct store *s, struct sys *sys, const char *dir,
		    char why[static 512])
{
	int rc = init(s, sys, dir, why);

	if (rc == 0) {
		rc = load_id(s, false, why);
	}
	if (rc == 0) {
		rc = load_keys(s, false, why);
	}
	if (rc != 0) {
		store_fini(s, true);
	}
	return rc;
}

static void device_free(struct store *s, struct device *d, bool close_files)
{
	while (d->segments != NULL) {
		struct segment *g = d->segments;

		if (close_files) {
			store_close_file(s, g);
		}
		d->segments = g->next;
		store_segment_free(s, g);
	}
	for (int lane = 0; lane < LANE_NR; lane++) {
		free(d->heads[lane].bytes);
	}
	free(d->streams);
	free((void *)(uintptr_t)d->spki.p);
	free(d);
}

void store_fini(struct store *s, bool close_files)
{
	for (size_t i = 0; i < s->room_devices; i++) {
		if (s->devices[i] != NULL) {
			device_free(s, s->devices[i], close_files);
		}
	}
	free(s->devices);
	free(s->dirty_streams);
	free(s->dirty_segments);
	free(s->due);
	buf_fini(&s->log_pending);
	if (s->log_fd >= 0 && close_files) {
		sys_close(s->sys, s->log_fd);
	}
	explicit_bzero(s, sizeof *s);
	s->log_fd = -1;
}
