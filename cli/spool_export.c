/* nightjar spool export: sealed segments elsewhere, or opened where the keys are. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/spool.h"
#include "cli/store_dir.h"
#include "common/err.h"
#include "common/json.h"
#include "wire/body.h"

enum { AT_ONCE = 4 * 1024 * 1024 }; /* bytes that are synced together */

/* To read batches of it; the path stays the entry's.  A spool may be on a disk that
 * can't be written to. */
static int open_file(struct sys *sys, const struct spool_entry *e, struct spool_file *f)
{
	*f = (struct spool_file){.path = e->path};
	f->fd = sys_open(sys, e->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	return f->fd < 0 ? f->fd : 0;
}

/* The next batches, as many as are written at once: from *i on, in bytes. */
static int read_some(struct sys *sys, const struct spool_entry *e, struct spool_file *from,
		     size_t *i, struct buf *bytes, struct slice *batches, size_t *n)
{
	struct buf one;
	int rc = 0;

	buf_init(&one, LIMIT_FRAME);
	buf_clear(bytes);
	for (*n = 0; *i < e->n_batches && bytes->n < AT_ONCE && rc == 0; (*i)++) {
		rc = spool_file_read(from, sys, e->batches[*i], &one);
		if (rc == 0) {
			rc = buf_add_slice(bytes, buf_slice(&one));
			batches[(*n)++] = slice(NULL, one.n);
		}
	}
	for (size_t k = 0, at = 0; k < *n; at += batches[k++].n) {
		batches[k].p = bytes->p + at;
	}
	buf_fini(&one);
	return rc;
}

static int copy_one(struct sys *sys, const struct spool_entry *e, const char *to)
{
	struct slice *batches = calloc(e->n_batches, sizeof *batches);
	struct spool_place *places = calloc(e->n_batches, sizeof *places);
	struct spool_file f = spool_file_none(), from = spool_file_none();
	struct buf bytes;
	size_t n, i = 0;
	int rc = batches == NULL || places == NULL ? UV_ENOMEM
						   : open_file(sys, e, &from);

	buf_init(&bytes, AT_ONCE + LIMIT_BATCH_SEALED);
	if (rc == 0) {
		rc = spool_file_create(&f, sys, to, e->order, e->queue, &e->info,
				       slice(e->header, e->header_len));
	}
	while (rc == 0 && i < e->n_batches) {
		rc = read_some(sys, e, &from, &i, &bytes, batches, &n);
		if (rc == 0) {
			rc = spool_file_append(&f, sys, to, batches, n, places);
		}
	}
	if (rc != 0 && f.path != NULL) {
		spool_file_remove(&f, sys);
	}
	spool_file_close(&f, sys);
	spool_file_rest(&from, sys);
	buf_fini(&bytes);
	free(batches);
	free(places);
	return rc;
}

int spool_export_to(struct sys *sys, const struct spool_entries *l,
		    const char *to)
{
	size_t done = 0, bad = 0;
	int rc = sys_mkdir(sys, to, 0700);

	if (rc != 0 && rc != UV_EEXIST) {
		return cli_fail("spool", "%s: %s", to, err_str(rc));
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct spool_entry *e = &l->v[i];

		rc = e->n_batches == 0 ? 0 : copy_one(sys, e, to);
		if (rc != 0 || e->lost) {
			fprintf(stderr, "%s: %s\n", e->path,
				rc != 0 ? err_str(rc)
					: "only what is whole before the damage");
			bad++;
		}
		done += rc == 0 && e->n_batches > 0;
	}
	printf("%zu segments copied to %s%s\n", done, to,
	       bad == 0 ? "" : ", NOT ALL OF IT, see above");
	return bad == 0 ? CLI_OK : CLI_FAILED;
}

static void put_record(const struct record *r, struct buf *out)
{
	struct json j;

	buf_clear(out);
	j = json_begin(out);
	json_object(&j, NULL);
	json_hex(&j, "stream", &r->stream, sizeof r->stream);
	json_u64(&j, "start", r->start);
	json_u64(&j, "end", r->end);
	json_u64(&j, "flags", r->flags);
	json_time(&j, "observed", r->observed_ns);
	json_string(&j, "line", r->line);
	json_object_end(&j);
	if (json_end(&j) == 0) {
		fwrite(out->p, 1, out->n, stdout);
		putchar('\n');
	}
}

static int open_batches(struct sys *sys, const struct spool_entry *e, struct opener *o,
			struct buf *body)
{
	struct body_reader *r = malloc(sizeof *r);
	struct batch_head *head = malloc(sizeof *head);
	struct spool_file file = spool_file_none();
	struct record record;
	struct buf batch, out, line;
	int rc = r == NULL || head == NULL ? UV_ENOMEM : open_file(sys, e, &file);

	buf_init(&batch, LIMIT_FRAME);
	buf_init(&out, 8 * LIMIT_BATCH_DECODED);
	buf_init(&line, BODY_LINE_MAX);
	for (size_t i = 0; i < e->n_batches && rc == 0; i++) {
		rc = spool_file_read(&file, sys, e->batches[i], &batch);
		if (rc == 0) {
			rc = opener_open(o, buf_slice(&batch), head, body);
		}
		if (rc == 0) {
			body_reader_init(r, head, buf_slice(body), &line);
			while ((rc = body_next(r, &record)) == 1) {
				put_record(&record, &out);
			}
		}
	}
	spool_file_rest(&file, sys);
	buf_fini(&batch);
	buf_fini(&out);
	buf_fini(&line);
	free(r);
	free(head);
	return rc;
}

static int open_one(struct sys *sys, const struct store *s,
		    const struct spool_entry *e, struct buf *body)
{
	struct opener *o;
	int rc = opener_new(&o, slice(e->header, e->header_len), s->keys,
			    s->n_keys);

	if (rc != 0) {
		return rc;
	}
	rc = open_batches(sys, e, o, body);
	opener_free(o);
	return rc;
}

int spool_export_open(struct sys *sys, const struct spool_entries *l,
		      const char *store)
{
	struct store s;
	struct buf body;
	size_t bad = 0;
	int rc = store_dir_open(&s, "spool", store, NULL);

	if (rc != 0) {
		return rc;
	}
	buf_init(&body, LIMIT_BATCH_DECODED + 64 * 1024);
	for (size_t i = 0; i < l->n; i++) {
		const struct spool_entry *e = &l->v[i];

		rc = e->n_batches == 0 ? 0 : open_one(sys, &s, e, &body);
		if (rc != 0 || e->lost) {
			fprintf(stderr, "%s: %s\n", e->path,
				rc == ERR_NOT_OURS
					? "sealed for keys that this store does "
					  "not have"
				: rc != 0 ? err_str(rc)
					  : "only what is whole before the damage");
			bad++;
		}
	}
	buf_fini(&body);
	store_fini(&s, true);
	return bad == 0 ? CLI_OK : CLI_FAILED;
}
