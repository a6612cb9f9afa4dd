#include "sources/about.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

int sources_about_copy(struct sources_about *out, const struct sources_about *about)
{
	*out = *about;
	out->label = strdup(about->label);
	out->program = strdup(about->program);
	out->zone = strdup(about->zone);
	return out->label == NULL || out->program == NULL || out->zone == NULL ? UV_ENOMEM
									       : 0;
}

void sources_about_fini(struct sources_about *a)
{
	free(a->label);
	free(a->program);
	free(a->zone);
	*a = (struct sources_about){.label = NULL};
}

bool sources_about_eq(const struct sources_about *a, const struct sources_about *b)
{
	return strcmp(a->label, b->label) == 0 && strcmp(a->program, b->program) == 0 &&
	       strcmp(a->zone, b->zone) == 0 && a->full == b->full &&
	       a->senders == b->senders;
}

int sources_syslog_copy(struct sources_syslog *out, const struct sources_syslog *o)
{
	int rc;

	*out = *o;
	out->path = strdup(o->path);
	out->mode = strdup(o->mode);
	out->owner = strdup(o->owner);
	out->address = strdup(o->address);
	rc = sources_about_copy(&out->about, &o->about);
	return out->path == NULL || out->mode == NULL || out->owner == NULL ||
			       out->address == NULL
		       ? UV_ENOMEM
		       : rc;
}

void sources_syslog_fini(struct sources_syslog *o)
{
	free(o->path);
	free(o->mode);
	free(o->owner);
	free(o->address);
	sources_about_fini(&o->about);
	*o = (struct sources_syslog){.path = NULL};
}
