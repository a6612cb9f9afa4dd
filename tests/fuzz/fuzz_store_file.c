/* A segment's file as a start reads it: entries, heads, envelopes, batches and the
 * chain, from a disk that may hold anything. */
#include <stdlib.h>
#include <string.h>

#include "collector/segment_reader.h"
#include "common/err.h"
#include "tests/support/memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The name that the file's own header asks for, so that the fuzzer gets behind the
 * comparison. */
static void own_name(struct sys *sys, struct segment_name *name)
{
	struct entry_reader r;
	struct entry e;
	struct file_head h;
	struct follower *f;

	entry_reader_init(&r, sys, 0, FILE_MAGIC);
	if (entry_reader_next(&r, &e) == 1 && e.kind == ENTRY_FILE &&
	    file_head_take(&h, e.payload) == 0 &&
	    follower_new(&f, h.header) == 0) {
		name->id = follower_info(f)->id;
		name->lane = follower_info(f)->lane;
		name->number = follower_info(f)->number;
		follower_free(f);
	}
	entry_reader_fini(&r);
}

static void read_entries(struct sys *sys, size_t size)
{
	struct entry_reader r;
	struct entry e;

	entry_reader_init(&r, sys, 0, FILE_MAGIC);
	while (entry_reader_next(&r, &e) == 1) {
		if (e.next <= e.offset || e.next > size) {
			abort();
		}
	}
	entry_reader_fini(&r);
}

static void read_segment(struct sys *sys, size_t size)
{
	static struct segment_reader r;
	static struct segment_entry e;
	struct segment_name name = {.lane = LANE_FILE, .number = 1};
	int64_t index;

	own_name(sys, &name);
	if (segment_reader_open(&r, sys, "d", &name) != 0) {
		return;
	}
	index = segment_reader_index(&r);
	while (segment_reader_next(&r, &e) == 1) {
		index += e.kind == ENTRY_BATCH;
		if (e.next <= e.offset || e.next > size ||
		    segment_reader_index(&r) != index) {
			abort();
		}
	}
	segment_reader_close(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct memory_file f;

	if (copy == NULL) {
		return 0;
	}
	memcpy(copy, data, size);
	memory_fix_checksums(copy, size);
	memory_file_init(&f, copy, size);
	read_entries(&f.sys, size);
	read_segment(&f.sys, size);
	free(copy);
	return 0;
}
