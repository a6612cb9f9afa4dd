#include "wire/tls.h"

#include <mbedtls/oid.h> /* the values of MBEDTLS_X509_EXT_* */
#include <mbedtls/psa_util.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "wire/crypto.h"
#include "wire/identity_priv.h"
#include "wire/tls_priv.h"

enum {
	IN_LIMIT = 1024 * 1024, /* fed and not yet read: a few reads' worth */
	OUT_LIMIT = 1024 * 1024,
	CONTENT_ALERT = 21, /* RFC 8446, 5.1 */
	CONTENT_HANDSHAKE = 22,
};

static const int suites[] = {
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
	MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
	0,
};
static const uint16_t groups[] = {
	MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
	MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
	MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};
static const uint16_t signatures[] = {
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
	MBEDTLS_TLS1_3_SIG_NONE,
};

/* ---- the configuration ---- */

static int copy_chain(mbedtls_x509_crt *to, const mbedtls_x509_crt *from)
{
	for (; from != NULL && from->raw.p != NULL; from = from->next) {
		if (mbedtls_x509_crt_parse_der(to, from->raw.p,
					       from->raw.len) != 0) {
			return UV_ENOMEM; /* It was parsed before. */
		}
	}
	return 0;
}

static int copy_key(mbedtls_pk_context *to, const mbedtls_pk_context *from)
{
	uint8_t der[256];
	int n = mbedtls_pk_write_key_der(from, der, sizeof der);
	int rc = ERR_CRYPTO;

	if (n > 0 && mbedtls_pk_parse_key(to, der + sizeof der - n, (size_t)n,
					  NULL, 0, mbedtls_psa_get_random,
					  MBEDTLS_PSA_RANDOM_STATE) == 0) {
		rc = 0;
	}
	explicit_bzero(der, sizeof der);
	return rc;
}

static int configure(struct tls_config *c)
{
	mbedtls_ssl_config *conf = &c->conf;

	if (mbedtls_ssl_config_defaults(
		    conf,
		    c->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
		    MBEDTLS_SSL_TRANSPORT_STREAM,
		    MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
		return ERR_CRYPTO;
	}
	mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_rng(conf, mbedtls_psa_get_random,
			     MBEDTLS_PSA_RANDOM_STATE);
	mbedtls_ssl_conf_ciphersuites(conf, suites);
	mbedtls_ssl_conf_groups(conf, groups);
	mbedtls_ssl_conf_sig_algs(conf, signatures);
	mbedtls_ssl_conf_cert_profile(conf, x509_profile());
	mbedtls_ssl_conf_ca_chain(conf, &c->ca, NULL);
	/* A ticket would let a client back in without its certificate being
	 * looked at again: no pre-shared keys, neither given nor taken. */
	mbedtls_ssl_conf_tls13_key_exchange_modes(
		conf, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
	mbedtls_ssl_conf_session_tickets(conf,
					 MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
	c->alpn[0] = "nightjar/1";
	if (mbedtls_ssl_conf_own_cert(conf, &c->cert, &c->key) != 0 ||
	    mbedtls_ssl_conf_alpn_protocols(conf, c->alpn) != 0) {
		return UV_ENOMEM;
	}
	return 0;
}

int tls_config_new(struct tls_config **out, const struct identity *id,
		   bool server)
{
	struct tls_config *c;
	int rc = crypto_init();

	*out = NULL;
	if (rc != 0) {
		return rc;
	}
	c = calloc(1, sizeof *c);
	if (c == NULL) {
		return UV_ENOMEM;
	}
	c->server = server;
	mbedtls_ssl_config_init(&c->conf);
	mbedtls_x509_crt_init(&c->cert);
	mbedtls_x509_crt_init(&c->ca);
	mbedtls_pk_init(&c->key);
	rc = copy_chain(&c->cert, &id->cert);
	if (rc == 0) {
		rc = copy_chain(&c->ca, &id->ca);
	}
	if (rc == 0) {
		rc = copy_key(&c->key, &id->key);
	}
	if (rc == 0) {
		rc = configure(c);
	}
	if (rc != 0) {
		tls_config_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void tls_config_free(struct tls_config *c)
{
	if (c == NULL) {
		return;
	}
	mbedtls_ssl_config_free(&c->conf);
	mbedtls_x509_crt_free(&c->cert);
	mbedtls_x509_crt_free(&c->ca);
	mbedtls_pk_free(&c->key);
	free(c);
}

/* ---- the two buffers ---- */

static int on_send(void *arg, const unsigned char *p, size_t n)
{
	struct tls *t = arg;

	/* Always taken whole: whoever writes looks at the output first, so that
	 * mbedTLS never has to be asked again with the same bytes. */
	if (buf_add(&t->out, p, n) != 0) {
		return MBEDTLS_ERR_SSL_ALLOC_FAILED;
	}
	return (int)n;
}

static int on_recv(void *arg, unsigned char *p, size_t n)
{
	struct tls *t = arg;
	size_t left = t->in.n - t->in_at;

	if (left == 0) {
		return t->in_ended ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
	}
	n = n < left ? n : left;
	memcpy(p, t->in.p + t->in_at, n);
	t->in_at += n;
	if (t->in_at == t->in.n) {
		/* Ten thousand idle links keep no empty buffers. */
		buf_fini(&t->in);
		t->in_at = 0;
	}
	return (int)n;
}

/* ---- the peer's certificate ---- */

static bool has_extension(const mbedtls_x509_crt *crt, int ext)
{
	return mbedtls_x509_crt_has_ext_type(crt, ext) != 0;
}

/* Beside what mbedTLS checks: the extended key usage must be there (it accepts a
 * certificate without), and a collector's name must be an alternative name (it
 * falls back to the common name). */
static int on_verify(void *arg, mbedtls_x509_crt *crt, int depth,
		     uint32_t *flags)
{
	struct tls *t = arg;
	size_t n = 0;

	if (depth != 0) {
		return 0;
	}
	if (!has_extension(crt, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE)) {
		*flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
	}
	if (!t->config->server &&
	    !has_extension(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME)) {
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	}
	if (x509_spki(&crt->pk, t->spki, &n, &t->peer.key_hash) != 0) {
		*flags |= MBEDTLS_X509_BADCERT_BAD_PK;
	}
	x509_name(crt, t->name);
	t->peer.spki = slice(t->spki, n);
	t->peer.name = t->name;
	t->peer.not_after_ms = x509_time_ms(&crt->valid_to);
	t->not_before_ms = x509_time_ms(&crt->valid_from);
	return 0;
}

/* ---- the session ---- */

int tls_new(struct tls **out, const struct tls_config *c, const char *host)
{
	struct tls *t = calloc(1, sizeof *t);
	int rc = 0;

	*out = NULL;
	if (t == NULL) {
		return UV_ENOMEM;
	}
	t->config = c;
	snprintf(t->name, sizeof t->name, "unnamed");
	buf_init(&t->in, IN_LIMIT);
	buf_init(&t->out, OUT_LIMIT);
	mbedtls_ssl_init(&t->ssl);
	if (host != NULL) {
		t->host = strdup(host);
		rc = t->host == NULL ? UV_ENOMEM : 0;
	}
	if (rc == 0 && mbedtls_ssl_setup(&t->ssl, &c->conf) != 0) {
		rc = UV_ENOMEM;
	}
	if (rc == 0 && host != NULL &&
	    mbedtls_ssl_set_hostname(&t->ssl, host) != 0) {
		rc = UV_ENOMEM;
	}
	if (rc != 0) {
		tls_free(t);
		return rc;
	}
	mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_recv, NULL);
	mbedtls_ssl_set_verify(&t->ssl, on_verify, t);
	*out = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (t == NULL) {
		return;
	}
	mbedtls_ssl_free(&t->ssl);
	buf_fini(&t->in);
	buf_fini(&t->out);
	free(t->host);
	free(t);
}

int tls_feed(struct tls *t, struct slice bytes)
{
	int rc = buf_add_slice(&t->in, bytes);

	if (rc != 0) {
		tls_fail(t, rc, "out of memory");
	}
	return rc;
}

void tls_feed_end(struct tls *t)
{
	t->in_ended = true;
}

struct buf *tls_output(struct tls *t)
{
	return &t->out;
}

/* A peer that speaks plaintext is told apart by its first byte. */
static int sniff(struct tls *t)
{
	uint8_t first;

	if (t->sniffed || t->in.n == 0) {
		return 0;
	}
	t->sniffed = true;
	first = (uint8_t)t->in.p[0];
	if (first == CONTENT_HANDSHAKE || first == CONTENT_ALERT) {
		return 0;
	}
	log_quote(t->said, sizeof t->said,
		  slice_head(buf_slice(&t->in), TLS_SAID));
	return tls_fail(t, ERR_PROTOCOL,
			"the %s does not speak TLS (it began with %s): is it a "
			"nightjar %s? There is no plaintext mode",
			tls_peer_word(t), t->said,
			t->config->server ? "agent" : "collector");
}

static bool is_again(int rc)
{
	return rc == MBEDTLS_ERR_SSL_WANT_READ ||
	       rc == MBEDTLS_ERR_SSL_WANT_WRITE;
}

int tls_handshake(struct tls *t)
{
	const char *alpn;
	int rc = sniff(t);

	if (rc != 0) {
		return rc;
	}
	rc = mbedtls_ssl_handshake(&t->ssl);
	if (is_again(rc)) {
		return ERR_AGAIN;
	}
	if (rc != 0) {
		return tls_fail_foreign(t, rc);
	}
	/* Belt and braces: it is REQUIRED above. */
	if (mbedtls_ssl_get_verify_result(&t->ssl) != 0) {
		return tls_fail_verify(t);
	}
	/* mbedTLS goes on with a client that offers no protocol at all. */
	alpn = mbedtls_ssl_get_alpn_protocol(&t->ssl);
	if (alpn == NULL || strcmp(alpn, t->config->alpn[0]) != 0) {
		return tls_fail(t, ERR_VERSION, "the %s does not speak nightjar/1",
				tls_peer_word(t));
	}
	t->open = true;
	return 0;
}

int64_t tls_read(struct tls *t, void *p, size_t n)
{
	int rc;

	do {
		rc = mbedtls_ssl_read(&t->ssl, p, n);
	} while (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET);
	if (rc > 0) {
		t->heard = true;
		return rc;
	}
	if (is_again(rc)) {
		return ERR_AGAIN;
	}
	if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
		if (tls_is_verdict(t)) {
			return tls_fail(t, ERR_CLOSED,
					"the collector closed the connection "
					"without a word: it is stopping, or it "
					"refuses this device (its log tells)");
		}
		tls_fail(t, 0, "closed by the %s", tls_peer_word(t));
		return 0;
	}
	return tls_fail_foreign(t, rc == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : rc);
}

int64_t tls_write(struct tls *t, const void *p, size_t n)
{
	const unsigned char *from = p;
	size_t done = 0;

	while (done < n) {
		int rc = mbedtls_ssl_write(&t->ssl, from + done, n - done);

		if (rc <= 0) {
			/* Never "again": see on_send(). */
			return tls_fail_foreign(t, rc == 0 ? MBEDTLS_ERR_SSL_INTERNAL_ERROR
							   : rc);
		}
		done += (size_t)rc;
	}
	return (int64_t)done;
}

void tls_end(struct tls *t)
{
	if (t->open) {
		mbedtls_ssl_close_notify(&t->ssl);
	}
}

void tls_peer(const struct tls *t, struct link_peer *out)
{
	out->key_hash = t->peer.key_hash;
	out->spki = t->peer.spki;
	out->name = t->peer.name;
	out->not_after_ms = t->peer.not_after_ms;
}

const char *tls_why(const struct tls *t)
{
	return t->why;
}
