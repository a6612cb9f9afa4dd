/* watch_table: a saved table that is understood is written again as the same bytes, or,
 * where a number was written longer than needed, understood again as the same; what is
 * told of a change is one line. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/err.h"
#include "sources/watch_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch_table t, again;
	struct strlist patterns, patterns_again;
	struct buf out, line;

	buf_init(&out, 1 << 24);
	buf_init(&line, 1 << 16);
	if (watch_table_decode(&t, &patterns, slice(data, size)) != 0) {
		return 0;
	}
	assert(watch_table_encode(&t, &patterns, &out) == 0);
	assert(watch_table_decode(&again, &patterns_again, buf_slice(&out)) == 0);
	assert(again.n == t.n && patterns_again.n == patterns.n);
	for (size_t i = 0; i < t.n; i++) {
		assert(watch_compare(&t.v[i], &again.v[i]) == WATCH_SAME);
		assert(watch_text(WATCH_MODIFIED, &t.v[i], &again.v[i], 0,
				  SLICE_LIT("h"), &line) == 0);
		assert(memchr(line.p, '\n', line.n) == line.p + line.n - 1);
	}
	watch_table_fini(&t);
	watch_table_fini(&again);
	strlist_fini(&patterns);
	strlist_fini(&patterns_again);
	buf_fini(&out);
	buf_fini(&line);
	return 0;
}
