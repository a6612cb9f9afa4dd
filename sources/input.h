/* input: standard input as a stream of lines that can't be read again.
 *
 * A pipe, a terminal or a file.  The stream is new in every process; its bytes are
 * handed to the same callbacks as those of a file (sources/tail.h), so that whoever
 * takes them needs to know no difference.  Reading stops while the taker has no
 * room, and what it did not take waits here.
 *
 * Threads   the loop thread only.
 * Memory    one buffer of LIMIT_CHUNK, grown to a line's cap and a little.
 */
#ifndef SOURCES_INPUT_H
#define SOURCES_INPUT_H

#include <uv.h>

#include "sources/tail.h"

struct input;

/* fd: taken over (closed by input_close()).  Of the options line_max and
 * last_line_timeout_ms are read.  cb is kept; of it opened (from inside this call),
 * chunk and closed are called; chunk gets TAIL_FINAL at the end, and for a last line
 * that waits too long for its newline.  secret as for tail_new().  UV_ENOMEM, or
 * libuv's error for what fd is. */
int input_open(struct input **out, uv_loop_t *loop, struct sys *sys, int fd,
	       const struct sources_options *options,
	       const unsigned char secret[static STREAM_SECRET],
	       const struct tail_callbacks *cb, void *arg);
/* There is room again. */
void input_resume(struct input *in);
/* Stops reading: what was read and not taken is handed on once more, with
 * TAIL_FINAL, from inside this call; then in is freed once the loop has run.
 * NULL allowed. */
void input_close(struct input *in);

#endif
