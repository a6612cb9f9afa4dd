/* kept: the lines of a source that can't be read again, on their way from whoever
 * reads the bytes to the callbacks of sources/tail.h.
 *
 * A stream that is new in every process, a buffer for what is not a whole line yet or
 * was not taken, and the time after which a last line without its newline is handed on
 * all the same.  The owner reads into kept_room() and says so with kept_took(); when
 * there is no room it stops reading, and goes on after kept_resume().
 *
 * Threads   the loop thread only.
 * Memory    one buffer of LIMIT_CHUNK, or of a line's cap and a little.
 */
#ifndef SOURCES_KEPT_H
#define SOURCES_KEPT_H

#include "sources/tail.h"

struct kept {
	struct sys *sys;
	const struct tail_callbacks *cb;
	void *arg;
	struct stream stream;
	unsigned char secret[STREAM_SECRET];
	char *buf;
	size_t n, room;
	uint64_t timeout_ms;
	struct sys_timer *timeout; /* for a last line without its newline */
};

/* The stream alone: a new one, of what can't be read again.  secret (kept) is its own; the
 * rest as for kept_init(). */
int kept_stream(struct stream *s, struct sys *sys,
		const unsigned char secret[static STREAM_SECRET],
		const struct sources_about *about, const char *name, uint32_t line_max);

/* Of the options line_max and last_line_timeout_ms are read.  about and cb are kept;
 * name (copied) stands for the path of a file.  Calls nothing back.  UV_ENOMEM, or an
 * error of the timer or of randomness; then nothing is to be freed. */
int kept_init(struct kept *k, struct sys *sys, const struct sources_options *options,
	      const unsigned char secret[static STREAM_SECRET],
	      const struct sources_about *about, const char *name,
	      const struct tail_callbacks *cb, void *arg);
/* Calls nothing back. */
void kept_fini(struct kept *k);

/* The stream begins, and (before kept_fini()) ends: opened() and closed() are called. */
void kept_open(struct kept *k);
void kept_close(struct kept *k);

/* Where the next bytes go; *n 0: there is no room until kept_resume(). */
static inline char *kept_room(struct kept *k, size_t *n)
{
	*n = k->room - k->n;
	return k->buf + k->n;
}
/* n bytes were put there: hands on the whole lines. */
void kept_took(struct kept *k, size_t n);
/* No more comes behind what is there for now: hands on a line without a newline. */
void kept_flush(struct kept *k);
/* There is room again downstream. */
void kept_resume(struct kept *k);

#endif
