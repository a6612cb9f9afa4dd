/* frame: the stream of a peer, in pieces whose sizes the input chooses. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_reader r;
	size_t at = 0, room;
	char *p;
	int rc = 0;

	frame_reader_init(&r);
	while (at < size && rc >= 0 && frame_room(&r, &p, &room) == 0) {
		size_t n = 1 + data[at] % 61;

		assert(room > 0);
		n = n < room ? n : room;
		n = n < size - at ? n : size - at;
		memcpy(p, data + at, n);
		at += n;
		rc = frame_took(&r, n);
		/* Memory follows what has arrived. */
		assert(r.payload.room <= 4 * (size + 65536));
		if (rc > 0) {
			assert(r.payload.n == r.need);
			frame_next(&r);
		}
	}
	frame_reader_fini(&r);
	return 0;
}
