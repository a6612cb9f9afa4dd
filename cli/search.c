/* nightjar search: records and alerts of a collector's store. */
#include "cli/search.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "collector/opened.h"
#include "collector/share.h"
#include "common/err.h"
#include "common/sys_uv.h"
#include "common/timefmt.h"
#include "config/config.h"

enum { CATALOGUES_MAX = 16 };

struct search {
	struct search_request q;
	struct store store;
	/* Of each collector of the store that has one; none: every file is read. */
	struct sqlite_reader *catalogues[CATALOGUES_MAX];
	size_t n_catalogues;
	struct parsers parsers;
	const struct device *device;
	struct opened *o;
	struct buf out;
	uint64_t found;
	bool met; /* a device that is wanted, whether or not it has sent anything */
	bool failed;
};

static void help(void)
{
	fputs("Usage: nightjar search [OPTION]... [TEXT]\n\n"
	      "Looks through what a collector has stored, beside the running "
	      "collector or\nwithout one. Prints lines by device, and each device's in "
	      "the order in which they\narrived.\n\n"
	      "  -c FILE        the collector's configuration "
	      "(" CONFIG_COLLECTOR_PATH ")\n"
	      "  --store DIR    the store itself\n"
	      "  --device D     of this device only: its name, or 8 or more digits of "
	      "its id\n"
	      "  --since T      from then on: 2026-11-22T15:37:46Z, 2026-11-22, or "
	      "90s, 20m, 2h,\n"
	      "  --until T      up to then    7d, 4w before now\n"
	      "  --program P    of this program\n"
	      "  --user U       about this user\n"
	      "  --ip A         from this address or network (203.0.113.0/24)\n"
	      "  --outcome O    success or failure\n"
	      "  --alerts       alerts in place of lines\n"
	      "  --streams      also where streams of lines begin and end\n"
	      "  --json         records as JSON, one on each line, with the names of "
	      "the Elastic\n"
	      "                 Common Schema and where they stand\n"
	      "  --limit N      the first N at most\n"
	      "  --help         this text\n\n"
	      "TEXT is looked for in the line as it stands. Where lines are known to be "
	      "missing a\ngap is shown, unless something particular is looked for. A day begins at "
	      "midnight UTC.\n\n"
	      "Exit status: 0 good, 1 something could not be read, 2 used wrongly.\n"
	      "Example: nightjar search --since 2h --outcome failure --ip "
	      "203.0.113.7\n",
	      stdout);
}

/* ---- arguments ---- */

static bool relative(const char *text, int64_t *ns)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400},
		     {'w', 7 * 86400}};
	size_t n = strlen(text);
	uint64_t v;

	for (size_t i = 0; n > 1 && i < sizeof units / sizeof *units; i++) {
		if (text[n - 1] == units[i].unit &&
		    slice_to_u64(slice(text, n - 1), 1000000, &v)) {
			*ns = sys_wall_ns(sys_plain()) -
			      (int64_t)v * units[i].seconds * NS_PER_S;
			return true;
		}
	}
	return false;
}

static int set_time(const char *option, const char *text, int64_t *ns)
{
	if (relative(text, ns) || time_parse(slice_str(text), ns)) {
		return 0;
	}
	return cli_usage("search",
			 "%s \"%s\" is no time: write 2026-11-22T15:37:46Z, "
			 "2026-11-22, or 2h",
			 option, text);
}

enum { OPT_STORE = 256, OPT_DEVICE, OPT_SINCE, OPT_UNTIL, OPT_PROGRAM, OPT_USER,
       OPT_IP, OPT_OUTCOME, OPT_ALERTS, OPT_STREAMS, OPT_JSON, OPT_LIMIT, OPT_HELP };

static int set_option(struct search_request *q, int o, const char *arg)
{
	switch (o) {
	case 'c':
		q->config = arg;
		return 0;
	case OPT_STORE:
		q->store = arg;
		return 0;
	case OPT_DEVICE:
		q->device = arg;
		return 0;
	case OPT_SINCE:
		return set_time("--since", arg, &q->since_ns);
	case OPT_UNTIL:
		return set_time("--until", arg, &q->until_ns);
	case OPT_PROGRAM:
		q->program = arg;
		return 0;
	case OPT_USER:
		q->user = arg;
		return 0;
	case OPT_IP:
		q->has_ip = true;
		return ip_net_parse(slice_str(arg), &q->ip)
			       ? 0
			       : cli_usage("search",
					   "--ip \"%s\" is no address", arg);
	case OPT_OUTCOME:
		q->outcome = arg;
		return strcmp(arg, "success") == 0 ||
				       strcmp(arg, "failure") == 0
			       ? 0
			       : cli_usage("search", "--outcome is success or "
						     "failure, not \"%s\"",
					   arg);
	case OPT_ALERTS:
		q->alerts = true;
		return 0;
	case OPT_STREAMS:
		q->streams = true;
		return 0;
	case OPT_JSON:
		q->json = true;
		return 0;
	default: /* OPT_LIMIT */
		return slice_to_u64(slice_str(arg), UINT64_MAX - 1, &q->limit) &&
				       q->limit > 0
			       ? 0
			       : cli_usage("search", "--limit \"%s\" is no number "
						     "from 1 on", arg);
	}
}

/* -1: go on. */
static int arguments(struct search_request *q, int argc, char **argv)
{
	static const struct option options[] = {
		{"store", required_argument, NULL, OPT_STORE},
		{"config", required_argument, NULL, 'c'},
		{"device", required_argument, NULL, OPT_DEVICE},
		{"since", required_argument, NULL, OPT_SINCE},
		{"until", required_argument, NULL, OPT_UNTIL},
		{"program", required_argument, NULL, OPT_PROGRAM},
		{"user", required_argument, NULL, OPT_USER},
		{"ip", required_argument, NULL, OPT_IP},
		{"outcome", required_argument, NULL, OPT_OUTCOME},
		{"alerts", no_argument, NULL, OPT_ALERTS},
		{"json", no_argument, NULL, OPT_JSON},
		{"streams", no_argument, NULL, OPT_STREAMS},
		{"limit", required_argument, NULL, OPT_LIMIT},
		{"help", no_argument, NULL, OPT_HELP},
		{NULL, 0, NULL, 0},
	};
	int o, rc;

	*q = (struct search_request){.since_ns = INT64_MIN,
				     .until_ns = INT64_MAX,
				     .limit = UINT64_MAX,
				     .colour = isatty(STDOUT_FILENO) != 0};
	opterr = 0;
	while ((o = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		if (o == OPT_HELP) {
			help();
			return CLI_OK;
		}
		if (o == ':') {
			return cli_usage("search", "%s needs a value",
					 argv[optind - 1]);
		}
		if (o == '?') {
			return cli_usage("search", "unknown option %s",
					 argv[optind - 1]);
		}
		rc = set_option(q, o, optarg);
		if (rc != 0) {
			return rc;
		}
	}
	if (optind < argc) {
		q->text = argv[optind++];
	}
	if (optind < argc) {
		return cli_usage("search",
				 "one TEXT at a time: put it into quotes, or drop "
				 "\"%s\"", argv[optind]);
	}
	if (q->since_ns > q->until_ns) {
		return cli_usage("search", "--since is later than --until: nothing "
					   "can be found");
	}
	return -1;
}

/* ---- reading ---- */

static void put_stored_alert(struct search *s, const struct record *r)
{
	struct catalogue_alert a = {
		.device = s->device->id,
		.stream = r->stream,
		.position = r->start,
		.time_ms = record_time_ns(r) / NS_PER_MS,
		.json = r->line,
	};

	search_put_alert(&s->q, s->device->name, &a);
}

/* 1: enough was found. */
static int take_batch(struct search *s)
{
	struct records records;
	struct record r;
	int rc;

	records_init(&records, s->o);
	while ((rc = records_next(&records, &r)) == 1) {
		bool alert = (r.flags & RECORD_ALERT) != 0;

		rc = parsers_read(&s->parsers, &s->device->id, &r);
		if (rc != 0) {
			return rc;
		}
		if (s->q.alerts) {
			if (!alert || !search_in_time(&s->q, record_time_ns(&r))) {
				continue;
			}
			put_stored_alert(s, &r);
		} else if (!search_matches(&s->q, &r)) {
			continue;
		} else {
			rc = search_put_record(&s->q, s->device, &r, &s->out);
		}
		if (rc != 0) {
			return rc;
		}
		if (++s->found >= s->q.limit) {
			return 1;
		}
	}
	return rc;
}

static void complain(struct search *s, const struct segment_name *name, int rc)
{
	char file[SEGMENT_NAME];

	segment_name_format(file, name);
	fflush(stdout);
	fprintf(stderr,
		"nightjar search: %s, %s: %s; what stands before was searched "
		"(nightjar store verify tells more)\n",
		s->device->name, file, err_str(rc));
	s->failed = true;
}

static int search_segment(struct search *s, const char *dir,
			  const struct segment_name *name)
{
	int rc = opened_open(s->o, s->store.sys, dir, name, s->store.keys,
			     s->store.n_keys);

	if (rc == 0) {
		while ((rc = opened_next(s->o)) == 1) {
			if (s->o->e.kind == ENTRY_BATCH) {
				rc = take_batch(s);
				if (rc != 0) {
					break;
				}
			}
		}
		opened_close(s->o);
	}
	/* The collector may be in the middle of writing the last entry. */
	if (rc < 0 && rc != ERR_TRUNCATED && rc != UV_ENOENT) {
		complain(s, name, rc);
		return rc == UV_ENOMEM ? rc : 0;
	}
	return rc > 0 ? rc : 0;
}

/* Some catalogue knows the segment as its file is now. */
static bool find_row(const struct search *s, const struct segment_name *name,
		     uint64_t bytes, struct catalogue_segment *row)
{
	for (size_t i = 0; i < s->n_catalogues; i++) {
		if (sqlite_reader_segment(s->catalogues[i], &s->device->id,
					  &name->id, row) == 1 &&
		    row->part == name->part && row->bytes == bytes) {
			return true;
		}
	}
	return false;
}

/* The catalogue knows the whole file, and that nothing in it is of that time. */
static bool out_of_time(const struct search *s, const char *dir,
			const struct segment_name *name)
{
	const struct search_request *q = &s->q;
	struct catalogue_segment row;
	struct sys_stat st;
	char path[STORE_PATH];

	if (q->since_ns == INT64_MIN && q->until_ns == INT64_MAX) {
		return false;
	}
	segment_path(path, dir, name);
	return sys_stat(s->store.sys, path, &st) == 0 &&
	       find_row(s, name, st.size, &row) &&
	       (row.last_ms < q->since_ns / NS_PER_MS - 1 ||
		row.first_ms > q->until_ns / NS_PER_MS + 1);
}

static int on_opened(void *arg, const struct stream_id *stream,
		     struct slice json)
{
	struct search *s = arg;

	return parsers_opened(&s->parsers, &s->device->id, stream, json);
}

static int on_device(void *arg, const struct device *d)
{
	struct search *s = arg;
	struct segment_list l;
	struct device folder = *d;
	char dir[STORE_PATH];
	int fd, rc;

	if (!search_wants_device(&s->q, d->name, d->hex)) {
		return 0;
	}
	s->met = true;
	s->device = d;
	fd = share_pin(&s->store, &folder, dir);
	rc = fd < 0 ? fd : segment_list_read(&l, s->store.sys, dir);
	if (rc != 0) {
		share_unpin(&s->store, fd);
		return rc;
	}
	for (size_t i = 0; i < s->n_catalogues; i++) {
		sqlite_reader_opened(s->catalogues[i], &d->id, on_opened, s);
	}
	for (size_t i = 0; i < l.n && rc == 0; i++) {
		if ((l.v[i].lane == LANE_ALERT) == s->q.alerts &&
		    !out_of_time(s, dir, &l.v[i])) {
			rc = search_segment(s, dir, &l.v[i]);
		}
	}
	segment_list_fini(&l);
	share_unpin(&s->store, fd);
	return rc;
}

/* ---- alerts, as the catalogue has them ---- */

static const char *name_of(const struct search *s, const struct hash32 *id,
			   char hex[static HEX32])
{
	struct device *d = store_find_device(&s->store, id);

	hash32_hex(hex, id);
	return d != NULL ? d->name : hex;
}

static int on_name(void *arg, const struct hash32 *id, const char *name,
		   int64_t seen_ms)
{
	struct search *s = arg;
	struct device *d = store_device(&s->store, id);
	char hex[HEX32];

	(void)seen_ms;
	if (d == NULL) {
		return UV_ENOMEM;
	}
	hash32_hex(hex, id);
	s->met |= search_wants_device(&s->q, name, hex);
	snprintf(d->name, sizeof d->name, "%s", name);
	return 0;
}

static int on_alert(void *arg, const struct catalogue_alert *a)
{
	struct search *s = arg;
	char hex[HEX32];
	const char *name = name_of(s, &a->device, hex);

	if (!search_wants_device(&s->q, name, hex)) {
		return 0;
	}
	s->found += search_put_alert(&s->q, name, a);
	return s->found >= s->q.limit;
}

static int search_alerts(struct search *s)
{
	int64_t since = s->q.since_ns == INT64_MIN ? INT64_MIN
						   : s->q.since_ns / NS_PER_MS;
	int64_t until = s->q.until_ns == INT64_MAX ? INT64_MAX
						   : s->q.until_ns / NS_PER_MS;
	int rc = 0;

	for (size_t i = 0; i < s->n_catalogues && rc == 0; i++) {
		rc = sqlite_reader_devices(s->catalogues[i], on_name, s);
	}
	for (size_t i = 0; i < s->n_catalogues && rc == 0; i++) {
		rc = sqlite_reader_alerts(s->catalogues[i], NULL, since, until,
					  on_alert, s);
	}
	return rc;
}

static int on_member(void *arg, const char *name, const char *dir)
{
	struct search *s = arg;

	(void)name;
	if (s->n_catalogues < CATALOGUES_MAX &&
	    sqlite_reader_open(&s->catalogues[s->n_catalogues], dir) == 0) {
		s->n_catalogues++;
	}
	return 0;
}

static int search(struct search *s)
{
	int rc;

	s->o = malloc(sizeof *s->o);
	if (s->o == NULL) {
		return UV_ENOMEM;
	}
	buf_init(&s->out, 16 * 1024 * 1024);
	on_member(s, "", s->store.dir);
	share_members(&s->store, on_member, s);
	rc = s->q.alerts && s->n_catalogues > 0
		     ? search_alerts(s)
		     : store_dir_devices(&s->store, on_device, s);
	for (size_t i = 0; i < s->n_catalogues; i++) {
		sqlite_reader_close(s->catalogues[i]);
	}
	parsers_fini(&s->parsers);
	buf_fini(&s->out);
	free(s->o);
	free(s->q.seen.slots);
	return rc < 0 ? rc : 0;
}

int cmd_search(int argc, char **argv)
{
	struct search *s = calloc(1, sizeof *s);
	int rc;

	if (s == NULL) {
		return cli_fail("search", "out of memory");
	}
	rc = arguments(&s->q, argc, argv);
	if (rc < 0) {
		rc = store_dir_open(&s->store, "search", s->q.store,
				    s->q.config);
		if (rc == 0) {
			rc = search(s);
			if (rc != 0) {
				rc = cli_fail("search", "%s: %s", s->store.dir,
					      err_str(rc));
			} else if (!s->met && s->q.device != NULL) {
				rc = cli_fail("search", "no device is called \"%s\" in "
					      "%s (nightjar store list names them)",
					      s->q.device, s->store.dir);
			} else if (s->failed || fflush(stdout) != 0) {
				rc = CLI_FAILED;
			}
			store_fini(&s->store, true);
		}
	}
	free(s);
	return rc;
}
