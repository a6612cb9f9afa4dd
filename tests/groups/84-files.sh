#!/usr/bin/env bash
# log files on the real kernel: links, bind mounts, compression, no watches, few descriptors, many of them
. "$(dirname "$0")/../support/group.sh"

if [ ! -x "$BUILD/tests/tail_cat" ]; then
	skip all "no tail_cat in ${BUILD##*/}"
	exit 0
fi
long=
[ "$LONG" = 0 ] || long=many_files # minutes
for name in hard_link symbolic_link rotation compressed late_directory permission_later no_watches \
	few_descriptors bind_mount inode_reuse $long; do
	wanted "$name" || continue
	mkdir -p "$WORK/files/$name"
	try "$name" tests/integration/files.sh "$BUILD/tests/tail_cat" "$WORK/files/$name" "$name"
done
exit 0
