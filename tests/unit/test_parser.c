/* Property tests of parsers/parser.h: every line is read without harm, every slice lies
 * where it may, and what is remembered can be saved and taken up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/support/parsing.h"

/* Whole lines whose pieces are put together anew. */
static const char *const lines[] = {
	"Nov 22 15:37:46 gw sshd[42]: Failed password for invalid user a b from "
	"192.0.2.1 port 5 ssh2",
	"<38>Nov 22 15:37:46 gw sshd-session[42]: Connection closed by "
	"authenticating user root 192.0.2.1 port 5 [preauth]",
	"2026-11-22T15:37:46.5+01:00 gw sshd[42]: Disconnecting invalid user a "
	"192.0.2.1 port 5: Change of username or service not allowed: (a,x) -> "
	"(b,y) [preauth]",
	"Nov 22 15:37:46 gw sshd[42]: pam_unix(sshd:auth): authentication failure; "
	"logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
	"Nov 22 15:37:46 gw sudo:  bob : 3 incorrect password attempts ; TTY=pts/1 "
	"; PWD=/ ; USER=root ; COMMAND=/bin/ls",
	"Nov 22 15:37:46 gw sudo:  bob : TTY=pts/1 ; PWD=/ ; USER=root ; "
	"COMMAND=/bin/ls",
	"Nov 22 15:37:46 gw su[42]: FAILED SU (to root) bob on pts/0",
	"Nov 22 15:37:46 gw login[42]: FAILED LOGIN (1) on '/dev/tty1' FOR 'bob', "
	"Authentication failure",
	"Sun Nov 22 15:37:46 2026 authpriv.info dropbear[42]: Exit before auth from "
	"<192.0.2.1:5>: (user 'root', 2 fails): Exited normally",
	"Nov 22 15:37:46 gw useradd[42]: new user: name=eve, UID=1, GID=1, home=/",
	"Nov 22 15:37:46 gw usermod[42]: add 'eve' to group 'sudo'",
	"Nov 22 15:37:46 gw systemd-logind[42]: New session '3' of user 'bob' with",
	"Nov 22 15:37:46 gw CRON[42]: (root) CMD (x)",
	"Mon Oct 24 11:32:53 2016 [pid 1] [x] FAIL LOGIN: Client \"192.0.2.1\"",
	"Nov 22 15:37:46 gw proftpd[42]: h (a[192.0.2.1]) - USER bob (Login failed): "
	"Incorrect password",
	"Nov 22 15:37:46 gw pure-ftpd: (?@192.0.2.1) [WARNING] Authentication failed "
	"for user [bob]",
	"Nov 22 15:37:46 gw dovecot: imap-login: Disconnected (auth failed, 3 "
	"attempts in 9 secs): user=<bob>, method=PLAIN, rip=192.0.2.1, lip=x",
	"Nov 22 15:37:46 gw postfix/smtpd[42]: warning: x[192.0.2.1]: SASL LOGIN "
	"authentication failed: x",
	"2026/11/22 15:37:46 [error] 7#7: *1 user \"bob\" was not found in \"/x\", "
	"client: 192.0.2.1, server: x",
	"192.0.2.1 - bob [22/Nov/2026:15:37:46 +0000] \"GET /x HTTP/1.1\" 401 12 "
	"\"-\" \"curl\"",
	"[Sun Nov 22 15:37:46.5 2026] [auth_basic:error] [client 192.0.2.1:5] "
	"AH01617: user bob: authentication failure for \"/x\": no",
	"Nov 22 15:37:46 gw openvpn[42]: bob/192.0.2.1:5 [bob] Peer Connection "
	"Initiated with [AF_INET]192.0.2.1:5",
	"Nov 22 15:37:46 gw uhttpd[42]: luci: failed login on /x for a from "
	"192.0.2.1",
	"Nov 22 15:37:46 gw pkexec[42]: bob: Executing command [USER=root] [TTY=x] "
	"[CWD=/] [COMMAND=/x]",
	"type=USER_LOGIN msg=audit(1795361866.5:12): pid=7 msg='op=login "
	"acct=612022 exe=\"/x\" addr=192.0.2.1 res=failed'",
	"<34>1 2026-11-22T15:37:46Z gw sshd 42 ID [a b=\"c\\]\"] Invalid user x "
	"from 192.0.2.1 port 5",
	"Nov 22 15:37:46 gw sshd[42]: message repeated 9 times: [ Failed password "
	"for root from 192.0.2.1 port 5 ssh2]",
};

enum { LINES = sizeof lines / sizeof *lines, LINE_ROOM = 1024 };

static uint64_t state_of_rng;

static uint64_t rnd(void)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = state_of_rng += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A line cut, spliced with another and bitten; exactly sized on the heap. */
static char *make_line(size_t *n)
{
	const char *a = lines[rnd() % LINES], *b = lines[rnd() % LINES];
	size_t from = rnd() % 4 != 0 ? strlen(a) : rnd() % (strlen(a) + 1);
	size_t to = rnd() % 3 != 0 ? strlen(b) : rnd() % (strlen(b) + 1);
	char room[LINE_ROOM], *line;

	memcpy(room, a, from);
	memcpy(room + from, b + to, strlen(b) - to);
	*n = from + strlen(b) - to;
	for (uint64_t bites = rnd() % 4; bites > 0 && *n > 0; bites--) {
		size_t at = rnd() % *n;

		if (rnd() % 2 == 0) {
			room[at] = (char)rnd();
		} else {
			memmove(room + at, room + at + 1, *n - at - 1);
			(*n)--;
		}
	}
	line = malloc(*n == 0 ? 1 : *n);
	assert_non_null(line);
	memcpy(line, room, *n);
	return line;
}

static uint64_t touch(struct slice s)
{
	uint64_t sum = s.n;

	for (size_t i = 0; i < s.n; i++) {
		sum = sum * 31 + (unsigned char)s.p[i];
	}
	return sum;
}

static bool inside(struct slice part, const char *line, size_t n)
{
	return part.n == 0 || (part.p >= line && part.p + part.n <= line + n);
}

/* Reads every byte that the parser handed out, so that a sanitizer sees a slice that
 * leads elsewhere. */
static uint64_t check_line(struct parser *p, const char *line, size_t n)
{
	struct header h;
	struct event e;
	uint64_t sum;

	parser_line(p, slice(line, n), TEST_NOW, &h, &e);
	assert_true(inside(h.host, line, n));
	assert_true(inside(h.program, line, n));
	assert_true(inside(h.pid, line, n));
	assert_true(inside(h.message, line, n));
	for (size_t i = 0; i < h.pid.n; i++) {
		assert_in_range(h.pid.p[i], '0', '9');
	}
	sum = (uint64_t)h.time_ns + (uint64_t)e.outcome * 7 + e.attempts;
	sum = sum * 31 + touch(h.message);
	for (int f = 0; f < FIELD_NR; f++) {
		if (event_has(&e, (enum event_field)f)) {
			sum = sum * 31 + touch(e.f[f]);
		}
	}
	if (!event_understood(&e)) {
		assert_int_equal(e.has, 0);
		assert_int_equal(e.outcome, OUTCOME_NONE);
		assert_int_equal(e.attempts, 0);
	}
	return sum;
}

static void every_line_is_read_and_every_slice_is_good(void **state)
{
	struct parser *p;

	(void)state;
	state_of_rng = 11;
	print_message("seed 11\n");
	assert_int_equal(parser_new(&p, NULL), 0);
	for (int i = 0; i < 300000; i++) {
		size_t n;
		char *line = make_line(&n);

		check_line(p, line, n);
		free(line);
	}
	parser_free(p);
}

static void every_beginning_of_every_line_is_read(void **state)
{
	struct parser *p;

	(void)state;
	assert_int_equal(parser_new(&p, NULL), 0);
	for (size_t i = 0; i < LINES; i++) {
		for (size_t n = 0; n <= strlen(lines[i]); n++) {
			char *line = malloc(n == 0 ? 1 : n);

			assert_non_null(line);
			memcpy(line, lines[i], n);
			check_line(p, line, n);
			free(line);
		}
	}
	check_line(p, NULL, 0);
	parser_free(p);
}

static void long_and_binary_lines_are_read(void **state)
{
	static const unsigned char fill[] = {0, ' ', '[', 'a', 0xff, ':', '\''};
	struct parser *p;
	size_t n = 256 * 1024;
	char *line = malloc(n);

	(void)state;
	assert_non_null(line);
	assert_int_equal(parser_new(&p, NULL), 0);
	for (size_t i = 0; i < sizeof fill; i++) {
		memset(line, fill[i], n);
		check_line(p, line, n);
		for (size_t k = 0; k < LINES; k++) {
			memcpy(line, lines[k], strlen(lines[k]));
			check_line(p, line, n);
		}
	}
	free(line);
	parser_free(p);
}

/* A parser that was saved in the middle and taken up by another goes on alike. */
static void saved_and_loaded_is_the_same(void **state)
{
	struct parser *a, *b;
	struct buf saved;

	(void)state;
	state_of_rng = 12;
	print_message("seed 12\n");
	assert_int_equal(parser_new(&a, NULL), 0);
	for (int i = 0; i < 3000; i++) {
		size_t n;
		char *line = make_line(&n);

		if (i % 10 == 0) {
			buf_init(&saved, 1 << 20);
			assert_int_equal(parser_save(a, &saved), 0);
			assert_int_equal(parser_new(&b, NULL), 0);
			assert_int_equal(parser_load(b, buf_slice(&saved)), 0);
			assert_int_equal(check_line(b, line, n),
					 check_line(a, line, n));
			parser_free(b);
			buf_fini(&saved);
		} else {
			check_line(a, line, n);
		}
		free(line);
	}
	parser_free(a);
}

static void damaged_memory_is_refused(void **state)
{
	struct parser *p;
	struct buf saved;
	int rc;

	(void)state;
	buf_init(&saved, 1 << 20);
	assert_int_equal(parser_new(&p, NULL), 0);
	for (size_t i = 0; i < LINES; i++) {
		check_line(p, lines[i], strlen(lines[i]));
	}
	assert_int_equal(parser_save(p, &saved), 0);
	for (size_t n = 0; n < saved.n; n++) {
		assert_int_equal(parser_load(p, slice(saved.p, n)),
				 ERR_MALFORMED);
	}
	for (size_t i = 0; i < saved.n * 8; i++) {
		saved.p[i / 8] = (char)(saved.p[i / 8] ^ 1 << i % 8);
		parser_load(p, buf_slice(&saved));
		check_line(p, lines[i % LINES], strlen(lines[i % LINES]));
		saved.p[i / 8] = (char)(saved.p[i / 8] ^ 1 << i % 8);
	}
	saved.p[0] = 99;
	assert_int_equal(parser_load(p, buf_slice(&saved)), ERR_VERSION);
	for (size_t i = 0; i < LINES; i++) {
		check_line(p, lines[i], strlen(lines[i]));
	}
	buf_fini(&saved);
	buf_init(&saved, 400); /* room for one, not for many */
	while ((rc = parser_save(p, &saved)) == 0) {
	}
	assert_int_equal(rc, ERR_TOO_LARGE);
	buf_fini(&saved);
	parser_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_is_read_and_every_slice_is_good),
		cmocka_unit_test(every_beginning_of_every_line_is_read),
		cmocka_unit_test(long_and_binary_lines_are_read),
		cmocka_unit_test(saved_and_loaded_is_the_same),
		cmocka_unit_test(damaged_memory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
