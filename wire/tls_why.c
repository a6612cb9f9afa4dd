/* What went wrong with a TLS session, in words, and mbedTLS's codes as ours. */
#include <mbedtls/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "common/err.h"
#include "wire/tls_priv.h"

int tls_fail(struct tls *t, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why, sizeof t->why, fmt, ap);
	va_end(ap);
	return rc;
}

int tls_fail_verify(struct tls *t)
{
	uint32_t result = mbedtls_ssl_get_verify_result(&t->ssl);
	/* All bits set: it was not even looked at. */
	uint32_t flags = result == UINT32_MAX ? 0 : result;
	const char *who = tls_peer_word(t);
	char when[X509_WHEN], now[X509_WHEN];

	/* The wall clock, as mbedTLS has looked at it: for the message only. */
	x509_when(now, (int64_t)time(NULL) * 1000);
	if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) {
		return tls_fail(t, ERR_CERTIFICATE,
				"the %s's certificate (%s) expired on %s, and this "
				"machine's clock says %s: renew it with nightjar "
				"pki, or set the clock",
				who, t->name,
				x509_when(when, t->peer.not_after_ms), now);
	}
	if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
		return tls_fail(t, ERR_CERTIFICATE,
				"the %s's certificate (%s) is not valid before %s, "
				"and this machine's clock says %s: set the clock",
				who, t->name, x509_when(when, t->not_before_ms),
				now);
	}
	if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
		return tls_fail(t, ERR_CERTIFICATE,
				"the %s's certificate (%s) was not issued by our "
				"authority: both sides need certificates of the "
				"same one (nightjar pki show FILE tells which)",
				who, t->name);
	}
	if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
		return tls_fail(t, ERR_CERTIFICATE,
				"the collector's certificate is for %s, not for "
				"%s: use a name it bears, or issue one with "
				"nightjar pki collector %s",
				t->name, t->host == NULL ? "?" : t->host,
				t->host == NULL ? "?" : t->host);
	}
	return tls_fail(t, ERR_CERTIFICATE,
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
		return tls_fail(t, ERR_PROTOCOL,
				"the %s ended the handshake with TLS alert %d",
				tls_peer_word(t), alert);
	}
	return tls_fail(t, ERR_CERTIFICATE, "the %s ended the handshake: %s",
			tls_peer_word(t), text);
}

int tls_fail_foreign(struct tls *t, int code)
{
	char text[128];

	switch (code) {
	case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
	case MBEDTLS_ERR_SSL_BAD_CERTIFICATE: /* A wrong key usage. */
		return tls_fail_verify(t);
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		if (!tls_is_verdict(t)) {
			return fail_alert(t);
		}
		break;
	case MBEDTLS_ERR_SSL_INVALID_MAC:
		/* mbedTLS's client sends the alert by which it refuses us with
		 * keys that we don't have yet. */
		if (t->config->server && !t->open) {
			return tls_fail(t, ERR_CERTIFICATE,
					"the device gave up the handshake: it does "
					"not know our authority, or dials a name "
					"that our certificate does not bear (its "
					"log tells)");
		}
		break;
	case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
		return tls_fail(t, ERR_CERTIFICATE,
				"the device sent no certificate: it is not an "
				"agent, or has none configured");
	case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
		return tls_fail(t, ERR_VERSION, "the %s does not speak TLS 1.3",
				tls_peer_word(t));
	case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
		return tls_fail(t, ERR_VERSION, "the %s does not speak nightjar/1",
				tls_peer_word(t));
	case MBEDTLS_ERR_SSL_ALLOC_FAILED:
		return tls_fail(t, UV_ENOMEM, "out of memory");
	case MBEDTLS_ERR_SSL_CONN_EOF:
		if (!tls_is_verdict(t)) {
			return tls_fail(t, ERR_CLOSED,
					"the %s closed the connection%s",
					tls_peer_word(t),
					t->open ? " without ending it: it stopped, "
						  "or the network cut it"
						: " during the handshake");
		}
		break;
	default:
		break;
	}
	if (tls_is_verdict(t)) {
		return tls_fail(t, ERR_CERTIFICATE,
				"the collector refused us after the handshake: is "
				"our certificate revoked, expired or of another "
				"authority? (its log tells)");
	}
	mbedtls_strerror(code, text, sizeof text);
	return tls_fail(t, ERR_PROTOCOL, "the %s broke TLS: %s", tls_peer_word(t),
			text);
}
