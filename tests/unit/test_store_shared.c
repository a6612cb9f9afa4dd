/* Unit tests of collector/share.h: two collectors on one store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "collector/collector.h"
#include "collector/store_lock.h"
#include "tests/support/shared_store.h"

static void a_device_goes_over_and_back_with_its_watermark(void **state)
{
	(void)state;
	start_both();
	visit(&a, 0, 30);
	visit(&b, 30, 60);
	visit(&a, 60, 80);
	assert_held_once(80);
}

static void both_know_after_a_restart_what_they_have(void **state)
{
	struct talk t;

	(void)state;
	start_both();
	visit(&a, 0, 30);
	visit(&b, 30, 50);
	bench_kill(&a);
	bench_stop(&b);
	assert_int_equal(bench_start(&a), 0);
	assert_int_equal(bench_start(&b), 0);
	assert_true(dial(&t, &b));
	assert_int_equal(t.w, 50);
	hang_up(&t);
	assert_true(dial(&t, &a));
	assert_int_equal(t.w, 50);
	hang_up(&t);
	assert_held_once(50);
}

static void who_lost_a_device_says_so_and_acknowledges_nothing(void **state)
{
	struct talk t, u;
	char text[256];

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	send_until(&t, 20);
	assert_true(dial(&u, &b));
	/* The first one's session is half open: it is still sent something. */
	bench_seal(&t.segment, 's', 20, 30, 0);
	bench_send_batch(t.link, &t.segment, 2);
	bench_run(&a, 100);
	hear_acks(&t);
	assert_int_equal(t.acked, 20);
	assert_int_equal(error_of(&t, text), MSG_ERROR_BUSY);
	assert_string_equal(text,
			    "another collector of this store has this device now");
	send_until(&u, 50);
	assert_int_equal(u.acked, 50);
	hang_up(&t);
	hang_up(&u);
	assert_held_once(50);
}

static void a_device_that_goes_during_a_repair_does_not_stop_it(void **state)
{
	struct talk t, u;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	sick = &a;
	send_until(&t, 30);
	assert_int_equal(t.acked, 0);
	assert_true(dial(&u, &b));
	send_until(&u, 50);
	assert_int_equal(u.acked, 50);
	hang_up(&t);
	hang_up(&u);
	sick = NULL;
	bench_run(&a, 60000);
	visit(&a, 50, 70);
	assert_held_once(70);
}

static unsigned damaged_part;

/* Turns a bit in the head of such a file of a segment. */
static int on_part(void *arg, const char *name, bool is_dir)
{
	const char *dir = arg;
	struct segment_name n;
	char path[STORE_PATH], byte;
	int fd;

	if (is_dir || !segment_name_parse(&n, name) || n.part != damaged_part) {
		return 0;
	}
	segment_path(path, dir, &n);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 40), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 40), 1);
	close(fd);
	return 1;
}

static int damage_parts(void *arg, const char *name, bool is_dir)
{
	struct store *s = arg;
	struct device d = {0};
	char dir[STORE_PATH];

	if (!is_dir || !hash32_unhex(&d.id, name)) {
		return 0;
	}
	hash32_hex(d.hex, &d.id);
	memcpy(d.owner, "a", 2);
	store_device_dir(s, &d, dir);
	return sys_list(s->sys, dir, on_part, dir);
}

/* All of it is there once, although a bit turns in the head of that part. */
static void assert_whole_without(unsigned part, uint64_t w)
{
	struct talk t;
	struct store s = {.sys = sys_plain()};
	char devices[160];

	damaged_part = part;
	snprintf(s.dir, sizeof s.dir, "%s", a.options.store_dir);
	memcpy(s.member, "a", 2);
	snprintf(devices, sizeof devices, "%s/devices", a.options.store_dir);
	assert_int_equal(sys_list(sys_plain(), devices, damage_parts, &s), 1);
	assert_true(dial(&t, &b));
	assert_int_equal(t.w, w);
	hang_up(&t);
	assert_places(&s, w);
	store_fini(&s, true);
}

/* What could not be synced comes again in another segment, and then the file that voids it
 * is damaged. */
static void what_a_failed_sync_left_does_not_count_again(void **state)
{
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	sick = &a;
	send_until(&t, 30);
	assert_int_equal(t.acked, 0);
	hang_up(&t);
	sick = NULL;
	bench_run(&a, 60000);
	visit(&a, 0, 50);
	assert_whole_without(1, 50);
}

/* The head that closes the segment, as the device would have sent it. */
static void close_segments(struct store *s)
{
	for (size_t i = 0; i < s->room_devices; i++) {
		struct device *d = s->devices[i];
		struct segment *g = d != NULL ? d->segments : NULL;

		for (; g != NULL; g = g->next) {
			struct head h = {.segment = g->name.id, .index = g->index,
					 .hash = g->hash, .state = HEAD_CLOSED};

			assert_int_equal(store_head(s, d, g, &h, SLICE_LIT("signed")), 0);
			assert_true(g->ended);
		}
	}
}

/* Batch 1 of the segment, the first of which is stored, while nothing can be synced. */
static void send_in_vain(struct talk *t, struct bench_segment *g, struct hash32 after,
			 bool closes)
{
	sick = &a;
	bench_announce(t->link, g, 0, after);
	bench_send_batch(t->link, g, 1);
	if (closes) {
		close_segments(&a.c->store);
	}
	bench_run(&a, 50);
	hear_acks(t);
	assert_int_equal(t->acked, 10);
	hang_up(t);
	sick = NULL;
	bench_run(&a, 60000);
}

/* A file in which a closing head stands is left as it is; the one after it has none. */
static void what_a_second_failed_sync_left_does_not_count_either(void **state)
{
	struct bench_segment g;
	struct hash32 after;
	struct talk t;

	(void)state;
	start_both();
	assert_true(dial(&t, &a));
	bench_segment_new(&a, &g, t.link, &t.key, LANE_FILE, ++number);
	bench_announce(t.link, &g, -1, sealer_hash(g.sealer));
	bench_seal(&g, 's', 0, 10, 0);
	after = sealer_hash(g.sealer);
	bench_seal(&g, 's', 10, 20, 0);
	bench_send_batch(t.link, &g, 0);
	bench_run(&a, 50);
	hear_acks(&t);
	assert_int_equal(t.acked, 10);
	send_in_vain(&t, &g, after, true);
	assert_true(dial(&t, &a));
	assert_int_equal(t.w, 10);
	send_in_vain(&t, &g, after, false);
	bench_segment_free(&g);
	visit(&a, 10, 50);
	assert_whole_without(2, 50);
}

static void a_store_becomes_shared_with_all_that_it_holds(void **state)
{
	struct store_lock lock;
	char why[512];

	(void)state;
	assert_int_equal(bench_start(&a), 0);
	visit(&a, 0, 30);
	bench_stop(&a);
	start_both();
	visit(&b, 30, 50);
	assert_held_once(50);
	/* And nobody has it for itself any more. */
	assert_int_equal(store_lock_take(&lock, a.options.store_dir, "", why),
			 UV_EINVAL);
	assert_non_null(strstr(why, "store.member"));
	bench_kill(&a);
	a.options.member = (char *)(uintptr_t) "c";
	assert_int_equal(bench_start(&a), UV_EINVAL);
	assert_int_equal(share_join(a.fs.real, a.options.store_dir, "A/../b",
				    why),
			 UV_EINVAL);
}

static void names_and_stores_are_locked(void **state)
{
	struct store_lock one, two;
	const char *dir = a.options.store_dir;
	char why[STORE_LOCK_WHY];

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(store_lock_take(&one, dir, "", why), 0);
	assert_int_equal(store_lock_take(&two, dir, NULL, why), UV_EAGAIN);
	store_lock_drop(&two);
	assert_int_equal(store_lock_take(&two, dir, "b", why), UV_EAGAIN);
	assert_non_null(strstr(why, "for itself"));
	store_lock_drop(&two);
	store_lock_drop(&one);
	assert_int_equal(store_lock_take(&one, dir, "a", why), 0);
	store_lock_opened(&one);
	assert_int_equal(store_lock_take(&two, dir, "a", why), UV_EAGAIN);
	store_lock_drop(&two);
	assert_int_equal(store_lock_take(&two, dir, "b", why), 0);
	store_lock_drop(&two);
	store_lock_drop(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_device_goes_over_and_back_with_its_watermark),
		T(both_know_after_a_restart_what_they_have),
		T(who_lost_a_device_says_so_and_acknowledges_nothing),
		T(a_device_that_goes_during_a_repair_does_not_stop_it),
		T(what_a_failed_sync_left_does_not_count_again),
		T(what_a_second_failed_sync_left_does_not_count_either),
		T(a_store_becomes_shared_with_all_that_it_holds),
		T(names_and_stores_are_locked),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
