#!/usr/bin/env bash
# what is checked by reading: layering, style, scripts, manual pages, units
. "$(dirname "$0")/../support/group.sh"

for script in tests/lint/*.sh; do
	name=${script##*/}
	case $name in
	# The documents are held against what the program says.
	docs.sh) try docs "$script" "$BUILD/cli/nightjar" ;;
	*) try "${name%.sh}" "$script" ;;
	esac
done
exit 0
