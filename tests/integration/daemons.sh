#!/usr/bin/env bash
# Truth made by real daemons: known attempts are made against each of Debian's daemons
# that are installed, and what they were is what the parsers must read from the logs.
#   daemons.sh NIGHTJAR
. "$(dirname "$0")/host.sh"
. "$(dirname "$0")/audit.sh"
if [ $# = 1 ]; then
	folder=$(mktemp -d "${WORK:-/tmp}/daemons.XXXXXX")
	chmod 755 "$folder"
	trap 'audit_down; rm -rf --one-file-system "$folder"' EXIT
	trap 'exit 130' INT TERM HUP
	audit_up "$folder" || echo "no auditd: $AUDIT_WHY"
	export AUDIT_LOG AUDIT_UID AUDIT_WHY
	enter "$0" "$(realpath "$1")" "$folder"
	exit
fi

fail() {
	echo "$*"
	exit 1
}
host_up "$2" && syslog_up || fail "the host does not come up"
add_user alice correct-horse $((AUDIT_UID + 1)) && add_user bob correct-horse $((AUDIT_UID + 2)) ||
	fail "can't make users"
# Nobody waits after a wrong password: that says nothing of the lines.
sed -i 's/^\(auth.*pam_unix.so\)/\1 nodelay/' /etc/pam.d/common-auth
sed -i '/pam_faildelay/d' /etc/pam.d/login
sed -i 's/^FAIL_DELAY.*/FAIL_DELAY 0/' /etc/login.defs
mkdir -p /etc/sudoers.d
echo 'alice ALL=(ALL:ALL) ALL' >/etc/sudoers.d/alice
chmod 440 /etc/sudoers.d/alice
python3 tests/integration/daemons.py "$1" "$2"
status=$?
syslog_down
exit $status
