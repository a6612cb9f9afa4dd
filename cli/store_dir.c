#include "cli/store_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "collector/share.h"
#include "common/err.h"
#include "common/sys_uv.h"
#include "config/config.h"

static int from_config(const char *command, const char *config,
		       char out[static STORE_PATH])
{
	struct config_errors *errs = calloc(1, sizeof *errs);
	struct collector_config *c;
	int rc;

	if (errs == NULL) {
		return cli_fail(command, "out of memory");
	}
	rc = config_load_collector(config, &c, errs);
	if (rc != 0) {
		for (size_t i = 0; i < errs->n; i++) {
			fprintf(stderr, "%s\n", errs->text[i]);
		}
		rc = cli_fail(command,
			      "%s does not tell where the store is; name it "
			      "with --store DIR",
			      config);
	} else {
		snprintf(out, STORE_PATH, "%s", c->collector.store_dir);
		collector_config_free(c);
	}
	free(errs);
	return rc;
}

int store_dir_open(struct store *out, const char *command, const char *dir,
		   const char *config)
{
	char path[STORE_PATH], why[512] = "";
	int rc = 0;

	if (dir != NULL) {
		snprintf(path, sizeof path, "%s", dir);
	} else {
		rc = from_config(command,
				 config != NULL ? config
						: CONFIG_COLLECTOR_PATH,
				 path);
	}
	if (rc != 0) {
		return rc;
	}
	rc = store_open_read(out, sys_plain(), path, why);
	return rc == 0 ? 0 : cli_fail(command, "%s", why);
}

struct devices {
	struct store *s;
	struct device *v;
	size_t n, room;
};

static int on_device(void *arg, const char *name, bool is_dir)
{
	struct devices *l = arg;
	struct device d = {0};

	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	hash32_hex(d.hex, &d.id);
	if (l->n == l->room) {
		size_t room = l->room * 2 + 16;
		struct device *v = realloc(l->v, room * sizeof *v);

		if (v == NULL) {
			return UV_ENOMEM;
		}
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = d;
	return 0;
}

/* The name in the newest segment. */
static void name_device(struct store *s, struct device *d)
{
	struct segment_list l;
	struct segment_reader *r = malloc(sizeof *r);
	char dir[STORE_PATH];
	int fd = share_pin(s, d, dir);

	snprintf(d->name, sizeof d->name, "%.16s", d->hex);
	if (r == NULL || fd < 0 || segment_list_read(&l, s->sys, dir) != 0) {
		share_unpin(s, fd);
		free(r);
		return;
	}
	for (size_t i = l.n; i > 0; i--) {
		if (segment_reader_open(r, s->sys, dir, &l.v[i - 1]) == 0) {
			if (r->device_name[0] != '\0') {
				memcpy(d->name, r->device_name,
				       sizeof d->name);
			}
			segment_reader_close(r);
			break;
		}
	}
	segment_list_fini(&l);
	share_unpin(s, fd);
	free(r);
}

static int by_name(const void *a, const void *b)
{
	const struct device *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : strcmp(x->hex, y->hex);
}

int store_dir_devices(struct store *s,
		      int (*cb)(void *arg, const struct device *d), void *arg)
{
	struct devices l = {.s = s};
	char path[STORE_PATH];
	int rc;

	snprintf(path, sizeof path, "%.*s/devices", STORE_PATH - 32, s->dir);
	rc = sys_list(s->sys, path, on_device, &l);
	for (size_t i = 0; i < l.n; i++) {
		name_device(s, &l.v[i]);
	}
	if (l.n > 1) {
		qsort(l.v, l.n, sizeof *l.v, by_name);
	}
	for (size_t i = 0; i < l.n && rc == 0; i++) {
		rc = cb(arg, &l.v[i]);
	}
	free(l.v);
	return rc;
}
