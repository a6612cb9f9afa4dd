#!/usr/bin/env bash
# real daemons killed, cut off, stopped and run out of room; then every line is counted
. "$(dirname "$0")/../support/group.sh"

kills=30
[ "$LONG" = 0 ] || kills=1000
SEED=${SEED:-$(date +%s)}

if [ ! -x "$BUILD/tests/crash/crash_writer" ] || [ ! -x "$BUILD/agent/nightjar-agent" ]; then
	skip kills "no daemons in ${BUILD##*/}"
	exit 0
fi
crash() { # SCENARIO
	local status
	tests/crash/run --build "$BUILD" --kills $kills --seed "$SEED" --scenario "$1"
	status=$?
	[ $status = 0 ] || [ $status = 77 ] || echo "again with: tests/crash/run --kills $kills --seed $SEED --scenario $1"
	return $status
}
try kills crash all
exit 0
