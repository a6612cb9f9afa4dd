/* Unit tests of common/ecs.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/ecs.h"

static void render(const struct record *r, char *text, size_t room)
{
	struct buf out;
	struct json j;

	buf_init(&out, 1 << 20);
	j = json_begin(&out);
	json_object(&j, NULL);
	ecs_write(&j, r);
	json_object_end(&j);
	assert_int_equal(json_end(&j), 0);
	assert_true(out.n < room);
	snprintf(text, room, "%.*s", (int)out.n, out.p);
	buf_fini(&out);
}

static struct record empty_record(void)
{
	struct record r = {.observed_ns = TIME_NONE,
			   .header = {.time_ns = TIME_NONE, .priority = -1}};

	return r;
}

static void a_bare_line_has_its_message_only(void **state)
{
	struct record r = empty_record();
	char text[256];

	(void)state;
	r.line = SLICE_LIT("hello");
	render(&r, text, sizeof text);
	assert_string_equal(text, "{\"message\":\"hello\"}");
}

static void header_and_event_nest(void **state)
{
	struct record r = empty_record();
	char text[1024];

	(void)state;
	r.header = (struct header){
		.format = HEADER_RFC3164,
		.time_ns = 0,
		.priority = 38,
		.host = SLICE_LIT("gw"),
		.program = SLICE_LIT("sshd"),
		.pid = SLICE_LIT("12"),
		.message = SLICE_LIT("Failed password"),
	};
	event_set(&r.event, FIELD_EVENT_ACTION, SLICE_LIT("ssh_login"));
	event_set(&r.event, FIELD_USER_NAME, SLICE_LIT("root"));
	event_set(&r.event, FIELD_USER_EFFECTIVE_NAME, SLICE_LIT("admin"));
	event_set(&r.event, FIELD_SOURCE_PORT, SLICE_LIT("22"));
	event_set(&r.event, FIELD_DESTINATION_PORT, SLICE_LIT("none"));
	r.event.outcome = OUTCOME_FAILURE;
	r.event.attempts = 3;
	render(&r, text, sizeof text);
	assert_string_equal(
		text, "{\"@timestamp\":\"1970-01-01T00:00:00Z\","
		      "\"message\":\"Failed password\","
		      "\"log\":{\"syslog\":{\"priority\":38,"
		      "\"facility\":{\"code\":4,\"name\":\"security/authorization\"},"
		      "\"severity\":{\"code\":6,\"name\":\"Informational\"}}},"
		      "\"host\":{\"hostname\":\"gw\"},"
		      "\"event\":{\"action\":\"ssh_login\","
		      "\"outcome\":\"failure\"},"
		      "\"user\":{\"name\":\"root\","
		      "\"effective\":{\"name\":\"admin\"}},"
		      "\"source\":{\"port\":22},"
		      "\"auth\":{\"attempts\":3},"
		      "\"process\":{\"name\":\"sshd\",\"pid\":12}}");
}

static void structured_data_is_an_object_for_each_element(void **state)
{
	struct record r = empty_record();
	char text[1024];

	(void)state;
	r.line = SLICE_LIT("x");
	r.header.msgid = SLICE_LIT("ID47");
	r.header.structured =
		SLICE_LIT("[a@1 x=\"1\" y=\"q\\\"b\\]\\\\n\"][empty][b@1 z=\"\"]");
	render(&r, text, sizeof text);
	assert_string_equal(
		text, "{\"message\":\"x\",\"log\":{\"syslog\":{\"msgid\":\"ID47\","
		      "\"structured_data\":{\"a@1\":{\"x\":\"1\",\"y\":\"q\\\"b]\\\\n\"},"
		      "\"empty\":{},\"b@1\":{\"z\":\"\"}}}}}");
}

static void structured_data_that_is_none_ends_where_it_goes_wrong(void **state)
{
	static const char *const cases[] = {
		"[", "[]", "[a", "[a b", "[a b=]", "[a b=\"", "[a b=\"c", "[a b=\"c\"",
		"[a b=\"c\" ",
		"[a  b=\"c\"]", "[=\"]", "[a =\"\"]", "x[a b=\"c\"]",
	};
	struct record r = empty_record();
	char text[1024];

	(void)state;
	r.line = SLICE_LIT("x");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		r.header.structured = slice_str(cases[i]);
		render(&r, text, sizeof text);
		assert_int_equal(text[strlen(text) - 1], '}');
	}
}

static void every_field_at_once_opens_each_group_once(void **state)
{
	static const char *const groups[] = {
		"\"event\":{",  "\"user\":{\"name\"", "\"group\":{",
		"\"source\":{", "\"destination\":{", "\"network\":{",
		"\"auth\":{",   "\"process\":{",     "\"file\":{",
		"\"http\":{",   "\"package\":{",     "\"user_agent\":{",
		"\"user\":{\"id\"", /* of process */
	};
	struct record r = empty_record();
	char text[8192];

	(void)state;
	r.header.format = HEADER_RFC5424;
	r.header.priority = 0;
	r.header.host = r.header.program = SLICE_LIT("x");
	r.header.pid = SLICE_LIT("1");
	for (int id = 0; id < FIELD_NR; id++) {
		event_set(&r.event, (enum event_field)id, SLICE_LIT("7"));
	}
	r.event.outcome = OUTCOME_SUCCESS;
	r.event.attempts = 2;
	render(&r, text, sizeof text);
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		const char *first = strstr(text, groups[i]);

		assert_non_null(first);
		assert_null(strstr(first + 1, groups[i]));
	}
}

static void a_place_is_two_numbers_or_nothing(void **state)
{
	static const char *const wrong[] = {"", ",", "52.5,", ",13.4", "52.5", "52.5,13.4,1",
					    "52.5,x", "1e3,2", "--1,2", ".5,1", "1.,2", "NaN,0"};
	struct record r = empty_record();
	char text[512];

	(void)state;
	r.line = SLICE_LIT("x");
	event_set(&r.event, FIELD_SOURCE_COUNTRY, SLICE_LIT("DE"));
	event_set(&r.event, FIELD_SOURCE_AS_NUMBER, SLICE_LIT("64500"));
	event_set(&r.event, FIELD_SOURCE_LOCATION, SLICE_LIT("52.5200,-13.4050"));
	render(&r, text, sizeof text);
	assert_string_equal(text, "{\"message\":\"x\",\"source\":{\"geo\":{\"country_iso_code\":"
				  "\"DE\",\"location\":{\"lat\":52.5200,\"lon\":-13.4050}},"
				  "\"as\":{\"number\":64500}}}");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		event_set(&r.event, FIELD_SOURCE_LOCATION, slice_str(wrong[i]));
		render(&r, text, sizeof text);
		assert_null(strstr(text, "location"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bare_line_has_its_message_only),
		cmocka_unit_test(header_and_event_nest),
		cmocka_unit_test(structured_data_is_an_object_for_each_element),
		cmocka_unit_test(structured_data_that_is_none_ends_where_it_goes_wrong),
		cmocka_unit_test(every_field_at_once_opens_each_group_once),
		cmocka_unit_test(a_place_is_two_numbers_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
