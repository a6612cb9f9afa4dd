/* A property of parsers/ and redact/ together: parsing the redacted line gives the
 * redacted event.  The collector has only the redacted line, and must come to the
 * same conclusions.
 *
 * Two parsers read one stream, one the raw lines and one the redacted ones.  For
 * each line the outcome, the attempts and the fields that are set must agree, and a
 * field's value is that of the raw line or has a mask in it, and never the secret.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/limits.h"
#include "parsers/parser.h"
#include "redact/redact.h"

enum { SECRETS_MAX = 32, LINE_ROOM = 4096, GENERATED = 20000 };

/* 2026-11-22T16:00:00Z */
#define READ_AT INT64_C(1795363200000000000)

struct pair {
	struct redact *redact;
	struct redact_state state;
	struct parser *raw, *clean;
	struct buf scratch;
	struct slice secrets[SECRETS_MAX]; /* of this line */
	size_t n_secrets;
	uint64_t lines, masked, events; /* events: understood and masked */
	const char *where;
};

static int open_pair(void **state)
{
	static const struct redact_options options = {.enabled = true};
	struct pair *p = calloc(1, sizeof *p);

	assert_non_null(p);
	buf_init(&p->scratch, LIMIT_LINE_MAX * 2);
	assert_int_equal(redact_new(&p->redact, &options), 0);
	assert_int_equal(parser_new(&p->raw, NULL), 0);
	assert_int_equal(parser_new(&p->clean, NULL), 0);
	*state = p;
	return 0;
}

static int close_pair(void **state)
{
	struct pair *p = *state;

	parser_free(p->raw);
	parser_free(p->clean);
	redact_free(p->redact);
	buf_wipe(&p->scratch);
	free(p);
	return 0;
}

static void on_mask(void *arg, unsigned rule, size_t offset, struct slice masked)
{
	struct pair *p = arg;

	(void)rule;
	(void)offset;
	if (p->n_secrets < SECRETS_MAX) {
		p->secrets[p->n_secrets++] = masked;
	}
}

static bool has_mask(struct slice s)
{
	return slice_find(s, SLICE_LIT("*redacted-")) != SIZE_MAX;
}

/* A short secret may well be a word that stands elsewhere in the line, too. */
static void no_secret_in(const struct pair *p, struct slice value,
			 struct slice raw, struct slice clean)
{
	for (size_t i = 0; i < p->n_secrets; i++) {
		struct slice secret = p->secrets[i];

		if (secret.n >= 8 &&
		    slice_find(clean, secret) == SIZE_MAX &&
		    slice_find(value, secret) != SIZE_MAX) {
			fail_msg("%s: a field holds what is masked in \"%.*s\"",
				 p->where, SLICE_ARG(raw));
		}
	}
}

static void agree(const struct pair *p, const struct event *a,
		  const struct event *b, struct slice raw, struct slice clean)
{
	if (a->outcome != b->outcome || a->attempts != b->attempts) {
		fail_msg("%s: outcome %s, %u attempts became %s, %u: \"%.*s\" -> "
			 "\"%.*s\"", p->where, outcome_name(a->outcome),
			 a->attempts, outcome_name(b->outcome), b->attempts,
			 SLICE_ARG(raw), SLICE_ARG(clean));
	}
	for (unsigned f = 0; f < FIELD_NR; f++) {
		struct slice x = event_get(a, (enum event_field)f);
		struct slice y = event_get(b, (enum event_field)f);

		if (event_has(a, (enum event_field)f) !=
		    event_has(b, (enum event_field)f)) {
			fail_msg("%s: %s is in one event only: \"%.*s\" -> "
				 "\"%.*s\"", p->where,
				 event_field_name((enum event_field)f),
				 SLICE_ARG(raw), SLICE_ARG(clean));
		}
		if (!slice_eq(x, y) && !has_mask(y)) {
			fail_msg("%s: %s \"%.*s\" became \"%.*s\": \"%.*s\" -> "
				 "\"%.*s\"", p->where,
				 event_field_name((enum event_field)f),
				 SLICE_ARG(x), SLICE_ARG(y), SLICE_ARG(raw),
				 SLICE_ARG(clean));
		}
		no_secret_in(p, y, raw, clean);
	}
}

static void same_header(const struct pair *p, const struct header *a,
			const struct header *b, struct slice raw)
{
	if (a->format != b->format || a->time_ns != b->time_ns ||
	    a->priority != b->priority || !slice_eq(a->pid, b->pid) ||
	    (!slice_eq(a->host, b->host) && !has_mask(b->host)) ||
	    (!slice_eq(a->program, b->program) && !has_mask(b->program))) {
		fail_msg("%s: another header in \"%.*s\"", p->where,
			 SLICE_ARG(raw));
	}
}

static void one_line(struct pair *p, struct slice line)
{
	struct header a, b;
	struct event x, y;
	struct slice clean;

	p->n_secrets = 0;
	p->masked += redact_line_explain(p->redact, &p->state, line, &p->scratch,
					 &clean, on_mask, p);
	p->lines++;
	parser_line(p->raw, line, READ_AT, &a, &x);
	parser_line(p->clean, clean, READ_AT, &b, &y);
	same_header(p, &a, &b, line);
	agree(p, &x, &y, line, clean);
	p->events += p->n_secrets > 0 && event_understood(&y);
}

/* ---- generated lines ---- */

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* %S: something secret; %W: a word; %A: an address; %N: a number. */
static const char *const templates[] = {
	"sudo: %W : TTY=pts/0 ; PWD=/home/%W ; USER=root ; COMMAND=/usr/bin/%W %S",
	"sudo[%N]: %W : TTY=pts/1 ; PWD=/srv ; USER=root ; "
	"COMMAND=/usr/bin/env %S /bin/true",
	"sudo: %W : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root "
	"; COMMAND=/bin/sh -c %S",
	"CRON[%N]: (%W) CMD (/usr/local/bin/%W %S)",
	"sshd[%N]: Failed password for invalid user %S from %A port %N ssh2",
	"sshd[%N]: Failed password for %W from %A port %N ssh2",
	"sshd[%N]: Invalid user %S from %A port %N",
	"sshd[%N]: Accepted password for %W from %A port %N ssh2",
	"sshd[%N]: Received disconnect from %A port %N:11: %S [preauth]",
	"sshd[%N]: Connection closed by invalid user %S %A port %N [preauth]",
	"sshd[%N]: pam_unix(sshd:auth): authentication failure; logname= uid=0 "
	"euid=0 tty=ssh ruser= rhost=%A  user=%S",
	"sshd[%N]: pam_unix(sshd:session): session opened for user %W(uid=%N) by "
	"(uid=0)",
	"sshd[%N]: error: PAM: Authentication failure for %S from %A",
	"vsftpd[%N]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 "
	"euid=0 tty=ftp ruser=%S rhost=%A",
	"dropbear[%N]: Bad password attempt for '%W' from %A:%N",
	"dropbear[%N]: Login attempt for nonexistent user '%S' from %A:%N",
	"dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): "
	"user=<%S>, method=PLAIN, rip=%A, lip=10.0.0.1",
	"su[%N]: FAILED SU (to %S) %W on pts/0",
	"useradd[%N]: new user: name=%W, UID=%N, GID=%N, home=/home/%W, "
	"shell=/bin/%S",
	"systemd-logind[%N]: New session %N of user %W.",
	"myapp[%N]: starting with %S and %W",
};
enum { TEMPLATES = sizeof templates / sizeof *templates };

static const char *const before[] = {
	"password=", "passwd: ", "--password ", "--password=", "token=",
	"AWS_SECRET_ACCESS_KEY=", "MYSQL_PWD=", "Authorization: Bearer ",
	"api_key=", "https://user:", "-p", "", "",
};
static const char *const behind[] = {"", "", "", "", "", "", "", "", "",
				     "@db.example.com/x", "", "", ""};
enum { BEFORES = sizeof before / sizeof *before };
_Static_assert(sizeof behind == sizeof before, "a pair each");

/* Tokens that are known by their form; put together here, so that nobody's scan
 * of this file finds one. */
static const struct {
	const char *head, *alphabet;
	unsigned n;
} tokens[] = {
	{"AK" "IA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16},
	{"gh" "p_", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
	 36},
	{"gl" "pat-", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP0123456789", 20},
	{"", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!?#",
	 14},
};
enum { TOKENS = sizeof tokens / sizeof *tokens };

static char *put(char *at, const char *text)
{
	size_t n = strlen(text);

	memcpy(at, text, n);
	return at + n;
}

static char *put_secret(char *at, uint64_t *seed)
{
	size_t how = next(seed) % BEFORES, kind = next(seed) % TOKENS;

	at = put(at, before[how]);
	at = put(at, tokens[kind].head);
	for (unsigned i = 0; i < tokens[kind].n; i++) {
		*at++ = tokens[kind].alphabet[next(seed) %
					      strlen(tokens[kind].alphabet)];
	}
	return put(at, behind[how]);
}

static char *put_word(char *at, uint64_t *seed)
{
	static const char *const words[] = {"anna", "root", "bert", "backup",
					    "deploy", "mysql", "curl", "x"};

	return put(at, words[next(seed) % (sizeof words / sizeof *words)]);
}

static size_t generate(char *line, uint64_t *seed)
{
	const char *t = templates[next(seed) % TEMPLATES];
	char *at = put(line, "Nov 22 15:37:46 gw ");

	for (; *t != '\0'; t++) {
		if (*t != '%') {
			*at++ = *t;
			continue;
		}
		switch (*++t) {
		case 'S':
			at = put_secret(at, seed);
			break;
		case 'W':
			at = put_word(at, seed);
			break;
		case 'A':
			at += sprintf(at, "192.0.2.%u", (unsigned)(next(seed) % 4));
			break;
		default:
			/* Few numbers, so that pids come again. */
			at += sprintf(at, "%u", 1000 + (unsigned)(next(seed) % 8));
			break;
		}
	}
	return (size_t)(at - line);
}

static void parsing_the_redacted_line_gives_the_redacted_event(void **state)
{
	struct pair *p = *state;
	const char *given = getenv("TEST_SEED");
	uint64_t seed = given == NULL ? UINT64_C(0x6e6967687461)
				      : strtoull(given, NULL, 0) | 1;
	char line[LINE_ROOM], where[64];

	snprintf(where, sizeof where, "TEST_SEED=%#llx", (unsigned long long)seed);
	print_message("%s\n", where);
	p->where = where;
	for (int i = 0; i < GENERATED; i++) {
		one_line(p, slice(line, generate(line, &seed)));
	}
	/* Otherwise nothing was tested. */
	assert_true(p->masked > GENERATED / 10);
	assert_true(p->events > GENERATED / 20);
}

/* ---- real lines, where there are any ---- */

static bool one_file(struct pair *p, const char *folder, const char *name)
{
	char path[1024], line[LINE_ROOM];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "r");
	if (f == NULL) {
		return false;
	}
	p->where = name;
	while (fgets(line, sizeof line, f) != NULL) {
		size_t n = strlen(line);

		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) {
			n--;
		}
		one_line(p, slice(line, n));
	}
	fclose(f);
	return true;
}

static void it_does_so_on_real_logs(void **state)
{
	static const char *const names[] = {
		"loghub/OpenSSH_2k.log", "loghub/Linux_2k.log",
		"loghub/Mac_2k.log", "iot/openwrt-logread.txt",
		"ftpvpn/plaso-vsftpd.log", "loghub/Thunderbird_2k.log",
	};
	const char *folder = getenv("NIGHTJAR_CORPORA");
	unsigned read = 0;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		read += one_file(*state, folder == NULL ? "../shared/corpora"
							: folder, names[i]);
	}
	if (read == 0) {
		print_message("skipped: no corpora (NIGHTJAR_CORPORA names another place)\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			parsing_the_redacted_line_gives_the_redacted_event,
			open_pair, close_pair),
		cmocka_unit_test_setup_teardown(it_does_so_on_real_logs,
						open_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
