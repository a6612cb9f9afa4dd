/* family: what parser.c and the files of the program families share.  Internal
 * to parsers/.
 *
 * A family is a function that gets the message of a line whose program it knows
 * and fills in the event.  It returns false for a message that it does not know,
 * and parser.c then empties the event.
 *
 * Every wording is anchored: it is compared from its first byte, and from its last
 * one back when something in between is the attacker's to choose.
 */
#ifndef PARSERS_FAMILY_H
#define PARSERS_FAMILY_H

#include "common/ip.h"
#include "common/record.h"
#include "parsers/header.h"
#include "parsers/scan.h"
#include "parsers/slots.h"

enum { CONTEXT_SCRATCH = 1024 };

struct context {
	struct slice m;          /* the message */
	const struct header *h;
	const struct header_more *more;
	struct event *e;
	struct slots *slots;
	struct slot *slot;       /* this process', by ctx_slot(); or NULL */
	int64_t now_s;           /* the line's time, or when it was read */
	uint32_t times;          /* "message repeated N times" */
	bool odd;                /* something is not what it is in such lines */
	char *scratch;           /* CONTEXT_SCRATCH bytes that live until the next line */
	size_t scratch_n;        /* so many of them are taken */
	struct slice app;        /* who wrote a line that names no program; apps.c */
};

typedef bool family_fn(struct context *c);

/* The family of a program whose lines are known by its name, or NULL.  parser.c */
family_fn *family_known(struct slice name);
/* "sshd"; for people.  family_name.c */
const char *family_name(family_fn *family);

family_fn family_sshd, family_pam, family_sudo, family_su, family_login,
	family_dropbear, family_accounts, family_logind, family_cron,
	family_desktop, family_ftp, family_mail, family_web, family_openvpn,
	family_router, family_audit, family_watch, family_kernel, family_dnsmasq,
	family_hostapd, family_package, family_strongswan, family_webmin,
	family_cockpit, family_services, family_apps, family_filter;

/* A program that family_services has forms for.  services.c */
bool services_known(struct slice program);

/* Forms of daemons that write files of their own: what stands behind a stamp.  services.c */
bool services_bare(struct context *c, struct slice m);
/* A line of Asterisk, behind syslog's header or as its own files have it.  asterisk.c */
bool asterisk_line(struct context *c, struct slice m);

struct members;

/* Of lines that name no program: a line of members (JSON, or name=value), app_members.c; an
 * access log, app_access.c; RouterOS' packets, filter.c. */
bool app_members(struct context *c, struct slice m);
bool app_access(struct context *c, const struct members *m);
bool app_gin(struct context *c, struct slice m);
bool filter_routeros(struct context *c, struct slice m);

/* Whether it could be one, by its length and first letter: most are not. */
static inline bool services_likely(struct slice program)
{
#define FIRST(c) (UINT32_C(1) << ((c) & 31))
	static const uint32_t letters[16] = {
		[4] = FIRST('i') | FIRST('p') | FIRST('e'),
		[5] = FIRST('i') | FIRST('p') | FIRST('e') | FIRST('s') | FIRST('m'),
		[6] = FIRST('m') | FIRST('s'),
		[7] = FIRST('m'),
		[8] = FIRST('s') | FIRST('l') | FIRST('m') | FIRST('p') | FIRST('a'),
		[9] = FIRST('s') | FIRST('i') | FIRST('p') | FIRST('r'),
		[10] = FIRST('c') | FIRST('p'),
		[11] = FIRST('c') | FIRST('x'),
		[12] = FIRST('x'),
	};

	return program.n < 16 && (letters[program.n] & FIRST(program.p[0])) != 0;
#undef FIRST
}

/* Numbers for slot_key(): programs that write about one connection share one. */
enum { SLOTS_SSHD = 1, SLOTS_OTHER, SLOTS_SUDO, SLOTS_DROPBEAR, SLOTS_AUDIT,
       SLOTS_SU, SLOTS_OPENVPN, SLOTS_LOGIN, SLOTS_DOAS, SLOTS_ASTERISK };

/* Finds the slot of (host, family, pid); leaves c->slot NULL without a pid. */
static inline void ctx_slot(struct context *c, unsigned family)
{
	if (c->slot == NULL && c->h->pid.n > 0) {
		struct tag *tag = c->more->tag;
		uint64_t host;

		if (tag != NULL && tag->slots_family == family) {
			host = tag->host_key;
		} else {
			host = slot_host(c->h->host, family);
			if (tag != NULL) {
				tag->host_key = host;
				tag->slots_family = family;
			}
		}
		c->slot = slots_get(c->slots, slot_key(host, c->h->pid),
				    c->now_s);
	}
}

/* The same for a program that logs without its pid: by another id. */
static inline void ctx_slot_id(struct context *c, unsigned family,
			       struct slice id)
{
	if (c->slot == NULL) {
		c->slot = slots_get(c->slots,
				    slot_key(slot_host(c->h->host, family), id),
				    c->now_s);
	}
}

/* util-linux's login tells no pid: its lines are joined by where the attempt came from,
 * a host or a terminal.  Of one place others may come after each other, so nothing but
 * the counts is taken from it. */
static inline void ctx_slot_place(struct context *c, unsigned family,
				  struct slice place)
{
	if (slice_starts(place, SLICE_LIT("/dev/"))) {
		place = slice_skip(place, 5);
	}
	if (c->h->pid.n == 0 && place.n > 0) {
		ctx_slot_id(c, family, place);
	}
}

#define SET(c, field, text) \
	event_set((c)->e, FIELD_##field, SLICE_LIT(text))

/* category, type and action as literals. */
#define SAY(c, category, type, action)          \
	do {                                    \
		SET(c, EVENT_CATEGORY, category);  \
		SET(c, EVENT_TYPE, type);          \
		SET(c, EVENT_ACTION, action);      \
	} while (0)

static inline void set_user(struct context *c, struct slice user)
{
	event_set(c->e, FIELD_USER_NAME, user);
}

/* source.ip if it is an address, source.address if it is a word that could be
 * a host's name; nothing at all for what is neither ("UNKNOWN", "?"). */
void set_source(struct context *c, struct slice address);
/* Digits of at most five places that make a port. */
void set_port(struct context *c, struct slice port);

/* A failed attempt told by this kind of line. */
void say_failure(struct context *c, enum count kind, uint32_t n);
/* A login that worked: one attempt, and the end of what was tried before. */
void say_success(struct context *c);
/* An attempt whose end this line does not tell; the line of the same process that
 * tells it, or its last one, will count it. */
void say_pending(struct context *c);

/* "pam_unix(sshd:auth): ..." and its older forms: understood here for every
 * program; false if the message is not PAM's.  pam.c */
bool pam_message(struct context *c, unsigned slots_family);

/* An event of RutOS; false: none that is known.  rutos.c */
bool rutos_event(struct context *c, struct slice m);

/* "2026-11-22 15:37:46 status installed ..": dpkg's log has words in the place of a host and
 * a program; if that is what stands at stamp (rest: behind it), *h and *more say so.
 * package.c */
void package_header(struct slice stamp, struct slice rest, struct header *h,
		    struct header_more *more);

/* "00:11:22:aa:bb:cc" */
static inline bool mac_like(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char b = (unsigned char)s.p[i] | 0x20;

		if (i % 3 == 2 ? s.p[i] != ':'
			       : !is_digit(s.p[i]) && (b < 'a' || b > 'f')) {
			return false;
		}
	}
	return s.n == 17;
}

/* A record of auditd: its type by name or number, its serial number (empty: not told),
 * its fields.  False: no type that is known.  audit.c */
bool audit_record(struct context *c, struct slice type, struct slice serial,
		  struct slice fields);

/* Whether it could be one, by its first byte: cheap, for families whose lines
 * mostly are not. */
static inline bool pam_likely(const struct context *c)
{
	return c->m.n >= 8 && (c->m.p[0] == 'p' || c->m.p[0] == 'P' ||
			       c->m.p[0] == '(' || c->m.p[0] == 'a' ||
			       c->more->module.n > 0);
}

#endif
