/* kept: lines that can't be read again, by one shipper to one collector, on virtual
 * time: what the policies of a full spool do, over restarts and with a store that
 * is put back to an earlier state.  In the end each line is in the store once, or
 * inside the range of one gap record.
 *
 *   sim_kept [--seed N] [--runs N] [--story NAME] [--verbose] */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/core.h"
#include "common/err.h"
#include "common/log.h"
#include "shipper/shipper.h"
#include "tests/sim/check.h"
#include "tests/sim/world.h"
#include "wire/crypto.h"
#include "wire/segment.h"

enum { LINES = 1300, LIVES = 4, MS = 1000000, SPOOL_MAX = 24 * 1024 };
static const int64_t second = INT64_C(1000000000);

struct story {
	const char *name;
	enum spool_policy policy;
	unsigned away_ms[2];    /* the collector */
	unsigned restart_ms[2]; /* stopped cleanly, started */
	unsigned backup_ms, restored_ms; /* the store */
	unsigned full_ms[2];    /* the device's disk */
	unsigned sync_fails_ms; /* of the device */
	bool must_gap;
	bool tiny;              /* every line is a segment of its own */
	bool twin;              /* a second process has the same identity */
	unsigned new_key_ms;    /* the store has a newer key at its next start */
	bool file;              /* lines of a file, of which what was read is gone */
};

static const struct story stories[] = {
	{.name = "pause", .policy = SPOOL_PAUSE, .away_ms = {5000, 60000}},
	{.name = "drop-oldest",
	 .policy = SPOOL_DROP_OLDEST,
	 .away_ms = {5000, 60000},
	 .must_gap = true},
	{.name = "drop-newest",
	 .policy = SPOOL_DROP_NEWEST,
	 .away_ms = {5000, 60000},
	 .must_gap = true},
	{.name = "restart",
	 .policy = SPOOL_PAUSE,
	 .away_ms = {5000, 40000},
	 .restart_ms = {10000, 15000}},
	{.name = "drop-oldest-restart",
	 .policy = SPOOL_DROP_OLDEST,
	 .away_ms = {5000, 60000},
	 .restart_ms = {30000, 32000},
	 .must_gap = true},
	{.name = "restored",
	 .policy = SPOOL_PAUSE,
	 .backup_ms = 6000,
	 .restored_ms = 15000,
	 .must_gap = true},
	{.name = "restored-while-away",
	 .policy = SPOOL_PAUSE,
	 .away_ms = {12000, 30000},
	 .backup_ms = 6000,
	 .restored_ms = 20000,
	 .must_gap = true},
	{.name = "disk-full",
	 .policy = SPOOL_PAUSE,
	 .full_ms = {5000, 20000}},
	{.name = "disk-full-away",
	 .policy = SPOOL_PAUSE,
	 .away_ms = {4000, 30000},
	 .full_ms = {6000, 20000}},
	{.name = "many-segments",
	 .policy = SPOOL_PAUSE,
	 .away_ms = {2000, 90000},
	 .tiny = true},
	{.name = "twin", .policy = SPOOL_PAUSE, .twin = true},
	{.name = "newer-key",
	 .policy = SPOOL_PAUSE,
	 .away_ms = {5000, 40000},
	 .new_key_ms = 20000,
	 .file = true},
	{.name = "restored-file",
	 .policy = SPOOL_PAUSE,
	 .away_ms = {12000, 30000},
	 .backup_ms = 6000,
	 .restored_ms = 20000,
	 .must_gap = true,
	 .file = true},
	{.name = "sync-fails", .policy = SPOOL_PAUSE, .sync_fails_ms = 6000},
};

/* Where a line stood. */
struct given {
	unsigned life;
	uint64_t start, end;
	unsigned seen, gapped, straddled; /* by a gap that extends what is there */
};

struct run {
	const struct story *story;
	struct world *w;
	struct node *an, *cn, *twin_node;
	struct net *net, *twin_net;
	struct shipper *shipper, *twin;
	unsigned accepts;
	struct collector *collector;
	struct shipper_options so;
	struct collector_options co;
	struct stream_id stream[LIVES];
	unsigned life;
	uint64_t position;
	struct given lines[LINES];
	unsigned n_lines;
	struct disk_backup *backup;
	bool waiting, stopping, stopped, away, restore;
	struct buf saved; /* what the shipper knew when it stopped */
	uint64_t most; /* that the spool took */
	unsigned unknown, gaps, rewinds;
};

static bool verbose;

/* ---- what the shipper asks ---- */

static uint64_t cb_hash_at(void *arg, const struct stream_id *id,
			   uint64_t position)
{
	(void)arg;
	return position * UINT64_C(0x9e3779b97f4a7c15) + id->b[0];
}

static void cb_acked(void *arg, const struct msg_stream *w)
{
	(void)arg;
	(void)w;
}

static void cb_welcome(void *arg, struct slice streams)
{
	(void)arg;
	(void)streams;
}

static int cb_rewind(void *arg, const struct msg_stream *w, bool proved)
{
	struct run *r = arg;

	(void)w;
	(void)proved;
	r->rewinds++; /* Nobody may ask for what can't be read again. */
	return UV_ENOENT;
}

static int cb_list(void *arg, struct buf *list)
{
	(void)arg;
	(void)list;
	return 0;
}

static void cb_room(void *arg)
{
	struct run *r = arg;

	r->waiting = false;
}

static int cb_sign(void *arg, const struct head *h, struct buf *out)
{
	(void)arg;
	(void)h;
	(void)out;
	return ERR_CRYPTO;
}

static void cb_changed(void *arg)
{
	(void)arg;
}

static const struct shipper_cbs cbs = {
	.hash_at = cb_hash_at,
	.acked = cb_acked,
	.welcome = cb_welcome,
	.rewind = cb_rewind,
	.list_streams = cb_list,
	.room = cb_room,
	.sign = cb_sign,
	.changed = cb_changed,
};

/* ---- the two daemons ---- */

#define DEVICE_KEY "stands for a public key"

static struct hash32 device_hash(void)
{
	struct slice key = SLICE_LIT(DEVICE_KEY);
	struct hash32 h;

	if (hash32_of(&h, &key, 1) != 0) {
		abort();
	}
	return h;
}

static void start_shipper(void *arg)
{
	struct run *r = arg;
	struct shipper_params p = {
		.sys = node_sys(r->an),
		.net = r->net,
		.options = &r->so,
		.cbs = &cbs,
		.arg = r,
		.device = device_hash(),
		.software = "kept",
		.saved = buf_slice(&r->saved),
		.machine = {1},
	};

	node_revive(r->an);
	p.instance[0] = (uint8_t)(r->life + 1);
	r->stream[r->life].b[0] = (uint8_t)(r->life + 1);
	r->position = 0;
	r->waiting = r->stopping = r->stopped = false;
	if (shipper_new(&r->shipper, &p) != 0) {
		fprintf(stderr, "the shipper does not start\n");
		exit(1);
	}
	shipper_start(r->shipper);
}

static void start_twin(struct run *r)
{
	struct shipper_params p = {
		.sys = node_sys(r->twin_node),
		.net = r->twin_net,
		.options = &r->so,
		.cbs = &cbs,
		.arg = r,
		.device = device_hash(),
		.instance = {99},
		.software = "twin",
		.machine = {1},
	};

	if (shipper_new(&r->twin, &p) != 0) {
		exit(1);
	}
	shipper_start(r->twin);
}

static void start_collector(void *arg)
{
	struct run *r = arg;
	struct collector_params p = {
		.sys = node_sys(r->cn),
		.options = &r->co,
	};
	char why[COLLECTOR_WHY];

	if (r->collector != NULL || r->away) {
		return;
	}
	if (r->restore) {
		disk_restore(r->cn, "/store", r->backup);
		r->restore = false;
	}
	node_revive(r->cn);
	if (collector_new(&r->collector, &p, why) != 0) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
}

static const struct link_cbs *accept_link(void *arg, struct link *l,
					  const struct link_peer *peer)
{
	struct run *r = arg;

	r->accepts++;
	return r->collector == NULL ? NULL
				    : collector_accept(r->collector, l, peer);
}

static void died(void *arg, struct node *n)
{
	struct run *r = arg;

	if (n == r->cn) {
		collector_free(r->collector);
		r->collector = NULL;
		world_after(r->w, NULL, 100 * MS, start_collector, r);
	}
}

static struct hostport collector_host = {(char *)(uintptr_t) "collector.example", 7514,
				     0};

/* ---- the source ---- */

static void give_line(struct run *r)
{
	struct given *g = &r->lines[r->n_lines];
	enum queue queue;
	char text[256];
	int n = snprintf(text, sizeof text, "line %u ", r->n_lines);
	struct record rec = {
		.stream = r->stream[r->life],
		.start = r->position,
		.observed_ns = sys_wall_ns(node_sys(r->an)),
		.header.time_ns = TIME_NONE,
	};

	queue = queue_of(r->story->file ? LANE_FILE : LANE_KEPT, r->so.spool_policy);
	while (n < 200) {
		text[n++] = (char)('!' + world_rnd(r->w, 90));
	}
	rec.line = slice(text, (size_t)n);
	rec.end = rec.start + rec.line.n + 1;
	if (shipper_reserve(r->shipper, queue, &rec.stream, rec.line.n) != 0 ||
	    shipper_add(r->shipper, queue, &rec, false) != 0) {
		r->waiting = true;
		return;
	}
	*g = (struct given){.life = r->life, .start = rec.start, .end = rec.end};
	r->position = rec.end;
	r->n_lines++;
}

static int on_file(void *arg, const char *name, bool is_dir)
{
	struct run *r = arg;
	char path[300];
	struct sys_stat st;

	(void)is_dir;
	snprintf(path, sizeof path, "/spool/%s", name);
	if (sys_stat(node_sys(r->an), path, &st) == 0) {
		r->most += st.size;
	}
	return 0;
}

static void source(void *arg)
{
	struct run *r = arg;
	uint64_t most = r->most;

	if (r->shipper != NULL && !r->stopping && !r->waiting &&
	    r->n_lines < LINES) {
		give_line(r);
	}
	r->most = 0;
	sys_list(node_sys(r->an), "/spool", on_file, r);
	r->most = r->most > most ? r->most : most;
	world_after(r->w, NULL, (int64_t)(1 + world_rnd(r->w, 100)) * MS,
		    source, r);
}

/* ---- what happens ---- */

static void on_stopped(void *arg)
{
	struct run *r = arg;

	r->stopped = true;
	buf_clear(&r->saved);
	if (shipper_save(r->shipper, &r->saved) != 0) {
		abort();
	}
	shipper_free(r->shipper);
	r->shipper = NULL;
	node_retire(r->an);
}

static void stop_shipper(void *arg)
{
	struct run *r = arg;

	r->stopping = true;
	shipper_stop(r->shipper, 3000, on_stopped, r);
	shipper_stop(r->shipper, 3000, on_stopped, r);
}

static void next_life(void *arg)
{
	struct run *r = arg;

	if (!r->stopped) {
		world_after(r->w, NULL, second, next_life, r);
		return;
	}
	r->life++;
	start_shipper(r);
}

static void goes(void *arg)
{
	struct run *r = arg;

	r->away = true;
	node_kill(r->cn, false);
}

static void comes(void *arg)
{
	struct run *r = arg;

	r->away = false;
	start_collector(r);
}

static void backed_up(void *arg)
{
	struct run *r = arg;

	r->backup = disk_back_up(r->cn, "/store");
}

static void restored(void *arg)
{
	struct run *r = arg;

	r->restore = true;
	if (!r->away) {
		node_kill(r->cn, false);
	}
}

/* A sealing key that is younger than the store's first one, as docs/store.md has it. */
static void renew_key(void *arg)
{
	struct run *r = arg;
	struct sys *sys = node_sys(r->an);
	struct seal_secret key;
	struct buf b;
	char path[64];
	int n;

	if (seal_secret_new(&key, sys) != 0) {
		abort();
	}
	buf_init(&b, 64);
	buf_add(&b, "NJKEY\r\n\032", 8);
	buf_add_u64(&b, (uint64_t)(sys_wall_ns(sys) / MS));
	buf_add(&b, key.secret, sizeof key.secret);
	buf_add_u64(&b, XXH64(b.p, b.n, 0));
	n = snprintf(path, sizeof path, "/store/keys/");
	for (size_t i = 0; i < sizeof key.pub.id; i++) {
		n += snprintf(path + n, sizeof path - (size_t)n, "%02x", key.pub.id[i]);
	}
	snprintf(path + n, sizeof path - (size_t)n, ".key");
	disk_append(r->cn, path, b.p, b.n);
	buf_fini(&b);
}

static void fills(void *arg)
{
	disk_set_full(((struct run *)arg)->an, true);
}

static void frees(void *arg)
{
	disk_set_full(((struct run *)arg)->an, false);
}

static void sync_fails(void *arg)
{
	disk_fail_sync(((struct run *)arg)->an, 2);
}

static void at(struct run *r, unsigned ms, void (*fn)(void *arg))
{
	if (ms > 0) {
		world_after(r->w, NULL,
			    (int64_t)(ms + world_rnd(r->w, 500)) * MS, fn, r);
	}
}

/* ---- the check ---- */

static void on_gap(struct run *r, unsigned life, const struct record *rec)
{
	r->gaps++;
	for (unsigned i = 0; i < r->n_lines; i++) {
		struct given *g = &r->lines[i];

		if (g->life == life && g->start >= rec->start &&
		    g->end <= rec->end) {
			g->gapped += (rec->flags & RECORD_EXTENDS) == 0;
			g->straddled += (rec->flags & RECORD_EXTENDS) != 0;
		}
	}
}

static void on_record(void *arg, const struct seen_record *seen)
{
	const struct record *rec = seen->r;
	struct run *r = arg;
	unsigned life = (unsigned)rec->stream.b[0] - 1, number;

	if (verbose) {
		printf("%u [%llu,%llu) flags %x: %.*s\n", life,
		       (unsigned long long)rec->start,
		       (unsigned long long)rec->end, rec->flags,
		       (int)(rec->line.n < 60 ? rec->line.n : 60),
		       rec->line.p);
	}
	if ((rec->flags & RECORD_GAP) != 0) {
		on_gap(r, life, rec);
	} else if (sscanf(rec->line.p, "line %u ", &number) == 1 &&
		   number < r->n_lines && r->lines[number].life == life) {
		r->lines[number].seen++;
	} else {
		r->unknown++;
	}
}

static bool check(struct run *r)
{
	const struct story *s = r->story;
	unsigned lost = 0, doubled = 0, foreign;
	int rc = check_store(node_sys(r->cn), "/store", false, on_record, r,
			     &foreign);

	for (unsigned i = 0; i < r->n_lines; i++) {
		const struct given *g = &r->lines[i];

		lost += g->seen + g->gapped + g->straddled == 0;
		doubled += g->seen + g->gapped > 1;
	}
	if (rc == 0 && lost == 0 && doubled == 0 && r->unknown == 0 &&
	    (r->rewinds == 0 || s->file) && r->stopped && r->n_lines == LINES &&
	    (r->gaps > 0) == s->must_gap &&
	    r->most <= r->so.spool_max + 2048 && /* A stop's last batch. */
	    r->accepts <= 60) {
		return true;
	}
	printf("FAILED (%s): accepts %u, given %u, lost %u, doubled %u, unknown %u, gaps "
	       "%u, rewinds %u, stopped %d, spool at most %llu, store: %s\n",
	       s->name, r->accepts, r->n_lines, lost, doubled, r->unknown, r->gaps,
	       r->rewinds, r->stopped, (unsigned long long)r->most,
	       err_str(rc));
	return false;
}

/* What the last life has saved is the same after another one: also the keys that the store
 * gave before. */
static bool remembers(struct run *r)
{
	struct buf again;
	bool same;

	buf_init(&again, r->saved.limit);
	start_shipper(r);
	same = shipper_save(r->shipper, &again) == 0 && again.n == r->saved.n &&
	       memcmp(again.p, r->saved.p, again.n) == 0;
	shipper_free(r->shipper);
	r->shipper = NULL;
	r->stopped = true;
	buf_fini(&again);
	if (!same) {
		printf("FAILED (%s): what is saved is not the same after a restart\n",
		       r->story->name);
	}
	return same;
}

static void set_up(struct run *r, uint64_t seed)
{
	static struct link_peer agent_peer, collector_peer;

	agent_peer.key_hash = device_hash();
	agent_peer.name = "device";
	agent_peer.address = "192.0.2.1:1";
	agent_peer.spki = SLICE_LIT(DEVICE_KEY);
	collector_peer = agent_peer;
	collector_peer.name = "collector.example";
	r->w = world_new(seed);
	r->an = node_new(r->w, "device", died, r);
	r->cn = node_new(r->w, "collector", died, r);
	r->net = node_net(r->an, r->cn, &agent_peer, &collector_peer);
	if (r->story->twin) {
		r->twin_node = node_new(r->w, "twin", died, r);
		r->twin_net = node_net(r->twin_node, r->cn, &agent_peer,
				       &collector_peer);
	}
	node_listen(r->cn, accept_link, r);
	r->so = (struct shipper_options){
		.collectors = {&collector_host, 1},
		.spool_dir = (char *)(uintptr_t) "/spool",
		.spool_max = SPOOL_MAX,
		.spool_policy = r->story->policy,
		.memory_max = 1024 * 1024,
		.batch_delay_ms = 200,
		.batch_max = 2048,
		.segment_max = 4096,
		.segment_age_ms = 60000,
		.segment_silence_ms = 5000,
		.window_log = 15,
		.level = 1,
		.reconnect_min_ms = 100,
		.reconnect_max_ms = r->story->twin ? 10000 : 2000,
	};
	if (r->story->tiny) {
		r->so.spool_max = 64 * 1024 * 1024;
		r->so.batch_max = 64;
		r->so.segment_max = 1;
	}
	r->co = (struct collector_options){
		.store_dir = (char *)(uintptr_t) "/store",
		.sync_interval_ms = 20,
		.output_file = (char *)(uintptr_t) "",
		.window_log = 17,
		.segment_max = 1024 * 1024,
		.decoders_max = 4,
	};
}

static bool run_one(const struct story *s, uint64_t seed)
{
	struct run *r = calloc(1, sizeof *r);
	bool ok;

	if (r == NULL) {
		exit(2);
	}
	r->story = s;
	buf_init(&r->saved, 1024 * 1024);
	set_up(r, seed);
	start_collector(r);
	start_shipper(r);
	world_after(r->w, NULL, second, source, r);
	at(r, s->away_ms[0], goes);
	at(r, s->away_ms[1], comes);
	at(r, s->restart_ms[0], stop_shipper);
	at(r, s->restart_ms[1], next_life);
	at(r, s->backup_ms, backed_up);
	at(r, s->restored_ms, restored);
	at(r, s->new_key_ms, renew_key);
	at(r, s->full_ms[0], fills);
	at(r, s->full_ms[1], frees);
	at(r, s->sync_fails_ms, sync_fails);
	if (s->twin) {
		start_twin(r);
	}
	world_run(r->w, 200 * second);
	stop_shipper(r);
	world_run(r->w, 240 * second);
	if (r->twin != NULL) {
		shipper_free(r->twin);
		node_retire(r->twin_node);
	}
	if (r->shipper != NULL) {
		shipper_free(r->shipper);
	}
	ok = s->new_key_ms == 0 || remembers(r);
	node_retire(r->an);
	collector_free(r->collector);
	node_retire(r->cn);
	node_revive(r->cn);
	ok = check(r) && ok;
	world_free(r->w);
	buf_fini(&r->saved);
	free(r);
	if (!ok) {
		printf("  again with: sim_kept --seed %llu\n",
		       (unsigned long long)seed);
	}
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"runs", required_argument, NULL, 'r'},
		{"story", required_argument, NULL, 'o'},
		{"verbose", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	const char *only = NULL;
	uint64_t seed = 1, runs = 1;
	unsigned failed = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			runs = strtoull(optarg, NULL, 10);
			break;
		case 'o':
			only = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (!verbose) {
		log_set_level(LOG_LEVEL_ERROR);
	}
	if (crypto_init() != 0) {
		return 2;
	}
	for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
		unsigned bad = 0;

		if (only != NULL && strcmp(only, stories[i].name) != 0) {
			continue;
		}
		for (uint64_t k = 0; k < runs; k++) {
			bad += !run_one(&stories[i], seed + k);
		}
		printf("%-24s %llu runs, %u failed\n", stories[i].name,
		       (unsigned long long)runs, bad);
		failed += bad;
	}
	return failed == 0 ? 0 : 1;
}
