#include "tests/support/identities.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/sys_uv.h"

static int64_t shifted_wall(struct sys *s)
{
	/* sys is a member: back to the whole. */
	struct identities *t =
		(struct identities *)(void *)((char *)s -
					      offsetof(struct identities, sys));

	return sys_wall_ns(sys_plain()) + t->shift_ms * 1000000;
}

void identities_open(struct identities *t)
{
	static const char template[] = "/tmp/nightjar-pki-XXXXXX";

	memset(t, 0, sizeof *t);
	memcpy(t->dir, template, sizeof template);
	assert_non_null(mkdtemp(t->dir));
	t->ops = *sys_plain()->ops;
	t->ops.wall_ns = shifted_wall;
	t->sys.ops = &t->ops;
	pki_setup(&t->pki, &t->sys, t->dir);
	t->pki.force = true;
	if (pki_authority(&t->pki) != 0) {
		fail_msg("%s", t->pki.why);
	}
}

static int remove_it(void *arg, const char *name, bool is_dir)
{
	(void)is_dir;
	unlink(identities_path(arg, name));
	return 0;
}

void identities_close(struct identities *t)
{
	sys_list(sys_plain(), t->dir, remove_it, t);
	rmdir(t->dir);
}

const char *identities_path(struct identities *t, const char *name)
{
	static char paths[4][PKI_PATH];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, PKI_PATH, "%s/%s", t->dir, name);
	return path;
}

static struct identity *load(struct identities *t)
{
	char why[IDENTITY_WHY];
	struct identity *id;

	if (identity_load(&id, t->pki.crt_path, t->pki.key_path,
			  identities_path(t, "authority.crt"),
			  sys_wall_ns(&t->sys) / 1000000, why) != 0) {
		fail_msg("%s", why);
	}
	return id;
}

struct identity *identities_device(struct identities *t, const char *name)
{
	if (pki_device(&t->pki, name) != 0) {
		fail_msg("%s", t->pki.why);
	}
	return load(t);
}

struct identity *identities_collector(struct identities *t, const char *host)
{
	const char *const hosts[] = {host};

	if (pki_collector(&t->pki, hosts, 1) != 0) {
		fail_msg("%s", t->pki.why);
	}
	return load(t);
}

int identities_load(struct identities *t, struct identity **out,
		    const char *crt, const char *key, const char *ca,
		    char why[static IDENTITY_WHY])
{
	return identity_load(out, identities_path(t, crt),
			     identities_path(t, key), identities_path(t, ca),
			     sys_wall_ns(&t->sys) / 1000000, why);
}
