/* slow_attacks: what a month of a million attackers costs the detectors in memory, and whether a
 * hundred who guess slowly are still seen among them.
 *
 *   slow_attacks [ADDRESSES [ATTACKS]]      1000000 and 100
 *
 * Each address fails one to three times somewhere in thirty days; each attack tries once in
 * 100 minutes, from its own day on for two days.  The default packs judge.  Prints the greatest
 * size of the heap and what was found; status 1 when an attack was missed, or another address
 * alerted. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "detectors/detect.h"

enum { DAYS = 30, ATTACK_EVERY_S = 6000, ATTACK_TRIES = 29, TRIES_MAX = 3 };

struct attempt {
	uint32_t at_s;
	uint32_t who; /* below `attacks`: one of those */
};

struct found {
	unsigned *alerts; /* of each attack */
	unsigned attacks;
	uint64_t others;
};

static uint64_t state = 20260101;

static uint64_t rnd(uint64_t below)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

static int by_time(const void *a, const void *b)
{
	const struct attempt *x = a, *y = b;

	return x->at_s < y->at_s ? -1 : x->at_s > y->at_s;
}

static void name_of(uint32_t who, char out[static 16])
{
	snprintf(out, 16, "%u.%u.%u.%u", 11 + (who >> 24), who >> 16 & 255, who >> 8 & 255,
		 who & 255);
}

static void on_finding(void *arg, const struct finding *f)
{
	struct found *found = arg;
	char name[16];

	if (f->state != FINDING_NEW || f->n_group == 0) {
		return;
	}
	for (unsigned i = 0; i < found->attacks; i++) {
		name_of(i, name);
		if (slice_eq(f->group[0].value, slice_str(name))) {
			found->alerts[i]++;
			return;
		}
	}
	found->others++;
}

static size_t make(struct attempt *a, uint32_t addresses, uint32_t attacks)
{
	size_t n = 0;

	for (uint32_t who = 0; who < addresses; who++) {
		uint32_t tries = who < attacks ? ATTACK_TRIES : 1 + (uint32_t)rnd(TRIES_MAX);
		uint32_t from = (uint32_t)rnd((DAYS - 2) * 86400);

		for (uint32_t k = 0; k < tries; k++) {
			uint32_t at = who < attacks ? from + k * ATTACK_EVERY_S
						    : (uint32_t)rnd(DAYS * 86400);

			a[n++] = (struct attempt){at, who};
		}
	}
	qsort(a, n, sizeof *a, by_time);
	return n;
}

static void feed(struct detect *d, const struct attempt *a, struct found *found)
{
	struct record r = {.line = SLICE_LIT("Failed password for a user from an address port 1 "
					     "ssh2")};
	char address[16], user[16];

	name_of(a->who, address);
	snprintf(user, sizeof user, "u%u", a->who);
	r.observed_ns = r.header.time_ns = (INT64_C(1700000000) + a->at_s) * NS_PER_S;
	r.header.program = SLICE_LIT("sshd");
	r.header.message = r.line;
	r.event.outcome = OUTCOME_FAILURE;
	r.event.attempts = 1;
	event_set(&r.event, FIELD_EVENT_CATEGORY, SLICE_LIT("authentication"));
	event_set(&r.event, FIELD_EVENT_TYPE, SLICE_LIT("start"));
	event_set(&r.event, FIELD_EVENT_ACTION, SLICE_LIT("ssh_login"));
	event_set(&r.event, FIELD_USER_NAME, slice_str(user));
	event_set(&r.event, FIELD_SOURCE_IP, slice_str(address));
	detect_record(d, &r, on_finding, found);
}

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

int main(int argc, char **argv)
{
	static const uint8_t key[16] = "bench";
	uint32_t addresses = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	uint32_t attacks = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100;
	struct attempt *a = malloc(((size_t)addresses * TRIES_MAX +
				    (size_t)attacks * ATTACK_TRIES) * sizeof *a);
	struct found found = {calloc(attacks, sizeof *found.alerts), attacks, 0};
	size_t n = make(a, addresses, attacks), before = heap(), most = 0;
	struct detect_stats st;
	struct detect *d;
	unsigned seen = 0;

	if (detect_new(&d, NULL, key) != 0 || detect_load_defaults(d, NULL, NULL) < 0 ||
	    detect_compile(d, NULL, NULL) < 0) {
		return 2;
	}
	for (size_t i = 0; i < n; i++) {
		feed(d, &a[i], &found);
		if (i % 1024 == 0 && heap() - before > most) {
			most = heap() - before;
		}
	}
	detect_stats(d, &st);
	for (uint32_t i = 0; i < attacks; i++) {
		seen += found.alerts[i] > 0;
	}
	printf("%u addresses, %zu attempts in %d days: %.2f MiB at most, %llu groups evicted; "
	       "%u of %u attacks found, %llu other alerts\n",
	       addresses, n, DAYS, (double)most / 1048576, (unsigned long long)st.evicted, seen,
	       attacks, (unsigned long long)found.others);
	detect_free(d);
	free(found.alerts);
	free(a);
	return seen == attacks && found.others == 0 ? 0 : 1;
}
