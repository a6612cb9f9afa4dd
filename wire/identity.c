#include "wire/identity.h"

#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/pem.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "wire/crypto.h"
#include "wire/identity_priv.h"

enum { FILE_MAX = 256 * 1024, SIGNATURE_ROOM = MBEDTLS_PK_SIGNATURE_MAX_SIZE };

/* One file being loaded: its bytes with a NUL behind them, as mbedTLS wants PEM. */
struct loaded {
	char *p;
	size_t n;
};

static void unload(struct loaded *f)
{
	if (f->p != NULL) {
		explicit_bzero(f->p, f->n);
		free(f->p);
	}
	f->p = NULL;
}

static int load(struct loaded *f, const char *what, const char *path,
		char why[static IDENTITY_WHY])
{
	int rc = sys_read_file(sys_plain(), path, FILE_MAX, &f->p, &f->n);

	if (rc != 0) {
		snprintf(why, IDENTITY_WHY, "cannot read the %s %s: %s%s", what,
			 path, err_str(rc),
			 rc == UV_ENOENT ? ": make it with nightjar pki, or "
					   "name where it is under identity"
					 : "");
		return rc;
	}
	if (strstr(f->p, "-----BEGIN ") == NULL) {
		snprintf(why, IDENTITY_WHY,
			 "the %s %s is not a PEM file (it has no "
			 "\"-----BEGIN\" line)",
			 what, path);
		unload(f);
		return ERR_MALFORMED;
	}
	return 0;
}

/* A key that others may read is nobody's identity. */
static int check_mode(const char *path, char why[static IDENTITY_WHY])
{
	struct sys_stat st;
	int rc = sys_stat(sys_plain(), path, &st);
	bool ours;

	if (rc != 0) {
		snprintf(why, IDENTITY_WHY, "cannot read the key %s: %s%s",
			 path, err_str(rc),
			 rc == UV_ENOENT ? ": make it with nightjar pki, or "
					   "name where it is under identity"
					 : "");
		return rc;
	}
	ours = (st.mode & 0077) == 0 ||
	       ((st.mode & 0037) == 0 && st.gid == (uint32_t)getegid());
	if (!ours) {
		snprintf(why, IDENTITY_WHY,
			 "the key %s may be used by others (mode %04o): make "
			 "it private with chmod 600 %s, and replace it if "
			 "others have had access",
			 path, (unsigned)st.mode & 07777, path);
		return UV_EPERM;
	}
	return 0;
}

static int parse_certs(mbedtls_x509_crt *out, const char *what,
		       const char *path, char why[static IDENTITY_WHY])
{
	struct loaded f = {NULL, 0};
	char text[128];
	int rc = load(&f, what, path, why), bad;

	if (rc != 0) {
		return rc;
	}
	/* > 0: that many of several were not understood. */
	bad = mbedtls_x509_crt_parse(out, (const uint8_t *)f.p, f.n + 1);
	if (bad != 0) {
		mbedtls_strerror(bad, text, sizeof text);
		snprintf(why, IDENTITY_WHY, "the %s %s cannot be parsed: %s",
			 what, path,
			 bad > 0 ? "one of its certificates is damaged" : text);
		rc = bad == MBEDTLS_ERR_X509_ALLOC_FAILED ? UV_ENOMEM
							  : ERR_MALFORMED;
	}
	unload(&f);
	return rc;
}

static int parse_key(struct identity *id, const char *path,
		     char why[static IDENTITY_WHY])
{
	struct loaded f = {NULL, 0};
	char text[128];
	int rc = check_mode(path, why), bad;

	if (rc == 0) {
		rc = load(&f, "key", path, why);
	}
	if (rc != 0) {
		return rc;
	}
	bad = mbedtls_pk_parse_key(&id->key, (const uint8_t *)f.p, f.n + 1,
				   NULL, 0, mbedtls_psa_get_random,
				   MBEDTLS_PSA_RANDOM_STATE);
	unload(&f);
	if (bad != 0) {
		mbedtls_strerror(bad, text, sizeof text);
		snprintf(why, IDENTITY_WHY,
			 "the key %s cannot be parsed: %s (it must be an "
			 "unencrypted private key in PEM)",
			 path, text);
		return ERR_MALFORMED;
	}
	if (!mbedtls_pk_can_do(&id->key, MBEDTLS_PK_ECKEY) ||
	    mbedtls_pk_get_bitlen(&id->key) != 256) {
		snprintf(why, IDENTITY_WHY,
			 "the key %s is not an EC P-256 key: make one with "
			 "nightjar pki",
			 path);
		return ERR_CERTIFICATE;
	}
	return 0;
}

static int check_pair(struct identity *id, const char *cert_path,
		      const char *key_path, char why[static IDENTITY_WHY])
{
	if (mbedtls_pk_check_pair(&id->cert.pk, &id->key,
				  mbedtls_psa_get_random,
				  MBEDTLS_PSA_RANDOM_STATE) == 0) {
		return 0;
	}
	snprintf(why, IDENTITY_WHY,
		 "the key %s does not belong to the certificate %s", key_path,
		 cert_path);
	return ERR_CERTIFICATE;
}

static int check_times(const mbedtls_x509_crt *crt, const char *what,
		       const char *path, int64_t now_ms,
		       char why[static IDENTITY_WHY])
{
	char when[X509_WHEN], now[X509_WHEN];
	int64_t from = x509_time_ms(&crt->valid_from);
	int64_t to = x509_time_ms(&crt->valid_to);

	x509_when(now, now_ms);
	if (now_ms > to) {
		snprintf(why, IDENTITY_WHY,
			 "the %s %s expired on %s (this machine's clock says "
			 "%s): issue a new one with nightjar pki",
			 what, path, x509_when(when, to), now);
		return ERR_CERTIFICATE;
	}
	if (now_ms < from) {
		snprintf(why, IDENTITY_WHY,
			 "the %s %s is not valid before %s, but this machine's "
			 "clock says %s: set the clock",
			 what, path, x509_when(when, from), now);
		return ERR_CERTIFICATE;
	}
	return 0;
}

/* The times were looked at before, by the clock that we were given. */
static int check_issuer(struct identity *id, const char *cert_path,
			const char *ca_path, char why[static IDENTITY_WHY])
{
	uint32_t flags = 0;
	int rc = mbedtls_x509_crt_verify_with_profile(
		&id->cert, &id->ca, NULL, x509_profile(), NULL, &flags, NULL,
		NULL);

	flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED |
			     MBEDTLS_X509_BADCERT_FUTURE);
	if (rc == 0 || (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED &&
			flags == 0)) {
		return 0;
	}
	snprintf(why, IDENTITY_WHY,
		 "the certificate %s does not verify against the authority "
		 "%s: %s; have that authority issue it (nightjar pki), or name "
		 "the right one",
		 cert_path, ca_path, x509_flag_text(flags));
	return ERR_CERTIFICATE;
}

static int load_all(struct identity *id, const char *cert_path,
		    const char *key_path, const char *ca_path, int64_t now_ms,
		    char why[static IDENTITY_WHY])
{
	int rc;

	if ((rc = parse_certs(&id->cert, "certificate", cert_path, why)) != 0 ||
	    (rc = parse_certs(&id->ca, "authority's certificate", ca_path,
			      why)) != 0 ||
	    (rc = parse_key(id, key_path, why)) != 0 ||
	    (rc = check_pair(id, cert_path, key_path, why)) != 0 ||
	    (rc = check_issuer(id, cert_path, ca_path, why)) != 0 ||
	    now_ms == 0) {
		return rc;
	}
	rc = check_times(&id->cert, "certificate", cert_path, now_ms, why);
	return rc != 0 ? rc
		       : check_times(&id->ca, "authority's certificate",
				     ca_path, now_ms, why);
}

int identity_load(struct identity **out, const char *cert_path,
		  const char *key_path, const char *ca_path, int64_t now_ms,
		  char why[static IDENTITY_WHY])
{
	struct identity *id;
	int rc = crypto_init();

	*out = NULL;
	why[0] = '\0';
	if (rc != 0) {
		snprintf(why, IDENTITY_WHY,
			 "mbedTLS does not start, or is older than 3.6.6");
		return rc;
	}
	id = calloc(1, sizeof *id);
	if (id == NULL) {
		snprintf(why, IDENTITY_WHY, "out of memory");
		return UV_ENOMEM;
	}
	mbedtls_x509_crt_init(&id->cert);
	mbedtls_x509_crt_init(&id->ca);
	mbedtls_pk_init(&id->key);
	rc = load_all(id, cert_path, key_path, ca_path, now_ms, why);
	if (rc == 0) {
		rc = x509_spki(&id->cert.pk, id->spki, &id->spki_n, &id->hash);
	}
	if (rc != 0) {
		identity_free(id);
		return rc;
	}
	x509_name(&id->cert, id->name);
	id->not_after_ms = x509_time_ms(&id->cert.valid_to);
	*out = id;
	return 0;
}

void identity_free(struct identity *id)
{
	if (id == NULL) {
		return;
	}
	mbedtls_x509_crt_free(&id->cert);
	mbedtls_x509_crt_free(&id->ca);
	mbedtls_pk_free(&id->key); /* Wipes it. */
	free(id);
}

struct hash32 identity_hash(const struct identity *id)
{
	return id->hash;
}

const char *identity_name(const struct identity *id)
{
	return id->name;
}

int64_t identity_not_after_ms(const struct identity *id)
{
	return id->not_after_ms;
}

struct slice identity_spki(const struct identity *id)
{
	return slice(id->spki, id->spki_n);
}

int identity_sign(const struct identity *id, struct slice message,
		  struct buf *out)
{
	/* mbedTLS takes the key without const and does not change it. */
	mbedtls_pk_context *key = (mbedtls_pk_context *)(uintptr_t)&id->key;
	uint8_t hash[32], signature[SIGNATURE_ROOM];
	size_t n = 0;

	if (mbedtls_sha256((const uint8_t *)message.p, message.n, hash, 0) !=
		    0 ||
	    mbedtls_pk_sign(key, MBEDTLS_MD_SHA256, hash, sizeof hash,
			    signature, sizeof signature, &n,
			    mbedtls_psa_get_random,
			    MBEDTLS_PSA_RANDOM_STATE) != 0) {
		return ERR_CRYPTO;
	}
	return buf_add(out, signature, n);
}
