/* Unit tests of what logind, routers, package managers, webmin and cockpit log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/parsing.h"

#define H "Nov 22 15:37:46 gw "
#define L "Sun Nov 22 15:37:46 2026 daemon.info "
#define D "2026-11-22 15:37:46 "

static void logind_is_read(void **state)
{
	static const struct line_case cases[] = {
		{H "systemd-logind[7]: New session c1 of user bob smith.",
		 "session_opened success 0 user=bob smith"},
		{H "systemd-logind[7]: New session '3' of user 'bob' with class 'manager' "
		   "and type 'unspecified'.",
		 "session_opened success 0 user=bob"},
		{H "systemd-logind[7]: Session \"3\" of user \"bob\" is idle, stopping.",
		 "session_closed none 0 user=bob"},
		{H "systemd-logind[7]: Session 3 logged out. Waiting for processes to exit.",
		 "session_closed none 0"},
		{H "systemd-logind[7]: System is rebooting (maintenance).", "reboot none 0"},
		{H "systemd-logind[7]: System is halting.", "power_off none 0"},
		{H "systemd-logind[7]: Power key pressed short.", "power_off none 0"},
		{H "systemd-logind[7]: Creating /run/nologin, blocking further logins...",
		 "logins_blocked none 0"},
		{H "systemd-logind[7]: Removed seat seat0.", "seat none 0"},
		{H "systemd-logind[7]: Session 3 of somebody", "-"},
		{H "systemd-logind[7]: Failed to save session data x: y", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void routers_are_read(void **state)
{
	static const struct line_case cases[] = {
		{L "uhttpd[7]: [info] luci: accepted login on /admin/status for root from "
		   "192.0.2.1",
		 "web_login success 1 user=root ip=192.0.2.1"},
		{L "uhttpd[7]: [info] luci: failed login on / for ? from 2001:db8::1",
		 "web_login failure 1 user=? ip=2001:db8::1"},
		{L "uhttpd[7]: luci: failed login on /x for root from 203.0.113.9 for eve "
		   "from 192.0.2.1",
		 "web_login failure 1 user=root from 203.0.113.9 for eve ip=192.0.2.1"},
		{L "WebUI: Invalid password attempt for admin from 192.0.2.1",
		 "web_login failure 1 user=admin ip=192.0.2.1"},
		{L "WebUI: User admin successfully authenticated on HTTPS from 192.0.2.1",
		 "web_login success 1 user=admin ip=192.0.2.1"},
		{L "SSH: Bad password attempt for root on SSH from 192.0.2.1:4000",
		 "ssh_login failure 1 user=root ip=192.0.2.1 port=4000 method=password"},
		{L "CONFIG: User \"admin\" changed network configuration",
		 "configuration_changed none 0 user=admin"},
		{L "DHCP: Leased 192.0.2.5 IP address for client 00:11:22:33:44:55 - x in WiFi",
		 "dhcp_lease none 0 ip=192.0.2.5 mac=00:11:22:33:44:55"},
		{L "Failover: WAN (wan) is down, switched to backup WAN (mob1s1a1)",
		 "wan_switched none 0"},
		{L "Failover: Switched to main WAN (wan)", "wan_switched none 0"},
		{L "Reboot: Request from Web UI", "reboot none 0"},
		{L "Startup: Device startup completed", "startup none 0"},
		{L "Startup: Device startup after unexpected shutdown",
		 "unexpected_shutdown none 0"},
		{L "SIM: Switched to SIM 2", "sim_switched none 0"},
		{L "Mobile: Mobile data disconnected", "mobile_data_disconnected none 0"},
		{L "quota: Mobile data limit reached", "data_limit_reached none 0"},
		{L "SMS: SMS received from +37060000000: reboot",
		 "sms_received none 0 user=+37060000000"},
		{L "SMS: received from nobody", "-"},
		{L "uhttpd[7]: Reboot", "-"},
		{L "uhttpd[7]: connection from 192.0.2.1", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void packages_are_read(void **state)
{
	static const struct line_case cases[] = {
		{D "startup archives unpack", "package_manager_started none 0"},
		{D "install foo:amd64 <none> 1.0-1",
		 "package_installed none 0 package=foo:amd64 version=1.0-1"},
		{D "upgrade foo:amd64 1.0-1 1.0-2",
		 "package_upgraded none 0 package=foo:amd64 version=1.0-2"},
		{D "remove foo:amd64 1.0-1 <none>",
		 "package_removed none 0 package=foo:amd64 version=1.0-1"},
		{D "purge foo:amd64 1.0-1 <none>",
		 "package_purged none 0 package=foo:amd64 version=1.0-1"},
		{D "status installed foo:amd64 1.0-1",
		 "package_status none 0 package=foo:amd64 version=1.0-1"},
		{D "conffile /etc/foo.conf keep", "package_conffile none 0"},
		{"2026-11-22T15:37:46Z install foo:amd64 <none> 1.0-1", "-"},
		{D "install", "-"},
		{"2026-11-22 15:37:46", "-"},
		{D "status installed", "-"},
		{"Start-Date: 2026-11-22  15:37:46", "apt_started none 0"},
		{"Commandline: apt install foo",
		 "apt_command none 0 command=apt install foo"},
		{"Requested-By: bob (1000)", "apt_requested none 0 user=bob"},
		{"Install: foo:amd64 (1.0-1), bar:amd64 (2, automatic)",
		 "apt_installed none 0 package=foo:amd64 (1.0-1), bar:amd64 (2, automatic)"},
		{"Purge: foo:amd64 (1.0-1)", "apt_removed none 0 package=foo:amd64 (1.0-1)"},
		{"Install: the new version (today)", "-"},
		{"Requested-By: bob", "-"},
		{"Start-Date: today", "-"},
		{L "opkg: Installing foo (1.0-1) to root...",
		 "package_installed none 0 package=foo version=1.0-1"},
		{L "opkg: Upgrading foo on root from 1.0-1 to 1.0-2...",
		 "package_upgraded none 0 package=foo version=1.0-2"},
		{L "opkg: Removing package foo from root...",
		 "package_removed none 0 package=foo"},
		{L "opkg: Configuring foo.", "package_configured none 0 package=foo"},
		{L "opkg: Downloading x", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void webmin_and_cockpit_are_read(void **state)
{
	static const struct line_case cases[] = {
		{H "webmin[7]: Successful login as root from 192.0.2.1",
		 "web_login success 1 user=root ip=192.0.2.1"},
		{H "webmin[7]: Invalid login as root from 192.0.2.1",
		 "web_login failure 1 user=root ip=192.0.2.1"},
		{H "webmin[7]: Non-existent login as a from 203.0.113.9 port 22 ssh2 from "
		   "192.0.2.1",
		 "web_login failure 1 user=a from 203.0.113.9 port 22 ssh2 ip=192.0.2.1"},
		{H "usermin[7]: Expired login as  from h.example.com",
		 "web_login failure 1 user= host=h.example.com"},
		{H "webmin[7]: Logout by root from 192.0.2.1",
		 "session_closed none 0 user=root ip=192.0.2.1"},
		{H "webmin[7]: Security alert: Host 192.0.2.1 blocked after 5 failed logins "
		   "for user Host 203.0.113.9 blocked",
		 "web_blocked none 0 user=Host 203.0.113.9 blocked ip=192.0.2.1"},
		{H "webmin[7]: Security alert: User bob blocked after 5 failed logins",
		 "web_blocked none 0 user=bob"},
		{H "webmin[7]: Webmin starting", "web_started none 0"},
		{H "webmin[7]: Unknown SSL certificate /CN=x", "-"},
		{H "cockpit-session[7]: pam_unix(cockpit:auth): authentication failure; "
		   "logname= uid=0 euid=0 tty= ruser= rhost=192.0.2.1  user=bob",
		 "web_login failure 1 user=bob ip=192.0.2.1"},
		{H "cockpit-session[7]: pam_unix(cockpit:session): session opened for user "
		   "bob(uid=1000) by (uid=0)",
		 "web_login success 1 user=bob"},
		{H "cockpit-session[7]: user account access failed: 7 bob: Authentication "
		   "failure", "web_login failure 0 user=bob"},
		{H "cockpit-ws[7]: User bob logged into session 5",
		 "session_opened success 0 user=bob"},
		{H "cockpit-ws[7]: hello", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logind_is_read),
		cmocka_unit_test(routers_are_read),
		cmocka_unit_test(packages_are_read),
		cmocka_unit_test(webmin_and_cockpit_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
