/* driver: runs a fuzz target without a fuzzing engine: every file named on the
 * command line (a folder: all in it), then `-runs=N` mutations of them from
 * `-seed=N`, which is printed.  The same arguments do the same. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES_MAX = 4096, INPUT_MAX = 1 << 20 }; /* files, bytes */

static struct {
	uint8_t *p;
	size_t n;
} seeds[FILES_MAX];
static size_t n_seeds;
static uint64_t state;

static uint64_t rnd(void)
{
	/* splitmix64 (Steele, Lea and Flood, 2014) */
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void load(const char *path)
{
	struct stat st;
	FILE *f;

	if (stat(path, &st) != 0) {
		perror(path);
		exit(2);
	}
	if (S_ISDIR(st.st_mode)) {
		struct dirent **names;
		int n = scandir(path, &names, NULL, alphasort);

		for (int i = 0; i < n; i++) {
			char sub[4096];

			if (names[i]->d_name[0] != '.') {
				snprintf(sub, sizeof sub, "%s/%s", path,
					 names[i]->d_name);
				load(sub);
			}
			free(names[i]);
		}
		free(names);
		return;
	}
	if (n_seeds == FILES_MAX || st.st_size > INPUT_MAX) {
		return;
	}
	f = fopen(path, "rb");
	seeds[n_seeds].p = malloc((size_t)st.st_size + 1);
	if (f == NULL || seeds[n_seeds].p == NULL) {
		perror(path);
		exit(2);
	}
	seeds[n_seeds].n = fread(seeds[n_seeds].p, 1, (size_t)st.st_size, f);
	fclose(f);
	n_seeds++;
}

/* An exactly sized heap copy, so that a sanitizer sees every overrun. */
static void run(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n == 0 ? 1 : n);

	if (copy == NULL) {
		exit(2);
	}
	memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void mutate(uint8_t *p, size_t *n)
{
	static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '\n', ' ', '"', ':', '%', '['};
	unsigned times = 1 + (unsigned)(rnd() % 8);

	while (times-- > 0) {
		size_t at = *n == 0 ? 0 : rnd() % *n;
		size_t len = 1 + rnd() % 16;

		switch (rnd() % 6) {
		case 0:
			if (*n > 0) {
				p[at] ^= (uint8_t)(1u << rnd() % 8);
			}
			break;
		case 1:
			if (*n > 0) {
				p[at] = odd[rnd() % sizeof odd];
			}
			break;
		case 2: /* cut */
			*n = at;
			break;
		case 3: /* drop a piece */
			if (at + len < *n) {
				memmove(p + at, p + at + len, *n - at - len);
				*n -= len;
			}
			break;
		case 4: /* repeat a piece */
			if (at + len < *n && *n + len < INPUT_MAX) {
				memmove(p + at + len, p + at, *n - at);
				*n += len;
			}
			break;
		default: { /* splice in a piece of another seed */
			size_t other = rnd() % n_seeds, from;

			if (seeds[other].n > 0 && *n + len < INPUT_MAX) {
				from = rnd() % seeds[other].n;
				if (len > seeds[other].n - from) {
					len = seeds[other].n - from;
				}
				memmove(p + at + len, p + at, *n - at);
				memcpy(p + at, seeds[other].p + from, len);
				*n += len;
			}
		}
		}
	}
}

int main(int argc, char **argv)
{
	unsigned long runs = 0;
	static uint8_t input[INPUT_MAX + 64];

	state = 1;
	for (int i = 1; i < argc; i++) {
		if (sscanf(argv[i], "-runs=%lu", &runs) == 1 ||
		    sscanf(argv[i], "-seed=%lu", &state) == 1) {
			continue;
		}
		load(argv[i]);
	}
	printf("%zu files, %lu mutations, seed %lu\n", n_seeds, runs,
	       (unsigned long)state);
	fflush(stdout);
	for (size_t i = 0; i < n_seeds; i++) {
		run(seeds[i].p, seeds[i].n);
	}
	for (unsigned long i = 0; i < runs && n_seeds > 0; i++) {
		size_t pick = rnd() % n_seeds, n = seeds[pick].n;

		memcpy(input, seeds[pick].p, n);
		mutate(input, &n);
		run(input, n);
	}
	for (size_t i = 0; i < n_seeds; i++) {
		free(seeds[i].p);
	}
	return 0;
}
