#include "tests/sim/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/segment_reader.h"
#include "collector/share.h"
#include "common/err.h"
#include "wire/body.h"

struct names {
	struct segment_name list[4096];
	size_t n;
};

struct walk {
	struct sys *sys;
	struct store store;
	void (*cb)(void *arg, const struct seen_record *r);
	void *arg;
	bool lenient;
	unsigned foreign;
	char dir[STORE_PATH];
	struct buf body, line;
};

static int on_file(void *arg, const char *name, bool is_dir)
{
	struct names *names = arg;

	if (!is_dir && names->n < 4096 &&
	    segment_name_parse(&names->list[names->n], name)) {
		names->n++;
	}
	return 0;
}

static void give(struct walk *w, const struct segment_entry *e,
		 struct record *r)
{
	for (size_t i = 0; i < e->head.n_streams; i++) {
		const struct batch_stream *s = &e->head.streams[i];
		bool extends = false;

		if (memcmp(&s->id, &r->stream, sizeof s->id) == 0 &&
		    envelope_takes(envelope_take_from(&e->envelope, i,
						      s->start),
				   r->start, r->end, &extends)) {
			r->flags |= extends ? RECORD_EXTENDS : 0;
			w->cb(w->arg, &(struct seen_record){
					      r, e->envelope.arrival});
		}
	}
}

static int read_batch(struct walk *w, struct opener *o,
		      const struct segment_entry *e)
{
	struct body_reader reader;
	struct record r;
	int rc = opener_open(o, e->batch, NULL, &w->body);

	if (rc != 0) {
		return rc;
	}
	body_reader_init(&reader, &e->head, buf_slice(&w->body), &w->line);
	while ((rc = body_next(&reader, &r)) == 1) {
		give(w, e, &r);
	}
	return rc;
}

static int read_segment(struct walk *w, const struct segment_name *name)
{
	struct segment_reader reader;
	struct segment_entry e;
	struct opener *o = NULL;
	int rc = segment_reader_open(&reader, w->sys, w->dir, name);

	if (rc != 0) {
		return rc;
	}
	rc = opener_new(&o, buf_slice(&reader.header), w->store.keys,
			w->store.n_keys);
	while (rc == 0) {
		rc = segment_reader_next(&reader, &e);
		if (rc != 1) {
			break;
		}
		rc = e.kind == ENTRY_BATCH ? read_batch(w, o, &e) : 0;
	}
	opener_free(o);
	segment_reader_close(&reader);
	return rc;
}

static int on_device(void *arg, const char *name, bool is_dir)
{
	struct walk *w = arg;
	struct device d = {0};
	struct names *names;
	int rc;

	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	names = calloc(1, sizeof *names);
	snprintf(d.hex, sizeof d.hex, "%.64s", name);
	if (share_find_owner(&w->store, &d, d.owner) != 0) {
		free(names);
		return UV_ENOENT;
	}
	store_device_dir(&w->store, &d, w->dir);
	rc = sys_list(w->sys, w->dir, on_file, names);
	qsort(names->list, names->n, sizeof *names->list,
	      segment_name_compare);
	for (size_t i = 0; i < names->n && rc == 0; i++) {
		/* The last part's name stands for the whole segment. */
		if (i + 1 == names->n ||
		    memcmp(&names->list[i].id, &names->list[i + 1].id,
			   sizeof names->list[i].id) != 0) {
			rc = read_segment(w, &names->list[i]);
			if (rc == ERR_NOT_OURS) {
				w->foreign++;
				rc = 0;
			}
			rc = w->lenient ? 0 : rc;
		}
	}
	free(names);
	return rc;
}

int check_store(struct sys *sys, const char *dir, bool lenient,
		void (*cb)(void *arg, const struct seen_record *r), void *arg,
		unsigned *foreign)
{
	struct walk w = {
		.sys = sys, .cb = cb, .arg = arg, .lenient = lenient};
	char path[STORE_PATH + 16];
	char why[512];
	int rc;

	*foreign = 0;
	buf_init(&w.body, LIMIT_BATCH_DECODED + 4096);
	buf_init(&w.line, BODY_LINE_MAX);
	rc = store_open_read(&w.store, sys, dir, why);
	if (rc != 0) {
		if (!lenient) {
			fprintf(stderr, "cannot open the store: %s\n", why);
		}
		return rc;
	}
	snprintf(path, sizeof path, "%s/devices", dir);
	rc = sys_list(sys, path, on_device, &w);
	buf_fini(&w.body);
	buf_fini(&w.line);
	store_fini(&w.store, true);
	*foreign = w.foreign;
	return rc;
}
