/* Finished logs, packed or not, become records that are judged. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/exported.h"
#include "cli/replay_impl.h"
#include "cli/unpack.h"
#include "common/err.h"
#include "common/timefmt.h"

enum {
	PEEK_LINES = 100, /* looked at for a file's first stamp */
	PROGRESS_BYTES = 16 * 1024 * 1024,
};

static inline void one_line(struct replay *r, struct redact_chunk *chunk,
			    struct slice line)
{
	r->r.flags = 0;
	if (line.n > 0 && line.p[line.n - 1] == '\r') {
		line.n--;
	}
	if (line.n > LIMIT_LINE_DEFAULT) {
		line.n = LIMIT_LINE_DEFAULT;
		r->r.flags |= RECORD_CUT;
	}
	if (redact_chunk_line(chunk, &r->redacting, line, &r->scratch,
			      &r->r.line)) {
		r->r.flags |= RECORD_REDACTED;
		r->redacted++;
	}
	parser_line(r->parser, r->r.line, r->read_as_ns, &r->r.header,
		    &r->r.event);
	r->lines++;
	r->understood += event_understood(&r->r.event);
	parser_count(r->parser, &r->r);
	detect_record(r->detect, &r->r, replay_finding, r);
	if (r->summary != NULL && r->r.event.attempts > 0) {
		summary_record(r->summary, &r->r,
			       r->r.header.time_ns <= r->wall_ns + r->ahead_ns);
	}
}

#if defined(__SSE2__)

static inline uint64_t newlines_16(const char *p)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const void *)p),
							  _mm_set1_epi8('\n')));
}

/* Where the newlines are in 64 bytes, one bit a byte. */
static inline uint64_t newlines(const char *p)
{
	return newlines_16(p) | newlines_16(p + 16) << 16 | newlines_16(p + 32) << 32 |
	       newlines_16(p + 48) << 48;
}

#endif

/* The next newline, or NULL.  How long a line is can't be foreseen: looking at
 * more than most lines have, without a branch, is cheaper than asking after each
 * piece. */
static inline const char *line_end(const char *p, const char *end)
{
#if defined(__SSE2__)
	if (end - p >= 192) {
		uint64_t a = newlines(p), b = newlines(p + 64);
		uint64_t c = newlines(p + 128), ab = a | b;
		uint64_t in_ab = a != 0 ? a : b, in = ab != 0 ? in_ab : c;

		if (in != 0) {
			return p + (a == 0) * 64 + (ab == 0) * 64 +
			       __builtin_ctzll(in);
		}
	}
#endif
	return memchr(p, '\n', (size_t)(end - p));
}

/* Judges the whole lines of p[0, n); with `last` what is behind them, too.
 * Returns how many bytes were used. */
static size_t whole_lines(struct replay *r, size_t n, bool last)
{
	struct redact_chunk chunk = redact_chunk(r->redact, r->p, n);
	const char *at = r->p, *end = r->p + n, *newline;

	while ((newline = line_end(at, end)) != NULL) {
		one_line(r, &chunk, slice(at, (size_t)(newline - at)));
		at = newline + 1;
	}
	/* What has passed the cap is judged now; its rest is dropped. */
	if (at < end && (last || end - at >= LIMIT_LINE_DEFAULT)) {
		one_line(r, &chunk, slice(at, (size_t)(end - at)));
		at = end;
	}
	return (size_t)(at - r->p);
}

static void progress(struct replay *r, const char *path, uint64_t position,
		     uint64_t size)
{
	if (!r->terminal || r->bytes - r->shown < PROGRESS_BYTES) {
		return;
	}
	r->shown = r->bytes;
	fprintf(stderr, "\r\033[K%s: ", strcmp(path, "-") == 0 ? "standard input" : path);
	if (size > 0) {
		fprintf(stderr, "%llu%%, ", (unsigned long long)(position * 100 / size));
	}
	fprintf(stderr, "%llu lines, %llu alerts", (unsigned long long)r->lines,
		(unsigned long long)r->found);
}

/* Drops the rest of a line that passed the cap; how many bytes are left. */
static size_t skip_rest(char *p, size_t n, bool *skipping)
{
	char *newline = *skipping ? memchr(p, '\n', n) : NULL;

	if (!*skipping) {
		return n;
	}
	if (newline == NULL) {
		return 0;
	}
	*skipping = false;
	n -= (size_t)(newline + 1 - p);
	memmove(p, newline + 1, n);
	return n;
}

/* One record of an export, as a line of the file. */
static void one_record(struct replay *r, struct slice line)
{
	struct redact_chunk chunk = redact_chunk(r->redact, line.p, line.n);

	one_line(r, &chunk, line);
}

/* The records of `journalctl -o export`; its first `got` bytes are there. */
static int all_records(struct replay *r, struct unpack *u, const char *path, uint64_t size,
		       int64_t got)
{
	struct exported told = {.command = "replay", .file = path};
	struct export *x = NULL;
	struct slice line;
	bool cut;
	int rc = export_new(&x, LIMIT_LINE_DEFAULT, exported_tell, &told);

	for (; rc == 0 && got > 0; got = unpack_read(u, r->p, REPLAY_CHUNK)) {
		struct slice text = slice(r->p, (size_t)got);

		r->bytes += (uint64_t)got;
		while ((rc = export_next(x, &text, &line, &cut)) == 1) {
			one_record(r, line);
		}
		progress(r, path, unpack_position(u), size);
		if (r->rc != 0) {
			break;
		}
	}
	while (rc == 0 && r->rc == 0 && got == 0 && (rc = export_end(x, &line, &cut)) == 1) {
		one_record(r, line);
		rc = 0;
	}
	exported_end(&told);
	export_free(x);
	return rc ? rc : (int)(got < 0 ? got : 0);
}

static int all_lines(struct replay *r, struct unpack *u, const char *path,
		     uint64_t size)
{
	size_t kept = 0, used;
	bool skipping = false;
	int64_t got = unpack_read(u, r->p, REPLAY_CHUNK);

	if (got > 0 && export_starts(slice(r->p, (size_t)got))) {
		return all_records(r, u, path, size, got);
	}
	for (; got > 0; got = unpack_read(u, r->p + kept, REPLAY_CHUNK)) {
		size_t n = skip_rest(r->p + kept, (size_t)got, &skipping) + kept;

		r->bytes += (uint64_t)got;
		used = whole_lines(r, n, false);
		skipping = skipping || (used > 0 && used == n &&
					r->p[n - 1] != '\n');
		kept = n - used;
		memmove(r->p, r->p + used, kept);
		progress(r, path, unpack_position(u), size);
		if (r->rc != 0) {
			return 0;
		}
	}
	if (kept > 0) {
		whole_lines(r, kept, true);
	}
	return (int)got;
}

/* The agent makes findings of them. */
static void tell_falls(struct replay *r)
{
	struct share_fall f;
	char text[SHARE_TEXT];

	while (shares_take(r->shares, &f)) {
		share_fall_text(&f, text);
		fprintf(stderr, "%snot understood any more: %s in %s\n    %s\n    %s\n",
			r->terminal ? "\r\033[K" : "", f.program, f.source, text, f.example);
	}
}

static int one_file(struct replay *r, const char *path)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
					: open(path, O_RDONLY | O_CLOEXEC);
	struct unpack *u = NULL;
	struct stat st;
	int rc;

	if (fd < 0) {
		return -errno;
	}
	if (fstat(fd, &st) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	rc = unpack_new(&u, fd);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	r->read_as_ns = r->s.now_ns != TIME_NONE ? r->s.now_ns
			: S_ISREG(st.st_mode)
				? (int64_t)st.st_mtim.tv_sec * NS_PER_S
				: r->wall_ns;
	r->redacting = (struct redact_state){.in_key = false};
	r->r = (struct record){.observed_ns = r->wall_ns};
	rc = parser_new(&r->parser, r->zone);
	if (rc == 0) {
		parser_shares(r->parser, r->shares, slice_str(path));
		rc = all_lines(r, u, path, (uint64_t)st.st_size);
	}
	parser_free(r->parser);
	unpack_free(u);
	tell_falls(r);
	return rc;
}

/* ---- the order of files ---- */

/* The first record's stamp of an export. */
static void peek_export(struct source *s, struct slice text)
{
	static const struct slice key = {"__REALTIME_TIMESTAMP=", 21};
	size_t at = slice_find(text, key);
	uint64_t us;

	if (at != SIZE_MAX) {
		text = slice_skip(text, at + key.n);
		if (slice_to_u64(slice_head(text, slice_find(text, SLICE_LIT("\n"))),
				 INT64_MAX / 1000, &us)) {
			s->first_ns = (int64_t)us * 1000;
		}
	}
}

static void peek_stamp(struct replay *r, struct source *s, char *p, size_t n,
		       int64_t read_as_ns)
{
	struct parser *parser;
	struct slice text = slice(p, n);

	if (export_starts(text)) {
		peek_export(s, text);
		return;
	}

	if (parser_new(&parser, r->zone) != 0) {
		return;
	}
	for (unsigned i = 0; i < PEEK_LINES && text.n > 0; i++) {
		size_t end = slice_find(text, SLICE_LIT("\n"));
		struct header h;
		struct event e;

		parser_line(parser, slice_head(text, end), read_as_ns, &h, &e);
		if (h.time_ns != TIME_NONE) {
			s->first_ns = h.time_ns;
			break;
		}
		text = end == SIZE_MAX ? SLICE_NONE : slice_skip(text, end + 1);
	}
	parser_free(parser);
}

/* A file that can't be read is left where it stands; reading it will complain. */
static void peek(struct replay *r, struct source *s)
{
	int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	struct unpack *u;
	struct stat st;
	int64_t n;

	if (fd < 0) {
		return;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    unpack_new(&u, fd) != 0) {
		close(fd);
		return;
	}
	n = unpack_read(u, r->p, REPLAY_CHUNK);
	if (n > 0) {
		peek_stamp(r, s, r->p, (size_t)n,
			   r->s.now_ns != TIME_NONE
				   ? r->s.now_ns
				   : (int64_t)st.st_mtim.tv_sec * NS_PER_S);
	}
	unpack_free(u);
}

static void sort(struct source *s, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct source one = s[i];
		size_t k = i;

		for (; k > 0 && s[k - 1].first_ns > one.first_ns; k--) {
			s[k] = s[k - 1];
		}
		s[k] = one;
	}
}

bool replay_files(struct replay *r, struct source *s, size_t n)
{
	bool failed = false;

	for (size_t i = 0; i < n; i++) {
		s[i].first_ns = INT64_MIN;
		if (n > 1 && strcmp(s[i].path, "-") != 0) {
			peek(r, &s[i]);
		}
	}
	sort(s, n);
	for (size_t i = 0; i < n && r->rc == 0; i++) {
		int rc = one_file(r, s[i].path);

		r->files += rc == 0;
		if (rc != 0) {
			cli_fail("replay", "%s: %s", s[i].path,
				 rc == UV_ENOTSUP ? "compressed by xz, which this build can't "
						    "read: it has no liblzma"
				 : rc == UV_EISDIR ? "this is a folder: name the files in it"
						   : err_str(rc));
			failed = true;
		}
	}
	return failed;
}
