/* helper_request: what crosses the socket between a daemon and its helper, in either
 * direction; what is understood is written again and must give the same bytes,
 * or, where a number was written longer than needed, be understood again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/err.h"
#include "hooks/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_table(struct slice in, struct buf *out)
{
	struct protocol_table t, again;

	if (protocol_table_decode(&t, in) == 0) {
		assert(protocol_table_encode(out, t.user, t.sandbox, &t.options) == 0);
		assert(protocol_table_decode(&again, buf_slice(out)) == 0);
		assert(again.options.n_hooks == t.options.n_hooks);
		protocol_table_free(&again);
		protocol_table_free(&t);
	}
}

static void try_exec(struct slice in, struct buf *out)
{
	struct protocol_exec e;

	if (protocol_exec_decode(&e, in) == 0) {
		for (size_t i = 0; i < VARIABLE_NR; i++) {
			assert(e.value[i].n <= PROTOCOL_VALUE_MAX);
			assert(e.value[i].n == 0 || memchr(e.value[i].p, 0, e.value[i].n) == NULL);
		}
		assert(protocol_exec_encode(out, &e) == 0);
		assert(slice_eq(in, buf_slice(out)));
	}
}

static void try_answers(struct slice in, struct buf *out)
{
	struct protocol_done d;
	struct slice text;

	if (protocol_done_decode(&d, in) == 0) {
		assert(protocol_done_encode(out, &d) == 0);
		assert(slice_eq(in, buf_slice(out)));
	}
	buf_clear(out);
	if (worker_ready_decode(&text, in) == 0) {
		assert(worker_ready_encode(out, text) == 0);
		assert(slice_eq(in, buf_slice(out)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice(data, size);
	struct buf out;

	if (size > PROTOCOL_MESSAGE_MAX) {
		return 0;
	}
	buf_init(&out, 2 * PROTOCOL_MESSAGE_MAX);
	try_table(in, &out);
	buf_clear(&out);
	try_exec(in, &out);
	buf_clear(&out);
	try_answers(in, &out);
	buf_fini(&out);
	return 0;
}
