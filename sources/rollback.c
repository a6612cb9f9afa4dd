/* What is done when the collector turns out to hold less than it had
 * acknowledged: W goes back, and with it the reading. */
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
