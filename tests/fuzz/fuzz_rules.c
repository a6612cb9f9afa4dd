/* A rule file from anywhere: it is refused, or it judges records, also hostile
 * ones. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "detectors/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_error(void *arg, const char *file, unsigned line, unsigned column,
		     const char *text)
{
	(void)file;
	(void)line;
	(void)column;
	*(size_t *)arg += text[0] != '\0';
}

static void on_finding(void *arg, const struct finding *f)
{
	*(size_t *)arg += f->n_group + f->n_evidence;
}

static void on_rule(void *arg, const struct detect_rule *rule)
{
	*(size_t *)arg += strlen(rule->tried) + (rule->never != NULL);
}

static void on_example(void *arg, const char *id, const char *title,
		       struct slice log, bool fires)
{
	(void)title;
	*(size_t *)arg += log.n + fires + (id[0] != '\0');
}

static void judge(struct detect *d, const uint8_t *data, size_t size, size_t *sum)
{
	for (unsigned i = 0; i < 12; i++) {
		struct record r = {.line = slice(data, size)};

		r.observed_ns = INT64_C(1700000000000000000);
		r.header.time_ns = r.observed_ns + (int64_t)i * 1000000000;
		r.header.program = SLICE_LIT("sshd");
		r.header.message = r.line;
		if (i % 2 != 0) { /* as auditd writes it */
			r.header.program = SLICE_NONE;
			r.header.format = HEADER_OTHER;
		}
		r.event.outcome = (enum outcome)(i % 4);
		r.event.attempts = i;
		for (unsigned id = 0; id < FIELD_NR; id++) {
			if ((i + id) % 3 != 0) {
				event_set(&r.event, (enum event_field)id,
					  slice(data, size * id / FIELD_NR));
			}
		}
		detect_record(d, &r, on_finding, sum);
	}
	detect_advance(d, INT64_MAX, on_finding, sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[16] = "fuzz";
	struct detect *d;
	size_t sum = 0;

	if (size > 65536 || detect_new(&d, NULL, key) != 0) {
		return 0;
	}
	if (detect_load_bytes(d, "fuzz.yml", slice(data, size), on_error, &sum) >= 0 &&
	    detect_placeholders_bytes(d, "fuzz.yml", slice(data, size), on_error, &sum) == 0 &&
	    detect_load_bytes(d, "again.yml", slice(data, size), on_error, &sum) >= 0 &&
	    detect_compile(d, on_error, &sum) > 0) {
		judge(d, data, size, &sum);
		detect_rules(d, on_rule, &sum);
	}
	detect_free(d);
	detect_examples(slice(data, size), on_example, &sum);
	return 0;
}
