#include "collector/segment_reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"

void segment_path(char out[static STORE_PATH], const char *dir,
		  const struct segment_name *name)
{
	char file[SEGMENT_NAME];

	segment_name_format(file, name);
	snprintf(out, STORE_PATH, "%s/%s", dir, file);
}

int64_t segment_reader_index(const struct segment_reader *r)
{
	return (int64_t)follower_next_index(r->follower) - 1;
}

struct hash32 segment_reader_hash(const struct segment_reader *r)
{
	return follower_hash(r->follower);
}

/* Opens a file and reads its magic and head; *h is borrowed from entries. */
static int open_part(struct sys *sys, const char *path, int *fd,
		     struct entry_reader *entries, struct file_head *h)
{
	static const char nothing[FILE_MAGIC]; /* Its length was written, its bytes were not. */
	char magic[FILE_MAGIC];
	struct entry e;
	int rc = sys_open(sys, path, O_RDONLY, 0);

	if (rc < 0) {
		return rc;
	}
	*fd = rc;
	entry_reader_init(entries, sys, *fd, FILE_MAGIC);
	rc = sys_pread_all(sys, *fd, magic, sizeof magic, 0);
	if (rc == UV_EOF ||
	    (rc == 0 && memcmp(magic, nothing, sizeof magic) == 0)) {
		rc = ERR_TRUNCATED;
	} else if (rc == 0 &&
		   memcmp(magic, segment_magic, sizeof magic) != 0) {
		rc = ERR_DAMAGED;
	}
	if (rc == 0) {
		rc = entry_reader_next(entries, &e);
		rc = rc == 0 ? ERR_TRUNCATED : rc > 0 ? 0 : rc;
	}
	if (rc == 0) {
		rc = e.kind == ENTRY_FILE ? file_head_take(h, e.payload)
					  : ERR_MALFORMED;
	}
	if (rc != 0) {
		entry_reader_fini(entries);
		sys_close(sys, *fd);
		*fd = -1;
	}
	return rc;
}

/* The lowest index behind which a later part goes on.  *unreadable: there is a later part
 * that does not say. */
static int64_t find_limit(const struct segment_reader *r, bool *unreadable)
{
	struct segment_name next = r->name;
	int64_t limit = INT64_MAX;

	*unreadable = false;
	while (next.part < r->last_part) {
		struct entry_reader entries;
		struct file_head h;
		char path[STORE_PATH];
		int fd, rc;

		next.part++;
		segment_path(path, r->dir, &next);
		rc = open_part(r->sys, path, &fd, &entries, &h);
		if (rc == 0) {
			limit = h.after < limit ? h.after : limit;
			entry_reader_fini(&entries);
			sys_close(r->sys, fd);
		} else if (rc != UV_ENOENT) {
			*unreadable = true;
		}
	}
	return limit;
}

static int first_part(struct segment_reader *r, const struct file_head *h)
{
	if (h->after != -1) {
		return ERR_DAMAGED; /* What it continues is gone. */
	}
	memcpy(r->store_id, h->store_id, sizeof r->store_id);
	r->device = h->device;
	snprintf(r->device_name, sizeof r->device_name, "%.*s",
		 SLICE_ARG(h->name));
	buf_init(&r->header, LIMIT_SEGMENT_HEADER);
	return buf_add_slice(&r->header, h->header);
}

static int check_part(struct segment_reader *r, const struct file_head *h)
{
	const struct segment_info *info;
	struct hash32 hash;
	int rc = 0;

	if (r->follower == NULL) {
		rc = first_part(r, h);
		if (rc == 0) {
			rc = follower_new(&r->follower, h->header);
		}
	}
	if (rc != 0) {
		return rc;
	}
	info = follower_info(r->follower);
	hash = follower_hash(r->follower);
	r->created_ms = h->created_ms;
	return memcmp(&info->id, &r->name.id, sizeof info->id) == 0 &&
			       info->lane == r->name.lane &&
			       info->number == r->name.number &&
			       hash32_eq(&info->device, &h->device) &&
			       h->part == r->name.part &&
			       h->after == segment_reader_index(r) &&
			       hash32_eq(&h->hash, &hash)
		       ? 0
		       : ERR_CHAIN;
}

static void close_part(struct segment_reader *r)
{
	if (r->fd >= 0) {
		entry_reader_fini(&r->entries);
		sys_close(r->sys, r->fd);
		r->fd = -1;
	}
}

/* Nothing of this part was acknowledged: a later one begins where it would. */
static bool is_replaced(const struct segment_reader *r)
{
	bool unreadable;

	return find_limit(r, &unreadable) ==
	       (r->follower == NULL ? -1 : segment_reader_index(r));
}

/* Opens the first existing part from r->name.part on: 1, or 0: none. */
static int next_part(struct segment_reader *r)
{
	struct file_head h;
	char path[STORE_PATH];
	int rc = UV_ENOENT;

	for (; r->name.part <= r->last_part; r->name.part++) {
		segment_path(path, r->dir, &r->name);
		rc = open_part(r->sys, path, &r->fd, &r->entries, &h);
		if (rc == 0 ||
		    (rc != UV_ENOENT && (rc > ERR_FULL || !is_replaced(r)))) {
			break;
		}
	}
	if (rc == UV_ENOENT) {
		return 0;
	}
	if (rc == 0) {
		rc = check_part(r, &h);
	}
	if (rc == 0) {
		r->limit = find_limit(r, &r->unreadable);
	}
	return rc == 0 ? 1 : rc;
}

int segment_reader_open(struct segment_reader *r, struct sys *sys,
			const char *dir, const struct segment_name *name)
{
	int rc;

	memset(r, 0, sizeof *r);
	r->sys = sys;
	r->fd = -1;
	r->name = *name;
	r->name.part = 0;
	r->last_part = name->part;
	snprintf(r->dir, sizeof r->dir, "%s", dir);
	rc = next_part(r);
	if (rc == 0) {
		rc = UV_ENOENT;
	}
	if (rc < 0) {
		segment_reader_close(r);
		return rc;
	}
	return 0;
}

void segment_reader_close(struct segment_reader *r)
{
	close_part(r);
	follower_free(r->follower);
	r->follower = NULL;
	buf_fini(&r->header);
}

static int take_batch(struct segment_reader *r, const struct entry *e,
		      struct segment_entry *out)
{
	int rc = envelope_take(&out->envelope, &out->batch, e->payload);

	if (rc == 0) {
		rc = follower_peek(r->follower, out->batch, &out->head);
	}
	if (rc == 0) {
		rc = follower_commit(r->follower, &out->head);
	}
	/* Whole by its checksum, so it is not a tear. */
	return rc == ERR_TRUNCATED ? ERR_MALFORMED : rc;
}

static int take(struct segment_reader *r, const struct entry *e,
		struct segment_entry *out)
{
	out->kind = (enum entry_kind)e->kind;
	out->part = r->name.part;
	out->offset = e->offset;
	out->next = e->next;
	switch (e->kind) {
	case ENTRY_BATCH:
		return take_batch(r, e, out);
	case ENTRY_HEAD_SIGNED:
		out->signed_head = e->payload;
		return 0;
	default:
		return ERR_MALFORMED;
	}
}

int segment_reader_next(struct segment_reader *r, struct segment_entry *out)
{
	struct entry e;
	int rc;

	for (;;) {
		bool last = r->name.part == r->last_part;

		if (!last && segment_reader_index(r) >= r->limit) {
			rc = 0; /* The rest was not acknowledged. */
		} else {
			rc = entry_reader_next(&r->entries, &e);
		}
		if (rc > 0) {
			rc = take(r, &e, out);
			if (rc != 0) {
				r->entries.offset = e.offset;
			}
			return rc == 0 ? 1 : rc;
		}
		if (rc < 0 || last || (r->limit == INT64_MAX && !r->unreadable)) {
			return rc;
		}
		if (r->limit != INT64_MAX && segment_reader_index(r) < r->limit) {
			return ERR_DAMAGED;
		}
		close_part(r);
		r->name.part++;
		rc = next_part(r);
		if (rc <= 0) {
			return rc;
		}
	}
}

/* ---- listing ---- */


static int on_name(void *arg, const char *name, bool is_dir)
{
	struct segment_list *l = arg;
	struct segment_name n;

	if (is_dir || !segment_name_parse(&n, name)) {
		return 0;
	}
	if (l->n == l->room) {
		size_t room = l->room == 0 ? 32 : l->room * 2;
		struct segment_name *v = realloc(l->v, room * sizeof *v);

		if (v == NULL) {
			return UV_ENOMEM;
		}
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = n;
	return 0;
}

int segment_list_read(struct segment_list *l, struct sys *sys, const char *dir)
{
	size_t out = 0;
	int rc;

	*l = (struct segment_list){0};
	rc = sys_list(sys, dir, on_name, l);
	if (rc != 0) {
		segment_list_fini(l);
		return rc;
	}
	if (l->n > 1) {
		qsort(l->v, l->n, sizeof *l->v, segment_name_compare);
	}
	/* Of each segment's parts only the last remains. */
	for (size_t i = 0; i < l->n; i++) {
		if (i + 1 < l->n &&
		    memcmp(&l->v[i].id, &l->v[i + 1].id, sizeof l->v[i].id) ==
			    0) {
			continue;
		}
		l->v[out++] = l->v[i];
	}
	l->n = out;
	return 0;
}

void segment_list_fini(struct segment_list *l)
{
	free(l->v);
	*l = (struct segment_list){0};
}
