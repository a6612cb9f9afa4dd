/* nightjar parse: lines in, one JSON object for each out, in order. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/exported.h"
#include "common/ecs.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/sys_uv.h"
#include "common/timefmt.h"
#include "parsers/parser.h"
#include "parsers/zone.h"
#include "redact/redact.h"

enum {
	INPUT = 256 * 1024,
	MARK = 32,                         /* an export is known by so many bytes */
	OUTPUT_FULL = 256 * 1024,          /* written out from here on */
	OUTPUT_MAX = 4 * 1024 * 1024,      /* one line makes less than the rest */
};

struct settings {
	const char *file;
	const char *zone;
	int64_t now_ns;
	bool raw;
};

struct parse {
	struct parser *parser;
	struct redact *redact; /* NULL: as it came */
	struct redact_state state;
	struct buf scratch;
	struct buf out;
	int64_t now_ns;
	struct exported exported; /* names the file */
};

static void help(void)
{
	fputs("Usage: nightjar parse [OPTION]... [FILE|-]\n\n"
	      "Reads log lines and prints one JSON object for each, in order, with "
	      "the names of\nthe Elastic Common Schema: what the line's header says, "
	      "and, where the line is\nunderstood, what happened. Secrets are masked "
	      "first, as the agent does.\n\n"
	      "  --raw      mask nothing\n"
	      "  --zone Z   time zone of stamps that name none: local (default), UTC,\n"
	      "             Europe/Berlin, +02:00, or a POSIX TZ rule\n"
	      "  --now T    read as at this time (2026-11-22T15:37:46Z); a stamp "
	      "without a\n             year is in the latest year that puts it at "
	      "most 26 hours after\n             that (default: the clock)\n"
	      "  --help     this text\n\n"
	      "What \"journalctl -o export\" gives is known by its first bytes; then a "
	      "record is\nwhat a line is otherwise.\n\n"
	      "Every line gives an object; one that no parser knows has its header "
	      "and message\nonly. Lines are cut at 16 KiB, and say so in log.flags.\n\n"
	      "Examples:\n"
	      "  nightjar parse /var/log/auth.log\n"
	      "  journalctl -o short-iso | nightjar parse - |\n"
	      "    jq -c 'select(.event.outcome == \"failure\") | .source.ip'\n\n"
	      "Which programs are understood: docs/parsing.md.\n"
	      "Exit status: 0 good, 1 a file or zone could not be read, 2 used "
	      "wrongly.\n",
	      stdout);
}

static int usage(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{"raw", no_argument, NULL, 'r'},
		{"zone", required_argument, NULL, 'z'},
		{"now", required_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'}, /* it always is */
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int o;

	*s = (struct settings){"-", "local", TIME_NONE, false};
	opterr = 0;
	while ((o = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (o) {
		case 'r':
			s->raw = true;
			break;
		case 'z':
			s->zone = optarg;
			break;
		case 'n':
			if (!time_parse(slice_str(optarg), &s->now_ns)) {
				return cli_usage("parse", "--now \"%s\" is no "
						 "time such as 2026-11-22T15:37:46Z",
						 optarg);
			}
			break;
		case 'j':
			break;
		case 'h':
			help();
			exit(CLI_OK);
		case ':':
			return cli_usage("parse", "%s needs a value",
					 argv[optind - 1]);
		default:
			return cli_usage("parse", "unknown option %s",
					 argv[optind - 1]);
		}
	}
	if (optind < argc) {
		s->file = argv[optind++];
	}
	if (optind < argc) {
		return cli_usage("parse", "one file at a time; \"%s\" is one "
				 "too many", argv[optind]);
	}
	return 0;
}

static int flush(struct parse *p)
{
	size_t done = 0;

	while (done < p->out.n) {
		ssize_t n = write(STDOUT_FILENO, p->out.p + done,
				  p->out.n - done);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return -errno;
		}
		done += (size_t)n;
	}
	buf_clear(&p->out);
	return 0;
}

/* One line without its newline; cut: there was more of it. */
static int one_line(struct parse *p, struct slice line, bool cut)
{
	struct record r = {.observed_ns = TIME_NONE};
	struct json j;
	int rc;

	if (p->redact != NULL) {
		redact_line(p->redact, &p->state, line, &p->scratch, &line);
	}
	r.line = line;
	parser_line(p->parser, line, p->now_ns, &r.header, &r.event);
	j = json_begin(&p->out);
	json_object(&j, NULL);
	ecs_write(&j, &r);
	json_object_end(&j);
	if (cut && p->out.n > 0) {
		/* Behind the rest, since log may hold the priority as well. */
		p->out.n--;
		json_array(&j, "log.flags");
		json_cstr(&j, NULL, "cut");
		json_array_end(&j);
		json_object_end(&j);
	}
	rc = json_end(&j);
	rc = rc ? rc : buf_add_u8(&p->out, '\n');
	if (rc == 0 && p->out.n >= OUTPUT_FULL) {
		rc = flush(p);
	}
	return rc;
}

/* What is left of a line when the buffer ends: kept up to the cap. */
struct input {
	int fd;
	char *p;
	size_t n;
	bool skipping; /* the rest of a line that was cut */
};

/* Handles every whole line in the buffer and moves the rest to the front. */
static int whole_lines(struct parse *p, struct input *in)
{
	char *at = in->p, *end = in->p + in->n, *newline;
	int rc;

	while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		size_t n = (size_t)(newline - at);

		if (!in->skipping) {
			bool cut = n > LIMIT_LINE_DEFAULT;

			rc = one_line(p, slice(at, cut ? LIMIT_LINE_DEFAULT : n),
				      cut);
			if (rc != 0) {
				return rc;
			}
		}
		in->skipping = false;
		at = newline + 1;
	}
	in->n = (size_t)(end - at);
	if (in->skipping) {
		in->n = 0;
	} else if (in->n > LIMIT_LINE_DEFAULT) {
		rc = one_line(p, slice(at, LIMIT_LINE_DEFAULT), true);
		if (rc != 0) {
			return rc;
		}
		in->skipping = true;
		in->n = 0;
	} else {
		memmove(in->p, at, in->n);
	}
	return 0;
}

/* Reads behind what is there: 1, 0 at the end, or an error. */
static int more(struct input *in)
{
	ssize_t n;

	do {
		n = read(in->fd, in->p + in->n, INPUT - in->n);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		return -errno;
	}
	in->n += (size_t)n;
	return n > 0;
}

/* The records of an export; what was read of it is in the buffer. */
static int all_records(struct parse *p, struct input *in)
{
	struct export *x = NULL;
	struct slice line;
	bool cut;
	int rc = export_new(&x, LIMIT_LINE_DEFAULT, exported_tell, &p->exported);

	for (int got = 1; rc == 0 && got > 0;) {
		struct slice text = slice(in->p, in->n);

		while (rc == 0 && (got = export_next(x, &text, &line, &cut)) == 1) {
			rc = one_line(p, line, cut);
		}
		rc = rc ? rc : got < 0 ? got : flush(p);
		in->n = 0;
		got = rc == 0 ? more(in) : 0;
		rc = got < 0 ? got : rc;
	}
	for (int got = 1; rc == 0 && (got = export_end(x, &line, &cut)) != 0;) {
		rc = got < 0 ? got : one_line(p, line, cut);
	}
	exported_end(&p->exported);
	export_free(x);
	return rc ? rc : flush(p);
}

static int all_lines(struct parse *p, struct input *in)
{
	int rc, got;

	/* No log but an export begins so, and is worth another read. */
	while ((got = more(in)) > 0 && in->n < MARK && in->p[0] == '_') {
	}
	if (got >= 0 && export_starts(slice(in->p, in->n))) {
		return all_records(p, in);
	}
	while (got >= 0) {
		rc = whole_lines(p, in);
		/* A person at the other end of a pipe waits for each line. */
		rc = rc ? rc : flush(p);
		if (rc != 0) {
			return rc;
		}
		if (got == 0) {
			break;
		}
		got = more(in);
	}
	if (got < 0) {
		return got;
	}
	if (in->n > 0 && !in->skipping) {
		rc = one_line(p, slice(in->p, in->n), false);
		return rc ? rc : flush(p);
	}
	return flush(p);
}

static int run(struct parse *p, const char *file)
{
	struct input in = {.fd = STDIN_FILENO};
	int rc;

	p->exported = (struct exported){.command = "parse", .file = file};
	if (strcmp(file, "-") != 0) {
		in.fd = open(file, O_RDONLY | O_CLOEXEC);
		if (in.fd < 0) {
			return cli_fail("parse", "%s: %s", file,
					strerror(errno));
		}
	}
	in.p = malloc(INPUT);
	rc = in.p == NULL ? UV_ENOMEM : all_lines(p, &in);
	free(in.p);
	if (in.fd != STDIN_FILENO) {
		close(in.fd);
	}
	if (rc == UV_EPIPE) {
		return CLI_OK; /* "| head" has seen enough. */
	}
	return rc == 0 ? CLI_OK
		       : cli_fail("parse", "%s: %s", file, err_str(rc));
}

int cmd_parse(int argc, char **argv)
{
	struct redact_options options = {.enabled = true};
	struct parse p = {.parser = NULL};
	struct zone *zone = NULL;
	struct settings s;
	int rc = usage(argc, argv, &s);

	if (rc != 0) {
		return rc;
	}
	p.now_ns = s.now_ns != TIME_NONE ? s.now_ns : sys_wall_ns(sys_plain());
	buf_init(&p.scratch, LIMIT_LINE_MAX * 2);
	buf_init(&p.out, OUTPUT_MAX);
	rc = zone_open(&zone, sys_plain(), s.zone);
	if (rc != 0) {
		return cli_fail("parse", "time zone \"%s\": %s (try UTC, "
				"Europe/Berlin or +02:00)", s.zone,
				err_str(rc));
	}
	rc = parser_new(&p.parser, zone);
	if (rc == 0 && !s.raw) {
		rc = redact_new(&p.redact, &options);
	}
	rc = rc == 0 ? run(&p, s.file)
		     : cli_fail("parse", "%s", err_str(rc));
	redact_free(p.redact);
	parser_free(p.parser);
	zone_free(zone);
	buf_wipe(&p.scratch);
	buf_fini(&p.out);
	return rc;
}
