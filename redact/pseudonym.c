#include "redact/pseudonym.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "common/siphash.h"
#include "redact/verify.h"

enum { PLACES_MAX = 32, NAME_MAX_BYTES = 256 };

static const enum event_field allowed[] = {FIELD_USER_NAME, FIELD_USER_EFFECTIVE_NAME,
					   FIELD_USER_TARGET_NAME, FIELD_GROUP_NAME};

bool redact_names_field(const char *name)
{
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
		if (strcmp(name, event_field_name(allowed[i])) == 0) {
			return true;
		}
	}
	return false;
}

bool redact_names_key(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		if (!is_class(text[i], C_HEX)) {
			return false;
		}
	}
	return n == (size_t)2 * PSEUDONYM_KEY;
}

int redact_names_init(struct redact_names *names, const struct redact_options *options,
		      const uint8_t own[static PSEUDONYM_KEY])
{
	const char *key = options->pseudonym_key;

	memset(names, 0, sizeof *names);
	names->except = &options->except;
	memcpy(names->key, own, sizeof names->key);
	if (key != NULL && key[0] != '\0') {
		if (!redact_names_key(key)) {
			return UV_EINVAL;
		}
		for (size_t i = 0; i < sizeof names->key; i++) {
			names->key[i] = (uint8_t)(hex_value(key[2 * i]) << 4 |
						  hex_value(key[2 * i + 1]));
		}
	}
	for (size_t i = 0; i < options->pseudonyms.n; i++) {
		if (!redact_names_field(options->pseudonyms.v[i])) {
			return UV_EINVAL;
		}
		names->fields |= UINT64_C(1)
				 << event_field_find(slice_str(options->pseudonyms.v[i]));
	}
	return 0;
}

size_t redact_pseudonym(char out[static PSEUDONYM_TEXT], const uint8_t key[static PSEUDONYM_KEY],
			struct slice name)
{
	return (size_t)snprintf(out, PSEUDONYM_TEXT, "*redacted-name-%016" PRIx64 "*",
				siphash(key, name.p, name.n));
}

/* ---- one line ---- */

struct place {
	size_t from, to;
	struct slice name;
};

struct places {
	size_t n;
	struct place v[PLACES_MAX];
};

static void add(struct places *p, size_t from, size_t to, struct slice name)
{
	if (p->n < PLACES_MAX && from < to) {
		p->v[p->n++] = (struct place){from, to, name};
	}
}

/* Everywhere behind `before`, as a whole word. */
static void add_behind(struct places *p, struct slice line, const char *before,
		       struct slice name)
{
	struct slice b = slice_str(before);

	for (size_t i = 0; i < line.n;) {
		size_t at = slice_find(slice_skip(line, i), b), end;

		if (at == SIZE_MAX) {
			return;
		}
		at += i + b.n;
		end = at + name.n;
		if (slice_starts(slice_skip(line, at), name) &&
		    (end == line.n || !is_class(line.p[end], C_WORD))) {
			add(p, at, end, name);
		}
		i = at;
	}
}

/* auditd's acct=616E6E61; upper case. */
static void add_hex(struct places *p, struct slice line, struct slice name)
{
	static const char digits[] = "0123456789ABCDEF";
	char hex[2 * NAME_MAX_BYTES];
	struct slice h = slice(hex, 2 * name.n);
	size_t at;

	for (size_t i = 0; i < name.n; i++) {
		hex[2 * i] = digits[(uint8_t)name.p[i] >> 4];
		hex[2 * i + 1] = digits[(uint8_t)name.p[i] & 15];
	}
	at = slice_find(line, h);
	if (at != SIZE_MAX && at > 0 && line.p[at - 1] == '=') {
		add(p, at, at + h.n, name);
	}
}

static bool stays(const struct redact_names *names, struct slice name)
{
	for (size_t i = 0; i < names->except->n; i++) {
		if (slice_eq(name, slice_str(names->except->v[i]))) {
			return true;
		}
	}
	return name.n == 0 || name.n > NAME_MAX_BYTES || mask_at(name) == name.n;
}

static void add_name(struct places *p, struct slice line, struct slice name)
{
	uintptr_t from = (uintptr_t)name.p, begin = (uintptr_t)line.p;

	if (from >= begin && from < begin + line.n && name.n <= begin + line.n - from) {
		add(p, from - begin, from - begin + name.n, name);
	} else if (name.n > 1) {
		add_hex(p, line, name);
	}
	add_behind(p, line, "/home/", name);
}

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

bool redact_names_line(const struct redact_names *names, struct slice line,
		       const struct event *e, struct buf *scratch, struct slice *out)
{
	struct places p = {.n = 0};
	size_t done = 0;
	int rc = 0;

	*out = line;
	for (unsigned f = 0; f < FIELD_NR; f++) {
		struct slice name = event_get(e, (enum event_field)f);

		if ((names->fields >> f & 1) != 0 && !stays(names, name)) {
			add_name(&p, line, name);
		}
	}
	if (p.n == 0) {
		return false;
	}
	qsort(p.v, p.n, sizeof p.v[0], by_place);
	buf_clear(scratch);
	for (size_t i = 0; i < p.n && rc == 0; i++) {
		char text[PSEUDONYM_TEXT];
		size_t n = redact_pseudonym(text, names->key, p.v[i].name);

		if (p.v[i].from < done) {
			continue;
		}
		rc = buf_add(scratch, line.p + done, p.v[i].from - done);
		rc = rc == 0 ? buf_add(scratch, text, n) : rc;
		done = p.v[i].to;
	}
	rc = rc == 0 ? buf_add(scratch, line.p + done, line.n - done) : rc;
	*out = rc == 0 ? buf_slice(scratch) : SLICE_LIT("*redacted-limit*");
	return true;
}
