#include "agent/pipeline_impl.h"

#include <stdlib.h>

#include "agent/health.h"

#include "common/err.h"
#include "common/log.h"
#include "detectors/refer.h"

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

const struct zone *pipeline_zone_of(const struct pipeline *p, const struct stream *s)
{
	return pipeline_zone(p, s->about != NULL
				     ? s->about->zone
				     : p->config->sources.files[s->source].zone);
}

const char *pipeline_program_of(const struct pipeline *p, const struct stream *s)
{
	return s->about != NULL ? s->about->program
				: p->config->sources.files[s->source].program;
}

const char *pipeline_label_of(const struct pipeline *p, const struct stream *s)
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

bool pipeline_proves_senders(const struct stream *s)
{
	return s->about != NULL && s->about->senders == SOURCES_PROVED &&
	       s->st.path != NULL;
}

int pipeline_new_parser(struct pipeline *p, const struct stream *s, struct parser **out)
{
	int rc = parser_new(out, pipeline_zone_of(p, s));

	if (rc == 0 && pipeline_proves_senders(s)) {
		parser_sender(*out, slice_str(s->st.path));
	}
	return rc;
}

void pipeline_stream_opened(void *arg, struct stream *s)
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

void pipeline_stream_closed(void *arg, struct stream *s, enum tail_close why)
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

static void status_refer(const struct pipeline *p, struct json *j)
{
	struct refer_stats st;

	refer_stats(p->made.refer, &st);
	json_object(j, "lists");
	json_u64(j, "configured", st.lists);
	json_u64(j, "read", st.lists_read);
	json_u64(j, "networks", st.networks);
	json_u64(j, "texts", st.texts);
	json_u64(j, "bytes", st.bytes);
	json_object_end(j);
	json_object(j, "geoip");
	json_u64(j, "configured", st.databases);
	json_u64(j, "read", st.databases_read);
	json_u64(j, "looked_up", st.looked_up);
	json_u64(j, "damaged", st.damaged);
	json_object_end(j);
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
		status_refer(p, j);
		json_object_end(j);
	}
}
