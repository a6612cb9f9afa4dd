#include "agent/machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void machine_read_id(const char *path, uint8_t out[static 16])
{
	char *text;
	size_t n, digits = 0;

	memset(out, 0, 16);
	/* Files of /proc have no size: a plain read. */
	text = calloc(1, 64);
	n = 0;
	if (text != NULL) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t got = fd < 0 ? 0 : read(fd, text, 63);

		if (fd >= 0) {
			close(fd);
		}
		n = got > 0 ? (size_t)got : 0;
	}
	for (size_t i = 0; i < n && digits < 32; i++) {
		char c = text[i];
		int v = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
					       : -1;

		if (v >= 0) {
			out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | v);
			digits++;
		}
	}
	free(text);
}
