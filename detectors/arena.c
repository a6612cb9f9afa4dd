#include "detectors/arena.h"

#include <stdlib.h>

enum { BLOCK = 8192 };

struct arena_block {
	struct arena_block *next;
	size_t used, room;
	_Alignas(16) char p[];
};

void *arena_take(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	void *out;

	if (n > SIZE_MAX / 2) {
		return NULL;
	}
	n = (n + 15) & ~(size_t)15;
	if (b == NULL || b->room - b->used < n) {
		size_t room = n > BLOCK ? n : BLOCK;

		b = calloc(1, sizeof *b + room);
		if (b == NULL) {
			return NULL;
		}
		b->room = room;
		b->next = a->blocks;
		a->blocks = b;
	}
	out = b->p + b->used;
	b->used += n;
	return out;
}

char *arena_text(struct arena *a, struct slice s)
{
	char *out = arena_take(a, s.n + 1);

	if (out != NULL && s.n > 0) {
		memcpy(out, s.p, s.n);
	}
	return out;
}

void arena_fini(struct arena *a)
{
	while (a->blocks != NULL) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
}
