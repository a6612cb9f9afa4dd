/* Unit tests of auditd's records: what is taken, what is left, what is joined, and what a
 * user writes into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/parsing.h"

#define A(type) "type=" type " msg=audit(1795361866.5:12): "
#define WHO "pid=7 uid=0 auid=1000 ses=2 msg='"
#define WHERE "exe=\"/usr/sbin/sshd\" hostname=? addr=192.0.2.1 terminal=ssh "
#define NAMES "\x1dUID=\"root\" AUID=\"bob\""

static void what_user_space_says_is_read(void **state)
{
	static const struct line_case cases[] = {
		{A("USER_LOGIN") WHO "op=login acct=\"root\" " WHERE "res=failed'" NAMES,
		 "login failure 1 user=root ip=192.0.2.1"},
		{A("USER_LOGIN") WHO "op=login id=1000 " WHERE "res=success'" NAMES
		 " ID=\"bob\"",
		 "login success 1 user=bob ip=192.0.2.1"},
		{A("USER_LOGIN") WHO "op=login acct=28756E6B6E6F776E207573657229 " WHERE
		 "res=failed'",
		 "login failure 1 ip=192.0.2.1"},
		{A("USER_AUTH") WHO "op=PAM:authentication grantors=? acct=\"bob\" " WHERE
		 "res=failed'",
		 "pam_authentication failure 0 user=bob ip=192.0.2.1"},
		{A("USER_CMD") WHO "cwd=\"/home/bob\" cmd=6C73202D6C exe=\"/usr/bin/sudo\" "
		 "terminal=pts/0 res=success'" NAMES,
		 "audit_command success 0 user=bob command=ls -l"},
		{A("USER_CMD") WHO "cwd=\"/\" cmd=\"true\" exe=\"/usr/bin/sudo\" "
		 "terminal=? res=failed'",
		 "audit_command failure 0 command=true"},
		{A("DEL_USER") WHO "op=deleting-user acct=\"eve\" exe=\"/usr/sbin/userdel\" "
		 "hostname=? addr=? terminal=? res=success'",
		 "user_deleted success 0 target=eve"},
		{A("ACCT_LOCK") WHO "op=locked-password id=1001 exe=\"/usr/bin/passwd\" "
		 "hostname=? addr=? terminal=? res=success'" NAMES " ID=\"eve\"",
		 "account_locked success 0 target=eve"},
		{A("SERVICE_STOP") "pid=1 uid=0 auid=4294967295 ses=4294967295 msg='unit=ssh "
		 "comm=\"systemd\" exe=\"/lib/systemd/systemd\" hostname=? addr=? "
		 "terminal=? res=success'",
		 "service_stopped success 0"},
		{A("LOGIN") "pid=7 uid=0 old-auid=4294967295 auid=1000 tty=(none) "
		 "old-ses=4294967295 ses=7 res=1\x1dUID=\"root\" OLD-AUID=\"unset\" "
		 "AUID=\"bob\"",
		 "login_uid none 0 user=bob"},
		{A("CONFIG_CHANGE") "auid=1000 ses=1 op=remove_rule key=\"x\" list=4 res=1",
		 "audit_configuration none 0 user=1000"},
		{A("ANOM_PROMISCUOUS") "dev=eth0 prom=256 old_prom=0 auid=1000 uid=0 gid=0 "
		 "ses=1", "promiscuous_mode none 0 user=1000"},
		{"node=gw " A("DAEMON_END") "op=terminate auid=0 pid=1 res=success",
		 "audit_stopped none 0 user=0"},
		{A("DAEMON_CONFIG") "op=reconfigure auid=22497 pid=1 res=success\x1d"
		 "AUID=\"unknown(22497)\"",
		 "audit_configuration none 0 user=22497"},
		{A("USER_LOGIN") WHO "op=login acct=\"UNKNOWN\" exe=\"/usr/bin/login\" "
		 "hostname=? addr=? terminal=/dev/tty1 res=failed'",
		 "login failure 1"},
		{"type=USER_START msg=audit(1170021601.344:297): user pid=7 uid=0 auid=0 "
		 "msg='PAM: session open acct=root : exe=\"/usr/sbin/crond\" (hostname=?, "
		 "addr=192.0.2.1, terminal=cron res=success)'",
		 "session_opened success 0 user=root ip=192.0.2.1"},
		{"type=DAEMON_CONFIG msg=audit(1490239800.477:34) config changed, auid=0 pid=7",
		 "audit_configuration none 0 user=0"},
		/* What was typed is not told. */
		{A("USER_TTY") "pid=7 uid=0 auid=1000 ses=7 data=7375202D",
		 "tty_input none 0 user=1000"},
		{A("USER_LOGIN") WHO "op=login acct=\"root\" " WHERE "res=perhaps'", "-"},
		{A("SOMETHING") WHO "op=login acct=\"root\" " WHERE "res=failed'", "-"},
		{"type=USER_LOGIN msg=audit(1795361866.5): pid=7", "-"},
		{"type=USER_LOGIN msg=audit(1795361866.5:12", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

#define SSHD(type, pid, acct, res) \
	A(type) "pid=" pid " uid=0 auid=0 ses=2 msg='" acct " exe=\"/usr/sbin/sshd\" " \
		"hostname=? addr=192.0.2.1 terminal=ssh res=" res "'"
#define INVALID "op=login acct=28696E76616C6964207573657229"

/* As sshd 9.2 writes them, all with the pid of the process that guards the connection. */
static void the_records_of_one_login_are_one_attempt(void **state)
{
	static const struct line_case cases[] = {
		/* A user whom it does not know, twice. */
		{SSHD("USER_LOGIN", "7", INVALID, "failed"), "login failure 1 ip=192.0.2.1"},
		{SSHD("USER_LOGIN", "7", INVALID, "failed"), "login failure 0 ip=192.0.2.1"},
		{SSHD("USER_AUTH", "7", "op=PAM:authentication acct=\"eve\"", "failed"),
		 "pam_authentication failure 0 user=eve ip=192.0.2.1"},
		{SSHD("USER_LOGIN", "7", INVALID, "failed"),
		 "login failure 0 user=eve ip=192.0.2.1"},
		{SSHD("USER_AUTH", "7", "op=PAM:authentication acct=\"eve\"", "failed"),
		 "pam_authentication failure 0 user=eve ip=192.0.2.1"},
		{SSHD("USER_LOGIN", "7", INVALID, "failed"),
		 "login failure 1 user=eve ip=192.0.2.1"},
		/* One whom it knows: a record for each. */
		{SSHD("USER_AUTH", "8", "op=PAM:authentication acct=\"bob\"", "failed"),
		 "pam_authentication failure 0 user=bob ip=192.0.2.1"},
		{SSHD("USER_LOGIN", "8", "op=login acct=\"bob\"", "failed"),
		 "login failure 1 user=bob ip=192.0.2.1"},
		{SSHD("USER_LOGIN", "8", "op=login acct=\"bob\"", "failed"),
		 "login failure 1 user=bob ip=192.0.2.1"},
		/* In, without a terminal and with one. */
		{SSHD("USER_START", "8", "op=PAM:session_open acct=\"bob\"", "success"),
		 "login success 1 user=bob ip=192.0.2.1"},
		{SSHD("USER_LOGIN", "8", "op=login acct=\"bob\"", "success"),
		 "login success 0 user=bob ip=192.0.2.1"},
		{SSHD("USER_START", "8", "op=login acct=\"bob\"", "success"),
		 "session_opened success 0 user=bob ip=192.0.2.1"},
		{SSHD("USER_START", "9", "op=PAM:session_open acct=\"bob\"", "failed"),
		 "session_opened failure 0 user=bob ip=192.0.2.1"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

/* The ways by which a record comes into a syslog. */
static void records_inside_other_logs_are_read(void **state)
{
	static const struct line_case cases[] = {
		{"Nov 22 15:37:46 gw kernel: audit: type=1112 audit(1795361866.5:12): " WHO
		 "op=login acct=\"root\" " WHERE "res=failed'",
		 "login failure 1 user=root ip=192.0.2.1"},
		{"Nov 22 15:37:46 gw kernel: [   12.5] audit: type=1400 "
		 "audit(1795361866.5:12): apparmor=\"DENIED\" operation=\"open\" "
		 "profile=\"p\" name=\"/x\" pid=7 comm=\"c\"",
		 "access_denied failure 0"},
		{"Nov 22 15:37:46 gw audit[7]: USER_LOGIN " WHO "op=login acct=\"root\" "
		 WHERE "res=failed'",
		 "login failure 1 user=root ip=192.0.2.1"},
		{"Nov 22 15:37:46 gw audisp-syslog[7]: " A("USER_LOGIN") WHO
		 "op=login acct=\"root\" " WHERE "res=failed'",
		 "login failure 1 user=root ip=192.0.2.1"},
		{"Nov 22 15:37:46 gw audit[7]: /index.php: Web GUI authentication error for "
		 "'bob' from 192.0.2.1",
		 "web_login failure 1 user=bob ip=192.0.2.1"},
		{"Nov 22 15:37:46 gw audit[7]: hello there", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

#define CALL(serial) "arch=c000003e syscall=59 success=yes exit=0 a0=1 items=2 ppid=1 " \
	"pid=7 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=2 comm=\"sh\" " \
	"exe=\"/bin/sh\" subj=unconfined key=\"exec\"\x1d" \
	"ARCH=x86_64 SYSCALL=execve AUID=\"bob\" UID=\"root\" EUID=\"root\""

static void the_records_of_a_call_have_its_user(void **state)
{
	static const struct line_case cases[] = {
		{"type=SYSCALL msg=audit(1795361866.5:20): " CALL(20),
		 "syscall none 0 user=bob to=root"},
		{"type=EXECVE msg=audit(1795361866.5:20): argc=3 a0=\"sh\" a1=\"-c\" "
		 "a2=6C73202F",
		 "process_started none 0 user=bob command=sh -c ls /"},
		{"type=CWD msg=audit(1795361866.5:20): cwd=\"/root\"",
		 "audit_context none 0 user=bob"},
		{"type=PATH msg=audit(1795361866.5:20): item=0 name=\"/bin/sh\" inode=5 "
		 "nametype=NORMAL", "file_access none 0 user=bob"},
		{"type=PROCTITLE msg=audit(1795361866.5:20): proctitle=7368002D63006C73",
		 "process_title none 0 user=bob command=sh -c ls"},
		{"type=EOE msg=audit(1795361866.5:20): ", "audit_context none 0 user=bob"},
		/* Another's, that falls on the same place. */
		{"type=EXECVE msg=audit(1795361866.5:28): argc=1 a0=\"id\"",
		 "process_started none 0 command=id"},
		{"type=SYSCALL msg=audit(1795361866.5:21): arch=c000003e syscall=59 "
		 "success=no exit=-13 pid=8 auid=4294967295 uid=33 euid=33 tty=(none) "
		 "comm=\"x\" exe=\"/x\" key=(null)",
		 "syscall none 0 user=33 to=33"},
		{"type=PATH msg=audit(1795361866.5:21): item=0 name=(null) nametype=DELETE",
		 "file_access none 0 user=33"},
		/* The first is still there. */
		{"type=PATH msg=audit(1795361866.5:20): item=1 name=2F6120 "
		 "nametype=CREATE", "file_access none 0 user=bob"},
		{"type=PATH msg=audit(1795361866.5:22): item=1 name=\"/x\"",
		 "file_access none 0"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

/* No value can pose as a field: what could is in hexadecimal. */
static void values_are_not_fields(void **state)
{
	static const struct line_case cases[] = {
		{A("USER_LOGIN") WHO "op=login acct=\"addr=203.0.113.9\" " WHERE
		 "res=failed'",
		 "login failure 1 user=addr=203.0.113.9 ip=192.0.2.1"},
		{A("USER_LOGIN") WHO "op=login acct=6120616464723D3230332E302E3131332E39 "
		 WHERE "res=failed'",
		 "login failure 1 user=a addr=203.0.113.9 ip=192.0.2.1"},
		{A("USER_LOGIN") WHO "op=login acct=1B5B33316D20D0B2 " WHERE "res=failed'",
		 "login failure 1 user=\x1b[31m \xd0\xb2 ip=192.0.2.1"},
		{A("USER_LOGIN") WHO "op=login acct=\"\" " WHERE "res=failed'",
		 "login failure 1 ip=192.0.2.1"},
		{A("EXECVE") "argc=2 a0=\"a1=x\" a1=22206130",
		 "process_started none 0 command=a1=x \" a0"},
		{A("EXECVE") "argc=1 a0=zz", "process_started none 0 command=zz"},
		{A("EXECVE") "argc=1 a0_len=5 a0[0]=\"ab\"",
		 "process_started none 0 command=ab"},
		{A("EXECVE") "argc=0", "-"},
		{A("AVC") "avc:  denied  { read } for  pid=7 comm=\"x\" name=\"shadow\" "
		 "dev=\"sda1\"", "access_denied failure 0"},
		{A("AVC") "avc:  granted  { setenforce } for  pid=7 comm=\"x\"",
		 "access_denied none 0"},
		{A("AVC") "nothing", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

/* A command of any length stays inside the parser's memory. */
static void long_commands_are_cut(void **state)
{
	static char line[20000];
	struct parser *p;
	struct header h;
	struct event e;
	size_t n;

	(void)state;
	n = (size_t)snprintf(line, sizeof line, "%sargc=40", A("EXECVE"));
	for (int i = 0; i < 40; i++) {
		n += (size_t)snprintf(line + n, sizeof line - n, " a%d=", i);
		for (int k = 0; k < 100; k++) {
			n += (size_t)snprintf(line + n, sizeof line - n, "4%d", k % 10);
		}
	}
	assert_int_equal(parser_new(&p, NULL), 0);
	parser_line(p, slice(line, n), TEST_NOW, &h, &e);
	assert_true(event_has(&e, FIELD_PROCESS_COMMAND_LINE));
	assert_true(e.f[FIELD_PROCESS_COMMAND_LINE].n <= 1024);
	assert_memory_equal(e.f[FIELD_PROCESS_COMMAND_LINE].p, "@ABC", 4);
	parser_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_user_space_says_is_read),
		cmocka_unit_test(the_records_of_one_login_are_one_attempt),
		cmocka_unit_test(records_inside_other_logs_are_read),
		cmocka_unit_test(the_records_of_a_call_have_its_user),
		cmocka_unit_test(values_are_not_fields),
		cmocka_unit_test(long_commands_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
