/* Syslog on a connection: however the bytes come in pieces, the messages are the same;
 * none is empty, longer than the limit, or ends in what is no part of it. */
#include <stdlib.h>

#include "common/err.h"
#include "sources/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 48 };

/* Every message and what it lacks, one after the other. */
static void decode(struct slice all, size_t piece, struct buf *out)
{
	struct framing f;
	struct slice message;
	uint64_t cut;

	framing_init(&f, MAX);
	while (all.n > 0) {
		struct slice data = slice_head(all, piece);

		all = slice_skip(all, data.n);
		while (framing_next(&f, &data, &message, &cut) == 1) {
			if (message.n == 0 || message.n > MAX ||
			    message.p[message.n - 1] == '\n') {
				abort();
			}
			buf_add_u8(out, '[');
			buf_add_slice(out, message);
			buf_add_u64(out, cut);
		}
	}
	if (framing_end(&f, &message, &cut)) {
		buf_add_u8(out, '(');
		buf_add_slice(out, message);
		buf_add_u64(out, cut);
	}
	framing_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;
	size_t piece;

	if (size < 1 || size > 4096) {
		return 0;
	}
	piece = data[0] % 16 + 1;
	buf_init(&whole, 1024 * 1024);
	buf_init(&pieces, 1024 * 1024);
	decode(slice(data + 1, size - 1), size, &whole);
	decode(slice(data + 1, size - 1), piece, &pieces);
	if (!slice_eq(buf_slice(&whole), buf_slice(&pieces))) {
		abort();
	}
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
