/* nightjar status: what a running agent or collector says about itself. */
#include <ctype.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/control.h"
#include "common/err.h"
#include "config/config.h"
#include "config/value.h"

enum { WATCH_SECONDS = 2, LABEL = 64, NESTING = 16 };

struct request {
	const char *socket; /* NULL: the agent's, else the collector's */
	bool json;
	bool watch;
};

static void help(void)
{
	fputs("Usage: nightjar status [OPTION]...\n\n"
	      "Asks the agent on this machine, or the collector if there is no agent, "
	      "how it\nis doing: lines, bytes, lag, acknowledgements, drops, "
	      "redactions, alerts, memory.\n\n"
	      "  --agent      the agent (" CONFIG_AGENT_CONTROL ")\n"
	      "  --collector  the collector (" CONFIG_COLLECTOR_CONTROL ")\n"
	      "  -s SOCKET    the daemon whose `control` option is SOCKET\n"
	      "  --json       the answer as it came\n"
	      "  --watch      again every two seconds, until Ctrl-C\n"
	      "  --help       this text\n\n"
	      "Example: nightjar status --watch\n",
	      stdout);
}

/* ---- the table ---- */

/* Host names and the like are others' to choose: nothing that could steer a
 * terminal gets through. */
static void put_text(const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c >= 0x7f) {
			printf("\\x%02x", c);
		} else {
			putchar(c);
		}
	}
}

/* 1234567 as 1,234,567. */
static void put_count(json_int_t v)
{
	char digits[32];
	int n = snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, v);

	for (int i = 0; i < n; i++) {
		putchar(digits[i]);
		if (isdigit((unsigned char)digits[i]) && i + 1 < n &&
		    (n - i - 1) % 3 == 0) {
			putchar(',');
		}
	}
}

static void put_bytes(json_int_t v)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double d = (double)v;
	size_t u = 0;

	while (d >= 1024 && u < 4) {
		d /= 1024;
		u++;
	}
	printf(u == 0 ? "%.0f %s" : "%.1f %s", d, units[u]);
}

static void put_duration(json_int_t ms)
{
	char text[VALUE_TEXT];

	/* Above a minute nobody asks for milliseconds. */
	value_format_duration(text, (uint64_t)(ms < 60000 ? ms : ms / 1000 * 1000));
	fputs(text, stdout);
}

enum unit { UNIT_NONE, UNIT_BYTES, UNIT_NS, UNIT_US, UNIT_MS, UNIT_S };

/* The unit that a name ends in; the label is the rest, with blanks. */
static enum unit label_of(char out[static LABEL], const char *key)
{
	static const struct {
		const char *suffix;
		enum unit unit;
	} all[] = {{"_bytes", UNIT_BYTES}, {"_ns", UNIT_NS}, {"_us", UNIT_US},
		   {"_ms", UNIT_MS}, {"_s", UNIT_S}, {"_seconds", UNIT_S}};
	enum unit unit = UNIT_NONE;
	size_t n = strlen(key);

	if (strcmp(key, "bytes") == 0) {
		unit = UNIT_BYTES;
	}
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		size_t m = strlen(all[i].suffix);

		if (n > m && strcmp(key + n - m, all[i].suffix) == 0) {
			unit = all[i].unit;
			n -= m;
			break;
		}
	}
	snprintf(out, LABEL, "%.*s", (int)n, key);
	for (char *p = out; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		*p = c == '_' ? ' ' : c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	return unit;
}

static void put_integer(json_int_t v, enum unit unit)
{
	if (v < 0) {
		/* No size or time is negative: shown as it came. */
		unit = UNIT_NONE;
	}
	switch (unit) {
	case UNIT_BYTES:
		put_bytes(v);
		break;
	case UNIT_NS:
		put_duration(v / 1000000);
		break;
	case UNIT_US:
		put_duration(v / 1000);
		break;
	case UNIT_MS:
		put_duration(v);
		break;
	case UNIT_S:
		put_duration(v > INT64_MAX / 1000 ? INT64_MAX : v * 1000);
		break;
	case UNIT_NONE:
		put_count(v);
		break;
	}
}

static void put_scalar(const json_t *v, enum unit unit)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		put_text(json_string_value(v));
		break;
	case JSON_INTEGER:
		put_integer(json_integer_value(v), unit);
		break;
	case JSON_REAL:
		printf("%.2f", json_real_value(v));
		break;
	case JSON_TRUE:
		fputs("yes", stdout);
		break;
	case JSON_FALSE:
		fputs("no", stdout);
		break;
	default:
		fputs("-", stdout);
		break;
	}
}

static bool is_nested(const json_t *v)
{
	return json_is_object(v) ||
	       (json_is_array(v) && json_is_object(json_array_get(v, 0)));
}

static void put_object(json_t *object, unsigned depth);

/* What an entry of a list is called. */
static const char *entry_name(const json_t *entry)
{
	static const char *const keys[] = {"name", "path", "device", "stream", "id",
					   "rule"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *s = json_string_value(json_object_get(entry, keys[i]));

		if (s != NULL) {
			return s;
		}
	}
	return "-";
}

static void put_nested(const char *label, json_t *v, unsigned depth)
{
	size_t i;
	json_t *entry;

	printf("%*s%s\n", (int)(2 * depth), "", label);
	if (depth >= NESTING) {
		return;
	}
	if (json_is_object(v)) {
		put_object(v, depth + 1);
		return;
	}
	json_array_foreach(v, i, entry) {
		printf("%*s", (int)(2 * depth + 2), "");
		put_text(entry_name(entry));
		putchar('\n');
		put_object(entry, depth + 2);
	}
}

static void put_line(const char *label, int width, const json_t *v,
		     enum unit unit, unsigned depth)
{
	size_t i;
	const json_t *entry;

	printf("%*s%-*s  ", (int)(2 * depth), "", width, label);
	if (json_is_array(v)) {
		json_array_foreach(v, i, entry) {
			fputs(i > 0 ? ", " : "", stdout);
			put_scalar(entry, unit);
		}
	} else {
		put_scalar(v, unit);
	}
	putchar('\n');
}

/* Values of this level first, then what has levels of its own, both in the order
 * in which the daemon names them. */
static void put_object(json_t *object, unsigned depth)
{
	char label[LABEL];
	const char *key;
	json_t *v;
	int width = 0;

	json_object_foreach(object, key, v) {
		if (!is_nested(v)) {
			int n;

			label_of(label, key);
			n = (int)strlen(label);
			width = n > width ? n : width;
		}
	}
	json_object_foreach(object, key, v) {
		if (!is_nested(v)) {
			enum unit unit = label_of(label, key);

			put_line(label, width, v, unit, depth);
		}
	}
	json_object_foreach(object, key, v) {
		if (is_nested(v)) {
			label_of(label, key);
			put_nested(label, v, depth);
		}
	}
}

/* ---- asking ---- */

static int show(const struct request *r, const char *path, struct slice reply)
{
	json_error_t error;
	const json_t *why;
	json_t *doc;
	int rc = CLI_OK;

	doc = json_loadb(reply.p, reply.n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(doc)) {
		json_decref(doc);
		return cli_fail("status", "%s: the answer is not what a nightjar daemon "
				"says: %s", path, error.text);
	}
	why = json_object_get(doc, "error");
	if (why != NULL && json_is_string(why)) {
		rc = cli_fail("status", "%s: the daemon answers: %.200s", path,
			      json_string_value(why));
	} else if (r->json) {
		printf("%.*s\n", SLICE_ARG(reply));
	} else {
		put_object(doc, 0);
	}
	json_decref(doc);
	return rc;
}

static int ask(const struct request *r)
{
	const char *path = r->socket == NULL ? CONFIG_AGENT_CONTROL : r->socket;
	struct buf reply;
	int rc;

	buf_init(&reply, CONTROL_REPLY + 1);
	rc = control_ask(path, "status", &reply);
	if (r->socket == NULL && (rc == UV_ENOENT || rc == UV_ECONNREFUSED) &&
	    access(CONFIG_COLLECTOR_CONTROL, F_OK) == 0) {
		path = CONFIG_COLLECTOR_CONTROL;
		rc = control_ask(path, "status", &reply);
	}
	rc = rc != 0 ? cli_not_there("status", path, rc) : show(r, path, buf_slice(&reply));
	buf_fini(&reply);
	if (rc == CLI_OK && (fflush(stdout) != 0 || ferror(stdout))) {
		return cli_fail("status", "cannot write to standard output");
	}
	return rc;
}

static int watch(const struct request *r)
{
	bool terminal = isatty(STDOUT_FILENO) != 0 && !r->json;
	int rc;

	for (;;) {
		/* Home, then clear what is below: less flicker than the reverse. */
		fputs(terminal ? "\033[H\033[J" : "", stdout);
		rc = ask(r);
		if (rc != CLI_OK) {
			return rc;
		}
		if (!terminal && !r->json) {
			putchar('\n');
		}
		sleep(WATCH_SECONDS);
	}
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{"agent", no_argument, NULL, 'A'},
		{"collector", no_argument, NULL, 'C'},
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"watch", no_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct request r = {0};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":s:", options, NULL)) != -1) {
		switch (c) {
		case 'A':
			r.socket = CONFIG_AGENT_CONTROL;
			break;
		case 'C':
			r.socket = CONFIG_COLLECTOR_CONTROL;
			break;
		case 's':
			r.socket = optarg;
			break;
		case 'j':
			r.json = true;
			break;
		case 'w':
			r.watch = true;
			break;
		case 'h':
			help();
			return CLI_OK;
		case ':':
			return cli_usage("status", "%s needs a value", argv[optind - 1]);
		default:
			return cli_usage("status", "unknown option %s", argv[optind - 1]);
		}
	}
	if (optind < argc) {
		return cli_usage("status", "unexpected \"%s\"", argv[optind]);
	}
	return r.watch ? watch(&r) : ask(&r);
}
