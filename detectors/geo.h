/* geo: where an address is and whose it is, from databases in the MaxMind DB format (City,
 * Country, ASN and what is laid out like them), by libmaxminddb.
 *
 * The library knows one way to read: it maps the file.  A file that is cut short while it is
 * mapped ends whoever reads it (SIGBUS), and "cp new.mmdb old.mmdb" cuts it short; so what is
 * mapped is a copy in sealed memory (memfd_create(2)) that nobody can change.  It takes the
 * size of the file (GeoLite2: Country and ASN about 10 MiB each, City 60 MiB).
 *
 * Threads   geo_db_open() and geo_db_close() on any; a database that is open is only looked
 *           at.
 * Blocking  geo_db_open() reads a whole file.
 */
#ifndef DETECTORS_GEO_H
#define DETECTORS_GEO_H

#include "common/ip.h"
#include "common/sys.h"

enum {
	GEO_WHY = 160,
	GEO_FILE = 1024 * 1024 * 1024, /* bytes of a database */
	GEO_ORGANIZATION = 96,
	GEO_CODE = 3,
	GEO_LOCATION = 24,
	GEO_NUMBER = 11,
};

/* What a database may tell. */
enum geo_part { GEO_COUNTRY = 1, GEO_PLACE = 2, GEO_AS = 4 };

/* What is known of an address; `has` says which of it. */
struct geo_place {
	unsigned has;              /* enum geo_part */
	char country[GEO_CODE];    /* ISO 3166-1 alpha-2 */
	int32_t latitude, longitude; /* in 10^-4 degrees */
	uint16_t radius_km;        /* about so wrong it may be; 0: not said */
	char location[GEO_LOCATION]; /* "52.5200,13.4050" */
	char number[GEO_NUMBER];   /* of the autonomous system */
	char organization[GEO_ORGANIZATION]; /* "": not said */
};

struct geo_db; /* opaque, on the heap */

/* UV_ENOSYS: this build has no libmaxminddb.  On any error why is what is wrong, for
 * people. */
int geo_db_open(struct geo_db **out, struct sys *sys, const char *path,
		char why[static GEO_WHY]);
/* NULL is allowed. */
void geo_db_close(struct geo_db *db);

/* enum geo_part: what it may tell, by its type; by entries from all over it, where that is
 * not known. */
unsigned geo_db_parts(const struct geo_db *db);
/* Its type ("GeoLite2-City") and when it was made (Unix time). */
const char *geo_db_type(const struct geo_db *db);
int64_t geo_db_built_s(const struct geo_db *db);

/* Adds to place what it does not have yet.  false: the database is damaged there. */
bool geo_db_look(const struct geo_db *db, const struct ip *a, struct geo_place *place);

/* Whether anybody's database can say something about it: neither private, loopback,
 * link-local, shared (RFC 6598), multicast nor unspecified. */
bool geo_is_public(const struct ip *a);

/* Kilometres between two places on a sphere (haversine), rounded down. */
uint32_t geo_distance_km(int32_t latitude1, int32_t longitude1, int32_t latitude2,
			 int32_t longitude2);

#endif
