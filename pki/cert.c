#include "pki/cert.h"

#include <mbedtls/oid.h>
#include <mbedtls/psa_util.h>
#include <stdio.h>
#include <time.h>

#include "common/err.h"
#include "common/ip.h"
#include "common/timefmt.h"
#include "wire/x509.h"

int cert_new_key(mbedtls_pk_context *key)
{
	if (mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) !=
		    0 ||
	    mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key),
				mbedtls_psa_get_random,
				MBEDTLS_PSA_RANDOM_STATE) != 0) {
		return ERR_CRYPTO;
	}
	return 0;
}

int cert_write_key(mbedtls_pk_context *key, char pem[static PEM_MAX])
{
	return mbedtls_pk_write_key_pem(key, (unsigned char *)pem, PEM_MAX) == 0
		       ? 0
		       : ERR_CRYPTO;
}

/* "YYYYMMDDhhmmss" */
static void stamp(char out[static 16], int64_t ms)
{
	int64_t s = ms / 1000, day = s / 86400, in_day = s % 86400;
	int y, m, d;

	time_civil(day, &y, &m, &d);
	/* Certificates are for this century; the bounds are the compiler's. */
	snprintf(out, 16, "%04u%02u%02u%02u%02u%02u", (unsigned)y % 10000,
		 (unsigned)m % 100, (unsigned)d % 100,
		 (unsigned)(in_day / 3600) % 100,
		 (unsigned)(in_day / 60 % 60) % 100,
		 (unsigned)(in_day % 60) % 100);
}

static int set_use(mbedtls_x509write_cert *w, enum cert_use use)
{
	mbedtls_asn1_sequence eku = {0};
	bool ca = use == CERT_AUTHORITY;
	int rc = mbedtls_x509write_crt_set_basic_constraints(w, ca,
							     ca ? 0 : -1);

	if (rc == 0) {
		rc = mbedtls_x509write_crt_set_key_usage(
			w, ca ? MBEDTLS_X509_KU_KEY_CERT_SIGN |
					MBEDTLS_X509_KU_CRL_SIGN
			      : MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
	}
	if (rc != 0 || ca) {
		return rc;
	}
	eku.buf.tag = MBEDTLS_ASN1_OID;
	if (use == CERT_DEVICE) {
		eku.buf.p = (unsigned char *)(uintptr_t)MBEDTLS_OID_CLIENT_AUTH;
		eku.buf.len = MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH);
	} else {
		eku.buf.p = (unsigned char *)(uintptr_t)MBEDTLS_OID_SERVER_AUTH;
		eku.buf.len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH);
	}
	return mbedtls_x509write_crt_set_ext_key_usage(w, &eku);
}

static int fill(mbedtls_x509write_cert *w, const struct cert_order *o)
{
	/* mbedTLS wants it without const and copies it. */
	unsigned char serial[SERIAL];
	char subject[CN_MAX + 8], from[16], to[16];
	int rc;

	memcpy(serial, o->serial, SERIAL);
	snprintf(subject, sizeof subject, "CN=%s", o->cn);
	stamp(from, o->from_ms);
	stamp(to, o->to_ms);
	mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(w, o->subject_key);
	mbedtls_x509write_crt_set_issuer_key(w, o->issuer_key);
	if ((rc = mbedtls_x509write_crt_set_subject_name(w, subject)) != 0 ||
	    (rc = mbedtls_x509write_crt_set_issuer_name(w, o->issuer)) != 0 ||
	    (rc = mbedtls_x509write_crt_set_serial_raw(w, serial, SERIAL)) !=
		    0 ||
	    (rc = mbedtls_x509write_crt_set_validity(w, from, to)) != 0 ||
	    (rc = set_use(w, o->use)) != 0 ||
	    (rc = mbedtls_x509write_crt_set_subject_key_identifier(w)) != 0 ||
	    (rc = mbedtls_x509write_crt_set_authority_key_identifier(w)) != 0) {
		return rc;
	}
	return o->names == NULL
		       ? 0
		       : mbedtls_x509write_crt_set_subject_alternative_name(
				 w, o->names);
}

int cert_write(const struct cert_order *o, char pem[static PEM_MAX])
{
	mbedtls_x509write_cert w;
	int rc;

	mbedtls_x509write_crt_init(&w);
	rc = fill(&w, o);
	if (rc == 0) {
		rc = mbedtls_x509write_crt_pem(&w, (unsigned char *)pem,
					       PEM_MAX, mbedtls_psa_get_random,
					       MBEDTLS_PSA_RANDOM_STATE);
	}
	mbedtls_x509write_crt_free(&w);
	return rc == 0 ? 0 : ERR_CRYPTO;
}

int cert_write_request(mbedtls_pk_context *key, const char *name,
		       char pem[static PEM_MAX])
{
	mbedtls_x509write_csr w;
	struct cert_name san;
	char subject[CN_MAX + 8];
	int rc = cert_name_device(&san, name);

	if (rc != 0) {
		return rc;
	}
	snprintf(subject, sizeof subject, "CN=%.*s", CN_MAX, name);
	mbedtls_x509write_csr_init(&w);
	mbedtls_x509write_csr_set_md_alg(&w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_csr_set_key(&w, key);
	rc = mbedtls_x509write_csr_set_subject_name(&w, subject);
	if (rc == 0) {
		rc = mbedtls_x509write_csr_set_subject_alternative_name(
			&w, &san.node);
	}
	if (rc == 0) {
		rc = mbedtls_x509write_csr_pem(&w, (unsigned char *)pem,
					       PEM_MAX, mbedtls_psa_get_random,
					       MBEDTLS_PSA_RANDOM_STATE);
	}
	mbedtls_x509write_csr_free(&w);
	return rc == 0 ? 0 : ERR_CRYPTO;
}

static void set_name(struct cert_name *n, int type, void *p, size_t len)
{
	n->node.next = NULL;
	n->node.node.type = type;
	n->node.node.san.unstructured_name.tag = type;
	n->node.node.san.unstructured_name.p = p;
	n->node.node.san.unstructured_name.len = len;
}

int cert_name_device(struct cert_name *n, const char *name)
{
	memset(n, 0, sizeof *n);
	if (!x509_device_name_good(slice_str(name))) {
		return UV_EINVAL;
	}
	snprintf(n->text, sizeof n->text, X509_DEVICE_URN "%s", name);
	set_name(n, MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER, n->text,
		 strlen(n->text));
	return 0;
}

/* Letters, digits, "-" and "." (RFC 1123), no empty label.  No wildcards: a
 * collector knows its names. */
static bool dns_name_good(struct slice s)
{
	char before = '.';

	if (s.n < 1 || s.n > 253) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			      (c >= '0' && c <= '9');

		if (!letter && c != '-' && c != '.') {
			return false;
		}
		if (!letter && before == '.') {
			return false;
		}
		before = c;
	}
	return before != '.' && before != '-';
}

/* Four numbers are an address that went wrong, not a name. */
static bool only_digits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '.' && (s.p[i] < '0' || s.p[i] > '9')) {
			return false;
		}
	}
	return true;
}

int cert_name_host(struct cert_name *n, const char *host)
{
	struct slice s = slice_str(host);
	struct ip ip;

	memset(n, 0, sizeof *n);
	if (ip_parse(s, &ip)) {
		size_t from = ip_is_v4(&ip) ? 12 : 0;

		memcpy(n->ip, ip.b, sizeof n->ip);
		set_name(n, MBEDTLS_X509_SAN_IP_ADDRESS, n->ip + from,
			 sizeof n->ip - from);
		return 0;
	}
	if (!dns_name_good(s) || only_digits(s)) {
		return UV_EINVAL;
	}
	memcpy(n->text, s.p, s.n);
	set_name(n, MBEDTLS_X509_SAN_DNS_NAME, n->text, s.n);
	return 0;
}

void cert_name_link(struct cert_name *first, struct cert_name *next)
{
	first->node.next = &next->node;
}

/* ---- requests ---- */

/* mbedTLS parses requests and does not verify them: without this anybody could
 * have somebody else's key certified under a name of his own. */
static bool signed_by_itself(const mbedtls_x509_csr *csr)
{
	/* No call tells these; the versions that this compiles with have them. */
	mbedtls_md_type_t md = csr->MBEDTLS_PRIVATE(sig_md);
	const mbedtls_x509_buf *sig = &csr->MBEDTLS_PRIVATE(sig);
	mbedtls_pk_context *pk = (mbedtls_pk_context *)(uintptr_t)&csr->pk;
	uint8_t hash[MBEDTLS_MD_MAX_SIZE];
	const mbedtls_md_info_t *info = mbedtls_md_info_from_type(md);

	if (info == NULL ||
	    (md != MBEDTLS_MD_SHA256 && md != MBEDTLS_MD_SHA384 &&
	     md != MBEDTLS_MD_SHA512) ||
	    mbedtls_md(info, csr->cri.p, csr->cri.len, hash) != 0) {
		return false;
	}
	return mbedtls_pk_verify(pk, md, hash, mbedtls_md_get_size(info),
				 sig->p, sig->len) == 0;
}

int cert_check_request(const mbedtls_x509_csr *csr, struct slice *name,
		       char why[static PKI_WHY])
{
	const mbedtls_x509_sequence *san = &csr->subject_alt_names;
	struct slice urn = SLICE_LIT(X509_DEVICE_URN), v;

	if (!mbedtls_pk_can_do(&csr->pk, MBEDTLS_PK_ECKEY) ||
	    mbedtls_pk_get_bitlen(&csr->pk) != 256) {
		snprintf(why, PKI_WHY,
			 "its key is not an EC P-256 key: make the request "
			 "with nightjar pki request");
		return ERR_CERTIFICATE;
	}
	if (!signed_by_itself(csr)) {
		snprintf(why, PKI_WHY,
			 "it is not signed by its own key: it was altered, or "
			 "somebody wants a name for another's key");
		return ERR_AUTH;
	}
	v = slice(san->buf.p, san->buf.p == NULL ? 0 : san->buf.len);
	if (san->next != NULL ||
	    (san->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) !=
		    MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER ||
	    !slice_starts(v, urn) ||
	    !x509_device_name_good(slice_skip(v, urn.n))) {
		snprintf(why, PKI_WHY,
			 "it does not ask for exactly one device's name "
			 "(" X509_DEVICE_URN
			 "NAME): make the request with nightjar pki request");
		return ERR_CERTIFICATE;
	}
	*name = slice_skip(v, urn.n);
	return 0;
}
