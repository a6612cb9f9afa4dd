#include "pki/pki.h"

#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/psa_util.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "pki/cert.h"
#include "wire/crypto.h"
#include "wire/x509.h"

enum { INPUT_MAX = 256 * 1024, KEY_MODE = 0600, CERT_MODE = 0644 };

#define HOUR_MS INT64_C(3600000)

void pki_setup(struct pki *p, struct sys *sys, const char *dir)
{
	memset(p, 0, sizeof *p);
	p->sys = sys;
	p->dir = dir;
}

__attribute__((format(printf, 3, 4)))
static int fail(struct pki *p, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof p->why, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- files ---- */

static int path_in(struct pki *p, char out[static PKI_PATH], const char *name,
		   const char *ending)
{
	if (snprintf(out, PKI_PATH, "%s/%s%s", p->dir, name, ending) >=
	    PKI_PATH) {
		return fail(p, UV_ENAMETOOLONG, "the path %s/... is too long",
			    p->dir);
	}
	return 0;
}

/* Makes the directory, and the one above it where that is missing. */
static int make_dir(struct pki *p)
{
	char above[PKI_PATH];
	const char *cut = strrchr(p->dir, '/');
	int rc = sys_mkdir(p->sys, p->dir, 0700);

	if (rc == UV_ENOENT && cut != NULL && cut != p->dir &&
	    (size_t)(cut - p->dir) < sizeof above) {
		snprintf(above, sizeof above, "%.*s", (int)(cut - p->dir),
			 p->dir);
		rc = sys_mkdir(p->sys, above, 0755);
		if (rc == 0) {
			rc = sys_mkdir(p->sys, p->dir, 0700);
		}
	}
	if (rc != 0 && rc != UV_EEXIST) {
		return fail(p, rc, "cannot make the directory %s: %s", p->dir,
			    err_str(rc));
	}
	return 0;
}

static int must_be_new(struct pki *p, const char *path)
{
	struct sys_stat st;

	if (p->force || sys_stat(p->sys, path, &st) == UV_ENOENT) {
		return 0;
	}
	return fail(p, UV_EEXIST,
		    "%s exists: it is not overwritten without --force", path);
}

/* Under a name of its own first, so that nobody ever sees half a file. */
static int write_file(struct pki *p, const char *path, const char *text,
		      unsigned mode)
{
	char tmp[PKI_PATH + 24];
	uint32_t random;
	int fd, rc = must_be_new(p, path);

	if (rc != 0) {
		return rc;
	}
	rc = sys_random(p->sys, &random, sizeof random);
	if (rc != 0) {
		return fail(p, rc, "no randomness: %s", err_str(rc));
	}
	snprintf(tmp, sizeof tmp, "%s.%08x.tmp", path, random);
	fd = sys_open(p->sys, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
		      mode);
	if (fd < 0) {
		return fail(p, fd, "cannot write %s: %s", path, err_str(fd));
	}
	rc = sys_pwrite_all(p->sys, fd, text, strlen(text), 0);
	if (rc == 0) {
		rc = sys_fdatasync(p->sys, fd);
	}
	sys_close(p->sys, fd);
	if (rc == 0) {
		rc = sys_rename(p->sys, tmp, path);
	}
	if (rc == 0) {
		rc = sys_sync_dir(p->sys, p->dir);
	} else {
		sys_unlink(p->sys, tmp);
	}
	return rc == 0 ? 0
		       : fail(p, rc, "cannot write %s: %s", path, err_str(rc));
}

static int read_pem(struct pki *p, const char *path, char **out, size_t *n)
{
	int rc = sys_read_file(p->sys, path, INPUT_MAX, out, n);

	return rc == 0 ? 0
		       : fail(p, rc, "cannot read %s: %s", path, err_str(rc));
}

/* ---- keys ---- */

static int write_key(struct pki *p, mbedtls_pk_context *key, const char *path)
{
	char pem[PEM_MAX];
	int rc = cert_write_key(key, pem);

	rc = rc == 0 ? write_file(p, path, pem, KEY_MODE)
		     : fail(p, rc, "cannot encode the key");
	explicit_bzero(pem, sizeof pem);
	return rc;
}

static int new_key(struct pki *p, mbedtls_pk_context *key)
{
	int rc = crypto_init();

	if (rc == 0) {
		rc = cert_new_key(key);
	}
	return rc == 0 ? 0 : fail(p, rc, "cannot make a key: %s", err_str(rc));
}

/* Fills in serial number and times. */
static int set_terms(struct pki *p, struct cert_order *o, unsigned days,
		     int64_t no_longer_than_ms)
{
	int64_t now = sys_wall_ns(p->sys) / 1000000;
	int rc = sys_random(p->sys, o->serial, sizeof o->serial);

	if (rc != 0) {
		return fail(p, rc, "no randomness: %s", err_str(rc));
	}
	/* Positive, and never shorter than it says (RFC 5280, 4.1.2.2). */
	o->serial[0] = (o->serial[0] & 0x7f) | 0x40;
	days = p->days != 0 ? p->days : days;
	if (days > PKI_DAYS_MAX) {
		days = PKI_DAYS_MAX;
	}
	/* Clocks of devices differ. */
	o->from_ms = now - HOUR_MS;
	o->to_ms = now + (int64_t)days * 24 * HOUR_MS;
	if (o->to_ms > no_longer_than_ms) {
		o->to_ms = no_longer_than_ms;
	}
	return 0;
}

static int issue(struct pki *p, const struct cert_order *o, const char *path)
{
	char pem[PEM_MAX];
	int rc = cert_write(o, pem);

	return rc == 0 ? write_file(p, path, pem, CERT_MODE)
		       : fail(p, rc, "cannot make the certificate");
}

/* ---- the authority ---- */

int pki_authority(struct pki *p)
{
	struct cert_order o = {.use = CERT_AUTHORITY};
	mbedtls_pk_context key;
	char issuer[CN_MAX + 8];
	int rc;

	mbedtls_pk_init(&key);
	if ((rc = make_dir(p)) != 0 ||
	    (rc = path_in(p, p->key_path, "authority", ".key")) != 0 ||
	    (rc = path_in(p, p->crt_path, "authority", ".crt")) != 0 ||
	    (rc = must_be_new(p, p->key_path)) != 0 ||
	    (rc = must_be_new(p, p->crt_path)) != 0 ||
	    (rc = new_key(p, &key)) != 0 ||
	    (rc = set_terms(p, &o, PKI_DAYS_AUTHORITY, INT64_MAX)) != 0) {
		goto out;
	}
	/* Two authorities should not look alike in an error message. */
	snprintf(o.cn, sizeof o.cn, "Nightjar authority %02x%02x%02x%02x",
		 o.serial[1], o.serial[2], o.serial[3], o.serial[4]);
	snprintf(issuer, sizeof issuer, "CN=%s", o.cn);
	o.issuer = issuer;
	o.subject_key = o.issuer_key = &key;
	rc = write_key(p, &key, p->key_path);
	if (rc == 0) {
		rc = issue(p, &o, p->crt_path);
		if (rc != 0) {
			sys_unlink(p->sys, p->key_path);
		}
	}
out:
	mbedtls_pk_free(&key);
	return rc;
}

struct authority {
	mbedtls_x509_crt crt;
	mbedtls_pk_context key;
	char name[512]; /* distinguished, as mbedTLS writes and reads it */
	int64_t not_after_ms;
};

static void authority_fini(struct authority *a)
{
	mbedtls_x509_crt_free(&a->crt);
	mbedtls_pk_free(&a->key);
}

static int authority_parse(struct pki *p, struct authority *a,
			   const char *crt_path, const char *key_path)
{
	char *pem;
	size_t n;
	int rc = read_pem(p, crt_path, &pem, &n);

	if (rc != 0) {
		return rc;
	}
	rc = mbedtls_x509_crt_parse(&a->crt, (unsigned char *)pem, n + 1);
	free(pem);
	if (rc != 0) {
		return fail(p, ERR_MALFORMED, "%s is not a certificate in PEM",
			    crt_path);
	}
	rc = read_pem(p, key_path, &pem, &n);
	if (rc != 0) {
		return rc;
	}
	rc = mbedtls_pk_parse_key(&a->key, (unsigned char *)pem, n + 1, NULL, 0,
				  mbedtls_psa_get_random,
				  MBEDTLS_PSA_RANDOM_STATE);
	explicit_bzero(pem, n);
	free(pem);
	if (rc != 0) {
		return fail(p, ERR_MALFORMED, "%s is not a private key in PEM",
			    key_path);
	}
	if (mbedtls_pk_check_pair(&a->crt.pk, &a->key, mbedtls_psa_get_random,
				  MBEDTLS_PSA_RANDOM_STATE) != 0) {
		return fail(p, ERR_CERTIFICATE, "%s does not belong to %s",
			    key_path, crt_path);
	}
	return 0;
}

static int authority_load(struct pki *p, struct authority *a)
{
	char crt[PKI_PATH], key[PKI_PATH];
	struct sys_stat st;
	int rc = crypto_init();

	mbedtls_x509_crt_init(&a->crt);
	mbedtls_pk_init(&a->key);
	if (rc != 0) {
		return fail(p, rc, "mbedTLS does not start, or is older than "
				   "3.6.6");
	}
	if ((rc = path_in(p, crt, "authority", ".crt")) != 0 ||
	    (rc = path_in(p, key, "authority", ".key")) != 0) {
		return rc;
	}
	if (sys_stat(p->sys, key, &st) == UV_ENOENT) {
		return fail(p, UV_ENOENT,
			    "there is no authority in %s: make one with "
			    "nightjar pki init, or name its place with --dir",
			    p->dir);
	}
	rc = authority_parse(p, a, crt, key);
	if (rc != 0) {
		return rc;
	}
	a->not_after_ms = x509_time_ms(&a->crt.valid_to);
	if (a->not_after_ms < sys_wall_ns(p->sys) / 1000000) {
		return fail(p, ERR_CERTIFICATE,
			    "the authority %s has expired: make a new one in "
			    "another directory with nightjar pki init --dir",
			    crt);
	}
	if (mbedtls_x509_dn_gets(a->name, sizeof a->name, &a->crt.subject) <
	    0) {
		return fail(p, ERR_CERTIFICATE, "the name in %s is too long",
			    crt);
	}
	return 0;
}

/* ---- devices ---- */

static int device_paths(struct pki *p, const char *name)
{
	int rc;

	if (!x509_device_name_good(slice_str(name))) {
		return fail(p, UV_EINVAL,
			    "a device's name has letters, digits, \"-\", "
			    "\"_\" and \".\", no \".\" in front, and at most "
			    "%d of them",
			    (int)LIMIT_DEVICE_NAME);
	}
	if (strcmp(name, "authority") == 0 || strcmp(name, "collector") == 0) {
		return fail(p, UV_EINVAL,
			    "\"%s\" names other files here: call the device "
			    "something else",
			    name);
	}
	if ((rc = path_in(p, p->key_path, name, ".key")) != 0 ||
	    (rc = path_in(p, p->csr_path, name, ".csr")) != 0) {
		return rc;
	}
	return path_in(p, p->crt_path, name, ".crt");
}

int pki_request(struct pki *p, const char *name)
{
	mbedtls_pk_context key;
	char pem[PEM_MAX];
	int rc;

	mbedtls_pk_init(&key);
	if ((rc = device_paths(p, name)) != 0 || (rc = make_dir(p)) != 0 ||
	    (rc = must_be_new(p, p->key_path)) != 0 ||
	    (rc = must_be_new(p, p->csr_path)) != 0 ||
	    (rc = new_key(p, &key)) != 0) {
		goto out;
	}
	rc = cert_write_request(&key, name, pem);
	if (rc != 0) {
		fail(p, rc, "cannot make the request");
		goto out;
	}
	rc = write_key(p, &key, p->key_path);
	if (rc == 0) {
		rc = write_file(p, p->csr_path, pem, CERT_MODE);
		if (rc != 0) {
			sys_unlink(p->sys, p->key_path);
		}
	}
out:
	mbedtls_pk_free(&key);
	return rc;
}

static int issue_device(struct pki *p, struct authority *a,
			mbedtls_pk_context *key, const char *name,
			const char *path)
{
	struct cert_order o = {.use = CERT_DEVICE,
			       .subject_key = key,
			       .issuer = a->name,
			       .issuer_key = &a->key};
	struct cert_name san;
	int rc = cert_name_device(&san, name);

	if (rc != 0) {
		return fail(p, rc, "the name %s is not a device's", name);
	}
	o.names = &san.node;
	snprintf(o.cn, sizeof o.cn, "%.*s", CN_MAX, name);
	rc = set_terms(p, &o, PKI_DAYS, a->not_after_ms);
	return rc == 0 ? issue(p, &o, path) : rc;
}

static int sign(struct pki *p, const mbedtls_x509_csr *csr,
		const char *csr_path)
{
	char name[LIMIT_DEVICE_NAME + 1], why[PKI_WHY];
	struct slice asked;
	struct authority a;
	int rc = cert_check_request(csr, &asked, why);

	if (rc != 0) {
		return fail(p, rc, "%.256s is refused: %.512s", csr_path, why);
	}
	snprintf(name, sizeof name, "%.*s", SLICE_ARG(asked));
	rc = authority_load(p, &a);
	if (rc == 0) {
		rc = device_paths(p, name);
	}
	if (rc == 0) {
		p->key_path[0] = p->csr_path[0] = '\0'; /* Not written here. */
		rc = issue_device(p, &a,
				  (mbedtls_pk_context *)(uintptr_t)&csr->pk,
				  name, p->crt_path);
	}
	authority_fini(&a);
	return rc;
}

int pki_sign(struct pki *p, const char *csr_path)
{
	mbedtls_x509_csr csr;
	char *pem;
	size_t n;
	int rc = read_pem(p, csr_path, &pem, &n);

	if (rc != 0) {
		return rc;
	}
	rc = crypto_init();
	mbedtls_x509_csr_init(&csr);
	if (rc == 0 && mbedtls_x509_csr_parse(&csr, (unsigned char *)pem,
					      n + 1) != 0) {
		rc = fail(p, ERR_MALFORMED,
			  "%s is not a signing request in PEM", csr_path);
	}
	if (rc == 0) {
		rc = sign(p, &csr, csr_path);
	}
	mbedtls_x509_csr_free(&csr);
	free(pem);
	return rc;
}

int pki_device(struct pki *p, const char *name)
{
	char key_path[PKI_PATH], csr_path[PKI_PATH];
	struct authority a;
	int rc = authority_load(p, &a); /* Before anything is written. */

	authority_fini(&a);
	if (rc == 0) {
		rc = device_paths(p, name);
	}
	if (rc == 0) {
		rc = must_be_new(p, p->crt_path);
	}
	if (rc == 0) {
		rc = pki_request(p, name);
	}
	if (rc != 0) {
		return rc;
	}
	memcpy(key_path, p->key_path, sizeof key_path);
	memcpy(csr_path, p->csr_path, sizeof csr_path);
	rc = pki_sign(p, csr_path);
	memcpy(p->key_path, key_path, sizeof key_path);
	/* It has served; whoever wants another makes another. */
	sys_unlink(p->sys, csr_path);
	if (rc != 0) {
		sys_unlink(p->sys, key_path);
	}
	return rc;
}

/* ---- collectors ---- */

static int issue_collector(struct pki *p, struct authority *a,
			   mbedtls_pk_context *key, struct cert_name *last,
			   const char *first)
{
	struct cert_order o = {.use = CERT_COLLECTOR,
			       .subject_key = key,
			       .issuer = a->name,
			       .issuer_key = &a->key,
			       .names = &last->node};
	int rc = set_terms(p, &o, PKI_DAYS, a->not_after_ms);

	/* Only for people: names are checked in the alternative names. */
	snprintf(o.cn, sizeof o.cn, "%.*s", CN_MAX, first);
	for (char *c = o.cn; *c != '\0'; c++) {
		*c = *c == '%' ? '.' : *c; /* A zone; not a character of DNs. */
	}
	return rc == 0 ? issue(p, &o, p->crt_path) : rc;
}

static int read_hosts(struct pki *p, struct cert_name *names,
		      const char *const *hosts, size_t n)
{
	if (n < 1 || n > PKI_HOSTS) {
		return fail(p, UV_EINVAL, "a collector has 1 to %d names",
			    (int)PKI_HOSTS);
	}
	for (size_t i = 0; i < n; i++) {
		if (cert_name_host(&names[i], hosts[i]) != 0) {
			return fail(p, UV_EINVAL,
				    "\"%.300s\" is neither a host name nor an "
				    "address",
				    hosts[i]);
		}
		/* mbedTLS writes them last first. */
		if (i > 0) {
			cert_name_link(&names[i], &names[i - 1]);
		}
	}
	return 0;
}

int pki_collector(struct pki *p, const char *const *hosts, size_t n)
{
	struct cert_name names[PKI_HOSTS];
	mbedtls_pk_context key;
	struct authority a;
	int rc = read_hosts(p, names, hosts, n);

	if (rc != 0) {
		return rc;
	}
	mbedtls_pk_init(&key);
	if ((rc = authority_load(p, &a)) != 0 ||
	    (rc = path_in(p, p->key_path, "collector", ".key")) != 0 ||
	    (rc = path_in(p, p->crt_path, "collector", ".crt")) != 0 ||
	    (rc = must_be_new(p, p->key_path)) != 0 ||
	    (rc = must_be_new(p, p->crt_path)) != 0 ||
	    (rc = new_key(p, &key)) != 0 ||
	    (rc = write_key(p, &key, p->key_path)) != 0) {
		goto out;
	}
	rc = issue_collector(p, &a, &key, &names[n - 1], hosts[0]);
	if (rc != 0) {
		sys_unlink(p->sys, p->key_path);
	}
out:
	mbedtls_pk_free(&key);
	authority_fini(&a);
	return rc;
}
