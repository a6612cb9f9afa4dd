#include "redact/scan.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* What ordinary lines look like, written for this purpose: windows and buckets
 * are chosen so that these rarely get through.  Correctness does not depend on it. */
static const char sample[] =
	"Nov 22 15:37:46 web01 sshd[28341]: Failed password for invalid user admin from 203.0.113.77 port 52114 ssh2\n"
	"2026-01-01T04:08:25.621547+00:00 db-2 sshd-session[4700]: Accepted publickey for deploy from 198.51.100.4 port 41022 ssh2: ED25519 SHA256:q0Zr3xN9bT5uVw1YcKd8eFgHiJkLmNoPqRsTuVwXyZ0\n"
	"2026-03-07T23:59:08.036+02:00 mail sshd[923]: Received disconnect from 192.0.2.45 port 39788:11: Bye Bye [preauth]\n"
	"Feb  3 06:25:01 host CRON[1182]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)\n"
	"Feb  3 06:25:01 host CRON[1183]: (root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)\n"
	"Jul 14 11:02:19 gw sudo:    alice : TTY=pts/1 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx.service\n"
	"Jul 14 11:02:19 gw sudo: pam_unix(sudo:session): session opened for user root by alice(uid=1000)\n"
	"Aug 30 19:44:07 srv sshd[5512]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=mx.example.org  user=root\n"
	"Aug 30 19:44:09 srv sshd[5512]: error: maximum authentication attempts exceeded for root from 198.51.100.9 port 60122 ssh2 [preauth]\n"
	"Aug 30 19:44:12 srv sshd[5519]: input_userauth_request: invalid user test [preauth]\n"
	"Aug 30 19:44:13 srv sshd[5519]: reverse mapping checking getaddrinfo for host-81-2-69-142.example.net [81.2.69.142] failed - POSSIBLE BREAK-IN ATTEMPT!\n"
	"Aug 30 19:44:15 srv sshd[5519]: Connection closed by authenticating user git 203.0.113.5 port 33880 [preauth]\n"
	"Aug 30 19:44:15 srv sshd[5519]: Did not receive identification string from 203.0.113.6\n"
	"Oct  9 03:10:55 srv systemd[1]: Started Session 2913 of user backup.\n"
	"Oct  9 03:10:55 srv systemd-logind[612]: New session 2913 of user backup.\n"
	"Oct  9 03:10:56 srv systemd-logind[612]: Session 2913 logged out. Waiting for processes to exit.\n"
	"Oct  9 03:11:01 srv systemd[1]: apt-daily.service: Succeeded. Consumed 1.204s CPU time.\n"
	"Oct  9 03:12:44 srv kernel: [812345.678901] usb 1-1.2: new high-speed USB device number 7 using xhci_hcd\n"
	"Oct  9 03:12:44 srv kernel: [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56:00:1a:2b:3c:4d:5e:08:00 SRC=203.0.113.9 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=49 ID=54321 DF PROTO=TCP SPT=44321 DPT=22 WINDOW=29200 RES=0x00 SYN URGP=0\n"
	"Oct  9 03:12:50 srv dhclient[540]: DHCPACK of 192.168.1.23 from 192.168.1.1 (xid=0x5a1f3c2e), bound to 192.168.1.23 -- renewal in 1742 seconds.\n"
	"Oct  9 03:13:11 srv postfix/smtpd[20411]: connect from unknown[203.0.113.44]; NOQUEUE: reject: RCPT from mail.example.com[192.0.2.3]: 554 5.7.1\n"
	"Oct  9 03:14:00 srv ntpd[811]: kernel reports TIME_ERROR: 0x41: Clock Unsynchronized, synchronized to LOCAL(0), stratum 10\n"
	"Oct  9 03:14:02 mac com.apple.xpc.launchd[1]: (com.apple.quicklook[78412]) Endpoint has been activated through legacy launch(3) APIs\n"
	"Oct  9 03:14:09 ap hostapd: wlan0: STA 00:11:22:aa:bb:cc IEEE 802.11: authenticated; dnsmasq-dhcp[2012]: DHCPREQUEST(br-lan) 192.168.8.117\n"
	"Sun Oct  9 03:15:22 2026 authpriv.info dropbear[1902]: Child connection from 192.168.1.5:51234; Exit (root): Disconnect received\n"
	"type=USER_AUTH msg=audit(1691234567.123:4567): pid=2211 uid=0 auid=4294967295 ses=4294967295 msg='op=PAM:authentication grantors=? acct=\"root\" exe=\"/usr/sbin/sshd\" hostname=203.0.113.8 addr=203.0.113.8 terminal=ssh res=failed'\n"
	"203.0.113.20 - - [09/Oct/2026:03:16:41 +0000] \"GET /index.php?page=2&id=17 HTTP/1.1\" 404 153 \"https://www.example.com/start.html\" \"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/117.0\"\n"
	"{\"time\":\"2026-10-09T03:17:02Z\",\"level\":\"info\",\"msg\":\"request completed\",\"status\":200,\"duration_ms\":12.7,\"path\":\"/api/v2/items\"}\n"
	"INFO  [main] org.example.service.StorageManager - Opened segment file /var/lib/app/data/segment-000042.db in 31 ms\n";

enum { WORDS = (sizeof sample + 63) / 64 };

enum { WINDOW_LOG = 10, WINDOWS = 1 << WINDOW_LOG };

/* A pattern's window as a number: what is compared first, so it lies close. */
struct quick {
	uint32_t fold, mask, want;
};

struct pattern {
	uint8_t n;
	uint8_t window; /* offset of the window */
	uint8_t bucket;
	bool fold;
	bool planned;   /* window and bucket are given */
	bool sep;       /* the last byte is a separator, not the literal's */
	uint16_t literal;
	char text[SCAN_MAX + 1];
	scan_guard guard;
};

struct scan {
	struct scan_tables tables;
	scan_judge judge; /* NULL: byte by byte */
	size_t n_patterns;
	/* patterns of bucket b: by_bucket[first[b]] to by_bucket[first[b + 1] - 1] */
	uint16_t first[SCAN_BUCKETS + 1];
	struct pattern *patterns; /* sorted by bucket */
	struct quick *quick;      /* of the pattern with the same index */
	/* Patterns whose window holds no class, chained by window_hash() of it: index + 1
	 * of the first, and of what comes after each.  What has some is in
	 * loose[loose_first[b]] to loose[loose_first[b + 1] - 1]. */
	uint16_t windows[WINDOWS];
	uint16_t *after;
	uint16_t *loose;
	uint16_t loose_first[SCAN_BUCKETS + 1];
	uint16_t loose_buckets; /* bit b: there are some in bucket b */
	uint8_t classes[256];   /* bit t: the byte is of class t */
};

/* Of both cases of a letter, the same. */
static inline unsigned window_hash(uint32_t window)
{
	return (window | 0x20202020u) * 0x9e3779b1u >> (32 - WINDOW_LOG);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_alpha(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

/* The bytes of each class but SCAN_PRINT. */
static const char *const class_bytes[8] = {
	[1] = "=:\"'\\>]%(",
	[2] = "0123456789abcdefABCDEF",
	[3] = "0123456789",
	[4] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-+/",
	[5] = "=:?\"' -",
	[7] = "pPuUawcAXsk",
};

/* Does byte c stand for pattern byte t? */
static bool accepts(char t, bool fold, char c)
{
	if (t == SCAN_PRINT[0]) {
		return c >= ' ' && c <= '~';
	}
	if (t > 0 && t < 8) {
		return c != '\0' && strchr(class_bytes[(unsigned char)t], c) != NULL;
	}
	return t == c || (fold && is_alpha(t) && lower(t) == lower(c));
}

/* ---- windows and buckets ---- */

/* Tables for one bucket (or one pattern): two 16-bit sets for each position. */
struct nibbles {
	uint16_t lo[SCAN_MIN], hi[SCAN_MIN];
};

static struct nibbles nibbles_of(const struct pattern *p)
{
	struct nibbles m = {{0}, {0}};

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		for (unsigned c = 0; c < 128; c++) {
			if (accepts(p->text[p->window + i], p->fold, (char)c)) {
				m.lo[i] |= (uint16_t)(1u << (c & 15));
				m.hi[i] |= (uint16_t)(1u << (c >> 4));
			}
		}
	}
	return m;
}

static void nibbles_join(struct nibbles *m, const struct nibbles *other)
{
	for (unsigned i = 0; i < SCAN_MIN; i++) {
		m->lo[i] |= other->lo[i];
		m->hi[i] |= other->hi[i];
	}
}

/* The sample as sets of places: bit k of lo[i][v] is set when byte k + i of it has
 * low half v.  So a bucket is judged by ORs and ANDs of whole words. */
struct places {
	uint64_t lo[SCAN_MIN][16][WORDS], hi[SCAN_MIN][16][WORDS];
};

static struct places *places_new(void)
{
	struct places *s = calloc(1, sizeof *s);

	for (size_t k = 0; s != NULL && k + SCAN_MIN < sizeof sample; k++) {
		for (unsigned i = 0; i < SCAN_MIN; i++) {
			unsigned c = (unsigned char)sample[k + i];

			s->lo[i][c & 15][k / 64] |= UINT64_C(1) << k % 64;
			s->hi[i][c >> 4][k / 64] |= UINT64_C(1) << k % 64;
		}
	}
	return s;
}

/* All of `pass` that has one of these halves. */
static void narrow(uint64_t pass[static WORDS], uint64_t sets[16][WORDS], uint16_t which)
{
	uint64_t any[WORDS] = {0};

	for (unsigned v = 0; v < 16; v++) {
		for (unsigned k = 0; k < WORDS && (which >> v & 1) != 0; k++) {
			any[k] |= sets[v][k];
		}
	}
	for (unsigned k = 0; k < WORDS; k++) {
		pass[k] &= any[k];
	}
}

/* How many places of the sample get through, and as a fraction behind that, how
 * much of all text of four bytes would. */
static double nibbles_cost(struct places *s, const struct nibbles *m)
{
	uint64_t pass[WORDS];
	double wide = 1, cost = 0;

	memset(pass, 0xff, sizeof pass);
	for (unsigned i = 0; i < SCAN_MIN; i++) {
		narrow(pass, s->lo[i], m->lo[i]);
		narrow(pass, s->hi[i], m->hi[i]);
		wide *= __builtin_popcount(m->lo[i]) * __builtin_popcount(m->hi[i]) / 96.0;
	}
	for (unsigned k = 0; k < WORDS; k++) {
		cost += __builtin_popcountll(pass[k]);
	}
	return cost + 100 * wide;
}

static void choose_window(struct places *s, struct pattern *p)
{
	double best = 0;
	uint8_t at = 0;

	for (uint8_t w = 0; w + SCAN_MIN <= p->n; w++) {
		struct nibbles m;
		double cost;

		p->window = w;
		m = nibbles_of(p);
		cost = nibbles_cost(s, &m);
		if (w == 0 || cost < best) {
			best = cost;
			at = w;
		}
	}
	p->window = at;
}

/* Puts pattern i where it costs least, given what else the buckets hold. */
static void deal_one(struct places *s, struct pattern *patterns,
		     const struct nibbles *own, size_t n, size_t i, bool dealt)
{
	struct nibbles buckets[SCAN_BUCKETS] = {{{0}, {0}}};
	double best = 0;

	for (size_t k = 0; k < n; k++) {
		if (k != i && (dealt || k < i || patterns[k].planned)) {
			nibbles_join(&buckets[patterns[k].bucket], &own[k]);
		}
	}
	for (uint8_t b = 0; b < SCAN_BUCKETS; b++) {
		double more = -nibbles_cost(s, &buckets[b]);

		nibbles_join(&buckets[b], &own[i]);
		more += nibbles_cost(s, &buckets[b]);
		if (b == 0 || more < best) {
			best = more;
			patterns[i].bucket = b;
		}
	}
}

/* Greedy, then again with everything else already dealt.  own: scratch for n. */
static void deal(struct places *s, struct pattern *patterns, struct nibbles *own, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!patterns[i].planned) {
			choose_window(s, &patterns[i]);
		}
		own[i] = nibbles_of(&patterns[i]);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < n; i++) {
			if (patterns[i].planned) {
				continue;
			}
			deal_one(s, patterns, own, n, i, round > 0);
		}
	}
}

/* Windows and buckets for what has none; nearly always all were planned. */
static int deal_all(struct pattern *patterns, size_t n)
{
	struct places *places;
	struct nibbles *own;
	size_t planned = 0;
	int rc = 0;

	while (planned < n && patterns[planned].planned) {
		planned++;
	}
	if (planned == n) {
		return 0;
	}
	places = places_new();
	own = calloc(n, sizeof *own);
	if (places == NULL || own == NULL) {
		rc = UV_ENOMEM;
	} else {
		deal(places, patterns, own, n);
	}
	free(own);
	free(places);
	return rc;
}

/* The bytes of the window that are no classes, folded where the pattern is. */
static void fill_quick(struct quick *q, const struct pattern *p)
{
	uint8_t fold[SCAN_MIN] = {0}, mask[SCAN_MIN] = {0}, want[SCAN_MIN] = {0};

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		char t = p->text[p->window + i];

		if (t >= ' ') {
			fold[i] = p->fold && is_alpha(t) ? 0x20 : 0;
			mask[i] = 0xff;
			want[i] = (uint8_t)(fold[i] != 0 ? lower(t) : t);
		}
	}
	memcpy(&q->fold, fold, sizeof fold);
	memcpy(&q->mask, mask, sizeof mask);
	memcpy(&q->want, want, sizeof want);
}

/* Sorts the windows of pattern k into those that are known whole and the others. */
static void fill_windows(struct scan *s, size_t k)
{
	const struct quick *q = &s->quick[k];

	if (q->mask == UINT32_MAX) {
		unsigned h = window_hash(q->want);

		s->after[k] = s->windows[h];
		s->windows[h] = (uint16_t)(k + 1);
		return;
	}
	s->loose_buckets |= (uint16_t)(1u << s->patterns[k].bucket);
	s->loose[s->loose_first[SCAN_BUCKETS]] = (uint16_t)k;
	for (unsigned b = s->patterns[k].bucket + 1u; b <= SCAN_BUCKETS; b++) {
		s->loose_first[b]++;
	}
}

static void fill_tables(struct scan *s)
{
	struct scan_tables *t = &s->tables;

	for (unsigned c = 0; c < 256; c++) {
		for (unsigned k = 1; k < 8; k++) {
			if (accepts((char)k, false, (char)c)) {
				s->classes[c] |= (uint8_t)(1u << k);
			}
		}
	}

	for (size_t k = 0; k < s->n_patterns; k++) {
		const struct pattern *p = &s->patterns[k];
		uint8_t bit = (uint8_t)(1u << p->bucket % 8), half = p->bucket / 8;

		fill_quick(&s->quick[k], p);
		fill_windows(s, k);
		for (unsigned i = 0; i < SCAN_MIN; i++) {
			for (unsigned c = 0; c < 128; c++) {
				if (accepts(p->text[p->window + i], p->fold,
					    (char)c)) {
					t->lo[half][i][c & 15] |= bit;
					t->hi[half][i][c >> 4] |= bit;
					t->byte[i][c] |= (uint16_t)(1u << p->bucket);
					t->whole[half][i][c] |= bit;
				}
			}
		}
	}
}

/* ---- making ---- */

static int by_bucket(const void *a, const void *b)
{
	const struct pattern *x = a, *y = b;

	if (x->bucket != y->bucket) {
		return x->bucket < y->bucket ? -1 : 1;
	}
	return x->literal < y->literal ? -1 : x->literal > y->literal;
}

static void take_plan(struct pattern *p, const struct scan_literal *l, unsigned form)
{
	if (l->plan != NULL && strcmp(l->plan->text, l->text) == 0 &&
	    l->plan->window[form] + SCAN_MIN <= p->n && l->plan->bucket[form] < SCAN_BUCKETS) {
		p->window = l->plan->window[form];
		p->bucket = l->plan->bucket[form];
		p->planned = true;
	}
}

/* A literal that ends in SCAN_SEP becomes two patterns. */
static size_t add_patterns(struct pattern *out, const struct scan_literal *l,
			   uint16_t index)
{
	size_t n = strlen(l->text);
	struct pattern p = {.n = (uint8_t)n, .fold = l->fold, .literal = index,
			    .guard = l->guard};

	memcpy(p.text, l->text, n);
	p.sep = l->text[n - 1] == SCAN_SEP[0];
	take_plan(&p, l, 0);
	out[0] = p;
	if (!p.sep) {
		return 1;
	}
	p.text[n - 1] = ' ';
	p.text[n] = SCAN_SPACED[0];
	p.n = (uint8_t)(n + 1);
	p.planned = false;
	take_plan(&p, l, 1);
	out[1] = p;
	return 2;
}

int scan_new(struct scan **out, const struct scan_literal *literals, size_t n)
{
	struct scan *s = NULL;
	int rc = UV_ENOMEM;

	*out = NULL;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(literals[i].text);

		if (len < SCAN_MIN || len >= SCAN_MAX || n > UINT16_MAX / 2) {
			rc = UV_EINVAL;
			goto err_free;
		}
	}
	s = calloc(1, sizeof *s);
	if (s == NULL) {
		goto err_free;
	}
	s->patterns = calloc(2 * n + 1, sizeof *s->patterns);
	s->quick = calloc(2 * n + 1, sizeof *s->quick);
	s->after = calloc(2 * n + 1, sizeof *s->after);
	s->loose = calloc(2 * n + 1, sizeof *s->loose);
	if (s->patterns == NULL || s->quick == NULL || s->after == NULL ||
	    s->loose == NULL) {
		goto err_free;
	}
	for (size_t i = 0; i < n; i++) {
		s->n_patterns += add_patterns(s->patterns + s->n_patterns,
					      &literals[i], (uint16_t)i);
	}
	rc = deal_all(s->patterns, s->n_patterns);
	if (rc != 0) {
		goto err_free;
	}
	qsort(s->patterns, s->n_patterns, sizeof *s->patterns, by_bucket);
	for (size_t i = 0; i < s->n_patterns; i++) {
		for (unsigned b = s->patterns[i].bucket + 1u; b <= SCAN_BUCKETS; b++) {
			s->first[b]++;
		}
	}
	fill_tables(s);
	rc = scan_use(s, SCAN_BEST);
	*out = s;
	return rc;

err_free:
	scan_free(s);
	return rc;
}

void scan_free(struct scan *s)
{
	if (s != NULL) {
		free(s->patterns);
		free(s->quick);
		free(s->after);
		free(s->loose);
		free(s);
	}
}

int scan_use(struct scan *s, enum scan_engine engine)
{
	scan_judge judge = NULL;

	switch (engine) {
	case SCAN_SCALAR:
		s->judge = NULL;
		return 0;
	case SCAN_SSSE3:
		judge = scan_ssse3();
		break;
	case SCAN_AVX2:
		judge = scan_avx2();
		break;
	case SCAN_VBMI:
		judge = scan_vbmi();
		break;
	case SCAN_NEON:
		judge = scan_neon();
		break;
	case SCAN_BEST:
		judge = scan_vbmi();
		judge = judge != NULL ? judge : scan_avx2();
		judge = judge != NULL ? judge : scan_ssse3();
		judge = judge != NULL ? judge : scan_neon();
		s->judge = judge;
		return 0;
	}
	if (judge == NULL) {
		return UV_ENOTSUP;
	}
	s->judge = judge;
	return 0;
}

/* ---- looking ---- */

/* Without the separator, and the blank before it. */
static size_t literal_len(const struct pattern *pt)
{
	return !pt->sep ? pt->n : pt->n - (pt->text[pt->n - 1] == SCAN_SEP[0] ? 1u : 2u);
}

/* The whole pattern stands around its window at `place`. */
static bool pattern_at(const struct scan *s, const struct pattern *pt, const char *p,
		       size_t place, size_t n)
{
	size_t at;

	if (place < pt->window || n - (place - pt->window) < pt->n) {
		return false;
	}
	at = place - pt->window;
	/* From the end: what ordinary text lacks is the separator. */
	for (size_t i = pt->n; i-- > 0;) {
		char t = pt->text[i], c = p[at + i];

		bool same = t >= ' ' ? t == c || (pt->fold && is_alpha(t) &&
						  (t ^ c) == 0x20)
				     : (s->classes[(unsigned char)c] >> t & 1) != 0;

		if (!same) {
			return false;
		}
	}
	return pt->guard == NULL || pt->guard(p, at, at + literal_len(pt), n);
}

static inline bool quick_at(const struct scan *s, unsigned k, uint32_t window,
			    const char *p, size_t place, size_t n)
{
	const struct quick *q = &s->quick[k];

	return ((window | q->fold) & q->mask) == q->want &&
	       pattern_at(s, &s->patterns[k], p, place, n);
}

size_t scan_hits(const struct scan *s, const char *p, size_t place, size_t n,
		 struct scan_hit out[static SCAN_HITS])
{
	unsigned buckets;
	uint32_t window;
	size_t found = 0;

	if (n < SCAN_MIN || place > n - SCAN_MIN) {
		return 0;
	}
	memcpy(&window, p + place, sizeof window);
	buckets = scan_buckets(&s->tables, p + place);
	for (; buckets != 0; buckets &= buckets - 1) {
		unsigned b = (unsigned)__builtin_ctz(buckets);

		for (unsigned k = s->first[b]; k < s->first[b + 1]; k++) {
			const struct pattern *pt = &s->patterns[k];

			if (found == SCAN_HITS ||
			    !quick_at(s, k, window, p, place, n)) {
				continue;
			}
			out[found++] = (struct scan_hit){
				pt->literal, place - pt->window,
				place - pt->window + literal_len(pt)};
		}
	}
	return found;
}

/* Nearly all of what the tables let through is no window at all. */
static bool check(const struct scan *s, const char *p, size_t place, size_t n)
{
	unsigned buckets = scan_buckets(&s->tables, p + place);
	uint32_t window;

	if (buckets == 0) {
		return false;
	}
	buckets &= s->loose_buckets;
	memcpy(&window, p + place, sizeof window);
	for (unsigned k = s->windows[window_hash(window)]; k != 0; k = s->after[k - 1]) {
		if (quick_at(s, k - 1, window, p, place, n)) {
			return true;
		}
	}
	for (; buckets != 0; buckets &= buckets - 1) {
		unsigned b = (unsigned)__builtin_ctz(buckets);

		for (unsigned i = s->loose_first[b]; i < s->loose_first[b + 1]; i++) {
			if (quick_at(s, s->loose[i], window, p, place, n)) {
				return true;
			}
		}
	}
	return false;
}

/* The first of these 64 places from p + base on that is a window's, or n. */
static inline size_t first_of(const struct scan *s, const char *p, size_t base,
			      uint64_t places, size_t n)
{
	for (; places != 0; places &= places - 1) {
		size_t at = base + (unsigned)__builtin_ctzll(places);

		if (check(s, p, at, n)) {
			return at;
		}
	}
	return n;
}

/* scan_next() by 64 places at a time, and of those a few before the first is looked
 * at: more, the longer nothing was found. */
static size_t next_by_64(const struct scan *s, const char *p, size_t from, size_t n)
{
	enum { MORE = SCAN_MIN - 1, MOST = 8 };
	uint64_t places[MOST];
	char rest[64 + MORE] = {0};
	size_t at;

	for (unsigned most = 2; n - from >= 64 + MORE; most = MOST) {
		size_t whole = (n - from - MORE) / 64;
		unsigned k = whole < most ? (unsigned)whole : most;

		s->judge(&s->tables, p + from, k, places);
		for (unsigned i = 0; i < k; i++, from += 64) {
			at = first_of(s, p, from, places[i], n);
			if (at < n) {
				return at;
			}
		}
	}
	if (n - from < SCAN_MIN) {
		return n;
	}
	memcpy(rest, p + from, n - from);
	s->judge(&s->tables, rest, 1, places);
	places[0] &= (UINT64_C(1) << (n - from - MORE)) - 1;
	return first_of(s, p, from, places[0], n);
}

size_t scan_next(const struct scan *s, const char *p, size_t from, size_t n)
{
	if (s->judge != NULL && from < n) {
		return next_by_64(s, p, from, n);
	}
	for (; from < n && n - from >= SCAN_MIN; from++) {
		if (scan_buckets(&s->tables, p + from) != 0 &&
		    check(s, p, from, n)) {
			return from;
		}
	}
	return n;
}
