/* The daemon's end of the helper's socket.
 *
 *	queue --EXEC, as far as the hook's concurrency allows--> flight --DONE--> counted
 *
 * When the helper is gone, what waits and what flies is counted as dropped.  It can't
 * be started again from inside the sandbox.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/err.h"
#include "common/log.h"
#include "hooks/hook.h"

static void on_helper(uv_poll_t *poll, int status, int events);

static void bury(struct hooks *h, int rc)
{
	uint64_t lost = 0;

	h->helper_dead = true;
	uv_poll_stop(&h->poll);
	for (size_t i = 0; i < PROTOCOL_JOBS; i++) {
		struct flight *f = &h->flights[i];

		if (f->hook != NULL) {
			f->hook->running--;
			f->hook->dropped++;
			f->hook = NULL;
			lost++;
		}
	}
	for (size_t i = 0; i < h->n; i++) {
		struct hook *k = h->list[i];

		while (k->options->type == HOOK_EXEC && k->first != NULL) {
			hook_pop(k);
			k->dropped++;
			lost++;
		}
	}
	log_error("the helper process has ended: exec hooks get no more alerts; restart "
		  "the service",
		  "undelivered=%llu error=\"%s\"", (unsigned long long)lost, err_str(rc));
}

static struct flight *free_flight(struct hooks *h)
{
	for (size_t i = 0; i < PROTOCOL_JOBS; i++) {
		if (h->flights[i].hook == NULL) {
			return &h->flights[i];
		}
	}
	return NULL;
}

static int encode(struct hook *k, uint32_t id, const struct waiting *w)
{
	struct hooks *h = k->hooks;
	struct protocol_exec e = {.id = id, .hook = k->index};
	int rc;

	buf_clear(&h->line);
	rc = facts_read(&h->facts, slice(w->line, w->n - 1), SLICE_NONE, &h->line);
	if (rc != 0) {
		return rc;
	}
	for (unsigned i = 0; i < VARIABLE_NR; i++) {
		e.value[i] = slice_str(h->facts.value[i]);
	}
	e.input = buf_slice(&h->line);
	buf_clear(&h->message);
	return protocol_exec_encode(&h->message, &e);
}

/* 0: sent; UV_EAGAIN: no room in the socket; otherwise the helper is gone. */
static int send_message(struct hooks *h)
{
	ssize_t n;

	do {
		n = send(h->helper, h->message.p, h->message.n,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n >= 0) {
		return 0;
	}
	return errno == EAGAIN || errno == ENOBUFS ? UV_EAGAIN : -errno;
}

/* 0, UV_EAGAIN (as send_message()), or the helper is gone. */
static int launch(struct hook *k, struct flight *f)
{
	struct hooks *h = k->hooks;
	int rc = encode(k, ++h->last_id, k->first);

	if (rc != 0) {
		/* No memory for one alert: the next may be smaller. */
		hook_dropped(k, err_str(rc));
		hook_pop(k);
		return 0;
	}
	rc = send_message(h);
	if (rc == 0) {
		f->hook = k;
		f->id = h->last_id;
		snprintf(f->alert, sizeof f->alert, "%.32s", h->facts.value[VARIABLE_ID]);
		k->running++;
		hook_pop(k);
	}
	return rc;
}

static int pump(struct hooks *h)
{
	int rc = 0;

	for (size_t i = 0; i < h->n && rc == 0; i++) {
		struct hook *k = h->list[i];

		if (k->options->type != HOOK_EXEC) {
			continue;
		}
		while (rc == 0 && k->first != NULL &&
		       k->running < k->options->concurrency) {
			struct flight *f = free_flight(h);

			if (f == NULL) {
				return 0;
			}
			rc = launch(k, f);
		}
	}
	return rc;
}

/* What is sent behind it is meant by the new table. */
static int send_take(struct hooks *h)
{
	const struct worker_change c = {.type = WORKER_TAKE, .number = h->to_take};
	int rc = 0;

	if (h->to_take != 0) {
		buf_clear(&h->message);
		rc = worker_change_encode(&h->message, &c);
		rc = rc != 0 ? rc : send_message(h);
		h->to_take = rc == 0 ? 0 : h->to_take;
	}
	return rc;
}

void exec_pump(struct hooks *h)
{
	int rc;

	if (!exec_possible(h)) {
		return;
	}
	rc = send_take(h);
	rc = rc != 0 ? rc : pump(h);
	if (rc != 0 && rc != UV_EAGAIN) {
		bury(h, rc);
		return;
	}
	uv_poll_start(&h->poll, UV_READABLE | (rc == UV_EAGAIN ? UV_WRITABLE : 0),
		      on_helper);
}

static void log_failure(const struct flight *f, const struct protocol_done *d)
{
	switch ((enum protocol_how)d->how) {
	case HOW_EXITED:
		log_warn("the program of a hook reports failure",
			 "hook=%s alert=%s status=%u duration_ms=%u",
			 f->hook->options->name, f->alert, d->status, d->duration_ms);
		return;
	case HOW_SIGNALED:
		log_warn("the program of a hook was ended by a signal",
			 "hook=%s alert=%s signal=%u duration_ms=%u",
			 f->hook->options->name, f->alert, d->status, d->duration_ms);
		return;
	case HOW_TIMEOUT:
		log_warn("the program of a hook took too long and was ended",
			 "hook=%s alert=%s duration_ms=%u", f->hook->options->name,
			 f->alert, d->duration_ms);
		return;
	case HOW_FAILED:
		log_error("the program of a hook cannot be started",
			  "hook=%s alert=%s error=\"%s\"", f->hook->options->name,
			  f->alert, err_str(-(int)(d->status % 4096)));
		return;
	}
}

static void on_done(struct hooks *h, const struct protocol_done *d)
{
	for (size_t i = 0; i < PROTOCOL_JOBS; i++) {
		struct flight *f = &h->flights[i];

		if (f->hook == NULL || f->id != d->id) {
			continue;
		}
		f->hook->running--;
		if (d->how == HOW_EXITED && d->status == 0) {
			f->hook->delivered++;
		} else {
			f->hook->failed++;
			log_failure(f, d);
		}
		f->hook = NULL;
		return;
	}
}

/* One message: 0, UV_EAGAIN when there is none, or the helper is gone. */
static int receive(struct hooks *h)
{
	char bytes[WORKER_TEXT_MAX + 16];
	struct worker_change c;
	struct protocol_done d;
	ssize_t n = recv(h->helper, bytes, sizeof bytes, MSG_DONTWAIT);
	int rc;

	if (n < 0) {
		return errno == EINTR ? 0 : -errno;
	}
	if (n == 0) {
		return ERR_CLOSED;
	}
	if (worker_change_decode(&c, slice(bytes, (size_t)n)) == 0 &&
	    c.type == WORKER_JUDGED) {
		h->judged = c.number;
		snprintf(h->verdict, sizeof h->verdict, "%.*s", SLICE_ARG(c.text));
		return 0;
	}
	rc = protocol_done_decode(&d, slice(bytes, (size_t)n));
	if (rc == 0) {
		on_done(h, &d);
	}
	return rc;
}

/* ---- another table ---- */

enum { VERDICT_MS = 5000 };

static int send_proposal(struct hooks *h, const struct hooks_options *options)
{
	struct worker_change c = {.type = WORKER_PROPOSE, .number = ++h->proposed};
	struct buf table;
	int rc;

	buf_init(&table, PROTOCOL_MESSAGE_MAX);
	rc = protocol_table_encode(&table, "", false, options);
	c.table = buf_slice(&table);
	buf_clear(&h->message);
	rc = rc != 0 ? rc : worker_change_encode(&h->message, &c);
	rc = rc != 0 ? rc : send_message(h);
	buf_fini(&table);
	return rc;
}

/* Programs that end meanwhile are counted as ever. */
static int await_verdict(struct hooks *h)
{
	int64_t end_ns = sys_mono_ns(h->sys) + VERDICT_MS * INT64_C(1000000);
	int rc = 0;

	while (h->judged != h->proposed) {
		int64_t left_ns = end_ns - sys_mono_ns(h->sys);
		struct pollfd p = {.fd = h->helper, .events = POLLIN};

		if (left_ns <= 0) {
			return ERR_TIMEOUT;
		}
		poll(&p, 1, (int)(left_ns / 1000000) + 1);
		rc = receive(h);
		if (rc != 0 && rc != UV_EAGAIN) {
			return rc;
		}
	}
	return 0;
}

int exec_propose(struct hooks *h, const struct hooks_options *options, char *why)
{
	/* The TAKE of the last time goes before what is proposed now. */
	int rc = send_take(h);

	rc = rc != 0 ? rc : send_proposal(h, options);
	rc = rc != 0 ? rc : await_verdict(h);
	if (rc == 0 && h->verdict[0] != '\0') {
		snprintf(why, HOOKS_WHY, "%.*s", HOOKS_WHY - 1, h->verdict);
		return UV_EACCES;
	}
	if (rc != 0 && rc != UV_EAGAIN && rc != ERR_TOO_LARGE && rc != ERR_TIMEOUT &&
	    rc != UV_ENOMEM) {
		bury(h, rc);
	}
	return rc;
}

void exec_take(struct hooks *h)
{
	h->to_take = h->proposed;
	exec_pump(h);
}

static void on_helper(uv_poll_t *poll, int status, int events)
{
	struct hooks *h = poll->data;
	int rc = status;

	while (rc == 0 && (events & UV_READABLE) != 0) {
		rc = receive(h);
	}
	if (rc != 0 && rc != UV_EAGAIN) {
		bury(h, rc);
	}
	hooks_sweep(h);
	exec_pump(h);
	hooks_check_end(h);
}

int exec_init(struct hooks *h, uv_loop_t *loop)
{
	int rc = uv_poll_init(loop, &h->poll, h->helper);

	if (rc == 0) {
		h->poll.data = h;
		uv_poll_start(&h->poll, UV_READABLE, on_helper);
	}
	return rc;
}
