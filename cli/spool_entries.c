/* spool_entries: what a folder of spool files holds, gathered. */
#include <stdlib.h>

#include "cli/spool.h"
#include "common/err.h"

struct gathering {
	struct spool_entries l;
	struct spool_entry *now; /* of this file; NULL: none yet */
};

static struct spool_entry *new_entry(struct gathering *g, const char *path,
				     uint64_t order, enum queue queue)
{
	struct spool_entry *v =
		realloc(g->l.v, (g->l.n + 1) * sizeof *g->l.v);

	if (v == NULL) {
		return NULL;
	}
	g->l.v = v;
	v[g->l.n] = (struct spool_entry){.path = strdup(path),
					 .order = order,
					 .queue = queue,
					 .first_ms = INT64_MAX,
					 .last_ms = INT64_MIN};
	return v[g->l.n].path == NULL ? NULL : &v[g->l.n++];
}

static int on_segment(void *arg, const struct spool_found *f)
{
	struct gathering *g = arg;
	struct spool_entry *e = new_entry(g, f->path, f->order, f->queue);

	g->now = e;
	if (e == NULL) {
		return UV_ENOMEM;
	}
	e->header = malloc(f->header.n);
	if (e->header == NULL) {
		return UV_ENOMEM;
	}
	memcpy(e->header, f->header.p, f->header.n);
	e->header_len = f->header.n;
	e->info = *f->info;
	e->has_segment = true;
	return 0;
}

static int note_stream(struct spool_entry *e, const struct batch_stream *s)
{
	struct spool_range *v;

	for (size_t i = 0; i < e->n_streams; i++) {
		if (memcmp(&e->streams[i].id, &s->id, sizeof s->id) == 0) {
			e->streams[i].end = s->end;
			return 0;
		}
	}
	v = realloc(e->streams, (e->n_streams + 1) * sizeof *v);
	if (v == NULL) {
		return UV_ENOMEM;
	}
	e->streams = v;
	v[e->n_streams++] = (struct spool_range){s->id, s->start, s->end};
	return 0;
}

static int on_batch(void *arg, struct spool_place place,
		    const struct batch_head *head)
{
	struct spool_entry *e = ((struct gathering *)arg)->now;
	struct spool_place *v =
		realloc(e->batches, (e->n_batches + 1) * sizeof *v);
	int rc = 0;

	if (v == NULL) {
		return UV_ENOMEM;
	}
	e->batches = v;
	v[e->n_batches++] = place;
	for (size_t i = 0; i < head->n_streams && rc == 0; i++) {
		e->records += head->streams[i].count;
		rc = note_stream(e, &head->streams[i]);
	}
	e->first_ms = head->first_ms < e->first_ms ? head->first_ms
						   : e->first_ms;
	e->last_ms = head->last_ms > e->last_ms ? head->last_ms : e->last_ms;
	return rc;
}

static int on_end(void *arg, uint64_t size, size_t n_batches)
{
	struct gathering *g = arg;

	(void)n_batches;
	g->now->size = size;
	return 0;
}

static int on_loss(void *arg, const struct spool_loss *l)
{
	struct gathering *g = arg;
	struct spool_entry *e = g->now;

	if (e == NULL || strcmp(e->path, l->path) != 0) {
		e = new_entry(g, l->path, l->order, l->queue);
	}
	if (e == NULL) {
		return UV_ENOMEM;
	}
	g->now = e;
	e->lost = true;
	e->unfinished = l->unfinished;
	e->open_end = l->open_end;
	e->lost_at = l->at;
	e->ranges = calloc(l->n_ranges == 0 ? 1 : l->n_ranges,
			   sizeof *e->ranges);
	if (e->ranges == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < l->n_ranges; i++) {
		e->ranges[i] = l->ranges[i];
	}
	e->n_ranges = l->n_ranges;
	return 0;
}

static int on_unreadable(void *arg, const char *path, int error)
{
	struct spool_entries *l = &((struct gathering *)arg)->l;
	struct spool_unreadable *v =
		realloc(l->unreadable, (l->n_unreadable + 1) * sizeof *v);

	if (v == NULL) {
		return UV_ENOMEM;
	}
	l->unreadable = v;
	v[l->n_unreadable] = (struct spool_unreadable){strdup(path), error};
	if (v[l->n_unreadable].path == NULL) {
		return UV_ENOMEM;
	}
	l->n_unreadable++;
	return 0;
}

void spool_entries_fini(struct spool_entries *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].path);
		free(l->v[i].header);
		free(l->v[i].batches);
		free(l->v[i].streams);
		free(l->v[i].ranges);
	}
	for (size_t i = 0; i < l->n_unreadable; i++) {
		free(l->unreadable[i].path);
	}
	free(l->v);
	free(l->unreadable);
}

int spool_entries_read(struct spool_entries *l, struct sys *sys, const char *dir,
		       spool_walk walk)
{
	static const struct spool_visitor visitor = {on_segment, on_batch,
						     on_end, on_loss,
						     on_unreadable};
	struct gathering g = {0};
	int rc = walk(sys, dir, &visitor, &g);

	*l = g.l;
	return rc;
}

const char *spool_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

const char *spool_entry_name(const struct spool_entry *e)
{
	return spool_path_name(e->path);
}
