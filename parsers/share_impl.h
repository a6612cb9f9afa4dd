/* share_impl: what the parts of share have in common; nobody else includes it.
 *
 *   share.c        whose a line is
 *   share_fall.c   when the share of what is understood has fallen
 *   share_state.c  what is told and saved of it
 */
#ifndef PARSERS_SHARE_IMPL_H
#define PARSERS_SHARE_IMPL_H

#include "parsers/family.h"
#include "parsers/share.h"
#include "parsers/share_example.h"

enum {
	ESTABLISHED = 20,        /* understood lines before anything can fall */
	GAPS = 64,
	NOISE = 16,
	SETTLED = 1024,          /* kinds of lines, in sets of WAYS */
	WAYS = 4,
	FALLS = 8,
};

struct share {
	struct share_head head; /* the first, for share_short() */
	uint8_t source;
	uint8_t name_n;         /* 0: the source's own */
	bool established;       /* enough was understood; only a memory */
	char name[SHARE_NAME];
	family_fn *family;
	uint32_t good, bad;     /* before the gaps */
	uint32_t usual;         /* lines never understood, see noise */
	/* Of the last lines not understood, how many that were stood before each. */
	uint16_t gap[GAPS];
	uint8_t n_gap, oldest;
	uint32_t stood;         /* the sum of all gaps */
	/* How lines begin that were not understood long ago, and are not news: they
	 * count neither way. */
	uint32_t noise[NOISE], begins[GAPS];
	uint8_t next_noise;
	int64_t bad_s;          /* when and from which process the last one was */
	uint64_t bad_pid;
	uint32_t run;           /* the source's own: in a row; heard: good lines by then */
	uint64_t heard;
	char name_new[SHARE_NAME];
	struct share_example example;
};

struct source {
	char path[96];
};

/* Lines of an unknown program, or without one and with the same first words: tried in
 * vain so often. */
struct settled {
	uint32_t key;
	uint8_t tries;
	bool alike; /* the name is like a known program's */
};

struct shares {
	struct source sources[SHARE_SOURCES];
	unsigned n_sources;
	struct share *own[SHARE_SOURCES]; /* NULL: no known program yet */
	struct share entries[SHARE_ENTRIES];
	unsigned n_entries;
	struct settled settled[SETTLED];
	struct share_fall falls[FALLS];
	unsigned n_falls;
	struct slots trial; /* what families remember of lines that are only tried */
	char scratch[CONTEXT_SCRATCH];
};

static inline struct slice share_name(const struct share *e)
{
	return slice(e->name, e->name_n);
}

/* share.c */
struct share *share_find(struct shares *s, unsigned source, struct slice name);
struct share *share_add(struct shares *s, unsigned source, struct slice name,
			family_fn *family);

/* share_fall.c */
uint32_t share_understood(const struct share *e);
/* Enough was understood that less would be a fall. */
bool share_established(struct share *e);
/* A line of e that was not understood.  least: fewer are no fall. */
void share_bad(struct shares *s, struct share *e, const struct share_line *l,
	       enum share_why why, unsigned least);
/* A line without a header that anything is known of; e is the source's own. */
void share_unread(struct shares *s, struct share *e, const struct share_line *l);

#endif
