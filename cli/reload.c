/* nightjar reload: a running agent or collector reads its configuration anew. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/control.h"
#include "common/err.h"
#include "config/config.h"

static void help(void)
{
	fputs("Usage: nightjar reload [OPTION]...\n\n"
	      "Asks the agent on this machine, or the collector if there is no agent, to read\n"
	      "its configuration anew.  A bad one changes nothing, and why is printed with file,\n"
	      "line and column.  What was taken up is printed section by section, and what takes\n"
	      "effect only after a restart.\n\n"
	      "  --agent      the agent (" CONFIG_AGENT_CONTROL ")\n"
	      "  --collector  the collector (" CONFIG_COLLECTOR_CONTROL ")\n"
	      "  -s SOCKET    the daemon whose `control` option is SOCKET\n"
	      "  --help       this text\n\n"
	      "Exit status: 0 taken over, 1 refused or nobody there, 2 used wrongly.\n\n"
	      "Example: nightjar reload --agent\n",
	      stdout);
}

/* Paths and the like are others' to choose. */
static void print_list(const json_t *answer, const char *name, FILE *to)
{
	const json_t *list = json_object_get(answer, name), *text;
	size_t i;

	json_array_foreach(list, i, text) {
		const char *s = json_string_value(text);

		for (; s != NULL && *s != '\0'; s++) {
			unsigned char c = (unsigned char)*s;

			if (c < 0x20 || c == 0x7f) {
				fprintf(to, "\\x%02x", c);
			} else {
				fputc(c, to);
			}
		}
		fputc('\n', to);
	}
}

static int tell(struct slice reply)
{
	json_t *answer = json_loadb(reply.p, reply.n, 0, NULL);
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (answer == NULL || json_object_get(answer, "ok") == NULL) {
		fputs("nightjar reload: the daemon does not know how; is it older?\n", stderr);
	}
	print_list(answer, "errors", stderr);
	print_list(answer, "taken", stdout);
	print_list(answer, "restart", stdout);
	print_list(answer, "notes", stdout);
	puts(!ok				     ? "not reloaded: everything is as it was"
	     : json_array_size(json_object_get(answer, "taken")) > 0
		     ? "reloaded"
		     : "reloaded: nothing to take up");
	json_decref(answer);
	return ok ? 0 : 1;
}

/* *socket NULL: the agent's or, without one, the collector's. */
static int ask(const char **socket, struct buf *reply)
{
	bool either = *socket == NULL;
	int rc;

	if (either) {
		*socket = CONFIG_AGENT_CONTROL;
	}
	rc = control_ask(*socket, "reload", reply);
	if (either && (rc == UV_ENOENT || rc == UV_ECONNREFUSED) &&
	    access(CONFIG_COLLECTOR_CONTROL, F_OK) == 0) {
		*socket = CONFIG_COLLECTOR_CONTROL;
		rc = control_ask(*socket, "reload", reply);
	}
	return rc;
}

int cmd_reload(int argc, char **argv)
{
	static const struct option options[] = {
		{"agent", no_argument, NULL, 'a'},
		{"collector", no_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *socket = NULL;
	struct buf reply;
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "s:", options, NULL)) != -1) {
		switch (opt) {
		case 'a':
			socket = CONFIG_AGENT_CONTROL;
			break;
		case 'c':
			socket = CONFIG_COLLECTOR_CONTROL;
			break;
		case 's':
			socket = optarg;
			break;
		case 'h':
			help();
			return 0;
		default:
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "nightjar reload: unexpected \"%s\"\n", argv[optind]);
		return 2;
	}
	buf_init(&reply, CONTROL_REPLY);
	rc = ask(&socket, &reply);
	rc = rc != 0 ? cli_not_there("reload", socket, rc) : tell(buf_slice(&reply));
	buf_fini(&reply);
	return rc;
}
