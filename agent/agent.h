/* agent: the core of nightjar-agent, free of processes, sockets and signals, so
 * that main.c can run it on libuv and tests/sim on a virtual machine.
 *
 * Life      agent_new (blocks: reads state, recovers the spool), agent_start,
 *           agent_stop and its callback, agent_free.  agent_free() alone is a
 *           crash: it touches no file and sends nothing.
 * Threads   The loop thread only.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/open.h"

struct agent;

struct agent_params {
	struct sys *sys;                   /* kept */
	const struct agent_config *config; /* kept */
	/* NULL without a collector: the agent detects and alerts alone. */
	struct net *net;                   /* kept */
	const char *device;                /* name, in alerts; kept */
	/* Where config was read from, for who may read it; kept.  NULL: from nowhere. */
	const char *config_path;
	struct hash32 device_hash;         /* of its public key */
	int (*sign)(void *arg, const struct head *h, struct buf *out);
	uint8_t boot[16];                  /* kernel's boot id, or zeros */
	uint8_t machine[32];               /* hash of the machine id, or zeros */
	void (*on_alert)(void *arg, const struct alert *a);
	/* A connection to a collector is about to be made; NULL: nobody cares. */
	void (*dialing)(void *arg);
	void *arg;
	/* For all that is read but files; NULL: it is not. */
	uv_loop_t *loop;
	struct open_before before; /* taken over when loop is set */
};

/* Errors are logged with their remedy: UV_E*, ERR_*. */
int agent_new(struct agent **out, const struct agent_params *params);
void agent_free(struct agent *a);

/* Connects and begins to read; reading starts at the collector's answer, or
 * after 3 s without one. */
int agent_start(struct agent *a);

/* Stops reading, delivers or spools what was read, saves state; cb runs once. */
void agent_stop(struct agent *a, void (*cb)(void *arg), void *arg);

/* The certificate was renewed: connects anew with what the net has now. */
void agent_renew(struct agent *a);

/* Lines handed on so far. */
uint64_t agent_lines(const struct agent *a);
/* The configuration has changed under its address: as pipeline_reload(), and files are
 * looked for by the new globs. */
int agent_reload(struct agent *a, struct config_errors *errs);

/* Members of the status object. */
void agent_status(const struct agent *a, struct json *j);

#endif
