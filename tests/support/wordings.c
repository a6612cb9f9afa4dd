#include "tests/support/wordings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#define HEAD "Nov 22 15:37:46 gw "

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = calloc(1, 256 * 1024);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, 256 * 1024 - 1, f) < 256 * 1024 - 1);
	fclose(f);
	return text;
}

/* Cuts the text into lines in place. */
static void add_cases(struct wordings *w, const char *family, char *text)
{
	const char *tag = "", *message = NULL;

	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (line[0] == '@') {
			tag = line + 1;
		} else if (line[0] == '\t') {
			assert_non_null(message);
			assert_true(w->n < WORDINGS_MAX);
			w->cases[w->n++] = (struct wording){family, tag,  message, line + 1,
							    NULL,   NULL, false};
			message = NULL;
		} else if (line[0] == '!') {
			assert_true(w->n > 0);
			w->cases[w->n - 1].except = line + 1;
		} else if (line[0] == '=') {
			assert_true(w->n > 0);
			w->cases[w->n - 1].stays = line + 1;
		} else if (line[0] == '~') {
			assert_true(w->n > 0);
			w->cases[w->n - 1].longer = true;
		} else if (line[0] != '#') {
			if (message != NULL) {
				fail_msg("%s: nothing is said of \"%s\"", family, message);
			}
			message = line;
		}
	}
	assert_null(message);
}

int wordings_read(void **state)
{
	struct wordings *w = calloc(1, sizeof *w);
	glob_t found;

	assert_non_null(w);
	assert_int_equal(glob(WORDINGS "/*.txt", 0, NULL, &found), 0);
	assert_true(found.gl_pathc < sizeof w->texts / sizeof *w->texts / 2);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *base = strrchr(found.gl_pathv[i], '/') + 1;
		char *name = strndup(base, strlen(base) - 4);
		char *text = read_file(found.gl_pathv[i]);

		w->texts[w->n_texts++] = name;
		w->texts[w->n_texts++] = text;
		add_cases(w, name, text);
	}
	globfree(&found);
	*state = w;
	return 0;
}

int wordings_free(void **state)
{
	struct wordings *w = *state;

	for (size_t i = 0; i < w->n_texts; i++) {
		free(w->texts[i]);
	}
	free(w);
	return 0;
}

bool wording_is_taken(const struct wording *c)
{
	return strcmp(c->summary, "-") != 0;
}

const char *wording_named(const char *text, const char *name, char out[static WORDING_LINE])
{
	const char *at = strstr(text, "{NAME}");

	if (at == NULL) {
		return text;
	}
	assert_true(snprintf(out, WORDING_LINE, "%.*s%s%s", (int)(at - text), text, name,
			     at + 6) < WORDING_LINE);
	return out;
}

const char *wording_line(const char *tag, const char *message,
			 char out[static WORDING_LINE])
{
	if (tag[0] == '\0') {
		return message;
	}
	assert_true(snprintf(out, WORDING_LINE, HEAD "%s: %s", tag, message) < WORDING_LINE);
	return out;
}
