/* Unit tests of wire/renewal.h: files that are renewed while somebody uses them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "tests/support/identities.h"
#include "wire/renewal.h"

struct fixture {
	struct identities t;
	struct renewal renewal;
	struct identity *id;
	char crt[128], key[128], ca[128];
	char why[IDENTITY_WHY];
};

static void path_of(struct fixture *f, char out[static 128], const char *name)
{
	snprintf(out, 128, "%s", identities_path(&f->t, name));
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	identities_open(&f->t);
	f->id = identities_device(&f->t, "gw");
	path_of(f, f->crt, "gw.crt");
	path_of(f, f->key, "gw.key");
	path_of(f, f->ca, "authority.crt");
	renewal_init(&f->renewal, sys_plain(), f->crt, f->key, f->ca);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	identity_free(f->id);
	identities_close(&f->t);
	free(f);
	return 0;
}

static int check(struct fixture *f, const struct identity *same)
{
	struct identity *fresh;
	int rc = renewal_check(&f->renewal, same, &fresh, f->why);

	assert_int_equal(fresh != NULL, rc == 1);
	identity_free(fresh);
	return rc;
}

/* As who renews does: beside it, then renamed. */
static void replace(const char *path, const char *bytes, size_t n)
{
	char beside[160];
	FILE *out;

	snprintf(beside, sizeof beside, "%s.new", path);
	out = fopen(beside, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, n, out), n);
	fclose(out);
	assert_int_equal(chmod(beside, 0600), 0);
	assert_int_equal(rename(beside, path), 0);
}

static char *content(const char *path, size_t *n)
{
	char *p;

	assert_int_equal(sys_read_file(sys_plain(), path, 65536, &p, n), 0);
	return p;
}

static void what_is_as_it_was_is_not_loaded(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(check(f, f->id), 0);
	}
}

static void another_file_of_the_same_name_is(void **state)
{
	struct fixture *f = *state;
	size_t n;
	char *p = content(f->crt, &n);

	replace(f->crt, p, n);
	assert_int_equal(check(f, f->id), 1);
	assert_int_equal(check(f, f->id), 0);
	free(p);
}

/* Whatever is missing of it: named once, and the next good one is taken. */
static void a_set_that_is_not_good_is_named_once(void **state)
{
	struct fixture *f = *state;
	const char *paths[] = {f->crt, f->key, f->ca};

	for (int i = 0; i < 3; i++) {
		size_t n;
		char *p = content(paths[i], &n);

		replace(paths[i], p, n / 2);
		assert_true(check(f, f->id) < 0);
		assert_non_null(strstr(f->why, paths[i]));
		assert_int_equal(check(f, f->id), 0);
		unlink(paths[i]);
		assert_true(check(f, f->id) < 0);
		assert_int_equal(check(f, f->id), 0);
		replace(paths[i], p, n);
		assert_int_equal(check(f, f->id), 1);
		free(p);
	}
	/* A key that anybody may read is no key. */
	assert_int_equal(chmod(f->key, 0644), 0);
	assert_int_equal(check(f, f->id), UV_EPERM);
	assert_int_equal(check(f, f->id), 0);
	assert_int_equal(chmod(f->key, 0600), 0);
	assert_int_equal(check(f, f->id), 1);
}

/* A device does not become another one by a file. */
static void another_key_is_another_device(void **state)
{
	struct fixture *f = *state;
	struct identity *other = identities_device(&f->t, "other");
	char crt[128], key[128];
	size_t n_crt, n_key;
	char *p_crt, *p_key;

	path_of(f, crt, "other.crt");
	path_of(f, key, "other.key");
	p_crt = content(crt, &n_crt);
	p_key = content(key, &n_key);
	replace(f->crt, p_crt, n_crt);
	/* Half of it: they do not belong together. */
	assert_int_equal(check(f, f->id), ERR_CERTIFICATE);
	replace(f->key, p_key, n_key);
	assert_int_equal(check(f, f->id), ERR_CERTIFICATE);
	assert_non_null(strstr(f->why, "another device"));
	/* A collector has no name for ever: there it is good. */
	replace(f->key, p_key, n_key);
	assert_int_equal(check(f, NULL), 1);
	free(p_crt);
	free(p_key);
	identity_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_as_it_was_is_not_loaded,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_file_of_the_same_name_is,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_set_that_is_not_good_is_named_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_key_is_another_device,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
