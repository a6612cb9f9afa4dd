#include "alerts/render.h"

#include "common/ecs.h"
#include "common/err.h"
#include "common/ip.h"
#include "common/json.h"
#include "common/limits.h"

/* Every text from a line is cut to this at first; when the object still is too
 * large (six bytes for one, where everything must be escaped), to half of it, and
 * so on. */
enum { CUT_MIN = 16 };

/* The record that the ECS part is written from: what the line said that made the
 * alert true, and over it what the group says. */
static void merge(struct record *out, const struct finding *f, size_t cut)
{
	struct event *e = &out->event;
	struct ip ip;

	*out = (struct record){.observed_ns = f->last_ns};
	out->header.priority = -1;
	if (f->record != NULL) {
		out->header = f->record->header;
		out->event = f->record->event;
		out->line = f->record->line;
	} else if (f->n_evidence > 0) {
		out->line = f->evidence[f->n_evidence - 1];
	}
	out->header.time_ns = f->last_ns;
	event_set(e, FIELD_EVENT_KIND, SLICE_LIT("alert"));
	for (size_t i = 0; i < f->n_group; i++) {
		int id = event_field_find(f->group[i].name);

		if (id < 0) {
			continue;
		}
		event_set(e, (enum event_field)id, f->group[i].value);
		if (id == FIELD_SOURCE_ADDRESS && ip_parse(f->group[i].value, &ip)) {
			event_set(e, FIELD_SOURCE_IP, f->group[i].value);
		}
	}
	for (unsigned id = 0; id < FIELD_NR; id++) {
		e->f[id] = slice_head(event_get(e, (enum event_field)id), cut);
	}
	out->line = slice_head(out->line, cut);
	out->header.message = slice_head(out->header.message, cut);
	out->header.host = slice_head(out->header.host, cut);
	out->header.program = slice_head(out->header.program, cut);
}

static void add_rule(struct json *j, const struct finding *f)
{
	json_object(j, "rule");
	json_cstr(j, "id", f->rule_id);
	json_cstr(j, "name", f->rule_title);
	if (f->state == FINDING_NEW && f->rule_description[0] != '\0') {
		json_cstr(j, "description", f->rule_description);
	}
	json_object_end(j);
}

/* "attack.t1110.001" is MITRE's technique T1110.001, "attack.persistence" its
 * tactic. */
static bool is_technique(struct slice tag)
{
	return tag.n > 8 && slice_starts(tag, SLICE_LIT("attack.t")) &&
	       tag.p[8] >= '0' && tag.p[8] <= '9';
}

static void add_techniques(struct json *j, const struct finding *f)
{
	json_cstr(j, "framework", "MITRE ATT&CK");
	json_object(j, "technique");
	json_array(j, "id");
	for (const char *const *t = f->tags; *t != NULL; t++) {
		char id[16] = "T";
		struct slice tag = slice_str(*t);

		if (is_technique(tag)) {
			tag = slice_head(slice_skip(tag, 8), sizeof id - 2);
			memcpy(id + 1, tag.p, tag.n);
			json_cstr(j, NULL, id);
		}
	}
	json_array_end(j);
	json_object_end(j);
}

/* ECS, "threat.enrichments": what is known of it from elsewhere, and how old that is. */
static void add_lists(struct json *j, const struct finding *f)
{
	json_array(j, "enrichments");
	for (size_t i = 0; i < f->n_lists; i++) {
		const struct finding_list *l = &f->lists[i];

		json_object(j, NULL);
		json_object(j, "feed");
		json_cstr(j, "name", l->name);
		if (l->source[0] != '\0') {
			json_cstr(j, "reference", l->source);
		}
		json_object_end(j);
		json_object(j, "indicator");
		json_time(j, "modified_at", l->changed_ns);
		json_object_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static void add_threat(struct json *j, const struct finding *f)
{
	bool techniques = false;

	for (const char *const *t = f->tags; t != NULL && *t != NULL; t++) {
		techniques = techniques || is_technique(slice_str(*t));
	}
	if (!techniques && f->n_lists == 0) {
		return;
	}
	json_object(j, "threat");
	if (techniques) {
		add_techniques(j, f);
	}
	if (f->n_lists > 0) {
		add_lists(j, f);
	}
	json_object_end(j);
}

static void add_tags(struct json *j, const struct finding *f)
{
	json_array(j, "tags");
	for (const char *const *t = f->tags; t != NULL && *t != NULL; t++) {
		json_cstr(j, NULL, *t);
	}
	json_array_end(j);
}

static void add_group(struct json *j, const struct finding *f, size_t cut)
{
	json_object(j, "group");
	for (size_t i = 0; i < f->n_group; i++) {
		char key[64];
		struct slice name = slice_head(f->group[i].name, sizeof key - 1);

		memcpy(key, name.p, name.n);
		key[name.n] = '\0';
		json_string(j, key, slice_head(f->group[i].value, cut));
	}
	json_object_end(j);
}

/* The last lines up to and with the one that made it true. */
static void add_evidence(struct json *j, const struct finding *f, size_t lines,
			 size_t cut)
{
	size_t own = f->record != NULL, from = 0;

	if (f->n_evidence + own > lines) {
		from = f->n_evidence + own - lines;
	}
	json_array(j, "evidence");
	for (size_t i = from; i < f->n_evidence; i++) {
		json_string(j, NULL, slice_head(f->evidence[i], cut));
	}
	if (own) {
		json_string(j, NULL, slice_head(f->record->line, cut));
	}
	json_array_end(j);
}

/* Where to take a secret out of the machine's own log. */
static void add_masked(struct json *j, const struct finding *f)
{
	if (f->n_masked == 0) {
		return;
	}
	json_array(j, "masked");
	for (size_t i = 0; i < f->n_masked; i++) {
		json_object(j, NULL);
		json_hex(j, "stream", &f->masked[i].stream, sizeof f->masked[i].stream);
		json_u64(j, "start", f->masked[i].start);
		json_object_end(j);
	}
	json_array_end(j);
}

static void add_alert(struct json *j, const struct alert *a,
		      const struct finding *f, struct slice device, size_t lines,
		      size_t cut)
{
	static const char *const states[] = {"new", "update", "end"};

	json_object(j, "alert");
	json_cstr(j, "id", a->id);
	json_cstr(j, "status", f->state == FINDING_END ? "resolved" : "firing");
	json_cstr(j, "state", states[f->state]);
	json_cstr(j, "severity", severity_name(f->severity));
	if (f->severity_reason != NULL) {
		json_cstr(j, "severity_was", severity_name(f->severity_was));
		json_cstr(j, "severity_reason", f->severity_reason);
	}
	json_time(j, "first", f->first_ns);
	json_time(j, "last", f->last_ns);
	json_u64(j, "count", f->count);
	if (f->usual != NULL) {
		json_cstr(j, "usual", f->usual);
	}
	json_u64(j, "suppressed", a->suppressed);
	if (device.n > 0) {
		json_string(j, "device", device);
	}
	add_group(j, f, cut);
	/* What comes after it has the same identity, and its last line in
	 * "message": told again, evidence was half of all bytes of alerts. */
	if (f->state == FINDING_NEW) {
		add_evidence(j, f, lines, cut);
		add_masked(j, f);
	}
	json_object_end(j);
}

static int render(struct buf *out, const struct alert *a, const struct finding *f,
		  struct slice device, size_t lines, size_t cut)
{
	struct json j = json_begin(out);
	struct record r;

	buf_clear(out);
	merge(&r, f, cut);
	json_object(&j, NULL);
	ecs_write(&j, &r);
	add_rule(&j, f);
	add_threat(&j, f);
	add_tags(&j, f);
	add_alert(&j, a, f, device, lines, cut);
	json_object_end(&j);
	return json_end(&j);
}

int alert_render(struct buf *out, const struct alert *a, const struct finding *f,
		 struct slice device, size_t lines)
{
	size_t cut = LIMIT_EVIDENCE_BYTES;
	int rc = render(out, a, f, device, lines, cut);

	while (rc == ERR_TOO_LARGE && cut > CUT_MIN) {
		cut /= 2;
		rc = render(out, a, f, device, lines, cut);
	}
	return rc;
}
