/* client_impl: private to client.c (the session), client_send.c (segments and batches),
 * client_receive.c (what the collector says) and client_heads.c (signed heads). */
#ifndef SHIPPER_CLIENT_IMPL_H
#define SHIPPER_CLIENT_IMPL_H

#include "shipper/collectors.h"
#include "shipper/lane.h"

enum state { WAITING, DIALING, GREETING, WELCOME, ENDING, STOPPED };

struct client {
	struct shipper *sh;
	enum state state;
	struct link *link; /* NULL when none */
	struct sys_timer *timer;
	unsigned failures; /* in a row */
	bool steady;       /* the session that ends had lasted */
	bool leaving;      /* we end the session, to dial anew at once */
	struct collectors collectors;
	int64_t stay_ns;   /* at another than the preferred one; 0: for ever */
	struct buf told;   /* the streams of our hello, encoded */
	bool patient;      /* the collector told us to stay away for long */
	uint32_t retry_after_ms;
	int64_t state_ns;  /* monotonic: when the state began */
	int64_t heard_ns, headed_ns;
	int64_t lost_ns;   /* since when there is no welcome */
	struct seg *current[LANE_NR]; /* announced last, in each lane */
	struct buf scratch;
	char last_error[160];
	uint64_t connects;
};

void client_enter(struct client *c, enum state state);
/* The session is over for us: nothing is taken from its link any more. */
void client_end_session(struct client *c);
/* A welcome: how long to stay here. */
void client_at_home(struct client *c);
/* link_cbs.on_message */
void client_message(void *arg, struct link *l, uint8_t type,
		    struct slice payload);

/* Which collector this is about. */
const struct hostport *client_host(const struct client *c);

/* Errors as link_send()'s. */
int client_send(struct client *c, uint8_t type, struct slice payload);

/* Sends the head of s as it was sent so far; what fails is logged. */
void client_head(struct client *c, const struct seg *s, enum head_state state);
/* Heads that are due by now. */
void client_heads(struct client *c, int64_t now_ns);

#endif
