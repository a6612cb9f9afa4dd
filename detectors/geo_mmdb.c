#include "detectors/geo.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"

enum { CHUNK = 256 * 1024, SAMPLES = 8192 };

struct geo_db {
	MMDB_s db;
	unsigned parts;
};

/* ---- the copy ---- */

static int copy_chunks(struct sys *sys, int from, int to)
{
	uint8_t *p = malloc(CHUNK);
	uint64_t at = 0;
	int64_t got = 0;

	while (p != NULL && at <= GEO_FILE &&
	       (got = sys_pread(sys, from, p, CHUNK, at)) > 0) {
		/* Memory takes all of it or fails. */
		if (write(to, p, (size_t)got) != got) {
			got = UV_ENOMEM;
			break;
		}
		at += (uint64_t)got;
	}
	free(p);
	return p == NULL ? UV_ENOMEM : got < 0 ? (int)got : at > GEO_FILE ? ERR_TOO_LARGE : 0;
}

static int new_memory(void)
{
	int fd = memfd_create("nightjar-geo", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : fd;
}

static int copy_of(struct sys *sys, const char *path)
{
	struct sys_stat st;
	int from = sys_open(sys, path, O_RDONLY | O_NONBLOCK, 0), to, rc;

	if (from < 0) {
		return from;
	}
	rc = sys_fstat(sys, from, &st);
	if (rc == 0 && (st.mode & S_IFMT) != S_IFREG) {
		rc = (st.mode & S_IFMT) == S_IFDIR ? UV_EISDIR : UV_EINVAL;
	}
	to = rc == 0 ? new_memory() : rc;
	rc = to < 0 ? to : copy_chunks(sys, from, to);
	sys_close(sys, from);
	if (rc == 0 && fcntl(to, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
		rc = -errno;
	}
	if (rc != 0 && to >= 0) {
		close(to);
	}
	return rc != 0 ? rc : to;
}

/* ---- an entry ---- */

/* The value at a path, if it is there and of the type. */
static bool value(MMDB_entry_s *entry, uint32_t type, const char *const *path,
		  MMDB_entry_data_s *out)
{
	return MMDB_aget_value(entry, out, path) == MMDB_SUCCESS && out->has_data &&
	       out->type == type;
}

/* Texts go into alerts and are compared: what is no printable character goes. */
static bool text(MMDB_entry_s *entry, const char *const *path, char *out, size_t room)
{
	MMDB_entry_data_s v;
	size_t n;

	if (!value(entry, MMDB_DATA_TYPE_UTF8_STRING, path, &v)) {
		return false;
	}
	n = v.data_size < room - 1 ? v.data_size : room - 1;
	for (size_t i = 0; i < n; i++) {
		out[i] = (uint8_t)v.utf8_string[i] < ' ' || v.utf8_string[i] == 0x7f
				 ? '?' : v.utf8_string[i];
	}
	/* A character that was cut through goes as a whole. */
	while (n > 0 && n == room - 1 && ((uint8_t)out[n - 1] & 0xc0) == 0x80) {
		n--;
	}
	n -= n > 0 && (uint8_t)out[n - 1] >= 0xc0;
	out[n] = '\0';
	return n > 0;
}

static void look_country(MMDB_entry_s *entry, struct geo_place *p)
{
	static const char *const path[] = {"country", "iso_code", NULL};

	if (text(entry, path, p->country, sizeof p->country) && strlen(p->country) == 2) {
		p->has |= GEO_COUNTRY;
	}
}

static bool degrees(MMDB_entry_s *entry, const char *name, double most, int32_t *out)
{
	const char *const path[] = {"location", name, NULL};
	MMDB_entry_data_s v;

	if (!value(entry, MMDB_DATA_TYPE_DOUBLE, path, &v) ||
	    !(v.double_value >= -most && v.double_value <= most)) {
		return false;
	}
	*out = (int32_t)lround(v.double_value * 1e4);
	return true;
}

static void look_place(MMDB_entry_s *entry, struct geo_place *p)
{
	static const char *const path[] = {"location", "accuracy_radius", NULL};
	MMDB_entry_data_s v;

	if (!degrees(entry, "latitude", 90, &p->latitude) ||
	    !degrees(entry, "longitude", 180, &p->longitude)) {
		return;
	}
	p->radius_km = value(entry, MMDB_DATA_TYPE_UINT16, path, &v) ? v.uint16 : 0;
	snprintf(p->location, sizeof p->location, "%.4f,%.4f", p->latitude / 1e4,
		 p->longitude / 1e4);
	p->has |= GEO_PLACE;
}

static void look_system(MMDB_entry_s *entry, struct geo_place *p)
{
	static const char *const number[] = {"autonomous_system_number", NULL};
	static const char *const name[] = {"autonomous_system_organization", NULL};
	MMDB_entry_data_s v;

	if (value(entry, MMDB_DATA_TYPE_UINT32, number, &v) && v.uint32 > 0) {
		snprintf(p->number, sizeof p->number, "%u", v.uint32);
		if (!text(entry, name, p->organization, sizeof p->organization)) {
			p->organization[0] = '\0';
		}
		p->has |= GEO_AS;
	}
}

static void look_at(MMDB_entry_s *entry, unsigned wanted, struct geo_place *p)
{
	if ((wanted & GEO_COUNTRY) != 0) {
		look_country(entry, p);
	}
	if ((wanted & GEO_PLACE) != 0) {
		look_place(entry, p);
	}
	if ((wanted & GEO_AS) != 0) {
		look_system(entry, p);
	}
}

/* ---- opening ---- */

/* What a type tells is in its name: "GeoLite2-City", "DBIP-ASN-Lite"; 0: in none known. */
static unsigned parts_of(const char *type)
{
	static const struct {
		const char *name;
		unsigned parts;
	} types[] = {
		{"City", GEO_COUNTRY | GEO_PLACE},
		{"Country", GEO_COUNTRY},
		{"Enterprise", GEO_COUNTRY | GEO_PLACE | GEO_AS},
		{"ASN", GEO_AS},
		{"ISP", GEO_AS},
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (strstr(type, types[i].name) != NULL) {
			return types[i].parts;
		}
	}
	return 0;
}

static int error_of(int status)
{
	return status == MMDB_OUT_OF_MEMORY_ERROR ? UV_ENOMEM
	       : status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR ? UV_EIO
									   : ERR_DAMAGED;
}

/* Of a type that is not known: what stands in the entries below SAMPLES nodes from all over
 * the tree, so that no rule is taken for served that would wait for ever. */
static unsigned parts_found(const MMDB_s *db)
{
	const unsigned all = GEO_COUNTRY | GEO_PLACE | GEO_AS;
	uint32_t n = db->metadata.node_count, step = n / SAMPLES + 1;
	struct geo_place p = {.has = 0};
	MMDB_search_node_s node;

	for (uint32_t i = 0; i < n && p.has != all; i += step) {
		if (MMDB_read_node(db, i, &node) != MMDB_SUCCESS) {
			break;
		}
		if (node.left_record_type == MMDB_RECORD_TYPE_DATA) {
			look_at(&node.left_record_entry, all & ~p.has, &p);
		}
		if (node.right_record_type == MMDB_RECORD_TYPE_DATA) {
			look_at(&node.right_record_entry, all & ~p.has, &p);
		}
		if (i > UINT32_MAX - step) {
			break;
		}
	}
	return p.has;
}

static int open_copy(struct geo_db *g, int fd, char why[static GEO_WHY])
{
	char name[40];
	int status;

	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	status = MMDB_open(name, MMDB_MODE_MMAP, &g->db);
	if (status != MMDB_SUCCESS) {
		snprintf(why, GEO_WHY, "not a database that libmaxminddb can read: %s",
			 MMDB_strerror(status));
		return error_of(status);
	}
	g->parts = parts_of(g->db.metadata.database_type);
	g->parts = g->parts != 0 ? g->parts : parts_found(&g->db);
	return 0;
}

int geo_db_open(struct geo_db **out, struct sys *sys, const char *path, char why[static GEO_WHY])
{
	struct geo_db *g;
	int fd = copy_of(sys, path), rc;

	*out = NULL;
	if (fd < 0) {
		snprintf(why, GEO_WHY, "%s", err_str(fd));
		return fd;
	}
	g = calloc(1, sizeof *g);
	snprintf(why, GEO_WHY, "%s", err_str(UV_ENOMEM));
	rc = g == NULL ? UV_ENOMEM : open_copy(g, fd, why);
	close(fd);
	if (rc != 0) {
		free(g);
		return rc;
	}
	*out = g;
	return 0;
}

void geo_db_close(struct geo_db *db)
{
	if (db != NULL) {
		MMDB_close(&db->db);
		free(db);
	}
}

unsigned geo_db_parts(const struct geo_db *db)
{
	return db->parts;
}

const char *geo_db_type(const struct geo_db *db)
{
	return db->db.metadata.database_type;
}

int64_t geo_db_built_s(const struct geo_db *db)
{
	uint64_t built = db->db.metadata.build_epoch;

	return built > INT32_MAX * UINT64_C(2) ? 0 : (int64_t)built;
}

/* ---- looking ---- */

static MMDB_lookup_result_s find(const MMDB_s *db, const struct ip *a, int *status)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (ip_is_v4(a)) {
		memcpy(&v4.sin_addr, a->b + 12, 4);
		return MMDB_lookup_sockaddr(db, (const struct sockaddr *)&v4, status);
	}
	memcpy(&v6.sin6_addr, a->b, 16);
	return MMDB_lookup_sockaddr(db, (const struct sockaddr *)&v6, status);
}

bool geo_db_look(const struct geo_db *db, const struct ip *a, struct geo_place *p)
{
	unsigned wanted = db->parts & ~p->has;
	MMDB_lookup_result_s at;
	int status;

	/* A database of IPv4 alone has no other; that is no damage. */
	if (wanted == 0 || (db->db.metadata.ip_version == 4 && !ip_is_v4(a))) {
		return true;
	}
	at = find(&db->db, a, &status);
	if (status != MMDB_SUCCESS) {
		return false;
	}
	if (!at.found_entry) {
		return true;
	}
	look_at(&at.entry, wanted, p);
	return true;
}
