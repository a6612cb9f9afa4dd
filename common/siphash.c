#include "common/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t a, b, c, d; /* v0 ... v3 of the paper */
};

static inline uint64_t le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

/* The n < 8 bytes at p; loads that overlap agree on what they share. */
static inline uint64_t le_short(const uint8_t *p, size_t n)
{
	uint32_t low, high;

	if (n >= 4) {
		memcpy(&low, p, 4);
		memcpy(&high, p + n - 4, 4);
		return le32toh(low) | (uint64_t)le32toh(high) << 8 * (n - 4);
	}
	return n == 0 ? 0 : (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) |
				    (uint64_t)p[n - 1] << 8 * (n - 1);
}

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static inline void turn(struct state *v)
{
	v->a += v->b;
	v->c += v->d;
	v->b = rotl(v->b, 13) ^ v->a;
	v->d = rotl(v->d, 16) ^ v->c;
	v->a = rotl(v->a, 32);
	v->c += v->b;
	v->a += v->d;
	v->b = rotl(v->b, 17) ^ v->c;
	v->d = rotl(v->d, 21) ^ v->a;
	v->c = rotl(v->c, 32);
}

static inline void take(struct state *v, uint64_t word)
{
	v->d ^= word;
	turn(v);
	turn(v);
	v->a ^= word;
}

uint64_t siphash(const uint8_t key[static 16], const void *p, size_t n)
{
	const uint8_t *in = p;
	uint64_t k0 = le64(key), k1 = le64(key + 8);
	struct state v = {
		k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
	size_t left = n;

	for (; left >= 8; in += 8, left -= 8) {
		take(&v, le64(in));
	}
	take(&v, le_short(in, left) | (uint64_t)n << 56);
	v.c ^= 0xff;
	turn(&v);
	turn(&v);
	turn(&v);
	turn(&v);
	return v.a ^ v.b ^ v.c ^ v.d;
}
