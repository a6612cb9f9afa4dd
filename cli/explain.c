/* nightjar explain: what becomes of a line, step by step. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/referred.h"
#include "cli/explain_pattern.h"
#include "common/ecs.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "common/timefmt.h"
#include "config/config.h"
#include "detectors/detect.h"
#include "parsers/parser.h"
#include "parsers/zone.h"
#include "redact/pseudonym.h"
#include "redact/redact.h"

enum {
	OUTPUT_MAX = 4 * 1024 * 1024,
	LINE_ROOM = LIMIT_LINE_MAX * 2,
	MASKS = 64,
	RULES = 128,
	ALERTS = 32,
};

struct mask {
	unsigned rule;
	size_t at;
};

struct counted {
	const char *id, *title, *by;
	bool counts;
};

struct explain {
	const char *file, *zone_name, *source;
	int64_t now_ns;
	bool json;
	struct agent_config *config;
	struct zone *zone;
	struct redact *redact;
	struct redact_state state;
	struct refer *refer;
	struct detect *detect;
	struct parser *parser;
	struct redact_names names; /* pseudonyms */
	struct parser *reader;     /* that finds the names; NULL: not needed */
	struct buf scratch, renamed, text, out;
	bool failed; /* and it is told */

	/* Of the line at hand. */
	struct record r;
	struct mask masks[MASKS];
	struct counted rules[RULES];
	const char *alerts[ALERTS];
	size_t n_masks, n_rules, n_alerts;
	bool earlier[FIELD_NR]; /* known from a line before it */
	uint64_t number;
};

static void help(void)
{
	fputs("Usage: nightjar explain [OPTION]... [LINE]...\n\n"
	      "Tells what becomes of a log line and why: how its header was read, which "
	      "family of\nprograms knows it and by which pattern, which fields came out, what "
	      "was masked by\nwhich rule, and which detectors counted it. Lines are taken from "
	      "the arguments, or\nelse from standard input; they are read in order, as one log, "
	      "so that lines of one\nconnection join. What is masked is never shown.\n\n"
	      "  -c FILE     redaction rules and detectors of this agent's configuration\n"
	      "              (default: those built in); without redact.pseudonym_key its\n"
	      "              pseudonyms are made with a key that no device has\n"
	      "  --source S  as if read from there: journal:, or unix:/dev/log uid=1000\n"
	      "              (who may write such a line is then judged)\n"
	      "  --zone Z    time zone of stamps that name none: local (default), UTC,\n"
	      "              Europe/Berlin, +02:00, or a POSIX TZ rule\n"
	      "  --now T     read as at this time (2026-11-22T15:37:46Z; default: the clock)\n"
	      "  --json      one JSON object for each line\n"
	      "  --help      this text\n\n"
	      "A line that is not understood says at which step: no stamp that is known, no\n"
	      "program, a program that no family knows, or a wording that its family does not.\n\n"
	      "Examples:\n"
	      "  nightjar explain 'Nov 22 15:37:46 gw sshd[42]: Failed password for root from "
	      "192.0.2.7 port 4022 ssh2'\n"
	      "  grep 'sshd\\[815\\]' /var/log/auth.log | nightjar explain\n\n"
	      "Exit status: 0 every line was understood, 1 some was not, or a failure, 2 used\n"
	      "wrongly.\n",
	      stdout);
}

static int usage(struct explain *x, int argc, char **argv)
{
	static const struct option options[] = {
		{"source", required_argument, NULL, 's'}, {"zone", required_argument, NULL, 'z'},
		{"now", required_argument, NULL, 'n'},    {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			x->file = optarg;
			break;
		case 's':
			x->source = optarg;
			break;
		case 'z':
			x->zone_name = optarg;
			break;
		case 'n':
			if (!time_parse(slice_str(optarg), &x->now_ns)) {
				return cli_usage("explain", "--now \"%s\" is no time such as "
						 "2026-11-22T15:37:46Z", optarg);
			}
			break;
		case 'j':
			x->json = true;
			break;
		case 'h':
			help();
			exit(CLI_OK);
		case ':':
			return cli_usage("explain", "%s needs a value", argv[optind - 1]);
		default:
			return cli_usage("explain", "unknown option %s", argv[optind - 1]);
		}
	}
	return 0;
}

/* ---- set up ---- */

static void on_rule_error(void *arg, const char *file, unsigned line, unsigned column,
			  const char *text)
{
	struct explain *x = arg;

	x->failed = true;
	fprintf(stderr, "%s:%u:%u: %s\n", file, line, column, text);
}

static int load_config(struct explain *x)
{
	struct config_errors errors;
	int rc = x->file == NULL
			 ? config_parse_agent("defaults", SLICE_LIT("{}"), &x->config, &errors)
			 : config_load_agent(x->file, &x->config, &errors);

	if (rc != 0) {
		for (size_t i = 0; i < errors.n; i++) {
			cli_fail("explain", "%s", errors.text[i]);
		}
	}
	return rc;
}

static int load_rules(struct explain *x)
{
	const struct detectors_options *o = &x->config->detectors;
	bool placeholders = o->placeholders != NULL && o->placeholders[0] != '\0';
	int rc = !placeholders ? 0 : detect_placeholders_file(x->detect, sys_plain(),
							      o->placeholders, on_rule_error, x);

	if (rc == 0 && o->packs.n == 0) {
		rc = detect_load_defaults(x->detect, on_rule_error, x);
	}
	for (size_t i = 0; i < o->packs.n && rc >= 0; i++) {
		rc = detect_load_dir(x->detect, sys_plain(), o->packs.v[i], on_rule_error, x);
		if (rc < 0) {
			cli_fail("explain", "%s: %s", o->packs.v[i], err_str(rc));
		}
	}
	return rc < 0 ? rc : detect_compile(x->detect, on_rule_error, x);
}

/* What the agent does before it parses (agent/names.c), but for the device's own key. */
static int open_names(struct explain *x)
{
	static const uint8_t own[PSEUDONYM_KEY] = {0};
	int rc = redact_names_init(&x->names, &x->config->redact, own);

	if (rc == 0 && x->names.fields != 0) {
		rc = parser_new(&x->reader, x->zone);
	}
	if (rc == 0 && x->reader != NULL && x->source != NULL) {
		parser_sender(x->reader, slice_str(x->source));
	}
	return rc;
}

static int set_up(struct explain *x)
{
	uint8_t key[16];
	bool wrong; /* It was said. */
	int rc = sys_random(sys_plain(), key, sizeof key);

	if (rc != 0) {
		return cli_fail("explain", "cannot get random numbers: %s", err_str(rc));
	}
	rc = zone_open(&x->zone, sys_plain(), x->zone_name);
	if (rc != 0) {
		return cli_fail("explain", "time zone \"%s\": %s (try UTC, Europe/Berlin or "
				"+02:00)", x->zone_name, err_str(rc));
	}
	rc = load_config(x);
	if (rc != 0) {
		return CLI_FAILED;
	}
	if (x->config->redact.enabled) {
		rc = redact_new(&x->redact, &x->config->redact);
	}
	rc = rc != 0 ? rc : open_names(x);
	rc = rc != 0 ? rc : parser_new(&x->parser, x->zone);
	if (rc == 0 && x->source != NULL) {
		parser_sender(x->parser, slice_str(x->source));
	}
	if (rc == 0 && x->config->detectors.enabled) {
		rc = referred_open(&x->refer, "explain", &x->config->detectors, key, &wrong);
		rc = rc != 0 ? rc : detect_new(&x->detect, &x->config->detectors, key);
		if (rc == 0) {
			detect_set_refer(x->detect, x->refer);
			rc = load_rules(x);
		}
	}
	return rc < 0 ? cli_fail("explain", "%s", err_str(rc)) : CLI_OK;
}

static void tear_down(struct explain *x)
{
	detect_free(x->detect);
	refer_free(x->refer);
	parser_free(x->parser);
	parser_free(x->reader);
	redact_free(x->redact);
	agent_config_free(x->config);
	zone_free(x->zone);
	explicit_bzero(&x->names, sizeof x->names);
	buf_wipe(&x->scratch);
	buf_wipe(&x->renamed);
	buf_wipe(&x->text);
	buf_wipe(&x->out);
}

/* ---- one line through all ---- */

static void on_mask(void *arg, unsigned rule, size_t offset, struct slice masked)
{
	struct explain *x = arg;

	(void)masked; /* It is the secret. */
	if (x->n_masks < MASKS) {
		x->masks[x->n_masks++] = (struct mask){rule, offset};
	}
}

static void on_counted(void *arg, const char *id, const char *title, const char *by,
		       bool counts)
{
	struct explain *x = arg;

	if (x->n_rules < RULES) {
		x->rules[x->n_rules++] = (struct counted){id, title, by, counts};
	}
}

static void on_finding(void *arg, const struct finding *f)
{
	struct explain *x = arg;

	if (x->n_alerts < ALERTS && f->state == FINDING_NEW) {
		x->alerts[x->n_alerts++] = f->rule_title;
	}
}

static int judge(struct explain *x, struct slice line)
{
	struct header h;
	struct event e;

	x->n_masks = x->n_rules = x->n_alerts = 0;
	x->number++;
	x->r = (struct record){.observed_ns = x->now_ns, .line = line};
	if (x->redact != NULL) {
		redact_line_explain(x->redact, &x->state, line, &x->scratch, &x->r.line, on_mask,
				    x);
	}
	if (x->reader != NULL) {
		parser_line(x->reader, x->r.line, x->now_ns, &h, &e);
		redact_names_line(&x->names, x->r.line, &h, &e, &x->renamed, &x->r.line);
	}
	parser_line(x->parser, x->r.line, x->now_ns, &x->r.header, &x->r.event);
	if (x->detect != NULL) {
		detect_record(x->detect, &x->r, on_finding, x);
		detect_matched(x->detect, &x->r, on_counted, x);
	}
	return explain_earlier(&x->r, x->zone, x->source, x->earlier);
}

/* ---- telling ---- */

static const char *header_name(enum header_format f)
{
	switch (f) {
	case HEADER_RFC3164:
		return "RFC 3164 (\"Nov 22 15:37:46\")";
	case HEADER_ISO:
		return "an ISO 8601 stamp before an RFC 3164 rest";
	case HEADER_RFC5424:
		return "RFC 5424";
	case HEADER_LOGREAD:
		return "OpenWrt's logread";
	case HEADER_OTHER:
		return "a program's own log file";
	case HEADER_NONE:
		break;
	}
	return "none that is known";
}

/* Why there is no event, or NULL. */
static const char *why_not(const struct explain *x)
{
	const char *family = parser_family(x->parser);

	if (event_understood(&x->r.event)) {
		return NULL;
	}
	if (x->r.header.format == HEADER_NONE) {
		return "it begins with no stamp that is known, so it is all message";
	}
	if (family == NULL) {
		return "whoever wrote it can't be the program that it names";
	}
	if (x->r.header.program.n == 0) {
		return "it names no program, and its form tells none";
	}
	return strcmp(family, "pam") == 0
		       ? "no family knows this program, and it is no message of PAM's"
		       : "the program's family does not know this wording, or it says nothing "
			 "that is an event";
}

static void row(struct explain *x, const char *name, struct slice value)
{
	char quoted[2048];

	buf_printf(&x->out, "  %-10s%s\n", name, log_quote(quoted, sizeof quoted, value));
}

static void tell_header(struct explain *x)
{
	const struct header *h = &x->r.header;
	char stamp[TIME_TEXT];

	buf_printf(&x->out, "  %-10s%s\n", "header", header_name(h->format));
	if (h->time_ns != TIME_NONE) {
		time_format(stamp, h->time_ns);
		buf_printf(&x->out, "  %-10s%s\n", "  time", stamp);
	}
	if (h->host.n > 0) {
		row(x, "  host", h->host);
	}
	if (h->program.n > 0) {
		row(x, "  program", h->program);
	}
	if (h->pid.n > 0) {
		row(x, "  pid", h->pid);
	}
}

static void tell_event(struct explain *x)
{
	const struct event *e = &x->r.event;
	char quoted[2048];

	buf_clear(&x->text);
	explain_pattern(&x->r, &x->text);
	buf_printf(&x->out, "  %-10s%s (parsers/%s.c)\n", "family", parser_family(x->parser),
		   parser_family(x->parser));
	row(x, "pattern", buf_slice(&x->text));
	buf_printf(&x->out, "  %-10s%.*s", "means", SLICE_ARG(event_get(e, FIELD_EVENT_ACTION)));
	if (e->outcome != OUTCOME_NONE) {
		buf_printf(&x->out, ", %s, %u new attempt%s", outcome_name(e->outcome),
			   e->attempts, e->attempts == 1 ? "" : "s");
	}
	buf_printf(&x->out, "\n");
	for (unsigned i = 0; i < FIELD_NR; i++) {
		enum event_field field = (enum event_field)i;

		if (event_has(e, field)) {
			buf_printf(&x->out, "  %-10s%s = %s%s\n", "", event_field_name(field),
				   log_quote(quoted, sizeof quoted, e->f[field]),
				   x->earlier[i] ? "  (from an earlier line)" : "");
		}
	}
}

static void tell_rules(struct explain *x)
{
	if (x->detect == NULL) {
		buf_printf(&x->out, "  %-10sdetectors are switched off\n", "counted");
	} else if (x->n_rules == 0) {
		buf_printf(&x->out, "  %-10sby no detector\n", "counted");
	}
	for (size_t i = 0; i < x->n_rules; i++) {
		const struct counted *c = &x->rules[i];

		if (c->by == NULL) {
			buf_printf(&x->out, "  %-10s%s\n", i == 0 ? "counted" : "", c->title);
		} else {
			buf_printf(&x->out, "  %-10s  %s %s\n", "",
				   c->counts ? "counted by:"
					     : "an attempt that is counted already:",
				   c->title);
		}
	}
	for (size_t i = 0; i < x->n_alerts; i++) {
		buf_printf(&x->out, "  %-10s%s\n", "alert", x->alerts[i]);
	}
}

static void tell(struct explain *x)
{
	char quoted[2048];

	buf_printf(&x->out, "line %llu: %s\n", (unsigned long long)x->number,
		   log_quote(quoted, sizeof quoted, x->r.line));
	tell_header(x);
	if (event_understood(&x->r.event)) {
		tell_event(x);
	} else {
		buf_printf(&x->out, "  %-10s%s\n", "means", why_not(x));
	}
	for (size_t i = 0; i < x->n_masks; i++) {
		buf_printf(&x->out, "  %-10sfrom byte %zu on, by %s: %s\n", "masked",
			   x->masks[i].at + 1, redact_rule_name(x->masks[i].rule),
			   redact_rule_help(x->masks[i].rule));
	}
	if (x->redact == NULL) {
		buf_printf(&x->out, "  %-10sredaction is switched off\n", "masked");
	}
	tell_rules(x);
}

static void tell_json(struct explain *x)
{
	struct json j = json_begin(&x->out);

	buf_clear(&x->text);
	json_object(&j, NULL);
	json_u64(&j, "line", x->number);
	json_cstr(&j, "header", header_name(x->r.header.format));
	json_bool(&j, "understood", event_understood(&x->r.event));
	if (event_understood(&x->r.event)) {
		explain_pattern(&x->r, &x->text);
		json_cstr(&j, "family", parser_family(x->parser));
		json_string(&j, "pattern", buf_slice(&x->text));
	} else {
		json_cstr(&j, "why", why_not(x));
	}
	json_object(&j, "record");
	ecs_write(&j, &x->r);
	json_object_end(&j);
	json_array(&j, "masks");
	for (size_t i = 0; i < x->n_masks; i++) {
		json_object(&j, NULL);
		json_cstr(&j, "rule", redact_rule_name(x->masks[i].rule));
		json_u64(&j, "byte", x->masks[i].at + 1);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array(&j, "rules");
	for (size_t i = 0; i < x->n_rules; i++) {
		json_object(&j, NULL);
		json_cstr(&j, "id", x->rules[i].id);
		json_cstr(&j, "name", x->rules[i].title);
		if (x->rules[i].by != NULL) {
			json_cstr(&j, "by", x->rules[i].by);
		}
		json_bool(&j, "counts", x->rules[i].counts);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array(&j, "alerts");
	for (size_t i = 0; i < x->n_alerts; i++) {
		json_cstr(&j, NULL, x->alerts[i]);
	}
	json_array_end(&j);
	json_object_end(&j);
	buf_add_u8(&x->out, '\n');
}

static int one_line(struct explain *x, struct slice line, bool *all)
{
	int rc = judge(x, slice_head(line, LIMIT_LINE_MAX));

	if (rc != 0) {
		return rc;
	}
	buf_clear(&x->out);
	if (x->json) {
		tell_json(x);
	} else {
		tell(x);
	}
	*all = *all && event_understood(&x->r.event);
	return fwrite(x->out.p, 1, x->out.n, stdout) == x->out.n ? 0 : -errno;
}

static int input_lines(struct explain *x, bool *all)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = getline(&line, &room, stdin)) >= 0) {
		rc = one_line(x, slice(line, (size_t)n - (n > 0 && line[n - 1] == '\n')), all);
	}
	if (rc == 0 && ferror(stdin)) {
		x->failed = true;
		cli_fail("explain", "cannot read standard input: %s", err_str(-errno));
	}
	if (line != NULL) {
		explicit_bzero(line, room);
	}
	free(line);
	return rc;
}

/* Somebody may have meant what is in it. */
static int argument(struct explain *x, const char *text, bool *all)
{
	struct sys_stat st;

	if (sys_stat(sys_plain(), text, &st) == 0 && S_ISREG(st.mode)) {
		cli_fail("explain", "\"%s\" is a file, and is read as a line here: for the "
				    "lines in it, nightjar explain < %s", text, text);
	}
	return one_line(x, slice_str(text), all);
}

int cmd_explain(int argc, char **argv)
{
	struct explain *x = calloc(1, sizeof *x);
	bool all = true;
	int rc;

	if (x == NULL) {
		return cli_fail("explain", "%s", err_str(UV_ENOMEM));
	}
	x->zone_name = "local";
	x->now_ns = sys_wall_ns(sys_plain());
	buf_init(&x->scratch, LINE_ROOM);
	buf_init(&x->renamed, LINE_ROOM);
	buf_init(&x->text, LINE_ROOM);
	buf_init(&x->out, OUTPUT_MAX);
	rc = usage(x, argc, argv);
	rc = rc != 0 ? rc : set_up(x);
	if (rc == 0) {
		for (int i = optind; i < argc && rc == 0; i++) {
			rc = argument(x, argv[i], &all);
		}
		if (optind == argc) {
			rc = input_lines(x, &all);
		}
		if (rc == 0 && fflush(stdout) != 0) {
			rc = -errno;
		}
		rc = rc == 0 ? (all && !x->failed ? CLI_OK : CLI_FAILED)
		     : rc == UV_EPIPE
			     ? CLI_OK
			     : cli_fail("explain", "%s", err_str(rc));
	}
	tear_down(x);
	free(x);
	return rc;
}
