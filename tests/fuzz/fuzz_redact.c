/* redact: any bytes as lines of one stream.  What must hold: no crash, scan and
 * verify together mask what verify alone masks, twice is once, a line stays one line and
 * grows by no more than its masks, and a secret of a known set, set between blanks
 * anywhere among the bytes, is not in what comes out. */
#include <stdint.h>
#include <stdlib.h>

#include "redact/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct redact *rules(void)
{
	static struct redact *r;
	static const struct redact_options options = {.enabled = true};

	if (r == NULL && redact_new(&r, &options) != 0) {
		abort();
	}
	return r;
}

/* Put together here, so that nobody's scan of this file finds one. */
static const struct {
	const char *before, *secret;
} known[] = {
	{"", "gh" "p_tnpc8v7s0wqqznbnjkpyoafbvnvalnhvmvy4"},
	{"", "AK" "IAQ4H6VOJTJ55MDGEC"},
	{"", "gl" "pat-2ldz99qjz6dnj27uz3ec"},
	{"password=", "Zq81hhaT9bc"},
	{"https://bob:", "Zq81hhaT9bc@example.net/"},
};
enum { KNOWN = sizeof known / sizeof *known, MASK_MAX = 32 };

/* data, with a known secret in its midst, as one line. */
static void plant(const uint8_t *data, size_t size)
{
	size_t which = size > 0 ? data[0] % KNOWN : 0, cut = size > 1 ? data[1] % size : 0;
	struct redact_state state = {0};
	struct buf line, scratch;
	struct slice out;

	buf_init(&line, 8u << 20);
	buf_init(&scratch, 8u << 20);
	if (buf_add(&line, data, cut) != 0 ||
	    buf_printf(&line, " %s%s ", known[which].before, known[which].secret) != 0 ||
	    buf_add(&line, data + cut, size - cut) != 0) {
		abort();
	}
	for (size_t i = 0; i < line.n; i++) {
		line.p[i] = line.p[i] == '\n' ? ' ' : line.p[i];
	}
	redact_line(rules(), &state, buf_slice(&line), &scratch, &out);
	if (slice_find(out, slice_str(known[which].secret)) != SIZE_MAX) {
		abort();
	}
	buf_fini(&line);
	buf_fini(&scratch);
}

static bool is_bounded(struct slice line, struct slice out)
{
	return memchr(out.p, '\n', out.n) == NULL && out.n <= line.n * MASK_MAX + MASK_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct redact_chunk c = redact_chunk(rules(), (const char *)data, size);
	struct redact_state chunked = {0}, each = {0}, again = {0};
	struct buf first, second, third;

	buf_init(&first, 8u << 20);
	buf_init(&second, 8u << 20);
	buf_init(&third, 8u << 20);
	for (size_t at = 0; at < size;) {
		const char *p = (const char *)data + at;
		const char *end = memchr(p, '\n', size - at);
		struct slice line = slice(p, end == NULL ? size - at : (size_t)(end - p));
		struct slice a, b, d;

		redact_chunk_line(&c, &chunked, line, &first, &a);
		redact_line(c.r, &each, line, &second, &b);
		if (!slice_eq(a, b) || (line.n > 0 && !is_bounded(line, a)) ||
		    redact_line(c.r, &again, a, &third, &d)) {
			abort();
		}
		at += line.n + 1;
	}
	buf_fini(&first);
	buf_fini(&second);
	buf_fini(&third);
	plant(data, size);
	return 0;
}
