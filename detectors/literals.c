#include "detectors/literals.h"

#include "detectors/match.h"

/* Six bits of a byte in which upper and lower case are the same. */
static inline uint32_t bits(char c)
{
	return ((uint32_t)(uint8_t)c & 0x1f) | ((uint32_t)(uint8_t)c & 0x40) >> 1;
}

static inline uint32_t block(const char *p)
{
	return bits(p[0]) << 6 | bits(p[1]);
}

void literals_build(struct literals *l, struct literal *v, uint32_t n)
{
	l->v = v;
	l->n = n;
	l->window = 64;
	for (uint32_t i = 0; i < n; i++) {
		l->window = v[i].text.n < l->window ? (uint32_t)v[i].text.n
						    : l->window;
	}
	memset(l->shift, (int)(l->window - 1), sizeof l->shift);
	memset(l->first, 0, sizeof l->first);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k + 1 < l->window; k++) {
			uint32_t b = block(v[i].text.p + k);
			uint32_t jump = l->window - 2 - k;

			if (jump < l->shift[b]) {
				l->shift[b] = (uint8_t)jump;
			}
			if (jump == 0) {
				v[i].next = l->first[b];
				l->first[b] = i + 1;
			}
		}
	}
}

void literals_scan(const struct literals *l, struct slice s,
		   void (*hit)(void *arg, void *owner), void *arg)
{
	size_t at = l->window - 2;

	while (at + 1 < s.n) {
		uint32_t b = block(s.p + at);

		if (l->shift[b] > 0) {
			at += l->shift[b];
			continue;
		}
		for (uint32_t i = l->first[b]; i != 0; i = l->v[i - 1].next) {
			const struct literal *w = &l->v[i - 1];
			struct slice rest = slice_skip(s, at + 2 - l->window);

			if (rest.n >= w->text.n &&
			    match_find_nocase(slice_head(rest, w->text.n),
					      w->text) == 0) {
				hit(arg, w->owner);
			}
		}
		at++;
	}
}
