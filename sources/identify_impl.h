/* identify_impl: what the parts of the identification share; nobody else includes it.
 *
 *   candidates.c  the streams that a file may be, and the places to compare
 *   proof.c       what the comparison means
 *   outcome.c     what is done about it
 *   identify.c    the hashing, a step at a time, and whose turn it is
 */
#ifndef SOURCES_IDENTIFY_IMPL_H
#define SOURCES_IDENTIFY_IMPL_H

#include "sources/tail_impl.h"

/* candidates.c */
/* The stream was last seen on f's inode. */
bool candidate_same_inode(const struct file *f, const struct known *k);
/* All that is known of k lies beyond f's end, and f may be its beginning: a machine that
 * was put back, with a collector that holds more. */
bool candidate_beyond(const struct file *f, const struct known *k);
bool candidates_beyond(const struct file *f);
/* Its own file may yet be found among the rotated ones. */
bool candidate_unsearched(const struct file *f, const struct known *k);
/* Whether that is so of one that is beyond f. */
bool candidates_unsearched(const struct file *f);
/* Whether some place of some stream can be compared with this file at all, or will
 * be when a stream that is about to go on stands in its file. */
bool candidates_any(struct file *f);
/* One of f and an open file of a related name is compressed, and the other is not: one may
 * be what became of the other, whatever can be compared now. */
bool candidates_twin(const struct file *f);
/* It bears the rotation name of a file that is being read: perhaps a copy of
 * it that is still being written. */
bool candidates_may_copy(const struct file *f);
/* Fills in j's candidates and points, ascending.  UV_ENOMEM: nothing is kept. */
int candidates_collect(struct job *j, struct file *f);
/* At each point where the prefix stands: is it the candidate's? */
void candidates_compare(struct job *j);

/* proof.c */
/* Every point was compared.  f may be gone afterwards. */
void proof_decide(struct file *f, const struct job *j);

/* outcome.c */
/* A stream of its own, from 0. */
void outcome_new(struct file *f, bool fork);
/* A stream of its own that begins at `from`, where H is h; flagged. */
void outcome_fork(struct file *f, uint64_t from, uint64_t h);
/* A copy of what `original` gives, by H(matched) == h: left alone until it changes. */
void outcome_skip(struct file *f, const struct stream_id *original,
		  uint64_t matched, uint64_t h);
/* k goes on here, or is here and has nothing more: then f is gone. */
void outcome_go_on(struct file *f, struct known *k, const struct candidate *c,
		   const struct job *j);
/* RESUMING: the text up to f->to is hashed in p, reading begins. */
void outcome_resumed(struct file *f, const struct prefix *p);
void outcome_no_memory(struct file *f, int rc);
/* A stream on f's inode of which nothing is known, or NULL. */
struct known *outcome_blank_of(const struct file *f);

/* identify.c */
void identify_job_end(struct job *j);

#endif
