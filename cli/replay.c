/* nightjar replay: the detectors over finished logs, at full speed. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alerts/alerts.h"
#include "cli/cli.h"
#include "cli/unpack.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "common/timefmt.h"
#include "config/config.h"
#include "detectors/detect.h"
#include "parsers/parser.h"
#include "parsers/share.h"
#include "parsers/zone.h"
#include "redact/redact.h"
#include "sources/export.h"

enum {
	CHUNK = LIMIT_CHUNK,
	ROOM = CHUNK + LIMIT_LINE_DEFAULT, /* a chunk behind an unfinished line */
	PACKS_MAX = 64,
	PEEK_LINES = 100, /* looked at for a file's first stamp */
	TOLD_RULES = 64,  /* rules with a line of their own in the summary */
	PROGRESS_BYTES = 16 * 1024 * 1024,
	AHEAD_HOURS = 26, /* that a stamp without a year may be after its reading */
};

struct settings {
	const char *packs[PACKS_MAX];
	unsigned n_packs;
	const char *placeholders; /* or NULL */
	const char *zone;
	int year;       /* 0: none given */
	int64_t now_ns; /* TIME_NONE: each file's time of change */
	bool rules_only, updates, summary;
};

struct told {
	char title[96];
	uint64_t alerts;
};

struct replay {
	struct settings s;
	struct zone *zone;
	struct redact *redact;
	struct shares *shares;
	struct redact_state redacting;
	struct detect *detect;
	struct alerts *alerts;
	struct parser *parser; /* of the file being read */
	struct record r;
	struct buf scratch;
	char *p;               /* ROOM bytes */
	int64_t wall_ns;       /* at the start */
	int64_t read_as_ns;    /* stamps without a year are at most this late */
	uint64_t lines, bytes, understood, redacted, found;
	uint64_t shown;        /* bytes when progress was last shown */
	bool terminal, rules_wrong;
	int rc;                /* first error of writing or of memory */
	struct told told[TOLD_RULES];
	unsigned n_told;
};

struct source {
	const char *path;
	int64_t first_ns; /* its first stamp, or INT64_MIN */
};

static void help(void)
{
	fputs("Usage: nightjar replay [OPTION]... FILE...\n\n"
	      "Reads finished logs (plain, gzip, zstd; - is standard input) as the "
	      "agent would and\nprints the alerts it would raise, one JSON object "
	      "a line: an alert that counts when\nits window has ended, with the "
	      "final count. A summary goes to standard error.\nSeveral files are "
	      "read in the order of their first stamps.\n\n"
	      "  --packs DIR    load the rules of this folder as well (repeatable); a "
	      "rule replaces\n                 the built-in one of the same id\n"
	      "  --placeholders FILE\n"
	      "                 what the placeholders of rules stand for (docs/rules.md)\n"
	      "  --rules-only   without the built-in rules\n"
	      "  --zone Z       time zone of stamps that name none: local (default), "
	      "UTC,\n                 Europe/Berlin, +02:00\n"
	      "  --year Y       stamps without a year are in this year\n"
	      "  --now T        ... or in the latest that puts them at most 26 hours "
	      "after T\n                 (default: when the file was last changed)\n"
	      "  --updates      print every state of an alert, as hooks get them\n"
	      "  --summary      print a table instead of JSON\n"
	      "  --help         this text\n\n"
	      "Examples:\n"
	      "  nightjar replay /var/log/auth.log*\n"
	      "  nightjar replay --packs my-rules --rules-only auth.log | jq .alert\n\n"
	      "Exit status: 0 nothing found, 1 alerts or an error, 2 used "
	      "wrongly.\n",
	      stdout);
}

static int read_year(const char *text, int *year)
{
	uint64_t n;

	if (!slice_to_u64(slice_str(text), 2200, &n) || n < 1971) {
		return cli_usage("replay", "--year \"%s\" is no year", text);
	}
	*year = (int)n;
	return 0;
}

/* The time that puts the year's last second, and none behind it, into that year. */
static void read_in_year(struct replay *r)
{
	int64_t end_s = time_days(r->s.year + 1, 1, 1) * 86400 - 1;

	r->s.now_ns = (zone_to_unix(r->zone, end_s, INT64_MAX) - AHEAD_HOURS * 3600) * NS_PER_S;
}

static int take_option(struct settings *s, int o)
{
	switch (o) {
	case 'p':
		if (s->n_packs == PACKS_MAX) {
			return cli_usage("replay", "more than %d --packs",
					 PACKS_MAX);
		}
		s->packs[s->n_packs++] = optarg;
		return 0;
	case 'o':
		s->rules_only = true;
		return 0;
	case 'P':
		s->placeholders = optarg;
		return 0;
	case 'z':
		s->zone = optarg;
		return 0;
	case 'y':
		return read_year(optarg, &s->year);
	case 'n':
		if (!time_parse(slice_str(optarg), &s->now_ns)) {
			return cli_usage("replay", "--now \"%s\" is no time such as "
					 "2026-11-22T15:37:46Z", optarg);
		}
		return 0;
	case 'u':
		s->updates = true;
		return 0;
	case 's':
		s->summary = true;
		return 0;
	default:
		return 0;
	}
}

static int usage(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{"packs", required_argument, NULL, 'p'},
		{"placeholders", required_argument, NULL, 'P'},
		{"rules-only", no_argument, NULL, 'o'},
		{"zone", required_argument, NULL, 'z'},
		{"year", required_argument, NULL, 'y'},
		{"now", required_argument, NULL, 'n'},
		{"updates", no_argument, NULL, 'u'},
		{"summary", no_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'}, /* it is, without --summary */
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int o, rc;

	*s = (struct settings){.zone = "local", .now_ns = TIME_NONE};
	opterr = 0;
	while ((o = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (o == 'h') {
			help();
			exit(CLI_OK);
		}
		if (o == ':' || o == '?') {
			return cli_usage("replay", o == ':' ? "%s needs a value"
							    : "unknown option %s",
					 argv[optind - 1]);
		}
		rc = take_option(s, o);
		if (rc != 0) {
			return rc;
		}
	}
	if (optind == argc) {
		return cli_usage("replay", "which file?");
	}
	return 0;
}

/* ---- rules ---- */

static void on_rule_error(void *arg, const char *file, unsigned line,
			  unsigned column, const char *text)
{
	struct replay *r = arg;

	r->rules_wrong = true;
	fprintf(stderr, "%s:%u:%u: %s\n", file, line, column, text);
}

static int load_rules(struct replay *r)
{
	int rc = 0;

	if (r->s.placeholders != NULL) {
		rc = detect_placeholders_file(r->detect, sys_plain(), r->s.placeholders,
					      on_rule_error, r);
	}
	if (rc == 0 && !r->s.rules_only) {
		rc = detect_load_defaults(r->detect, on_rule_error, r);
	}
	for (unsigned i = 0; rc >= 0 && i < r->s.n_packs; i++) {
		rc = detect_load_dir(r->detect, sys_plain(), r->s.packs[i],
				     on_rule_error, r);
		if (rc < 0) {
			cli_fail("replay", "%s: %s", r->s.packs[i],
				 err_str(rc));
			r->rules_wrong = true;
			return rc;
		}
	}
	if (rc >= 0) {
		rc = detect_compile(r->detect, on_rule_error, r);
	}
	return rc < 0 ? rc : 0;
}

/* Which group goes when the tables are full hangs on the key.  The same logs shall give
 * the same alerts each time and everywhere, so that it is no secret here; tables do
 * not grow with what an attacker finds out by it. */
static const uint8_t same_key[16] = "nightjar replay";

static int32_t offset_of(const void *zone, int64_t unix_s)
{
	return zone_offset(zone, unix_s);
}

/* What the agent would do without a line of configuration, cooldowns included. */
static int set_up(struct replay *r)
{
	struct agent_config *config = NULL;
	struct config_errors errors;
	int rc = config_parse_agent("defaults", SLICE_LIT("{}"), &config, &errors);

	if (rc != 0) {
		return rc;
	}

	r->p = malloc(ROOM);
	buf_init(&r->scratch, LIMIT_LINE_MAX * 2);
	r->wall_ns = sys_wall_ns(sys_plain());
	rc = rc == 0 && r->p == NULL ? UV_ENOMEM : rc;
	rc = rc == 0 ? shares_new(&r->shares) : rc;
	rc = rc == 0 ? redact_new(&r->redact, &config->redact) : rc;
	rc = rc == 0 ? detect_new(&r->detect, &config->detectors, same_key) : rc;
	if (rc == 0) {
		detect_set_zone(r->detect, offset_of, r->zone);
	}
	rc = rc == 0 ? alerts_new(&r->alerts, &config->alerts, SLICE_NONE, same_key)
		     : rc;
	agent_config_free(config);
	return rc == 0 ? load_rules(r) : rc;
}

static void tear_down(struct replay *r)
{
	alerts_free(r->alerts);
	detect_free(r->detect);
	redact_free(r->redact);
	shares_free(r->shares);
	zone_free(r->zone);
	buf_wipe(&r->scratch);
	free(r->p);
}

/* ---- alerts ---- */

static void count_rule(struct replay *r, const char *title)
{
	for (unsigned i = 0; i < r->n_told; i++) {
		if (strncmp(r->told[i].title, title,
			    sizeof r->told[i].title - 1) == 0) {
			r->told[i].alerts++;
			return;
		}
	}
	if (r->n_told < TOLD_RULES) {
		snprintf(r->told[r->n_told].title, sizeof r->told[0].title, "%s",
			 title);
		r->told[r->n_told++].alerts = 1;
	}
}

static void count_alert(struct replay *r, const struct alert *a)
{
	if (a->state == FINDING_NEW) {
		r->found++;
		count_rule(r, a->rule_title);
	}
}

static void on_alert(void *arg, const struct alert *a)
{
	struct replay *r = arg;

	count_alert(r, a);
	if (fwrite(a->json.p, 1, a->json.n, stdout) != a->json.n ||
	    putchar('\n') == EOF) {
		r->rc = -errno;
	}
}

static void table_row(const struct alert *a, const struct finding *f)
{
	char first[TIME_TEXT], who[160];
	size_t n = 0;

	time_format(first, a->first_ns);
	who[0] = '\0';
	for (size_t i = 0; i < f->n_group && n < sizeof who - 1; i++) {
		char quoted[80];
		int got;

		log_quote(quoted, sizeof quoted, f->group[i].value);
		got = snprintf(who + n, sizeof who - n, "%s%s", i == 0 ? "" : " ",
			       quoted);
		n += got < 0 ? 0 : (size_t)got;
	}
	printf("%-20.19s %7llu  %-8s %-40s %s\n", first,
	       (unsigned long long)a->count, severity_name(a->severity),
	       a->rule_title, who);
}

/* An alert that is open comes again, with its final count. */
static void on_finding(void *arg, const struct finding *f)
{
	struct replay *r = arg;
	struct alert a;
	int rc;

	/* One that was joined with another counts nothing. */
	if (f->count == 0 && !r->s.updates) {
		return;
	}
	if (!r->s.summary && (!f->open || r->s.updates)) {
		rc = alerts_finding(r->alerts, f, on_alert, r);
		r->rc = r->rc == 0 ? rc : r->rc;
	} else if (alerts_admit(r->alerts, f, &a)) {
		count_alert(r, &a);
		if (!f->open) {
			table_row(&a, f);
		}
	}
}

/* ---- lines ---- */

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
	detect_record(r->detect, &r->r, on_finding, r);
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
	fprintf(stderr, "\r\033[K%s: %llu%%, %llu lines, %llu alerts", path,
		(unsigned long long)(size == 0 ? 0 : position * 100 / size),
		(unsigned long long)r->lines, (unsigned long long)r->found);
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
	struct export *x;
	struct slice line;
	bool cut;
	int rc = export_new(&x, LIMIT_LINE_DEFAULT);

	for (; rc == 0 && got > 0; got = unpack_read(u, r->p, CHUNK)) {
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
	if (rc == 0 && r->rc == 0 && got == 0 && (rc = export_end(x, &line, &cut)) == 1) {
		one_record(r, line);
		rc = 0;
	}
	export_free(x);
	return rc ? rc : (int)(got < 0 ? got : 0);
}

static int all_lines(struct replay *r, struct unpack *u, const char *path,
		     uint64_t size)
{
	size_t kept = 0, used;
	bool skipping = false;
	int64_t got = unpack_read(u, r->p, CHUNK);

	if (got > 0 && export_starts(slice(r->p, (size_t)got))) {
		return all_records(r, u, path, size, got);
	}
	for (; got > 0; got = unpack_read(u, r->p + kept, CHUNK)) {
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
	n = unpack_read(u, r->p, CHUNK);
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

/* ---- all ---- */

static void sum_up(const struct replay *r, int64_t ns)
{
	double s = (double)ns / 1e9;
	struct detect_stats st;

	detect_stats(r->detect, &st);
	fprintf(stderr, "%s%llu lines, %.1f MiB in %.2f s (%.0f ns a line); %llu "
		"understood, %llu redacted; %u rules, %llu alerts\n",
		r->terminal ? "\r\033[K" : "", (unsigned long long)r->lines,
		(double)r->bytes / 1048576, s,
		r->lines == 0 ? 0 : (double)ns / (double)r->lines,
		(unsigned long long)r->understood,
		(unsigned long long)r->redacted, st.rules,
		(unsigned long long)r->found);
	for (unsigned i = 0; i < r->n_told; i++) {
		fprintf(stderr, "%9llu  %s\n", (unsigned long long)r->told[i].alerts,
			r->told[i].title);
	}
	if (st.late + st.future + st.evicted + st.forgotten + st.re_limits > 0) {
		fprintf(stderr, "late lines %llu, stamps not believed %llu, groups "
			"given up %llu, values forgotten %llu, expressions at their "
			"limit %llu\n", (unsigned long long)st.late,
			(unsigned long long)st.future,
			(unsigned long long)st.evicted,
			(unsigned long long)st.forgotten,
			(unsigned long long)st.re_limits);
	}
}

static int all_files(struct replay *r, struct source *s, size_t n)
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

		if (rc != 0) {
			cli_fail("replay", "%s: %s", s[i].path, err_str(rc));
			failed = true;
		}
	}
	detect_advance(r->detect, INT64_MAX, on_finding, r);
	if (fflush(stdout) != 0 && r->rc == 0) {
		r->rc = -errno;
	}
	return failed;
}

static int run(struct replay *r, struct source *s, size_t n)
{
	int64_t from = sys_mono_ns(sys_plain());
	int failed = all_files(r, s, n);

	if (r->rc == UV_EPIPE) {
		return CLI_OK; /* "| head" has seen enough. */
	}
	if (r->rc != 0) {
		return cli_fail("replay", "%s", err_str(r->rc));
	}
	sum_up(r, sys_mono_ns(sys_plain()) - from);
	return failed || r->found > 0 || r->rules_wrong ? CLI_FAILED : CLI_OK;
}

int cmd_replay(int argc, char **argv)
{
	struct replay r = {.p = NULL};
	struct source *s;
	int rc = usage(argc, argv, &r.s);

	if (rc != 0) {
		return rc;
	}
	r.terminal = isatty(STDERR_FILENO) == 1;
	s = calloc((size_t)(argc - optind), sizeof *s);
	for (int i = optind; s != NULL && i < argc; i++) {
		s[i - optind].path = argv[i];
	}
	rc = zone_open(&r.zone, sys_plain(), r.s.zone);
	if (rc != 0) {
		rc = cli_fail("replay", "time zone \"%s\": %s (try UTC, "
			      "Europe/Berlin or +02:00)", r.s.zone, err_str(rc));
	} else {
		if (r.s.year != 0) {
			read_in_year(&r);
		}
		rc = s == NULL ? UV_ENOMEM : set_up(&r);
		if (rc == 0) {
			rc = run(&r, s, (size_t)(argc - optind));
		} else if (r.rules_wrong) {
			rc = CLI_FAILED; /* has been said */
		} else {
			rc = cli_fail("replay", "%s", err_str(rc));
		}
	}
	tear_down(&r);
	free(s);
	return rc;
}
