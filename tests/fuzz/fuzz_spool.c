/* A spool's file of any bytes: recovery must not crash, and must not call a
 * batch whole that does not continue the chain. */
#include <stddef.h>
#include <stdint.h>

#include "common/log.h"
#include "shipper/spool.h"
#include "tests/support/memory_sys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_segment(void *arg, const struct spool_found *found)
{
	(void)arg;
	return found->info == NULL;
}

static int on_batch(void *arg, struct spool_place place,
		    const struct batch_head *head)
{
	uint64_t *end = arg;

	if (place.offset < *end || head->n_streams > LIMIT_BATCH_STREAMS) {
		abort();
	}
	*end = place.offset + place.len;
	return 0;
}

static int on_end(void *arg, uint64_t size, size_t n_batches)
{
	uint64_t *end = arg;

	if (n_batches > 0 && size < *end) {
		abort();
	}
	return 0;
}

static int on_loss(void *arg, const struct spool_loss *loss)
{
	(void)arg;
	for (size_t i = 0; i < loss->n_ranges; i++) {
		if (loss->ranges[i].start > loss->ranges[i].end) {
			abort();
		}
	}
	return 0;
}

static void quiet(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct spool_visitor visitor = {on_segment, on_batch,
						     on_end, on_loss};
	struct memory_sys m;
	uint64_t end = 0;

	log_set_sink(quiet, NULL);
	memory_sys_init(&m,
			"00000000000000000112-file-"
			"00000000000000000000000000000000.spool",
			data, size);
	spool_recover(&m.sys, "/spool", &visitor, &end);
	return 0;
}
