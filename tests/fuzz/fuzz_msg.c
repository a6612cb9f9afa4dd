/* msg: the first byte is the message's type, the rest its payload.  What decodes
 * encodes again to the same bytes: there is one encoding of a message. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "wire/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(int rc, const struct buf *out, struct slice in)
{
	assert(rc == 0);
	assert(slice_eq(buf_slice(out), in));
}

#define ROUND(type, decode, encode)                                         \
	do {                                                                \
		struct type m;                                              \
		if (decode(&m, in) == 0) {                                  \
			same(encode(&m, &out), &out, in);                   \
		}                                                           \
	} while (0)

static void ladder(struct slice in, struct buf *out)
{
	struct rung rungs[LADDER_RUNGS];
	struct stream_id id;
	size_t n;

	if (ladder_decode(&id, rungs, &n, in) == 0) {
		same(ladder_encode(&id, rungs, n, out), out, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = size == 0 ? SLICE_NONE : slice(data + 1, size - 1);
	struct buf out;

	buf_init(&out, LIMIT_FRAME);
	switch (size == 0 ? 0 : data[0]) {
	case MSG_HELLO:
		ROUND(hello, hello_decode, hello_encode);
		break;
	case MSG_WELCOME:
		ROUND(welcome, welcome_decode, welcome_encode);
		break;
	case MSG_SEGMENT:
		ROUND(segment_msg, segment_msg_decode, segment_msg_encode);
		break;
	case MSG_ACK:
		ROUND(ack, ack_decode, ack_encode);
		break;
	case MSG_NAK:
		ROUND(nak, nak_decode, nak_encode);
		break;
	case MSG_ERROR:
		ROUND(error_msg, error_msg_decode, error_msg_encode);
		break;
	default:
		ladder(in, &out);
	}
	buf_fini(&out);
	return 0;
}
