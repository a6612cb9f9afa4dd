#include "common/doc.h"
#include "common/err.h"
#include "config/config.h"
#include "config/table.h"

/* A top-level key of this schema, be it an option or a section. */
static bool knows(const struct schema *s, struct slice key)
{
	for (size_t i = 0; i < s->n; i++) {
		size_t section = option_section(&s->options[i]);
		struct slice top = slice_str(s->options[i].key);

		if (slice_eq(key, section > 0 ? slice_head(top, section) : top)) {
			return true;
		}
	}
	return false;
}

int config_guess(struct slice text, enum config_kind *out)
{
	struct doc_error err;
	struct doc t;
	int agent = 0;
	int rc;

	rc = doc_read(&t, text, config_limits, &err);
	if (rc != 0) {
		return rc;
	}
	if (t.root != NULL && t.root->kind == DOC_MAP) {
		for (const struct doc_node *n = t.root->first; n != NULL; n = n->next) {
			agent += knows(&agent_schema, n->key) -
				 knows(&collector_schema, n->key);
		}
	}
	doc_fini(&t);
	*out = agent > 0 ? CONFIG_AGENT : CONFIG_COLLECTOR;
	return agent != 0 ? 0 : UV_ENOENT;
}
