#include "parsers/slots.h"

#include <endian.h>
#include <string.h>

#include "common/err.h"
#include "common/ip.h"
#include "common/reader.h"

enum { SAVE_VERSION = 1 };

/* The n < 8 bytes at p as a little-endian number; loads that overlap agree on
 * what they share. */
static uint64_t short_word(const char *p, size_t n)
{
	uint32_t low, high;

	if (n >= 4) {
		memcpy(&low, p, 4);
		memcpy(&high, p + n - 4, 4);
		return le32toh(low) | (uint64_t)le32toh(high) << 8 * (n - 4);
	}
	if (n == 0) {
		return 0;
	}
	return (uint64_t)(unsigned char)p[0] |
	       (uint64_t)(unsigned char)p[n / 2] << 8 * (n / 2) |
	       (uint64_t)(unsigned char)p[n - 1] << 8 * (n - 1);
}

static uint64_t fold(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

/* Eight bytes at a time, multiplied by the golden ratio and folded.  Whoever makes
 * two keys meet in one set gains no more than by opening many connections: an older
 * slot makes room. */
static uint64_t mix(uint64_t hash, const char *p, size_t n)
{
	uint64_t word;

	hash ^= n;
	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&word, p, 8);
		hash = fold(hash, le64toh(word));
	}
	return n == 0 ? hash : fold(hash, short_word(p, n));
}

uint64_t slot_host(struct slice host, unsigned family)
{
	return mix(family, host.p, host.n);
}

uint64_t slot_key(uint64_t host, struct slice id)
{
	uint64_t hash = mix(host, id.p, id.n);

	return hash == 0 ? 1 : hash;
}

/* An empty slot; its texts need not be cleared. */
static void begin(struct slot *c)
{
	slot_again(c);
	c->user_n = c->address_n = c->port_n = 0;
	c->address_is_ip = false;
}

/* The way of the set whose key this is, or SLOT_WAYS.  Which one it is can't be
 * foreseen, so all are compared without a branch. */
static inline unsigned way_of(const uint64_t *keys, uint64_t key)
{
	unsigned hit = (unsigned)(keys[0] == key) | (unsigned)(keys[1] == key) << 1 |
		       (unsigned)(keys[2] == key) << 2 |
		       (unsigned)(keys[3] == key) << 3 | 1u << SLOT_WAYS;

	return (unsigned)__builtin_ctz(hit);
}
_Static_assert(SLOT_WAYS == 4, "way_of() compares four");

/* The way that is free, or else the one unused for longest; without a branch. */
static inline unsigned oldest_of(const struct slots *s, size_t set)
{
	uint64_t oldest = 0;
	unsigned way = 0;

	for (unsigned i = 0; i < SLOT_WAYS; i++) {
		uint64_t age = s->key[set + i] == 0 ? UINT64_C(1) << 32
						    : s->tick - s->used[set + i];
		bool older = age > oldest;

		oldest = older ? age : oldest;
		way = older ? i : way;
	}
	return way;
}

struct slot *slots_get(struct slots *s, uint64_t key, int64_t now_s)
{
	size_t set = (key >> 32) % SLOT_SETS * SLOT_WAYS;
	unsigned way = way_of(&s->key[set], key);
	struct slot *c;
	int64_t age;

	s->tick++;
	if (way == SLOT_WAYS) {
		way = oldest_of(s, set);
		c = &s->slot[set + way];
		s->key[set + way] = key;
		begin(c);
	} else {
		c = &s->slot[set + way];
		age = now_s - c->seen_s;
		/* Stamps may go back a little; far back is another. */
		if (age > SLOT_FORGET_S || age < -SLOT_FORGET_S) {
			begin(c);
		}
	}
	c->seen_s = now_s;
	s->used[set + way] = s->tick;
	return c;
}

static unsigned larger(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/* The fewest attempts that explain all counts.  A password attempt makes a PAM
 * line and a daemon's line; one by keyboard makes a PAM line and one or two
 * others; "Invalid user" makes at least one of something. */
static unsigned total(const struct slot *s)
{
	unsigned daemon = s->count[COUNT_DAEMON] +
			  larger(s->count[COUNT_KBD_ERROR],
				 s->count[COUNT_KBD]);
	unsigned pam = larger(s->count[COUNT_PAM], s->count[COUNT_PAM_OTHER]);

	return larger(larger(daemon, pam),
		      larger(s->count[COUNT_FLOOR], s->count[COUNT_SUMMARY]));
}

uint32_t slot_count(struct slot *slot, enum count kind, uint32_t n)
{
	unsigned sum, all;

	if (slot == NULL) {
		return n;
	}
	if (kind == COUNT_FLOOR) {
		sum = larger(slot->count[kind], n);
	} else {
		sum = slot->count[kind] + n;
	}
	slot->count[kind] = (uint16_t)(sum > UINT16_MAX ? UINT16_MAX : sum);
	all = total(slot);
	if (all > UINT16_MAX) {
		all = UINT16_MAX;
	}
	n = all > slot->counted ? all - slot->counted : 0;
	slot->counted = (uint16_t)(slot->counted + n);
	slot->flags |= SLOT_REPORTED;
	slot->flags &= (uint8_t)~SLOT_PENDING;
	return n;
}

void slot_again(struct slot *slot)
{
	for (int i = 0; i < COUNT_NR; i++) {
		slot->count[i] = 0;
	}
	slot->counted = 0;
	slot->flags = 0;
}

static bool is_ip(const struct slot *slot)
{
	struct slice a = slice(slot->address, slot->address_n);
	struct ip ip;

	return ip_is_quad(a) || ip_parse(a, &ip);
}

/* Copies up to SLOT_USER bytes without a call. */
static inline void copy_short(char *to, const char *from, size_t n)
{
	if (n >= 16) {
		memcpy(to, from, n);
	} else if (n >= 8) {
		char last[8];

		memcpy(last, from + n - 8, 8);
		memcpy(to, from, 8);
		memcpy(to + n - 8, last, 8);
	} else if (n >= 4) {
		char last[4];

		memcpy(last, from + n - 4, 4);
		memcpy(to, from, 4);
		memcpy(to + n - 4, last, 4);
	} else {
		for (size_t i = 0; i < n; i++) {
			to[i] = from[i];
		}
	}
}

static void keep(const struct event *e, enum event_field field, char *text,
		 size_t room, uint8_t *n)
{
	struct slice v = event_get(e, field);

	/* A value that does not fit is forgotten whole: half a name is a
	 * wrong name. */
	if (v.n == 0) {
		return;
	}
	*n = (uint8_t)(v.n <= room ? v.n : 0);
	if (v.p != text) {
		copy_short(text, v.p, *n);
	}
}

void slot_keep(struct slot *slot, const struct event *e)
{
	keep(e, FIELD_USER_NAME, slot->user, sizeof slot->user, &slot->user_n);
	/* An address is worth more than the name that DNS has for it. */
	if (event_has(e, FIELD_SOURCE_IP)) {
		keep(e, FIELD_SOURCE_IP, slot->address, sizeof slot->address,
		     &slot->address_n);
		slot->address_is_ip = slot->address_n > 0 &&
				      (slot->address[0] != '[' || is_ip(slot));
	} else if (slot->address_n == 0) {
		keep(e, FIELD_SOURCE_ADDRESS, slot->address,
		     sizeof slot->address, &slot->address_n);
		slot->address_is_ip = false;
	}
	keep(e, FIELD_SOURCE_PORT, slot->port, sizeof slot->port,
	     &slot->port_n);
}

int slots_save(const struct slots *s, struct buf *out)
{
	int rc = buf_add_u8(out, SAVE_VERSION);

	rc = rc ? rc : buf_add_u32(out, s->tick);
	for (int i = 0; rc == 0 && i < SLOT_SETS * SLOT_WAYS; i++) {
		const struct slot *c = &s->slot[i];

		if (s->key[i] == 0) {
			continue;
		}
		rc = buf_add_u8(out, (uint8_t)(i + 1));
		rc = rc ? rc : buf_add_u64(out, s->key[i]);
		rc = rc ? rc : buf_add_u64(out, (uint64_t)c->seen_s);
		rc = rc ? rc : buf_add_u32(out, s->used[i]);
		for (int k = 0; rc == 0 && k < COUNT_NR; k++) {
			rc = buf_add_u16(out, c->count[k]);
		}
		rc = rc ? rc : buf_add_u16(out, c->counted);
		rc = rc ? rc : buf_add_u8(out, c->flags);
		rc = rc ? rc : buf_add_u8(out, c->user_n);
		rc = rc ? rc : buf_add(out, c->user, c->user_n);
		rc = rc ? rc : buf_add_u8(out, c->address_n);
		rc = rc ? rc : buf_add(out, c->address, c->address_n);
		rc = rc ? rc : buf_add_u8(out, c->port_n);
		rc = rc ? rc : buf_add(out, c->port, c->port_n);
	}
	return rc ? rc : buf_add_u8(out, 0);
}

static bool load_text(struct reader *r, char *text, size_t room, uint8_t *n)
{
	*n = reader_u8(r);
	if (*n > room) {
		return false;
	}
	reader_copy(r, text, *n);
	return true;
}

static bool load_slot(struct reader *r, struct slots *s, unsigned i)
{
	struct slot *c = &s->slot[i];

	s->key[i] = reader_u64(r);
	c->seen_s = (int64_t)reader_u64(r);
	s->used[i] = reader_u32(r);
	for (int k = 0; k < COUNT_NR; k++) {
		c->count[k] = reader_u16(r);
	}
	c->counted = reader_u16(r);
	c->flags = reader_u8(r);
	if (!load_text(r, c->user, sizeof c->user, &c->user_n) ||
	    !load_text(r, c->address, sizeof c->address, &c->address_n) ||
	    !load_text(r, c->port, sizeof c->port, &c->port_n) ||
	    !reader_ok(r)) {
		return false;
	}
	c->address_is_ip = is_ip(c);
	return true;
}

int slots_load(struct slots *s, struct slice saved)
{
	struct reader r = reader(saved);
	uint8_t version = reader_u8(&r), i;

	*s = (struct slots){0};
	if (version != SAVE_VERSION) {
		return reader_ok(&r) ? ERR_VERSION : ERR_MALFORMED;
	}
	s->tick = reader_u32(&r);
	while ((i = reader_u8(&r)) != 0) {
		if (i > SLOT_SETS * SLOT_WAYS ||
		    !load_slot(&r, s, i - 1u)) {
			break;
		}
	}
	if (i != 0 || !reader_done(&r)) {
		*s = (struct slots){0};
		return ERR_MALFORMED;
	}
	return 0;
}
