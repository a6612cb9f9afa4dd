/* reload: what a reload takes over. */
#include <stdio.h>
#include <string.h>

#include "common/hostlist.h"
#include "config/config.h"
#include "config/table.h"

static void swap(char *a, char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = a[i];

		a[i] = b[i];
		b[i] = c;
	}
}

static size_t size_of(enum option_type type)
{
	switch (type) {
	case OPTION_BOOL:
		return sizeof(bool);
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return sizeof(uint64_t);
	case OPTION_WORD:
		return sizeof(unsigned);
	case OPTION_HOST:
	case OPTION_ADDRESS:
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_ITEMS:
		return sizeof(char *);
	case OPTION_HOSTS:
		return sizeof(struct hostlist);
	case OPTION_SPAN:
		return sizeof(struct day_span);
	case OPTION_TEXTS:
	case OPTION_PATHS:
		return sizeof(struct strlist);
	}
	return 0;
}

static void swap_live(const struct schema *s, char *a, char *b)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct option *o = &s->options[i];

		if (o->reload != RELOAD_LIVE) {
			continue;
		}
		swap(a + o->offset, b + o->offset, size_of(o->type));
		if (o->type == OPTION_ITEMS) {
			swap(a + o->port, b + o->port, sizeof(size_t));
		} else if (o->type == OPTION_HOST || o->type == OPTION_ADDRESS) {
			swap(a + o->port, b + o->port, sizeof(uint16_t));
		}
	}
}

void agent_config_swap_live(struct agent_config *a, struct agent_config *b)
{
	swap_live(&agent_schema, (char *)a, (char *)b);
}

void collector_config_swap_live(struct collector_config *a, struct collector_config *b)
{
	swap_live(&collector_schema, (char *)a, (char *)b);
}

/* ---- the answer ---- */

void config_errors_print(const struct config_errors *e)
{
	for (size_t i = 0; i < e->n; i++) {
		fprintf(stderr, "%s\n", e->text[i]);
	}
	if (e->more > 0) {
		fprintf(stderr, "... and %zu more\n", e->more);
	}
}

void config_errors_add(struct config_errors *e, const char *text)
{
	if (e->n < CONFIG_ERRORS_MAX) {
		snprintf(e->text[e->n++], CONFIG_ERROR_BYTES, "%.*s",
			 CONFIG_ERROR_BYTES - 1, text);
	} else {
		e->more++;
	}
}

void config_answer_counts(struct config_errors *taken, const char *key, size_t kept,
			  size_t changed, size_t added, size_t gone)
{
	static const char *const names[] = {"kept", "changed", "added", "gone"};
	const size_t counts[] = {kept, changed, added, gone};
	char text[CONFIG_ERROR_BYTES];
	size_t n = (size_t)snprintf(text, sizeof text, "%.64s:", key), from = n;

	for (size_t i = 0; i < 4; i++) {
		if (counts[i] > 0) {
			n += (size_t)snprintf(text + n, sizeof text - n, "%s %zu %s",
					      n > from ? "," : "", counts[i], names[i]);
		}
	}
	if (changed + added + gone > 0) {
		config_errors_add(taken, text);
	}
}

static void tell(struct json *j, const char *name, enum log_level level,
		 const struct config_errors *e, const char *behind)
{
	char text[CONFIG_ERROR_BYTES + 64], quoted[CONFIG_ERROR_BYTES + 128];

	json_array(j, name);
	for (size_t i = 0; i < e->n; i++) {
		snprintf(text, sizeof text, "%s%s", e->text[i], behind);
		json_cstr(j, NULL, text);
		log_quote(quoted, sizeof quoted, slice_str(text));
		if (level == LOG_LEVEL_INFO) {
			log_info("reload", "%s=%s", name, quoted);
		} else {
			log_warn("reload", "%s=%s", name, quoted);
		}
	}
	if (e->more > 0) {
		snprintf(text, sizeof text, "and %zu more", e->more);
		json_cstr(j, NULL, text);
	}
	json_array_end(j);
}

void config_answer(struct json *j, bool ok, const char *path,
		   const struct config_answer *a)
{
	if (ok) {
		log_info("the configuration was read anew", "path=%s", path);
	} else {
		log_error("the changed configuration can't be used; the one before stays",
			  "path=%s", path);
	}
	json_object(j, NULL);
	json_bool(j, "ok", ok);
	tell(j, "errors", LOG_LEVEL_WARN, &a->errs, "");
	tell(j, "taken", LOG_LEVEL_INFO, &a->taken, "");
	tell(j, "restart", LOG_LEVEL_WARN, &a->restart, ": takes effect after a restart");
	tell(j, "notes", LOG_LEVEL_WARN, &a->notes, "");
	json_object_end(j);
}
