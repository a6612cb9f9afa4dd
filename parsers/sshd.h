/* sshd: what sshd.c and sshd_connection.c share.  Internal to parsers/. */
#ifndef PARSERS_SSHD_H
#define PARSERS_SSHD_H

#include "parsers/family.h"

/* "USER from ADDRESS port N ssh2: extra" */
struct ssh_origin {
	struct slice user;    /* all in front of " from " */
	struct slice address;
	struct slice port;    /* empty: not told */
	struct slice extra;   /* behind "ssh2: " */
};

/* Takes a line's end apart at the last " from " that an address, a port, the
 * protocol and nothing else follow; without a port only if none has one. */
bool ssh_take_from(struct slice m, struct ssh_origin *o);
void ssh_set_origin(struct context *c, const struct ssh_origin *o);

/* Lines about the connection rather than about an attempt. */
bool ssh_connection_line(struct context *c, struct slice m, bool preauth);

/* Lines about keys and certificates, on the way to an attempt's end. */
bool ssh_key_line(struct context *c, struct slice m);
/* "Accepted key RSA SHA256:.. found at FILE:1", "Accepted certificate ID "x" .. signed by ..":
 * a key fits; "Accepted publickey" tells of the login. */
bool ssh_key_found(struct context *c);

/* Lines about the daemon itself and about sessions that are open. */
bool ssh_daemon_line(struct context *c, struct slice m);

#endif
