/* service: what a daemon has in its loop beside its work: the signals that stop it and make
 * it read its configuration anew, the service manager's watchdog, a look at its
 * certificate now and then, and what it says of its process.
 *
 * Threads  the loop thread only.
 */
#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include <stdbool.h>
#include <uv.h>

#include "common/json.h"

struct service_cbs {
	void (*stop)(void *arg);   /* TERM or INT, once */
	void (*reload)(void *arg); /* HUP */
	void (*renew)(void *arg);  /* every renew_ms */
};

struct service {
	uv_signal_t term, interrupt, hangup;
	uv_timer_t watchdog, renewing;
	const struct service_cbs *cbs;
	void *arg;
	bool stopping; /* it was told to */
	int64_t started_ns;
};

/* The loop is there: from now on it counts as up. */
void service_begin(struct service *s);
/* s and cbs are kept until the loop has closed what service_close() closes. */
void service_start(struct service *s, uv_loop_t *loop, uint64_t renew_ms,
		   const struct service_cbs *cbs, void *arg);
void service_close(struct service *s);

/* The pairs that a status begins with: program, version, process, time, memory. */
void service_status(const struct service *s, const char *program, struct json *j);

#endif
