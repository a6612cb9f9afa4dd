/* verify: what stands at a literal is judged here, byte by byte.
 *
 * One verifier for each kind of secret; rules.c says which literal leads to
 * which.  A verifier reads only its line, never masks more than the secret's own
 * bounded text (a user name "password=" must not hide the address behind
 * it), and pays for the bytes that it looks at, so that a line made to be slow is
 * masked instead of read for ever.
 *
 * Inside redact/ only.  Pure.
 */
#ifndef REDACT_VERIFY_H
#define REDACT_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"
#include "common/strlist.h"
#include "redact/scan.h"

/* X(enumerator, name, help, example, counter-example) */
#define REDACT_RULES(X)                                                        \
	X(PASSWORD, "password",                                                \
	  "values of password, passwd, passphrase, pwd, psk and the like",     \
	  "app[7]: login failed user=bob password=hunter2 retry=1",            \
	  "sudo: bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls")\
	X(SECRET, "secret",                                                    \
	  "values of token, secret, *_key, credential and the like",           \
	  "{\"user\":\"bob\",\"api_token\":\"9dK2mXq7Zt\"}",                   \
	  "parser: unexpected token: string")                                  \
	X(AUTHORIZATION, "authorization",                                      \
	  "credentials of Authorization headers: Basic, Bearer, Digest, others", \
	  "> Authorization: Basic Ym9iOmh1bnRlcjI=",                           \
	  "no basic authentication credentials given")                         \
	X(COOKIE, "cookie", "values in Cookie and Set-Cookie headers",         \
	  "< Set-Cookie: sid=31d4d96e407aad42; Path=/; HttpOnly",              \
	  "cookies: enabled")                                                  \
	X(URL, "url", "the password in scheme://user:password@host",           \
	  "fetch https://bob:hunter2@example.net/x failed",                    \
	  "fetch https://example.net:8080/@bob failed")                        \
	X(COMMAND, "command",                                                  \
	  "passwords on command lines: mysql -p, sshpass -p, curl -u, --password", \
	  "sudo: bob : USER=root ; COMMAND=/usr/bin/mysql -uroot -phunter2 shop", \
	  "sudo: bob : USER=root ; COMMAND=/usr/bin/mysql -uroot -p shop")     \
	X(PRIVATE_KEY, "private-key", "the body of PEM and PGP private keys",  \
	  "-----BEGIN EC PRIVATE KEY-----MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoGCCqGSM49-----END EC PRIVATE KEY-----", \
	  "-----BEGIN CERTIFICATE-----MIIBszCCAVmgAwIBAgIUQ2xv-----END CERTIFICATE-----") \
	X(JWT, "jwt", "JSON web tokens",                                       \
	  "sid eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dBjftJeZ4CVPmB92K27u end", \
	  "eyJhbGciOiJIUzI1NiJ9 alone")                                        \
	X(HASH, "hash", "crypt(3) password hashes",                            \
	  "bob:$6$Zq8sT0mP$abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ./abcdefgh1ABCDEFGHIJK:19000:0:99999:7:::", \
	  "costs $5$ or $6$ each")                                             \
	X(AWS, "aws", "Amazon access key ids, Bedrock keys",                   \
	  "key AKIAQ4H6VOJTJ55MDGEC was used",                                 \
	  "key AKIAIOSFODNN7EXAMPL was used")                                  \
	X(AZURE, "azure", "Azure client secrets",                              \
	  "login with bP88Q~rcBcYjzzOhg1Hnn76Wm3jGgakZiZ.8vMgR",               \
	  "draw 8Q~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~")                   \
	X(GITHUB, "github", "GitHub tokens",                                   \
	  "push by ghp_tnpc8v7s0wqqznbnjkpyoafbvnvalnhvmvy4",                  \
	  "push by ghp_short")                                                 \
	X(GITLAB, "gitlab", "GitLab tokens",                                   \
	  "runner glrt-2ldz99qjz6dnj27uz3ec up",                               \
	  "runner glrt-short up")                                              \
	X(GOOGLE, "google", "Google API keys, OAuth tokens and secrets",       \
	  "maps AIzaSyNHxIf32IQ1a1yjl3ZJIqKZqzLAK1XhDk-",                      \
	  "maps AIzaShort")                                                    \
	X(SLACK, "slack", "Slack tokens and webhooks",                         \
	  "post to hooks.slack.com/services/T1234567/B1234567/qKirRWalryBGqKirRWal", \
	  "xoxb-short")                                                        \
	X(STRIPE, "stripe", "Stripe keys",                                     \
	  "pay sk_live_4eC39HqLyjWDarjtT1zdp7dc",                              \
	  "pay task_live_notakeyatallbutaname")                                \
	X(AI, "ai", "keys of model providers (sk-..., gsk_, hf_, ...)",        \
	  "call sk-proj-Zt9Xq27LmP4vB8nK3wR6T3BlbkFJ5hJ1dG7fS2aQ",              \
	  "mounted /dev/disk-by-uuid and task-manager-of-the-day")             \
	X(TELEGRAM, "telegram", "Telegram bot tokens",                         \
	  "GET /bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw8/getMe",       \
	  "port 8080:AA")                                                      \
	X(TOKEN, "token", "tokens of other providers, known by their beginning", \
	  "npm_tn7v8s0wqqznbnjkpyoafbvnvalnhvmvy4ab published",                \
	  "npm_config_loglevel is verbose")                                    \
	X(TYPED, "typed-password",                                             \
	  "user names of failed logins that look like passwords",              \
	  "sshd[7]: Invalid user Huawei@123 from 192.0.2.7 port 4711",         \
	  "sshd[7]: Invalid user test123 from 192.0.2.7 port 4711")            \
	X(USER, "user", "keys and tokens named in the configuration", "", "")   \
	X(LIMIT, "limit", "the rest of a line in which a limit was reached", "", "")

enum rule {
#define X(id, name, help, example, counter) RULE_##id,
	REDACT_RULES(X)
#undef X
	RULE_NR
};

struct span {
	size_t from, to;
	uint8_t rule;
	bool quote; /* put the mask in double quotes (a bare JSON value) */
};

enum { SPANS_MAX = 256 };

/* One line under work. */
struct work {
	const char *p;
	size_t n;
	const struct strlist *except; /* values that are no secrets */
	uint32_t off;                 /* bit i: rule i is not used */
	size_t budget;                /* bytes that may still be looked at */
	size_t rest;                  /* masked from here on, or SIZE_MAX */
	const struct redact *redact;  /* for work_find() */
	unsigned depth;               /* inside of how many work_find() */
	size_t n_spans;
	struct span spans[SPANS_MAX];
};

struct literal;
/* The literal stands at w->p[at, end). */
typedef void (*verify_fn)(struct work *w, const struct literal *l, size_t at,
			  size_t end);

struct literal {
	const char *text; /* as scan.h writes it */
	bool fold;
	uint8_t rule;
	verify_fn verify;
	const void *arg; /* the verifier's table entry */
};

/* ---- for verifiers: work.c ---- */

/* Masks [from, to), unless the rule is off or there is nothing in it. */
void work_mask(struct work *w, enum rule rule, size_t from, size_t to);
/* Pays for n bytes; false when the budget is spent: the line is masked from
 * around `at` on, and the verifier returns. */
bool work_spend(struct work *w, size_t at, size_t n);
/* What all rules find in a text that stands in the line in another form (in hex): its
 * spans, at most `max` of them.  Paid for by w; a limit reached inside is reached in
 * w.  Not again inside of itself: then nothing is found.  redact.c. */
size_t work_find(struct work *w, struct slice text, struct span *out, size_t max);
/* The byte at i, or a newline (which no line holds) outside of the line. */
static inline char work_at(const struct work *w, size_t i)
{
	return i < w->n ? w->p[i] : '\n';
}

/* ---- bytes ---- */

enum {
	C_UPPER = 1, C_LOWER = 2, C_DIGIT = 4, C_HEX_LETTER = 8,
	C_LINE = 16,  /* _ - */
	C_DOT = 32,   /* . */
	C_B64 = 64,   /* + / = */
	C_TILDE = 128,/* ~ */
	C_ALPHA = C_UPPER | C_LOWER,
	C_ALNUM = C_ALPHA | C_DIGIT,
	C_HEX = C_DIGIT | C_HEX_LETTER,
	C_WORD = C_ALNUM | C_LINE,
};
unsigned char_class(char c);

static inline bool is_class(char c, unsigned classes)
{
	return (char_class(c) & classes) != 0;
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Of a C_HEX digit. */
static inline unsigned hex_value(char c)
{
	return is_class(c, C_DIGIT) ? (unsigned)(c - '0') : ((unsigned)c | 0x20) - 'a' + 10;
}

/* c is one of these characters; NUL never is. */
static inline bool in_set(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* End of the run of these classes that begins at i; bounded by the line. */
size_t run_end(const struct work *w, size_t i, unsigned classes);

/* ---- judging a value: value.c ---- */

/* A mask that stands here already: its length, or 0. */
size_t mask_at(struct slice s);
/* Not a secret whatever its key is: empty, a mask, stars, a reference such as
 * ${X}, a word such as null. */
bool value_is_placeholder(const struct work *w, struct slice v);
/* Eight or more x, X or * in a row: somebody masked it, or it is an example. */
bool value_is_crossed_out(struct slice v);
/* Looks drawn at random, or is a long number with letters: not prose, a path, a
 * version or a host name. */
bool value_is_random(struct slice v);
/* A word of running text: "from", "authentication". */
bool value_is_prose(struct slice v);
/* One of the few words that follow a name in log sentences: "from", "for". */
bool value_is_function_word(struct slice v);

/* ---- where a value ends: value.c ---- */

struct value {
	size_t from, to; /* without its quotes */
	bool quoted;
};
/* Reads the value at i: quoted ("...", '...', \"...\") or bare. */
bool value_take(struct work *w, size_t i, struct value *out);

/* ---- the verifiers ---- */

void verify_pair(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_token(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_random(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_sendgrid(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_jwt(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_hash(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_azure(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_telegram(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_webhook(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_authorization(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_scheme(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_cookie(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_url(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_option(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_flag(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_command(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_piped(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_stated(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_identified(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_insert(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_pem(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_typed(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_execve(struct work *w, const struct literal *l, size_t at, size_t end);
void verify_hex(struct work *w, const struct literal *l, size_t at, size_t end);

/* ---- the guards of scan.h ---- */

bool guard_name(const char *p, size_t at, size_t end, size_t n);
bool guard_url(const char *p, size_t at, size_t end, size_t n);

/* Masks what a line inside a private key block holds of the key; true: it may
 * belong to the block. */
bool pem_line(struct work *w);
/* The line opens a block and does not close it. */
bool pem_opens(struct slice line);
/* The line ends one. */
bool pem_closes(struct slice line);

/* ---- tables: rules.c ---- */

enum strength {
	STRONG, /* any value is a secret */
	MEDIUM, /* any value that is not a plain word or a small number */
	WEAK,   /* only what looks drawn at random */
};

struct key_name {
	enum strength strength;
	bool word;       /* must begin a word: "pass" but not "bypass" */
	bool own_colon;  /* "name:" in running text is no pair: PAM's passwd: */
	bool path;       /* a path as value is no secret: pwd=/home/x */
};

struct token_form {
	unsigned classes; /* of what follows the literal */
	uint16_t min, max; /* length of that; max 0: any */
};

/* Where a daemon's line of a failed login says for whom it was. */
struct name_form {
	enum name_where {
		NAME_HERE,   /* behind the literal, or where the next two say */
		NAME_QUOTED, /* at the literal's last byte, which opens a quote */
		NAME_UP_TO,  /* from `before` up to the literal */
		NAME_CLOSED, /* the same, behind a quote that the literal closes */
		NAME_REALM,  /* NAME@REALM, the daemon's own addition */
		NAME_SIP,    /* "DISPLAY NAME" <sip:NAME@HOST> */
		NAME_ACCT,   /* auditd's acct=, quoted or in hex */
		NAME_ACCESS, /* the third word of an access log */
		NAME_BOTH,   /* NAME/PASSWORD] */
	} where;
	bool blanks;         /* sshd's: up to " from ", with blanks in it */
	bool words;          /* blanks do not end it */
	const char *behind;  /* the next of these behind the literal; NULL: none */
	const char *before;  /* the last of these in front of it; NULL: none */
	const char *needs;   /* what the line must hold as well; NULL: nothing */
	const char *ends;    /* characters that end a bare name, as blanks do; NULL: none */
	/* The last of these ends a name with blanks in it ("": the line does); NULL: it
	 * is quoted, or a word. */
	const char *until;
};

struct command_form {
	const char *keyword; /* the word after this one is a password, or NULL */
	uint8_t positional;  /* or the n-th word that is no option, 0: none */
};

/* Terminated by a NULL text. */
extern const struct literal rule_literals[];
/* NULL: none. */
scan_guard rule_guard(const struct literal *l);
/* How they are scanned for: plan.c, likewise terminated. */
extern const struct scan_plan rule_plan[];
/* For keys and tokens named in the configuration. */
extern const struct key_name rule_user_key;
/* "key" alone. */
extern const struct key_name rule_weak_key;
extern const struct token_form rule_user_token;

#endif
