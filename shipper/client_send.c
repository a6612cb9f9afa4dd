/* What the client sends: segments, announced and in their order, batch by batch. */
#include "common/err.h"
#include "common/log.h"
#include "shipper/client_impl.h"

enum { QUEUE_HIGH = 512 * 1024 }; /* bytes given to the link at most */

/* n bytes are on their way. */
static void count_sent(struct client *c, size_t n)
{
	struct sys *sys = c->sh->sys;

	c->sh->wire_bytes += n;
	pace_sent(&c->sh->pace, n, sys_mono_ns(sys), sys_wall_ns(sys));
}

int client_send(struct client *c, uint8_t type, struct slice payload)
{
	count_sent(c, payload.n + 5);
	return link_send(c->link, type, &payload, 1);
}

static int announce(struct client *c, struct seg *s)
{
	struct segment_msg m = {
		.lane = s->info.lane,
		.after = s->sent,
		.hash = *seg_hash(s, s->sent),
		.header = slice(s->header, s->header_len),
	};
	bool first = !s->announced;
	struct buf out;
	int rc;

	buf_init(&out, LIMIT_SEGMENT_HEADER + 256);
	rc = segment_msg_encode(&m, &out);
	if (rc == 0) {
		rc = client_send(c, MSG_SEGMENT, buf_slice(&out));
	}
	buf_fini(&out);
	if (rc == 0) {
		s->announced = true;
		c->current[s->info.lane] = s;
		if (first) {
			client_head(c, s, HEAD_OPEN);
			s->headed = s->sent;
		}
	}
	return rc;
}

/* A spooled batch can't be read any more: what it held is taken from the source
 * again, or reported as lost. */
static void damaged(struct lane_state *ln, struct seg *s, int rc)
{
	log_error("a spooled segment can't be read back; its lines are read "
		  "from their source again where that is possible",
		  "path=%s error=\"%s\"",
		  s->file.path == NULL ? "" : s->file.path, err_str(rc));
	if (ln->lane == LANE_FILE) {
		lane_abandon_from(ln, s, NULL);
	} else {
		lane_replace(ln, s, "spool-damaged");
	}
}

/* No memory, no descriptor: it will do another time. */
static bool is_passing(int rc)
{
	return rc == UV_ENOMEM || rc == UV_EMFILE || rc == UV_ENFILE ||
	       rc == UV_EAGAIN || rc == UV_EACCES;
}

static int send_batch(struct client *c, struct seg *s)
{
	uint8_t lane = (uint8_t)s->info.lane;
	struct slice parts[2] = {slice(&lane, 1)};
	struct sys *sys = c->sh->sys;
	int rc;

	if (s->info.lane != LANE_ALERT &&
	    pace_ask(&c->sh->pace, s->batches[s->sent + 1].len, sys_mono_ns(sys),
		     sys_wall_ns(sys)) != PACE_GO) {
		return ERR_AGAIN; /* client_tick() looks again. */
	}
	rc = seg_bytes(s, (uint32_t)(s->sent + 1), &c->scratch, &parts[1]);

	if (rc != 0) {
		if (!is_passing(rc)) {
			damaged(s->lane, s, rc);
		}
		return rc;
	}
	rc = link_send(c->link, MSG_SEALED, parts, 2);
	if (rc == 0) {
		s->sent++;
		count_sent(c, parts[1].n + 6);
	}
	return rc;
}

/* true: go on with the next segment. */
static bool pump_seg(struct client *c, struct seg *s)
{
	if (s->n == 0 || s->header == NULL || s->sent == (int64_t)s->n - 1) {
		return true;
	}
	if (c->current[s->info.lane] != s && announce(c, s) != 0) {
		return false;
	}
	while (s->sent < (int64_t)s->n - 1) {
		if (link_queued(c->link) > QUEUE_HIGH ||
		    send_batch(c, s) != 0) {
			return false;
		}
	}
	if (s->closed) {
		client_closed(c, s);
		if (s->batches[s->n - 1].bytes == NULL) {
			spool_file_rest(&s->file, c->sh->sys);
		}
	}
	return true;
}

void client_pump(struct client *c)
{
	if (c->state != WELCOME) {
		return;
	}
	for (int i = 0; i < QUEUE_NR; i++) {
		struct lane_state *ln = &c->sh->lanes[i];

		if (queue_lane((enum queue)i) == LANE_FILE && c->sh->held) {
			continue;
		}
		for (struct seg *s = ln->first, *next; s != NULL; s = next) {
			next = s->next;
			if (lane_waits(ln, s)) {
				break; /* Something has to go before it. */
			}
			if (!pump_seg(c, s)) {
				return;
			}
		}
	}
}
