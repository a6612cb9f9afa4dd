/* alerts: a finding becomes an alert that people and programs can use.
 *
 * An alert has a computed identity, what its rule says about itself, counts,
 * times, the groups' values and a few redacted lines as evidence, as one JSON
 * object (docs/alerts.md).  Knows findings; must not know hooks, files or the
 * time of day: cooldowns run on event time.
 *
 * Threads   One thread at a time.
 * Memory    32 bytes for each remembered cooldown up to options.tracked_max,
 *           and one buffer of LIMIT_ALERT_JSON.
 * Errors    0, or a negative UV_E* / ERR_*.
 */
#ifndef ALERTS_ALERTS_H
#define ALERTS_ALERTS_H

#include "alerts/options.h"
#include "common/buf.h"
#include "common/finding.h"

struct alerts; /* opaque, on the heap */

enum { ALERT_ID_TEXT = 33 }; /* 32 hex digits and a NUL */

/* Borrowed for the call. */
struct alert {
	char id[ALERT_ID_TEXT]; /* same lines, same id, on every machine */
	enum finding_state state;
	enum severity severity;
	const char *rule_id;
	const char *rule_title;
	int64_t first_ns, last_ns; /* event time */
	uint64_t count;
	bool open;             /* updates and an end will follow */
	uint64_t suppressed; /* findings that the cooldown hid since the last
			      * alert of this rule and group */
	struct slice json;   /* one object, no newline, <= LIMIT_ALERT_JSON */
};

typedef void (*alert_cb)(void *arg, const struct alert *a);

/* options: copied; NULL or zero numbers mean the defaults.  device: the name of
 * this machine in the alerts; copied, at most LIMIT_DEVICE_NAME bytes of it.  key
 * as for detect_new().  UV_ENOMEM. */
int alerts_new(struct alerts **out, const struct alerts_options *options,
	       struct slice device, const uint8_t key[static 16]);
/* NULL is allowed. */
void alerts_free(struct alerts *a);

/* Turns the finding into an alert and hands it to cb, unless a cooldown of its
 * rule and group or the least severity hides it.  Errors: UV_ENOMEM (nothing was
 * emitted). */
int alerts_finding(struct alerts *a, const struct finding *f, alert_cb cb,
		   void *arg);

/* The same without the JSON, for who only counts: true and *out when the finding
 * would be handed out, out->json empty. */
bool alerts_admit(struct alerts *a, const struct finding *f, struct alert *out);

/* The identity alone: 32 hex digits of the rule, the group and the time that
 * the finding's identity stands on. */
void alert_identity(const struct finding *f, char id[static ALERT_ID_TEXT]);

/* Cooldown state, versioned.  Restoring replaces what is there; on error
 * (ERR_VERSION, ERR_MALFORMED, UV_ENOMEM) it is empty. */
int alerts_save(const struct alerts *a, struct buf *out);
int alerts_restore(struct alerts *a, struct slice state);

struct alerts_stats {
	uint64_t emitted;    /* alerts handed out, updates included */
	uint64_t suppressed; /* findings hidden by cooldowns */
	uint32_t cooldowns;  /* remembered now */
};

void alerts_stats(const struct alerts *a, struct alerts_stats *out);

#endif
