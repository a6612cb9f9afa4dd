#include "tests/sim/truth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/rig.h"

static const char *const names[TRUTH_FILES] = {
	"/log/auth.log", "/log/mail.log", "/log/web.log"};

enum { CHAIN = 9, PORT = 2000, MS = 1000000 };

void truth_free(struct truth *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->contents[i].p);
		free(t->contents[i].marks);
	}
	t->n = 0;
}

struct mark *truth_mark(struct truth *t, int content, size_t at)
{
	while (at < t->contents[content].shared) {
		content = t->contents[content].parent;
	}
	return &t->contents[content].marks[at];
}

static void add_bytes(struct content *c, const char *p, size_t n)
{
	if (c->n + n > c->room) {
		size_t room = (c->n + n) * 2;

		c->p = realloc(c->p, room);
		c->marks = realloc(c->marks, room * sizeof *c->marks);
		if (c->p == NULL || c->marks == NULL) {
			abort();
		}
		memset(c->marks + c->room, 0,
		       (room - c->room) * sizeof *c->marks);
		c->room = room;
	}
	memcpy(c->p + c->n, p, n);
	c->n += n;
}

static int new_content(struct truth *t, int64_t now_ns, unsigned file, int parent,
		       size_t shared)
{
	struct content *c = &t->contents[t->n];

	if (t->n == TRUTH_CONTENTS) {
		fprintf(stderr, "simulation: too many files\n");
		abort();
	}
	*c = (struct content){.file = file, .parent = parent, .shared = shared,
			      .born_ns = now_ns, .stamped_ns = now_ns,
			      .rotated_ns = INT64_MAX, .destroyed_ns = INT64_MAX};
	if (parent >= 0) {
		add_bytes(c, t->contents[parent].p, shared);
	}
	return (int)t->n++;
}

static void destroy(struct truth *t, int64_t now_ns, int content, size_t from)
{
	struct content *c = &t->contents[content];

	if (c->destroyed_ns == INT64_MAX) {
		c->destroyed_ns = now_ns;
	}
	for (size_t i = from; i < c->n; i++) {
		if (i >= c->shared || !c->is_copy) {
			truth_mark(t, content, i)->dead = true;
		}
	}
}

uint64_t truth_of_path(const struct truth *t, const char *text, size_t n)
{
	static const char member[] = "\"path\":\"";
	const char *path = memmem(text, n, member, sizeof member - 1);
	uint64_t found = 0;

	if (path == NULL) {
		return UINT64_MAX;
	}
	path += sizeof member - 1;
	for (size_t i = 0; i < t->n; i++) {
		const char *name = names[t->contents[i].file];

		if ((size_t)(text + n - path) >= strlen(name) &&
		    memcmp(path, name, strlen(name)) == 0) {
			found |= UINT64_C(1) << i;
		}
	}
	return found != 0 ? found : UINT64_MAX;
}

/* ---- lines ---- */

static void append(struct writer *w, unsigned file, const char *p, size_t n)
{
	if (w->content[file] < 0) {
		w->content[file] = new_content(w->truth, world_now_ns(w->w),
					       file, -1, 0);
		w->truth->contents[w->content[file]].node = w->node;
		if (rig_verbose) {
			printf("%.3f %s log %d begins\n",
			       (double)world_now_ns(w->w) / 1e9, names[file],
			       w->content[file]);
		}
		if (w->same_first_line) {
			static const char first[] =
				"Nov 22 15:00:00 host logger: log begins\n";

			_Static_assert(sizeof first - 1 == TRUTH_FIRST,
				       "as truth.h says");
			append(w, file, first, sizeof first - 1);
		}
	}
	add_bytes(&w->truth->contents[w->content[file]], p, n);
	w->truth->contents[w->content[file]].stamped_ns = world_now_ns(w->w);
	disk_append(w->node, names[file], p, n);
}

/* ---- compression ---- */

static uint64_t own_rnd(uint64_t *seed, uint64_t n)
{
	uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) % n;
}

static uint64_t packing_rnd(struct packing *p, uint64_t n)
{
	return own_rnd(&p->seed, n);
}

void writer_compress(struct writer *w, uint64_t seed)
{
	w->packing = (struct packing){.on = true, .seed = seed};
	w->packing.delay = packing_rnd(&w->packing, 2) == 0;
}

static void pack(struct writer *w, const char *path, unsigned part)
{
	char packed[80];

	snprintf(packed, sizeof packed, "%s.gz", path);
	disk_gzip(w->node, path, packed, part);
	if (rig_verbose) {
		printf("%.3f %s is compressed, %u of 256\n",
		       (double)world_now_ns(w->w) / 1e9, path, part);
	}
}

static void pack_rest(struct writer *w)
{
	if (w->packing.half[0] != '\0') {
		pack(w, w->packing.half, 256);
		w->packing.half[0] = '\0';
	}
}

static void on_pack(void *arg)
{
	pack_rest(arg);
}

/* What was rotated just now, or the time before; at once, or a part and soon the rest. */
static void compress_rotated(struct writer *w, unsigned file)
{
	struct packing *p = &w->packing;
	char path[64];

	snprintf(path, sizeof path, "%s.%d", names[file], p->delay ? 2 : 1);
	if (!disk_has(w->node, path)) {
		return;
	}
	if (packing_rnd(p, 2) == 0) {
		pack(w, path, 256);
		return;
	}
	memcpy(p->half, path, sizeof path);
	pack(w, path, (unsigned)packing_rnd(p, 256));
	world_after(w->w, NULL, (int64_t)(1 + packing_rnd(p, 3000)) * MS, on_pack, w);
}

static void move_up(struct writer *w, unsigned file, const char *suffix)
{
	char from[64], to[64];

	for (int i = CHAIN - 1; i > 0; i--) {
		snprintf(from, sizeof from, "%s.%d%s", names[file], i, suffix);
		snprintf(to, sizeof to, "%s.%d%s", names[file], i + 1, suffix);
		disk_rename(w->node, from, to);
	}
}

static void rotated(struct writer *w, unsigned file, bool renamed)
{
	if (w->content[file] >= 0) {
		struct content *c = &w->truth->contents[w->content[file]];

		c->rotated_ns = world_now_ns(w->w);
		c->stamped_ns = renamed ? c->stamped_ns : c->rotated_ns;
	}
	w->content[file] = -1;
	if (w->packing.on) {
		compress_rotated(w, file);
	}
}

static void end_copy(struct writer *w)
{
	struct between *b = &w->between;

	if (b->copy[0] != '\0') {
		disk_copy_truncate(w->node, names[b->copied], b->copy, 256);
		b->copy[0] = '\0';
		rotated(w, b->copied, false);
	}
}

static void on_copy_end(void *arg)
{
	end_copy(arg);
}

/* Nothing is written to the log until the copy is whole. */
static void begin_copy(struct writer *w, unsigned file, const char *to)
{
	struct between *b = &w->between;

	snprintf(b->copy, sizeof b->copy, "%s", to);
	b->copied = file;
	disk_copy_truncate(w->node, names[file], to, (unsigned)own_rnd(&b->seed, 256));
	world_after(w->w, NULL, (int64_t)own_rnd(&b->seed, 1500) * MS, on_copy_end, w);
}

/* NAME.8 becomes NAME.9, whose bytes are gone ... and NAME becomes NAME.1.  Before the
 * first contact nobody could have taken them: so often it is not rotated then. */
static void rotate(struct writer *w, unsigned file)
{
	char to[64];
	bool renamed;

	if (!*w->met && ++w->rotated_unmet[file] >= CHAIN) {
		return;
	}
	pack_rest(w);
	end_copy(w);
	w->rotations[file]++;
	move_up(w, file, "");
	if (w->packing.on) {
		move_up(w, file, ".gz");
	}
	snprintf(to, sizeof to, "%s.1", names[file]);
	renamed = world_rnd(w->w, 2) == 0;
	if (rig_verbose) {
		printf("%.3f %s log %d is %s\n", (double)world_now_ns(w->w) / 1e9,
		       names[file], w->content[file],
		       renamed ? "renamed" : "copied and cut");
	}
	if (!renamed && w->between.on && own_rnd(&w->between.seed, 2) == 0) {
		begin_copy(w, file, to);
		return;
	}
	if (renamed) {
		disk_rename(w->node, names[file], to);
	} else {
		disk_copy_truncate(w->node, names[file], to, 256);
	}
	rotated(w, file, renamed);
}

/* The number stands in front of what a cap may cut away. */
static size_t make_line(char out[static TRUTH_LINE], unsigned number,
			bool is_long)
{
	int n = snprintf(out, TRUTH_LINE,
			 "Nov 22 15:%02u:%02u host sshd[%u]: Failed password "
			 "for root from 192.0.2.7 port %u ssh2",
			 number / 60 % 60, number % 60, 1000 + number,
			 PORT + number);

	if (is_long) {
		memset(out + n, 'x', 3000);
		n += 3000;
	}
	out[n] = '\n';
	return (size_t)n + 1;
}

static void write_some(struct writer *w)
{
	char line[TRUTH_LINE];
	unsigned file;
	size_t n;

	end_copy(w);
	if (w->tail[0] != '\0') {
		append(w, w->tail_file, w->tail, strlen(w->tail));
		w->tail[0] = '\0';
		return;
	}
	file = (unsigned)world_rnd(w->w, w->files);
	if (w->rotate_every > 0 &&
	    w->number % w->rotate_every == w->rotate_every - 1) {
		rotate(w, file);
	}
	n = make_line(line, w->number, w->long_lines && w->number % 7 == 3);
	w->number++;
	w->left--;
	if (world_rnd(w->w, 8) == 0) {
		size_t cut = 1 + (size_t)world_rnd(w->w, n - 2);

		line[n] = '\0';
		strcpy(w->tail, line + cut);
		w->tail_file = file;
		n = cut;
	}
	append(w, file, line, n);
}

bool writer_is_done(const struct writer *w)
{
	return !w->enabled || (w->left == 0 && w->tail[0] == '\0');
}

/* The bytes of the oldest would be gone. */
static bool may_rotate_once_more(const struct writer *w, unsigned file)
{
	return w->rotate_every > 0 &&
	       w->rotations[file] + w->left / w->rotate_every + 2 < CHAIN;
}

static void on_between(void *arg)
{
	struct writer *w = arg;
	struct between *b = &w->between;
	unsigned file;

	if (own_rnd(&b->seed, 128) != 0) {
		return;
	}
	if (b->copy[0] != '\0') {
		end_copy(w);
		return;
	}
	if (!w->enabled || writer_is_done(w)) {
		return;
	}
	file = (unsigned)own_rnd(&b->seed, w->files);
	if (own_rnd(&b->seed, 2) == 0 && w->tail[0] == '\0' && w->content[file] >= 0 &&
	    may_rotate_once_more(w, file)) {
		rotate(w, file);
	} else {
		write_some(w);
	}
}

void writer_act_between(struct writer *w, uint64_t seed)
{
	w->between = (struct between){.on = true, .seed = seed ^ 0xb};
	node_set_between(w->node, on_between, w);
}

static void on_time(void *arg)
{
	struct writer *w = arg;

	if (writer_is_done(w)) {
		return;
	}
	write_some(w);
	writer_start(w, (int64_t)(1 + world_rnd(w->w, w->pace_ms)) * MS);
}

void writer_start(struct writer *w, int64_t after_ns)
{
	world_after(w->w, NULL, after_ns, on_time, w);
}

/* ---- copies ---- */

void writer_save(const struct writer *w, struct writer_backup *b)
{
	b->n_contents = w->truth->n;
	for (unsigned i = 0; i < TRUTH_FILES; i++) {
		b->content[i] = w->content[i];
		b->size[i] = w->content[i] < 0
				     ? 0
				     : w->truth->contents[w->content[i]].n;
	}
}

void writer_restore(struct writer *w, const struct writer_backup *b, bool copied)
{
	struct truth *t = w->truth;
	int64_t now_ns = world_now_ns(w->w);
	size_t n = t->n;

	for (size_t i = b->n_contents; i < n && !copied; i++) {
		destroy(t, now_ns, (int)i, t->contents[i].shared);
	}
	for (unsigned i = 0; i < TRUTH_FILES; i++) {
		w->content[i] = -1;
		if (b->content[i] >= 0) {
			if (!copied) {
				destroy(t, now_ns, b->content[i], b->size[i]);
			}
			w->content[i] = new_content(t, now_ns, i, b->content[i],
						    b->size[i]);
			t->contents[w->content[i]].is_copy = copied;
			t->contents[w->content[i]].node = w->node;
		}
	}
	w->packing.half[0] = '\0'; /* Its part stays, as after a crash of gzip. */
	w->between.copy[0] = '\0';
	/* What was begun is ended somehow. */
	if (w->tail[0] != '\0' && w->content[w->tail_file] < 0) {
		w->tail[0] = '\0';
	}
}
