#include "cli/arguments.h"

#include <assert.h>
#include <getopt.h>

#include "cli/cli.h"
#include "common/err.h"

enum { HELP = 'h', FIRST = 256 };

struct table {
	struct option options[ARGUMENTS_MAX + 2];
	char letters[2 * ARGUMENTS_MAX + 2];
};

static bool takes_value(const struct argument *a)
{
	return a->text != NULL || a->texts != NULL;
}

static void make_table(struct table *t, const struct argument *v, size_t n)
{
	size_t at = 0;

	t->letters[at++] = ':';
	for (size_t i = 0; i < n; i++) {
		t->options[i] = (struct option){
			v[i].name, takes_value(&v[i]) ? required_argument : no_argument, NULL,
			FIRST + (int)i};
		if (v[i].letter != 0) {
			t->letters[at++] = v[i].letter;
			if (takes_value(&v[i])) {
				t->letters[at++] = ':';
			}
		}
	}
	t->options[n] = (struct option){"help", no_argument, NULL, HELP};
}

/* Which of them getopt_long() gave. */
static const struct argument *find(const struct argument *v, size_t n, int o)
{
	for (size_t i = 0; i < n; i++) {
		if (o == FIRST + (int)i || (o == v[i].letter && o != 0)) {
			return &v[i];
		}
	}
	return NULL;
}

int arguments_read_words(const char *command, int argc, char **argv,
			 const struct argument *v, size_t n, void (*help)(void),
			 const char *say, char ***words, size_t *n_words)
{
	struct table t = {0};
	int o;

	assert(n <= ARGUMENTS_MAX);
	make_table(&t, v, n);
	opterr = 0;
	while ((o = getopt_long(argc, argv, t.letters, t.options, NULL)) != -1) {
		const struct argument *a = find(v, n, o);

		if (o == HELP) {
			help();
			return CLI_OK;
		}
		if (o == ':') {
			return cli_usage(command, "%s needs a value", argv[optind - 1]);
		}
		if (a == NULL) {
			return cli_usage(command, "unknown option %s", argv[optind - 1]);
		}
		if (a->text != NULL) {
			*a->text = optarg;
		} else if (a->texts != NULL) {
			int rc = strlist_add(a->texts, slice_str(optarg));

			if (rc != 0) {
				return cli_fail(command, "%s", err_str(rc));
			}
		} else {
			*a->flag = true;
		}
	}
	if (optind >= argc) {
		return cli_usage(command, "%s", say);
	}
	*words = argv + optind;
	*n_words = (size_t)(argc - optind);
	return -1;
}

int arguments_read(const char *command, int argc, char **argv, const struct argument *v,
		   size_t n, void (*help)(void), const char *say, const char **word)
{
	char **words;
	size_t n_words;
	int rc = arguments_read_words(command, argc, argv, v, n, help, say, &words,
				      &n_words);

	if (rc == -1 && n_words != 1) {
		return cli_usage(command, "%s", say);
	}
	*word = rc == -1 ? words[0] : *word;
	return rc;
}
