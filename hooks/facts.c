#include "hooks/facts.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/ip.h"
#include "common/timefmt.h"

enum { ID_DIGITS = 32 };

static struct slice string_of(const json_t *object, const char *key)
{
	const json_t *s = json_object_get(object, key);

	return json_is_string(s) ? slice(json_string_value(s), json_string_length(s))
				 : SLICE_NONE;
}

/* ---- text ---- */

/* The length of the control character at p: 1, or 2 for U+0080 to U+009F, which
 * terminals obey as well; 0: it is none.  Jansson lets only valid UTF-8 in. */
static size_t control_at(const unsigned char *p, size_t left)
{
	if (p[0] < ' ' || p[0] == 127) {
		return 1;
	}
	return left > 1 && p[0] == 0xc2 && p[1] < 0xa0 ? 2 : 0;
}

static void set_text(struct facts *f, enum hook_variable v, struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	char *out = f->value[v];
	size_t n = 0;

	for (size_t i = 0; i < s.n && n < PROTOCOL_VALUE_MAX;) {
		size_t control = control_at(p + i, s.n - i);

		out[n++] = control > 0 ? '?' : (char)p[i];
		i += control > 0 ? control : 1;
	}
	/* Cut between characters, not inside one. */
	if (n == PROTOCOL_VALUE_MAX) {
		while (n > 0 && ((unsigned char)out[n - 1] & 0xc0) == 0x80) {
			n--;
		}
		if (n > 0 && (unsigned char)out[n - 1] >= 0xc0) {
			n--;
		}
	}
	out[n] = '\0';
}

static void set_time(struct facts *f, enum hook_variable v, struct slice s)
{
	int64_t ns;

	if (time_parse(s, &ns)) {
		set_text(f, v, s);
	}
}

static bool is_identity(struct slice s)
{
	if (s.n != ID_DIGITS) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (!isxdigit((unsigned char)s.p[i])) {
			return false;
		}
	}
	return true;
}

static bool is_state(struct slice s)
{
	return slice_eq(s, SLICE_LIT("new")) || slice_eq(s, SLICE_LIT("update")) ||
	       slice_eq(s, SLICE_LIT("end"));
}

/* ---- JSON ---- */

static int set_facts(struct facts *f, const json_t *root, const json_t *alert)
{
	struct slice id = string_of(alert, "id"), state = string_of(alert, "state");
	struct slice address = string_of(json_object_get(root, "source"), "ip");
	const json_t *rule = json_object_get(root, "rule");
	const json_t *count = json_object_get(alert, "count");
	int severity = severity_parse(string_of(alert, "severity"));
	struct ip ip;

	if (!is_identity(id) || !is_state(state) || severity < 0) {
		return ERR_MALFORMED;
	}
	f->severity = (enum severity)severity;
	set_text(f, VARIABLE_ID, id);
	set_text(f, VARIABLE_STATE, state);
	set_text(f, VARIABLE_SEVERITY, slice_str(severity_name(f->severity)));
	set_text(f, VARIABLE_RULE, string_of(rule, "name"));
	set_text(f, VARIABLE_RULE_ID, string_of(rule, "id"));
	set_text(f, VARIABLE_DEVICE, string_of(alert, "device"));
	set_text(f, VARIABLE_USER, string_of(json_object_get(root, "user"), "name"));
	set_time(f, VARIABLE_FIRST, string_of(alert, "first"));
	set_time(f, VARIABLE_LAST, string_of(alert, "last"));
	if (ip_parse(address, &ip)) {
		ip_format(f->value[VARIABLE_SOURCE_IP], &ip);
	}
	if (json_is_integer(count) && json_integer_value(count) >= 0) {
		snprintf(f->value[VARIABLE_COUNT], PROTOCOL_VALUE_MAX,
			 "%" JSON_INTEGER_FORMAT, json_integer_value(count));
	}
	return 0;
}

/* The text as it came.  Line ends can stand between its tokens only, since inside a
 * string JSON has them escaped. */
static int add_as_it_is(struct buf *line, struct slice json)
{
	size_t start = line->n;
	int rc = buf_add_slice(line, json);

	for (size_t i = start; rc == 0 && i < line->n; i++) {
		if ((unsigned char)line->p[i] < ' ') {
			line->p[i] = ' ';
		}
	}
	return rc;
}

static int add_text(const char *p, size_t n, void *arg)
{
	return buf_add(arg, p, n) == 0 ? 0 : -1;
}

static int add_line(struct buf *line, json_t *root, json_t *alert, struct slice json,
		    struct slice device)
{
	size_t start = line->n;
	int rc = 0;

	if (device.n == 0 || slice_eq(device, string_of(alert, "device"))) {
		rc = add_as_it_is(line, json);
	} else if (json_object_set_new(alert, "device",
				       json_stringn(device.p, device.n)) != 0) {
		rc = UV_ENOMEM;
	} else if (json_dump_callback(root, add_text, line, JSON_COMPACT) != 0) {
		rc = ERR_TOO_LARGE;
	}
	rc = rc != 0 ? rc : buf_add_u8(line, '\n');
	if (rc == 0 && line->n - start > PROTOCOL_INPUT_MAX) {
		rc = ERR_TOO_LARGE;
	}
	if (rc != 0) {
		line->n = start;
	}
	return rc;
}

int facts_read(struct facts *out, struct slice json, struct slice device,
	       struct buf *line)
{
	json_error_t error;
	json_t *root, *alert;
	int rc = ERR_MALFORMED;

	*out = (struct facts){0};
	if (json.n > PROTOCOL_INPUT_MAX) {
		return ERR_TOO_LARGE;
	}
	root = json_loadb(json.n == 0 ? "" : json.p, json.n, JSON_ALLOW_NUL, &error);
	if (root == NULL) {
		return json_error_code(&error) == json_error_out_of_memory
			       ? UV_ENOMEM
			       : ERR_MALFORMED;
	}
	alert = json_object_get(root, "alert");
	if (json_is_object(alert)) {
		rc = add_line(line, root, alert, json, device);
		rc = rc != 0 ? rc : set_facts(out, root, alert);
	}
	json_decref(root);
	return rc;
}

/* ---- for people ---- */

static int add_part(struct buf *out, const char *before, const char *value)
{
	return value[0] == '\0' ? 0 : buf_printf(out, "%s%s", before, value);
}

int facts_print(const struct facts *f, struct buf *out)
{
	char severity[16] = "";
	const char *name = severity_name(f->severity);
	int rc;

	for (size_t i = 0; name[i] != '\0' && i < sizeof severity - 1; i++) {
		severity[i] = (char)toupper((unsigned char)name[i]);
	}
	rc = buf_printf(out, "%s %s", severity, f->value[VARIABLE_RULE]);
	rc = rc != 0 ? rc : add_part(out, ": ", f->value[VARIABLE_COUNT]);
	rc = rc != 0 ? rc : add_part(out, " from ", f->value[VARIABLE_SOURCE_IP]);
	rc = rc != 0 ? rc : add_part(out, ", user ", f->value[VARIABLE_USER]);
	rc = rc != 0 ? rc : add_part(out, ", on ", f->value[VARIABLE_DEVICE]);
	rc = rc != 0 ? rc : add_part(out, ", ", f->value[VARIABLE_STATE]);
	rc = rc != 0 ? rc : add_part(out, " ", f->value[VARIABLE_ID]);
	return rc != 0 ? rc : buf_add_u8(out, '\n');
}
