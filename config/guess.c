#include "common/err.h"
#include "config/config.h"
#include "config/table.h"
#include "config/tree.h"

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
	struct tree_error err;
	struct tree t;
	int agent = 0;
	int rc;

	rc = tree_parse(&t, text, &err);
	if (rc != 0) {
		return rc;
	}
	if (t.root != NULL && t.root->kind == NODE_MAP) {
		for (const struct node *n = t.root->first; n != NULL; n = n->next) {
			agent += knows(&agent_schema, n->key) -
				 knows(&collector_schema, n->key);
		}
	}
	tree_fini(&t);
	*out = agent > 0 ? CONFIG_AGENT : CONFIG_COLLECTOR;
	return agent != 0 ? 0 : UV_ENOENT;
}
