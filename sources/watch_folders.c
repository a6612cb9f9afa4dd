#include "sources/watch_folders.h"

#include <stdlib.h>
#include <string.h>

#include "sources/fstype.h"
#include "sources/names.h"

void watch_folders_init(struct watch_folders *f, struct sys *sys, enum sources_notify notify,
			void (*notice)(void *arg, const char *name), void *arg)
{
	f->sys = sys;
	f->notify = notify;
	f->notice = notice;
	f->arg = arg;
	f->n = 0;
}

static void drop(struct watch_folders *f, size_t i)
{
	sys_watch_free(f->sys, f->v[i].watch);
	free(f->v[i].path);
	f->v[i] = f->v[--f->n];
}

void watch_folders_fini(struct watch_folders *f)
{
	while (f->n > 0) {
		drop(f, f->n - 1);
	}
}

/* Whether every change there brings a notice. */
static bool would_tell(const struct watch_folders *f, const char *path)
{
	uint64_t type;

	if (f->notify != SOURCES_NOTIFY_AUTO) {
		return f->notify == SOURCES_NOTIFY_ALWAYS;
	}
	return sys_fs_type(f->sys, path, &type) != 0 || fstype_silent(type) == NULL;
}

static void add(struct watch_folders *f, const char *path)
{
	struct watch_folder *d;

	for (size_t i = 0; i < f->n; i++) {
		if (strcmp(f->v[i].path, path) == 0) {
			return;
		}
	}
	if (f->n == WATCH_FOLDERS_MAX || !would_tell(f, path)) {
		return;
	}
	d = &f->v[f->n];
	d->path = strdup(path);
	if (d->path == NULL) {
		return;
	}
	if (sys_watch_new(f->sys, &d->watch, path, f->notice, f->arg) != 0) {
		free(d->path);
		return;
	}
	f->n++;
}

void watch_folders_set(struct watch_folders *f, const struct strlist *wanted, bool renew)
{
	for (size_t i = f->n; i > 0; i--) {
		if (renew || !names_in_list(wanted, f->v[i - 1].path)) {
			drop(f, i - 1);
		}
	}
	for (size_t i = 0; i < wanted->n; i++) {
		add(f, wanted->v[i]);
	}
}
