#include "common/err.h"
#include "detectors/detect.h"
#include "detectors/rule.h"

/* nightjar.examples.{fires,silent}: lists of small logs. */
struct walk {
	detect_example_cb cb;
	void *arg;
	int n;
};

static const char *text(const struct doc_node *root, const char *key)
{
	const struct doc_node *n = doc_find(root, key);

	return n != NULL && n->kind == DOC_SCALAR && n->text.n > 0 ? n->text.p
								   : "";
}

static void walk_list(struct walk *w, const struct doc_node *root,
		      const struct doc_node *list, bool fires)
{
	if (list == NULL || list->kind != DOC_LIST) {
		return;
	}
	for (const struct doc_node *n = list->first; n != NULL; n = n->next) {
		struct slice log = n->text;

		if (n->kind != DOC_SCALAR || log.n == 0) {
			continue;
		}
		if (log.p[log.n - 1] == '\n') {
			log.n--;
		}
		w->cb(w->arg, text(root, "id"), text(root, "title"), log, fires);
		w->n++;
	}
}

static int on_document(void *arg, const struct doc_node *root)
{
	const struct doc_node *examples =
		doc_find(doc_find(root, "nightjar"), "examples");

	walk_list(arg, root, doc_find(examples, "fires"), true);
	walk_list(arg, root, doc_find(examples, "silent"), false);
	return 0;
}

int detect_examples(struct slice yaml, detect_example_cb cb, void *arg)
{
	struct walk w = {cb, arg, 0};
	struct doc_error err;
	int rc = doc_each(yaml, rule_limits, on_document, &w, &err);

	return rc == 0 ? w.n : rc;
}
