#include "detectors/implied.h"

#include "detectors/field.h"
#include "detectors/refer.h"

static bool all_imply(const struct condition *c, const struct node *n,
		      unsigned field, struct values *out)
{
	for (unsigned i = 0; i < n->n; i++) {
		if (!implied_values(c, c->kids[n->first + i], field, out)) {
			return false;
		}
	}
	return true;
}

bool implied_values(const struct condition *c, unsigned at, unsigned field,
		    struct values *out)
{
	const struct node *n = &c->nodes[at];
	const struct match *m;
	size_t before = out->n;

	switch (n->op) {
	case NODE_MATCH:
		m = &c->matches[n->first];
		if (m->op != MATCH_EXACT || m->field != field || m->cased ||
		    m->text.n == 0 || out->n == VALUES_MAX) {
			return false;
		}
		out->v[out->n++] = m->text;
		return true;
	case NODE_AND:
		for (unsigned i = 0; i < n->n; i++) {
			if (implied_values(c, c->kids[n->first + i], field, out)) {
				return true;
			}
			out->n = before;
		}
		return false;
	case NODE_OR:
		return all_imply(c, n, field, out);
	default:
		return false;
	}
}

uint64_t implied_needs(const struct condition *c, unsigned at)
{
	const struct node *n = &c->nodes[at];
	const struct match *m;
	uint64_t mask;

	switch (n->op) {
	case NODE_MATCH:
		m = &c->matches[n->first];
		if (rule_field_is_place(m->field) && m->op != MATCH_NULL &&
		    !(m->op == MATCH_EXISTS && m->u.number == 0)) {
			return UINT64_C(1) << FIELD_SOURCE_IP;
		}
		if (m->field >= FIELD_NR || m->op == MATCH_NULL ||
		    m->field == FIELD_SOURCE_ADDRESS ||
		    (m->op == MATCH_EXISTS && m->u.number == 0)) {
			return 0;
		}
		return UINT64_C(1) << m->field;
	case NODE_AND:
		mask = 0;
		for (unsigned i = 0; i < n->n; i++) {
			mask |= implied_needs(c, c->kids[n->first + i]);
		}
		return mask;
	case NODE_OR:
		mask = UINT64_MAX;
		for (unsigned i = 0; i < n->n; i++) {
			mask &= implied_needs(c, c->kids[n->first + i]);
		}
		return n->n == 0 ? 0 : mask;
	default:
		return 0;
	}
}

uint8_t implied_outcomes(const struct condition *c, unsigned at)
{
	const struct node *n = &c->nodes[at];
	const struct match *m;
	uint8_t mask = n->op == NODE_OR ? 0 : UINT8_MAX;

	if (n->op == NODE_NOT) {
		return UINT8_MAX;
	}
	if (n->op != NODE_MATCH) {
		for (unsigned i = 0; i < n->n; i++) {
			uint8_t kid = implied_outcomes(c, c->kids[n->first + i]);

			mask = n->op == NODE_OR ? mask | kid : mask & kid;
		}
		return mask;
	}
	m = &c->matches[n->first];
	if (m->field != RULE_FIELD_OUTCOME || m->op != MATCH_EXACT) {
		return UINT8_MAX;
	}
	mask = 0;
	for (unsigned o = OUTCOME_SUCCESS; o <= OUTCOME_UNKNOWN; o++) {
		if (slice_eq(m->text, slice_str(outcome_name((enum outcome)o)))) {
			mask = (uint8_t)(1u << o);
		}
	}
	return mask;
}

/* What a match lacks to be true, or NULL. */
typedef const char *(*lack)(const struct match *m, unsigned parts);

/* What the node lacks to be true, or NULL. */
static const char *lacks(const struct condition *c, unsigned at, lack of, unsigned parts)
{
	const struct node *n = &c->nodes[at];
	const char *first = NULL;

	if (n->op == NODE_MATCH) {
		const struct match *m = &c->matches[n->first];
		bool absence = m->op == MATCH_NULL ||
			       (m->op == MATCH_EXISTS && m->u.number == 0);

		return absence ? NULL : of(m, parts);
	}
	for (unsigned i = 0; n->op != NODE_NOT && i < n->n; i++) {
		const char *kid = lacks(c, c->kids[n->first + i], of, parts);

		if ((kid == NULL) == (n->op == NODE_OR)) {
			return kid; /* which decides it */
		}
		first = first == NULL ? kid : first;
	}
	return first;
}

/* The field that no line has. */
static const char *unread(const struct match *m, unsigned parts)
{
	(void)parts;
	return rule_field_is_read(m->field) ? NULL
	       : m->never != NULL	    ? m->never
					    : rule_field_name(m->field);
}

const char *implied_database(unsigned parts)
{
	return (parts & GEO_PLACE) != 0	    ? "a database of places, such as GeoLite2-City"
	       : (parts & GEO_COUNTRY) != 0 ? "a database of countries, such as GeoLite2-Country"
	       : (parts & GEO_AS) != 0 ? "a database of networks, such as GeoLite2-ASN" : NULL;
}

/* The database that is not open, or the list that could not be read. */
static const char *unloaded(const struct match *m, unsigned parts)
{
	if (m->op == MATCH_LIST && refer_list_about(m->u.list) == NULL) {
		return refer_list_name(m->u.list);
	}
	return implied_database(rule_field_parts(m->field) & ~parts);
}

const char *implied_waits(const struct condition *c, unsigned parts)
{
	return c->n_nodes == 0 ? NULL : lacks(c, c->root, unloaded, parts);
}

static const char *placed(const struct match *m, unsigned parts)
{
	return implied_database(rule_field_parts(m->field) & ~parts);
}

bool implied_places(const struct condition *c)
{
	return lacks(c, c->root, placed, 0) != NULL;
}

/* Whether the node is true only of records with the field. */
static bool asks_for(const struct condition *c, unsigned at, unsigned field)
{
	const struct node *n = &c->nodes[at];
	const struct match *m;

	if (n->op == NODE_MATCH) {
		m = &c->matches[n->first];
		return m->field == field && m->op != MATCH_NULL &&
		       !(m->op == MATCH_EXISTS && m->u.number == 0);
	}
	for (unsigned i = 0; n->op != NODE_NOT && i < n->n; i++) {
		if (asks_for(c, c->kids[n->first + i], field) == (n->op == NODE_AND)) {
			return n->op == NODE_AND;
		}
	}
	return n->op == NODE_OR && n->n > 0;
}

/* Connections are told by the kernel's packet filter, which knows of no process. */
static const char *never_together(const struct condition *c)
{
	static const struct {
		uint8_t field;
		const char *what;
	} others[] = {
		{RULE_FIELD_IMAGE, "Image together with an address that is connected to"},
		{FIELD_PROCESS_EXECUTABLE,
		 "process.executable together with an address that is connected to"},
		{FIELD_PROCESS_COMMAND_LINE,
		 "CommandLine together with an address that is connected to"},
	};

	if (!asks_for(c, c->root, FIELD_DESTINATION_IP)) {
		return NULL;
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		if (asks_for(c, c->root, others[i].field)) {
			return others[i].what;
		}
	}
	return NULL;
}

const char *implied_never(const struct condition *c)
{
	const char *field = lacks(c, c->root, unread, 0);

	return field != NULL ? field : never_together(c);
}
