/* Which part of each literal is looked for, and in which bucket, where plan.c does not
 * say it: chosen over lines like those that are scanned most. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "redact/scan_impl.h"

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

/* Tables for one bucket (or one pattern): two 16-bit sets for each position. */
struct nibbles {
	uint16_t lo[SCAN_MIN], hi[SCAN_MIN];
};

static struct nibbles nibbles_of(const struct pattern *p)
{
	struct nibbles m = {{0}, {0}};

	for (unsigned i = 0; i < SCAN_MIN; i++) {
		for (unsigned c = 0; c < 128; c++) {
			if (scan_accepts(p->text[p->window + i], p->fold, (char)c)) {
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

int scan_deal(struct pattern *patterns, size_t n)
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
