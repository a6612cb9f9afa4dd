/* What an agent reads back at its start, after decryption: the stream table with
 * the shipper's part.  First byte: 0 the table, else the shipper's part alone. */
#include <stddef.h>
#include <stdint.h>

#include "agent/checkpoint.h"
#include "common/log.h"
#include "shipper/shipper.h"
#include "tests/support/memory_sys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quiet(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void shipper_part(struct slice saved)
{
	struct shipper_options options = {0};
	struct memory_sys m;
	struct shipper *s;
	struct buf again;
	struct shipper_params params = {.sys = &m.sys,
					.options = &options,
					.software = "fuzz",
					.saved = saved};

	memory_sys_init(&m, "nothing", NULL, 0);
	options.spool_dir = (char *)(uintptr_t) "/spool";
	if (shipper_new(&s, &params) != 0) {
		return;
	}
	buf_init(&again, 1 << 20);
	if (shipper_save(s, &again) != 0) {
		abort();
	}
	buf_fini(&again);
	shipper_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_state *states;
	struct slice shipping;
	size_t n;

	log_set_sink(quiet, NULL);
	if (size == 0) {
		return 0;
	}
	if (data[0] != 0) {
		shipper_part(slice(data + 1, size - 1));
		return 0;
	}
	if (checkpoint_streams_decode(slice(data + 1, size - 1), &states, &n,
				      &shipping) == 0) {
		struct buf again;

		buf_init(&again, 64 << 20);
		if (checkpoint_streams_encode(states, n, shipping, &again) !=
		    0) {
			abort();
		}
		buf_fini(&again);
	}
	stream_states_free(states, n);
	return 0;
}
