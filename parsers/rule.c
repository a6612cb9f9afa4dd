#include "parsers/rule.h"

#include "common/timefmt.h"
#include "parsers/scan.h"

enum { DAY = 86400 };

bool rule_take_number(struct slice *s, int max, int *out)
{
	size_t n = 0;
	int v = 0;

	while (n < s->n && n < 4 && s->p[n] >= '0' && s->p[n] <= '9') {
		v = v * 10 + (s->p[n] - '0');
		n++;
	}
	if (n == 0 || v > max) {
		return false;
	}
	*s = slice_skip(*s, n);
	*out = v;
	return true;
}

/* "CEST" or "<+0330>". */
static bool take_name(struct slice *s)
{
	bool quoted = take_char(s, '<');
	size_t n = 0;

	while (n < s->n) {
		char c = s->p[n];
		bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!alpha && !(quoted && (c == '+' || c == '-' ||
					   (c >= '0' && c <= '9')))) {
			break;
		}
		n++;
	}
	if (n < 3 || n > 16) {
		return false;
	}
	*s = slice_skip(*s, n);
	return !quoted || take_char(s, '>');
}

/* "[+-]hh[:mm[:ss]]" */
static bool take_time(struct slice *s, int max_hours, int32_t *out)
{
	int sign = take_char(s, '-') ? -1 : 1;
	int h, m = 0, sec = 0;

	if (sign > 0) {
		take_char(s, '+');
	}
	if (!rule_take_number(s, max_hours, &h)) {
		return false;
	}
	if (take_char(s, ':')) {
		if (!rule_take_number(s, 59, &m) ||
		    (take_char(s, ':') && !rule_take_number(s, 59, &sec))) {
			return false;
		}
	}
	*out = sign * (h * 3600 + m * 60 + sec);
	return true;
}

static bool take_change(struct slice *s, struct change *c)
{
	*c = (struct change){.kind = CHANGE_DAY, .time = 2 * 3600};
	if (take_char(s, 'M')) {
		c->kind = CHANGE_MONTH;
		if (!rule_take_number(s, 12, &c->month) || c->month < 1 ||
		    !take_char(s, '.') || !rule_take_number(s, 5, &c->week) ||
		    c->week < 1 || !take_char(s, '.') ||
		    !rule_take_number(s, 6, &c->day)) {
			return false;
		}
	} else if (take_char(s, 'J')) {
		c->kind = CHANGE_JULIAN;
		if (!rule_take_number(s, 365, &c->day) || c->day < 1) {
			return false;
		}
	} else if (!rule_take_number(s, 365, &c->day)) {
		return false;
	}
	return !take_char(s, '/') || take_time(s, 167, &c->time);
}

bool rule_parse(struct slice s, struct rule *r)
{
	int32_t t;

	*r = (struct rule){0};
	if (!take_name(&s) || !take_time(&s, 24, &t)) {
		return false;
	}
	r->std = -t;
	if (s.n == 0) {
		return true;
	}
	if (!take_name(&s)) {
		return false;
	}
	r->has_dst = true;
	r->dst = r->std + 3600;
	if (s.n > 0 && s.p[0] != ',') {
		if (!take_time(&s, 24, &t)) {
			return false;
		}
		r->dst = -t;
	}
	if (s.n == 0) {
		/* POSIX leaves the dates open; everybody takes these. */
		s = SLICE_LIT(",M3.2.0,M11.1.0");
	}
	return take_char(&s, ',') && take_change(&s, &r->start) &&
	       take_char(&s, ',') && take_change(&s, &r->end) && s.n == 0;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Local seconds since 1970 of the change in this year. */
static int64_t change_at(const struct change *c, int year)
{
	int64_t day;

	if (c->kind == CHANGE_MONTH) {
		int64_t first = time_days(year, c->month, 1);
		int64_t next = c->month == 12 ? time_days(year + 1, 1, 1)
					      : time_days(year, c->month + 1, 1);
		/* 1970-01-01 was a Thursday (4). */
		int weekday = (int)(((first + 4) % 7 + 7) % 7);

		day = first + (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
		while (day >= next) {
			day -= 7;
		}
	} else {
		day = time_days(year, 1, 1) + c->day;
		if (c->kind == CHANGE_JULIAN) {
			day -= is_leap(year) && c->day >= 60 ? 0 : 1;
		}
	}
	return day * DAY + c->time;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

int32_t rule_offset(const struct rule *r, int64_t unix_s)
{
	int year, month, day;
	int64_t start, end;

	if (!r->has_dst) {
		return r->std;
	}
	time_civil(floor_div(unix_s + r->std, DAY), &year, &month, &day);
	start = change_at(&r->start, year) - r->std;
	end = change_at(&r->end, year) - r->dst;
	if (start < end) {
		return unix_s >= start && unix_s < end ? r->dst : r->std;
	}
	return unix_s >= end && unix_s < start ? r->std : r->dst;
}
