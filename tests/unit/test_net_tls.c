/* Unit tests of wire/net_tls.h over loopback: a collector's listener and a
 * device's link in one loop, and everything that may stand at either end
 * instead.  Each test ends with the loop closed and empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "tests/support/identities.h"
#include "wire/net_tls.h"
#include "wire/tls.h"

enum { CLIENT, SERVER, MESSAGE_KEPT = 64 };

/* One end of a link and what was heard there. */
struct end {
	struct fixture *f;
	struct link *link; /* NULL after on_close */
	int opened, drained, closed;
	int status;
	char why[600];
	size_t messages, bytes;
	uint8_t type;
	char last[MESSAGE_KEPT];
	bool inside;      /* a call of link_*() or net_*() is under way */
	bool many;        /* links overlap: only the last one is known */
	bool echo;        /* send back what comes */
	size_t pause_at;  /* stop reading after so many messages */
	bool close_on_open, close_on_message;
	uint64_t slow_ns; /* what a message costs here */
};

struct fixture {
	uv_loop_t loop;
	struct identities ids;
	struct identity *device, *collector;
	struct net_tls *client, *server;
	struct net_tls_listener *listener;
	struct net_tls_limits limits;
	struct end end[2];
	int accepted;
	bool refuse;
	char peer_name[130], peer_address[80];
	char logged[512];
	uv_timer_t guard;
	/* A bare TCP peer, for what is not TLS. */
	uv_tcp_t raw;
	uv_tcp_t raw_listener;
	uv_connect_t connect;
	uv_write_t write;
	const char *raw_says;
	size_t raw_says_n;
	size_t raw_heard;
	bool raw_open, raw_ended;
	struct tls *raw_tls; /* it speaks TLS and then says raw_says */
	bool raw_said;
};

static void on_log(void *arg, enum log_level level, struct slice line)
{
	struct fixture *f = arg;

	(void)level;
	snprintf(f->logged, sizeof f->logged, "%.*s", SLICE_ARG(line));
}

/* ---- callbacks of links ---- */

static void on_open(void *arg, struct link *l, const struct link_peer *peer)
{
	struct end *e = arg;

	assert_false(e->inside);
	assert_ptr_equal(l, e->link);
	e->opened++;
	snprintf(e->f->peer_name, sizeof e->f->peer_name, "%s", peer->name);
	if (e->close_on_open) {
		link_close(l);
	}
}

static void on_message(void *arg, struct link *l, uint8_t type,
		       struct slice payload)
{
	struct end *e = arg;
	size_t n = payload.n < MESSAGE_KEPT ? payload.n : MESSAGE_KEPT;

	assert_false(e->inside);
	e->messages++;
	for (uint64_t t = uv_hrtime(); uv_hrtime() - t < e->slow_ns;) {
	}
	e->bytes += payload.n;
	e->type = type;
	if (n > 0) {
		memcpy(e->last, payload.p, n);
	}
	if (e->echo) {
		assert_int_equal(link_send(l, type, &payload, 1), 0);
	}
	if (e->pause_at != 0 && e->messages == e->pause_at) {
		link_pause(l, true);
	}
	if (e->close_on_message) {
		link_close(l);
	}
}

static void on_drain(void *arg, struct link *l)
{
	struct end *e = arg;

	(void)l;
	assert_false(e->inside);
	e->drained++;
}

static void on_close(void *arg, struct link *l, int status, const char *why)
{
	struct end *e = arg;

	assert_false(e->inside);
	assert_true(l == e->link || e->many);
	e->closed++;
	e->status = status;
	snprintf(e->why, sizeof e->why, "%s", why);
	if (l == e->link) {
		e->link = NULL;
	}
}

static const struct link_cbs cbs = {on_open, on_message, on_drain, on_close};

static const struct link_cbs *on_accept(void *arg, struct link *l,
					const struct link_peer *peer)
{
	struct fixture *f = arg;
	struct end *e = &f->end[SERVER];

	f->accepted++;
	snprintf(f->peer_name, sizeof f->peer_name, "%s", peer->name);
	snprintf(f->peer_address, sizeof f->peer_address, "%s", peer->address);
	assert_int_equal(peer->spki.n, 91);
	if (f->refuse) {
		return NULL;
	}
	e->link = l;
	l->arg = e;
	return &cbs;
}

/* ---- the fixture ---- */

static void on_guard(uv_timer_t *t)
{
	(void)t;
	fail_msg("the test hangs");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	uv_timer_init(&f->loop, &f->guard);
	uv_timer_start(&f->guard, on_guard, 60000, 0);
	uv_unref((uv_handle_t *)&f->guard);
	log_set_sink(on_log, f);
	identities_open(&f->ids);
	f->device = identities_device(&f->ids, "gw-1");
	f->collector = identities_collector(&f->ids, "127.0.0.1");
	f->limits = (struct net_tls_limits){
		.max_links = 10, .max_handshakes = 4, .max_per_address = 10,
		.handshake_timeout_ms = 300, .idle_timeout_ms = 0,
	};
	f->end[CLIENT].f = f->end[SERVER].f = f;
	*state = f;
	return 0;
}

static void run(struct fixture *f)
{
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	net_tls_listener_close(f->listener);
	for (int i = 0; i < 2; i++) {
		if (f->end[i].link != NULL) {
			link_close(f->end[i].link);
		}
	}
	uv_close((uv_handle_t *)&f->guard, NULL);
	run(f);
	assert_null(f->end[CLIENT].link);
	assert_null(f->end[SERVER].link);
	net_tls_free(f->client);
	net_tls_free(f->server);
	assert_int_equal(uv_loop_close(&f->loop), 0); /* Nothing leaked. */
	identity_free(f->device);
	identity_free(f->collector);
	identities_close(&f->ids);
	log_set_sink(NULL, NULL);
	free(f);
	return 0;
}

static void nets(struct fixture *f)
{
	assert_int_equal(net_tls_new(&f->client, &f->loop, f->device), 0);
	assert_int_equal(net_tls_new(&f->server, &f->loop, f->collector), 0);
}

static void listen_on(struct fixture *f, const char *address)
{
	assert_int_equal(net_tls_listen(&f->listener, f->server, address, 0, -1,
					&f->limits, on_accept, f),
			 0);
}

static void dial_port(struct fixture *f, const char *host, uint16_t port)
{
	struct end *e = &f->end[CLIENT];

	e->inside = true;
	assert_int_equal(net_dial(net_tls_net(f->client), host, port, &cbs, e,
				  &e->link),
			 0);
	e->inside = false;
}

static void dial(struct fixture *f, const char *host)
{
	dial_port(f, host, net_tls_listener_port(f->listener));
}

/* Turns the loop until *count has reached n. */
static void until(struct fixture *f, const int *count, int n)
{
	while (*count < n) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
}

static void until_size(struct fixture *f, const size_t *count, size_t n)
{
	while (*count < n) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
}

static void connect_both(struct fixture *f)
{
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "127.0.0.1");
	until(f, &f->end[CLIENT].opened, 1);
	until(f, &f->accepted, 1);
}

static int send_text(struct end *e, uint8_t type, const char *text)
{
	const struct slice s = slice_str(text);
	int rc;

	e->inside = true;
	rc = link_send(e->link, type, &s, 1);
	e->inside = false;
	return rc;
}

static void close_end(struct fixture *f, int which)
{
	struct end *e = &f->end[which];

	e->inside = true;
	link_close(e->link);
	e->inside = false;
	until(f, &e->closed, 1);
}

/* The client is refused and told why. */
static void assert_client_fails(struct fixture *f, int status,
				const char *needle)
{
	until(f, &f->end[CLIENT].closed, 1);
	if (f->end[CLIENT].status != status ||
	    strstr(f->end[CLIENT].why, needle) == NULL) {
		fail_msg("status %d (wanted %d): %s (wanted \"%s\")",
			 f->end[CLIENT].status, status, f->end[CLIENT].why,
			 needle);
	}
}

static void assert_logged(struct fixture *f, const char *needle)
{
	while (f->logged[0] == '\0') {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	if (strstr(f->logged, needle) == NULL) {
		fail_msg("logged: %s (wanted \"%s\")", f->logged, needle);
	}
}

/* ---- what works ---- */

static void messages_pass_both_ways_in_order(void **state)
{
	struct fixture *f = *state;
	struct end *c = &f->end[CLIENT], *s = &f->end[SERVER];
	const struct slice parts[] = {SLICE_LIT("two "), SLICE_LIT("parts")};

	connect_both(f);
	assert_string_equal(f->peer_name, "gw-1");
	assert_memory_equal(f->peer_address, "127.0.0.1:", 10);
	s->echo = true;
	assert_int_equal(send_text(c, 1, "hello"), 0);
	assert_int_equal(send_text(c, 2, ""), 0);
	assert_int_equal(link_send(c->link, 255, parts, 2), 0);
	assert_true(link_queued(c->link) > 0);
	until_size(f, &c->messages, 3);
	assert_int_equal(s->messages, 3);
	assert_int_equal(s->type, 255);
	assert_memory_equal(c->last, "two parts", 9);
	assert_int_equal(c->bytes, 14);
	assert_int_equal(link_queued(c->link), 0);
	assert_true(c->drained > 0);
	close_end(f, CLIENT);
	assert_int_equal(c->status, 0);
	until(f, &s->closed, 1);
	assert_int_equal(s->status, 0);
	assert_string_equal(s->why, "closed by the device");
}

/*
 * Stands before the C library's, for libuv as well: a bare system has no
 * /etc/hosts, and what its name server says of localhost is not ours to test.
 */
int getaddrinfo(const char *restrict node, const char *restrict service,
		const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	int rc;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	rc = real(node, service, hints, out);
	if (rc != 0 && node != NULL && strcmp(node, "localhost") == 0) {
		rc = real("127.0.0.1", service, hints, out);
	}
	return rc;
}

static void a_name_is_looked_up_and_verified(void **state)
{
	struct fixture *f = *state;

	identity_free(f->collector);
	f->collector = identities_collector(&f->ids, "localhost");
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "localhost");
	until(f, &f->end[CLIENT].opened, 1);
	assert_string_equal(f->peer_name, "localhost");
	until(f, &f->accepted, 1);
}

static void ipv6_works_where_there_is_some(void **state)
{
	struct fixture *f = *state;

	identity_free(f->collector);
	f->collector = identities_collector(&f->ids, "::1");
	nets(f);
	if (net_tls_listen(&f->listener, f->server, "::1", 0, -1, &f->limits,
			   on_accept, f) != 0) {
		print_message("no IPv6 on this machine\n");
		skip();
	}
	dial(f, "::1");
	until(f, &f->end[CLIENT].opened, 1);
	until(f, &f->accepted, 1);
	assert_memory_equal(f->peer_address, "[::1]:", 6);
}

static void sixty_four_mebibytes_pass_each_way(void **state)
{
	enum { PIECE = 1024 * 1024, PIECES = 64 };
	struct fixture *f = *state;
	struct end *c = &f->end[CLIENT], *s = &f->end[SERVER];
	char *piece = calloc(1, PIECE);
	struct slice part = slice(piece, PIECE);
	int left[2] = {PIECES, PIECES};

	assert_non_null(piece);
	connect_both(f);
	while (s->messages < PIECES || c->messages < PIECES) {
		for (int i = 0; i < 2; i++) {
			int rc = 0;

			while (left[i] > 0 && rc == 0) {
				rc = link_send(f->end[i].link, 4, &part, 1);
				left[i] -= rc == 0;
			}
			assert_true(rc == 0 || rc == ERR_AGAIN);
			assert_true(link_queued(f->end[i].link) <=
				    NET_TLS_QUEUE);
		}
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	assert_int_equal(c->bytes, (size_t)PIECE * PIECES);
	assert_int_equal(s->bytes, (size_t)PIECE * PIECES);
	assert_true(c->drained > 0);
	free(piece);
}

struct turns {
	struct end *at;
	size_t seen, most;
};

static void on_other_work(uv_timer_t *t)
{
	struct turns *turns = t->data;
	size_t n = turns->at->messages - turns->seen;

	turns->most = n > turns->most ? n : turns->most;
	turns->seen += n;
}

/* 64 KiB may hold thousands of messages that each cost a millisecond. */
static void a_peer_whose_messages_are_dear_leaves_others_their_turn(
	void **state)
{
	enum { MESSAGES = 600 };
	struct fixture *f = *state;
	struct turns turns = {.at = &f->end[SERVER]};
	struct slice part = SLICE_LIT("a question of a few bytes");
	uv_timer_t other;

	connect_both(f);
	f->end[SERVER].slow_ns = 1000000;
	uv_timer_init(&f->loop, &other);
	other.data = &turns;
	uv_timer_start(&other, on_other_work, 1, 1);
	for (int i = 0; i < MESSAGES; i++) {
		assert_int_equal(link_send(f->end[CLIENT].link, 1, &part, 1),
				 0);
	}
	until_size(f, &f->end[SERVER].messages, MESSAGES);
	assert_in_range(turns.most, 1, 100);
	uv_close((uv_handle_t *)&other, NULL);
	close_end(f, CLIENT);
}

static void the_largest_message_passes_and_a_larger_one_is_not_queued(
	void **state)
{
	struct fixture *f = *state;
	struct end *c = &f->end[CLIENT];
	char *big = calloc(1, LIMIT_FRAME + 1);
	struct slice part = slice(big, LIMIT_FRAME + 1);
	struct slice two[] = {slice(big, LIMIT_FRAME), slice(big, 1)};

	assert_non_null(big);
	connect_both(f);
	assert_int_equal(link_send(c->link, 4, &part, 1), ERR_TOO_LARGE);
	assert_int_equal(link_send(c->link, 4, two, 2), ERR_TOO_LARGE);
	assert_int_equal(link_queued(c->link), 0);
	part.n = LIMIT_FRAME;
	assert_int_equal(link_send(c->link, 4, &part, 1), 0);
	until_size(f, &f->end[SERVER].messages, 1);
	assert_int_equal(f->end[SERVER].bytes, LIMIT_FRAME);
	free(big);
}

static void a_paused_end_gets_nothing_and_then_everything(void **state)
{
	struct fixture *f = *state;
	struct end *c = &f->end[CLIENT], *s = &f->end[SERVER];
	char *piece = calloc(1, 100000);
	struct slice part = slice(piece, 100000);
	size_t sent = 0;

	assert_non_null(piece);
	connect_both(f);
	s->pause_at = 2;
	/* More than the kernel's buffers hold: the queue fills up. */
	while (link_send(c->link, 4, &part, 1) == 0) {
		sent++;
		uv_run(&f->loop, UV_RUN_NOWAIT);
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_true(sent < 10000);
	}
	for (int i = 0; i < 50; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(s->messages, 2);
	assert_true(link_queued(c->link) > NET_TLS_LOW);
	s->inside = true;
	link_pause(s->link, false);
	s->inside = false;
	until_size(f, &s->messages, sent);
	free(piece);
}

static void what_was_queued_arrives_before_the_end(void **state)
{
	struct fixture *f = *state;
	struct end *c = &f->end[CLIENT], *s = &f->end[SERVER];
	char *piece = calloc(1, LIMIT_FRAME);
	struct slice part = slice(piece, LIMIT_FRAME);

	assert_non_null(piece);
	connect_both(f);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(link_send(c->link, 4, &part, 1), 0);
	}
	close_end(f, CLIENT);
	until(f, &s->closed, 1);
	assert_int_equal(s->messages, 3);
	assert_int_equal(s->status, 0);
	free(piece);
}

static void a_renewed_identity_serves_from_now_on(void **state)
{
	struct fixture *f = *state;
	struct identity *next;

	connect_both(f);
	next = identities_collector(&f->ids, "127.0.0.1");
	assert_int_equal(net_tls_set_identity(f->server, next), 0);
	identity_free(next);
	/* The old link goes on, */
	assert_int_equal(send_text(&f->end[CLIENT], 1, "still"), 0);
	until_size(f, &f->end[SERVER].messages, 1);
	close_end(f, CLIENT);
	until(f, &f->end[SERVER].closed, 1);
	/* and a new one has the new certificate. */
	dial(f, "127.0.0.1");
	until(f, &f->end[CLIENT].opened, 2);
	until(f, &f->accepted, 2);
}

/* ---- closing in each state ---- */

static void a_link_can_be_closed_in_each_state(void **state)
{
	struct fixture *f = *state;
	struct end *c = &f->end[CLIENT];

	f->end[SERVER].many = true;
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "localhost"); /* Resolving. */
	close_end(f, CLIENT);
	*c = (struct end){.f = f};
	dial(f, "127.0.0.1"); /* Connecting. */
	close_end(f, CLIENT);
	for (int turns = 1; turns < 12; turns++) {
		*c = (struct end){.f = f};
		dial(f, "127.0.0.1");
		for (int i = 0; i < turns; i++) {
			uv_run(&f->loop, UV_RUN_NOWAIT);
		}
		if (c->link != NULL) {
			close_end(f, CLIENT);
		}
		assert_int_equal(c->closed, 1);
		assert_int_equal(c->status, 0);
	}
}

static void a_link_can_be_closed_from_its_callbacks(void **state)
{
	struct fixture *f = *state;

	nets(f);
	listen_on(f, "127.0.0.1");
	f->end[CLIENT].close_on_open = true;
	dial(f, "127.0.0.1");
	until(f, &f->end[CLIENT].closed, 1);
	assert_int_equal(f->end[CLIENT].status, 0);
	until(f, &f->end[SERVER].closed, 1);
	f->end[CLIENT] = f->end[SERVER] = (struct end){.f = f};
	f->end[SERVER].close_on_message = true;
	dial(f, "127.0.0.1");
	until(f, &f->end[CLIENT].opened, 1);
	assert_int_equal(send_text(&f->end[CLIENT], 1, "a"), 0);
	assert_int_equal(send_text(&f->end[CLIENT], 1, "b"), 0);
	until(f, &f->end[SERVER].closed, 1);
	assert_int_equal(f->end[SERVER].messages, 1);
	until(f, &f->end[CLIENT].closed, 1);
}

static void nothing_can_be_sent_on_a_closing_link(void **state)
{
	struct fixture *f = *state;
	struct end *c = &f->end[CLIENT];

	connect_both(f);
	link_close(c->link);
	link_close(c->link);
	assert_int_equal(send_text(c, 1, "late"), ERR_CLOSED);
	until(f, &c->closed, 1);
	until(f, &f->end[SERVER].closed, 1);
	assert_int_equal(c->closed, 1);
}

/* ---- who is refused ---- */

static void another_authority_is_refused_by_the_client(void **state)
{
	struct fixture *f = *state;

	f->ids.pki.force = true;
	assert_int_equal(pki_authority(&f->ids.pki), 0);
	identity_free(f->collector);
	f->collector = identities_collector(&f->ids, "127.0.0.1");
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "127.0.0.1");
	assert_client_fails(f, ERR_CERTIFICATE, "not issued by our authority");
	assert_int_equal(f->end[CLIENT].opened, 0);
	assert_logged(f, "does not know our authority");
	assert_int_equal(f->accepted, 0);
}

/* A device whose certificate is another authority's and that believes ours. */
static void another_authority_is_refused_by_the_collector(void **state)
{
	struct fixture *f = *state;
	struct identities other;
	char why[IDENTITY_WHY], ca[PKI_PATH];
	struct identity *mixed;

	identities_open(&other);
	identity_free(identities_device(&other, "gw-1"));
	/* A chain file may hold several authorities: a client that trusts
	 * both, with a certificate of the one that the collector doesn't. */
	snprintf(ca, sizeof ca, "cat %s/authority.crt >> %s/authority.crt",
		 f->ids.dir, other.dir);
	assert_int_equal(system(ca), 0);
	assert_int_equal(identities_load(&other, &mixed, "gw-1.crt",
					 "gw-1.key", "authority.crt", why),
			 0);
	identity_free(f->device);
	f->device = mixed;
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "127.0.0.1");
	assert_client_fails(f, ERR_CERTIFICATE, "refused us");
	assert_logged(f, "not issued by our authority");
	assert_int_equal(f->accepted, 0);
	identities_close(&other);
}

static void another_name_is_refused(void **state)
{
	struct fixture *f = *state;

	identity_free(f->collector);
	f->collector = identities_collector(&f->ids, "logs.example.net");
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "127.0.0.1");
	assert_client_fails(f, ERR_CERTIFICATE,
			    "is for logs.example.net, not for 127.0.0.1");
}

static void an_expired_collector_is_refused(void **state)
{
	struct fixture *f = *state;

	identity_free(f->collector);
	f->ids.shift_ms = -400 * INT64_C(86400000);
	assert_int_equal(pki_authority(&f->ids.pki), 0);
	f->collector = identities_collector(&f->ids, "127.0.0.1");
	f->ids.shift_ms = 0;
	identity_free(f->device);
	f->device = identities_device(&f->ids, "gw-2");
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "127.0.0.1");
	assert_client_fails(f, ERR_CERTIFICATE, "expired on 20");
	assert_non_null(strstr(f->end[CLIENT].why, "clock says"));
}

static void a_collector_from_the_future_is_refused(void **state)
{
	struct fixture *f = *state;

	identity_free(f->collector);
	f->ids.shift_ms = 10 * INT64_C(86400000);
	f->collector = identities_collector(&f->ids, "127.0.0.1");
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "127.0.0.1");
	assert_client_fails(f, ERR_CERTIFICATE, "not valid before");
}

static void an_expired_device_is_refused_and_told(void **state)
{
	struct fixture *f = *state;

	identity_free(f->device);
	f->ids.shift_ms = -400 * INT64_C(86400000);
	assert_int_equal(pki_authority(&f->ids.pki), 0);
	f->device = identities_device(&f->ids, "gw-2");
	f->ids.shift_ms = 0;
	identity_free(f->collector);
	f->collector = identities_collector(&f->ids, "127.0.0.1");
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "127.0.0.1");
	assert_client_fails(f, ERR_CERTIFICATE, "our certificate");
	assert_logged(f, "expired on");
	assert_int_equal(f->accepted, 0);
}

static void a_device_is_no_collector_and_the_reverse(void **state)
{
	struct fixture *f = *state;
	struct identity *swap = f->device;

	f->device = f->collector;
	f->collector = swap;
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "127.0.0.1");
	assert_client_fails(f, ERR_CERTIFICATE, "");
	assert_int_equal(f->accepted, 0);
}

static void a_peer_that_is_not_wanted_is_closed(void **state)
{
	struct fixture *f = *state;

	f->refuse = true;
	nets(f);
	listen_on(f, "127.0.0.1");
	dial(f, "127.0.0.1");
	assert_client_fails(f, ERR_CLOSED, "refuses this device");
	assert_int_equal(f->end[CLIENT].messages, 0);
}

/* ---- what is not TLS ---- */

static void on_raw_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
	static char room[65536];

	(void)h;
	(void)n;
	*b = uv_buf_init(room, sizeof room);
}

/* Goes on with TLS; when it is open, says what is to be said in it. */
static void raw_tls_step(struct fixture *f)
{
	struct buf *out = tls_output(f->raw_tls);
	uv_buf_t b;

	if (tls_handshake(f->raw_tls) == 0 && !f->raw_said) {
		f->raw_said = true;
		assert_true(tls_write(f->raw_tls, f->raw_says,
				      f->raw_says_n) > 0);
	}
	b = uv_buf_init(out->p, (unsigned)out->n);
	if (out->n > 0) {
		assert_int_equal(uv_try_write((uv_stream_t *)&f->raw, &b, 1),
				 out->n);
		buf_clear(out);
	}
}

static void on_raw_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct fixture *f = s->data;

	if (n > 0 && f->raw_tls != NULL && !f->raw_said) {
		assert_int_equal(
			tls_feed(f->raw_tls, slice(b->base, (size_t)n)), 0);
		raw_tls_step(f);
	}
	if (n > 0) {
		f->raw_heard += (size_t)n;
	} else if (n < 0) {
		f->raw_ended = true;
		f->raw_open = false;
		uv_close((uv_handle_t *)s, NULL);
	}
}

static void raw_say(struct fixture *f)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)f->raw_says,
				 (unsigned)f->raw_says_n);

	f->raw.data = f;
	f->raw_open = true;
	uv_read_start((uv_stream_t *)&f->raw, on_raw_alloc, on_raw_read);
	if (f->raw_tls != NULL) {
		raw_tls_step(f);
	} else if (f->raw_says_n > 0) {
		assert_int_equal(uv_write(&f->write, (uv_stream_t *)&f->raw, &b,
					  1, NULL),
				 0);
	}
}

static void on_raw_connect(uv_connect_t *req, int status)
{
	assert_int_equal(status, 0);
	raw_say(req->data);
}

/* A client that says these bytes to our listener and waits for the end. */
static void raw_client(struct fixture *f, const char *says, size_t n)
{
	struct sockaddr_in to;

	f->raw_says = says;
	f->raw_says_n = n;
	f->raw_ended = false;
	f->raw_heard = 0;
	assert_int_equal(uv_tcp_init(&f->loop, &f->raw), 0);
	uv_ip4_addr("127.0.0.1", net_tls_listener_port(f->listener), &to);
	f->connect.data = f;
	assert_int_equal(uv_tcp_connect(&f->connect, &f->raw,
					(struct sockaddr *)&to,
					on_raw_connect),
			 0);
	while (!f->raw_ended) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
}

static void plaintext_clients_and_garbage_are_refused(void **state)
{
	struct fixture *f = *state;
	static const char http[] = "GET / HTTP/1.1\r\n\r\n";
	static const char garbage[] = "\x16\x03\x01\xff\xffgarbage";
	static const char short_hello[] = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";

	nets(f);
	listen_on(f, "127.0.0.1");
	raw_client(f, http, sizeof http - 1);
	assert_logged(f, "does not speak TLS");
	raw_client(f, garbage, sizeof garbage - 1);
	raw_client(f, short_hello, sizeof short_hello - 1);
	assert_int_equal(f->accepted, 0);
	/* And it still serves. */
	dial(f, "127.0.0.1");
	until(f, &f->end[CLIENT].opened, 1);
	until(f, &f->accepted, 1);
}

/* A device that was once ours and now says these bytes inside TLS. */
static void hostile_device(struct fixture *f, const char *says, size_t n)
{
	struct tls_config *c;

	assert_int_equal(tls_config_new(&c, f->device, false), 0);
	assert_int_equal(tls_new(&f->raw_tls, c, "127.0.0.1"), 0);
	f->raw_said = false;
	raw_client(f, says, n);
	tls_free(f->raw_tls);
	f->raw_tls = NULL;
	tls_config_free(c);
	until(f, &f->end[SERVER].closed, 1);
}

static void a_giant_frame_ends_the_link_before_memory_is_taken(void **state)
{
	struct fixture *f = *state;

	nets(f);
	listen_on(f, "127.0.0.1");
	hostile_device(f, "\xff\xff\xff\xff\x04", 5);
	assert_int_equal(f->end[SERVER].status, ERR_TOO_LARGE);
	assert_non_null(strstr(f->end[SERVER].why, "4294967295 bytes"));
	assert_int_equal(f->end[SERVER].messages, 0);
	f->end[SERVER] = (struct end){.f = f};
	/* One byte over the limit. */
	hostile_device(f, "\x00\x14\x50\x01\x04", 5);
	assert_int_equal(f->end[SERVER].status, ERR_TOO_LARGE);
	assert_non_null(strstr(f->end[SERVER].why, "1331201 bytes"));
}

static void a_silent_client_is_dropped_at_the_timeout(void **state)
{
	struct fixture *f = *state;

	nets(f);
	listen_on(f, "127.0.0.1");
	raw_client(f, "", 0);
	assert_logged(f, "silent");
	assert_int_equal(f->raw_heard, 0);
}

static void on_raw_connection(uv_stream_t *s, int status)
{
	struct fixture *f = s->data;

	assert_int_equal(status, 0);
	assert_int_equal(uv_tcp_init(&f->loop, &f->raw), 0);
	assert_int_equal(uv_accept(s, (uv_stream_t *)&f->raw), 0);
	raw_say(f);
}

/* A server that says these bytes to whoever comes; its port. */
static uint16_t raw_server(struct fixture *f, const char *says, size_t n)
{
	struct sockaddr_in at;
	int len = sizeof at;

	f->raw_says = says;
	f->raw_says_n = n;
	assert_int_equal(uv_tcp_init(&f->loop, &f->raw_listener), 0);
	uv_ip4_addr("127.0.0.1", 0, &at);
	uv_tcp_bind(&f->raw_listener, (struct sockaddr *)&at, 0);
	f->raw_listener.data = f;
	assert_int_equal(uv_listen((uv_stream_t *)&f->raw_listener, 1,
				   on_raw_connection),
			 0);
	uv_tcp_getsockname(&f->raw_listener, (struct sockaddr *)&at, &len);
	return ntohs(at.sin_port);
}

static void raw_server_close(struct fixture *f)
{
	uv_close((uv_handle_t *)&f->raw_listener, NULL);
	if (f->raw_open) {
		uv_close((uv_handle_t *)&f->raw, NULL);
	}
	run(f);
}

static void a_plaintext_server_is_named_as_such(void **state)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2p1\r\n";
	struct fixture *f = *state;

	nets(f);
	dial_port(f, "127.0.0.1", raw_server(f, banner, sizeof banner - 1));
	assert_client_fails(f, ERR_PROTOCOL, "does not speak TLS");
	assert_non_null(strstr(f->end[CLIENT].why, "SSH-2.0-OpenSSH"));
	raw_server_close(f);
}

static void a_refused_connection_says_what_to_look_for(void **state)
{
	struct fixture *f = *state;
	uint16_t port;

	nets(f);
	listen_on(f, "127.0.0.1");
	port = net_tls_listener_port(f->listener);
	net_tls_listener_close(f->listener);
	f->listener = NULL;
	run(f);
	dial_port(f, "127.0.0.1", port);
	assert_client_fails(f, UV_ECONNREFUSED, "is the collector running");
}

static void an_unknown_name_says_so(void **state)
{
	struct fixture *f = *state;

	nets(f);
	dial_port(f, "no-such-host.invalid", 6514);
	until(f, &f->end[CLIENT].closed, 1);
	assert_true(f->end[CLIENT].status < 0);
	assert_non_null(strstr(f->end[CLIENT].why, "no-such-host.invalid"));
}

/* ---- limits ---- */

static void an_idle_link_is_closed_at_the_timeout(void **state)
{
	struct fixture *f = *state;

	f->limits.idle_timeout_ms = 50;
	connect_both(f);
	until(f, &f->end[SERVER].closed, 1);
	assert_int_equal(f->end[SERVER].status, ERR_TIMEOUT);
	until(f, &f->end[CLIENT].closed, 1);
}

static void one_link_too_many_is_refused(void **state)
{
	struct fixture *f = *state;
	struct end first;

	f->limits.max_per_address = 1;
	connect_both(f);
	first = f->end[CLIENT];
	f->end[CLIENT] = (struct end){.f = f};
	dial(f, "127.0.0.1");
	until(f, &f->end[CLIENT].closed, 1);
	assert_true(f->end[CLIENT].status < 0);
	assert_logged(f, "too many links from this address");
	/* The first one's arg is the same place. */
	f->end[CLIENT].link = first.link;
	f->end[CLIENT].closed = 0;
}

static void handshakes_beyond_the_limit_wait_their_turn(void **state)
{
	struct fixture *f = *state;

	f->limits.max_handshakes = 1;
	f->limits.handshake_timeout_ms = 200;
	nets(f);
	listen_on(f, "127.0.0.1");
	/* One that is silent holds the only slot; */
	f->raw_says_n = 0;
	assert_int_equal(uv_tcp_init(&f->loop, &f->raw), 0);
	{
		struct sockaddr_in to;

		uv_ip4_addr("127.0.0.1", net_tls_listener_port(f->listener),
			    &to);
		f->connect.data = f;
		assert_int_equal(uv_tcp_connect(&f->connect, &f->raw,
						(struct sockaddr *)&to,
						on_raw_connect),
				 0);
	}
	while (!f->raw_open) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	uv_run(&f->loop, UV_RUN_NOWAIT);
	/* the next one gets it when that one's time is up. */
	dial(f, "127.0.0.1");
	until(f, &f->end[CLIENT].opened, 1);
	assert_true(f->raw_ended || f->logged[0] != '\0');
	until(f, &f->accepted, 1);
	while (!f->raw_ended) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
}

static void an_address_in_use_is_reported(void **state)
{
	struct fixture *f = *state;
	struct net_tls_listener *second;

	nets(f);
	listen_on(f, "127.0.0.1");
	assert_int_equal(net_tls_listen(&second, f->server, "127.0.0.1",
					net_tls_listener_port(f->listener), -1,
					&f->limits, on_accept, f),
			 UV_EADDRINUSE);
	assert_null(second);
	assert_int_equal(net_tls_listen(&second, f->server, "not an address", 0,
					-1, &f->limits, on_accept, f),
			 UV_EINVAL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(messages_pass_both_ways_in_order),
		T(a_name_is_looked_up_and_verified),
		T(ipv6_works_where_there_is_some),
		T(sixty_four_mebibytes_pass_each_way),
		T(a_peer_whose_messages_are_dear_leaves_others_their_turn),
		T(the_largest_message_passes_and_a_larger_one_is_not_queued),
		T(a_paused_end_gets_nothing_and_then_everything),
		T(what_was_queued_arrives_before_the_end),
		T(a_renewed_identity_serves_from_now_on),
		T(a_link_can_be_closed_in_each_state),
		T(a_link_can_be_closed_from_its_callbacks),
		T(nothing_can_be_sent_on_a_closing_link),
		T(another_authority_is_refused_by_the_client),
		T(another_authority_is_refused_by_the_collector),
		T(another_name_is_refused),
		T(an_expired_collector_is_refused),
		T(a_collector_from_the_future_is_refused),
		T(an_expired_device_is_refused_and_told),
		T(a_device_is_no_collector_and_the_reverse),
		T(a_peer_that_is_not_wanted_is_closed),
		T(plaintext_clients_and_garbage_are_refused),
		T(a_giant_frame_ends_the_link_before_memory_is_taken),
		T(a_silent_client_is_dropped_at_the_timeout),
		T(a_plaintext_server_is_named_as_such),
		T(a_refused_connection_says_what_to_look_for),
		T(an_unknown_name_says_so),
		T(an_idle_link_is_closed_at_the_timeout),
		T(one_link_too_many_is_refused),
		T(handshakes_beyond_the_limit_wait_their_turn),
		T(an_address_in_use_is_reported),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
