#include "parsers/family.h"
#include "parsers/parser.h"

/* Each of them is a file of its name in this folder. */
static const struct {
	family_fn *family;
	const char *name;
} names[] = {
	{family_sshd, "sshd"},
	{family_pam, "pam"},
	{family_sudo, "sudo"},
	{family_su, "su"},
	{family_login, "login"},
	{family_dropbear, "dropbear"},
	{family_accounts, "accounts"},
	{family_logind, "logind"},
	{family_cron, "cron"},
	{family_desktop, "desktop"},
	{family_ftp, "ftp"},
	{family_mail, "mail"},
	{family_web, "web"},
	{family_openvpn, "openvpn"},
	{family_router, "router"},
	{family_audit, "audit"},
	{family_watch, "watch"},
	{family_kernel, "kernel"},
	{family_dnsmasq, "network"},
	{family_hostapd, "network"},
	{family_package, "package"},
	{family_strongswan, "strongswan"},
	{family_webmin, "admin"},
	{family_cockpit, "admin"},
	{family_services, "services"},
	{family_apps, "apps"},
	{family_filter, "filter"},
};

const char *family_name(family_fn *family)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (names[i].family == family) {
			return names[i].name;
		}
	}
	return "other";
}
