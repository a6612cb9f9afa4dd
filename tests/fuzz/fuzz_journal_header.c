/* The header of a journal file: what is accepted has numbers that can be counted with. */
#include <stdlib.h>

#include "sources/journal_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[256], family[JOURNAL_FAMILY];
	struct journal_header h;
	size_t n = size < sizeof name - 1 ? size : sizeof name - 1;

	if (journal_header_decode(slice(data, size), &h) == 0 &&
	    (size < JOURNAL_HEADER || h.head > h.tail || h.tail == UINT64_MAX ||
	     h.state > JOURNAL_ARCHIVED || (h.entries > 0 && h.head == 0))) {
		abort();
	}
	if (n > 0) {
		memcpy(name, data, n);
	}
	name[n] = '\0';
	if (journal_family(name, family) &&
	    (family[0] == '\0' || strncmp(name, family, strlen(family)) != 0)) {
		abort();
	}
	return 0;
}
