#include "sources/names.h"

#include <ctype.h>
#include <fnmatch.h>
#include <limits.h>
#include <string.h>

#include "common/err.h"

struct walk {
	struct sys *sys;
	names_dir_cb on_dir;
	names_match_cb on_match;
	void *arg;
	const char *rest; /* of the pattern: the components still to match */
	char path[PATH_MAX];
	size_t n; /* bytes of path, without a slash at its end */
	int error;
};

bool names_glob_valid(const char *pattern)
{
	return pattern[0] == '/' && strlen(pattern) < PATH_MAX;
}

static int walk_into(struct walk *w);

/* One entry of w->path, which matched the component before `rest`. */
static int walk_entry(struct walk *w, const char *name, const char *rest)
{
	size_t was_n = w->n, name_n = strlen(name);
	const char *was_rest = w->rest;
	int rc = 0;

	if (w->n + 1 + name_n >= sizeof w->path) {
		return 0; /* Such a path can't be opened either. */
	}
	w->path[w->n] = '/';
	memcpy(w->path + w->n + 1, name, name_n + 1);
	w->n += 1 + name_n;
	w->rest = rest;
	if (rest[0] == '\0') {
		rc = w->on_match(w->arg, w->path);
	} else {
		rc = walk_into(w);
	}
	w->n = was_n;
	w->path[was_n] = '\0';
	w->rest = was_rest;
	return rc;
}

/* Cuts the first component off *rest (slashes skipped) into out. */
static void next_component(const char **rest, char out[static PATH_MAX])
{
	const char *p = *rest;
	size_t n;

	while (*p == '/') {
		p++;
	}
	n = strcspn(p, "/");
	memcpy(out, p, n);
	out[n] = '\0';
	p += n;
	while (*p == '/') {
		p++;
	}
	*rest = p;
}

static bool has_magic(const char *component)
{
	return strpbrk(component, "*?[\\") != NULL;
}

struct listing {
	struct walk *walk;
	const char *component;
	const char *rest;
};

static int on_entry(void *arg, const char *name, bool is_dir)
{
	struct listing *l = arg;

	if ((l->rest[0] != '\0' && !is_dir) ||
	    fnmatch(l->component, name, FNM_PERIOD) != 0) {
		return 0;
	}
	return walk_entry(l->walk, name, l->rest);
}

static int walk_into(struct walk *w)
{
	char component[PATH_MAX];
	struct listing l = {w, component, w->rest};
	int rc;

	next_component(&l.rest, component);
	if (l.rest[0] == '\0' || has_magic(component)) {
		if (w->on_dir != NULL) {
			w->on_dir(w->arg, w->n > 0 ? w->path : "/");
		}
	}
	if (!has_magic(component)) {
		/* Whether a plain name is there, the caller finds out. */
		return walk_entry(w, component, l.rest);
	}
	rc = sys_list(w->sys, w->n > 0 ? w->path : "/", on_entry, &l);
	if (rc < 0) {
		if (rc != UV_ENOENT && rc != UV_ENOTDIR && w->error == 0) {
			w->error = rc;
		}
		rc = 0;
	}
	return rc;
}

int names_glob(struct sys *sys, const char *pattern, names_dir_cb on_dir,
	       names_match_cb on_match, void *arg)
{
	struct walk w = {
		.sys = sys,
		.on_dir = on_dir,
		.on_match = on_match,
		.arg = arg,
		.rest = pattern,
	};
	int rc = walk_into(&w);

	return rc != 0 ? rc : w.error;
}

bool names_matches(const char *pattern, const char *path)
{
	return fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0;
}

bool names_could_match(const char *pattern, const char *path)
{
	char want[PATH_MAX], have[PATH_MAX];

	if (strlen(path) >= PATH_MAX) {
		return false;
	}
	do {
		if (*pattern == '\0') {
			return false;
		}
		next_component(&pattern, want);
		next_component(&path, have);
		if (fnmatch(want, have, FNM_PERIOD) != 0) {
			return false;
		}
	} while (*path != '\0');
	return true;
}

bool names_in_list(const struct strlist *patterns, const char *path)
{
	for (size_t i = 0; i < patterns->n; i++) {
		if (names_matches(patterns->v[i], path)) {
			return true;
		}
	}
	return false;
}

const char *names_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static struct slice base_of(const char *path)
{
	return slice_str(names_base(path));
}

static bool is_rotation(struct slice name, struct slice of)
{
	return name.n > of.n + 1 && slice_starts(name, of) &&
	       (name.p[of.n] == '.' || name.p[of.n] == '-');
}

bool names_is_rotation(const char *path, const char *of)
{
	return is_rotation(base_of(path), base_of(of));
}

static const char *const compressed[] = {".gz", ".xz", ".zst", ".bz2"};
static const char *const old[] = {".old", ".bak", ".save", ".orig"};

static bool cut_one_of(struct slice *name, const char *const *suffixes,
		       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct slice suffix = slice_str(suffixes[i]);

		if (name->n > suffix.n && slice_ends(*name, suffix)) {
			name->n -= suffix.n;
			return true;
		}
	}
	return false;
}

/* ".1", "-20261122", "-20261122-0625", ... */
static bool cut_number(struct slice *name)
{
	size_t n = name->n;

	while (n > 0 && isdigit((unsigned char)name->p[n - 1])) {
		n--;
	}
	if (n == name->n || n < 2 ||
	    (name->p[n - 1] != '.' && name->p[n - 1] != '-')) {
		return false;
	}
	name->n = n - 1;
	return true;
}

/* It ends in nothing that a rotation's suffix ends in. */
static bool is_plain(const char *base)
{
	static const char ends[][3] = {"gz", "xz", "st", "ld", "ak", "ve", "ig"};
	size_t n = strlen(base);

	if (n < 2 || isdigit((unsigned char)base[n - 1])) {
		return false;
	}
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		if (memcmp(base + n - 2, ends[i], 2) == 0) {
			return false;
		}
	}
	return true;
}

size_t names_unrotated(const char *base)
{
	struct slice name = slice_str(base);

	while (cut_one_of(&name, compressed,
			  sizeof compressed / sizeof compressed[0]) ||
	       cut_one_of(&name, old, sizeof old / sizeof old[0]) ||
	       cut_number(&name)) {
	}
	return name.n;
}

/* The name without what a rotation adds to it. */
static struct slice stem(const char *path)
{
	const char *base = names_base(path);

	return slice(base, names_unrotated(base));
}

bool names_is_numbered(const char *path, const char *of)
{
	struct slice name = base_of(path);

	cut_one_of(&name, compressed, sizeof compressed / sizeof compressed[0]);
	while (name.n > base_of(of).n &&
	       (cut_one_of(&name, old, sizeof old / sizeof old[0]) ||
		cut_number(&name))) {
	}
	return slice_eq(name, base_of(of)) &&
	       !slice_eq(base_of(path), base_of(of));
}

bool names_is_counted(const char *path, const char *of)
{
	struct slice name = base_of(path);

	cut_one_of(&name, compressed, sizeof compressed / sizeof compressed[0]);
	while (name.n > base_of(of).n && cut_number(&name)) {
	}
	return slice_eq(name, base_of(of)) && !slice_eq(base_of(path), base_of(of));
}

/* Names that end alike in letters, as most do, lose nothing to a rotation's suffix:
 * they are related only when one is the other's beginning. */
static bool plainly_apart(const char *a, const char *b)
{
	size_t same = 0;

	while (a[same] == b[same] && a[same] != '\0') {
		same++;
	}
	return a[same] != '\0' && b[same] != '\0' && is_plain(a) &&
	       is_plain(b);
}

bool names_related(const char *a, const char *b)
{
	if (a != NULL && b != NULL &&
	    plainly_apart(names_base(a), names_base(b))) {
		return false;
	}
	if (a == NULL || b == NULL || slice_eq(stem(a), stem(b))) {
		return true;
	}
	/* Also of "log.link" and "log.1.gz" one may be the other's copy. */
	return names_is_rotation(a, b) || names_is_rotation(b, a) ||
	       is_rotation(base_of(a), stem(b)) ||
	       is_rotation(base_of(b), stem(a));
}

bool names_is_rotated_too(const char *path, const char *of)
{
	return slice_eq(stem(path), stem(of)) && stem(path).n < base_of(path).n;
}

bool names_compressed(const char *path)
{
	struct slice name = base_of(path);

	return cut_one_of(&name, compressed,
			  sizeof compressed / sizeof compressed[0]);
}
