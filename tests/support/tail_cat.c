/* tail_cat: the tail on the real kernel, for scripts: prints each line that comes, once.
 *
 *   tail_cat [--state FILE] [--max-open N] [--poll MS] GLOB...
 *
 * What was printed counts as acknowledged some milliseconds later.  Gaps go to stderr as
 * `gap PATH FROM REASON`, lines of a fork bear `fork ` in front.  SIGTERM writes the
 * state and ends it; SIGKILL does not.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "common/err.h"
#include "common/sys_uv.h"
#include "sources/tail.h"

enum { ACK_MS = 20, LINE_MAX_BYTES = 65536, TABLE_MAX = 64 * 1024 * 1024 };

struct ack {
	struct stream_id id;
	uint64_t end, h;
};

struct cat {
	struct sys_uv sys;
	struct tail *tail;
	const char *state;
	struct ack *acks;
	size_t n, room;
	uv_timer_t timer;
	uv_signal_t term;
};

static void die(const char *what, int rc)
{
	fprintf(stderr, "tail_cat: %s: %s\n", what, err_str(rc));
	exit(1);
}

static void note(struct cat *c, const struct stream_id *id, uint64_t end, uint64_t h)
{
	for (size_t i = 0; i < c->n; i++) {
		if (stream_id_eq(&c->acks[i].id, id)) {
			c->acks[i].end = end;
			c->acks[i].h = h;
			return;
		}
	}
	if (c->n == c->room) {
		c->room = 2 * c->room + 64;
		c->acks = realloc(c->acks, c->room * sizeof c->acks[0]);
		if (c->acks == NULL) {
			die("acks", UV_ENOMEM);
		}
	}
	c->acks[c->n++] = (struct ack){*id, end, h};
}

static void on_opened(void *arg, struct stream *s)
{
	(void)arg;
	(void)s;
}

static size_t on_chunk(void *arg, struct stream *s, struct slice data,
		       unsigned flags)
{
	struct cat *c = arg;
	struct slice rest = data;
	struct line line;
	uint64_t end = s->position;

	while (lines_next(&s->lines, &rest, (flags & TAIL_FINAL) != 0, &line)) {
		if (line.end > s->st.acked) {
			printf("%s%.*s\n", s->st.fork ? "fork " : "",
			       (int)line.text.n, line.text.p);
		}
		end = line.end;
	}
	note(c, &s->st.id, end, stream_hash_at(s, end));
	return data.n - rest.n;
}

static void on_gap(void *arg, const struct stream_state *st, uint64_t from,
		   const char *reason)
{
	(void)arg;
	fprintf(stderr, "gap %s %llu %s\n", st->path != NULL ? st->path : "-",
		(unsigned long long)from, reason);
}

static void ack(struct cat *c)
{
	fflush(stdout);
	for (size_t i = 0; i < c->n; i++) {
		tail_watermark(c->tail, &c->acks[i].id, c->acks[i].end,
			       c->acks[i].h);
		tail_detected(c->tail, &c->acks[i].id, c->acks[i].end);
	}
	c->n = 0;
}

static void on_timer(uv_timer_t *t)
{
	ack(t->data);
}

static void save(struct cat *c)
{
	struct stream_state *states = NULL;
	struct buf out;
	FILE *f;
	size_t n;
	int rc = tail_states(c->tail, &states, &n);

	buf_init(&out, TABLE_MAX);
	rc = rc != 0 ? rc : stream_table_encode(states, n, &out);
	f = fopen(c->state, "wb");
	if (rc != 0 || f == NULL || fwrite(out.p, 1, out.n, f) != out.n ||
	    fclose(f) != 0) {
		die(c->state, rc);
	}
	stream_states_free(states, n);
	buf_fini(&out);
}

static void on_term(uv_signal_t *s, int number)
{
	struct cat *c = s->data;

	(void)number;
	ack(c);
	if (c->state != NULL) {
		save(c);
	}
	exit(0);
}

static void restore(struct cat *c)
{
	struct stream_state *states = NULL;
	char *bytes;
	size_t n_bytes, n = 0;
	int rc = c->state == NULL ? UV_ENOENT
				  : sys_read_file(&c->sys.sys, c->state, TABLE_MAX,
						  &bytes, &n_bytes);

	if (rc == UV_ENOENT) {
		return;
	}
	rc = rc != 0 ? rc : stream_table_decode(slice(bytes, n_bytes), &states, &n);
	rc = rc != 0 ? rc : tail_restore(c->tail, states, n);
	if (rc != 0) {
		die(c->state, rc);
	}
	stream_states_free(states, n);
	free(bytes);
}

static void options_of(int argc, char **argv, struct cat *c,
		       struct sources_options *o)
{
	static const struct option longs[] = {
		{"state", required_argument, NULL, 's'},
		{"max-open", required_argument, NULL, 'm'},
		{"poll", required_argument, NULL, 'p'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 's':
			c->state = optarg;
			break;
		case 'm':
			o->max_open = strtoull(optarg, NULL, 10);
			break;
		case 'p':
			o->poll_interval_ms = strtoull(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	static const unsigned char secret[STREAM_SECRET] = {7, 7, 7};
	static const struct tail_callbacks callbacks = {
		.opened = on_opened, .chunk = on_chunk, .gap = on_gap,
	};
	struct sources_file file = {0};
	struct sources_options o = {.files = &file, .n_files = 1,
				    .line_max = LINE_MAX_BYTES,
				    .poll_interval_ms = 100,
				    .last_line_timeout_ms = 2000};
	struct cat c = {0};
	int rc;

	options_of(argc, argv, &c, &o);
	file.paths = (struct strlist){argv + optind, (size_t)(argc - optind)};
	sys_uv_init(&c.sys, uv_default_loop());
	rc = tail_new(&c.tail, &c.sys.sys, &o, secret, &callbacks, &c);
	if (rc != 0) {
		die("the globs", rc);
	}
	restore(&c);
	uv_timer_init(uv_default_loop(), &c.timer);
	uv_signal_init(uv_default_loop(), &c.term);
	c.timer.data = c.term.data = &c;
	uv_timer_start(&c.timer, on_timer, ACK_MS, ACK_MS);
	uv_signal_start(&c.term, on_term, SIGTERM);
	tail_start(c.tail);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
