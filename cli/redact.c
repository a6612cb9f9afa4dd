/* nightjar redact: what leaves a device, seen at a terminal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/err.h"
#include "common/json.h"
#include "common/limits.h"
#include "config/config.h"
#include "parsers/parser.h"
#include "redact/password.h"
#include "redact/pseudonym.h"
#include "redact/redact.h"

enum { BUFFER = REDACT_LINE_MAX + LIMIT_CHUNK };

struct run {
	struct redact *r;
	struct redact_state state;
	struct buf scratch, renamed;
	struct redact_names names_for; /* pseudonyms */
	struct parser *parser;         /* that finds the names; NULL: not needed */
	char *buffer;
	bool explain;
	bool test;
	bool names;
	bool skipping; /* inside a line over REDACT_LINE_MAX */
	uint64_t line; /* the current one's number, from 1 */
	uint64_t failed;
};

static const char usage_text[] =
	"Usage: nightjar redact [OPTION]... [FILE|-]...\n\n"
	"Writes the lines with secrets masked; every other byte stays as it is.\n"
	"Each file is a stream of its own.  A line over 1 MiB is masked whole.\n\n"
	"  --explain       tell on standard error what is masked where, and why\n"
	"                  (never the secret itself)\n"
	"  --stats         count masks by rule on standard error\n"
	"  --json          --stats as JSON\n"
	"  --rules         list the rules and exit\n"
	"  --test          the files hold examples: a line that begins with \"+ \"\n"
	"                  must be masked, one with \"- \" must stay; prints those\n"
	"                  that do not, status 1 when there are any\n"
	"  --names         the files hold user names, one a line: tells which look like\n"
	"                  passwords, and would be masked in a failed login\n"
	"  -c FILE         with the rules of this agent's configuration (section redact);\n"
	"                  without redact.pseudonym_key its pseudonyms are made with a\n"
	"                  key that no device has\n"
	"  --key NAME      the value of NAME is a secret, too (repeatable)\n"
	"  --token PREFIX  words that begin so are secrets, too (repeatable)\n"
	"  --except VALUE  this value is no secret (repeatable)\n"
	"  --off RULE      do not use this rule (repeatable)\n\n"
	"Example: journalctl -u app | nightjar redact --stats\n";

static void on_mask(void *arg, unsigned rule, size_t offset, struct slice masked)
{
	struct run *run = arg;

	fprintf(stderr, "line %llu, byte %zu: %zu bytes, rule %s: %s\n",
		(unsigned long long)run->line, offset + 1, masked.n,
		redact_rule_name(rule), redact_rule_help(rule));
}

static bool put(struct slice s)
{
	return s.n == 0 || fwrite(s.p, 1, s.n, stdout) == s.n;
}

/* "+ text" must be masked, "- text" must not. */
static void test_line(struct run *run, struct slice line)
{
	struct slice text = slice_skip(line, 2), out;
	struct redact_state state = {0};
	bool want, masked;

	if (line.n < 2 || line.p[1] != ' ' || (line.p[0] != '+' && line.p[0] != '-')) {
		return;
	}
	want = line.p[0] == '+';
	masked = redact_line_explain(run->r, &state, text, &run->scratch, &out,
				     run->explain ? on_mask : NULL, run);
	if (masked != want) {
		run->failed++;
		printf("line %llu: %s: ", (unsigned long long)run->line,
		       want ? "not masked" : "masked");
		put(out);
		putchar('\n');
	}
}

static bool one_line(struct run *run, struct redact_chunk *c, struct slice line)
{
	struct slice out;

	run->line++;
	if (run->test) {
		test_line(run, line);
		return true;
	}
	if (run->names) {
		return put(redact_looks_like_password(line) ? SLICE_LIT("password ")
							    : SLICE_LIT("name     ")) &&
		       put(line);
	}
	if (run->explain) {
		redact_line_explain(run->r, &run->state, line, &run->scratch, &out,
				    on_mask, run);
	} else {
		redact_chunk_line(c, &run->state, line, &run->scratch, &out);
	}
	if (run->parser != NULL) {
		struct header h;
		struct event e;

		parser_line(run->parser, out, 0, &h, &e);
		redact_names_line(&run->names_for, out, &h, &e, &run->renamed, &out);
	}
	return put(out);
}

/* The complete lines of buffer[0, n) (all of it at the end); how much that was, or
 * -1 when standard output failed. */
static int64_t lines(struct run *run, size_t n, bool end)
{
	struct redact_chunk c = redact_chunk(run->r, run->buffer, n);
	size_t at = 0;

	while (at < n) {
		const char *p = run->buffer + at;
		const char *newline = memchr(p, '\n', n - at);
		size_t len = newline == NULL ? n - at : (size_t)(newline - p);

		if (newline == NULL && !end) {
			break;
		}
		if (!run->skipping && !one_line(run, &c, slice(p, len))) {
			return -1;
		}
		run->skipping = false;
		if (newline != NULL && !run->test && putchar('\n') == EOF) {
			return -1;
		}
		at += len + (newline != NULL);
	}
	return (int64_t)at;
}

/* The buffer is full and holds no newline: the line is masked whole. */
static void skip_long(struct run *run)
{
	if (!run->skipping && !run->test) {
		run->line++;
		run->state.lines++;
		put(SLICE_LIT("*redacted-limit*"));
	}
	run->skipping = true;
}

static int stream(struct run *run, int fd, const char *name)
{
	size_t n = 0;

	run->state.in_key = false;
	run->skipping = false;
	run->line = 0;
	for (;;) {
		ssize_t got = read(fd, run->buffer + n, BUFFER - n);
		int64_t used;

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return cli_fail("redact", "cannot read %s: %s", name,
					strerror(errno));
		}
		n += (size_t)got;
		used = lines(run, n, got == 0);
		if (used < 0) {
			return cli_fail("redact", "cannot write: %s", strerror(errno));
		}
		memmove(run->buffer, run->buffer + used, n - (size_t)used);
		n -= (size_t)used;
		if (n > REDACT_LINE_MAX) {
			skip_long(run);
			n = 0;
		}
		if (got == 0) {
			return CLI_OK;
		}
	}
}

static int file(struct run *run, const char *path)
{
	int fd, status;

	if (strcmp(path, "-") == 0) {
		return stream(run, STDIN_FILENO, "standard input");
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return cli_fail("redact", "cannot open %s: %s", path, strerror(errno));
	}
	status = stream(run, fd, path);
	close(fd);
	return status;
}

static void stats(const struct run *run, bool as_json)
{
	struct buf b;
	struct json j;

	if (!as_json) {
		fprintf(stderr, "%llu lines changed\n", (unsigned long long)run->state.lines);
		for (unsigned i = 0; i < redact_rules(); i++) {
			if (run->state.counts[i] != 0) {
				fprintf(stderr, "%10llu %s\n",
					(unsigned long long)run->state.counts[i],
					redact_rule_name(i));
			}
		}
		return;
	}
	buf_init(&b, 64 * 1024);
	j = json_begin(&b);
	json_object(&j, NULL);
	json_u64(&j, "lines_changed", run->state.lines);
	json_object(&j, "masks");
	for (unsigned i = 0; i < redact_rules(); i++) {
		json_u64(&j, redact_rule_name(i), run->state.counts[i]);
	}
	json_object_end(&j);
	json_object_end(&j);
	if (json_end(&j) == 0) {
		fprintf(stderr, "%.*s\n", SLICE_ARG(buf_slice(&b)));
	}
	buf_fini(&b);
}

static void list_rules(void)
{
	for (unsigned i = 0; i < redact_rules(); i++) {
		printf("%-14s %s\n", redact_rule_name(i), redact_rule_help(i));
	}
}

struct args {
	struct redact_options options;
	const char *config; /* NULL: none */
	bool explain, stats, json, test, names, rules, help;
};

static bool is(const char *arg, const char *name)
{
	return strcmp(arg, name) == 0;
}

/* Options anywhere; files stay in argv, moved to the front.  Their number, or -1
 * after a message. */
static int parse_args(struct args *a, int argc, char **argv)
{
	int files = 0;

	for (int i = 1; i < argc; i++) {
		struct strlist *list =
			is(argv[i], "--key")      ? &a->options.keys
			: is(argv[i], "--token")  ? &a->options.tokens
			: is(argv[i], "--except") ? &a->options.except
			: is(argv[i], "--off")    ? &a->options.off
						  : NULL;
		bool *flag = is(argv[i], "--explain") ? &a->explain
			     : is(argv[i], "--stats") ? &a->stats
			     : is(argv[i], "--json")  ? &a->json
			     : is(argv[i], "--test")  ? &a->test
			     : is(argv[i], "--names") ? &a->names
			     : is(argv[i], "--rules") ? &a->rules
			     : is(argv[i], "--help")  ? &a->help
						      : NULL;

		if (list != NULL && i + 1 < argc) {
			if (strlist_add(list, slice_str(argv[++i])) != 0) {
				cli_fail("redact", "out of memory");
				return -1;
			}
		} else if (is(argv[i], "-c") && i + 1 < argc) {
			a->config = argv[++i];
		} else if (list != NULL || is(argv[i], "-c")) {
			cli_usage("redact", "%s needs a value", argv[i]);
			return -1;
		} else if (flag != NULL) {
			*flag = true;
		} else if (argv[i][0] == '-' && argv[i][1] != '\0') {
			cli_usage("redact", "unknown option %s", argv[i]);
			return -1;
		} else {
			argv[files++] = argv[i];
		}
	}
	return files;
}

static int add_all(struct strlist *to, const struct strlist *from)
{
	int rc = 0;

	for (size_t i = 0; i < from->n && rc == 0; i++) {
		rc = strlist_add(to, slice_str(from->v[i]));
	}
	return rc;
}

/* What the configuration says goes before what the command line adds. */
static int read_config(struct args *a)
{
	struct agent_config *c;
	struct config_errors errs;
	int rc;

	if (a->config == NULL) {
		return CLI_OK;
	}
	if (config_load_agent(a->config, &c, &errs) != 0) {
		for (size_t i = 0; i < errs.n; i++) {
			fprintf(stderr, "%s\n", errs.text[i]);
		}
		return CLI_FAILED;
	}
	rc = add_all(&a->options.keys, &c->redact.keys);
	rc = rc == 0 ? add_all(&a->options.tokens, &c->redact.tokens) : rc;
	rc = rc == 0 ? add_all(&a->options.except, &c->redact.except) : rc;
	rc = rc == 0 ? add_all(&a->options.off, &c->redact.off) : rc;
	rc = rc == 0 ? add_all(&a->options.pseudonyms, &c->redact.pseudonyms) : rc;
	if (rc == 0 && c->redact.pseudonym_key != NULL) {
		a->options.pseudonym_key = strdup(c->redact.pseudonym_key);
	}
	a->options.enabled = c->redact.enabled;
	agent_config_free(c);
	return rc == 0 ? CLI_OK : cli_fail("redact", "out of memory");
}

/* Without a key in the configuration: one that no device has. */
static int open_names(struct run *run, const struct redact_options *options)
{
	static const uint8_t own[PSEUDONYM_KEY] = {0};
	int rc = redact_names_init(&run->names_for, options, own);

	if (rc == 0 && run->names_for.fields != 0) {
		buf_init(&run->renamed, 4 * REDACT_LINE_MAX);
		rc = parser_new(&run->parser, NULL);
	}
	return rc;
}

static int redact_files(struct run *run, const struct args *a, char **names, int n)
{
	int status = CLI_OK, rc;

	rc = redact_new(&run->r, &a->options);
	if (rc == UV_EINVAL) {
		return cli_usage("redact", "--off takes a name that --rules lists (but "
				 "not limit); --key and --token 3 to 32 printable "
				 "characters without blanks");
	}
	rc = rc == 0 ? open_names(run, &a->options) : rc;
	run->buffer = malloc(BUFFER);
	if (rc != 0 || run->buffer == NULL) {
		return cli_fail("redact", "out of memory");
	}
	buf_init(&run->scratch, 4 * REDACT_LINE_MAX);
	for (int i = 0; i < n || i == 0; i++) {
		int one = file(run, n == 0 ? "-" : names[i]);

		status = one != CLI_OK ? one : status;
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		status = cli_fail("redact", "cannot write: %s", strerror(errno));
	}
	if (a->stats || a->json) {
		stats(run, a->json);
	}
	return run->failed != 0 ? CLI_FAILED : status;
}

int cmd_redact(int argc, char **argv)
{
	struct args a = {.options = {.enabled = true}};
	struct run run = {0};
	int files = parse_args(&a, argc, argv), status;

	run.explain = a.explain;
	run.test = a.test;
	run.names = a.names;
	if (files < 0) {
		status = CLI_USAGE;
	} else if (a.help) {
		fputs(usage_text, stdout);
		status = CLI_OK;
	} else if (a.rules) {
		list_rules();
		status = CLI_OK;
	} else {
		status = read_config(&a);
		status = status == CLI_OK ? redact_files(&run, &a, argv, files) : status;
	}
	redact_free(run.r);
	parser_free(run.parser);
	buf_fini(&run.renamed);
	if (a.options.pseudonym_key != NULL) {
		explicit_bzero(a.options.pseudonym_key, strlen(a.options.pseudonym_key));
	}
	free(a.options.pseudonym_key);
	strlist_fini(&a.options.pseudonyms);
	free(run.buffer);
	buf_fini(&run.scratch);
	strlist_fini(&a.options.keys);
	strlist_fini(&a.options.tokens);
	strlist_fini(&a.options.except);
	strlist_fini(&a.options.off);
	return status;
}
