#include "sources/framing.h"

#include "common/err.h"

void framing_init(struct framing *f, size_t max)
{
	*f = (struct framing){.state = FRAMING_START};
	buf_init(&f->part, max);
}

void framing_fini(struct framing *f)
{
	buf_wipe(&f->part);
}

static bool is_end(char c)
{
	return c == '\n' || c == '\r' || c == '\0';
}

static struct slice without_end(struct slice s)
{
	while (s.n > 0 && is_end(s.p[s.n - 1])) {
		s.n--;
	}
	return s;
}

/* The rest of the last message is not needed any more, and may hold secrets. */
static void begin(struct framing *f)
{
	if (f->part.n > 0) {
		explicit_bzero(f->part.p, f->part.n);
		buf_clear(&f->part);
	}
	f->state = FRAMING_START;
	f->left = 0;
	f->cut = 0;
	f->given = false;
}

/* As much of s as there is room for. */
static int keep(struct framing *f, struct slice s)
{
	size_t room = f->part.limit - f->part.n;
	struct slice kept = slice_head(s, room);
	int rc = buf_add_slice(&f->part, kept);

	f->cut += s.n - kept.n;
	return rc;
}

/* The message is kept, or (nothing of it is yet) s. */
static bool give(struct framing *f, struct slice s, struct slice *out, uint64_t *cut)
{
	size_t max = f->part.limit;

	if (f->part.n > 0) {
		*out = without_end(buf_slice(&f->part));
		*cut = f->cut;
	} else {
		*out = without_end(slice_head(s, max));
		*cut = s.n > max ? s.n - max : 0;
	}
	f->given = true;
	f->state = FRAMING_START;
	return out->n > 0;
}

/* "83 ": true when the count is whole; otherwise the state says what it is. */
static int count(struct framing *f, struct slice *data)
{
	uint64_t n;
	int rc = 0;

	while (data->n > 0 && f->part.n < FRAMING_DIGITS + 1 && rc == 0) {
		char c = data->p[0];

		if (c == ' ' && slice_to_u64(buf_slice(&f->part), UINT32_MAX, &n)) {
			*data = slice_skip(*data, 1);
			buf_clear(&f->part);
			f->left = n;
			f->state = FRAMING_OCTETS;
			return 0;
		}
		if (c < '0' || c > '9' || f->part.n == FRAMING_DIGITS) {
			f->state = FRAMING_LINE;
			return 0;
		}
		rc = buf_add_u8(&f->part, (uint8_t)c);
		*data = slice_skip(*data, 1);
	}
	return rc;
}

static int octets(struct framing *f, struct slice *data, struct slice *out,
		  uint64_t *cut, bool *whole)
{
	struct slice s = slice_head(*data, f->left);

	*data = slice_skip(*data, s.n);
	f->left -= s.n;
	*whole = f->left == 0;
	if (*whole && f->part.n == 0) {
		*whole = give(f, s, out, cut);
		return 0;
	}
	if (keep(f, s) != 0) {
		return UV_ENOMEM;
	}
	if (*whole) {
		*whole = give(f, SLICE_NONE, out, cut);
	}
	return 0;
}

static size_t line_end(struct slice s)
{
	const char *newline = memchr(s.p, '\n', s.n), *nul;
	size_t n = newline == NULL ? s.n : (size_t)(newline - s.p);

	nul = memchr(s.p, '\0', n);
	return nul == NULL ? n : (size_t)(nul - s.p);
}

static int line(struct framing *f, struct slice *data, struct slice *out,
		uint64_t *cut, bool *whole)
{
	size_t n = line_end(*data);
	struct slice s = slice_head(*data, n);

	*whole = n < data->n;
	*data = slice_skip(*data, n + *whole);
	if (*whole && f->part.n == 0) {
		*whole = give(f, s, out, cut);
		return 0;
	}
	if (keep(f, s) != 0) {
		return UV_ENOMEM;
	}
	if (*whole) {
		*whole = give(f, SLICE_NONE, out, cut);
	}
	return 0;
}

int framing_next(struct framing *f, struct slice *data, struct slice *out,
		 uint64_t *cut)
{
	int rc = 0;

	if (f->given) {
		begin(f);
	}
	while (data->n > 0 && rc == 0) {
		bool whole = false;

		switch (f->state) {
		case FRAMING_START:
			begin(f);
			f->state = data->p[0] >= '1' && data->p[0] <= '9'
					   ? FRAMING_COUNT
					   : FRAMING_LINE;
			break;
		case FRAMING_COUNT:
			rc = count(f, data);
			break;
		case FRAMING_OCTETS:
			rc = octets(f, data, out, cut, &whole);
			break;
		case FRAMING_LINE:
			rc = line(f, data, out, cut, &whole);
			break;
		}
		if (whole) {
			return 1;
		}
	}
	if (rc != 0) {
		*data = slice_skip(*data, data->n);
		begin(f);
	}
	return rc;
}

bool framing_end(struct framing *f, struct slice *out, uint64_t *cut)
{
	if (f->given || f->part.n == 0) {
		begin(f);
		return false;
	}
	return give(f, SLICE_NONE, out, cut);
}
