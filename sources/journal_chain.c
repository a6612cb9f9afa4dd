/* One chain of journal files is read: sources/journal.h. */
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/journal_impl.h"
#include "sources/journal_text.h"

enum {
	ENTRIES_AT_ONCE = 256,
	STUCK_S = 2,          /* an entry that is being written is there by then */
	MISSING_S = 2,        /* a file that is being renamed is there by then */
	SKIP_TOLD_S = 30,
};
static const int64_t second_ns = INT64_C(1000000000);
/* A header that claims more behind its last readable entry is not believed. */
static const uint64_t believed_loss = UINT64_C(1) << 32;

static uint64_t hash_of(const struct journal *j, struct slice cursor)
{
	return XXH3_64bits_withSecret(cursor.p, cursor.n, j->secret, STREAM_SECRET);
}

/* ---- files ---- */

void chain_close_file(struct chain *c)
{
	if (c->reader == NULL) {
		return;
	}
	c->journal->calls->close(c->reader);
	sys_close(c->journal->sys, c->fd);
	free(c->path);
	c->reader = NULL;
	c->path = NULL;
	c->holding = false;
	c->stuck_ns = 0;
}

/* The first file of the chain with an entry at the position or behind it. */
static struct journal_file *next_file(const struct chain *c)
{
	struct journal_files *fs = &c->journal->files;

	for (size_t i = 0; i < fs->n; i++) {
		struct journal_file *f = &fs->v[i];

		if (chain_has(c, f) && f->header.entries > 0 &&
		    f->header.tail >= chain_at(c)) {
			return f;
		}
	}
	return NULL;
}

static void announce(struct chain *c)
{
	if (!c->announced) {
		c->announced = true;
		c->journal->cb->opened(c->journal->arg, &c->stream);
	}
}

void chain_leave(struct chain *c, enum tail_close why)
{
	if (c->announced) {
		c->announced = false;
		c->journal->cb->closed(c->journal->arg, &c->stream, why);
	}
	chain_close_file(c);
	c->skip_to = c->begun = 0;
	c->cut_ns = 0;
	chain_forget_hole(c);
}

/* False: no room, or c->accounting: it is not known yet what is to be told. */
static bool tell_hole(struct chain *c)
{
	struct journal *j = c->journal;

	if (c->note[0] != '\0') {
		announce(c);
		if (j->cb->lost(j->arg, &c->stream, c->stream.position,
				c->stream.position, slice_str(c->note)) != 0) {
			return false;
		}
		c->note[0] = '\0';
	}
	if (!chain_account(c)) {
		return false;
	}
	if (c->hole_to == 0) {
		return true;
	}
	announce(c);
	if (j->cb->lost(j->arg, &c->stream, c->stream.position, c->hole_to,
			slice_str(c->hole_reason)) != 0) {
		return false;
	}
	c->stream.position = c->hole_to;
	c->stream.st.position = c->hole_to;
	c->hole_to = 0;
	return true;
}

/* ---- where it begins ---- */

/* The entry that ends there: 1 it is ours, 0 it is another, negative: not to be had. */
static int prove(const struct chain *c, uint64_t end, uint64_t h)
{
	struct journal *j = c->journal;
	struct journal_reader *r;
	struct journal_entry e;
	int rc = UV_ENOENT, fd;

	for (size_t i = 0; i < j->files.n && rc == UV_ENOENT; i++) {
		const struct journal_file *f = &j->files.v[i];

		if (!chain_has(c, f) || f->header.entries == 0 ||
		    f->header.head > end - 1 || f->header.tail < end - 1) {
			continue;
		}
		rc = journal_open(j, f->path, &fd, &r);
		if (rc != 0) {
			return rc;
		}
		rc = j->calls->seek(r, c->seqnum_id, end - 1);
		if (rc == 0 && j->calls->next(r) == 1 && j->calls->entry(r, &e) == 0) {
			rc = e.number == end - 1 ? hash_of(j, e.cursor) == h : UV_ENOENT;
		} else {
			rc = UV_EIO;
		}
		j->calls->close(r);
		sys_close(j->sys, fd);
	}
	return rc;
}

/* Another stream from now on: from the last place on up to which both are proved to be the
 * same, or from the first entry there is. */
static int begin_anew(struct chain *c)
{
	struct stream_state *st = &c->stream.st;
	uint64_t same = 0;
	int rc;

	for (size_t i = st->n_rungs; i > 0 && same == 0; i--) {
		const struct stream_rung *r = &st->rungs[i - 1];

		if (r->position > 0 && r->h != 0 && r->position < st->acked &&
		    prove(c, r->position, r->h) == 1) {
			same = r->position;
		}
	}
	log_warn("the journal is not the one that was read before; it is read as a stream of "
		 "its own",
		 "folder=%s name=%s position=%" PRIu64 " from=%" PRIu64, c->dir, c->family,
		 st->acked, same);
	rc = chain_fork(c);
	if (rc == ERR_AGAIN) {
		st->start = same;
	}
	return rc;
}

/* Where reading begins, decided once: at min(W, D), at the first entry there is, or
 * (`from: end`, at the very first start) behind the last. */
static int place(struct chain *c)
{
	struct stream *s = &c->stream;
	struct stream_state *st = &s->st;
	struct journal_file *f;

	if (st->acked > 0 && st->h != 0) {
		int cut = chain_was_cut(c);

		if (cut < 0) {
			return cut;
		}
		if (cut == 1 || prove(c, st->acked, st->h) == 0) {
			return begin_anew(c);
		}
	}
	c->placed = true;
	s->position = st->acked < st->detect ? st->acked : st->detect;
	s->position = s->position > st->start ? s->position : st->start;
	if (st->acked > 0 || s->position > 0) {
		return 0;
	}
	f = next_file(c);
	if (f == NULL) {
		c->placed = false;
		return UV_ENOENT;
	}
	if (c->journal->settings->from == SOURCES_FROM_END &&
	    c->journal->first_start) {
		st->start = st->size;
	} else if (st->fork ||
		   memcmp(f->header.file_id, f->header.seqnum_id, 16) != 0) {
		st->start = f->header.head; /* Others were before it. */
	}
	s->position = st->start;
	return 0;
}

/* ---- reading ---- */

static bool is_wanted(struct chain *c)
{
	static const char *const names[] = {"_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT",
					    "UNIT", "USER_UNIT"};
	const struct journal *j = c->journal;
	const struct strlist *units = &j->settings->units;
	struct slice value;

	for (size_t i = 0; i < sizeof names / sizeof *names && units->n > 0; i++) {
		char unit[256];

		if (j->calls->field(c->reader, names[i], &value) != 0 ||
		    value.n >= sizeof unit) {
			continue;
		}
		memcpy(unit, value.p, value.n);
		unit[value.n] = '\0';
		for (size_t k = 0; k < units->n; k++) {
			if (fnmatch(units->v[k], unit, 0) == 0) {
				return true;
			}
		}
	}
	return units->n == 0;
}

static int hand_on(struct chain *c, uint64_t end, uint32_t flags, struct slice text,
		   uint64_t h)
{
	struct journal *j = c->journal;
	struct line line = {c->stream.position, end, flags, text};
	int rc;

	announce(c);
	rc = j->cb->entry(j->arg, &c->stream, &line, h);
	if (rc == 0) {
		c->stream.position = end;
		c->stream.st.position = end;
		c->skip_to = c->passed = 0;
	}
	return rc;
}

/* What was left out by choice is a record without text.  False: no room. */
static bool tell_left_out(struct chain *c)
{
	return c->skip_to <= c->stream.position ||
	       hand_on(c, c->skip_to, RECORD_SKIP, SLICE_NONE, 0) == 0;
}

/* The reader stands at an entry.  1: it was taken, or a hole is to be told in its
 * place; 0: there is no room. */
static int take_entry(struct chain *c)
{
	struct journal *j = c->journal;
	const struct sources_journal *o = j->settings;
	struct journal_entry e;
	bool cut;
	uint64_t h;
	int rc = j->calls->entry(c->reader, &e);

	if (rc != 0) {
		return rc;
	}
	if (e.number < chain_at(c) || e.number == UINT64_MAX) {
		return 1; /* Before where it was to seek: passed over. */
	}
	c->read++;
	if (!is_wanted(c)) {
		j->left_out++;
		c->skip_to = e.number + 1;
		if (c->skip_to - c->stream.position >= SKIP_RECORD) {
			tell_left_out(c);
		}
		return 1;
	}
	if (!tell_left_out(c)) {
		c->read--;
		return 0;
	}
	h = hash_of(j, e.cursor);
	rc = journal_text(&j->text, j->calls, c->reader, &e, &o->fields,
			  (size_t)j->options->line_max, &cut);
	if (rc == UV_ENOMEM) {
		return 0;
	}
	if (rc != 0) {
		/* This one can't be read; those behind it may be. */
		tell_left_out(c);
		chain_set_hole(c, e.number + 1, "journal-damaged");
		j->damaged++;
		return 1;
	}
	rc = hand_on(c, e.number + 1, cut ? RECORD_CUT : 0, buf_slice(&j->text), h);
	if (j->text.n > 0) {
		explicit_bzero(j->text.p, j->text.n);
	}
	j->entries += rc == 0;
	c->read -= rc != 0; /* It comes again. */
	return rc == 0;
}

/* Memory, descriptors and rights may be there the next time; what is wrong with the
 * file itself will stay, and then the next one is read. */
static void not_opened(struct chain *c, struct journal_file *f, int rc)
{
	bool lasting = rc != UV_ENOMEM && rc != UV_EMFILE && rc != UV_ENFILE &&
		       rc != UV_EACCES && rc != UV_EIO && rc != UV_ENOENT;

	c->journal->scan_wanted = c->journal->scan_wanted || rc == UV_ENOENT;
	if (c->failures++ == 0 && rc != UV_ENOENT) {
		log_warn("cannot read a journal file", "path=%s error=\"%s\" again=%s",
			 f->path, err_str(rc), lasting ? "no" : "yes");
	}
	if (lasting) {
		f->error = rc;
	}
}

/* The file has another name since the folder was looked at, and another has its. */
static bool was_renamed(const struct chain *c, const struct journal_file *f)
{
	struct journal_header h;

	return journal_header_read(c->journal->sys, c->fd, &h) == 0 &&
	       memcmp(h.file_id, f->header.file_id, sizeof h.file_id) != 0;
}

static int open_next(struct chain *c)
{
	struct journal *j = c->journal;
	struct journal_file *f = next_file(c);
	int rc;

	if (f == NULL) {
		return UV_ENOENT;
	}
	/* Nothing was before a chain's first file, which gave it its id. */
	if (f->header.head > chain_at(c) &&
	    memcmp(f->header.file_id, f->header.seqnum_id, 16) != 0) {
		if (!chain_hole_is_certain(c) || !tell_left_out(c)) {
			return ERR_AGAIN;
		}
		chain_set_hole(c, f->header.head,
			 chain_any_damaged(c) ? "journal-damaged" : "journal-vacuumed");
		if (!tell_hole(c)) {
			return ERR_AGAIN;
		}
	}
	rc = journal_open(j, f->path, &c->fd, &c->reader);
	if (rc == 0 && was_renamed(c, f)) {
		chain_close_file(c);
		j->scan_wanted = true;
		return ERR_AGAIN;
	}
	if (rc == 0) {
		c->path = strdup(f->path);
		rc = c->path == NULL ? UV_ENOMEM
				     : j->calls->seek(c->reader, c->seqnum_id,
						      chain_at(c));
		c->begun = chain_at(c) > f->header.head ? chain_at(c) : f->header.head;
		c->read = c->noted = c->noted_at = 0;
		if (rc != 0) {
			chain_close_file(c);
		}
	}
	if (rc == 0) {
		c->failures = 0;
	} else {
		not_opened(c, f, rc);
	}
	return rc;
}

/* ---- damage ---- */

/* The first entry from `from` on that can be read; the reader stands there then. */
static bool try_from(struct chain *c, uint64_t from, uint64_t *number)
{
	struct journal *j = c->journal;
	struct journal_entry e;

	/* What met damage may not read anything any more. */
	j->calls->close(c->reader);
	c->reader = NULL;
	if (j->calls->open(&c->reader, c->fd) != 0) {
		c->reader = NULL;
		return false;
	}
	if (j->calls->seek(c->reader, c->seqnum_id, from) != 0 ||
	    j->calls->next(c->reader) != 1 || j->calls->entry(c->reader, &e) != 0 ||
	    e.number < from) {
		return false;
	}
	*number = e.number;
	return true;
}

static void lose_reader(struct chain *c)
{
	if (c->reader == NULL) {
		sys_close(c->journal->sys, c->fd);
		free(c->path);
		c->path = NULL;
	} else {
		chain_close_file(c);
	}
	c->holding = false;
	c->stuck_ns = 0;
}

/* Until the folder is looked at again. */
static void forget_file(struct chain *c, const struct journal_header *h)
{
	struct journal_files *fs = &c->journal->files;

	for (size_t i = 0; i < fs->n; i++) {
		if (fs->v[i].error == 0 &&
		    memcmp(fs->v[i].header.file_id, h->file_id, sizeof h->file_id) == 0) {
			fs->v[i].error = UV_EIO;
		}
	}
}

/* Looks for what can be read behind the damage at the position: further and further,
 * then back to the first. */
static void pass_damage(struct chain *c, const struct journal_header *h)
{
	uint64_t tail = h->tail, end = tail + 1;
	uint64_t bad = c->stream.position, good = 0, number = 0;
	const struct journal_file *f;

	/* Once more, from anew: a call may have failed. */
	if (try_from(c, bad, &number) && number == bad) {
		c->holding = true;
		c->stuck_ns = 0;
		return;
	}
	c->begun = 0;
	c->journal->damaged++;
	log_warn("a journal file is damaged; what can be read of it is", "path=%s at=%" PRIu64,
		 chain_file_name(c, h), bad);
	for (uint64_t step = 1;
	     good == 0 && c->reader != NULL && step <= tail - c->stream.position;
	     step *= 2) {
		if (try_from(c, c->stream.position + step, &number)) {
			good = c->stream.position + step;
		} else {
			bad = c->stream.position + step;
		}
	}
	while (good > 0 && bad + 1 < good && c->reader != NULL) {
		uint64_t middle = bad + (good - bad) / 2;

		if (try_from(c, middle, &number)) {
			good = middle;
		} else {
			bad = middle;
		}
	}
	if (good > 0 && c->reader != NULL && try_from(c, good, &number)) {
		c->holding = true;
		c->stuck_ns = 0;
		chain_set_hole(c, number, "journal-damaged");
		return;
	}
	lose_reader(c);
	/* Nothing more of this file: up to where the next one goes on. */
	for (size_t i = 0; i < c->journal->files.n; i++) {
		f = &c->journal->files.v[i];
		if (chain_has(c, f) && f->header.entries > 0 &&
		    f->header.head > c->stream.position && f->header.head < end) {
			end = f->header.head;
		}
	}
	if (end - c->stream.position < believed_loss) {
		chain_set_hole(c, end, "journal-damaged");
	} else {
		forget_file(c, h);
	}
}

/* No entry was given (broken: it can't be read).  True: go on at once. */
static bool at_end(struct chain *c, bool broken)
{
	struct journal *j = c->journal;
	struct journal_header h;
	struct sys_stat st;
	int64_t now_ns = sys_mono_ns(j->sys);
	int rc = journal_header_read(j->sys, c->fd, &h);
	const struct journal_file *next;

	if (rc == 0 && h.entries > 0 && h.tail >= chain_at(c)) {
		if (c->stuck_ns == 0) {
			c->stuck_ns = now_ns;
		}
		if (!broken && h.state == JOURNAL_ONLINE &&
		    now_ns - c->stuck_ns < STUCK_S * second_ns) {
			return false;
		}
		if (!tell_left_out(c)) {
			return false;
		}
		pass_damage(c, &h);
		return true;
	}
	c->stuck_ns = 0;
	next = next_file(c);
	if (rc != 0 || h.state == JOURNAL_ARCHIVED ||
	    (next != NULL && strcmp(next->path, c->path) != 0 &&
	     memcmp(next->header.file_id, h.file_id, 16) != 0)) {
		if (rc == 0 && !chain_note_missing(c, &h)) {
			return true;
		}
		chain_close_file(c);
		j->scan_wanted = j->scan_wanted || next == NULL;
		return tell_hole(c) && next != NULL;
	}
	if (sys_fstat(j->sys, c->fd, &st) == 0 && st.nlink == 0) {
		chain_close_file(c);
		j->scan_wanted = true;
	}
	return false;
}

bool chain_step(struct chain *c)
{
	struct journal *j = c->journal;

	if ((!c->placed && place(c) != 0) || !tell_hole(c) ||
	    (c->reader == NULL && open_next(c) != 0)) {
		return c->accounting;
	}
	for (int i = 0; i < ENTRIES_AT_ONCE; i++) {
		int rc = c->holding ? 1 : j->calls->next(c->reader);

		if (rc != 1) {
			return at_end(c, false);
		}
		c->holding = true;
		rc = take_entry(c);
		if (rc == 0) {
			return false;
		}
		c->holding = false;
		if (rc < 0) {
			return at_end(c, true);
		}
		if (!tell_hole(c)) {
			return c->accounting;
		}
	}
	return true;
}

/* ---- now and then ---- */

void chain_scanned(struct chain *c, int64_t now_ns)
{
	struct stream_state *st = &c->stream.st;
	uint64_t end = chain_end(c);

	st->seen_ns = sys_wall_ns(c->journal->sys);
	if (end >= st->size || chain_any_damaged(c)) {
		st->size = end > st->size ? end : st->size;
		c->missing_ns = 0;
	} else if (c->missing_ns == 0) {
		c->missing_ns = now_ns;
	}
}

void chain_tick(struct chain *c, int64_t now_ns)
{
	struct stream_state *st = &c->stream.st;

	if (c->hole_to == 0 && now_ns % (SKIP_TOLD_S * second_ns) < second_ns) {
		tell_left_out(c);
	}
	/* Files were there that nobody has read, and are gone with no later ones. */
	if (c->missing_ns > 0 && now_ns - c->missing_ns > MISSING_S * second_ns &&
	    c->placed && c->reader == NULL && c->hole_to == 0 &&
	    st->size > chain_at(c) && next_file(c) == NULL) {
		chain_set_hole(c, st->size, "journal-vacuumed");
		c->missing_ns = 0;
		tell_hole(c);
	}
}
