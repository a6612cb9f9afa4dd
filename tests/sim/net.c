#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/limits.h"
#include "tests/sim/internal.h"

/* A link is two ends that point to each other.  Each end belongs to a node and
 * dies with it; its peer hears of that after a delay, or not at all. */
struct message {
	struct message *next;
	uint8_t type;
	size_t n;
	char p[];
};

struct sim_link {
	struct link link; /* first: calls cast back */
	struct sim_link *next;
	struct world *w;
	struct node *node;
	struct sim_link *peer; /* NULL: gone */
	const struct link_cbs *cbs;
	struct link_peer who; /* at the other end */
	struct message *first, **last; /* on their way here, in order */
	size_t queued;
	unsigned held;  /* of them are due and held up by a partition */
	bool drained;   /* on_drain is owed */
	bool ended;     /* on_close ran, or the node died: nothing more */
	bool closing;
	int64_t last_ns; /* arrival of the last message sent: order is kept */
};

struct sim_net {
	struct net net; /* first */
	struct sim_net *next;
	struct node *from, *to;
	struct link_peer from_peer, to_peer;
};

static const int64_t ms = 1000000;
static const int64_t second = INT64_C(1000000000);

static int64_t delay(struct world *w)
{
	int64_t most = w->network.delay_ns;

	return ms / 10 + (int64_t)world_rnd(w, (uint64_t)(most > 0 ? most
								   : 3 * ms));
}

static void drop_messages(struct sim_link *l)
{
	while (l->first != NULL) {
		struct message *m = l->first;

		l->first = m->next;
		free(m);
	}
	l->last = &l->first;
	l->held = 0;
}

static void end(struct sim_link *l, int status, const char *why)
{
	if (l->ended) {
		return;
	}
	l->ended = true;
	if (l->peer != NULL) {
		l->peer->peer = NULL;
		l->peer = NULL;
	}
	drop_messages(l);
	l->cbs->on_close(l->link.arg, &l->link, status, why);
}

static void on_reset(void *arg)
{
	end(arg, UV_ECONNRESET, "the connection was reset");
}

static void on_shut(void *arg)
{
	end(arg, 0, "closed");
}

/* ---- messages ---- */

static bool is_cut_off(const struct sim_link *l)
{
	return l->node->isolated || (l->peer != NULL && l->peer->node->isolated);
}

static void take_next(struct sim_link *l)
{
	struct message *m = l->first;

	l->first = m->next;
	if (l->first == NULL) {
		l->last = &l->first;
	}
	if (l->peer != NULL) {
		l->peer->queued -= m->n;
	}
	if (!l->closing) {
		l->cbs->on_message(l->link.arg, &l->link, m->type,
				   slice(m->p, m->n));
	}
	free(m);
}

static void release(void *arg)
{
	struct sim_link *l = arg;

	if (is_cut_off(l)) {
		world_at(l->w, l->node, l->w->now_ns + 100 * ms, release, l,
			 NULL);
		return;
	}
	while (l->held > 0 && !l->ended && !l->node->dying) {
		l->held--;
		take_next(l);
	}
}

static void arrive(void *arg)
{
	struct sim_link *l = arg;

	if (l->ended || l->first == NULL) {
		return;
	}
	if (l->held > 0 || is_cut_off(l)) {
		if (l->held++ == 0) {
			world_at(l->w, l->node, l->w->now_ns + 100 * ms,
				 release, l, NULL);
		}
		return;
	}
	take_next(l);
}

static void drained(void *arg)
{
	struct sim_link *l = arg;

	l->drained = false;
	if (!l->ended && !l->closing && l->cbs->on_drain != NULL) {
		l->cbs->on_drain(l->link.arg, &l->link);
	}
}

/* The ends part: this one hears of it at once, the other one when everything on
 * its way there has arrived; by then there may be another link. */
static void reset(struct sim_link *l)
{
	struct sim_link *far = l->peer;
	int64_t late = l->last_ns > l->w->now_ns ? l->last_ns : l->w->now_ns;

	if (far == NULL) {
		return;
	}
	far->peer = NULL;
	l->peer = NULL;
	world_at(l->w, l->node, l->w->now_ns + ms, on_reset, l, NULL);
	world_at(l->w, far->node, late + (int64_t)world_rnd(l->w, 2000) * ms,
		 on_reset, far, NULL);
}

/* Neither end hears anything until both give up. */
static void half_open(struct sim_link *l)
{
	struct sim_link *far = l->peer;

	if (far == NULL) {
		return;
	}
	far->peer = l->peer = NULL;
	world_at(l->w, l->node,
		 l->w->now_ns + (int64_t)(20 + world_rnd(l->w, 120)) * second,
		 on_reset, l, NULL);
	world_at(l->w, far->node,
		 l->w->now_ns + (int64_t)(20 + world_rnd(l->w, 120)) * second,
		 on_reset, far, NULL);
}

static struct message *new_message(uint8_t type, const struct slice *parts,
				   size_t n, size_t total)
{
	struct message *m = malloc(sizeof *m + total);
	size_t at = 0;

	if (m == NULL) {
		abort();
	}
	m->next = NULL;
	m->type = type;
	m->n = total;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n > 0) {
			memcpy(m->p + at, parts[i].p, parts[i].n);
		}
		at += parts[i].n;
	}
	return m;
}

static void trace_message(struct world *w, const struct message *m)
{
	sim_trace(w, m->type);
	for (size_t i = 0; i + 8 <= m->n; i += 8) {
		uint64_t v;

		memcpy(&v, m->p + i, sizeof v);
		sim_trace(w, v);
	}
}

static int op_send(struct link *link, uint8_t type, const struct slice *parts,
		   size_t n)
{
	struct sim_link *l = (struct sim_link *)link;
	struct world *w = l->w;
	struct message *m;
	size_t total = 0;

	if (!sim_call(l->node)) {
		return UV_ECANCELED;
	}
	if (l->ended || l->closing) {
		return ERR_CLOSED;
	}
	for (size_t i = 0; i < n; i++) {
		total += parts[i].n;
	}
	if (total > LIMIT_FRAME) {
		return ERR_TOO_LARGE;
	}
	m = new_message(type, parts, n, total);
	trace_message(w, m);
	if (w->watch != NULL) {
		w->watch(w->watch_arg, l->node, type, slice(m->p, m->n));
	}
	if (l->peer == NULL) {
		free(m);
		return 0; /* Into the void, as TCP would. */
	}
	l->queued += total;
	l->last_ns = (l->last_ns > w->now_ns ? l->last_ns : w->now_ns) +
		     delay(w);
	*l->peer->last = m;
	l->peer->last = &m->next;
	world_at(w, l->peer->node, l->last_ns, arrive, l->peer, NULL);
	if (!l->drained) {
		l->drained = true;
		world_at(w, l->node, l->last_ns, drained, l, NULL);
	}
	if (w->network.reset_ppm > 0 &&
	    world_rnd(w, 1000000) < w->network.reset_ppm) {
		reset(l);
	}
	return 0;
}

static size_t op_queued(const struct link *link)
{
	return ((const struct sim_link *)link)->queued;
}

static void op_pause(struct link *link, bool pause)
{
	(void)link;
	(void)pause; /* Messages wait in the event list either way. */
}

static void op_close(struct link *link)
{
	struct sim_link *l = (struct sim_link *)link;
	int64_t at = l->last_ns > l->w->now_ns ? l->last_ns : l->w->now_ns;

	if (l->ended || l->closing) {
		return;
	}
	l->closing = true;
	if (l->peer != NULL && !is_cut_off(l)) {
		world_at(l->w, l->peer->node, at + ms, on_shut, l->peer, NULL);
	} else if (l->peer != NULL) {
		/* What it says does not get through. */
		world_at(l->w, l->peer->node, at + 60 * second, on_reset,
			 l->peer, NULL);
	}
	world_at(l->w, l->node, at + ms, on_shut, l, NULL);
}

static const struct link_ops ops = {op_send, op_queued, op_pause, op_close};

/* ---- connecting ---- */

static struct sim_link *new_end(struct world *w, struct node *n,
				const struct link_peer *who)
{
	struct sim_link *l = sim_alloc(sizeof *l);

	l->link.ops = &ops;
	l->w = w;
	l->node = n;
	l->who = *who;
	l->last = &l->first;
	l->next = w->links;
	w->links = l;
	return l;
}

struct dialing {
	struct sim_net *net;
	struct sim_link *l;
};

static void refused(void *arg)
{
	end(arg, UV_ECONNREFUSED, "nobody listens");
}

static void timed_out(void *arg)
{
	end(arg, UV_ETIMEDOUT, "no answer");
}

static void opened(void *arg)
{
	struct sim_link *l = arg;

	if (!l->ended && !l->closing) {
		l->cbs->on_open(l->link.arg, &l->link, &l->who);
	}
}

/* At the node that is dialled. */
static void connect_now(void *arg)
{
	struct dialing *d = arg;
	struct sim_net *net = d->net;
	struct sim_link *near = d->l, *far;

	free(d);
	if (near->ended || near->closing) {
		return;
	}
	far = new_end(net->to->w, net->to, &net->from_peer);
	far->peer = near;
	far->cbs = net->to->accept == NULL
			   ? NULL
			   : net->to->accept(net->to->accept_arg, &far->link,
					     &net->from_peer);
	if (far->cbs == NULL) {
		far->ended = true;
		far->peer = NULL;
		world_at(net->to->w, near->node, net->to->w->now_ns + ms,
			 refused, near, NULL);
		return;
	}
	near->peer = far;
	world_at(net->to->w, near->node, net->to->w->now_ns + ms, opened, near,
		 NULL);
}

static void nobody(void *arg)
{
	struct dialing *d = arg;
	struct sim_link *near = d->l;

	free(d);
	if (!near->ended) {
		world_at(near->w, near->node, near->w->now_ns + ms, refused,
			 near, NULL);
	}
}

static int op_dial(struct net *base, const char *host, uint16_t port,
		   const struct link_cbs *cbs, void *arg, struct link **out)
{
	struct sim_net *net = (struct sim_net *)base;
	struct world *w = net->from->w;
	struct dialing *d;
	struct sim_link *l;

	(void)host;
	(void)port;
	*out = NULL;
	if (!sim_call(net->from)) {
		return UV_ECANCELED;
	}
	l = new_end(w, net->from, &net->to_peer);
	l->cbs = cbs;
	l->link.arg = arg;
	*out = &l->link;
	if (net->from->isolated || net->to->isolated) {
		world_at(w, net->from, w->now_ns + 10 * second, timed_out, l,
			 NULL);
		return 0;
	}
	d = sim_alloc(sizeof *d);
	d->net = net;
	d->l = l;
	world_at(w, net->to->alive ? net->to : NULL, w->now_ns + delay(w),
		 net->to->alive ? connect_now : nobody, d, nobody);
	return 0;
}

static const struct net_ops dialer = {op_dial};

struct net *node_net(struct node *from, struct node *to,
		     const struct link_peer *from_peer,
		     const struct link_peer *to_peer)
{
	struct sim_net *n = sim_alloc(sizeof *n);

	n->net.ops = &dialer;
	n->from = from;
	n->to = to;
	n->from_peer = *from_peer;
	n->to_peer = *to_peer;
	n->next = from->w->nets;
	from->w->nets = n;
	return &n->net;
}

void net_redirect(struct net *n, struct node *to)
{
	((struct sim_net *)n)->to = to;
}

void node_listen(struct node *n,
		 const struct link_cbs *(*accept)(void *arg, struct link *l,
						  const struct link_peer *peer),
		 void *arg)
{
	n->accept = accept;
	n->accept_arg = arg;
}

/* ---- what goes wrong ---- */

void world_set_network(struct world *w, const struct network *n)
{
	w->network = *n;
}

void world_cut_links(struct world *w, bool open)
{
	for (struct sim_link *l = w->links; l != NULL; l = l->next) {
		if (!l->ended && l->peer != NULL) {
			if (open) {
				half_open(l);
			} else {
				reset(l);
			}
		}
	}
}

void node_isolate(struct node *n, bool isolated)
{
	n->isolated = isolated;
}

void world_watch(struct world *w,
		 void (*fn)(void *arg, struct node *from, uint8_t type,
			    struct slice payload),
		 void *arg)
{
	w->watch = fn;
	w->watch_arg = arg;
}

/* Whoever was connected with a killed process hears of it from its kernel; of a
 * machine without power, perhaps not. */
void sim_net_node_died(struct node *n)
{
	for (struct sim_link *l = n->w->links; l != NULL; l = l->next) {
		struct sim_link *far = l->peer;

		if (l->node != n || l->ended) {
			continue;
		}
		l->ended = true;
		drop_messages(l);
		if (far == NULL) {
			continue;
		}
		far->peer = l->peer = NULL;
		if (n->power_cut && world_rnd(n->w, 2) == 0) {
			world_at(n->w, far->node,
				 n->w->now_ns +
					 (int64_t)world_rnd(n->w, 90) * second,
				 on_reset, far, NULL);
		} else {
			world_at(n->w, far->node, n->w->now_ns + 2 * ms,
				 on_reset, far, NULL);
		}
	}
}

void sim_net_free(struct world *w)
{
	while (w->links != NULL) {
		struct sim_link *l = w->links;

		w->links = l->next;
		drop_messages(l);
		free(l);
	}
	while (w->nets != NULL) {
		struct sim_net *n = w->nets;

		w->nets = n->next;
		free(n);
	}
}
