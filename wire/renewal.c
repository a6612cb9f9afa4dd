#include "wire/renewal.h"

#include <stdio.h>

#include "common/err.h"

/* true: another file, or another content. */
static bool look(struct renewal *r)
{
	bool changed = false;

	for (int i = 0; i < RENEWAL_FILES; i++) {
		struct sys_stat now = {0}, *seen = &r->seen[i];

		if (sys_stat(r->sys, r->paths[i], &now) != 0) {
			now = (struct sys_stat){0};
		}
		changed = changed || now.dev != seen->dev ||
			  now.ino != seen->ino || now.size != seen->size ||
			  now.mtime_ns != seen->mtime_ns ||
			  now.mode != seen->mode;
		*seen = now;
	}
	return changed;
}

void renewal_init(struct renewal *r, struct sys *sys, const char *cert_path,
		  const char *key_path, const char *ca_path)
{
	*r = (struct renewal){.sys = sys,
			      .paths = {cert_path, key_path, ca_path}};
	look(r);
}

int renewal_check(struct renewal *r, const struct identity *same_key,
		  struct identity **fresh, char why[static IDENTITY_WHY])
{
	struct hash32 was, is;
	int rc;

	*fresh = NULL;
	if (!look(r)) {
		return 0;
	}
	rc = identity_load(fresh, r->paths[0], r->paths[1], r->paths[2],
			   sys_wall_ns(r->sys) / 1000000, why);
	if (rc != 0 || same_key == NULL) {
		return rc == 0 ? 1 : rc;
	}
	was = identity_hash(same_key);
	is = identity_hash(*fresh);
	if (hash32_eq(&was, &is)) {
		return 1;
	}
	identity_free(*fresh);
	*fresh = NULL;
	snprintf(why, IDENTITY_WHY,
		 "%s is of another key, and so of another device; restart the agent "
		 "to become that one",
		 r->paths[0]);
	return ERR_CERTIFICATE;
}
