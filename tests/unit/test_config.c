#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "config/config.h"
#include "config/table.h"

static struct config_errors errs;

static struct agent_config *good_agent(const char *text)
{
	struct agent_config *c;
	int rc = config_parse_agent("a.yaml", slice_str(text), &c, &errs);

	if (rc != 0) {
		fail_msg("%s: %s", err_str(rc), errs.text[0]);
	}
	return c;
}

/* The text has exactly this error and no other. */
static void bad_agent(const char *text, const char *error)
{
	struct agent_config *c;

	assert_int_equal(config_parse_agent("a.yaml", slice_str(text), &c, &errs),
			 ERR_CONFIG);
	assert_null(c);
	assert_string_equal(errs.text[0], error);
	assert_int_equal(errs.n, 1);
	assert_int_equal(errs.more, 0);
}

static void an_empty_file_gives_every_default(void **state)
{
	struct agent_config *c = good_agent("# nothing\n");
	struct collector_config *k;

	(void)state;
	assert_false(c->has_collector);
	assert_string_equal(c->daemon.state_dir, "/var/lib/nightjar");
	assert_string_equal(c->daemon.control, "/run/nightjar/agent.sock");
	assert_int_equal(c->daemon.log_level, LOG_LEVEL_INFO);
	assert_true(c->daemon.sandbox);
	assert_true(c->redact.enabled);
	assert_int_equal(c->sources.n_files, 1);
	assert_int_equal(c->sources.files[0].paths.n, 4);
	assert_string_equal(c->sources.files[0].paths.v[0], "/var/log/auth.log");
	assert_string_equal(c->sources.files[0].zone, "local");
	assert_int_equal(c->sources.line_max, 16 * 1024);
	assert_int_equal(c->hooks.n_hooks, 0);
	assert_int_equal(c->alerts.min_severity, SEVERITY_LOW);
	assert_int_equal(c->shipper.spool_policy, SPOOL_PAUSE);
	assert_int_equal(c->shipper.batch_delay_ms, 1000);
	agent_config_free(c);

	assert_int_equal(config_parse_collector("c", SLICE_NONE, &k, &errs), 0);
	assert_string_equal(k->collector.listen_address, "::");
	assert_int_equal(k->collector.listen_port, CONFIG_PORT);
	assert_int_equal(k->collector.sync_interval_ms, 20);
	assert_string_equal(k->collector.output_file, "");
	collector_config_free(k);
}

static void every_kind_of_value_is_read(void **state)
{
	struct agent_config *c = good_agent(
		"collector: '[2001:db8::1]:99'\n"
		"log_level: debug\n"
		"sandbox: false\n"
		"sources:\n"
		"  line_max: 32KiB\n"
		"  last_line_timeout: 1m30s\n"
		"  files:\n"
		"    - {paths: [/a/*.log, \"/b\"], zone: Europe/Berlin, from: end}\n"
		"    - paths:\n"
		"        - /c\n"
		"      label: shop\n"
		"hooks:\n"
		"  - {name: x, type: exec, command: [/bin/true, ''], timeout: 3s}\n"
		"  - {name: y, type: file, path: /y, min_severity: critical}\n"
		"spool:\n"
		"redact: {keys: [door_pin]}\n");

	(void)state;
	assert_true(c->has_collector);
	assert_int_equal(c->shipper.collectors.n, 1);
	assert_string_equal(c->shipper.collectors.v[0].name, "2001:db8::1");
	assert_int_equal(c->shipper.collectors.v[0].port, 99);
	assert_int_equal(c->daemon.log_level, LOG_LEVEL_DEBUG);
	assert_false(c->daemon.sandbox);
	assert_int_equal(c->sources.line_max, 32768);
	assert_int_equal(c->sources.last_line_timeout_ms, 90000);
	assert_int_equal(c->sources.n_files, 2);
	assert_string_equal(c->sources.files[0].paths.v[1], "/b");
	assert_null(c->sources.files[0].paths.v[2]);
	assert_int_equal(c->sources.files[0].from, SOURCES_FROM_END);
	assert_string_equal(c->sources.files[1].label, "shop");
	assert_int_equal(c->hooks.n_hooks, 2);
	assert_int_equal(c->hooks.hooks[0].command.n, 2);
	assert_string_equal(c->hooks.hooks[0].command.v[1], "");
	assert_int_equal(c->hooks.hooks[0].timeout_ms, 3000);
	assert_int_equal(c->hooks.hooks[1].type, HOOK_FILE);
	assert_int_equal(c->hooks.hooks[1].min_severity, SEVERITY_CRITICAL);
	assert_string_equal(c->redact.keys.v[0], "door_pin");
	agent_config_free(c);
}

static void an_unknown_key_is_named_with_the_one_that_was_meant(void **state)
{
	(void)state;
	bad_agent("colector: x\n",
		  "a.yaml:1:1: unknown key \"colector\", did you mean \"collector\"?");
	bad_agent("spool:\n  ma: 1GiB\n",
		  "a.yaml:2:3: unknown key \"ma\" in spool, did you mean \"max\"?");
	bad_agent("line_max: 1KiB\n", "a.yaml:1:1: unknown key \"line_max\", did you "
				      "mean \"sources.line_max\"?");
	bad_agent("sources: {files: [{paths: [/a], labl: x}]}\n",
		  "a.yaml:1:33: sources.files: unknown key \"labl\", did you mean "
		  "\"label\"?");
	bad_agent("zzzzz: 1\n", "a.yaml:1:1: unknown key \"zzzzz\"; nightjar config "
				"agent lists what there is");
	bad_agent("store: {}\n", "a.yaml:1:1: \"store\" is an option of the collector, "
				 "not of the agent");
}

static void a_wrong_value_is_named_with_the_remedy(void **state)
{
	(void)state;
	bad_agent("sources:\n  line_max: 64\n",
		  "a.yaml:2:13: sources.line_max: \"64\": the unit is missing; write "
		  "for example 64MiB (units: B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)");
	bad_agent("sources: {line_max: 1GiB}\n",
		  "a.yaml:1:21: sources.line_max: \"1GiB\" is out of range: from 256B "
		  "to 256KiB");
	bad_agent("alerts: {evidence_lines: -1}\n",
		  "a.yaml:1:26: alerts.evidence_lines: \"-1\": write a whole number, "
		  "digits only");
	bad_agent("log_level: loud\n", "a.yaml:1:12: log_level: \"loud\": write one of "
				       "error, warn, info, debug");
	bad_agent("sandbox: no\n", "a.yaml:1:10: sandbox: \"no\": write true or false");
	bad_agent("state: var\n", "a.yaml:1:8: state: \"var\": write an absolute path, "
				  "beginning with /");
	bad_agent("state: ''\n", "a.yaml:1:8: state: must not be empty");
	bad_agent("state: [/a]\n", "a.yaml:1:8: state: a single value belongs here, not "
				   "a list");
	bad_agent("log_level:\n", "a.yaml:1:1: log_level: no value; write one, or "
				  "remove the line for the default");
	bad_agent("detectors: {packs: /a}\n",
		  "a.yaml:1:20: detectors.packs: a list belongs here: entries in [...] "
		  "or on lines that begin with \"- \"");
	bad_agent("sources: {files: [{paths: []}]}\n",
		  "a.yaml:1:27: sources.files: paths: at least one entry is needed");
	bad_agent("sources: {files: [{label: x}]}\n",
		  "a.yaml:1:19: sources.files: the key \"paths\" is missing");
	bad_agent("sources: {files: [/a]}\n",
		  "a.yaml:1:19: sources.files: each entry is a mapping that begins with "
		  "\"- paths: ...\"");
	bad_agent("sources: 7\n", "a.yaml:1:10: sources: its options belong on lines of "
				  "their own below it, indented");
	bad_agent("hello\n", "a.yaml:1:1: the file must be a mapping: lines of the form "
			     "\"key: value\"");
}

static void options_that_contradict_each_other_are_refused(void **state)
{
	(void)state;
	bad_agent("shipping: {reconnect_min: 10m}\n",
		  "a.yaml:1:27: shipping.reconnect_min is longer than "
		  "shipping.reconnect_max");
	bad_agent("shipping:\n  segment_max: 128KiB\n",
		  "a.yaml:1:1: shipping.batch_max is larger than shipping.segment_max: "
		  "a batch must fit into a segment");
	bad_agent("sources: {files: []}\n",
		  "a.yaml:1:18: there is nothing to read: name files in sources.files or "
		  "set sources.stdin: true");
	bad_agent("hooks: [{name: a, type: stderr}, {name: a, type: stderr}]\n",
		  "a.yaml:1:8: hooks: two hooks have the name \"a\"");
	bad_agent("hooks: [{name: a, type: exec}]\n",
		  "a.yaml:1:9: hooks: a hook of type exec needs "
		  "command: [/path/to/program]");
	bad_agent("hooks: [{name: a, type: exec, command: [x]}]\n",
		  "a.yaml:1:40: hooks: the program must be an absolute path; no shell "
		  "and no search path are used");
	bad_agent("hooks: [{name: a, type: file}]\n",
		  "a.yaml:1:9: hooks: a hook of type file needs path: /path/to/file");
	bad_agent("redact: {keys: [\"a b\"]}\n",
		  "a.yaml:1:16: redact.keys: entry 1 must be 1 to 32 printable ASCII "
		  "characters without blanks");
}

static void yaml_that_hides_something_is_refused(void **state)
{
	(void)state;
	bad_agent("user: a\nuser: b\n",
		  "a.yaml:2:1: key \"user\" stands here a second time; the first is in "
		  "line 1: keep one of them");
	bad_agent("spool: &x {}\n", "a.yaml:1:8: anchors (&) are not supported: write "
				    "the value out, or put it in quotes");
	bad_agent("user: *x\n", "a.yaml:1:7: aliases (*) are not supported: write the "
				"value out; a value that begins with * needs quotes");
	bad_agent("user: !!str x\n", "a.yaml:1:7: tags (!) are not supported: remove it, "
				     "or put the value in quotes");
	bad_agent("user: a\n---\nuser: b\n", "a.yaml:2:1: a second document begins "
					     "here: a configuration is one document");
	bad_agent("a: [[[[[[[1]]]]]]]\n", "a.yaml:1:9: nested more than 6 levels deep");
	bad_agent("spool:\n\tmax: 1GiB\n",
		  "a.yaml:2:1: found character that cannot start any token: indent with "
		  "blanks, not tabs, and put values that begin with @, ` or % in quotes");
	bad_agent("? [a]\n: b\n", "a.yaml:1:3: a key must be a word, not a list or a "
				  "mapping");
}

static void all_errors_are_reported_in_the_order_of_the_file(void **state)
{
	char text[4096] = "";
	struct agent_config *c;

	(void)state;
	for (int i = 0; i < CONFIG_ERRORS_MAX + 5; i++) {
		snprintf(text + strlen(text), 64, "nosuchkey%02d: 1\n", i);
	}
	assert_int_equal(config_parse_agent("a", slice_str(text), &c, &errs),
			 ERR_CONFIG);
	assert_int_equal(errs.n, CONFIG_ERRORS_MAX);
	assert_int_equal(errs.more, 5);
	for (unsigned i = 0; i < CONFIG_ERRORS_MAX; i++) {
		snprintf(text, sizeof text, "a:%u:1: ", i + 1);
		assert_memory_equal(errs.text[i], text, strlen(text));
	}
}

static void what_cannot_be_shown_is_shown_escaped(void **state)
{
	(void)state;
	bad_agent("user: \"a\\e[2J\"\n",
		  "a.yaml:1:7: user: \"a\\x1b[2J\": control characters and line breaks "
		  "are not allowed here");
	bad_agent("user: \"a\\0b\"\n",
		  "a.yaml:1:7: user: \"a\\x00b\": control characters and line breaks are "
		  "not allowed here");
}

static void a_file_that_cannot_be_read_is_said_so(void **state)
{
	struct agent_config *c;
	char path[] = "/tmp/test-config-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(config_load_agent("/nonexistent/x", &c, &errs), UV_ENOENT);
	assert_int_equal(errs.n, 1);
	assert_non_null(strstr(errs.text[0], "/nonexistent/x: cannot be read"));
	assert_int_equal(config_load_agent("/tmp", &c, &errs), UV_EINVAL);
	assert_int_equal(config_load_agent("/dev/zero", &c, &errs), UV_EINVAL);
	assert_int_equal(ftruncate(fd, CONFIG_FILE_MAX + 1), 0);
	assert_int_equal(config_load_agent(path, &c, &errs), ERR_TOO_LARGE);
	assert_null(c);
	close(fd);
	unlink(path);
}

static void the_printed_configuration_reads_back_as_the_defaults(void **state)
{
	struct agent_config *plain = good_agent(""), *printed;
	struct config_errors differ;
	struct buf out;

	(void)state;
	for (int template = 0; template < 2; template++) {
		buf_init(&out, 1 << 20);
		assert_int_equal(config_print_yaml(CONFIG_AGENT, template, &out), 0);
		assert_int_equal(buf_add_u8(&out, 0), 0);
		printed = good_agent(out.p);
		assert_int_equal(agent_config_pinned(plain, printed, &differ), 0);
		assert_int_equal(agent_config_changed(plain, printed, &differ), 0);
		agent_config_free(printed);
		buf_fini(&out);
	}
	agent_config_free(plain);
}

/* An empty list stands above its example, under the same key: one of them has to go. */
static void keep_examples(char *text)
{
	for (char *at = strstr(text, ": []\n"); at != NULL; at = strstr(at + 1, ": []\n")) {
		char *line = at, *next = at + 5;

		while (line > text && line[-1] != '\n') {
			line--;
		}
		if (strncmp(line, next, (size_t)(at - line) + 1) == 0 &&
		    next[at - line + 1] == '\n') {
			*line = '#';
		}
	}
}

static void every_template_line_is_valid_once_its_mark_is_gone(void **state)
{
	struct buf out, text;
	bool start = true;

	(void)state;
	buf_init(&out, 1 << 20);
	buf_init(&text, 1 << 20);
	assert_int_equal(config_print_yaml(CONFIG_AGENT, true, &out), 0);
	/* "#x" becomes "x", "# x" stays a comment. */
	for (size_t i = 0; i < out.n; i++) {
		if (start && out.p[i] == '#' && i + 1 < out.n && out.p[i + 1] != '\n' &&
		    (out.p[i + 1] != ' ' || out.p[i + 2] == ' ')) {
			start = false;
			continue;
		}
		start = out.p[i] == '\n' || (start && out.p[i] == ' ');
		assert_int_equal(buf_add_u8(&text, (uint8_t)out.p[i]), 0);
	}
	assert_int_equal(buf_add_u8(&text, 0), 0);
	keep_examples(text.p);
	agent_config_free(good_agent(text.p));
	buf_fini(&out);
	buf_fini(&text);
}

static void a_reload_names_what_must_wait_for_a_restart(void **state)
{
	struct agent_config *a = good_agent("");
	struct agent_config *b = good_agent("log_level: debug\n");
	struct agent_config *c = good_agent("collector: x\nlog_level: debug\n"
					    "sources: {files: [{paths: [/a]}]}\n"
					    "hooks: [{name: a, type: stderr}]\n"
					    "spool: {max: 1GiB}\nsandbox: false\n");

	(void)state;
	assert_int_equal(agent_config_pinned(a, a, &errs), 0);
	assert_int_equal(agent_config_pinned(a, b, &errs), 0);
	assert_int_equal(agent_config_pinned(b, c, &errs), 1);
	assert_string_equal(errs.text[0], "sandbox");
	assert_int_equal(agent_config_changed(a, b, &errs), 1);
	assert_string_equal(errs.text[0], "log_level");
	assert_int_equal(agent_config_changed(b, c, &errs), 4);
	assert_string_equal(errs.text[0], "collector");
	assert_string_equal(errs.text[1], "sources.files");
	assert_string_equal(errs.text[2], "hooks");
	assert_string_equal(errs.text[3], "spool.max");
	agent_config_free(a);
	agent_config_free(b);
	agent_config_free(c);
}

static void an_answer_counts_only_what_there_is_to_tell(void **state)
{
	struct config_errors taken = {0};

	(void)state;
	config_answer_counts(&taken, "hooks", 3, 0, 0, 0);
	assert_int_equal(taken.n, 0);
	config_answer_counts(&taken, "hooks", 3, 0, 1, 2);
	assert_string_equal(taken.text[0], "hooks: 3 kept, 1 added, 2 gone");
	for (size_t i = 0; i < CONFIG_ERRORS_MAX + 1; i++) {
		config_errors_add(&taken, "x");
	}
	assert_int_equal(taken.n, CONFIG_ERRORS_MAX);
	assert_int_equal(taken.more, 2);
}

static void a_reload_takes_what_can_change_and_leaves_the_rest(void **state)
{
	struct agent_config *a = good_agent("state: /a\nredact: {keys: [one]}\n");
	struct agent_config *b = good_agent("state: /b\nredact: {keys: [two, three]}\n"
					    "log_level: debug\nspool: {max: 1GiB}\n"
					    "sources: {files: [{paths: [/x]}, {paths: [/y]}]}\n"
					    "shipping: {night: '22:00-06:00'}\n"
					    "sandbox: false\n");

	(void)state;
	agent_config_swap_live(a, b);
	assert_string_equal(a->daemon.state_dir, "/a");
	assert_true(a->daemon.sandbox);
	assert_int_equal(a->daemon.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(a->redact.keys.n, 2);
	assert_string_equal(a->redact.keys.v[1], "three");
	assert_int_equal(a->sources.n_files, 2);
	assert_string_equal(a->sources.files[1].paths.v[0], "/y");
	assert_int_equal(a->shipper.spool_max, 1 << 30);
	assert_int_equal(b->redact.keys.n, 1);
	assert_int_equal(b->sources.n_files, 1);
	/* Again, and nothing has happened. */
	agent_config_swap_live(a, b);
	assert_int_equal(a->redact.keys.n, 1);
	assert_int_equal(a->daemon.log_level, LOG_LEVEL_INFO);
	agent_config_free(a);
	agent_config_free(b);
}

static void the_keys_tell_whose_file_it_is(void **state)
{
	enum config_kind kind;

	(void)state;
	assert_int_equal(config_guess(SLICE_LIT("sources: {}\nidentity: {}\n"), &kind),
			 0);
	assert_int_equal(kind, CONFIG_AGENT);
	assert_int_equal(config_guess(SLICE_LIT("listen: '::'\nuser: x\n"), &kind), 0);
	assert_int_equal(kind, CONFIG_COLLECTOR);
	assert_int_equal(config_guess(SLICE_LIT("store: {}\nlisten: x\n"), &kind), 0);
	assert_int_equal(kind, CONFIG_COLLECTOR);
	assert_int_equal(config_guess(SLICE_LIT("user: x\n"), &kind), UV_ENOENT);
	assert_int_equal(config_guess(SLICE_LIT("a: [\n"), &kind), ERR_MALFORMED);
}

/* Every key is found again by its own name, so no two lines shadow each other. */
static void no_key_stands_in_the_table_twice(void **state)
{
	const struct schema *both[] = {&agent_schema, &collector_schema};

	(void)state;
	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i < both[k]->n; i++) {
			for (size_t j = 0; j < i; j++) {
				assert_string_not_equal(both[k]->options[i].key,
							both[k]->options[j].key);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_gives_every_default),
		cmocka_unit_test(every_kind_of_value_is_read),
		cmocka_unit_test(an_unknown_key_is_named_with_the_one_that_was_meant),
		cmocka_unit_test(a_wrong_value_is_named_with_the_remedy),
		cmocka_unit_test(options_that_contradict_each_other_are_refused),
		cmocka_unit_test(yaml_that_hides_something_is_refused),
		cmocka_unit_test(all_errors_are_reported_in_the_order_of_the_file),
		cmocka_unit_test(what_cannot_be_shown_is_shown_escaped),
		cmocka_unit_test(a_file_that_cannot_be_read_is_said_so),
		cmocka_unit_test(the_printed_configuration_reads_back_as_the_defaults),
		cmocka_unit_test(every_template_line_is_valid_once_its_mark_is_gone),
		cmocka_unit_test(a_reload_names_what_must_wait_for_a_restart),
		cmocka_unit_test(an_answer_counts_only_what_there_is_to_tell),
		cmocka_unit_test(a_reload_takes_what_can_change_and_leaves_the_rest),
		cmocka_unit_test(the_keys_tell_whose_file_it_is),
		cmocka_unit_test(no_key_stands_in_the_table_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
