/* make_mmdb TYPE FILE: a small database (mmdb.h) of the lines on standard input,
 *   NETWORK COUNTRY LATITUDE LONGITUDE RADIUS NUMBER ORGANIZATION
 * each "-" for none.  The file is written anew under another name and then renamed; with
 * IN_PLACE in the environment over what is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/mmdb.h"

enum { LINES = 64, LINE = 256 };

static void take(struct mmdb_entry *e, char *line)
{
	char *words[7] = {NULL};

	for (unsigned i = 0; i < 7; i++) {
		words[i] = strtok(i == 0 ? line : NULL, " \n");
	}
	e->net = words[0];
	e->country = words[1] == NULL || words[1][0] == '-' ? NULL : words[1];
	e->located = words[3] != NULL && strcmp(words[2], "-") != 0;
	e->latitude = e->located ? strtod(words[2], NULL) : 0;
	e->longitude = e->located ? strtod(words[3], NULL) : 0;
	e->radius_km = words[4] == NULL ? 0 : (uint16_t)strtoul(words[4], NULL, 10);
	e->number = words[5] == NULL ? 0 : (uint32_t)strtoul(words[5], NULL, 10);
	e->organization = words[6] == NULL || words[6][0] == '-' ? NULL : words[6];
}

static int put_file(const char *path, const struct buf *bytes)
{
	char other[4096];
	bool in_place = getenv("IN_PLACE") != NULL;
	FILE *f;

	snprintf(other, sizeof other, "%s%s", path, in_place ? "" : ".new");
	f = fopen(other, "w");
	if (f == NULL || fwrite(bytes->p, 1, bytes->n, f) != bytes->n || fclose(f) != 0 ||
	    (!in_place && rename(other, path) != 0)) {
		perror(other);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char lines[LINES][LINE];
	static struct mmdb_entry entries[LINES];
	struct buf out;
	size_t n = 0;
	int rc;

	if (argc != 3) {
		fputs("usage: make_mmdb TYPE FILE <LINES\n", stderr);
		return 2;
	}
	while (n < LINES && fgets(lines[n], LINE, stdin) != NULL) {
		take(&entries[n], lines[n]);
		n += entries[n].net != NULL;
	}
	buf_init(&out, 1024 * 1024);
	if (!mmdb_write(&out, argv[1], entries, n)) {
		fputs("make_mmdb: a network is wrong or stands in another\n", stderr);
		return 1;
	}
	rc = put_file(argv[2], &out);
	buf_fini(&out);
	return rc;
}
