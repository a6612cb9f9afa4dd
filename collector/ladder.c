#include <stdlib.h>

#include "collector/collector.h"
#include "common/err.h"

enum { LADDER_READ_MAX = 8 * 1024 * 1024 };

/* Keeps the latest LADDER_RUNGS, oldest first. */
static void push(struct rung *rungs, size_t *n, uint64_t position, uint64_t h)
{
	if (*n > 0 && rungs[*n - 1].position >= position) {
		return;
	}
	if (*n == LADDER_RUNGS) {
		memmove(&rungs[0], &rungs[1],
			(LADDER_RUNGS - 1) * sizeof *rungs);
		(*n)--;
	}
	rungs[(*n)++] = (struct rung){position, h};
}

static int read_segment(struct store *s, const struct segment *g,
			const struct stream_id *id, struct rung *rungs,
			size_t *n)
{
	struct segment_entry *e = malloc(sizeof *e);
	struct segment_reader *r = malloc(sizeof *r);
	char dir[STORE_PATH];
	int rc = e == NULL || r == NULL ? UV_ENOMEM : 0;

	store_device_dir(s, g->device, dir);
	if (rc == 0) {
		rc = segment_reader_open(r, s->sys, dir, &g->name);
	}
	if (rc != 0) {
		free(r);
		free(e);
		return rc;
	}
	while (segment_reader_next(r, e) == 1) {
		for (size_t i = 0;
		     e->kind == ENTRY_BATCH && i < e->head.n_streams; i++) {
			const struct batch_stream *b = &e->head.streams[i];

			if (memcmp(&b->id, id, sizeof *id) == 0) {
				push(rungs, n, b->end, b->h);
			}
		}
	}
	segment_reader_close(r);
	free(r);
	free(e);
	return 0;
}

int ladder_collect(struct store *s, struct device *d,
		   const struct stream_id *id,
		   struct rung rungs[static LADDER_RUNGS], size_t *n)
{
	const struct segment *v[DEVICE_SEGMENTS_KEPT];
	size_t n_v = 0;
	uint64_t bytes = 0;
	int rc = 0;

	/* The list is latest first; the ladder is built oldest first. */
	for (struct segment *g = d->segments;
	     g != NULL && n_v < DEVICE_SEGMENTS_KEPT &&
	     bytes + g->bytes <= LADDER_READ_MAX;
	     g = g->next) {
		bytes += g->bytes;
		v[n_v++] = g;
	}
	*n = 0;
	while (n_v > 0 && rc == 0) {
		rc = read_segment(s, v[--n_v], id, rungs, n);
		if (rc == UV_ENOENT) {
			rc = 0; /* No batch of it has come yet. */
		}
	}
	for (size_t i = 0; i < *n / 2; i++) {
		struct rung t = rungs[i];

		rungs[i] = rungs[*n - 1 - i];
		rungs[*n - 1 - i] = t;
	}
	return rc;
}
