/* The streams of alerts, which a collector tells of like of any other: none is taken for a
 * log file's, neither in the process that began it nor in a later one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/internal.h"
#include "agent/pipeline_impl.h"
#include "common/log.h"
#include "common/sys_uv.h"

struct fixture {
	uv_loop_t loop;
	struct sys_uv sys;
	char dir[64];
	struct agent_config *config;
	char config_path[128];   /* of the next agent */
	unsigned readable;       /* alerts of a key that can be read */
};

static void on_alert(void *arg, const struct alert *a)
{
	struct fixture *f = arg;

	f->readable += strcmp(a->rule_title,
			      "The key of the pseudonyms can be read by everybody") == 0;
}

static struct agent *agent_of(struct fixture *f)
{
	struct agent_params p = {
		.sys = &f->sys.sys, .config = f->config, .device = "gw",
		.config_path = f->config_path, .on_alert = on_alert, .arg = f,
	};
	struct agent *a;

	assert_int_equal(agent_new(&a, &p), 0);
	return a;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct config_errors errs;
	char yaml[512], path[128];
	int n;

	assert_non_null(f);
	strcpy(f->dir, "/tmp/test_alert_stream.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	uv_loop_init(&f->loop);
	sys_uv_init(&f->sys, &f->loop);
	n = snprintf(yaml, sizeof yaml,
		     "state: %s/state\nidentity:\n  certificate: /c\n  key: /k\n"
		     "  authority: /a\nsources:\n  files:\n    - paths: "
		     "[%s/auth.log]\nspool:\n  directory: %s/spool\n",
		     f->dir, f->dir, f->dir);
	assert_int_equal(config_parse_agent("test", slice(yaml, (size_t)n),
					    &f->config, &errs), 0);
	snprintf(path, sizeof path, "%s/state", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	log_set_level(LOG_LEVEL_ERROR);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	agent_config_free(f->config);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static size_t remembered(const struct agent *a)
{
	struct tail_stats stats;

	tail_stats(a->tail, &stats);
	return stats.remembered;
}

static void the_alerts_of_a_former_process_are_no_file(void **state)
{
	struct fixture *f = *state;
	struct agent *a = agent_of(f);
	struct msg_stream w = {.id = a->pipeline->alert_stream, .received = 1665,
			       .durable = 1665, .h_received = 7, .h_durable = 7};

	agent_free(a);
	a = agent_of(f);
	assert_memory_not_equal(&w.id, &a->pipeline->alert_stream, sizeof w.id);
	agent_take_watermark(a, &w);
	assert_int_equal(remembered(a), 0);
	agent_free(a);
}

static void a_stream_that_nobody_named_may_be_a_file(void **state)
{
	struct fixture *f = *state;
	struct agent *a = agent_of(f);
	struct msg_stream w = {.id = a->pipeline->alert_stream, .received = 1665,
			       .durable = 1665, .h_received = 7, .h_durable = 7};

	w.id.b[15] ^= 1;
	agent_take_watermark(a, &w);
	assert_int_equal(remembered(a), 1);
	agent_free(a);
}

static void a_key_that_everybody_can_read_is_told(void **state)
{
	static const struct {
		const char *key;
		mode_t mode;
		unsigned told;
	} cases[] = {
		{"", 0644, 0}, {"0123456789abcdef0123456789abcdef", 0640, 0},
		{"0123456789abcdef0123456789abcdef", 0644, 1},
		{"0123456789abcdef0123456789abcdef", 0602, 1},
	};
	struct fixture *f = *state;
	char *before = f->config->redact.pseudonym_key;
	FILE *file;

	snprintf(f->config_path, sizeof f->config_path, "%s/agent.yaml", f->dir);
	file = fopen(f->config_path, "w");
	assert_non_null(file);
	fclose(file);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char key[33];
		struct agent *a;

		strcpy(key, cases[i].key);
		f->config->redact.pseudonym_key = key;
		assert_int_equal(chmod(f->config_path, cases[i].mode), 0);
		f->readable = 0;
		a = agent_of(f);
		assert_int_equal(agent_start(a), 0);
		assert_int_equal(f->readable, cases[i].told);
		agent_free(a);
	}
	f->config->redact.pseudonym_key = before;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_alerts_of_a_former_process_are_no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_stream_that_nobody_named_may_be_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_key_that_everybody_can_read_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
