/* search_record: which records are wanted, and how one is printed. */
#include <stdio.h>

#include "cli/search.h"
#include "collector/show.h"
#include "common/timefmt.h"

static bool is_particular(const struct search_request *q)
{
	return q->program != NULL || q->user != NULL || q->text != NULL ||
	       q->outcome != NULL || q->has_ip;
}

bool search_in_time(const struct search_request *q, int64_t ns)
{
	return ns >= q->since_ns && ns <= q->until_ns;
}

static bool is_about_user(const struct event *e, struct slice user)
{
	static const enum event_field fields[] = {
		FIELD_USER_NAME, FIELD_USER_EFFECTIVE_NAME,
		FIELD_USER_TARGET_NAME};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (event_has(e, fields[i]) &&
		    slice_eq(event_get(e, fields[i]), user)) {
			return true;
		}
	}
	return false;
}

static bool is_from(const struct search_request *q, const struct event *e)
{
	struct ip ip;

	return ip_parse(event_get(e, FIELD_SOURCE_IP), &ip) &&
	       ip_in_net(&ip, &q->ip);
}

bool search_matches(const struct search_request *q, const struct record *r)
{
	if ((r->flags & RECORD_ALERT) != 0) {
		return false;
	}
	if ((r->flags & (RECORD_OPEN | RECORD_CLOSE)) != 0) {
		return q->streams && !is_particular(q);
	}
	if ((r->flags & (RECORD_GAP | RECORD_GAP_OPEN | RECORD_SKIP)) != 0) {
		return !is_particular(q) && search_in_time(q, record_time_ns(r));
	}
	return search_in_time(q, record_time_ns(r)) &&
	       (q->program == NULL ||
		slice_eq(r->header.program, slice_str(q->program))) &&
	       (q->user == NULL ||
		is_about_user(&r->event, slice_str(q->user))) &&
	       (q->outcome == NULL ||
		strcmp(outcome_name(r->event.outcome), q->outcome) == 0) &&
	       (!q->has_ip || is_from(q, &r->event)) &&
	       (q->text == NULL ||
		slice_find(r->line, slice_str(q->text)) != SIZE_MAX);
}

/* ---- printing ---- */

void search_put_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		/* UTF-8 stays; C0, DEL and what could be C1 do not. */
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			printf("\\x%02x", c);
		} else if (c == 0xc2 && i + 1 < s.n &&
			   (unsigned char)s.p[i + 1] < 0xa0) {
			printf("\\xc2\\x%02x", (unsigned char)s.p[++i]);
		} else {
			putchar(c);
		}
	}
}

static const char *colour_of(const struct record *r)
{
	if ((r->flags & (RECORD_GAP | RECORD_GAP_OPEN)) != 0) {
		return "\033[33m";
	}
	switch (r->event.outcome) {
	case OUTCOME_SUCCESS:
		return "\033[32m";
	case OUTCOME_FAILURE:
		return "\033[31m";
	default:
		return "";
	}
}

static void put_line(const struct search_request *q, const char *device,
		     const struct record *r)
{
	bool colour = q->colour;
	char time[TIME_TEXT] = "-";

	if (record_time_ns(r) != TIME_NONE) {
		time_format(time, record_time_ns(r) -
					  record_time_ns(r) % NS_PER_MS);
	}
	printf("%s%s%s ", colour ? "\033[2m" : "", time,
	       colour ? "\033[0m" : "");
	search_put_text(slice_str(device));
	printf(" %s", colour ? colour_of(r) : "");
	if ((r->flags & (RECORD_GAP | RECORD_GAP_OPEN)) != 0) {
		printf("[gap at %llu, %llu bytes: ",
		       (unsigned long long)r->start,
		       (unsigned long long)(r->end - r->start));
	} else if ((r->flags & (RECORD_OPEN | RECORD_CLOSE)) != 0) {
		printf("[%s at %llu: ",
		       (r->flags & RECORD_OPEN) != 0 ? "begins" : "ends",
		       (unsigned long long)r->start);
	} else if ((r->flags & RECORD_SKIP) != 0) {
		printf("[cut away at %llu, %llu bytes",
		       (unsigned long long)r->start,
		       (unsigned long long)(r->end - r->start));
	}
	search_put_text(r->line);
	if ((r->flags & (RECORD_GAP | RECORD_GAP_OPEN | RECORD_SKIP |
			 RECORD_OPEN | RECORD_CLOSE)) != 0) {
		putchar(']');
	}
	puts(colour ? "\033[0m" : "");
}

int search_put_record(const struct search_request *q, const struct device *d,
		      const struct record *r, struct buf *out)
{
	struct json j;

	if (!q->json) {
		put_line(q, d->name, r);
		return 0;
	}
	buf_clear(out);
	j = json_begin(out);
	show_json(&j, d->name, &d->id, r);
	if (json_end(&j) != 0) {
		return json_end(&j);
	}
	fwrite(out->p, 1, out->n, stdout);
	putchar('\n');
	return 0;
}
