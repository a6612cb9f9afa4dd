#include "detectors/geo.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

bool geo_is_public(const struct ip *a)
{
	/* RFC 6890 and its registries.  Those for documentation are left in: no database has
	 * them but those of tests. */
	static const struct ip_net not[] = {
#define V4(a, b, bits) {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b}}, 96 + (bits)}
		V4(0, 0, 8), V4(10, 0, 8), V4(100, 64, 10), V4(127, 0, 8), V4(169, 254, 16),
		V4(172, 16, 12), V4(192, 168, 16), V4(224, 0, 3),
#undef V4
		{{{0}}, 80}, /* ::, ::1 and what else is no address of the net, but for ... */
		{{{0xfc}}, 7}, {{{0xfe, 0x80}}, 10}, {{{0xff}}, 8},
	};

	for (size_t i = 0; i < sizeof not / sizeof *not; i++) {
		/* ... ::ffff:0:0/96, which is how an IPv4 address is kept. */
		if (ip_in_net(a, &not[i]) && !(not[i].bits == 80 && ip_is_v4(a))) {
			return false;
		}
	}
	return true;
}

uint32_t geo_distance_km(int32_t latitude1, int32_t longitude1, int32_t latitude2,
			 int32_t longitude2)
{
	const double radius_km = 6371.0088, radians = pi / 180e4;
	double a1 = latitude1 * radians, a2 = latitude2 * radians;
	double across = sin((a2 - a1) / 2);
	double along = sin(((double)longitude2 - longitude1) * radians / 2);
	double h = across * across + cos(a1) * cos(a2) * along * along;

	return (uint32_t)(2 * radius_km * asin(h >= 1 ? 1 : sqrt(h)));
}
