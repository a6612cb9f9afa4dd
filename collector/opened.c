#include "collector/opened.h"

#include "common/err.h"

int opened_open(struct opened *o, struct sys *sys, const char *dir,
		const struct segment_name *name,
		const struct seal_secret *secrets, size_t n_secrets)
{
	int rc;

	memset(o, 0, sizeof *o);
	rc = segment_reader_open(&o->reader, sys, dir, name);
	if (rc != 0) {
		return rc;
	}
	buf_init(&o->body, LIMIT_BATCH_DECODED);
	buf_init(&o->line, BODY_LINE_MAX);
	rc = opener_new(&o->opener, buf_slice(&o->reader.header), secrets,
			n_secrets);
	if (rc != 0) {
		segment_reader_close(&o->reader);
	}
	return rc;
}

void opened_close(struct opened *o)
{
	segment_reader_close(&o->reader);
	opener_free(o->opener);
	o->opener = NULL;
	buf_fini(&o->body);
	buf_fini(&o->line);
}

int opened_next(struct opened *o)
{
	int rc = segment_reader_next(&o->reader, &o->e);

	if (rc != 1 || o->e.kind != ENTRY_BATCH) {
		return rc;
	}
	rc = opener_open(o->opener, o->e.batch, NULL, &o->body);
	return rc == 0 ? 1 : rc;
}

void records_init(struct records *r, struct opened *o)
{
	*r = (struct records){.o = o};
	body_reader_init(&r->body, &o->e.head, buf_slice(&o->body), &o->line);
}

/* The stream of the record that body_next() gave last. */
static size_t stream_of(const struct records *r, const struct record *rec)
{
	const struct batch_head *h = &r->o->e.head;

	for (size_t i = 0; i < h->n_streams; i++) {
		if (memcmp(&h->streams[i].id, &rec->stream,
			   sizeof rec->stream) == 0) {
			return i;
		}
	}
	return 0; /* body_next() gives no others. */
}

int records_next(struct records *r, struct record *out)
{
	int rc;

	while ((rc = body_next(&r->body, out)) == 1) {
		size_t i = stream_of(r, out);
		uint64_t from =
			envelope_take_from(&r->o->e.envelope, i,
					   r->o->e.head.streams[i].start);
		bool extends;

		if (envelope_takes(from, out->start, out->end, &extends)) {
			out->flags |= extends ? RECORD_EXTENDS : 0;
			return 1;
		}
		r->skipped++;
		if (r->all) {
			return 1;
		}
	}
	return rc;
}
