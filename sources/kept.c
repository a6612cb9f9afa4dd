#include "sources/kept.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/limits.h"

/* Hands on what is there; keeps what was not taken. */
static void offer(struct kept *k, bool final)
{
	struct slice data = slice(k->buf, k->n);
	size_t ready = final ? k->n : lines_ready(&k->stream.lines, data);
	size_t taken;
	bool skipping = k->stream.lines.record_start != k->stream.position;

	if (ready == 0 && !(final && skipping)) {
		return;
	}
	data.n = ready;
	stream_begin_chunk(&k->stream, data);
	taken = k->cb->chunk(k->arg, &k->stream, data, final ? TAIL_FINAL : 0);
	stream_end_chunk(&k->stream, taken);
	k->n -= taken;
	memmove(k->buf, k->buf + taken, k->n);
	/* Secrets among it: redacted is only what was made of it. */
	explicit_bzero(k->buf + k->n, taken);
}

/* What waits for its newline has waited long enough. */
static void on_timeout(void *arg)
{
	offer(arg, true);
}

void kept_took(struct kept *k, size_t n)
{
	k->n += n;
	offer(k, false);
	if (k->n > 0) {
		sys_timer_set(k->sys, k->timeout, k->timeout_ms);
	} else {
		sys_timer_stop(k->sys, k->timeout);
	}
}

void kept_flush(struct kept *k)
{
	sys_timer_stop(k->sys, k->timeout);
	offer(k, true);
}

void kept_resume(struct kept *k)
{
	offer(k, false);
}

int kept_stream(struct stream *s, struct sys *sys,
		const unsigned char secret[static STREAM_SECRET],
		const struct sources_about *about, const char *name, uint32_t line_max)
{
	int rc = stream_init(s, secret, line_max);

	if (rc != 0) {
		return rc;
	}
	rc = stream_id_once(sys, secret, &s->st.id);
	s->st.path = strdup(name);
	s->st.born_ns = sys_wall_ns(sys);
	s->has_id = true;
	s->kept = true;
	s->about = about;
	if (rc == 0 && s->st.path == NULL) {
		rc = UV_ENOMEM;
	}
	if (rc != 0) {
		stream_fini(s);
	}
	return rc;
}

int kept_init(struct kept *k, struct sys *sys, const struct sources_options *options,
	      const unsigned char secret[static STREAM_SECRET],
	      const struct sources_about *about, const char *name,
	      const struct tail_callbacks *cb, void *arg)
{
	size_t line = (size_t)options->line_max + 4096;
	int rc;

	*k = (struct kept){.sys = sys, .cb = cb, .arg = arg,
			   .timeout_ms = options->last_line_timeout_ms,
			   .room = line > LIMIT_CHUNK ? line : LIMIT_CHUNK};
	memcpy(k->secret, secret, sizeof k->secret);
	k->buf = malloc(k->room);
	if (k->buf == NULL) {
		return UV_ENOMEM;
	}
	rc = kept_stream(&k->stream, sys, k->secret, about, name,
			 (uint32_t)options->line_max);
	if (rc != 0) {
		goto err_buf;
	}
	rc = sys_timer_new(sys, &k->timeout, on_timeout, k);
	if (rc != 0) {
		goto err_stream;
	}
	return 0;

err_stream:
	stream_fini(&k->stream);
err_buf:
	free(k->buf);
	k->buf = NULL;
	return rc;
}

void kept_fini(struct kept *k)
{
	sys_timer_free(k->sys, k->timeout);
	stream_fini(&k->stream);
	explicit_bzero(k->secret, sizeof k->secret);
	if (k->buf != NULL) {
		explicit_bzero(k->buf, k->room);
	}
	free(k->buf);
	*k = (struct kept){0};
}

void kept_open(struct kept *k)
{
	k->cb->opened(k->arg, &k->stream);
}

void kept_close(struct kept *k)
{
	kept_flush(k);
	k->cb->closed(k->arg, &k->stream, TAIL_ROTATED);
}
