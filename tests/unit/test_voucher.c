/* Unit tests of wire/voucher.h: a device's word for a segment that travels without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "common/err.h"
#include "tests/support/identities.h"
#include "wire/voucher.h"

enum { BATCHES = 5 };

static struct identities t;
static struct identity *us, *gw;
static const struct segment_id segment = {{7}};
static struct hash32 hashes[BATCHES + 1];
static struct buf word;
static char why[IDENTITY_WHY];

static int set_up(void **state)
{
	(void)state;
	identities_open(&t);
	us = identities_collector(&t, "localhost");
	gw = identities_device(&t, "gw");
	for (size_t i = 0; i <= BATCHES; i++) {
		hashes[i].b[0] = (uint8_t)i;
	}
	buf_init(&word, VOUCHER_MAX);
	assert_int_equal(voucher_sign(&word, &segment, 1234, hashes, BATCHES + 1, gw),
			 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_fini(&word);
	identity_free(gw);
	identity_free(us);
	identities_close(&t);
	return 0;
}

static int64_t now_ms(void)
{
	return sys_wall_ns(&t.sys) / 1000000;
}

/* By who holds `us`, at this time. */
static int judged(struct slice bytes, const struct identity *by, int64_t ms,
		  struct voucher_device *d)
{
	struct voucher v;
	int rc = voucher_decode(&v, bytes);

	return rc != 0 ? rc : voucher_verify(&v, by, ms, d, why);
}

static void what_was_signed_is_told_and_whose_it_is(void **state)
{
	struct hash32 id = identity_hash(gw);
	struct voucher_device d;
	struct voucher v;

	(void)state;
	assert_int_equal(voucher_decode(&v, buf_slice(&word)), 0);
	assert_int_equal(voucher_verify(&v, us, now_ms(), &d, why), 0);
	assert_memory_equal(v.segment.b, segment.b, sizeof segment.b);
	assert_int_equal(v.time_ms, 1234);
	assert_int_equal(v.n_hashes, BATCHES + 1);
	for (size_t i = 0; i <= BATCHES; i++) {
		struct hash32 h = voucher_hash(&v, i);

		assert_true(hash32_eq(&h, &hashes[i]));
	}
	assert_true(hash32_eq(&d.hash, &id));
	assert_string_equal(d.name, "gw");
	assert_true(slice_eq(slice(d.spki, d.spki_n), identity_spki(gw)));
}

static void a_bit_that_turns_anywhere_is_noticed(void **state)
{
	struct voucher_device d;

	(void)state;
	for (size_t i = 0; i < word.n; i++) {
		word.p[i] = (char)(word.p[i] ^ (1 << i % 8));
		if (judged(buf_slice(&word), us, now_ms(), &d) == 0) {
			fail_msg("byte %zu", i);
		}
		word.p[i] = (char)(word.p[i] ^ (1 << i % 8));
	}
	assert_int_equal(judged(buf_slice(&word), us, now_ms(), &d), 0);
}

static void cut_at_any_byte_it_is_refused(void **state)
{
	struct voucher v;

	(void)state;
	for (size_t n = 0; n < word.n; n++) {
		char *copy = malloc(n + 1); /* So that a sanitizer sees its end. */

		assert_non_null(copy);
		memcpy(copy, word.p, n);
		assert_true(voucher_decode(&v, slice(copy, n)) < 0);
		free(copy);
	}
	assert_int_equal(buf_add_u8(&word, 0), 0);
	assert_int_equal(voucher_decode(&v, buf_slice(&word)), ERR_MALFORMED);
	word.p[7] = '2';
	assert_int_equal(voucher_decode(&v, buf_slice(&word)), ERR_VERSION);
}

static void only_devices_of_this_authority_are_believed(void **state)
{
	struct identities elsewhere;
	struct identity *stranger;
	struct voucher_device d;

	(void)state;
	identities_open(&elsewhere);
	stranger = identities_device(&elsewhere, "gw");
	buf_clear(&word);
	assert_int_equal(voucher_sign(&word, &segment, 0, hashes, 1, stranger), 0);
	assert_int_equal(judged(buf_slice(&word), us, now_ms(), &d),
			 ERR_CERTIFICATE);
	assert_non_null(strstr(why, "authority"));
	/* Nor is a collector a device. */
	buf_clear(&word);
	assert_int_equal(voucher_sign(&word, &segment, 0, hashes, 1, us), 0);
	assert_int_equal(judged(buf_slice(&word), us, now_ms(), &d),
			 ERR_CERTIFICATE);
	identity_free(stranger);
	identities_close(&elsewhere);
}

static void a_certificate_of_another_time_is_named_with_the_remedy(void **state)
{
	struct voucher_device d;

	(void)state;
	assert_int_equal(judged(buf_slice(&word), us,
				identity_not_after_ms(gw) + 1000, &d),
			 ERR_CERTIFICATE);
	assert_non_null(strstr(why, "renew it, and export again"));
	assert_int_equal(judged(buf_slice(&word), us, 1000, &d), ERR_CERTIFICATE);
}

/* As it would be forged: the certificate of one, the signature of another. */
static void the_signature_must_be_of_the_certificates_key(void **state)
{
	struct identity *other = identities_device(&t, "other");
	struct voucher_device d;
	struct voucher mine, theirs;
	struct buf mixed, signature;

	(void)state;
	buf_init(&mixed, VOUCHER_MAX);
	buf_init(&signature, VOUCHER_MAX);
	assert_int_equal(voucher_decode(&mine, buf_slice(&word)), 0);
	assert_int_equal(voucher_sign(&signature, &segment, 1234, hashes,
				      BATCHES + 1, other),
			 0);
	assert_int_equal(voucher_decode(&theirs, buf_slice(&signature)), 0);
	assert_int_equal(buf_add_slice(&mixed, mine.body), 0);
	assert_int_equal(buf_add_varint(&mixed, theirs.signature.n), 0);
	assert_int_equal(buf_add_slice(&mixed, theirs.signature), 0);
	assert_int_equal(judged(buf_slice(&mixed), us, now_ms(), &d), ERR_AUTH);
	buf_fini(&mixed);
	buf_fini(&signature);
	identity_free(other);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(what_was_signed_is_told_and_whose_it_is),
		T(a_bit_that_turns_anywhere_is_noticed),
		T(cut_at_any_byte_it_is_refused),
		T(only_devices_of_this_authority_are_believed),
		T(a_certificate_of_another_time_is_named_with_the_remedy),
		T(the_signature_must_be_of_the_certificates_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
