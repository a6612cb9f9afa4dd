/* header: the part of a line that the log daemon wrote: stamp, host, program,
 * pid.  Internal to parsers/.
 *
 * Sources: RFC 3164 section 4, RFC 5424 section 6, RFC 3339 section 5.6;
 * rsyslog's and syslog-ng's default templates; busybox syslogd.c (timestamp_and_log)
 * for "host facility.level tag:"; OpenWrt ubox log/logread.c (log_notify) for
 * "Www Mmm dd hh:mm:ss yyyy facility.level tag:"; Solaris msgids "[ID n fac.sev]".
 */
#ifndef PARSERS_HEADER_H
#define PARSERS_HEADER_H

#include <endian.h>

#include "common/record.h"
#include "parsers/scan.h"
#include "parsers/zone.h"

/* The last stamp seen down to its minute, so that the next line of the same
 * minute costs a comparison.  Only a memory: leaving it out changes nothing. */
struct stamp_cache {
	char text[20];
	size_t n;                   /* bytes of it, 0: empty */
	int64_t minute_s;           /* Unix time of second 0 */
	int64_t from_ns, until_ns;  /* holds for lines read in [from, until) */
	char zone[6];               /* "+01:00" behind the last ISO stamp */
	uint8_t zone_n;             /* bytes of it, 0: none was there */
	int zone_s;                 /* seconds east */
};

struct context;
struct share;

/* A "host program[" or "host program: " seen before, for the same reason: most
 * streams have one host and a few programs. */
struct tag {
	char text[67];
	uint8_t n;                  /* bytes of it, 0: free */
	uint8_t host_n;
	uint8_t program, program_n; /* where it begins, without folders */
	bool has_pid;
	bool (*family)(struct context *c); /* parser.c's; NULL: not yet known */
	struct share *share; /* parser.c's: where its lines are counted; NULL: not yet known */
	unsigned slots_family; /* what host_key was made for; 0: nothing */
	uint64_t host_key;     /* slot_host() of the host */
};

enum { TAG_SETS = 32 }; /* of two */

struct header_reader {
	const struct zone *zone;    /* kept; NULL: UTC */
	struct stamp_cache bsd, iso;
	struct tag tags[TAG_SETS][2]; /* the newer first */
	size_t host_n;              /* of the last plain tag */
};

/* What the header tells that struct header has no field for. */
struct header_more {
	struct slice module;        /* "pam_unix" of "su(pam_unix)[1]:" */
	bool web;                   /* an access or error log of a web server */
	struct tag *tag;            /* the one that the line begins with, or NULL */
	bool package;               /* dpkg's log */
	struct slice body;          /* of a line without "host program: ": all behind its stamp */
	struct slice object;        /* a line that is a JSON object, whatever its message is */
};

void header_read(struct header_reader *r, struct slice line,
		 int64_t observed_ns, struct header *h,
		 struct header_more *more);

enum {
	BSD_MINUTE = 13, /* "Nov 22 15:37:" */
	ISO_MINUTE = 17, /* "2026-11-22T15:37:" */
};

/* stamp_bsd() for a stamp of the minute seen last, without a year or a fraction;
 * false when it is not that. */
static inline bool stamp_bsd_again(const struct stamp_cache *c, struct slice *s,
				   int64_t observed_ns, int64_t *ns)
{
	const char *p = s->p;
	unsigned ten, one;

	if (c->n != BSD_MINUTE || s->n <= 15 || p[15] != ' ' ||
	    memcmp(p, c->text, BSD_MINUTE) != 0 || observed_ns < c->from_ns ||
	    observed_ns >= c->until_ns) {
		return false;
	}
	ten = (unsigned)(unsigned char)p[13] - '0';
	one = (unsigned)(unsigned char)p[14] - '0';
	/* What a digit follows may be a year. */
	if (ten > 5 || one > 9 ||
	    (s->n > 20 && (unsigned)(unsigned char)p[16] - '0' <= 9)) {
		return false;
	}
	*ns = (c->minute_s + (int64_t)(ten * 10 + one)) * 1000000000;
	s->p += 15;
	s->n -= 15;
	return true;
}

/* The number of the six digits behind the two bytes at p, all at once: pairs are
 * joined, then those (D. Lemire, "Quickly parsing eight digits"). */
static inline bool stamp_micros(const char *p, uint32_t *out)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t word;

	memcpy(&word, p, sizeof word);
	word = le64toh(word) >> 16;
	/* See slice_digits(); two zeros behind them stand for the digits missing. */
	word |= ones * '0' & ~(~UINT64_C(0) >> 16);
	if (((word | (word - ones * '0') | (word + ones * (0x7f - '9'))) &
	     ones * 0x80) != 0) {
		return false;
	}
	word -= ones * '0';
	word = (word * 10 + (word >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
	word = (word * 100 + (word >> 16)) & UINT64_C(0x0000ffff0000ffff);
	word = word * 10000 + (word >> 32);
	*out = (uint32_t)word / 100;
	return true;
}

/* stamp_iso() for "2026-11-22T15:37:46.123456+01:00" of the minute and with the zone
 * seen last. */
static inline bool stamp_iso_again(const struct stamp_cache *c, struct slice *s,
				   int64_t *ns)
{
	const char *p = s->p;
	size_t end = 26u + c->zone_n;
	unsigned ten, one;
	uint32_t micros;

	if (c->zone_n == 0 || c->n != ISO_MINUTE || s->n <= end ||
	    p[end] != ' ' || p[19] != '.' ||
	    memcmp(p, c->text, ISO_MINUTE) != 0 ||
	    (c->zone_n == 6 ? memcmp(p + 26, c->zone, 6) != 0
			    : memcmp(p + 26, c->zone, c->zone_n) != 0)) {
		return false;
	}
	ten = (unsigned)(unsigned char)p[17] - '0';
	one = (unsigned)(unsigned char)p[18] - '0';
	if (ten > 6 || one > 9 || ten * 10 + one > 60 ||
	    !stamp_micros(p + 18, &micros)) {
		return false;
	}
	*ns = (c->minute_s - c->zone_s + (int64_t)(ten * 10 + one)) * 1000000000 +
	      (int64_t)micros * 1000;
	s->p += end;
	s->n -= end;
	return true;
}

/* Without the folders in front: "/usr/sbin/cron". */
static inline struct slice header_base_name(struct slice name)
{
	struct slice base;

	if (name.n > 0 && name.p[0] == '/' && take_last(&name, '/', &base)) {
		return base;
	}
	return name;
}

/* What follows the priority: "1 STAMP HOST APP PROCID MSGID SD MSG".  On false nothing is
 * changed.  header_5424.c */
bool header_5424(struct header_reader *r, struct slice s, int64_t observed_ns,
		 struct header *h);

/* A line that is a JSON object with a message, which may be a line of syslog itself; false:
 * it is none, or says with escapes what is taken of it.  *h: empty but for its message, and
 * points into the line.  header_json.c */
bool header_json(struct header_reader *r, struct slice line, int64_t observed_ns,
		 struct header *h, struct header_more *more);

/* A stamp at the start of s; moves behind it.  TIME_NONE in *ns is impossible
 * when true.  stamp.c */
bool stamp_bsd(struct header_reader *r, struct slice *s, int64_t observed_ns,
	       int64_t *ns);
bool stamp_iso(struct header_reader *r, struct slice *s, int64_t observed_ns,
	       int64_t *ns);
/* "Sun Nov 22 15:37:46 2026" */
bool stamp_asctime(struct header_reader *r, struct slice *s,
		   int64_t observed_ns, int64_t *ns);
/* "22/Nov/2026:15:37:46 +0100" */
bool stamp_clf(struct slice *s, int64_t *ns);
/* "1700000000.123" as seconds since 1970 */
bool stamp_epoch(struct slice *s, int64_t *ns);

#endif
