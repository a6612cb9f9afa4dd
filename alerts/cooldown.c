#include "alerts/cooldown.h"

#include <stdlib.h>

#include "common/err.h"

enum { SLOTS_FIRST = 64, LOOK_AT = 8 };

void cooldowns_init(struct cooldowns *c, uint32_t max_slots)
{
	*c = (struct cooldowns){NULL, 0, 0, SLOTS_FIRST};
	while (c->max_slots <= max_slots / 2) {
		c->max_slots *= 2;
	}
}

void cooldowns_fini(struct cooldowns *c)
{
	free(c->slots);
	c->slots = NULL;
	c->n_slots = c->n = 0;
}

static struct cooldown *place(struct cooldowns *c, struct cooldown v)
{
	uint32_t mask = c->n_slots - 1, i = (uint32_t)v.key & mask;

	while (c->slots[i].key != 0) {
		i = (i + 1) & mask;
	}
	c->slots[i] = v;
	c->n++;
	return &c->slots[i];
}

static bool enlarge(struct cooldowns *c)
{
	struct cooldown *old = c->slots;
	uint32_t n = c->n_slots;

	if (n >= c->max_slots) {
		return false;
	}
	c->slots = calloc(n == 0 ? SLOTS_FIRST : (size_t)n * 2, sizeof *old);
	if (c->slots == NULL) {
		c->slots = old;
		return false;
	}
	c->n_slots = n == 0 ? SLOTS_FIRST : n * 2;
	c->n = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (old[i].key != 0) {
			place(c, old[i]);
		}
	}
	free(old);
	return true;
}

/* Backward shift deletion (Knuth, TAOCP 3, 6.4, algorithm R). */
static void drop_slot(struct cooldowns *c, uint32_t i)
{
	uint32_t mask = c->n_slots - 1, j = i;

	for (;;) {
		uint32_t from;

		j = (j + 1) & mask;
		if (c->slots[j].key == 0) {
			break;
		}
		from = (uint32_t)c->slots[j].key & mask;
		if (((j - from) & mask) >= ((j - i) & mask)) {
			c->slots[i] = c->slots[j];
			i = j;
		}
	}
	c->slots[i] = (struct cooldown){0, 0, 0, 0, 0};
	c->n--;
}

static void forget_one(struct cooldowns *c, uint64_t key)
{
	uint32_t mask = c->n_slots - 1, best = UINT32_MAX;

	for (uint32_t k = 0; k < LOOK_AT || best == UINT32_MAX; k++) {
		uint32_t i = ((uint32_t)key + k) & mask;

		if (c->slots[i].key != 0 &&
		    (best == UINT32_MAX ||
		     c->slots[i].last_ns < c->slots[best].last_ns)) {
			best = i;
		}
	}
	drop_slot(c, best);
}

struct cooldown *cooldowns_get(struct cooldowns *c, uint64_t key)
{
	uint32_t mask = c->n_slots - 1;

	key = key == 0 ? 1 : key;
	for (uint32_t i = (uint32_t)key & mask;
	     c->n_slots > 0 && c->slots[i].key != 0; i = (i + 1) & mask) {
		if (c->slots[i].key == key) {
			return &c->slots[i];
		}
	}
	if (c->n >= c->n_slots / 4 * 3 && !enlarge(c)) {
		if (c->n_slots == 0) {
			return NULL;
		}
		forget_one(c, key);
	}
	return place(c, (struct cooldown){.key = key});
}

int cooldowns_save(const struct cooldowns *c, struct buf *out)
{
	int rc = buf_add_varint(out, c->n);

	for (uint32_t i = 0; rc == 0 && i < c->n_slots; i++) {
		const struct cooldown *s = &c->slots[i];

		if (s->key == 0) {
			continue;
		}
		rc = buf_add_u64(out, s->key);
		rc = rc == 0 ? buf_add_u64(out, s->id) : rc;
		rc = rc == 0 ? buf_add_u64(out, (uint64_t)s->last_ns) : rc;
		rc = rc == 0 ? buf_add_varint(out, s->suppressed) : rc;
	}
	return rc;
}

int cooldowns_restore(struct cooldowns *c, struct reader *r)
{
	uint64_t n = reader_varint(r);

	for (uint64_t i = 0; reader_ok(r) && i < n; i++) {
		uint64_t key = reader_u64(r), id = reader_u64(r);
		uint64_t last = reader_u64(r);
		uint64_t suppressed = reader_varint_max(r, UINT32_MAX);
		struct cooldown *s;

		if (!reader_ok(r)) {
			break;
		}
		s = cooldowns_get(c, key);
		if (s == NULL) {
			return UV_ENOMEM;
		}
		*s = (struct cooldown){s->key, id, (int64_t)last,
				       (uint32_t)suppressed, 0};
	}
	return reader_done(r) ? 0 : ERR_MALFORMED;
}
