#include "parsers/parser.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/timefmt.h"
#include "parsers/family.h"

enum { REPEATED_MAX = 100000 };

struct parser {
	struct header_reader header;
	struct slots slots;
};

int parser_new(struct parser **out, const struct zone *zone)
{
	struct parser *p = calloc(1, sizeof *p);

	if (p == NULL) {
		return UV_ENOMEM;
	}
	p->header.zone = zone;
	*out = p;
	return 0;
}

void parser_free(struct parser *p)
{
	free(p);
}

int parser_save(const struct parser *p, struct buf *out)
{
	return slots_save(&p->slots, out);
}

int parser_load(struct parser *p, struct slice saved)
{
	return slots_load(&p->slots, saved);
}

/* ---- what families share ---- */

/* Could be a host's name: letters, digits, dots, dashes, underscores. */
static bool host_like(struct slice s)
{
	if (s.n == 0 || s.n > 255) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      is_digit((char)c) || c == '.' || c == '-' || c == '_')) {
			return false;
		}
	}
	return true;
}

/* A dotted quad in its plain form, at less cost than ip_parse(). */
static bool plain_v4(struct slice s)
{
	unsigned value = 0, digits = 0, dots = 0;

	if (s.n < 7 || s.n > 15) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.') {
			if (digits == 0) {
				return false;
			}
			dots++;
			digits = value = 0;
		} else if (is_digit(s.p[i]) && ++digits <= 3) {
			value = value * 10 + (unsigned)(s.p[i] - '0');
			if (value > 255) {
				return false;
			}
		} else {
			return false;
		}
	}
	return dots == 3 && digits > 0;
}

void set_source(struct context *c, struct slice a)
{
	struct ip ip;

	if (a.n > 2 && a.p[0] == '[' && a.p[a.n - 1] == ']') {
		a = slice(a.p + 1, a.n - 2);
	}
	if (plain_v4(a)) {
		event_set(c->e, FIELD_SOURCE_IP, a);
		return;
	}
	/* ::ffff:192.0.2.1 is 192.0.2.1. */
	if (a.n > 7 && slice_eq_nocase(slice_head(a, 7), SLICE_LIT("::ffff:")) &&
	    plain_v4(slice_skip(a, 7))) {
		event_set(c->e, FIELD_SOURCE_IP, slice_skip(a, 7));
		return;
	}
	if (ip_parse(a, &ip)) {
		const char *zone = memchr(a.p, '%', a.n);

		if (zone != NULL) {
			a.n = (size_t)(zone - a.p);
		}
		event_set(c->e, FIELD_SOURCE_IP, a);
	} else if (host_like(a) && !IS(a, "UNKNOWN") && !IS(a, "unknown")) {
		event_set(c->e, FIELD_SOURCE_ADDRESS, a);
	}
}

void set_port(struct context *c, struct slice port)
{
	uint64_t v;

	if (port.n <= 5 && slice_to_u64(port, 65535, &v)) {
		event_set(c->e, FIELD_SOURCE_PORT, port);
	}
}

void slot_give(const struct slot *s, struct event *e)
{
	struct ip ip;

	if (!event_has(e, FIELD_USER_NAME) && s->user_n > 0) {
		event_set(e, FIELD_USER_NAME, slice(s->user, s->user_n));
	}
	if (!event_has(e, FIELD_SOURCE_IP) &&
	    !event_has(e, FIELD_SOURCE_ADDRESS) && s->address_n > 0) {
		struct slice a = slice(s->address, s->address_n);

		event_set(e, plain_v4(a) || ip_parse(a, &ip)
				     ? FIELD_SOURCE_IP
				     : FIELD_SOURCE_ADDRESS, a);
		if (!event_has(e, FIELD_SOURCE_PORT) && s->port_n > 0) {
			event_set(e, FIELD_SOURCE_PORT,
				  slice(s->port, s->port_n));
		}
	}
}

void say_failure(struct context *c, enum count kind, uint32_t n)
{
	c->e->outcome = OUTCOME_FAILURE;
	c->e->attempts = slot_count(c->slot, kind,
				    kind == COUNT_FLOOR ? n : n * c->times);
}

void say_success(struct context *c)
{
	c->e->outcome = OUTCOME_SUCCESS;
	c->e->attempts = c->times;
	if (c->slot != NULL) {
		slot_again(c->slot);
		c->slot->flags = SLOT_SUCCESS;
	}
}

void say_pending(struct context *c)
{
	c->e->outcome = OUTCOME_UNKNOWN;
	c->e->attempts = 0;
	if (c->slot != NULL) {
		c->slot->flags |= SLOT_PENDING;
	}
}

/* ---- dispatch ---- */

#define NAME(text, fn)                    \
	if (IS(name, text)) {             \
		return fn;                \
	}

/* By length first: most programs of a log are unknown, and this tells them from
 * the known ones by a jump and a comparison or two. */
static family_fn *find_family(struct slice name)
{
	switch (name.n) {
	case 2:
		NAME("su", family_su)
		break;
	case 4:
		NAME("sshd", family_sshd)
		NAME("sudo", family_sudo)
		break;
	case 5:
		NAME("login", family_login)
		break;
	case 12:
		NAME("sshd-session", family_sshd)
		break;
	default:
		break;
	}
	return family_pam;
}

/* rsyslog's "message repeated 5 times: [ text]". */
static void unwrap_repeated(struct context *c)
{
	struct slice t = c->m, digits;
	uint64_t n;

	if (!TAKE(&t, "message repeated ") || !take_digits(&t, &digits) ||
	    !TAKE(&t, " times: [") || !TAKE_END(&t, "]") ||
	    !slice_to_u64(digits, REPEATED_MAX, &n) || n == 0) {
		return;
	}
	TAKE(&t, " ");
	c->m = t;
	c->times = (uint32_t)n;
}

static void read_event(struct parser *p, int64_t observed_ns,
		       const struct header *h, const struct header_more *more,
		       struct event *e)
{
	family_fn *family = find_family(h->program);
	int64_t now_ns = h->time_ns != TIME_NONE ? h->time_ns : observed_ns;
	struct context c = {.m = h->message, .h = h, .more = more, .e = e,
			    .slots = &p->slots, .now_s = now_ns / NS_PER_S,
			    .times = 1};

	if (HAS(c.m, "message repeated ")) {
		unwrap_repeated(&c);
	}
	if (!family(&c)) {
		event_reset(e);
	}
}

void parser_line(struct parser *p, struct slice line, int64_t observed_ns,
		 struct header *h, struct event *e)
{
	struct header_more more;

	event_reset(e);
	header_read(&p->header, line, observed_ns, h, &more);
	read_event(p, observed_ns, h, &more, e);
}
