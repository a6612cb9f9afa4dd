/* sshd: how connections begin, fail and end.  Sources as in sshd.c.
 *
 * A connection that ends before it has logged in is a failed login if it tried
 * one; then this line counts the attempt unless an earlier one did.
 */
#include "parsers/sshd.h"

static void keep(struct context *c)
{
	if (c->slot != NULL) {
		slot_keep(c->slot, c->e);
	}
}

static bool pending(const struct context *c)
{
	return c->slot != NULL && (c->slot->flags & SLOT_PENDING) != 0;
}

/* "[authenticating user |invalid user |user ][NAME ]ADDRESS[ port N]" */
struct peer {
	enum { PEER_UNNAMED, PEER_AUTHENTICATING, PEER_INVALID, PEER_USER } kind;
	struct slice user, address, port;
};

/* sshd tells a peer's address, never a host's name: a line that was cut has other things in its
 * place, "port" or "22:". */
static inline bool address_like(struct slice a)
{
	if (a.n == 0 || (a.p[a.n - 1] == ':' && !ENDS(a, "::"))) {
		return false;
	}
	return is_digit(a.p[0]) || slice_chr(a, ':') != SIZE_MAX || IS(a, "UNKNOWN");
}

static bool take_peer(struct slice s, struct peer *p)
{
	struct slice t = s;

	*p = (struct peer){PEER_UNNAMED, SLICE_NONE, SLICE_NONE, SLICE_NONE};
	if (take_last_digits(&t, &p->port) && TAKE_END(&t, " port ")) {
		s = t;
	} else {
		p->port = SLICE_NONE;
	}
	if (!take_last(&s, ' ', &p->address)) {
		p->address = s;
		return address_like(s);
	}
	if (!address_like(p->address)) {
		return false;
	}
	/* An empty name leaves nothing between its two blanks. */
	if (TAKE(&s, "authenticating user ")) {
		p->kind = PEER_AUTHENTICATING;
	} else if (TAKE(&s, "invalid user ")) {
		p->kind = PEER_INVALID;
	} else if (TAKE(&s, "user ")) {
		p->kind = PEER_USER;
	} else {
		return false;
	}
	p->user = s;
	return true;
}

static void set_peer(struct context *c, const struct peer *p)
{
	if (p->kind != PEER_UNNAMED) {
		set_user(c, p->user);
	}
	set_source(c, p->address);
	if (p->port.n > 0) {
		set_port(c, p->port);
	}
}

/* The connection is over.  weak: whoever goes without a word about a user was
 * only looking (no failure unless one is pending). */
static bool ended(struct context *c, const struct peer *p, bool preauth)
{
	bool success = c->slot != NULL && (c->slot->flags & SLOT_SUCCESS) != 0;
	bool reported = c->slot != NULL && (c->slot->flags & SLOT_REPORTED) != 0;

	set_peer(c, p);
	if (p->kind == PEER_AUTHENTICATING || p->kind == PEER_INVALID ||
	    pending(c)) {
		SAY(c, "authentication", "end", "ssh_login");
		if (p->kind == PEER_INVALID) {
			SET(c, EVENT_REASON, "invalid user");
		}
		if (c->slot != NULL) {
			slot_give(c->slot, c->e);
		}
		say_failure(c, COUNT_FLOOR, 1);
		return true;
	}
	SAY(c, "network", "end", "ssh_disconnect");
	if (preauth && !success && !reported) {
		/* It spoke SSH and did not get in: a failure, no attempt. */
		c->e->outcome = OUTCOME_FAILURE;
	}
	return true;
}

static bool end_line(struct context *c, struct slice m, bool preauth)
{
	struct peer p;

	return take_peer(m, &p) && ended(c, &p, preauth);
}

/* "ADDRESS port N:CODE: TEXT", before 6.8 "ADDRESS: CODE: TEXT".  The text is
 * the client's. */
static bool received_disconnect(struct context *c, struct slice m, bool preauth)
{
	struct slice address, port = SLICE_NONE, code;

	(void)preauth;
	if (!take_word(&m, &address)) {
		return false;
	}
	if (TAKE(&m, "port ")) {
		if (!take_digits(&m, &port) || !TAKE(&m, ":")) {
			return false;
		}
		TAKE(&m, " ");
	} else if (!TAKE_END(&address, ":")) {
		return false;
	}
	if (!take_digits(&m, &code) || !TAKE(&m, ":")) {
		return false;
	}
	SAY(c, "network", "end", "ssh_disconnect");
	event_set(c->e, FIELD_EVENT_REASON, slice_trim(m));
	set_source(c, address);
	if (port.n > 0) {
		set_port(c, port);
	}
	/* JSch says that it has run out of ways to log in. */
	if (pending(c) || ENDS(m, ": Auth fail")) {
		SET(c, EVENT_CATEGORY, "authentication");
		SET(c, EVENT_ACTION, "ssh_login");
		if (c->slot != NULL) {
			slot_give(c->slot, c->e);
		}
		say_failure(c, COUNT_FLOOR, 1);
	}
	keep(c);
	return true;
}

/* "PEER: Too many authentication failures[ for USER]" */
static bool too_many(struct context *c, struct slice m)
{
	static const struct slice text =
		TEXT(": Too many authentication failures");
	struct slice peer = m, rest;
	size_t at = slice_rfind(m, text);
	struct peer p = {PEER_UNNAMED, SLICE_NONE, SLICE_NONE, SLICE_NONE};

	if (at == SIZE_MAX) {
		return false;
	}
	rest = slice_skip(m, at + text.n);
	peer = slice_head(m, at);
	SAY(c, "authentication", "end", "ssh_login");
	SET(c, EVENT_REASON, "too many authentication failures");
	if (TAKE(&peer, " ") && take_peer(peer, &p)) {
		set_peer(c, &p);
	} else if (TAKE(&rest, " for ")) {
		set_user(c, rest);
	} else if (rest.n > 0) {
		return false;
	}
	if (c->slot != NULL) {
		slot_give(c->slot, c->e);
	}
	if (event_has(c->e, FIELD_SOURCE_IP) ||
	    event_has(c->e, FIELD_SOURCE_ADDRESS)) {
		say_failure(c, COUNT_FLOOR, 1);
	} else {
		say_pending(c);
	}
	return true;
}

/* "PEER: Change of username or service not allowed: (USER,SERVICE) -> (USER,SERVICE)".
 * The name stands in the peer and again behind it: the split is where both
 * agree, looked for from the right. */
static bool change_of_user(struct context *c, struct slice m)
{
	static const struct slice text = TEXT(
		": Change of username or service not allowed: (");
	size_t end = m.n;
	struct peer p;

	while (end > 0) {
		size_t at = slice_rfind(slice_head(m, end), text);
		struct slice rest, peer;
		size_t n;

		if (at == SIZE_MAX) {
			return false;
		}
		peer = slice_head(m, at);
		rest = slice_skip(m, at + text.n);
		end = at + text.n - 1;
		if (!TAKE(&peer, " ") || !take_peer(peer, &p)) {
			continue;
		}
		/* The daemon cuts its message at 100 bytes. */
		n = p.user.n < rest.n ? p.user.n : rest.n;
		if (p.kind == PEER_UNNAMED ||
		    slice_eq(slice_head(p.user, n), slice_head(rest, n))) {
			SET(c, EVENT_REASON, "change of user or service");
			ended(c, &p, true);
			return true;
		}
	}
	return false;
}

static bool disconnecting(struct context *c, struct slice m, bool preauth)
{
	struct slice head;
	struct peer p;

	(void)preauth;
	if (too_many(c, m) || change_of_user(c, m)) {
		return true;
	}
	event_reset(c->e);
	if (take_before_last(&m, SLICE_LIT(": "), &head)) {
		SAY(c, "network", "end", "ssh_disconnect");
		event_set(c->e, FIELD_EVENT_REASON, m);
		if (TAKE(&head, " ") && take_peer(head, &p)) {
			ended(c, &p, true);
		}
		return true;
	}
	/* Without a reason; some builds leave it out. */
	return TAKE(&m, " ") && end_line(c, m, true);
}

/* "ADDRESS port N" at the start of m, followed by `then`. */
static bool take_address(struct slice m, char then, struct context *c)
{
	struct slice address, port;

	if (!take_word(&m, &address)) {
		return false;
	}
	if (TAKE_END(&address, ":") || !TAKE(&m, "port ")) {
		set_source(c, address);
		return address_like(address);
	}
	set_source(c, address);
	if (!take_digits(&m, &port) || (m.n > 0 && m.p[0] != then &&
					m.p[0] != ' ')) {
		return false;
	}
	set_port(c, port);
	return true;
}

/* "Connection from ADDRESS port N[ on ADDRESS port N]": a new connection, and
 * whatever this pid was before is over. */
static bool connection_from(struct context *c, struct slice m, bool preauth)
{
	struct slice rest = m, head;
	struct peer p;

	(void)preauth;
	if (TAKE_END(&rest, " timed out") && take_peer(rest, &p)) {
		return ended(c, &p, true);
	}
	if (take_before_last(&rest, SLICE_LIT(": "), &head) &&
	    take_peer(head, &p)) {
		SAY(c, "network", "end", "ssh_protocol_error");
		event_set(c->e, FIELD_EVENT_REASON, rest);
		set_peer(c, &p);
		return true;
	}
	SAY(c, "network", "start", "ssh_connection");
	if (!take_address(m, ' ', c)) {
		return false;
	}
	if (c->slot != NULL) {
		slot_again(c->slot);
		c->slot->user_n = c->slot->address_n = c->slot->port_n = 0;
		keep(c);
	}
	return true;
}

/* Something that does not speak SSH came by: turned away, no attempt. */
static bool probe(struct context *c, struct slice m, bool preauth)
{
	struct ssh_origin o;

	(void)preauth;
	if (!ssh_take_from(m, &o)) {
		return false;
	}
	SAY(c, "network", "denied", "ssh_probe");
	ssh_set_origin(c, &o);
	c->e->outcome = OUTCOME_FAILURE;
	return true;
}

/* "banner exchange: Connection from ADDRESS port N: invalid format" */
static bool banner(struct context *c, struct slice m, bool preauth)
{
	(void)preauth;
	if (!TAKE(&m, "Connection from ")) {
		return false;
	}
	SAY(c, "network", "denied", "ssh_probe");
	if (ENDS(m, ": invalid format")) {
		c->e->outcome = OUTCOME_FAILURE;
	}
	return take_address(m, ':', c);
}

static bool negotiation(struct context *c, struct slice m, bool preauth)
{
	(void)preauth;
	SAY(c, "network", "denied", "ssh_negotiation");
	if (TAKE(&m, "with ")) {
		return take_address(m, ':', c);
	}
	return HAS(m, "a key exchange method");
}

/* "HOST (ADDRESS)" from the TCP wrappers. */
static bool refused(struct context *c, struct slice m, bool preauth)
{
	struct slice host;

	(void)preauth;
	if (!TAKE_END(&m, ")") ||
	    !take_before_last(&m, SLICE_LIT(" ("), &host)) {
		return false;
	}
	SAY(c, "network", "denied", "ssh_refused");
	set_source(c, m);
	c->e->outcome = OUTCOME_FAILURE;
	return true;
}

static bool timeout(struct context *c, struct slice m, bool preauth)
{
	struct slice address;

	(void)preauth;
	SAY(c, "network", "end", "ssh_timeout");
	if (TAKE(&m, "connection from ")) {
		if (!take_word(&m, &address)) {
			return false;
		}
		set_source(c, address);
	} else if (!take_address(m, ' ', c)) {
		return false;
	}
	if (pending(c)) {
		SET(c, EVENT_CATEGORY, "authentication");
		SET(c, EVENT_ACTION, "ssh_login");
		slot_give(c->slot, c->e);
		say_failure(c, COUNT_FLOOR, 1);
	}
	return true;
}

/* "drop connection #11 from [ADDRESS]:PORT on [ADDRESS]:PORT REASON" */
static bool dropped(struct context *c, struct slice m, bool preauth)
{
	struct slice number, address, port;

	(void)preauth;
	if (!take_digits(&m, &number) || !TAKE(&m, " from [") ||
	    !take_until(&m, ']', &address) || !TAKE(&m, ":") ||
	    !take_digits(&m, &port) || !TAKE(&m, " on ")) {
		return false;
	}
	SAY(c, "network", "denied", "ssh_dropped");
	set_source(c, address);
	set_port(c, port);
	return true;
}

/* "NAME [ADDRESS] failed ..." */
static bool reverse_dns(struct context *c, struct slice m, bool preauth)
{
	struct slice name, address;

	(void)preauth;
	SAY(c, "network", "info", "ssh_reverse_dns");
	if (!take_until(&m, ' ', &name) || !TAKE(&m, "[") ||
	    !take_until(&m, ']', &address) || !HAS(m, " failed")) {
		return false;
	}
	set_source(c, address);
	keep(c);
	return true;
}

/* "ADDRESS maps to NAME, but this does not map back ..." */
static bool address_maps(struct context *c, struct slice m, bool preauth)
{
	struct slice address;

	(void)preauth;
	SAY(c, "network", "info", "ssh_reverse_dns");
	if (!take_word(&m, &address) || !TAKE(&m, "maps to ")) {
		return false;
	}
	set_source(c, address);
	keep(c);
	return true;
}

/* "ipv4: new ADDRESS/32 active penalty of 1.000 seconds for penalty: REASON",
 * "ADDRESS/32: activating ipv4 penalty of ..": of 9.8 and later. */
static bool penalty(struct context *c, struct slice m, bool preauth)
{
	struct slice address, reason = m, head;

	(void)preauth;
	SAY(c, "network", "denied", "ssh_penalty");
	if (TAKE(&m, "ipv4: new ") || TAKE(&m, "ipv6: new ")) {
		SET(c, EVENT_TYPE, "info"); /* "deferred", or a new active one */
	}
	if (!take_until(&m, '/', &address) ||
	    !take_before(&reason, SLICE_LIT(" for penalty: "), &head)) {
		return false;
	}
	set_source(c, address);
	event_set(c->e, FIELD_EVENT_REASON, reason);
	return event_has(c->e, FIELD_SOURCE_IP);
}

/* "from ADDRESS port N with VERSION.  Don't panic." */
static bool scanned(struct context *c, struct slice m, bool preauth)
{
	(void)preauth;
	SAY(c, "network", "denied", "ssh_probe");
	c->e->outcome = OUTCOME_FAILURE;
	return take_address(m, ':', c);
}

/* "ADDRESS" is set up for ADDRESS, ignoring": of the first the name server is the author. */
static bool nasty_record(struct context *c, struct slice m, bool preauth)
{
	struct slice address;

	(void)preauth;
	SAY(c, "network", "info", "ssh_reverse_dns");
	if (!TAKE_END(&m, ", ignoring") || !take_before_last(&m, SLICE_LIT(" "), &address)) {
		return false;
	}
	set_source(c, m);
	keep(c);
	return true;
}

static bool no_identification(struct context *c, struct slice m, bool preauth)
{
	(void)preauth;
	SAY(c, "network", "info", "ssh_no_identification");
	return take_address(m, ' ', c);
}

struct word {
	struct slice head;
	bool (*read)(struct context *c, struct slice m, bool preauth);
};

/* What a line begins with, and who reads the rest; the common ones first. */
static const struct word words[] = {
	{TEXT("Received disconnect from "), received_disconnect},
	{TEXT("Connection closed by "), end_line},
	{TEXT("Disconnected from "), end_line},
	{TEXT("Connection from "), connection_from},
	{TEXT("Connection reset by "), end_line},
	{TEXT("Disconnecting"), disconnecting},
	{TEXT("reverse mapping checking getaddrinfo for "), reverse_dns},
	{TEXT("Address "), address_maps},
	{TEXT("Did not receive identification string from "), no_identification},
	{TEXT("Unable to negotiate "), negotiation},
	{TEXT("Bad protocol version identification "), probe},
	{TEXT("Magic value check failed "), probe},
	{TEXT("banner exchange: "), banner},
	{TEXT("refused connect from "), refused},
	{TEXT("Timeout before authentication for "), timeout},
	{TEXT("drop connection #"), dropped},
	{TEXT("ssh_dispatch_run_fatal: Connection from "), connection_from},
};

/* Apart: compilers unroll the loop over those above. */
static const struct word rare_words[] = {
	{TEXT("srclimit_penalise: "), penalty},
	{TEXT("scanned from "), scanned},
	{TEXT("probed from "), scanned},
	{TEXT("Protocol major versions differ for "), scanned},
	{TEXT("Closing connection to "), end_line},
	{TEXT("Timeout, client not responding from "), end_line},
	{TEXT("terminating inactive connection from "), end_line},
	{TEXT("Finished discarding for "), end_line},
	{TEXT("Username too long from "), scanned},
	{TEXT("Nasty PTR record \""), nasty_record},
};

bool ssh_connection_line(struct context *c, struct slice m, bool preauth)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (m.n > 0 && m.p[0] == words[i].head.p[0] &&
		    slice_starts(m, words[i].head)) {
			return words[i].read(c, slice_skip(m, words[i].head.n),
					     preauth);
		}
	}
	for (size_t i = 0; i < sizeof rare_words / sizeof *rare_words; i++) {
		if (slice_starts(m, rare_words[i].head)) {
			m = slice_skip(m, rare_words[i].head.n);
			return rare_words[i].read(c, m, preauth);
		}
	}
	return ssh_daemon_line(c, m);
}
