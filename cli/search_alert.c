/* search_alert: one alert for people or programs.  The JSON is a device's word:
 * it is read and written anew, never printed as it came. */
#include <jansson.h>
#include <stdio.h>

#include "cli/search.h"
#include "common/timefmt.h"

static void put_json(const char *device, const struct catalogue_alert *a,
		     json_t *root)
{
	char hex[HEX32], stream[2 * sizeof a->stream.b + 1];

	hash32_hex(hex, &a->device);
	for (size_t i = 0; i < sizeof a->stream.b; i++) {
		snprintf(stream + 2 * i, 3, "%02x", a->stream.b[i]);
	}
	json_object_set_new(root, "nightjar",
			    json_pack("{s:s?, s:s, s:s, s:I}", "device", device,
				      "device_id", hex, "stream", stream,
				      "start", (json_int_t)a->position));
	json_dumpf(root, stdout, JSON_COMPACT);
	putchar('\n');
}

static struct slice member(json_t *root, const char *object, const char *key)
{
	const char *text = json_string_value(
		json_object_get(json_object_get(root, object), key));

	return slice_str(text);
}

static void put_text(const struct search_request *q, const char *device,
		     const struct catalogue_alert *a, json_t *root)
{
	json_t *lines = json_object_get(json_object_get(root, "alert"),
					"evidence");
	json_t *line;
	size_t i;
	char time[TIME_TEXT];

	time_format(time, a->time_ms * NS_PER_MS);
	printf("%s%s%s ", q->colour ? "\033[2m" : "", time,
	       q->colour ? "\033[0m" : "");
	search_put_text(slice_str(device));
	printf(" %s", q->colour ? "\033[31m" : "");
	search_put_text(member(root, "alert", "severity"));
	printf(": ");
	search_put_text(member(root, "rule", "name"));
	puts(q->colour ? "\033[0m" : "");
	json_array_foreach (lines, i, line) {
		printf("    ");
		search_put_text(slice_str(json_string_value(line)));
		putchar('\n');
	}
}

void search_put_alert(const struct search_request *q, const char *device,
		      const struct catalogue_alert *a)
{
	json_error_t why;
	json_t *root = json_loadb(a->json.p == NULL ? "" : a->json.p,
				  a->json.n, 0, &why);

	if (!json_is_object(root)) {
		json_decref(root);
		root = json_pack("{s:{s:s}}", "alert", "severity", "unreadable");
	}
	if (q->json) {
		put_json(device, a, root);
	} else {
		put_text(q, device, a, root);
	}
	json_decref(root);
}
