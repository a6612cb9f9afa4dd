/* redact: secrets leave the line here, before anything else sees it.
 *
 * Two steps.  redact_scan() walks over whole chunks and stops only where a
 * literal stands that a secret may follow ("password=", "ghp_", "-----BEGIN");
 * redact_line() verifies by hand what stands there and masks it.  A line
 * without a literal is never touched, and a caller that runs redact_line() on
 * every line gets the same bytes, only slower (tests hold both to that).
 *
 *	size_t hit = redact_scan(r, chunk, 0, n);
 *	for each line [a, b) of the chunk:
 *		if (redact_chunk_line(&c, line)) ...    see struct redact_chunk
 *
 * What is put in a secret's place is *redacted-RULE*: no blanks, quotes, equals
 * signs or brackets, so that parsers read the line as before; always the same, so
 * that the length stays untold; and left alone by redaction itself, so that
 * redacting twice changes nothing.
 *
 * Fails closed: when memory or a limit runs out, the rest of the line, or all
 * of it, is masked under the rule "limit".  The scan is a "Teddy" multi-literal
 * search (G. Langdale, Hyperscan; A. Gallant, aho-corasick), written anew.
 * docs/redaction.md has the rules and how they score.
 *
 * Knows nothing of files, sources or what a line means.  Pure: no clock, no
 * I/O.  A struct redact does not change once made and is shared by any number
 * of threads; a struct redact_state belongs to one stream and one thread.
 */
#ifndef REDACT_REDACT_H
#define REDACT_REDACT_H

#include "common/buf.h"
#include "redact/options.h"

struct redact; /* opaque: compiled rules */

enum { REDACT_RULES_MAX = 32 };

/* What must be remembered from line to line of one stream: only whether a
 * private key block is open.  All zero is the state at a stream's beginning. */
struct redact_state {
	bool in_key;
	uint8_t foreign;    /* lines in a row inside the block that are no key's */
	uint16_t key_lines; /* lines since the block began */
	uint64_t lines;     /* lines in which something was masked */
	/* Masks by rule, redact_rule_name(i) being the name of counts[i]. */
	uint64_t counts[REDACT_RULES_MAX];
};

/* Called for each mask of a line, in order: `masked` is what stood there
 * (borrowed; a secret: for a person at a terminal, never for a log). */
typedef void (*redact_explain_cb)(void *arg, unsigned rule, size_t offset,
				  struct slice masked);

/* options is not kept.  UV_ENOMEM; UV_EINVAL: an option is not valid (an unknown
 * rule name in off, a key or token that is empty, longer than 32 bytes or not
 * printable ASCII). */
int redact_new(struct redact **out, const struct redact_options *options);
/* NULL allowed. */
void redact_free(struct redact *r);

/* Offset of the next literal that begins at or after `from` in p[0, n), or n.
 * Literals never hold a newline, so that one is always inside one line. */
size_t redact_scan(const struct redact *r, const char *p, size_t from,
		   size_t n);

/* Masks what is secret in one line (without its newline; any bytes, at most
 * REDACT_LINE_MAX: a longer one is masked whole).  true: something was, and *out
 * points into scratch, which is cleared first; its limit should leave room for
 * the line and some masks, and is best LIMIT_LINE_MAX * 2.  false: *out is line
 * itself.  Must be called for lines that hold a literal and for every line while
 * state->in_key; calling it for others changes nothing. */
bool redact_line(const struct redact *r, struct redact_state *state,
		 struct slice line, struct buf *scratch, struct slice *out);
enum { REDACT_LINE_MAX = 1024 * 1024 };

/* redact_line() that tells what it masks; cb may be NULL. */
bool redact_line_explain(const struct redact *r, struct redact_state *state,
			 struct slice line, struct buf *scratch,
			 struct slice *out, redact_explain_cb cb, void *arg);

/* ---- the loop over a chunk ---- */

struct redact_chunk {
	const struct redact *r;
	const char *p;
	size_t n;
	size_t next; /* the next literal's offset */
};

/* p[0, n) is borrowed while the chunk is walked. */
static inline struct redact_chunk redact_chunk(const struct redact *r,
					       const char *p, size_t n)
{
	return (struct redact_chunk){r, p, n, redact_scan(r, p, 0, n)};
}

/* The slow half of redact_chunk_line(). */
bool redact_chunk_hit(struct redact_chunk *c, struct redact_state *state,
		      struct slice line, struct buf *scratch,
		      struct slice *out);

/* Like redact_line(), for the lines of the chunk from first to last; line
 * points into the chunk. */
static inline bool redact_chunk_line(struct redact_chunk *c,
				     struct redact_state *state,
				     struct slice line, struct buf *scratch,
				     struct slice *out)
{
	if (c->next >= (size_t)(line.p - c->p) + line.n && !state->in_key) {
		*out = line;
		return false;
	}
	return redact_chunk_hit(c, state, line, scratch, out);
}

/* ---- what the rules are ---- */

unsigned redact_rules(void);
/* "password"; a constant string.  i < redact_rules(). */
const char *redact_rule_name(unsigned i);
/* One line of help; a line that the rule masks; one that it leaves. */
const char *redact_rule_help(unsigned i);
const char *redact_rule_example(unsigned i);
const char *redact_rule_counter_example(unsigned i);

#endif
