#!/usr/bin/env bash
# where lines wait and go: fail-over, renewed certificates, a full and a damaged spool, writes to disk
. "$(dirname "$0")/../support/group.sh"

if [ ! -x "$BUILD/collector/nightjar-collector" ] || [ ! -x "$BUILD/agent/nightjar-agent" ]; then
	skip all "no daemons in ${BUILD##*/}"
	exit 0
fi
mkdir -m 711 "$WORK/spool"
chmod 711 "$WORK"
one() { # TEST: in a mount space of its own where that is possible
	local space=()
	! unshare --mount true 2>/dev/null || space=(unshare --mount --propagation private)
	"${space[@]}" python3 tests/integration/spool.py "$BUILD" "$WORK/spool/$1" "$1"
}
try fail-over one fail_over
try kept-fail-over one kept_fail_over
try one-store one one_store
try shared-store one shared_store
try two-policies one two_policies
try renewed one renewed
try full-disk one full_disk
try damaged one damaged
try carried one carried
try budget one budget
try disk-writes one disk_writes
exit 0
