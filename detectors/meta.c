#include "common/log.h"
#include "detectors/rule.h"

/* What a rule says about itself, as the JSON schema of Sigma 2.1 has it.  Nothing of it
 * decides what matches; a mistake in it is a mistake in the file all the same. */

static bool is_text(const struct doc_node *n)
{
	return n->kind == DOC_SCALAR && !doc_is_null(n);
}

static bool check_text(const struct doc_node *n, const struct complain *c)
{
	if (is_text(n)) {
		return true;
	}
	complain(c, n->mark, "%.*s is a text", (int)n->key.n, n->key.p);
	return false;
}

static bool check_texts(const struct doc_node *n, const struct complain *c)
{
	if (n->kind != DOC_LIST) {
		complain(c, n->mark, "%.*s is a list: write each on a line of its own, behind "
			 "\"- \"", (int)n->key.n, n->key.p);
		return false;
	}
	for (const struct doc_node *v = n->first; v != NULL; v = v->next) {
		if (!is_text(v)) {
			complain(c, v->mark, "the entries of %.*s are texts", (int)n->key.n,
				 n->key.p);
			return false;
		}
	}
	return true;
}

static bool number_in(struct slice s, size_t at, size_t n, uint64_t min, uint64_t max)
{
	uint64_t v;

	return slice_to_u64(slice_head(slice_skip(s, at), n), max, &v) && v >= min;
}

static bool check_date(const struct doc_node *n, const struct complain *c)
{
	/* Before version 2 the parts stood between slashes. */
	struct slice s = n->text;
	bool good = n->kind == DOC_SCALAR && s.n == 10 && (s.p[4] == '-' || s.p[4] == '/') &&
		    s.p[7] == s.p[4] && number_in(s, 0, 4, 0, 9999) &&
		    number_in(s, 5, 2, 1, 12) && number_in(s, 8, 2, 1, 31);

	if (!good) {
		complain(c, n->mark, "%.*s is a date such as 2026-11-22", (int)n->key.n, n->key.p);
	}
	return good;
}

static bool one_of(const struct doc_node *n, const char *const *words)
{
	while (n->kind == DOC_SCALAR && *words != NULL) {
		if (slice_eq(n->text, slice_str(*words++))) {
			return true;
		}
	}
	return false;
}

static bool check_status(const struct doc_node *n, const struct complain *c)
{
	static const char *const words[] = {"stable", "test", "experimental", "deprecated",
					    "unsupported", NULL};

	if (one_of(n, words)) {
		return true;
	}
	complain(c, n->mark, "status is one of stable, test, experimental, deprecated, "
		 "unsupported");
	return false;
}

/* Names of fields are known by Sigma's and by ECS's names at the same time. */
static bool check_taxonomy(const struct doc_node *n, const struct complain *c)
{
	static const char *const words[] = {"sigma", "ecs", NULL};

	if (one_of(n, words)) {
		return true;
	}
	complain(c, n->mark, "the taxonomies understood are sigma and ecs: rename the fields");
	return false;
}

static bool check_related(const struct doc_node *n, const struct complain *c)
{
	static const char *const types[] = {"derived", "obsolete", "merged", "renamed",
					    "similar", "correlation", NULL};

	if (n->kind != DOC_LIST) {
		complain(c, n->mark, "related is a list of mappings with id and type");
		return false;
	}
	for (const struct doc_node *v = n->first; v != NULL; v = v->next) {
		const struct doc_node *id = doc_find(v, "id"), *type = doc_find(v, "type");

		if (id == NULL || type == NULL || !is_text(id)) {
			complain(c, v->mark, "a related rule has an id and a type");
			return false;
		}
		if (!one_of(type, types)) {
			complain(c, type->mark, "the type is one of derived, obsolete, merged, "
				 "renamed, similar");
			return false;
		}
	}
	return true;
}

static bool tag_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-';
}

static bool tag_is_good(struct slice s)
{
	size_t dot = slice_chr(s, '.');

	for (size_t i = 0; i < s.n; i++) {
		if (!tag_char(s.p[i]) && !(s.p[i] == '.' && i >= dot)) {
			return false;
		}
	}
	return dot != SIZE_MAX && dot > 0 && dot + 1 < s.n;
}

static bool check_tags(const struct doc_node *n, const struct complain *c)
{
	char shown[80];

	if (!check_texts(n, c)) {
		return false;
	}
	for (const struct doc_node *v = n->first; v != NULL; v = v->next) {
		if (!tag_is_good(v->text)) {
			complain(c, v->mark, "tag %s is not of the form attack.t1110: a "
				 "namespace, a dot, small letters, digits, \"_\" and \"-\"",
				 log_quote(shown, sizeof shown, v->text));
			return false;
		}
	}
	return true;
}

bool meta_check(const struct doc_node *root, const struct complain *c)
{
	static const struct {
		const char *key;
		bool (*check)(const struct doc_node *n, const struct complain *c);
	} checks[] = {
		{"related", check_related}, {"taxonomy", check_taxonomy},
		{"status", check_status}, {"license", check_text}, {"author", check_text},
		{"references", check_texts}, {"date", check_date}, {"modified", check_date},
		{"fields", check_texts}, {"falsepositives", check_texts},
		{"tags", check_tags}, {"scope", check_texts},
	};

	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		const struct doc_node *n = doc_find(root, checks[i].key);

		if (n != NULL && !checks[i].check(n, c)) {
			return false;
		}
	}
	return true;
}
