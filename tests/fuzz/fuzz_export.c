/* export: whatever a file holds gives lines without newlines, no longer than asked for, and
 * the same ones however it comes in pieces. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sources/export.h"

enum { LINE = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(uint64_t *sum, struct slice line, bool cut)
{
	assert(line.n <= LINE && memchr(line.p, '\n', line.n) == NULL);
	for (size_t i = 0; i < line.n; i++) {
		*sum = *sum * 31 + (unsigned char)line.p[i];
	}
	*sum = *sum * 31 + cut;
}

static void on_damage(void *arg, enum export_damage what, uint64_t from, uint64_t to)
{
	uint64_t *sum = arg;

	assert(from <= to);
	*sum = ((*sum * 31 + what) * 31 + from) * 31 + to;
}

/* A sum over the lines and what is told of damage that the pieces give. */
static uint64_t read_in(struct slice text, size_t piece)
{
	struct export *x;
	struct slice line;
	uint64_t sum = 0;
	bool cut;
	int rc = export_new(&x, LINE, on_damage, &sum);

	assert(rc == 0);
	while (text.n > 0) {
		struct slice in = slice_head(text, piece);

		text = slice_skip(text, in.n);
		while ((rc = export_next(x, &in, &line, &cut)) == 1) {
			add(&sum, line, cut);
		}
		assert(rc == 0 && in.n == 0);
	}
	while ((rc = export_end(x, &line, &cut)) == 1) {
		add(&sum, line, cut);
	}
	assert(rc == 0);
	export_free(x);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text;

	if (size < 1 || size > 65536) {
		return 0;
	}
	text = slice((const char *)data + 1, size - 1);
	assert(read_in(text, SIZE_MAX) == read_in(text, (size_t)data[0] + 1));
	return 0;
}
