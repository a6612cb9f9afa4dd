#include "cli/referred.h"

#include <stdio.h>

#include "common/sys_uv.h"

struct saying {
	const char *command;
	bool wrong;
};

static void on_told(void *arg, const struct refer_told *t)
{
	struct saying *s = arg;

	if (t->good) {
		return;
	}
	if (t->odd) {
		fprintf(stderr, "warning: %s: %s\n", t->path, t->text);
		return;
	}
	s->wrong = true;
	if (t->line > 0) {
		fprintf(stderr, "%s:%u: %s\n", t->path, t->line, t->text);
	} else {
		fprintf(stderr, "nightjar %s: %s: %s\n", s->command, t->path, t->text);
	}
}

int referred_open(struct refer **out, const char *command, const struct detectors_options *o,
		  const uint8_t key[static 16], bool *wrong)
{
	struct saying s = {command, false};
	int rc = refer_new(out, o, key);

	if (rc == 0) {
		refer_check(*out, on_told, &s);
		refer_load(*out, sys_plain(), on_told, &s);
	}
	*wrong = s.wrong;
	return rc;
}
