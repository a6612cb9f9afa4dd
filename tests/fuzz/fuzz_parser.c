/* Lines for one parser.  The first byte of each line picks what is put in front of it, so
 * that every family is reached at once; 0 and what is beyond the table: nothing. */
#include <stdlib.h>
#include <string.h>

#include "parsers/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define H "Nov 22 15:37:46 gw "

static const char *const heads[] = {
	"", H "sshd[1]: ", H "sshd[1]: pam_unix(sshd:auth): ", H "sudo: ",
	H "su[1]: ", H "login[1]: ", H "dropbear[1]: ", H "useradd[1]: ",
	H "systemd-logind[1]: ", H "cron[1]: ", H "vsftpd[1]: ",
	H "proftpd[1]: ", H "pure-ftpd: ", H "ftpd[1]: ", H "dovecot: ",
	H "postfix/smtpd[1]: ", H "nginx: ", H "openvpn[1]: ", H "uhttpd[1]: ",
	H "doas: ", H "pkexec[1]: ", H "polkitd[1]: ", H "audispd: ", H,
	"<38>1 ", "Nov 22 15:37:46 ", "Sun Nov 22 15:37:46 2026 ",
	"2026-11-22T15:37:46", "type=USER_LOGIN msg=audit(1.2:3): ",
	"2026/11/22 15:37:46 [error] 1#1: *1 ", "[Sun Nov 22 15:37:46 2026] ",
	H "kernel: ", H "kernel: wireguard: wg0: ", H "charon: 07[IKE] ",
	H "charon: 07[NET] ", H "dnsmasq-dhcp[1]: ", H "hostapd: wlan0: ", H "opkg: ",
	H "webmin[1]: ", H "cockpit-session[1]: ", H "audit[1]: ", "2026-11-22 15:37:46 ",
	"type=SYSCALL msg=audit(1.2:3): ", "type=EXECVE msg=audit(1.2:3): argc=",
	"type=PATH msg=audit(1.2:3): item=0 name=", "{\"",
	"{\"SYSLOG_IDENTIFIER\":\"sshd\",\"MESSAGE\":\"",
	"{\"log\":\"" H, H "SMS: ", H "WebUI: ", H "exim[1]: ",
	H "lighttpd[1]: (mod_auth.c.851) ", H "cyrus/imap[1]: ", H "imapd[1]: ",
	H "sm-mta[1]: ", H "mariadbd[1]: ", H "asterisk[1]: ", H "roundcube: ",
	H "smtpd[1]: ",
};

enum { HEADS = sizeof heads / sizeof *heads, HEAD_ROOM = 64 };

static volatile uint64_t sink;

static void touch(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		sink += (unsigned char)s.p[i];
	}
}

static void read_line(struct parser *p, const uint8_t *data, size_t n)
{
	const char *head = n > 0 && data[0] < HEADS ? heads[data[0]] : "";
	size_t head_n = strlen(head), skip = n > 0 ? 1 : 0;
	/* Exactly sized, so that a sanitizer sees every overrun. */
	char *line = malloc(head_n + n - skip + (head_n + n == skip));
	struct header h;
	struct event e;

	if (line == NULL) {
		return;
	}
	memcpy(line, head, head_n);
	memcpy(line + head_n, data + skip, n - skip);
	parser_line(p, slice(line, head_n + n - skip),
		    INT64_C(1795361866000000000), &h, &e);
	touch(h.host);
	touch(h.program);
	touch(h.pid);
	touch(h.message);
	for (int i = 0; i < FIELD_NR; i++) {
		touch(event_get(&e, (enum event_field)i));
	}
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parser *p;

	if (parser_new(&p, NULL) != 0) {
		return 0;
	}
	while (size > 0) {
		const uint8_t *newline = memchr(data, '\n', size);
		size_t n = newline == NULL ? size : (size_t)(newline - data);

		read_line(p, data, n);
		data += n;
		size -= n;
		if (newline != NULL) {
			data++;
			size--;
		}
	}
	parser_free(p);
	return 0;
}
