#include "common/err.h"

#include <errno.h>

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

const char *err_advice(int code)
{
	switch (code) {
	case UV_ENOSPC:
	case -EDQUOT:
		return "its disk is full: make room, or set another folder";
	case UV_EROFS:
		return "its file system is mounted read-only";
	case UV_EACCES:
	case UV_EPERM:
		return "its folder must belong to the user that this program runs as, and "
		       "be closed to others";
	case UV_ENOENT:
	case UV_ENOTDIR:
		return "its folder is not there: make it, or set another one";
	case UV_EIO:
		return "its disk has errors: see the kernel's log";
	case UV_EMFILE:
	case UV_ENFILE:
		return "no descriptors are left: raise LimitNOFILE";
	case UV_ELOOP:
		return "a symbolic link stands in its place, which is not followed: name the "
		       "place itself";
	default:
		return "look at what stands at its path";
	}
}
