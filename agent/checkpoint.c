#include "agent/checkpoint.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/reader.h"

enum { STREAMS_VERSION = 1, SHIPPER_MAX = 64 * 1024 };

static int path_of(char out[static PATH_MAX], const char *dir,
		   const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX
		       ? 0
		       : UV_ENAMETOOLONG;
}

int checkpoint_save(struct sys *sys, const char *dir, const char *name,
		    const struct device_secret *secret, struct slice plain)
{
	char path[PATH_MAX];
	struct buf sealed;
	int rc = path_of(path, dir, name);

	buf_init(&sealed, CHECKPOINT_MAX);
	if (rc == 0) {
		rc = local_seal(secret, sys, name, plain, &sealed);
	}
	if (rc == 0) {
		rc = sys_replace(sys, dir, path, sealed.p, sealed.n, 0600);
	}
	buf_fini(&sealed);
	return rc;
}

int checkpoint_save_buf(struct sys *sys, const char *dir, const char *name,
			const struct device_secret *secret, struct buf *plain)
{
	char path[PATH_MAX];
	int rc = path_of(path, dir, name);

	if (rc == 0) {
		rc = local_seal_buf(secret, sys, name, plain);
	}
	return rc == 0 ? sys_replace(sys, dir, path, plain->p, plain->n, 0600) : rc;
}

static void set_aside(struct sys *sys, const char *path, int why)
{
	char aside[PATH_MAX + 16];
	int rc;

	snprintf(aside, sizeof aside, "%s.damaged", path);
	rc = sys_rename(sys, path, aside);
	log_error("saved state can't be used and is set aside; lines are read "
		  "again and the collector takes what it lacks",
		  "path=%s reason=\"%s\" rename=\"%s\"", path, err_str(why),
		  err_str(rc));
}

int checkpoint_load(struct sys *sys, const char *dir, const char *name,
		    const struct device_secret *secret, struct buf *plain)
{
	char path[PATH_MAX];
	char *bytes;
	size_t n;
	int rc = path_of(path, dir, name);

	buf_clear(plain);
	if (rc == 0) {
		rc = sys_read_file(sys, path, CHECKPOINT_MAX, &bytes, &n);
	}
	if (rc == UV_ENOENT) {
		return 0;
	}
	if (rc == 0) {
		rc = local_open(secret, name, slice(bytes, n), plain);
		free(bytes);
	}
	if (rc != 0 && rc != UV_ENOMEM) {
		buf_clear(plain);
		set_aside(sys, path, rc);
		rc = 0;
	}
	return rc;
}

int checkpoint_streams_encode(const struct stream_state *states, size_t n,
			      struct slice shipper, struct buf *out)
{
	int rc = buf_add_u8(out, STREAMS_VERSION);

	if (rc == 0) {
		rc = buf_add_varint(out, shipper.n);
	}
	if (rc == 0) {
		rc = buf_add_slice(out, shipper);
	}
	return rc != 0 ? rc : stream_table_encode(states, n, out);
}

int checkpoint_streams_decode(struct slice bytes, struct stream_state **states,
			      size_t *n, struct slice *shipper)
{
	struct reader r = reader(bytes);

	*states = NULL;
	*n = 0;
	*shipper = SLICE_NONE;
	if (bytes.n == 0) {
		return 0;
	}
	if (reader_u8(&r) != STREAMS_VERSION) {
		return ERR_VERSION;
	}
	*shipper = reader_blob(&r, SHIPPER_MAX);
	if (!reader_ok(&r)) {
		return ERR_TRUNCATED;
	}
	return stream_table_decode(reader_bytes(&r, reader_left(&r)), states, n);
}
