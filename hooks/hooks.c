/* Alerts come in, are read once, and wait in the queue of every hook that wants
 * them until file.c or exec.c has delivered them.  Standard error has no queue.
 *
 *	hooks_close() --> closing --all delivered, or the grace is over--> finished
 *	              --the loop has closed the helper's handle--> done, freed
 */
#include "hooks/hooks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "hooks/hook.h"

enum { TEXT_MAX = 4096 };

/* ---- queues ---- */

static bool is_power_of_two(uint64_t n)
{
	return (n & (n - 1)) == 0;
}

void hook_dropped(struct hook *k, const char *why)
{
	k->dropped++;
	if (is_power_of_two(k->dropped)) {
		log_error("a hook did not get an alert", "hook=%s why=\"%s\" so_far=%llu",
			  k->options->name, why, (unsigned long long)k->dropped);
	}
}

void hook_pop(struct hook *k)
{
	struct waiting *w = k->first;

	k->first = w->next;
	if (k->first == NULL) {
		k->last = &k->first;
	}
	k->n_waiting--;
	k->bytes_waiting -= w->n;
	free(w);
}

static void push(struct hook *k, struct slice line)
{
	struct waiting *w;

	if (k->n_waiting >= HOOKS_QUEUE || k->bytes_waiting + line.n > HOOKS_QUEUE_BYTES) {
		hook_dropped(k, "too many wait already");
		return;
	}
	w = malloc(sizeof *w + line.n);
	if (w == NULL) {
		hook_dropped(k, "no memory");
		return;
	}
	w->next = NULL;
	w->n = line.n;
	memcpy(w->line, line.p, line.n);
	*k->last = w;
	k->last = &w->next;
	k->n_waiting++;
	k->bytes_waiting += line.n;
}

/* ---- an alert ---- */

static void print(struct hook *k, const struct facts *f)
{
	char text[TEXT_MAX];
	struct buf b = {text, 0, sizeof text, sizeof text};

	if (facts_print(f, &b) == 0 && write(STDERR_FILENO, b.p, b.n) == (ssize_t)b.n) {
		k->delivered++;
	} else {
		k->failed++;
	}
}

static void hand_to(struct hook *k, const struct facts *f, struct slice line)
{
	struct hooks *h = k->hooks;

	if (f->severity < k->options->min_severity) {
		return;
	}
	switch (k->options->type) {
	case HOOK_STDERR:
		print(k, f);
		return;
	case HOOK_FILE:
		push(k, line);
		file_pump(k);
		return;
	case HOOK_EXEC:
		if (h->helper_dead) {
			hook_dropped(k, "the helper process has ended; restart the service");
		} else {
			push(k, line);
		}
		return;
	}
}

/* The line at hand to every hook that wants it. */
static void hand_on(struct hooks *h)
{
	for (size_t i = 0; i < h->n; i++) {
		if (!h->list[i]->leaving) {
			hand_to(h->list[i], &h->facts, buf_slice(&h->line));
		}
	}
	exec_pump(h);
}

void hooks_alert_json(struct hooks *h, struct slice device, struct slice json)
{
	char quoted[160];
	int rc;

	if (h->n == 0 || h->closing) {
		return;
	}
	buf_clear(&h->line);
	rc = json.n > LIMIT_ALERT_JSON
		     ? ERR_TOO_LARGE
		     : facts_read(&h->facts, json, device, &h->line);
	if (rc != 0) {
		h->refused++;
		log_error("an alert cannot be handed to the hooks",
			  "device=%s bytes=%zu error=\"%s\"",
			  log_quote(quoted, sizeof quoted, device), json.n, err_str(rc));
		return;
	}
	hand_on(h);
}

/* Does a hook want to know more of an alert than how severe it is?  The exec hooks
 * read it when its turn comes. */
static bool needs_facts(const struct hooks *h)
{
	for (size_t i = 0; i < h->n; i++) {
		if (h->list[i]->options->type == HOOK_STDERR) {
			return true;
		}
	}
	return false;
}

/* From this process, so that it need not be read again to be believed. */
void hooks_alert(struct hooks *h, const struct alert *a)
{
	if (h->n == 0 || h->closing) {
		return;
	}
	buf_clear(&h->line);
	if (needs_facts(h) || buf_add_slice(&h->line, a->json) != 0 ||
	    buf_add_u8(&h->line, '\n') != 0) {
		hooks_alert_json(h, SLICE_NONE, a->json); /* Says what is wrong. */
		return;
	}
	h->facts.severity = a->severity;
	hand_on(h);
}

/* ---- status ---- */

static void hook_status(const struct hook *k, struct json *j)
{
	static const char *const types[] = {"exec", "file", "stderr"};

	json_object(j, NULL);
	json_cstr(j, "name", k->options->name);
	json_cstr(j, "type", types[k->options->type]);
	json_u64(j, "delivered", k->delivered);
	json_u64(j, "failed", k->failed);
	json_u64(j, "dropped", k->dropped);
	json_u64(j, "waiting", k->n_waiting);
	json_u64(j, "running", k->running);
	if (k->leaving) {
		json_bool(j, "leaving", true);
	}
	if (k->options->type == HOOK_EXEC) {
		json_bool(j, "helper", !k->hooks->helper_dead);
	}
	json_object_end(j);
}

void hooks_status(const struct hooks *h, struct json *j)
{
	json_array(j, "hooks");
	for (size_t i = 0; i < h->n; i++) {
		hook_status(h->list[i], j);
	}
	json_array_end(j);
}

/* ---- life ---- */

static int copy_options(struct hook_options *out, const struct hook_options *o)
{
	int rc = 0;

	*out = (struct hook_options){.type = o->type, .timeout_ms = o->timeout_ms,
				     .concurrency = o->concurrency,
				     .min_severity = o->min_severity};
	out->name = strdup(o->name);
	out->path = strdup(o->path == NULL ? "" : o->path);
	for (size_t i = 0; i < o->command.n && rc == 0; i++) {
		rc = strlist_add(&out->command, slice_str(o->command.v[i]));
	}
	return out->name == NULL || out->path == NULL ? UV_ENOMEM : rc;
}

void hook_free(struct hook *k)
{
	if (k == NULL) {
		return;
	}
	while (k->first != NULL) {
		hook_pop(k);
	}
	file_fini(k);
	free(k->own.name);
	free(k->own.path);
	strlist_fini(&k->own.command);
	free(k);
}

int hook_new(struct hook **out, struct hooks *h, const struct hook_options *options)
{
	struct hook *k = calloc(1, sizeof *k);
	int rc;

	*out = NULL;
	if (k == NULL) {
		return UV_ENOMEM;
	}
	k->hooks = h;
	k->options = &k->own;
	k->last = &k->first;
	k->file.fd = -1;
	rc = copy_options(&k->own, options);
	if (rc == 0 && options->type == HOOK_FILE) {
		rc = file_init(k);
	}
	if (rc != 0) {
		hook_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

void hooks_sweep(struct hooks *h)
{
	for (size_t i = h->n; i > 0; i--) {
		struct hook *k = h->list[i - 1];

		if (k->leaving && k->running == 0) {
			hook_free(k);
			h->n--;
			memmove(h->list + i - 1, h->list + i,
				(h->n - (i - 1)) * sizeof(struct hook *));
		}
	}
}

static void free_all(struct hooks *h)
{
	for (size_t i = 0; i < h->n; i++) {
		hook_free(h->list[i]);
	}
	sys_timer_free(h->sys, h->grace);
	if (h->helper >= 0) {
		close(h->helper);
	}
	buf_fini(&h->line);
	buf_fini(&h->message);
	free(h->list);
	free(h);
}

static void finish(struct hooks *h)
{
	hooks_close_cb cb = h->close_cb;
	void *arg = h->close_arg;

	free_all(h);
	if (cb != NULL) {
		cb(arg);
	}
}

static void on_poll_closed(uv_handle_t *handle)
{
	finish(handle->data);
}

static void on_grace_over(void *arg)
{
	struct hooks *h = arg;

	h->finished = true;
	for (size_t i = 0; i < h->n; i++) {
		const struct hook *k = h->list[i];

		if (k->n_waiting + k->running > 0) {
			log_error("alerts were still on their way to a hook at the end",
				  "hook=%s undelivered=%zu running=%llu",
				  k->options->name, k->n_waiting,
				  (unsigned long long)k->running);
		}
	}
	if (h->helper >= 0) {
		uv_close((uv_handle_t *)&h->poll, on_poll_closed);
	} else {
		finish(h);
	}
}

void hooks_check_end(struct hooks *h)
{
	bool busy = false;

	for (size_t i = 0; i < h->n; i++) {
		busy = busy || h->list[i]->n_waiting + h->list[i]->running > 0;
	}
	if (h->closing && !h->finished && !busy) {
		/* By the timer, so that nobody up the stack finds h gone. */
		sys_timer_set(h->sys, h->grace, 0);
	}
}

void hooks_close(struct hooks *h, uint64_t grace_ms, hooks_close_cb done, void *arg)
{
	if (h == NULL) {
		return;
	}
	h->closing = true;
	h->close_cb = done;
	h->close_arg = arg;
	sys_timer_set(h->sys, h->grace, grace_ms);
	for (size_t i = 0; i < h->n; i++) {
		struct hook *k = h->list[i];

		if (k->options->type == HOOK_FILE && k->first != NULL) {
			/* One more attempt, without waiting for its time. */
			sys_timer_set(h->sys, k->file.timer, 0);
		}
	}
	hooks_check_end(h);
}

static int init_hooks(struct hooks *h, const struct hooks_options *options)
{
	uint8_t n_exec = 0;
	int rc = 0;

	h->list = calloc(options->n_hooks + 1, sizeof(struct hook *));
	if (h->list == NULL) {
		return UV_ENOMEM;
	}
	for (size_t i = 0; i < options->n_hooks && rc == 0; i++) {
		rc = hook_new(&h->list[i], h, &options->hooks[i]);
		if (rc != 0) {
			return rc;
		}
		h->n++;
		if (h->list[i]->options->type == HOOK_EXEC) {
			h->list[i]->index = n_exec++;
		}
	}
	return rc == 0 && n_exec > 0 && h->helper < 0 ? UV_EINVAL : rc;
}

int hooks_new(struct hooks **out, uv_loop_t *loop, struct sys *sys,
	      const struct hooks_options *options, int helper_fd)
{
	struct hooks *h = calloc(1, sizeof *h);
	int rc;

	*out = NULL;
	if (h == NULL) {
		if (helper_fd >= 0) {
			close(helper_fd);
		}
		return UV_ENOMEM;
	}
	h->sys = sys;
	h->helper = helper_fd;
	buf_init(&h->line, PROTOCOL_MESSAGE_MAX);
	buf_init(&h->message, PROTOCOL_MESSAGE_MAX);
	rc = sys_timer_new(sys, &h->grace, on_grace_over, h);
	rc = rc != 0 ? rc : init_hooks(h, options);
	if (rc == 0 && helper_fd >= 0) {
		rc = exec_init(h, loop);
	}
	if (rc != 0) {
		free_all(h);
		return rc;
	}
	*out = h;
	return 0;
}
