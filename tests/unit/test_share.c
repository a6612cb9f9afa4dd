/* The share of lines that are understood: falls are told, ordinary changes are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/timefmt.h"
#include "parsers/parser.h"
#include "parsers/share.h"

#define NOW (INT64_C(1795361866) * NS_PER_S)

struct log {
	struct shares *shares;
	struct parser *parser;
	unsigned n; /* lines so far: they give pids and addresses */
};

static struct log begin(const char *path)
{
	struct log l = {NULL, NULL, 0};

	assert_int_equal(shares_new(&l.shares), 0);
	assert_int_equal(parser_new(&l.parser, NULL), 0);
	parser_shares(l.parser, l.shares, slice_str(path));
	return l;
}

static void end(struct log *l)
{
	parser_free(l->parser);
	shares_free(l->shares);
}

static void line(struct log *l, const char *text)
{
	struct record r = {.observed_ns = NOW, .line = slice_str(text)};

	parser_line(l->parser, r.line, NOW, &r.header, &r.event);
	parser_count(l->parser, &r);
	l->n++;
}

/* n lines; each # of the form becomes a number: the first few differ from line to line. */
static void lines(struct log *l, unsigned n, const char *form)
{
	char text[512];

	for (unsigned i = 0; i < n; i++) {
		const unsigned numbers[] = {1000 + l->n, l->n * 7919, l->n % 256};
		unsigned next = 0;
		int at = 0;

		for (const char *c = form; *c != '\0'; c++) {
			at += *c == '#' ? snprintf(text + at, sizeof text - (size_t)at, "%u",
						   numbers[next++])
					: snprintf(text + at, sizeof text - (size_t)at, "%c", *c);
		}
		line(l, text);
	}
}

#define HEAD "Nov 22 10:00:00 gate sshd[#]: "
#define FROM " from 192.0.2.# port 22 ssh2"
#define FAILED HEAD "Failed password for u#" FROM

static struct share_fall the_fall(struct log *l)
{
	struct share_fall f, more;

	assert_true(shares_take(l->shares, &f));
	assert_false(shares_take(l->shares, &more));
	return f;
}

static void none(struct log *l)
{
	struct share_fall f;

	if (shares_take(l->shares, &f)) {
		fail_msg("a fall of %s: %u to %u: %s", f.program, f.before, f.after, f.example);
	}
}

static void a_new_wording_is_told_with_shares_and_an_example(void **state)
{
	struct log l = begin("/var/log/auth.log");
	struct share_fall f;

	(void)state;
	lines(&l, 1000, FAILED);
	none(&l);
	lines(&l, 4, HEAD "Password refused for u# at 192.0.2.#");
	f = the_fall(&l);
	assert_string_equal(f.program, "sshd");
	assert_string_equal(f.source, "/var/log/auth.log");
	assert_int_equal(f.why, SHARE_WORDING);
	assert_int_equal(f.before, 1000);
	assert_int_equal(f.after, 0);
	assert_int_equal(f.of, 4);
	assert_string_equal(f.example, "Password refused for * at 0.0.0.0");
	/* It is told once. */
	lines(&l, 500, HEAD "Password refused for u# at 192.0.2.#");
	none(&l);
	end(&l);
}

static void after_a_recovery_the_next_fall_is_told_as_well(void **state)
{
	struct log l = begin("/var/log/auth.log");

	(void)state;
	lines(&l, 100, FAILED);
	lines(&l, 10, HEAD "Password refused for u# at 192.0.2.#");
	the_fall(&l);
	lines(&l, 1000, FAILED);
	lines(&l, 10, HEAD "No entry for u#, #");
	the_fall(&l);
	end(&l);
}

static void a_part_of_the_wordings_is_enough(void **state)
{
	struct log l = begin("/var/log/auth.log");

	(void)state;
	lines(&l, 1000, FAILED);
	for (unsigned i = 0; i < 60; i++) {
		lines(&l, 9, FAILED);
		lines(&l, 1, HEAD "Sign-in by key: u# (#)");
	}
	assert_int_equal(the_fall(&l).why, SHARE_WORDING);
	end(&l);
}

static void a_few_odd_lines_are_no_fall(void **state)
{
	struct log l = begin("/var/log/auth.log");

	(void)state;
	lines(&l, 100, FAILED);
	for (unsigned i = 0; i < 100; i++) {
		lines(&l, 1, HEAD "oddity of u# and #");
		lines(&l, 200, FAILED);
	}
	none(&l);
	end(&l);
}

/* However many were not understood, of which only the last few dozen are held apart. */
static void what_was_understood_is_counted_exactly(void **state)
{
	struct log l = begin("/var/log/auth.log");
	struct share_count c;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		lines(&l, 50, FAILED);
		lines(&l, 1, HEAD "oddity of u# and #");
		assert_true(shares_get(l.shares, 0, &c));
		assert_int_equal(c.understood, 50 * (i + 1));
		assert_int_equal(c.lines, 51 * (i + 1));
	}
	none(&l);
	/* After a fall it begins anew. */
	lines(&l, 64, HEAD "Password refused for u# at 192.0.2.#");
	assert_int_equal(the_fall(&l).why, SHARE_WORDING);
	lines(&l, 30, FAILED);
	assert_true(shares_get(l.shares, 0, &c));
	assert_int_equal(c.understood, 30);
	end(&l);
}

static void what_was_never_understood_is_no_news(void **state)
{
	struct log l = begin("/var/log/auth.log");

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		lines(&l, 1, HEAD "oddity of u# and #");
		lines(&l, 2, FAILED);
	}
	none(&l);
	lines(&l, 300, HEAD "oddity of u# and #");
	none(&l);
	/* Something else is. */
	lines(&l, 64, HEAD "Password refused for u# at 192.0.2.#");
	assert_int_equal(the_fall(&l).why, SHARE_WORDING);
	end(&l);
}

static void a_new_stamp_is_told_of_each_program_that_can_be_named(void **state)
{
	struct log l = begin("/var/log/auth.log");
	struct share_fall f;

	(void)state;
	lines(&l, 50, FAILED);
	lines(&l, 6, "22.11.2026 10:00:00 gate sshd[#]: Failed password for u#" FROM);
	f = the_fall(&l);
	assert_int_equal(f.why, SHARE_HEADER);
	assert_string_equal(f.program, "sshd");
	assert_string_equal(f.example, "0.0.0 0:0:0 gate sshd[0]: Failed password for * from "
				       "0.0.0.0 port 0 *");
	end(&l);
}

static void a_header_without_any_name_is_told_of_the_source(void **state)
{
	struct log l = begin("/var/log/auth.log");
	struct share_fall f;

	(void)state;
	lines(&l, 50, FAILED);
	lines(&l, 40, "<<22.11.2026>> (#) something happened to u#, #");
	f = the_fall(&l);
	assert_int_equal(f.why, SHARE_HEADER);
	assert_string_equal(f.program, "sshd");
	lines(&l, 200, "<<22.11.2026>> (#) something happened to u#, #");
	none(&l);
	end(&l);
}

static void a_renamed_program_is_known_by_what_it_says(void **state)
{
	struct log l = begin("/var/log/auth.log");
	struct share_fall f;

	(void)state;
	lines(&l, 50, FAILED);
	lines(&l, 6, "Nov 22 10:00:00 gate opensecure[#]: Failed password for u#" FROM);
	f = the_fall(&l);
	assert_int_equal(f.why, SHARE_NAME_NEW);
	assert_string_equal(f.program, "sshd");
	assert_string_equal(f.name_new, "opensecure");
	end(&l);
}

static void other_programs_come_and_go(void **state)
{
	struct log l = begin("/var/log/syslog");

	(void)state;
	lines(&l, 50, FAILED);
	lines(&l, 500, "Nov 22 10:00:00 gate app[#]: u# did something #");
	lines(&l, 500, "Nov 22 10:00:00 gate other[#]: Failed to start u# from #");
	none(&l);
	end(&l);
}

static void lines_that_go_on_are_no_lines_without_a_header(void **state)
{
	struct log l = begin("/var/log/syslog");

	(void)state;
	lines(&l, 50, FAILED);
	lines(&l, 200, "\tat com.example.Thing#.run(Thing#.java:#)");
	none(&l);
	end(&l);
}

static void a_program_of_which_little_is_known_does_not_fall(void **state)
{
	struct log l = begin("/var/log/auth.log");

	(void)state;
	lines(&l, 15, FAILED);
	lines(&l, 100, HEAD "Password refused for u# at 192.0.2.#");
	none(&l);
	end(&l);
}

static void values_in_quotes_were_not_understood(void **state)
{
	struct log l = begin("/var/log/auth.log");

	(void)state;
	lines(&l, 50, FAILED);
	lines(&l, 6, HEAD "Failed password for u# from <192.0.2.#> port 22 ssh2");
	assert_int_equal(the_fall(&l).why, SHARE_WORDING);
	lines(&l, 1000, FAILED);
	lines(&l, 6, HEAD "Failed password for \"u#\"" FROM);
	assert_int_equal(the_fall(&l).why, SHARE_WORDING);
	end(&l);
}

/* Only what all lines of a form have in common is shown. */
static void the_example_holds_nothing_that_somebody_chose(void **state)
{
	struct log l = begin("/var/log/auth.log");
	struct share_fall f;

	(void)state;
	lines(&l, 50, FAILED);
	line(&l, "Nov 22 10:00:00 gate sshd[1]: Refused: hunter2! by 192.0.2.1 using hunter2!");
	line(&l, "Nov 22 10:00:00 gate sshd[2]: Refused: hunter2! by 192.0.2.1 using hunter2!");
	line(&l, "Nov 22 10:00:00 gate sshd[3]: Refused: secret by 192.0.2.1 using hunter2!");
	line(&l, "Nov 22 10:00:00 gate sshd[4]: Refused: \x1b[31m by 192.0.2.1 using hunter2!");
	f = the_fall(&l);
	assert_string_equal(f.example, "Refused: * by 0.0.0.0 using *");
	end(&l);
}

static void rotated_files_are_one_source(void **state)
{
	struct log l = begin("/var/log/auth.log");
	struct parser *next;
	struct share_fall f;

	(void)state;
	lines(&l, 50, FAILED);
	assert_int_equal(parser_new(&next, NULL), 0);
	parser_shares(next, l.shares, SLICE_LIT("/var/log/auth.log.1"));
	parser_free(l.parser);
	l.parser = next;
	lines(&l, 6, HEAD "Password refused for u# at 192.0.2.#");
	f = the_fall(&l);
	assert_string_equal(f.source, "/var/log/auth.log");
	end(&l);
}

static void another_source_is_counted_by_itself(void **state)
{
	struct log l = begin("/var/log/auth.log"), m;

	(void)state;
	lines(&l, 50, FAILED);
	m = l;
	assert_int_equal(parser_new(&m.parser, NULL), 0);
	parser_shares(m.parser, m.shares, SLICE_LIT("/var/log/other.log"));
	lines(&m, 100, HEAD "Password refused for u# at 192.0.2.#");
	none(&m);
	parser_free(m.parser);
	end(&l);
}

static void counts_survive_a_restart(void **state)
{
	struct log l = begin("/var/log/auth.log"), m = begin("/var/log/auth.log");
	struct buf saved, again;
	struct share_count c;

	(void)state;
	buf_init(&saved, 1 << 20);
	buf_init(&again, 1 << 20);
	lines(&l, 300, FAILED);
	lines(&l, 2, HEAD "Password refused for u# at 192.0.2.#");
	assert_int_equal(shares_save(l.shares, &saved), 0);
	parser_free(m.parser);
	shares_free(m.shares);
	assert_int_equal(shares_new(&m.shares), 0);
	assert_int_equal(shares_load(m.shares, buf_slice(&saved)), 0);
	assert_int_equal(shares_save(m.shares, &again), 0);
	assert_int_equal(again.n, saved.n);
	assert_memory_equal(again.p, saved.p, saved.n);
	assert_true(shares_get(m.shares, 0, &c));
	assert_int_equal(c.lines, 302);
	assert_int_equal(c.understood, 300);
	assert_false(shares_get(m.shares, 1, &c));
	assert_int_equal(parser_new(&m.parser, NULL), 0);
	parser_shares(m.parser, m.shares, SLICE_LIT("/var/log/auth.log"));
	m.n = l.n;
	lines(&m, 3, HEAD "Password refused for u# at 192.0.2.#");
	assert_string_equal(the_fall(&m).program, "sshd");
	buf_fini(&saved);
	buf_fini(&again);
	end(&l);
	end(&m);
}

static void a_damaged_state_is_refused_and_forgotten(void **state)
{
	struct log l = begin("/var/log/auth.log");
	struct share_count c;
	struct buf saved;

	(void)state;
	buf_init(&saved, 1 << 20);
	lines(&l, 300, FAILED);
	lines(&l, 2, HEAD "Password refused for u# at 192.0.2.#");
	assert_int_equal(shares_save(l.shares, &saved), 0);
	for (size_t n = 0; n < saved.n; n++) {
		struct shares *s;

		assert_int_equal(shares_new(&s), 0);
		assert_int_not_equal(shares_load(s, slice(saved.p, n)), 0);
		assert_false(shares_get(s, 0, &c));
		shares_free(s);
	}
	saved.p[0]++;
	assert_int_equal(shares_load(l.shares, buf_slice(&saved)), ERR_VERSION);
	buf_fini(&saved);
	end(&l);
}

static void tables_that_are_full_count_nothing_more(void **state)
{
	struct shares *s;
	char path[64];

	(void)state;
	assert_int_equal(shares_new(&s), 0);
	for (int i = 0; i < SHARE_SOURCES; i++) {
		snprintf(path, sizeof path, "/var/log/%c%c.log", 'a' + i % 26, 'a' + i / 26);
		assert_int_equal(shares_source(s, slice_str(path)), i);
		assert_int_equal(shares_source(s, slice_str(path)), i);
	}
	assert_int_equal(shares_source(s, SLICE_LIT("/one/more")), -1);
	shares_free(s);
}

static void every_line_of_many_sources_stays_in_bounds(void **state)
{
	static const char *const programs[] = {"sshd", "su", "sudo", "login", "cron", "passwd",
					       "useradd", "vsftpd", "nginx", "dovecot"};
	struct log l = begin("/var/log/x.log");
	char text[256], path[64];

	(void)state;
	for (int i = 0; i < 40; i++) {
		parser_free(l.parser);
		assert_int_equal(parser_new(&l.parser, NULL), 0);
		snprintf(path, sizeof path, "/var/log/%c%c.log", 'a' + i % 26, 'a' + i / 26);
		parser_shares(l.parser, l.shares, slice_str(path));
		for (unsigned k = 0; k < 200; k++) {
			snprintf(text, sizeof text, "Nov 22 10:00:00 gate %s[%u]: odd words %u",
				 programs[k % 10], k, k);
			line(&l, text);
		}
	}
	none(&l);
	end(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_wording_is_told_with_shares_and_an_example),
		cmocka_unit_test(after_a_recovery_the_next_fall_is_told_as_well),
		cmocka_unit_test(a_part_of_the_wordings_is_enough),
		cmocka_unit_test(a_few_odd_lines_are_no_fall),
		cmocka_unit_test(what_was_understood_is_counted_exactly),
		cmocka_unit_test(what_was_never_understood_is_no_news),
		cmocka_unit_test(a_new_stamp_is_told_of_each_program_that_can_be_named),
		cmocka_unit_test(a_header_without_any_name_is_told_of_the_source),
		cmocka_unit_test(a_renamed_program_is_known_by_what_it_says),
		cmocka_unit_test(other_programs_come_and_go),
		cmocka_unit_test(lines_that_go_on_are_no_lines_without_a_header),
		cmocka_unit_test(a_program_of_which_little_is_known_does_not_fall),
		cmocka_unit_test(values_in_quotes_were_not_understood),
		cmocka_unit_test(the_example_holds_nothing_that_somebody_chose),
		cmocka_unit_test(rotated_files_are_one_source),
		cmocka_unit_test(another_source_is_counted_by_itself),
		cmocka_unit_test(counts_survive_a_restart),
		cmocka_unit_test(a_damaged_state_is_refused_and_forgotten),
		cmocka_unit_test(tables_that_are_full_count_nothing_more),
		cmocka_unit_test(every_line_of_many_sources_stays_in_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
