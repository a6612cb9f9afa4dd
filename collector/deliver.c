#include "collector/deliver.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "collector/opened.h"
#include "collector/show.h"
#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"
#include "common/timefmt.h"

/* One job at a time:
 *
 *   kick --(batches durable and waiting)--> job on a worker: open, render, write
 *     ^                                        |
 *     '------ alerts and descriptions handed on, cursor moved on ------'
 *
 * Failure modes: a batch that does not open is named and passed over (it stays in
 * the archive); an output that can't be written is tried again after a while,
 * from the same place, while the queue grows and, when it is full, is dropped
 * and found again on disk.
 */
enum {
	DELIVER_QUEUE = 65536,
	JOB_BATCHES = 64,
	JOB_BYTES = 4 * 1024 * 1024, /* of output, then the job ends */
	RETRY_MS = 2000,
	CURSOR_EVERY_MS = 1000,
	SAVE_IDLE_MS = 60000,
	FIND_MAX = 8192,
	CURSOR_FILE = 8 + 4 * 8 + 8,
};
static const char cursor_magic[8] = "NJCUR\r\n\032";

struct note {
	struct device *device;
	struct segment_name name;
	uint64_t arrival;
	uint64_t offset, end; /* of its entry in the file */
};

/* A segment that is being read on. */
struct slot {
	struct opened o;
	bool open;
	struct device *device;
	uint64_t used;
};

/* What a job found for the loop thread. */
struct told {
	struct told *next;
	struct device *device;
	struct stream_id stream;
	uint64_t position;
	int64_t time_ms;
	bool alert; /* else a stream's description */
	size_t n;
	char json[];
};

struct cursor {
	uint64_t arrival; /* given out up to here */
	uint64_t bytes;   /* length of the output file then */
	uint64_t dev, ino;
};

struct deliver {
	struct collector *c;
	bool output; /* options.output_file is set */
	struct sys_timer *timer;
	struct sys_work work;
	bool busy;
	bool lagging; /* not all that waits is in the queue */
	bool forgot;  /* a sync failed while a job searched */

	struct note *queue; /* a ring */
	size_t first, n, room;

	struct cursor cursor;
	int64_t saved_ns; /* monotonic */
	uint64_t saved_arrival;
	int out_fd;

	struct note *behind, *found; /* while finding again */
	size_t n_behind, n_found;
	bool found_all;

	struct slot *slots;
	size_t n_slots;
	uint64_t use;
	struct parsers parsers;

	/* The job's. */
	struct note notes[JOB_BATCHES];
	char names[JOB_BATCHES][LIMIT_DEVICE_NAME + 1];
	size_t n_notes, n_done;
	bool refill;
	uint64_t durable; /* arrival */
	struct buf text;
	uint64_t bytes;   /* of the output, as written by the job */
	struct told *told, **told_end;
	int rc;
};

/* ---- the cursor ---- */

static void cursor_path(const struct store *s, char out[static STORE_PATH])
{
	snprintf(out, STORE_PATH, "%.*s/deliver.cursor", STORE_PATH - 32,
		 s->dir);
}

static int cursor_save(struct deliver *d, const struct cursor *k)
{
	char path[STORE_PATH];
	struct buf b;
	int rc = 0;

	if (d->output && d->out_fd >= 0) {
		rc = sys_fdatasync(d->c->sys, d->out_fd);
	}
	buf_init(&b, CURSOR_FILE);
	if (rc == 0) {
		rc = buf_reserve(&b, CURSOR_FILE);
	}
	if (rc == 0) {
		buf_add(&b, cursor_magic, sizeof cursor_magic);
		buf_add_u64(&b, k->arrival);
		buf_add_u64(&b, k->bytes);
		buf_add_u64(&b, k->dev);
		buf_add_u64(&b, k->ino);
		buf_add_u64(&b, XXH64(b.p, b.n, 0));
		cursor_path(&d->c->store, path);
		rc = sys_replace(d->c->sys, d->c->store.dir, path, b.p, b.n,
				 0600);
	}
	buf_fini(&b);
	return rc;
}

/* UV_ENOENT: there is none; ERR_DAMAGED. */
static int cursor_read(const struct store *s, struct cursor *k)
{
	char path[STORE_PATH], *text;
	struct reader r;
	size_t n;
	int rc;

	*k = (struct cursor){0};
	cursor_path(s, path);
	rc = sys_read_file(s->sys, path, CURSOR_FILE, &text, &n);
	if (rc != 0) {
		return rc == ERR_TOO_LARGE ? ERR_DAMAGED : rc;
	}
	r = reader(slice(text, n));
	reader_bytes(&r, sizeof cursor_magic);
	k->arrival = reader_u64(&r);
	k->bytes = reader_u64(&r);
	k->dev = reader_u64(&r);
	k->ino = reader_u64(&r);
	if (reader_u64(&r) != XXH64(text, n >= 8 ? n - 8 : 0, 0) ||
	    !reader_done(&r) ||
	    memcmp(text, cursor_magic, sizeof cursor_magic) != 0) {
		*k = (struct cursor){0};
		rc = ERR_DAMAGED;
	}
	free(text);
	return rc;
}

uint64_t deliver_given_out(const struct store *s)
{
	struct cursor k;
	int rc = cursor_read(s, &k);

	return rc == ERR_DAMAGED ? UINT64_MAX : k.arrival;
}

static int cursor_load(struct deliver *d)
{
	int rc = cursor_read(&d->c->store, &d->cursor);

	if (rc == ERR_DAMAGED) {
		log_error("the cursor of outputs is damaged: going on from now, "
			  "records may be missing from the output file",
			  "store=%s", d->c->store.dir);
		d->cursor.arrival = d->c->store.arrival;
		rc = 0;
	}
	d->saved_arrival = d->cursor.arrival;
	return rc == UV_ENOENT ? 0 : rc;
}

/* ---- the output file ---- */

static int open_output(struct deliver *d)
{
	struct sys *sys = d->c->sys;
	const char *path = d->c->options->output_file;
	struct sys_stat st;
	int rc = sys_open(sys, path, O_RDWR | O_CREAT, 0640);

	if (rc < 0) {
		return rc;
	}
	d->out_fd = rc;
	rc = sys_fstat(sys, d->out_fd, &st);
	if (rc == 0 && st.ino == d->cursor.ino && st.dev == d->cursor.dev &&
	    st.size >= d->cursor.bytes) {
		/* Ours: what was written after the cursor comes again. */
		rc = sys_ftruncate(sys, d->out_fd, d->cursor.bytes);
	} else if (rc == 0) {
		d->cursor.bytes = st.size;
	}
	if (rc != 0) {
		sys_close(sys, d->out_fd);
		d->out_fd = -1;
		return rc;
	}
	d->cursor.dev = st.dev;
	d->cursor.ino = st.ino;
	return 0;
}

/* A file that was moved away or cut under us is begun anew. */
static int check_output(struct deliver *d)
{
	struct sys_stat st;
	int rc = sys_stat(d->c->sys, d->c->options->output_file, &st);

	if (d->out_fd >= 0 && rc == 0 && st.ino == d->cursor.ino &&
	    st.dev == d->cursor.dev && st.size >= d->cursor.bytes) {
		return 0;
	}
	if (d->out_fd >= 0) {
		sys_close(d->c->sys, d->out_fd);
		d->out_fd = -1;
		d->cursor.ino = 0; /* Append to whatever is there. */
	}
	return open_output(d);
}

static int flush(struct deliver *d)
{
	int rc;

	if (d->text.n == 0) {
		return 0;
	}
	rc = sys_pwrite_all(d->c->sys, d->out_fd, d->text.p, d->text.n,
			    d->bytes);
	if (rc == 0) {
		d->bytes += d->text.n;
		buf_clear(&d->text);
	}
	return rc;
}

/* ---- the job: records ---- */

static int tell(struct deliver *d, const struct note *n,
		const struct record *r)
{
	struct told *t = calloc(1, sizeof *t + r->line.n + 1);

	if (t == NULL) {
		return UV_ENOMEM;
	}
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
	return rc == 0 && d->text.n > JOB_BYTES ? flush(d) : rc;
}

static int give_out(struct deliver *d, const struct note *n, const char *name,
		    const struct opened *o)
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

/* ---- the job: batches ---- */

static void close_slot(struct slot *s)
{
	if (s->open) {
		opened_close(&s->o);
		s->open = false;
	}
}

static bool is_before(const struct slot *s, const struct note *n)
{
	const struct segment_reader *r = &s->o.reader;

	return r->last_part >= n->name.part &&
	       (r->name.part < n->name.part ||
		(r->name.part == n->name.part && r->fd >= 0 &&
		 r->entries.offset <= n->offset));
}

/* A slot whose next batches lead to the note's. */
static int slot_for(struct deliver *d, const struct note *n, struct slot **out)
{
	struct slot *oldest = &d->slots[0];
	char dir[STORE_PATH];
	int rc;

	for (size_t i = 0; i < d->n_slots; i++) {
		struct slot *s = &d->slots[i];

		if (s->open && s->device == n->device &&
		    memcmp(&s->o.reader.name.id, &n->name.id,
			   sizeof n->name.id) == 0) {
			oldest = s;
			break;
		}
		if (s->used < oldest->used) {
			oldest = s;
		}
	}
	*out = oldest;
	oldest->used = ++d->use;
	if (oldest->open && oldest->device == n->device &&
	    memcmp(&oldest->o.reader.name.id, &n->name.id,
		   sizeof n->name.id) == 0 &&
	    is_before(oldest, n)) {
		return 0;
	}
	close_slot(oldest);
	store_device_dir(&d->c->store, n->device, dir);
	rc = opened_open(&oldest->o, d->c->sys, dir, &n->name,
			 d->c->store.keys, d->c->store.n_keys);
	oldest->open = rc == 0;
	oldest->device = n->device;
	return rc;
}

/* Reads on until the note's batch is open.  Never beyond it: what follows may be
 * half written. */
static int advance(struct slot *s, const struct note *n)
{
	int rc;

	do {
		struct segment_reader *r = &s->o.reader;

		r->entries.limit = r->name.part == n->name.part
					   ? n->end
					   : UINT64_MAX;
		rc = opened_next(&s->o);
	} while (rc == 1 && (s->o.e.part < n->name.part ||
			     s->o.e.offset < n->offset));
	if (rc == 1 && s->o.e.offset == n->offset &&
	    s->o.e.part == n->name.part && s->o.e.kind == ENTRY_BATCH) {
		return 0;
	}
	return rc < 0 ? rc : ERR_DAMAGED;
}

static int one_note(struct deliver *d, const struct note *n, const char *name)
{
	struct slot *s;
	int rc = slot_for(d, n, &s);

	if (rc == 0) {
		rc = advance(s, n);
	}
	if (rc == 0) {
		rc = give_out(d, n, name, &s->o);
	}
	if (rc != 0) {
		close_slot(s);
	}
	return rc;
}

/* The batch is whole in the archive and of no use: passed over, by name. */
static bool is_hopeless(int rc)
{
	return rc == ERR_AUTH || rc == ERR_COMPRESS || rc == ERR_NOT_OURS ||
	       rc == ERR_DAMAGED || rc == ERR_MALFORMED || rc == ERR_CHAIN ||
	       rc == ERR_TRUNCATED || rc == UV_ENOENT;
}

static void run_notes(struct deliver *d)
{
	for (d->n_done = 0; d->n_done < d->n_notes; d->n_done++) {
		const struct note *n = &d->notes[d->n_done];
		int rc = one_note(d, n, d->names[d->n_done]);

		if (is_hopeless(rc)) {
			log_error("a stored batch can't be opened: passed over",
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
		if (d->text.n > JOB_BYTES / 2) {
			d->n_done++;
			break;
		}
	}
}

static void save_in_time(struct deliver *d)
{
	int64_t now = sys_mono_ns(d->c->sys);
	struct cursor k = d->cursor;

	if (now - d->saved_ns < CURSOR_EVERY_MS * NS_PER_MS) {
		return;
	}
	k.bytes = d->bytes;
	if (d->n_done > 0) {
		k.arrival = d->notes[d->n_done - 1].arrival;
	}
	d->rc = cursor_save(d, &k);
	d->saved_ns = now;
	d->saved_arrival = k.arrival;
}

static void find_again(struct deliver *d);

static void on_run(struct sys_work *w)
{
	struct deliver *d = w->arg;

	d->rc = 0;
	d->n_done = 0;
	if (d->refill) {
		find_again(d);
		return;
	}
	if (d->output) {
		d->rc = check_output(d);
	}
	d->bytes = d->cursor.bytes;
	buf_clear(&d->text);
	if (d->rc == 0) {
		run_notes(d);
	}
	if (d->rc == 0) {
		d->rc = flush(d);
	}
	if (d->rc == 0) {
		save_in_time(d);
	}
}

/* ---- the queue ---- */

static int push(struct deliver *d, const struct note *n)
{
	if (d->n == DELIVER_QUEUE) {
		return ERR_FULL;
	}
	if (d->n == d->room) {
		size_t room = d->room == 0 ? 256 : d->room * 2;
		struct note *v = calloc(room, sizeof *v);

		if (v == NULL) {
			return UV_ENOMEM;
		}
		for (size_t i = 0; i < d->n; i++) {
			v[i] = d->queue[(d->first + i) % d->room];
		}
		free(d->queue);
		d->queue = v;
		d->room = room;
		d->first = 0;
	}
	d->queue[(d->first + d->n++) % d->room] = *n;
	return 0;
}

void deliver_note(struct deliver *d, const struct segment *g,
		  uint64_t arrival, bool new_stream)
{
	struct note n = {g->device, g->name, arrival, g->last_offset,
			 g->bytes};

	if (!d->output && g->name.lane != LANE_ALERT && !new_stream) {
		return;
	}
	/* Once one is left out the rest is found again in order. */
	if (d->lagging || push(d, &n) != 0) {
		d->lagging = true;
	}
}

void deliver_forget(struct deliver *d)
{
	d->forgot = true;
	while (d->n > 0 &&
	       d->queue[(d->first + d->n - 1) % d->room].arrival >
		       d->c->store.durable_arrival) {
		d->n--;
	}
}

size_t deliver_waiting(const struct deliver *d)
{
	return d->n;
}

bool deliver_busy(const struct deliver *d)
{
	return d->busy;
}

/* ---- finding again what the queue does not hold ---- */

static int by_arrival(const void *a, const void *b)
{
	const struct note *x = a, *y = b;

	return x->arrival == y->arrival ? 0 : x->arrival < y->arrival ? -1 : 1;
}

static bool is_wanted(const struct deliver *d, const struct segment_entry *e,
		      enum lane lane)
{
	if (e->kind != ENTRY_BATCH || e->envelope.arrival > d->durable ||
	    e->envelope.arrival <= d->cursor.arrival) {
		return false;
	}
	if (d->output || lane == LANE_ALERT) {
		return true;
	}
	for (size_t i = 0; i < e->head.n_streams; i++) {
		if (e->head.streams[i].start == 0) {
			return true; /* Where a stream is described. */
		}
	}
	return false;
}

/* Keeps the FIND_MAX lowest arrivals. */
static void found(struct deliver *d, const struct note *segment,
		  const struct segment_entry *e)
{
	if (d->n_found == 2 * FIND_MAX) {
		qsort(d->found, d->n_found, sizeof *d->found, by_arrival);
		d->n_found = FIND_MAX;
		d->found_all = false;
	}
	d->found[d->n_found] = *segment;
	d->found[d->n_found].name.part = e->part;
	d->found[d->n_found].arrival = e->envelope.arrival;
	d->found[d->n_found].offset = e->offset;
	d->found[d->n_found++].end = e->next;
}

static void search_segment(struct deliver *d, const struct note *segment)
{
	struct segment_entry *e = malloc(sizeof *e);
	struct segment_reader *r = malloc(sizeof *r);
	char dir[STORE_PATH];

	store_device_dir(&d->c->store, segment->device, dir);
	if (e != NULL && r != NULL &&
	    segment_reader_open(r, d->c->sys, dir, &segment->name) == 0) {
		while (segment_reader_next(r, e) == 1) {
			if (is_wanted(d, e, segment->name.lane)) {
				found(d, segment, e);
			}
		}
		segment_reader_close(r);
	}
	free(r);
	free(e);
}

/* A job of its own: the next batches behind the cursor, read from the files. */
static void find_again(struct deliver *d)
{
	for (size_t i = 0; i < d->n_behind; i++) {
		search_segment(d, &d->behind[i]);
	}
	if (d->n_found > 1) {
		qsort(d->found, d->n_found, sizeof *d->found, by_arrival);
	}
	if (d->n_found > FIND_MAX) {
		d->n_found = FIND_MAX;
		d->found_all = false;
	}
}

/* ---- the loop thread ---- */

static void on_done(struct sys_work *w);

/* The segments with something behind the cursor: they are all in memory, since
 * store.given_out holds them there. */
static int list_behind(struct deliver *d)
{
	const struct store *s = &d->c->store;
	size_t n = 0;

	for (size_t i = 0; i < s->room_devices; i++) {
		n += s->devices[i] == NULL ? 0 : s->devices[i]->n_segments;
	}
	free(d->behind);
	free(d->found);
	d->n_behind = d->n_found = 0;
	d->found_all = true;
	d->behind = calloc(n + 1, sizeof *d->behind);
	d->found = calloc(2 * FIND_MAX, sizeof *d->found);
	if (d->behind == NULL || d->found == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < s->room_devices; i++) {
		struct segment *g =
			s->devices[i] == NULL ? NULL : s->devices[i]->segments;

		for (; g != NULL; g = g->next) {
			if (g->last_arrival > d->cursor.arrival) {
				d->behind[d->n_behind++] =
					(struct note){g->device, g->name, 0, 0, 0};
			}
		}
	}
	return 0;
}

static void submit(struct deliver *d)
{
	d->work = (struct sys_work){.run = on_run, .done = on_done, .arg = d};
	d->told = NULL;
	d->told_end = &d->told;
	d->busy = sys_work_submit(d->c->sys, &d->work) == 0;
	if (!d->busy && !d->c->stopping) {
		sys_timer_set(d->c->sys, d->timer, RETRY_MS);
	}
}

/* Nothing waits: everything durable has been given out. */
static void catch_up(struct deliver *d)
{
	if (d->n == 0 && !d->lagging) {
		d->cursor.arrival = d->c->store.durable_arrival;
	}
	d->c->store.given_out = d->cursor.arrival;
}

static bool save_is_due(const struct deliver *d)
{
	return d->cursor.arrival > d->saved_arrival &&
	       sys_mono_ns(d->c->sys) - d->saved_ns >
		       SAVE_IDLE_MS * NS_PER_MS;
}

void deliver_kick(struct deliver *d)
{
	if (d->busy || d->c->stopping) {
		return;
	}
	catch_up(d);
	d->durable = d->c->store.durable_arrival;
	d->n_notes = 0;
	d->refill = false;
	while (d->n_notes < d->n && d->n_notes < JOB_BATCHES) {
		const struct note *n =
			&d->queue[(d->first + d->n_notes) % d->room];

		if (n->arrival > d->durable) {
			break;
		}
		memcpy(d->names[d->n_notes], n->device->name,
		       sizeof d->names[0]);
		d->notes[d->n_notes++] = *n;
	}
	if (d->n_notes > 0 || save_is_due(d)) {
		submit(d);
	} else if (d->lagging && d->n == 0) {
		d->refill = true;
		/* All of that is in the files; what comes now is noted. */
		d->durable = d->c->store.arrival;
		d->forgot = false;
		if (list_behind(d) == 0) {
			d->lagging = false;
			submit(d);
			d->lagging = !d->busy;
		}
	}
}

static void hand_on(struct deliver *d)
{
	struct collector *c = d->c;

	while (d->told != NULL) {
		struct told *t = d->told;
		struct catalogue_alert a = {
			.device = t->device->id,
			.stream = t->stream,
			.position = t->position,
			.time_ms = t->time_ms,
			.json = slice(t->json, t->n),
		};

		d->told = t->next;
		if (t->alert) {
			c->count.alerts++;
			rows_alert(c->rows, &a);
			if (c->on_alert != NULL) {
				c->on_alert(c->arg, t->device->name, a.json);
			}
		} else {
			rows_opened(c->rows, &a);
		}
		free(t);
	}
}

static void free_told(struct deliver *d)
{
	while (d->told != NULL) {
		struct told *t = d->told;

		d->told = t->next;
		free(t);
	}
}

/* What was found stands before what was noted while we searched. */
static void on_refilled(struct deliver *d)
{
	struct note *queue = d->queue;
	size_t first = d->first, n = d->n, room = d->room;
	bool complete = d->found_all && !d->forgot;

	d->queue = NULL;
	d->first = d->n = d->room = 0;
	for (size_t i = 0; i < d->n_found && !d->forgot; i++) {
		complete = push(d, &d->found[i]) == 0 && complete;
	}
	for (size_t i = 0; i < n && complete; i++) {
		complete = push(d, &queue[(first + i) % room]) == 0;
	}
	d->lagging = d->lagging || !complete;
	free(queue);
	free(d->found);
	d->found = NULL;
	d->n_found = 0;
}

static void on_written(struct deliver *d)
{
	if (d->rc != 0) {
		log_error("records can't be written to the output, trying "
			  "again",
			  "path=%s error=\"%s\"",
			  d->output ? d->c->options->output_file : "",
			  err_str(d->rc));
		free_told(d);
		for (size_t i = 0; i < d->n_slots; i++) {
			close_slot(&d->slots[i]);
		}
		return;
	}
	if (d->output) {
		d->cursor.bytes = d->bytes;
	}
	if (d->n_done > 0) {
		d->cursor.arrival = d->notes[d->n_done - 1].arrival;
	}
	d->first = d->room == 0 ? 0 : (d->first + d->n_done) % d->room;
	d->n -= d->n_done;
	hand_on(d);
}

static void on_done(struct sys_work *w)
{
	struct deliver *d = w->arg;

	d->busy = false;
	if (d->refill) {
		on_refilled(d);
	} else {
		on_written(d);
	}
	if (d->c->stopping) {
		collector_wake(d->c);
	} else if (d->rc != 0) {
		sys_timer_set(d->c->sys, d->timer, RETRY_MS);
	} else {
		deliver_kick(d);
	}
}

static void on_timer(void *arg)
{
	deliver_kick(arg);
}

void deliver_flush(struct deliver *d)
{
	int rc = cursor_save(d, &d->cursor);

	if (rc != 0) {
		log_warn("the cursor of outputs could not be saved",
			 "error=\"%s\"", err_str(rc));
	}
	if (d->out_fd >= 0) {
		sys_close(d->c->sys, d->out_fd);
		d->out_fd = -1;
	}
	for (size_t i = 0; i < d->n_slots; i++) {
		close_slot(&d->slots[i]);
	}
}

static int init(struct deliver *d, struct collector *c)
{
	const char *output = c->options->output_file;
	int rc;

	d->c = c;
	d->out_fd = -1;
	d->output = output != NULL && output[0] != '\0';
	d->n_slots = c->options->decoders_max > 0
			     ? (size_t)c->options->decoders_max
			     : 1;
	buf_init(&d->text, 2 * JOB_BYTES + LIMIT_LINE_MAX * 8);
	d->slots = calloc(d->n_slots, sizeof *d->slots);
	if (d->slots == NULL) {
		return UV_ENOMEM;
	}
	rc = sys_timer_new(c->sys, &d->timer, on_timer, d);
	if (rc == 0) {
		rc = cursor_load(d);
	}
	if (rc == 0 && d->output) {
		rc = open_output(d);
	}
	return rc;
}

int deliver_new(struct deliver **out, struct collector *c,
		char why[static 512])
{
	struct deliver *d = calloc(1, sizeof *d);
	int rc = d == NULL ? UV_ENOMEM : init(d, c);

	*out = NULL;
	if (rc != 0) {
		snprintf(why, 512, "%.300s: the output can't be opened (%s)",
			 c->options->output_file == NULL
				 ? "deliver"
				 : c->options->output_file,
			 err_str(rc));
		if (d != NULL) {
			deliver_free(d);
		}
		return rc;
	}
	/* What was stored and not given out before. */
	c->store.given_out = d->cursor.arrival;
	d->lagging = d->cursor.arrival < c->store.arrival;
	*out = d;
	return 0;
}

/* The opened segments' files belong to the crashed world, when there was one. */
static void forget_slot(struct slot *s)
{
	if (s->open) {
		entry_reader_fini(&s->o.reader.entries);
		s->o.reader.fd = -1;
		opened_close(&s->o);
	}
}

void deliver_free(struct deliver *d)
{
	if (d == NULL) {
		return;
	}
	for (size_t i = 0; i < d->n_slots; i++) {
		forget_slot(&d->slots[i]);
	}
	free_told(d);
	parsers_fini(&d->parsers);
	buf_fini(&d->text);
	free(d->behind);
	free(d->found);
	free(d->queue);
	free(d->slots);
	sys_timer_free(d->c->sys, d->timer);
	free(d);
}
