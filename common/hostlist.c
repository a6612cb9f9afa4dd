#include "common/hostlist.h"

#include <stdlib.h>

#include "common/err.h"

int hostlist_add(struct hostlist *l, struct slice name, uint16_t port,
		 unsigned rank)
{
	struct hostport *v = realloc(l->v, (l->n + 1) * sizeof *v);
	char *copy;

	if (v == NULL) {
		return UV_ENOMEM;
	}
	l->v = v;
	copy = strndup(name.n > 0 ? name.p : "", name.n);
	if (copy == NULL) {
		return UV_ENOMEM;
	}
	l->v[l->n++] = (struct hostport){copy, port, rank};
	return 0;
}

void hostlist_fini(struct hostlist *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
	}
	free(l->v);
	*l = (struct hostlist){0};
}

bool hostlist_eq(const struct hostlist *a, const struct hostlist *b)
{
	for (size_t i = 0; i < a->n && a->n == b->n; i++) {
		if (strcmp(a->v[i].name, b->v[i].name) != 0 ||
		    a->v[i].port != b->v[i].port ||
		    a->v[i].rank != b->v[i].rank) {
			return false;
		}
	}
	return a->n == b->n;
}
