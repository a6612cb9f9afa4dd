/* Unit tests of shipper/held.h: what another store holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "shipper/held.h"

static const uint8_t store[HELD_STORE] = {0xab, 1, 2, 3, 4, 5, 6, 7,
					  8,	9, 10, 11, 12, 13, 14, 0xff};

static struct stream_id id(unsigned n)
{
	struct stream_id i = {{0}};

	i.b[0] = (uint8_t)(n * 37);
	i.b[1] = (uint8_t)n;
	i.b[2] = (uint8_t)(n >> 8);
	return i;
}

static void add(struct buf *list, unsigned n, uint64_t durable, uint64_t h)
{
	struct msg_stream w = {id(n), durable, durable, h, h};

	assert_int_equal(msg_add_stream(list, &w), 0);
}

static void what_the_other_store_holds_is_owed_as_a_gap_once(void **state)
{
	struct held h = {0};
	struct buf list;
	struct msg_stream w = {.id = id(2), .received = 30, .durable = 20};
	struct stream_id two = id(2), one = id(1);
	uint64_t start = 99;

	(void)state;
	buf_init(&list, 4096);
	add(&list, 1, 100, 11);
	add(&list, 2, 200, 22);
	add(&list, 3, 0, 0); /* Nothing of it is acknowledged. */
	assert_int_equal(held_begin(&h, store, buf_slice(&list)), 0);
	assert_int_equal(h.n, 2);
	assert_string_equal(h.reason,
			    "held-by ab0102030405060708090a0b0c0d0eff");
	assert_int_equal(held_owed(&h, &two, 200, &start), 0);
	held_raise(&h, &w);
	assert_int_equal(w.received, 200);
	assert_int_equal(w.durable, 200);
	assert_int_equal(w.h_durable, 22);
	assert_int_equal(held_owed(&h, &one, 100, &start), 0);
	assert_int_equal(held_owed(&h, &two, 200, &start), 1);
	assert_int_equal(start, 30);
	/* What lies before it is on its way. */
	assert_int_equal(held_owed(&h, &two, 201, &start), 0);
	/* A record that begins where this store ends needs none. */
	assert_int_equal(held_owed(&h, &two, 30, &start), 0);
	held_told(&h, &two);
	assert_int_equal(held_owed(&h, &two, 200, &start), 0);
	/* It was not heard: the next welcome says the same again. */
	w.received = 30;
	held_raise(&h, &w);
	assert_int_equal(held_owed(&h, &two, 200, &start), 1);
	held_told(&h, &two);
	held_told(&h, &two);
	assert_int_equal(h.n_owed, 0);
	/* This store has more: its own business. */
	w.received = w.durable = 250;
	held_raise(&h, &w);
	assert_int_equal(w.received, 250);
	assert_int_equal(h.n_owed, 0);
	held_fini(&h);
	buf_fini(&list);
}

static void going_back_stops_at_what_the_other_store_holds(void **state)
{
	struct held h = {0};
	struct buf list;
	struct msg_stream w = {.id = id(1), .received = 40};

	(void)state;
	buf_init(&list, 4096);
	add(&list, 1, 100, 11);
	assert_int_equal(held_begin(&h, store, buf_slice(&list)), 0);
	assert_true(held_clamp(&h, &w));
	assert_int_equal(w.received, 100);
	assert_int_equal(h.n_owed, 0);
	assert_false(held_clamp(&h, &w));
	w.id = id(9);
	w.received = 0;
	assert_false(held_clamp(&h, &w));
	held_fini(&h);
	assert_false(held_clamp(&h, &w));
	buf_fini(&list);
}

/* From store to store: the last one counts. */
static void another_move_replaces_the_first(void **state)
{
	const uint8_t second[HELD_STORE] = {2};
	struct held h = {0};
	struct buf list;
	struct msg_stream w = {.id = id(1)};

	(void)state;
	buf_init(&list, 4096);
	add(&list, 1, 100, 11);
	assert_int_equal(held_begin(&h, store, buf_slice(&list)), 0);
	held_raise(&h, &w);
	buf_clear(&list);
	add(&list, 1, 300, 33);
	assert_int_equal(held_begin(&h, second, buf_slice(&list)), 0);
	assert_int_equal(h.n_owed, 0);
	w.received = 100;
	held_raise(&h, &w);
	assert_int_equal(w.received, 300);
	assert_memory_equal(h.reason, "held-by 0200", 12);
	held_fini(&h);
	buf_fini(&list);
}

/* Any table survives being saved, and any cut of its bytes is refused. */
static void it_survives_a_restart(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 30; seed++) {
		struct held h = {0}, back = {0};
		struct buf list, saved;
		struct reader r;

		srand(seed);
		buf_init(&list, 1 << 20);
		buf_init(&saved, 1 << 20);
		for (unsigned i = 0; i < seed * 3; i++) {
			add(&list, i, (uint64_t)rand() + 1, (uint64_t)rand());
		}
		assert_int_equal(held_begin(&h, store, buf_slice(&list)), 0);
		assert_int_equal(held_save(&h, &saved), 0);
		r = reader(buf_slice(&saved));
		assert_int_equal(held_restore(&back, &r), 0);
		assert_true(reader_done(&r));
		assert_int_equal(back.n, h.n);
		assert_string_equal(back.reason, h.reason);
		for (size_t i = 0; i < h.n; i++) {
			assert_memory_equal(&back.v[i].id, &h.v[i].id, 16);
			assert_int_equal(back.v[i].position, h.v[i].position);
			assert_int_equal(back.v[i].h, h.v[i].h);
			assert_false(back.v[i].owed);
		}
		held_fini(&back);
		for (size_t n = 0; n < saved.n; n++) {
			r = reader(slice(saved.p, n));
			assert_int_equal(held_restore(&back, &r), 0);
			assert_false(reader_ok(&r));
			assert_int_equal(back.n, 0);
			held_fini(&back);
		}
		held_fini(&h);
		buf_fini(&list);
		buf_fini(&saved);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_other_store_holds_is_owed_as_a_gap_once),
		cmocka_unit_test(going_back_stops_at_what_the_other_store_holds),
		cmocka_unit_test(another_move_replaces_the_first),
		cmocka_unit_test(it_survives_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
