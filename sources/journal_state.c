/* Which stream a chain of journal files is, and what was known of it: from the last process, and
 * from the collector. */
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/err.h"
#include "sources/journal_impl.h"

static const char prefix[] = "journal:";

/* The same in every process, as long as the device has its secret. */
static void identify(struct chain *c)
{
	struct stream_state *st = &c->stream.st;
	XXH128_canonical_t id;

	XXH128_canonicalFromHash(&id, XXH3_128bits_withSecret(st->path, strlen(st->path),
							      c->journal->secret,
							      STREAM_SECRET));
	memcpy(st->id.b, id.digest, sizeof st->id.b);
}

int chain_name(struct chain *c)
{
	struct stream_state *st = &c->stream.st;
	char hex[33];
	size_t n = strlen(c->dir) + sizeof prefix + sizeof c->family + sizeof hex + 3;

	for (size_t i = 0; i < 16; i++) {
		snprintf(hex + 2 * i, 3, "%02x", c->seqnum_id[i]);
	}
	st->path = malloc(n);
	if (st->path == NULL) {
		return UV_ENOMEM;
	}
	snprintf(st->path, n, "%s%s/%s/%s", prefix, c->dir, c->family, hex);
	identify(c);
	return 0;
}

void chain_recall(struct chain *c)
{
	struct journal *j = c->journal;
	struct stream_state *st = &c->stream.st;

	for (size_t i = 0; i < j->n_restored; i++) {
		struct stream_state *r = &j->restored[i];

		if (strcmp(r->path, st->path) == 0) {
			stream_state_fini(st);
			*st = *r;
			j->restored[i] = j->restored[--j->n_restored];
			break;
		}
	}
	for (size_t i = 0; i < j->n_known; i++) {
		const struct known_chain *k = &j->known[i];

		if (stream_id_eq(&k->id, &st->id) && k->acked > st->acked) {
			stream_state_acked(st, k->acked, k->h);
			st->detect = st->detect > k->detect ? st->detect : k->detect;
		}
	}
}

static int remember(struct journal *j, const struct stream_state *st)
{
	struct known_chain *v;

	for (size_t i = 0; i < j->n_known; i++) {
		struct known_chain *k = &j->known[i];

		if (stream_id_eq(&k->id, &st->id)) {
			if (st->acked > k->acked) {
				k->acked = st->acked;
				k->h = st->h;
			}
			return 0;
		}
	}
	if (j->n_known == JOURNAL_KNOWN) {
		return 0; /* What it had is read again, and trimmed. */
	}
	v = realloc(j->known, (j->n_known + 1) * sizeof *v);
	if (v == NULL) {
		return UV_ENOMEM;
	}
	j->known = v;
	v[j->n_known++] = (struct known_chain){st->id, st->acked, st->h, st->detect};
	return 0;
}

/* Of one of the folders. */
static bool is_ours(const struct journal *j, const char *path)
{
	const struct strlist *dirs = &j->settings->directories;

	for (size_t i = 0; i < dirs->n; i++) {
		size_t n = strlen(dirs->v[i]), at = sizeof prefix - 1;

		if (strncmp(path, prefix, at) == 0 &&
		    strncmp(path + at, dirs->v[i], n) == 0 && path[at + n] == '/') {
			return true;
		}
	}
	return false;
}

static int restore_one(struct journal *j, const struct stream_state *st)
{
	struct stream_state *v;

	if (st->path == NULL) {
		return remember(j, st);
	}
	if (!is_ours(j, st->path)) {
		return 0;
	}
	for (size_t i = 0; i < j->n_restored; i++) {
		if (strcmp(j->restored[i].path, st->path) == 0) {
			return 0;
		}
	}
	if (j->n_restored == JOURNAL_CHAINS) {
		return 0;
	}
	v = realloc(j->restored, (j->n_restored + 1) * sizeof *v);
	if (v == NULL) {
		return UV_ENOMEM;
	}
	j->restored = v;
	if (stream_state_copy(&v[j->n_restored], st) != 0) {
		return UV_ENOMEM;
	}
	j->n_restored++;
	return 0;
}

int journal_restore(struct source *source, const struct stream_state *states,
		    size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = restore_one((struct journal *)source, &states[i]);
	}
	return rc;
}

int journal_states(struct source *source,
		   int (*add)(void *arg, const struct stream_state *st), void *arg)
{
	struct journal *j = (struct journal *)source;
	int rc = 0;

	for (struct chain *c = j->chains; c != NULL && rc == 0; c = c->next) {
		rc = add(arg, &c->stream.st);
	}
	for (size_t i = 0; i < j->n_restored && rc == 0; i++) {
		rc = add(arg, &j->restored[i]);
	}
	return rc;
}
