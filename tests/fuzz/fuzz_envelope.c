/* What stands inside the store's entries.  What decodes encodes to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "collector/format.h"
#include "common/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(struct buf *again, struct slice payload)
{
	if (again->n != payload.n ||
	    memcmp(again->p, payload.p, payload.n) != 0) {
		abort();
	}
	buf_clear(again);
}

static void names(struct slice s)
{
	struct segment_name n;
	char text[SEGMENT_NAME], again[SEGMENT_NAME];

	if (s.n >= sizeof text || memchr(s.p, 0, s.n) != NULL) {
		return;
	}
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (segment_name_parse(&n, text)) {
		segment_name_format(again, &n);
		if (strcmp(text, again) != 0) {
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice payload, batch;
	struct envelope e;
	struct file_head h;
	struct log_device d;
	struct log_watermark w;
	struct buf b;

	if (size == 0) {
		return 0;
	}
	payload = slice(data + 1, size - 1);
	buf_init(&b, 1 << 20);
	switch (data[0] % 5) {
	case 0:
		if (envelope_take(&e, &batch, payload) == 0 &&
		    envelope_add(&b, &e) == 0 && buf_add_slice(&b, batch) == 0) {
			same(&b, payload);
		}
		break;
	case 1:
		if (file_head_take(&h, payload) == 0 &&
		    file_head_add(&b, &h) == 0) {
			same(&b, payload);
		}
		break;
	case 2:
		if (log_device_take(&d, payload) == 0 &&
		    log_device_add(&b, &d) == 0) {
			same(&b, payload);
		}
		break;
	case 3:
		if (log_watermark_take(&w, payload) == 0 &&
		    log_watermark_add(&b, &w) == 0) {
			same(&b, payload);
		}
		break;
	default:
		names(payload);
	}
	buf_fini(&b);
	return 0;
}
