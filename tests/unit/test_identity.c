/* Unit tests of wire/identity.h, wire/head.h, wire/local.h and pki/pki.h: what
 * is issued loads and signs; whatever is wrong is named. */
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

#include "common/err.h"
#include "common/sys_uv.h"
#include "tests/support/identities.h"
#include "wire/head.h"
#include "wire/local.h"

#define DAY_MS INT64_C(86400000)

static int set_up(void **state)
{
	struct identities *t = calloc(1, sizeof *t);

	assert_non_null(t);
	identities_open(t);
	t->pki.force = false;
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	identities_close(*state);
	free(*state);
	return 0;
}

static void assert_says(int rc, int want, const char *why, const char *needle)
{
	if (rc != want || strstr(why, needle) == NULL) {
		fail_msg("%d (wanted %d): %s (wanted \"%s\")", rc, want, why,
			 needle);
	}
}

static void write_to(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (unsigned)st.st_mode & 07777;
}

/* ---- issuing ---- */

static void files_have_the_right_modes(void **state)
{
	struct identities *t = *state;

	identity_free(identities_device(t, "gw-1"));
	assert_int_equal(mode_of(identities_path(t, "authority.key")), 0600);
	assert_int_equal(mode_of(identities_path(t, "gw-1.key")), 0600);
	assert_int_equal(mode_of(identities_path(t, "authority.crt")), 0644);
	assert_int_equal(mode_of(identities_path(t, "gw-1.crt")), 0644);
	/* The request has served. */
	assert_int_not_equal(access(identities_path(t, "gw-1.csr"), F_OK), 0);
}

static void nothing_is_overwritten_without_force(void **state)
{
	struct identities *t = *state;
	const char *const host[] = {"a.example"};

	assert_int_equal(pki_request(&t->pki, "gw-1"), 0);
	assert_says(pki_authority(&t->pki), UV_EEXIST, t->pki.why, "--force");
	assert_says(pki_request(&t->pki, "gw-1"), UV_EEXIST, t->pki.why,
		    "gw-1.key");
	assert_int_equal(pki_sign(&t->pki, identities_path(t, "gw-1.csr")), 0);
	assert_says(pki_sign(&t->pki, identities_path(t, "gw-1.csr")),
		    UV_EEXIST, t->pki.why, "gw-1.crt");
	assert_int_equal(pki_collector(&t->pki, host, 1), 0);
	assert_says(pki_collector(&t->pki, host, 1), UV_EEXIST, t->pki.why,
		    "collector.key");
	t->pki.force = true;
	assert_int_equal(pki_collector(&t->pki, host, 1), 0);
}

static void bad_names_are_refused(void **state)
{
	struct identities *t = *state;
	static const char *const devices[] = {"", ".hidden", "a/b", "a b",
					      "a\n", "collector",
					      "authority", "\xc3\xa4"};
	static const char *const hosts[] = {"", "a..b", "-a", "a-", "a_b",
					    "*.a", "1.2.3", "1.2.3.400",
					    "a b", "a,CN=b"};

	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
		assert_int_equal(pki_request(&t->pki, devices[i]), UV_EINVAL);
	}
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		assert_int_equal(pki_collector(&t->pki, &hosts[i], 1),
				 UV_EINVAL);
	}
}

static void without_an_authority_it_says_how_to_make_one(void **state)
{
	struct identities *t = *state;

	unlink(identities_path(t, "authority.key"));
	assert_says(pki_device(&t->pki, "gw-1"), UV_ENOENT, t->pki.why,
		    "nightjar pki init");
	assert_int_not_equal(access(identities_path(t, "gw-1.key"), F_OK), 0);
}

static void a_damaged_or_altered_request_is_not_signed(void **state)
{
	struct identities *t = *state;
	char *pem;
	size_t n, body, end;
	int refused = 0;

	assert_int_equal(pki_request(&t->pki, "gw-1"), 0);
	assert_int_equal(sys_read_file(sys_plain(),
				       identities_path(t, "gw-1.csr"), 65536,
				       &pem, &n),
			 0);
	body = strlen("-----BEGIN CERTIFICATE REQUEST-----\n");
	/* Another character in each place of the base64 text but the last, some of
	 * whose bits mean nothing. */
	end = body + strcspn(pem + body, "-=") - 2;
	for (size_t i = body; i < end; i += 3) {
		char was = pem[i];

		if (was == '\n') {
			continue;
		}
		pem[i] = was == 'A' ? 'B' : 'A';
		write_to(identities_path(t, "bad.csr"), pem);
		refused += pki_sign(&t->pki, identities_path(t, "bad.csr")) !=
			   0;
		assert_int_not_equal(
			access(identities_path(t, "gw-1.crt"), F_OK), 0);
		pem[i] = was;
	}
	assert_in_range(refused, 50, 1000);
	write_to(identities_path(t, "bad.csr"), "no PEM at all\n");
	assert_says(pki_sign(&t->pki, identities_path(t, "bad.csr")),
		    ERR_MALFORMED, t->pki.why, "not a signing request");
	free(pem);
}

static void show_tells_what_a_file_says(void **state)
{
	struct identities *t = *state;
	const char *const hosts[] = {"logs.example.net", "192.0.2.7",
				     "2001:db8::1"};
	struct pki_facts f;

	assert_int_equal(pki_collector(&t->pki, hosts, 3), 0);
	assert_int_equal(pki_show(&t->pki, t->pki.crt_path, &f), 0);
	assert_string_equal(f.use, "collector");
	assert_string_equal(f.names, "dns:logs.example.net ip:192.0.2.7 "
				     "ip:2001:db8::1");
	assert_false(f.expired);
	assert_int_equal(strlen(f.key_hash), 64);
	t->shift_ms = 366 * DAY_MS;
	assert_int_equal(pki_show(&t->pki, t->pki.crt_path, &f), 0);
	assert_true(f.expired);
	assert_int_equal(pki_request(&t->pki, "gw-1"), 0);
	assert_int_equal(pki_show(&t->pki, t->pki.csr_path, &f), 0);
	assert_int_equal(f.kind, PKI_REQUEST);
	assert_string_equal(f.name, "gw-1");
	assert_says(pki_show(&t->pki, t->pki.key_path, &f), ERR_MALFORMED,
		    t->pki.why, "neither");
}

static void a_certificate_does_not_outlive_its_authority(void **state)
{
	struct identities *t = *state;
	struct pki_facts ca, dev;

	t->pki.days = 36500;
	assert_int_equal(pki_device(&t->pki, "gw-1"), 0);
	assert_int_equal(pki_show(&t->pki, t->pki.crt_path, &dev), 0);
	assert_int_equal(pki_show(&t->pki,
				  identities_path(t, "authority.crt"), &ca),
			 0);
	assert_true(dev.not_after_ms == ca.not_after_ms);
}

/* ---- loading ---- */

static void an_identity_knows_who_it_is(void **state)
{
	struct identities *t = *state;
	struct identity *id = identities_device(t, "gw-1");
	struct slice spki = identity_spki(id);
	struct hash32 want, got = identity_hash(id);

	assert_string_equal(identity_name(id), "gw-1");
	assert_int_equal(hash32_of(&want, &spki, 1), 0);
	assert_true(hash32_eq(&want, &got));
	assert_true(identity_not_after_ms(id) >
		    sys_wall_ns(sys_plain()) / 1000000 + 364 * DAY_MS);
	identity_free(id);
	identity_free(NULL);
}

static void what_is_wrong_with_an_identity_is_named(void **state)
{
	struct identities *t = *state, other;
	struct identity *id;
	char why[IDENTITY_WHY];
	char command[600];

	identity_free(identities_device(t, "a"));
	identity_free(identities_device(t, "b"));
	assert_says(identities_load(t, &id, "none.crt", "a.key",
				    "authority.crt", why),
		    UV_ENOENT, why, "none.crt");
	assert_null(id);
	assert_says(identities_load(t, &id, "a.crt", "none.key",
				    "authority.crt", why),
		    UV_ENOENT, why, "none.key");
	assert_says(identities_load(t, &id, "a.crt", "b.key", "authority.crt",
				    why),
		    ERR_CERTIFICATE, why, "does not belong");
	write_to(identities_path(t, "text"), "hello\n");
	assert_says(identities_load(t, &id, "text", "a.key", "authority.crt",
				    why),
		    ERR_MALFORMED, why, "not a PEM file");
	write_to(identities_path(t, "pem"),
		 "-----BEGIN CERTIFICATE-----\nAAAA\n"
		 "-----END CERTIFICATE-----\n");
	assert_says(identities_load(t, &id, "pem", "a.key", "authority.crt",
				    why),
		    ERR_MALFORMED, why, "cannot be parsed");
	assert_says(identities_load(t, &id, "a.crt", "a.crt", "authority.crt",
				    why),
		    UV_EPERM, why, "chmod 600");
	t->shift_ms = 366 * DAY_MS;
	assert_says(identities_load(t, &id, "a.crt", "a.key", "authority.crt",
				    why),
		    ERR_CERTIFICATE, why, "expired on 20");
	t->shift_ms = -2 * DAY_MS;
	assert_says(identities_load(t, &id, "a.crt", "a.key", "authority.crt",
				    why),
		    ERR_CERTIFICATE, why, "not valid before");
	t->shift_ms = 0;
	identities_open(&other);
	snprintf(command, sizeof command, "cp %s/authority.crt %s/other.crt",
		 other.dir, t->dir);
	assert_int_equal(system(command), 0);
	identities_close(&other);
	assert_says(identities_load(t, &id, "a.crt", "a.key", "other.crt",
				    why),
		    ERR_CERTIFICATE, why, "not issued by our authority");
}

static void keys_that_others_may_read_are_refused(void **state)
{
	struct identities *t = *state;
	struct identity *id;
	char why[IDENTITY_WHY];
	static const unsigned refused[] = {0644, 0604, 0660, 0620, 0610, 0601};

	identity_free(identities_device(t, "a"));
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		chmod(identities_path(t, "a.key"), refused[i]);
		assert_says(identities_load(t, &id, "a.crt", "a.key",
					    "authority.crt", why),
			    UV_EPERM, why, "may be used by others");
	}
	chmod(identities_path(t, "a.key"), 0400);
	assert_int_equal(identities_load(t, &id, "a.crt", "a.key",
					 "authority.crt", why),
			 0);
	identity_free(id);
	/* The daemon's own group may read it. */
	chmod(identities_path(t, "a.key"), 0640);
	assert_int_equal(identities_load(t, &id, "a.crt", "a.key",
					 "authority.crt", why),
			 0);
	identity_free(id);
}

/* ---- signed heads ---- */

static void a_signed_head_verifies_and_no_other_does(void **state)
{
	struct identities *t = *state;
	struct identity *a = identities_device(t, "a");
	struct identity *b = identities_device(t, "b");
	struct head h = {
		.device = identity_hash(a), .lane = LANE_KEPT,
		.number = 300, .segment = {{1}}, .index = 7, .hash = {{2}},
		.state = HEAD_ABANDONED, .previous_index = -1,
		.previous_hash = {{3}}, .time_ms = 1795363200000,
	}, got;
	struct buf out;

	buf_init(&out, 512);
	assert_int_equal(head_sign(&h, a, &out), 0);
	assert_int_equal(head_verify(&got, buf_slice(&out), identity_spki(a)),
			 0);
	assert_int_equal(got.lane, LANE_KEPT);
	assert_int_equal(got.number, 300);
	assert_int_equal(got.index, 7);
	assert_int_equal(got.state, HEAD_ABANDONED);
	assert_true(got.previous_index == -1);
	assert_true(got.time_ms == h.time_ms);
	assert_true(hash32_eq(&got.hash, &h.hash));
	assert_true(hash32_eq(&got.device, &h.device));
	assert_true(hash32_eq(&got.previous_hash, &h.previous_hash));
	assert_int_equal(head_verify(&got, buf_slice(&out), identity_spki(b)),
			 ERR_NOT_OURS);
	for (size_t i = 0; i < out.n * 8; i++) {
		out.p[i / 8] = (char)(out.p[i / 8] ^ 1 << i % 8);
		assert_int_not_equal(
			head_verify(&got, buf_slice(&out), identity_spki(a)),
			0);
		out.p[i / 8] = (char)(out.p[i / 8] ^ 1 << i % 8);
	}
	for (size_t i = 0; i < out.n; i++) {
		assert_int_not_equal(
			head_verify(&got, slice(out.p, i), identity_spki(a)),
			0);
	}
	/* Signed by b in a's name. */
	buf_clear(&out);
	assert_int_equal(head_sign(&h, b, &out), 0);
	assert_int_equal(head_verify(&got, buf_slice(&out), identity_spki(a)),
			 ERR_AUTH);
	buf_fini(&out);
	identity_free(a);
	identity_free(b);
}

/* ---- local sealing ---- */

static void the_device_secret_is_made_once(void **state)
{
	struct identities *t = *state;
	struct device_secret a, b;

	assert_int_equal(device_secret_load(&a, sys_plain(), t->dir), 0);
	assert_int_equal(mode_of(identities_path(t, "secret")), 0600);
	assert_int_equal(device_secret_load(&b, sys_plain(), t->dir), 0);
	assert_memory_equal(&a, &b, sizeof a);
	chmod(identities_path(t, "secret"), 0640);
	assert_int_equal(device_secret_load(&b, sys_plain(), t->dir),
			 UV_EPERM);
	write_to(identities_path(t, "secret"), "too short");
	assert_int_equal(device_secret_load(&b, sys_plain(), t->dir),
			 ERR_DAMAGED);
	write_to(identities_path(t, "secret"),
		 "this is longer than a secret of 32 bytes");
	assert_int_equal(device_secret_load(&b, sys_plain(), t->dir),
			 ERR_DAMAGED);
	assert_int_equal(device_secret_load(&b, sys_plain(), "/nonexistent"),
			 UV_ENOENT);
}

static void what_is_sealed_here_opens_here_for_its_purpose_only(void **state)
{
	struct device_secret d = {{1}}, other = {{2}};
	uint8_t h1[STREAM_HASH_SECRET], h2[STREAM_HASH_SECRET];
	struct buf sealed, plain;

	(void)state;
	buf_init(&sealed, 4096);
	buf_init(&plain, 4096);
	for (size_t n = 0; n < 100; n += 33) {
		char text[100] = "some state";

		buf_clear(&sealed);
		assert_int_equal(buf_add(&sealed, "x", 1), 0);
		assert_int_equal(local_seal(&d, sys_plain(), "streams",
					    slice(text, n), &sealed),
				 0);
		assert_int_equal(sealed.n, 1 + 12 + n + 16);
		assert_int_equal(local_open(&d, "streams",
					    slice_skip(buf_slice(&sealed), 1),
					    &plain),
				 0);
		assert_true(slice_eq(buf_slice(&plain), slice(text, n)));
	}
	assert_int_equal(local_open(&d, "hooks",
				    slice_skip(buf_slice(&sealed), 1), &plain),
			 ERR_AUTH);
	assert_int_equal(plain.n, 0);
	assert_int_equal(local_open(&other, "streams",
				    slice_skip(buf_slice(&sealed), 1), &plain),
			 ERR_AUTH);
	for (size_t i = 1; i < sealed.n; i++) {
		sealed.p[i] ^= 1;
		assert_int_equal(local_open(&d, "streams",
					    slice_skip(buf_slice(&sealed), 1),
					    &plain),
				 ERR_AUTH);
		sealed.p[i] ^= 1;
		assert_int_equal(local_open(&d, "streams",
					    slice(sealed.p + 1, i - 1), &plain),
				 ERR_AUTH);
	}
	assert_int_equal(device_secret_stream_hash(&d, h1), 0);
	assert_int_equal(device_secret_stream_hash(&other, h2), 0);
	assert_memory_not_equal(h1, h2, sizeof h1);
	buf_fini(&sealed);
	buf_fini(&plain);
}

/* ---- every call may fail ---- */

/* pki's file calls, the n-th of which fails. */
static struct {
	const struct sys_ops *real;
	int countdown;
	bool fired;
} faults;

static bool fails(void)
{
	if (faults.fired || faults.countdown-- > 0) {
		return false;
	}
	faults.fired = true;
	return true;
}

static int f_random(struct sys *s, void *out, size_t n)
{
	return fails() ? UV_EIO : faults.real->random(s, out, n);
}

static int f_open(struct sys *s, const char *path, int flags, unsigned mode)
{
	return fails() ? UV_EACCES : faults.real->open(s, path, flags, mode);
}

static int64_t f_pwrite(struct sys *s, int fd, const void *p, size_t n,
			uint64_t at)
{
	return fails() ? UV_ENOSPC : faults.real->pwrite(s, fd, p, n, at);
}

static int f_fdatasync(struct sys *s, int fd)
{
	return fails() ? UV_EIO : faults.real->fdatasync(s, fd);
}

static int f_rename(struct sys *s, const char *from, const char *to)
{
	return fails() ? UV_EIO : faults.real->rename(s, from, to);
}

static int count(void *arg, const char *name, bool is_dir)
{
	int *n = arg;

	(void)is_dir;
	*n += strcmp(name, "authority.key") != 0 &&
	      strcmp(name, "authority.crt") != 0;
	return 0;
}

static void any_failing_call_leaves_no_half_identity(void **state)
{
	struct identities *t = *state;
	struct sys_ops ops = t->ops;
	int n, left, rc;

	faults.real = &t->ops;
	ops.random = f_random;
	ops.open = f_open;
	ops.pwrite = f_pwrite;
	ops.fdatasync = f_fdatasync;
	ops.rename = f_rename;
	for (n = 0;; n++) {
		faults.countdown = n;
		faults.fired = false;
		t->sys.ops = &ops;
		rc = pki_device(&t->pki, "gw-1");
		t->sys.ops = &t->ops;
		left = 0;
		sys_list(sys_plain(), t->dir, count, &left);
		if (!faults.fired) {
			break;
		}
		assert_int_not_equal(rc, 0);
		assert_true(t->pki.why[0] != '\0');
		assert_int_equal(left, 0);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(left, 2); /* Key and certificate. */
	assert_true(n > 10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(files_have_the_right_modes),
		T(nothing_is_overwritten_without_force),
		T(bad_names_are_refused),
		T(without_an_authority_it_says_how_to_make_one),
		T(a_damaged_or_altered_request_is_not_signed),
		T(show_tells_what_a_file_says),
		T(a_certificate_does_not_outlive_its_authority),
		T(an_identity_knows_who_it_is),
		T(what_is_wrong_with_an_identity_is_named),
		T(keys_that_others_may_read_are_refused),
		T(a_signed_head_verifies_and_no_other_does),
		T(the_device_secret_is_made_once),
		T(what_is_sealed_here_opens_here_for_its_purpose_only),
		T(any_failing_call_leaves_no_half_identity),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
