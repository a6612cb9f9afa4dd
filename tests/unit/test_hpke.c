/* Unit tests of wire/hpke.h and wire/crypto.h: the vectors of RFC 9180,
 * Appendix A.2.1 (DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305,
 * base mode), of RFC 5869, A.1 and A.3, and what has to be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "wire/hpke.h"

struct bytes {
	uint8_t b[128];
	size_t n;
};

static struct bytes hex(const char *text)
{
	struct bytes out = {.n = strlen(text) / 2};
	unsigned v;

	for (size_t i = 0; i < out.n; i++) {
		assert_int_equal(sscanf(text + 2 * i, "%2x", &v), 1);
		out.b[i] = (uint8_t)v;
	}
	return out;
}

#define SLICE(x) slice((x).b, (x).n)

static const char info_hex[] = "4f6465206f6e2061204772656369616e2055726e";
static const char ikm_e[] =
	"909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b";
static const char sk_e[] =
	"f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600";
static const char pk_e[] =
	"1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a";
static const char ikm_r[] =
	"1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df";
static const char sk_r[] =
	"8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb";
static const char pk_r[] =
	"4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a";
static const char shared[] =
	"0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7";
static const char key_hex[] =
	"ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91";
static const char base_nonce[] = "5c4d98150661b848853b547f";
static const char exporter[] =
	"a3b010d4994890e2c6968a36f64470d3c824c8f5029942feb11e7a74b2921922";
static const char plain[] =
	"4265617574792069732074727574682c20747275746820626561757479";
static const char aad0[] = "436f756e742d30";
static const char sealed0[] =
	"1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db"
	"21993c62ce81883d2dd1b51a28";

static void key_pairs_derive_as_in_the_rfc(void **state)
{
	static const struct {
		const char *ikm, *secret, *public_key;
	} cases[] = {{ikm_e, sk_e, pk_e}, {ikm_r, sk_r, pk_r}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct bytes ikm = hex(cases[i].ikm);
		uint8_t secret[X25519_SIZE], pub[X25519_SIZE];

		assert_int_equal(hpke_derive_secret(secret, SLICE(ikm)), 0);
		assert_memory_equal(secret, hex(cases[i].secret).b,
				    sizeof secret);
		assert_int_equal(x25519_public(pub, secret), 0);
		assert_memory_equal(pub, hex(cases[i].public_key).b,
				    sizeof pub);
	}
}

static void the_schedule_gives_the_values_of_the_rfc(void **state)
{
	struct bytes info = hex(info_hex);
	struct hpke_context c;
	uint8_t dh[X25519_SIZE];

	(void)state;
	assert_int_equal(x25519(dh, hex(sk_e).b, hex(pk_r).b), 0);
	assert_int_equal(hpke_schedule(&c, dh, hex(pk_e).b, hex(pk_r).b,
				       SLICE(info)),
			 0);
	assert_memory_equal(c.shared_secret, hex(shared).b, 32);
	assert_memory_equal(c.key, hex(key_hex).b, 32);
	assert_memory_equal(c.base_nonce, hex(base_nonce).b, 12);
	assert_memory_equal(c.exporter_secret, hex(exporter).b, 32);
}

static void sealing_gives_the_ciphertext_of_the_rfc(void **state)
{
	struct bytes info = hex(info_hex), aad = hex(aad0), pt = hex(plain);
	uint8_t enc[X25519_SIZE], out[64];

	(void)state;
	assert_int_equal(hpke_seal(enc, out, hex(pk_r).b, hex(sk_e).b,
				   SLICE(info), SLICE(aad), SLICE(pt)),
			 0);
	assert_memory_equal(enc, hex(pk_e).b, sizeof enc);
	assert_memory_equal(out, hex(sealed0).b, pt.n + AEAD_TAG);
}

static int open_it(uint8_t *out, const char *enc, const char *secret,
		   const char *info_text, const char *aad_text,
		   struct bytes sealed)
{
	struct bytes info = hex(info_text), aad = hex(aad_text);

	return hpke_open(out, hex(enc).b, hex(secret).b, hex(pk_r).b,
			 SLICE(info), SLICE(aad), SLICE(sealed));
}

static void opening_gives_the_plaintext_and_nothing_else_opens(void **state)
{
	struct bytes sealed = hex(sealed0);
	uint8_t out[64];

	(void)state;
	assert_int_equal(
		open_it(out, pk_e, sk_r, info_hex, aad0, sealed), 0);
	assert_memory_equal(out, hex(plain).b, sealed.n - AEAD_TAG);
	assert_int_equal(open_it(out, pk_e, sk_e, info_hex, aad0, sealed),
			 ERR_AUTH);
	assert_int_equal(open_it(out, pk_r, sk_r, info_hex, aad0, sealed),
			 ERR_AUTH);
	assert_int_equal(open_it(out, pk_e, sk_r, aad0, aad0, sealed),
			 ERR_AUTH);
	assert_int_equal(open_it(out, pk_e, sk_r, info_hex, "", sealed),
			 ERR_AUTH);
	for (size_t i = 0; i < sealed.n; i++) {
		struct bytes bad = sealed;

		bad.b[i] ^= 1;
		assert_int_equal(
			open_it(out, pk_e, sk_r, info_hex, aad0, bad),
			ERR_AUTH);
		bad = sealed;
		bad.n = i;
		assert_int_equal(
			open_it(out, pk_e, sk_r, info_hex, aad0, bad),
			ERR_AUTH);
	}
}

/* RFC 7748, section 6.1: a point of low order makes the secret zero. */
static void a_point_of_low_order_is_refused(void **state)
{
	struct bytes info = hex(info_hex), pt = hex(plain);
	struct bytes sealed = hex(sealed0);
	uint8_t zero[X25519_SIZE] = {0}, enc[X25519_SIZE], out[64];

	(void)state;
	assert_int_equal(hpke_seal(enc, out, zero, hex(sk_e).b, SLICE(info),
				   SLICE_NONE, SLICE(pt)),
			 ERR_CRYPTO);
	assert_int_equal(hpke_open(out, zero, hex(sk_r).b, hex(pk_r).b,
				   SLICE(info), SLICE_NONE, SLICE(sealed)),
			 ERR_AUTH);
}

static void hkdf_gives_the_values_of_rfc_5869(void **state)
{
	struct bytes ikm =
		hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
	struct bytes salt = hex("000102030405060708090a0b0c");
	struct bytes info = hex("f0f1f2f3f4f5f6f7f8f9");
	const struct slice in = SLICE(ikm), i = SLICE(info);
	uint8_t prk[SHA256_SIZE], okm[42];

	(void)state;
	assert_int_equal(hkdf_extract(prk, SLICE(salt), &in, 1), 0);
	assert_int_equal(hkdf_expand(prk, &i, 1, okm, sizeof okm), 0);
	assert_memory_equal(okm,
			    hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a"
				"5a4c5db02d56ecc4c5bf34007208d5b887185865")
				    .b,
			    sizeof okm);
	assert_int_equal(hkdf_extract(prk, SLICE_NONE, &in, 1), 0);
	assert_int_equal(hkdf_expand(prk, NULL, 0, okm, sizeof okm), 0);
	assert_memory_equal(okm,
			    hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1"
				"879ec3454e5f3c738d2d9d201395faa4b61a96c8")
				    .b,
			    sizeof okm);
}

static int set_up(void **state)
{
	(void)state;
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_pairs_derive_as_in_the_rfc),
		cmocka_unit_test(the_schedule_gives_the_values_of_the_rfc),
		cmocka_unit_test(sealing_gives_the_ciphertext_of_the_rfc),
		cmocka_unit_test(
			opening_gives_the_plaintext_and_nothing_else_opens),
		cmocka_unit_test(a_point_of_low_order_is_refused),
		cmocka_unit_test(hkdf_gives_the_values_of_rfc_5869),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
