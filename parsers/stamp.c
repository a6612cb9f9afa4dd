#include "common/timefmt.h"
#include "parsers/header.h"
#include "parsers/scan.h"

#define HOUR_NS (3600 * NS_PER_S)
/* How far ahead of the reader's clock a stamp without a year may be: a day of
 * zone confusion and two hours of bad clocks. */
#define AHEAD_NS (26 * HOUR_NS)
#define ALMOST_A_YEAR_NS (363 * 24 * HOUR_NS)

static int two(const char *p)
{
	return is_digit(p[0]) && is_digit(p[1])
		       ? (p[0] - '0') * 10 + (p[1] - '0')
		       : -1;
}

static int four(const char *p)
{
	int a = two(p), b = two(p + 2);

	return a < 0 || b < 0 ? -1 : a * 100 + b;
}

static int month_of(const char *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++) {
		if (memcmp(p, names + i * 3, 3) == 0) {
			return i + 1;
		}
	}
	return 0;
}

static bool day_exists(int year, int month, int day)
{
	int y, m, d;

	if (month < 1 || month > 12 || day < 1 || day > 31) {
		return false;
	}
	time_civil(time_days(year, month, day), &y, &m, &d);
	return m == month && d == day;
}

/* "hh:mm:" at p: seconds since midnight, or -1. */
static int hour_minute(const char *p)
{
	int h = two(p), m = two(p + 3);

	return h < 0 || h > 23 || m < 0 || m > 59 || p[2] != ':' ||
			       p[5] != ':'
		       ? -1
		       : h * 3600 + m * 60;
}

/* ".123456" or ",123" at the start of s, if there. */
static int64_t take_fraction(struct slice *s)
{
	int64_t ns = 0, scale = NS_PER_S / 10;
	size_t n = 1;

	if (s->n < 2 || (s->p[0] != '.' && s->p[0] != ',') ||
	    !is_digit(s->p[1])) {
		return 0;
	}
	while (n < s->n && is_digit(s->p[n])) {
		ns += (s->p[n] - '0') * scale;
		scale /= 10;
		n++;
	}
	*s = slice_skip(*s, n);
	return ns;
}

/* *unix_s is second 0 of the stamp's minute (clock: of the day) in the latest year
 * in which the stamp is at most AHEAD_NS after the reading.  A 29th of February may
 * lie eight years back. */
static bool resolve_year(const struct zone *zone, int month, int day,
			 int clock, int second, int64_t observed_ns,
			 int64_t *unix_s)
{
	int64_t limit_s = observed_ns / NS_PER_S + AHEAD_NS / NS_PER_S;
	int64_t days = limit_s / 86400 - (limit_s % 86400 < 0 ? 1 : 0);
	int year, m, d;

	time_civil(days, &year, &m, &d);
	for (int y = year + 1; y > year - 9; y--) {
		int64_t t;

		if (!day_exists(y, month, day)) {
			continue;
		}
		t = zone_to_unix(zone,
				 time_days(y, month, day) * 86400 + clock,
				 observed_ns / NS_PER_S);
		if (t + second <= limit_s) {
			*unix_s = t;
			return true;
		}
	}
	return false;
}

/* A local time near a change of the clock depends on when it was read. */
static bool near_change(const struct zone *zone, int64_t unix_s)
{
	return zone != NULL && zone_offset(zone, unix_s - 4 * 3600) !=
				       zone_offset(zone, unix_s + 4 * 3600);
}

static void remember(struct stamp_cache *c, const struct zone *zone,
		     const char *text, size_t n, int64_t minute_s,
		     int64_t observed_ns)
{
	int64_t t = minute_s * NS_PER_S;

	if (near_change(zone, minute_s) || observed_ns >= t + ALMOST_A_YEAR_NS ||
	    observed_ns < t - AHEAD_NS + HOUR_NS) {
		c->n = 0;
		return;
	}
	memcpy(c->text, text, n);
	c->n = n;
	c->minute_s = minute_s;
	/* An hour off each end keeps clear of the year's own rounding. */
	c->from_ns = t - AHEAD_NS + HOUR_NS;
	c->until_ns = t + ALMOST_A_YEAR_NS;
}

/* "2026 " in front of the time, " 2026" behind it; 0: there is none. */
static int take_year(struct slice *s, bool in_front)
{
	size_t at = in_front ? 0 : 1;
	int year;

	if (s->n < 6 || s->p[in_front ? 4 : 0] != ' ' || s->p[at + 4] != ' ' ||
	    (year = four(s->p + at)) < 1900 || year > 2200) {
		return 0;
	}
	*s = slice_skip(*s, 5);
	return year;
}

/* "Nov 22 15:37:46" with a day of one or two digits, a fraction or not, and a
 * year behind the day or the time (Cisco, some syslog-ng set-ups) or none. */
bool stamp_bsd(struct header_reader *r, struct slice *s, int64_t observed_ns,
	       int64_t *ns)
{
	struct slice t = *s;
	int month, day, second, clock, year;
	int64_t unix_s;

	if (t.n < 14 || (month = month_of(t.p)) == 0 || t.p[3] != ' ') {
		return false;
	}
	t = slice_skip(t, t.p[4] == ' ' ? 5 : 4);
	if (!is_digit(t.p[0])) {
		return false;
	}
	day = t.p[0] - '0';
	t = slice_skip(t, 1);
	if (is_digit(t.p[0])) {
		day = day * 10 + (t.p[0] - '0');
		t = slice_skip(t, 1);
	}
	if (!TAKE(&t, " ")) {
		return false;
	}
	year = take_year(&t, true);
	if (t.n < 8 || (clock = hour_minute(t.p)) < 0 ||
	    (second = two(t.p + 6)) < 0 || second > 60) {
		return false;
	}
	t = slice_skip(t, 8);
	*ns = take_fraction(&t);
	if (year == 0) {
		year = take_year(&t, false);
	}
	if (t.n > 0 && t.p[0] != ' ' && t.p[0] != ':') {
		return false;
	}
	if (year != 0) {
		if (!day_exists(year, month, day)) {
			return false;
		}
		unix_s = zone_to_unix(
			r->zone, time_days(year, month, day) * 86400 + clock,
			observed_ns / NS_PER_S);
	} else {
		if (!resolve_year(r->zone, month, day, clock, second,
				  observed_ns, &unix_s)) {
			return false;
		}
		if (s->p[6] == ' ' && s->p[12] == ':') {
			remember(&r->bsd, r->zone, s->p, BSD_MINUTE, unix_s,
				 observed_ns);
		}
	}
	*ns += (unix_s + second) * NS_PER_S;
	*s = t;
	return true;
}

/* "Z", "+01:00", "+0100", "+01", perhaps behind one blank; false: none. */
static bool take_zone(struct slice *s, int *offset_s)
{
	struct slice t = *s;
	int sign, h, m = 0;

	if (TAKE(&t, "Z") || TAKE(&t, "z")) {
		*offset_s = 0;
		*s = t;
		return true;
	}
	if (t.n >= 6 && t.p[0] == ' ' && (t.p[1] == '+' || t.p[1] == '-')) {
		t = slice_skip(t, 1);
	}
	if (t.n < 3 || (t.p[0] != '+' && t.p[0] != '-') ||
	    (h = two(t.p + 1)) < 0 || h > 23) {
		return false;
	}
	sign = t.p[0] == '-' ? -1 : 1;
	t = slice_skip(t, 3);
	if (t.n >= 3 && t.p[0] == ':' && (m = two(t.p + 1)) >= 0) {
		t = slice_skip(t, 3);
	} else if (t.n >= 2 && (m = two(t.p)) >= 0) {
		t = slice_skip(t, 2);
	} else {
		m = 0;
	}
	if (m > 59) {
		return false;
	}
	*offset_s = sign * (h * 3600 + m * 60);
	*s = t;
	return true;
}

/* The local minute "2026-11-22T15:37:" as seconds since 1970. */
static bool iso_minute(const char *p, int64_t *local_s)
{
	int year = four(p), month = two(p + 5), day = two(p + 8), clock;

	if (year < 1678 || year > 2261 || p[4] != p[7] ||
	    (p[4] != '-' && p[4] != '/') ||
	    (p[10] != 'T' && p[10] != ' ' && p[10] != 't') ||
	    !day_exists(year, month, day) || (clock = hour_minute(p + 11)) < 0) {
		return false;
	}
	*local_s = time_days(year, month, day) * 86400 + clock;
	return true;
}

static void remember_zone(struct stamp_cache *c, struct slice zone, int offset_s)
{
	c->zone_n = 0;
	if (zone.n > 0 && zone.n <= sizeof c->zone && zone.p[0] != ' ') {
		c->zone_n = (uint8_t)zone.n;
		c->zone_s = offset_s;
		memcpy(c->zone, zone.p, zone.n);
	}
}

/* RFC 3339 and what is close to it: a blank for the T, a comma for the point, a
 * zone of any form or none; "2026/11/22 15:37:46" as nginx writes it. */
bool stamp_iso(struct header_reader *r, struct slice *s, int64_t observed_ns,
	       int64_t *ns)
{
	struct slice t = *s, zone;
	int64_t local_s, unix_s, frac;
	int second, offset_s;

	if (t.n < 19 || (second = two(t.p + 17)) < 0 || second > 60) {
		return false;
	}
	/* The cache holds the local minute: what depends on the zone and on the
	 * time of reading comes after it. */
	if (r->iso.n == ISO_MINUTE &&
	    memcmp(t.p, r->iso.text, ISO_MINUTE) == 0) {
		local_s = r->iso.minute_s;
	} else if (iso_minute(t.p, &local_s)) {
		memcpy(r->iso.text, t.p, ISO_MINUTE);
		r->iso.n = ISO_MINUTE;
		r->iso.minute_s = local_s;
	} else {
		return false;
	}
	t = slice_skip(t, 19);
	frac = take_fraction(&t);
	zone = t;
	if (take_zone(&t, &offset_s)) {
		unix_s = local_s - offset_s;
		remember_zone(&r->iso, slice_head(zone, zone.n - t.n), offset_s);
	} else {
		unix_s = zone_to_unix(r->zone, local_s, observed_ns / NS_PER_S);
	}
	if (t.n > 0 && t.p[0] != ' ' && t.p[0] != ':') {
		return false;
	}
	*ns = (unix_s + second) * NS_PER_S + frac;
	*s = t;
	return true;
}

bool stamp_asctime(struct header_reader *r, struct slice *s,
		   int64_t observed_ns, int64_t *ns)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	struct slice t = *s, digits;
	int month, clock, second, year;
	int64_t frac;
	uint64_t day;
	bool known = false;

	if (t.n < 23 || t.p[3] != ' ' || t.p[7] != ' ') {
		return false;
	}
	for (int i = 0; i < 7; i++) {
		known |= memcmp(t.p, days + i * 3, 3) == 0;
	}
	month = month_of(t.p + 4);
	t = slice_skip(t, 8);
	TAKE(&t, " ");
	if (!known || month == 0 || !take_digits(&t, &digits) ||
	    !slice_to_u64(digits, 31, &day) || !TAKE(&t, " ") || t.n < 8 ||
	    (clock = hour_minute(t.p)) < 0 || (second = two(t.p + 6)) < 0 ||
	    second > 60) {
		return false;
	}
	t = slice_skip(t, 8);
	frac = take_fraction(&t);
	if (t.n < 5 || t.p[0] != ' ' || (year = four(t.p + 1)) < 1900 ||
	    year > 2261 || !day_exists(year, month, (int)day) ||
	    (t.n > 5 && is_digit(t.p[5]))) {
		return false;
	}
	*ns = (zone_to_unix(r->zone,
			    time_days(year, month, (int)day) * 86400 + clock,
			    observed_ns / NS_PER_S) +
	       second) * NS_PER_S + frac;
	*s = slice_skip(t, 5);
	return true;
}

bool stamp_clf(struct slice *s, int64_t *ns)
{
	struct slice t = *s;
	int day, month, year, clock, second, offset_s;

	if (t.n < 26 || (day = two(t.p)) < 0 || t.p[2] != '/' ||
	    (month = month_of(t.p + 3)) == 0 || t.p[6] != '/' ||
	    (year = four(t.p + 7)) < 1900 || year > 2261 || t.p[11] != ':' ||
	    !day_exists(year, month, day) || (clock = hour_minute(t.p + 12)) < 0 ||
	    (second = two(t.p + 18)) < 0 || second > 60) {
		return false;
	}
	t = slice_skip(t, 20);
	if (!take_zone(&t, &offset_s)) {
		return false;
	}
	*ns = (time_days(year, month, day) * 86400 + clock + second -
	       offset_s) * NS_PER_S;
	*s = t;
	return true;
}

bool stamp_epoch(struct slice *s, int64_t *ns)
{
	struct slice t = *s, digits;
	uint64_t seconds;

	if (!take_digits(&t, &digits) || digits.n > 10 ||
	    !slice_to_u64(digits, 9000000000u, &seconds)) {
		return false;
	}
	*ns = (int64_t)seconds * NS_PER_S;
	*ns += take_fraction(&t);
	*s = t;
	return true;
}
