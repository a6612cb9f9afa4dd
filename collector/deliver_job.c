/* deliver_job: deliver.h's job on a worker: batches are opened, rendered and written. */
#include "collector/deliver_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "collector/share.h"
#include "collector/show.h"
#include "common/err.h"
#include "common/log.h"
#include "common/timefmt.h"

/* ---- records ---- */

static int tell(struct deliver *d, const struct note *n,
		const struct record *r)
{
	struct told *t;

	if (d->n_told++ >= TOLD_MAX) {
		return 0; /* one_note() says so. */
	}
	t = calloc(1, sizeof *t + r->line.n + 1);
	if (t == NULL) {
		return UV_ENOMEM;
	}
	d->told_bytes += sizeof *t + r->line.n;
	t->device = n->device;
	t->stream = r->stream;
	t->position = r->start;
	t->time_ms = record_time_ns(r) / NS_PER_MS;
	t->alert = (r->flags & RECORD_ALERT) != 0;
	t->n = r->line.n;
	if (r->line.n > 0) {
		memcpy(t->json, r->line.p, r->line.n);
	}
	*d->told_end = t;
	d->told_end = &t->next;
	return 0;
}

static int write_record(struct deliver *d, const struct note *n,
			const char *name, struct record *r)
{
	size_t start = d->text.n;
	struct json j;
	int rc = parsers_read(&d->parsers, &n->device->id, r);

	if (rc != 0) {
		return rc;
	}
	j = json_begin(&d->text);
	show_json(&j, name, &n->device->id, r);
	rc = json_end(&j);
	if (rc == 0) {
		rc = buf_add_u8(&d->text, '\n');
	}
	if (rc != 0) {
		d->text.n = start;
	}
	return rc == 0 && d->text.n > JOB_BYTES ? deliver_write(d) : rc;
}

static int give_out(struct deliver *d, const struct note *n, const char *name,
		    struct opened *o)
{
	struct records records;
	struct record r;
	int rc;

	records_init(&records, o);
	while ((rc = records_next(&records, &r)) == 1) {
		int said = 0;

		if ((r.flags & (RECORD_ALERT | RECORD_OPEN)) != 0) {
			said = tell(d, n, &r);
		}
		if (said == 0 && d->output) {
			said = write_record(d, n, name, &r);
		}
		if (said != 0) {
			return said;
		}
	}
	return rc;
}

/* ---- batches ---- */

/* The batch is whole in the archive and of no use: passed over, by name. */
static bool is_hopeless(int rc)
{
	return rc == ERR_AUTH || rc == ERR_COMPRESS || rc == ERR_NOT_OURS ||
	       rc == ERR_DAMAGED || rc == ERR_MALFORMED || rc == ERR_CHAIN ||
	       rc == ERR_TRUNCATED || rc == UV_ENOENT;
}

static int one_note(struct deliver *d, const struct note *n, const char *name)
{
	struct slot *s;
	int rc = deliver_open_note(d, n, &s);

	if (rc != 0) {
		return rc;
	}
	d->n_told = 0;
	rc = give_out(d, n, name, &s->o);
	if (d->n_told > TOLD_MAX) {
		log_error("a batch has more alerts than an agent would send: "
			  "the rest is stored and not handed on",
			  "device=%s handed_on=%d left=%zu", name,
			  (int)TOLD_MAX, d->n_told - TOLD_MAX);
	}
	if (rc != 0 && !is_hopeless(rc)) {
		deliver_close_slot(s); /* It has to be opened again. */
	}
	return rc;
}

static void run_notes(struct deliver *d)
{
	for (d->n_done = 0; d->n_done < d->n_notes; d->n_done++) {
		const struct note *n = &d->notes[d->n_done];
		int rc = d->skip[d->n_done]
				 ? 0
				 : one_note(d, n, d->names[d->n_done]);

		if (rc == UV_ENOENT && share_is_on(&d->c->store) &&
		    share_owns(&d->c->store, n->device) == 0) {
			rc = 0; /* Who has it now gives it out. */
		}
		if (is_hopeless(rc)) {
			log_error("a stored batch can't be read: passed over",
				  "device=%s lane=%s number=%llu at=%llu "
				  "error=\"%s\"",
				  d->names[d->n_done], lane_name(n->name.lane),
				  (unsigned long long)n->name.number,
				  (unsigned long long)n->offset, err_str(rc));
			rc = 0;
		}
		if (rc != 0) {
			d->rc = rc;
			return;
		}
		if (d->text.n > JOB_BYTES / 2 || d->told_bytes > TOLD_BYTES) {
			d->n_done++;
			break;
		}
	}
}

static void save_in_time(struct deliver *d)
{
	int64_t now = sys_mono_ns(d->c->sys);

	if (now - d->saved_ns < CURSOR_EVERY_MS * NS_PER_MS) {
		return;
	}
	d->rc = deliver_save(d, &d->save);
	d->saved_ns = now;
	d->saved_arrival = d->save.arrival;
}

void deliver_run(struct sys_work *w)
{
	struct deliver *d = w->arg;

	d->rc = 0;
	d->n_done = 0;
	d->told_bytes = 0;
	if (d->refill) {
		deliver_find(d);
		return;
	}
	if (d->output) {
		d->rc = deliver_check_output(d);
	}
	d->bytes = d->cursor.bytes;
	buf_clear(&d->text);
	if (d->rc == 0) {
		run_notes(d);
	}
	if (d->rc == 0) {
		d->rc = deliver_write(d);
	}
	if (d->rc == 0) {
		save_in_time(d);
	}
}
