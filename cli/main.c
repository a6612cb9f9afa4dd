#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/err.h"
#include "config/value.h"

const struct command commands[] = {
	{"check", "is a configuration file good?", cmd_check},
	{"config", "every option with its default", cmd_config},
	{"explain", "why a log line is taken for what it is", cmd_explain},
	{"parse", "log lines as JSON: what each of them means", cmd_parse},
	{"pki", "identities: an authority, devices, collectors", cmd_pki},
	{"redact", "lines with their secrets masked", cmd_redact},
	{"reload", "a running agent or collector reads its configuration anew", cmd_reload},
	{"replay", "the detectors over finished logs", cmd_replay},
	{"rules", "rules: which there are, are they good, do their examples hold", cmd_rules},
	{"search", "records and alerts of a collector's store", cmd_search},
	{"spool", "what waits on a device for its collector", cmd_spool},
	{"status", "how a running agent or collector is doing", cmd_status},
	{"store", "is a collector's store sound, and what is in it", cmd_store},
	{NULL, NULL, NULL},
};

__attribute__((format(printf, 2, 0)))
static void complain(const char *command, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "nightjar %s: ", command);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int cli_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(command, fmt, ap);
	va_end(ap);
	fprintf(stderr, "Try: nightjar %s --help\n", command);
	return CLI_USAGE;
}

int cli_fail(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(command, fmt, ap);
	va_end(ap);
	return CLI_FAILED;
}

int cli_not_there(const char *command, const char *path, int rc)
{
	if (rc == UV_ENOENT || rc == UV_ECONNREFUSED) {
		return cli_fail(command, "nobody answers at %s: the daemon is not "
				"running, or its `control` option names another socket "
				"(give that with -s)", path);
	}
	if (rc == UV_EACCES || rc == UV_EPERM) {
		return cli_fail(command, "%s: permission denied: ask as root, or as the "
				"user or a member of the group of the daemon", path);
	}
	if (rc == ERR_CLOSED) {
		return cli_fail(command, "%s: the daemon hung up: too many are asking "
				"it, or it is just ending; try again", path);
	}
	return cli_fail(command, "%s: %s", path, err_str(rc));
}

/* The command that may have been meant, or NULL. */
static const struct command *nearest(const char *name)
{
	const struct command *best = NULL;
	unsigned least = 3; /* two slips are a slip, three another word */

	for (const struct command *c = commands; c->name != NULL; c++) {
		unsigned d = value_distance(slice_str(name), slice_str(c->name));

		if (d < least) {
			least = d;
			best = c;
		}
	}
	return best;
}

static int unknown(const char *name)
{
	const struct command *meant = nearest(name);

	fprintf(stderr, "nightjar: unknown command \"%s\"", name);
	if (meant != NULL) {
		fprintf(stderr, ", did you mean \"%s\"?", meant->name);
	}
	fputs("\nTry: nightjar --help\n", stderr);
	return CLI_USAGE;
}

static void help(FILE *out)
{
	fputs("Usage: nightjar COMMAND [OPTION]... [ARGUMENT]...\n\n"
	      "Commands:\n",
	      out);
	for (const struct command *c = commands; c->name != NULL; c++) {
		fprintf(out, "  %-10s %s\n", c->name, c->summary);
	}
	fputs("\nnightjar COMMAND --help tells more about one of them.\n"
	      "Exit status: 0 good, 1 found something or failed, 2 used "
	      "wrongly.\n",
	      out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		help(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("nightjar " NIGHTJAR_VERSION);
		return CLI_OK;
	}
	for (const struct command *c = commands; c->name != NULL; c++) {
		if (strcmp(argv[1], c->name) == 0) {
			return c->run(argc - 1, argv + 1);
		}
	}
	return unknown(argv[1]);
}
