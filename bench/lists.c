/* lists [ENTRIES]: what a list of so many entries (a million) costs: bytes, the time to read
 * it, and the time to look a value up, half of which are in it.  Of networks of IPv4, of
 * IPv6, and of names, drawn at random from a fixed seed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/sys_uv.h"
#include "detectors/roster.h"

enum { LOOKS = 1000000, VALUE = 48 };

enum kind { V4, V6, NAMES, KINDS };

static uint64_t mixed(uint64_t n)
{
	n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
	return n ^ n >> 31;
}

/* Entry n as a list has it; value: as a line has it. */
static int put(char out[static VALUE], enum kind kind, uint64_t n, bool value)
{
	uint64_t r = mixed(n * KINDS + kind + 1);

	switch (kind) {
	case V4:
		return snprintf(out, VALUE, "%u.%u.%u.%s", (unsigned)(r & 127) + 64,
				(unsigned)(r >> 8 & 255), (unsigned)(r >> 16 & 255),
				value ? "7" : "0/24");
	case V6:
		return snprintf(out, VALUE, "2a%02x:%x:%x::%s", (unsigned)(r & 255),
				(unsigned)(r >> 8 & 65535), (unsigned)(r >> 24 & 65535),
				value ? "7" : "/48");
	default:
		return snprintf(out, VALUE, "h%llx.example.org", (unsigned long long)r);
	}
}

static int write_list(const char *path, enum kind kind, uint64_t n)
{
	FILE *f = fopen(path, "w");
	char line[VALUE];

	if (f == NULL) {
		return -1;
	}
	for (uint64_t i = 0; i < n; i++) {
		put(line, kind, i, false);
		fprintf(f, "%s\n", line);
	}
	return fclose(f);
}

static double ms_since(int64_t ns)
{
	return (double)(sys_mono_ns(sys_plain()) - ns) / 1e6;
}

/* Nanoseconds of a look; what takes to make the value is taken off. */
static double look(const struct roster *r, enum kind kind, uint64_t n, unsigned *found)
{
	char (*values)[VALUE] = malloc(LOOKS * sizeof *values);
	int64_t from;
	double ms;

	if (values == NULL) {
		return 0;
	}
	for (uint64_t i = 0; i < LOOKS; i++) {
		put(values[i], kind, mixed(i) % (2 * n), true);
	}
	from = sys_mono_ns(sys_plain());
	for (uint64_t i = 0; i < LOOKS; i++) {
		*found += roster_has(r, slice_str(values[i]));
	}
	ms = ms_since(from);
	free(values);
	return ms * 1e6 / LOOKS;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"IPv4 /24", "IPv6 /48", "names"};
	static const uint8_t key[16] = "bench of lists.";
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	char path[] = "/tmp/nightjar_lists.XXXXXX";
	int fd = mkstemp(path), rc = fd < 0;

	if (fd >= 0) {
		close(fd);
	}
	for (unsigned kind = 0; rc == 0 && kind < KINDS; kind++) {
		struct roster *r;
		unsigned found = 0;
		int64_t from;
		double ms;

		rc = write_list(path, (enum kind)kind, n);
		from = sys_mono_ns(sys_plain());
		rc = rc == 0 ? roster_read(&r, sys_plain(), path, key, NULL, NULL) : rc;
		if (rc == 0) {
			ms = ms_since(from);
			printf("%-9s %llu entries: %zu kept, %.2f MiB, read in %.0f ms, "
			       "a look %.0f ns",
			       names[kind], (unsigned long long)n,
			       roster_about(r)->networks + roster_about(r)->texts,
			       (double)roster_about(r)->bytes / 1048576, ms,
			       look(r, (enum kind)kind, n, &found));
			printf(" (%.1f%% found)\n", found * 100.0 / LOOKS);
			roster_free(r);
		}
	}
	unlink(path);
	return rc != 0;
}
