#include "collector/sqlite.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/log.h"

enum { SCHEMA_VERSION = 1 };

static const char schema[] =
	"CREATE TABLE device (id BLOB PRIMARY KEY, name TEXT NOT NULL,"
	" seen_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE segment (device BLOB NOT NULL, id BLOB NOT NULL,"
	" lane INTEGER NOT NULL, number INTEGER NOT NULL,"
	" part INTEGER NOT NULL, bytes INTEGER NOT NULL,"
	" last_index INTEGER NOT NULL, hash BLOB NOT NULL,"
	" first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
	" received_ms INTEGER NOT NULL, first_arrival INTEGER NOT NULL,"
	" last_arrival INTEGER NOT NULL, records INTEGER NOT NULL,"
	" closed INTEGER NOT NULL, PRIMARY KEY (device, id)) WITHOUT ROWID;"
	"CREATE TABLE stream (device BLOB NOT NULL, id BLOB NOT NULL,"
	" durable INTEGER, h BLOB, opened TEXT,"
	" PRIMARY KEY (device, id)) WITHOUT ROWID;"
	"CREATE TABLE head (device BLOB NOT NULL, lane INTEGER NOT NULL,"
	" signed BLOB NOT NULL, PRIMARY KEY (device, lane)) WITHOUT ROWID;"
	"CREATE TABLE alert (device BLOB NOT NULL, stream BLOB NOT NULL,"
	" position INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
	" json TEXT NOT NULL,"
	" PRIMARY KEY (device, stream, position, time_ms)) WITHOUT ROWID;"
	"CREATE INDEX alert_time ON alert (time_ms);"
	"PRAGMA user_version = 1;";

enum statement {
	BEGIN, COMMIT, ROLLBACK, DEVICE, SEGMENT, STREAM, OPENED, HEAD, ALERT,
	FIND, EACH, STATEMENT_NR,
};

#define SEGMENT_COLUMNS                                                      \
	"device, id, lane, number, part, bytes, last_index, hash, first_ms, " \
	"last_ms, received_ms, first_arrival, last_arrival, records, closed"

static const char *const sql[STATEMENT_NR] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[DEVICE] = "INSERT INTO device VALUES (?1, ?2, ?3) ON CONFLICT (id) "
		   "DO UPDATE SET name = CASE WHEN ?2 = '' THEN name ELSE ?2 "
		   "END, seen_ms = max(seen_ms, ?3)",
	[SEGMENT] = "INSERT OR REPLACE INTO segment (" SEGMENT_COLUMNS
		    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
		    "?12, ?13, ?14, ?15)",
	[STREAM] = "INSERT INTO stream VALUES (?1, ?2, ?3, ?4, NULL) "
		   "ON CONFLICT (device, id) DO UPDATE SET durable = ?3, "
		   "h = ?4",
	[OPENED] = "INSERT INTO stream VALUES (?1, ?2, NULL, NULL, ?3) "
		   "ON CONFLICT (device, id) DO UPDATE SET opened = ?3",
	[HEAD] = "INSERT OR REPLACE INTO head VALUES (?1, ?2, ?3)",
	[ALERT] = "INSERT OR IGNORE INTO alert VALUES (?1, ?2, ?3, ?4, ?5)",
	[FIND] = "SELECT " SEGMENT_COLUMNS
		 " FROM segment WHERE device = ?1 AND id = ?2",
	[EACH] = "SELECT " SEGMENT_COLUMNS " FROM segment",
};

struct sqlite_catalogue {
	struct catalogue base; /* first */
	sqlite3 *db;
	sqlite3_stmt *st[STATEMENT_NR];
};

static struct sqlite_catalogue *self(struct catalogue *c)
{
	return (struct sqlite_catalogue *)c;
}

static int complain(sqlite3 *db, const char *what)
{
	log_warn("the catalogue's database reports an error",
		 "what=%s error=\"%s\"", what, sqlite3_errmsg(db));
	return ERR_DATABASE;
}

/* Runs a statement that gives no rows, and makes it ready for the next time. */
static int run(struct sqlite_catalogue *c, enum statement s)
{
	int rc = sqlite3_step(c->st[s]);

	if (rc != SQLITE_DONE) {
		rc = complain(c->db, sql[s]);
	} else {
		rc = 0;
	}
	sqlite3_reset(c->st[s]);
	sqlite3_clear_bindings(c->st[s]);
	if (rc != 0 && !sqlite3_get_autocommit(c->db)) {
		sqlite3_step(c->st[ROLLBACK]);
		sqlite3_reset(c->st[ROLLBACK]);
	}
	return rc;
}

/* Binding fails only without memory or for a wrong index; the step then fails on
 * a NOT NULL column. */
static void bind_blob(sqlite3_stmt *s, int i, const void *p, size_t n)
{
	sqlite3_bind_blob(s, i, n == 0 ? "" : p, (int)n, SQLITE_STATIC);
}

static void bind_text(sqlite3_stmt *s, int i, struct slice t)
{
	sqlite3_bind_text(s, i, t.n == 0 ? "" : t.p, (int)t.n, SQLITE_STATIC);
}

static int op_begin(struct catalogue *c)
{
	return run(self(c), BEGIN);
}

static int op_commit(struct catalogue *c)
{
	return run(self(c), COMMIT);
}

static int op_device(struct catalogue *c, const struct hash32 *device,
		     const char *name, int64_t seen_ms)
{
	sqlite3_stmt *s = self(c)->st[DEVICE];

	bind_blob(s, 1, device, sizeof *device);
	bind_text(s, 2, slice_str(name));
	sqlite3_bind_int64(s, 3, seen_ms);
	return run(self(c), DEVICE);
}

static int op_segment(struct catalogue *c, const struct catalogue_segment *g)
{
	sqlite3_stmt *s = self(c)->st[SEGMENT];

	bind_blob(s, 1, &g->device, sizeof g->device);
	bind_blob(s, 2, &g->id, sizeof g->id);
	sqlite3_bind_int(s, 3, (int)g->lane);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)g->number);
	sqlite3_bind_int64(s, 5, g->part);
	sqlite3_bind_int64(s, 6, (sqlite3_int64)g->bytes);
	sqlite3_bind_int64(s, 7, g->index);
	bind_blob(s, 8, &g->hash, sizeof g->hash);
	sqlite3_bind_int64(s, 9, g->first_ms);
	sqlite3_bind_int64(s, 10, g->last_ms);
	sqlite3_bind_int64(s, 11, g->received_ms);
	sqlite3_bind_int64(s, 12, (sqlite3_int64)g->first_arrival);
	sqlite3_bind_int64(s, 13, (sqlite3_int64)g->last_arrival);
	sqlite3_bind_int64(s, 14, (sqlite3_int64)g->records);
	sqlite3_bind_int(s, 15, g->closed);
	return run(self(c), SEGMENT);
}

static int op_stream(struct catalogue *c, const struct catalogue_stream *t)
{
	sqlite3_stmt *s = self(c)->st[STREAM];

	bind_blob(s, 1, &t->device, sizeof t->device);
	bind_blob(s, 2, &t->id, sizeof t->id);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)t->durable);
	bind_blob(s, 4, &t->h, sizeof t->h);
	return run(self(c), STREAM);
}

static int op_opened(struct catalogue *c, const struct hash32 *device,
		     const struct stream_id *stream, struct slice json)
{
	sqlite3_stmt *s = self(c)->st[OPENED];

	bind_blob(s, 1, device, sizeof *device);
	bind_blob(s, 2, stream, sizeof *stream);
	bind_text(s, 3, json);
	return run(self(c), OPENED);
}

static int op_head(struct catalogue *c, const struct hash32 *device,
		   enum lane lane, struct slice bytes)
{
	sqlite3_stmt *s = self(c)->st[HEAD];

	bind_blob(s, 1, device, sizeof *device);
	sqlite3_bind_int(s, 2, (int)lane);
	bind_blob(s, 3, bytes.p, bytes.n);
	return run(self(c), HEAD);
}

static int op_alert(struct catalogue *c, const struct catalogue_alert *a)
{
	sqlite3_stmt *s = self(c)->st[ALERT];

	bind_blob(s, 1, &a->device, sizeof a->device);
	bind_blob(s, 2, &a->stream, sizeof a->stream);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)a->position);
	sqlite3_bind_int64(s, 4, a->time_ms);
	bind_text(s, 5, a->json);
	return run(self(c), ALERT);
}

/* ---- rows ---- */

static bool blob(sqlite3_stmt *s, int i, void *out, size_t n)
{
	if (sqlite3_column_bytes(s, i) != (int)n) {
		return false;
	}
	memcpy(out, sqlite3_column_blob(s, i), n);
	return true;
}

/* The database is ours, and may be damaged all the same. */
static bool segment_row(sqlite3_stmt *s, struct catalogue_segment *g)
{
	int lane = sqlite3_column_int(s, 2);

	if (!blob(s, 0, &g->device, sizeof g->device) ||
	    !blob(s, 1, &g->id, sizeof g->id) ||
	    !blob(s, 7, &g->hash, sizeof g->hash) || lane < 0 ||
	    lane >= LANE_NR) {
		return false;
	}
	g->lane = (enum lane)lane;
	g->number = (uint64_t)sqlite3_column_int64(s, 3);
	g->part = (uint32_t)sqlite3_column_int64(s, 4);
	g->bytes = (uint64_t)sqlite3_column_int64(s, 5);
	g->index = sqlite3_column_int64(s, 6);
	g->first_ms = sqlite3_column_int64(s, 8);
	g->last_ms = sqlite3_column_int64(s, 9);
	g->received_ms = sqlite3_column_int64(s, 10);
	g->first_arrival = (uint64_t)sqlite3_column_int64(s, 11);
	g->last_arrival = (uint64_t)sqlite3_column_int64(s, 12);
	g->records = (uint64_t)sqlite3_column_int64(s, 13);
	g->closed = sqlite3_column_int(s, 14) != 0;
	return true;
}

static int find(sqlite3 *db, sqlite3_stmt *s, const struct hash32 *device,
		const struct segment_id *id, struct catalogue_segment *out)
{
	int rc;

	bind_blob(s, 1, device, sizeof *device);
	bind_blob(s, 2, id, sizeof *id);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		rc = segment_row(s, out);
	} else {
		rc = rc == SQLITE_DONE ? 0 : complain(db, "find a segment");
	}
	sqlite3_reset(s);
	return rc;
}

static int op_find_segment(struct catalogue *c, const struct hash32 *device,
			   const struct segment_id *id,
			   struct catalogue_segment *out)
{
	return find(self(c)->db, self(c)->st[FIND], device, id, out);
}

static int op_each_segment(struct catalogue *c,
			   int (*cb)(void *arg,
				     const struct catalogue_segment *s),
			   void *arg)
{
	sqlite3_stmt *s = self(c)->st[EACH];
	struct catalogue_segment g;
	int rc, result = 0;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW && result == 0) {
		result = segment_row(s, &g) ? cb(arg, &g) : ERR_DATABASE;
	}
	if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
		result = complain(self(c)->db, "list segments");
	}
	sqlite3_reset(s);
	return result;
}

static int op_clear(struct catalogue *c)
{
	if (sqlite3_exec(self(c)->db,
			 "DELETE FROM device; DELETE FROM segment;"
			 "DELETE FROM stream; DELETE FROM head;",
			 NULL, NULL, NULL) != SQLITE_OK) {
		return complain(self(c)->db, "clear");
	}
	return 0;
}

static const struct catalogue_ops ops = {
	.begin = op_begin,
	.commit = op_commit,
	.device = op_device,
	.segment = op_segment,
	.stream = op_stream,
	.opened = op_opened,
	.head = op_head,
	.alert = op_alert,
	.find_segment = op_find_segment,
	.each_segment = op_each_segment,
	.clear = op_clear,
};

/* ---- opening ---- */

static int schema_version(sqlite3 *db)
{
	sqlite3_stmt *s;
	int v = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) ==
	    SQLITE_OK) {
		if (sqlite3_step(s) == SQLITE_ROW) {
			v = sqlite3_column_int(s, 0);
		}
		sqlite3_finalize(s);
	}
	return v;
}

static int prepare(struct sqlite_catalogue *c)
{
	int version;

	sqlite3_busy_timeout(c->db, 5000);
	if (sqlite3_exec(c->db,
			 "PRAGMA journal_mode = WAL;"
			 "PRAGMA synchronous = NORMAL;",
			 NULL, NULL, NULL) != SQLITE_OK) {
		return ERR_DATABASE;
	}
	version = schema_version(c->db);
	if (version == 0 &&
	    sqlite3_exec(c->db, schema, NULL, NULL, NULL) == SQLITE_OK) {
		version = SCHEMA_VERSION;
	}
	if (version != SCHEMA_VERSION) {
		return ERR_DATABASE;
	}
	for (int i = 0; i < STATEMENT_NR; i++) {
		if (sqlite3_prepare_v2(c->db, sql[i], -1, &c->st[i], NULL) !=
		    SQLITE_OK) {
			return ERR_DATABASE;
		}
	}
	return 0;
}

static void close_db(struct sqlite_catalogue *c)
{
	for (int i = 0; i < STATEMENT_NR; i++) {
		sqlite3_finalize(c->st[i]);
		c->st[i] = NULL;
	}
	sqlite3_close(c->db);
	c->db = NULL;
}

static int try_open(struct sqlite_catalogue *c, const char *path,
		    char why[static 512])
{
	int rc = sqlite3_open(path, &c->db) == SQLITE_OK ? 0 : ERR_DATABASE;

	if (rc == 0) {
		rc = prepare(c);
	}
	if (rc != 0) {
		snprintf(why, 512, "%.300s: %.150s", path,
			 c->db == NULL ? "out of memory"
				       : sqlite3_errmsg(c->db));
		close_db(c);
	}
	return rc;
}

/* Away with it and with what belongs to it. */
static void set_aside(const char *path)
{
	static const char *const tails[] = {"", "-wal", "-shm"};
	char from[600], to[620];

	for (size_t i = 0; i < 3; i++) {
		snprintf(from, sizeof from, "%.512s%s", path, tails[i]);
		snprintf(to, sizeof to, "%.512s.damaged%s", path, tails[i]);
		if (rename(from, to) != 0 && i > 0) {
			remove(from);
		}
	}
}

int sqlite_catalogue_open(struct catalogue **out, const char *dir,
			  char why[static 512])
{
	struct sqlite_catalogue *c = calloc(1, sizeof *c);
	char path[512];
	int rc;

	*out = NULL;
	if (c == NULL) {
		snprintf(why, 512, "out of memory");
		return UV_ENOMEM;
	}
	c->base.ops = &ops;
	snprintf(path, sizeof path, "%.480s/catalogue.db", dir);
	rc = try_open(c, path, why);
	if (rc != 0) {
		log_error("the catalogue can't be used: setting it aside and "
			  "making a new one from the files",
			  "why=\"%s\"", why);
		set_aside(path);
		rc = try_open(c, path, why);
	}
	if (rc != 0) {
		free(c);
		return rc;
	}
	chmod(path, 0600);
	*out = &c->base;
	return 0;
}

void sqlite_catalogue_close(struct catalogue *c)
{
	if (c != NULL) {
		close_db(self(c));
		free(c);
	}
}

/* ---- reading beside a running collector ---- */

struct sqlite_reader {
	sqlite3 *db;
	sqlite3_stmt *find;
};

int sqlite_reader_open(struct sqlite_reader **out, const char *dir)
{
	struct sqlite_reader *r = calloc(1, sizeof *r);
	char path[512];

	*out = NULL;
	if (r == NULL) {
		return UV_ENOMEM;
	}
	snprintf(path, sizeof path, "%.480s/catalogue.db", dir);
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY, NULL) !=
		    SQLITE_OK ||
	    sqlite3_busy_timeout(r->db, 5000) != SQLITE_OK ||
	    schema_version(r->db) != SCHEMA_VERSION ||
	    sqlite3_prepare_v2(r->db, sql[FIND], -1, &r->find, NULL) !=
		    SQLITE_OK) {
		sqlite_reader_close(r);
		return ERR_DATABASE;
	}
	*out = r;
	return 0;
}

void sqlite_reader_close(struct sqlite_reader *r)
{
	if (r != NULL) {
		sqlite3_finalize(r->find);
		sqlite3_close(r->db);
		free(r);
	}
}

int sqlite_reader_segment(struct sqlite_reader *r,
			  const struct hash32 *device,
			  const struct segment_id *id,
			  struct catalogue_segment *out)
{
	return find(r->db, r->find, device, id, out);
}

int sqlite_reader_devices(struct sqlite_reader *r,
			  int (*cb)(void *arg, const struct hash32 *device,
				    const char *name, int64_t seen_ms),
			  void *arg)
{
	sqlite3_stmt *s;
	int result = 0;

	if (sqlite3_prepare_v2(r->db,
			       "SELECT id, name, seen_ms FROM device "
			       "ORDER BY name, id",
			       -1, &s, NULL) != SQLITE_OK) {
		return ERR_DATABASE;
	}
	while (result == 0 && sqlite3_step(s) == SQLITE_ROW) {
		struct hash32 id;
		const char *name = (const char *)sqlite3_column_text(s, 1);

		if (blob(s, 0, &id, sizeof id) && name != NULL) {
			result = cb(arg, &id, name,
				    sqlite3_column_int64(s, 2));
		}
	}
	sqlite3_finalize(s);
	return result;
}

static struct slice text(sqlite3_stmt *s, int i)
{
	const void *p = sqlite3_column_text(s, i);

	return slice(p, (size_t)sqlite3_column_bytes(s, i));
}

int sqlite_reader_opened(struct sqlite_reader *r, const struct hash32 *device,
			 int (*cb)(void *arg, const struct stream_id *stream,
				   struct slice json),
			 void *arg)
{
	sqlite3_stmt *s;
	int result = 0;

	if (sqlite3_prepare_v2(r->db,
			       "SELECT id, opened FROM stream WHERE "
			       "device = ?1 AND opened IS NOT NULL",
			       -1, &s, NULL) != SQLITE_OK) {
		return ERR_DATABASE;
	}
	bind_blob(s, 1, device, sizeof *device);
	while (result == 0 && sqlite3_step(s) == SQLITE_ROW) {
		struct stream_id id;

		if (blob(s, 0, &id, sizeof id)) {
			result = cb(arg, &id, text(s, 1));
		}
	}
	sqlite3_finalize(s);
	return result;
}

int sqlite_reader_alerts(struct sqlite_reader *r, const struct hash32 *device,
			 int64_t since_ms, int64_t until_ms,
			 int (*cb)(void *arg,
				   const struct catalogue_alert *a),
			 void *arg)
{
	sqlite3_stmt *s;
	int result = 0;

	if (sqlite3_prepare_v2(r->db,
			       "SELECT device, stream, position, time_ms, json "
			       "FROM alert WHERE time_ms BETWEEN ?1 AND ?2 AND "
			       "(?3 IS NULL OR device = ?3) ORDER BY time_ms",
			       -1, &s, NULL) != SQLITE_OK) {
		return ERR_DATABASE;
	}
	sqlite3_bind_int64(s, 1, since_ms);
	sqlite3_bind_int64(s, 2, until_ms);
	if (device != NULL) {
		bind_blob(s, 3, device, sizeof *device);
	}
	while (result == 0 && sqlite3_step(s) == SQLITE_ROW) {
		struct catalogue_alert a = {
			.position = (uint64_t)sqlite3_column_int64(s, 2),
			.time_ms = sqlite3_column_int64(s, 3),
			.json = text(s, 4),
		};

		if (blob(s, 0, &a.device, sizeof a.device) &&
		    blob(s, 1, &a.stream, sizeof a.stream)) {
			result = cb(arg, &a);
		}
	}
	sqlite3_finalize(s);
	return result;
}
