/* truth: what was written to the logs of the simulated machines, byte by byte, and
 * what became of it: the other half of the check.
 *
 * A content is what one file held from its first byte on.  It keeps its identity
 * when the file is renamed or copied; a new file, and what is written after a
 * truncation, is another content.  A machine that is cloned or put back to a backup
 * goes on with a child: it shares its first bytes with its parent.
 */
#ifndef TESTS_SIM_TRUTH_H
#define TESTS_SIM_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/world.h"

enum { TRUTH_CONTENTS = 64, TRUTH_FILES = 3, TRUTH_LINE = 4096,
       TRUTH_FIRST = 40 /* bytes of the first line that files may share */ };

/* Of one byte. */
struct mark {
	uint8_t data;   /* records that hold it */
	uint8_t fork;   /* likewise, in streams that say that they may repeat */
	uint8_t gap;    /* gap records over it */
	uint8_t held;   /* by a store, see judge.h */
	uint8_t missed; /* "the rest was not found" stands before it */
	uint8_t trimmed; /* a fork says that another stream has it */
	bool dead;      /* destroyed, with the disk it was on, before anybody had to read it */
};

struct content {
	char *p;
	struct mark *marks;
	size_t n, room;
	unsigned file; /* whose log it is, of the TRUTH_FILES */
	int parent;    /* -1: none */
	bool is_copy;  /* its parent goes on as well, on another machine */
	size_t shared; /* with it */
	struct node *node; /* the machine it was written on */
	int64_t born_ns; /* on the world's clock */
	int64_t stamped_ns; /* likewise: the time that its file bears */
	int64_t rotated_ns; /* its name is another log's since; INT64_MAX: never */
	int64_t destroyed_ns; /* some of it, with its disk; INT64_MAX: never */
};

struct truth {
	struct content contents[TRUTH_CONTENTS];
	size_t n;
};

/* How rotated logs are compressed, as logrotate does; drawn from a stream of its own, so
 * that a seed without it is what it was. */
struct packing {
	bool on, delay; /* `compress`, and `delaycompress` */
	uint64_t seed;
	char half[64];  /* of which a part is written; "": none */
};

/* What the writer does between two calls of the agent; likewise. */
struct between {
	bool on;
	uint64_t seed;
	char copy[64];      /* that is being made; "": none */
	unsigned copied;    /* whose */
};

/* Who writes lines on one machine. */
struct writer {
	struct truth *truth;
	struct node *node;
	struct world *w;
	unsigned files;          /* of TRUTH_FILES */
	unsigned left;           /* lines to be written */
	unsigned pace_ms;        /* at most so long between two */
	unsigned rotate_every;   /* lines; 0: never */
	unsigned number;         /* of the next line */
	bool long_lines, same_first_line;
	bool enabled;
	const bool *met; /* a collector has heard this device */
	unsigned rotated_unmet[TRUTH_FILES]; /* times, before that */
	int content[TRUTH_FILES]; /* -1: there is no such file */
	char tail[TRUTH_LINE];    /* the rest of a line begun */
	unsigned tail_file;
	unsigned rotations[TRUTH_FILES];
	struct packing packing;
	struct between between;
};

/* The writer of a machine after its disk was copied or put back. */
struct writer_backup {
	int content[TRUTH_FILES];
	size_t size[TRUTH_FILES];
	size_t n_contents;
};

void truth_free(struct truth *t);
/* The byte at `at` as its first owner has it. */
struct mark *truth_mark(struct truth *t, int content, size_t at);

/* From now on rotated logs are compressed. */
void writer_compress(struct writer *w, uint64_t seed);

/* From now on logs are written and rotated between any two I/O calls of the agent as well,
 * and a copy takes its time. */
void writer_act_between(struct writer *w, uint64_t seed);

/* A bit for each content of the log that this text (JSON, of a stream's first record)
 * names; all of them when it names none. */
uint64_t truth_of_path(const struct truth *t, const char *text, size_t n);

/* Writes a line, a part of one or the rest of it, now, and plans the next. */
void writer_start(struct writer *w, int64_t after_ns);
bool writer_is_done(const struct writer *w);
void writer_save(const struct writer *w, struct writer_backup *b);
/* The files are as they were at the backup; what came since on this machine is
 * destroyed unless `copied`. */
void writer_restore(struct writer *w, const struct writer_backup *b, bool copied);

#endif
