/* nightjar store import: what an agent could not send, and somebody has carried here.
 *
 * A store has one writer, and so the collector must not run meanwhile: to hand the files to a
 * running one would need its sandbox to reach wherever a stick is mounted.  Of a shared store
 * only this member has to be stopped. */
#include "cli/store_import.h"

#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/import_files.h"
#include "cli/import_paths.h"
#include "collector/share_join.h"
#include "collector/sqlite.h"
#include "collector/store.h"
#include "collector/store_lock.h"
#include "common/daemon.h"
#include "common/err.h"
#include "common/log.h"
#include "common/sys_uv.h"
#include "common/timefmt.h"
#include "config/config.h"

/* ---- a collector for it ---- */

struct importing {
	struct collector_config *config;
	uv_loop_t loop;
	struct sys_uv sys;
	struct identity *us;
	struct store_lock lock;
	struct catalogue *catalogue;
	struct collector *collector;
	bool looping, stopped;
};

static int load_config(struct importing *im, const char *path)
{
	struct config_errors *errs = calloc(1, sizeof *errs);
	int rc = errs == NULL ? UV_ENOMEM
			      : config_load_collector(path, &im->config, errs);

	for (size_t i = 0; errs != NULL && i < errs->n; i++) {
		fprintf(stderr, "%s\n", errs->text[i]);
	}
	free(errs);
	return rc;
}

/* As the collector's own user, so that it can read what is written. */
static int open_store(struct importing *im, char why[static COLLECTOR_WHY])
{
	const struct collector_options *o = &im->config->collector;
	struct collector_params params = {.sys = &im->sys.sys,
					  .options = o,
					  .only_store = true};
	char own[STORE_PATH], lock_why[STORE_LOCK_WHY] = "";
	int rc = identity_load(&im->us, o->certificate, o->key, o->authority,
			       sys_wall_ns(sys_plain()) / NS_PER_MS, why);

	rc = rc == 0 ? daemon_drop(im->config->daemon.user, false, why) : rc;
	if (rc != 0) {
		return rc;
	}
	rc = store_lock_take(&im->lock, o->store_dir, o->member, lock_why);
	if (rc != 0) {
		snprintf(why, COLLECTOR_WHY,
			 "%s%s", lock_why,
			 rc == UV_EAGAIN ? ": stop the collector for this, and start it "
					   "again afterwards; agents keep meanwhile what they "
					   "have"
					 : "");
		return rc;
	}
	share_own_dir(own, o->store_dir, o->member);
	if (sqlite_catalogue_open(&im->catalogue, own, why) != 0) {
		im->catalogue = NULL; /* The next start makes it. */
	}
	why[0] = '\0';
	params.catalogue = im->catalogue;
	rc = collector_new(&im->collector, &params, why);
	store_lock_opened(&im->lock);
	return rc;
}

static void on_stopped(void *arg)
{
	((struct importing *)arg)->stopped = true;
}

static void close_store(struct importing *im)
{
	if (im->collector != NULL) {
		collector_stop(im->collector, on_stopped, im);
		while (!im->stopped) {
			uv_run(&im->loop, UV_RUN_ONCE);
		}
		collector_free(im->collector);
	}
	sqlite_catalogue_close(im->catalogue);
	store_lock_drop(&im->lock);
	identity_free(im->us);
	if (im->looping) {
		uv_run(&im->loop, UV_RUN_DEFAULT);
		uv_loop_close(&im->loop);
	}
	collector_config_free(im->config);
}

/* How many records were new to the store. */
static uint64_t records_taken(struct importing *im)
{
	struct buf text;
	struct json j;
	json_t *status = NULL;
	json_int_t n = 0;

	buf_init(&text, 1024 * 1024);
	j = json_begin(&text);
	json_object(&j, NULL);
	collector_status(im->collector, &j);
	json_object_end(&j);
	if (json_end(&j) == 0) {
		status = json_loadb(text.p, text.n, 0, NULL);
		n = json_integer_value(json_object_get(
			json_object_get(status, "since_start"), "records"));
	}
	json_decref(status);
	buf_fini(&text);
	return (uint64_t)n;
}

static int run(struct importing *im, const struct import_paths *c)
{
	const struct import import = {sys_plain(), &im->loop, im->collector,
				      im->us, stdout, stderr};
	struct import_totals t;
	bool whole;
	int rc = import_entries(&import, c->v, c->n, &t);

	if (rc != 0) {
		return cli_fail("store", "%s", err_str(rc));
	}
	whole = t.whole == t.files && c->missing == 0;
	printf("%zu files, %llu batches in the store, %llu records were new to it: ",
	       t.files, (unsigned long long)t.batches,
	       (unsigned long long)records_taken(im));
	if (c->missing > 0) {
		printf("NOT ALL OF IT, %zu could not be read, see above\n", c->missing);
	} else {
		puts(whole ? "all of it is there" : "NOT ALL OF IT, see above");
	}
	return whole ? CLI_OK : CLI_FAILED;
}

/* As whom we read, after open_store(). */
static const char *reader_name(const struct importing *im)
{
	const struct passwd *pw = getpwuid(geteuid());

	return pw != NULL ? pw->pw_name : im->config->daemon.user;
}

int store_import(const char *config, char *const *paths, size_t n)
{
	struct importing *im = calloc(1, sizeof *im);
	struct import_paths c = {0};
	char why[COLLECTOR_WHY] = "";
	int rc;

	if (im == NULL) {
		return cli_fail("store", "out of memory");
	}
	im->lock = STORE_LOCK_NONE;
	log_set_level(LOG_LEVEL_ERROR);
	if (load_config(im, config != NULL ? config : CONFIG_COLLECTOR_PATH) != 0) {
		free(im);
		return CLI_FAILED;
	}
	rc = uv_loop_init(&im->loop);
	im->looping = rc == 0;
	sys_uv_init(&im->sys, &im->loop);
	rc = rc == 0 ? open_store(im, why) : rc;
	rc = rc == 0 ? import_paths_choose(&c, sys_plain(), paths, n, reader_name(im), stderr)
		     : rc;
	rc = rc == 0 ? run(im, &c)
		     : cli_fail("store", "%s", why[0] != '\0' ? why : err_str(rc));
	import_paths_fini(&c);
	close_store(im);
	free(im);
	return rc;
}
