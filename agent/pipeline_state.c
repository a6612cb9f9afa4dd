#include <stdlib.h>

#include "agent/pipeline_impl.h"
#include "common/err.h"
#include "common/reader.h"

/* ---- what is remembered ---- */

struct state_list {
	struct stream_state *v;
	size_t n;
};

/* The tail may have heard of it from the collector, without a place. */
static int add_state(void *arg, const struct stream_state *st)
{
	struct state_list *l = arg;
	struct stream_state *at, *v;
	size_t i = 0;

	while (i < l->n && !stream_id_eq(&l->v[i].id, &st->id)) {
		i++;
	}
	if (i < l->n) {
		stream_state_fini(&l->v[i]);
		return stream_state_copy(&l->v[i], st);
	}
	if (l->n == STREAM_TABLE_MAX) {
		stream_state_fini(&l->v[--l->n]);
	}
	v = realloc(l->v, (l->n + 1) * sizeof *v);
	if (v == NULL) {
		return UV_ENOMEM;
	}
	l->v = v;
	at = &v[l->n];
	if (stream_state_copy(at, st) != 0) {
		return UV_ENOMEM;
	}
	l->n++;
	return 0;
}

int pipeline_states(struct pipeline *p, struct stream_state **out, size_t *n)
{
	struct state_list l = {NULL, 0};
	int rc = tail_states(p->tail, &l.v, &l.n);

	for (size_t i = 0; i < p->n_sources && rc == 0; i++) {
		const struct source_ops *ops = p->sources[i]->ops;

		if (ops->states != NULL) {
			rc = ops->states(p->sources[i], add_state, &l);
		}
	}
	if (rc != 0) {
		stream_states_free(l.v, l.n);
		return rc;
	}
	*out = l.v;
	*n = l.n;
	return 0;
}

/* ---- saving ----
 * version (8 bit), number of cursors (varint), each: id (16 bytes), D (varint); alerts'
 * state (blob), detectors' state (blob), number of alerts that wait for their lane
 * (varint), each: time (64 bit), JSON (blob); what programs' lines were understood (blob). */

static int save_cursors(struct pipeline *p, struct buf *out)
{
	struct stream_state *states;
	size_t n;
	int rc = pipeline_states(p, &states, &n);

	if (rc != 0) {
		return rc;
	}
	rc = buf_add_varint(out, n);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = buf_add(out, &states[i].id, sizeof states[i].id);
		if (rc == 0) {
			rc = buf_add_varint(out, states[i].detect);
		}
	}
	stream_states_free(states, n);
	return rc;
}

/* What was appended from `at` on becomes a blob: its length goes before it. */
static int make_blob(struct buf *out, size_t at)
{
	size_t n = out->n - at, k;
	char length[16];
	int rc = n > DETECT_STATE_MAX ? ERR_TOO_LARGE : buf_add_varint(out, n);

	if (rc != 0) {
		return rc;
	}
	k = out->n - at - n;
	memcpy(length, out->p + at + n, k);
	memmove(out->p + at + k, out->p + at, n);
	memcpy(out->p + at, length, k);
	return 0;
}

/* The detectors are past them: nothing else would bring them back. */
static int save_waiting(const struct pipeline *p, struct buf *out)
{
	int rc = buf_add_varint(out, p->n_waiting);

	for (size_t i = 0; i < p->n_waiting && rc == 0; i++) {
		rc = buf_add_u64(out, (uint64_t)p->waiting[i].time_ns);
		if (rc == 0) {
			rc = buf_add_varint(out, p->waiting[i].n);
		}
		if (rc == 0) {
			rc = buf_add(out, p->waiting[i].json,
				     p->waiting[i].n);
		}
	}
	return rc;
}

int pipeline_save(struct pipeline *p, struct buf *out)
{
	size_t at;
	int rc = buf_add_u8(out, SAVE_VERSION);

	if (rc == 0) {
		rc = save_cursors(p, out);
	}
	at = out->n;
	if (rc == 0) {
		rc = alerts_save(p->made.alerts, out);
	}
	if (rc == 0) {
		rc = make_blob(out, at);
	}
	at = out->n;
	if (rc == 0 && p->made.detect != NULL) {
		rc = detect_save(p->made.detect, out);
	}
	if (rc == 0) {
		rc = make_blob(out, at);
	}
	rc = rc == 0 ? save_waiting(p, out) : rc;
	at = out->n;
	rc = rc == 0 ? shares_save(p->shares, out) : rc;
	return rc == 0 ? make_blob(out, at) : rc;
}

static int restore_waiting(struct pipeline *p, struct reader *r)
{
	uint64_t n = reader_varint_max(r, PIPELINE_ALERTS);

	for (uint64_t i = 0; i < n; i++) {
		int64_t time_ns = (int64_t)reader_u64(r);
		struct slice json = reader_blob(r, LIMIT_ALERT_JSON);
		int rc = reader_ok(r) ? pipeline_keep_alert(p, json, time_ns)
				      : ERR_TRUNCATED;

		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

int pipeline_restore(struct pipeline *p, struct slice saved)
{
	struct reader r = reader(saved);
	uint8_t version = reader_u8(&r);
	struct slice state;
	uint64_t n;
	int rc;

	if (version < 1 || version > SAVE_VERSION) {
		return ERR_VERSION;
	}
	n = reader_varint_max(&r, CURSORS_MAX);
	p->cursors = calloc(n == 0 ? 1 : n, sizeof *p->cursors);
	if (p->cursors == NULL) {
		return UV_ENOMEM;
	}
	for (uint64_t i = 0; i < n; i++) {
		reader_copy(&r, &p->cursors[i].id, sizeof p->cursors[i].id);
		p->cursors[i].detect = reader_varint(&r);
	}
	state = reader_blob(&r, DETECT_STATE_MAX);
	rc = reader_ok(&r) ? alerts_restore(p->made.alerts, state) : ERR_TRUNCATED;
	state = reader_blob(&r, DETECT_STATE_MAX);
	if (rc == 0 && version > 1) {
		rc = restore_waiting(p, &r);
	}
	if (rc == 0 && version > 2 &&
	    shares_load(p->shares, reader_blob(&r, SHARES_STATE_MAX)) != 0) {
		log_warn("what was understood of each program is not known any more, and is "
			 "learned anew");
	}
	if (rc == 0 && !reader_done(&r)) {
		rc = ERR_MALFORMED;
	}
	if (rc == 0 && p->made.detect != NULL && state.n > 0) {
		rc = detect_restore(p->made.detect, state);
	}
	if (rc == 0) {
		p->n_cursors = (size_t)n;
	}
	return rc;
}
