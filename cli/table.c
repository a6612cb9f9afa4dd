#include "cli/table.h"

#include <assert.h>
#include <stdlib.h>

#include "cli/printable.h"
#include "common/err.h"

enum { GAP = 2, INDENT = 2, TEXT_MAX = 64 * 1024 * 1024 };

void table_init(struct table *t, const struct table_column *columns, size_t n)
{
	assert(n > 0 && n <= TABLE_COLUMNS);
	*t = (struct table){.columns = columns, .n_columns = n};
	buf_init(&t->text, TEXT_MAX);
}

void table_fini(struct table *t)
{
	buf_fini(&t->text);
	free(t->cells);
	t->cells = NULL;
}

void table_cell(struct table *t, struct slice printable)
{
	if (t->n == t->room && t->rc == 0) {
		size_t room = t->room == 0 ? 128 : 2 * t->room;
		struct table_cell *v = realloc(t->cells, room * sizeof *v);

		t->rc = v == NULL ? UV_ENOMEM : 0;
		t->cells = v == NULL ? t->cells : v;
		t->room = v == NULL ? t->room : room;
	}
	if (t->rc == 0) {
		t->cells[t->n++] = (struct table_cell){t->text.n, printable.n};
		t->rc = buf_add_slice(&t->text, printable);
	}
}

void table_number(struct table *t, uint64_t v)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	table_cell(t, slice(digits + at, sizeof digits - at));
}

void table_note(struct table *t, struct slice printable)
{
	table_cell(t, printable);
}

static struct slice cell(const struct table *t, size_t row, size_t column)
{
	const struct table_cell *c = &t->cells[row * (t->n_columns + 1) + column];

	return slice(t->text.p + c->at, c->n);
}

/* Narrows what may be, the widest first, until all fits or nothing can be done. */
static void narrow(const struct table *t, size_t *widths, size_t total, size_t room)
{
	for (; total > room; total--) {
		size_t widest = t->n_columns;

		for (size_t i = 0; i < t->n_columns; i++) {
			size_t least = t->columns[i].least;

			if (least > 0 && widths[i] > least &&
			    (widest == t->n_columns || widths[i] > widths[widest])) {
				widest = i;
			}
		}
		if (widest == t->n_columns) {
			return;
		}
		widths[widest]--;
	}
}

static void measure(const struct table *t, size_t rows, size_t *widths, size_t room)
{
	size_t total = GAP * (t->n_columns - 1);

	for (size_t c = 0; c < t->n_columns; c++) {
		widths[c] = strlen(t->columns[c].heading);
		for (size_t r = 0; r < rows; r++) {
			size_t width = printable_width(cell(t, r, c));

			widths[c] = width > widths[c] ? width : widths[c];
		}
		total += widths[c];
	}
	narrow(t, widths, total, room);
}

static int blanks(struct buf *out, size_t n)
{
	int rc = 0;

	for (; n > 0 && rc == 0; n--) {
		rc = buf_add_u8(out, ' ');
	}
	return rc;
}

/* Ends a line, without blanks at its end. */
static int end_line(struct buf *out, bool coloured)
{
	while (out->n > 0 && out->p[out->n - 1] == ' ') {
		out->n--;
	}
	return buf_add_slice(out, coloured ? SLICE_LIT("\033[0m\n") : SLICE_LIT("\n"));
}

/* One cell in its column; what stands right of it is the next one's gap. */
static int put(const struct table *t, size_t c, struct slice text, size_t width, bool ascii,
	       struct buf *out)
{
	size_t n = printable_width(text), pad = n < width ? width - n : 0;
	bool right = t->columns[c].right;
	int rc = blanks(out, (c > 0 ? GAP : 0) + (right ? pad : 0));

	rc = rc != 0 ? rc : printable_shorten(out, text, width, ascii);
	return rc != 0 ? rc : blanks(out, right ? 0 : pad);
}

static int headings(const struct table *t, const size_t *widths, const struct table_look *look,
		    struct buf *out)
{
	int rc = look->colour ? buf_add_slice(out, SLICE_LIT("\033[2m")) : 0;

	for (size_t c = 0; c < t->n_columns && rc == 0; c++) {
		rc = put(t, c, slice_str(t->columns[c].heading), widths[c], look->ascii, out);
	}
	return rc != 0 ? rc : end_line(out, look->colour);
}

static int note(struct slice text, const struct table_look *look, struct buf *out)
{
	int rc = look->colour ? buf_add_slice(out, SLICE_LIT("\033[2m")) : 0;

	rc = rc != 0 ? rc : blanks(out, INDENT);
	rc = rc != 0 ? rc : printable_shorten(out, text, look->width - INDENT, look->ascii);
	return rc != 0 ? rc : end_line(out, look->colour);
}

int table_print(const struct table *t, const struct table_look *look, struct buf *out)
{
	size_t widths[TABLE_COLUMNS], rows = t->n / (t->n_columns + 1);
	int rc = t->rc;

	if (rc != 0 || rows == 0) {
		return rc;
	}
	measure(t, rows, widths, look->width);
	rc = headings(t, widths, look, out);
	for (size_t r = 0; r < rows && rc == 0; r++) {
		for (size_t c = 0; c < t->n_columns && rc == 0; c++) {
			rc = put(t, c, cell(t, r, c), widths[c], look->ascii, out);
		}
		rc = rc != 0 ? rc : end_line(out, false);
		if (rc == 0 && cell(t, r, t->n_columns).n > 0) {
			rc = note(cell(t, r, t->n_columns), look, out);
		}
	}
	return rc;
}
