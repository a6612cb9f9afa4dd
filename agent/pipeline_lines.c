/* Lines, and what stands in their place: each is redacted, parsed, judged and added to its
 * lane, in the order of its stream. */
#include "agent/pipeline_impl.h"

#include <stdlib.h>

#include "agent/health.h"

#include "common/err.h"
#include "common/log.h"

void pipeline_moved(struct pipeline *p)
{
	for (struct ps *ps = p->streams; ps != NULL; ps = ps->next) {
		ps->tell_again = ps->told;
	}
}

/* What a stream says of itself first: whence it comes, and how its stamps are
 * to be read. */
static int add_opening(struct pipeline *p, struct ps *ps)
{
	const struct stream *s = ps->s;
	struct record r = {
		.stream = ps->id,
		.start = ps->end,
		.end = ps->end,
		.flags = RECORD_OPEN | (s->st.fork ? RECORD_FORK : 0),
		.observed_ns = sys_wall_ns(p->sys),
		.header.time_ns = TIME_NONE,
	};
	struct json j;
	int rc;

	if (ps->begins_late) {
		struct record gap = r;

		gap.start = 0;
		gap.end = s->st.start;
		gap.flags = RECORD_GAP;
		gap.line = s->st.fork ? SLICE_LIT("fork")
				      : SLICE_LIT("not-read-from-the-start");
		rc = shipper_add(p->shipper, ps->queue, &gap, false);
		if (rc != 0) {
			return rc;
		}
		ps->begins_late = false;
	}
	buf_clear(&p->scratch);
	j = json_begin(&p->scratch);
	json_object(&j, NULL);
	json_cstr(&j, "path", s->st.path == NULL ? "" : s->st.path);
	json_cstr(&j, "zone", zone_rule(pipeline_zone_of(p, s)));
	json_cstr(&j, "label", pipeline_label_of(p, s));
	json_cstr(&j, "program", pipeline_program_of(p, s));
	if (pipeline_proves_senders(s)) {
		json_cstr(&j, "senders", "proved");
	}
	json_object_end(&j);
	if (json_end(&j) != 0) {
		return UV_ENOMEM;
	}
	r.line = buf_slice(&p->scratch);
	rc = shipper_add(p->shipper, ps->queue, &r, false);
	if (rc == 0) {
		ps->told = true;
		ps->tell_again = false;
	}
	return rc;
}

static bool ships(const struct pipeline *p, const struct ps *ps,
		  const struct line *line)
{
	return p->shipper != NULL && line->end > ps->ship_from;
}

/* true: the line was taken. */
static bool take_line(struct pipeline *p, struct ps *ps,
		      struct redact_chunk *chunk, const struct line *line,
		      int64_t now_ns)
{
	const char *program = pipeline_program_of(p, ps->s);
	struct record r;
	size_t room;
	bool ship = ships(p, ps, line);

	if (p->n_waiting > PIPELINE_PAUSE && !pipeline_flush_alerts(p)) {
		return false;
	}
	if (ship && (!ps->told || ps->tell_again) &&
	    add_opening(p, ps) != 0) {
		return false;
	}
	/* A mask may be longer than what it covers. */
	room = line->text.n * 2 + 64;
	room = room < RESERVE_MAX ? room : RESERVE_MAX;
	if (ship && shipper_reserve(p->shipper, ps->queue, &ps->id, room) != 0) {
		return false;
	}
	r.stream = ps->id;
	r.start = line->start;
	r.end = line->end;
	r.flags = line->flags;
	r.observed_ns = now_ns;
	r.line = line->text;
	if ((line->flags & RECORD_SKIP) != 0) {
		r.header.time_ns = TIME_NONE;
		event_reset(&r.event);
	} else {
		if (p->config->redact.enabled &&
		    redact_chunk_line(chunk, &ps->redact, line->text,
				      &p->scratch, &r.line)) {
			r.flags |= RECORD_REDACTED;
			p->redacted++;
		}
		if (p->made.names.fields != 0 && pipeline_rename(p, ps, &r) != 0) {
			return false;
		}
		parser_line(ps->parser, r.line, now_ns, &r.header, &r.event);
		if (r.header.program.n == 0 && program[0] != '\0') {
			r.header.program = slice_str(program);
		}
		p->understood += event_understood(&r.event);
	}
	if (ship) {
		if (shipper_add(p->shipper, ps->queue, &r, false) != 0) {
			return false;
		}
		ps->end = line->end;
		ps->h_known = false;
	}
	if (line->end > ps->detect_from) {
		if ((line->flags & RECORD_SKIP) == 0) {
			parser_count(ps->parser, &r);
		}
		if (p->made.detect != NULL) {
			detect_record(p->made.detect, &r, pipeline_on_finding, p);
		}
	}
	p->lines++;
	p->cut += (line->flags & RECORD_CUT) != 0;
	return true;
}

/* Without detectors as well: below it nobody needs the lines. */
static void tell_detected(struct pipeline *p, const struct ps *ps, uint64_t position)
{
	if (ps->s->about == NULL) {
		tail_detected(p->tail, &ps->id, position);
		return;
	}
	for (size_t i = 0; i < p->n_sources; i++) {
		const struct source_ops *ops = p->sources[i]->ops;

		if (ops->detected != NULL) {
			ops->detected(p->sources[i], &ps->id, position);
		}
	}
}

/* Lines that are not understood any more. */
static void tell_falls(struct pipeline *p)
{
	struct share_fall f;

	while (shares_take(p->shares, &f)) {
		health_fall(p, p->sys, &f);
	}
}

/* The chunk's bytes are about to go: what is asked about them later is answered
 * now.  position: where the last record ended. */
static void chunk_done(struct pipeline *p, struct ps *ps, uint64_t position)
{
	if (!ps->has_id) {
		return;
	}
	if (p->shipper == NULL) {
		ps->end = position;
		ps->h = stream_hash_at(ps->s, position);
		ps->h_known = true;
	} else if (!ps->h_known && ps->end > 0) {
		ps->h = stream_hash_at(ps->s, ps->end);
		ps->h_known = true;
	}
	tell_detected(p, ps, position);
}

/* Alone, without a collector, what was judged is done with.  Not from inside the
 * chunk: the tail moves its position when that returns. */
void pipeline_settle(struct pipeline *p)
{
	for (struct ps *ps = p->streams, *next; ps != NULL; ps = next) {
		struct msg_stream w = {.id = ps->id,
				       .durable = ps->end,
				       .h_durable = ps->h};

		next = ps->next;
		if (p->shipper == NULL && ps->has_id && ps->end > ps->acked) {
			pipeline_acked(p, &w);
		}
	}
}

static size_t on_chunk(void *arg, struct stream *s, struct slice data,
		       unsigned flags)
{
	struct pipeline *p = arg;
	struct ps *ps = s->user;
	struct redact_chunk chunk;
	struct slice rest = data;
	int64_t now_ns;
	bool final = (flags & TAIL_FINAL) != 0;

	if (ps == NULL || (p->shipper != NULL && !pipeline_flush_alerts(p))) {
		return 0;
	}
	if (!ps->has_id && s->has_id) {
		ps->has_id = true;
		ps->id = s->st.id;
	}
	p->last = ps;
	now_ns = sys_wall_ns(p->sys);
	chunk = redact_chunk(p->made.redact, data.p, data.n);
	for (;;) {
		struct lines before_lines = s->lines;
		struct slice before = rest;
		struct line line;

		if (!lines_next(&s->lines, &rest, final, &line)) {
			break;
		}
		if (!take_line(p, ps, &chunk, &line, now_ns)) {
			s->lines = before_lines;
			rest = before;
			break;
		}
	}
	tell_falls(p);
	chunk_done(p, ps, s->lines.record_start);
	return data.n - rest.n;
}

static int on_entry(void *arg, struct stream *s, const struct line *line,
		    uint64_t h)
{
	struct pipeline *p = arg;
	struct ps *ps = s->user;
	struct redact_chunk chunk;

	if (ps == NULL || (p->shipper != NULL && !pipeline_flush_alerts(p))) {
		return ERR_AGAIN;
	}
	p->last = ps;
	chunk = redact_chunk(p->made.redact, line->text.p, line->text.n);
	if (!take_line(p, ps, &chunk, line, sys_wall_ns(p->sys))) {
		return ERR_AGAIN;
	}
	tell_falls(p);
	if (p->shipper == NULL || line->end >= ps->end) {
		ps->end = line->end;
		ps->h = h;
		ps->h_known = true;
	}
	tell_detected(p, ps, line->end);
	return 0;
}

static int on_lost(void *arg, struct stream *s, uint64_t from, uint64_t to,
		   struct slice reason)
{
	struct pipeline *p = arg;
	struct ps *ps = s->user;
	struct record r = {
		.start = from,
		.end = to,
		.flags = RECORD_GAP,
		.line = slice_head(reason, REASON_MAX),
		.observed_ns = sys_wall_ns(p->sys),
		.header.time_ns = TIME_NONE,
	};
	int rc;

	if (ps == NULL || p->shipper == NULL || to <= ps->ship_from) {
		if (ps != NULL && p->shipper == NULL) {
			ps->end = to;
			ps->h_known = true;
		}
		return 0;
	}
	r.stream = ps->id;
	if (!ps->told || ps->tell_again) {
		rc = add_opening(p, ps);
		if (rc != 0) {
			return rc;
		}
	}
	rc = shipper_add(p->shipper, ps->queue, &r, false);
	if (rc == 0 && to > from) {
		ps->end = to;
		ps->h = 0; /* Nobody can prove what was lost. */
		ps->h_known = true;
	}
	return rc;
}

static void flush_gaps(struct pipeline *p)
{
	size_t done = 0;

	while (done < p->n_gaps && p->shipper != NULL) {
		const struct waiting_gap *g = &p->gaps[done];
		struct record r = {
			.stream = g->id,
			.start = g->from,
			.end = g->from,
			.flags = RECORD_GAP_OPEN,
			.line = slice_str(g->reason),
			.observed_ns = sys_wall_ns(p->sys),
			.header.time_ns = TIME_NONE,
		};

		if (shipper_add(p->shipper, QUEUE_FILE, &r, false) ==
		    ERR_AGAIN) {
			break;
		}
		done++;
	}
	p->n_gaps -= done;
	memmove(p->gaps, p->gaps + done, p->n_gaps * sizeof *p->gaps);
}

static void on_gap(void *arg, const struct stream_state *st, uint64_t from,
		   const char *reason)
{
	struct pipeline *p = arg;
	char path[256];

	log_warn("the rest of a log file was not found; if it appears again, "
		 "it is read on",
		 "path=%s position=%llu reason=%s",
		 log_quote(path, sizeof path, slice_str(st->path)),
		 (unsigned long long)from, reason);
	if (p->n_gaps < GAPS_MAX) {
		p->gaps[p->n_gaps++] =
			(struct waiting_gap){st->id, from, reason};
	}
	flush_gaps(p);
}

const struct tail_callbacks pipeline_tail_callbacks = {
	.opened = pipeline_stream_opened,
	.chunk = on_chunk,
	.closed = pipeline_stream_closed,
	.gap = on_gap,
	.entry = on_entry,
	.lost = on_lost,
};

void pipeline_resume(struct pipeline *p)
{
	pipeline_flush_alerts(p);
	flush_gaps(p);
	tail_resume(p->tail);
	if (p->input != NULL) {
		input_resume(p->input);
	}
	for (size_t i = 0; i < p->n_sources; i++) {
		p->sources[i]->ops->resume(p->sources[i]);
	}
}

void pipeline_set_sources(struct pipeline *p, struct source *const *list, size_t n)
{
	p->sources = list;
	p->n_sources = n;
}

void pipeline_set_input(struct pipeline *p, struct input *input)
{
	p->input = input;
}

uint64_t pipeline_lines(const struct pipeline *p)
{
	return p->lines;
}
