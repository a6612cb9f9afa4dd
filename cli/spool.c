/* nightjar spool: what waits on an agent's disk for the collector, and whether it is
 * sound. */
#include "cli/spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/cli.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "common/timefmt.h"
#include "config/config.h"

enum { OUTPUT_MAX = 1024 * 1024 * 1024, HEX_ID = 33 };

struct request {
	const char *config, *directory, *to, *store;
	bool json, discard;
	char dir[SPOOL_PATH];
	char certificate[SPOOL_PATH], key[SPOOL_PATH], authority[SPOOL_PATH];
};

static void help(void)
{
	fputs("Usage: nightjar spool list|verify [OPTION]...\n"
	      "       nightjar spool repair [--discard-damaged] [OPTION]...\n"
	      "       nightjar spool export --to DIR | --store DIR [OPTION]...\n\n"
	      "What waits on this device for the collector.  The agent needs none of "
	      "this: it\nfinds damage by itself at its start, keeps what is whole and "
	      "tells the collector\nwhat is lost.\n\n"
	      "list tells of each segment its queue, batches, streams and positions.\n"
	      "verify reads all of it and names each loss: file, stream, positions.\n"
	      "repair does what the agent does at its start, while no agent runs: "
	      "unfinished\nends are cut, files that hold nothing go, what is damaged "
	      "stays for the agent to\ntell.\n"
	      "export copies whole segments elsewhere, each with a voucher that the "
	      "device signs:\nfor `nightjar store import` at a collector that the "
	      "device can't reach.  They are\nsealed for the collector's store and the "
	      "device can't open them: with --store, on a\nmachine that has the store's "
	      "keys, their records are printed; what is sealed for\nother keys is "
	      "named.\n\n"
	      "  -c FILE            the agent's configuration (" CONFIG_AGENT_PATH
	      ")\n"
	      "  --directory DIR    the spool itself\n"
	      "  --to DIR           export: the folder for the copies\n"
	      "  --store DIR        export: a collector's store, for its keys\n"
	      "  --discard-damaged  repair: remove what was set aside (*.damaged)\n"
	      "  --json             the answer as JSON\n"
	      "  --help             this text\n\n"
	      "Exit status: 0 good, 1 something is damaged or failed, 2 used "
	      "wrongly.\n"
	      "Example: nightjar spool verify --directory /var/lib/nightjar/spool\n",
	      stdout);
}

/* ---- telling ---- */

static void hex(char out[static HEX_ID], const void *id)
{
	for (int i = 0; i < 16; i++) {
		snprintf(out + 2 * i, 3, "%02x", ((const uint8_t *)id)[i]);
	}
}

/* What of a range is really lost: the whole part of the file tells where it begins. */
static struct spool_range lost_range(const struct spool_entry *e, size_t i)
{
	struct spool_range r = e->ranges[i];

	for (size_t k = 0; k < e->n_streams; k++) {
		if (memcmp(&e->streams[k].id, &r.id, sizeof r.id) == 0) {
			r.start = e->streams[k].end;
		}
	}
	return r;
}

static void put_segment(const struct spool_entry *e)
{
	char first[TIME_TEXT] = "-", last[TIME_TEXT] = "-", id[HEX_ID];

	if (e->n_batches > 0) {
		time_format(first, e->first_ms / 1000 * NS_PER_S);
		time_format(last, e->last_ms / 1000 * NS_PER_S);
	}
	printf("%s: %s, %zu batches, %llu records, %llu bytes, %s to %s%s\n",
	       spool_entry_name(e), queue_name(e->queue), e->n_batches,
	       (unsigned long long)e->records, (unsigned long long)e->size,
	       first, last,
	       !e->lost	       ? ""
	       : e->unfinished ? ", UNFINISHED"
			       : ", DAMAGED");
	for (size_t i = 0; i < e->n_streams; i++) {
		hex(id, &e->streams[i].id);
		printf("  stream %s, bytes %llu to %llu\n", id,
		       (unsigned long long)e->streams[i].start,
		       (unsigned long long)e->streams[i].end);
	}
}

static void put_loss(const struct spool_entry *e)
{
	char id[HEX_ID];

	printf("%s: %s at byte %llu, behind %zu whole batches\n", spool_entry_name(e),
	       e->unfinished ? "an unfinished write" : "damaged",
	       (unsigned long long)e->lost_at, e->n_batches);
	for (size_t i = 0; i < e->n_ranges; i++) {
		struct spool_range r = lost_range(e, i);

		hex(id, &r.id);
		printf("  lost: stream %s, bytes %llu to %llu\n", id,
		       (unsigned long long)r.start, (unsigned long long)r.end);
	}
	if (e->open_end) {
		puts("  and perhaps more: a part tells nothing of what it held");
	}
}

static void json_range(struct json *j, const struct spool_range *r)
{
	json_object(j, NULL);
	json_hex(j, "stream", &r->id, sizeof r->id);
	json_u64(j, "start", r->start);
	json_u64(j, "end", r->end);
	json_object_end(j);
}

static void json_loss(struct json *j, const struct spool_entry *e)
{
	json_object(j, "loss");
	json_bool(j, "unfinished", e->unfinished);
	json_u64(j, "offset", e->lost_at);
	json_bool(j, "perhaps_more", e->open_end);
	json_array(j, "ranges");
	for (size_t i = 0; i < e->n_ranges; i++) {
		struct spool_range r = lost_range(e, i);

		json_range(j, &r);
	}
	json_array_end(j);
	json_object_end(j);
}

static void json_entry(struct json *j, const struct spool_entry *e)
{
	json_object(j, NULL);
	json_cstr(j, "file", spool_entry_name(e));
	json_cstr(j, "queue", queue_name(e->queue));
	if (e->has_segment) {
		json_hex(j, "segment", &e->info.id, sizeof e->info.id);
		json_u64(j, "number", e->info.number);
	}
	json_u64(j, "batches", e->n_batches);
	json_u64(j, "records", e->records);
	json_u64(j, "bytes", e->size);
	json_time(j, "first",
		  e->n_batches == 0 ? TIME_NONE : e->first_ms * NS_PER_MS);
	json_time(j, "last",
		  e->n_batches == 0 ? TIME_NONE : e->last_ms * NS_PER_MS);
	json_array(j, "streams");
	for (size_t i = 0; i < e->n_streams; i++) {
		json_range(j, &e->streams[i]);
	}
	json_array_end(j);
	if (e->lost) {
		json_loss(j, e);
	}
	json_object_end(j);
}

static int count_damaged(void *arg, const char *name, bool is_dir)
{
	size_t *n = arg;

	*n += !is_dir && slice_ends(slice_str(name),
				    SLICE_LIT(".spool.damaged"));
	return 0;
}

/* Says which can't be read, and how many that is.  What is gone since the folder was
 * listed was delivered meanwhile. */
static size_t tell_unreadable(const struct spool_entries *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_unreadable; i++) {
		if (l->unreadable[i].error != UV_ENOENT) {
			cli_fail("spool", "%s cannot be read: %s", l->unreadable[i].path,
				 err_str(l->unreadable[i].error));
			n++;
		}
	}
	return n;
}

/* Everything that was found, and how much of it is wrong. */
static int tell_json(const struct spool_entries *l, size_t aside, size_t lost,
		     size_t unreadable)
{
	struct buf out;
	struct json j;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	j = json_begin(&out);
	json_object(&j, NULL);
	json_array(&j, "segments");
	for (size_t i = 0; i < l->n; i++) {
		json_entry(&j, &l->v[i]);
	}
	json_array_end(&j);
	json_u64(&j, "losses", lost);
	json_u64(&j, "unreadable", unreadable);
	json_u64(&j, "set_aside", aside);
	json_bool(&j, "ok", lost == 0 && unreadable == 0);
	json_object_end(&j);
	rc = json_end(&j);
	if (rc == 0) {
		fwrite(out.p, 1, out.n, stdout);
		putchar('\n');
	}
	buf_fini(&out);
	return rc == 0 ? CLI_OK : cli_fail("spool", "%s", err_str(rc));
}

static int tell(const struct request *q, const struct spool_entries *l,
		bool all)
{
	size_t lost = 0, aside = 0, unreadable = tell_unreadable(l);
	uint64_t bytes = 0;
	bool sound;

	sys_list(sys_plain(), q->dir, count_damaged, &aside);
	for (size_t i = 0; i < l->n; i++) {
		lost += l->v[i].lost;
		bytes += l->v[i].size;
	}
	sound = lost == 0 && unreadable == 0;
	if (q->json) {
		int rc = tell_json(l, aside, lost, unreadable);

		return rc == CLI_OK && !sound && !all ? CLI_FAILED : rc;
	}
	for (size_t i = 0; i < l->n; i++) {
		if (all) {
			put_segment(&l->v[i]);
		} else if (l->v[i].lost) {
			put_loss(&l->v[i]);
		}
	}
	printf("%zu segments, %llu bytes, %zu set aside as *.damaged: %s\n",
	       l->n, (unsigned long long)bytes, aside,
	       sound ? "all of it is whole" : "NOT SOUND");
	return !sound && !all ? CLI_FAILED : CLI_OK;
}

/* ---- the subcommands ---- */

static int run_list(const struct request *q, const struct spool_entries *l)
{
	return tell(q, l, true);
}

static int run_verify(const struct request *q, const struct spool_entries *l)
{
	return tell(q, l, false);
}

/* What is exported is signed with the device's key, when there is a configuration that
 * tells where it is. */
static int run_export(const struct request *q, const struct spool_entries *l)
{
	struct identity *device = NULL;
	char why[IDENTITY_WHY];
	int rc;

	if (q->store != NULL) {
		rc = spool_export_open(sys_plain(), l, q->store);
		return tell_unreadable(l) == 0 ? rc : CLI_FAILED;
	}
	if (q->certificate[0] != '\0' &&
	    identity_load(&device, q->certificate, q->key, q->authority,
			  sys_wall_ns(sys_plain()) / NS_PER_MS, why) != 0) {
		fprintf(stderr, "nightjar spool: %s\n", why);
	}
	rc = spool_export_to(sys_plain(), l, q->to, device);
	identity_free(device);
	return tell_unreadable(l) == 0 ? rc : CLI_FAILED;
}

static int on_damaged(void *arg, const char *name, bool is_dir)
{
	char path[SPOOL_PATH];
	int rc;

	if (is_dir || !slice_ends(slice_str(name), SLICE_LIT(".spool.damaged"))) {
		return 0;
	}
	snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
	rc = sys_unlink(sys_plain(), path);
	return rc == UV_ENOENT ? 0 : rc;
}

/* -1, or the lock that an agent would hold. */
static int lock_spool(const char *dir)
{
	char path[SPOOL_PATH + sizeof "/lock"];
	int fd;

	snprintf(path, sizeof path, "%s/lock", dir);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		fd = -2;
	}
	return fd;
}

static int run_repair(struct request *q)
{
	struct spool_entries l = {0};
	int lock = lock_spool(q->dir), rc;

	if (lock == -2) {
		return cli_fail("spool",
				"%s: an agent is using it; it repairs by itself "
				"when it starts, stop it for this",
				q->dir);
	}
	rc = spool_entries_read(&l, sys_plain(), q->dir, spool_recover);
	if (rc == 0 && q->discard) {
		rc = sys_list(sys_plain(), q->dir, on_damaged, q->dir);
	}
	rc = rc == 0 ? tell(q, &l, false)
		     : cli_fail("spool", "%s: %s", q->dir, err_str(rc));
	spool_entries_fini(&l);
	if (lock >= 0) {
		close(lock);
	}
	return rc;
}

static int with_entries(struct request *q,
			int (*run)(const struct request *q,
				   const struct spool_entries *l))
{
	struct spool_entries l;
	int rc = spool_entries_read(&l, sys_plain(), q->dir, spool_look);

	rc = rc == 0 ? run(q, &l)
		     : cli_fail("spool", "%s: %s", q->dir, err_str(rc));
	spool_entries_fini(&l);
	return rc;
}

/* ---- arguments ---- */

/* -1: go on. */
static int arguments(struct request *q, int argc, char **argv, const char **what)
{
	const struct argument v[] = {
		{"config", 'c', &q->config, NULL},
		{"directory", 0, &q->directory, NULL},
		{"to", 0, &q->to, NULL},
		{"store", 0, &q->store, NULL},
		{"discard-damaged", 0, NULL, &q->discard},
		{"json", 0, NULL, &q->json},
	};

	return arguments_read("spool", argc, argv, v, sizeof v / sizeof *v, help,
			      "say list, verify, repair or export", what);
}

/* Which spool: the one that is named, or that of the agent's configuration. */
static int find_spool(struct request *q)
{
	const char *config = q->config != NULL ? q->config : CONFIG_AGENT_PATH;
	struct config_errors *errs;
	struct agent_config *c;
	int rc;

	if (q->directory != NULL) {
		snprintf(q->dir, sizeof q->dir, "%s", q->directory);
		if (q->config == NULL) {
			return 0;
		}
	}
	errs = calloc(1, sizeof *errs);
	if (errs == NULL) {
		return cli_fail("spool", "out of memory");
	}
	rc = config_load_agent(config, &c, errs);
	if (rc != 0) {
		for (size_t i = 0; i < errs->n; i++) {
			fprintf(stderr, "%s\n", errs->text[i]);
		}
		rc = cli_fail("spool",
			      "%s does not tell where the spool is; name it with "
			      "--directory DIR",
			      config);
	} else {
		if (q->directory == NULL) {
			snprintf(q->dir, sizeof q->dir, "%s", c->shipper.spool_dir);
		}
		snprintf(q->certificate, sizeof q->certificate, "%s",
			 c->shipper.certificate);
		snprintf(q->key, sizeof q->key, "%s", c->shipper.key);
		snprintf(q->authority, sizeof q->authority, "%s",
			 c->shipper.authority);
		agent_config_free(c);
	}
	free(errs);
	return rc;
}

int cmd_spool(int argc, char **argv)
{
	struct request *q = calloc(1, sizeof *q);
	const char *what = "";
	int rc;

	if (q == NULL) {
		return cli_fail("spool", "out of memory");
	}
	rc = arguments(q, argc, argv, &what);
	if (rc >= 0) {
		free(q);
		return rc;
	}
	log_set_level(LOG_LEVEL_ERROR);
	if (strcmp(what, "export") == 0 && (q->to == NULL) == (q->store == NULL)) {
		rc = cli_usage("spool", "export needs --to DIR or --store DIR");
	} else if (strcmp(what, "export") != 0 && (q->to != NULL || q->store != NULL)) {
		rc = cli_usage("spool", "--to and --store are for export");
	} else if (strcmp(what, "repair") != 0 && q->discard) {
		rc = cli_usage("spool", "--discard-damaged is for repair");
	} else if (strcmp(what, "list") != 0 && strcmp(what, "verify") != 0 &&
		   strcmp(what, "repair") != 0 && strcmp(what, "export") != 0) {
		rc = cli_usage("spool",
			       "\"%s\" is neither list, verify, repair nor export",
			       what);
	} else {
		rc = find_spool(q);
		if (rc == 0) {
			rc = strcmp(what, "repair") == 0 ? run_repair(q)
			     : with_entries(q, strcmp(what, "list") == 0 ? run_list
					       : strcmp(what, "verify") == 0
						       ? run_verify
						       : run_export);
		}
	}
	free(q);
	return rc;
}
