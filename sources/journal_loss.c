/* What of a journal is lost, and how much: by the numbers that journald gives the entries
 * of all its files. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/journal_impl.h"

enum { ACCOUNT_MAX = 65536 }; /* entries looked at to account for a hole */

int journal_open(struct journal *j, const char *path, int *fd,
		       struct journal_reader **out)
{
	int rc;

	*fd = sys_open(j->sys, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (*fd < 0) {
		return *fd;
	}
	rc = j->calls->open(out, *fd);
	if (rc != 0) {
		sys_close(j->sys, *fd);
	}
	return rc;
}

/* The file's name now: it was rotated, maybe. */
const char *chain_file_name(const struct chain *c, const struct journal_header *h)
{
	const struct journal_files *fs = &c->journal->files;

	for (size_t i = 0; i < fs->n; i++) {
		if (fs->v[i].error == 0 &&
		    memcmp(fs->v[i].header.file_id, h->file_id, 16) == 0) {
			return fs->v[i].path;
		}
	}
	return c->path;
}

/* How many entries an open file has in [from, to), as far as that can be read. */
static uint64_t count_read(struct journal *j, struct journal_reader *r,
			   const struct journal_header *h, uint64_t from, uint64_t to,
			   uint64_t *budget)
{
	struct journal_entry e;
	uint64_t n = 0;

	if (j->calls->seek(r, h->seqnum_id, from) == 0) {
		while (*budget > 0 && j->calls->next(r) == 1 &&
		       j->calls->entry(r, &e) == 0 && e.number < to) {
			n += e.number >= from;
			(*budget)--;
		}
	}
	return n;
}

static uint64_t count_in(struct journal *j, const struct journal_file *f,
			 uint64_t from, uint64_t to, uint64_t *budget)
{
	struct journal_reader *r;
	uint64_t n;
	int fd;

	if (journal_open(j, f->path, &fd, &r) != 0) {
		return 0;
	}
	n = count_read(j, r, &f->header, from, to, budget);
	j->calls->close(r);
	sys_close(j->sys, fd);
	return n;
}

/* journald counts all its files' entries by one counter. */
static uint64_t count_others(const struct chain *c, uint64_t from, uint64_t to)
{
	struct journal *j = c->journal;
	uint64_t n = 0, budget = ACCOUNT_MAX;

	for (size_t i = 0; i < j->files.n; i++) {
		const struct journal_file *f = &j->files.v[i];

		if (f->error == 0 && f->header.entries > 0 && !chain_has(c, f) &&
		    f->dir_n == strlen(c->dir) &&
		    memcmp(f->path, c->dir, f->dir_n) == 0 && f->header.head < to &&
		    f->header.tail >= from) {
			n += count_in(j, f, from, to, &budget);
		}
	}
	return n;
}

/* A file of this name that can't be read. */
bool chain_any_damaged(const struct chain *c)
{
	const struct journal_files *fs = &c->journal->files;

	for (size_t i = 0; i < fs->n; i++) {
		const struct journal_file *f = &fs->v[i];

		if (f->error != 0 && f->dir_n == strlen(c->dir) &&
		    memcmp(f->path, c->dir, f->dir_n) == 0 &&
		    strcmp(f->family, c->family) == 0) {
			return true;
		}
	}
	return false;
}

/* What another chain of the folder has told of [from, to): *a and *b. */
static bool told_elsewhere(const struct chain *c, uint64_t from, uint64_t to, uint64_t *a,
			   uint64_t *b)
{
	const struct journal *j = c->journal;
	size_t n = j->n_told < JOURNAL_TOLD ? j->n_told : JOURNAL_TOLD;

	for (size_t i = 0; i < n; i++) {
		const struct told *t = &j->told[i];

		if (t->chain != c && strcmp(t->chain->dir, c->dir) == 0 && t->from < to &&
		    t->to > from) {
			*a = t->from > from ? t->from : from;
			*b = t->to < to ? t->to : to;
			return true;
		}
	}
	return false;
}

/* How many of [from, to) are in no file and were not told of by another chain: the
 * numbers are common to them all. */
static uint64_t count_lost(const struct chain *c, uint64_t from, uint64_t to)
{
	uint64_t a, b, found;

	if (from >= to) {
		return 0;
	}
	if (told_elsewhere(c, from, to, &a, &b)) {
		return count_lost(c, from, a) + count_lost(c, b, to);
	}
	found = count_others(c, from, to);
	return found < to - from ? to - from - found : 0;
}

void chain_set_hole(struct chain *c, uint64_t to, const char *why)
{
	struct journal *j = c->journal;
	/* A chain's numbers begin with its first file's. */
	uint64_t from = c->stream.position > 0 ? c->stream.position : c->begun;
	uint64_t n = count_lost(c, from, to);

	c->doubt_ns = 0;
	if (n == 0) {
		return; /* All of them are in other chains. */
	}
	j->told[j->n_told++ % JOURNAL_TOLD] = (struct told){c, from, to};
	c->hole_to = to;
	snprintf(c->hole_reason, sizeof c->hole_reason, "%s entries=%" PRIu64, why, n);
	j->gaps++;
	j->lost += n;
	log_warn("entries of the journal are lost, the collector is told",
		 "folder=%s name=%s from=%" PRIu64 " to=%" PRIu64 " reason=\"%s\"", c->dir,
		 c->family, from, to, c->hole_reason);
}

/* Numbers are missing.  The files were looked at before the entry behind the hole was
 * there, maybe: the next look has every one that is before it. */
bool chain_hole_is_certain(struct chain *c)
{
	struct journal *j = c->journal;

	if (c->doubt_ns == 0) {
		c->doubt_ns = sys_mono_ns(j->sys);
	}
	if (j->scanned_ns <= c->doubt_ns) {
		j->scan_wanted = true;
		return false;
	}
	return true;
}

/* libsystemd passes over some damage by itself; the header knows how many entries there
 * are.  Where they stood is not known: the gap is an empty range, at the end. */
void chain_note_missing(struct chain *c, const struct journal_header *h)
{
	struct journal *j = c->journal;
	uint64_t budget = ACCOUNT_MAX, before = 0, missing;
	struct journal_reader *r;

	if (c->begun == 0 || h->entries <= c->read) {
		return;
	}
	if (c->begun > h->head && j->calls->open(&r, c->fd) == 0) {
		before = count_read(j, r, h, h->head, c->begun, &budget);
		j->calls->close(r);
	}
	if (budget == 0 || h->entries <= before + c->read) {
		return;
	}
	missing = h->entries - before - c->read;
	snprintf(c->note, sizeof c->note,
		 "journal-damaged entries=%" PRIu64 " from=%" PRIu64 " to=%" PRIu64,
		 missing, c->begun, h->tail + 1);
	log_warn("a journal file is damaged; what can be read of it is",
		 "path=%s missing=%" PRIu64, chain_file_name(c, h), missing);
	j->damaged++;
	j->gaps++;
	j->lost += missing;
	c->begun = 0;
}
