/* A list from anywhere: each line is taken or named, and what was taken is found. */
#include <stdint.h>
#include <stdlib.h>

#include "detectors/roster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_error(void *arg, const char *file, unsigned line, unsigned column,
		     const char *text)
{
	(void)file;
	(void)line;
	(void)column;
	*(size_t *)arg += text[0] != '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[16] = "0123456789abcdef";
	struct slice rest = slice(data, size);
	const struct roster_about *about;
	struct roster *r;
	size_t told = 0, found = 0;

	if (roster_read_bytes(&r, "fuzz", rest, key, on_error, &told) != 0) {
		return 0;
	}
	about = roster_about(r);
	while (rest.n > 0) {
		size_t end = slice_chr(rest, '\n');

		found += roster_has(r, slice_head(rest, end));
		rest = end == SIZE_MAX ? SLICE_NONE : slice_skip(rest, end + 1);
	}
	/* Told of each mistake, up to the limit and a last word. */
	if (told > ROSTER_ERRORS + 1 || (about->wrong > 0) != (told > 0) ||
	    (found > 0 && about->networks + about->texts == 0)) {
		abort();
	}
	roster_free(r);
	return 0;
}
