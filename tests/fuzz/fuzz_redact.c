/* redact: any bytes as lines of one stream.  What must hold: no crash, scan and
 * verify together mask what verify alone masks, and twice is once. */
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
		if (!slice_eq(a, b) || redact_line(c.r, &again, a, &third, &d)) {
			abort();
		}
		at += line.n + 1;
	}
	buf_fini(&first);
	buf_fini(&second);
	buf_fini(&third);
	return 0;
}
