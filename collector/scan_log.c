/* scan_log: the watermark log's part of scan.h. */
#include "collector/scan_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/share.h"
#include "common/err.h"
#include "common/log.h"

static struct device *device_of(struct store *s, const struct hash32 *id)
{
	return s->only_known ? store_find_device(s, id) : store_device(s, id);
}

static int take_device(struct store *s, const struct log_device *e)
{
	struct device *d = device_of(s, &e->device);
	struct hash32 hash;
	int rc;

	if (d == NULL) {
		return s->only_known ? 0 : UV_ENOMEM;
	}
	rc = hash32_of(&hash, &e->spki, 1);
	if (rc != 0 || !hash32_eq(&hash, &d->id)) {
		return rc != 0 ? rc : ERR_DAMAGED;
	}
	if (d->spki.p == NULL) {
		char *copy = malloc(e->spki.n + 1);

		if (copy == NULL) {
			return UV_ENOMEM;
		}
		memcpy(copy, e->spki.p, e->spki.n);
		d->spki = slice(copy, e->spki.n);
	}
	snprintf(d->name, sizeof d->name, "%.*s", SLICE_ARG(e->name));
	d->logged |= !s->only_known; /* What is passed over may be another's. */
	return 0;
}

static int take_watermark(struct store *s, const struct log_watermark *w)
{
	struct device *d = device_of(s, &w->device);
	struct stream *st = d == NULL ? NULL : device_stream(d, &w->stream);

	if (d == NULL && s->only_known) {
		return 0;
	}
	if (st == NULL) {
		return UV_ENOMEM;
	}
	if (w->position >= st->received) {
		st->received = st->durable = w->position;
		st->h_received = st->h_durable = w->h;
	}
	if (w->arrival > st->touched) {
		st->touched = w->arrival;
	}
	if (w->arrival > s->arrival) {
		s->arrival = w->arrival;
	}
	return 0;
}

static int take_head(struct store *s, struct slice bytes)
{
	/* Its device comes before it, with the key to check it by. */
	for (size_t i = 0; i < s->room_devices; i++) {
		struct device *d = s->devices[i];
		struct head h;

		if (d != NULL && d->spki.p != NULL &&
		    head_verify(&h, bytes, d->spki) == 0) {
			return device_set_head(d, &h, bytes);
		}
	}
	return 0; /* Whose it is can't be told: of no use. */
}

static int take_entry(struct store *s, const struct entry *e)
{
	struct log_device d;
	struct log_watermark w;
	uint8_t id[STORE_ID];
	int rc;

	switch (e->kind) {
	case ENTRY_FILE:
		rc = log_file_take(id, e->payload);
		return rc != 0 ? rc
		       : memcmp(id, s->id, STORE_ID) == 0 ? 0
							  : ERR_NOT_OURS;
	case ENTRY_DEVICE:
		rc = log_device_take(&d, e->payload);
		return rc != 0 ? rc : take_device(s, &d);
	case ENTRY_WATERMARK:
		rc = log_watermark_take(&w, e->payload);
		return rc != 0 ? rc : take_watermark(s, &w);
	case ENTRY_LOG_HEAD:
		return take_head(s, e->payload);
	default:
		return ERR_MALFORMED;
	}
}

/* report may be NULL. */
static int read_entries(struct store *s, int fd, uint64_t *whole,
			struct scan_report *report)
{
	struct entry_reader r;
	struct entry e;
	char magic[FILE_MAGIC];
	int rc;

	*whole = 0;
	rc = sys_pread_all(s->sys, fd, magic, sizeof magic, 0);
	if (rc != 0) {
		return rc == UV_EOF ? ERR_TRUNCATED : rc;
	}
	if (memcmp(magic, watermark_magic, sizeof magic) != 0) {
		return ERR_DAMAGED;
	}
	entry_reader_init(&r, s->sys, fd, FILE_MAGIC);
	while ((rc = entry_reader_next(&r, &e)) == 1) {
		if (e.offset == FILE_MAGIC && e.kind != ENTRY_FILE) {
			rc = ERR_MALFORMED;
			break;
		}
		rc = take_entry(s, &e);
		if (rc != 0) {
			break;
		}
		*whole = e.next;
		if (report != NULL) {
			report->steps++;
		}
	}
	entry_reader_fini(&r);
	return rc;
}

int scan_log_read(struct store *s, bool *whole)
{
	char path[STORE_PATH], aside[STORE_PATH + 16];
	uint64_t good = 0;
	int fd, rc;

	*whole = true;
	snprintf(path, sizeof path, "%.*s/watermarks.log", STORE_PATH - 32,
		 s->own);
	fd = sys_open(s->sys, path, O_RDWR, 0);
	if (fd < 0) {
		/* A new store, or the log was lost: the segments know most of
		 * what it knew. */
		*whole = s->made;
		return fd == UV_ENOENT ? 0 : fd;
	}
	rc = read_entries(s, fd, &good, NULL);
	if (rc == UV_ENOMEM) {
		sys_close(s->sys, fd);
		return rc;
	}
	/* What was read counts; the first commit writes a new one, whole: a sync of
	 * this one may have failed, and what is in memory need not be on the disk. */
	sys_close(s->sys, fd);
	if (rc == ERR_TRUNCATED && good > 0) {
		log_info("the watermark log has an unfinished end",
			 "path=%s at=%llu", path, (unsigned long long)good);
		rc = 0;
	}
	if (rc == 0) {
		return 0;
	}
	*whole = false;
	snprintf(aside, sizeof aside, "%s.damaged", path);
	log_error("the watermark log is damaged: keeping what stands before, "
		  "setting the file aside and reading every segment",
		  "path=%s at=%llu error=\"%s\" aside=%s", path,
		  (unsigned long long)good, err_str(rc), aside);
	return sys_rename(s->sys, path, aside);
}

static int peek(struct store *s, const char *dir, uint64_t *whole,
		struct scan_report *report)
{
	char path[STORE_PATH];
	int fd, rc;

	*whole = 0;
	snprintf(path, sizeof path, "%.*s/watermarks.log", STORE_PATH - 32,
		 dir);
	fd = sys_open(s->sys, path, O_RDONLY, 0);
	if (fd < 0) {
		return fd;
	}
	rc = read_entries(s, fd, whole, report);
	sys_close(s->sys, fd);
	return rc;
}

int scan_log_peek(struct store *s, const char *dir, uint64_t *whole)
{
	return peek(s, dir, whole, NULL);
}

struct others {
	struct store *s;
	struct scan_report *report;
};

static int on_member(void *arg, const char *name, const char *dir)
{
	struct others *o = arg;
	uint64_t whole;
	int rc = peek(o->s, dir, &whole, o->report);

	o->report->steps++;
	if (rc == UV_ENOENT) {
		return 0; /* It has committed nothing yet. */
	}
	if (scan_is_systems(rc)) {
		log_error("another member's watermark log can't be read",
			  "member=%s error=\"%s\"", name, err_str(rc));
		return rc;
	}
	if (rc != 0 && rc != ERR_TRUNCATED) {
		log_error("another member's watermark log is damaged: what stands "
			  "before counts",
			  "member=%s at=%llu error=\"%s\"", name,
			  (unsigned long long)whole, err_str(rc));
	}
	return 0;
}

int scan_log_read_others(struct store *s, struct scan_report *report)
{
	struct others o = {s, report};
	bool only_known = s->only_known;
	int rc;

	s->only_known = true;
	rc = share_members(s, on_member, &o);
	s->only_known = only_known;
	return rc;
}
