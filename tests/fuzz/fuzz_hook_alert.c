/* hook_alert: an alert as a collector gets it from a device that somebody else
 * controls.  Whatever it is, what comes of it is one line and harmless values. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hooks/facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct facts facts; /* too large for every stack */

static void check(struct slice json, struct slice device)
{
	struct buf line;

	buf_init(&line, PROTOCOL_MESSAGE_MAX);
	if (facts_read(&facts, json, device, &line) == 0) {
		assert(line.n > 0 && line.n <= PROTOCOL_INPUT_MAX);
		assert(memchr(line.p, '\n', line.n) == line.p + line.n - 1);
		for (size_t i = 0; i < VARIABLE_NR; i++) {
			for (const char *p = facts.value[i]; *p != '\0'; p++) {
				assert((unsigned char)*p >= ' ' && *p != 127);
			}
		}
		buf_clear(&line);
		assert(facts_print(&facts, &line) == 0);
		assert(memchr(line.p, '\n', line.n) == line.p + line.n - 1);
	}
	buf_fini(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice json = slice(data, size);

	check(json, SLICE_NONE);
	check(json, SLICE_LIT("gateway"));
	return 0;
}
