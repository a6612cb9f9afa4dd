#include "common/event.h"

static const char *const names[FIELD_NR] = {
#define X(id, name) [FIELD_##id] = name,
	EVENT_FIELDS(X)
#undef X
};

const char *event_field_name(enum event_field id)
{
	return names[id];
}

int event_field_find(struct slice name)
{
	for (int i = 0; i < FIELD_NR; i++) {
		if (slice_eq(name, slice_str(names[i]))) {
			return i;
		}
	}
	return -1;
}

const char *outcome_name(enum outcome o)
{
	switch (o) {
	case OUTCOME_SUCCESS:
		return "success";
	case OUTCOME_FAILURE:
		return "failure";
	case OUTCOME_UNKNOWN:
		return "unknown";
	default:
		return "";
	}
}
