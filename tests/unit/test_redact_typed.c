/* Passwords typed as user names, and what auditd writes in hex. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/err.h"
#include "redact/password.h"
#include "redact/redact.h"

#define MASK "*redacted-typed-password*"

struct world {
	struct redact *r;
	struct redact_state state;
	struct buf scratch;
};

static int open_world(void **state)
{
	static const struct redact_options defaults = {.enabled = true};
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	buf_init(&w->scratch, 1 << 20);
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

/* By way of a chunk, as the agent does it, so that the guards have their say. */
static void becomes(struct world *w, const char *line, const char *want)
{
	struct redact_chunk c = redact_chunk(w->r, line, strlen(line));
	struct slice out;

	redact_chunk_line(&c, &w->state, slice_str(line), &w->scratch, &out);
	if (!slice_eq(out, slice_str(want))) {
		fail_msg("\"%s\" became \"%.*s\", not \"%s\"", line, SLICE_ARG(out), want);
	}
}

static void stays(struct world *w, const char *line)
{
	becomes(w, line, line);
}

/* ---- the judgement ---- */

static void what_looks_like_a_password_is_one(void **state)
{
	static const char *const passwords[] = {
		"Huawei@123", "P@ssw0rd", "Passw0rd", "P@ssw0rd!", "hunter2!", "Tr0ub4dor&3",
		"Winter2026", "Winter2026!", "qwerty123", "1q2w3e4r", "1qaz@WSX", "zaq12wsx",
		"letmein!", "p@ssword", "pa$$word", "S3cr3t!", "MyP@ss1", "Admin@2026",
		"admin123!", "root@123", "Cisco123!", "aB3xK9Zq", "xK9q2LmP7w", "!QAZ2wsx",
		"!@#$%^&*", "Welcome1", "Password123", "monkey!1", "Qwerty12", "Bl4ckC4t",
		"G7#kd9", "a8f5f167f44f4964e6c998dee827110c", "dGhpc2lzYXNlY3JldA==",
		"correcthorsebatterystaple", "xKqWvBnTzRpL", "Sommer_2026!", "Hund&Katze", NULL};

	(void)state;
	for (size_t i = 0; passwords[i] != NULL; i++) {
		if (!redact_looks_like_password(slice_str(passwords[i]))) {
			fail_msg("\"%s\" was taken for a name", passwords[i]);
		}
	}
}

static void what_looks_like_a_name_is_one(void **state)
{
	static const char *const names[] = {
		"", "a", "admin", "root", "oracle", "test123", "user01", "john.doe", "j.doe1",
		"svc_backup", "svc-backup-01", "www-data", "Administrator", "ADMINISTRATOR",
		"anna@example.com", "anna.schmidt+ssh@mail.example.co.uk", "DOMAIN\\bob",
		"CORP\\Anna.Schmidt2", "ubuntu", "deploy-2026", "PlcmSpIp", "MikroTik",
		"JohnSmithAdmin", "Anna.Schmidt", "Anna.Schmidt85", "Test_User_01", "Operator01",
		"oracle11g", "postgres14", "db2inst1", "ec2-user",
		"ec2-192-0-2-1.compute.example.com", "0101", "123456", "13800138000", "root@pam",
		"bob@CORP.EXAMPLE.COM", "root@192.0.2.1", "host/web1.example.com@EXAMPLE.COM",
		"WIN-7H3K2L1P9QX$", "D-Link", "!root", "@admin", "*root*",
		"${jndi:ldap://192.0.2.9/a}", "../../etc/passwd", "$(reboot)", "\\303\\251lise",
		"\xd0\x9f\xd1\x91\xd1\x82\xd1\x80", "k8s-node-07", "student2026",
		"telecomadmin", "networkadministrator", "user(uid=0)", "+4917012345678",
		"10:30:15", "192.0.2.7", "2001:db8::7", MASK, NULL};

	(void)state;
	for (size_t i = 0; names[i] != NULL; i++) {
		if (redact_looks_like_password(slice_str(names[i]))) {
			fail_msg("\"%s\" was taken for a password", names[i]);
		}
	}
}

/* ---- where daemons say it ---- */

/* P stands for the name. */
static const char *const forms[] = {
	"sshd[7]: Invalid user P from 192.0.2.7 port 4711",
	"sshd[7]: Invalid user P from 192.0.2.7",
	"sshd[7]: Illegal user P from 192.0.2.7",
	"sshd[7]: Failed password for invalid user P from 2001:db8::7 port 4711 ssh2",
	"sshd[7]: Failed none for illegal user P from 192.0.2.7 port 4711 ssh2",
	"sshd[7]: Connection closed by invalid user P 192.0.2.7 port 4711 [preauth]",
	"sshd[7]: Connection reset by invalid user P 2001:db8::7 port 4711 [preauth]",
	"sshd[7]: Disconnected from invalid user P 192.0.2.7 port 4711 [preauth]",
	"sshd[7]: input_userauth_request: invalid user P [preauth]",
	"sshd[7]: error: maximum authentication attempts exceeded for invalid user P from "
	"192.0.2.7 port 4711 ssh2 [preauth]",
	"sshd[7]: error: PAM: User not known to the underlying authentication module for illegal "
	"user P from 192.0.2.7",
	"sshd[7]: Disconnecting: Too many authentication failures for P [preauth]",
	"sshd[7]: message repeated 2 times: [ Failed password for invalid user P from 192.0.2.7 "
	"port 4711 ssh2]",
	"{\"MESSAGE\":\"input_userauth_request: invalid user P\",\"PRIORITY\":\"6\"}",
	"sshd[7]: pam_unix(sshd:auth): bad username [P]",
	"sshd[7]: pam_succeed_if(sshd:auth): error retrieving information about user P",
	"sshd[7]: pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
	"rhost=192.0.2.7 user=P",
	"sshd[7]: pam_sss(sshd:auth): received for user P: 10 (User not known to the underlying "
	"authentication module)",
	"dropbear[7]: Login attempt for nonexistent user 'P' from 192.0.2.7:4711",
	"dropbear[7]: Bad password attempt for 'P' from 192.0.2.7:4711",
	"vsftpd[7]: [P] FAIL LOGIN: Client \"192.0.2.7\"",
	"vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp "
	"ruser=P rhost=192.0.2.7",
	"proftpd[7]: 127.0.0.1 (192.0.2.7[192.0.2.7]) - USER P: no such user found from 192.0.2.7 "
	"[192.0.2.7] to 127.0.0.1:21",
	"pure-ftpd: (?@192.0.2.7) [WARNING] Authentication failed for user [P]",
	"login[7]: FAILED LOGIN (1) on '/dev/tty1' FOR 'P', Authentication failure",
	"login[7]: FAILED LOGIN 2 FROM 192.0.2.7 FOR P, User not known to the underlying "
	"authentication module",
	"dovecot: auth: passwd-file(P,192.0.2.7): unknown user",
	"dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<P>, "
	"method=PLAIN, rip=192.0.2.7",
	"postfix/smtpd[1]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: "
	"authentication failure, sasl_username=P",
	"exim[1]: login authenticator failed for (x) [192.0.2.7]: 535 Incorrect authentication data "
	"(set_id=P)",
	"type=USER_LOGIN msg=audit(1691234567.123:4567): pid=1 uid=0 msg='op=login acct=\"P\" "
	"exe=\"/usr/sbin/sshd\" hostname=? addr=192.0.2.7 terminal=ssh res=failed'",
	"192.0.2.7 - P [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 401 381 \"-\" \"curl\"",
	"[error] 1#1: *2 user \"P\" was not found in \"/etc/nginx/.htpasswd\", client: 192.0.2.7",
	"[auth_basic:error] [pid 1] [client 192.0.2.7:1] AH01618: user P not found: /admin",
	"luci: failed login on / for P from 192.0.2.7",
	"webmin[1]: Non-existent login as P from 192.0.2.7",
	"smbd[1]: check_ntlm_password: Authentication for user [P] -> [P] FAILED with error "
	"NT_STATUS_NO_SUCH_USER",
	"charon: 07[IKE] XAuth authentication of 'P' (myself) failed",
	"openvpn[1]: AUTH-PAM: BACKGROUND: user 'P' failed to authenticate: x",
	"mysqld[1]: Access denied for user 'P'@'192.0.2.7' (using password: YES)",
	"wordpress(example.com)[1]: Authentication attempt for unknown user P from 192.0.2.7",
};

static void fill(char out[static 512], const char *form, const char *name)
{
	size_t n = 0;

	for (const char *p = form; *p != '\0'; p++) {
		bool alone = *p == 'P' && (p == form || !(p[-1] >= 'A' && p[-1] <= 'Z')) &&
			     !(p[1] >= 'A' && p[1] <= 'Z') && !(p[1] >= 'a' && p[1] <= 'z');

		n += (size_t)snprintf(out + n, 512 - n, "%.*s", alone ? 100 : 1,
				      alone ? name : p);
	}
}

static void a_typed_password_is_masked_in_every_daemons_words(void **state)
{
	char line[512], want[512];

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		fill(line, forms[i], "Huawei@123");
		fill(want, forms[i], MASK);
		becomes(*state, line, want);
		/* Twice is once. */
		stays(*state, want);
	}
}

static void ordinary_unknown_names_stay_in_every_daemons_words(void **state)
{
	static const char *const names[] = {"admin", "test123", "svc_backup", "Anna.Schmidt85",
					    "anna@example.com", "PlcmSpIp", "0101"};
	char line[512];

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
			fill(line, forms[i], names[k]);
			stays(*state, line);
		}
	}
}

static void of_a_name_with_blanks_only_the_password_goes(void **state)
{
	becomes(*state, "Invalid user anna Huawei@123 from 192.0.2.7 port 22",
		"Invalid user anna " MASK " from 192.0.2.7 port 22");
	becomes(*state, "Invalid user x from 8.8.8.8 port 22 Huawei@123 from 192.0.2.7 port 22",
		"Invalid user x from 8.8.8.8 port 22 " MASK " from 192.0.2.7 port 22");
	becomes(*state, "Invalid user bob from Huawei@123 from 192.0.2.7 port 22",
		"Invalid user bob from " MASK " from 192.0.2.7 port 22");
	becomes(*state, "Invalid user correct horse battery staple from 192.0.2.7 port 22",
		"Invalid user " MASK " from 192.0.2.7 port 22");
	stays(*state, "Invalid user Failed password for root from 192.0.2.1 from 192.0.2.7 "
		      "port 22");
	stays(*state, "Invalid user  from 192.0.2.7 port 22");
	stays(*state, "Invalid user");
	stays(*state, "Invalid user ");
}

static void who_exists_keeps_the_name(void **state)
{
	stays(*state, "sshd[7]: Failed password for Huawei@123 from 192.0.2.7 port 22 ssh2");
	stays(*state, "sshd[7]: Accepted password for Huawei@123 from 192.0.2.7 port 22 ssh2");
	stays(*state, "type=USER_LOGIN msg=audit(1.2:3): msg='op=login acct=\"Huawei@123\" "
		      "res=success'");
	stays(*state, "192.0.2.7 - Huawei@123 [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" "
		      "200 1");
}

static void a_sentence_with_the_words_in_it_stays(void **state)
{
	stays(*state, "[ERROR] [/server/basic_auth.go:72][client IP=\"192.0.2.7\" user "
		      "agent=\"docker/23.0.6 go/go1.19.9 kernel/5.15.0-73-Generic UpstreamClient(Docker-Client/"
		      "23.0.6 (linux))\"]: failed to authenticate user:test");
	stays(*state, "app: user agent Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 "
		      "Firefox/117.0 asked for what was not found: /x");
}

static void an_exception_keeps_its_name(void **state)
{
	struct redact_options o = {.enabled = true};
	struct world own = {0};

	strlist_add(&o.except, SLICE_LIT("Huawei@123"));
	assert_int_equal(redact_new(&own.r, &o), 0);
	buf_init(&own.scratch, 4096);
	stays(&own, "Invalid user Huawei@123 from 192.0.2.7 port 22");
	becomes(&own, "Invalid user Huawei@124 from 192.0.2.7 port 22",
		"Invalid user " MASK " from 192.0.2.7 port 22");
	redact_free(own.r);
	buf_fini(&own.scratch);
	strlist_fini(&o.except);
	(void)state;
}

static void what_servers_log_as_name_and_password_loses_the_password(void **state)
{
	becomes(*state, "radiusd[1]: Login incorrect (pap: x): [bob/hunter2] (from client ap "
			"port 0)",
		"radiusd[1]: Login incorrect (pap: x): [bob/*redacted-password*] (from client ap "
		"port 0)");
	becomes(*state, "login attempt [root/123456] failed",
		"login attempt [root/*redacted-password*] failed");
	stays(*state, "radiusd[1]: Login incorrect: [bob/<via Auth-Type = EAP>] (from client ap)");
}

/* ---- auditd's hex ---- */

static void hex_of_a_command_line_hides_no_password(void **state)
{
	/* mysql -uroot -phunter2 !, an argument with a blank in it */
	becomes(*state, "type=EXECVE msg=audit(1.2:3): argc=3 a0=\"mysql\" a1=\"-uroot\" "
			"a2=2D7068756E746572203221",
		"type=EXECVE msg=audit(1.2:3): argc=3 a0=\"mysql\" a1=\"-uroot\" "
		"a2=*redacted-command*");
	/* sh -c 'mysql -phunter2 db' */
	becomes(*state, "type=EXECVE msg=audit(1.2:3): argc=3 a0=\"sh\" a1=\"-c\" "
			"a2=6D7973716C202D7068756E74657232206462",
		"type=EXECVE msg=audit(1.2:3): argc=3 a0=\"sh\" a1=\"-c\" a2=*redacted-command*");
	/* mysql\0-phunter2\0db */
	becomes(*state, "type=PROCTITLE msg=audit(1.2:3): "
			"proctitle=6D7973716C002D7068756E74657232006462",
		"type=PROCTITLE msg=audit(1.2:3): proctitle=*redacted-command*");
	/* echo password=hunter2 */
	becomes(*state, "type=USER_CMD msg=audit(1.2:3): msg='cwd=\"/\" "
			"cmd=6563686F2070617373776F72643D68756E74657232 terminal=pts/0'",
		"type=USER_CMD msg=audit(1.2:3): msg='cwd=\"/\" cmd=*redacted-password* "
		"terminal=pts/0'");
	/* S3cr3t! x as the name of a failed login */
	becomes(*state, "type=USER_LOGIN msg=audit(1.2:3): msg='op=login acct=5333637233742178 "
			"addr=192.0.2.7 res=failed'",
		"type=USER_LOGIN msg=audit(1.2:3): msg='op=login acct=" MASK
		" addr=192.0.2.7 res=failed'");
}

static void hex_without_a_secret_stays(void **state)
{
	stays(*state, "type=PROCTITLE msg=audit(1.2:3): proctitle=6C73002D6C61");
	stays(*state, "type=EXECVE msg=audit(1.2:3): argc=2 a0=\"touch\" a1=6120622063");
	stays(*state, "type=EXECVE msg=audit(1.2:3): argc=2 a0=\"mysql\" a1=\"-uroot\"");
	stays(*state, "type=USER_LOGIN msg=audit(1.2:3): msg='acct=28696E76616C6964207573657229 "
		      "res=failed'");
	stays(*state, "type=PROCTITLE msg=audit(1.2:3): proctitle=\"mysqld\"");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		T(what_looks_like_a_password_is_one),
		T(what_looks_like_a_name_is_one),
		T(a_typed_password_is_masked_in_every_daemons_words),
		T(ordinary_unknown_names_stay_in_every_daemons_words),
		T(of_a_name_with_blanks_only_the_password_goes),
		T(who_exists_keeps_the_name),
		T(a_sentence_with_the_words_in_it_stays),
		T(an_exception_keeps_its_name),
		T(what_servers_log_as_name_and_password_loses_the_password),
		T(hex_of_a_command_line_hides_no_password),
		T(hex_without_a_secret_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
