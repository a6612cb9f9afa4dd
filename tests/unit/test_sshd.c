/* Unit tests of parsers/sshd.c and sshd_connection.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/parsing.h"

#define H "Nov 22 15:37:46 gw sshd[4242]: "

static void logins_and_failures_are_read(void **state)
{
	static const struct line_case cases[] = {
		{H "Accepted password for bob from 192.0.2.1 port 50022 ssh2",
		 "ssh_login success 1 user=bob ip=192.0.2.1 port=50022 "
		 "method=password"},
		{H "Accepted publickey for bob from 2001:db8::1 port 50022 ssh2: "
		   "ED25519 SHA256:abc",
		 "ssh_login success 1 user=bob ip=2001:db8::1 port=50022 "
		 "method=publickey"},
		{H "Accepted keyboard-interactive/pam for bob from 192.0.2.1 port "
		   "1 ssh2",
		 "ssh_login success 1 user=bob ip=192.0.2.1 port=1 "
		 "method=keyboard-interactive"},
		{H "Failed password for root from 192.0.2.1 port 50022 ssh2",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=50022 "
		 "method=password"},
		{H "Failed password for invalid user admin from 192.0.2.1 port 5 "
		   "ssh2 [preauth]",
		 "ssh_login failure 1 user=admin ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "Failed password for illegal user admin from 192.0.2.1 port 5",
		 "ssh_login failure 1 user=admin ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "Failed publickey for bob from 192.0.2.1 port 5 ssh2: RSA "
		   "SHA256:abc",
		 "ssh_login unknown 0 user=bob ip=192.0.2.1 port=5 "
		 "method=publickey"},
		{H "Failed publickey for invalid user bob from 192.0.2.1 port 5 "
		   "ssh2: RSA SHA256:abc",
		 "ssh_login failure 1 user=bob ip=192.0.2.1 port=5 "
		 "method=publickey"},
		{H "Failed none for invalid user  from 192.0.2.1 port 5 ssh2",
		 "ssh_login failure 1 user= ip=192.0.2.1 port=5 method=none"},
		{H "Invalid user admin from 192.0.2.1 port 37220",
		 "ssh_login failure 1 user=admin ip=192.0.2.1 port=37220"},
		{H "Invalid user  from 192.0.2.1 port 37220",
		 "ssh_login failure 1 user= ip=192.0.2.1 port=37220"},
		{H "Illegal user admin from ::ffff:192.0.2.1",
		 "ssh_login failure 1 user=admin ip=192.0.2.1"},
		{H "User root from gw.example.com not allowed because not listed in "
		   "AllowUsers",
		 "ssh_login failure 1 user=root host=gw.example.com"},
		{H "ROOT LOGIN REFUSED FROM 192.0.2.1 port 12345 [preauth]",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=12345"},
		{H "error: maximum authentication attempts exceeded for invalid user "
		   "x from 192.0.2.1 port 5 ssh2 [preauth]",
		 "ssh_login failure 1 user=x ip=192.0.2.1 port=5"},
		{H "error: PAM: Authentication failure for illegal user bob from "
		   "192.0.2.1",
		 "ssh_login failure 1 user=bob ip=192.0.2.1 "
		 "method=keyboard-interactive"},
		{H "error: PAM: Have exhausted maximum number of retries for "
		   "service. for bob from 192.0.2.1 via 192.0.2.2",
		 "ssh_login failure 1 user=bob ip=192.0.2.1 "
		 "method=keyboard-interactive"},
		{H "Authentication tried for bob with correct key but not from a "
		   "permitted host (host=a.example.com, ip=192.0.2.1).",
		 "ssh_login failure 1 user=bob ip=192.0.2.1 method=publickey"},
		{"Nov 22 15:37:46 gw sshd-session[7]: Connection closed by "
		 "authenticating user root 192.0.2.1 port 5 [preauth]",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=5"},
		{H "Connection reset by invalid user  192.0.2.1 port 5 [preauth]",
		 "ssh_login failure 1 user= ip=192.0.2.1 port=5"},
		{H "Disconnecting authenticating user root 192.0.2.1 port 5: Too "
		   "many authentication failures [preauth]",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=5"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void connections_are_no_attempts(void **state)
{
	static const struct line_case cases[] = {
		{H "Connection from 192.0.2.1 port 5 on 192.0.2.2 port 22",
		 "ssh_connection none 0 ip=192.0.2.1 port=5"},
		{H "Disconnected from user bob 192.0.2.1 port 5",
		 "ssh_disconnect none 0 user=bob ip=192.0.2.1 port=5"},
		{H "Received disconnect from 192.0.2.1 port 5:11: Bye Bye "
		   "[preauth]",
		 "ssh_disconnect none 0 ip=192.0.2.1 port=5"},
		{H "Received disconnect from 2001:db8::1: 11: Bye Bye",
		 "ssh_disconnect none 0 ip=2001:db8::1"},
		{H "Connection closed by 192.0.2.1 port 5",
		 "ssh_disconnect none 0 ip=192.0.2.1 port=5"},
		{H "Did not receive identification string from 192.0.2.1 port 5",
		 "ssh_no_identification none 0 ip=192.0.2.1 port=5"},
		{H "Bad protocol version identification 'GET / HTTP/1.1' from "
		   "192.0.2.1 port 5",
		 "ssh_probe failure 0 ip=192.0.2.1 port=5"},
		{H "banner exchange: Connection from 192.0.2.1 port 5: invalid "
		   "format",
		 "ssh_probe failure 0 ip=192.0.2.1 port=5"},
		{H "fatal: Unable to negotiate with 192.0.2.1 port 5: no matching "
		   "cipher found. Their offer: a,b [preauth]",
		 "ssh_negotiation none 0 ip=192.0.2.1 port=5"},
		{H "drop connection #11 from [192.0.2.1]:5 on [192.0.2.2]:22 past "
		   "MaxStartups",
		 "ssh_dropped none 0 ip=192.0.2.1 port=5"},
		{H "Timeout before authentication for 192.0.2.1 port 5",
		 "ssh_timeout none 0 ip=192.0.2.1 port=5"},
		{H "subsystem request for sftp by user bob",
		 "ssh_subsystem none 0 user=bob"},
		{H "Close session: user bob from 192.0.2.1 port 5 id 0",
		 "ssh_session none 0 user=bob ip=192.0.2.1 port=5"},
		{H "Starting session: shell on pts/0 for bob from 192.0.2.1 port 5 "
		   "id 0",
		 "ssh_session none 0 user=bob ip=192.0.2.1 port=5"},
		{H "User child is on pid 29582", "ssh_session none 0"},
		{H "reverse mapping checking getaddrinfo for a.example.com "
		   "[192.0.2.1] failed - POSSIBLE BREAK-IN ATTEMPT!",
		 "ssh_reverse_dns none 0 ip=192.0.2.1"},
		{H "Server listening on 0.0.0.0 port 22.",
		 "ssh_listening none 0"},
	};

	(void)state;
	CHECK_EACH(cases);
}

/* OpenSSH 9.8 to 10, and what older ones said before it. */
static void penalties_certificates_and_probes_are_read(void **state)
{
	static const struct line_case cases[] = {
		{H "srclimit_penalise: ipv4: new 192.0.2.1/32 active penalty of 15.000 "
		   "seconds for penalty: failed authentication",
		 "ssh_penalty none 0 ip=192.0.2.1"},
		{H "srclimit_penalise: 2001:db8::/64: activating ipv6 penalty of 15.000 "
		   "seconds for penalty: exceeded LoginGraceTime",
		 "ssh_penalty none 0 ip=2001:db8::"},
		{H "srclimit_penalise: something else", "-"},
		{H "drop connection #0 from [192.0.2.1]:5 on [192.0.2.2]:22 penalty: failed "
		   "authentication",
		 "ssh_dropped none 0 ip=192.0.2.1 port=5"},
		{H "Timeout before authentication for connection from 192.0.2.1 to 192.0.2.2, "
		   "pid = 77",
		 "ssh_timeout none 0 ip=192.0.2.1"},
		{H "userauth_pubkey: signature algorithm ssh-rsa not in "
		   "PubkeyAcceptedAlgorithms [preauth]",
		 "ssh_login failure 0 method=publickey"},
		{H "error: Certificate invalid: expired", "ssh_login failure 0 method=publickey"},
		{H "error: Refused Certificate ID \"x\" serial=1: name is not a listed "
		   "principal", "ssh_login failure 0 method=publickey"},
		{H "Accepted certificate ID \"x\" (serial 1) signed by ED25519 CA SHA256:abc via "
		   "/etc/ssh/ca.pub", "ssh_login none 0 method=publickey"},
		{H "Accepted key ED25519 SHA256:abc found at /home/bob/.ssh/authorized_keys:1",
		 "ssh_login none 0 method=publickey"},
		{H "Account bob has expired", "ssh_login unknown 0 user=bob"},
		{H "User bob password has expired (password aged)",
		 "ssh_login unknown 0 user=bob"},
		{H "scanned from 192.0.2.1 port 5 with SSH-1.0-SSH_Version_Mapper.  Don't panic.",
		 "ssh_probe failure 0 ip=192.0.2.1 port=5"},
		{H "Protocol major versions differ for 192.0.2.1 port 5: SSH-2.0-x vs. SSH-1.5-y",
		 "ssh_probe failure 0 ip=192.0.2.1 port=5"},
		{H "fatal: no matching cipher found: client a server b [preauth]",
		 "ssh_negotiation none 0"},
		{H "error: kex_protocol_error: type 20 seq 2 [preauth]",
		 "ssh_protocol_error none 0"},
		{H "Closing connection to 192.0.2.1 port 5",
		 "ssh_disconnect none 0 ip=192.0.2.1 port=5"},
		{H "Transferred: sent 3120, received 2600 bytes", "ssh_session none 0"},
		{"Nov 22 15:37:46 gw sshd-auth[42]: Invalid user x from 192.0.2.1 port 5",
		 "ssh_login failure 1 user=x ip=192.0.2.1 port=5"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void what_sshd_never_says_is_left_alone(void **state)
{
	static const struct line_case cases[] = {
		{H "Failed password", "-"},
		{H "Failed password for root", "-"},
		{H "Failed password for root from 192.0.2.1 port", "-"},
		{H "Failed password for root from 192.0.2.1 port 22 ssh2 and more",
		 "-"},
		{H "Accepted", "-"},
		{H "User bob is happy", "-"},
		{H "x Failed password for root from 192.0.2.1 port 22 ssh2", "-"},
		{H "", "-"},
		{H " ", "-"},
		{H "Disconnecting", "-"},
		{"Nov 22 15:37:46 gw other[1]: Failed password for root from "
		 "192.0.2.1 port 22 ssh2", "-"},
		{"Failed password for root from 192.0.2.1 port 22 ssh2", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

/* 203.0.113.9 is what the attacker wants to be read; 192.0.2.1 is where he is. */
static void a_name_is_never_taken_for_an_address(void **state)
{
	static const struct line_case cases[] = {
		{H "Failed password for invalid user root from 203.0.113.9 port 22 "
		   "ssh2 from 192.0.2.1 port 5 ssh2",
		 "ssh_login failure 1 user=root from 203.0.113.9 port 22 ssh2 "
		 "ip=192.0.2.1 port=5 method=password"},
		{H "Failed password for invalid user root from 203.0.113.9 port 22 "
		   "ssh2: x from 192.0.2.1 port 5 ssh2",
		 "ssh_login failure 1 user=root from 203.0.113.9 port 22 ssh2: x "
		 "ip=192.0.2.1 port=5 method=password"},
		{H "Invalid user from 203.0.113.9 port 22 from 192.0.2.1 port 5",
		 "ssh_login failure 1 user=from 203.0.113.9 port 22 ip=192.0.2.1 "
		 "port=5"},
		{H "Connection closed by authenticating user x 203.0.113.9 "
		   "192.0.2.1 port 5 [preauth]",
		 "ssh_login failure 1 user=x 203.0.113.9 ip=192.0.2.1 port=5"},
		{H "Connection closed by invalid user x 203.0.113.9 port 22 "
		   "[preauth] 192.0.2.1 port 5 [preauth]",
		 "ssh_login failure 1 user=x 203.0.113.9 port 22 [preauth] "
		 "ip=192.0.2.1 port=5"},
		{H "error: PAM: Authentication failure for illegal user x from "
		   "203.0.113.9 from 192.0.2.1",
		 "ssh_login failure 1 user=x from 203.0.113.9 ip=192.0.2.1 "
		 "method=keyboard-interactive"},
		{H "error: maximum authentication attempts exceeded for invalid user "
		   "x from 203.0.113.9 port 1 ssh2 from 192.0.2.1 port 5 ssh2 "
		   "[preauth]",
		 "ssh_login failure 1 user=x from 203.0.113.9 port 1 ssh2 "
		 "ip=192.0.2.1 port=5"},
		{H "Bad protocol version identification 'x' from 203.0.113.9 port "
		   "1' from 192.0.2.1 port 5",
		 "ssh_probe failure 0 ip=192.0.2.1 port=5"},
		{H "Disconnecting invalid user a 203.0.113.9 port 1: Change of "
		   "username or service not allowed: (a, 192.0.2.1 port 5: Change "
		   "of username or service not allowed: (a 203.0.113.9 port 1: "
		   "Change of username or service not allowed: (a,,ssh-connection)",
		 "ssh_login failure 1 user=a 203.0.113.9 port 1: Change of "
		 "username or service not allowed: (a, ip=192.0.2.1 port=5"},
		{H "Disconnecting invalid user a 192.0.2.1 port 5: Change of "
		   "username or service not allowed: (a,ssh-connection) -> (b "
		   "203.0.113.9 port 1: Change of username or service not allowed: "
		   "(b,ssh-connection)",
		 "ssh_login failure 1 user=a ip=192.0.2.1 port=5"},
		{H "Received disconnect from 192.0.2.1 port 5:11: from 203.0.113.9 "
		   "port 1:11: Bye",
		 "ssh_disconnect none 0 ip=192.0.2.1 port=5"},
		{H "Failed hostbased for bob from 192.0.2.1 port 5 ssh2: RSA "
		   "SHA256:a, client user \"x from 203.0.113.9 port 1 ssh2: \", "
		   "client host \"h\"",
		 "ssh_login failure 1 user=bob ip=192.0.2.1 port=5 "
		 "method=hostbased"},
		{H "Failed password for invalid user \x1b[31m'\"\\033 from "
		   "192.0.2.1 port 5 ssh2",
		 "ssh_login failure 1 user=\x1b[31m'\"\\033 ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "refused connect from x@203.0.113.9 (203.0.113.9) (192.0.2.1)",
		 "ssh_refused failure 0 ip=192.0.2.1"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void the_lines_of_one_attempt_count_once(void **state)
{
	static const struct line_case cases[] = {
		{H "Invalid user admin from 192.0.2.1 port 5",
		 "ssh_login failure 1 user=admin ip=192.0.2.1 port=5"},
		{H "pam_unix(sshd:auth): check pass; user unknown",
		 "ssh_login failure 0 user=admin ip=192.0.2.1 port=5"},
		{H "pam_unix(sshd:auth): authentication failure; logname= uid=0 "
		   "euid=0 tty=ssh ruser= rhost=192.0.2.1 ",
		 "ssh_login failure 0 user=admin ip=192.0.2.1 port=5"},
		{H "Failed password for invalid user admin from 192.0.2.1 port 5 "
		   "ssh2",
		 "ssh_login failure 0 user=admin ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "Failed password for invalid user admin from 192.0.2.1 port 5 "
		   "ssh2",
		 "ssh_login failure 1 user=admin ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "message repeated 3 times: [ Failed password for invalid user "
		   "admin from 192.0.2.1 port 5 ssh2]",
		 "ssh_login failure 3 user=admin ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "Connection closed by invalid user admin 192.0.2.1 port 5 "
		   "[preauth]",
		 "ssh_login failure 0 user=admin ip=192.0.2.1 port=5"},
		{H "PAM 4 more authentication failures; logname= uid=0 euid=0 "
		   "tty=ssh ruser= rhost=192.0.2.1 ",
		 "ssh_login failure 0 user=admin ip=192.0.2.1 port=5"},
		/* Another connection of the same pid. */
		{H "Connection from 192.0.2.7 port 6 on 192.0.2.2 port 22",
		 "ssh_connection none 0 ip=192.0.2.7 port=6"},
		{H "User bob not allowed because account is locked",
		 "ssh_login failure 1 user=bob ip=192.0.2.7 port=6"},
		{H "Connection closed by 192.0.2.7 port 6 [preauth]",
		 "ssh_disconnect none 0 ip=192.0.2.7 port=6"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

#define REAL " from 192.0.2.1 port 22 ssh2: RSA-CERT SHA256:a ID x"
#define MADE_UP " from 8.8.8.8 port 22 ssh2: RSA-CERT SHA256:b ID x"
#define SIGNED " (serial 0) CA RSA SHA256:c"

/* Whoever signs his own certificate chooses its ID, which stands behind the address. */
static void a_certificates_id_can_not_name_an_address(void **state)
{
	static const struct line_case cases[] = {
		{H "Failed publickey for invalid user bob" REAL SIGNED,
		 "ssh_login failure 1 user=bob ip=192.0.2.1 port=22 method=publickey"},
		{H "Failed publickey for invalid user bob" REAL MADE_UP SIGNED,
		 "ssh_login unknown 0 method=publickey"},
		{H "Failed publickey for bob" REAL MADE_UP SIGNED,
		 "ssh_login unknown 0 method=publickey"},
		{H "Accepted publickey for bob" REAL MADE_UP SIGNED,
		 "ssh_login success 1 method=publickey"},
		{H "Postponed publickey for invalid user bob" REAL MADE_UP SIGNED,
		 "ssh_login unknown 0 method=publickey"},
		{H "Failed hostbased for bob" REAL MADE_UP SIGNED ", client user \"u\", client "
		   "host \"h\"", "ssh_login unknown 0 method=hostbased"},
		{H "Failed publickey for bob" REAL " from 8.8.8.8 port 22 ssh2" SIGNED,
		 "ssh_login unknown 0 user=bob ip=192.0.2.1 port=22 method=publickey"},
		/* Before 7.3 there was no fingerprint; and long lines are cut. */
		{H "Failed publickey for bob from 192.0.2.1 port 22 ssh2: RSA-CERT ID x from "
		   "8.8.8.8 port 22 ssh2: RSA-CERT ID x (serial 0) CA RSA a:b",
		 "ssh_login unknown 0 method=publickey"},
		{H "Failed publickey for bob" REAL " from 8.8.8.8 port 22 ssh2: RSA SHA256:b",
		 "ssh_login unknown 0 method=publickey"},
		{H "Failed publickey for bob" REAL " from 8.8.8.8 port 22",
		 "ssh_login unknown 0 method=publickey"},
		/* A name as long as it likes makes no certificate of a key. */
		{H "Failed publickey for invalid user a from 8.8.8.8 port 22 ssh2: RSA SHA256:b "
		   "from 192.0.2.1 port 22 ssh2: RSA SHA256:c",
		 "ssh_login failure 1 user=a from 8.8.8.8 port 22 ssh2: RSA SHA256:b "
		 "ip=192.0.2.1 port=22 method=publickey"},
		{H "Failed password for invalid user a" MADE_UP " from 192.0.2.1 port 22 ssh2",
		 "ssh_login failure 1 user=a" MADE_UP " ip=192.0.2.1 port=22 method=password"},
	};

	(void)state;
	CHECK_EACH(cases);
}

/* What an earlier line of the connection told is not in doubt. */
static void a_certificate_in_doubt_has_its_connections_address(void **state)
{
	static const struct line_case cases[] = {
		{H "Invalid user bob from 192.0.2.1 port 22",
		 "ssh_login failure 1 user=bob ip=192.0.2.1 port=22"},
		{H "Failed publickey for invalid user bob" REAL MADE_UP SIGNED,
		 "ssh_login failure 0 user=bob ip=192.0.2.1 port=22 method=publickey"},
		{H "Connection closed by invalid user bob 192.0.2.1 port 22 [preauth]",
		 "ssh_login failure 0 user=bob ip=192.0.2.1 port=22"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

static void keys_offered_before_a_success_are_no_failure(void **state)
{
	static const struct line_case cases[] = {
		{H "Failed publickey for git from 192.0.2.1 port 5 ssh2: RSA "
		   "SHA256:a",
		 "ssh_login unknown 0 user=git ip=192.0.2.1 port=5 "
		 "method=publickey"},
		{H "Failed publickey for git from 192.0.2.1 port 5 ssh2: RSA "
		   "SHA256:b",
		 "ssh_login unknown 0 user=git ip=192.0.2.1 port=5 "
		 "method=publickey"},
		{H "Accepted publickey for git from 192.0.2.1 port 5 ssh2: RSA "
		   "SHA256:c",
		 "ssh_login success 1 user=git ip=192.0.2.1 port=5 "
		 "method=publickey"},
		{H "pam_unix(sshd:session): session opened for user git(uid=1000) "
		   "by (uid=0)",
		 "session_opened success 0 user=git ip=192.0.2.1 port=5"},
		{H "pam_unix(sshd:session): session closed for user git",
		 "session_closed none 0 user=git ip=192.0.2.1 port=5"},
		{"Nov 22 15:38:46 gw sshd[4243]: Failed publickey for git from "
		 "192.0.2.8 port 7 ssh2: RSA SHA256:a",
		 "ssh_login unknown 0 user=git ip=192.0.2.8 port=7 "
		 "method=publickey"},
		{"Nov 22 15:38:46 gw sshd[4243]: Disconnecting: Too many "
		 "authentication failures for git [preauth]",
		 "ssh_login failure 1 user=git ip=192.0.2.8 port=7"},
		{"Nov 22 15:38:46 gw sshd[4243]: Connection closed by 192.0.2.8 "
		 "[preauth]",
		 "ssh_disconnect none 0 ip=192.0.2.8"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

static void an_old_pid_is_a_new_connection(void **state)
{
	static const struct line_case cases[] = {
		{"Nov 22 15:00:00 gw sshd[1]: Failed password for a from 192.0.2.1 "
		 "port 5 ssh2",
		 "ssh_login failure 1 user=a ip=192.0.2.1 port=5 "
		 "method=password"},
		{"Nov 22 15:16:00 gw sshd[1]: pam_unix(sshd:auth): authentication "
		 "failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.2  "
		 "user=b",
		 "ssh_login failure 1 user=b ip=192.0.2.2"},
		{"Nov 22 15:16:00 other sshd[1]: Connection closed by 192.0.2.2 "
		 "[preauth]",
		 "ssh_disconnect failure 0 ip=192.0.2.2"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

static void what_is_remembered_is_bounded(void **state)
{
	struct parser *p;
	struct header h;
	struct event e;
	char line[400], name[300];

	(void)state;
	memset(name, 'n', sizeof name);
	assert_int_equal(parser_new(&p, NULL), 0);
	for (int i = 0; i < 100000; i++) {
		int n = snprintf(line, sizeof line,
				 "Nov 22 15:37:46 gw sshd[%d]: Invalid user %.*s "
				 "from 192.0.2.%d port 5", i, i % 300, name,
				 i % 256);

		parser_line(p, slice(line, (size_t)n), TEST_NOW, &h, &e);
		assert_int_equal(e.attempts, 1);
	}
	parser_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logins_and_failures_are_read),
		cmocka_unit_test(connections_are_no_attempts),
		cmocka_unit_test(penalties_certificates_and_probes_are_read),
		cmocka_unit_test(what_sshd_never_says_is_left_alone),
		cmocka_unit_test(a_name_is_never_taken_for_an_address),
		cmocka_unit_test(the_lines_of_one_attempt_count_once),
		cmocka_unit_test(a_certificates_id_can_not_name_an_address),
		cmocka_unit_test(a_certificate_in_doubt_has_its_connections_address),
		cmocka_unit_test(keys_offered_before_a_success_are_no_failure),
		cmocka_unit_test(an_old_pid_is_a_new_connection),
		cmocka_unit_test(what_is_remembered_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
