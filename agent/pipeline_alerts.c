/* A finding becomes an alert, and waits for room in the alerts' lane. */
#include "agent/pipeline_impl.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"

bool pipeline_flush_alerts(struct pipeline *p)
{
	size_t done = 0;

	while (done < p->n_waiting && p->shipper != NULL) {
		struct waiting_alert *a = &p->waiting[done];
		struct record r = {
			.stream = p->alert_stream,
			.start = p->alert_position,
			.end = p->alert_position + a->n + 1,
			.flags = RECORD_ALERT,
			.line = slice(a->json, a->n),
			.observed_ns = sys_wall_ns(p->sys),
			.header.time_ns = a->time_ns,
		};

		/* H is asked for inside the call, at the end of the last one. */
		if (shipper_reserve(p->shipper, QUEUE_ALERT, &r.stream, a->n) !=
		    0) {
			break;
		}
		if (shipper_add(p->shipper, QUEUE_ALERT, &r, true) != 0) {
			break;
		}
		XXH3_64bits_update(p->alert_hash, a->json, a->n);
		XXH3_64bits_update(p->alert_hash, "\n", 1);
		p->alert_position = r.end;
		free(a->json);
		done++;
	}
	p->n_waiting -= done;
	if (done > 0) {
		memmove(p->waiting, p->waiting + done,
			p->n_waiting * sizeof *p->waiting);
	}
	return p->n_waiting == 0;
}

/* Reading stops at PIPELINE_PAUSE, yet one line may end many windows at once. */
static struct waiting_alert *waiting_place(struct pipeline *p)
{
	size_t room = p->waiting_room == 0 ? 64 : p->waiting_room * 2;
	struct waiting_alert *w;

	if (p->n_waiting == PIPELINE_ALERTS) {
		return NULL;
	}
	if (p->n_waiting == p->waiting_room) {
		w = realloc(p->waiting, room * sizeof *w);
		if (w == NULL) {
			return NULL;
		}
		p->waiting = w;
		p->waiting_room = room;
	}
	return &p->waiting[p->n_waiting];
}

int pipeline_keep_alert(struct pipeline *p, struct slice json, int64_t time_ns)
{
	struct waiting_alert *w = waiting_place(p);
	char *copy = w == NULL ? NULL : malloc(json.n == 0 ? 1 : json.n);

	if (copy == NULL) {
		return UV_ENOMEM;
	}
	if (json.n > 0) {
		memcpy(copy, json.p, json.n);
	}
	*w = (struct waiting_alert){copy, json.n, time_ns};
	p->n_waiting++;
	return 0;
}

void pipeline_on_alert(void *arg, const struct alert *a)
{
	struct pipeline *p = arg;

	p->alerts_count++;
	p->on_alert(p->arg, a);
	if (p->shipper != NULL && pipeline_keep_alert(p, a->json, a->last_ns) != 0) {
		p->alerts_lost++;
	}
}

void pipeline_on_finding(void *arg, const struct finding *f)
{
	struct pipeline *p = arg;
	int rc = alerts_finding(p->made.alerts, f, pipeline_on_alert, p);

	if (rc != 0) {
		log_error("an alert could not be made", "rule=%s error=\"%s\"",
			  f->rule_id, err_str(rc));
	}
}

void pipeline_finding(struct pipeline *p, const struct finding *f)
{
	pipeline_on_finding(p, f);
	pipeline_flush_alerts(p);
}

struct slice pipeline_mask(struct pipeline *p, struct slice line)
{
	struct redact_state state = {0};
	struct slice out = line;

	if (p->config->redact.enabled) {
		redact_line(p->made.redact, &state, line, &p->scratch, &out);
	}
	return out;
}

void pipeline_advance(struct pipeline *p, int64_t now_ns)
{
	if (p->made.detect != NULL) {
		detect_advance(p->made.detect, now_ns, pipeline_on_finding, p);
		pipeline_flush_alerts(p);
	}
}
