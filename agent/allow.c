#include "agent/allow.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

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

static int on_match(void *arg, const char *path)
{
	char copy[SANDBOX_PATH_TEXT];
	struct sys_stat st;

	if (strlen(path) < sizeof copy && sys_stat(sys_plain(), path, &st) == 0) {
		memcpy(copy, path, strlen(path) + 1);
		allow_once(arg, dirname(copy), SANDBOX_READ);
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
	(void)names_glob(sys_plain(), pattern, NULL, on_match, p);
}

void allow_watched(struct sandbox_paths *p, const struct agent_config *config,
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
