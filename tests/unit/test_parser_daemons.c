/* Unit tests of what FTP, mail and web servers log: what is taken, what is left, and what
 * a client writes into it.  The texts are put together as the daemons' sources do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/parsing.h"

#define H "Nov 22 15:37:46 gw "
#define V "Mon Oct 24 11:32:53 2016 [pid 1] "

static void vsftpd_is_read(void **state)
{
	static const struct line_case cases[] = {
		{V "[bob] OK LOGIN: Client \"192.0.2.1\"",
		 "ftp_login success 1 user=bob ip=192.0.2.1"},
		{V "[ftp] OK LOGIN: Client \"192.0.2.1\", anon password \"a@b\"",
		 "ftp_login success 1 user=ftp ip=192.0.2.1 method=anonymous"},
		{V "[ftp] FAIL LOGIN: Client \"192.0.2.1\", anon password "
		   "\"\", anon password \"x\"",
		 "ftp_login failure 1 user=ftp ip=192.0.2.1 method=anonymous"},
		{V "FTP command: Client \"192.0.2.1\", \"USER bob\"",
		 "ftp_response none 0 ip=192.0.2.1"},
		{V "FTP response: Client \"192.0.2.1\", \"530 Please login with USER "
		   "and PASS.\"",
		 "ftp_response none 0 ip=192.0.2.1"},
		{V "[bob] FTP response: Client \"192.0.2.1\", \"530 Login incorrect.\"",
		 "ftp_login failure 1 user=bob ip=192.0.2.1"},
		{V "[bob] FTP response: Client \"192.0.2.1\", \"230 Login "
		   "successful.\"",
		 "ftp_response none 0 user=bob ip=192.0.2.1"},
		{V "[bob] OK UPLOAD: Client \"192.0.2.1\", \"/x\", 5 bytes, "
		   "0.50Kbyte/sec",
		 "ftp_transfer success 0 user=bob ip=192.0.2.1"},
		{V "[bob] FAIL DELETE: Client \"192.0.2.1\", \"/x\"",
		 "ftp_transfer failure 0 user=bob ip=192.0.2.1"},
		{H "vsftpd[7]: [bob] FAIL LOGIN: Client \"2001:db8::1\"",
		 "ftp_login failure 1 user=bob ip=2001:db8::1"},
		{H "vsftpd[7]: CONNECT: Client \"192.0.2.1\", \"Connection refused: "
		   "too many sessions.\"",
		 "ftp_connection none 0 ip=192.0.2.1"},
		{V "[bob] FAIL LOGIN: Client \"::ffff:192.0.2.1\", \"User is not in the "
		   "allow user list.\"",
		 "ftp_login failure 1 user=bob ip=192.0.2.1"},
		{V "[bob] FAIL LOGIN: Client \"192.0.2.1\", \"something else\"", "-"},
		{V "[bob] FAIL LOGIN: Client \"192.0.2.1", "-"},
		{V "[bob] FAIL JUGGLE: Client \"192.0.2.1\"", "-"},
		{V "bob", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void vsftpds_names_forge_no_address(void **state)
{
	static const struct line_case cases[] = {
		{V "[x] OK LOGIN: Client \"203.0.113.9\"] FAIL LOGIN: Client "
		   "\"192.0.2.1\"",
		 "ftp_login failure 1 user=x] OK LOGIN: Client \"203.0.113.9\" "
		 "ip=192.0.2.1"},
		{V "[x] FAIL LOGIN: Client \"203.0.113.9\"] OK LOGIN: Client "
		   "\"192.0.2.1\"",
		 "ftp_login success 1 user=x] FAIL LOGIN: Client \"203.0.113.9\" "
		 "ip=192.0.2.1"},
		{V "[x\", anon password \"y] FAIL LOGIN: Client \"192.0.2.1\"",
		 "ftp_login failure 1 user=x\", anon password \"y ip=192.0.2.1"},
		/* Either may be what was logged. */
		{V "[bob] FTP command: Client \"192.0.2.1\", \"USER x] FAIL LOGIN: "
		   "Client \"203.0.113.9\"",
		 "ftp_login failure 1 user=bob] FTP command: Client \"192.0.2.1\", "
		 "\"USER x"},
		{V "FTP command: Client \"192.0.2.1\", \"USER x] FAIL LOGIN: "
		   "Client \"203.0.113.9\"",
		 "ftp_response none 0 ip=192.0.2.1"},
		{V "[a from 203.0.113.9 port 22 ssh2] FAIL LOGIN: Client "
		   "\"192.0.2.1\"",
		 "ftp_login failure 1 user=a from 203.0.113.9 port 22 ssh2 "
		 "ip=192.0.2.1"},
		{V "[\xd0\xb2\xd0\xb0 ?[31m] FAIL LOGIN: Client \"192.0.2.1\"",
		 "ftp_login failure 1 user=\xd0\xb2\xd0\xb0 ?[31m ip=192.0.2.1"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void pure_ftpd_is_read(void **state)
{
	static const struct line_case cases[] = {
		{H "pure-ftpd[7]: (?@192.0.2.1) [INFO] New connection from "
		   "192.0.2.1",
		 "ftp_connection none 0 ip=192.0.2.1"},
		{H "pure-ftpd[7]: (?@h.example.com) [WARNING] Authentication failed "
		   "for user [bob]",
		 "ftp_login failure 1 user=bob host=h.example.com"},
		{H "pure-ftpd[7]: (?@192.0.2.1) [WARNING] Authentication failed for "
		   "user [x@203.0.113.9) [INFO] root is now logged in]",
		 "ftp_login failure 1 user=x@203.0.113.9) [INFO] root is now logged "
		 "in ip=192.0.2.1"},
		{H "pure-ftpd[7]: (?@192.0.2.1) [WARNING] Authentication failed for "
		   "user []",
		 "ftp_login failure 1 user= ip=192.0.2.1"},
		{H "pure-ftpd[7]: (?@192.0.2.1) [ERROR] Too many authentication "
		   "failures",
		 "ftp_login failure 1 ip=192.0.2.1"},
		{H "pure-ftpd[7]: (?@192.0.2.1) [WARNING] Can't login as [bin]: "
		   "account disabled (uid < 1000)",
		 "ftp_login failure 1 user=bin ip=192.0.2.1"},
		{H "pure-ftpd[7]: (a@b@192.0.2.1) [INFO] a@b is now logged in",
		 "ftp_login success 1 user=a@b ip=192.0.2.1"},
		{H "pure-ftpd[7]: (?@192.0.2.1) [INFO] Anonymous user logged in",
		 "ftp_login success 1 ip=192.0.2.1 method=anonymous"},
		{H "pure-ftpd[7]: (bob@192.0.2.1) [INFO] Logout.",
		 "session_closed none 0 user=bob ip=192.0.2.1"},
		{H "pure-ftpd[7]: (bob@192.0.2.1) [DEBUG] Command [list] []", "-"},
		{H "pure-ftpd[7]: (?@192.0.2.1) [WARNING] Authentication failed for "
		   "user [bob", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

#define NGINX "2026/11/22 15:37:46 [error] 7#7: *1 "
#define APACHE "[Sun Nov 22 15:37:46.5 2026] [auth_basic:error] [pid 7:tid 8] " \
	       "[client 192.0.2.1:5] "

static void web_servers_errors_are_read(void **state)
{
	static const struct line_case cases[] = {
		{NGINX "user \"bob\" was not found in \"/etc/nginx/pw\", client: "
		       "192.0.2.1, server: , request: \"GET / HTTP/1.1\", host: "
		       "\"x\"",
		 "web_login failure 1 user=bob ip=192.0.2.1 method=basic"},
		{NGINX "access forbidden by rule, client: 2001:db8::1, server: x, "
		       "request: \"GET / HTTP/1.1\"",
		 "http_forbidden failure 0 ip=2001:db8::1"},
		{NGINX "directory index of \"/srv/\" is forbidden, client: 192.0.2.1, "
		       "server: x",
		 "http_forbidden failure 0 ip=192.0.2.1"},
		{NGINX "no user/password was provided for basic authentication, "
		       "client: 192.0.2.1, server: x",
		 "http_unauthorized none 0 ip=192.0.2.1"},
		{H "nginx[7]: " NGINX "user \"bob\": password mismatch, client: "
		   "192.0.2.1, server: x",
		 "web_login failure 1 user=bob ip=192.0.2.1 method=basic"},
		{NGINX "open() \"/srv/x\" failed (2: No such file), client: "
		       "192.0.2.1, server: x", "-"},
		{NGINX "user \"bob\": password mismatch", "-"},
		{APACHE "AH01618: user bob not found: /x, referer: http://y",
		 "web_login failure 1 user=bob ip=192.0.2.1 port=5 method=basic"},
		{APACHE "AH01631: user bob: authorization failure for \"/x\": ",
		 "http_forbidden failure 0 user=bob ip=192.0.2.1 port=5"},
		{APACHE "AH01794: user bob: password mismatch: /x",
		 "web_login failure 1 user=bob ip=192.0.2.1 port=5 method=digest"},
		{APACHE "AH01790: user `bob' in realm `r' not found: /x",
		 "web_login failure 1 user=bob ip=192.0.2.1 port=5 method=digest"},
		{APACHE "AH01797: client denied by server configuration: /srv/x",
		 "http_forbidden failure 0 ip=192.0.2.1 port=5"},
		{"[Sun Nov 22 15:37:46 2026] [error] [client 192.0.2.1] user bob "
		 "not found: /x",
		 "web_login failure 1 user=bob ip=192.0.2.1 method=basic"},
		{"[Sun Nov 22 15:37:46.5 2026] [auth_basic:error] [pid 7] [client "
		 "2001:db8::1:5] AH01618: user bob not found: /x",
		 "web_login failure 1 user=bob ip=2001:db8::1 port=5 method=basic"},
		{APACHE "AH00124: Request exceeded the limit of 10", "-"},
		{"[Sun Nov 22 15:37:46.5 2026] [core:notice] [pid 7] AH00094: "
		 "Command line: 'apache2'", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

/* A user of basic authentication holds no colon; a referrer holds anything. */
static void web_clients_forge_no_address(void **state)
{
	static const struct line_case cases[] = {
		{NGINX "user \"bob\": password mismatch, client: 192.0.2.1, server: x, "
		       "request: \"GET / HTTP/1.1\", host: \"x\", referrer: \"\": "
		       "password mismatch, client: 203.0.113.9, server: x\"",
		 "web_login failure 1 user=bob ip=192.0.2.1 method=basic"},
		{NGINX "user \"x\" was not found in \"y\" was not found in \"/pw\", "
		       "client: 192.0.2.1, server: x",
		 "web_login failure 1 user=x\" was not found in \"y ip=192.0.2.1 "
		 "method=basic"},
		{APACHE "AH01617: user bob: authentication failure for \"/: "
			"authentication failure for \"/\": Password Mismatch, referer: "
			"[client 203.0.113.9:5] AH01617: user root: authentication "
			"failure for \"/\"",
		 "web_login failure 1 user=bob ip=192.0.2.1 port=5 method=basic"},
		{APACHE "AH01618: user a not found not found: /x not found: /y",
		 "web_login failure 1 user=a not found ip=192.0.2.1 port=5 "
		 "method=basic"},
		{APACHE "AH01617: user \\x1b[31m \xe4\xbd\xa0: authentication failure "
			"for \"/\": Password Mismatch",
		 "web_login failure 1 user=\\x1b[31m \xe4\xbd\xa0 ip=192.0.2.1 "
		 "port=5 method=basic"},
	};

	(void)state;
	CHECK_EACH(cases);
}

#define STAMP "[22/Nov/2026:15:37:46 +0000] "

static void access_logs_are_read(void **state)
{
	static const struct line_case cases[] = {
		{"192.0.2.1 - a [b] c " STAMP "\"GET /x HTTP/1.1\" 401 12 \"-\" \"-\"",
		 "web_login failure 1 user=a [b] c ip=192.0.2.1 method=basic "
		 "status=401"},
		{"192.0.2.1 - x] \\x22GET " STAMP "\"GET /x HTTP/1.1\" 401 12",
		 "web_login failure 1 user=x] \\x22GET ip=192.0.2.1 method=basic "
		 "status=401"},
		{"192.0.2.1 - \"\" " STAMP "\"GET /x HTTP/1.1\" 401 12 \"-\" \"-\"",
		 "http_request none 0 ip=192.0.2.1 status=401"},
		{"192.0.2.1 - bob " STAMP "\"GET /x HTTP/1.1\" 403 12 \"-\" \"-\"",
		 "http_request none 0 user=bob ip=192.0.2.1 status=403"},
		{"example.com:80 192.0.2.1 - bob " STAMP "\"GET /x HTTP/1.1\" 401 12",
		 "web_login failure 1 user=bob ip=192.0.2.1 method=basic status=401"},
		{"2001:db8::1 - - " STAMP "\"-\" 408 0 \"-\" \"-\"",
		 "http_request none 0 ip=2001:db8::1 status=408"},
		{H "nginx[7]: 192.0.2.1 - bob " STAMP "\"GET /x HTTP/1.1\" 401 12",
		 "web_login failure 1 user=bob ip=192.0.2.1 method=basic status=401"},
		{"192.0.2.1 - bob " STAMP "\"GET /x HTTP/1.1\" abc 12", "-"},
		{"192.0.2.1 - bob [22/Nov/2026 15:37:46] \"GET /x HTTP/1.1\" 401 12",
		 "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

#define DOVE H "dovecot: imap-login: "
#define WHERE "rip=192.0.2.1, lip=192.0.2.2, TLS, session=<a/b>"

static void dovecot_is_read(void **state)
{
	static const struct line_case cases[] = {
		{DOVE "Login: user=<bob>, method=PLAIN, " WHERE,
		 "mail_login success 1 user=bob ip=192.0.2.1 method=PLAIN"},
		{DOVE "Disconnected: Inactivity (auth failed, 2 attempts in 9 secs): "
		      "user=<bob>, method=PLAIN, " WHERE,
		 "mail_login failure 2 user=bob ip=192.0.2.1 method=PLAIN"},
		{DOVE "Aborted login by logging out (auth failed, 1 attempts in 2 "
		      "secs): user=<bob>, method=PLAIN, " WHERE,
		 "mail_login failure 1 user=bob ip=192.0.2.1 method=PLAIN"},
		{DOVE "Disconnected (tried to use disallowed plaintext auth): "
		      "user=<>, " WHERE,
		 "mail_login failure 1 ip=192.0.2.1"},
		{DOVE "Disconnected: Connection closed (authorization failed, 3 "
		      "attempts in 1 secs): user=<bob>, method=LOGIN, " WHERE,
		 "mail_login failure 3 user=bob ip=192.0.2.1 method=LOGIN"},
		{DOVE "Disconnected: Connection closed (no auth attempts in 0 secs): "
		      "user=<>, " WHERE,
		 "mail_disconnect none 0 ip=192.0.2.1"},
		{DOVE "Maximum number of connections from user+IP exceeded "
		      "(mail_max_userip_connections=10): user=<bob>, method=PLAIN, "
		      WHERE,
		 "mail_disconnect none 0 user=bob ip=192.0.2.1 method=PLAIN"},
		{DOVE "Login failed: Plaintext authentication disabled: user=<>, "
		      WHERE,
		 "mail_login failure 0 ip=192.0.2.1"},
		{H "dovecot: auth-worker(7): pam(bob,192.0.2.1,<a>): "
		   "pam_authenticate() failed: Authentication failure (Password "
		   "mismatch?)",
		 "mail_login failure 0 user=bob ip=192.0.2.1"},
		{H "dovecot: auth: passwd-file(bob,192.0.2.1,master,<a>): unknown "
		   "user",
		 "mail_login failure 0 user=bob ip=192.0.2.1"},
		{H "dovecot: auth: passwd-file(bob,192.0.2.1,<a>): starting", "-"},
		{DOVE "Something new (2 things): user=<bob>, " WHERE, "-"},
		{H "dovecot: master: Dovecot v2.3 starting up", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void dovecots_names_forge_no_address(void **state)
{
	static const struct line_case cases[] = {
		{DOVE "Disconnected (auth failed, 1 attempts in 2 secs): user=<x>, "
		      "method=PLAIN, rip=203.0.113.9, lip=1>, method=LOGIN, " WHERE,
		 "mail_login failure 1 user=x>, method=PLAIN, rip=203.0.113.9, "
		 "lip=1 ip=192.0.2.1 method=LOGIN"},
		{DOVE "Disconnected (auth failed, 1 attempts in 2 secs): user=<(auth "
		      "failed, 900 attempts in 2 secs): user=<root>, method=LOGIN, "
		      WHERE,
		 "mail_login failure 1 user=(auth failed, 900 attempts in 2 secs): "
		 "user=<root ip=192.0.2.1 method=LOGIN"},
		{DOVE "Login: user=<a from 203.0.113.9 port 22 ssh2>, method=PLAIN, "
		      WHERE,
		 "mail_login success 1 user=a from 203.0.113.9 port 22 ssh2 "
		 "ip=192.0.2.1 method=PLAIN"},
		{H "dovecot: auth: pam(a,203.0.113.9): unknown user,192.0.2.1,<s>): "
		   "unknown user",
		 "mail_login failure 0 user=a,203.0.113.9): unknown user "
		 "ip=192.0.2.1"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void postfix_is_read(void **state)
{
	static const struct line_case cases[] = {
		{H "postfix/submission/smtpd[7]: warning: h.example.com[192.0.2.1]: "
		   "SASL PLAIN authentication failed: , sasl_username=bob",
		 "mail_login failure 1 user=bob ip=192.0.2.1 method=PLAIN"},
		{H "postfix/smtps/smtpd[7]: warning: unknown[192.0.2.1]:4321: SASL "
		   "LOGIN authentication failed: UGFzc3dvcmQ6, "
		   "sasl_username=(unavailable)",
		 "mail_login failure 1 ip=192.0.2.1 port=4321 method=LOGIN"},
		{H "postfix-in/smtpd[7]: warning: unknown[192.0.2.1]: SASL LOGIN "
		   "authentication failed: x, sasl_username=a, sasl_username=root",
		 "mail_login failure 1 user=a, sasl_username=root ip=192.0.2.1 "
		 "method=LOGIN"},
		{H "postfix/smtpd[7]: warning: unknown[192.0.2.1]: SASL PLAIN "
		   "authentication aborted",
		 "mail_login none 0 ip=192.0.2.1 method=PLAIN"},
		{H "postfix/smtpd[7]: 4F2: client=h[192.0.2.1], sasl_method=PLAIN, "
		   "sasl_username=a,b, sasl_sender=x, orig_queue_id=y",
		 "mail_login success 1 user=a,b ip=192.0.2.1 method=PLAIN"},
		{H "postfix/smtpd[7]: 4F2: client=h[192.0.2.1]",
		 "mail_received none 0 ip=192.0.2.1"},
		{H "postfix/smtpd[7]: connect from unknown[192.0.2.1]",
		 "mail_connection none 0 ip=192.0.2.1"},
		{H "postfix/smtpd[7]: lost connection after AUTH from "
		   "unknown[192.0.2.1]",
		 "mail_disconnect none 0 ip=192.0.2.1"},
		{H "postfix/smtpd[7]: disconnect from unknown[192.0.2.1] ehlo=1 "
		   "auth=0/1 commands=1/2",
		 "mail_disconnect none 0 ip=192.0.2.1"},
		{H "postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: "
		   "554 5.7.1 <a@b>: Relay access denied",
		 "mail_rejected none 0 ip=192.0.2.1"},
		{H "postfix/smtpd[7]: warning: hostname a.b does not resolve to "
		   "address 192.0.2.1", "-"},
		{H "postfix/smtpd[7]: warning: a b[203.0.113.9]: SASL LOGIN "
		   "authentication failed: x", "-"},
		{H "postfix/qmgr[7]: 4F2: removed", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

/* The longest name that a client can send, at each of the servers. */
static void long_names_are_read_whole(void **state)
{
	static const char *const lines[] = {
		V "[%s] FAIL LOGIN: Client \"192.0.2.1\"",
		H "pure-ftpd[7]: (?@192.0.2.1) [WARNING] Authentication failed for "
		  "user [%s]",
		APACHE "AH01617: user %s: authentication failure for \"/\": Password "
		       "Mismatch",
		NGINX "user \"%s\": password mismatch, client: 192.0.2.1, server: x",
		"192.0.2.1 - %s " STAMP "\"GET /x HTTP/1.1\" 401 12",
	};
	char name[256], line[1024], want[1024], got[SUMMARY];
	struct parser *p;
	struct header h;
	struct event e;

	(void)state;
	memset(name, 'a', 255);
	name[255] = '\0';
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(line, sizeof line, lines[i], name);
#pragma GCC diagnostic pop
		snprintf(want, sizeof want, "failure 1 user=%s ip=192.0.2.1", name);
		assert_int_equal(parser_new(&p, NULL), 0);
		parser_line(p, slice_str(line), TEST_NOW, &h, &e);
		summarize(&e, got);
		assert_non_null(strstr(got, want));
		parser_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vsftpd_is_read),
		cmocka_unit_test(vsftpds_names_forge_no_address),
		cmocka_unit_test(pure_ftpd_is_read),
		cmocka_unit_test(web_servers_errors_are_read),
		cmocka_unit_test(web_clients_forge_no_address),
		cmocka_unit_test(access_logs_are_read),
		cmocka_unit_test(dovecot_is_read),
		cmocka_unit_test(dovecots_names_forge_no_address),
		cmocka_unit_test(postfix_is_read),
		cmocka_unit_test(long_names_are_read_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
