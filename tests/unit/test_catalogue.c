/* Unit tests of the catalogue: kept, lost, ahead, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "collector/sqlite.h"
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

static void store_something(struct bench *b)
{
	struct bench_link *l = bench_connect(b, "gw");
	struct bench_segment g;
	struct welcome w;
	struct said *m;

	bench_hello(l, 'm');
	m = bench_hear(l, MSG_WELCOME);
	assert_true(m != NULL);
	assert_int_equal(welcome_decode(&w, said_payload(m)), 0);
	free(m);
	bench_segment_new(b, &g, l, &w.keys[0], LANE_FILE, 1);
	bench_announce(l, &g, -1, sealer_hash(g.sealer));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(it_knows_what_is_stored),
		T(lost_it_is_made_again_from_the_files),
		T(ahead_of_the_files_it_is_rebuilt),
		T(damaged_it_is_set_aside_and_made_again),
		T(an_alert_is_kept_once),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
