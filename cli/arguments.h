/* arguments: the options of a subcommand, as a table, and the words among them.  Those that
 * take other forms call getopt_long(3) themselves. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strlist.h"

/* Exactly one of text, flag and texts. */
struct argument {
	const char *name; /* "store" for --store */
	char letter;      /* 'c' for -c as well; 0: none */
	const char **text; /* what follows it, borrowed from argv */
	bool *flag;        /* becomes true */
	struct strlist *texts; /* what follows it is added: it may come several times */
};

enum { ARGUMENTS_MAX = 16 };

/* -1: go on, *word is the one word among the options (say: "say verify or list", when
 * there is not one).  Otherwise the exit status: --help was answered by help(), or the
 * use was wrong and that was said. */
int arguments_read(const char *command, int argc, char **argv, const struct argument *v,
		   size_t n, void (*help)(void), const char *say, const char **word);
/* The same for one word or more, which getopt_long(3) has put behind the options. */
int arguments_read_words(const char *command, int argc, char **argv,
			 const struct argument *v, size_t n, void (*help)(void),
			 const char *say, char ***words, size_t *n_words);

#endif
