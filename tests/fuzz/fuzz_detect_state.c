/* Saved state from anywhere: it is refused, or the detectors go on from it. */
#include <stdint.h>
#include <stdlib.h>

#include "alerts/alerts.h"
#include "detectors/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the default packs do not have: values, events that wait, a silence. */
static const char more[] =
	"title: f\nid: f\nname: f\nlogsource: {product: linux}\n"
	"detection: {s: {event.outcome: failure}, condition: s}\n---\n"
	"title: q\nid: q\nlogsource: {product: linux}\n"
	"detection: {s: {event.outcome: success}, condition: s}\n"
	"nightjar: {silence: 5s, group-by: user.name}\n---\n"
	"title: l\nid: l\nlogsource: {product: linux}\n"
	"detection: {s: {event.outcome: success}, condition: s}\n"
	"nightjar: {silence: {least: 1m, most: 1h, learning: 0}, group-by: user.name}\n---\n"
	"title: r\nid: r\nlogsource: {product: linux}\n"
	"detection: {s: {event.outcome: failure}, condition: s}\n"
	"nightjar: {rate: {above: 2, below: 2, minimum: 1, learning: 1h, forget: 2d}, "
	"weight: attempts, group-by: user.name}\n---\n"
	"title: c\nid: c\nname: c\ncorrelation: {type: value_count, rules: f, timespan: 1m, "
	"group-by: source.ip, condition: {field: user.name, gte: 1}}\n---\n"
	"title: s\nid: s\ncorrelation: {type: value_sum, rules: f, timespan: 1m, "
	"condition: {field: source.port, lt: 900}}\n---\n"
	"title: p\nid: p\ncorrelation: {type: value_percentile, rules: f, timespan: 1m, "
	"condition: {field: source.port, percentile: 50, gt: 3}}\n---\n"
	"title: t\nid: t\ncorrelation: {type: temporal, rules: [f, c], timespan: 1m, "
	"group-by: source.ip, condition: {eq: 2}}\n";

static void on_alert(void *arg, const struct alert *a)
{
	*(size_t *)arg += a->json.n;
}

static void on_finding(void *arg, const struct finding *f)
{
	size_t sum = 0;

	alerts_finding(arg, f, on_alert, &sum);
}

static void go_on(struct detect *d, struct alerts *a)
{
	for (unsigned i = 0; i < 20; i++) {
		struct record r = {.line = SLICE_LIT("a line")};

		r.observed_ns = r.header.time_ns =
			INT64_C(1700000000000000000) + (int64_t)i * 1000000000 +
			(int64_t)(i > 9 ? i - 9 : 0) * 4000 * 1000000000;
		r.event.outcome = i % 5 == 4 ? OUTCOME_SUCCESS : OUTCOME_FAILURE;
		r.event.attempts = 1;
		event_set(&r.event, FIELD_EVENT_CATEGORY,
			  SLICE_LIT("authentication"));
		event_set(&r.event, FIELD_EVENT_TYPE, SLICE_LIT("start"));
		event_set(&r.event, FIELD_USER_NAME, SLICE_LIT("root"));
		event_set(&r.event, FIELD_SOURCE_IP, SLICE_LIT("192.0.2.7"));
		event_set(&r.event, FIELD_SOURCE_PORT, SLICE_LIT("41.5"));
		detect_record(d, &r, on_finding, a);
	}
	detect_advance(d, INT64_MAX, on_finding, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[16] = "fuzz";
	struct detect *d = NULL;
	struct alerts *a = NULL;
	struct buf saved;

	buf_init(&saved, 1 << 24);
	if (detect_new(&d, NULL, key) == 0 &&
	    alerts_new(&a, NULL, SLICE_NONE, key) == 0 &&
	    detect_load_defaults(d, NULL, NULL) >= 0 &&
	    detect_load_bytes(d, "more.yml", slice_str(more), NULL, NULL) >= 0 &&
	    detect_compile(d, NULL, NULL) >= 0) {
		alerts_restore(a, slice(data, size));
		detect_restore(d, slice(data, size));
		go_on(d, a);
		detect_save(d, &saved);
	}
	buf_fini(&saved);
	alerts_free(a);
	detect_free(d);
	return 0;
}
