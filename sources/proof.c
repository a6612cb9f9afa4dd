/* Which stream a file belongs to.
 *
 * H over the beginning of the file is compared with every place where H of a
 * candidate stream is known: one of the same inode, or of a related name.  The
 * longest proven prefix wins.  On the same inode any match is proof; on another
 * it has to be longer than what different files are known to share: at least
 * TAIL_STRONG bytes, or all of the file, and more than the first line; or nothing else
 * that bears such a name may begin so (only_one()).  What the match means:
 *
 *   a remembered stream, up to where it would go on    it goes on here
 *   a remembered stream, at an earlier place only      a new stream from there, fork
 *   a stream that another file gives, rotation name    a stale copy: skipped
 *   likewise, any other name                           a separate stream, fork
 *   nothing                                            a new stream
 *
 * `fork` says that its lines may repeat another's.  Only what was proven equal
 * is ever left out.  A file that differs from every stream that may be its own repeats
 * nothing: every stream is in the table before any of it is sent, with the hash of what
 * was read of it by then.
 */
#include "common/log.h"
#include "sources/identify_impl.h"

/* More than files are known to share: or all that there is of it, beyond the first
 * line. */
static bool strong(const struct job *j, const struct candidate *c,
		   const struct file *f)
{
	return (c->best >= TAIL_STRONG || c->best == f->size) &&
	       j->prefix.first_line > 0 && c->best > j->prefix.first_line;
}

/* A remembered stream's copy that is too short to prove much: but it has all that is known
 * of the stream, which is more than a line, and no file of the stream's own is there.
 * To go on in it leaves out nothing but what is equal; a stream of its own from there
 * (tried) leaves out as much, and can't be read again from 0 for a store that lost it. */
static bool weak_rest(const struct file *f, const struct job *j,
		      const struct candidate *c, const struct known *k)
{
	return c->matched && !c->disproved && !c->open && !c->same_inode &&
	       c->best > 0 && !strong(j, c, f) && !known_done(k) &&
	       known_continues(k, c->best, f->size, !f->in_glob);
}

/* Two files begin with all that is known of k: so do others, perhaps. */
static void note_alike(const struct file *f, struct known *k)
{
	if (k->alike_ino == 0) {
		k->alike_ino = f->ino;
		k->alike_dev = f->dev;
	}
	k->shared |= k->alike_ino != f->ino || k->alike_dev != f->dev;
}

/* Another stream begins with all that is known of k, by its first line. */
static bool begins_like(const struct stream_state *st, const struct known *k)
{
	return st != &k->st && st->first.position > 0 &&
	       st->first.position == k->st.acked && st->first.h == k->st.h;
}

/* f is the only file, of those at hand, that begins with what is known of k, if that is
 * little; and it is a later state of a rotated file.  Everything else has been judged. */
static bool only_one(const struct file *f, const struct known *k)
{
	struct tail *t = f->tail;
	int64_t coarse = f->packed == CONTENT_PLAIN ? 0 : TAIL_COARSE_NS;

	if (k->shared || k->present || k->st.path == NULL ||
	    !names_is_rotation(f->path, k->st.path) ||
	    f->mtime_ns + coarse < k->st.mtime_ns) {
		return false;
	}
	for (size_t i = 0; i < t->n_known; i++) {
		if (begins_like(&t->known[i]->st, k)) {
			return false;
		}
	}
	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *other = t->files[i];

		if ((other->s != NULL && begins_like(&other->s->st, k)) ||
		    (other->resume != NULL && begins_like(&other->resume->st, k))) {
			return false;
		}
	}
	return true;
}

/* A stream whose file was cut while this process read it is looked for, and here is a
 * file with all that was ever read, not older than that: a copy made just before.  To
 * call it a fork would lose what is not acknowledged yet if it has to be read again. */
static bool just_copied(const struct file *f, const struct candidate *c,
			const struct known *k)
{
	return k->ours && c->best > 0 && c->best == known_furthest(k) &&
	       ((k->cut && f->mtime_ns >= k->good_mtime_ns) ||
		(!f->in_glob && k->searching));
}

struct verdict {
	const struct candidate *rest; /* a remembered stream's */
	struct known *k;              /* ... which is this one */
	const struct candidate *copy; /* of what another file gives */
	const struct candidate *short_copy; /* likewise, by less than is strong */
	const struct candidate *weak;
	struct known *weak_k;
	bool alike;      /* ... and that is but the first line, or a part of it */
	bool may_repeat; /* lines of a stream that can't be proved to be another */
	bool undecided;  /* there is a stream of which nothing could be compared */
	bool shorter;    /* it has all of a stream's bytes that it could have by its size */
};

/* The stream was begun inside this very file: no longer likeness to the one from whose place
 * it goes on makes another such stream. */
static bool begun_inside(const struct candidate *c, const struct known *k)
{
	return c->same_inode && k->st.start > 0 && c->best >= k->st.start;
}

static bool rather(const struct file *f, const struct candidate *a,
		   const struct known *ka, const struct verdict *v)
{
	const struct candidate *b = v->rest;
	bool a_on, b_on;

	if (b == NULL) {
		return true;
	}
	a_on = known_continues(ka, a->best, f->size, !f->in_glob);
	b_on = known_continues(v->k, b->best, f->size, !f->in_glob);
	if (a_on != b_on && begun_inside(a_on ? a : b, a_on ? ka : v->k)) {
		return a_on;
	}
	if (a->best != b->best) {
		return a->best > b->best;
	}
	if (a_on != b_on) {
		return a_on;
	}
	if (a->same_inode != b->same_inode) {
		return a->same_inode;
	}
	return !known_done(ka) && known_done(v->k);
}

static void keep_weak(struct verdict *v, const struct job *j,
		      const struct candidate *c, struct known *k)
{
	if (v->weak == NULL || c->best > v->weak->best) {
		v->weak = c;
		v->weak_k = k;
		v->alike = j->prefix.first_line == 0 ||
			   c->best <= j->prefix.first_line;
	}
}

/* Somebody may hold lines of the stream, and whether f begins like it can't be said.  Nor
 * can it where only the first line is the same: if that is all that was known of the
 * stream at the start, another file may have been taken for its own. */
static bool undecided(const struct job *j, const struct candidate *c, const struct known *k)
{
	if (k != NULL && k->st.unsent) {
		return false;
	}
	return c->disproved ? (c->matched || c->alike) && c->best <= j->prefix.first_line
			    : !c->matched;
}

/* More of the stream was read than f has, and none of f is known to differ. */
static bool is_shorter(const struct file *f, const struct candidate *c, const struct known *k)
{
	const struct file *other = c->open ? file_of(f->tail, &c->id) : NULL;
	uint64_t furthest = k != NULL ? known_furthest(k) : 0;

	if (other != NULL && other->s != NULL) {
		furthest = other->s->position;
	}
	return c->matched && !c->disproved && furthest > f->size;
}

/* The collector has more of k than was ever known here, and that is not f's, though f
 * may begin like k: the machine was put back, and f went on from there; or it is another
 * file that begins so. */
static bool other_past(const struct file *f, const struct candidate *c,
		       const struct known *k)
{
	bool alike = c->matched || c->alike;

	return c->disproved && !k->present && !known_done(k) &&
	       (f->first_seen || f->unseen) &&
	       ((k->beyond && alike) || (k->news && k->st.path == NULL));
}

static struct verdict judge(const struct file *f, const struct job *j)
{
	struct tail *t = f->tail;
	struct verdict v = {0};

	for (size_t i = 0; i < j->n_candidates; i++) {
		const struct candidate *c = &j->candidates[i];
		struct known *k = c->open ? NULL : known_find(t, &c->id);

		v.undecided |= undecided(j, c, k);
		v.shorter |= is_shorter(f, c, k);
		v.may_repeat |= k != NULL && k->st.acked == 0 &&
				!c->disproved && !k->st.unsent &&
				(!k->live || k->st.position > 0) &&
				(k->st.top.position == 0 ||
				 k->st.top.position > f->size) &&
				!known_done(k) && !k->present;
		v.may_repeat |= k != NULL && (candidate_beyond(f, k) ||
					      other_past(f, c, k));
		if (!c->matched) {
			continue;
		}
		/* Several lines are the same, even if the rest is not. */
		v.may_repeat |= !c->disproved || c->best > j->prefix.first_line;
		if (k != NULL && !c->disproved && c->best >= k->st.acked) {
			note_alike(f, k);
		}
		if (c->open || (k != NULL && k->present && !c->same_inode)) {
			if (strong(j, c, f) &&
			    (v.copy == NULL || c->best > v.copy->best)) {
				v.copy = c;
			} else if (!c->disproved) {
				v.short_copy = c;
			}
		} else if (k != NULL && (c->same_inode || strong(j, c, f) ||
					 just_copied(f, c, k))) {
			if (rather(f, c, k, &v)) {
				v.rest = c;
				v.k = k;
			}
		} else if (k != NULL && weak_rest(f, j, c, k)) {
			keep_weak(&v, j, c, k);
		}
	}
	return v;
}

/* The whole file, short as it may be, equals a whole stream. */
static bool is_known(const struct file *f, const struct job *j)
{
	for (size_t i = 0; i < j->n_candidates; i++) {
		const struct candidate *c = &j->candidates[i];

		if (c->matched && c->best > 0 && c->best == f->size) {
			return true;
		}
	}
	return false;
}

/* Of the file that bears this name nothing was handed on yet: there is nothing by
 * which a copy of it could be known. */
static bool unread(const struct tail *t, const char *path)
{
	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *f = t->files[i];

		if (f->in_glob && !f->gone && f->size > 0 &&
		    (f->s == NULL || f->s->position == 0) &&
		    strcmp(f->path, path) == 0) {
			return true;
		}
	}
	return false;
}

static bool disproved(const struct job *j, const struct file *other)
{
	for (size_t i = 0; i < j->n_candidates; i++) {
		const struct candidate *c = &j->candidates[i];

		if (c->open && c->disproved && other->s->has_id &&
		    stream_id_eq(&c->id, &other->s->st.id)) {
			return true;
		}
	}
	return false;
}

/* f may be what became of a file that is not judged yet itself. */
static bool original_waits(const struct file *f, const struct file *other)
{
	return f->packed != CONTENT_PLAIN && other->packed == CONTENT_PLAIN &&
	       (other->state == FILE_NEW || other->state == FILE_PROVING) &&
	       other->fd >= 0 && other->size > 0 && f->in_glob &&
	       f->polls < TAIL_SETTLE_MAX &&
	       names_is_rotation(f->path, other->path);
}

/* `other` is about to be read; or perhaps, in a while. */
static bool worth_waiting(const struct file *f, const struct file *other)
{
	return f->in_glob ? (other->ready && !other->paused) ||
				    f->polls < TAIL_SETTLE_MAX
			  : other->ready;
}

/* f may be a copy of an open file, most of which was not read yet: when it was, there
 * is more to tell by. */
static bool better_later(const struct file *f, const struct job *j)
{
	struct tail *t = f->tail;

	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *other = t->files[i];

		if (original_waits(f, other)) {
			return true;
		}
		if (other != f && other->state == FILE_READING &&
		    other->s->position < other->size &&
		    other->s->position < f->size &&
		    (other->full || worth_waiting(f, other)) &&
		    names_related(f->path, other->path) &&
		    (f->packed != CONTENT_PLAIN || other->packed != CONTENT_PLAIN ||
		     names_is_rotation(f->path, other->path)) &&
		    !disproved(j, other)) {
			return true;
		}
	}
	return false;
}

/* So long, and no longer, f is waited for. */
static bool may_wait(const struct file *f)
{
	struct tail *t = f->tail;
	int64_t now_ns = sys_mono_ns(t->sys), most_ns = TAIL_HALF_MS * INT64_C(1000000);
	struct half *h = &t->halves[0];

	for (size_t i = 0; i < TAIL_HALVES; i++) {
		struct half *other = &t->halves[i];

		if (other->ino == f->ino && other->dev == f->dev) {
			h = other;
			break;
		}
		h = other->last_ns < h->last_ns ? other : h;
	}
	if (h->ino != f->ino || h->dev != f->dev || now_ns - h->last_ns > most_ns) {
		*h = (struct half){f->dev, f->ino, now_ns, now_ns};
	}
	h->last_ns = now_ns;
	return now_ns - h->since_ns < most_ns;
}

/* A copy that is still being made is too short for most places to be compared, or for the
 * places that are the same to prove anything. */
static bool half_copied(const struct file *f, const struct verdict *v)
{
	return (v->undecided || v->shorter) && file_is_fresh(f, TAIL_QUIET_NS) &&
	       may_wait(f);
}

/* f has all that is known of a stream: more than a line, or it is the only such file. */
static bool weak_goes_on(const struct file *f, const struct verdict *v)
{
	if (v->weak == NULL || !v->alike) {
		return v->weak != NULL;
	}
	return v->rest == NULL && v->copy == NULL && v->short_copy == NULL &&
	       only_one(f, v->weak_k);
}

/* The stream's own file, and the collector has more of it, or something else: the machine was
 * put back, and went on in it from what was known to be stored, or earlier. */
static bool went_on(const struct file *f, const struct verdict *v)
{
	return v->rest != NULL && v->rest->same_inode &&
	       (v->k->beyond || (v->k->ahead && f->size >= v->k->st.acked)) &&
	       v->rest->best < v->k->st.acked && v->k->told.position < f->size;
}

/* What the collector has of k beyond all that was known here may be another past's, from
 * where k was last known to be stored: if the machine was put back, and read on from there
 * without it, only that much is sure to be there. */
static void fork_of_rest(struct file *f, const struct verdict *v)
{
	const struct known *k = v->k;
	bool other = k->beyond || went_on(f, v);

	if (other && k->told.position == 0) {
		outcome_new(f, true);
	} else if (other && v->rest->best > k->told.position) {
		outcome_fork(f, k->told.position, k->told.h);
	} else {
		outcome_fork(f, v->rest->best, v->rest->best_h);
	}
}

/* A file found beside a stream whose rest is searched: it is that rest, or none
 * of our business; unless it came and went while nobody looked. */
static void decide_sibling(struct file *f, const struct job *j,
			   const struct verdict *v)
{
	if (v->rest != NULL && known_continues(v->k, v->rest->best, f->size, true)) {
		outcome_go_on(f, v->k, v->rest, j);
	} else if (weak_goes_on(f, v)) {
		outcome_go_on(f, v->weak_k, v->weak, j);
	} else if (v->alike && v->rest == NULL && v->copy == NULL && !is_known(f, j)) {
		/* Perhaps the stream's rest: no line of it is left out, and the
		 * stream goes on being looked for. */
		outcome_new(f, true);
	} else if (went_on(f, v) || (f->unseen && v->rest != NULL && v->copy == NULL &&
				     v->rest->best < f->size)) {
		fork_of_rest(f, v);
	} else if ((f->unseen || outcome_blank_of(f) != NULL) && v->rest == NULL &&
		   v->copy == NULL && !is_known(f, j)) {
		if (unread(f->tail, f->family) || better_later(f, j) ||
		    half_copied(f, v)) {
			search_later(f->tail, f->family, f->mtime_ns);
			file_free(f);
		} else {
			outcome_new(f, v->may_repeat || v->undecided);
		}
	} else {
		file_free(f);
	}
}

static bool is_stale_copy(const struct file *f, const struct candidate *c)
{
	struct tail *t = f->tail;
	const struct known *k = c->open ? NULL : known_find(t, &c->id);
	const struct file *other = c->open ? file_of(t, &c->id) : NULL;
	const struct stream_state *st = k != NULL ? &k->st : NULL;
	uint64_t full = k != NULL ? known_full(k) : 0;

	if (other != NULL && other->s != NULL) {
		st = &other->s->st;
		full = other->s->position;
	}
	if (st != NULL && st->path != NULL && c->best == f->size &&
	    (f->packed != CONTENT_PLAIN || names_compressed(st->path))) {
		/* One is what became of the other, and keeps its time. */
		return true;
	}
	if (st == NULL || st->path == NULL || c->same_inode ||
	    (!names_is_rotation(f->path, st->path) &&
	     !names_is_rotated_too(f->path, st->path)) ||
	    f->mtime_ns < st->born_ns) {
		return false;
	}
	/* Wholly a prefix; or a copy of a file that gives the rest itself. */
	return c->best == f->size ||
	       ((other != NULL || k->present) && c->best == full);
}

/* f begins like an open file and is more than what was read of that one: if that one
 * was cut meanwhile, f is a copy with its rest, and has to be judged anew. */
static bool original_was_cut(const struct file *f, const struct candidate *c)
{
	struct file *other = c != NULL && c->open ? file_of(f->tail, &c->id)
						  : NULL;

	if (other == NULL || other->state != FILE_READING ||
	    c->best >= f->size) {
		return false;
	}
	follow_check(other);
	return other->state != FILE_READING;
}

/* Likewise, of a stream that no file has begun to give again: the last scan saw its own
 * file whole. */
static bool claim_was_cut(const struct file *f, const struct candidate *c)
{
	struct tail *t = f->tail;
	struct known *k = c != NULL && !c->open ? known_find(t, &c->id) : NULL;
	struct sys_stat st;

	if (k == NULL || !k->present || k->st.path == NULL || k->st.ino == 0 ||
	    sys_stat(t->sys, k->st.path, &st) != 0 || st.ino != k->st.ino ||
	    st.dev != k->st.dev || st.size >= known_furthest(k) ||
	    content_kind_of_name(k->st.path) != CONTENT_PLAIN) {
		return false;
	}
	k->present = false;
	tail_want_scan(t);
	return true;
}

/* The stream that f seems to copy is taken to be in its old file, for the inode's sake:
 * that one has not been looked into yet. */
static bool claim_is_open(const struct file *f, const struct candidate *c)
{
	const struct tail *t = f->tail;
	const struct known *k = c != NULL && !c->open ? known_find(t, &c->id)
						      : NULL;

	for (size_t i = 0; k != NULL && i < t->n_files; i++) {
		const struct file *other = t->files[i];

		if (other != f && other->fd >= 0 &&
		    (other->state == FILE_NEW || other->state == FILE_PROVING) &&
		    candidate_same_inode(other, k)) {
			return true;
		}
	}
	return false;
}

/* f bears a name that is to be read. */
static void decide_in_glob(struct file *f, const struct job *j, const struct verdict *v)
{
	bool rest_first = v->rest != NULL &&
			  (v->copy == NULL || v->rest->best >= v->copy->best);

	if (rest_first && known_continues(v->k, v->rest->best, f->size, false)) {
		outcome_go_on(f, v->k, v->rest, j);
	} else if (rest_first && is_stale_copy(f, v->rest)) {
		outcome_skip(f, &v->rest->id, v->rest->best, v->rest->best_h);
	} else if (rest_first && !v->k->live && v->rest->best > v->k->st.acked) {
		/* What lies between was handed on, but not acknowledged. */
		outcome_fork(f, v->k->st.acked, v->k->st.h);
	} else if (rest_first) {
		fork_of_rest(f, v);
	} else if (v->copy != NULL && is_stale_copy(f, v->copy)) {
		outcome_skip(f, &v->copy->id, v->copy->best, v->copy->best_h);
	} else if (weak_goes_on(f, v)) {
		outcome_go_on(f, v->weak_k, v->weak, j);
	} else {
		outcome_new(f, v->copy != NULL || v->weak != NULL || v->may_repeat);
	}
}

void proof_decide(struct file *f, const struct job *j)
{
	struct verdict v = judge(f, j);

	if (original_was_cut(f, v.copy) || original_was_cut(f, v.short_copy) ||
	    claim_was_cut(f, v.copy) || claim_was_cut(f, v.short_copy)) {
		identify_again(f);
		return;
	}
	if (f->in_glob && (better_later(f, j) || claim_is_open(f, v.copy)) &&
	    !(v.rest != NULL &&
	      known_continues(v.k, v.rest->best, f->size, false))) {
		f->state = FILE_NEW;
		f->waits = true;
		return; /* The next poll looks again. */
	}
	if (v.weak != NULL && !f->last_in_turn) {
		f->last_in_turn = true;
		return; /* PROVING still: once the others were judged. */
	}
	log_debug("looked into the beginning of a log file",
		  "path=%s size=%llu sibling=%d unseen=%d rest_from=%lld "
		  "copy_to=%lld weak=%d", f->path, (unsigned long long)f->size,
		  !f->in_glob, f->unseen,
		  v.rest != NULL ? (long long)v.rest->best : -1,
		  v.copy != NULL ? (long long)v.copy->best : -1,
		  v.weak != NULL);
	if (f->in_glob) {
		decide_in_glob(f, j, &v);
	} else {
		decide_sibling(f, j, &v);
	}
}
