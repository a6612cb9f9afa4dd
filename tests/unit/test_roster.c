/* Lists of addresses and names, and the set of networks in them. */
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
#include "detectors/netset.h"
#include "detectors/roster.h"
#include "tests/support/fault_sys.h"

static const uint8_t key[16] = "0123456789abcdef";

struct said {
	unsigned n, line;
	char text[300];
};

static void on_error(void *arg, const char *file, unsigned line, unsigned column,
		     const char *text)
{
	struct said *s = arg;

	(void)column;
	assert_non_null(file);
	s->n++;
	s->line = line;
	snprintf(s->text, sizeof s->text, "%s", text);
}

static struct roster *of(const char *text, struct said *said)
{
	struct roster *r;

	*said = (struct said){.n = 0};
	assert_int_equal(roster_read_bytes(&r, "list", slice_str(text), key, on_error, said), 0);
	return r;
}

static bool has(const struct roster *r, const char *value)
{
	return roster_has(r, slice_str(value));
}

static void a_list_has_what_stands_in_it_and_nothing_else(void **state)
{
	struct said said;
	struct roster *r = of("# source: https://example.net/feed\n"
			      "\n"
			      "192.0.2.7\t# one address\n"
			      "198.51.100.0/24 ; SBL1\r\n"
			      "2001:db8:1::/48\n2001:db8:2::7\n"
			      "*.evil.example\nroot2\n"
			      "  D41D8CD98F00B204E9800998ECF8427E\n"
			      "mail.example.org",
			      &said);

	(void)state;
	assert_int_equal(said.n, 0);
	assert_true(has(r, "192.0.2.7") && has(r, "::ffff:192.0.2.7"));
	assert_false(has(r, "192.0.2.8") || has(r, "192.0.2.6"));
	assert_true(has(r, "198.51.100.0") && has(r, "198.51.100.255"));
	assert_false(has(r, "198.51.99.255") || has(r, "198.51.101.0"));
	assert_true(has(r, "2001:db8:1:ffff::1") && has(r, "2001:db8:2::7"));
	assert_false(has(r, "2001:db8:3::") || has(r, "2001:db8:2::8"));
	assert_true(has(r, "a.evil.example") && has(r, "b.A.EVIL.example"));
	assert_false(has(r, "evil.example") || has(r, "notevil.example"));
	assert_true(has(r, "ROOT2") && has(r, "d41d8cd98f00b204e9800998ecf8427e"));
	assert_true(has(r, "mail.example.org"));
	assert_false(has(r, "root") || has(r, "") || has(r, "mail.example.org."));
	assert_string_equal(roster_about(r)->source, "https://example.net/feed");
	assert_int_equal(roster_about(r)->networks, 4);
	assert_int_equal(roster_about(r)->texts, 4);
	roster_free(r);
}

static void a_wrong_line_is_named_and_the_others_are_used(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} cases[] = {
		{"192.0.2.1\n192.0.2.300\nbob\n", 2},
		{"192.0.2.1\nbob\n192.0.2.0/33\n", 3},
		{"192.0.2.0/24/8\n192.0.2.1\nbob\n", 1},
		{"2001:db8::/129\n192.0.2.1\nbob\n", 1},
		{"192.0.2.1\nbob\ntwo words\n", 3},
		{"192.0.2.1\nbob\na\x01z\n", 3},
		{"192.0.2.1\n1.2.3\nbob\n", 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct said said;
		struct roster *r = of(cases[i].text, &said);

		assert_int_equal(said.n, 1);
		assert_int_equal(said.line, cases[i].line);
		assert_int_equal(roster_about(r)->wrong, 1);
		assert_true(has(r, "192.0.2.1") && has(r, "BOB"));
		roster_free(r);
	}
}

static void of_many_wrong_lines_some_are_told_and_all_are_counted(void **state)
{
	char text[100 * 10 + 1];
	struct said said;
	struct roster *r;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		memcpy(text + i * 10, "1.2.3.4.5\n", 11);
	}
	r = of(text, &said);
	assert_int_equal(said.n, ROSTER_ERRORS + 1);
	assert_string_equal(said.text, "and 80 more lines that are left out");
	assert_int_equal(roster_about(r)->wrong, 100);
	roster_free(r);
}

/* ---- networks ---- */

static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Addresses that lie close together, so that networks meet. */
static struct ip any_ip(uint64_t *seed)
{
	struct ip ip = {{0}};
	uint64_t r = next(seed);

	if (r % 2 == 0) {
		ip.b[10] = ip.b[11] = 0xff;
		ip.b[12] = 10;
	} else {
		ip.b[0] = 0x20;
	}
	ip.b[r % 3 == 0 ? 7 : 13] = (uint8_t)(r >> 8 & 7);
	ip.b[14] = (uint8_t)(r >> 16 & 0xc0);
	ip.b[15] = (uint8_t)(r >> 24 & 3);
	return ip;
}

static void a_set_of_networks_has_what_one_of_them_has(void **state)
{
	uint64_t seed = (uint64_t)sys_wall_ns(sys_plain());

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (unsigned round = 0; round < 2000; round++) {
		struct ip_net nets[24];
		struct netset s = {0};
		size_t n = next(&seed) % 24;

		for (size_t i = 0; i < n; i++) {
			uint64_t r = next(&seed);

			nets[i].base = any_ip(&seed);
			nets[i].bits = (uint8_t)(ip_is_v4(&nets[i].base) ? 96 + r % 33 : r % 129);
			assert_int_equal(netset_add(&s, &nets[i]), 0);
		}
		netset_close(&s);
		for (unsigned k = 0; k < 64; k++) {
			struct ip a = any_ip(&seed);
			bool in = false;

			for (size_t i = 0; i < n; i++) {
				/* "::/0" is about IPv6. */
				in = in || (ip_is_v4(&a) == ip_is_v4(&nets[i].base) &&
					    ip_in_net(&a, &nets[i]));
			}
			assert_int_equal(netset_has(&s, &a), in);
		}
		netset_fini(&s);
	}
}

static void halves_become_one_and_what_lies_inside_goes(void **state)
{
	static const char *const nets[] = {"10.0.1.0/24", "10.0.0.0/24", "10.0.0.77",
					   "10.0.2.0/23", "10.0.0.0/25"};
	struct netset s = {0};
	struct ip_net net;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_true(ip_net_parse(slice_str(nets[i]), &net));
		assert_int_equal(netset_add(&s, &net), 0);
	}
	netset_close(&s);
	assert_int_equal(s.parts[NETSET_V4].n, 1);
	assert_int_equal(s.parts[NETSET_V4].p[4], 22);
	assert_int_equal(netset_bytes(&s), 5);
	netset_fini(&s);
	netset_fini(&s);
}

/* ---- files ---- */

static void write_file(char path[static 32], const char *p, size_t n)
{
	int fd;

	strcpy(path, "/tmp/nightjar_roster.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

/* Pieces end where they like; a line that is too long is one mistake. */
static void a_large_file_is_read_in_pieces(void **state)
{
	enum { N = 40000, LONG = 200000 };
	char *text = malloc(N * 24 + LONG + 100), path[32], name[32];
	struct said said = {.n = 0};
	struct roster *r;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		n += (size_t)sprintf(text + n, i % 2 ? "host%u.example\n" : "10.%u.%u.%u\n",
				     i % 2 ? i : i >> 16, i >> 8 & 255, i & 255);
		if (i == N / 2) {
			memset(text + n, 'x', LONG);
			n += LONG;
			text[n++] = '\n';
		}
	}
	text[n - 1] = '#'; /* The last line has no end, and is another name. */
	write_file(path, text, n);
	assert_int_equal(roster_read(&r, sys_plain(), path, key, on_error, &said), 0);
	unlink(path);
	assert_int_equal(said.n, 1);
	assert_int_equal(said.line, N / 2 + 2);
	for (unsigned i = 0; i < N - 1; i++) {
		sprintf(name, i % 2 ? "host%u.example" : "10.%u.%u.%u", i % 2 ? i : i >> 16,
			i >> 8 & 255, i & 255);
		assert_true(has(r, name));
	}
	assert_true(has(r, "host39999.example#"));
	roster_free(r);
	free(text);
}

static void a_list_that_has_every_address_says_so(void **state)
{
	static const struct {
		const char *text;
		bool v4, v6;
	} cases[] = {
		{"0.0.0.0/0\n", true, false},
		{"::/0\n", true, true},
		{"192.0.2.0/24\n128.0.0.0/1\nx\n0.0.0.0/1\n", true, false},
		{"8000::/1\n::/1\n", true, true},
		{"0.0.0.0/1\n8000::/1\n::1\n", false, false},
		{"0.0.0.0\n", false, false},
		{"", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct roster *r;

		assert_int_equal(roster_read_bytes(&r, "l", slice_str(cases[i].text), key, NULL,
						   NULL), 0);
		assert_int_equal(roster_about(r)->all_v4, cases[i].v4);
		assert_int_equal(roster_about(r)->all_v6, cases[i].v6);
		roster_free(r);
	}
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
	struct roster *r;
	struct said said = {.n = 0};

	(void)state;
	assert_int_equal(roster_read(&r, sys_plain(), "/nonexistent/list", key, on_error, &said),
			 UV_ENOENT);
	assert_null(r);
	assert_int_equal(roster_read(&r, sys_plain(), "/tmp", key, on_error, &said), UV_EISDIR);
	assert_int_equal(said.n, 0);
}

static void each_call_that_fails_is_told(void **state)
{
	char path[32];
	int rc = 1;

	(void)state;
	write_file(path, "192.0.2.1\nbob\n", 14);
	for (int nth = 0; rc != 0 && nth < 20; nth++) {
		struct said said = {.n = 0};
		struct fault_sys f;
		struct roster *r;

		fault_sys_init(&f, nth, UV_EIO);
		rc = roster_read(&r, &f.sys, path, key, on_error, &said);
		assert_true((rc == 0) == (r != NULL));
		roster_free(r);
	}
	assert_int_equal(rc, 0);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_has_what_stands_in_it_and_nothing_else),
		cmocka_unit_test(a_wrong_line_is_named_and_the_others_are_used),
		cmocka_unit_test(of_many_wrong_lines_some_are_told_and_all_are_counted),
		cmocka_unit_test(a_set_of_networks_has_what_one_of_them_has),
		cmocka_unit_test(halves_become_one_and_what_lies_inside_goes),
		cmocka_unit_test(a_large_file_is_read_in_pieces),
		cmocka_unit_test(a_list_that_has_every_address_says_so),
		cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
		cmocka_unit_test(each_call_that_fails_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
