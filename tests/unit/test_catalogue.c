/* Unit tests of the catalogue: kept, lost, ahead, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "collector/sqlite.h"
#include "common/err.h"
#include "tests/support/collector_bench.h"

static struct bench bench;
static struct catalogue *catalogue;

/* Starts with the catalogue that is in the store's folder. */
static int start(struct bench *b)
{
	char why[COLLECTOR_WHY] = "";
	struct collector_params p = {
		.sys = &b->fs.sys,
		.options = &b->options,
		.on_alert = bench_on_alert,
		.arg = b,
	};

	mkdir(b->options.store_dir, 0700);
	assert_int_equal(sqlite_catalogue_open(&catalogue,
					       b->options.store_dir, why),
			 0);
	p.catalogue = catalogue;
	return collector_new(&b->c, &p, why);
}

static void stop(struct bench *b)
{
	bench_stop(b);
	sqlite_catalogue_close(catalogue);
}

/* A device is welcome, and begins a segment. */
static struct bench_link *begin(struct bench *b, struct bench_segment *g, const char *name,
				enum lane lane)
{
	struct bench_link *l = bench_connect(b, name);
	struct welcome w;
	struct said *m;

	bench_hello(l, 'm');
	m = bench_hear(l, MSG_WELCOME);
	assert_true(m != NULL);
	assert_int_equal(welcome_decode(&w, said_payload(m)), 0);
	free(m);
	bench_segment_new(b, g, l, &w.keys[0], lane, 1);
	bench_announce(l, g, -1, sealer_hash(g->sealer));
	return l;
}

static void store_something(struct bench *b)
{
	struct bench_segment g;
	struct bench_link *l = begin(b, &g, "gw", LANE_FILE);

	bench_seal(&g, 's', 0, 30, 0);
	bench_send_batch(l, &g, 0);
	bench_segment_free(&g);
	bench_run(b, 3000);
}

struct seen {
	unsigned n;
	struct catalogue_segment last;
};

static int on_segment(void *arg, const struct catalogue_segment *s)
{
	struct seen *seen = arg;

	seen->n++;
	seen->last = *s;
	return 0;
}

static struct seen rows(void)
{
	struct seen seen = {0};

	assert_int_equal(catalogue->ops->each_segment(catalogue, on_segment,
						      &seen),
			 0);
	return seen;
}

static int set_up(void **state)
{
	bench_init(&bench);
	assert_int_equal(start(&bench), 0);
	store_something(&bench);
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	stop(*state);
	bench_fini(*state);
	return 0;
}

static void it_knows_what_is_stored(void **state)
{
	struct seen seen = rows();

	(void)state;
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last.records, 3);
	assert_int_equal(seen.last.index, 0);
	assert_int_equal(seen.last.last_arrival, 1);
	assert_false(seen.last.closed);
}

static void lost_it_is_made_again_from_the_files(void **state)
{
	struct bench *b = *state;
	char path[128];

	stop(b);
	snprintf(path, sizeof path, "%s/catalogue.db", b->options.store_dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(start(b), 0);
	assert_int_equal(rows().n, 1);
	assert_int_equal(rows().last.records, 3);
}

static void ahead_of_the_files_it_is_rebuilt(void **state)
{
	struct bench *b = *state;
	struct catalogue_segment ghost = rows().last;

	ghost.id.b[0] ^= 1;
	ghost.closed = true;
	assert_int_equal(catalogue->ops->segment(catalogue, &ghost), 0);
	assert_int_equal(rows().n, 2);
	stop(b);
	assert_int_equal(start(b), 0);
	assert_int_equal(rows().n, 1);
}

static void damaged_it_is_set_aside_and_made_again(void **state)
{
	struct bench *b = *state;
	char path[128];
	FILE *f;

	stop(b);
	snprintf(path, sizeof path, "%s/catalogue.db", b->options.store_dir);
	f = fopen(path, "r+b");
	assert_true(f != NULL);
	fputs("this is no database any more, whatever it was", f);
	fclose(f);
	assert_int_equal(start(b), 0);
	assert_int_equal(rows().n, 1);
}

static int on_alert(void *arg, const struct catalogue_alert *a)
{
	unsigned *n = arg;

	assert_true(slice_eq(a->json, SLICE_LIT("{\"x\":1}")));
	(*n)++;
	return 0;
}

static void an_alert_is_kept_once(void **state)
{
	struct bench *b = *state;
	struct catalogue_alert a = {.time_ms = 5, .position = 7,
				    .json = SLICE_LIT("{\"x\":1}")};
	struct sqlite_reader *r;
	unsigned n = 0;

	assert_int_equal(catalogue->ops->alert(catalogue, &a), 0);
	assert_int_equal(catalogue->ops->alert(catalogue, &a), 0);
	assert_int_equal(sqlite_reader_open(&r, b->options.store_dir), 0);
	assert_int_equal(sqlite_reader_alerts(r, NULL, 0, 4, on_alert, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(sqlite_reader_alerts(r, &a.device, 5, 5, on_alert, &n),
			 0);
	assert_int_equal(n, 1);
	sqlite_reader_close(r);
}

enum { BATCHES = 6, ALERTS_A_BATCH = 4000 };

/* All within one second, as after hours offline. */
static void store_many_alerts(struct bench *b)
{
	struct bench_segment g;
	struct bench_link *l = begin(b, &g, "alarmed", LANE_ALERT);
	const uint64_t step = ALERTS_A_BATCH * 10;

	for (uint64_t i = 0; i < BATCHES; i++) {
		bench_seal(&g, 'a', i * step, (i + 1) * step, RECORD_ALERT);
		bench_send_batch(l, &g, i);
	}
	bench_segment_free(&g);
	bench_run(b, 900);
}

static int count_alert(void *arg, const struct catalogue_alert *a)
{
	unsigned *n = arg;

	(void)a;
	(*n)++;
	return 0;
}

static unsigned alerts_found(const struct bench *b)
{
	struct sqlite_reader *r;
	unsigned n = 0;

	assert_int_equal(sqlite_reader_open(&r, b->options.store_dir), 0);
	assert_int_equal(sqlite_reader_alerts(r, NULL, INT64_MIN, INT64_MAX, count_alert, &n), 0);
	sqlite_reader_close(r);
	return n;
}

static void each_of_very_many_alerts_is_kept(void **state)
{
	struct bench *b = *state;

	store_many_alerts(b);
	bench_run(b, 5000);
	assert_int_equal(b->alerts, BATCHES * ALERTS_A_BATCH);
	assert_int_equal(alerts_found(b), BATCHES * ALERTS_A_BATCH);
}

static bool broken;
static const struct catalogue_ops *whole;

static int begin_if_whole(struct catalogue *c)
{
	return broken ? ERR_DATABASE : whole->begin(c);
}

static void what_could_not_be_written_is_written_later_and_hooks_do_not_wait(void **state)
{
	struct bench *b = *state;
	struct catalogue_ops ops;

	whole = catalogue->ops;
	ops = *whole;
	ops.begin = begin_if_whole;
	catalogue->ops = &ops;
	broken = true;
	store_many_alerts(b);
	bench_run(b, 10000);
	assert_int_equal(b->alerts, BATCHES * ALERTS_A_BATCH);
	assert_int_equal(alerts_found(b), 0);
	broken = false;
	bench_run(b, 3000);
	assert_int_equal(alerts_found(b), BATCHES * ALERTS_A_BATCH);
	catalogue->ops = whole;
}

/* The first job of a process saves its cursor at once. */
static void a_kill_before_it_is_written_costs_it_no_alert(void **state)
{
	struct bench *b = *state;
	struct bench_segment g;
	struct bench_link *l;

	stop(b);
	assert_int_equal(start(b), 0);
	l = begin(b, &g, "alarmed", LANE_ALERT);
	bench_seal(&g, 'a', 0, 10, RECORD_ALERT);
	bench_send_batch(l, &g, 0);
	bench_segment_free(&g);
	bench_run(b, 500);
	assert_int_equal(b->alerts, 1);
	assert_int_equal(alerts_found(b), 0);
	bench_kill(b);
	sqlite_catalogue_close(catalogue);
	assert_int_equal(start(b), 0);
	bench_run(b, 5000);
	assert_int_equal(alerts_found(b), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(it_knows_what_is_stored),
		T(lost_it_is_made_again_from_the_files),
		T(ahead_of_the_files_it_is_rebuilt),
		T(damaged_it_is_set_aside_and_made_again),
		T(an_alert_is_kept_once),
		T(each_of_very_many_alerts_is_kept),
		T(a_kill_before_it_is_written_costs_it_no_alert),
		T(what_could_not_be_written_is_written_later_and_hooks_do_not_wait),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
