/* Unit tests of wire/tls.h: two ends in memory, one of them ours, the other
 * mbedTLS set up as no nightjar would be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/support/identities.h"
#include "wire/tls.h"

struct stranger {
	mbedtls_ssl_config conf;
	mbedtls_ssl_context ssl;
	mbedtls_x509_crt ca, cert;
	mbedtls_pk_context key;
	struct buf in;  /* to it */
	size_t in_at;
	struct tls *peer;
};

struct fixture {
	struct identities ids;
	struct identity *device, *collector;
	struct tls_config *client, *server;
	struct stranger s;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	identities_open(&f->ids);
	f->device = identities_device(&f->ids, "gw-1");
	f->collector = identities_collector(&f->ids, "127.0.0.1");
	assert_int_equal(tls_config_new(&f->client, f->device, false), 0);
	assert_int_equal(tls_config_new(&f->server, f->collector, true), 0);
	mbedtls_ssl_config_init(&f->s.conf);
	mbedtls_ssl_init(&f->s.ssl);
	mbedtls_x509_crt_init(&f->s.ca);
	mbedtls_x509_crt_init(&f->s.cert);
	mbedtls_pk_init(&f->s.key);
	buf_init(&f->s.in, 1 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	mbedtls_ssl_free(&f->s.ssl);
	mbedtls_ssl_config_free(&f->s.conf);
	mbedtls_x509_crt_free(&f->s.ca);
	mbedtls_x509_crt_free(&f->s.cert);
	mbedtls_pk_free(&f->s.key);
	buf_fini(&f->s.in);
	tls_free(f->s.peer);
	tls_config_free(f->client);
	tls_config_free(f->server);
	identity_free(f->device);
	identity_free(f->collector);
	identities_close(&f->ids);
	free(f);
	return 0;
}

static int on_send(void *arg, const unsigned char *p, size_t n)
{
	struct stranger *s = arg;

	assert_int_equal(tls_feed(s->peer, slice(p, n)), 0);
	return (int)n;
}

static int on_recv(void *arg, unsigned char *p, size_t n)
{
	struct stranger *s = arg;
	size_t left = s->in.n - s->in_at;

	if (left == 0) {
		return MBEDTLS_ERR_SSL_WANT_READ;
	}
	n = n < left ? n : left;
	memcpy(p, s->in.p + s->in_at, n);
	s->in_at += n;
	return (int)n;
}

/* A client of mbedTLS as its defaults make it, which believes our authority and
 * has a certificate if cert is not NULL. */
static void stranger_open(struct fixture *f, const char *cert)
{
	struct stranger *s = &f->s;

	assert_int_equal(tls_new(&s->peer, f->server, NULL), 0);
	mbedtls_ssl_config_defaults(&s->conf, MBEDTLS_SSL_IS_CLIENT,
				    MBEDTLS_SSL_TRANSPORT_STREAM,
				    MBEDTLS_SSL_PRESET_DEFAULT);
	mbedtls_ssl_conf_rng(&s->conf, mbedtls_psa_get_random,
			     MBEDTLS_PSA_RANDOM_STATE);
	assert_int_equal(mbedtls_x509_crt_parse_file(
				 &s->ca,
				 identities_path(&f->ids, "authority.crt")),
			 0);
	mbedtls_ssl_conf_ca_chain(&s->conf, &s->ca, NULL);
	if (cert != NULL) {
		char name[80];

		snprintf(name, sizeof name, "%s.crt", cert);
		assert_int_equal(mbedtls_x509_crt_parse_file(
					 &s->cert,
					 identities_path(&f->ids, name)),
				 0);
		snprintf(name, sizeof name, "%s.key", cert);
		assert_int_equal(mbedtls_pk_parse_keyfile(
					 &s->key,
					 identities_path(&f->ids, name), NULL,
					 mbedtls_psa_get_random,
					 MBEDTLS_PSA_RANDOM_STATE),
				 0);
		mbedtls_ssl_conf_own_cert(&s->conf, &s->cert, &s->key);
	}
}

/* Shakes hands until our side has decided. */
static int shake(struct fixture *f)
{
	struct stranger *s = &f->s;
	int rc = ERR_AGAIN;

	assert_int_equal(mbedtls_ssl_setup(&s->ssl, &s->conf), 0);
	mbedtls_ssl_set_hostname(&s->ssl, "127.0.0.1");
	mbedtls_ssl_set_bio(&s->ssl, s, on_send, on_recv, NULL);
	for (int i = 0; i < 20 && rc == ERR_AGAIN; i++) {
		struct buf *out = tls_output(s->peer);

		(void)mbedtls_ssl_handshake(&s->ssl);
		rc = tls_handshake(s->peer);
		assert_int_equal(buf_add_slice(&s->in, buf_slice(out)), 0);
		buf_clear(out);
	}
	return rc;
}

static void assert_refused(struct fixture *f, int want, const char *needle)
{
	int rc = shake(f);

	if (rc != want || strstr(tls_why(f->s.peer), needle) == NULL) {
		fail_msg("%d (wanted %d): %s (wanted \"%s\")", rc, want,
			 tls_why(f->s.peer), needle);
	}
}

static const char *const ours[] = {"nightjar/1", NULL};
static const char *const others[] = {"http/1.1", NULL};

static void a_device_by_any_library_is_welcome(void **state)
{
	struct fixture *f = *state;
	struct link_peer peer;

	stranger_open(f, "gw-1");
	mbedtls_ssl_conf_alpn_protocols(&f->s.conf, (const char **)(uintptr_t)ours);
	assert_int_equal(shake(f), 0);
	tls_peer(f->s.peer, &peer);
	assert_string_equal(peer.name, "gw-1");
	assert_string_equal(mbedtls_ssl_get_version(&f->s.ssl), "TLSv1.3");
	assert_string_equal(mbedtls_ssl_get_ciphersuite(&f->s.ssl),
			    "TLS1-3-CHACHA20-POLY1305-SHA256");
}

static void a_client_without_a_certificate_is_refused(void **state)
{
	struct fixture *f = *state;

	stranger_open(f, NULL);
	mbedtls_ssl_conf_alpn_protocols(&f->s.conf, (const char **)(uintptr_t)ours);
	assert_refused(f, ERR_CERTIFICATE, "sent no certificate");
}

static void a_client_of_another_protocol_is_refused(void **state)
{
	struct fixture *f = *state;

	stranger_open(f, "gw-1");
	mbedtls_ssl_conf_alpn_protocols(&f->s.conf, (const char **)(uintptr_t)others);
	assert_refused(f, ERR_VERSION, "does not speak nightjar/1");
}

static void a_client_of_no_protocol_is_refused(void **state)
{
	struct fixture *f = *state;

	stranger_open(f, "gw-1");
	assert_refused(f, ERR_VERSION, "does not speak nightjar/1");
}

static void tls_1_2_is_refused(void **state)
{
	struct fixture *f = *state;

	stranger_open(f, "gw-1");
	mbedtls_ssl_conf_max_tls_version(&f->s.conf,
					 MBEDTLS_SSL_VERSION_TLS1_2);
	assert_refused(f, ERR_VERSION, "does not speak TLS 1.3");
}

static void a_collector_is_no_device(void **state)
{
	struct fixture *f = *state;

	stranger_open(f, "collector");
	mbedtls_ssl_conf_alpn_protocols(&f->s.conf, (const char **)(uintptr_t)ours);
	assert_refused(f, ERR_CERTIFICATE, "issued for another use");
}

/* Our two ends, with every byte of the handshake fed alone, and the n-th flipped. */
static int own_handshake(struct fixture *f, struct tls *t[2], size_t flip)
{
	size_t moved = 0;
	int rc[2] = {ERR_AGAIN, ERR_AGAIN};

	assert_int_equal(tls_new(&t[0], f->client, "127.0.0.1"), 0);
	assert_int_equal(tls_new(&t[1], f->server, NULL), 0);
	for (int turn = 0; turn < 40; turn++) {
		int me = turn % 2;
		struct buf *out = tls_output(t[me]);

		if (rc[me] == ERR_AGAIN) {
			rc[me] = tls_handshake(t[me]);
		}
		for (size_t i = 0; i < out->n; i++, moved++) {
			char c = (char)(out->p[i] ^ (moved == flip));

			assert_int_equal(tls_feed(t[!me], slice(&c, 1)), 0);
			if (flip == SIZE_MAX && rc[!me] == ERR_AGAIN) {
				rc[!me] = tls_handshake(t[!me]);
			}
		}
		buf_clear(out);
		if ((rc[0] != 0 && rc[0] != ERR_AGAIN) ||
		    (rc[1] != 0 && rc[1] != ERR_AGAIN)) {
			break;
		}
	}
	return rc[0] != 0 ? rc[0] : rc[1];
}

static void bytes_may_come_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct tls *t[2];
	char got[8];

	assert_int_equal(own_handshake(f, t, SIZE_MAX), 0);
	assert_int_equal(tls_read(t[1], got, sizeof got), ERR_AGAIN);
	assert_int_equal(tls_write(t[0], "hello", 5), 5);
	for (size_t i = 0; i < tls_output(t[0])->n; i++) {
		assert_int_equal(tls_read(t[1], got, sizeof got), ERR_AGAIN);
		assert_int_equal(
			tls_feed(t[1], slice(tls_output(t[0])->p + i, 1)), 0);
	}
	assert_int_equal(tls_read(t[1], got, sizeof got), 5);
	assert_memory_equal(got, "hello", 5);
	/* A flipped byte of a record. */
	buf_clear(tls_output(t[0]));
	assert_int_equal(tls_write(t[0], "again", 5), 5);
	tls_output(t[0])->p[9] ^= 1;
	assert_int_equal(tls_feed(t[1], buf_slice(tls_output(t[0]))), 0);
	assert_int_equal(tls_read(t[1], got, sizeof got), ERR_PROTOCOL);
	tls_free(t[0]);
	tls_free(t[1]);
}

/* But for the bytes that TLS says to ignore: versions in record headers, and the
 * change_cipher_spec that is there for old middleboxes. */
static void a_flipped_byte_of_the_handshake_ends_it(void **state)
{
	struct fixture *f = *state;
	int refused = 0, all = 0;

	for (size_t i = 5; i < 1500; i += 29) {
		struct tls *t[2];

		refused += own_handshake(f, t, i) != 0;
		all++;
		tls_free(t[0]);
		tls_free(t[1]);
	}
	print_message("%d of %d refused\n", refused, all);
	assert_true(refused >= all - 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_device_by_any_library_is_welcome),
		T(a_client_without_a_certificate_is_refused),
		T(a_client_of_another_protocol_is_refused),
		T(a_client_of_no_protocol_is_refused),
		T(tls_1_2_is_refused),
		T(a_collector_is_no_device),
		T(bytes_may_come_one_at_a_time),
		T(a_flipped_byte_of_the_handshake_ends_it),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
