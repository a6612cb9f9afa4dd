/* What a parser is given back after a restart, from anywhere: it is refused, or the
 * parser goes on from it. */
#include <stdint.h>
#include <stdlib.h>

#include "parsers/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void go_on(struct parser *p)
{
	static const char *const lines[] = {
		"Nov 22 10:00:00 gate sshd[77]: Connection closed by authenticating user root 192.0.2.7 port 4022 [preauth]",
		"Nov 22 10:00:01 gate sshd[77]: pam_unix(sshd:auth): authentication failure; tty=ssh ruser= rhost=192.0.2.7  user=root",
		"Nov 22 10:00:02 gate sshd[77]: message repeated 3 times: [ Failed password for root from 192.0.2.7 port 4022 ssh2]",
		"Nov 22 10:00:03 gate dropbear[77]: Exit before auth: Exited normally",
		"type=EXECVE msg=audit(1700000000.123:77): argc=1 a0=\"id\"",
	};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct header h;
		struct event e;

		parser_line(p, slice_str(lines[i]), INT64_C(1700000000000000000), &h, &e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parser *p;
	struct buf saved;
	int rc;

	if (parser_new(&p, NULL) != 0) {
		return 0;
	}
	rc = parser_load(p, slice(data, size));
	go_on(p);
	buf_init(&saved, 1 << 20);
	if (rc == 0 && (parser_save(p, &saved) != 0 || parser_load(p, buf_slice(&saved)) != 0)) {
		abort();
	}
	buf_fini(&saved);
	parser_free(p);
	return 0;
}
