#include "redact/verify.h"

void work_mask(struct work *w, enum rule rule, size_t from, size_t to)
{
	if (from >= to || (w->off >> rule & 1) != 0 ||
	    mask_at(slice(w->p + from, to - from)) == to - from) {
		return;
	}
	if (w->n_spans == SPANS_MAX) {
		w->rest = from < w->rest ? from : w->rest;
		return;
	}
	w->spans[w->n_spans++] = (struct span){from, to, (uint8_t)rule, false};
}

bool work_spend(struct work *w, size_t at, size_t n)
{
	if (n <= w->budget) {
		w->budget -= n;
		return true;
	}
	w->budget = 0;
	/* What stands before a literal can be part of its secret. */
	at = at > 64 ? at - 64 : 0;
	w->rest = at < w->rest ? at : w->rest;
	return false;
}
