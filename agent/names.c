/* Pseudonyms instead of names.  A second parser reads the line as it came (masked, but
 * with its names), so that its names can be found; the stream's own reads what is shipped. */
#include "agent/pipeline_impl.h"
#include "common/log.h"
#include "common/siphash.h"

int pipeline_make_names(const struct pipeline *p, struct made *m)
{
	static const char what[] = "pseudonyms";
	uint8_t own[PSEUDONYM_KEY];
	int rc;

	/* From the secret that never leaves the device, by a function that can't be
	 * turned back. */
	for (uint8_t i = 0; i < 2; i++) {
		uint64_t half = siphash(p->secret_copy + 16 * i, what, sizeof what);

		memcpy(own + 8 * i, &half, sizeof half);
	}
	rc = redact_names_init(&m->names, &p->config->redact, own);
	explicit_bzero(own, sizeof own);
	return rc;
}

int pipeline_rename(struct pipeline *p, struct ps *ps, struct record *r)
{
	struct header h;
	struct event e;
	int rc;

	if (ps->reader == NULL) {
		rc = pipeline_new_parser(p, ps->s, &ps->reader);
		if (rc != 0) {
			return rc;
		}
	}
	parser_line(ps->reader, r->line, r->observed_ns, &h, &e);
	if (redact_names_line(&p->made.names, r->line, &h, &e, &p->renamed, &r->line)) {
		r->flags |= RECORD_REDACTED;
	}
	return 0;
}
