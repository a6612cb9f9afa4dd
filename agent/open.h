/* open: the sources beside log files and standard input that the configuration names,
 * made for the agent.
 *
 * Threads   the loop thread only.
 */
#ifndef AGENT_OPEN_H
#define AGENT_OPEN_H

#include "agent/pipeline.h"
#include "sources/sockets.h"

/* What main() opened or started before the sandbox closed; -1: it is not there. */
struct open_before {
	int runner; /* the socket of the process that runs commands */
	struct sockets *sockets; /* of sources.syslog; NULL: none */
	int kernel;           /* /dev/kmsg, or why not (UV_E*) */
	uint8_t boot[16];     /* the kernel's boot id */
	struct strlist own;   /* this program and its configuration, to be watched */
};
#define OPEN_NOTHING ((struct open_before){.runner = -1, .kernel = -1})

/* Opens what needs rights.  What can't be is logged, and told once there is a pipeline. */
void open_early(struct open_before *before, const struct agent_config *config,
		const char *config_path);

struct open_sources {
	struct source *list[SOURCES_MAX];
	size_t n;
	struct pipeline *pipeline;
	struct sys *sys;
};

/* Takes over the descriptors in before.  cb: gets every line, with arg; kept, as config and
 * secret (STREAM_SECRET bytes) are.  What can't be opened is logged and left out but for
 * lack of memory (UV_ENOMEM); what is in o then is to be freed. */
int open_sources(struct open_sources *o, uv_loop_t *loop, struct sys *sys,
		 const struct agent_config *config, const unsigned char *secret,
		 struct open_before before, struct pipeline *pipeline,
		 const struct tail_callbacks *cb, void *arg);

/* The source of this name (source_ops), or NULL. */
struct source *open_find(const struct open_sources *o, const char *name);
/* One of sockets, without any yet; in no list.  As open_sources(). */
int open_syslog(const struct open_sources *o, struct source **out, uv_loop_t *loop,
		const struct agent_config *config, const unsigned char *secret,
		const struct tail_callbacks *cb, void *arg);

#endif
