#include "detectors/roster.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/siphash.h"
#include "detectors/netset.h"

enum { CHUNK = 64 * 1024 };

struct roster {
	uint8_t key[16];
	struct netset nets;
	uint64_t *texts; /* hashes, ascending */
	size_t n_texts, room;
	bool below; /* there is an entry that begins with "*." */
	struct roster_about about;
};

/* What is read, and where. */
struct reading {
	struct roster *r;
	const char *name;
	unsigned line;
	size_t entries;
	bool began; /* an entry has come: comments behind it are only that */
	detect_error_cb on_error;
	void *arg;
};

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* s is at most ROSTER_LINE bytes. */
static uint64_t hash_of(const struct roster *r, struct slice s)
{
	char low[ROSTER_LINE];

	for (size_t i = 0; i < s.n; i++) {
		low[i] = fold(s.p[i]);
	}
	return siphash(r->key, low, s.n);
}

/* ---- reading ---- */

static void wrong(struct reading *x, const char *text)
{
	if (x->r->about.wrong++ < ROSTER_ERRORS && x->on_error != NULL) {
		x->on_error(x->arg, x->name, x->line, 1, text);
	}
}

static int add_text(struct roster *r, struct slice s)
{
	bool below = slice_starts(s, SLICE_LIT("*.")) && s.n > 2;

	if (r->n_texts == r->room) {
		size_t room = r->room == 0 ? 16 : r->room * 2;
		uint64_t *p = realloc(r->texts, room * sizeof *p);

		if (p == NULL) {
			return UV_ENOMEM;
		}
		r->texts = p;
		r->room = room;
	}
	r->below = r->below || below;
	r->texts[r->n_texts++] = hash_of(r, slice_skip(s, below));
	return 0;
}

/* What can only be meant as an address or a network. */
static bool numeric(struct slice s)
{
	bool digits = true, slash = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		slash = slash || c == '/';
		digits = digits && ((c >= '0' && c <= '9') || c == '.' || c == '/');
	}
	return (digits && (slash || slice_chr(s, '.') != SIZE_MAX)) ||
	       slice_find(s, SLICE_LIT("::")) != SIZE_MAX;
}

static int add_entry(struct reading *x, struct slice s)
{
	struct ip_net net;
	char shown[120], why[200];

	x->began = true;
	for (size_t i = 0; i < s.n; i++) {
		if ((uint8_t)s.p[i] <= ' ' || s.p[i] == 0x7f) {
			wrong(x, "one entry a line; a comment begins with # or ;");
			return 0;
		}
	}
	if (x->entries == ROSTER_ENTRIES) {
		wrong(x, "the list is full: this entry and what follows is left out");
		return ERR_TOO_LARGE;
	}
	x->entries++;
	if (ip_net_parse(s, &net)) {
		return netset_add(&x->r->nets, &net);
	}
	if (numeric(s)) {
		snprintf(why, sizeof why, "%s is no address and no network such as 192.0.2.0/24 "
			 "or 2001:db8::/32", log_quote(shown, sizeof shown, s));
		wrong(x, why);
		return 0;
	}
	return add_text(x->r, s);
}

static struct slice trim(struct slice s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s = slice_skip(s, 1);
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r')) {
		s.n--;
	}
	return s;
}

/* "source: where it comes from", shown in alerts. */
static void take_comment(struct reading *x, struct slice s)
{
	static const struct slice key = {"source:", 7};

	s = trim(slice_skip(s, 1));
	if (x->began || x->r->about.source[0] != '\0' ||
	    !slice_eq_nocase(slice_head(s, key.n), key)) {
		return;
	}
	s = slice_head(trim(slice_skip(s, key.n)), ROSTER_SOURCE - 1);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		x->r->about.source[i] = (uint8_t)c < ' ' || (uint8_t)c > '~' ? '?' : c;
	}
}

static int take_line(struct reading *x, struct slice s)
{
	x->line++;
	if (s.n > ROSTER_LINE) {
		wrong(x, "the line is longer than 1024 bytes");
		return 0;
	}
	s = trim(s);
	if (s.n == 0) {
		return 0;
	}
	if (s.p[0] == '#' || s.p[0] == ';') {
		take_comment(x, s);
		return 0;
	}
	for (size_t i = 1; i < s.n; i++) {
		if ((s.p[i] == '#' || s.p[i] == ';') &&
		    (s.p[i - 1] == ' ' || s.p[i - 1] == '\t')) {
			s = trim(slice_head(s, i));
			break;
		}
	}
	return add_entry(x, s);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sorted, each once, and no more memory than that. */
static void close_texts(struct roster *r)
{
	size_t n = 0;
	uint64_t *p;

	if (r->n_texts == 0) {
		return;
	}
	qsort(r->texts, r->n_texts, sizeof *r->texts, compare);
	for (size_t i = 0; i < r->n_texts; i++) {
		if (n == 0 || r->texts[i] != r->texts[n - 1]) {
			r->texts[n++] = r->texts[i];
		}
	}
	p = realloc(r->texts, n * sizeof *p);
	r->texts = p != NULL ? p : r->texts;
	r->n_texts = r->room = n;
}

static void close_all(struct reading *x)
{
	struct roster *r = x->r;
	char text[80];

	netset_close(&r->nets);
	close_texts(r);
	r->about.all_v4 = netset_has_all(&r->nets, true);
	r->about.all_v6 = netset_has_all(&r->nets, false);
	for (unsigned i = 0; i < NETSET_PARTS; i++) {
		r->about.networks += r->nets.parts[i].n;
	}
	r->about.texts = r->n_texts;
	r->about.bytes = sizeof *r + netset_bytes(&r->nets) + r->room * sizeof *r->texts;
	if (r->about.wrong > ROSTER_ERRORS && x->on_error != NULL) {
		snprintf(text, sizeof text, "and %u more lines that are left out",
			 r->about.wrong - ROSTER_ERRORS);
		x->on_error(x->arg, x->name, 0, 0, text);
	}
}

static int begin(struct reading *x, const char *name, const uint8_t key[static 16],
		 detect_error_cb on_error, void *arg)
{
	*x = (struct reading){.name = name, .on_error = on_error, .arg = arg};
	x->r = calloc(1, sizeof *x->r);
	if (x->r == NULL) {
		return UV_ENOMEM;
	}
	memcpy(x->r->key, key, sizeof x->r->key);
	return 0;
}

/* The whole lines of text; *used: their bytes.  A full list is not an error. */
static int take_lines(struct reading *x, struct slice text, size_t *used)
{
	struct slice rest = text;
	size_t end;
	int rc = 0;

	while (rc == 0 && (end = slice_chr(rest, '\n')) != SIZE_MAX) {
		rc = take_line(x, slice_head(rest, end));
		rest = slice_skip(rest, end + 1);
	}
	*used = text.n - rest.n;
	return rc;
}

int roster_read_bytes(struct roster **out, const char *name, struct slice text,
		      const uint8_t key[static 16], detect_error_cb on_error, void *arg)
{
	struct reading x;
	size_t used;
	int rc = begin(&x, name, key, on_error, arg);

	*out = NULL;
	if (rc != 0) {
		return rc;
	}
	rc = take_lines(&x, text, &used);
	if (rc == 0 && used < text.n) {
		rc = take_line(&x, slice_skip(text, used));
	}
	if (rc == UV_ENOMEM) {
		roster_free(x.r);
		return rc;
	}
	close_all(&x);
	*out = x.r;
	return 0;
}

/* Piece by piece: what is in front of a line's end waits for it. */
static int read_all(struct reading *x, struct sys *sys, int fd, char *p)
{
	uint64_t at = 0;
	size_t kept = 0, used;
	bool skipping = false;
	int rc = 0;

	for (;;) {
		int64_t got = sys_pread(sys, fd, p + kept, CHUNK - kept, at);

		if (got <= 0) {
			return got < 0 ? (int)got
			       : kept > 0 && !skipping ? take_line(x, slice(p, kept)) : 0;
		}
		at += (uint64_t)got;
		kept += (size_t)got;
		if (at > ROSTER_FILE) {
			return ERR_TOO_LARGE;
		}
		if (skipping) {
			size_t end = slice_chr(slice(p, kept), '\n');

			skipping = end == SIZE_MAX;
			used = skipping ? kept : end + 1;
			memmove(p, p + used, kept - used);
			kept -= used;
		}
		rc = take_lines(x, slice(p, kept), &used);
		if (rc != 0) {
			/* The list is full: it is used as far as it was read. */
			return rc == ERR_TOO_LARGE ? 0 : rc;
		}
		kept -= used;
		memmove(p, p + used, kept);
		if (kept > ROSTER_LINE) {
			(void)take_line(x, slice(p, kept)); /* It is too long, and says so. */
			kept = 0;
			skipping = true;
		}
	}
}

int roster_read(struct roster **out, struct sys *sys, const char *path,
		const uint8_t key[static 16], detect_error_cb on_error, void *arg)
{
	struct reading x = {.r = NULL};
	struct sys_stat st;
	char *p = NULL;
	int fd, rc;

	*out = NULL;
	fd = sys_open(sys, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0) {
		return fd;
	}
	rc = sys_fstat(sys, fd, &st);
	if (rc == 0 && (st.mode & S_IFMT) != S_IFREG) {
		rc = (st.mode & S_IFMT) == S_IFDIR ? UV_EISDIR : UV_EINVAL;
	}
	rc = rc == 0 ? begin(&x, path, key, on_error, arg) : rc;
	if (rc == 0) {
		p = malloc(CHUNK);
		rc = p == NULL ? UV_ENOMEM : read_all(&x, sys, fd, p);
	}
	free(p);
	sys_close(sys, fd);
	if (rc != 0) {
		roster_free(x.r);
		return rc;
	}
	x.r->about.changed_ns = st.mtime_ns;
	close_all(&x);
	*out = x.r;
	return 0;
}

void roster_free(struct roster *r)
{
	if (r != NULL) {
		netset_fini(&r->nets);
		free(r->texts);
		free(r);
	}
}

/* ---- asking ---- */

static bool has_hash(const struct roster *r, uint64_t hash)
{
	size_t low = 0, high = r->n_texts;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->texts[middle] == hash) {
			return true;
		}
		if (r->texts[middle] < hash) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return false;
}

static bool has_text(const struct roster *r, struct slice value)
{
	if (value.n == 0 || value.n > ROSTER_LINE) {
		return false;
	}
	if (has_hash(r, hash_of(r, value))) {
		return true;
	}
	/* ".example.com" stands for "*.example.com"; a name has at most 127 dots. */
	for (size_t i = 1; r->below && value.n <= 255 && i < value.n; i++) {
		if (value.p[i] == '.' && has_hash(r, hash_of(r, slice_skip(value, i)))) {
			return true;
		}
	}
	return false;
}

bool roster_has(const struct roster *r, struct slice value)
{
	struct ip a;

	return ip_parse(value, &a) ? netset_has(&r->nets, &a)
				   : r->n_texts > 0 && has_text(r, value);
}

const struct roster_about *roster_about(const struct roster *r)
{
	return &r->about;
}
