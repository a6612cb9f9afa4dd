/* A summary as tables and little bars. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/printable.h"
#include "cli/sparkline.h"
#include "cli/summary_show.h"
#include "common/err.h"
#include "common/timefmt.h"

enum {
	SCRATCH_MAX = 64 * 1024,
	CLOCK_TEXT = 32,
	NAMES_SHOWN = 3,  /* users of a source */
	NAME_SHOWN = 24,  /* columns of each */
	BARS_LEAST = 12, BARS_MOST = 60,
	SOURCE_LEAST = 15, /* an IPv4 address */
};

/* How much of a time must be told, so that those of one summary differ. */
enum clock { CLOCK_TIME, CLOCK_DATE, CLOCK_YEAR };

static const char bold[] = "\033[1m", red[] = "\033[1;31m";

struct text {
	struct summary *s;
	const struct summary_read *read;
	const struct summary_look *look;
	enum clock clock;
	struct buf *out;
	struct buf scratch; /* of one cell */
	void **rows;        /* room for look->top */
	int rc;             /* the first error */
};

static void fail(struct text *t, int rc)
{
	t->rc = t->rc != 0 ? t->rc : rc;
}

__attribute__((format(printf, 2, 3)))
static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	char line[512];

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	fail(t, buf_add_slice(t->out, slice_str(line)));
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

#define U(n) (unsigned long long)(n)

/* ---- times ---- */

static int64_t local_s(const struct text *t, int64_t ns)
{
	int64_t s = ns / NS_PER_S - (ns % NS_PER_S < 0);

	return s + t->look->offset(t->look->zone_arg, s);
}

struct civil {
	int year, month, day;
	int hour, minute, second;
};

static struct civil civil_of(const struct text *t, int64_t ns)
{
	int64_t s = local_s(t, ns), days = s / 86400 - (s % 86400 < 0);
	int left = (int)(s - days * 86400);
	struct civil c = {.hour = left / 3600, .minute = left / 60 % 60, .second = left % 60};

	time_civil(days, &c.year, &c.month, &c.day);
	return c;
}

static enum clock clock_for(const struct text *t)
{
	struct civil a, b;

	if (t->s->first_ns == TIME_NONE) {
		return CLOCK_YEAR;
	}
	a = civil_of(t, t->s->first_ns);
	b = civil_of(t, t->s->last_ns);
	if (a.year != b.year) {
		return CLOCK_YEAR;
	}
	return a.month == b.month && a.day == b.day ? CLOCK_TIME : CLOCK_DATE;
}

static const char *show_time(const struct text *t, int64_t ns, enum clock clock,
			     char out[static CLOCK_TEXT])
{
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct civil c;

	if (ns == TIME_NONE) {
		return "-";
	}
	c = civil_of(t, ns);
	if (clock == CLOCK_TIME) {
		snprintf(out, CLOCK_TEXT, "%02d:%02d:%02d", c.hour, c.minute, c.second);
	} else if (clock == CLOCK_DATE) {
		snprintf(out, CLOCK_TEXT, "%s %2d %02d:%02d", months[c.month - 1], c.day, c.hour,
			 c.minute);
	} else {
		snprintf(out, CLOCK_TEXT, "%04d-%02d-%02d %02d:%02d", c.year, c.month, c.day,
			 c.hour, c.minute);
	}
	return out;
}

static void cell_time(struct text *t, struct table *to, int64_t ns)
{
	char text[CLOCK_TEXT];

	table_cell(to, slice_str(show_time(t, ns, t->clock, text)));
}

/* ---- names ---- */

static void cell_name(struct text *t, struct table *to, struct slice name)
{
	buf_clear(&t->scratch);
	fail(t, printable_add(&t->scratch, name, t->look->table.ascii));
	table_cell(to, name.n == 0 ? SLICE_LIT("-") : buf_slice(&t->scratch));
}

static struct slice source_text(struct text *t, const struct summary_source *v)
{
	buf_clear(&t->scratch);
	fail(t, printable_add(&t->scratch, slice(v->text, v->n), t->look->table.ascii));
	if (v->kind == SUMMARY_LOCAL) {
		fail(t, buf_add_slice(&t->scratch,
				      v->n > 0 ? SLICE_LIT(" (local)") : SLICE_LIT("(local)")));
	}
	return buf_slice(&t->scratch);
}

/* Adds a name to the scratch, no longer than it may be. */
static void add_name(struct text *t, struct slice name)
{
	struct buf whole;

	buf_init(&whole, SCRATCH_MAX);
	fail(t, printable_add(&whole, name, t->look->table.ascii));
	fail(t, printable_shorten(&t->scratch, buf_slice(&whole), NAME_SHOWN,
				  t->look->table.ascii));
	buf_fini(&whole);
}

static void add(struct text *t, const char *text)
{
	fail(t, buf_add_slice(&t->scratch, slice_str(text)));
}

/* The most frequent first; how many there are. */
static size_t order(const struct summary_name *v, size_t max, const struct summary_name **out)
{
	size_t n = 0;

	for (; n < max && v[n].count > 0; n++) {
		size_t at = n;

		for (; at > 0 && out[at - 1]->count - out[at - 1]->over < v[n].count - v[n].over;
		     at--) {
			out[at] = out[at - 1];
		}
		out[at] = &v[n];
	}
	return n;
}

/* "root 812, admin 40 and 31 more" */
static void add_users(struct text *t, struct summary_source *v)
{
	const struct summary_name *users[SUMMARY_USERS];
	struct distinct d = summary_users(v);
	size_t n = order(v->users, SUMMARY_USERS, users);
	size_t shown = n > NAMES_SHOWN + 1 ? NAMES_SHOWN : n;
	bool exact;
	uint64_t all = distinct_count(&d, &exact);

	for (size_t i = 0; i < shown; i++) {
		add(t, i == 0 ? "" : ", ");
		add_name(t, summary_name(users[i]));
		if (all > 1 && users[i]->count - users[i]->over > users[i]->over) {
			fail(t, buf_printf(&t->scratch, " %s%lu",
					   users[i]->over > 0 ? ">=" : "",
					   (unsigned long)(users[i]->count - users[i]->over)));
		}
	}
	if (all > shown) {
		fail(t, buf_printf(&t->scratch, " and %s%llu more", exact ? "" : "about ",
				   U(all - shown)));
	}
}

/* "sshd, vsftpd"; what has no room is told by dots. */
static void add_places(struct text *t, const char *before, const struct summary_name *v)
{
	const struct summary_name *names[SUMMARY_PLACES];
	size_t n = order(v, SUMMARY_PLACES, names);

	for (size_t i = 0; i < n; i++) {
		add(t, i > 0 ? ", " : t->scratch.n > 0 ? before : "");
		add_name(t, summary_name(names[i]));
	}
	if (n == SUMMARY_PLACES) {
		add(t, ", ..");
	}
}

/* ---- tables ---- */

static void title(struct text *t, const char *colour, const char *what, uint64_t shown,
		  uint64_t all, bool exact)
{
	bool coloured = t->look->table.colour;

	say(t, "\n%s%s", coloured ? colour : "", what);
	if (shown < all) {
		say(t, ": %llu of %s%llu", U(shown), exact ? "" : "about ", U(all));
	}
	say(t, "%s\n", coloured ? "\033[0m" : "");
}

/* Which pieces have something, for all rows alike. */
static const uint32_t *used_pieces(const struct text *t, const uint32_t *pieces)
{
	return pieces + axis_skip(&t->s->axis);
}

static void cell_bars(struct text *t, struct table *to, const uint32_t *pieces, size_t width)
{
	uint64_t v[BARS_MOST];
	size_t n = sparkline_fit(v, width, used_pieces(t, pieces), axis_used(&t->s->axis));

	buf_clear(&t->scratch);
	fail(t, sparkline_add(&t->scratch, v, n, t->look->table.ascii));
	table_cell(to, buf_slice(&t->scratch));
}

static const char *short_result(const struct summary_source *v)
{
	return v->row.keep ? "got in" : v->row.succeeded > 0 ? "succeeded" : "failed";
}

/* What is left of the terminal's width beside the other columns, if all goes well. */
static size_t bars_width(struct text *t, size_t n)
{
	static const size_t times[] = {[CLOCK_TIME] = 8, [CLOCK_DATE] = 12, [CLOCK_YEAR] = 16};
	size_t others = sizeof "FAILED" + sizeof "succeeded" + 2 * times[t->clock] + 8;
	size_t source = SOURCE_LEAST, left;

	for (size_t i = 0; i < n; i++) {
		size_t one = printable_width(source_text(t, t->rows[i]));

		source = one > source ? one : source;
	}
	others += source;
	left = t->look->table.width > others ? t->look->table.width - others : 0;

	return left < BARS_LEAST ? BARS_LEAST : left > BARS_MOST ? BARS_MOST : left;
}

static void attackers(struct text *t, size_t n, uint64_t all, bool exact)
{
	static const struct table_column columns[] = {
		{"SOURCE", false, SOURCE_LEAST}, {"FAILED", true, 0}, {"RESULT", false, 0},
		{"FIRST", false, 0}, {"LAST", false, 0}, {"OVER TIME", false, 0},
	};
	size_t width = bars_width(t, n);
	struct table table;

	table_init(&table, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; i < n; i++) {
		struct summary_source *v = t->rows[i];

		table_cell(&table, source_text(t, v));
		table_number(&table, v->row.failed);
		table_cell(&table, slice_str(short_result(v)));
		cell_time(t, &table, v->row.first_ns);
		cell_time(t, &table, v->row.last_ns);
		cell_bars(t, &table, v->pieces, width);
		buf_clear(&t->scratch);
		add_users(t, v);
		add_places(t, "; ", v->programs);
		add_places(t, " on ", v->hosts);
		table_note(&table, buf_slice(&t->scratch));
	}
	title(t, bold, "Who attacked", n, all, exact);
	fail(t, table_print(&table, &t->look->table, t->out));
	table_fini(&table);
}

static void got_in(struct text *t, size_t n, size_t all)
{
	static const struct table_column columns[] = {
		{"SOURCE", false, SOURCE_LEAST}, {"AS USER", false, 8}, {"SINCE", false, 0},
		{"FAILED BEFORE", true, 0}, {"FAILED", true, 0}, {"OK", true, 0},
	};
	struct table table;

	table_init(&table, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; i < n; i++) {
		const struct summary_source *v = t->rows[i];

		table_cell(&table, source_text(t, v));
		cell_name(t, &table, summary_name(&v->in_user));
		cell_time(t, &table, v->in_ns);
		table_number(&table, v->in_after);
		table_number(&table, v->row.failed);
		table_number(&table, v->row.succeeded);
		table_note(&table, SLICE_NONE);
	}
	title(t, red, "Got in after failing", n, all, true);
	fail(t, table_print(&table, &t->look->table, t->out));
	table_fini(&table);
}

static void targets(struct text *t, size_t n)
{
	static const struct table_column columns[] = {
		{"USER", false, 8}, {"PROGRAM", false, 7}, {"HOST", false, 8},
		{"FAILED", true, 0}, {"OK", true, 0}, {"SOURCES", true, 0},
	};
	struct table table;

	bool exact;
	struct distinct seen = {t->s->targets_seen, &t->s->n_targets, SUMMARY_ALL};
	uint64_t all = distinct_count(&seen, &exact);

	table_init(&table, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; i < n; i++) {
		struct summary_target *v = t->rows[i];
		struct distinct d = summary_target_sources(v);
		bool few;

		cell_name(t, &table, summary_name(&v->user));
		cell_name(t, &table, summary_name(&v->program));
		cell_name(t, &table, summary_name(&v->host));
		table_number(&table, v->row.failed);
		table_number(&table, v->row.succeeded);
		table_number(&table, distinct_count(&d, &few));
		table_note(&table, SLICE_NONE);
	}
	title(t, bold, "Against whom", n, all, exact);
	fail(t, table_print(&table, &t->look->table, t->out));
	table_fini(&table);
}

static int by_level(const void *a, const void *b)
{
	const struct summary_rule *x = a, *y = b;

	if (x->severity != y->severity) {
		return x->severity > y->severity ? -1 : 1;
	}
	if (x->alerts != y->alerts) {
		return x->alerts > y->alerts ? -1 : 1;
	}
	return strcmp(x->title, y->title);
}

static void alerts(struct text *t)
{
	static const struct table_column columns[] = {
		{"LEVEL", false, 0}, {"ALERTS", true, 0}, {"EVENTS", true, 0},
		{"RULE", false, 20},
	};
	struct summary *s = t->s;
	struct table table;

	if (s->alerts == 0) {
		return;
	}
	qsort(s->rules, s->n_rules, sizeof *s->rules, by_level);
	table_init(&table, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; i < s->n_rules; i++) {
		const struct summary_rule *r = &s->rules[i];

		table_cell(&table, slice_str(severity_name(r->severity)));
		table_number(&table, r->alerts);
		table_number(&table, r->events);
		cell_name(t, &table, slice_str(r->title));
		table_note(&table, SLICE_NONE);
	}
	title(t, bold, "Alerts", s->n_rules, s->n_rules, true);
	fail(t, table_print(&table, &t->look->table, t->out));
	table_fini(&table);
	if (s->other_alerts > 0) {
		say(t, "and %llu of other rules\n", U(s->other_alerts));
	}
}

/* ---- what stands above and below ---- */

static void head(struct text *t)
{
	const struct summary *s = t->s;
	const struct summary_read *r = t->read;
	char first[CLOCK_TEXT], last[CLOCK_TEXT];

	say(t, "%llu line%s in %llu file%s: %llu understood, %llu with secrets masked\n",
	    U(r->lines), plural(r->lines), U(r->files), plural(r->files), U(r->understood),
	    U(r->redacted));
	say(t, "%s%llu attempt%s failed, %llu succeeded%s", t->look->table.colour ? "\033[1m" : "",
	    U(s->failed), plural(s->failed), U(s->succeeded),
	    t->look->table.colour ? "\033[0m" : "");
	if (s->first_ns != TIME_NONE) {
		say(t, ", %s to %s (%s)", show_time(t, s->first_ns, CLOCK_YEAR, first),
		    show_time(t, s->last_ns, CLOCK_YEAR, last), t->look->zone);
	}
	say(t, "\n");
}

static void about(struct text *t, uint32_t *seen, uint32_t *n, const char *what)
{
	struct distinct d = {seen, n, SUMMARY_ALL};
	bool exact;
	uint64_t all = distinct_count(&d, &exact);

	say(t, "%s%llu %s%s", exact ? "" : "about ", U(all), what, plural(all));
}

static void sums(struct text *t)
{
	struct summary *s = t->s;

	if (s->failed > 0) {
		say(t, "from ");
		about(t, s->sources_seen, &s->n_sources, "source");
		say(t, " against ");
		about(t, s->users_seen, &s->n_users, "user");
		say(t, " on ");
		about(t, s->hosts_seen, &s->n_hosts, "host");
		say(t, "; ");
	}
	say(t, "%llu alert%s by %zu of %u rule%s\n", U(s->alerts), plural(s->alerts), s->n_rules,
	    t->read->rules, plural(t->read->rules));
}

static const char *length_text(int64_t s, char out[static CLOCK_TEXT])
{
	static const struct {
		int64_t s;
		const char *name;
	} units[] = {{7 * 86400, "week"}, {86400, "day"}, {3600, "hour"}, {60, "minute"},
		     {1, "second"}};
	size_t i = 0;

	while (s % units[i].s != 0) {
		i++;
	}
	snprintf(out, CLOCK_TEXT, "%lld %s%s", (long long)(s / units[i].s), units[i].name,
		 plural((uint64_t)(s / units[i].s)));
	return out;
}

/* All failures over time, between the first and the last moment that is drawn. */
static void all_bars(struct text *t)
{
	uint64_t v[AXIS_PIECES];
	const struct axis *a = &t->s->axis;
	size_t width = t->look->table.width, used = axis_used(a), n, each;
	char first[CLOCK_TEXT], last[CLOCK_TEXT], length[CLOCK_TEXT];
	int gap;

	if (used == 0) {
		return;
	}
	width = width < AXIS_PIECES ? width : AXIS_PIECES;
	n = sparkline_fit(v, width, used_pieces(t, t->s->pieces), used);
	each = (used + width - 1) / width;
	say(t, "\n");
	fail(t, sparkline_add(t->out, v, n, t->look->table.ascii));
	say(t, "\n");
	show_time(t, axis_first_s(a) * NS_PER_S, t->clock, first);
	show_time(t, axis_end_s(a) * NS_PER_S, t->clock, last);
	length_text((int64_t)each * axis_length_s(a), length);
	gap = (int)n - (int)strlen(first) - (int)strlen(last);
	if (gap > 1) {
		say(t, "%s%*s%s\n", first, gap, "", last);
	} else {
		say(t, "%s to %s\n", first, last);
	}
	say(t, "failures over time, each bar %s\n", length);
}

static void approximate(struct text *t)
{
	const struct summary *s = t->s;

	if (s->sources.given_up > 0) {
		say(t, "More than %d sources: those with the fewest failures were given up. The "
		       "sums\nare exact; a source's own counts may be up to %llu too low.\n",
		    SUMMARY_ROWS, U(s->sources.error));
	}
	if (s->targets.given_up > 0) {
		say(t, "More than %d pairs of user, program and host: likewise, up to %llu too "
		       "low.\n", SUMMARY_ROWS, U(s->targets.error));
	}
	if (s->unplaced > 0) {
		say(t, "%llu failure%s not drawn over time: the stamp is missing, in the future, "
		       "or more\nthan a year from most others.\n", U(s->unplaced),
		    s->unplaced == 1 ? " is" : "s are");
	}
}

static void remarks(struct text *t)
{
	const struct summary_read *r = t->read;
	size_t before = t->out->n;

	say(t, "\n");
	if (r->lines > 0 && r->understood == 0) {
		say(t, "No line was understood; nightjar explain tells why: "
		       "head -n 3 FILE | nightjar explain\n");
	}
	approximate(t);
	if (r->late + r->future + r->evicted + r->forgotten + r->re_limits > 0) {
		say(t, "Of the detectors: late lines %llu, stamps not believed %llu, groups given "
		       "up %llu,\nvalues forgotten %llu, expressions at their limit %llu.\n",
		    U(r->late), U(r->future), U(r->evicted), U(r->forgotten), U(r->re_limits));
	}
	if (t->out->n == before + 1 && t->rc == 0) {
		t->out->n = before;
	}
}

static void tables(struct text *t)
{
	struct summary *s = t->s;
	struct distinct sources = {s->sources_seen, &s->n_sources, SUMMARY_ALL};
	bool exact;
	uint64_t all = distinct_count(&sources, &exact);
	size_t in = 0;
	int n = tally_kept(&s->sources, t->look->top, t->rows);

	for (size_t i = 0; i < s->sources.n; i++) {
		in += ((const struct tally_row *)tally_at(&s->sources, i))->keep;
	}
	if (n > 0) {
		got_in(t, (size_t)n, in);
	}
	fail(t, n < 0 ? n : 0);
	n = tally_top(&s->sources, t->look->top, t->rows);
	if (n > 0) {
		attackers(t, (size_t)n, all, exact);
	}
	fail(t, n < 0 ? n : 0);
	n = tally_top(&s->targets, t->look->top, t->rows);
	if (n > 0) {
		targets(t, (size_t)n);
	}
	fail(t, n < 0 ? n : 0);
	alerts(t);
}

int summary_text(struct summary *s, const struct summary_read *read,
		 const struct summary_look *look, struct buf *out)
{
	struct text t = {.s = s, .read = read, .look = look, .out = out};

	t.rows = calloc(look->top, sizeof *t.rows);
	buf_init(&t.scratch, SCRATCH_MAX);
	fail(&t, t.rows == NULL ? UV_ENOMEM : 0);
	t.clock = clock_for(&t);
	if (t.rc == 0) {
		head(&t);
		sums(&t);
		all_bars(&t);
		tables(&t);
		remarks(&t);
	}
	buf_fini(&t.scratch);
	free(t.rows);
	return t.rc;
}
