#include "hooks/protocol.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/limits.h"

uint8_t protocol_type(struct slice message)
{
	return message.n == 0 ? 0 : (uint8_t)message.p[0];
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

int protocol_table_encode(struct buf *out, const struct hooks_options *options)
{
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < options->n_hooks; i++) {
		n += options->hooks[i].type == HOOK_EXEC;
	}
	if (n > PROTOCOL_HOOKS) {
		return ERR_TOO_LARGE;
	}
	rc = buf_add_u8(out, PROTOCOL_TABLE);
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
	struct slice name = reader_blob(r, 256);
	uint64_t args;
	int rc = 0;

	h->type = HOOK_EXEC;
	h->timeout_ms = reader_varint_max(r, UINT32_MAX);
	h->concurrency = reader_varint_max(r, 1024);
	args = reader_varint_max(r, PROTOCOL_ARGS);
	if (!reader_ok(r) || args == 0 || has_nul(name)) {
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

int protocol_table_decode(struct hooks_options *out, struct slice message)
{
	struct reader r = reader(message);
	uint8_t type = reader_u8(&r);
	size_t n = reader_u8(&r);
	int rc = 0;

	*out = (struct hooks_options){NULL, 0};
	if (!reader_ok(&r) || type != PROTOCOL_TABLE || n == 0 || n > PROTOCOL_HOOKS) {
		return ERR_MALFORMED;
	}
	out->hooks = calloc(n, sizeof *out->hooks);
	if (out->hooks == NULL) {
		return UV_ENOMEM;
	}
	out->n_hooks = n;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = hook_decode(&out->hooks[i], &r);
	}
	if (rc == 0 && !reader_done(&r)) {
		rc = ERR_MALFORMED;
	}
	if (rc != 0) {
		protocol_table_free(out);
	}
	return rc;
}

void protocol_table_free(struct hooks_options *options)
{
	for (size_t i = 0; i < options->n_hooks; i++) {
		free(options->hooks[i].name);
		strlist_fini(&options->hooks[i].command);
	}
	free(options->hooks);
	*options = (struct hooks_options){NULL, 0};
}

/* ---- READY ---- */

int protocol_ready_encode(struct buf *out, struct slice text)
{
	int rc = buf_add_u8(out, PROTOCOL_READY);

	return rc != 0 ? rc : add_blob(out, text);
}

int protocol_ready_decode(struct slice *text, struct slice message)
{
	struct reader r = reader(message);
	uint8_t type = reader_u8(&r);

	*text = reader_blob(&r, 1024);
	return reader_done(&r) && type == PROTOCOL_READY ? 0 : ERR_MALFORMED;
}

/* ---- EXEC ---- */

int protocol_exec_encode(struct buf *out, const struct protocol_exec *e)
{
	int rc = buf_add_u8(out, PROTOCOL_EXEC);

	rc = rc != 0 ? rc : buf_add_u32(out, e->id);
	rc = rc != 0 ? rc : buf_add_u8(out, e->hook);
	rc = rc != 0 ? rc : buf_add_u8(out, (uint8_t)e->n_env);
	for (size_t i = 0; i < e->n_env && rc == 0; i++) {
		rc = add_blob(out, e->env[i]);
	}
	return rc != 0 ? rc : add_blob(out, e->input);
}

/* NIGHTJAR_NAME=value: so that no variable that a loader or a shell looks at can
 * be set from inside the sandbox. */
static bool is_variable(struct slice s)
{
	static const char prefix[] = "NIGHTJAR_";
	size_t i = sizeof prefix - 1;

	if (!slice_starts(s, slice_str(prefix)) || has_nul(s)) {
		return false;
	}
	while (i < s.n && ((s.p[i] >= 'A' && s.p[i] <= 'Z') || s.p[i] == '_')) {
		i++;
	}
	return i > sizeof prefix - 1 && i < s.n && s.p[i] == '=';
}

int protocol_exec_decode(struct protocol_exec *e, struct slice message)
{
	struct reader r = reader(message);
	uint8_t type = reader_u8(&r);

	e->id = reader_u32(&r);
	e->hook = reader_u8(&r);
	e->n_env = reader_u8(&r);
	if (type != PROTOCOL_EXEC || e->n_env > PROTOCOL_ENV) {
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < e->n_env; i++) {
		e->env[i] = reader_blob(&r, PROTOCOL_ENV_MAX);
		if (!reader_ok(&r) || !is_variable(e->env[i])) {
			return ERR_MALFORMED;
		}
	}
	e->input = reader_blob(&r, LIMIT_ALERT_JSON + 1);
	return reader_done(&r) ? 0 : ERR_MALFORMED;
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
