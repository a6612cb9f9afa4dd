/* make_wire_seeds DIR: writes the seeds of the fuzz targets of wire/ to DIR/NAME,
 * out of the encoders themselves.  Run again when a format has changed:
 *   ninja -C BUILD wire/make_wire_seeds && BUILD/wire/make_wire_seeds tests/fuzz/seeds */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "common/sys_uv.h"
#include "wire/body.h"
#include "wire/frame.h"
#include "wire/head.h"
#include "wire/msg.h"

enum { PATH_ROOM = 1024 };

static const char *root;

static void must(int rc)
{
	if (rc != 0) {
		fprintf(stderr, "make_wire_seeds: error %d\n", rc);
		exit(1);
	}
}

static void save(const char *target, const char *name, const struct buf *b)
{
	char path[PATH_ROOM];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", root, target);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
	f = fopen(path, "wb");
	if (f == NULL || fwrite(b->p, 1, b->n, f) != b->n || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void frames(void)
{
	struct buf b;

	buf_init(&b, 4096);
	must(buf_add_u32(&b, 5));
	must(buf_add(&b, "\1hello", 6));
	must(buf_add_u32(&b, 0));
	must(buf_add_u8(&b, MSG_PING));
	save("frame", "two", &b);
	buf_clear(&b);
	must(buf_add_u32(&b, LIMIT_FRAME + 1));
	must(buf_add_u8(&b, 4));
	save("frame", "giant", &b);
	buf_clear(&b);
	must(buf_add_u32(&b, LIMIT_FRAME));
	must(buf_add(&b, "\4abc", 4));
	save("frame", "unfinished", &b);
	buf_fini(&b);
}

static void headers(void)
{
	struct seal_secret k[2];
	struct seal_key keys[2];
	struct sealer_params p = {.lane = LANE_KEPT,
				  .number = 300,
				  .created_ms = 1795363200000,
				  .window_log = 17,
				  .level = 2,
				  .head_every_s = 10,
				  .recipients = keys};
	struct sealer *s;
	struct buf b;

	buf_init(&b, LIMIT_SEGMENT_HEADER);
	for (size_t i = 0; i < 2; i++) {
		must(seal_secret_new(&k[i], sys_plain()));
		keys[i] = k[i].pub;
		p.n_recipients = i + 1;
		must(sealer_new(&s, sys_plain(), &p));
		buf_clear(&b);
		must(buf_add_slice(&b, sealer_header(s)));
		save("segment_header", i == 0 ? "one" : "two", &b);
		sealer_free(s);
	}
	buf_fini(&b);
}

/* One command of fuzz_batch: claimed size, bytes. */
static void command(struct buf *b, uint8_t what, size_t decoded,
		    const void *bytes, size_t n)
{
	must(buf_add_u8(b, what));
	must(buf_add_u16(b, (uint16_t)n));
	must(buf_add_u16(b, (uint16_t)decoded));
	must(buf_add(b, bytes, n));
}

static void batches(void)
{
	static const char text[] = "Nov 22 15:37:46 gw sshd[7]: Failed password "
				   "for root from 192.0.2.1 port 22 ssh2\n";
	ZSTD_CCtx *z = ZSTD_createCCtx();
	char packed[512];
	struct buf b;

	buf_init(&b, 4096);
	ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0);
	for (int i = 0; i < 3; i++) {
		ZSTD_inBuffer in = {text, sizeof text - 1, 0};
		ZSTD_outBuffer out = {packed, sizeof packed, 0};

		ZSTD_compressStream2(z, &out, &in, ZSTD_e_flush);
		command(&b, 0, sizeof text - 1, packed, out.pos);
	}
	save("batch", "three", &b);
	command(&b, 1, 60000, "\x28\xb5\x2f\xfd", 4); /* Lies about its size. */
	save("batch", "lie", &b);
	buf_clear(&b);
	command(&b, 0xff, 0, "not a batch at all, but bytes", 29);
	save("batch", "raw", &b);
	ZSTD_freeCCtx(z);
	buf_fini(&b);
}

static void bodies(void)
{
	struct body_section s;
	struct record r = {.observed_ns = INT64_C(1795363200123000000),
			   .header = {.time_ns = TIME_NONE}};
	struct buf b;

	buf_init(&b, 4096);
	body_section_init(&s, 4096);
	for (uint32_t i = 0; i < 5; i++) {
		r.line = SLICE_LIT("a line of text");
		r.start = r.end;
		r.end = r.start + r.line.n + 1 + i % 2;
		r.flags = i == 3 ? RECORD_REDACTED : 0;
		must(body_add(&s, &r, i == 4));
	}
	must(buf_add_u8(&b, 0)); /* One stream, */
	must(buf_add_u8(&b, 5)); /* five records, */
	must(buf_add_u16(&b, (uint16_t)s.end));
	must(body_section_write(&s, &b));
	save("body", "five", &b);
	body_section_fini(&s);
	buf_fini(&b);
}

static void start(struct buf *b, enum msg_type type)
{
	buf_clear(b);
	must(buf_add_u8(b, (uint8_t)type));
}

static void messages(void)
{
	struct msg_stream stream = {.id = {{1}}, .received = 500,
				    .durable = 400, .h_received = 7};
	struct msg_segment segment = {.id = {{2}}, .index = 3};
	struct rung rungs[3] = {{900, 1}, {300, 2}, {0, 3}};
	struct buf b, streams, segments;

	buf_init(&b, 4096);
	buf_init(&streams, 4096);
	buf_init(&segments, 4096);
	must(msg_add_stream(&streams, &stream));
	must(msg_add_segment(&segments, &segment));
	start(&b, MSG_HELLO);
	must(hello_encode(
		&(struct hello){.version_min = 1, .version_max = 1,
				.time_ms = 1795363200000,
				.software = SLICE_LIT("nightjar-agent 0.1.0"),
				.store_id = SLICE_LIT("0123456789abcdef"),
				.acked_head = SLICE_LIT("head"),
				.segments = buf_slice(&segments),
				.streams = buf_slice(&streams)},
		&b));
	save("msg", "hello", &b);
	start(&b, MSG_WELCOME);
	must(welcome_encode(
		&(struct welcome){.version = 1, .window_log = 21,
				  .max_segment_decoded = 1 << 23,
				  .max_frame = LIMIT_FRAME, .n_keys = 1,
				  .segments = buf_slice(&segments),
				  .streams = buf_slice(&streams)},
		&b));
	save("msg", "welcome", &b);
	start(&b, MSG_SEGMENT);
	must(segment_msg_encode(
		&(struct segment_msg){.lane = LANE_KEPT, .after = -1,
				      .header = SLICE_LIT("a header")},
		&b));
	save("msg", "segment", &b);
	start(&b, MSG_ACK);
	must(ack_encode(&(struct ack){buf_slice(&segments),
				      buf_slice(&streams)},
			&b));
	save("msg", "ack", &b);
	start(&b, MSG_NAK);
	must(nak_encode(&(struct nak){.stream = stream}, &b));
	save("msg", "nak", &b);
	start(&b, MSG_ERROR);
	must(error_msg_encode(&(struct error_msg){3, 1000,
						  SLICE_LIT("fenced")},
			      &b));
	save("msg", "error", &b);
	start(&b, MSG_LADDER);
	must(ladder_encode(&stream.id, rungs, 3, &b));
	save("msg", "ladder", &b);
	buf_fini(&b);
	buf_fini(&streams);
	buf_fini(&segments);
}

/* A head of nobody's: the signature is not one, the rest is. */
static void heads(void)
{
	struct buf b;

	buf_init(&b, 4096);
	must(buf_add_u8(&b, 0)); /* No key. */
	must(buf_add_u8(&b, 1)); /* Version. */
	for (int i = 0; i < 32; i++) {
		must(buf_add_u8(&b, 1));
	}
	must(buf_add_u8(&b, LANE_FILE));
	must(buf_add_varint(&b, 300));
	for (int i = 0; i < 16; i++) {
		must(buf_add_u8(&b, 2));
	}
	must(buf_add_varint(&b, 8));
	for (int i = 0; i < 32; i++) {
		must(buf_add_u8(&b, 3));
	}
	must(buf_add_u8(&b, HEAD_CLOSED));
	must(buf_add_varint(&b, 0));
	for (int i = 0; i < 32; i++) {
		must(buf_add_u8(&b, 4));
	}
	must(buf_add_varint(&b, zigzag(1795363200000)));
	must(buf_add_varint(&b, 8));
	must(buf_add(&b, "\x30\x06\x02\x01\x01\x02\x01\x01", 8));
	save("head", "unsigned", &b);
	buf_fini(&b);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: make_wire_seeds DIR\n", stderr);
		return 2;
	}
	root = argv[1];
	frames();
	headers();
	batches();
	bodies();
	messages();
	heads();
	return 0;
}
