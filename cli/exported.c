#include "cli/exported.h"

#include <inttypes.h>

#include "cli/cli.h"

enum { TOLD_MAX = 10 };

void exported_tell(void *arg, enum export_damage what, uint64_t from, uint64_t to)
{
	struct exported *e = arg;

	if (e->told++ >= TOLD_MAX) {
		return;
	}
	switch (what) {
	case EXPORT_TORN:
		cli_fail(e->command, "%s: a record is torn at byte %" PRIu64
			 "; its whole fields were read", e->file, to);
		break;
	case EXPORT_LENGTH:
		cli_fail(e->command, "%s: bytes %" PRIu64 " to %" PRIu64 " were not read: the "
			 "length of the field there is wrong, or the file was cut in it",
			 e->file, from, to);
		break;
	case EXPORT_JUNK:
		cli_fail(e->command, "%s: bytes %" PRIu64 " to %" PRIu64 " were not read: no "
			 "field of a journal", e->file, from, to);
		break;
	case EXPORT_CRLF:
		cli_fail(e->command, "%s: its lines end in CR LF from byte %" PRIu64 " on, which "
			 "some transfers make of a file; they were read as LF", e->file, from);
		break;
	}
}

void exported_end(const struct exported *e)
{
	if (e->told > TOLD_MAX) {
		cli_fail(e->command, "%s: and %u more such places", e->file, e->told - TOLD_MAX);
	}
	if (e->told > 0) {
		cli_fail(e->command, "%s: what is missing comes whole with \"journalctl -o "
			 "export\" into a file on that machine, copied as it is (binary)",
			 e->file);
	}
}
