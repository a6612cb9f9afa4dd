/* Unit tests of sources/journal.h, its chains, headers and text: real folders, whose
 * files have a journal's header and behind it one entry on each line, "NUMBER MESSAGE"
 * ("!" is damage), read by calls that fail when they are told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "sources/journal_file.h"
#include "sources/journal_text.h"

enum { TEXT = 65536, BYTES = 8192 };

struct fixture {
	uv_loop_t loop;
	struct sys_uv sys;
	struct sys_ops ops;
	struct sources_journal settings;
	struct sources_options options;
	unsigned char secret[STREAM_SECRET];
	struct source *source;
	char dir[64];
	char *dirs[1], *units[1];
	char text[TEXT];
	size_t room;
	int opened, closed;
	struct stream_id id;
	uint64_t acked, h; /* of what was taken last */
	int (*open)(struct sys *s, const char *path, int flags, unsigned mode);
	unsigned hidden, hidden_looks; /* enum hidden: what from looks, and from how many */
	bool looking;
	int64_t later_ns;
};

/* One test at a time.  Calls left before the one that fails; -1: none. */
static int countdown = -1;

/* Entries that were looked at. */
static size_t steps;

static bool fails_now(void)
{
	return countdown >= 0 && countdown-- == 0;
}

/* ---- a journal that is easily written ---- */

struct journal_reader {
	char bytes[BYTES + 1];
	size_t n;
	char *at; /* the entry that next() came to */
	char *next;
	uint64_t from;
	int fd;
	char message[256], cursor[64];
};

static int fake_open(struct journal_reader **out, int fd)
{
	struct journal_reader *r = fails_now() ? NULL : calloc(1, sizeof *r);
	ssize_t n;

	if (r == NULL) {
		return UV_ENOMEM;
	}
	n = pread(fd, r->bytes, BYTES, 0);
	assert_true(n >= JOURNAL_HEADER);
	r->n = (size_t)n;
	r->fd = fd;
	*out = r;
	return 0;
}

static void fake_close(struct journal_reader *r)
{
	free(r);
}

static int fake_seek(struct journal_reader *r, const uint8_t id[static 16], uint64_t number)
{
	assert_memory_equal(r->bytes + 72, id, 16);
	r->next = r->bytes + JOURNAL_HEADER;
	r->at = NULL;
	r->from = number;
	return fails_now() ? UV_EIO : 0;
}

/* As libsystemd: what was written since then is there. */
static bool has_grown(struct journal_reader *r)
{
	ssize_t n = pread(r->fd, r->bytes, BYTES, 0);
	bool more = n > (ssize_t)r->n;

	r->n = more ? (size_t)n : r->n;
	return more;
}

static int fake_next(struct journal_reader *r)
{
	steps++;
	while (r->next != NULL && *r->next != '\0') {
		char *end = strchr(r->next, '\n');

		r->at = r->next;
		r->next = end + 1;
		if (strtoull(r->at, NULL, 10) < r->from) {
			continue;
		}
		if (strncmp(strchr(r->at, ' '), " !", 2) == 0) {
			r->next = NULL; /* As libsystemd: nothing more of this file. */
			return UV_EIO;
		}
		return fails_now() ? UV_EIO : 1;
	}
	return has_grown(r) ? fake_next(r) : 0;
}

static int fake_entry(struct journal_reader *r, struct journal_entry *out)
{
	const char *message = strchr(r->at, ' ') + 1;

	if (fails_now()) {
		return UV_EIO;
	}
	out->number = strtoull(r->at, NULL, 10);
	out->realtime_us = 1000000;
	snprintf(r->cursor, sizeof r->cursor, "%" PRIu64 " %.*s", out->number,
		 (int)strcspn(message, "\n"), message);
	out->cursor = slice_str(r->cursor);
	return 0;
}

static int fake_field(struct journal_reader *r, const char *name, struct slice *value)
{
	const char *message = strchr(r->at, ' ') + 1;

	if (fails_now()) {
		return UV_EIO;
	}
	if (strcmp(name, "MESSAGE") == 0) {
		*value = slice(message, strcspn(message, "\n"));
	} else if (strcmp(name, "_SYSTEMD_UNIT") == 0) {
		*value = slice_str(message[0] == 'x' ? "x.service" : "y.service");
	} else {
		return UV_ENOENT;
	}
	return 0;
}

static const struct journal_calls fake = {
	fake_open, fake_close, fake_seek, fake_next, fake_entry, fake_field,
};

static void put64(char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof v);
}

/* id: of the chain; file: of the file itself. */
static void header(char out[static JOURNAL_HEADER], char id, char file, char state,
		   uint64_t entries, uint64_t head, uint64_t tail)
{
	memset(out, 0, JOURNAL_HEADER);
	memcpy(out, "LPKSHHRH", 8);
	out[16] = state;
	memset(out + 24, file, 16);
	memset(out + 72, id, 16);
	put64(out + 152, entries);
	put64(out + 160, tail);
	put64(out + 168, head);
}

static void path_of(const struct fixture *f, const char *name, char out[static 256])
{
	snprintf(out, 256, "%s/%s", f->dir, name);
}

/* entries: "3 a|4 b|". */
static void write_file(const struct fixture *f, const char *name, char id, char file,
		       char state, const char *entries)
{
	char bytes[JOURNAL_HEADER], path[256], temporary[300];
	uint64_t n = 0, head = 0, tail = 0;
	FILE *out;

	for (const char *p = entries; *p != '\0'; p = strchr(p, '|') + 1) {
		tail = strtoull(p, NULL, 10);
		head = n++ == 0 ? tail : head;
	}
	header(bytes, id, file, state, n, head, tail);
	path_of(f, name, path);
	snprintf(temporary, sizeof temporary, "%s.new", path);
	out = fopen(temporary, "w");
	assert_non_null(out);
	fwrite(bytes, 1, sizeof bytes, out);
	for (const char *p = entries; *p != '\0'; p++) {
		fputc(*p == '|' ? '\n' : *p, out);
	}
	fclose(out);
	assert_int_equal(rename(temporary, path), 0);
}

/* The same, into the file that is there: as journald goes on with it. */
static void grow_file(const struct fixture *f, const char *name, char id, char file,
		      const char *entries)
{
	char bytes[BYTES], path[256], longer[256];
	FILE *in, *out;
	size_t n;

	write_file(f, "longer", id, file, JOURNAL_ONLINE, entries);
	path_of(f, "longer", longer);
	path_of(f, name, path);
	in = fopen(longer, "r");
	out = fopen(path, "r+");
	assert_non_null(in);
	assert_non_null(out);
	n = fread(bytes, 1, sizeof bytes, in);
	assert_int_equal(fwrite(bytes, 1, n, out), n);
	fclose(in);
	fclose(out);
	assert_int_equal(unlink(longer), 0);
}

static void remove_file(const struct fixture *f, const char *name)
{
	char path[256];

	path_of(f, name, path);
	assert_int_equal(unlink(path), 0);
}

/* ---- the other side ---- */

static void on_opened(void *arg, struct stream *s)
{
	struct fixture *f = arg;

	assert_true(s->has_id && !s->kept);
	f->opened++;
	f->id = s->st.id;
	if (s->st.start > 0 && s->position == s->st.start && s->st.acked == 0) {
		snprintf(f->text + strlen(f->text), TEXT - strlen(f->text), "(from %" PRIu64 ")",
			 s->st.start);
	}
}

static int on_entry(void *arg, struct stream *s, const struct line *line, uint64_t h)
{
	struct fixture *f = arg;
	size_t at = slice_rfind(line->text, SLICE_LIT(" "));

	assert_int_equal(line->start, s->position);
	assert_true(line->end > line->start);
	if (f->room == 0) {
		return ERR_AGAIN;
	}
	f->room--;
	f->acked = line->end;
	f->h = h;
	snprintf(f->text + strlen(f->text), TEXT - strlen(f->text), "%s%.*s]",
		 (line->flags & RECORD_SKIP) != 0 ? "[left out" : "[",
		 SLICE_ARG(slice_skip(line->text, at + 1)));
	return 0;
}

static int on_lost(void *arg, struct stream *s, uint64_t from, uint64_t to,
		   struct slice reason)
{
	struct fixture *f = arg;

	assert_int_equal(from, s->position);
	if (f->room == 0) {
		return ERR_AGAIN;
	}
	snprintf(f->text + strlen(f->text), TEXT - strlen(f->text),
		 "{%" PRIu64 "-%" PRIu64 " %.*s}", from, to, SLICE_ARG(reason));
	return 0;
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
	.closed = on_closed,
	.entry = on_entry,
	.lost = on_lost,
};

static int set_up(void **state)
{
	static char nothing[] = "", utc[] = "UTC";
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	countdown = -1;
	assert_int_equal(uv_loop_init(&f->loop), 0);
	sys_uv_init(&f->sys, &f->loop);
	strcpy(f->dir, "/tmp/test_journal.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dirs[0] = f->dir;
	f->settings.directories = (struct strlist){f->dirs, 1};
	f->settings.about = (struct sources_about){.label = nothing, .program = nothing,
						   .zone = utc};
	f->options.journals = &f->settings;
	f->options.n_journals = 1;
	f->options.line_max = 300;
	f->options.poll_interval_ms = 50;
	f->room = SIZE_MAX;
	memset(f->secret, 7, sizeof f->secret);
	*state = f;
	return 0;
}

static void stop(struct fixture *f)
{
	if (f->source != NULL) {
		f->source->ops->stop(f->source);
		assert_int_equal(f->closed, f->opened);
		f->source->ops->free(f->source);
	}
	f->source = NULL;
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

static int remove_entry(void *arg, const char *name, bool is_dir)
{
	struct fixture *f = arg;

	(void)is_dir;
	remove_file(f, name);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	countdown = -1;
	stop(f);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	sys_list(sys_plain(), f->dir, remove_entry, f);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void start_on(struct fixture *f, struct sys *sys)
{
	assert_int_equal(journal_new(&f->source, sys, &fake, &f->options, &f->settings,
				     f->secret, &callbacks, f),
			 0);
}

static void start(struct fixture *f)
{
	start_on(f, &f->sys.sys);
	assert_int_equal(f->source->ops->start(f->source), 0);
}

/* Runs the loop until the text is as wanted, or for some seconds. */
static void wait_for(struct fixture *f, const char *want)
{
	uint64_t end = uv_now(&f->loop) + 15000;

	while (strcmp(f->text, want) != 0 && uv_now(&f->loop) < end) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_string_equal(f->text, want);
}

static int keep(void *arg, const struct stream_state *st)
{
	return stream_state_copy(arg, st);
}

/* As after a SIGKILL: what was acknowledged is known. */
static void restart(struct fixture *f)
{
	struct stream_state st = {0};

	f->source->ops->watermark(f->source, &f->id, f->acked, f->h);
	f->source->ops->detected(f->source, &f->id, f->acked);
	assert_int_equal(f->source->ops->states(f->source, keep, &st), 0);
	stop(f);
	start_on(f, &f->sys.sys);
	assert_int_equal(f->source->ops->restore(f->source, &st, 1), 0);
	stream_state_fini(&st);
	f->text[0] = '\0';
	assert_int_equal(f->source->ops->start(f->source), 0);
}

/* ---- tests ---- */

static void entries_are_read_as_they_are_written(void **state)
{
	struct fixture *f = *state;

	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|2 b|");
	start(f);
	wait_for(f, "[a][b]");
	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|");
	write_file(f, "system.journal", 'i', 'j', JOURNAL_ONLINE, "3 c|");
	wait_for(f, "[a][b][c]");
}

static void a_chain_is_read_in_the_order_of_its_numbers(void **state)
{
	struct fixture *f = *state;

	write_file(f, "system@z.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|");
	write_file(f, "system@a.journal", 'i', 'j', JOURNAL_ARCHIVED, "3 c|");
	write_file(f, "system.journal", 'i', 'k', JOURNAL_ONLINE, "4 d|");
	start(f);
	wait_for(f, "[a][b][c][d]");
	assert_int_equal(f->opened, 1);
}

static void what_was_before_the_first_file_is_told_once(void **state)
{
	struct fixture *f = *state;

	write_file(f, "system.journal", 'i', 'j', JOURNAL_ONLINE, "70 a|");
	start(f);
	wait_for(f, "(from 70)[a]");
	restart(f);
	write_file(f, "system.journal", 'i', 'j', JOURNAL_ONLINE, "70 a|71 b|");
	wait_for(f, "[b]");
}

static void a_restart_goes_on_behind_what_was_acknowledged(void **state)
{
	struct fixture *f = *state;

	write_file(f, "system.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|5 c|");
	start(f);
	wait_for(f, "[a][b][c]");
	f->acked = 3;
	f->h = 0;
	restart(f);
	wait_for(f, "[c]");
}

static void a_journal_with_other_entries_is_a_stream_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct stream_id before;

	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|2 b|");
	start(f);
	wait_for(f, "[a][b]");
	before = f->id;
	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 A|2 B|3 C|");
	restart(f);
	wait_for(f, "(from 1)[A][B][C]");
	assert_false(stream_id_eq(&before, &f->id));
}

/* As after a loss of power: what was read last had not been synced by journald, which gives
 * the same numbers to other entries. */
static void a_journal_that_lost_its_end_loses_no_later_entry(void **state)
{
	struct fixture *f = *state;
	struct stream_id before;

	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|2 b|3 c|4 d|");
	start(f);
	wait_for(f, "[a][b][c][d]");
	before = f->id;
	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|");
	write_file(f, "system.journal", 'i', 'j', JOURNAL_ONLINE, "3 C|");
	restart(f);
	wait_for(f, "(from 1)[a][b][C]");
	assert_false(stream_id_eq(&before, &f->id));
	write_file(f, "system.journal", 'i', 'j', JOURNAL_ONLINE, "3 C|4 D|5 E|");
	wait_for(f, "(from 1)[a][b][C][D][E]");
}

/* Of what was acknowledged in parts, a part is proved. */
static void what_is_proved_of_a_cut_journal_is_not_read_again(void **state)
{
	struct fixture *f = *state;

	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|2 b|");
	start(f);
	wait_for(f, "[a][b]");
	assert_int_equal(f->source->ops->watermark(f->source, &f->id, f->acked, f->h), 0);
	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|2 b|3 c|4 d|");
	wait_for(f, "[a][b][c][d]");
	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|2 b|3 C|");
	restart(f);
	wait_for(f, "(from 3)[C]");
}

static void a_vacuumed_file_is_a_gap_with_its_count(void **state)
{
	struct fixture *f = *state;

	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|");
	write_file(f, "system.journal", 'i', 'k', JOURNAL_ONLINE, "8 c|");
	/* 3 and 4 are here, 5 to 7 nowhere. */
	write_file(f, "user-1000.journal", 'u', 'u', JOURNAL_ONLINE, "3 x|4 y|9 z|");
	start(f);
	for (int i = 0; i < 4000 && strstr(f->text, "[c]") == NULL; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_non_null(strstr(f->text, "{3-8 journal-vacuumed entries=3}[c]"));
	assert_non_null(strstr(f->text, "[x][y][z]"));
}

/* However large it is, nobody else on the loop waits while it is counted. */
static void a_large_hole_is_counted_a_part_at_a_time(void **state)
{
	enum { OTHERS = 1100, TO = 2000 };
	struct fixture *f = *state;
	char others[BYTES] = "", want[64];
	size_t n = 0, most = 0;

	for (int i = 0; i < OTHERS; i++) {
		n += (size_t)snprintf(others + n, sizeof others - n, "%d x|", i + 3);
	}
	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|");
	write_file(f, "system.journal", 'i', 'k', JOURNAL_ONLINE, "2000 c|");
	write_file(f, "user-1000.journal", 'u', 'u', JOURNAL_ONLINE, others);
	start(f);
	for (int i = 0; i < 8000 && strstr(f->text, "[c]") == NULL; i++) {
		steps = 0;
		uv_run(&f->loop, UV_RUN_NOWAIT);
		most = steps > most ? steps : most;
		usleep(500);
	}
	snprintf(want, sizeof want, "{3-%d journal-vacuumed entries=%d}[c]", TO,
		 TO - 3 - OTHERS);
	assert_non_null(strstr(f->text, want));
	/* Two chains: 256 entries to read, and 512 to count. */
	assert_true(most <= 256 + 512 + 8);
}

static void numbers_of_other_chains_are_no_gap(void **state)
{
	struct fixture *f = *state;

	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|");
	write_file(f, "system.journal", 'i', 'k', JOURNAL_ONLINE, "5 c|");
	write_file(f, "user-1000.journal", 'u', 'u', JOURNAL_ONLINE, "3 x|4 y|");
	start(f);
	for (int i = 0; i < 4000 && strstr(f->text, "[c]") == NULL; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_null(strchr(f->text, '{'));
	assert_non_null(strstr(f->text, "[c]"));
}

static void a_last_file_that_goes_unread_is_a_gap(void **state)
{
	struct fixture *f = *state;

	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|");
	write_file(f, "system.journal", 'i', 'k', JOURNAL_ONLINE, "2 b|3 c|");
	f->room = 1;
	start(f);
	wait_for(f, "[a]");
	uv_run(&f->loop, UV_RUN_NOWAIT);
	f->acked = 2;
	f->h = 0;
	remove_file(f, "system.journal");
	f->room = SIZE_MAX;
	restart(f);
	wait_for(f, "{2-4 journal-vacuumed entries=2}");
}

static void damage_is_passed_and_told(void **state)
{
	struct fixture *f = *state;

	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED,
		   "1 a|2 !|3 !|4 !|5 b|6 c|7 !|");
	write_file(f, "system.journal", 'i', 'k', JOURNAL_ONLINE, "8 d|");
	start(f);
	wait_for(f, "[a]{2-5 journal-damaged entries=3}[b][c]{7-8 journal-damaged entries=1}[d]");
}

static void a_file_without_a_header_is_passed_over(void **state)
{
	struct fixture *f = *state;
	char path[256];
	FILE *out;

	path_of(f, "system@bad.journal", path);
	out = fopen(path, "w");
	fputs("not a journal", out);
	fclose(out);
	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|");
	start(f);
	wait_for(f, "[a]");
}

static void without_room_an_entry_waits(void **state)
{
	struct fixture *f = *state;

	f->room = 1;
	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|2 b|3 c|");
	start(f);
	wait_for(f, "[a]");
	f->room = SIZE_MAX;
	f->source->ops->resume(f->source);
	wait_for(f, "[a][b][c]");
}

static void units_are_chosen_and_the_others_are_left_out(void **state)
{
	static char unit[] = "x.*";
	struct fixture *f = *state;

	f->units[0] = unit;
	f->settings.units = (struct strlist){f->units, 1};
	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 y1|2 x1|3 y2|4 x2|5 y3|");
	start(f);
	wait_for(f, "[left out][x1][left out][x2]");
}

static void reading_begins_at_the_end_when_that_is_wanted(void **state)
{
	struct fixture *f = *state;

	f->settings.from = SOURCES_FROM_END;
	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|");
	start(f);
	for (int i = 0; i < 200; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_string_equal(f->text, "");
	write_file(f, "system.journal", 'i', 'j', JOURNAL_ONLINE, "3 c|");
	wait_for(f, "(from 3)[c]");
}

static void a_rollback_reads_again(void **state)
{
	struct fixture *f = *state;
	uint64_t h = 0;

	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|2 b|3 c|");
	start(f);
	wait_for(f, "[a][b][c]");
	f->source->ops->watermark(f->source, &f->id, f->acked, f->h);
	f->source->ops->detected(f->source, &f->id, f->acked);
	assert_int_equal(f->source->ops->rollback(f->source, &f->id, 2, &h), 0);
	wait_for(f, "[a][b][c][b][c]");
}

/* While a file is read, nobody looks at the folder for what is written to it. */
static void a_rewind_between_two_looks_at_the_folder_is_no_fork(void **state)
{
	struct fixture *f = *state;
	struct stream_id before;
	uint64_t acked, h;

	write_file(f, "system.journal", 'i', 'i', JOURNAL_ONLINE, "1 a|2 b|");
	start(f);
	wait_for(f, "[a][b]");
	before = f->id;
	grow_file(f, "system.journal", 'i', 'i', "1 a|2 b|3 c|4 d|");
	wait_for(f, "[a][b][c][d]");
	acked = f->acked;
	h = f->h;
	f->source->ops->watermark(f->source, &f->id, acked, h);
	f->source->ops->detected(f->source, &f->id, acked);
	grow_file(f, "system.journal", 'i', 'i', "1 a|2 b|3 c|4 d|5 e|");
	wait_for(f, "[a][b][c][d][e]");
	/* A batch in flight is refused: from W on again. */
	assert_int_equal(f->source->ops->rollback(f->source, &f->id, acked, &h), 0);
	wait_for(f, "[a][b][c][d][e][e]");
	assert_true(stream_id_eq(&before, &f->id));
}

/* What a look at the folder does not see of system.journal. */
enum hidden { NOTHING, ITS_NAME, ITS_BYTES, WHAT_FOLLOWS };

static struct fixture *fixture_of(struct sys *s)
{
	return (struct fixture *)((char *)s - offsetof(struct fixture, sys.sys));
}

static int64_t later_ns(struct sys *s)
{
	return sys_mono_ns(sys_plain()) + fixture_of(s)->later_ns;
}

/* It has another name by then. */
static int open_hidden(struct sys *s, const char *path, int flags, unsigned mode)
{
	struct fixture *f = fixture_of(s);

	if (f->looking && f->hidden == ITS_BYTES && strstr(path, "/system.journal") != NULL) {
		return UV_ENOENT;
	}
	return f->open(s, path, flags, mode);
}

struct look {
	struct fixture *f;
	sys_list_cb cb;
	void *arg;
};

static int on_name(void *arg, const char *name, bool is_dir)
{
	struct look *l = arg;
	bool shown = strcmp(name, "system.journal") != 0 || l->f->hidden == NOTHING ||
		     l->f->hidden == ITS_BYTES;

	return shown ? l->cb(l->arg, name, is_dir) : 0;
}

/* The next look is due at once. */
static int list_hidden(struct sys *s, const char *dir, sys_list_cb cb, void *arg)
{
	struct fixture *f = fixture_of(s);
	struct look look = {f, cb, arg};
	int rc;

	f->looking = true;
	rc = sys_list(sys_plain(), dir, on_name, &look);
	f->looking = false;
	f->later_ns += INT64_C(60) * 1000 * 1000 * 1000;
	rc = rc == 0 && f->hidden == WHAT_FOLLOWS ? UV_EACCES : rc;
	if (f->hidden_looks > 0 && --f->hidden_looks == 0) {
		f->hidden = NOTHING;
	}
	return rc;
}

static void no_fork_while_hidden(struct fixture *f, enum hidden what, unsigned looks)
{
	struct stream_id before;

	f->ops = *f->sys.sys.ops;
	f->open = f->ops.open;
	f->ops.open = open_hidden;
	f->ops.list = list_hidden;
	f->ops.mono_ns = later_ns;
	f->sys.sys.ops = &f->ops;
	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|");
	write_file(f, "system.journal", 'i', 'j', JOURNAL_ONLINE, "3 c|4 d|");
	start(f);
	wait_for(f, "[a][b][c][d]");
	before = f->id;
	f->hidden = what;
	f->hidden_looks = looks;
	restart(f);
	for (int i = 0; i < 10000 && f->hidden != NOTHING; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_int_equal(f->hidden, NOTHING);
	write_file(f, "system.journal", 'i', 'j', JOURNAL_ONLINE, "3 c|4 d|5 e|");
	wait_for(f, "[e]");
	assert_true(stream_id_eq(&before, &f->id));
	stop(f);
}

static void a_file_that_is_renamed_while_it_is_looked_at_is_no_fork(void **state)
{
	no_fork_while_hidden(*state, ITS_BYTES, 6);
}

static void a_name_that_two_looks_miss_is_no_fork(void **state)
{
	no_fork_while_hidden(*state, ITS_NAME, 2);
}

static void a_folder_that_can_not_be_listed_to_its_end_is_no_fork(void **state)
{
	no_fork_while_hidden(*state, WHAT_FOLLOWS, 6);
}

/* Each call that fails, once: all the same every entry is given once, in order, or is in
 * a gap. */
static void any_call_may_fail(void **state)
{
	struct fixture *f = *state;
	bool failed = true;

	write_file(f, "system@1.journal", 'i', 'i', JOURNAL_ARCHIVED, "1 a|2 b|");
	write_file(f, "system.journal", 'i', 'j', JOURNAL_ONLINE, "3 c|");
	for (int n = 0; failed; n++) {
		const char *at = f->text;

		assert_true(n < 300);
		f->text[0] = '\0';
		countdown = n;
		start(f);
		for (int i = 0; i < 12000 && strstr(f->text, "[c]") == NULL &&
				strstr(f->text, "3-4 ") == NULL;
		     i++) {
			uv_run(&f->loop, UV_RUN_NOWAIT);
			usleep(500);
		}
		failed = countdown < 0;
		countdown = -1;
		for (const char *name = "abc"; *name != '\0'; name++) {
			const char want[] = {'[', *name, ']', '\0'};
			const char *found = strstr(at, want);
			char lost[8];

			/* Positions begin at 0, numbers at 1. */
			snprintf(lost, sizeof lost, "{%d-",
				 *name == 'a' ? 0 : (int)(*name - 'a' + 1));
			if (found == NULL) {
				found = strstr(at, lost);
			}
			if (found == NULL) {
				fail_msg("call %d: %s", n, f->text);
			}
			at = found;
		}
		stop(f);
	}
}

static void a_header_is_read_or_refused(void **state)
{
	char bytes[JOURNAL_HEADER];
	struct journal_header h;

	(void)state;
	header(bytes, 'i', 'f', JOURNAL_ONLINE, 3, 10, 20);
	assert_int_equal(journal_header_decode(slice(bytes, sizeof bytes), &h), 0);
	assert_int_equal(h.entries, 3);
	assert_int_equal(h.head, 10);
	assert_int_equal(h.tail, 20);
	assert_int_equal(h.file_id[15], 'f');
	assert_int_equal(h.seqnum_id[0], 'i');
	for (size_t n = 0; n < sizeof bytes; n++) {
		assert_true(journal_header_decode(slice(bytes, n), &h) < 0);
	}
	header(bytes, 'i', 'f', 3, 3, 10, 20);
	assert_int_equal(journal_header_decode(slice(bytes, sizeof bytes), &h), ERR_MALFORMED);
	header(bytes, 'i', 'f', JOURNAL_ONLINE, 3, 21, 20);
	assert_int_equal(journal_header_decode(slice(bytes, sizeof bytes), &h), ERR_MALFORMED);
	header(bytes, 'i', 'f', JOURNAL_ONLINE, 3, 1, UINT64_MAX);
	assert_int_equal(journal_header_decode(slice(bytes, sizeof bytes), &h), ERR_MALFORMED);
}

static void names_have_families(void **state)
{
	char family[JOURNAL_FAMILY];

	(void)state;
	assert_true(journal_family("system.journal", family));
	assert_string_equal(family, "system");
	assert_true(journal_family("user-1000@0123-4-5.journal", family));
	assert_string_equal(family, "user-1000");
	assert_true(journal_family("system@00-11.journal~", family));
	assert_string_equal(family, "system");
	assert_false(journal_family("system.journal.new", family));
	assert_false(journal_family(".journal", family));
	assert_false(journal_family("@.journal", family));
}

/* ---- text ---- */

struct pair {
	const char *name, *value;
};
static const struct pair *pairs;

static int pair_field(struct journal_reader *r, const char *name, struct slice *value)
{
	(void)r;
	if (fails_now()) {
		return UV_EIO;
	}
	for (const struct pair *p = pairs; p->name != NULL; p++) {
		if (strcmp(p->name, name) == 0) {
			*value = slice_str(p->value);
			return 0;
		}
	}
	return UV_ENOENT;
}

static void an_entry_is_a_line_of_rfc_5424(void **state)
{
	static const struct pair usual[] = {
		{"MESSAGE", "Failed\nnext"}, {"PRIORITY", "6"}, {"SYSLOG_FACILITY", "10"},
		{"SYSLOG_IDENTIFIER", "sshd x"}, {"_PID", "12"}, {"_HOSTNAME", "gw"},
		{"_UID", "0"}, {"_EXE", "a\"]\\"}, {NULL, NULL}};
	static const struct pair bare[] = {{NULL, NULL}};
	static const struct pair kernel[] = {
		{"MESSAGE", "x"}, {"_TRANSPORT", "kernel"}, {"PRIORITY", "9"}, {NULL, NULL}};
	static const struct pair audit[] = {
		{"MESSAGE", "x"}, {"_TRANSPORT", "audit"}, {"_UID", "5"}, {"_EXE", "y"},
		{NULL, NULL}};
	static char uid[] = "_UID", exe[] = "_EXE", transport[] = "_TRANSPORT";
	static char *fields[] = {uid, exe, transport};
	const struct strlist list = {fields, 3}, none = {NULL, 0};
	const struct journal_calls calls = {.field = pair_field};
	const struct journal_entry e = {.realtime_us = 1500000}, timeless = {.realtime_us = -1};
	struct buf out;
	bool cut;

	(void)state;
	buf_init(&out, 65536);
	pairs = usual;
	assert_int_equal(journal_text(&out, &calls, NULL, &e, &list, 4000, &cut), 0);
	buf_add_u8(&out, 0);
	assert_string_equal(out.p, "<86>1 1970-01-01T00:00:01.5Z gw sshd_x 12 - [journal@32473 "
				   "_UID=\"0\" _EXE=\"a\\\"\\]\\\\\"] Failed#012next");
	assert_false(cut);
	pairs = bare;
	assert_int_equal(journal_text(&out, &calls, NULL, &e, &none, 4000, &cut), 0);
	buf_add_u8(&out, 0);
	assert_string_equal(out.p, "<30>1 1970-01-01T00:00:01.5Z - - - - -");
	pairs = kernel;
	assert_int_equal(journal_text(&out, &calls, NULL, &e, &none, 4000, &cut), 0);
	buf_add_u8(&out, 0);
	assert_string_equal(out.p, "<6>1 1970-01-01T00:00:01.5Z - - - - - x");
	assert_int_equal(journal_text(&out, &calls, NULL, &e, &none, 10, &cut), 0);
	assert_int_equal(out.n, 10);
	assert_true(cut);
	pairs = audit;
	assert_int_equal(journal_text(&out, &calls, NULL, &e, &list, 4000, &cut), 0);
	buf_add_u8(&out, 0);
	assert_string_equal(out.p, "<30>1 1970-01-01T00:00:01.5Z - - - - [journal@32473 "
				   "_UID=\"5\" _TRANSPORT=\"audit\" _EXE=\"y\"] x");
	pairs = audit + 1;
	assert_int_equal(journal_text(&out, &calls, NULL, &timeless, &none, 4000, &cut), 0);
	buf_add_u8(&out, 0);
	assert_string_equal(out.p, "<30>1 - - - - - [journal@32473 _UID=\"5\" "
				   "_TRANSPORT=\"audit\"]");
	for (int n = 0; n < 8; n++) {
		pairs = usual;
		countdown = n;
		assert_int_equal(journal_text(&out, &calls, NULL, &e, &list, 4000, &cut),
				 UV_EIO);
	}
	buf_fini(&out);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(entries_are_read_as_they_are_written),
		T(a_chain_is_read_in_the_order_of_its_numbers),
		T(what_was_before_the_first_file_is_told_once),
		T(a_restart_goes_on_behind_what_was_acknowledged),
		T(a_journal_with_other_entries_is_a_stream_of_its_own),
		T(a_journal_that_lost_its_end_loses_no_later_entry),
		T(what_is_proved_of_a_cut_journal_is_not_read_again),
		T(a_vacuumed_file_is_a_gap_with_its_count),
		T(a_large_hole_is_counted_a_part_at_a_time),
		T(numbers_of_other_chains_are_no_gap),
		T(a_last_file_that_goes_unread_is_a_gap),
		T(damage_is_passed_and_told),
		T(a_file_without_a_header_is_passed_over),
		T(without_room_an_entry_waits),
		T(units_are_chosen_and_the_others_are_left_out),
		T(reading_begins_at_the_end_when_that_is_wanted),
		T(a_rollback_reads_again),
		T(a_rewind_between_two_looks_at_the_folder_is_no_fork),
		T(a_file_that_is_renamed_while_it_is_looked_at_is_no_fork),
		T(a_name_that_two_looks_miss_is_no_fork),
		T(a_folder_that_can_not_be_listed_to_its_end_is_no_fork),
		T(any_call_may_fail),
		cmocka_unit_test(a_header_is_read_or_refused),
		cmocka_unit_test(names_have_families),
		cmocka_unit_test(an_entry_is_a_line_of_rfc_5424),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
