#include "config/suggest.h"

#include <stdio.h>

#include "config/value.h"

struct best {
	unsigned distance; /* what a candidate must beat */
	struct slice name;
};

static void offer(struct best *b, struct slice key, struct slice name)
{
	unsigned d = value_distance(key, name);

	if (d < b->distance) {
		*b = (struct best){d, name};
	}
}

bool suggest_key(char out[static SUGGEST_TEXT], const struct schema *s,
		 struct slice section, struct slice key)
{
	/* One slip for each three letters, and three at most: what is further
	 * away would rather confuse. */
	unsigned slips = key.n >= 9 ? 3 : key.n >= 6 ? 2 : 1;
	struct best best = {slips + 1, SLICE_NONE};

	for (size_t i = 0; i < s->n; i++) {
		const struct option *o = &s->options[i];

		if (slice_eq(section, slice(o->key, option_section(o)))) {
			offer(&best, key, slice_str(option_name(o)));
		}
	}
	for (const struct section *i = s->sections;
	     section.n == 0 && i != NULL && i->name != NULL; i++) {
		offer(&best, key, slice_str(i->name));
	}
	for (size_t i = 0; best.name.n == 0 && i < s->n; i++) {
		const struct option *o = &s->options[i];

		if (slice_eq(key, slice_str(option_name(o)))) {
			best.name = slice_str(o->key);
		}
	}
	snprintf(out, SUGGEST_TEXT, "%.*s", SLICE_ARG(best.name));
	return best.name.n > 0;
}
