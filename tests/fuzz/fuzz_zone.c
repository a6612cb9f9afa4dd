/* A TZif file, or behind a first byte 'R' a POSIX rule. */
#include "parsers/zone.h"

#include "common/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile int64_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t times[] = {INT64_MIN, -5000000000, 0, 1577836800,
					1774746000, 1792890000, 4102444800,
					INT64_MAX};
	struct zone *z;
	int rc;

	if (size > 0 && data[0] == 'R') {
		rc = zone_from_rule(&z, slice(data + 1, size - 1));
	} else {
		rc = zone_from_tzif(&z, slice(data, size));
	}
	if (rc != 0) {
		return 0;
	}
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		sink += zone_offset(z, times[i]);
		sink += zone_to_unix(z, times[i], times[i]);
	}
	zone_free(z);
	return 0;
}
