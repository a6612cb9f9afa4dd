#include "redact/pseudonym.h"

#include <inttypes.h>
#include <stdio.h>
#include <uv.h>

#include "common/siphash.h"
#include "redact/verify.h"

static const enum event_field allowed[] = {FIELD_USER_NAME, FIELD_USER_EFFECTIVE_NAME,
					   FIELD_USER_TARGET_NAME, FIELD_GROUP_NAME};

bool redact_names_field(const char *name)
{
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
		if (strcmp(name, event_field_name(allowed[i])) == 0) {
			return true;
		}
	}
	return false;
}

bool redact_names_key(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		if (!is_class(text[i], C_HEX)) {
			return false;
		}
	}
	return n == (size_t)2 * PSEUDONYM_KEY;
}

int redact_names_init(struct redact_names *names, const struct redact_options *options,
		      const uint8_t own[static PSEUDONYM_KEY])
{
	const char *key = options->pseudonym_key;

	memset(names, 0, sizeof *names);
	names->except = &options->except;
	memcpy(names->key, own, sizeof names->key);
	if (key != NULL && key[0] != '\0') {
		if (!redact_names_key(key)) {
			return UV_EINVAL;
		}
		for (size_t i = 0; i < sizeof names->key; i++) {
			names->key[i] = (uint8_t)(hex_value(key[2 * i]) << 4 |
						  hex_value(key[2 * i + 1]));
		}
	}
	for (size_t i = 0; i < options->pseudonyms.n; i++) {
		if (!redact_names_field(options->pseudonyms.v[i])) {
			return UV_EINVAL;
		}
		names->fields |= UINT64_C(1)
				 << event_field_find(slice_str(options->pseudonyms.v[i]));
	}
	return 0;
}

size_t redact_pseudonym(char out[static PSEUDONYM_TEXT], const uint8_t key[static PSEUDONYM_KEY],
			struct slice name)
{
	return (size_t)snprintf(out, PSEUDONYM_TEXT, "*redacted-name-%016" PRIx64 "*",
				siphash(key, name.p, name.n));
}

/* ---- one line ---- */

enum { NAMES_MAX = sizeof allowed / sizeof *allowed };

struct name {
	struct slice text;
	size_t from, to; /* its own place; 0, 0: not in the line as it is */
	bool wording;    /* made of words that the daemons themselves use */
	bool seen;
};

struct renaming {
	struct slice line;
	size_t body; /* behind the header */
	const struct event *e;
	size_t budget; /* bytes that may still be compared */
	size_t n;
	struct name v[NAMES_MAX];
};

/* What sentences and keys of the parsers' daemons are made of.  Whoever logs in as "from"
 * must not take the line apart; and who reads "from" in it learns no name. */
static const char *const wording[] = {
	"a", "accepted", "access", "account", "acct", "adding", "addr", "after",
	"again", "as", "at", "attempt", "attempts", "audit", "auid", "auth",
	"authenticate", "authenticated", "authenticating", "authentication",
	"authorization", "authorized", "authpriv", "bad", "banner", "be", "because",
	"been", "before", "begin", "below", "between", "bin", "blocked", "by",
	"cancelled", "cannot", "certificate", "challenge", "change", "changed", "chap",
	"check", "child", "client", "closed", "closing", "cmd", "combination", "comm",
	"command", "compare", "completed", "con", "configuration", "connect",
	"connected", "connection", "console", "correct", "could", "created",
	"credentials", "cron", "curl", "cwd", "data", "delete", "deleted", "denied",
	"deny", "denying", "detail", "dev", "device", "digest", "directory",
	"disabled", "disallowed", "disconnect", "disconnected", "disconnecting",
	"documentation", "does", "dovecot", "down", "dpt", "dropbear", "dropped",
	"dst", "during", "early", "ecdsa", "ed25519", "egid", "email", "empty", "end",
	"ended", "error", "established", "etc", "euid", "event", "exceeded",
	"exchange", "exe", "exec", "executable", "exist", "existent", "exit", "exited",
	"expired", "extra", "fail", "fail2ban", "failed", "failure", "failures",
	"fatal", "file", "first", "for", "forbidden", "forced", "format", "found",
	"from", "fsgid", "fsuid", "ftp", "ftpd", "further", "get", "gid", "given",
	"grantors", "group", "groups", "had", "handshake", "has", "have", "head",
	"header", "high", "home", "host", "hostapd", "hostbased", "hostname", "html",
	"http", "https", "id", "identification", "identity", "ignored", "ignoring",
	"illegal", "imap", "in", "inactive", "inappropriate", "incorrect", "index",
	"info", "initiated", "inode", "input", "interactive", "internal", "invalid",
	"invalidated", "ip", "ipv4", "ipv6", "is", "kernel", "key", "keyboard", "krb5",
	"lan", "last", "left", "len", "less", "level", "lib", "limit", "line", "link",
	"lip", "listed", "local", "locked", "log", "logged", "login", "logins",
	"logname", "lookup", "lost", "mail", "main", "many", "match", "max", "maximum",
	"md5", "mechanism", "member", "message", "method", "mismatch", "mode",
	"module", "more", "mozilla", "msg", "name", "negotiate", "negotiation",
	"network", "new", "next", "nginx", "no", "nobody", "nologin", "non", "none",
	"nonexistent", "not", "notice", "now", "null", "number", "of", "ok", "old",
	"on", "only", "op", "open", "opened", "openvpn", "operation", "opt", "options",
	"or", "other", "out", "own", "package", "packet", "pam", "parent", "partial",
	"pass", "passwd", "password", "passwords", "patch", "peer", "penalty",
	"performed", "permission", "php", "pid", "pkcs", "plain", "plaintext",
	"policy", "pop3", "port", "possible", "post", "postfix", "ppid", "preauth",
	"preauthentication", "previous", "proc", "process", "proftpd", "program",
	"protocol", "provided", "proxy", "pts", "public", "publickey", "pure", "put",
	"pwd", "query", "reached", "read", "reading", "reason", "received", "refused",
	"registered", "rejected", "rejecting", "relay", "remote", "removed",
	"repeated", "request", "requested", "required", "res", "reset", "response",
	"restart", "result", "retries", "return", "returned", "rhost", "rip", "role",
	"rsa", "rule", "run", "running", "ruser", "sasl", "sbin", "scheme", "seconds",
	"secs", "security", "see", "selinux", "send", "sent", "server", "service",
	"ses", "session", "set", "sftp", "sha256", "shell", "shutting", "signal",
	"size", "smtp", "socket", "source", "spt", "src", "srclimit", "ssh", "ssh2",
	"sshd", "start", "started", "state", "status", "stop", "stopped", "su", "subj",
	"submission", "subsystem", "success", "successful", "successfully", "such",
	"sudo", "sys", "syslog", "system", "systemd", "tcp", "temporary", "terminal",
	"terminated", "terminating", "that", "the", "them", "then", "this", "time",
	"timed", "timeout", "times", "tls", "tmp", "to", "token", "too", "tries",
	"try", "trying", "tty", "two", "type", "udp", "uid", "unable", "unacceptable",
	"unexpected", "unit", "unix", "unknown", "unrecognized", "unsupported",
	"update", "url", "use", "used", "user", "username", "usr", "valid", "value",
	"var", "verification", "version", "via", "virtual", "vsftpd", "warning", "was",
	"web", "while", "will", "with", "without", "would", "write", "wrong", "x11",
	"yes", NULL};

static bool is_wording(struct slice word)
{
	if (slice_digits(word) == word.n) {
		return word.n <= 4;
	}
	for (const char *const *k = wording; *k != NULL; k++) {
		if (slice_eq_nocase(word, slice_str(*k))) {
			return true;
		}
	}
	return false;
}

static bool all_wording(struct slice name)
{
	for (size_t i = 0; i < name.n;) {
		size_t to = i;

		while (to < name.n && is_class(name.p[to], C_ALNUM)) {
			to++;
		}
		if (to > i && !is_wording(slice(name.p + i, to - i))) {
			return false;
		}
		if (to == i && (unsigned char)name.p[i] >= 128) {
			return false;
		}
		i = to > i ? to : i + 1;
	}
	return true;
}

static bool stays(const struct redact_names *names, struct slice name)
{
	for (size_t i = 0; i < names->except->n; i++) {
		if (slice_eq(name, slice_str(names->except->v[i]))) {
			return true;
		}
	}
	return name.n == 0 || mask_at(name) == name.n;
}

/* Where s stands in the line, if it points into it. */
static bool place(struct slice line, struct slice s, size_t *from)
{
	uintptr_t at = (uintptr_t)s.p, begin = (uintptr_t)line.p;

	if (s.p == NULL || at < begin || at - begin > line.n || s.n > line.n - (at - begin)) {
		return false;
	}
	*from = at - begin;
	return true;
}

static void add_name(struct renaming *r, struct slice text)
{
	struct name *name = &r->v[r->n++];

	*name = (struct name){.text = text, .wording = all_wording(text)};
	if (place(r->line, text, &name->from)) {
		name->to = name->from + text.n;
	}
}

/* What an address, a port or a terminal is, a name is not. */
static bool is_others(const struct renaming *r, size_t from, size_t to)
{
	static const uint64_t open =
		UINT64_C(1) << FIELD_USER_NAME | UINT64_C(1) << FIELD_USER_EFFECTIVE_NAME |
		UINT64_C(1) << FIELD_USER_TARGET_NAME | UINT64_C(1) << FIELD_GROUP_NAME |
		UINT64_C(1) << FIELD_PROCESS_COMMAND_LINE |
		UINT64_C(1) << FIELD_PROCESS_WORKING_DIRECTORY | UINT64_C(1) << FIELD_FILE_PATH |
		UINT64_C(1) << FIELD_URL_PATH | UINT64_C(1) << FIELD_USER_AGENT |
		UINT64_C(1) << FIELD_EVENT_REASON;

	for (unsigned f = 0; f < FIELD_NR; f++) {
		struct slice s = event_get(r->e, (enum event_field)f);
		size_t at;

		if ((open >> f & 1) == 0 && s.n > 0 && place(r->line, s, &at) &&
		    from < at + s.n && at < to) {
			return true;
		}
	}
	return false;
}

/* The month in an access log's 22/Nov/2026. */
static bool is_month(struct slice line, size_t from, size_t to)
{
	return to - from == 3 && from > 1 && line.p[from - 1] == '/' &&
	       is_class(line.p[from - 2], C_DIGIT) && to + 1 < line.n && line.p[to] == '/' &&
	       is_class(line.p[to + 1], C_DIGIT);
}

/* The name stands at i as a whole word. */
static bool is_word(struct renaming *r, const struct name *name, size_t i)
{
	struct slice line = r->line, t = name->text;
	size_t end = i + t.n;
	bool home;

	if (t.n > line.n - i || line.p[i] != t.p[0] ||
	    (i > 0 && is_class(line.p[i - 1], C_WORD) && is_class(t.p[0], C_WORD))) {
		return false;
	}
	r->budget = r->budget > t.n ? r->budget - t.n : 0;
	if (memcmp(line.p + i, t.p, t.n) != 0 ||
	    (end < line.n && is_class(line.p[end], C_WORD) && is_class(t.p[t.n - 1], C_WORD))) {
		return false;
	}
	home = slice_ends(slice_head(line, i), SLICE_LIT("/home/"));
	return home || (i >= r->body && !name->wording && (end == line.n || line.p[end] != '=') &&
			!is_month(line, i, end) && !is_others(r, i, end));
}

/* In auditd's hex, as in acct=616E6E61. */
static bool is_hex(const struct renaming *r, const struct name *name, size_t i)
{
	const char *p = r->line.p + i;
	struct slice t = name->text;

	if ((t.n < 2 && name->to > 0) || i == 0 || p[-1] != '=' || t.n > (r->line.n - i) / 2) {
		return false;
	}
	for (size_t k = 0; k < t.n; k++) {
		if (!is_class(p[2 * k], C_HEX) || !is_class(p[2 * k + 1], C_HEX) ||
		    (hex_value(p[2 * k]) << 4 | hex_value(p[2 * k + 1])) != (uint8_t)t.p[k]) {
			return false;
		}
	}
	return true;
}

/* The name that stands at i, and up to where; NULL: none. */
static const struct name *name_at(struct renaming *r, size_t i, size_t *to)
{
	const struct name *found = NULL;

	for (size_t k = 0; k < r->n; k++) {
		struct name *name = &r->v[k];
		size_t end = 0;

		if (name->from <= i && i < name->to) {
			end = name->to;
		} else if (is_word(r, name, i)) {
			end = i + name->text.n;
		} else if (is_hex(r, name, i)) {
			end = i + 2 * name->text.n;
		}
		if (end > 0) {
			name->seen = true;
		}
		if (end > (found == NULL ? 0 : *to)) {
			found = name;
			*to = end;
		}
	}
	return found;
}

static int mask_rest(const struct renaming *r, size_t done, size_t at, struct buf *out)
{
	int rc = buf_add(out, r->line.p + done, at - done);

	return rc == 0 ? buf_add_slice(out, SLICE_LIT("*redacted-limit*")) : rc;
}

/* A name that the parser decoded may stand in the line in a form that is not looked for;
 * one that it remembers from an earlier line stands nowhere. */
static bool may_be_hidden(const struct renaming *r)
{
	struct slice body = slice_skip(r->line, r->body);
	bool coded = slice_chr(body, '\\') != SIZE_MAX || slice_chr(body, '%') != SIZE_MAX ||
		     slice_chr(body, '&') != SIZE_MAX;

	for (size_t k = 0; k < r->n; k++) {
		if (!r->v[k].seen && coded) {
			return true;
		}
	}
	return false;
}

static int rename_all(const struct redact_names *names, struct renaming *r, struct buf *out)
{
	size_t done = 0, i = 0, to = 0;
	int rc = 0;

	while (i < r->line.n && rc == 0) {
		const struct name *name = name_at(r, i, &to);
		char text[PSEUDONYM_TEXT];
		size_t n;

		if (r->budget == 0) {
			return mask_rest(r, done, i, out);
		}
		if (name == NULL) {
			/* A mask that stands there already is left alone. */
			n = mask_at(slice_skip(r->line, i));
			i += n > 0 ? n : 1;
			continue;
		}
		n = redact_pseudonym(text, names->key, name->text);
		rc = buf_add(out, r->line.p + done, i - done);
		rc = rc == 0 ? buf_add(out, text, n) : rc;
		i = done = to;
	}
	if (rc == 0 && may_be_hidden(r)) {
		buf_clear(out);
		return mask_rest(r, 0, r->body, out);
	}
	return rc == 0 && out->n > 0 ? buf_add(out, r->line.p + done, r->line.n - done) : rc;
}

/* Stamp, host, program and process id, an audit record's stamp too, are nobody's name. */
static size_t behind_header(struct slice line, const struct header *h)
{
	enum { FAR = 128 };
	size_t body = 0, stamp, end;
	struct slice head;

	if (!place(line, h->message, &body)) {
		body = 0;
	}
	head = slice_head(slice_skip(line, body), FAR);
	stamp = slice_find(head, SLICE_LIT("audit("));
	end = slice_find(head, SLICE_LIT("): "));
	return stamp != SIZE_MAX && end != SIZE_MAX && stamp < end ? body + end : body;
}

bool redact_names_line(const struct redact_names *names, struct slice line,
		       const struct header *h, const struct event *e, struct buf *scratch,
		       struct slice *out)
{
	struct renaming r = {.line = line, .e = e, .budget = 64 * 1024 + 32 * line.n};
	int rc;

	*out = line;
	r.body = behind_header(line, h);
	for (size_t k = 0; k < NAMES_MAX; k++) {
		struct slice name = event_get(e, allowed[k]);

		if ((names->fields >> allowed[k] & 1) != 0 && !stays(names, name)) {
			add_name(&r, name);
		}
	}
	if (r.n == 0) {
		return false;
	}
	buf_clear(scratch);
	rc = rename_all(names, &r, scratch);
	if (rc == 0 && scratch->n == 0) {
		return false;
	}
	*out = rc == 0 ? buf_slice(scratch) : SLICE_LIT("*redacted-limit*");
	return true;
}
