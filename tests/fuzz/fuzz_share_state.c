/* Counts that are given back after a restart, from anywhere: they are refused, or counting
 * goes on from them and gives a state that can be taken up again. */
#include <stdint.h>
#include <stdlib.h>

#include "parsers/parser.h"
#include "parsers/share.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void go_on(struct shares *s)
{
	static const char *const lines[] = {
		"Nov 22 10:00:00 gate sshd[77]: Failed password for root from 192.0.2.7 port 4022 ssh2",
		"Nov 22 10:00:01 gate sshd[78]: Password refused for root at 192.0.2.7",
		"Nov 22 10:00:02 gate sshd-new[79]: Failed password for root from 192.0.2.7 port 4022 ssh2",
		"22.11.2026 10:00:03 gate sshd[80]: Failed password for root from 192.0.2.7 port 4022 ssh2",
		"nothing that is known",
	};
	struct share_fall f;
	struct parser *p;

	if (parser_new(&p, NULL) != 0) {
		return;
	}
	parser_shares(p, s, SLICE_LIT("/var/log/auth.log"));
	for (size_t i = 0; i < 200; i++) {
		struct record r = {.line = slice_str(lines[i % 5])};

		parser_line(p, r.line, INT64_C(1700000000000000000), &r.header, &r.event);
		parser_count(p, &r);
		while (shares_take(s, &f)) {
			if (f.before > 1000 || f.after > 1000 || f.program[0] == '\0') {
				abort();
			}
		}
	}
	parser_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shares *s, *again;
	struct buf saved;

	if (shares_new(&s) != 0 || shares_new(&again) != 0) {
		abort();
	}
	shares_load(s, slice(data, size));
	go_on(s);
	buf_init(&saved, 1 << 20);
	if (shares_save(s, &saved) != 0 || shares_load(again, buf_slice(&saved)) != 0) {
		abort();
	}
	buf_fini(&saved);
	shares_free(s);
	shares_free(again);
	return 0;
}
