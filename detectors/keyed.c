#include "detectors/engine.h"

/* Keyed hashes of values.  A value's own is siphash's, kept for those that came last, since
 * correlations and lines share them; lists of values, and rules, are told apart by mixing
 * on: what comes of that is as secret as the hashes that go in. */

/* What is too long to be kept goes in as its own hash, behind a length that no other has. */
static uint64_t long_hash(const struct detect *d, struct slice v)
{
	uint64_t whole[2] = {UINT64_MAX, siphash(d->key, v.p, v.n)};

	return siphash(d->key, whole, sizeof whole);
}

static uint64_t value_hash(struct detect *d, struct slice v)
{
	uint64_t tail = 0;
	struct kept *k;

	if (v.n > KEPT_BYTES) {
		return long_hash(d, v);
	}
	if (v.n > 0) {
		size_t n = v.n < sizeof tail ? v.n : sizeof tail;

		memcpy(&tail, v.p + v.n - n, n);
	}
	k = &d->kept[(tail + v.n) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - KEPT_LOG)];
	if (k->n_and_one != v.n + 1 || !slice_eq_short(slice(k->bytes, v.n), v)) {
		k->n_and_one = (uint8_t)(v.n + 1);
		if (v.n > 0) {
			memcpy(k->bytes, v.p, v.n);
		}
		k->hash = siphash(d->key, &k->n_and_one, v.n + 1);
	}
	return k->hash;
}

uint64_t engine_hash(struct detect *d, uint64_t salt, const struct slice *values, size_t n)
{
	uint64_t h = engine_mix(salt, 0);

	for (size_t i = 0; i < n; i++) {
		h = engine_mix(h, value_hash(d, values[i]));
	}
	return h == 0 ? 1 : h;
}

/* Not one of those that nearly all rules ask for. */
static __attribute__((noinline)) bool look_far(const struct detect *d, unsigned field,
					       struct slice *out)
{
	return engine_field(d, field, out);
}

const struct asked *engine_look(struct detect *d, unsigned field)
{
	const struct event *e = &d->record->event;
	struct asked *a = &d->asked[field];

	a->record = d->stats.records;
	a->there = field < FIELD_NR && event_has(e, (enum event_field)field);
	if (a->there) {
		a->value = e->f[field];
	} else {
		a->there = look_far(d, field, &a->value);
	}
	if (a->there) {
		a->hash = value_hash(d, a->value);
	}
	return a;
}
