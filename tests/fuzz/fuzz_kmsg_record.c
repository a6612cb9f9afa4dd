/* kmsg_record: whatever a read of /dev/kmsg gives becomes one line without control
 * characters, or is refused; the kernel's tag only for the kernel's facility. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/err.h"
#include "common/limits.h"
#include "sources/kmsg_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kmsg_record r;
	struct slice line, behind;
	struct buf out;
	int rc;

	if (size > KMSG_RECORD_MAX || kmsg_decode(&r, slice(data, size)) != 0) {
		return 0;
	}
	assert(r.sequence < UINT64_MAX);
	buf_init(&out, LIMIT_LINE_MAX);
	rc = kmsg_text(&r, INT64_C(1790000000123456789), SLICE_LIT("host"), &out);
	assert(rc == 0);
	line = buf_slice(&out);
	assert(memchr(line.p, '\n', line.n) == NULL);
	/* Never longer than what it is made of, but for the header. */
	assert(line.n <= size + 64);
	behind = slice_skip(line, slice_find(line, SLICE_LIT(" host ")) + 6);
	if (r.priority >> 3 != 0) {
		assert(!slice_starts(behind, SLICE_LIT("kernel:")));
	} else {
		assert(slice_starts(behind, SLICE_LIT("kernel: ")));
	}
	buf_fini(&out);
	return 0;
}
