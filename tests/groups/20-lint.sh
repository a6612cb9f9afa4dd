#!/usr/bin/env bash
# what is checked by reading: layering, style, scripts, manual pages, units
. "$(dirname "$0")/../support/group.sh"

for script in tests/lint/*.sh; do
	name=${script##*/}
	try "${name%.sh}" "$script"
done
exit 0
