/* The watermark log as a start reads it. */
#include <stdlib.h>
#include <string.h>

#include "collector/scan_log.h"
#include "tests/support/memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The store that the log says it belongs to. */
static void own_store(struct store *s)
{
	struct entry_reader r;
	struct entry e;

	entry_reader_init(&r, s->sys, 0, FILE_MAGIC);
	if (entry_reader_next(&r, &e) == 1) {
		(void)log_file_take(s->id, e.payload);
	}
	entry_reader_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct memory_file f;
	struct store s = {.log_fd = -1};
	uint64_t whole = 0;

	if (copy == NULL) {
		return 0;
	}
	memcpy(copy, data, size);
	memory_fix_checksums(copy, size);
	memory_file_init(&f, copy, size);
	s.sys = &f.sys;
	memcpy(s.dir, "d", 2);
	own_store(&s);
	(void)scan_log_peek(&s, s.dir, &whole);
	if (whole > size) {
		abort();
	}
	store_fini(&s, true);
	free(copy);
	return 0;
}
