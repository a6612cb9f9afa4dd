/* Everything that happens to log files, at random, against the tail: writes in pieces,
 * renames, copies with truncation, chains of names, links, deletions, reused inodes,
 * restarts with and without the collector's word, rewinds, short reads, failing calls.
 *
 * The rule that is checked: each line is stored exactly once.  Twice only where the
 * collector's watermarks were not to be had at a start, or where files are
 * known only by a beginning that others have too, and then flagged as a fork; not at all
 * only when its bytes stand in no file any more.
 *
 * TAIL_SEED=N repeats one seed; TAIL_SEEDS=FIRST-LAST runs a range.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/log.h"
#include "sources/names.h"
#include "tests/support/tail_sink.h"
#include "tests/support/world_compress.h"

/* Seeds beyond the usual range that have failed before. */
static const uint64_t failed_once[] = {
	829, 1114, 1270, 1316, 1478, 1543, 1561, 1573, 2028, 2681, 3499, 4149, 4319, 4354,
	5396, 5465, 5687, 6228, 6272, 7303, 7461, 7532, 7939, 8442, 8549, 8842, 8863, 8881, 9119,
	9828, 10175, 10228, 10616, 11310, 11584, 11592, 11634, 11939, 11940, 12054, 12453,
	12548, 13078, 13418, 13686, 13804, 14362,
};

enum { STEPS = 120, LINES_MAX = 20000, LINE_ROOM = 200 };

#define LOG "/var/log/app.log"

struct chaos {
	struct world w;
	struct sink k;
	char *paths[1];
	struct sources_file file;
	struct sources_options options;
	uint64_t dice; /* of its own: what the tail asks for changes nothing */
	int written, rotations;
	int stored_once[LINES_MAX];
	bool flagged[LINES_MAX];
	bool first[LINES_MAX]; /* of its file: all that some file may be known by */
	/* What this seed is about. */
	bool copies, renames, hello, shifting, banner, small, destroying, links,
		failing, packing;
};

static void quiet(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static uint64_t roll(struct chaos *c, uint64_t n)
{
	c->dice ^= c->dice << 13;
	c->dice ^= c->dice >> 7;
	c->dice ^= c->dice << 17;
	return (c->dice >> 11) % n;
}

static bool one_in(struct chaos *c, uint64_t n)
{
	return roll(c, n) == 0;
}

/* What is done, between the tail's own log, with TAIL_TEST_LOG set. */
static void trace(const struct chaos *c, const char *what, const char *path)
{
	if (getenv("TAIL_TEST_LOG") != NULL) {
		print_message("%.3f %s %s (line %d)\n",
			      (double)(c->w.now_ns % 1000000000000000000) / 1e9,
			      what, path, c->written);
	}
}

/* ---- the writer ---- */

static int line_text(char out[static LINE_ROOM], int number)
{
	return snprintf(out, LINE_ROOM, "line %06d %0*d\n", number,
			60 + number * 7 % 61, number);
}

/* 0: no such file, or an empty one. */
static size_t size_of(struct world *w, const char *path)
{
	const struct world_name *name = world_name(w, path);

	return name == NULL ? 0 : name->inode->n;
}

static void write_some(struct chaos *c, int n)
{
	char line[LINE_ROOM];

	if (c->banner && size_of(&c->w, LOG) == 0) {
		world_append(&c->w, LOG, "# every file begins like this\n");
	}
	c->first[c->written] = size_of(&c->w, LOG) < 31;
	for (; n > 0 && c->written < LINES_MAX; n--) {
		int len = line_text(line, c->written++);
		/* In two pieces, now and then with a pause between them. */
		size_t cut = one_in(c, 8) ? (size_t)roll(c, (uint64_t)len) : 0;

		if (cut > 0) {
			world_write(&c->w, LOG, line, cut);
			if (c->k.tail != NULL && one_in(c, 3)) {
				world_run(&c->w, (int64_t)roll(c, 1500));
			}
		}
		world_write(&c->w, LOG, line + cut, (size_t)len - cut);
	}
}

static void write_few(struct chaos *c)
{
	write_some(c, (int)roll(c, c->small ? 6 : 40));
}

/* ---- rotation ---- */

static void rotated_name(char out[static 64], int number)
{
	snprintf(out, 64, LOG ".%d", number);
}

/* The name that the next rotation gives. */
static void next_name(struct chaos *c, char out[static 64])
{
	char from[64], to[64];

	c->rotations++;
	if (!c->shifting) {
		rotated_name(out, c->rotations);
		return;
	}
	for (int i = c->rotations; i > 0; i--) {
		rotated_name(from, i);
		rotated_name(to, i + 1);
		if (world_name(&c->w, from) != NULL) {
			world_rename(&c->w, from, to);
		}
		for (int kind = CONTENT_GZIP; kind <= CONTENT_XZ; kind++) {
			char packed[80], next[80];

			snprintf(packed, sizeof packed, "%s%s", from,
				 compress_suffix((enum content_kind)kind));
			snprintf(next, sizeof next, "%s%s", to,
				 compress_suffix((enum content_kind)kind));
			if (world_name(&c->w, packed) != NULL) {
				world_rename(&c->w, packed, next);
			}
		}
	}
	rotated_name(out, 1);
}

static void copy_and_truncate(struct chaos *c, const char *to)
{
	trace(c, "copy", to);
	world_copy(&c->w, LOG, to);
	world_truncate(&c->w, LOG);
	if (one_in(c, 4)) {
		/* Beyond its old size before anybody looks. */
		write_some(c, 60);
	}
}

static void rename_and_create(struct chaos *c, const char *to)
{
	trace(c, "rename", to);
	world_rename(&c->w, LOG, to);
	if (one_in(c, 2)) {
		world_create(&c->w, LOG, 0);
	}
}

static void rotate(struct chaos *c)
{
	char to[64];

	if (world_name(&c->w, LOG) == NULL) {
		return;
	}
	next_name(c, to);
	if (c->copies && (!c->renames || one_in(c, 2))) {
		copy_and_truncate(c, to);
	} else if (c->renames) {
		rename_and_create(c, to);
	}
}

static void half_way(void *arg)
{
	struct chaos *c = arg;

	if (c->k.tail != NULL) {
		world_run(&c->w, (int64_t)roll(c, 3000));
	}
}

/* Compresses a rotated file, as is done some time after the rotation. */
static void compress_one(struct chaos *c)
{
	char path[64];
	int number = 1 + (int)roll(c, (uint64_t)c->rotations + 1);

	rotated_name(path, number);
	if (world_name(&c->w, path) != NULL) {
		trace(c, "compress", path);
		world_compress(&c->w, path, compress_kind(roll(c, 3)),
			       one_in(c, 2) ? half_way : NULL, c);
	}
}

/* A second name for a file, or one of two is taken away. */
static void change_links(struct chaos *c)
{
	struct world_name *name = world_name(&c->w, LOG);

	trace(c, "link or unlink", LOG ".link");
	if (world_name(&c->w, LOG ".link") != NULL) {
		world_unlink(&c->w, LOG ".link");
	} else if (name != NULL) {
		world_link(&c->w, LOG, LOG ".link");
	}
}

/* What is destroyed may be lost, and nothing else. */
static void destroy(struct chaos *c)
{
	const struct world_name *name;
	char path[64];
	uint64_t ino;

	rotated_name(path, 1 + (int)roll(c, (uint64_t)c->rotations + 1));
	trace(c, "destroy", "");
	switch (roll(c, 4)) {
	case 0:
		if (world_name(&c->w, path) != NULL) {
			world_unlink(&c->w, path);
		}
		break;
	case 1:
		if (world_name(&c->w, LOG) != NULL) {
			world_truncate(&c->w, LOG);
		}
		break;
	case 2:
		/* The number of the inode is another file's at once, unless somebody
		 * holds it open. */
		name = world_name(&c->w, LOG);
		if (name != NULL && name->inode->fds == 0 && name->inode->nlink == 1) {
			ino = name->inode->ino;
			world_unlink(&c->w, LOG);
			world_create(&c->w, LOG, ino);
		}
		break;
	default:
		if (world_name(&c->w, LOG) != NULL) {
			world_unlink(&c->w, LOG);
		}
	}
}

/* ---- the agent ---- */

static void start(struct chaos *c)
{
	trace(c, "start", "");
	c->k.room = one_in(c, 2) ? SIZE_MAX : 10 + roll(c, 50);
	if (c->failing && one_in(c, 2)) {
		c->w.fail_at = c->w.calls + 1 + roll(c, 300);
	}
	if (sink_try_start(&c->k) != 0) {
		tail_free(c->k.tail);
		c->w.fail_at = 0;
		sink_start(&c->k);
	}
}

static void restart(struct chaos *c)
{
	trace(c, "crash", "");
	sink_crash(&c->k);
	for (uint64_t i = roll(c, 4); i > 0; i--) {
		write_few(c);
		c->w.now_ns += (int64_t)roll(c, 3) * 500000000;
		if (one_in(c, 2)) {
			rotate(c);
		}
		if (c->links && one_in(c, 6)) {
			change_links(c);
		}
		if (c->packing && one_in(c, 3)) {
			compress_one(c);
		}
		if (c->destroying && one_in(c, 6)) {
			destroy(c);
		}
	}
	start(c);
}

static void step(struct chaos *c)
{
	switch (roll(c, 14)) {
	case 0: case 1: case 2: case 3:
		trace(c, "write", "");
		write_few(c);
		break;
	case 4: case 5:
		world_run(&c->w, (int64_t)roll(c, 300));
		trace(c, "ran", "");
		break;
	case 6:
		world_run(&c->w, (int64_t)roll(c, 5000));
		break;
	case 7: case 8:
		sink_ack(&c->k, roll(c, 60));
		break;
	case 9:
		rotate(c);
		break;
	case 10:
		trace(c, "checkpoint", "");
		sink_checkpoint(&c->k);
		break;
	case 11:
		trace(c, "rewind", "");
		tail_rewind_all(c->k.tail);
		sink_drop_pending(&c->k);
		break;
	case 12:
		if (c->links) {
			change_links(c);
		}
		if (c->packing) {
			compress_one(c);
		}
		if (c->destroying && one_in(c, 3)) {
			destroy(c);
		}
		break;
	default:
		restart(c);
	}
}

/* ---- the judgement ---- */

static void count_stored(struct chaos *c)
{
	for (size_t i = 0; i < c->k.n_stored; i++) {
		const struct sink_row *row = &c->k.stored[i];
		char line[LINE_ROOM];
		int n = atoi(row->text + 5);

		if (strncmp(row->text, "line ", 5) != 0 || n >= c->written ||
		    (row->flags & RECORD_CONTINUATION) != 0) {
			continue;
		}
		line_text(line, n);
		/* One that was cut in two by a timeout counts by its beginning. */
		if (strncmp(line, row->text, row->n) == 0) {
			c->stored_once[n]++;
			c->flagged[n] |= sink_find(&c->k, &row->id)->fork;
		}
	}
}

/* Where a line was stored, with TAIL_TEST_LOG set. */
static void trace_line(struct chaos *c, int number)
{
	char line[LINE_ROOM];
	int n = line_text(line, number);

	for (size_t i = 0; getenv("TAIL_TEST_LOG") && i < c->k.n_stored; i++) {
		const struct sink_row *row = &c->k.stored[i];

		if (row->n + 1 == (size_t)n &&
		    memcmp(row->text, line, row->n) == 0) {
			print_message("line %d: stream %02x%02x at %llu\n",
				      number, row->id.b[0], row->id.b[1],
				      (unsigned long long)row->start);
		}
	}
}

static bool stands_in_a_file(struct chaos *c, int number)
{
	char line[LINE_ROOM];
	int n = line_text(line, number);

	for (size_t i = 0; i < c->w.n_names; i++) {
		const struct world_inode *in = c->w.names[i].inode;

		if (!names_in_list(&c->file.paths, c->w.names[i].path) &&
		    strcmp(c->w.names[i].path, LOG ".link") == 0) {
			continue; /* Nobody was told to read it. */
		}
		if (in->n > 0 && memmem(in->data, in->n, line, (size_t)n)) {
			return true;
		}
	}
	return false;
}

static bool judge(struct chaos *c, uint64_t seed)
{
	unsigned lost = 0, doubled = 0, unflagged = 0;
	int first = -1;

	count_stored(c);
	for (int i = 0; i < c->written; i++) {
		int n = c->stored_once[i];
		bool excused = n == 0 ? c->destroying && !stands_in_a_file(c, i)
				      : n == 1 || (c->flagged[i] &&
						   (!c->hello || c->banner ||
						    c->first[i]));

		if (!excused) {
			lost += n == 0;
			doubled += n > 1;
			unflagged += n > 1 && !c->flagged[i];
			first = first < 0 ? i : first;
		}
	}
	if (first >= 0) {
		trace_line(c, first);
		print_error("seed %llu: %u lost, %u doubled (%u not flagged), "
			    "the first is line %d of %d; copies=%d renames=%d hello=%d shifting=%d all=%d "
			    "banner=%d small=%d destroying=%d links=%d failing=%d packing=%d\n",
			    (unsigned long long)seed, lost, doubled, unflagged, first,
			    c->written, c->copies, c->renames, c->hello,
			    c->shifting, strchr(c->paths[0], '*') != NULL,
			    c->banner, c->small, c->destroying, c->links,
			    c->failing, c->packing);
	}
	return first < 0;
}

static bool run_seed(uint64_t seed)
{
	static char glob_log[] = LOG, glob_all[] = LOG "*";
	struct chaos *c = calloc(1, sizeof *c);
	bool good;

	c->dice = seed * 0x9e3779b97f4a7c15u | 1;
	for (int i = 0; i < 8; i++) {
		roll(c, 2);
	}
	world_init(&c->w, seed);
	c->paths[0] = one_in(c, 2) ? glob_log : glob_all;
	c->file.paths = (struct strlist){c->paths, 1};
	c->options = (struct sources_options){
		.files = &c->file, .n_files = 1, .line_max = 16384,
		.poll_interval_ms = 1000, .last_line_timeout_ms = 20000,
	};
	sink_init(&c->k, &c->w, &c->options);
	c->k.hello = !one_in(c, 3);
	c->hello = c->k.hello;
	c->copies = one_in(c, 2);
	c->renames = !c->copies || one_in(c, 2);
	c->shifting = one_in(c, 3);
	c->banner = one_in(c, 4);
	c->small = one_in(c, 4);
	c->destroying = one_in(c, 6);
	c->links = one_in(c, 4);
	c->failing = one_in(c, 4);
	c->packing = one_in(c, 3);
	c->w.watching = !one_in(c, 3);
	c->w.short_read = one_in(c, 5) ? 1000 : 0;
	/* A name whose first file nobody ever saw is nobody's business. */
	write_few(c);
	write_some(c, 1);
	start(c);
	world_run(&c->w, 2000);
	for (int i = 0; i < STEPS; i++) {
		step(c);
	}
	c->w.fail_at = 0;
	c->k.room = SIZE_MAX;
	/* Somebody writes to the name again some day. */
	write_some(c, 1);
	for (int i = 0; i < 60; i++) {
		world_run(&c->w, 1000);
		sink_ack_all(&c->k);
	}
	good = judge(c, seed);
	sink_fini(&c->k);
	world_fini(&c->w);
	free(c);
	return good;
}

static void whatever_happens_to_files_each_line_is_stored_once(void **state)
{
	const char *one = getenv("TAIL_SEED"), *range = getenv("TAIL_SEEDS");
	const char *dash = range != NULL ? strchr(range, '-') : NULL;
	uint64_t first = 1, last = 300, failed = 0;

	(void)state;
	if (one != NULL) {
		first = last = strtoull(one, NULL, 10);
	} else if (dash != NULL) {
		first = strtoull(range, NULL, 10);
		last = strtoull(dash + 1, NULL, 10);
	}
	for (uint64_t seed = first; seed <= last; seed++) {
		failed += !run_seed(seed);
	}
	for (size_t i = 0; one == NULL && dash == NULL &&
			   i < sizeof failed_once / sizeof failed_once[0]; i++) {
		failed += !run_seed(failed_once[i]);
	}
	print_message("seeds %llu to %llu: %llu failed\n",
		      (unsigned long long)first, (unsigned long long)last,
		      (unsigned long long)failed);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			whatever_happens_to_files_each_line_is_stored_once),
	};

	if (getenv("TAIL_TEST_LOG") == NULL) {
		log_set_sink(quiet, NULL);
	}
	log_set_level(getenv("TAIL_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
