#include "detectors/netset.h"

#include <stdlib.h>

#include "common/err.h"

enum { V4_SKIP = 12, WIDEST = 16 };

/* Bytes of the beginning; a network is one byte more. */
static const uint8_t widths[NETSET_PARTS] = {
	[NETSET_V4] = 4, [NETSET_V6] = 8, [NETSET_V6_LONG] = WIDEST};

/* All bits behind the first `bits` become 0. */
static void mask(uint8_t *p, unsigned width, unsigned bits)
{
	for (unsigned i = 0; i < width; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;

		p[i] = (uint8_t)(keep >= 8 ? p[i] : p[i] & (0xff00u >> keep));
	}
}

static int grow(struct netset_nets *v, size_t size)
{
	size_t room = v->room == 0 ? 16 : v->room * 2;
	uint8_t *p = room > SIZE_MAX / 2 / size ? NULL : realloc(v->p, room * size);

	if (p == NULL) {
		return UV_ENOMEM;
	}
	v->p = p;
	v->room = room;
	return 0;
}

int netset_add(struct netset *s, const struct ip_net *net)
{
	bool v4 = ip_is_v4(&net->base) && net->bits >= 96;
	unsigned part = v4 ? NETSET_V4 : net->bits <= 64 ? NETSET_V6 : NETSET_V6_LONG;
	struct netset_nets *v = &s->parts[part];
	unsigned width = widths[part], bits = v4 ? net->bits - 96u : net->bits;
	uint8_t *to;

	if (v->n == v->room && grow(v, width + 1) != 0) {
		return UV_ENOMEM;
	}
	to = v->p + v->n++ * (width + 1);
	memcpy(to, net->base.b + (v4 ? V4_SKIP : 0), width);
	mask(to, width, bits);
	to[width] = (uint8_t)bits;
	return 0;
}

/* ---- closing ---- */

static int compare_4(const void *a, const void *b)
{
	return memcmp(a, b, 4 + 1);
}

static int compare_8(const void *a, const void *b)
{
	return memcmp(a, b, 8 + 1);
}

static int compare_16(const void *a, const void *b)
{
	return memcmp(a, b, 16 + 1);
}

static bool inside(const uint8_t *address, const uint8_t *net, unsigned width)
{
	unsigned bits = net[width], whole = bits / 8, rest = bits % 8;

	return memcmp(address, net, whole) == 0 &&
	       (rest == 0 || ((address[whole] ^ net[whole]) & (0xff00u >> rest) & 0xff) == 0);
}

/* Whether b is the other half of the network whose first half is a. */
static bool halves(const uint8_t *a, const uint8_t *b, unsigned width)
{
	uint8_t both[WIDEST + 1];
	unsigned bits = a[width];

	if (bits == 0 || bits != b[width]) {
		return false;
	}
	memcpy(both, a, width);
	both[width] = (uint8_t)(bits - 1);
	mask(both, width, bits - 1);
	return memcmp(both, a, width) == 0 && inside(b, both, width);
}

static void close_part(struct netset_nets *v, unsigned part)
{
	static int (*const compare[])(const void *, const void *) = {compare_4, compare_8,
								     compare_16};
	size_t size = widths[part] + 1u, n = 0;
	uint8_t *smaller;

	if (v->n == 0) {
		return;
	}
	qsort(v->p, v->n, size, compare[part]);
	for (size_t i = 0; i < v->n; i++) {
		const uint8_t *net = v->p + i * size;

		/* A larger one that begins at the same address comes first. */
		if (n > 0 && inside(net, v->p + (n - 1) * size, widths[part])) {
			continue;
		}
		memmove(v->p + n++ * size, net, size);
		while (n > 1 && halves(v->p + (n - 2) * size, v->p + (n - 1) * size,
				       widths[part])) {
			n--;
			v->p[n * size - 1]--;
		}
	}
	v->n = v->room = n;
	smaller = realloc(v->p, n * size);
	v->p = smaller != NULL ? smaller : v->p;
}

void netset_close(struct netset *s)
{
	for (unsigned i = 0; i < NETSET_PARTS; i++) {
		close_part(&s->parts[i], i);
	}
}

void netset_fini(struct netset *s)
{
	for (unsigned i = 0; i < NETSET_PARTS; i++) {
		free(s->parts[i].p);
	}
	memset(s, 0, sizeof *s);
}

/* ---- asking ---- */

bool netset_has_all(const struct netset *s, bool v4)
{
	const struct netset_nets *v4_nets = &s->parts[NETSET_V4], *v6 = &s->parts[NETSET_V6];

	/* One that lies inside nothing else and has no bits is the only one. */
	return (v6->n > 0 && v6->p[widths[NETSET_V6]] == 0) ||
	       (v4 && v4_nets->n > 0 && v4_nets->p[widths[NETSET_V4]] == 0);
}

static bool part_has(const struct netset_nets *v, const uint8_t *address, unsigned width)
{
	size_t size = width + 1, low = 0, high = v->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(v->p + middle * size, address, width) <= 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low > 0 && inside(address, v->p + (low - 1) * size, width);
}

bool netset_has(const struct netset *s, const struct ip *a)
{
	if (ip_is_v4(a)) {
		return part_has(&s->parts[NETSET_V4], a->b + V4_SKIP, 4);
	}
	return part_has(&s->parts[NETSET_V6], a->b, 8) ||
	       part_has(&s->parts[NETSET_V6_LONG], a->b, WIDEST);
}

size_t netset_bytes(const struct netset *s)
{
	size_t n = 0;

	for (unsigned i = 0; i < NETSET_PARTS; i++) {
		n += s->parts[i].room * (widths[i] + 1u);
	}
	return n;
}
