/* show: a stored record for people and programs: the nested ECS object of
 * common/ecs.h with where it stands beside it:
 *
 *   "nightjar": {"device": NAME, "device_id": HASH, "stream": ID,
 *                "start": N, "end": N, "flags": ["redacted", ...]}
 *
 * Pure.
 */
#ifndef COLLECTOR_SHOW_H
#define COLLECTOR_SHOW_H

#include "common/json.h"
#include "common/record.h"
#include "wire/segment.h"

/* Writes one whole object. */
void show_json(struct json *j, const char *device_name,
	       const struct hash32 *device, const struct record *r);

/* "redacted", or NULL for a bit without a name. */
const char *show_flag(unsigned bit);

#endif
