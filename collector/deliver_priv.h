/* deliver_priv: what the files of deliver.h share among themselves. */
#ifndef COLLECTOR_DELIVER_PRIV_H
#define COLLECTOR_DELIVER_PRIV_H

#include "collector/deliver.h"
#include "collector/opened.h"

enum {
	DELIVER_QUEUE = 65536,
	JOB_BATCHES = 64,
	JOB_BYTES = 4 * 1024 * 1024, /* of output, then the job ends */
	RETRY_MS = 2000,
	CURSOR_EVERY_MS = 1000,
	SAVE_IDLE_MS = 60000,
	SAVE_SHARED_MS = 1000, /* who takes a device over goes by what was saved */
	FIND_MAX = 8192,
	CURSOR_FILE = 8 + 4 * 8 + 8,
	SPOILED_MAX = 256,
	/* Of one batch: an alert of 256 bytes, the shortest that there is, stands
	 * no more often in one. */
	TOLD_MAX = 4096,
	TOLD_BYTES = 4 * 1024 * 1024, /* then the job ends */
};

struct note {
	struct device *device;
	struct segment_name name;
	uint64_t arrival;
	uint64_t offset, end; /* of its entry in the file */
	unsigned times_lost;  /* as the device had when this was noted */
};

/* Where the next batches to give out are looked for. */
struct behind {
	struct note segment;
	uint64_t owed_from, owed_until;
};

/* A segment that is being read on. */
struct slot {
	struct opened o;
	bool open;
	struct device *device;
	uint64_t used;
};

/* A segment with a batch that does not open, so that none behind it will. */
struct spoiled {
	struct device *device;
	struct segment_id id;
	int rc;
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
	/* What of it may be saved: what follows comes again after a kill.  Handed on, and
	 * in the catalogue. */
	struct cursor sure;
	struct cursor listed; /* sure as soon as the catalogue is written */
	struct cursor save;   /* the job's copy of sure */
	struct cursor before; /* as the job found it: it may note another output file */
	int64_t saved_ns; /* monotonic */
	uint64_t saved_arrival;
	int out_fd;

	struct behind *behind; /* while finding again */
	struct note *found;
	size_t n_behind, n_found;
	bool found_all;

	struct slot *slots;
	size_t n_slots;
	uint64_t use;
	struct parsers parsers;
	struct spoiled spoiled[SPOILED_MAX]; /* a ring, the jobs' own */
	size_t n_spoiled;

	struct device **owing; /* with something owed, or a file that says so */
	size_t n_owing, room_owing;

	/* The job's. */
	struct note notes[JOB_BATCHES];
	bool skip[JOB_BATCHES]; /* another member's by now, or since it was noted */
	char names[JOB_BATCHES][LIMIT_DEVICE_NAME + 1];
	size_t n_notes, n_done;
	bool refill;
	uint64_t durable; /* arrival */
	struct buf text;
	uint64_t bytes;   /* of the output, as written by the job */
	struct told *told, **told_end;
	size_t n_told;     /* of the batch at hand */
	size_t told_bytes; /* of the job */
	int rc;
};

/* Syncs the output, then writes the cursor.  UV_E*. */
int deliver_save(struct deliver *d, const struct cursor *k);
/* Reads the cursor; a damaged one begins at now.  UV_E*. */
int deliver_load(struct deliver *d);
/* Opens the output file and cuts it to the cursor.  UV_E*. */
int deliver_open_output(struct deliver *d);
/* On a worker: one that was moved away is begun anew.  UV_E*. */
int deliver_check_output(struct deliver *d);
/* On a worker: writes d->text at d->bytes.  UV_E*. */
int deliver_write(struct deliver *d);
/* On a worker: opens the note's batch in a slot, which is *out.  The errors of
 * opened_open() and opened_next(). */
int deliver_open_note(struct deliver *d, const struct note *n,
		      struct slot **out);
void deliver_close_slot(struct slot *s);
/* On a worker, the job: finds d->found if d->refill, else gives out d->notes, as far as it gets
 * (d->n_done), saves d->save each second, and leaves the error in d->rc. */
void deliver_run(struct sys_work *w);
/* On a worker: fills d->found from d->behind. */
void deliver_find(struct deliver *d);

#endif
