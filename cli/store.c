/* nightjar store: what a collector's store holds, and whether it is sound. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/search.h"
#include "cli/store_import.h"
#include "collector/share.h"
#include "collector/verify.h"
#include "common/err.h"
#include "common/json.h"
#include "common/timefmt.h"
#include "config/config.h"

struct request {
	const char *store, *config;
	bool json;
};

static void help(void)
{
	fputs("Usage: nightjar store verify [OPTION]...\n"
	      "       nightjar store list [OPTION]...\n"
	      "       nightjar store import [-c FILE] PATH...\n\n"
	      "verify reads everything that a collector has stored: checksums, hash "
	      "chains, every\nbatch opened with the store's keys, positions without "
	      "hole or overlap, and what the\ndevices have signed against what is "
	      "there. Each hole, rewrite or replay is named.\nIt changes nothing and "
	      "may run beside the collector.\n"
	      "list tells of each device how much there is of it, and from when.\n"
	      "import takes what `nightjar spool export` wrote on a device that can't "
	      "reach the\ncollector: files, or folders of them, each with the .voucher "
	      "beside it that says\nwhose it is.  Each line is stored once, also when a "
	      "file comes twice or the device\nsends the same later; what is whole of a "
	      "damaged file is taken.  It reads as the\ncollector's user: what root has "
	      "exported, `chown -R nightjar-collector` first.  Not\nwhile the collector "
	      "runs: a store has one writer.  Alerts and output follow at its\nnext "
	      "start.\n\n"
	      "  -c FILE      the collector's configuration "
	      "(" CONFIG_COLLECTOR_PATH ")\n"
	      "  --store DIR  verify, list: the store itself\n"
	      "  --json       verify, list: the answer as JSON\n"
	      "  --help       this text\n\n"
	      "Exit status: 0 good, 1 something is wrong, 2 used wrongly.\n"
	      "Examples: nightjar store verify --store "
	      "/var/lib/nightjar-collector/store\n"
	      "          nightjar store import /media/stick/gw\n",
	      stdout);
}

/* ---- verify ---- */

struct verifying {
	const struct request *q;
	struct buf out;
	struct json j;
};

static void on_finding(void *arg, const struct verify_finding *f)
{
	struct verifying *v = arg;

	if (v->q->json) {
		json_object(&v->j, NULL);
		json_cstr(&v->j, "kind", verify_kind_name(f->kind));
		json_cstr(&v->j, "device", f->device);
		json_cstr(&v->j, "file", f->file);
		json_u64(&v->j, "offset", f->offset);
		json_cstr(&v->j, "text", f->text);
		json_object_end(&v->j);
		return;
	}
	printf("%s: ", verify_kind_name(f->kind));
	if (f->device[0] != '\0') {
		search_put_text(slice_str(f->device));
		printf(": ");
	}
	if (f->file[0] != '\0') {
		search_put_text(slice_str(f->file));
		if (f->offset > 0) {
			printf(" at %llu", (unsigned long long)f->offset);
		}
		printf(": ");
	}
	search_put_text(slice_str(f->text));
	putchar('\n');
}

static void summary(struct verifying *v, const struct verify_totals *t)
{
	if (!v->q->json) {
		printf("%llu devices, %llu streams, %llu segments, %llu "
		       "batches, %llu records, %llu bytes, %llu signed heads: "
		       "%s\n",
		       (unsigned long long)t->devices,
		       (unsigned long long)t->streams,
		       (unsigned long long)t->segments,
		       (unsigned long long)t->batches,
		       (unsigned long long)t->records,
		       (unsigned long long)t->bytes,
		       (unsigned long long)t->heads,
		       t->wrong == 0 ? "all of it is whole and there once"
				     : "NOT SOUND, see above");
		return;
	}
	json_array_end(&v->j);
	json_u64(&v->j, "devices", t->devices);
	json_u64(&v->j, "streams", t->streams);
	json_u64(&v->j, "segments", t->segments);
	json_u64(&v->j, "batches", t->batches);
	json_u64(&v->j, "records", t->records);
	json_u64(&v->j, "bytes", t->bytes);
	json_u64(&v->j, "heads", t->heads);
	json_bool(&v->j, "ok", t->wrong == 0);
	json_object_end(&v->j);
}

static int verify(struct store *s, const struct request *q)
{
	struct verifying v = {.q = q};
	struct verify_totals totals;
	int rc;

	buf_init(&v.out, 256 * 1024 * 1024);
	v.j = json_begin(&v.out);
	if (q->json) {
		json_object(&v.j, NULL);
		json_array(&v.j, "findings");
	}
	rc = verify_store(s, on_finding, &v, &totals);
	summary(&v, &totals);
	if (rc == 0 && q->json) {
		rc = json_end(&v.j);
		fwrite(v.out.p, 1, v.out.n, stdout);
		putchar('\n');
	}
	buf_fini(&v.out);
	if (rc != 0) {
		return cli_fail("store", "%s: %s", s->dir, err_str(rc));
	}
	return totals.wrong == 0 ? CLI_OK : CLI_FAILED;
}

/* ---- list ---- */

struct listing {
	const struct request *q;
	struct store *s;
	struct buf out;
	struct json j;
};

struct amount {
	uint64_t segments, batches, records, bytes;
	int64_t first_ms, last_ms;
};

static int add_segment(struct listing *l, const char *dir,
		       const struct segment_name *name, struct amount *a)
{
	struct segment_entry *e = malloc(sizeof *e);
	struct segment_reader *r = malloc(sizeof *r);
	int rc = e == NULL || r == NULL ? UV_ENOMEM : 0;

	if (rc == 0 && segment_reader_open(r, l->s->sys, dir, name) == 0) {
		a->segments++;
		while (segment_reader_next(r, e) == 1) {
			if (e->kind != ENTRY_BATCH) {
				continue;
			}
			a->batches++;
			for (size_t i = 0; i < e->head.n_streams; i++) {
				a->records += e->head.streams[i].count;
			}
			if (e->head.first_ms < a->first_ms) {
				a->first_ms = e->head.first_ms;
			}
			if (e->head.last_ms > a->last_ms) {
				a->last_ms = e->head.last_ms;
			}
		}
		a->bytes += r->entries.offset;
		segment_reader_close(r);
	}
	free(r);
	free(e);
	return rc;
}

static void put_device(struct listing *l, const struct device *d,
		       const struct amount *a)
{
	char first[TIME_TEXT] = "-", last[TIME_TEXT] = "-";

	if (l->q->json) {
		json_object(&l->j, NULL);
		json_cstr(&l->j, "device", d->name);
		json_cstr(&l->j, "device_id", d->hex);
		json_u64(&l->j, "segments", a->segments);
		json_u64(&l->j, "batches", a->batches);
		json_u64(&l->j, "records", a->records);
		json_u64(&l->j, "bytes", a->bytes);
		json_time(&l->j, "first",
			  a->batches == 0 ? TIME_NONE : a->first_ms * NS_PER_MS);
		json_time(&l->j, "last",
			  a->batches == 0 ? TIME_NONE : a->last_ms * NS_PER_MS);
		json_object_end(&l->j);
		return;
	}
	if (a->batches > 0) {
		time_format(first, a->first_ms / 1000 * NS_PER_S);
		time_format(last, a->last_ms / 1000 * NS_PER_S);
	}
	search_put_text(slice_str(d->name));
	printf("  %.16s  %llu records in %llu bytes, %llu segments, %s to "
	       "%s\n",
	       d->hex, (unsigned long long)a->records,
	       (unsigned long long)a->bytes, (unsigned long long)a->segments,
	       first, last);
}

static int on_device(void *arg, const struct device *d)
{
	struct listing *l = arg;
	struct amount a = {.first_ms = INT64_MAX, .last_ms = INT64_MIN};
	struct segment_list list;
	struct device folder = *d;
	char dir[STORE_PATH];
	int fd = share_pin(l->s, &folder, dir);
	int rc = fd < 0 ? fd : segment_list_read(&list, l->s->sys, dir);

	if (rc != 0) {
		share_unpin(l->s, fd);
		return rc;
	}
	for (size_t i = 0; i < list.n && rc == 0; i++) {
		rc = add_segment(l, dir, &list.v[i], &a);
	}
	segment_list_fini(&list);
	share_unpin(l->s, fd);
	if (rc == 0) {
		put_device(l, d, &a);
	}
	return rc;
}

static int list(struct store *s, const struct request *q)
{
	struct listing l = {.q = q, .s = s};
	int rc;

	buf_init(&l.out, 256 * 1024 * 1024);
	l.j = json_begin(&l.out);
	json_array(&l.j, NULL);
	rc = store_dir_devices(s, on_device, &l);
	json_array_end(&l.j);
	if (rc == 0 && q->json) {
		rc = json_end(&l.j);
		fwrite(l.out.p, 1, l.out.n, stdout);
		putchar('\n');
	}
	buf_fini(&l.out);
	return rc == 0 ? CLI_OK
		       : cli_fail("store", "%s: %s", s->dir, err_str(rc));
}

/* ---- arguments ---- */

/* -1: go on. */
static int arguments(struct request *q, int argc, char **argv, char ***words,
		     size_t *n)
{
	const struct argument v[] = {
		{"store", 0, &q->store, NULL},
		{"config", 'c', &q->config, NULL},
		{"json", 0, NULL, &q->json},
	};

	return arguments_read_words("store", argc, argv, v, sizeof v / sizeof *v,
				    help, "say verify, list or import", words, n);
}

int cmd_store(int argc, char **argv)
{
	struct request q = {0};
	int (*run)(struct store *s, const struct request *q);
	const char *what;
	char **words;
	size_t n;
	struct store s;
	int rc = arguments(&q, argc, argv, &words, &n);

	if (rc >= 0) {
		return rc;
	}
	what = words[0];
	if (strcmp(what, "import") == 0) {
		if (q.store != NULL || q.json) {
			return cli_usage("store", "%s is not for import, which takes -c FILE",
					 q.store != NULL ? "--store" : "--json");
		}
		if (n < 2) {
			return cli_usage("store", "say what to import: files of a spool, or "
						  "folders of them");
		}
		return store_import(q.config, words + 1, n - 1);
	}
	if (strcmp(what, "verify") == 0) {
		run = verify;
	} else if (strcmp(what, "list") == 0) {
		run = list;
	} else {
		return cli_usage("store", "\"%s\" is neither verify, list nor import",
				 what);
	}
	if (n > 1) {
		return cli_usage("store", "\"%s\" is one word too many", words[1]);
	}
	rc = store_dir_open(&s, "store", q.store, q.config);
	if (rc == 0) {
		rc = run(&s, &q);
		store_fini(&s, true);
	}
	return rc;
}
