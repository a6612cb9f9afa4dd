/* options: the settings of collector/.  Plain data: config/ fills it in, owns
 * every string and keeps it alive while the collector runs.
 */
#ifndef COLLECTOR_OPTIONS_H
#define COLLECTOR_OPTIONS_H

#include <stdint.h>

enum { MEMBER_NAME_MAX = 31 };

struct collector_options {
	char *listen_address; /* an IP address; "::" and "0.0.0.0" are all */
	uint16_t listen_port;
	char *certificate; /* paths of PEM files */
	char *key;
	char *authority;
	uint64_t renew_check_ms; /* how often these three are looked at */

	char *store_dir;
	char *member; /* this one's name among those that share the store; "" or
		       * NULL: it has the store for itself */
	uint64_t sync_interval_ms; /* acknowledgements are grouped for so long */
	uint64_t decoders_max;     /* opened segments kept, about 2.5 MiB each at
				    * window log 21 */
	char *output_file;         /* records as JSON lines; "" for none */

	uint64_t max_devices;      /* connected at one time */
	uint64_t max_per_address;  /* connections from one address */
	uint64_t max_handshakes;   /* under way at one time */
	uint64_t handshake_timeout_ms;
	uint64_t idle_timeout_ms;

	uint64_t window_log;       /* what agents may use, see struct welcome */
	uint64_t segment_max;      /* bytes, decoded */
};

#endif
