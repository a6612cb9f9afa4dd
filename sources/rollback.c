/* What is done when what was handed on is not, or not any more, where it was to go: it is
 * read again.  When the collector holds less than it had acknowledged, W goes back as
 * well; when it holds other bytes, the file is read as another stream. */
#include <assert.h>

#include "common/err.h"
#include "sources/tail_impl.h"

int stream_state_lower(struct stream_state *st, uint64_t position,
		       const uint64_t *h)
{
	struct stream_rung to;
	uint32_t n = st->n_rungs;

	if (position < st->start) {
		position = st->start; /* Nothing below is of this stream. */
		h = NULL;
	}
	if (position >= st->acked) {
		return 0;
	}
	while (n > 0 && st->rungs[n - 1].position > position) {
		n--;
	}
	to = (struct stream_rung){position, h != NULL ? *h : 0};
	if (h == NULL || (n > 0 && st->rungs[n - 1].position == to.position)) {
		/* Not above what was asked for, and known. */
		if (n > 0) {
			to = st->rungs[n - 1];
		} else if (st->start > 0) {
			return UV_ENOENT;
		} else {
			to = (struct stream_rung){0, 0};
		}
	}
	if (st->top.position < st->acked) {
		/* Still a place by which the file is recognised. */
		st->top = (struct stream_rung){st->acked, st->h};
	}
	while (n > 0 && st->rungs[n - 1].position >= to.position) {
		n--;
	}
	st->n_rungs = n;
	st->acked = to.position;
	st->h = to.h;
	return 0;
}

static void rewind_known(struct tail *t, struct known *k)
{
	if (k->live && k->st.acked < k->st.position) {
		k->live = false;
		k->searches = 0;
		k->wait_polls = 0;
		k->st.gap_told = false;
		tail_want_scan(t);
	}
}

static void rewind_file(struct tail *t, struct file *f)
{
	const struct stream_state *st = &f->s->st;
	struct stream_id id = st->id;
	uint64_t to = st->acked < st->detect ? st->acked : st->detect;
	struct known *k;

	if (f->s->position == (to > st->start ? to : st->start)) {
		/* It stands there. */
		f->full = false;
		f->ready = true;
		tail_wake(t);
		return;
	}
	file_park(f, TAIL_EVICTED);
	k = known_find(t, &id);
	k->live = false;
	known_take(t, k);
	identify_resume(f, k);
}

int tail_rewind(struct tail *t, const struct stream_id *id)
{
	struct file *f = file_of(t, id);
	struct known *k = known_find(t, id);

	if (f != NULL) {
		if (f->s != NULL) {
			rewind_file(t, f);
		} else {
			f->resume->live = false;
			identify_forget(t, f);
			identify_resume(f, f->resume);
		}
		return 0;
	}
	if (k == NULL) {
		return UV_ENOENT;
	}
	rewind_known(t, k);
	return 0;
}

void tail_rewind_all(struct tail *t)
{
	for (size_t i = 0; i < t->n_files; i++) {
		struct file *f = t->files[i];

		if (f->s != NULL && f->s->has_id) {
			rewind_file(t, f);
		} else if (f->resume != NULL) {
			f->resume->live = false;
			identify_forget(t, f);
			identify_resume(f, f->resume);
		}
	}
	for (size_t i = 0; i < t->n_known; i++) {
		rewind_known(t, t->known[i]);
	}
}

int tail_fork(struct tail *t, const struct stream_id *id, uint64_t from)
{
	struct file *f = file_of(t, id);
	struct known *k = f != NULL ? f->resume : known_find(t, id);

	if (k != NULL) {
		/* Not open: by nothing that is known of it may it be continued. */
		known_blank_out(k);
		if (f != NULL) {
			identify_forget(t, f);
			identify_again(f);
		}
		tail_want_scan(t);
		return 0;
	}
	if (f == NULL) {
		return UV_ENOENT;
	}
	assert(from <= f->s->position);
	file_park(f, TAIL_FORKED);
	identify_fork(f, from);
	return 0;
}

static void look_again(struct tail *t, struct known *k)
{
	k->live = false;
	k->searches = 0;
	k->wait_polls = 0;
	k->st.gap_told = false;
	tail_want_scan(t);
}

int tail_rollback(struct tail *t, const struct stream_id *id,
		  uint64_t position, const uint64_t *h)
{
	struct file *f = file_of(t, id);
	struct known *k = f != NULL ? f->resume : known_find(t, id);
	struct stream_state *st = f != NULL && f->s != NULL ? &f->s->st
				  : k != NULL		    ? &k->st
							    : NULL;
	int rc;

	if (st == NULL) {
		return UV_ENOENT;
	}
	rc = stream_state_lower(st, position, h);
	if (rc != 0) {
		return rc;
	}
	if (f == NULL) {
		/* Even if W stays: what was told of its rest may be lost too. */
		look_again(t, k);
		return 0;
	}
	return tail_rewind(t, id);
}
