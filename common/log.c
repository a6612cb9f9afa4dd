#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

static _Atomic(int) level_now = LOG_LEVEL_INFO;
static void (*sink_now)(void *arg, enum log_level level, struct slice line);
static void *sink_arg;

static const char *const names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
	level_now = (int)level;
}

enum log_level log_get_level(void)
{
	return (enum log_level)level_now;
}

int log_level_parse(struct slice name)
{
	for (int i = 0; i < 4; i++) {
		if (slice_eq(name, slice_str(names[i]))) {
			return i;
		}
	}
	return -1;
}

void log_set_sink(void (*sink)(void *arg, enum log_level level,
			       struct slice line),
		  void *arg)
{
	sink_now = sink;
	sink_arg = arg;
}

void log_write(enum log_level level, const char *msg, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	struct timespec ts;
	struct tm tm;
	int saved = errno;
	size_t n;
	va_list ap;

	if ((int)level > level_now) {
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, sizeof line, "time=%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof line - n,
			      ".%03ldZ level=%s msg=\"%.256s\"%s",
			      ts.tv_nsec / 1000000, names[level], msg,
			      fmt[0] != '\0' ? " " : "");
	va_start(ap, fmt);
	n += (size_t)vsnprintf(line + n, sizeof line - n, fmt, ap);
	va_end(ap);
	if (n > sizeof line - 1) {
		n = sizeof line - 1;
	}
	line[n] = '\n';
	if (sink_now != NULL) {
		sink_now(sink_arg, level, slice(line, n));
	} else if (write(STDERR_FILENO, line, n + 1) < 0) {
		/* Nowhere left to say it. */
	}
	errno = saved;
}

const char *log_quote(char *out, size_t room, struct slice s)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	/* The longest step is 4 bytes; 6 are kept for ..." and the NUL. */
	if (room < 8) {
		if (room > 0) {
			out[0] = '\0';
		}
		return out;
	}
	out[n++] = '"';
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (n + 4 + 5 > room) {
			memcpy(out + n, "...", 3);
			n += 3;
			break;
		}
		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c >= ' ' && c < 0x7f) {
			out[n++] = (char)c;
		} else {
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}

void log_reason(enum log_level level, const char *msg, const char *why)
{
	char quoted[1024];

	log_write(level, msg, "reason=%s",
		  log_quote(quoted, sizeof quoted, slice_str(why)));
}
