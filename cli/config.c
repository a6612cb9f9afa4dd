/* nightjar config: every option there is. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/err.h"
#include "config/config.h"

enum { OUTPUT_MAX = 1024 * 1024 };

enum form { FORM_YAML, FORM_TEMPLATE, FORM_JSON, FORM_MARKDOWN, FORM_MDOC };

static void help(void)
{
	fputs("Usage: nightjar config [agent|collector] [OPTION]...\n\n"
	      "Prints the whole configuration of the agent (the default) or of "
	      "the collector\nwith its defaults, each option explained.\n\n"
	      "  --template  every option commented out: a file to begin with\n"
	      "  --json      a description of every option, for programs\n"
	      "  --markdown  both programs' options as docs/config.md has them\n"
	      "  --mdoc      the same as nightjar.yaml(5) has them\n"
	      "  --help      this text\n\n"
	      "Example: nightjar config agent --template > /etc/nightjar/agent.yaml\n",
	      stdout);
}

static int print(enum form form, enum config_kind kind, struct buf *out)
{
	switch (form) {
	case FORM_JSON:
		return config_print_json(kind, out);
	case FORM_MARKDOWN:
		return config_print_markdown(out);
	case FORM_MDOC:
		return config_print_mdoc(out);
	case FORM_YAML:
	case FORM_TEMPLATE:
		break;
	}
	return config_print_yaml(kind, form == FORM_TEMPLATE, out);
}

static int show(enum form form, enum config_kind kind)
{
	struct buf out;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	rc = print(form, kind, &out);
	if (rc == 0 && form == FORM_JSON) {
		rc = buf_add_u8(&out, '\n');
	}
	if (rc != 0) {
		buf_fini(&out);
		return cli_fail("config", "%s", err_str(rc));
	}
	fwrite(out.p, 1, out.n, stdout);
	buf_fini(&out);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		return cli_fail("config", "cannot write to standard output");
	}
	return CLI_OK;
}

int cmd_config(int argc, char **argv)
{
	static const struct option options[] = {
		{"template", no_argument, NULL, FORM_TEMPLATE},
		{"json", no_argument, NULL, FORM_JSON},
		{"markdown", no_argument, NULL, FORM_MARKDOWN},
		{"mdoc", no_argument, NULL, FORM_MDOC},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	enum form form = FORM_YAML;
	enum config_kind kind = CONFIG_AGENT;
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			help();
			return CLI_OK;
		}
		if (c == '?') {
			return cli_usage("config", "unknown option %s", argv[optind - 1]);
		}
		if (form != FORM_YAML) {
			return cli_usage("config", "choose one form of output");
		}
		form = (enum form)c;
	}
	if (optind < argc && strcmp(argv[optind], "collector") == 0) {
		kind = CONFIG_COLLECTOR;
		optind++;
	} else if (optind < argc && strcmp(argv[optind], "agent") == 0) {
		optind++;
	}
	if (optind < argc) {
		return cli_usage("config", "\"%s\" is not known; write agent or collector",
				 argv[optind]);
	}
	return show(form, kind);
}
