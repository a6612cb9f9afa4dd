/* err: the one error vocabulary of the project.
 *
 * Every fallible function returns int: 0 (or a count), or a negative code.
 * Codes of the operating system are libuv's UV_E* (on Linux, -errno); the
 * project's own are the ERR_* below.  Codes of other libraries (mbedTLS, zstd,
 * SQLite) never leave the file that calls that library: it maps them here.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <uv.h>

#define ERR_MAP(X)                                                             \
	X(FULL, -20001, "no room left for this")                               \
	X(POISONED, -20002, "an earlier write failed; reopen to go on")        \
	X(TRUNCATED, -20003, "the data ends too early")                        \
	X(MALFORMED, -20004, "the data does not follow the format")            \
	X(TOO_LARGE, -20005, "larger than the limit")                          \
	X(VERSION, -20006, "a version that this program does not speak")       \
	X(CRYPTO, -20007, "a cryptographic operation failed")                  \
	X(AUTH, -20008, "authentication failed: not genuine, or the wrong key")\
	X(CONFLICT, -20009, "contradicts what is already stored")              \
	X(CHAIN, -20010, "does not continue the hash chain")                   \
	X(ABOVE, -20011, "starts above what is stored")                        \
	X(COMPRESS, -20012, "compression or decompression failed")             \
	X(CONFIG, -20013, "the configuration is not valid")                    \
	X(DATABASE, -20014, "the database reports an error")                   \
	X(FENCED, -20015, "a newer session of this device has taken over")     \
	X(LIMIT, -20016, "a limit was reached")                                \
	X(CLOSED, -20017, "closed by the peer")                                \
	X(TIMEOUT, -20018, "the peer was silent for too long")                 \
	X(PROTOCOL, -20019, "the peer broke the protocol")                     \
	X(CERTIFICATE, -20020, "the certificate was not accepted")             \
	X(NOT_OURS, -20021, "belongs to another device, store or key")         \
	X(DAMAGED, -20022, "damaged on disk")                                  \
	X(AGAIN, -20023, "not now; try again when there is room")

enum err {
#define X(name, code, text) ERR_##name = (code),
	ERR_MAP(X)
#undef X
};

/* A constant string, never NULL; also for UV_E* codes and unknown ones. */
const char *err_str(int code);

/* What to do when a file or folder of ours can't be opened, made or written: a constant
 * clause about "its" folder, disk or path. */
const char *err_advice(int code);

#endif
