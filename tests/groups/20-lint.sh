#!/usr/bin/env bash
# what is checked by reading: layering, style, scripts, manual pages, units
. "$(dirname "$0")/../support/group.sh"

for script in tests/lint/*.sh; do
	name=${script##*/}
	# The documents are held against what the program says.
	try "${name%.sh}" "$script" "$BUILD/cli/nightjar"
done
exit 0
