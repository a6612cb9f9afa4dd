/* share: how many of a program's lines are understood, and when that falls.
 *
 * A daemon that changes a word, a stamp or its name goes on logging, and nobody sees
 * that its lines mean nothing any more.  So lines are counted for each known program of
 * each source, and what is not understood is held against what was: when it is more than
 * chance explains, that is a fall, told once.  Afterwards counting begins anew, so that
 * a later fall is told as well.
 *
 * Whose is a line that could not be read?  Its program's, if that is known.  Else that of
 * a program that this source is known to have, when its name stands where headers have
 * it, or when its parser understands what stands behind the header: a stamp or a name
 * has changed.  Else the source's: many in a row, and nothing readable between them, are
 * a header that is not known.
 *
 * The test: of the lines since the j-th last that was not understood (j = 4, 8, ... 64)
 * the likelihood ratio of their share against the one before, in bits.  The bound is
 * higher where much was never understood, since such lines come in swarms.
 *
 * Pure; no allocation after shares_new().  One thread at a time.
 */
#ifndef PARSERS_SHARE_H
#define PARSERS_SHARE_H

#include "common/buf.h"
#include "common/record.h"

enum {
	SHARE_ENTRIES = 160, /* programs of sources; what comes when they are full is not counted */
	SHARE_SOURCES = 32,
	SHARE_EXAMPLE = 240,
	SHARE_NAME = 32,
};

struct shares; /* opaque, on the heap, about 140 KiB */
struct share;

enum share_why {
	SHARE_WORDING, /* lines of the program say what no parser knows */
	SHARE_HEADER,  /* lines do not begin as lines of this source did */
	SHARE_NAME_NEW, /* lines of another name read as the program's did */
};

/* A fall; texts are in the struct itself. */
struct share_fall {
	enum share_why why;
	char program[SHARE_NAME];
	char name_new[SHARE_NAME];   /* SHARE_NAME_NEW; printable */
	char source[96];             /* path, digits as '#' */
	unsigned before, after;      /* shares in tenths of a percent */
	uint32_t of;                 /* `after` is of so many last lines */
	/* One of the lines, printable: numbers are 0, and * stands for each word that
	 * differed between such lines or may be somebody's choice. */
	char example[SHARE_EXAMPLE];
};

/* UV_ENOMEM. */
int shares_new(struct shares **out);
/* NULL allowed. */
void shares_free(struct shares *s);

/* Takes the oldest fall that nobody has taken; false: there is none. */
bool shares_take(struct shares *s, struct share_fall *out);

enum { SHARE_TEXT = 256 };
/* What has happened, as a sentence; neither source nor example is in it. */
void share_fall_text(const struct share_fall *f, char out[static SHARE_TEXT]);

struct share_count {
	struct slice source, program;
	uint64_t lines, understood; /* since counting began or the last fall; halved when large */
};
/* The i-th program, for a status; false: there are no more. */
bool shares_get(const struct shares *s, unsigned i, struct share_count *out);

/* Counts and names, versioned, appended: UV_ENOMEM, ERR_TOO_LARGE.  The examples stay. */
int shares_save(const struct shares *s, struct buf *out);
/* Into fresh shares.  ERR_MALFORMED, ERR_VERSION: it has counted nothing. */
int shares_load(struct shares *s, struct slice saved);

/* ---- for parser.c ---- */

struct context;
typedef bool share_family(struct context *c);

/* What share.c must know of a line beside its record. */
struct share_line {
	struct slice line;
	const struct header *h;
	bool understood;
	const char *form;      /* a program's name that the line's form tells, or NULL */
	share_family *family;  /* of the program; NULL: not a known one */
	struct share *share;   /* what shares_line() gave for this program, or NULL */
	int64_t now_ns;
};

/* The source's number, or -1: there are too many. */
int shares_source(struct shares *s, struct slice path);
/* Counts a line that the short way does not know.  Returns where lines of its program
 * are counted from now on, NULL: ask again. */
struct share *shares_line(struct shares *s, int source, const struct share_line *l);

/* The head of struct share, for the short way. */
struct share_head {
	uint32_t good; /* understood since the last that was not */
	bool any;      /* nobody expects these to be understood */
};

/* true: counted. */
static inline bool share_short(struct share *share, bool understood)
{
	struct share_head *head = (struct share_head *)share;

	if (head == NULL || !(head->any | understood)) {
		return false;
	}
	head->good++;
	return true;
}

#endif
