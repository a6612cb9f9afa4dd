#include "cli/import_files.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/import_session.h"
#include "common/err.h"
#include "common/timefmt.h"

/* One file, with what its device says of it. */
struct carried {
	const struct spool_entry *e;
	char *bytes; /* of the voucher */
	struct voucher voucher;
	struct voucher_device device;
};

struct run {
	const struct import *im;
	struct import_session session;
	bool open;
	struct import_totals *totals;
};

__attribute__((format(printf, 3, 4)))
static void complain(const struct import *im, const struct spool_entry *e,
		     const char *fmt, ...)
{
	va_list ap;

	fprintf(im->err, "%s: ", e->path);
	va_start(ap, fmt);
	vfprintf(im->err, fmt, ap);
	va_end(ap);
	fputc('\n', im->err);
}

/* ---- whose it is ---- */

static int read_voucher(const struct import *im, struct carried *c)
{
	char path[SPOOL_PATH + sizeof SPOOL_VOUCHER];
	size_t n;
	int rc;

	snprintf(path, sizeof path, "%.*s" SPOOL_VOUCHER, SPOOL_PATH - 1,
		 c->e->path);
	rc = sys_read_file(im->sys, path, VOUCHER_MAX, &c->bytes, &n);
	if (rc == UV_ENOENT) {
		complain(im, c->e,
			 "nothing beside it (" SPOOL_VOUCHER ") says whose it is: export it "
			 "on the device with nightjar spool export --to DIR -c FILE, and bring "
			 "both files");
		return rc;
	}
	rc = rc == 0 ? voucher_decode(&c->voucher, slice(c->bytes, n)) : rc;
	if (rc != 0) {
		complain(im, c->e,
			 "its " SPOOL_VOUCHER " can't be read (%s): copy it again, or export "
			 "again",
			 err_str(rc));
	}
	return rc;
}

static int check_voucher(const struct import *im, struct carried *c)
{
	const struct segment_info *info = &c->e->info;
	char why[IDENTITY_WHY];
	int rc = voucher_verify(&c->voucher, im->us,
				sys_wall_ns(im->sys) / NS_PER_MS, &c->device,
				why);

	if (rc != 0) {
		complain(im, c->e, "%s", why);
		return rc;
	}
	if (memcmp(&c->voucher.segment, &info->id, sizeof info->id) != 0 ||
	    !hash32_eq(&c->device.hash, &info->device)) {
		complain(im, c->e, "its " SPOOL_VOUCHER " is of another segment or device: "
			       "bring the one that was exported with it");
		return ERR_NOT_OURS;
	}
	return 0;
}

/* ---- one file ---- */

static int open_session(struct run *r, const struct voucher_device *device)
{
	int rc;

	if (r->open && hash32_eq(&r->session.device.hash, &device->hash) &&
	    !r->session.closing) {
		return 0;
	}
	if (r->open) {
		import_session_close(&r->session);
	}
	rc = import_session_open(&r->session, r->im->loop, r->im->collector,
				 device);
	r->open = rc == 0;
	if (rc != 0) {
		import_session_close(&r->session);
	}
	return rc;
}

/* The batches that are whole and as the device has signed them, one after another.
 * *sent: how many the collector was given. */
static int send_batches(struct run *r, const struct carried *c,
			struct follower *f, struct spool_file *file, size_t *sent)
{
	const struct spool_entry *e = c->e;
	struct batch_head *head = malloc(sizeof *head);
	struct buf batch;
	int rc = head == NULL ? UV_ENOMEM : 0;

	buf_init(&batch, LIMIT_FRAME);
	for (*sent = 0; *sent < e->n_batches && rc == 0; *sent += rc == 0) {
		struct hash32 signed_hash, hash;

		if (*sent + 1 >= c->voucher.n_hashes) {
			rc = ERR_AUTH;
			break;
		}
		rc = spool_file_read(file, r->im->sys, e->batches[*sent], &batch);
		rc = rc == 0 ? follower_peek(f, buf_slice(&batch), head) : rc;
		rc = rc == 0 ? follower_commit(f, head) : rc;
		if (rc != 0) {
			break;
		}
		signed_hash = voucher_hash(&c->voucher, *sent + 1);
		hash = follower_hash(f);
		rc = !hash32_eq(&hash, &signed_hash)
			     ? ERR_AUTH
			     : import_session_batch(&r->session, e->info.lane,
						    buf_slice(&batch));
	}
	buf_fini(&batch);
	free(head);
	return rc;
}

static int send_segment(struct run *r, const struct carried *c, size_t *sent)
{
	const struct spool_entry *e = c->e;
	struct slice header = slice(e->header, e->header_len);
	struct spool_file file = {.path = e->path};
	struct follower *f = NULL;
	struct hash32 hash, signed_hash = voucher_hash(&c->voucher, 0);
	int rc = follower_new(&f, header), done;

	*sent = 0;
	file.fd = -1;
	if (rc != 0) {
		return rc;
	}
	hash = follower_hash(f);
	rc = hash32_eq(&hash, &signed_hash) ? 0 : ERR_AUTH;
	file.fd = rc != 0 ? -1
			  : sys_open(r->im->sys, e->path,
				     O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	rc = rc == 0 && file.fd < 0 ? file.fd : rc;
	if (rc == 0) {
		rc = import_session_segment(&r->session, e->info.lane,
					    &e->info.id, header, &hash);
	}
	if (rc == 0) {
		rc = send_batches(r, c, f, &file, sent);
	}
	if (*sent > 0 && rc != ERR_CLOSED && rc != UV_ETIMEDOUT) {
		r->session.nak = false; /* What was taken before it counts. */
		done = import_session_durable(&r->session, (int64_t)*sent - 1);
		rc = rc == 0 ? done : rc;
	}
	spool_file_rest(&file, r->im->sys);
	follower_free(f);
	return rc;
}

/* What is missing, and what to do. */
static void tell(struct run *r, const struct carried *c, size_t sent, int rc)
{
	size_t all = c->voucher.n_hashes - 1;
	const struct spool_entry *e = c->e;

	if (rc == 0 && sent == all) {
		fprintf(r->im->out,
			"%s: %zu batches, %llu records, of %s: all of it is in the "
			"store\n",
			spool_entry_name(e), sent, (unsigned long long)e->records,
			c->device.name);
		return;
	}
	fprintf(r->im->out, "%s: %zu of %zu batches of %s are in the store\n",
		spool_entry_name(e), sent, all, c->device.name);
	switch (rc) {
	case 0:
		complain(r->im, e,
			 "it is cut short or damaged at byte %llu: copy it again for the "
			 "rest, or let the device send it",
			 (unsigned long long)(e->lost ? e->lost_at : e->size));
		break;
	case ERR_ABOVE:
		complain(r->im, e,
			 "batch %zu is not taken, since lines before it are missing (the store "
			 "has that stream up to %llu): import the files that were exported with "
			 "it, or let the device send it",
			 sent, (unsigned long long)r->session.watermark);
		break;
	case ERR_CLOSED:
		complain(r->im, e, "the collector refuses it: %s",
			 r->session.text[0] != '\0' ? r->session.text
						    : "no reason was given");
		break;
	case UV_ETIMEDOUT:
		complain(r->im, e, "the store does not take more of it: is its disk full?");
		break;
	case ERR_AUTH:
		complain(r->im, e, "batch %zu is not what the device has signed: it was changed; "
			    "copy it again",
			 sent);
		break;
	default:
		complain(r->im, e, "%s", err_str(rc));
	}
}

static void import_one(struct run *r, struct carried *c)
{
	size_t sent = 0;
	int rc = open_session(r, &c->device);

	if (rc == 0) {
		rc = send_segment(r, c, &sent);
	}
	if (rc == ERR_ABOVE) {
		sent = (size_t)(r->session.durable + 1);
	} else if (rc == ERR_CLOSED || rc == UV_ETIMEDOUT) {
		sent = (size_t)(r->session.durable + 1);
	}
	tell(r, c, sent, rc);
	r->totals->batches += sent;
	r->totals->whole += rc == 0 && sent == c->voucher.n_hashes - 1;
	if (r->open && (rc == ERR_CLOSED || rc == UV_ETIMEDOUT)) {
		import_session_close(&r->session);
		r->open = false;
	}
}

static int by_device_and_order(const void *a, const void *b)
{
	const struct spool_entry *x = *(const struct spool_entry *const *)a;
	const struct spool_entry *y = *(const struct spool_entry *const *)b;
	int order = memcmp(&x->info.device, &y->info.device,
			   sizeof x->info.device);

	return order != 0		? order
	       : x->order != y->order ? (x->order < y->order ? -1 : 1)
				      : strcmp(x->path, y->path);
}

int import_entries(const struct import *im, const struct spool_entry **v, size_t n,
		   struct import_totals *totals)
{
	struct run *r = calloc(1, sizeof *r);

	*totals = (struct import_totals){0};
	if (r == NULL) {
		return UV_ENOMEM;
	}
	r->im = im;
	r->totals = totals;
	qsort(v, n, sizeof *v, by_device_and_order);
	for (size_t i = 0; i < n; i++) {
		struct carried c = {.e = v[i]};

		totals->files++;
		if (!v[i]->has_segment) {
			complain(im, v[i], "nothing of it is whole: copy it again");
		} else if (read_voucher(im, &c) == 0 && check_voucher(im, &c) == 0) {
			import_one(r, &c);
		}
		free(c.bytes);
	}
	if (r->open) {
		import_session_close(&r->session);
	}
	free(r);
	return 0;
}
