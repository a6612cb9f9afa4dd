/* Is this user name a password that somebody typed too early?
 *
 * People do it at every prompt.  What they type then stands in the log as the name of a
 * user who does not exist, and the next line says from where the right login came.
 * The judgement is about one word at a time and knows nothing of the machine's users; the
 * examples in docs/redaction.md are run by the tests.
 */
#include "redact/password.h"

#include "common/ip.h"
#include "redact/verify.h"

enum {
	SHORT = 5,       /* a mark and two kinds of letters or digits */
	USUAL = 8,       /* what most systems want a password to have at least */
	RUN_TOGETHER = 22, /* correcthorsebattery: more letters than a name has */
	MOST = 128,
};

/* What a word is made of. */
struct made {
	unsigned n;      /* characters; an escaped one (\303) counts once */
	unsigned lower, upper, digits;
	unsigned marks;  /* of those, strong: what nobody has in a name */
	unsigned strong;
	unsigned lines;  /* _ - . */
	unsigned turns;  /* between letters and digits */
	unsigned cases;  /* between upper and lower case */
	unsigned tail;   /* digits at the end */
	unsigned distinct;
	bool mark_first;
};

static bool is_octal(struct slice s, size_t i)
{
	for (unsigned k = 1; k <= 3; k++) {
		if (i + k >= s.n || s.p[i + k] < '0' || s.p[i + k] > '7') {
			return false;
		}
	}
	return in_set(s.p[i], "\\#");
}

static void count_alnum(struct made *m, char c, unsigned class, char before)
{
	unsigned was = char_class(before);

	m->lower += (class & C_LOWER) != 0;
	m->upper += (class & C_UPPER) != 0;
	m->digits += (class & C_DIGIT) != 0;
	m->tail = (class & C_DIGIT) != 0 ? m->tail + 1 : 0;
	m->turns += (was & C_ALNUM) != 0 && ((was ^ class) & C_DIGIT) != 0;
	m->cases += (was & C_ALPHA) != 0 && ((was ^ class) & C_ALPHA) == C_ALPHA;
	(void)c;
}

static struct made made_of(struct slice s)
{
	struct made m = {0};
	bool seen[256] = {false};
	char before = ' ';

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		unsigned class = char_class(c);

		m.n++;
		m.distinct += !seen[(uint8_t)c];
		seen[(uint8_t)c] = true;
		if (is_octal(s, i)) {
			/* As sshd and rsyslog write what is not ASCII. */
			i += 3;
			m.lower++;
			m.tail = 0;
			c = ' ';
		} else if ((unsigned char)c >= 0x80) {
			m.lower++;
			m.tail = 0;
		} else if ((class & C_ALNUM) != 0) {
			count_alnum(&m, c, class, before);
		} else if ((class & (C_LINE | C_DOT)) != 0) {
			m.lines++;
			m.tail = 0;
		} else {
			m.mark_first |= i == 0;
			m.marks++;
			m.strong += in_set(c, "!@#$%^&*?");
			m.tail = 0;
		}
		before = c;
	}
	return m;
}

/* ---- what looks like one and is none ---- */

static bool is_domain(struct slice s)
{
	bool letters = false, plain = s.n > 0;
	size_t dots = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned class = char_class(s.p[i]);

		letters |= (class & C_ALPHA) != 0;
		dots += s.p[i] == '.' && i > 0 && i + 1 < s.n;
		plain = plain && (class & (C_ALNUM | C_DOT | C_LINE)) != 0;
	}
	/* A realm without a dot is a word: bob@pam, bob@CORP. */
	if (plain && dots == 0) {
		struct made m = made_of(s);

		return m.digits == 0 && m.cases <= 1;
	}
	return plain && letters && is_class(s.p[s.n - 1], C_ALPHA);
}

/* anna@example.com, bob+tag@example.com, host/web1@REALM, root@192.0.2.1 */
static bool is_account(struct slice s)
{
	size_t at = slice_rfind(s, SLICE_LIT("@"));
	struct slice host;
	struct ip ip;

	if (at == SIZE_MAX || at < 2) {
		return false;
	}
	for (size_t i = 0; i < at; i++) {
		if (!is_class(s.p[i], C_WORD | C_DOT) && !in_set(s.p[i], "+/")) {
			return false;
		}
	}
	host = slice_skip(s, at + 1);
	/* 1qaz@WSX is no account of WSX's. */
	return (is_domain(host) && is_class(s.p[0], C_ALPHA)) || ip_parse(host, &ip);
}

/* Somebody probes: the text is of use to whoever reads the log. */
static bool is_probe(struct slice s)
{
	static const char *const parts[] = {"${", "$(", "://", "../", "</", "<script", "()",
					    "CN=", "cn=", "uid=", "=>", NULL};

	for (const char *const *p = parts; *p != NULL; p++) {
		if (slice_find(s, slice_str(*p)) != SIZE_MAX) {
			return true;
		}
	}
	return s.n > 0 && s.p[0] == '/';
}

/* ---- what is one ---- */

/* The letter that a sign stands for in p@55w0rd; itself otherwise. */
static char unleet(char c)
{
	switch (c) {
	case '@':
	case '4':
		return 'a';
	case '0':
		return 'o';
	case '3':
		return 'e';
	case '$':
	case '5':
		return 's';
	case '1':
	case '!':
		return 'i';
	case '7':
		return 't';
	default:
		return c;
	}
}

static bool begins_common(const char *p, size_t n)
{
	static const char *const parts[] = {
		"passw", "passphrase", "qwert", "letmein", "iloveyou", "welcome",
		"changeme", "1qaz", "2wsx", "zaq1", "qazwsx", "1q2w", "q1w2", "123qwe",
		"qwe123", "asdf", "zxcv", NULL};

	for (const char *const *part = parts; *part != NULL; part++) {
		if (**part == *p && strlen(*part) <= n &&
		    memcmp(p, *part, strlen(*part)) == 0) {
			return true;
		}
	}
	return false;
}

/* The first bytes of those: one bit for each letter of them, a the lowest. */
static inline bool may_begin_common(char c)
{
	const uint32_t letters = 1u << ('a' - 'a') | 1u << ('c' - 'a') | 1u << ('i' - 'a') |
				 1u << ('l' - 'a') | 1u << ('p' - 'a') | 1u << ('q' - 'a') |
				 1u << ('w' - 'a') | 1u << ('z' - 'a');

	return c == '1' || c == '2' ||
	       (c >= 'a' && c <= 'z' && (letters >> (c - 'a') & 1) != 0);
}

/* What everybody chooses, however it is spelled: P@55word, 1qaz2wsx. */
static bool is_common(struct slice s)
{
	char plain[MOST], spelled[MOST];

	if (s.n > MOST) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		plain[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
		spelled[i] = unleet(plain[i]);
	}
	for (size_t i = 0; i < s.n; i++) {
		if ((may_begin_common(plain[i]) && begins_common(plain + i, s.n - i)) ||
		    (may_begin_common(spelled[i]) && begins_common(spelled + i, s.n - i))) {
			return true;
		}
	}
	return false;
}

/* With marks in it that names don't have. */
static bool with_marks(struct slice s, const struct made *m)
{
	unsigned letters = m->lower + m->upper;
	unsigned kinds = (m->lower > 0 ? 1u : 0u) + (m->upper > 0 ? 1u : 0u) +
			 (m->digits > 0 ? 1u : 0u);

	if (letters == 0) {
		/* !@#$%^ and 123!@#, but no time and no telephone number. */
		return m->strong >= (m->digits >= 3 ? 2 : 6) && m->distinct >= 4;
	}
	if (m->strong == 0) {
		return kinds == 3 && m->n >= USUAL && !is_probe(s);
	}
	if (is_probe(s)) {
		return false;
	}
	if (kinds >= 2) {
		return m->n >= SHORT;
	}
	/* letmein!, p@ssword; but not !root or *admin*. */
	return m->mark_first ? m->strong >= 2 && m->n >= USUAL + 2 : m->n > SHORT;
}

/* Anna.Schmidt85, Test_User_01: words between lines, with a number behind. */
static bool is_full_name(const struct made *m)
{
	return m->lines > 0 && m->turns <= 1 && m->tail <= 4 && m->cases <= 2 * (m->lines + 1);
}

static bool with_all_kinds(struct slice s, const struct made *m)
{
	bool at_end = m->turns == 1 && m->tail == m->digits;

	if (m->n < USUAL) {
		return false;
	}
	if (m->lines > 0 && (m->lines > 1 || m->cases > 1) && is_full_name(m)) {
		return false;
	}
	/* Operator01 is a name, Winter2026 is none; nor is Welcome1. */
	return at_end ? m->tail >= 3 || is_common(s) : m->digits < m->n;
}

/* user-2024, test123, oracle11g are names; 1q2w3e4r and qwerty123 are not. */
static bool of_two_kinds(struct slice s, const struct made *m)
{
	return m->n >= USUAL && ((m->lines == 0 && m->turns >= 4) || is_common(s));
}

static bool of_letters(const struct made *m)
{
	if (m->lines > 0 || m->n > MOST / 2 || m->distinct < USUAL) {
		return false;
	}
	/* xKqWvBnTzRpL, but not JohnSmithAdmin. */
	return (m->upper == 0 || m->lower == 0) ? m->n >= RUN_TOGETHER
						: m->n >= 12 && m->cases * 2 >= m->n;
}

/* Windows' DOMAIN\user and machine$; quotes around it are the log's. */
static struct slice without_dress(struct slice s)
{
	for (size_t i = s.n; i-- > 1;) {
		if (s.p[i] == '\\' && i + 1 < s.n && !is_octal(s, i)) {
			size_t from = i + 1, domain = 0;

			while (domain < i && is_class(s.p[domain], C_WORD | C_DOT)) {
				domain++;
			}
			if (domain == i || (domain + 1 == i && s.p[domain] == '\\')) {
				s = slice_skip(s, from);
			}
			break;
		}
	}
	if (s.n > 1 && s.p[s.n - 1] == '$') {
		s.n--;
	}
	return s;
}

bool redact_looks_like_password(struct slice name)
{
	struct slice s = without_dress(name);
	struct made m;
	struct ip ip;

	if (s.n < SHORT || s.n > 4 * MOST || mask_at(s) == s.n || ip_parse(s, &ip) ||
	    is_account(s)) {
		return false;
	}
	m = made_of(s);
	if (m.marks > 0) {
		return with_marks(s, &m);
	}
	if (m.lower + m.upper == 0) {
		return false;
	}
	if (m.lines > 0 && slice_find(s, SLICE_LIT(".")) != SIZE_MAX && m.upper == 0) {
		/* A host: ec2-192-0-2-1.compute.example.com. */
		return false;
	}
	if (m.digits == 0) {
		return of_letters(&m);
	}
	return value_is_random(s) || (m.lower > 0 && m.upper > 0 ? with_all_kinds(s, &m)
								  : of_two_kinds(s, &m));
}
