/* cert: X.509 made and looked at with mbedTLS.  Internal to pki/.
 * mbedTLS's codes end here.  Errors: ERR_CRYPTO, ERR_MALFORMED,
 * ERR_CERTIFICATE, UV_ENOMEM, and a line in `why` where there is one. */
#ifndef PKI_CERT_H
#define PKI_CERT_H

#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "pki/pki.h"

enum { PEM_MAX = 16 * 1024, SERIAL = 16, CN_MAX = 64 };

enum cert_use { CERT_AUTHORITY, CERT_DEVICE, CERT_COLLECTOR };

struct cert_order {
	enum cert_use use;
	char cn[CN_MAX + 1];
	mbedtls_pk_context *subject_key;
	const char *issuer;            /* a distinguished name */
	mbedtls_pk_context *issuer_key;
	mbedtls_x509_san_list *names;  /* NULL: none */
	int64_t from_ms, to_ms;
	uint8_t serial[SERIAL];
};

/* A new EC P-256 key. */
int cert_new_key(mbedtls_pk_context *key);
/* PEM text, NUL-terminated. */
int cert_write_key(mbedtls_pk_context *key, char pem[static PEM_MAX]);
int cert_write(const struct cert_order *o, char pem[static PEM_MAX]);
/* A request for a device of this name. */
int cert_write_request(mbedtls_pk_context *key, const char *name,
		       char pem[static PEM_MAX]);

/* One alternative name. */
struct cert_name {
	mbedtls_x509_san_list node;
	uint8_t ip[16];
	char text[256];
};
int cert_name_device(struct cert_name *n, const char *name);
/* A DNS name or an address.  UV_EINVAL: neither. */
int cert_name_host(struct cert_name *n, const char *host);
void cert_name_link(struct cert_name *first, struct cert_name *next);

/* Checks a request: its signature by its own key, EC P-256, exactly one name, a
 * device's.  *name is borrowed from csr. */
int cert_check_request(const mbedtls_x509_csr *csr, struct slice *name,
		       char why[static PKI_WHY]);

#endif
