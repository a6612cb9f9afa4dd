/* search_alert: one alert for people or programs.  The JSON is a device's word:
 * it is read and written anew, never printed as it came. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/search.h"
#include "common/siphash.h"
#include "common/sys_uv.h"
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

/* ---- what was printed ---- */

static void seen_put(struct alerts_seen *t, uint64_t hash)
{
	size_t at = hash & (t->room - 1);

	while (t->slots[at] != 0) {
		at = (at + 1) & (t->room - 1);
	}
	t->slots[at] = hash;
	t->n++;
}

static bool seen_grow(struct alerts_seen *t)
{
	struct alerts_seen old = *t;

	t->room = old.room == 0 ? 1024 : old.room * 2;
	t->n = 0;
	t->slots = calloc(t->room, sizeof *t->slots);
	if (t->slots == NULL) {
		*t = old;
		return false;
	}
	for (size_t i = 0; i < old.room; i++) {
		if (old.slots[i] != 0) {
			seen_put(t, old.slots[i]);
		}
	}
	free(old.slots);
	return true;
}

/* true: this hash is new.  Without memory everything is. */
static bool seen_add(struct alerts_seen *t, uint64_t hash)
{
	hash |= 1; /* 0 is a free slot. */
	if (2 * t->n >= t->room && !seen_grow(t)) {
		return true;
	}
	for (size_t at = hash & (t->room - 1); t->slots[at] != 0;
	     at = (at + 1) & (t->room - 1)) {
		if (t->slots[at] == hash) {
			return false;
		}
	}
	seen_put(t, hash);
	return true;
}

/* One telling of an alert: device, identity, state and count. */
static bool is_new(struct search_request *q, const struct catalogue_alert *a,
		   json_t *root)
{
	json_t *alert = json_object_get(root, "alert");
	struct slice id = member(root, "alert", "id");
	struct slice state = member(root, "alert", "state");
	struct buf key;
	uint64_t hash;
	bool new = true;

	if (id.n == 0) {
		return true; /* Nothing to know it again by. */
	}
	if (q->seen.room == 0 &&
	    sys_random(sys_plain(), q->seen.key, sizeof q->seen.key) != 0) {
		return true;
	}
	buf_init(&key, 4096);
	if (buf_add(&key, &a->device, sizeof a->device) == 0 &&
	    buf_add_slice(&key, slice_head(id, 64)) == 0 &&
	    buf_add_u8(&key, 0) == 0 &&
	    buf_add_slice(&key, slice_head(state, 64)) == 0 &&
	    buf_add_u64(&key, (uint64_t)json_integer_value(json_object_get(
				      alert, "count"))) == 0) {
		hash = siphash(q->seen.key, key.p, key.n);
		new = seen_add(&q->seen, hash);
	}
	buf_fini(&key);
	return new;
}

bool search_put_alert(struct search_request *q, const char *device,
		      const struct catalogue_alert *a)
{
	json_error_t why;
	json_t *root = json_loadb(a->json.p == NULL ? "" : a->json.p,
				  a->json.n, 0, &why);
	bool new = true;

	if (!json_is_object(root)) {
		json_decref(root);
		root = json_pack("{s:{s:s}}", "alert", "severity", "unreadable");
	} else {
		new = is_new(q, a, root);
	}
	if (new && q->json) {
		put_json(device, a, root);
	} else if (new) {
		put_text(q, device, a, root);
	}
	json_decref(root);
	return new;
}
