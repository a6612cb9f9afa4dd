/* auditd: what the kernel says about system calls.
 *
 * Source: Linux kernel/auditsc.c (audit_log_exit, audit_log_execve_info,
 * audit_log_proctitle, audit_log_name, audit_log_cwd), kernel/audit.c (audit_log_task_info,
 * audit_log_untrustedstring), security/selinux/avc.c, security/apparmor/audit.c;
 * linux-audit 3.0.9 auparse/typetab.h for which fields may be encoded.
 *
 * The records of a call come one after the other, "type=SYSCALL", "EXECVE", "CWD", "PATH",
 * "PROCTITLE", "EOE", with the same serial number.  Only the first names the user; eight
 * events at a time are remembered for those behind it.  Arguments and paths are the
 * user's; what holds a blank, a quote or a control character is in hexadecimal.
 */
#include "parsers/audit.h"

enum { ARGUMENTS_MAX = 64 };

/* The memory of one event: its serial number stands where an address would, so that what
 * is of another event is noticed, and behind it and a blank the program. */
static bool find_slot(struct context *c, const struct audit_fields *f)
{
	char id[] = "audit 0";

	if (f->serial.n == 0 || f->serial.n > SLOT_ADDRESS) {
		return false;
	}
	id[6] = (char)('0' + (f->serial.p[f->serial.n - 1] - '0') % 8);
	ctx_slot_id(c, SLOTS_AUDIT, slice(id, sizeof id - 1));
	return true;
}

static void remember(struct context *c, const struct audit_fields *f, struct slice user,
		     struct slice exe)
{
	struct slot *slot;

	if (!find_slot(c, f) || user.n > SLOT_USER) {
		return;
	}
	slot = c->slot;
	slot_again(slot);
	memcpy(slot->address, f->serial.p, f->serial.n);
	slot->address_n = (uint8_t)f->serial.n;
	slot->address_is_ip = false;
	if (exe.n > 0 && f->serial.n + 1 + exe.n <= SLOT_ADDRESS) {
		slot->address[f->serial.n] = ' ';
		memcpy(slot->address + f->serial.n + 1, exe.p, exe.n);
		slot->address_n = (uint8_t)(f->serial.n + 1 + exe.n);
	}
	memcpy(slot->user, user.p, user.n);
	slot->user_n = (uint8_t)user.n;
	slot->port_n = 0;
}

static void recall(struct context *c, const struct audit_fields *f)
{
	struct slice of, exe;

	if (!find_slot(c, f) || c->slot->user_n == 0) {
		return;
	}
	of = slice(c->slot->address, c->slot->address_n);
	exe = slice_skip(of, f->serial.n + 1);
	of = slice_head(of, slice_chr(of, ' '));
	if (!slice_eq(f->serial, of)) {
		return;
	}
	set_user(c, slice(c->slot->user, c->slot->user_n));
	if (exe.n > 0 && !event_has(c->e, FIELD_PROCESS_EXECUTABLE)) {
		event_set(c->e, FIELD_PROCESS_EXECUTABLE, exe);
	}
}

/* The name in what auditd put behind the record, or the number in the record. */
static struct slice who(struct context *c, const struct audit_fields *f, struct slice name,
			struct slice number)
{
	struct slice v = audit_text(c, f->names, name);
	bool quoted;

	return audit_known(v) ? v : audit_field(f->raw, number, &quoted);
}

/* "arch=c000003e syscall=59 success=yes .. auid=1000 uid=0 .. tty=pts0 comm="x"
 * exe="/x" key="k"": who logged in (auid) and as whom he acts (euid). */
bool audit_syscall(struct context *c, const struct audit_fields *f)
{
	struct slice user = who(c, f, SLICE_LIT("AUID="), SLICE_LIT("auid="));
	struct slice as = who(c, f, SLICE_LIT("EUID="), SLICE_LIT("euid="));
	struct slice v, exe;

	if (!audit_known(user)) { /* a daemon's */
		user = who(c, f, SLICE_LIT("UID="), SLICE_LIT("uid="));
	}
	if (!audit_known(user)) {
		return false;
	}
	set_user(c, user);
	if (audit_known(as)) {
		event_set(c->e, FIELD_USER_EFFECTIVE_NAME, as);
	}
	exe = audit_text(c, f->raw, SLICE_LIT("exe="));
	if (audit_known(exe)) {
		event_set(c->e, FIELD_PROCESS_EXECUTABLE, exe);
	}
	v = audit_text(c, f->raw, SLICE_LIT("key="));
	if (audit_known(v) && !IS(v, "(null")) {
		event_set(c->e, FIELD_EVENT_REASON, v);
	}
	v = audit_text(c, f->raw, SLICE_LIT("tty="));
	if (audit_known(v) && !IS(v, "(none")) {
		event_set(c->e, FIELD_AUTH_TTY, v);
	}
	remember(c, f, user, audit_known(exe) ? exe : SLICE_NONE);
	return true;
}

static void append(struct context *c, struct slice *to, struct slice v)
{
	size_t room = CONTEXT_SCRATCH - c->scratch_n;

	v.n = v.n < room ? v.n : room;
	memcpy(c->scratch + c->scratch_n, v.p, v.n);
	c->scratch_n += v.n;
	to->n += v.n;
}

/* "argc=2 a0="ls" a1=2D6C20": an argument that is very long comes in pieces, "a1_len=N
 * a1[0]=..", of which the first are taken. */
bool audit_execve(struct context *c, const struct audit_fields *f)
{
	struct slice command = slice(c->scratch + c->scratch_n, 0), m = f->raw, word;
	unsigned n = 0;

	if (!TAKE(&m, "argc=") || !take_word(&m, &word)) {
		return false;
	}
	while (n < ARGUMENTS_MAX && m.n > 0 && take_word(&m, &word)) {
		struct slice key;

		if (!take_until(&word, '=', &key) || key.n < 2 || key.p[0] != 'a' ||
		    ENDS(key, "_len")) {
			continue;
		}
		if (n++ > 0) {
			append(c, &command, SLICE_LIT(" "));
		}
		if (TAKE(&word, "\"")) {
			TAKE_END(&word, "\"");
			append(c, &command, word);
		} else {
			struct slice text = audit_decode(c, word, ' ');

			if (text.p == word.p) {
				append(c, &command, word);
			} else { /* It stands where it belongs already. */
				command.n += text.n;
			}
		}
	}
	event_set(c->e, FIELD_PROCESS_COMMAND_LINE, command);
	recall(c, f);
	return n > 0;
}

/* "item=0 name="/etc/shadow" inode=.. nametype=CREATE" */
bool audit_path(struct context *c, const struct audit_fields *f)
{
	bool quoted;
	struct slice v = audit_text(c, f->raw, SLICE_LIT("name=")), how;

	if (!HAS(f->raw, "item=")) {
		return false;
	}
	if (audit_known(v) && !IS(v, "(null")) {
		event_set(c->e, FIELD_FILE_PATH, v);
	}
	how = audit_field(f->raw, SLICE_LIT("nametype="), &quoted);
	if (IS(how, "CREATE")) {
		SET(c, EVENT_TYPE, "creation");
	} else if (IS(how, "DELETE")) {
		SET(c, EVENT_TYPE, "deletion");
	}
	recall(c, f);
	return true;
}

/* "proctitle=HEX", its arguments parted by NULs. */
bool audit_proctitle(struct context *c, const struct audit_fields *f)
{
	struct slice v = audit_text(c, f->raw, SLICE_LIT("proctitle="));

	if (v.n == 0) {
		return false;
	}
	event_set(c->e, FIELD_PROCESS_COMMAND_LINE, v);
	recall(c, f);
	return true;
}

bool audit_context(struct context *c, const struct audit_fields *f)
{
	struct slice v = audit_text(c, f->raw, SLICE_LIT("cwd="));

	if (v.n > 0) {
		event_set(c->e, FIELD_PROCESS_WORKING_DIRECTORY, v);
	}
	recall(c, f);
	return true;
}

/* "avc:  denied  { read } for  pid=.. comm="x" name="y" ..", "apparmor="DENIED"
 * operation="open" profile="p" name="/x" pid=.. comm="x"" */
bool audit_denial(struct context *c, const struct audit_fields *f)
{
	bool quoted;
	struct slice v = audit_field(f->raw, SLICE_LIT("apparmor="), &quoted);

	if (IS(v, "STATUS") || IS(v, "ALLOWED") || IS(v, "AUDIT")) {
		SET(c, EVENT_TYPE, "info");
	} else if (IS(v, "DENIED") || slice_find(f->raw, SLICE_LIT("denied ")) != SIZE_MAX) {
		c->e->outcome = OUTCOME_FAILURE;
	} else if (slice_find(f->raw, SLICE_LIT("granted ")) == SIZE_MAX) {
		return false;
	} else {
		SET(c, EVENT_TYPE, "info");
	}
	v = audit_text(c, f->raw, SLICE_LIT("name="));
	if (audit_known(v)) {
		event_set(c->e, FIELD_FILE_PATH, v);
	}
	v = audit_text(c, f->raw, SLICE_LIT("comm="));
	if (audit_known(v)) {
		event_set(c->e, FIELD_PROCESS_EXECUTABLE, v);
	}
	recall(c, f);
	return true;
}
