/* For the layout of the hash's state. */
#define XXH_STATIC_LINKING_ONLY
#include "sources/veil.h"

#include <string.h>
#include <xxhash.h>

void veil_hash(struct XXH3_state_s *hash, const unsigned char *secret)
{
	veil(hash->buffer, sizeof hash->buffer, secret);
}

void veil_forget(struct XXH3_state_s *hash)
{
	explicit_bzero(hash->buffer, sizeof hash->buffer);
}
