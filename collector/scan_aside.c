/* scan_aside: what a start does with what is torn or damaged. */
#include <fcntl.h>
#include <stdio.h>

#include "collector/scan_log.h"
#include "collector/scan_priv.h"
#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"

static int copy_rest(struct sys *sys, int from, int to, uint64_t offset)
{
	char chunk[16 * 1024];
	uint64_t put = 0;

	for (;;) {
		int64_t got = sys_pread(sys, from, chunk, sizeof chunk,
					offset + put);
		int rc;

		if (got <= 0) {
			return got < 0 ? (int)got : sys_fdatasync(sys, to);
		}
		rc = sys_pwrite_all(sys, to, chunk, (size_t)got, put);
		if (rc != 0) {
			return rc;
		}
		put += (uint64_t)got;
	}
}

/* Copies what stands in path from offset on to a new file beside it. */
static int copy_aside(struct sys *sys, const char *path, uint64_t offset,
		      const char *suffix, char aside[static STORE_PATH])
{
	int from, to, rc;

	for (unsigned i = 0; i < 100; i++) {
		struct sys_stat st;

		snprintf(aside, STORE_PATH, "%.*s.%s%.0u", STORE_PATH - 32,
			 path, suffix, i);
		if (sys_stat(sys, aside, &st) == UV_ENOENT) {
			break;
		}
	}
	from = sys_open(sys, path, O_RDONLY, 0);
	if (from < 0) {
		return from;
	}
	to = sys_open(sys, aside, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	rc = to < 0 ? to : copy_rest(sys, from, to, offset);
	if (to >= 0) {
		sys_close(sys, to);
	}
	sys_close(sys, from);
	return rc;
}

static int cut_file(struct sys *sys, const char *path, uint64_t offset)
{
	int fd = sys_open(sys, path, O_RDWR, 0);
	int rc;

	if (fd < 0) {
		return fd;
	}
	rc = sys_ftruncate(sys, fd, offset);
	if (rc == 0) {
		rc = sys_fdatasync(sys, fd);
	}
	sys_close(sys, fd);
	return rc;
}

void scan_set_aside(struct scan *sc, const char *path, uint64_t offset,
		    const char *suffix, const char *what)
{
	struct sys *sys = sc->store->sys;
	char aside[STORE_PATH];
	int rc = copy_aside(sys, path, offset, suffix, aside);

	if (rc == 0) {
		rc = sys_sync_dir(sys, sc->dir);
	}
	if (rc == 0) {
		rc = offset == 0 ? sys_unlink(sys, path)
				 : cut_file(sys, path, offset);
	}
	log_error(what, "path=%s at=%llu aside=%s error=\"%s\"", path,
		  (unsigned long long)offset, aside,
		  rc == 0 ? "none" : err_str(rc));
}

/* An end that breaks off in the middle of an entry is what a crash leaves, unless
 * that entry says that it was synced long before. */
static bool is_tear(struct scan *sc, const char *path, uint64_t offset)
{
	char front[ENTRY_HEAD + 10];
	struct reader r;
	struct sys_stat st;
	int64_t got;
	uint64_t arrival;
	int fd = sys_open(sc->store->sys, path, O_RDONLY, 0);

	if (fd < 0) {
		return false;
	}
	got = sys_pread(sc->store->sys, fd, front, sizeof front, offset);
	if (sys_fstat(sc->store->sys, fd, &st) != 0) {
		st.size = UINT64_MAX;
	}
	sys_close(sc->store->sys, fd);
	if (got < 0 || st.size - offset > ENTRY_PAYLOAD_MAX + 64) {
		return false;
	}
	if (got < (int64_t)sizeof front || front[0] != ENTRY_BATCH) {
		return true;
	}
	r = reader(slice(front, (size_t)got));
	reader_bytes(&r, ENTRY_HEAD);
	arrival = reader_varint(&r);
	return !reader_ok(&r) || arrival > sc->committed;
}

/* What follows a damaged part continues batches that are gone: nobody can read it.  The
 * segment ends in the part before, and goes on in a new one. */
static int set_later_aside(struct scan *sc, struct segment_name *name, uint32_t part)
{
	struct segment_name later = *name;
	int rc = 0;

	for (later.part = part + 1; later.part <= name->part && rc == 0;
	     later.part++) {
		char path[STORE_PATH], aside[STORE_PATH + 16];

		segment_path(path, sc->dir, &later);
		snprintf(aside, sizeof aside, "%s.damaged", path);
		rc = sys_rename(sc->store->sys, path, aside);
		rc = rc == UV_ENOENT ? 0 : rc;
	}
	if (rc == 0) {
		rc = sys_sync_dir(sc->store->sys, sc->dir);
	}
	if (rc == 0) {
		name->part = part;
	}
	return rc;
}

void scan_resolve(struct scan *sc, struct scan_found *f,
		  struct segment_name *name)
{
	struct segment_name at = *name;
	char path[STORE_PATH];
	int rc;

	if (f->trouble == 0) {
		return;
	}
	at.part = f->part;
	segment_path(path, sc->dir, &at);
	if (f->trouble == ERR_TRUNCATED && f->last_part &&
	    is_tear(sc, path, f->offset)) {
		log_info("an unfinished end was cut", "path=%s at=%llu", path,
			 (unsigned long long)f->offset);
		sc->report->torn++;
		if (f->offset == 0) {
			sys_unlink(sc->store->sys, path);
		} else {
			cut_file(sc->store->sys, path, f->offset);
		}
		return;
	}
	sc->report->damaged++;
	if (f->trouble == ERR_VERSION || scan_is_systems(f->trouble)) {
		/* Nothing is cut, and nothing is written behind it. */
		log_error("a file is damaged: what stands before it is kept",
			  "path=%s at=%llu error=\"%s\"", path,
			  (unsigned long long)f->offset, err_str(f->trouble));
		return;
	}
	rc = f->last_part ? 0 : set_later_aside(sc, name, f->part);
	if (rc != 0) {
		log_error("what follows a damaged file can't be set aside; nothing "
			  "more is written there", "path=%s error=\"%s\"", path,
			  err_str(rc));
		f->trouble = rc;
		return;
	}
	f->last_part = true;
	scan_set_aside(sc, path, f->offset, "damaged",
		  "a file is damaged: what stands before is kept");
}
