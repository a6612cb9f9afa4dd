#include "collector/show.h"

#include "common/ecs.h"

const char *show_flag(unsigned bit)
{
	static const char *const names[] = {
		"continuation", "cut",  "no_newline", "skip",
		"gap",          "gap_open", "open",   "close",
		"redacted",     "alert", "extends",   "fork",
	};

	return bit < sizeof names / sizeof *names ? names[bit] : NULL;
}

void show_json(struct json *j, const char *device_name,
	       const struct hash32 *device, const struct record *r)
{
	json_object(j, NULL);
	ecs_write(j, r);
	json_object(j, "nightjar");
	json_cstr(j, "device", device_name);
	json_hex(j, "device_id", device, sizeof *device);
	json_hex(j, "stream", &r->stream, sizeof r->stream);
	json_u64(j, "start", r->start);
	json_u64(j, "end", r->end);
	json_array(j, "flags");
	for (unsigned bit = 0; bit < 32; bit++) {
		if ((r->flags >> bit & 1) != 0 && show_flag(bit) != NULL) {
			json_cstr(j, NULL, show_flag(bit));
		}
	}
	json_array_end(j);
	json_object_end(j);
	json_object_end(j);
}
