#include "common/slice.h"

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.n != b.n) {
		return false;
	}
	for (size_t i = 0; i < a.n; i++) {
		if (lower((unsigned char)a.p[i]) !=
		    lower((unsigned char)b.p[i])) {
			return false;
		}
	}
	return true;
}

/* Places of the first byte that are looked at before memmem(), which is linear
 * whatever the text but sets up a table each time. */
enum { FIRST_TRIES = 8 };

size_t slice_find(struct slice s, struct slice needle)
{
	const char *p = s.p, *at;

	if (needle.n == 0) {
		return 0;
	}
	if (needle.n > s.n) {
		return SIZE_MAX;
	}
	for (int i = 0; i < FIRST_TRIES; i++) {
		size_t left = s.n - (size_t)(p - s.p);

		at = left < needle.n ? NULL : memchr(p, needle.p[0],
						     left - needle.n + 1);
		if (at == NULL) {
			return SIZE_MAX;
		}
		if (memcmp(at, needle.p, needle.n) == 0) {
			return (size_t)(at - s.p);
		}
		p = at + 1;
	}
	at = memmem(p, s.n - (size_t)(p - s.p), needle.p, needle.n);
	return at == NULL ? SIZE_MAX : (size_t)(at - s.p);
}

size_t slice_rfind(struct slice s, struct slice needle)
{
	size_t n = s.n - needle.n + 1;
	const char *at;

	if (needle.n > s.n) {
		return SIZE_MAX;
	}
	if (needle.n == 0) {
		return s.n;
	}
	while (n > 0 && (at = memrchr(s.p, needle.p[0], n)) != NULL) {
		n = (size_t)(at - s.p);
		if (memcmp(at, needle.p, needle.n) == 0) {
			return n;
		}
	}
	return SIZE_MAX;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && blank(s.p[s.n - 1])) {
		s.n--;
	}
	return s;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0, most = max / 10;

	if (s.n == 0) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)((unsigned char)s.p[i] - '0');

		if (d > 9 || v > most || d > max - v * 10) {
			return false;
		}
		v = v * 10 + d;
	}
	*out = v;
	return true;
}
