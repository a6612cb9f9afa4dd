#include "cli/explain_pattern.h"

#include "parsers/parser.h"

struct place {
	size_t at, n;
	enum event_field field;
};

bool explain_in_line(const struct record *r, enum event_field field)
{
	struct slice v = event_get(&r->event, field);
	uintptr_t p = (uintptr_t)v.p, line = (uintptr_t)r->line.p;

	return v.n > 0 && p >= line && p - line <= r->line.n && v.n <= r->line.n - (p - line);
}

/* Those that stand in the message, in order; of two that overlap the longer one. */
static size_t find_places(const struct record *r, struct place out[static FIELD_NR])
{
	uintptr_t message = (uintptr_t)r->header.message.p;
	size_t n = 0;

	for (unsigned i = 0; i < FIELD_NR; i++) {
		struct slice v = event_get(&r->event, (enum event_field)i);
		struct place new = {(uintptr_t)v.p - message, v.n, (enum event_field)i};
		size_t at = n;

		if (!explain_in_line(r, new.field) || (uintptr_t)v.p < message) {
			continue;
		}
		while (at > 0 && out[at - 1].at > new.at) {
			at--;
		}
		if ((at > 0 && out[at - 1].at + out[at - 1].n > new.at) ||
		    (at < n && new.at + new.n > out[at].at)) {
			size_t other = at > 0 && out[at - 1].at + out[at - 1].n > new.at ? at - 1
											 : at;

			if (new.n > out[other].n &&
			    (other + 1 >= n || new.at + new.n <= out[other + 1].at)) {
				out[other] = new;
			}
			continue;
		}
		memmove(out + at + 1, out + at, (n - at) * sizeof *out);
		out[at] = new;
		n++;
	}
	return n;
}

int explain_pattern(const struct record *r, struct buf *out)
{
	struct place places[FIELD_NR];
	size_t n = find_places(r, places), at = 0;
	struct slice m = r->header.message;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		if (places[i].at < at || places[i].at + places[i].n > m.n) {
			continue;
		}
		rc = buf_add(out, m.p + at, places[i].at - at);
		rc = rc != 0 ? rc
			     : buf_printf(out, "<%s>", event_field_name(places[i].field));
		at = places[i].at + places[i].n;
	}
	return rc != 0 || m.n == at ? rc : buf_add(out, m.p + at, m.n - at);
}

static bool may_be_earlier(const struct record *r, enum event_field field)
{
	return (field == FIELD_USER_NAME || field == FIELD_SOURCE_IP ||
		field == FIELD_SOURCE_ADDRESS || field == FIELD_SOURCE_PORT) &&
	       event_has(&r->event, field) && !explain_in_line(r, field);
}

static int read_alone(struct parser **out, const struct record *r, const struct zone *zone,
		      const char *source, struct event *e)
{
	struct header h;
	int rc = parser_new(out, zone);

	if (rc != 0) {
		return rc;
	}
	if (source != NULL) {
		parser_sender(*out, slice_str(source));
	}
	parser_line(*out, r->line, r->observed_ns, &h, e);
	return 0;
}

int explain_earlier(const struct record *r, const struct zone *zone, const char *source,
		    bool earlier[static FIELD_NR])
{
	struct parser *alone = NULL;
	struct event e;
	int rc = 0;

	for (unsigned i = 0; i < FIELD_NR && rc == 0; i++) {
		earlier[i] = may_be_earlier(r, (enum event_field)i);
		if (!earlier[i]) {
			continue;
		}
		if (alone == NULL) {
			rc = read_alone(&alone, r, zone, source, &e);
		}
		earlier[i] = rc == 0 &&
			     !slice_eq(event_get(&e, (enum event_field)i), r->event.f[i]);
	}
	if (alone != NULL) {
		parser_free(alone);
	}
	return rc;
}
