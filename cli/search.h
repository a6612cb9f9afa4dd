/* search: what cli/search.c asks for and how its two sources answer. */
#ifndef CLI_SEARCH_H
#define CLI_SEARCH_H

#include "cli/store_dir.h"
#include "common/ip.h"
#include "collector/sqlite.h"
#include "common/ip.h"

struct search_request {
	const char *store, *config;
	const char *device;     /* name, or the beginning of its hash */
	int64_t since_ns, until_ns; /* INT64_MIN, INT64_MAX: open */
	const char *program, *user, *text;
	const char *outcome;
	struct ip_net ip;
	bool has_ip;
	bool alerts, json, colour;
	uint64_t limit;         /* UINT64_MAX: none */
};

static inline bool search_wants_device(const struct search_request *q,
				       const char *name, const char *hex)
{
	return q->device == NULL || strcmp(q->device, name) == 0 ||
	       (strlen(q->device) >= 8 &&
		strncmp(q->device, hex, strlen(q->device)) == 0);
}

/* Prints text so that nothing in it steers a terminal. */
void search_put_text(struct slice s);

/* Prints one alert (JSON as the device wrote it, and where it stands). */
void search_put_alert(const struct search_request *q, const char *device,
		      const struct catalogue_alert *a);

#endif
