/* A build without libmaxminddb. */
#include "detectors/geo.h"

#include <stdio.h>

#include "common/err.h"

int geo_db_open(struct geo_db **out, struct sys *sys, const char *path, char why[static GEO_WHY])
{
	(void)sys;
	(void)path;
	*out = NULL;
	snprintf(why, GEO_WHY, "this program was built without libmaxminddb");
	return UV_ENOSYS;
}

void geo_db_close(struct geo_db *db)
{
	(void)db;
}

unsigned geo_db_parts(const struct geo_db *db)
{
	(void)db;
	return 0;
}

const char *geo_db_type(const struct geo_db *db)
{
	(void)db;
	return "";
}

int64_t geo_db_built_s(const struct geo_db *db)
{
	(void)db;
	return 0;
}

bool geo_db_look(const struct geo_db *db, const struct ip *a, struct geo_place *place)
{
	(void)db;
	(void)a;
	(void)place;
	return false;
}
