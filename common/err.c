#include "common/err.h"

const char *err_str(int code)
{
	switch (code) {
#define X(name, num, text) \
	case num:          \
		return text;
	ERR_MAP(X)
#undef X
	default:
		return code >= 0 ? "ok" : uv_strerror(code);
	}
}
