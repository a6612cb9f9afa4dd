#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/limits.h"
#include "tests/sim/internal.h"

/* A link is two ends that point to each other.  Each end belongs to a node and
 * dies with it; its peer hears of that after a delay. */
struct sim_link {
	struct link link; /* first: calls cast back */
	struct sim_link *next;
	struct world *w;
	struct node *node;
	struct sim_link *peer; /* NULL: gone */
	const struct link_cbs *cbs;
	struct link_peer who; /* at the other end */
	size_t queued;
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

struct message {
	struct sim_link *to;
	struct sim_link *from;
	uint8_t type;
	size_t n;
	char p[];
};

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

static void arrive(void *arg)
{
	struct message *m = arg;
	struct sim_link *to = m->to;

	if (m->from != NULL && !m->from->ended) {
		m->from->queued -= m->n < m->from->queued ? m->n
							  : m->from->queued;
	}
	if (!to->ended && !to->closing) {
		to->cbs->on_message(to->link.arg, &to->link, m->type,
				    slice(m->p, m->n));
	}
	free(m);
}

static void drained(void *arg)
{
	struct sim_link *l = arg;

	l->drained = false;
	if (!l->ended && !l->closing && l->cbs->on_drain != NULL) {
		l->cbs->on_drain(l->link.arg, &l->link);
	}
}

static int op_send(struct link *link, uint8_t type, const struct slice *parts,
		   size_t n)
{
	struct sim_link *l = (struct sim_link *)link;
	struct message *m;
	size_t total = 0, at = 0;

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
	if (l->peer == NULL) {
		return 0; /* Into the void, as TCP would. */
	}
	m = sim_alloc(sizeof *m + total);
	m->to = l->peer;
	m->from = l;
	m->type = type;
	m->n = total;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n > 0) {
			memcpy(m->p + at, parts[i].p, parts[i].n);
		}
		at += parts[i].n;
	}
	l->queued += total;
	l->last_ns = (l->last_ns > l->w->now_ns ? l->last_ns : l->w->now_ns) +
		     ms / 10 + (int64_t)world_rnd(l->w, 3 * ms);
	world_at(l->w, l->peer->node, l->last_ns, arrive, m, free);
	if (!l->drained) {
		l->drained = true;
		world_at(l->w, l->node, l->last_ns, drained, l, NULL);
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
	if (l->peer != NULL) {
		world_at(l->w, l->peer->node, at + ms, on_shut, l->peer, NULL);
	}
	world_at(l->w, l->node, at + ms, on_shut, l, NULL);
}

static const struct link_ops ops = {op_send, op_queued, op_pause, op_close};

static struct sim_link *new_end(struct world *w, struct node *n,
				const struct link_peer *who)
{
	struct sim_link *l = sim_alloc(sizeof *l);

	l->link.ops = &ops;
	l->w = w;
	l->node = n;
	l->who = *who;
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
	struct dialing *d;

	(void)host;
	(void)port;
	*out = NULL;
	if (!sim_call(net->from)) {
		return UV_ECANCELED;
	}
	d = sim_alloc(sizeof *d);
	d->net = net;
	d->l = new_end(net->from->w, net->from, &net->to_peer);
	d->l->cbs = cbs;
	d->l->link.arg = arg;
	*out = &d->l->link;
	world_at(net->from->w, net->to->alive ? net->to : NULL,
		 net->from->w->now_ns + ms,
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

void node_listen(struct node *n,
		 const struct link_cbs *(*accept)(void *arg, struct link *l,
						  const struct link_peer *peer),
		 void *arg)
{
	n->accept = accept;
	n->accept_arg = arg;
}

void world_cut_links(struct world *w)
{
	for (struct sim_link *l = w->links; l != NULL; l = l->next) {
		if (!l->ended && l->peer != NULL) {
			l->peer->peer = NULL;
			world_at(w, l->peer->node, w->now_ns + ms, on_reset,
				 l->peer, NULL);
			world_at(w, l->node, w->now_ns + ms, on_reset, l,
				 NULL);
			l->peer = NULL;
		}
	}
}

void sim_net_node_died(struct node *n)
{
	for (struct sim_link *l = n->w->links; l != NULL; l = l->next) {
		if (l->node == n && !l->ended) {
			l->ended = true;
			if (l->peer != NULL) {
				l->peer->peer = NULL;
				world_at(n->w, l->peer->node,
					 n->w->now_ns + 2 * ms, on_reset,
					 l->peer, NULL);
				l->peer = NULL;
			}
		}
	}
}

void sim_net_free(struct world *w)
{
	while (w->links != NULL) {
		struct sim_link *l = w->links;

		w->links = l->next;
		free(l);
	}
	while (w->nets != NULL) {
		struct sim_net *n = w->nets;

		w->nets = n->next;
		free(n);
	}
}
