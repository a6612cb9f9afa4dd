/* nightjar spool export: sealed segments elsewhere, or opened where the keys are. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/spool.h"
#include "cli/store_dir.h"
#include "common/err.h"
#include "common/json.h"
#include "common/timefmt.h"
#include "wire/body.h"
#include "wire/voucher.h"

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

/* The chain's hash after the header and after each batch that was copied. */
struct hashes {
	struct follower *follower;
	struct hash32 *v;
	size_t n;
};

static int hashes_init(struct hashes *h, const struct spool_entry *e)
{
	int rc = follower_new(&h->follower, slice(e->header, e->header_len));

	h->v = calloc(e->n_batches + 1, sizeof *h->v);
	rc = rc == 0 && h->v == NULL ? UV_ENOMEM : rc;
	if (rc == 0) {
		h->v[h->n++] = follower_hash(h->follower);
	}
	return rc;
}

static void hashes_fini(struct hashes *h)
{
	follower_free(h->follower);
	free(h->v);
}

static int hashes_add(struct hashes *h, const struct slice *batches, size_t n)
{
	struct batch_head *head = malloc(sizeof *head);
	int rc = head == NULL ? UV_ENOMEM : 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = follower_peek(h->follower, batches[i], head);
		rc = rc == 0 ? follower_commit(h->follower, head) : rc;
		h->v[h->n] = follower_hash(h->follower);
		h->n += rc == 0;
	}
	free(head);
	return rc;
}

static int write_voucher(struct sys *sys, const struct spool_entry *e, const char *to,
			 const char *file, const struct hashes *h,
			 const struct identity *device)
{
	char path[SPOOL_PATH + sizeof SPOOL_VOUCHER];
	struct buf b;
	int rc;

	snprintf(path, sizeof path, "%.*s" SPOOL_VOUCHER, SPOOL_PATH - 1, file);
	buf_init(&b, VOUCHER_MAX);
	rc = voucher_sign(&b, &e->info.id, sys_wall_ns(sys) / NS_PER_MS, h->v,
			  h->n, device);
	rc = rc == 0 ? sys_replace(sys, to, path, b.p, b.n, 0600) : rc;
	buf_fini(&b);
	return rc;
}

static bool is_of(const struct spool_entry *e, const struct identity *device)
{
	struct hash32 hash;

	if (device == NULL) {
		return false;
	}
	hash = identity_hash(device);
	return hash32_eq(&hash, &e->info.device);
}

static int copy_one(struct sys *sys, const struct spool_entry *e, const char *to,
		    const struct identity *device)
{
	struct hashes hashes = {0};
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
	rc = rc == 0 ? hashes_init(&hashes, e) : rc;
	while (rc == 0 && i < e->n_batches) {
		rc = read_some(sys, e, &from, &i, &bytes, batches, &n);
		rc = rc == 0 ? hashes_add(&hashes, batches, n) : rc;
		if (rc == 0) {
			rc = spool_file_append(&f, sys, to, batches, n, places);
		}
	}
	if (rc == 0 && is_of(e, device)) {
		rc = write_voucher(sys, e, to, f.path, &hashes, device);
	}
	hashes_fini(&hashes);
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
		    const char *to, const struct identity *device)
{
	size_t done = 0, bad = 0, bare = 0;
	int rc = sys_mkdir(sys, to, 0700);

	if (rc != 0 && rc != UV_EEXIST) {
		return cli_fail("spool", "%s: %s", to, err_str(rc));
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct spool_entry *e = &l->v[i];

		rc = e->n_batches == 0 ? 0 : copy_one(sys, e, to, device);
		if (rc != 0 || e->lost) {
			fprintf(stderr, "%s: %s\n", e->path,
				rc != 0 ? err_str(rc)
					: "only what is whole before the damage");
			bad++;
		}
		done += rc == 0 && e->n_batches > 0;
		bare += rc == 0 && e->n_batches > 0 && !is_of(e, device);
	}
	if (bare > 0) {
		fprintf(stderr,
			"%zu of them without a voucher: only an agent of that device can "
			"send them; for\nnightjar store import, export with the device's "
			"configuration, -c FILE\n",
			bare);
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
