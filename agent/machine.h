/* machine: what the system says about which machine, and which boot of it, this is.
 *
 * Before the sandbox closes; reads small files.
 */
#ifndef AGENT_MACHINE_H
#define AGENT_MACHINE_H

#include <stdint.h>

/* 32 hexadecimal digits of a file, dashes left out, as 16 bytes; zeros when it can't be
 * read. */
void machine_read_id(const char *path, uint8_t out[static 16]);

#endif
