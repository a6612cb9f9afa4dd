/* cli: the `nightjar` command: a table of subcommands, each in a file of its own.
 *
 * A subcommand gets argv with its own name first and returns the exit status:
 * 0 good, 1 it found something or failed, 2 used wrongly, 3 (where 1 says that something
 * was found) failed.  It answers --help
 * (what it does, options with defaults, an example) and, where it prints facts,
 * --json.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_BROKEN = 3 };

struct command {
	const char *name;
	const char *summary; /* one line for `nightjar --help` */
	int (*run)(int argc, char **argv);
};

/* Alphabetical; ends with a NULL name. */
extern const struct command commands[];

int cmd_explain(int argc, char **argv);
int cmd_parse(int argc, char **argv);
int cmd_rules(int argc, char **argv);
int cmd_redact(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_search(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_pki(int argc, char **argv);
int cmd_spool(int argc, char **argv);
int cmd_store(int argc, char **argv);

/* "nightjar parse: unknown option --foo (try nightjar parse --help)" on standard
 * error; returns CLI_USAGE. */
int cli_usage(const char *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same form, returns CLI_FAILED. */
int cli_fail(const char *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Says why a daemon could not be asked at the socket `path`, control_ask()'s rc;
 * returns CLI_FAILED. */
int cli_not_there(const char *command, const char *path, int rc);

#endif
