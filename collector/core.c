#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/collector.h"
#include "collector/deliver.h"
#include "collector/scan.h"
#include "collector/share.h"
#include "collector/take.h"
#include "common/err.h"
#include "common/log.h"
#include "common/timefmt.h"

enum {
	REPAIR_FIRST_MS = 1000,
	REPAIR_LAST_MS = 30000,
	RETRY_MS = 1000, /* of sessions that wait for room */
	FINDINGS_A_MINUTE = 10, /* of one device */
};

/* ---- when to sync ---- */

static void set_timer(struct collector *c, uint64_t ms)
{
	c->timer_set = true;
	sys_timer_set(c->sys, c->timer, ms);
}

static void stop_step(struct collector *c);

void collector_wake(struct collector *c)
{
	if (c->stopping) {
		set_timer(c, 0);
		return;
	}
	if (c->commit.state != COMMIT_IDLE || !commit_needed(&c->commit)) {
		return;
	}
	if (c->store.dirty_bytes >= COMMIT_BYTES) {
		set_timer(c, 0);
	} else if (!c->timer_set) {
		set_timer(c, c->options->sync_interval_ms);
	}
}

static void on_timer(void *arg)
{
	struct collector *c = arg;

	c->timer_set = false;
	if (c->stopping) {
		stop_step(c);
	} else if (c->commit.state == COMMIT_FAILED) {
		commit_repair(&c->commit);
	} else if (c->commit.state == COMMIT_IDLE &&
		   commit_needed(&c->commit)) {
		c->commits++;
		commit_start(&c->commit);
	}
}

/* ---- after a sync ---- */

static void acknowledge(struct collector *c)
{
	for (size_t i = 0; i < c->commit.n_streams; i++) {
		const struct commit_stream *cs = &c->commit.streams[i];

		if (cs->device->session != NULL) {
			session_ack_stream(
				cs->device->session,
				device_find_stream(cs->device, &cs->id));
		}
	}
	for (size_t i = 0; i < c->commit.n_segments; i++) {
		const struct segment *g = c->commit.segments[i];

		if (g->device->session != NULL) {
			session_ack_segment(g->device->session, g);
		}
	}
	for (struct session *s = c->sessions; s != NULL; s = s->next) {
		if (s->state == SESSION_OPEN) {
			session_send_acks(s, c->commits);
		}
	}
}

/* Sessions that wait for a sync. */
static void resume(struct collector *c)
{
	for (struct session *s = c->sessions; s != NULL; s = s->next) {
		if (s->state == SESSION_OPEN && s->stalled.n > 0 &&
		    c->storage == STORAGE_OK && !c->stopping) {
			if (!session_retry(s)) {
				collector_full(c, UV_ENOSPC);
			}
		}
	}
}

static void on_dropped(void *arg, struct device *d)
{
	(void)arg;
	if (d->session != NULL) {
		session_end(d->session, MSG_ERROR_STORAGE, 2000,
			    "the collector could not sync what you sent");
	}
}

static void on_failure(struct collector *c, int rc)
{
	if (c->storage != STORAGE_FAILING) {
		c->storage = STORAGE_FAILING;
		c->repair_wait_ms = REPAIR_FIRST_MS;
		c->count.failed_commits++;
		log_error("the store could not be synced: taking back what was "
			  "not acknowledged and going on in new files; check "
			  "the disk",
			  "store=%s error=\"%s\"", c->store.dir, err_str(rc));
		commit_take_back(&c->commit, on_dropped, NULL);
		deliver_forget(c->deliver);
	} else {
		log_error("the store still can't be written, trying again",
			  "store=%s error=\"%s\" wait_ms=%llu", c->store.dir,
			  err_str(rc), (unsigned long long)c->repair_wait_ms);
	}
	set_timer(c, c->stopping ? 0 : c->repair_wait_ms);
	c->repair_wait_ms *= 2;
	if (c->repair_wait_ms > REPAIR_LAST_MS) {
		c->repair_wait_ms = REPAIR_LAST_MS;
	}
}

/* The others' share of that commit is tried again at once, without these. */
static void on_fenced(struct collector *c)
{
	for (size_t i = 0; i < c->commit.n_due; i++) {
		if (c->commit.due[i]->lost) {
			take_lose(c->take, c->commit.due[i]);
		}
	}
	collector_retry_hellos(c);
	if (c->stopping || commit_needed(&c->commit)) {
		set_timer(c, 0);
	}
}

void collector_retry_hellos(struct collector *c)
{
	for (struct session *s = c->sessions; s != NULL; s = s->next) {
		if (s->state == SESSION_HELLO && s->stalled.n > 0) {
			session_retry(s);
		}
	}
}

static void on_committed(void *arg, int rc)
{
	struct collector *c = arg;

	if (rc == ERR_FENCED) {
		on_fenced(c);
		return;
	}
	if (rc != 0) {
		on_failure(c, rc);
		return;
	}
	if (c->storage == STORAGE_FAILING) {
		c->storage = STORAGE_OK;
		log_info("the store can be written again", "store=%s",
			 c->store.dir);
	}
	c->count.commits++;
	acknowledge(c);
	collector_retry_hellos(c);
	resume(c);
	deliver_kick(c->deliver);
	rows_kick(c->rows);
	if (c->stopping || commit_needed(&c->commit)) {
		set_timer(c, c->stopping ||
					     c->store.dirty_bytes >=
						     COMMIT_BYTES
				     ? 0
				     : c->options->sync_interval_ms);
	}
}

/* ---- a full disk ---- */

void collector_full(struct collector *c, int rc)
{
	if (c->storage == STORAGE_OK) {
		c->storage = STORAGE_FULL;
		log_error("the disk of the store is full: not reading from "
			  "devices until there is room",
			  "store=%s error=\"%s\"", c->store.dir, err_str(rc));
	}
	sys_timer_set(c->sys, c->retry, RETRY_MS);
}

static void on_retry(void *arg)
{
	struct collector *c = arg;
	bool full = false;

	if (c->storage == STORAGE_FAILING) {
		sys_timer_set(c->sys, c->retry, RETRY_MS);
		return;
	}
	for (struct session *s = c->sessions; s != NULL && !full;
	     s = s->next) {
		full = s->state == SESSION_OPEN && !session_retry(s);
	}
	if (full) {
		sys_timer_set(c->sys, c->retry, RETRY_MS);
	} else if (c->storage == STORAGE_FULL) {
		c->storage = STORAGE_OK;
		log_info("there is room on the disk again", "store=%s",
			 c->store.dir);
	}
}

/* ---- findings of the collector's own ---- */

/* Whoever holds a device's key can bring some of them about as often as it can
 * connect: hooks and the catalogue are not its to flood. */
static bool raises_too_many(struct collector *c, struct device *d)
{
	int64_t now = sys_mono_ns(c->sys);

	if (d->n_findings == 0 || now - d->findings_ns > 60 * NS_PER_S) {
		d->findings_ns = now;
		d->n_findings = 0;
	}
	if (++d->n_findings == FINDINGS_A_MINUTE + 1) {
		log_warn("a device has too many findings: no more of them are "
			 "raised for a minute",
			 "device=%s id=%.16s", d->name, d->hex);
	}
	return d->n_findings > FINDINGS_A_MINUTE;
}

void collector_finding(struct collector *c, struct device *d, const char *rule,
		       const char *title, const char *detail)
{
	int64_t now = sys_wall_ns(c->sys);
	struct catalogue_alert a = {.device = d->id,
				    .time_ms = now / NS_PER_MS};
	struct hash32 hash;
	struct slice parts[3] = {slice_str(rule), slice_str(d->hex),
				 slice_str(detail)};
	struct buf b;
	struct json j;

	if (raises_too_many(c, d)) {
		return;
	}
	log_warn(title, "rule=%s device=%s id=%.16s detail=\"%s\"", rule,
		 d->name, d->hex, detail);
	if (hash32_of(&hash, parts, 3) != 0) {
		memset(&hash, 0, sizeof hash);
	}
	buf_init(&b, LIMIT_ALERT_JSON);
	j = json_begin(&b);
	json_object(&j, NULL);
	json_time(&j, "@timestamp", now);
	json_cstr(&j, "message", title);
	json_object(&j, "rule");
	json_cstr(&j, "id", rule);
	json_cstr(&j, "name", title);
	json_object_end(&j);
	json_object(&j, "alert");
	json_hex(&j, "id", hash.b, 16);
	json_cstr(&j, "status", "firing");
	json_cstr(&j, "state", "new");
	json_cstr(&j, "severity", "high");
	json_time(&j, "first", now);
	json_time(&j, "last", now);
	json_u64(&j, "count", 1);
	json_u64(&j, "suppressed", 0);
	json_cstr(&j, "device", d->name);
	json_array(&j, "evidence");
	json_cstr(&j, NULL, detail);
	json_array_end(&j);
	json_object_end(&j);
	json_object_end(&j);
	if (json_end(&j) == 0) {
		a.json = buf_slice(&b);
		rows_alert(c->rows, &a);
		c->count.alerts++;
		if (c->on_alert != NULL) {
			c->on_alert(c->arg, d->name, a.json);
		}
	}
	buf_fini(&b);
}

/* ---- coming ---- */

static bool refused(struct collector *c, const struct link_peer *peer,
		    const char **why)
{
	if (c->stopping) {
		*why = "stopping";
	} else if (c->storage == STORAGE_FAILING) {
		*why = "the store can't be written";
	} else if (c->options->max_devices > 0 &&
		   c->n_sessions >= c->options->max_devices) {
		*why = "as many devices as max_devices allows";
	} else if (strlen(peer->name) > LIMIT_DEVICE_NAME) {
		*why = "its name is too long";
	} else {
		return false;
	}
	return true;
}

const struct link_cbs *collector_accept(struct collector *c, struct link *l,
					const struct link_peer *peer)
{
	const struct link_cbs *cbs;
	const char *why;

	if (refused(c, peer, &why)) {
		c->count.refused++;
		log_info("a connection was refused",
			 "device=%s address=%s why=\"%s\"", peer->name,
			 peer->address, why);
		return NULL;
	}
	cbs = session_new(c, l, peer);
	c->count.accepted += cbs != NULL;
	return cbs;
}

/* ---- starting ---- */

static int open_store(struct collector *c, char why[static COLLECTOR_WHY])
{
	struct scan_report r;
	int rc;

	why[0] = '\0';
	rc = store_open(&c->store, c->sys, c->options->store_dir, why);
	if (rc != 0) {
		if (why[0] == '\0') {
			snprintf(why, COLLECTOR_WHY, "%.400s: %s",
				 c->options->store_dir, err_str(rc));
		}
		return rc;
	}
	rc = share_open(&c->store, c->options->member, why);
	if (rc != 0) {
		store_fini(&c->store, true);
		return rc;
	}
	c->store.has_catalogue = c->catalogue != NULL;
	/* deliver_new() says what is wrong with it. */
	deliver_given_out(c->sys, c->store.own, &c->store.given_out);
	rc = store_scan(&c->store, c->catalogue, &r, why);
	if (rc != 0) {
		store_fini(&c->store, true);
		return rc;
	}
	log_info("the store is open",
		 "store=%s devices=%zu segments=%zu read=%zu torn=%zu "
		 "damaged=%zu dropped=%zu arrival=%llu",
		 c->store.dir, c->store.n_devices, r.segments,
		 r.segments - r.trusted, r.torn, r.damaged, r.dropped,
		 (unsigned long long)c->store.arrival);
	return 0;
}

static int start(struct collector *c, char why[static COLLECTOR_WHY])
{
	int rc = sys_timer_new(c->sys, &c->timer, on_timer, c);

	if (rc == 0) {
		rc = sys_timer_new(c->sys, &c->retry, on_retry, c);
	}
	if (rc == 0) {
		rc = rows_new(&c->rows, c);
	}
	if (rc == 0 && share_is_on(&c->store)) {
		rc = take_new(&c->take, c);
	}
	if (rc != 0) {
		snprintf(why, COLLECTOR_WHY, "cannot start: %s", err_str(rc));
		return rc;
	}
	rc = deliver_new(&c->deliver, c, why);
	if (rc != 0) {
		return rc;
	}
	rows_flush(c->rows);
	for (size_t i = 0; i < c->store.room_devices; i++) {
		if (c->store.devices[i] != NULL) {
			store_trim_segments(&c->store, c->store.devices[i]);
		}
	}
	collector_wake(c);
	deliver_kick(c->deliver);
	return 0;
}

int collector_new(struct collector **out, const struct collector_params *p,
		  char why[static COLLECTOR_WHY])
{
	struct collector *c = calloc(1, sizeof *c);
	int rc;

	*out = NULL;
	if (c == NULL) {
		snprintf(why, COLLECTOR_WHY, "out of memory");
		return UV_ENOMEM;
	}
	c->sys = p->sys;
	c->options = p->options;
	c->catalogue = p->catalogue;
	c->only_store = p->only_store;
	c->on_alert = p->on_alert;
	c->arg = p->arg;
	rc = open_store(c, why);
	if (rc != 0) {
		free(c);
		return rc;
	}
	commit_init(&c->commit, &c->store, on_committed, c);
	rc = start(c, why);
	if (rc != 0) {
		c->stopped = true; /* So that the files are closed. */
		collector_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

/* ---- stopping ---- */

/* STOPPING: what is dirty is synced, the last watermarks are written, links are
 * closed and gone, then files: each step waits for the one before. */
static void close_sessions(struct collector *c)
{
	struct session *next;

	for (struct session *s = c->sessions; s != NULL; s = next) {
		next = s->next;
		if (s->state != SESSION_ENDING) {
			session_end(s, MSG_ERROR_BUSY, 1000,
				    "the collector is stopping");
		}
	}
}

static void log_all_watermarks(struct collector *c)
{
	/* A whole new log says them all. */
	if (c->store.log_fd >= 0) {
		sys_close(c->sys, c->store.log_fd);
		c->store.log_fd = -1;
	}
}

static void stop_step(struct collector *c)
{
	bool can_write = c->storage != STORAGE_FAILING;

	if (c->stopped || c->commit.state == COMMIT_SYNCING ||
	    c->commit.state == COMMIT_RELOGGING ||
	    c->commit.state == COMMIT_REPAIRING) {
		return;
	}
	if (can_write && !c->logged_all) {
		c->logged_all = true;
		log_all_watermarks(c);
	}
	if (can_write && commit_needed(&c->commit)) {
		c->commits++;
		commit_start(&c->commit);
		return;
	}
	close_sessions(c);
	if (c->n_sessions > 0 || rows_busy(c->rows) ||
	    deliver_busy(c->deliver) || take_busy(c->take)) {
		return; /* Each of them wakes us. */
	}
	rows_flush(c->rows);
	deliver_flush(c->deliver);
	c->stopped = true;
	c->stop_cb(c->stop_arg);
}

void collector_stop(struct collector *c, collector_stop_cb cb, void *arg)
{
	assert(!c->stopping);
	c->stopping = true;
	c->stop_cb = cb;
	c->stop_arg = arg;
	sys_timer_stop(c->sys, c->retry);
	for (struct session *s = c->sessions; s != NULL; s = s->next) {
		if (s->state != SESSION_ENDING && !s->paused) {
			s->paused = true;
			link_pause(s->link, true);
		}
	}
	set_timer(c, 0);
}

void collector_free(struct collector *c)
{
	if (c == NULL) {
		return;
	}
	while (c->sessions != NULL) {
		session_free(c->sessions);
	}
	take_free(c->take);
	deliver_free(c->deliver);
	rows_free(c->rows);
	commit_fini(&c->commit);
	sys_timer_free(c->sys, c->timer);
	sys_timer_free(c->sys, c->retry);
	store_fini(&c->store, c->stopped);
	free(c);
}

/* ---- status ---- */

void collector_status(struct collector *c, struct json *j)
{
	static const char *const storage[] = {"ok", "full", "failing"};
	const struct store *s = &c->store;
	size_t connected = 0, unsynced = 0;

	for (size_t i = 0; i < s->room_devices; i++) {
		connected += s->devices[i] != NULL &&
			     s->devices[i]->session != NULL;
	}
	for (const struct session *x = c->sessions; x != NULL; x = x->next) {
		unsynced += x->stalled.n > 0;
	}
	json_object(j, "store");
	json_cstr(j, "path", s->dir);
	json_hex(j, "id", s->id, sizeof s->id);
	if (share_is_on(s)) {
		json_cstr(j, "member", s->member);
	}
	json_cstr(j, "storage", storage[c->storage]);
	json_u64(j, "batches", s->arrival);
	json_u64(j, "durable_batches", s->durable_arrival);
	json_u64(j, "unsynced_bytes", s->dirty_bytes);
	json_u64(j, "open_files", s->n_open);
	json_object_end(j);
	json_object(j, "devices");
	json_u64(j, "known", s->n_devices);
	json_u64(j, "connected", connected);
	json_u64(j, "waiting_for_room", unsynced);
	json_object_end(j);
	json_object(j, "since_start");
	json_u64(j, "connections", c->count.accepted);
	json_u64(j, "refused", c->count.refused);
	json_u64(j, "fenced", c->count.fenced);
	json_u64(j, "records", s->total_records);
	json_u64(j, "batches", s->total_batches);
	json_u64(j, "bytes", s->total_bytes);
	json_u64(j, "commits", c->count.commits);
	json_u64(j, "failed_commits", c->count.failed_commits);
	json_u64(j, "acks", c->count.acks);
	json_u64(j, "naks", c->count.naks);
	json_u64(j, "conflicts", c->count.conflicts);
	json_u64(j, "alerts", c->count.alerts);
	json_object_end(j);
	json_u64(j, "waiting_for_output", deliver_waiting(c->deliver));
}
