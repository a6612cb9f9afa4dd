/* A password that somebody types where the user's name belongs is masked whatever the daemon:
 * every wording of tests/unit/wordings that tells of a failed login and of its user is given
 * one for a name.  Then no byte of it is left in the line or in the event, and the masked line
 * is read as the same event; and an ordinary name in the same place stays.
 *
 * Where it is not masked the wording's file says why, below it; a reason that is none any
 * more fails as well:
 *
 *	=exists    the daemon names only accounts that it knows: the name is no secret
 *	=asks      whoever asks has logged in already; nobody types this name
 *	=key       proved by a key or a certificate; a password is not asked for
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redact/redact.h"
#include "tests/support/parsing.h"
#include "tests/support/wordings.h"

#define MASK "*redacted-typed-password*"

static const char *const passwords[] = {"Huawei@123", "Winter2026", "1q2w3e4r", "xK9q2LmP", NULL};
static const char *const names[] = {"anna", "test123", "Operator01", "svc-backup-01", NULL};
static const char *const reasons[] = {"exists", "asks", "key", NULL};

static void to_hex(const char *text, char out[static WORDING_LINE])
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		n += (size_t)snprintf(out + n, WORDING_LINE - n, "%02X", (unsigned char)*text);
	}
	out[n] = '\0';
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* text with b for each a that is a whole word: how often. */
static size_t exchange(const char *text, const char *a, const char *b,
		       char out[static WORDING_LINE])
{
	size_t n = 0, found = 0, len = strlen(a);

	for (const char *p = text; *p != '\0';) {
		bool here = len > 0 && strncmp(p, a, len) == 0 && (p == text || !is_word(p[-1])) &&
			    !is_word(p[len]);
		int wrote = snprintf(out + n, WORDING_LINE - n, "%.*s", here ? 1000 : 1,
				     here ? b : p);

		assert_true(wrote >= 0 && n + (size_t)wrote < WORDING_LINE);
		n += (size_t)wrote;
		p += here ? len : 1;
		found += here;
	}
	out[n] = '\0';
	return found;
}

static void read_as(struct slice line, struct event *e, char got[static SUMMARY])
{
	struct parser *p;
	struct header h;

	assert_int_equal(parser_new(&p, NULL), 0);
	parser_line(p, line, TEST_NOW, &h, e);
	summarize(e, got);
	parser_free(p);
}

/* The user of the wording's failed login, if it tells one.  The name may be hex in the line. */
static bool user_of(const char *line, char user[static WORDING_LINE], bool *hex)
{
	char got[SUMMARY], hexed[WORDING_LINE], unused[WORDING_LINE];
	struct event e;
	struct slice name;
	struct parser *p;
	struct header h;

	assert_int_equal(parser_new(&p, NULL), 0);
	parser_line(p, slice_str(line), TEST_NOW, &h, &e);
	summarize(&e, got);
	name = event_get(&e, FIELD_USER_NAME);
	snprintf(user, WORDING_LINE, "%.*s", SLICE_ARG(name));
	parser_free(p);
	if (e.outcome != OUTCOME_FAILURE || user[0] == '\0') {
		return false;
	}
	to_hex(user, hexed);
	*hex = exchange(line, user, user, unused) == 0 &&
	       exchange(line, hexed, hexed, unused) > 0;
	return true;
}

struct world {
	struct wordings *w;
	struct redact *r;
	struct buf scratch;
	size_t tried, wrong;
	bool says; /* what is wrong */
};

static struct slice redacted(struct world *w, const char *line)
{
	struct redact_state state = {0};
	struct slice out;

	redact_line(w->r, &state, slice_str(line), &w->scratch, &out);
	return out;
}

/* The wording with this name: the line, which the parser reads as it did with the other. */
static void line_with(const char *line, const char *user, const char *name, bool hex,
		      char out[static WORDING_LINE])
{
	char a[WORDING_LINE], b[WORDING_LINE];

	if (!hex) {
		exchange(line, user, name, out);
		return;
	}
	to_hex(user, a);
	to_hex(name, b);
	exchange(line, a, b, out);
}

/* Nothing of the password is left, and the event is the same but for the mask. */
static bool is_masked(struct world *w, const char *line, const char *password)
{
	char got[SUMMARY], raw[SUMMARY], want[WORDING_LINE], hexed[WORDING_LINE];
	struct slice out = redacted(w, line);
	struct event e;

	to_hex(password, hexed);
	if (slice_find(out, slice_str(password)) != SIZE_MAX ||
	    slice_find(out, slice_str(hexed)) != SIZE_MAX) {
		return false;
	}
	read_as(slice_str(line), &e, raw);
	exchange(raw, password, MASK, want);
	read_as(out, &e, got);
	if (strcmp(got, want) != 0) {
		if (w->says) {
			print_error("%.*s\n  is   %s\n  not  %s\n", SLICE_ARG(out), got, want);
		}
		return false;
	}
	return true;
}

static bool all_masked(struct world *w, const char *line, const char *user, bool hex)
{
	char changed[WORDING_LINE];
	bool all = true;

	for (const char *const *p = passwords; *p != NULL; p++) {
		line_with(line, user, *p, hex, changed);
		if (!is_masked(w, changed, *p)) {
			if (w->says) {
				print_error("stays: %s\n", changed);
			}
			all = false;
		}
		w->tried++;
	}
	return all;
}

static bool is_reason(const char *text)
{
	for (const char *const *r = reasons; *r != NULL; r++) {
		if (strcmp(*r, text) == 0) {
			return true;
		}
	}
	return false;
}

static void a_typed_password_is_masked_in_every_wording_of_a_failed_login(void **state)
{
	struct world *w = *state;
	size_t wordings = 0, stay = 0;

	w->wrong = w->tried = 0;
	for (size_t i = 0; i < w->w->n; i++) {
		const struct wording *c = &w->w->cases[i];
		char m[WORDING_LINE], l[WORDING_LINE], user[WORDING_LINE];
		const char *line = wording_line(c->tag, wording_named(c->message, "bob", m), l);
		bool hex;

		if (!user_of(line, user, &hex)) {
			if (c->stays != NULL) {
				print_error("no failed login of a user: %s\n", line);
				w->wrong++;
			}
			continue;
		}
		if (c->stays != NULL && !is_reason(c->stays)) {
			fail_msg("%s is no reason: %s", c->stays, line);
		}
		w->says = c->stays == NULL;
		if (all_masked(w, line, user, hex) == (c->stays != NULL)) {
			print_error("%s: %s: %s\n", c->family,
				    c->stays != NULL ? "is masked after all" : "is not masked",
				    line);
			w->wrong++;
		}
		wordings++;
		stay += c->stays != NULL;
	}
	print_message("%zu wordings of failed logins, %zu with a reason to leave the name; "
		      "%zu lines\n", wordings, stay, w->tried);
	assert_int_equal(w->wrong, 0);
}

static void an_ordinary_name_stays_in_every_wording_of_a_failed_login(void **state)
{
	struct world *w = *state;

	w->wrong = 0;
	for (size_t i = 0; i < w->w->n; i++) {
		const struct wording *c = &w->w->cases[i];
		char m[WORDING_LINE], l[WORDING_LINE], user[WORDING_LINE], changed[WORDING_LINE];
		const char *line = wording_line(c->tag, wording_named(c->message, "bob", m), l);
		bool hex;

		if (!user_of(line, user, &hex)) {
			continue;
		}
		for (const char *const *n = names; *n != NULL; n++) {
			line_with(line, user, *n, hex, changed);
			if (slice_find(redacted(w, changed), slice_str(MASK)) != SIZE_MAX) {
				print_error("is masked: %s\n", changed);
				w->wrong++;
			}
		}
	}
	assert_int_equal(w->wrong, 0);
}

/* Somebody types it behind something else, or types a passphrase. */
static void of_a_name_with_blanks_the_password_goes(void **state)
{
	static const char *const typed[][2] = {
		{"my Huawei@123", "Huawei@123"},
		{"Winter2026 x", "Winter2026"},
		{"correct horse battery staple", "horse battery"},
	};
	struct world *w = *state;

	w->wrong = 0;
	for (size_t i = 0; i < w->w->n; i++) {
		const struct wording *c = &w->w->cases[i];
		char m[WORDING_LINE], l[WORDING_LINE], user[WORDING_LINE];
		bool hex;

		if (c->stays != NULL || strstr(c->message, "{NAME}") == NULL ||
		    !user_of(wording_line(c->tag, wording_named(c->message, "bob", m), l), user,
			     &hex)) {
			continue;
		}
		for (size_t k = 0; k < sizeof typed / sizeof *typed; k++) {
			const char *line = wording_line(
				c->tag, wording_named(c->message, typed[k][0], m), l);

			if (slice_find(redacted(w, line), slice_str(typed[k][1])) != SIZE_MAX) {
				print_error("stays: %s\n", line);
				w->wrong++;
			}
		}
	}
	assert_int_equal(w->wrong, 0);
}

static int open_world(void **state)
{
	static const struct redact_options options = {.enabled = true};
	struct world *w = calloc(1, sizeof *w);
	void *wordings;

	assert_non_null(w);
	wordings_read(&wordings);
	w->w = wordings;
	assert_int_equal(redact_new(&w->r, &options), 0);
	buf_init(&w->scratch, 4 * WORDING_LINE);
	*state = w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;
	void *wordings = w->w;

	wordings_free(&wordings);
	redact_free(w->r);
	buf_wipe(&w->scratch);
	free(w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_typed_password_is_masked_in_every_wording_of_a_failed_login),
		cmocka_unit_test(an_ordinary_name_stays_in_every_wording_of_a_failed_login),
		cmocka_unit_test(of_a_name_with_blanks_the_password_goes),
	};

	return cmocka_run_group_tests(tests, open_world, close_world);
}
