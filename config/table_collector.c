/* Every option of the collector. */
#include "config/read.h"
#include "config/table_entry.h"

#define S struct collector_config
static const struct option collector_options_table[] = {
	{"listen", ADDRESS(S, collector.listen_address), "\"[::]:7514\"", RESTART,
	 "Address to listen on: IP or IP:PORT. [::] is every address, IPv4 as well.",
	 .port = FIELD(uint16_t, S, collector.listen_port)},
	{"state", PATH(S, daemon.state_dir), "/var/lib/nightjar-collector", RESTART,
	 "Folder of what the collector must remember beside the store."},
	{"user", TEXT(S, daemon.user, 1, 32), "nightjar-collector", RESTART,
	 "User to become when started as root."},
	{"control", SOCKET(S, daemon.control), CONFIG_COLLECTOR_CONTROL, RESTART,
	 "Socket that nightjar status asks; \"\" for none."},
	{"log_level", WORD(S, daemon.log_level), "info", LIVE,
	 "What the collector says about itself on standard error.",
	 .words = level_words},
	{"sandbox", BOOL(S, daemon.sandbox), "true", RESTART,
	 "Give up what is not needed (seccomp, landlock) before the first "
	 "connection. Leave it on."},

	{"identity.certificate", PATH(S, collector.certificate),
	 "/etc/nightjar/collector.crt", RESTART,
	 "The collector's certificate (PEM), made by nightjar pki. It must bear the "
	 "name that agents use."},
	{"identity.key", PATH(S, collector.key), "/etc/nightjar/collector.key",
	 RESTART, "Its private key (PEM), mode 0600 or 0640."},
	{"identity.authority", PATH(S, collector.authority),
	 "/etc/nightjar/authority.crt", RESTART,
	 "Certificate of the authority that signs devices."},
	{"identity.check_interval", DURATION(S, collector.renew_check_ms, SECOND, DAY),
	 "1m", RESTART,
	 "How often to look whether these files were renewed. A good new set is taken "
	 "up without a restart, a bad one is named and not used."},

	{"store.directory", PATH(S, collector.store_dir),
	 "/var/lib/nightjar-collector/store", RESTART, "Folder of what devices sent."},
	{"store.member", TEXT(S, collector.member, 0, MEMBER_NAME_MAX), "\"\"", RESTART,
	 "This collector's name among those that share the store, each with a name of its "
	 "own; \"\": it has the store for itself. See store.md, \"Shared stores\"."},
	{"store.sync_interval", DURATION(S, collector.sync_interval_ms, 1, 10 * SECOND),
	 "20ms", LIVE,
	 "Batches that arrive within it are synced and acknowledged together."},
	{"store.decoders_max", NUMBER(S, collector.decoders_max, 1, 4096), "16",
	 RESTART,
	 "Segments kept open for reading, about 1.5 MiB each at the agents' default window."},

	{"output.file", PATH_OR_NONE(S, collector.output_file), "\"\"", RESTART,
	 "File that every record is appended to as a line of JSON; \"\" for none.",
	 .example = "/var/lib/nightjar-collector/records.json"},

	HOOKS_OPTION(S),

	{"limits.devices", NUMBER(S, collector.max_devices, 1, 1000000), "10000",
	 LIVE, "Devices connected at one time."},
	{"limits.per_address", NUMBER(S, collector.max_per_address, 1, 1000000), "256",
	 LIVE, "Connections from one address."},
	{"limits.handshakes", NUMBER(S, collector.max_handshakes, 1, 10000), "64",
	 LIVE, "Handshakes under way at one time; more wait."},
	{"limits.handshake_timeout",
	 DURATION(S, collector.handshake_timeout_ms, SECOND, 5 * MINUTE), "10s",
	 LIVE, "A device that has not proved itself by then is disconnected."},
	{"limits.idle_timeout",
	 DURATION(S, collector.idle_timeout_ms, 10 * SECOND, DAY), "5m", LIVE,
	 "A device that says nothing for so long is disconnected."},
	{"limits.window_log", NUMBER(S, collector.window_log, 10, 27), "21", LIVE,
	 "Largest compression window that agents may use, as a power of two."},
	{"limits.segment_max", SIZE(S, collector.segment_max, 64 * KIB, 256 * MIB),
	 "8MiB", LIVE, "Largest segment that agents may make, before compression."},
};
#undef S

static const struct section collector_sections[] = {
	{"identity", "Who this collector is, and whose devices it believes."},
	{"store", "Where records are kept."},
	{"output", "Where records are passed on."},
	{"limits", "What devices may ask of this machine."},
	{NULL, NULL},
};

const struct schema collector_schema = {
	"collector", sizeof(struct collector_config), collector_options_table,
	COUNT(collector_options_table), collector_sections, check_collector,
};
