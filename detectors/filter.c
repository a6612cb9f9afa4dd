#include "common/err.h"
#include "common/log.h"
#include "detectors/engine.h"

/* Filters (Sigma 2.1, "Sigma Filters Specification"): a condition of their own that is
 * joined by "and" to those of the rules they name, once all are read. */

static int read_names(struct ruleset *set, struct filter *f, const struct doc_node *n,
		      const struct complain *c)
{
	const struct doc_node *v = n->first;

	if (n->kind != DOC_LIST || v == NULL) {
		complain(c, n->mark, "rules is a list of the ids or names of rules");
		return ERR_MALFORMED;
	}
	for (; v != NULL; v = v->next) {
		struct filter_name *name = arena_take(&set->arena, sizeof *name);
		const char *copy = arena_text(&set->arena, v->text);

		if (name == NULL || copy == NULL) {
			return UV_ENOMEM;
		}
		if (v->kind != DOC_SCALAR || v->text.n == 0) {
			complain(c, v->mark, "the id or name of a rule must stand here");
			return ERR_MALFORMED;
		}
		*name = (struct filter_name){slice(copy, v->text.n), v->mark, f->names};
		f->names = name;
	}
	return 0;
}

int filter_read(struct ruleset *set, const struct doc_node *root, const struct complain *c)
{
	const struct doc_node *n = doc_find(root, "filter"), *rules = doc_find(n, "rules");
	struct filter *f = arena_take(&set->arena, sizeof *f);
	int rc;

	if (f == NULL) {
		return UV_ENOMEM;
	}
	f->file = arena_text(&set->arena, slice_str(c->file));
	if (f->file == NULL) {
		return UV_ENOMEM;
	}
	if (n->kind != DOC_MAP || rules == NULL) {
		complain(c, n->mark, "a filter has rules, selections and a condition");
		return ERR_MALFORMED;
	}
	rc = read_names(set, f, rules, c);
	rc = rc == 0 ? logsource_names(set, &f->source, doc_find(root, "logsource"), c) : rc;
	rc = rc == 0 ? condition_read(set, &f->condition, n, NULL, c) : rc;
	if (rc == 0) {
		*set->filters_tail = f;
		set->filters_tail = &f->next;
	}
	return rc;
}

/* What the filter's log source names, the rule's must name as well. */
static bool sources_fit(const struct logsource *filter, const struct logsource *rule)
{
	return (filter->product.n == 0 || slice_eq(filter->product, rule->product)) &&
	       (filter->category.n == 0 || slice_eq(filter->category, rule->category)) &&
	       (filter->service.n == 0 || slice_eq(filter->service, rule->service));
}

/* Both conditions in one graph; expressions stay the property of who read them. */
static int join(struct arena *a, struct condition *rule, const struct condition *f)
{
	struct condition c = {.n_nodes = rule->n_nodes + f->n_nodes + 1,
			      .n_kids = rule->n_kids + f->n_kids + 2,
			      .n_matches = rule->n_matches + f->n_matches};

	c.nodes = arena_take(a, c.n_nodes * sizeof *c.nodes);
	c.kids = arena_take(a, c.n_kids * sizeof *c.kids);
	c.matches = arena_take(a, c.n_matches * sizeof *c.matches);
	if (c.nodes == NULL || c.kids == NULL || c.matches == NULL) {
		return UV_ENOMEM;
	}
	memcpy(c.nodes, rule->nodes, rule->n_nodes * sizeof *c.nodes);
	memcpy(c.matches, rule->matches, rule->n_matches * sizeof *c.matches);
	memcpy(c.matches + rule->n_matches, f->matches, f->n_matches * sizeof *c.matches);
	for (uint32_t i = rule->n_matches; i < c.n_matches; i++) {
		c.matches[i].lent = true;
	}
	if (rule->n_kids > 0) {
		memcpy(c.kids, rule->kids, rule->n_kids * sizeof *c.kids);
	}
	for (uint32_t i = 0; i < f->n_kids; i++) {
		c.kids[rule->n_kids + i] = (uint16_t)(f->kids[i] + rule->n_nodes);
	}
	for (uint32_t i = 0; i < f->n_nodes; i++) {
		struct node n = f->nodes[i];

		n.first += n.op == NODE_MATCH ? rule->n_matches : rule->n_kids;
		c.nodes[rule->n_nodes + i] = n;
	}
	c.nodes[c.n_nodes - 1] = (struct node){NODE_AND, 2, c.n_kids - 2};
	c.kids[c.n_kids - 2] = rule->root;
	c.kids[c.n_kids - 1] = (uint16_t)(f->root + rule->n_nodes);
	c.root = (uint16_t)(c.n_nodes - 1);
	*rule = c;
	return 0;
}

static int apply(struct detect *d, const struct filter *f, const struct filter_name *name,
		 struct rule *r, const struct complain *c)
{
	char shown[80];

	log_quote(shown, sizeof shown, name->text);
	if (r->type != CORRELATION_NONE) {
		complain(c, name->mark, "%s is a correlation, and a filter is for the rules that "
			 "it counts: name those", shown);
		return 0;
	}
	if (!sources_fit(&f->source, &r->source)) {
		complain(c, name->mark, "the logsource of the filter is not that of rule %s, so "
			 "that it is not applied to it", shown);
		return 0;
	}
	if (r->condition.n_nodes + f->condition.n_nodes + 1 > RULE_NODES * 2) {
		complain(c, name->mark, "with this filter, rule %s would be too large", shown);
		return 0;
	}
	return join(&d->set.arena, &r->condition, &f->condition);
}

int filters_apply(struct detect *d, const struct complain *c)
{
	struct complain at = *c;
	int rc = 0;

	for (const struct filter *f = d->set.filters; f != NULL; f = f->next) {
		at.file = f->file;
		for (const struct filter_name *n = f->names; rc == 0 && n != NULL; n = n->next) {
			bool found = false;

			for (struct rule *r = d->set.first; rc == 0 && r != NULL; r = r->next) {
				if (!r->off && rule_is_named(r, n->text)) {
					found = true;
					rc = apply(d, f, n, r, &at);
				}
			}
			if (!found) {
				complain(&at, n->mark, "no rule has the name or id \"%s\", so "
					 "that this filter does nothing", n->text.p);
			}
		}
	}
	return rc;
}
