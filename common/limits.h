/* limits: the sizes that nothing from outside may pass, checked before memory
 * is allocated for it.  All in bytes unless the name says otherwise.
 */
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

enum {
	LIMIT_LINE_DEFAULT = 16 * 1024, /* a line's size cap, configurable ... */
	LIMIT_LINE_MAX = 256 * 1024,    /* ... up to this */
	LIMIT_CHUNK = 256 * 1024,       /* one read of a source */
	LIMIT_BATCH_STREAMS = 64,       /* streams in a batch */
	LIMIT_BATCH_DECODED = 1024 * 1024,
	LIMIT_BATCH_SEALED = 1200 * 1024, /* header, body and tag */
	LIMIT_FRAME = 1300 * 1024,
	LIMIT_SEGMENT_STREAMS = 1024,
	LIMIT_SEGMENT_BATCHES = 65536,
	LIMIT_SEGMENT_HEADER = 4096,
	LIMIT_RECIPIENTS = 8,
	LIMIT_HELLO_STREAMS = 16384,
	LIMIT_HELLO_SEGMENTS = 1024,
	LIMIT_DEVICE_NAME = 128,
	LIMIT_EVIDENCE_LINES = 5,     /* in an alert */
	LIMIT_EVIDENCE_BYTES = 2048,  /* each */
	LIMIT_ALERT_JSON = 64 * 1024,
};

#endif
