#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/ip.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* Both from the greatest to the smallest. */
static const struct unit times[] = {
	{"w", UINT64_C(604800000)}, {"d", 86400000}, {"h", 3600000},
	{"m", 60000},               {"s", 1000},     {"ms", 1},
};
static const struct unit binary[] = {
	{"TiB", UINT64_C(1) << 40}, {"GiB", UINT64_C(1) << 30},
	{"MiB", UINT64_C(1) << 20}, {"KiB", UINT64_C(1) << 10},
	{"B", 1},
};
static const struct unit decimal[] = {
	{"TB", UINT64_C(1000000000000)}, {"GB", 1000000000},
	{"MB", 1000000},                 {"KB", 1000},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static bool no(const char **why, const char *reason)
{
	*why = reason;
	return false;
}

bool value_bool(struct slice s, bool *out, const char **why)
{
	if (slice_eq(s, SLICE_LIT("true")) || slice_eq(s, SLICE_LIT("false"))) {
		*out = s.p[0] == 't';
		return true;
	}
	return no(why, "write true or false");
}

bool value_number(struct slice s, uint64_t *out, const char **why)
{
	return slice_to_u64(s, UINT64_MAX, out) ||
	       no(why, "write a whole number, digits only");
}

/* Takes digits off the front; false when there are none or too many. */
static bool take_digits(struct slice *s, uint64_t *out)
{
	size_t n = 0;

	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
		n++;
	}
	if (!slice_to_u64(slice_head(*s, n), UINT64_MAX, out)) {
		return false;
	}
	*s = slice_skip(*s, n);
	return true;
}

/* Takes letters off the front. */
static struct slice take_letters(struct slice *s)
{
	struct slice word;
	size_t n = 0;

	while (n < s->n && ((s->p[n] >= 'a' && s->p[n] <= 'z') ||
			    (s->p[n] >= 'A' && s->p[n] <= 'Z'))) {
		n++;
	}
	word = slice_head(*s, n);
	*s = slice_skip(*s, n);
	return word;
}

/* Index of the unit, or n. */
static size_t find_unit(const struct unit *units, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_eq(name, slice_str(units[i].name))) {
			return i;
		}
	}
	return n;
}

bool value_duration(struct slice s, uint64_t *out, const char **why)
{
	uint64_t sum = 0;
	size_t next = 0; /* units before it are used up */

	if (s.n == 0) {
		return no(why, "write a time such as 500ms, 10s or 1h30m");
	}
	while (s.n > 0) {
		uint64_t v, part;
		struct slice name;
		size_t u;

		if (!take_digits(&s, &v)) {
			return no(why, "write whole numbers with units, such as "
				       "500ms, 10s or 1h30m");
		}
		name = take_letters(&s);
		u = find_unit(times, COUNT(times), name);
		if (name.n == 0 && s.n == 0) {
			return no(why, "the unit is missing; write for example "
				       "10s (units: ms, s, m, h, d, w)");
		}
		if (u == COUNT(times)) {
			return no(why, "not a unit of time; units are ms, s, m, "
				       "h, d and w, as in 1h30m");
		}
		if (u < next) {
			return no(why, "write each unit once, the greatest first, "
				       "as in 1h30m");
		}
		next = u + 1;
		if (__builtin_mul_overflow(v, times[u].factor, &part) ||
		    __builtin_add_overflow(sum, part, &sum)) {
			return no(why, "too long to be counted");
		}
	}
	*out = sum;
	return true;
}

bool value_size(struct slice s, uint64_t *out, const char **why)
{
	uint64_t v, factor;
	struct slice name;
	size_t u;

	if (!take_digits(&s, &v)) {
		return no(why, "write a whole number with a unit, such as 64MiB");
	}
	name = take_letters(&s);
	if (s.n > 0) {
		return no(why, "write a whole number with a unit, such as 64MiB");
	}
	if (name.n == 0) {
		return no(why, "the unit is missing; write for example 64MiB "
			       "(units: B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)");
	}
	u = find_unit(binary, COUNT(binary), name);
	if (u < COUNT(binary)) {
		factor = binary[u].factor;
	} else {
		u = find_unit(decimal, COUNT(decimal), name);
		if (u == COUNT(decimal)) {
			return no(why, "not a unit of size; units are B, KiB, MiB, "
				       "GiB, TiB (1024) and KB, MB, GB, TB (1000)");
		}
		factor = decimal[u].factor;
	}
	if (__builtin_mul_overflow(v, factor, out)) {
		return no(why, "too large to be counted");
	}
	return true;
}

static bool host_name(struct slice s)
{
	if (s.n == 0 || s.n > 253 || s.p[0] == '.' || s.p[0] == '-') {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			    (c == '.' && s.p[i - 1] != '.');

		if (!good) {
			return false;
		}
	}
	return true;
}

/* Cuts s into host and port text; *has_port says whether there was a colon. */
static bool split_host(struct slice s, struct slice *host, struct slice *port,
		       bool *has_port)
{
	size_t at;

	if (s.n > 0 && s.p[0] == '[') {
		at = slice_find(s, SLICE_LIT("]"));
		if (at == SIZE_MAX) {
			return false;
		}
		*host = slice(s.p + 1, at - 1);
		s = slice_skip(s, at + 1);
		*has_port = s.n > 0;
		*port = slice_skip(s, 1);
		return s.n == 0 || s.p[0] == ':';
	}
	at = slice_find(s, SLICE_LIT(":"));
	if (at == SIZE_MAX || at != slice_rfind(s, SLICE_LIT(":"))) {
		/* None, or an IPv6 address without brackets. */
		*host = s;
		*port = SLICE_NONE;
		*has_port = false;
		return true;
	}
	*host = slice_head(s, at);
	*port = slice_skip(s, at + 1);
	*has_port = true;
	return true;
}

bool value_host_port(struct slice s, bool only_ip, struct slice *host,
		     uint16_t *port, const char **why)
{
	struct slice digits;
	bool has_port, has_colon, is_ip;
	uint64_t v = 0;
	struct ip ip;

	if (!split_host(s, host, &digits, &has_port)) {
		return no(why, "the brackets do not match; write [2001:db8::1]:7514");
	}
	if (has_port && (!slice_to_u64(digits, UINT16_MAX, &v) || v == 0)) {
		return no(why, "the port must be a number from 1 to 65535");
	}
	has_colon = slice_find(*host, SLICE_LIT(":")) != SIZE_MAX;
	/* ip_parse() takes brackets too, which here would be a second pair. */
	is_ip = slice_find(*host, SLICE_LIT("[")) == SIZE_MAX &&
		ip_parse(*host, &ip);
	if (s.n > 0 && s.p[0] == '[' && !(is_ip && has_colon)) {
		return no(why, "brackets are for IPv6 addresses: [2001:db8::1]:7514");
	}
	if (only_ip && !is_ip) {
		return no(why, "write an IP address and maybe a port, such as "
			       "0.0.0.0:7514 or [::]:7514");
	}
	if (!is_ip && !host_name(*host)) {
		return no(why, "write a host name or an IP address and maybe a "
			       "port, such as collector.example.net:7514");
	}
	if (has_port) {
		*port = (uint16_t)v;
	}
	return true;
}

/* "06:30" in minutes. */
static bool clock_time(struct slice s, unsigned *out)
{
	uint64_t hours, minutes;

	if (s.n != 5 || s.p[2] != ':' ||
	    !slice_to_u64(slice_head(s, 2), 23, &hours) ||
	    !slice_to_u64(slice_skip(s, 3), 59, &minutes)) {
		return false;
	}
	*out = (unsigned)(hours * 60 + minutes);
	return true;
}

bool value_span(struct slice s, struct day_span *out, const char **why)
{
	struct day_span span = {0, 0};

	if (s.n > 0 && (s.n != 11 || s.p[5] != '-' ||
			!clock_time(slice_head(s, 5), &span.from) ||
			!clock_time(slice_skip(s, 6), &span.to) ||
			span.from == span.to)) {
		return no(why, "write two different times of day, such as "
			       "22:00-06:00, or \"\" for never");
	}
	*out = span;
	return true;
}

bool value_text(struct slice s, const char **why)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f) {
			return no(why, "control characters and line breaks are not "
				       "allowed here");
		}
	}
	return true;
}

bool value_path(struct slice s, const char **why)
{
	size_t start = 0;

	if (s.n == 0 || s.p[0] != '/') {
		return no(why, "write an absolute path, beginning with /");
	}
	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && s.p[i] != '/') {
			continue;
		}
		if (i - start == 2 && memcmp(s.p + start, "..", 2) == 0) {
			return no(why, "write the path without \"..\"");
		}
		start = i + 1;
	}
	return value_text(s, why);
}

void value_format_duration(char out[static VALUE_TEXT], uint64_t ms)
{
	size_t n = 0;

	if (ms == 0) {
		snprintf(out, VALUE_TEXT, "0s");
		return;
	}
	/* Six parts of at most 20 digits can't all be long: the sum is 64 bit,
	 * so only the first has more than two. */
	for (size_t i = 0; i < COUNT(times); i++) {
		uint64_t v = ms / times[i].factor;

		if (v > 0) {
			n += (size_t)snprintf(out + n, VALUE_TEXT - n,
					      "%" PRIu64 "%s", v, times[i].name);
			ms %= times[i].factor;
		}
	}
}

/* The greatest unit that divides it. */
static const struct unit *fitting(const struct unit *units, size_t n,
				  uint64_t bytes)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes >= units[i].factor && bytes % units[i].factor == 0) {
			return &units[i];
		}
	}
	return NULL;
}

void value_format_size(char out[static VALUE_TEXT], uint64_t bytes)
{
	static const struct unit byte = {"B", 1};
	const struct unit *u = fitting(binary, COUNT(binary) - 1, bytes);

	if (u == NULL) {
		u = fitting(decimal, COUNT(decimal), bytes);
	}
	if (u == NULL) {
		u = &byte;
	}
	snprintf(out, VALUE_TEXT, "%" PRIu64 "%s", bytes / u->factor, u->name);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned value_distance(struct slice a, struct slice b)
{
	/* Three rows of the usual matrix; a swap looks back two. */
	unsigned char rows[3][VALUE_DISTANCE_MAX + 1];

	if (a.n > VALUE_DISTANCE_MAX || b.n > VALUE_DISTANCE_MAX) {
		return VALUE_DISTANCE_MAX + 1;
	}
	for (size_t j = 0; j <= b.n; j++) {
		rows[0][j] = (unsigned char)j;
	}
	for (size_t i = 1; i <= a.n; i++) {
		unsigned char *row = rows[i % 3];
		const unsigned char *up = rows[(i + 2) % 3];
		const unsigned char *up2 = rows[(i + 1) % 3];

		row[0] = (unsigned char)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned d = up[j - 1] + (a.p[i - 1] != b.p[j - 1] ? 1u : 0u);

			d = least(d, least(up[j], row[j - 1]) + 1u);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1]) {
				d = least(d, up2[j - 2] + 1u);
			}
			row[j] = (unsigned char)d;
		}
	}
	return rows[a.n % 3][b.n];
}
