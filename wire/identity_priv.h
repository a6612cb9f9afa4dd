/* What wire/tls.c may see of an identity. */
#ifndef WIRE_IDENTITY_PRIV_H
#define WIRE_IDENTITY_PRIV_H

#include "wire/identity.h"
#include "wire/x509.h"

struct identity {
	mbedtls_x509_crt cert; /* ours, with the chain behind it */
	mbedtls_x509_crt ca;
	mbedtls_pk_context key;
	struct hash32 hash;
	char name[LIMIT_DEVICE_NAME + 1];
	int64_t not_after_ms;
	uint8_t spki[SPKI_MAX];
	size_t spki_n;
};

#endif
