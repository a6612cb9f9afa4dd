/* segment_header: a header from outside, without and with a key. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seal_secret secret = {.secret = {1}};
	struct follower *f;
	struct opener *o;

	if (follower_new(&f, slice(data, size)) == 0) {
		/* A secret that goes by the name of the first recipient. */
		if (seal_secret_derive(&secret) == 0) {
			memcpy(secret.pub.id, follower_info(f)->recipient[0],
			       sizeof secret.pub.id);
		}
		follower_free(f);
		if (opener_new(&o, slice(data, size), &secret, 1) == 0) {
			opener_free(o);
		}
	}
	return 0;
}
