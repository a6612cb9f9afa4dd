/* What the agent's detectors and alerts are given back after a restart, from
 * anywhere: it is refused, or the pipeline goes on from it.  Without the detectors'
 * own part, which is fuzz_detect_state's. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/pipeline.h"
#include "common/log.h"
#include "tests/support/memory_sys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quiet(void *arg, enum log_level level, struct slice line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void ignore(void *arg, const struct alert *a)
{
	(void)arg;
	(void)a;
}

static const struct agent_config *defaults(void)
{
	const struct slice text = SLICE_LIT("sources: {files: [{paths: [/log]}]}\n"
						   "detectors: {enabled: false}\n");
	static struct agent_config *config;
	struct config_errors errs = {0};

	if (config == NULL &&
	    config_parse_agent("fuzz", text, &config, &errs) != 0) {
		abort();
	}
	return config;
}

static int no_file(struct sys *s, const char *path, int flags, unsigned mode)
{
	(void)s;
	(void)path;
	(void)flags;
	(void)mode;
	return UV_ENOENT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct stream_id some = {{0}};
	static const unsigned char secret[STREAM_SECRET] = "fuzz";
	struct memory_sys m;
	struct pipeline_params params = {
		.sys = &m.sys, .config = defaults(), .device = "fuzz", .key = "fuzz",
		.stream_secret = secret, .on_alert = ignore,
	};
	struct pipeline *p;

	log_set_sink(quiet, NULL);
	memory_sys_init(&m, "nothing", NULL, 0);
	m.ops.open = no_file;
	if (pipeline_new(&p, &params) != 0) {
		abort();
	}
	if (pipeline_restore(p, slice(data, size)) == 0) {
		pipeline_restored_detect(p, &some);
		pipeline_advance(p, INT64_C(1700000000000000000));
	}
	pipeline_free(p);
	return 0;
}
