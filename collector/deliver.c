#include "collector/deliver_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "collector/share.h"
#include "common/err.h"
#include "common/log.h"
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
	struct note n = {g->device,	 g->name,  arrival,
			 g->last_offset, g->bytes, g->device->times_lost};

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
			if (g->last_arrival > d->cursor.arrival ||
			    device_owes(g->device, g->last_arrival)) {
				d->behind[d->n_behind++] = (struct behind){
					{g->device, g->name, 0, 0, 0,
					 g->device->times_lost},
					g->device->owed_from,
					g->device->owed_until};
			}
		}
	}
	return 0;
}

/* The cursor, which is the job's while there is one. */
static struct cursor handed_on(const struct deliver *d)
{
	return d->busy ? d->before : d->cursor;
}

/* Nothing that was handed on waits for the catalogue. */
static void note_sure(struct deliver *d)
{
	if (!rows_owe(d->c->rows)) {
		d->sure = handed_on(d);
	}
}

void deliver_listing(struct deliver *d)
{
	d->listed = handed_on(d);
}

void deliver_listed(struct deliver *d)
{
	if (d->listed.arrival > d->sure.arrival) {
		d->sure = d->listed;
	}
	note_sure(d);
}

static void submit(struct deliver *d)
{
	note_sure(d);
	d->save = d->sure;
	d->before = d->cursor;
	d->work = (struct sys_work){.run = deliver_run, .done = on_done, .arg = d};
	d->told = NULL;
	d->told_end = &d->told;
	d->busy = sys_work_submit(d->c->sys, &d->work) == 0;
	if (!d->busy && !d->c->stopping) {
		sys_timer_set(d->c->sys, d->timer, RETRY_MS);
	}
}

/* What was owed has been given out.  Once the cursor says so too, on disk, the device's
 * folder need not any more. */
static void settle_owed(struct deliver *d)
{
	size_t left = 0;

	for (size_t i = 0; i < d->n_owing; i++) {
		struct device *device = d->owing[i];
		char dir[STORE_PATH];

		device->owed_from = device->owed_until;
		if (d->saved_arrival < device->owed_until) {
			d->owing[left++] = device;
			continue;
		}
		store_device_dir(&d->c->store, device, dir);
		share_owed_clear(d->c->sys, dir);
		device->owed_from = device->owed_until = 0;
	}
	d->n_owing = left;
}

/* Nothing waits: everything durable has been given out. */
static void catch_up(struct deliver *d)
{
	if (d->n == 0 && !d->lagging) {
		d->cursor.arrival = d->c->store.durable_arrival;
		settle_owed(d);
	}
	d->c->store.given_out = d->cursor.arrival;
}

static void owe(struct deliver *d, struct device *device)
{
	if (device->owed_until == 0) {
		return;
	}
	if (d->n_owing == d->room_owing) {
		size_t room = d->room_owing * 2 + 64;
		void *v = realloc(d->owing, room * sizeof d->owing[0]);

		if (v == NULL) {
			return; /* The next start gives it out. */
		}
		d->owing = v;
		d->room_owing = room;
	}
	d->owing[d->n_owing++] = device;
	d->lagging = d->lagging || device->owed_from < device->owed_until;
}

void deliver_taken(struct deliver *d, struct device *device)
{
	owe(d, device);
	deliver_kick(d);
}

void deliver_lost(struct deliver *d, struct device *device)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_owing; i++) {
		if (d->owing[i] != device) {
			d->owing[n++] = d->owing[i];
		}
	}
	d->n_owing = n;
	device->times_lost++;
}

static int64_t save_every_ms(const struct deliver *d)
{
	return share_is_on(&d->c->store) ? SAVE_SHARED_MS : SAVE_IDLE_MS;
}

static bool save_is_due(const struct deliver *d)
{
	return d->sure.arrival > d->saved_arrival &&
	       sys_mono_ns(d->c->sys) - d->saved_ns >=
		       save_every_ms(d) * NS_PER_MS;
}

/* Of a device that was another's since: what is owed of it is found anew. */
static bool is_void(const struct note *n)
{
	return n->times_lost != n->device->times_lost;
}

void deliver_kick(struct deliver *d)
{
	if (d->busy || d->c->stopping || d->c->only_store || rows_hold(d->c->rows)) {
		return;
	}
	catch_up(d);
	note_sure(d);
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
		d->skip[d->n_notes] = share_is_on(&d->c->store) &&
				      (!n->device->ours || is_void(n));
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
	} else if (d->cursor.arrival > d->saved_arrival) {
		/* Also when nothing more comes. */
		sys_timer_set(d->c->sys, d->timer, (uint64_t)save_every_ms(d));
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

/* They are in the order of their arrival, so that nothing before them is owed any more. */
static void move_owed(struct deliver *d)
{
	for (size_t i = 0; i < d->n_done; i++) {
		const struct note *n = &d->notes[i];
		struct device *device = n->device;

		if (n->arrival <= device->owed_until &&
		    n->arrival > device->owed_from && !is_void(n)) {
			device->owed_from = n->arrival;
		}
	}
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
			deliver_close_slot(&d->slots[i]);
		}
		return;
	}
	if (d->output) {
		d->cursor.bytes = d->bytes;
	}
	if (d->n_done > 0) {
		uint64_t arrival = d->notes[d->n_done - 1].arrival;

		/* Not back to what was owed. */
		if (arrival > d->cursor.arrival) {
			d->cursor.arrival = arrival;
		}
	}
	move_owed(d);
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
	int rc;

	note_sure(d);
	rc = deliver_save(d, &d->sure);
	if (rc != 0) {
		log_warn("the cursor of outputs could not be saved",
			 "error=\"%s\"", err_str(rc));
	}
	if (d->out_fd >= 0) {
		sys_close(d->c->sys, d->out_fd);
		d->out_fd = -1;
	}
	for (size_t i = 0; i < d->n_slots; i++) {
		deliver_close_slot(&d->slots[i]);
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
		rc = deliver_load(d);
	}
	if (rc == 0 && d->output) {
		rc = deliver_open_output(d);
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
	d->sure = d->listed = d->cursor;
	/* What was stored and not given out before. */
	c->store.given_out = d->cursor.arrival;
	d->lagging = d->cursor.arrival < c->store.arrival;
	for (size_t i = 0; i < c->store.room_devices; i++) {
		if (c->store.devices[i] != NULL) {
			owe(d, c->store.devices[i]);
		}
	}
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
	free(d->owing);
	free(d->queue);
	free(d->slots);
	sys_timer_free(d->c->sys, d->timer);
	free(d);
}
