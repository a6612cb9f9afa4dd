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
