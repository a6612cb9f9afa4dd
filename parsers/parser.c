#include "parsers/parser.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/timefmt.h"
#include "parsers/family.h"
#include "parsers/share.h"
#include "parsers/trust.h"

enum {
	REPEATED_MAX = 100000,
	KNOWN_PROGRAMS = 64,
	FACILITY_AUTH = 4, /* RFC 5424, table 1 */
	FACILITY_AUTHPRIV = 10,
};

/* The family of a program seen before, by a hash of its name.  Only a memory: leaving it
 * out changes nothing. */
struct known_program {
	family_fn *family; /* NULL: free */
	struct share *share; /* NULL: not yet known */
	uint8_t n;
	char name[23];
};

struct parser {
	struct header_reader header;
	struct known_program known[KNOWN_PROGRAMS / 2][2]; /* the newer first */
	struct slots slots;
	char scratch[CONTEXT_SCRATCH];
	struct trust trust;
	struct header_more more; /* of the last line */
	bool odd;                /* likewise, see struct context */
	family_fn *family;       /* likewise */
	struct slice app;        /* likewise: who wrote it, if its header does not say; or empty */
	struct shares *shares;   /* NULL: nothing is counted */
	int source;              /* in shares; -1: too many */
};

int parser_new(struct parser **out, const struct zone *zone)
{
	struct parser *p = calloc(1, sizeof *p);

	if (p == NULL) {
		return UV_ENOMEM;
	}
	p->header.zone = zone;
	*out = p;
	return 0;
}

void parser_sender(struct parser *p, struct slice path)
{
	trust_init(&p->trust, path);
}

void parser_shares(struct parser *p, struct shares *shares, struct slice source)
{
	p->shares = shares;
	p->source = shares_source(shares, source);
}

void parser_free(struct parser *p)
{
	free(p);
}

int parser_save(const struct parser *p, struct buf *out)
{
	return slots_save(&p->slots, out);
}

int parser_load(struct parser *p, struct slice saved)
{
	return slots_load(&p->slots, saved);
}

/* ---- what families share ---- */

/* The bytes of hosts' names: letters, digits, dots, dashes, underscores. */
static const char host_bytes[256 + 1] =
	"................................"
	".............xx.xxxxxxxxxx......"
	".xxxxxxxxxxxxxxxxxxxxxxxxxx....x"
	".xxxxxxxxxxxxxxxxxxxxxxxxxx....."
	"................................"
	"................................"
	"................................"
	"................................";

/* Could be a host's name. */
static bool host_like(struct slice s)
{
	if (s.n == 0 || s.n > 255) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (host_bytes[(unsigned char)s.p[i]] != 'x') {
			return false;
		}
	}
	return true;
}

/* The address that is known of the process is one; it is kept as the event had it,
 * so that what is equal to it needs no other look. */
static inline bool known_ip(const struct slot *slot, struct slice a)
{
	return slot != NULL && slot->address_is_ip && slot->address[0] != '[' &&
	       slice_eq_short(a, slice(slot->address, slot->address_n));
}

/* ip_parse() of what is no dotted quad. */
static bool other_ip(struct slice a)
{
	struct ip ip;

	return a.n > 0 && (a.p[0] == '[' || slice_chr(a, ':') != SIZE_MAX) &&
	       ip_parse(a, &ip);
}

void set_source(struct context *c, struct slice a)
{
	if (a.n > 2 && a.p[0] == '[' && a.p[a.n - 1] == ']') {
		a = slice(a.p + 1, a.n - 2);
	}
	if (known_ip(c->slot, a) || ip_is_quad(a)) {
		event_set(c->e, FIELD_SOURCE_IP, a);
		return;
	}
	/* ::ffff:192.0.2.1 is 192.0.2.1. */
	if (a.n > 7 && slice_eq_nocase(slice_head(a, 7), SLICE_LIT("::ffff:")) &&
	    ip_is_quad(slice_skip(a, 7))) {
		event_set(c->e, FIELD_SOURCE_IP, slice_skip(a, 7));
		return;
	}
	if (other_ip(a)) {
		const char *zone = memchr(a.p, '%', a.n);

		if (zone != NULL) {
			a.n = (size_t)(zone - a.p);
		}
		event_set(c->e, FIELD_SOURCE_IP, a);
	} else if (!host_like(a)) {
		c->odd = a.n > 1; /* "?" is said for none */
	} else if (!IS(a, "UNKNOWN") && !IS(a, "unknown")) {
		event_set(c->e, FIELD_SOURCE_ADDRESS, a);
	}
}

void set_port(struct context *c, struct slice port)
{
	unsigned v = 0;

	if (port.n == 0 || port.n > 5) {
		return;
	}
	for (size_t i = 0; i < port.n; i++) {
		if (!is_digit(port.p[i])) {
			return;
		}
		v = v * 10 + (unsigned)(port.p[i] - '0');
	}
	if (v <= 65535) {
		event_set(c->e, FIELD_SOURCE_PORT, port);
	}
}

void slot_give(const struct slot *s, struct event *e)
{
	struct slice a = slice(s->address, s->address_n);

	if (!event_has(e, FIELD_USER_NAME) && s->user_n > 0) {
		event_set(e, FIELD_USER_NAME, slice(s->user, s->user_n));
	}
	if (!event_has(e, FIELD_SOURCE_IP) &&
	    !event_has(e, FIELD_SOURCE_ADDRESS) && a.n > 0) {
		event_set(e, s->address_is_ip ? FIELD_SOURCE_IP
					      : FIELD_SOURCE_ADDRESS, a);
	}
	/* The port belongs to the address beside it. */
	if (!event_has(e, FIELD_SOURCE_PORT) && s->port_n > 0 &&
	    (slice_eq_short(event_get(e, FIELD_SOURCE_IP), a) ||
	     slice_eq_short(event_get(e, FIELD_SOURCE_ADDRESS), a))) {
		event_set(e, FIELD_SOURCE_PORT, slice(s->port, s->port_n));
	}
}

void say_failure(struct context *c, enum count kind, uint32_t n)
{
	c->e->outcome = OUTCOME_FAILURE;
	c->e->attempts = slot_count(c->slot, kind,
				    kind == COUNT_FLOOR ? n : n * c->times);
}

void say_success(struct context *c)
{
	c->e->outcome = OUTCOME_SUCCESS;
	c->e->attempts = c->times;
	if (c->slot != NULL) {
		slot_again(c->slot);
		c->slot->flags = SLOT_SUCCESS;
	}
}

void say_pending(struct context *c)
{
	c->e->outcome = OUTCOME_UNKNOWN;
	c->e->attempts = 0;
	if (c->slot != NULL) {
		c->slot->flags |= SLOT_PENDING;
	}
}

/* ---- dispatch ---- */

struct program {
	struct slice name;
	family_fn *family;
};

#define PROGRAM(name, family) {TEXT(name), family}

/* Short names first: the search ends at the first that is longer. */
static const struct program programs[] = {
	PROGRAM("su", family_su),
	PROGRAM("SSH", family_dropbear),
	PROGRAM("SMS", family_router),
	PROGRAM("SIM", family_router),
	PROGRAM("GPS", family_router),
	PROGRAM("sshd", family_sshd),
	PROGRAM("sudo", family_sudo),
	PROGRAM("CRON", family_cron),
	PROGRAM("cron", family_cron),
	PROGRAM("chfn", family_accounts),
	PROGRAM("chsh", family_accounts),
	PROGRAM("doas", family_desktop),
	PROGRAM("ftpd", family_ftp),
	PROGRAM("smbd", family_apps),
	PROGRAM("mono", family_apps),
	PROGRAM("luci", family_router),
	PROGRAM("LuCI", family_router),
	PROGRAM("rpcd", family_router),
	PROGRAM("vuci", family_router),
	PROGRAM("DHCP", family_router),
	PROGRAM("WiFi", family_router),
	PROGRAM("Fota", family_router),
	PROGRAM("FOTA", family_router),
	PROGRAM("opkg", family_package),
	PROGRAM("login", family_login),
	PROGRAM("crond", family_cron),
	PROGRAM("CROND", family_cron),
	PROGRAM("chage", family_accounts),
	PROGRAM("nginx", family_web),
	PROGRAM("httpd", family_web),
	PROGRAM("gitea", family_apps),
	PROGRAM("WebUI", family_router),
	PROGRAM("mwan3", family_router),
	PROGRAM("quota", family_router),
	PROGRAM("audit", family_router),
	PROGRAM("ulogd", family_kernel),
	PROGRAM("ipsec", family_strongswan),
	PROGRAM("passwd", family_accounts),
	PROGRAM("pkexec", family_desktop),
	PROGRAM("vsftpd", family_ftp),
	PROGRAM("uhttpd", family_router),
	PROGRAM("CONFIG", family_router),
	PROGRAM("Reboot", family_router),
	PROGRAM("Mobile", family_router),
	PROGRAM("Signal", family_router),
	PROGRAM("Switch", family_router),
	PROGRAM("kernel", family_kernel),
	PROGRAM("charon", family_strongswan),
	PROGRAM("webmin", family_webmin),
	PROGRAM("Lidarr", family_apps),
	PROGRAM("Sonarr", family_apps),
	PROGRAM("Radarr", family_apps),
	PROGRAM("useradd", family_accounts),
	PROGRAM("usermod", family_accounts),
	PROGRAM("userdel", family_accounts),
	PROGRAM("gpasswd", family_accounts),
	PROGRAM("crontab", family_cron),
	PROGRAM("anacron", family_cron),
	PROGRAM("polkitd", family_desktop),
	PROGRAM("proftpd", family_ftp),
	PROGRAM("wu-ftpd", family_ftp),
	PROGRAM("dovecot", family_mail),
	PROGRAM("apache2", family_web),
	PROGRAM("openvpn", family_openvpn),
	PROGRAM("Startup", family_router),
	PROGRAM("php-fpm", family_router),
	PROGRAM("audispd", family_audit),
	PROGRAM("dnsmasq", family_dnsmasq),
	PROGRAM("hostapd", family_hostapd),
	PROGRAM("usermin", family_webmin),
	PROGRAM("haproxy", family_web),
	PROGRAM("forgejo", family_apps),
	PROGRAM("dropbear", family_dropbear),
	PROGRAM("newusers", family_accounts),
	PROGRAM("Prowlarr", family_apps),
	PROGRAM("jellyfin", family_apps),
	PROGRAM("chpasswd", family_accounts),
	PROGRAM("groupadd", family_accounts),
	PROGRAM("groupdel", family_accounts),
	PROGRAM("groupmod", family_accounts),
	PROGRAM("Failover", family_router),
	PROGRAM("smsutils", family_router),
	PROGRAM("Topology", family_router),
	PROGRAM("sshd-auth", family_sshd),
	PROGRAM("pure-ftpd", family_ftp),
	PROGRAM("filterlog", family_filter),
	PROGRAM("sms_utils", family_router),
	PROGRAM("mwan3track", family_router),
	PROGRAM("cockpit-ws", family_cockpit),
	PROGRAM("vaultwarden", family_apps),
	PROGRAM("sshd-session", family_sshd),
	PROGRAM("dnsmasq-dhcp", family_dnsmasq),
	PROGRAM("audisp-syslog", family_audit),
	PROGRAM("systemd-logind", family_logind),
	PROGRAM("charon-systemd", family_strongswan),
	PROGRAM("nightjar-watch", family_watch),
	PROGRAM("cockpit-session", family_cockpit),
};

static family_fn *search(struct slice name)
{
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		struct slice known = programs[i].name;

		if (known.n > name.n) {
			break;
		}
		if (known.n == name.n && known.p[0] == name.p[0] &&
		    slice_eq_short(known, name)) {
			return programs[i].family;
		}
	}
	/* "postfix/submission/smtpd": whatever the service is called in master.cf. */
	if (HAS(name, "postfix") && ENDS(name, "/smtpd")) {
		return family_mail;
	}
	if (HAS(name, "ovpn-")) {
		return family_openvpn;
	}
	return services_likely(name) && services_known(name) ? family_services : family_pam;
}

/* Families that take what matters of a program that mostly says other things: what they
 * leave is no sign that its words have changed. */
static bool takes_a_part(family_fn *family)
{
	return family == family_pam || family == family_kernel || family == family_dnsmasq ||
	       family == family_hostapd || family == family_strongswan ||
	       family == family_package || family == family_cockpit ||
	       family == family_services || family == family_apps || family == family_filter;
}

family_fn *family_known(struct slice name)
{
	family_fn *family = name.n == 0 ? family_pam : search(name);

	return takes_a_part(family) ? NULL : family;
}

/* NULL: the name is too long to be remembered. */
static struct known_program *find_known(struct parser *p, struct slice name)
{
	struct known_program *k;

	if (name.n > sizeof k->name) {
		return NULL;
	}
	k = p->known[(slot_key(0, name) >> 32) % (KNOWN_PROGRAMS / 2)];
	for (int i = 0; i < 2; i++) {
		if (k[i].family != NULL && slice_eq_short(name, slice(k[i].name, k[i].n))) {
			return &k[i];
		}
	}
	k[1] = k[0];
	k[0] = (struct known_program){.family = search(name), .n = (uint8_t)name.n};
	memcpy(k->name, name.p, name.n);
	return k;
}

/* The line's tag may know it already. */
static family_fn *find_family(struct parser *p, struct slice name,
			      struct tag *tag)
{
	struct known_program *k;
	family_fn *family;

	if (tag != NULL && tag->family != NULL) {
		return tag->family;
	}
	k = find_known(p, name);
	family = k == NULL ? search(name) : k->family;
	if (tag != NULL) {
		tag->family = family;
		tag->share = k == NULL ? NULL : k->share;
	}
	return family;
}

/* Lines whose header names no program tell by their form who wrote them. */
static family_fn *find_by_form(const struct header *h,
			       const struct header_more *more)
{
	if (more->package || (h->format == HEADER_NONE && h->priority < 0)) {
		return family_package;
	}
	if (h->format != HEADER_OTHER) {
		/* "auth.info: Invalid user ...": a daemon that writes no tag.
		 * What sshd says is like nothing else. */
		return h->priority / 8 == FACILITY_AUTH ||
				       h->priority / 8 == FACILITY_AUTHPRIV
			       ? family_sshd
			       : family_pam;
	}
	if (more->web) {
		return family_web;
	}
	if (HAS(h->message, "type=") || HAS(h->message, "node=")) {
		return family_audit;
	}
	if (HAS(h->message, "[pid ")) {
		return family_ftp;
	}
	return family_pam;
}

/* rsyslog's "message repeated 5 times: [ text]". */
static void unwrap_repeated(struct context *c)
{
	struct slice t = c->m, digits;
	uint64_t n;

	if (!TAKE(&t, "message repeated ") || !take_digits(&t, &digits) ||
	    !TAKE(&t, " times: [") || !TAKE_END(&t, "]") ||
	    !slice_to_u64(digits, REPEATED_MAX, &n) || n == 0) {
		return;
	}
	TAKE(&t, " ");
	c->m = t;
	c->times = (uint32_t)n;
}

/* The header's reader wrote pointer and length a moment ago, apart; reading both
 * with one wide load, as compilers would, waits until they are in the cache. */
static inline struct slice message_of(const struct header *h)
{
	const char *const volatile *p = &h->message.p;

	return slice(*p, h->message.n);
}

/* A line that names no program, or whose first words were taken for one, and that no family
 * knew: an application's own file.  Of what somebody vouches for each line has a name. */
static bool read_app(struct parser *p, struct context *c)
{
	c->slot = NULL;
	if (p->trust.source != TRUST_ALL || !family_apps(c)) {
		event_reset(c->e);
		return false;
	}
	p->app = c->app;
	return true;
}

static void read_event(struct parser *p, int64_t observed_ns,
		       const struct header *h, const struct header_more *more,
		       struct event *e)
{
	family_fn *family = h->program.n == 0 ? find_by_form(h, more)
					      : find_family(p, h->program, more->tag);
	int64_t now_ns = h->time_ns != TIME_NONE ? h->time_ns : observed_ns;
	struct context c = {.m = message_of(h), .h = h, .more = more, .e = e,
			    .slots = &p->slots, .now_s = now_ns / NS_PER_S,
			    .times = 1, .scratch = p->scratch};

	if (HAS(c.m, "message repeated ")) {
		unwrap_repeated(&c);
	}
	/* What families say of category, type and action is theirs, never the
	 * line's. */
	e->constant = true;
	if (!family(&c)) {
		event_reset(e);
		if (more->body.n + more->object.n > 0 && read_app(p, &c)) {
			family = family_apps;
		}
	}
	p->odd = c.odd;
	p->family = family;
}

/* What is not believed is not even read: it would be mixed up with what the daemon of
 * that name says of its connections. */
static void read_judged(struct parser *p, int64_t observed_ns, const struct header *h,
			const struct header_more *more, struct event *e)
{
	struct slice uid;
	enum trust_verdict verdict = trust_judge(&p->trust, h, &uid);

	if (verdict != TRUST_NOT) {
		read_event(p, observed_ns, h, more, e);
	} else if (h->program.n > 0) {
		e->constant = true;
		event_set(e, FIELD_EVENT_CATEGORY, SLICE_LIT("intrusion_detection"));
		event_set(e, FIELD_EVENT_TYPE, SLICE_LIT("info"));
		event_set(e, FIELD_EVENT_ACTION, SLICE_LIT("unproved_sender"));
		event_set(e, FIELD_EVENT_REASON,
			  SLICE_LIT("no such user can run the program that the line names"));
	}
	if (verdict == TRUST_LOCALLY) {
		event_unset(e, FIELD_SOURCE_IP);
		event_unset(e, FIELD_SOURCE_ADDRESS);
		event_unset(e, FIELD_SOURCE_PORT);
	}
	if (event_understood(e) && uid.n > 0) {
		event_set(e, FIELD_PROCESS_USER_ID, uid);
	}
}

void parser_line(struct parser *p, struct slice line, int64_t observed_ns,
		 struct header *h, struct event *e)
{
	event_reset(e);
	p->family = NULL;
	p->app = SLICE_NONE;
	/* Lines that came by way of Windows, or of a terminal. */
	line.n -= line.n > 0 && line.p[line.n - 1] == '\r';
	header_read(&p->header, line, observed_ns, h, &p->more);
	if (p->trust.source == TRUST_ALL) {
		read_event(p, observed_ns, h, &p->more, e);
	} else {
		read_judged(p, observed_ns, h, &p->more, e);
	}
	if (p->app.n > 0) {
		h->program = p->app;
		h->host = SLICE_NONE;
		h->pid = SLICE_NONE;
	}
}

/* What a line without a program's name is counted as. */
static const char *form_name(family_fn *family)
{
	return family == family_web	? "web log"
	       : family == family_audit ? "audit log"
	       : family == family_ftp	? "ftp log"
	       : family == family_sshd	? "sshd"
					: NULL;
}

static void count_slowly(struct parser *p, const struct record *r, bool understood)
{
	const struct header *h = &r->header;
	struct tag *tag = p->more.tag;
	struct share *share = tag == NULL ? NULL : tag->share;
	struct known_program *k =
		share != NULL || h->program.n == 0 ? NULL : find_known(p, h->program);
	struct share_line l = {
		.line = r->line,
		.h = h,
		.understood = understood,
		.form = h->program.n > 0 ? NULL : form_name(p->family),
		.family = takes_a_part(p->family) ? NULL : p->family,
		.share = k == NULL ? share : k->share,
		.now_ns = record_time_ns(r),
	};

	if (share_short(l.share, understood)) {
		return;
	}
	if (h->program.n == 0 && l.form == NULL) {
		l.family = NULL; /* A line of any form: not one that somebody is known by. */
	}
	share = shares_line(p->shares, p->source, &l);
	if (k != NULL) {
		k->share = share;
	}
	if (tag != NULL) {
		tag->share = share;
	}
}

const char *parser_family(const struct parser *p)
{
	return p->family == NULL ? NULL : family_name(p->family);
}

/* A name in quotes is one that was not taken out of them. */
static inline bool quoted(const struct slice *name)
{
	return name->n >= 2 && (name->p[0] == '"' || name->p[0] == '\'') &&
	       name->p[name->n - 1] == name->p[0];
}

void parser_count(struct parser *p, const struct record *r)
{
	struct tag *tag = p->more.tag;
	bool understood = event_understood(&r->event) & !p->odd;

	if (event_has(&r->event, FIELD_USER_NAME) && quoted(&r->event.f[FIELD_USER_NAME])) {
		understood = false;
	}
	if (p->shares != NULL && !share_short(tag == NULL ? NULL : tag->share, understood)) {
		count_slowly(p, r, understood);
	}
}
