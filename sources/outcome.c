/* What is done about a file when it was found out what it is. */
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/identify_impl.h"

void identify_again(struct file *f)
{
	if (f->resume != NULL) {
		f->resume->present = false; /* The file holds something else. */
		f->resume->cut = f->resume->ours;
		known_put(f->tail, f->resume);
		f->resume = NULL;
	}
	f->state = FILE_NEW;
	f->from_end = false;
	f->unchecked = false;
	f->fork = false;
	f->ready = true;
}

void outcome_no_memory(struct file *f, int rc)
{
	tail_trouble(f->tail, f->path, rc,
		     "cannot begin to read a log file, trying again");
	f->paused = true;
	f->ready = true;
}

/* The inode of f holds f's bytes, and no other stream's any more. */
static void disown(const struct file *f, const struct known *but)
{
	for (size_t i = 0; i < f->tail->n_known; i++) {
		struct known *k = f->tail->known[i];

		if (k != but && candidate_same_inode(f, k)) {
			known_place(f->tail, k, 0, 0);
			k->present = false;
		}
	}
}

struct known *outcome_blank_of(const struct file *f)
{
	for (size_t i = 0; i < f->tail->n_known; i++) {
		struct known *k = f->tail->known[i];

		if (candidate_same_inode(f, k) && known_blank(k)) {
			return k;
		}
	}
	return NULL;
}

/* A stream that was just opened when the process died, on the same inode:
 * nothing proves that it goes on here, and nothing else will.  Its lines come
 * under a new stream, and it is forgotten as soon as every file at hand was looked
 * into (another may be its copy).  Returns whether there was one of which somebody may
 * hold something. */
static bool replace_blank(const struct file *f)
{
	struct known *k = outcome_blank_of(f);

	if (k != NULL) {
		k->replaced = true;
	}
	return k != NULL && !k->st.unsent;
}

/* Whether a stream of a related name is blank: any file may repeat it. */
static bool near_blank(const struct file *f)
{
	for (size_t i = 0; i < f->tail->n_known; i++) {
		const struct known *k = f->tail->known[i];

		if (k->st.path != NULL && known_blank(k) && !k->st.unsent &&
		    names_related(f->path, k->st.path)) {
			return true;
		}
	}
	return false;
}

void outcome_new(struct file *f, bool fork)
{
	int rc;

	fork |= replace_blank(f) || near_blank(f) ||
		(f->tail->alone && (f->first_seen || f->unseen)) ||
		forget_was(f->tail, f->dev, f->ino);
	disown(f, NULL);
	f->fork = fork;
	rc = file_new_stream(f);
	if (rc != 0) {
		f->state = FILE_NEW;
		outcome_no_memory(f, rc);
		return;
	}
	follow_begin(f);
}

/* The stream's text up to f->to is hashed in p: reading begins. */
void outcome_resumed(struct file *f, const struct prefix *p)
{
	struct known *k = f->resume;
	struct known *spare = f->reserve;
	struct stream *s;
	int rc;

	f->reserve = k != NULL ? k : spare;
	rc = file_new_stream(f);
	if (rc != 0) {
		f->reserve = spare;
		outcome_no_memory(f, rc); /* RESUMING still: the job is done again. */
		return;
	}
	s = f->s;
	stream_resume_at(s, p->at, p->line_start, p->hash,
			 slice(p->last, p->n_last));
	if (k != NULL) {
		char *path = s->st.path;

		free(k->st.path);
		s->st = k->st;
		k->st.path = NULL;
		s->st.path = path;
		s->st.dev = f->dev;
		s->st.ino = f->ino;
		s->st.finished = false;
		s->st.gap_told = false;
		s->has_id = true;
		if (k->n_marks > 0) {
			memcpy(s->marks, k->marks, sizeof s->marks);
			s->n_marks = k->n_marks;
		}
		f->resume = NULL;
		known_free(spare);
	} else {
		s->st.start = p->at;
		s->st.acked = p->at;
		s->st.h = s->hash_at_position;
	}
	follow_begin(f);
}

void identify_resume(struct file *f, struct known *k)
{
	uint64_t to = k->st.acked < k->st.detect ? k->st.acked : k->st.detect;

	disown(f, NULL);
	k->searching = false;
	f->resume = k;
	f->state = FILE_RESUMING;
	f->unchecked = false;
	f->from_end = false;
	if (k->live) {
		f->to = f->check_at = k->st.position;
		f->check_h = k->h_position;
	} else {
		to = to < k->st.start ? k->st.start : to;
		f->to = to < k->st.acked ? to : k->st.acked;
		f->check_at = k->st.acked;
		f->check_h = k->st.h;
		if (k->st.top.position > k->st.acked &&
		    k->st.top.position <= f->size) {
			f->check_at = k->st.top.position;
			f->check_h = k->st.top.h;
		}
	}
	tail_wake(f->tail);
}

void outcome_fork(struct file *f, uint64_t from, uint64_t h)
{
	disown(f, NULL);
	f->state = FILE_RESUMING;
	f->fork = true;
	f->to = f->check_at = from;
	f->check_h = h;
	f->unchecked = false;
	tail_wake(f->tail);
}

void identify_fork(struct file *f, uint64_t from)
{
	outcome_fork(f, from, 0);
	f->unchecked = true;
}

void outcome_skip(struct file *f, const struct stream_id *original,
		 uint64_t matched, uint64_t h)
{
	struct file *other = file_of(f->tail, original);

	log_info("a log file is a copy of one that is read, skipping it",
		 "path=%s size=%llu", f->path, (unsigned long long)f->size);
	if (other != NULL && other->s != NULL) {
		/* So that a restart knows it for a copy as well. */
		stream_state_add_rung(&other->s->st, matched, h);
	}
	disown(f, NULL);
	f->copy_of = *original;
	file_skip(f);
}

/* The file holds a remembered stream and not one byte more. */
static void nothing_more(struct file *f, struct known *k, bool copy)
{
	if (copy) {
		k->st.finished = true;
		k->st.position = known_full(k);
	} else {
		/* By the name that is read: its rest may be looked for once more. */
		char **name = f->family != NULL ? &f->family : &f->path;

		free(k->st.path);
		k->st.path = *name;
		*name = NULL; /* Moved. */
		k->present = true;
		k->seen_scan = f->tail->n_scans;
		forget_class(f->tail, k);
	}
	if (!copy && !f->in_glob) {
		/* It is away, at the latest since it was written last; it may still grow, and
		 * is looked at ever less often. */
		k->st.away_ns = f->mtime_ns;
		k->searches++;
		k->wait_polls = 1u << (k->searches < 10 ? k->searches : 10);
	}
	/* From here on, this is where the stream is found again. */
	known_place(f->tail, k, f->dev, f->ino);
	k->st.size = file_disk_size(f);
	k->st.mtime_ns = f->mtime_ns;
	k->st.seen_ns = f->tail->clock_wall_ns;
	disown(f, k);
	file_free(f);
}

void outcome_go_on(struct file *f, struct known *k, const struct candidate *c,
		  const struct job *j)
{
	bool copy = !f->in_glob && !c->same_inode;

	if (f->size == known_full(k) &&
	    (copy || known_done(k) || (k->live && !k->st.finished))) {
		nothing_more(f, k, copy);
		return;
	}
	known_take(f->tail, k);
	identify_resume(f, k);
	if (j->has_snapshot && j->snapshot.at == f->to &&
	    f->to == f->check_at) {
		outcome_resumed(f, &j->snapshot);
	}
}
