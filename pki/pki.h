/* pki: the identities of a fleet as files: an authority of one's own, a key and
 * a certificate for each device and each collector.
 *
 *   DIR/authority.key, authority.crt   signs; the key stays where it was made
 *   DIR/NAME.key, NAME.csr, NAME.crt   a device's
 *   DIR/collector.key, collector.crt   a collector's
 *
 * Keys are EC P-256, files of mode 0600; DIR is made with 0700.  Nothing is
 * overwritten unless `force` says so; each file is written beside its place,
 * synced and renamed.  A device's name is a URI in its certificate,
 * urn:nightjar:device:NAME; what a request asks for beyond that is not signed.
 *
 * Knows nothing of the command line (cli/pki.c) and nothing of the network.
 *
 * Threads   One thread for each struct pki.  Blocking.
 * Errors    0, or UV_E* / ERR_*, and one line with the remedy in `why`.
 */
#ifndef PKI_PKI_H
#define PKI_PKI_H

#include "common/sys.h"
#include "common/slice.h"

enum {
	PKI_WHY = 1024,
	PKI_PATH = 1024,
	PKI_HOSTS = 32,      /* names of one collector */
	PKI_DAYS_AUTHORITY = 3650,
	PKI_DAYS = 365,
	PKI_DAYS_MAX = 36500,
};

struct pki {
	struct sys *sys;  /* kept: files, clock, serial numbers */
	const char *dir;  /* kept */
	bool force;       /* overwrite */
	unsigned days;    /* how long a certificate is valid; 0: the default */
	char why[PKI_WHY];
	/* The files that the last call has written. */
	char key_path[PKI_PATH], csr_path[PKI_PATH], crt_path[PKI_PATH];
};

void pki_setup(struct pki *p, struct sys *sys, const char *dir);

/* Makes the authority. */
int pki_authority(struct pki *p);
/* On the device: its key, and a request for an authority to sign. */
int pki_request(struct pki *p, const char *name);
/* At the authority: checks a request and issues the certificate. */
int pki_sign(struct pki *p, const char *csr_path);
/* A collector's key and certificate for these DNS names and addresses. */
int pki_collector(struct pki *p, const char *const *hosts, size_t n);
/* Both halves of a device's identity in one place. */
int pki_device(struct pki *p, const char *name);

/* ---- what a file says ---- */

enum pki_kind { PKI_CERTIFICATE, PKI_REQUEST };

struct pki_facts {
	enum pki_kind kind;
	char name[130];       /* the device's or collector's */
	char subject[256], issuer[256];
	char names[1024];     /* alternative names, one blank between */
	char use[64];         /* "device", "collector", "authority", ... */
	char serial[64];      /* hexadecimal */
	char key_hash[65];    /* hexadecimal: a device's name for ever */
	char key_type[64];
	int64_t not_before_ms, not_after_ms; /* certificates only */
	bool expired, not_yet;
};

/* The first certificate or request in a PEM file. */
int pki_show(struct pki *p, const char *path, struct pki_facts *out);

#endif
