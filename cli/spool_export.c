/* nightjar spool export: sealed segments elsewhere, or opened where the keys are. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/spool.h"
#include "cli/store_dir.h"
#include "common/err.h"
#include "common/json.h"
#include "wire/body.h"

/* A file's bytes, and where its batches lie in them. */
static int batch_at(const struct spool_entry *e, size_t i, const char *bytes,
		    size_t n, struct slice *out)
{
	const struct spool_place *p = &e->batches[i];

	if (p->offset > n || p->len > n - p->offset) {
		return ERR_TRUNCATED; /* It has changed since. */
	}
	*out = slice(bytes + p->offset, p->len);
	return 0;
}

static int write_batches(struct sys *sys, const struct spool_entry *e,
			 const char *to, const char *bytes, size_t n)
{
	struct slice *batches = calloc(e->n_batches, sizeof *batches);
	struct spool_place *places = calloc(e->n_batches, sizeof *places);
	struct spool_file f = spool_file_none();
	int rc = batches == NULL || places == NULL ? UV_ENOMEM : 0;

	for (size_t i = 0; i < e->n_batches && rc == 0; i++) {
		rc = batch_at(e, i, bytes, n, &batches[i]);
	}
	if (rc == 0) {
		rc = spool_file_create(&f, sys, to, e->order, e->queue, &e->info,
				       slice(e->header, e->header_len));
	}
	if (rc == 0) {
		rc = spool_file_append(&f, sys, to, batches, e->n_batches,
				       places);
		if (rc != 0) {
			spool_file_remove(&f, sys);
		}
	}
	spool_file_close(&f, sys);
	free(batches);
	free(places);
	return rc;
}

static int copy_one(struct sys *sys, const struct spool_entry *e,
		    const char *to)
{
	char *bytes;
	size_t n;
	int rc = sys_read_file(sys, e->path, UINT32_MAX, &bytes, &n);

	if (rc == 0) {
		rc = write_batches(sys, e, to, bytes, n);
		free(bytes);
	}
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

static int open_batches(const struct spool_entry *e, struct opener *o,
			const char *bytes, size_t n, struct buf *body)
{
	struct body_reader *r = malloc(sizeof *r);
	struct batch_head *head = malloc(sizeof *head);
	struct slice batch;
	struct record record;
	struct buf out, line;
	int rc = r == NULL || head == NULL ? UV_ENOMEM : 0;

	buf_init(&out, 8 * LIMIT_BATCH_DECODED);
	buf_init(&line, BODY_LINE_MAX);
	for (size_t i = 0; i < e->n_batches && rc == 0; i++) {
		rc = batch_at(e, i, bytes, n, &batch);
		if (rc == 0) {
			rc = opener_open(o, batch, head, body);
		}
		if (rc == 0) {
			body_reader_init(r, head, buf_slice(body), &line);
			while ((rc = body_next(r, &record)) == 1) {
				put_record(&record, &out);
			}
		}
	}
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
	char *bytes;
	size_t n;
	int rc = opener_new(&o, slice(e->header, e->header_len), s->keys,
			    s->n_keys);

	if (rc != 0) {
		return rc;
	}
	rc = sys_read_file(sys, e->path, UINT32_MAX, &bytes, &n);
	if (rc == 0) {
		rc = open_batches(e, o, bytes, n, body);
		free(bytes);
	}
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
