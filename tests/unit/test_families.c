/* Unit tests of the smaller families: what each takes, what it leaves, and what an
 * attacker writes into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/parsing.h"

#define H "Nov 22 15:37:46 gw "

static void pam_lines_of_any_service_are_read(void **state)
{
	static const struct line_case cases[] = {
		{H "vsftpd[7]: pam_unix(vsftpd:auth): authentication failure; "
		   "logname= uid=0 euid=0 tty=ftp ruser=bob rhost=192.0.2.1  "
		   "user=bob",
		 "ftp_login failure 1 user=bob ip=192.0.2.1"},
		{H "vsftpd[7]: pam_unix(vsftpd:auth): authentication failure; "
		   "logname= uid=0 euid=0 tty=ftp ruser=ghost rhost=192.0.2.1",
		 "ftp_login failure 1 user=ghost ip=192.0.2.1"},
		{H "vsftpd(pam_unix)[7]: authentication failure; logname= uid=0 "
		   "euid=0 tty= ruser= rhost=192.0.2.1  user=bob",
		 "ftp_login failure 1 user=bob ip=192.0.2.1"},
		{H "vsftpd: (pam_unix) authentication failure; logname= uid=0 "
		   "euid=0 tty= ruser= rhost=192.0.2.1",
		 "ftp_login failure 1 ip=192.0.2.1"},
		{H "gdm-password][7]: pam_sss(gdm-password:auth): received for user "
		   "bob: 7 (Authentication failure)", "-"},
		{H "gdm[7]: pam_sss(gdm-password:auth): received for user bob: 7 "
		   "(Authentication failure)",
		 "login failure 1 user=bob"},
		{H "lightdm: pam_unix(lightdm:session): session opened for user "
		   "bob(uid=1000) by (uid=0)",
		 "login success 1 user=bob"},
		{H "sshd[7]: pam_sss(sshd:auth): authentication failure; logname= "
		   "uid=0 euid=0 tty=ssh ruser= rhost=h.example.com user=bob",
		 "ssh_login failure 1 user=bob host=h.example.com"},
		{H "login[7]: pam_unix(login:auth): check pass; user unknown",
		 "login failure 0"},
		{H "sshd[7]: pam_faillock(sshd:auth): Consecutive login failures "
		   "for user bob account temporarily locked",
		 "account_locked failure 0 user=bob"},
		{H "sshd[7]: pam_access(sshd:account): access denied for user `bob' "
		   "from `192.0.2.1'",
		 "ssh_login failure 1 user=bob ip=192.0.2.1"},
		{H "sshd[7]: pam_tally2(sshd:auth): user bob (1000) tally 5, deny 3",
		 "ssh_login failure 1 user=bob"},
		{H "sshd[7]: pam_listfile(sshd:auth): Refused user bob for service "
		   "sshd",
		 "ssh_login failure 1 user=bob"},
		{H "passwd[7]: pam_unix(passwd:chauthtok): password changed for bob",
		 "password_changed success 0 target=bob"},
		{H "CRON[7]: pam_unix(cron:session): session opened for user "
		   "root(uid=0) by (uid=0)",
		 "session_opened success 0 user=root"},
		{H "sshd[7]: pam_systemd(sshd:session): Failed to create session: x",
		 "-"},
		{H "chpasswd[7]: pam_unix(chpasswd:chauthtok): user \"eve\" does not exist "
		   "in /etc/passwd", "password_change failure 0 user=eve"},
		{H "sshd[7]: pam_unix(sshd:auth", "-"},
		{H "sshd[7]: pam_unix(sshd:auth): authentication failure; nothing",
		 "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

#define FTP H "vsftpd[7]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 " \
	      "tty=ftp "

/* FTP daemons put the client's name into ruser and user alike. */
static void pam_pairs_can_not_be_forged(void **state)
{
	static const struct line_case cases[] = {
		{H "sshd[7]: pam_unix(sshd:auth): authentication failure; logname= "
		   "uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=a "
		   "rhost=203.0.113.9  user=root",
		 "ssh_login failure 1 user=a rhost=203.0.113.9  user=root "
		 "ip=192.0.2.1"},
		{H "vsftpd[7]: pam_unix(vsftpd:auth): authentication failure; "
		   "logname= uid=0 euid=0 tty=ftp ruser=a rhost=203.0.113.9  "
		   "user=a rhost=192.0.2.1",
		 "ftp_login failure 1 user=a rhost=203.0.113.9  user=a "
		 "ip=192.0.2.1"},
		{H "vsftpd[7]: pam_unix(vsftpd:auth): authentication failure; "
		   "logname= uid=0 euid=0 tty=ftp ruser=a rhost=203.0.113.9 "
		   "rhost=192.0.2.1",
		 "ftp_login failure 1 user=a rhost=203.0.113.9 ip=192.0.2.1"},
		/* One name twice, which itself holds a whole reading. */
		{FTP "ruser=x rhost=8.8.8.8 user=y rhost=192.0.2.1  user=x rhost=8.8.8.8 user=y",
		 "ftp_login failure 1 user=x rhost=8.8.8.8 user=y ip=192.0.2.1"},
		{FTP "ruser=x rhost=8.8.8.8  user=y rhost=192.0.2.1  user=x rhost=8.8.8.8  user=y",
		 "ftp_login failure 1 user=x rhost=8.8.8.8  user=y ip=192.0.2.1"},
		/* Two readings, or none: "q rhost=192.0.2.1" from 8.8.8.8, or an unknown "q
		 * rhost=192.0.2.1 rhost=8.8.8.8  user=q" from 192.0.2.1? */
		{FTP "ruser=q rhost=192.0.2.1 rhost=8.8.8.8  user=q rhost=192.0.2.1",
		 "ftp_login failure 1"},
		{FTP "ruser= rhost=8.8.8.8 user=y rhost=192.0.2.1", "ftp_login failure 1"},
		{FTP "ruser= rhost=8.8.8.8 rhost=192.0.2.1",
		 "ftp_login failure 1 user= rhost=8.8.8.8 ip=192.0.2.1"},
		{FTP "ruser=a rhost=8.8.8.8 user=b rhost=8.8.4.4 user=c", "ftp_login failure 1"},
		/* Who runs su has a name without such things, and types the other. */
		{H "su: pam_sss(su:auth): authentication failure; logname=bob uid=1000 euid=0 "
		   "tty=/dev/pts/1 ruser=bob rhost= user=root rhost=8.8.8.8",
		 "su failure 1 user=bob to=root rhost=8.8.8.8"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void sudo_is_read(void **state)
{
	static const struct line_case cases[] = {
		{H "sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; "
		   "COMMAND=/bin/ls -l",
		 "sudo success 1 user=bob to=root command=/bin/ls -l"},
		{H "sudo: bob : TTY=pts/0 ; PWD=/ ; USER=root ; GROUP=adm ; "
		   "TSID=0000UM ; ENV=A=b ; COMMAND=/bin/sh",
		 "sudo success 1 user=bob to=root group=adm command=/bin/sh"},
		{H "sudo: bob : 3 incorrect password attempts ; TTY=pts/1 ; "
		   "PWD=/root ; USER=root ; COMMAND=/bin/ls",
		 "sudo failure 3 user=bob to=root command=/bin/ls"},
		{H "sudo: eve : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root "
		   "; COMMAND=/bin/ls",
		 "sudo failure 1 user=eve to=root command=/bin/ls"},
		{H "sudo: bob : command not allowed ; TTY=pts/1 ; PWD=/ ; USER=root "
		   "; COMMAND=/bin/ls",
		 "sudo failure 1 user=bob to=root command=/bin/ls"},
		{H "sudo: bob : (command continued) 'x y'",
		 "sudo none 0 user=bob command='x y'"},
		{H "sudo: pam_unix(sudo:session): session opened for user "
		   "root(uid=0) by bob(uid=1000)",
		 "session_opened success 0 user=bob to=root"},
		{H "sudo: unable to execute /usr/sbin/sendmail: No such file", "-"},
		{H "sudo: bob : whatever ; TTY=pts/1 ; PWD=/", "-"},
		{H "sudo: a b : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
		 "-"},
		/* The command is the caller's to write. */
		{H "sudo: bob : TTY=pts/0 ; PWD=/ ; USER=nobody ; COMMAND=/bin/echo "
		   "; USER=root ; COMMAND=/bin/sh",
		 "sudo success 1 user=bob to=nobody command=/bin/echo ; USER=root "
		 "; COMMAND=/bin/sh"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void sudos_lines_without_a_pid_are_joined_by_user(void **state)
{
	static const struct line_case cases[] = {
		{H "sudo: pam_unix(sudo:auth): authentication failure; logname=bob "
		   "uid=1000 euid=0 tty=/dev/pts/1 ruser=bob rhost=  user=bob",
		 "sudo failure 1 user=bob"},
		{H "sudo: pam_unix(sudo:auth): authentication failure; logname=eve "
		   "uid=1001 euid=0 tty=/dev/pts/2 ruser=eve rhost=  user=eve",
		 "sudo failure 1 user=eve"},
		{H "sudo: bob : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; "
		   "USER=root ; COMMAND=/bin/ls",
		 "sudo failure 2 user=bob to=root command=/bin/ls"},
		{H "sudo: pam_unix(sudo:auth): 2 more authentication failures; "
		   "logname=bob uid=1000 euid=0 tty=/dev/pts/1 ruser=bob rhost=  "
		   "user=bob",
		 "sudo failure 0 user=bob"},
		{H "sudo: pam_unix(sudo:auth): authentication failure; logname=bob "
		   "uid=1000 euid=0 tty=/dev/pts/1 ruser=bob rhost=  user=bob",
		 "sudo failure 1 user=bob"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

static void su_and_login_are_read(void **state)
{
	static const struct line_case cases[] = {
		{H "su[7]: (to root) bob on pts/0",
		 "su success 1 user=bob to=root"},
		{H "su[7]: FAILED SU (to root) bob on pts/0",
		 "su failure 1 user=bob to=root"},
		{H "su[7]: + /dev/pts/1 root:bob",
		 "su success 1 user=root to=bob"},
		{H "su[7]: - pts/1 bob:root", "su failure 1 user=bob to=root"},
		{H "su[7]: Successful su for bob by root",
		 "su success 1 user=root to=bob"},
		{H "su[7]: FAILED su for root by bob",
		 "su failure 1 user=bob to=root"},
		{H "su[7]: BAD SU bob to root on /dev/ttyp0",
		 "su failure 1 user=bob to=root"},
		{H "su: bob to root on /dev/ttyp1",
		 "su success 1 user=bob to=root"},
		{H "su[7]: pam_unix(su:auth): authentication failure; logname=bob "
		   "uid=1000 euid=0 tty=pts/0 ruser=bob rhost=  user=root",
		 "su failure 1 user=bob to=root"},
		{H "su[7]: something else", "-"},
		{H "login[7]: FAILED LOGIN (1) on '/dev/tty1' FOR 'bob', "
		   "Authentication failure",
		 "login failure 1 user=bob"},
		{H "login[7]: FAILED LOGIN (2) on '/dev/pts/1' from 'h.example.com' "
		   "FOR 'UNKNOWN', User not known",
		 "login failure 1 host=h.example.com"},
		{H "login[7]: FAILED LOGIN 1 FROM 192.0.2.1 FOR bob, Authentication "
		   "failure",
		 "login failure 1 user=bob ip=192.0.2.1"},
		{H "login[7]: FAILED LOGIN 1 FROM 192.0.2.1 FOR x FROM 203.0.113.9 "
		   "FOR root, no, Authentication failure",
		 "login failure 1 user=x FROM 203.0.113.9 FOR root, no "
		 "ip=192.0.2.1"},
		{H "login[7]: ROOT LOGIN ON tty1", "login success 1 user=root"},
		{H "login[7]: LOGIN ON tty1 BY bob FROM 192.0.2.1",
		 "login success 1 user=bob ip=192.0.2.1"},
		{H "login[7]: invalid password for 'bob' on '/dev/tty1'",
		 "login failure 1 user=bob"},
		{H "login[7]: root login on 'tty1'", "login success 1 user=root"},
		{H "login[7]: rootlogin", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void one_call_of_su_is_one_attempt(void **state)
{
	static const struct line_case cases[] = {
		{H "su[7]: pam_unix(su:auth): authentication failure; logname=bob "
		   "uid=1000 euid=0 tty=pts/0 ruser=bob rhost=  user=root",
		 "su failure 1 user=bob to=root"},
		{H "su[7]: FAILED SU (to root) bob on pts/0",
		 "su failure 0 user=bob to=root"},
		{H "su[8]: Successful su for bob by root",
		 "su success 1 user=root to=bob"},
		{H "su[8]: + /dev/pts/1 root:bob",
		 "su success 0 user=root to=bob"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

/* Debian 12 and 13: PAM's line has no pid, since su asks for it later. */
static void su_and_pam_without_a_pid_are_joined_by_who_asks(void **state)
{
	static const struct line_case cases[] = {
		{H "su: pam_unix(su:auth): authentication failure; logname= uid=1002 euid=0 "
		 "tty=/dev/pts/0 ruser=bob rhost=  user=alice",
		 "su failure 1 user=bob to=alice"},
		{H "su[7]: FAILED SU (to alice) bob on pts/0",
		 "su failure 0 user=bob to=alice"},
		{H "su: pam_unix(su:auth): authentication failure; logname= uid=1002 euid=0 "
		 "tty=/dev/pts/0 ruser=bob rhost=  user=alice",
		 "su failure 1 user=bob to=alice"},
		{H "su[8]: FAILED SU (to alice) bob on pts/0",
		 "su failure 0 user=bob to=alice"},
		{H "su[9]: FAILED SU (to alice) carol on pts/0",
		 "su failure 1 user=carol to=alice"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

/* Debian 13: util-linux' login, and what PAM writes for it, have no pid. */
static void logins_without_a_pid_are_joined_by_their_place(void **state)
{
#define PAM "login: pam_unix(login:auth): authentication failure; logname= uid=0 euid=0 "
	static const struct line_case cases[] = {
		{H PAM "tty=/dev/pts/0 ruser= rhost=  user=alice", "login failure 1 user=alice"},
		{H "login: FAILED LOGIN 1 FROM pts/0 FOR alice, Authentication failure",
		 "login failure 0 user=alice"},
		/* Nobody whom PAM knows: not she again. */
		{H PAM "tty=/dev/pts/0 ruser= rhost= ", "login failure 1"},
		{H PAM "tty=/dev/pts/1 ruser= rhost= ", "login failure 1"},
		{H "login: FAILED LOGIN 1 FROM pts/1 FOR x from 8.8.8.8 port 22 ssh2, "
		   "Authentication failure",
		 "login failure 0 user=x from 8.8.8.8 port 22 ssh2"},
		{H "login: FAILED LOGIN SESSION FROM pts/0 FOR bob, Authentication failure",
		 "login failure 0 user=bob"},
	};
#undef PAM

	(void)state;
	CHECK_IN_ORDER(cases);
}

/* shadow's login tells of nobody but root; util-linux' tells of everybody. */
static void a_login_is_told_by_pams_session_or_by_login(void **state)
{
	static const struct line_case cases[] = {
		{H "login[7]: pam_unix(login:session): session opened for user alice(uid=1001) "
		   "by (uid=0)",
		 "login success 1 user=alice"},
		{H "login[7]: LOGIN ON tty1 BY alice", "login success 0 user=alice"},
		{H "login[8]: LOGIN ON tty1 BY alice", "login success 1 user=alice"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

static void dropbear_is_read_in_its_old_and_new_words(void **state)
{
	static const struct line_case cases[] = {
		{H "dropbear[7]: Bad password attempt for 'root' from 192.0.2.1:5",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "dropbear[7]: bad password attempt for 'root' from "
		   "::ffff:192.0.2.1:5",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "dropbear[7]: Bad password attempt for root on SSH from "
		   "192.0.2.1:5",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=5 "
		 "method=password"},
		{"Sun Nov 22 15:37:46 2026 authpriv.notice dropbear[7]: Password "
		 "auth succeeded for 'root' from 192.0.2.1:5",
		 "ssh_login success 1 user=root ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "dropbear[7]: Password auth succeeded for root on SSH from "
		   "192.0.2.1:5",
		 "ssh_login success 1 user=root ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "dropbear[7]: Pubkey auth succeeded for 'root' with ssh-ed25519 "
		   "key SHA256:x from 192.0.2.1:5",
		 "ssh_login success 1 user=root ip=192.0.2.1 port=5 "
		 "method=publickey"},
		{H "dropbear[7]: Pubkey auth succeeded for 'root' with key md5 "
		   "aa:bb from 192.0.2.1:5",
		 "ssh_login success 1 user=root ip=192.0.2.1 port=5 "
		 "method=publickey"},
		{H "dropbear[7]: Login attempt for nonexistent user from 192.0.2.1:5",
		 "ssh_login failure 1 ip=192.0.2.1 port=5"},
		{H "dropbear[7]: Login attempt for nonexistent user",
		 "ssh_login failure 1"},
		{H "dropbear[7]: Exit before auth (user 'root', 10 fails): Max auth "
		   "tries reached - user 'root' from 192.0.2.1:5",
		 "ssh_login failure 10 user=root ip=192.0.2.1 port=5"},
		{H "dropbear[7]: Exit before auth from <192.0.2.1:5>: (user 'root', "
		   "3 fails): Exited normally",
		 "ssh_login failure 3 user=root ip=192.0.2.1 port=5"},
		{H "dropbear[7]: Exit before auth from <192.0.2.1:5>: Max auth tries "
		   "reached - user 'is invalid'",
		 "ssh_login failure 1 ip=192.0.2.1 port=5"},
		{H "dropbear[7]: Exit before auth from <192.0.2.1:5>: Exited "
		   "normally",
		 "ssh_disconnect none 0 ip=192.0.2.1 port=5"},
		{H "dropbear[7]: Exit (root) from <192.0.2.1:5>: Disconnect received",
		 "ssh_session none 0 user=root ip=192.0.2.1 port=5"},
		{H "dropbear[7]: [7] Jul 10 23:53:52 Bad password attempt for "
		   "'root' from 192.0.2.1:5",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "dropbear[7]: Child connection from 192.0.2.1:5",
		 "ssh_connection none 0 ip=192.0.2.1 port=5"},
		{H "dropbear[7]: Running in background",
		 "ssh_listening none 0"},
		{H "dropbear[7]: Error forking: x", "-"},
		{H "dropbear[7]: Bad password attempt for 'root'", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void dropbears_last_line_adds_nothing(void **state)
{
	static const struct line_case cases[] = {
		{H "dropbear[7]: Child connection from 192.0.2.1:5",
		 "ssh_connection none 0 ip=192.0.2.1 port=5"},
		{H "dropbear[7]: Login attempt for nonexistent user",
		 "ssh_login failure 1 ip=192.0.2.1 port=5"},
		{H "dropbear[7]: Bad password attempt for 'root' from 192.0.2.1:5",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=5 "
		 "method=password"},
		{H "dropbear[7]: Exit before auth from <192.0.2.1:5>: (user 'root', "
		   "2 fails): Exited normally",
		 "ssh_login failure 0 user=root ip=192.0.2.1 port=5"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
}

static void accounts_are_read(void **state)
{
	static const struct line_case cases[] = {
		{H "useradd[7]: new user: name=eve, UID=1001, GID=1001, home=/home/"
		   "eve, shell=/bin/bash, from=/dev/pts/0",
		 "user_added success 0 target=eve"},
		{H "useradd[7]: new group: name=eve, GID=1001",
		 "group_added success 0 group=eve"},
		{H "groupadd[7]: group added to /etc/group: name=g, GID=5",
		 "group_added success 0 group=g"},
		{H "usermod[7]: add 'eve' to group 'sudo'",
		 "group_member_added success 0 target=eve group=sudo"},
		{H "usermod[7]: add 'eve' to shadow group 'sudo'",
		 "group_member_added success 0 target=eve group=sudo"},
		{H "userdel[7]: delete 'eve' from group 'sudo'",
		 "group_member_removed success 0 target=eve group=sudo"},
		{H "userdel[7]: delete user 'eve'",
		 "user_deleted success 0 target=eve"},
		{H "userdel[7]: removed group 'eve' owned by 'eve'",
		 "group_deleted success 0 group=eve"},
		{H "usermod[7]: change user 'eve' shell from '/bin/sh' to "
		   "'/bin/bash'",
		 "user_changed success 0 target=eve"},
		{H "usermod[7]: change user name 'eve' to 'adam'",
		 "user_renamed success 0 user=eve target=adam"},
		{H "usermod[7]: lock user 'eve' password",
		 "account_locked success 0 target=eve"},
		{H "gpasswd[7]: user eve added by root to group sudo",
		 "group_member_added success 0 user=root target=eve group=sudo"},
		{H "passwd[7]: password for 'eve' changed by 'root'",
		 "password_changed success 0 user=root target=eve"},
		{H "passwd[7]: password for eve changed by root",
		 "password_changed success 0 user=root target=eve"},
		{H "passwd[7]: password for eve is unchanged", "-"},
		{H "chage[7]: changed password expiry for eve",
		 "password_expiry_changed success 0 target=eve"},
		{H "chsh[7]: changed user 'eve' shell to '/bin/zsh'",
		 "shell_changed success 0 target=eve"},
		{H "chfn[7]: changed user 'eve' information",
		 "user_changed success 0 target=eve"},
		{H "useradd[7]: failed adding user 'eve', exit code: 9",
		 "user_added failure 0 target=eve"},
		{H "useradd[7]: cannot lock /etc/passwd", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void sessions_and_jobs_are_read(void **state)
{
	static const struct line_case cases[] = {
		{H "systemd-logind[7]: New session 3 of user bob.",
		 "session_opened success 0 user=bob"},
		{H "systemd-logind[7]: New session '3' of user 'bob' with class "
		   "'user' and type 'tty'.",
		 "session_opened success 0 user=bob"},
		{H "systemd-logind[7]: Removed session 3.",
		 "session_closed none 0"},
		{H "systemd-logind[7]: Session 3 logged out. Waiting for processes "
		   "to exit.", "session_closed none 0"},
		{H "CRON[7]: (root) CMD (   cd / && run-parts --report /etc/cron"
		   ".hourly)",
		 "cron_job none 0 user=root command=   cd / && run-parts --report "
		 "/etc/cron.hourly"},
		{H "crontab[7]: (bob) REPLACE (root)",
		 "crontab_replaced none 0 user=bob target=root"},
		{H "crontab[7]: (eve) AUTH (crontab command not allowed)",
		 "crontab_denied failure 0 user=eve "
		 "target=crontab command not allowed"},
		{H "crond[7]: USER root pid 12 cmd /bin/true",
		 "cron_job none 0 user=root command=/bin/true"},
		{H "cron[7]: hello", "-"},
		{H "doas: bob ran command /bin/ls -l as root from /home/bob",
		 "doas success 1 user=bob to=root command=/bin/ls -l"},
		{H "doas: command not permitted for eve: /bin/sh",
		 "doas failure 1 user=eve command=/bin/sh"},
		{H "pkexec[7]: bob: Executing command [USER=root] [TTY=unknown] "
		   "[CWD=/home/bob] [COMMAND=/usr/bin/x]",
		 "pkexec success 1 user=bob to=root command=/usr/bin/x"},
		{H "polkitd[7]: Operator of unix-session:3 FAILED to authenticate "
		   "to gain authorization for action a.b for unix-process:1:2 [x] "
		   "(owned by unix-user:bob)",
		 "polkit failure 1 user=bob"},
		{H "polkitd[7]: Operator of unix-session:3 successfully "
		   "authenticated as unix-user:root to gain ONE-SHOT authorization "
		   "for action a.b for unix-process:1:2 [x] (owned by "
		   "unix-user:bob)",
		 "polkit success 1 user=bob to=root"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void ftp_daemons_are_read(void **state)
{
	static const struct line_case cases[] = {
		{"Mon Oct 24 11:32:53 2016 [pid 1] [bob] FAIL LOGIN: Client "
		 "\"192.0.2.1\"",
		 "ftp_login failure 1 user=bob ip=192.0.2.1"},
		{"Mon Oct 24 11:32:53 2016 [pid 1] [bob] OK LOGIN: Client "
		 "\"::ffff:192.0.2.1\"",
		 "ftp_login success 1 user=bob ip=192.0.2.1"},
		{"Mon Oct 24 11:32:53 2016 [pid 1] CONNECT: Client \"2001:db8::1\"",
		 "ftp_connection none 0 ip=2001:db8::1"},
		{"Mon Oct 24 11:32:53 2016 [pid 1] [x] FAIL LOGIN: Client "
		 "\"203.0.113.9\"] FAIL LOGIN: Client \"192.0.2.1\"",
		 "ftp_login failure 1 user=x] FAIL LOGIN: Client "
		 "\"203.0.113.9\" ip=192.0.2.1"},
		{H "vsftpd[7]: [bob] FTP response: Client \"192.0.2.1\", \"530 "
		   "Permission denied.\"",
		 "ftp_login failure 1 user=bob ip=192.0.2.1"},
		{H "proftpd[7]: h (a.example.com[192.0.2.1]) - USER bob (Login "
		   "failed): Incorrect password",
		 "ftp_login failure 1 user=bob ip=192.0.2.1"},
		{H "proftpd[7] h (a[192.0.2.1]): USER bob: no such user found from a "
		   "[192.0.2.1] to 192.0.2.2:21",
		 "ftp_login failure 1 user=bob ip=192.0.2.1"},
		{H "proftpd[7]: h (a[192.0.2.1]) - USER x (b[203.0.113.9]) - USER y: "
		   "no such user found from a [192.0.2.1] to 192.0.2.2:21",
		 "ftp_login failure 1 user=x (b[203.0.113.9]) - USER y "
		 "ip=192.0.2.1"},
		{H "proftpd[7]: h (a[192.0.2.1]) - USER bob: Login successful.",
		 "ftp_login success 1 user=bob ip=192.0.2.1"},
		{H "proftpd[7]: h (a[192.0.2.1]) - SECURITY VIOLATION: root login "
		   "attempted", "ftp_login failure 1 user=root ip=192.0.2.1"},
		{H "pure-ftpd: (?@192.0.2.1) [WARNING] Authentication failed for "
		   "user [bob]",
		 "ftp_login failure 1 user=bob ip=192.0.2.1"},
		{H "pure-ftpd: (?@192.0.2.1) [INFO] bob is now logged in",
		 "ftp_login success 1 user=bob ip=192.0.2.1"},
		{H "wu-ftpd[7]: failed login from a.example.com [192.0.2.1]",
		 "ftp_login failure 1 ip=192.0.2.1"},
		{H "ftpd[7]: FTP LOGIN FROM 192.0.2.1 as bob",
		 "ftp_login success 1 user=bob ip=192.0.2.1"},
		{H "proftpd[7]: ProFTPD 1.3.8 standalone mode STARTUP", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void mail_web_vpn_and_routers_are_read(void **state)
{
	static const struct line_case cases[] = {
		{H "dovecot: imap-login: Disconnected (auth failed, 3 attempts in 9 "
		   "secs): user=<bob>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2",
		 "mail_login failure 3 user=bob ip=192.0.2.1 method=PLAIN"},
		{H "dovecot: imap-login: Login: user=<bob>, method=PLAIN, "
		   "rip=192.0.2.1, lip=192.0.2.2, mpid=7, TLS, session=<a>",
		 "mail_login success 1 user=bob ip=192.0.2.1 method=PLAIN"},
		{H "postfix/smtpd[7]: warning: unknown[192.0.2.1]: SASL LOGIN "
		   "authentication failed: x",
		 "mail_login failure 1 ip=192.0.2.1 method=LOGIN"},
		{H "postfix/smtpd[7]: AB12: client=h[192.0.2.1], sasl_method=PLAIN, "
		   "sasl_username=bob",
		 "mail_login success 1 user=bob ip=192.0.2.1 method=PLAIN"},
		{"2026/11/22 15:37:46 [error] 7#7: *1 user \"bob\": password "
		 "mismatch, client: 192.0.2.1, server: x, request: \"GET / "
		 "HTTP/1.1\", host: \"x\"",
		 "web_login failure 1 user=bob ip=192.0.2.1 method=basic"},
		{"[Sun Nov 22 15:37:46.5 2026] [auth_basic:error] [pid 7:tid 8] "
		 "[client 192.0.2.1:5] AH01617: user bob: authentication failure "
		 "for \"/x\": Password Mismatch",
		 "web_login failure 1 user=bob ip=192.0.2.1 port=5 method=basic"},
		{"192.0.2.1 - bob [22/Nov/2026:15:37:46 +0000] \"GET /x HTTP/1.1\" "
		 "401 12 \"-\" \"curl\"",
		 "web_login failure 1 user=bob ip=192.0.2.1 method=basic status=401"},
		{"192.0.2.1 - - [22/Nov/2026:15:37:46 +0000] \"GET /x HTTP/1.1\" "
		 "200 12 \"-\" \"curl\"",
		 "http_request none 0 ip=192.0.2.1 status=200"},
		{H "openvpn[7]: 192.0.2.1:5 TLS Auth Error: Auth Username/Password "
		   "verification failed for peer",
		 "vpn_login failure 1 ip=192.0.2.1 port=5 method=password"},
		{H "ovpn-server[7]: 192.0.2.1:5 [bob] Peer Connection Initiated "
		   "with [AF_INET]192.0.2.1:5",
		 "vpn_login success 1 user=bob ip=192.0.2.1 port=5 "
		 "method=certificate"},
		{"Sun Nov 22 15:37:46 2026 daemon.err uhttpd[7]: luci: failed login "
		 "on /admin for root from 192.0.2.1",
		 "web_login failure 1 user=root ip=192.0.2.1"},
		{"Sun Nov 22 15:37:46 2026 daemon.info uhttpd[7]: luci: accepted "
		 "login on / for root from 192.0.2.1",
		 "web_login success 1 user=root ip=192.0.2.1"},
		{H "uhttpd[7]: luci: failed login on /x for a from 203.0.113.9 from "
		   "192.0.2.1",
		 "web_login failure 1 user=a from 203.0.113.9 ip=192.0.2.1"},
		{H "audit[7]: /index.php: Web GUI authentication error for 'bob' "
		   "from 192.0.2.1",
		 "web_login failure 1 user=bob ip=192.0.2.1"},
		{"type=USER_LOGIN msg=audit(1795361866.5:12): pid=7 uid=0 "
		 "auid=4294967295 ses=4294967295 msg='op=login acct=\"root\" "
		 "exe=\"/usr/sbin/sshd\" hostname=? addr=192.0.2.1 terminal=ssh "
		 "res=failed'",
		 "login failure 1 user=root ip=192.0.2.1"},
		{"type=USER_LOGIN msg=audit(1795361866.5:12): pid=7 uid=0 msg='"
		 "op=login acct=612022 exe=\"/usr/sbin/sshd\" hostname=? "
		 "addr=192.0.2.1 terminal=ssh res=success'",
		 "login success 1 user=a \" ip=192.0.2.1"},
		{"type=ADD_USER msg=audit(1795361866.5:12): pid=7 uid=0 msg='"
		 "op=adding user acct=\"eve\" exe=\"/usr/sbin/useradd\" hostname=? "
		 "addr=? terminal=pts/0 res=success'",
		 "user_added success 0 target=eve"},
		{"type=SYSCALL msg=audit(1795361866.5:12): arch=c000003e syscall=59 "
		 "success=no", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pam_lines_of_any_service_are_read),
		cmocka_unit_test(pam_pairs_can_not_be_forged),
		cmocka_unit_test(sudo_is_read),
		cmocka_unit_test(sudos_lines_without_a_pid_are_joined_by_user),
		cmocka_unit_test(su_and_login_are_read),
		cmocka_unit_test(one_call_of_su_is_one_attempt),
		cmocka_unit_test(su_and_pam_without_a_pid_are_joined_by_who_asks),
		cmocka_unit_test(logins_without_a_pid_are_joined_by_their_place),
		cmocka_unit_test(a_login_is_told_by_pams_session_or_by_login),
		cmocka_unit_test(dropbear_is_read_in_its_old_and_new_words),
		cmocka_unit_test(dropbears_last_line_adds_nothing),
		cmocka_unit_test(accounts_are_read),
		cmocka_unit_test(sessions_and_jobs_are_read),
		cmocka_unit_test(ftp_daemons_are_read),
		cmocka_unit_test(mail_web_vpn_and_routers_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
