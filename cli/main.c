#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct command commands[] = {
	{"check", "is a configuration file good?", cmd_check},
	{"config", "every option with its default", cmd_config},
	{"parse", "log lines as JSON: what each of them means", cmd_parse},
	{"pki", "identities: an authority, devices, collectors", cmd_pki},
	{"redact", "lines with their secrets masked", cmd_redact},
	{"reload", "a running agent or collector reads its configuration anew", cmd_reload},
	{"replay", "the detectors over finished logs", cmd_replay},
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
	fprintf(stderr, "nightjar: unknown command \"%s\"\n", argv[1]);
	help(stderr);
	return CLI_USAGE;
}
