#include "hooks/protocol.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/reader.h"

const char *hook_variable_name(enum hook_variable v)
{
	static const char *const names[] = {
#define X(name) "NIGHTJAR_" #name,
		HOOK_VARIABLES(X)
#undef X
	};

	return names[v];
}

static int add_blob(struct buf *out, struct slice s)
{
	int rc = buf_add_varint(out, s.n);

	return rc != 0 ? rc : buf_add_slice(out, s);
}

static bool has_nul(struct slice s)
{
	return s.n > 0 && memchr(s.p, 0, s.n) != NULL;
}

/* ---- TABLE ---- */

enum { NAME_MAX_BYTES = 256, TIMEOUT_MAX_MS = 24 * 3600 * 1000 };

static int hook_encode(struct buf *out, const struct hook_options *h)
{
	int rc = add_blob(out, slice_str(h->name));

	if (h->command.n == 0 || h->command.n > PROTOCOL_ARGS) {
		return ERR_TOO_LARGE;
	}
	rc = rc != 0 ? rc : buf_add_varint(out, h->timeout_ms);
	rc = rc != 0 ? rc : buf_add_varint(out, h->concurrency);
	rc = rc != 0 ? rc : buf_add_varint(out, h->command.n);
	for (size_t i = 0; i < h->command.n && rc == 0; i++) {
		if (strlen(h->command.v[i]) > PROTOCOL_ARG_MAX) {
			return ERR_TOO_LARGE;
		}
		rc = add_blob(out, slice_str(h->command.v[i]));
	}
	return rc;
}

int protocol_table_encode(struct buf *out, const char *user, bool sandbox,
			  const struct hooks_options *options)
{
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < options->n_hooks; i++) {
		n += options->hooks[i].type == HOOK_EXEC;
	}
	if (n > PROTOCOL_HOOKS ||
	    strlen(user) >= sizeof ((struct protocol_table *)0)->user) {
		return ERR_TOO_LARGE;
	}
	rc = buf_add_u8(out, PROTOCOL_TABLE);
	rc = rc != 0 ? rc : add_blob(out, slice_str(user));
	rc = rc != 0 ? rc : buf_add_u8(out, sandbox);
	rc = rc != 0 ? rc : buf_add_u8(out, (uint8_t)n);
	for (size_t i = 0; i < options->n_hooks && rc == 0; i++) {
		if (options->hooks[i].type == HOOK_EXEC) {
			rc = hook_encode(out, &options->hooks[i]);
		}
	}
	return rc;
}

static int hook_decode(struct hook_options *h, struct reader *r)
{
	struct slice name = reader_blob(r, NAME_MAX_BYTES);
	uint64_t args;
	int rc = 0;

	h->type = HOOK_EXEC;
	h->timeout_ms = reader_varint_max(r, TIMEOUT_MAX_MS);
	h->concurrency = reader_varint_max(r, PROTOCOL_JOBS);
	args = reader_varint_max(r, PROTOCOL_ARGS);
	if (!reader_ok(r) || args == 0 || has_nul(name) || h->concurrency == 0) {
		return ERR_MALFORMED;
	}
	h->name = calloc(1, name.n + 1);
	if (h->name == NULL) {
		return UV_ENOMEM;
	}
	memcpy(h->name, name.n == 0 ? "" : name.p, name.n);
	for (uint64_t i = 0; i < args && rc == 0; i++) {
		struct slice arg = reader_blob(r, PROTOCOL_ARG_MAX);

		if (!reader_ok(r) || has_nul(arg)) {
			return ERR_MALFORMED;
		}
		rc = strlist_add(&h->command, arg);
	}
	return rc;
}

static int table_body(struct protocol_table *out, struct reader *r)
{
	struct slice user = reader_blob(r, sizeof out->user - 1);
	uint8_t sandbox = reader_u8(r);
	size_t n = reader_u8(r);
	int rc = 0;

	if (!reader_ok(r) || has_nul(user) || sandbox > 1 || n > PROTOCOL_HOOKS) {
		return ERR_MALFORMED;
	}
	memcpy(out->user, user.n == 0 ? "" : user.p, user.n);
	out->sandbox = sandbox == 1;
	out->options.hooks = calloc(n + 1, sizeof *out->options.hooks);
	if (out->options.hooks == NULL) {
		return UV_ENOMEM;
	}
	out->options.n_hooks = n;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = hook_decode(&out->options.hooks[i], r);
	}
	return rc != 0 || reader_done(r) ? rc : ERR_MALFORMED;
}

int protocol_table_decode(struct protocol_table *out, struct slice message)
{
	struct reader r = reader(message);
	int rc = ERR_MALFORMED;

	*out = (struct protocol_table){0};
	if (reader_u8(&r) == PROTOCOL_TABLE) {
		rc = table_body(out, &r);
	}
	if (rc != 0) {
		protocol_table_free(out);
	}
	return rc;
}

void protocol_table_free(struct protocol_table *t)
{
	for (size_t i = 0; i < t->options.n_hooks; i++) {
		free(t->options.hooks[i].name);
		strlist_fini(&t->options.hooks[i].command);
	}
	free(t->options.hooks);
	t->options = (struct hooks_options){NULL, 0};
}

/* ---- EXEC ---- */

int protocol_exec_encode(struct buf *out, const struct protocol_exec *e)
{
	int rc = buf_add_u8(out, PROTOCOL_EXEC);

	rc = rc != 0 ? rc : buf_add_u32(out, e->id);
	rc = rc != 0 ? rc : buf_add_u8(out, e->hook);
	for (size_t i = 0; i < VARIABLE_NR && rc == 0; i++) {
		rc = add_blob(out, e->value[i]);
	}
	return rc != 0 ? rc : add_blob(out, e->input);
}

static bool has_control(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == 127) {
			return true;
		}
	}
	return false;
}

int protocol_exec_decode(struct protocol_exec *e, struct slice message)
{
	struct reader r = reader(message);
	uint8_t type = reader_u8(&r);

	e->id = reader_u32(&r);
	e->hook = reader_u8(&r);
	for (size_t i = 0; i < VARIABLE_NR; i++) {
		e->value[i] = reader_blob(&r, PROTOCOL_VALUE_MAX);
		if (has_control(e->value[i])) {
			return ERR_MALFORMED;
		}
	}
	e->input = reader_blob(&r, PROTOCOL_INPUT_MAX);
	return reader_done(&r) && type == PROTOCOL_EXEC ? 0 : ERR_MALFORMED;
}

/* ---- DONE ---- */

int protocol_done_encode(struct buf *out, const struct protocol_done *d)
{
	int rc = buf_add_u8(out, PROTOCOL_DONE);

	rc = rc != 0 ? rc : buf_add_u32(out, d->id);
	rc = rc != 0 ? rc : buf_add_u8(out, d->how);
	rc = rc != 0 ? rc : buf_add_u32(out, d->status);
	return rc != 0 ? rc : buf_add_u32(out, d->duration_ms);
}

int protocol_done_decode(struct protocol_done *d, struct slice message)
{
	struct reader r = reader(message);
	uint8_t type = reader_u8(&r);

	d->id = reader_u32(&r);
	d->how = reader_u8(&r);
	d->status = reader_u32(&r);
	d->duration_ms = reader_u32(&r);
	return reader_done(&r) && type == PROTOCOL_DONE && d->how <= HOW_FAILED
		       ? 0
		       : ERR_MALFORMED;
}
