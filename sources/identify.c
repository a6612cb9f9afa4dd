/* Which stream a file belongs to.
 *
 * H over the beginning of the file is compared with every place where H of a
 * candidate stream is known: one of the same inode, or of a related name.  The
 * longest proven prefix wins.  On the same inode any match is proof; on another
 * it has to be longer than what different files are known to share: at least
 * TAIL_STRONG bytes, and more than the first line.  What the match means:
 *
 *   a remembered stream, up to where it would go on    it goes on here
 *   a remembered stream, at an earlier place only      a new stream from there, fork
 *   a stream that another file gives, rotation name    a stale copy: skipped
 *   likewise, any other name                           a separate stream, fork
 *   nothing                                            a new stream
 *
 * `fork` says that its lines may repeat another's.  Only what was proven equal
 * is ever left out.
 *
 * One prefix is hashed at a time, LIMIT_CHUNK bytes a step, with every other
 * file waiting its turn: what stands on the same inode as a remembered stream
 * comes first, since its claim is the strongest.
 */
#include <stdlib.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/log.h"
#include "sources/tail_impl.h"

/* ---- candidates ---- */

struct places {
	const struct stream_state *st;
	const struct stream_rung *marks;
	uint32_t n_marks;
	struct stream_rung top; /* where it stands */
};

typedef bool (*place_fn)(void *arg, uint64_t position, uint64_t h);

/* Calls fn for each place where H is known; stops when it returns false. */
static bool each_place(const struct places *p, place_fn fn, void *arg)
{
	uint32_t marks = p->n_marks < STREAM_MARKS ? p->n_marks : STREAM_MARKS;

	for (uint32_t i = 0; i < p->st->n_rungs; i++) {
		if (!fn(arg, p->st->rungs[i].position, p->st->rungs[i].h)) {
			return false;
		}
	}
	for (uint32_t i = 0; i < marks; i++) {
		if (!fn(arg, p->marks[i].position, p->marks[i].h)) {
			return false;
		}
	}
	return fn(arg, p->st->acked, p->st->h) &&
	       fn(arg, p->top.position, p->top.h);
}

static struct places places_of_known(const struct known *k)
{
	struct places p = {&k->st, k->marks, k->n_marks,
			   {k->st.acked, k->st.h}};

	if (k->live) {
		p.top = (struct stream_rung){k->st.position, k->h_position};
	} else if (k->st.top.position > k->st.acked) {
		p.top = k->st.top;
	}
	return p;
}

static struct places places_of_file(const struct file *f)
{
	const struct stream *s = f->s;

	return (struct places){&s->st, s->marks, s->n_marks,
			       {s->position, s->hash_at_position}};
}

static bool same_inode(const struct file *f, const struct known *k)
{
	return k->st.ino != 0 && k->st.ino == f->ino && k->st.dev == f->dev;
}

static bool relevant_known(const struct file *f, const struct known *k)
{
	return same_inode(f, k) || names_related(f->path, k->st.path);
}

static bool relevant_file(const struct file *f, const struct file *other)
{
	return other != f && other->s != NULL && other->s->has_id &&
	       names_related(f->path, other->path);
}

static bool within(void *arg, uint64_t position, uint64_t h)
{
	const struct file *f = arg;

	(void)h;
	return position == 0 || position > f->size; /* false: found one */
}

/* Whether some place of some stream can be compared with this file at all, or will
 * be when a stream that is about to go on stands in its file. */
static bool could_belong(struct file *f)
{
	struct tail *t = f->tail;

	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *other = t->files[i];

		if (other != f && other->resume != NULL &&
		    names_related(f->path, other->path)) {
			return true;
		}
	}

	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];
		struct places p = places_of_known(k);

		if (relevant_known(f, k) && !each_place(&p, within, f)) {
			return true;
		}
	}
	for (size_t i = 0; i < t->n_files; i++) {
		if (relevant_file(f, t->files[i])) {
			struct places p = places_of_file(t->files[i]);

			if (!each_place(&p, within, f)) {
				return true;
			}
		}
	}
	return false;
}

/* It bears the rotation name of a file that is being read: perhaps a copy of
 * it that is still being written. */
static bool may_be_a_copy(const struct file *f)
{
	struct tail *t = f->tail;

	for (size_t i = 0; i < t->n_files; i++) {
		const struct file *other = t->files[i];

		if (relevant_file(f, other) &&
		    names_is_rotation(f->path, other->path)) {
			return true;
		}
	}
	for (size_t i = 0; i < t->n_known; i++) {
		const struct known *k = t->known[i];

		if (k->present && k->st.path != NULL && !same_inode(f, k) &&
		    names_is_rotation(f->path, k->st.path)) {
			return true;
		}
	}
	return false;
}

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

static void job_end(struct job *j)
{
	job_clear(j);
	prefix_forget(&j->prefix);
	prefix_forget(&j->snapshot);
}

void identify_forget(struct tail *t, const struct file *f)
{
	if (t->job != NULL && t->job->file == f) {
		job_end(t->job);
	}
}

void identify_free(struct tail *t)
{
	if (t->job != NULL) {
		job_end(t->job);
		prefix_fini(&t->job->prefix);
		prefix_fini(&t->job->snapshot);
		free(t->job);
		t->job = NULL;
	}
}

struct collect {
	struct job *job;
	uint64_t size;
	uint32_t candidate;
	size_t room;
	bool count_only;
};

static bool collect_point(void *arg, uint64_t position, uint64_t h)
{
	struct collect *c = arg;

	if (position == 0 || position > c->size) {
		return true;
	}
	if (!c->count_only) {
		c->job->points[c->job->n_points] =
			(struct point){position, h, c->candidate};
	}
	c->job->n_points++;
	return true;
}

static void collect_candidate(struct collect *c, const struct places *p,
			      bool open, bool inode)
{
	struct job *j = c->job;

	c->candidate = (uint32_t)j->n_candidates;
	if (!c->count_only) {
		j->candidates[j->n_candidates] = (struct candidate){
			.id = p->st->id, .open = open, .same_inode = inode,
		};
	}
	j->n_candidates++;
	each_place(p, collect_point, c);
}

static void collect_all(struct collect *c, const struct file *f)
{
	struct tail *t = f->tail;

	c->job->n_points = 0;
	c->job->n_candidates = 0;
	for (size_t i = 0; i < t->n_known; i++) {
		struct places p = places_of_known(t->known[i]);

		if (relevant_known(f, t->known[i])) {
			collect_candidate(c, &p, false,
					  same_inode(f, t->known[i]));
		}
	}
	for (size_t i = 0; i < t->n_files; i++) {
		if (relevant_file(f, t->files[i])) {
			struct places p = places_of_file(t->files[i]);

			collect_candidate(c, &p, true, false);
		}
	}
}

static int by_position(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return x->position < y->position ? -1 : x->position > y->position;
}

static int start_proof(struct job *j, struct file *f)
{
	struct collect c = {.job = j, .size = f->size, .count_only = true};

	collect_all(&c, f);
	j->points = calloc(j->n_points + 1, sizeof j->points[0]);
	j->candidates = calloc(j->n_candidates + 1, sizeof j->candidates[0]);
	if (j->points == NULL || j->candidates == NULL) {
		job_end(j);
		return UV_ENOMEM;
	}
	c.count_only = false;
	collect_all(&c, f);
	qsort(j->points, j->n_points, sizeof j->points[0], by_position);
	return 0;
}

static void compare_points(struct job *j)
{
	uint64_t h = prefix_hash(&j->prefix);

	while (j->next_point < j->n_points &&
	       j->points[j->next_point].position == j->prefix.at) {
		const struct point *p = &j->points[j->next_point++];
		struct candidate *c = &j->candidates[p->candidate];

		if (p->h != h) {
			c->disproved = true;
		} else {
			c->matched = true;
			c->best = p->position;
			c->best_h = h;
			if (!c->open) {
				prefix_copy(&j->snapshot, &j->prefix);
				j->has_snapshot = true;
			}
		}
	}
}

/* ---- what a proof means ---- */

void identify_again(struct file *f)
{
	if (f->resume != NULL) {
		f->resume->present = false; /* The file holds something else. */
		known_put(f->tail, f->resume);
		f->resume = NULL;
	}
	f->state = FILE_NEW;
	f->from_end = false;
	f->unchecked = false;
	f->fork = false;
	f->instead = false;
	f->ready = true;
}

static void no_memory(struct file *f, int rc)
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

		if (k != but && same_inode(f, k)) {
			k->st.dev = 0;
			k->st.ino = 0;
			k->present = false;
		}
	}
}

static struct known *find_blank(const struct file *f)
{
	for (size_t i = 0; i < f->tail->n_known; i++) {
		struct known *k = f->tail->known[i];

		if (same_inode(f, k) && known_blank(k)) {
			return k;
		}
	}
	return NULL;
}

/* A stream that was just opened when the process died, on the same inode:
 * nothing proves that it goes on here, and nothing else will.  Its lines come
 * under a new stream, and it is forgotten as soon as every file at hand was looked
 * into (another may be its copy).  Returns whether there was one. */
static bool replace_blank(const struct file *f)
{
	struct known *k = find_blank(f);

	if (k != NULL) {
		k->replaced = true;
	}
	return k != NULL;
}

/* Whether a stream of a related name is blank: any file may repeat it. */
static bool near_blank(const struct file *f)
{
	for (size_t i = 0; i < f->tail->n_known; i++) {
		const struct known *k = f->tail->known[i];

		if (k->st.path != NULL && known_blank(k) &&
		    names_related(f->path, k->st.path)) {
			return true;
		}
	}
	return false;
}

static void begin_new(struct file *f, bool fork)
{
	int rc;

	fork |= replace_blank(f) || near_blank(f);
	disown(f, NULL);
	f->fork = fork;
	rc = file_new_stream(f);
	if (rc != 0) {
		f->state = FILE_NEW;
		no_memory(f, rc);
		return;
	}
	follow_begin(f);
}

static bool strong(const struct job *j, uint64_t position)
{
	return position >= TAIL_STRONG && j->prefix.first_line > 0 &&
	       position > j->prefix.first_line;
}

/* The stream's text up to f->to is hashed in p: reading begins. */
static void resumed(struct file *f, const struct prefix *p)
{
	struct known *k = f->resume;
	struct known *spare = f->reserve;
	struct stream *s;
	int rc;

	f->reserve = k != NULL ? k : spare;
	rc = file_new_stream(f);
	if (rc != 0) {
		f->reserve = spare;
		no_memory(f, rc); /* RESUMING still: the job is done again. */
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

static void fork_at(struct file *f, uint64_t from, uint64_t h)
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
	fork_at(f, from, 0);
	f->unchecked = true;
}

static void skip(struct file *f, const struct stream_id *original,
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
	f->state = FILE_SKIPPED;
	f->copy_of = *original;
	file_close(f);
}

/* The file holds a remembered stream and not one byte more. */
static void nothing_more(struct file *f, struct known *k, bool copy)
{
	if (copy) {
		k->st.finished = true;
		k->st.position = known_full(k);
	} else {
		free(k->st.path);
		k->st.path = f->path;
		f->path = NULL; /* Moved. */
		k->present = true;
	}
	/* From here on, this is where the stream is found again. */
	k->st.dev = f->dev;
	k->st.ino = f->ino;
	k->st.size = f->size;
	k->st.mtime_ns = f->mtime_ns;
	k->st.seen_ns = sys_wall_ns(f->tail->sys);
	disown(f, k);
	file_free(f);
}

static void go_on(struct file *f, struct known *k, const struct candidate *c,
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
		resumed(f, &j->snapshot);
	}
}

/* A remembered stream's copy that is too short to prove much. */
static bool weak_rest(const struct file *f, const struct job *j,
		      const struct candidate *c, const struct known *k)
{
	return c->matched && !c->open && !c->same_inode && c->best > 0 &&
	       !strong(j, c->best) && known_continues(k, c->best, f->size, !f->in_glob) &&
	       !known_done(k);
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
	bool may_repeat; /* lines of a stream that can't be proved to be another */

};

static bool rather(const struct file *f, const struct candidate *a,
		   const struct known *ka, const struct verdict *v)
{
	const struct candidate *b = v->rest;
	bool a_on, b_on;

	if (b == NULL || a->best != b->best) {
		return b == NULL || a->best > b->best;
	}
	a_on = known_continues(ka, a->best, f->size, !f->in_glob);
	b_on = known_continues(v->k, b->best, f->size, !f->in_glob);
	if (a_on != b_on) {
		return a_on;
	}
	if (a->same_inode != b->same_inode) {
		return a->same_inode;
	}
	return !known_done(ka) && known_done(v->k);
}

static struct verdict judge(const struct file *f, const struct job *j)
{
	struct tail *t = f->tail;
	struct verdict v = {0};

	for (size_t i = 0; i < j->n_candidates; i++) {
		const struct candidate *c = &j->candidates[i];
		struct known *k = c->open ? NULL : known_find(t, &c->id);

		v.may_repeat |= k != NULL && k->st.acked == 0 &&
				(!k->live || k->st.position > 0) &&
				(k->st.top.position == 0 ||
				 k->st.top.position > f->size) &&
				!known_done(k) && !k->present;
		if (!c->matched) {
			continue;
		}
		v.may_repeat |= !c->disproved;
		if (c->open || (k != NULL && k->present && !c->same_inode)) {
			if (strong(j, c->best) &&
			    (v.copy == NULL || c->best > v.copy->best)) {
				v.copy = c;
			} else if (!c->disproved) {
				v.short_copy = c;
			}
		} else if (k != NULL && (c->same_inode || strong(j, c->best) ||
					 just_copied(f, c, k))) {
			if (rather(f, c, k, &v)) {
				v.rest = c;
				v.k = k;
			}
		} else if (k != NULL && weak_rest(f, j, c, k) &&
			   (f->in_glob || k->searching) &&
			   (v.weak == NULL || c->best > v.weak->best)) {
			v.weak = c;
			v.weak_k = k;
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

/* Probably the stream's rest, but files as short may begin alike: what is not
 * acknowledged comes under a stream of its own.  When that one begins, and not
 * before, this one is over. */
static void weak_sibling(struct file *f, struct known *k)
{
	if (f->size <= k->st.acked) {
		known_give_up(k);
		file_free(f);
		return;
	}
	f->instead = true;
	f->instead_of = k->st.id;
	if (k->st.acked > 0) {
		fork_at(f, k->st.acked, k->st.h);
	} else {
		begin_new(f, true);
	}
}

/* A file found beside a stream whose rest is searched: it is that rest, or none
 * of our business; unless it came and went while nobody looked. */
static void decide_sibling(struct file *f, const struct job *j,
			   const struct verdict *v)
{
	if (v->rest != NULL && known_continues(v->k, v->rest->best, f->size, true)) {
		go_on(f, v->k, v->rest, j);
	} else if (v->weak != NULL) {
		weak_sibling(f, v->weak_k);
	} else if (f->unseen && v->rest != NULL && v->copy == NULL &&
		   v->rest->best < f->size) {
		fork_at(f, v->rest->best, v->rest->best_h);
	} else if ((f->unseen || find_blank(f) != NULL) && v->rest == NULL &&
		   v->copy == NULL && !is_known(f, j)) {
		if (unread(f->tail, f->family)) {
			search_later(f->tail, f->family, f->mtime_ns);
			file_free(f);
		} else {
			begin_new(f, true); /* No proof that it is new. */
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
	if (st == NULL || st->path == NULL || c->same_inode ||
	    !names_is_rotation(f->path, st->path) ||
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

static void decide(struct file *f, const struct job *j)
{
	struct verdict v = judge(f, j);
	bool rest_first;

	if (original_was_cut(f, v.copy) || original_was_cut(f, v.short_copy)) {
		identify_again(f);
		return;
	}
	log_debug("looked into the beginning of a log file",
		  "path=%s size=%llu sibling=%d unseen=%d rest_from=%lld "
		  "copy_to=%lld weak=%d", f->path, (unsigned long long)f->size,
		  !f->in_glob, f->unseen,
		  v.rest != NULL ? (long long)v.rest->best : -1,
		  v.copy != NULL ? (long long)v.copy->best : -1,
		  v.weak != NULL);
	rest_first = v.rest != NULL && (v.copy == NULL ||
					     v.rest->best >= v.copy->best);

	if (!f->in_glob) {
		decide_sibling(f, j, &v);
	} else if (rest_first && known_continues(v.k, v.rest->best, f->size, false)) {
		go_on(f, v.k, v.rest, j);
	} else if (rest_first && is_stale_copy(f, v.rest)) {
		skip(f, &v.rest->id, v.rest->best, v.rest->best_h);
	} else if (rest_first && !v.k->live && v.rest->best > v.k->st.acked) {
		/* What lies between was handed on, but not acknowledged. */
		fork_at(f, v.k->st.acked, v.k->st.h);
	} else if (rest_first) {
		fork_at(f, v.rest->best, v.rest->best_h);
	} else if (v.copy != NULL && is_stale_copy(f, v.copy)) {
		skip(f, &v.copy->id, v.copy->best, v.copy->best_h);
	} else if (v.weak != NULL && v.weak_k->st.acked > j->prefix.first_line &&
		   v.weak->best >= v.weak_k->st.acked) {
		f->instead = true;
		f->instead_of = v.weak_k->st.id;
		fork_at(f, v.weak_k->st.acked, v.weak_k->st.h);
	} else {
		begin_new(f, v.copy != NULL || v.weak != NULL || v.may_repeat);
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
		rc = prefix_step(&j->prefix, t->sys, f->fd,
				 j->points[j->next_point].position, t->buf,
				 LIMIT_CHUNK);
		if (rc == 0) {
			compare_points(j);
		}
	}
	if (rc == UV_EOF) {
		identify_again(f); /* It shrank under the proof. */
		job_end(j);
	} else if (rc != 0) {
		tail_trouble(t, f->path, rc,
			     "cannot read a log file, trying again");
		f->paused = true;
		job_end(j);
	} else if (j->next_point == j->n_points) {
		/* f may be gone, or the next job's, after the decision. */
		done = *j;
		j->points = NULL;
		j->candidates = NULL;
		job_clear(j);
		decide(f, &done);
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
		identify_again(f); /* Rewritten since it was proved. */
	} else {
		resumed(f, p);
	}
}

static void resume_step(struct job *j)
{
	struct file *f = j->file;
	uint64_t target = j->prefix.at < f->to ? f->to : f->check_at;
	int rc;

	if (f->from_end) {
		target = f->size;
	} else if (j->prefix.at == f->to) {
		prefix_copy(&j->snapshot, &j->prefix);
	}
	rc = prefix_step(&j->prefix, f->tail->sys, f->fd, target,
			 f->tail->buf, LIMIT_CHUNK);
	if (rc != 0 || (f->from_end && j->prefix.at >= target) ||
	    (!f->from_end && j->prefix.at == f->check_at)) {
		resume_end(j, rc);
		job_end(j);
	}
}

static void verify_step(struct job *j, struct tail *t)
{
	struct question q = t->verify[0];
	struct file *f = j->file;
	int rc = prefix_step(&j->prefix, t->sys, f->fd, q.position, t->buf,
			     LIMIT_CHUNK);

	if (rc == 0 && j->prefix.at < q.position) {
		return;
	}
	if (rc == 0) {
		rc = prefix_hash(&j->prefix) == q.h;
	}
	job_end(j);
	memmove(t->verify, t->verify + 1, --t->n_verify * sizeof q);
	if (t->cb.verified != NULL) {
		t->cb.verified(t->arg, &q.id, q.position, rc);
	}
}

/* ---- whose turn it is ---- */

static bool has_claim(const struct file *f)
{
	for (size_t i = 0; i < f->tail->n_known; i++) {
		if (same_inode(f, f->tail->known[i])) {
			return true;
		}
	}
	return false;
}

static int urgency(const struct file *f)
{
	if (f->paused) {
		return 0;
	}
	switch (f->state) {
	case FILE_RESUMING:
		return 4; /* Until then, nobody sees that its stream is taken. */
	case FILE_PROVING:
		return has_claim(f) ? 3 : f->in_glob ? 2 : 1;
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

static struct file *file_to_verify(struct tail *t)
{
	while (t->n_verify > 0) {
		struct file *f = file_of(t, &t->verify[0].id);

		if (f != NULL && f->s != NULL) {
			return f;
		}
		memmove(t->verify, t->verify + 1,
			--t->n_verify * sizeof t->verify[0]);
	}
	return NULL;
}

static bool take_up(struct tail *t)
{
	struct job *j = t->job;
	struct file *f = most_urgent(t);

	prefix_start(&j->prefix, t->secret);
	if (f == NULL) {
		f = file_to_verify(t);
		j->verify = f != NULL;
	} else if (f->state == FILE_PROVING) {
		int rc = start_proof(j, f);

		if (rc != 0) {
			no_memory(f, rc);
			return true;
		}
	}
	j->file = f;
	return f != NULL;
}

bool identify_step(struct tail *t)
{
	struct job *j = t->job;

	if (j->file == NULL && !take_up(t)) {
		return false;
	}
	if (j->file == NULL) {
		return true;
	}
	if (j->verify) {
		verify_step(j, t);
	} else if (j->file->state == FILE_PROVING) {
		prove_step(j);
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
		    (f->state == FILE_NEW && f->size > 0)) {
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
	if (at_end) {
		f->state = FILE_RESUMING;
		f->from_end = true;
	} else if (!f->in_glob) {
		f->state = FILE_PROVING;
	} else if (!could_belong(f)) {
		begin_new(f, false);
	} else if (f->polls < TAIL_SETTLE_MAX &&
		   f->idle_polls < TAIL_SETTLE_POLLS && may_be_a_copy(f)) {
		return; /* The next poll looks again. */
	} else {
		f->state = FILE_PROVING;
	}
	tail_wake(t);
}
