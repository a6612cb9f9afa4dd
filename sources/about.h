/* about: copies of settings, for whoever outlives the configuration that they came from. */
#ifndef SOURCES_ABOUT_H
#define SOURCES_ABOUT_H

#include "sources/options.h"

/* UV_ENOMEM; out is for sources_about_fini() then as well. */
int sources_about_copy(struct sources_about *out, const struct sources_about *about);
void sources_about_fini(struct sources_about *a);
bool sources_about_eq(const struct sources_about *a, const struct sources_about *b);

/* The same of a socket's settings. */
int sources_syslog_copy(struct sources_syslog *out, const struct sources_syslog *o);
void sources_syslog_fini(struct sources_syslog *o);

#endif
