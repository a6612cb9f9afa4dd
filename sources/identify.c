/* Which stream a file belongs to: the hashing, one prefix at a time, LIMIT_CHUNK bytes a
 * step, with every other file waiting its turn.  What stands on the same inode as a
 * remembered stream comes first, since its claim is the strongest.  (The rules: proof.c) */
#include <stdlib.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/log.h"
#include "sources/identify_impl.h"

/* ---- the job ---- */

static void job_clear(struct job *j)
{
	free(j->points);
	free(j->candidates);
	j->points = NULL;
	j->candidates = NULL;
	j->n_points = 0;
	j->n_candidates = 0;
	j->next_point = 0;
	j->has_snapshot = false;
	j->file = NULL;
	j->verify = false;
}

void identify_job_end(struct job *j)
{
	job_clear(j);
	prefix_forget(&j->prefix);
	prefix_forget(&j->snapshot);
}

void identify_forget(struct tail *t, const struct file *f)
{
	if (t->job != NULL && t->job->file == f) {
		identify_job_end(t->job);
	}
}

void identify_free(struct tail *t)
{
	verify_forget_all(t);
	if (t->job != NULL) {
		identify_job_end(t->job);
		prefix_fini(&t->job->prefix);
		prefix_fini(&t->job->snapshot);
		free(t->job);
		t->job = NULL;
	}
}

/* ---- steps ---- */

static void prove_step(struct job *j)
{
	struct file *f = j->file;
	struct tail *t = f->tail;
	uint64_t until = j->prefix.at + LIMIT_CHUNK;
	struct job done;
	int rc = 0;

	while (rc == 0 && j->next_point < j->n_points && j->prefix.at < until) {
		uint64_t was = j->prefix.at;

		rc = prefix_step(&j->prefix, file_pread, f,
				 j->points[j->next_point].position, t->buf,
				 LIMIT_CHUNK);
		if (rc == 0) {
			candidates_compare(j);
		}
		if (j->prefix.at == was) {
			break; /* Decoding: the next step goes on. */
		}
	}
	if (rc == UV_EOF) {
		identify_again(f); /* It shrank under the proof. */
		identify_job_end(j);
	} else if (rc != 0) {
		tail_trouble(t, f->path, rc,
			     "cannot read a log file, trying again");
		f->paused = true;
		identify_job_end(j);
	} else if (j->next_point == j->n_points) {
		/* f may be gone, or the next job's, after the decision. */
		done = *j;
		j->points = NULL;
		j->candidates = NULL;
		job_clear(j);
		proof_decide(f, &done);
		free(done.points);
		free(done.candidates);
		explicit_bzero(&done, sizeof done);
		if (j->file == NULL) {
			prefix_forget(&j->prefix);
			prefix_forget(&j->snapshot);
		}
	}
}

static void resume_end(struct job *j, int rc)
{
	struct file *f = j->file;
	bool equal = f->unchecked || prefix_hash(&j->prefix) == f->check_h;
	struct prefix *p = j->prefix.at == f->to ? &j->prefix : &j->snapshot;

	j->file = NULL;
	if (rc == UV_EOF) {
		identify_again(f);
	} else if (rc != 0) {
		tail_trouble(f->tail, f->path, rc,
			     "cannot read a log file, trying again");
		f->paused = true;
	} else if (f->from_end) {
		f->from_end = false;
		f->unchecked = true;
		f->to = f->check_at = j->prefix.line_start;
	} else if (!equal) {
		/* Rewritten since it was proved; and should what is known
		 * contradict itself, it is asked once a poll and not for ever. */
		identify_again(f);
		f->paused = true;
	} else {
		outcome_resumed(f, p);
	}
}

static void resume_step(struct job *j)
{
	struct file *f = j->file;
	uint64_t target = j->prefix.at < f->to ? f->to : f->check_at;
	int rc;

	if (f->from_end) {
		target = f->size < f->end_at ? f->size : f->end_at;
	} else if (j->prefix.at == f->to) {
		prefix_copy(&j->snapshot, &j->prefix);
	}
	rc = prefix_step(&j->prefix, file_pread, f, target, f->tail->buf,
			 LIMIT_CHUNK);
	if (rc != 0 || (f->from_end && j->prefix.at >= target) ||
	    (!f->from_end && j->prefix.at == f->check_at)) {
		resume_end(j, rc);
		identify_job_end(j);
	}
}

/* ---- whose turn it is ---- */

static bool has_claim(const struct file *f)
{
	return known_by_inode(f->tail, f->dev, f->ino) != NULL;
}

static int urgency(const struct file *f)
{
	if (f->paused) {
		return 0;
	}
	switch (f->state) {
	case FILE_RESUMING:
		return 6; /* Until then, nobody sees that its stream is taken. */
	case FILE_PROVING: case FILE_UNPACKING:
		/* What it was made from may be there as well. */
		return f->last_in_turn		    ? 1
		       : has_claim(f)		    ? 5
		       : f->packed != CONTENT_PLAIN ? 2
		       : f->in_glob		    ? 4
						    : 3;
	default:
		return 0;
	}
}

static struct file *most_urgent(const struct tail *t)
{
	struct file *best = NULL;
	int best_urgency = 0;

	for (size_t i = 0; i < t->n_files; i++) {
		int u = urgency(t->files[i]);

		if (u > best_urgency) {
			best = t->files[i];
			best_urgency = u;
		}
	}
	return best;
}

static bool take_up(struct tail *t)
{
	struct job *j = t->job;
	struct file *f = most_urgent(t);

	prefix_start(&j->prefix, t->secret);
	/* What is held back until a question is answered must not wait for as long as
	 * somebody has files to be looked through: once overdue, it has every other turn. */
	j->asked = !j->asked && verify_overdue(t);
	if (f == NULL || j->asked) {
		return verify_take_up(t);
	}
	if (f->state == FILE_PROVING) {
		int rc = candidates_collect(j, f);

		if (rc != 0) {
			outcome_no_memory(f, rc);
			return true;
		}
	}
	j->file = f;
	return true;
}

bool identify_step(struct tail *t)
{
	struct job *j = t->job;

	if (j->file == NULL && !j->verify && !take_up(t)) {
		return false;
	}
	if (j->verify) {
		verify_step(j, t);
	} else if (j->file == NULL) {
		return true;
	} else if (j->file->state == FILE_PROVING) {
		prove_step(j);
	} else if (j->file->state == FILE_UNPACKING) {
		struct file *f = j->file;

		j->file = NULL; /* f may be gone behind it. */
		packed_step(f);
	} else {
		resume_step(j);
	}
	return true;
}

bool identify_busy(const struct tail *t)
{
	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *f = t->files[i];

		if (f->state == FILE_PROVING || f->state == FILE_RESUMING ||
		    f->state == FILE_UNPACKING ||
		    (f->state == FILE_NEW && file_disk_size(f) > 0 &&
		     !f->waits)) {
			return true;
		}
	}
	return false;
}

void identify_begin(struct file *f)
{
	struct tail *t = f->tail;
	bool at_end = f->at_start && f->in_glob &&
		      t->options->files[f->source].from == SOURCES_FROM_END;

	f->at_start = false;
	f->waits = false;
	f->last_in_turn = false;
	if (at_end) {
		f->state = FILE_RESUMING;
		f->from_end = true;
	} else if (!f->in_glob) {
		f->state = FILE_PROVING;
	} else if (candidates_unsearched(f)) {
		f->waits = true;
		return; /* The next poll looks again. */
	} else if (!candidates_any(f) && !candidates_twin(f)) {
		outcome_new(f, candidates_beyond(f));
	} else if (f->packed == CONTENT_PLAIN && f->polls < TAIL_SETTLE_MAX &&
		   f->idle_polls < TAIL_SETTLE_POLLS && candidates_may_copy(f)) {
		return; /* The next poll looks again. */
	} else {
		f->state = FILE_PROVING;
	}
	tail_wake(t);
}
