#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/siphash.h"
#include "detectors/field.h"
#include "detectors/rule.h"

enum { TITLE_MAX = 256, TEXT_MAX = 65535, ID_MAX = 128,
       RULE_NAME_MAX = 256 };

void ruleset_init(struct ruleset *s, const struct placeholders *placeholders)
{
	*s = (struct ruleset){.placeholders = placeholders};
	s->tail = &s->first;
	s->filters_tail = &s->filters;
	s->assets_tail = &s->assets;
}

void condition_fini(struct condition *c)
{
	for (uint32_t i = 0; i < c->n_matches; i++) {
		match_fini(&c->matches[i]);
	}
}

void ruleset_fini(struct ruleset *s)
{
	for (struct rule *r = s->first; r != NULL; r = r->next) {
		condition_fini(&r->condition);
	}
	for (struct filter *f = s->filters; f != NULL; f = f->next) {
		condition_fini(&f->condition);
	}
	for (struct asset *a = s->assets_all; a != NULL; a = a->all) {
		condition_fini(&a->when);
	}
	arena_fini(&s->arena);
	s->first = NULL;
	s->filters = NULL;
	s->assets = s->assets_all = NULL;
	s->n = 0;
}

void complain(const struct complain *c, struct doc_mark at, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (c->cb == NULL) {
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	c->cb(c->arg, c->file, at.line, at.column, text);
}

/* ---- building a condition ---- */

/* Room for `more` behind n elements, in steps that double. */
static bool grow(void **p, size_t n, size_t more, size_t size)
{
	size_t room = 16;
	void *q;

	while (room < n) {
		room *= 2;
	}
	if (*p != NULL && n + more <= room && n > 0) {
		return true;
	}
	while (room < n + more) {
		room *= 2;
	}
	q = realloc(*p, room * size);
	if (q == NULL) {
		return false;
	}
	*p = q;
	return true;
}

static int add_node(struct building *b, struct node node, struct doc_mark at)
{
	struct condition *c = &b->c;

	if (c->n_nodes == RULE_NODES) {
		complain(b->complain, at, "the rule has more than %d values and "
			 "operators", RULE_NODES);
		return -1;
	}
	if (!grow((void **)&c->nodes, c->n_nodes, 1, sizeof *c->nodes)) {
		complain(b->complain, at, "%s", err_str(UV_ENOMEM));
		return -1;
	}
	c->nodes[c->n_nodes] = node;
	return (int)c->n_nodes++;
}

int building_match(struct building *b, const struct match *m,
		   struct doc_mark at)
{
	struct condition *c = &b->c;
	int node;

	if (!grow((void **)&c->matches, c->n_matches, 1, sizeof *c->matches)) {
		complain(b->complain, at, "%s", err_str(UV_ENOMEM));
		return -1;
	}
	node = add_node(b, (struct node){NODE_MATCH, 0, c->n_matches}, at);
	if (node >= 0) {
		c->matches[c->n_matches++] = *m;
	}
	return node;
}

int building_join(struct building *b, enum node_op op, const uint16_t *kids,
		  size_t n, struct doc_mark at)
{
	struct condition *c = &b->c;
	int node;

	if (n == 1 && op != NODE_NOT) {
		return kids[0];
	}
	if (c->n_kids + n > RULE_NODES * 4) {
		complain(b->complain, at, "the condition is too large");
		return -1;
	}
	if (!grow((void **)&c->kids, c->n_kids, n, sizeof *c->kids)) {
		complain(b->complain, at, "%s", err_str(UV_ENOMEM));
		return -1;
	}
	node = add_node(b, (struct node){(uint8_t)op, (uint16_t)n, c->n_kids}, at);
	if (node >= 0) {
		memcpy(c->kids + c->n_kids, kids, n * sizeof *kids);
		c->n_kids += (uint32_t)n;
	}
	return node;
}

static void *keep(struct arena *a, const void *p, size_t n)
{
	void *out = arena_take(a, n);

	if (out != NULL && n > 0) {
		memcpy(out, p, n);
	}
	return out;
}

/* Moves the condition from the building's heap to the arena. */
static int building_finish(struct building *b, int root, struct condition *to)
{
	struct condition *from = &b->c;
	struct arena *a = &b->set->arena;

	*to = *from;
	to->root = (uint16_t)root;
	to->nodes = keep(a, from->nodes, from->n_nodes * sizeof *from->nodes);
	to->kids = keep(a, from->kids, from->n_kids * sizeof *from->kids);
	to->matches = keep(a, from->matches, from->n_matches * sizeof *from->matches);
	if (to->nodes == NULL || to->kids == NULL || to->matches == NULL) {
		*to = (struct condition){NULL};
		return UV_ENOMEM;
	}
	from->n_matches = 0; /* the expressions are the rule's now */
	return 0;
}

static void building_fini(struct building *b)
{
	condition_fini(&b->c);
	free(b->c.nodes);
	free(b->c.kids);
	free(b->c.matches);
}

/* ---- the parts of a rule ---- */

bool rule_timespan(struct slice s, int64_t *ms)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
	uint64_t n;

	if (s.n < 2 || !slice_to_u64(slice_head(s, s.n - 1), 315360000, &n)) {
		return false;
	}
	for (size_t i = 0; i < 4; i++) {
		if (s.p[s.n - 1] == units[i].unit) {
			*ms = (int64_t)n * units[i].ms;
			return *ms > 0 && *ms <= INT64_C(315360000000);
		}
	}
	return false;
}

int rule_fields(const struct doc_node *n, uint8_t out[static RULE_GROUP_BY],
		const struct complain *c)
{
	const struct doc_node *v = n->kind == DOC_LIST ? n->first : n;
	int count = 0;

	for (; v != NULL; v = n->kind == DOC_LIST ? v->next : NULL) {
		int id = v->kind == DOC_SCALAR ? rule_field_find(v->text) : -1;
		char shown[80];

		if (id < 0) {
			const char *like = rule_field_suggest(v->text);

			complain(c, v->mark, "field %s is not known%s%s%s",
				 log_quote(shown, sizeof shown, v->text),
				 like == NULL ? "" : "; did you mean \"",
				 like == NULL ? "" : like,
				 like == NULL ? "" : "\"?");
			return -1;
		}
		if (count == RULE_GROUP_BY) {
			complain(c, v->mark, "more than %d fields", RULE_GROUP_BY);
			return -1;
		}
		out[count++] = (uint8_t)id;
	}
	return count;
}

/* An optional text of the rule; NULL and *rc when it is wrong. */
static const char *text_of(struct ruleset *set, const struct doc_node *root,
			   const char *key, size_t max,
			   const struct complain *c, int *rc)
{
	const struct doc_node *n = doc_find(root, key);
	const char *out;

	if (n == NULL) {
		return "";
	}
	if (n->kind != DOC_SCALAR || n->text.n > max ||
	    memchr(n->text.p, '\0', n->text.n) != NULL) {
		complain(c, n->mark, "%s must be a text of at most %zu bytes", key,
			 max);
		*rc = ERR_MALFORMED;
		return "";
	}
	out = arena_text(&set->arena, slice_trim(n->text));
	if (out == NULL) {
		*rc = UV_ENOMEM;
		return "";
	}
	return out;
}

static int read_tags(struct ruleset *set, struct rule *r,
		     const struct doc_node *n, const struct complain *c)
{
	const char **tags;
	size_t count = 0;

	if (n != NULL && n->kind != DOC_LIST) {
		complain(c, n->mark, "tags must be a list");
		return ERR_MALFORMED;
	}
	tags = arena_take(&set->arena, (RULE_TAGS + 1) * sizeof *tags);
	r->tags = tags;
	if (tags == NULL) {
		return UV_ENOMEM;
	}
	for (n = n == NULL ? NULL : n->first; n != NULL; n = n->next) {
		if (n->kind != DOC_SCALAR || n->text.n > ID_MAX ||
		    count == RULE_TAGS) {
			complain(c, n->mark, "tags are at most %d short words",
				 RULE_TAGS);
			return ERR_MALFORMED;
		}
		tags[count] = arena_text(&set->arena, n->text);
		if (tags[count++] == NULL) {
			return UV_ENOMEM;
		}
	}
	return 0;
}

static int read_level(struct rule *r, const struct doc_node *n,
		      const struct complain *c)
{
	int level;

	r->severity = SEVERITY_MEDIUM;
	if (n == NULL) {
		return 0;
	}
	level = n->kind == DOC_SCALAR ? severity_parse(n->text) : -1;
	if (level < 0) {
		complain(c, n->mark, "level is one of informational, low, medium, "
			 "high, critical");
		return ERR_MALFORMED;
	}
	r->severity = (enum severity)level;
	return 0;
}

/* A rule without an id gets one that stands on its title, so that its alerts
 * keep their identity. */
static int default_id(struct ruleset *set, struct rule *r)
{
	static const uint8_t key[16] = "nightjar rule id";
	char text[40];

	if (r->id[0] == '\0') {
		snprintf(text, sizeof text, "unnamed-%016llx", (unsigned long long)
			 siphash(key, r->title, strlen(r->title)));
		r->id = arena_text(&set->arena, slice_str(text));
	}
	return r->id == NULL ? UV_ENOMEM : 0;
}

static int read_head(struct ruleset *set, struct rule *r,
		     const struct doc_node *root, const struct complain *c)
{
	const struct doc_node *title = doc_find(root, "title");
	int rc = 0;

	if (title == NULL) {
		complain(c, root->mark, "the rule has no title");
		return ERR_MALFORMED;
	}
	r->title = text_of(set, root, "title", TITLE_MAX, c, &rc);
	r->id = text_of(set, root, "id", ID_MAX, c, &rc);
	r->name = text_of(set, root, "name", RULE_NAME_MAX, c, &rc);
	r->description = text_of(set, root, "description", TEXT_MAX, c, &rc);
	if (rc == 0 && r->title[0] == '\0') {
		complain(c, title->mark, "the title is empty");
		rc = ERR_MALFORMED;
	}
	if (rc == 0) {
		rc = default_id(set, r);
	}
	if (rc == 0) {
		rc = read_tags(set, r, doc_find(root, "tags"), c);
	}
	return rc == 0 ? read_level(r, doc_find(root, "level"), c) : rc;
}

/* ---- detection ---- */

static int read_selections(struct building *b, const struct doc_node *detection)
{
	for (const struct doc_node *n = detection->first; n != NULL; n = n->next) {
		int node;

		if (slice_eq(n->key, SLICE_LIT("condition")) ||
		    (b->is_filter && slice_eq(n->key, SLICE_LIT("rules")))) {
			continue;
		}
		if (slice_eq(n->key, SLICE_LIT("timeframe"))) {
			complain(b->complain, n->key_mark, "timeframe is obsolete in "
				 "Sigma: write a correlation rule with a timespan");
			return -1;
		}
		if (b->n_selections == RULE_SELECTIONS) {
			complain(b->complain, n->key_mark,
				 "more than %d selections", RULE_SELECTIONS);
			return -1;
		}
		node = selection_read(b, n);
		if (node < 0) {
			return -1;
		}
		b->selections[b->n_selections].name = n->key;
		b->selections[b->n_selections++].node = (uint16_t)node;
	}
	return 0;
}

/* One condition, or a list of them that is joined by or. */
static int read_condition(struct building *b, const struct doc_node *n)
{
	uint16_t kids[RULE_SELECTIONS];
	struct doc_mark at;
	size_t count = 0;
	int node;

	if (n->kind == DOC_SCALAR) {
		at = n->mark;
		at.column += n->quoted;
		return condition_parse(b, n->text, at);
	}
	if (n->kind == DOC_MAP || n->first == NULL) {
		complain(b->complain, n->mark, "condition must be a text or a list "
			 "of texts");
		return -1;
	}
	for (const struct doc_node *c = n->first; c != NULL; c = c->next) {
		if (c->kind != DOC_SCALAR || count == RULE_SELECTIONS) {
			complain(b->complain, c->mark, "condition must be a text or "
				 "a short list of texts");
			return -1;
		}
		node = read_condition(b, c);
		if (node < 0) {
			return -1;
		}
		kids[count++] = (uint16_t)node;
	}
	return building_join(b, NODE_OR, kids, count, n->mark);
}

static int build(struct building *b, const struct doc_node *detection,
		 const struct doc_node *logsource)
{
	const struct doc_node *condition = doc_find(detection, "condition");
	uint16_t kids[2];
	int source = -2, node;

	if (detection->kind != DOC_MAP || condition == NULL) {
		complain(b->complain, detection->mark, "%s must have selections and a condition",
			 b->is_filter ? "filter" : "detection");
		return -1;
	}
	if (logsource != NULL) {
		source = logsource_read(b, logsource);
	}
	if (source == -1 || read_selections(b, detection) != 0) {
		return -1;
	}
	node = read_condition(b, condition);
	if (node < 0 || source < 0) {
		return node;
	}
	kids[0] = (uint16_t)source;
	kids[1] = (uint16_t)node;
	return building_join(b, NODE_AND, kids, 2, condition->mark);
}

int condition_read(struct ruleset *set, struct condition *out, const struct doc_node *detection,
		   const struct doc_node *source, const struct complain *c)
{
	struct building b = {.set = set, .complain = c, .is_filter = source == NULL};
	int node = build(&b, detection, source);
	int rc = node < 0 ? ERR_MALFORMED : building_finish(&b, node, out);

	building_fini(&b);
	return rc;
}

int condition_of_selection(struct ruleset *set, struct condition *out, const struct doc_node *n,
			   const struct complain *c)
{
	struct building b = {.set = set, .complain = c};
	int node = selection_read(&b, n);
	int rc = node < 0 ? ERR_MALFORMED : building_finish(&b, node, out);

	building_fini(&b);
	return rc;
}

static int detection_read(struct ruleset *set, struct rule *r, const struct doc_node *root,
			  const struct doc_node *detection, const struct complain *c)
{
	const struct doc_node *source = doc_find(root, "logsource");
	int rc;

	if (source == NULL) {
		complain(c, root->mark, "the rule has no logsource");
		return ERR_MALFORMED;
	}
	rc = logsource_names(set, &r->source, source, c);
	return rc == 0 ? condition_read(set, &r->condition, detection, source, c) : rc;
}

static int read_body(struct ruleset *set, struct rule *r,
		     const struct doc_node *root, const struct complain *c)
{
	const struct doc_node *detection = doc_find(root, "detection");
	const struct doc_node *correlation = doc_find(root, "correlation");
	const struct doc_node *extension = doc_find(root, "nightjar");
	int rc;

	if ((detection == NULL) == (correlation == NULL)) {
		complain(c, root->mark, "the rule needs either a detection or a "
			 "correlation");
		return ERR_MALFORMED;
	}
	rc = detection != NULL ? detection_read(set, r, root, detection, c)
			       : correlation_read(set, r, correlation, c);
	if (rc == 0 && extension != NULL) {
		rc = extension_read(set, r, extension, c);
	}
	return rc;
}

/* "action: global" and its kind, of rule collections before version 2. */
static bool is_collection(const struct doc_node *root, const struct complain *c)
{
	const struct doc_node *n = doc_find(root, "action");

	if (n == NULL || n->kind != DOC_SCALAR ||
	    (!slice_eq(n->text, SLICE_LIT("global")) && !slice_eq(n->text, SLICE_LIT("repeat")) &&
	     !slice_eq(n->text, SLICE_LIT("reset")))) {
		return false;
	}
	complain(c, n->key_mark, "Sigma 2 has no actions any more: write each rule out, and put "
		 "\"---\" between them");
	return true;
}

int rule_read(struct ruleset *set, const struct doc_node *root,
	      const struct complain *c)
{
	struct rule *r;
	int rc;

	if (root->kind != DOC_MAP) {
		complain(c, root->mark, "a rule is a mapping that begins with "
			 "\"title:\"");
		return ERR_MALFORMED;
	}
	if (is_collection(root, c) || !meta_check(root, c)) {
		return ERR_MALFORMED;
	}
	if (set->n == RULESET_MAX) {
		complain(c, root->mark, "more than %d rules", RULESET_MAX);
		return ERR_MALFORMED;
	}
	if (doc_find(root, "asset") != NULL) {
		return asset_read(set, root, c);
	}
	r = arena_take(&set->arena, sizeof *r);
	if (r == NULL) {
		return UV_ENOMEM;
	}
	r->mark = root->mark;
	r->alerts = true;
	r->file = arena_text(&set->arena, slice_str(c->file));
	rc = r->file == NULL ? UV_ENOMEM : read_head(set, r, root, c);
	if (rc == 0 && doc_find(root, "filter") != NULL) {
		return filter_read(set, root, c);
	}
	if (rc == 0) {
		rc = read_body(set, r, root, c);
	}
	if (rc != 0) {
		condition_fini(&r->condition);
		return rc;
	}
	r->index = set->n++;
	*set->tail = r;
	set->tail = &r->next;
	return 0;
}
