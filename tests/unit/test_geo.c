/* Databases of places, and what rules refer to: files that come, change and are damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "detectors/refer.h"
#include "tests/support/fault_sys.h"
#include "tests/support/mmdb.h"

static const uint8_t key[16] = "0123456789abcdef";

static const struct mmdb_entry some[] = {
	{"192.0.2.0/24", "DE", true, 52.52, 13.405, 20, 64500, "Example Berlin"},
	{"198.51.100.0/25", "JP", true, -35.6895, -139.6917, 0, 0, NULL},
	{"2001:db8::/32", "FR", false, 0, 0, 0, 4200000000u, NULL},
	{"203.0.113.7/32", NULL, false, 0, 0, 0, 64501, "Ex\x01" "a\xc3\xa9"},
};

static void put_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void database(struct buf *out, const char *type, const struct mmdb_entry *e, size_t n)
{
	buf_init(out, 1024 * 1024);
	assert_true(mmdb_write(out, type, e, n));
}

static void put_database(const char *path, const char *type, const struct mmdb_entry *e, size_t n)
{
	struct buf out;

	database(&out, type, e, n);
	put_file(path, out.p, out.n);
	buf_fini(&out);
}

static int in_folder(void **state)
{
	char *dir = strdup("/tmp/nightjar_geo.XXXXXX");

	assert_non_null(mkdtemp(dir));
	*state = dir;
	return chdir(dir);
}

static int out_of_folder(void **state)
{
	static const char *const names[] = {"a.mmdb", "b.mmdb", "bad.txt", "new"};

	for (size_t i = 0; i < 4; i++) {
		unlink(names[i]);
	}
	rmdir(*state);
	free(*state);
	return 0;
}

static bool has_library(void)
{
	struct geo_db *db;
	char why[GEO_WHY];
	bool has = geo_db_open(&db, sys_plain(), "/nonexistent", why) != UV_ENOSYS;

	if (!has) {
		print_message("built without libmaxminddb\n");
	}
	return has;
}

static struct geo_place look(const struct geo_db *db, const char *address)
{
	struct geo_place p = {.has = 0};
	struct ip ip;

	assert_true(ip_parse(slice_str(address), &ip));
	assert_true(geo_db_look(db, &ip, &p));
	return p;
}

static void a_database_tells_what_is_in_it(void **state)
{
	struct geo_db *db;
	struct geo_place p;
	char why[GEO_WHY];

	(void)state;
	if (!has_library()) {
		skip();
	}
	put_database("a.mmdb", "Enterprise", some, 4);
	assert_int_equal(geo_db_open(&db, sys_plain(), "a.mmdb", why), 0);
	assert_string_equal(geo_db_type(db), "Enterprise");
	assert_int_equal(geo_db_built_s(db), 1700000000);
	p = look(db, "192.0.2.255");
	assert_int_equal(p.has, GEO_COUNTRY | GEO_PLACE | GEO_AS);
	assert_string_equal(p.country, "DE");
	assert_string_equal(p.location, "52.5200,13.4050");
	assert_int_equal(p.radius_km, 20);
	assert_string_equal(p.number, "64500");
	assert_string_equal(p.organization, "Example Berlin");
	p = look(db, "::ffff:198.51.100.1");
	assert_int_equal(p.has, GEO_COUNTRY | GEO_PLACE);
	assert_string_equal(p.location, "-35.6895,-139.6917");
	assert_int_equal(p.radius_km, 0);
	assert_int_equal(look(db, "198.51.100.128").has, 0);
	p = look(db, "2001:db8:ffff::1");
	assert_int_equal(p.has, GEO_COUNTRY | GEO_AS);
	assert_string_equal(p.number, "4200000000");
	assert_string_equal(p.organization, "");
	p = look(db, "203.0.113.7");
	assert_string_equal(p.organization, "Ex?a\xc3\xa9");
	geo_db_close(db);
}

static void a_database_is_asked_for_what_its_type_tells(void **state)
{
	static const struct {
		const char *type;
		unsigned parts;
		size_t entry;
		const char *ip;
	} types[] = {
		{"GeoLite2-City", GEO_COUNTRY | GEO_PLACE, 0, "192.0.2.1"},
		{"GeoLite2-ASN", GEO_AS, 0, "192.0.2.1"},
		{"DBIP-Country-Lite", GEO_COUNTRY, 0, "192.0.2.1"},
		/* What is found, where the type says nothing. */
		{"Own", GEO_COUNTRY | GEO_PLACE | GEO_AS, 0, "192.0.2.1"},
		{"Own", GEO_COUNTRY | GEO_AS, 2, "2001:db8::1"},
		{"Own", GEO_AS, 3, "203.0.113.7"},
	};

	(void)state;
	if (!has_library()) {
		skip();
	}
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct geo_db *db;
		char why[GEO_WHY];

		put_database("a.mmdb", types[i].type, some + types[i].entry, 1);
		assert_int_equal(geo_db_open(&db, sys_plain(), "a.mmdb", why), 0);
		assert_int_equal(geo_db_parts(db), types[i].parts);
		assert_int_equal(look(db, types[i].ip).has, types[i].parts);
		geo_db_close(db);
	}
}

/* With the file mapped as it is, this would end the process. */
static void a_database_that_is_cut_short_while_it_is_open_goes_on(void **state)
{
	struct geo_db *db;
	char why[GEO_WHY];

	(void)state;
	if (!has_library()) {
		skip();
	}
	put_database("a.mmdb", "Enterprise", some, 4);
	assert_int_equal(geo_db_open(&db, sys_plain(), "a.mmdb", why), 0);
	assert_int_equal(truncate("a.mmdb", 0), 0);
	assert_string_equal(look(db, "192.0.2.1").country, "DE");
	geo_db_close(db);
}

/* Cut anywhere, or with any byte changed: an error, or another answer. */
static void a_damaged_database_is_refused_or_answers(void **state)
{
	struct buf whole;

	(void)state;
	if (!has_library()) {
		skip();
	}
	database(&whole, "Enterprise", some, 4);
	for (size_t i = 0; i < whole.n; i++) {
		for (unsigned how = 0; how < 3; how++) {
			struct geo_place p = {.has = 0};
			struct geo_db *db;
			struct ip ip;
			char why[GEO_WHY] = "", saved = whole.p[i];
			int rc;

			whole.p[i] = (char)(how == 0 ? saved : how == 1 ? saved ^ 0x80 : 0xff);
			put_file("a.mmdb", whole.p, how == 0 ? i : whole.n);
			whole.p[i] = saved;
			rc = geo_db_open(&db, sys_plain(), "a.mmdb", why);
			assert_true((rc == 0) == (db != NULL));
			assert_true(rc == 0 || why[0] != '\0');
			if (rc == 0 && ip_parse(SLICE_LIT("192.0.2.1"), &ip)) {
				(void)geo_db_look(db, &ip, &p);
			}
			geo_db_close(db);
		}
	}
	buf_fini(&whole);
}

static void each_call_that_fails_is_told(void **state)
{
	int rc = 1;

	(void)state;
	if (!has_library()) {
		skip();
	}
	put_database("a.mmdb", "Own", some, 4);
	for (unsigned nth = 0; rc != 0 && nth < 20; nth++) {
		struct fault_sys f;
		struct geo_db *db;
		char why[GEO_WHY];

		fault_sys_init(&f, (int)nth, UV_EIO);
		rc = geo_db_open(&db, &f.sys, "a.mmdb", why);
		assert_true((rc == 0) == (db != NULL));
		assert_true(rc == 0 || rc == UV_EIO);
		geo_db_close(db);
	}
	assert_int_equal(rc, 0);
}

static void addresses_that_are_nowhere_are_not_public(void **state)
{
	static const char *const no[] = {
		"0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.1.1",
		"172.16.0.1", "172.31.255.255", "192.168.1.1", "224.0.0.1", "255.255.255.255", "::",
		"::1", "fe80::1", "fc00::1", "fdff::1", "ff02::1", "::ffff:10.0.0.1"};
	static const char *const yes[] = {
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
		"172.15.0.1", "172.32.0.1", "192.167.0.1", "223.255.255.255", "2001:db8::1",
		"2a00::1", "::ffff:8.8.8.8", "64:ff9b::1"};
	struct ip ip;

	(void)state;
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		assert_true(ip_parse(slice_str(no[i]), &ip));
		assert_false(geo_is_public(&ip));
	}
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		assert_true(ip_parse(slice_str(yes[i]), &ip));
		assert_true(geo_is_public(&ip));
	}
}

static void distances_are_those_of_a_globe(void **state)
{
	(void)state;
	assert_int_equal(geo_distance_km(0, 0, 0, 0), 0);
	assert_int_equal(geo_distance_km(0, 0, 0, 1800000), 20015);
	assert_int_equal(geo_distance_km(900000, 0, -900000, 770000), 20015);
	/* Over the line at which dates change. */
	assert_int_equal(geo_distance_km(0, 1799000, 0, -1799000), 22);
	assert_in_range(geo_distance_km(525200, 134050, 356895, 1396917), 8910, 8925);
}

/* ---- files that rules refer to ---- */

struct heard {
	unsigned good, bad, lines, old;
	char last[300];
};

static void on_told(void *arg, const struct refer_told *t)
{
	struct heard *h = arg;

	h->good += t->good;
	h->bad += !t->good && t->line == 0;
	h->lines += !t->good && t->line > 0;
	h->old += t->old;
	snprintf(h->last, sizeof h->last, "%s:%u: %s", t->path, t->line, t->text);
}

static struct refer *of(char **lists, size_t n_lists, char **databases, size_t n_databases)
{
	struct detectors_options o = {.lists = {lists, n_lists},
				      .geoip = {databases, n_databases}};
	struct refer *r;

	assert_int_equal(refer_new(&r, &o, key), 0);
	return r;
}

static const struct geo_place *place(struct refer *r, const char *address)
{
	struct event e;

	event_reset(&e);
	event_set(&e, FIELD_SOURCE_IP, slice_str(address));
	return refer_place(r, &e);
}

/* What stat(2) can tell apart: another inode. */
static void replace_file(const char *path, const char *text)
{
	put_file("new", text, strlen(text));
	assert_int_equal(rename("new", path), 0);
}

/* As the agent does; how many files were read. */
static unsigned refresh(struct refer *r, struct heard *h)
{
	struct refer_job job = {.path = NULL};
	unsigned n = 0;

	for (; refer_next(r, sys_plain(), &job, on_told, h); n++) {
		refer_work(&job);
		refer_take(r, &job, on_told, h);
	}
	return n;
}

static void a_list_is_read_again_when_it_is_replaced_and_kept_when_it_goes(void **state)
{
	char path[] = "bad.txt", *paths[] = {path};
	struct heard h = {.good = 0};
	struct refer *r = of(paths, 1, NULL, 0);
	const struct refer_list *l = refer_list(r, SLICE_LIT("bad"));

	(void)state;
	assert_non_null(l);
	assert_null(refer_list(r, SLICE_LIT("other")));
	refer_load(r, sys_plain(), on_told, &h);
	assert_true(h.bad == 1 && h.old == 0 && refer_list_about(l) == NULL);
	assert_false(refer_list_has(l, SLICE_LIT("192.0.2.1")));
	/* A missing file is told once. */
	assert_int_equal(refresh(r, &h), 0);
	assert_int_equal(h.bad, 1);

	replace_file(path, "192.0.2.1\n");
	assert_int_equal(refresh(r, &h), 1);
	assert_true(refer_list_has(l, SLICE_LIT("192.0.2.1")) && h.good == 1);
	assert_int_equal(refresh(r, &h), 0);

	replace_file(path, "192.0.2.2\nbad line\n");
	assert_int_equal(refresh(r, &h), 1);
	assert_false(refer_list_has(l, SLICE_LIT("192.0.2.1")));
	assert_true(refer_list_has(l, SLICE_LIT("192.0.2.2")) && h.lines == 1);

	unlink(path);
	assert_int_equal(refresh(r, &h), 0);
	assert_true(h.bad == 2 && h.old == 1 && refer_list_has(l, SLICE_LIT("192.0.2.2")));
	replace_file(path, "192.0.2.3\n");
	assert_int_equal(refresh(r, &h), 1);
	assert_true(refer_list_has(l, SLICE_LIT("192.0.2.3")));
	refer_free(r);
}

static void a_damaged_database_leaves_the_one_before_in_use(void **state)
{
	char path[] = "a.mmdb", *paths[] = {path, path};
	struct heard h = {.good = 0};
	struct refer_stats st;
	struct refer *r;

	(void)state;
	if (!has_library()) {
		skip();
	}
	put_database(path, "GeoLite2-City", some, 4);
	r = of(NULL, 0, paths, 2);
	assert_int_equal(refer_parts(r), 0);
	assert_null(place(r, "192.0.2.1"));
	refer_load(r, sys_plain(), on_told, &h);
	/* That it is named twice changes nothing. */
	assert_true(h.good == 1 && refer_parts(r) == (GEO_COUNTRY | GEO_PLACE));
	assert_string_equal(place(r, "192.0.2.1")->country, "DE");
	assert_null(place(r, "192.168.0.1"));
	assert_null(place(r, "192.0.1.1"));
	assert_null(place(r, "gate.example"));

	replace_file(path, "no database");
	assert_int_equal(refresh(r, &h), 1);
	assert_true(h.bad == 1 && h.old == 1);
	assert_string_equal(place(r, "192.0.2.1")->country, "DE");
	/* Told once. */
	assert_int_equal(refresh(r, &h), 0);

	put_database("new", "GeoLite2-City",
		     &(struct mmdb_entry){"192.0.2.0/24", "SE", .number = 0}, 1);
	assert_int_equal(rename("new", path), 0);
	assert_int_equal(refresh(r, &h), 1);
	assert_string_equal(place(r, "192.0.2.1")->country, "SE");
	refer_stats(r, &st);
	assert_true(st.databases == 1 && st.databases_read == 1 && st.damaged == 0);
	/* 192.0.2.1 in each of two databases, and 192.0.1.1; what is private costs nothing. */
	assert_int_equal(st.looked_up, 3);
	refer_free(r);
}

static void what_was_read_goes_on_in_the_next_configuration(void **state)
{
	char path[] = "bad.txt", other[] = "new", *paths[] = {path, other};
	struct heard h = {.good = 0};
	struct refer *a, *b, *c;

	(void)state;
	replace_file(path, "bob\n");
	a = of(paths, 1, NULL, 0);
	refer_load(a, sys_plain(), on_told, &h);
	assert_int_equal(h.good, 1);

	/* One that is not taken leaves it where it was. */
	b = of(paths, 1, NULL, 0);
	refer_borrow(b, a);
	refer_free(b);
	assert_true(refer_list_has(refer_list(a, SLICE_LIT("bad")), SLICE_LIT("bob")));

	c = of(paths, 2, NULL, 0);
	refer_borrow(c, a);
	refer_inherit(c, a);
	refer_free(a);
	put_file(other, "eve\n", 4);
	refer_load(c, sys_plain(), on_told, &h);
	assert_int_equal(h.good, 2);
	assert_true(refer_list_has(refer_list(c, SLICE_LIT("bad")), SLICE_LIT("bob")));
	assert_true(refer_list_has(refer_list(c, SLICE_LIT("new")), SLICE_LIT("eve")));
	refer_free(c);
}

/* A file that was being read when the configuration changed. */
static void what_nobody_names_any_more_is_dropped(void **state)
{
	char path[] = "bad.txt", *paths[] = {path};
	struct heard h = {.good = 0};
	struct refer *a = of(paths, 1, NULL, 0), *b = of(NULL, 0, NULL, 0);
	struct refer_job job = {.path = NULL};

	(void)state;
	replace_file(path, "bob\n");
	assert_true(refer_next(a, sys_plain(), &job, on_told, &h));
	refer_free(a);
	refer_work(&job);
	refer_take(b, &job, on_told, &h);
	assert_true(h.good == 0 && job.path == NULL);
	refer_take(NULL, &job, NULL, NULL);
	refer_free(b);
}

static void lists_of_one_name_and_names_that_no_rule_can_say_are_told(void **state)
{
	char a[] = "/x/bad.txt", b[] = "/y/bad.v2", c[] = "/x/bad-hosts.txt";
	char *paths[] = {a, b, c};
	struct heard h = {.good = 0};
	struct refer *r = of(paths, 3, NULL, 0);

	(void)state;
	refer_check(r, on_told, &h);
	assert_int_equal(h.bad, 2);
	assert_non_null(strstr(h.last, "letters, digits and _"));
	refer_free(r);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, in_folder, out_of_folder)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_database_tells_what_is_in_it),
		IN_FOLDER(a_database_is_asked_for_what_its_type_tells),
		IN_FOLDER(a_database_that_is_cut_short_while_it_is_open_goes_on),
		IN_FOLDER(a_damaged_database_is_refused_or_answers),
		IN_FOLDER(each_call_that_fails_is_told),
		cmocka_unit_test(addresses_that_are_nowhere_are_not_public),
		cmocka_unit_test(distances_are_those_of_a_globe),
		IN_FOLDER(a_list_is_read_again_when_it_is_replaced_and_kept_when_it_goes),
		IN_FOLDER(a_damaged_database_leaves_the_one_before_in_use),
		IN_FOLDER(what_was_read_goes_on_in_the_next_configuration),
		IN_FOLDER(what_nobody_names_any_more_is_dropped),
		cmocka_unit_test(lists_of_one_name_and_names_that_no_rule_can_say_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
