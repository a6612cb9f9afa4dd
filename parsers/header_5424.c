/* Headers of RFC 5424, section 6. */
#include "parsers/family.h"
#include "parsers/header.h"

/* The "-" of RFC 5424 stands for nothing. */
static struct slice nil(struct slice s)
{
	return IS(s, "-") ? SLICE_NONE : s;
}

/* "-" or "[id name="value" ...][...]"; a quote, a bracket and a backslash in a
 * value are escaped. */
static bool skip_structured_data(struct slice *s)
{
	size_t i = 0;
	bool quoted = false;

	if (TAKE(s, "-")) {
		return true;
	}
	while (i < s->n && s->p[i] == '[') {
		for (i++; i < s->n && (quoted || s->p[i] != ']'); i++) {
			if (quoted && s->p[i] == '\\') {
				i++;
			} else if (s->p[i] == '"') {
				quoted = !quoted;
			}
		}
		if (i >= s->n) {
			return false;
		}
		i++;
	}
	*s = slice_skip(*s, i);
	return i > 0;
}

bool header_5424(struct header_reader *r, struct slice s, int64_t observed_ns,
		 struct header *h)
{
	struct slice host, app, proc, msgid, data;
	int64_t ns = TIME_NONE;

	if (!TAKE(&s, "1 ")) {
		return false;
	}
	if (!TAKE(&s, "-") && !stamp_iso_again(&r->iso, &s, &ns) &&
	    !stamp_iso(r, &s, observed_ns, &ns)) {
		return false;
	}
	if (!TAKE(&s, " ") || !take_until(&s, ' ', &host) ||
	    !take_until(&s, ' ', &app) || !take_until(&s, ' ', &proc) ||
	    !take_until(&s, ' ', &msgid) || host.n == 0 || app.n == 0 ||
	    proc.n == 0 || msgid.n == 0) {
		return false;
	}
	data = s;
	if (!skip_structured_data(&s)) {
		return false;
	}
	data.n -= s.n;
	if (s.n > 0 && !TAKE(&s, " ")) {
		return false;
	}
	TAKE(&s, "\xef\xbb\xbf"); /* The BOM says that it is UTF-8. */
	h->format = HEADER_RFC5424;
	h->time_ns = ns;
	h->host = nil(host);
	h->program = header_base_name(nil(app));
	h->pid = nil(proc);
	h->msgid = nil(msgid);
	h->structured = nil(data);
	for (size_t i = 0; i < h->pid.n; i++) {
		if (!is_digit(h->pid.p[i])) {
			h->pid = SLICE_NONE; /* A name, not a number. */
		}
	}
	h->message = s;
	return true;
}
