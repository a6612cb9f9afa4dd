#include "tests/sim/range.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/run.h"

enum { BLOCK = 50, TWICE_EVERY = 50 };

struct sum {
	uint64_t runs, failed, deaths, repeated, told, excused, doubled, mixed, limited;
};

static void add(struct sum *to, const struct sum *s)
{
	to->runs += s->runs;
	to->failed += s->failed;
	to->deaths += s->deaths;
	to->repeated += s->repeated;
	to->told += s->told;
	to->excused += s->excused;
	to->doubled += s->doubled;
	to->mixed += s->mixed;
	to->limited += s->limited;
}

static void run_seed(const struct plan *as, uint64_t seed, struct sum *s)
{
	struct plan p = *as;
	struct run_outcome o, again;

	p.seed = seed;
	run_one(&p, &o);
	if (seed % TWICE_EVERY == 0) {
		run_one(&p, &again);
		if (again.trace != o.trace) {
			printf("FAILED: seed %llu does not repeat itself\n",
			       (unsigned long long)seed);
			o.ok = false;
		}
	}
	s->runs++;
	s->failed += !o.ok;
	s->deaths += o.deaths;
	s->repeated += o.repeated > 0;
	s->told += o.told > 0;
	s->excused += o.excused;
	s->doubled += o.doubled > 0;
	s->mixed += o.mixed;
	s->limited += o.ok && o.limited;
}

/* ---- the file: "done FROM RUNS FAILED DEATHS REPEATED TOLD EXCUSED DOUBLED
 * MIXED LIMITED" ---- */

static void note_block(const char *path, uint64_t from, const struct sum *s)
{
	char line[256];
	int n = snprintf(line, sizeof line,
			 "done %llu %llu %llu %llu %llu %llu %llu %llu "
			 "%llu %llu\n",
			 (unsigned long long)from, (unsigned long long)s->runs,
			 (unsigned long long)s->failed,
			 (unsigned long long)s->deaths,
			 (unsigned long long)s->repeated,
			 (unsigned long long)s->told,
			 (unsigned long long)s->excused,
			 (unsigned long long)s->doubled,
			 (unsigned long long)s->mixed,
			 (unsigned long long)s->limited);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);

	if (fd < 0 || write(fd, line, (size_t)n) != n) {
		perror(path);
	}
	if (fd >= 0) {
		close(fd);
	}
}

/* Marks the blocks of the range that are done, and sums them up. */
static void read_progress(const char *path, uint64_t from, uint64_t runs,
			  bool *done, struct sum *total)
{
	FILE *f = path == NULL ? NULL : fopen(path, "r");
	unsigned long long v[10];
	char line[256];

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		uint64_t block;

		if (sscanf(line, "done %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu",
			   &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
			   &v[6], &v[7], &v[8], &v[9]) != 10 ||
		    v[0] < from || v[0] >= from + runs ||
		    (v[0] - from) % BLOCK != 0) {
			continue;
		}
		block = (v[0] - from) / BLOCK;
		if (done[block] ||
		    (v[1] != BLOCK && v[0] + v[1] != from + runs)) {
			continue;
		}
		done[block] = true;
		add(total, &(struct sum){v[1], v[2], v[3], v[4], v[5], v[6],
					  v[7], v[8], v[9]});
	}
	if (f != NULL) {
		fclose(f);
	}
}

/* ---- processes ---- */

static void run_blocks(const struct plan *as, uint64_t runs, const char *progress,
		       const bool *done, unsigned job, unsigned jobs,
		       struct sum *total)
{
	uint64_t from = as->seed;
	uint64_t blocks = (runs + BLOCK - 1) / BLOCK;

	for (uint64_t b = job; b < blocks; b += jobs) {
		uint64_t first = from + b * BLOCK, end = first + BLOCK;
		struct sum s = {0};

		if (done[b]) {
			continue;
		}
		end = end < from + runs ? end : from + runs;
		for (uint64_t seed = first; seed < end; seed++) {
			run_seed(as, seed, &s);
		}
		if (progress != NULL) {
			note_block(progress, first, &s);
		}
		add(total, &s);
	}
}

/* Whoever does not come back has failed. */
static void wait_for(pid_t *pids, unsigned n, struct sum *total)
{
	for (unsigned i = 0; i < n; i++) {
		int status;

		while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR) {
		}
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			printf("FAILED: job %u ended with status %d\n", i,
			       status);
			total->failed++;
		}
	}
}

static void run_jobs(const struct plan *as, uint64_t runs, const char *progress,
		     const bool *done, unsigned jobs, struct sum *total)
{
	struct sum *sums = mmap(NULL, jobs * sizeof *sums,
				PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[64];

	if (sums == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	fflush(stdout);
	for (unsigned i = 0; i < jobs; i++) {
		pids[i] = fork();
		if (pids[i] < 0) {
			perror("fork");
			exit(2);
		}
		if (pids[i] == 0) {
			run_blocks(as, runs, progress, done, i, jobs,
				   &sums[i]);
			fflush(stdout);
			_exit(0);
		}
	}
	wait_for(pids, jobs, total);
	for (unsigned i = 0; i < jobs; i++) {
		add(total, &sums[i]);
	}
	munmap(sums, jobs * sizeof *sums);
}

unsigned range_run(const struct plan *first, uint64_t runs, unsigned jobs,
		   const char *progress)
{
	uint64_t from = first->seed;
	bool *done = calloc(runs / BLOCK + 1, sizeof *done);
	struct timespec start, now;
	struct sum total = {0};
	uint64_t before;
	double seconds;

	if (done == NULL) {
		exit(2);
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	read_progress(progress, from, runs, done, &total);
	before = total.runs;
	if (jobs > 1) {
		run_jobs(first, runs, progress, done, jobs, &total);
	} else {
		run_blocks(first, runs, progress, done, 0, 1, &total);
	}
	free(done);
	clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = (double)(now.tv_sec - start.tv_sec) +
		  (double)(now.tv_nsec - start.tv_nsec) / 1e9;
	printf("seeds %llu to %llu: %llu runs, %llu failed; %llu deaths; in %llu "
	       "something was put back, copied or damaged, in %llu a line stands "
	       "there twice, flagged, in %llu without a flag (by a machine that "
	       "was copied), in %llu lines of two such machines are mixed or lost, in %llu a "
	       "whole log is lost that was never seen because of a clock, in "
	       "%llu lines are told as lost, rightly; "
	       "%.1f runs a second\n",
	       (unsigned long long)from, (unsigned long long)(from + runs - 1),
	       (unsigned long long)total.runs,
	       (unsigned long long)total.failed,
	       (unsigned long long)total.deaths,
	       (unsigned long long)total.excused,
	       (unsigned long long)total.repeated,
	       (unsigned long long)total.doubled,
	       (unsigned long long)total.mixed,
	       (unsigned long long)total.limited,
	       (unsigned long long)total.told,
	       (double)(total.runs - before) / (seconds > 0 ? seconds : 1));
	return total.failed > UINT32_MAX ? UINT32_MAX : (unsigned)total.failed;
}

/* ---- seeds that once failed ---- */

static bool take_line(const char *line, struct plan *p)
{
	char name[64] = "", kills[16] = "";
	unsigned long long seed;
	int n = sscanf(line, "%llu %63s %15s", &seed, name, kills);

	if (n < 1) {
		return false;
	}
	*p = (struct plan){.seed = seed};
	if (n > 1 && strcmp(name, "compress") == 0) {
		p->compress = true;
		return true;
	}
	if (n > 1 && strcmp(name, "between") == 0) {
		p->between = true;
		return true;
	}
	if (n > 1 && name[0] != '#') {
		p->scenario = scenario_named(name);
		p->kills = strcmp(kills, "kills") == 0;
	}
	return n == 1 || name[0] == '#' || p->scenario != NULL;
}

unsigned range_file(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned runs = 0, failed = 0;
	struct run_outcome o;
	struct plan p;
	char line[256];

	if (f == NULL) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof line, f) != NULL) {
		if (line[0] == '#' || line[0] == '\n') {
			continue;
		}
		if (!take_line(line, &p)) {
			printf("cannot be read: %s", line);
			failed++;
			continue;
		}
		run_one(&p, &o);
		runs++;
		failed += !o.ok;
	}
	fclose(f);
	printf("%u seeds that once failed: %u failed\n", runs, failed);
	return failed;
}
