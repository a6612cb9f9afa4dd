#include "alerts/alerts.h"

#include <stdio.h>
#include <stdlib.h>

#include "alerts/cooldown.h"
#include "alerts/render.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/reader.h"
#include "common/siphash.h"

enum { TRACKED = 16384, STATE_VERSION = 1 };

struct alerts {
	struct alerts_options options;
	uint8_t key[16];
	struct cooldowns cooldowns;
	struct buf json;
	uint64_t emitted, suppressed;
	char device[LIMIT_DEVICE_NAME + 1];
};

int alerts_new(struct alerts **out, const struct alerts_options *options,
	       struct slice device, const uint8_t key[static 16])
{
	struct alerts *a = calloc(1, sizeof *a);
	uint64_t max;

	*out = a;
	if (a == NULL) {
		return UV_ENOMEM;
	}
	if (options != NULL) {
		a->options = *options;
	}
	if (a->options.evidence_lines == 0 ||
	    a->options.evidence_lines > LIMIT_EVIDENCE_LINES) {
		a->options.evidence_lines = LIMIT_EVIDENCE_LINES;
	}
	max = a->options.tracked_max == 0 ? TRACKED : a->options.tracked_max;
	cooldowns_init(&a->cooldowns, max < (1u << 24) ? (uint32_t)max : 1u << 24);
	memcpy(a->key, key, sizeof a->key);
	device = slice_head(device, LIMIT_DEVICE_NAME);
	if (device.n > 0) {
		memcpy(a->device, device.p, device.n);
	}
	buf_init(&a->json, LIMIT_ALERT_JSON);
	return 0;
}

void alerts_free(struct alerts *a)
{
	if (a != NULL) {
		cooldowns_fini(&a->cooldowns);
		buf_fini(&a->json);
		free(a);
	}
}

/* ---- identity ---- */

/* Feeds of the hash are framed by their lengths, so that no two lists of parts
 * look alike. */
struct hashing {
	uint64_t a, b;
};

static void put_u64(uint8_t *out, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++) {
		out[i] = (uint8_t)(v >> (8 * i));
	}
}

/* No secret in it: the same finding has the same identity everywhere. */
static void feed(struct hashing *h, const void *p, size_t n)
{
	uint8_t key[16];

	put_u64(key, h->a);
	put_u64(key + 8, n);
	h->a = siphash(key, n == 0 ? "" : p, n);
	put_u64(key, h->b);
	key[15] ^= 0x5a;
	h->b = siphash(key, n == 0 ? "" : p, n);
}

static struct hashing hash_group(const struct finding *f)
{
	struct hashing h = {UINT64_C(0x6e696768746a6172), UINT64_C(0x616c657274206964)};

	feed(&h, f->rule_id, strlen(f->rule_id));
	for (size_t i = 0; i < f->n_group; i++) {
		feed(&h, f->group[i].name.p, f->group[i].name.n);
		feed(&h, f->group[i].value.p, f->group[i].value.n);
	}
	return h;
}

static struct hashing hash_finding(const struct finding *f, struct hashing h)
{
	uint8_t since[8];

	put_u64(since, (uint64_t)f->since_ns);
	feed(&h, since, sizeof since);
	/* What is about one line is about this line: two in one second differ. */
	if (f->about != 0) {
		uint8_t about[8];

		/* Told again without its line, when a late one has come. */
		put_u64(about, f->about);
		feed(&h, about, sizeof about);
	} else if (f->single && f->record != NULL) {
		feed(&h, f->record->line.p, f->record->line.n);
	}
	return h;
}

static void write_id(const struct hashing *h, char id[static ALERT_ID_TEXT])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < 16; i++) {
		id[i] = digits[h->a >> (60 - 4 * i) & 15];
		id[16 + i] = digits[h->b >> (60 - 4 * i) & 15];
	}
	id[32] = '\0';
}

void alert_identity(const struct finding *f, char id[static ALERT_ID_TEXT])
{
	struct hashing h = hash_finding(f, hash_group(f));

	write_id(&h, id);
}

/* ---- cooldown ---- */

static bool hidden(struct alerts *a, const struct finding *f,
		   const struct hashing *group, uint64_t id,
		   uint64_t *suppressed)
{
	uint64_t cooldown_ns = f->cooldown_ns != 0
				       ? f->cooldown_ns
				       : a->options.cooldown_ms * 1000000;
	struct cooldown *c;
	uint64_t since;

	*suppressed = 0;
	if (cooldown_ns == 0) {
		return false;
	}
	c = cooldowns_get(&a->cooldowns, siphash(a->key, group, sizeof *group));
	if (c == NULL) {
		return false; /* no memory: rather once too often */
	}
	if (f->state != FINDING_NEW) {
		return c->id != 0 && c->id != id;
	}
	since = f->last_ns > c->last_ns ? (uint64_t)(f->last_ns - c->last_ns)
					: (uint64_t)(c->last_ns - f->last_ns);
	if (c->id != 0 && c->id != id && since < cooldown_ns) {
		c->suppressed++;
		return true;
	}
	*suppressed = c->suppressed;
	*c = (struct cooldown){c->key, id, f->last_ns, 0, 0};
	return false;
}

bool alerts_admit(struct alerts *a, const struct finding *f, struct alert *out)
{
	struct hashing group, h;

	if (f->severity < a->options.min_severity) {
		return false;
	}
	group = hash_group(f);
	h = hash_finding(f, group);
	*out = (struct alert){
		.state = f->state,
		.severity = f->severity,
		.rule_id = f->rule_id,
		.rule_title = f->rule_title,
		.first_ns = f->first_ns,
		.last_ns = f->last_ns,
		.count = f->count,
		.open = f->open,
	};
	if (hidden(a, f, &group, h.a == 0 ? 1 : h.a, &out->suppressed)) {
		a->suppressed++;
		return false;
	}
	a->emitted++;
	write_id(&h, out->id);
	return true;
}

int alerts_finding(struct alerts *a, const struct finding *f, alert_cb cb,
		   void *arg)
{
	struct alert alert;
	int rc;

	if (!alerts_admit(a, f, &alert)) {
		return 0;
	}
	rc = alert_render(&a->json, &alert, f, slice_str(a->device),
			  (size_t)a->options.evidence_lines);
	if (rc != 0) {
		return rc;
	}
	alert.json = buf_slice(&a->json);
	cb(arg, &alert);
	return 0;
}

/* ---- state ---- */

int alerts_save(const struct alerts *a, struct buf *out)
{
	int rc = buf_add_u8(out, STATE_VERSION);

	if (rc == 0) {
		rc = buf_add(out, a->key, sizeof a->key);
	}
	return rc == 0 ? cooldowns_save(&a->cooldowns, out) : rc;
}

int alerts_restore(struct alerts *a, struct slice state)
{
	struct reader r = reader(state);
	uint8_t key[16];
	int rc;

	cooldowns_fini(&a->cooldowns);
	if (reader_u8(&r) != STATE_VERSION) {
		return reader_ok(&r) ? ERR_VERSION : ERR_MALFORMED;
	}
	reader_copy(&r, key, sizeof key);
	rc = cooldowns_restore(&a->cooldowns, &r);
	if (rc != 0) {
		cooldowns_fini(&a->cooldowns);
		return rc;
	}
	memcpy(a->key, key, sizeof a->key);
	return 0;
}

void alerts_stats(const struct alerts *a, struct alerts_stats *out)
{
	*out = (struct alerts_stats){a->emitted, a->suppressed, a->cooldowns.n};
}
