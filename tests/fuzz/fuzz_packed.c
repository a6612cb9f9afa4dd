/* Compressed files: whatever their bytes, reading them ends, and within the bounds. */
#include "sources/content.h"
#include "tests/support/memory_sys.h"

enum { WINDOW = 65536, ROOM = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum content_kind kinds[] = {CONTENT_GZIP, CONTENT_ZSTD,
						 CONTENT_XZ};
	static char out[WINDOW];
	struct memory_sys m;
	struct content *u;
	uint64_t at = 0;
	int64_t got;

	if (n == 0 || !content_can(kinds[data[0] % 3])) {
		return 0;
	}
	memory_sys_init(&m, "x", data + 1, n - 1);
	if (content_open(&u, &m.sys, 3, kinds[data[0] % 3], WINDOW) != 0) {
		return 0;
	}
	do {
		got = content_pread(u, out, sizeof out, at);
		at += got > 0 ? (uint64_t)got : 0;
	} while ((got > 0 || got == UV_EAGAIN) && at < ROOM);
	content_close(u);
	return 0;
}
