#include "cli/import_paths.h"

#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/err.h"

struct reading {
	struct import_paths *c;
	struct sys *sys;
	const char *user;
	FILE *err;
};

/* Once a stick is wiped nothing brings back what was not read. */
static void complain(struct reading *r, const char *path, const char *dir, int error)
{
	r->c->missing++;
	if (error == UV_EACCES || error == UV_EPERM) {
		fprintf(r->err,
			"%s: the user %s, as whom it is imported, cannot read it: "
			"`chown -R %s %s` and import again (from a stick that knows no "
			"owners, copy it to a disk first)\n",
			path, r->user, r->user, dir);
	} else if (error == UV_ELOOP) {
		fprintf(r->err, "%s: it is a link: bring the file itself\n", path);
	} else {
		fprintf(r->err, "%s: it cannot be read (%s): copy it again, or export it "
				"again\n",
			path, err_str(error));
	}
}

static int split(struct sys *sys, struct import_path *p, const char *text)
{
	struct sys_stat st;
	char *copy = strdup(text);

	*p = (struct import_path){0};
	if (copy == NULL) {
		return UV_ENOMEM;
	}
	if (sys_stat(sys, text, &st) == 0 && S_ISDIR(st.mode)) {
		p->dir = copy;
		return 0;
	}
	p->base = strdup(spool_path_name(text));
	p->dir = strdup(dirname(copy));
	free(copy);
	return p->base == NULL || p->dir == NULL ? UV_ENOMEM : 0;
}

static bool is_chosen(struct import_paths *c, const char *dir, const char *name)
{
	bool chosen = false;

	for (size_t i = 0; i < c->n_paths; i++) {
		struct import_path *p = &c->paths[i];

		if (strcmp(p->dir, dir) == 0 &&
		    (p->base == NULL || strcmp(p->base, name) == 0)) {
			p->found = chosen = true;
		}
	}
	return chosen;
}

/* What of the folder is chosen. */
static int take(struct reading *r, const char *dir, const struct spool_entries *l)
{
	struct import_paths *c = r->c;
	const struct spool_entry **v = realloc(c->v, (c->n + l->n + 1) * sizeof *v);

	if (v == NULL) {
		return UV_ENOMEM;
	}
	c->v = v;
	for (size_t i = 0; i < l->n; i++) {
		if (is_chosen(c, dir, spool_entry_name(&l->v[i]))) {
			c->v[c->n++] = &l->v[i];
		}
	}
	for (size_t i = 0; i < l->n_unreadable; i++) {
		const struct spool_unreadable *u = &l->unreadable[i];

		if (is_chosen(c, dir, spool_path_name(u->path))) {
			complain(r, u->path, dir, u->error);
		}
	}
	return 0;
}

static int read_folder(struct reading *r, size_t at)
{
	struct import_paths *c = r->c;
	const char *dir = c->paths[at].dir;
	struct spool_entries *l = &c->folders[c->n_folders];
	int rc;

	for (size_t i = 0; i < at; i++) {
		if (strcmp(c->paths[i].dir, dir) == 0) {
			return 0;
		}
	}
	c->n_folders++;
	rc = spool_entries_read(l, r->sys, dir, spool_look);
	if (rc == UV_ENOMEM) {
		return rc;
	}
	if (rc != 0) {
		complain(r, dir, dir, rc);
		for (size_t i = 0; i < c->n_paths; i++) { /* They are told with it. */
			c->paths[i].found |= strcmp(c->paths[i].dir, dir) == 0;
		}
	}
	return take(r, dir, l);
}

int import_paths_choose(struct import_paths *c, struct sys *sys, char *const *paths, size_t n,
			const char *user, FILE *err)
{
	struct reading r = {c, sys, user, err};
	int rc = 0;

	c->paths = calloc(n, sizeof *c->paths);
	c->folders = calloc(n, sizeof *c->folders);
	if (c->paths == NULL || c->folders == NULL) {
		return UV_ENOMEM;
	}
	for (; c->n_paths < n && rc == 0; c->n_paths++) {
		rc = split(sys, &c->paths[c->n_paths], paths[c->n_paths]);
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = read_folder(&r, i);
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (!c->paths[i].found) {
			fprintf(err, "%s: no spool file is there "
				     "(ORDER-QUEUE-SEGMENT.spool, as exported)\n",
				paths[i]);
			c->missing++;
		}
	}
	return rc;
}

void import_paths_fini(struct import_paths *c)
{
	for (size_t i = 0; i < c->n_paths; i++) {
		free(c->paths[i].dir);
		free(c->paths[i].base);
	}
	for (size_t i = 0; i < c->n_folders; i++) {
		spool_entries_fini(&c->folders[i]);
	}
	free(c->paths);
	free(c->folders);
	free(c->v);
}
