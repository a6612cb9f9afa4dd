/* verify_segment: one stored segment, read to its end. */
#include <stdlib.h>

#include "collector/verify_priv.h"
#include "common/err.h"

static int add_hash(struct verify_chain *c, struct hash32 hash)
{
	if (c->n == c->room) {
		size_t room = c->room * 2 + 16;
		struct hash32 *p = realloc(c->v, room * sizeof *p);

		if (p == NULL) {
			return UV_ENOMEM;
		}
		c->v = p;
		c->room = room;
	}
	c->v[c->n++] = hash;
	return 0;
}

static int add_taken(struct verify *v, size_t segment,
		     const struct segment_entry *e)
{
	for (size_t i = 0; i < e->head.n_streams; i++) {
		const struct batch_stream *b = &e->head.streams[i];

		if (v->n_taken == v->room_taken) {
			size_t room = v->room_taken * 2 + 256;
			struct verify_taken *p =
				realloc(v->taken, room * sizeof *p);

			if (p == NULL) {
				return UV_ENOMEM;
			}
			v->taken = p;
			v->room_taken = room;
		}
		v->taken[v->n_taken++] = (struct verify_taken){
			e->envelope.arrival, segment, b->id,
			envelope_take_from(&e->envelope, i, b->start), b->end};
	}
	return 0;
}

int verify_keep_head(struct signed_head *last, const struct head *h,
		     struct slice bytes)
{
	if (last->bytes == NULL) {
		last->bytes = malloc(bytes.n + 1);
		if (last->bytes == NULL) {
			return UV_ENOMEM;
		}
	}
	/* Heads of one segment come in order: the last one counts. */
	last->head = *h;
	return 0;
}

void verify_head(struct verify *v, size_t i, const struct head *h, const char *file,
		 uint64_t offset)
{
	const struct verify_chain *c = &v->chains[i];

	v->totals->heads++;
	if (h->index + 1 < (int64_t)c->n &&
	    !hash32_eq(&c->v[h->index + 1], &h->hash)) {
		verify_tell(v, VERIFY_REWRITTEN, file, offset,
			    "the device signed another content of batch %lld",
			    (long long)h->index);
	}
}

static int take_head(struct verify *v, size_t i, const char *file)
{
	const struct segment_entry *e = &v->o->e;
	struct head h;
	int rc;

	if (v->device->spki.p == NULL) {
		return 0; /* Said once, for the device. */
	}
	rc = head_verify(&h, e->signed_head, v->device->spki);
	if (rc != 0) {
		verify_tell(v, VERIFY_REWRITTEN, file, e->offset,
			    "a signed head does not verify (%s)", err_str(rc));
		return 0;
	}
	verify_head(v, i, &h, file, e->offset);
	return verify_keep_head(&v->last[i], &h, e->signed_head);
}

static int take_batch(struct verify *v, size_t i, const char *file)
{
	const struct segment_entry *e = &v->o->e;
	struct records records;
	struct record r;
	int rc;

	records_init(&records, v->o);
	while ((rc = records_next(&records, &r)) == 1) {
		v->totals->records++;
	}
	if (rc != 0) {
		verify_tell(v, VERIFY_REWRITTEN, file, e->offset,
			    "batch %u is not what its header says (%s)",
			    e->head.index, err_str(rc));
	}
	v->totals->batches++;
	rc = add_taken(v, i, e);
	return rc != 0 ? rc : add_hash(&v->chains[i], e->head.hash);
}

static void tell_trouble(struct verify *v, size_t i, const char *file, int rc)
{
	const struct segment_reader *r = &v->o->reader;
	uint64_t offset = rc == ERR_AUTH || rc == ERR_COMPRESS
				  ? v->o->e.offset
				  : r->entries.offset;
	bool at_end = r->name.part == r->last_part;

	(void)i;
	if (rc == ERR_AUTH || rc == ERR_COMPRESS) {
		verify_tell(v, VERIFY_REWRITTEN, file, offset,
			    "batch %u does not open: %s", v->o->e.head.index,
			    err_str(rc));
	} else if (rc == ERR_CHAIN) {
		verify_tell(v, VERIFY_REWRITTEN, file, offset, "%s", err_str(rc));
	} else if (rc == ERR_TRUNCATED && at_end) {
		verify_tell(v, VERIFY_NOTE, file, offset,
			    "ends in the middle of an entry: being written, or left by "
			    "a crash");
	} else {
		verify_tell(v, VERIFY_DAMAGED, file, offset,
			    "%s; nothing behind it in this segment can be read",
			    err_str(rc));
	}
}

/* Without the key: structure and chain at least. */
static int follow_segment(struct verify *v, size_t i, const char *file)
{
	struct segment_reader *r = &v->o->reader;
	int rc = segment_reader_open(r, v->s->sys, v->dir, &v->list.v[i]);

	if (rc != 0) {
		return 0;
	}
	rc = add_hash(&v->chains[i], segment_reader_hash(r));
	while (rc == 0 && (rc = segment_reader_next(r, &v->o->e)) == 1) {
		rc = 0;
		if (v->o->e.kind == ENTRY_BATCH) {
			v->totals->batches++;
			rc = add_taken(v, i, &v->o->e);
			if (rc == 0) {
				rc = add_hash(&v->chains[i],
					      v->o->e.head.hash);
			}
		}
	}
	if (rc < 0 && rc != UV_ENOMEM) {
		tell_trouble(v, i, file, rc);
		rc = 0;
	}
	segment_reader_close(r);
	return rc;
}

static int cannot_open(struct verify *v, size_t i, const char *file, int rc)
{
	switch (rc) {
	case UV_ENOMEM:
		return rc;
	case ERR_NOT_OURS:
		verify_tell(v, VERIFY_SEALED, file, 0,
			    "is sealed to keys that this store does not have");
		return follow_segment(v, i, file);
	case ERR_TRUNCATED:
		verify_tell(v, VERIFY_NOTE, file, 0,
			    "has no whole head yet: being written, or left by a "
			    "crash");
		return 0;
	case ERR_AUTH:
		verify_tell(v, VERIFY_REWRITTEN, file, 0,
			    "its key does not unwrap: the header was changed");
		return follow_segment(v, i, file);
	default:
		verify_tell(v, VERIFY_DAMAGED, file, 0, "its head can't be read (%s)",
			    err_str(rc));
		return 0;
	}
}

int verify_segment(struct verify *v, size_t i)
{
	struct opened *o = v->o;
	char file[SEGMENT_NAME];
	int rc = opened_open(o, v->s->sys, v->dir, &v->list.v[i], v->s->keys,
			     v->s->n_keys);

	segment_name_format(file, &v->list.v[i]);
	v->totals->segments++;
	if (rc != 0) {
		return cannot_open(v, i, file, rc);
	}
	if (memcmp(o->reader.store_id, v->s->id, STORE_ID) != 0) {
		verify_tell(v, VERIFY_REWRITTEN, file, 0,
			    "was written by another store");
	}
	if (!hash32_eq(&o->reader.device, &v->device->id)) {
		verify_tell(v, VERIFY_REWRITTEN, file, 0,
			    "belongs to another device's folder");
	}
	rc = add_hash(&v->chains[i], segment_reader_hash(&o->reader));
	while (rc == 0 && (rc = opened_next(o)) == 1) {
		segment_name_format(file, &o->reader.name);
		rc = o->e.kind == ENTRY_BATCH ? take_batch(v, i, file)
					      : take_head(v, i, file);
	}
	v->totals->bytes += o->reader.entries.offset;
	if (rc < 0 && rc != UV_ENOMEM) {
		segment_name_format(file, &o->reader.name);
		tell_trouble(v, i, file, rc);
		rc = 0;
	}
	opened_close(o);
	return rc;
}
