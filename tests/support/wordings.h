/* wordings: the lines of tests/unit/wordings, and what is made of them.
 *
 * A file has
 *
 *	# whatever the reader should know
 *	@sshd[7]                    the program of the lines that follow; "@": whole lines
 *	Invalid user {NAME} from 192.0.2.1 port 22
 *		ssh_login failure 1 user={NAME} ip=192.0.2.1 port=22
 *
 * a message and behind a tab what is made of it (tests/support/parsing.h), "-" where it must
 * be left.  {NAME} is what the client chooses.  Below may stand "!TEXT": but it can't hold
 * this (or, of vsftpd, nobody could tell); "~": its beginning is another wording; "=WORD": a
 * password typed for its user's name stays readable (test_typed_wordings.c has the words).
 */
#ifndef TESTS_SUPPORT_WORDINGS_H
#define TESTS_SUPPORT_WORDINGS_H

#include <stdbool.h>
#include <stddef.h>

enum { WORDINGS_MAX = 2400, WORDING_LINE = 2048 };

struct wording {
	const char *family, *tag; /* tag "": the line is whole */
	const char *message, *summary;
	const char *except; /* NULL, or what no {NAME} of this line can hold */
	const char *stays;  /* NULL, or why a typed password is not masked */
	bool longer;        /* its beginning is a wording of its own */
};

struct wordings {
	char *texts[64];
	size_t n_texts;
	struct wording cases[WORDINGS_MAX];
	size_t n;
};

/* Of the folder WORDINGS; for cmocka_run_group_tests(). */
int wordings_read(void **state);
int wordings_free(void **state);

bool wording_is_taken(const struct wording *c);
/* text with name for its {NAME}: in out, or text itself where it has none. */
const char *wording_named(const char *text, const char *name, char out[static WORDING_LINE]);
/* The message with its header: in out, or the message itself where it is a whole line. */
const char *wording_line(const char *tag, const char *message, char out[static WORDING_LINE]);

#endif
