#!/bin/sh
# Manual pages as mandoc sees them.
cd "$(dirname "$0")/../.." || exit 1
command -v mandoc >/dev/null || {
	echo "no mandoc here"
	exit 77
}
bad=0
for page in docs/man/*.[1-8] contrib/man/*.[1-8]; do
	[ -e "$page" ] || continue
	mandoc -T lint -W warning "$page" || bad=1
done
exit $bad
