/* head: a signed head; the first byte chooses whether a key comes with it, whose
 * length is the second. */
#include <stddef.h>
#include <stdint.h>

#include "wire/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice(data, size), key = SLICE_NONE;
	struct head h;

	if (size > 1 && (data[0] & 1) != 0) {
		key = slice_head(slice_skip(in, 2), data[1]);
		in = slice_skip(in, 2 + key.n);
	} else {
		in = slice_skip(in, 1);
	}
	(void)head_verify(&h, in, key);
	return 0;
}
