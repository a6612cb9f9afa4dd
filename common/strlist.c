#include "common/strlist.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

int strlist_add(struct strlist *l, struct slice s)
{
	char *copy = malloc(s.n + 1);
	char **v;

	if (copy == NULL) {
		return UV_ENOMEM;
	}
	if (s.n > 0) {
		memcpy(copy, s.p, s.n);
	}
	copy[s.n] = '\0';
	/* Lists of settings are short: one reallocation for each is fine. */
	v = realloc(l->v, (l->n + 2) * sizeof *v);
	if (v == NULL) {
		free(copy);
		return UV_ENOMEM;
	}
	v[l->n] = copy;
	v[l->n + 1] = NULL;
	l->v = v;
	l->n++;
	return 0;
}

void strlist_fini(struct strlist *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i]);
	}
	free(l->v);
	*l = (struct strlist){NULL, 0};
}
