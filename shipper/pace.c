#include "shipper/pace.h"

#include <time.h>

#include "shipper/options.h"

enum {
	MESSAGE_EXTRA = 64,    /* TLS record, TCP and IP headers, their acknowledgement */
	PACKET_EXTRA_PART = 32, /* one in so many bytes of a long message */
	HANDSHAKE = 6 * 1024,  /* both directions, certificates included */
	DAY_MINUTES = 24 * 60,
};
static const int64_t second = INT64_C(1000000000);

static struct tm local_time(int64_t wall_ns)
{
	time_t t = (time_t)(wall_ns / second);
	struct tm tm = {0};

	localtime_r(&t, &tm);
	return tm;
}

/* Days since 1970 of the local calendar: it need only change at local midnight. */
static uint32_t day_of(int64_t wall_ns)
{
	struct tm tm = local_time(wall_ns);
	int64_t local_s = wall_ns / second + tm.tm_gmtoff;

	return (uint32_t)(local_s / (24 * 60 * 60));
}

static bool is_night(const struct shipper_options *o, int64_t wall_ns)
{
	struct tm tm;
	unsigned now;

	if (o->night.from == o->night.to) {
		return false;
	}
	tm = local_time(wall_ns);
	now = (unsigned)(tm.tm_hour * 60 + tm.tm_min) % DAY_MINUTES;
	return o->night.from < o->night.to
		       ? now >= o->night.from && now < o->night.to
		       : now >= o->night.from || now < o->night.to;
}

uint64_t pace_rate(const struct pace *p, int64_t wall_ns)
{
	const struct shipper_options *o = p->options;

	return is_night(o, wall_ns) ? o->bandwidth_night : o->bandwidth;
}

uint64_t pace_today(struct pace *p, int64_t wall_ns)
{
	uint32_t day = day_of(wall_ns);

	/* Another day, also when the clock was set back: a budget that was spent
	 * in the future must not be spent for ever. */
	if (day != p->day) {
		p->day = day;
		p->spent = 0;
	}
	return p->spent;
}

/* A second's worth may be saved up. */
static void earn(struct pace *p, uint64_t rate, int64_t mono_ns)
{
	int64_t most = rate > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)rate;
	int64_t since = mono_ns - p->counted_ns;

	if (!p->started || since >= 3600 * second) {
		p->started = true;
		p->credit = most;
	} else if (since > 0) {
		/* In two steps, so that no product is too large. */
		int64_t more = most / 1000000 * (since / 1000) +
			       most % 1000000 * (since / 1000) / 1000000;

		p->credit = p->credit + more > most ? most : p->credit + more;
	}
	p->counted_ns = mono_ns;
}

enum pace_wait pace_ask(struct pace *p, uint64_t n, int64_t mono_ns,
			int64_t wall_ns)
{
	uint64_t budget = p->options->budget_day;
	uint64_t rate = pace_rate(p, wall_ns);

	p->wait = PACE_GO;
	if (budget > 0) {
		uint64_t spent = pace_today(p, wall_ns);

		if (spent >= budget || n > budget - spent) {
			p->wait = PACE_BUDGET;
		}
	}
	if (p->wait == PACE_GO && rate > 0) {
		earn(p, rate, mono_ns);
		/* Never "n fits": a batch may be larger than a second's worth. */
		p->wait = p->credit > 0 ? PACE_GO : PACE_BANDWIDTH;
	}
	return p->wait;
}

static void count(struct pace *p, uint64_t n, int64_t mono_ns, int64_t wall_ns)
{
	uint64_t rate = pace_rate(p, wall_ns);

	if (p->options->budget_day > 0) {
		pace_today(p, wall_ns);
		p->spent += n;
	}
	if (rate > 0) {
		earn(p, rate, mono_ns);
		p->credit -= (int64_t)n;
	} else {
		p->started = false;
	}
}

void pace_sent(struct pace *p, uint64_t n, int64_t mono_ns, int64_t wall_ns)
{
	count(p, n + MESSAGE_EXTRA + n / PACKET_EXTRA_PART, mono_ns, wall_ns);
}

void pace_connected(struct pace *p, int64_t mono_ns, int64_t wall_ns)
{
	count(p, HANDSHAKE, mono_ns, wall_ns);
}

const char *pace_wait_name(enum pace_wait w)
{
	static const char *const names[] = {"", "bandwidth", "budget"};

	return names[w];
}
