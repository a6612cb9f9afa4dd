#include "sources/runner_protocol.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/reader.h"

enum { TABLE = 1 };

static int add_blob(struct buf *out, struct slice s)
{
	int rc = buf_add_varint(out, s.n);

	return rc != 0 ? rc : buf_add_slice(out, s);
}

static bool has_nul(struct slice s)
{
	return s.n > 0 && memchr(s.p, 0, s.n) != NULL;
}

static int command_encode(struct buf *out, const struct strlist *argv)
{
	int rc;

	if (argv->n == 0 || argv->n > RUNNER_ARGS) {
		return ERR_TOO_LARGE;
	}
	rc = buf_add_varint(out, argv->n);
	for (size_t i = 0; i < argv->n && rc == 0; i++) {
		struct slice arg = slice_str(argv->v[i]);

		rc = arg.n > RUNNER_ARG_MAX ? ERR_TOO_LARGE : add_blob(out, arg);
	}
	return rc;
}

int runner_table_encode(struct buf *out, const char *user, bool sandbox,
			const struct sources_options *options)
{
	int rc;

	if (options->n_commands > RUNNER_COMMANDS ||
	    strlen(user) >= sizeof ((struct runner_table *)0)->user) {
		return ERR_TOO_LARGE;
	}
	rc = buf_add_u8(out, TABLE);
	rc = rc != 0 ? rc : add_blob(out, slice_str(user));
	rc = rc != 0 ? rc : buf_add_u8(out, sandbox);
	rc = rc != 0 ? rc : buf_add_u8(out, (uint8_t)options->n_commands);
	for (size_t i = 0; i < options->n_commands && rc == 0; i++) {
		rc = command_encode(out, &options->commands[i].command);
	}
	return rc;
}

static int command_decode(struct strlist *argv, struct reader *r)
{
	uint64_t n = reader_varint_max(r, RUNNER_ARGS);
	int rc = 0;

	if (!reader_ok(r) || n == 0) {
		return ERR_MALFORMED;
	}
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		struct slice arg = reader_blob(r, RUNNER_ARG_MAX);

		if (!reader_ok(r) || has_nul(arg)) {
			return ERR_MALFORMED;
		}
		rc = strlist_add(argv, arg);
	}
	return rc;
}

static int table_body(struct runner_table *t, struct reader *r)
{
	struct slice user;
	uint8_t sandbox, n;
	int rc = 0;

	if (reader_u8(r) != TABLE) {
		return ERR_MALFORMED;
	}
	user = reader_blob(r, sizeof t->user - 1);
	sandbox = reader_u8(r);
	n = reader_u8(r);
	if (!reader_ok(r) || has_nul(user) || sandbox > 1 || n > RUNNER_COMMANDS) {
		return ERR_MALFORMED;
	}
	memcpy(t->user, user.n == 0 ? "" : user.p, user.n);
	t->sandbox = sandbox == 1;
	t->commands = calloc((size_t)n + 1, sizeof *t->commands);
	if (t->commands == NULL) {
		return UV_ENOMEM;
	}
	t->n = n;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = command_decode(&t->commands[i], r);
	}
	return rc != 0 ? rc : reader_done(r) ? 0 : ERR_MALFORMED;
}

int runner_table_decode(struct runner_table *out, struct slice message)
{
	struct reader r = reader(message);
	int rc;

	*out = (struct runner_table){0};
	rc = table_body(out, &r);
	if (rc != 0) {
		runner_table_free(out);
	}
	return rc;
}

void runner_table_free(struct runner_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		strlist_fini(&t->commands[i]);
	}
	free(t->commands);
	*t = (struct runner_table){0};
}

int runner_message_encode(struct buf *out, const struct runner_message *m)
{
	int rc = buf_add_u8(out, (uint8_t)m->type);

	rc = rc != 0 ? rc : buf_add_u8(out, m->command);
	return rc != 0 ? rc : buf_add_u32(out, m->status);
}

int runner_message_decode(struct runner_message *m, struct slice message)
{
	struct reader r = reader(message);
	uint8_t type = reader_u8(&r);

	m->type = type;
	m->command = reader_u8(&r);
	m->status = reader_u32(&r);
	return reader_done(&r) && type >= RUNNER_RUN && type <= RUNNER_FAILED
		       ? 0
		       : ERR_MALFORMED;
}
