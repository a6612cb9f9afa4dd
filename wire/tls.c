#include "wire/tls.h"

#include <mbedtls/error.h>
#include <mbedtls/oid.h> /* the values of MBEDTLS_X509_EXT_* */
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/err.h"
#include "common/log.h"
#include "wire/crypto.h"
#include "wire/identity_priv.h"

enum {
	IN_LIMIT = 1024 * 1024, /* fed and not yet read: a few reads' worth */
	OUT_LIMIT = 1024 * 1024,
	CONTENT_ALERT = 21, /* RFC 8446, 5.1 */
	CONTENT_HANDSHAKE = 22,
	SAID = 24, /* bytes of a peer that speaks something else, for the log */
};

struct tls_config {
	mbedtls_ssl_config conf;
	mbedtls_x509_crt cert, ca;
	mbedtls_pk_context key;
	const char *alpn[2]; /* mbedTLS keeps the array, not a copy */
	bool server;
};

struct tls {
	mbedtls_ssl_context ssl;
	const struct tls_config *config;
	char *host; /* NULL on a server */
	struct buf in;
	size_t in_at;
	bool in_ended;
	bool sniffed; /* the first byte was looked at */
	bool open;    /* the handshake is done here */
	bool heard;   /* plaintext of the peer has arrived */
	struct buf out;
	/* Of the peer's certificate, noted while it is verified. */
	struct link_peer peer;
	uint8_t spki[SPKI_MAX];
	char name[LIMIT_DEVICE_NAME + 1];
	int64_t not_before_ms;
	char said[4 * SAID + 3];
	char why[TLS_WHY];
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

/* ---- what went wrong, in words ---- */

__attribute__((format(printf, 3, 4)))
static int fail(struct tls *t, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why, sizeof t->why, fmt, ap);
	va_end(ap);
	return rc;
}

static const char *peer_word(const struct tls *t)
{
	return t->config->server ? "device" : "collector";
}

static int fail_verify(struct tls *t)
{
	uint32_t result = mbedtls_ssl_get_verify_result(&t->ssl);
	/* All bits set: it was not even looked at. */
	uint32_t flags = result == UINT32_MAX ? 0 : result;
	const char *who = peer_word(t);
	char when[X509_WHEN], now[X509_WHEN];

	/* The wall clock, as mbedTLS has looked at it: for the message only. */
	x509_when(now, (int64_t)time(NULL) * 1000);
	if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) {
		return fail(t, ERR_CERTIFICATE,
			    "the %s's certificate (%s) expired on %s, and this "
			    "machine's clock says %s: renew it with nightjar "
			    "pki, or set the clock",
			    who, t->name,
			    x509_when(when, t->peer.not_after_ms), now);
	}
	if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
		return fail(t, ERR_CERTIFICATE,
			    "the %s's certificate (%s) is not valid before %s, "
			    "and this machine's clock says %s: set the clock",
			    who, t->name, x509_when(when, t->not_before_ms),
			    now);
	}
	if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
		return fail(t, ERR_CERTIFICATE,
			    "the %s's certificate (%s) was not issued by our "
			    "authority: both sides need certificates of the "
			    "same one (nightjar pki show FILE tells which)",
			    who, t->name);
	}
	if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
		return fail(t, ERR_CERTIFICATE,
			    "the collector's certificate is for %s, not for "
			    "%s: use a name it bears, or issue one with "
			    "nightjar pki collector %s",
			    t->name, t->host == NULL ? "?" : t->host,
			    t->host == NULL ? "?" : t->host);
	}
	return fail(t, ERR_CERTIFICATE,
		    "the %s's certificate (%s) was refused: %s", who, t->name,
		    x509_flag_text(flags));
}

/* RFC 8446, 6.2. */
static const char *alert_text(int alert)
{
	switch (alert) {
	case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
	case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
	case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
	case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
		return "it does not accept our certificate";
	case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
		return "our certificate was revoked";
	case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
		return "our certificate has expired by its clock";
	case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
		return "our certificate is of an authority that it does not "
		       "know";
	case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
		return "it does not speak TLS 1.3";
	case MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL:
		return "it does not speak nightjar/1";
	case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
		return "no common algorithms";
	default:
		return NULL;
	}
}

static int fail_alert(struct tls *t)
{
	/* There is no call that tells which alert it was; the record is still
	 * there: level, description. */
	const unsigned char *in = t->ssl.MBEDTLS_PRIVATE(in_msg);
	int alert = t->ssl.MBEDTLS_PRIVATE(in_msglen) == 2 && in != NULL
			    ? in[1]
			    : -1;
	const char *text = alert_text(alert);

	if (text == NULL) {
		return fail(t, ERR_PROTOCOL,
			    "the %s ended the handshake with TLS alert %d",
			    peer_word(t), alert);
	}
	return fail(t, ERR_CERTIFICATE, "the %s ended the handshake: %s",
		    peer_word(t), text);
}

/* With TLS 1.3 a client's handshake is done before the collector has judged its
 * certificate; its verdict shows in the first read, as an alert or, since it
 * may be encrypted with the keys before, as a record that does not decrypt. */
static bool is_verdict(const struct tls *t)
{
	return !t->config->server && t->open && !t->heard;
}

static int fail_foreign(struct tls *t, int code)
{
	char text[128];

	switch (code) {
	case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
	case MBEDTLS_ERR_SSL_BAD_CERTIFICATE: /* A wrong key usage. */
		return fail_verify(t);
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		if (!is_verdict(t)) {
			return fail_alert(t);
		}
		break;
	case MBEDTLS_ERR_SSL_INVALID_MAC:
		/* mbedTLS's client sends the alert by which it refuses us with
		 * keys that we don't have yet. */
		if (t->config->server && !t->open) {
			return fail(t, ERR_CERTIFICATE,
				    "the device gave up the handshake: it does "
				    "not know our authority, or dials a name "
				    "that our certificate does not bear (its "
				    "log tells)");
		}
		break;
	case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
		return fail(t, ERR_CERTIFICATE,
			    "the device sent no certificate: it is not an "
			    "agent, or has none configured");
	case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
		return fail(t, ERR_VERSION, "the %s does not speak TLS 1.3",
			    peer_word(t));
	case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
		return fail(t, ERR_VERSION, "the %s does not speak nightjar/1",
			    peer_word(t));
	case MBEDTLS_ERR_SSL_ALLOC_FAILED:
		return fail(t, UV_ENOMEM, "out of memory");
	case MBEDTLS_ERR_SSL_CONN_EOF:
		if (!is_verdict(t)) {
			return fail(t, ERR_CLOSED,
				    "the %s closed the connection%s",
				    peer_word(t),
				    t->open ? " without ending it: it stopped, "
					      "or the network cut it"
					    : " during the handshake");
		}
		break;
	default:
		break;
	}
	if (is_verdict(t)) {
		return fail(t, ERR_CERTIFICATE,
			    "the collector refused us after the handshake: is "
			    "our certificate revoked, expired or of another "
			    "authority? (its log tells)");
	}
	mbedtls_strerror(code, text, sizeof text);
	return fail(t, ERR_PROTOCOL, "the %s broke TLS: %s", peer_word(t),
		    text);
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
		fail(t, rc, "out of memory");
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
		  slice_head(buf_slice(&t->in), SAID));
	return fail(t, ERR_PROTOCOL,
		    "the %s does not speak TLS (it began with %s): is it a "
		    "nightjar %s? There is no plaintext mode",
		    peer_word(t), t->said,
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
		return fail_foreign(t, rc);
	}
	/* Belt and braces: it is REQUIRED above. */
	if (mbedtls_ssl_get_verify_result(&t->ssl) != 0) {
		return fail_verify(t);
	}
	/* mbedTLS goes on with a client that offers no protocol at all. */
	alpn = mbedtls_ssl_get_alpn_protocol(&t->ssl);
	if (alpn == NULL || strcmp(alpn, t->config->alpn[0]) != 0) {
		return fail(t, ERR_VERSION, "the %s does not speak nightjar/1",
			    peer_word(t));
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
		if (is_verdict(t)) {
			return fail(t, ERR_CLOSED,
				    "the collector closed the connection "
				    "without a word: it is stopping, or it "
				    "refuses this device (its log tells)");
		}
		fail(t, 0, "closed by the %s", peer_word(t));
		return 0;
	}
	return fail_foreign(t, rc == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : rc);
}

int64_t tls_write(struct tls *t, const void *p, size_t n)
{
	const unsigned char *from = p;
	size_t done = 0;

	while (done < n) {
		int rc = mbedtls_ssl_write(&t->ssl, from + done, n - done);

		if (rc <= 0) {
			/* Never "again": see on_send(). */
			return fail_foreign(
				t, rc == 0 ? MBEDTLS_ERR_SSL_INTERNAL_ERROR
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
