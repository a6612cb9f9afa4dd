#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"
#include "common/limits.h"
#include "redact/redact.h"
#include "redact/scan.h"
#include "redact/verify.h"

struct world {
	struct redact *r;
	struct redact_state state;
	struct buf scratch;
};

static const struct redact_options defaults = {.enabled = true};

static int open_world(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	buf_init(&w->scratch, 4 * REDACT_LINE_MAX);
	assert_int_equal(redact_new(&w->r, &defaults), 0);
	*state = w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;

	redact_free(w->r);
	buf_fini(&w->scratch);
	free(w);
	return 0;
}

/* What the line becomes; valid until the next call. */
static struct slice run(struct world *w, struct slice line)
{
	struct slice out;
	bool masked = redact_line(w->r, &w->state, line, &w->scratch, &out);

	assert_int_equal(masked, !slice_eq(out, line));
	return out;
}

static void becomes(struct world *w, const char *line, const char *want)
{
	struct slice out = run(w, slice_str(line));

	if (!slice_eq(out, slice_str(want))) {
		fail_msg("\"%s\" became \"%.*s\", not \"%s\"", line, SLICE_ARG(out), want);
	}
}

static void stays(struct world *w, const char *line)
{
	becomes(w, line, line);
}

/* ---- the table's own examples ---- */

static void each_rule_masks_its_example_and_leaves_its_counter_example(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < redact_rules(); i++) {
		const char *example = redact_rule_example(i);
		uint64_t before = w->state.counts[i];

		if (i == RULE_USER || i == RULE_LIMIT) {
			continue; /* what the configuration says, and what no line alone shows */
		}
		assert_true(example[0] != '\0' && redact_rule_counter_example(i)[0] != '\0');
		run(w, slice_str(example));
		if (w->state.counts[i] == before) {
			fail_msg("rule %s leaves its example \"%s\"", redact_rule_name(i), example);
		}
		stays(w, redact_rule_counter_example(i));
	}
}

/* ---- each literal of the table ---- */

/* The literal without what it says of the bytes behind it. */
static void plain(const char *text, char out[static 64])
{
	size_t n = strcspn(text, SCAN_SEP SCAN_HEX SCAN_DIGIT SCAN_WORD SCAN_PRINT);

	assert_true(n > 0 && n < 64);
	memcpy(out, text, n);
	out[n] = '\0';
}

/* So many bytes of these classes, as if drawn at random. */
static void drawn(unsigned classes, size_t n, char *out)
{
	static const char from[] = "9d2a7c4bK2mXq7ZtB4nP6wR3T5hJ1G8fS";
	size_t k = 0;

	for (size_t i = 0; k < n; i++) {
		char c = from[i % (sizeof from - 1)];

		if (is_class(c, classes)) {
			out[k++] = c;
		}
	}
	out[n] = '\0';
}

static bool masks(struct world *w, const char *line)
{
	struct slice out = run(w, slice_str(line));

	return !slice_eq(out, slice_str(line));
}

static void each_beginning_of_a_token_masks_one_long_enough_and_leaves_a_short_one(void **state)
{
	struct world *w = *state;
	size_t tried = 0;

	for (const struct literal *l = rule_literals; l->text != NULL; l++) {
		const struct token_form *form = l->arg;
		char head[64], value[256], line[400];

		if (l->verify != verify_token) {
			continue;
		}
		plain(l->text, head);
		drawn(form->classes, form->min, value);
		snprintf(line, sizeof line, "use %s%s now", head, value);
		if (!masks(w, line)) {
			fail_msg("%s stays", line);
		}
		snprintf(line, sizeof line, "use %s%.4s now", head, value);
		if (masks(w, line)) {
			fail_msg("%s is masked", line);
		}
		tried++;
	}
	assert_true(tried > 100);
}

static void each_name_of_a_value_masks_it_and_is_nothing_by_itself(void **state)
{
	struct world *w = *state;
	size_t tried = 0;

	for (const struct literal *l = rule_literals; l->text != NULL; l++) {
		char name[64], line[200];

		if (l->verify != verify_pair) {
			continue;
		}
		plain(l->text, name);
		snprintf(line, sizeof line, "set %s='9dK2mXq7ZtB4nP6wR3T5hJ1G8fS' now", name);
		if (!masks(w, line)) {
			fail_msg("%s stays", line);
		}
		snprintf(line, sizeof line, "set %s now", name);
		if (masks(w, line)) {
			fail_msg("%s is masked", line);
		}
		snprintf(line, sizeof line, "set %s=${X} now", name);
		if (masks(w, line)) {
			fail_msg("%s is masked", line);
		}
		tried++;
	}
	assert_true(tried > 20);
}

/* ---- forms of pairs ---- */

static void passwords_are_masked_in_every_form_of_pair(void **state)
{
	struct world *w = *state;

	becomes(w, "password=hunter2", "password=*redacted-password*");
	becomes(w, "PASSWORD = \"hunter 2\" x", "PASSWORD = \"*redacted-password*\" x");
	becomes(w, "{\"password\": \"hun\\\"ter2\", \"a\": 1}",
		"{\"password\": \"*redacted-password*\", \"a\": 1}");
	becomes(w, "{\"password\":1234}", "{\"password\":\"*redacted-password*\"}");
	becomes(w, "{\"a\":\"{\\\"password\\\":\\\"hunter2\\\"}\"}",
		"{\"a\":\"{\\\"password\\\":\\\"*redacted-password*\\\"}\"}");
	becomes(w, "{\"password\":[\"one1\",\"two2\"]}",
		"{\"password\":[\"*redacted-password*\",\"*redacted-password*\"]}");
	becomes(w, "GET /?user=bob&password=hunter2&x=1 HTTP/1.1",
		"GET /?user=bob&password=*redacted-password*&x=1 HTTP/1.1");
	becomes(w, "user%5Bpassword%5D=hunter2&x=1", "user%5Bpassword%5D=*redacted-password*&x=1");
	becomes(w, "q=password%3Dhunter2%26x", "q=password%3D*redacted-password*%26x");
	becomes(w, "<password>hunter2</password>", "<password>*redacted-password*</password>");
	becomes(w, "<input name=\"password\" value=\"hunter2\"/>",
		"<input name=\"password\" value=\"*redacted-password*\"/>");
	becomes(w, "ALTER USER bob IDENTIFIED BY 'hunter2';",
		"ALTER USER bob IDENTIFIED BY '*redacted-password*';");
	becomes(w, "SET PASSWORD FOR bob = PASSWORD('hunter2')",
		"SET PASSWORD FOR bob = PASSWORD('*redacted-password*')");
	becomes(w, "System.setProperty(\"DB_PASSWORD\", \"hunter2\")",
		"System.setProperty(\"DB_PASSWORD\", \"*redacted-password*\")");
	becomes(w, "db_password: hunter2", "db_password: *redacted-password*");
	becomes(w, "PGPASSWORD=hunter2 psql", "PGPASSWORD=*redacted-password* psql");
	becomes(w, "MYSQL_PWD=hunter2 mysql", "MYSQL_PWD=*redacted-password* mysql");
}

static void words_that_are_no_passwords_stay(void **state)
{
	struct world *w = *state;

	stays(w, "Failed password for root from 192.0.2.1 port 22 ssh2");
	stays(w, "pam_unix(passwd:chauthtok): password changed for bob");
	stays(w, "pam_unix(chpasswd:chauthtok): user \"bob\" does not exist");
	stays(w, "sudo: bob : PWD=/home/bob ; USER=root ; COMMAND=/bin/ls");
	stays(w, "password: authentication failed for user bob");
	stays(w, "PASSWORD=$PASSWORD TOKEN=${TOKEN} password=\"\" password=********");
	stays(w, "{\"password\": null, \"token\": true}");
	stays(w, "public_key=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1");
	stays(w, "monkey=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A");
	stays(w, "OK LOGIN: Client \"192.0.2.1\", anon password \"guest@\"");
}

/* ---- nobody hides behind a name ---- */

static void a_user_name_made_like_a_key_hides_nothing_behind_it(void **state)
{
	static const char *const names[] = {
		"password=", "password:", "password='", "password=\"", "--password",
		"token =", "authorization: basic", "Authorization: Digest", "cookie:",
		"mysql -p", "sshpass -p", "curl -u", "http://a:b", "bearer ",
		"-----BEGIN PRIVATE KEY-----", "\"password\":\"", "nmcli password", NULL};
	struct world *w = *state;
	char line[256];

	for (size_t i = 0; names[i] != NULL; i++) {
		struct slice out;

		snprintf(line, sizeof line,
			 "Invalid user %s from 192.0.2.77 port 4711 ssh2", names[i]);
		w->state.in_key = false;
		out = run(w, slice_str(line));
		if (slice_find(out, SLICE_LIT(" from 192.0.2.77 port 4711")) == SIZE_MAX) {
			fail_msg("\"%s\" became \"%.*s\"", line, SLICE_ARG(out));
		}
	}
}

/* ---- headers, URLs, commands ---- */

static void headers_and_urls_lose_their_credentials(void **state)
{
	struct world *w = *state;

	becomes(w, "authorization: Bearer abcdef0123456789",
		"authorization: Bearer *redacted-authorization*");
	becomes(w, "Authorization: Digest username=\"bob\", nonce=\"1a2b\", response=\"6629fae4\"",
		"Authorization: Digest username=\"bob\", nonce=\"*redacted-authorization*\", "
		"response=\"*redacted-authorization*\"");
	becomes(w, "Cookie: a=b; sid=xyz", "Cookie: a=*redacted-cookie*; sid=*redacted-cookie*");
	becomes(w, "postgres://u:p@ss@db/x", "postgres://u:*redacted-url*@db/x");
	becomes(w, "redis://:hunter2@h:6379/0", "redis://:*redacted-url*@h:6379/0");
	stays(w, "http://example.net:8080/@bob https://example.net/a:b@c");
}

static void command_lines_lose_their_passwords(void **state)
{
	struct world *w = *state;

	becomes(w, "COMMAND=/usr/bin/mysqldump -u root -phunter2 db",
		"COMMAND=/usr/bin/mysqldump -u root -p*redacted-command* db");
	becomes(w, "a0=\"mysql\" a1=\"-uroot\" a2=\"-phunter2\"",
		"a0=\"mysql\" a1=\"-uroot\" a2=\"-p*redacted-command*\"");
	becomes(w, "sshpass -p 'hunter 2' ssh h", "sshpass -p '*redacted-command*' ssh h");
	becomes(w, "curl -sSu bob:hunter2 http://h", "curl -sSu bob:*redacted-command* http://h");
	becomes(w, "curl --user 'bob':'hunter2' http://h",
		"curl --user 'bob':'*redacted-command*' http://h");
	becomes(w, "app --api-token Zq81hhaT9 run", "app --api-token *redacted-command* run");
	becomes(w, "a0=\"app\" a1=\"--password\" a2=\"hunter2\"",
		"a0=\"app\" a1=\"--password\" a2=\"*redacted-password*\"");
	stays(w, "mkdir -p /var/lib/x; ls -a");
}

static void passwords_in_pipes_and_more_commands_are_masked(void **state)
{
	struct world *w = *state;

	becomes(w, "sh -c 'echo Geh3im | sudo -S ls'", "sh -c 'echo *redacted-command* | "
		"sudo -S ls'");
	becomes(w, "(echo -n \"Geh 3im\" | passwd --stdin bob)",
		"(echo -n \"*redacted-command*\" | passwd --stdin bob)");
	becomes(w, "echo 'bob:Geh3im' | chpasswd", "echo 'bob:*redacted-command*' | chpasswd");
	becomes(w, "htpasswd -b /etc/htpasswd bob Geh3im", "htpasswd -b /etc/htpasswd bob "
		"*redacted-command*");
	becomes(w, "unzip -P Geh3im a.zip", "unzip -P *redacted-command* a.zip");
	becomes(w, "mosquitto_pub -u bob -P Geh3im -t x", "mosquitto_pub -u bob -P "
		"*redacted-command* -t x");
	becomes(w, "openssl enc -aes-256-cbc -k Geh3im -in a",
		"openssl enc -aes-256-cbc -k *redacted-command* -in a");
	becomes(w, "rocommunity Geh3im", "rocommunity *redacted-command*");
	becomes(w, "aws configure set aws_secret_access_key wJalrXUtnFEMIK7MDENGbPxRfiCYzzzzKEY123",
		"aws configure set aws_secret_access_key *redacted-secret*");
	becomes(w, "  -u developer:yqDVtkqPECriaLRi", "  -u developer:*redacted-command*");
	becomes(w, "  --user c28wl:qgsnai0xo --data x",
		"  --user c28wl:*redacted-command* --data x");
	stays(w, "  -u 1000:1000 -p 8080:80 nginx");
	stays(w, "ls | chpasswd");
	stays(w, "echo $PASSWORD | sudo -S ls");
	stays(w, "openssl x509 -in /etc/ssl/cert.pem -noout -text");
	stays(w, "unzip -p a.zip x");
}

static void sql_and_sentences_lose_their_passwords(void **state)
{
	struct world *w = *state;

	becomes(w, "CREATE USER bob IDENTIFIED WITH mysql_native_password BY 'Geh3im';",
		"CREATE USER bob IDENTIFIED WITH mysql_native_password BY '*redacted-password*';");
	becomes(w, "INSERT INTO users (name, password) VALUES ('bob', 'Geh3im'), ('eva', "
		"MD5('Ge)h'))",
		"INSERT INTO users (name, password) VALUES ('bob', '*redacted-password*'), "
		"('eva', MD5('*redacted-password*'))");
	becomes(w, "SELECT 1 FROM users WHERE password = MD5('Geh3im')",
		"SELECT 1 FROM users WHERE password = MD5('*redacted-password*')");
	becomes(w, "the password is Geh3im99.", "the password is *redacted-password*.");
	becomes(w, "user=bob pw=Geh3im x", "user=bob pw=*redacted-password* x");
	becomes(w, "Kennwort: Geh3im99", "Kennwort: *redacted-password*");
	becomes(w, "wireless.default_radio0.key='geheim wort'",
		"wireless.default_radio0.key='*redacted-secret*'");
	becomes(w, "GET /c?sv=2020&sig=aGVsbG8gd29ybGQgMTIzNDU2Nzg5MDEyMw%3D%3D&se=2026",
		"GET /c?sv=2020&sig=*redacted-secret*&se=2026");
	stays(w, "INSERT INTO logs (ts, level) VALUES ('2026-11-22', 'info')");
	stays(w, "INSERT INTO users (name, password) SELECT name, password FROM old");
	stays(w, "the password is required, the token is invalid, the secret is not set");
	stays(w, "user \"bob\" was not found in \"/etc/nginx/.htpasswd\", client: 192.0.2.7");
	stays(w, "cert 'Build time autogenerated kernel key: "
		 "4b9a3c0d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b'");
}

/* ---- private keys ---- */

static void a_private_key_is_masked_over_lines_and_ends(void **state)
{
	struct world *w = *state;

	stays(w, "-----BEGIN RSA PRIVATE KEY-----");
	assert_true(w->state.in_key);
	becomes(w, "MIIEpQIBAAKCAQEAn6O8liSX4m98LLYtPKSzEmQZBD7Loh9P13f4yQ92EF3",
		"*redacted-private-key*");
	becomes(w, "Nov 22 15:37:46 h app[1]: yxR5MsXFu9PRsrYQA7UTPHiC4y2sAVCBg4C2yyBpUEtMQjyC",
		"Nov 22 15:37:46 h app[1]: *redacted-private-key*");
	stays(w, "Failed password for root from 192.0.2.1 port 22 ssh2");
	becomes(w, "Ab==", "*redacted-private-key*");
	stays(w, "-----END RSA PRIVATE KEY-----");
	assert_false(w->state.in_key);
	stays(w, "Ab==");
}

static void a_block_that_is_never_closed_ends_with_other_lines(void **state)
{
	struct world *w = *state;

	stays(w, "user -----BEGIN PRIVATE KEY-----");
	for (int i = 0; i < 20; i++) {
		stays(w, "Failed password for root from 192.0.2.1 port 22 ssh2");
	}
	assert_false(w->state.in_key);
}

/* ---- limits ---- */

static void too_many_secrets_mask_the_rest(void **state)
{
	struct world *w = *state;
	struct buf line;
	struct slice out;

	buf_init(&line, REDACT_LINE_MAX);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(buf_printf(&line, "password=secret%04d ", i), 0);
	}
	out = run(w, buf_slice(&line));
	assert_true(slice_ends(out, SLICE_LIT("*redacted-limit*")));
	assert_int_equal(slice_find(out, SLICE_LIT("secret")), SIZE_MAX);
	buf_fini(&line);
}

static void no_memory_masks_all(void **state)
{
	struct world *w = *state;
	struct buf small;
	struct slice out;

	buf_init(&small, 8);
	assert_true(redact_line(w->r, &w->state, SLICE_LIT("password=hunter2"), &small, &out));
	assert_true(slice_eq(out, SLICE_LIT("*redacted-limit*")));
	buf_fini(&small);
}

static void a_line_over_the_limit_is_masked_whole(void **state)
{
	struct world *w = *state;
	char *p = calloc(1, REDACT_LINE_MAX + 1);
	struct slice out;

	assert_non_null(p);
	assert_true(redact_line(w->r, &w->state, slice(p, REDACT_LINE_MAX + 1), &w->scratch,
				&out));
	assert_true(slice_eq(out, SLICE_LIT("*redacted-limit*")));
	free(p);
}

/* The scan's guards have no budget: they must not read the line again at each hit.
 * Quadratic, a mebibyte of these would take minutes. */
static void a_line_full_of_guarded_literals_is_not_slow(void **state)
{
	static const char *const bits[] = {"a://b:", "invalid user ", "a:a://"};
	struct world *w = *state;
	char *p = malloc(REDACT_LINE_MAX);

	assert_non_null(p);
	for (size_t k = 0; k < sizeof bits / sizeof *bits; k++) {
		size_t n = strlen(bits[k]);
		struct redact_chunk c;
		struct slice out;

		for (size_t i = 0; i < REDACT_LINE_MAX; i++) {
			p[i] = bits[k][i % n];
		}
		c = redact_chunk(w->r, p, REDACT_LINE_MAX);
		redact_chunk_line(&c, &w->state, slice(p, REDACT_LINE_MAX), &w->scratch, &out);
	}
	free(p);
}

enum { LONG_URLS = 250 * 1000 };

static void full_of(char *p, size_t n, const char *bit)
{
	for (size_t i = 0, m = strlen(bit); i < n; i++) {
		p[i] = bit[i % m];
	}
}

/* A line of a URL behind the other: each is read to the line's end.  What is read is paid
 * for, once, and all of it comes out of the budget; then the rest is masked. */
static void a_line_full_of_urls_is_paid_for_and_then_masked(void **state)
{
	static const char *const bits[] = {"http://a:", "a://b:c"};
	struct world *w = *state;
	char *p = malloc(LONG_URLS);

	assert_non_null(p);
	for (size_t k = 0; k < sizeof bits / sizeof *bits; k++) {
		size_t budget = 64 * 1024 + 32 * LONG_URLS, spent, at;
		struct work work = {.p = p, .n = LONG_URLS, .budget = budget, .rest = SIZE_MAX};
		const struct literal l = {.text = "://", .rule = RULE_URL};
		struct slice out;

		full_of(p, LONG_URLS, bits[k]);
		at = slice_find(slice(p, LONG_URLS), SLICE_LIT("://"));
		verify_url(&work, &l, at, at + 3);
		spent = budget - work.budget;
		assert_in_range(spent, LONG_URLS - 16, LONG_URLS + 16);
		out = run(w, slice(p, LONG_URLS));
		assert_true(slice_ends(out, SLICE_LIT("*redacted-limit*")));
	}
	free(p);
}

/* Behind the page that can be read stands one that can't. */
static void a_url_is_not_read_beyond_the_budget(void **state)
{
	static const char *const bits[] = {"http://a:", "a://b:c", "a://bb", "a://1:2"};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + page, page, PROT_NONE), 0);
	for (size_t k = 0; k < sizeof bits / sizeof *bits; k++) {
		struct work work = {.p = p, .n = 2 * page, .rest = SIZE_MAX};
		const struct literal l = {.text = "://", .rule = RULE_URL};
		size_t end;

		full_of(p, page, "x");
		memcpy(p, bits[k], strlen(bits[k]));
		end = slice_find(slice_str(bits[k]), SLICE_LIT("://")) + 3;
		work.budget = page - end;
		verify_url(&work, &l, end - 3, end);
		assert_int_equal(work.budget, 0);
		assert_true(work.rest < page);
	}
	munmap(p, 2 * page);
}

/* Found by the fuzz target: a reference was looked for behind the line's end. */
static void a_value_of_one_byte_is_not_read_beyond(void **state)
{
	static const char signs[] = "%$`{[<(\\\"'*";
	struct world *w = *state;

	for (size_t i = 0; i < sizeof signs - 1; i++) {
		char *p = malloc(10);
		struct slice out;

		assert_non_null(p);
		memcpy(p, "password=", 9);
		p[9] = signs[i];
		redact_line(w->r, &w->state, slice(p, 10), &w->scratch, &out);
		free(p);
	}
}

/* ---- options ---- */

static void options_add_and_take_away(void **state)
{
	struct redact_options o = {.enabled = true};
	struct world *w = *state, own = {0};

	strlist_add(&o.keys, SLICE_LIT("door_pin"));
	strlist_add(&o.tokens, SLICE_LIT("acme_"));
	strlist_add(&o.except, SLICE_LIT("example"));
	strlist_add(&o.off, SLICE_LIT("url"));
	assert_int_equal(redact_new(&own.r, &o), 0);
	buf_init(&own.scratch, REDACT_LINE_MAX);
	becomes(&own, "door_pin=4711 x", "door_pin=*redacted-user* x");
	becomes(&own, "use acme_123456789", "use *redacted-user*");
	stays(&own, "password=example http://u:p@h/");
	redact_free(own.r);
	buf_fini(&own.scratch);
	strlist_add(&o.off, SLICE_LIT("limit"));
	assert_int_equal(redact_new(&own.r, &o), UV_EINVAL);
	strlist_fini(&o.off);
	strlist_add(&o.keys, SLICE_LIT("a b"));
	assert_int_equal(redact_new(&own.r, &o), UV_EINVAL);
	strlist_fini(&o.keys);
	strlist_fini(&o.tokens);
	strlist_fini(&o.except);
	(void)w;
}

/* ---- properties ---- */

static uint64_t seed;

static uint64_t rnd(void)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = seed += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Text made of what the rules look for, and noise. */
static size_t make_text(char *p, size_t room)
{
	static const char *const bits[] = {
		" ", " ", "=", ":", "\"", "'", "\\", "\n", "\n", "&", ";", "-p", " -u ", "a:b",
		"hunter2", "9dK2mXq7ZtAA81hhaT9bcdEF", "from ", "[", "]", ",", "://", "@", "%3D",
		"Huawei@123", "invalid user ", " port 22", "[preauth]", "a1=2D70", "68756E746572",
		"eyJhbGciOiJIUzI1NiJ9", ".", "Basic ", "mysql", "curl", "*redacted-password*", "x",
		"-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "\xc3\xa9", "$6$"};
	size_t n = 0;

	while (n + 48 < room) {
		size_t i = rnd() % (sizeof bits / sizeof bits[0] + 24);
		const char *s;

		if (i < sizeof bits / sizeof bits[0]) {
			s = bits[i];
		} else {
			size_t k = 0;

			while (rule_literals[k].text != NULL) {
				k++;
			}
			s = rule_literals[rnd() % k].text;
		}
		for (bool other = rnd() % 4 == 0; *s != '\0'; s++) {
			p[n] = *s >= ' ' || *s < 0 || *s == '\n' ? *s : "=a1 _F-\""[rnd() % 8];
			p[n] ^= other && isalpha((unsigned char)p[n]) && rnd() % 2 == 0 ? 0x20 : 0;
			n++;
		}
	}
	return n;
}

static void every_engine_finds_what_a_plain_search_finds(void **state)
{
	struct scan_literal l[512];
	struct scan *s;
	char text[4000];
	size_t k = 0;

	(void)state;
	for (; rule_literals[k].text != NULL; k++) {
		l[k] = (struct scan_literal){rule_literals[k].text, rule_literals[k].fold,
					      NULL, NULL};
	}
	assert_int_equal(scan_new(&s, l, k), 0);
	for (unsigned round = 0; round < 200; round++) {
		size_t n = make_text(text, 100 + rnd() % 3800);

		for (unsigned e = SCAN_SSSE3; e <= SCAN_NEON; e++) {
			size_t at = 0;

			if (scan_use(s, (enum scan_engine)e) != 0) {
				continue;
			}
			for (size_t i = 0; i < n; i++) {
				struct scan_hit hits[SCAN_HITS];
				bool here = scan_hits(s, text, i, n, hits) > 0;

				at = at < i ? i : at;
				if (at == i) {
					at = scan_next(s, text, i, n);
				}
				if (here != (at == i)) {
					fail_msg("seed %llu: engine %u at %zu",
						 (unsigned long long)seed, e, i);
				}
				at += at == i;
			}
		}
	}
	scan_free(s);
}

/* So many windows that all are let through. */
static void a_literal_of_classes_alone_is_found(void **state)
{
	static const char text[] = "no hits: beef or 0xCafe5, g00d";
	struct scan_literal l = {SCAN_HEX SCAN_HEX SCAN_HEX SCAN_HEX, false, NULL, NULL};
	struct scan *s;

	(void)state;
	assert_int_equal(scan_new(&s, &l, 1), 0);
	assert_int_equal(scan_next(s, text, 0, sizeof text - 1), 9);
	assert_int_equal(scan_next(s, text, 10, sizeof text - 1), 19);
	assert_int_equal(scan_next(s, text, 21, sizeof text - 1), sizeof text - 1);
	scan_free(s);
}

/* Every literal is found wherever it stands: the windows lose none, nor do the guards
 * where a secret stands behind it. */
static void every_literal_is_found_at_every_offset(void **state)
{
	static const char behind[] = "A1!b@c";
	struct world *w = *state;
	char text[160];

	for (size_t k = 0; rule_literals[k].text != NULL; k++) {
		size_t n = strlen(rule_literals[k].text);

		for (size_t at = 0; at < 64; at++) {
			memset(text, '\n', sizeof text);
			for (size_t i = 0; i < n; i++) {
				char c = rule_literals[k].text[i];

				text[at + i] = c == 1 ? '=' : c == 7 ? 'p' : c < ' ' ? '1' : c;
			}
			memcpy(text + at + n, behind, sizeof behind - 1);
			assert_true(redact_scan(w->r, text, 0, at + n + sizeof behind - 1) <
				    at + n);
		}
	}
}

static void every_literal_has_its_place_in_the_plan(void **state)
{
	(void)state;
	for (size_t k = 0; rule_literals[k].text != NULL; k++) {
		const struct scan_plan *p = rule_plan;

		while (p->text != NULL && strcmp(p->text, rule_literals[k].text) != 0) {
			p++;
		}
		if (p->text == NULL) {
			fail_msg("\"%s\" is not in redact/plan.c: run bench/redact_plan.c",
				 rule_literals[k].text);
		}
		assert_true(p->window[0] + (size_t)SCAN_MIN <= strlen(p->text));
	}
}

static void redacting_twice_changes_nothing_and_the_scan_misses_nothing(void **state)
{
	struct world *w = *state;
	char text[3000];

	seed = 20261122;
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t start = seed;
		size_t n = make_text(text, 60 + rnd() % 2900), at = 0;
		struct redact_state chunked = {0}, each = {0}, again = {0};
		struct redact_chunk c = redact_chunk(w->r, text, n);
		struct buf second, third;

		buf_init(&second, 1 << 20);
		buf_init(&third, 1 << 20);
		while (at < n) {
			const char *end = memchr(text + at, '\n', n - at);
			size_t len = end == NULL ? n - at : (size_t)(end - text) - at;
			struct slice line = slice(text + at, len), a, b, d;

			redact_chunk_line(&c, &chunked, line, &w->scratch, &a);
			redact_line(w->r, &each, line, &second, &b);
			if (!slice_eq(a, b)) {
				fail_msg("seed %llu: scan and verify differ from verify alone: "
					 "\"%.*s\"", (unsigned long long)start, SLICE_ARG(line));
			}
			if (redact_line(w->r, &again, a, &third, &d)) {
				fail_msg("seed %llu: not stable: \"%.*s\" then \"%.*s\"",
					 (unsigned long long)start, SLICE_ARG(a), SLICE_ARG(d));
			}
			at += len + 1;
		}
		buf_fini(&second);
		buf_fini(&third);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		T(each_rule_masks_its_example_and_leaves_its_counter_example),
		T(each_beginning_of_a_token_masks_one_long_enough_and_leaves_a_short_one),
		T(each_name_of_a_value_masks_it_and_is_nothing_by_itself),
		T(passwords_are_masked_in_every_form_of_pair),
		T(words_that_are_no_passwords_stay),
		T(a_user_name_made_like_a_key_hides_nothing_behind_it),
		T(headers_and_urls_lose_their_credentials),
		T(command_lines_lose_their_passwords),
		T(passwords_in_pipes_and_more_commands_are_masked),
		T(sql_and_sentences_lose_their_passwords),
		T(a_private_key_is_masked_over_lines_and_ends),
		T(a_block_that_is_never_closed_ends_with_other_lines),
		T(too_many_secrets_mask_the_rest),
		T(no_memory_masks_all),
		T(a_line_over_the_limit_is_masked_whole),
		T(a_line_full_of_guarded_literals_is_not_slow),
		T(a_line_full_of_urls_is_paid_for_and_then_masked),
		T(a_url_is_not_read_beyond_the_budget),
		T(a_value_of_one_byte_is_not_read_beyond),
		T(options_add_and_take_away),
		T(every_engine_finds_what_a_plain_search_finds),
		T(a_literal_of_classes_alone_is_found),
		T(every_literal_is_found_at_every_offset),
		T(every_literal_has_its_place_in_the_plan),
		T(redacting_twice_changes_nothing_and_the_scan_misses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
