/* nightjar-watch: what the agent says of a watched file that has changed.
 *
 *	modified path="/etc/passwd" uid=0 gid=0 mode=0644 size=1 mtime=... sha256=... was ...
 *
 * Source: sources/watch_table.c (watch_text); docs/sources.md has the form.
 */
#include "parsers/family.h"

struct change {
	struct slice word, type, action;
};

static const struct change changes[] = {
	{TEXT("created "), TEXT("creation"), TEXT("file_created")},
	{TEXT("deleted "), TEXT("deletion"), TEXT("file_deleted")},
	{TEXT("replaced "), TEXT("change"), TEXT("file_replaced")},
	{TEXT("modified "), TEXT("change"), TEXT("file_modified")},
	{TEXT("permission "), TEXT("change"), TEXT("file_permission_changed")},
	{TEXT("touched "), TEXT("change"), TEXT("file_touched")},
};

/* NAME=word and a blank, or the end. */
static bool take_field(struct slice *m, struct slice name, struct slice *value)
{
	struct slice s = *m;

	if (!slice_starts(s, name)) {
		return false;
	}
	s = slice_skip(s, name.n);
	*value = slice_head(s, slice_find(s, SLICE_LIT(" ")));
	*m = slice_skip(s, value->n + 1);
	return value->n > 0;
}

static bool take_state(struct context *c, struct slice *m)
{
	static const struct {
		struct slice name;
		enum event_field field;
	} fields[] = {
		{TEXT("uid="), FIELD_FILE_UID},   {TEXT("gid="), FIELD_FILE_GID},
		{TEXT("mode="), FIELD_FILE_MODE}, {TEXT("size="), FIELD_FILE_SIZE},
		{TEXT("mtime="), FIELD_FILE_MTIME}, {TEXT("sha256="), FIELD_FILE_SHA256},
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		struct slice value;

		if (!take_field(m, fields[i].name, &value)) {
			return false;
		}
		/* Otherwise it is why there is none. */
		if (fields[i].field != FIELD_FILE_SHA256 || value.n == 64) {
			event_set(c->e, fields[i].field, value);
		}
	}
	return true;
}

bool family_watch(struct context *c)
{
	struct slice m = c->m, path;

	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		if (!scan_take(&m, changes[i].word.p, changes[i].word.n)) {
			continue;
		}
		/* A quote in the path is escaped: the first one ends it. */
		if (!TAKE(&m, "path=\"") || !take_before(&m, SLICE_LIT("\" "), &path) ||
		    !(HAS(m, "was ") || take_state(c, &m))) {
			return false;
		}
		SET(c, EVENT_CATEGORY, "file");
		event_set(c->e, FIELD_EVENT_TYPE, changes[i].type);
		event_set(c->e, FIELD_EVENT_ACTION, changes[i].action);
		event_set(c->e, FIELD_FILE_PATH, path);
		return true;
	}
	return false;
}
