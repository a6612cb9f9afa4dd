/* The streams that a file may be: those that had its inode or bear a related name, and
 * every place where H of theirs is known. */
#include <stdlib.h>

#include "common/err.h"
#include "sources/identify_impl.h"

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
	/* What was handed on once is the stream's, also when it is read again. */
	return fn(arg, p->st->acked, p->st->h) &&
	       fn(arg, p->st->top.position, p->st->top.h) &&
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

bool candidate_same_inode(const struct file *f, const struct known *k)
{
	return k->st.ino != 0 && k->st.ino == f->ino && k->st.dev == f->dev;
}

static bool relevant_known(const struct file *f, const struct known *k)
{
	return candidate_same_inode(f, k) || names_related(f->path, k->st.path);
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
bool candidates_any(struct file *f)
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

bool candidates_twin(const struct file *f)
{
	for (size_t i = 0; i < f->tail->n_files; i++) {
		const struct file *other = f->tail->files[i];

		if (other != f && other->size > 0 &&
		    (f->packed != CONTENT_PLAIN) != (other->packed != CONTENT_PLAIN) &&
		    names_related(f->path, other->path)) {
			return true;
		}
	}
	return false;
}

bool candidate_beyond(const struct file *f, const struct known *k)
{
	struct places p = places_of_known(k);
	struct file of_size = {.size = f->size};

	/* (An inode proves nothing here: another file has it soon.) */
	return (k->st.path == NULL ||
		(k->beyond && names_related(f->path, k->st.path))) &&
	       f->first_seen && k->st.acked > f->size &&
	       !k->present && !known_done(k) &&
	       each_place(&p, within, &of_size);
}

bool candidate_unsearched(const struct file *f, const struct known *k)
{
	return k->st.path != NULL && k->searches == 0 &&
	       f->polls < TAIL_SETTLE_MAX;
}

bool candidates_unsearched(const struct file *f)
{
	for (size_t i = 0; i < f->tail->n_known; i++) {
		const struct known *k = f->tail->known[i];

		if (candidate_beyond(f, k) && candidate_unsearched(f, k)) {
			return true;
		}
	}
	return false;
}

bool candidates_beyond(const struct file *f)
{
	for (size_t i = 0; i < f->tail->n_known; i++) {
		if (candidate_beyond(f, f->tail->known[i])) {
			return true;
		}
	}
	return false;
}

/* It bears the rotation name of a file that is being read: perhaps a copy of
 * it that is still being written. */
bool candidates_may_copy(const struct file *f)
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

		if (k->present && k->st.path != NULL && !candidate_same_inode(f, k) &&
		    names_is_rotation(f->path, k->st.path)) {
			return true;
		}
	}
	return false;
}

struct collect {
	struct job *job;
	uint64_t size;
	uint32_t candidate;
	bool first, beyond;
	bool count_only;
};

static bool collect_point(void *arg, uint64_t position, uint64_t h)
{
	struct collect *c = arg;

	if (position == 0 || position > c->size) {
		return true;
	}
	if (!c->count_only) {
		c->job->points[c->job->n_points] = (struct point){
			position, h, c->candidate, c->first, c->beyond};
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
	c->first = true;
	c->beyond = p->st->first.position > c->size;
	collect_point(c, c->beyond ? c->size : p->st->first.position,
		      p->st->first.h);
	c->first = c->beyond = false;
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
					  candidate_same_inode(f, t->known[i]));
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

int candidates_collect(struct job *j, struct file *f)
{
	struct collect c = {.job = j, .size = f->size, .count_only = true};

	collect_all(&c, f);
	j->points = calloc(j->n_points + 1, sizeof j->points[0]);
	j->candidates = calloc(j->n_candidates + 1, sizeof j->candidates[0]);
	if (j->points == NULL || j->candidates == NULL) {
		identify_job_end(j);
		return UV_ENOMEM;
	}
	c.count_only = false;
	collect_all(&c, f);
	qsort(j->points, j->n_points, sizeof j->points[0], by_position);
	return 0;
}

/* Two places of one stream may contradict each other: when two clones of a machine went
 * on with it, the collector's word is of the other one's bytes.  Nobody's place above
 * the first one that is wrong counts then. */
void candidates_compare(struct job *j)
{
	uint64_t h = prefix_hash(&j->prefix);

	while (j->next_point < j->n_points &&
	       j->points[j->next_point].position == j->prefix.at) {
		const struct point *p = &j->points[j->next_point++];
		struct candidate *c = &j->candidates[p->candidate];

		if (p->beyond) {
			/* A whole line is shorter. */
			c->disproved |= j->prefix.first_line > 0;
		} else if (p->h != h) {
			c->disproved = true;
		} else if (p->first) {
			c->alike = true;
		} else if (!c->disproved) {
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
