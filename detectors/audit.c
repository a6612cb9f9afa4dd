#include "detectors/audit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* How a field is to be read. */
enum reading {
	PLAIN,
	TEXT,     /* in quotes, or in hexadecimal */
	ARGUMENT, /* TEXT in EXECVE; numbers elsewhere */
	TYPE,
	SYSCALL,
};

static const struct {
	const char *name;
	uint8_t reading;
} fields[] = {
	{"type", TYPE}, {"SYSCALL", SYSCALL},
	{"a0", ARGUMENT}, {"a1", ARGUMENT}, {"a2", ARGUMENT}, {"a3", ARGUMENT},
	{"a4", ARGUMENT}, {"a5", ARGUMENT}, {"a6", ARGUMENT}, {"a7", ARGUMENT},
	{"a8", ARGUMENT}, {"a9", ARGUMENT}, {"a10", ARGUMENT}, {"a11", ARGUMENT},
	{"a12", ARGUMENT}, {"a13", ARGUMENT}, {"a14", ARGUMENT}, {"a15", ARGUMENT},
	{"comm", TEXT}, {"exe", TEXT}, {"name", TEXT}, {"cwd", TEXT},
	{"proctitle", TEXT}, {"cmd", TEXT}, {"acct", TEXT}, {"key", TEXT},
	{"unit", TEXT}, {"data", TEXT}, {"vm", TEXT}, {"profile", TEXT},
	{"syscall", PLAIN}, {"arch", PLAIN}, {"success", PLAIN}, {"exit", PLAIN},
	{"argc", PLAIN}, {"items", PLAIN}, {"item", PLAIN}, {"ppid", PLAIN},
	{"pid", PLAIN}, {"auid", PLAIN}, {"uid", PLAIN}, {"gid", PLAIN},
	{"euid", PLAIN}, {"suid", PLAIN}, {"fsuid", PLAIN}, {"egid", PLAIN},
	{"sgid", PLAIN}, {"fsgid", PLAIN}, {"ouid", PLAIN}, {"ogid", PLAIN},
	{"tty", PLAIN}, {"ses", PLAIN}, {"subj", PLAIN}, {"obj", PLAIN},
	{"nametype", PLAIN}, {"mode", PLAIN}, {"inode", PLAIN}, {"dev", PLAIN},
	{"saddr", PLAIN}, {"op", PLAIN}, {"res", PLAIN}, {"addr", PLAIN},
	{"terminal", PLAIN}, {"sig", PLAIN}, {"prom", PLAIN}, {"table", PLAIN},
	{"operation", PLAIN}, {"apparmor", PLAIN}, {"AUID", PLAIN}, {"UID", PLAIN},
	{"GID", PLAIN}, {"EUID", PLAIN}, {"OUID", PLAIN}, {"OGID", PLAIN},
};
_Static_assert(COUNT(fields) == AUDIT_FIELDS, "detectors/field.h counts on it");

/* The kernel writes numbers where no auditd names them. */
static const struct {
	const char *number, *name;
} types[] = {
	{"1006", "LOGIN"}, {"1100", "USER_AUTH"}, {"1101", "USER_ACCT"},
	{"1103", "CRED_ACQ"}, {"1104", "CRED_DISP"}, {"1105", "USER_START"},
	{"1106", "USER_END"}, {"1108", "USER_CHAUTHTOK"}, {"1110", "CRED_REFR"},
	{"1112", "USER_LOGIN"}, {"1113", "USER_LOGOUT"}, {"1114", "ADD_USER"},
	{"1115", "DEL_USER"}, {"1116", "ADD_GROUP"}, {"1117", "DEL_GROUP"},
	{"1123", "USER_CMD"}, {"1124", "USER_TTY"}, {"1130", "SERVICE_START"},
	{"1131", "SERVICE_STOP"}, {"1300", "SYSCALL"}, {"1302", "PATH"},
	{"1305", "CONFIG_CHANGE"}, {"1306", "SOCKADDR"}, {"1307", "CWD"},
	{"1309", "EXECVE"}, {"1319", "TTY"}, {"1325", "NETFILTER_CFG"},
	{"1326", "SECCOMP"}, {"1327", "PROCTITLE"}, {"1330", "KERN_MODULE"},
	{"1334", "BPF"}, {"1400", "AVC"}, {"1700", "ANOM_PROMISCUOUS"},
	{"1701", "ANOM_ABEND"},
};

/* Numbers of the calls that rules ask for, as far as auditd did not write the name. */
enum { X86_64, I386, ARM, GENERIC, ARCHES };
static const char *const arches[ARCHES] = {"c000003e", "40000003", "40000028",
					   "c00000b7"};
static const struct {
	const char *name;
	int16_t number[ARCHES]; /* -1: the architecture has no such call */
} calls[] = {
	{"accept", {43, -1, 285, 202}}, {"accept4", {288, 364, 366, 242}},
	{"adjtimex", {159, 124, 124, 171}}, {"bind", {49, 361, 282, 200}},
	{"bpf", {321, 357, 386, 280}}, {"chmod", {90, 15, 15, -1}},
	{"clock_settime", {227, 264, 262, 112}}, {"clone", {56, 120, 120, 220}},
	{"connect", {42, 362, 283, 203}}, {"creat", {85, 8, 8, -1}},
	{"delete_module", {176, 129, 129, 106}}, {"execve", {59, 11, 11, 221}},
	{"execveat", {322, 358, 387, 281}}, {"fchmod", {91, 94, 94, 52}},
	{"fchmodat", {268, 306, 333, 53}}, {"fchownat", {260, 298, 325, 54}},
	{"finit_module", {313, 350, 379, 273}}, {"fork", {57, 2, 2, -1}},
	{"init_module", {175, 128, 128, 105}}, {"kill", {62, 37, 37, 129}},
	{"memfd_create", {319, 356, 385, 279}}, {"mknod", {133, 14, 14, -1}},
	{"mknodat", {259, 297, 324, 33}}, {"mount", {165, 21, 21, 40}},
	{"open", {2, 5, 5, -1}}, {"openat", {257, 295, 322, 56}},
	{"personality", {135, 136, 136, 92}}, {"ptrace", {101, 26, 26, 117}},
	{"reboot", {169, 88, 88, 142}}, {"rename", {82, 38, 38, -1}},
	{"renameat", {264, 302, 329, 38}}, {"renameat2", {316, 353, 382, 276}},
	{"sethostname", {170, 74, 74, 161}}, {"setgid", {106, 46, 46, 144}},
	{"setuid", {105, 23, 23, 146}}, {"settimeofday", {164, 79, 79, 170}},
	{"setxattr", {188, 226, 226, 5}}, {"socket", {41, 359, 281, 198}},
	{"sysinfo", {99, 116, 116, 179}}, {"syslog", {103, 103, 103, 116}},
	{"umount2", {166, 52, 52, 39}}, {"unlink", {87, 10, 10, -1}},
	{"unlinkat", {263, 301, 328, 35}}, {"vfork", {58, 190, 190, -1}},
};

int audit_find(struct slice name)
{
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (slice_eq(name, slice_str(fields[i].name))) {
			return (int)i;
		}
	}
	return -1;
}

const char *audit_name(unsigned i)
{
	return fields[i].name;
}

/* Takes what stands before "type=" and it; false when there is none. */
static bool take_head(struct slice *m)
{
	if (slice_starts(*m, SLICE_LIT("node="))) {
		size_t at = slice_chr(*m, ' ');

		*m = at == SIZE_MAX ? SLICE_NONE : slice_skip(*m, at + 1);
	} else if (slice_starts(*m, SLICE_LIT("audit: "))) {
		*m = slice_skip(*m, 7);
	}
	if (!slice_starts(*m, SLICE_LIT("type="))) {
		return false;
	}
	*m = slice_skip(*m, 5);
	return true;
}

static bool take_type(struct slice *m, struct slice *type)
{
	size_t at;

	if (!take_head(m)) {
		return false;
	}
	at = slice_chr(*m, ' ');
	if (at == SIZE_MAX || at == 0) {
		return false;
	}
	*type = slice_head(*m, at);
	*m = slice_skip(*m, at + 1);
	if (slice_starts(*m, SLICE_LIT("msg="))) {
		*m = slice_skip(*m, 4);
	}
	return slice_starts(*m, SLICE_LIT("audit("));
}

bool audit_is(struct slice message)
{
	struct slice type;

	return take_type(&message, &type);
}

static struct slice type_name(struct slice type)
{
	for (size_t i = 0; i < COUNT(types) && type.n == 4; i++) {
		if (slice_eq(type, slice_str(types[i].number))) {
			return slice_str(types[i].name);
		}
	}
	return type;
}

/* What holds a blank or a quote is written in hexadecimal, so that no value poses as a
 * field: a name stands behind a blank, a quote or what parts the enriched names. */
static bool begins_field(struct slice m, size_t at)
{
	char c = at == 0 ? ' ' : m.p[at - 1];

	return c == ' ' || c == '\'' || c == '(' || c == 0x1d;
}

/* name=value or name="value" */
static bool find_value(struct slice m, struct slice name, struct slice *v, bool *quoted)
{
	for (size_t from = 0, at; (at = slice_find(slice_skip(m, from), name)) != SIZE_MAX;
	     from += at + 1) {
		struct slice rest = slice_skip(m, from + at + name.n);
		size_t end = 0;

		if (!begins_field(m, from + at) || rest.n == 0 || rest.p[0] != '=') {
			continue;
		}
		rest = slice_skip(rest, 1);
		*quoted = rest.n > 0 && rest.p[0] == '"';
		if (*quoted) {
			rest = slice_skip(rest, 1);
			*v = slice_head(rest, slice_chr(rest, '"'));
			return true;
		}
		while (end < rest.n && rest.p[end] != ' ' && rest.p[end] != '\'' &&
		       rest.p[end] != 0x1d) {
			end++;
		}
		*v = slice_head(rest, end);
		return true;
	}
	return false;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static struct slice decode(struct slice v, char *scratch)
{
	if (scratch == NULL || v.n == 0 || v.n % 2 != 0 || v.n / 2 > AUDIT_SCRATCH) {
		return v;
	}
	for (size_t i = 0; i < v.n; i += 2) {
		int high = hex(v.p[i]), low = hex(v.p[i + 1]);

		if (high < 0 || low < 0) {
			return v;
		}
		/* The arguments of a PROCTITLE are parted by NULs. */
		scratch[i / 2] = (char)(high << 4 | low);
		scratch[i / 2] = scratch[i / 2] == '\0' ? ' ' : scratch[i / 2];
	}
	return slice(scratch, v.n / 2);
}

static bool find_call(struct slice m, struct slice *out)
{
	struct slice arch, number;
	uint64_t n;
	bool quoted;

	if (find_value(m, SLICE_LIT("SYSCALL"), out, &quoted)) {
		return true;
	}
	if (!find_value(m, SLICE_LIT("arch"), &arch, &quoted) ||
	    !find_value(m, SLICE_LIT("syscall"), &number, &quoted) ||
	    !slice_to_u64(number, INT16_MAX, &n)) {
		return false;
	}
	for (unsigned a = 0; a < ARCHES; a++) {
		for (size_t i = 0; slice_eq(arch, slice_str(arches[a])) && i < COUNT(calls);
		     i++) {
			if (calls[i].number[a] == (int16_t)n) {
				*out = slice_str(calls[i].name);
				return true;
			}
		}
	}
	return false;
}

bool audit_get(struct slice message, unsigned i, char *scratch, struct slice *out)
{
	struct slice type;
	bool quoted;

	if (!take_type(&message, &type)) {
		return false;
	}
	type = type_name(type);
	if (fields[i].reading == TYPE) {
		*out = type;
		return true;
	}
	if (fields[i].reading == SYSCALL) {
		return find_call(message, out);
	}
	if (!find_value(message, slice_str(fields[i].name), out, &quoted)) {
		return false;
	}
	if (!quoted && (fields[i].reading == TEXT ||
			(fields[i].reading == ARGUMENT && slice_eq(type, SLICE_LIT("EXECVE"))))) {
		*out = decode(*out, scratch);
	}
	return true;
}
