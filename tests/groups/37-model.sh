#!/usr/bin/env bash
# the protocol's models, every state of them, and their mutations (spin)
. "$(dirname "$0")/../support/group.sh"

long=''
[ "$LONG" = 0 ] || long=--long
for model in tests/model/*.pml; do
	name=${model##*/}
	# shellcheck disable=SC2086 # one word or none
	try "${name%.pml}" tests/model/run $long --only "${name%.pml}"
done
exit 0
