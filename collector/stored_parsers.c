/* stored_parsers: the part of opened.h that says what stored lines mean. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/opened.h"
#include "common/err.h"
#include "parsers/zone.h"

/* ---- zones ---- */

static int find_zone(struct parsers *p, const char *rule, size_t *out)
{
	struct zone *z;

	for (size_t i = 0; i < p->n_zones; i++) {
		if (strcmp(p->zones[i].rule, rule) == 0) {
			*out = i;
			return 0;
		}
	}
	if (p->n_zones == sizeof p->zones / sizeof *p->zones ||
	    strlen(rule) >= sizeof p->zones[0].rule) {
		return ERR_LIMIT;
	}
	if (zone_from_rule(&z, slice_str(rule)) != 0) {
		return ERR_MALFORMED;
	}
	*out = p->n_zones++;
	snprintf(p->zones[*out].rule, sizeof p->zones[*out].rule, "%s", rule);
	p->zones[*out].zone = z;
	return 0;
}

static struct stream_zone *find_stream(const struct parsers *p,
				       const struct hash32 *device,
				       const struct stream_id *stream)
{
	for (size_t i = 0; i < p->n_streams; i++) {
		struct stream_zone *s = &p->streams[i];

		if (hash32_eq(&s->device, device) &&
		    memcmp(&s->stream, stream, sizeof *stream) == 0) {
			return s;
		}
	}
	return NULL;
}

static void forget_parser(struct parsers *p, const struct hash32 *device,
			  const struct stream_id *stream)
{
	for (size_t i = 0; i < PARSERS_MAX; i++) {
		struct parser_slot *s = &p->v[i];

		if (s->parser != NULL && hash32_eq(&s->device, device) &&
		    memcmp(&s->stream, stream, sizeof *stream) == 0) {
			parser_free(s->parser);
			s->parser = NULL;
		}
	}
}

static int add_stream(struct parsers *p, const struct hash32 *device,
		      const struct stream_id *stream, struct stream_zone **out)
{
	struct stream_zone *s = find_stream(p, device, stream);

	if (s == NULL) {
		if (p->n_streams == p->room_streams) {
			size_t room = p->room_streams * 2 + 16;
			struct stream_zone *v =
				realloc(p->streams, room * sizeof *v);

			if (v == NULL) {
				return UV_ENOMEM;
			}
			p->streams = v;
			p->room_streams = room;
		}
		s = &p->streams[p->n_streams++];
		*s = (struct stream_zone){*device, *stream, SIZE_MAX, NULL};
	}
	*out = s;
	return 0;
}

static int set_zone(struct parsers *p, const struct hash32 *device,
		    const struct stream_id *stream, size_t zone)
{
	struct stream_zone *s;
	int rc = add_stream(p, device, stream, &s);

	if (rc == 0 && s->zone != zone) {
		s->zone = zone;
		forget_parser(p, device, stream);
	}
	return rc;
}

static int set_sender(struct parsers *p, const struct hash32 *device,
		      const struct stream_id *stream, const char *path)
{
	struct stream_zone *s;
	int rc = add_stream(p, device, stream, &s);
	char *copy;

	if (rc != 0 || (s->sender != NULL && strcmp(s->sender, path) == 0)) {
		return rc;
	}
	copy = strdup(path);
	if (copy == NULL) {
		return UV_ENOMEM;
	}
	free(s->sender);
	s->sender = copy;
	forget_parser(p, device, stream);
	return 0;
}

int parsers_opened(struct parsers *p, const struct hash32 *device,
		   const struct stream_id *stream, struct slice json)
{
	json_error_t why;
	json_t *root = json_loadb(json.p, json.n, 0, &why);
	const char *rule = json_string_value(json_object_get(root, "zone"));
	const char *path = json_string_value(json_object_get(root, "path"));
	const char *senders = json_string_value(json_object_get(root, "senders"));
	size_t zone;
	int rc = 0;

	/* A description that says nothing of use leaves the stream at UTC. */
	if (rule != NULL && find_zone(p, rule, &zone) == 0) {
		rc = set_zone(p, device, stream, zone);
	}
	if (rc == 0 && path != NULL && senders != NULL && strcmp(senders, "proved") == 0) {
		rc = set_sender(p, device, stream, path);
	}
	json_decref(root);
	return rc;
}

/* ---- parsers ---- */

static struct parser_slot *slot_for(struct parsers *p,
				    const struct hash32 *device,
				    const struct stream_id *stream)
{
	struct parser_slot *oldest = &p->v[0];

	for (size_t i = 0; i < PARSERS_MAX; i++) {
		struct parser_slot *s = &p->v[i];

		if (s->parser != NULL && hash32_eq(&s->device, device) &&
		    memcmp(&s->stream, stream, sizeof *stream) == 0) {
			return s;
		}
		if (s->used < oldest->used) {
			oldest = s;
		}
	}
	parser_free(oldest->parser);
	oldest->parser = NULL;
	oldest->device = *device;
	oldest->stream = *stream;
	return oldest;
}

/* Records whose text is no line of a log: marks, gaps, alerts. */
static bool is_line(const struct record *r)
{
	return (r->flags & (RECORD_SKIP | RECORD_GAP | RECORD_GAP_OPEN |
			    RECORD_OPEN | RECORD_CLOSE | RECORD_ALERT)) == 0;
}

static int new_parser(struct parsers *p, struct parser_slot *s)
{
	const struct stream_zone *z = find_stream(p, &s->device, &s->stream);
	bool has_zone = z != NULL && z->zone != SIZE_MAX;
	int rc = parser_new(&s->parser, has_zone ? p->zones[z->zone].zone : NULL);

	if (rc == 0 && z != NULL && z->sender != NULL) {
		parser_sender(s->parser, slice_str(z->sender));
	}
	return rc;
}

int parsers_read(struct parsers *p, const struct hash32 *device,
		 struct record *r)
{
	int64_t explicit_ns = r->header.time_ns;
	struct parser_slot *s;
	int rc = 0;

	event_reset(&r->event);
	r->header = (struct header){.time_ns = explicit_ns, .priority = -1,
				    .message = r->line};
	if ((r->flags & RECORD_OPEN) != 0) {
		return parsers_opened(p, device, &r->stream, r->line);
	}
	if (!is_line(r)) {
		return 0;
	}
	s = slot_for(p, device, &r->stream);
	s->used = ++p->use;
	if (s->parser == NULL) {
		rc = new_parser(p, s);
	}
	if (rc == 0) {
		parser_line(s->parser, r->line, r->observed_ns, &r->header,
			    &r->event);
		if (explicit_ns != TIME_NONE) {
			r->header.time_ns = explicit_ns;
		}
	}
	return rc;
}

void parsers_fini(struct parsers *p)
{
	for (size_t i = 0; i < PARSERS_MAX; i++) {
		parser_free(p->v[i].parser);
	}
	for (size_t i = 0; i < p->n_zones; i++) {
		zone_free(p->zones[i].zone);
	}
	for (size_t i = 0; i < p->n_streams; i++) {
		free(p->streams[i].sender);
	}
	free(p->streams);
	memset(p, 0, sizeof *p);
}
