#include "detectors/refer.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/siphash.h"

enum { PLACES_LOG = 6 };

/* A file, and what was read of it. */
struct file {
	char *path; /* owned */
	struct sys_stat seen; /* when it was read, or tried */
	bool tried, missing;
	bool borrowed; /* the content is another's */
};

struct refer_list {
	struct file file;
	char *name; /* owned; NULL: no rule can say it */
	struct roster *roster;
};

struct database {
	struct file file;
	struct geo_db *db;
};

struct remembered {
	struct ip ip;
	bool used;
	struct geo_place place;
};

struct refer {
	uint8_t key[16];
	struct refer_list *lists;
	size_t n_lists;
	struct database *databases;
	size_t n_databases;
	struct remembered *places; /* NULL: there is no database */
	uint64_t looked_up, damaged;
};

/* ---- life ---- */

static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '_') {
			return false;
		}
	}
	return s.n > 0;
}

/* "/etc/nightjar/lists/bad_hosts.txt" is the list bad_hosts. */
static struct slice name_of(const char *path)
{
	struct slice s = slice_str(path);
	size_t slash = slice_rchr(s, '/');

	s = slice_skip(s, slash == SIZE_MAX ? 0 : slash + 1);
	return slice_head(s, slice_chr(s, '.'));
}

static int add_list(struct refer *r, const char *path)
{
	struct refer_list *l = &r->lists[r->n_lists++];
	struct slice name = name_of(path);

	l->file.path = strdup(path);
	if (l->file.path == NULL) {
		return UV_ENOMEM;
	}
	if (is_name(name) && refer_list(r, name) == NULL) {
		l->name = strndup(name.p, name.n);
		return l->name == NULL ? UV_ENOMEM : 0;
	}
	return 0;
}

/* One that is named twice is one. */
static int add_database(struct refer *r, const char *path)
{
	for (size_t i = 0; i < r->n_databases; i++) {
		if (strcmp(r->databases[i].file.path, path) == 0) {
			return 0;
		}
	}
	r->databases[r->n_databases].file.path = strdup(path);
	return r->databases[r->n_databases++].file.path == NULL ? UV_ENOMEM : 0;
}

int refer_new(struct refer **out, const struct detectors_options *o,
	      const uint8_t key[static 16])
{
	size_t lists = o->lists.n < REFER_LISTS ? o->lists.n : REFER_LISTS;
	size_t databases = o->geoip.n < REFER_DATABASES ? o->geoip.n : REFER_DATABASES;
	struct refer *r = calloc(1, sizeof *r);
	int rc = 0;

	*out = NULL;
	if (r == NULL) {
		return UV_ENOMEM;
	}
	memcpy(r->key, key, sizeof r->key);
	r->lists = calloc(lists + 1, sizeof *r->lists);
	r->databases = calloc(databases + 1, sizeof *r->databases);
	r->places = databases > 0 ? calloc(1u << PLACES_LOG, sizeof *r->places) : NULL;
	if (r->lists == NULL || r->databases == NULL || (databases > 0 && r->places == NULL)) {
		rc = UV_ENOMEM;
	}
	for (size_t i = 0; rc == 0 && i < lists; i++) {
		rc = add_list(r, o->lists.v[i]);
	}
	for (size_t i = 0; rc == 0 && i < databases; i++) {
		rc = add_database(r, o->geoip.v[i]);
	}
	if (rc != 0) {
		refer_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void refer_free(struct refer *r)
{
	if (r == NULL) {
		return;
	}
	for (size_t i = 0; i < r->n_lists; i++) {
		free(r->lists[i].file.path);
		free(r->lists[i].name);
		roster_free(r->lists[i].file.borrowed ? NULL : r->lists[i].roster);
	}
	for (size_t i = 0; i < r->n_databases; i++) {
		free(r->databases[i].file.path);
		geo_db_close(r->databases[i].file.borrowed ? NULL : r->databases[i].db);
	}
	free(r->lists);
	free(r->databases);
	free(r->places);
	free(r);
}

void refer_check(const struct refer *r, refer_cb cb, void *arg)
{
	static const char twice[] = "another list has this name already";
	static const char strange[] = "a list's name is that of its file up to the first dot, and "
				      "consists of letters, digits and _";

	for (size_t i = 0; i < r->n_lists; i++) {
		const struct refer_list *l = &r->lists[i];
		struct refer_told t = {.path = l->file.path};

		if (l->name == NULL) {
			t.text = is_name(name_of(l->file.path)) ? twice : strange;
			cb(arg, &t);
		}
	}
}

/* ---- files ---- */

static bool same_file(const struct sys_stat *a, const struct sys_stat *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns;
}

static struct file *file_at(struct refer *r, size_t i)
{
	return i < r->n_lists ? &r->lists[i].file : &r->databases[i - r->n_lists].file;
}

/* A list without a name is nobody's. */
static bool is_used(const struct refer *r, size_t i)
{
	return i >= r->n_lists || r->lists[i].name != NULL;
}

static bool has_content(const struct refer *r, size_t i)
{
	return i < r->n_lists ? r->lists[i].roster != NULL
			      : r->databases[i - r->n_lists].db != NULL;
}

static void tell_bad(struct refer *r, size_t i, unsigned line, const char *text, refer_cb cb,
		     void *arg)
{
	struct refer_told t = {.path = file_at(r, i)->path, .line = line, .text = text,
			       .old = line == 0 && has_content(r, i)};

	cb(arg, &t);
}

/* unknown: only a file of which nothing was read. */
static bool next(struct refer *r, struct sys *sys, struct refer_job *job, bool unknown,
		 refer_cb cb, void *arg)
{
	for (size_t i = 0; i < r->n_lists + r->n_databases; i++) {
		struct file *f = file_at(r, i);
		struct sys_stat now;
		int rc;

		if (!is_used(r, i) || (unknown && has_content(r, i))) {
			continue;
		}
		rc = sys_stat(sys, f->path, &now);
		if (rc != 0 && !f->missing) {
			f->missing = f->tried = true;
			f->seen = (struct sys_stat){.ino = 0};
			tell_bad(r, i, 0, err_str(rc), cb, arg);
		}
		if (rc != 0 || (f->tried && same_file(&f->seen, &now))) {
			continue;
		}
		*job = (struct refer_job){.path = strdup(f->path), .sys = sys, .seen = now,
					  .database = i >= r->n_lists};
		if (job->path == NULL) {
			return false; /* The next time, perhaps. */
		}
		memcpy(job->key, r->key, sizeof job->key);
		f->tried = true;
		f->missing = false;
		f->seen = now;
		return true;
	}
	return false;
}

bool refer_next(struct refer *r, struct sys *sys, struct refer_job *job, refer_cb cb, void *arg)
{
	return next(r, sys, job, false, cb, arg);
}

static void on_wrong(void *arg, const char *file, unsigned line, unsigned column,
		     const char *text)
{
	struct refer_job *job = arg;

	(void)file;
	(void)column;
	if (job->n_wrong < sizeof job->wrong / sizeof *job->wrong) {
		job->wrong[job->n_wrong].line = line;
		snprintf(job->wrong[job->n_wrong++].text, GEO_WHY, "%s", text);
	}
}

void refer_work(struct refer_job *job)
{
	if (job->database) {
		job->rc = geo_db_open(&job->db, job->sys, job->path, job->why);
		return;
	}
	job->rc = roster_read(&job->roster, job->sys, job->path, job->key, on_wrong, job);
	if (job->rc != 0) {
		snprintf(job->why, sizeof job->why, "%s",
			 job->rc == UV_EISDIR ? "this is a folder: name the file of one list"
					      : err_str(job->rc));
	}
}

static void take_list(struct refer *r, size_t i, struct refer_job *job, char *text, size_t room)
{
	struct refer_list *l = &r->lists[i];
	const struct roster_about *a = roster_about(job->roster);

	roster_free(l->file.borrowed ? NULL : l->roster);
	l->roster = job->roster;
	l->file.borrowed = false;
	job->roster = NULL;
	snprintf(text, room, "%zu networks, %zu texts, %zu bytes, %u lines left out",
		 a->networks, a->texts, a->bytes, a->wrong);
}

static void take_database(struct refer *r, size_t i, struct refer_job *job, char *text,
			  size_t room)
{
	struct database *d = &r->databases[i];

	geo_db_close(d->file.borrowed ? NULL : d->db);
	d->db = job->db;
	d->file.borrowed = false;
	job->db = NULL;
	memset(r->places, 0, sizeof *r->places << PLACES_LOG);
	snprintf(text, room, "%s, built at %lld", geo_db_type(d->db),
		 (long long)geo_db_built_s(d->db));
}

static void tell_odd(const struct refer *r, size_t i, refer_cb cb, void *arg)
{
	const struct roster_about *a = roster_about(r->lists[i].roster);
	struct refer_told t = {.path = r->lists[i].file.path, .odd = true};

	if (a->all_v4 || a->all_v6) {
		t.text = a->all_v6   ? "the list has every address (::/0): what asks for it "
				       "matches everything"
			 : "the list has every address of IPv4 (0.0.0.0/0): what asks for it "
			   "matches everything";
		cb(arg, &t);
	}
}

static void take_at(struct refer *r, size_t i, struct refer_job *job, refer_cb cb, void *arg)
{
	char text[GEO_WHY];
	struct refer_told t = {.path = file_at(r, i)->path, .good = true, .text = text};

	for (unsigned k = 0; k < job->n_wrong; k++) {
		tell_bad(r, i, job->wrong[k].line, job->wrong[k].text, cb, arg);
	}
	if (job->rc != 0) {
		tell_bad(r, i, 0, job->why, cb, arg);
		return;
	}
	if (i < r->n_lists) {
		take_list(r, i, job, text, sizeof text);
	} else {
		take_database(r, i - r->n_lists, job, text, sizeof text);
	}
	cb(arg, &t);
	if (i < r->n_lists) {
		tell_odd(r, i, cb, arg);
	}
}

void refer_take(struct refer *r, struct refer_job *job, refer_cb cb, void *arg)
{
	for (size_t i = 0; r != NULL && i < r->n_lists + r->n_databases; i++) {
		if ((i >= r->n_lists) == job->database && is_used(r, i) &&
		    strcmp(file_at(r, i)->path, job->path) == 0) {
			take_at(r, i, job, cb, arg);
			break;
		}
	}
	roster_free(job->roster);
	geo_db_close(job->db);
	free(job->path);
	memset(job, 0, sizeof *job);
}

void refer_load(struct refer *r, struct sys *sys, refer_cb cb, void *arg)
{
	struct refer_job job = {.path = NULL};

	while (next(r, sys, &job, true, cb, arg)) {
		refer_work(&job);
		refer_take(r, &job, cb, arg);
	}
}

/* ---- from one configuration to the next ---- */

/* The same file of the other, which has something; SIZE_MAX: none. */
static size_t file_of(const struct refer *from, const struct refer *r, size_t i)
{
	bool list = i < r->n_lists;
	const char *path = list ? r->lists[i].file.path
				: r->databases[i - r->n_lists].file.path;
	size_t n = list ? from->n_lists : from->n_databases;

	for (size_t k = 0; k < n; k++) {
		const struct file *f = list ? &from->lists[k].file : &from->databases[k].file;

		if (strcmp(f->path, path) == 0) {
			return k;
		}
	}
	return SIZE_MAX;
}

void refer_borrow(struct refer *r, const struct refer *from)
{
	for (size_t i = 0; from != NULL && i < r->n_lists + r->n_databases; i++) {
		struct file *f = file_at(r, i);
		size_t k = is_used(r, i) ? file_of(from, r, i) : SIZE_MAX;

		if (k == SIZE_MAX) {
			continue;
		}
		if (i < r->n_lists) {
			r->lists[i].roster = from->lists[k].roster;
			f->seen = from->lists[k].file.seen;
		} else {
			r->databases[i - r->n_lists].db = from->databases[k].db;
			f->seen = from->databases[k].file.seen;
		}
		f->borrowed = has_content(r, i);
		/* What could not be read is tried again, and told again. */
		f->tried = f->borrowed;
	}
}

void refer_inherit(struct refer *r, struct refer *from)
{
	for (size_t i = 0; from != NULL && i < r->n_lists + r->n_databases; i++) {
		struct file *f = file_at(r, i);
		size_t k = f->borrowed ? file_of(from, r, i) : SIZE_MAX;

		f->borrowed = false;
		if (k == SIZE_MAX) {
			continue;
		}
		if (i < r->n_lists) {
			from->lists[k].roster = NULL;
		} else {
			from->databases[k].db = NULL;
		}
	}
}

/* ---- asking ---- */

const struct refer_list *refer_list(const struct refer *r, struct slice name)
{
	for (size_t i = 0; r != NULL && i < r->n_lists; i++) {
		if (r->lists[i].name != NULL && slice_eq(slice_str(r->lists[i].name), name)) {
			return &r->lists[i];
		}
	}
	return NULL;
}

const char *refer_list_name(const struct refer_list *l)
{
	return l->name;
}

bool refer_list_has(const struct refer_list *l, struct slice value)
{
	return l->roster != NULL && roster_has(l->roster, value);
}

const struct roster_about *refer_list_about(const struct refer_list *l)
{
	return l->roster == NULL ? NULL : roster_about(l->roster);
}

unsigned refer_parts(const struct refer *r)
{
	unsigned parts = 0;

	for (size_t i = 0; r != NULL && i < r->n_databases; i++) {
		parts |= r->databases[i].db == NULL ? 0 : geo_db_parts(r->databases[i].db);
	}
	return parts;
}

bool refer_has_databases(const struct refer *r)
{
	return r != NULL && r->n_databases > 0;
}

static void look_up(struct refer *r, struct remembered *m)
{
	bool good = true;

	r->looked_up++;
	m->place.has = 0;
	for (size_t i = 0; i < r->n_databases; i++) {
		if (r->databases[i].db != NULL) {
			good = geo_db_look(r->databases[i].db, &m->ip, &m->place) && good;
		}
	}
	r->damaged += !good;
}

const struct geo_place *refer_place(struct refer *r, const struct event *e)
{
	struct remembered *m;
	struct ip ip;

	if (r == NULL || refer_parts(r) == 0 || !event_has(e, FIELD_SOURCE_IP) ||
	    !ip_parse(e->f[FIELD_SOURCE_IP], &ip) || !geo_is_public(&ip)) {
		return NULL;
	}
	m = &r->places[siphash(r->key, ip.b, sizeof ip.b) >> (64 - PLACES_LOG)];
	if (!m->used || memcmp(m->ip.b, ip.b, sizeof ip.b) != 0) {
		m->used = true;
		m->ip = ip;
		look_up(r, m);
	}
	return m->place.has == 0 ? NULL : &m->place;
}

void refer_stats(const struct refer *r, struct refer_stats *out)
{
	*out = (struct refer_stats){.lists = 0};
	if (r == NULL) {
		return;
	}
	out->lists = (unsigned)r->n_lists;
	out->databases = (unsigned)r->n_databases;
	out->looked_up = r->looked_up;
	out->damaged = r->damaged;
	for (size_t i = 0; i < r->n_lists; i++) {
		const struct roster_about *a = refer_list_about(&r->lists[i]);

		out->lists_read += a != NULL;
		out->networks += a != NULL ? a->networks : 0;
		out->texts += a != NULL ? a->texts : 0;
		out->bytes += a != NULL ? a->bytes : 0;
	}
	for (size_t i = 0; i < r->n_databases; i++) {
		out->databases_read += r->databases[i].db != NULL;
	}
}
