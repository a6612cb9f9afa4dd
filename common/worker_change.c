/* The messages by which a worker's table changes (common/worker.h). */
#include "common/err.h"
#include "common/reader.h"
#include "common/worker.h"

static int add_blob(struct buf *out, struct slice s)
{
	int rc = buf_add_varint(out, s.n);

	return rc != 0 ? rc : buf_add_slice(out, s);
}

int worker_change_encode(struct buf *out, const struct worker_change *c)
{
	int rc = buf_add_u8(out, c->type);

	rc = rc != 0 ? rc : buf_add_u32(out, c->number);
	if (c->type == WORKER_JUDGED) {
		rc = rc != 0 ? rc : add_blob(out, slice_head(c->text, WORKER_TEXT_MAX));
	} else if (c->type == WORKER_PROPOSE) {
		rc = rc != 0 ? rc : add_blob(out, c->more);
		rc = rc != 0 ? rc : add_blob(out, c->table);
	}
	return rc;
}

int worker_change_decode(struct worker_change *c, struct slice message)
{
	struct reader r = reader(message);

	*c = (struct worker_change){.type = reader_u8(&r), .number = reader_u32(&r)};
	switch (c->type) {
	case WORKER_JUDGED:
		c->text = reader_blob(&r, WORKER_TEXT_MAX);
		break;
	case WORKER_PROPOSE:
		c->more = reader_blob(&r, WORKER_MESSAGE_MAX);
		c->table = reader_blob(&r, WORKER_MESSAGE_MAX);
		break;
	case WORKER_TAKE:
		break;
	default:
		return ERR_MALFORMED;
	}
	return reader_done(&r) ? 0 : ERR_MALFORMED;
}
