/* ecs: a record as JSON, with nested names of the Elastic Common Schema, the
 * same wherever one leaves: `nightjar parse`, `nightjar search`, the collector's
 * output file.
 *
 * Pure but for the buffer behind the writer.  Not thread-safe.
 */
#ifndef COMMON_ECS_H
#define COMMON_ECS_H

#include "common/json.h"
#include "common/record.h"

/* Writes the members of one record into an object that the caller has opened
 * and will close, and may add its own members to (device, stream, position):
 * @timestamp (the stamp's time, else the time of reading; left out when there is
 * neither), message (the whole line when it has no header), log.syslog (priority,
 * facility, severity, msgid and structured data as far as the header has them),
 * host.hostname, process.name, process.pid, and whatever fields the event has,
 * event.outcome and auth.attempts (of a line with an outcome, unless one) among
 * them.  Ports, pids and status codes are numbers; one that is none is left
 * out.  Errors stick to the writer. */
void ecs_write(struct json *j, const struct record *r);

#endif
