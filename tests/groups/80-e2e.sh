#!/usr/bin/env bash
# end to end on real daemons: sshd and rsyslog in a private host, agent, collector
. "$(dirname "$0")/../support/group.sh"
. tests/integration/host.sh

chmod 711 "$WORK"
try host bash tests/integration/host_test.sh
exit 0
