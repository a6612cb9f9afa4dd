#include "parsers/share.h"

#include <stdlib.h>

#include "common/err.h"
#include "parsers/share_impl.h"

enum {
	FEW = 4,                 /* lines that can be a fall ... */
	ALIKE = 16,              /* ... when only a name is like that of their program */
	TRIES = 4,               /* lines of an unknown kind that are tried at first, ... */
	RETRY = 128,          /* ... and one of so many later, for what is seldom */
	HEADER_LOOK = 96,        /* where a header can be */
};

int shares_new(struct shares **out)
{
	*out = calloc(1, sizeof **out);
	return *out == NULL ? UV_ENOMEM : 0;
}

void shares_free(struct shares *s)
{
	free(s);
}

/* ---- who ---- */

/* Digits become one '#', so that yesterday's file is today's source; what a rotation
 * appends goes. */
static void normal_path(struct slice path, char out[static 96])
{
	size_t n = 0;

	for (size_t i = 0; i < path.n && n < 95; i++) {
		char c = is_digit(path.p[i]) ? '#' : path.p[i];

		if ((unsigned char)c < ' ' || c == '\x7f') {
			c = '?';
		}
		if (c != '#' || n == 0 || out[n - 1] != '#') {
			out[n++] = c;
		}
	}
	while (n > 2 && out[n - 1] == '#' && (out[n - 2] == '.' || out[n - 2] == '-')) {
		n -= 2;
	}
	out[n] = '\0';
}

int shares_source(struct shares *s, struct slice path)
{
	char name[96];

	normal_path(path, name);
	for (unsigned i = 0; i < s->n_sources; i++) {
		if (strcmp(s->sources[i].path, name) == 0) {
			return (int)i;
		}
	}
	if (s->n_sources == SHARE_SOURCES) {
		return -1;
	}
	memcpy(s->sources[s->n_sources].path, name, sizeof name);
	return (int)s->n_sources++;
}

struct share *share_find(struct shares *s, unsigned source, struct slice name)
{
	for (unsigned i = 0; i < s->n_entries; i++) {
		struct share *e = &s->entries[i];

		if (e->source == source && slice_eq(share_name(e), name)) {
			return e;
		}
	}
	return NULL;
}

struct share *share_add(struct shares *s, unsigned source, struct slice name,
			 family_fn *family)
{
	struct share *e;

	if (s->n_entries == SHARE_ENTRIES || name.n >= SHARE_NAME) {
		return NULL;
	}
	e = &s->entries[s->n_entries++];
	*e = (struct share){.source = (uint8_t)source, .name_n = (uint8_t)name.n,
			    .family = family};
	memcpy(e->name, name.p == NULL ? "" : name.p, name.n);
	e->head.any = name.n == 0;
	if (name.n == 0) {
		s->own[source] = e;
	}
	return e;
}

/* With the first known program of a source the source itself is counted. */
static struct share *program_share(struct shares *s, unsigned source,
				   struct slice name, family_fn *family)
{
	struct share *e = share_find(s, source, name);

	if (e == NULL && s->own[source] == NULL &&
	    share_add(s, source, SLICE_NONE, NULL) == NULL) {
		return NULL;
	}
	e = e != NULL ? e : share_add(s, source, name, family);
	if (e != NULL) {
		e->family = family;
	}
	return e;
}

/* ---- whose ---- */

static bool word_byte(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (unsigned char)c >= 0x80;
}

/* Does the name stand in s as headers have it: a word, with something other than a blank
 * behind it? */
static bool names(struct slice s, struct slice name)
{
	for (;;) {
		size_t at = slice_find(s, name);

		if (at == SIZE_MAX || at + name.n >= s.n) {
			return false;
		}
		if ((at == 0 || !word_byte(s.p[at - 1])) &&
		    !word_byte(s.p[at + name.n]) && s.p[at + name.n] != ' ' &&
		    s.p[at + name.n] != '.' && s.p[at + name.n] != ',') {
			return true;
		}
		s = slice_skip(s, at + 1);
	}
}

static struct share *by_name(struct shares *s, unsigned source, struct slice head)
{
	for (unsigned i = 0; i < s->n_entries; i++) {
		struct share *e = &s->entries[i];

		if (e->source == source && e->name_n > 0 && share_established(e) &&
		    names(head, share_name(e))) {
			return e;
		}
	}
	return NULL;
}

static bool reads(struct shares *s, const struct share *e, const struct share_line *l,
		  struct slice message)
{
	struct header_more more = {.module = SLICE_NONE};
	struct header h = *l->h;
	struct event event;
	struct context c = {.m = message, .h = &h, .more = &more, .e = &event,
			    .slots = &s->trial, .now_s = l->now_ns / 1000000000,
			    .times = 1, .scratch = s->scratch};

	event_reset(&event);
	h.message = message;
	return message.n > 0 && e->family(&c);
}

/* The program of the source whose parser understands the text, or NULL. */
static struct share *by_content(struct shares *s, unsigned source,
				const struct share_line *l, struct slice message)
{
	for (unsigned i = 0; i < s->n_entries; i++) {
		struct share *e = &s->entries[i];

		if (e->source == source && e->family != NULL && share_established(e) &&
		    reads(s, e, l, message)) {
			return e;
		}
	}
	return NULL;
}

/* Behind the first few ": " of a line, since no more of its header is known. */
static struct share *by_rest(struct shares *s, unsigned source,
			     const struct share_line *l)
{
	struct slice rest = l->line, word;
	struct share *e = by_content(s, source, l, rest);

	for (int i = 0; i < 8 && e == NULL && take_until(&rest, ' ', &word); i++) {
		skip_blanks(&rest);
		if (i > 0) {
			e = by_content(s, source, l, rest);
		}
	}
	return e;
}

static void keep_name(struct share *e, struct slice name)
{
	size_t n = 0;

	for (; n < name.n && n < SHARE_NAME - 1; n++) {
		char c = name.p[n];

		e->name_new[n] = is_digit(c) ? '0' : word_byte(c) || c == '-' || c == '_' ||
				 c == '.' || c == '/' ? c : '?';
	}
	e->name_new[n] = '\0';
}

/* "sshd-auth" and "cronie" are like "sshd" and "CRON". */
static bool alike(struct slice name, struct slice known)
{
	size_t at = slice_find(name, known);

	if (known.n >= 4 && slice_eq_nocase(slice_head(name, known.n), known)) {
		return true;
	}
	return at != SIZE_MAX && (at == 0 || !word_byte(name.p[at - 1])) &&
	       (at + known.n == name.n || !word_byte(name.p[at + known.n]));
}

static struct share *by_likeness(struct shares *s, unsigned source, struct slice name)
{
	for (unsigned i = 0; i < s->n_entries; i++) {
		struct share *e = &s->entries[i];

		if (e->source == source && e->name_n > 0 && share_established(e) &&
		    alike(name, share_name(e))) {
			return e;
		}
	}
	return NULL;
}

static struct settled *settled_at(struct shares *s, uint32_t key)
{
	struct settled *set = &s->settled[key % SETTLED / WAYS * WAYS];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key) {
			return &set[i];
		}
	}
	set += key / SETTLED % WAYS;
	*set = (struct settled){key, 0, true};
	return set;
}

/* Is it worth to look at a line of this kind? */
static bool worth(struct settled *at)
{
	if (at->tries == UINT8_MAX) {
		at->tries = UINT8_MAX - RETRY;
	}
	at->tries++;
	return at->tries <= TRIES || at->tries % RETRY == 0;
}

/* Lines of a program that is none of ours, although PAM's are understood. */
static struct share *other_program(struct shares *s, struct share *own,
				   const struct share_line *l)
{
	uint32_t key = (uint32_t)(slot_key(own->source + 1u, l->h->program) >> 32);
	struct settled *at = settled_at(s, key);
	bool look = worth(at);
	struct share *e = NULL, *like = NULL;
	bool sure;

	if (look || at->alike) {
		like = by_likeness(s, own->source, l->h->program);
		at->alike = like != NULL;
	}
	if (!l->understood && (look || like != NULL)) {
		e = by_content(s, own->source, l, l->h->message);
	}
	if (e == NULL && like == NULL) {
		own->head.good++;
		return look ? NULL : own;
	}
	sure = e != NULL || share_example_address(l->line);
	e = e != NULL ? e : like;
	at->tries = 0;
	keep_name(e, l->h->program);
	share_bad(s, e, l, SHARE_NAME_NEW, sure ? FEW : ALIKE);
	return NULL;
}

/* Lines without a program's name, not understood. */
static void no_program(struct shares *s, struct share *own, const struct share_line *l)
{
	uint32_t key = share_example_begins(l->line) ^ (own->source + 1u) << 12;
	struct settled *at = settled_at(s, key);
	struct share *e = NULL;

	if (worth(at)) {
		e = by_name(s, own->source, slice_head(l->line, HEADER_LOOK));
		e = e != NULL ? e : by_rest(s, own->source, l);
	}
	if (e != NULL) {
		at->tries = 0;
		share_bad(s, e, l, SHARE_HEADER, FEW);
	} else {
		share_unread(s, own, l);
	}
}

static struct share *known_program(struct shares *s, unsigned source, struct slice name,
				   const struct share_line *l)
{
	struct share *e = l->share != NULL ? l->share
					   : program_share(s, source, name, l->family);

	if (e == NULL) {
		return NULL;
	}
	if (l->understood) {
		e->head.good++;
	} else {
		share_bad(s, e, l, SHARE_WORDING, FEW);
	}
	return e;
}

struct share *shares_line(struct shares *s, int source, const struct share_line *l)
{
	struct share *own = source < 0 ? NULL : s->own[source];

	/* Continuation lines are no lines of their own. */
	if (source < 0 || l->line.n == 0 || l->line.p[0] == ' ' || l->line.p[0] == '\t') {
		return NULL;
	}
	if (l->family != NULL) {
		return known_program(s, (unsigned)source,
				     l->form != NULL ? slice_str(l->form) : l->h->program, l);
	}
	if (own == NULL) {
		return NULL;
	}
	if (l->h->program.n > 0) {
		return other_program(s, own, l);
	}
	if (l->understood) {
		own->head.good++;
	} else {
		no_program(s, own, l);
	}
	return NULL;
}
