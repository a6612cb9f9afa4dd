#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "tests/sim/internal.h"
#include "tests/support/compress.h"

/* A node's disk: inodes with bytes as seen and as synced, and names that point
 * to them, likewise in two states. */
struct inode {
	struct inode *next;
	uint64_t ino;
	bool is_dir;
	size_t clean_from, clean_to; /* pages that a failed sync has made clean */
	char *p, *synced;
	size_t n, room, n_synced;
	int64_t mtime_ns;
	unsigned names; /* as seen */
};

struct name_ {
	struct name_ *next;
	char *path;
	struct inode *now;    /* NULL: no such name */
	struct inode *synced; /* NULL: not there after a power cut */
};

static struct name_ *find(struct node *n, const char *path)
{
	for (struct name_ *e = n->disk->names; e != NULL; e = e->next) {
		if (strcmp(e->path, path) == 0) {
			return e;
		}
	}
	return NULL;
}

static struct name_ *place(struct node *n, const char *path)
{
	struct name_ *e = find(n, path);

	if (e == NULL) {
		e = sim_alloc(sizeof *e);
		e->path = strdup(path);
		e->next = n->disk->names;
		n->disk->names = e;
	}
	return e;
}

static struct inode *inode_new(struct node *n, bool is_dir)
{
	struct inode *i = sim_alloc(sizeof *i);

	i->ino = ++n->disk->next_ino;
	i->is_dir = is_dir;
	i->mtime_ns = sys_wall_ns(&n->sys);
	i->next = n->disk->inodes;
	n->disk->inodes = i;
	return i;
}

static void point(struct name_ *e, struct inode *to)
{
	if (e->now != NULL) {
		e->now->names--;
	}
	e->now = to;
	if (to != NULL) {
		to->names++;
	}
}

/* As point(): an entry of its folder changes. */
static void enter(struct node *n, struct name_ *e, struct inode *to)
{
	char dir[256];
	const char *slash = strrchr(e->path, '/');
	struct name_ *parent;

	snprintf(dir, sizeof dir, "%.*s", (int)(slash - e->path), e->path);
	parent = find(n, dir);
	if (parent != NULL && parent->now != NULL) {
		parent->now->mtime_ns = sys_wall_ns(&n->sys);
	}
	point(e, to);
}

static void resize(struct inode *i, size_t n)
{
	if (n > i->room) {
		i->room = n * 2 + 64;
		i->p = realloc(i->p, i->room);
		if (i->p == NULL) {
			abort();
		}
	}
	if (n > i->n) {
		memset(i->p + i->n, 0, n - i->n);
	}
	i->n = n;
}

static void write_at(struct node *n, struct inode *i, const void *p,
		     size_t len, uint64_t offset)
{
	if (offset + len > i->n) {
		resize(i, (size_t)offset + len);
	}
	if (len > 0) {
		memcpy(i->p + offset, p, len);
	}
	/* What is written once more is dirty once more. */
	if (offset <= i->clean_from && offset + len > i->clean_from) {
		i->clean_from = (size_t)offset + len;
	} else if (offset < i->clean_to && offset + len >= i->clean_to) {
		i->clean_to = (size_t)offset;
	}
	i->mtime_ns = sys_wall_ns(&n->sys);
}

static bool parent_exists(struct node *n, const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	struct name_ *e;

	if (slash == path || slash == NULL) {
		return true;
	}
	snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
	e = find(n, dir);
	return e != NULL && e->now != NULL && e->now->is_dir;
}

static int op_open(struct sys *s, const char *path, int flags, unsigned mode)
{
	struct node *n = sim_node_of(s);
	struct name_ *e;

	(void)mode;
	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	e = find(n, path);
	if (e == NULL || e->now == NULL) {
		if ((flags & O_CREAT) == 0) {
			return UV_ENOENT;
		}
		if (!parent_exists(n, path)) {
			return UV_ENOENT;
		}
		if (n->disk->disk_full) {
			n->disk->disk_faults++;
			return UV_ENOSPC;
		}
		e = place(n, path);
		enter(n, e, inode_new(n, false));
	} else if ((flags & O_EXCL) != 0) {
		return UV_EEXIST;
	}
	if ((flags & O_TRUNC) != 0) {
		resize(e->now, 0);
	}
	for (int fd = 3; fd < SIM_FDS; fd++) {
		if (n->fds[fd] == NULL) {
			n->fds[fd] = e->now;
			return fd;
		}
	}
	return UV_EMFILE;
}

/* A descriptor that is used after its close, or was never open, is a fault of
 * the code under test. */
static struct inode *of(struct node *n, int fd)
{
	struct inode *i = fd < 3 || fd >= SIM_FDS ? NULL : n->fds[fd];

	if (i == NULL) {
		fprintf(stderr, "simulation: bad descriptor %d\n", fd);
		abort();
	}
	return i;
}

static int op_close(struct sys *s, int fd)
{
	struct node *n = sim_node_of(s);

	if (!n->frozen && (!n->alive || n->dying)) {
		return 0; /* A crash has closed it. */
	}
	of(n, fd);
	n->fds[fd] = NULL;
	return 0;
}

static int64_t op_pread(struct sys *s, int fd, void *buf, size_t len,
			uint64_t offset)
{
	struct node *n = sim_node_of(s);
	struct inode *i;

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	i = of(n, fd);
	if (offset >= i->n) {
		return 0;
	}
	if (len > i->n - offset) {
		len = i->n - (size_t)offset;
	}
	memcpy(buf, i->p + offset, len);
	return (int64_t)len;
}

static int64_t op_pwrite(struct sys *s, int fd, const void *buf, size_t len,
			 uint64_t offset)
{
	struct node *n = sim_node_of(s);
	struct inode *i;

	if (n->alive && !n->dying) {
		i = of(n, fd);
		if (!sim_call(n)) {
			/* Killed in the middle: a part may have been written. */
			write_at(n, i, buf, (size_t)world_rnd(n->w, len + 1),
				 offset);
			return UV_ECANCELED;
		}
		if (n->disk->disk_full && offset + len > i->n) {
			n->disk->disk_faults++;
			return UV_ENOSPC;
		}
		write_at(n, i, buf, len, offset);
		return (int64_t)len;
	}
	return UV_ECANCELED;
}

/* What is on the disk now ends where pages begin that will never be written. */
static void sync_inode(struct inode *i)
{
	size_t n = i->clean_from < i->clean_to && i->clean_from < i->n
			   ? i->clean_from
			   : i->n;

	free(i->synced);
	i->synced = sim_alloc(n == 0 ? 1 : n);
	if (n > 0) {
		memcpy(i->synced, i->p, n);
	}
	i->n_synced = n;
}

static int op_fdatasync(struct sys *s, int fd)
{
	struct node *n = sim_node_of(s);
	struct inode *i;

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	i = of(n, fd);
	if (++n->disk->syncs == n->disk->fail_sync) {
		/* The kernel counts its pages as clean from now on. */
		if (i->clean_from >= i->clean_to) {
			i->clean_from = i->n_synced;
		}
		i->clean_to = i->n;
		n->disk->disk_faults++;
		return UV_EIO;
	}
	sync_inode(i);
	return 0;
}

static int op_ftruncate(struct sys *s, int fd, uint64_t size)
{
	struct node *n = sim_node_of(s);

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	resize(of(n, fd), (size_t)size);
	return 0;
}

static void fill(const struct inode *i, struct sys_stat *out)
{
	*out = (struct sys_stat){
		.dev = 1,
		.ino = i->ino,
		.size = i->n,
		.mtime_ns = i->mtime_ns,
		.mode = i->is_dir ? S_IFDIR | 0700 : S_IFREG | 0600,
		.nlink = i->names,
	};
}

static int op_fstat(struct sys *s, int fd, struct sys_stat *out)
{
	struct node *n = sim_node_of(s);

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	fill(of(n, fd), out);
	return 0;
}

static int op_stat(struct sys *s, const char *path, struct sys_stat *out)
{
	struct node *n = sim_node_of(s);
	struct name_ *e;

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	e = find(n, path);
	if (e == NULL || e->now == NULL) {
		return UV_ENOENT;
	}
	fill(e->now, out);
	return 0;
}

static void rename_now(struct node *n, struct name_ *from, struct name_ *to)
{
	struct inode *i = from->now;

	enter(n, to, i);
	if (to != from) {
		enter(n, from, NULL);
	}
}

static bool has_names(struct node *n, const char *dir)
{
	size_t len = strlen(dir);

	for (struct name_ *e = n->disk->names; e != NULL; e = e->next) {
		if (e->now != NULL && strncmp(e->path, dir, len) == 0 &&
		    e->path[len] == '/') {
			return true;
		}
	}
	return false;
}

/* With all that is below it, and durable at once: as far as anything depends on that, its
 * parent is synced before. */
static int rename_dir(struct node *n, const char *from, const char *to)
{
	size_t len = strlen(from);
	char path[4096];

	if (has_names(n, to)) {
		return UV_ENOTEMPTY;
	}
	for (struct name_ *e = n->disk->names; e != NULL; e = e->next) {
		struct name_ *moved;

		if (strncmp(e->path, from, len) != 0 ||
		    (e->path[len] != '/' && e->path[len] != '\0') ||
		    (e->now == NULL && e->synced == NULL)) {
			continue;
		}
		snprintf(path, sizeof path, "%s%s", to, e->path + len);
		moved = place(n, path);
		rename_now(n, e, moved);
		moved->synced = moved->now != NULL && moved->now->is_dir
					? moved->now
					: e->synced;
		e->synced = NULL;
	}
	return 0;
}

static int op_rename(struct sys *s, const char *from, const char *to)
{
	struct node *n = sim_node_of(s);
	struct name_ *e;

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	e = find(n, from);
	if (e == NULL || e->now == NULL) {
		return UV_ENOENT;
	}
	if (e->now->is_dir && strcmp(from, to) != 0) {
		return rename_dir(n, from, to);
	}
	rename_now(n, e, place(n, to));
	return 0;
}

static int op_unlink(struct sys *s, const char *path)
{
	struct node *n = sim_node_of(s);
	struct name_ *e;

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	e = find(n, path);
	if (e == NULL || e->now == NULL) {
		return UV_ENOENT;
	}
	enter(n, e, NULL);
	return 0;
}

static int op_mkdir(struct sys *s, const char *path, unsigned mode)
{
	struct node *n = sim_node_of(s);
	struct name_ *e;

	(void)mode;
	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	e = find(n, path);
	if (e != NULL && e->now != NULL) {
		return UV_EEXIST;
	}
	if (!parent_exists(n, path)) {
		return UV_ENOENT;
	}
	point(place(n, path), inode_new(n, true));
	return 0;
}

static bool inside(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/' &&
	       strchr(path + n + 1, '/') == NULL;
}

static int op_sync_dir(struct sys *s, const char *path)
{
	struct node *n = sim_node_of(s);

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	for (struct name_ *e = n->disk->names; e != NULL; e = e->next) {
		if (inside(e->path, path)) {
			e->synced = e->now;
		}
	}
	return 0;
}

static int op_list(struct sys *s, const char *dir, sys_list_cb cb, void *arg)
{
	struct node *n = sim_node_of(s);
	struct name_ *e = find(n, dir), *next;
	int rc = 0;

	if (!sim_call(n)) {
		return UV_ECANCELED;
	}
	if (e == NULL || e->now == NULL) {
		return UV_ENOENT;
	}
	for (e = n->disk->names; e != NULL && rc == 0; e = next) {
		next = e->next;
		if (e->now != NULL && inside(e->path, dir)) {
			rc = cb(arg, e->path + strlen(dir) + 1,
				e->now->is_dir);
		}
	}
	return rc;
}

void sim_disk_ops(struct sys_ops *ops)
{
	ops->open = op_open;
	ops->close = op_close;
	ops->pread = op_pread;
	ops->pwrite = op_pwrite;
	ops->fdatasync = op_fdatasync;
	ops->ftruncate = op_ftruncate;
	ops->fstat = op_fstat;
	ops->stat = op_stat;
	ops->rename = op_rename;
	ops->unlink = op_unlink;
	ops->mkdir = op_mkdir;
	ops->sync_dir = op_sync_dir;
	ops->list = op_list;
}

/* After a power cut each file is what was synced, plus, for what was only
 * appended since, anything from nothing to all of it (torn at any byte), of which
 * the end may be zeroes: its length was written and its bytes were not. */
static void fall_back(struct node *n, struct inode *i)
{
	size_t keep = i->n_synced;

	if (i->is_dir) {
		return;
	}
	if (i->n > i->n_synced) {
		keep += (size_t)world_rnd(n->w, i->n - i->n_synced + 1);
	}
	if (i->n_synced > 0) {
		size_t common = i->n_synced < i->n ? i->n_synced : i->n;

		memcpy(i->p, i->synced, common);
	}
	if (keep < i->n) {
		i->n = keep;
	}
	if (i->n > i->n_synced && world_rnd(n->w, 4) == 0) {
		size_t from = i->n_synced +
			      (size_t)world_rnd(n->w, i->n - i->n_synced);

		memset(i->p + from, 0, i->n - from);
	}
	/* This is what the disk holds. */
	i->clean_from = i->clean_to = 0;
	sync_inode(i);
}

void sim_disk_crash(struct node *n, bool power_cut)
{
	bool names_kept = power_cut && world_rnd(n->w, 2) == 0;

	memset(n->fds, 0, sizeof n->fds);
	if (!power_cut) {
		return;
	}
	for (struct name_ *e = n->disk->names; e != NULL; e = e->next) {
		if (names_kept) {
			e->synced = e->now; /* The journal was quicker. */
		} else if (e->now == NULL || !e->now->is_dir) {
			point(e, e->synced);
		}
	}
	for (struct inode *i = n->disk->inodes; i != NULL; i = i->next) {
		fall_back(n, i);
	}
}

void node_share_disk(struct node *n, struct node *with)
{
	n->disk = with;
}

void sim_disk_free(struct node *n)
{
	if (n->disk != n) {
		return; /* It is another node's. */
	}
	while (n->disk->names != NULL) {
		struct name_ *e = n->disk->names;

		n->disk->names = e->next;
		free(e->path);
		free(e);
	}
	while (n->disk->inodes != NULL) {
		struct inode *i = n->disk->inodes;

		n->disk->inodes = i->next;
		free(i->p);
		free(i->synced);
		free(i);
	}
}

/* ---- what others on the machine do: always durable ---- */

void disk_append(struct node *n, const char *path, const void *p, size_t len)
{
	struct name_ *e = place(n, path);

	if (e->now == NULL) {
		enter(n, e, inode_new(n, false));
	}
	write_at(n, e->now, p, len, e->now->n);
	sync_inode(e->now);
	e->synced = e->now;
}

void disk_rename(struct node *n, const char *from, const char *to)
{
	struct name_ *e = find(n, from), *target = place(n, to);

	if (e != NULL && e->now != NULL) {
		rename_now(n, e, target);
		target->synced = target->now;
		e->synced = e->now;
	}
}

bool disk_has(struct node *n, const char *path)
{
	const struct name_ *e = find(n, path);

	return e != NULL && e->now != NULL;
}

void disk_copy_truncate(struct node *n, const char *path, const char *copy, unsigned part)
{
	struct name_ *e = find(n, path), *target;

	if (e == NULL || e->now == NULL) {
		return;
	}
	target = place(n, copy);
	if (target->now == NULL) {
		enter(n, target, inode_new(n, false));
	}
	write_at(n, target->now, e->now->p, e->now->n * part / 256, 0);
	sync_inode(target->now);
	target->synced = target->now;
	if (part == 256) {
		resize(e->now, 0);
		e->now->mtime_ns = sys_wall_ns(&n->sys);
		sync_inode(e->now);
	}
}

void disk_gzip(struct node *n, const char *path, const char *packed, unsigned part)
{
	struct name_ *e = find(n, path), *target;
	unsigned char *bytes;
	size_t len;

	if (e == NULL || e->now == NULL) {
		return;
	}
	bytes = sim_alloc(compress_bound(e->now->n));
	len = compress_gzip(e->now->n > 0 ? e->now->p : "", e->now->n, bytes);
	target = place(n, packed);
	if (target->now == NULL) {
		enter(n, target, inode_new(n, false));
	}
	resize(target->now, 0);
	write_at(n, target->now, bytes, len * part / 256, 0);
	sync_inode(target->now);
	target->synced = target->now;
	free(bytes);
	if (part == 256) {
		target->now->mtime_ns = e->now->mtime_ns;
		enter(n, e, NULL);
		e->synced = NULL;
	}
}

void disk_mkdir(struct node *n, const char *path)
{
	struct name_ *e = place(n, path);

	point(e, inode_new(n, true));
	e->synced = e->now;
}

void disk_set_full(struct node *n, bool full)
{
	n->disk->disk_full = full;
}

void disk_fail_sync(struct node *n, uint64_t k)
{
	n->disk->fail_sync = n->disk->syncs + k;
}

uint64_t disk_faults(const struct node *n)
{
	return n->disk->disk_faults;
}

static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool may_flip(const struct name_ *e, const char *dir, const char *suffix)
{
	return e->now != NULL && !e->now->is_dir && e->now->n > 0 &&
	       below(e->path, dir) &&
	       (suffix == NULL ||
		slice_ends(slice_str(e->path), slice_str(suffix)));
}

bool disk_flip(struct node *n, const char *dir, const char *suffix)
{
	struct inode *i = NULL;
	size_t seen = 0, bit;

	for (struct name_ *e = n->disk->names; e != NULL; e = e->next) {
		if (may_flip(e, dir, suffix) &&
		    world_rnd(n->w, ++seen) == 0) {
			i = e->now;
		}
	}
	if (i == NULL) {
		return false;
	}
	bit = (size_t)world_rnd(n->w, i->n * 8);
	i->p[bit / 8] = (char)(i->p[bit / 8] ^ 1 << bit % 8);
	if (bit / 8 < i->n_synced) {
		i->synced[bit / 8] = i->p[bit / 8];
	}
	return true;
}

/* ---- backups ---- */

struct saved_file {
	struct saved_file *next;
	char *path, *p;
	size_t n;
	bool is_dir;
};

struct disk_backup {
	struct saved_file *files;
};

struct disk_backup *disk_back_up(struct node *n, const char *dir)
{
	struct disk_backup *b = sim_alloc(sizeof *b);

	for (struct name_ *e = n->disk->names; e != NULL; e = e->next) {
		struct saved_file *f;

		if (e->now == NULL || !below(e->path, dir)) {
			continue;
		}
		f = sim_alloc(sizeof *f);
		f->path = strdup(e->path);
		f->is_dir = e->now->is_dir;
		f->n = e->now->n;
		f->p = sim_alloc(f->n + 1);
		if (f->n > 0) {
			memcpy(f->p, e->now->p, f->n);
		}
		f->next = b->files;
		b->files = f;
	}
	return b;
}

void disk_restore(struct node *n, const char *dir, struct disk_backup *b)
{
	for (struct name_ *e = n->disk->names; e != NULL; e = e->next) {
		if (below(e->path, dir)) {
			point(e, NULL);
			e->synced = NULL;
		}
	}
	for (struct saved_file *f = b == NULL ? NULL : b->files; f != NULL;
	     f = f->next) {
		struct name_ *e = place(n, f->path);

		point(e, inode_new(n, f->is_dir));
		write_at(n, e->now, f->p, f->n, 0);
		sync_inode(e->now);
		e->synced = e->now;
	}
	disk_backup_free(b);
}

bool disk_backup_has(const struct disk_backup *b, const char *path)
{
	const struct saved_file *f = b == NULL ? NULL : b->files;

	while (f != NULL && strcmp(f->path, path) != 0) {
		f = f->next;
	}
	return f != NULL;
}

void disk_backup_free(struct disk_backup *b)
{
	while (b != NULL && b->files != NULL) {
		struct saved_file *f = b->files;

		b->files = f->next;
		free(f->path);
		free(f->p);
		free(f);
	}
	free(b);
}
