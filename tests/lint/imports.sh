#!/bin/sh
# Fails when a folder includes a header of a folder that it must not know.
# Each line: folder, then every folder whose headers it may include.  The
# stages never know one another; agent/ alone knows them all.
cd "$(dirname "$0")/../.." || exit 1
bad=0
while read -r dir allowed; do
	[ -d "$dir" ] || { echo "no folder $dir"; bad=1; continue; }
	for inc in $(grep -rhoE '^#include "[a-z_]+/' "$dir" --include='*.[ch]' |
		     sed 's/.*"//; s,/,,' | sort -u); do
		case " $dir $allowed " in
		*" $inc "*) ;;
		*) echo "$dir/ must not include $inc/"; bad=1 ;;
		esac
	done
done <<LIST
common
wire      common
sources   common
parsers   common
redact    common
detectors common
alerts    common
hooks     common alerts wire
shipper   common wire
collector common wire config parsers redact hooks alerts detectors
pki       common wire
agent     common wire sources parsers redact detectors alerts hooks shipper config pki
cli       common wire sources parsers redact detectors alerts hooks shipper config collector pki agent
LIST
# config/ may know each stage's options.h and nothing else of it.
for inc in $(grep -rhoE '^#include "[a-z_]+/[a-z_]+\.h"' config --include='*.[ch]' | sed 's/.*"\(.*\)"/\1/'); do
	case $inc in
	common/* | config/* | */options.h) ;;
	*) echo "config/ must not include $inc"; bad=1 ;;
	esac
done
[ $bad = 0 ] && echo "imports follow the layout"
exit $bad
