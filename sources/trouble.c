/* What is wrong with a path is logged once, and not again before it was right. */
#include "common/err.h"
#include "common/log.h"
#include "sources/tail_impl.h"

#define TROUBLE_GAP_NS INT64_C(10000000000)

void tail_trouble(struct tail *t, const char *path, int code, const char *what)
{
	uint64_t hash = tail_path_hash(path);
	char quoted[512];
	size_t at;

	t->stats.errors++;
	for (size_t i = 0; i < t->n_troubles; i++) {
		if (t->troubles[i].path_hash == hash &&
		    t->troubles[i].code == code) {
			return;
		}
	}
	/* Names that can't be read may be as many as somebody likes. */
	if (t->n_troubles == TAIL_MAX_TROUBLES &&
	    sys_mono_ns(t->sys) - t->trouble_ns < TROUBLE_GAP_NS) {
		return;
	}
	at = t->n_troubles < TAIL_MAX_TROUBLES
		     ? t->n_troubles++
		     : t->stats.errors % TAIL_MAX_TROUBLES;
	t->trouble_ns = sys_mono_ns(t->sys);
	t->troubles[at] = (struct trouble){hash, code};
	log_warn(what, "path=%s error=\"%s\"",
		 log_quote(quoted, sizeof quoted, slice_str(path)),
		 err_str(code));
}

void tail_trouble_over(struct tail *t, const char *path)
{
	uint64_t hash;

	if (t->n_troubles == 0) {
		return;
	}
	hash = tail_path_hash(path);
	for (size_t i = t->n_troubles; i > 0; i--) {
		if (t->troubles[i - 1].path_hash == hash) {
			t->troubles[i - 1] = t->troubles[--t->n_troubles];
		}
	}
}
