/* voucher: what a device signs about a segment that is carried by hand. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/voucher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct voucher v;

	if (voucher_decode(&v, slice(data, size)) == 0) {
		/* All of it is within what was given. */
		(void)voucher_hash(&v, v.n_hashes - 1);
		if (v.body.n + v.signature.n >= size) {
			abort();
		}
	}
	return 0;
}
