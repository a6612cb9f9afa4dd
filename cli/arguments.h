/* arguments: the options of a subcommand that has no positional arguments but one, as a
 * table.  Those that take more, or other forms, call getopt_long(3) themselves. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

/* Exactly one of text and flag. */
struct argument {
	const char *name; /* "store" for --store */
	char letter;      /* 'c' for -c as well; 0: none */
	const char **text; /* what follows it, borrowed from argv */
	bool *flag;        /* becomes true */
};

enum { ARGUMENTS_MAX = 16 };

/* -1: go on, *word is the one word among the options (say: "say verify or list", when
 * there is not one).  Otherwise the exit status: --help was answered by help(), or the
 * use was wrong and that was said. */
int arguments_read(const char *command, int argc, char **argv, const struct argument *v,
		   size_t n, void (*help)(void), const char *say, const char **word);

#endif
