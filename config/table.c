#include "config/table.h"

#include <string.h>

#include "common/limits.h"
#include "config/read.h"
#include "config/table_entry.h"

/* In the order of the enums that they stand for. */
static const char *const syslog_words[] = {"unix", "unix-stream", "udp", "tcp", NULL};
static const char *const overflow_words[] = {"drop-newest", "drop-oldest", NULL};
static const char *const senders_words[] = {"anyone", "proved", NULL};
static const char *const notify_words[] = {"auto", "always", "never", NULL};
static const char *const from_words[] = {"beginning", "end", NULL};
static const char *const severity_words[] = {
	"informational", "low", "medium", "high", "critical", NULL};
static const char *const hook_words[] = {"exec", "file", "stderr", NULL};
static const char *const policy_words[] = {"pause", "drop-oldest", "drop-newest",
					   NULL};
static const char *const full_words[] = {"default", "pause", "drop-oldest",
					 "drop-newest", NULL};
const char *const level_words[] = {"error", "warn", "info", "debug", NULL};

/* ---- items of lists ---- */

#define S struct sources_file
static const struct option file_options[] = {
	{"paths", PATHS(S, paths, 1, LIST_MAX), NULL, LIVE,
	 "Absolute paths or globs (*, ?, [...]) of the files to read. Files that "
	 "appear later are found as well.",
	 .example = "[/var/log/myapp/*.log]"},
	{"exclude", PATHS(S, exclude, 0, LIST_MAX), "[]", LIVE,
	 "Files that match one of these globs are left alone."},
	{"zone", TEXT(S, zone, 1, 128), "local", LIVE,
	 "Time zone of stamps that name none: local, UTC, an offset such as "
	 "+02:00, a name such as Europe/Berlin, or a POSIX rule."},
	{"from", WORD(S, from), "beginning", LIVE,
	 "Where to start in a file that is there at the very first start.",
	 .words = from_words},
	{"label", TEXT(S, label, 0, 64), "\"\"", LIVE,
	 "A word of your own that travels with the stream."},
	{"program", TEXT(S, program, 0, 64), "\"\"", LIVE,
	 "Program of lines whose header names none, so that rules for it apply."},
	{"policy", WORD(S, full), "default", LIVE,
	 "When the spool is full: stop reading (the default: files wait), or give up "
	 "the oldest or the newest of this source's lines. What is lost is reported as "
	 "a gap.",
	 .words = full_words},
};
#undef S

#define S struct sources_command
static const struct option command_options[] = {
	{"command", TEXTS(S, command, 1, 64), NULL, LIVE,
	 "The program and its arguments. The program is an absolute path; no shell "
	 "is involved, and nobody but root may be able to change it.",
	 .example = "[/sbin/logread, -f]"},
	{"label", TEXT(S, about.label, 0, 64), "\"\"", LIVE,
	 "A word of your own that travels with the stream."},
	{"program", TEXT(S, about.program, 0, 64), "\"\"", LIVE,
	 "Program of lines whose header names none, so that rules for it apply."},
	{"zone", TEXT(S, about.zone, 1, 128), "local", LIVE,
	 "Time zone of stamps that name none, as for sources.files."},
	{"policy", WORD(S, about.full), "default", LIVE,
	 "When the spool is full: stop reading, or give up the oldest or the newest of "
	 "this source's lines; by default as spool.policy says.",
	 .words = full_words},
	{"restart_min", DURATION(S, restart_min_ms, 100, HOUR), "1s", LIVE,
	 "Pause before the command is started again when it has ended; doubled from "
	 "time to time ..."},
	{"restart_max", DURATION(S, restart_max_ms, 100, DAY), "5m", LIVE,
	 "... up to this. After a run of that length it begins anew."},
};
#undef S

static const struct schema command_schema = {
	"sources.commands", sizeof(struct sources_command), command_options,
	COUNT(command_options), NULL, check_command,
};

#define S struct sources_journal
static const struct option journal_options[] = {
	{"directories", PATHS(S, directories, 1, LIST_MAX),
	 "[/var/log/journal, /run/log/journal]", RESTART,
	 "Folders of journal files; those one level below are read as well."},
	{"names", TEXTS(S, names, 0, LIST_MAX), "[]", RESTART,
	 "Which files: globs for what stands in front of @ or .journal in a file's name. "
	 "Empty: all.",
	 .example = "[system, user-1000]"},
	{"units", TEXTS(S, units, 0, LIST_MAX), "[]", RESTART,
	 "Which units' entries: names or globs. Empty: all.",
	 .example = "[ssh.service, cron.service]"},
	{"fields", TEXTS(S, fields, 0, LIST_MAX),
	 "[_SYSTEMD_UNIT, _SYSTEMD_USER_UNIT, _UID, _COMM, _EXE, _TRANSPORT, _BOOT_ID]",
	 RESTART, "Fields that are kept beside the message (systemd.journal-fields(7))."},
	{"from", WORD(S, from), "beginning", RESTART,
	 "Where to start at the very first start.", .words = from_words},
	{"label", TEXT(S, about.label, 0, 64), "\"\"", RESTART,
	 "A word of your own that travels with the streams."},
	{"program", TEXT(S, about.program, 0, 64), "\"\"", RESTART,
	 "Program of entries that name none, so that rules for it apply."},
	{"senders", WORD(S, about.senders), "proved", RESTART,
	 "Whether the line of a daemon that says who logged in counts from anyone, or only "
	 "from a user who can run such a daemon (docs/parsing.md). All are kept.",
	 .words = senders_words},
	{"zone", TEXT(S, about.zone, 1, 128), "UTC", RESTART,
	 "The journal's stamps are UTC; this is for stamps inside messages."},
};
#undef S

static const struct schema journal_schema = {
	"sources.journal", sizeof(struct sources_journal), journal_options,
	COUNT(journal_options), NULL, NULL,
};

#define S struct sources_syslog
static const struct option syslog_options[] = {
	{"type", WORD(S, type), NULL, LIVE,
	 "unix is a datagram socket such as /dev/log, unix-stream one with connections. "
	 "udp and tcp are for other machines: nothing on the way is encrypted or proved.",
	 .words = syslog_words, .example = "unix"},
	{"path", SOCKET(S, path), "\"\"", LIVE,
	 "unix, unix-stream: the socket's path. It must not be another program's.",
	 .example = "/run/nightjar/log"},
	{"mode", TEXT(S, mode, 3, 4), "\"0666\"", LIVE,
	 "unix, unix-stream: permissions of the path, in octal. Who may write to it may "
	 "send messages."},
	{"owner", TEXT(S, owner, 0, 64), "\"\"", LIVE,
	 "unix, unix-stream: user, user:group or :group that the path is given to."},
	{"address", ADDRESS(S, address), "\"127.0.0.1:514\"", LIVE,
	 "udp, tcp: IP or IP:PORT to listen on.", .port = FIELD(uint16_t, S, port)},
	{"rate", NUMBER(S, rate, 0, 10000000), "2000", LIVE,
	 "Messages a second that one peer (an address; a user, on unix sockets) may send. "
	 "More are dropped, counted and reported as a gap. 0: any number."},
	{"burst", NUMBER(S, burst, 1, 10000000), "20000", LIVE,
	 "How many it may send at once, after a silence."},
	{"peers", NUMBER(S, peers, 1, 4096), "64", LIVE,
	 "Peers that are told apart; each is a stream of its own. When there are more, the "
	 "others share one."},
	{"connections", NUMBER(S, connections, 1, 4096), "64", LIVE,
	 "unix-stream, tcp: connections at one time; more are refused."},
	{"idle_timeout", DURATION(S, idle_timeout_ms, 0, 30 * DAY), "1d", LIVE,
	 "unix-stream, tcp: a connection that is silent for so long is closed. What its "
	 "sender writes just then is lost, since syslog has no acknowledgements. 0s: never."},
	{"buffer", SIZE(S, buffer, 4 * KIB, 256 * MIB), "1MiB", LIVE,
	 "Messages that wait in memory while the spool takes no more."},
	{"overflow", WORD(S, overflow), "drop-newest", LIVE,
	 "What goes when the buffer is full. It is counted and reported as a gap; the "
	 "senders never wait.",
	 .words = overflow_words},
	{"receive_buffer", SIZE(S, receive_buffer, 4 * KIB, 256 * MIB), "4MiB", LIVE,
	 "The kernel's buffer for what has not been read yet (SO_RCVBUF)."},
	{"policy", WORD(S, about.full), "default", LIVE,
	 "When the spool is full: stop reading, or give up the oldest or the newest of "
	 "this source's lines; by default as spool.policy says.",
	 .words = full_words},
	{"label", TEXT(S, about.label, 0, 64), "\"\"", LIVE,
	 "A word of your own that travels with the stream."},
	{"program", TEXT(S, about.program, 0, 64), "\"\"", LIVE,
	 "Program of messages whose header names none, so that rules for it apply."},
	{"senders", WORD(S, about.senders), "proved", LIVE,
	 "unix, unix-stream: whether the line of a daemon that says who logged in counts "
	 "from anyone, or only from a user who can run such a daemon (docs/parsing.md). All "
	 "are kept.",
	 .words = senders_words},
	{"zone", TEXT(S, about.zone, 1, 128), "local", LIVE,
	 "Time zone of stamps that name none, as for sources.files."},
};
#undef S

static const struct schema syslog_schema = {
	"sources.syslog", sizeof(struct sources_syslog), syslog_options,
	COUNT(syslog_options), NULL, check_syslog,
};

static const struct schema file_schema = {
	"sources.files", sizeof(struct sources_file), file_options,
	COUNT(file_options), NULL, NULL,
};

#define S struct hook_options
static const struct option hook_options_table[] = {
	{"name", TEXT(S, name, 1, 64), NULL, LIVE,
	 "Names the hook in the log and in nightjar status.",
	 .example = "notify"},
	{"type", WORD(S, type), NULL, LIVE,
	 "exec runs a program with the alert as JSON on its standard input, file "
	 "appends it to a file as a line, stderr writes it to standard error.",
	 .words = hook_words, .example = "exec"},
	{"command", TEXTS(S, command, 0, 64), "[]", LIVE,
	 "exec: the program and its arguments. The program is an absolute path; "
	 "no shell is involved.",
	 .example = "[/usr/local/bin/notify, --urgent]"},
	{"path", PATH_OR_NONE(S, path), "\"\"", LIVE,
	 "file: the file that alerts are appended to."},
	{"timeout", DURATION(S, timeout_ms, 100, HOUR), "10s", LIVE,
	 "exec: a program that runs longer is killed."},
	{"concurrency", NUMBER(S, concurrency, 1, 64), "2", LIVE,
	 "exec: how many may run at one time; more alerts wait."},
	{"min_severity", WORD(S, min_severity), "low", LIVE,
	 "Alerts below this severity are not given to the hook.",
	 .words = severity_words},
};
#undef S

const struct schema hook_schema = {
	"hooks", sizeof(struct hook_options), hook_options_table,
	COUNT(hook_options_table), NULL, check_hook,
};

/* ---- the agent ---- */

#define S struct agent_config
static const struct option agent_options[] = {
	{"collector", HOSTS(S, shipper.collectors, 32), "\"\"", LIVE,
	 "The collector to report to: HOST or HOST:PORT (port 7514 if none is "
	 "given). Its certificate must bear this name. Several in a list are tried in "
	 "its order; a list inside the list holds equal ones, tried in a random order: "
	 "[[a.example.net, b.example.net], standby.example.net]. Without any the "
	 "agent detects and alerts alone.",
	 .example = "collector.example.net"},
	{"state", PATH(S, daemon.state_dir), "/var/lib/nightjar", RESTART,
	 "Folder of what the agent must remember: positions, detectors' state, "
	 "queues."},
	{"user", TEXT(S, daemon.user, 1, 32), "nightjar", RESTART,
	 "User to become when started as root."},
	{"control", SOCKET(S, daemon.control), CONFIG_AGENT_CONTROL, RESTART,
	 "Socket that nightjar status asks; \"\" for none."},
	{"log_level", WORD(S, daemon.log_level), "info", LIVE,
	 "What the agent says about itself on standard error.",
	 .words = level_words},
	{"sandbox", BOOL(S, daemon.sandbox), "true", RESTART,
	 "Give up what is not needed (seccomp, landlock) before the first line is "
	 "read. Leave it on."},

	{"identity.certificate", PATH(S, shipper.certificate),
	 "/etc/nightjar/device.crt", RESTART,
	 "This device's certificate (PEM), made by nightjar pki."},
	{"identity.key", PATH(S, shipper.key), "/etc/nightjar/device.key", RESTART,
	 "Its private key (PEM), mode 0600 or 0640."},
	{"identity.authority", PATH(S, shipper.authority),
	 "/etc/nightjar/authority.crt", RESTART,
	 "Certificate of the authority that signed the collector's certificate."},
	{"identity.check_interval", DURATION(S, shipper.renew_check_ms, SECOND, DAY),
	 "1m", RESTART,
	 "How often to look whether these files were renewed. A good new set is taken "
	 "up without a restart, a bad one is named and not used."},

	{"sources.files", ITEMS(S, sources.files, ITEMS_MAX),
	 "[{paths: [/var/log/auth.log, /var/log/syslog, /var/log/messages, "
	 "/var/log/secure]}]",
	 LIVE, "Log files to read. Those that are not there are waited for.",
	 .items = &file_schema, .port = FIELD(size_t, S, sources.n_files)},
	{"sources.commands", ITEMS(S, sources.commands, ITEMS_MAX), "[]", LIVE,
	 "Programs whose output is read, such as logread -f. They run as the agent's "
	 "user, without rights of its own; one that ends is started again.",
	 .items = &command_schema, .port = FIELD(size_t, S, sources.n_commands)},
	{"sources.syslog", ITEMS(S, sources.syslog, SYSLOG_MAX), "[]", LIVE,
	 "Sockets that syslog messages come to (RFC 3164, RFC 5424; on connections "
	 "framed by RFC 6587). What arrives is in the spool before it is sent.",
	 .items = &syslog_schema, .port = FIELD(size_t, S, sources.n_syslog)},
	{"sources.kernel", BOOL(S, sources.read_kernel), "false", RESTART,
	 "Read the kernel's own log (/dev/kmsg) by its sequence numbers. Needs a start as "
	 "root or CAP_SYSLOG. Where a syslog daemon writes the kernel's lines into a file "
	 "that is read as well, they come twice."},
	{"sources.journal", ITEMS(S, sources.journals, JOURNALS_MAX), "[]", RESTART,
	 "The systemd journal, all boots of it. What rsyslog writes to a log file as well is "
	 "then read twice, unless sources.files leaves that out.",
	 .items = &journal_schema, .port = FIELD(size_t, S, sources.n_journals)},
	{"sources.stdin", BOOL(S, sources.read_stdin), "false", RESTART,
	 "Read lines from standard input as well."},
	{"sources.line_max", SIZE(S, sources.line_max, 256, LIMIT_LINE_MAX),
	 "16KiB", RESTART, "A longer line is cut here; the cut is marked and counted."},
	{"sources.max_open", NUMBER(S, sources.max_open, 16, 65536), "1024", RESTART,
	 "Log files held open at one time; the longest silent are closed first."},
	{"sources.poll_interval",
	 DURATION(S, sources.poll_interval_ms, 50, HOUR), "1s", RESTART,
	 "How often to look at all files, whether they notify or not."},
	{"sources.notify", WORD(S, sources.notify), "auto", RESTART,
	 "Whether to ask the kernel for notifications of changes (inotify), which make "
	 "reading prompt. auto: not on file systems that change without one (NFS, CIFS, "
	 "FUSE, 9p and the like), which are polled alone.",
	 .words = notify_words},
	{"sources.last_line_timeout",
	 DURATION(S, sources.last_line_timeout_ms, 100, HOUR), "5s", RESTART,
	 "How long to wait for the end of a line that has no newline yet."},

	{"watch.enabled", BOOL(S, sources.watch.enabled), "true", RESTART,
	 "Tell when one of the files below is made, changed, replaced or deleted: with "
	 "its owner, mode, size, time and SHA-256 before and after, never its contents. "
	 "The agent's program and its configuration are always among them."},
	{"watch.paths", PATHS(S, sources.watch.paths, 0, LIST_MAX),
	 "[/etc/passwd, /etc/shadow, /etc/group, /etc/gshadow, /etc/sudoers, "
	 "/etc/sudoers.d/*, /etc/ssh/sshd_config, /etc/ssh/sshd_config.d/*, "
	 "/root/.ssh/authorized_keys*, /home/*/.ssh/authorized_keys*, "
	 "/etc/dropbear/authorized_keys, /etc/nftables.conf, /etc/iptables/*, "
	 "/etc/ufw/*.rules, /etc/config/firewall, /etc/crontab, /etc/cron.*/*, "
	 "/etc/crontabs/*, /var/spool/cron/crontabs/*, /var/spool/cron/*]",
	 LIVE, "Absolute paths or globs of the files to watch."},
	{"watch.exclude", PATHS(S, sources.watch.exclude, 0, LIST_MAX), "[]", LIVE,
	 "Files that match one of these globs are not watched."},
	{"watch.poll", DURATION(S, sources.watch.poll_ms, 100, DAY), "30s", LIVE,
	 "How often to look at all of them, beside what the kernel tells at once."},
	{"watch.hash_interval", DURATION(S, sources.watch.hash_ms, 100, 7 * DAY), "1h",
	 LIVE,
	 "How often to read all of them again, also those whose size and time are as "
	 "they were."},
	{"watch.hash_max", SIZE(S, sources.watch.hash_max, 4 * KIB, 1 * GIB), "16MiB",
	 LIVE, "Of a larger file only size, time, owner and mode are watched."},

	{"redact.enabled", BOOL(S, redact.enabled), "true", LIVE,
	 "Mask passwords, keys and tokens before anything else sees a line."},
	{"redact.off", TEXTS(S, redact.off, 0, LIST_MAX), "[]", LIVE,
	 "Names of redaction rules that are not used (docs/redaction.md has them)."},
	{"redact.keys", TEXTS(S, redact.keys, 0, LIST_MAX), "[]", LIVE,
	 "More names whose values are secrets, as in door_pin=1234."},
	{"redact.tokens", TEXTS(S, redact.tokens, 0, LIST_MAX), "[]", LIVE,
	 "More beginnings of tokens, as in acme_..."},
	{"redact.except", TEXTS(S, redact.except, 0, LIST_MAX), "[]", LIVE,
	 "Exact values that are no secrets and stay as they are."},
	{"redact.pseudonyms", TEXTS(S, redact.pseudonyms, 0, LIST_MAX), "[]", LIVE,
	 "Fields of events (user.name, user.effective.name, user.target.name, group.name) "
	 "whose names are replaced in the line, each by the same pseudonym every time; "
	 "those in redact.except stay.",
	 .example = "[user.name, user.effective.name, user.target.name]"},
	{"redact.pseudonym_key", TEXT(S, redact.pseudonym_key, 0, 32), "\"\"", LIVE,
	 "The key of the pseudonyms, 32 hexadecimal digits, for several devices to have "
	 "the same ones. Empty: each device has its own. Whoever has it can try names."},

	{"detectors.enabled", BOOL(S, detectors.enabled), "true", LIVE,
	 "Watch the lines for what the rules describe."},
	{"detectors.packs", PATHS(S, detectors.packs, 0, LIST_MAX), "[]", LIVE,
	 "Folders of rules (Sigma, YAML) to use in place of those built into the "
	 "program, which are also in /usr/share/nightjar/packs. A rule in a later "
	 "folder replaces one with the same id in an earlier.",
	 .example = "[/usr/share/nightjar/packs, /etc/nightjar/packs]"},
	{"detectors.placeholders", PATH_OR_NONE(S, detectors.placeholders), "\"\"", LIVE,
	 "A file that says what the placeholders of rules stand for, such as %Servers%: a "
	 "YAML mapping of names to a value or a list of values, without the percent signs.",
	 .example = "/etc/nightjar/placeholders.yml"},
	{"detectors.lists", PATHS(S, detectors.lists, 0, 64), "[]", LIVE,
	 "Files of addresses, networks, domains, user names or hashes, one a line, that rules "
	 "ask for by the name of the file up to its first dot: source.ip|expand: '%bad_hosts%'. "
	 "Read again when they are replaced.",
	 .example = "[/etc/nightjar/lists/bad_hosts.txt]"},
	{"detectors.geoip", PATHS(S, detectors.geoip, 0, 8), "[]", LIVE,
	 "Databases (MaxMind DB: City or Country, ASN) in which rules look up where an address "
	 "is and whose. Each takes its size in memory. Read again when they are replaced.",
	 .example = "[/var/lib/GeoIP/GeoLite2-City.mmdb, /var/lib/GeoIP/GeoLite2-ASN.mmdb]"},
	{"detectors.refresh", DURATION(S, detectors.refresh_ms, SECOND, DAY), "1m", LIVE,
	 "How often to look whether these lists and databases were replaced."},
	{"detectors.disabled", TEXTS(S, detectors.disabled, 0, LIST_MAX), "[]",
	 LIVE, "Ids of rules to leave out."},
	{"detectors.tags", TEXTS(S, detectors.tags, 0, LIST_MAX), "[]", LIVE,
	 "What this device is, in words of your own: assets in rule files raise or lower the "
	 "level of alerts by them.",
	 .example = "[lab, kiosk]"},
	{"detectors.lateness", DURATION(S, detectors.lateness_ms, 0, DAY), "5m",
	 LIVE, "How late a line may come, by its own stamp, and still be on time."},
	{"detectors.ahead", DURATION(S, detectors.ahead_ms, SECOND, DAY), "10m",
	 LIVE,
	 "A stamp further ahead of the clock does not make later lines late."},
	{"detectors.groups_max",
	 NUMBER(S, detectors.groups_max, 64, 16777216), "65536", LIVE,
	 "Exact counters (an address, a user ...) of all rules together; beyond, "
	 "counting is approximate."},
	{"detectors.first_seen_max",
	 NUMBER(S, detectors.first_seen_max, 64, 16777216), "65536", LIVE,
	 "Values remembered by rules that watch for new ones."},
	{"detectors.baselines_max",
	 NUMBER(S, detectors.baselines_max, 16, 2048), "1024", LIVE,
	 "Groups (a program, a user ...) for which rules learn what is usual, all "
	 "together; beyond, the one not heard of for longest is forgotten."},

	{"alerts.min_severity", WORD(S, alerts.min_severity), "low", LIVE,
	 "What is found below this severity raises no alert.",
	 .words = severity_words},
	{"alerts.cooldown", DURATION(S, alerts.cooldown_ms, 0, 7 * DAY), "1h",
	 LIVE,
	 "After an alert, the same rule about the same thing is quiet for so long, "
	 "unless the rule says otherwise."},
	{"alerts.evidence_lines",
	 NUMBER(S, alerts.evidence_lines, 0, LIMIT_EVIDENCE_LINES), "5", LIVE,
	 "Redacted lines to show in an alert."},
	{"alerts.tracked_max", NUMBER(S, alerts.tracked_max, 16, 1048576), "4096",
	 LIVE, "Alerts whose cooldown is remembered."},

	HOOKS_OPTION(S),

	{"shipping.memory_max", SIZE(S, shipper.memory_max, 1 * MIB, 1 * GIB),
	 "4MiB", LIVE,
	 "Memory for what the collector has not acknowledged yet. When it is full, "
	 "reading pauses."},
	{"shipping.batch_delay", DURATION(S, shipper.batch_delay_ms, 10, 10 * MINUTE),
	 "1s", LIVE,
	 "How long a line may wait for others to travel with. 64 KiB of lines go as "
	 "soon as none has come for a sixteenth of it."},
	{"shipping.batch_max",
	 SIZE(S, shipper.batch_max, 4 * KIB, LIMIT_BATCH_DECODED), "256KiB", RESTART,
	 "A batch of lines is closed at this size, before compression."},
	{"shipping.segment_max", SIZE(S, shipper.segment_max, 64 * KIB, 256 * MIB),
	 "8MiB", RESTART,
	 "A segment (batches compressed together) ends at this size, before "
	 "compression. The collector may ask for less."},
	{"shipping.segment_age", DURATION(S, shipper.segment_age_ms, SECOND, DAY),
	 "10m", RESTART, "A segment ends at this age."},
	{"shipping.segment_silence",
	 DURATION(S, shipper.segment_silence_ms, SECOND, HOUR), "30s", RESTART,
	 "A segment ends when no line has come for so long; the memory of the "
	 "compressor is then given back."},
	{"shipping.window_log", NUMBER(S, shipper.window_log, 10, 27), "20", RESTART,
	 "Window of the compressor as a power of two. More costs memory at both "
	 "ends; the collector may allow less."},
	{"shipping.level", NUMBER(S, shipper.level, 1, 19), "2", RESTART,
	 "Compression level of zstd."},
	{"shipping.reconnect_min",
	 DURATION(S, shipper.reconnect_min_ms, 100, HOUR), "1s", LIVE,
	 "Pause after the first failed connection; doubled after each further one ..."},
	{"shipping.reconnect_max",
	 DURATION(S, shipper.reconnect_max_ms, 100, DAY), "2m", LIVE,
	 "... up to this. Pauses vary at random, so that a fleet does not come back "
	 "at once."},
	{"shipping.reconnect_spread",
	 DURATION(S, shipper.reconnect_spread_ms, 0, HOUR), "5s", LIVE,
	 "When a connection that had lasted ends, the first try waits for a random time "
	 "up to this. With ten thousand devices take a minute."},
	{"shipping.return_after", DURATION(S, shipper.return_after_ms, 0, 7 * DAY),
	 "10m", LIVE,
	 "With several collectors: after so long with another one the preferred is "
	 "tried again. 0s: never."},
	{"shipping.bandwidth", SIZE(S, shipper.bandwidth, 0, 1 * TIB), "0B", LIVE,
	 "Bytes a second that may be sent; 0B for no limit. Alerts do not wait."},
	{"shipping.bandwidth_night", SIZE(S, shipper.bandwidth_night, 0, 1 * TIB), "0B",
	 LIVE, "The same for the hours of shipping.night."},
	{"shipping.night", SPAN(S, shipper.night), "\"\"", LIVE,
	 "Hours of the day, local time, in which shipping.bandwidth_night holds; \"\" "
	 "for none.",
	 .example = "22:00-06:00"},
	{"shipping.budget_day", SIZE(S, shipper.budget_day, 0, 1 * TIB), "0B", LIVE,
	 "Bytes that may be sent in a day, for links that are paid for by volume; 0B for "
	 "no limit, else at least 2MiB. What is over it waits for local midnight; alerts "
	 "do not, but count."},

	{"spool.directory", PATH(S, shipper.spool_dir), "/var/lib/nightjar/spool",
	 RESTART,
	 "Folder for sealed lines while the collector is away."},
	{"spool.max", SIZE(S, shipper.spool_max, 1 * MIB, 1 * TIB), "256MiB", LIVE,
	 "What the spool may take on disk."},
	{"spool.policy", WORD(S, shipper.spool_policy), "pause", RESTART,
	 "When the spool is full: stop reading, or give up the oldest or the newest "
	 "of what can't be read again. What is lost is reported as a gap. Sources may "
	 "have a policy of their own.",
	 .words = policy_words},
};
#undef S

static const struct section agent_sections[] = {
	{"identity", "Who this device is, and whom it believes."},
	{"sources", "Where lines come from."},
	{"watch", "Files that should hardly ever change."},
	{"redact", "Secrets are taken out of every line first."},
	{"detectors", "What is watched for."},
	{"alerts", "How findings become alerts."},
	{"shipping", "How lines travel to the collector."},
	{"spool", "Where they wait while the collector is away."},
	{NULL, NULL},
};

const struct schema agent_schema = {
	"agent", sizeof(struct agent_config), agent_options, COUNT(agent_options),
	agent_sections, check_agent,
};

size_t option_section(const struct option *o)
{
	const char *dot = strrchr(o->key, '.');

	return dot == NULL ? 0 : (size_t)(dot - o->key);
}

const char *option_name(const struct option *o)
{
	const char *dot = strrchr(o->key, '.');

	return dot == NULL ? o->key : dot + 1;
}
