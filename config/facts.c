#include "config/facts.h"

#include <inttypes.h>
#include <stdio.h>

const char *option_type_name(const struct option *o)
{
	switch (o->type) {
	case OPTION_BOOL:
		return "true or false";
	case OPTION_NUMBER:
		return "number";
	case OPTION_SIZE:
		return "size";
	case OPTION_DURATION:
		return "duration";
	case OPTION_TEXT:
		return "text";
	case OPTION_WORD:
		return "word";
	case OPTION_PATH:
		return "path";
	case OPTION_HOST:
		return "host and port";
	case OPTION_ADDRESS:
		return "address and port";
	case OPTION_HOSTS:
		return "host and port, or a list of them";
	case OPTION_SPAN:
		return "time of day from and to";
	case OPTION_TEXTS:
		return "list of texts";
	case OPTION_PATHS:
		return "list of paths";
	case OPTION_ITEMS:
		return "list of mappings";
	}
	return "";
}

void option_amount(char out[static VALUE_TEXT], enum option_type type, uint64_t v)
{
	if (type == OPTION_SIZE) {
		value_format_size(out, v);
	} else if (type == OPTION_DURATION) {
		value_format_duration(out, v);
	} else {
		snprintf(out, VALUE_TEXT, "%" PRIu64, v);
	}
}

static int words(const struct option *o, struct buf *out)
{
	int rc = buf_printf(out, "One of ");

	for (size_t i = 0; rc == 0 && o->words[i] != NULL; i++) {
		rc = buf_printf(out, "%s%s", i == 0 ? "" : ", ", o->words[i]);
	}
	return rc == 0 ? buf_add_u8(out, '.') : rc;
}

int option_range(const struct option *o, struct buf *out)
{
	char least[VALUE_TEXT], most[VALUE_TEXT];

	switch (o->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		option_amount(least, o->type, o->min);
		option_amount(most, o->type, o->max);
		return buf_printf(out, "From %s to %s.", least, most);
	case OPTION_WORD:
		return words(o, out);
	default:
		return 0;
	}
}
