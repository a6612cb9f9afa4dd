#include "parsers/trust.h"

#include <string.h>

#include "parsers/family.h"

/* Who runs it. */
enum who {
	ROOT,   /* the superuser, always */
	SYSTEM, /* he or an account of the system */
	KERNEL, /* nobody: its lines come without a user */
	ANYONE,
};

struct program {
	struct slice name;
	enum who who;
};

#define PROGRAM(name, who) {{name, sizeof name - 1}, who}
/* Programs whose lines are logins or changes of accounts; parser.c has the families. */
static const struct program programs[] = {
	PROGRAM("sshd", ROOT),
	PROGRAM("sshd-session", ROOT),
	PROGRAM("sshd-auth", ROOT),
	PROGRAM("dropbear", ROOT),
	PROGRAM("login", ROOT),
	PROGRAM("systemd-logind", ROOT),
	PROGRAM("CRON", ROOT),
	PROGRAM("cron", ROOT),
	PROGRAM("crond", ROOT),
	PROGRAM("CROND", ROOT),
	PROGRAM("anacron", ROOT),
	PROGRAM("useradd", ROOT),
	PROGRAM("usermod", ROOT),
	PROGRAM("userdel", ROOT),
	PROGRAM("groupadd", ROOT),
	PROGRAM("groupmod", ROOT),
	PROGRAM("groupdel", ROOT),
	PROGRAM("newusers", ROOT),
	PROGRAM("chpasswd", ROOT),
	PROGRAM("audit", ROOT),
	PROGRAM("audispd", ROOT),
	PROGRAM("audisp-syslog", ROOT),
	PROGRAM("nightjar-watch", ROOT),
	PROGRAM("kernel", KERNEL),
	PROGRAM("hostapd", ROOT),
	PROGRAM("charon", ROOT),
	PROGRAM("charon-systemd", ROOT),
	PROGRAM("ipsec", ROOT),
	PROGRAM("webmin", ROOT),
	PROGRAM("usermin", ROOT),
	PROGRAM("opkg", ROOT),
	PROGRAM("cockpit-session", ROOT),
	PROGRAM("SSH", ROOT),
	PROGRAM("WebUI", ROOT),
	PROGRAM("CONFIG", ROOT),
	PROGRAM("cockpit-ws", SYSTEM),
	PROGRAM("dnsmasq", SYSTEM),
	PROGRAM("dnsmasq-dhcp", SYSTEM),
	PROGRAM("polkitd", SYSTEM),
	PROGRAM("ftpd", SYSTEM),
	PROGRAM("vsftpd", SYSTEM),
	PROGRAM("proftpd", SYSTEM),
	PROGRAM("wu-ftpd", SYSTEM),
	PROGRAM("pure-ftpd", SYSTEM),
	PROGRAM("dovecot", SYSTEM),
	PROGRAM("nginx", SYSTEM),
	PROGRAM("httpd", SYSTEM),
	PROGRAM("apache2", SYSTEM),
	PROGRAM("openvpn", SYSTEM),
	PROGRAM("luci", SYSTEM),
	PROGRAM("LuCI", SYSTEM),
	PROGRAM("uhttpd", SYSTEM),
	PROGRAM("rpcd", SYSTEM),
	PROGRAM("vuci", SYSTEM),
	PROGRAM("php-fpm", SYSTEM),
};

void trust_init(struct trust *t, struct slice path)
{
	static const struct slice mark = {" uid=", 5};
	size_t at = slice_rfind(path, mark);
	uint64_t n;

	*t = (struct trust){.source = TRUST_ALL};
	if (slice_starts(path, SLICE_LIT("journal:"))) {
		t->source = TRUST_JOURNAL;
	} else if (slice_starts(path, SLICE_LIT("unix:"))) {
		struct slice uid = at < path.n ? slice_skip(path, at + mark.n) : SLICE_NONE;

		t->source = TRUST_USER;
		if (uid.n < sizeof t->uid && slice_to_u64(uid, UINT32_MAX, &n)) {
			memcpy(t->uid, uid.p, uid.n);
		}
	}
}

/* journald's _UID, which is the first of the structured data. */
static struct slice journal_uid(struct slice sd)
{
	static const struct slice head = {"[journal@32473 _UID=\"", 21};
	size_t at;

	if (!slice_starts(sd, head)) {
		return SLICE_NONE;
	}
	sd = slice_skip(sd, head.n);
	at = slice_find(sd, SLICE_LIT("\""));
	return slice_head(sd, at < sd.n ? at : 0);
}

/* journald had it from the kernel's audit: then the kernel itself wrote it, or somebody with
 * CAP_AUDIT_WRITE, and _UID is only whom it is about.  It stands in front of all that is not
 * journald's, behind _UID or, of a record without one, first. */
static bool from_audit(struct slice sd)
{
	static const struct slice head = {"[journal@32473 ", 15};
	static const struct slice mark = {"_TRANSPORT=\"audit\"", 18};
	struct slice uid = journal_uid(sd);

	if (!slice_starts(sd, head)) {
		return false;
	}
	sd = slice_skip(sd, head.n);
	if (uid.n > 0) {
		sd = slice_skip(sd, 6 + uid.n + 1); /* _UID="..." */
		if (!slice_starts(sd, SLICE_LIT(" "))) {
			return false;
		}
		sd = slice_skip(sd, 1);
	}
	return slice_starts(sd, mark);
}

/* Not a person's: login.defs(5) SYS_UID_MAX, systemd's ranges (systemd.io/UIDS-GIDS). */
static bool is_system(uint64_t uid)
{
	return uid < 1000 || (uid >= 61184 && uid <= 65535);
}

static enum who who_of(const struct header *h)
{
	if (h->program.n == 0) {
		return ROOT; /* What it is, only its form tells. */
	}
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		if (slice_eq(programs[i].name, h->program)) {
			return programs[i].who;
		}
	}
	return slice_starts(h->program, SLICE_LIT("ovpn-")) ||
			       slice_starts(h->program, SLICE_LIT("postfix")) ||
			       services_known(h->program)
		       ? SYSTEM
		       : ANYONE;
}

enum trust_verdict trust_judge(const struct trust *t, const struct header *h,
			       struct slice *uid)
{
	uint64_t n = UINT64_MAX;

	*uid = t->source == TRUST_JOURNAL ? journal_uid(h->structured)
					  : slice(t->uid, strlen(t->uid));
	if (t->source == TRUST_ALL) {
		return TRUST_WHOLLY;
	}
	if (!slice_to_u64(*uid, UINT32_MAX, &n)) {
		n = UINT64_MAX;
		*uid = SLICE_NONE;
	}
	if (n == 0 || (t->source == TRUST_JOURNAL && from_audit(h->structured) &&
		       slice_eq(h->program, SLICE_LIT("audit")))) {
		return TRUST_WHOLLY;
	}
	switch (who_of(h)) {
	case ROOT:
		return TRUST_NOT;
	case SYSTEM:
		return is_system(n) ? TRUST_WHOLLY : TRUST_NOT;
	case KERNEL:
		return t->source == TRUST_JOURNAL && journal_uid(h->structured).n == 0
			       ? TRUST_WHOLLY
			       : TRUST_NOT;
	case ANYONE:
		break;
	}
	return is_system(n) ? TRUST_WHOLLY : TRUST_LOCALLY;
}
