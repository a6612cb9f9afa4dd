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

#include "common/record.h"
#include "parsers/zone.h"

/* The last stamp seen down to its minute, so that the next line of the same
 * minute costs a comparison.  Only a memory: leaving it out changes nothing. */
struct stamp_cache {
	char text[20];
	size_t n;                   /* bytes of it, 0: empty */
	int64_t minute_s;           /* Unix time of second 0 */
	int64_t from_ns, until_ns;  /* holds for lines read in [from, until) */
};

struct header_reader {
	const struct zone *zone;    /* kept; NULL: UTC */
	struct stamp_cache bsd, iso;
};

/* What the header tells that struct header has no field for. */
struct header_more {
	struct slice module;        /* "pam_unix" of "su(pam_unix)[1]:" */
	bool web;                   /* an access or error log of a web server */
};

void header_read(struct header_reader *r, struct slice line,
		 int64_t observed_ns, struct header *h,
		 struct header_more *more);

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
