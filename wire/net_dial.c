#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "wire/net_tls_priv.h"

/* A look-up outlives the connection that asked for it when it can't be
 * cancelled: then it belongs to itself. */
struct resolving {
	uv_getaddrinfo_t req;
	struct conn *conn; /* NULL: nobody waits any more */
};

void net_address_text(char out[static CONN_ADDRESS],
		      const struct sockaddr_storage *sa, struct ip *ip)
{
	char text[IP_TEXT + 16] = "?";
	int port = 0;

	memset(ip, 0, sizeof *ip);
	if (sa->ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in);
		ip->b[10] = ip->b[11] = 0xff;
		memcpy(ip->b + 12, &in.sin_addr, 4);
		port = ntohs(in.sin_port);
	} else if (sa->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		memcpy(ip->b, &in6.sin6_addr, 16);
		port = ntohs(in6.sin6_port);
	}
	ip_format(text, ip);
	snprintf(out, CONN_ADDRESS, ip_is_v4(ip) ? "%s:%d" : "[%s]:%d", text,
		 port);
}

static void on_connected(uv_connect_t *req, int status)
{
	struct conn *c = req->data;

	if (c->state != CONN_CONNECT || status == UV_ECANCELED) {
		return; /* The socket is being closed; that goes on. */
	}
	if (status == 0) {
		conn_start(c, c->host, NET_TLS_DIAL_MS);
		return;
	}
	c->status = status;
	conn_close_tcp(c); /* Then dial_next(). */
}

/* Nothing has answered; the last reason is the one to tell. */
static void give_up(struct conn *c)
{
	switch (c->status) {
	case UV_ECONNREFUSED:
		conn_end(c, c->status,
			 "%s (%s) refused the connection: is the collector "
			 "running, and does it listen there?",
			 c->host, c->address);
		break;
	case UV_ENETUNREACH:
	case UV_EHOSTUNREACH:
		conn_end(c, c->status,
			 "no route to %s (%s): is this machine's network up?",
			 c->host, c->address);
		break;
	default:
		conn_end(c, c->status, "cannot connect to %s (%s): %s", c->host,
			 c->address, err_str(c->status));
	}
}

void dial_next(struct conn *c)
{
	struct ip ip;
	int rc;

	if (c->next_to == c->n_to) {
		give_up(c);
		return;
	}
	net_address_text(c->address, &c->to[c->next_to], &ip);
	rc = uv_tcp_init(c->net->loop, &c->tcp);
	if (rc != 0) {
		conn_end(c, rc, "cannot make a socket: %s", err_str(rc));
		return;
	}
	conn_own_tcp(c);
	c->connect.data = c;
	rc = uv_tcp_connect(&c->connect, &c->tcp,
			    (struct sockaddr *)&c->to[c->next_to++],
			    on_connected);
	if (rc != 0) {
		c->status = rc;
		conn_close_tcp(c); /* Comes back here. */
	}
}

static void start_connecting(struct conn *c)
{
	c->state = CONN_CONNECT;
	dial_next(c);
}

static void on_resolved(uv_getaddrinfo_t *req, int status,
			struct addrinfo *list)
{
	struct resolving *r = (struct resolving *)req;
	struct conn *c = r->conn;

	free(r);
	if (c == NULL) {
		uv_freeaddrinfo(list);
		return;
	}
	c->resolving = NULL;
	for (const struct addrinfo *a = list;
	     a != NULL && c->n_to < CONN_ADDRESSES; a = a->ai_next) {
		if (a->ai_addrlen <= sizeof c->to[0]) {
			memcpy(&c->to[c->n_to++], a->ai_addr, a->ai_addrlen);
		}
	}
	uv_freeaddrinfo(list);
	if (status != 0 || c->n_to == 0) {
		conn_end(c, status != 0 ? status : UV_EAI_NONAME,
			 "the name %s cannot be resolved (%s): check the "
			 "collector's name and DNS",
			 c->host, err_str(status != 0 ? status : UV_EAI_NONAME));
		return;
	}
	start_connecting(c);
}

static int resolve(struct conn *c)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC,
				       .ai_socktype = SOCK_STREAM};
	char service[8];
	int rc;

	c->resolving = calloc(1, sizeof *c->resolving);
	if (c->resolving == NULL) {
		return UV_ENOMEM;
	}
	c->resolving->conn = c;
	snprintf(service, sizeof service, "%u", c->port);
	rc = uv_getaddrinfo(c->net->loop, &c->resolving->req, on_resolved,
			    c->host, service, &hints);
	if (rc != 0) {
		free(c->resolving);
		c->resolving = NULL;
	}
	return rc;
}

void dial_forget(struct conn *c)
{
	if (c->resolving != NULL) {
		c->resolving->conn = NULL;
		uv_cancel((uv_req_t *)&c->resolving->req);
		c->resolving = NULL;
	}
}

/* An address is no name: it needs no look-up. */
static bool is_address(struct conn *c)
{
	bool is = uv_ip4_addr(c->host, c->port,
			      (struct sockaddr_in *)&c->to[0]) == 0 ||
		  uv_ip6_addr(c->host, c->port,
			      (struct sockaddr_in6 *)&c->to[0]) == 0;

	c->n_to = is;
	return is;
}

int net_tls_dial(struct net *net, const char *host, uint16_t port,
		 const struct link_cbs *cbs, void *arg, struct link **out)
{
	struct conn *c;
	int rc = conn_new(&c, (struct net_tls *)net);

	*out = NULL;
	if (rc != 0) {
		return rc;
	}
	c->host = strdup(host);
	c->port = port;
	c->state = CONN_RESOLVE;
	c->link.arg = arg;
	rc = c->host == NULL ? UV_ENOMEM : 0;
	if (rc == 0 && !is_address(c)) {
		rc = resolve(c);
	}
	if (rc != 0) {
		conn_end(c, rc, "cannot dial"); /* Nobody is told: no cbs. */
		return rc;
	}
	c->cbs = cbs;
	conn_deadline(c, NET_TLS_DIAL_MS);
	if (c->n_to > 0) {
		start_connecting(c);
	}
	*out = &c->link;
	return 0;
}
