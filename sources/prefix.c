#include "sources/prefix.h"

#include <xxhash.h>

#include "common/err.h"
#include "sources/veil.h"

int prefix_init(struct prefix *p)
{
	memset(p, 0, sizeof *p);
	p->hash = XXH3_createState();
	return p->hash == NULL ? UV_ENOMEM : 0;
}

void prefix_fini(struct prefix *p)
{
	XXH3_freeState(p->hash);
	p->hash = NULL;
}

void prefix_start(struct prefix *p, const unsigned char *secret)
{
	*p = (struct prefix){.hash = p->hash};
	XXH3_64bits_reset_withSecret(p->hash, secret, STREAM_SECRET);
}

void prefix_copy(struct prefix *to, const struct prefix *from)
{
	struct XXH3_state_s *hash = to->hash;

	XXH3_copyState(hash, from->hash);
	*to = *from;
	to->hash = hash;
}

void prefix_forget(struct prefix *p)
{
	explicit_bzero(p->last, sizeof p->last);
	p->n_last = 0;
	if (p->hash != NULL) {
		veil_forget(p->hash);
	}
}

uint64_t prefix_hash(const struct prefix *p)
{
	return XXH3_64bits_digest(p->hash);
}

static void note_lines(struct prefix *p, const char *buf, size_t n)
{
	const char *newline;

	if (p->first_line == 0) {
		newline = memchr(buf, '\n', n);
		if (newline != NULL) {
			p->first_line = p->at + (size_t)(newline - buf) + 1;
		}
	}
	newline = memrchr(buf, '\n', n);
	if (newline != NULL) {
		p->line_start = p->at + (size_t)(newline - buf) + 1;
	}
}

int prefix_step(struct prefix *p, prefix_read_fn read, void *src,
		uint64_t target, char *buf, size_t room)
{
	size_t want = target - p->at < room ? (size_t)(target - p->at) : room;
	size_t n, keep;
	int64_t got;

	if (want == 0) {
		return 0;
	}
	got = read(src, buf, want, p->at);
	if (got == UV_EAGAIN) {
		return 0;
	}
	if (got <= 0) {
		return got == 0 ? UV_EOF : (int)got;
	}
	n = (size_t)got;
	XXH3_64bits_update(p->hash, buf, n);
	note_lines(p, buf, n);
	keep = n >= STREAM_LAST		       ? 0
	       : p->n_last + n > STREAM_LAST ? STREAM_LAST - n
					     : p->n_last;
	memmove(p->last, p->last + p->n_last - keep, keep);
	n = n > STREAM_LAST ? STREAM_LAST : n;
	memcpy(p->last + keep, buf + got - n, n);
	p->n_last = keep + n;
	explicit_bzero(buf, (size_t)got);
	p->at += (uint64_t)got;
	return 0;
}
