#include "common/ip.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool parse_v4(struct slice s, uint8_t out[static 4])
{
	unsigned value = 0, digits = 0, parts = 0;

	for (size_t i = 0; i <= s.n; i++) {
		char c = i < s.n ? s.p[i] : '.';

		if (c == '.') {
			if (digits == 0 || parts == 4) {
				return false;
			}
			out[parts++] = (uint8_t)value;
			value = digits = 0;
		} else if (c >= '0' && c <= '9' && digits < 3) {
			value = value * 10 + (unsigned)(c - '0');
			digits++;
			if (value > 255) {
				return false;
			}
		} else {
			return false;
		}
	}
	return parts == 4;
}

static bool parse_v6(struct slice s, uint8_t out[static 16])
{
	char text[INET6_ADDRSTRLEN];
	const char *zone;

	zone = s.n == 0 ? NULL : memchr(s.p, '%', s.n);
	if (zone != NULL) {
		if (zone + 1 == s.p + s.n) {
			return false;
		}
		for (const char *p = zone + 1; p < s.p + s.n; p++) {
			if ((unsigned char)*p <= ' ' || *p == '%') {
				return false;
			}
		}
		s.n = (size_t)(zone - s.p);
	}
	if (s.n >= sizeof text || (s.n > 0 && memchr(s.p, '\0', s.n) != NULL)) {
		return false;
	}
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(AF_INET6, text, out) == 1;
}

/* The three digits at p make a number up to 255. */
static inline bool three_fit(const char *p)
{
	return ((unsigned)(unsigned char)p[0] << 16 |
		(unsigned)(unsigned char)p[1] << 8 | (unsigned char)p[2]) <=
	       ('2' << 16 | '5' << 8 | '5');
}

/* Four numbers, of digits only, end at these places.  How many digits each has can't
 * be foreseen, so nothing is asked before all is known. */
static inline bool octets(const char *p, const unsigned at[static 4])
{
	unsigned n0 = at[0], n1 = at[1] - at[0] - 1, n2 = at[2] - at[1] - 1,
		 n3 = at[3] - at[2] - 1;

	/* n - 1 < 3: also none that is empty. */
	if (((unsigned)(n0 - 1 < 3) & (n1 - 1 < 3) & (n2 - 1 < 3) & (n3 - 1 < 3)) == 0) {
		return false;
	}
	/* Where a number is shorter, what is looked at is of its neighbour. */
	return (((unsigned)(n0 < 3) | three_fit(p)) &
		((unsigned)(n1 < 3) | three_fit(p + at[1] - 3)) &
		((unsigned)(n2 < 3) | three_fit(p + at[2] - 3)) &
		((unsigned)(n3 < 3) | three_fit(p + at[3] - 3))) != 0;
}

#if defined(__SSE2__)

/* Where the dots of 8 to 15 bytes are, one bit a byte; 0 when they hold anything but
 * digits and dots. */
static inline unsigned dots_of(struct slice s)
{
	__m128i v, dots, digits;
	uint64_t a, b;
	unsigned at;

	memcpy(&a, s.p, 8);
	memcpy(&b, s.p + s.n - 8, 8);
	v = _mm_set_epi64x((int64_t)(b >> 8 >> 8 * (15 - s.n)), (int64_t)a);
	dots = _mm_cmpeq_epi8(v, _mm_set1_epi8('.'));
	/* Bytes less '0' that are at most 9. */
	v = _mm_sub_epi8(v, _mm_set1_epi8('0'));
	digits = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(9)), v);
	at = (unsigned)_mm_movemask_epi8(dots);
	return (at | (unsigned)_mm_movemask_epi8(digits)) == (1u << s.n) - 1 ? at : 0;
}

#else

static inline unsigned dots_of(struct slice s)
{
	unsigned dots = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.') {
			dots |= 1u << i;
		} else if ((unsigned char)(s.p[i] - '0') > 9) {
			return 0;
		}
	}
	return dots;
}

#endif

bool ip_is_quad(struct slice s)
{
	uint8_t four[4];
	unsigned dots, at[4];

	if (s.n < 8 || s.n > 15) {
		return s.n == 7 && parse_v4(s, four);
	}
	dots = dots_of(s);
	for (unsigned i = 0; i < 3; i++) {
		if (dots == 0) {
			return false;
		}
		at[i] = (unsigned)__builtin_ctz(dots);
		dots &= dots - 1;
	}
	at[3] = (unsigned)s.n;
	return dots == 0 && octets(s.p, at);
}

bool ip_parse(struct slice s, struct ip *out)
{
	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
		s = slice(s.p + 1, s.n - 2);
	}
	if (s.n < 2) {
		return false;
	}
	memcpy(out->b, mapped, sizeof mapped);
	if (memchr(s.p, ':', s.n) == NULL) {
		return parse_v4(s, out->b + 12);
	}
	return parse_v6(s, out->b);
}

bool ip_is_v4(const struct ip *a)
{
	return memcmp(a->b, mapped, sizeof mapped) == 0;
}

int ip_format(char out[static IP_TEXT], const struct ip *a)
{
	if (ip_is_v4(a)) {
		inet_ntop(AF_INET, a->b + 12, out, IP_TEXT);
	} else {
		inet_ntop(AF_INET6, a->b, out, IP_TEXT);
	}
	return (int)strlen(out);
}

bool ip_net_parse(struct slice s, struct ip_net *out)
{
	size_t slash = slice_rfind(s, SLICE_LIT("/"));
	uint64_t bits;
	bool v4;

	if (!ip_parse(slice_head(s, slash), &out->base)) {
		return false;
	}
	v4 = ip_is_v4(&out->base);
	if (slash == SIZE_MAX) {
		bits = v4 ? 32 : 128;
	} else if (!slice_to_u64(slice_skip(s, slash + 1), v4 ? 32 : 128,
				 &bits)) {
		return false;
	}
	out->bits = (uint8_t)(v4 ? bits + 96 : bits);
	return true;
}

bool ip_in_net(const struct ip *a, const struct ip_net *net)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	return memcmp(a->b, net->base.b, whole) == 0 &&
	       (rest == 0 ||
		(a->b[whole] & mask) == (net->base.b[whole] & mask));
}
