/* journal_file: what a journal file's header says of it, and which files there are.
 *
 * Source of the format: https://systemd.io/JOURNAL_FILE_FORMAT ("Header").  Read
 * without libsystemd, so that files are told apart, put in order and missed without
 * opening each of them.  All numbers are little-endian.
 */
#ifndef SOURCES_JOURNAL_FILE_H
#define SOURCES_JOURNAL_FILE_H

#include "common/sys.h"
#include "common/slice.h"

enum {
	JOURNAL_HEADER = 208,      /* bytes that every version has */
	JOURNAL_FILES_MAX = 4096,
	JOURNAL_FAMILY = 96,
};

enum journal_state { JOURNAL_OFFLINE, JOURNAL_ONLINE, JOURNAL_ARCHIVED };

struct journal_header {
	uint8_t state;         /* enum journal_state */
	uint8_t file_id[16];
	uint8_t seqnum_id[16]; /* shared with what it was rotated from */
	uint64_t entries;
	uint64_t head, tail;   /* sequence numbers of the first and last entry */
};

/* ERR_TRUNCATED, ERR_MALFORMED. */
int journal_header_decode(struct slice bytes, struct journal_header *out);
/* The header of an open file; also sys_pread()'s errors. */
int journal_header_read(struct sys *sys, int fd, struct journal_header *out);

struct journal_file {
	char *path;
	size_t dir_n;        /* bytes of path before its base name */
	char family[JOURNAL_FAMILY]; /* "system", "user-1000", "remote-gw" */
	uint64_t dev, ino;
	int error;           /* it can't be read: why */
	struct journal_header header;
};

struct journal_files {
	struct journal_file *v; /* by folder, family, id and first number */
	size_t n, room;
	int error; /* a folder could not be listed, or a file is not among them; 0: all are */
};

/* All files of the folder and those one level below it, added to f.  UV_ENOMEM. */
int journal_files_list(struct journal_files *f, struct sys *sys, const char *dir);
/* After the last folder. */
void journal_files_sort(struct journal_files *f);
void journal_files_fini(struct journal_files *f);

/* "system@0123...-1-2.journal" is of the family "system"; false: no journal file's. */
bool journal_family(const char *name, char out[static JOURNAL_FAMILY]);

#endif
