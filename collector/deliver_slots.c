/* deliver_slots: the segments that the delivering job is reading on, on a worker. */
#include "collector/deliver_priv.h"
#include "common/err.h"

void deliver_close_slot(struct slot *s)
{
	if (s->open) {
		opened_close(&s->o);
		s->open = false;
	}
}

static bool is_before(const struct slot *s, const struct note *n)
{
	const struct segment_reader *r = &s->o.reader;

	return r->last_part >= n->name.part &&
	       (r->name.part < n->name.part ||
		(r->name.part == n->name.part && r->fd >= 0 &&
		 r->entries.offset <= n->offset));
}

/* A slot whose next batches lead to the note's. */
static int slot_for(struct deliver *d, const struct note *n, struct slot **out)
{
	struct slot *oldest = &d->slots[0];
	char dir[STORE_PATH];
	int rc;

	for (size_t i = 0; i < d->n_slots; i++) {
		struct slot *s = &d->slots[i];

		if (s->open && s->device == n->device &&
		    memcmp(&s->o.reader.name.id, &n->name.id,
			   sizeof n->name.id) == 0) {
			oldest = s;
			break;
		}
		if (s->used < oldest->used) {
			oldest = s;
		}
	}
	*out = oldest;
	oldest->used = ++d->use;
	if (oldest->open && oldest->device == n->device &&
	    memcmp(&oldest->o.reader.name.id, &n->name.id,
		   sizeof n->name.id) == 0 &&
	    is_before(oldest, n)) {
		return 0;
	}
	deliver_close_slot(oldest);
	store_device_dir(&d->c->store, n->device, dir);
	rc = opened_open(&oldest->o, d->c->sys, dir, &n->name,
			 d->c->store.keys, d->c->store.n_keys);
	oldest->open = rc == 0;
	oldest->device = n->device;
	return rc;
}

/* Reads on until the note's batch is open.  Never beyond it: what follows may be
 * half written. */
static int advance(struct slot *s, const struct note *n)
{
	int rc;

	do {
		struct segment_reader *r = &s->o.reader;

		r->entries.limit = r->name.part == n->name.part
					   ? n->end
					   : UINT64_MAX;
		rc = opened_next(&s->o);
	} while (rc == 1 && (s->o.e.part < n->name.part ||
			     s->o.e.offset < n->offset));
	if (rc == 1 && s->o.e.offset == n->offset &&
	    s->o.e.part == n->name.part && s->o.e.kind == ENTRY_BATCH) {
		return 0;
	}
	return rc < 0 ? rc : ERR_DAMAGED;
}

/* Without this each batch behind the bad one would have all those before it read
 * and opened again, only to fail in the same place. */
static int is_spoiled(const struct deliver *d, const struct note *n)
{
	for (size_t i = 0; i < d->n_spoiled && i < SPOILED_MAX; i++) {
		const struct spoiled *x = &d->spoiled[i];

		if (x->device == n->device &&
		    memcmp(&x->id, &n->name.id, sizeof x->id) == 0) {
			return x->rc;
		}
	}
	return 0;
}

static void note_spoiled(struct deliver *d, const struct note *n, int rc)
{
	if (rc == ERR_AUTH || rc == ERR_COMPRESS || rc == ERR_NOT_OURS) {
		d->spoiled[d->n_spoiled++ % SPOILED_MAX] =
			(struct spoiled){n->device, n->name.id, rc};
	}
}

int deliver_open_note(struct deliver *d, const struct note *n, struct slot **out)
{
	struct slot *s;
	int rc = is_spoiled(d, n);

	if (rc != 0) {
		return rc;
	}
	rc = slot_for(d, n, &s);
	if (rc == 0) {
		rc = advance(s, n);
	}
	if (rc != 0) {
		note_spoiled(d, n, rc);
		deliver_close_slot(s);
		return rc;
	}
	*out = s;
	return 0;
}
