#include "agent/pipeline_impl.h"

#include <stdlib.h>

#include "agent/health.h"

#include "common/err.h"
#include "common/log.h"

/* ---- life ---- */

static int begin_alert_stream(struct pipeline *p)
{
	p->alert_hash = XXH3_createState();
	if (p->alert_hash == NULL) {
		return UV_ENOMEM;
	}
	XXH3_64bits_reset_withSecret(p->alert_hash, p->secret_copy,
				     STREAM_SECRET);
	return stream_id_once(p->sys, p->secret_copy, &p->alert_stream);
}

int pipeline_new(struct pipeline **out, const struct pipeline_params *params)
{
	struct pipeline *p = calloc(1, sizeof *p);
	int rc;

	*out = NULL;
	if (p == NULL) {
		return UV_ENOMEM;
	}
	p->sys = params->sys;
	p->config = params->config;
	p->device = params->device;
	memcpy(p->key, params->key, sizeof p->key);
	p->on_alert = params->on_alert;
	p->arg = params->arg;
	buf_init(&p->scratch, LINE_ROOM);
	buf_init(&p->renamed, LINE_ROOM);
	p->secret_copy = malloc(STREAM_SECRET);
	if (p->secret_copy == NULL) {
		rc = UV_ENOMEM;
		goto err;
	}
	memcpy(p->secret_copy, params->stream_secret, STREAM_SECRET);
	rc = pipeline_open_zones(p);
	if (rc == 0) {
		rc = begin_alert_stream(p);
	}
	rc = rc != 0 ? rc : shares_new(&p->shares);
	rc = rc != 0 ? rc : pipeline_make(p, &p->made, NULL);
	if (rc != 0) {
		goto err;
	}
	*out = p;
	return 0;

err:
	pipeline_free(p);
	return rc;
}

static void ps_free(struct ps *ps)
{
	parser_free(ps->parser);
	parser_free(ps->reader);
	free(ps);
}

void pipeline_free(struct pipeline *p)
{
	if (p == NULL) {
		return;
	}
	while (p->streams != NULL) {
		struct ps *ps = p->streams;

		p->streams = ps->next;
		ps_free(ps);
	}
	for (size_t i = 0; i < p->n_waiting; i++) {
		free(p->waiting[i].json);
	}
	free(p->waiting);
	for (size_t i = 0; i < p->n_zones; i++) {
		zone_free(p->zones[i].zone);
		free(p->zones[i].name);
	}
	free(p->zones);
	free(p->cursors);
	pipeline_unmake(&p->made);
	shares_free(p->shares);
	buf_wipe(&p->scratch);
	buf_wipe(&p->renamed);
	XXH3_freeState(p->alert_hash);
	if (p->secret_copy != NULL) {
		explicit_bzero(p->secret_copy, STREAM_SECRET);
	}
	free(p->secret_copy);
	free(p);
}

void pipeline_connect(struct pipeline *p, struct tail *tail,
		      struct shipper *shipper)
{
	p->tail = tail;
	p->shipper = shipper;
}

/* ---- streams ---- */

static const struct zone *zone_of(const struct pipeline *p,
				  const struct stream *s)
{
	return pipeline_zone(p, s->about != NULL
				     ? s->about->zone
				     : p->config->sources.files[s->source].zone);
}

static const char *program_of(const struct pipeline *p,
			      const struct stream *s)
{
	return s->about != NULL ? s->about->program
				: p->config->sources.files[s->source].program;
}

static const char *label_of(const struct pipeline *p, const struct stream *s)
{
	return s->about != NULL ? s->about->label
				: p->config->sources.files[s->source].label;
}

static struct ps *find(struct pipeline *p, const struct stream_id *id)
{
	if (p->last != NULL && p->last->has_id &&
	    stream_id_eq(&p->last->id, id)) {
		return p->last;
	}
	for (struct ps *ps = p->streams; ps != NULL; ps = ps->next) {
		if (ps->has_id && stream_id_eq(&ps->id, id)) {
			p->last = ps;
			return ps;
		}
	}
	return NULL;
}

static void forget(struct pipeline *p, struct ps *gone)
{
	struct ps **link = &p->streams;

	while (*link != gone) {
		link = &(*link)->next;
	}
	*link = gone->next;
	if (p->last == gone) {
		p->last = NULL;
	}
	ps_free(gone);
}

uint64_t pipeline_restored_detect(const struct pipeline *p,
				  const struct stream_id *id)
{
	for (size_t i = 0; i < p->n_cursors; i++) {
		if (stream_id_eq(&p->cursors[i].id, id)) {
			return p->cursors[i].detect;
		}
	}
	return 0;
}

/* An earlier opening of the same stream is replaced: what it had added and was
 * not acknowledged is either in flight or will be read again. */
static void replace_earlier(struct pipeline *p, struct ps *ps)
{
	struct ps *old = ps->has_id ? find(p, &ps->id) : NULL;

	if (old == NULL) {
		return;
	}
	if (ps->ship_from < old->end) {
		ps->ship_from = old->end;
		ps->end = old->end;
		ps->h = old->h;
		ps->h_known = old->h_known;
	}
	forget(p, old);
}

/* What goes when the spool is full: as the source says, or as spool.policy does for
 * what can't be read again.  Files wait. */
static enum queue queue_for(const struct pipeline *p, const struct stream *s)
{
	const struct agent_config *c = p->config;
	enum lane lane = s->kept ? LANE_KEPT : LANE_FILE;
	enum sources_full full =
		s->about != NULL ? s->about->full
		: s->source < c->sources.n_files
			? c->sources.files[s->source].full
			: SOURCES_FULL_DEFAULT;
	enum spool_policy policy = s->kept ? c->shipper.spool_policy
					   : SPOOL_PAUSE;

	switch (full) {
	case SOURCES_FULL_DEFAULT:
		break;
	case SOURCES_FULL_PAUSE:
		policy = SPOOL_PAUSE;
		break;
	case SOURCES_FULL_DROP_OLDEST:
		policy = SPOOL_DROP_OLDEST;
		break;
	case SOURCES_FULL_DROP_NEWEST:
		policy = SPOOL_DROP_NEWEST;
		break;
	}
	return queue_of(lane, policy);
}

static bool proves_senders(const struct stream *s)
{
	return s->about != NULL && s->about->senders == SOURCES_PROVED &&
	       s->st.path != NULL;
}

int pipeline_new_parser(struct pipeline *p, const struct stream *s, struct parser **out)
{
	int rc = parser_new(out, zone_of(p, s));

	if (rc == 0 && proves_senders(s)) {
		parser_sender(*out, slice_str(s->st.path));
	}
	return rc;
}

static void on_opened(void *arg, struct stream *s)
{
	struct pipeline *p = arg;
	struct ps *ps = calloc(1, sizeof *ps);
	int rc = ps == NULL ? UV_ENOMEM : 0;

	if (rc == 0) {
		rc = pipeline_new_parser(p, s, &ps->parser);
	}
	if (rc == 0 && s->st.path != NULL) {
		parser_shares(ps->parser, p->shares, slice_str(s->st.path));
	}
	if (rc != 0) {
		log_error("no memory for another log file; it is read when "
			  "there is", "path=%s",
			  s->st.path == NULL ? "" : s->st.path);
		free(ps);
		s->user = NULL;
		return;
	}
	ps->s = s;
	ps->queue = queue_for(p, s);
	ps->has_id = s->has_id;
	ps->id = s->st.id;
	ps->ship_from = s->st.acked > s->st.start ? s->st.acked : s->st.start;
	/* With more acknowledged the gap before it was, too; reading may begin there again
	 * all the same, for the detectors. */
	ps->begins_late = s->st.start > 0 && s->position == s->st.start &&
			  s->st.acked <= s->st.start;
	ps->detect_from = s->st.detect;
	ps->acked = s->st.acked;
	ps->end = ps->ship_from;
	if (ps->ship_from == s->st.acked || s->about != NULL) {
		ps->h = s->st.h;
		ps->h_known = true;
	}
	if (s->has_id) {
		replace_earlier(p, ps);
	}
	ps->next = p->streams;
	p->streams = ps;
	s->user = ps;
}

/* A stream that can't be read again ended, and all of it is here. */
static void add_closing(struct pipeline *p, struct ps *ps)
{
	struct record r = {
		.stream = ps->id,
		.start = ps->end,
		.end = ps->end,
		.flags = RECORD_CLOSE,
		.observed_ns = sys_wall_ns(p->sys),
		.header.time_ns = TIME_NONE,
	};

	if (shipper_add(p->shipper, ps->queue, &r, false) != 0) {
		log_warn("no room to note the clean end of a stream; it will "
			 "be reported as ended uncleanly");
	}
}

static void on_closed(void *arg, struct stream *s, enum tail_close why)
{
	struct pipeline *p = arg;
	struct ps *ps = s->user;

	if (ps == NULL) {
		return;
	}
	/* A stream that was cut off has no clean end. */
	if (queue_lane(ps->queue) == LANE_KEPT && ps->told && why != TAIL_CUT_OFF) {
		add_closing(p, ps);
	}
	pipeline_settle(p);
	ps->s = NULL;
	s->user = NULL;
	if (!ps->has_id || p->shipper == NULL || ps->acked >= ps->end) {
		forget(p, ps);
	}
}

uint64_t pipeline_hash_at(struct pipeline *p, const struct stream_id *id,
			  uint64_t position)
{
	struct ps *ps;

	if (stream_id_eq(id, &p->alert_stream)) {
		return XXH3_64bits_digest(p->alert_hash);
	}
	ps = find(p, id);
	if (ps == NULL) {
		return 0; /* Unknown: never equal to a proof, so never trusted. */
	}
	if (!ps->h_known && ps->s != NULL) {
		ps->h = stream_hash_at(ps->s, position);
		ps->h_known = true;
	}
	return ps->h;
}

uint64_t pipeline_acked(struct pipeline *p, const struct msg_stream *w)
{
	struct ps *ps = find(p, &w->id);
	uint64_t more = 0;

	if (p->tail != NULL) {
		tail_watermark(p->tail, &w->id, w->durable, w->h_durable);
	}
	for (size_t i = 0; i < p->n_sources; i++) {
		const struct source_ops *ops = p->sources[i]->ops;

		if (ops->watermark != NULL) {
			ops->watermark(p->sources[i], &w->id, w->durable,
				       w->h_durable);
		}
	}
	if (ps == NULL) {
		return 0;
	}
	if (w->durable > ps->acked) {
		more = w->durable - ps->acked;
		ps->acked = w->durable;
	}
	if (ps->s == NULL && ps->acked >= ps->end) {
		forget(p, ps);
	}
	return more;
}

/* Whoever has the stream. */
static int roll_back(struct pipeline *p, const struct msg_stream *w, bool proved)
{
	const uint64_t *h = proved ? &w->h_received : NULL;

	for (size_t i = 0; i < p->n_sources; i++) {
		const struct source_ops *ops = p->sources[i]->ops;
		int rc = ops->rollback == NULL
				 ? UV_ENOENT
				 : ops->rollback(p->sources[i], &w->id,
						 w->received, h);

		if (rc != UV_ENOENT) {
			return rc;
		}
	}
	return tail_rollback(p->tail, &w->id, w->received, h);
}

int pipeline_rewind(struct pipeline *p, const struct msg_stream *w,
		    bool proved)
{
	struct ps *ps = find(p, &w->id);

	if (ps != NULL) {
		if (w->received < ps->acked) {
			ps->acked = w->received;
		}
		/* Nothing of it is under way any more. */
		ps->end = ps->acked;
		ps->h = 0; /* Unknown: never equal to a proof. */
		ps->h_known = true;
	}
	return roll_back(p, w, proved);
}

/* ---- alerts ---- */

/* Gives the alert lane what waits for it.  false: no room yet. */
static bool flush_alerts(struct pipeline *p)
{
	size_t done = 0;

	while (done < p->n_waiting && p->shipper != NULL) {
		struct waiting_alert *a = &p->waiting[done];
		struct record r = {
			.stream = p->alert_stream,
			.start = p->alert_position,
			.end = p->alert_position + a->n + 1,
			.flags = RECORD_ALERT,
			.line = slice(a->json, a->n),
			.observed_ns = sys_wall_ns(p->sys),
			.header.time_ns = a->time_ns,
		};

		/* H is asked for inside the call, at the end of the last one. */
		if (shipper_reserve(p->shipper, QUEUE_ALERT, &r.stream, a->n) !=
		    0) {
			break;
		}
		if (shipper_add(p->shipper, QUEUE_ALERT, &r, true) != 0) {
			break;
		}
		XXH3_64bits_update(p->alert_hash, a->json, a->n);
		XXH3_64bits_update(p->alert_hash, "\n", 1);
		p->alert_position = r.end;
		free(a->json);
		done++;
	}
	p->n_waiting -= done;
	if (done > 0) {
		memmove(p->waiting, p->waiting + done,
			p->n_waiting * sizeof *p->waiting);
	}
	return p->n_waiting == 0;
}

/* Reading stops at PIPELINE_PAUSE, yet one line may end many windows at once. */
static struct waiting_alert *waiting_place(struct pipeline *p)
{
	size_t room = p->waiting_room == 0 ? 64 : p->waiting_room * 2;
	struct waiting_alert *w;

	if (p->n_waiting == PIPELINE_ALERTS) {
		return NULL;
	}
	if (p->n_waiting == p->waiting_room) {
		w = realloc(p->waiting, room * sizeof *w);
		if (w == NULL) {
			return NULL;
		}
		p->waiting = w;
		p->waiting_room = room;
	}
	return &p->waiting[p->n_waiting];
}

int pipeline_keep_alert(struct pipeline *p, struct slice json, int64_t time_ns)
{
	struct waiting_alert *w = waiting_place(p);
	char *copy = w == NULL ? NULL : malloc(json.n == 0 ? 1 : json.n);

	if (copy == NULL) {
		return UV_ENOMEM;
	}
	if (json.n > 0) {
		memcpy(copy, json.p, json.n);
	}
	*w = (struct waiting_alert){copy, json.n, time_ns};
	p->n_waiting++;
	return 0;
}

static void on_alert(void *arg, const struct alert *a)
{
	struct pipeline *p = arg;

	p->alerts_count++;
	p->on_alert(p->arg, a);
	if (p->shipper != NULL && pipeline_keep_alert(p, a->json, a->last_ns) != 0) {
		p->alerts_lost++;
	}
}

static void on_finding(void *arg, const struct finding *f)
{
	struct pipeline *p = arg;
	int rc = alerts_finding(p->made.alerts, f, on_alert, p);

	if (rc != 0) {
		log_error("an alert could not be made", "rule=%s error=\"%s\"",
			  f->rule_id, err_str(rc));
	}
}

void pipeline_finding(struct pipeline *p, const struct finding *f)
{
	on_finding(p, f);
	flush_alerts(p);
}

struct slice pipeline_mask(struct pipeline *p, struct slice line)
{
	struct redact_state state = {0};
	struct slice out = line;

	if (p->config->redact.enabled) {
		redact_line(p->made.redact, &state, line, &p->scratch, &out);
	}
	return out;
}

void pipeline_advance(struct pipeline *p, int64_t now_ns)
{
	if (p->made.detect != NULL) {
		detect_advance(p->made.detect, now_ns, on_finding, p);
		flush_alerts(p);
	}
}

/* ---- lines ---- */

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
	json_cstr(&j, "zone", zone_rule(zone_of(p, s)));
	json_cstr(&j, "label", label_of(p, s));
	json_cstr(&j, "program", program_of(p, s));
	if (proves_senders(s)) {
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
	const char *program = program_of(p, ps->s);
	struct record r;
	size_t room;
	bool ship = ships(p, ps, line);

	if (p->n_waiting > PIPELINE_PAUSE && !flush_alerts(p)) {
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
			detect_record(p->made.detect, &r, on_finding, p);
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

	if (ps == NULL || (p->shipper != NULL && !flush_alerts(p))) {
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

	if (ps == NULL || (p->shipper != NULL && !flush_alerts(p))) {
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
	.opened = on_opened,
	.chunk = on_chunk,
	.closed = on_closed,
	.gap = on_gap,
	.entry = on_entry,
	.lost = on_lost,
};

void pipeline_resume(struct pipeline *p)
{
	flush_alerts(p);
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

/* ---- telling ---- */

static void status_shares(const struct pipeline *p, struct json *j)
{
	struct share_count c;

	json_array(j, "programs");
	for (unsigned i = 0; shares_get(p->shares, i, &c); i++) {
		json_object(j, NULL);
		json_string(j, "program", c.program);
		json_string(j, "source", c.source);
		json_u64(j, "lines", c.lines);
		json_u64(j, "understood", c.understood);
		json_object_end(j);
	}
	json_array_end(j);
}

void pipeline_status(const struct pipeline *p, struct json *j)
{
	uint64_t masks[REDACT_RULES_MAX] = {0};

	for (const struct ps *ps = p->streams; ps != NULL; ps = ps->next) {
		for (unsigned i = 0; i < redact_rules(); i++) {
			masks[i] += ps->redact.counts[i];
		}
	}
	json_u64(j, "lines", p->lines);
	json_u64(j, "lines_understood", p->understood);
	json_u64(j, "lines_cut", p->cut);
	json_u64(j, "lines_redacted", p->redacted);
	json_u64(j, "alerts", p->alerts_count);
	json_u64(j, "alerts_not_shipped", p->alerts_lost);
	json_object(j, "masks");
	for (unsigned i = 0; i < redact_rules(); i++) {
		if (masks[i] > 0) {
			json_u64(j, redact_rule_name(i), masks[i]);
		}
	}
	json_object_end(j);
	status_shares(p, j);
	if (p->made.detect != NULL) {
		struct detect_stats st;

		detect_stats(p->made.detect, &st);
		json_object(j, "detectors");
		json_u64(j, "rules", st.rules);
		json_u64(j, "findings", st.findings);
		json_u64(j, "late", st.late);
		json_u64(j, "future", st.future);
		json_u64(j, "groups", st.groups);
		json_u64(j, "evicted", st.evicted);
		json_time(j, "watermark", st.watermark_ns);
		json_object_end(j);
	}
}
