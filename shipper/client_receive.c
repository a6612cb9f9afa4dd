#include <stdio.h>

#include "common/err.h"
#include "common/log.h"
#include "shipper/client_impl.h"

/* What the collector says. */

static void protocol_error(struct client *c, const char *what, int rc)
{
	log_warn("the collector broke the protocol; connecting anew",
		 "message=%s error=\"%s\"", what, err_str(rc));
	client_end_session(c);
}

static void forget_session(struct client *c)
{
	memset(c->current, 0, sizeof c->current);
	for (int i = 0; i < QUEUE_NR; i++) {
		for (struct seg *s = c->sh->lanes[i].first; s != NULL;
		     s = s->next) {
			s->announced = false;
			s->sent = -1;
			/* A restored store may have less than it had told. */
			s->acked = -1;
			s->doubtful = false;
			s->headed = -2;
		}
	}
}

/* What the collector has of our segments need not be sent again. */
static int take_segments(struct client *c, struct slice list)
{
	struct msg_segment m;
	int rc;

	while ((rc = msg_segments_next(&list, &m)) == 1) {
		struct seg *s = NULL;

		for (int i = 0; i < QUEUE_NR && s == NULL; i++) {
			s = lane_find(&c->sh->lanes[i], &m.id);
		}
		if (s == NULL) {
			continue;
		}
		if (m.index < -1) {
			return ERR_PROTOCOL;
		}
		if (m.index >= (int64_t)s->n && s->recovered) {
			/* A kill cut it short in the spool: what is left is sent
			 * again and compared.  To read it again instead would
			 * give up everything behind it, whose files need not be
			 * there any more. */
			continue;
		}
		if (m.index >= (int64_t)s->n ||
		    !hash32_eq(&m.hash, seg_hash(s, m.index))) {
			log_error("the collector holds another content of a "
				  "segment of ours: was this device's state "
				  "copied to a second one?",
				  "lane=%s index=%lld",
				  lane_name(s->info.lane),
				  (long long)m.index);
			s->doubtful = true;
			continue;
		}
		s->sent = m.index;
	}
	return rc;
}

/* What the store before has acknowledged is not sent to this one. */
static void leave_store(struct client *c)
{
	struct shipper *sh = c->sh;

	log_warn("this collector keeps another store than before; what was "
		 "acknowledged stays in the old one, and this one is told so",
		 "collector=%s", client_host(c)->name);
	if (held_begin(&sh->elsewhere, sh->store_id, buf_slice(&c->told)) != 0) {
		log_warn("no memory to remember what the other store has; lines "
			 "may be stored in both");
	}
	for (int i = 0; i < QUEUE_FILE; i++) {
		lane_note_held(&sh->lanes[i]);
	}
	/* Its heads are of no meaning to the new one. */
	buf_clear(&sh->acked_head);
	if (sh->cbs->moved != NULL) {
		sh->cbs->moved(sh->arg);
	}
}

/* The collector's list of streams, but what another store has counts as if this one
 * had it. */
static int raise_streams(struct shipper *sh, struct slice list, struct buf *out)
{
	struct msg_stream w;
	int rc;

	while ((rc = msg_streams_next(&list, &w)) == 1) {
		held_raise(&sh->elsewhere, &w);
		rc = msg_add_stream(out, &w);
		if (rc != 0) {
			break;
		}
	}
	return rc;
}

static void pass_on_streams(struct shipper *sh, struct slice list)
{
	struct buf raised;

	buf_init(&raised, LIMIT_FRAME);
	if (sh->elsewhere.n > 0 && raise_streams(sh, list, &raised) == 0) {
		list = buf_slice(&raised);
	}
	sh->cbs->welcome(sh->arg, list);
	buf_fini(&raised);
}

static bool is_former(const struct shipper *sh, const uint8_t id[static 8])
{
	for (size_t i = 0; i < sh->n_former; i++) {
		if (memcmp(sh->former[i], id, sizeof sh->former[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* The store gives a newer key; what waits in the spool is sealed to these. */
static void keep_former(struct shipper *sh)
{
	for (size_t i = 0; i < sh->n_keys; i++) {
		if (is_former(sh, sh->keys[i].id)) {
			continue;
		}
		sh->n_former += sh->n_former < LIMIT_RECIPIENTS;
		memmove(sh->former[1], sh->former[0],
			(sh->n_former - 1) * sizeof sh->former[0]);
		memcpy(sh->former[0], sh->keys[i].id, sizeof sh->former[0]);
	}
}

static void take_keys(struct client *c, const struct welcome *w)
{
	struct shipper *sh = c->sh;
	bool same = sh->has_store &&
		    memcmp(sh->store_id, w->store_id, sizeof w->store_id) == 0;

	if (sh->has_store && !same) {
		leave_store(c);
	}
	if (!same || sh->n_keys != w->n_keys ||
	    memcmp(sh->keys, w->keys, w->n_keys * sizeof *w->keys) != 0) {
		if (same) {
			keep_former(sh);
		} else {
			sh->n_former = 0;
		}
		memcpy(sh->keys, w->keys, w->n_keys * sizeof *w->keys);
		sh->n_keys = w->n_keys;
		memcpy(sh->store_id, w->store_id, sizeof w->store_id);
		sh->has_store = true;
		sh->cbs->changed(sh->arg);
		for (int i = 0; i < QUEUE_NR; i++) {
			lane_renew_segment(&sh->lanes[i]);
		}
	}
	sh->window_log = w->window_log;
	sh->segment_decoded_max = w->max_segment_decoded;
}

/* The store can open it. */
static bool sealed_to(const struct seg *s, const struct shipper *sh)
{
	for (size_t i = 0; i < s->info.n_recipients; i++) {
		if (is_former(sh, s->info.recipient[i])) {
			return true;
		}
		for (size_t k = 0; k < sh->n_keys; k++) {
			if (memcmp(s->info.recipient[i], sh->keys[k].id,
				   sizeof sh->keys[k].id) == 0) {
				return true;
			}
		}
	}
	return s->n == 0;
}

/* What can't be continued as it is: another content stands under its name, or it was
 * sealed for another store, which this one can't open.  (Whether there was another one
 * may be forgotten: it is in the state that is saved, the segment is in the spool.)
 * What can be read again is sealed anew. */
static void seal_anew(struct shipper *sh)
{
	for (int i = 0; i < QUEUE_NR; i++) {
		struct lane_state *ln = &sh->lanes[i];
		struct seg *s = ln->first;

		while (s != NULL && !s->doubtful &&
		       !(ln->lane == LANE_FILE && !sealed_to(s, sh))) {
			s = s->next;
		}
		if (s != NULL && ln->lane == LANE_FILE) {
			lane_abandon_from(ln, s, NULL);
		} else if (s != NULL && s->closed) {
			lane_replace(ln, s, "segment-conflict");
		}
	}
}

static void on_welcome(struct client *c, struct slice payload)
{
	struct shipper *sh = c->sh;
	struct welcome w;
	int rc = welcome_decode(&w, payload);

	if (rc == 0 && c->state != GREETING) {
		rc = ERR_PROTOCOL;
	}
	if (rc == 0 && (w.version < PROTOCOL_VERSION_MIN ||
			w.version > PROTOCOL_VERSION)) {
		rc = ERR_VERSION;
	}
	if (rc == 0) {
		forget_session(c);
		rc = take_segments(c, w.segments);
	}
	if (rc != 0) {
		protocol_error(c, "welcome", rc);
		return;
	}
	take_keys(c, &w);
	log_info("connected", "collector=%s port=%u", client_host(c)->name,
		 client_host(c)->port);
	client_enter(c, WELCOME);
	c->patient = false;
	client_at_home(c);
	c->connects++;
	c->last_error[0] = '\0';
	c->headed_ns = c->heard_ns;
	if (sh->spooling && !sh->stopping) {
		sh->spooling = false;
		/* From here on new segments stay in memory again. */
		for (int i = QUEUE_FILE; i < QUEUE_NR; i++) {
			lane_renew_segment(&sh->lanes[i]);
		}
	}
	pass_on_streams(sh, w.streams);
	seal_anew(sh);
	client_pump(c);
	shipper_room_now(sh);
}

static void on_ack(struct client *c, struct slice payload)
{
	struct shipper *sh = c->sh;
	struct msg_segment m;
	struct msg_stream w;
	struct ack a;
	int rc = ack_decode(&a, payload);

	while (rc == 0 && (rc = msg_segments_next(&a.segments, &m)) == 1) {
		struct seg *s = NULL;

		rc = 0;
		for (int i = 0; i < QUEUE_NR && s == NULL; i++) {
			s = lane_find(&sh->lanes[i], &m.id);
			if (s != NULL) {
				rc = lane_acked(&sh->lanes[i], s, m.index,
						&m.hash);
			}
		}
	}
	while (rc == 0 && (rc = msg_streams_next(&a.streams, &w)) == 1) {
		sh->cbs->acked(sh->arg, &w);
		for (int i = 0; i < QUEUE_FILE; i++) {
			lane_note_durable(&sh->lanes[i], &w);
		}
		rc = 0;
	}
	if (rc != 0) {
		protocol_error(c, "ack", rc);
		return;
	}
	sh->acks++;
	sh->acked_ns = sys_wall_ns(sh->sys);
	shipper_room_now(sh);
	shipper_check_stop(sh);
}

/* Why the collector lacks what came before a segment that can't be read again. */
static const char *why_missing(const struct lane_state *ln)
{
	return ln->sh->elsewhere.any ? ln->sh->elsewhere.reason
	       : ln->damaged	? "spool-damaged"
				: "store-rollback";
}

/* What the collector lacks before this range is in the queue, and nothing of that is
 * acknowledged: it comes first, or its own refusal is dealt with. */
static bool waits_before(const struct seg *s, const struct seg_stream *range)
{
	for (const struct seg *p = s->lane->first; p != s; p = p->next) {
		for (size_t i = 0; p->acked < 0 && i < p->n_streams; i++) {
			if (memcmp(&p->streams[i].id, &range->id, sizeof range->id) == 0 &&
			    p->streams[i].end >= range->start) {
				return true;
			}
		}
	}
	return false;
}

static void on_nak(struct client *c, struct slice payload)
{
	struct nak nak;
	struct seg *s = NULL;
	uint64_t start = 0;
	int rc = nak_decode(&nak, payload);

	for (int i = 0; rc == 0 && i < QUEUE_NR && s == NULL; i++) {
		s = lane_find(&c->sh->lanes[i], &nak.segment);
	}
	if (rc != 0) {
		protocol_error(c, "nak", rc);
		return;
	}
	if (s == NULL) {
		return; /* Given up already. */
	}
	for (size_t i = 0; i < s->n_streams; i++) {
		if (memcmp(&s->streams[i].id, &nak.stream.id,
			   sizeof nak.stream.id) == 0) {
			start = s->streams[i].start;
		}
	}
	log_warn("the collector holds less than we thought; going back",
		 "lane=%s watermark=%llu start=%llu",
		 lane_name(s->info.lane),
		 (unsigned long long)nak.stream.received,
		 (unsigned long long)start);
	if (s->info.lane == LANE_FILE) {
		held_raise(&c->sh->elsewhere, &nak.stream);
		lane_abandon_from(s->lane, s, &nak.stream);
		return;
	}
	s->sent = s->acked;
	c->current[s->info.lane] = NULL;
	for (size_t i = 0; i < s->n_streams; i++) {
		struct seg_stream range = s->streams[i];

		if (memcmp(&range.id, &nak.stream.id, sizeof range.id) == 0 &&
		    range.start > nak.stream.received && !waits_before(s, &range)) {
			/* What the other store has of this very segment is
			 * trimmed here as well. */
			range.end = range.held > range.start ? range.held
							     : range.start;
			range.start = nak.stream.received;
			range.h = 0; /* Of bytes that nobody has any more. */
			lane_gap_before(s->lane, s, &range, why_missing(s->lane));
		}
	}
}

static void on_head(struct client *c, struct slice payload)
{
	buf_clear(&c->sh->acked_head);
	if (payload.n > 0 && buf_add_slice(&c->sh->acked_head, payload) != 0) {
		buf_clear(&c->sh->acked_head);
	}
}

static void on_error(struct client *c, struct slice payload)
{
	struct error_msg e;
	char text[256];

	if (error_msg_decode(&e, payload) != 0) {
		protocol_error(c, "error", ERR_MALFORMED);
		return;
	}
	log_error("the collector ends the connection", "code=%u text=%s",
		  e.code, log_quote(text, sizeof text, e.text));
	c->retry_after_ms = e.retry_after_ms;
	/* Fenced: another process has this identity; if both came back at once
	 * they would fence each other for ever. */
	c->patient = e.code == MSG_ERROR_CLONED ||
		     e.code == MSG_ERROR_FENCED ||
		     e.code == MSG_ERROR_REVOKED ||
		     e.code == MSG_ERROR_VERSION;
	snprintf(c->last_error, sizeof c->last_error, "%.*s",
		 SLICE_ARG(slice_head(e.text, sizeof c->last_error - 1)));
	client_end_session(c);
}

void client_message(void *arg, struct link *l, uint8_t type,
		       struct slice payload)
{
	struct client *c = arg;

	(void)l;
	c->heard_ns = sys_mono_ns(c->sh->sys);
	if (c->state == ENDING || c->state == STOPPED) {
		return;
	}
	if (c->state == GREETING && type == MSG_WAIT) {
		log_info("the collector takes this device over from another one; "
			 "waiting",
			 "collector=%s", client_host(c)->name);
		return; /* It was heard: client_tick() goes on waiting. */
	}
	if (c->state != WELCOME && type != MSG_WELCOME && type != MSG_ERROR) {
		protocol_error(c, "before the welcome", ERR_PROTOCOL);
		return;
	}
	switch (type) {
	case MSG_WELCOME:
		on_welcome(c, payload);
		break;
	case MSG_ACK:
		on_ack(c, payload);
		break;
	case MSG_NAK:
		on_nak(c, payload);
		break;
	case MSG_HEAD:
		on_head(c, payload);
		break;
	case MSG_ERROR:
		on_error(c, payload);
		break;
	case MSG_LADDER:
		break; /* Not asked for in this version. */
	default:
		protocol_error(c, "unknown type", ERR_PROTOCOL);
	}
}
