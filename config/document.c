/* document: the table as docs/config.md and as the options of nightjar.yaml(5). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "config/config.h"
#include "config/facts.h"
#include "config/table.h"

/* One of the two forms of document; the first error sticks. */
struct writer {
	struct buf *out;
	int rc;
};

__attribute__((format(printf, 2, 3)))
static void put(struct writer *w, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (w->rc == 0) {
		/* What is longer than this is no line of the table. */
		w->rc = n < (int)sizeof line ? buf_add(w->out, line, (size_t)n)
					     : ERR_TOO_LARGE;
	}
}

static void range(struct writer *w, const struct option *o, const char *before,
		  const char *after)
{
	struct buf b;

	buf_init(&b, 1024);
	if (w->rc == 0) {
		w->rc = option_range(o, &b);
	}
	if (b.n > 0) {
		put(w, "%s%.*s%s", before, (int)b.n, b.p, after);
	}
	buf_fini(&b);
}

/* ---- Markdown ---- */

static void md_text(struct writer *w, const char *s)
{
	for (; *s != '\0'; s++) {
		if (strchr("*_<>[]`|#\\", *s) != NULL) {
			put(w, "\\");
		}
		put(w, "%c", *s);
	}
}

static void md_option(struct writer *w, const struct option *o, const char *list)
{
	put(w, "%s `%s`\n\n", list == NULL ? "####" : "#####", o->key);
	md_text(w, o->help);
	put(w, "\n\n- Type: %s.", option_type_name(o));
	range(w, o, " ", "");
	if (o->initial != NULL) {
		put(w, "\n- Default: `%s`", o->initial);
	} else {
		put(w, "\n- Required");
	}
	if (o->example != NULL) {
		put(w, "\n- Example: `%s`", o->example);
	}
	if (o->reload == RELOAD_LIVE) {
		put(w, "\n- Takes effect at a reload");
	}
	put(w, "\n\n");
	if (o->items != NULL) {
		put(w, "Each entry of `%s`:\n\n", o->key);
		for (size_t i = 0; i < o->items->n; i++) {
			md_option(w, &o->items->options[i], o->key);
		}
	}
}

static void md_section(struct writer *w, const struct schema *s,
		       struct slice name)
{
	for (const struct section *i = s->sections; i->name != NULL; i++) {
		if (slice_eq(name, slice_str(i->name))) {
			put(w, "### `%s`\n\n", i->name);
			md_text(w, i->help);
			put(w, "\n\n");
			return;
		}
	}
	put(w, "### At the top\n\n");
}

static void md_schema(struct writer *w, const struct schema *s, const char *path)
{
	struct slice section = {"-", 1};

	put(w, "## The %s\n\nRead from `%s` unless `-c` names another file.\n\n",
	    s->name, path);
	for (size_t i = 0; i < s->n; i++) {
		const struct option *o = &s->options[i];
		struct slice own = slice(o->key, option_section(o));

		if (!slice_eq(own, section)) {
			section = own;
			md_section(w, s, section);
		}
		md_option(w, o, NULL);
	}
}

static const char *const md_intro =
	"# Configuration\n\n"
	"<!-- Made by `nightjar config --markdown` from config/table.c; "
	"tests/lint/docs.sh holds it to that. -->\n\n"
	"Agent and collector each read one YAML file. `nightjar check -c FILE` "
	"checks one,\n`nightjar config agent` and `nightjar config collector` print "
	"all there is with its\ndefaults. An unknown key, a value without its unit "
	"and a key that stands twice are\nerrors, reported with file, line, column "
	"and the remedy. Anchors, aliases and tags of\nYAML are refused. A\nchanged file takes effect when the daemon starts "
	"again.\n\n"
	"`a.b` means the key `b` in the section `a`:\n\n"
	"```yaml\ncollector: collector.example.net\nsources:\n  files:\n"
	"    - paths: [/var/log/*.log]\n  line_max: 32KiB\n```\n\n"
	"- A *duration* is whole numbers with units, the greater first: `500ms`, "
	"`10s`, `1h30m`, `2d`, `1w`.\n"
	"- A *size* is a whole number with a unit: `B`, `KiB`, `MiB`, `GiB`, `TiB` "
	"(powers of 1024) or `KB`, `MB`, `GB`, `TB` (powers of 1000).\n"
	"- A *path* is absolute and has no `..`. In lists of paths, where the option "
	"says so, it may be a glob.\n"
	"- *Host and port* is `HOST`, `HOST:PORT`, `ADDRESS`, or `[ADDRESS]:PORT` for "
	"IPv6.\n\n";

int config_print_markdown(struct buf *out)
{
	struct writer w = {out, 0};

	w.rc = buf_add(out, md_intro, strlen(md_intro));
	md_schema(&w, &agent_schema, CONFIG_AGENT_PATH);
	md_schema(&w, &collector_schema, CONFIG_COLLECTOR_PATH);
	/* One newline at the end, not two. */
	if (w.rc == 0) {
		out->n--;
	}
	return w.rc;
}

/* ---- mdoc ---- */

/* Each sentence on a line of its own, as mdoc(7) wants it. */
static void mdoc_text(struct writer *w, const char *s)
{
	bool start = true;

	for (; *s != '\0'; s++) {
		if (start && (*s == '.' || *s == '\'')) {
			put(w, "\\&");
		}
		start = false;
		if (*s == '\\') {
			put(w, "\\e");
		} else if (*s == ' ' && s[-1] == '.' && s[1] >= 'A' && s[1] <= 'Z') {
			put(w, "\n");
			start = true;
		} else {
			put(w, "%c", *s);
		}
	}
	put(w, "\n");
}

/* As the argument of a macro: nothing in it is a macro, a quote or an escape. */
static void mdoc_literal(struct writer *w, const char *s)
{
	put(w, ".Ql \\&");
	for (; *s != '\0'; s++) {
		if (*s == '"') {
			put(w, "\\(dq");
		} else if (*s == '\\') {
			put(w, "\\e");
		} else {
			put(w, "%c", *s);
		}
	}
	put(w, " .\n");
}

static void mdoc_option(struct writer *w, const struct option *o)
{
	put(w, ".It Ic %s\n", o->key);
	mdoc_text(w, o->help);
	put(w, "Type: %s.\n", option_type_name(o));
	range(w, o, "", "\n");
	if (o->initial != NULL) {
		put(w, "Default:\n");
		mdoc_literal(w, o->initial);
	} else {
		put(w, "Required.\n");
	}
	if (o->reload == RELOAD_LIVE) {
		put(w, "Takes effect at a reload.\n");
	}
	if (o->items != NULL) {
		put(w, "Each entry has:\n.Bl -tag -width Ds\n");
		for (size_t i = 0; i < o->items->n; i++) {
			mdoc_option(w, &o->items->options[i]);
		}
		put(w, ".El\n");
	}
}

static void mdoc_schema(struct writer *w, const struct schema *s, const char *title)
{
	put(w, ".Sh %s\n.Bl -tag -width Ds\n", title);
	for (size_t i = 0; i < s->n; i++) {
		mdoc_option(w, &s->options[i]);
	}
	put(w, ".El\n");
}

int config_print_mdoc(struct buf *out)
{
	struct writer w = {out, 0};

	mdoc_schema(&w, &agent_schema, "OPTIONS OF THE AGENT");
	mdoc_schema(&w, &collector_schema, "OPTIONS OF THE COLLECTOR");
	return w.rc;
}
