/* sshd and sshd-session.
 *
 * Source: OpenSSH 9.2p1 auth.c (auth_log, auth_maxtries_exceeded, allowed_user,
 * auth_root_allowed, getpwnamallow), auth2.c, auth2-pubkey.c, auth-pam.c,
 * packet.c (sshpkt_vfatal, ssh_packet_disconnect, ssh_packet_read_poll2), kex.c,
 * canohost.c, session.c, sshd.c; their earlier forms from 5.0 on ("Illegal
 * user", "ssh1", lines without ports), and sshd-session.c, sshd-auth.c and srclimit.c of 9.8
 * to 10.0 ("drop connection", penalties).
 *
 * The client chooses the user name, its disconnect message, its offers, and for
 * hostbased its own user and host.  They are logged between fixed words, so a
 * line is read from both ends, and the address is that of the last " from ".  But the ID of a
 * certificate, which the client may have signed itself, stands behind that: see in_doubt().
 */
#include "parsers/family.h"
#include "parsers/sshd.h"

/* "ADDRESS port N ssh2: extra" behind a " from ".  want_port: only with one. */
static bool tail_fits(struct slice t, bool want_port, struct ssh_origin *o)
{
	*o = (struct ssh_origin){.user = SLICE_NONE};
	if (t.n == 0 || t.p[0] == ' ') {
		return false;
	}
	take_word(&t, &o->address);
	if (TAKE(&t, "port ")) {
		if (!take_digits(&t, &o->port)) {
			return false;
		}
		TAKE(&t, " ");
	} else if (want_port) {
		return false;
	}
	if (TAKE(&t, "ssh2") || TAKE(&t, "ssh1")) {
		if (TAKE(&t, ": ")) {
			o->extra = t;
			return true;
		}
	}
	return t.n == 0;
}

#if defined(__SSE2__)

/* last_from(), 16 places where it may begin at a time, as long as there are so
 * many; *n is then the end of what is left. */
static inline size_t last_from_16(const char *p, size_t *n)
{
	const __m128i blank = _mm_set1_epi8(' '), f = _mm_set1_epi8('f');

	for (; *n >= 16 + 5; *n -= 16) {
		const char *at = p + *n - 16 - 5;
		unsigned mask = (unsigned)_mm_movemask_epi8(_mm_and_si128(
			_mm_and_si128(
				_mm_cmpeq_epi8(_mm_loadu_si128((const void *)at), blank),
				_mm_cmpeq_epi8(_mm_loadu_si128((const void *)(at + 1)), f)),
			_mm_cmpeq_epi8(_mm_loadu_si128((const void *)(at + 5)), blank)));

		while (mask != 0) {
			unsigned i = 31u - (unsigned)__builtin_clz(mask);

			if (memcmp(at + i + 1, "from", 4) == 0) {
				return (size_t)(at + i - p);
			}
			mask &= ~(1u << i);
		}
	}
	return SIZE_MAX;
}

#endif

/* Where " from " stands last in the first n bytes, or SIZE_MAX. */
static size_t last_from(const char *p, size_t n)
{
#if defined(__SSE2__)
	size_t found = last_from_16(p, &n);

	if (found != SIZE_MAX) {
		return found;
	}
#endif
	for (; n >= 6; n--) {
		if (memcmp(p + n - 6, " from ", 6) == 0) {
			return n - 6;
		}
	}
	return SIZE_MAX;
}

bool ssh_take_from(struct slice m, struct ssh_origin *o)
{
	for (int want_port = 1; want_port >= 0; want_port--) {
		size_t at = last_from(m.p, m.n);

		while (at != SIZE_MAX) {
			if (tail_fits(slice_skip(m, at + 6), want_port, o)) {
				o->user = slice_head(m, at);
				return true;
			}
			/* The next one may share its blank with this one. */
			at = last_from(m.p, at + 1);
		}
	}
	return false;
}

void ssh_set_origin(struct context *c, const struct ssh_origin *o)
{
	set_source(c, o->address);
	if (o->port.n > 0) {
		set_port(c, o->port);
	}
}

static void keep(struct context *c)
{
	if (c->slot != NULL) {
		slot_keep(c->slot, c->e);
	}
}

/* "invalid user " or, before OpenSSH 3.9, "illegal user " in front of a name. */
static bool take_invalid(struct slice *user)
{
	return TAKE(user, "invalid user ") || TAKE(user, "illegal user ");
}

static void set_method(struct context *c, struct slice method)
{
	struct slice base;

	if (!take_until(&method, '/', &base)) {
		base = method;
	}
	event_set(c->e, FIELD_AUTH_METHOD, base);
}

/* "RSA SHA256:..." or "RSA-CERT SHA256:... ID name (serial 0) CA RSA SHA256:..." */
static void set_key(struct context *c, struct slice extra)
{
	struct slice type, fingerprint;

	if (take_word(&extra, &type) && take_word(&extra, &fingerprint)) {
		event_set(c->e, FIELD_KEY_TYPE, type);
		event_set(c->e, FIELD_KEY_FINGERPRINT, fingerprint);
	}
}

/* Whether what was taken for the end of the line may be part of a certificate's ID: something
 * in front of it is an end as well, behind which a certificate begins.  Which of the two the
 * daemon wrote nobody can tell, since the name in front of them is the client's too; nor need
 * the certificate's own end be there, as long lines are cut. */
static bool in_doubt(struct slice m, const struct ssh_origin *found)
{
	size_t at = last_from(m.p, found->user.n + 1);
	struct ssh_origin o;
	struct slice type;

	for (; at != SIZE_MAX; at = last_from(m.p, at + 1)) {
		if (tail_fits(slice_skip(m, at + 6), true, &o) &&
		    take_word(&o.extra, &type) &&
		    slice_find(type, SLICE_LIT("-CERT")) != SIZE_MAX) {
			return true;
		}
	}
	return false;
}

/* METHOD for [invalid user ]USER from ADDRESS port N ssh2[: extra]; of what is in doubt
 * nothing is kept but "invalid user ". */
static bool take_method(struct context *c, struct slice *m,
			struct slice *method, struct ssh_origin *o)
{
	size_t hostbased;

	if (!take_word(m, method) || !TAKE(m, "for ")) {
		return false;
	}
	if (IS(*method, "hostbased")) {
		/* Its extra ends in two names of the client's choice. */
		hostbased = slice_rfind(*m, SLICE_LIT(", client user \""));
		*m = slice_head(*m, hostbased);
	}
	if (!ssh_take_from(*m, o)) {
		return false;
	}
	set_method(c, *method);
	if ((IS(*method, "publickey") || IS(*method, "hostbased")) && in_doubt(*m, o)) {
		take_invalid(m);
		*o = (struct ssh_origin){.user = slice_head(o->user, (size_t)(m->p - o->user.p))};
		if (c->slot != NULL) {
			slot_give(c->slot, c->e);
		}
		return true;
	}
	ssh_set_origin(c, o);
	if (IS(*method, "publickey") && o->extra.n > 0) {
		set_key(c, o->extra);
	}
	return true;
}

/* Whose name is in doubt stays the one that an earlier line gave. */
static void name_user(struct context *c, const struct ssh_origin *o)
{
	if (o->address.n > 0) {
		set_user(c, o->user);
	}
}

/* Not so where the line's origin is in doubt and no earlier one of the connection named it: a
 * failure would then count for nobody, and the line that brings the address tells it. */
static bool origin_known(const struct context *c, const struct ssh_origin *o)
{
	return o->address.n > 0 || (c->slot != NULL && c->slot->address_n > 0);
}

static bool accepted(struct context *c, struct slice m)
{
	struct ssh_origin o;
	struct slice method;

	SAY(c, "authentication", "start", "ssh_login");
	if (!take_method(c, &m, &method, &o)) {
		return false;
	}
	name_user(c, &o);
	say_success(c);
	keep(c);
	return true;
}

static bool failed(struct context *c, struct slice m)
{
	struct ssh_origin o;
	struct slice method;
	bool invalid;

	SAY(c, "authentication", "start", "ssh_login");
	if (!take_method(c, &m, &method, &o)) {
		return false;
	}
	invalid = take_invalid(&o.user);
	name_user(c, &o);
	if (invalid) {
		SET(c, EVENT_REASON, "invalid user");
	}
	if (!origin_known(c, &o)) {
		say_pending(c);
	} else if (IS(method, "publickey") || IS(method, "none")) {
		/* A client offers one key after the other: the offers are one
		 * attempt, and whether it failed is known at its end. */
		if (invalid || IS(method, "none")) {
			say_failure(c, COUNT_FLOOR, 1);
		} else {
			say_pending(c);
		}
	} else if (HAS(method, "keyboard-interactive")) {
		say_failure(c, COUNT_KBD, 1);
	} else {
		say_failure(c, COUNT_DAEMON, 1);
	}
	keep(c);
	return true;
}

/* The dialogue goes on, or another method has to follow. */
static bool postponed(struct context *c, struct slice m)
{
	struct ssh_origin o;
	struct slice method;

	SAY(c, "authentication", "info", "ssh_login");
	if (!take_method(c, &m, &method, &o)) {
		return false;
	}
	if (take_invalid(&o.user)) {
		SET(c, EVENT_REASON, "invalid user");
		name_user(c, &o);
		if (origin_known(c, &o)) {
			say_failure(c, COUNT_FLOOR, 1);
		} else {
			say_pending(c);
		}
	} else {
		name_user(c, &o);
		say_pending(c);
	}
	keep(c);
	return true;
}

static bool invalid_user(struct context *c, struct slice m)
{
	struct ssh_origin o;

	/* With an empty name the blank in front of "from" is the only one. */
	SAY(c, "authentication", "start", "ssh_login");
	if (!ssh_take_from(m, &o) || o.extra.n > 0) {
		return false;
	}
	set_user(c, o.user);
	ssh_set_origin(c, &o);
	SET(c, EVENT_REASON, "invalid user");
	say_failure(c, COUNT_FLOOR, 1);
	keep(c);
	return true;
}

/* A failure whose line names no address: it counts here if an earlier line
 * named one, and else at the line that will. */
static void failure_if_known(struct context *c)
{
	if (c->slot != NULL && c->slot->address_n > 0) {
		slot_give(c->slot, c->e);
		say_failure(c, COUNT_FLOOR, 1);
	} else {
		say_pending(c);
	}
}

/* "USER[ from HOST] not allowed because REASON" */
static bool not_allowed(struct context *c, struct slice m)
{
	struct slice who, host, user;

	if (!take_before(&m, SLICE_LIT(" not allowed because "), &who)) {
		return false;
	}
	SAY(c, "authentication", "start", "ssh_login");
	event_set(c->e, FIELD_EVENT_REASON, m);
	host = who;
	if (take_before_last(&host, SLICE_LIT(" from "), &user)) {
		set_user(c, user);
		set_source(c, host);
		say_failure(c, COUNT_FLOOR, 1);
	} else {
		set_user(c, who);
		failure_if_known(c);
	}
	keep(c);
	return true;
}

/* "PAM: MESSAGE for [illegal user ]USER from HOST[ via LOCAL]" */
static bool pam_error(struct context *c, struct slice m)
{
	static const struct slice odd =
		TEXT("Have exhausted maximum number of retries for service.");
	struct slice reason, user, host;
	size_t at;

	m = slice_trim(m);
	at = slice_find(slice_skip(m, slice_starts(m, odd) ? odd.n : 0),
			SLICE_LIT(" for "));
	if (at == SIZE_MAX) {
		return false;
	}
	at += slice_starts(m, odd) ? odd.n : 0;
	reason = slice_head(m, at);
	host = slice_skip(m, at + 5);
	if (!take_before_last(&host, SLICE_LIT(" from "), &user)) {
		return false;
	}
	SAY(c, "authentication", "start", "ssh_login");
	SET(c, AUTH_METHOD, "keyboard-interactive");
	event_set(c->e, FIELD_EVENT_REASON, reason);
	take_invalid(&user);
	set_user(c, user);
	take_word(&host, &m);
	set_source(c, m);
	say_failure(c, COUNT_KBD_ERROR, 1);
	keep(c);
	return true;
}

static bool max_attempts(struct context *c, struct slice m)
{
	struct ssh_origin o;

	if (!ssh_take_from(m, &o)) {
		return false;
	}
	SAY(c, "authentication", "end", "ssh_login");
	SET(c, EVENT_REASON, "maximum authentication attempts exceeded");
	take_invalid(&o.user);
	set_user(c, o.user);
	ssh_set_origin(c, &o);
	say_failure(c, COUNT_FLOOR, 1);
	keep(c);
	return true;
}

static bool root_refused(struct context *c, struct slice m)
{
	struct slice address, port;

	if (!take_word(&m, &address)) {
		return false;
	}
	SAY(c, "authentication", "start", "ssh_login");
	SET(c, EVENT_REASON, "root login refused");
	set_user(c, SLICE_LIT("root"));
	set_source(c, address);
	if (TAKE(&m, "port ") && take_digits(&m, &port)) {
		set_port(c, port);
	}
	say_failure(c, COUNT_FLOOR, 1);
	keep(c);
	return true;
}

/* "Access denied for user USER by PAM account configuration" */
static bool account_denied(struct context *c, struct slice m)
{
	if (!TAKE_END(&m, " by PAM account configuration")) {
		return false;
	}
	SAY(c, "authentication", "start", "ssh_login");
	SET(c, EVENT_REASON, "denied by PAM account configuration");
	set_user(c, m);
	failure_if_known(c);
	keep(c);
	return true;
}

/* "input_userauth_request: invalid user NAME": the daemon's second word on what
 * "Invalid user NAME from ..." said. */
static bool invalid_again(struct context *c, struct slice m)
{
	SAY(c, "authentication", "info", "ssh_login");
	SET(c, EVENT_REASON, "invalid user");
	set_user(c, m);
	c->e->outcome = OUTCOME_UNKNOWN;
	if (c->slot != NULL && (c->slot->flags & SLOT_REPORTED) == 0) {
		say_pending(c);
	}
	return true;
}

/* "NAME has expired", "NAME password has expired (root forced)": of /etc/shadow. */
static bool expired(struct context *c, struct slice m, struct slice tail)
{
	size_t at = slice_rfind(m, tail);

	if (at == SIZE_MAX || (at + tail.n != m.n && !ENDS(m, ")"))) {
		return false;
	}
	SAY(c, "authentication", "start", "ssh_login");
	SET(c, EVENT_REASON, "expired");
	set_user(c, slice_head(m, at));
	failure_if_known(c);
	keep(c);
	return true;
}

static bool authentication_line(struct context *c, struct slice m)
{
	if (TAKE(&m, "Access denied for user ")) {
		return account_denied(c, m);
	}
	return TAKE(&m, "Account ") && expired(c, m, SLICE_LIT(" has expired"));
}

static bool dispatch(struct context *c, struct slice m, bool preauth)
{
	switch (m.n == 0 ? '\0' : m.p[0]) {
	case 'F':
		if (TAKE(&m, "Failed ")) {
			return failed(c, m);
		}
		break;
	case 'A':
		if (TAKE(&m, "Accepted ")) {
			return HAS(m, "certificate ID ") || HAS(m, "key ")
				       ? ssh_key_found(c)
				       : accepted(c, m);
		}
		__attribute__((fallthrough));
	case 'W':
		if (authentication_line(c, m)) {
			return true;
		}
		break;
	case 'I':
		if (TAKE(&m, "Invalid user ") || TAKE(&m, "Illegal user ")) {
			return invalid_user(c, m);
		}
		break;
	case 'U':
		if (!HAS(m, "User child is on pid ") && TAKE(&m, "User ")) {
			return not_allowed(c, m) ||
			       expired(c, m, SLICE_LIT(" password has expired ("));
		}
		break;
	case 'P':
		if (TAKE(&m, "PAM: ")) {
			return pam_error(c, m);
		}
		if (TAKE(&m, "Postponed ") || TAKE(&m, "Partial ")) {
			return postponed(c, m);
		}
		break;
	case 'R':
		if (TAKE(&m, "ROOT LOGIN REFUSED FROM ")) {
			return root_refused(c, m);
		}
		break;
	case 'i':
		if (TAKE(&m, "input_userauth_request: invalid user ")) {
			return invalid_again(c, m);
		}
		break;
	case 'm':
		if (TAKE(&m, "maximum authentication attempts exceeded for ")) {
			return max_attempts(c, m);
		}
		break;
	default:
		break;
	}
	return ssh_connection_line(c, m, preauth) || ssh_key_line(c, m);
}

bool family_sshd(struct context *c)
{
	struct slice m = c->m;
	bool preauth;

	if (pam_likely(c) && pam_message(c, SLOTS_SSHD)) {
		return true;
	}
	ctx_slot(c, SLOTS_SSHD);
	preauth = TAKE_END(&m, " [preauth]");
	if (m.n > 7 && m.p[5] == ':') {
		TAKE(&m, "error: ");
		TAKE(&m, "fatal: ");
	}
	return dispatch(c, m, preauth);
}
