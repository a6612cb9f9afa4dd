#include "cli/sparkline.h"

size_t sparkline_fit(uint64_t *out, size_t columns, const uint32_t *counts, size_t n)
{
	size_t each = (n + columns - 1) / columns, used = 0;

	for (size_t i = 0; i < n; i++) {
		if (i % each == 0) {
			out[used++] = 0;
		}
		out[used - 1] += counts[i];
	}
	return used;
}

int sparkline_add(struct buf *out, const uint64_t *v, size_t n, bool ascii)
{
	static const char shades[] = " .:-=+*#@";
	uint64_t most = 0;
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		most = v[i] > most ? v[i] : most;
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		/* 1 to 8; shares of counts below 2^32 don't overflow. */
		unsigned level = v[i] == 0 ? 0 : (unsigned)((v[i] * 8 + most - 1) / most);
		char block[3] = {'\xe2', '\x96', (char)(0x80 + level)};

		rc = ascii || level == 0 ? buf_add(out, &shades[level], 1)
					 : buf_add(out, block, sizeof block);
	}
	return rc;
}
