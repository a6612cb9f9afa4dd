#!/usr/bin/env bash
# The private host alone, before anything of ours runs on it: real logins make real
# lines in a real log, and nothing of it is seen outside.
. "$(dirname "$0")/host.sh"
if [ $# = 0 ]; then
	outside=$(id -u alice 2>/dev/null)
	folder=$(mktemp -d "${WORK:-/tmp}/host.XXXXXX")
	chmod 755 "$folder"
	enter "$0" "$folder"
	status=$?
	rm -rf --one-file-system "$folder"
	[ "$(id -u alice 2>/dev/null)" = "$outside" ] || { echo "the user is seen outside"; exit 1; }
	exit $status
fi

fail() {
	echo "$*"
	tail -n 20 /var/log/auth.log
	exit 1
}
logged() { # PATTERN
	wait_for 10 grep -E "$1" /var/log/auth.log || fail "no line like: $1"
}

host_up "$1" && add_user alice correct-horse && syslog_up && sshd_up 2222 || fail "the host does not come up"
[ "$(login alice correct-horse 127.0.0.7 2222 'echo in')" = in ] || fail "a good login fails"
login alice wrong 127.0.0.66 2222 && fail "a wrong password is taken"
login nobody-here wrong 127.0.0.66 2222 && fail "a user that is not there is let in"
logger -p auth.info -t app 'a line of our own'
logged 'app: a line of our own'
logged 'Accepted password for alice from 127\.0\.0\.7 port'
logged 'Failed password for alice from 127\.0\.0\.66 port'
logged 'Failed password for invalid user nobody-here from 127\.0\.0\.66'
rotate
wait_for 10 test -e /var/log/auth.log || logger -p auth.info -t app again
logger -p auth.info -t app 'after the rotation'
logged 'after the rotation'
grep -q 'after the rotation' /var/log/auth.log.1 && fail "rsyslog goes on in the old file"
syslog_down
