/* A build without libsystemd. */
#include "sources/journal.h"

const struct journal_calls *journal_calls(void)
{
	return NULL;
}
