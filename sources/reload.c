/* The globs have changed: what no entry wants any more is closed, its stream kept in
 * mind; everything else goes on where it stands. */
#include "sources/tail_impl.h"

/* Of a rotated file, the name that it rotated from decides. */
static int source_of(const struct tail *t, const struct file *f)
{
	return scan_source_of(t, f->family != NULL ? f->family : f->path);
}

void tail_reload(struct tail *t)
{
	for (size_t i = t->n_files; i > 0; i--) {
		struct file *f = t->files[i - 1];
		int source = source_of(t, f);

		if (source >= 0) {
			f->source = (uint32_t)source;
			if (f->s != NULL) {
				f->s->source = f->source;
			}
			continue;
		}
		if (f->s != NULL) {
			file_park(f, TAIL_EVICTED);
		}
		file_free(f);
	}
	for (size_t i = 0; i < t->n_known; i++) {
		struct known *k = t->known[i];
		int source = k->st.path == NULL ? -1 : scan_source_of(t, k->st.path);

		k->source = source < 0 ? 0 : (uint32_t)source;
		forget_class(t, k);
	}
	tail_want_scan(t);
}
