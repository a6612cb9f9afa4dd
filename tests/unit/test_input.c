/* Unit tests of sources/input.h: a real loop, a real pipe, a real file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/sys_uv.h"
#include "sources/input.h"

enum { TEXT = 8192 };

struct fixture {
	uv_loop_t loop;
	struct sys_uv sys;
	struct sources_options options;
	unsigned char secret[STREAM_SECRET];
	struct input *input;
	int fds[2];
	char text[TEXT]; /* records, each in brackets */
	size_t room;     /* records that are taken before we are full */
	uint64_t position;
	int opened, closed;
};

static void on_opened(void *arg, struct stream *s)
{
	struct fixture *f = arg;

	assert_true(s->has_id);
	f->opened++;
}

static size_t on_chunk(void *arg, struct stream *s, struct slice data,
		       unsigned flags)
{
	struct fixture *f = arg;
	struct slice rest = data;
	struct line line;

	while (f->room > 0 &&
	       lines_next(&s->lines, &rest, (flags & TAIL_FINAL) != 0,
			  &line)) {
		assert_int_equal(line.start, f->position);
		f->position = line.end;
		f->room--;
		strcat(f->text, "[");
		strncat(f->text, line.text.p == NULL ? "" : line.text.p,
			line.text.n);
		strcat(f->text, "]");
	}
	return data.n - rest.n;
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	struct fixture *f = arg;

	(void)s;
	(void)why;
	f->closed++;
}

static const struct tail_callbacks callbacks = {
	.opened = on_opened,
	.chunk = on_chunk,
	.closed = on_closed,
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	sys_uv_init(&f->sys, &f->loop);
	f->options.line_max = 100;
	f->options.last_line_timeout_ms = 20;
	f->room = SIZE_MAX;
	memset(f->secret, 7, sizeof f->secret);
	assert_int_equal(pipe(f->fds), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	input_close(f->input);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	assert_int_equal(f->closed, f->opened);
	if (f->fds[1] >= 0) {
		close(f->fds[1]);
	}
	free(f);
	return 0;
}

static void start(struct fixture *f, int fd)
{
	assert_int_equal(input_open(&f->input, &f->loop, &f->sys.sys, fd,
				    &f->options, f->secret, &callbacks, f),
			 0);
}

static void put(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->fds[1], text, strlen(text)), strlen(text));
}

/* Runs the loop until the text is as wanted, or for a second. */
static void wait_for(struct fixture *f, const char *want)
{
	uint64_t end = uv_now(&f->loop) + 1000;

	while (strcmp(f->text, want) != 0 && uv_now(&f->loop) < end) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_string_equal(f->text, want);
}

static void lines_come_as_they_are_written(void **state)
{
	struct fixture *f = *state;

	start(f, f->fds[0]);
	put(f, "one\ntw");
	wait_for(f, "[one]");
	put(f, "o\n\nthree\n");
	wait_for(f, "[one][two][][three]");
}

static void a_last_line_waits_and_is_taken(void **state)
{
	struct fixture *f = *state;

	start(f, f->fds[0]);
	put(f, "half");
	wait_for(f, "[half]");
	put(f, " and the rest\n");
	wait_for(f, "[half][ and the rest]");
}

static void the_end_takes_what_is_left(void **state)
{
	struct fixture *f = *state;

	f->options.last_line_timeout_ms = 60000;
	start(f, f->fds[0]);
	put(f, "a\nb");
	close(f->fds[1]);
	f->fds[1] = -1;
	wait_for(f, "[a][b]");
}

static void reading_stops_while_there_is_no_room(void **state)
{
	struct fixture *f = *state;

	f->room = 1;
	start(f, f->fds[0]);
	put(f, "a\nb\nc\n");
	wait_for(f, "[a]");
	f->room = 1;
	input_resume(f->input);
	wait_for(f, "[a][b]");
	f->room = SIZE_MAX;
	input_resume(f->input);
	wait_for(f, "[a][b][c]");
}

static void closing_hands_on_what_was_read(void **state)
{
	struct fixture *f = *state;

	f->options.last_line_timeout_ms = 60000;
	start(f, f->fds[0]);
	put(f, "a\nrest");
	wait_for(f, "[a]");
	input_close(f->input);
	f->input = NULL;
	assert_string_equal(f->text, "[a][rest]");
}

static void a_file_is_read_to_its_end(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/test_input.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, "x\ny\nz", 5), 5);
	start(f, fd);
	wait_for(f, "[x][y][z]");
	close(f->fds[0]);
}

static void an_oversize_line_is_cut(void **state)
{
	struct fixture *f = *state;
	char line[302];

	memset(line, 'a', 300);
	strcpy(line + 300, "\n");
	start(f, f->fds[0]);
	put(f, line);
	put(f, "next\n");
	uv_run(&f->loop, UV_RUN_NOWAIT);
	for (int i = 0; i < 200 && f->position < 306; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_int_equal(f->position, 306);
	assert_non_null(strstr(f->text, "[next]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_come_as_they_are_written,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_last_line_waits_and_is_taken,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_takes_what_is_left,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			reading_stops_while_there_is_no_room, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(closing_hands_on_what_was_read,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_is_read_to_its_end,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_oversize_line_is_cut,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
