#include "common/err.h"
#include "common/log.h"
#include "shipper/client_impl.h"

/* Signed heads: what this device vouches for (delivery.md, rule 18). */
enum {
	HEAD_EVERY_S = 10, /* while there is new data */
	HEARTBEAT_S = 60,  /* while there is none */
};
static const int64_t second = INT64_C(1000000000);

void client_head(struct client *c, const struct seg *s,
		      enum head_state state)
{
	struct head h = {
		.device = c->sh->device,
		.lane = s->info.lane,
		.number = s->info.number,
		.segment = s->info.id,
		.index = s->sent,
		.hash = *seg_hash(s, s->sent),
		.state = state,
		.previous_index = s->previous_index,
		.previous_hash = s->previous_hash,
		.time_ms = sys_wall_ns(c->sh->sys) / 1000000,
	};
	struct buf out;
	int rc;

	buf_init(&out, 4096);
	rc = c->sh->cbs->sign(c->sh->arg, &h, &out);
	if (rc == 0) {
		rc = client_send(c, MSG_HEAD, buf_slice(&out));
	}
	if (rc != 0) {
		log_warn("cannot sign or send the head of a segment",
			 "error=\"%s\"", err_str(rc));
	}
	buf_fini(&out);
	c->headed_ns = sys_mono_ns(c->sh->sys);
}

static bool all_sent(const struct seg *s)
{
	return s->announced && s->n > 0 && s->sent == (int64_t)s->n - 1;
}

void client_closed(struct client *c, struct seg *s)
{
	if (c->state == WELCOME && all_sent(s)) {
		client_head(c, s, HEAD_CLOSED);
		s->headed = s->sent;
	}
}

void client_abandoned(struct client *c, struct seg *s)
{
	if (c->state == WELCOME && s->announced) {
		client_head(c, s, HEAD_ABANDONED);
	}
}

void client_forget(struct client *c, const struct seg *s)
{
	for (int i = 0; i < LANE_NR; i++) {
		if (c->current[i] == s) {
			c->current[i] = NULL;
		}
	}
}

/* The newest segment that the collector knows of, in any lane. */
static struct seg *newest_announced(struct client *c)
{
	struct seg *newest = NULL;

	for (int i = 0; i < QUEUE_NR; i++) {
		for (struct seg *s = c->sh->lanes[i].first; s != NULL;
		     s = s->next) {
			if (s->announced &&
			    (newest == NULL ||
			     s->info.number > newest->info.number)) {
				newest = s;
			}
		}
	}
	return newest;
}

void client_heads(struct client *c, int64_t now_ns)
{
	struct seg *s;

	if (now_ns - c->headed_ns < HEAD_EVERY_S * second) {
		return;
	}
	for (int i = 0; i < LANE_NR; i++) {
		s = c->current[i];
		if (s != NULL && s->sent > s->headed && !s->closed) {
			s->headed = s->sent;
			client_head(c, s, HEAD_OPEN);
		}
	}
	if (now_ns - c->headed_ns >= HEARTBEAT_S * second) {
		s = newest_announced(c);
		if (s != NULL) {
			client_head(c, s, s->closed ? HEAD_CLOSED : HEAD_OPEN);
		} else {
			/* Nothing to vouch for: just a sign of life. */
			client_send(c, MSG_PING, SLICE_NONE);
			c->headed_ns = now_ns;
		}
	}
}
