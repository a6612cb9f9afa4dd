#!/bin/sh
# systemd units as systemd sees them, where it is.
cd "$(dirname "$0")/../.." || exit 1
ls contrib/systemd/*.service >/dev/null 2>&1 || {
	echo "no units in contrib/systemd"
	exit 77
}
command -v systemd-analyze >/dev/null || {
	echo "no systemd-analyze here"
	exit 77
}
# The programs need not be installed here, nor the users.
out=$(systemd-analyze verify contrib/systemd/*.service 2>&1 |
	grep -v 'is not executable\|Failed to create\|not-found\|bus\|man page\|Command .*man' | grep 'nightjar')
[ -z "$out" ] && exit 0
echo "$out"
exit 1
