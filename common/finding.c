#include "common/finding.h"

static const char *const names[] = {"informational", "low", "medium", "high",
				    "critical"};

const char *severity_name(enum severity s)
{
	return names[s];
}

int severity_parse(struct slice name)
{
	for (int i = 0; i < 5; i++) {
		if (slice_eq(name, slice_str(names[i]))) {
			return i;
		}
	}
	return -1;
}
