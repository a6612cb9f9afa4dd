#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "config/read.h"

static void parse_tree(struct reading *r, const struct schema *s,
		       struct slice text, void *settings)
{
	struct doc_error err;
	struct doc tree;
	int rc;

	rc = doc_read(&tree, text, config_limits, &err);
	if (rc == UV_ENOMEM) {
		r->rc = rc;
		return;
	}
	if (rc != 0) {
		reading_error(r, err.mark, "%s", err.text);
		return;
	}
	settings_read(r, s, tree.root, settings);
	doc_fini(&tree);
}

/* Everything about the file as a whole. */
static int file_error(struct config_errors *errs, const char *name, int rc)
{
	const char *hint = "";

	if (rc == ERR_TOO_LARGE) {
		hint = ": a configuration is at most 1 MiB; is this the right file?";
	} else if (rc == UV_ENOENT) {
		hint = ": name the file with -c";
	} else if (rc == UV_EINVAL) {
		hint = ": it must be a regular file";
	} else if (rc == UV_EACCES) {
		hint = ": check its owner and mode";
	}
	errs->more = 0;
	errs->n = 1;
	snprintf(errs->text[0], CONFIG_ERROR_BYTES, "%.300s: cannot be read: %s%s",
		 name, err_str(rc), hint);
	return rc;
}

static int parse(const struct schema *s, const char *name, struct slice text,
		 void **out, struct config_errors *errs)
{
	struct reading r = {name, "", errs, 0};
	void *settings = calloc(1, s->size);

	*out = NULL;
	errs->n = errs->more = 0;
	if (settings == NULL) {
		return file_error(errs, name, UV_ENOMEM);
	}
	if (text.n > CONFIG_FILE_MAX) {
		r.rc = ERR_TOO_LARGE;
	} else {
		parse_tree(&r, s, text, settings);
	}
	if (r.rc != 0 || errs->n > 0) {
		settings_fini(s, settings);
		free(settings);
		return r.rc != 0 ? file_error(errs, name, r.rc) : ERR_CONFIG;
	}
	*out = settings;
	return 0;
}

static int load(const char *path, char **text, size_t *n,
		struct config_errors *errs)
{
	struct sys *sys = sys_plain();
	struct sys_stat st;
	int rc = sys_stat(sys, path, &st);

	/* A pipe has no size and would be read as an empty file. */
	if (rc == 0 && !S_ISREG(st.mode)) {
		rc = UV_EINVAL;
	}
	if (rc == 0) {
		rc = sys_read_file(sys, path, CONFIG_FILE_MAX, text, n);
	}
	return rc == 0 ? 0 : file_error(errs, path, rc);
}

int config_parse_agent(const char *name, struct slice text,
		       struct agent_config **out, struct config_errors *errs)
{
	void *settings;
	int rc = parse(&agent_schema, name, text, &settings, errs);

	*out = settings;
	if (rc == 0) {
		(*out)->has_collector = (*out)->shipper.collectors.n > 0;
	}
	return rc;
}

int config_load_agent(const char *path, struct agent_config **out,
		      struct config_errors *errs)
{
	char *text;
	size_t n;
	int rc;

	*out = NULL;
	rc = load(path, &text, &n, errs);
	if (rc == 0) {
		rc = config_parse_agent(path, slice(text, n), out, errs);
		free(text);
	}
	return rc;
}

void agent_config_free(struct agent_config *c)
{
	if (c != NULL) {
		settings_fini(&agent_schema, c);
		free(c);
	}
}

int config_parse_collector(const char *name, struct slice text,
			   struct collector_config **out,
			   struct config_errors *errs)
{
	void *settings;
	int rc = parse(&collector_schema, name, text, &settings, errs);

	*out = settings;
	return rc;
}

int config_load_collector(const char *path, struct collector_config **out,
			  struct config_errors *errs)
{
	char *text;
	size_t n;
	int rc;

	*out = NULL;
	rc = load(path, &text, &n, errs);
	if (rc == 0) {
		rc = config_parse_collector(path, slice(text, n), out, errs);
		free(text);
	}
	return rc;
}

void collector_config_free(struct collector_config *c)
{
	if (c != NULL) {
		settings_fini(&collector_schema, c);
		free(c);
	}
}
