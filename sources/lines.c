#include "sources/lines.h"

#include <assert.h>

void lines_init(struct lines *l, uint32_t line_max, uint64_t position,
		uint64_t line_start)
{
	assert(line_max >= 1 && line_start <= position);
	*l = (struct lines){position, position, line_start, line_max};
}

/* Where the skip record that holds `position` ends if no newline comes. */
static uint64_t skip_boundary(const struct lines *l, uint64_t position)
{
	uint64_t first = l->line_start + l->line_max;

	return first + ((position - first) / LINES_SKIP + 1) * LINES_SKIP;
}

static void give(struct lines *l, struct slice *data, size_t n, uint32_t flags,
		 struct line *out)
{
	uint64_t end = l->position + n;
	bool newline = n > 0 && data->p[n - 1] == '\n';

	if (l->record_start != l->line_start && (flags & RECORD_SKIP) == 0) {
		flags |= RECORD_CONTINUATION;
	}
	*out = (struct line){l->record_start, end, flags, SLICE_NONE};
	if ((flags & RECORD_SKIP) == 0) {
		out->text = slice(data->p, n - (newline ? 1 : 0));
	}
	*data = slice_skip(*data, n);
	l->position = end;
	l->record_start = end;
	if (newline) {
		l->line_start = end;
	}
}

/* Position is line_max or more behind the line's start. */
static bool next_skip(struct lines *l, struct slice *data, bool final,
		      struct line *out)
{
	uint64_t room = skip_boundary(l, l->position) - l->position;
	struct slice part = *data;
	const char *newline;

	if (room < part.n) {
		part.n = (size_t)room;
	}
	newline = part.n == 0 ? NULL : memchr(part.p, '\n', part.n);
	if (newline != NULL) {
		give(l, data, (size_t)(newline - part.p) + 1, RECORD_SKIP, out);
		return true;
	}
	if (part.n == room) {
		give(l, data, part.n, RECORD_SKIP, out);
		return true;
	}
	if (final && l->position + part.n > l->record_start) {
		give(l, data, part.n, RECORD_SKIP | RECORD_NO_NEWLINE, out);
		return true;
	}
	l->position += part.n;
	*data = slice_skip(*data, part.n);
	return false;
}

bool lines_next(struct lines *l, struct slice *data, bool final,
		struct line *out)
{
	uint64_t into = l->position - l->line_start;
	size_t room, look;
	const char *newline;

	if (into >= l->line_max) {
		/* What follows line_max bytes may yet be just the newline of a
		 * line that was given at a timeout: an empty continuation. */
		if (into == l->line_max && data->n > 0 && data->p[0] == '\n' &&
		    l->record_start == l->position) {
			give(l, data, 1, 0, out);
			return true;
		}
		return next_skip(l, data, final, out);
	}
	room = (size_t)(l->line_max - into);
	look = data->n <= room ? data->n : room + 1;
	newline = look == 0 ? NULL : memchr(data->p, '\n', look);
	if (newline != NULL) {
		give(l, data, (size_t)(newline - data->p) + 1, 0, out);
		return true;
	}
	if (look > room) {
		give(l, data, room, RECORD_CUT, out);
		return true;
	}
	if (final && data->n > 0) {
		give(l, data, data->n, RECORD_NO_NEWLINE, out);
		return true;
	}
	return false;
}

size_t lines_ready(const struct lines *l, struct slice data)
{
	const char *newline =
		data.n == 0 ? NULL : memrchr(data.p, '\n', data.n);
	size_t whole = newline == NULL ? 0 : (size_t)(newline - data.p) + 1;
	uint64_t into = whole > 0 ? 0 : l->position - l->line_start;

	/* A skip under way, or an oversize line's beginning. */
	return into + (data.n - whole) > l->line_max ? data.n : whole;
}
