/* nightjar replay: the detectors over finished logs, at full speed. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/printable.h"
#include "cli/replay_impl.h"
#include "cli/referred.h"
#include "cli/rules.h"
#include "common/err.h"
#include "common/sys_uv.h"
#include "common/timefmt.h"
#include "config/config.h"

enum {
	AHEAD_HOURS = 26, /* that a stamp without a year may be after its reading */
	TOP = 10,
	WIDTH = 80, WIDTH_LEAST = 60, WIDTH_MOST = 200,
	SUMMARY_MAX = 256 * 1024 * 1024,
};

static void help(void)
{
	fputs("Usage: nightjar replay [OPTION]... FILE...\n\n"
	      "Reads finished logs (plain, gzip, zstd, xz, or what journalctl -o export "
	      "gives; - is\nstandard input) as the agent would and prints the alerts it "
	      "would raise, one JSON\nobject a line: an alert that counts when its window "
	      "has ended, with the final count.\nSums go to standard error. Several files "
	      "are read in the order of their first stamps.\n\n"
	      "  --summary      instead: who attacked, whom, how often, when, and with which\n"
	      "                 result, as tables and little bars, and the alerts by rule\n"
	      "  --json         of --summary: the same as one JSON object\n"
	      "  --top N        of --summary: rows of each table (10)\n"
	      "  --ascii        of --summary: nothing but ASCII, as without a UTF-8 locale\n"
	      "  --packs PATH   load the rules of this file or folder as well (repeatable); "
	      "a rule\n                 replaces the built-in one of the same id\n"
	      "  --placeholders FILE\n"
	      "                 what the placeholders of rules stand for (docs/rules.md)\n"
	      "  --list FILE    a list that rules ask for (repeatable; docs/rules.md)\n"
	      "  --geoip FILE   a database of places (repeatable)\n"
	      "  --rules-only   without the built-in rules\n"
	      "  --zone Z       time zone of stamps that name none: local (default), "
	      "UTC,\n                 Europe/Berlin, +02:00\n"
	      "  --year Y       stamps without a year are in this year\n"
	      "  --now T        ... or in the latest that puts them at most 26 hours "
	      "after T\n                 (default: when the file was last changed)\n"
	      "  --updates      print every state of an alert, as hooks get them\n"
	      "  --help         this text\n\n"
	      "Examples:\n"
	      "  nightjar replay --summary /var/log/auth.log*\n"
	      "  journalctl -o export -t sshd | nightjar replay --summary -\n"
	      "  nightjar replay --packs my-rules --rules-only auth.log | jq .alert\n\n"
	      "Exit status: 0 nothing found, 1 alerts, 2 used wrongly, 3 an error: a file or "
	      "a\nrule that can't be read, with or without alerts.\n",
	      stdout);
}

static int broken(int rc)
{
	cli_fail("replay", "%s", err_str(rc));
	return CLI_BROKEN;
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

static int read_top(const char *text, size_t *top)
{
	uint64_t n;

	if (!slice_to_u64(slice_str(text), SUMMARY_ROWS, &n) || n == 0) {
		return cli_usage("replay", "--top \"%s\" is no number from 1 to %d", text,
				 SUMMARY_ROWS);
	}
	*top = (size_t)n;
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
	case 'l':
	case 'g':
		if (strlist_add(o == 'l' ? &s->lists : &s->geoip, slice_str(optarg)) != 0) {
			return broken(UV_ENOMEM);
		}
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
	case 'j':
		s->json = true;
		return 0;
	case 'a':
		s->ascii = true;
		return 0;
	case 't':
		return read_top(optarg, &s->top);
	default:
		return 0;
	}
}

static int usage(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{"packs", required_argument, NULL, 'p'},
		{"placeholders", required_argument, NULL, 'P'},
		{"list", required_argument, NULL, 'l'},
		{"geoip", required_argument, NULL, 'g'},
		{"rules-only", no_argument, NULL, 'o'},
		{"zone", required_argument, NULL, 'z'},
		{"year", required_argument, NULL, 'y'},
		{"now", required_argument, NULL, 'n'},
		{"updates", no_argument, NULL, 'u'},
		{"summary", no_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'}, /* it always is, without --summary */
		{"ascii", no_argument, NULL, 'a'},
		{"top", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int o, rc;

	*s = (struct settings){.zone = "local", .now_ns = TIME_NONE, .top = TOP};
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
	rules_print_error(file, line, column, text);
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
		rc = rules_load_path("replay", r->detect, r->s.packs[i], on_rule_error, r);
		if (rc < 0) {
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

/* What rules refer to is given on the command line. */
static int make_detect(struct replay *r, struct agent_config *config)
{
	struct detectors_options *o = &config->detectors;
	struct strlist none = o->lists;
	bool wrong;
	int rc;

	strlist_fini(&none);
	none = o->geoip;
	strlist_fini(&none);
	o->lists = r->s.lists;
	o->geoip = r->s.geoip;
	r->s.lists = r->s.geoip = (struct strlist){.n = 0};
	rc = referred_open(&r->refer, "replay", o, same_key, &wrong);
	r->rules_wrong = r->rules_wrong || wrong;
	rc = rc == 0 ? detect_new(&r->detect, o, same_key) : rc;
	if (rc == 0) {
		detect_set_refer(r->detect, r->refer);
		detect_set_zone(r->detect, offset_of, r->zone);
	}
	return rc;
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

	r->p = malloc(REPLAY_ROOM);
	buf_init(&r->scratch, LIMIT_LINE_MAX * 2);
	r->wall_ns = sys_wall_ns(sys_plain());
	r->ahead_ns = (int64_t)config->detectors.ahead_ms * NS_PER_MS;
	rc = rc == 0 && r->p == NULL ? UV_ENOMEM : rc;
	rc = rc == 0 && r->s.summary ? summary_new(&r->summary) : rc;
	rc = rc == 0 ? shares_new(&r->shares) : rc;
	rc = rc == 0 ? redact_new(&r->redact, &config->redact) : rc;
	rc = rc == 0 ? make_detect(r, config) : rc;
	rc = rc == 0 ? alerts_new(&r->alerts, &config->alerts, SLICE_NONE, same_key)
		     : rc;
	agent_config_free(config);
	return rc == 0 ? load_rules(r) : rc;
}

static void tear_down(struct replay *r)
{
	summary_free(r->summary);
	alerts_free(r->alerts);
	detect_free(r->detect);
	refer_free(r->refer);
	strlist_fini(&r->s.lists);
	strlist_fini(&r->s.geoip);
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

/* An alert that is open comes again, with its final count. */
void replay_finding(void *arg, const struct finding *f)
{
	struct replay *r = arg;
	struct alert a;
	int rc;

	/* One that was joined with another counts nothing; what was told at once is taken
	 * back. */
	if (f->count == 0 && f->about == 0 && !r->s.updates) {
		return;
	}
	if (!r->s.summary && (!f->open || r->s.updates)) {
		rc = alerts_finding(r->alerts, f, on_alert, r);
		r->rc = r->rc == 0 ? rc : r->rc;
	} else if (alerts_admit(r->alerts, f, &a)) {
		count_alert(r, &a);
		if (r->summary != NULL && f->state == FINDING_NEW) {
			summary_alert(r->summary, f);
		}
		if (r->summary != NULL && !f->open) {
			summary_alert_end(r->summary, f);
		}
	}
}

/* ---- the summary ---- */

static size_t terminal_width(void)
{
	struct winsize size;
	size_t width = WIDTH;

	if (isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
	    size.ws_col > 0) {
		width = size.ws_col;
	}
	return width < WIDTH_LEAST ? WIDTH_LEAST : width > WIDTH_MOST ? WIDTH_MOST : width;
}

static struct summary_look look_of(const struct replay *r)
{
	const char *no_colour = getenv("NO_COLOR"); /* no-color.org */

	return (struct summary_look){
		.table = {
			.width = terminal_width(),
			.ascii = r->s.ascii || !printable_is_utf8(),
			.colour = isatty(STDOUT_FILENO) == 1 &&
				  (no_colour == NULL || no_colour[0] == '\0'),
		},
		.top = r->s.top,
		.zone = strcmp(r->s.zone, "local") == 0 ? "local time" : r->s.zone,
		.offset = offset_of,
		.zone_arg = r->zone,
	};
}

static void show_summary(struct replay *r)
{
	struct summary_read read = {r->files, r->lines, r->bytes, r->understood, r->redacted,
				    .late = 0};
	struct summary_look look = look_of(r);
	struct detect_stats st;
	struct buf out;

	detect_stats(r->detect, &st);
	read.late = st.late;
	read.future = st.future;
	read.evicted = st.evicted;
	read.forgotten = st.forgotten;
	read.re_limits = st.re_limits;
	read.rules = st.rules;
	buf_init(&out, SUMMARY_MAX);
	r->rc = r->s.json ? summary_json(r->summary, &read, r->s.top, &out)
			  : summary_text(r->summary, &read, &look, &out);
	if (r->rc == 0 && r->s.json) {
		r->rc = buf_add_u8(&out, '\n');
	}
	if (r->terminal) {
		fputs("\r\033[K", stderr);
	}
	if (r->rc == 0 && fwrite(out.p, 1, out.n, stdout) != out.n) {
		r->rc = -errno;
	}
	buf_fini(&out);
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

static int run(struct replay *r, struct source *s, size_t n)
{
	int64_t from = sys_mono_ns(sys_plain());
	bool failed = replay_files(r, s, n);

	detect_advance(r->detect, INT64_MAX, replay_finding, r);
	if (r->rc == 0 && r->summary != NULL && (r->files > 0 || !failed)) {
		show_summary(r);
	}
	if (fflush(stdout) != 0 && r->rc == 0) {
		r->rc = -errno;
	}
	if (r->rc == UV_EPIPE) {
		return CLI_OK; /* "| head" has seen enough. */
	}
	if (r->rc != 0) {
		return broken(r->rc);
	}
	if (r->summary == NULL) {
		sum_up(r, sys_mono_ns(sys_plain()) - from);
	}
	return failed || r->rules_wrong ? CLI_BROKEN : r->found > 0 ? CLI_FAILED : CLI_OK;
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
		cli_fail("replay", "time zone \"%s\": %s (try UTC, Europe/Berlin or +02:00)",
			 r.s.zone, err_str(rc));
		rc = CLI_BROKEN;
	} else {
		if (r.s.year != 0) {
			read_in_year(&r);
		}
		rc = s == NULL ? UV_ENOMEM : set_up(&r);
		if (rc == 0) {
			rc = run(&r, s, (size_t)(argc - optind));
		} else if (r.rules_wrong) {
			rc = CLI_BROKEN; /* has been said */
		} else {
			rc = broken(rc);
		}
	}
	tear_down(&r);
	free(s);
	return rc;
}
