#include "common/timefmt.h"

#include <stdio.h>

int64_t time_days(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

void time_civil(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = (int)(yoe + era * 400 + (*month <= 2 ? 1 : 0));
}

/* v as n digits at p. */
static char *put_digits(char *p, unsigned v, int n)
{
	for (int i = n; i-- > 0; v /= 10) {
		p[i] = (char)('0' + v % 10);
	}
	return p + n;
}

int time_format(char out[static TIME_TEXT], int64_t ns)
{
	int64_t s = ns / NS_PER_S, frac = ns % NS_PER_S;
	int64_t days, rest;
	int year, month, day, n;
	char *p = out;

	if (frac < 0) {
		frac += NS_PER_S;
		s--;
	}
	days = s / 86400;
	rest = s % 86400;
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	/* 64 bits of nanoseconds end in 2262: four digits are enough. */
	time_civil(days, &year, &month, &day);
	p = put_digits(p, (unsigned)year, 4);
	*p++ = '-';
	p = put_digits(p, (unsigned)month, 2);
	*p++ = '-';
	p = put_digits(p, (unsigned)day, 2);
	*p++ = 'T';
	p = put_digits(p, (unsigned)(rest / 3600), 2);
	*p++ = ':';
	p = put_digits(p, (unsigned)(rest / 60 % 60), 2);
	*p++ = ':';
	p = put_digits(p, (unsigned)(rest % 60), 2);
	n = (int)(p - out);
	if (frac != 0) {
		out[n++] = '.';
		put_digits(out + n, (unsigned)frac, 9);
		n += 9;
		while (out[n - 1] == '0') {
			n--;
		}
	}
	out[n++] = 'Z';
	out[n] = '\0';
	return n;
}

/* n digits at *p as a number; moves on.  -1 if there are fewer. */
static int digits(struct slice *s, size_t n)
{
	int v = 0;

	if (s->n < n) {
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9') {
			return -1;
		}
		v = v * 10 + (s->p[i] - '0');
	}
	*s = slice_skip(*s, n);
	return v;
}

static bool one(struct slice *s, char a, char b)
{
	if (s->n == 0 || (s->p[0] != a && s->p[0] != b)) {
		return false;
	}
	*s = slice_skip(*s, 1);
	return true;
}

static int days_in(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30,
				   31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static bool parse_date(struct slice *s, int64_t *ns)
{
	int year = digits(s, 4), month, day;

	if (year < 0 || !one(s, '-', '-') || (month = digits(s, 2)) < 1 ||
	    month > 12 || !one(s, '-', '-') || (day = digits(s, 2)) < 1 ||
	    day > days_in(year, month)) {
		return false;
	}
	if (year < 1678 || year > 2261) {
		return false; /* Outside of what 64-bit nanoseconds hold. */
	}
	*ns = time_days(year, month, day) * 86400 * NS_PER_S;
	return true;
}

static bool parse_fraction(struct slice *s, int64_t *ns)
{
	int64_t scale = NS_PER_S / 10;

	if (s->n == 0 || s->p[0] < '0' || s->p[0] > '9') {
		return false;
	}
	while (s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9') {
		*ns += (s->p[0] - '0') * scale;
		scale /= 10;
		*s = slice_skip(*s, 1);
	}
	return true;
}

static bool parse_zone(struct slice *s, int64_t *ns)
{
	int hours, minutes, sign;

	if (one(s, 'Z', 'z')) {
		return true;
	}
	sign = s->n > 0 && s->p[0] == '-' ? -1 : 1;
	if (!one(s, '+', '-') || (hours = digits(s, 2)) < 0 || hours > 23 ||
	    !one(s, ':', ':') || (minutes = digits(s, 2)) < 0 || minutes > 59) {
		return false;
	}
	*ns -= sign * (hours * 60 + minutes) * 60 * NS_PER_S;
	return true;
}

bool time_parse(struct slice s, int64_t *ns)
{
	int hour, minute, second;
	int64_t t;

	if (!parse_date(&s, &t)) {
		return false;
	}
	if (s.n == 0) {
		*ns = t;
		return true;
	}
	if (!one(&s, 'T', ' ') || (hour = digits(&s, 2)) < 0 || hour > 23 ||
	    !one(&s, ':', ':') || (minute = digits(&s, 2)) < 0 ||
	    minute > 59 || !one(&s, ':', ':') ||
	    (second = digits(&s, 2)) < 0 || second > 60) {
		return false;
	}
	t += (hour * 3600 + minute * 60 + second) * NS_PER_S;
	if (one(&s, '.', ',') && !parse_fraction(&s, &t)) {
		return false;
	}
	if (!parse_zone(&s, &t) || s.n != 0) {
		return false;
	}
	*ns = t;
	return true;
}
