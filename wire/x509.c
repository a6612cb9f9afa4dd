#include "wire/x509.h"

#include <mbedtls/oid.h>
#include <stdio.h>

#include "common/err.h"
#include "common/timefmt.h"

#define TIME_MAX_S (INT64_MAX / NS_PER_S)

int64_t x509_time_ms(const mbedtls_x509_time *t)
{
	int64_t s = time_days(t->year, t->mon, t->day) * 86400 +
		    t->hour * 3600 + t->min * 60 + t->sec;

	/* A certificate may say 9999; as nanoseconds that would not fit. */
	return s > TIME_MAX_S ? TIME_MAX_S * 1000 : s * 1000;
}

int x509_spki(const mbedtls_pk_context *pk, uint8_t out[static SPKI_MAX],
	      size_t *n, struct hash32 *hash)
{
	/* Written again and not taken from the certificate: there the same
	 * point may stand in another form.  mbedTLS writes from the end. */
	int len = mbedtls_pk_write_pubkey_der(pk, out, SPKI_MAX);
	struct slice der;

	if (len <= 0) {
		return ERR_CRYPTO;
	}
	*n = (size_t)len;
	memmove(out, out + SPKI_MAX - *n, *n);
	der = slice(out, *n);
	return hash32_of(hash, &der, 1);
}

/* Printable ASCII only: the name goes into logs and file names. */
static void copy_name(char out[static LIMIT_DEVICE_NAME + 1], struct slice s)
{
	size_t n = s.n < LIMIT_DEVICE_NAME ? s.n : LIMIT_DEVICE_NAME;

	for (size_t i = 0; i < n; i++) {
		out[i] = s.p[i] > ' ' && s.p[i] < 0x7f ? s.p[i]
			 : s.p[i] == ' '               ? '_'
						       : '?';
	}
	out[n] = '\0';
}

static bool common_name(const mbedtls_x509_crt *crt,
			char out[static LIMIT_DEVICE_NAME + 1])
{
	for (const mbedtls_x509_name *a = &crt->subject; a != NULL;
	     a = a->next) {
		if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &a->oid) == 0) {
			copy_name(out, slice(a->val.p, a->val.len));
			return true;
		}
	}
	return false;
}

/* Every name of the certificate: *urn is a device's, *other the first DNS name
 * or URI.  Both point into the certificate. */
static void alternative_names(const mbedtls_x509_crt *crt, struct slice *urn,
			      struct slice *other)
{
	const mbedtls_x509_sequence *s = &crt->subject_alt_names;

	*urn = *other = SLICE_NONE;
	for (; s != NULL && s->buf.p != NULL; s = s->next) {
		int type = s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
		struct slice v = slice(s->buf.p, s->buf.len);
		struct slice prefix = SLICE_LIT(X509_DEVICE_URN);

		if (type == MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER &&
		    slice_starts(v, prefix) && urn->n == 0) {
			*urn = slice_skip(v, prefix.n);
		} else if ((type == MBEDTLS_X509_SAN_DNS_NAME ||
			    type == MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER) &&
			   other->n == 0) {
			*other = v;
		}
	}
}

void x509_name(const mbedtls_x509_crt *crt,
	       char out[static LIMIT_DEVICE_NAME + 1])
{
	struct slice urn, other;

	alternative_names(crt, &urn, &other);
	if (urn.n > 0) {
		copy_name(out, urn);
	} else if (other.n > 0) {
		copy_name(out, other);
	} else if (!common_name(crt, out)) {
		copy_name(out, SLICE_LIT("unnamed"));
	}
}

bool x509_device_name_good(struct slice name)
{
	if (name.n < 1 || name.n > LIMIT_DEVICE_NAME || name.p[0] == '.') {
		return false;
	}
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '-' && c != '_' &&
		    c != '.') {
			return false;
		}
	}
	return true;
}

const char *x509_flag_text(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *text;
	} texts[] = {
		{MBEDTLS_X509_BADCERT_EXPIRED, "it has expired"},
		{MBEDTLS_X509_BADCERT_FUTURE, "it is not valid yet"},
		{MBEDTLS_X509_BADCERT_REVOKED, "it was revoked"},
		{MBEDTLS_X509_BADCERT_MISSING, "none was sent"},
		{MBEDTLS_X509_BADCERT_NOT_TRUSTED,
		 "it was not issued by our authority"},
		{MBEDTLS_X509_BADCERT_CN_MISMATCH, "it bears another name"},
		{MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
			 MBEDTLS_X509_BADCERT_KEY_USAGE |
			 MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
		 "it was issued for another use"},
		{MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK |
			 MBEDTLS_X509_BADCERT_BAD_KEY,
		 "its algorithms are not accepted (EC P-256 or P-384 with "
		 "SHA-256 or SHA-384 is)"},
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if ((flags & texts[i].flag) != 0) {
			return texts[i].text;
		}
	}
	return "it did not verify";
}

const char *x509_when(char out[static X509_WHEN], int64_t ms)
{
	time_format(out, ms / 1000 * NS_PER_S);
	return out;
}

const mbedtls_x509_crt_profile *x509_profile(void)
{
	return &mbedtls_x509_crt_profile_suiteb;
}
