/* Unit tests of PAM's lines where a process goes on for other users, and of daemons whose
 * plugin asks PAM: one attempt, its user, its address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/parsing.h"

#define H "Nov 22 15:37:46 gw "
#define FAIL "authentication failure; logname= uid=0 euid=0 tty= ruser= rhost="

static void who_was_refused_before_is_nobody_now(void **state)
{
	static const struct line_case cases[] = {
		{H "auth[7]: pam_unix(imap:auth): " FAIL "192.0.2.1  user=root",
		 "mail_login failure 1 user=root ip=192.0.2.1"},
		{H "auth[7]: pam_unix(imap:auth): check pass; user unknown",
		 "mail_login failure 0"},
		{H "auth[7]: pam_unix(imap:auth): " FAIL "192.0.2.2 ",
		 "mail_login failure 1 ip=192.0.2.2"},
		{H "auth[7]: pam_unix(imap:auth): check pass; user unknown",
		 "mail_login failure 0"},
		{H "auth[7]: pam_unix(imap:auth): " FAIL " ", "mail_login failure 1"},
		{H "auth[7]: pam_unix(imap:auth): " FAIL "192.0.2.3  user=bob",
		 "mail_login failure 1 user=bob ip=192.0.2.3"},
		/* Of another module, about him and about somebody else. */
		{H "auth[7]: pam_listfile(imap:auth): Refused user bob for service imap",
		 "mail_login failure 0 user=bob ip=192.0.2.3"},
		{H "auth[7]: pam_unix(imap:auth): bad username [-l]",
		 "mail_login failure 0 user=-l"},
		{H "x[7]: pam_unix(x:auth): " FAIL "192.0.2.4  user=eve",
		 "login failure 1 user=eve ip=192.0.2.4"},
		{H "x[7]: pam_unix(x:session): session opened for user anna(uid=1001) by (uid=0)",
		 "login success 1 user=anna"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

/* Who asks, and whose password is asked for: pam_set_item(3) on PAM_RUSER. */
static void ruser_is_the_user_of_a_program_that_he_started(void **state)
{
	static const struct line_case cases[] = {
		/* rshd, rlogind: a name that the other host says. */
		{H "in.rshd[7]: pam_unix(rsh:auth): authentication failure; logname= uid=0 euid=0 "
		   "tty= ruser=eve rhost=192.0.2.1  user=bob",
		 "login failure 1 user=bob ip=192.0.2.1"},
		/* pam_ftp: what an anonymous client gave as his address. */
		{H "vsftpd[7]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 "
		   "euid=0 tty=ftp ruser=eve rhost=192.0.2.1  user=ftp",
		 "ftp_login failure 1 user=ftp ip=192.0.2.1"},
		/* A helper that bob started and that asks for root's password. */
		{H "userhelper[7]: pam_unix(setup:auth): authentication failure; logname=bob "
		   "uid=1000 euid=0 tty= ruser=bob rhost=  user=root",
		 "login failure 1 user=bob to=root"},
		{H "helper[7]: pam_unix(setup:auth): authentication failure; logname=bob uid=1000 "
		   "euid=0 tty= ruser=bob rhost=192.0.2.1  user=root",
		 "login failure 1 user=root ip=192.0.2.1"},
		/* Both set ruser to whom they ask (opendoas pam.c, polkitagenthelper-pam.c). */
		{H "doas[7]: pam_unix(doas:auth): authentication failure; logname=bob uid=1000 "
		   "euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob",
		 "doas failure 1 user=bob"},
		{H "polkit-agent-helper-1[7]: pam_unix(polkit-1:auth): authentication failure; "
		   "logname= uid=1000 euid=0 tty= ruser=root rhost=  user=root",
		 "polkit failure 1 user=root"},
		{H "xlock[7]: pam_unix(xlock:auth): authentication failure; logname= uid=1000 "
		   "euid=1000 tty=:0 ruser= rhost=  user=bob",
		 "login failure 1 user=bob"},
		/* Nobody started it, and nobody is far away. */
		{H "x[7]: pam_unix(x:auth): authentication failure; logname= uid=0 euid=0 tty= "
		   "ruser=eve rhost=  user=bob",
		 "login failure 1 user=bob"},
		/* A login name holds no " uid=". */
		{H "x[7]: pam_unix(x:auth): authentication failure; uid=0 euid=0 tty= ruser=eve "
		   "rhost=  user=bob",
		 "login failure 1 user=bob"},
	};

	(void)state;
	CHECK_EACH(cases);
}

#define PEER "192.0.2.1:5 "
#define UP "Peer Connection Initiated with [AF_INET]192.0.2.1:5"

/* Keys are agreed on before anybody is told that his password is wrong. */
static void a_connection_of_openvpn_is_no_login_by_itself(void **state)
{
	static const struct line_case cases[] = {
		{H "openvpn[7]: " PEER "TLS Auth Error: Auth Username/Password verification "
		   "failed for peer",
		 "vpn_login failure 1 ip=192.0.2.1 port=5 method=password"},
		{H "openvpn[7]: " PEER "SENT CONTROL [UNDEF]: 'AUTH_FAILED' (status=1)", "-"},
		{H "openvpn[7]: " PEER "[laptop] " UP,
		 "vpn_connection unknown 0 ip=192.0.2.1 port=5"},
		/* Another one, whose certificate is all that is asked for. */
		{H "openvpn[7]: 192.0.2.1:6 [laptop] Peer Connection Initiated with "
		   "[AF_INET]192.0.2.1:6",
		 "vpn_login success 1 user=laptop ip=192.0.2.1 port=6 method=certificate"},
		{H "openvpn[7]: 192.0.2.1:7 TLS: Username/Password authentication succeeded "
		   "for username 'bob' [CN SET]",
		 "vpn_login success 1 user=bob ip=192.0.2.1 port=7 method=password"},
		{H "openvpn[7]: 192.0.2.1:7 [bob] Peer Connection Initiated with "
		   "[AF_INET]192.0.2.1:7",
		 "vpn_connection unknown 0 ip=192.0.2.1 port=7"},
		{H "openvpn[7]: 192.0.2.1:8 Peer Connection Initiated with "
		   "[AF_INET]192.0.2.1:8",
		 "vpn_connection unknown 0 ip=192.0.2.1 port=8"},
		/* No name at all, which the line behind counts. */
		{H "openvpn[7]: 192.0.2.1:9 TLS Auth Error: peer provided a blank username",
		 "vpn_login unknown 0 ip=192.0.2.1 port=9"},
		{H "openvpn[7]: 192.0.2.1:9 TLS Error: Auth Username/Password was not "
		   "provided by peer",
		 "vpn_login failure 1 ip=192.0.2.1 port=9 method=password"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

static void what_openvpn_defers_is_told_by_its_answer(void **state)
{
	static const struct line_case cases[] = {
		{H "openvpn[7]: " PEER "TLS: Username/Password authentication deferred for "
		   "username 'bob' ",
		 "vpn_login unknown 0 user=bob ip=192.0.2.1 port=5 method=password"},
		{H "openvpn[7]: " PEER "[laptop] " UP,
		 "vpn_connection unknown 0 ip=192.0.2.1 port=5"},
		{H "openvpn[7]: " PEER "SENT CONTROL [laptop]: 'AUTH_FAILED' (status=1)",
		 "vpn_login failure 1 user=bob ip=192.0.2.1 port=5 method=password"},
		{H "openvpn[7]: " PEER "SENT CONTROL [laptop]: 'AUTH_FAILED' (status=1)", "-"},
		{H "openvpn[7]: 192.0.2.1:6 TLS: Username/Password authentication deferred "
		   "for username 'bob' ",
		 "vpn_login unknown 0 user=bob ip=192.0.2.1 port=6 method=password"},
		{H "openvpn[7]: laptop/192.0.2.1:6 SENT CONTROL [laptop]: 'PUSH_REPLY,peer-id "
		   "0' (status=1)",
		 "vpn_login success 1 user=bob ip=192.0.2.1 port=6 method=password"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

/* The plugin is another process, one for all clients. */
static void pam_and_openvpn_tell_of_one_attempt(void **state)
{
	static const struct line_case cases[] = {
		{H "ovpn-server[8]: pam_unix(openvpn:auth): " FAIL "192.0.2.1  user=root",
		 "vpn_login failure 1 user=root ip=192.0.2.1"},
		{H "ovpn-server[7]: " PEER "TLS Auth Error: Auth Username/Password "
		   "verification failed for peer",
		 "vpn_login failure 0 ip=192.0.2.1 port=5 method=password"},
		{H "ovpn-server[8]: pam_unix(openvpn:auth): check pass; user unknown",
		 "vpn_login failure 0"},
		{H "ovpn-server[8]: pam_unix(openvpn:auth): bad username [-l]",
		 "vpn_login failure 0 user=-l"},
		{H "ovpn-server[8]: pam_unix(openvpn:auth): " FAIL "192.0.2.2 ",
		 "vpn_login failure 1 ip=192.0.2.2"},
		{H "ovpn-server[7]: 192.0.2.2:5 TLS Auth Error: Auth Username/Password "
		   "verification failed for peer",
		 "vpn_login failure 0 ip=192.0.2.2 port=5 method=password"},
		{H "ovpn-server[7]: 192.0.2.2:6 TLS Auth Error: Auth Username/Password "
		   "verification failed for peer",
		 "vpn_login failure 1 ip=192.0.2.2 port=6 method=password"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

static void pam_and_a_service_that_asks_it_tell_of_one_attempt(void **state)
{
	static const struct line_case cases[] = {
		{H "pvedaemon[7]: pam_unix(proxmox-ve-auth:auth): " FAIL "192.0.2.1  user=root",
		 "login failure 1 user=root ip=192.0.2.1"},
		{H "pvedaemon[7]: authentication failure; rhost=192.0.2.1 user=root@pam msg=x",
		 "web_login failure 0 user=root@pam ip=192.0.2.1 method=password"},
		/* A realm of its own, without PAM, from somebody else. */
		{H "pvedaemon[7]: authentication failure; rhost=192.0.2.2 user=bob@pve msg=x",
		 "web_login failure 1 user=bob@pve ip=192.0.2.2 method=password"},
		{H "saslauthd[8]: pam_unix(smtp:auth): " FAIL "  user=bob",
		 "mail_login failure 1 user=bob"},
		{H "saslauthd[8]: do_auth         : auth failure: [user=eve] [service=smtp] "
		   "[realm=] [mech=pam] [reason=PAM auth error]",
		 "mail_login failure 0 user=eve method=password"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_was_refused_before_is_nobody_now),
		cmocka_unit_test(ruser_is_the_user_of_a_program_that_he_started),
		cmocka_unit_test(a_connection_of_openvpn_is_no_login_by_itself),
		cmocka_unit_test(what_openvpn_defers_is_told_by_its_answer),
		cmocka_unit_test(pam_and_openvpn_tell_of_one_attempt),
		cmocka_unit_test(pam_and_a_service_that_asks_it_tell_of_one_attempt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
