/* table: rows and columns of text that fit a terminal.
 *
 * Columns are as wide as their widest cell.  If that is too wide for the terminal, the widest
 * of those that may be shortened become narrower, and their cells lose their middle.  Text is
 * given as printable_add() makes it and copied.  The first error sticks: table_print()
 * returns it.  Pure.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>

#include "common/buf.h"

struct table_column {
	const char *heading;
	bool right;    /* numbers */
	size_t least;  /* may be shortened to so many columns; 0: never */
};

struct table_look {
	size_t width;  /* columns of the terminal */
	bool ascii, colour;
};

enum { TABLE_COLUMNS = 8 };

struct table_cell {
	size_t at, n;
};

struct table {
	const struct table_column *columns; /* kept */
	size_t n_columns;
	struct buf text;
	struct table_cell *cells; /* rows of n_columns and a note */
	size_t n, room;
	int rc;
};

/* At most TABLE_COLUMNS. */
void table_init(struct table *t, const struct table_column *columns, size_t n);
void table_fini(struct table *t);

/* The next cell of a row, from left to right ... */
void table_cell(struct table *t, struct slice printable);
void table_number(struct table *t, uint64_t v);
/* ... and behind the last one what stands below the row, or nothing. */
void table_note(struct table *t, struct slice printable);

/* With its headings, but without any when there are no rows.  Errors: the first one of any
 * call, or buf_add()'s. */
int table_print(const struct table *t, const struct table_look *look, struct buf *out);

#endif
