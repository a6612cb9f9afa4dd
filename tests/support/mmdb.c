#include "tests/support/mmdb.h"

#include <stdlib.h>

#include "common/ip.h"

/* "Data Field Format": the type in three bits, the size in five and in what follows. */
enum { TYPE_TEXT = 2, TYPE_DOUBLE = 3, TYPE_U16 = 5, TYPE_U32 = 6, TYPE_MAP = 7, TYPE_U64 = 9,
       TYPE_ARRAY = 11 };

static void control(struct buf *out, unsigned type, size_t size)
{
	unsigned low = size < 29 ? (unsigned)size : 29;

	buf_add_u8(out, (uint8_t)((type < 8 ? type << 5 : 0) | low));
	if (type >= 8) {
		buf_add_u8(out, (uint8_t)(type - 7));
	}
	if (low == 29) {
		buf_add_u8(out, (uint8_t)(size - 29)); /* Up to 284 bytes. */
	}
}

static void text(struct buf *out, const char *s)
{
	control(out, TYPE_TEXT, strlen(s));
	buf_add(out, s, strlen(s));
}

/* Unsigned numbers are as long as they need to be; these have all their bytes. */
static void number(struct buf *out, unsigned type, unsigned bytes, uint64_t v)
{
	control(out, type, bytes);
	for (unsigned i = bytes; i-- > 0;) {
		buf_add_u8(out, (uint8_t)(v >> 8 * i));
	}
}

static void decimal(struct buf *out, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	number(out, TYPE_DOUBLE, 8, bits);
}

static void map(struct buf *out, size_t n)
{
	control(out, TYPE_MAP, n);
}

static void entry(struct buf *out, const struct mmdb_entry *e)
{
	map(out, (size_t)((e->country != NULL) + e->located + (e->number != 0) +
			  (e->organization != NULL)));
	if (e->country != NULL) {
		text(out, "country");
		map(out, 1);
		text(out, "iso_code");
		text(out, e->country);
	}
	if (e->located) {
		text(out, "location");
		map(out, e->radius_km != 0 ? 3 : 2);
		text(out, "latitude");
		decimal(out, e->latitude);
		text(out, "longitude");
		decimal(out, e->longitude);
	}
	if (e->located && e->radius_km != 0) {
		text(out, "accuracy_radius");
		number(out, TYPE_U16, 2, e->radius_km);
	}
	if (e->number != 0) {
		text(out, "autonomous_system_number");
		number(out, TYPE_U32, 4, e->number);
	}
	if (e->organization != NULL) {
		text(out, "autonomous_system_organization");
		text(out, e->organization);
	}
}

/* A record: 0, another node, or (with DATA) where its data begins. */
#define DATA UINT32_C(0x80000000)

struct tree {
	uint32_t records[MMDB_NODES][2];
	uint32_t n;
};

static bool put(struct tree *t, const struct ip_net *net, uint32_t data)
{
	unsigned bits = net->bits, i = 0;
	uint8_t at[16];
	uint32_t node = 0;

	memcpy(at, net->base.b, sizeof at);
	if (ip_is_v4(&net->base)) {
		at[10] = at[11] = 0; /* "IPv4 addresses in an IPv6 tree" */
	}
	for (; i < bits; i++) {
		uint32_t *record = &t->records[node][at[i / 8] >> (7 - i % 8) & 1];

		if (i + 1 == bits) {
			*record = DATA | data;
			return true;
		}
		if (*record == 0) {
			*record = t->n++;
		}
		if ((*record & DATA) != 0 || t->n == MMDB_NODES) {
			return false;
		}
		node = *record;
	}
	return false;
}

static void write_tree(struct buf *out, const struct tree *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		for (unsigned side = 0; side < 2; side++) {
			uint32_t record = t->records[i][side];
			/* "What stands in a record": a node, none, or 16 bytes behind the tree. */
			uint32_t v = (record & DATA) != 0 ? t->n + 16 + (record & ~DATA)
				     : record == 0	  ? t->n
							  : record;

			buf_add_u8(out, (uint8_t)(v >> 16));
			buf_add_u8(out, (uint8_t)(v >> 8));
			buf_add_u8(out, (uint8_t)v);
		}
	}
}

static void metadata(struct buf *out, const char *type, uint32_t nodes)
{
	buf_add(out, "\xab\xcd\xefMaxMind.com", 14);
	map(out, 9);
	text(out, "node_count");
	number(out, TYPE_U32, 4, nodes);
	text(out, "record_size");
	number(out, TYPE_U16, 2, 24);
	text(out, "ip_version");
	number(out, TYPE_U16, 2, 6);
	text(out, "database_type");
	text(out, type);
	text(out, "languages");
	control(out, TYPE_ARRAY, 0);
	text(out, "binary_format_major_version");
	number(out, TYPE_U16, 2, 2);
	text(out, "binary_format_minor_version");
	number(out, TYPE_U16, 2, 0);
	text(out, "build_epoch");
	number(out, TYPE_U64, 8, 1700000000);
	text(out, "description");
	map(out, 0);
}

bool mmdb_write(struct buf *out, const char *type, const struct mmdb_entry *entries, size_t n)
{
	struct tree *t = calloc(1, sizeof *t);
	struct buf data;
	bool good = t != NULL;

	buf_init(&data, 1024 * 1024);
	for (size_t i = 0; good && i < n; i++) {
		struct ip_net net;

		t->n = t->n == 0 ? 1 : t->n;
		good = ip_net_parse(slice_str(entries[i].net), &net) &&
		       put(t, &net, (uint32_t)data.n);
		entry(&data, &entries[i]);
	}
	if (good) {
		write_tree(out, t);
		buf_add(out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
		buf_add_slice(out, buf_slice(&data));
		metadata(out, type, t->n);
	}
	buf_fini(&data);
	free(t);
	return good;
}
