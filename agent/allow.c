#include "agent/allow.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/sys_uv.h"
#include "sources/names.h"

static void allow_once(struct sandbox_paths *p, const char *path, unsigned access)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].access == access && strcmp(p->list[i].path, path) == 0) {
			return;
		}
	}
	sandbox_allow(p, path, access);
}

/* Of a pattern that ends in a wildcard, all of the folder may match. */
static int on_match_of_folder(void *arg, const char *path)
{
	char copy[SANDBOX_PATH_TEXT];
	struct sys_stat st;

	if (strlen(path) < sizeof copy && sys_stat(sys_plain(), path, &st) == 0) {
		memcpy(copy, path, strlen(path) + 1);
		allow_once(arg, dirname(copy), SANDBOX_READ);
	}
	return 0;
}

/* Of one that ends in a name, that file; what comes in its place is another one, which
 * may be seen (the folder is listed) and not read.  The folder would be all of /etc. */
static int on_match_of_name(void *arg, const char *path)
{
	struct sys_stat st;

	if (sys_stat(sys_plain(), path, &st) == 0 && S_ISREG(st.mode)) {
		allow_once(arg, path, SANDBOX_READ);
	}
	return 0;
}

/* Where the pattern's first wildcard is looked for. */
static void allow_base(struct sandbox_paths *p, const char *pattern)
{
	char base[SANDBOX_PATH_TEXT];
	size_t n = strcspn(pattern, "*?[");

	while (n > 0 && pattern[n - 1] != '/') {
		n--;
	}
	if (n > 0 && n < sizeof base) {
		snprintf(base, sizeof base, "%.*s", (int)(n == 1 ? 1 : n - 1), pattern);
		allow_once(p, base, SANDBOX_LIST);
	}
}

static void allow_pattern(struct sandbox_paths *p, const char *pattern)
{
	allow_base(p, pattern);
	/* What can't be listed now can't be later. */
	(void)names_glob(sys_plain(), pattern, NULL,
			 strpbrk(names_base(pattern), "*?[") != NULL ? on_match_of_folder
								     : on_match_of_name,
			 p);
}

static void allow_watched(struct sandbox_paths *p, const struct agent_config *config,
			  const struct strlist *more)
{
	const struct sources_watch *w = &config->sources.watch;

	for (size_t i = 0; w->enabled && i < w->paths.n; i++) {
		allow_pattern(p, w->paths.v[i]);
	}
	for (size_t i = 0; w->enabled && i < more->n; i++) {
		allow_pattern(p, more->v[i]);
	}
}

/* The folder in front of a glob's first wildcard. */
static void allow_glob(struct sandbox_paths *p, const char *glob)
{
	char base[PATH_MAX];
	size_t n = strcspn(glob, "*?[");

	snprintf(base, sizeof base, "%.*s", (int)(n < PATH_MAX ? n : 0), glob);
	if (glob[n] != '\0' && n > 0 && base[n - 1] == '/') {
		sandbox_allow(p, n == 1 ? "/" : base, SANDBOX_READ);
	} else {
		sandbox_allow_folder_of(p, base, SANDBOX_READ);
	}
}

static void allow_sources(struct sandbox_paths *p, const struct agent_config *c)
{
	for (size_t i = 0; i < c->sources.n_files; i++) {
		for (size_t k = 0; k < c->sources.files[i].paths.n; k++) {
			allow_glob(p, c->sources.files[i].paths.v[k]);
		}
	}
	for (size_t i = 0; i < c->sources.n_journals; i++) {
		const struct strlist *dirs = &c->sources.journals[i].directories;

		for (size_t k = 0; k < dirs->n; k++) {
			sandbox_allow(p, dirs->v[k], SANDBOX_READ);
		}
	}
}

void allow_all(struct sandbox_paths *p, const struct agent_config *c,
	       const char *config_path, const struct strlist *own)
{
	sandbox_allow_system(p);
	allow_sources(p, c);
	for (size_t i = 0; i < c->detectors.packs.n; i++) {
		sandbox_allow(p, c->detectors.packs.v[i], SANDBOX_READ);
	}
	/* They are replaced by other files of the same name. */
	for (size_t i = 0; i < c->detectors.lists.n; i++) {
		sandbox_allow_folder_of(p, c->detectors.lists.v[i], SANDBOX_READ);
	}
	for (size_t i = 0; i < c->detectors.geoip.n; i++) {
		sandbox_allow_folder_of(p, c->detectors.geoip.v[i], SANDBOX_READ);
	}
	if (c->detectors.placeholders != NULL && c->detectors.placeholders[0] != '\0') {
		sandbox_allow_folder_of(p, c->detectors.placeholders, SANDBOX_READ);
	}
	for (size_t i = 0; i < c->hooks.n_hooks; i++) {
		if (c->hooks.hooks[i].type == HOOK_FILE) {
			sandbox_allow_folder_of(p, c->hooks.hooks[i].path,
					SANDBOX_WRITE);
		}
	}
	sandbox_allow(p, c->daemon.state_dir, SANDBOX_WRITE);
	if (c->has_collector) {
		/* They may be renewed, by another file of the same name. */
		sandbox_allow_folder_of(p, c->shipper.certificate, SANDBOX_READ);
		sandbox_allow_folder_of(p, c->shipper.key, SANDBOX_READ);
		sandbox_allow_folder_of(p, c->shipper.authority, SANDBOX_READ);
		sandbox_allow(p, c->shipper.spool_dir, SANDBOX_WRITE);
		/* A reload may name another one. */
		sandbox_allow_resolver(p);
	}
	if (c->daemon.control[0] != '\0') {
		sandbox_allow_folder_of(p, c->daemon.control, SANDBOX_WRITE);
	}
	sandbox_allow_folder_of(p, config_path, SANDBOX_READ); /* For a reload. */
	/* Last: how many there are is others' to decide, and what does not fit is refused. */
	allow_watched(p, c, own);
}
