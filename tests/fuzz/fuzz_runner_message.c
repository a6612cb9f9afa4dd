/* runner_message: what crosses the socket between the agent and the process that runs
 * its commands, in either direction; what is understood is written again and must be
 * understood again as the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "sources/runner_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_table(struct slice in, struct buf *out)
{
	struct runner_table t, again;
	struct sources_command list[RUNNER_COMMANDS] = {0};
	struct sources_options o = {.commands = list};

	if (runner_table_decode(&t, in) != 0) {
		return;
	}
	for (size_t i = 0; i < t.n; i++) {
		list[i].command = t.commands[i];
	}
	o.n_commands = t.n;
	assert(runner_table_encode(out, t.user, t.sandbox, &o) == 0);
	assert(runner_table_decode(&again, buf_slice(out)) == 0);
	assert(again.n == t.n);
	runner_table_free(&again);
	runner_table_free(&t);
}

/* Of another table, in either direction. */
static void try_change(struct slice in, struct buf *out)
{
	struct worker_change c, again;

	if (worker_change_decode(&c, in) != 0) {
		return;
	}
	assert(worker_change_encode(out, &c) == 0);
	assert(worker_change_decode(&again, buf_slice(out)) == 0);
	assert(again.type == c.type && again.number == c.number);
	assert(slice_eq(again.text, c.text) && slice_eq(again.table, c.table) &&
	       slice_eq(again.more, c.more));
	buf_clear(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice(data, size);
	struct runner_message m;
	struct buf out;

	buf_init(&out, WORKER_MESSAGE_MAX);
	if (size > WORKER_MESSAGE_MAX) {
		return 0;
	}
	if (runner_message_decode(&m, in) == 0) {
		assert(runner_message_encode(&out, &m) == 0);
		assert(slice_eq(in, buf_slice(&out)));
		buf_clear(&out);
	}
	try_change(in, &out);
	try_table(in, &out);
	buf_fini(&out);
	return 0;
}
