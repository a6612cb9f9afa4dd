#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "hooks/helper.h"

/* Only root and we can have put it there. */
static bool is_ours(const struct stat *st, bool folder)
{
	/* In a sticky folder nobody can replace another's file. */
	mode_t open = folder && (st->st_mode & S_ISVTX) != 0 ? 0 : S_IWGRP | S_IWOTH;

	return (st->st_uid == 0 || st->st_uid == geteuid()) && (st->st_mode & open) == 0;
}

static int refuse(char why[static HELPER_WHY], int rc, const char *path, const char *what)
{
	snprintf(why, HELPER_WHY, "%.256s %s", path, what);
	return rc;
}

/* Every folder from / to the file. */
static int check_folders(const char *real, char why[static HELPER_WHY])
{
	char folder[PATH_MAX];
	struct stat st;

	for (size_t i = 0; real[i] != '\0'; i++) {
		if (real[i] != '/') {
			continue;
		}
		memcpy(folder, real, i);
		folder[i] = '\0';
		if (stat(i == 0 ? "/" : folder, &st) != 0) {
			return refuse(why, -errno, folder, "cannot be looked at");
		}
		if (!is_ours(&st, true)) {
			return refuse(why, UV_EACCES, i == 0 ? "/" : folder,
				      "is a folder that others can write to; only root and "
				      "the user of the service may (chmod go-w, or move the "
				      "program)");
		}
	}
	return 0;
}

int helper_check_program(const char *path, char why[static HELPER_WHY])
{
	char real[PATH_MAX];
	struct stat st;
	int rc;

	if (path[0] != '/') {
		return refuse(why, UV_EINVAL, path, "is not an absolute path");
	}
	if (realpath(path, real) == NULL || stat(real, &st) != 0) {
		rc = -errno;
		snprintf(why, HELPER_WHY, "%.256s cannot be found: %s", path, err_str(rc));
		return rc;
	}
	if (!S_ISREG(st.st_mode)) {
		return refuse(why, UV_EACCES, path, "is not a regular file");
	}
	if (!is_ours(&st, false)) {
		return refuse(why, UV_EACCES, path,
			      "can be changed by others; it must belong to root or the user "
			      "of the service, and nobody else may write to it (chmod go-w)");
	}
	if (access(real, X_OK) != 0) {
		return refuse(why, UV_EACCES, path, "cannot be executed (chmod +x)");
	}
	return check_folders(real, why);
}
