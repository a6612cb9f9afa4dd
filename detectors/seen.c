#include "detectors/seen.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 64, LOOK_AT = 8 };

void seen_init(struct seen *s, uint32_t max_slots)
{
	*s = (struct seen){.max_slots = SLOTS_FIRST};
	while (s->max_slots <= max_slots / 2) {
		s->max_slots *= 2;
	}
}

void seen_fini(struct seen *s)
{
	free(s->slots);
	seen_init(s, s->max_slots);
}

struct seen_slot *seen_find(const struct seen *s, uint64_t hash)
{
	uint32_t mask = s->n_slots - 1;

	if (s->n_slots == 0) {
		return NULL;
	}
	for (uint32_t i = (uint32_t)hash & mask; s->slots[i].hash != 0;
	     i = (i + 1) & mask) {
		if (s->slots[i].hash == hash) {
			return &s->slots[i];
		}
	}
	return NULL;
}

static struct seen_slot *place(struct seen *s, struct seen_slot slot)
{
	uint32_t mask = s->n_slots - 1, i = (uint32_t)slot.hash & mask;

	while (s->slots[i].hash != 0) {
		i = (i + 1) & mask;
	}
	s->slots[i] = slot;
	s->n++;
	return &s->slots[i];
}

static int enlarge(struct seen *s)
{
	struct seen_slot *old = s->slots;
	uint32_t n = s->n_slots;

	if (n >= s->max_slots) {
		return 0;
	}
	s->slots = calloc(n == 0 ? SLOTS_FIRST : (size_t)n * 2, sizeof *old);
	if (s->slots == NULL) {
		s->slots = old;
		return 0;
	}
	s->n_slots = n == 0 ? SLOTS_FIRST : n * 2;
	s->n = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (old[i].hash != 0) {
			place(s, old[i]);
		}
	}
	free(old);
	return 1;
}

/* Backward shift deletion (Knuth, TAOCP 3, 6.4, algorithm R). */
static void drop_slot(struct seen *s, uint32_t i)
{
	uint32_t mask = s->n_slots - 1, j = i;

	for (;;) {
		uint32_t from;

		j = (j + 1) & mask;
		if (s->slots[j].hash == 0) {
			break;
		}
		from = (uint32_t)s->slots[j].hash & mask;
		if (((j - from) & mask) >= ((j - i) & mask)) {
			s->slots[i] = s->slots[j];
			i = j;
		}
	}
	s->slots[i] = (struct seen_slot){0, 0, 0};
	s->n--;
}

static void forget_one(struct seen *s, uint64_t hash)
{
	uint32_t mask = s->n_slots - 1, best = UINT32_MAX;

	/* Three slots in four are used: there is one among any run that is long
	 * enough, and the search goes on until it has one. */
	for (uint32_t k = 0; k < LOOK_AT || best == UINT32_MAX; k++) {
		uint32_t i = ((uint32_t)hash + k) & mask;

		if (s->slots[i].hash != 0 &&
		    (best == UINT32_MAX ||
		     s->slots[i].last_s < s->slots[best].last_s)) {
			best = i;
		}
	}
	drop_slot(s, best);
	s->forgotten++;
}

struct seen_slot *seen_add(struct seen *s, uint64_t hash)
{
	struct seen_slot *slot = seen_find(s, hash);

	if (slot != NULL) {
		return slot;
	}
	if (s->n >= s->n_slots / 4 * 3 && !enlarge(s)) {
		if (s->n_slots == 0) {
			return NULL;
		}
		forget_one(s, hash);
	}
	return place(s, (struct seen_slot){hash, 0, 0});
}
