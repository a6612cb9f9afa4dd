/* json: a streaming JSON writer into a buf, for output that is made per record.
 *
 * The caller keeps the nesting right; commas and colons are the writer's.  The
 * first error (no memory, buffer's limit) sticks: json_end() returns it.
 * Strings: bytes that are not valid UTF-8 become U+FFFD, control characters
 * \u00XX (RFC 8259), so that the output is always valid JSON.  Not thread-safe.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "common/buf.h"

/* Jansson, which some programs link as well, has functions of these names: ours
 * get other symbols, so that neither is called for the other.  A file can't
 * include both headers. */
#define json_object json_write_object
#define json_object_end json_write_object_end
#define json_array json_write_array
#define json_array_end json_write_array_end
#define json_string json_write_string
#define json_null json_write_null

struct json {
	struct buf *out; /* kept */
	int rc;
	bool need_comma;
};

static inline struct json json_begin(struct buf *out)
{
	return (struct json){out, 0, false};
}

/* key: NULL inside arrays and at the top. */
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_string(struct json *j, const char *key, struct slice value);
void json_cstr(struct json *j, const char *key, const char *value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_double(struct json *j, const char *key, double value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
/* Unix nanoseconds as "2026-11-22T15:37:46.123456789Z", the fraction shortened to what
 * it needs; TIME_NONE as null. */
void json_time(struct json *j, const char *key, int64_t ns);
/* Bytes as lower-case hexadecimal. */
void json_hex(struct json *j, const char *key, const void *p, size_t n);
/* Already valid JSON, as it is. */
void json_raw(struct json *j, const char *key, struct slice text);

static inline int json_end(struct json *j)
{
	return j->rc;
}

#endif
