/* What of a journal is lost, and how much: by the numbers that journald gives the entries
 * of all its files. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/journal_impl.h"

enum {
	STEPS = 512,               /* entries looked at in one go ... */
	ACCOUNT_MAX = 1024 * 1024, /* ... and for one hole */
};

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

/* How many entries an open file has in [*from, to), as far as that can be read in so many
 * steps; *from: where that went to. */
static uint64_t count_read(struct journal *j, struct journal_reader *r,
			   const struct journal_header *h, uint64_t *from, uint64_t to,
			   uint64_t *steps)
{
	struct journal_entry e;
	uint64_t n = 0, at = *from;

	if (j->calls->seek(r, h->seqnum_id, at) == 0) {
		for (; *steps > 0; (*steps)--) {
			if (j->calls->next(r) != 1 || j->calls->entry(r, &e) != 0 ||
			    e.number >= to) {
				*from = to;
				return n;
			}
			if (e.number >= at) {
				n++;
				*from = e.number + 1;
			}
		}
		return n;
	}
	*from = to;
	return n;
}

static uint64_t count_in(struct journal *j, const struct journal_file *f,
			 uint64_t *from, uint64_t to, uint64_t *steps)
{
	struct journal_reader *r;
	uint64_t n;
	int fd;

	if (journal_open(j, f->path, &fd, &r) != 0) {
		*from = to;
		return 0;
	}
	n = count_read(j, r, &f->header, from, to, steps);
	j->calls->close(r);
	sys_close(j->sys, fd);
	return n;
}

/* journald counts all its files' entries by one counter. */
static bool is_other(const struct chain *c, const struct journal_file *f, uint64_t from,
		     uint64_t to)
{
	return f->error == 0 && f->header.entries > 0 && !chain_has(c, f) &&
	       f->dir_n == strlen(c->dir) && memcmp(f->path, c->dir, f->dir_n) == 0 &&
	       f->header.head < to && f->header.tail >= from;
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

uint64_t chain_end(const struct chain *c)
{
	const struct journal_files *fs = &c->journal->files;
	uint64_t end = 0;

	for (size_t i = 0; i < fs->n; i++) {
		const struct journal_file *f = &fs->v[i];

		if (chain_has(c, f) && f->header.entries > 0 && f->header.tail >= end) {
			end = f->header.tail + 1;
		}
	}
	return end;
}

/* Which files it has, by their ids in any order; not 0. */
static uint64_t which_files(const struct chain *c)
{
	const struct journal_files *fs = &c->journal->files;
	uint64_t sum = 0;

	for (size_t i = 0; i < fs->n; i++) {
		const struct journal_file *f = &fs->v[i];

		if (chain_has(c, f)) {
			sum += XXH3_64bits(f->header.file_id, sizeof f->header.file_id);
		}
	}
	return sum == 0 ? 1 : sum;
}

/* While a file is read, nobody looks at the folder for what is written to it: the last look
 * may be from before W was written.  And a file that journald renames meanwhile can be
 * missed by one look.  As long as it is not known nothing waits: all that is there was stored.
 * Once there is more than W, the entry that ends there proves which journal it is. */
int chain_was_cut(struct chain *c)
{
	struct journal *j = c->journal;
	uint64_t end = chain_end(c), files;

	if (end >= c->stream.st.acked) {
		c->cut_ns = 0;
		return 0;
	}
	if (c->cut_ns == 0) {
		c->cut_ns = sys_mono_ns(j->sys);
		c->cut_files = 0;
		j->scan_wanted = true;
		return ERR_AGAIN;
	}
	if (j->scanned_ns <= c->cut_ns) {
		return ERR_AGAIN;
	}
	c->cut_ns = j->scanned_ns;
	if (end == 0 || j->files.error != 0 || chain_any_damaged(c)) {
		c->cut_files = 0; /* That may last: it is looked at again in its time. */
		return ERR_AGAIN;
	}
	files = which_files(c);
	if (files == c->cut_files) {
		c->cut_ns = 0;
		return 1;
	}
	c->cut_files = files;
	j->scan_wanted = true;
	return ERR_AGAIN;
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

/* The next part of what is accounted for that no other chain has told of. */
static void next_part(const struct chain *c, struct account *a)
{
	uint64_t from, to, n = a->end - a->at;

	a->lost += n > a->found ? n - a->found : 0;
	a->found = 0;
	a->file = 0;
	a->at = a->next = a->end;
	a->end = a->to;
	while (a->at < a->to && told_elsewhere(c, a->at, a->to, &from, &to)) {
		if (from > a->at) {
			a->end = from;
			return;
		}
		a->at = a->next = to;
	}
}

/* A chain's numbers begin with its first file's. */
static uint64_t hole_from(const struct chain *c)
{
	return c->stream.position > 0 ? c->stream.position : c->begun;
}

void chain_set_hole(struct chain *c, uint64_t to, const char *why)
{
	c->doubt_ns = 0;
	c->hole_to = to;
	c->hole_why = why;
	c->accounting = true;
}

void chain_forget_hole(struct chain *c)
{
	c->hole_to = c->passed = 0;
	c->accounting = false;
	if (c->journal->accounter == c) {
		c->journal->accounter = NULL;
	}
}

static void begin_account(struct chain *c)
{
	struct account *a = &c->journal->account;
	uint64_t from = hole_from(c), to = c->hole_to > from ? c->hole_to : from;

	c->journal->accounter = c;
	*a = (struct account){.at = from, .end = from, .next = from, .to = to};
	next_part(c, a);
}

static void end_account(struct chain *c)
{
	struct journal *j = c->journal;
	uint64_t lost = j->account.lost, to = c->hole_to, from = hole_from(c);

	c->accounting = false;
	j->accounter = NULL;
	if (lost == 0) {
		c->hole_to = 0; /* All of them are in other chains. */
		c->passed = to;
		return;
	}
	j->told[j->n_told++ % JOURNAL_TOLD] = (struct told){c, from, to};
	snprintf(c->hole_reason, sizeof c->hole_reason, "%s entries=%" PRIu64, c->hole_why,
		 lost);
	j->gaps++;
	j->lost += lost;
	log_warn("entries of the journal are lost, the collector is told",
		 "folder=%s name=%s from=%" PRIu64 " to=%" PRIu64 " reason=\"%s\"", c->dir,
		 c->family, from, to, c->hole_reason);
}

/* One step: a file is looked at, or passed. */
static void account_on(struct chain *c, uint64_t *steps)
{
	struct journal *j = c->journal;
	struct account *a = &j->account;
	uint64_t before = *steps;

	if (a->at >= a->to) {
		end_account(c);
	} else if (a->file >= j->files.n || a->steps >= ACCOUNT_MAX) {
		next_part(c, a);
	} else if (a->next >= a->end || !is_other(c, &j->files.v[a->file], a->at, a->end)) {
		a->file++;
		a->next = a->at;
	} else {
		a->found += count_in(j, &j->files.v[a->file], &a->next, a->end, steps);
		a->steps += before - *steps;
	}
}

bool chain_account(struct chain *c)
{
	struct journal *j = c->journal;
	uint64_t steps = STEPS;

	if (c->accounting && j->accounter == NULL) {
		begin_account(c);
	}
	while (c->accounting && j->accounter == c && steps > 0) {
		account_on(c, &steps);
	}
	return !c->accounting;
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

bool chain_note_missing(struct chain *c, const struct journal_header *h)
{
	struct journal *j = c->journal;
	uint64_t steps = STEPS, missing;
	struct journal_reader *r;

	if (c->begun == 0 || h->entries <= c->read) {
		return true;
	}
	if (c->noted_at < h->head) {
		c->noted_at = h->head;
		c->noted = 0;
	}
	if (c->begun > c->noted_at && j->calls->open(&r, c->fd) == 0) {
		c->noted += count_read(j, r, h, &c->noted_at, c->begun, &steps);
		j->calls->close(r);
		if (c->noted_at < c->begun) {
			return false;
		}
	}
	if (h->entries <= c->noted + c->read) {
		return true;
	}
	missing = h->entries - c->noted - c->read;
	snprintf(c->note, sizeof c->note,
		 "journal-damaged entries=%" PRIu64 " from=%" PRIu64 " to=%" PRIu64,
		 missing, c->begun, h->tail + 1);
	log_warn("a journal file is damaged; what can be read of it is",
		 "path=%s missing=%" PRIu64, chain_file_name(c, h), missing);
	j->damaged++;
	j->gaps++;
	j->lost += missing;
	c->begun = 0;
	return true;
}
