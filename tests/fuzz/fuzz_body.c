/* body: a body, and a head that fits its first bytes' claims: number of streams
 * (u8), then for each a count (u8) and a length (u16). */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/reader.h"
#include "wire/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader(slice(data, size));
	static struct batch_head h;
	struct body_reader b;
	struct record record;
	uint64_t at[8] = {0};
	size_t section = 0;
	struct buf line;

	h.n_streams = 1 + reader_u8(&r) % 8;
	for (size_t i = 0; i < h.n_streams; i++) {
		h.streams[i].id.b[0] = (uint8_t)i;
		h.streams[i].start = i * 1000;
		h.streams[i].count = reader_u8(&r);
		h.streams[i].end = i * 1000 + reader_u16(&r);
		at[i] = i * 1000;
	}
	h.decoded = (uint32_t)reader_left(&r);
	buf_init(&line, BODY_LINE_MAX);
	body_reader_init(&b, &h, slice(r.p, reader_left(&r)), &line);
	while (body_next(&b, &record) > 0) {
		size_t i = record.stream.b[0];

		assert(i >= section && i < h.n_streams);
		section = i;
		assert(record.start == at[i] && record.end >= record.start);
		assert(record.end <= h.streams[i].end);
		assert(record.line.n == 0 ||
		       memchr(record.line.p, '\n', record.line.n) == NULL);
		at[i] = record.end;
	}
	if (body_next(&b, &record) == 0) { /* It says that all agreed. */
		for (size_t i = 0; i < h.n_streams; i++) {
			assert(at[i] == h.streams[i].end);
		}
	}
	buf_fini(&line);
	return 0;
}
