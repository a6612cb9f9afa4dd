/* writer: a program that logs, and knows exactly what it has written.
 *
 *	writer PATH ID RATE SEED LOCK
 *
 * Appends numbered lines to PATH, RATE a second on the average, until SIGTERM; then
 * prints how many, and every one of them was written whole: write() took all of it.
 * A line bears the token wIDnNUMBER and ends in the CRC-32 of what stands before it.
 * SIGHUP makes it open PATH anew, as daemons do after a rotation: until then it goes
 * on in the file it has, whatever that is called by now.
 *
 * Now and then many lines go out in one write, a line is some thousand bytes long, or
 * comes in two halves.  LOCK is held (shared, flock) around every write, halves
 * included: whoever holds it exclusively knows that no line is on its way; "" for none.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { LINE = 12288, BURST = 65536 };

static volatile sig_atomic_t stop, reopen;

static void on_signal(int number)
{
	if (number == SIGHUP) {
		reopen = 1;
	} else {
		stop = 1;
	}
}

static void fail(const char *what)
{
	fprintf(stderr, "writer: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* splitmix64: good enough, and the same everywhere. */
static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t below(uint64_t *state, uint64_t n)
{
	return draw(state) % n;
}

struct writer {
	const char *path;
	unsigned id;
	uint64_t seed;
	uint64_t n; /* lines written so far */
	int fd, lock;
};

static size_t padding(uint64_t *r)
{
	switch (below(r, 400)) {
	case 0:
		return 2000 + below(r, 8000);
	case 1: case 2: case 3: case 4: case 5:
		return 0;
	default:
		return below(r, 240);
	}
}

/* Writes line n to out, which has room for LINE bytes; returns its length. */
static size_t make_line(struct writer *w, uint64_t n, char *out)
{
	static const char words[] = "the gate opened and closed again while rain fell ";
	struct timespec now;
	struct tm tm;
	size_t pad = padding(&w->seed), head, at;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	at = strftime(out, LINE, "%Y-%m-%dT%H:%M:%S", &tm);
	at += (size_t)snprintf(out + at, LINE - at, ".%06ld+00:00 gateway ",
			       now.tv_nsec / 1000);
	if (below(&w->seed, 25) == 0) {
		/* Something for the detectors, and so for the alert lane. */
		at += (size_t)snprintf(out + at, LINE - at, "sshd[%u]: ", 1000 + w->id);
		head = at;
		at += (size_t)snprintf(out + at, LINE - at,
			"Failed password for invalid user w%un%llu from 192.0.2.%u port 4022 ssh2",
			w->id, (unsigned long long)n, (unsigned)below(&w->seed, 250) + 1);
	} else {
		at += (size_t)snprintf(out + at, LINE - at, "crash[%u]: ", 1000 + w->id);
		head = at;
		at += (size_t)snprintf(out + at, LINE - at, "w%un%llu ", w->id,
				       (unsigned long long)n);
		for (size_t i = 0; i < pad; i++) {
			out[at++] = words[i % (sizeof words - 1)];
		}
		at += (size_t)snprintf(out + at, LINE - at, "/%lu",
				       crc32(0, (const Bytef *)out + head, (uInt)(at - head)));
	}
	out[at++] = '\n';
	return at;
}

static void put(const struct writer *w, const char *p, size_t n)
{
	ssize_t done = write(w->fd, p, n);

	if (done < 0 || (size_t)done != n) {
		fail(w->path);
	}
}

static void nap(uint64_t microseconds)
{
	struct timespec t = {(time_t)(microseconds / 1000000),
			     (long)(microseconds % 1000000) * 1000};

	nanosleep(&t, NULL);
}

static void open_file(struct writer *w)
{
	int fd = open(w->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0) {
		fail(w->path);
	}
	if (w->fd >= 0) {
		close(w->fd);
	}
	w->fd = fd;
}

static void lock(const struct writer *w, int how)
{
	while (w->lock >= 0 && flock(w->lock, how) != 0) {
		if (errno != EINTR) {
			fail("the lock");
		}
	}
}

/* Some lines in one write, or one in two. */
static void write_some(struct writer *w)
{
	static char out[BURST + LINE];
	size_t n = 0, cut;
	uint64_t lines = below(&w->seed, 50) == 0 ? 20 + below(&w->seed, 200) : 1;

	while (lines-- > 0 && n < BURST) {
		n += make_line(w, ++w->n, out + n);
	}
	lock(w, LOCK_SH);
	/* A second writer in the same file would get between the halves. */
	if (w->id % 2 == 0 && below(&w->seed, 20) == 0) {
		cut = 1 + (size_t)below(&w->seed, n - 1);
		put(w, out, cut);
		nap(below(&w->seed, 30000));
		put(w, out + cut, n - cut);
	} else {
		put(w, out, n);
	}
	lock(w, LOCK_UN);
}

int main(int argc, char **argv)
{
	struct writer w = {.fd = -1, .lock = -1};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	uint64_t rate;

	if (argc != 6) {
		fputs("usage: writer PATH ID RATE SEED LOCK\n", stderr);
		return 2;
	}
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	w.path = argv[1];
	w.id = (unsigned)strtoul(argv[2], NULL, 10);
	rate = strtoull(argv[3], NULL, 10);
	w.seed = strtoull(argv[4], NULL, 10);
	if (rate == 0) {
		fputs("writer: RATE is at least 1\n", stderr);
		return 2;
	}
	if (argv[5][0] != '\0') {
		w.lock = open(argv[5], O_RDONLY | O_CLOEXEC);
		if (w.lock < 0) {
			fail(argv[5]);
		}
	}
	open_file(&w);
	while (!stop) {
		if (reopen) {
			reopen = 0;
			open_file(&w);
		}
		write_some(&w);
		/* A burst now and then has three lines for each write. */
		nap(below(&w.seed, 2 * 3200000 / rate));
	}
	printf("%llu\n", (unsigned long long)w.n);
	return 0;
}
