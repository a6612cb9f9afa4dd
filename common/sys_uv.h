/* sys_uv: the real struct sys, on libuv and the kernel.
 *
 * The caller owns the loop and the memory of struct sys_uv, which must outlive
 * everything that was given its .sys.  After sys_uv_fini() the loop has to run
 * until its handles are closed.  Timers and watches have to be freed before.
 */
#ifndef COMMON_SYS_UV_H
#define COMMON_SYS_UV_H

#include <uv.h>

#include "common/sys.h"

struct sys_uv {
	struct sys sys; /* first: callbacks cast back */
	uv_loop_t *loop;
};

void sys_uv_init(struct sys_uv *s, uv_loop_t *loop);

/* For programs without a loop (the command line): files, clocks and randomness
 * work; timers, watches and work return UV_ENOSYS. */
struct sys *sys_plain(void);

#endif
