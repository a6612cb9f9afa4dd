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

size_t slice_find(struct slice s, struct slice needle)
{
	const char *at;

	if (needle.n == 0) {
		return 0;
	}
	at = s.n == 0 ? NULL : memmem(s.p, s.n, needle.p, needle.n);
	return at == NULL ? SIZE_MAX : (size_t)(at - s.p);
}

size_t slice_rfind(struct slice s, struct slice needle)
{
	if (needle.n > s.n) {
		return SIZE_MAX;
	}
	for (size_t i = s.n - needle.n + 1; i-- > 0;) {
		if (memcmp(s.p + i, needle.p, needle.n) == 0) {
			return i;
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
	uint64_t v = 0;

	if (s.n == 0) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)((unsigned char)s.p[i] - '0');

		if (d > 9 || v > (max - d) / 10 || d > max) {
			return false;
		}
		v = v * 10 + d;
	}
	*out = v;
	return true;
}
