/* Each rule of the default packs on the lines that stand in it, through the real
 * parsers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "common/timefmt.h"
#include "detectors/detect.h"
#include "parsers/parser.h"

struct run {
	const char *want;
	unsigned fired;
	unsigned all;
};

static const uint8_t key[16] = "0123456789abcdef";

static void on_error(void *arg, const char *file, unsigned line, unsigned column,
		     const char *text)
{
	(void)arg;
	fail_msg("%s:%u:%u: %s", file, line, column, text);
}

static void on_finding(void *arg, const struct finding *f)
{
	struct run *run = arg;

	run->all++;
	if (f->state == FINDING_NEW && strcmp(f->rule_id, run->want) == 0) {
		run->fired++;
	}
}

static int64_t at(const char *text)
{
	int64_t ns;

	assert_true(time_parse(slice_str(text), &ns));
	return ns;
}

static void feed(struct detect *d, struct slice log, struct run *run)
{
	struct parser *p;
	int64_t now = at("2026-11-22T15:37:46Z");
	uint64_t offset = 0;

	assert_int_equal(parser_new(&p, NULL), 0);
	while (log.n > 0) {
		size_t n = slice_find(log, SLICE_LIT("\n"));
		struct record r = {.line = slice_head(log, n), .observed_ns = now};

		r.start = offset;
		offset += r.line.n + 1;
		r.end = offset;
		parser_line(p, r.line, now, &r.header, &r.event);
		detect_record(d, &r, on_finding, run);
		log = n == SIZE_MAX ? SLICE_NONE : slice_skip(log, n + 1);
	}
	detect_advance(d, INT64_MAX, on_finding, run);
	parser_free(p);
}

static struct detect *defaults(void)
{
	struct detect *d;

	assert_int_equal(detect_new(&d, NULL, key), 0);
	assert_true(detect_load_defaults(d, on_error, NULL) > 0);
	assert_true(detect_compile(d, on_error, NULL) > 0);
	return d;
}

static void on_example(void *arg, const char *id, const char *title,
		       struct slice log, bool fires)
{
	struct detect *d = defaults();
	struct run run = {.want = id};
	unsigned *count = arg;

	feed(d, log, &run);
	if ((run.fired > 0) != fires) {
		fail_msg("\"%s\" %s:\n%.*s", title,
			 fires ? "did not fire on" : "fired on",
			 SLICE_ARG(log));
	}
	detect_free(d);
	(*count)++;
}

static void every_default_rule_fires_and_keeps_silent_as_its_examples_say(void **state)
{
	unsigned count = 0;

	(void)state;
	for (size_t i = 0; i < detect_n_packs; i++) {
		assert_true(detect_examples(detect_packs[i].yaml, on_example,
					    &count) >= 0);
	}
	assert_true(count >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_default_rule_fires_and_keeps_silent_as_its_examples_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
