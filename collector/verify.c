#include "collector/verify_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/scan_log.h"
#include "collector/share.h"
#include "common/err.h"

const char *verify_kind_name(enum verify_kind k)
{
	static const char *const names[] = {"damaged", "rewritten", "hole",
					    "replay", "sealed", "note"};

	return names[k];
}

void verify_tell(struct verify *v, enum verify_kind kind, const char *file,
		 uint64_t offset, const char *fmt, ...)
{
	char path[STORE_PATH + HEX32], text[512];
	struct verify_finding f = {
		.kind = kind,
		.device = v->device == NULL ? "" : v->device->name,
		.file = file,
		.offset = offset,
		.text = text,
	};
	va_list ap;

	if (v->device != NULL && file[0] != '\0') {
		snprintf(path, sizeof path, "devices/%s/%.300s",
			 v->device->hex, file);
		f.file = path;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	v->totals->wrong += kind != VERIFY_NOTE;
	v->cb(v->arg, &f);
}

/* ---- streams ---- */

static int by_stream(const void *a, const void *b)
{
	const struct verify_taken *x = a, *y = b;
	int order = memcmp(&x->stream, &y->stream, sizeof x->stream);

	if (order != 0) {
		return order;
	}
	return x->arrival == y->arrival ? 0 : x->arrival < y->arrival ? -1 : 1;
}

static void stream_text(char out[static 33], const struct stream_id *id)
{
	for (size_t i = 0; i < sizeof id->b; i++) {
		snprintf(out + 2 * i, 3, "%02x", id->b[i]);
	}
}

static void check_taken(struct verify *v, const struct verify_taken *t, uint64_t w)
{
	char id[33], file[SEGMENT_NAME];

	stream_text(id, &t->stream);
	segment_name_format(file, &v->list.v[t->segment]);
	if (t->from > w) {
		verify_tell(v, VERIFY_HOLE, file, 0,
			    "stream %s: bytes %llu to %llu are not here", id,
			    (unsigned long long)w, (unsigned long long)t->from);
	} else if (t->from < w && t->end > t->from) {
		verify_tell(v, VERIFY_REPLAY, file, 0,
			    "stream %s: bytes %llu to %llu are here twice", id,
			    (unsigned long long)t->from,
			    (unsigned long long)(t->end < w ? t->end : w));
	}
}

/* What the log says was there must be there. */
static void check_log(struct verify *v, const struct stream_id *id, uint64_t w)
{
	struct stream *st = device_find_stream(v->device, id);
	char text[33];

	if (st == NULL) {
		return;
	}
	st->told = true;
	stream_text(text, id);
	if (st->durable > w) {
		verify_tell(v, VERIFY_HOLE, "", 0,
			    "stream %s: bytes %llu to %llu were stored and are not "
			    "here",
			    text, (unsigned long long)w,
			    (unsigned long long)st->durable);
	}
}

static void check_streams(struct verify *v)
{
	static const struct stream_id none;
	size_t i = 0;

	if (v->n_taken > 1) {
		qsort(v->taken, v->n_taken, sizeof *v->taken, by_stream);
	}
	while (i < v->n_taken) {
		struct stream_id id = v->taken[i].stream;
		uint64_t w = 0;

		v->totals->streams++;
		for (; i < v->n_taken && memcmp(&v->taken[i].stream, &id,
						sizeof id) == 0;
		     i++) {
			check_taken(v, &v->taken[i], w);
			w = v->taken[i].end > w ? v->taken[i].end : w;
		}
		check_log(v, &id, w);
	}
	for (size_t k = 0; k < v->device->n_streams; k++) {
		const struct stream *st = &v->device->streams[k];

		if (!st->told && memcmp(&st->id, &none, sizeof none) != 0) {
			check_log(v, &st->id, 0);
		}
	}
}

/* ---- heads ---- */

/* The last word on each segment: nothing that the device vouched for is cut off.  A
 * segment that was given up may have had batches that were never taken. */
static void check_ends(struct verify *v)
{
	for (size_t i = 0; i < v->list.n; i++) {
		const struct signed_head *last = &v->last[i];
		char file[SEGMENT_NAME];

		segment_name_format(file, &v->list.v[i]);
		if (last->bytes != NULL &&
		    last->head.state != HEAD_ABANDONED &&
		    last->head.index >= (int64_t)v->chains[i].n) {
			verify_tell(v, VERIFY_HOLE, file, 0,
				    "the device signed batches up to %lld, here they "
				    "end at %lld",
				    (long long)last->head.index,
				    (long long)v->chains[i].n - 2);
		}
	}
}

/* The latest heads stand in the watermark log as well. */
static void check_log_heads(struct verify *v)
{
	for (int lane = 0; lane < LANE_NR; lane++) {
		const struct signed_head *h = &v->device->heads[lane];

		for (size_t i = 0; h->bytes != NULL && i < v->list.n; i++) {
			if (memcmp(&v->list.v[i].id, &h->head.segment,
				   sizeof h->head.segment) != 0) {
				continue;
			}
			verify_head(v, i, &h->head, "", 0);
			if (v->last[i].bytes == NULL) {
				(void)verify_keep_head(&v->last[i], &h->head,
						slice(h->bytes, h->n));
			}
		}
	}
}

/* Each segment names the end of the one before it. */
static void check_previous(struct verify *v)
{
	for (size_t i = 1; i < v->list.n; i++) {
		const struct segment_name *now = &v->list.v[i];
		const struct segment_name *before = &v->list.v[i - 1];
		const struct head *h = &v->last[i].head;
		const struct verify_chain *c = &v->chains[i - 1];
		char file[SEGMENT_NAME];

		if (v->last[i].bytes == NULL || now->lane != before->lane ||
		    now->number != before->number + 1 ||
		    h->previous_index + 1 >= (int64_t)c->n) {
			continue;
		}
		segment_name_format(file, before);
		if (!hash32_eq(&c->v[h->previous_index + 1],
			       &h->previous_hash)) {
			verify_tell(v, VERIFY_REWRITTEN, file, 0,
				    "the next segment's signed head names another "
				    "content of batch %lld",
				    (long long)h->previous_index);
		}
	}
}

/* ---- one device ---- */

static int on_file(void *arg, const char *name, bool is_dir)
{
	struct verify *v = arg;
	struct segment_name n;
	size_t len = strlen(name);

	if (is_dir || segment_name_parse(&n, name) ||
	    strcmp(name, "owed") == 0 || strncmp(name, "owed.", 5) == 0) {
		return 0;
	}
	if (strstr(name, ".seg.dropped") != NULL) {
		verify_tell(v, VERIFY_NOTE, name, 0,
			    "an end that was never acknowledged, set aside after a "
			    "crash");
	} else if (strstr(name, ".seg.damaged") != NULL) {
		verify_tell(v, VERIFY_DAMAGED, name, 0,
			    "was set aside because of damage; what it held may be "
			    "missing");
	} else if (strstr(name, ".seg.copy") != NULL) {
		verify_tell(v, VERIFY_NOTE, name, 0,
			    "a copy that is being made, or was left half-way, when "
			    "another collector took the device over");
	} else if (len > 0) {
		verify_tell(v, VERIFY_NOTE, name, 0, "is no file of this store");
	}
	return 0;
}

static int check_files(struct verify *v)
{
	int rc = 0;

	v->n_taken = 0;
	for (size_t i = 0; i < v->list.n && rc == 0; i++) {
		rc = verify_segment(v, i);
	}
	if (rc == 0) {
		check_log_heads(v);
		check_ends(v);
		check_previous(v);
		check_streams(v);
		rc = sys_list(v->s->sys, v->dir, on_file, v);
	}
	return rc;
}

static int check_device(struct verify *v)
{
	int rc = segment_list_read(&v->list, v->s->sys, v->dir);

	if (rc != 0) {
		return rc;
	}
	v->totals->devices++;
	if (v->device->spki.p == NULL && v->list.n > 0) {
		verify_tell(v, VERIFY_NOTE, "", 0,
			    "its key is not in the watermark log: signed heads can't "
			    "be checked");
	}
	v->chains = calloc(v->list.n + 1, sizeof *v->chains);
	v->last = calloc(v->list.n + 1, sizeof *v->last);
	rc = v->chains == NULL || v->last == NULL ? UV_ENOMEM : check_files(v);
	for (size_t i = 0; i < v->list.n; i++) {
		if (v->chains != NULL) {
			free(v->chains[i].v);
		}
		if (v->last != NULL) {
			free(v->last[i].bytes);
		}
	}
	free(v->chains);
	free(v->last);
	segment_list_fini(&v->list);
	return rc;
}

static int on_device(void *arg, const char *name, bool is_dir)
{
	struct verify *v = arg;
	struct hash32 id;
	int fd, rc;

	if (!is_dir || !hash32_unhex(&id, name)) {
		return 0;
	}
	v->device = store_device(v->s, &id);
	if (v->device == NULL) {
		return UV_ENOMEM;
	}
	fd = share_pin(v->s, v->device, v->dir);
	if (fd < 0) {
		return fd;
	}
	if (v->device->name[0] == '\0') {
		snprintf(v->device->name, sizeof v->device->name, "%.16s",
			 name);
	}
	rc = check_device(v);
	share_unpin(v->s, fd);
	v->device->dir_made = true;
	v->device = NULL;
	return rc;
}

/* Devices of the log whose folder is gone. */
static void check_gone(struct verify *v)
{
	for (size_t i = 0; i < v->s->room_devices; i++) {
		v->device = v->s->devices[i];
		if (v->device == NULL || v->device->dir_made) {
			continue;
		}
		for (size_t k = 0; k < v->device->n_streams; k++) {
			check_log(v, &v->device->streams[k].id, 0);
		}
	}
	v->device = NULL;
}

static int check_log_file(void *arg, const char *member, const char *dir)
{
	struct verify *v = arg;
	char name[64];
	uint64_t whole;
	int rc = scan_log_peek(v->s, dir, &whole);

	snprintf(name, sizeof name, "%s%swatermarks.log", member,
		 member[0] == '\0' ? "" : "/");
	if (rc == ERR_TRUNCATED) {
		verify_tell(v, VERIFY_NOTE, name, whole,
			    "ends in the middle of an entry: being written, or left by "
			    "a crash");
	} else if (rc == UV_ENOENT) {
		v->log_missing = true;
	} else if (rc != 0) {
		verify_tell(v, VERIFY_DAMAGED, name, whole, "%s", err_str(rc));
	}
	return 0;
}

/* Each member of a shared store has one; one that has just joined has none yet. */
static int check_log_files(struct verify *v)
{
	char members[STORE_PATH];
	struct sys_stat st;

	snprintf(members, sizeof members, "%.*s/members", STORE_PATH - 32,
		 v->s->dir);
	if (sys_stat(v->s->sys, members, &st) != 0) {
		return check_log_file(v, "", v->s->dir);
	}
	return share_members(v->s, check_log_file, v);
}

int verify_store(struct store *s, verify_cb cb, void *arg,
		 struct verify_totals *totals)
{
	struct verify v = {.s = s, .cb = cb, .arg = arg, .totals = totals};
	char devices[STORE_PATH];
	int rc;

	*totals = (struct verify_totals){0};
	v.o = malloc(sizeof *v.o);
	if (v.o == NULL) {
		return UV_ENOMEM;
	}
	rc = check_log_files(&v);
	snprintf(devices, sizeof devices, "%.*s/devices", STORE_PATH - 32,
		 s->dir);
	rc = rc == 0 ? sys_list(s->sys, devices, on_device, &v) : rc;
	if (v.log_missing && totals->devices > 0) {
		verify_tell(&v, VERIFY_DAMAGED, "watermarks.log", 0, "is not there");
	}
	if (rc == 0) {
		check_gone(&v);
	}
	free(v.taken);
	free(v.o);
	return rc;
}
