/* The table of streams, as it comes from the checkpoint: what decodes, encodes to
 * something that decodes to the same. */
#include <stdlib.h>

#include "sources/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_state *states, *again;
	struct buf out;
	size_t n, m;

	if (stream_table_decode(slice(data, size), &states, &n) != 0) {
		return 0;
	}
	buf_init(&out, 64 * 1024 * 1024);
	if (stream_table_encode(states, n, &out) != 0 ||
	    stream_table_decode(buf_slice(&out), &again, &m) != 0 || m != n) {
		abort();
	}
	for (size_t i = 0; i < n; i++) {
		if (again[i].acked != states[i].acked ||
		    again[i].n_rungs != states[i].n_rungs) {
			abort();
		}
	}
	stream_states_free(again, m);
	stream_states_free(states, n);
	buf_fini(&out);
	return 0;
}
