/* Passwords on command lines, as sudo, cron, auditd and shells log them. */
#include "redact/verify.h"

static size_t skip_blanks(const struct work *w, size_t i)
{
	while (is_blank(work_at(w, i))) {
		i++;
	}
	return i;
}

/* From behind an option to its value: over the closing quote and the next
 * argument's name in auditd's a1="-p" a2="x". */
static size_t next_word(const struct work *w, size_t i)
{
	size_t k;

	while (in_set(work_at(w, i), "\"'\\")) {
		i++;
	}
	if (!is_blank(work_at(w, i))) {
		return SIZE_MAX;
	}
	i = skip_blanks(w, i);
	k = i + 1;
	if (work_at(w, i) == 'a' && is_class(work_at(w, k), C_DIGIT)) {
		k = run_end(w, k, C_DIGIT);
		if (work_at(w, k) == '=') {
			return k + 1;
		}
	}
	return i;
}

static void mask_value(struct work *w, uint8_t rule, size_t i, bool attached)
{
	struct value v;
	struct slice s;
	bool more;

	if (!value_take(w, i, &v)) {
		return;
	}
	s = slice(w->p + v.from, v.to - v.from);
	more = is_blank(work_at(w, v.to));
	if (value_is_placeholder(w, s) ||
	    (!attached && !v.quoted &&
	     (s.p[0] == '-' || (more && value_is_function_word(s))))) {
		return;
	}
	work_mask(w, rule, v.from, v.to);
}

/* user:password; the user alone, when the password is empty: it is a token. */
static void mask_half(struct work *w, uint8_t rule, size_t i, char mark)
{
	struct value v, second;
	size_t at;

	if (!value_take(w, i, &v)) {
		return;
	}
	at = slice_find(slice(w->p + v.from, v.to - v.from), slice(&mark, 1));
	if (at == SIZE_MAX) {
		/* "user":"password" */
		if (v.quoted && work_at(w, v.to + 1) == mark) {
			mask_value(w, rule, v.to + 2, true);
		}
		return;
	}
	at += v.from;
	if (at + 1 < v.to) {
		if (!value_is_placeholder(w, slice(w->p + at + 1, v.to - at - 1))) {
			work_mask(w, rule, at + 1, v.to);
		}
	} else if (!v.quoted && in_set(work_at(w, v.to), "\"'") &&
		   value_take(w, v.to, &second) && second.quoted) {
		work_mask(w, rule, second.from, second.to);
	} else if (at > v.from &&
		   !value_is_placeholder(w, slice(w->p + v.from, at - v.from))) {
		work_mask(w, rule, v.from, at);
	}
}

/* The word at i is an option of the form's; `i` is behind its dash. */
static void option_value(struct work *w, uint8_t rule, const char *options, size_t i)
{
	for (const char *o = options; *o != '\0'; o += 2) {
		size_t k = i;

		/* curl -sSu x:y: other letters may come before. */
		while (o[1] == ':' && work_at(w, k) != o[0] &&
		       is_class(work_at(w, k), C_ALPHA)) {
			k++;
		}
		if (work_at(w, k) != o[0]) {
			continue;
		}
		k++;
		if (k >= w->n || is_blank(w->p[k]) ||
		    (in_set(w->p[k], "\"'") &&
		     (k + 1 >= w->n || is_blank(work_at(w, k + 1))))) {
			k = o[1] == '+' ? SIZE_MAX : next_word(w, k);
			if (k != SIZE_MAX && in_set(o[1], ":%,")) {
				mask_half(w, rule, k, o[1]);
			} else if (k != SIZE_MAX) {
				mask_value(w, rule, k, false);
			}
		} else if (in_set(o[1], ":%,")) {
			mask_half(w, rule, k, o[1]);
		} else {
			mask_value(w, rule, k, true);
		}
		return;
	}
}

/* End of the word that begins at i; inside `quote`, when that is not 0. */
static size_t word_end(const struct work *w, size_t i, char quote)
{
	for (; i < w->n; i++) {
		char c = w->p[i];

		if (quote != 0) {
			if (c == quote) {
				return i;
			}
		} else if (c == '"' || c == '\'') {
			/* Only where it is closed again: it may be the end of
			 * what the whole command is quoted in. */
			const char *close = memchr(w->p + i + 1, c, w->n - i - 1);

			if (close == NULL) {
				return i;
			}
			i = (size_t)(close - w->p);
		} else if (is_blank(c) || c == '|' || c == ';') {
			return i;
		}
	}
	return i;
}

/* ---- options of commands that are known ---- */

/* options: pairs of an option's letter and how its value stands:
 *   +  attached (-pX)          *  attached or the next word
 *   :  user:password, as *     %  user%password, as *    ,  user,password, as * */
static const struct known {
	const char *name;
	const char *options;
} commands[] = {
	{"mysql", "p+"}, {"mariadb", "p+"}, {"sshpass", "p*"}, {"curl", "u:U:"},
	{"mongo", "p*"}, {"redis-cli", "a*"}, {"ldap", "w*"}, {"smbclient", "U%"},
	{"rpcclient", "U%"}, {"lftp", "u,"}, {"snmp", "c*A*X*"},
	{"docker login", "p*"}, {"podman login", "p*"}, {"usermod", "p*"},
	{"useradd", "p*"}, {"ipmitool", "P*"}, {"sqlcmd", "P*"}, {"rdesktop", "p*"},
	{"zip", "P*"}, {"unzip", "P*"}, {"7z", "p+"}, {"rar", "p+"}, {"unrar", "p+"},
	{"mosquitto", "P*"}, {"hydra", "p*"}, {"openssl", "k*"}, {"winexe", "U%"},
	{NULL, NULL},
};

static const struct known continued = {"", "u:U:"};

/* The option at i is the line's first word, and no docker's "-u 1000:1000". */
static bool begins_line(const struct work *w, size_t i)
{
	size_t value = skip_blanks(w, run_end(w, i, C_ALPHA | C_LINE));
	size_t end = value;

	while (is_class(work_at(w, end), C_DIGIT) || work_at(w, end) == ':') {
		end++;
	}
	return skip_blanks(w, 0) == i && (end == value || (end < w->n && !is_blank(w->p[end])));
}

/* The command that an option at `at` belongs to: the nearest known name before it,
 * behind the last ; or |. */
static const struct known *command_of(const struct work *w, size_t at)
{
	size_t from = at > 1024 ? at - 1024 : 0, best = 0;
	const struct known *found = NULL;
	struct slice before;

	for (size_t i = from; i < at; i++) {
		if (in_set(w->p[i], ";|")) {
			from = i + 1;
		}
	}
	before = slice(w->p + from, at - from);
	for (const struct known *k = commands; k->name != NULL; k++) {
		size_t i = slice_rfind(before, slice_str(k->name));

		if (i != SIZE_MAX && (i == 0 || !is_class(before.p[i - 1], C_ALNUM)) &&
		    (found == NULL || i >= best)) {
			best = i;
			found = k;
		}
	}
	return found;
}

/* mysql -pX, sshpass -p X, curl -u a:b, curl --user a:b */
void verify_flag(struct work *w, const struct literal *l, size_t at, size_t end)
{
	const struct known *k;
	size_t next;

	if (!work_spend(w, at, at < 1024 ? at + 1 : 1024)) {
		return;
	}
	k = command_of(w, at + 1);
	if (k == NULL && begins_line(w, skip_blanks(w, at + (l->text[0] != '-')))) {
		/* A command that began on an earlier line: only curl's users hold a colon. */
		k = &continued;
	}
	if (k == NULL) {
		return;
	}
	if (l->text[0] != '-') {
		/* end is behind the dash and the letter. */
		option_value(w, l->rule, k->options, end - 1);
		return;
	}
	next = next_word(w, end);
	if (k->options[0] == 'u' && k->options[1] == ':' && next != SIZE_MAX) {
		mask_half(w, l->rule, next, ':');
	}
}

/* ---- commands that take a password as a word ---- */

/* One word [i, to) of a command; counts those that are no options. */
static void one_word(struct work *w, const struct literal *l, size_t i, size_t to,
		     unsigned *positional)
{
	const struct command_form *f = l->arg;
	size_t next = next_word(w, to);

	if (work_at(w, i) == '-') {
		return;
	}
	++*positional;
	if (*positional == f->positional) {
		mask_value(w, l->rule, i, true);
	}
	if (f->keyword != NULL && next != SIZE_MAX &&
	    slice_eq(slice(w->p + i, to - i), slice_str(f->keyword))) {
		mask_value(w, l->rule, next, false);
	}
}

/* nmcli ... password X, wpa_passphrase SSID X: walks the words of one command. */
void verify_command(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t i = end;
	unsigned positional = 0;

	if (at > 0 && is_class(w->p[at - 1], C_ALNUM)) {
		return;
	}
	/* The rest of the command's name: mysqldump, ldapsearch.exe. */
	if (!is_blank(w->p[end - 1])) {
		i = run_end(w, i, C_WORD | C_DOT);
		i += in_set(work_at(w, i), "\"'");
	}
	for (unsigned words = 0; words < 200; words++) {
		size_t to, digits;
		char quote = 0;

		while (is_blank(work_at(w, i)) || work_at(w, i) == '\\') {
			i++;
		}
		/* auditd's a2= */
		digits = run_end(w, i + 1, C_DIGIT);
		if (work_at(w, i) == 'a' && digits > i + 1 && work_at(w, digits) == '=') {
			i = digits + 1;
		}
		if (i >= w->n || in_set(w->p[i], "|;\r")) {
			return;
		}
		if (in_set(w->p[i], "\"'") &&
		    memchr(w->p + i + 1, w->p[i], w->n - i - 1) != NULL) {
			quote = w->p[i++];
		}
		to = word_end(w, i, quote);
		if (!work_spend(w, at, to - i + 16)) {
			return;
		}
		one_word(w, l, i, to, &positional);
		i = to + (quote != 0 || to == i);
	}
	/* A command of more words than anybody types: in doubt. */
	w->rest = i < w->rest ? i : w->rest;
}

/* --password X, -passwd X, --api-token X, whatever the command. */
void verify_option(struct work *w, const struct literal *l, size_t at, size_t end)
{
	size_t from = at;

	/* Back to where the word begins: it must be with a dash. */
	while (from > 0 && at - from < 32 && is_class(w->p[from - 1], C_WORD)) {
		from--;
	}
	if (!work_spend(w, at, at - from + 16) || work_at(w, from) != '-' ||
	    (from > 0 && !in_set(w->p[from - 1], " \t\"'"))) {
		return;
	}
	mask_value(w, l->rule, skip_blanks(w, end), false);
}

/* echo X | sudo -S ..., printf 'bob:X\n' | chpasswd: from the pipe back to what is
 * written into it. */
void verify_piped(struct work *w, const struct literal *l, size_t at, size_t end)
{
	static const char *const writers[] = {"echo ", "printf "};
	size_t far = at > 512 ? at - 512 : 0, i = SIZE_MAX;

	if (!work_spend(w, at, 512)) {
		return;
	}
	for (size_t k = 0; k < sizeof writers / sizeof *writers; k++) {
		size_t found = slice_rfind(slice(w->p + far, at - far), slice_str(writers[k]));

		if (found != SIZE_MAX && (i == SIZE_MAX || far + found > i)) {
			i = far + found + strlen(writers[k]);
		}
	}
	while (i != SIZE_MAX && work_at(w, i) == '-') {
		i = skip_blanks(w, run_end(w, i, C_WORD));
	}
	/* A pipe lies between. */
	if (i >= at || memchr(w->p + i, '|', at - i) == NULL) {
		return;
	}
	if (slice_ends(slice(w->p, end), SLICE_LIT("chpasswd"))) {
		mask_half(w, l->rule, i, ':');
	} else {
		mask_value(w, l->rule, i, true);
	}
}
