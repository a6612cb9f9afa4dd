/* zone: TZif files (RFC 8536); the rules are in rule.c.
 *
 * A file's transitions are kept as they stand; what comes after the last one
 * follows the rule in the footer.  Leap seconds are skipped: log stamps don't
 * count them.
 */
#include "parsers/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/reader.h"
#include "common/sys.h"
#include "parsers/rule.h"
#include "parsers/scan.h"

enum {
	FILE_MAX = 256 * 1024,
	TRANSITIONS_MAX = 16384,
	TYPES_MAX = 256,
	RULE_MAX = 96,
};

/* Beyond the year 33000 nobody logs, and the sums below can't overflow. */
#define SECONDS_MAX INT64_C(1000000000000)

struct zone {
	struct rule rule;
	char text[RULE_MAX];
	size_t n;         /* transitions */
	int64_t *at;      /* Unix times, rising */
	int32_t *offset;  /* offset[i] holds from at[i] on */
	int32_t first;    /* before at[0] */
};

/* ---- TZif ---- */

struct counts {
	uint32_t isut, isstd, leap, time, type, chars;
	uint8_t version;
};

static bool read_counts(struct reader *r, struct counts *c)
{
	struct slice magic = reader_bytes(r, 4);

	c->version = reader_u8(r);
	reader_bytes(r, 15);
	c->isut = reader_u32(r);
	c->isstd = reader_u32(r);
	c->leap = reader_u32(r);
	c->time = reader_u32(r);
	c->type = reader_u32(r);
	c->chars = reader_u32(r);
	return reader_ok(r) && slice_eq(magic, SLICE_LIT("TZif")) &&
	       c->time <= TRANSITIONS_MAX && c->type >= 1 &&
	       c->type <= TYPES_MAX && c->chars <= FILE_MAX &&
	       c->leap <= FILE_MAX && c->isstd <= c->type &&
	       c->isut <= c->type;
}

static size_t block_size(const struct counts *c, size_t time_size)
{
	return c->time * (time_size + 1) + c->type * 6u + c->chars +
	       c->leap * (time_size + 4) + c->isstd + c->isut;
}

static int64_t read_time(struct reader *r, size_t time_size)
{
	return time_size == 8 ? (int64_t)reader_u64(r)
			      : (int32_t)reader_u32(r);
}

/* Transitions and types of one block.  The zone's arrays have room. */
static int read_block(struct zone *z, struct reader *r, const struct counts *c,
		      size_t time_size)
{
	int32_t type[TYPES_MAX];
	struct slice index;

	for (size_t i = 0; i < c->time; i++) {
		z->at[i] = read_time(r, time_size);
		if (i > 0 && z->at[i] <= z->at[i - 1]) {
			return ERR_MALFORMED;
		}
	}
	index = reader_bytes(r, c->time);
	for (size_t i = 0; i < c->type; i++) {
		type[i] = (int32_t)reader_u32(r);
		reader_bytes(r, 2);
		if (type[i] < -26 * 3600 || type[i] > 26 * 3600) {
			return ERR_MALFORMED;
		}
	}
	reader_bytes(r, c->chars + c->leap * (time_size + 4) + c->isstd +
				c->isut);
	if (!reader_ok(r)) {
		return ERR_MALFORMED;
	}
	z->first = type[0];
	for (size_t i = 0; i < c->time; i++) {
		uint8_t t = (uint8_t)index.p[i];

		if (t >= c->type) {
			return ERR_MALFORMED;
		}
		z->offset[i] = type[t];
	}
	z->n = c->time;
	return 0;
}

/* One offset for ever, as a rule: POSIX counts west of Greenwich. */
static void fix_offset(struct zone *z, int32_t seconds)
{
	int32_t a = seconds < 0 ? -seconds : seconds;

	z->rule = (struct rule){.std = seconds};
	snprintf(z->text, sizeof z->text, "LMT%c%02d:%02d:%02d",
		 seconds < 0 ? '+' : '-', (int)(a / 3600), (int)(a / 60 % 60),
		 (int)(a % 60));
}

/* Without a footer the last offset holds for ever. */
static void rule_from_last(struct zone *z)
{
	fix_offset(z, z->n > 0 ? z->offset[z->n - 1] : z->first);
}

static int set_rule(struct zone *z, struct slice text)
{
	if (text.n >= RULE_MAX || !rule_parse(text, &z->rule)) {
		return ERR_MALFORMED;
	}
	memcpy(z->text, text.p, text.n);
	z->text[text.n] = '\0';
	return 0;
}

static int read_footer(struct zone *z, struct reader *r)
{
	struct slice rest = reader_bytes(r, reader_left(r));
	const char *end;

	if (!take_char(&rest, '\n') || rest.n == 0 ||
	    (end = memchr(rest.p, '\n', rest.n)) == NULL) {
		return ERR_MALFORMED;
	}
	rest.n = (size_t)(end - rest.p);
	if (rest.n == 0) {
		rule_from_last(z);
		return 0;
	}
	return set_rule(z, rest);
}

static int allocate(struct zone **out, size_t transitions)
{
	struct zone *z = calloc(1, sizeof *z);

	if (z == NULL) {
		return UV_ENOMEM;
	}
	if (transitions > 0) {
		z->at = calloc(transitions, sizeof *z->at);
		z->offset = calloc(transitions, sizeof *z->offset);
		if (z->at == NULL || z->offset == NULL) {
			zone_free(z);
			return UV_ENOMEM;
		}
	}
	*out = z;
	return 0;
}

int zone_from_tzif(struct zone **out, struct slice file)
{
	struct reader r = reader(file);
	size_t time_size = 4;
	struct counts c;
	struct zone *z;
	int rc;

	if (!read_counts(&r, &c)) {
		return ERR_MALFORMED;
	}
	if (c.version >= '2') {
		/* The first block is for readers of version 1. */
		reader_bytes(&r, block_size(&c, 4));
		time_size = 8;
		if (!read_counts(&r, &c)) {
			return ERR_MALFORMED;
		}
	}
	if (reader_left(&r) < block_size(&c, time_size)) {
		return ERR_MALFORMED;
	}
	rc = allocate(&z, c.time);
	if (rc != 0) {
		return rc;
	}
	rc = read_block(z, &r, &c, time_size);
	if (rc == 0 && time_size == 8) {
		rc = read_footer(z, &r);
	} else if (rc == 0) {
		rule_from_last(z);
	}
	if (rc != 0) {
		zone_free(z);
		return rc;
	}
	*out = z;
	return 0;
}

int zone_from_rule(struct zone **out, struct slice rule)
{
	struct zone *z;
	int rc = allocate(&z, 0);

	if (rc != 0) {
		return rc;
	}
	rc = set_rule(z, rule);
	if (rc != 0) {
		zone_free(z);
		return rc;
	}
	*out = z;
	return 0;
}

void zone_free(struct zone *z)
{
	if (z != NULL) {
		free(z->at);
		free(z->offset);
		free(z);
	}
}

const char *zone_rule(const struct zone *z)
{
	return z == NULL ? "UTC0" : z->text;
}

/* ---- names ---- */

static int open_file(struct zone **out, struct sys *sys, const char *path)
{
	char *bytes;
	size_t n;
	int rc = sys_read_file(sys, path, FILE_MAX, &bytes, &n);

	if (rc != 0) {
		return rc;
	}
	rc = zone_from_tzif(out, slice(bytes, n));
	free(bytes);
	return rc;
}

static int open_rule_file(struct zone **out, struct sys *sys, const char *path)
{
	struct slice text;
	char *bytes;
	size_t n;
	int rc = sys_read_file(sys, path, RULE_MAX, &bytes, &n);

	if (rc != 0) {
		return rc;
	}
	text = slice(bytes, n);
	while (text.n > 0 && (text.p[text.n - 1] == '\n' ||
			      text.p[text.n - 1] == ' ')) {
		text.n--;
	}
	rc = zone_from_rule(out, text);
	free(bytes);
	return rc;
}

static int open_local(struct zone **out, struct sys *sys)
{
	int rc = open_file(out, sys, "/etc/localtime");

	if (rc == UV_ENOENT) {
		rc = open_rule_file(out, sys, "/etc/TZ");
	}
	return rc == UV_ENOENT ? zone_from_rule(out, SLICE_LIT("UTC0")) : rc;
}

/* "+02:00", "-0530", "+2" */
static bool parse_offset(struct slice s, int32_t *seconds)
{
	int sign = s.n > 0 && s.p[0] == '-' ? -1 : 1;
	int h = 0, m = 0;

	if (!take_char(&s, '+') && !take_char(&s, '-')) {
		return false;
	}
	if (s.n == 4 && memchr(s.p, ':', 4) == NULL) {
		struct slice hours = slice_head(s, 2);

		s = slice_skip(s, 2);
		if (!rule_take_number(&hours, 23, &h) || hours.n != 0 ||
		    !rule_take_number(&s, 59, &m)) {
			return false;
		}
	} else if (!rule_take_number(&s, 23, &h) ||
		   (take_char(&s, ':') && !rule_take_number(&s, 59, &m))) {
		return false;
	}
	*seconds = sign * (h * 3600 + m * 60);
	return s.n == 0;
}

/* A name below the zone folder: no leading slash, no "..", tame characters. */
static bool plain_name(struct slice s)
{
	if (s.n == 0 || s.n > 64 || s.p[0] == '/' ||
	    slice_find(s, SLICE_LIT("..")) != SIZE_MAX) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '/' || c == '_' ||
		      c == '-' || c == '+')) {
			return false;
		}
	}
	return true;
}

int zone_open(struct zone **out, struct sys *sys, const char *name)
{
	static const char folder[] = "/usr/share/zoneinfo/";
	struct slice s = slice_str(name);
	char path[sizeof folder + 64];
	int32_t seconds;
	int rc;

	if (slice_eq(s, SLICE_LIT("local"))) {
		return open_local(out, sys);
	}
	if (slice_eq(s, SLICE_LIT("UTC")) || slice_eq(s, SLICE_LIT("Z"))) {
		return zone_from_rule(out, SLICE_LIT("UTC0"));
	}
	if (parse_offset(s, &seconds)) {
		rc = allocate(out, 0);
		if (rc == 0) {
			fix_offset(*out, seconds);
		}
		return rc;
	}
	if (!plain_name(s)) {
		return zone_from_rule(out, s);
	}
	memcpy(path, folder, sizeof folder - 1);
	memcpy(path + sizeof folder - 1, s.p, s.n);
	path[sizeof folder - 1 + s.n] = '\0';
	rc = open_file(out, sys, path);
	if (rc == UV_ENOENT && zone_from_rule(out, s) == 0) {
		return 0; /* "CET-1" has nothing that a name may not have. */
	}
	return rc;
}

/* ---- use ---- */

static int64_t clamp(int64_t s)
{
	if (s > SECONDS_MAX) {
		return SECONDS_MAX;
	}
	return s < -SECONDS_MAX ? -SECONDS_MAX : s;
}

int32_t zone_offset(const struct zone *z, int64_t unix_s)
{
	size_t low = 0, high;

	if (z == NULL) {
		return 0;
	}
	unix_s = clamp(unix_s);
	if (z->n == 0) {
		return rule_offset(&z->rule, unix_s);
	}
	if (unix_s < z->at[0]) {
		return z->first;
	}
	if (unix_s >= z->at[z->n - 1]) {
		return rule_offset(&z->rule, unix_s);
	}
	high = z->n;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (z->at[mid] <= unix_s) {
			low = mid;
		} else {
			high = mid;
		}
	}
	return z->offset[low];
}

int64_t zone_to_unix(const struct zone *z, int64_t local_s,
		     int64_t not_after_s)
{
	int32_t before, after;
	int64_t early, late;
	bool early_holds, late_holds;

	if (z == NULL) {
		return local_s;
	}
	local_s = clamp(local_s);
	/* No offset is larger than this, so a change is between the two. */
	before = zone_offset(z, local_s - 26 * 3600);
	after = zone_offset(z, local_s + 26 * 3600);
	early = local_s - before;
	if (before == after) {
		return early;
	}
	late = local_s - after;
	early_holds = zone_offset(z, early) == before;
	late_holds = zone_offset(z, late) == after;
	if (early_holds && late_holds) {
		/* The hour happens twice. */
		if (early > late) {
			int64_t swap = early;

			early = late;
			late = swap;
		}
		return late <= not_after_s ? late : early;
	}
	if (late_holds) {
		return late;
	}
	return early; /* It holds, or the hour never happens. */
}
