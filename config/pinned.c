/* pinned: what a reload can't take over, and what it does. */
#include <stdio.h>
#include <string.h>

#include "common/hostlist.h"
#include "common/timefmt.h"
#include "config/config.h"
#include "config/table.h"

static const void *at(const void *settings, size_t offset)
{
	return (const char *)settings + offset;
}

static const char *string_at(const void *settings, size_t offset)
{
	const char *s;

	memcpy(&s, at(settings, offset), sizeof s);
	return s;
}

static bool same_list(const struct strlist *a, const struct strlist *b)
{
	if (a->n != b->n) {
		return false;
	}
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->v[i], b->v[i]) != 0) {
			return false;
		}
	}
	return true;
}

static bool same_option(const struct option *o, const void *a, const void *b);

static bool same_items(const struct option *o, const void *a, const void *b)
{
	const size_t *na = at(a, o->port), *nb = at(b, o->port);
	const char *ia = string_at(a, o->offset), *ib = string_at(b, o->offset);

	if (*na != *nb) {
		return false;
	}
	for (size_t i = 0; i < *na; i++) {
		for (size_t k = 0; k < o->items->n; k++) {
			if (!same_option(&o->items->options[k],
					 ia + i * o->items->size,
					 ib + i * o->items->size)) {
				return false;
			}
		}
	}
	return true;
}

static bool same_option(const struct option *o, const void *a, const void *b)
{
	const void *va = at(a, o->offset), *vb = at(b, o->offset);

	switch (o->type) {
	case OPTION_BOOL:
		return memcmp(va, vb, sizeof(bool)) == 0;
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return memcmp(va, vb, sizeof(uint64_t)) == 0;
	case OPTION_WORD:
		return memcmp(va, vb, sizeof(unsigned)) == 0;
	case OPTION_HOST:
	case OPTION_ADDRESS:
		if (memcmp(at(a, o->port), at(b, o->port), sizeof(uint16_t)) != 0) {
			return false;
		}
		__attribute__((fallthrough));
	case OPTION_TEXT:
	case OPTION_PATH:
		return strcmp(string_at(a, o->offset), string_at(b, o->offset)) == 0;
	case OPTION_HOSTS:
		return hostlist_eq(va, vb);
	case OPTION_SPAN:
		return memcmp(va, vb, sizeof(struct day_span)) == 0;
	case OPTION_TEXTS:
	case OPTION_PATHS:
		return same_list(va, vb);
	case OPTION_ITEMS:
		return same_items(o, a, b);
	}
	return false;
}

static size_t differing(const struct schema *s, enum reload kind, const void *now,
			const void *next, struct config_errors *errs)
{
	errs->n = errs->more = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct option *o = &s->options[i];

		if (o->reload != kind || same_option(o, now, next)) {
			continue;
		}
		if (errs->n == CONFIG_ERRORS_MAX) {
			errs->more++;
		} else {
			snprintf(errs->text[errs->n++], CONFIG_ERROR_BYTES, "%s",
				 o->key);
		}
	}
	return errs->n + errs->more;
}

size_t agent_config_pinned(const struct agent_config *now,
			   const struct agent_config *next,
			   struct config_errors *errs)
{
	return differing(&agent_schema, RELOAD_RESTART, now, next, errs);
}

size_t collector_config_pinned(const struct collector_config *now,
			       const struct collector_config *next,
			       struct config_errors *errs)
{
	return differing(&collector_schema, RELOAD_RESTART, now, next, errs);
}

size_t agent_config_changed(const struct agent_config *now,
			    const struct agent_config *next,
			    struct config_errors *keys)
{
	return differing(&agent_schema, RELOAD_LIVE, now, next, keys);
}

size_t collector_config_changed(const struct collector_config *now,
				const struct collector_config *next,
				struct config_errors *keys)
{
	return differing(&collector_schema, RELOAD_LIVE, now, next, keys);
}
