/* Whose streams are remembered when there is no room for all.
 *
 * Whoever may make files can have as many streams as the table holds, and what is
 * forgotten of another would be read again.  So whenever there is no room, the pattern that
 * has most gives way, in it the folder that has most (a wildcard may match folders that
 * anybody can make), and there first what has no file any more.  Patterns and folders are
 * counted by salted hashes; two that meet in one count are taken for one.
 *
 * A file whose stream was forgotten would be taken for a new one at the next scan, and make
 * another one be forgotten, without end.  So a file that has no stream is not begun if it
 * would push out one of its own folder that is not older, or was written to lately: what
 * is forgotten is always the file written longest ago, and stays so until it changes. */
#include <stdlib.h>
#include <xxhash.h>

#include "common/err.h"
#include "common/log.h"
#include "sources/tail_impl.h"

enum {
	COUNTS = 4096,
	FORGOTTEN_BITS = 1 << 20,
};
/* What was not written to for so long may be forgotten for another one's sake. */
#define LATELY_NS INT64_C(3600000000000)

struct tally {
	uint16_t n, gone;  /* gone: their file was not seen by the last scan */
	uint16_t most;     /* of a pattern: in one of its folders */
	int64_t oldest_ns; /* of the others: the oldest time of writing */
};

struct census {
	uint64_t scan; /* by when it was taken; 0: it has to be taken again */
	uint16_t most; /* in one pattern */
	struct tally patterns[COUNTS], folders[COUNTS];
	/* A bit for each inode whose stream was forgotten. */
	unsigned char forgotten[FORGOTTEN_BITS / 8];
};

int forget_init(struct tail *t)
{
	t->census = calloc(1, sizeof *t->census);
	return t->census == NULL ? UV_ENOMEM : 0;
}

void forget_fini(struct tail *t)
{
	free(t->census);
	t->census = NULL;
}

/* ---- who is counted with whom ---- */

/* The number of the first pattern that matches, of all entries; 0: none. */
static size_t pattern_of(const struct tail *t, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < t->options->n_files; i++) {
		const struct sources_file *sf = &t->options->files[i];

		for (size_t j = 0; j < sf->paths.n; j++) {
			n++;
			if (names_matches(sf->paths.v[j], path)) {
				return n;
			}
		}
	}
	return 0;
}

static struct crowd crowd_of(const struct tail *t, const char *path)
{
	struct crowd c;
	uint64_t salt;

	memcpy(&salt, t->secret, sizeof salt);
	c.pattern = (uint16_t)(pattern_of(t, path) % COUNTS);
	c.folder = (uint16_t)(XXH3_64bits_withSeed(path, (size_t)(names_base(path) - path),
						   salt + c.pattern) % COUNTS);
	return c;
}

void forget_class(const struct tail *t, struct known *k)
{
	k->crowd = crowd_of(t, k->st.path != NULL ? k->st.path : "");
}

static bool is_there(const struct tail *t, const struct known *k)
{
	/* While a scan runs, what it has not come to yet was seen by the one before. */
	return k->present || k->seen_scan + 1 >= t->n_scans;
}

static void count(struct tally *y, const struct known *k, bool there)
{
	if (!there) {
		y->gone++;
	} else if (y->n == y->gone || k->st.mtime_ns < y->oldest_ns) {
		y->oldest_ns = k->st.mtime_ns;
	}
	y->n++;
}

static struct census *take_census(struct tail *t)
{
	struct census *c = t->census;

	c->scan = t->n_scans;
	c->most = 0;
	memset(c->patterns, 0, sizeof c->patterns);
	memset(c->folders, 0, sizeof c->folders);
	for (size_t i = 0; i < t->n_known; i++) {
		const struct known *k = t->known[i];
		struct tally *p = &c->patterns[k->crowd.pattern];
		struct tally *f = &c->folders[k->crowd.folder];
		bool there = is_there(t, k);

		count(p, k, there);
		count(f, k, there);
		p->most = f->n > p->most ? f->n : p->most;
		c->most = p->n > c->most ? p->n : c->most;
	}
	return c;
}

/* ---- who gives way ---- */

/* < 0: a is rather kept.  Of one folder. */
static int keep_first(const struct known *a, const struct known *b)
{
	if (known_done(a) != known_done(b)) {
		return known_done(a) ? 1 : -1;
	}
	return a->st.seen_ns > b->st.seen_ns   ? -1
	       : a->st.seen_ns < b->st.seen_ns ? 1
					       : 0;
}

static bool rather_forgotten(const struct tail *t, const struct known *a,
			     const struct known *b)
{
	bool a_there = is_there(t, a), b_there = is_there(t, b);

	if (a_there != b_there) {
		return b_there;
	}
	return a_there ? a->st.mtime_ns < b->st.mtime_ns : keep_first(a, b) > 0;
}

/* One more is `own`'s, and of equals it is the one that has most. */
static unsigned weight(const struct tally *tallies, uint16_t at, uint16_t own)
{
	return 2u * tallies[at].n + (at == own ? 3 : 0);
}

/* The place of the one that gives way for one of `own`. */
static size_t victim_for(struct tail *t, struct crowd own)
{
	const struct census *c = take_census(t);
	unsigned most_p = 0, most_f = 0;
	size_t at = 0;

	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];
		unsigned p = weight(c->patterns, k->crowd.pattern, own.pattern);
		unsigned f = weight(c->folders, k->crowd.folder, own.folder);

		if (p > most_p || (p == most_p && f > most_f) ||
		    (p == most_p && f == most_f &&
		     rather_forgotten(t, k, t->known[at]))) {
			most_p = p;
			most_f = f;
			at = i;
		}
	}
	return at;
}

static size_t bit_of(uint64_t dev, uint64_t ino)
{
	return ((ino ^ dev << 20) * 0x9e3779b97f4a7c15u >> 44) % FORGOTTEN_BITS;
}

static void forget_one(struct tail *t, struct crowd own)
{
	struct known *k = t->known[victim_for(t, own)];
	size_t bit = bit_of(k->st.dev, k->st.ino);

	if (k->st.ino != 0) {
		t->census->forgotten[bit / 8] |= (unsigned char)(1u << bit % 8);
	}
	known_take(t, k);
	known_free(k);
	t->census->scan = 0;
}

bool forget_was(const struct tail *t, uint64_t dev, uint64_t ino)
{
	size_t bit = bit_of(dev, ino);

	return (t->census->forgotten[bit / 8] >> bit % 8 & 1) != 0;
}

void forget_for(struct tail *t, const struct known *k)
{
	if (t->n_known >= t->max_known) {
		forget_one(t, k->crowd);
	}
}

/* ---- which files are begun ---- */

static void tell_refused(struct tail *t, const char *path)
{
	static const char detail[] =
		"more log files match than are remembered; of those that are new or were "
		"forgotten, the ones written longest ago are not read";
	struct slice folder = slice(path, (size_t)(names_base(path) - path));
	char quoted[512];

	t->refused_scan = t->n_scans;
	if (t->refused_told) {
		return;
	}
	t->refused_told = true;
	log_warn(detail, "folder=%s remembered=%zu",
		 log_quote(quoted, sizeof quoted, folder), t->n_known);
	if (t->cb.blind != NULL) {
		t->cb.blind(t->arg, folder, slice_str(detail));
	}
}

bool forget_refuses(struct tail *t, const char *path, const struct sys_stat *st)
{
	const struct census *c = t->census;
	const struct tally *p, *f;
	struct crowd own;

	if (t->n_known + t->n_open < t->max_known || st->size == 0) {
		return false;
	}
	own = crowd_of(t, path);
	c = c->scan == t->n_scans ? c : take_census(t);
	p = &c->patterns[own.pattern];
	f = &c->folders[own.folder];
	if (p->n + 1u < c->most || f->n + 1u < p->most) {
		return false; /* Another one has more. */
	}
	f = f->n > 0 ? f : p; /* No folder has more than one. */
	if (f->n == 0 || f->gone > 0 ||
	    (st->mtime_ns > f->oldest_ns &&
	     f->oldest_ns <= sys_wall_ns(t->sys) - LATELY_NS)) {
		return false;
	}
	tell_refused(t, path);
	return true;
}

void forget_for_file(struct tail *t, const struct file *f)
{
	if (t->n_known > 0 && file_disk_size(f) > 0 &&
	    t->n_known + t->n_open > t->max_known) {
		forget_one(t, crowd_of(t, f->path));
	}
}

void forget_scan_ends(struct tail *t)
{
	if (t->refused_scan != t->n_scans) {
		t->refused_told = false;
	}
}

/* ---- what is saved first ---- */

static int by_folder(const void *a, const void *b)
{
	const struct known *x = *(struct known *const *)a;
	const struct known *y = *(struct known *const *)b;

	return x->crowd.pattern != y->crowd.pattern
		       ? x->crowd.pattern - y->crowd.pattern
	       : x->crowd.folder != y->crowd.folder
		       ? x->crowd.folder - y->crowd.folder
		       : keep_first(x, y);
}

static int by_rank(const void *a, const void *b)
{
	const struct known *x = *(struct known *const *)a;
	const struct known *y = *(struct known *const *)b;

	return x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : keep_first(x, y);
}

static int by_pattern(const void *a, const void *b)
{
	const struct known *x = *(struct known *const *)a;
	const struct known *y = *(struct known *const *)b;

	return x->crowd.pattern != y->crowd.pattern
		       ? x->crowd.pattern - y->crowd.pattern
		       : by_rank(a, b);
}

static bool same_pattern(const struct known *a, const struct known *b)
{
	return a->crowd.pattern == b->crowd.pattern;
}

static bool same_folder(const struct known *a, const struct known *b)
{
	return same_pattern(a, b) && a->crowd.folder == b->crowd.folder;
}

/* Sorts, and numbers what stands together. */
static void rank(struct tail *t, int (*order)(const void *, const void *),
		 bool (*together)(const struct known *, const struct known *))
{
	qsort(t->known, t->n_known, sizeof t->known[0], order);
	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];
		const struct known *before = i > 0 ? t->known[i - 1] : NULL;

		k->rank = before != NULL && together(before, k) ? before->rank + 1 : 0;
	}
}

void known_sort(struct tail *t)
{
	rank(t, by_folder, same_folder);
	rank(t, by_pattern, same_pattern);
	qsort(t->known, t->n_known, sizeof t->known[0], by_rank);
}
