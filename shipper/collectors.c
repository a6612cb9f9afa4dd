#include "shipper/collectors.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "shipper/options.h"

static uint64_t draw(struct collectors *c, uint64_t n)
{
	uint64_t r = 0;

	sys_random(c->sys, &r, sizeof r); /* 0 when that fails: no harm. */
	return n == 0 ? 0 : r % n;
}

static unsigned rank_of(const struct collectors *c, size_t at)
{
	return c->options->collectors.v[c->order[at]].rank;
}

/* Each rank by itself (Fisher and Yates). */
static void shuffle(struct collectors *c)
{
	for (size_t i = 0; i + 1 < c->n; i++) {
		size_t end = i + 1, k, t;

		while (end < c->n && rank_of(c, end) == rank_of(c, i)) {
			end++;
		}
		k = i + (size_t)draw(c, end - i);
		t = c->order[i];
		c->order[i] = c->order[k];
		c->order[k] = t;
	}
}

static void put_in_order(struct collectors *c)
{
	size_t n = c->options->collectors.n;

	c->n = n < COLLECTORS_MAX ? n : COLLECTORS_MAX;
	for (size_t i = 0; i < c->n; i++) {
		c->order[i] = i;
	}
	shuffle(c);
}

int collectors_init(struct collectors *c, struct sys *sys,
		    const struct shipper_options *options)
{
	*c = (struct collectors){.sys = sys, .options = options};
	c->order = calloc(COLLECTORS_MAX, sizeof *c->order);
	if (c->order == NULL) {
		return UV_ENOMEM;
	}
	put_in_order(c);
	return 0;
}

static bool same_host(const struct hostport *a, const struct hostport *b)
{
	return a->port == b->port && strcmp(a->name, b->name) == 0;
}

bool collectors_reload(struct collectors *c, const struct hostlist *before)
{
	const struct hostport *was = &before->v[c->order[c->at]];

	put_in_order(c);
	for (size_t i = 0; i < c->n; i++) {
		if (same_host(&c->options->collectors.v[c->order[i]], was)) {
			c->at = i;
			return true;
		}
	}
	collectors_return(c);
	c->rounds = 0;
	return false;
}

void collectors_fini(struct collectors *c)
{
	free(c->order);
	c->order = NULL;
}

const struct hostport *collectors_now(const struct collectors *c)
{
	return &c->options->collectors.v[c->order[c->at]];
}

bool collectors_at_best(const struct collectors *c)
{
	return rank_of(c, c->at) == rank_of(c, 0);
}

void collectors_failed(struct collectors *c)
{
	size_t next = c->at + 1;

	if (c->again) {
		c->again = false;
		next = c->at == 0 ? 1 : 0;
	}
	if (next >= c->n) {
		next = 0;
		c->rounds++;
	}
	c->at = next;
}

void collectors_lost(struct collectors *c)
{
	c->again = true;
	c->rounds = 0;
}

void collectors_return(struct collectors *c)
{
	c->at = 0;
	c->again = false;
}

uint64_t collectors_pause_ms(struct collectors *c, enum collectors_pause why,
			     uint64_t least_ms)
{
	const struct shipper_options *o = c->options;
	uint64_t base = o->reconnect_min_ms;

	if (why == PAUSE_LOST && o->reconnect_spread_ms > base) {
		/* From nothing on: one that is alone is back at once. */
		base = draw(c, o->reconnect_spread_ms + 1);
		return base < least_ms ? least_ms / 2 + draw(c, least_ms / 2 + 1)
				       : base;
	}
	/* Another collector is waiting: no reason to be patient. */
	for (unsigned i = 0; why == PAUSE_FAILED && i < c->rounds &&
			     base < o->reconnect_max_ms;
	     i++) {
		base *= 2;
	}
	if (base > o->reconnect_max_ms || why == PAUSE_LONG) {
		base = o->reconnect_max_ms;
	}
	base = base < least_ms ? least_ms : base;
	return base / 2 + draw(c, base / 2 + 1);
}
