/* placeholder: the values that "%Name%" stands for in rules with `expand` (Sigma 2.1,
 * "Placeholders").  Filled before the rules are read, then read only.
 */
#ifndef DETECTORS_PLACEHOLDER_H
#define DETECTORS_PLACEHOLDER_H

#include "common/doc.h"
#include "detectors/arena.h"

struct complain;

struct placeholder_value {
	struct slice text; /* a pattern, as a rule would have it */
	struct placeholder_value *next;
};

struct placeholder {
	struct slice name;
	struct placeholder_value *values;
	struct placeholder *next;
};

struct placeholders {
	struct arena arena;
	struct placeholder *first;
};

void placeholders_fini(struct placeholders *p);

/* Reads one document: a mapping of names to a value or a list.  A name that was there is
 * replaced.  0; ERR_MALFORMED after complaining; UV_ENOMEM. */
int placeholders_read(struct placeholders *p, const struct doc_node *root,
		      const struct complain *complain);

/* Whether the text is one placeholder and nothing else, and its name. */
bool placeholder_alone(struct slice text, struct slice *name);
bool placeholders_has(const struct placeholders *p, struct slice name);

/* Calls text for each value that n may stand for; non-zero ends it and is returned.
 * -1 after complaining about a placeholder that is not known. */
typedef int (*placeholder_cb)(void *arg, struct slice text);
int placeholders_expand(const struct placeholders *p, const struct complain *complain,
			const struct doc_node *n, placeholder_cb text, void *arg);

#endif
