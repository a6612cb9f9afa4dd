#include "common/json.h"

#include <math.h>
#include <stdio.h>

#include "common/record.h"
#include "common/timefmt.h"

static void add(struct json *j, const void *p, size_t n)
{
	if (j->rc == 0) {
		j->rc = buf_add(j->out, p, n);
	}
}

/* Bytes of the UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF), or 0. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	unsigned char c = p[0];
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (c < 0x80) {
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		len = 2;
	} else if (c >= 0xe0 && c <= 0xef) {
		len = 3;
		low = c == 0xe0 ? 0xa0 : 0x80;
		high = c == 0xed ? 0x9f : 0xbf;
	} else if (c >= 0xf0 && c <= 0xf4) {
		len = 4;
		low = c == 0xf0 ? 0x90 : 0x80;
		high = c == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (n < len || p[1] < low || p[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf) {
			return 0;
		}
	}
	return len;
}

static void escape(struct json *j, unsigned char c)
{
	char text[8];

	switch (c) {
	case '"':
		add(j, "\\\"", 2);
		break;
	case '\\':
		add(j, "\\\\", 2);
		break;
	case '\n':
		add(j, "\\n", 2);
		break;
	case '\r':
		add(j, "\\r", 2);
		break;
	case '\t':
		add(j, "\\t", 2);
		break;
	default:
		snprintf(text, sizeof text, "\\u%04x", c);
		add(j, text, 6);
	}
}

static uint64_t zero_bytes(uint64_t v)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	return (v - ones) & ~v & ones << 7;
}

/* Eight bytes at p that stand in JSON as they are: printable ASCII but for the
 * quote and the backslash. */
static bool eight_plain(const unsigned char *p)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return ((v | (v - ones * ' ') | (v + ones)) & ones << 7) == 0 &&
	       (zero_bytes(v ^ ones * '"') | zero_bytes(v ^ ones * '\\')) == 0;
}

static void string(struct json *j, struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t plain = 0, i = 0;

	add(j, "\"", 1);
	while (i < s.n) {
		size_t len = 1;

		if (s.n - i >= 8 && eight_plain(p + i)) {
			i += 8;
			continue;
		}
		if (p[i] >= 0x80) {
			len = utf8_length(p + i, s.n - i);
		}
		if (len > 0 && p[i] >= ' ' && p[i] != '"' && p[i] != '\\' &&
		    p[i] != 0x7f) {
			i += len;
			continue;
		}
		add(j, s.p + plain, i - plain);
		if (len == 0) {
			add(j, "\xef\xbf\xbd", 3);
		} else {
			escape(j, p[i]);
		}
		plain = ++i;
	}
	if (s.n > plain) {
		add(j, s.p + plain, s.n - plain);
	}
	add(j, "\"", 1);
}

/* A key that stands in JSON as it is, which all but a few do. */
static bool is_plain(const char *key, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (key[i] < ' ' || key[i] > '~' || key[i] == '"' || key[i] == '\\') {
			return false;
		}
	}
	return true;
}

static void add_key(struct json *j, const char *key)
{
	size_t n = strlen(key);
	char *p;

	if (!is_plain(key, n)) {
		string(j, slice(key, n));
		add(j, ":", 1);
		return;
	}
	if (j->rc == 0) {
		j->rc = buf_reserve(j->out, n + 3);
	}
	if (j->rc != 0) {
		return;
	}
	p = j->out->p + j->out->n;
	*p++ = '"';
	memcpy(p, key, n);
	p += n;
	*p++ = '"';
	*p++ = ':';
	j->out->n += n + 3;
}

static void begin(struct json *j, const char *key)
{
	if (j->need_comma) {
		add(j, ",", 1);
	}
	if (key != NULL) {
		add_key(j, key);
	}
	j->need_comma = true;
}

void json_object(struct json *j, const char *key)
{
	begin(j, key);
	add(j, "{", 1);
	j->need_comma = false;
}

void json_object_end(struct json *j)
{
	add(j, "}", 1);
	j->need_comma = true;
}

void json_array(struct json *j, const char *key)
{
	begin(j, key);
	add(j, "[", 1);
	j->need_comma = false;
}

void json_array_end(struct json *j)
{
	add(j, "]", 1);
	j->need_comma = true;
}

void json_string(struct json *j, const char *key, struct slice value)
{
	begin(j, key);
	string(j, value);
}

void json_cstr(struct json *j, const char *key, const char *value)
{
	json_string(j, key, slice_str(value));
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	char text[20];
	size_t at = sizeof text;

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	begin(j, key);
	add(j, text + at, sizeof text - at);
}

void json_i64(struct json *j, const char *key, int64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%lld", (long long)value);

	begin(j, key);
	add(j, text, (size_t)n);
}

void json_double(struct json *j, const char *key, double value)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%.6g", isfinite(value) ? value : 0);

	begin(j, key);
	add(j, text, (size_t)n);
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin(j, key);
	add(j, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct json *j, const char *key)
{
	begin(j, key);
	add(j, "null", 4);
}

void json_time(struct json *j, const char *key, int64_t ns)
{
	char text[TIME_TEXT];

	if (ns == TIME_NONE) {
		json_null(j, key);
		return;
	}
	json_string(j, key, slice(text, (size_t)time_format(text, ns)));
}

void json_hex(struct json *j, const char *key, const void *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *b = p;

	begin(j, key);
	add(j, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		char two[2] = {hex[b[i] >> 4], hex[b[i] & 15]};

		add(j, two, 2);
	}
	add(j, "\"", 1);
}

void json_raw(struct json *j, const char *key, struct slice text)
{
	begin(j, key);
	add(j, text.p, text.n);
}
