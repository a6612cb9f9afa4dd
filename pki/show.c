#include <mbedtls/oid.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/ip.h"
#include "pki/cert.h"
#include "wire/crypto.h"
#include "wire/x509.h"

enum { INPUT_MAX = 256 * 1024 };

static void append(char *out, size_t room, const char *prefix, struct slice s)
{
	size_t at = strlen(out);
	int n = snprintf(out + at, room - at, "%s%s%.*s", at == 0 ? "" : " ",
			 prefix, SLICE_ARG(s));

	if (n < 0 || (size_t)n >= room - at) {
		out[at] = '\0'; /* Whole names or none. */
	}
	for (char *c = out + at; *c != '\0'; c++) {
		*c = *c >= ' ' && *c < 0x7f ? *c : '?';
	}
}

static void list_names(const mbedtls_x509_sequence *s, struct pki_facts *out)
{
	char text[IP_TEXT];
	struct ip ip;

	for (; s != NULL && s->buf.p != NULL; s = s->next) {
		struct slice v = slice(s->buf.p, s->buf.len);

		switch (s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) {
		case MBEDTLS_X509_SAN_DNS_NAME:
			append(out->names, sizeof out->names, "dns:", v);
			break;
		case MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER:
			append(out->names, sizeof out->names, "uri:", v);
			break;
		case MBEDTLS_X509_SAN_IP_ADDRESS:
			memset(&ip, 0, sizeof ip);
			if (v.n == 4) {
				ip.b[10] = ip.b[11] = 0xff;
				memcpy(ip.b + 12, v.p, 4);
			} else if (v.n == 16) {
				memcpy(ip.b, v.p, 16);
			}
			ip_format(text, &ip);
			append(out->names, sizeof out->names, "ip:",
			       slice_str(text));
			break;
		default:
			append(out->names, sizeof out->names, "other",
			       SLICE_NONE);
		}
	}
}

static void hex(char *out, size_t room, const uint8_t *p, size_t n)
{
	out[0] = '\0';
	for (size_t i = 0; i < n && 2 * i + 3 <= room; i++) {
		snprintf(out + 2 * i, 3, "%02x", p[i]);
	}
}

static int show_key(mbedtls_pk_context *pk, struct pki_facts *out)
{
	uint8_t spki[SPKI_MAX];
	struct hash32 hash;
	size_t n;

	snprintf(out->key_type, sizeof out->key_type, "%s, %zu bits",
		 mbedtls_pk_get_name(pk), mbedtls_pk_get_bitlen(pk));
	/* Other kinds of keys are too long, and nobody's here. */
	if (x509_spki(pk, spki, &n, &hash) == 0) {
		hex(out->key_hash, sizeof out->key_hash, hash.b,
		    sizeof hash.b);
	}
	return 0;
}

static const char *use_of(const mbedtls_x509_crt *crt)
{
	if (mbedtls_x509_crt_get_ca_istrue(crt) > 0) {
		return "authority";
	}
	if (!mbedtls_x509_crt_has_ext_type(
		    crt, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE)) {
		return "unknown (no extended key usage: not accepted)";
	}
	if (mbedtls_x509_crt_check_extended_key_usage(
		    crt, MBEDTLS_OID_CLIENT_AUTH,
		    MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) == 0) {
		return "device";
	}
	if (mbedtls_x509_crt_check_extended_key_usage(
		    crt, MBEDTLS_OID_SERVER_AUTH,
		    MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) == 0) {
		return "collector";
	}
	return "another";
}

static int show_certificate(struct pki *p, mbedtls_x509_crt *crt,
			    struct pki_facts *out)
{
	int64_t now = sys_wall_ns(p->sys) / 1000000;

	out->kind = PKI_CERTIFICATE;
	x509_name(crt, out->name);
	mbedtls_x509_dn_gets(out->subject, sizeof out->subject, &crt->subject);
	mbedtls_x509_dn_gets(out->issuer, sizeof out->issuer, &crt->issuer);
	snprintf(out->use, sizeof out->use, "%s", use_of(crt));
	hex(out->serial, sizeof out->serial, crt->serial.p, crt->serial.len);
	list_names(&crt->subject_alt_names, out);
	out->not_before_ms = x509_time_ms(&crt->valid_from);
	out->not_after_ms = x509_time_ms(&crt->valid_to);
	out->expired = now > out->not_after_ms;
	out->not_yet = now < out->not_before_ms;
	return show_key(&crt->pk, out);
}

static int show_request(struct pki *p, mbedtls_x509_csr *csr,
			struct pki_facts *out)
{
	struct slice name;

	out->kind = PKI_REQUEST;
	mbedtls_x509_dn_gets(out->subject, sizeof out->subject, &csr->subject);
	snprintf(out->use, sizeof out->use, "device");
	list_names(&csr->subject_alt_names, out);
	if (cert_check_request(csr, &name, p->why) == 0) {
		snprintf(out->name, sizeof out->name, "%.*s",
			 SLICE_ARG(name));
	} else {
		snprintf(out->use, sizeof out->use, "none: not to be signed");
	}
	return show_key(&csr->pk, out);
}

int pki_show(struct pki *p, const char *path, struct pki_facts *out)
{
	mbedtls_x509_crt crt;
	mbedtls_x509_csr csr;
	char *pem;
	size_t n;
	int rc = sys_read_file(p->sys, path, INPUT_MAX, &pem, &n);

	memset(out, 0, sizeof *out);
	if (rc != 0) {
		snprintf(p->why, sizeof p->why, "cannot read %s: %s", path,
			 err_str(rc));
		return rc;
	}
	rc = crypto_init();
	mbedtls_x509_crt_init(&crt);
	mbedtls_x509_csr_init(&csr);
	if (rc == 0 &&
	    mbedtls_x509_crt_parse(&crt, (unsigned char *)pem, n + 1) == 0) {
		rc = show_certificate(p, &crt, out);
	} else if (rc == 0 && mbedtls_x509_csr_parse(&csr, (unsigned char *)pem,
						     n + 1) == 0) {
		rc = show_request(p, &csr, out);
	} else {
		rc = ERR_MALFORMED;
		snprintf(p->why, sizeof p->why,
			 "%s is neither a certificate nor a signing request "
			 "in PEM",
			 path);
	}
	mbedtls_x509_crt_free(&crt);
	mbedtls_x509_csr_free(&csr);
	/* It may have been a key. */
	explicit_bzero(pem, n);
	free(pem);
	return rc;
}
