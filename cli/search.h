/* search: what cli/search.c asks for, and what is wanted of its two sources and printed. */
#ifndef CLI_SEARCH_H
#define CLI_SEARCH_H

#include "cli/store_dir.h"
#include "collector/sqlite.h"
#include "common/ip.h"

/* What was printed of alerts: a device that was killed tells an alert again, in a
 * new stream, under the id that it had. */
struct alerts_seen {
	uint64_t *slots; /* hashes; 0: free */
	size_t n, room;
	uint8_t key[16];
};

struct search_request {
	const char *store, *config;
	const char *device;     /* name, or the beginning of its hash */
	int64_t since_ns, until_ns; /* INT64_MIN, INT64_MAX: open */
	const char *program, *user, *text;
	const char *outcome;
	struct ip_net ip;
	bool has_ip;
	bool alerts, json, colour;
	bool streams; /* also the records of their beginnings and ends */
	uint64_t limit;         /* UINT64_MAX: none */
	struct alerts_seen seen;
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

/* Is the record (parsed) one that is wanted?  Alerts are not. */
bool search_matches(const struct search_request *q, const struct record *r);
bool search_in_time(const struct search_request *q, int64_t ns);
/* Prints it; out: room for its JSON.  UV_ENOMEM, ERR_TOO_LARGE. */
int search_put_record(const struct search_request *q, const struct device *d,
		      const struct record *r, struct buf *out);

/* Prints one alert (JSON as the device wrote it, and where it stands).  false: the
 * same was printed before. */
bool search_put_alert(struct search_request *q, const char *device,
		      const struct catalogue_alert *a);

#endif
